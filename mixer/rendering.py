"""From rows of documents to arrays: segments say which tokens of which shard go where; the kernels fill in the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from mixer.lock import LENGTH, ROW, SHARD, START
from mixer.shards import Shard

IGNORED = -100
"""The label that no loss counts."""

Ints = npt.NDArray[np.int64]
Masks = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Segments:
    """Stretches of tokens, one a document in a row. All arrays int64 [segments].

    row: the row they go to; at: from which token of it; shard, document (row in the shard), start, length: where they are.
    """

    row: Ints
    at: Ints
    shard: Ints
    document: Ints
    start: Ints
    length: Ints

    def placed(self, rows: Ints) -> "Segments":
        """Return them with row i moved to rows[i]."""
        return Segments(rows[self.row], self.at, self.shard, self.document, self.start, self.length)

    @staticmethod
    def join(parts: Sequence["Segments"]) -> "Segments":
        if len(parts) == 1:
            return parts[0]
        return Segments(*(np.concatenate([getattr(part, name) for part in parts]) for name in Segments.__dataclass_fields__))


def spread(places: Ints, sides: int) -> Ints:
    """Return the rows of samples that have `sides` rows each: sample i has rows i x sides and on."""
    return (places[:, None] * sides + np.arange(sides)).ravel()


def cut(documents: Ints, order: Ints, ends: Ints, begins: Ints, size: int, limits: Ints | None = None) -> Segments:
    """Return rows of `size` tokens beginning at `begins` in the documents laid end to end in `order`.

    ends: where each document ends in that line, int64 [documents]. A row stops at its limit, where there is one.
    """
    stops = begins + size if limits is None else np.minimum(begins + size, limits)
    firsts, lasts = np.searchsorted(ends, begins, "right"), np.searchsorted(ends, stops, "left")
    return Segments(*_cut(documents, order, ends, begins, stops, firsts, lasts))


@numba.njit(cache=True, nogil=True)
def _cut(documents: Ints, order: Ints, ends: Ints, begins: Ints, stops: Ints, firsts: Ints, lasts: Ints) -> Any:
    total = np.sum(lasts - firsts + 1)
    row, at, shard = np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total, np.int64)
    document, start, length = np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total, np.int64)
    n = 0
    for r in range(begins.size):
        for i in range(firsts[r], lasts[r] + 1):
            own = documents[order[i]]
            opens = ends[i] - own[LENGTH]
            low, high = max(begins[r], opens), min(stops[r], ends[i])
            if high <= low:
                continue
            row[n], at[n], shard[n], document[n] = r, low - begins[r], own[SHARD], own[ROW]
            start[n], length[n] = own[START] + low - opens, high - low
            n += 1
    return row[:n], at[:n], shard[:n], document[:n], start[:n], length[:n]


def whole(documents: Ints, firsts: Ints, ends: Ints, *, apart: bool) -> Segments:
    """Return rows of whole documents: row i holds documents[firsts[i]:ends[i]], each in a row of its own if `apart`."""
    counts = ends - firsts
    row = np.repeat(np.arange(firsts.size), counts)
    inside = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    own = documents[np.repeat(firsts, counts) + inside]
    length = own[:, LENGTH]
    if apart:
        return Segments(np.arange(row.size), np.zeros(row.size, np.int64), own[:, SHARD], own[:, ROW], own[:, START], length)
    before = np.cumsum(length) - length
    at = before - np.repeat(before[np.cumsum(counts) - counts], counts)
    return Segments(row, at, own[:, SHARD], own[:, ROW], own[:, START], length)


def fill(room: Ints, masks: Masks, segments: Segments, shards: Sequence[Shard]) -> None:
    """Copy the segments' tokens and masks out of the shards, in place, shard by shard."""
    for i in np.unique(segments.shard):
        here = segments.shard == i
        places = (segments.row[here], segments.at[here], segments.start[here], segments.length[here])
        _copy(room, shards[i].tokens, *places)
        mask = shards[i].mask
        if mask is not None:
            _copy(masks, mask, *places)


@numba.njit(cache=True, nogil=True)
def _copy(to: npt.NDArray[Any], tokens: npt.NDArray[Any], rows: Ints, ats: Ints, starts: Ints, lengths: Ints) -> None:
    for s in range(rows.size):
        for i in range(lengths[s]):
            to[rows[s], ats[s] + i] = tokens[starts[s] + i]


def finish(room: Ints, masks: Masks, segments: Segments) -> tuple[Ints, Ints]:
    """Return labels and positions int64 [B, T] of rows of T + 1 tokens; padding counts from 0 as a document of its own."""
    labels, positions = np.full((room.shape[0], room.shape[1] - 1), IGNORED, np.int64), np.empty((room.shape[0], room.shape[1] - 1), np.int64)
    _finish(room, masks, segments.row, segments.at, segments.length, labels, positions)
    return labels, positions


@numba.njit(cache=True, nogil=True)
def _finish(room: Ints, masks: Masks, rows: Ints, ats: Ints, lengths: Ints, labels: Ints, positions: Ints) -> None:
    width = labels.shape[1]
    used = np.zeros(labels.shape[0], np.int64)
    for s in range(rows.size):
        row, at, end = rows[s], ats[s], ats[s] + lengths[s]
        used[row] = max(used[row], end)
        for t in range(at, min(end, width)):
            positions[row, t] = t - at
            if t + 1 < end and masks[row, t + 1]:
                labels[row, t] = room[row, t + 1]
    for row in range(labels.shape[0]):
        for t in range(used[row], width):
            positions[row, t] = t - used[row]
