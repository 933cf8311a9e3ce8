"""Repetition as counts: lines, paragraphs and runs of words that occur again, over flat hashes.

Equality is equality of 64-bit hashes: at a million words in one text, one chance in 30 million of a false repeat.
The counting follows Gopher (Rae et al. 2021, table A1) as datatrove reads it: repeated runs of words are compared
without the spaces between them and are skipped as a whole, so that no character is counted twice.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from catalog.schema import mix64
from catalog.split import Bytes, Hashes, Offsets, Table, Words, characters, stripped

TOP = (2, 3, 4)  # runs of words of which the commonest counts
REPEATED = (5, 6, 7, 8, 9, 10)  # runs of words of which every repeat counts
GOLDEN = 0x9E3779B97F4A7C15  # 2^64 divided by the golden ratio: spreads hashes over a table
BASE = 0xD6E8FEB86659FD93  # an odd number: the base of the polynomial hash of runs of bytes
POWERS = 4096  # bytes of a run of words up to which the power of BASE is looked up

Counts = npt.NDArray[np.int64]


def repeated_runs(words: Words) -> tuple[Counts, Counts]:
    """Return, a row a document, characters in the commonest run of TOP words (-1 where there is none) and in repeats of REPEATED words."""
    tables = np.array(TOP), np.array(REPEATED), _powers()
    runs: tuple[Counts, Counts] = _runs(words.data, words.documents, words.starts, words.ends, words.hashes, words.lengths, *tables)
    return runs


def repeated_lines(documents: Offsets, hashes: Hashes, lengths: Counts, counted: npt.NDArray[np.bool_]) -> Counts:
    """Return, a row a document: how many of its lines are counted, how many of them stood before, and these lines' characters."""
    counts: Counts = _repeated_lines(documents, hashes, lengths, counted)
    return counts


def paragraphs(data: Bytes, texts: Offsets) -> Counts:
    """Return, a row a document: its paragraphs, how many of them stood before, these paragraphs' characters, the text's characters.

    Paragraphs are what stands between runs of two or more newlines, once white space around the text is gone.
    """
    counts: Counts = _paragraphs(data, texts, characters()[0])
    return counts


def _powers() -> Hashes:
    return np.cumprod(np.array([1] + [BASE] * (POWERS - 1), np.uint64), dtype=np.uint64)


@numba.njit(cache=True, nogil=True)
def place(table: Hashes, key: np.uint64, shift: np.uint64) -> Any:
    """Return where a key stands in an open hash table (a power of two of slots, 0 = empty), or the free slot for it."""
    slot: Any = np.int64(key * np.uint64(GOLDEN) >> shift)
    while table[slot] != key and table[slot] != 0:
        slot = (slot + 1) & (table.size - 1)
    return slot


@numba.njit(cache=True, nogil=True)
def longest_of(offsets: Offsets) -> int:
    """Return the length of the longest of the pieces between n + 1 offsets."""
    longest = 0
    for d in range(offsets.size - 1):
        longest = max(longest, offsets[d + 1] - offsets[d])
    return longest


@numba.njit(cache=True, nogil=True)
def bits_for(count: int) -> int:
    """Return how many bits of slots hold a number of keys with at least half of the slots free."""
    bits = 4
    while 1 << bits < 2 * count:
        bits += 1
    return bits


@numba.njit(cache=True, nogil=True)
def _power(exponent: int, powers: Hashes) -> Any:
    if exponent < powers.size:
        return powers[exponent]
    result, square = np.uint64(1), np.uint64(BASE)
    while exponent:
        if exponent & 1:
            result *= square
        square *= square
        exponent >>= 1
    return result


@numba.njit(cache=True, nogil=True)
def _runs(
    data: Bytes, documents: Offsets, starts: Offsets, ends: Offsets, hashes: Hashes, lengths: npt.NDArray[np.int32],
    tops: Counts, repeats: Counts, powers: Hashes,
) -> tuple[Counts, Counts]:  # fmt: skip
    total, longest = documents.size - 1, longest_of(documents)
    top, again = np.zeros((total, tops.size), np.int64), np.zeros((total, repeats.size), np.int64)
    keys, prefix = np.empty(longest, np.uint64), np.empty(longest + 1, np.uint64)
    sizes, chars = np.zeros(longest + 1, np.int64), np.zeros(longest + 1, np.int64)
    slots, seen = np.empty(1 << bits_for(longest), np.uint64), np.empty((1 << bits_for(longest), 2), np.int32)
    for d in range(total):
        first, count = documents[d], documents[d + 1] - documents[d]
        h = np.uint64(0)
        for w in range(count):
            prefix[w] = h
            for i in range(starts[first + w], ends[first + w]):
                h = h * np.uint64(BASE) + np.uint64(data[i]) + np.uint64(1)
            sizes[w + 1] = sizes[w] + ends[first + w] - starts[first + w]
            chars[w + 1] = chars[w] + lengths[first + w]
            keys[w] = hashes[first + w]
        prefix[count] = h
        n = 1
        for t in range(tops.size):
            for _ in range(tops[t] - n):
                for w in range(count - n):
                    keys[w] = keys[w] * np.uint64(BASE) + hashes[first + w + n]
                n += 1
            top[d, t] = _commonest(keys[: count - n + 1], n, chars, slots, seen) if count >= n else -1
        for r in range(repeats.size):
            again[d, r] = _repeats(count, repeats[r], prefix, sizes, chars, slots, powers)
    return top, again


