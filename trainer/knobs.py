"""What the knobs of an act may be. Torch is not imported here: the front door checks a recipe with this before anything starts."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from catalog.errors import RecipeError, near

FREE = ("threads", "accumulate", "save_every", "keep", "eval_every")
"""Knobs that may change between the lives of a run: they move no weight, or (threads, accumulate) only by rounding."""

CHOICES = {"schedule": ("cosine", "wsd", "constant"), "precision": ("auto", "bf16", "fp32")}


def check(knobs: Mapping[str, Any], where: str = "") -> None:
    """Raise RecipeError for the first knob whose value no act can use: NaN, below its range, or of another type.

    Names that stand in neither LIMITS nor CHOICES are not looked at: that a knob exists is for `catalog.stage.bind`.
    """
    for name, value in knobs.items():
        if name in LIMITS and not LIMITS[name][0](value):
            raise RecipeError(f"{where}{name}: {value!r}; it is {LIMITS[name][1]}")
        if name in CHOICES and value not in CHOICES[name]:
            raise RecipeError(f"{where}{name}: {value!r}{near(str(value), CHOICES[name])}")


def lasting(knobs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the knobs that say which model comes out: all but the FREE ones."""
    return {name: value for name, value in knobs.items() if name not in FREE}


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _number(value: Any) -> bool:
    """A finite number from 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _above(value: Any) -> bool:
    return _number(value) and value > 0


def _share(value: Any) -> bool:
    return _number(value) and value <= 1


def _betas(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(_number(beta) and beta < 1 for beta in value)


def _or_none(allowed: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or allowed(value)


COUNT = (_count, "a whole number, 1 or more")
LENGTH = (_number, "a number, 0 or more: below 1 a share of the run, else steps")
LIMITS: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("batch", "accumulate", "save_every", "keep", "eval_every"), COUNT),
    "steps": (_or_none(_count), "a whole number, 1 or more, or null for as many as there are samples"),
    "epochs": (_above, "a number above 0"),
    "lr": (_above, "a number above 0"),
    "embedding_lr": (_or_none(_above), "a number above 0, or null for lr"),
    "warmup": LENGTH,
    "decay": LENGTH,
    "floor": (_share, "a share of lr, 0 to 1"),
    "clip": (_number, "a number, 0 or more; 0 clips nothing"),
    "weight_decay": (_number, "a number, 0 or more"),
    "betas": (_betas, "two numbers, each 0 or more and below 1"),
    "threads": (_or_none(_count), "a whole number, 1 or more, or null for all cores"),
    "beta": (_above, "a number above 0"),
}
"""For each knob: whether a value will do, and what will, in words."""
