"""Sentences, letters and syllables of a text's words: what formulas of readability are made of."""

import unicodedata
from functools import lru_cache
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from catalog.split import ALPHA, DIGIT, KIND, MARK, TERMINAL, Bytes, Offsets, Table, characters, decode
from curate.text.spaced import Spaced

COLUMNS = ("words", "sentences", "letters", "syllables", "long_words", "polysyllables")
LONG, MANY = 6, 3
"""A long word has more than 6 letters (LIX); one of many syllables at least 3 (Gunning, SMOG)."""

CLOSING = np.array([ord(c) for c in "\"')]}’”»"])
VOWELS = "aeiouy"
VOWEL = np.zeros(128, np.bool_)
VOWEL[[ord(vowel) for vowel in VOWELS]] = True

Counts = npt.NDArray[np.int64]
Letters = npt.NDArray[np.uint8]


def reading(found: Spaced) -> Counts:
    """Return COLUMNS, a row a document.

    Words stand between white space and have a letter or digit. A sentence ends behind a word with a mark that ends one (closing
    quotes and brackets may follow) and at each line break; what holds no word is none. Letters count digits too. Syllables are
    runs of Latin vowels with or without accents, less a silent e, es or ed at the end, and one at least: a rule for English.
    """
    counts: Counts = _read(found.data, found.texts, found.documents, found.starts, found.ends, characters()[0], latin())
    return counts


@lru_cache(maxsize=1)
def latin() -> Letters:
    """Return, for each code point below 0x2000, the small ASCII letter under its accents, or 0."""
    table = np.zeros(0x2000, np.uint8)
    for code in range(0x2000):
        base = unicodedata.normalize("NFD", chr(code).lower())[0]
        if "a" <= base <= "z":
            table[code] = ord(base)
    for sign, base in zip("æœøı", "eeoi", strict=True):
        table[ord(sign)] = table[ord(sign.upper())] = ord(base)
    return table


@numba.njit(cache=True, nogil=True)
def _read(data: Bytes, texts: Offsets, documents: Offsets, starts: Offsets, ends: Offsets, table: Table, small: Letters) -> Counts:
    out = np.zeros((documents.size - 1, 6), np.int64)
    for d in range(documents.size - 1):
        held, before = False, texts[d]                       # whether the sentence has a word yet; where the gap before this word begins
        for w in range(documents[d], documents[d + 1]):
            if held and _breaks(data, before, starts[w]):
                out[d, 1] += 1
                held = False
            letters, syllables, ended = _word(data, starts[w], ends[w], table, small)
            if letters:
                out[d, 0] += 1
                out[d, 2] += letters
                out[d, 3] += syllables
                out[d, 4] += letters > LONG
                out[d, 5] += syllables >= MANY
                held = True
            if held and ended:
                out[d, 1] += 1
                held = False
            before = ends[w]
        out[d, 1] += held
    return out


@numba.njit(cache=True, nogil=True)
def _breaks(data: Bytes, start: int, end: int) -> bool:
    """Say whether a line ends in data[start:end]."""
    found = False
    for i in range(start, end):
        found |= data[i] == 0x0A
    return found


@numba.njit(cache=True, nogil=True)
def _word(data: Bytes, start: int, end: int, table: Table, small: Letters) -> tuple[int, int, bool]:
    """Return a word's letters and digits, its syllables, and whether a sentence ends with it."""
    letters, groups, at = 0, 0, start
    vowel: Any = False
    ended: Any = False
    first = second = third = np.int64(0)                     # the last three letters, the latest first
    while at < end:
        code, width = decode(data, at)
        entry = np.int64(table[code])
        if 0x61 <= code <= 0x7A and code != 0x79:            # most characters
            letters += 1
            now = VOWEL[code]
            groups += now and not vowel
            vowel, ended = now, False
            first, second, third = code, first, second
        elif entry & (ALPHA | DIGIT):
            letters += 1
            base = np.int64(small[code]) if code < small.size else np.int64(0)
            now = _is_vowel(base) and not (base == 0x79 and first == 0)  # a y that begins a word is no vowel
            groups += now and not vowel
            vowel, ended = now, False
            first, second, third = base if code < 0x80 else np.int64(1), first, second  # an accented e is never silent
        elif entry >> KIND & 7 != MARK and not _is_closing(code):
            vowel, ended = False, entry & TERMINAL > 0
        at += width
    return letters, max(groups - _silent(first, second, third), 1) if letters else 0, ended


@numba.njit(cache=True, nogil=True)
def _is_closing(code: int) -> bool:
    found = False
    for sign in CLOSING:
        found |= code == sign
    return found


@numba.njit(cache=True, nogil=True)
def _is_vowel(base: int) -> bool:
    return bool(base == 0x61 or base == 0x65 or base == 0x69 or base == 0x6F or base == 0x75 or base == 0x79)


@numba.njit(cache=True, nogil=True)
def _silent(first: int, second: int, third: int) -> int:
    """Return 1 for a word whose last e is silent: made, makes, asked; not table, ended, boxes or free."""
    if first == 0x65:
        return int(not _is_vowel(second) and second != 0x6C) if second else 0
    if second != 0x65 or _is_vowel(third) or third == 0:
        return 0
    if first == 0x64:
        return int(third != 0x74 and third != 0x64)
    hissing = third == 0x73 or third == 0x7A or third == 0x78 or third == 0x68 or third == 0x63 or third == 0x67 or third == 0x6C
    return int(first == 0x73 and not hissing)
