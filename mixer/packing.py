"""Packing: whole documents into rows of fixed size, wasting as little as can be."""

import numba
import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def pack(lengths: Ints, capacity: int) -> tuple[Ints, Ints]:
    """Put items into rows of `capacity`: best fit, longest first (as arXiv 2404.10830 packs, without cutting).

    Returns the items in row order, and rows + 1 ends into that order. Equal lengths keep their order, so the result depends
    on the lengths alone. No length is above the capacity.
    """
    assert not lengths.size or int(lengths.max()) <= capacity, "an item is longer than a row; drop it first"
    falling = np.argsort(-lengths, kind="stable")
    row_of, rows = _best_fit(lengths[falling], capacity)
    by_row = np.argsort(row_of, kind="stable")
    return falling[by_row], np.searchsorted(row_of[by_row], np.arange(rows + 1)).astype(np.int64)


@numba.njit(cache=True)
def _best_fit(lengths: Ints, capacity: int) -> tuple[Ints, int]:
    """Return the row of each item. Open rows hang in lists by the room they have left; 64 lists are skipped at a look."""
    heads = np.full(capacity + 1, -1, np.int64)
    following = np.empty(lengths.size, np.int64)
    filled = np.zeros(capacity // 64 + 1, np.int64)  # how many of each 64 lists hold a row
    row_of, rows = np.empty(lengths.size, np.int64), 0
    for i in range(lengths.size):
        room = lengths[i]
        while room <= capacity and heads[room] < 0:
            room = (room // 64 + 1) * 64 if filled[room // 64] == 0 else room + 1
        if room > capacity:
            row, room = rows, capacity
            rows += 1
        else:
            row = heads[room]
            heads[room] = following[row]
            filled[room // 64] -= heads[room] < 0
        left = room - lengths[i]
        filled[left // 64] += heads[left] < 0
        following[row] = heads[left]
        heads[left] = row
        row_of[i] = row
    return row_of, rows
