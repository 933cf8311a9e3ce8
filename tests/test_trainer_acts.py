"""The acts one after the other: a base, a chat model, a tuned one; and that others open what comes out."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from catalog.errors import InputError, RecipeError
from mixer.samples import Samples
from mixer.tokenizer import TURN_END, load
from tests.trainer_making import HOUSE, QUIET, WHO, again, rows_run, text_run
from trainer import metrics, models
from trainer.__main__ import go
from trainer.dpo import trimmed
from trainer.evaluate import bits_per_byte, sample
from trainer.objectives import answers, tensors
from trainer.run import open_run

VLLM = """
import sys
from vllm import EngineArgs, LLMEngine, SamplingParams
engine = LLMEngine.from_engine_args(EngineArgs(
    model=sys.argv[1], dtype="float32", max_num_seqs=2, max_num_batched_tokens=64, enable_chunked_prefill=False, enforce_eager=True))
engine.add_request("0", {"prompt_token_ids": [int(i) for i in sys.argv[2].split()]}, SamplingParams(temperature=0, max_tokens=8))
while engine.has_unfinished_requests():
    for found in engine.step():
        if found.finished:
            print("IDS", *found.outputs[0].token_ids)
"""


@pytest.fixture(autouse=True)
def own_state() -> Iterator[None]:
    """Accelerate keeps one state a process; each act has a process of its own but here."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, dict[str, Any]]]:
    """base -> chat -> tuned, by name."""
    root = tmp_path_factory.mktemp("lake")
    found: dict[str, tuple[Path, dict[str, Any]]] = {}

    def act(folder: Path) -> Path:
        AcceleratorState._reset_state(reset_partial_state=True)
        found[folder.name] = folder, go(open_run(folder))
        return folder

    base = act(text_run(root, batch=4))
    chat = act(rows_run(root, base / "model", "sft", name="chat", rows=100, samples=240, held_out_of=base, lr=3e-3, batch=4))
    act(rows_run(root, chat / "model", "dpo", name="tuned", samples=80, held_out_of=base, lr=5e-4, batch=4))
    return found


@pytest.mark.slow
def test_sft_learns_what_assistants_say(chain: dict[str, tuple[Path, dict[str, Any]]]) -> None:
    folder, done = chain["chat"]
    lines = [line for line in metrics.read(folder / "metrics.jsonl") if line["kind"] == "train"]
    assert lines[-1]["loss"] < lines[0]["loss"] / 2
    supervised = sum(int((Samples.open(folder).batch(np.array([i]))["labels"] >= 0).sum()) for i in range(240))
    assert done["tokens"] == supervised < done["seen"] / 2
    said = sample(folder / "model", [[{"role": "user", "content": "who turns?"}]], tokens=12, precision="fp32", threads=1)[0]
    assert said in WHO


@pytest.mark.slow
def test_sft_moves_nothing_by_what_users_say(chain: dict[str, tuple[Path, dict[str, Any]]]) -> None:
    """Gradients of the loss are the same whatever the logits of users' tokens are asked to be: their labels are not read."""
    folder, _ = chain["chat"]
    samples, reader = Samples.open(folder), load(folder / "tokenizer")
    batch = samples.batch(np.arange(8))
    counted = batch["labels"] >= 0
    text = reader.decode(batch["labels"][counted])
    assert "who" not in text and text.count(TURN_END) == int((batch["labels"] == reader.coder.token_to_id(TURN_END)).sum())


@pytest.mark.slow
def test_dpo_starts_at_ln_2_and_learns_to_prefer(chain: dict[str, tuple[Path, dict[str, Any]]]) -> None:
    folder, _ = chain["tuned"]
    lines = [line for line in metrics.read(folder / "metrics.jsonl") if line["kind"] == "train"]
    assert lines[0]["loss"] == pytest.approx(math.log(2), abs=1e-6) and lines[0]["margin"] == pytest.approx(0, abs=1e-5)
    assert lines[-1]["loss"] < 0.4 and lines[-1]["accuracy"] == 1 and lines[-1]["margin"] > 0.5


