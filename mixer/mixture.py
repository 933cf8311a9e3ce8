"""The mixture as a plan: how many samples each source gives in each phase, and whether it has them.

A sample is one row of `context` tokens, so weights by samples are weights by tokens.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalog.errors import InputError, RecipeError, near
from mixer.order import Blend

WHOLE = 1e-6
"""How far from 1 the weights of a phase may sum."""

Weights = Mapping[str, float]


@dataclass(frozen=True)
class Supply:
    """What one source has: documents, tokens, and rows of context that one pass over it makes.

    `readings` are the documents that a pass reads where some are read again (`mixer.rehydration`), and tokens are those of all of them.
    """

    name: str
    documents: int
    tokens: int
    rows: int
    readings: int | None = None


@dataclass(frozen=True)
class Phase:
    """A stretch of a curriculum: this many samples at these weights, one a source."""

    samples: int
    weights: tuple[float, ...]


@dataclass(frozen=True)
class Planned:
    """What one source gives in one phase. `epochs` counts from the run's start to the phase's end; tokens = samples x context."""

    phase: int
    source: str
    weight: float
    samples: int
    tokens: int
    available: int
    epochs: float


def rows(tokens: int, context: int) -> int:
    """Return how many samples one pass over `tokens` makes: a row reads one token ahead, rows overlap by that one."""
    return max(0, (tokens - 1) // context)


def check_figures(budget: int, context: int, hold_out: float, max_epochs: float | Weights, where: str) -> None:
    """Raise RecipeError for a figure of a mixture that is no number, or out of its range."""
    for name, value, least in (("budget", budget, 1), ("context", context, 2)):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise RecipeError(f"{where}{name}: {value!r}; it is a whole number of tokens, {least} or more")
    if not _finite(hold_out) or hold_out >= 1:
        raise RecipeError(f"{where}hold_out: {hold_out!r}; it is a share, 0 or more and below 1")
    for cap in max_epochs.values() if isinstance(max_epochs, Mapping) else (max_epochs,):
        if not _finite(cap) or cap == 0:
            raise RecipeError(f"{where}max_epochs is {cap!r}; write a number above 0")


def check_caps(max_epochs: float | Weights, names: Iterable[str], where: str) -> None:
    """Refuse a cap for a source that is not there: it would go unnoticed."""
    known = list(names)
    for name in max_epochs if isinstance(max_epochs, Mapping) else ():
        if name not in known:
            raise RecipeError(f"{where}max_epochs: no source {name!r} in what is mixed{near(name, known)}")


def _finite(value: object) -> bool:
    """Whether a value is a number, finite and 0 or more."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def phases(given: Sequence[Mapping[str, object]], names: Sequence[str], budget: int, context: int, where: str) -> list[Phase]:
    """Return the phases of a mixture over the sources `names`; they switch hard, at a whole sample.

    given: mappings with `weights` (name to share, summing to 1) and `until` (share of the budget; the last one's is 1).
    Raises RecipeError for a budget under one sample, an unknown source, weights that do not sum to 1, or phases out of order.
    """
    total = budget // context
    if total < 1:
        raise RecipeError(f"{where}a budget of {budget:,} tokens is less than one row of context ({context:,})")
    found, start = [], 0
    for i, one in enumerate(given):
        until: Any = one.get("until", 1)
        if not _finite(until) or until > 1:
            raise RecipeError(f"{where}phase {i + 1}: until: {until!r}; it is a share of the budget, 0 to 1")
        if i == len(given) - 1 and until != 1:
            raise RecipeError(f"{where}the last phase ends at {until:.4g} of the budget; leave its until: out, or add a phase for the rest")
        end = round(until * total)
        if end <= start:
            raise RecipeError(f"{where}phase {i + 1} is empty: until: must rise from phase to phase and leave each a row of {context:,} tokens")
        found.append(Phase(end - start, _weights(one["weights"], names, f"{where}phase {i + 1}: " if len(given) > 1 else where)))  # type: ignore[arg-type]
        start = end
    return found


