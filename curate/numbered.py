"""Documents by number, in the order of their doc_ids: a place in a text is then one integer, and the first of some places the smallest."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.files import read
from curate.components import FILE, Edges
from curate.corpus import Corpus

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Numbered:
    """The documents of a corpus by number: ids and row references in that order, and a file of numbers, a row each, beside each data file.

    `twins` names those that are left out, number -1 in those files, since their text is another's: ref, and the number of that one.
    `frozen` says which stand in a dataset that is only compared with, or are the text of one that does.
    """

    ids: pl.Series
    refs: Ints
    paths: tuple[str, ...]
    twins: pl.DataFrame
    frozen: npt.NDArray[np.bool_]

    def again(self, numbers: Ints) -> Ints:
        """Return how many documents before each have its doc_id: nearly always none."""
        first: Ints = self.ids.search_sorted(self.ids.gather(numbers), "left").to_numpy().astype(np.int64)
        return numbers - first


def numbered(corpus: Corpus, before: Edges) -> Numbered:
    """Number the documents of a corpus; exact copies that `before` joins go by one of them. Holds all doc_ids at once."""
    frames = [read(file, ["doc_id"]).with_columns(ref=_refs(number, file.rows)) for number, file in enumerate(corpus.files)]
    whole = pl.concat(frames).sort("doc_id", "ref")
    refs = whole["ref"].to_numpy()
    numbers = whole.select("ref", number=pl.int_range(pl.len(), dtype=pl.Int64))
    frozen = refs // FILE >= corpus.own
    twins = _twins(corpus, before, numbers.with_columns(frozen=frozen))
    frozen[twins.filter("frozen")["number"].to_numpy()] = True
    kept = numbers.join(twins.select("ref", out=pl.lit(True)), on="ref", how="left").sort("ref")
    found = kept.select(pl.when("out").then(-1).otherwise("number")).to_series().to_numpy()
    paths, start = [], 0
    for number, file in enumerate(corpus.files):
        paths.append(corpus.scratch(f"numbers-{number:06d}.npy"))
        if not os.path.exists(paths[-1]):
            np.save(paths[-1], found[start : start + file.rows])
        start += file.rows
    return Numbered(whole["doc_id"], refs, tuple(paths), twins.select("ref", "number"), frozen)


def _refs(number: int, rows: int) -> pl.Series:
    return pl.int_range(number * FILE, number * FILE + rows, eager=True, dtype=pl.Int64)


def _twins(corpus: Corpus, before: Edges, numbers: pl.DataFrame) -> pl.DataFrame:
    """Return ref, frozen and the number that it goes by of each document but one of those that a pair joins and whose texts are the same."""
    pairs = before.filter(pl.col("jaccard") == 1).select("a", "b")
    ends = pl.concat([pairs.select(ref="a"), pairs.select(ref="b")]).unique()
    hashes = _column(corpus, ends["ref"], "origin_hash")
    equal = pairs.join(hashes, left_on="a", right_on="ref").join(hashes, left_on="b", right_on="ref", suffix="_b")
    equal = equal.filter(pl.col("origin_hash") == pl.col("origin_hash_b"))
    alike = pl.concat([equal.select("origin_hash", ref=end) for end in ("a", "b")]).unique("ref").join(numbers, on="ref")
    alike = alike.sort(["frozen", "number"], descending=[True, False])
    first = alike.unique("origin_hash", keep="first", maintain_order=True).select("origin_hash", goes_by="number")
    joined = alike.join(first, on="origin_hash").filter(pl.col("number") != pl.col("goes_by"))
    return joined.select("ref", "frozen", number="goes_by")


def _column(corpus: Corpus, refs: pl.Series, column: str) -> pl.DataFrame:
    """Return `ref` and a narrow column of the rows that are wanted, of those that have it."""
    found = [pl.DataFrame(schema={"ref": pl.Int64, column: pl.String})]
    for (number,), rows in refs.to_frame("ref").sort("ref").group_by(pl.col("ref") // FILE, maintain_order=True):
        values = read(corpus.files[number], [column])[column]
        found.append(rows.with_columns(values.gather((rows["ref"] % FILE).to_list()).alias(column)))
    return pl.concat(found).drop_nulls()


def parts(rows: int, most: int) -> Sequence[tuple[int, int]]:
    """Return ranges of keys of 63 bits, first and last, so many that each has about `most` of `rows` rows."""
    count = max(1, -(-rows // most))
    borders = [(1 << 63) * part // count for part in range(count + 1)]
    return [(first, last - 1) for first, last in zip(borders, borders[1:], strict=False)]
