"""Tables that other rooms fill: runs, mixtures, training, models, evaluation. Columns come with the first row that has them.

Rows are dicts. A column's type is that of its values (BOOLEAN, BIGINT, DOUBLE, TIMESTAMP, else VARCHAR; dicts and lists as JSON
text); a new key is a new column, null in earlier rows. Every row carries `run` and `recorded`.
"""

import json
import re
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from catalog.errors import LakeError, near

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

OPEN = (
    "run", "task", "metric", "mixture", "mixture_source", "train_run", "train_metric", "consumption", "checkpoint", "model", "eval_result",
    "ablation", "ablation_result", "contamination", "mixture_contamination", "histogram", "tag", "model_alias", "label", "takedown",
)  # fmt: skip
"""The tables that rows may be recorded in. Those that the catalogue counts itself (snapshot, data_file ...) are not among them."""

KEYS = {"run": ("run", "part"), "train_run": ("run",)}
"""Tables where a row with the same key adds to the earlier one: what is known of a run grows."""

REPLACED = {"label": ("label_set", "doc_id", "labeller")}
"""Tables where a row takes the place of the earlier ones with its key: whoever labels a document again has thought better of it."""

DECLARED = {
    "label": {
        "dataset": "VARCHAR", "doc_id": "VARCHAR", "label": "VARCHAR", "reason": "VARCHAR", "label_set": "VARCHAR", "labeller": "VARCHAR",
        "labelled": "TIMESTAMP",
    }
}  # fmt: skip
"""Columns that a table has from its first row on, also where no row fills them yet: who trains from it names them."""

FIXED = {"run", "metric"}
"""Tables that the migrations make: they have no column `recorded`."""

FILLERS = {
    "a part that publishes no dataset is done (quality, mix, train, eval), and a part adopted or forced": ("task",),
    "a mix: part is done": ("mixture", "mixture_source"),
    "a train: part is done": ("train_run", "train_metric", "checkpoint"),
    "a train: or quality: part or headrace train-quality is done": ("model", "consumption"),
    "an eval: or quality: part is done": ("eval_result",),
    "a part of curate: with contamination.spans is done": ("contamination",),
    "a mix: part of documents that contamination.spans looked at is done": ("mixture_contamination",),
    "headrace ablate A B is done": ("ablation", "ablation_result"),
    "a program records rows in it with Lake.record": ("histogram", "tag", "model_alias", "takedown"),
}
FILLED = {name: f"nothing is recorded in the table {name} of this lake yet; it is there once {what}" for what, names in FILLERS.items() for name in names} | {
    "label": "nobody has labelled a document of this lake yet, so there is no table label: headrace label DATASET"
}
"""What is said of a table of OPEN that a question names before its first row: until then it does not exist."""

Typed = dict[str, dict[str, Any]]


def typed(tables: dict[str, list[dict[str, Any]]]) -> Typed:
    """Return rows as plain data with a type for each column, ready for the log. Raises LakeError for an unknown table."""
    found: Typed = {}
    for name, rows in tables.items():
        if name not in OPEN:
            raise LakeError(f"the lake has no open table {name!r}{near(name, OPEN)}")
        columns = list(dict.fromkeys(key for row in rows for key in row))
        for column in columns:
            if not re.fullmatch(r"[a-z][a-z0-9_]*", column):
                raise LakeError(f"{name}: {column!r} is not a column's name; use lower-case letters, digits and _")
        types = {column: _type([row.get(column) for row in rows]) for column in columns}
        known = sorted(column for column in columns if types[column])  # the log sorts keys: rows must stand in that order too
        found[name] = {"columns": {c: types[c] for c in known}, "rows": [[_plain(row.get(c), types[c]) for c in known] for row in rows]}
    return {name: table for name, table in found.items() if table["rows"]}


def _type(values: list[Any]) -> str | None:
    kinds = {_kind(_item(value)) for value in values if value is not None}
    if not kinds:
        return None
    if kinds == {"BIGINT", "DOUBLE"}:
        return "DOUBLE"
    return kinds.pop() if len(kinds) == 1 else "VARCHAR"


def _kind(value: Any) -> str:
    for kind, name in ((bool, "BOOLEAN"), (int, "BIGINT"), (float, "DOUBLE"), (datetime, "TIMESTAMP")):
        if isinstance(value, kind):
            return name
    return "VARCHAR"


