"""The sample is the bottom k by hash however it came about; the locator finds every document; both survive many commits."""

import numpy as np
import polars as pl
import pytest

from catalog import locator, samples
from catalog.lake import Lake
from catalog.schema import hash_column
from tests.catalog_making import count, data_file, documents, draft, everything, gopher, judge


@pytest.fixture
def lake(tmp_path, monkeypatch):
    monkeypatch.setattr(samples.write_part, "__kwdefaults__", {"count": 40, "most": 1 << 29})
    monkeypatch.setattr(samples.cut, "__defaults__", (40,))
    with Lake.open(tmp_path / "lake", create=True) as opened:
        yield opened


def lowest(names, k):
    """The ids that a sample of these files must hold."""
    ids = pl.concat([pl.Series([d["doc_id"] for d in documents(name, 30).to_pylist()]) for name in names])
    return sorted(ids[np.argsort(hash_column(ids))[:k].tolist()].to_list())


def sampled(lake, name="web"):
    with lake.attached() as db:
        return sorted(row[0] for row in db.execute(f"SELECT doc_id FROM sample.{name}").fetchall())


def test_the_sample_is_the_bottom_k_after_every_append(lake):
    names = []
    for i in range(6):
        names.append(f"f{i}")
        lake.commit(draft([data_file(lake.root, "web", names[-1], 30)], key=f"k{i}", mode="append"))
        assert sampled(lake) == lowest(names, 40)
    parts = lake.rows("SELECT rows FROM sample WHERE family IS NULL")
    assert len(parts) == 6 and parts[-1]["rows"] < 20  # an append brings only what can still be in
    before = everything(lake)
    lake.rebuild()
    assert everything(lake) == before and sampled(lake) == lowest(names, 40)


def test_a_sample_made_at_once_is_the_same(lake):
    names = [f"f{i}" for i in range(6)]
    lake.commit(draft([data_file(lake.root, "web", name, 30) for name in names]))
    assert sampled(lake) == lowest(names, 40)


def test_annotations_stand_beside_the_sample(lake):
    files = [judge(gopher(data_file(lake.root, "web", f"f{i}", 30), "corpus"), "corpus") for i in range(4)]
    lake.commit(draft(files[:2], "corpus", "c1"))
    judged = [*files[:2], *files[2:]]
    lake.commit(draft(judged, "corpus", "c2", parent=1))  # a replacement that goes on: the old part is kept, its text not read again
    parts = lake.rows("SELECT DISTINCT part FROM sample JOIN member USING (path) WHERE removed IS NULL AND member.dataset = 'corpus'")
    assert len(parts) == 2 and sampled(lake, "corpus") == lowest([f"f{i}" for i in range(4)], 40)
    wrong = "len(string_split(text, ' ')) <> gopher.n_words OR verdict.host <> host OR kept <> verdict.kept"
    assert count(lake, "sample.corpus") == 40 and count(lake, f"(SELECT 1 FROM sample.corpus WHERE {wrong})") == 0
    lake.commit(draft([judge(gopher(data_file(lake.root, "web", "g", 30), "corpus"), "corpus")], "corpus", "c3", parent=2))
    assert sampled(lake, "corpus") == lowest(["g"], 40)


def test_a_heavy_sample_is_cut_by_weight(tmp_path):
    with Lake.open(tmp_path / "lake", create=True) as lake:
        files = [data_file(lake.root, "web", f"f{i}", 300) for i in range(3)]
        parts = samples.write_part(str(lake.root), "annotations/web/sample", files, None, count=800, most=6000)
        whole = pl.concat([pl.read_parquet(f.full_path).select("doc_id", "text") for f in files])
        order = whole.with_columns(pl.Series("key", hash_column(whole["doc_id"]))).sort("key").with_columns(w=pl.col("text").str.len_bytes().cum_sum())
        held = pl.read_parquet(lake.root / parts[0].path)
        assert parts[0].below is not None and held["sample_key"].max() < parts[0].below
        expected = order.filter(pl.col("key") < parts[0].below)
        assert sorted(held["doc_id"]) == sorted(expected["doc_id"]) and expected["w"].max() <= 6000 < order.filter(pl.col("w") > 6000)["w"].min()


def test_the_locator_finds_every_document_through_merges(lake, monkeypatch):
    monkeypatch.setattr(locator, "MOST", 3)
    for i in range(9):
        lake.commit(draft([data_file(lake.root, "web", f"f{i}", 30)], key=f"k{i}", mode="append"))
    assert len(lake.rows("SELECT * FROM locator")) <= 5 and lake.rows("SELECT sum(rows)::BIGINT AS n FROM locator") == [{"n": 9 * 90}]
    for name, i in (("f0", 3), ("f4", 29), ("f8", 0)):
        document = documents(name, 30).to_pylist()[i]
        for text in (document["doc_id"], document["uri"]):
            assert [(p.file.path, p.row) for p in lake.locate(text)] == [(f"data/web/r1/{name}.parquet", i)]
    assert len(lake.locate("h2.example")) == 9 * 6
    assert {g.path.split("/")[0] for g in lake.gc(grace=0)} == {"locator"}  # what was merged
    before = everything(lake)
    lake.rebuild()
    assert everything(lake) == before


def test_show_looks_past_the_sample(lake):
    files = [judge(data_file(lake.root, "web", f"f{i}", 30), "corpus", most=5) for i in range(5)]
    lake.commit(draft(files, "corpus", "c1"))
    rows = lake.show("corpus", dropped="too_long", n=1000)
    assert len({row["doc_id"] for row in rows}) == len(rows) == count(lake, "(SELECT 1 FROM audit.corpus WHERE reason = 'too_long')") > 40
