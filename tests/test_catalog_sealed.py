"""Sealed SQL: what a question may do, what it may touch, what it may cost."""

import os
import subprocess
import time

import duckdb
import pyarrow.parquet as pq
import pytest

from catalog import sealed
from catalog.errors import QueryError
from catalog.lake import Lake, connect
from catalog.open_tables import FIXED, OPEN
from catalog.query import GIB, Limits, save
from catalog.versions import one_line
from tests.catalog_making import data_file, draft, judge


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    with Lake.open(tmp_path_factory.mktemp("sealed") / "lake", create=True) as made:
        made.commit(draft([judge(data_file(made.root, "web", "a", 2000), "web")]))
        yield made


WRITES = [
    "COPY (SELECT 1) TO '{data}/x.parquet'",
    "COPY data.web TO '{data}/x.csv'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{data}/x.parquet'",
    "explain analyze /* /* */ select ' */ copy (select 1) to '{data}/x.csv' --'",
    "EXPLAIN /* c */ COPY (SELECT 1) TO '{data}/x.csv'",
    "EXPORT DATABASE '{data}/x'",
    "EXPLAIN EXPORT DATABASE '{data}/x'",
    "CREATE TABLE x AS SELECT 1",
    "CREATE OR REPLACE VIEW data.web AS SELECT 1",
    "INSERT INTO run VALUES ('x')",
    "DELETE FROM snapshot",
    "DROP VIEW data.web",
    "ATTACH '{data}/x.duckdb' AS x",
    "ATTACH '/tmp/x.duckdb'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET memory_limit = '100GB'",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "PRAGMA database_list",
    "PRAGMA import_database('{data}')",
    "PRAGMA enable_profiling",
    "CALL pragma_version()",
    "VACUUM",
    "CHECKPOINT",
    "USE memory",
    "BEGIN",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DESCRIBE (COPY (SELECT 1) TO '{data}/x.csv')",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY (SELECT 1) TO '{data}/x.csv'",
    "",
    "-- nothing",
    "WITH x AS (INSERT INTO run VALUES ('x') RETURNING *) SELECT * FROM x",
    "SELECT * FROM query('COPY (SELECT 1) TO ''{data}/x.csv''')",
]


@pytest.fixture(scope="module")
def sealed_db(lake, tmp_path_factory):
    """A connection as the child seals it, here, so that a hundred attacks take a second."""
    folders = [str(lake.root / folder) for folder in ("data", "annotations")]
    spill = str(tmp_path_factory.mktemp("spill"))
    request = {"catalogue": str(lake.catalogue), "tables": {}, "views": [], "pinned": False, "memory": GIB, "disk": GIB, "temp": spill, "folders": folders}
    db = connect()
    sealed.seal(db, request)
    yield db
    db.close()


@pytest.mark.parametrize("sql", WRITES)
def test_only_a_select_passes_the_gate(lake, sealed_db, sql):
    before = sorted(str(p) for p in lake.root.rglob("*"))
    with pytest.raises((sealed.Refused, duckdb.Error)):
        text = sql.replace("{data}", str(lake.root / "data"))
        sealed.gate(sealed_db, text)
        sealed_db.execute(text)
    assert sorted(str(p) for p in lake.root.rglob("*")) == before


@pytest.mark.parametrize("sql", [WRITES[0], WRITES[2], WRITES[3], "PRAGMA database_list", "SELECT 1; SELECT 2", "-- nothing"])
def test_a_refusal_is_one_line(lake, sql):
    with pytest.raises(QueryError, match=r"^sql: [^\n]*$"):
        lake.query(sql.replace("{data}", str(lake.root / "data")))
    assert not (lake.root / "data" / "x.parquet").exists() and not (lake.root / "data" / "x.csv").exists()


FOREIGN = [
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM read_text('{data}/../CURRENT')",
    "SELECT * FROM read_text('{data}/../../../../../../../../etc/passwd')",
    "SELECT * FROM read_json('{root}/commits/1.json')",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM glob('{root}/*')",
    "SELECT * FROM parquet_metadata('/tmp/x.parquet')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM read_parquet('https://example.org/x.parquet')",
    "SELECT getenv('PATH')",
    "SELECT * FROM request",
    "EXPLAIN ANALYZE SELECT * FROM read_text('/etc/passwd')",
]


@pytest.mark.parametrize("sql", FOREIGN)
def test_nothing_outside_the_lake_is_read(lake, sealed_db, sql):
    with pytest.raises(duckdb.Error):
        text = sql.replace("{data}", str(lake.root / "data")).replace("{root}", str(lake.root))
        sealed.gate(sealed_db, text)
        sealed_db.execute(text)


