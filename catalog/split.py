"""The one split of texts into words and lines that every stage of a part shares.

The splitter is named and versioned (SPLITTER): a change of what a word is gives every family that uses it a new address.
A word of `words-1` follows the word boundaries of Unicode (UAX #29), simplified:

- a run of letters, numbers, connectors such as `_`, and the marks on them. A middle dot between two letters stays
  inside (paral·lel), so does a full stop (example.com) unless a small letter stands before it and a capital after, the
  full stop that closes an abbreviation (U.S., e.g.), a full stop or comma between two digits (3.14, 1,000), and a hyphen
  next to a digit (COVID-19, 2019-12-31); other hyphens split. An apostrophe between two letters begins a word
  (don 't, John 's, l 'été). This is near to the splits on which the thresholds of Gopher and FineWeb were set.
- each Han, Kana, Thai, Lao, Khmer or Myanmar letter with its marks: those scripts are written without spaces;
- a run of one and the same other sign (`...`, `---`, `#`), with its marks.

White space, control characters and invisible format characters part words and belong to none.
Character classes come from Python's `unicodedata`; characters newer than its tables are signs.
"""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from catalog.eight import next_odd
from catalog.schema import mix64
from catalog.signs import ENDS, INNER_FORMATS, PUNCTUATION, UNSPACED

SPLITTER = "words-1"

# What a word is told by (Words.flags); bit by bit.
ALPHA = 1  # has a letter
DIGIT = 2  # has a decimal digit
SYMBOL = 4  # has nothing but punctuation, as datatrove counts it (PUNCTUATION in catalog/signs.py)
PUNCT = 8  # has nothing but characters of Unicode category P
TERMINAL = 16  # is one character that ends a sentence
HASH = 32  # has a `#`
ELLIPSIS = 64  # has `...` or `…`
UPPER = 128  # has a capital

# What a character is: three bits of kind, the rest flags. ALPHA, DIGIT, SYMBOL, PUNCT, TERMINAL and UPPER keep their places above.
SPACE, LETTER, ALONE, SIGN, MARK = 0, 1, 2, 3, 4
KIND = 8  # the kind stands from this bit on
WHITE = 1 << 11  # str.isspace()
BEGINS = 1 << 14  # an apostrophe
JOINS_LETTERS = 1 << 12
JOINS_DIGITS = 1 << 13
JOINS_ONE = 1 << 15  # a digit on one side, letter or digit on the other
JOINS = JOINS_LETTERS | JOINS_DIGITS | JOINS_ONE

APOSTROPHES = "'’"
LETTER_JOINERS = "·."
DIGIT_JOINERS = ".,٫٬"
HYPHENS = "-‐‑"
JOINERS = {BEGINS: APOSTROPHES, JOINS_LETTERS: LETTER_JOINERS, JOINS_DIGITS: DIGIT_JOINERS, JOINS_ONE: HYPHENS}

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Table = npt.NDArray[np.uint16]
Small = npt.NDArray[np.uint32]
Columns = tuple[Offsets, Offsets, Hashes, Hashes, npt.NDArray[np.int32], Bytes]
COLUMNS = (np.int64, np.int64, np.uint64, np.uint64, np.int32, np.uint8)


@dataclass(frozen=True)
class Words:
    """The words of a batch of texts, flat: word w of document d stands at documents[d] <= w < documents[d + 1]."""

    data: Bytes  # the texts' UTF-8, end to end
    texts: Offsets  # n + 1 byte offsets of the texts in data
    documents: Offsets  # n + 1 offsets of the documents' words in the arrays below
    starts: Offsets  # byte offset in data of each word
    ends: Offsets
    hashes: Hashes  # catalog.schema.hash_bytes of the word as written
    lowers: Hashes  # the same of the word in small letters, character by character
    lengths: npt.NDArray[np.int32]  # characters
    flags: Bytes


