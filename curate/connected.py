"""Connected components of more edges than the driver should hold in a union-find: alternating large star and small star, in Spark SQL.

Kiveris, Lattanzi, Mirrokni, Rastogi, Vassilvitskii: Connected components in MapReduce and beyond (SoCC 2014). A large star ties every larger
neighbour of a node to the smallest of all its neighbours, a small star every smaller one and the node itself. Done in turn until nothing
changes, every node is tied to the smallest of its component; that takes O(log^2 n) turns at most, and no number of turns is set. Nodes are row
references: what is shuffled is two bigints an edge. Which of them is smallest decides nothing, a cluster is named after its smallest doc_id.
"""

import os
from itertools import count
from typing import TYPE_CHECKING

import polars as pl

from curate.components import COMPONENTS, Edges, components
from curate.corpus import Corpus

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

DRIVER_EDGES = 20_000_000
"""Edges up to which `components` finds clusters on the driver, when there is a Spark session. 5M random edges took it 12 CPU seconds and 1.6 GB, the edges
themselves among them: so this many stay under a minute and 7 GB. Above it the driver still holds the edges (about 120 bytes each) and what is found."""

NEAREST = "named_struct('far', coalesce(-jaccard, 2D), 'neighbour', neighbour)"


def connected(corpus: Corpus, edges: Edges, limit: int | None = None) -> pl.DataFrame:
    """Return what `components` does, found by Spark when there is a session and more than `limit` edges (None: DRIVER_EDGES)."""
    if corpus.spark is None or edges.height <= (DRIVER_EDGES if limit is None else limit):
        return components(edges)
    spark, path = corpus.spark, corpus.scratch("joined.parquet")
    edges.write_parquet(path, row_group_size=1 << 18)
    given = spark.read.parquet(path)
    stars = trees(spark, given.select("a", "b"), corpus.scratch("stars"))
    both = given.selectExpr("a AS ref", "a_id AS doc_id", "b_id AS neighbour", "jaccard").unionAll(given.selectExpr("b", "b_id", "a_id", "jaccard"))
    nodes = both.groupBy("ref").agg(_expr("min(doc_id) AS doc_id"), _expr(f"min({NEAREST}) AS nearest"))
    rooted = nodes.join(stars.selectExpr("v AS ref", "u AS root"), on="ref", how="left").selectExpr("*", "coalesce(root, ref) AS component")
    clusters = rooted.groupBy("component").agg(_expr("min(doc_id) AS cluster"), _expr("count(1) AS size"))
    told = rooted.join(clusters, on="component").selectExpr(
        "ref", "doc_id", "cluster", "size", "nearest.neighbour", "CASE WHEN nearest.far = 2D THEN NULL ELSE -nearest.far END AS jaccard"
    )
    out = corpus.scratch("components.spark")
    told.write.mode("overwrite").parquet(out)
    parts = sorted(os.path.join(out, part) for part in os.listdir(out) if part.endswith(".parquet"))
    return pl.concat([pl.DataFrame(schema=COMPONENTS), *(pl.read_parquet(part, glob=False) for part in parts)]).sort("ref")


def labels(corpus: Corpus, pairs: Edges, edges: Edges) -> pl.DataFrame:
    """Return ref and label of the documents in `pairs`: the same label for those that `edges` connect."""
    ends = pl.concat([pairs.select(ref=end) for end in ("a", "b")]).unique().sort("ref")
    joined = ends.join(connected(corpus, edges).select("ref", "cluster"), on="ref", how="left", maintain_order="left")
    return joined.select("ref", label=pl.coalesce(-pl.col("cluster").rank("dense").cast(pl.Int64), "ref"))


def trees(spark: "SparkSession", edges: "DataFrame", folder: str) -> "DataFrame":
    """Return v, u for each node v that is not the smallest of its component, u: what edges, two columns of bigints, come to. Turns lie beside `folder`."""
    u, v = edges.columns
    plain = edges.selectExpr(f"greatest({u}, {v}) AS v", f"least({u}, {v}) AS u").filter("v <> u").distinct()
    held, before = _held(spark, plain, f"{folder}-0")
    for turn in count(1):
        held, now = _held(spark, _small(_large(held)), f"{folder}-{turn % 2 + 1}")
        if now == before:
            break
        before = now
    return held


def _large(edges: "DataFrame") -> "DataFrame":
    """Tie each larger neighbour of a node to the smallest of all its neighbours and itself."""
    ways = edges.unionAll(edges.selectExpr("u AS v", "v AS u"))  # v has the neighbour u
    least = ways.groupBy("v").agg(_expr("least(min(u), v) AS m"))
    return ways.filter("u > v").join(least, on="v").selectExpr("u AS v", "m AS u").distinct()


def _small(edges: "DataFrame") -> "DataFrame":
    """Tie each smaller neighbour of a node, and the node itself, to the smallest of them."""
    least = edges.groupBy("v").agg(_expr("min(u) AS m"))
    tied = edges.join(least, on="v").filter("u <> m").selectExpr("u AS v", "m AS u")
    return tied.unionAll(least.selectExpr("v", "m AS u")).distinct()


def _held(spark: "SparkSession", edges: "DataFrame", path: str) -> tuple["DataFrame", tuple[int, int]]:
    """Return edges read back from files, so that the plan of the next turn starts here, and what tells them from others: their number and their
    hashes' exclusive or."""
    edges.write.mode("overwrite").parquet(path)
    held = spark.read.schema("v bigint, u bigint").parquet(path)
    row = held.selectExpr("count(1)", "coalesce(bit_xor(xxhash64(v, u)), 0L)").first()
    assert row is not None, "an aggregate has a row"
    return held, (int(row[0]), int(row[1]))


def _expr(text: str) -> "Column":
    from catalog.spark import F

    return F.expr(text)
