"""What stands between white space, `str.split()`: the words by which DCLM, NeMo Curator and data-juicer count.

The house's words (`catalog.split`) part "don't" and "end." in two; thresholds that were set on white-space words want these.
"""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.eight import HIGH, ONES, eight, ones
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
                    count += ones(~(spaces | np.uint64(0x7F * ONES)) & (spaces << np.uint64(8) | np.uint64(0 if inside else 0x80)))
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
    low = np.uint64(0x7F * ONES)
    space, newline = word ^ np.uint64(0x20 * ONES), word ^ np.uint64(0x0A * ONES)
    newlines = ~((newline & low) + low | newline | low)
    control = ~((word & np.uint64(0x60 * ONES)) + np.uint64(0x60 * ONES) | word) & np.uint64(HIGH)
    return (word & np.uint64(HIGH) | control & ~newlines) == 0, ~((space & low) + low | space | low) | newlines


@numba.njit(cache=True, nogil=True)
def _plain_word(data: Bytes, at: int, stop: int, table: Table) -> tuple[int, int, np.uint64]:
    """Return where a word of ASCII alone ends, read once, what any of its characters is, and its hash; 0 as the end for any other."""
    lower = np.uint64(0xCBF29CE484222325)
    some: Any = np.int64(0)
    i: Any = at
    while i < stop:
        byte = data[i]
        entry = np.int64(table[byte])
        if entry & WHITE or byte >= 0x80:
            break
        some |= entry
        lower = (lower ^ np.uint64(byte | (entry & UPPER) >> 2)) * np.uint64(0x100000001B3)
        i += 1
    if i < stop and data[i] >= 0x80:
        return 0, 0, lower
    return i, some, mix64(lower)


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
            end, some, lower = _plain_word(data, at, stop, table)
            if end:
                starts[w], ends[w], lengths[w], flags[w], lowers[w] = at, end, end - at, told | some & (ALPHA | UPPER), lower
                w, at = w + 1, end
                continue
            start, length = at, 0
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
