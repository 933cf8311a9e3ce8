"""Data in source files: lines that hold numbers, and runs of encoded bytes, found in walks over bytes."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from catalog.eight import digits_of, eight, is_plain
from catalog.split import Bytes, Offsets, line_end

LINES, INKED, DATA, LONGEST, CHARACTERS = range(5)
NUMBERS = 4
"""Numbers that a line of data has at least; a tenth of its characters may belong to other words."""
RUN = 40
"""Characters of a run of base64 or of hexadecimal digits that makes a line one of data, if it is half of it."""
BASE64_RUN, SEQUENCE = 64, 8
"""StarCoder2's: characters of base64, and escapes or pairs of digits in a row, that are encoded data."""

WORD, HEX, DIGIT, NUMERIC, BASE64, CAPITAL, SMALL, WHITE = (1 << bit for bit in range(8))
CLASSES = np.zeros(256, np.uint8)
for _flag, _members in (
    (WORD, b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"), (HEX, b"0123456789abcdefABCDEF"), (DIGIT, b"0123456789"),
    (NUMERIC, b"0123456789abcdefABCDEFxXoOuUlL_."), (BASE64, b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/="),
    (CAPITAL, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"), (SMALL, b"abcdefghijklmnopqrstuvwxyz"), (WHITE, b" \t\n\r\f\v"),
):  # fmt: skip
    CLASSES[list(_members)] |= _flag

IN_BASE64, IN_SEQUENCE = CLASSES & BASE64 > 0, CLASSES & (HEX | WHITE) > 0
IN_BASE64[0x0A] = IN_SEQUENCE[list(b"\\xu,")] = True
SPACES = np.uint64(0x2020202020202020)
LEAST = 3 * SEQUENCE - 1                                     # characters of the shortest sequence: 41,42,43,44,45,46,47,48

Counts = npt.NDArray[np.int64]


@numba.njit(cache=True, nogil=True)
def count_lines(data: Bytes, texts: Offsets) -> Counts:
    """Return, a row a document: its lines by `str.splitlines()`, those with anything but white space, those of data, characters of the longest and of all."""
    out = np.zeros((texts.size - 1, 5), np.int64)
    for d in range(texts.size - 1):
        at, stop = texts[d], texts[d + 1]
        while at < stop:
            plain, some, begun = at, np.uint64(0), False
            while plain + 8 <= stop:                         # most bytes: eight of ASCII, no digit and no control among them
                part = eight(data, plain)
                if not is_plain(part):
                    break
                some |= digits_of(part)
                begun |= part != SPACES
                plain += 8
            end, after = line_end(data, plain, stop)
            for i in range(plain, end):
                some |= np.uint64(CLASSES[data[i]] & DIGIT)
            if not some:                                     # no line of data is without
                length = plain - at
                for i in range(plain, end):
                    length += data[i] & 0xC0 != 0x80
                    begun |= data[i] > 0x20
                _note_line(out[d], length, begun)
                at = after
                continue
            length, ink, digits, foreign, run, longest = 0, 0, 0, 0, 0, 0
            for i in range(at, end):
                byte = data[i]
                told = CLASSES[byte]
                length += byte & 0xC0 != 0x80
                ink += byte > 0x20
                digits += told & DIGIT > 0
                foreign += byte >= 0x80 or told & (WORD | NUMERIC) == WORD
                run = run + 1 if told & BASE64 else 0
                longest = max(longest, run)
            _note_line(out[d], length, ink > 0)
            numbers = digits >= NUMBERS and 10 * foreign <= ink and _is_numbers(data, at, end)
            out[d, DATA] += numbers or (digits > 0 and longest >= RUN and 2 * longest >= ink and _is_run(data, at, end, ink))
            at = after
    return out


@numba.njit(cache=True, nogil=True)
def _note_line(row: Counts, length: int, inked: bool) -> None:
    row[LINES] += 1
    row[INKED] += inked
    row[LONGEST] = max(row[LONGEST], length)
    row[CHARACTERS] += length


@numba.njit(cache=True, nogil=True)
def _is_numbers(data: Bytes, at: int, end: int) -> bool:
    """Say whether a line is numbers and signs, with hardly another word."""
    numbers, loose, ink = 0, 0, 0
    i: Any = at
    while i < end:
        if not CLASSES[data[i]] & WORD and data[i] < 0x80:
            ink += data[i] > 0x20
            i += 1
            continue
        j = i
        while j < end and (CLASSES[data[j]] & WORD or data[j] == 0x2E or data[j] >= 0x80):
            j += 1
        if _is_number(data, at, i, j):
            numbers += 1
        else:
            loose += j - i
        ink += j - i
        i = j
    return numbers >= NUMBERS and 10 * loose <= ink


@numba.njit(cache=True, nogil=True)
def _is_run(data: Bytes, at: int, end: int, ink: int) -> bool:
    """Say whether half of a line is one run of base64 or of hexadecimal digits: with a digit, and letters large and small or nothing but such digits."""
    longest = 0
    i: Any = at
    while i < end:
        j, some, hexadecimal = i, 0, True
        while j < end and CLASSES[data[j]] & BASE64:
            some |= CLASSES[data[j]]
            hexadecimal &= CLASSES[data[j]] & HEX > 0
            j += 1
        if some & DIGIT and (hexadecimal or (some & CAPITAL and some & SMALL)):
            longest = max(longest, j - i)
        i = j + 1
    return longest >= RUN and 2 * longest >= ink


@numba.njit(cache=True, nogil=True)
def _is_number(data: Bytes, line: int, start: int, end: int) -> bool:
    """Say whether a word is 12, 1.5e3, 0x1F, 7UL, deadbeef01, or what stands behind a backslash in \\x1f and \\u001f."""
    first = data[start] | 0x20
    escaped = start > line and data[start - 1] == 0x5C and (first == 0x78 or first == 0x75)
    begun = start + 1 if escaped else start
    numeric, hexadecimal, digits = begun < end, begun < end, 0
    for i in range(begun, end):
        numeric &= CLASSES[data[i]] & NUMERIC > 0
        hexadecimal &= CLASSES[data[i]] & HEX > 0
        digits += CLASSES[data[i]] & DIGIT > 0
    if escaped:
        return hexadecimal
    return (numeric and CLASSES[data[start]] & DIGIT > 0) or (hexadecimal and digits > 0 and end - start >= SEQUENCE)


@numba.njit(cache=True, nogil=True)
def encoded(data: Bytes, texts: Offsets) -> Counts:
    """Return, a row a document, the characters of encoded data and of its longest run, by StarCoder2's three expressions (Lozhkov et al. 2024).

    What two expressions match counts twice, as it does in the programs that follow the paper; letters beyond ASCII are no word's, as with re.ASCII.
    """
    out = np.zeros((texts.size - 1, 2), np.int64)
    for d in range(texts.size - 1):
        at: Any = texts[d]
        while at < texts[d + 1]:
            first, at = _next_run(data, at, texts[d + 1], BASE64_RUN, IN_BASE64)
            _note(out[d], at - first)
        at = texts[d]
        while at < texts[d + 1]:
            first, at = _next_run(data, at, texts[d + 1], LEAST, IN_SEQUENCE)
            _sequences(data, texts[d], first, at, texts[d + 1], out[d])
    return out


@numba.njit(cache=True, nogil=True)
def _next_run(data: Bytes, at: int, stop: int, least: int, members: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Return where the next run of at least so many members begins and ends; twice `stop` if there is none. Mostly looks at each `least`-th byte."""
    while at + least <= stop:
        middle = at + least - 1
        if not members[data[middle]]:
            at = middle + 1
            continue
        first, end = middle, middle + 1
        while first > at and members[data[first - 1]]:
            first -= 1
        while end < stop and members[data[end]]:
            end += 1
        if end - first >= least:
            return first, end
        at = end
    return stop, stop


@numba.njit(cache=True, nogil=True)
def _sequences(data: Bytes, start: int, first: int, end: int, stop: int, row: Counts) -> None:
    """Note the sequences of pairs and of escapes in data[first:end], of a text from `start` to `stop`."""
    at = first
    while at < end:
        after = _pairs(data, start, at, stop)
        if after == at:
            after = _escapes(data, at, stop)
        if after > at:
            _note(row, after - at)
        at = max(after, at + 1)


@numba.njit(cache=True, nogil=True)
def _note(row: Counts, length: int) -> None:
    row[0] += length
    row[1] = max(row[1], length)


@numba.njit(cache=True, nogil=True)
def _boundary(data: Bytes, start: int, at: int, stop: int) -> bool:
    before = at > start and CLASSES[data[at - 1]] & WORD > 0
    return before != (at < stop and CLASSES[data[at]] & WORD > 0)


@numba.njit(cache=True, nogil=True)
def _is_hex(data: Bytes, at: int, count: int, stop: int) -> bool:
    i = at
    while i < min(at + count, stop) and CLASSES[data[i]] & HEX:
        i += 1
    return i == at + count


@numba.njit(cache=True, nogil=True)
def _pairs(data: Bytes, start: int, at: int, stop: int) -> int:
    """Return where a sequence of pairs of hexadecimal digits ends: each at a word's boundary, with 0x or \\x before it or not, then a comma, or the word's end
    and white space; `at` where there are too few."""
    i, count = at, 0
    while i < stop and _boundary(data, start, i, stop):
        j = i + 2 if i + 1 < stop and data[i + 1] == 0x78 and (data[i] == 0x30 or data[i] == 0x5C) else i
        if not _is_hex(data, j, 2, stop):
            break
        j += 2
        if j < stop and data[j] == 0x2C:
            j += 1
        elif _boundary(data, start, j, stop):
            while j < stop and CLASSES[data[j]] & WHITE:
                j += 1
        else:
            break
        count += 1
        i = j
    return i if count >= SEQUENCE else at


@numba.njit(cache=True, nogil=True)
def _escapes(data: Bytes, at: int, stop: int) -> int:
    """Return where a sequence of \\u0041 ends; `at` where there are too few."""
    i, count = at, 0
    while i + 6 <= stop and data[i] == 0x5C and data[i + 1] == 0x75 and _is_hex(data, i + 2, 4, stop):
        count += 1
        i += 6
    return i if count >= SEQUENCE else at