@lru_cache(maxsize=1)
def characters() -> tuple[Table, Small]:
    """Return, for each of 0x110000 code points, what it is (kind and flags) and its small letter. Built once, in about .1 s."""
    table = np.full(0x110000, SIGN << KIND, np.uint16)
    small = np.arange(0x110000, dtype=np.uint32)
    codes = np.fromiter(chain(range(0xD800), range(0xE000, 0x20000), range(0xE0000, 0xE0200)), np.int64)
    names = np.array([unicodedata.category(chr(c)) for c in codes])
    group = names.astype("U1")
    _mark(table, codes[np.isin(group, ["L", "N"]) | (names == "Pc")], LETTER)
    _mark(table, codes[group == "M"], MARK)
    _mark(table, codes[np.isin(names, ["Cc", "Cf", "Zs", "Zl", "Zp"])], SPACE)
    _mark(table, np.array(INNER_FORMATS), MARK)
    table[codes[group == "L"]] |= ALPHA
    table[0x20000:0x323B0] = LETTER << KIND | ALPHA
    table[codes[names == "Nd"]] |= DIGIT
    table[codes[group == "P"]] |= PUNCT
    table[[c for c in range(0x3001) if chr(c).isspace()]] |= WHITE
    for first, last in UNSPACED:
        block = np.arange(first, last + 1)
        _mark(table, block[(table[block] & ALPHA) > 0], ALONE)
    for flag, ranges in ((TERMINAL | SYMBOL, ENDS), (SYMBOL, PUNCTUATION)):
        for first, last in ranges:
            table[first : last + 1] |= flag
    for flag, signs in JOINERS.items():
        table[[ord(c) for c in signs]] |= flag
    for code in codes[np.isin(names, ["Lu", "Lt"])]:
        small[code] = ord(chr(code).lower()[0])
        table[code] |= UPPER
    return table, small


def _mark(table: Table, codes: npt.NDArray[np.int64], kind: int) -> None:
    table[codes] = table[codes] & ~np.uint16(7 << KIND) | np.uint16(kind << KIND)


def split_words(data: Bytes, offsets: Offsets) -> Words:
    """Return the words of the texts data[offsets[d]:offsets[d + 1]], which must be valid UTF-8."""
    documents, done, room = np.zeros(offsets.size, np.int64), 0, data.size // 4 + 64
    out: Any = tuple(np.empty(room, dtype) for dtype in COLUMNS)
    while (done := _fill(data, offsets, documents, out, done, *characters())) < offsets.size - 1:
        room += room // 2  # outgrown: text full of signs, or of letters that stand alone
        out = tuple(np.concatenate([column, np.empty(room - column.size, column.dtype)]) for column in out)
    return Words(data, offsets, documents, *(column[: documents[-1]] for column in out))


@numba.njit(cache=True, nogil=True)
def decode(data: Bytes, at: int) -> tuple[int, int]:
    """Return the code point that starts at a byte, and its width in bytes."""
    first: Any = np.int64(data[at])
    if first < 0x80:
        return first, 1
    if first < 0xE0:
        return (first & 0x1F) << 6 | data[at + 1] & 0x3F, 2
    if first < 0xF0:
        return (first & 0x0F) << 12 | (data[at + 1] & 0x3F) << 6 | data[at + 2] & 0x3F, 3
    return (first & 0x07) << 18 | (data[at + 1] & 0x3F) << 12 | (data[at + 2] & 0x3F) << 6 | data[at + 3] & 0x3F, 4


@numba.njit(cache=True, nogil=True)
def word_end(data: Bytes, at: int, stop: int, follows: bool, table: Table) -> tuple[int, int, int]:
    """Return where the word that starts at a byte (not a space) ends, how many characters it has, and its flags.

    `follows` says that a letter stands right before it.
    """
    code, width = decode(data, at)
    entry: Any = np.int64(table[code])
    some, every, length, i = entry, entry, 1, at + width
    if entry >> KIND & 7 == LETTER or (entry & BEGINS and follows and i < stop and table[decode(data, i)[0]] & ALPHA):
        before = entry
        while i < stop:
            code, width = decode(data, i)
            entry = np.int64(table[code])
            kind = entry >> KIND & 7
            if kind == LETTER:
                before = entry
            elif kind != MARK and not (entry & JOINS and joins(data, at, i, width, stop, before, table)):
                break
            some |= entry
            every &= entry
            length += 1
            i += width
    else:
        first, lone = code, entry >> KIND & 7 == ALONE
        while i < stop:
            code, width = decode(data, i)
            entry = np.int64(table[code])
            if entry >> KIND & 7 == MARK:
                lone = True
            elif lone or code != first:
                break
            some |= entry
            every &= entry
            length += 1
            i += width
    flags = flags_of(some, every, length)
    if flags & SYMBOL:
        flags |= marks(data, at, i)
    return i, length, flags


