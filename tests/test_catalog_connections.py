"""Connections and tables of a lake: one's own database beside it, threads, open tables that other rooms fill."""

import threading
from datetime import datetime
from pathlib import Path

import pytest

from catalog.errors import LakeError, QueryError
from catalog.lake import Lake, rebuild
from tests.catalog_making import data_file, draft, gopher, judge


@pytest.fixture
def lake(tmp_path):
    with Lake.open(tmp_path / "lake", create=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A lake with `web` (two versions) and `corpus` over its files, judged by two policies."""
    with Lake.open(tmp_path_factory.mktemp("made") / "lake", create=True) as lake:
        lost = {"uri": "u", "source": "s", "reason": "empty", "exception": "ValueError", "offset": 7}
        lake.commit(draft([data_file(lake.root, "web", f"a{i}") for i in range(3)], quarantine=(lost,), metrics={"seconds": 1.5}))
        web = lake.commit(draft([data_file(lake.root, "web", "b", 10)], key="k2", mode="append"))
        files = [judge(judge(gopher(f, "corpus"), "corpus"), "corpus", 9, "verdict_strict") for f in web.files]
        policies = ({"name": "demo", "drop": {"too_long": "gopher.n_words >= 6"}}, {"name": "strict"})
        lake.commit(draft(files, "corpus", "c1", policies=policies, lineage=(("web", 2),)))
        yield lake


def test_open_tables_grow_and_merge(lake):
    lake.record({"run": [{"run": "r", "part": "ingest.web", "state": "running"}], "train_metric": [{"step": 1, "loss": 2.5}]}, "r")
    lake.record({"run": [{"run": "r", "part": "ingest.web", "state": "done"}], "train_metric": [{"step": 2, "loss": 2, "note": {"a": 1}}]}, "r")
    number = lake.version
    lake.record({"train_metric": [{"step": 2, "loss": 2, "note": {"a": 1}}], "run": [{"run": "r", "part": "ingest.web", "state": "done"}]}, "r")
    assert lake.version == number  # the same rows twice are there once
    assert [(r["part"], r["state"], r["host"] is not None) for r in lake.rows("SELECT * FROM run")] == [("ingest.web", "done", True)]
    assert lake.query("SELECT step, loss, note FROM train_metric ORDER BY step").to_pylist() == [
        {"step": 1, "loss": 2.5, "note": None}, {"step": 2, "loss": 2.0, "note": '{"a": 1}'}]  # fmt: skip
    assert lake.has_table("train_metric") and not lake.has_table("model")
    with pytest.raises(LakeError, match="no open table 'snapshot'"):
        lake.record({"snapshot": [{"a": 1}]}, "r")
    with pytest.raises(LakeError, match="'a b' is not a column's name"):
        lake.record({"model": [{"a b": 1}]}, "r")


def test_open_tables_come_back_from_the_log_whatever_the_order_of_their_columns(tmp_path):
    with Lake.open(tmp_path / "lake", create=True) as lake:
        lake.record({"model": [{"train_run": "r", "model": "base", "act": "pretrain", "tokens": 12, "loss": 1.5, "folder": "f"}]}, "run-1")
        before = lake.rows("SELECT * FROM model")
    rebuild(tmp_path / "lake")
    with Lake.open(tmp_path / "lake") as lake:
        assert lake.rows("SELECT * FROM model") == before


def test_a_label_takes_the_place_of_the_one_before_it(tmp_path):
    def row(i, said, **more):
        return {"doc_id": f"d{i}", "label": said, "label_set": "s", "labeller": "anna", "labelled": datetime(2026, 1, 1), **more}

    with Lake.open(tmp_path / "lake", create=True) as lake:
        lake.record({"label": [row(0, "keep")]}, "run-1")
        assert lake.rows("SELECT reason, dataset FROM label") == [{"reason": None, "dataset": None}]  # columns that no row has filled yet
        lake.record({"label": [row(i, "keep", reason="why") for i in range(1000)]}, "run-2")
        others = [row(2, "drop", labeller="bert"), row(2, "drop", label_set="t"), row(3, "drop", labeller=None)]
        lake.record({"label": [row(1, "keep"), row(1, "drop"), *others]}, "run-3")
        lake.record({"label": [row(3, "keep", labeller=None)]}, "run-4")
        assert lake.rows("SELECT count(*) AS n, count(reason) AS why, count(DISTINCT doc_id) AS d FROM label") == [{"n": 1003, "why": 999, "d": 1000}]
        assert lake.rows("SELECT label, reason FROM label WHERE doc_id = 'd1'") == [{"label": "drop", "reason": None}]
        assert [r["label"] for r in lake.rows("SELECT label FROM label WHERE labeller IS NULL")] == ["keep"]
        before = lake.rows("SELECT * FROM label ORDER BY ALL")
    rebuild(tmp_path / "lake")
    with Lake.open(tmp_path / "lake") as lake:
        assert lake.rows("SELECT * FROM label ORDER BY ALL") == before


def test_a_connection_of_my_own_follows_when_told(lake):
    lake.commit(draft([data_file(lake.root, "web", "a")]))
    with lake.attached() as db:
        db.execute("CREATE TABLE memory.mine AS SELECT 'h1.example' AS host")
        mine = "SELECT count(*) FROM data.web JOIN mine USING (host)"
        assert db.execute(mine).fetchone() == (10,) and not lake.attach(db)
        lake.commit(draft([data_file(lake.root, "web", "b")], key="k2", mode="append"))
        assert db.execute(mine).fetchone() == (10,)
        assert lake.attach(db) and db.execute(mine).fetchone() == (20,)


def test_readers_of_many_threads_share_a_lake(made):
    found, threads = [], []
    for _ in range(4):
        threads.append(threading.Thread(target=lambda: found.append(made.snapshot("corpus").rows)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert found == [160] * 4


def test_a_query_meets_a_file_that_is_gone(lake):
    file = data_file(lake.root, "web", "a")
    lake.commit(draft([file]))
    Path(file.full_path).unlink()
    with pytest.raises(QueryError, match="No files found|No such file"):
        lake.query("SELECT text FROM data.web")
    assert rebuild(lake.root) == [f"web: {file.path} is missing, so its views were not made; run its part again"]
    assert lake.snapshot("web").rows == 50
