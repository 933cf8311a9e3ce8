"""The lake: what a commit refuses, what names mean, what the views hold, where a document is found."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalog import migrations, views
from catalog.errors import LakeError, PolicyError
from catalog.files import Annotation, DataFile, scan, write_rows
from catalog.ids import digest
from catalog.lake import Lake
from tests.catalog_making import annotate, data_file, documents, draft, gopher, judge


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


def test_a_commit_makes_a_snapshot_with_its_counts(made):
    web = made.snapshot("web")
    assert (web.name, web.parent, web.rows, web.kept, len(web.files)) == ("web@v2", 1, 160, 160, 4)
    assert made.snapshot("web@v1").rows == 150 and made.snapshot("web@head") == web
    corpus = made.snapshot("corpus")
    assert corpus.lineage == (("web", 2),) and corpus.kept == made.query("SELECT count(*) FROM data.corpus")["count_star()"][0].as_py()
    assert [a.family for a in corpus.files[0].annotations] == ["gopher", "verdict", "verdict_strict"]
    assert made.datasets() == ["corpus", "web"] and made.head("web") == 2 and made.head("nothing") is None


def test_a_second_policy_is_a_dataset_of_its_own_name(made):
    strict = made.snapshot("corpus/strict")
    assert strict.policies[0]["name"] == "strict" and strict.policies[0]["family"] == "verdict_strict"
    assert strict.kept == made.query('SELECT count(*) AS n FROM data."corpus/strict"')["n"][0].as_py() != made.snapshot("corpus").kept
    assert made.snapshot("corpus/demo") == made.snapshot("corpus")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("corpsu", "no dataset 'corpsu'; did you mean 'corpus'?"),
        ("corpus@v9", "corpus has no version 'v9'; it has @v1 to @v1, the head"),
        ("corpus@1", "corpus has no version '1'"),
        ("corpus/strikt", "no policy 'strikt'; did you mean 'strict'?"),
    ],
)
def test_an_unknown_name_offers_the_nearest(made, name, said):
    with pytest.raises(LakeError, match=said.replace("?", r"\?")):
        made.snapshot(name)


def test_the_same_key_gives_the_earlier_snapshot(lake):
    wanted = draft([data_file(lake.root, "web", "a")], mode="append")
    first = lake.commit(wanted)
    number = lake.version
    assert lake.commit(wanted) == first == lake.has("k1") and lake.version == number
    assert lake.has("other") is None


def test_a_return_to_an_earlier_state_is_a_new_version(lake):
    one, two = data_file(lake.root, "web", "a"), data_file(lake.root, "web", "b")
    lake.commit(draft([one], key="A"))
    lake.commit(draft([two], key="B", parent=1))
    assert lake.commit(draft([one], key="A", parent=1)).version == 1  # submitted again: what it made is given back
    back = lake.commit(draft([one], key="A", parent=2))  # made from the head that followed: wanted again
    assert back.version == 3 == lake.head("web") and lake.has("A") == back


def test_an_append_goes_on_a_moved_head_and_a_replacement_does_not(lake):
    lake.commit(draft([data_file(lake.root, "web", "a")]))
    lake.commit(draft([data_file(lake.root, "web", "b")], key="k2", mode="append", parent=1))
    third = lake.commit(draft([data_file(lake.root, "web", "c")], key="k3", mode="append", parent=1))
    assert (third.version, third.parent, third.rows) == (3, 2, 150)
    with pytest.raises(LakeError, match="the head is now @v3, and this was made from @v1; run it again on the new head"):
        lake.commit(draft([data_file(lake.root, "web", "d")], key="k4", parent=1))
    with pytest.raises(LakeError, match="made from no version"):
        lake.commit(draft([data_file(lake.root, "web", "d")], key="k4"))


def test_a_head_belongs_to_the_recipe_that_made_it(lake):
    lake.commit(draft([data_file(lake.root, "web", "a")]))
    other = draft([data_file(lake.root, "web", "b")], key="k2", owner="other", parent=1)
    with pytest.raises(LakeError, match=r"web belongs to the recipe 'demo'; publish under another name \(publish_as:\), or take it over"):
        lake.commit(other)
    assert lake.commit(other, take=True).owner == "other"


def test_a_file_is_registered_once(lake):
    file = data_file(lake.root, "web", "a")
    with pytest.raises(LakeError, match="stands twice"):
        lake.commit(draft([file, file]))
    lake.commit(draft([file], mode="append"))
    with pytest.raises(LakeError, match="is in web already; appending it would double its rows"):
        lake.commit(draft([file], key="k2", mode="append"))
    with pytest.raises(LakeError, match="a file is registered once"):
        lake.commit(draft([replace(file, id="other")], dataset="copy", key="k3"))
    assert lake.commit(draft([gopher(file, "corpus")], dataset="corpus", key="k4")).rows == 50  # another dataset may refer to it


def test_an_annotation_of_other_rows_is_refused(lake):
    file, shorter = data_file(lake.root, "web", "a", 50), data_file(lake.root, "web", "b", 49)
    shifted = replace(file, annotations=gopher(data_file(lake.root, "web", "c", 50), "corpus").annotations)
    short = replace(file, annotations=gopher(shorter, "corpus").annotations)
    for wrong in (shifted, short):
        with pytest.raises(LakeError, match=r"does not stand beside data/web/r1/a\.parquet"):
            lake.commit(draft([wrong], "corpus"))
    named = replace(file, annotations=(replace(gopher(file, "corpus").annotations[0], family="c4"),))
    with pytest.raises(LakeError, match="holds gopher, not the family 'c4'"):
        lake.commit(draft([named], "corpus"))
    assert lake.version == 1 and lake.datasets() == []


def test_files_that_are_missing_or_spoilt_are_refused(lake):
    file = data_file(lake.root, "web", "a")
    with pytest.raises(LakeError, match="has 50 rows where the draft says 51"):
        lake.commit(draft([replace(file, rows=51)]))
    Path(file.full_path).write_bytes(b"not parquet")
    with pytest.raises(LakeError, match="is no Parquet file"):
        lake.commit(draft([file]))
    Path(file.full_path).unlink()
    with pytest.raises(LakeError, match="is not in the lake"):
        lake.commit(draft([file]))
    for path in ("/etc/x.parquet", "data/../../x.parquet"):
        with pytest.raises(LakeError, match="is not a path inside the lake"):
            lake.commit(draft([replace(file, path=path)]))


@pytest.mark.parametrize("name", ["Web", "web/x", "web@v1", "../web", "web x", ""])
def test_names_that_cannot_be_a_view_are_refused(lake, name):
    with pytest.raises(LakeError, match="is not a dataset's name"):
        lake.commit(draft([], dataset=name))


def test_views_stand_side_by_side_exactly(lake):
    """Large files of many row groups, unlike families: each row's family is the one computed from its own text."""
    files = []
    for i, n in enumerate((30_000, 9_000, 20_001)):
        file = gopher(data_file(lake.root, "web", f"big{i}", n), "corpus")
        files.append(judge(file, "corpus") if i != 1 else file)
    lake.commit(draft(files, "corpus", policies=({"name": "demo"},)))
    wrong = "len(string_split(text, ' ')) <> gopher.n_words OR round(gopher.ratio * 100) <> strlen(text) OR verdict.host <> host"
    found = lake.query(f"SELECT count(*) AS n, count(*) FILTER ({wrong}) AS wrong, count(verdict) AS judged FROM audit.corpus")
    assert found.to_pylist() == [{"n": 59_001, "wrong": 0, "judged": 50_001}]
    where = "domain = 'web' AND gopher.n_words = 5"
    with_sql = lake.query(f"SELECT doc_id FROM audit.corpus WHERE {where} ORDER BY doc_id")["doc_id"].to_pylist()
    by_hand = [pl.read_parquet(f.full_path).filter((pl.col("domain") == "web") & (pl.col("text").str.split(" ").list.len() == 5)) for f in files]
    assert with_sql == sorted(pl.concat(by_hand)["doc_id"].to_list())
    assert lake.query("SELECT count(*) FILTER (NOT kept) AS n FROM data.corpus")["n"][0].as_py() == 0


