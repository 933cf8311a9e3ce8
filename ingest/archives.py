"""A folder, a tar, a zip or a single file as a sequence of members, read one at a time and never unpacked."""

import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip", ".whl", ".jar", ".egg")
MAX_MEMBERS, MAX_WHOLE = 500_000, 4 << 30
MAX_RATIO = 300
"""How much an archive may expand once it is past a megabyte. Source code reaches 10."""


BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, NotImplementedError)


@dataclass(frozen=True)
class Member:
    """One file of a tree. `problem` is (reason, error) for one that must not be read."""

    path: str
    size: int
    opened: Callable[[int], bytes]
    problem: tuple[str, str] | None = None

    def read(self, most: int) -> bytes | None:
        """At most so many of its bytes; None where the archive is broken."""
        try:
            return self.opened(most)
        except BROKEN:
            return None


def is_archive(path: str) -> bool:
    return path.lower().endswith(ARCHIVES)


def stem(path: str) -> str:
    """The name of an archive or folder without its ending."""
    name = os.path.basename(path.rstrip("/"))
    return next((name[: -len(end)] for end in sorted(ARCHIVES, key=len, reverse=True) if name.lower().endswith(end)), name)


def members(path: str) -> Iterator[Member]:
    """Yield the files of a tree, in a stated order: a folder's sorted by path, an archive's as they lie in it.

    A tree that is broken or expands too far ends with a Member whose problem says so: `corrupt_archive`, `too_large`.
    """
    if os.path.isdir(path):
        yield from _folder(path)
    elif not is_archive(path):
        yield Member(os.path.basename(path), os.path.getsize(path), _opened(path))
    else:
        try:
            yield from _capped(_zip(path) if zipfile.is_zipfile(path) else _tar(path), os.path.getsize(path))
        except BROKEN as error:
            yield Member("", 0, _nothing, ("corrupt_archive", str(error)))


def _nothing(most: int) -> bytes:
    return b""


def _opened(path: str) -> Callable[[int], bytes]:
    def read(most: int) -> bytes:
        with open(path, "rb") as file:
            return file.read(most)

    return read


def _folder(root: str) -> Iterator[Member]:
    for folder, inner, files in os.walk(root, followlinks=False):
        inner.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            place = os.path.relpath(path, root).replace(os.sep, "/")
            if os.path.islink(path) or not os.path.isfile(path):
                yield Member(place, 0, _nothing, ("not_a_file", "a link or a device"))
            else:
                yield Member(place, os.path.getsize(path), _opened(path))


def _tar(path: str) -> Iterator[Member]:
    with tarfile.open(path, "r|*") as archive:
        for entry in archive:
            if entry.isdir():
                continue
            problem = None if entry.isreg() else ("not_a_file", "a link or a device")

            def read(most: int, entry: tarfile.TarInfo = entry) -> bytes:
                file = archive.extractfile(entry)
                return file.read(most) if file else b""

            yield Member(entry.name.removeprefix("./"), entry.size, read, problem or _unsafe(entry.name))


def _zip(path: str) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.is_dir():
                continue
            problem = ("encrypted", "it has a password") if entry.flag_bits & 1 else None
            if entry.external_attr >> 28 == 0xA:
                problem = ("not_a_file", "a link")

            def read(most: int, entry: zipfile.ZipInfo = entry) -> bytes:
                with archive.open(entry) as file:
                    return file.read(most)

            yield Member(entry.filename, entry.file_size, read, problem or _unsafe(entry.filename))


def _unsafe(path: str) -> tuple[str, str] | None:
    if path.startswith(("/", "\\")) or ":" in path.split("/")[0] or ".." in path.replace("\\", "/").split("/"):
        return "unsafe_path", path[:200]
    return None


def _capped(found: Iterator[Member], packed: int) -> Iterator[Member]:
    """Stop before a member that would expand the archive too far: its header says so before its bytes do."""
    whole = 0
    for count, member in enumerate(found):
        whole += member.size
        if count >= MAX_MEMBERS or whole > MAX_WHOLE or (whole > 1 << 20 and whole > MAX_RATIO * packed):
            yield Member(member.path, member.size, _nothing, ("too_large", f"{count + 1} members expand {packed} bytes to {whole}; the rest is not read"))
            return
        yield member
