"""How much of a source file is comment, by the signs of its language (`curate.text.syntax`), in one walk over its bytes."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from catalog.split import Bytes, Offsets
from curate.text import syntax
from curate.text.syntax import (
    BLOCK_COMES,
    BRACKET,
    COMMENT,
    DOCS,
    ESCAPED,
    LINE_COMES,
    LINE_START,
    LONG_QUOTE,
    MARGIN,
    NESTS,
    ONE_CHARACTER,
    QUOTE,
    SKIPS,
    SLASH,
    SPACED,
    TEXT,
)

Counts = npt.NDArray[np.int64]
Table = npt.NDArray[np.int64]
Signs = npt.NDArray[np.uint8]

BEFORE_REGEX = np.zeros(256, np.bool_)
BEFORE_REGEX[list(b"(,=:[!&|?{};+-*%<>~^")] = True
WORDS_BEFORE_REGEX = (b"return", b"typeof", b"case", b"in", b"of", b"do", b"else", b"void", b"yield", b"await", b"delete", b"throw")
BEFORE_WORDS = np.array([list(word.rjust(8, b"\0")) for word in WORDS_BEFORE_REGEX], np.uint8)
PREFIX = np.zeros(256, np.bool_)
PREFIX[list(b"rRuUbBfF")] = True
ASIDE = 12                                                   # bytes within which one quoted character ends: '\\u{10ffff}'
REGEX_MOST = 400                                             # bytes within which a regular expression ends; else a line of slashes takes hours


def comment_characters(data: Bytes, texts: Offsets, languages: Counts) -> Counts:
    """Return how many characters of comments and of strings that document each text has, their signs included; -1 where the language is unknown.

    `languages` gives each text's place in `syntax.NAMES`, or -1.
    """
    known = syntax.tables()
    counts: Counts = _count(
        data, texts, languages, known.begins, known.line_signs, known.line_lengths, known.line_flags,
        known.opens, known.open_lengths, known.closes, known.close_lengths, known.block_flags, known.flags,
    )  # fmt: skip
    return counts


@numba.njit(cache=True, nogil=True)
def _count(
    data: Bytes, texts: Offsets, languages: Counts, begins: Signs, line_signs: Signs, line_lengths: Table, line_flags: Table,
    opens: Signs, open_lengths: Table, closes: Signs, close_lengths: Table, block_flags: Table, flags: Table,
) -> Counts:  # fmt: skip
    out = np.full(texts.size - 1, -1, np.int64)
    for d in range(texts.size - 1):
        s = languages[d]
        if s >= 0:
            out[d] = _walk(
                data, texts[d], texts[d + 1], begins[s], line_signs[s], line_lengths[s], line_flags[s],
                opens[s], open_lengths[s], closes[s], close_lengths[s], block_flags[s], flags[s, 0], flags[s, 1],
            )  # fmt: skip
    return out


@numba.njit(cache=True, nogil=True)
def _walk(
    data: Bytes, start: int, stop: int, begins: Signs, line_signs: Signs, line_lengths: Table, line_flags: Table,
    opens: Signs, open_lengths: Table, closes: Signs, close_lengths: Table, block_flags: Table, told: int, escapes: int,
) -> int:  # fmt: skip
    """Return the characters of comments in data[start:stop]. `first` is where the line's text begins, `depth` how many brackets are open."""
    i: Any = start
    first, depth, found = -1, 0, 0
    while i < stop:
        byte = data[i]
        if byte == 0x0A:
            first = -1
            i += 1
            continue
        if first < 0 and byte != 0x20 and byte != 0x09:
            first = i
        kind = begins[byte]
        if kind == 0:
            i += 1
            continue
        after = i
        if kind & BLOCK_COMES:
            after, what = _block(data, start, i, stop, opens, open_lengths, closes, close_lengths, block_flags)
            found += _characters(data, i, after) if what & COMMENT else 0
            found += _documents(data, first, i, after, stop, told, depth) if what & TEXT else 0
        if after == i and kind & LINE_COMES and _line_comes(data, start, i, stop, first, line_signs, line_lengths, line_flags):
            after = _line_end(data, i, stop)
            found += _characters(data, i, after)
        if after == i:
            after = _string(data, start, i, stop, kind, escapes)
            found += _documents(data, first, i, after, stop, told, depth) if kind & QUOTE else 0
        if after == i:
            if kind & BRACKET:
                depth = max(depth + (1 if byte == 0x28 or byte == 0x5B or byte == 0x7B else -1), 0)
            after = i + 1
        i = min(after, stop)
    return found


