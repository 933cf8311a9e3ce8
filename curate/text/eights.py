"""Questions about eight bytes of ASCII at a time, held in one number as `catalog.eight.eight` reads them: answers are the highest bit of each byte."""

from typing import Any

import numba
import numpy as np

from catalog.eight import eight
from catalog.split import Bytes

HIGHEST = np.uint64(0x8080808080808080)
ONES = np.uint64(0x0101010101010101)


@numba.njit(cache=True, nogil=True)
def is_plain(part: Any) -> Any:
    """Say whether all eight bytes are ASCII, a space or more, and no delete."""
    return not (part | (part - ONES * np.uint64(0x20)) | (part + ONES)) & HIGHEST


@numba.njit(cache=True, nogil=True)
def letters_of(part: Any) -> Any:
    """Return which of eight bytes, all of them ASCII, are letters."""
    small = part | ONES * np.uint64(0x20)
    return (small + ONES * np.uint64(0x80 - 0x61)) & ~(small + ONES * np.uint64(0x80 - 0x7B)) & HIGHEST


@numba.njit(cache=True, nogil=True)
def many(found: Any) -> Any:
    """Return how many of eight bytes have their highest bit set; the others' bits do not matter."""
    return np.int64(((found & HIGHEST) >> np.uint64(7)) * ONES >> np.uint64(56))


@numba.njit(cache=True, nogil=True)
def has_zero(part: Any) -> Any:
    """Say whether one of eight bytes is 0."""
    return (part - ONES) & ~part & HIGHEST != 0


@numba.njit(cache=True, nogil=True)
def unlike(part: Any, capital: int) -> Any:
    """Return eight bytes of which those are 0 that are a letter, given as the capital, in any case."""
    return (part ^ (ONES * np.uint64(capital))) & (ONES * np.uint64(0xDF))


@numba.njit(cache=True, nogil=True)
def zeros_of(part: Any) -> Any:
    """Return which of eight bytes, all of them ASCII, are 0."""
    return ~(part + (HIGHEST - ONES)) & HIGHEST


@numba.njit(cache=True, nogil=True)
def bits_of(found: Any) -> Any:
    """Return the highest bits of eight bytes, of which the others are 0, in one byte: the lowest is the first byte's."""
    return (found >> np.uint64(7)) * np.uint64(0x0102040810204080) >> np.uint64(56)


@numba.njit(cache=True, nogil=True)
def digits_of(part: Any) -> Any:
    """Return which of eight bytes, all of them ASCII, are digits."""
    return (part + ONES * np.uint64(0x80 - 0x30)) & ~(part + ONES * np.uint64(0x80 - 0x3A)) & HIGHEST


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
        others = (~letters_of(part & ~HIGHEST) | part) & HIGHEST
        if others:
            return at + many((others & (~others + np.uint64(1))) - np.uint64(1))
        at += 8
    return at
