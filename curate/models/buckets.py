"""Ensemble buckets: each scorer's scores in 20 equal buckets, the best of them, and five named tiers (Su et al. 2024, Nemotron-CC).

A score's bucket is told by edges, which are plain numbers fitted once, so that documents that come later fall into the same
buckets. Edges are exact: they are fitted to all scores, in whatever order these come.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from catalog.errors import InputError

BUCKETS = 20
TIERS = ((19, "high"), (18, "medium-high"), (12, "medium"), (7, "medium-low"), (0, "low"))
"""The lowest of twenty buckets of each tier. Where the five begin follows the pipeline that NeMo Curator gives for Nemotron-CC."""

Numbers = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


def edges(scores: Numbers, buckets: int = BUCKETS) -> list[float]:
    """Return the buckets - 1 scores that part all into equal buckets: edge k is the first in rising order with a share of (k + 1) / buckets below it.

    NaN are left out. Raises InputError when there is no score. Where a score is so frequent that it fills buckets, edges are equal, and no
    document falls between.
    """
    known = np.sort(scores[~np.isnan(scores)] + 0.0)         # + 0.0: -0. and 0. are one score, and one text
    if not known.size:
        raise InputError("no document has a score; score the corpus first, then fit the edges of its buckets")
    at = -(-known.size * np.arange(1, buckets, dtype=np.int64) // buckets)
    return [float(value) for value in known[np.minimum(at, known.size - 1)]]


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
