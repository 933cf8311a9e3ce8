"""Lines of printed pages: those that break off, tables of contents, entries of an index, capitals, running heads and page numbers."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from catalog.eight import HIGH, digits_of, eight, letters_of, many
from catalog.lines import BLANK, Lines
from catalog.schema import mix64
from catalog.split import TERMINAL, Bytes, Hashes, Offsets, Small, Table, characters, decode, stripped
from curate.repetition import bits_for, place
from curate.text.letters import PLACE, Bits, classes
from curate.text.misread import Smalls, small_letters

COLUMNS = ("lines", "broken", "hyphens", "contents", "index", "capitals", "heads", "pages")
LINES, BROKEN, HYPHENS, CONTENTS, INDEX, CAPITALS, HEADS, PAGES = range(8)
BEGINS_SMALL, ENDS_OPEN, ENDS_HYPHEN = 8, 9, 10              # bits of a line that stand behind those of COLUMNS

FULL = 2 / 3
"""A line that breaks off is at least this share of the longest of nine tenths of a text's lines: what is shorter ended there on purpose."""
LEADERS, GAP, PAGE_DIGITS, NUMERAL = 3, 3, 4, 7
"""Of a line of a table of contents: dots, or spaces where there are no dots, before the page; digits of that, or letters of a Roman one."""
NEXT, CHAIN = 10, 3
"""A running head's number is at most so much higher than where it stood last, on so many lines or more."""
IS_LETTER, IS_UPPER, IS_DIGIT = 1 << PLACE["letters"], 1 << PLACE["upper"], 1 << PLACE["digits"]
ASIDE = np.zeros(128, np.bool_)
ASIDE[list(b" \t-[](){}|.*~")] = True
"""What may stand about a page number."""
FROM_START, FROM_END = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F
"""So that a number before words is not taken for one behind them."""

Counts = npt.NDArray[np.int64]


def count_printed(lines: Lines) -> Counts:
    """Return COLUMNS, a row a document: its lines but blank ones, and those that each rule of `curate.print.signals` marks."""
    told, lengths, keys, numbers = _judge(lines.data, lines.starts, lines.ends, lines.flags, characters()[0], characters()[1], classes(), small_letters())
    counts: Counts = _count(lines.documents, told, lengths, keys, numbers)
    return counts


@numba.njit(cache=True, nogil=True)
def _judge(
    data: Bytes, starts: Offsets, ends: Offsets, flags: Bytes, table: Table, lower: Small, kinds: Bits, small: Smalls
) -> tuple[npt.NDArray[np.int32], Counts, Hashes, Counts]:
    """Return what each line is, a bit each; its characters; and for a number at its start and one at its end what stands beside it, hashed, and itself."""
    told, lengths = np.zeros(starts.size, np.int32), np.zeros(starts.size, np.int64)
    keys, numbers = np.zeros((starts.size, 2), np.uint64), np.zeros((starts.size, 2), np.int64)
    for line in range(starts.size):
        if flags[line] & BLANK:
            continue
        at, end = stripped(data, starts[line], ends[line], table)
        i: Any = at
        letters: Any = 0
        upper: Any = 0
        digits: Any = 0
        length = lowers = 0
        while i < end:
            part = eight(data, i) if i + 8 <= end else HIGH
            if not part & HIGH:                           # eight of ASCII
                found = letters_of(part)
                capitals = many(found & ~(part << np.uint64(2)))
                length += 8
                letters += many(found)
                upper += capitals
                lowers += many(found) - capitals
                digits += many(digits_of(part))
                i += 8
                continue
            code, width = decode(data, i)
            entry = np.int64(kinds[code])
            length += 1
            letters += entry & IS_LETTER > 0
            upper += entry & IS_UPPER > 0
            lowers += small[code]
            digits += entry & IS_DIGIT > 0
            i += width
        lengths[line] = length
        bits = 1 << LINES | (upper >= 2 and lowers == 0) << CAPITALS | small[decode(data, at)[0]] << BEGINS_SMALL | _ending(data, at, end, table, kinds)
        if digits or lowers or upper:
            bits |= _is_contents(data, at, end, kinds) << CONTENTS
        if letters and digits:
            bits |= _is_index(data, at, end, kinds) << INDEX
        told[line] = bits
        if digits:
            _numbered(data, at, end, digits, keys[line], numbers[line], lower, kinds)
    return told, lengths, keys, numbers


@numba.njit(cache=True, nogil=True)
def _last(data: Bytes, start: int, end: int) -> int:
    """Return where the last character of data[start:end] begins; `start` if there is none."""
    at = end - 1
    while at > start and data[at] & 0xC0 == 0x80:
        at -= 1
    return max(at, start)


