"""What a model that was trained in place says of each text."""

import polars as pl
import pyarrow as pa

from catalog.split import SPLITTER
from catalog.stage import ModelName, declares, words
from curate.models.importance import Importance
from curate.models.importance import importance as weigh
from curate.models.linear import predict
from curate.models.opened import opened
from curate.models.stored import load

ADDS = {"score": pa.float64(), "margin": pa.float64()}


@declares(reads=("text",), adds=ADDS, version=1, splitter=SPLITTER, models=("classifier", "scorer", "importance"))
def score(batch: pl.DataFrame, *, model: ModelName) -> pl.DataFrame:
    """Return the family `quality`: what one model says of each text. Apply several as several stages, each with a `family:` of its own.

    score    of a classifier how likely the text is one of its positives, 0 to 1, calibrated on held-out documents; of a scorer its number, between
             the smallest and the largest label; of an importance model the log importance weight (Xie et al. 2023)
    margin   what stands before the calibration; of an importance model the weight for each n-gram, so that length says nothing

    Both are null in a text without words. `model` is a part of `quality:`, a model of the lake, or the folder of one.
    """
    known, split = opened(model, load, "quality.score"), words(batch)
    if isinstance(known, Importance):
        found = weigh(known, split), weigh(known, split, per_gram=True)
    else:
        found = predict(known, split)
    return pl.DataFrame(dict(zip(ADDS, found, strict=True)), nan_to_null=True)
