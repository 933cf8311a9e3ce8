"""Phrases of small ASCII letters, found in any case in one walk over bytes."""

from collections.abc import Mapping

import numba
import numpy as np
import numpy.typing as npt

from catalog.split import Bytes

Places = npt.NDArray[np.int64]
Tables = tuple[npt.NDArray[np.uint8], Places, Places, Places, npt.NDArray[np.bool_]]


def tables(phrases: Mapping[str, tuple[int, int]]) -> Tables:
    """Return what `find` wants to know of phrases, each with its kind and the place of its rarest letter, by which it is looked for."""
    width = max(map(len, phrases))
    letters = np.array([list(phrase.encode().ljust(width, b"\0")) for phrase in phrases], np.uint8)
    lengths = np.array([len(phrase) for phrase in phrases])
    kinds, anchors = (np.array([told[place] for told in phrases.values()]) for place in range(2))
    begun = np.zeros((32, 32), np.bool_)  # the rarest letter and the one behind it, five bits of each: capitals have the same
    rows = np.arange(lengths.size)
    anchors = np.minimum(anchors, lengths - 2)
    begun[letters[rows, anchors] & 31, letters[rows, anchors + 1] & 31] = True
    return letters, lengths, kinds, anchors, begun


@numba.njit(cache=True, nogil=True)
def find(
    data: Bytes, start: int, end: int, letters: Bytes, lengths: Places, kinds: Places, anchors: Places, begun: npt.NDArray[np.bool_]
) -> int:
    """Return which kinds of phrases stand in data[start:end]: a bit for each."""
    found = 0
    for i in range(start, end - 1):
        if begun[data[i] & 31, data[i + 1] & 31]:
            for p in range(lengths.size):
                at = i - anchors[p]
                if letters[p, anchors[p]] == data[i] | 0x20 and at >= start and at + lengths[p] <= end:
                    same = True
                    for j in range(lengths[p]):
                        byte = data[at + j]
                        same &= letters[p, j] == (byte | 0x20 if 0x41 <= byte <= 0x5A else byte)
                    found |= same << kinds[p]
    return found