@numba.njit(cache=True, nogil=True)
def _ending(data: Bytes, start: int, end: int, table: Table, kinds: Bits) -> int:
    """Return how a line ends: open where no sign ends its sentence, quotes and brackets behind that set aside; with a hyphen behind a letter."""
    at = _last(data, start, end)
    code = decode(data, at)[0]
    hyphen = code == 0x2D or code == 0xAD or code == 0x2010 or code == 0xAC
    if hyphen and at > start and np.int64(kinds[decode(data, _last(data, start, at))[0]]) & IS_LETTER:
        return 1 << ENDS_HYPHEN | 1 << ENDS_OPEN
    while at > start and (code == 0x22 or code == 0x27 or code == 0x29 or code == 0x5D or code == 0xBB or code == 0x2019 or code == 0x201D):
        at = _last(data, start, at)
        code = decode(data, at)[0]
    return 0 if table[code] & TERMINAL or code == 0x3A or code == 0x2026 else 1 << ENDS_OPEN


@numba.njit(cache=True, nogil=True)
def _is_numeral(byte: int) -> bool:
    """Say whether a letter is one of a Roman number's: i v x l c d m."""
    b = byte | 0x20
    return bool(b == 0x69 or b == 0x76 or b == 0x78 or b == 0x6C or b == 0x63 or b == 0x64 or b == 0x6D)


@numba.njit(cache=True, nogil=True)
def _is_contents(data: Bytes, start: int, end: int, kinds: Bits) -> bool:
    """Say whether a line is words, then dots or a gap, then a page."""
    at, roman = end, False
    while at > start and 0x30 <= data[at - 1] <= 0x39:
        at -= 1
    if at == end:
        roman = True
        while at > start and _is_numeral(data[at - 1]):
            at -= 1
    if at == end or end - at > (NUMERAL if roman else PAGE_DIGITS):
        return False
    dots, gap, i = 0, 0, at
    while i > start:
        byte = data[i - 1]
        if byte == 0x2E:
            dots += 1
        elif byte == 0x20 or byte == 0x09:
            gap += GAP if byte == 0x09 else 1
        elif i - start >= 3 and byte == 0xA6 and data[i - 2] == 0x80 and data[i - 3] == 0xE2:      # …
            dots += 3
            i -= 2
        elif i - start >= 2 and byte == 0xB7 and data[i - 2] == 0xC2:                              # ·
            dots += 1
            i -= 1
        else:
            break
        i -= 1
    if dots < LEADERS and (dots or roman or gap < GAP or _has_gap(data, start, i)):
        return False
    return bool(_has_letter(data, start, i, kinds))


@numba.njit(cache=True, nogil=True)
def _has_gap(data: Bytes, start: int, end: int) -> bool:
    """Say whether there is another gap, as between the columns of a table."""
    run = 0
    for i in range(start, end):
        run = run + 1 if data[i] == 0x20 else 0
        if run >= GAP or data[i] == 0x09:
            return True
    return False


@numba.njit(cache=True, nogil=True)
def _has_letter(data: Bytes, start: int, end: int, kinds: Bits) -> bool:
    i: Any = start
    while i < end:
        code, width = decode(data, i)
        if np.int64(kinds[code]) & IS_LETTER:
            return True
        i += width
    return False


@numba.njit(cache=True, nogil=True)
def _is_index(data: Bytes, start: int, end: int, kinds: Bits) -> bool:
    """Say whether a line begins with a letter and ends in pages: a comma before each, two of them, or one that is no year."""
    if not np.int64(kinds[decode(data, start)[0]]) & IS_LETTER:
        return False
    at, pages, year = end, 0, False
    if data[at - 1] == 0x2E or data[at - 1] == 0x2C or data[at - 1] == 0x3B:
        at -= 1
    while True:
        begun = _page_start(data, start, at)
        i = begun
        while i > start and data[i - 1] == 0x20:
            i -= 1
        if begun == at or i == start or data[i - 1] != 0x2C:
            break
        pages += 1
        year = at - begun == PAGE_DIGITS and 0x30 <= data[at - 2] <= 0x39 and 0x30 <= data[at - 3] <= 0x39
        at = i - 1
    return bool(pages > 0 and (pages > 1 or not year) and at > start and not 0x30 <= data[at - 1] <= 0x39)


