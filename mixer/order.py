"""The deterministic order: a permutation without a table, and which source gives each sample.

Both are pure functions of integers, so any rank of any world finds sample n by itself and resuming is starting at n.
"""

from collections.abc import Sequence
from fractions import Fraction

import numba
import numpy as np
import numpy.typing as npt

from catalog.schema import mix64

GRID = 1 << 40
"""Weights are whole numbers that sum to this: adding them a billion times loses nothing."""

BLOCK = 1 << 16
"""Samples between two checkpoints of the blend."""

ROUNDS = 6

Ints = npt.NDArray[np.int64]


@numba.njit(cache=True, nogil=True)
def permute(places: Ints, n: int, key: int) -> Ints:
    """Return where a keyed permutation of 0..n-1 sends each place: one to one, no table, O(1) a place.

    A balanced Feistel network (Luby and Rackoff 1988) of six rounds over the smallest even number of bits that holds n,
    whose round function is `mix64` of the half, the key and the round; what falls outside n is sent on until it falls
    inside (cycle walking, Black and Rogaway 2002): fewer than four turns on average.
    """
    half = 1
    while (1 << (2 * half)) < n:
        half += 1
    mask = np.uint64((1 << half) - 1)
    shift = np.uint64(half)
    keys = np.empty(ROUNDS, np.uint64)
    for r in range(ROUNDS):
        keys[r] = mix64(np.uint64(key) + np.uint64(r + 1) * np.uint64(0x9E3779B97F4A7C15))
    out = np.empty(places.size, np.int64)
    for i in range(places.size):
        x = np.uint64(places[i])
        while True:
            left, right = x >> shift, x & mask
            for r in range(ROUNDS):
                left, right = right, left ^ (mix64(right ^ keys[r]) & mask)
            x = (left << shift) | right
            if x < np.uint64(n):
                break
        out[i] = np.int64(x)
    return out


@numba.njit(cache=True, nogil=True)
def keyed(hashes: npt.NDArray[np.uint64], key: int) -> npt.NDArray[np.uint64]:
    """Return stable hashes mixed with a key: an order of one seed."""
    out = np.empty(hashes.size, np.uint64)
    for i in range(hashes.size):
        out[i] = mix64(hashes[i] ^ np.uint64(key))
    return out


def apportion(shares: Sequence[float], total: int) -> list[int]:
    """Return whole numbers in the ratio of `shares` that sum to `total`: largest remainder, the first of equals gains.

    Each is within one of its exact share. Shares are not negative and not all zero.
    """
    exact = [Fraction(share) for share in shares]
    whole = sum(exact, Fraction(0))
    assert whole > 0 and min(exact) >= 0, f"shares {shares} have no whole"
    quotas = [share * total / whole for share in exact]
    floors: list[int] = [int(quota) for quota in quotas]
    remainders: list[Fraction] = [quota - floor for quota, floor in zip(quotas, floors, strict=True)]
    by_remainder = sorted(range(len(exact)), key=lambda i: (-remainders[i], i))
    for i in by_remainder[: total - sum(floors)]:
        floors[i] += 1
    return floors


@numba.njit(cache=True, nogil=True)
def _advance(weights: Ints, owed: Ints, taken: Ints, sources: npt.NDArray[np.int16], places: Ints) -> None:
    """Choose the sources of the next `sources.size` samples; `owed` and `taken` are the state and move on.

    Tijdeman, "The chairman assignment problem" (1980): of the sources whose debt reached 1/(2k-2) the one whose debt would
    first pass 1 - 1/(2k-2) is served. Then every prefix is within 1 - 1/(2k-2) < 1 sample of weight x samples, for all k
    sources (a plain argmax of the debt may pass 1). In units of 1/GRID, without rounding.
    """
    k = int(np.sum(weights > 0))
    scale = max(2 * k - 2, 1)
    for n in range(sources.size):
        best, soonest = -1, np.int64(0)
        for i in range(weights.size):
            if weights[i] == 0:
                continue
            owed[i] += weights[i]
            if owed[i] * scale >= GRID:
                wait = (GRID * (scale - 1) - owed[i] * scale) // (weights[i] * scale)
                if best < 0 or wait < soonest:
                    best, soonest = i, wait
        owed[best] -= GRID
        sources[n] = best
        places[n] = taken[best]
        taken[best] += 1


class Blend:
    """Which source gives sample n, and which of its samples that is.

    phases: (samples, one weight a source) in order; weights sum to 1. In each phase, after any number n of its samples, each
    source has given less than one sample more or less than weight x n, and one with weight 0 none.
    """

    def __init__(self, phases: Sequence[tuple[int, Sequence[float]]]) -> None:
        self.sources = len(phases[0][1])
        assert self.sources < 1 << 15, f"{self.sources} sources; at most 32767"
        self.ends = np.cumsum([samples for samples, _ in phases]).astype(np.int64)
        self.total = int(self.ends[-1])
        self.weights = [np.array(apportion(weights, GRID), np.int64) for _, weights in phases]
        self._blocks: list[tuple[int, int, int, Ints, Ints]] = []  # start, samples, phase, owed, taken
        self._cache: dict[int, tuple[npt.NDArray[np.int16], Ints]] = {}
        self.counts = self._run()
        self._starts = np.array([block[0] for block in self._blocks], np.int64)

    def _run(self) -> list[Ints]:
        """Walk all phases once, keeping the state at every block; return what each source gives in each phase."""
        taken, start, counts = np.zeros(self.sources, np.int64), 0, []
        for phase, end in enumerate(self.ends):
            owed, before = np.zeros(self.sources, np.int64), taken.copy()
            while start < end:
                size = int(min(BLOCK, end - start))
                self._blocks.append((start, size, phase, owed.copy(), taken.copy()))
                _advance(self.weights[phase], owed, taken, np.empty(size, np.int16), np.empty(size, np.int64))
                start += size
            counts.append(taken - before)
        return counts

    def at(self, indices: Ints) -> tuple[Ints, Ints]:
        """Return the source of each sample and its place among that source's samples; both shaped like `indices`."""
        indices = np.asarray(indices, np.int64)
        if indices.size and (indices.min() < 0 or indices.max() >= self.total):
            raise IndexError(f"samples {indices.min()} to {indices.max()} of {self.total}")
        blocks = np.searchsorted(self._starts, indices, side="right") - 1
        sources, places = np.empty(indices.size, np.int64), np.empty(indices.size, np.int64)
        for block in np.unique(blocks):
            here = np.flatnonzero(blocks == block)
            inside = indices[here] - self._starts[block]
            given = self._block(int(block))
            sources[here], places[here] = given[0][inside], given[1][inside]
        return sources, places

    def _block(self, block: int) -> tuple[npt.NDArray[np.int16], Ints]:
        if block not in self._cache:
            if len(self._cache) >= 8:
                self._cache.pop(next(iter(self._cache)))
            _, size, phase, owed, taken = self._blocks[block]
            found = np.empty(size, np.int16), np.empty(size, np.int64)
            _advance(self.weights[phase], owed.copy(), taken.copy(), *found)
            self._cache[block] = found
        return self._cache[block]
