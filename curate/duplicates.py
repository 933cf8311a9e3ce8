"""The family `dup`: which documents are copies of one another, exactly or nearly. It names clusters, never a keeper.

Which copy stays is the policy's to say, among the rows that its predicates keep.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from catalog.errors import RecipeError, near
from catalog.files import Annotation, DataFile, address, known, write_annotation, write_json
from catalog.ids import digest
from catalog.split import SPLITTER
from catalog.stage import Bound, load
from catalog.tasks import Task, Workers
from curate import sketches
from curate.components import FILE, Told, no_edges
from curate.connected import connected
from curate.corpus import POLARS_ROWS, Corpus, as_file, beside, shelf, to_dict

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

VERSION = 2
FAMILY = "dup"
STAGE = "duplicates.find"
DUP = {"cluster": pa.string(), "size": pa.int64(), "neighbour": pa.string(), "jaccard": pa.float64()}
"""`cluster` is the smallest doc_id of the documents that edges connect, null for a document alone, whose `size` is 1.
`neighbour` is the document that it shares most with, and `jaccard` how much of their word n-grams (1 for an exact copy)."""
SEEN = {"seen": pa.string()}
"""With `against:`, the smallest doc_id of the other dataset's documents in the cluster."""


@dataclass(frozen=True)
class Found:
    """What `find` leaves: an annotation per data file id, the files' band tables (none without minhash), and counts."""

    annotations: dict[str, Annotation]
    bands: tuple[str, ...]
    metrics: dict[str, float]


@dataclass(frozen=True)
class Against:
    """Data files of another dataset that ours are compared with: the rows that `verdict`, a family of theirs, keeps. `folder` is where their results lie."""

    files: tuple[DataFile, ...]
    verdict: str | None
    folder: str


def find(
    files: Sequence[DataFile],
    jobs: Sequence[Bound],
    folder: str,
    *,
    within: str | None = None,
    against: Against | None = None,
    spark: "SparkSession | None" = None,
    workers: int | Workers = 2,
    progress: Callable[[dict[str, Any]], None] | None = None,
    polars_rows: int = POLARS_ROWS,
    again: str = "",
) -> Found:
    """Run the jobs of `dedup:` over data files and write the family `dup` beside each of them, in `folder`.

    Documents are compared within one value of the column or signal `within`, and with the rows of `against`. Edges are found by Spark when there is a
    session and more than `polars_rows` documents. What is there is not done again, unless `again`, the number of the time that it is forced, is new.
    """
    ours = {file.id for file in files}
    others = tuple(file for file in against.files if file.id not in ours) if against else ()
    asked = {"jobs": [[job.path, job.knobs, job.version] for job in jobs], "by": _compared_by(jobs), **({"within": within} if within else {})}
    kept_by = [a.address for file in others for a in file.annotations if against and a.family == against.verdict]
    read = (*_scopes(files, within), *_scopes(others, within), *kept_by, *_families((*files, *others), jobs))
    inputs = digest(*[file.id for file in files], *(f"against {file.id}" for file in others), *read, *filter(None, [again]))
    addresses = [address(file.id, STAGE, asked, VERSION, SPLITTER, (inputs,)) for file in files]
    there, name = shelf(folder), f"{FAMILY}-{digest(*addresses)}.json"
    paths = [beside(file, folder, FAMILY, at, there) for file, at in zip(files, addresses, strict=True)]
    summary = there.get(name) or os.path.join(folder, name)
    types = {**DUP, **({**SEEN} if against else {}), **_added(jobs)}
    if not (os.path.exists(summary) and all(os.path.exists(path) for path in paths)):
        work = f"{os.path.join(folder, name)}.work"
        corpus = Corpus(
            (*files, *others), folder, work, spark, workers, progress, polars_rows, frozen=len(others), within=within,
            verdict=against.verdict if against else None, shelves=(against.folder,) if against else (),
        )  # fmt: skip
        try:
            _search(corpus, jobs, paths, types)
        finally:
            corpus.clear()
        bands = [os.path.relpath(path, files[0].root) for path in corpus.tables.get("bands", [])[: corpus.own]]  # the lake may move
        write_json(summary, {"bands": bands, "metrics": corpus.metrics})
    with open(summary, encoding="utf-8") as written:
        told = json.load(written)
    columns = tuple((field, str(kind)) for field, kind in types.items())
    annotations = {
        file.id: Annotation(FAMILY, os.path.relpath(path, file.root), at, STAGE, file.rows, columns)
        for file, path, at in zip(files, paths, addresses, strict=True)
    }
    return Found(annotations, tuple(os.path.join(files[0].root, path) for path in told["bands"]), told["metrics"])


