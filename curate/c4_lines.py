"""The walk over lines behind `c4.signals`: what C4's rules say of each line, and the spans that they take out."""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from catalog.eight import ONES, characters_in, eight, ones, same
from catalog.split import ALPHA, DIGIT, KIND, PUNCT, SPACE, TERMINAL, WHITE, Bytes, Offsets, Table, Words, characters, decode, line_end, stripped, word_end
from curate.repetition import longest_of
from curate.text.phrases import find, tables
from curate.text.spaced import white_of

LONG_WORD, FEW_WORDS, LOREM, JAVASCRIPT, CURLY, POLICY, KEPT = range(7)
"""What becomes of a line, apart from the rule of its last sign: the first rule that meets it; the last is no rule."""

CITATION, UNENDED = 7, 8
"""Kinds of spans beside the outcomes: a reference mark, and a line that only the rule of the last sign drops."""

LINES, UNPUNCTUATED, LOOSE, STRICT, SENTENCES, STRICT_SENTENCES, WIDTH = 0, 1, 2, 9, 16, 17, 18
"""Columns of the counts: LOOSE + outcome counts all lines, STRICT + outcome those that end in a terminal sign."""

PHRASES = {  # each with its rarest letter, by which it is looked for
    "lorem ipsum": (LOREM, 4),
    "javascript": (JAVASCRIPT, 0),
    "terms of use": (POLICY, 3),
    "privacy policy": (POLICY, 3),
    "cookie policy": (POLICY, 3),
    "uses cookies": (POLICY, 8),
    "use of cookies": (POLICY, 10),
    "use cookies": (POLICY, 7),
}
LETTERS, LENGTHS, OUTCOMES, ANCHORS, BEGUN = tables(PHRASES)
MARK_LENGTHS = np.array([6, 17])
MARKS = np.array([list(mark.ljust(17, b"\0")) for mark in (b"[edit]", b"[citation needed]")], np.uint8)

Counts = npt.NDArray[np.int64]
Spans = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Judged:
    """What C4's rules make of a batch. Spans are ordered by start; neighbours of one kind are one."""

    counts: Counts  # a row a document
    spans: Spans  # kind, start, end in characters
    owners: Offsets  # n + 1 offsets of the documents' spans
    kept: Spans  # start, end in bytes of the lines that stay, whatever they end in, stripped
    keepers: Offsets  # n + 1 offsets of the documents' lines that stay
    changed: npt.NDArray[np.bool_]  # a document each: a line that stays loses a reference mark, or is empty


def judge_lines(words: Words, max_word: int, min_words: int) -> Judged:
    """Return what C4's rules make of each text."""
    everywhere = np.ones(words.texts.size - 1, np.bool_)
    *found, _, _ = _judge(*_splits(words), everywhere, False, max_word, min_words, characters()[0])
    return Judged(*found)


def kept_text(words: Words, max_word: int, min_words: int, wanted: npt.NDArray[np.bool_] | None = None) -> tuple[Bytes, Offsets]:
    """Return what C4 makes of each text, as bytes and n + 1 offsets: the lines that stay, whatever they end in, without reference marks.

    Lines are stripped and joined by newlines; a text that C4 drops for what one line says (lorem ipsum, a curly bracket) lacks that line.
    Of texts that are not `wanted` nothing stays.
    """
    wanted = np.ones(words.texts.size - 1, np.bool_) if wanted is None else wanted
    *_, rest, offsets = _judge(*_splits(words), wanted, True, max_word, min_words, characters()[0])
    rest.flags.writeable = offsets.flags.writeable = False  # like text_bytes: numba compiles once for both
    return rest, offsets


def _splits(words: Words) -> tuple[Bytes, Offsets, Offsets, Offsets, Bytes]:
    return words.data, words.texts, words.documents, words.starts, words.flags


