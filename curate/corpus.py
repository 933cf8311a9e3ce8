"""What a job works on: the data files of some snapshots, read in batches that fit a cache, and where its results go."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow.parquet as pq

from catalog.files import Annotation, DataFile, read
from catalog.scratch import Scratch, sweep
from catalog.spark import map_files
from catalog.tasks import Task, Workers

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from curate.stars import Nodes

BATCH_BYTES = 8 << 20
"""Text a batch: its words fit in memory beside those of other workers, and what stages share stays near the core."""

POLARS_ROWS = 5_000_000
"""Below this many documents polars finds edges on one machine faster than Spark shuffles them (1.4 s against 20 s at 1M)."""


@dataclass(frozen=True)
class Corpus:
    """Data files in catalogue order, and what to work with. A file's place in `files` is its number in row references.

    The last `frozen` files are only compared with: of those the rows count that `verdict`, a family of theirs, keeps. Nothing is compared over the
    borders of `within`, a column or a signal. `shelves` are folders beside which earlier results lie. Jobs fill `metrics` with counts and
    `tables` with the paths of files worth keeping.
    """

    files: tuple[DataFile, ...]
    folder: str
    work: str
    spark: "SparkSession | None" = None
    workers: int | Workers = 2
    progress: Callable[[dict[str, Any]], None] | None = None
    polars_rows: int = POLARS_ROWS
    metrics: dict[str, float] = field(default_factory=dict)
    tables: dict[str, list[str]] = field(default_factory=dict)
    frozen: int = 0
    verdict: str | None = None
    within: str | None = None
    shelves: tuple[str, ...] = ()

    @property
    def own(self) -> int:
        """How many of the files are ours to annotate."""
        return len(self.files) - self.frozen

    def verdict_of(self, place: int) -> str | None:
        """The family that says which rows of a file count; None where all do."""
        return self.verdict if place >= self.own else None

    @cached_property
    def nodes(self) -> "Nodes":
        """The documents by number."""
        from curate.stars import nodes

        return nodes(self)

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def on_spark(self) -> bool:
        """Whether ids are shuffled by Spark: there is a session, and too much for polars."""
        return self.spark is not None and self.rows > self.polars_rows

    def map(self, function: str, tasks: Sequence[Task], *, light: bool = False) -> list[dict[str, Any]]:
        """Run tasks and return their results in the order of the tasks. Light ones need no processes of their own."""
        numbered = [{**task, "task": number} for number, task in enumerate(tasks)]
        workers = 0 if light else self.workers
        found = list(map_files(function, numbered, spark=self.spark, workers=workers, progress=self.progress))
        return sorted(found, key=lambda result: int(result["task"]))

    @cached_property
    def _scratch(self) -> Scratch:
        return Scratch(self.work)

    def scratch(self, name: str) -> str:
        """Return the path of a passing file, of this corpus alone; `clear` removes them all."""
        return os.path.join(self._scratch.folder, name)

    def clear(self) -> None:
        """Remove what was passing here, and what runs of the dataset left that were killed."""
        held: Scratch | None = self.__dict__.pop("_scratch", None)
        if held is not None:
            held.remove()
        sweep(os.path.dirname(os.path.abspath(self.folder)))


def to_dict(file: DataFile) -> dict[str, Any]:
    """Return a data file as plain data that travels in a task."""
    return asdict(file)


def as_file(given: dict[str, Any]) -> DataFile:
    """Return the data file that `to_dict` sent."""
    pairs = [tuple(pair) for pair in given["columns"]]
    annotations = tuple(Annotation(**{**a, "columns": tuple(tuple(c) for c in a["columns"])}) for a in given["annotations"])
    return DataFile(**{**given, "columns": tuple(pairs), "annotations": annotations})


def shelf(folder: str) -> dict[str, str]:
    """Return what earlier runs of the dataset left beside `folder`: name -> path. A name holds its address."""
    found: dict[str, str] = {}
    parent = os.path.dirname(os.path.abspath(folder))
    for run in sorted(entry.path for entry in os.scandir(parent) if entry.is_dir()) if os.path.isdir(parent) else ():
        for entry in os.scandir(run):
            if entry.name.endswith((".parquet", ".json", ".npy")) and not entry.name.startswith("."):
                found.setdefault(entry.name, entry.path)
    return found


def beside(file: DataFile, folder: str, family: str, address: str, there: Mapping[str, str]) -> str:
    """Return the path of an annotation: where an earlier run left it, else its place in `folder`.

    Data file, family and address name it, so that what is there is never done again.
    """
    name = f"{os.path.splitext(os.path.basename(file.path))[0]}.{family}-{address}.parquet"
    return there.get(name) or os.path.join(folder, name)


def batches(file: DataFile, columns: Sequence[str], families: Sequence[str] = ()) -> Iterator[pl.DataFrame]:
    """Yield a data file in order, row group by row group, each in batches of about BATCH_BYTES of text."""
    start = 0
    metadata = pq.read_metadata(file.full_path)
    for group in range(metadata.num_row_groups):
        size = metadata.row_group(group).num_rows
        frame = read(file, columns, families, slice(start, start + size))
        start += size
        yield from cut(frame) if "text" in columns else [frame]


def cut(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield a frame in slices of about BATCH_BYTES of text, at least one row each."""
    place = frame.select(pl.col("text").str.len_bytes().fill_null(0).cast(pl.Int64).cum_sum() // BATCH_BYTES).to_series()
    start = 0
    for run in place.rle().struct.field("len"):
        yield frame.slice(start, run)
        start += run
