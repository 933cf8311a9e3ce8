"""A part of `quality:` reads the versions that its key is over: told by the engine's parser, pinned when the run is planned, and refused otherwise."""

from pathlib import Path

import polars as pl
import pytest
from catalog_making import data_file, documents, draft, judge

from catalog.errors import HeadraceError, InputError, LakeError, QueryError, RecipeError
from catalog.lake import Lake
from catalog.reads import Reads, base, pinned, reads
from catalog.recipe import load
from curate.models import quantiles
from headrace import fitting
from headrace.child import Work
from headrace.keys import part_keys
from headrace.river import Options

LENGTHS = "SELECT length(text) AS x FROM"


@pytest.mark.parametrize(("sql", "names", "labels"), [
    ("SELECT text FROM data.corpus", ("corpus",), False),
    ('FROM audit."corpus/strict@v3", DATA.Web SELECT *', ("corpus/strict@v3", "web"), False),
    ("WITH c AS (FROM sample.a), label AS (FROM stats.b) SELECT * FROM c JOIN label ON true", ("a", "b"), False),
    ("WITH label AS (FROM label) SELECT * FROM label", (), True),
    ("SELECT * FROM (WITH c AS (FROM data.a) FROM c) JOIN main.label AS l ON true WHERE x IN (SELECT x FROM data.b)", ("a", "b"), True),
    ("WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT n FROM t, data.a", ("a",), False),
    ("SELECT text FROM data.a WHERE text LIKE '%data.b%' -- data.c\n/* data.d */", ("a",), False),
    ("SELECT unnest(string_split(text, ' ')) AS text FROM data.a, range(3), unnest([1])", ("a",), False),
    ("VALUES (1.0)", (), False),
    ('SELECT label FROM data."a.b"', ("a.b",), False),
])  # fmt: skip
def test_what_a_select_reads_is_what_the_engine_would(sql: str, names: tuple[str, ...], labels: bool) -> None:
    assert reads(sql, "") == Reads(names, labels)


@pytest.mark.parametrize(("sql", "line"), [
    ("SELECT text FROM corpus", "it reads corpus, which has no versions to pin: .*; write data.corpus"),
    ("SELECT text FROM lake.data.corpus", "it reads lake.data.corpus, .*; write data.corpus"),
    ("SELECT text FROM dat.corpus", "it reads dat.corpus, .*; did you mean 'data'?"),
    ("SELECT * FROM eval_result", "it reads eval_result, which has no versions to pin"),
    ("WITH c AS (FROM data.a) SELECT (SELECT max(value) FROM main.metric) FROM c", "it reads main.metric"),
    ("SELECT * FROM (WITH c AS (FROM data.a) FROM c), c", "it reads c, "),
    ("SELECT * FROM 'notes.parquet'", "it reads notes.parquet"),
    ("SELECT * FROM read_parquet('notes.parquet')", r"it reads read_parquet\(\)"),
    ("SELECT * FROM query('FROM data.a')", r"it reads query\(\)"),
    ("SELECT text FROM data.a WHERE random() < .1", r"it asks random\(\), which says something else each time"),
    ("SELECT text FROM data.a WHERE date < CURRENT_DATE", r"it asks current_date\(\)"),
    ("SELECT text FROM data.a WHERE date < now()", r"it asks now\(\)"),
    ("SELECT text FROM data.a USING SAMPLE 10%", "a random sample is another one each time"),
    ("SELECT text FROM data.a TABLESAMPLE 5 ROWS", "a random sample"),
    ("SELECT 1; SELECT 2", "give one statement"),
    ("SELECT FROM WHERE", "no SELECT that can be read: syntax error"),
    ("COPY data.a TO 'x'", "no SELECT that can be read"),
])  # fmt: skip
def test_what_has_no_versions_is_refused_in_one_line(sql: str, line: str) -> None:
    with pytest.raises(RecipeError, match=line) as error:
        reads(sql, "x.yaml:3: ")
    assert str(error.value).startswith("x.yaml:3: ") and "\n" not in str(error.value)


def test_names_and_versions() -> None:
    assert [base(name) for name in ("a", "a/b", "a@v3", "a/b@v3", "a/b@head")] == ["a", "a", "a@v3", "a@v3", "a"]
    assert [pinned(name, "a@v7") for name in ("a", "a/b", "a@head", "a/b@head")] == ["a@v7", "a/b@v7", "a@v7", "a/b@v7"]


