"""Ensemble buckets: each scorer's scores in 20 equal buckets, the best of them, and five named tiers (Su et al. 2024, Nemotron-CC).

A score's bucket is told by edges, which are plain numbers fitted once, so that documents that come later fall into the same
buckets. Edges are fitted from sketches, one a file: weighted quantiles that merge.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catalog.errors import InputError

BUCKETS = 20
POINTS = 2_000
TIERS = ((19, "high"), (18, "medium-high"), (12, "medium"), (7, "medium-low"), (0, "low"))
"""The lowest of twenty buckets of each tier. Where the five begin follows the pipeline that NeMo Curator gives for Nemotron-CC."""

Numbers = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sketch:
    """`count` scores as points in rising order, each standing for as many of them as every other."""

    count: int
    points: tuple[float, ...]

    def to_dict(self) -> dict[str, object]:
        return {"count": self.count, "points": list(self.points)}


def sketch(scores: Numbers, points: int = POINTS) -> Sketch:
    """Return the sketch of some scores; NaN are left out. Up to `points` of them it is exact, else each quantile is off by 1 / points at most."""
    known = np.sort(scores[~np.isnan(scores)])
    if known.size <= points:
        return Sketch(known.size, tuple(known.tolist()))
    middles = ((np.arange(points) + 0.5) * known.size / points).astype(np.int64)
    return Sketch(known.size, tuple(known[middles].tolist()))


def edges(sketches: Sequence[Sketch], buckets: int = BUCKETS) -> list[float]:
    """Return the buckets - 1 scores that part all sketched ones into equal buckets: edge k has a share of (k + 1) / buckets below it.

    Raises InputError when there is no score. Where a score is so frequent that it fills buckets, edges are equal, and no document falls between.
    """
    values = np.array([point for each in sketches for point in each.points], np.float64)
    if not values.size:
        raise InputError("no document has a score; score the corpus first, then fit the edges of its buckets")
    weights = np.concatenate([np.full(len(each.points), each.count / max(len(each.points), 1)) for each in sketches])
    order = np.argsort(values, kind="stable")
    values, below = values[order], np.cumsum(weights[order]) - weights[order]
    total = float(weights.sum())
    at = np.searchsorted(below, total * np.arange(1, buckets) / buckets - 1e-9 * total, side="left")
    return [float(value) for value in values[np.minimum(at, values.size - 1)]]


def bucket(scores: Numbers, fitted: Sequence[float]) -> Places:
    """Return the bucket of each score, 0 (lowest) to len(fitted); -1 for NaN. A score equal to an edge is above it."""
    found = np.searchsorted(np.asarray(fitted, np.float64), scores, side="right")
    return np.where(np.isnan(scores), -1, found).astype(np.int64)


def best(placed: Sequence[Places]) -> Places:
    """Return the highest bucket that any scorer gives, document by document; -1 where none gives one."""
    found: Places = np.maximum.reduce(list(placed))
    return found


def tier(place: int, buckets: int = BUCKETS) -> str | None:
    """Return the name of a bucket's tier, None for -1. With other than twenty buckets, tiers begin at the same shares."""
    if place < 0:
        return None
    starts = [(start * buckets // BUCKETS, name) for start, name in TIERS]
    return next(name for start, name in starts if place >= start)


def tiers(placed: Places, buckets: int = BUCKETS) -> list[str | None]:
    """Return the tier of each document's bucket."""
    names = [tier(place, buckets) for place in range(-1, buckets)]
    return [names[place + 1] for place in placed]


def tier_edges(fitted: Sequence[float]) -> dict[str, float]:
    """Return the lowest score of each tier but the lowest, for a clause in SQL."""
    buckets = len(fitted) + 1
    return {name: fitted[start * buckets // BUCKETS - 1] for start, name in TIERS if start}
