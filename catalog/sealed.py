"""The sealed child: one statement over one catalogue, with nothing else in reach. Run by `catalog.query`, never by hand.

read_only is no sandbox: a read-only connection still writes files by COPY and reads any file by read_text. So:

1. The gate. One statement, SELECT or EXPLAIN of a SELECT. It keeps out COPY, EXPORT, ATTACH, INSTALL, SET, PRAGMA, CREATE:
   the engine would let COPY write into the folders that the views read.
2. The engine's seal. No file but the catalogue and the data and annotation folders, no extension, no network, no setting.
3. The process. Address space, core dumps and spill space are bounded; it dies with its parent.
"""

import json
import re
import resource
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa

from catalog.lake import connect
from catalog.process import die_with_parent
from catalog.versions import one_line

ROWS = 8192
"""Rows a batch of the stream."""

SPARE = 1 << 30
"""Bytes of address space over the engine's own limit: code, stacks, and what is on its way out."""

STARTS = ("select", "with", "from", "values", "describe", "desc", "summarize", "show", "table", "(")
FIRST = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*(\(|[a-z]+)", re.IGNORECASE | re.DOTALL)
EXPLAIN = re.compile(r"\s*explain\s+(?:analyze\s+)?(?=\(|[a-z])", re.IGNORECASE)
"""No comment between EXPLAIN and its SELECT: what follows is parsed on its own, and must begin where the engine's parser begins it."""

LOADERS = {
    ".parquet": "read_parquet", ".csv": "read_csv", ".tsv": "read_csv", ".json": "read_json", ".jsonl": "read_json",
}  # fmt: skip


class Refused(Exception):
    """The statement may not run. The text is one line for the user."""


def statements(db: Any, sql: str) -> list[str]:
    """Return the kind of each statement in a text: SELECT, EXPLAIN, COPY ..."""
    return [statement.type.name for statement in db.extract_statements(sql)]


def gate(db: Any, sql: str) -> None:
    """Refuse whatever is not exactly one SELECT, or EXPLAIN of one. `db` is sealed: some PRAGMAs read files when parsed."""
    found = statements(db, sql)
    if len(found) != 1:
        raise Refused(f"give one statement, not {len(found)}: a SELECT, or EXPLAIN and a SELECT")
    kind, inner = found[0], sql
    if kind == "EXPLAIN":
        explained = EXPLAIN.match(sql)
        inner = sql[explained.end() :] if explained else ""
        within = statements(db, inner)
        kind = within[0] if len(within) == 1 else kind
    first = FIRST.match(inner)
    if kind != "SELECT" or first is None or first[1].lower() not in STARTS:
        word = kind if kind != "SELECT" or first is None else first[1].upper()
        raise Refused(f"only one SELECT, or EXPLAIN and one SELECT, runs here, not {word}")


def seal(db: Any, request: dict[str, Any]) -> None:
    """Load what was asked for, then close every door of the engine behind it."""
    db.execute(f"ATTACH {_quoted(request['catalogue'])} AS lake (READ_ONLY)")
    for name, path in request["tables"].items():
        loader = LOADERS[re.sub(r".*(\.[a-z]+)$", r"\1", path)]
        db.execute(f'CREATE TABLE "{name}" AS SELECT * FROM {loader}({_quoted(path)})')
    db.execute(f"SET memory_limit = '{request['memory'] // (1 << 20)}MiB'")
    db.execute(f"SET temp_directory = {_quoted(request['temp'])}")
    db.execute(f"SET max_temp_directory_size = '{request['disk'] // (1 << 20)}MiB'")
    db.execute(f"SET allowed_directories = [{', '.join(_quoted(folder) for folder in request['folders'])}]")
    if request.get("ledger"):  # what models have written, as far as it is sealed into Parquet
        db.execute(f"CREATE VIEW ledger AS SELECT * FROM read_parquet([{', '.join(_quoted(path) for path in request['ledger'])}], union_by_name = true)")
    db.execute("SET search_path = 'lake.main,memory.main'")
    if request["views"] or request["pinned"]:
        _versions(db, request["views"], "" if request["pinned"] else request["sql"])
    db.execute("SET enable_external_access = false")
    db.execute("SET lock_configuration = true")


def _versions(db: Any, views: list[list[str]], sql: str) -> None:
    """Make views of older versions beside the heads that are named in `sql`: a schema is looked up in one database, so all go into one."""
    held = db.execute(
        "SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = 'lake' AND schema_name IN ('data', 'audit', 'sample', 'stats')"
    ).fetchall()
    db.execute("USE memory.main")
    for schema in ("data", "audit", "sample", "stats"):
        db.execute(f"CREATE SCHEMA {schema}")
    for schema, name in (view for view in held if view[1] in sql):
        db.execute(f'CREATE VIEW {schema}."{name}" AS SELECT * FROM lake.{schema}."{name}"')
    for schema, name, select in views:
        db.execute(f'CREATE VIEW {schema}."{name}" AS {select}')
    db.execute("SET search_path = 'memory.main,lake.main'")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def bound(memory: int) -> None:
    """Bound this process: what it has mapped by now, the engine's limit, and some to spare."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) if sys.platform == "linux" else 0
    limit = pages * resource.getpagesize() + memory + SPARE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def answer(db: Any, request: dict[str, Any]) -> None:
    """Run the statement and write its rows to stdout as an Arrow stream."""
    bound(request["memory"])
    seal(db, request)
    gate(db, request["sql"])
    rows = db.execute(request["sql"]).to_arrow_reader(ROWS)
    with pa.ipc.new_stream(sys.stdout.buffer, rows.schema) as out:
        for batch in rows:
            out.write_batch(batch)
    sys.stdout.buffer.flush()


def main() -> int:
    """Read one request from stdin; say an error as one line of JSON on stderr."""
    die_with_parent()
    request = json.loads(sys.stdin.buffer.read())
    try:
        answer(connect(threads=request["threads"]), request)
    except Refused as error:
        line = str(error)
    except (MemoryError, pa.ArrowMemoryError):
        line = f"needed more than {request['memory'] / (1 << 30):.1f} GiB of memory; narrow it, or raise HEADRACE_SQL_GIB"
    except BrokenPipeError:
        return 1
    except Exception as error:  # whatever the engine raises is the query's own fault: one line, never a traceback
        line = one_line(error)
    else:
        return 0
    print(json.dumps({"error": line}), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
