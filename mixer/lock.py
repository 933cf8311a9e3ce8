"""The lock: a mixture resolved to files and numbers. Its sha256 names it, and any change changes it.

    lock.json       what training reads: seed, context, sources, phases, hold-out; paths are relative to the lake
    lock.sha256     the sha256 of lock.json, so that a lock that was edited is refused
    documents/      per source an int64 [documents, 4] array: shard, row in the shard, first token, tokens. Named by its sha256
    tokenizer/      a copy of the tokenizer
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.errors import InputError, LakeError
from catalog.files import publish, temporary
from mixer.tokenizer import copy, identity

VERSION = 1
SHARD, ROW, START, LENGTH = range(4)
"""The columns of a documents array."""

Ints = npt.NDArray[np.int64]


def freeze(run_folder: str | Path, lock: dict[str, Any], tokenizer: str) -> str:
    """Copy the tokenizer's folder, write lock.json and, last of all, lock.sha256; return the sha256.

    Raises LakeError, and changes nothing, when the folder holds checkpoints that were made with another lock.
    """
    folder = Path(run_folder)
    raw = (json.dumps({"version": VERSION, **lock}, indent=1, sort_keys=True) + "\n").encode()
    sha = hashlib.sha256(raw).hexdigest()
    before = folder / "lock.sha256"
    if before.is_file() and before.read_text().strip() != sha and any(folder.glob("checkpoints/*/manifest.json")):
        raise LakeError(f"{folder}: holds checkpoints of another mixture; give the run another name, or remove the folder")
    before.unlink(missing_ok=True)
    copy(tokenizer, folder / "tokenizer")
    for name, content in (("lock.json", raw), ("lock.sha256", f"{sha}\n".encode())):
        written = temporary(folder / name)
        written.write_bytes(content)
        publish(written, folder / name)
    return sha


def load(run_folder: str | Path) -> dict[str, Any]:
    """Return a run folder's lock, with the lake's absolute path as `root` and its own sha256 as `sha256`.

    Raises InputError when there is none, or when it is not the one that was frozen.
    """
    folder = Path(run_folder).absolute()
    if not (folder / "lock.sha256").is_file():
        raise InputError(f"{folder}: no frozen mixture (lock.json and lock.sha256); run the mix part first")
    raw = (folder / "lock.json").read_bytes()
    sha = hashlib.sha256(raw).hexdigest()
    if sha != (folder / "lock.sha256").read_text().strip():
        raise InputError(f"{folder}/lock.json: was changed since it was frozen; run the mix part again")
    lock: dict[str, Any] = json.loads(raw)
    if lock["version"] != VERSION:
        raise InputError(f"{folder}/lock.json: version {lock['version']}, this headrace reads version {VERSION}; run the mix part again")
    if identity(folder / "tokenizer") != lock["tokenizer"]:
        raise InputError(f"{folder}/tokenizer: is not the tokenizer that the lock names; run the mix part again")
    return {**lock, "root": os.path.normpath(folder / lock["root"]), "sha256": sha}


def root_from(lake_root: str | Path, run_folder: str | Path) -> str:
    """Return the lake as a lock names it: relative to a run folder inside the lake, so that the lake can move."""
    lake, run = os.path.abspath(lake_root), os.path.abspath(run_folder)
    return os.path.relpath(lake, run) if run.startswith(lake + os.sep) else lake


def save_array(run_folder: str | Path, array: Ints) -> str:
    """Write one array into a run folder under its own sha256; return that path in the folder, as the lock holds it."""
    plain = np.ascontiguousarray(array, np.int64)
    name = f"documents/{hashlib.sha256(plain.tobytes()).hexdigest()}.npy"
    written = temporary(Path(run_folder) / name)
    with open(written, "wb") as handle:
        np.save(handle, plain)
    publish(written, Path(run_folder) / name)
    return name


def load_array(run_folder: str | Path, name: str) -> Ints:
    """Map an array that a lock names. Raises InputError when it is missing."""
    path = Path(run_folder) / name
    if not path.is_file():
        raise InputError(f"{path}: missing; run the mix part again")
    found: Ints = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    return found
