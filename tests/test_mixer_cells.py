"""Mixtures by cells of domain and quality: weights, hold-out, epochs, the lock; and what is refused before work begins."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from demo_run import headrace
from mixer_making import documents, freeze, snapshot, tier
from river_making import prose

from catalog.errors import InputError, RecipeError
from catalog.files import Snapshot
from catalog.lake import Lake
from catalog.recipe import load
from catalog.written import flat
from mixer import cells, mix
from mixer.samples import Samples

BY = ["domain", "ensemble.tier"]
WEIGHTS = {"web/high": 0.4, "web/medium": 0.2, "books/high": 0.3, "code/none": 0.1}
CELLS: dict[str, Any] = {"by": BY, "phases": [{"weights": WEIGHTS}], "budget": 20_000}
Lakes = tuple[Path, dict[str, Snapshot]]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lakes:
    root = tmp_path_factory.mktemp("lake")
    return root, {"corpus": snapshot(root, documents())}


@pytest.fixture(scope="module")
def frozen(lake: Lakes) -> Any:
    return freeze(*lake, run="cells", **CELLS)


def test_each_cell_gives_what_its_weight_asks_and_documents_of_its_own(lake: Lakes, frozen: Any) -> None:
    cell = {one["doc_id"]: f"{one['domain']}/{tier(one) or 'none'}" for one in documents()}
    samples = Samples.open(lake[0] / "runs/cells")
    read = samples.consumed(samples.total)
    assert all(cell[doc_id] == source for doc_id, source in read.select("doc_id", "source").iter_rows())
    assert set(read["source"]) == set(WEIGHTS) == {one["name"] for one in frozen.lock["sources"]}
    for one in frozen.lock["sources"]:
        assert abs(one["samples"] - WEIGHTS[one["name"]] * samples.total) < 1
        assert one["documents"] == len({doc for doc, source in cell.items() if source == one["name"]} & kept_in_training(frozen, lake))
    assert frozen.lock["by"] == BY
    assert {row["source"] for row in frozen.tables["mixture_source"]} == set(WEIGHTS)


def kept_in_training(frozen: Any, lake: Lakes) -> set[str]:
    held = set(Samples.open(lake[0] / "runs/cells").held_out_documents()["doc_id"])
    assert held, "nothing is held out"
    return {one["doc_id"] for one in documents() if one["kept"]} - held


def test_the_hold_out_is_the_mixtures_by_domain(lake: Lakes, frozen: Any) -> None:
    domain = freeze(*lake, run="domain")
    assert frozen.lock["held_out"] == domain.lock["held_out"]


def test_by_domain_is_what_it_was(lake: Lakes) -> None:
    """No key, no order, no address of a lock by domain knows of cells."""
    one, two = freeze(*lake, run="plain"), freeze(*lake, run="listed", by=["domain"])
    assert one.sha256 == two.sha256 and "by" not in one.lock
    assert [source["name"] for source in one.lock["sources"]] == ["books", "code", "web"]


def test_other_cells_tokenise_nothing(lake: Lakes, frozen: Any) -> None:
    there = {path: path.stat().st_mtime_ns for path in lake[0].glob("shards/*/*")}
    made = freeze(*lake, run="tiers", by="ensemble.tier", phases=[{"weights": {"high": 0.5, "low": 0.5}}], budget=5_000)
    assert [one["name"] for one in made.lock["sources"]] == ["high", "low"] and made.lock["by"] == ["ensemble.tier"]
    assert there == {path: path.stat().st_mtime_ns for path in lake[0].glob("shards/*/*")}


def test_a_shared_hold_out_is_of_the_domains_that_have_a_cell(lake: Lakes) -> None:
    made = freeze(*lake, run="held", **{**CELLS, "phases": [{"weights": {"web/high": 1.0}}], "budget": 2_000, "held_out": lake[1], "hold_out": 0.05})
    assert [one["name"] for one in made.lock["held_out"]["domains"]] == ["web"]


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"phases": [{"weights": {"web/hihg": 1.0}}]}, "mix.base: no source 'web/hihg' in what is mixed; did you mean 'web/high'?"),
        ({"by": ["domain", "ensemble.teir"]}, "mix.base: by: ensemble.teir: corpus has no such column; did you mean 'tier'?"),
        ({"by": ["domain", "ensmble.tier"]}, "mix.base: by: ensmble.tier: corpus has no family 'ensmble'; did you mean 'ensemble'?; add the stage"),
        ({"by": ["domain", "ensemble.score"]}, "mix.base: by: ensemble.score is a double; cells are of text, whole numbers, or true and false"),
        ({"by": ["domain", "domain"]}, "mix.base: by: ['domain', 'domain'] names nothing, or one column twice"),
        ({"by": "domian"}, "mix.base: by: 'domian' is neither domain nor dataset nor a column such as ensemble.tier; did you mean 'domain'?"),
        ({"max_epochs": {"web/hihg": 2}}, "mix.base: max_epochs: no source 'web/hihg' in what is mixed; did you mean 'web/high'?"),
        ({"budget": 200_000}, "mix.base: books/high is short"),
    ],
)
def test_a_wrong_cell_is_refused_before_anything_is_tokenised(knobs: dict[str, Any], says: str, lake: Lakes, monkeypatch: pytest.MonkeyPatch) -> None:
    if "budget" not in knobs:                                # that one is known when tokens are counted
        monkeypatch.setattr(mix, "build", None)
        monkeypatch.setattr(mix, "_tokenizer", None)
    with pytest.raises((RecipeError, InputError)) as told:
        freeze(*lake, run="wrong", **{**CELLS, **knobs})
    assert str(told.value).startswith(says), told.value


def test_a_column_that_only_some_files_have_is_refused_with_their_number(tmp_path: Path) -> None:
    found = snapshot(tmp_path, documents())
    first, *rest = found.files
    less = type(first)(first.id, first.path, first.rows, first.bytes, first.ids, first.root, tuple(a for a in first.annotations if a.family != "ensemble"))
    with pytest.raises(InputError, match=r"corpus has no family 'ensemble' in 1 of its 3 files"):
        cells.check({"corpus": type(found)(**{**vars(found), "files": (less, *rest)})}, BY, "")


# From a recipe

RECIPE = """name: x
seed: 1
lake: lake
ingest:
  notes: {tables: {paths: [notes.jsonl]}, domain: web}
  tales: {tables: {paths: [tales.jsonl]}, domain: books}
