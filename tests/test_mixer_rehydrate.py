"""Documents that had copies are read again in each epoch: shares counted by hand, the plan, the lock, the order, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from demo_run import headrace
from mixer_making import documents, freeze, snapshot
from river_making import prose

from catalog.errors import InputError, RecipeError
from catalog.files import Snapshot
from catalog.lake import Lake
from catalog.recipe import load
from mixer import mix, mixture
from mixer.samples import Samples

BANDS = {2: 1, 5: 2, 20: 3}
SIZES = {0: 20, 1: 19, 2: 5, 4: 4, 5: 2, 6: 1, 7: 1000, 8: None}
"""The copies of a document whose number ends so; 3 is dropped, 9 has none."""
READ = {0: 3, 1: 2, 2: 2, 7: 3}
CODE: dict[str, Any] = {"phases": [{"weights": {"code": 1.0}}], "hold_out": 0.0, "budget": 6_400, "max_epochs": 2}
Lakes = tuple[Path, dict[str, Snapshot]]


def copied() -> list[dict[str, Any]]:
    """The documents with how many copies there were of each."""
    return [{**one, "size": SIZES.get(i % 10, 1), "copies": 2 if i % 10 == 9 else None} for i, one in enumerate(documents())]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lakes:
    root = tmp_path_factory.mktemp("lake")
    return root, {"corpus": snapshot(root, copied())}


@pytest.fixture(scope="module")
def frozen(lake: Lakes) -> Any:
    return freeze(*lake, run="again", rehydrate=BANDS, **CODE)


@pytest.fixture(scope="module")
def samples(lake: Lakes, frozen: Any) -> Samples:
    return Samples.open(lake[0] / "runs/again")


def lengths(samples: Samples) -> dict[str, int]:
    """The tokens of each document of the only source, once."""
    (source,) = samples.sources
    names = [shard.documents()["doc_id"] for shard in source.shards]
    return {names[s][row]: n for s, row, _, n in source.documents.tolist()}


def expected() -> dict[str, int]:
    """How often an epoch reads each document of code that is kept."""
    return {one["doc_id"]: READ.get(i % 10, 1) for i, one in enumerate(copied()) if one["domain"] == "code" and one["kept"]}


def test_an_epoch_reads_each_document_as_often_as_its_band_says(frozen: Any, samples: Samples) -> None:
    (source,), long, often = samples.lock["sources"], lengths(samples), expected()
    assert set(long) == set(often) and source["documents"] == 90 and source["readings"] == sum(often.values()) == 90 + 10 * (2 + 1 + 1 + 2)
    assert source["tokens"] == sum(long[one] * times for one, times in often.items())
    assert source["rows"] == (source["tokens"] - 1) // 32 and source["epochs"] == 200 / source["rows"]
    sizes = [shard.documents()["n_bytes"] for shard in samples.sources[0].shards]
    assert source["bytes"] == sum(sizes[shard][row] for shard, row in samples.sources[0].documents[:, :2].tolist())
    (planned,) = frozen.planned
    assert (planned.available, planned.epochs) == (source["tokens"], source["epochs"])
    assert frozen.lock["rehydrate"] == {"by": "dup.size", "times": [[2, 1], [5, 2], [20, 3]]}
    assert frozen.notes[-2] == f"rehydrate: an epoch reads 90 documents 150 times: {source['tokens']:,} tokens of {sum(long.values()):,}"


def test_tokens_seen_count_each_reading(lake: Lakes) -> None:
    """Over a whole epoch all that is not read of all readings is less than a row."""
    rows = freeze(*lake, run="counted", rehydrate=BANDS, **CODE).lock["sources"][0]["rows"]
    freeze(*lake, run="epoch", rehydrate=BANDS, **{**CODE, "budget": rows * 32})
    found = Samples.open(lake[0] / "runs/epoch")
    read, long = dict(found.consumed(found.total).select("doc_id", "tokens").iter_rows()), lengths(found)
    short = {one: long[one] * times - read[one] for one, times in expected().items()}
    assert min(short.values()) >= 0 and 0 < sum(short.values()) <= 32
    assert sum(n == 0 for n in short.values()) >= 88, "only the last documents may be cut"
    by_sample = sum(one["tokens"] for index in range(found.total) for one in found.documents(index))
    assert by_sample == sum(read.values()) == rows * 32


def test_more_tokens_bear_a_larger_budget(lake: Lakes) -> None:
    freeze(*lake, run="more", rehydrate=BANDS, **{**CODE, "budget": 7_300, "max_epochs": 1})
    with pytest.raises(InputError, match="code is short"):
        freeze(*lake, run="more", **{**CODE, "budget": 7_300, "max_epochs": 1})


def test_without_the_key_a_lock_is_what_it_was(lake: Lakes, frozen: Any) -> None:
    plain, none = freeze(*lake, run="plain", **CODE), freeze(*lake, run="none", rehydrate=None, **CODE)
    assert plain.sha256 == none.sha256
    assert set(frozen.lock) - set(plain.lock) == {"rehydrate"}
    assert set(frozen.lock["sources"][0]) - set(plain.lock["sources"][0]) == {"readings"}
    assert set(plain.tables["mixture"][0]) == set(frozen.tables["mixture"][0]) - {"rehydrate"}
    others = [freeze(*lake, run=f"other{i}", rehydrate=one, **CODE).sha256 for i, one in enumerate(({5: 2}, {5: 3}, {2: 2, 5: 2}))]
    assert len({plain.sha256, frozen.sha256, *others}) == 5


def test_nothing_is_tokenised_or_stored_again(lake: Lakes, frozen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    there = {path: path.stat().st_mtime_ns for path in (*lake[0].glob("shards/*/*"), *lake[0].glob("models/*/*"))}
    monkeypatch.setattr(mix, "_train", None)
    freeze(*lake, run="stored", rehydrate={3: 7}, **CODE)
    assert there == {path: path.stat().st_mtime_ns for path in (*lake[0].glob("shards/*/*"), *lake[0].glob("models/*/*"))}


def test_the_stream_goes_on_from_any_sample(lake: Lakes, frozen: Any, samples: Samples) -> None:
    again = freeze(*lake, run="same", rehydrate={"times": BANDS}, **CODE)
    assert again.sha256 == frozen.sha256
    whole = samples.batch(np.arange(samples.total))
    for k in range(samples.total):
        later = Samples.open(lake[0] / "runs/same").batch(np.arange(k, min(k + 4, samples.total)))
        assert all(np.array_equal(later[name], whole[name][k : k + 4]) for name in whole), k
    before, rest = samples.consumed(77), samples.consumed(samples.total)
    assert before["tokens"].sum() == 77 * 32 and rest["tokens"].sum() == samples.total * 32


def test_two_readings_meet_as_often_as_chance_has_it(lake: Lakes) -> None:
    """Of 180 readings in a random order, two given ones stand beside each other with 2/180: one pair of 90 an epoch."""
    freeze(*lake, run="twice", rehydrate={1: 2}, by="domain", **CODE)
    (source,) = Samples.open(lake[0] / "runs/twice").sources
    rows, meet, epochs = source.documents[:, :2], 0, 400
    for epoch in range(epochs):
        order, _ = source._laid(epoch)
        meet += int((rows[order][1:] == rows[order][:-1]).all(1).sum())
    readings = len(order)
    chance = epochs * (readings - len(np.unique(rows, axis=0))) * 2 / readings
    assert readings == 170 and 0.8 * chance < meet < 1.2 * chance


def test_what_is_held_out_stays_so_and_is_not_trained_on(lake: Lakes) -> None:
    knobs = {"budget": 9_000, "max_epochs": 4}
    plain, again = freeze(*lake, run="held", **knobs), freeze(*lake, run="held_again", rehydrate=BANDS, **knobs)
    assert again.lock["held_out"] == plain.lock["held_out"] and again.counts == plain.counts
    found = Samples.open(lake[0] / "runs/held_again")
    held = found.held_out_documents()["doc_id"].to_list()
    assert held and len(set(held)) == len(held)
    assert any(one["size"] == 20 for one in copied() if one["doc_id"] in held), "nothing that would be read again is held out"
    assert not set(held) & set(found.consumed(found.total)["doc_id"])


def test_another_column_and_one_dataset_of_two(lake: Lakes, tmp_path: Path) -> None:
    by = freeze(*lake, run="copies", rehydrate={"by": "dup.copies", "times": {2: 5}}, **CODE)
    assert by.lock["sources"][0]["readings"] == 80 + 10 * 5
    two = {"corpus": snapshot(tmp_path, copied()), "plain": snapshot(tmp_path, documents()[:100], annotated=False, name="plain")}
    shares = {"by": "dataset", "phases": [{"weights": {"corpus": 0.5, "plain": 0.5}}], "hold_out": 0.0, "budget": 4_000}
    lacking = r"mix.base: rehydrate: dup.size: plain has no family 'dup'; give the part .* dedup:, and run that again; or name in of:"
    with pytest.raises(InputError, match=lacking):
        freeze(tmp_path, two, run="all", rehydrate=BANDS, **shares)
    made = freeze(tmp_path, two, run="one", rehydrate={"of": "corpus", "times": {20: 2}}, **shares)
    assert {one["name"]: (one["documents"], one["readings"]) for one in made.lock["sources"]} == {"corpus": (666, 814), "plain": (100, 100)}
    assert made.lock["rehydrate"] == {"by": "dup.size", "times": [[20, 2]], "of": ["corpus"]}


def test_copies_that_a_policy_keeps_are_said(lake: Lakes) -> None:
    """Documents 0 and 1, 20 and 21 and so on are clusters of two that no policy parted."""
    found = freeze(*lake, run="kept", rehydrate={19: 2}, **{**CODE, "phases": [{"weights": {"web": 1.0}}]})
    assert found.notes[-1] == "rehydrate: 20 clusters keep more than one document, and each of these is read again; let the policy drop duplicates"


def test_the_plan_counts_readings_before_anything_is_tokenised(lake: Lakes) -> None:
    knobs: dict[str, Any] = {"budget": 6_400, "phases": [{"weights": {"code": 1.0}}], "name": "base", "context": 32, "max_epochs": 1}
    plain, again = mix.plan(lake[1], **knobs), mix.plan(lake[1], rehydrate=BANDS, **knobs)
    sizes = {one["doc_id"]: len(one["text"].encode()) for one in copied()}
    code = next(one for one in again.supplies if one.name == "code")
    each = sum(sizes[one] * times for one, times in expected().items())
    assert (code.documents, code.readings, code.tokens, code.rows) == (90, 150, each // 4, mixture.rows(each // 4, 32))
    assert {one.readings for one in plain.supplies} == {None} and again.planned[0].epochs < plain.planned[0].epochs
    assert again.shard_bytes == plain.shard_bytes, "a shard holds each document once"
    cells = mix.plan(lake[1], rehydrate=BANDS, **{**knobs, "by": ["domain", "dup.size"], "phases": [{"weights": {"code/20": 1.0}}]})
    assert {one.name: one.readings for one in cells.supplies if one.name.startswith("code/2")} == {"code/2": 10, "code/20": 30}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"by": "dup.sise", "times": {5: 2}}, "dup.sise: corpus has no such column; did you mean 'size'?"),
        ({"by": "dup.cluster", "times": {5: 2}}, "dup.cluster is a large_string; copies are counted in whole numbers, such as dup.size"),
        ({"by": "dpu.size", "times": {5: 2}}, "dpu.size: corpus has no family 'dpu'; did you mean 'dup'?; add the stage"),
        ({"of": "corpse", "times": {5: 2}}, "of: 'corpse' is not in from:; did you mean 'corpus'?"),
    ],
)
def test_a_column_that_is_not_there_is_refused_before_anything_is_tokenised(
    given: dict[Any, Any], says: str, lake: Lakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mix, "build", None)
    monkeypatch.setattr(mix, "_tokenizer", None)
    with pytest.raises((RecipeError, InputError)) as told:
        freeze(*lake, run="wrong", rehydrate=given, **CODE)
    assert str(told.value).startswith(f"mix.base: rehydrate: {says}"), told.value


# From a recipe

RECIPE = """name: x
seed: 1
lake: lake
ingest:
  notes: {tables: {paths: [notes.jsonl]}, domain: web}
