"""One turn with a host: its robots.txt, or one page; what came of it as plain data, so that it can be kept and done again from there."""

import re
import time
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from ingest.charset import charset_of, decode
from ingest.codings import is_html, undone
from ingest.crawling import hosts, optout, robots
from ingest.crawling.archive import Seen, digest
from ingest.crawling.fetch import Fetched, Limits, fetch
from ingest.crawling.frontier import Address, Scope
from ingest.crawling.hosts import Host, Site
from ingest.crawling.robots import MOST_HOPS
from ingest.crawling.urls import canonical, host, shape
from ingest.pages.links import links
from ingest.pages.plain import unescaped

REDIRECTS = (301, 302, 303, 307, 308)
BUSY = (429, 503)
UNREACHED = ("dns", "connect", "tls")
"""Faults of a host rather than of a page: it is left alone for a while."""
HOPELESS = ("bad_address", "private_address")
"""Faults that asking again does not mend."""
LOC = re.compile(rb"<(?:\w{1,20}:)?loc>\s*(?:<!\[CDATA\[)?([^<\]]{1,2048})", re.I)
MOST_LOCS = 50_000
"""Addresses of one sitemap (sitemaps.org)."""

Outcome = dict[str, Any]


@dataclass(frozen=True)
class Manners:
    """How a crawl behaves. `delay`, `backoff` in seconds; `tries` of one address; `alike` as in `hosts.alike`; `whole`: what has not changed is sent too."""

    agent: str
    scope: Scope
    delay: float = 1.0
    tries: int = 3
    backoff: float = 30.0
    alike: int = 64
    sitemaps: bool = False
    whole: bool = False
    allow_hosts: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=Limits)

    @property
    def token(self) -> str:
        """The product token that robots.txt knows us by."""
        return self.agent.partition("/")[0]


@dataclass(frozen=True)
class Turn:
    """What came of one turn: an outcome, and what was fetched for the archive, in order. `refused` asked nobody."""

    outcome: Outcome
    fetched: tuple[Fetched, ...] = ()
    seen: Seen | None = None


def origin_of(url: str) -> str:
    """Return scheme, host and port of an address: what a robots.txt speaks for."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def ask_robots(origin: str, known: Host, manners: Manners) -> Turn:
    """Ask for an origin's robots.txt, through at most MOST_HOPS redirects (RFC 9309, section 2.3.1.2)."""
    url, asked = f"{origin}/robots.txt", []
    limits = replace(manners.limits, body=max(manners.limits.body, robots.MOST_BYTES))
    for hop in range(MOST_HOPS + 1):
        if hop and host(url) == known.name:
            time.sleep(manners.delay)
        asked.append(fetch(url, agent=manners.agent, allow_hosts=manners.allow_hosts, limits=limits))
        to = canonical(asked[-1].header("location") or "", url) if asked[-1].status in REDIRECTS else None
        if to is None or (host(to) != known.name and urlsplit(to).path != "/robots.txt"):
            break                                            # another host is asked for its robots.txt, and for nothing else
        url = to
    last = asked[-1]
    rules = _rules(last)
    now, before = time.time(), known.sites.get(origin)
    failed = (before.failed if before else 0) + 1 if rules.all is False else 0
    outcome: Outcome = {
        "kind": "robots", "origin": origin, "at": last.at.timestamp(), "text": rules.text, "all": rules.all, "failed": failed,
        "ready": now + robots.delay(rules, manners.token, manners.delay),
        "leads": [[to, 0, 0, "sitemap"] for said in robots.sitemaps(rules)[:MOST_HOPS] if (to := canonical(said, url)) and manners.scope.holds(to)]
        if manners.sitemaps else [],
    }  # fmt: skip
    if rules.all is False:
        outcome |= {"faults": known.faults + 1, "reason": f"robots_{last.fault or f'status_{last.status}'}"}
        outcome["ready"] = now + (hosts.retry_after(last.header("retry-after"), last.at) or hosts.pause(failed, manners.backoff))
    return Turn(outcome, tuple(one for one in asked if one.status is not None))


