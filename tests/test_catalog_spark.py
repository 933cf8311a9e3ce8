"""The door to Spark: what it refuses, narrow frames with row references, tasks whose results come while others run."""

import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from catalog.errors import InputError, SetupError, WorkError
from catalog.spark import frame, map_files, normal, session
from tests.spark_making import local_session

HERE = "tests.task_bodies"


def test_spark_connect_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for conf, master in (({}, "sc://host:15002"), ({"spark.remote": "sc://host"}, None)):
        with pytest.raises(SetupError, match=r"^sc://host\S*: Spark Connect has no RDDs.*classic master"):
            session(conf, master)
    monkeypatch.setenv("SPARK_REMOTE", "sc://other")
    with pytest.raises(SetupError, match="sc://other"):
        session()


def test_a_standalone_master_needs_its_secret() -> None:
    with pytest.raises(SetupError, match=r"spark://h:7077: .*spark.authenticate.secret.*spark.authenticate=false"):
        session({}, "spark://h:7077")


def test_no_java_is_said_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(SetupError, match="no Java: .*openjdk-17-jre-headless"):
        session()


def test_paths_have_one_form() -> None:
    assert normal("file:/a%20b/c%2525.parquet") == normal("file:///a%20b/c%2525.parquet") == "/a b/c%25.parquet" == normal("/a b/x/../c%25.parquet")
    assert normal("s3a://bucket/a%20b") == "s3a://bucket/a b"


@pytest.fixture(scope="module")
def spark() -> Any:
    return local_session()


@pytest.mark.spark
@pytest.mark.slow
def test_a_session_is_closed_to_others_and_narrow(spark: Any) -> None:
    conf = dict(spark.sparkContext.getConf().getAll())
    assert conf["spark.authenticate"] == "true" and conf["spark.ui.enabled"] == "false" and conf["spark.driver.host"] == "127.0.0.1"
    assert conf["spark.sql.parquet.outputTimestampType"] == "TIMESTAMP_MICROS"
    for name in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        assert conf[f"spark.executorEnv.{name}"] == "1"
    assert "spark.executorEnv.NUMBA_CACHE_DIR" in conf and "spark.executorEnv.PYSPARK_PYTHON" in conf
    from catalog import spark as door

    assert spark.range(3).select(door.F.sum("id")).first()[0] == 3


@pytest.mark.spark
def test_a_frame_refers_to_rows_whatever_files_are_called(spark: Any, tmp_path: Path) -> None:
    names = ["a b%20+é/k=1/f 0%.parquet", "[x]{y}*/f?.parquet", "plain.parquet"]
    paths = []
    for number, name in enumerate(names):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame({"doc_id": [f"{number}-{row}" for row in range(5)], "g": [{"n": row} for row in range(5)]}).write_parquet(path, row_group_size=2)
        paths.append(str(path))
    rows = frame(spark, paths, ["doc_id", "g.n AS n"]).collect()
    assert len(rows) == 15 and {tuple(row.asDict()) for row in rows} == {("doc_id", "n", "ref")}
    for row in rows:
        assert row.doc_id == f"{row.ref >> 32}-{row.ref & 0xFFFFFFFF}" and row.n == row.ref & 0xFFFFFFFF


@pytest.mark.spark
def test_a_row_of_a_file_that_was_not_asked_for_is_an_error(spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pl.DataFrame({"doc_id": ["a"]}).write_parquet(tmp_path / "x.parquet")
    monkeypatch.setattr("catalog.spark.normal", lambda path: f"{path}-other")
    with pytest.raises(Exception, match="a row of a file that was not asked for"):
        frame(spark, [str(tmp_path / "x.parquet")], ["doc_id"]).collect()


@pytest.mark.spark
def test_tasks_on_spark_give_what_tasks_here_give(spark: Any) -> None:
    tasks = [{"name": f"t{i}", "bytes": i, "n": i} for i in range(23)]
    told: list[dict[str, Any]] = []
    found = list(map_files(f"{HERE}:double", tasks, spark=spark, progress=told.append))
    assert sorted(result["n"] for result in found) == [2 * i for i in range(23)] and told == found


@pytest.mark.spark
def test_results_come_while_others_run(spark: Any) -> None:
    tasks = [{"seconds": 6, "bytes": 9}, *({"seconds": 0, "bytes": 1} for _ in range(5))]
    began, came = time.monotonic(), []
    for _ in map_files(f"{HERE}:nap", tasks, spark=spark):
        came.append(time.monotonic() - began)
    assert came[0] < came[-1] - 2, f"the first result waited for the last: {came}"


@pytest.mark.spark
def test_errors_on_spark_name_the_task(spark: Any) -> None:
    with pytest.raises(WorkError, match=r"fail failed on lake/x.parquet: ZeroDivisionError"):
        list(map_files(f"{HERE}:fail", [{"name": "lake/x.parquet"}], spark=spark))
    with pytest.raises(InputError, match="x: no such column"):
        list(map_files(f"{HERE}:mistake", [{"name": "x"}], spark=spark))


@pytest.mark.spark
def test_a_worker_that_dies_again_and_again_names_what_is_left(spark: Any) -> None:
    with pytest.raises(WorkError, match=r"Spark gave up with 1 tasks left, among them bad.parquet"):
        list(map_files(f"{HERE}:die", [{"name": "bad.parquet"}], spark=spark))


@pytest.mark.spark
def test_a_job_that_nobody_waits_for_is_cancelled(spark: Any) -> None:
    results = map_files(f"{HERE}:nap", [{"seconds": 60, "bytes": 2}, {"seconds": 0, "bytes": 1}], spark=spark)
    next(results)
    results.close()  # type: ignore[attr-defined]
    tracker, end = spark.sparkContext.statusTracker(), time.monotonic() + 20
    while tracker.getActiveJobsIds() and time.monotonic() < end:
        time.sleep(0.2)
    assert not tracker.getActiveJobsIds()
