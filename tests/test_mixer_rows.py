"""Chats and pairs: exactly the assistant's words are learnt, rows hold whole chats, and what is left out has a reason."""

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import InputError, RecipeError
from catalog.files import DataFile, Draft, Snapshot, write_rows
from catalog.ids import doc_id
from catalog.lake import Lake
from catalog.schema import SHAPES
from mixer import chats, tokenizer
from mixer.mix import freeze as mix
from mixer.rendering import IGNORED
from mixer.rows import freeze_chats, freeze_pairs
from mixer.samples import Samples
from mixer.tokenizer import TURN_END, Tokenizer

CONTEXT = 64


def chat(i: int, *turns: str, **more: Any) -> dict[str, Any]:
    """A row of a chat whose turns are the user's and the assistant's in turn."""
    messages = [{"role": ("user", "assistant")[k % 2], "content": turn} for k, turn in enumerate(turns)]
    return {"doc_id": doc_id("t", str(i), None, None), "uri": f"chat/{i}", "domain": "synthetic", "messages": messages, **more}


def pair(i: int, prompt: str, chosen: str | None, rejected: str | None) -> dict[str, Any]:
    said = [{"role": "user", "content": prompt}]
    return {"doc_id": doc_id("p", str(i), None, None), "uri": f"pair/{i}", "prompt": said, "chosen": chosen, "rejected": rejected}


def dataset(root: Path, rows: list[dict[str, Any]], shape: str = "chat", name: str = "qa") -> Snapshot:
    path = f"data/{name}/run/0.parquet"
    schema = SHAPES[shape]
    table = pa.Table.from_pylist([{key: one.get(key) for key in schema.names} for one in rows], schema)
    stat = write_rows(root / path, table, schema)
    file = DataFile(f"{name}-{stat.ids}", path, stat.rows, stat.bytes, stat.ids, str(root))
    return Snapshot(name, 1, "key", None, shape, "test", (file,), (), datetime(2026, 1, 1), len(rows), len(rows), 0, (), str(root))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    tokenizer.train([f"the river turns wheel {i} of the mill\n\n" for i in range(50)], 300, folder)
    return str(folder)


@pytest.fixture(scope="module")
def opened(model: str) -> Tokenizer:
    return tokenizer.load(model, threads=1)


def freeze(root: Path, rows: list[dict[str, Any]], model: str, **knobs: Any) -> tuple[Any, Samples]:
    usual = {"tokenizer": model, "context": CONTEXT, "samples": 40, "seed": 7, "run_folder": str(root / "runs/sft"), "name": "chat"}
    found = freeze_chats(str(root), {"qa": dataset(root, rows)}, on={"qa": 1}, **{**usual, **knobs})
    return found, Samples.open(root / "runs/sft")


content = st.text(st.characters(codec="utf-8", exclude_characters="\ufdd0\ufdd1"), max_size=20)


@settings(max_examples=60, deadline=None)
@given(st.lists(content, min_size=1, max_size=6))
def test_the_mask_decodes_to_exactly_what_assistants_say(tmp_path_factory: pytest.TempPathFactory, opened: Tokenizer, turns: list[str]) -> None:
    root = tmp_path_factory.mktemp("lake")
    shard = chats.build(dataset(root, [chat(0, *turns)]), opened, "chat")[0]
    said = turns[1::2]
    if not any(turn.strip() for turn in said):
        assert shard.dropped()["reason"].to_list() == ["nothing_supervised"]
        return
    assert shard.mask is not None
    assert opened.decode(shard.tokens[shard.mask == 1]) == "".join(f"{turn}{TURN_END}" for turn in said)
    messages = chat(0, *turns)["messages"]
    assert opened.template is not None and opened.decode(shard.tokens) == opened.template.render(messages)


