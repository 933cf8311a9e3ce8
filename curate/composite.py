"""One number of several: a weighted mean of where a document stands by each signal."""

from collections.abc import Mapping

import numpy as np
import polars as pl
import pyarrow as pa

from catalog.errors import RecipeError, near
from catalog.stage import ModelName, declares
from curate.ensemble import numbers
from curate.models.opened import opened
from curate.models.quantiles import load

ADDS = {"score": pa.float64(), "ranks": pa.list_(pa.float64())}


@declares(reads=(), adds=ADDS, version=1, reads_of="of", models=("quantiles",))
def score(batch: pl.DataFrame, *, model: ModelName, of: Mapping[str, str], weights: Mapping[str, float]) -> pl.DataFrame:
    """Return the family `composite`: w1 perplexity + w2 diversity + w3 safety, or of whatever else the recipe weighs.

    score   the weighted mean of the ranks, 0 to 1; null where one of them is not known
    ranks   the share of the corpus below the document by each signal, in the order of `of`: so a perplexity and a share weigh alike

    `of` names the signals, such as {perplexity: perplexity.perplexity, diversity: statistics.mtld, toxicity: quality_toxic.score};
    its keys are the columns of `model`, a `values:` part of `quality:`. `weights` has one for each; a negative one takes 1 - rank.
    """
    if not isinstance(of, Mapping) or not of:
        raise RecipeError(f"composite.score: of: {of!r}; write the columns by name, such as {{diversity: statistics.mtld}}")
    for name in weights:
        if name not in of:
            raise RecipeError(f"composite.score: weights: {name!r} is no signal of `of:`{near(name, of)}")
    numbered = all(isinstance(weight, int | float) for weight in weights.values())
    told = np.array([float(weights.get(name, 0)) for name in of]) if numbered else np.zeros(1)
    if not np.isfinite(told).all() or not np.abs(told).sum():
        raise RecipeError(f"composite.score: weights: {dict(weights)}; give numbers, at least one of them not 0")
    known = opened(model, load, "composite.score")
    ranks = np.stack([known.rank(name, numbers(batch, column)) for name, column in of.items()], axis=1)
    mean = np.where(told < 0, 1 - ranks, ranks) @ np.abs(told) / np.abs(told).sum()
    listed = pl.DataFrame(ranks, schema=[str(i) for i in range(len(of))], nan_to_null=True).select(pl.concat_list(pl.all())).to_series()
    return pl.DataFrame({"score": mean, "ranks": listed}, schema={"score": pl.Float64, "ranks": pl.List(pl.Float64)}, nan_to_null=True)
