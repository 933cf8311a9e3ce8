"""From a margin to a probability, or to a label: Platt's sigmoid, isotonic steps, or a straight line, as plain data."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.errors import InputError

KNOTS = 256
Numbers = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Calibration:
    """`sigmoid`: 1 / (1 + exp(-(slope * margin + shift))); `line`: slope * margin + shift, held between `low` and `high`;
    `steps`: between the points (margins, values) in a straight line, and level outside them."""

    kind: str
    slope: float = 1.0
    shift: float = 0.0
    low: float = 0.0
    high: float = 1.0
    margins: tuple[float, ...] = ()
    values: tuple[float, ...] = ()

    def __call__(self, margin: Numbers) -> Numbers:
        """Return the calibrated value of each margin; NaN stays NaN."""
        if self.kind == "steps":
            found: Numbers = np.interp(margin, self.margins, self.values)
            return found
        line = self.slope * margin + self.shift
        return np.clip(line, self.low, self.high) if self.kind == "line" else logistic(line)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def as_calibration(told: dict[str, Any]) -> Calibration:
    """Return a calibration from what `to_dict` wrote. Raises InputError for what it never writes."""
    found = Calibration(**{**told, "margins": tuple(map(float, told["margins"])), "values": tuple(map(float, told["values"]))})
    steps = np.array(found.margins), np.array(found.values)
    numbers = np.array([found.slope, found.shift, found.low, found.high, *found.margins, *found.values], np.float64)
    if found.kind not in ("sigmoid", "line", "steps") or not np.isfinite(numbers).all():
        raise InputError(f"its calibration of kind {found.kind!r} is none of ours")
    if found.kind == "steps" and (not steps[0].size == steps[1].size > 0 or (np.diff(steps[0]) < 0).any() or (np.diff(steps[1]) < 0).any()):
        raise InputError("its calibration's steps do not rise")
    return found


def logistic(t: Numbers) -> Numbers:
    """Return 1 / (1 + exp(-t)) without overflow."""
    small = np.exp(-np.abs(t))
    return np.where(t >= 0, 1 / (1 + small), small / (1 + small))


def sigmoid(labels: Labels, margins: Numbers) -> Calibration:
    """Fit Platt's sigmoid (Platt 1999) to held-out margins, by Newton's steps with halving (Lin, Lin & Weng 2007).

    Labels count as (n + 1) / (n + 2) and 1 / (n + 2) of n documents that have them, so that few of them give no certainty. Where
    margins say nothing, or the opposite of what they should, the slope is what fits best all the same: see the AUC.
    """
    yes, no = int(labels.sum()), int((~labels).sum())
    wanted = np.where(labels, (yes + 1) / (yes + 2), 1 / (no + 2))
    scale = float(np.abs(margins).max()) or 1.0
    x = np.stack([margins / scale, np.ones_like(margins)])
    theta = np.array([0.0, float(np.log((yes + 1) / (no + 1)))])
    loss = _loss(theta @ x, wanted)
    for _ in range(100):
        p = logistic(theta @ x)
        gradient = x @ (p - wanted)
        if np.abs(gradient).max() < 1e-9 * labels.size:
            break
        step = np.linalg.solve((x * (p * (1 - p))) @ x.T + 1e-12 * np.eye(2), gradient)
        size = 1.0
        while (tried := _loss((theta - size * step) @ x, wanted)) > loss and size > 1e-10:
            size /= 2
        theta, loss = theta - size * step, tried
    return Calibration("sigmoid", float(theta[0] / scale), float(theta[1]))


def _loss(t: Numbers, wanted: Numbers) -> float:
    return float(np.sum(np.logaddexp(0, t) - wanted * t))


def steps(labels: Labels, margins: Numbers) -> Calibration:
    """Fit a rising function to held-out margins by pooling adjacent violators (Zadrozny & Elkan 2002), kept at no more than 256 points.

    Each level is drawn towards the share of positives by one document, so that none is exactly 0 or 1.
    """
    at, place = np.unique(margins, return_inverse=True)
    weight, total = np.bincount(place).astype(np.float64), np.bincount(place, labels.astype(np.float64))
    prior = float(labels.mean())
    blocks: list[tuple[float, float, int, int]] = []
    for i in range(at.size):
        n, s, first = weight[i], total[i], i
        while blocks and blocks[-1][1] * n >= s * blocks[-1][0]:
            before = blocks.pop()
            n, s, first = n + before[0], s + before[1], before[2]
        blocks.append((n, s, first, i))
    points = [(float(at[place]), (s + prior) / (n + 1)) for n, s, first, last in blocks for place in ((first,) if first == last else (first, last))]
    values = np.maximum.accumulate([value for _, value in points])
    kept = np.unique(np.linspace(0, len(points) - 1, min(KNOTS, len(points))).round().astype(int))
    return Calibration("steps", margins=tuple(points[k][0] for k in kept), values=tuple(float(values[k]) for k in kept))


def line(targets: Numbers, margins: Numbers) -> Calibration:
    """Fit a straight line to held-out predictions by least squares, held between the smallest and the largest label."""
    spread = float(np.var(margins))
    slope = float(np.mean((margins - margins.mean()) * (targets - targets.mean()))) / spread if spread else 0.0
    return Calibration("line", slope, float(targets.mean() - slope * margins.mean()), float(targets.min()), float(targets.max()))
