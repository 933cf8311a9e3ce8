"""Vectors as whole numbers of a byte, their k-means, and the groups of vectors that are near one another.

A row is scaled to its largest number and rounded, so that the products of two rows are whole numbers below 2^24: float32 adds those without rounding, in
whatever order, and BLAS gives the same answer on any machine and under any number of threads. What that costs a cosine of 256 numbers is about .001.
"""

import math

import numba
import numpy as np
import numpy.typing as npt

from catalog.ids import derive

Bytes = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ROUNDS = 12
"""Of Lloyd's algorithm: where rows belong hardly changes after that."""
SAME = 1e-9
"""Rows that are nearer to a centre than this, by 1 - cosine, are not drawn for another."""
PREFERRED = 4.0
"""What is added to a cosine that goes before all others."""
BLOCK = 1024
"""Rows that are compared at once."""
LEADERS = 1 << 15
"""Leaders with which a block is compared at once: 128 MB."""


def rounded(rows: npt.NDArray[np.floating]) -> Bytes:
    """Return rows as whole numbers; a row of zeros, or with a number that is not finite, becomes zeros."""
    most = min(127, math.isqrt((1 << 24) // max(1, rows.shape[1])))
    finite = np.isfinite(rows).all(axis=1)
    whole = np.where(finite[:, None], rows, 0)
    largest = np.abs(whole).max(axis=1, initial=0)
    scale = np.divide(most, largest, out=np.zeros(len(rows)), where=largest > 0)
    found: Bytes = np.rint(whole * scale[:, None]).astype(np.int8)
    return found


def lengths(rows: Bytes) -> Doubles:
    """Return the length of each row, 1 for a row of zeros."""
    wide = rows.astype(np.float32)
    squares = np.einsum("ij,ij->i", wide, wide).astype(np.float64)
    found: Doubles = np.sqrt(np.where(squares > 0, squares, 1))
    return found


def cosines(rows: Bytes, others: Bytes) -> Doubles:
    """Return the cosine of each row with each other."""
    found: Doubles = (rows.astype(np.float32) @ others.astype(np.float32).T) / lengths(rows)[:, None] / lengths(others)
    return found


def centres(rows: Bytes, count: int, seed: int) -> Bytes:
    """Return the centres of spherical k-means (Dhillon and Modha 2001): k-means++ from a derived seed, then Lloyd's algorithm. The rows' order counts."""
    if not len(rows):
        return rows
    found = _seeded(rows, min(count, len(rows)), seed)
    before = np.full(len(rows), -1)
    for _ in range(ROUNDS):
        owner = nearest(rows, found)[:, 0]
        if (owner == before).all():
            break
        sums = _sums(rows, owner, len(found))
        found = np.where((sums != 0).any(axis=1)[:, None], rounded(sums.astype(np.float64)), found)
        before = owner
    return found


def _seeded(rows: Bytes, count: int, seed: int) -> Bytes:
    """k-means++ (Arthur and Vassilvitskii 2007): each next centre is drawn by its squared distance to the nearest one so far."""
    drawn = np.random.Generator(np.random.PCG64(derive(seed, "centres"))).random(count)
    chosen = [int(drawn[0] * len(rows))]
    away = np.full(len(rows), np.inf)
    for k in range(1, count):
        away = np.minimum(away, 1 - cosines(rows, rows[chosen[-1:]])[:, 0])
        away[away < SAME] = 0
        reach = np.cumsum(away)
        if not reach[-1] > 0:                                # fewer rows than centres that differ
            break
        chosen.append(int(np.searchsorted(reach, drawn[k] * reach[-1], side="right").clip(0, len(rows) - 1)))
    return rows[chosen]


def nearest(rows: Bytes, centre: Bytes, some: int = 1) -> Ints:
    """Return the numbers of the nearest centres of each row, `some` of them or all, the nearest first, the first of equals."""
    out = np.zeros((len(rows), min(some, len(centre))), np.int64)
    flat, length = centre.astype(np.float32).T, lengths(centre)
    for at in range(0, len(rows), BLOCK):
        near = (rows[at : at + BLOCK].astype(np.float32) @ flat) / length
        for k in range(out.shape[1]):
            out[at : at + BLOCK, k] = near.argmax(axis=1)
            np.put_along_axis(near, out[at : at + BLOCK, k, None], -np.inf, axis=1)
    return out


@numba.njit(cache=True, nogil=True)
def _sums(rows: Bytes, owner: Ints, count: int) -> Ints:
    out = np.zeros((count, rows.shape[1]), np.int64)
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            out[owner[i], j] += rows[i, j]
    return out


def led(rows: Bytes, threshold: float, given: int = 0) -> tuple[Ints, Doubles]:
    """Return the leader of each row, and its cosine with it (1 for a leader).

    A row follows the nearest of the leaders before it that is at least `threshold` near, the first of equals; where there is none it is a leader itself. So
    nobody follows a row that is far from it, as in chains of pairs, and copies cost one comparison each. The first `given` rows follow nobody but one that is
    the SAME, and are preferred to leaders that come behind them. Memory: that of the rows.
    """
    leader, near = np.arange(len(rows)), np.ones(len(rows))
    heads, length = np.zeros(0, np.int64), lengths(rows)
    for at in (*range(0, given, BLOCK), *range(given, len(rows), BLOCK)):
        end = min(at + BLOCK, given if at < given else len(rows))
        least = 1 - SAME if at < given else threshold
        block, size = rows[at:end], length[at:end]
        best, who = np.full(len(block), -1.0), np.zeros(len(block), np.int64)
        for first in range(0, len(heads), LEADERS):
            some = heads[first : first + LEADERS]
            told = (block.astype(np.float32) @ rows[some].astype(np.float32).T) / size[:, None] / length[some]
            told[:, some < given] += PREFERRED * (told[:, some < given] >= least)
            place = told.argmax(axis=1)
            value = told[np.arange(len(block)), place]
            better = value > best
            best[better], who[better] = value[better], some[place[better]]
        alone = np.flatnonzero(best < least)                 # only these can become leaders
        among = (block.astype(np.float32) @ block[alone].astype(np.float32).T) / size[:, None] / size[alone]
        new = _settle(among, alone, best, who, at, least, leader, near)
        heads = np.concatenate([heads, at + alone[new]])
    near[near > 2] -= PREFERRED
    return leader, np.minimum(near, 1)


@numba.njit(cache=True, nogil=True)
def _settle(among: Doubles, alone: Ints, best: Doubles, who: Ints, at: int, threshold: float, leader: Ints, near: Doubles) -> npt.NDArray[np.bool_]:
    """Give each row of a block its leader, in order; return which of those that followed nobody before it are leaders now."""
    new = np.zeros(alone.size, np.bool_)
    for i in range(best.size):
        value, head = best[i], who[i]
        own = -1
        for k in range(alone.size):
            if alone[k] >= i:
                own = k if alone[k] == i else -1
                break
            if new[k] and among[i, k] > value:
                value, head = among[i, k], at + alone[k]
        if value >= threshold:
            leader[at + i], near[at + i] = head, value
        else:
            new[own] = True
    return new


@numba.njit(cache=True, nogil=True)
def settled(who: Ints, leader: Ints, rows: Bytes, threshold: float, given: int = 0) -> tuple[Ints, Doubles]:
    """Return one leader of each row, and its cosine with it, of candidates `leader[i]` for `who[i]` that come from several clusters; `who` rises.

    A candidate that follows another itself by now stands for that one, if the row is near it, too. The first `given` rows are preferred, as in `led`.
    """
    head, near = np.arange(rows.shape[0]), np.ones(rows.shape[0])
    for i in range(who.size):
        row, other = who[i], head[leader[i]]
        product = own = its = np.int64(0)
        for j in range(rows.shape[1]):
            a, b = np.int64(rows[row, j]), np.int64(rows[other, j])
            product += a * b
            own += a * a
            its += b * b
        value = min(1.0, product / np.sqrt(own) / np.sqrt(its))
        first, was_first = other < given, head[row] < given
        nearer = value > near[row] or (value == near[row] and other < head[row])
        better = head[row] == row or (first and not was_first) or (first == was_first and nearer)
        if value >= threshold and other != row and better:
            head[row], near[row] = other, value
    return head, near
