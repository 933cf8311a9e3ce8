"""Sketches: the few numbers that stand for a document when documents are compared, a table beside each data file.

A part's jobs say which they need, and what is missing is made in one pass over each file's text, from one split into words. A table has a row for each
document of its file, in order: doc_id, row, and bigints; null where a document has nothing to be compared by. Its name is its address, so it
is never made twice, and what comes later is compared with it without the text. Its footer says of which data file it is, and by what function and knobs.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa

from catalog.files import DataFile, DataWriter, address, footer
from catalog.split import SPLITTER
from catalog.stage import load
from catalog.tasks import Task
from curate.corpus import Corpus, as_file, batches, beside, shelf, to_dict


@dataclass(frozen=True)
class Sketch:
    """A table that a job wants: `function(batch, **knobs)` makes its `columns` of a batch that has the columns `reads`."""

    name: str
    function: str
    columns: tuple[str, ...]
    knobs: tuple[tuple[str, Any], ...]
    version: int
    reads: tuple[str, ...] = ("text",)

    def path(self, file: DataFile, folder: str, there: dict[str, str]) -> str:
        """Where the table of a data file is, or will be."""
        return beside(file, folder, self.name, address(file.id, self.function, dict(self.knobs), self.version, SPLITTER), there)


def of_jobs(jobs: Sequence[tuple[str, dict[str, Any]]]) -> list[Sketch]:
    """Return the sketches that jobs (path, knobs) want: what the `sketches` beside each job's function says."""
    wanted: list[Sketch] = []
    for path, knobs in jobs:
        says = getattr(__import__(path.partition(":")[0], fromlist=["sketches"]), "sketches", None)
        wanted += says(**knobs) if says else []
    return list(dict.fromkeys(wanted))


def tables(corpus: Corpus, wanted: Sequence[Sketch]) -> dict[str, list[str]]:
    """Return the paths of the files' tables by the sketch's name, in the order of the files; those that are there are not made again.

    Of several sketches of one name, such as two shapes of bands, all are made, and the last one's paths are returned.
    """
    there: dict[str, str] = {}
    for folder in (*corpus.shelves, corpus.folder):
        there.update(shelf(folder))
    paths = {sketch: [sketch.path(file, corpus.folder, there) for file in corpus.files] for sketch in wanted}
    tasks = []
    for place, file in enumerate(corpus.files):
        missing = [
            {"function": s.function, "columns": s.columns, "knobs": dict(s.knobs), "reads": s.reads, "version": s.version, "path": paths[s][place]}
            for s in wanted if not os.path.exists(paths[s][place])
        ]  # fmt: skip
        if missing:
            tasks.append({"name": file.path, "bytes": file.bytes, "file": to_dict(file), "sketches": missing})
    corpus.map("curate.sketches:write", tasks)
    return {sketch.name: at for sketch, at in paths.items()}


def write(task: Task) -> dict[str, object]:
    """Write the tables that are missing of one data file."""
    file, row = as_file(task["file"]), 0
    columns = sorted({"doc_id", *(name for sketch in task["sketches"] for name in sketch["reads"])})
    with ExitStack() as stack:
        made = [(load(s["function"]), s, stack.enter_context(DataWriter(s["path"], _schema(s["columns"]), _footer(s, file)))) for s in task["sketches"]]
        for batch in batches(file, columns):
            places = batch.select("doc_id", row=pl.int_range(row, row + batch.height, dtype=pl.Int64))
            for function, sketch, out in made:
                told = function(batch, **sketch["knobs"])
                out.add_table(pl.concat([places, told.select(sketch["columns"])], how="horizontal").to_arrow())
            row += batch.height
        for _, _, out in made:
            out.close()
    return {"task": task["task"], "name": task["name"], "rows": file.rows, "bytes": file.bytes}


@dataclass(frozen=True)
class Made:
    """A table as its footer tells of it: its path, its data file's id, and what made it, of which version and by which splitter."""

    path: str
    file: str
    function: str
    knobs: str
    version: int
    splitter: str


def _footer(sketch: dict[str, Any], file: DataFile) -> dict[str, str]:
    knobs = json.dumps(sketch["knobs"], sort_keys=True)
    return {"file": file.id, "function": sketch["function"], "knobs": knobs, "version": str(sketch["version"]), "splitter": SPLITTER}


def made(path: str) -> Made | None:
    """Return what a table's footer says of it; None of a file that is no such table, or was made before tables said so."""
    told = footer(path)
    if "function" not in told or "file" not in told:
        return None
    return Made(path, told["file"], told["function"], told["knobs"], int(told["version"]), told["splitter"])


def _schema(columns: Sequence[str]) -> pa.Schema:
    return pa.schema([("doc_id", pa.string()), ("row", pa.int64()), *((name, pa.int64()) for name in columns)])


def columns(paths: Sequence[str], names: Sequence[str]) -> pl.DataFrame:
    """Return columns of the files' tables under each other, in the order of the files."""
    return pl.concat([pl.scan_parquet(path, glob=False).select(list(names)) for path in paths]).collect()


def each(paths: Sequence[str], names: Sequence[str]) -> Iterator[pl.Series]:
    """Yield columns of the files' tables one by one: at a billion rows, one is 8 GB."""
    for name in names:
        yield columns(paths, [name]).to_series()
