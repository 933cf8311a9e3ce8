"""Logistic and squared-loss linear models with L2, fitted by dual coordinate descent.

    class   min  |w|^2 / 2 + sum_i cost_i log(1 + exp(-y_i w.x_i))         y is -1 or 1 (Yu, Huang & Lin 2011)
    score   min  |w|^2 / 2 + sum_i cost_i (t_i - w.x_i)^2 / 2              t is any number (Hsieh et al. 2008; Shalev-Shwartz & Zhang 2013)

Both have one optimum and no learning rate. A constant feature of 1 stands for the intercept and is regularised with the rest.
"""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from catalog.ids import derive
from catalog.schema import mix64
from catalog.split import Offsets
from curate.models.features import Floats, Indices, Rows

EPOCHS = 30
TOLERANCE = 3e-3

Numbers = npt.NDArray[np.float64]


@dataclass
class Fit:
    """A fit in progress: `weights` [buckets + 1] float32, the intercept last, and the dual variables [documents], 0 for those left out."""

    weights: Floats
    duals: Numbers
    epochs: int = 0


def begun(rows: Rows, buckets: int) -> Fit:
    return Fit(np.zeros(buckets + 1, np.float32), np.zeros(len(rows)))


def descend(fit: Fit, rows: Rows, targets: Numbers, costs: Numbers, *, logistic: bool, seed: int, epochs: int = EPOCHS, tolerance: float = TOLERANCE) -> Fit:
    """Move a fit to its optimum, in place: until the duals move less than `tolerance` of their bounds in an epoch.

    Documents of cost 0 are left out. Each epoch visits the rest in the order of their texts' hashes mixed with the seed, copies of one text
    by their targets, and all that is summed is summed in that order: the one in which documents are given says nothing. A fit with other
    costs before is a good start.
    """
    chosen = np.flatnonzero(costs > 0)
    chosen = chosen[np.lexsort((targets[chosen], rows.keys[chosen]))]
    if not chosen.size:
        return fit
    if logistic:
        bound = float(costs[chosen].sum())
    else:
        bound = float((costs[chosen] * np.abs(targets[chosen])).sum()) or 1.0
    for epoch in range(epochs):
        order = chosen[np.argsort(mixed(rows.keys[chosen], np.uint64(derive(seed, "descent", epoch))), kind="stable")]
        moved = _epoch(rows.offsets, rows.index, rows.value, targets, costs, order, logistic, fit.duals, fit.weights)
        fit.epochs += 1
        if moved <= tolerance * bound:
            break
    return fit


def margins(rows: Rows, weights: Floats, chosen: npt.NDArray[np.int64]) -> Numbers:
    """Return w.x of the chosen documents, the intercept included."""
    found: Numbers = _margins(rows.offsets, rows.index, rows.value, weights, chosen)
    return found


@numba.njit(cache=True, nogil=True)
def mixed(keys: npt.NDArray[np.uint64], seed: np.uint64) -> npt.NDArray[np.uint64]:
    """Return the keys hashed once more with a seed."""
    out = np.empty_like(keys)
    for i in range(keys.size):
        out[i] = mix64(keys[i] ^ seed)
    return out


@numba.njit(cache=True, nogil=True)
def _epoch(
    offsets: Offsets, index: Indices, value: Floats, targets: Numbers, costs: Numbers, order: Offsets, logistic: bool, duals: Numbers, weights: Floats
) -> float:
    moved, intercept = 0.0, weights.size - 1
    for d in order:
        margin, length = np.float64(weights[intercept]), 1.0
        for i in range(offsets[d], offsets[d + 1]):
            margin += np.float64(weights[index[i]]) * np.float64(value[i])
            length += np.float64(value[i]) ** 2
        if logistic:
            wanted = targets[d] * _dual(targets[d] * margin, length, costs[d], targets[d] * duals[d])
        else:
            wanted = (targets[d] - margin + length * duals[d]) / (length + 1.0 / costs[d])
        step = wanted - duals[d]
        duals[d] = wanted
        moved += abs(step)
        weights[intercept] += np.float32(step)
        for i in range(offsets[d], offsets[d + 1]):
            weights[index[i]] += np.float32(step * value[i])
    return moved


@numba.njit(cache=True, nogil=True)
def _dual(margin: float, length: float, cost: float, old: float) -> Any:
    """Return the best dual of one document, 0 to cost: cost * s(t), s the logistic function, where t + margin + length (cost * s(t) - old) = 0.

    The left side rises with t, at least as fast as t does; Newton's steps are kept inside the bracket.
    """
    low, high = -margin - length * (cost - old), -margin + length * old
    t = min(max(-margin, low), high)
    for _ in range(30):
        share = _logistic(t)
        gap = t + margin + length * (cost * share - old)
        if abs(gap) < 1e-9 * (1.0 + abs(t)):
            break
        if gap > 0:
            high = t
        else:
            low = t
        t -= gap / (1.0 + length * cost * share * (1.0 - share))
        if not low <= t <= high:
            t = (low + high) / 2
    return cost * _logistic(t)


@numba.njit(cache=True, nogil=True)
def _logistic(t: float) -> Any:
    if t >= 0:
        return 1.0 / (1.0 + np.exp(-t))
    grown = np.exp(t)
    return grown / (1.0 + grown)


@numba.njit(cache=True, nogil=True)
def _margins(offsets: Offsets, index: Indices, value: Floats, weights: Floats, chosen: Offsets) -> Numbers:
    out = np.empty(chosen.size, np.float64)
    for k in range(chosen.size):
        d = chosen[k]
        total = np.float64(weights[weights.size - 1])
        for i in range(offsets[d], offsets[d + 1]):
            total += np.float64(weights[index[i]]) * np.float64(value[i])
        out[k] = total
    return out
