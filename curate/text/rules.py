"""The walk over lines behind `refinedweb.signals`: which rule takes a line out, or what of it."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from catalog.split import WHITE, Bytes, Offsets, Table, characters, decode
from curate.text.letters import PLACE, Bits, classes

UPPERCASE, NUMERIC, COUNTER, SHORT, CART, READ_MORE, SIGN_IN, KEPT = range(8)
"""What becomes of a line: the first rule that takes it out, in DCLM's order. The three phrases take out the line only where nothing else is on it."""

NOUNS = ("likes", "shares", "comments", "retweets", "reposts", "quotes", "bookmarks", "upvotes", "downvotes", "downloads", "views", "followers")
"""What a counter counts."""

PHRASES = (b"items in cart", b"read more", b"sign-in")
AT_MOST = 10                                                 # words of a line in which the phrases are looked for
IS_UPPER, IS_DIGIT, IS_ALNUM = 1 << PLACE["upper"], 1 << PLACE["digits"], 1 << PLACE["alnum"]
NOUN_LETTERS = np.array([list(noun.encode().ljust(10, b"\0")) for noun in NOUNS], np.uint8)
NOUN_LENGTHS = np.array([len(noun) for noun in NOUNS])
FIGURES = np.array([code for code in range(0x20000) if chr(code).isdigit() and not chr(code).isdecimal()])
"""Superscripts, digits in circles and the like: `str.isdigit` takes them for digits."""
CART_LETTERS, MORE_LETTERS, SIGN_LETTERS = (np.frombuffer(phrase, np.uint8) for phrase in PHRASES)

Counts = npt.NDArray[np.int64]
Spans = npt.NDArray[np.int64]


def judge_lines(data: Bytes, texts: Offsets, cutting: npt.NDArray[np.bool_], most_upper: float, min_words: int) -> tuple[Counts, Spans, Offsets]:
    """Return how many lines met each outcome (a row a document), the spans (kind, start, end in bytes) and their n + 1 offsets.

    `cutting` says for which documents spans are wanted. Lines are what newlines part; blank ones are no lines.
    """
    counts, spans, owners = _judge(data, texts, cutting, most_upper, min_words, characters()[0], classes())
    return counts, spans, owners


