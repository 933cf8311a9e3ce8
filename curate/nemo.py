"""NeMo Curator's heuristics that Gopher and C4 do not have, as numbers (its text filters, defaults as of 2026)."""

from typing import Any

import numba
import numpy as np
import polars as pl
import pyarrow as pa

from catalog.eight import eight, next_newline, same
from catalog.split import Bytes, Offsets, Table, characters, stripped
from catalog.stage import declares
from curate.text.letters import PLACE, Counts, letters
from curate.text.phrases import find, tables
from curate.text.spaced import spaced

RATIOS = ("non_prose", "digits", "urls", "white_space", "parentheses", "boilerplate", "unended_lines", "bullet_lines", "symbol_words")
BOILERPLATE, LOREM = 0, 1
PHRASES = {                                                  # each with its rarest letter, by which it is looked for
    "lorem ipsum": (LOREM, 4),
    "terms of use": (BOILERPLATE, 3),
    "privacy policy": (BOILERPLATE, 3),
    "privacy overview": (BOILERPLATE, 3),
    "cookie policy": (BOILERPLATE, 3),
    "cookies policy": (BOILERPLATE, 3),
    "uses cookies": (BOILERPLATE, 8),
    "use of cookies": (BOILERPLATE, 10),
    "use cookies": (BOILERPLATE, 7),
    "without changing your cookie": (BOILERPLATE, 25),
    "necessary cookies are": (BOILERPLATE, 13),
    "cookies that may not be": (BOILERPLATE, 3),
}
"""C4's (Raffel et al. 2020) and NeMo Curator's, whose five whole sentences of cookie banners are told by what they have in common with others."""
LETTERS, LENGTHS, KINDS, ANCHORS, BEGUN = tables(PHRASES)

ADDS = {"n_words": pa.int64(), "longest_word": pa.int64()} | {name: pa.float64() for name in RATIOS}


@declares(reads=("text",), adds=ADDS, version=1)
def signals(batch: pl.DataFrame) -> pl.DataFrame:
    """Return the family `nemo`: what NeMo Curator's heuristic filters measure, one row a document. Its limits stand behind each.

    n_words        words between white space (50 to 100,000)
    longest_word   characters of the longest of them (1,000); null without words
    non_prose      share of characters that are no ASCII letter or digit, newline or ? ! , . (.25; for English alone)
    digits         share of characters that are decimal digits (.15)
    urls           share of characters in addresses that begin with http:// or https://, up to white space, quotes or < > (.2)
    white_space    share of characters that are white space (.25)
    parentheses    share of characters that are ( ) [ ] { } or angle brackets (.1)
    boilerplate    share of paragraphs (blank lines part them) that speak of terms of use, privacy or cookies (.4); 1 with lorem ipsum
    unended_lines  share of lines, but blank ones, that do not end in . ? ! " or ' (.85)
    bullet_lines   share of lines, but blank ones, that begin with one of its twelve bullets, of which - and * are none (.9)
    symbol_words   share of words that are an ellipsis, or more than half runs of # (.1)

    Ratios are null where there is nothing to share. An address is read up to white space, quotes or < >, as in the expression that its filter names as
    another choice; its own takes ' < > in and stops at # ~ and whatever is not ASCII. Of white space it knows blank, tab, CR, LF and backspace alone.
    """
    counts, _ = letters(batch)
    apart = spaced(batch)
    chars, every = counts[:, PLACE["chars"]], np.diff(apart.documents)
    longest, symbols = _words(apart.data, apart.documents, apart.starts, apart.ends, apart.lengths).T
    urls, lines, unended, bullets = _lines(apart.data, apart.texts, characters()[0]).T
    paragraphs, boiler, lorem = _paragraphs(apart.data, apart.texts).T
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {
            "n_words": every,
            "longest_word": pl.Series(longest).set(pl.Series(every == 0), None),
            "non_prose": 1 - counts[:, PLACE["prose"]] / chars,
            "digits": counts[:, PLACE["digits"]] / chars,
            "urls": urls / chars,
            "white_space": counts[:, PLACE["white"]] / chars,
            "parentheses": counts[:, PLACE["parens"]] / chars,
            "boilerplate": np.where(chars > 0, np.where(lorem > 0, 1.0, boiler / paragraphs), np.nan),
            "unended_lines": unended / lines,
            "bullet_lines": bullets / lines,
            "symbol_words": symbols / every,
        }
    return pl.DataFrame({name: columns[name] for name in ADDS}, nan_to_null=True)


@numba.njit(cache=True, nogil=True)
def _words(data: Bytes, documents: Offsets, starts: Offsets, ends: Offsets, lengths: Counts) -> Counts:
    """Return, a row a document, the longest word's characters, and how many words are symbols."""
    out = np.zeros((documents.size - 1, 2), np.int64)
    for d in range(documents.size - 1):
        if documents[d] == documents[d + 1]:
            continue
        hashed = False
        for byte in data[starts[documents[d]] : ends[documents[d + 1] - 1]]:
            hashed |= byte == 0x23
        longest: Any = np.int64(0)
        for w in range(documents[d], documents[d + 1]):
            longest = max(longest, lengths[w])
            first, size = data[starts[w]], ends[w] - starts[w]
            if (first == 0x2E) | (first == 0x5B) | (first == 0x28) | (first == 0x2D) | (first == 0xE2) | hashed:
                runs = _hashes(data, starts[w], ends[w]) if hashed else 0
                out[d, 1] += 2 * runs > lengths[w] or (3 <= size <= 5 and _is_ellipsis(data, starts[w], ends[w]))
        out[d, 0] = longest
    return out


