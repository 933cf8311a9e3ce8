"""A draft as an entry of the commit log: plain data that holds all that the catalogue will say, but for the version's number.

Everything slow or that can be refused happens here, before the lock: footers are read and checked, verdicts are counted,
sample and locator files are written. What is written is named by its content, so a commit that is killed and made again
finds it. An entry and the files it names give the same rows whenever they are applied: that is what a rebuild does.
"""

import json
import os
import re
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from catalog import footers, funnel, locator, samples
from catalog.commits import Entry
from catalog.errors import LakeError, near
from catalog.files import Annotation, DataFile, Draft, Snapshot, verdict_family, write_rows
from catalog.footers import Stat
from catalog.house import POLICY
from catalog.ids import digest
from catalog.open_tables import typed
from catalog.process import user
from catalog.views import LOCATED
from catalog.written import DATASET

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FORMAT = 1
"""Of an entry. A lake whose log has a higher one was written by a newer headrace."""

Known = dict[str, dict[str, tuple[Any, ...]]]
"""What the catalogue says of files already: data and annotation, by path."""

QUARANTINE = pa.schema([(n, pa.string()) for n in ("dataset", "run", "uri", "source", "reason", "exception")] + [("record_offset", pa.int64())])


def blank(kind: str, key: str | None, run: str = "") -> Entry:
    """Return an entry that says only who made it and when."""
    now = datetime.now(UTC).replace(tzinfo=None).isoformat()
    return {"format": FORMAT, "kind": kind, "key": key, "published": now, "run": run, "by": _me()}


@cache
def _me() -> dict[str, str | None]:
    return {"user_name": user(), "host": socket.gethostname(), "git_commit": _git_commit()}