curate:
  corpus: {from: [notes, tales], stages: [language.identify], dedup: {exact: {}}}
mix:
  base:
    from: corpus
    by: [domain, language.code]
    tokenizer: {train: {vocab: 300}}
    context: 32
    budget: 3k
    weights: {web: {en: .5, de: .2}, books: {en: .3}}
    max_epochs: {web: {en: 3, de: 3}, books/en: 3}
train:
  base: {act: pretrain, mix: base, model: tiny, batch: 8, precision: fp32, threads: 1}
"""
GERMAN = "Der Müller am Fluss hat sein Korn gemahlen und dann das Mehl in die Stadt gebracht, wo die Bäcker schon auf ihn warteten. Nummer {}."


def test_nested_weights_are_cells() -> None:
    assert flat({"web": {"high": 0.5, "low": {"x": 0.1}}, "books/high": 0.4}) == {"web/high": 0.5, "web/low/x": 0.1, "books/high": 0.4}


def written(home: Path, text: str) -> Path:
    (home / "x.yaml").write_text(text, encoding="utf-8")
    return home / "x.yaml"


def test_a_column_that_no_stage_computes_is_refused_with_its_line(tmp_path: Path) -> None:
    given = load(written(tmp_path, RECIPE)).part("mix.base").given
    assert given["by"] == ["domain", "language.code"]
    assert given["phases"] == [{"until": 1.0, "weights": {"web/en": 0.5, "web/de": 0.2, "books/en": 0.3}}]
    assert given["max_epochs"] == {"web/en": 3, "web/de": 3, "books/en": 3}
    with pytest.raises(RecipeError, match=r"x.yaml:12: by: langauge.code: no stage of curate.corpus computes 'langauge'; did you mean 'language'\?"):
        load(written(tmp_path, RECIPE.replace("[domain, language.code]", "langauge.code")))
    with pytest.raises(RecipeError, match=r"x.yaml:12: by: 'domian' is neither domain nor dataset nor a column such as ensemble.tier; did you mean 'domain'\?"):
        load(written(tmp_path, RECIPE.replace("[domain, language.code]", "[domian, language.code]")))


@pytest.mark.slow
def test_cells_from_the_recipe_to_the_trace(tmp_path: Path) -> None:
    english = [{"text": prose(f"note {i}"), "uri": f"https://h{i}.example/"} for i in range(60)]
    german = [{"text": " ".join(GERMAN.format(i * 7 + k) for k in range(6)), "uri": f"https://d{i}.example/"} for i in range(20)]
    for name, found in (("notes", english + german), ("tales", [{"text": prose(f"tale {i}"), "uri": f"t{i}"} for i in range(40)])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    said = headrace("run", written(tmp_path, RECIPE), timeout=300)
    assert said.code == 0, said.err
    wanted = {"web/en": 0.5, "web/de": 0.2, "books/en": 0.3}
    with Lake.open(tmp_path / "lake") as lake:
        planned = lake.rows("SELECT source, weight, tokens FROM main.mixture_source ORDER BY source")
    assert {row["source"]: row["weight"] for row in planned} == wanted
    traced = json.loads(headrace("trace", "base", "--json", "--lake", tmp_path / "lake").out)
    read: Counter[str] = Counter()
    for row in traced:
        assert row["cell"].startswith(f"{row['domain']}/")
        read[row["cell"]] += row["tokens"]
    assert {cell: round(n / read.total(), 1) for cell, n in read.items()} == wanted
    shown = headrace("plan", tmp_path / "x.yaml").out
    assert all(f"{cell} " in shown for cell in wanted), shown
    (page,) = (tmp_path / "lake").rglob("report.html")
    assert all(f">{cell}<" in page.read_text(encoding="utf-8") for cell in wanted)
