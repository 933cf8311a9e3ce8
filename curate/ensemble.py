"""Several scorers, one verdict: each score's bucket among those of the corpus, the best of them, and its named tier."""

from collections.abc import Mapping

import numpy as np
import polars as pl
import pyarrow as pa

from catalog.errors import RecipeError, near
from catalog.stage import ModelName, declares
from curate.models.buckets import BUCKETS, Numbers, best, bucket, tiers
from curate.models.opened import opened
from curate.models.quantiles import EDGES, load

ADDS = {"bucket": pa.int64(), "tier": pa.string(), "buckets": pa.list_(pa.int64())}


@declares(reads=(), adds=ADDS, version=1, reads_of="of", models=("quantiles",))
def buckets(batch: pl.DataFrame, *, model: ModelName, of: Mapping[str, str]) -> pl.DataFrame:
    """Return the family `ensemble`: Nemotron-CC's ensemble of classifiers (Su et al. 2024, section 3.2).

    bucket    the highest of the scores' buckets, 0 to 19, each a twentieth of the corpus by that score; null where no score is known
    tier      high (19), medium-high (18), medium (12 to 17), medium-low (7 to 11) or low
    buckets   the bucket by each score, in the order of `of`; null where it is not known

    `of` names the scores: {useful: quality.score, edu: quality_edu.score}; its keys are the columns of `model`, a `values:` part of `quality:`.
    """
    known = opened(model, load, "ensemble.buckets")
    every = (EDGES + 1) // BUCKETS
    placed = [bucket(numbers(batch, column), known.column(name)[every - 1 :: every].tolist()) for name, column in _named(of, "ensemble.buckets").items()]
    top = best(placed)
    by_score = pl.DataFrame([pl.Series(str(i), places).replace(-1, None) for i, places in enumerate(placed)])
    return pl.DataFrame(
        {"bucket": pl.Series(top).replace(-1, None), "tier": tiers(top), "buckets": by_score.select(pl.concat_list(pl.all())).to_series()},
        schema={"bucket": pl.Int64, "tier": pl.String, "buckets": pl.List(pl.Int64)},
    )


def _named(of: Mapping[str, str], stage: str) -> Mapping[str, str]:
    if not isinstance(of, Mapping) or not of or not all(isinstance(column, str) for column in of.values()):
        raise RecipeError(f"{stage}: of: {of!r}; write the columns by name, such as {{useful: quality.score}}")
    return of


def numbers(batch: pl.DataFrame, column: str) -> Numbers:
    """Return a column of numbers of another family, such as `quality.score`; nulls are NaN. Raises RecipeError, with the nearest name for an unknown one."""
    family, _, name = column.partition(".")
    if not name or not isinstance(batch.schema[family], pl.Struct):
        raise RecipeError(f"{column}: no column of a family; write it as family.column, such as quality.score")
    kinds = {field.name: field.dtype for field in batch.schema[family].fields}  # type: ignore[attr-defined]
    if name not in kinds:
        raise RecipeError(f"{column}: the family {family} has no column {name!r}{near(name, kinds)}")
    if not (kinds[name].is_numeric() or kinds[name] == pl.Boolean):
        raise RecipeError(f"{column} holds {kinds[name]}, no numbers")
    found: Numbers = batch[family].struct.field(name).cast(pl.Float64).fill_null(np.nan).to_numpy()
    return found
