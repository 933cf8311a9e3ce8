"""The loop in one process: what a window adds up to, what is written down, what stops it."""

import json
import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoModelForCausalLM, AutoTokenizer

from catalog.errors import InputError, SetupError, WorkError
from mixer import unigram
from mixer.samples import Samples
from tests.trainer_making import CONTEXT, again, text_run
from trainer import loop, metrics, models
from trainer.__main__ import describe, go
from trainer.evaluate import bits_per_byte, sample
from trainer.loop import accumulate
from trainer.objectives import NextToken, supervised
from trainer.run import open_run


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder that never starts: tests train copies of it."""
    return text_run(tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="module")
def trained(fresh: Path) -> tuple[Path, dict[str, Any]]:
    folder = again(fresh, "trained", batch=4, accumulate=3)
    return folder, go(open_run(folder))


@pytest.fixture(autouse=True)
def own_state() -> Iterator[None]:
    """Accelerate keeps one state a process; each act has a process of its own but here."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def test_ragged_parts_add_up_to_one_batch(fresh: Path) -> None:
    """In float64: gradients of parts with other counts of supervised tokens are those of the whole, to 1e-12."""
    samples = Samples.open(fresh)
    model = models.build({"preset": "tiny"}, fresh / "tokenizer", context=CONTEXT, seed=1).double()
    batch = samples.batch(np.arange(9))
    batch["labels"][4, 10:] = -100
    batch["labels"][5:8] = -100
    units, module, accelerator = supervised(batch), NextToken(model), Accelerator(cpu=True)

    def gradients(*cuts: int) -> list[torch.Tensor]:
        model.zero_grad()
        parts = [({k: v[a:b] for k, v in batch.items()}, 1.0) for a, b in zip((0, *cuts), (*cuts, 9), strict=True)]
        found = accumulate(accelerator, module, [*parts, (batch, 0.0)], units)
        losses.append(found["loss"])
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    losses: list[float] = []
    whole, ragged = gradients(), gradients(1, 5, 7)
    assert losses[1] == pytest.approx(losses[0], rel=1e-13)
    assert max(float((a - b).abs().max()) for a, b in zip(whole, ragged, strict=True)) < 1e-12
    assert math.exp(losses[0] / units) == pytest.approx(400, rel=0.2), "an untrained model guesses"


def test_a_run_learns_and_says_so(trained: tuple[Path, dict[str, Any]], fresh: Path) -> None:
    folder, done = trained
    table = unigram.bits_per_byte(Samples.open(fresh))["all"]
    start, end = done["bits_per_byte"]["start"]["overall"], done["bits_per_byte"]["end"]["overall"]
    assert start > table > end + 0.3
    assert done["steps"] == 40 and done["seen"] == 40 * 4 * CONTEXT
    assert json.loads((folder / "done.json").read_text()) == json.loads(json.dumps(done))
    assert "held-out bits per byte" in describe(done) and "web: 112 of 112 samples" in describe(done)


def test_what_was_planned_was_consumed(trained: tuple[Path, dict[str, Any]], fresh: Path) -> None:
    samples = Samples.open(fresh)
    batch = samples.batch(np.arange(samples.total))
    tokens = np.bincount(batch["source"], (batch["labels"] >= 0).sum(1))
    for i, one in enumerate(trained[1]["consumption"]):
        assert one["planned"] == one["samples"] == int((batch["source"] == i).sum()) and one["tokens"] == int(tokens[i])
    assert trained[1]["tokens"] == int(tokens.sum())


def test_metrics_and_tensorboard_agree(trained: tuple[Path, dict[str, Any]]) -> None:
    lines = metrics.read(trained[0] / "metrics.jsonl")
    steps = [line for line in lines if line["kind"] == "train"]
    assert [line["step"] for line in steps] == list(range(1, 41))
    assert [line["step"] for line in lines if line["kind"] == "eval"] == list(range(0, 41, 4))
    board = EventAccumulator(str(trained[0] / "tb"))
    board.Reload()  # type: ignore[no-untyped-call]
    drawn = {event.step: event.value for event in board.Scalars("train/loss")}  # type: ignore[no-untyped-call]
    assert drawn == pytest.approx({line["step"]: line["loss"] for line in steps}, rel=1e-6)
    assert len(board.Scalars("eval/bits_per_byte/domains/books")) == 11  # type: ignore[no-untyped-call]


def test_the_model_that_is_written_scores_as_the_run_said(trained: tuple[Path, dict[str, Any]], fresh: Path) -> None:
    folder, done = trained
    found = bits_per_byte(folder / "model", fresh, precision="fp32", threads=1)
    assert found == done["bits_per_byte"]["end"]
    samples = Samples.open(fresh)
    held = samples.lock["held_out"]
    assert set(found["domains"]) == {"web", "books"} and held["bytes"] * 0.95 < found["bytes"] <= held["bytes"]


