"""The hashed n-gram linear model: a weight a bucket, an intercept, and what its margin means.

Not fastText's bag of low-rank vectors but logistic regression on the grams themselves, each text scaled to length 1: on the few labels that
one has by hand it ranks better, has one optimum, and is one look-up a gram (docs/signals.md, Quality models).
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from catalog.errors import InputError, RecipeError
from catalog.ids import derive
from catalog.split import Bytes, Hashes, Offsets, Small, Words, characters
from curate.models.calibration import Calibration, line, sigmoid, steps
from curate.models.descent import Fit, begun, descend, margins, mixed
from curate.models.features import VALUES, Features, Floats, Rows, grams, places, room, tally, valued
from curate.models.measures import auc, average_precision, bootstrapped, brier, calibration_error, graded, spearman, weighted_kappa

KINDS = ("class", "score")
STRENGTHS = (0.3, 3.0, 30.0)
"""What is tried: the cost of an error against the size of the weights."""

SMALL = 20_000
"""Up to so many documents every fold is held out in turn, and the model is then fitted on all of them."""

ENOUGH = 2_000
"""Held-out documents from which on the calibration is isotonic, not Platt's sigmoid (Niculescu-Mizil & Caruana 2005, figure 7)."""

GRADES = 10
"""The highest label that is still a grade, such as an educational score of 0 to 5."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """`class`: how likely label 1 is. `score`: a number such as an educational score of 0 to 5. Weights are float32 [buckets + 1]."""

    kind: str
    features: Features
    weights: Floats
    calibration: Calibration
    about: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Held:
    """What was said of held-out documents: with what margin, at which strength."""

    margins: Numbers
    strength: float
    losses: dict[float, float]


def train(
    rows: Rows, labels: Numbers, features: Features, *, kind: str = "class", strengths: tuple[float, ...] = STRENGTHS, balance: bool = True,
    folds: int = 5, seed: int = 0,
) -> Model:  # fmt: skip
    """Return a model of documents (`rows` as `features.read` gives them) with labels [documents]: 0 and 1, or any numbers for `score`.

    A document's fold is its text's hash mixed with the seed, so copies fall together; documents without words are left out. Up to 20,000
    documents each fold is held out in turn and the model is fitted on all; of more, one fold is held out and the model is fitted on the rest.
    What is said of held-out documents chooses the strength (least loss), calibrates, and is what `about["metrics"]` reports; with several
    strengths those are therefore a little flattering where labels are few. `balance` weighs the two classes alike; calibrated
    probabilities are those of the labels as given. The same documents in any order, and the same seed, give the same model, bit by bit:
    whatever is summed or drawn goes by the texts' hashes, copies of one text by their labels.
    """
    _check(rows, labels, kind, strengths, folds)
    labels = labels + 0.0                                    # -0. is 0., and is not sorted from it
    some = np.diff(rows.offsets) > 0
    fold = np.where(some, mixed(rows.keys, np.uint64(derive(seed, "folds"))) % np.uint64(folds), folds).astype(np.int64)
    turns = range(folds) if some.sum() <= SMALL else range(1)
    _check_labels(labels[some], labels[fold < len(turns)], kind)
    order = np.lexsort((labels, rows.keys))
    middle = float(labels[order].mean()) if kind == "score" else 0.0
    targets = labels - middle if kind == "score" else np.where(labels == 1, 1.0, -1.0)
    seen = order[fold[order] < len(turns)]
    fits, held = _held(rows, labels, targets, features.buckets, kind, sorted(strengths), balance, fold, turns, seen, seed)
    if len(turns) > 1:
        costs = _costs(labels, some, kind, held.strength, balance)
        fitted = descend(begun(rows, features.buckets), rows, targets, costs, logistic=kind == "class", seed=seed)
    else:
        fitted = fits[held.strength]
    fitted.weights[-1] += np.float32(middle)
    margin = held.margins + middle
    calibration = _calibration(labels[seen], margin, kind)
    about: dict[str, Any] = {
        "seed": seed, "strength": held.strength, "losses": {str(k): v for k, v in held.losses.items()}, "balance": balance, "folds": folds,
        "epochs": fitted.epochs, "documents": int(some.sum()), "without_words": int((~some).sum()), "held_out": int(seen.size),
        "metrics": metrics(labels[seen], margin, calibration(margin), kind, seed),
    }  # fmt: skip
    if kind == "class":
        about["positives"] = int(labels.sum())
    return Model(kind, features, fitted.weights, calibration, about)


def _check(rows: Rows, labels: Numbers, kind: str, strengths: tuple[float, ...], folds: int) -> None:
    if kind not in KINDS:
        raise RecipeError(f"kind: {kind!r}; give {' or '.join(KINDS)}")
    if not strengths or not all(0 < s < float("inf") for s in strengths) or folds < 2:
        raise RecipeError(f"strengths: {strengths}, folds: {folds}; give positive numbers, and at least 2 folds")
    if labels.size != len(rows) or not np.isfinite(labels).all():
        raise InputError(f"{labels.size} labels for {len(rows)} documents; each document needs one, a number")
    if kind == "class" and not np.isin(labels, (0, 1)).all():
        raise InputError("labels of a class are 0 and 1; for others train a score")


def _check_labels(labels: Numbers, held: Numbers, kind: str) -> None:
    counts = np.unique(labels, return_counts=True)[1]
    if counts.size < 2 or (kind == "class" and counts.min() < 10) or labels.size < 20:
        rarest = counts.min() if counts.size else 0
        raise InputError(f"{labels.size} documents with words, {rarest} of the rarest label; give 20 or more, with two labels, 10 of either of a class")
    if np.unique(held).size < 2:
        raise InputError(f"the {held.size} documents held out have one label; give more of the others, or fewer copies of one text")


def _costs(labels: Numbers, used: npt.NDArray[np.bool_], kind: str, strength: float, balance: bool) -> Numbers:
    """Return the cost of an error on each document, 0 for those not used; with `balance` the two labels weigh alike."""
    costs = np.where(used, strength, 0.0)
    if kind == "class" and balance:
        for label in (0, 1):
            costs[labels == label] *= used.sum() / (2 * max(int((used & (labels == label)).sum()), 1))
    return costs


def _held(
    rows: Rows, labels: Numbers, targets: Numbers, buckets: int, kind: str, strengths: list[float], balance: bool, fold: npt.NDArray[np.int64],
    turns: range, seen: npt.NDArray[np.int64], seed: int,
) -> tuple[dict[float, Fit], Held]:  # fmt: skip
    """Fit without each fold in turn at every strength, weakest first and each from the one before; return the last turn's fits and the best.

    `seen` are the documents that are held out, in the order in which they are told; those without words are of a fold behind the last.
    """
    fits: dict[float, Fit] = {}
    used = np.diff(rows.offsets) > 0
    said = {strength: np.full(labels.size, np.nan) for strength in strengths}
    for turn in turns:
        out = np.flatnonzero(fold == turn)
        fit = begun(rows, buckets)
        for strength in strengths:
            fit = descend(fit, rows, targets, _costs(labels, used & (fold != turn), kind, strength, balance), logistic=kind == "class", seed=seed)
            said[strength][out] = margins(rows, fit.weights, out)
            if len(turns) == 1:
                fits[strength] = replace(fit, weights=fit.weights.copy())
    losses = {strength: _loss(targets[seen], margin[seen], kind) for strength, margin in said.items()}
    best = min(losses, key=lambda strength: (losses[strength], strength))
    return fits, Held(said[best][seen], best, losses)


def _loss(targets: Numbers, margin: Numbers, kind: str) -> float:
    """Return the mean loss after a calibration, since the strength moves the margin's scale."""
    if kind == "class":
        p = sigmoid(targets > 0, margin)(margin)
        return float(-np.mean(np.log(np.maximum(np.where(targets > 0, p, 1 - p), 1e-12))))
    return float(np.mean((targets - line(targets, margin)(margin)) ** 2))


