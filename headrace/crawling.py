"""Do a crawl: rounds of tasks over buckets of hosts until nothing is due, each round kept, so that a killed crawl goes on where it was.

The state lies in `crawls/<dataset>` of the lake: `crawl.json`, rewritten after each round, the plan of the round under way, and the
newest files of each bucket. WARC files stand in its `warc`. At the end the frontier is published as `<dataset>.frontier`.
"""

import json
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from catalog.commits import hold
from catalog.errors import InputError, LakeError
from catalog.files import DataFile, Draft, write_json
from catalog.ids import digest
from catalog.parts import Part
from catalog.progress import Meter
from catalog.spark import map_files
from headrace import __version__
from headrace.child import Work
from headrace.engines import spark_for, workers
from headrace.keys import generation
from ingest import seeds
from ingest.frontier import Lead, bucket_of
from ingest.urls import host

FIRST_ROUND = 10.0
"""Seconds of a run's first round; each next one takes twice as long, up to the recipe's `round`: hosts found early do not wait long."""
POLL = 2.0


@dataclass
class Crawl:
    """The state of a crawl after its last round. `buckets` by number: files, counts. `archives` by visit. `sent`: what the round found for other buckets."""

    owner: str
    count: int
    round: int = 0
    visit: int = 1
    forced: str = ""
    pages: int = 0
    bytes: int = 0
    buckets: dict[str, dict[str, Any]] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    awaited: dict[str, int] = field(default_factory=dict)
    archives: dict[str, list[str]] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    scope: str = ""
    whole: bool = False


def crawl(part: Part, work: Work) -> list[str]:
    """Crawl until nothing is due, and publish the frontier. Returns the WARC files of this visit, with `append:` of all visits."""
    folder = Path(work.lake.root) / "crawls" / part.dataset
    folder.mkdir(parents=True, exist_ok=True)
    with hold(folder, f"crawling {part.dataset}", work.options.lock_timeout):  # one run at a time, whatever its knobs
        return _crawl(part, work, folder)


def _crawl(part: Part, work: Work, folder: Path) -> list[str]:
    knobs = part.bound[0].knobs
    leads, scope = seeds.start(knobs, lambda sql: _first_column(work, sql))
    said = {"hosts": sorted(scope.hosts), "domains": sorted(scope.domains), "any": scope.any}
    write_json(folder / "scope.json", said)
    state = _state(folder, part, work, digest(json.dumps(said), str(scope.max_depth)))
    if not knobs["contact"] and any(lead for lead in leads if host(lead.uri) not in {name.lower() for name in knobs["allow_hosts"] or ()}):
        work.say(f"{part.id}: no contact: is given, so owners of sites cannot reach you; name a mail address or a page under crawl:")
    state = _rounds(part, work, folder, state, leads)
    _publish(part, work, folder, state)
    files = [str(folder / "warc" / name) for visit, names in state.archives.items() for name in names if part.given.get("append") or visit == str(state.visit)]
    if not files:
        hint = "name it in allow_hosts: if it is yours; " if "private_address" in state.errors else ""
        raise InputError(f"{part.id}: not one page could be fetched{_told(state.errors)}; {hint}data.\"{part.dataset}.frontier\" says why of each address")
    work.say(f"{part.id}: {_summary(state)}")
    return files


def _state(folder: Path, part: Part, work: Work, scope: str) -> Crawl:
    """Return the state that a crawl has; a new one where there is none. A forced part visits all that it knows again.

    Where `scope` has changed since the last visit, pages that have not are asked for whole: their links may count now.
    """
    path, key = folder / "crawl.json", work.key(part)
    state = Crawl(work.recipe.name, int(part.bound[0].knobs["buckets"]), scope=scope)
    if path.is_file():
        state = Crawl(**json.loads(path.read_text(encoding="utf-8")))
        if state.owner != work.recipe.name and not work.options.take:
            raise LakeError(f"the crawl {part.dataset} belongs to the recipe {state.owner!r}; give another name (publish_as:), or take it over (--take)")
        state.owner = work.recipe.name
    named = part.id in {work.recipe.part(name).id for name in work.options.force}  # forced with a changed recipe it has no generation yet
    if state.round and (state.forced != key if generation(key) else named):
        _let_go(folder, state)
        state.visit, state.forced, state.pages, state.bytes, state.errors = state.visit + 1, key, 0, 0, {}
        state.whole, state.scope = state.scope != scope, scope
        for bucket in state.buckets.values():
            bucket.update(next=0.0, first=True, left=bucket["rows"])
        write_json(path, asdict(state))
    return state


def _let_go(folder: Path, state: Crawl) -> None:
    """Forget a round that was broken off in the visit before: what it asked for is asked for again in the new one."""
    shutil.rmtree(folder / f"round-{state.round + 1:06d}", ignore_errors=True)
    for path in (folder / "warc").glob(f"*-{state.visit:03d}-{state.round + 1:06d}-*"):
        path.unlink()


def _first_column(work: Work, sql: str) -> list[str]:
    found = work.lake.query(sql)
    return [str(value) for value in found.column(0).to_pylist() if value is not None]


