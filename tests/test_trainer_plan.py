"""Schedules against their closed forms, and what a plan refuses."""

import math
from typing import Any

import pytest

from catalog.errors import InputError, RecipeError
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


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"batch": 0}, "batch: 0; it is 1 or more"),
        ({"keep": 0}, "keep: 0"),
        ({"schedule": "cosin"}, "'cosin'; did you mean 'cosine'"),
        ({"precision": "bf61"}, "did you mean 'bf16'"),
    ],
)
def test_wrong_knobs_are_named(knobs: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        plan(**knobs)


def test_presets_have_the_sizes_that_docs_name() -> None:
    millions = {name: round(preset.parameters(4096) / 1e6, 1) for name, preset in PRESETS.items()}
    assert millions == {"tiny": 1.4, "small": 5.9, "medium": 15.7, "30m": 27.8, "60m": 52.2, "125m": 88.1}
    assert round(PRESETS["125m"].parameters(49152) / 1e6, 1) == 122.7
    assert all(preset.width // preset.heads in (32, 64) for preset in PRESETS.values())