def test_a_model_writes_as_it_was_taught(trained: tuple[Path, dict[str, Any]]) -> None:
    model = trained[0] / "model"
    greedy = sample(model, ["the river", [{"role": "user", "content": "who turns?"}]], tokens=12, threads=1, precision="fp32")
    assert greedy[0] == sample(model, ["the river"], tokens=12, threads=1, precision="fp32")[0] == _generated(model, "the river", 12)
    assert len(greedy[1]) > 0
    drawn = [sample(model, ["the"], tokens=12, temperature=1.0, seed=s, threads=1, precision="fp32")[0] for s in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(sample(model, ["the river " * 60], tokens=12, threads=1)[0]) == 0, "no room is left in its context"


def _generated(model: Path, text: str, tokens: int) -> str:
    """What transformers itself makes of the folder."""
    reader = AutoTokenizer.from_pretrained(model)
    given = reader(text, return_tensors="pt").input_ids
    ids = AutoModelForCausalLM.from_pretrained(model).generate(given, max_new_tokens=tokens, do_sample=False)[0, given.shape[1] :]
    written: str = reader.decode(ids)
    return written


def test_done_is_done(trained: tuple[Path, dict[str, Any]]) -> None:
    folder, done = trained
    before = sorted((p, p.stat().st_mtime_ns) for p in folder.rglob("*"))
    assert go(open_run(folder)) == json.loads(json.dumps(done))
    assert sorted((p, p.stat().st_mtime_ns) for p in folder.rglob("*")) == before


def test_only_so_many_checkpoints_stay(trained: tuple[Path, dict[str, Any]]) -> None:
    assert sorted(p.name for p in (trained[0] / "checkpoints").iterdir()) == trained[1]["checkpoints"] == ["step-00000036", "step-00000040"]


def test_a_loss_that_is_no_number_stops_the_run(fresh: Path) -> None:
    folder = again(fresh, "wild", lr=1e20, clip=0.0, warmup=0.0, schedule="constant", save_every=1)
    with pytest.raises(WorkError, match=r"base: step \d+: loss .*, gradient norm .*; .* is whole; lower lr \(now 1e\+20\) or clip"):
        go(open_run(folder))
    assert not (folder / "done.json").exists() and not (folder / "model").exists()
    kept = sorted((folder / "checkpoints").iterdir())[-1]
    act = json.loads((folder / "act.json").read_text())
    (folder / "act.json").write_text(json.dumps({**act, "knobs": {**act["knobs"], "save_every": 1000}}))
    with pytest.raises(WorkError, match=f"; the checkpoint of step {int(kept.name.partition('-')[2])} is whole; "):  # of an earlier life
        go(open_run(folder))
    assert all(torch.isfinite(torch.tensor(line["loss"])) for line in metrics.read(folder / "metrics.jsonl") if line["kind"] == "train"), kept


def test_a_checkpoint_of_another_run_is_refused(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _stopped(fresh, "other", monkeypatch)
    body = json.loads((folder / "act.json").read_text())
    body["knobs"]["lr"] = 0.5
    (folder / "act.json").write_text(json.dumps(body))
    with pytest.raises(InputError, match="its checkpoints were made with lr 0.001, now it is 0.5; put it back, or remove"):
        go(open_run(folder))


def test_a_broken_checkpoint_is_named(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _stopped(fresh, "broken", monkeypatch)
    newest = sorted((folder / "checkpoints").glob("step-*"))[-1]
    weights = newest / "model.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    with pytest.raises(InputError, match="model.safetensors: not what was written; remove this folder"):
        go(open_run(folder))


def _stopped(fresh: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose export fails, as when the disk is full: its checkpoints stand."""
    folder = again(fresh, name, steps=4)
    with monkeypatch.context() as patch:
        patch.setattr(models, "write", _full)
        with pytest.raises(OSError, match="full"):
            go(open_run(folder))
    assert list((folder / "checkpoints").glob("step-*")) and not (folder / "done.json").exists()
    return folder


def _full(*_: Any) -> str:
    raise OSError("the disk is full")


def test_interrupted_it_saves_and_goes_on(fresh: Path) -> None:
    folder = again(fresh, "asked", save_every=1000)

    def ask() -> None:
        for _ in range(6000):
            if len(metrics.read(folder / "metrics.jsonl")) >= 4:
                os.kill(os.getpid(), signal.SIGINT)
                return
            time.sleep(0.01)

    before = signal.getsignal(signal.SIGINT)  # Spark's, where a test of this process has started it
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    with pytest.raises(KeyboardInterrupt, match=r"base: stopped after step \d+ of 20, saved; run it again to go on"):
        go(open_run(folder))
    asking.join()
    assert signal.getsignal(signal.SIGINT) is before
    saved = [p.name for p in (folder / "checkpoints").iterdir()]
    assert len(saved) == 1 and saved[0] != "step-00000020"
    done = go(open_run(folder))
    lines = [line["step"] for line in metrics.read(folder / "metrics.jsonl") if line["kind"] == "train"]
    assert done["steps"] == 20 and lines == list(range(1, 21))


@pytest.mark.parametrize("layout", ["FSDP", "DEEPSPEED"])
def test_layouts_that_would_be_another_are_refused(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"ACCELERATE_USE_{layout}", "true")
    with pytest.raises(SetupError, match=f"{layout} is asked for .* start it with torchrun alone"):
        loop.open_accelerator("fp32")


def test_run_folders_that_are_none_are_named(fresh: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no act.json"):
        open_run(tmp_path)
    folder = again(fresh, "odd")
    (folder / "act.json").write_text("{")
    with pytest.raises(InputError, match="not an act"):
        open_run(folder)
    body = {"act": "pretrian", "name": "a", "seed": 1, "start": {"preset": "tiny"}, "knobs": {}}
    (folder / "act.json").write_text(json.dumps(body))
    with pytest.raises(InputError, match="no act 'pretrian'; did you mean 'pretrain'"):
        go(open_run(folder))
    (folder / "act.json").write_text(json.dumps({**body, "act": "sft"}))
    with pytest.raises(InputError, match="its mixture is of kind 'lm', sft trains on 'chat'"):
        go(open_run(folder))
