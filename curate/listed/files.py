"""Lists that others keep: a file of one's own, or one that lies inside an installed package, which is read and never imported."""

import importlib.util
import json
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from catalog.errors import InputError, SetupError, near
from curate.listed.promised import digest_of_file, verified, wanted

At = tuple[str, str]
"""A file and the digest of its content: what was read of it is remembered by both."""

LARGEST = 1 << 30
"""Bytes of a list; those of the Université de Toulouse have 130 million."""


def located(name: str, who: str) -> Path:
    """Return the file that `PATH` or `PACKAGE:PATH` names, the second inside an installed package. Raises InputError or SetupError, one line."""
    package, colon, inside = name.partition(":")
    if not colon or os.sep in package or Path(name).is_file():
        path = Path(name)
        if not path.is_file():
            there = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
            raise InputError(f"{who}: no file {name!r}{near(path.name, there)}")
    else:
        spec = importlib.util.find_spec(package) if package.isidentifier() else None
        if spec is None or not spec.submodule_search_locations:
            raise SetupError(f"{who}: {name!r} lies in the package {package!r}, which is not installed; install it, or give a file of your own")
        path = Path(spec.submodule_search_locations[0], inside)
        if not path.is_file():
            raise InputError(f"{who}: the package {package!r} has no file {inside!r}; another version of it may have")
    if path.stat().st_size > LARGEST:
        raise InputError(f"{who}: {name}: {path.stat().st_size} bytes, more than a list may have ({LARGEST})")
    return path


def state(path: Path) -> tuple[str, int, int]:
    """Return what tells one version of a file from another, to remember what was read by it."""
    told = path.stat()
    return str(path), told.st_mtime_ns, told.st_size


def told(name: str, who: str) -> At:
    """Return the file that a knob names, and its digest: the one that the task was promised, else that of what lies there now."""
    path = located(name, who)
    return str(path), wanted(name) or _digest(*state(path))


@lru_cache(maxsize=256)
def _digest(path: str, _changed: int, _size: int) -> str:
    return digest_of_file(path)


def content(at: At, who: str) -> bytes:
    """Return what a file holds, read once and checked. Raises InputError where that is not what its digest is of."""
    return verified(Path(at[0]).read_bytes(), at[1], f"{who}: {at[0]}")


def entries(at: At, who: str) -> Iterator[str]:
    """Yield the entries of a list: its lines but empty ones and those that begin with #; of a `.json` file its strings, or those under `words`."""
    raw = content(at, who)
    try:
        text = raw.decode("utf-8-sig")
        found = _strings(json.loads(text)) if at[0].endswith(".json") else text.splitlines()
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InputError(f"{who}: {at[0]} cannot be read as a list: {str(error).splitlines()[0]}") from None
    for entry in found:
        entry = " ".join(entry.split())
        if entry and not entry.startswith("#"):
            yield entry


def _strings(given: Any) -> list[str]:
    given = given.get("words") if isinstance(given, dict) else given
    if not isinstance(given, list) or not all(isinstance(entry, str) for entry in given):
        raise ValueError('a JSON list is [...] or {"words": [...]}, of strings')
    return given


def named(lists: Mapping[str, str] | None, who: str) -> dict[str, str]:
    """Return a knob that is a mapping of names to files, or raise InputError."""
    if lists is None:
        return {}
    if not isinstance(lists, Mapping) or not all(isinstance(part, str) and part for pair in lists.items() for part in pair):
        raise InputError(f"{who}: lists: {lists!r} is no mapping of names to files; write {{NAME: PATH}}")
    return dict(lists)
