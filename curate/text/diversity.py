"""How varied a text's words are: how many differ, how many occur once, their entropy, and MTLD."""

import numba
import numpy as np
import numpy.typing as npt

from catalog.split import Hashes, Offsets
from curate.repetition import bits_for, longest_of, place

STEADY = .72
"""The share of different words at which MTLD counts a stretch as read (McCarthy and Jarvis 2010)."""

Counts = npt.NDArray[np.int64]
Ratios = npt.NDArray[np.float64]


def diversity(documents: Offsets, lowers: Hashes) -> tuple[Counts, Ratios]:
    """Return, a row a document, how many words differ and how many occur once; and their entropy in nats and MTLD.

    MTLD is the mean length, in words, of the stretches in which the share of different words stays above STEADY, read once
    from each end; a text in which no word repeats counts as one stretch. Both are 0 without words.
    """
    found: tuple[Counts, Ratios] = _diversity(documents, lowers)
    return found


@numba.njit(cache=True, nogil=True)
def _diversity(documents: Offsets, lowers: Hashes) -> tuple[Counts, Ratios]:
    counts, ratios = np.zeros((documents.size - 1, 2), np.int64), np.zeros((documents.size - 1, 2))
    longest = longest_of(documents)
    slots, places = np.empty(1 << bits_for(longest), np.uint64), np.empty(1 << bits_for(longest), np.int64)
    kinds, uses, seen = np.empty(longest, np.int64), np.empty(longest, np.int64), np.empty(longest, np.int64)
    for d in range(documents.size - 1):
        first, count = documents[d], documents[d + 1] - documents[d]
        bits = bits_for(count)
        different = _number(lowers[first : first + count], slots[: 1 << bits], places[: 1 << bits], np.uint64(64 - bits), kinds, uses)
        counts[d, 0] = different
        for k in range(different):
            counts[d, 1] += uses[k] == 1
            ratios[d, 0] -= uses[k] / count * np.log(uses[k] / count)
        if count:
            ratios[d, 1] = (_stretch(kinds[:count], seen[:different]) + _stretch(kinds[:count][::-1], seen[:different])) / 2
    return counts, ratios


@numba.njit(cache=True, nogil=True)
def _number(lowers: Hashes, table: Hashes, places: Counts, shift: np.uint64, kinds: Counts, uses: Counts) -> int:
    """Give each word the number of its kind, in order of appearance; return how many kinds there are."""
    table[:] = 0
    different = 0
    for w in range(lowers.size):
        key = max(lowers[w], np.uint64(1))
        slot = place(table, key, shift)
        if table[slot] == 0:
            table[slot], places[slot], uses[different] = key, different, 0
            different += 1
        kinds[w] = places[slot]
        uses[kinds[w]] += 1
    return different


@numba.njit(cache=True, nogil=True)
def _stretch(kinds: Counts, seen: Counts) -> float:
    """Return MTLD read in one direction: words divided by stretches, the last counted by the part of the way that it went."""
    seen[:] = -1
    stretches, started, different = 0.0, 0, 0
    for w in range(kinds.size):
        different += seen[kinds[w]] < started
        seen[kinds[w]] = w
        if different <= STEADY * (w + 1 - started):
            stretches += 1
            started, different = w + 1, 0
    if started < kinds.size:
        stretches += (1 - different / (kinds.size - started)) / (1 - STEADY)
    return kinds.size / stretches if stretches > 0 else float(kinds.size)
