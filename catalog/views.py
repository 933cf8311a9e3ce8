"""The SQL of a dataset's views, as text.

Files with the same columns, families and struct fields form a group: one list of data files, one list of annotation files for
each family in the same order, side by side by POSITIONAL JOIN. Groups are put under each other by UNION ALL BY NAME. So a
reader opens one schema a list, whatever the number of files. The paths are absolute: relative ones depend on the reader's
folder, and the sealed connection refuses them.

    audit.<dataset>    every row, every family, `kept` and `reason`
    data.<dataset>     the rows that the first policy keeps
    sample.<dataset>   the same columns as audit, for the sample
    stats.<dataset>    documents, bytes, tokens by domain, language, host, license, kept, reason: read from verdicts alone
    funnel             documents, bytes, tokens after each step of each part that made a head, by domain
    quarantine         what the parts that made the heads could not read or judge
"""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from catalog.errors import LakeError, near
from catalog.files import DataFile, Snapshot
from catalog.snapshots import Name, load, sample_below, sample_files, verdict_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LOCATED = ("document", "chat", "pair", "judgement", "item")
"""The shapes whose rows are documents: they have a sample, a locator, and statistics by host."""

OURS = ("sample_key", "sample_file", "sample_row")
"""Columns that only the sample files have."""


def quoted(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def named(name: str) -> str:
    """Return a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def parquet(root: str, paths: Sequence[str]) -> str:
    """Return the table function over a list of files, in this order."""
    listed = ", ".join(quoted(os.path.join(root, path)) for path in paths)
    return f"read_parquet([{listed}], hive_partitioning = false)"


def groups(files: Sequence[DataFile]) -> list[list[DataFile]]:
    """Return files grouped by columns, families and struct fields, each group in catalogue order."""
    found: dict[object, list[DataFile]] = {}
    for file in files:
        families = tuple(sorted((a.family, a.columns) for a in file.annotations))
        found.setdefault((file.columns, families), []).append(file)
    return list(found.values())


def side_by_side(group: Sequence[DataFile], verdict: str) -> str:
    """Return the SELECT over one group: documents, families, `kept` and `reason`."""
    root, first = group[0].root, group[0]
    have = {name for name, _ in first.columns}
    judge = next((f"a{i}.{verdict}" for i, a in enumerate(first.annotations) if a.family == verdict), None)
    theirs = [name for name in ("kept", "reason") if judge and name in have]  # a writer's own columns give way to the verdict
    columns = [f"d.* EXCLUDE ({', '.join(theirs)})" if theirs else "d.*"]
    joins = [f"{parquet(root, [f.path for f in group])} AS d"]
    for i, annotation in enumerate(first.annotations):
        columns.append(f"a{i}.{named(annotation.family)}")
        joins.append(f"{parquet(root, [f.annotation(annotation.family).path for f in group])} AS a{i}")
    if judge:
        columns += [f"coalesce({judge}.kept, true) AS kept", f"{judge}.reason AS reason"]
    else:
        columns += [] if "kept" in have else ["true AS kept"]
        columns += [] if "reason" in have else ["CAST(NULL AS VARCHAR) AS reason"]
    return f"SELECT {', '.join(columns)} FROM {' POSITIONAL JOIN '.join(joins)}"


def audit(files: Sequence[DataFile], verdict: str) -> str:
    """Return the SELECT over every row of some files."""
    if not files:
        return "SELECT CAST(NULL AS VARCHAR) AS doc_id, true AS kept, CAST(NULL AS VARCHAR) AS reason WHERE false"
    return " UNION ALL BY NAME ".join(side_by_side(group, verdict) for group in groups(files))


def sampled(files: Sequence[DataFile], verdict: str, below: int | None) -> str:
    """Return the SELECT over the sample: the parts hold a little too much, `below` cuts it to one rate for all."""
    where = "" if below is None else f" WHERE sample_key < {below}"
    return f"SELECT * EXCLUDE ({', '.join(OURS)}) FROM ({audit(files, verdict)}){where}"


SUMS = "count(*) AS documents, CAST(sum(bytes) AS BIGINT) AS bytes, CAST(sum(tokens) AS BIGINT) AS tokens"
BY = ("domain", "language", "host", "license", "kept", "reason")


def stats(files: Sequence[DataFile], verdict: str, source: str) -> str:
    """Return the SELECT of statistics: from verdict files alone where there are some, else from the documents in `source`."""
    judged = [file for file in files if verdict in [a.family for a in file.annotations]]
    if files and len(judged) == len(files):
        paths = parquet(files[0].root, [file.annotation(verdict).path for file in files])
        rows = f"SELECT {', '.join(f'v.{verdict}.{name} AS {name}' for name in (*BY, 'bytes', 'tokens'))} FROM {paths} AS v"
    else:
        have = {name for file in files for name, _ in file.columns}
        columns = [_or_null(name, have) for name in BY[:4]] + ["kept", "reason"]
        size = "strlen(text)" if "text" in have else "CAST(NULL AS BIGINT)"
        rows = f"SELECT {', '.join(columns)}, {size} AS bytes, {size} // 4 AS tokens FROM {source}"
    return f"SELECT {', '.join(BY)}, {SUMS} FROM ({rows}) GROUP BY ALL"


def _or_null(name: str, have: set[str]) -> str:
    return name if name in have else f"CAST(NULL AS VARCHAR) AS {name}"


def statements(
    snapshot: Snapshot, label: str, verdict: str, sample: Sequence[DataFile], below: int | None
) -> Iterator[tuple[str, str, str]]:
    """Yield (schema, name, SELECT) of every view of a snapshot under the name `label`."""
    yield "audit", label, audit(snapshot.files, verdict)
    yield "data", label, f"SELECT * FROM audit.{named(label)} WHERE kept"
    yield "stats", label, stats(snapshot.files, verdict, f"audit.{named(label)}")
    if sample:
        yield "sample", label, sampled(sample, verdict, below)


def of_name(db: "DuckDBPyConnection", root: str, name: Name, label: str) -> list[tuple[str, str, str]]:
    """Return the views of one resolved name."""
    snapshot = load(db, root, name)
    sample = sample_files(db, root, name.dataset, name.version)
    below = sample_below(db, name.dataset, name.version)
    return list(statements(snapshot, label, verdict_of(snapshot), sample, below))


def whole(db: "DuckDBPyConnection", root: str, name: Name, schema: str) -> str:
    """Return the SELECT of one view of a resolved name with no reference to another view."""
    found = {at: select for at, _, select in of_name(db, root, name, "this")}
    if schema not in found:
        raise LakeError(f"{name.dataset} has no {schema}{near(schema, found)}")
    return found[schema].replace('audit."this"', f"({found['audit']})")


def of_head(db: "DuckDBPyConnection", root: str, dataset: str) -> list[tuple[str, str, str]]:
    """Return the views of a dataset's head: its own, and `<dataset>/<policy>` for each further policy."""
    row = db.execute("SELECT head FROM dataset WHERE dataset = ?", [dataset]).fetchone()
    assert row is not None, dataset
    policies = db.execute("SELECT name FROM policy WHERE dataset = ? AND version = ? ORDER BY place", [dataset, row[0]]).fetchall()
    found = of_name(db, root, Name(dataset, row[0], None), dataset)
    for (policy,) in policies[1:]:
        found += of_name(db, root, Name(dataset, row[0], policy), f"{dataset}/{policy}")
    return found


LIVE_QUARANTINE = """
SELECT q.path FROM quarantine_file AS q JOIN (
    SELECT dataset, max(version) AS start FROM snapshot WHERE mode = 'replace' OR version = 1 GROUP BY dataset
) AS s ON s.dataset = q.dataset AND q.version >= s.start ORDER BY q.dataset, q.version
"""

NO_QUARANTINE = """
SELECT CAST(NULL AS VARCHAR) AS dataset, CAST(NULL AS VARCHAR) AS run, CAST(NULL AS VARCHAR) AS uri, CAST(NULL AS VARCHAR) AS source,
    CAST(NULL AS VARCHAR) AS reason, CAST(NULL AS VARCHAR) AS exception,
    CAST(NULL AS BIGINT) AS record_offset WHERE false
"""


def quarantine(db: "DuckDBPyConnection", root: str) -> str:
    """Return the SELECT over what the parts behind the heads could not read or judge."""
    found = db.execute(LIVE_QUARANTINE).fetchall()
    paths = [path for (path,) in found if os.path.exists(os.path.join(root, path))]
    return f"SELECT * FROM {parquet(root, paths)}" if paths else NO_QUARANTINE


def rebuild(db: "DuckDBPyConnection", root: str, datasets: Sequence[str]) -> list[str]:
    """Make the views of these datasets, and the quarantine's, anew.

    Returns one line for each dataset whose files are not all there: that must not keep a lake from being rebuilt.
    """
    lines, wanted = [], [("main", "quarantine", quarantine(db, root))]
    for dataset in datasets:
        for schema, old in db.execute(HELD, [dataset, f"{dataset}/"]).fetchall():
            db.execute(f"DROP VIEW {schema}.{named(old)}")
        gone = missing(db, root, dataset)
        if gone:
            lines.append(f"{dataset}: {gone} is missing, so its views were not made; run its part again")
        else:
            wanted += of_head(db, root, dataset)
    for schema, name, select in wanted:
        db.execute(f"CREATE OR REPLACE VIEW {schema}.{named(name)} AS {select}")
    return lines


HELD = """
SELECT schema_name, view_name FROM duckdb_views()
WHERE NOT internal AND database_name = current_database() AND schema_name IN ('data', 'audit', 'sample', 'stats')
    AND (view_name = ? OR starts_with(view_name, ?))
"""


def missing(db: "DuckDBPyConnection", root: str, dataset: str) -> str | None:
    """Return a file of a dataset's head that is not on disk, if there is one."""
    paths = db.execute("SELECT path FROM member WHERE dataset = ? AND removed IS NULL", [dataset]).fetchall()
    return next((path for (path,) in paths if not os.path.exists(os.path.join(root, path))), None)
