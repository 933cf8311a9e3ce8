"""Where another extractor's text stands in a page: the longest common subsequence of their words.

Bit-parallel (Hyyrö 2004, "Bit-parallel LCS-length computation revisited"): 64 words of the text are compared in one step, and
a row of bits is kept for each word of the page, from which the pairs are read back. A text that stands once in an article and again in a
list of teasers is found where its neighbours are.
"""

import numba
import numpy as np
import numpy.typing as npt

from ingest.pages.blocks import BREAK, Blocks, Ints
from ingest.pages.syntax import Bytes
from ingest.pages.tags import FNV_PRIME, FNV_START

MOST = 8 << 20
"""Numbers of 64 bits that the rows may take: 64 MB. A page beyond is not aligned."""

Hashes = npt.NDArray[np.uint64]


def shares(found: Blocks, page: bytes, text: str) -> npt.NDArray[np.float32] | None:
    """Return which share of each block's words stand in a text, 0 to 1: float32 [blocks]. None where the two are too long to compare."""
    data, other = np.frombuffer(page, np.uint8), np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
    words, owner = _page_words(data, found.segments)
    theirs = _words(other)
    if len(words) * (len(theirs) // 64 + 1) > MOST:
        return None
    share: npt.NDArray[np.float32] = _shares(words, owner, theirs, len(found.blocks))
    return share


@numba.njit(cache=True, nogil=True)
def _letter(byte: int) -> bool:
    return bool(byte >= 128 or 48 <= byte <= 57 or 97 <= byte | 32 <= 122)


@numba.njit(cache=True, nogil=True)
def _entity(data: Bytes, at: int, end: int) -> int:
    """The offset behind a character reference that starts at `&`, or the same offset where none does: what it means is passed over."""
    i = at + 1
    while i < end and i < at + 12 and (_letter(data[i]) or data[i] == 35):
        i += 1
    return i + 1 if i < end and i > at + 1 and data[i] == 59 else at


@numba.njit(cache=True, nogil=True)
def _hash(data: Bytes, start: int, end: int, into: Hashes, many: int) -> int:
    """Add the hashes of the words between two offsets; a sign of the scripts that put no space between words is one. Returns how many there are."""
    value, inside, i = FNV_START, False, start
    while i < end:
        byte = data[i]
        if byte == 38 and _entity(data, i, end) > i:
            i = _entity(data, i, end)
            letter = False
        elif 0xE2 <= byte <= 0xE9 and i + 2 < end:
            spaced = byte == 0xE2 or (byte == 0xE3 and data[i + 1] == 0x80)  # punctuation
            if inside:
                into[many] = value
                many += 1
            inside, value = False, FNV_START
            if not spaced:
                for x in range(3):
                    value = (value ^ np.uint64(data[i + x])) * FNV_PRIME
                into[many] = value
                many += 1
            i += 3
            continue
        else:
            letter = _letter(byte) and not (byte == 0xC2 and i + 1 < end)
            i += 2 if byte == 0xC2 else 1
        if letter:
            value = ((value if inside else FNV_START) ^ np.uint64(byte | 32)) * FNV_PRIME
        elif inside:
            into[many] = value
            many += 1
        inside = letter
    if inside:
        into[many] = value
        many += 1
    return many


@numba.njit(cache=True, nogil=True)
def _words(data: Bytes) -> Hashes:
    into = np.empty(len(data) + 1, np.uint64)
    return into[: _hash(data, 0, len(data), into, 0)].copy()


@numba.njit(cache=True, nogil=True)
def _page_words(data: Bytes, segments: Ints) -> tuple[Hashes, Ints]:
    """The words of a page's text in order, and the block of each."""
    size = 0
    for x in range(len(segments)):
        size += segments[x, 1] - segments[x, 0] + 1
    into, owner, many = np.empty(size, np.uint64), np.empty(size, np.int32), 0
    for x in range(len(segments)):
        start, end, block, kind = segments[x]
        if kind != BREAK:
            before, many = many, _hash(data, start, end, into, many)
            owner[before:many] = block
    return into[:many].copy(), owner[:many].copy()


@numba.njit(cache=True, nogil=True)
def _common(words: Hashes, theirs: Hashes) -> npt.NDArray[np.bool_]:
    """Which words are part of the longest common subsequence."""
    n, m = len(words), len(theirs)
    width = (m + 63) // 64
    order = np.argsort(theirs)
    ranked = theirs[order]
    rows = np.empty((n + 1, width), np.uint64)
    rows[0] = ~np.uint64(0)
    matches = np.zeros(width, np.uint64)
    for i in range(n):
        first = np.searchsorted(ranked, words[i])
        last = first
        while last < m and ranked[last] == words[i]:
            matches[order[last] // 64] |= np.uint64(1) << np.uint64(order[last] % 64)
            last += 1
        carry = np.uint64(0)
        for x in range(width):
            row = rows[i, x]
            both = row & matches[x]
            total = row + both
            over = total < row
            total += carry
            over |= total < carry
            rows[i + 1, x] = total | (row - both)
            carry = np.uint64(over)
        for y in range(first, last):
            matches[order[y] // 64] = 0
    found = np.zeros(n, np.bool_)
    i, j = n, m
    while i > 0 and j > 0:
        if words[i - 1] == theirs[j - 1]:  # as late in the page as can be: next to what follows, not in a list of teasers above
            found[i - 1] = True
            i, j = i - 1, j - 1
        elif rows[i, (j - 1) // 64] >> np.uint64((j - 1) % 64) & np.uint64(1):  # no longer with this word of theirs
            j -= 1
        else:
            i -= 1
    return found


@numba.njit(cache=True, nogil=True)
def _shares(words: Hashes, owner: Ints, theirs: Hashes, blocks: int) -> npt.NDArray[np.float32]:
    hit, all_ = np.zeros(blocks, np.float32), np.zeros(blocks, np.float32)
    common = _common(words, theirs)
    for i in range(len(words)):
        all_[owner[i]] += 1
        hit[owner[i]] += common[i]
    for block in range(blocks):
        hit[block] /= max(all_[block], np.float32(1))
    return hit
