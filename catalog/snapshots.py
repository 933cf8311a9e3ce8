"""Datasets and their versions as the catalogue's rows say, and what the names `corpus@v3` and `corpus/strict` mean."""

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from catalog.errors import LakeError, near
from catalog.files import Annotation, DataFile, Snapshot, verdict_family

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Columns = tuple[tuple[str, str], ...]


class Name(NamedTuple):
    """A snapshot's name, resolved. `policy` is None for a dataset's first policy."""

    dataset: str
    version: int
    policy: str | None


def resolve(db: "DuckDBPyConnection", name: str) -> Name:
    """Resolve `corpus`, `corpus@head`, `corpus@v3`, `corpus/strict`, `corpus/strict@v3`. Raises LakeError with the nearest name."""
    base, _, version = name.partition("@")
    dataset, _, policy = base.partition("/")
    heads = dict(db.execute("SELECT dataset, head FROM dataset").fetchall())
    if dataset not in heads:
        raise LakeError(f"the lake has no dataset {dataset!r}{near(dataset, heads)}")
    number = heads[dataset]
    if version not in ("", "head"):
        if not re.fullmatch(r"v[0-9]+", version) or not 1 <= int(version[1:]) <= number:
            raise LakeError(f"{base} has no version {version!r}; it has @v1 to @v{number}, the head")
        number = int(version[1:])
    if not policy:
        return Name(dataset, number, None)
    rows = db.execute("SELECT name FROM policy WHERE dataset = ? AND version = ? ORDER BY place", [dataset, number]).fetchall()
    names = [row[0] for row in rows]
    if policy not in names:
        raise LakeError(f"{dataset}@v{number} has no policy {policy!r}{near(policy, names)}")
    return Name(dataset, number, None if policy == names[0] else policy)


def load(db: "DuckDBPyConnection", root: str, name: Name) -> Snapshot:
    """Return one version of a dataset with all its files and annotations. Under `corpus/strict` that policy stands first."""
    dataset, version, policy = name
    row = db.execute(
        "SELECT key, parent, shape, owner, created, rows, kept, tokens FROM snapshot WHERE dataset = ? AND version = ?",
        [dataset, version],
    ).fetchone()
    assert row is not None, f"{dataset}@v{version} was resolved but is not there"
    key, parent, shape, owner, created, rows, kept, tokens = row
    lineage = db.execute(
        "SELECT source, source_version FROM lineage WHERE dataset = ? AND version = ? ORDER BY ALL", [dataset, version]
    ).fetchall()
    policies = [_policy(*found) for found in db.execute(POLICIES, [dataset, version]).fetchall()]
    policies.sort(key=lambda p: p["name"] != policy)
    if policy is not None:
        kept, tokens = _kept(db, f"{dataset}/{policy}", version)
    files = data_files(db, root, dataset, version)
    return Snapshot(
        dataset, version, key, parent, shape, owner, files, tuple(policies), created, rows, kept, tokens, tuple(lineage), root
    )


POLICIES = "SELECT name, family, digest, body FROM policy WHERE dataset = ? AND version = ? ORDER BY place"


def _policy(name: str, family: str, digest: str, body: str) -> dict[str, Any]:
    return {**json.loads(body), "name": name, "family": family, "digest": digest}


def _kept(db: "DuckDBPyConnection", label: str, version: int) -> tuple[int, int]:
    found = db.execute(
        "SELECT coalesce(sum(documents), 0), coalesce(sum(tokens), 0) FROM funnel_step WHERE dataset = ? AND version = ? AND step = 'kept'",
        [label, version],
    ).fetchone()
    return (int(found[0]), int(found[1])) if found else (0, 0)


LIVE = "m.dataset = ? AND m.added <= ? AND (m.removed IS NULL OR m.removed > ?)"


def data_files(db: "DuckDBPyConnection", root: str, dataset: str, version: int, path: str | None = None) -> tuple[DataFile, ...]:
    """Return the data files of a version in catalogue order (or the one at `path`), each with its annotations."""
    at: list[Any] = [dataset, version, version]
    one = " AND f.path = ?" if path else ""
    files = db.execute(
        f"SELECT f.id, f.path, f.rows, f.bytes, f.ids, f.fields FROM member m JOIN data_file f ON f.path = m.path "
        f"WHERE m.kind = 'data' AND {LIVE}{one} ORDER BY m.place",
        [*at, *([path] if path else [])],
    ).fetchall()
    about = db.execute(
        f"SELECT a.file, a.family, a.path, a.address, a.stage, a.rows, a.fields FROM member m JOIN annotation a ON a.path = m.path "
        f"WHERE m.kind = 'annotation' AND {LIVE}{' AND a.file = ?' if path else ''} ORDER BY m.place, a.family",
        [*at, *([files[0][0]] if path and files else [""] if path else [])],
    ).fetchall()
    beside: dict[str, list[Annotation]] = {}
    for file, family, place, address, stage, rows, text in about:
        beside.setdefault(file, []).append(Annotation(family, place, address, stage, rows, fields(text)))
    return tuple(
        DataFile(id, place, rows, size, ids, root, tuple(beside.get(id, ())), fields(text))
        for id, place, rows, size, ids, text in files
    )


def sample_files(db: "DuckDBPyConnection", root: str, dataset: str, version: int) -> tuple[DataFile, ...]:
    """Return a version's sample as data files with annotations beside them, part by part."""
    parts: dict[str, DataFile] = {}
    for path, part, family, rows, _, _, columns in sample_parts(db, dataset, version):
        if family is None:
            parts[part] = DataFile(part, path, rows, 0, "", root, (), columns)
        else:
            about = (*parts[part].annotations, Annotation(family, path, "", "sample", rows, columns))
            parts[part] = replace(parts[part], annotations=about)
    return tuple(parts.values())


def sample_parts(db: "DuckDBPyConnection", dataset: str, version: int) -> list[tuple[Any, ...]]:
    """Return a version's sample files as rows: path, part, family, rows, files, below, fields."""
    found = db.execute(
        f"SELECT s.path, s.part, s.family, s.rows, s.files, s.below, s.fields FROM member m JOIN sample s ON s.path = m.path "
        f"WHERE m.kind = 'sample' AND {LIVE} ORDER BY m.place, s.family NULLS FIRST",
        [dataset, version, version],
    ).fetchall()
    return [(*row[:6], fields(row[6])) for row in found]


def sample_below(db: "DuckDBPyConnection", dataset: str, version: int) -> int | None:
    """Return the hash that every sampled row stays under, or None where the sample holds all rows."""
    row = db.execute("SELECT sample_below FROM snapshot WHERE dataset = ? AND version = ?", [dataset, version]).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def holding(db: "DuckDBPyConnection", path: str) -> list[tuple[str, int]]:
    """Return the datasets whose head holds a data file, with the head's version."""
    return db.execute(
        "SELECT d.dataset, d.head FROM member m JOIN dataset d ON d.dataset = m.dataset "
        "WHERE m.kind = 'data' AND m.removed IS NULL AND m.path = ? ORDER BY ALL",
        [path],
    ).fetchall()


_fields: dict[str, Columns] = {}


def fields(text: str) -> Columns:
    """Read a list of (name, type) pairs. Ten thousand files share a handful of them, so each is read once."""
    if text not in _fields:
        _fields[text] = tuple((str(name), str(kind)) for name, kind in json.loads(text))
    return _fields[text]


def verdict_of(snapshot: Snapshot) -> str:
    """Return the family that decides what `data.` shows of a snapshot."""
    return str(snapshot.policies[0].get("family")) if snapshot.policies else verdict_family(None)
