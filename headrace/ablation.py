"""What an ablation found: the runs' bits by document compared, recorded in the catalogue, drawn and printed."""

import base64
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import typer

from catalog.errors import InputError
from catalog.files import publish, temporary
from catalog.lake import Lake
from headrace.contrasts import ALL, Contrast, contrasts
from headrace.measuring import HELD_OUT
from headrace.tables import as_text, table

Row = dict[str, Any]


@dataclass(frozen=True)
class Design:
    """An ablation as it will be run. `runs` maps the name of each run to its variant, as asked for, and its seed."""

    id: str
    folder: Path
    recipe: dict[str, Any]
    runs: dict[str, tuple[str, int]]
    confidence: float
    told: dict[str, Any]
    notes: list[str] = field(default_factory=list)

@dataclass(frozen=True)
class Finding:
    """An ablation that is done. `about` is one row of the table `ablation`; `runs` what each run was trained on and what it got."""

    key: str
    name: str
    about: Row
    runs: list[Row]
    contrasts: list[Contrast]
    notes: list[str]
    folder: Path


def finding(key: str, name: str, design: Design, folders: dict[str, Path]) -> Finding:
    """Read the run folders of an ablation and compare its variants with the first."""
    runs, frames, lock = [], [], {}
    for run, (variant, seed) in design.runs.items():
        folder = folders[run]
        if not (folder / HELD_OUT).is_file():
            again = f"headrace run {design.folder / 'recipe.yaml'} --force eval.{run}"
            raise InputError(f"{folder / HELD_OUT}: is gone, so the runs cannot be compared; `{again}` makes it again")
        lock, done = (json.loads((folder / file).read_text(encoding="utf-8")) for file in ("lock.json", "done.json"))
        frames.append(pl.read_parquet(folder / HELD_OUT).with_columns(variant=pl.lit(variant), seed=pl.lit(seed)))
        runs.append(_trained(run, variant, seed, lock, done) | _scores(frames[-1]))
    compared = contrasts(pl.concat(frames), design.confidence)
    variants = list(dict.fromkeys(variant for variant, _ in design.runs.values()))
    about = {
        "ablation": design.id, "key": key, "variants": ", ".join(variants), "against": variants[0], "seeds": len({seed for _, seed in design.runs.values()}),
        "tokens": runs[0]["tokens"], "parameters": runs[0]["parameters"], **design.told, "tokenizer": lock["tokenizer"],
        "held_out_documents": lock["held_out"]["documents"], "held_out_bytes": lock["held_out"]["bytes"], "confidence": design.confidence,
        "folder": str(design.folder.relative_to(design.folder.parent.parent)),
    }  # fmt: skip
    return Finding(key, name, about, runs, compared, design.notes + _notes(runs, compared, design.confidence), design.folder)


def _trained(run: str, variant: str, seed: int, lock: Row, done: Row) -> Row:
    """What a run was trained on."""
    sources = lock["sources"]
    return {
        "run": run, "variant": variant, "seed": seed, "tokens": done["seen"], "parameters": done["parameters"], "seconds": done["seconds"],
        "documents": sum(s["documents"] for s in sources), "unique_tokens": sum(s["tokens"] for s in sources), "epochs": max(s["epochs"] for s in sources),
        "kept_apart": lock["apart"]["documents"],
    }  # fmt: skip


def _scores(frame: pl.DataFrame) -> Row:
    return {"bits_per_byte": float(frame["bits"].to_numpy().sum() / frame["bytes"].to_numpy().sum())}


def _notes(runs: list[Row], compared: list[Contrast], confidence: float) -> list[str]:
    judged = [one for one in compared if one.difference is not None]
    notes = []
    again = {run["variant"]: run["epochs"] for run in runs if run["epochs"] > 1}
    if again:
        notes.append(f"read more than once, in its most repeated domain: {', '.join(f'{variant} {epochs:.2f} times' for variant, epochs in again.items())}")
    if any(one.verdict == "one seed" for one in judged):
        notes.append("one seed: the intervals hold the chance of the held-out text alone, not that of training; give --seeds 3 or more")
    noise = sum(one.verdict == "noise" for one in judged)
    if noise:
        notes.append(f"noise: the interval holds 0, so these runs cannot tell the variant from the first ({noise} of {len(judged)} rows)")
    if len(judged) > 1:
        notes.append(f"of {len(judged)} intervals of {confidence:.0%} about {len(judged) * (1 - confidence):.2g} miss by chance alone; read `{ALL}` first")
    return notes


def record(lake: Lake, found: Finding, recipe: str, run: str) -> None:
    """Record an ablation in the tables `ablation` and `ablation_result`; nothing is recorded twice."""
    results = [{"ablation": found.about["ablation"], "key": found.key, **asdict(one)} for one in found.contrasts]
    task = {"recipe": recipe, "part": "ablate", "key": found.key, "output": found.about["folder"]}
    lake.record({"ablation": [found.about], "ablation_result": results, "task": [task]}, run)


def draw(found: Finding, folder: Path) -> None:
    """Write ablation.json and ablation.svg into the ablation's folder."""
    from headrace.plots import intervals

    svg = base64.b64decode(intervals(f"bits per byte against {found.about['against']}: less is better", _points(found)))
    for name, raw in (("ablation.svg", svg), ("ablation.json", (as_text(told(found), indent=1) + "\n").encode())):
        written = temporary(folder / name)
        written.write_bytes(raw)
        publish(written, folder / name)


def _points(found: Finding) -> dict[str, list[tuple[str, float, float, float]]]:
    """By variant: domain, difference and the ends of its interval."""
    points: dict[str, list[tuple[str, float, float, float]]] = {}
    for one in found.contrasts:
        if one.difference is not None:
            low, high = (one.low, one.high) if one.low is not None and one.high is not None else (one.difference, one.difference)
            points.setdefault(one.variant, []).append((one.domain, one.difference, low, high))
    return points


def told(found: Finding) -> Row:
    """An ablation for machines."""
    return {**found.about, "results": [asdict(one) for one in found.contrasts], "runs": found.runs, "notes": found.notes}


def show(found: Finding, as_json: bool) -> None:
    """Print an ablation."""
    if as_json:
        typer.echo(as_text(told(found), indent=1))
        return
    about = found.about
    typer.echo(
        f"{found.name}: {about['seeds']} seeds of {about['model']} ({about['parameters']:,} parameters), {about['tokens']:,} tokens each; "
        f"judged on {about['held_out_documents']:,} documents ({about['held_out_bytes']:,} bytes) that no run saw, of {about['held_out_of']}"
    )
    fields = ("variant", "domain", "bits_per_byte", "sd", "difference", "low", "high", "units", "verdict")
    rows = [{k: _short(getattr(one, k)) for k in fields} for one in found.contrasts]
    table(rows, title=f"\nheld-out bits per byte, less is better; against {about['against']}")
    once = [run for run in found.runs if run["seed"] == 1]
    table([{k: run[k] for k in ("variant", "documents", "unique_tokens", "epochs", "kept_apart")} for run in once], title="\nwhat they were trained on")
    for note in found.notes:
        typer.echo(note)
    typer.echo(f"plot:   {found.folder / 'ablation.svg'}\nrecipe: {found.folder / 'recipe.yaml'}")


def _short(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
