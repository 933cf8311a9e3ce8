"""Schedules against their closed forms, what a plan refuses and when, and which knobs a run goes on with."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from catalog.errors import InputError, RecipeError
from catalog.lake import Lake
from catalog.recipe import load
from catalog.stage import HOUSE, find
from headrace.keys import part_keys
from headrace.plan import show_plan
from trainer.knobs import CHOICES, FREE, LIMITS, check
from trainer.plan import Plan
from trainer.presets import PRESETS
from trainer.schedules import constant, cosine, wsd

KNOBS: dict[str, Any] = {
    "steps": None, "batch": 8, "accumulate": 1, "lr": 0.5, "embedding_lr": None, "schedule": "cosine", "warmup": 0.1, "decay": 0.2, "floor": 0.1, "clip": 1.0,
    "weight_decay": 0.1, "betas": (0.9, 0.95), "precision": "fp32", "save_every": 10, "keep": 2, "eval_every": 10, "threads": 1,
}  # fmt: skip


def plan(**knobs: Any) -> Plan:
    return Plan(**{**KNOBS, **knobs})


def test_warm_up_is_a_line_that_ends_at_one() -> None:
    for schedule in (lambda i: cosine(i, steps=100, warmup=5), lambda i: wsd(i, steps=100, warmup=5, decay=20), lambda i: constant(i, warmup=5)):
        assert [schedule(i) for i in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_cosine_is_half_way_at_half_way_and_never_at_its_floor() -> None:
    assert cosine(10 + 45, steps=101, warmup=10, floor=0.2) == pytest.approx(0.2 + 0.8 * 0.5 * (1 + math.cos(math.pi * 46 / 92)))
    assert cosine(55, steps=101, warmup=10, floor=0.2) == pytest.approx(0.6)
    values = [cosine(i, steps=100, warmup=10, floor=0.2) for i in range(10, 100)]
    assert values == sorted(values, reverse=True) and min(values) > 0.2
    assert cosine(100, steps=100, warmup=10, floor=0.2) == pytest.approx(0.2)


def test_wsd_is_flat_then_a_line() -> None:
    values = [wsd(i, steps=100, warmup=10, decay=4) for i in range(100)]
    assert values[10:96] == [1.0] * 86 and values[96:] == pytest.approx([0.8, 0.6, 0.4, 0.2])
    assert wsd(99, steps=100, warmup=0, decay=1, floor=0.5) == pytest.approx(0.75)


def test_a_run_of_one_step_trains() -> None:
    assert cosine(0, steps=1, warmup=0) == pytest.approx(0.5) and wsd(0, steps=1, warmup=0, decay=0) == 1 and constant(0, warmup=0) == 1


def test_shares_below_one_are_of_the_run_and_others_steps() -> None:
    assert plan(warmup=0.1).rate(9, 100) == plan(warmup=10).rate(9, 100) == 0.5
    assert plan(schedule="wsd", decay=0.2).rate(80, 100) == plan(schedule="wsd", decay=20).rate(80, 100) < 0.5
    assert plan(schedule="constant").rate(99, 100) == 0.5
    assert plan(warmup=500).rate(99, 100) == 0.5


def test_steps_use_the_samples_up_or_are_as_asked() -> None:
    assert plan().count(80) == 10 and plan().count(81) == 11 and plan(steps=3).count(81) == 3 and plan(steps=11).count(81) == 11


def test_too_many_steps_name_the_budget() -> None:
    with pytest.raises(InputError, match="steps: 12 x batch 8 needs 96 samples, the mixture has 81; raise its budget"):
        plan(steps=12).count(81)


NAN, INF = math.nan, math.inf
REFUSED: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("batch", "accumulate", "save_every", "keep", "eval_every"), (0, -1, 1.5, True, None, "2")),
    "steps": (0, -3, 2.5, "all"),
    "threads": (0, -1, 1.5),
    "lr": (0, 0.0, -1.0, NAN, INF, "fast", None, True),
    "embedding_lr": (0.0, -0.02, NAN, INF),
    "warmup": (-0.1, NAN, INF, None),
    "decay": (-1, NAN, INF),
    "floor": (-0.1, 1.1, 5, NAN),
    "clip": (-1, -1.0, NAN, INF),
    "weight_decay": (-0.1, NAN, INF),
    "betas": (5, (0.9,), (0.9, 1.0), (0.9, 0.95, 0.99), (-0.1, 0.9), (NAN, 0.9), "ab", None),
    "schedule": ("cosin", 3, None),
    "precision": ("bf61", 16, None),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_knob_out_of_its_range_is_refused_in_one_line(name: str) -> None:
    for value in REFUSED[name]:
        with pytest.raises(RecipeError) as error:
            plan(**{name: value})
        assert str(error.value).startswith(f"{name}: {value!r}; ") and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"clip": -1}, "clip: -1; it is a number, 0 or more; 0 clips nothing"),
        ({"embedding_lr": -0.02}, "embedding_lr: -0.02; it is a number above 0, or null for lr"),
        ({"floor": 5}, "floor: 5; it is a share of lr, 0 to 1"),
        ({"threads": -1}, "threads: -1; it is a whole number, 1 or more, or null for all cores"),
        ({"beta": NAN}, "beta: nan; it is a number above 0"),
        ({"epochs": 0}, "epochs: 0; it is a number above 0"),
        ({"schedule": "cosin"}, "schedule: 'cosin'; did you mean 'cosine'?"),
        ({"precision": "bf61"}, "precision: 'bf61'; did you mean 'bf16'?"),
    ],
)
def test_the_line_says_what_is_allowed(knobs: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError) as error:
        check(knobs, "r.yaml:3: ")
    assert str(error.value) == f"r.yaml:3: {said}"


@pytest.mark.parametrize("act", ["pretrain", "sft", "dpo"])
def test_every_knob_of_an_act_has_a_limit_and_its_default_keeps_it(act: str) -> None:
    knobs = find("trainer", f"{act}.act").knobs
    assert set(knobs) <= {*LIMITS, *CHOICES}
    check(knobs)


def test_the_edges_of_the_ranges_are_allowed() -> None:
    plan(clip=0, weight_decay=0, warmup=0, decay=1, floor=1, betas=[0, 0.999], embedding_lr=0.02, threads=None, steps=1, lr=5)


def test_knobs_are_checked_without_torch() -> None:
    code = "import sys, trainer.knobs, headrace.keys; sys.exit('torch' in sys.modules or 'numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=HOUSE, env={"PYTHONPATH": str(HOUSE)}).returncode == 0


RECIPE = """name: mill
seed: 1
lake: lake
ingest:
  notes: {tables: {paths: [notes.jsonl]}, domain: web}
