"""Which copy of a repeated stretch stays: among the rows that a policy keeps, the first in its `keep:` order, doc_id last.

Spans with the same `first` and `at` (of one column) are the same words in several places. Rows stand in the policy's order, what an
earlier version kept before all others, and a text's places in their order: the earliest place stays, all others are cut, but
for what they share with it where a text repeats itself without a gap. A span without `at` is cut wherever it stands.

No text is lost: a word that is cut stands in an earlier place too, as part of the same words; if it is cut there, for the sake of another
stretch, then again because it stands earlier still; and some place is the earliest. No stretch stays whole twice.
"""

import os
from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from catalog.cuts import CUTS, chosen
from catalog.dialects import expression
from catalog.files import DataFile
from catalog.schema import SPAN, VERDICT, hash_column
from curate.policy import Policy, same_columns

ADDS = {CUTS: pa.list_(SPAN)}
"""What a verdict has more, where its policy cuts such spans: kind, start and end of what it cuts. Null where it cuts nothing."""
PLACES = pl.Schema({"ref": pl.Int64, "column": pl.Int64, "name": pl.UInt64, "at": pl.Int64, "kind": pl.String, "start": pl.Int64, "end": pl.Int64})
"""A span of a row that passes: of which column, what it is a place of (a hash of `first`, and `at`), and where."""


def among(policy: Policy | None, files: Sequence[DataFile]) -> list[str]:
    """Return those of a policy's `cut:` whose copies are chosen among."""
    return chosen(policy.cut, same_columns(files)) if policy and policy.cut else []


def columns(policy: Policy | None, files: Sequence[DataFile]) -> dict[str, pa.DataType]:
    """Return the columns of a policy's verdicts on files."""
    return {**{column.name: column.type for column in VERDICT}, **(ADDS if among(policy, files) else {})}


class Writer:
    """What one file tells for the choice: its rows that pass and have such spans, and the spans; two tables, `path` with .rows and .places behind it."""

    def __init__(self, path: str, policy: Policy, columns: Sequence[str]) -> None:
        self.path, self.policy, self.columns = path, policy, columns
        self.rows: list[pl.DataFrame] = []
        self.places: list[pl.DataFrame] = []

    def add(self, batch: pl.DataFrame) -> None:
        """Take rows that pass, with `ref` and `stood`."""
        if self.columns:
            found = places(batch, self.columns)
            self.places.append(found)
            self.rows.append(rows(batch.filter(pl.col("ref").is_in(found["ref"].unique().implode())), self.policy))

    def close(self) -> None:
        if self.rows:
            pl.concat(self.rows).write_parquet(f"{self.path}.rows")
            pl.concat(self.places).write_parquet(f"{self.path}.places")


def write_cuts(path: str, told: Sequence[str], lost: pl.Series, policy: Policy) -> str:
    """Write what is cut of which row, of what the files told; `lost` are the rows that do not stay as copies of others. Returns `path`."""
    there = [one for one in told if os.path.exists(f"{one}.rows")]
    found = pl.concat([pl.DataFrame(schema=PLACES), *(pl.read_parquet(f"{one}.places", glob=False) for one in there)])
    ordered = pl.concat([pl.read_parquet(f"{one}.rows", glob=False) for one in there]) if there else pl.DataFrame()
    kept = ordered.filter(~pl.col("ref").is_in(lost.implode())) if there else ordered
    gone = cuts(found, kept, policy) if there else pl.DataFrame(schema={"ref": pl.Int64, "kind": pl.String, "start": pl.Int64, "end": pl.Int64})
    gone.write_parquet(path, row_group_size=1 << 16)
    return path


def places(batch: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return the spans of some rows, which have a column `ref`, in `columns`, dotted paths. A file that has no such spans has none."""
    found = [pl.DataFrame(schema=PLACES)]
    for number, (family, _, column) in enumerate(name.partition(".") for name in columns):
        kind = batch.schema.get(family)
        if not isinstance(kind, pl.Struct) or column not in [field.name for field in kind.fields]:
            continue
        listed = batch.select("ref", span=pl.col(family).struct.field(column)).filter(pl.col("span").list.len() > 0)
        flat = listed.explode("span").unnest("span").with_columns(column=pl.lit(number, pl.Int64))
        found.append(flat.with_columns(name=pl.Series(hash_column(flat["first"]), dtype=pl.UInt64)).select(list(PLACES)))
    return pl.concat(found)


def rows(batch: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """Return rows with what a policy orders them by: ref, doc_id, stood, keep_0 and so on."""
    keys = {f"keep_{i}": expression(order.node) for i, order in enumerate(policy.keep)}
    return batch.select("ref", "doc_id", "stood", **keys)


def cuts(found: pl.DataFrame, ordered: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """Return what is cut of which row: ref, kind, start, end. `found` are the places, `ordered` the rows that are kept, as `rows` returns them."""
    down = [order.descending for order in policy.keep]
    keys = [f"keep_{i}" for i in range(len(policy.keep))]
    ranked = ordered.sort(["stood", *keys, "doc_id", "ref"], descending=[True, *down, False, False], nulls_last=True)
    ranked = ranked.select("ref", order=pl.int_range(pl.len(), dtype=pl.Int64))
    kept = found.join(ranked, on="ref").sort("column", "name", "at", "order", "start", "end", nulls_last=True)
    group = ["column", "name", "at"]
    stays = kept.select(owner=pl.col("ref").first().over(group), until=pl.col("end").first().over(group), first=pl.struct(group).is_first_distinct())
    kept = kept.hstack(stays)
    start = pl.when(pl.col("ref") == pl.col("owner")).then(pl.max_horizontal("start", "until")).otherwise("start")
    everywhere = pl.col("at").is_null()
    gone = kept.filter(everywhere | ~pl.col("first")).with_columns(start=pl.when(everywhere).then("start").otherwise(start))
    return gone.filter(pl.col("start") < pl.col("end")).select("ref", "kind", "start", "end").unique().sort("ref", "start", "end", "kind")


def column(first: int, height: int, path: str) -> pl.Series:
    """Return a file's column of cuts, its rows being the references from `first` on; `path` holds those of all files. Null where nothing is cut."""
    rows = pl.DataFrame({"ref": pl.int_range(first, first + height, dtype=pl.Int64, eager=True)})
    mine = pl.scan_parquet(path).filter(pl.col("ref").is_between(first, first + height - 1)).collect()
    listed = mine.group_by("ref", maintain_order=True).agg(cuts=pl.struct(SPAN.names))
    return rows.join(listed, on="ref", how="left", maintain_order="left")["cuts"]