SIDES = [
    "SELECT id, a.id FROM v ORDER BY id DESC LIMIT 5",
    "SELECT id, a.id FROM v ORDER BY s DESC LIMIT 5",
    "SELECT id, a.id FROM v ORDER BY a.id DESC LIMIT 5",
    "SELECT id, a.id FROM v ORDER BY id LIMIT 5 OFFSET 30000",
    "SELECT v.id, a.id FROM v JOIN few USING (id)",
    "SELECT v.id, a.id FROM v JOIN few ON a.id = few.id",
    "SELECT id, a.id FROM v WHERE id IN (SELECT id FROM few)",
    "SELECT id, a.id FROM v SEMI JOIN few USING (id)",
    "SELECT id, a.id FROM v WHERE id = 33333",
    "SELECT id, a.id FROM v WHERE a.id = 33333",
    "SELECT id, a.id FROM v WHERE id BETWEEN 29990 AND 30010 AND a.m = 3",
    "SELECT id, a.id FROM v WHERE s > '00039' LIMIT 7",
    "SELECT id, a.id FROM v LIMIT 10 OFFSET 21000",
    "SELECT id, a.id FROM v TABLESAMPLE reservoir(50)",
    "SELECT DISTINCT ON (a.m) id, a.id FROM v",
    "SELECT arg_max(id, a.m), arg_max(a.id, a.m) FROM v",
    "SELECT id, a.id FROM v WHERE id = (SELECT max(id) FROM few)",
]


