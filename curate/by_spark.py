"""Groups of documents that share a key, found by Spark: curate/stars.py and curate/unlike.py for more documents than one machine holds.

What is known of a group, its smallest document and how many it has, is aggregated before rows are shuffled, put down in files, and joined back to
them. So a key that very many pages share is no one task's burden: adaptive execution parts a large partition of such a join, which it cannot do for
a window. Only ids and hashes are shuffled. What is found comes back through files: the driver's result size is no limit.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from catalog.spark import frame
from curate import unlike as limits
from curate.components import FILE, Edges
from curate.corpus import Corpus
from curate.stars import BARE, annotated, stands

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ME = "named_struct('doc_id', doc_id, 'ref', ref)"
PAIR = ("a.ref AS a", "b.ref AS b", "a.doc_id AS a_id", "b.doc_id AS b_id")


def stars(corpus: Corpus, tables: Sequence[str], keys: Iterable[Sequence[str]], without: pl.Series | None) -> Edges:
    """Return what `curate.stars.stars` does."""
    from catalog.spark import F

    groups = [list(group) for group in keys]
    present, by = keyed(corpus, tables, groups)
    if without is not None:
        path = corpus.scratch("without.parquet")
        pl.DataFrame({"ref": without}, schema={"ref": pl.Int64}).unique().write_parquet(path)
        present = present.join(_read(corpus, path), on="ref", how="left_anti")
    several = present.groupBy(*by).agg(F.expr(f"min({ME})").alias("first"), F.expr("count(1)").alias("n")).filter("n > 1")
    limit = corpus.own * FILE
    pairs = present.join(_put_down(corpus, several, "several"), on=by).filter(f"first.ref <> ref AND NOT (first.ref >= {limit}L AND ref >= {limit}L)")
    edges = pairs.selectExpr("first.ref AS a", "ref AS b", "first.doc_id AS a_id", "doc_id AS b_id").distinct()
    return collected(corpus, edges, f"edges-{len(groups)}-{len(by)}", BARE).sort("a_id", "b_id", "a", "b")


def unlike(
    corpus: Corpus, tables: Sequence[str], keys: Sequence[Sequence[str]], labels: pl.DataFrame, spent: pl.DataFrame, first: bool
) -> tuple[Edges, pl.DataFrame]:
    """Return what `curate.unlike.unlike` does."""
    from catalog.spark import F

    for name, told in (("labels", labels.select("ref", "label")), ("spent", spent.with_columns(was=True))):
        told.write_parquet(corpus.scratch(f"{name}.parquet"))
    present, by = keyed(corpus, tables, [list(group) for group in keys])
    labelled = present.join(_read(corpus, corpus.scratch("labels.parquet")), on="ref")
    rows = labelled.join(_read(corpus, corpus.scratch("spent.parquet")), on=["g", "ref"], how="left")
    least = "min(named_struct('doc_id', doc_id, 'ref', ref, 'label', label))"
    told_of = {"n": "count(1)", "lead": f"{least}.label", "several": "min(label) < max(label)", "taken": "collect_set(CASE WHEN was THEN label END)"}
    groups = rows.groupBy(*by).agg(*(F.expr(text).alias(name) for name, text in told_of.items())).filter("several")
    members = rows.join(_put_down(corpus, groups, "groups"), on=by)
    limit = corpus.own * FILE
    apart = f"a.label <> b.label AND NOT (a.ref >= {limit}L AND b.ref >= {limit}L)"
    large = members.filter(f"n > {limits.WHOLE}")
    anchors = large.filter("label <> lead AND NOT array_contains(taken, label)").groupBy(*by).agg(F.expr(least).alias("first")).selectExpr(*by, "first.*")
    ordered = "struct(a.doc_id, a.ref) < struct(b.doc_id, b.ref)"
    told_of_anchors = anchors.alias("a").join(large.alias("b"), on=by).filter(apart)
    pairs = told_of_anchors.filter(ordered).selectExpr(*PAIR).unionAll(told_of_anchors.filter(f"NOT {ordered}").selectExpr(*_swapped()))
    if first:
        small = members.filter(f"n <= {limits.WHOLE}").select(*by, "doc_id", "ref", "label")
        pairs = pairs.unionAll(small.alias("a").join(small.alias("b"), on=by).filter(f"{apart} AND {ordered}").selectExpr(*PAIR))
    found = collected(corpus, pairs.distinct(), f"unlike-{spent.height}", BARE)
    chosen = collected(corpus, anchors.select("g", "ref"), f"anchors-{spent.height}", limits.SPENT)
    return found.sort("a_id", "b_id", "a", "b"), pl.concat([spent, chosen])


def _swapped() -> list[str]:
    return ["b.ref AS a", "a.ref AS b", "b.doc_id AS a_id", "a.doc_id AS b_id"]


def keyed(corpus: Corpus, tables: Sequence[str], groups: Sequence[Sequence[str]]) -> tuple["DataFrame", list[str]]:
    """Return a row for each document and each of its keys, and the columns that say which group the row is in. What is compared with nothing is left out."""
    assert corpus.spark is not None
    names, wide = list(dict.fromkeys(name for group in groups for name in group)), max(map(len, groups))
    told = [", ".join([f"{n} AS g", *(f"{group[k]} AS k{k}" if k < len(group) else f"0L AS k{k}" for k in range(wide))]) for n, group in enumerate(groups)]
    scoped = _scoped(corpus, frame(corpus.spark, tables, ["doc_id", *names]))
    exploded = scoped.selectExpr("doc_id", "ref", "scope", f"inline(array({', '.join(f'struct({one})' for one in told)}))")
    return exploded.filter(" AND ".join(f"k{k} IS NOT NULL" for k in range(wide))), ["g", "scope", *(f"k{k}" for k in range(wide))]


def collected(corpus: Corpus, rows: "DataFrame", name: str, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Return rows that Spark writes to passing files."""
    path = corpus.scratch(f"{name}.spark")
    rows.write.mode("overwrite").parquet(path)
    parts = sorted(os.path.join(path, part) for part in os.listdir(path) if part.endswith(".parquet"))
    return pl.concat([pl.DataFrame(schema=schema), *(pl.read_parquet(part, glob=False).cast(pl.Schema(schema)) for part in parts)])


