"""Words that come again and again at once, words that no language has, and blocks of encoded bytes: what a trigger or a payload is made of."""

import numba
import numpy as np
import numpy.typing as npt

from catalog.split import ALPHA, DIGIT, SYMBOL, UPPER, Bytes, Hashes, Offsets, Words
from curate.repetition import longest_of

LONGEST_UNIT = 8
FEW, AGAIN = 3, 4  # AGAIN is written out in `_again`
"""A unit of 1 to 8 words counts as repeated where it stands 3 times or more at once and at least 4 words say again what stood there before: words of prose
equal any given other one in about 2 cases of 100, so a text of 10,000 words has such a run by chance once in 600."""
LONE = 9
"""The same for words of one character: haha in scripts without spaces, rows of letters."""
PERIODIC, TIMES, LOOKED = 12, 4, 4096
"""A word of 12 bytes or more that is one unit four times or more counts as repeated too; so much of it is looked at."""
BASE64, HEX = 48, 65
"""Characters of a block: 36 bytes; more hexadecimal digits than a SHA-256 has, so that digests are none."""
ODD_LEAST, ODD_MOST = 6, 40
CODED = np.zeros(256, np.bool_)
CODED[list(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/+-_")] = True

Counts = npt.NDArray[np.int64]


def repeats(split: Words) -> Counts:
    """Return, a row a document: words, words in runs that repeat, and how often the most repeated unit stands there at once (0 for none)."""
    out: Counts = _repeats(split.data, split.documents, split.lowers, split.lengths, split.flags, split.starts, split.ends)
    return out


@numba.njit(cache=True, nogil=True)
def _repeats(
    data: Bytes, documents: Offsets, lowers: Hashes, lengths: npt.NDArray[np.int32], flags: Bytes, starts: Offsets, ends: Offsets
) -> Counts:
    out = np.zeros((documents.size - 1, 3), np.int64)
    most = 0
    for d in range(documents.size - 1):
        most = max(most, documents[d + 1] - documents[d])
    hashes, lone, marked, same = np.empty(most, np.uint64), np.empty(most, np.bool_), np.empty(most, np.bool_), np.empty(most, np.uint8)
    for d in range(documents.size - 1):
        n = 0
        for w in range(documents[d], documents[d + 1]):
            out[d, 0] += not flags[w] & SYMBOL
            if flags[w] & ALPHA:                              # a row of numbers is a table
                hashes[n], lone[n], marked[n] = lowers[w], lengths[w] == 1, False
                times = _times(data, starts[w], min(ends[w], starts[w] + LOOKED)) if lengths[w] >= PERIODIC else 0
                if times >= TIMES:
                    marked[n] = True
                    out[d, 2] = max(out[d, 2], times)
                n += 1
        for unit in range(1, LONGEST_UNIT + 1):
            if not _again(hashes[:n], unit, same):
                continue
            out[d, 2] = max(out[d, 2], _mark(hashes[:n], lone, marked, unit))
        out[d, 1] = marked[:n].sum()
    return out


@numba.njit(cache=True, nogil=True)
def _again(hashes: Hashes, unit: int, same: Bytes) -> bool:
    """Say whether AGAIN words in a row equal those that stand so many before: seldom, and told without a branch."""
    n = hashes.size - unit
    for i in range(n):
        same[i] = hashes[i] == hashes[i + unit]
    found = np.uint8(0)
    for i in range(n - AGAIN + 1):
        found |= same[i] & same[i + 1] & same[i + 2] & same[i + 3]
    return bool(found > 0)


@numba.njit(cache=True, nogil=True)
def _mark(hashes: Hashes, lone: npt.NDArray[np.bool_], marked: npt.NDArray[np.bool_], unit: int) -> int:
    """Mark the words of runs in which a unit of so many words stands again and again; return the most that one stands there."""
    most = again = single = 0
    for i in range(unit, hashes.size + 1):
        if i < hashes.size and hashes[i] == hashes[i - unit]:
            again += 1
            single += lone[i]
            continue
        times = again // unit + 1
        if times >= FEW and again >= (LONE if single == again else AGAIN):
            fresh = False
            for k in range(i - again - unit, i):
                fresh |= not marked[k]
                marked[k] = True
            if fresh:                                         # what is a unit of one word three times is one of three words too
                most = max(most, times)
        again = single = 0
    return most


@numba.njit(cache=True, nogil=True)
def _times(data: Bytes, start: int, end: int) -> int:
    """Return how often the shortest unit of a word stands in it, if it is nothing but that (the prefix function of Knuth, Morris and Pratt)."""
    n = end - start
    border = np.zeros(n, np.int32)
    k = 0
    for i in range(1, n):
        while k and data[start + i] != data[start + k]:
            k = border[k - 1]
        k += data[start + i] == data[start + k]
        border[i] = k
    times: int = n // (n - border[n - 1])
    return times


def odd_words(split: Words) -> tuple[Counts, Counts]:
    """Return, a row a document: odd words, uses of the commonest of them, and where that first stands (byte offsets), -1 for none.

    Odd is a word of 6 to 40 ASCII letters and digits that changes three times or more between letters and digits (x9k2q7), or has small letters and no
    vowel (qzvxkt), or capitals behind small letters twice or more and one vowel in five letters at most (xKqZbTw).
    """
    counts, places = _odd(split.data, split.documents, split.starts, split.ends, split.lowers, split.flags)
    return counts, places


@numba.njit(cache=True, nogil=True)
def _odd(data: Bytes, documents: Offsets, starts: Offsets, ends: Offsets, lowers: Hashes, flags: Bytes) -> tuple[Counts, Counts]:
    counts, places = np.zeros((documents.size - 1, 2), np.int64), np.full((documents.size - 1, 2), -1, np.int64)
    odd = np.empty(longest_of(documents), np.int64)
    for d in range(documents.size - 1):
        n = 0
        for w in range(documents[d], documents[d + 1]):
            size = ends[w] - starts[w]
            if ODD_LEAST <= size <= ODD_MOST and (flags[w] & (DIGIT | UPPER) or not _spoken(data, starts[w], ends[w])) and is_odd(data, starts[w], ends[w]):
                odd[n] = w
                n += 1
        if not n:
            continue
        hashes = lowers[odd[:n]]
        order = np.argsort(hashes, kind="mergesort")
        best = first = 0
        for k in range(1, n + 1):
            if k == n or hashes[order[k]] != hashes[order[first]]:
                word = odd[order[first]]
                if k - first > best or (k - first == best and starts[word] < places[d, 0]):
                    best = k - first
                    places[d, 0], places[d, 1] = starts[word], ends[word]
                first = k
        counts[d, 0], counts[d, 1] = n, best
    return counts, places


@numba.njit(cache=True, nogil=True)
def _spoken(data: Bytes, start: int, end: int) -> bool:
    """Say whether a small vowel stands in a word: without capitals and digits it is not odd then."""
    for i in range(start, end):
        byte = data[i]
        if byte == 0x61 or byte == 0x65 or byte == 0x69 or byte == 0x6F or byte == 0x75 or byte == 0x79:
            return True
    return False


@numba.njit(cache=True, nogil=True)
def is_odd(data: Bytes, start: int, end: int) -> bool:
    """Say whether a word is odd."""
    digits = vowels = smalls = changes = rises = 0
    before = 0                                                # 1 digit, 2 capital, 3 small
    for i in range(start, end):
        byte = data[i]
        if 0x30 <= byte <= 0x39:
            kind = 1
        elif 0x41 <= byte <= 0x5A:
            kind = 2
        elif 0x61 <= byte <= 0x7A:
            kind = 3
        else:
            return False
        low = byte | 0x20
        vowels += kind > 1 and (low == 0x61 or low == 0x65 or low == 0x69 or low == 0x6F or low == 0x75 or low == 0x79)
        digits += kind == 1
        smalls += kind == 3
        changes += before > 0 and (before == 1) != (kind == 1)
        rises += before == 3 and kind == 2
        before = kind
    letters = end - start - digits
    return bool(changes >= 3 or (digits == 0 and smalls > 1 and (vowels == 0 or (rises >= 2 and 5 * vowels <= letters))))


def blobs(data: Bytes, texts: Offsets) -> tuple[Counts, Counts]:
    """Return counts [documents, 3]: blocks, their characters, those of the longest; and the blocks [n, 3]: row, start, end in characters.

    A block is a run of 48 or more letters, digits and + / - _ of which small letters and capitals are a twentieth each at least, with a digit or a
    row of them in every 24, three characters of ten of another kind than the one before, and `=` at its end or not; or one of 65 or more hexadecimal
    digits of one case. A run that fills the line behind a block belongs to it.
    """
    counts, spans = np.zeros((texts.size - 1, 3), np.int64), np.empty((1024, 3), np.int64)
    found = _blobs(data, texts, counts, spans)
    if found > spans.shape[0]:
        counts[:], spans = 0, np.empty((found, 3), np.int64)
        _blobs(data, texts, counts, spans)
    return counts, spans[:found]


@numba.njit(cache=True, nogil=True)
def _blobs(data: Bytes, texts: Offsets, counts: Counts, spans: Counts) -> int:
    found = 0
    for d in range(texts.size - 1):
        at, stop, char, told = texts[d], texts[d + 1], 0, texts[d]  # `char` is the character at the byte `told`
        ended, begun, size = -9, 0, 0                         # of the block at hand: the byte behind it, its first character, its characters
        while at < stop:
            end = at
            while end < stop and CODED[data[end]]:
                end += 1
            if end - at < BASE64 and at - ended > 2:          # too short for a block, and behind none
                at = _next_run(data, end, stop)
                continue
            for i in range(told, at):
                char += data[i] & 0xC0 != 0x80
            told = at
            if end == at:
                at += 1
                continue
            block = _is_block(data, at, end)
            closed = end
            while closed < min(stop, end + 2) and data[closed] == 0x3D:
                closed += 1
            joined = at - ended == 1 or (at - ended == 2 and data[ended] == 0x0D)
            joined = joined and data[at - 1] == 0x0A and (block or closed == stop or data[closed] == 0x0A or data[closed] == 0x0D)
            if block or joined:
                length = closed - at
                if joined:
                    size += length
                    found -= 1
                else:
                    begun, size = char, length
                    counts[d, 0] += 1
                if found < spans.shape[0]:
                    spans[found, 0], spans[found, 1], spans[found, 2] = d, begun, char + length
                found += 1
                counts[d, 1] += length
                counts[d, 2] = max(counts[d, 2], size)
                ended, end = closed, closed
            at = end
    return found


@numba.njit(cache=True, nogil=True)
def _next_run(data: Bytes, at: int, stop: int) -> int:
    """Return where the next run of BASE64 coded bytes or more begins, or the end: it looks at each such many'th byte only. Before `at` none stands."""
    while at + BASE64 <= stop:
        first = at + BASE64 - 1
        if not CODED[data[first]]:
            at = first + 1
            continue
        while first > at and CODED[data[first - 1]]:
            first -= 1
        end = first
        while end < stop and end - first < BASE64 and CODED[data[end]]:
            end += 1
        if end - first >= BASE64:
            return first
        at = end
    return stop


@numba.njit(cache=True, nogil=True)
def _is_block(data: Bytes, start: int, end: int) -> bool:
    """Say whether a run of its characters is one of encoded bytes."""
    n = end - start
    if n < BASE64:
        return False
    smalls = capitals = digits = rows = changes = hexed = before = 0
    for i in range(start, end):
        byte = data[i]
        small, capital, digit = 0x61 <= byte <= 0x7A, 0x41 <= byte <= 0x5A, 0x30 <= byte <= 0x39
        smalls, capitals, digits = smalls + small, capitals + capital, digits + digit
        hexed += digit or 0x61 <= byte <= 0x66 or 0x41 <= byte <= 0x46
        kind = 1 if small else 2 if capital else 3
        rows += digit and (i == start or not 0x30 <= data[i - 1] <= 0x39)
        changes += kind != before
        before = kind
    if hexed == n:
        return bool(n >= HEX and (smalls == 0 or capitals == 0) and 10 * digits >= n and 10 * (n - digits) >= n)
    return bool(min(smalls, capitals) * 20 >= n and 24 * rows >= n and 10 * changes >= 3 * n)
