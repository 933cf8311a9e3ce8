"""Do a mix part: freeze a run folder that every training on this mixture copies its lock and tokenizer from."""

from pathlib import Path

from catalog.errors import InputError
from catalog.files import Snapshot
from catalog.parts import Part, under
from catalog.progress import Meter
from catalog.written import listed
from headrace.benchmarks import bounds
from headrace.child import Work
from headrace.done import finish, source
from headrace.keys import same_lists
from mixer.contamination import Gate, check, said
from mixer.mix import freeze

SAID = 3
"""Evaluation sets of which a line is said, those nearest to their bounds; the lock and `headrace contamination` tell of all."""


def _gate(part: Part, work: Work) -> Gate | None:
    """What bounds the contamination of a mixture, where its recipe does."""
    if "max_contamination" not in part.given:
        return None
    shares, keys = bounds(work.recipe, work.lake, part, work.keys)
    if not keys:
        raise InputError(f"{part.id}: max_contamination: neither the recipe nor the lake has an evaluation set; bring one in as bench.NAME, or leave it out")
    return Gate(shares, keys, part.given.get("contaminated_because"))


def run(part: Part, work: Work) -> str:
    """Freeze the mixture, record it, and return one line about it."""
    def named(names: object) -> dict[str, Snapshot]:
        return {name: source(work.lake, work.recipe, part, work.keys, name) for name in listed(names)}

    snapshots = named(part.given["from"])
    same_lists(part, work.recipe, work.lake, work.keys)
    folder = Path("runs") / f"{part.id}-{work.key(part)}"
    given = {key: part.given[key] for key in ("by", "tokenizer", "context", "budget", "hold_out", "max_epochs", "phases")}
    gate = _gate(part, work)
    if gate is not None:                                     # freezing asks too, when all is tokenised
        check(gate, snapshots, f"{part.id}: ")
    with Meter(part.id, None, "documents") as meter:
        frozen = freeze(
            str(work.lake.root), snapshots, seed=work.recipe.seed, order=part.given.get("seed"), run_folder=str(work.lake.root / folder), name=part.name,
            held_out=named(part.given.get("held_out")) or None, words_of=named(under(part.given, "tokenizer.train.on")) or None,
            rehydrate=part.given.get("rehydrate"), meter=meter, gate=gate, **given,
        )  # fmt: skip
    finish(work.lake, work.recipe, part, work.key(part), work.job, str(folder), frozen.tables)
    for note in frozen.notes:
        work.say(f"{part.id}: {note}")
    lock = frozen.lock
    for row in lock.get("contamination", {}).get("sets", [])[:SAID]:
        work.say(f"{part.id}: contamination: {said(row)}, the bound is {row['bound']:.2%}")
    return f"{lock['samples'] * lock['context']:,} tokens planned from {len(lock['sources'])} sources, {lock['held_out']['tokens']:,} held out"
