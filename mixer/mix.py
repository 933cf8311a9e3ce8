"""Freezing a mixture: a tokenizer, shards, a hold-out, a plan, and the run folder that training reads. And the plan alone."""

import math
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import polars as pl

from catalog import spans
from catalog.errors import InputError, RecipeError
from catalog.files import Annotation, Snapshot, address, read
from catalog.progress import Meter
from catalog.schema import BYTES_A_TOKEN
from catalog.written import size
from mixer import cells, mixture, rehydration
from mixer import lock as locks
from mixer.ancestry import with_ancestors
from mixer.apart import Apart, Choice, apart
from mixer.cells import By
from mixer.contamination import Gate, passed
from mixer.frozen import NOTHING, Frozen, Given, counts, gather, listed, lock_of, lock_phases, sources, tables
from mixer.holdout import hold_out as choose_held_out
from mixer.mixture import Phase, Planned, Supply
from mixer.rehydration import TIMES, Rehydrate
from mixer.sampling import BYTES, texts
from mixer.shards import Shard, build, edits, verdict
from mixer.tokenizer import VERSION, identity, load, train

Phases = Sequence[Mapping[str, Any]]
Documents = dict[str, pl.DataFrame]


@dataclass(frozen=True)
class Plan:
    """A mixture as far as it is known before anything is tokenised: tokens are estimated from bytes.

    `short` is the error that freezing would raise if the estimate holds, `hopeless` whether it would even if each byte were a token.
    """

    planned: tuple[Planned, ...]
    supplies: tuple[Supply, ...]
    shard_bytes: int
    short: str | None
    hopeless: bool


class Kept(NamedTuple):
    """What a policy keeps of a source. bytes, readings: of one epoch, which may read a document again; stored, documents: what there is."""

    bytes: int
    documents: int
    readings: int
    stored: int


def freeze(
    lake_root: str,
    snapshots: Mapping[str, Snapshot],
    *,
    tokenizer: Mapping[str, Any],
    budget: int,
    phases: Phases,
    seed: int,
    run_folder: str,
    name: str,
    by: By = "domain",
    context: int = 1024,
    hold_out: float = 0.0,
    held_out: Mapping[str, Snapshot] | None = None,
    words_of: Mapping[str, Snapshot] | None = None,
    order: int | None = None,
    max_epochs: float | Mapping[str, float] = 4,
    rehydrate: Mapping[Any, Any] | None = None,
    threads: int | None = None, meter: Meter | None = None, gate: Gate | None = None,
) -> Frozen:  # fmt: skip
    """Freeze a mixture of snapshots (by the names that the recipe gives them) into a run folder.

    held_out: the hold-out is `hold_out` of what all of these keep, not of what is mixed. words_of: what a tokenizer is trained on, else the mixture.
    `seed` chooses both, `order`, else the seed, the order of samples. rehydrate: as a recipe has it. gate: how much of evaluation sets may stand in it.
    What was done before is found by its address: tokenizers under lake/models, shards under lake/shards. lock.sha256 is written last. Raises
    RecipeError and InputError, each naming the fix.
    """
    where = f"mix.{name}: "
    asked: dict[str, Any] = {"budget": budget, "phases": phases, "by": by, "context": context, "max_epochs": max_epochs}
    again, asked["hold_out"] = rehydration.asked(rehydrate, snapshots, where), 0.0 if held_out else hold_out   # of the mixture itself
    _refuse_hopeless(plan(snapshots, name=name, rehydrate=rehydrate, **asked), tokenizer)   # names, weights and figures too, before the work
    opened = load(_tokenizer(lake_root, words_of or snapshots, tokenizer, seed, where), threads)
    frame, shards = _gathered({one: build(snapshot, opened, meter) for one, snapshot in snapshots.items()}, lake_root, snapshots, by, where)
    choice = Choice(hold_out, seed, cells.domains(frame, by, _weighed(phases)), where)
    held = apart(lake_root, held_out, snapshots, frame, opened, choice, meter) if held_out else _own(frame, shards, choice)
    trained = rehydration.counted(frame.filter(~pl.Series(held.tied)), snapshots, again)
    resolved, found = _sources(trained, sorted(frame[cells.key(by)].unique()), asked, where)
    lock = lock_of(
        "lm", opened, [one.name for one in snapshots.values()], root=locks.root_from(lake_root, run_folder),
        seed=seed if order is None else order, context=context, samples=sum(phase.samples for phase in resolved),
        sources=sources(run_folder, found, resolved, shards), phases=lock_phases(resolved, [supply.name for supply, _ in found]),
        held_out=_held_out(run_folder, held.documents, held.shards, context), **_beside(frame, held, held_out, by, again),
        **passed(gate, snapshots, [rows for _, rows in found], where),
    )  # fmt: skip
    sha, planned = locks.freeze(run_folder, lock, opened.folder), mixture.plan([supply for supply, _ in found], resolved, context)
    return Frozen(lock, sha, tuple(planned), counts(frame, held.tied), _dropped(shards), _notes(held, lock, found), tables(name, lock, sha, planned))


