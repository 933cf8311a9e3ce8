"""Bytes eight at a time, held in one number: what kernels ask of a stretch of UTF-8 without a branch for each byte.

An answer about each of the eight is the highest bit of its byte.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped, unused-ignore]
from numba.core import types
from numba.extending import intrinsic

from catalog.schema import mix64

Bytes = npt.NDArray[np.uint8]

GOLDEN = 0x9E3779B97F4A7C15  # 2^64 divided by the golden ratio: spreads hashes over a table
ONES = np.uint64(0x0101010101010101)
HIGH = np.uint64(0x8080808080808080)


@intrinsic
def eight(typingctx: Any, data: Any, at: Any) -> Any:
    """Return the eight bytes data[at:at + 8] as a number, which must all be there. For kernels alone."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.bitcast(builder.gep(array.data, [arguments[1]]), ir.IntType(64).as_pointer())
        return builder.load(place, align=1)

    return types.uint64(data, types.intp), emit


@intrinsic
def put_eight(typingctx: Any, data: Any, at: Any, value: Any) -> Any:
    """Write a number to the eight bytes data[at:at + 8], which must all be there. For kernels alone."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.bitcast(builder.gep(array.data, [arguments[1]]), ir.IntType(64).as_pointer())
        builder.store(arguments[2], place, align=1)
        return context.get_dummy_value()

    return types.void(data, types.intp, types.uint64), emit


@intrinsic
def low_zeros(typingctx: Any, value: Any) -> Any:
    """Return how many bits of a number that is not 0 are 0 below its lowest 1. For kernels alone."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), emit


@intrinsic
def ones(typingctx: Any, value: Any) -> Any:
    """Return how many bits of a number are 1. For kernels alone."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), emit


@numba.njit(cache=True, nogil=True)
def same(word: np.uint64, byte: int) -> Any:
    """Return the high bit of each of eight bytes that is `byte`; above the lowest of them a byte's bit may be set wrongly."""
    other = word ^ np.uint64(byte) * ONES
    return (other - ONES) & ~other & HIGH


@numba.njit(cache=True, nogil=True)
def next_newline(data: Bytes, at: int, stop: int) -> int:
    """Return where the first newline of data[at:stop] stands, or `stop`."""
    i: Any = at
    while i + 8 <= stop:
        found = same(eight(data, i), 0x0A)
        if found:
            first: int = i + (low_zeros(found) >> 3)
            return first
        i += 8
    while i < stop and data[i] != 0x0A:
        i += 1
    return int(i)


@numba.njit(cache=True, nogil=True)
def next_odd(data: Bytes, at: int, stop: int) -> int:
    """Return where the first byte of data[at:stop] stands that is a control character or no ASCII, at the last seven bytes at most."""
    i: Any = at
    while i + 8 <= stop:
        word = eight(data, i)
        found = ((word - np.uint64(0x20) * ONES) | word) & HIGH
        if found:
            first: int = i + (low_zeros(found) >> 3)
            return first
        i += 8
    return int(i)


@numba.njit(cache=True, nogil=True)
def characters_in(data: Bytes, start: int, end: int) -> int:
    """Return how many characters begin in data[start:end]."""
    behind: Any = np.int64(0)  # bytes that go on with a character
    i: Any = start
    while i + 8 <= end:
        word = eight(data, i)
        behind += ones(word & ~(word << np.uint64(1)) & HIGH)
        i += 8
    while i < end:
        behind += data[i] & 0xC0 == 0x80
        i += 1
    count: int = end - start - behind
    return count


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
def is_plain(part: Any) -> Any:
    """Say whether all eight bytes are ASCII, a space or more, and no delete."""
    return not (part | (part - ONES * np.uint64(0x20)) | (part + ONES)) & HIGH


@numba.njit(cache=True, nogil=True)
def letters_of(part: Any) -> Any:
    """Return which of eight bytes, all of them ASCII, are letters."""
    small = part | ONES * np.uint64(0x20)
    return (small + ONES * np.uint64(0x80 - 0x61)) & ~(small + ONES * np.uint64(0x80 - 0x7B)) & HIGH


@numba.njit(cache=True, nogil=True)
def many(found: Any) -> Any:
    """Return how many of eight bytes have their highest bit set; the others' bits do not matter."""
    return np.int64(((found & HIGH) >> np.uint64(7)) * ONES >> np.uint64(56))


@numba.njit(cache=True, nogil=True)
def has_zero(part: Any) -> Any:
    """Say whether one of eight bytes is 0."""
    return (part - ONES) & ~part & HIGH != 0


@numba.njit(cache=True, nogil=True)
def unlike(part: Any, capital: int) -> Any:
    """Return eight bytes of which those are 0 that are a letter, given as the capital, in any case."""
    return (part ^ (ONES * np.uint64(capital))) & (ONES * np.uint64(0xDF))


@numba.njit(cache=True, nogil=True)
def zeros_of(part: Any) -> Any:
    """Return which of eight bytes, all of them ASCII, are 0."""
    return ~(part + (HIGH - ONES)) & HIGH


@numba.njit(cache=True, nogil=True)
def bits_of(found: Any) -> Any:
    """Return the highest bits of eight bytes, of which the others are 0, in one byte: the lowest is the first byte's."""
    return (found >> np.uint64(7)) * np.uint64(0x0102040810204080) >> np.uint64(56)


@numba.njit(cache=True, nogil=True)
def digits_of(part: Any) -> Any:
    """Return which of eight bytes, all of them ASCII, are digits."""
    return (part + ONES * np.uint64(0x80 - 0x30)) & ~(part + ONES * np.uint64(0x80 - 0x3A)) & HIGH


@numba.njit(cache=True, nogil=True)
def plain_end(data: Bytes, at: Any, stop: int) -> Any:
    """Return a place in data[at:stop] before which all is plain, so that no line ends there; behind it, something else comes within eight bytes."""
    while at + 8 <= stop and is_plain(eight(data, at)):
        at += 8
    return at


@numba.njit(cache=True, nogil=True)
def letters_end(data: Bytes, at: Any, stop: int) -> Any:
    """Return a place in data[at:stop] before which all are ASCII letters: where these end, but for the last seven bytes, which are not looked at.

    Most words have so few letters that this finds the end without a loop, of which nobody could foretell how often it runs.
    """
    while at + 8 <= stop:
        part = eight(data, at)
        others = (~letters_of(part & ~HIGH) | part) & HIGH
        if others:
            return at + many((others & (~others + np.uint64(1))) - np.uint64(1))
        at += 8
    return at
