"""Pairs and what they join: star edges within groups of equal keys, and the connected components of edges.

An edge joins two documents by their row references; `a` has the smaller doc_id. Within a group of n documents that share a key
each is joined to the one with the smallest doc_id: n - 1 edges, not n(n - 1)/2, and the same ones however rows are
spread over files and partitions.
"""

import os
from collections.abc import Sequence

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.files import DataFile, read
from catalog.spark import ROW_BITS, frame
from curate.corpus import Corpus

Edges = pl.DataFrame
EDGES = pl.Schema({"a": pl.Int64, "b": pl.Int64, "a_id": pl.String, "b_id": pl.String, "jaccard": pl.Float64})
"""Row references of two documents, their doc_ids, and how much they share (null: not compared)."""

AT_ONCE = 20_000_000
"""Band keys that polars groups in one go, about 2 GB."""

FILE = 1 << ROW_BITS
"""A row reference // FILE is the file's number, % FILE the row's."""

Ints = npt.NDArray[np.int64]


def no_edges() -> Edges:
    return EDGES.to_frame()


def equal(corpus: Corpus, column: str) -> Edges:
    """Return star edges among the documents that have the same value in a column of their data files."""
    if corpus.on_spark:
        return _spark_stars(corpus, corpus.files, column, "ref", [column])
    keyed = pl.concat([read(file, ["doc_id", column]).with_columns(ref=_refs(number, file.rows)) for number, file in enumerate(corpus.files)])
    return _stars(keyed.drop_nulls(column), [column])


def stars(corpus: Corpus, tables: Sequence[str], bands: int) -> Edges:
    """Return star edges among the documents that share a band's key. `tables` are the files' band tables, in their order."""
    if corpus.on_spark:
        return _spark_stars(corpus, tables, "band, key", f"ref - ref % {FILE} + row", ["band", "key", "row"])
    found, step = [no_edges().drop("jaccard")], max(1, AT_ONCE // max(1, corpus.rows))
    for first in range(0, bands, step):  # so many bands as memory likes: a table is sorted by band
        parts = [
            pl.scan_parquet(path, glob=False)
            .filter(pl.col("band").is_between(first, first + step - 1))
            .select("doc_id", "band", "key", ref=pl.col("row") + number * FILE)
            for number, path in enumerate(tables)
        ]
        found.append(_stars(pl.concat(parts).collect(), ["band", "key"]))
    return pl.concat(found).unique(["a", "b"]).sort("a_id", "b_id")


def _refs(number: int, rows: int) -> pl.Series:
    return pl.int_range(number * FILE, number * FILE + rows, eager=True, dtype=pl.Int64)


def _stars(keyed: pl.DataFrame, keys: Sequence[str]) -> Edges:
    """Star edges of rows (doc_id, ref, keys). Most keys are alone, so they go first, before any string is compared."""
    shared = keyed.filter(pl.len().over(keys) > 1).sort("doc_id", "ref")
    first = shared.group_by(keys).agg(a=pl.col("ref").first(), a_id=pl.col("doc_id").first())
    joined = shared.join(first, on=keys, how="left", maintain_order="left").filter(pl.col("a") != pl.col("ref"))
    return joined.select("a", pl.col("ref").alias("b"), "a_id", pl.col("doc_id").alias("b_id"))


def _spark_stars(corpus: Corpus, paths: Sequence[str | DataFile], keys: str, ref: str, columns: Sequence[str]) -> Edges:
    """The same by one shuffle of narrow rows. The edges come back through files: the driver's result size is no limit."""
    assert corpus.spark is not None
    rows = frame(corpus.spark, paths, ["doc_id", *columns]).selectExpr("doc_id", f"{ref} AS ref", *keys.split(", "))
    first = f"min(named_struct('doc_id', doc_id, 'ref', ref)) OVER (PARTITION BY {keys}) AS first"
    present = " AND ".join(f"{key} IS NOT NULL" for key in keys.split(", "))
    pairs = rows.filter(present).selectExpr("doc_id", "ref", first).filter("first.ref <> ref")
    edges = pairs.selectExpr("first.ref AS a", "ref AS b", "first.doc_id AS a_id", "doc_id AS b_id").distinct()
    path = corpus.scratch(f"edges-{'-'.join(keys.split(', '))}")
    edges.write.mode("overwrite").parquet(path)
    parts = sorted(os.path.join(path, name) for name in os.listdir(path) if name.endswith(".parquet"))
    found = pl.concat([no_edges().drop("jaccard"), *(pl.read_parquet(part, glob=False) for part in parts)])
    return found.sort("a_id", "b_id")


def components(edges: Edges) -> pl.DataFrame:
    """Return ref, doc_id, cluster, size, neighbour and jaccard of each document that has an edge, sorted by ref.

    `cluster` is the smallest doc_id of the component, `neighbour` the document with which it shares most, the smaller doc_id
    among equals. Holds 16 bytes an edge and the ids of the documents that have one.
    """
    ends = [edges.select(ref=pl.col(x), doc_id=pl.col(f"{x}_id")) for x in ("a", "b")]
    nodes = pl.concat(ends).unique("ref").sort("doc_id", "ref").with_row_index("node")
    ids = nodes.select("ref", node=pl.col("node").cast(pl.Int64))
    a, b = (edges.select(ref=x).join(ids, on="ref", how="left", maintain_order="left")["node"].to_numpy() for x in ("a", "b"))
    root = join(nodes.height, a, b)
    cluster = nodes["doc_id"].gather(root)
    size = np.bincount(root, minlength=nodes.height)[root]
    found = nodes.select("ref", "doc_id", cluster=cluster, size=pl.Series(size, dtype=pl.Int64))
    return found.join(_nearest(edges), on="ref", how="left").sort("ref")


def _nearest(edges: Edges) -> pl.DataFrame:
    ways = [edges.select(ref=pl.col(x), neighbour=pl.col(f"{y}_id"), jaccard="jaccard") for x, y in (("a", "b"), ("b", "a"))]
    both = pl.concat(ways).sort(["jaccard", "neighbour"], descending=[True, False], nulls_last=True)
    return both.unique("ref", keep="first", maintain_order=True)


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def join(nodes: int, a: Ints, b: Ints) -> Ints:
    """Return the smallest node of each node's component, given edges a[i]-b[i]: union-find with path halving."""
    parent = np.arange(nodes)
    for i in range(a.size):
        x, y = a[i], b[i]
        while parent[x] != x:
            parent[x] = parent[parent[x]]
            x = parent[x]
        while parent[y] != y:
            parent[y] = parent[parent[y]]
            y = parent[y]
        if x < y:
            parent[y] = x
        else:
            parent[x] = y
    for node in range(nodes):  # parents are smaller: one pass in order flattens
        parent[node] = parent[parent[node]]
    return parent