def _gathered(built: Mapping[str, list[Shard]], lake_root: str, snapshots: Mapping[str, Snapshot], by: By, where: str) -> tuple[pl.DataFrame, list[Shard]]:
    """Return the documents of the shards, with what they were written from and the cell of each. Raises InputError where there is none."""
    frame, shards = gather(built)
    if not frame.height:
        raise InputError(f"{where}no text is left of {', '.join(snapshots)}; look at what the policy cuts")
    return cells.gathered(with_ancestors(frame, lake_root, snapshots), snapshots, by), shards


def plan(
    snapshots: Mapping[str, Snapshot],
    *,
    budget: int,
    phases: Phases,
    name: str,
    by: By = "domain",
    context: int = 1024,
    hold_out: float = 0.0,
    max_epochs: float | Mapping[str, float] = 4,
    rehydrate: Mapping[Any, Any] | None = None,
    counted: Mapping[str, int] | None = None,
) -> Plan:
    """Return what `freeze` would plan, with tokens estimated from the bytes that the policy keeps; writes nothing.

    `counted` are tokens by source where an earlier mixture counted them. Raises RecipeError as freeze does.
    """
    where = f"mix.{name}: "
    _check(snapshots, by, where)
    mixture.check_figures(budget, context, hold_out, max_epochs, where)
    again = rehydration.asked(rehydrate, snapshots, where)
    sizes = kept_bytes(snapshots, by, again)
    if not sizes:
        raise InputError(f"{where}nothing is kept of {', '.join(snapshots)}; look at what the policy drops with `headrace show DATASET --dropped REASON`")
    mixture.check_caps(max_epochs, sizes, where)
    tokens = {one: int(kept.bytes * (1 - hold_out) / BYTES_A_TOKEN) for one, kept in sizes.items()} | dict(counted or {})
    told = {one: kept.readings if again else None for one, kept in sizes.items()}
    supplies = [Supply(one, sizes[one].documents, tokens[one], mixture.rows(tokens[one], context), told[one]) for one in sorted(sizes)]
    resolved = mixture.phases(phases, [supply.name for supply in supplies], budget, context, where)

    def shortage(supplies: Sequence[Supply]) -> str | None:
        try:
            mixture.check_supply(supplies, resolved, context, max_epochs, where)
        except InputError as error:
            return str(error)
        return None

    short = shortage(supplies)
    hopeless = short is not None and shortage(_most(sizes, snapshots, context, again)) is not None
    total = sum(kept.stored for kept in sizes.values())
    return Plan(tuple(mixture.plan(supplies, resolved, context)), tuple(supplies), math.ceil(total / BYTES_A_TOKEN) * 2, short, hopeless)


def _refuse_hopeless(first: Plan, tokenizer: Mapping[str, Any]) -> None:
    """Refuse what no tokenizer of ours can make suffice; one from elsewhere may have more tokens than bytes."""
    if first.hopeless and isinstance(tokenizer, Mapping) and "train" in tokenizer:
        raise InputError(f"{first.short} (tokens are estimated from bytes)")


def _most(sizes: Mapping[str, Kept], snapshots: Mapping[str, Snapshot], context: int, again: Rehydrate | None) -> list[Supply]:
    """What sources can have at most: a token a byte, as a byte-level tokenizer gives, one that ends each document, and what masks may add."""
    added = sum(_added(snapshot) for snapshot in snapshots.values()) * max([1, *(often for _, often in (again.times if again else ()))])
    most = {one: kept.bytes + kept.readings + added for one, kept in sizes.items()}
    return [Supply(one, sizes[one].documents, most[one], mixture.rows(most[one], context)) for one in sorted(sizes)]


def _added(snapshot: Snapshot) -> int:
    """Return how many bytes a snapshot's masks add at most: `<KIND_number>` for each span; letters may be longer as capitals."""
    total = 0
    for name in edits(snapshot).get("mask") or ():
        family, _, column = name.partition(".")
        for file in snapshot.files:
            if family not in [a.family for a in file.annotations]:
                continue
            found = read(file, [], [family])[family].struct.field(column or "spans").explode()
            total += int((found.struct.field("kind").str.len_bytes().cast(pl.Int64) * 3 + 24).sum())
    return total