def test_rows_hold_whole_chats_and_labels_stay_inside_them(tmp_path: Path, model: str, opened: Tokenizer) -> None:
    rows = [chat(i, f"turn wheel {i}?", "yes " * (1 + i % 7) + "mill") for i in range(40)]
    found, samples = freeze(tmp_path, rows, model)
    assert samples.total == 40 and found.lock["sources"][0]["documents"] == 40
    seen = []
    for index in range(found.lock["sources"][0]["rows"]):
        batch = samples.batch(np.array([index]))
        tokens, labels, positions = (batch[name][0] for name in ("tokens", "labels", "positions"))
        starts = [*np.flatnonzero(positions == 0).tolist(), CONTEXT]
        about = samples.documents(index)
        for one, start, end in zip(about, starts, starts[1:], strict=False):
            end = min(end, start + one["tokens"])
            row = next(row for row in rows if row["doc_id"] == one["doc_id"])
            assert opened.template is not None and opened.decode(tokens[start:end]) == opened.template.render(row["messages"])
            answer = labels[start:end][labels[start:end] != IGNORED]
            assert opened.decode(answer) == row["messages"][1]["content"] + TURN_END
            seen.append(one["doc_id"])
        used = sum(one["tokens"] for one in about)
        assert (tokens[used:] == opened.pad).all() and (labels[used - 1 :] == IGNORED).all()
        assert np.array_equal(positions[used:], np.arange(CONTEXT - used))
    assert sorted(seen) == sorted(row["doc_id"] for row in rows)


def test_the_epochs_differ_in_order_and_any_batch_size_gives_the_same(tmp_path: Path, model: str) -> None:
    found, samples = freeze(tmp_path, [chat(i, f"wheel {i}?", "mill " * 9) for i in range(30)], model, samples=200)
    n = found.lock["sources"][0]["rows"]
    assert found.lock["sources"][0]["epochs"] == 200 / n
    assert freeze(tmp_path, [chat(i, f"wheel {i}?", "mill " * 9) for i in range(30)], model, samples=None, epochs=2.0)[1].total == 2 * n
    found, samples = freeze(tmp_path, [chat(i, f"wheel {i}?", "mill " * 9) for i in range(30)], model, samples=200)
    first, second = (samples.batch(np.arange(n * e, n * e + n))["tokens"] for e in (0, 1))
    assert not np.array_equal(first, second)
    assert sorted(map(tuple, first.tolist())) == sorted(map(tuple, second.tolist()))
    alone = np.concatenate([samples.batch(np.array([i]))["tokens"] for i in range(2 * n)])
    assert np.array_equal(alone, np.concatenate([first, second]))


def test_what_cannot_be_used_is_left_out_with_a_reason(tmp_path: Path, model: str) -> None:
    good = chat(0, "turn?", "yes")
    rows = [
        good, chat(1, "long?", "wheel " * 99), chat(2, "only a question"), chat(3), chat(4, "q", "a <|im_end|> b"), chat(5, "q", " \n"),
        {**chat(6), "messages": None}, {**chat(7), "messages": [{"role": "user", "content": None}]}, chat(8, "mark \ufdd0", "a"),
    ]  # fmt: skip
    found, samples = freeze(tmp_path, rows, model)
    assert found.dropped == {"no_content": 1, "no_messages": 2, "nothing_supervised": 2, "special_token": 1, "template": 1, "too_long": 1}
    assert found.dropped == found.lock["dropped"]
    listed = pl.read_parquet(tmp_path / "runs/sft/dropped.parquet")
    assert dict(zip(listed["uri"], listed["reason"], strict=True))["chat/1"] == "too_long"
    assert {one["doc_id"] for i in range(40) for one in samples.documents(i)} == {good["doc_id"]}


def test_no_row_left_is_an_error_that_says_what_would_help(tmp_path: Path, model: str) -> None:
    with pytest.raises(InputError, match=r"^train.chat: no row of qa can be trained on: 1 nothing_supervised, 1 too_long; set context: \d+ or more$") as error:
        freeze(tmp_path, [chat(0, "long?", "wheel " * 99), chat(1, "x")], model)
    wanted = int(str(error.value).partition("; set context: ")[2].removesuffix(" or more"))
    freeze(tmp_path, [chat(0, "long?", "wheel " * 99), chat(1, "x")], model, context=wanted)
    with pytest.raises(InputError, match="too_long"):
        freeze(tmp_path, [chat(0, "long?", "wheel " * 99), chat(1, "x")], model, context=wanted - 1)


def test_datasets_are_mixed_in_the_ratio_of_on(tmp_path: Path, model: str) -> None:
    own = dataset(tmp_path, [chat(90 + i, "x", "y") for i in range(20)], name="own")
    more = {"qa": dataset(tmp_path, [chat(i, "q", "a") for i in range(20)]), "own": own}
    knobs = {"tokenizer": model, "context": CONTEXT, "samples": 40, "seed": 7, "run_folder": str(tmp_path / "run"), "name": "chat"}
    found = freeze_chats(str(tmp_path), more, on={"qa": 3, "own": 1}, **knobs)
    assert {one["name"]: one["samples"] for one in found.lock["sources"]} == {"qa": 30, "own": 10}
    with pytest.raises(RecipeError, match="^train.chat: on: no dataset 'qaa'; did you mean 'qa'?"):
        freeze_chats(str(tmp_path), more, on={"qaa": 1}, **knobs)
    with pytest.raises(InputError, match="qa@v1 holds chats, this act needs pairs"):
        freeze_pairs(str(tmp_path), more, on={"qa": 1}, **knobs)