@numba.njit(cache=True, nogil=True)
def _hashes(data: Bytes, start: int, end: int) -> int:
    """Return the runs of # in a word."""
    runs, before = 0, np.uint8(0)
    for i in range(start, end):
        runs += data[i] == 0x23 and before != 0x23
        before = data[i]
    return runs


@numba.njit(cache=True, nogil=True)
def _is_ellipsis(data: Bytes, start: int, end: int) -> bool:
    """Say whether a word is ... or … alone or in square brackets, ... in round ones, or the sign -»."""
    if end - start == 3 and data[start] == 0x2D:
        return bool(data[start + 1] == 0xC2 and data[start + 2] == 0xBB)
    square = end - start == 5 and data[start] == 0x5B and data[end - 1] == 0x5D
    around = end - start == 5 and data[start] == 0x28 and data[end - 1] == 0x29
    if square or around:
        start, end = start + 1, end - 1
    if end - start != 3:
        return False
    dots = data[start] == 0x2E and data[start + 1] == 0x2E and data[start + 2] == 0x2E
    return bool(dots or (not around and data[start] == 0xE2 and data[start + 1] == 0x80 and data[start + 2] == 0xA6))


@numba.njit(cache=True, nogil=True)
def _lines(data: Bytes, texts: Offsets, table: Table) -> Counts:
    """Return, a row a document: characters of its addresses, lines that are not blank, those without an end mark, those with a bullet."""
    out = np.zeros((texts.size - 1, 4), np.int64)
    for d in range(texts.size - 1):
        at, stop = texts[d], texts[d + 1]
        while at < stop:
            end = next_newline(data, at, stop)
            first, last = stripped(data, at, end, table)
            if first < last:
                byte = data[last - 1]
                out[d, 0] += _addresses(data, first, last)
                out[d, 1] += 1
                out[d, 2] += not (byte == 0x2E or byte == 0x3F or byte == 0x21 or byte == 0x22 or byte == 0x27)
                out[d, 3] += _bulleted(data, first)
            at = end + 1
    return out


@numba.njit(cache=True, nogil=True)
def _bulleted(data: Bytes, at: int) -> bool:
    """Say whether one of the signs U+2022, 2023, 2043, 204C, 204D, 2219, 25CB, 25CF, 25D8, 25E6, 29BE, 29BF stands at a byte."""
    if data[at] != 0xE2:
        return False
    code = (data[at + 1] & 0x3F) << 6 | data[at + 2] & 0x3F | 0x2000
    return bool(
        code == 0x2022 or code == 0x2023 or code == 0x2043 or code == 0x204C or code == 0x204D or code == 0x2219
        or code == 0x25CB or code == 0x25CF or code == 0x25D8 or code == 0x25E6 or code == 0x29BE or code == 0x29BF
    )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _addresses(data: Bytes, at: int, end: int) -> int:
    """Return the characters of a line that stand in addresses."""
    chars = 0
    if not _has_colon(data, at, end):
        return 0
    while at < end:
        if data[at] != 0x68 or not _begins(data, at, end):
            at += 1
            continue
        while at < end and data[at] > 0x20 and data[at] != 0x22 and data[at] != 0x27 and data[at] != 0x3C and data[at] != 0x3E:
            chars += data[at] & 0xC0 != 0x80
            at += 1
    return chars


@numba.njit(cache=True, nogil=True)
def _has_colon(data: Bytes, at: int, end: int) -> bool:
    i: Any = at
    while i + 8 <= end:
        if same(eight(data, i), 0x3A):
            return True
        i += 8
    while i < end and data[i] != 0x3A:
        i += 1
    return bool(i < end)


@numba.njit(cache=True, nogil=True)
def _begins(data: Bytes, at: int, end: int) -> bool:
    """Say whether http:// or https:// stands at a byte, and something behind it."""
    if at + 8 > end or data[at + 1] != 0x74 or data[at + 2] != 0x74 or data[at + 3] != 0x70:
        return False
    at += 5 if data[at + 4] == 0x73 else 4
    return bool(at + 3 < end and data[at] == 0x3A and data[at + 1] == 0x2F and data[at + 2] == 0x2F and data[at + 3] > 0x20)


@numba.njit(cache=True, nogil=True)
def _paragraphs(data: Bytes, texts: Offsets) -> Counts:
    """Return, a row a document: its paragraphs, those with one of the phrases of boilerplate, those with lorem ipsum."""
    out = np.zeros((texts.size - 1, 3), np.int64)
    for d in range(texts.size - 1):
        at, stop = texts[d], texts[d + 1]
        while at <= stop:
            end = next_newline(data, at, stop)
            while end < stop and not (end + 1 < stop and data[end + 1] == 0x0A):
                end = next_newline(data, end + 1, stop)
            found = find(data, at, end, LETTERS, LENGTHS, KINDS, ANCHORS, BEGUN)
            out[d, 0] += 1
            out[d, 1] += found >> BOILERPLATE & 1
            out[d, 2] += found >> LOREM & 1
            at = end + 2
    return out