@numba.njit(cache=True, nogil=True)
def flags_of(some: int, every: int, length: int) -> int:
    """Return a word's flags but for `marks`, from what any and what all of its characters are."""
    return some & (ALPHA | DIGIT | UPPER) | every & (SYMBOL | PUNCT | (TERMINAL if length == 1 else 0))


@numba.njit(cache=True, nogil=True)
def plain_word(data: Bytes, at: int, stop: int, table: Table, small: Small) -> tuple[int, int, int, np.uint64, np.uint64]:
    """Return where a word of ASCII letters and numbers ends, with nothing behind it that could belong to it, what any and what all of its
    characters are, and its hashes (`hash_word`): what most words are, read once. 0 as the end for any other.
    """
    prime = np.uint64(0x100000001B3)
    written = lower = np.uint64(0xCBF29CE484222325)
    some: Any = np.int64(0)
    every: Any = np.int64(-1)
    i: Any = at
    while i < stop:
        byte = data[i]
        entry = np.int64(table[byte])
        if byte >= 0x80 or entry >> KIND & 7 != LETTER:
            break
        some |= entry
        every &= entry
        written = (written ^ np.uint64(byte)) * prime
        lower = (lower ^ np.uint64(small[byte])) * prime
        i += 1
    if i == at or (i < stop and (data[i] >= 0x80 or _goes_on(data, i, stop, table))):
        return 0, 0, 0, written, lower
    return i, some, every, mix64(written), mix64(lower)


@numba.njit(cache=True, nogil=True)
def _goes_on(data: Bytes, at: int, stop: int, table: Table) -> bool:
    """Say whether a plain word may go on with the ASCII sign behind it: a mark, or one that joins, with a letter or number behind."""
    sign = table[data[at]]
    behind = sign & JOINS and at + 1 < stop and (data[at + 1] >= 0x80 or table[data[at + 1]] >> KIND & 7 == LETTER)
    return bool(behind or sign >> KIND & 7 == MARK)


@numba.njit(cache=True, nogil=True)
def joins(data: Bytes, start: int, at: int, width: int, stop: int, before: int, table: Table) -> bool:
    """Say whether the sign at a byte stays inside the word that began at `start`; `before` is the letter or number in front of it."""
    sign, after = np.int64(table[decode(data, at)[0]]), np.int64(SPACE << KIND)
    if at + width < stop:
        after = np.int64(table[decode(data, at + width)[0]])
    if after >> KIND & 7 != LETTER:
        abbreviated = data[at] == 0x2E and before & ALPHA and at - start >= 3 and data[at - 2] == 0x2E  # U.S.
        return bool(abbreviated and not (at + 1 < stop and data[at + 1] == 0x2E))
    if sign & JOINS_ONE:
        return bool((before | after) & DIGIT)
    if sign & JOINS_LETTERS and before & ALPHA and after & ALPHA:
        return bool(data[at] != 0x2E or before & UPPER or not after & UPPER)
    return bool(sign & JOINS_DIGITS and before & DIGIT and after & DIGIT)


@numba.njit(cache=True, nogil=True)
def marks(data: Bytes, start: int, end: int) -> int:
    """Return HASH and ELLIPSIS for a word of signs."""
    if data[start] == 0x23:
        return HASH
    if data[start] == 0x2E and end - start >= 3 and data[start + 2] == 0x2E:
        return ELLIPSIS
    if data[start] == 0xE2 and data[start + 1] == 0x80 and data[start + 2] == 0xA6:
        return ELLIPSIS
    return 0


