"""Star edges: within a group of documents that share a key, each is joined to the one with the smallest doc_id.

n - 1 edges, not n(n - 1)/2, and the same ones however rows are spread over files and partitions. A group never reaches over a scope
(`within:`), and what is only compared with (`against:`) is not joined to its like.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.files import DataFile, read
from catalog.schema import hash_column, mix64
from catalog.spark import frame
from curate.components import EDGES, FILE, Edges, Ints, no_edges
from curate.corpus import Corpus
from curate.sketches import columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Nodes:
    """The documents of a corpus, numbered by doc_id (and place among equals): `refs` and `ids` by number, `number` by place in the files.

    By place stand `number`, `by_place` (row references), `scope` (a hash of what `within:` names) and `there` (who is compared at all); places from
    `own` on are of files that are only compared with.
    """

    refs: Ints
    ids: pl.Series
    number: Ints
    by_place: Ints
    scope: Hashes | None
    there: Mask
    own: int


def nodes(corpus: Corpus) -> Nodes:
    """Return the documents of a corpus that fits one machine: 60 bytes each."""
    named = ["doc_id", *([corpus.within] if corpus.within and "." not in corpus.within else [])]
    families = [corpus.within.partition(".")[0]] if corpus.within and "." in corpus.within else []
    frames = [read(file, named, families) for file in corpus.files]
    ids = pl.concat([f.select("doc_id") for f in frames]).to_series()
    refs = np.concatenate([np.arange(n * FILE, n * FILE + file.rows) for n, file in enumerate(corpus.files)] or [np.zeros(0, np.int64)])
    order = pl.DataFrame({"doc_id": ids, "place": np.arange(len(ids))}).sort("doc_id", "place")["place"].to_numpy()
    number = np.empty(len(ids), np.int64)
    number[order] = np.arange(len(ids))
    scope = hash_column(pl.concat([_scope(f, corpus.within) for f in frames])) if corpus.within else None
    there = np.concatenate([_stands(corpus, n, file) for n, file in enumerate(corpus.files)] or [np.zeros(0, np.bool_)])
    own = sum(file.rows for file in corpus.files[: corpus.own])
    return Nodes(refs[order], ids.gather(order), number, refs, scope, there, own)


def _scope(batch: pl.DataFrame, within: str) -> pl.Series:
    family, _, column = within.partition(".")
    found = batch[family].struct.field(column) if column else batch[within]
    return found.cast(pl.String).fill_null("").alias("scope")


def _stands(corpus: Corpus, place: int, file: DataFile) -> Mask:
    """Which rows of a file are compared: all of our own, of others those that their policy keeps."""
    verdict = corpus.verdict_of(place)
    if verdict is None:
        return np.ones(file.rows, np.bool_)
    kept: Mask = read(file, [], [verdict])[verdict].struct.field("kept").to_numpy()
    return kept


def stars(corpus: Corpus, tables: Sequence[str], keys: Iterable[Sequence[str]], *, without: pl.Series | None = None) -> Edges:
    """Return star edges (with no jaccard) among the documents that agree in all columns of one of `keys`, by the files' sketch `tables`.

    `without` are row references that are left out.
    """
    if corpus.on_spark:
        return _on_spark(corpus, tables, keys, without)
    told = corpus.nodes
    there = told.there if without is None else told.there & ~np.isin(told.by_place, without.to_numpy())
    found = [np.zeros(0, np.uint64)]
    for group in keys:
        keyed = columns(tables, group)
        alive = np.flatnonzero(there & keyed.select(pl.all_horizontal(pl.all().is_not_null())).to_series().to_numpy())
        parts = [keyed[name].fill_null(0).to_numpy().view(np.uint64)[alive] for name in group]
        key = _fold(np.stack([*parts, *([told.scope[alive]] if told.scope is not None else [])]))
        first, other = _pairs(key, np.argsort(key), told.number[alive], alive >= told.own)
        same = np.logical_and.reduce([part[first] == part[other] for part in parts])
        ends = told.number[alive].astype(np.uint64)
        found.append(np.unique(ends[first[same]] << np.uint64(32) | ends[other[same]]))
    return _edges(np.unique(np.concatenate(found)), told)


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def _fold(parts: Hashes) -> Hashes:
    """Return one key for several hashes of each document."""
    out: Hashes = parts[0].copy()
    for k in range(1, parts.shape[0]):
        for i in range(out.size):
            out[i] = mix64(out[i] * np.uint64(0x9E3779B97F4A7C15) + parts[k, i])
    return out


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def _pairs(key: Hashes, order: Ints, number: Ints, frozen: Mask) -> tuple[Ints, Ints]:
    """Return the places of each group's anchor and of its other members, groups being runs of equal keys in `order`."""
    firsts, others = np.empty(key.size, np.int64), np.empty(key.size, np.int64)
    count = start = 0
    while start < key.size:
        end, first = start + 1, order[start]
        while end < key.size and key[order[end]] == key[order[start]]:
            if number[order[end]] < number[first]:
                first = order[end]
            end += 1
        for i in range(start, end if end - start > 1 else start):
            other = order[i]
            if other != first and not (frozen[other] and frozen[first]):
                firsts[count], others[count] = first, other
                count += 1
        start = end
    return firsts[:count], others[:count]


