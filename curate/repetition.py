"""Repetition as counts: lines, paragraphs and runs of words that occur again, over flat hashes.

Equality is equality of 64-bit hashes: at a million words in one text, one chance in 30 million of a false repeat.
The counting follows Gopher (Rae et al. 2021, table A1) as datatrove reads it: repeated runs of words are compared
without the spaces between them and are skipped as a whole, so that no character is counted twice.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from catalog.eight import GOLDEN, characters_in, eight, hash_run, next_newline, put_eight
from catalog.schema import mix64
from catalog.split import Bytes, Hashes, Offsets, Table, Words, characters, stripped
from curate.text.again import may_repeat, sieve_for

TOP = (2, 3, 4)  # runs of words of which the commonest counts
REPEATED = (5, 6, 7, 8, 9, 10)  # runs of words of which every repeat counts
BASE = 0xD6E8FEB86659FD93  # an odd number: the base of the polynomial hash of runs of words

SPARE = 16  # bytes by which a run of words is first told from others

Counts = npt.NDArray[np.int64]


def repeated_runs(words: Words) -> tuple[Counts, Counts]:
    """Return, a row a document, characters in the commonest run of TOP words (-1 where there is none) and in repeats of REPEATED words."""
    orders = np.array(TOP), np.array(REPEATED)
    runs: tuple[Counts, Counts] = _runs(words.data, words.documents, words.starts, words.ends, words.hashes, words.lengths, *orders)
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
def _runs(
    data: Bytes, documents: Offsets, starts: Offsets, ends: Offsets, hashes: Hashes, lengths: npt.NDArray[np.int32], tops: Counts, repeats: Counts
) -> tuple[Counts, Counts]:
    total, longest = documents.size - 1, longest_of(documents)
    top, again = np.zeros((total, tops.size), np.int64), np.zeros((total, repeats.size), np.int64)
    keys, places, sieve = np.empty(longest, np.uint64), np.empty(longest + 1, np.int64), np.empty(sieve_for(longest), np.uint8)
    sizes, chars = np.zeros(longest + 1, np.int64), np.zeros(longest + 1, np.int64)
    slots, seen = np.empty(1 << bits_for(longest), np.uint64), np.empty((1 << bits_for(longest), 2), np.int32)
    run, twice, chosen = np.empty(_widest(documents, starts, ends) + 2 * SPARE, np.uint8), np.empty(longest, np.uint8), np.empty(longest + 1, np.int64)
    for d in range(total):
        first, count = documents[d], documents[d + 1] - documents[d]
        _lay_out(data, starts[first : first + count], ends[first : first + count], run, sizes)
        for w in range(count):
            chars[w + 1] = chars[w] + lengths[first + w]
        found = -1
        for t in range(tops.size):
            top[d, t] = -1
            if count >= tops[t]:
                found = _narrowed(hashes[first : first + count], tops[t], found, keys, sieve, places)
                top[d, t], found = _commonest(keys[:found], places, tops[t], chars, slots, seen)
        if count >= repeats[0]:
            found = _openings(run, sizes, count, repeats[0], keys, sieve, places, chosen, twice)
            for r in range(repeats.size):
                again[d, r] = _repeats(run, count, repeats[r], places[:found], twice, sizes, chars, slots)
    return top, again


@numba.njit(cache=True, nogil=True)
def _widest(documents: Offsets, starts: Offsets, ends: Offsets) -> int:
    """Return the bytes of the words of the document that has most."""
    widest = 0
    for d in range(documents.size - 1):
        if documents[d + 1] > documents[d]:
            widest = max(widest, ends[documents[d + 1] - 1] - starts[documents[d]])
    return widest


@numba.njit(cache=True, nogil=True)
def _lay_out(data: Bytes, starts: Offsets, ends: Offsets, run: Bytes, sizes: Counts) -> None:
    """Write the bytes of words to `run`, end to end, and where each begins to `sizes`."""
    at = 0
    for w in range(starts.size):
        i, stop, to = starts[w], ends[w], at
        while i < stop and i + 8 <= data.size:               # too much is overwritten by the next word
            put_eight(run, to, eight(data, i))
            i, to = i + 8, to + 8
        while i < stop:
            run[to] = data[i]
            i, to = i + 1, to + 1
        at += stop - starts[w]
        sizes[w + 1] = at
    run[at : at + 2 * SPARE] = 0


@numba.njit(cache=True, nogil=True)
def _narrowed(hashes: Hashes, n: int, held: int, keys: Hashes, sieve: Bytes, places: Counts) -> int:
    """Write the places of runs of n words that may occur again, and their keys; return how many. Of `places` the first `held` may, -1: any."""
    if held < 0:
        for w in range(hashes.size - n + 1):
            keys[w] = _key(hashes, w, n)
        held = may_repeat(keys[: hashes.size - n + 1], sieve, places)
    while held and places[held - 1] + n > hashes.size:
        held -= 1
    for k in range(held):
        keys[k] = _key(hashes, places[k], n)
    return held


@numba.njit(cache=True, nogil=True)
def _key(hashes: Hashes, first: int, n: int) -> Any:
    h = hashes[first]
    for k in range(1, n):
        h = h * np.uint64(BASE) + hashes[first + k]
    return max(h, np.uint64(1))


@numba.njit(cache=True, nogil=True)
def _commonest(keys: Hashes, places: Counts, n: int, chars: Counts, slots: Hashes, seen: npt.NDArray[np.int32]) -> tuple[Any, int]:
    """Return occurrences times characters (spaces between words too) of the commonest run of n words, the earliest among equals.

    `keys` are those of the runs that may occur again, at `places`, of which those that do are left; the second number is how many.
    """
    bits = bits_for(keys.size)
    table, shift = slots[: 1 << bits], np.uint64(64 - bits)
    table[:] = 0
    most: Any = 1
    best: Any = 0
    for k in range(keys.size):
        slot = place(table, keys[k], shift)
        if table[slot] == 0:
            table[slot], seen[slot, 0], seen[slot, 1] = keys[k], 0, places[k]
        seen[slot, 0] += 1
        if seen[slot, 0] > most or (seen[slot, 0] == most > 1 and seen[slot, 1] < best):
            most, best = seen[slot, 0], seen[slot, 1]
    left = 0
    for k in range(keys.size):
        places[left] = places[k]
        left += seen[place(table, keys[k], shift), 0] > 1
    return most * (chars[best + n] - chars[best] + n - 1), left


@numba.njit(cache=True, nogil=True)
def _openings(run: Bytes, sizes: Counts, count: int, n: int, keys: Hashes, sieve: Bytes, places: Counts, chosen: Counts, twice: Bytes) -> int:
    """Write the places from which n words or more may have stood before; return how many.

    Runs of SPARE bytes are told by these (a bit of `twice`), shorter ones, whose bytes may be parted into other words, by 8, or not at all.
    What one sieve lets through goes through a second: nearly all that it leaves did stand before.
    """
    runs = count - n + 1
    twice[:runs] = 0
    for w in range(runs):
        keys[w] = eight(run, sizes[w]) * np.uint64(BASE) + eight(run, sizes[w] + 8)
    held = may_repeat(keys[:runs], sieve, places)
    for k in range(held):
        keys[k] = mix64(keys[places[k]])
    for k in range(may_repeat(keys[:held], sieve, chosen)):
        twice[places[chosen[k]]] = SPARE
    short = 0
    for w in range(runs):
        places[short] = w
        short += sizes[w + n] - sizes[w] < SPARE
    for k in range(short):
        keys[k] = eight(run, sizes[places[k]])
    for k in range(may_repeat(keys[:short], sieve, chosen)):
        twice[places[chosen[k]]] |= 8
    found = 0
    for w in range(runs):
        size = sizes[w + n] - sizes[w]
        places[found] = w
        found += twice[w] & SPARE > 0 or (size < SPARE and (twice[w] > 0 or size < 8))
    return found


@numba.njit(cache=True, nogil=True)
def _repeats(run: Bytes, count: int, n: int, places: Counts, twice: Bytes, sizes: Counts, chars: Counts, slots: Hashes) -> int:
    """Return the characters of the runs of n words that occurred before; after a repeat the count goes on behind it."""
    bits = bits_for(places.size)
    table, shift = slots[: 1 << bits], np.uint64(64 - bits)
    table[:] = 0
    repeated, behind = 0, 0
    for w in places:
        if w < behind or w + n > count or (sizes[w + n] - sizes[w] >= SPARE and not twice[w] & SPARE):
            continue
        key = hash_run(run, sizes[w], sizes[w + n])
        slot = place(table, key, shift)
        if table[slot] == key:
            repeated += chars[w + n] - chars[w]
            behind = w + n
        else:
            table[slot] = key
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
        out[d, 3], at, before = characters_in(data, texts[d], texts[d + 1]), next_newline(data, texts[d], texts[d + 1]), np.int64(-2)
        while at < texts[d + 1]:
            out[d, 0] += at == before + 1  # at most so many breaks
            at, before = next_newline(data, at + 1, texts[d + 1]), at
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
    i = next_newline(data, start, stop)
    while i < stop and data[i + 1] != 0x0A:
        i = next_newline(data, i + 1, stop)
    return i, characters_in(data, start, i), hash_run(data, start, i)