def _git_commit() -> str | None:
    """The commit of the checkout that this code runs from, `+` when files differ from it."""
    house = Path(__file__).resolve().parent.parent
    if not (house / ".git").exists():
        return None
    try:
        found = subprocess.run(
            ["git", "-C", str(house), "describe", "--always", "--dirty=+", "--abbrev=40", "--exclude=*"],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def record(tables: dict[str, list[dict[str, Any]]], run: str) -> Entry:
    """Return the entry that adds rows to open tables, of no dataset. The same rows from the same run are one entry."""
    key = "record:" + digest(run, json.dumps(tables, sort_keys=True, default=str), size=16)
    return {**blank("record", key, run), "tables": typed(tables)}


def snapshot(
    db: "DuckDBPyConnection", root: str, draft: Draft, head: Snapshot | None,
    sample: tuple[list[samples.Part], int | None],
) -> tuple[Entry, list[Stat]]:  # fmt: skip
    """Return the entry of a draft, checked and counted, and the column statistics of its new files.

    `sample` is the head's: its parts and cut. Raises LakeError.
    """
    known, stats = _known(db, draft), []  # type: tuple[Known, list[Stat]]
    files = [_data_file(root, file, known, stats) for file in draft.files]
    tables = {name: rows for name, rows in draft.tables.items() if name != "funnel"}
    policies = [_policy(policy, i) for i, policy in enumerate(draft.policies)]
    part = str((tables.get("run") or [{}])[0].get("part") or draft.dataset)
    steps = funnel.steps(db, draft, files, [p["family"] for p in policies], part)
    fields = _Numbers()
    entry = {
        **blank("snapshot", draft.key, draft.run),
        "dataset": draft.dataset,
        "shape": draft.shape,
        "owner": draft.owner,
        "mode": draft.mode,
        "files": [_file_entry(file, fields) for file in files],
        "policies": policies,
        "lineage": [list(edge) for edge in draft.lineage],
        "metrics": {name: float(value) for name, value in sorted(draft.metrics.items())},
        "tables": typed(tables),
        "quarantine": _quarantine(root, draft),
        "funnel": steps,
        "totals": funnel.totals(draft.dataset, files, steps),
        "locator": [],
        "samples": [],
    }
    if draft.shape in LOCATED and files:
        fresh = [file for file in files if file.path not in known["data"]]
        entry["locator"] = [list(written) for written in locator.write(root, fresh)] if fresh else []
        parts = _samples(root, draft, files, head, *sample)
        entry["samples"] = [_part_entry(part, fields) for part in parts]
    return {**entry, "fields": fields.texts}, stats


def check_names(draft: Draft) -> None:
    """Refuse names that could not be a folder and a view, and a mode that there is not."""
    if not re.fullmatch(DATASET, draft.dataset):
        raise LakeError(f"{draft.dataset!r} is not a dataset's name; use lower-case letters, digits, _ and -, with dots between parts")
    if draft.mode not in ("replace", "append"):
        raise LakeError(f"{draft.dataset}: no mode {draft.mode!r}{near(draft.mode, ('replace', 'append'))}")
    names = [str(policy.get("name", "")) for policy in draft.policies]
    for name in names:
        if not re.fullmatch(POLICY, name) or [verdict_family(other) for other in names].count(verdict_family(name)) > 1:
            raise LakeError(f"{draft.dataset}: {name!r} is not a policy's name, or stands twice; use lower-case letters, digits, _ and -")
    for what, given in (("data file", [f.path for f in draft.files]), ("data file id", [f.id for f in draft.files])):
        twice = sorted({one for one in given if given.count(one) > 1}) if len(set(given)) < len(given) else []
        if twice:
            raise LakeError(f"{draft.dataset}: the {what} {twice[0]} stands twice; a file is registered once")
    for path in (p for f in draft.files for p in (f.path, *(a.path for a in f.annotations))):
        if os.path.isabs(path) or ".." in Path(path).parts:
            raise LakeError(f"{path}: is not a path inside the lake; write the file there and name it relative to it")


def _known(db: "DuckDBPyConnection", draft: Draft) -> Known:
    """What the catalogue says of a draft's files already. Raises LakeError when it is something else."""
    paths, ids = [file.path for file in draft.files], [file.id for file in draft.files]
    rows = db.execute(
        "SELECT path, id, rows, ids, bytes, fields FROM data_file WHERE path IN (SELECT unnest(?)) OR id IN (SELECT unnest(?))", [paths, ids]
    ).fetchall()
    data = {row[0]: row[1:] for row in rows}
    by_id = {row[1]: row[0] for row in rows}
    for file in draft.files:
        if by_id.get(file.id, file.path) != file.path or data.get(file.path, (file.id,))[0] != file.id:
            raise LakeError(f"{file.path}: is in the lake as another file ({by_id.get(file.id) or data[file.path][0]}); a file is registered once")
    about = [a.path for file in draft.files for a in file.annotations]
    found = db.execute("SELECT path, file, family, rows, fields FROM annotation WHERE path IN (SELECT unnest(?))", [about]).fetchall()
    return {"data": data, "annotation": {row[0]: row[1:] for row in found}}


def _data_file(root: str, file: DataFile, known: Known, stats: list[Stat]) -> DataFile:
    """Return a draft's file as its footer says it is, with annotations that stand row by row beside it."""
    if file.path in known["data"]:
        _, rows, ids, size, text = known["data"][file.path]
        columns = tuple((str(n), str(t)) for n, t in json.loads(text))
    else:
        found = footers.read(root, file.path)
        footers.check_data(file, found)
        rows, ids, size, columns = found.rows, found.ids or file.ids, found.bytes, found.columns
        stats += found.stats
    whole = DataFile(file.id, file.path, rows, size, ids, root, (), columns)
    about = [_annotation(root, whole, annotation, known["annotation"], stats) for annotation in file.annotations]
    families = [a.family for a in about]
    twice = next((name for name in families if families.count(name) > 1), None)
    if twice:
        raise LakeError(f"{file.path}: family {twice!r} stands twice; a snapshot has one of each")
    return DataFile(file.id, file.path, rows, size, ids, root, tuple(about), columns)


def _annotation(root: str, file: DataFile, annotation: Annotation, known: dict[str, tuple[Any, ...]], stats: list[Stat]) -> Annotation:
    if annotation.path in known:
        of, family, rows, text = known[annotation.path]
        if (of, family) != (file.id, annotation.family):
            raise LakeError(f"{annotation.path}: is in the lake as the family {family!r} of another file; a file is registered once")
        return replace(annotation, rows=rows, columns=tuple((str(n), str(t)) for n, t in json.loads(text)))
    found = footers.read(root, annotation.path)
    footers.check_annotation(file, annotation, found)
    stats += found.stats
    return Annotation(annotation.family, annotation.path, annotation.address, annotation.stage, found.rows, found.inner(annotation.family))


def _policy(policy: dict[str, Any], place: int) -> dict[str, Any]:
    """A policy as stored. The first one's verdicts are the family `verdict`, another's `verdict_<name>`."""
    family = verdict_family(policy["name"] if place else None)
    body = {k: v for k, v in policy.items() if k not in ("name", "family", "digest")}
    text = json.dumps(body, default=str)  # as text: the log sorts keys, and the order of a policy's clauses is what it says
    return {"name": policy["name"], "family": family, "digest": policy.get("digest") or digest(text), "body": text}


class _Numbers:
    """Column lists by number: ten thousand files share a handful of them, so the log holds each once."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[tuple[tuple[str, str], ...], int] = {}

    def of(self, columns: tuple[tuple[str, str], ...]) -> int:
        if columns not in self._numbers:
            self._numbers[columns] = len(self.texts)
            self.texts.append(json.dumps(columns, separators=(",", ":")))
        return self._numbers[columns]


def _file_entry(file: DataFile, fields: _Numbers) -> Entry:
    about = [[a.family, a.path, a.address, a.stage, a.rows, fields.of(a.columns)] for a in file.annotations]
    return {"id": file.id, "path": file.path, "rows": file.rows, "bytes": file.bytes, "ids": file.ids, "fields": fields.of(file.columns), "about": about}


def _part_entry(part: samples.Part, fields: _Numbers) -> list[Any]:
    return [part.path, part.part, part.family, part.rows, part.files, part.below, fields.of(part.fields)]


def _quarantine(root: str, draft: Draft) -> list[Any] | None:
    """Write what could not be read or judged to a file of its own: it may be long, and a catalogue is copied at each commit."""
    if not draft.quarantine:
        return None
    rows = [
        {
            "dataset": draft.dataset, "run": draft.run, "uri": row.get("uri"), "source": row.get("source"), "reason": row.get("reason"),
            "exception": row.get("exception") or row.get("error"), "record_offset": row.get("offset"),
        }
        for row in draft.quarantine
    ]  # fmt: skip
    path = f"annotations/{draft.dataset}/quarantine/{digest(draft.key, json.dumps(rows, default=str))}.parquet"
    write_rows(os.path.join(root, path), pa.Table.from_pylist(rows, schema=QUARANTINE), QUARANTINE)
    return [path, len(rows)]


def _samples(
    root: str, draft: Draft, files: Sequence[DataFile], head: Snapshot | None, held: Sequence[samples.Part], below: int | None
) -> list[samples.Part]:
    """Return the sample's parts. Those of the head serve on where its data files come first: text is not read twice."""
    folder, parts, start = f"annotations/{draft.dataset}/sample", [], 0  # type: tuple[str, list[samples.Part], int]
    before = [file.id for file in head.files] if head else []
    if draft.mode == "replace" and before and before == [file.id for file in files[: len(before)]]:
        for documents in (part for part in held if part.family is None):
            parts += samples.beside(root, folder, documents, files[start : start + documents.files])
            start += documents.files
    elif draft.mode == "replace":
        below = None
    return parts + (samples.write_part(root, folder, files[start:], below) if files[start:] else [])
