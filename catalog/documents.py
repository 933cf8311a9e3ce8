"""One document, or a few: found by the locator or in the sample, and read with all that is said of them. No dataset is scanned."""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from catalog import locator, snapshots
from catalog.files import DataFile
from catalog.locator import Place
from catalog.rows import beside
from catalog.views import OURS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def locate(db: "DuckDBPyConnection", root: str, text: str) -> list[Place]:
    """Return where a doc_id, a URI or the pages of a host lie, in every head that holds them."""
    paths = [path for (path,) in db.execute("SELECT path FROM locator ORDER BY path").fetchall()]
    found = []
    for kind in locator.kinds_of(text):
        for id, row in locator.candidates(root, paths, kind, text):
            path = (db.execute("SELECT path FROM data_file WHERE id = ?", [id]).fetchone() or ("",))[0]
            for dataset, version in snapshots.holding(db, path):
                file = snapshots.data_files(db, root, dataset, version, path)[0]
                if locator.is_there(file, row, kind, text):
                    found.append(Place(dataset, version, file, row))
    return found


def read_one(place: Place) -> dict[str, Any]:
    """Return one document with every column and every family about it, and where it lies."""
    table = beside(place.file, np.array([place.row], np.int64))
    return {
        "dataset": place.dataset,
        "version": place.version,
        "path": place.file.path,
        "row": place.row,
        "document": table.to_pylist()[0],
    }


def show(db: "DuckDBPyConnection", root: str, name: str, dropped: str | None, n: int) -> list[dict[str, Any]]:
    """Return up to `n` documents with every family, `kept` and `reason`: those kept, or dropped for a reason ('' for any).

    The sample answers first, lowest hash first, so that all files have their say; what is too rare for it is looked for file by file.
    """
    resolved = snapshots.resolve(db, name)
    snapshot = snapshots.load(db, root, resolved)
    verdict = snapshots.verdict_of(snapshot)
    below = snapshots.sample_below(db, resolved.dataset, resolved.version)
    sample = snapshots.sample_files(db, root, resolved.dataset, resolved.version)
    drawn = [(file, row, key) for file in sample for row, key in _wanted(file, verdict, dropped, below)]
    found = [_document(file, row, verdict) for file, row, _ in sorted(drawn, key=lambda at: at[2])[:n]]
    if len(found) == n or (sample and below is None):
        return found
    seen = {row.get("doc_id") for row in found if row.get("doc_id")}
    for document in _scan(snapshot.files, verdict, dropped):
        if len(found) >= n:
            break
        if document.get("doc_id") not in seen:
            found.append(document)
    return found


def _scan(files: Sequence[DataFile], verdict: str, dropped: str | None) -> Iterator[dict[str, Any]]:
    for file in files:
        for row, _ in _wanted(file, verdict, dropped, None):
            yield _document(file, row, verdict)


def _wanted(file: DataFile, verdict: str, dropped: str | None, below: int | None) -> list[tuple[int, int]]:
    """Return (row, sample key or 0) of the rows that are wanted, read from the verdicts alone."""
    frame = pl.DataFrame({"row": np.arange(file.rows, dtype=np.int64)})
    if verdict in [a.family for a in file.annotations]:
        path = os.path.join(file.root, file.annotation(verdict).path)
        judged = pl.read_parquet(path, columns=[verdict])[verdict].struct.unnest()
        frame = frame.with_columns(judged["kept"].fill_null(True), judged["reason"])
    else:
        frame = frame.with_columns(pl.lit(True).alias("kept"), pl.lit(None, pl.String).alias("reason"))
    if "sample_key" in [name for name, _ in file.columns]:
        frame = frame.with_columns(pl.read_parquet(file.full_path, columns=["sample_key"])["sample_key"])
    else:
        frame = frame.with_columns(pl.lit(0, pl.UInt64).alias("sample_key"))
    frame = frame.filter(pl.col("kept") if dropped is None else ~pl.col("kept"))
    if dropped:
        frame = frame.filter(pl.col("reason") == dropped)
    if below is not None:
        frame = frame.filter(pl.col("sample_key") < below)
    return list(frame.select("row", "sample_key").iter_rows())


def _document(file: DataFile, row: int, verdict: str) -> dict[str, Any]:
    found: dict[str, Any] = beside(file, np.array([row], np.int64)).to_pylist()[0]
    judged = found.get(verdict) or {}
    kept = judged.get("kept")
    return {**{k: v for k, v in found.items() if k not in OURS}, "kept": kept is None or kept, "reason": judged.get("reason")}
