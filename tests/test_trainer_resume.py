"""Killed anywhere, a run goes on as if nothing had been: weights, moments and losses equal bit by bit."""

import json
import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.trainer_making import QUIET, again, command, launched, text_run
from trainer import checkpoint, metrics

STEPS = 12
TIMES = ("seconds", "tokens_per_second")
KILLED = [
    ("step", 1, []),  # before anything is saved
    ("step", 7, [4]),
    ("model", 8, [4]),
    ("optimizer", 8, [4]),
    ("manifest", 8, [4]),
    ("renamed", 12, [4, 8, 12]),
    ("pruned", 12, [8, 12]),  # only the model is left to write
]
"""Point, step, and the checkpoints that then stand: saves are at 4, 8 and 12, and two are kept."""

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.trainer_making", "trainer.pretrain", "torch.utils.tensorboard"])


def live(folder: str, environment: dict[str, str]) -> None:
    """One life of a run, in a process of its own."""
    os.environ.update(environment)
    from trainer.__main__ import go
    from trainer.run import open_run

    go(open_run(folder))


def lived(folder: Path, **environment: str) -> int | None:
    child = processes.Process(target=live, args=(str(folder), {**QUIET, **environment}))
    child.start()
    child.join(120)
    return child.exitcode


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in QUIET}
    os.environ.update(QUIET)
    yield
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never interrupted, in bf16 where the machine has it."""
    folder = text_run(tmp_path_factory.mktemp("lake"), steps=STEPS, precision="auto")
    assert lived(folder) == 0
    return folder


def state(folder: Path) -> dict[str, torch.Tensor]:
    last = folder / "checkpoints" / f"step-{STEPS:08d}"
    files = [last / checkpoint.MODEL, last / checkpoint.OPTIMIZER, folder / "model" / "model.safetensors"]
    return {f"{file.name}:{name}": tensor for file in files for name, tensor in load_file(file).items()}


def said(folder: Path) -> list[dict[str, Any]]:
    """The metrics less what a clock says."""
    return [{name: value for name, value in line.items() if name not in TIMES} for line in metrics.read(folder / "metrics.jsonl")]


def standing(folder: Path) -> list[int]:
    return sorted(int(p.name.partition("-")[2]) for p in (folder / "checkpoints").glob("step-*"))


@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.parametrize(("point", "step", "left"), KILLED)
def test_killed_and_gone_on_equals_never_interrupted(whole: Path, point: str, step: int, left: list[int]) -> None:
    folder = again(whole, f"killed-{point}-{step}")
    assert lived(folder, HEADRACE_KILL_AT=f"train.{point}.{step}") == -signal.SIGKILL
    assert standing(folder) == left and not (folder / "done.json").exists()
    assert lived(folder) == 0
    ours, theirs = state(folder), state(whole)
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert said(folder) == said(whole)
    assert not list(folder.rglob(".*")), "what was half-written is gone"
    done, before = (json.loads((one / "done.json").read_text()) for one in (folder, whole))
    assert done["digest"] == before["digest"] and done["consumption"] == before["consumption"]


@pytest.mark.slow
@pytest.mark.chaos
def test_killed_twice_at_the_same_step(whole: Path) -> None:
    folder = again(whole, "twice")
    for point in ("model", "manifest"):
        assert lived(folder, HEADRACE_KILL_AT=f"train.{point}.8") == -signal.SIGKILL
    assert lived(folder) == 0 and said(folder) == said(whole)


@pytest.mark.slow
@pytest.mark.chaos
def test_gone_on_with_other_knobs_that_move_no_weight(whole: Path) -> None:
    """More saves and fewer kept change no bit, a step in more parts only its rounding; what was done is not done again."""
    for name, knobs, exact in (("saves", {"save_every": 3, "keep": 1, "eval_every": 5}, True), ("parts", {"accumulate": 4}, False)):
        folder = again(whole, f"changed-{name}")
        assert lived(folder, HEADRACE_KILL_AT="train.step.7") == -signal.SIGKILL and standing(folder) == [4]
        begun = (folder / "metrics.jsonl").read_text().splitlines()[:4]
        act = json.loads((folder / "act.json").read_text())
        (folder / "act.json").write_text(json.dumps({**act, "knobs": {**act["knobs"], **knobs}}))
        assert lived(folder) == 0
        assert (folder / "metrics.jsonl").read_text().splitlines()[:4] == begun
        ours, theirs = (load_file(one / "model" / "model.safetensors") for one in (folder, whole))
        assert all(torch.allclose(ours[key], theirs[key], rtol=0, atol=0 if exact else 0.05) for key in theirs)
        assert standing(folder) == ([12] if exact else [8, 12])
        done = (folder / "done.json").read_text()
        (folder / "act.json").write_text(json.dumps({**act, "knobs": {**act["knobs"], "threads": 2}}))
        assert lived(folder) == 0 and (folder / "done.json").read_text() == done


@pytest.mark.slow
def test_the_command_says_what_came_of_it(whole: Path) -> None:
    """Exit codes 0, 2 and 130, one line each, and nothing but results on stdout."""
    done = launched(whole)
    assert done.returncode == 0 and json.loads(done.stdout)["steps"] == STEPS and done.stderr == ""

    folder = again(whole, "wrong", schedule="cosin")
    wrong = launched(folder)
    assert wrong.returncode == 2 and wrong.stderr == "error: schedule: 'cosin'; did you mean 'cosine'?\n" and wrong.stdout == ""

    folder = again(whole, "stopped", steps=None, save_every=1000)
    child = subprocess.Popen(command(folder), env={**os.environ, **QUIET}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while len(metrics.read(folder / "metrics.jsonl")) < 3 and child.poll() is None:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    out, errors = child.communicate(timeout=60)
    assert child.returncode == 130 and out == "", errors
    assert errors.splitlines()[-1].startswith("base: stopped after step ") and errors.endswith("saved; run it again to go on\n")
