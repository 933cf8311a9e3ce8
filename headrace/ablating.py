"""`headrace ablate A B ...`: the same small model trained on equal tokens of each variant, and judged on text that none of them saw.

It writes a recipe of one mixture, one pre-training and one evaluation a variant and seed, runs it as `headrace run` would, and
compares what came of it. What is done stays done: killed, it goes on; asked for more seeds, it trains those alone.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
import yaml

from catalog.errors import InputError, RecipeError, UserError, near
from catalog.files import Snapshot
from catalog.ids import digest
from catalog.lake import Lake
from catalog.parts import Part
from catalog.recipe import Recipe, load
from catalog.schema import BYTES_A_TOKEN
from catalog.written import read_yaml, share, size
from headrace.ablation import Design, Finding, draw, finding, record, show
from headrace.done import finished, rows, source
from headrace.jobs import Job, new_job
from headrace.river import Options, refuse_full_disk, run_job, work_left
from mixer.mix import kept_bytes, plan
from mixer.shards import verdict
from trainer.presets import PRESETS

HELD_TOKENS, HELD_MOST = 100_000, 0.1
"""What is held out unless asked otherwise: about so many tokens, at most this share of what all variants keep."""
LEAST_WEIGHT = 0.001
"""A domain with less of the first variant than this is left out: at a small budget it is no whole row."""
NEVER = 1_000_000_000
"""Steps between evaluations: at the start and the end alone."""


@dataclass(frozen=True)
class Asked:
    """What the command line of `ablate` says."""

    variants: tuple[str, ...]
    seeds: int = 3
    budget: str = "400k"
    model: str = "tiny"
    context: int = 256
    vocab: str = "4096"
    weights: str = "same"
    held_out: str | None = None
    hold_out: str | None = None
    tokenizer: str | None = None
    max_epochs: float = 4.0
    confidence: str = "95%"
    settings: tuple[str, ...] = ()


def ablate(path: str, asked: Asked, as_json: bool, lock_timeout: float) -> None:
    """Do what is left of an ablation, record what it found, and print it."""
    lake = Lake.open(path, lock_timeout=lock_timeout)
    design = designed(lake, asked)
    file = design.folder / "recipe.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    plain = json.loads(json.dumps(design.recipe))           # nothing twice: YAML would write anchors for it
    file.write_text(yaml.safe_dump(plain, sort_keys=False, width=160), encoding="utf-8")
    options = Options(recipe=str(file), lake=str(lake.root), lock_timeout=lock_timeout)
    recipe = load(options.recipe, (), options.lake)
    todo, keys = work_left(recipe, lake, options)
    found: list[Finding] = []

    def tell(recipe: Recipe, lake: Lake, job: Job) -> None:
        found.append(found_of(recipe, lake, keys, design))
        if not finished(lake, found[0].key):
            record(lake, found[0], recipe.name, job.id)

    key = result_key(keys, design)
    if todo:
        refuse_full_disk(recipe, todo)
        for line in refuse_short(recipe, lake, keys, todo):
            typer.echo(f"  {line}", err=True)
        try:
            run_job(new_job(str(lake.root), recipe.name, str(file)), recipe, options, todo, keys, tell)
        except UserError as error:
            raise UserError(as_options(str(error))) from None
    elif finished(lake, key):
        found.append(found_of(recipe, lake, keys, design))
    else:
        job = new_job(str(lake.root), recipe.name, str(file))
        tell(recipe, lake, job)
        job.end("done")
    draw(found[0], design.folder)
    show(found[0], as_json)


def refuse_short(recipe: Recipe, lake: Lake, keys: dict[str, str], todo: Sequence[Part]) -> list[str]:
    """Refuse a budget that a variant's text cannot bear whatever a tokenizer makes of it; return a line for each that by the estimate does not.

    Tokens are estimated from bytes, or are what an earlier mixture of the same text counted. The mixture itself looks again, at the
    tokens themselves.
    """
    lines = {}
    for part in todo:
        names = ", ".join(part.given["from"]) if part.section == "mix" else ""
        if not names or names in lines:
            continue
        snapshots = {name: source(lake, recipe, part, keys, name) for name in part.given["from"]}
        given = {key: part.given[key] for key in ("budget", "phases", "by", "context", "max_epochs")}
        found = plan(snapshots, name=part.name, counted=_counted(lake, snapshots), **given)
        told = as_options((found.short or "").removeprefix(f"mix.{part.name}: "))
        if found.hopeless:
            raise InputError(f"{names}: tokens estimated from bytes: {told}")
        lines[names] = f"{names}: may not suffice, by its bytes: {told}" if told else ""
    return [line for line in lines.values() if line]


def _counted(lake: Lake, snapshots: dict[str, Snapshot]) -> dict[str, int]:
    """Return how many tokens each source had in the latest mixture of these very snapshots; nothing where there was none.

    Mixtures do not say under which of several policies they read: then nothing is known. One that reads documents again has more.
    """
    if any(len(snapshot.policies) > 1 for snapshot in snapshots.values()):
        return {}
    of = ", ".join(snapshot.name for snapshot in snapshots.values())
    locks = {row["lock"] for row in rows(lake, "mixture", "snapshots = ?", [of]) if not row.get("rehydrate")}
    return {row["source"]: row["available"] for row in rows(lake, "mixture_source") if row["lock"] in locks}


def as_options(line: str) -> str:
    """Return an error line about the recipe that an ablation writes in the words of its command line: `set budget: 170k` is `give --budget 170k`."""
    return re.sub(r"\bset (budget|max_epochs): ", lambda found: f"give --{found[1].replace('_', '-')} ", line)


def result_key(keys: dict[str, str], design: Design) -> str:
    """What a comparison amounts to: its evaluations and its confidence."""
    return digest("ablation", str(design.confidence), *[keys[f"eval.{name}"] for name in design.runs])


def found_of(recipe: Recipe, lake: Lake, keys: dict[str, str], design: Design) -> Finding:
    """Read what the evaluations left in the run folders, and compare."""
    folders = {name: lake.root / "runs" / f"train.{name}-{keys[f'train.{name}']}" for name in design.runs}
    return finding(result_key(keys, design), recipe.name, design, folders)


def designed(lake: Lake, asked: Asked) -> Design:
    """Resolve names and figures. Raises InputError, RecipeError or LakeError before anything is written."""
    variants = _variants(lake, asked)
    confidence = share(asked.confidence, "--confidence: ")
    if not 0.5 <= confidence < 1:
        raise InputError(f"--confidence {asked.confidence}: write 50% or more and below 100%")
    if asked.model not in PRESETS:
        raise InputError(f"--model {asked.model}: no such preset{near(asked.model, PRESETS)}")
    if asked.seeds < 1:
        raise InputError(f"--seeds {asked.seeds}: at least 1, and 3 or more to tell a difference from chance")
    kept = {name: {domain: found[0] for domain, found in kept_bytes({name: snapshot}).items()} for name, snapshot in variants.items()}
    weights, notes = _weights(asked.weights, kept)
    strict = sorted(variants, key=lambda name: sum(kept[name].get(domain, 0) for domain in weights or kept[name]))
    held = [_pinned(asked.held_out, _documents(lake, asked.held_out))] if asked.held_out else strict
    mix: dict[str, Any] = {
        "tokenizer": {"train": {"vocab": size(asked.vocab, "--vocab: "), "on": _words(lake, asked, variants)}}, "context": asked.context,
        "budget": size(asked.budget, "--budget: "), "held_out": held, "hold_out": _share(asked, kept[strict[0]], weights), "max_epochs": asked.max_epochs,
    }  # fmt: skip
    train: dict[str, Any] = {"act": "pretrain", "model": asked.model, "eval_every": NEVER, "keep": 1, **_settings(asked.settings)}
    id_ = digest(json.dumps([mix, train, weights], sort_keys=True), size=3)
    recipe: dict[str, Any] = {"name": f"ablate-{id_}", "seed": 0, "lake": "../..", "mix": {}, "train": {}, "eval": {}}
    runs: dict[str, tuple[str, int]] = {}
    called = slugs(list(variants))
    for seed in range(1, asked.seeds + 1):
        for label, pinned in zip(asked.variants, variants, strict=True):
            name = f"{called[pinned]}_{id_}_s{seed}"
            drawn = {"by": "domain", "weights": weights} if weights else {"by": "dataset", "weights": {pinned: 1}}
            recipe["mix"][name] = {"from": pinned, **mix, **drawn, "seed": seed}
            recipe["train"][name] = {**train, "mix": name, "seed": seed}
            recipe["eval"][name] = {"model": name, "tasks": ["bits_by_document"]}
            runs[name] = label, seed
    told = {"weights": json.dumps(weights) if weights else "natural", "held_out_of": ", ".join(held), "model": asked.model, "context": asked.context}
    return Design(id_, Path(lake.root) / "runs" / f"ablate-{id_}", recipe, runs, confidence, told, notes)


def _variants(lake: Lake, asked: Asked) -> dict[str, Snapshot]:
    """The variants by their names with a version, so that the recipe goes on meaning what it meant."""
    if len(asked.variants) < 2:
        raise InputError(f"ablate {' '.join(asked.variants)}: name two variants or more, the one to compare with first, such as `ablate raw corpus`")
    found: dict[str, Snapshot] = {}
    for label in asked.variants:
        snapshot = _documents(lake, label)
        pinned = _pinned(label, snapshot)
        same = [other for other, one in zip(asked.variants, found.values(), strict=False) if (one.name, verdict(one)) == (snapshot.name, verdict(snapshot))]
        if same:
            raise InputError(f"ablate: {same[0]} and {label} are the same text, {pinned}; name another version or policy")
        found[pinned] = snapshot
    return found


def _documents(lake: Lake, name: str) -> Snapshot:
    snapshot = lake.snapshot(name)
    if snapshot.shape != "document":
        raise InputError(f"ablate: {name} holds {snapshot.shape}s; a model is pre-trained on documents")
    return snapshot


def _pinned(name: str, snapshot: Snapshot) -> str:
    return f"{name.partition('@')[0]}@v{snapshot.version}"


def slugs(pinned: Sequence[str]) -> dict[str, str]:
    """Return a part's name for each variant: lower-case letters, digits and _. Those that would fall together carry a hash of what they were."""
    plain = {name: _slug(name) for name in pinned}
    return {name: f"{slug}_{digest(name, size=3)}" if list(plain.values()).count(slug) > 1 else slug for name, slug in plain.items()}