@pytest.mark.parametrize("sql", FOREIGN[:2] + FOREIGN[-1:])
def test_nor_by_the_child(lake, sql):
    with pytest.raises(QueryError, match=r"^sql: [^\n]*file system operations are disabled|^sql: [^\n]*does not exist"):
        lake.query(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "  /* c */ -- d\n WITH x AS (SELECT 1 AS n) SELECT * FROM x;",
        "FROM data.web SELECT count(*)",
        "EXPLAIN SELECT * FROM data.web",
        "explain analyze select count(*) from data.web",
        "DESCRIBE data.web",
        "SUMMARIZE SELECT domain FROM data.web",
        "SHOW TABLES",
        "VALUES (1)",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "SELECT * FROM funnel",
        "SELECT * FROM read_parquet('{data}/web/r1/*.parquet')",
    ],
)
def test_questions_are_answered(lake, sealed_db, sql):
    text = sql.replace("{data}", str(lake.root / "data"))
    sealed.gate(sealed_db, text)
    assert len(sealed_db.execute(text).fetchall()) >= 1


def test_errors_are_one_line_with_the_nearest_name(lake):
    with pytest.raises(QueryError, match=r'^sql: Catalog Error: Table with name wbe does not exist! Did you mean "web"\?$'):
        lake.query("SELECT * FROM data.wbe")
    with pytest.raises(QueryError, match=r'^sql: Binder Error: Referenced column "hots" not found in FROM clause! Candidate bindings: "host"'):
        lake.query("SELECT hots FROM data.web")
    with pytest.raises(QueryError, match='^sql: Parser Error: syntax error at or near "SELEC"$'):
        lake.query("SELEC 1")


def test_memory_is_bounded(lake):
    small = Limits(memory=GIB // 4, seconds=60)
    for bomb in (
        "SELECT repeat('x', 4000000000)",
        "SELECT list(range(1000)) FROM range(100000000)",
        "SELECT string_agg(a.text || b.text, '') FROM data.web a, data.web b, data.web c",
    ):
        start = time.monotonic()
        with pytest.raises(QueryError, match="[Mm]emory|Out of Range"):
            lake.query(bomb, limits=small)
        assert time.monotonic() - start < 60


def test_time_is_bounded_and_nothing_is_left(lake):
    start = time.monotonic()
    with pytest.raises(QueryError, match="not done after 1 s and stopped; narrow it, or raise HEADRACE_SQL_SECONDS"):
        lake.query("SELECT count(*) FROM range(1000000000000) a WHERE hash(a.range) = 1", limits=Limits(seconds=1.0))
    assert time.monotonic() - start < 20
    mine = subprocess.run(["pgrep", "-P", str(os.getpid()), "-f", "catalog.sealed"], capture_output=True, text=True)
    assert mine.stdout == ""


def test_rows_are_streamed_and_may_be_left(lake):
    with lake.stream("SELECT range AS n FROM range(50000000)") as reader:
        first = reader.read_next_batch()
        assert first.num_rows > 0 and first.column(0)[0].as_py() == 0


def test_files_are_loaded_before_and_written_after_the_seal(lake, tmp_path):
    (tmp_path / "hosts.csv").write_text("host,weight\nh1.example,3\n")
    (tmp_path / "more.jsonl").write_text('{"host": "h2.example"}\n')
    tables = {"hosts": str(tmp_path / "hosts.csv"), "more": str(tmp_path / "more.jsonl")}
    sql = "SELECT w.host, sum(hosts.weight)::BIGINT AS n FROM data.web AS w JOIN hosts USING (host) WHERE host NOT IN (SELECT host FROM more) GROUP BY ALL"
    for out in ("out.parquet", "out.csv"):
        with lake.stream(sql, tables=tables) as reader:
            assert save(reader, str(tmp_path / out)) == 1
    kept = lake.query("SELECT count(*) AS n FROM data.web WHERE host = 'h1.example'")["n"][0].as_py()
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == [{"host": "h1.example", "n": 3 * kept}]
    assert (tmp_path / "out.csv").read_text().splitlines()[0] == '"host","n"'
    for wrong, said in (({"a b": "x.csv"}, "not a table's name"), ({"t": "nothing.csv"}, "no such file"), ({"t": __file__}, "cannot load .py")):
        with pytest.raises(QueryError, match=said):
            lake.query("SELECT 1", tables=wrong)
    with lake.stream("SELECT 1 AS one") as reader, pytest.raises(QueryError, match=r"name a \.parquet or \.csv file"):
        save(reader, str(tmp_path / "out.xlsx"))
    with pytest.raises(QueryError, match="x.example"), lake.stream("SELECT CAST(host AS INTEGER) FROM (SELECT 'x.example' AS host)") as reader:
        save(reader, str(tmp_path / "broken.csv"))
    assert not (tmp_path / "broken.csv").exists()


@pytest.mark.parametrize("name", sorted(set(OPEN) - FIXED))
def test_a_table_that_nothing_is_recorded_in_yet_says_what_fills_it(name):
    with pytest.raises(duckdb.Error) as error:
        duckdb.execute(f"SELECT count(*) FROM {name}")
    line = one_line(error.value)
    assert f"table {name}" in line and "yet" in line and "does not exist" not in line and "\n" not in line
