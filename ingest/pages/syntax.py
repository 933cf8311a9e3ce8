"""A page's markup, byte by byte: tags and their attributes, comments, and where raw content ends.

Kernels over a page's bytes with `PADDING` behind them; each returns an offset, never beyond the page.
"""

import numba
import numpy as np
import numpy.typing as npt

from ingest.pages.tags import BEGUN, FNV_PRIME, FNV_START, HASHES, LENGTHS, LETTERS, MIX, NUMBERS, SHIFT, STARTS

PADDING = b"\0" * 16
"""Behind the page, so that looking a few bytes ahead stays inside."""
LT, GT, SLASH, EQUALS, BANG, QUESTION, DASH, DOUBLE, SINGLE = b"<>/=!?-\"'"
SPACE = 32
ONES, HIGH_BITS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
LTS = np.uint64(LT) * ONES

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


@numba.njit(cache=True, nogil=True)
def lower(byte: int) -> int:
    return byte | 32 if 65 <= byte <= 90 else byte


@numba.njit(cache=True, nogil=True)
def words_in(data: Bytes, start: int, end: int) -> np.uint64:
    """The class words that stand anywhere between two offsets, as bits."""
    bits = np.uint64(0)
    for i in range(start, end - 2):
        if not BEGUN[(data[i] & 31) << 5 | data[i + 1] & 31] >> (data[i + 2] & 31) & 1:
            continue
        letter = lower(data[i]) - 97
        if not 0 <= letter < 26:
            continue
        for word in STARTS[letter]:
            if word < 0:
                break
            size = LENGTHS[word]
            if i + size > end:
                continue
            same = True
            for j in range(1, size):
                if lower(data[i + j]) != LETTERS[word, j]:
                    same = False
                    break
            if same:
                bits |= np.uint64(1) << np.uint64(word)
    return bits


@numba.njit(cache=True, nogil=True)
def _is(data: Bytes, start: int, end: int, name: bytes) -> bool:
    """Whether the bytes between two offsets are this name, in either case."""
    if end - start != len(name):
        return False
    for i in range(len(name)):  # noqa: SIM110 - numba has no generators here
        if lower(data[start + i]) != name[i]:
            return False
    return True


@numba.njit(cache=True, nogil=True)
def _hides(data: Bytes, start: int, end: int) -> bool:
    """Whether a style says display: none."""
    for i in range(start, end - 11):
        if lower(data[i]) != 100 or not _is(data, i, i + 7, b"display"):
            continue
        j = i + 7
        while j < end and (data[j] <= SPACE or data[j] == 58):
            j += 1
        if j + 4 <= end and _is(data, j, j + 4, b"none"):
            return True
    return False


@numba.njit(cache=True, nogil=True)
def tag_at(data: Bytes, at: int, size: int) -> tuple[int, int]:
    """Read a tag's name. Returns its number, 0 for one that is not known, and the offset behind it."""
    found = FNV_START
    while at < size and data[at] > SPACE and data[at] != GT and data[at] != SLASH:
        found = (found ^ np.uint64(lower(data[at]))) * FNV_PRIME
        at += 1
    slot = found * MIX >> SHIFT
    return (NUMBERS[slot] if HASHES[slot] == found else 0), at


@numba.njit(cache=True, nogil=True)
def _value(data: Bytes, at: int, size: int) -> tuple[int, int, int]:
    """Read `= value` if it comes. Returns where the value starts and ends, and the offset behind it."""
    while at < size and data[at] <= SPACE:
        at += 1
    if at >= size or data[at] != EQUALS:
        return 0, 0, at
    at += 1
    while at < size and data[at] <= SPACE:
        at += 1
    quote = data[at]
    if quote in (DOUBLE, SINGLE):
        start = at + 1
        at = start
        while at < size and data[at] != quote:
            at += 1
        return start, at, at + 1
    start = at
    while at < size and data[at] > SPACE and data[at] != GT:
        at += 1
    return start, at, at