def _check(snapshots: Mapping[str, Snapshot], by: By, where: str) -> None:
    if not snapshots:
        raise RecipeError(f"{where}from: names nothing to mix")
    for name, snapshot in snapshots.items():
        if snapshot.shape == "item":
            raise RecipeError(f"{where}{name} holds the items of an evaluation set, and nobody trains on these; mix another dataset")
        if snapshot.shape != "document":
            raise RecipeError(f"{where}{name} holds {snapshot.shape}s, not documents; train on it with `on: {{{name}: 1}}`")
    cells.check(snapshots, by, where)


def kept_bytes(snapshots: Mapping[str, Snapshot], by: By = "domain", again: Rehydrate | None = None) -> dict[str, Kept]:
    """Return what policies keep, by source; text is read only where no verdict counts its bytes."""
    frames, source = [], cells.key(by)
    for name, snapshot in snapshots.items():
        kept, more = verdict(snapshot), again if again and again.reads(name) else None
        beside = list(dict.fromkeys([*cells.families(by), *([more.family] if more else [])]))
        for file in snapshot.files:
            if kept in [a.family for a in file.annotations]:
                rows = read(file, ["domain"], list(dict.fromkeys([kept, *beside]))).filter(pl.col(kept).struct.field("kept"))
                rows = rows.select("domain", *beside, bytes=pl.col(kept).struct.field("bytes"))
            else:
                rows = read(file, ["domain", "text"], beside).select("domain", *beside, bytes=pl.col("text").str.len_bytes().cast(pl.Int64))
            often = more.factor() if more else pl.lit(1, pl.Int64).alias(TIMES)
            rows = rows.with_columns(often, domain=pl.col("domain").fill_null("none"), dataset=pl.lit(name))
            frames.append((rows if cells.plain(by) else cells.named(rows, by)).select("bytes", TIMES, source))
    if not frames:
        return {}
    each = pl.col("bytes") * pl.col(TIMES)
    found = pl.concat(frames).group_by(source).agg(each.sum().alias("each"), pl.len(), pl.col(TIMES).sum(), pl.col("bytes").sum())
    return {str(one): Kept(*map(int, row)) for one, *row in found.select(source, "each", "len", TIMES, "bytes").iter_rows()}


def _tokenizer(lake_root: str, snapshots: Mapping[str, Snapshot], given: Mapping[str, Any], seed: int, where: str) -> str:
    """Return the folder of the tokenizer that a recipe asks for, training it where no one has."""
    if not isinstance(given, Mapping) or set(given) not in ({"train"}, {"from"}) or not isinstance(given.get("train") or {}, Mapping):
        raise RecipeError(f"{where}tokenizer: write {{train: {{vocab: 4096}}}} or {{from: PATH or MODEL}}")
    if "from" in given:
        places = [str(given["from"]), os.path.join(lake_root, "models", str(given["from"]))]
        found = next((place for place in places if os.path.isfile(os.path.join(place, "tokenizer.json"))), None)
        if found is None:
            raise InputError(f"{where}tokenizer: no tokenizer.json in {' or '.join(places)}")
        return found
    knobs = {name: size(value, f"{where}tokenizer: ") for name, value in {"bytes": BYTES, **(given["train"] or {})}.items() if name != "on"}
    if set(knobs) != {"vocab", "bytes"}:
        raise RecipeError(f"{where}tokenizer: train: takes vocab: and bytes: (of text, {BYTES:,} unless given)")
    made_of = [a for snapshot in snapshots.values() for file in snapshot.files for a in (file.id, *_read(snapshot, file.annotations))]
    asked = {**knobs, "seed": seed, "spans": [edits(snapshot) for snapshot in snapshots.values()]}
    folder = os.path.join(lake_root, "models", f"tokenizer-{address('', 'mixer.tokenizer', asked, VERSION, None, made_of)}")
    if not os.path.isfile(os.path.join(folder, "tokenizer.json")):
        _train(folder, snapshots, knobs, seed)
    return folder


def _read(snapshot: Snapshot, annotations: Sequence[Annotation]) -> list[str]:
    """Return the addresses of what was read beside the text of a file."""
    wanted = (verdict(snapshot), *spans.families(edits(snapshot)))
    return sorted(a.address for a in annotations if a.family in wanted)


