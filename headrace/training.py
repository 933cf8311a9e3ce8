"""Do a train part: freeze its run folder, let `python -m trainer` work on it, record what came of it.

The act opens no catalogue: it reads and writes the run folder alone, here or under torchrun on other machines.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import polars as pl

from catalog.errors import InputError, RecipeError
from catalog.files import write_json
from catalog.parts import Part
from catalog.progress import Meter
from headrace.child import Work
from headrace.consumed import CONSUMED, write_consumed
from headrace.done import Row, finish, finished, model_folder, models, source
from headrace.engines import obey
from mixer.rows import freeze_chats, freeze_pairs

FROZEN = ("tokenizer", "documents", "lock.json", "lock.sha256")
"""What a train run takes over from a mixture's folder, the lock's own hash last."""


def run(part: Part, work: Work) -> str:
    """Train, record and return one line about the model."""
    relative = Path("runs") / f"{part.id}-{work.key(part)}"
    folder = work.lake.root / relative
    folder.mkdir(parents=True, exist_ok=True)
    start, parent = _start(part, work)
    lock = _mixture(part, work, folder) if "mix" in part.given else _rows(part, work, folder, start, parent)
    act = {
        "act": part.given["act"], "name": part.name, "knobs": part.bound[0].knobs, "seed": _seed(part, work), "start": start,
        "reference": start.get("folder") if part.given["act"] == "dpo" else None,
    }  # fmt: skip
    write_json(folder / "act.json", act)
    obey([sys.executable, "-m", "trainer", str(folder), "--json"], part.id)
    done = json.loads((folder / "done.json").read_text(encoding="utf-8"))
    write_consumed(folder, done)
    tables = {**told(part, work, relative, done, lock, parent), **lock["tables"]}
    finish(work.lake, work.recipe, part, work.key(part), work.job, str(relative), tables)
    scores = done["bits_per_byte"]
    held = f", held-out bits per byte {scores['start']['overall']:.3f} -> {scores['end']['overall']:.3f}" if scores else ""
    return f"{done['steps']} steps, {done['seen']:,} tokens, loss {done['loss']:.3f}, {done['tokens_per_second']:,.0f} tokens/s{held}"


def _seed(part: Part, work: Work) -> int:
    """What chooses the first weights and every later chance: the part's own seed, else the recipe's."""
    return int(part.given.get("seed", work.recipe.seed))


def _start(part: Part, work: Work) -> tuple[dict[str, str], str]:
    """What the act starts from, and its name: a preset, a model of this recipe or of the lake, or a folder."""
    if "from" not in part.given:
        return {"preset": str(part.given["model"])}, str(part.given["model"])
    name = str(part.given["from"])
    folder = Path(model_folder(work.lake, name))
    if not (folder / "config.json").is_file():
        raise InputError(f"{part.id}: from: {folder} is no transformers folder: it has no config.json")
    return {"folder": str(folder)}, name


def _mixture(part: Part, work: Work, folder: Path) -> Row:
    """Take over a frozen mixture: its lock, its documents, its tokenizer."""
    mix = next(need for need in part.needs if need.startswith("mix."))
    row = finished(work.lake, work.keys[mix])
    if row is None:
        raise RecipeError(f"{part.id} needs {mix}, which is not done")
    frozen = work.lake.root / row["output"]
    for name in FROZEN:
        if (frozen / name).is_dir():
            shutil.copytree(frozen / name, folder / name, dirs_exist_ok=True)
        elif (frozen / name).is_file():
            shutil.copyfile(frozen / name, folder / name)
    return {"lock": row["output"], "trained_on": f"{mix}@lock-{_sha(folder)[:4]}", "tables": {}}


def _rows(part: Part, work: Work, folder: Path, start: dict[str, str], parent: str) -> Row:
    """Freeze chats or pairs for this act alone, with the tokenizer of the model that it starts from."""
    given = part.given["on"]
    on = {str(name): float(weight) for name, weight in given.items()} if isinstance(given, dict) else {str(given): 1.0}
    snapshots = {name: source(work.lake, work.recipe, part, work.keys, name) for name in on}
    if "folder" not in start:
        raise RecipeError(f"{work.recipe.path}:{part.line}: {part.id} trains on rows, so it needs from: a model with a tokenizer")
    knobs = part.bound[0].knobs
    freeze = freeze_pairs if part.given["act"] == "dpo" else freeze_chats
    with Meter(f"{part.id} tokenising", None, "rows") as meter:
        frozen = freeze(
            str(work.lake.root), snapshots, on=on, tokenizer=start["folder"], context=_context(part, start["folder"]),
            **_length(knobs), seed=_seed(part, work), run_folder=str(folder), name=part.name,
            held_out_of=_held_out_of(work, parent), meter=meter,
        )  # fmt: skip
    for reason, n in frozen.dropped.items():
        work.say(f"{part.id}: {n} rows left out: {reason}")
    return {"lock": str(folder), "trained_on": ", ".join(snapshot.name for snapshot in snapshots.values()), "tables": frozen.tables}


def _length(knobs: dict[str, Any]) -> dict[str, Any]:
    """How much the act will walk: its steps, else epochs over the packed rows."""
    if knobs.get("steps"):
        return {"samples": int(knobs["steps"]) * int(knobs["batch"])}
    return {"epochs": float(knobs.get("epochs", 1))}


def _context(part: Part, folder: str) -> int:
    """The row length: as asked, else what the model was made for, at most 1,024."""
    config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    most = int(config.get("max_position_embeddings", 1024))
    asked = int(part.given.get("context", min(most, 1024)))
    if asked > most:
        raise RecipeError(f"{part.id}: context: {asked} is more than the model's {most}")
    return asked


def _held_out_of(work: Work, parent: str) -> str | None:
    """The hold-out stays the same down a line of models, so that their figures compare."""
    row = models(work.lake).get(parent)
    return str(work.lake.root / row["run_folder"]) if row else None


def _sha(folder: Path) -> str:
    return (folder / "lock.sha256").read_text(encoding="utf-8").strip()


def told(part: Part, work: Work, relative: Path, done: Row, lock: Row, parent: str) -> dict[str, list[Row]]:
    """The rows of a finished run for the catalogue."""
    folder = work.lake.root / relative
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [line for line in lines if line["kind"] == "train"]
    shared = {"train_run": relative.name, "model": part.name}
    whole = {
        **shared, "act": part.given["act"], "recipe": work.recipe.name, "key": work.key(part), "run_folder": str(relative),
        "folder": str(relative / done["model"]), "digest": done["digest"], "started_from": parent, "trained_on": lock["trained_on"],
        "lock": _sha(folder), "seed": _seed(part, work), "parameters": done["parameters"], "steps": done["steps"], "batch": part.bound[0].knobs["batch"],
        "tokens": done["seen"], "seconds": done["seconds"], "tokens_a_second": done["tokens_per_second"], "loss_first": steps[0]["loss"],
        "loss_last": done["loss"], "bits_per_byte": (done["bits_per_byte"] or {}).get("end", {}).get("overall"),
    }  # fmt: skip
    metrics = [{**shared, "step": s["step"], "loss": s["loss"], "lr": s["lr"], "grad_norm": s["grad_norm"], "tokens": s["tokens"]} for s in _thinned(steps)]
    cells = "by" in json.loads((folder / "lock.json").read_text(encoding="utf-8"))
    by = ["dataset", "domain", *(["source"] if cells else []), "license"]
    seen = pl.read_parquet(folder / CONSUMED).group_by(by).agg(pl.len().alias("documents"), pl.col("tokens").sum()).sort(by)
    planned = [{**shared, "source": c["source"], "planned_samples": c["planned"], "samples": c["samples"], "tokens": c["tokens"]} for c in done["consumption"]]
    return {
        "model": [whole], "train_run": [whole], "train_metric": metrics, "consumption": [*planned, *({**shared, **row} for row in seen.to_dicts())],
        "checkpoint": [{**shared, "checkpoint": name, "step": int(name.removeprefix("step-"))} for name in done["checkpoints"]],
        "run": [{"part": part.id, "recipe": work.recipe.name, "state": "done"}],
    }  # fmt: skip


def _thinned(steps: list[Row], most: int = 1000) -> list[Row]:
    """The catalogue is copied at each commit: it holds at most a thousand points of a curve, metrics.jsonl all."""
    every = -(-len(steps) // most)
    return steps[::every] if every else steps


