"""What a run would do: parts, sizes, disk and memory needed, what is done. Nothing is written."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import typer

from catalog.errors import HeadraceError, InputError
from catalog.lake import Lake
from catalog.parts import Part, inputs
from catalog.recipe import Recipe, load
from headrace.done import finished, stands
from headrace.held import refuse_unheld
from headrace.keys import part_keys
from headrace.lacking import lacking
from headrace.tables import table
from trainer.presets import PRESETS

EXPANSION = {".gz": 4.0, ".zip": 4.0, ".parquet": 3.0}
"""Bytes of text for a byte of input, by how it is packed; measured on the demo's files, rounded up."""

ON_DISK = 0.45
"""Bytes in the lake for a byte of text: zstd text and six families of signals."""

SYNTH_GB = {"disk": 0.4, "memory": 3.0}
TRAIN_BYTES_A_PARAMETER = 16 + 3 * 12
"""fp32 weights, gradients and AdamW's two moments in memory; three checkpoints of weights and moments on disk."""


def show_plan(recipe_path: str, settings: tuple[str, ...], limit: int | None, lake_path: str | None, as_json: bool) -> None:
    """Print one row a part, what is done, and what the rest needs."""
    recipe = load(recipe_path, settings, lake_path)
    lake = Lake.open(recipe.lake) if (Path(recipe.lake) / "CURRENT").is_file() else None
    rows = parts(recipe, lake, limit)
    if lake is not None:
        refuse_unheld(recipe, lake, [part for part, row in zip(recipe.parts, rows, strict=True) if row["state"] != "done"])
    disk = sum(row["disk_mb"] for row in rows if row["state"] != "done")
    memory = max((row["memory_mb"] for row in rows if row["state"] != "done"), default=0)
    free = shutil.disk_usage(_existing(recipe.lake)).free / 1e6
    if as_json:
        whole = {"recipe": recipe.name, "lake": recipe.lake, "parts": rows, "disk_mb": disk, "memory_mb": memory, "free_mb": round(free)}
        typer.echo(json.dumps(whole, indent=1))
        return
    table(rows, title=f"{recipe.name} -> {recipe.lake}")
    for line in (*missing(recipe), *lacking(recipe, [p for p, row in zip(recipe.parts, rows, strict=True) if row["state"] != "done"])):
        typer.echo(f"\n{line}")
    typer.echo(f"\nto do: about {disk:,.0f} MB of disk ({free:,.0f} MB are free) and {memory:,.0f} MB of memory at most")
    if lake is not None:
        for line in mixes(recipe, lake):
            typer.echo(line)


def missing(recipe: Recipe) -> list[str]:
    """One line for each ingest part whose files are not there: a run would be refused."""
    lines = []
    for part in recipe.parts:
        try:
            inputs(part) if part.section == "ingest" else None
        except InputError as error:
            lines.append(str(error))
    return lines


def parts(recipe: Recipe, lake: Lake | None, limit: int | None) -> list[dict[str, Any]]:
    """One row a part in river order: what it reads, whether it is done, what it will take."""
    keys = part_keys(recipe, lake, limit) if lake is not None else {}
    sizes: dict[str, float] = {}
    rows = []
    for part in recipe.parts:
        sizes[part.id] = text = _text(part, sizes)
        done = finished(lake, keys[part.id]) if lake is not None and stands(lake, recipe, part, keys[part.id]) else None
        disk, memory = _needs(part, text, recipe)
        rows.append(
            {"part": part.id, "does": _does(part), "reads_mb": round(text / 1e6, 1), "state": "done" if done else "to do",
             "output": done["output"] if done else "", "disk_mb": round(disk / 1e6, 1), "memory_mb": round(memory / 1e6)}
        )  # fmt: skip
    return rows


def disk_needed(recipe: Recipe, todo: list[Part]) -> float:
    """Bytes that the parts still to do will write, estimated."""
    sizes: dict[str, float] = {}
    for part in recipe.parts:
        sizes[part.id] = _text(part, sizes)
    return sum(_needs(part, sizes[part.id], recipe)[0] for part in todo)


