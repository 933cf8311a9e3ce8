"""A model on disk: a folder with `model.json`, which says what it is, and `weights.npy`, its numbers. Nothing in it is code.

The digest in model.json is of all the rest of it and of the weights: a model is named by it, and one that was changed is refused.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from catalog.errors import InputError, RecipeError
from catalog.files import temporary
from catalog.ids import digest
from curate.models.calibration import as_calibration
from curate.models.features import Floats, as_features
from curate.models.importance import Importance
from curate.models.linear import KINDS, Model

FORMAT = 1
JSON, WEIGHTS = "model.json", "weights.npy"
LARGEST = 4_000_000
"""Bytes that model.json may have."""


def save(model: Model | Importance, folder: str | Path, about: dict[str, Any] | None = None) -> str:
    """Write a model as a new folder, whole or not at all, and return its digest. `about` (lineage, the queries of its labels) joins its own.

    A folder that holds the same model is left as it is. Raises InputError for one that holds anything else.
    """
    folder = Path(folder)
    told = {"format": FORMAT, "features": model.features.to_dict(), "about": {**model.about, **(about or {})}}
    if isinstance(model, Importance):
        told |= {"kind": "importance"}
        weights = model.ratios
    else:
        told |= {"kind": model.kind, "calibration": model.calibration.to_dict()}
        weights = model.weights
    told = json.loads(json.dumps(told, allow_nan=False))
    name = _digest(told, weights)
    if folder.exists():
        if folder.is_dir() and (folder / JSON).is_file() and json.loads((folder / JSON).read_text(encoding="utf-8")).get("digest") == name:
            return name
        raise InputError(f"{folder}: is there already and holds something else; a model is written once, give another name")
    written = temporary(folder)
    written.mkdir(parents=True)
    try:
        np.save(written / WEIGHTS, weights, allow_pickle=False)
        (written / JSON).write_text(json.dumps({**told, "digest": name}, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(written, folder)
    except BaseException:
        shutil.rmtree(written, ignore_errors=True)
        raise
    return name


def load(folder: str | Path) -> Model | Importance:
    """Return the model of a folder; `about["digest"]` names it. Raises InputError, one line, for a file that is missing, changed or none of ours."""
    folder = Path(folder)
    try:
        told = _json(folder / JSON)
        features = as_features(told["features"])
        name = told.pop("digest")
        extra = 0 if told["kind"] == "importance" else 1
        weights = _weights(folder / WEIGHTS, features.buckets + extra)
        if _digest(told, weights) != name:
            raise InputError("its digest is not that of its content; it was changed or cut short")
        about = {**told["about"], "digest": name}
        if told["kind"] == "importance":
            return Importance(features, weights, about)
        if told["kind"] not in KINDS:
            raise InputError(f"its kind is {told['kind']!r}, none of {', '.join(KINDS)}, importance")
        return Model(told["kind"], features, weights, as_calibration(told["calibration"]), about)
    except (InputError, RecipeError, OSError, ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        what = str(error) if isinstance(error, InputError | RecipeError) else f"{type(error).__name__}: {error}"
        raise InputError(f"{folder}: no model that can be used: {what.splitlines()[0] if what else error!r}") from None


def _json(path: Path) -> dict[str, Any]:
    if path.stat().st_size > LARGEST:
        raise InputError(f"{path.name} has {path.stat().st_size} bytes, more than {LARGEST}")
    told = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise InputError(f"{path.name} is not of format {FORMAT}; it was written by another version")
    return told


def _weights(path: Path, size: int) -> Floats:
    """Return the numbers of an .npy file, whose size is checked before anything is read."""
    if not 4 * size < path.stat().st_size <= 4 * size + 4096:
        raise InputError(f"{path.name} has {path.stat().st_size} bytes, not those of {size} weights")
    found = np.load(path, allow_pickle=False)
    if not isinstance(found, np.ndarray) or found.dtype != np.dtype("<f4") or found.shape != (size,):
        raise InputError(f"{path.name} does not hold {size} numbers of 32 bits")
    if not np.isfinite(found).all():
        raise InputError(f"{path.name} holds what is no finite number")
    return found


def _digest(told: dict[str, Any], weights: Floats) -> str:
    return digest(json.dumps(told, sort_keys=True), weights.astype("<f4").tobytes().hex(), size=16)