def _train(folder: str, snapshots: Mapping[str, Snapshot], knobs: Mapping[str, int], seed: int) -> None:
    """Train a tokenizer in a folder of its own and give it its name when it is whole."""
    work = f"{os.path.dirname(folder)}/.{os.path.basename(folder)}.{uuid.uuid4().hex[:8]}.tmp"
    train(texts(snapshots, knobs["bytes"], seed), knobs["vocab"], work)
    try:
        os.rename(work, folder)
    except OSError:  # another process was first; the same texts gave it the same file
        identity(folder)
        shutil.rmtree(work)


def _by(frame: pl.DataFrame, by: str) -> Documents:
    """Return the documents of each source."""
    return {str(key[0]): rows for key, rows in frame.partition_by(by, as_dict=True, maintain_order=True).items()}


def _sources(frame: pl.DataFrame, names: Sequence[str], asked: Given, where: str) -> tuple[list[Phase], list[tuple[Supply, pl.DataFrame]]]:
    """Return the phases over the sources that have a weight, and each of these with its documents. Raises InputError where one is short."""
    context: int = asked["context"]
    resolved = mixture.phases(asked["phases"], names, asked["budget"], context, where)
    used = [i for i in range(len(names)) if any(phase.weights[i] > 0 for phase in resolved)]
    resolved = [Phase(phase.samples, tuple(phase.weights[i] for i in used)) for phase in resolved]
    left, empty = _by(frame, cells.key(asked["by"])), frame.clear()
    found = [(_supply(names[i], left.get(names[i], empty), context), left.get(names[i], empty)) for i in used]
    mixture.check_supply([supply for supply, _ in found], resolved, context, asked["max_epochs"], where)
    return resolved, found


def _supply(name: str, documents: pl.DataFrame, context: int) -> Supply:
    tokens = int((documents["tokens"] * rehydration.times(documents)).sum())
    return Supply(name, documents.height, tokens, mixture.rows(tokens, context), rehydration.readings(documents))


def _held_out(run_folder: str, documents: pl.DataFrame, shards: Sequence[Shard], context: int) -> Given:
    """Write the hold-out's documents, domain by domain; return what the lock says of it.

    It keeps the context that it is read in, so that a model tuned later is judged on the same rows.
    """
    if not documents.height:
        return dict(NOTHING)
    ordered = documents.sort("domain", "shard", "row")
    by = ordered.group_by("domain", maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("documents"), pl.col("tokens").sum(), bytes=pl.col("n_bytes").sum()
    )
    return {**listed(run_folder, ordered, shards), "domains": by.rename({"domain": "name"}).to_dicts(), "context": context}


def _dropped(shards: Sequence[Shard]) -> dict[str, int]:
    found = pl.concat([shard.dropped() for shard in shards]).group_by("reason").len().sort("reason")
    return {str(reason): int(n) for reason, n in found.iter_rows()}


def _own(frame: pl.DataFrame, shards: list[Shard], choice: Choice) -> Apart:
    """The hold-out of a mixture that has one of its own."""
    found = choose_held_out(frame, choice.share, choice.seed)
    return Apart(frame.filter(pl.Series(found.chosen)), shards, found.chosen, found.without, searched=True)


def _weighed(phases: Phases) -> set[str]:
    """The sources that have a weight in any phase."""
    return {name for phase in phases for name, weight in phase["weights"].items() if weight > 0}


def _beside(frame: pl.DataFrame, held: Apart, held_out: Mapping[str, Snapshot] | None, by: By, again: Rehydrate | None) -> Given:
    """What the lock says of cells, of documents that are read again, and of a shared hold-out: of which snapshots it is, what it keeps from training."""
    told: Given = {} if cells.plain(by) else {"by": list(cells.terms(by))}
    if again:
        told["rehydrate"] = again.told()
    if held_out:
        away = frame.filter(pl.Series(held.tied))
        told["apart"] = {"of": list(held_out), "documents": away.height, "tokens": int(away["tokens"].sum())}
    return told


def _notes(held: Apart, lock: Given, found: Sequence[tuple[Supply, pl.DataFrame]]) -> tuple[str, ...]:
    notes = [f"nothing is held out of {', '.join(held.without)}: each is too few groups of hosts, files and duplicates"] if held.without else []
    if not held.searched:
        notes.append("no dataset here was searched for near copies, so some of the hold-out's may be trained on; give one dedup:")
    if "apart" in lock and (away := lock["apart"])["documents"]:
        notes.append(f"{away['documents']:,} documents ({away['tokens']:,} tokens) are held out or tied to what is, and not trained on")
    return (*notes, *(rehydration.notes(pl.concat([documents for _, documents in found])) if "rehydrate" in lock else ()))
