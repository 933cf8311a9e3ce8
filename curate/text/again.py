"""What occurs again: keys that may are told from those that cannot by a small table, so that only they are looked up and counted.

Most runs of words in a text stand there once. A byte for each of eight times as many slots as there are keys says so of seven in eight of them
in two passes without a branch; a run of n + 1 words can occur again only where its first n do.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped, unused-ignore]
from numba.core import types
from numba.extending import intrinsic

from catalog.schema import mix64
from catalog.split import Bytes, Hashes

GOLDEN = 0x9E3779B97F4A7C15  # 2^64 divided by the golden ratio: spreads hashes over a table

Counts = npt.NDArray[np.int64]


@intrinsic
def eight(typingctx: Any, data: Any, at: Any) -> Any:
    """Return the eight bytes data[at:at + 8] as a number, which must all be there. For kernels alone."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.bitcast(builder.gep(array.data, [arguments[1]]), ir.IntType(64).as_pointer())
        return builder.load(place, align=1)

    return types.uint64(data, types.intp), emit


@numba.njit(cache=True, nogil=True)
def hash_run(data: Bytes, start: int, end: int) -> Any:
    """Return a hash of data[start:end] that is not 0, eight bytes at a time."""
    h, i = np.uint64(end - start), start
    while i + 8 <= end:
        h = mix64(h * np.uint64(GOLDEN) ^ eight(data, i))
        i += 8
    if i < end:
        h = mix64(h * np.uint64(GOLDEN) ^ (_few(data, i, end) if i + 8 > data.size else eight(data, i) << np.uint64(8 * (8 - (end - i)))))
    return max(h, np.uint64(1))


@numba.njit(cache=True, nogil=True)
def _few(data: Bytes, start: int, end: int) -> np.uint64:
    """Return fewer than eight bytes as `eight` has them, with nothing in front."""
    out = np.uint64(0)
    for i in range(start, end):
        out = out >> np.uint64(8) | np.uint64(data[i]) << np.uint64(56)
    return out


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