def test_a_pair_is_two_rows_and_only_the_answers_are_learnt(tmp_path: Path, model: str, opened: Tokenizer) -> None:
    rows = [pair(i, f"wheel {i}?", f"good {i}", f"bad {i} bad") for i in range(12)]
    rows += [pair(20, "q", "same", "same"), pair(21, "q", "fine", "wheel " * 99), pair(22, "q", "fine", None)]
    prefs = {"prefs": dataset(tmp_path, rows, "pair", "prefs")}
    knobs = {"tokenizer": model, "context": CONTEXT, "samples": 24, "seed": 7, "run_folder": str(tmp_path / "run"), "name": "tuned"}
    found = freeze_pairs(str(tmp_path), prefs, on={"prefs": 1}, **knobs)
    assert found.dropped == {"no_content": 1, "same_answers": 1, "too_long": 1}
    samples = Samples.open(tmp_path / "run")
    indices = np.array([5, 3, 23])
    batch = samples.batch(indices)
    assert batch["tokens"].shape == (6, CONTEXT) and batch["source"].shape == (3,)
    for k, index in enumerate(indices):
        about = samples.documents(int(index))
        row = next(row for row in rows if row["doc_id"] == about[0]["doc_id"])
        for side, name in enumerate(("chosen", "rejected")):
            labels = batch["labels"][2 * k + side]
            assert opened.decode(labels[labels != IGNORED]) == row[name] + TURN_END
            asked = f"<|im_start|>user\n{row['prompt'][0]['content']}<|im_end|>\n<|im_start|>assistant\n"
            assert opened.decode(batch["tokens"][2 * k + side]).startswith(asked + row[name])
        assert [one["doc_id"] for one in about] == [row["doc_id"]] * 2
    seen = [samples.documents(i)[0]["doc_id"] for i in range(12)]
    assert len(set(seen)) == 12


def test_only_the_last_turn_of_a_pair_is_learnt(tmp_path: Path, opened: Tokenizer) -> None:
    row = pair(0, "a", "good", "bad")
    row["prompt"] = chat(0, "one", "two", "three")["messages"]
    shard = chats.build(dataset(tmp_path, [row], "pair", "prefs"), opened, "pair")[0]
    assert shard.mask is not None and opened.decode(shard.tokens[shard.mask == 1]) == f"good{TURN_END}bad{TURN_END}"


BASE: dict[str, Any] = {"context": 32, "budget": 1600, "hold_out": 0.2, "phases": [{"weights": {"web": 1.0}}], "seed": 7, "name": "base"}


def texts() -> list[dict[str, Any]]:
    """Sixty documents of sixty hosts."""
    facts = {"domain": "web", "text": "the river turns the mill " * 9}
    return [{**facts, "doc_id": doc_id("d", str(i), None, None), "uri": f"u{i}", "host": f"h{i}", "origin_hash": str(i)} for i in range(60)]


def written_from(i: int, parent: dict[str, Any]) -> dict[str, Any]:
    return chat(i, "wheel?", "mill", gen={"parents": [parent["doc_id"]]})


def test_what_was_written_from_a_held_out_document_is_not_learnt(tmp_path: Path, model: str) -> None:
    base, corpus = str(tmp_path / "runs/base"), texts()
    mix(str(tmp_path), {"corpus": dataset(tmp_path, corpus, "document", "corpus")}, tokenizer={"from": model}, run_folder=base, **BASE)
    lm = Samples.open(base)
    trained = {one["doc_id"] for i in range(lm.total) for one in lm.documents(i)}
    rows = [written_from(i, text) for i, text in enumerate(corpus)]
    found, samples = freeze(tmp_path, rows, model, held_out_of=base)
    held = found.dropped["held_out"]
    assert held == lm.lock["held_out"]["documents"] > 0
    assert [one["bytes"] for one in samples.held_out(4)] == [one["bytes"] for one in lm.held_out(4)]
    kept = {one["doc_id"] for i in range(samples.total) for one in samples.documents(i)}
    assert {row["gen"]["parents"][0] for row in rows if row["doc_id"] in kept} >= trained
    again = [written_from(100 + i, row) for i, row in enumerate(rows)]
    chained, _ = freeze(tmp_path, again, model, held_out_of=str(tmp_path / "runs/sft"), run_folder=str(tmp_path / "runs/tuned"))
    assert chained.dropped["held_out"] == held


