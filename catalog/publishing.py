"""What a commit does to the catalogue: before the lock, under it, and again from the log when a catalogue is rebuilt."""

import errno
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from catalog import commits, entries, footers, locator, migrations, samples, snapshots, tables, views
from catalog.commits import Entry
from catalog.errors import LakeError, WorkError
from catalog.files import Draft
from catalog.footers import Stat

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """An entry that lacks only its place in the log, its files' statistics, and a merge of the locator if one is due."""

    entry: Entry
    stats: Sequence[Stat]
    merged: tuple[locator.Written, list[str]] | None


def earlier(db: "DuckDBPyConnection", draft: Draft) -> tuple[str, int] | None:
    """Return the snapshot that a draft's key stands for, if it was published.

    A replacement made from a later head than that is no repetition but a return to an earlier state: it is published again.
    """
    row = published(db, draft.key)
    if row and row[0] != draft.dataset:
        raise LakeError(f"the key {draft.key!r} of {draft.dataset} was published as {row[0]}@v{row[1]}; a key names one dataset")
    returned = row is not None and draft.mode == "replace" and (draft.parent or 0) > row[1]
    return None if returned else row


def published(db: "DuckDBPyConnection", key: str) -> tuple[str, int] | None:
    """Return (dataset, version) of the latest snapshot under a key."""
    row = db.execute(
        "SELECT dataset, version FROM publication WHERE key = ? AND kind = 'snapshot' ORDER BY version DESC LIMIT 1", [key]
    ).fetchone()
    return (str(row[0]), int(row[1])) if row else None


def recorded(db: "DuckDBPyConnection", key: str) -> bool:
    """Was an entry published under a key?"""
    return db.execute("SELECT 1 FROM publication WHERE key = ?", [key]).fetchone() is not None


def refuse(db: "DuckDBPyConnection", draft: Draft, take: bool) -> None:
    """Raise LakeError when a draft may not go on the head as it is."""
    row = db.execute("SELECT owner, head, shape FROM dataset WHERE dataset = ?", [draft.dataset]).fetchone()
    if row is None:
        if draft.mode == "replace" and draft.parent is not None:
            raise LakeError(f"{draft.dataset}: was made from @v{draft.parent}, but the lake has no such dataset")
        return
    owner, head, shape = row
    if owner != draft.owner and not take:
        raise LakeError(f"{draft.dataset} belongs to the recipe {owner!r}; publish under another name (publish_as:), or take it over (--take)")
    if draft.mode == "append":
        if shape != draft.shape:
            raise LakeError(f"{draft.dataset} holds rows of shape {shape!r}; rows of shape {draft.shape!r} cannot be appended")
        _refuse_twice(db, draft)
    elif draft.parent != head:
        made = f"@v{draft.parent}" if draft.parent else "no version"
        raise LakeError(f"{draft.dataset}: the head is now @v{head}, and this was made from {made}; run it again on the new head")


def _refuse_twice(db: "DuckDBPyConnection", draft: Draft) -> None:
    row = db.execute(
        "SELECT path FROM member WHERE dataset = ? AND kind = 'data' AND removed IS NULL AND path IN (SELECT unnest(?)) LIMIT 1",
        [draft.dataset, [file.path for file in draft.files]],
    ).fetchone()
    if row:
        raise LakeError(f"{row[0]}: is in {draft.dataset} already; appending it would double its rows")


def prepare(db: "DuckDBPyConnection", root: str, draft: Draft) -> Prepared:
    """Do all that needs no lock: check and count the files, write sample, locator and quarantine."""
    row = db.execute("SELECT head FROM dataset WHERE dataset = ?", [draft.dataset]).fetchone()
    held: list[samples.Part] = []
    head = below = None
    if row:
        head = snapshots.load(db, root, snapshots.Name(draft.dataset, row[0], None))
        held = [samples.Part(*part) for part in snapshots.sample_parts(db, draft.dataset, row[0])]
        below = snapshots.sample_below(db, draft.dataset, row[0])
    lists = [locator.Written(*written) for written in db.execute("SELECT path, rows FROM locator").fetchall()]
    entry, stats = entries.snapshot(db, root, draft, head, (held, below))
    merged = locator.merge(db, root, lists) if len(lists) > locator.MOST else None
    prepared = Prepared(entry, stats, merged)
    commits.reach("prepared")
    return prepared


def finish(db: "DuckDBPyConnection", root: Path, draft: Draft, take: bool, prepared: Prepared) -> Entry | None:
    """Under the lock: check again what may have changed, and finish the entry. None where it is published by now."""
    if earlier(db, draft):
        return None
    refuse(db, draft, take)
    entry, merged = prepared.entry, prepared.merged
    for path in _names(entry):
        if not (root / path).exists():
            raise LakeError(f"{path}: was removed while it was being published; run its part again")
    listed = {path for (path,) in db.execute("SELECT path FROM locator").fetchall()}
    parts = [samples.Part(p[0], p[1], p[2], p[3], p[4], p[5], ()) for p in entry["samples"]]
    head = db.execute("SELECT head FROM dataset WHERE dataset = ?", [draft.dataset]).fetchone()
    if draft.mode == "append" and head:
        parts += [samples.Part(*part) for part in snapshots.sample_parts(db, draft.dataset, head[0])]
    due = [list(merged[0]), merged[1]] if merged and set(merged[1]) <= listed and (root / merged[0].path).exists() else None
    return {**entry, "below": samples.cut(str(root), parts), "merged": due}


