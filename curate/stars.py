"""Star edges: within a group of documents that share a key, each is joined to the one with the smallest doc_id.

n - 1 edges, not n(n - 1)/2, and the same ones however rows are spread over files and partitions. A group never reaches over a scope
(`within:`), and what is only compared with (`against:`) is not joined to its like.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.files import DataFile, read
from catalog.schema import hash_column, mix64
from curate.components import EDGES, FILE, Edges, Ints
from curate.corpus import Corpus
from curate.sketches import columns

Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]
BARE = {name: kind for name, kind in EDGES.items() if name != "jaccard"}


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
    ids = pl.concat([pl.DataFrame(schema={"doc_id": pl.String}), *(read(file, ["doc_id"]) for file in corpus.files)]).to_series()
    refs = np.concatenate([np.arange(n * FILE, n * FILE + file.rows) for n, file in enumerate(corpus.files)] or [np.zeros(0, np.int64)])
    order = pl.DataFrame({"doc_id": ids, "place": np.arange(len(ids))}).sort("doc_id", "place")["place"].to_numpy()
    number = np.empty(len(ids), np.int64)
    number[order] = np.arange(len(ids))
    scopes = [hashes for file in corpus.files if (hashes := scope(corpus, file)) is not None]
    there = np.concatenate([stands(corpus, n, file) for n, file in enumerate(corpus.files)] or [np.zeros(0, np.bool_)])
    own = sum(file.rows for file in corpus.files[: corpus.own])
    return Nodes(refs[order], ids.gather(order), number, refs, np.concatenate(scopes) if scopes else None, there, own)


def scope(corpus: Corpus, file: DataFile) -> Hashes | None:
    """A hash of what `within:` names, of each row of a file; None where nothing is named."""
    if not corpus.within:
        return None
    name, *inner = corpus.within.split(".")
    held = annotated(file, name)
    value = pl.col(name)
    for field in inner:
        value = value.struct.field(field)
    return hash_column(read(file, [] if held else [name], [name] if held else []).select(value.cast(pl.String).fill_null("")).to_series())


def annotated(file: DataFile, name: str) -> bool:
    """Whether a name is that of a family beside a file, and of none of its columns."""
    return any(annotation.family == name for annotation in file.annotations)


def stands(corpus: Corpus, place: int, file: DataFile) -> Mask:
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
        from curate import by_spark

        return by_spark.stars(corpus, tables, keys, without)
    told = corpus.nodes
    there = told.there if without is None else told.there & ~np.isin(told.by_place, without.to_numpy())
    found = [np.zeros(0, np.uint64)]
    for group in keys:
        keyed = columns(tables, group)
        alive = np.flatnonzero(there & keyed.select(pl.all_horizontal(pl.all().is_not_null())).to_series().to_numpy())
        parts = [keyed[name].fill_null(0).to_numpy().view(np.uint64)[alive] for name in group]
        key = fold(np.stack([*parts, *([told.scope[alive]] if told.scope is not None else [])]))
        first, other = _pairs(key, np.argsort(key), told.number[alive], alive >= told.own)
        same = np.logical_and.reduce([part[first] == part[other] for part in parts])
        ends = told.number[alive].astype(np.uint64)
        found.append(np.unique(ends[first[same]] << np.uint64(32) | ends[other[same]]))
    return edges_of(np.unique(np.concatenate(found)), told)


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def fold(parts: Hashes) -> Hashes:
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


def edges_of(pairs: Hashes, told: Nodes) -> Edges:
    """Return edges, with no jaccard, for pairs of numbers: number << 32 | larger number."""
    a, b = (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)
    return pl.DataFrame({"a": told.refs[a], "b": told.refs[b], "a_id": told.ids.gather(a), "b_id": told.ids.gather(b)}, schema=BARE)
