"""From a model back to its text: the sources with shares and licences, or the documents of one step's batch."""

import json
from pathlib import Path
from typing import Any

import typer

from catalog.errors import InputError
from catalog.lake import Lake
from headrace.done import model, models, rows, scorers
from headrace.tables import printable, table
from mixer.contamination import said
from mixer.samples import Samples


def show_trace(path: str, name: str, step: int | None, as_json: bool) -> None:
    """Print what a model was trained on."""
    with Lake.open(path) as lake:
        row = scorers(lake).get(name) or model(lake, name)
        found = sources(lake, row) if step is None else documents(lake, row, step)
        line = ancestry(lake, row)
        examined = contamination(lake, row)
    table(found, as_json, empty="nothing was consumed")
    if not as_json:
        for told in examined:
            typer.echo(printable(told))
        typer.echo(f"\n{' <- '.join(line)}")


def contamination(lake: Lake, row: dict[str, Any]) -> list[str]:
    """One line for each evaluation set of which items stood in the mixture that a model was trained on, with the reason why it passed."""
    lock = Path(lake.root) / row["run_folder"] / "lock.json"
    told = json.loads(lock.read_text(encoding="utf-8")).get("contamination", {}) if lock.is_file() else {}
    because = f", accepted because: {told['because']}" if told.get("because") else ""
    return [f"contamination: {said(one)}{because}" for one in told.get("sets", []) if one["standing"] or one.get("too_short") or one.get("share", 0) is None]


def ancestry(lake: Lake, row: dict[str, Any]) -> list[str]:
    """The model and those that it was started from, youngest first."""
    known, line = models(lake), [f"{row['model']} ({row['act']})"]
    while row.get("started_from") in known:
        row = known[row["started_from"]]
        line.append(f"{row['model']} ({row['act']})")
    return [*line, str(row.get("started_from") or "a preset")]


def sources(lake: Lake, row: dict[str, Any]) -> list[dict[str, Any]]:
    """Tokens by dataset, domain and licence over the whole run, with shares; of a mixture of cells, by cell too."""
    found = rows(lake, "consumption", "train_run = ? AND documents IS NOT NULL", [row["train_run"]])
    found.sort(key=lambda r: (-r["tokens"], r["dataset"], r["domain"], r.get("source") or "", r.get("license") or ""))
    total = sum(r["tokens"] for r in found) or 1
    return [
        {
            "dataset": r["dataset"], "domain": r["domain"], **({"cell": r["source"]} if r.get("source") else {}),
            "license": r.get("license") or "unknown", "documents": r["documents"],
            "tokens": r["tokens"], "share": round(r["tokens"] / total, 4),
        }
        for r in found
    ]  # fmt: skip


def documents(lake: Lake, row: dict[str, Any], step: int) -> list[dict[str, Any]]:
    """The documents in one step's batch, with their addresses on the web."""
    if row["act"] == "quality":
        raise InputError(f"--step {step}: {row['model']} is a quality model, fitted to all of its rows at once; leave --step out")
    folder = Path(lake.root) / row["run_folder"]
    if not (folder / "lock.json").is_file():
        raise InputError(f"{folder}: the run folder of {row['model']} is gone, so its batches cannot be made again")
    if not 1 <= step <= row["steps"]:
        raise InputError(f"--step {step}: {row['model']} was trained for {row['steps']} steps, 1 to {row['steps']}")
    samples = Samples.open(str(folder))
    indices = range((step - 1) * row["batch"], min(step * row["batch"], samples.total))
    found: dict[str, dict[str, Any]] = {}
    for index in indices:
        for document in samples.documents(index):
            held = found.setdefault(document["doc_id"], {**document, "tokens": 0})
            held["tokens"] += document["tokens"]
    return sorted(found.values(), key=lambda d: (-d["tokens"], d["doc_id"]))