def test_nothing_is_pushed_through_the_positions(tmp_path):
    """Sorted files of unlike row groups tempt an optimiser to skip groups on one side: top-n, joins, filters, samples."""
    files = []
    for f, n in enumerate((20_000, 13_777, 9_001)):
        ids = pa.array(range(f * 20_000, f * 20_000 + n), pa.int64())
        data = pa.table({"id": ids, "s": [f"{i.as_py():06d}" for i in ids]})
        pq.write_table(data, tmp_path / f"d{f}.parquet", row_group_size=4096)
        inner = pa.StructArray.from_arrays([ids, pa.array([i.as_py() % 7 for i in ids])], names=["id", "m"])
        pq.write_table(pa.table({"a": inner}), tmp_path / f"a{f}.parquet", row_group_size=2500)
        about = Annotation("a", f"a{f}.parquet", "", "", n, (("id", "int64"), ("m", "int64")))
        extra = (("other", "int64"),) if f == 2 else ()  # a group of its own
        files.append(DataFile(str(f), f"d{f}.parquet", n, 0, "", str(tmp_path), (about,), (("id", "int64"), ("s", "string"), *extra)))
    with duckdb.connect() as db:
        db.execute(f"CREATE VIEW v AS {views.audit(files, 'verdict')}")
        db.execute("CREATE TABLE few AS SELECT 30000 + range * 11 AS id FROM range(5)")
        for sql in SIDES:
            rows = db.execute(sql).fetchall()
            assert rows and all(one == other for one, other in rows), sql


def test_stats_and_funnel_agree_with_the_rows(made):
    by_stats = made.query("SELECT domain, kept, reason, sum(documents)::BIGINT AS n, sum(bytes)::BIGINT AS b FROM stats.corpus GROUP BY ALL ORDER BY ALL")
    by_rows = made.query("SELECT domain, kept, reason, count(*) AS n, sum(strlen(text))::BIGINT AS b FROM audit.corpus GROUP BY ALL ORDER BY ALL")
    assert by_stats.to_pylist() == by_rows.to_pylist()
    steps = "SELECT domain, step = 'kept' AS kept, reason, documents AS n, bytes AS b FROM funnel"
    funnel = made.query(f"{steps} WHERE dataset = 'corpus' AND step <> 'in' ORDER BY ALL")
    assert funnel.to_pylist() == by_rows.to_pylist()
    web = made.query("SELECT step, reason, sum(documents)::BIGINT AS n FROM funnel WHERE dataset = 'web' GROUP BY ALL ORDER BY ALL").to_pylist()
    assert web == [{"step": "landed", "reason": None, "n": 160}, {"step": "refused", "reason": "empty", "n": 1}, {"step": "seen", "reason": None, "n": 161}]
    assert made.query("SELECT uri, reason, record_offset FROM quarantine").to_pylist() == [{"uri": "u", "reason": "empty", "record_offset": 7}]
    unjudged = made.query("SELECT sum(documents)::BIGINT AS n, sum(bytes)::BIGINT AS b FROM stats.web").to_pylist()
    assert unjudged == made.query("SELECT count(*) AS n, sum(strlen(text))::BIGINT AS b FROM data.web").to_pylist()


def test_versions_are_read_by_name(made):
    found = made.query('SELECT (SELECT count(*) FROM data."web@v1") AS old, (SELECT count(*) FROM data.web) AS new FROM (FROM stats."corpus@v1" LIMIT 1)')
    assert found.to_pylist() == [{"old": 150, "new": 160}]
    with pytest.raises(LakeError, match="web has no version 'v7'"):
        made.query('SELECT * FROM data."web@v7"')
    own = made.attached()
    assert own.execute(f"SELECT count(*) FROM ({made.select('corpus@v1')})").fetchone() == (made.snapshot("corpus").kept,)
    own.close()


