"""What of a page's markup a reader sees: the characters outside tags, comments, scripts and styles."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from catalog.split import Bytes, Offsets

HIDDEN = np.array([list(b"script"), list(b"style\0")], np.uint8)
LENGTHS = np.array([6, 5])
ENTITY = 10                                                  # characters between & and ; at most


@numba.njit(cache=True, nogil=True)
def visible_characters(data: Bytes, texts: Offsets, wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return how many characters of each text are visible, -1 where that is not wanted.

    A reference such as &amp; counts as one, and so does white space that stands alone between two marks, as BeautifulSoup keeps it.
    """
    out = np.full(texts.size - 1, -1, np.int64)
    for d in range(texts.size - 1):
        if wanted[d]:
            out[d] = _visible(data, texts[d], texts[d + 1])
    return out


@numba.njit(cache=True, nogil=True)
def _visible(data: Bytes, start: int, stop: int) -> int:
    at: Any = start
    seen = held = 0                                          # held: of the text since the last mark
    blank = True
    while at < stop:
        byte = data[at]
        if byte == 0x3C and at + 1 < stop and _begins(data[at + 1]):
            after = _markup_end(data, at, stop)
            for k in range(LENGTHS.size):
                if _named(data, at + 1, stop, k):
                    after = _raw_end(data, after, stop, k)
            at = after
            seen, held, blank = seen + (min(held, 1) if blank else held), 0, True
        elif byte == 0x26:
            at = _entity_end(data, at, stop)
            held, blank = held + 1, False
        else:
            held += byte & 0xC0 != 0x80
            blank = blank and byte <= 0x20
            at += 1
    return seen + (min(held, 1) if blank else held)


@numba.njit(cache=True, nogil=True)
def _begins(byte: int) -> bool:
    """Say whether what follows < makes it a tag, a comment or a declaration."""
    return bool(0x61 <= byte | 0x20 <= 0x7A or byte == 0x2F or byte == 0x21 or byte == 0x3F)


@numba.njit(cache=True, nogil=True)
def _markup_end(data: Bytes, at: int, stop: int) -> int:
    """Return where a tag or a comment ends; a > in an attribute's quotes does not end it."""
    if at + 4 <= stop and data[at + 1] == 0x21 and data[at + 2] == 0x2D and data[at + 3] == 0x2D:
        i = at + 4
        while i + 3 <= stop:
            if data[i] == 0x2D and data[i + 1] == 0x2D and data[i + 2] == 0x3E:
                return i + 3
            i += 1
        return stop
    quote, value = np.uint8(0), False
    for i in range(at + 1, stop):
        byte = data[i]
        if quote:
            if byte == quote:
                quote = np.uint8(0)
        elif value and (byte == 0x22 or byte == 0x27):
            quote = byte
        elif byte == 0x3E:
            return i + 1
        value = byte == 0x3D or (value and byte <= 0x20)
    return stop


@numba.njit(cache=True, nogil=True)
def _named(data: Bytes, at: int, stop: int, which: int) -> bool:
    """Say whether a tag at `at`, behind its <, is one of HIDDEN."""
    length = LENGTHS[which]
    if at + length >= stop or 0x61 <= data[at + length] | 0x20 <= 0x7A:
        return False
    j = 0
    while j < length and data[at + j] | 0x20 == HIDDEN[which, j]:
        j += 1
    return bool(j == length)


@numba.njit(cache=True, nogil=True)
def _raw_end(data: Bytes, at: int, stop: int, which: int) -> int:
    """Return where the closing tag of a script or a style begins; the text's end where there is none."""
    for i in range(at, stop - 1):
        if data[i] == 0x3C and data[i + 1] == 0x2F and _named(data, i + 2, stop, which):
            return i
    return stop


@numba.njit(cache=True, nogil=True)
def _entity_end(data: Bytes, at: int, stop: int) -> int:
    for i in range(at + 1, min(at + 2 + ENTITY, stop)):
        byte = data[i]
        if byte == 0x3B:
            return i + 1 if i > at + 1 else at + 1
        if not (0x61 <= byte | 0x20 <= 0x7A or 0x30 <= byte <= 0x39 or byte == 0x23):
            break
    return at + 1
