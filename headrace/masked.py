"""Documents as they may be seen: masked and cut as their dataset's policy says, before anybody reads them or a model is asked about them.

`headrace why` and SQL give the facts as ingested; `show`, the report and the prompts of writers go through here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from catalog.errors import InputError
from catalog.files import Snapshot, scan
from catalog.lake import Lake

Row = dict[str, Any]
SPANS = pl.List(pl.Struct({"kind": pl.String, "start": pl.Int64, "end": pl.Int64}))
TURNS = ("messages", "prompt", "chosen", "rejected")
"""Columns that repeat what the text says, where no span reaches."""


def documents(lake: Lake, name: str, *, dropped: str | None = None, n: int = 10) -> list[Row]:
    """Return what `Lake.show` returns with the policy's spans applied to each text; turns that no span reaches are withheld."""
    return seen(lake.show(name, dropped=dropped, n=n), lake.snapshot(name))


def seen(rows: list[Row], snapshot: Snapshot) -> list[Row]:
    """Return rows of a snapshot, with the families beside them, as they may be seen."""
    changes = _changes(snapshot)
    if not rows or not changes:
        return rows
    from catalog import spans  # numba starts in a second: not for a dataset without a policy

    withheld = {turn: None for turn in TURNS if turn in rows[0]}
    return [{**row, **withheld, "text": text} for row, text in zip(rows, spans.apply(_frame(rows, changes), changes), strict=True)]


def batches(snapshot: Snapshot, where: str | None) -> Iterator[pl.DataFrame]:
    """Yield the rows of a snapshot that its policy keeps and `where` chooses, with every column, spans applied, file by file.

    Raises InputError for chats and pairs under a policy that masks or cuts: its spans are of texts.
    """
    from catalog import spans

    changes = reaching(snapshot)
    beside = spans.families(changes)
    for file in snapshot.files:
        for batch in scan(replace(snapshot, files=(file,)), [name for name, _ in file.columns], beside, where=where):
            if batch.height:
                yield (batch.with_columns(spans.apply(batch, changes)) if changes else batch).drop(beside)


def reaching(snapshot: Snapshot) -> dict[str, Any]:
    """What the first policy masks and cuts. Raises InputError for chats and pairs, which it does not reach."""
    changes = _changes(snapshot)
    if changes and snapshot.shape != "document":
        raise InputError(f"{snapshot.name}: the policy's mask: and cut: are of a document's text and do not reach its messages; use a policy without them")
    return changes


def _changes(snapshot: Snapshot) -> dict[str, Any]:
    """What the first policy masks and cuts; nothing without one."""
    if not snapshot.policies:
        return {}
    from mixer.shards import edits

    return edits(snapshot)


def _frame(rows: Sequence[Row], changes: Mapping[str, Any]) -> pl.DataFrame:
    """The texts of rows with the families whose spans are applied, as `catalog.spans` takes them. A family that is not there stays out."""
    named = [path.partition(".") for path in [*(changes.get("mask") or {}), *(changes.get("cut") or [])]]
    columns = {"text": pl.Series([row.get("text") for row in rows], dtype=pl.String)}
    for family in dict.fromkeys(family for family, _, _ in named):
        if all(family in row for row in rows):
            inner = [column or "spans" for one, _, column in named if one == family]
            values = [{column: (row[family] or {}).get(column) for column in inner} for row in rows]
            columns[family] = pl.Series(values, dtype=pl.Struct(dict.fromkeys(inner, SPANS)))
    return pl.DataFrame(columns)
