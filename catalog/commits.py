"""How a commit becomes visible: the lock, the numbered catalogues, the log, CURRENT. Files only, no database.

    lake/.lock                 flock held while a commit runs; its text says by whom, for messages only
    lake/catalog-<n>.duckdb    one immutable version of the catalogue, 0444
    lake/commits/<n>.json      what commit n was asked to do: the catalogue can be rebuilt from these
    lake/CURRENT               the number of the version that counts. Its rename is the moment of the commit
    lake/catalog.duckdb        symlink to that version, for stock clients

Whatever is numbered beyond CURRENT never happened: the next writer removes it. Every step is in `POINTS`, and a test kills the
process at each one of them.
"""

import errno
import fcntl
import json
import logging
import os
import re
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from catalog.errors import LakeError
from catalog.process import user

log = logging.getLogger(__name__)

KEEP = 5
"""Versions of the catalogue kept, so that a reader that has just read CURRENT finds the file."""

POINTS = ("prepared", "locked", "copied", "applied", "synced", "logged", "current", "linked", "pruned")
"""Where a commit can be killed, in order: before `current` it never happened, from `current` on it is there."""

Entry = dict[str, Any]


def reach(point: str) -> None:
    """Die here by SIGKILL when HEADRACE_KILL_AT names this point: how tests cut a commit short."""
    assert point in POINTS, point
    if os.environ.get("HEADRACE_KILL_AT") == point:
        os.kill(os.getpid(), signal.SIGKILL)


def catalogue(root: Path, number: int) -> Path:
    """Return the path of one version of the catalogue."""
    return root / f"catalog-{number}.duckdb"


def entry_path(root: Path, number: int) -> Path:
    """Return the path of one entry of the log."""
    return root / "commits" / f"{number}.json"


def current(root: Path) -> int:
    """Return the number of the version that counts, 0 where there is none. Raises LakeError when CURRENT is spoilt."""
    try:
        text = (root / "CURRENT").read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise LakeError(f"{root}/CURRENT cannot be read ({error.strerror}); a lake is a folder with a file CURRENT in it") from None
    if not text.isdecimal():
        raise LakeError(f"{root}/CURRENT holds {text[:40]!r}, not a number; `headrace doctor --rebuild` makes it from the log")
    return int(text)


@contextmanager
def hold(root: Path, what: str, timeout: float) -> Iterator[None]:
    """Hold the lake's lock for one commit. The kernel frees it when the process ends, however it ends.

    Raises LakeError, naming the holder, when it is not free within `timeout` seconds.
    """
    path = root / ".lock"
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise LakeError(f"{root}: cannot be written ({error.strerror}); check who owns the folder") from None
    try:
        _wait(lock, root, timeout)
        me = f"{user()}@{socket.gethostname()}, process {os.getpid()}, {what}, since {datetime.now(UTC):%H:%M:%S} UTC"
        os.ftruncate(lock, 0)
        os.pwrite(lock, me.encode(), 0)
        try:
            yield
        finally:
            os.ftruncate(lock, 0)
    finally:
        os.close(lock)


def _wait(lock: int, root: Path, timeout: float) -> None:
    start, told = time.monotonic(), False
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = time.monotonic() - start
        holder = os.pread(lock, 500, 0).decode(errors="replace") or "another writer"
        if waited >= timeout:
            raise LakeError(f"{root}: {holder} holds the lock and did not let go within {timeout:g} s; wait for it, or raise --lock-timeout")
        if waited > 1 and not told:
            told = True
            log.warning("%s: waiting up to %g s for %s", root, timeout, holder)
        time.sleep(0.005 + os.getpid() % 17 / 1000)  # processes that wait together do not ask together


def recover(root: Path) -> int:
    """Remove what a killed commit left, mend the symlink, and return the current number. Call it under the lock."""
    number = current(root)
    if number == 0 and entry_path(root, 2).exists():
        raise LakeError(f"{root}: CURRENT is missing though there is a log; `headrace doctor --rebuild` makes it again")
    if number and not (root / "commits").is_dir():
        raise LakeError(f"{root}: commits/, the log, is gone, and no catalogue could be made again without it; put it back before you commit")
    discard(root, number)
    if number:
        _link(root, number)
    return number


