"""From input files to data files of the lake: groups of files as tasks, each document with its id, its source and its licence.

A task's name is its address: what it reads (names, sizes, times), with which reader, version and knobs. What stands in the lake
under an address is not done again, whichever run left it there. Documents and refusals are counted file by file, and
every record of the input is one or the other.
"""

import glob
import json
import os
import re
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from catalog.errors import HeadraceError, InputError
from catalog.files import DataWriter, write_json
from catalog.ids import digest, doc_id, origin_hash
from catalog.schema import SHAPES
from catalog.stage import Bound, Refused, load
from ingest.inputs import identity

GROUP_BYTES = 128 << 20
"""Input of a task: larger files stand alone, smaller ones are put together up to this."""
SMALL_INPUT, SMALL_GROUP = 1 << 30, 4 << 20
"""A part with less input than the first is cut finer, so that a laptop's cores all have work."""
MAX_TEXT = 256 << 20
CONTROL = bytes([*range(0x09), *range(0x0B, 0x20), 0x7F])
UNCLEAN = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
"""Control characters and halves of surrogate pairs: no Parquet reader and no tokenizer wants them."""
FOLDERS = ("ingest.code:read",)
"""Readers that take a folder as a whole."""
PLACING = ("file", "member", "offset", "length", "content_type", "fetched_at")
"""What a reader says of where a document was: it goes into `source`. `file` names another file than the one that was read, to which that one points."""

LIBRARIES = ("doi.org", "dx.doi.org", "gutenberg.org", "www.gutenberg.org")
"""Addresses that name a work, not a site: as a host they would tie all papers, or all books, together."""

Task = dict[str, Any]


def tasks(
    files: Sequence[str], bound: Bound, given: dict[str, Any], folder: str, root: str, limit: int | None = None, beside: Collection[str] = ()
) -> list[Task]:
    """Return what there is to do for an ingest part, as plain data for `map_files("ingest.land:land", ...)`.

    `given` holds the part's name, shape, domain, dump and license; new data files go to `folder`, which lies in the lake
    `root` beside the folders of earlier runs. With `limit` there is one task, which stops after so many documents. `beside` are
    files whose documents are in the dataset already: no file gets the name of one of them.
    Raises InputError when there is no file among `files`.
    """
    files = [path for path in files if bound.path in FOLDERS or not os.path.isdir(path)]
    if not files:
        raise InputError(f"ingest.{given['name']}: only folders where files should be; check paths:, such as {given['name']}/*")
    given = {key: None if value is None else str(value) for key, value in given.items()}  # YAML reads `dump: 2026` as a number
    asked = {"function": bound.path, "version": bound.version, "knobs": bound.knobs, "given": given, "limit": limit}
    known, found = {os.path.abspath(path): identity(path) for path in files}, []
    for group in _groups([(path, name) for path, name in _names([*files, *beside]) if path in known], known, limit):
        stats = [[name, *known[path]] for path, name in group]
        address = digest(json.dumps([asked, stats], sort_keys=True))
        label = group[0][1] if len(group) == 1 else f"{group[0][1]} and {len(group) - 1} more"
        size = sum(known[path][0] for path, _ in group)
        found.append({**asked, "name": _clean(f"ingest.{given['name']} {label}"), "bytes": size, "files": group, "id": address, "folder": folder, "root": root})
    return found


def _names(files: Sequence[str]) -> list[tuple[str, str]]:
    """Each file with its name in the part: as much of the end of its path as no other shares. Adding a file renames no other, as a rule."""
    paths = sorted({os.path.abspath(path) for path in files})
    names = {path: os.path.basename(path) for path in paths}
    for depth in range(2, 64):
        shared = Counter(names.values())
        if max(shared.values()) == 1:
            break
        names = {path: name if shared[name] == 1 else "/".join(path.split(os.sep)[-depth:]) for path, name in names.items()}
    return [(path, names[path]) for path in paths]


def _groups(files: Sequence[tuple[str, str]], known: dict[str, tuple[int, str]], limit: int | None) -> Iterator[list[tuple[str, str]]]:
    sizes = {path: known[path][0] for path, _ in files}
    most = SMALL_GROUP if sum(sizes.values()) < SMALL_INPUT else GROUP_BYTES
    group: list[tuple[str, str]] = []
    held = 0
    for path, name in files:
        if group and limit is None and held + sizes[path] > most:
            yield group
            group, held = [], 0
        group.append((path, name))
        held += sizes[path]
    yield group


def land(task: Task) -> dict[str, Any]:
    """Do one task: read its files, write one data file. Returns JSON-able statistics.

    `file` is the data file (the fields of `catalog.files.DataFile`); `documents`, `text_bytes`, `refused` (rows for
    quarantine), `reasons` (their counts), `seconds`. What an earlier run finished is returned as it was told then.
    """
    told = _told(task)
    if told is not None:
        return told
    started = time.monotonic()
    refused: list[dict[str, Any]] = []
    text_bytes = 0
    path = Path(task["folder"]) / f"{task['id']}.parquet"
    with DataWriter(path, SHAPES[task["given"]["shape"]]) as writer:
        for row in _rows(task, refused):
            text_bytes += len(row["text"].encode())
            writer.add(row)
        stat = writer.close()
    columns = [list(column) for column in stat.columns]
    file = {"id": task["id"], "path": os.path.relpath(path, task["root"]), "rows": stat.rows, "bytes": stat.bytes, "ids": stat.ids, "columns": columns}
    result = {
        "file": {**file, "root": task["root"]}, "documents": stat.rows, "text_bytes": text_bytes, "refused": refused,
        "reasons": dict(Counter(row["reason"] for row in refused)), "inputs": [[path, *identity(path)] for path, _ in task["files"]],
        "seconds": round(time.monotonic() - started, 3),
    }  # fmt: skip
    write_json(path.with_suffix(".json"), result)
    return result


