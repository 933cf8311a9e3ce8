"""What the family `contamination` says of a dataset: against which evaluation sets it was scored, and which of their items stand in its documents."""

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from catalog.files import DataFile, Snapshot, footer, read
from catalog.snapshots import verdict_of

FAMILY = "contamination"
EXAMINED = "examined"
"""The entry of an annotation's footer that says against what it was scored: benchmark, key, version, rows, items, indexed, and the knobs."""
SPANS, SOFT = "spans", "soft_spans"
"""The columns of matches by words, which count, and of what is near an item by its vector alone, which is told of and no more."""
KNOBS: dict[str, float] = {"ngram": 13, "overlap": 0.6}
"""The knobs of contamination.spans that say what a match is, with its defaults: with more of either, less is found."""

SCHEMA = {
    "doc_id": pl.String, "kept": pl.Boolean, "benchmark": pl.String, "item": pl.String, "kind": pl.String, "score": pl.Float64, "start": pl.Int64,
    "end": pl.Int64, "standing": pl.Boolean,
}  # fmt: skip


def scored(file: DataFile) -> bool:
    return FAMILY in [a.family for a in file.annotations]


def examined(file: DataFile) -> dict[str, dict[str, Any]]:
    """Return the evaluation sets that a data file was scored against, by name; none where it was not."""
    if not scored(file):
        return {}
    told = footer(os.path.join(file.root, file.annotation(FAMILY).path)).get(EXAMINED, "[]")
    return {str(one["benchmark"]): one for one in json.loads(told)}


def unscored(snapshot: Snapshot) -> pl.DataFrame:
    """Return the doc_id of each row that has no family, or whose family is null: `where:` left it out, or the stage failed on it."""
    frames = [pl.DataFrame(schema={"doc_id": pl.String})]
    for file in snapshot.files:
        rows = read(file, ["doc_id"], [FAMILY] if scored(file) else [])
        frames.append((rows.filter(pl.col(FAMILY).struct.field("items").is_null()) if scored(file) else rows).select("doc_id"))
    return pl.concat(frames)


def matches(snapshot: Snapshot, column: str = SPANS) -> pl.DataFrame:
    """Return one row a match of an item: document, whether the first policy keeps it, item, score, place, and whether it stands after `cut:` and `mask:`.

    The columns are those of SCHEMA. A match stands unless all of it is cut or masked. `column` is SOFT for what is near an item in other words.
    """
    first = snapshot.policies[0] if snapshot.policies else {}
    changes = {name: first[name] for name in ("mask", "cut") if first.get(name)}
    return of_files(snapshot.files, verdict_of(snapshot), changes, column)


def of_files(files: Iterable[DataFile], verdict: str, changes: Mapping[str, Any], column: str = SPANS) -> pl.DataFrame:
    """The same of data files, with the family of a policy's verdicts and what it cuts and masks."""
    from catalog import spans  # numba starts in .6 s: not for every end of a run

    frames = [pl.DataFrame(schema=SCHEMA)]
    for file in files:
        if not scored(file):
            continue
        families = [a.family for a in file.annotations]
        judged = [verdict] if verdict in families else []
        rows = read(file, ["doc_id"], list(dict.fromkeys([FAMILY, *judged, *spans.families(changes)])))
        there = column in [field.name for field in rows.schema[FAMILY].fields]  # type: ignore[attr-defined]
        rows = rows.filter(pl.col(FAMILY).struct.field(column).list.len() > 0 if there else pl.lit(False)).with_row_index("row")
        if rows.height:
            kept = pl.col(verdict).struct.field("kept") if judged else pl.lit(True)
            flat = rows.select("row", "doc_id", kept=kept, span=pl.col(FAMILY).struct.field(column)).explode("span").unnest("span")
            frames.append(flat.with_columns(standing=_standing(flat, spans.covered(rows, changes))).select(list(SCHEMA)))
    return pl.concat(frames)


def _standing(flat: pl.DataFrame, gone: pl.DataFrame) -> pl.Series:
    """Say which matches are not cut as a whole. gone: row, start, end, apart and in order."""
    by = {row: list(zip(starts, ends, strict=True)) for row, starts, ends in gone.group_by("row").agg("start", "end").iter_rows()}
    places = zip(flat["row"], flat["start"], flat["end"], strict=True)
    return pl.Series([not any(a <= start and end <= b for a, b in by.get(row, ())) for row, start, end in places], dtype=pl.Boolean)
