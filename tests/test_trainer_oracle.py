"""Our losses and TRL's, on the same small model and the same rows: values, and the gradient of every parameter."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from mixer.samples import Samples
from tests.trainer_making import HOUSE, QUIET, chat, rows_run, text_run
from trainer import models
from trainer.objectives import NextToken, Pairs, answers, pairs, supervised, tensors

BETA = 0.3
ROWS = 24
NEAR = 2e-5
"""Relative; both sides add up a few thousand numbers in fp32."""


@pytest.mark.oracle
@pytest.mark.slow
def test_sft_and_dpo_equal_trl(tmp_path: Path, oracle_python: Path) -> None:
    base = text_run(tmp_path, documents=100, budget=1024)
    folders = [tmp_path / "models" / name for name in ("policy", "reference")]
    for seed, folder in enumerate(folders):
        model = models.build({"preset": "tiny"}, base / "tokenizer", context=64, seed=seed)
        models.write(model, base / "tokenizer", folder)
    chats = Samples.open(rows_run(tmp_path, folders[0], "sft", name="chat", rows=ROWS, samples=_rows_of(tmp_path, folders[0])))
    preferred = Samples.open(rows_run(tmp_path, folders[0], "dpo", name="pairs", rows=ROWS, samples=ROWS))
    both = preferred.batch(np.arange(ROWS))
    order = {
        "sft": {"model": str(folders[0]), "messages": [chat(i)["messages"] for i in range(ROWS)]},
        "dpo": {"model": str(folders[0]), "reference": str(folders[1]), "beta": BETA, "pairs": [_ids(both, i) for i in range(ROWS)]},
    }
    theirs = _asked(oracle_python, order, tmp_path)

    model = models.read(folders[0])
    batch = chats.batch(np.arange(chats.total))
    loss = NextToken(model)(tensors(batch, torch.device("cpu")))["loss"] / supervised(batch)
    _compare(model, loss, theirs["sft"])

    model, reference = models.read(folders[0]), models.read(folders[1])
    with torch.no_grad():
        said = answers(reference, tensors(both, torch.device("cpu")))
    loss = Pairs(model, BETA)({**tensors(both, torch.device("cpu")), "reference": said})["loss"] / pairs(both)
    _compare(model, loss, theirs["dpo"])


def _rows_of(root: Path, model: Path) -> int:
    """How many packed rows hold every chat once."""
    folder = rows_run(root, model, "sft", name="counted", rows=ROWS, samples=1)
    rows: int = Samples.open(folder).lock["sources"][0]["rows"]
    return rows


def _ids(batch: dict[str, npt.NDArray[Any]], i: int) -> dict[str, list[int]]:
    """One pair as TRL takes it: the prompt is what comes before the first counted label of both."""
    found: dict[str, list[int]] = {}
    for name, row in (("chosen_ids", 2 * i), ("rejected_ids", 2 * i + 1)):
        counted = np.flatnonzero(batch["labels"][row] >= 0)
        found["prompt_ids"] = batch["tokens"][row, : counted[0] + 1].tolist()
        found[name] = batch["labels"][row, counted].tolist()
    return found


def _asked(python: Path, order: dict[str, Any], folder: Path) -> dict[str, Any]:
    (folder / "order.json").write_text(json.dumps(order), encoding="utf-8")
    command = [str(python), str(HOUSE / "tests" / "oracle_losses.py"), str(folder / "order.json"), str(folder / "answer.json")]
    variables = {**os.environ, **QUIET, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hub"), "PYTHONPATH": ""}
    ran = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr[-3000:]
    found: dict[str, Any] = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    return found


def _compare(model: torch.nn.Module, loss: torch.Tensor, theirs: dict[str, Any]) -> None:
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(theirs["loss"], rel=NEAR)
    ours = {name: p.grad.abs().sum().item() for name, p in model.named_parameters() if p.grad is not None}
    assert ours == pytest.approx(theirs["gradients"], rel=1e-3, abs=1e-7)
    assert len(ours) == len(theirs["gradients"]) > 30



@pytest.fixture
def oracle_python(request: pytest.FixtureRequest) -> Path:
    """HEADRACE_ORACLES names an interpreter that has TRL; else it is that of .venv-oracles."""
    named = os.environ.get("HEADRACE_ORACLES")
    return Path(named) if named else request.getfixturevalue("oracles")