@numba.njit(cache=True, nogil=True)
def hash_word(data: Bytes, start: int, end: int, flags: int, small: Small) -> tuple[np.uint64, np.uint64]:
    """Return catalog.schema.hash_bytes of a word as written and in small letters."""
    prime = np.uint64(0x100000001B3)
    written = lower = np.uint64(0xCBF29CE484222325)
    if not flags & UPPER:
        for i in range(start, end):
            written = (written ^ np.uint64(data[i])) * prime
        written = mix64(written)
        return written, written
    i = start
    while i < end:
        code, width = decode(data, i)
        for j in range(i, i + width):
            written = (written ^ np.uint64(data[j])) * prime
        lower = _add_code(lower, np.int64(small[code]))
        i += width
    return mix64(written), mix64(lower)


@numba.njit(cache=True, nogil=True)
def _add_code(h: np.uint64, code: int) -> np.uint64:
    """Hash the UTF-8 bytes of one code point onto h."""
    prime = np.uint64(0x100000001B3)
    if code < 0x80:
        return (h ^ np.uint64(code)) * prime
    if code < 0x800:
        h = (h ^ np.uint64(0xC0 | code >> 6)) * prime
    else:
        if code < 0x10000:
            h = (h ^ np.uint64(0xE0 | code >> 12)) * prime
        else:
            h = (h ^ np.uint64(0xF0 | code >> 18)) * prime
            h = (h ^ np.uint64(0x80 | code >> 12 & 0x3F)) * prime
        h = (h ^ np.uint64(0x80 | code >> 6 & 0x3F)) * prime
    return (h ^ np.uint64(0x80 | code & 0x3F)) * prime


@numba.njit(cache=True, nogil=True)
def _fill(data: Bytes, texts: Offsets, documents: Offsets, out: Columns, first: int, table: Table, small: Small) -> int:
    """Write the words of the documents from `first` on, and return the first one for which there was no room left."""
    starts, ends, hashes, lowers, lengths, flags = out
    count = documents[first]
    for d in range(first, texts.size - 1):
        i, stop = texts[d], texts[d + 1]
        end = told = 0
        while i < stop:
            code, width = decode(data, i)
            if table[code] >> KIND & 7 == SPACE:
                i += width
                continue
            if count == starts.size:
                return d
            follows = told & ALPHA > 0 and i == end
            end, some, every, written, lower = plain_word(data, i, stop, table, small)
            if end:
                length, told = end - i, flags_of(some, every, end - i)
                told |= marks(data, i, end) if told & SYMBOL else 0
            else:
                end, length, told = word_end(data, i, stop, follows, table)
                written, lower = hash_word(data, i, end, told, small)
            starts[count], ends[count], lengths[count], flags[count], hashes[count], lowers[count] = i, end, length, told, written, lower
            count += 1
            i = end
        documents[d + 1] = count
    return texts.size - 1


@numba.njit(cache=True, nogil=True)
def stripped(data: Bytes, start: int, end: int, table: Table) -> tuple[int, int]:
    """Return data[start:end] without the white space at both its ends, as `str.strip()` does."""
    while start < end:
        code, width = decode(data, start)
        if not table[code] & WHITE:
            break
        start += width
    while start < end:
        at = end - 1
        while data[at] & 0xC0 == 0x80:
            at -= 1
        if not table[decode(data, at)[0]] & WHITE:
            break
        end = at
    return start, end


@numba.njit(cache=True, nogil=True)
def line_end(data: Bytes, at: int, stop: int) -> tuple[int, int]:
    """Return where the line that starts at a byte ends and where the next starts, by the breaks of `str.splitlines()`."""
    i: Any = next_odd(data, at, stop)
    while i < stop:
        b = data[i]
        if b <= 0x1E and (0x0A <= b <= 0x0D or b >= 0x1C):
            return i, i + 2 if b == 0x0D and i + 1 < stop and data[i + 1] == 0x0A else i + 1
        if b == 0xC2 and data[i + 1] == 0x85:
            return i, i + 2
        if b == 0xE2 and data[i + 1] == 0x80 and data[i + 2] & 0xFE == 0xA8:
            return i, i + 3
        i = next_odd(data, i + 1, stop)
    return stop, stop