def _text(part: Part, sizes: dict[str, float]) -> float:
    """Bytes of text that a part works on: of its files, or of the parts that it reads."""
    if part.section != "ingest":
        return sum(sizes.get(need, 0.0) for need in part.needs)
    try:
        return sum(os.path.getsize(file) * EXPANSION.get(Path(file).suffix, 1.0) for file in inputs(part))
    except InputError:
        return 0.0


def _does(part: Part) -> str:
    given = part.given
    if part.section == "ingest":
        return f"{given['kind']} -> {given['shape']}s"
    if part.section == "curate":
        return f"{len(part.stages)} stages, {len(part.bound)} dedup jobs, policy {given.get('policy', 'none')}"
    if part.section == "quality":
        return f"fits a {given['kind'].replace('_', ' ')}"
    if part.section == "synth":
        return f"{given['write']} with {given.get('model', '')}"
    if part.section == "mix":
        return f"{given['budget']:,} tokens in {len(given['phases'])} phases"
    return f"{given['act']} from {given.get('from', given.get('model'))}" if part.section == "train" else ", ".join(given["tasks"])


def _needs(part: Part, text: float, recipe: Recipe) -> tuple[float, float]:
    """Bytes of disk and of memory."""
    if part.section == "quality":
        return 5e6, 4e8 + min(text, 4e9)
    if part.section == "synth":
        return SYNTH_GB["disk"] * 1e9, SYNTH_GB["memory"] * 1e9
    if part.section == "train":
        parameters = _parameters(part, recipe)
        return parameters * TRAIN_BYTES_A_PARAMETER, 8e8 + parameters * 16
    if part.section == "eval":
        return 0.0, 8e8 + _parameters(part, recipe) * 4
    return text * ON_DISK, 4e8 + min(text, 256e6) * 3


def _parameters(part: Part, recipe: Recipe) -> float:
    """The size of the model that a part trains or asks: of the preset at the start of its line, else of the instruct model."""
    trained = {p.name: p for p in recipe.parts if p.section == "train"}
    name = str(part.given.get("model") if part.section == "eval" else part.given.get("from") or part.given.get("model"))
    while before := trained.pop(name.removeprefix("train."), None):
        part, name = before, str(before.given.get("from") or before.given.get("model"))
    return float(PRESETS[name].parameters(_vocabulary(part, recipe))) if name in PRESETS else 1.35e8


def _vocabulary(part: Part, recipe: Recipe) -> int:
    mixed = next((p for p in recipe.parts if p.section == "mix" and p.name == part.given.get("mix")), None)
    return int((mixed.given["tokenizer"].get("train") or {}).get("vocab", 32768)) if mixed else 32768


def mixes(recipe: Recipe, lake: Lake) -> list[str]:
    """For each mixture whose datasets are there: tokens and epochs by source, and what falls short."""
    from headrace.done import source
    from mixer.mix import plan

    lines = []
    keys = part_keys(recipe, lake)
    for part in recipe.parts:
        if part.section != "mix":
            continue
        try:
            snapshots = {name: source(lake, recipe, part, keys, name) for name in part.given["from"]}
        except HeadraceError:
            continue
        given = {key: part.given[key] for key in ("budget", "phases", "by", "context", "hold_out", "max_epochs")}
        given |= {"hold_out": 0.0} if "held_out" in part.given else {}       # it is of other datasets
        found = plan(snapshots, name=part.name, rehydrate=part.given.get("rehydrate"), **given)
        wide = max([12, *(len(row.source) for row in found.planned)])
        lines.append(f"\n{part.id}, tokens estimated from bytes:")
        lines += [
            f"  phase {row.phase}: {row.source:{wide}} weight {row.weight:.3f}, {row.tokens:,} tokens of {row.available:,}, {row.epochs:.2f} epochs"
            for row in found.planned
        ]
        lines += [
            f"  rehydrate: {one.name:{wide}} an epoch reads {one.documents:,} documents {one.readings:,} times"
            for one in found.supplies if one.readings is not None and one.name in {row.source for row in found.planned}
        ]  # fmt: skip
        lines += [f"  short: {found.short}"] if found.short else []
    return lines


def _existing(path: str) -> str:
    """The nearest folder of a path that exists."""
    while not os.path.exists(path):
        path = os.path.dirname(path) or "/"
    return path