def _edges(pairs: Hashes, told: Nodes) -> Edges:
    a, b = (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)
    return pl.DataFrame({"a": told.refs[a], "b": told.refs[b], "a_id": told.ids.gather(a), "b_id": told.ids.gather(b)}, schema=_SCHEMA)


_SCHEMA = {name: kind for name, kind in EDGES.items() if name != "jaccard"}


def _on_spark(corpus: Corpus, tables: Sequence[str], keys: Iterable[Sequence[str]], without: pl.Series | None) -> Edges:
    """The same by one shuffle of narrow rows. The edges come back through files: the driver's result size is no limit."""
    assert corpus.spark is not None
    groups = [list(group) for group in keys]
    names, wide = list(dict.fromkeys(name for group in groups for name in group)), max(map(len, groups))
    told = [", ".join([f"{n} AS g", *(f"{group[k]} AS k{k}" if k < len(group) else f"0L AS k{k}" for k in range(wide))]) for n, group in enumerate(groups)]
    rows = frame(corpus.spark, tables, ["doc_id", *names])
    scoped = _scoped(corpus, rows)
    if without is not None:
        path = corpus.scratch("without.parquet")
        pl.DataFrame({"ref": without}, schema={"ref": pl.Int64}).unique().write_parquet(path)
        scoped = scoped.join(corpus.spark.read.parquet(path), on="ref", how="left_anti")
    exploded = scoped.selectExpr("doc_id", "ref", "scope", f"inline(array({', '.join(f'struct({one})' for one in told)}))")
    by = ["g", "scope", *(f"k{k}" for k in range(wide))]
    present = exploded.filter(" AND ".join(f"k{k} IS NOT NULL" for k in range(wide)))
    first = f"min(named_struct('doc_id', doc_id, 'ref', ref)) OVER (PARTITION BY {', '.join(by)}) AS first"
    limit = corpus.own * FILE
    pairs = present.selectExpr("doc_id", "ref", first).filter(f"first.ref <> ref AND NOT (first.ref >= {limit}L AND ref >= {limit}L)")
    edges = pairs.selectExpr("first.ref AS a", "ref AS b", "first.doc_id AS a_id", "doc_id AS b_id").distinct()
    path = corpus.scratch(f"edges-{len(groups)}-{wide}.spark")
    edges.write.mode("overwrite").parquet(path)
    parts = sorted(os.path.join(path, name) for name in os.listdir(path) if name.endswith(".parquet"))
    found = pl.concat([no_edges().drop("jaccard"), *(pl.read_parquet(part, glob=False) for part in parts)])
    return found.sort("a_id", "b_id", "a", "b")


def _scoped(corpus: Corpus, rows: "DataFrame") -> "DataFrame":
    """Rows with their scope, without those of other files that their policy drops."""
    assert corpus.spark is not None
    if corpus.within:
        family, _, column = corpus.within.partition(".")
        paths = [os.path.join(file.root, file.annotation(family).path) for file in corpus.files] if column else list(corpus.files)
        found = frame(corpus.spark, paths, [family]).selectExpr("ref", f"coalesce(cast({corpus.within} AS string), '') AS scope")
        rows = rows.join(found, on="ref")
    else:
        rows = rows.selectExpr("*", "'' AS scope")
    for place, file in enumerate(corpus.files):
        verdict = corpus.verdict_of(place)
        if verdict is not None:
            dropped = np.flatnonzero(~_stands(corpus, place, file)) + place * FILE
            path = corpus.scratch(f"dropped-{place:06d}.parquet")
            pl.DataFrame({"ref": dropped}, schema={"ref": pl.Int64}).write_parquet(path)
            rows = rows.join(corpus.spark.read.parquet(path), on="ref", how="left_anti")
    return rows
