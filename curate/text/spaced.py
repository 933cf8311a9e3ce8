"""What stands between white space, `str.split()`: the words by which DCLM, NeMo Curator and data-juicer count.

The house's words (`catalog.split`) part "don't" and "end." in two; thresholds that were set on white-space words want these.
"""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.eight import HIGH, ONES, eight, low_zeros, ones
from catalog.schema import mix64, text_bytes
from catalog.split import ALPHA, UPPER, WHITE, Bytes, Hashes, Offsets, Small, Table, characters, decode, hash_word
from catalog.stage import once

CAPITAL = 2
"""The first character is a capital. The other flags are catalog.split's: ALPHA, UPPER."""


@dataclass(frozen=True)
class Spaced:
    """The white-space words of a batch of texts, flat: word w of document d stands at documents[d] <= w < documents[d + 1]."""

    data: Bytes
    texts: Offsets
    documents: Offsets
    starts: Offsets
    ends: Offsets
    lowers: Hashes  # catalog.schema.hash_bytes of the word in small letters
    lengths: npt.NDArray[np.int64]  # characters
    flags: Bytes


def spaced(batch: pl.DataFrame) -> Spaced:
    """Return the white-space words of a batch's `text`, split once for all the stages that see this very batch."""
    found: Spaced = once("spaced", batch, lambda: split_spaced(*text_bytes(batch["text"])))
    return found


def split_spaced(data: Bytes, texts: Offsets) -> Spaced:
    """Return the white-space words of the texts data[texts[d]:texts[d + 1]], which must be valid UTF-8."""
    table, small = characters()
    documents = _count(data, texts, table)
    return Spaced(data, texts, documents, *_split(data, texts, documents, table, small))


@numba.njit(cache=True, nogil=True)
def _count(data: Bytes, texts: Offsets, table: Table) -> Offsets:
    """Return n + 1 offsets of the documents' words."""
    documents = np.zeros(texts.size, np.int64)
    count = 0
    for d in range(texts.size - 1):
        at, inside = texts[d], False
        while at < texts[d + 1]:
            if at + 8 <= texts[d + 1]:
                simple, spaces = white_of(eight(data, at))
                if simple:
                    count += ones(~(spaces | np.uint64(0x7F) * ONES) & (spaces << np.uint64(8) | np.uint64(0 if inside else 0x80)))
                    inside = spaces >> np.uint64(56) == 0
                    at += 8
                    continue
            code, width = decode(data, at)
            white = table[code] & WHITE > 0
            count += not (white or inside)
            inside = not white
            at += width
        documents[d + 1] = count
    return documents


@numba.njit(cache=True, nogil=True)
def white_of(word: np.uint64) -> tuple[bool, np.uint64]:
    """Say whether eight bytes are ASCII without control characters but newlines; return the high bits of spaces and newlines."""
    low = np.uint64(0x7F) * ONES
    space, newline = word ^ np.uint64(0x20) * ONES, word ^ np.uint64(0x0A) * ONES
    newlines = ~((newline & low) + low | newline | low)
    control = ~((word & np.uint64(0x60) * ONES) + np.uint64(0x60) * ONES | word) & HIGH
    return (word & HIGH | control & ~newlines) == 0, ~((space & low) + low | space | low) | newlines


@numba.njit(cache=True, nogil=True)
def _plain_word(data: Bytes, at: int, stop: int) -> tuple[int, np.uint64, np.uint64, np.uint64]:
    """Return where a word of ASCII alone ends, the high bits of its letters and capitals, and its hash; 0 as the end for any other.

    Eight steps of the hash for each eight bytes, of which those behind the word are not taken: how long a word is no branch can foretell.
    """
    lower, letters, capitals = np.uint64(0xCBF29CE484222325), np.uint64(0), np.uint64(0)
    i: Any = at
    while i + 8 <= stop:
        word = eight(data, i)
        simple, spaces = white_of(word)
        if not simple:
            return 0, letters, capitals, lower
        size = np.int64(8) if spaces == 0 else low_zeros(spaces | np.uint64(1) << np.uint64(63)) >> 3
        inside = ~np.uint64(0) if spaces == 0 else (spaces & (~spaces + np.uint64(1))) - np.uint64(1)
        big = _between(word, 0x41, 0x5A) & inside
        capitals |= big
        word |= big >> np.uint64(2)
        letters |= _between(word, 0x61, 0x7A) & inside
        for k in range(8):
            after = (lower ^ (word & np.uint64(0xFF))) * np.uint64(0x100000001B3)
            lower = after if k < size else lower
            word >>= np.uint64(8)
        i += size
        if spaces:
            return i, letters, capitals, mix64(lower)
    return 0, letters, capitals, lower


@numba.njit(cache=True, nogil=True)
def _between(word: np.uint64, first: int, last: int) -> np.uint64:
    """Return the high bits of the bytes from `first` to `last` of eight that are ASCII."""
    from_ = word + np.uint64(0x80 - first) * ONES
    behind = word + np.uint64(0x7F - last) * ONES
    return from_ & ~behind & HIGH


@numba.njit(cache=True, nogil=True)
def _split(
    data: Bytes, texts: Offsets, documents: Offsets, table: Table, small: Small
) -> tuple[Offsets, Offsets, Hashes, npt.NDArray[np.int64], Bytes]:
    total = documents[-1]
    starts, ends, lengths = np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total, np.int64)
    lowers, flags = np.empty(total, np.uint64), np.empty(total, np.uint8)
    w = 0
    for d in range(texts.size - 1):
        at, stop = texts[d], texts[d + 1]
        while at < stop:
            code, width = decode(data, at)
            entry = np.int64(table[code])
            if entry & WHITE:
                at += width
                continue
            told = CAPITAL if entry & UPPER else 0
            end, letters, capitals, lower = _plain_word(data, at, stop)
            if end:
                told |= (ALPHA if letters else 0) | (UPPER if capitals else 0)
                starts[w], ends[w], lengths[w], flags[w], lowers[w] = at, end, end - at, told, lower
                w, at = w + 1, end
                continue
            start, length = at, 0
            some: Any = np.int64(0)
            while not entry & WHITE:
                some |= entry
                length += 1
                at += width
                if at == stop:
                    break
                code, width = decode(data, at)
                entry = np.int64(table[code])
            starts[w], ends[w], lengths[w], flags[w] = start, at, length, told | some & (ALPHA | UPPER)
            lowers[w] = hash_word(data, start, at, some & UPPER, small)[1]
            w += 1
    return starts, ends, lowers, lengths, flags
