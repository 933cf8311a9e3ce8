"""Models that are fitted to what SELECTs answer: one function a kind of a recipe's `quality:` section.

Each writes its model as a new folder and returns what it says of itself. `ask` runs a SELECT and yields its rows in pieces;
`folder` is where the model goes. A SELECT promises no order, so no model depends on one: the same rows, in whatever order and pieces they
come, give the same model, bit by bit.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from catalog.errors import InputError
from catalog.schema import text_bytes
from catalog.split import split_words
from curate.models import importance as weights
from curate.models import linear, lookup, stored
from curate.models import ngrams as kneser_ney
from curate.models import vectors as static
from curate.models.features import Features, Rows, joined, read
from curate.models.quantiles import EDGES, Quantiles
from curate.models.quantiles import save as save_quantiles

VERSION = 2
"""Of what the fits make of the same rows, and of how a model is kept: raising it makes a recipe fit its models again."""

Ask = Callable[[str, str], Iterator[pl.DataFrame]]
"""(knob, SELECT) -> the rows of its answer."""

About = dict[str, Any]


def classifier(
    ask: Ask, folder: str, *, seed: int, positive: str, negative: str, ngrams: int = 2, buckets: int = 262_144, value: str = "count",
    chars: Sequence[int] = (0, 0), head: int = 10_000, strengths: Sequence[float] = (0.3, 3.0, 30.0), balance: bool = True, folds: int = 5,
) -> About:  # fmt: skip
    """Fit how likely a text is one of the positives: hashed n-grams, logistic regression, calibrated on held-out documents.

    positive, negative   SELECTs that answer `text` (with `doc_id` the lake remembers who taught the model what)
    ngrams, chars        words of the longest n-gram; shortest and longest character n-gram, [0, 0] for none
    buckets, head        weights, 4 bytes each; words of a text that are looked at
    strengths, folds     costs of an error that are tried, and parts of the documents of which one is held out
    A text on both sides is left out of the negatives.
    """
    features = Features(ngrams, buckets, value, _pair(chars), head)
    yes, no = (read(_texts(ask, key, sql), features) for key, sql in (("positive", positive), ("negative", negative)))
    both = np.isin(no.keys, yes.keys)
    rows, labels = joined([yes, _without(no, both)]), np.concatenate([np.ones(len(yes)), np.zeros(len(no) - int(both.sum()))])
    model = linear.train(rows, labels, features, strengths=_floats(strengths), balance=balance, folds=folds, seed=seed)
    about = {**model.about, "on_both_sides": int(both.sum())}
    return {**about, "digest": stored.save(linear.Model(model.kind, model.features, model.weights, model.calibration, about), folder)}


def scorer(
    ask: Ask, folder: str, *, seed: int, scores: str, ngrams: int = 2, buckets: int = 262_144, value: str = "count",
    chars: Sequence[int] = (0, 0), head: int = 10_000, strengths: Sequence[float] = (0.3, 3.0, 30.0), folds: int = 5,
) -> About:  # fmt: skip
    """Fit a number to a text, such as an educational score of 0 to 5: the same model as `classifier`, by least squares.

    scores   a SELECT that answers `text` and `score`; rows without a score are left out
    The other knobs are those of `classifier`.
    """
    features = Features(ngrams, buckets, value, _pair(chars), head)
    held: list[pl.Series] = []

    def texts() -> Iterator[pl.Series]:
        for rows in ask("scores", scores):
            _needs(rows, "scores", "text", "score")
            known = rows.filter(pl.col("score").is_not_null() & pl.col("text").is_not_null())
            held.append(known["score"].cast(pl.Float64))
            if wild := int((~held[-1].is_finite()).sum()):
                raise InputError(f"scores: score: not finite in {wild:,} of {rows.height:,} rows (infinite or NaN); leave them out by WHERE isfinite(score)")
            yield known["text"]

    rows = read(texts(), features)
    labels = np.concatenate([np.empty(0), *(part.to_numpy() for part in held)])
    model = linear.train(rows, labels, features, kind="score", strengths=_floats(strengths), folds=folds, seed=seed)
    return {**model.about, "digest": stored.save(model, folder)}


def importance(
    ask: Ask, folder: str, *, seed: int, target: str, raw: str, ngrams: int = 2, buckets: int = 10_000, head: int = 10_000, smoothing: float = 1.0
) -> About:
    """Fit how much more a text is like the target than like the raw pool: DSIR's log importance weight (Xie et al. 2023).

    target, raw   SELECTs that answer `text`; smoothing is added to the count of each of the `buckets` of n-grams
    """
    features = Features(ngrams, buckets, head=head)
    near, every = (
        weights.count((split_words(*text_bytes(part)) for part in _texts(ask, key, sql)), features) for key, sql in (("target", target), ("raw", raw))
    )
    model = weights.weigh(near, every, features, smoothing=smoothing)
    return {**model.about, "digest": stored.save(model, folder)}


def language_model(
    ask: Ask, folder: str, *, seed: int, texts: str, order: int = 3, case: str = "lower", min_count: int = 1, max_words: int = 2_000_000,
    prune: Sequence[int] = (0, 0, 1),
) -> About:  # fmt: skip
    """Fit an n-gram language model with modified Kneser-Ney smoothing (Chen and Goodman 1998), for `perplexity.signals`.

    texts       a SELECT that answers `text`
    order       words of the longest n-gram, 1 to 6; `case` lower takes words in small letters, written as they are
    min_count   words that are rarer, and all but the `max_words` commonest, are one unknown word; of words as common the first by their letters stay
    prune       n-grams of each order that occur at most so often are left out; the last number holds for longer ones
    """
    model = kneser_ney.train(_texts(ask, "texts", texts), order=order, case=case, min_count=min_count, max_words=max_words, prune=[int(n) for n in prune])
    return {"words": model.meta["words"], "vocabulary": len(model.words), "ngrams": model.meta["ngrams"], "digest": lookup.save(model, folder)}


def quantiles(ask: Ask, folder: str, *, seed: int, values: str) -> About:
    """Fit where a number stands among those of a corpus: quantiles of each column, for `ensemble.buckets` and `composite.score`.

    values   a SELECT that answers columns of numbers, each under the name by which it is then called
    Nulls and NaN are left out. The quantiles are exact: all numbers of the answer are held while they are fitted, 8 bytes each.
    """
    model = Quantiles.of(ask("values", values))
    about = {"documents": model.counts, "edges": EDGES}
    return {**about, "digest": save_quantiles(model, folder)}


def vectors(ask: Ask, folder: str, *, seed: int, embed: str, dimensions: int = 256, max_words: int = 30_000, min_count: int = 3, sif: float = 0.0001) -> About:
    """Fit static word vectors, for `embedding.vector` and `semantic: {vectors: embedding.vector}`: PPMI and a truncated decomposition, weighted by SIF.

    embed                  a SELECT that answers `text`
    dimensions             numbers of a vector
    max_words, min_count   the commonest words that have a vector of their own; rarer ones have one drawn by their letters
    sif                    a word of this share of all text weighs half (Arora et al. 2017)
    """
    model = static.train(_texts(ask, "embed", embed), seed=seed, dimensions=dimensions, max_words=max_words, min_count=min_count, sif=sif)
    return {**model.about, "digest": static.save(model, folder)}


def _texts(ask: Ask, key: str, sql: str) -> Iterator[pl.Series]:
    """Yield the texts that a SELECT answers. Raises InputError where it answers none, or no column `text`."""
    some = False
    for rows in ask(key, sql):
        _needs(rows, key, "text")
        texts = rows["text"].drop_nulls()
        some |= len(texts) > 0
        yield texts
    if not some:
        raise InputError(f"{key}: the SELECT answers no text; is its WHERE right? `headrace sql` shows its rows")


def _needs(rows: pl.DataFrame, key: str, *names: str) -> None:
    for name in names:
        right = name in rows.columns and (rows[name].dtype == pl.String if name == "text" else rows[name].dtype.is_numeric())
        if not right:
            answered = ", ".join(f"{column} {dtype}" for column, dtype in rows.schema.items())
            raise InputError(f"{key}: the SELECT answers {answered}; it must have a column {name} of {'text' if name == 'text' else 'numbers'}")


def _pair(given: Sequence[int]) -> tuple[int, int]:
    if not isinstance(given, list | tuple) or len(given) != 2:
        raise InputError(f"chars: {given!r}; give the shortest and the longest character n-gram, such as [3, 5], or [0, 0]")
    return given[0], given[1]


def _floats(given: Sequence[float]) -> tuple[float, ...]:
    if not isinstance(given, list | tuple) or not all(isinstance(number, int | float) for number in given):
        raise InputError(f"strengths: {given!r}; give positive numbers, such as [0.3, 3, 30]")
    return tuple(map(float, given))


def _without(rows: Rows, gone: np.ndarray) -> Rows:
    """Return the rows but some of them."""
    sizes = np.diff(rows.offsets)
    kept = np.repeat(~gone, sizes)
    return Rows(np.concatenate([[0], np.cumsum(sizes[~gone])]), rows.index[kept], rows.value[kept], rows.keys[~gone])