def _calibration(labels: Numbers, margin: Numbers, kind: str) -> Calibration:
    if kind == "score":
        return line(labels, margin)
    return (steps if labels.size >= ENOUGH else sigmoid)(labels == 1, margin)


def metrics(labels: Numbers, margin: Numbers, predicted: Numbers, kind: str, seed: int = 0) -> dict[str, Any]:
    """Return what predictions are worth: [value, low, high] where there is an interval.

    class: `auc` (DeLong), `average_precision`, `brier`, `calibration_error`. score: `spearman` (bootstrap of 1,000; None where the predictions
    are all alike), `mean_squared_error`, and of labels from 0 to 10 `weighted_kappa`, the agreement of whole grades (with the same bootstrap).
    """
    if kind == "class":
        yes = labels == 1
        return {
            "auc": auc(yes, margin).to_list(), "average_precision": average_precision(yes, margin), "brier": brier(yes, predicted),
            "calibration_error": calibration_error(yes, predicted),
        }  # fmt: skip
    between = bootstrapped(lambda chosen: spearman(labels[chosen], margin[chosen]), labels.size, seed=seed)
    found = spearman(labels, margin)
    told = {"spearman": None if np.isnan(found) else [found, *between], "mean_squared_error": float(np.mean((predicted - labels) ** 2))}
    if labels.min() >= 0 and labels.max() <= GRADES:
        whole = [graded(values, grades=GRADES + 1) for values in (labels, predicted)]
        kappa = weighted_kappa(*whole, grades=GRADES + 1)
        apart = bootstrapped(lambda chosen: weighted_kappa(whole[0][chosen], whole[1][chosen], grades=GRADES + 1), labels.size, seed=seed)
        told["weighted_kappa"] = None if np.isnan(kappa) else [kappa, *apart]
    return told