curate:
  corpus: {from: notes, dedup: {exact: {}}, policy: once}
mix:
  base:
    from: corpus
    tokenizer: {train: {vocab: 300}}
    context: 32
    budget: 3k
    weights: {web: 1}
    rehydrate: {5: 2, 20: 3}
train:
  base: {act: pretrain, mix: base, model: tiny, batch: 8, precision: fp32, threads: 1}
"""
POLICY = "keep: [doc_id]\n"
BAND = "{5: 2, 20: 3}"


def written(home: Path, text: str = RECIPE) -> Path:
    (home / "x.yaml").write_text(text, encoding="utf-8")
    (home / "policies").mkdir(exist_ok=True)
    (home / "policies/once.yaml").write_text(POLICY, encoding="utf-8")
    return home / "x.yaml"


def test_a_recipe_without_the_key_has_the_parts_that_it_had(tmp_path: Path) -> None:
    for given in (BAND, '{"5": 2, "20": 3}', '{"times": {"5": 2, "20": 3}}'):
        found = load(written(tmp_path, RECIPE.replace(BAND, given))).part("mix.base").given["rehydrate"]
        assert found == {"by": "dup.size", "times": {5: 2, 20: 3}}
    for text in (RECIPE.replace(f"    rehydrate: {BAND}\n", ""), RECIPE.replace(BAND, "")):
        assert "rehydrate" not in load(written(tmp_path, text)).part("mix.base").given


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("{5: 2.5}", "5: 2.5 is not a whole number from 1: so often a document is read in an epoch"),
        ("{5: 0}", "5: 0 is not a whole number from 1: so often a document is read in an epoch; to leave documents out, drop them in the policy"),
        ("{5: true}", "5: True is not a whole number from 1"),
        ("{5: 2000000}", "5: 2,000,000 times in an epoch are more than 1,000"),
        ("{20: 3, 5: 2}", "5 stands after 20; write sizes from the smallest to the largest"),
        ("{0: 2}", "0 is no number of copies; write {5: 2, 20: 3}"),
        ("{2.5: 2}", "2.5 is no number of copies"),
        ("{}", "{}: write {5: 2, 20: 3}, from how many copies on"),
        ("{bye: dup.size, times: {5: 2}}", "unknown key 'bye'; did you mean 'by'?"),
        ("{by: dup.copies}", "needs times: beside by:, such as times: {5: 2, 20: 3}"),
        ("{times: 3}", "times: 3 is no table of sizes"),
        ("{by: size, times: {5: 2}}", "by: 'size' is no column that counts copies; write dup.size"),
        ("{by: dup.sise, times: {5: 2}}", "dup.sise: the jobs of curate.corpus write no such column; did you mean 'size'?"),
        ("{of: other, times: {5: 2}}", "of: 'other' is not in from:"),
        ("3", "3 is not a mapping"),
    ],
)
def test_a_mistake_is_one_line_when_the_recipe_is_loaded(given: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as told:
        load(written(tmp_path, RECIPE.replace(BAND, given)))
    assert str(told.value).startswith(f"{tmp_path}/x.yaml:15: rehydrate: {says}") and "\n" not in str(told.value), told.value


def test_a_dataset_without_copies_counted_is_refused_when_the_recipe_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"x.yaml:15: rehydrate: dup.size: nothing in curate.corpus computes 'dup'; give the part .* dedup:$"):
        load(written(tmp_path, RECIPE.replace("dedup: {exact: {}}, ", "")))
    with pytest.raises(RecipeError, match=r"x.yaml:15: rehydrate: dup.size: nothing in ingest.notes computes 'dup'"):
        load(written(tmp_path, RECIPE.replace("    from: corpus", "    from: [corpus, notes]")))
    copies = RECIPE.replace(BAND, "{by: dup.copies, times: {5: 2}}")
    with pytest.raises(RecipeError, match=r"x.yaml:15: rehydrate: dup.copies: the jobs of curate.corpus write no such column; add exact: {} to its dedup:$"):
        load(written(tmp_path, copies.replace("exact", "minhash")))
    load(written(tmp_path, copies))
    load(written(tmp_path, RECIPE.replace("    from: corpus", "    from: [corpus, notes]").replace(BAND, "{of: corpus, times: {5: 2}}")))


@pytest.mark.slow
def test_from_the_recipe_to_the_trace(tmp_path: Path) -> None:
    """40 texts: 30 alone, 8 found six times, 2 found twenty times."""
    found = [{"text": prose(f"note {i}"), "uri": f"https://h{i}-{k}.example/"} for i in range(40) for k in range(1 if i < 30 else 6 if i < 38 else 20)]
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    said = headrace("run", written(tmp_path), timeout=300)
    assert said.code == 0, said.err
    assert "an epoch reads 40 documents 52 times" in said.err + said.out
    assert "web          an epoch reads 40 documents 52 times" in headrace("plan", tmp_path / "x.yaml").out
    with Lake.open(tmp_path / "lake") as lake:
        (planned,) = lake.rows("SELECT tokens, available, epochs FROM main.mixture_source")
        (mixed,) = lake.rows("SELECT rehydrate FROM main.mixture")
        (run,) = lake.rows("SELECT run_folder FROM main.train_run")
    assert json.loads(mixed["rehydrate"]) == {"by": "dup.size", "times": [[5, 2], [20, 3]]}
    assert sum(row["tokens"] for row in json.loads(headrace("trace", "base", "--json", "--lake", tmp_path / "lake").out)) == planned["tokens"]
    samples = Samples.open(tmp_path / "lake" / run["run_folder"])
    assert samples.lock["sources"][0]["tokens"] == planned["available"]
    assert pl.Series(samples.sources[0].documents[:, 1]).value_counts()["count"].sort().to_list() == [1] * 30 + [2] * 8 + [3] * 2
