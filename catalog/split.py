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

from catalog.schema import mix64

SPLITTER = "words-1"

# What a word is told by (Words.flags); bit by bit.
ALPHA = 1  # has a letter
DIGIT = 2  # has a decimal digit
SYMBOL = 4  # has nothing but punctuation, as datatrove counts it (PUNCTUATION below)
PUNCT = 8  # has nothing but characters of Unicode category P
TERMINAL = 16  # is one character that ends a sentence
HASH = 32  # has a `#`
ELLIPSIS = 64  # has `...` or `…`
UPPER = 128  # has a capital

# What a line is told by (Lines.flags).
BLANK = 1  # has nothing but white space
ENDED = 2  # its last character ends a sentence

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
INNER_FORMATS = (0xAD, 0x200C, 0x200D, 0x2060, *range(0xE0020, 0xE0080))  # soft hyphen, (non-)joiners, emoji tags
UNSPACED = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3005, 0x3007), (0x3021, 0x3035), (0x3041, 0x30FF),
    (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F), (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F), (0x1B000, 0x1B16F), (0x20000, 0x323AF),
)  # fmt: skip
"""Scripts written without spaces: Thai, Lao, Myanmar, Khmer, Kana, Han and their extensions."""

ENDS = (
    (0x21, 0x21), (0x2E, 0x2E), (0x3F, 0x3F), (0x589, 0x589), (0x61D, 0x61F), (0x6D4, 0x6D4), (0x700, 0x702), (0x7F9, 0x7F9),
    (0x837, 0x837), (0x839, 0x839), (0x83D, 0x83E), (0x964, 0x965), (0x104A, 0x104B), (0x1362, 0x1362), (0x1367, 0x1368),
    (0x166E, 0x166E), (0x1735, 0x1736), (0x17D4, 0x17D6), (0x17D9, 0x17DA), (0x1803, 0x1803), (0x1809, 0x1809),
    (0x1944, 0x1945), (0x1AA8, 0x1AAB), (0x1B5A, 0x1B5B), (0x1B5E, 0x1B5F), (0x1B7D, 0x1B7E), (0x1C3B, 0x1C3C),
    (0x1C7E, 0x1C7F), (0x203C, 0x203D), (0x2047, 0x2049), (0x2E2E, 0x2E2E), (0x2E3C, 0x2E3C), (0x2E53, 0x2E54),
    (0x3002, 0x3002), (0xA4FF, 0xA4FF), (0xA60E, 0xA60F), (0xA6F3, 0xA6F3), (0xA6F7, 0xA6F7), (0xA876, 0xA877),
    (0xA8CE, 0xA8CF), (0xA92F, 0xA92F), (0xA9C8, 0xA9C9), (0xAA5D, 0xAA5F), (0xAAF0, 0xAAF1), (0xABEB, 0xABEB),
    (0xFE52, 0xFE52), (0xFE56, 0xFE57), (0xFF01, 0xFF01), (0xFF0E, 0xFF0E), (0xFF1F, 0xFF1F), (0xFF61, 0xFF61),
    (0x10A56, 0x10A57), (0x10F55, 0x10F59), (0x10F86, 0x10F89), (0x11047, 0x11048), (0x110BE, 0x110C1), (0x11141, 0x11143),
    (0x111C5, 0x111C6), (0x111CD, 0x111CD), (0x111DE, 0x111DF), (0x11238, 0x11239), (0x1123B, 0x1123C), (0x112A9, 0x112A9),
    (0x1144B, 0x1144C), (0x115C2, 0x115C3), (0x115C9, 0x115D7), (0x11641, 0x11642), (0x1173C, 0x1173E), (0x11944, 0x11944),
    (0x11946, 0x11946), (0x11A42, 0x11A43), (0x11A9B, 0x11A9C), (0x11C41, 0x11C42), (0x11EF7, 0x11EF8), (0x11F43, 0x11F44),
    (0x16A6E, 0x16A6F), (0x16AF5, 0x16AF5), (0x16B37, 0x16B38), (0x16B44, 0x16B44), (0x16E98, 0x16E98), (0x1BC9F, 0x1BC9F),
    (0x1DA88, 0x1DA88),
)  # fmt: skip
"""What ends a sentence: Unicode 15.1's property Sentence_Terminal, and Khmer's signs."""