def _rounds(part: Part, work: Work, folder: Path, state: Crawl, leads: list[Lead]) -> Crawl:
    """Do rounds until nothing is due soon, the budget is spent, or nothing came for as long as patience lasts."""
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
                    return state
                tasks = _tasks(part, folder, state, given, most, min(seconds, float(knobs["round"])))
                if not tasks and not _wait(state, came[1] + patience, meter):
                    return state
                if not tasks:
                    continue
                write_json(plan, tasks)
                given = []
            seconds *= 2
            meter.to(state.pages)
            spark = spark_for(work, part, 0)
            with _watching(plan.parent, state, meter):
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
    times = [about["next"] for about in state.buckets.values() if about["next"] is not None]
    if not times or min(times) > until:
        return False
    while (left := min(times) - time.time()) > 0:
        meter.to(state.pages, f"waiting {left:,.0f} s for hosts that asked for it")
        time.sleep(min(left, 1.0))
    return True


def _after(folder: Path, state: Crawl, accounts: list[dict[str, Any]]) -> Crawl:
    """Put a round down, and let go of the files that it made old."""
    buckets = {**state.buckets}
    for told in accounts:
        buckets[str(told["bucket"])] = {key: told[key] for key in ("state", "hosts", "rows", "left", "next", "states", "n_hosts")}
    errors, awaited = Counter(state.errors), Counter[str]()
    for told in accounts:
        errors.update(told["errors"])
        awaited.update(told["for"])
    fresh = sorted(told["archive"] for told in accounts if told["archive"])
    archives = {**state.archives, str(state.visit): [*state.archives.get(str(state.visit), []), *fresh]}
    after = Crawl(
        state.owner, state.count, state.round + 1, state.visit, state.forced, state.pages + sum(told["pages"] for told in accounts),
        state.bytes + sum(told["bytes"] for told in accounts), buckets, [told["sent"] for told in accounts if told["sent"]],
        dict(awaited), archives, dict(errors), state.scope, state.whole,
    )  # fmt: skip
    write_json(folder / "crawl.json", asdict(after))
    held = {after.buckets[b][kind] for b in after.buckets for kind in ("state", "hosts")} | set(after.sent)
    for old in folder.glob("round-*"):
        if int(old.name[6:]) < after.round:
            for file in old.iterdir():
                if str(file.relative_to(folder)) not in held:
                    file.unlink()
            if not any(old.iterdir()):
                old.rmdir()
    return after


@contextmanager
def _watching(folder: Path, state: Crawl, meter: Meter) -> Iterator[None]:
    """Count while a round runs, from the notes that its tasks leave: pages, hosts, what waits, errors by kind."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(POLL):
            notes = [_noted(path) for path in (*folder.glob("*.now"), *folder.glob("[0-9]*.json"))]
            errors: Counter[str] = Counter(state.errors)
            for note in notes:
                errors.update(note.get("errors", {}))
            queue, hosts = sum(n.get("queue", n.get("left", 0)) for n in notes), sum(n["hosts"] for n in notes if isinstance(n.get("hosts"), int))
            size = state.bytes + sum(n.get("bytes", 0) for n in notes)
            meter.to(state.pages + sum(n.get("pages", 0) for n in notes), f"{hosts:,} hosts, {queue:,} queued, {size / 1e6:,.1f} MB{_told(errors)}")

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _noted(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):                            # it was let go of meanwhile
        return {}
    return found


def _publish(part: Part, work: Work, folder: Path, state: Crawl) -> None:
    """Publish the frontier as a dataset of the lake."""
    name = f"{part.dataset}.frontier"
    key = digest("frontier", work.key(part), str(state.round), str(state.visit))
    files = []
    for bucket, about in sorted(state.buckets.items(), key=lambda item: int(item[0])):
        path = f"data/{name}/{key}/{int(bucket):05d}.parquet"
        full = Path(work.lake.root) / path
        full.parent.mkdir(parents=True, exist_ok=True)
        if not full.is_file():
            part_path = full.with_name(f".{full.name}.tmp")
            shutil.copyfile(folder / about["state"], part_path)
            os.replace(part_path, full)
        files.append(DataFile(digest(path), path, about["rows"], full.stat().st_size, "", str(work.lake.root), (), ()))
    tables = {"run": [{"part": part.id, "recipe": work.recipe.name, "state": "done"}]}
    draft = Draft(name, key, "address", work.recipe.name, tuple(files), work.job, parent=work.lake.head(name), tables=tables)
    work.lake.commit(draft, take=work.options.take)


def _summary(state: Crawl) -> str:
    states: Counter[str] = Counter()
    for about in state.buckets.values():
        states.update(about["states"])
    hosts = sum(about["n_hosts"] for about in state.buckets.values())
    left = sum(about["left"] for about in state.buckets.values())
    said = ", ".join(f"{n:,} {name}" for name, n in states.most_common())
    waits = f"; {left:,} are left: raise the budget, or run again with --force once they may be asked" if left else ""
    return f"{state.pages:,} answers from {hosts:,} hosts, {state.bytes / 1e6:,.1f} MB; addresses: {said}{_told(state.errors)}{waits}"


def _told(errors: dict[str, int]) -> str:
    return f" ({', '.join(f'{n:,} {reason}' for reason, n in Counter(errors).most_common(6))})" if errors else ""