def _slug(name: str) -> str:
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in name.lower())
    return plain if plain[0].isalpha() else f"d{plain}"


def _words(lake: Lake, asked: Asked, variants: dict[str, Snapshot]) -> str:
    """What the tokenizer is trained on: as asked, else the first variant."""
    return _pinned(asked.tokenizer, _documents(lake, asked.tokenizer)) if asked.tokenizer else next(iter(variants))


def _weights(given: str, kept: dict[str, dict[str, int]]) -> tuple[dict[str, float] | None, list[str]]:
    """Return the weights of domains, the same for all variants (None: each variant's own), and what was left out.

    `same` takes the first variant's shares of the domains that every variant has: a policy that empties a domain would
    otherwise win or lose by the mixture of domains, not by the quality of its text.
    """
    for name, domains in kept.items():
        if not sum(domains.values()):
            raise InputError(f"ablate: nothing is kept of {name}; look at what its policy drops with `headrace show {name.partition('@')[0]} --dropped any`")
    if given == "natural":
        return None, []
    if given != "same":
        return _written(given), []
    first = next(iter(kept.values()))
    common = [domain for domain in first if all(domains.get(domain, 0) for domains in kept.values())]
    if not common:
        lists = "; ".join(f"{name} has {', '.join(domains)}" for name, domains in kept.items())
        raise InputError(f"ablate: no domain is in every variant ({lists}); compare others, or give --weights natural")
    total = sum(first[domain] for domain in common)
    used = [domain for domain in common if first[domain] / total >= LEAST_WEIGHT]
    weights = {domain: round(first[domain] / sum(first[d] for d in used), 4) for domain in sorted(used)}
    largest = max(weights, key=lambda domain: weights[domain])
    weights[largest] = round(1 - sum(weight for domain, weight in weights.items() if domain != largest), 4)
    left = sorted({domain for domains in kept.values() for domain in domains} - set(used))
    return weights, [f"not mixed, since not every variant has enough of it: {', '.join(left)}"] if left else []