@numba.njit(cache=True, nogil=True)
def attribute(data: Bytes, at: int, size: int) -> tuple[int, int, int, int, int]:
    """Read the next attribute of a tag. Returns where its name starts and ends, its value, and the offset behind; at the tag's end the name is empty."""
    while at < size and (data[at] <= SPACE or data[at] == SLASH):
        at += 1
    start = at
    if at >= size or data[at] == GT:
        return start, start, 0, 0, at
    at += 1
    while at < size and data[at] > SPACE and data[at] != EQUALS and data[at] != GT and data[at] != SLASH:
        at += 1
    end = at
    first, last, at = _value(data, at, size)
    return start, end, first, last, at


@numba.njit(cache=True, nogil=True)
def attributes(data: Bytes, at: int, size: int) -> tuple[np.uint64, bool, int]:
    """Read to the end of a tag. Returns the class words, whether it hides its content, and the offset behind `>`."""
    bits, hidden = np.uint64(0), False
    while True:
        start, end, first, last, at = attribute(data, at, size)
        if start == end:
            break
        if _is(data, start, end, b"class") or _is(data, start, end, b"id") or _is(data, start, end, b"role") or _is(data, start, end, b"itemprop"):
            bits |= words_in(data, first, last)
        elif _is(data, start, end, b"hidden") or (_is(data, start, end, b"style") and _hides(data, first, last)):
            hidden = True
    return bits, hidden, min(at + 1, size)


@numba.njit(cache=True, nogil=True)
def _dashes(data: Bytes, at: int) -> bool:
    return bool(data[at - 1] == DASH and data[at - 2] == DASH)


@numba.njit(cache=True, nogil=True)
def behind(data: Bytes, at: int, size: int) -> int:
    """The offset behind a comment, a declaration or a processing instruction that starts at `at`."""
    if data[at + 1] == BANG and data[at + 2] == DASH and data[at + 3] == DASH:
        at += 4
        while at < size and not (data[at] == GT and (_dashes(data, at) or (data[at - 1] == BANG and _dashes(data, at - 1)))):
            at += 1
    else:
        while at < size and data[at] != GT:
            at += 1
    return min(at + 1, size)


@numba.njit(cache=True, nogil=True)
def _same_name(data: Bytes, at: int, name: int) -> bool:
    """Whether the bytes at an offset begin with the tag name written at another, in either case."""
    while data[name] > SPACE and data[name] != GT and data[name] != SLASH:
        if lower(data[at]) != lower(data[name]):
            return False
        at += 1
        name += 1
    return True


@numba.njit(cache=True, nogil=True)
def _next_lt(data: Bytes, at: int, size: int) -> int:
    """Where the next `<` stands from an offset on; eight bytes are looked at together, as half a page is scripts (Mycroft's test for a zero byte)."""
    while at < size and at % 8 and data[at] != LT:
        at += 1
    if at < size and at % 8 == 0:
        eights, place = data[: len(data) - len(data) % 8].view(np.uint64), at // 8
        while place < len(eights):
            zeros = eights[place] ^ LTS
            if (zeros - ONES) & ~zeros & HIGH_BITS:
                break
            place += 1
        at = place * 8
    while at < size and data[at] != LT:
        at += 1
    return min(at, size)


@numba.njit(cache=True, nogil=True)
def raw_end(data: Bytes, tag: int, name: int, at: int, size: int, ends: Offsets) -> int:
    """Where the content of a raw element ends that starts at an offset: at its end tag, whose name is written at `name`, or at the page's end.

    It has none where the tag closes itself, as XHTML and pictures write <title/>. `ends` remembers for each tag where its next end is: it is looked for
    once, or a page of <style/> would be searched to its end for each.
    """
    if ends[tag] < at:
        end = _next_lt(data, at, size)
        while end < size and not (data[end + 1] == SLASH and _same_name(data, end + 2, name)):
            end = _next_lt(data, end + 1, size)
        ends[tag] = end
    known: int = ends[tag]
    return at if data[at - 2] == SLASH and (known == size or _opens_again(data, name, at, known)) else known


@numba.njit(cache=True, nogil=True)
def _opens_again(data: Bytes, name: int, at: int, end: int) -> bool:
    """Whether a tag of the same name starts before an offset: then the end there is that one's."""
    while at < end:
        if data[at] == LT and _same_name(data, at + 1, name):
            return True
        at += 1
    return False
