"""What a crawl knows of each address, and how it grows: the frontier, in buckets by host so that one task alone asks a host.

A bucket is a Parquet file in the order in which its addresses were found, rewritten each round. Within a round it lives in
memory as a dict; `admit` is the one door for a new address, and says why one is refused.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from tld import get_fld

from catalog.files import DataWriter, FileStat
from ingest.crawling import urls

MOST_HOPS = 10
"""Redirects from one address to the next that are followed."""
MOST_NESTED = 3
"""Sitemaps that lead to each other, redirects between them included."""
OTHERS = frozenset((
    ".jpg", ".jpeg", ".png", ".gif", ".webp", ".svg", ".ico", ".bmp", ".tif", ".tiff", ".avif", ".mp3", ".mp4", ".m4a", ".m4v", ".ogg",
    ".oga", ".ogv", ".wav", ".flac", ".avi", ".mov", ".wmv", ".webm", ".mkv", ".zip", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar",
    ".tar", ".iso", ".dmg", ".exe", ".msi", ".deb", ".rpm", ".apk", ".jar", ".css", ".js", ".mjs", ".woff", ".woff2", ".ttf", ".otf",
    ".eot", ".swf", ".wasm", ".bin",
))  # fmt: skip
"""Endings of addresses that are no text: they are not asked for."""

ADDRESS = pa.schema(
    [
        ("uri", pa.string()), ("host", pa.string()), ("depth", pa.int32()), ("state", pa.string()), ("reason", pa.string()),
        ("next_fetch", pa.timestamp("us")), ("tries", pa.int32()), ("hops", pa.int32()), ("found_on", pa.string()), ("kind", pa.string()),
        ("status", pa.int32()), ("fetched_at", pa.timestamp("us")), ("visit", pa.int32()), ("visits", pa.int32()), ("changes", pa.int32()),
        ("etag", pa.string()), ("last_modified", pa.string()), ("digest", pa.string()), ("bytes", pa.int64()), ("content_type", pa.string()),
        ("opt_out", pa.string()), ("links", pa.int32()), ("redirect", pa.string()), ("file", pa.string()), ("record_offset", pa.int64()),
        ("recorded_at", pa.timestamp("us")),
    ]
)  # fmt: skip
"""One address.