def _put_down(corpus: Corpus, rows: "DataFrame", name: str) -> "DataFrame":
    """Return rows read back from files: adaptive execution parts no join whose side is an aggregate still to come."""
    path = corpus.scratch(f"{name}.spark")
    rows.write.mode("overwrite").parquet(path)
    assert corpus.spark is not None
    return corpus.spark.read.schema(rows.schema).parquet(path)


def _read(corpus: Corpus, path: str) -> "DataFrame":
    assert corpus.spark is not None
    return corpus.spark.read.parquet(path)


def _scoped(corpus: Corpus, rows: "DataFrame") -> "DataFrame":
    """Rows with their scope, without those of other files that their policy drops."""
    assert corpus.spark is not None
    if corpus.within:
        name = corpus.within.partition(".")[0]
        paths = [os.path.join(file.root, file.annotation(name).path) if annotated(file, name) else file for file in corpus.files]
        found = frame(corpus.spark, paths, [name]).selectExpr("ref", f"coalesce(cast({corpus.within} AS string), '') AS scope")
        rows = rows.join(found, on="ref")
    else:
        rows = rows.selectExpr("*", "'' AS scope")
    for place, file in enumerate(corpus.files):
        verdict = corpus.verdict_of(place)
        if verdict is not None:
            dropped = np.flatnonzero(~stands(corpus, place, file)) + place * FILE
            path = corpus.scratch(f"dropped-{place:06d}.parquet")
            pl.DataFrame({"ref": dropped}, schema={"ref": pl.Int64}).write_parquet(path)
            rows = rows.join(_read(corpus, path), on="ref", how="left_anti")
    return rows
