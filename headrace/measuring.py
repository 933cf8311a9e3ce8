"""Do an eval part: held-out bits per byte of a model, beside its untrained start and a unigram table; a sample of what it says."""

import json
from pathlib import Path
from typing import Any

from catalog.errors import InputError
from catalog.files import publish, temporary
from catalog.parts import Part
from catalog.progress import Meter
from catalog.stage import load
from headrace.child import Work
from headrace.done import Row, dataset, finish, model, model_folder, rows
from mixer.samples import Samples
from mixer.unigram import bits_per_byte as unigram

OPENING = "The "
"""What a model that was never tuned goes on from."""

HELD_OUT = "held_out.parquet"
"""In a run folder: what each document of the hold-out took, where the task bits_by_document was asked."""


def run(part: Part, work: Work) -> str:
    """Measure a model, record the figures and a sample, and return one line."""
    name = str(part.given["model"]).removeprefix("train.")
    row = model(work.lake, name)
    folder, run_folder = model_folder(work.lake, name), Path(work.lake.root) / row["run_folder"]
    found: list[Row] = []
    with Meter(part.id, len(part.bound) + 1, "tasks") as meter:
        for bound in part.bound:
            task = bound.path.partition(":")[2]
            score = load(bound.path)(folder, run_folder)
            if task == "bits_per_byte":
                found += [*_yardsticks(name, row, run_folder), *_scored(name, name, score)]
            elif task == "bits_by_document":
                written = temporary(run_folder / HELD_OUT)
                score["documents"].write_parquet(written)
                publish(written, run_folder / HELD_OUT)
                found += _scored(name, name, score)
            else:
                found.append({"model": name, "of": name, "task": task, "domain": "all", "value": score["overall"]})
            meter.add()
        found.append({"model": name, "of": name, "task": "sample", "text": _said(work, row, folder)})
    finish(work.lake, work.recipe, part, work.key(part), work.job, f"eval_result of {name}", {"eval_result": found})
    return ", ".join(f"{r['of']} {r['value']:.3f}" for r in found if r.get("domain") == "all") + " bits per byte held out"


def _yardsticks(name: str, row: Row, run_folder: Path) -> list[Row]:
    """What a pre-trained model is held against: itself before the first step, and the unigram table of its tokenizer."""
    if row["act"] != "pretrain":
        return []
    lines = (json.loads(line) for line in (run_folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    first = next((line["bits_per_byte"] for line in lines if line["kind"] == "eval" and line["step"] == 0), None)
    if first is None:
        raise InputError(f"{run_folder}: its first evaluation is missing from metrics.jsonl")
    table = unigram(Samples.open(run_folder))
    by_table = [{"domain": domain, "value": value} for domain, value in table.items()]
    return [*_scored(name, "untrained", first), *({"model": name, "of": "unigram", "task": "bits_per_byte", "bytes": first["bytes"], **r} for r in by_table)]


def _scored(name: str, of: str, score: dict[str, Any]) -> list[Row]:
    shared = {"model": name, "of": of, "task": "bits_per_byte", "bytes": score["bytes"]}
    return [{**shared, "domain": "all", "value": score["overall"]}, *({**shared, "domain": d, "value": v} for d, v in score["domains"].items())]


def _said(work: Work, row: Row, folder: str) -> str:
    """A tuned model answers the first chat that it was tuned on; any other goes on from an opening."""
    from trainer.evaluate import sample

    tuned = [r for r in rows(work.lake, "model") if r["act"] in ("sft", "dpo") and r["model"] == row["model"]]
    for name in str(tuned[-1]["trained_on"]).split(", ") if tuned else []:
        snapshot = dataset(work.lake, name)
        shown = work.lake.show(name, n=1) if snapshot is not None else []
        messages = [m for m in (shown[0].get("messages") or shown[0].get("prompt") or []) if m["role"] != "assistant"] if shown else []
        if messages:
            asked = [{"role": m["role"], "content": m["content"]} for m in messages]
            return f"{asked[-1]['content']}\n-> {sample(folder, [asked], tokens=48)[0].strip()}"
    return OPENING + sample(folder, [OPENING], tokens=48)[0]