def _rules(answer: Fetched) -> robots.Rules:
    """What a robots.txt says; one that broke off or cannot be read could not be had."""
    if answer.truncated in ("time", "disconnect"):
        return robots.Rules(all=False)
    if answer.fault in HOPELESS:                             # nobody was asked, and nobody will be: each address says so itself
        return robots.Rules(all=True)
    try:
        return robots.rules(_undone(answer))
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
        return robots.Rules(all=False)


def _undone(answer: Fetched) -> Fetched:
    """An answer with its body's coding undone; one that cannot be, as if the connection had broken."""
    try:
        body = undone(answer.body, "", answer.header("content-encoding") or "")
    except ValueError as error:
        return Fetched(answer.url, answer.at, fault="bad_http", error=str(error))
    return Fetched(answer.url, answer.at, status=answer.status, headers=answer.headers, body=body, fault=answer.fault, error=answer.error)


def refusal(address: Address, site: Site, known: Host, manners: Manners) -> str | None:
    """Return why an address is not asked for, None where it is."""
    if not manners.scope.holds(address.uri):
        return "out_of_scope"
    if manners.scope.max_depth is not None and address.depth > manners.scope.max_depth:
        return "max_depth"
    if site.all is False:
        return "robots_unavailable"
    if not robots.allowed(site.rules, address.uri, manners.token):
        return "robots"
    return "alike" if hosts.alike(known, shape(address.uri), address.depth, manners.alike) else None


def ask(address: Address, site: Site, known: Host, manners: Manners, seen: dict[str, Seen]) -> Turn:
    """Ask for an address that may be asked for. `seen` are the bodies that the bucket holds, by digest."""
    before = seen.get(address.digest or "")
    conditions = _conditions(address) if before and not manners.whole else []
    found = fetch(address.uri, agent=manners.agent, headers=conditions, allow_hosts=manners.allow_hosts, limits=manners.limits)
    delay = robots.delay(site.rules, manners.token, manners.delay)
    outcome: Outcome = {
        "kind": "page", "uri": address.uri, "at": found.at.timestamp(), "ready": time.time() + delay, "faults": 0, "busy": 0, "bytes": len(found.answer),
    }  # fmt: skip
    if found.fault:
        return Turn({**outcome, **_faulty(address, found, known, manners)})
    status = found.status or 0
    outcome |= {"status": status, "content_type": (found.header("content-type") or "").partition(";")[0].strip().lower() or None}
    if status in BUSY or status >= 500 or status == 408:
        return Turn({**outcome, **_busy(address, found, known, manners)}, (found,))
    if status in REDIRECTS:
        to = canonical(found.header("location") or "", address.uri)
        leads = [[to, address.depth, address.hops + 1, address.kind]] if to and manners.scope.holds(to) else []
        return Turn({**outcome, "state": "redirect", "redirect": to, "leads": leads}, (found,))
    if status == 304 and before:
        outs = {*(address.opt_out or "").split(), *robots.opted_out(site.rules, address.uri, found.headers)}
        return Turn({**outcome, "state": "done", "digest": address.digest, "opt_out": " ".join(sorted(outs)) or None}, (found,), before)
    if status >= 400:
        return Turn({**outcome, "state": "broken", "reason": f"status_{status}"}, (found,))
    name = digest(found.body)
    tags = {} if found.truncated else {"etag": found.header("etag"), "last_modified": found.header("last-modified")}  # a cut page is asked for whole
    try:
        said = _said(address, found, site, manners)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        said = {"reason": "error", "error": f"{type(error).__name__}: {error}"[:300]}
    return Turn({**outcome, **tags, "state": "done", "digest": name, **said}, (found,), seen.get(name))


def _conditions(address: Address) -> list[tuple[str, str]]:
    """Only what has changed is sent again (RFC 9110, section 13.1)."""
    said = [("If-None-Match", address.etag), ("If-Modified-Since", address.last_modified)]
    return [(name, value) for name, value in said if value and value.isascii() and value.isprintable()]


