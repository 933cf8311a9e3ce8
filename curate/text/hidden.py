"""Characters that nobody sees and letters that look like others: what text is made to hide in, found in one walk over the bytes."""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from catalog.eight import eight
from catalog.split import Bytes, Offsets, decode

COUNTED = ("zero_width", "soft_hyphens", "bidi", "overrides", "tags", "selectors", "split_words", "mixed_words")
PLACE = {name: place for place, name in enumerate(COUNTED)}
ZERO, SOFT, BIDI, OVERRIDES, TAGS, SELECTORS, SPLIT, MIXED = range(len(COUNTED))

# What a character is: what it hides in the lower bits, its script and its look in the upper ones.
SEEN, WIDTHLESS, JOINER, HYPHEN, TURN, OVERRIDE, TAG, SELECTOR = range(8)
WHAT = 7
LATIN, OTHER, ALIKE, SYMBOLIC = 8, 16, 32, 64
BLACK_FLAG, CANCEL_TAG, BYTE_ORDER = 0x1F3F4, 0xE007F, 0xFEFF
FLAG_TAGS = 8
"""Tags behind a black flag that make one of a region (Scotland: gbsct and the cancel tag)."""
RANGES = (
    (WIDTHLESS, (0x200B, 0x200B), (0x2060, 0x2064), (0xFEFF, 0xFEFF), (0x180E, 0x180E)), (JOINER, (0x200C, 0x200D)), (HYPHEN, (0xAD, 0xAD)),
    (TURN, (0x202A, 0x202C), (0x2066, 0x2069)), (OVERRIDE, (0x202D, 0x202E)), (TAG, (0xE0000, 0xE007F)), (SELECTOR, (0xFE00, 0xFE0F), (0xE0100, 0xE01EF)),
)  # fmt: skip
CYRILLIC_ALIKE = "аеорсухіјѕһԁԛԝӏАВЕКМНОРСТХІЈЅУҮ"
GREEK_ALIKE = "οΑΒΕΖΗΙΚΜΝΟΡΤΥΧ"
LATIN_ALIKE = "aeopcyxijshdqwlABEKMHOPCTXIJSYNZ"
"""Letters that Unicode's table of confusables (UTS #39) gives the same look in another of the three scripts. Of Greek the capitals and omicron: its small
letters stand beside Latin ones in formulae and names of genes, so a word with one of these (SYMBOLIC) is none."""
LEAST = 3
"""Letters of a word that is looked at for a mixture."""

Table = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Hidden:
    """Counts [documents, COUNTED], and the stretches of unseen characters that no script wants: row, start, end in characters, in order."""

    counts: Counts
    rows: Offsets
    starts: Offsets
    ends: Offsets


def hidden(data: Bytes, texts: Offsets) -> Hidden:
    """Return what is hidden in the texts data[texts[d]:texts[d + 1]], which must be valid UTF-8."""
    room = 1024
    while True:
        counts = np.zeros((texts.size - 1, len(COUNTED)), np.int64)
        spans = np.empty((room, 3), np.int64)
        found = _walk(data, texts, characters(), counts, spans)
        if found <= room:
            rows, starts, ends = spans[:found].T.copy()
            return Hidden(counts, rows, starts, ends)
        room = found


@lru_cache(maxsize=1)
def characters() -> Table:
    """Return what each of 0x110000 code points is. Built once, in about .05 s."""
    table = np.zeros(0x110000, np.uint8)
    for kind, *ranges in RANGES:
        for first, last in ranges:
            table[first : last + 1] = kind
    for code in (*range(0x41, 0x560), *range(0x1C80, 0x1C89), *range(0x1D00, 0x2000), *range(0x2C60, 0x2C80), *range(0xA640, 0xA7FF), *range(0xFF21, 0xFF5B)):
        name = unicodedata.name(chr(code), "")
        if unicodedata.category(chr(code))[0] == "L" and name.startswith(("LATIN", "FULLWIDTH LATIN", "CYRILLIC", "GREEK")):
            table[code] |= LATIN if "LATIN" in name else OTHER | SYMBOLIC if name.startswith("GREEK") and chr(code) not in GREEK_ALIKE else OTHER
    table[[ord(letter) for letter in CYRILLIC_ALIKE + GREEK_ALIKE + LATIN_ALIKE]] |= ALIKE
    return table


