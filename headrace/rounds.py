"""The rounds of a crawl: what each bucket of hosts is given to do, what came of it, and how long is waited between them."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from catalog.files import write_json
from catalog.parts import Part
from catalog.progress import Meter, ticking
from catalog.spark import map_files
from headrace import __version__
from headrace.child import Work
from headrace.engines import spark_for, workers
from headrace.visits import Crawl, keep, told
from ingest.crawling.frontier import Lead, bucket_of
from ingest.crawling.urls import host

FIRST_ROUND = 10.0
"""Seconds of a run's first round; each next one takes twice as long, up to the recipe's `round`: hosts found early do not wait long."""
POLL = 2.0


def rounds(part: Part, work: Work, folder: Path, state: Crawl, leads: list[Lead]) -> Crawl:
    """Do rounds until nothing is due soon, the budget is spent, or nothing came for as long as patience lasts: then the state says what it waits for."""
    knobs = part.bound[0].knobs
    most = min((n for n in (knobs["max_pages"], work.options.limit) if n is not None), default=None)
    seconds, given, patience, came = FIRST_ROUND, leads, float(knobs["patience"]), (state.pages, time.time())
    with Meter(part.id, most, "pages") as meter:
        meter.to(state.pages)
        while True:
            plan = folder / f"round-{state.round + 1:06d}" / "plan.json"
            if plan.is_file():                               # of a run that was killed: its round goes on, as the recipe is now
                tasks = [_as_now(task, _shared(part, folder, state), most, state) for task in json.loads(plan.read_text(encoding="utf-8"))]
            else:
                if _spent(state, most, knobs["max_bytes"]):
                    return keep(folder, replace(state, waits=None)) if _spent(state, knobs["max_pages"], knobs["max_bytes"]) else state
                tasks = _tasks(part, folder, state, given, most, min(seconds, float(knobs["round"])))
                if not tasks and not _wait(state, came[1] + patience, meter):
                    return keep(folder, replace(state, waits=min(state.times, default=None)))
                if not tasks:
                    continue
                write_json(plan, tasks)
                given = []
            seconds *= 2
            meter.to(state.pages)
            spark = spark_for(work, part, 0)
            with ticking(POLL, partial(_look, plan.parent, state, meter)):
                accounts = list(map_files("ingest.crawl:fetch_round", tasks, spark=spark, workers=workers(work)))
            state = _after(folder, state, accounts)
            came = came if came[0] == state.pages else (state.pages, time.time())


def _as_now(task: dict[str, Any], shared: dict[str, Any], most: int | None, state: Crawl) -> dict[str, Any]:
    """A task of an earlier run, under today's knobs: what was too hasty or too wide does not go on for a round."""
    left = [n for n in (task["pages"], None if most is None else max(0, most - state.pages)) if n is not None]
    return {**task, **shared, "pages": min(left, default=None)}


def _tasks(part: Part, folder: Path, state: Crawl, leads: Sequence[Lead], most: int | None, seconds: float) -> list[dict[str, Any]]:
    """The tasks of the next round: the buckets that have something to ask now, each with its share of the budget."""
    knobs, now = part.bound[0].knobs, time.time()
    seeded: dict[str, list[Lead]] = {}
    for lead in leads:
        seeded.setdefault(str(bucket_of(host(lead.uri), state.count)), []).append(lead)
    ready = {bucket for bucket, about in state.buckets.items() if about["next"] is not None and about["next"] <= now}
    active = sorted({*ready, *seeded, *state.awaited}, key=int)
    load = {b: max(1, state.buckets.get(b, {}).get("left", 0)) + len(seeded.get(b, ())) + state.awaited.get(b, 0) for b in active}
    pages = _shares(load, None if most is None else most - state.pages)
    size = _shares(load, None if knobs["max_bytes"] is None else knobs["max_bytes"] - state.bytes)
    number = state.round + 1
    shared = {
        **_shared(part, folder, state), "round": number, "buckets": state.count, "visit": state.visit, "seconds": seconds, "inbox": state.sent,
    }  # fmt: skip
    tasks = []
    for b in active:
        if (pages.get(b) == 0 or size.get(b) == 0) and b not in seeded and b not in state.awaited:
            continue                                         # what it has waits; what comes to it must still be put down
        about = state.buckets.get(b, {})
        tasks.append({
            **shared, "name": f"{part.id}, round {number}, bucket {b}", "bytes": load[b], "bucket": int(b),
            "state": about.get("state"), "hosts": about.get("hosts"), "first": about.get("first", False),
            "seeds": [list(asdict(lead).values()) for lead in seeded.get(b, ())], "pages": pages.get(b), "most_bytes": size.get(b),
            "archive": f"{part.dataset}-{state.visit:03d}-{number:06d}-{int(b):05d}.warc.gz",
        })  # fmt: skip
    return tasks


