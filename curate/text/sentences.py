"""The walk over sentences behind `madlad.signals`: which of MADLAD-400's rules a sentence meets."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from catalog.eight import HIGH, bits_of, eight, has_zero, zeros_of
from catalog.split import ALPHA, DIGIT, TERMINAL, UPPER, WHITE, Bytes, Offsets, Table, Words, characters, decode, stripped

LIST_CASE, LENGTH, TECHNICAL, CURSED, DOLMA_CURSED = 1, 2, 4, 8, 16
QUESTIONABLE = ("questionable", "questionable_2_5")

LEAST_WORDS = 12  # rule 2
SHORTEST, LONGEST = 20, 500  # characters, rule 3
FIFTH = 5  # rule 4: one character of so many
IS_TECHNICAL = np.zeros(256, np.uint8)
IS_TECHNICAL[list(b"0123456789{}+/()>")] = 1
FULL_WIDTH = 0x3000  # a sign from here on ends a sentence without white space behind it

PLAIN = (
    " №", "\ufffd\ufffd\ufffd", "aute irure dolor ", " sunt in culpa qui ", "orem ipsum ", " quis nostrud ", " adipisicing ", " dolore eu ",
    " cupidatat ", "autem vel eum", "wisi enim ad", " sex ", " porn ", "黄色电影", "mp3", "ownload", "Episode", "Develop", "Facebook",
    " crusher ", " xxx ",
)  # fmt: skip
"""What is cursed, wherever it stands and as it is written (rule 5; the card of allenai/MADLAD-400)."""
EXPRESSIONS = ("Vol.", " Ep.", " шт.")
"""The same, written there as regular expressions."""
AT_END = ("|", " nr.", " г.", " кг.")
"""The same, at the end of a sentence."""
PATTERNS = ((9, 3), (9, 4))
"""Runs of nine words of three characters each, of four each (rule 5's `...` and `....`, whose full stops stand for any character)."""
SINGLES = 9  # a run of so many single characters between spaces

COMMONNESS = " etaoinsrhldcumfpgwybvkxjqz"  # the rarest letter of a string is the one by which it is looked for
SPACES, STOPS, CALLS, ASKS = (np.uint64(byte * 0x0101010101010101) for byte in b" .!?")

Counts = npt.NDArray[np.int64]


def _tables() -> tuple[Bytes, Counts, Counts, Counts, Counts, Counts]:
    """Return the strings as bytes, their lengths, anchors and outcomes, and which strings (first to last) to try at a byte."""
    rules = [(text, CURSED | DOLMA_CURSED) for text in PLAIN] + [(text, CURSED) for text in EXPRESSIONS] + [(text, -CURSED) for text in AT_END]
    raw = [(text.encode(), rule) for text, rule in rules]
    keyed = sorted((text[at := _rarest(text)], text, at, rule) for text, rule in raw)
    width = max(len(text) for _, text, _, _ in keyed)
    letters = np.array([list(text.ljust(width, b"\0")) for _, text, _, _ in keyed], np.uint8)
    lengths, anchors, outcomes = (np.array(column, np.int64) for column in zip(*((len(text), at, rule) for _, text, at, rule in keyed), strict=True))
    keys = np.array([key for key, *_ in keyed])
    first, last = np.searchsorted(keys, np.arange(256), "left"), np.searchsorted(keys, np.arange(256), "right")
    return letters, lengths, anchors, outcomes, first, last


def _rarest(text: bytes) -> int:
    """The place of the byte that is rarest in texts: the last byte of a letter outside ASCII, else a sign or a capital, else by COMMONNESS."""
    ranks = [100 if byte > 0x7F and byte & 0xC0 == 0x80 else -1 if byte > 0x7F else COMMONNESS.find(chr(byte)) % 99 for byte in text]
    return ranks.index(max(ranks))


def _around() -> npt.NDArray[np.uint32]:
    """Return, for each byte before an anchor, of an anchor and behind one, which strings may stand there, a bit each; COMMA: whether a list of pairs may."""
    letters, lengths, anchors, *_ = STRINGS
    around = np.zeros((3, 256), np.uint32)
    for k, (length, anchor) in enumerate(zip(lengths, anchors, strict=True)):
        for place, at in enumerate((anchor - 1, anchor, anchor + 1)):
            around[place, letters[k, at] if 0 <= at < length else slice(None)] |= np.uint32(1 << k)
    around[0] |= np.uint32(COMMA)
    around[1, 0x2C] |= np.uint32(COMMA)
    around[2, 0x20] |= np.uint32(COMMA)
    return around


STRINGS = _tables()
COMMA = 1 << 31
AROUND = _around()


def judge_sentences(split: Words) -> Counts:
    """Return, a row a document: sentences; those that meet rules 2, 3, 4 and 5; any of these; rule 2 or Dolma 3's reading of rule 5."""
    counts: Counts = _judge(split.data, split.texts, split.documents, split.starts, split.flags, *STRINGS, characters()[0])
    return counts


@numba.njit(cache=True, nogil=True)
def _judge(
    data: Bytes, texts: Offsets, documents: Offsets, starts: Offsets, flags: Bytes,
    letters: Bytes, lengths: Counts, anchors: Counts, outcomes: Counts, first: Counts, last: Counts, table: Table,
) -> Counts:  # fmt: skip
    out = np.zeros((texts.size - 1, 7), np.int64)
    for d in range(texts.size - 1):
        at, stop, w = texts[d], texts[d + 1], documents[d]
        while at < stop:
            marks, end = _sentence(data, at, stop, table)
            begin, last_byte = stripped(data, at, marks, table)
            at = end
            if begin == last_byte:  # white space alone, or nothing, in front of the signs
                continue
            end = end if marks < end else last_byte
            told, w = _list_case(data, starts, flags, w, documents[d + 1], end, table)
            told |= _measured(data, begin, end) | _cursed(data, begin, end, letters, lengths, anchors, outcomes, first, last)
            out[d, 0] += 1
            for k in range(4):
                out[d, 1 + k] += told >> k & 1
            out[d, 5] += told & (LIST_CASE | LENGTH | TECHNICAL | CURSED) > 0
            out[d, 6] += told & (LIST_CASE | DOLMA_CURSED) > 0
    return out


@numba.njit(cache=True, nogil=True)
def _sentence(data: Bytes, at: int, stop: int, table: Table) -> tuple[int, int]:
    """Return where the signs that end the sentence at a byte begin and where they end; twice the end of the text where there are none."""
    marks, wide = -1, False
    while at < stop:
        if marks < 0:                                        # most bytes: ASCII that ends nothing
            while at + 8 <= stop and not _may_end(eight(data, at)):
                at += 8
            while at < stop and data[at] < 0x80 and data[at] != 0x2E and data[at] != 0x21 and data[at] != 0x3F:
                at += 1
            if at == stop:
                break
        code, width = decode(data, at)
        if table[code] & TERMINAL:
            marks, wide = (marks if marks >= 0 else at), code >= FULL_WIDTH
        elif marks >= 0 and (wide or table[code] & WHITE):
            return marks, at
        else:
            marks = -1
        at += width
    return (marks, stop) if wide and marks >= 0 else (stop, stop)


@numba.njit(cache=True, nogil=True)
def _may_end(part: Any) -> Any:
    """Say whether one of eight bytes is a full stop, an exclamation or a question mark, or beyond ASCII."""
    return part & HIGH != 0 or has_zero(part ^ STOPS) or has_zero(part ^ CALLS) or has_zero(part ^ ASKS)


@numba.njit(cache=True, nogil=True)
def _list_case(data: Bytes, starts: Offsets, flags: Bytes, w: int, stop: int, end: int, table: Table) -> tuple[int, int]:
    """Return LIST_CASE where over half of the words before a byte begin with a capital, and the first word behind it."""
    every = capitals = 0
    while w < stop and starts[w] < end:
        if flags[w] & (ALPHA | DIGIT):
            code = decode(data, starts[w])[0]
            if code != 0x27 and code != 0x2019:  # 't of don't is no word of its own here
                every += 1
                capitals += table[code] & UPPER > 0
        w += 1
    return (LIST_CASE if every >= LEAST_WORDS and 2 * capitals > every else 0), w


@numba.njit(cache=True, nogil=True)
def _measured(data: Bytes, at: int, end: int) -> int:
    """Return LENGTH and TECHNICAL for a sentence."""
    chars = technical = 0
    for byte in data[at:end]:
        chars += byte & 0xC0 != 0x80
        technical += IS_TECHNICAL[byte]
    return (LENGTH if chars < SHORTEST or chars > LONGEST else 0) | (TECHNICAL if FIFTH * technical > chars else 0)


@numba.njit(cache=True, nogil=True)
def _cursed(
    data: Bytes, at: int, end: int, letters: Bytes, lengths: Counts, anchors: Counts, outcomes: Counts, first: Counts, last: Counts
) -> int:
    """Return CURSED and DOLMA_CURSED for a sentence."""
    told = 0
    before = np.uint8(0)                                     # as in front of the sentence no string begins, so behind it none ends
    for i in range(at, end):
        byte = data[i]
        if AROUND[0, before] & AROUND[1, byte] & AROUND[2, data[i + 1] if i + 1 < end else np.uint8(0)]:
            for s in range(first[byte], last[byte]):
                begin = i - anchors[s]
                behind = begin + lengths[s]
                if begin >= at and behind <= end and (outcomes[s] > 0 or behind == end) and _same(data, begin, letters[s], lengths[s]):
                    told |= abs(outcomes[s])
            if byte == 0x2C and _commas(data, i, end):
                told |= CURSED | DOLMA_CURSED
        before = byte
    if not told & DOLMA_CURSED and _may_run(data, at, end):
        for i in range(at, end):
            if data[i] == 0x20 and (_runs(data, i, end) or _singles(data, i, end)):
                return CURSED | DOLMA_CURSED
    return told


@numba.njit(cache=True, nogil=True)
def _may_run(data: Bytes, at: Any, end: int) -> bool:
    """Say whether eight spaces may stand in a sentence at equal distances, as `_runs` and `_singles` want: a bit a byte, of the last 64, eight at a time."""
    held, i = np.uint64(0), at
    while i < end:
        part = eight(data, i) if i + 8 <= data.size else np.uint64(0x2020202020202020)
        if part & HIGH:
            return True
        held = held >> np.uint64(8) | bits_of(zeros_of(part ^ SPACES)) << np.uint64(56)
        one, three, four = held & held >> np.uint64(2), held & held >> np.uint64(4), held & held >> np.uint64(5)
        one &= one >> np.uint64(4)
        three &= three >> np.uint64(8)
        four &= four >> np.uint64(10)
        if one & one >> np.uint64(8) | three & three >> np.uint64(16) | four & four >> np.uint64(20):
            return True
        i += 8
    return False


@numba.njit(cache=True, nogil=True)
def _same(data: Bytes, at: int, letters: Bytes, length: int) -> bool:
    j = 0
    while j < length and data[at + j] == letters[j]:
        j += 1
    return j == length


@numba.njit(cache=True, nogil=True)
def _past(data: Bytes, at: int, end: int, chars: int) -> int:
    """Return where the character behind so many others begins, -1 where there are fewer or a line ends among them."""
    for _ in range(chars):
        if at >= end or data[at] == 0x0A:
            return -1
        at += decode(data, at)[1]
    return at


@numba.njit(cache=True, nogil=True)
def _runs(data: Bytes, start: int, end: int) -> bool:
    """Say whether one of PATTERNS stands at a byte."""
    for count, chars in PATTERNS:
        at, met = start, 0
        while met < count and 0 <= at < end and data[at] == 0x20:
            at = _past(data, at + 1, end, chars)
            met += at >= 0
        if met == count:
            return True
    return False


@numba.njit(cache=True, nogil=True)
def _singles(data: Bytes, at: int, end: int) -> bool:
    """Say whether SINGLES characters that are no space stand behind a space each."""
    for _ in range(SINGLES):
        if at + 1 >= end or data[at] != 0x20 or data[at + 1] == 0x20:
            return False
        at += 1 + decode(data, at + 1)[1]
    return True


@numba.njit(cache=True, nogil=True)
def _commas(data: Bytes, at: int, end: int) -> bool:
    """Say whether a comma stands at a byte and four times a space, two characters and a comma or two behind it."""
    at += 1
    for _ in range(4):
        if at >= end or data[at] != 0x20:
            return False
        at = _past(data, at + 1, end, 2)
        if at < 0 or at >= end or data[at] != 0x2C:
            return False
        at += 1
        if at < end and data[at] == 0x2C:
            at += 1
    return True
