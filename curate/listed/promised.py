"""What a task was promised of the files and models that its stages name: their digests, as they stand in the address of what it writes.

A file may change between the moment at which a run takes its digest and the one at which a worker reads it, and a worker lives long. So
who reads it looks here for the digest that the content must have; where nothing was promised (a stage called from Python) any content will do.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from catalog.errors import InputError

_digests: dict[str, str] = {}


def promise(digests: Mapping[str, str]) -> None:
    """Take down the digests of the files and models that the stages of a task name, in place of those of the task before."""
    _digests.clear()
    _digests.update(digests)


def wanted(name: str) -> str | None:
    """Return the digest that what a knob calls `name` must have, None where none was promised."""
    return _digests.get(name)


def digest_of_file(path: str | Path) -> str:
    """Return 32 hex digits of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def verified(content: bytes, digest: str | None, what: str) -> bytes:
    """Return content that has its digest. Raises InputError."""
    if digest is not None and hashlib.blake2b(content, digest_size=16).hexdigest() != digest:
        raise InputError(f"{what} was changed since this run was planned; run the same command again")
    return content