def _compared_by(jobs: Sequence[Bound]) -> list[list[Any]]:
    """What the tables hold that jobs compare documents by: bands that `threshold:` lets a library choose are not among the knobs."""
    return [[sketch.function, dict(sketch.knobs), sketch.version] for sketch in sketches.of_jobs([(job.path, job.knobs) for job in jobs])]


def _scopes(files: Sequence[DataFile], within: str | None) -> list[str]:
    """The addresses of the signal that documents are compared within. Raises RecipeError where a file has none."""
    if within is None:
        return []
    family, _, column = within.partition(".")
    for file in files:
        if within not in known(file):
            raise RecipeError(f"dedup: within: {within!r} is no column or signal of {file.path}{near(within, known(file))}")
        if known(file)[within].startswith(("struct", "list")):
            raise RecipeError(f"dedup: within: {within!r} of {file.path} is no single value; name one inside it, such as facts.work")
    return [file.annotation(family).address for file in files] if column and files and any(a.family == family for a in files[0].annotations) else []


def _families(files: Sequence[DataFile], jobs: Sequence[Bound]) -> list[str]:
    """The addresses of the families that jobs read: what the `families` beside each job's function says. One that a file lacks the job itself refuses."""
    says = [(getattr(import_module(job.path.partition(":")[0]), "families", None), job.knobs) for job in jobs]
    named = {name for function, knobs in says if function for name in function(**knobs)}
    return [a.address for file in files for a in file.annotations if a.family in named]


def _added(jobs: Sequence[Bound]) -> dict[str, pa.DataType]:
    """The columns of their own that jobs add."""
    found: dict[str, pa.DataType] = {}
    for job in jobs:
        found.update(load(job.path).declares.adds)  # type: ignore[attr-defined]
    return found


def written(jobs: Sequence[Bound], column: str) -> list[str]:
    """Return the columns of `dup` that these jobs write; jobs are imported only where `column` is none that all of them write."""
    return [*DUP, *(_added(jobs) if column not in DUP else ())]


def _search(corpus: Corpus, jobs: Sequence[Bound], paths: Sequence[str], types: Mapping[str, pa.DataType]) -> None:
    sketches.tables(corpus, sketches.of_jobs([(job.path, job.knobs) for job in jobs]))
    edges, extra = no_edges(), []
    for job in jobs:
        told: Told = load(job.path)(corpus, edges, **job.knobs)
        corpus.metrics[f"{job.path.partition(':')[0].rpartition('.')[2]}_pairs"] = told.edges.height
        edges = pl.concat([edges, told.edges.select(edges.columns)])
        extra += [told.columns] if told.columns is not None else []
    nodes = connected(corpus, edges)
    nodes = _with_seen(nodes, corpus.own * FILE) if "seen" in types else nodes
    documents = sum(file.rows for file in corpus.files[: corpus.own])
    corpus.metrics.update({"clusters": nodes["cluster"].n_unique(), "clustered": nodes.height, "documents": documents})
    for columns in extra:
        nodes = nodes.join(columns, on="ref", how="full", coalesce=True)
    told_at = corpus.scratch("nodes.parquet")
    nodes.sort("ref").write_parquet(told_at, row_group_size=1 << 16)
    said = json.dumps([[job.path, job.knobs] for job in jobs])
    tasks = [
        {"name": file.path, "bytes": file.rows, "file": to_dict(file), "number": number, "nodes": told_at, "path": path, "types": dict(types), "jobs": said}
        for number, (file, path) in enumerate(zip(corpus.files[: corpus.own], paths, strict=True))
    ]
    corpus.map("curate.duplicates:scatter", tasks, light=True)


def _with_seen(nodes: pl.DataFrame, limit: int) -> pl.DataFrame:
    """The nodes with the smallest doc_id of the other dataset in their cluster: references from `limit` on are its."""
    other = nodes.filter(pl.col("ref") >= limit).group_by("cluster").agg(seen=pl.col("doc_id").min())
    return nodes.join(other, on="cluster", how="left", maintain_order="left")


def scatter(task: Task) -> dict[str, Any]:
    """Write the family beside one data file: each row's cluster if it has one, in the file's order."""
    file, first = as_file(task["file"]), task["number"] * FILE
    rows = pl.DataFrame({"ref": pl.int_range(first, first + file.rows, eager=True, dtype=pl.Int64)})
    inside = pl.scan_parquet(task["nodes"]).filter(pl.col("ref").is_between(first, first + FILE - 1)).collect()
    told = rows.join(inside, on="ref", how="left", maintain_order="left").with_columns(pl.col("size").fill_null(1))
    assert told.height == file.rows, f"{file.path}: a row reference stands twice among the nodes"
    types = task["types"]
    write_annotation(task["path"], FAMILY, told.select(list(types)), file.ids, file.rows, types, {"jobs": task["jobs"]})
    return {"task": task["task"], "name": task["name"], "rows": file.rows}
