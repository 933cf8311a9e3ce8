"""What occurs again: keys that may are told from those that cannot by a small table, so that only they are looked up and counted.

Most runs of words in a text stand there once. A byte for each of eight times as many slots as there are keys says so of seven in eight of them
in two passes without a branch; a run of n + 1 words can occur again only where its first n do.
"""

import numba
import numpy as np
import numpy.typing as npt

from catalog.eight import GOLDEN
from catalog.split import Bytes, Hashes

Counts = npt.NDArray[np.int64]


@numba.njit(cache=True, nogil=True)
def sieve_for(count: int) -> int:
    """Return how many bytes `may_repeat` wants for so many keys."""
    size = 1024
    while size < 8 * count:
        size *= 2
    return size


@numba.njit(cache=True, nogil=True)
def may_repeat(keys: Hashes, sieve: Bytes, out: Counts) -> int:
    """Write the places of all keys that occur more than once, and of a few others, to `out` in order; return how many."""
    size, bits = sieve_for(keys.size), 0
    while 1 << bits < size:
        bits += 1
    shift, seen = np.uint64(64 - bits), sieve[:size]
    seen[:] = 0
    for key in keys:
        slot = np.int64(key * np.uint64(GOLDEN) >> shift)
        seen[slot] += seen[slot] < 2
    found = 0
    for w in range(keys.size):
        out[found] = w
        found += seen[np.int64(keys[w] * np.uint64(GOLDEN) >> shift)] > 1
    return found