def _weights(given: Weights, names: Sequence[str], where: str) -> tuple[float, ...]:
    """Refuse weights that do not sum to 1: a source that was forgotten would otherwise go unnoticed."""
    for name, weight in given.items():
        if name not in names:
            raise RecipeError(f"{where}no source {name!r} in what is mixed{near(name, names)}")
        if not _finite(weight):
            raise RecipeError(f"{where}weight of {name} is {weight!r}; weights are 0 or more")
    total = sum(given.values())
    if total <= 0 or abs(total - 1) > WHOLE:
        fix = ", ".join(f"{name}: {weight / total:.4g}" for name, weight in given.items()) if total > 0 else "at least one above 0"
        raise RecipeError(f"{where}weights sum to {total:.6g}, not 1; in the same ratio: {{{fix}}}")
    return tuple(float(given.get(name, 0.0)) for name in names)


def plan(supplies: Sequence[Supply], phases: Sequence[Phase], context: int) -> list[Planned]:
    """Return what each source with a weight gives in each phase: the counts of the order that training will follow."""
    counts = Blend([(phase.samples, phase.weights) for phase in phases]).counts
    table = []
    for i, source in enumerate(supplies):
        given = 0
        for p, phase in enumerate(phases):
            samples = int(counts[p][i])
            given += samples
            if phase.weights[i] > 0:
                epochs = given / source.rows if source.rows else math.inf
                table.append(Planned(p, source.name, phase.weights[i], samples, samples * context, source.tokens, epochs))
    return sorted(table, key=lambda row: row.phase)


def check_supply(
    supplies: Sequence[Supply], phases: Sequence[Phase], context: int, max_epochs: float | Weights, where: str
) -> None:
    """Raise InputError naming every source that would be passed over more than `max_epochs` times, and what would mend it."""
    counts = sum(Blend([(phase.samples, phase.weights) for phase in phases]).counts)
    total = sum(phase.samples for phase in phases)
    short, fits = [], 1.0
    for i, source in enumerate(supplies):
        need, cap = int(counts[i]), _cap(source, max_epochs, where)  # type: ignore[index]
        if need <= cap:
            continue
        fits = min(fits, cap / need)
        short.append(_shortage(source, need, cap, total, context, max_epochs))
    if short:
        budget = math.floor(fits * total) * context
        mend = f"set budget: {_round_down(budget)}, " if budget >= context else ""
        raise InputError(f"{where}{'; '.join(short)}; {mend}or bring more text")


def _cap(source: Supply, max_epochs: float | Weights, where: str) -> int:
    """Return how many samples a source may give."""
    cap = max_epochs.get(source.name, math.inf) if isinstance(max_epochs, Mapping) else max_epochs
    if not cap > 0:
        raise RecipeError(f"{where}max_epochs is {cap!r}; write a number above 0")
    return int(min(source.rows * cap, 1 << 62))


def _shortage(source: Supply, need: int, cap: int, total: int, context: int, max_epochs: float | Weights) -> str:
    if not source.rows:
        why = "no text is left of it" if not source.tokens else f"it has {source.tokens:,} tokens, less than a row of {context:,}"
        return f"{source.name} cannot be mixed: {why} (look at the policy and hold_out:), give it weight 0"
    most = max_epochs.get(source.name) if isinstance(max_epochs, Mapping) else max_epochs
    return (
        f"{source.name} is short: {source.tokens:,} tokens for {need * context:,} wanted are {need / source.rows:.2f} epochs, "
        f"max_epochs is {most:g}: set max_epochs: {math.ceil(need / source.rows)}, or give it at most {cap / total:.1%} of the tokens"
    )


def _round_down(tokens: int) -> str:
    """Three digits as people write them, never more than `tokens`."""
    for unit, letter in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if tokens >= unit:
            digits = max(0, 2 - int(math.log10(tokens / unit)))
            return f"{math.floor(tokens / unit * 10**digits) / 10**digits:.{digits}f}{letter}"
    return str(tokens)
