"""Stages over data files: what is missing is listed, computed once per file from one word split, and written beside it.

An annotation's name is its address: data file, function, knobs, version, splitter, versions of packages, and the addresses of the families that it reads.
What is there under its name is never computed again, so a killed run resumes at the file and a new stage computes one family.
A document that makes a stage fail goes on with nulls; its row for `quarantine` travels in the footer of the annotation.
"""

import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from catalog import spans
from catalog.computed import lacking
from catalog.dialects import said
from catalog.errors import HeadraceError, RecipeError, SetupError, WorkError
from catalog.files import Annotation, DataFile, address, footer, known, read, write_annotation
from catalog.predicates import columns, parse, typed
from catalog.spark import map_files
from catalog.stage import Declaration, installed, load, widened
from catalog.staged import Stage
from catalog.tasks import Task, Workers
from curate.corpus import as_file, batches, beside, shelf, to_dict
from curate.listed.promised import promise

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BROKEN = 100
"""A stage that fails on each of this many documents of a batch, and on all of it, is broken; the documents are not."""


LOOKED_AT = 64
"""Documents of which the shortest is the one that stages are tried on."""


@dataclass(frozen=True)
class Annotated:
    """Data files with their annotations, what is to stand in `quarantine`, and how many files were worked on just now."""

    files: tuple[DataFile, ...]
    quarantine: tuple[dict[str, Any], ...]
    computed: int


def run(
    files: Sequence[DataFile],
    stages: Sequence[Stage],
    folder: str,
    *,
    dataset: str = "",
    spark: "SparkSession | None" = None,
    workers: int | Workers = 2,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Annotated:
    """Compute what is missing of the stages' families beside the files, in `folder`, and return the files with all of it."""
    missing = tasks(files, stages, folder, dataset)
    for _ in map_files("curate.annotate:annotate", missing, spark=spark, workers=workers, progress=progress):
        pass
    done, quarantine = finished(files, stages, folder)
    return Annotated(done, quarantine, len(missing))


def rehearse(files: Sequence[DataFile], stages: Sequence[Stage], folder: str, workers: int | Workers = 2) -> None:
    """Try each stage of which anything is missing on no document and on a short one, so that what its knobs do wrong is said before the work begins.

    Raises the stage's own error where that is the user's mistake, RecipeError where it fails on no document as on one.
    """
    firsts: dict[tuple[str, ...], Task] = {}
    for task in sorted(tasks(files, stages, folder), key=lambda task: not task["file"]["rows"]):
        firsts.setdefault(tuple(step["family"] for step in task["stages"]), task)
    for _ in map_files("curate.annotate:tried", list(firsts.values()), workers=workers):
        pass


def tasks(files: Sequence[DataFile], stages: Sequence[Stage], folder: str, dataset: str = "") -> list[Task]:
    """Return one task for each data file that lacks an annotation, with the stages that are missing there."""
    there = shelf(folder)
    listed = []
    for file in files:
        planned = plan(file, stages, folder, there)
        missing = [step for step in planned if not os.path.exists(step["out"])]
        if missing:
            given = with_annotations(file, [step for step in planned if step not in missing])
            listed.append({"name": file.path, "bytes": file.bytes, "dataset": dataset, "file": to_dict(given), "stages": missing})
    return listed


def finished(files: Sequence[DataFile], stages: Sequence[Stage], folder: str) -> tuple[tuple[DataFile, ...], tuple[dict[str, Any], ...]]:
    """Return the files with the stages' annotations, and the quarantine that they carry. All must be there."""
    there, whole, quarantine = shelf(folder), [], []
    for file in files:
        planned = plan(file, stages, folder, there)
        whole.append(with_annotations(file, planned))
        for step in planned:
            quarantine += json.loads(footer(step["out"]).get("quarantine", "[]"))
    return tuple(whole), tuple(quarantine)


def plan(file: DataFile, stages: Sequence[Stage], folder: str, there: dict[str, str]) -> list[dict[str, Any]]:
    """Return what each stage amounts to for one file: function, knobs, family, address and path. Raises RecipeError."""
    addresses = {a.family: a.address for a in file.annotations}
    own, steps = {name for name, _ in file.columns}, []
    for stage in stages:
        told = declared(stage)
        named = stage.bound.knobs[told.reads_of].values() if told.reads_of else ()
        reads = [*told.reads, *named, *stage.after, *(columns(parse(stage.where, f"{stage.name}: where: ")) if stage.where else ())]
        families = sorted({name.partition(".")[0] for name in reads} - own)
        for family in families:
            if family not in addresses:
                raise RecipeError(f"{stage.at}{lacking(stage.name, family, addresses)}")
        asked = {name: given for name, given in (("where", stage.where), ("after", stage.after)) if given}
        knobs = {**stage.bound.knobs, **dict(stage.stands), **asked, **{f"package {name}": version for name, version in stage.bound.packages}}
        inputs = [*(addresses[family] for family in families), *filter(None, [stage.again])]
        at = address(file.id, stage.bound.path, knobs, told.version, told.splitter, inputs)
        addresses[stage.family] = at
        out = beside(file, folder, stage.family, at, there)
        types = [[name, str(kind)] for name, kind in told.adds.items()]
        steps.append(
            {"name": stage.name, "path": stage.bound.path, "knobs": stage.bound.knobs, "where": stage.where, "after": list(stage.after),
             "family": stage.family, "reads": reads, "address": at, "out": out, "columns": types, "promised": dict(stage.promised),
             "packages": stage.bound.packages, "told": dict(stage.told)}
        )  # fmt: skip
    return steps


def declared(stage: Stage) -> Declaration:
    """Return what a stage's function says of itself. Raises RecipeError when it says nothing."""
    found = getattr(load(stage.bound.path), "declares", None)
    if not isinstance(found, Declaration) or not found.adds:
        raise RecipeError(f"{stage.name}: {stage.bound.path} declares no columns; give it @declares(adds=...) from catalog.stage")
    placed = [name for name, kind in found.adds.items() if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type)]
    if stage.after and placed:
        raise RecipeError(f"{stage.name}: after: it writes spans ({placed[0]}), which are places in the text as ingested; leave after: out")
    return found