def _told(task: Task) -> dict[str, Any] | None:
    """What a task that was done before said; the account is written last, so where it stands its data file does too."""
    beside = os.path.join(glob.escape(os.path.dirname(task["folder"])), "*", f"{task['id']}.json")
    for account in sorted(glob.glob(beside)):
        told: dict[str, Any] = json.loads(Path(account).read_text(encoding="utf-8"))
        told["file"].update(root=task["root"], path=os.path.relpath(Path(account).with_suffix(".parquet"), task["root"]))  # the lake may have moved
        if os.path.isfile(os.path.join(task["root"], told["file"]["path"])):
            return told
    return None


def _rows(task: Task, refused: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The documents of a task's files as rows of its shape; what is refused is put down in `refused`."""
    read = load(task["function"])
    left = task["limit"]
    for path, name in task["files"]:
        seen: set[str] = set()
        for found in _read(read, path, task["knobs"]):
            file = (found.source if isinstance(found, Refused) else found.get("file")) or name
            row = found if isinstance(found, Refused) else _placed(found, task["given"], name)
            if isinstance(row, dict) and row["doc_id"] in seen:
                row = Refused(row["uri"], "duplicate_id", "same source, place and time as another record", row["source"]["offset"])
            if isinstance(row, Refused):
                refused.append(_cleaned({**asdict(row), "source": f"{task['given']['name']}/{file}"}))
                continue
            seen.add(row["doc_id"])
            yield row
            if left is not None:
                left -= 1
                if left == 0:
                    return


def _read(read: Any, path: str, knobs: dict[str, Any]) -> Iterator[dict[str, Any] | Refused]:
    """What a reader yields; where it fails on hostile input the rest of that file is refused and the next file goes on."""
    try:
        yield from read(path, **knobs)
    except (HeadraceError, OSError, MemoryError):
        raise
    except Exception as error:
        yield Refused(os.path.basename(path), "reader_failed", f"{type(error).__name__}: {error}"[:500])


def _placed(found: dict[str, Any], given: dict[str, Any], name: str) -> dict[str, Any] | Refused:
    """`_row`, where what it cannot do with one document costs that document alone."""
    try:
        return _row(found, given, name)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        return Refused(str(found.get("uri") or name), "bad_row", f"{type(error).__name__}: {error}"[:500], found.get("offset"))


def _row(found: dict[str, Any], given: dict[str, Any], name: str) -> dict[str, Any] | Refused:
    """A document as a row of its shape: id, host, source, and what the part says of all its documents.

    The id is of the file's and the member's name as they are: two that differ only in what cannot be stored keep apart.
    """
    name, member, offset, fetched = found.get("file") or name, found.get("member"), found.get("offset"), found.get("fetched_at")
    source, place = f"{given['name']}/{name}", member if member is not None else offset
    uri = _clean(found.get("uri") or f"file:{source}" + (f"#{place}" if place is not None else ""))
    text = _clean(found["text"] or "")
    if not text.strip() or len(text) > MAX_TEXT:
        return Refused(uri, "too_large" if text.strip() else "no_text", f"{len(text)} characters", offset)
    where = {"path": name if member is None else f"{name}#{member}", **{key: found.get(key) for key in PLACING[2:]}}
    about = {key: _cleaned(value) for key, value in found.items() if key not in PLACING and key != "text"}
    captured = fetched.isoformat() if fetched else None
    return {
        **about, "doc_id": doc_id(source, uri, place, captured), "uri": uri, "host": _host(uri), "domain": given["domain"],
        "dump": about.get("dump") or given["dump"], "license": about.get("license") or given["license"],
        "origin_hash": origin_hash(text), "text": text, "media": about.get("media") or [],
        "modality": "text", "gen": None, "source": _cleaned(where),
    }  # fmt: skip


def _cleaned(value: Any) -> Any:
    """A value of a row with every string in it clean, however deep."""
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, dict):
        return {key: _cleaned(inner) for key, inner in value.items()}
    return [_cleaned(inner) for inner in value] if isinstance(value, list | tuple) else value


def _clean(said: str) -> str:
    """The same length of text, without what cannot be stored: spans that a reader made stay right."""
    try:
        raw = b"" if len(said) < 64 and said.isprintable() else said.encode()  # of ASCII five times as fast as a search, and nearly all is clean
    except UnicodeEncodeError:
        raw = b"\0"
    if len(raw.translate(None, CONTROL)) == len(raw):
        return said
    return UNCLEAN.sub(lambda found: "\ufffd" if found[0] >= "\ud800" else " ", said)


def _host(uri: str) -> str | None:
    """The host of a web address, lower-case, without port and user; None for other addresses, and for a library's."""
    try:
        parts = urlsplit(uri)
        host = parts.hostname if parts.scheme in ("http", "https", "ftp") else None
    except ValueError:
        return None
    name = (host or "").rstrip(".")
    return name if name and name not in LIBRARIES else None
