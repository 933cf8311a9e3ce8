"""Where a number stands among those of a corpus: quantiles of named columns, fitted once, so that later documents are ranked alike."""

import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from catalog.errors import InputError, near
from catalog.files import temporary
from catalog.ids import digest
from curate.models.buckets import Numbers, Sketch, edges, sketch

FORMAT, KIND, FILE = 1, "quantiles", "model.json"
EDGES = 999
"""Edges of a thousand equal parts; twenty buckets begin at every fiftieth of them."""
LARGEST = 64_000_000
"""Bytes that model.json may have."""


@dataclass(frozen=True)
class Quantiles:
    """`edges` [EDGES] of each column in rising order, and how many numbers they are of."""

    edges: dict[str, list[float]]
    counts: dict[str, int]

    @classmethod
    def of(cls, pieces: Iterable[pl.DataFrame]) -> "Quantiles":
        """Return the quantiles of the columns of some tables that are parts of one. Raises InputError for a column of anything but numbers."""
        sketches: dict[str, list[Sketch]] = {}
        for piece in pieces:
            for column in piece:
                if not column.dtype.is_numeric():
                    raise InputError(f"values: the column {column.name} holds {column.dtype}; answer numbers alone")
                sketches.setdefault(column.name, []).append(sketch(column.cast(pl.Float64).fill_null(np.nan).to_numpy()))
        empty = [name for name, parts in sketches.items() if not any(part.count for part in parts)]
        if empty or not sketches:
            raise InputError(f"values: the SELECT answers no number{f' in {empty[0]}' if empty else ''}; compute the signals first")
        return cls({name: edges(parts, EDGES + 1) for name, parts in sketches.items()}, {name: sum(p.count for p in parts) for name, parts in sketches.items()})

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
    """Write quantiles as a new folder, whole or not at all, and return their digest. A folder that is there already is replaced."""
    told = {"format": FORMAT, "kind": KIND, "edges": model.edges, "counts": model.counts}
    name = digest(json.dumps(told, sort_keys=True), size=16)
    written = temporary(folder)
    written.mkdir(parents=True)
    (written / FILE).write_text(json.dumps({**told, "digest": name}, sort_keys=True) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(written, folder)
    return name


def load(folder: str | Path) -> Quantiles:
    """Return the quantiles of a folder. Raises InputError, one line, for what is missing, changed or none of ours."""
    path = Path(folder) / FILE
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"it has more than {LARGEST} bytes")
        told = json.loads(path.read_text(encoding="utf-8"))
        name = told.pop("digest")
        if told["format"] != FORMAT or told["kind"] != KIND or digest(json.dumps(told, sort_keys=True), size=16) != name:
            raise InputError("it holds another kind of model, or was changed")
        found = Quantiles({str(k): [float(e) for e in v] for k, v in told["edges"].items()}, {str(k): int(v) for k, v in told["counts"].items()})
        if any(len(values) != EDGES or not np.isfinite(values).all() or (np.diff(values) < 0).any() for values in found.edges.values()):
            raise InputError("its edges do not rise")
        return found
    except (InputError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{folder}: no quantiles that can be used: {error or type(error).__name__}; fit them with a `values:` part of quality:") from None