@numba.njit(cache=True, nogil=True)
def _string(data: Bytes, start: int, i: Any, stop: int, kind: int, escapes: int) -> Any:
    """Return where what begins at i ends: a string, a quoted character, a regular expression; i where nothing does."""
    if kind & QUOTE:
        return _quoted(data, i, stop, data[i], escapes, True)
    if kind & LONG_QUOTE:
        return _quoted(data, i, stop, data[i], escapes, False)
    if kind & ONE_CHARACTER:
        return _one_character(data, i, stop)
    if kind & SLASH and _regex_may_come(data, start, i):
        return _regex(data, i, stop)
    if kind & SKIPS:
        return i + 3 if i + 1 < stop and data[i] == 0x3F and data[i + 1] == 0x5C else i + 2
    return i


@numba.njit(cache=True, nogil=True)
def _same(data: Bytes, at: int, stop: int, sign: Signs, length: int) -> bool:
    if at + length > stop:
        return False
    j = 0
    while j < length and data[at + j] == sign[j]:
        j += 1
    return j == length


@numba.njit(cache=True, nogil=True)
def _block(
    data: Bytes, start: int, i: int, stop: int, opens: Signs, open_lengths: Table, closes: Signs, close_lengths: Table, block_flags: Table
) -> tuple[int, int]:
    """Return where the block that begins at i ends (the text's end if nowhere), and its flags; i and 0 if none does."""
    for b in range(open_lengths.size):
        length = open_lengths[b]
        if length == 0:
            break
        if _same(data, i, stop, opens[b], length):
            flags = block_flags[b]
            if flags & MARGIN:
                margin = i == start or data[i - 1] == 0x0A
                if not margin or i + 1 >= stop or not 0x61 <= data[i + 1] <= 0x7A:
                    continue
            return _closed(data, i + length, stop, opens[b], length, closes[b], close_lengths[b], flags), flags
    return i, 0


@numba.njit(cache=True, nogil=True)
def _closed(data: Bytes, at: Any, stop: int, opened: Signs, open_length: int, closed: Signs, close_length: int, flags: int) -> Any:
    depth = 1
    while at < stop:
        byte = data[at]
        if flags & ESCAPED and byte == 0x5C:
            at += 2
            continue
        if byte == closed[0] and _same(data, at, stop, closed, close_length):
            if flags & MARGIN:
                if data[at - 1] == 0x0A:
                    return _line_end(data, at, stop)
            else:
                depth -= 1
                at += close_length
                if depth == 0:
                    return at
                continue
        elif flags & NESTS and byte == opened[0] and _same(data, at, stop, opened, open_length):
            depth += 1
            at += open_length
            continue
        at += 1
    return stop


@numba.njit(cache=True, nogil=True)
def _line_comes(data: Bytes, start: int, i: int, stop: int, first: int, signs: Signs, lengths: Table, flags: Table) -> bool:
    for k in range(lengths.size):
        if lengths[k] and _same(data, i, stop, signs[k], lengths[k]):
            if flags[k] & SPACED and i > start and data[i - 1] > 0x20 and data[i - 1] != 0x3B:
                continue
            if flags[k] & LINE_START and i != first:
                continue
            return True
    return False