def _shared(part: Part, folder: Path, state: Crawl) -> dict[str, Any]:
    """What all tasks of a round are told of the recipe, and where the crawl lies. Seeds and scope may be long: they go by file."""
    knobs = {name: value for name, value in part.bound[0].knobs.items() if name != "seeds"}
    agent = f"headrace/{__version__}" + (f" (+{knobs['contact']})" if knobs["contact"] else "")
    info = {"software": agent, "format": "WARC File Format 1.1", "robots": "obey", "isPartOf": str(part.given.get("dump") or part.dataset)}
    places = {"folder": str(folder), "archives": str(folder / "warc"), "scope": "scope.json"}
    return {**places, "knobs": knobs, "agent": agent, "info": info, "whole": state.whole}


def _shares(load: dict[str, int], left: int | None) -> dict[str, int]:
    """Deal what is left of a budget to the buckets by what each has to do; nothing where there is no budget."""
    if left is None:
        return {}
    left, whole, shares = max(left, 0), sum(load.values()) or 1, {}
    for bucket in sorted(load, key=lambda one: -load[one]):
        shares[bucket] = min(left, -(-left * load[bucket] // whole))
        left, whole = left - shares[bucket], whole - load[bucket] or 1
    return shares


def _spent(state: Crawl, pages: int | None, size: int | None) -> bool:
    return (pages is not None and state.pages >= pages) or (size is not None and state.bytes >= size)


def _wait(state: Crawl, until: float, meter: Meter) -> bool:
    """Sleep until a host may be asked again, where that is before `until`. Returns whether to go on."""
    if not state.times or min(state.times) > until:
        return False
    while (left := min(state.times) - time.time()) > 0:
        meter.to(state.pages, f"waiting {left:,.0f} s for hosts that asked for it")
        time.sleep(min(left, 1.0))
    return True


def _after(folder: Path, state: Crawl, accounts: list[dict[str, Any]]) -> Crawl:
    """Put a round down, and let go of the files that it made old."""
    buckets, errors, awaited = {**state.buckets}, Counter(state.errors), Counter[str]()
    for one in accounts:
        buckets[str(one["bucket"])] = {key: one[key] for key in ("state", "hosts", "rows", "left", "next", "states", "n_hosts")}
        errors.update(one["errors"])
        awaited.update(one["for"])
    fresh = sorted(one["archive"] for one in accounts if one["archive"])
    archives = {**state.archives, str(state.visit): [*state.archives.get(str(state.visit), []), *fresh]}
    after = keep(folder, replace(
        state, round=state.round + 1, pages=state.pages + sum(one["pages"] for one in accounts), bytes=state.bytes + sum(one["bytes"] for one in accounts),
        buckets=buckets, sent=[one["sent"] for one in accounts if one["sent"]], awaited=dict(awaited), archives=archives, errors=dict(errors),
    ))  # fmt: skip
    _sweep(folder, after)
    return after


def _sweep(folder: Path, state: Crawl) -> None:
    """Remove what earlier rounds left and the state does not name."""
    held = {about[kind] for about in state.buckets.values() for kind in ("state", "hosts")} | set(state.sent)
    for old in folder.glob("round-*"):
        if int(old.name[6:]) < state.round:
            for file in old.iterdir():
                if str(file.relative_to(folder)) not in held:
                    file.unlink()
            if not any(old.iterdir()):
                old.rmdir()


def _look(folder: Path, state: Crawl, meter: Meter) -> None:
    """Count while a round runs, from the notes that its tasks leave: pages, hosts, what waits, errors by kind."""
    notes = [_noted(path) for path in (*folder.glob("*.now"), *folder.glob("[0-9]*.json"))]
    errors: Counter[str] = Counter(state.errors)
    for note in notes:
        errors.update(note.get("errors", {}))
    queue, hosts = sum(n.get("queue", n.get("left", 0)) for n in notes), sum(n["hosts"] for n in notes if isinstance(n.get("hosts"), int))
    size = state.bytes + sum(n.get("bytes", 0) for n in notes)
    meter.to(state.pages + sum(n.get("pages", 0) for n in notes), f"{hosts:,} hosts, {queue:,} queued, {size / 1e6:,.1f} MB{told(errors)}")


def _noted(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):                            # it was let go of meanwhile
        return {}
    return found
