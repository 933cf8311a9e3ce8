"""Groups that share a band, where an anchor turned out to be unlike some of its own: who else is to be compared there.

A star of candidates compares each member with one anchor. Members that are like each other but not like the anchor would be compared with
nobody, so a group that comparing left in several pieces is looked at again. With at most WHOLE members every pair over two pieces is compared,
hence its pieces are those of brute force. In a larger one the smallest document of a piece in which no anchor was yet is compared with all that
are not of its piece, at most ROUNDS times, or 200,000 pages of one template would be compared with each other. There alone brute force
may join more: two pieces by a pair of which neither is an anchor. In twelve families of up to 200 pages, each with one word changed after
the other, it never did, with WHOLE at 0 either: most pairs share several bands, and not the same group in each.
"""

from collections.abc import Sequence

import numba
import numpy as np
import polars as pl

from curate.components import Edges, Ints
from curate.corpus import Corpus
from curate.sketches import columns
from curate.stars import Hashes, Mask, edges_of, fold

WHOLE = 32
"""Members of a group that is compared in full: at most 16 comparisons a document and band."""

ROUNDS = 3
"""How many further anchors a larger group has."""

SPENT = pl.Schema({"g": pl.Int32, "ref": pl.Int64})
"""Who was an anchor in which band, beside the smallest of each group."""


def unlike(
    corpus: Corpus, tables: Sequence[str], keys: Sequence[Sequence[str]], labels: pl.DataFrame, spent: pl.DataFrame, first: bool
) -> tuple[Edges, pl.DataFrame]:
    """Return pairs to compare, without jaccard, and `spent` with the anchors that they are of.

    `labels` has ref and label of every document that shares a band with another; whose label is the same are joined already. Groups of at most WHOLE
    members are done when it is the `first` time.
    """
    if corpus.on_spark:
        from curate import by_spark

        return by_spark.unlike(corpus, tables, keys, labels, spent, first)
    told, ends = corpus.nodes, labels.sort("ref")
    alive = np.flatnonzero(np.isin(told.by_place, ends["ref"].to_numpy()))
    order = np.argsort(told.by_place[alive])
    label, number = np.empty(alive.size, np.int64), told.number[alive]
    label[order] = ends["label"].to_numpy()
    found, anchors = [np.zeros(0, np.uint64)], [spent]
    for g, group in enumerate(keys):
        values = columns(tables, group).with_columns(there=pl.Series(told.there))[alive]
        some = values.select(pl.all_horizontal(pl.all().exclude("there").is_not_null()) & pl.col("there")).to_series().to_numpy()
        parts = [values[name].fill_null(0).to_numpy().view(np.uint64) for name in group]
        key = fold(np.stack([*parts, *([told.scope[alive]] if told.scope is not None else [])]))
        at = np.flatnonzero(some)
        at = at[np.lexsort((number[at], key[at]))]
        was = np.isin(told.by_place[alive[at]], spent.filter(pl.col("g") == g)["ref"].to_numpy())
        one, other, chosen = _pairs(key[at], label[at], alive[at] >= told.own, was, first)
        ranked = number[at].astype(np.uint64)
        found.append(np.unique(ranked[one] << np.uint64(32) | ranked[other]))
        anchors.append(pl.DataFrame({"g": np.full(chosen.size, g, np.int32), "ref": told.by_place[alive[at[chosen]]]}, schema=SPENT))
    return edges_of(np.unique(np.concatenate(found)), told), pl.concat(anchors)


def _pairs(key: Hashes, label: Ints, frozen: Mask, was: Mask, first: bool) -> tuple[Ints, Ints, Ints]:
    """Return the places of pairs, the smaller first, and of anchors. Members stand by key, then by number; `was` says who was an anchor before."""
    counted = _walk(key, label, frozen, was, first, WHOLE, np.zeros((2, 0), np.int64), np.zeros(0, np.int64))
    pairs, chosen = np.empty((2, counted[0]), np.int64), np.empty(counted[1], np.int64)
    _walk(key, label, frozen, was, first, WHOLE, pairs, chosen)
    return pairs[0], pairs[1], chosen


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def _walk(key: Hashes, label: Ints, frozen: Mask, was: Mask, first: bool, whole: int, pairs: Ints, chosen: Ints) -> tuple[int, int]:
    """Count pairs and anchors, and write them where there is room."""
    count = anchors = start = 0
    while start < key.size:
        end, several = start + 1, False
        while end < key.size and key[end] == key[start]:
            several |= label[end] != label[start]
            end += 1
        begin = stop = start  # members start..stop - 1 are compared with those behind them
        if several and end - start <= whole:
            stop = end if first else start
        elif several:
            begin = _next(label, was, start, end)
            if begin < end:
                if anchors < chosen.size:
                    chosen[anchors] = begin
                anchors += 1
                stop = begin + 1
        for i in range(begin, stop):
            for j in range(i + 1 if end - start <= whole else start, end):
                if label[i] != label[j] and not (frozen[i] and frozen[j]):
                    if count < pairs.shape[1]:
                        pairs[0, count], pairs[1, count] = min(i, j), max(i, j)
                    count += 1
        start = end
    return count, anchors


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def _next(label: Ints, was: Mask, start: int, end: int) -> int:
    """Return the first member that is in no anchor's piece; `end` where there is none. The first of all was an anchor."""
    taken, count = np.empty(ROUNDS + 1, np.int64), 0
    for i in range(start, end):
        if i == start or was[i]:
            taken[count] = label[i]
            count += 1
    for i in range(start, end):
        for k in range(count):
            if taken[k] == label[i]:
                break
        else:
            return i
    return end
