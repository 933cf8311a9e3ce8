"""How good a score is: ranking, classification, calibration, each with an interval where one is known.

Labels are 0 and 1, scores any finite numbers where more is likelier 1. Intervals are of 95 %.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catalog.ids import derive
from catalog.intervals import Z, wilson

Numbers = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Estimate:
    """A value and its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def to_list(self) -> list[float]:
        return [self.value, self.low, self.high]


@dataclass(frozen=True)
class Confusion:
    """Counts at one threshold, where a score of at least that says 1."""

    threshold: float
    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @property
    def precision(self) -> Estimate:
        return share(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> Estimate:
        return share(self.true_positive, self.true_positive + self.false_negative)

    @property
    def false_positive_rate(self) -> Estimate:
        return share(self.false_positive, self.false_positive + self.true_negative)

    @property
    def accuracy(self) -> Estimate:
        right = self.true_positive + self.true_negative
        return share(right, right + self.false_positive + self.false_negative)


def ranks(values: Numbers) -> Numbers:
    """Return ranks from 1, equal values sharing the mean of theirs."""
    _, place, times = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(times).astype(np.float64)
    shared: Numbers = (last - (times - 1) / 2)[place]
    return shared


def components(labels: Labels, scores: Numbers) -> tuple[float, Numbers, Numbers]:
    """Return the AUC, and DeLong's structural components of the positives and the negatives (Sun & Xu 2014, by mid-ranks)."""
    yes, no = scores[labels], scores[~labels]
    assert yes.size and no.size, "an AUC needs both labels"
    both = ranks(np.concatenate([yes, no]))
    above = (both[: yes.size] - ranks(yes)) / no.size
    below = 1 - (both[yes.size :] - ranks(no)) / yes.size
    return float(above.mean()), above, below


def auc(labels: Labels, scores: Numbers) -> Estimate:
    """Return the area under the ROC curve (ties count half) with DeLong's interval (DeLong et al. 1988), cut at 0 and 1.

    The interval has no width where every positive is above every negative: with few documents that is not certainty.
    """
    area, above, below = components(labels, scores)
    wide = Z * float(np.sqrt(_variance(above) / above.size + _variance(below) / below.size))
    return Estimate(area, max(0.0, area - wide), min(1.0, area + wide))


def auc_difference(labels: Labels, first: Numbers, second: Numbers) -> Estimate:
    """Return how much larger the AUC of the first of two scores of the same documents is, with DeLong's interval for pairs."""
    (a, a_above, a_below), (b, b_above, b_below) = components(labels, first), components(labels, second)
    above, below = a_above - b_above, a_below - b_below
    wide = Z * float(np.sqrt(_variance(above) / above.size + _variance(below) / below.size))
    return Estimate(a - b, a - b - wide, a - b + wide)


def _variance(values: Numbers) -> float:
    return float(values.var(ddof=1)) if values.size > 1 else 0.0


def average_precision(labels: Labels, scores: Numbers) -> float:
    """Return the sum over thresholds of precision times the rise of recall; equal scores fall together."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), scores.size - 1)
    hits = np.cumsum(labels[order])[ends]
    rises = np.diff(hits, prepend=0) / max(int(labels.sum()), 1)
    return float(np.sum(rises * hits / (ends + 1)))


def spearman(first: Numbers, second: Numbers) -> float:
    """Return the correlation of ranks, NaN where either is constant."""
    a, b = ranks(first), ranks(second)
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale else float("nan")


def weighted_kappa(first: Numbers, second: Numbers, *, grades: int) -> float:
    """Return Cohen's kappa with quadratic weights (Cohen 1968) of two gradings 0 .. grades - 1: 1 is agreement, 0 what chance gives.

    NaN where both graders give one and the same grade to everything: there is no disagreement to expect.
    """
    a, b = first.astype(np.int64), second.astype(np.int64)
    assert ((a == first) & (b == second) & (a >= 0) & (b >= 0) & (a < grades) & (b < grades)).all(), f"grades are whole numbers from 0 to {grades - 1}"
    places = np.arange(grades)
    apart = (places[:, None] - places[None, :]) ** 2
    seen = float(((a - b) ** 2).mean()) if a.size else float("nan")
    chance = float(np.bincount(a, minlength=grades) @ apart @ np.bincount(b, minlength=grades)) / max(a.size, 1) ** 2
    return 1 - seen / chance if chance else float("nan")


def graded(scores: Numbers, *, grades: int) -> Numbers:
    """Return scores as grades 0 .. grades - 1: the nearest one, halves upwards."""
    whole: Numbers = np.clip(np.floor(scores + 0.5), 0, grades - 1)
    return whole


@dataclass(frozen=True)
class Agreement:
    """How far scores agree with labels of the same documents: Spearman's rank correlation, and kappa with quadratic weights."""

    documents: int
    spearman: Estimate
    kappa: Estimate

    def __str__(self) -> str:
        return f"{self.documents:,} documents: Spearman {self.spearman}, weighted kappa {self.kappa}"


def agreement(labels: Numbers, scores: Numbers, *, grades: int, seed: int = 0, draws: int = 1000) -> Agreement:
    """Return how far scores agree with labels, both on the scale 0 .. grades - 1, each figure with its bootstrap interval.

    Kappa is of whole grades: scores between two are rounded first. NaN where labels or scores are all the same.
    """
    assert labels.shape == scores.shape and labels.size, f"{labels.size} labels for {scores.size} scores"
    whole, said = graded(scores, grades=grades), graded(labels, grades=grades)

    def kappa(rows: npt.NDArray[np.int64]) -> float:
        return weighted_kappa(said[rows], whole[rows], grades=grades)

    def correlation(rows: npt.NDArray[np.int64]) -> float:
        return spearman(labels[rows], scores[rows])

    every = np.arange(labels.size)
    found = [Estimate(of(every), *bootstrapped(of, labels.size, seed=seed, draws=draws)) for of in (correlation, kappa)]
    return Agreement(labels.size, *found)


def share(count: int, of: int) -> Estimate:
    """Return count / of with Wilson's interval (Wilson 1927); of nothing it is NaN, anywhere from 0 to 1."""
    if of == 0:
        return Estimate(float("nan"), 0.0, 1.0)
    return Estimate(count / of, *wilson(count, of))


def confusion(labels: Labels, scores: Numbers, threshold: float) -> Confusion:
    """Return the four counts at a threshold."""
    said = scores >= threshold
    yes, no = int(labels.sum()), int((~labels).sum())
    hits, alarms = int((said & labels).sum()), int((said & ~labels).sum())
    return Confusion(threshold, hits, alarms, yes - hits, no - alarms)


def brier(labels: Labels, probabilities: Numbers) -> float:
    """Return the mean squared error of probabilities (Brier 1950)."""
    return float(np.mean((probabilities - labels) ** 2))


def calibration_error(labels: Labels, probabilities: Numbers, *, bins: int = 10) -> float:
    """Return the mean distance of predicted from observed shares over bins of equal width, weighted by documents (Guo et al. 2017)."""
    place = np.clip(np.ceil(probabilities * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(place, probabilities - labels, minlength=bins)
    return float(np.abs(gaps).sum() / labels.size)


def bootstrapped(measure: Callable[[npt.NDArray[np.int64]], float], size: int, *, seed: int, draws: int = 1000) -> Interval:
    """Return the percentile interval of a measure of row numbers, over `draws` samples of `size` rows with replacement.

    Draws for which the measure is NaN are left out. The draws come from blake2b of the seed.
    """
    random = np.random.Generator(np.random.PCG64(derive(seed, "bootstrap")))
    found = np.array([measure(random.integers(0, size, size)) for _ in range(draws)])
    found = found[~np.isnan(found)]
    low, high = np.quantile(found, [0.025, 0.975]) if found.size else (np.nan, np.nan)
    return float(low), float(high)
