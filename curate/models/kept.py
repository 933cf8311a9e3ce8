"""A model on disk, of whatever kind: a folder with `model.json`, which says what it is, and its numbers as .npy files. Nothing in it is code.

`model.json` holds the size, type and digest of each file, and its own digest is of all that it says: a model is named by it. So a folder
that was cut, altered or put together from two others is refused. Sizes are looked at before anything is read, and what is read is mapped
into memory, not copied: a hostile file costs no more than the reading of it.
"""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.errors import InputError, RecipeError
from catalog.files import temporary
from catalog.ids import digest
from catalog.models import STORED, unfit

FORMAT = 2
JSON = "model.json"
LARGEST = 4_000_000
"""Bytes that model.json may have."""
MOST = 1 << 37
"""Bytes that a file of numbers may have: a table of 2^32 places, which is the largest of an n-gram model, has half of it."""
HEAD = 4096
"""Bytes that may stand before the numbers of an .npy file."""
TYPES = ("<f4", "<f8", "<i4", "<i8", "<u8", "|u1")

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Kept:
    """What was read: what the model says of itself, its numbers by name (read-only), and its digest."""

    told: dict[str, Any]
    arrays: dict[str, Array]
    digest: str


class OtherKind(InputError):
    """A sound model, of another kind than is wanted: to fit it again would not help."""


def keep(folder: str | Path, told: Mapping[str, Any], arrays: Mapping[str, Array]) -> str:
    """Write a model as a new folder, whole or not at all, and return its digest.

    A folder that holds the same model is left as it is. Raises InputError for one that holds anything else.
    """
    folder = Path(folder)
    files = {name: {"type": array.dtype.str, "shape": list(array.shape), "digest": _hashed(array)} for name, array in arrays.items()}
    whole = json.loads(json.dumps({**told, "format": FORMAT, "files": files}, allow_nan=False))
    name = _named(whole)
    if folder.exists():
        if _holds(folder, name):
            return name
        raise InputError(f"{folder}: is there already and holds something else; a model is written once, give another name")
    written = temporary(folder)
    written.mkdir(parents=True)
    try:
        for file, array in arrays.items():
            np.save(written / f"{file}.npy", array, allow_pickle=False)
        (written / JSON).write_text(json.dumps({**whole, "digest": name}, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(written, folder)
    except BaseException:
        shutil.rmtree(written, ignore_errors=True)
        raise
    return name


def kept(folder: str | Path, kinds: Collection[str], wanted: str | None = None) -> Kept:
    """Return what a folder holds, every byte of it checked against its digest. Call it inside `reading`.

    kinds    those that the caller can use
    wanted   the digest that the model must have, where the caller was promised one
    """
    told = _json(Path(folder) / JSON)
    name = told.pop("digest")
    if _named(told) != name:
        raise InputError(f"{JSON} is not what its digest is of; it was altered")
    if wanted not in (None, name):
        raise InputError(f"it is another model ({name}) than the one that this run was planned with ({wanted})")
    if told["kind"] not in kinds:
        raise OtherKind(unfit(STORED.get(str(told["kind"]), str(told["kind"])), [STORED.get(kind, kind) for kind in kinds]))
    return Kept(told, {file: _array(Path(folder), file, about) for file, about in told["files"].items()}, name)


@contextmanager
def reading(folder: str | Path) -> Iterator[None]:
    """Say in one line what is wrong with the model in a folder, whatever it is. Raises InputError."""
    try:
        yield
    except OtherKind as error:
        raise InputError(f"{folder}: the model {error}") from None
    except (InputError, RecipeError, OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OverflowError) as error:
        ours = isinstance(error, InputError | RecipeError)
        what = str(error).partition("\n")[0] if ours else f"{type(error).__name__}: {error}".partition("\n")[0]
        raise InputError(f"{folder}: no model that can be used: {what}; fit it again") from None


def _json(path: Path) -> dict[str, Any]:
    size = path.stat().st_size
    if size > LARGEST:
        raise InputError(f"{path.name} has {size} bytes, more than {LARGEST}")
    told = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise InputError(f"{path.name} is not of format {FORMAT}; it was written by another version")
    return told


def _array(folder: Path, name: str, about: Mapping[str, Any]) -> Array:
    """Return the numbers of one file, mapped; its size is what model.json says, and so are its bytes."""
    path, shape = folder / f"{name}.npy", tuple(about["shape"])
    if not name.isidentifier() or about["type"] not in TYPES or not all(type(n) is int and n >= 0 for n in shape) or not 1 <= len(shape) <= 2:
        raise InputError(f"{JSON} says {str(about)[:100]} of {name!r}, which is no file of ours")
    size, there = np.dtype(about["type"]).itemsize * math.prod(shape), path.stat().st_size
    if size > MOST:
        raise InputError(f"{path.name} would have {size} bytes, more than {MOST}")
    if not size < there <= size + HEAD:
        raise InputError(f"{path.name} has {there} bytes, not those of {math.prod(shape)} numbers; it was cut or altered")
    found: Array = np.load(path, mmap_mode="r" if size else None, allow_pickle=False)
    if getattr(found, "offset", there - size) + size != there:
        raise InputError(f"{path.name} goes on behind its numbers; it was altered")
    if found.dtype.str != about["type"] or found.shape != shape or not found.flags.c_contiguous:
        raise InputError(f"{path.name} does not hold numbers of type {about['type']} and shape {shape}")
    if _hashed(found) != about["digest"]:
        raise InputError(f"{path.name} is not what its digest is of; it was altered")
    return np.asarray(found)


def _hashed(array: Array) -> str:
    """Return 32 hex digits of the bytes of an array."""
    return hashlib.blake2b(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, digest_size=16).hexdigest()


def _named(told: Mapping[str, Any]) -> str:
    return digest(json.dumps(told, sort_keys=True), size=16)


def _holds(folder: Path, name: str) -> bool:
    try:
        return bool(_json(folder / JSON)["digest"] == name)
    except (InputError, OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
