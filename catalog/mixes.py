"""What a mix part of a recipe says: figures, phases, the tokenizer, the bound of its contamination."""

from typing import Any

from catalog.errors import RecipeError
from catalog.stage import load
from catalog.staged import Given
from catalog.written import Lines, flat, known, listed, shaped, share, size, word

MIX = ("from", "by", "tokenizer", "context", "budget", "hold_out", "held_out", "max_epochs", "rehydrate", "phases", "weights", "seed",
       "max_contamination", "contaminated_because")  # fmt: skip
BENCHMARKS = "bench.*"
"""The names of evaluation sets."""


def mixed(name: str, body: Given, lines: Lines) -> Given:
    """Return what a recipe says under a mix part, its sizes and shares as numbers, defaults filled in. Raises RecipeError."""
    where = lines.where("mix", name)
    known(body, MIX, lines, "mix", name)
    for key in ("from", "budget"):
        if key not in body:
            raise RecipeError(f"{where}mix.{name} needs {key!r}")
    if ("phases" in body) == ("weights" in body):
        raise RecipeError(f"{where}mix.{name} needs either weights: or phases:")
    at = ("mix", name)
    if body.get("phases") == []:
        raise RecipeError(f"{lines.where(*at, 'phases')}phases: a curriculum has at least one, with weights: {{name: share}}")
    phases = body.get("phases") or [{"weights": body["weights"]}]
    held = share(body.get("hold_out", 1 if "held_out" in body else 0), lines.where(*at, "hold_out"))
    if held == 1 and "held_out" not in body:
        raise RecipeError(f"{lines.where(*at, 'hold_out')}hold_out: nothing is left to train on; write a part, such as 5%")
    given = {
        **body,
        "from": listed(body["from"]),
        "by": _by(body.get("by", "domain")),
        "budget": _at_least(1, body["budget"], "budget", lines, at),
        "context": _at_least(2, body.get("context", 1024), "context", lines, at),
        "hold_out": held,
        "max_epochs": flat(body.get("max_epochs", 4)),
        "tokenizer": _tokenizer(body.get("tokenizer"), lines, at),
        "phases": [_phase(phase, i, len(phases), lines, at) for i, phase in enumerate(phases)],
    }
    given.pop("weights", None)
    if given.pop("rehydrate", None) is not None:
        given["rehydrate"] = load("mixer.rehydration:written")(body["rehydrate"], given["from"], lines.where(*at, "rehydrate"))
    if "held_out" in body:
        given["held_out"] = listed(body["held_out"])
    if "max_contamination" in body:
        given["max_contamination"] = _bounds(body["max_contamination"], lines.where(*at, "max_contamination"))
    elif "contaminated_because" in body:
        raise RecipeError(f"{lines.where(*at, 'contaminated_because')}contaminated_because: overrides max_contamination:, which is not given")
    return given


def _bounds(given: Any, where: str) -> dict[str, float]:
    """The share of its items that a mixture may hold of each evaluation set, by name or pattern; one number is of all."""
    named = given if isinstance(given, dict) else {BENCHMARKS: given}
    if not named or not all(word(name) for name in named):
        raise RecipeError(f"{where}max_contamination: {given!r} is no share, and no mapping of evaluation sets to shares, such as {{bench.gsm8k: 0}}")
    return {name: share(value, f"{where}max_contamination: ") for name, value in flat(named).items()}



def _by(given: Any) -> str | list[str]:
    """What a mixture weighs: one name, or several whose values make cells."""
    named = listed(given)
    return str(named[0]) if len(named) == 1 else named


def _tokenizer(given: Any, lines: Lines, at: tuple[str, ...]) -> Given:
    found = given or {"train": {"vocab": 32768}}
    where = lines.where(*at, "tokenizer")
    if not isinstance(found, dict) or set(found) not in ({"train"}, {"from"}):
        raise RecipeError(f"{where}tokenizer: write {{train: {{vocab: 4096}}}} or {{from: PATH or MODEL}}")
    shaped(found, {"train": "a mapping", "from": "a word"}, lines, *at, "tokenizer")
    trained = found.get("train") or {}
    shaped(trained, {"on": "a name or a list of names"}, lines, *at, "tokenizer", "train")
    for key in trained:
        if key != "on":
            _at_least(1, trained[key], key, lines, (*at, "tokenizer", "train"))
    return dict(found)


def _at_least(least: int, value: Any, key: str, lines: Lines, at: tuple[str, ...]) -> int:
    where = lines.where(*at, key)
    if (found := size(value, where)) < least:
        raise RecipeError(f"{where}{key}: {value!r} is not {least} or more")
    return found


def _phase(phase: Any, i: int, n: int, lines: Lines, at: tuple[str, ...]) -> Given:
    where = lines.where(*at, "phases", str(i))
    if not isinstance(phase, dict) or not isinstance(phase.get("weights"), dict) or not phase["weights"]:
        raise RecipeError(f"{where}a phase has weights: {{name: share}}, and all but the last an until:")
    known(phase, ("until", "weights"), lines, *at, "phases", str(i))
    if "until" not in phase and i < n - 1:
        raise RecipeError(f"{where}phase {i + 1} of {n} needs until:, such as 80%")
    weights = {k: share(v, where) for k, v in flat(phase["weights"]).items()}
    if not sum(weights.values()):
        raise RecipeError(f"{where}every weight is 0; give at least one source a share")
    return {"until": share(phase.get("until", 1), where), "weights": weights}