@numba.njit(cache=True, nogil=True)
def _judge(
    data: Bytes, texts: Offsets, documents: Offsets, starts: Offsets, flags: Bytes, wanted: npt.NDArray[np.bool_], keeping: bool,
    max_word: int, min_words: int, table: Table,
) -> tuple[Counts, Spans, Offsets, Spans, Offsets, npt.NDArray[np.bool_], Bytes, Offsets]:  # fmt: skip
    counts, owners, rests = np.zeros((texts.size - 1, WIDTH), np.int64), np.zeros(texts.size, np.int64), np.zeros(texts.size, np.int64)
    spans = np.empty((_most_spans(data, texts), 3), np.int64)
    kept, keepers, changed = np.empty((spans.shape[0], 2), np.int64), np.zeros(texts.size, np.int64), np.zeros(texts.size - 1, np.bool_)
    rest = np.empty(texts[-1] - texts[0] + texts.size if keeping else longest_of(texts) + 1, np.uint8)
    made = filled = stay = 0
    for d in range(texts.size - 1):
        at, stop, w, char = texts[d], texts[d + 1] if wanted[d] else texts[d], documents[d], 0
        while at < stop:
            end, after = line_end(data, at, stop)
            chars, n_words, widest, bracket, curly = _measure(data, at, after, max_word, table)
            start, end = stripped(data, at, end, table)
            marked, line = made, filled + 1  # behind a newline
            size = end - start
            if bracket:
                lead = char + _length(data, at, start)
                size, marked = _uncite(data, start, end, rest, line, spans, made, lead, table)
                ended, found = _ends_well(rest, line, line + size), find(rest, line, line + size, LETTERS, LENGTHS, OUTCOMES, ANCHORS, BEGUN)
            else:
                ended, found = _ends_well(data, start, end), find(data, start, end, LETTERS, LENGTHS, OUTCOMES, ANCHORS, BEGUN)
            outcome, sentences = _outcome(n_words, widest, curly, found, max_word, min_words), 0
            if outcome == KEPT and bracket:
                sentences = _sentences_in(rest, line, line + size, table)
            elif outcome == KEPT:
                w, sentences = _sentences(starts, flags, w, documents[d + 1], start, end)
            _count(counts[d], outcome, ended, sentences)
            made = _cut(spans, owners[d], made, marked, char, char + chars, outcome, ended)
            if outcome == KEPT:
                kept[stay, 0], kept[stay, 1], stay = start, end, stay + 1
                changed[d] |= size != end - start or size == 0
                filled = _keep(rest, filled, line + size, data, start, 0 if bracket else size) if keeping else filled
            char, at = char + chars, after
        owners[d + 1], keepers[d + 1] = made, stay
        filled = rests[d + 1] = _close(rest, rests[d], filled, table)
    return counts, spans[:made], owners, kept[:stay], keepers, changed, rest[:filled], rests


@numba.njit(cache=True, nogil=True)
def _keep(rest: Bytes, filled: int, end: int, data: Bytes, start: int, size: int) -> int:
    """Add a newline and a line to what stays; the line is copied from `data`, or stands there already (size 0). Return the new end."""
    rest[filled] = 0x0A
    for i in range(size):
        rest[filled + 1 + i] = data[start + i]
    return end


@numba.njit(cache=True, nogil=True)
def _close(rest: Bytes, begin: int, end: int, table: Table) -> int:
    """Strip what stays of a text, move it to its begin, and return its end."""
    start, end = stripped(rest, begin, end, table)
    for i in range(start, end):
        rest[begin + i - start] = rest[i]
    close: int = begin + end - start
    return close


@numba.njit(cache=True, nogil=True)
def _most_spans(data: Bytes, texts: Offsets) -> int:
    """Return a number of spans that is never exceeded: one a line, and one an opening bracket."""
    most = texts.size
    for d in range(texts.size - 1):
        at = texts[d]
        while at < texts[d + 1]:
            at = line_end(data, at, texts[d + 1])[1]
            most += 1
    for byte in data:
        most += byte == 0x5B
    return most


@numba.njit(cache=True, nogil=True)
def _length(data: Bytes, start: int, end: int) -> int:
    """Return the characters of data[start:end]."""
    length: int = characters_in(data, start, end)
    return length


@numba.njit(cache=True, nogil=True)
def _measure(data: Bytes, start: int, end: int, max_word: int, table: Table) -> tuple[int, int, int, bool, bool]:
    """Return a line's characters, its words between white space, the longest's characters, and whether it has `[` and `{`.

    Of a line without room for a word of more than `max_word` characters the longest is not looked for.
    """
    brief = end - start <= max_word
    length = words = widest = width = 0
    bracket = curly = False
    i = start
    while i < end:
        if brief and i + 8 <= end:
            word = eight(data, i)
            simple, spaces = white_of(word)
            if simple:
                words += ones(~(spaces | np.uint64(0x7F) * ONES) & (spaces << np.uint64(8) | np.uint64(0 if width else 0x80)))
                width = 0 if spaces >> np.uint64(56) else 1
                bracket |= same(word, 0x5B) != 0
                curly |= same(word, 0x7B) != 0
                length, i = length + 8, i + 8
                continue
        code, size = decode(data, i)
        if table[code] & WHITE:
            width = 0
        else:
            words += width == 0
            width += 1
            widest = max(widest, width)
            bracket |= code == 0x5B
            curly |= code == 0x7B
        length += 1
        i += size
    return length, words, widest, bracket, curly


