"""Lines and paragraphs as DCLM counts them: stripped, without the empty ones, and a repeated one counts with its first occurrence."""

import numba
import numpy as np
import numpy.typing as npt

from catalog.eight import characters_in, hash_run, next_newline
from catalog.split import Bytes, Hashes, Offsets, Table, characters, stripped
from curate.repetition import bits_for, place

COLUMNS = ("segments", "chars", "repeated", "repeated_chars", "bullets", "ellipses")

Counts = npt.NDArray[np.int64]


def segments(data: Bytes, texts: Offsets, newlines: int) -> Counts:
    """Return COLUMNS of what runs of exactly `newlines` newlines part (1: lines, 2: paragraphs), a row a document.

    segments: those with more than white space; chars: theirs; repeated: those that occur more than once, all of them;
    bullets: those that begin with ● • * or -; ellipses: those that end in ... or . . . or …
    """
    counts: Counts = _segments(data, texts, newlines, characters()[0])
    return counts


@numba.njit(cache=True, nogil=True)
def _segments(data: Bytes, texts: Offsets, newlines: int, table: Table) -> Counts:
    out = np.zeros((texts.size - 1, 6), np.int64)
    for d in range(texts.size - 1):
        most = _most(data, texts[d], texts[d + 1])
        keys, chars = np.empty(most, np.uint64), np.empty(most, np.int64)
        count, at, stop = 0, texts[d], texts[d + 1]
        while at <= stop:
            end = _segment_end(data, at, stop, newlines)
            first, last = stripped(data, at, end, table)
            if first < last:
                keys[count], chars[count] = _told(data, first, last)
                out[d, 4] += _bulleted(data, first)
                out[d, 5] += _trails(data, first, last)
                count += 1
            at = end + newlines
        out[d, 0], out[d, 1] = count, chars[:count].sum()
        out[d, 2], out[d, 3] = _repeated(keys[:count], chars[:count])
    return out


@numba.njit(cache=True, nogil=True)
def _most(data: Bytes, start: int, stop: int) -> int:
    most = 1
    for i in range(start, stop):
        most += data[i] == 0x0A
    return most


@numba.njit(cache=True, nogil=True)
def _segment_end(data: Bytes, at: int, stop: int, newlines: int) -> int:
    """Return where the next run of newlines begins, or the end of the text."""
    at = next_newline(data, at, stop)
    while at < stop and newlines > 1 and not (at + 1 < stop and data[at + 1] == 0x0A):
        at = next_newline(data, at + 1, stop)
    return at


@numba.njit(cache=True, nogil=True)
def _told(data: Bytes, start: int, end: int) -> tuple[np.uint64, int]:
    """Return a hash of data[start:end] that is not 0, and its characters."""
    return hash_run(data, start, end), characters_in(data, start, end)


@numba.njit(cache=True, nogil=True)
def _bulleted(data: Bytes, at: int) -> bool:
    if data[at] == 0xE2:
        return bool((data[at + 1] == 0x97 and data[at + 2] == 0x8F) or (data[at + 1] == 0x80 and data[at + 2] == 0xA2))
    return bool(data[at] == 0x2A or data[at] == 0x2D)


@numba.njit(cache=True, nogil=True)
def _trails(data: Bytes, start: int, end: int) -> bool:
    """Say whether a segment ends in ... or . . . or …"""
    if end - start >= 3 and data[end - 1] == 0x2E:
        if data[end - 2] == 0x2E:
            return bool(data[end - 3] == 0x2E)
        return bool(end - start >= 5 and data[end - 2] == 0x20 and data[end - 3] == 0x2E and data[end - 4] == 0x20 and data[end - 5] == 0x2E)
    return bool(end - start >= 3 and data[end - 3] == 0xE2 and data[end - 2] == 0x80 and data[end - 1] == 0xA6)


@numba.njit(cache=True, nogil=True)
def _repeated(keys: Hashes, chars: Counts) -> tuple[int, int]:
    """Return how many segments occur more than once, and their characters."""
    bits = bits_for(keys.size)
    slots, uses, shift = np.zeros(1 << bits, np.uint64), np.zeros(1 << bits, np.int64), np.uint64(64 - bits)
    for key in keys:
        slot = place(slots, key, shift)
        slots[slot] = key
        uses[slot] += 1
    repeated = size = 0
    for s in range(keys.size):
        if uses[place(slots, keys[s], shift)] > 1:
            repeated += 1
            size += chars[s]
    return repeated, size
