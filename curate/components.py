"""Pairs of documents and what they join: the connected components of edges.

An edge joins two documents by their row references; `a` has the smaller doc_id.
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.spark import ROW_BITS

Edges = pl.DataFrame
EDGES = pl.Schema({"a": pl.Int64, "b": pl.Int64, "a_id": pl.String, "b_id": pl.String, "jaccard": pl.Float64})
"""Row references of two documents, their doc_ids, and how much they share (null: not compared)."""

COMPONENTS = pl.Schema({"ref": pl.Int64, "doc_id": pl.String, "cluster": pl.String, "size": pl.Int64, "neighbour": pl.String, "jaccard": pl.Float64})
"""What is told of each document that has an edge."""

FILE = 1 << ROW_BITS
"""A row reference // FILE is the file's number, % FILE the row's."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Told:
    """What a job says: pairs to be joined into clusters, and columns of its own by `ref`, for the rows that have something to say (None: it adds none)."""

    edges: Edges
    columns: pl.DataFrame | None = None


def no_edges() -> Edges:
    return EDGES.to_frame()


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
    size = np.bincount(root, minlength=nodes.height)[root]
    most, other = nearest(nodes.height, a, b, edges["jaccard"].fill_null(-1).to_numpy())
    found = nodes.select(
        "ref", "doc_id", cluster=pl.col("doc_id").gather(root), size=pl.Series(size, dtype=pl.Int64),
        neighbour=pl.col("doc_id").gather(other), jaccard=pl.Series(most, dtype=pl.Float64),
    )  # fmt: skip
    return found.with_columns(pl.when(pl.col("jaccard") >= 0).then("jaccard")).sort("ref")


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def nearest(nodes: int, a: Ints, b: Ints, jaccard: Floats) -> tuple[Floats, Ints]:
    """Return, for each node, the largest Jaccard of its edges and the node over there, the smallest of equals."""
    most, other = np.full(nodes, -2.0), np.zeros(nodes, np.int64)
    for i in range(a.size):
        for here, there in ((a[i], b[i]), (b[i], a[i])):
            if jaccard[i] > most[here] or (jaccard[i] == most[here] and there < other[here]):
                most[here], other[here] = jaccard[i], there
    return most, other


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
