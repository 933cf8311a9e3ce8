"""Documents by number, in the order of their doc_ids: a place in a text is then one integer, and the first of some places the smallest."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.files import read
from catalog.schema import hash_column
from curate.components import FILE, Edges
from curate.corpus import Corpus

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Numbered:
    """The documents of a corpus by number: row references and ids in that order, and a file of numbers and scopes, a row each, for each data file.

    Number -1 is left out: what a policy of another dataset drops, and `twins`, whose text is another's: ref, and the number of that one. `frozen`
    says which documents stand in a dataset that is only compared with, or have the text of one that does.
    """

    refs: Ints
    ids: pl.Series
    paths: tuple[str, ...]
    twins: pl.DataFrame
    frozen: npt.NDArray[np.bool_]

    def again(self, numbers: Ints) -> Ints:
        """Return how many documents before each have its doc_id: nearly always none."""
        first: Ints = self.ids.search_sorted(self.ids.gather(numbers), "left").to_numpy().astype(np.int64)
        return numbers - first


def numbered(corpus: Corpus, before: Edges, by: pl.Series | None = None) -> Numbered:
    """Number the documents of a corpus; exact copies that `before` joins go by one of them.

    `by` parts them further, a value a document in the order of the files; those without one are left out.
    """
    nodes = corpus.nodes
    frozen = nodes.refs // FILE >= corpus.own
    numbers = pl.DataFrame({"ref": nodes.refs, "number": np.arange(nodes.refs.size), "frozen": frozen})
    twins = _twins(corpus, before, numbers)
    frozen = frozen.copy()
    frozen[twins.filter("frozen")["number"].to_numpy()] = True
    left_out = ~nodes.there | np.isin(nodes.by_place, twins["ref"].to_numpy())
    scopes = np.zeros(left_out.size, np.int64) if nodes.scope is None else nodes.scope.view(np.int64)
    if by is not None:
        left_out |= by.is_null().to_numpy()
        scopes = scopes * 31 + hash_column(by).view(np.int64)
    table, paths, start = np.stack([np.where(left_out, -1, nodes.number), scopes]), [], 0
    for number, file in enumerate(corpus.files):
        paths.append(f"{corpus.scratch('numbers')}-{number:06d}.npy")
        np.save(paths[-1], table[:, start : start + file.rows])
        start += file.rows
    return Numbered(nodes.refs, nodes.ids, tuple(paths), twins.select("ref", "number"), frozen)


def _twins(corpus: Corpus, before: Edges, numbers: pl.DataFrame) -> pl.DataFrame:
    """Return ref, frozen and the number that it goes by of each document but one of those that a pair joins and whose texts are the same."""
    pairs = before.filter(pl.col("jaccard") == 1).select("a", "b")
    hashes = _hashes(corpus, pl.concat([pairs["a"], pairs["b"]]).unique())
    equal = pairs.join(hashes, left_on="a", right_on="ref").join(hashes, left_on="b", right_on="ref", suffix="_b")
    equal = equal.filter(pl.col("origin_hash") == pl.col("origin_hash_b"))
    alike = pl.concat([equal.select("origin_hash", ref=end) for end in ("a", "b")]).unique("ref").join(numbers, on="ref")
    alike = alike.sort(["frozen", "number"], descending=[True, False])
    first = alike.unique("origin_hash", keep="first", maintain_order=True).select("origin_hash", goes_by="number")
    return alike.join(first, on="origin_hash").filter(pl.col("number") != pl.col("goes_by")).select("ref", "frozen", number="goes_by")


def _hashes(corpus: Corpus, refs: pl.Series) -> pl.DataFrame:
    """Return `ref` and `origin_hash` of the rows that are wanted, of those that have it."""
    found = [pl.DataFrame(schema={"ref": pl.Int64, "origin_hash": pl.String})]
    for (number,), rows in refs.to_frame("ref").sort("ref").group_by(pl.col("ref") // FILE, maintain_order=True):
        values = read(corpus.files[int(number)], ["origin_hash"])["origin_hash"]
        found.append(rows.with_columns(values.gather((rows["ref"] % FILE).to_list())))
    return pl.concat(found).drop_nulls()


def parts(rows: int, most: int) -> Sequence[tuple[int, int]]:
    """Return ranges of keys of 63 bits, first and last, so many that each has about `most` of `rows` rows."""
    count = max(1, -(-rows // most))
    borders = [(1 << 63) * part // count for part in range(count + 1)]
    return [(first, last - 1) for first, last in pairwise(borders)]