def _names(entry: Entry) -> Iterator[str]:
    """Yield the path of every file that an entry will name, but for a merge of the locator, which can wait for the next commit."""
    for file in entry["files"]:
        yield from (file["path"], *(about[1] for about in file["about"]))
    for path, *_ in (*entry["samples"], *entry["locator"], *filter(None, [entry["quarantine"]])):
        yield path


def write(db: "DuckDBPyConnection", root: Path, number: int, entry: Entry, stats: Sequence[Stat] = ()) -> list[str]:
    """Publish an entry as the next catalogue, written by the engine `db`. Call it under the lock. Returns warnings about views."""
    entry = {**entry, "number": number + 1}
    with _clean(root, number + 1):
        path = commits.copy(root, number)
        lines = _fill(db, path, root, [entry], stats)
        commits.reach("applied")
        commits.publish(root, entry)
    return lines


@contextmanager
def _clean(root: Path, number: int) -> Iterator[None]:
    """Leave nothing of a commit that failed, and say a full disk in one line."""
    try:
        yield
    except BaseException as error:
        if commits.current(root) < number:
            commits.discard(root, number - 1)
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        if full or "No space left on device" in str(error):
            raise WorkError(f"{root}: the disk is full; nothing was published: free some space and run again") from None
        raise


STORAGE = "v1.2.0"
"""The storage version of catalogue files: stock DuckDB 1.2 and later opens them, with no extension."""

BLOCK = 16384
"""Bytes a block: each commit copies the catalogue, and with the usual 256 KiB a small one is ten times as big."""


@contextmanager
def attach(engine: "DuckDBPyConnection", path: Path) -> "Iterator[DuckDBPyConnection]":
    """Open a catalogue file for writing (it is made if it is not there) and leave it whole: checkpointed and let go of."""
    options = "" if path.exists() else f" (STORAGE_VERSION '{STORAGE}', BLOCK_SIZE {BLOCK})"
    with engine.cursor() as cursor:
        cursor.execute("SET checkpoint_threshold = '1b'")  # a commit goes straight into the file: no write-ahead log, one sync less
        cursor.execute(f"ATTACH '{path}' AS new{options}")
        try:
            cursor.execute("USE new")
            yield cursor
            cursor.execute("CHECKPOINT new")
        finally:
            cursor.close()  # after a failure it is still inside its transaction
            engine.execute("DETACH new")


def _fill(engine: "DuckDBPyConnection", path: Path, root: Path, made: Sequence[Entry], stats: Sequence[Stat] | None) -> list[str]:
    """Apply entries to a catalogue file in one transaction, and make the views that they touch."""
    fresh = not path.exists()
    with attach(engine, path) as db:
        db.execute("BEGIN")
        migrations.upgrade(db, 0 if fresh else migrations.level(db))
        for entry in made:
            found = footers.stats(str(root), tables.unread(db, entry)) if stats is None else stats
            tables.apply(db, entry, found)
        touched = {entry["dataset"] for entry in made if entry["kind"] == "snapshot"}
        row = db.execute("SELECT root FROM home").fetchone()
        if row is None or row[0] != str(root) or any(entry["kind"] in EVERY for entry in made):
            db.execute("DELETE FROM home")
            db.execute("INSERT INTO home VALUES (?)", [str(root)])
            touched |= {name for (name,) in db.execute("SELECT dataset FROM dataset").fetchall()}
        lines = views.rebuild(db, str(root), sorted(touched))
        db.execute("COMMIT")
    for line in lines:
        log.warning("%s", line)
    return lines


EVERY = ("create", "moved", "rebuild", "upgrade")
"""Entries after which every view is made again."""


def rebuild(engine: "DuckDBPyConnection", root: Path, timeout: float) -> list[str]:
    """Make the catalogue again from the log and publish it. Works where CURRENT or the catalogue is gone. Returns warnings."""
    with commits.hold(root, "rebuilding the catalogue", timeout):
        try:
            number = commits.current(root)
        except LakeError:  # it is spoilt: the whole log counts
            number = 0
        made = list(commits.whole(root, number))
        if not made:
            raise LakeError(f"{root}: there is no log in commits/, so no catalogue can be made from it")
        newer = max(entry["format"] for entry in made)
        if newer > entries.FORMAT:
            raise LakeError(f"{root}: was written by a newer headrace (log format {newer}, this one reads {entries.FORMAT}); update headrace")
        number = int(made[-1]["number"]) + 1
        commits.discard(root, number - 1)
        entry = {**entries.blank("rebuild", None), "number": number}
        with _clean(root, number):
            lines = _fill(engine, commits.catalogue(root, number), root, [*made, entry], None)
            commits.reach("applied")
            commits.publish(root, entry)
    return lines
