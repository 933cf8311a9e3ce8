"""The catalogue's tables, one function a change, in order. A catalogue records which it has had.

Add a change as the next function and at the end of MIGRATIONS; never edit one that was released. A catalogue that has had
more of them than this list was written by a newer headrace and is refused.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FIRST = """
CREATE SCHEMA data; CREATE SCHEMA audit; CREATE SCHEMA sample; CREATE SCHEMA stats;
CREATE TABLE migration (number INTEGER, name VARCHAR);
CREATE TABLE home (root VARCHAR);
CREATE TABLE publication (number BIGINT, key VARCHAR, kind VARCHAR, dataset VARCHAR, version INTEGER, run VARCHAR,
    published TIMESTAMP);
CREATE TABLE dataset (dataset VARCHAR, shape VARCHAR, owner VARCHAR, head INTEGER, created TIMESTAMP);
CREATE TABLE snapshot (dataset VARCHAR, version INTEGER, key VARCHAR, parent INTEGER, shape VARCHAR, owner VARCHAR, mode VARCHAR,
    run VARCHAR, created TIMESTAMP, files BIGINT, rows BIGINT, kept BIGINT, bytes BIGINT, tokens BIGINT, sample_below UBIGINT);
CREATE TABLE data_file (path VARCHAR, id VARCHAR, rows BIGINT, bytes BIGINT, ids VARCHAR, fields VARCHAR);
CREATE TABLE annotation (path VARCHAR, file VARCHAR, family VARCHAR, address VARCHAR, stage VARCHAR, rows BIGINT, fields VARCHAR);
CREATE TABLE member (dataset VARCHAR, kind VARCHAR, path VARCHAR, place INTEGER, added INTEGER, removed INTEGER);
CREATE TABLE column_stat (path VARCHAR, name VARCHAR, low VARCHAR, high VARCHAR, nulls BIGINT);
CREATE TABLE lineage (dataset VARCHAR, version INTEGER, source VARCHAR, source_version INTEGER, run VARCHAR);
CREATE TABLE policy (dataset VARCHAR, version INTEGER, place INTEGER, name VARCHAR, family VARCHAR, digest VARCHAR, body VARCHAR);
CREATE TABLE metric (dataset VARCHAR, version INTEGER, run VARCHAR, name VARCHAR, value DOUBLE);
CREATE TABLE funnel_step (dataset VARCHAR, version INTEGER, run VARCHAR, part VARCHAR, place INTEGER, step VARCHAR, reason VARCHAR,
    domain VARCHAR, documents BIGINT, bytes BIGINT, tokens BIGINT);
CREATE TABLE quarantine_file (dataset VARCHAR, version INTEGER, path VARCHAR, rows BIGINT);
CREATE TABLE sample (path VARCHAR, dataset VARCHAR, part VARCHAR, family VARCHAR, rows BIGINT, files BIGINT, below UBIGINT,
    fields VARCHAR);
CREATE TABLE locator (path VARCHAR, rows BIGINT);
CREATE TABLE run (run VARCHAR, part VARCHAR, recipe VARCHAR, user_name VARCHAR, host VARCHAR, git_commit VARCHAR, state VARCHAR,
    started TIMESTAMP, ended TIMESTAMP);
CREATE VIEW funnel AS
SELECT f.part, f.dataset, f.domain, f.step, f.reason, f.documents, f.bytes, f.tokens
FROM main.funnel_step AS f JOIN main.dataset AS d ON d.head = f.version AND d.dataset = split_part(f.dataset, '/', 1)
ORDER BY f.part, f.dataset, f.domain, f.place, f.documents DESC, f.reason;
"""
"""`member` says which data files, annotations and sample files a dataset has had: from version `added` up to, not including,
`removed` (null: still). `home.root` is where the absolute paths in the views point."""


def m001_first(db: "DuckDBPyConnection") -> None:
    """The tables of the first release."""
    db.execute(FIRST)


MIGRATIONS: tuple[Callable[["DuckDBPyConnection"], None], ...] = (m001_first,)


def level(db: "DuckDBPyConnection") -> int:
    """Return how many changes a catalogue has had."""
    return int((db.execute("SELECT max(number) FROM migration").fetchone() or (0,))[0])


def upgrade(db: "DuckDBPyConnection", have: int) -> None:
    """Apply the changes that a catalogue has not had yet; `have` is its level, 0 where it is empty."""
    for number in range(have + 1, len(MIGRATIONS) + 1):
        change = MIGRATIONS[number - 1]
        change(db)
        db.execute("INSERT INTO migration VALUES (?, ?)", [number, change.__name__])
