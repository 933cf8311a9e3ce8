"""The linear model and the importance weight on disk: what of them goes into a folder, and comes out of it (`curate.models.kept`)."""

from pathlib import Path
from typing import Any

import numpy as np

from catalog.errors import InputError
from curate.models.calibration import as_calibration
from curate.models.features import as_features
from curate.models.importance import Importance
from curate.models.kept import keep, kept, reading
from curate.models.linear import KINDS, Model

IMPORTANCE = "importance"


def save(model: Model | Importance, folder: str | Path, about: dict[str, Any] | None = None) -> str:
    """Write a model as a new folder, and return its digest. `about` (lineage, the queries of its labels) joins its own. Raises InputError."""
    told = {"features": model.features.to_dict(), "about": {**model.about, **(about or {})}}
    if isinstance(model, Importance):
        return keep(folder, {**told, "kind": IMPORTANCE}, {"weights": model.ratios})
    return keep(folder, {**told, "kind": model.kind, "calibration": model.calibration.to_dict()}, {"weights": model.weights})


def load(folder: str | Path, wanted: str | None = None) -> Model | Importance:
    """Return the model of a folder; `about["digest"]` names it. Raises InputError, one line, for a file that is missing, changed or none of ours."""
    with reading(folder):
        found = kept(folder, (*KINDS, IMPORTANCE), wanted)
        kind, features = found.told["kind"], as_features(found.told["features"])
        weights = found.arrays["weights"]
        size = features.buckets + (kind != IMPORTANCE)
        if weights.dtype != np.float32 or weights.shape != (size,) or not np.isfinite(weights).all():
            raise InputError(f"its weights are not {size} finite numbers of 32 bits")
        about = {**found.told["about"], "digest": found.digest}
        if kind == IMPORTANCE:
            return Importance(features, np.array(weights), about)
        return Model(kind, features, np.array(weights), as_calibration(found.told["calibration"]), about)
