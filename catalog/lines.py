"""The one split of texts into lines that every stage of a part shares; of words see `catalog.split`."""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from catalog.eight import characters_in, hash_run, next_newline
from catalog.split import TERMINAL, WHITE, Bytes, Hashes, Offsets, Table, characters, decode

# What a line is told by (Lines.flags).
BLANK = 1  # has nothing but white space
ENDED = 2  # its last character ends a sentence


@dataclass(frozen=True)
class Lines:
    """What stands between the newlines (\\n) of each text, blank lines too: `text.split("\\n")`, flat. An empty text has one line."""

    data: Bytes
    texts: Offsets
    documents: Offsets
    starts: Offsets
    ends: Offsets
    hashes: Hashes  # hash_run of the line: equal where its bytes are, and nothing to store
    lengths: npt.NDArray[np.int64]  # characters
    flags: Bytes


def split_lines(data: Bytes, offsets: Offsets) -> Lines:
    """Return the lines of the texts data[offsets[d]:offsets[d + 1]], which must be valid UTF-8."""
    documents, starts, ends = _places(data, offsets)
    return Lines(data, offsets, documents, starts, ends, *measure_lines(data, starts, ends, characters()[0]))


@numba.njit(cache=True, nogil=True)
def _places(data: Bytes, offsets: Offsets) -> tuple[Offsets, Offsets, Offsets]:
    """Return the n + 1 offsets of the texts' lines, and where each line starts and ends."""
    total = offsets.size - 1
    for byte in data[offsets[0] : offsets[-1]]:
        total += byte == 0x0A
    documents, starts, ends = np.zeros(offsets.size, np.int64), np.empty(total, np.int64), np.empty(total, np.int64)
    count = 0
    for d in range(offsets.size - 1):
        starts[count] = offsets[d]
        at, stop = next_newline(data, offsets[d], offsets[d + 1]), offsets[d + 1]
        while at < stop:
            ends[count], starts[count + 1] = at, at + 1
            count, at = count + 1, next_newline(data, at + 1, stop)
        ends[count] = stop
        count += 1
        documents[d + 1] = count
    return documents, starts, ends


@numba.njit(cache=True, nogil=True)
def measure_lines(data: Bytes, starts: Offsets, ends: Offsets, table: Table) -> tuple[Hashes, npt.NDArray[np.int64], Bytes]:
    """Return hash, characters and flags (BLANK, ENDED) of the lines data[starts[i]:ends[i]]."""
    hashes, lengths, flags = np.empty(starts.size, np.uint64), np.empty(starts.size, np.int64), np.empty(starts.size, np.uint8)
    for line in range(starts.size):
        at = starts[line]
        while at < ends[line]:
            code, width = decode(data, at)
            if not table[code] & WHITE:
                break
            at += width
        last, ended = ends[line] - 1, False
        if last >= starts[line]:
            while data[last] & 0xC0 == 0x80:
                last -= 1
            ended = table[decode(data, last)[0]] & TERMINAL > 0
        hashes[line], lengths[line] = hash_run(data, starts[line], ends[line]), characters_in(data, starts[line], ends[line])
        flags[line] = (BLANK if at == ends[line] else 0) | (ENDED if ended else 0)
    return hashes, lengths, flags
