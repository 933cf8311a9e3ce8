"""What lies in a lake and no snapshot refers to: left by killed tasks, failed commits, merged locators.

A receipt (`data/.../<id>.json`, `annotations/.../dup-<address>.json`) is how a later run knows that files are whole and need not
be made again. No snapshot names it, so it stays as long as what it is about. So does what documents are compared by
(`annotations/.../*.exact-<address>.parquet`, `jaccard-<address>.parquet`, `bloom-<address>.npy`), beside the results of the run that made
it: without it the next run would read old texts again.
"""

import logging
import os
import re
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from catalog.scratch import in_use

log = logging.getLogger(__name__)

SWEPT = ("data", "annotations", "locator")
"""The folders that commits fill. Ledger, shards, runs and models belong to other rooms and are never swept."""

GRACE = 24 * 3600.0
"""Seconds that an unnamed file is left alone: a part that runs now has written files that it will commit."""

RECEIPT = ".json"
COMPARED = re.compile(r"(?:^|\.)(?:bands|exact|jaccard|bloom)-[0-9a-f-]+\.(?:parquet|npy)$")
"""Names of sketches, of Jaccards that were measured, and of Bloom filters."""


class Garbage(NamedTuple):
    """A file that no snapshot refers to."""

    path: str
    bytes: int
    age: float


def find(root: Path, named: Collection[str], grace: float) -> list[Garbage]:
    """Return the files under the swept folders that are not in `named`, are no receipt about them, and are older than `grace` seconds.

    They come by path. What a search at work has in its scratch folder is none. Symlinks are neither followed nor listed: what they point to may lie
    outside the lake.
    """
    kept, folders, now = set(named), {os.path.dirname(path) for path in named}, time.time()
    found = []
    for path in _files(root):
        relative = str(path.relative_to(root))
        try:
            state = path.lstat()
        except FileNotFoundError:  # a part at work has given it its name
            continue
        age = now - state.st_mtime
        if relative not in kept and age >= grace and not _is_receipt(relative, kept, folders) and not in_use(path):
            found.append(Garbage(relative, state.st_size, age))
    return sorted(found)


def _is_receipt(path: str, named: set[str], folders: set[str]) -> bool:
    """Does a file tell of something named? Under `data` of the data file beside it, under `annotations` of its folder: one run's work."""
    stem, kind = os.path.splitext(path)
    beside = path.startswith("annotations/") and os.path.dirname(path) in folders
    if kind != RECEIPT:
        return beside and COMPARED.search(os.path.basename(path)) is not None
    return f"{stem}.parquet" in named or beside


def still_there(path: str | Path) -> bool:
    """Is a file there, left by an earlier commit? Then it counts as young from now on, so that nobody collects it before it is named."""
    try:
        if time.time() - os.stat(path).st_mtime > GRACE / 2:
            os.utime(path)
    except FileNotFoundError:
        return False
    except PermissionError:  # it is another user's: the commit looks once more under the lock
        log.debug("%s: its time cannot be set", path)
    return True


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
