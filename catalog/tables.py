"""How an entry of the log becomes rows of the catalogue. Commit and rebuild both go through `apply`, and through nothing else."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from catalog.commits import Entry
from catalog.footers import Stat
from catalog.open_tables import add, insert

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def apply(db: "DuckDBPyConnection", entry: Entry, stats: Sequence[Stat]) -> None:
    """Write an entry's rows. `stats` are the column statistics of its new files (see `unread`)."""
    if entry["kind"] not in ("record", "snapshot"):
        return
    version = _snapshot(db, entry, stats) if entry["kind"] == "snapshot" else None
    _run(db, entry)
    add(db, entry["tables"], entry["run"], entry["published"])
    insert(
        db, "publication", ["number", "key", "kind", "dataset", "version", "run", "published"],
        [(entry["number"], entry["key"], entry["kind"], entry.get("dataset"), version, entry["run"], entry["published"])],
    )  # fmt: skip


def _run(db: "DuckDBPyConnection", entry: Entry) -> None:
    """Say who published. What the entry's own rows say of the run is added by the open tables."""
    given = entry["tables"].get("run", {"columns": {}, "rows": []})
    parts = [dict(zip(given["columns"], row, strict=True)).get("part") for row in given["rows"]] or [entry.get("dataset")]
    held = {part for (part,) in db.execute("SELECT part FROM run WHERE run = ?", [entry["run"]]).fetchall()}
    rows = [{**entry["by"], "part": part, "recipe": entry.get("owner"), "started": entry["published"]} for part in parts if part not in held]
    columns = {"user_name": "", "host": "", "git_commit": "", "part": "", "recipe": "", "started": ""}
    if rows and entry["run"]:
        add(db, {"run": {"columns": columns, "rows": [[row[c] for c in columns] for row in rows]}}, entry["run"], entry["published"])


def unread(db: "DuckDBPyConnection", entry: Entry) -> list[str]:
    """Return the files of an entry whose footers are not yet in `column_stat`."""
    paths = [path for file in entry.get("files", []) for path in (file["path"], *(about[1] for about in file["about"]))]
    if not paths:
        return []
    held = {
        path
        for (path,) in db.execute(
            "SELECT path FROM data_file WHERE path IN (SELECT unnest($1)) UNION ALL SELECT path FROM annotation WHERE path IN (SELECT unnest($1))",
            [paths],
        ).fetchall()
    }
    return [path for path in paths if path not in held]


def _snapshot(db: "DuckDBPyConnection", entry: Entry, stats: Sequence[Stat]) -> int:
    """Write a snapshot and all that hangs on it; return its version."""
    dataset = entry["dataset"]
    row = db.execute("SELECT head FROM dataset WHERE dataset = ?", [dataset]).fetchone()
    parent = int(row[0]) if row else None
    version, append = (parent or 0) + 1, entry["mode"] == "append" and parent is not None
    _head(db, entry, parent, version)
    _totals(db, entry, parent, version, append)
    _files(db, entry, stats)
    _members(db, entry, version, append)
    _funnel(db, entry, parent, version, append)
    insert(db, "lineage", ["dataset", "version", "source", "source_version", "run"], [(dataset, version, *edge, entry["run"]) for edge in entry["lineage"]])
    insert(
        db, "policy", ["dataset", "version", "place", "name", "family", "digest", "body"],
        [(dataset, version, i, p["name"], p["family"], p["digest"], p["body"]) for i, p in enumerate(entry["policies"])],
    )  # fmt: skip
    insert(db, "metric", ["dataset", "version", "run", "name", "value"], [(dataset, version, entry["run"], *m) for m in entry["metrics"].items()])
    if entry["quarantine"]:
        insert(db, "quarantine_file", ["dataset", "version", "path", "rows"], [(dataset, version, *entry["quarantine"])])
    insert(db, "locator", ["path", "rows"], [tuple(written) for written in entry["locator"]])
    if entry.get("merged"):
        into, old = entry["merged"]
        db.execute("DELETE FROM locator WHERE path IN (SELECT unnest(?))", [old])
        insert(db, "locator", ["path", "rows"], [tuple(into)])
    return version


def _head(db: "DuckDBPyConnection", entry: Entry, parent: int | None, version: int) -> None:
    if parent is None:
        columns = ["dataset", "shape", "owner", "head", "created"]
        insert(db, "dataset", columns, [(entry["dataset"], entry["shape"], entry["owner"], version, entry["published"])])
    else:
        db.execute(
            "UPDATE dataset SET head = ?, shape = ?, owner = ? WHERE dataset = ?", [version, entry["shape"], entry["owner"], entry["dataset"]]
        )


COUNTS = ("files", "rows", "kept", "bytes", "tokens")


