"""One bucket of hosts while it is worked on: what is due, who is asked, and how each turn is kept so that a kill costs none."""

import json
import os
import threading
import time
from collections import Counter
from datetime import UTC
from pathlib import Path
from typing import Any

from catalog.files import write_json
from catalog.tasks import Task
from ingest.crawling import frontier, hosts, urls
from ingest.crawling.archive import Archive, Mark, Seen
from ingest.crawling.fetch import Limits
from ingest.crawling.frontier import Address, Lead, Scope
from ingest.crawling.queue import Queue
from ingest.crawling.visit import Manners, Turn, ask, ask_robots, origin_of, refusal

EVERY = 2.0
"""Seconds between two notes of a round's progress."""


def manners(knobs: dict[str, Any], scope: Scope, agent: str, whole: bool) -> Manners:
    """Return how a crawl with these knobs behaves."""
    timeout = float(knobs["timeout"])
    return Manners(
        agent, scope, float(knobs["delay"]), int(knobs["tries"]), float(knobs["backoff"]), int(knobs["alike"]), bool(knobs["sitemaps"]), whole,
        frozenset(name.lower().strip("[]") for name in knobs["allow_hosts"] or ()),
        Limits(seconds=timeout, connect=min(10.0, timeout), idle=min(20.0, timeout), body=int(knobs["page_bytes"])),
    )  # fmt: skip


def stem(task: Task) -> str:
    """Where the files of one bucket's round stand."""
    return os.path.join(task["folder"], f"round-{task['round']:06d}", f"{task['bucket']:05d}")


def _in(task: Task, path: str | None) -> str | None:
    """A file of an earlier round: tasks name them from the crawl's folder, which may move."""
    return os.path.join(task["folder"], path) if path else None