@numba.njit(cache=True, nogil=True)
def _commonest(keys: Hashes, n: int, chars: Counts, slots: Hashes, seen: npt.NDArray[np.int32]) -> Any:
    """Return occurrences times characters (spaces between words too) of the commonest run of n words, the earliest among equals."""
    bits = bits_for(keys.size)
    table, shift = slots[: 1 << bits], np.uint64(64 - bits)
    table[:] = 0
    most: Any = 0
    best: Any = 0
    for w in range(keys.size):
        key = max(keys[w], np.uint64(1))
        slot = place(table, key, shift)
        if table[slot] == 0:
            table[slot], seen[slot, 0], seen[slot, 1] = key, 0, w
        seen[slot, 0] += 1
        if seen[slot, 0] > most or (seen[slot, 0] == most and seen[slot, 1] < best):
            most, best = seen[slot, 0], seen[slot, 1]
    return most * (chars[best + n] - chars[best] + n - 1)


@numba.njit(cache=True, nogil=True)
def _repeats(count: int, n: int, prefix: Hashes, sizes: Counts, chars: Counts, slots: Hashes, powers: Hashes) -> int:
    """Return the characters of the runs of n words that occurred before; after a repeat the count goes on behind it."""
    if count < n:
        return 0
    bits = bits_for(count - n + 1)
    table, shift = slots[: 1 << bits], np.uint64(64 - bits)
    table[:] = 0
    repeated, w = 0, 0
    while w <= count - n:
        key = max(prefix[w + n] - prefix[w] * _power(sizes[w + n] - sizes[w], powers), np.uint64(1))
        slot = place(table, key, shift)
        if table[slot] == key:
            repeated += chars[w + n] - chars[w]
            w += n
        else:
            table[slot] = key
            w += 1
    return repeated


@numba.njit(cache=True, nogil=True)
def _repeated_lines(documents: Offsets, hashes: Hashes, lengths: Counts, counted: npt.NDArray[np.bool_]) -> Counts:
    out = np.zeros((documents.size - 1, 3), np.int64)
    longest = longest_of(documents)
    slots = np.empty(1 << bits_for(longest), np.uint64)
    for d in range(documents.size - 1):
        bits = bits_for(documents[d + 1] - documents[d])
        table, shift = slots[: 1 << bits], np.uint64(64 - bits)
        table[:] = 0
        for i in range(documents[d], documents[d + 1]):
            if not counted[i]:
                continue
            key = max(hashes[i], np.uint64(1))
            slot = place(table, key, shift)
            out[d, 0] += 1
            if table[slot] == key:
                out[d, 1] += 1
                out[d, 2] += lengths[i]
            table[slot] = key
    return out


@numba.njit(cache=True, nogil=True)
def _paragraphs(data: Bytes, texts: Offsets, table: Table) -> Counts:
    out, most = np.zeros((texts.size - 1, 4), np.int64), 0
    for d in range(texts.size - 1):
        newline = False
        for i in range(texts[d], texts[d + 1]):
            out[d, 3] += data[i] & 0xC0 != 0x80
            out[d, 0] += newline and data[i] == 0x0A  # at most so many breaks
            newline = data[i] == 0x0A
        most = max(most, out[d, 0])
    slots = np.empty(1 << bits_for(most + 1), np.uint64)
    for d in range(texts.size - 1):
        start, stop = stripped(data, texts[d], texts[d + 1], table)
        bits = bits_for(out[d, 0] + 1)
        seen, shift = slots[: 1 << bits], np.uint64(64 - bits)
        seen[:] = 0
        out[d, 0] = 0
        while True:
            end, length, h = _paragraph(data, start, stop)
            key = max(h, np.uint64(1))
            slot = place(seen, key, shift)
            out[d, 0] += 1
            if seen[slot] == key:
                out[d, 1] += 1
                out[d, 2] += length
            seen[slot] = key
            start = end
            if start >= stop:
                break
            while data[start] == 0x0A:
                start += 1
    return out


@numba.njit(cache=True, nogil=True)
def _paragraph(data: Bytes, start: int, stop: int) -> tuple[int, int, np.uint64]:
    """Return where a paragraph ends (at two newlines or at the end of a text that ends in none), its characters and its hash."""
    h, length, i = np.uint64(0xCBF29CE484222325), 0, start
    while i < stop and not (data[i] == 0x0A and data[i + 1] == 0x0A):
        h = (h ^ np.uint64(data[i])) * np.uint64(0x100000001B3)
        length += data[i] & 0xC0 != 0x80
        i += 1
    return i, length, mix64(h)