def _totals(db: "DuckDBPyConnection", entry: Entry, parent: int | None, version: int, append: bool) -> None:
    counts = [entry["totals"][name] for name in COUNTS]
    if append:
        held = db.execute(f"SELECT {', '.join(COUNTS)} FROM snapshot WHERE dataset = ? AND version = ?", [entry["dataset"], parent]).fetchone()
        assert held is not None, "a head has a snapshot"
        counts = [a + b for a, b in zip(counts, held, strict=True)]
    insert(
        db, "snapshot",
        ["dataset", "version", "key", "parent", "shape", "owner", "mode", "run", "created", *COUNTS, "sample_below"],
        [(entry["dataset"], version, entry["key"], parent, entry["shape"], entry["owner"], entry["mode"], entry["run"], entry["published"],
          *counts, None if entry["below"] is None else str(entry["below"]))],
    )  # fmt: skip


def _files(db: "DuckDBPyConnection", entry: Entry, stats: Sequence[Stat]) -> None:
    """Register what is not registered yet."""
    fields, new = entry["fields"], set(unread(db, entry))
    data = [(f["path"], f["id"], f["rows"], f["bytes"], f["ids"], fields[f["fields"]]) for f in entry["files"] if f["path"] in new]
    about = [
        (path, f["id"], family, address, stage, rows, fields[number])
        for f in entry["files"] for family, path, address, stage, rows, number in f["about"] if path in new
    ]  # fmt: skip
    parts = [(path, entry["dataset"], *rest, fields[number]) for path, *rest, number in entry["samples"]]
    held = {path for (path,) in db.execute("SELECT path FROM sample").fetchall()}
    insert(db, "data_file", ["path", "id", "rows", "bytes", "ids", "fields"], data)
    insert(db, "annotation", ["path", "file", "family", "address", "stage", "rows", "fields"], about)
    columns = ["path", "dataset", "part", "family", "rows", "files", "below", "fields"]
    insert(db, "sample", columns, [(*row[:6], None if row[6] is None else str(row[6]), row[7]) for row in parts if row[0] not in held])
    insert(db, "column_stat", ["path", "name", "low", "high", "nulls"], [stat for stat in stats if stat[0] in new])


def _members(db: "DuckDBPyConnection", entry: Entry, version: int, append: bool) -> None:
    """Say which files the version has. What is the same as in the version before stays one row."""
    dataset, start = entry["dataset"], {"data": 0, "sample": 0}
    if append:
        for kind, most in db.execute("SELECT kind, max(place) FROM member WHERE dataset = ? AND removed IS NULL GROUP BY kind", [dataset]).fetchall():
            start[kind] = most + 1
    rows = [("data", f["path"], start["data"] + i) for i, f in enumerate(entry["files"])]
    rows += [("annotation", about[1], i) for f in entry["files"] for i, about in enumerate(f["about"])]
    order = list(dict.fromkeys(part for _, part, *_ in entry["samples"]))
    rows += [("sample", path, start["sample"] + order.index(part)) for path, part, *_ in entry["samples"]]
    kinds, paths, places = zip(*rows, strict=True) if rows else ((), (), ())
    types = (("kind", pa.string(), kinds), ("path", pa.string(), paths), ("place", pa.int32(), places))
    db.register("wanted", pa.table({name: pa.array(list(values), kind) for name, kind, values in types}))
    same = "m.kind = w.kind AND m.path = w.path AND m.place = w.place"
    live = "m.dataset = ? AND m.removed IS NULL"
    if not append:
        db.execute(f"UPDATE member AS m SET removed = ? WHERE {live} AND NOT EXISTS (SELECT 1 FROM wanted AS w WHERE {same})", [version, dataset])
    db.execute(
        f"INSERT INTO member SELECT ?, w.kind, w.path, w.place, ?, NULL FROM wanted AS w "
        f"WHERE NOT EXISTS (SELECT 1 FROM member AS m WHERE {live} AND {same})",
        [dataset, version, dataset],
    )
    db.unregister("wanted")


def _funnel(db: "DuckDBPyConnection", entry: Entry, parent: int | None, version: int, append: bool) -> None:
    """Write the funnel of the version; of an append, with what came before."""
    columns = ["dataset", "version", "run", "part", "place", "step", "reason", "domain", "documents", "bytes", "tokens"]
    rows = [(r["dataset"], version, entry["run"], r["part"], r["place"], *(r[c] for c in columns[5:])) for r in entry["funnel"]]
    insert(db, "funnel_step", columns, rows)
    if append:
        mine = "(dataset = ? OR starts_with(dataset, ?))"
        at = [entry["dataset"], f"{entry['dataset']}/"]
        db.execute(
            f"INSERT INTO funnel_step SELECT dataset, ?, ?, part, place, step, reason, domain, sum(documents), sum(bytes), sum(tokens) "
            f"FROM funnel_step WHERE {mine} AND version IN (?, ?) GROUP BY ALL",
            [-version, entry["run"], *at, version, parent],
        )
        db.execute(f"DELETE FROM funnel_step WHERE {mine} AND version = ?", [*at, version])
        db.execute(f"UPDATE funnel_step SET version = ? WHERE {mine} AND version = ?", [version, *at, -version])
