"""Freezing a mixture of documents and reading its samples: spans, shards, hold-out, lock, and the same stream for everyone."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixer_making import KNOBS, PHASES, SECRET, documents, freeze, row, snapshot

from catalog.errors import InputError, LakeError, RecipeError
from catalog.files import Snapshot
from mixer import mix, shards, unigram
from mixer.rendering import IGNORED
from mixer.samples import Samples
from mixer.tokenizer import Tokenizer, load


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Snapshot]]:
    root = tmp_path_factory.mktemp("lake")
    return root, {"corpus": snapshot(root, documents())}


@pytest.fixture(scope="module")
def frozen(lake: tuple[Path, dict[str, Snapshot]]) -> Any:
    return freeze(*lake)


@pytest.fixture(scope="module")
def samples(lake: tuple[Path, dict[str, Snapshot]], frozen: Any) -> Samples:
    return Samples.open(lake[0] / "runs" / "base")


def test_shards_hold_what_the_policy_keeps_with_spans_applied(lake: tuple[Path, dict[str, Snapshot]], frozen: Any) -> None:
    tokenizer = load(lake[0] / "runs/base/tokenizer")
    kept = [one for one in documents() if one["kept"]]
    found, texts = [], []
    for shard in shards.build(lake[1]["corpus"], tokenizer):
        rows = shard.documents()
        found += rows["doc_id"].to_list()
        for i in range(rows.height):
            ids = shard.tokens[shard.index[i] : shard.index[i + 1]]
            assert ids[-1] == tokenizer.eos and tokenizer.eos not in ids[:-1]
            texts.append(tokenizer.decode(ids[:-1]))
            assert rows["n_bytes"][i] == len(texts[-1].encode())
    assert found == [one["doc_id"] for one in kept]
    assert texts == [one["text"].replace(SECRET, "<EMAIL>") for one in kept]
    assert not any("who@" in token for token in tokenizer.coder.get_vocab())


def test_what_the_policy_cuts_is_not_tokenised(lake: tuple[Path, dict[str, Snapshot]], frozen: Any, tmp_path: Path) -> None:
    tokenizer, some = load(lake[0] / "runs/base/tokenizer"), documents()[:12]
    (shard,) = shards.build(snapshot(tmp_path, some, cut=("c4.cuts",)), tokenizer)
    found = [tokenizer.decode(shard.tokens[start : end - 1]) for start, end in zip(shard.index, shard.index[1:], strict=False)]
    assert found == [one["text"].partition(" ")[2].replace(SECRET, "<EMAIL>") for one in some if one["kept"]]
    assert shard.about["spans"] == {"mask": {"pii": "tag"}, "cut": ["c4.cuts"]}


def test_nothing_is_tokenised_twice(lake: tuple[Path, dict[str, Snapshot]], frozen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    times = {path: path.stat().st_mtime_ns for path in lake[0].glob("shards/*/*")}
    monkeypatch.setattr(mix, "_train", None)
    again = freeze(*lake, run="again")
    assert again.sha256 == frozen.sha256
    assert times == {path: path.stat().st_mtime_ns for path in lake[0].glob("shards/*/*")}
    assert not list(lake[0].glob("shards/.*")) and not list(lake[0].glob("models/.*"))


def test_a_killed_shard_leaves_nothing_and_the_rest_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"corpus": snapshot(tmp_path, documents())}
    real, calls = shards._facts, []

    def dies(*given: Any) -> pl.DataFrame:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(shards, "_facts", dies)
    with pytest.raises(KeyboardInterrupt):
        freeze(tmp_path, made)
    assert len(list(tmp_path.glob("shards/*/shard.json"))) == 1
    assert not list(tmp_path.glob("shards/.*")) and not (tmp_path / "runs").exists()
    freeze(tmp_path, made)
    assert len(calls) == 2 + 2  # the second and third file; the first was done


def test_the_lock_names_its_plan(frozen: Any) -> None:
    lock = frozen.lock
    assert lock["samples"] == 30_000 // 32 == sum(one["samples"] for one in lock["sources"])
    assert [one["name"] for one in lock["sources"]] == ["books", "code", "web"]
    assert lock["phases"] == [{"samples": 750, "weights": PHASES[0]["weights"]}, {"samples": 187, "weights": PHASES[1]["weights"]}]
    assert {(row.phase, row.source) for row in frozen.planned} == {(0, "books"), (0, "code"), (0, "web"), (1, "books"), (1, "web")}
    assert sum(row.samples for row in frozen.planned) == lock["samples"]
    assert frozen.tables["mixture"][0]["lock"] == frozen.sha256
    assert len(frozen.tables["mixture_source"]) == 5
    assert sum(one["documents"] for one in frozen.counts) == sum(one["kept"] for one in documents())


def test_a_lake_that_moved_has_the_same_lock_and_stream(tmp_path: Path, frozen: Any, samples: Samples) -> None:
    (tmp_path / "a").mkdir()
    made = freeze(tmp_path / "a", {"corpus": snapshot(tmp_path / "a", documents())})
    assert made.sha256 == frozen.sha256
    os.rename(tmp_path / "a", tmp_path / "b")
    moved = Samples.open(tmp_path / "b/runs/base")
    assert np.array_equal(moved.batch(np.arange(64))["tokens"], samples.batch(np.arange(64))["tokens"])


def test_any_change_changes_the_lock_and_an_edited_one_is_refused(lake: tuple[Path, dict[str, Snapshot]], frozen: Any) -> None:
    shas = {frozen.sha256}
    changes: list[dict[str, Any]] = [{"seed": 8}, {"budget": 30_032}, {"context": 64}, {"hold_out": 0.1}, {"phases": [{"weights": {"web": 1.0}}]}]
    for i, knobs in enumerate(changes):
        shas.add(freeze(*lake, run=f"change-{i}", **knobs).sha256)
    assert len(shas) == 6
    folder = lake[0] / "runs/change-0"
    (folder / "lock.json").write_text((folder / "lock.json").read_text().replace('"seed": 8', '"seed": 9'))
    with pytest.raises(InputError, match="was changed since it was frozen; run the mix part again"):
        Samples.open(folder)
    (lake[0] / "runs/change-1/tokenizer/tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="is not the tokenizer that the lock names"):
        Samples.open(lake[0] / "runs/change-1")
    with pytest.raises(InputError, match="no frozen mixture"):
        Samples.open(lake[0])


def test_a_run_with_checkpoints_keeps_its_mixture(lake: tuple[Path, dict[str, Snapshot]]) -> None:
    freeze(*lake, run="kept")
    done = lake[0] / "runs/kept/checkpoints/step-00000001"
    done.mkdir(parents=True)
    (done / "manifest.json").write_text("{}")
    before = {path: path.read_bytes() for path in (lake[0] / "runs/kept/tokenizer").iterdir()}
    freeze(*lake, run="kept")
    with pytest.raises(LakeError, match="holds checkpoints of another mixture"):
        freeze(*lake, run="kept", seed=9)
    assert before == {path: path.read_bytes() for path in before}
    assert Samples.open(lake[0] / "runs/kept").lock["seed"] == 7


def lived(samples: Samples, index: int) -> list[tuple[str, list[int]]]:
    """One sample the slow way: source, and its documents one by one from the shards."""
    found = samples.batch(np.array([index]))
    rows = np.split(found["tokens"][0], np.flatnonzero(found["positions"][0] == 0)[1:])
    return [(one["doc_id"], row.tolist()) for one, row in zip(samples.documents(index), rows, strict=True)]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 936))
def test_a_sample_is_made_of_its_documents_and_never_looks_across(samples: Samples, index: int) -> None:
    batch = samples.batch(np.array([index]))
    tokens, labels, positions = (batch[name][0] for name in ("tokens", "labels", "positions"))
    starts = np.flatnonzero(positions == 0)
    ends = np.append(starts[1:], tokens.size)
    for start, end in zip(starts, ends, strict=True):
        assert np.array_equal(positions[start:end], np.arange(end - start))
        assert np.array_equal(labels[start : end - 1], tokens[start + 1 : end])
        assert (labels[end - 1] == IGNORED) == (tokens[end - 1] == samples.lock["eos"])
    about = samples.documents(index)
    assert [one["tokens"] for one in about] == (ends - starts).tolist()
    whole = {one["doc_id"]: one["text"].replace(SECRET, "<EMAIL>") for one in documents()}
    tokenizer = load(samples.folder / "tokenizer")
    for doc, ids in lived(samples, index):
        assert tokenizer.decode([i for i in ids if i != tokenizer.eos]).strip("\ufffd") in whole[doc]
    assert {one["source"] for one in about} == {samples.names[int(batch["source"][0])]} == {one["domain"] for one in about}


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 9), st.integers(0, 60))
def test_the_stream_is_the_same_for_any_world_batch_and_resume(samples: Samples, world: int, size: int, start: int) -> None:
    whole = samples.batch(np.arange(start, start + world * size * 3))
    for name, array in whole.items():
        again = np.empty_like(array)
        for step in range(3):
            for rank in range(world):
                mine = np.arange(step * world * size + rank, (step + 1) * world * size, world)
                again[mine] = samples.batch(start + mine)[name]
        assert np.array_equal(array, again)
    later = Samples.open(samples.folder).batch(np.arange(start + world, start + world * size * 3))
    assert np.array_equal(later["tokens"], whole["tokens"][world:])


def test_an_epoch_shows_each_row_once_and_the_next_in_another_order(lake: tuple[Path, dict[str, Snapshot]]) -> None:
    freeze(*lake, run="epochs", phases=[{"weights": {"code": 1.0}}], budget=25_000, max_epochs=9, hold_out=0.0)
    found = Samples.open(lake[0] / "runs/epochs")
    source = found.sources[0]
    seen = []
    for epoch in range(2):
        tokens = Counter[str]()
        for index in range(epoch * source.rows, (epoch + 1) * source.rows):
            for one in found.documents(index):
                tokens[one["doc_id"]] += one["tokens"]
        assert 0 <= source.documents[:, 3].sum() - 1 - sum(tokens.values()) < found.context
        assert all(tokens[one["doc_id"]] <= length for one, length in lengths(found))
        seen.append(found.batch(np.arange(epoch * source.rows, (epoch + 1) * source.rows))["tokens"])
    assert not np.array_equal(seen[0], seen[1])
    assert not {tuple(row) for row in seen[0].tolist()} <= {tuple(row) for row in seen[1].tolist()}


def lengths(samples: Samples) -> list[tuple[dict[str, Any], int]]:
    """Every document of the first source with its tokens."""
    source = samples.sources[0]
    return [(source.shards[int(shard)].documents().row(int(row), named=True), int(n)) for shard, row, _, n in source.documents]


def test_the_hold_out_shares_nothing_with_training(lake: tuple[Path, dict[str, Snapshot]], frozen: Any, samples: Samples) -> None:
    rows = {one["doc_id"]: one for one in documents()}
    held = held_ids(samples)
    trained = {one["doc_id"] for index in range(samples.total) for one in samples.documents(index)}
    assert held and not held & trained
    for key in ("host", "cluster", "origin_hash"):
        assert not {rows[one][key] for one in held} & {rows[one][key] for one in trained} - {None}
    assert {rows[one]["domain"] for one in held} >= {"web", "code"}


def held_ids(samples: Samples) -> set[str]:
    held = samples.lock["held_out"]
    table = np.load(samples.folder / held["list"])
    return {shards.open_shard(samples.lock["root"], held["shards"][shard]).documents()["doc_id"][int(row)] for shard, row in table[:, :2]}


def test_the_hold_out_is_read_once_and_its_bytes_are_the_texts(samples: Samples) -> None:
    rows = {one["doc_id"]: one for one in documents()}
    tokenizer = load(samples.folder / "tokenizer")
    held = sorted(held_ids(samples))
    texts = [rows[one]["text"].replace(SECRET, "<EMAIL>") for one in held]
    firsts = sum(int(tokenizer.token_bytes[ids[0]]) for ids in tokenizer.encode(texts))
    for size in (1, 7, 1000):
        batches = list(samples.held_out(size))
        assert sum(one["bytes"] for one in batches) == sum(len(one.encode()) for one in texts) - firsts
        assert all(one["tokens"].shape == one["labels"].shape == one["positions"].shape for one in batches)
        assert sum(int((one["labels"] != IGNORED).sum()) for one in batches) == samples.lock["held_out"]["tokens"] - 2 * len(held)
    domains = {name for name, n in zip(samples.held_out_domains, np.bincount(np.concatenate([one["source"] for one in batches])), strict=True) if n}
    assert domains == {rows[one]["domain"] for one in held}


def test_the_unigram_table_is_the_textbook_one(samples: Samples) -> None:
    counts = Counter[int]()
    for index in range(samples.total):
        counts.update(label for label in samples.batch(np.array([index]))["labels"][0].tolist() if label != IGNORED)
    size = samples.token_bytes.size
    total, bits, n_bytes = sum(counts.values()) + size, 0.0, 0
    for batch in samples.held_out(16):
        labels = batch["labels"][batch["labels"] != IGNORED]
        bits -= sum(np.log2((counts[label] + 1) / total) for label in labels.tolist())
        n_bytes += batch["bytes"]
    found = unigram.bits_per_byte(samples)
    assert found["all"] == pytest.approx(bits / n_bytes)
    assert set(found) == {"all", *samples.held_out_domains}
    assert 0.5 < found["all"] < 6


def test_what_was_consumed_is_what_the_samples_say(samples: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mixer.samples.CHUNK", 100)
    for stop in (0, 1, 333, 10**6):
        tokens = Counter[str]()
        for index in range(min(stop, samples.total)):
            for one in samples.documents(index):
                tokens[one["doc_id"]] += one["tokens"]
        found = samples.consumed(stop)
        assert dict(zip(found["doc_id"], found["tokens"], strict=True)) == tokens
        assert found["tokens"].sum() == min(stop, samples.total) * samples.context
    assert found.columns == ["source", "doc_id", "dataset", "domain", "host", "uri", "license", "tokens"]


def test_shares_are_those_of_the_phases(samples: Samples) -> None:
    sources = samples.batch(np.arange(samples.total))["source"]
    for part, phase in ((sources[:750], PHASES[0]), (sources[750:], PHASES[1])):
        for i, name in enumerate(samples.names):
            assert abs(np.sum(part == i) - part.size * phase["weights"].get(name, 0)) < 1


def test_datasets_can_be_the_sources(lake: tuple[Path, dict[str, Snapshot]], tmp_path: Path) -> None:
    more = snapshot(tmp_path, [row(i, "web", f"n{i}.org", f"https://n{i}.org") for i in range(1000, 1300)], annotated=False, name="news")
    both = {"corpus": snapshot(tmp_path, documents()), "news": more}
    found = freeze(tmp_path, both, by="dataset", phases=[{"weights": {"corpus": 0.5, "news": 0.5}}], budget=20_000)
    assert [one["name"] for one in found.lock["sources"]] == ["corpus", "news"]
    samples = Samples.open(tmp_path / "runs/base")
    assert {one["dataset"] for index in range(0, 200, 9) for one in samples.documents(index)} == {"corpus", "news"}


def test_the_plan_estimates_without_writing(lake: tuple[Path, dict[str, Snapshot]], frozen: Any) -> None:
    before = sorted(lake[0].rglob("*"))
    knobs: dict[str, Any] = {name: KNOBS[name] for name in ("budget", "phases", "name", "context", "hold_out", "max_epochs")}
    plan = mix.plan(lake[1], **knobs)
    assert plan.short is None
    assert [(row.phase, row.source, row.samples) for row in plan.planned] == [(row.phase, row.source, row.samples) for row in frozen.planned]
    short = mix.plan(lake[1], **{**knobs, "budget": 10**6}).short
    assert short is not None and short.startswith("mix.base: books is short")
    assert sorted(lake[0].rglob("*")) == before


def test_text_that_no_tokenizer_can_make_suffice_is_refused_before_the_work(lake: tuple[Path, dict[str, Snapshot]], frozen: Any, tmp_path: Path) -> None:
    knobs: dict[str, Any] = {name: KNOBS[name] for name in ("phases", "name", "context", "max_epochs")}
    one = [{"weights": {"web": 1.0}}]
    kept = [len(row["text"].replace(SECRET, "<EMAIL>").encode()) for row in documents() if row["kept"] and row["domain"] == "web"]
    most = (sum(kept) + len(kept) - 1) // KNOBS["context"] * KNOBS["context"] * 2            # a token a byte, two epochs
    assert not mix.plan(lake[1], **{**knobs, "phases": one}, budget=most).hopeless, "it could be"
    assert mix.plan(lake[1], **{**knobs, "phases": one}, budget=most * 2).hopeless
    assert not mix.plan(lake[1], **knobs, budget=20_000).hopeless
    assert not mix.plan(lake[1], **{**knobs, "phases": one}, budget=most, counted={"web": sum(kept) + len(kept)}).short
    assert mix._added(lake[1]["corpus"]) >= len(documents()) * len("<EMAIL>"), "what masks may add"
    with pytest.raises(InputError, match=r"mix.base: books is short: .* \(tokens are estimated from bytes\)$"):
        freeze(tmp_path, lake[1], budget=10**7)
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="mix.base: books is short: .* or bring more text$"):
        freeze(*lake, run="wrong", budget=10**7, tokenizer={"from": str(next(lake[0].glob("models/tokenizer-*")))})


def test_a_tokenizer_can_come_from_a_folder_or_a_model_of_the_lake(lake: tuple[Path, dict[str, Snapshot]], frozen: Any) -> None:
    model = next(path.name for path in lake[0].glob("models/tokenizer-*"))
    for place in (model, str(lake[0] / "models" / model)):
        assert freeze(*lake, run="from", tokenizer={"from": place}).sha256 == frozen.sha256


@pytest.mark.parametrize(
    ("knobs", "kind", "message"),
    [
        ({"by": "doman"}, RecipeError, "mix.base: by: 'doman' is neither domain nor dataset nor a column such as ensemble.tier; did you mean 'domain'?"),
        ({"tokenizer": {"from": "nowhere"}}, InputError, "mix.base: tokenizer: no tokenizer.json in nowhere or"),
        ({"tokenizer": {"train": {"vocab": 350, "size": 3}}}, RecipeError, "mix.base: tokenizer: train: takes vocab: and bytes:"),
        ({"tokenizer": {"vocab": 3}}, RecipeError, "mix.base: tokenizer: write {train: {vocab: 4096}} or {from: PATH or MODEL}"),
        ({"tokenizer": 3}, RecipeError, "mix.base: tokenizer: write {train: {vocab: 4096}} or {from: PATH or MODEL}"),
        ({"tokenizer": {"train": 3}}, RecipeError, "mix.base: tokenizer: write {train: {vocab: 4096}} or {from: PATH or MODEL}"),
        ({"context": 0}, RecipeError, "mix.base: context: 0; it is a whole number of tokens, 2 or more"),
        ({"budget": -400}, RecipeError, "mix.base: budget: -400; it is a whole number of tokens, 1 or more"),
        ({"hold_out": 1.0}, RecipeError, "mix.base: hold_out: 1.0; it is a share, 0 or more and below 1"),
        ({"hold_out": float("nan")}, RecipeError, "mix.base: hold_out: nan; it is a share"),
        ({"hold_out": -0.1}, RecipeError, "mix.base: hold_out: -0.1; it is a share"),
        ({"max_epochs": "abc"}, RecipeError, "mix.base: max_epochs is 'abc'; write a number above 0"),
        ({"max_epochs": float("nan")}, RecipeError, "mix.base: max_epochs is nan; write a number above 0"),
        ({"max_epochs": {"web": -2}}, RecipeError, "mix.base: max_epochs is -2; write a number above 0"),
        ({"max_epochs": {"boks": 2}}, RecipeError, "mix.base: max_epochs: no source 'boks' in what is mixed; did you mean 'books'?"),
        ({"phases": [{"weights": {"web": float("nan")}}]}, RecipeError, "mix.base: weight of web is nan; weights are 0 or more"),
        ({"phases": [{"weights": {"web": "all"}}]}, RecipeError, "mix.base: weight of web is 'all'; weights are 0 or more"),
        ({"phases": [{"until": float("nan"), "weights": {"web": 1.0}}]}, RecipeError, "mix.base: phase 1: until: nan; it is a share of the budget"),
        ({"budget": 10**6}, InputError, "mix.base: books is short"),
        ({"phases": [{"weights": {"papers": 1.0}}]}, RecipeError, "mix.base: no source 'papers' in what is mixed; there is books, code, web"),
    ],
)
def test_mistakes_are_one_line(lake: tuple[Path, dict[str, Snapshot]], knobs: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as error:
        freeze(*lake, run="wrong", **knobs)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
    assert not (lake[0] / "runs/wrong").exists()


@pytest.mark.parametrize(("knob", "value", "said"), [("context", 0, "context: 0"), ("hold_out", 1, "hold_out: 1"), ("max_epochs", "x", "max_epochs is 'x'")])
def test_the_plan_refuses_what_freezing_would(lake: tuple[Path, dict[str, Snapshot]], knob: str, value: Any, said: str) -> None:
    given = {name: KNOBS[name] for name in ("budget", "phases", "name", "context", "hold_out", "max_epochs")}
    with pytest.raises(RecipeError, match=f"^mix.base: {said}; "):
        mix.plan(lake[1], **{**given, knob: value})


def test_an_empty_snapshot_and_a_wrong_shape_are_refused(tmp_path: Path) -> None:
    nothing = [{**one, "kept": False} for one in documents()[:20]]
    with pytest.raises(InputError, match="^mix.base: nothing is kept of corpus; look at what the policy drops with `headrace show"):
        freeze(tmp_path, {"corpus": snapshot(tmp_path, nothing)})
    chats = snapshot(tmp_path, documents()[:5], name="qa")
    with pytest.raises(RecipeError, match="qa holds chats, not documents; train on it with `on: {qa: 1}`"):
        freeze(tmp_path, {"qa": Snapshot(**{**chats.__dict__, "shape": "chat"})})


def test_large_vocabularies_take_four_bytes_and_give_the_same_tokens(tmp_path: Path, samples: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tokenizer, "dtype", "uint32")
    freeze(tmp_path, {"corpus": snapshot(tmp_path, documents())})
    found = Samples.open(tmp_path / "runs/base")
    assert {shard.about["dtype"] for shard in found.sources[0].shards} == {"uint32"}
    assert np.array_equal(found.batch(np.arange(50))["tokens"], samples.batch(np.arange(50))["tokens"])


def test_tokens_that_were_blanked_are_not_learnt(tmp_path: Path) -> None:
    freeze(tmp_path, {"corpus": snapshot(tmp_path, documents())}, phases=[{"weights": {"code": 1.0}}], budget=3200, hold_out=0.0)
    for path in tmp_path.glob("shards/*"):
        np.zeros(json.loads((path / "shard.json").read_text())["tokens"], np.uint8).tofile(path / "mask.bin")
    assert (Samples.open(tmp_path / "runs/base").batch(np.arange(9))["labels"] == IGNORED).all()