@numba.njit(cache=True, nogil=True)
def _line_end(data: Bytes, i: int, stop: int) -> int:
    while i < stop and data[i] != 0x0A:
        i += 1
    return i


@numba.njit(cache=True, nogil=True)
def _quoted(data: Bytes, i: int, stop: int, quote: int, escapes: int, within_line: bool) -> int:
    """Return where a string ends, its quote included; where its line ends, if it may not go further and does not end before."""
    i += 1
    while i < stop:
        if data[i] == quote:
            return i + 1
        if within_line and data[i] == 0x0A:
            return i
        i += 2 if escapes and data[i] == 0x5C else 1
    return stop


@numba.njit(cache=True, nogil=True)
def _one_character(data: Bytes, i: int, stop: int) -> int:
    """Return where 'x' or an escape in single quotes ends; i where the sign is something else."""
    if i + 2 >= stop:
        return i
    if data[i + 1] == 0x5C:
        for j in range(i + 3, min(i + ASIDE, stop)):
            if data[j] == 0x27:
                return j + 1
        return i
    j = i + 2
    while j < stop and data[j] & 0xC0 == 0x80:
        j += 1
    return j + 1 if j < stop and data[j] == 0x27 and data[i + 1] != 0x27 else i


@numba.njit(cache=True, nogil=True)
def _regex_may_come(data: Bytes, start: int, i: int) -> bool:
    """Say whether a slash may begin a regular expression: behind an operator, an open bracket, a word such as return, or at the beginning."""
    j = i - 1
    while j >= start and (data[j] == 0x20 or data[j] == 0x09 or data[j] == 0x0A):
        j -= 1
    if j < start or BEFORE_REGEX[data[j]]:
        return True
    for w in range(BEFORE_WORDS.shape[0]):
        at, k = j, BEFORE_WORDS.shape[1] - 1
        while k >= 0 and at >= start and data[at] == BEFORE_WORDS[w, k]:
            at -= 1
            k -= 1
        if (k < 0 or BEFORE_WORDS[w, k] == 0) and (at < start or not _in_word(data[at])):
            return True
    return False


@numba.njit(cache=True, nogil=True)
def _in_word(byte: int) -> bool:
    return bool(0x30 <= byte <= 0x39 or 0x41 <= byte <= 0x5A or 0x61 <= byte <= 0x7A or byte == 0x5F or byte == 0x24 or byte >= 0x80)


@numba.njit(cache=True, nogil=True)
def _regex(data: Bytes, i: int, stop: int) -> int:
    """Return where the regular expression that begins at i ends; i where its line ends before."""
    j, inside = i + 1, False
    stop = min(stop, i + REGEX_MOST)
    while j < stop and data[j] != 0x0A:
        if data[j] == 0x5C:
            j += 1
        elif data[j] == 0x5B:
            inside = True
        elif data[j] == 0x5D:
            inside = False
        elif data[j] == 0x2F and not inside:
            return j + 1
        j += 1
    return i


@numba.njit(cache=True, nogil=True)
def _documents(data: Bytes, first: int, i: int, after: int, stop: int, told: int, depth: int) -> int:
    """Return the characters of the string data[i:after] if it is a whole statement, with nothing but a prefix (r, u, b, f) before it in its line and
    nothing but a comment behind it, in a language where such a string documents; else 0."""
    if not told & DOCS or depth > 0:
        return 0
    at, end = i, after
    while at > first and i - at < 2 and PREFIX[data[at - 1]]:
        at -= 1
    if at != first:
        return 0
    while after < stop and (data[after] == 0x20 or data[after] == 0x09):
        after += 1
    return _characters(data, first, end) if after >= stop or data[after] == 0x0A or data[after] == 0x23 or data[after] == 0x3B else 0


@numba.njit(cache=True, nogil=True)
def _characters(data: Bytes, start: int, end: int) -> int:
    count = 0
    for i in range(start, end):
        count += data[i] & 0xC0 != 0x80
    return count
