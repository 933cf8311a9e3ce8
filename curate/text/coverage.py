"""How much of a text its repeated runs of words cover, as DCLM counts it: no run is skipped, no word counts twice."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from catalog.split import Hashes, Offsets
from curate.repetition import BASE, REPEATED, TOP, bits_for, longest_of, place

Counts = npt.NDArray[np.int64]
Uses = npt.NDArray[np.int32]
LEAST, MOST = TOP[0], REPEATED[-1]


def coverage(documents: Offsets, hashes: Hashes, lengths: npt.NDArray[np.int64]) -> tuple[Counts, Counts]:
    """Return, a row a document, the characters of runs of 2 to 10 words that repeat (-1 where there are fewer words), and of all words.

    Of runs of TOP words the commonest counts, times its occurrences, the longest among equals; 0 where nothing repeats. Of runs
    of REPEATED words each word that stands in one that occurs twice or more counts once. Spaces do not count.
    """
    found: tuple[Counts, Counts] = _coverage(documents, hashes, lengths)
    return found


@numba.njit(cache=True, nogil=True)
def _coverage(documents: Offsets, hashes: Hashes, lengths: npt.NDArray[np.int64]) -> tuple[Counts, Counts]:
    total, longest = documents.size - 1, longest_of(documents)
    out, every = np.full((total, MOST - LEAST + 1), -1, np.int64), np.zeros(total, np.int64)
    keys, chars = np.empty(longest, np.uint64), np.zeros(longest + 1, np.int64)
    slots, uses = np.empty(1 << bits_for(longest), np.uint64), np.empty(1 << bits_for(longest), np.int32)
    for d in range(total):
        first, count = documents[d], documents[d + 1] - documents[d]
        for w in range(count):
            keys[w] = hashes[first + w]
            chars[w + 1] = chars[w] + lengths[first + w]
        every[d] = chars[count]
        for n in range(LEAST, min(MOST, count) + 1):
            runs = count - n + 1
            for w in range(runs):
                keys[w] = max(keys[w] * np.uint64(BASE) + hashes[first + w + n - 1], np.uint64(1))
            bits = bits_for(runs)
            table, used, shift = slots[: 1 << bits], uses[: 1 << bits], np.uint64(64 - bits)
            most = _count(keys[:runs], table, used, shift)
            if most == 1:
                out[d, n - LEAST] = 0
            elif n <= 4:
                out[d, n - LEAST] = most * _longest(keys[:runs], table, used, shift, most, chars, n)
            else:
                out[d, n - LEAST] = _covered(keys[:runs], table, used, shift, chars, n)
    return out, every


@numba.njit(cache=True, nogil=True)
def _count(keys: Hashes, table: Hashes, used: Uses, shift: np.uint64) -> Any:
    """Fill the table with the runs and their occurrences; return the most."""
    table[:] = 0
    used[:] = 0
    most: Any = 0
    for key in keys:
        slot = place(table, key, shift)
        table[slot] = key
        used[slot] += 1
        most = max(most, np.int64(used[slot]))
    return most


@numba.njit(cache=True, nogil=True)
def _longest(keys: Hashes, table: Hashes, used: Uses, shift: np.uint64, most: int, chars: Counts, n: int) -> Any:
    """Return the characters of the longest of the runs that occur `most` often."""
    longest: Any = np.int64(0)
    for w in range(keys.size):
        if used[place(table, keys[w], shift)] == most:
            longest = max(longest, chars[w + n] - chars[w])
    return longest


@numba.njit(cache=True, nogil=True)
def _covered(keys: Hashes, table: Hashes, used: Uses, shift: np.uint64, chars: Counts, n: int) -> Any:
    """Return the characters of the words that stand in a run that occurs more than once."""
    covered: Any = np.int64(0)
    upto: Any = np.int64(0)
    for w in range(keys.size):
        if used[place(table, keys[w], shift)] > 1:
            covered += chars[w + n] - chars[max(w, upto)]
            upto = w + n
    return covered