def published(lake: Lake, made: Snapshot, *above: str) -> Snapshot:
    """Publish rows as a part does, with the datasets that they were made from."""
    lineage = tuple((name, lake.snapshot(name).version) for name in above)
    return lake.commit(Draft(made.dataset, f"key-{made.dataset}", made.shape, "test", made.files, "run", lineage=lineage))


def test_nor_what_was_written_from_that_however_far_down(tmp_path: Path, model: str) -> None:
    """corpus -> qa -> more -> prefs: each row names its parent alone, and base's hold-out is what no row may come from."""
    corpus = texts()
    qa = [written_from(i, text) for i, text in enumerate(corpus)]
    more = [written_from(100 + i, row) for i, row in enumerate(qa)]
    prefs = [{**pair(i, "wheel?", f"mill {i}", "no"), "gen": {"parents": [row["doc_id"]]}} for i, row in enumerate(more)]
    with Lake.open(tmp_path / "lake", create=True) as lake:
        root = Path(lake.root)
        first = published(lake, dataset(root, corpus, "document", "corpus"))
        published(lake, dataset(root, qa, "chat", "qa"), "corpus")
        published(lake, dataset(root, more, "chat", "more"), "qa")
        last = published(lake, dataset(root, prefs, "pair", "prefs"), "more")
    mix(str(root), {"corpus": first}, tokenizer={"from": model}, run_folder=str(root / "runs/base"), **BASE)
    lock = Samples.open(root / "runs/base").lock
    knobs = {"tokenizer": model, "context": CONTEXT, "samples": 20, "seed": 7, "run_folder": str(root / "runs/dpo"), "name": "dpo"}
    found = freeze_pairs(str(root), {"prefs": last}, on={"prefs": 1}, held_out_of=str(root / "runs/base"), **knobs)
    assert found.dropped == {"held_out": lock["held_out"]["documents"]} and found.dropped["held_out"] > 0


def rewrite(name: str, i: int, parent: dict[str, Any]) -> dict[str, Any]:
    """A document that was written from another: only its parent ties it to that."""
    about = {"doc_id": doc_id(name, str(i), None, None), "uri": f"{name}/{i}", "host": f"{name}{i}", "origin_hash": f"{name}{i}"}
    return {**parent, **about, "gen": {"parents": [parent["doc_id"]]}}


def test_rewrites_of_rewrites_are_held_out_with_the_document(tmp_path: Path, model: str) -> None:
    """A mixture of documents and of what was written from them in two steps, the middle one of which is not mixed."""
    corpus = texts()[:30]
    once = [rewrite("once", i, text) for i, text in enumerate(corpus)]
    twice = [rewrite("twice", i, row) for i, row in enumerate(once)]
    with Lake.open(tmp_path / "lake", create=True) as lake:
        root = Path(lake.root)
        first = published(lake, dataset(root, corpus, "document", "corpus"))
        published(lake, dataset(root, once, "document", "once"), "corpus")
        last = published(lake, dataset(root, twice, "document", "twice"), "once")
    mix(str(root), {"corpus": first, "twice": last}, tokenizer={"from": model}, run_folder=str(root / "runs/base"), **{**BASE, "budget": 8000})
    samples = Samples.open(root / "runs/base")  # more than two epochs: what is not held out is seen
    seen = {one["uri"] for one in samples.consumed(samples.total).to_dicts()}
    assert all((text["uri"] in seen) == (row["uri"] in seen) for text, row in zip(corpus, twice, strict=True)) and 0 < len(seen) < 60


def test_a_tokenizer_without_a_template_is_refused(tmp_path: Path, model: str) -> None:
    tokenizer.copy(model, tmp_path / "bare")
    (tmp_path / "bare/tokenizer_config.json").write_text('{"eos_token": "<|endoftext|>"}')
    with pytest.raises(InputError, match="the tokenizer has no chat_template; start from a model that has one"):
        freeze(tmp_path, [chat(0, "a", "b")], str(tmp_path / "bare"))