@numba.njit(cache=True, nogil=True)
def _page_start(data: Bytes, start: int, end: int) -> int:
    """Return where the page, or the range of pages, that ends at `end` begins; `end` if there is none."""
    at = end
    while at > start and end - at <= PAGE_DIGITS and 0x30 <= data[at - 1] <= 0x39:
        at -= 1
    if at == end or end - at > PAGE_DIGITS:
        return end
    dash = 0
    if at > start and data[at - 1] == 0x2D:
        dash = 1
    elif at - start >= 3 and data[at - 3] == 0xE2 and data[at - 2] == 0x80 and data[at - 1] == 0x93:        # –
        dash = 3
    i = at - dash
    while dash and i > start and at - dash - i <= PAGE_DIGITS and 0x30 <= data[i - 1] <= 0x39:
        i -= 1
    return i if dash and 0 < at - dash - i <= PAGE_DIGITS else at


@numba.njit(cache=True, nogil=True)
def _numbered(data: Bytes, start: int, end: int, digits: int, keys: Hashes, numbers: Counts, lower: Small, kinds: Bits) -> None:
    """Note a number at the line's start and one at its end, with the hash of the line's letters. A number alone is noted once, under the key 1."""
    first, last = start, end
    while first < last and data[first] < 0x80 and ASIDE[data[first]]:
        first += 1
    while last > first and data[last - 1] < 0x80 and ASIDE[data[last - 1]]:
        last -= 1
    after, before = first, last
    while after < last and 0x30 <= data[after] <= 0x39:
        after += 1
    while before > first and 0x30 <= data[before - 1] <= 0x39:
        before -= 1
    if after == last:
        if digits <= PAGE_DIGITS and first < last:
            keys[0], numbers[0] = np.uint64(1), _value(data, first, last)
        return
    h, letters = np.uint64(0xCBF29CE484222325), 0
    i: Any = first
    while i < last:
        code, width = decode(data, i)
        if np.int64(kinds[code]) & IS_LETTER:
            h = (h ^ np.uint64(lower[code])) * np.uint64(0x100000001B3)
            letters += 1
        i += width
    if letters == 0:
        return
    if 0 < after - first <= PAGE_DIGITS and data[after] <= 0x20:
        keys[0], numbers[0] = max(mix64(h ^ np.uint64(FROM_START)), np.uint64(2)), _value(data, first, after)
    if 0 < last - before <= PAGE_DIGITS and data[before - 1] <= 0x20:
        keys[1], numbers[1] = max(mix64(h ^ np.uint64(FROM_END)), np.uint64(2)), _value(data, before, last)


@numba.njit(cache=True, nogil=True)
def _value(data: Bytes, start: int, end: int) -> int:
    value = 0
    for i in range(start, end):
        value = value * 10 + data[i] - 0x30
    return value


@numba.njit(cache=True, nogil=True)
def _count(documents: Offsets, told: npt.NDArray[np.int32], lengths: Counts, keys: Hashes, numbers: Counts) -> Counts:
    out = np.zeros((documents.size - 1, 8), np.int64)
    for d in range(documents.size - 1):
        first, last = documents[d], documents[d + 1]
        inked = np.sort(lengths[first:last][lengths[first:last] > 0])
        full = FULL * inked[(inked.size - 1) * 9 // 10] if inked.size else 0.0
        for line in range(first, last):
            for rule in range(LINES, HEADS):
                out[d, rule] += told[line] >> rule & 1
            if line + 1 < last and told[line + 1] >> BEGINS_SMALL & 1:
                out[d, BROKEN] += (told[line] >> ENDS_OPEN & 1) and lengths[line] >= full
                out[d, HYPHENS] += told[line] >> ENDS_HYPHEN & 1
        _count_up(out[d], keys[first:last], numbers[first:last])
    return out


@numba.njit(cache=True, nogil=True)
def _count_up(row: Counts, keys: Hashes, numbers: Counts) -> None:
    """Count the lines that belong to a chain: the same letters beside a number that goes up, again and again."""
    noted = np.count_nonzero(keys)
    if noted < CHAIN:
        return
    bits = bits_for(noted)
    slots, shift = np.zeros(1 << bits, np.uint64), np.uint64(64 - bits)
    chain, behind = np.zeros(1 << bits, np.int64), np.zeros((1 << bits, CHAIN), np.int64)
    last, marked = np.zeros(1 << bits, np.int64), np.zeros(keys.shape[0], np.bool_)
    for line in range(keys.shape[0]):
        for side in range(2):
            key = keys[line, side]
            if key == 0:
                continue
            slot = place(slots, key, shift)
            slots[slot] = key
            number = numbers[line, side]
            goes_on = chain[slot] > 0 and 0 < number - last[slot] <= NEXT
            chain[slot] = chain[slot] + 1 if goes_on else 1
            last[slot] = number
            behind[slot, chain[slot] % CHAIN] = line
            if chain[slot] >= CHAIN:
                for k in range(CHAIN):
                    marked[behind[slot, k]] = True
    for line in range(keys.shape[0]):
        row[PAGES if keys[line, 0] == 1 else HEADS] += marked[line]
