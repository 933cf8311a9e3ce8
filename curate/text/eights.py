"""Questions about eight bytes of ASCII at a time, held in one number as `curate.text.again.eight` reads them: answers are the highest bit of each byte."""

from typing import Any

import numba
import numpy as np

HIGHEST = np.uint64(0x8080808080808080)
ONES = np.uint64(0x0101010101010101)


@numba.njit(cache=True, nogil=True)
def is_plain(part: Any) -> Any:
    """Say whether all eight bytes are ASCII, a space or more, and no delete."""
    return not (part | (part - ONES * np.uint64(0x20)) | (part + ONES)) & HIGHEST


@numba.njit(cache=True, nogil=True)
def letters_of(part: Any) -> Any:
    """Return which of eight bytes, all of them ASCII, are letters."""
    small = part | ONES * np.uint64(0x20)
    return (small + ONES * np.uint64(0x80 - 0x61)) & ~(small + ONES * np.uint64(0x80 - 0x7B)) & HIGHEST


@numba.njit(cache=True, nogil=True)
def many(found: Any) -> Any:
    """Return how many of eight bytes have their highest bit set; the others' bits do not matter."""
    return np.int64(((found & HIGHEST) >> np.uint64(7)) * ONES >> np.uint64(56))