def discard(root: Path, number: int) -> None:
    """Remove every catalogue and log entry beyond `number`, and half-written files."""
    for path in [*root.glob("catalog-*.duckdb*"), *root.glob("commits/*.json")]:
        found = re.fullmatch(r"(?:catalog-)?(\d+)\..*", path.name)
        if found and int(found[1]) > number:
            path.unlink(missing_ok=True)
    for path in [*root.glob(".*.tmp"), *root.glob("commits/.*.tmp")]:
        path.unlink(missing_ok=True)


def copy(root: Path, number: int) -> Path:
    """Copy the current catalogue to the next number, writable, and return its path."""
    path = catalogue(root, number + 1)
    if number:
        shutil.copyfile(catalogue(root, number), path)
    reach("copied")
    return path


def publish(root: Path, entry: Entry) -> None:
    """Make a finished catalogue and its log entry durable, then swap CURRENT. Call it under the lock."""
    number = int(entry["number"])
    path = catalogue(root, number)
    _sync(path)
    path.chmod(0o444)
    reach("synced")
    write(entry_path(root, number), json.dumps(entry, sort_keys=True, separators=(",", ":")))
    reach("logged")
    swap(root, number)
    reach("current")
    _link(root, number)
    reach("linked")
    prune(root, number)
    reach("pruned")


def swap(root: Path, number: int) -> None:
    """Make `number` the version that counts: one rename. On an object store this body is a conditional put."""
    write(root / "CURRENT", f"{number}\n")


def write(path: Path, text: str) -> None:
    """Write a small file whole or not at all, and durably."""
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(temporary, path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _link(root: Path, number: int) -> None:
    """Point catalog.duckdb at a version. The target is relative, so a lake that moves keeps it."""
    link, target = root / "catalog.duckdb", catalogue(root, number).name
    try:
        if link.is_symlink() and os.readlink(link) == target:
            return
        temporary = root / f".catalog.{os.getpid()}.tmp"
        os.symlink(target, temporary)
        os.replace(temporary, link)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP):
            raise
        log.warning("%s: this file system has no symlinks; stock clients open %s", root, target)


def prune(root: Path, number: int) -> None:
    """Remove all but the last KEEP versions of the catalogue."""
    for path in root.glob("catalog-*.duckdb"):
        found = re.fullmatch(r"catalog-(\d+)\.duckdb", path.name)
        if found and int(found[1]) <= number - KEEP:
            path.unlink(missing_ok=True)


def entries(root: Path, upto: int | None = None) -> Iterator[Entry]:
    """Yield the log in order, up to and including entry `upto` (all of it: None). Raises LakeError for an entry that is spoilt."""
    for number in _numbers(root):
        if upto is None or number <= upto:
            yield _read(entry_path(root, number), number)


def whole(root: Path, number: int) -> Iterator[Entry]:
    """Yield every entry up to `number`, what CURRENT says (0: it is gone, the whole log counts). Raises LakeError when one is missing."""
    numbers = _numbers(root)
    last = number or max(numbers, default=0)
    held = {n for n in numbers if 1 <= n <= last}
    if numbers and len(held) < last:
        first = islice((n for n in range(1, last + 1) if n not in held), 5)
        more = f" and {last - len(held) - 5:,} more" if last - len(held) > 5 else ""
        wrong = "" if last in held else ", or, if the number in CURRENT is wrong, remove CURRENT"
        raise LakeError(
            f"{root}: of the log's entries 1 to {last} there is no {', '.join(f'commits/{n}.json' for n in first)}{more}, "
            f"and without them versions would be lost; put them back{wrong}; nothing was changed"
        )
    return entries(root, last)


def _numbers(root: Path) -> list[int]:
    return sorted(int(path.stem) for path in root.glob("commits/*.json") if re.fullmatch(r"[1-9][0-9]*", path.stem))


def _read(path: Path, number: int) -> Entry:
    try:
        entry: Entry = json.loads(path.read_text(encoding="utf-8"))
        if entry["number"] == number:
            return entry
        why = f"it is entry {entry['number']}"
    except (KeyError, TypeError, ValueError) as error:
        why = f"{type(error).__name__}: {error}"
    raise LakeError(f"{path}: is no entry {number} of the log ({why}); put back the one that was written there")
