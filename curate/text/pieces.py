"""How many pieces byte-level tokenisers cut a text into before they look for tokens: GPT-2's split (Radford et al. 2019), which StarCoder's begins with too.

No token reaches over two pieces, so a text has at least as many tokens as pieces, and characters a piece are at least its characters a token.
"""

from functools import lru_cache
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from catalog.eight import letters_end
from catalog.split import Bytes, Offsets, decode
from curate.text.letters import PLACE, classes

SIGN, LETTER, NUMBER, WHITE = range(4)
Kinds = npt.NDArray[np.uint8]


def count_pieces(data: Bytes, texts: Offsets) -> npt.NDArray[np.int64]:
    """Return how many pieces each of the texts data[texts[d]:texts[d + 1]] has, which must be valid UTF-8."""
    found: npt.NDArray[np.int64] = _count(data, texts, _kinds())
    return found


@lru_cache(maxsize=1)
def _kinds() -> Kinds:
    """Return what each of 0x110000 code points is. U+001C to U+001F are white space to Python, not to Unicode."""
    table = classes()
    kinds = np.zeros(table.size, np.uint8)
    for name, kind in (("white", WHITE), ("alnum", NUMBER), ("letters", LETTER)):
        kinds[table & (1 << PLACE[name]) > 0] = kind
    kinds[0x1C:0x20] = SIGN
    return kinds


@numba.njit(cache=True, nogil=True)
def _count(data: Bytes, texts: Offsets, kinds: Kinds) -> npt.NDArray[np.int64]:
    out = np.zeros(texts.size - 1, np.int64)
    for d in range(texts.size - 1):
        at: Any = texts[d]
        stop = texts[d + 1]
        while at < stop:
            out[d] += 1
            at = _piece_end(data, at, stop, kinds)
    return out


@numba.njit(cache=True, nogil=True)
def _kind(data: Bytes, at: int, kinds: Kinds) -> tuple[Any, Any]:
    """Return what the character at a byte is, and its width."""
    if data[at] < 0x80:
        return np.int64(kinds[data[at]]), 1
    code, width = decode(data, at)
    return np.int64(kinds[code]), width


@numba.njit(cache=True, nogil=True)
def _piece_end(data: Bytes, at: Any, stop: int, kinds: Kinds) -> Any:
    """Return where the piece ends that begins at a byte: a contraction ('s), a run of letters, of numbers or of signs with one space before it, or white
    space, of which the last character is left for what follows."""
    if data[at] == 0x27 and _contraction(data, at, stop) > at:
        return _contraction(data, at, stop)
    kind, width = _kind(data, at, kinds)
    i, before = at + width, at
    if data[at] == 0x20 and i < stop:
        behind, width = _kind(data, i, kinds)
        if behind != WHITE:
            kind = behind
            i += width
    if kind == LETTER:
        i = letters_end(data, i, stop)
    while i < stop:
        behind, width = _kind(data, i, kinds)
        if behind != kind:
            break
        before = i
        i += width
    return before if kind == WHITE and i < stop and before > at else i


@numba.njit(cache=True, nogil=True)
def _contraction(data: Bytes, at: Any, stop: int) -> Any:
    """Return where 's, 't, 'm, 'd, 're, 've or 'll ends; `at` where none stands there."""
    first = data[at + 1] if at + 1 < stop else np.uint8(0)
    second = data[at + 2] if at + 2 < stop else np.uint8(0)
    if first == 0x73 or first == 0x74 or first == 0x6D or first == 0x64:
        return at + 2
    if (first == 0x6C and second == 0x6C) or ((first == 0x72 or first == 0x76) and second == 0x65):
        return at + 3
    return at
