"""How much of a text its repeated runs of words cover, as DCLM counts it: no run is skipped, no word counts twice."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from catalog.split import Hashes, Offsets
from curate.repetition import BASE, REPEATED, TOP, bits_for, longest_of, place
from curate.text.again import may_repeat, sieve_for

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
    keys, places, chars = np.empty(longest, np.uint64), np.empty(longest + 1, np.int64), np.zeros(longest + 1, np.int64)
    slots, uses = np.empty(1 << bits_for(longest), np.uint64), np.empty(1 << bits_for(longest), np.int32)
    sieve = np.empty(sieve_for(longest), np.uint8)
    for d in range(total):
        first, count = documents[d], documents[d + 1] - documents[d]
        for w in range(count):
            keys[w] = hashes[first + w]
            chars[w + 1] = chars[w] + lengths[first + w]
        every[d] = chars[count]
        found = 0
        for n in range(LEAST, min(MOST, count) + 1):
            if n == LEAST:
                for w in range(count - 1):
                    keys[w] = keys[w] * np.uint64(BASE) + hashes[first + w + 1]
                found = may_repeat(keys[: count - 1], sieve, places)
                for k in range(found):
                    keys[k] = max(keys[places[k]], np.uint64(1))
            else:
                while found and places[found - 1] + n > count:
                    found -= 1
                for k in range(found):
                    keys[k] = max(keys[k] * np.uint64(BASE) + hashes[first + places[k] + n - 1], np.uint64(1))
            bits = bits_for(found)
            table, used, shift = slots[: 1 << bits], uses[: 1 << bits], np.uint64(64 - bits)
            most, found = _count(keys[:found], places, table, used, shift)
            if most == 1:
                out[d, n - LEAST] = 0
            elif n <= 4:
                out[d, n - LEAST] = most * _longest(keys[:found], places, table, used, shift, most, chars, n)
            else:
                out[d, n - LEAST] = _covered(places[:found], chars, n)
    return out, every


@numba.njit(cache=True, nogil=True)
def _count(keys: Hashes, places: Counts, table: Hashes, used: Uses, shift: np.uint64) -> tuple[Any, int]:
    """Fill the table with the runs and their occurrences; leave of keys and places those that occur again; return the most, and how many are left."""
    table[:] = 0
    used[:] = 0
    most: Any = 1
    for key in keys:
        slot = place(table, key, shift)
        table[slot] = key
        used[slot] += 1
        most = max(most, np.int64(used[slot]))
    left = 0
    for k in range(keys.size):
        key = keys[k]
        keys[left], places[left] = key, places[k]
        left += used[place(table, key, shift)] > 1
    return most, left


@numba.njit(cache=True, nogil=True)
def _longest(keys: Hashes, places: Counts, table: Hashes, used: Uses, shift: np.uint64, most: int, chars: Counts, n: int) -> Any:
    """Return the characters of the longest of the runs that occur `most` often."""
    longest: Any = np.int64(0)
    for k in range(keys.size):
        if used[place(table, keys[k], shift)] == most:
            longest = max(longest, chars[places[k] + n] - chars[places[k]])
    return longest


@numba.njit(cache=True, nogil=True)
def _covered(places: Counts, chars: Counts, n: int) -> Any:
    """Return the characters of the words that stand in a run that occurs more than once."""
    covered: Any = np.int64(0)
    upto: Any = np.int64(0)
    for w in places:
        covered += chars[w + n] - chars[max(w, upto)]
        upto = w + n
    return covered
