"""How many characters of each class a text has, and how evenly they are spread, in one pass over its bytes."""

import unicodedata
from functools import lru_cache
from itertools import chain

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.schema import text_bytes
from catalog.split import Bytes, Offsets, decode
from catalog.stage import once

CLASSES = ("chars", "letters", "digits", "alnum", "upper", "white", "punctuation", "symbols", "marks", "control", "unassigned", "ascii", "prose", "parens")
"""Columns of the counts. letters, punctuation, symbols, marks: Unicode's categories L, P, S, M; digits: Nd; alnum: letters and numbers of any
kind (`str.isalnum`); upper and white: `str.isupper`, `str.isspace`; control: Cc but white space, and Cf; unassigned: Cn, Co, and U+FFFD, what
undecodable bytes become; prose: an ASCII letter or digit, a newline, or one of ? ! , . ; parens: one of ( ) [ ] { } and the angle brackets."""
PLACE = {name: place for place, name in enumerate(CLASSES)}
PROSE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789\n?!,.")
PARENS = frozenset("{}()[]\u27e8\u27e9")
WIDTH = len(CLASSES)

Counts = npt.NDArray[np.int64]
Ratios = npt.NDArray[np.float64]
Bits = npt.NDArray[np.uint16]


def letters(batch: pl.DataFrame) -> tuple[Counts, Ratios]:
    """Return, a row a document, how many characters of each of CLASSES its `text` has, and their entropy in bits a character (0 in an empty text)."""
    found: tuple[Counts, Ratios] = once("letters", batch, lambda: count_letters(*text_bytes(batch["text"])))
    return found


def count_letters(data: Bytes, texts: Offsets) -> tuple[Counts, Ratios]:
    """Return the same of the texts data[texts[d]:texts[d + 1]], which must be valid UTF-8."""
    counts, entropies = _tally(data, texts, classes())
    return counts, entropies


@lru_cache(maxsize=1)
def classes() -> Bits:
    """Return, for each of 0x110000 code points, its CLASSES as bits. Built once, in about .2 s."""
    table = np.full(0x110000, _bits("chars", "unassigned"), np.uint16)
    for code in chain(range(0xD800), range(0xE000, 0x20000), range(0xE0000, 0xE0200)):
        table[code] = _class_of(chr(code))
    table[0x20000:0x323B0] = _bits("chars", "letters", "alnum")  # Han, all of it
    table[0xFFFD] |= _bits("unassigned")
    return table


def _class_of(char: str) -> int:
    category = unicodedata.category(char)
    names = ["chars", {"L": "letters", "P": "punctuation", "S": "symbols", "M": "marks"}.get(category[0], "chars")]
    for name, there in (
        ("digits", category == "Nd"), ("alnum", char.isalnum()), ("upper", char.isupper()), ("white", char.isspace()),
        ("control", category == "Cf" or (category == "Cc" and not char.isspace())), ("unassigned", category in ("Cn", "Co")),
        ("ascii", char < "\x80"), ("prose", char in PROSE), ("parens", char in PARENS),
    ):  # fmt: skip
        if there:
            names.append(name)
    return _bits(*names)


def _bits(*names: str) -> int:
    return sum(1 << PLACE[name] for name in set(names))


@numba.njit(cache=True, nogil=True)
def _tally(data: Bytes, texts: Offsets, table: Bits) -> tuple[Counts, Ratios]:
    counts, entropies = np.zeros((texts.size - 1, WIDTH), np.int64), np.zeros(texts.size - 1)
    room = _highest(data, texts)
    uses, kinds = np.zeros(room, np.int64), np.empty(room, np.int64)
    for d in range(texts.size - 1):
        at, stop, chars, held = texts[d], texts[d + 1], 0, 0
        while at < stop:
            code, width = decode(data, at)
            if uses[code] == 0:
                kinds[held] = code
                held += 1
            uses[code] += 1
            chars += 1
            at += width
        for k in range(held):
            entropies[d] += _add(counts[d], np.int64(table[kinds[k]]), uses[kinds[k]], chars)
            uses[kinds[k]] = 0
    return counts, entropies


@numba.njit(cache=True, nogil=True)
def _highest(data: Bytes, texts: Offsets) -> int:
    """Return a number above all code points of the texts: to clear 0x110000 counts costs as much as to count a thousand pages."""
    most = np.uint8(0)
    for byte in data[texts[0] : texts[-1]]:
        most = max(most, byte)
    return 0x80 if most < 0x80 else 0x800 if most < 0xE0 else 0x10000 if most < 0xF0 else 0x110000


@numba.njit(cache=True, nogil=True)
def _add(counts: Counts, entry: int, uses: int, chars: int) -> float:
    """Add one code point's uses to its classes; return its share of the entropy in bits."""
    for place in range(counts.size):
        counts[place] += uses * (entry >> place & 1)
    share = uses / chars
    bits: float = -share * np.log2(share)
    return bits
