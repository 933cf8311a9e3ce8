"""A folder, a tar, a zip or a single file as a sequence of members, read one at a time and never unpacked."""

import bz2
import errno
import gzip
import io
import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, cast

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".crate", ".zip", ".whl", ".jar", ".egg")
MAX_MEMBERS, MAX_WHOLE = 500_000, 4 << 30
MAX_RATIO = 300
"""How much an archive may expand once it is past a megabyte. Source code reaches 10."""
MAX_HEADERS = 1 << 20
"""Bytes that may stand between two files of a tar: long names and attributes are headers of their own and may say any size."""
MAX_TABLE = 24 << 20
"""Bytes of a zip's table of contents, which is read at once and takes ten times as much memory. 200,000 files need no more."""
MAX_PATH, MAX_DEPTH = 4096, 100
"""Characters and folders of a file's path: what walks up a path costs the one times the other."""
PACKINGS = ((b"\x1f\x8b\x08", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open), (b"\x5d\x00\x00\x80", lzma.open))

BROKEN = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, ValueError, ArithmeticError, LookupError, RuntimeError,
)  # fmt: skip
"""What reading a broken archive raises: RuntimeError is a password's, LookupError a field's that is too short, OSError that of a place before its start."""


def of_machine(error: BaseException) -> bool:
    """Whether an error is the machine's (a disk that fails, a file that is gone) and says nothing of what is in the file."""
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL, errno.EACCES, errno.EPERM)


class TooLarge(ValueError):
    """An archive goes on longer than it may."""


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
        except BROKEN as error:
            if of_machine(error):
                raise
            return None


def is_archive(path: str) -> bool:
    return path.lower().endswith(ARCHIVES)


def stem(path: str) -> str:
    """The name of an archive or folder without its ending."""
    name = os.path.basename(path.rstrip("/"))
    return next((name[: -len(end)] for end in sorted(ARCHIVES, key=len, reverse=True) if name.lower().endswith(end)), name)


def members(path: str, *, packed: bool = False) -> Iterator[Member]:
    """Yield the files of a tree, in a stated order: a folder's sorted by path, an archive's as they lie in it. With `packed` it is one by any name.

    A tree that is broken or expands too far ends with a Member whose problem says so: `corrupt_archive`, `too_large`.
    """
    if os.path.isdir(path):
        yield from _folder(path)
    elif not packed and not is_archive(path):
        yield Member(os.path.basename(path), os.path.getsize(path), _opened(path))
    else:
        try:
            yield from _capped(_zip(path) if zipfile.is_zipfile(path) else _tar(path), os.path.getsize(path))
        except BROKEN as error:
            if of_machine(error):
                raise
            yield Member("", 0, _nothing, ("too_large" if isinstance(error, TooLarge) else "corrupt_archive", str(error) or type(error).__name__))


def _nothing(most: int) -> bytes:
    return b""


def _opened(path: str) -> Callable[[int], bytes]:
    def read(most: int) -> bytes:
        with open(path, "rb") as file:
            return file.read(most)

    return read


def _folder(root: str) -> Iterator[Member]:
    for folder, inner, files in os.walk(root, followlinks=False):
        links = [name for name in inner if os.path.islink(os.path.join(folder, name))]
        inner[:] = sorted(name for name in inner if name != ".git" and name not in links)
        for name in sorted([*files, *links]):
            path = os.path.join(folder, name)
            place = os.path.relpath(path, root).replace(os.sep, "/")
            if os.path.islink(path) or not os.path.isfile(path):
                yield Member(place, 0, _nothing, ("not_a_file", "a link or a device"))
            else:
                yield Member(place, os.path.getsize(path), _opened(path))


class _Poured:
    """A tar as it is expanded. Reading past `most`, or past what so small a file may hold, raises TooLarge: nothing it says of itself counts."""

    def __init__(self, file: IO[bytes], packed: int) -> None:
        self.file, self.at, self.most = file, 0, MAX_HEADERS
        self.whole = 2 * min(MAX_WHOLE, max(1 << 20, MAX_RATIO * packed)) + MAX_HEADERS  # twice the files' due: each is padded to 512 bytes

    def read(self, size: int) -> bytes:
        """Return the next bytes, as few as there are at hand: a break behind them costs none of them."""
        data: bytes = self.file.read1(size)  # type: ignore[attr-defined]  # all four kinds of file have it
        self.at += len(data)
        if self.at > self.most:
            raise TooLarge(f"more than {MAX_HEADERS} bytes stand between two of its files")
        if self.at > self.whole:
            raise TooLarge(f"it expands to more than {self.whole} bytes")
        return data


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    """The tar in a file, by its first bytes."""
    head = file.read(8)
    file.seek(0)
    plain: Any = next((opened(file) for magic, opened in PACKINGS if head.startswith(magic)), file)
    return cast(IO[bytes], plain)


def _tar(path: str) -> Iterator[Member]:
    with open(path, "rb") as file, _unpacked(file) as plain:
        stream = _Poured(plain, os.path.getsize(path))
        with tarfile.open(fileobj=stream, mode="r|") as archive:  # type: ignore[call-overload]
            while (entry := archive.next()) is not None:
                stream.most = max(stream.at, archive.offset) + MAX_HEADERS
                archive.members.clear()                      # it keeps all that it has seen
                if entry.isdir():
                    continue
                problem = None if entry.isreg() else ("not_a_file", "a link or a device")

                def read(most: int, entry: tarfile.TarInfo = entry, archive: tarfile.TarFile = archive) -> bytes:
                    found = archive.extractfile(entry)
                    return found.read(most) if found else b""

                yield Member(entry.name.removeprefix("./"), entry.size, read, problem or _unsafe(entry.name))


class _Tabled(io.FileIO):
    """A zip as it is opened: reading a table of more than `most` bytes raises TooLarge."""

    most: float = MAX_TABLE

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > self.most:
            raise TooLarge(f"its table of contents has {size} bytes")
        return super().read(-1 if size is None else size) or b""


def _zip(path: str) -> Iterator[Member]:
    with _Tabled(path) as file, zipfile.ZipFile(file) as archive:
        file.most = float("inf")
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
    if len(path) > MAX_PATH or path.count("/") > MAX_DEPTH:
        return "unsafe_path", f"{len(path)} characters, {path.count('/')} folders: {path[:100]}"
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