state       `new`, `waiting` (to be asked again at `next_fetch`, UTC), `done`, `redirect`, `broken` (4xx), `failed` (given up), `refused` (not asked)
reason      why it is waiting, broken, failed or refused
depth, hops, found_on   links from a seed, redirects behind it, the page that led here first
visit, visits, changes  the last visit that asked it, how often it was fetched, how often its body had changed since
digest, file, record_offset, recorded_at   of its body: SHA-1, and the WARC record that holds it
"""


@dataclass(slots=True)
class Address:
    """A row of ADDRESS, while a round works on it."""

    uri: str
    host: str
    depth: int
    state: str = "new"
    reason: str | None = None
    next_fetch: datetime | None = None
    tries: int = 0
    hops: int = 0
    found_on: str | None = None
    kind: str = "page"
    status: int | None = None
    fetched_at: datetime | None = None
    visit: int = 0
    visits: int = 0
    changes: int = 0
    etag: str | None = None
    last_modified: str | None = None
    digest: str | None = None
    bytes: int = 0
    content_type: str | None = None
    opt_out: str | None = None
    links: int = 0
    redirect: str | None = None
    file: str | None = None
    record_offset: int | None = None
    recorded_at: datetime | None = None


@dataclass(frozen=True)
class Scope:
    """Which addresses belong to a crawl: those of `hosts`, with `domains` those below a domain, or `any`. Depth counts from a seed."""

    hosts: frozenset[str]
    domains: frozenset[str]
    any: bool = False
    max_depth: int | None = None

    def holds(self, url: str) -> bool:
        host = urls.host(url)
        return self.any or host in self.hosts or (bool(self.domains) and domain_of(host) in self.domains)


@dataclass(frozen=True)
class Lead:
    """A link as it was found: where it leads, how deep, from where."""

    uri: str
    depth: int
    found_on: str | None = None
    hops: int = 0
    kind: str = "page"


def domain_of(host: str) -> str:
    """Return the name that somebody registered, of a host: `example.co.uk` of `www.example.co.uk`; the host itself where there is none."""
    return str(get_fld(f"http://{host}/", fail_silently=True) or host)


def bucket_of(host: str, buckets: int) -> int:
    """Return the bucket of a host: all that one task asks in a round."""
    return int.from_bytes(hashlib.blake2b(host.encode(), digest_size=8).digest(), "big") % buckets


def read(path: str | None) -> dict[str, Address]:
    """Return a bucket by address, in its order."""
    if path is None:
        return {}
    names = [field.name for field in fields(Address)]
    columns = pq.read_table(path, columns=names).to_pydict()
    return {row[0]: Address(*row) for row in zip(*(columns[name] for name in names), strict=True)}


def write(path: str, addresses: Iterable[Address]) -> FileStat:
    """Write a bucket whole."""
    with DataWriter(path, ADDRESS) as writer:
        for address in addresses:
            writer.add(asdict(address))
        return writer.close()


def admit(known: dict[str, Address], lead: Lead, scope: Scope) -> Address | None:
    """Add an address that is not known; where it is, remember the shorter way to it, and that it is a sitemap. Returns what is new, which may be refused."""
    held = known.get(lead.uri)
    if held is not None:
        if lead.kind == "sitemap" != held.kind and _refusal(lead, scope) is None:
            asked = held.state not in ("new", "waiting")
            held.kind, held.state, held.reason = "sitemap", "new" if asked else held.state, None
            held.depth, held.hops = min(held.depth, lead.depth), lead.hops
            held.etag = held.last_modified = None            # it was read as a page: its addresses were not taken up
            return held if asked else None
        if lead.depth < held.depth:
            held.depth = lead.depth
            if held.reason == "max_depth" and _refusal(lead, scope) is None:
                held.state, held.reason = "new", None
                return held
        return None
    why = _refusal(lead, scope)
    found = Address(lead.uri, urls.host(lead.uri), lead.depth, "refused" if why else "new", why, hops=lead.hops, found_on=lead.found_on, kind=lead.kind)
    known[lead.uri] = found
    return found


def _refusal(lead: Lead, scope: Scope) -> str | None:
    if scope.max_depth is not None and lead.depth > scope.max_depth:
        return "max_depth"
    if lead.hops > (MOST_HOPS if lead.kind == "page" else MOST_NESTED):
        return "too_many_redirects"
    if lead.kind == "page" and os.path.splitext(urlsplit(lead.uri).path)[1].lower() in OTHERS:
        return "not_text"
    return urls.trap(lead.uri)


def judge(address: Address, scope: Scope) -> None:
    """Bring back an address that was refused for a depth or a scope that has grown since."""
    if address.state == "refused" and address.reason in ("max_depth", "out_of_scope"):
        lead = Lead(address.uri, address.depth, address.found_on, address.hops, address.kind)
        if scope.holds(address.uri) and _refusal(lead, scope) is None:
            address.state, address.reason = "new", None


def due(address: Address, visit: int, now: datetime) -> bool:
    """Return whether an address is to be asked: new, waiting long enough, or not asked since an earlier visit."""
    if address.visit < visit and address.state != "new":     # also one that waited when the visit before ended
        return address.reason not in ("max_depth", "too_many_redirects", "not_text", *urls.TRAPS)
    return address.state == "new" or (address.state == "waiting" and (address.next_fetch or now) <= now)


LEAD = pa.schema(
    [("bucket", pa.int32()), ("uri", pa.string()), ("depth", pa.int32()), ("found_on", pa.string()), ("hops", pa.int32()), ("kind", pa.string())]
)
"""What one bucket found for others."""


def send(path: str, leads: Sequence[Lead], buckets: int) -> dict[int, int]:
    """Write what was found for other buckets, sorted by bucket. Returns how much for each."""
    rows = sorted((bucket_of(urls.host(lead.uri), buckets), number, lead) for number, lead in enumerate(leads))
    with DataWriter(path, LEAD) as writer:
        for bucket, _, lead in rows:
            writer.add({"bucket": bucket, **asdict(lead)})
        writer.close()
    return dict(_counted(bucket for bucket, _, _ in rows))


def _counted(buckets: Iterable[int]) -> Iterator[tuple[int, int]]:
    counts: dict[int, int] = {}
    for bucket in buckets:
        counts[bucket] = counts.get(bucket, 0) + 1
    yield from counts.items()


def received(paths: Sequence[str], bucket: int) -> Iterator[Lead]:
    """Yield what others found for a bucket."""
    for path in paths:
        rows = pq.read_table(path, filters=[("bucket", "=", bucket)]).to_pylist()
        yield from (Lead(row["uri"], row["depth"], row["found_on"], row["hops"], row["kind"]) for row in rows)


def utc(seconds: float) -> datetime:
    """Return a time as the lake stores it: naive, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
