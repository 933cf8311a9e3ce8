"""Words that look as if a machine had misread them on a printed page: by what stands inside them, with no dictionary, in Latin letters alone."""

from functools import lru_cache
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from catalog.split import Bytes, Offsets, decode
from curate.text.letters import PLACE, classes

COLUMNS = ("words", "any", "mixed", "clusters", "signs", "capitals", "repeats", "lone")
WORDS, ANY, MIXED, CLUSTERS, SIGNS, CAPITALS, REPEATS, LONE = range(8)
CONSONANTS, VOWELS, SAME, ALONE = 5, 4, 4, 3
"""Consonants and vowels in a row (Kulp and Kontostathis 2007; here an h behind a consonant is part of it), one letter in a row (Taghva et al. 2001), letters
that stand alone in a row."""
LATIN = 0x250
VOWELS_OF, CONSONANTS_OF = "aeiouAEIOU", "bcdfghjklmnpqrstvwxzBCDFGHJKLMNPQRSTVWXZ"
INNER = ";!?|~^*\\\"{}§¬¢£¤¥¦°¶¿¡«»<>#$%"
"""Signs that no word has between two of its letters; brackets, dashes, apostrophes, stops, commas, colons, slashes, & + = @ and _ may stand there."""
BEFORE_CAPITAL = "-'./:,&()_‐‑‒–—―‘’‚‛“”„‟"
LETTER, NUMBER, ALNUM, SMALL, VOWEL, CONSONANT, SIGN, JOINER, FOREIGN = (1 << bit for bit in range(9))
"""What a character is; FOREIGN: a letter, but no Latin one."""
BEYOND = 0x8000                                              # beside these: the character is not ASCII
UNSURE = NUMBER | SIGN | BEYOND
H = 0x68

Counts = npt.NDArray[np.int64]
Smalls = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint16]


@lru_cache(maxsize=1)
def small_letters() -> Smalls:
    """Return for each of 0x110000 code points whether it is a small letter (`str.islower`)."""
    table = np.zeros(0x110000, np.bool_)
    table[[code for code in range(0x20000) if chr(code).islower()]] = True
    return table


@lru_cache(maxsize=1)
def _codes() -> Codes:
    """Return for each of 0x110000 code points what it is, LETTER to FOREIGN as bits."""
    table, codes = classes(), np.zeros(0x110000, np.uint16)
    for name, flag in (("letters", LETTER), ("digits", NUMBER), ("alnum", ALNUM)):
        codes[table & (1 << PLACE[name]) > 0] |= flag
    codes[small_letters()] |= SMALL
    codes[LATIN:][codes[LATIN:] & LETTER > 0] |= FOREIGN
    for signs, flag in ((VOWELS_OF, VOWEL), (CONSONANTS_OF, CONSONANT), (INNER, SIGN), (BEFORE_CAPITAL, JOINER)):
        codes[[ord(sign) for sign in signs]] |= flag
    return codes


def count_misread(data: Bytes, documents: Offsets, starts: Offsets, ends: Offsets) -> Counts:
    """Return COLUMNS, a row a document: words with a letter or digit, those that any rule marks, those that each does, and letters alone in a row.

    Words are data[starts[w]:ends[w]], document d has those from documents[d] to documents[d + 1].
    """
    counts: Counts = _count(data, documents, starts, ends, _codes())
    return counts


@numba.njit(cache=True, nogil=True)
def _count(data: Bytes, documents: Offsets, starts: Offsets, ends: Offsets, codes: Codes) -> Counts:
    out = np.zeros((documents.size - 1, 8), np.int64)
    for d in range(documents.size - 1):
        alone = 0
        for w in range(documents[d], documents[d + 1]):
            some = _plain(data, starts[w], ends[w], codes)
            told = _judge(data, starts[w], ends[w], codes) if some < 0 else some & ALNUM > 0
            out[d, WORDS] += told & 1
            if told > 1:
                out[d, ANY] += 1
                for rule in range(MIXED, LONE):
                    out[d, rule] += told >> rule & 1
            alone = alone + 1 if _is_letter(data, starts[w], ends[w], codes) else 0
            if alone >= ALONE:
                out[d, LONE] += ALONE if alone == ALONE else 1
    return out