@numba.njit(cache=True, nogil=True)
def _judge(
    data: Bytes, texts: Offsets, cutting: npt.NDArray[np.bool_], most_upper: float, min_words: int, table: Table, kinds: Bits
) -> tuple[Counts, Spans, Offsets]:
    counts, owners = np.zeros((texts.size - 1, KEPT + 1), np.int64), np.zeros(texts.size, np.int64)
    spans = np.empty((64, 3), np.int64)
    made = 0
    for d in range(texts.size - 1):
        at, stop = texts[d], texts[d + 1]
        while at < stop:
            end = at
            while end < stop and data[end] != 0x0A:
                end += 1
            after = min(end + 1, stop)
            if end > at:
                if made + (end - at) // 7 + 4 > spans.shape[0]:          # the shortest phrase has seven letters
                    spans = _more(spans, made + (end - at) // 7 + 4)
                words, blank = _words(data, at, end, table)
                outcome = _outcome(data, at, end, words, blank, most_upper, min_words, table, kinds)
                marked = made
                if outcome == KEPT and words <= AT_MOST:
                    outcome, marked = _phrases(data, at, end, spans, made, table)
                if not blank:
                    counts[d, outcome] += 1
                if cutting[d] and outcome != KEPT:
                    spans[made, 0], spans[made, 1], spans[made, 2] = outcome, at, after
                    made = _joined(spans, owners[d], made)
                elif cutting[d]:
                    made = marked
            at = after
        owners[d + 1] = made
    return counts, spans[:made], owners


@numba.njit(cache=True, nogil=True)
def _more(spans: Spans, room: int) -> Spans:
    wider = np.empty((max(2 * spans.shape[0], room), 3), np.int64)
    wider[: spans.shape[0]] = spans
    return wider


@numba.njit(cache=True, nogil=True)
def _joined(spans: Spans, first: int, made: int) -> int:
    """Return the number of spans with the newest; it joins one of its kind that ends where it begins."""
    if made > first and spans[made - 1, 0] == spans[made, 0] and spans[made - 1, 2] == spans[made, 1]:
        spans[made - 1, 2] = spans[made, 2]
        return made
    return made + 1


@numba.njit(cache=True, nogil=True)
def _words(data: Bytes, at: int, end: int, table: Table) -> tuple[int, bool]:
    """Return how many words white space parts, and whether there is nothing but white space."""
    words, inside = 0, False
    while at < end:
        code, width = decode(data, at)
        white = table[code] & WHITE > 0
        words += not (white or inside)
        inside = not white
        at += width
    return words, words == 0


@numba.njit(cache=True, nogil=True)
def _outcome(data: Bytes, at: int, end: int, words: int, blank: bool, most_upper: float, min_words: int, table: Table, kinds: Bits) -> int:
    """Return the first of the rules for whole lines that meets a line."""
    chars = upper = digits = 0
    i = at
    while i < end:
        code, width = decode(data, i)
        kind: Any = np.int64(kinds[code])
        chars += 1
        upper += kind & IS_UPPER > 0
        digits += kind & IS_DIGIT > 0 or (code > 0x7F and kind & IS_ALNUM > 0 and _is_figure(code))
        i += width
    if upper > most_upper * chars:
        return UPPERCASE
    if digits == chars:
        return NUMERIC
    if digits and _counts(data, at, end, table, kinds):
        return COUNTER
    return SHORT if words < min_words else KEPT


@numba.njit(cache=True, nogil=True)
def _is_figure(code: int) -> bool:
    place = np.searchsorted(FIGURES, code)
    return bool(place < FIGURES.size and FIGURES[place] == code)


@numba.njit(cache=True, nogil=True)
def _is_decimal(data: Bytes, at: int, end: int, kinds: Bits) -> bool:
    return bool(at < end and kinds[decode(data, at)[0]] & IS_DIGIT)


@numba.njit(cache=True, nogil=True)
def _counts(data: Bytes, at: int, end: int, table: Table, kinds: Bits) -> bool:
    """Say whether a line is a counter: a number, k, m or b behind it, white space and one of NOUNS, and no other letter or digit."""
    at = _skipped(data, at, end, kinds)
    if not _is_decimal(data, at, end, kinds):
        return False
    while at < end and (_is_decimal(data, at, end, kinds) or data[at] == 0x2C or data[at] == 0x2E):
        at += decode(data, at)[1]
    if at < end and (data[at] | 0x20 == 0x6B or data[at] | 0x20 == 0x6D or data[at] | 0x20 == 0x62):
        at += 1
    start = at
    while at < end:
        code, width = decode(data, at)
        if not table[code] & WHITE:
            break
        at += width
    if at == start:
        return False
    for n in range(NOUN_LENGTHS.size):
        if _same(data, at, end, NOUN_LETTERS[n], NOUN_LENGTHS[n]) and _skipped(data, at + NOUN_LENGTHS[n], end, kinds) >= end:
            return True
    return False


@numba.njit(cache=True, nogil=True)
def _skipped(data: Bytes, at: int, end: int, kinds: Bits) -> int:
    """Return where the next letter, number or underscore stands."""
    while at < end:
        code, width = decode(data, at)
        if kinds[code] & IS_ALNUM or code == 0x5F:
            break
        at += width
    return at


@numba.njit(cache=True, nogil=True)
def _same(data: Bytes, at: int, end: int, letters: Bytes, length: int) -> bool:
    """Say whether ASCII letters stand at a byte, in any case."""
    if at < 0 or at + length > end:
        return False
    for j in range(length):
        byte = data[at + j]
        if letters[j] != (byte | 0x20 if 0x41 <= byte <= 0x5A else byte):
            return False
    return True


@numba.njit(cache=True, nogil=True)
def _phrases(data: Bytes, at: int, end: int, spans: Spans, made: int, table: Table) -> tuple[int, int]:
    """Mark the phrases of a short line as spans; return what becomes of the line, and the number of spans with theirs.

    `items in cart` goes from anywhere, then `Read more` and three characters from the end of what is left, then `Sign-in` from its
    beginning; with the first two goes the white space before, with the third that behind it.
    """
    marked, outcome, free = made, KEPT, at
    for i in range(at, end):
        if i >= free and data[i] | 0x20 == 0x69 and _same(data, i, end, CART_LETTERS, CART_LETTERS.size):
            start, free = _behind(data, free, i, table), i + CART_LETTERS.size
            marked, outcome = _mark(spans, marked, CART, start, free), CART
    last, tail = marked, end
    while last > made and spans[last - 1, 2] == tail:
        last -= 1
        tail = spans[last, 1]
    free, more = spans[last - 1, 2] if last > made else at, _back(data, at, tail, 3) - MORE_LETTERS.size
    if more >= free and _same(data, more, tail, MORE_LETTERS, MORE_LETTERS.size):
        spans[last, 1], outcome = _behind(data, free, more, table), READ_MORE
        if last == marked:
            marked = _mark(spans, marked, READ_MORE, spans[last, 1], end)
    first, head = made, at
    while first < marked and spans[first, 1] == head:
        head = spans[first, 2]
        first += 1
    free = spans[first, 1] if first < marked else end
    if _same(data, head, free, SIGN_LETTERS, SIGN_LETTERS.size):
        marked, outcome = _lead(data, head + SIGN_LETTERS.size, free, spans, made, first, marked, at, table), SIGN_IN
    if outcome == KEPT or _rest(data, at, end, spans, made, marked, table):
        return KEPT, marked
    return outcome, marked


@numba.njit(cache=True, nogil=True)
def _lead(data: Bytes, behind: int, free: int, spans: Spans, made: int, first: int, marked: int, at: int, table: Table) -> int:
    """Mark what a line begins with, up to a byte and the white space there; return the number of spans."""
    if behind < free:
        code, width = decode(data, behind)
        behind += width if table[code] & WHITE else 0
    if first > made:
        spans[first - 1, 2] = behind
        return marked
    for s in range(marked, made, -1):
        spans[s] = spans[s - 1]
    spans[made, 0], spans[made, 1], spans[made, 2] = SIGN_IN, at, behind
    return marked + 1


@numba.njit(cache=True, nogil=True)
def _mark(spans: Spans, made: int, kind: int, start: int, end: int) -> int:
    spans[made, 0], spans[made, 1], spans[made, 2] = kind, start, end
    return made + 1


@numba.njit(cache=True, nogil=True)
def _back(data: Bytes, at: int, end: int, chars: int) -> int:
    """Return where the last few characters begin."""
    while chars and end > at:
        end -= 1
        while data[end] & 0xC0 == 0x80:
            end -= 1
        chars -= 1
    return end


@numba.njit(cache=True, nogil=True)
def _behind(data: Bytes, at: int, i: int, table: Table) -> int:
    """Return where one white space before a byte begins, or the byte where there is none."""
    before = _back(data, at, i, 1)
    return before if before < i and table[decode(data, before)[0]] & WHITE else i


@numba.njit(cache=True, nogil=True)
def _rest(data: Bytes, at: int, end: int, spans: Spans, made: int, marked: int, table: Table) -> bool:
    """Say whether anything but white space is left of a line without its spans."""
    for s in range(made, marked):
        if not _words(data, at, spans[s, 1], table)[1]:
            return True
        at = spans[s, 2]
    return not _words(data, at, end, table)[1]
