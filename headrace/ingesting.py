"""Do an ingest part: read its files into data files, publish them, and say what was refused and why."""

from collections import Counter
from typing import Any

from catalog.errors import InputError
from catalog.files import DataFile, Draft
from catalog.parts import Part, inputs
from catalog.progress import Meter
from catalog.spark import map_files
from headrace.child import Work
from headrace.crawling import crawl
from headrace.done import finish
from headrace.engines import spark_for, workers
from headrace.keys import appended_to, generation
from headrace.picking import pick
from ingest.inputs import fresh, read_before
from ingest.land import tasks


def run(part: Part, work: Work) -> str:
    """Land a part's documents and publish them; return one line about them."""
    crawls = part.given["kind"] == "crawl"
    files = crawl(part, work) if crawls else pick(part, work) if part.given["kind"] == "index" else inputs(part)
    head = appended_to(work.lake, part) if crawls or not generation(work.key(part)) else None  # forced, all files are read
    before = read_before([file.full_path for file in head.files]) if head else {}
    files = fresh(files, before) if head else files
    if head and not files:                                   # a visit, or a change of knobs, that brought nothing new
        finish(work.lake, work.recipe, part, work.key(part), work.job, head.name)
        return f"{head.name}: nothing new"
    given = {
        "name": part.name, "shape": part.given["shape"], "domain": part.given.get("domain", part.name), "dump": part.given.get("dump"),
        "license": part.given.get("license"), **({"again": again} if not crawls and (again := generation(work.key(part))) else {}),
    }  # fmt: skip
    folder = work.lake.root / "data" / part.dataset / work.key(part)
    todo = tasks(files, part.bound[-1], given, str(folder), str(work.lake.root), work.options.limit, before)
    spark = spark_for(work, part, sum(task["bytes"] for task in todo))
    with Meter(part.id, len(todo), "groups of files") as meter:
        done = list(map_files("ingest.land:land", todo, spark=spark, workers=workers(work), progress=lambda _: meter.add()))
    order = {task["id"]: place for place, task in enumerate(todo)}
    done.sort(key=lambda result: order[result["file"]["id"]])
    documents = sum(result["documents"] for result in done)
    reasons: Counter[str] = sum((Counter(result["reasons"]) for result in done), Counter())
    if not documents and head is None:
        raise InputError(f"{part.id}: {len(files)} files and not one document in them{_why(reasons)}; check that {part.given['kind']} is their kind")
    draft = Draft(
        dataset=part.dataset, key=work.key(part), shape=given["shape"], owner=work.recipe.name, run=work.job, files=tuple(_file(r["file"]) for r in done),
        quarantine=tuple(row for result in done for row in result["refused"]), metrics={"input_bytes": float(sum(task["bytes"] for task in todo))},
        parent=work.lake.head(part.dataset), mode="append" if head else "replace",
        tables={"funnel": _funnel(given, done, reasons), "run": [{"part": part.id, "recipe": work.recipe.name, "state": "done"}]},
    )  # fmt: skip
    snapshot = work.lake.commit(draft, take=work.options.take)
    return f"{snapshot.name}: {documents:,} {given['shape']}s from {len(files):,} files{_why(reasons)}"


def _funnel(given: dict[str, Any], done: list[dict[str, Any]], reasons: Counter[str]) -> list[dict[str, Any]]:
    """What was seen, refused and landed, as the funnel counts it."""
    landed = sum(result["documents"] for result in done)
    size = sum(result["text_bytes"] for result in done)
    shared = {"domain": given["domain"]}
    return [
        {**shared, "step": "seen", "documents": landed + reasons.total()},
        *({**shared, "step": "refused", "reason": reason, "documents": n} for reason, n in sorted(reasons.items())),
        {**shared, "step": "landed", "documents": landed, "bytes": size},
    ]


def _why(reasons: Counter[str]) -> str:
    return f" (refused: {', '.join(f'{n:,} {reason}' for reason, n in reasons.most_common(6))})" if reasons else ""


def _file(given: dict[str, Any]) -> DataFile:
    return DataFile(**{**given, "annotations": (), "columns": tuple(tuple(c) for c in given["columns"])})