def with_annotations(file: DataFile, steps: Sequence[dict[str, Any]]) -> DataFile:
    """Return a data file with the annotations of these steps in place of others of the same families."""
    new = [
        Annotation(s["family"], os.path.relpath(s["out"], file.root), s["address"], s["name"], file.rows, tuple((n, t) for n, t in s["columns"])) for s in steps
    ]
    families = {annotation.family for annotation in new}
    return replace(file, annotations=(*(a for a in file.annotations if a.family not in families), *new))


class Step:
    """One stage at work on one file: the loaded function, and the pieces of its family so far."""

    def __init__(self, given: dict[str, Any], file: DataFile) -> None:
        self.given, self.function = given, load(given["path"])
        self.types: dict[str, pa.DataType] = self.function.declares.adds  # type: ignore[attr-defined]
        self.family: str = given["family"]
        self.schema = pa.schema(list(self.types.items()))
        self.pieces: list[pa.Table] = []
        self.failed: list[tuple[int, BaseException]] = []
        self.seconds = 0.0
        self.file = file

    def work(self, batch: pl.DataFrame, start: int) -> pa.Table:
        """Run the stage on a batch whose first row is the file's `start`, and return its columns, one row a document."""
        began = time.perf_counter()
        if self.given["where"] is None:
            table = self._columns(batch, start)
        else:
            names = dict(known(self.file))
            chosen = said(batch, typed(parse(self.given["where"]), names)).fill_null(False)
            table = self._columns(batch.filter(chosen), start, chosen.arg_true().to_list())
            places = (chosen.cast(pl.Int64).cum_sum() - 1).set(~chosen, None).to_arrow()
            table = table.take(places) if table.num_rows else self._nulls(batch.height)
        self.pieces.append(table)
        self.seconds += time.perf_counter() - began
        return table

    def _columns(self, batch: pl.DataFrame, start: int, rows: Sequence[int] | None = None) -> pa.Table:
        """Call the function; if it fails, once for each document, so that only those that make it fail have nulls."""
        if not batch.height:
            return self._nulls(0)
        try:
            return self._shaped(self.function(batch, **self.given["knobs"]), batch.height)
        except (HeadraceError, ImportError):
            raise
        except Exception as error:
            if batch.height == 1:
                self.failed.append((start + (rows[0] if rows else 0), error))
                return self._nulls(1)
        before = len(self.failed)
        rows = range(batch.height) if rows is None else rows
        tables = [self._columns(batch.slice(i, 1), start, [row]) for i, row in enumerate(rows)]
        if batch.height >= BROKEN and len(self.failed) - before == batch.height:
            raise WorkError(f"{self.given['name']} failed on each of {batch.height} documents of {self.file.path}: {self.failed[-1][1]!r}")
        return pa.concat_tables(tables)

    def _shaped(self, found: pl.DataFrame, rows: int) -> pa.Table:
        if found.height != rows or set(found.columns) != set(self.types):
            raise WorkError(
                f"{self.given['path']} returned {found.height} rows of {', '.join(found.columns)} for {rows} documents; "
                f"it declares {', '.join(self.types)}, one row a document"
            )
        return found.to_arrow().select(self.schema.names).cast(self.schema)

    def _nulls(self, rows: int) -> pa.Table:
        return pa.table([pa.nulls(rows, kind) for kind in self.types.values()], schema=self.schema)