@numba.njit(cache=True, nogil=True)
def _walk(data: Bytes, texts: Offsets, table: Table, counts: Counts, spans: Counts) -> int:
    """Fill counts and spans; return how many spans there are, even where there is no room for more."""
    found = 0
    letters = np.zeros(5, np.int64)                           # of the word at hand: Latin, other, alike of each, symbolic
    for d in range(texts.size - 1):
        at, stop, char, before, split = texts[d], texts[d + 1], 0, 0, False
        letters[:] = 0
        while at < stop:
            if before == 0 and data[at] < 0x80:              # nothing of ASCII hides; a word counts only with a letter beyond it
                start = at
                at = _leap(data, at, stop)
                char += at - start
                if at == stop:
                    break
            code, width = decode(data, at)
            entry: Any = np.int64(table[code])
            if entry & WHAT == SEEN:
                if not entry and before:
                    counts[d, SPLIT] += split
                    counts[d, MIXED] += _mixed(letters)
                    letters[:] = 0
                    split = False
                elif entry:
                    side = 0 if entry & LATIN else 1
                    letters[side] += 1
                    letters[2 + side] += entry & ALIKE > 0
                    letters[4] += entry & SYMBOLIC > 0
                before = entry
                at += width
                char += 1
                continue
            end, size, what, hides = _run(data, at, stop, table, counts[d], char == 0, before)
            if hides:
                if found < spans.shape[0]:
                    spans[found, 0], spans[found, 1], spans[found, 2] = d, char, char + size
                found += 1
            split |= what
            at, char = end, char + size
        counts[d, SPLIT] += split
        counts[d, MIXED] += _mixed(letters)
    return found


@numba.njit(cache=True, nogil=True)
def _leap(data: Bytes, at: Any, stop: int) -> Any:
    """Return where the word begins in which the next byte beyond ASCII stands: behind the last ASCII character that is no letter."""
    first: Any = at
    while at + 8 <= stop and not eight(data, at) & np.uint64(0x8080808080808080):
        at += 8
    while at < stop and data[at] < 0x80:
        at += 1
    while at < stop and at > first and 0x61 <= data[at - 1] | 0x20 <= 0x7A:
        at -= 1
    return at


@numba.njit(cache=True, nogil=True)
def _run(data: Bytes, start: int, stop: int, table: Table, counts: Counts, first: bool, before: int) -> tuple[int, int, bool, bool]:
    """Count a run of unseen characters; return its end, its characters, whether it splits a word, and whether no script wants it."""
    at, size, sizes, last, code = start, 0, np.zeros(8, np.int64), 0, 0
    while at < stop:
        code, width = decode(data, at)
        what = np.int64(table[code]) & WHAT
        if what == SEEN:
            break
        sizes[what] += 1
        last = code
        at += width
        size += 1
    after = np.int64(table[code]) if at < stop else 0
    inside = before > 0 and after > 0 and after & WHAT == SEEN
    mark = first and decode(data, start)[0] == BYTE_ORDER
    splits = bool(inside and sizes[WIDTHLESS] + sizes[JOINER] > 0)
    flag = sizes[TAG] == size and size <= FLAG_TAGS and last == CANCEL_TAG and _behind_flag(data, start)
    counts[ZERO] += sizes[WIDTHLESS] - mark + (sizes[JOINER] if inside else 0)
    counts[SOFT] += sizes[HYPHEN]
    counts[BIDI] += sizes[TURN] + sizes[OVERRIDE]
    counts[OVERRIDES] += sizes[OVERRIDE]
    counts[TAGS] += 0 if flag else sizes[TAG]
    counts[SELECTORS] += sizes[SELECTOR] if sizes[SELECTOR] > 1 else 0
    return at, size, splits, bool(splits or sizes[OVERRIDE] or (sizes[TAG] and not flag) or sizes[SELECTOR] > 1)


@numba.njit(cache=True, nogil=True)
def _behind_flag(data: Bytes, at: int) -> bool:
    return bool(at >= 4 and data[at - 4] == 0xF0 and decode(data, at - 4)[0] == BLACK_FLAG)


@numba.njit(cache=True, nogil=True)
def _mixed(letters: Counts) -> bool:
    """Say whether a word has letters of two scripts and those of the rarer one all look like the other's."""
    latin, other, latin_alike, other_alike, symbolic = letters
    if latin + other < LEAST or latin == 0 or other == 0 or symbolic:
        return False
    return bool((other <= latin and other == other_alike) or (latin <= other and latin == latin_alike))