def _item(value: Any) -> Any:
    """A numpy scalar as the Python value that it is."""
    return value.item() if hasattr(value, "item") and not isinstance(value, str | bytes) else value


def _plain(value: Any, kind: str | None) -> Any:
    """A value as JSON holds it; in a VARCHAR column everything is text."""
    value = _item(value)
    if value is None or (isinstance(value, bool | int | float) and kind != "VARCHAR"):
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    return json.dumps(value, sort_keys=True, default=str) if isinstance(value, dict | list | tuple) else str(value)


def add(db: "DuckDBPyConnection", tables: Typed, run: str, recorded: str) -> None:
    """Add the rows of an entry, making tables and columns that are not there."""
    for name, table in tables.items():
        columns = {"run": "VARCHAR", **({} if name in FIXED else {"recorded": "TIMESTAMP"}), **DECLARED.get(name, {}), **table["columns"]}
        rows = [{"run": run, "recorded": recorded, **dict(zip(table["columns"], row, strict=True))} for row in table["rows"]]
        _ensure(db, name, columns)
        if name in KEYS:
            rows = [_merged(db, name, row) for row in rows]
            columns = dict.fromkeys((column for row in rows for column in row), "")
        if name in REPLACED:
            rows = _latest(db, name, rows)
        listed = [column for column in columns if name not in FIXED or column != "recorded"]
        insert(db, name, listed, [[row.get(column) for column in listed] for row in rows])


def _ensure(db: "DuckDBPyConnection", name: str, columns: dict[str, str]) -> None:
    db.execute(f"CREATE TABLE IF NOT EXISTS {name} (run VARCHAR, recorded TIMESTAMP)")
    held = {row[0]: row[1] for row in db.execute(f"DESCRIBE {name}").fetchall()}
    for column, kind in columns.items():
        if column not in held:
            db.execute(f'ALTER TABLE {name} ADD COLUMN "{column}" {kind}')
        elif held[column] != kind and kind in ("DOUBLE", "VARCHAR") and held[column] in ("BIGINT", "BOOLEAN", "DOUBLE"):
            db.execute(f'ALTER TABLE {name} ALTER COLUMN "{column}" TYPE {kind}')


def _merged(db: "DuckDBPyConnection", name: str, row: dict[str, Any]) -> dict[str, Any]:
    """Remove the earlier row with this row's key and return both as one: what the new one says counts."""
    where = " AND ".join(f'"{key}" IS NOT DISTINCT FROM ?' for key in KEYS[name])
    key = [row.get(k) for k in KEYS[name]]
    found = db.execute(f"SELECT * FROM {name} WHERE {where}", key)
    names, earlier = [d[0] for d in found.description or ()], found.fetchone()
    if earlier is None:
        return row
    db.execute(f"DELETE FROM {name} WHERE {where}", key)
    before = {column: _plain(value, None) for column, value in zip(names, earlier, strict=True)}
    return {**before, **{column: value for column, value in row.items() if value is not None}}


def _latest(db: "DuckDBPyConnection", name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Remove the earlier rows with the keys of these, and return the last of these for each key."""
    keys = REPLACED[name]
    last = {tuple(row.get(key) for key in keys): row for row in rows}
    db.register("incoming", pa.table({key: pa.array([at[i] for at in last], pa.string()) for i, key in enumerate(keys)}))
    same = " AND ".join(f'i."{key}" IS NOT DISTINCT FROM {name}."{key}"' for key in keys)
    db.execute(f"DELETE FROM {name} WHERE EXISTS (SELECT 1 FROM incoming AS i WHERE {same})")
    db.unregister("incoming")
    return list(last.values())


FEW = 2000
"""Values that go as parameters; for more, registering a table pays."""


def insert(db: "DuckDBPyConnection", name: str, columns: list[str], rows: list[Any]) -> None:
    """Insert rows in one statement: row by row is a hundred times slower."""
    if not rows:
        return
    listed = ", ".join(f'"{column}"' for column in columns)
    if len(rows) * len(columns) <= FEW:
        places = ", ".join(["(" + ", ".join("?" * len(columns)) + ")"] * len(rows))
        db.execute(f"INSERT INTO {name} ({listed}) VALUES {places}", [value for row in rows for value in row])
        return
    values = list(zip(*rows, strict=True))
    db.register("incoming", pa.table({column: pa.array(list(values[i])) for i, column in enumerate(columns)}))
    db.execute(f"INSERT INTO {name} ({listed}) SELECT {listed} FROM incoming")
    db.unregister("incoming")