# ---- in a lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake.open(tmp_path / "lake", create=True)
    grow(lake, 1)
    return lake


def grow(lake: Lake, version: int, dataset: str = "web") -> None:
    """Publish a version of 10 documents times its number, some of them dropped."""
    file = judge(data_file(lake.root, dataset, f"{dataset}{version}", 10 * version), dataset)
    policies = ({"name": "strict", "family": "verdict", "digest": "d"},)
    lake.commit(draft([file], dataset, f"{dataset}-{version}", parent=lake.head(dataset), mode="replace", policies=policies))


def counted(lake: Lake, sql: str, pins: dict[str, str]) -> int:
    with lake.stream(sql, pins=pins) as reader:
        return reader.read_all().num_rows


def test_a_pinned_select_sees_these_versions_and_no_others(lake: Lake) -> None:
    grow(lake, 2)
    grow(lake, 1, "books")
    assert [counted(lake, "FROM audit.web", {"web": f"web@v{n}"}) for n in (1, 2)] == [10, 20]
    assert [counted(lake, "FROM data.web", {"web": f"web@v{n}"}) for n in (1, 2)] == [len(kept("web1", 10)), len(kept("web2", 20))]
    assert counted(lake, 'FROM sample.web, stats.web LIMIT 3', {"web": "web@v1"}) == 3
    assert counted(lake, 'FROM audit.web UNION ALL BY NAME FROM audit."web@v1"', {"web": "web@v2", "web@v1": "web@v1"}) == 30
    for sql in ("FROM audit.books", 'FROM audit."web@v1"'):
        with pytest.raises(QueryError, match="does not exist"):
            counted(lake, sql, {"web": "web@v2"})


def kept(name: str, n: int) -> pl.DataFrame:
    rows = pl.DataFrame(documents(name, n).select(["domain", "text"]))
    return rows.filter((pl.col("text").str.split(" ").list.len() < 6) & (pl.col("domain") != "code"))


def work(lake: Lake, tmp_path: Path, values: str) -> Work:
    """What a child holds once a run of one fit is planned."""
    path = tmp_path / "x.yaml"
    path.write_text(f"name: x\nseed: 1\nlake: lake\nquality:\n  ranks:\n    values: >\n      {values}\n", encoding="utf-8")
    recipe = load(str(path))
    return Work(recipe, lake, part_keys(recipe, lake), Options(recipe=str(path)), "job-1", tmp_path, {})


def fitted(planned: Work) -> quantiles.Quantiles:
    part = planned.recipe.part("quality.ranks")
    fitting.run(part, planned)
    row = planned.lake.rows("SELECT folder FROM main.model WHERE key = ?", [planned.key(part)])[-1]
    return quantiles.load(planned.lake.root / row["folder"])


@pytest.mark.parametrize(("values", "before", "after"), [
    (f"{LENGTHS} audit.web", 10, 20),
    (f'{LENGTHS} audit."web@head"', 10, 20),
    (f"WITH c AS (FROM audit.web) {LENGTHS} c", 10, 20),
    (f'{LENGTHS} audit."web@v1"', 10, 10),
    (f"{LENGTHS} data.web", len(kept("web1", 10)), len(kept("web2", 20))),
    (f'{LENGTHS} data."web/strict"', len(kept("web1", 10)), len(kept("web2", 20))),
    ("SELECT documents AS x FROM stats.web", None, None),
])  # fmt: skip
def test_a_fit_reads_what_was_planned_whatever_is_published_meanwhile(lake: Lake, tmp_path: Path, values: str, before: int | None, after: int | None) -> None:
    planned = work(lake, tmp_path, values)
    grow(lake, 2)
    grow(lake, 1, "books")
    first = fitted(planned)
    assert before is None or first.counts == {"x": before}
    row = lake.rows("SELECT trained_on FROM main.model")[-1]
    assert row["trained_on"] == ("web/strict@v1" if "strict" in values else "web@v1")
    again = work(lake, tmp_path, values)
    if before == after and before is not None:
        assert again.keys == planned.keys
    else:
        assert again.keys["quality.ranks"] != planned.keys["quality.ranks"]
        second = fitted(again)
        assert second != first and (after is None or second.counts == {"x": after})