def predict(model: Model, words: Words) -> tuple[Numbers, Numbers]:
    """Return, for each document of a split batch, the calibrated value (a probability, or a score) and the margin.

    Both are NaN for a document without words. No document's value depends on those beside it.
    """
    few, many = model.features.chars
    told = (model.features.ngrams, few, many, model.features.buckets, model.features.head, VALUES.index(model.features.value))
    margin = _predict(words.documents, words.lowers, words.data, words.starts, words.ends, characters()[1], model.weights, *told)
    return model.calibration(margin), margin


@numba.njit(cache=True, nogil=True)
def _predict(
    documents: Offsets, lowers: Hashes, data: Bytes, starts: Offsets, ends: Offsets, small: Small, weights: Floats,
    ngrams: int, few: int, many: int, buckets: int, head: int, kind: int,
) -> Numbers:  # fmt: skip
    most = 0
    for d in range(documents.size - 1):
        most = max(most, room(starts, ends, documents[d], documents[d + 1], ngrams, few, many, head))
    held, used, size = np.empty(most, np.int32), np.empty(most, np.int32), places(most)
    table, times = np.full(size, -1, np.int32), np.empty(size, np.int32)
    out = np.full(documents.size - 1, np.nan)
    for d in range(documents.size - 1):
        first = documents[d]
        last = min(documents[d + 1], first + head)
        if first == last:
            continue
        count = grams(lowers, data, starts, ends, small, first, last, ngrams, few, many, buckets, held)
        found = tally(held, count, table[: places(count)], times, used)
        total = length = 0.0
        for i in range(found):
            at = used[i]
            value = valued(times[at], kind)
            total += value * weights[table[at]]
            length += value * value
            table[at] = -1
        out[d] = weights[buckets] + total / np.sqrt(length)
    return out