@pytest.mark.slow
def test_the_reference_is_asked_once_and_right(chain: dict[str, tuple[Path, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = chain["tuned"]
    (kept,) = load_file(folder / "reference.safetensors").values()
    samples, model = Samples.open(folder), models.read(chain["chat"][0] / "model")
    with torch.no_grad():
        said = answers(model, tensors(samples.batch(np.arange(samples.total)), torch.device("cpu")))
    assert torch.allclose(kept, said, rtol=1e-5)
    resumed = again(folder, "resumed")
    (resumed / "reference.safetensors").write_bytes((folder / "reference.safetensors").read_bytes())
    monkeypatch.setattr("trainer.dpo._ask", lambda *_: pytest.fail("asked again"))
    assert go(open_run(resumed))["digest"] == chain["tuned"][1]["digest"]


@pytest.mark.slow
def test_another_reference_may_be_named(chain: dict[str, tuple[Path, dict[str, Any]]]) -> None:
    folder = again(chain["tuned"][0], "other-reference", steps=1)
    body = json.loads((folder / "act.json").read_text())
    (folder / "act.json").write_text(json.dumps({**body, "reference": str(chain["base"][0] / "model")}))
    go(open_run(folder))
    assert metrics.read(folder / "metrics.jsonl")[1]["loss"] != pytest.approx(math.log(2), abs=1e-3)


def test_trimming_leaves_what_counts() -> None:
    labels = np.full((4, 9), -100)
    labels[1, 5] = labels[2, 2] = 7
    found = trimmed({"tokens": np.arange(36).reshape(4, 9), "labels": labels, "source": np.arange(2)})
    assert found["tokens"].shape == found["labels"].shape == (4, 6) and found["source"].shape == (2,)


@pytest.mark.slow
def test_the_hold_out_follows_along(chain: dict[str, tuple[Path, dict[str, Any]]]) -> None:
    """Tuned models are measured on the base's hold-out, where the base's own figure stands beside theirs."""
    base, tuned = chain["base"], chain["tuned"]
    before = chain["chat"][1]["bits_per_byte"]["start"]["overall"]
    assert before == pytest.approx(base[1]["bits_per_byte"]["end"]["overall"], rel=1e-6)
    score = bits_per_byte(tuned[0] / "model", base[0], precision="fp32", threads=1)
    assert score["overall"] == pytest.approx(tuned[1]["bits_per_byte"]["end"]["overall"], rel=1e-6)


@pytest.mark.slow
def test_runs_that_fit_no_act_are_refused(chain: dict[str, tuple[Path, dict[str, Any]]]) -> None:
    folder = again(chain["tuned"][0], "odd", beta=0.0)
    with pytest.raises(RecipeError, match="beta: 0.0; it is a number above 0"):
        go(open_run(folder))
    with pytest.raises(InputError, match="holds nothing out"):
        base = text_run(chain["base"][0].parent.parent, name="all", documents=200, budget=1024, hold_out=0.0)
        bits_per_byte(chain["base"][0] / "model", base)


@pytest.mark.slow
@pytest.mark.vllm
def test_the_folder_opens_in_vllm_as_it_is(chain: dict[str, tuple[Path, dict[str, Any]]]) -> None:
    """The engine's greedy tokens are ours, and it stops where the model's own configuration says."""
    model = chain["chat"][0] / "model"
    reader = load(model)
    assert reader.template is not None
    prompt = reader.encode([reader.template.render([{"role": "user", "content": "who turns?"}], ask=True)], markup=True)[0]
    variables = {**os.environ, **QUIET, "PYTHONPATH": str(HOUSE), "HF_HUB_OFFLINE": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1"}
    command = [sys.executable, "-c", VLLM, str(model), " ".join(str(i) for i in prompt)]
    ran = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr[-3000:]
    ids = [int(i) for line in ran.stdout.splitlines() if line.startswith("IDS") for i in line.split()[1:]]
    end = reader.coder.token_to_id(TURN_END)
    said = sample(model, [[{"role": "user", "content": "who turns?"}]], tokens=8, precision="fp32", threads=1)[0]
    assert ids and reader.decode([i for i in ids if i != end]) == said
    assert end not in ids[:-1]