def test_what_is_not_read_says_nothing(lake: Lake, tmp_path: Path) -> None:
    planned = work(lake, tmp_path, f"{LENGTHS} audit.web")
    grow(lake, 1, "books")
    lake.record({"label": [{"doc_id": "a", "label": "keep", "label_set": "s", "labeller": "l"}]}, "run-2")
    assert work(lake, tmp_path, f"{LENGTHS} audit.web").keys == planned.keys


def test_labels_are_those_of_the_key_or_the_fit_is_refused(lake: Lake, tmp_path: Path) -> None:
    def say(what: str) -> None:
        lake.record({"label": [{"doc_id": "a", "label": what, "label_set": "s", "labeller": "l"}]}, f"run-{what}")

    sql = "SELECT length(label.label) AS x FROM label"
    say("keep")
    planned = work(lake, tmp_path, sql)
    say("drop it")                                           # in place of the other: there are as many as before
    with pytest.raises(InputError, match="quality.ranks: labels were added or changed since this run was planned; run the same command again"):
        fitted(planned)
    again = work(lake, tmp_path, sql)
    assert again.keys["quality.ranks"] != planned.keys["quality.ranks"]
    assert fitted(again).edges["x"][0] == len("drop it")
    assert work(lake, tmp_path, sql).keys == again.keys


@pytest.mark.parametrize(("values", "line"), [
    (f"{LENGTHS} audit.wbe", r"x.yaml:5: quality.ranks: neither a part nor the lake has 'wbe'; did you mean 'web'\?"),
    (f'{LENGTHS} audit."web@v9"', "web has no version 'v9'; it has @v1 to @v1, the head"),
    (f"{LENGTHS} web", "x.yaml:6: values: it reads web, which has no versions to pin"),
])  # fmt: skip
def test_a_name_that_means_nothing_is_one_line(lake: Lake, tmp_path: Path, values: str, line: str) -> None:
    with pytest.raises((RecipeError, LakeError), match=line):
        work(lake, tmp_path, values)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "/a", "a.b", "Useful", "1a", "a-b", "a b", "a\n", "ä", "a" * 101, "-"])
def test_a_name_that_could_be_no_part_is_refused_before_anything_is_written(lake: Lake, name: str) -> None:
    before = sorted(lake.root.parent.rglob("*"))
    with pytest.raises(InputError, match="^train-quality: .* is not a model's name; use lower-case letters, digits and _, at most 100$") as error:
        fitting.train_quality(str(lake.root), name, {"values": "VALUES (1)"}, (), 0, False, False, 1.0)
    assert "\n" not in str(error.value) and sorted(lake.root.parent.rglob("*")) == before


@pytest.mark.parametrize(("values", "settings"), [
    ("SELECT 1 AS x FROM nowhere", ()), ("DELETE FROM data.web", ()), (f"{LENGTHS} data.web", ("nope=1",)),
])  # fmt: skip
def test_a_fit_that_fails_leaves_the_recipe_of_the_model_that_is_there(lake: Lake, values: str, settings: tuple[str, ...]) -> None:
    stored = lake.root / fitting.RECIPES / "ranks.yaml"
    for earlier in (None, "name: quality-ranks\n"):
        if earlier:
            stored.write_text(earlier, encoding="utf-8")
        with pytest.raises(HeadraceError, match="^train-quality: "):
            fitting.train_quality(str(lake.root), "ranks", {"values": values}, settings, 0, False, False, 1.0)
        assert (stored.read_text(encoding="utf-8") if earlier else None) == earlier and list(stored.parent.iterdir()) == ([stored] if earlier else [])


def test_a_name_that_another_recipe_keeps_is_taken_when_that_is_said_alone(lake: Lake, tmp_path: Path) -> None:
    row = {"act": "quality", "model": "ranks", "recipe": "other", "folder": "nowhere", "digest": "d", "key": "k"}
    lake.record({"model": [row]}, "run-2")
    planned = work(lake, tmp_path, f"{LENGTHS} audit.web")
    with pytest.raises(LakeError, match="quality.ranks: the lake has a model 'ranks' of the recipe 'other'; name yours otherwise, or --take it over"):
        fitted(planned)
    planned.options = Options(recipe=planned.recipe.path, take=True)
    assert fitted(planned).counts == {"x": 10}
