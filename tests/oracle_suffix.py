"""Repeated windows by a suffix array (pydivsufsort, in .venv-oracles): what `curate.substring` must find, by another way.

    python tests/oracle_suffix.py WORDS.npy OFFSETS.npy TOKENS OUT.npy

Words are numbers, those of document d being offsets[d] to offsets[d + 1], documents in the order of their doc_ids. Written are, for each place, the first
place of the window of TOKENS words that begins there, -1 where it stands there alone; and the CPU seconds of suffix array and groups are printed.
"""

import sys
from time import process_time

import numpy as np
from pydivsufsort import divsufsort, kasai


def firsts(words: np.ndarray, offsets: np.ndarray, tokens: int) -> np.ndarray:
    """A number of its own behind each document: no window that reaches over its end is like another."""
    n = offsets.size - 1
    text = np.empty(words.size + n, np.uint32)
    ends = offsets[1:] + np.arange(n)
    inside = np.ones(text.size, np.bool_)
    inside[ends] = False
    text[inside] = words + n
    text[ends] = np.arange(n)
    suffixes = divsufsort(text)
    behind = kasai(text, suffixes)                           # what a suffix shares with the next one
    alike = np.concatenate([[False], behind[: text.size - 1] >= tokens])
    group = np.cumsum(~alike) - 1
    starts = np.flatnonzero(~alike)
    least = np.minimum.reduceat(suffixes, starts)
    sizes = np.diff(np.append(starts, text.size))
    found = np.full(text.size, -1, np.int64)
    found[suffixes] = np.where(sizes[group] > 1, least[group], -1)
    shift = np.cumsum(~inside)                               # separators before each place
    found = np.where(found >= 0, found - shift[found], -1)
    return found[inside]


if __name__ == "__main__":
    words, offsets = np.load(sys.argv[1]), np.load(sys.argv[2])
    begun = process_time()
    found = firsts(words, offsets, int(sys.argv[3]))
    print(process_time() - begun)
    np.save(sys.argv[4], found)