def test_other_shapes_are_datasets_too(lake):
    chats = documents("talk", 12, "chat")
    path = "data/chats/r1/talk.parquet"
    stat = write_rows(lake.root / path, chats, chats.schema)
    lake.commit(draft([DataFile(digest(path), path, 12, stat.bytes, stat.ids, str(lake.root))], "chats", shape="chat"))
    assert lake.query("SELECT messages[1].content AS said, gen, media FROM data.chats LIMIT 1").to_pylist()[0]["said"].startswith("talk row")
    bands = pa.table({"band": pa.array([1, 2, 3], pa.int64()), "ref": pa.array([7, 8, 9], pa.int64())})
    path = "data/bands/r1/p.parquet"
    write_rows(lake.root / path, bands, bands.schema)
    made = lake.commit(draft([DataFile(digest(path), path, 3, 0, "", str(lake.root))], "bands", "b1", shape="band"))
    assert (made.rows, made.kept, made.tokens) == (3, 3, 0)
    assert lake.query("SELECT count(*) FILTER (kept AND reason IS NULL) AS n, sum(ref)::BIGINT AS s FROM data.bands").to_pylist() == [{"n": 3, "s": 24}]
    assert lake.commit(draft([], "nothing", "n1")).rows == 0 and lake.query("SELECT * FROM data.nothing").num_rows == 0
    assert lake.query("SELECT documents FROM stats.bands").to_pylist() == [{"documents": 3}]


def test_what_is_said_of_a_document(made):
    uri = "https://h1.example/a0/1"
    places = made.locate(uri)
    assert [(p.dataset, p.version, p.row) for p in places] == [("corpus", 1, 1), ("web", 2, 1)]
    found = made.why(uri)[0]["document"]
    assert found["uri"] == uri and found["gopher"]["n_words"] == len(found["text"].split(" ")) and found["verdict"]["host"] == "h1.example"
    assert [p.row for p in made.locate(found["doc_id"])] == [1, 1]
    assert len(made.locate("h1.example")) == 2 * 32  # ten in each of three files and two in the fourth, in two datasets
    assert made.locate("https://nowhere.example/") == []


def test_show_finds_kept_and_dropped(made):
    assert {row["reason"] for row in made.show("corpus", dropped="code", n=4)} == {"code"}
    assert len(made.show("corpus", n=1000)) == made.snapshot("corpus").kept
    assert all(not row["kept"] for row in made.show("corpus", dropped="", n=500)) and made.show("corpus", dropped="no_such", n=5) == []
    assert made.show("corpus/strict", dropped="too_long", n=1)[0]["verdict_strict"]["reason"] == "too_long"


def test_scan_reads_what_its_predicate_names_and_gives_what_was_asked(made):
    corpus = made.snapshot("corpus")
    chosen = pl.concat(scan(corpus, ["doc_id"], where="gopher.n_words >= 2 AND domain = 'web'"))
    assert chosen.columns == ["doc_id"]
    wanted = made.query("SELECT doc_id FROM data.corpus WHERE gopher.n_words >= 2 AND domain = 'web'")["doc_id"].to_pylist()
    assert 0 < len(wanted) < corpus.kept and sorted(chosen["doc_id"]) == sorted(wanted)
    assert sum(frame.height for frame in scan(corpus, kept=False)) == corpus.rows
    assert next(scan(corpus, [], ["gopher"])).columns == ["gopher"]
    with pytest.raises(PolicyError, match=r"corpus@v1: where: 'gopher' has no signal 'n_wrods'; did you mean 'n_words'\?"):
        list(scan(corpus, where="gopher.n_wrods > 1"))


def test_a_stock_client_opens_the_lake_from_anywhere(made):
    code = (
        "import duckdb, sys; db = duckdb.connect(sys.argv[1], read_only=True); "
        "print(db.execute('SELECT count(*) FROM data.corpus').fetchone()[0], db.execute('SELECT count(*) FROM funnel').fetchone()[0] > 0)"
    )
    found = subprocess.run([sys.executable, "-c", code, str(made.root / "catalog.duckdb")], capture_output=True, text=True, cwd="/", check=True)
    assert found.stdout.split() == [str(made.snapshot("corpus").kept), "True"]
    tags = duckdb.connect().execute(f"ATTACH '{made.catalogue}' AS x (READ_ONLY)").execute("SELECT tags FROM duckdb_databases() WHERE database_name = 'x'")
    assert tags.fetchone()[0]["storage_version"].startswith("v1.2.0")
    assert not os.stat(made.catalogue).st_mode & 0o222


def test_a_lake_that_moved_says_so_and_is_mended(tmp_path, lake):
    lake.commit(draft([data_file(lake.root, "web", "a")]))
    lake.close()
    shutil.move(lake.root, tmp_path / "elsewhere")
    with Lake.open(tmp_path / "elsewhere") as moved:
        with pytest.raises(LakeError, match=r"moved here from .*; `headrace doctor --moved`"):
            moved.query("SELECT * FROM data.web")
        assert moved.moved() == [] and moved.query("SELECT * FROM data.web").num_rows == 50


