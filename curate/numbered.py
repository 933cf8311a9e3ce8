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

    Number -1 is left out: what a policy of another dataset drops, and `twins`, whose text is another's of the same scope: ref, and the number of that one.
    `frozen` says which documents stand in a dataset that is only compared with; of twins one of those speaks, where there is any.
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
    """Number the documents of a corpus; exact copies of one scope that `before` joins go by one of them.

    `by` parts them further, a value a document in the order of the files; those without one are left out.
    """
    nodes = corpus.nodes
    left_out = ~nodes.there
    scopes = np.zeros(left_out.size, np.int64) if nodes.scope is None else nodes.scope.view(np.int64)
    if by is not None:
        left_out |= by.is_null().to_numpy()
        scopes = scopes * 31 + hash_column(by).view(np.int64)
    about = {"ref": nodes.by_place, "number": nodes.number, "frozen": nodes.by_place // FILE >= corpus.own, "scope": scopes}
    twins = _twins(corpus, before, pl.DataFrame(about).filter(~pl.Series(left_out)))
    left_out |= np.isin(nodes.by_place, twins["ref"].to_numpy())
    frozen = nodes.refs // FILE >= corpus.own
    table, paths, start = np.stack([np.where(left_out, -1, nodes.number), scopes]), [], 0
    for number, file in enumerate(corpus.files):
        paths.append(f"{corpus.scratch('numbers')}-{number:06d}.npy")
        np.save(paths[-1], table[:, start : start + file.rows])
        start += file.rows
    return Numbered(nodes.refs, nodes.ids, tuple(paths), twins, frozen)


def _twins(corpus: Corpus, before: Edges, about: pl.DataFrame) -> pl.DataFrame:
    """Return ref and the number that it goes by of each document but one of those of a scope that a pair joins and whose texts are the same.

    `about` has ref, number, frozen and scope of those that may be compared.
    """
    pairs = before.filter(pl.col("jaccard") == 1).select("a", "b")
    hashes = _hashes(corpus, pl.concat([pairs["a"], pairs["b"]]).unique())
    equal = pairs.join(hashes, left_on="a", right_on="ref").join(hashes, left_on="b", right_on="ref", suffix="_b")
    equal = equal.filter(pl.col("origin_hash") == pl.col("origin_hash_b"))
    alike = pl.concat([equal.select("origin_hash", ref=end) for end in ("a", "b")]).unique("ref").join(about, on="ref")
    alike = alike.sort(["frozen", "number"], descending=[True, False])
    alike = alike.with_columns(goes_by=pl.col("number").first().over("scope", "origin_hash"))
    return alike.filter(pl.col("number") != pl.col("goes_by")).select("ref", number="goes_by")


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
