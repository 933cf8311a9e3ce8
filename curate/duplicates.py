"""The family `dup`: which documents are copies of one another, exactly or nearly. It names clusters, never a keeper.

Which copy stays is the policy's to say, among the rows that its predicates keep.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from catalog.files import Annotation, DataFile, address, write_annotation, write_json
from catalog.ids import digest
from catalog.split import SPLITTER
from catalog.stage import Bound, load
from catalog.tasks import Task, Workers
from curate.components import FILE, components, no_edges
from curate.corpus import POLARS_ROWS, Corpus, as_file, beside, shelf, to_dict

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

VERSION = 1
FAMILY = "dup"
STAGE = "duplicates.find"
DUP = {"cluster": pa.string(), "size": pa.int64(), "neighbour": pa.string(), "jaccard": pa.float64()}
"""`cluster` is the smallest doc_id of the documents that edges connect, null for a document alone, whose `size` is 1.
`neighbour` is the document that it shares most with, and `jaccard` how much of their word n-grams (1 for an exact copy)."""


@dataclass(frozen=True)
class Found:
    """What `find` leaves: an annotation per data file id, the files' band tables (none without minhash), and counts."""

    annotations: dict[str, Annotation]
    bands: tuple[str, ...]
    metrics: dict[str, float]


def find(
    files: Sequence[DataFile],
    jobs: Sequence[Bound],
    folder: str,
    *,
    spark: "SparkSession | None" = None,
    workers: int | Workers = 2,
    progress: Callable[[dict[str, Any]], None] | None = None,
    polars_rows: int = POLARS_ROWS,
    again: str = "",
) -> Found:
    """Run the jobs of `dedup:` over data files and write the family `dup` beside each of them, in `folder`.

    Edges are found by Spark when there is a session and more than `polars_rows` documents. What is there is not done again,
    unless `again`, the number of the time that it is forced, is new.
    """
    asked = [[job.path, job.knobs, job.version] for job in jobs]
    inputs = digest(*[file.id for file in files], *filter(None, [again]))
    addresses = [address(file.id, STAGE, {"jobs": asked}, VERSION, SPLITTER, (inputs,)) for file in files]
    there, name = shelf(folder), f"{FAMILY}-{digest(*addresses)}.json"
    paths = [beside(file, folder, FAMILY, at, there) for file, at in zip(files, addresses, strict=True)]
    summary = there.get(name) or os.path.join(folder, name)
    if not (os.path.exists(summary) and all(os.path.exists(path) for path in paths)):
        corpus = Corpus(tuple(files), folder, f"{os.path.join(folder, name)}.work", spark, workers, progress, polars_rows)
        corpus.clear()
        _search(corpus, jobs, paths)
        bands = [os.path.relpath(path, files[0].root) for path in corpus.tables.get("bands", [])]  # the lake may move
        write_json(summary, {"bands": bands, "metrics": corpus.metrics})
        corpus.clear()
    with open(summary, encoding="utf-8") as written:
        told = json.load(written)
    columns = tuple((field, str(kind)) for field, kind in DUP.items())
    annotations = {
        file.id: Annotation(FAMILY, os.path.relpath(path, file.root), at, STAGE, file.rows, columns)
        for file, path, at in zip(files, paths, addresses, strict=True)
    }
    return Found(annotations, tuple(os.path.join(files[0].root, path) for path in told["bands"]), told["metrics"])


def _search(corpus: Corpus, jobs: Sequence[Bound], paths: Sequence[str]) -> None:
    edges = no_edges()
    for job in jobs:
        found = load(job.path)(corpus, edges, **job.knobs)
        corpus.metrics[f"{job.path.partition(':')[0].rpartition('.')[2]}_pairs"] = found.height
        edges = pl.concat([edges, found.select(edges.columns)])
    nodes = components(edges)
    corpus.metrics.update({"clusters": nodes["cluster"].n_unique(), "clustered": nodes.height, "documents": corpus.rows})
    told = corpus.scratch("nodes.parquet")
    nodes.write_parquet(told, row_group_size=1 << 16)
    tasks = [
        {"name": file.path, "bytes": file.rows, "file": to_dict(file), "number": number, "nodes": told, "path": path}
        for number, (file, path) in enumerate(zip(corpus.files, paths, strict=True))
    ]
    corpus.map("curate.duplicates:scatter", tasks, light=True)


def scatter(task: Task) -> dict[str, Any]:
    """Write the family beside one data file: each row's cluster if it has one, in the file's order."""
    file, first = as_file(task["file"]), task["number"] * FILE
    rows = pl.DataFrame({"ref": pl.int_range(first, first + file.rows, eager=True, dtype=pl.Int64)})
    inside = pl.scan_parquet(task["nodes"]).filter(pl.col("ref").is_between(first, first + FILE - 1)).collect()
    told = rows.join(inside, on="ref", how="left", maintain_order="left").with_columns(pl.col("size").fill_null(1))
    assert told.height == file.rows, f"{file.path}: a row reference stands twice among the nodes"
    write_annotation(task["path"], FAMILY, told.select(list(DUP)), file.ids, file.rows, DUP)
    return {"task": task["task"], "name": task["name"], "rows": file.rows}