class Trial(Step):
    """A stage that is tried: its columns are for the stages behind it and nothing else."""

    def work(self, batch: pl.DataFrame, start: int) -> pa.Table:
        """Call the stage with no document and with those of the batch; it may fail on either (of no document none ever was asked), not on both."""
        faults, table = [], self._nulls(batch.height)
        for one in (batch.clear(), batch):
            try:
                found = self.function(one, **self.given["knobs"])
                table = self._shaped(found, one.height) if one.height else table
            except (HeadraceError, ImportError):
                raise
            except Exception as error:
                faults.append(error)
        if len(faults) == 2:
            told = ", ".join(f"{name}: {value!r}"[:100] for name, value in self.given["knobs"].items())
            why = f"{type(faults[1]).__name__}: {faults[1]}".partition("\n")[0][:300]
            raise RecipeError(f"{self.given['name']} fails whatever it is given, with {told or 'no knobs'}: {why}")
        return table


def tried(task: Task) -> dict[str, Any]:
    """The body of a trial: the missing stages on a file's shortest document of the first few, with nothing written."""
    file, steps, columns, families = _opened(task, Trial)
    batch = read(file, columns, families, slice(0, LOOKED_AT))
    if "text" in columns:
        batch = batch.sort(pl.col("text").str.len_bytes(), nulls_last=True, maintain_order=True)
    _work(batch.head(1), steps, 0)
    return {"name": file.path}


def _opened(task: Task, kind: type[Step]) -> tuple[DataFile, list[Step], list[str], list[str]]:
    """Return a task's file with what its stages will make, these stages, and the columns and families that they read of what is there."""
    file = as_file(task["file"])
    promise({name: digest for given in task["stages"] for name, digest in given["promised"].items()})
    steps = [kind(given, file) for given in task["stages"]]
    for step in steps:  # a `where:` may read what a stage before it writes
        step.file = file = with_annotations(file, [step.given])
    own, made = {name for name, _ in file.columns}, {step.family for step in steps}
    reads = {name.partition(".")[0] for step in steps for name in step.given["reads"]}
    return file, steps, sorted({*(reads & own), "text"} if "text" in own else reads & own), sorted(reads - own - made)


def annotate(task: Task) -> dict[str, Any]:
    """The body of a task: read one file in batches, run the missing stages on each, write every family, then name it.

    Stages of a task share a batch, so its words are split once. Returns counts and the seconds of each family. Raises SetupError where a package
    has another version here than the address says.
    """
    file, steps, columns, families = _opened(task, Step)
    for step in steps:
        for name, version in step.given["packages"]:
            if installed(name) != version:
                there = f"has {name} {installed(name) or 'not at all'}, where the run was started it is {version or 'missing'}"
                raise SetupError(f"{step.given['name']}: {platform.node()} {there}; install the same (requirements/worker.txt)")
    start = 0
    for batch in batches(file, columns, families):
        _work(batch, steps, start)
        start += batch.height
    quarantine = [row for step in steps for row in _quarantined(step, task["dataset"])]
    for step in steps:
        _write(step, quarantine)
    seconds = {step.family: round(step.seconds, 4) for step in steps}
    return {"name": file.path, "file": file.id, "rows": file.rows, "bytes": file.bytes, "failed": len(quarantine), "seconds": seconds}


def _work(batch: pl.DataFrame, steps: Sequence[Step], start: int) -> None:
    """Run the stages in order. Those that read another's family get a batch that holds it; the rest share this very one.

    Those that come `after:` cuts get the text that these leave, split once for all of them.
    """
    made: dict[str, pa.Table] = {}
    rests: dict[tuple[str, ...], pl.DataFrame] = {}
    for step in steps:
        wanted = [name for name in made if name in {read.partition(".")[0] for read in step.given["reads"]}]
        columns = [pl.from_arrow(made[name]).to_struct(name) for name in wanted]  # type: ignore[union-attr]
        seen = widened(batch.with_columns(columns), batch) if wanted else batch
        if cuts := tuple(step.given["after"]):
            if cuts not in rests or not set(wanted) <= set(rests[cuts].columns):
                rests[cuts] = seen.with_columns(text=spans.apply(seen, {"cut": cuts}))
            seen = rests[cuts]
        made[step.family] = step.work(seen, start)


def _quarantined(step: Step, dataset: str) -> Iterator[dict[str, Any]]:
    for row, error in step.failed:
        found = read(step.file, ["doc_id", "uri", "source"], rows=slice(row, row + 1)).row(0, named=True)
        origin = found["source"] or {}
        yield {
            "dataset": dataset, "family": step.family, "doc_id": found["doc_id"], "uri": found["uri"], "source": origin.get("path"),
            "offset": origin.get("offset"), "reason": f"{step.given['name']} failed", "exception": f"{type(error).__name__}: {error}"[:1000],
        }  # fmt: skip


def _write(step: Step, quarantine: Sequence[dict[str, Any]]) -> None:
    table = pa.concat_tables(step.pieces) if step.pieces else step._nulls(0)
    mine = [row for row in quarantine if row["family"] == step.family]
    told = {"stage": step.given["name"], "knobs": json.dumps(step.given["knobs"], default=str), "where": step.given["where"] or "", **step.given["told"]}
    if mine:
        told["quarantine"] = json.dumps(mine)
    write_annotation(step.given["out"], step.family, table, step.file.ids, step.file.rows, step.types, told)