class Round:
    """One bucket while it is worked on: its addresses and hosts, what is due, the archive and the journal. One lock for all of it."""

    def __init__(self, task: Task) -> None:
        self.task, self.stem, self.visit = task, stem(task), int(task["visit"])
        scope = json.loads(Path(_in(task, task["scope"]) or "").read_text(encoding="utf-8")) if isinstance(task["scope"], str) else task["scope"]
        self.scope = Scope(frozenset(scope["hosts"]), frozenset(scope["domains"]), scope["any"], task["knobs"]["max_depth"])
        self.manners = manners(task["knobs"], self.scope, task["agent"], bool(task.get("whole")))
        self.known, self.hosts = frontier.read(_in(task, task["state"])), hosts.read(_in(task, task["hosts"]))
        if task["first"]:                                    # of a visit: what was so the last time may have changed
            for host in self.hosts.values():
                host.faults, host.busy, host.sites = 0, 0, {}
        self.queue = Queue()
        self.outbox: dict[tuple[str, str], Lead] = {}
        self.pages = self.bytes = self.under_way = 0
        self.errors: Counter[str] = Counter()
        self.seen: dict[str, Seen] = {}
        for address in self.known.values():
            if address.digest and address.file and address.recorded_at:
                self.seen.setdefault(address.digest, Seen(address.uri, address.recorded_at, address.digest, address.file, address.record_offset or 0))
        self.change = threading.Condition()
        self.end = time.time() + float(task["seconds"])
        self.said = 0.0
        self.failed: list[BaseException] = []

    def run(self) -> dict[str, Any]:
        """Go on from the journal, ask until nothing is due, the time is over or the budget spent, and write the bucket anew."""
        inbox = [os.path.join(self.task["folder"], path) for path in self.task["inbox"]]
        for lead in [*(Lead(*seed) for seed in self.task["seeds"]), *frontier.received(inbox, self.task["bucket"])]:
            self._lead(lead)
        mark = self._replay()
        self._fill()
        archives, name = self.task["archives"], self.task["archive"]
        with Archive(os.path.join(archives, name), self.task["info"], mark) as archive, open(f"{self.stem}.journal", "ab") as journal:
            self.archive, self.journal = archive, journal
            self._ask()
            if self.failed:                                  # what was kept stays beside its name, to be gone on with
                raise self.failed[0]
            fetched = archive.records > 1
        if not fetched:
            for left in (name, f"{name.removesuffix('.warc.gz')}.cdxj"):
                os.unlink(os.path.join(archives, left))
        return self._account(name if fetched else None)

    def _fill(self) -> None:
        """Put what is due into the queue, and what is to be asked again once it may be."""
        moment = frontier.utc(time.time())
        self.queue = Queue()
        for address in self.known.values():
            host = self._host(address.host)
            frontier.judge(address, self.scope)
            if frontier.due(address, self.visit, moment):
                address.tries = address.tries if address.visit == self.visit else 0
                self.queue.add(address, host.ready)
            elif address.state == "waiting" and address.next_fetch:
                self.queue.add(address, later=address.next_fetch.replace(tzinfo=UTC).timestamp())

    def _ask(self) -> None:
        """Ask hosts on as many threads as there are hosts, and no more than the knob says."""
        self.threads: list[threading.Thread] = []
        with self.change:
            self._more_threads()
        for thread in self.threads:                          # grows while it is walked
            thread.join()

    def _more_threads(self) -> None:
        while len(self.threads) < min(max(self.queue.hosts + self.under_way, 1), int(self.task["knobs"]["connections"])):
            self.threads.append(threading.Thread(target=self._turns, daemon=True))
            self.threads[-1].start()

    def _turns(self) -> None:
        """What one thread does: take a host that may be asked, ask, keep what came of it."""
        try:
            while (taken := self._take()) is not None:
                turn = self._turn(*taken)
                with self.change:
                    self._keep(*taken, turn)
                    self._more_threads()
                    self.change.notify_all()
        except BaseException as error:
            with self.change:
                self.failed.append(error)
                self.change.notify_all()

    def _turn(self, address: Address, host: hosts.Host) -> Turn:
        """Ask for a page that its robots.txt allows; for the robots.txt first where that is not known."""
        origin = origin_of(address.uri)
        site = hosts.believed(host, origin, time.time(), self.manners.tries)
        if site is None:
            return ask_robots(origin, host, self.manners)
        why = refusal(address, site, host, self.manners)
        if why:
            return Turn({"kind": "page", "uri": address.uri, "state": "refused", "reason": why, "ready": host.ready})
        return ask(address, site, host, self.manners, self.seen)

    def _take(self) -> tuple[Address, hosts.Host] | None:
        """Wait for a host that may be asked. None when the round is over."""
        with self.change:
            while not self.failed:
                now = time.time()
                over = self._spent() or now >= self.end
                name, uri, wait = (None, None, None) if over else self.queue.take(now)
                if name is not None and uri is not None:
                    if self.hosts[name].ready > now:         # it asked for a pause after this address was put in
                        self.queue.free(name, self.hosts[name].ready, again=True)
                        continue
                    self.under_way += 1
                    return self.known[uri], self.hosts[name]
                if not self.under_way and (wait is None or now + wait > self.end):
                    break
                self.change.wait(min(EVERY if wait is None else wait, EVERY))
            self.change.notify_all()
            return None

    def _spent(self) -> bool:
        pages, size = self.task["pages"], self.task["most_bytes"]
        return (pages is not None and self.pages + self.under_way >= pages) or (size is not None and self.bytes >= size)

    def _keep(self, address: Address, host: hosts.Host, turn: Turn) -> None:
        """Write a turn down: to the archive, then to the journal, then into the bucket."""
        outcome = turn.outcome
        for fetched in turn.fetched:
            about = {
                "robotsTxt": "yes" if outcome["kind"] == "robots" else "", "hopsFromSeed": str(address.depth), "via": address.found_on or "",
                "aiOptOut": outcome.get("opt_out") or "",
            }  # fmt: skip
            place = self.archive.add(fetched, about, turn.seen)
            if outcome["kind"] == "page":
                outcome |= {"record": place.offset, "fresh": place.kind == "response"}
        mark = {"end": self.archive.end, "records": self.archive.records, "lines": self.archive.newest(len(turn.fetched))}
        self.journal.write(json.dumps({**outcome, "host": host.name, "mark": mark}).encode() + b"\n")
        self.journal.flush()
        self._apply(outcome, host)
        self.under_way -= 1
        self.queue.free(host.name, host.ready, again=outcome["kind"] == "robots")
        if time.time() - self.said > EVERY:
            self._note()

    def _apply(self, outcome: dict[str, Any], host: hosts.Host) -> None:
        """What an outcome changes, now or when a journal is read again."""
        host.ready = float(outcome["ready"])
        host.faults, host.busy = int(outcome.get("faults", host.faults)), int(outcome.get("busy", host.busy))
        if outcome["kind"] == "robots":
            before = host.sites.get(outcome["origin"])
            if outcome["all"] is False and before and before.all is None:  # what was read of it stands while it cannot be had (RFC 9309, 2.4)
                before.at = outcome["at"]
            else:
                host.sites[outcome["origin"]] = hosts.Site(outcome["at"], outcome["text"], outcome["all"], int(outcome["failed"]))
            host.faults = int(outcome.get("faults", 0))
        else:
            self._settle(self.known[outcome["uri"]], host, outcome)
        if outcome.get("reason"):
            self.errors[outcome["reason"]] += 1
        for uri, depth, hops, kind in outcome.get("leads", ()):
            self._lead(Lead(uri, depth, outcome.get("uri"), hops, kind))

    def _settle(self, address: Address, host: hosts.Host, outcome: dict[str, Any]) -> None:
        """Put down on an address what came of asking for it."""
        address.state, address.reason = outcome["state"], outcome.get("reason")
        address.next_fetch = frontier.utc(outcome["next_fetch"]) if outcome.get("next_fetch") else None
        address.tries, address.visit = address.tries if address.visit == self.visit else 0, self.visit
        if "at" not in outcome:
            return
        address.tries = address.tries + 1 if address.state in ("waiting", "failed") else 0
        self.pages += address.state != "waiting"
        self.bytes += outcome["bytes"]
        host.pages += 1
        address.status, address.content_type = outcome.get("status"), outcome.get("content_type")
        address.fetched_at, address.redirect = frontier.utc(outcome["at"]), outcome.get("redirect")
        if address.state == "waiting":
            self.queue.add(address, later=outcome["next_fetch"])
        if outcome.get("digest"):
            self._body(address, outcome)
        if outcome.get("sketch"):
            hosts.note(host, urls.shape(address.uri), outcome["sketch"])

    def _body(self, address: Address, outcome: dict[str, Any]) -> None:
        """Put down what is known of a body, and where it stands."""
        address.visits += 1
        address.changes += address.digest not in (None, outcome["digest"])
        address.digest, address.bytes, address.opt_out = outcome["digest"], outcome["bytes"], outcome.get("opt_out")
        if outcome["status"] != 304:
            address.etag, address.last_modified = outcome.get("etag"), outcome.get("last_modified")
            address.links = outcome.get("links", 0)
        if outcome.get("fresh"):
            address.file, address.record_offset, address.recorded_at = self.task["archive"], outcome["record"], address.fetched_at
        elif first := self.seen.get(outcome["digest"]):
            address.file, address.record_offset, address.recorded_at = first.file, first.offset, first.at
        assert address.recorded_at is not None and address.file is not None, "a body stands in a record"
        self.seen.setdefault(outcome["digest"], Seen(address.uri, address.recorded_at, outcome["digest"], address.file, address.record_offset or 0))

    def _lead(self, lead: Lead) -> None:
        """Take an address into this bucket, or send it to its own."""
        if frontier.bucket_of(urls.host(lead.uri), self.task["buckets"]) != self.task["bucket"]:
            key = lead.uri, lead.kind
            if key not in self.outbox or lead.depth < self.outbox[key].depth:
                self.outbox[key] = lead
            return
        fresh = frontier.admit(self.known, lead, self.scope)
        if fresh is not None and fresh.state == "new":
            self.queue.add(fresh, self._host(fresh.host).ready)

    def _host(self, name: str) -> hosts.Host:
        return self.hosts.setdefault(name, hosts.Host(name))

    def _replay(self) -> Mark | None:
        """Read what an earlier try of this round kept. Returns how far its archive reaches; None for a new one."""
        kept: list[dict[str, Any]] = []
        journal, part = f"{self.stem}.journal", os.path.join(self.task["archives"], f"{self.task['archive']}.part")
        whole_file = part.removesuffix(".part")
        if os.path.isfile(whole_file) and os.path.isfile(journal):  # it broke off behind the last turn, before the account
            os.replace(whole_file, part)
        size = os.path.getsize(part) if os.path.isfile(part) else 0
        whole = 0
        for line in Path(journal).read_bytes().splitlines(keepends=True) if os.path.isfile(journal) else ():
            if not line.endswith(b"\n") or (outcome := json.loads(line))["mark"]["end"] > size:
                break
            kept.append(outcome)
            whole += len(line)
        if not kept:
            Path(journal).unlink(missing_ok=True)
            return None
        os.truncate(journal, whole)
        for outcome in kept:
            self._apply(outcome, self._host(outcome["host"]))
        last = kept[-1]["mark"]
        return Mark(last["end"], last["records"], tuple(line for outcome in kept for line in outcome["mark"]["lines"]))

    def _note(self) -> None:
        """Say how far the round is, where the driver reads it."""
        self.said = time.time()
        said = {"pages": self.pages, "bytes": self.bytes, "queue": self.queue.size, "hosts": self.queue.hosts, "errors": dict(self.errors)}
        write_json(f"{self.stem}.now", said)

    def _account(self, archive: str | None) -> dict[str, Any]:
        stat = frontier.write(f"{self.stem}.parquet", self.known.values())
        hosts.write(f"{self.stem}.hosts", self.hosts)
        sent = frontier.send(f"{self.stem}.sent", list(self.outbox.values()), self.task["buckets"]) if self.outbox else {}
        times, short = self._times(), os.path.relpath(self.stem, self.task["folder"])
        return {
            "bucket": self.task["bucket"], "state": f"{short}.parquet", "rows": stat.rows, "hosts": f"{short}.hosts",
            "sent": f"{short}.sent" if sent else None, "for": {str(bucket): n for bucket, n in sent.items()}, "archive": archive,
            "pages": self.pages, "bytes": self.bytes, "errors": dict(self.errors), "states": dict(Counter(a.state for a in self.known.values())),
            "left": len(times), "next": min(times, default=None), "n_hosts": len(self.hosts),
        }  # fmt: skip

    def _times(self) -> list[float]:
        """When each address that is left may be asked for, in seconds since 1970."""
        moment, times = frontier.utc(time.time()), []
        for address in self.known.values():
            ready = self._host(address.host).ready
            if frontier.due(address, self.visit, moment):
                times.append(ready)
            elif address.state == "waiting" and address.next_fetch:
                times.append(max(ready, address.next_fetch.replace(tzinfo=UTC).timestamp()))
        return times
