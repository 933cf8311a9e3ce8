"""Lines and paragraphs as they are compared: by their letters and numbers alone."""

import numba
import numpy as np
import numpy.typing as npt

from catalog.eight import characters_in
from catalog.lines import BLANK, Lines
from catalog.schema import mix64
from catalog.split import ALONE, DIGIT, KIND, LETTER, MARK, Bytes, Offsets, Small, Table, characters, decode

Ints = npt.NDArray[np.int64]
Units = tuple[Ints, Ints, Ints, Ints]


def units(lines: Lines, scopes: Ints, paragraphs: bool, digits: bool, min_words: int) -> Units:
    """Return document, first line, line behind the last, and key of each line, or paragraph, of `min_words` words or more.

    A paragraph is what stands between blank lines. Keys have 63 bits and are the same where letters and numbers are, in small letters, with
    every digit as 0 unless `digits` count, in documents of one scope; white space and signs are no part of it.
    """
    found: Units = _units(lines.data, lines.documents, lines.starts, lines.ends, lines.flags, scopes, paragraphs, digits, max(1, min_words), *characters())
    return found


@numba.njit(cache=True, nogil=True)
def _units(
    data: Bytes, documents: Offsets, starts: Offsets, ends: Offsets, flags: Bytes, scopes: Ints, paragraphs: bool, digits: bool, min_words: int,
    table: Table, small: Small,
) -> Units:  # fmt: skip
    owners, firsts = np.empty(starts.size, np.int64), np.empty(starts.size, np.int64)
    lasts, keys = np.empty(starts.size, np.int64), np.empty(starts.size, np.int64)
    made = 0
    for d in range(documents.size - 1):
        line = documents[d]
        while line < documents[d + 1]:
            first, count, h = line, 0, np.uint64(0xCBF29CE484222325)
            while line < documents[d + 1] and not flags[line] & BLANK:
                h, words = _taken(data, starts[line], ends[line], digits, h, table, small)
                count += words
                line += 1
                if not paragraphs:
                    break
            if count >= min_words:
                owners[made], firsts[made], lasts[made] = d, first, line
                keys[made] = np.int64(mix64(h ^ np.uint64(scopes[d])) >> np.uint64(1))
                made += 1
            if line == first:
                line += 1
    return owners[:made].copy(), firsts[:made].copy(), lasts[:made].copy(), keys[:made].copy()


@numba.njit(cache=True, nogil=True)
def _taken(data: Bytes, at: int, end: int, digits: bool, h: np.uint64, table: Table, small: Small) -> tuple[np.uint64, int]:
    """Go on hashing with the letters and numbers of data[at:end]; return the hash and how many words they are."""
    words, inside = 0, False
    while at < end:
        code, width = decode(data, at)
        entry = np.int64(table[code])
        kind = entry >> KIND & 7
        at += width
        if kind in (LETTER, ALONE) or (kind == MARK and inside):
            words += kind == ALONE or (kind == LETTER and not inside)
            inside = kind != ALONE
            letter = np.int64(0x30) if entry & DIGIT and not digits else np.int64(small[code])
            h = (h ^ np.uint64(letter)) * np.uint64(0x100000001B3)
        else:
            inside = False
    return h, words


@numba.njit(cache=True, nogil=True)
def in_characters(
    data: Bytes, texts: Offsets, documents: Offsets, starts: Offsets, flags: Bytes, owners: Ints, firsts: Ints, lasts: Ints, paragraphs: bool
) -> tuple[Ints, Ints, Ints]:
    """Return start and end in characters of units, in order, and the characters of each text. The line break at its end is part of a unit, and the
    blank lines behind a paragraph."""
    out_starts, out_ends, sizes = np.empty(owners.size, np.int64), np.empty(owners.size, np.int64), np.zeros(texts.size - 1, np.int64)
    owner = at = char = -1
    for i in range(owners.size):
        if owners[i] != owner:
            owner, at, char = owners[i], texts[owners[i]], 0
        char += characters_in(data, at, starts[firsts[i]])
        at = starts[firsts[i]]
        out_starts[i] = char
        last = lasts[i]
        while paragraphs and last < documents[owner + 1] and flags[last] & BLANK:
            last += 1
        end = starts[last] if last < documents[owner + 1] else texts[owner + 1]
        char += characters_in(data, at, end)
        at = end
        out_ends[i] = char
    for d in range(texts.size - 1):
        sizes[d] = characters_in(data, texts[d], texts[d + 1])
    return out_starts, out_ends, sizes
