"""Two ranks over gloo are one process: losses, held-out scores and counts, and a run may change its ranks between two lives.

Weights are compared more loosely: AdamW divides by the root of second moments near 0, which makes much of a last bit.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.trainer_making import again, launched, rows_run, text_run
from trainer import metrics

NEAR = 1e-6
"""Relative, in fp32 over 20 steps: ranks add the same numbers in another order."""


def losses(folder: Path) -> dict[int, float]:
    return {line["step"]: line["loss"] for line in metrics.read(folder / "metrics.jsonl") if line["kind"] == "train"}


def scores(folder: Path) -> list[float]:
    return [line["bits_per_byte"]["overall"] for line in metrics.read(folder / "metrics.jsonl") if line["kind"] == "eval"]


def ran(folder: Path, ranks: int, **environment: str) -> dict[str, Any]:
    done = launched(folder, ranks=ranks, **environment)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["ranks"] == ranks
    return found


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """20 steps of ragged rows in one process; the last step has one sample, so that a rank has none of it."""
    folder = text_run(tmp_path_factory.mktemp("lake"), budget=64 * (19 * 8 + 1), save_every=10)
    return folder, ran(folder, 1)


@pytest.mark.slow
def test_two_ranks_equal_one_process_over_20_steps(one: tuple[Path, dict[str, Any]]) -> None:
    folder = again(one[0], "two", accumulate=2)
    done = ran(folder, 2)
    assert len(losses(folder)) == 20 and losses(folder) == pytest.approx(losses(one[0]), rel=NEAR)
    assert scores(folder) == pytest.approx(scores(one[0]), rel=NEAR)
    assert done["consumption"] == one[1]["consumption"] and done["seen"] == one[1]["seen"]
    ours, theirs = (load_file(at / "model" / "model.safetensors") for at in (folder, one[0]))
    apart = max(float((ours[name] - theirs[name]).norm() / theirs[name].norm()) for name in theirs)
    assert apart < 1e-4, f"weights differ by {apart:.1e}"


@pytest.mark.slow
@pytest.mark.chaos
def test_a_run_killed_on_two_ranks_goes_on_on_one(one: tuple[Path, dict[str, Any]]) -> None:
    folder = again(one[0], "moved")
    killed = launched(folder, ranks=2, HEADRACE_KILL_AT="train.step.13")
    assert killed.returncode != 0 and sorted(p.name for p in (folder / "checkpoints").glob("step-*")) == ["step-00000010"]
    ran(folder, 1)
    assert losses(folder) == pytest.approx(losses(one[0]), rel=NEAR)


@pytest.mark.slow
def test_dpo_on_two_ranks_asks_the_reference_once_for_both(one: tuple[Path, dict[str, Any]]) -> None:
    root, model = one[0].parent.parent, one[0] / "model"
    alone = rows_run(root, model, "dpo", name="dpo-one", rows=30, samples=44, lr=1e-3, batch=4)
    shared = again(alone, "dpo-two")
    ran(alone, 1)
    ran(shared, 2)
    assert losses(shared) == pytest.approx(losses(alone), rel=1e-5)
    said, theirs = (next(iter(load_file(at / "reference.safetensors").values())) for at in (shared, alone))
    assert said.shape == (44, 2) and torch.allclose(said, theirs, rtol=1e-5)
