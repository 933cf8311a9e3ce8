"""Do a crawl: rounds of tasks over buckets of hosts until nothing is due, each round kept, so that a killed crawl goes on where it was.

The state lies in `crawls/<dataset>` of the lake: `crawl.json`, rewritten after each round, the plan of the round under way, and the
newest files of each bucket. WARC files stand in its `warc`. At the end the frontier is published as `<dataset>.frontier`.
"""

import json
import os
import shutil
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from catalog.commits import hold
from catalog.errors import InputError, LakeError
from catalog.files import DataFile, Draft, write_json
from catalog.ids import digest
from catalog.parts import Part
from headrace import visits
from headrace.child import Work
from headrace.keys import generation
from headrace.rounds import rounds
from headrace.visits import Crawl, goes, keep, told
from ingest.crawling import seeds
from ingest.crawling.urls import host


def crawl(part: Part, work: Work) -> list[str]:
    """Crawl until nothing is due, and publish the frontier. Returns the WARC files of this visit, with `append:` of all visits."""
    folder = visits.folder(work.lake.root, part.dataset)
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
    state = rounds(part, work, folder, state, leads)
    _publish(part, work, folder, state)
    files = [str(folder / "warc" / name) for visit, names in state.archives.items() for name in names if part.given.get("append") or visit == str(state.visit)]
    if not files:
        hint = "name it in allow_hosts: if it is yours; " if "private_address" in state.errors else ""
        raise InputError(f"{part.id}: not one page could be fetched{told(state.errors)}; {hint}data.\"{part.dataset}.frontier\" says why of each address")
    work.say(f"{part.id}: {_summary(state)}")
    return files


def _state(folder: Path, part: Part, work: Work, scope: str) -> Crawl:
    """Return the state that a crawl has; a new one where there is none. A forced part visits all that it knows again.

    Where `scope` has changed since the last visit, pages that have not are asked for whole: their links may count now.
    """
    key, known = work.key(part), visits.read(folder)
    if known is None:
        return Crawl(work.recipe.name, int(part.bound[0].knobs["buckets"]), scope=scope)
    if known.owner != work.recipe.name and not work.options.take:
        raise LakeError(f"the crawl {part.dataset} belongs to the recipe {known.owner!r}; give another name (publish_as:), or take it over (--take)")
    state = replace(known, owner=work.recipe.name, goes=goes(known), waits=None if goes(known) > known.goes else known.waits)
    named = part.id in {work.recipe.part(name).id for name in work.options.force}  # forced with a changed recipe it has no generation yet
    if not state.round or not (state.forced != key if generation(key) else named):
        return keep(folder, state)
    _forget_round(folder, state)
    buckets = {number: {**about, "next": 0.0, "first": True, "left": about["rows"]} for number, about in state.buckets.items()}
    return keep(folder, replace(
        state, visit=state.visit + 1, forced=key, pages=0, bytes=0, errors={}, whole=state.scope != scope, scope=scope, buckets=buckets,
    ))  # fmt: skip


def _forget_round(folder: Path, state: Crawl) -> None:
    """Forget a round that was broken off in the visit before: what it asked for is asked for again in the new one."""
    shutil.rmtree(folder / f"round-{state.round + 1:06d}", ignore_errors=True)
    for path in (folder / "warc").glob(f"*-{state.visit:03d}-{state.round + 1:06d}-*"):
        path.unlink()


def _first_column(work: Work, sql: str) -> list[str]:
    found = work.lake.query(sql)
    return [str(value) for value in found.column(0).to_pylist() if value is not None]


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
    said = ", ".join(f"{n:,} {name}" for name, n in states.most_common())
    waits = f"; {state.left:,} are left: raise the budget to go on" if state.left else ""
    if state.waits is not None:
        after = f"{datetime.fromtimestamp(state.waits + 60, UTC):%Y-%m-%d %H:%M} UTC"
        waits = f"; {state.left:,} are left, of hosts that want to be left alone: run again after {after}"
    return f"{state.pages:,} answers from {hosts:,} hosts, {state.bytes / 1e6:,.1f} MB; addresses: {said}{told(state.errors)}{waits}"