mix:
  base: {from: notes, tokenizer: {train: {vocab: 300}}, context: 16, budget: 1600, weights: {web: 1}}
train:
  base:
    act: pretrain
    mix: base
    model: tiny
  tuned: {act: dpo, from: base, on: {notes: 1}}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "notes.jsonl").write_text('{"text": "the river"}\n', encoding="utf-8")
    (tmp_path / "mill.yaml").write_text(RECIPE, encoding="utf-8")
    return tmp_path / "mill.yaml"


@pytest.mark.parametrize("setting", ["base.clip=-1", "base.lr=0", "base.betas=[1, 2]", "tuned.beta=.nan", "tuned.epochs=-1", "tuned.threads=-1"])
def test_a_wrong_knob_is_refused_before_anything_starts(recipe: Path, setting: str) -> None:
    knob = setting.partition(".")[2].partition("=")[0]
    where = rf"^{recipe}:\d+: (train\.{setting.partition('.')[0]}: )?{knob}: "
    with pytest.raises(RecipeError, match=where):
        show_plan(str(recipe), (f"train.{setting}",), None, None, False)
    with Lake.open(recipe.parent / "lake", create=True) as lake, pytest.raises(RecipeError, match=where):
        part_keys(load(recipe, [f"train.{setting}"]), lake)


def test_a_run_goes_on_with_knobs_that_move_no_weight(recipe: Path) -> None:
    """The key names the run folder: it stays with FREE knobs, for the part and for those below it, and with no other."""
    with Lake.open(recipe.parent / "lake", create=True) as lake:
        first = part_keys(load(recipe), lake)
        for knob in FREE:
            assert part_keys(load(recipe, [f"train.base.{knob}=3"]), lake) == first
        for setting in ("lr=0.01", "batch=3", "steps=5", "betas=[0.9, 0.95]", "model=small"):
            other = part_keys(load(recipe, [f"train.base.{setting}"]), lake)
            assert {name for name in first if first[name] != other[name]} == {"train.base", "train.tuned"}


def test_presets_have_the_sizes_that_docs_name() -> None:
    millions = {name: round(preset.parameters(4096) / 1e6, 1) for name, preset in PRESETS.items()}
    assert millions == {"tiny": 1.4, "small": 5.9, "medium": 15.7, "30m": 27.8, "60m": 52.2, "125m": 88.1}
    assert round(PRESETS["125m"].parameters(49152) / 1e6, 1) == 122.7
    assert all(preset.width // preset.heads in (32, 64) for preset in PRESETS.values())
