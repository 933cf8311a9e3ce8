"""Where a number stands among those of a corpus: quantiles of named columns, fitted once, so that later documents are ranked alike."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from catalog.errors import InputError, near
from curate.models.buckets import Numbers, edges
from curate.models.kept import keep, kept, reading

KIND = "quantiles"
EDGES = 999
"""Edges of a thousand equal parts; twenty buckets begin at every fiftieth of them."""


@dataclass(frozen=True)
class Quantiles:
    """`edges` [EDGES] of each column in rising order, and how many numbers they are of."""

    edges: dict[str, list[float]]
    counts: dict[str, int]

    @classmethod
    def of(cls, pieces: Iterable[pl.DataFrame]) -> "Quantiles":
        """Return the exact quantiles of the columns of some tables that are parts of one, in whatever order; 8 bytes a number.

        Raises InputError for a column of anything but finite numbers (nulls and NaN are left out).
        """
        found: dict[str, list[Numbers]] = {}
        for piece in pieces:
            for column in piece:
                if not column.dtype.is_numeric():
                    raise InputError(f"values: the column {column.name} holds {column.dtype}; answer numbers alone")
                values = column.cast(pl.Float64).drop_nulls().drop_nans().to_numpy()
                if not np.isfinite(values).all():
                    raise InputError(f"values: the column {column.name} holds what is no finite number; leave such rows out")
                found.setdefault(column.name, []).append(values)
        whole = {name: np.concatenate(found.pop(name)) for name in sorted(found)}
        empty = [name for name, values in whole.items() if not values.size]
        if empty or not whole:
            raise InputError(f"values: the SELECT answers no number{f' in {empty[0]}' if empty else ''}; compute the signals first")
        return cls({name: edges(values, EDGES + 1) for name, values in whole.items()}, {name: values.size for name, values in whole.items()})

    def column(self, name: str) -> Numbers:
        """Return a column's edges. Raises InputError with the nearest name."""
        if name not in self.edges:
            raise InputError(f"the quantiles have no column {name!r}{near(name, self.edges)}")
        return np.array(self.edges[name])

    def rank(self, name: str, values: Numbers) -> Numbers:
        """Return the share of the corpus below each value, 0 to 1; equal values share the middle of theirs, NaN stays NaN."""
        known = self.column(name)
        low, high = (np.searchsorted(known, values, side=side) for side in ("left", "right"))
        found: Numbers = np.where(np.isnan(values), np.nan, (low + high + 1) / 2 / (EDGES + 1))
        return found


def save(model: Quantiles, folder: str | Path) -> str:
    """Write quantiles as a new folder, and return their digest. Raises InputError."""
    columns = sorted(model.edges)
    told = {"kind": KIND, "columns": columns, "counts": [model.counts[name] for name in columns]}
    return keep(folder, told, {"edges": np.array([model.edges[name] for name in columns])})


def load(folder: str | Path, wanted: str | None = None) -> Quantiles:
    """Return the quantiles of a folder. Raises InputError, one line, for what is missing, changed or none of ours."""
    with reading(folder):
        found = kept(folder, (KIND,), wanted)
        columns, edges = [str(name) for name in found.told["columns"]], found.arrays["edges"]
        if edges.dtype != np.float64 or edges.shape != (len(columns), EDGES) or not np.isfinite(edges).all() or (np.diff(edges) < 0).any():
            raise InputError("its edges do not rise")
        counts = [int(count) for count in found.told["counts"]]
        return Quantiles(dict(zip(columns, edges.tolist(), strict=True)), dict(zip(columns, counts, strict=True)))