@numba.njit(cache=True, nogil=True)
def _uncite(data: Bytes, start: int, end: int, rest: Bytes, line: int, spans: Spans, made: int, char: int, table: Table) -> tuple[int, int]:
    """Copy a line without [1], [], [edit] and [citation needed]; return the copy's size and the number of spans with theirs.

    The copy stands at `line` in `rest`; `char` is the place of `start` in the text, in characters.
    """
    size, i = 0, start
    while i < end:
        close = _citation(data, i, end, table) if data[i] == 0x5B else i
        if close > i:
            spans[made, 0], spans[made, 1], char = CITATION, char, char + _length(data, i, close)
            spans[made, 2] = char
            made, i = made + 1, close
        else:
            rest[line + size] = data[i]
            char += data[i] & 0xC0 != 0x80
            size, i = size + 1, i + 1
    return size, made


@numba.njit(cache=True, nogil=True)
def _citation(data: Bytes, at: int, end: int, table: Table) -> int:
    """Return where the reference mark that starts with this bracket ends, or `at` where it is none."""
    i = at + 1
    while i < end:
        code, width = decode(data, i)
        if code == 0x5D:
            return i + 1
        if not table[code] & DIGIT:
            break
        i += width
    for k in range(MARKS.shape[0]):
        i = 0
        while i < MARK_LENGTHS[k] and at + i < end and data[at + i] == MARKS[k, i]:
            i += 1
        if i == MARK_LENGTHS[k]:
            return at + i
    return at


@numba.njit(cache=True, nogil=True)
def _ends_well(data: Bytes, start: int, end: int) -> bool:
    """Say whether a line ends in . ? ! " or ', but not in an ellipsis."""
    if start == end:
        return False
    last = data[end - 1]
    if last == 0x2E:
        return not (end - start >= 3 and data[end - 2] == 0x2E and data[end - 3] == 0x2E)
    return bool(last == 0x3F or last == 0x21 or last == 0x22 or last == 0x27)


@numba.njit(cache=True, nogil=True)
def _outcome(words: int, widest: int, curly: bool, found: int, max_word: int, min_words: int) -> int:
    """Return the first rule that meets a line, in the order of C4's code."""
    if widest > max_word:
        return LONG_WORD
    if words < min_words:
        return FEW_WORDS
    if found >> LOREM & 1:
        return LOREM
    if found >> JAVASCRIPT & 1:
        return JAVASCRIPT
    if curly:
        return CURLY
    return POLICY if found >> POLICY & 1 else KEPT


@numba.njit(cache=True, nogil=True)
def _sentences(starts: Offsets, flags: Bytes, word: int, stop: int, start: int, end: int) -> tuple[int, int]:
    """Return the first word behind a line, and the line's sentences: one more than the words that follow a full stop.

    A full stop is a word of one terminal sign; punctuation behind it still belongs to its sentence.
    """
    while word < stop and starts[word] < start:
        word += 1
    sentences, stopped = 0, True
    while word < stop and starts[word] < end:
        sentences, stopped = _follow(flags[word], sentences, stopped)
        word += 1
    return word, sentences


@numba.njit(cache=True, nogil=True)
def _sentences_in(data: Bytes, start: int, stop: int, table: Table) -> int:
    """Return the sentences of a line that the words do not know: one without its reference marks."""
    sentences, stopped, i, end, told = 0, True, start, 0, 0
    while i < stop:
        code, width = decode(data, i)
        if table[code] >> KIND & 7 == SPACE:
            i += width
        else:
            end, _, told = word_end(data, i, stop, told & ALPHA > 0 and i == end, table)
            i = end
            sentences, stopped = _follow(told, sentences, stopped)
    return sentences


@numba.njit(cache=True, nogil=True)
def _follow(told: int, sentences: int, stopped: bool) -> tuple[int, bool]:
    if sentences == 0:
        return 1, told & TERMINAL > 0
    if stopped and not told & (PUNCT | TERMINAL):
        return sentences + 1, False
    return sentences, stopped or told & TERMINAL > 0


@numba.njit(cache=True, nogil=True)
def _count(counts: Counts, outcome: int, ended: bool, sentences: int) -> None:
    counts[LINES] += 1
    counts[LOOSE + outcome] += 1
    counts[SENTENCES] += sentences
    if outcome != LONG_WORD and not ended:
        counts[UNPUNCTUATED] += 1
        return
    counts[STRICT + outcome] += 1
    counts[STRICT_SENTENCES] += sentences


@numba.njit(cache=True, nogil=True)
def _cut(spans: Spans, first: int, made: int, marked: int, start: int, end: int, outcome: int, ended: bool) -> int:
    """Add a line's spans to those of its document, which begin at `first`; return the number of all spans.

    A line that a rule drops is one span (what was found in it goes); a line that stays keeps the spans made .. marked.
    """
    kind = UNENDED
    if outcome in (LONG_WORD, FEW_WORDS, JAVASCRIPT, POLICY):
        kind, marked = outcome, made
    elif ended:
        return marked
    if marked > first and spans[marked - 1, 0] == kind and spans[marked - 1, 2] == start:
        spans[marked - 1, 2] = end
        return marked
    spans[marked, 0], spans[marked, 1], spans[marked, 2] = kind, start, end
    return marked + 1
