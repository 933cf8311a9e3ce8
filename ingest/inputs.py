"""The files that a dataset was made from, and which of those given now are new to it. Asked before anything starts: it imports nothing heavy."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from catalog.errors import InputError
from catalog.ids import digest


def identity(path: str) -> tuple[int, str]:
    """(bytes, a digest of names, sizes and times): what tells that a file or a folder is as it was."""
    inside = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names] if os.path.isdir(path) else [path]
    stats = [(os.path.relpath(name, path), os.lstat(name)) for name in sorted(inside)]
    return sum(stat.st_size for _, stat in stats), digest(*(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats))


def read_before(landed: Sequence[str]) -> dict[str, list[Any]]:
    """Return the files that data files were made from, each with its identity. Raises InputError where an account is gone, so that nobody can say."""
    known: dict[str, list[Any]] = {}
    for path in landed:
        try:
            known.update((inner, was) for inner, *was in json.loads(Path(path).with_suffix(".json").read_text(encoding="utf-8"))["inputs"])
        except (OSError, KeyError, ValueError):
            raise InputError(f"{path}: what it was made from is not known, so nothing can be appended to its dataset; leave append: out") from None
    return known


def fresh(files: Sequence[str], known: dict[str, list[Any]]) -> list[str]:
    """Return the files that are not among those read before: what an append reads.

    A file is known by its path, size and time; one that is gone from its path, by its name, size and time wherever it went.
    Raises InputError for one that was changed since.
    """
    moved = {(os.path.basename(path), *was) for path, was in known.items() if not os.path.exists(path)}
    found = []
    for path in files:
        now = [*identity(path)]
        if path in known and known[path] != now:
            raise InputError(f"{path}: was changed since its documents were appended; give the changed file another name, or leave append: out")
        if path not in known and (os.path.basename(path), *now) not in moved:
            found.append(path)
    return found