@numba.njit(cache=True, nogil=True)
def _is_letter(data: Bytes, start: int, end: int, codes: Codes) -> bool:
    if end - start > 2:
        return False
    code, width = decode(data, start)
    return bool(start + width == end and codes[code] & (LETTER | FOREIGN) == LETTER)


@numba.njit(cache=True, nogil=True)
def _plain(data: Bytes, start: Any, end: int, codes: Codes) -> Any:
    """Return what any character of a word is, -1 where a rule may mark it: most words are ASCII letters of one case or begin with a capital, with signs about
    them, and have so few consonants, vowels and equal characters in a row that it is enough to keep one bit of each."""
    if end - start > 32:
        return -1
    some: Any = 0
    consonants: Any = 0
    vowels: Any = 0
    twice: Any = 0
    inner: Any = 0                                           # a capital behind a small letter
    before: Any = 0
    for i in range(start, end):
        byte = np.int64(data[i])
        what = np.int64(codes[byte])
        inner |= what * SMALL & ~what & some
        some |= what | byte << 8 & BEYOND
        consonants = consonants << 1 | (what & CONSONANT > 0)
        vowels = vowels << 1 | (what & VOWEL > 0)
        twice = twice << 1 | ((byte ^ before) & 0xDF == 0)
        before = byte
    five, four = consonants & consonants >> 1, vowels & vowels >> 1
    runs = (five & five >> 2 & consonants >> 4) | (four & four >> 2) | (twice & twice >> 1 & twice >> 2)
    return -1 if runs or some & UNSURE or inner & SMALL else some


@numba.njit(cache=True, nogil=True)
def _judge(data: Bytes, start: Any, end: int, codes: Codes) -> Any:
    """Return which of COLUMNS a word counts for, a bit each: 0 without a letter or digit; WORDS alone where it has letters that are not Latin."""
    told: Any = 0
    consonants: Any = 0
    vowels: Any = 0
    before: Any = 0                                          # what the character before is
    earlier: Any = 0                                         # and the one before that
    some: Any = 0                                            # what any is
    first: Any = 0                                           # what the first letter or digit is
    last: Any = 0
    code: Any
    at, same, letter = start, 0, -1
    after_small, inner_capital = False, False                # a number stands behind a small letter
    while at < end:
        code, width = np.int64(data[at]), 1
        if code >= 0x80:
            code, width = decode(data, at)
        at += width
        what = np.int64(codes[code])
        some |= what
        if what & LETTER:
            folded = code | 0x20 if code < 0x80 else code
            joined = folded == H and before & CONSONANT > 0
            consonants = (consonants + 1 - joined) * (what & CONSONANT > 0)      # without branches: letters come as they like
            vowels = (vowels + 1) * (what & VOWEL > 0)
            same = same * (folded == letter) + 1
            letter = folded
            told |= ((consonants >= CONSONANTS) | (vowels >= VOWELS)) << CLUSTERS | (same >= SAME) << REPEATS
            if before & (SIGN | NUMBER):
                told |= (before & SIGN > 0 and earlier & LETTER > 0) << SIGNS
                told |= (what & SMALL > 0 and before & NUMBER > 0 and after_small) << MIXED
            if not what & SMALL:
                inner_capital |= first & SMALL > 0 and before & JOINER == 0
        else:
            consonants, vowels, same, letter = 0, 0, 0, -1
            if what & NUMBER and not before & NUMBER:
                after_small = before & SMALL > 0
        if what & ALNUM:
            first, last = first if first else what, what
        earlier, before = before, what
    if not some & ALNUM:
        return 0
    if some & FOREIGN or _is_address(data, start, end):
        return 1 << WORDS
    if not some & SMALL:
        told &= ~(1 << CLUSTERS)                             # an abbreviation
    return told | (inner_capital and last & SMALL > 0) << CAPITALS | 1 << WORDS


@numba.njit(cache=True, nogil=True)
def _is_address(data: Bytes, start: int, end: int) -> bool:
    """Say whether a word has an @, // or begins with www."""
    for i in range(start, end):
        if data[i] == 0x40 or (data[i] == 0x2F and i + 1 < end and data[i + 1] == 0x2F):
            return True
    if end - start < 5 or data[start + 3] != 0x2E:
        return False
    return bool(data[start] | 0x20 == 0x77 and data[start + 1] | 0x20 == 0x77 and data[start + 2] | 0x20 == 0x77)
