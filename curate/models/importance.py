"""How much more a text is like a target than like the raw pool: DSIR's importance weight (Xie et al. 2023, section 4).

A text is its bag of hashed n-grams. Each side's grams are counted into buckets and become a distribution; a text's weight is the
sum over its grams of log p_target - log p_raw. Drawn without replacement with probabilities that grow as exp(weight), texts follow the target.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from catalog.errors import InputError
from catalog.split import Bytes, Hashes, Offsets, Small, Words, characters
from curate.models.features import Features, Floats, Indices, grams, room

BUCKETS = 10_000
BAG = Features(ngrams=2, buckets=BUCKETS)
"""Words and pairs of words in 10,000 buckets, as in the paper. A gram counts as often as it occurs."""

Counts = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Importance:
    """`ratios` [buckets]: log p_target - log p_raw, float32."""

    features: Features
    ratios: Floats
    about: dict[str, Any] = field(default_factory=dict)


def count(batches: Iterable[Words], features: Features = BAG) -> Counts:
    """Return how often each bucket occurs in some split batches [buckets]. Counts of parts add up to those of the whole."""
    total = np.zeros(features.buckets, np.int64)
    for words in batches:
        _count(words.documents, words.lowers, words.data, words.starts, words.ends, characters()[1], *_told(features), total)
    return total


def weigh(target: Counts, raw: Counts, features: Features = BAG, *, smoothing: float = 1.0) -> Importance:
    """Return the model of two sides' counts. `smoothing` is added to every bucket, so that what one side never says is no infinity."""
    for name, counts in (("target", target), ("raw", raw)):
        if counts.size != features.buckets or not counts.any():
            told = f"{int(counts.sum())} grams in {counts.size} buckets"
            raise InputError(f"importance: the {name} texts have {told}; give texts with words, counted into {features.buckets}")
    p, q = ((counts + smoothing) / (counts.sum() + smoothing * counts.size) for counts in (target, raw))
    ratios = np.log(p) - np.log(q)
    about = {"target_grams": int(target.sum()), "raw_grams": int(raw.sum()), "smoothing": smoothing, "divergence": float(np.sum(p * ratios))}
    return Importance(features, ratios.astype(np.float32), about)


def importance(model: Importance, words: Words, *, per_gram: bool = False) -> Numbers:
    """Return the log importance weight of each document of a split batch; `per_gram` divides by its grams, so that length says nothing.

    NaN for a document without words.
    """
    told = (*_told(model.features), model.ratios, per_gram)
    found: Numbers = _weights(words.documents, words.lowers, words.data, words.starts, words.ends, characters()[1], *told)
    return found


def _told(features: Features) -> tuple[int, int, int, int, int]:
    return features.ngrams, *features.chars, features.buckets, features.head


@numba.njit(cache=True, nogil=True)
def _longest(documents: Offsets, starts: Offsets, ends: Offsets, ngrams: int, few: int, many: int, head: int) -> Indices:
    most = 0
    for d in range(documents.size - 1):
        most = max(most, room(starts, ends, documents[d], documents[d + 1], ngrams, few, many, head))
    return np.empty(most, np.int32)


@numba.njit(cache=True, nogil=True)
def _count(
    documents: Offsets, lowers: Hashes, data: Bytes, starts: Offsets, ends: Offsets, small: Small, ngrams: int, few: int, many: int, buckets: int,
    head: int, total: Counts,
) -> None:  # fmt: skip
    held = _longest(documents, starts, ends, ngrams, few, many, head)
    for d in range(documents.size - 1):
        last = min(documents[d + 1], documents[d] + head)
        for i in range(grams(lowers, data, starts, ends, small, documents[d], last, ngrams, few, many, buckets, held)):
            total[held[i]] += 1


@numba.njit(cache=True, nogil=True)
def _weights(
    documents: Offsets, lowers: Hashes, data: Bytes, starts: Offsets, ends: Offsets, small: Small, ngrams: int, few: int, many: int, buckets: int,
    head: int, ratios: Floats, per_gram: bool,
) -> Numbers:  # fmt: skip
    held, out = _longest(documents, starts, ends, ngrams, few, many, head), np.full(documents.size - 1, np.nan)
    for d in range(documents.size - 1):
        last = min(documents[d + 1], documents[d] + head)
        found = grams(lowers, data, starts, ends, small, documents[d], last, ngrams, few, many, buckets, held)
        total = 0.0
        for i in range(found):
            total += ratios[held[i]]
        if found:
            out[d] = total / found if per_gram else total
    return out