def _faulty(address: Address, found: Fetched, known: Host, manners: Manners) -> Outcome:
    if found.fault in HOPELESS:
        return {"state": "refused", "reason": found.fault}
    wait = hosts.pause(address.tries + 1, manners.backoff)
    if found.fault not in UNREACHED:
        return _again(address, str(found.fault), wait, manners)
    wait = hosts.pause(known.faults + 1, manners.backoff)
    return {**_again(address, str(found.fault), wait, manners), "faults": known.faults + 1, "ready": time.time() + wait}


def _busy(address: Address, found: Fetched, known: Host, manners: Manners) -> Outcome:
    reason, asked = f"status_{found.status}", hosts.retry_after(found.header("retry-after"), found.at)
    if found.status not in BUSY:
        return _again(address, reason, asked or hosts.pause(address.tries + 1, manners.backoff), manners)
    wait = max(hosts.pause(known.busy + 1, manners.backoff) if asked is None else asked, manners.delay)
    return {**_again(address, reason, wait, manners), "busy": known.busy + 1, "ready": time.time() + wait}


def _again(address: Address, reason: str, wait: float, manners: Manners) -> Outcome:
    """Ask once more later, unless it was asked often enough."""
    if address.tries + 1 >= manners.tries:
        return {"state": "failed", "reason": reason}
    return {"state": "waiting", "reason": reason, "next_fetch": time.time() + wait}


def _said(address: Address, found: Fetched, site: Site, manners: Manners) -> Outcome:
    """What a body says: its links, if it is a page or a sitemap, and what it keeps itself from."""
    kind = found.header("content-type") or ""
    try:
        body = undone(found.body, "", found.header("content-encoding") or "")
    except ValueError as error:
        return {"reason": "bad_encoding", "error": str(error)}
    if address.kind == "sitemap":
        hops = {"page": 0, "sitemap": address.hops + 1}
        return {"leads": [[to, address.depth, hops[what], what] for to, what in listed(body, address.uri) if manners.scope.holds(to)]}
    outs = robots.opted_out(site.rules, address.uri, found.headers)
    if not is_html(kind.partition(";")[0].strip().lower(), body):
        return {"opt_out": " ".join(outs) or None}
    try:
        page = decode(body, charset_of(kind))[0].encode("utf-8", "replace")
    except UnicodeError as error:
        return {"reason": "wrong_charset", "error": str(error), "opt_out": " ".join(outs) or None}
    said = links(page, address.uri)
    told = robots.indexing(found.headers, said.metas, manners.token)
    to = [] if "nofollow" in told else [*said.links, *([said.canonical] if said.canonical else [])]
    inside = [one for one in dict.fromkeys(to) if manners.scope.holds(one)]
    return {
        "opt_out": " ".join(sorted({*outs, *optout.said((), said.metas)})) or None, "links": len(said.links),
        "leads": [[one, address.depth + 1, 0, "page"] for one in inside], "sketch": hosts.sketch(page) if shape(address.uri) != _plain(address.uri) else None,
    }  # fmt: skip


def _plain(url: str) -> str:
    """An address as its shape would be if it held no number: such are not compared."""
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path}"


def listed(body: bytes, url: str) -> list[tuple[str, str]]:
    """The addresses that a sitemap lists, plain or packed, and whether they are sitemaps themselves. It may only speak of its own host."""
    if body.startswith(b"\x1f\x8b"):
        body = undone(body, "", "gzip")
    if b"<loc" not in body and b":loc" not in body:
        found = [line.strip().decode("utf-8", "replace") for line in body.splitlines()[:MOST_LOCS]]
    else:
        found = [unescaped(one.strip().decode("utf-8", "replace")) for one in LOC.findall(body)[:MOST_LOCS]]
    kind = "sitemap" if re.search(rb"<(?:\w{1,20}:)?sitemapindex", body[:4096], re.I) else "page"
    known = (canonical(one, url) for one in found if one.startswith(("http://", "https://", "/")))
    return [(to, kind) for to in known if to and host(to) == host(url)]