def _written(given: str) -> dict[str, float]:
    weights = {}
    for item in given.split(","):
        name, equals, value = item.partition("=")
        if not equals or not name.strip():
            raise InputError(f"--weights {given}: write same, natural, or domains with shares such as web=.8,books=.2")
        weights[name.strip()] = share(value.strip(), f"--weights: {name.strip()}: ")
    return weights


def _share(asked: Asked, kept: dict[str, int], weights: dict[str, float] | None) -> float:
    """How much of the held-out text is held out: as asked; of a dataset named for it all; else about HELD_TOKENS."""
    if asked.hold_out is not None:
        return share(asked.hold_out, "--hold-out: ")
    if asked.held_out:
        return 1.0
    tokens = sum(found for domain, found in kept.items() if weights is None or domain in weights) / BYTES_A_TOKEN
    return max(0.0001, round(min(HELD_MOST, HELD_TOKENS / max(tokens, 1)), 4))


def _settings(given: Sequence[str]) -> dict[str, Any]:
    """Knobs of pre-training, the same for every run: `--set batch=8`."""
    found: dict[str, Any] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name.strip():
            raise RecipeError(f"--set {one}: write KNOB=VALUE, such as batch=8")
        if name.strip() in ("act", "mix", "model", "seed", "from", "on"):
            raise RecipeError(f"--set {one}: {name.strip()} is what an ablation sets itself")
        found[name.strip()] = read_yaml(value)
    return found