def test_a_commit_on_a_moved_lake_mends_it(tmp_path, lake):
    lake.commit(draft([data_file(lake.root, "web", "a")]))
    lake.close()
    shutil.move(lake.root, tmp_path / "elsewhere")
    with Lake.open(tmp_path / "elsewhere") as moved:
        moved.commit(draft([data_file(moved.root, "books", "a")], "books", "k2"))
        assert moved.query("SELECT * FROM data.web").num_rows == 50


def test_lakes_that_cannot_be_opened(tmp_path, lake):
    with pytest.raises(LakeError, match="there is no lake here"):
        Lake.open(tmp_path / "nothing")
    with pytest.raises(LakeError, match="a lake's path holds no quote"):
        Lake.open(tmp_path / "a[b]", create=True)
    lake.close()
    current = lake.root / "CURRENT"
    current.write_text("seven")
    with pytest.raises(LakeError, match=r"holds 'seven', not a number; `headrace doctor --rebuild`"):
        Lake.open(lake.root)
    current.write_text("9")
    with pytest.raises(LakeError, match=r"catalog-9.duckdb cannot be read .*`headrace doctor --rebuild`"):
        Lake.open(lake.root)
    current.write_bytes(b"\xff\xfe")
    with pytest.raises(LakeError, match="not a number; `headrace doctor --rebuild`"):
        Lake.open(lake.root)
    current.unlink()
    current.mkdir()
    with pytest.raises(LakeError, match="CURRENT cannot be read .*a lake is a folder with a file CURRENT in it"):
        Lake.open(lake.root)
    (tmp_path / "file").touch()
    for create in (False, True):
        with pytest.raises(LakeError, match="file: is a file, and a lake is a folder; name another by --lake PATH"):
            Lake.open(tmp_path / "file", create=create)


def test_a_newer_lake_is_refused_and_an_older_one_brought_up(lake, monkeypatch):
    def m002_more(db):
        db.execute("CREATE TABLE later (x INTEGER)")

    lake.close()
    with monkeypatch.context() as newer:
        newer.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, m002_more))
        with Lake.open(lake.root) as opened:
            assert opened.rows("SELECT count(*) AS n FROM later") == [{"n": 0}]
    with pytest.raises(LakeError, match=r"was written by a newer headrace \(catalogue level 2, this one reads 1\); update headrace"):
        Lake.open(lake.root)


def test_a_full_disk_publishes_nothing(lake, monkeypatch):
    from catalog import commits
    from catalog.errors import WorkError

    file, number = data_file(lake.root, "web", "a"), lake.version

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(commits.shutil, "copyfile", full)
        with pytest.raises(WorkError, match="the disk is full; nothing was published"):
            lake.commit(draft([file]))
    assert lake.version == number and sorted(p.name for p in lake.root.glob("catalog-*")) == ["catalog-1.duckdb"]
    assert lake.commit(draft([file])).version == 1


def test_new_policy_and_new_stage_keep_the_rest(lake):
    """Editing a policy or adding a stage writes new files only for what changed, in the sample too."""
    file = data_file(lake.root, "web", "a")
    first = lake.commit(draft([judge(gopher(file, "corpus"), "corpus", 6)], "corpus", "c1", policies=({"name": "demo"},)))
    before = {p: p.stat().st_mtime_ns for p in lake.root.glob("annotations/corpus/sample/*")}
    second = lake.commit(draft([judge(gopher(file, "corpus"), "corpus", 9, version=2)], "corpus", "c2", policies=({"name": "demo"},), parent=1))
    after = {p: p.stat().st_mtime_ns for p in lake.root.glob("annotations/corpus/sample/*")}
    assert second.kept > first.kept and len(after) == len(before) + 1 and before.items() <= after.items()
    assert lake.query("SELECT count(*) AS n FROM sample.corpus WHERE kept")["n"][0].as_py() == second.kept
    more = annotate(second.files[0], "corpus", "c4", pl.DataFrame({"cut": [False] * 50}), {"cut": pa.bool_()})
    lake.commit(draft([more], "corpus", "c3", policies=({"name": "demo"},), parent=2))
    assert lake.query("SELECT count(c4.cut) AS n FROM audit.corpus")["n"][0].as_py() == 50
    old = lake.query('SELECT count(*) FILTER (kept) AS n FROM audit."corpus@v1"')["n"][0].as_py()
    assert old == first.kept