PUNCTUATION = (
    (0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E), (0xAB, 0xAB), (0xB4, 0xB4), (0xBB, 0xBB), (0x2013, 0x2014),
    (0x2019, 0x2019), (0x201C, 0x201E), (0x2026, 0x2026), (0x2236, 0x2236), (0x2501, 0x2501), (0x25BA, 0x25BA),
    (0x3001, 0x3002), (0x3008, 0x300D), (0x3010, 0x3011), (0xFF01, 0xFF01), (0xFF05, 0xFF05), (0xFF08, 0xFF09),
    (0xFF0C, 0xFF0C), (0xFF0E, 0xFF0E), (0xFF1A, 0xFF1B), (0xFF1F, 0xFF1F), (0xFF5E, 0xFF5E),
)  # fmt: skip
"""What makes a word a symbol, with ENDS: the set by which datatrove counts words, less its full-width digit one."""

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


@dataclass(frozen=True)
class Lines:
    """What stands between the newlines (\\n) of each text, blank lines too: `text.split("\\n")`, flat. An empty text has one line."""

    data: Bytes
    texts: Offsets
    documents: Offsets
    starts: Offsets
    ends: Offsets
    hashes: Hashes  # catalog.schema.hash_bytes of the line
    lengths: npt.NDArray[np.int64]  # characters
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


def split_lines(data: Bytes, offsets: Offsets) -> Lines:
    """Return the lines of the texts data[offsets[d]:offsets[d + 1]], which must be valid UTF-8."""
    return Lines(data, offsets, *_lines(data, offsets, characters()[0]))


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
    flags = some & (ALPHA | DIGIT | UPPER) | every & (SYMBOL | PUNCT)
    if length == 1:
        flags |= every & TERMINAL
    if flags & SYMBOL:
        flags |= marks(data, at, i)
    return i, length, flags


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
            end, length, told = word_end(data, i, stop, told & ALPHA > 0 and i == end, table)
            starts[count], ends[count], lengths[count], flags[count] = i, end, length, told
            hashes[count], lowers[count] = hash_word(data, i, end, told, small)
            count += 1
            i = end
        documents[d + 1] = count
    return texts.size - 1


@numba.njit(cache=True, nogil=True)
def _lines(data: Bytes, offsets: Offsets, table: Table) -> tuple[Offsets, Offsets, Offsets, Hashes, npt.NDArray[np.int64], Bytes]:
    total = offsets.size - 1
    for i in range(offsets[0], offsets[-1]):
        total += data[i] == 0x0A
    starts, ends, lengths = np.empty(total, np.int64), np.empty(total, np.int64), np.zeros(total, np.int64)
    hashes, flags, documents = np.empty(total, np.uint64), np.empty(total, np.uint8), np.zeros(offsets.size, np.int64)
    count = 0
    for d in range(offsets.size - 1):
        i, stop = offsets[d], offsets[d + 1]
        while True:
            starts[count], h, entry, blank = i, np.uint64(0xCBF29CE484222325), np.uint16(0), True
            while i < stop and data[i] != 0x0A:
                code, width = decode(data, i)
                entry = table[code]
                blank &= entry & WHITE > 0
                lengths[count] += 1
                for _ in range(width):
                    h = (h ^ np.uint64(data[i])) * np.uint64(0x100000001B3)
                    i += 1
            ends[count], hashes[count] = i, mix64(h)
            flags[count] = (BLANK if blank else 0) | (ENDED if entry & TERMINAL else 0)
            count += 1
            if i == stop:
                break
            i += 1
        documents[d + 1] = count
    return documents, starts, ends, hashes, lengths, flags


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
    for i in range(at, stop):
        b = data[i]
        if b <= 0x1E and (0x0A <= b <= 0x0D or b >= 0x1C):
            return i, i + 2 if b == 0x0D and i + 1 < stop and data[i + 1] == 0x0A else i + 1
        if b == 0xC2 and data[i + 1] == 0x85:
            return i, i + 2
        if b == 0xE2 and data[i + 1] == 0x80 and data[i + 2] & 0xFE == 0xA8:
            return i, i + 3
    return stop, stop
