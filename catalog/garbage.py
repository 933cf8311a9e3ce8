"""What lies in a lake and no snapshot refers to: left by killed tasks, failed commits, merged locators."""

import os
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

SWEPT = ("data", "annotations", "locator")
"""The folders that commits fill. Ledger, shards, runs and models belong to other rooms and are never swept."""

GRACE = 24 * 3600.0
"""Seconds that an unnamed file is left alone: a part that runs now has written files that it will commit."""


class Garbage(NamedTuple):
    """A file that no snapshot refers to."""

    path: str
    bytes: int
    age: float


def find(root: Path, named: Collection[str], grace: float) -> list[Garbage]:
    """Return the files under the swept folders that are not in `named` and older than `grace` seconds, by path.

    Symlinks are neither followed nor listed: what they point to may lie outside the lake.
    """
    kept, now = set(named), time.time()
    found = []
    for path in _files(root):
        relative = str(path.relative_to(root))
        state = path.lstat()
        age = now - state.st_mtime
        if relative not in kept and age >= grace:
            found.append(Garbage(relative, state.st_size, age))
    return sorted(found)


def _files(root: Path) -> Iterator[Path]:
    for folder in SWEPT:
        if (root / folder).is_symlink():
            continue
        for here, _, names in os.walk(root / folder, followlinks=False):
            yield from (path for path in (Path(here) / name for name in names) if path.is_file() and not path.is_symlink())


def remove(root: Path, found: Collection[Garbage]) -> None:
    """Delete what `find` found, then folders that are empty. A path that leads out of the lake is a programmer's mistake."""
    inside = root.resolve()
    for item in found:
        path = root / item.path
        assert path.resolve().is_relative_to(inside), f"{path} is not inside {inside}"
        path.unlink(missing_ok=True)
    for folder in SWEPT:
        for here, _, _ in os.walk(root / folder, topdown=False, followlinks=False):
            if Path(here) != root / folder and not os.listdir(here):
                os.rmdir(here)
