"""What a crawl knows of each host: what its robots.txt says, when it may be asked again, and which kinds of its addresses are all alike.

A host is asked one thing at a time. Between two requests lie the delay of the recipe or of its robots.txt; one that answers
429 or 503 is left alone for as long as it says, one that does not answer for longer each time.
"""

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from catalog.files import write_json
from ingest.crawling import robots
from ingest.crawling.robots import Rules
from ingest.pages.about import MONTHS
from ingest.pages.blocks import scan

ROBOTS_AGE = 24 * 3600.0
"""Seconds that a robots.txt is believed (RFC 9309, section 2.4)."""
LONGEST_WAIT = 24 * 3600.0
CHAINED = 16
"""Links from a seed. What a loop makes up lies deeper with each page; pages that a list leads to, however alike, do not."""
MOST_SKETCHES = 64
"""Kinds of pages that show this many different texts are no trap and not looked at any more."""
DATED = frozenset((*MONTHS, "mon", "tue", "wed", "thu", "fri", "sat", "sun", "mo", "di", "mi", "do", "fr", "sa", "so", "lun", "jeu", "ven", "dim"))
"""How the names of months and days begin."""
WORD = re.compile(rb"[a-z\x80-\xff]{2,}")


@dataclass(slots=True)
class Site:
    """The robots.txt of one origin (scheme, host, port). `all` as in `robots.Rules`; `text` is what was read of it; `failed` counts in a row."""

    at: float
    text: str = ""
    all: bool | None = None
    failed: int = 0
    read: Rules | None = field(default=None, compare=False, repr=False)

    @property
    def rules(self) -> Rules:
        """What it says, read when it is first asked: a round asks few of the hosts that its bucket holds."""
        if self.read is None:
            self.read = Rules(all=self.all) if self.all is not None else robots.read(self.text.encode())
        return self.read


@dataclass(slots=True)
class Host:
    """One host. `ready`: seconds since 1970 before which it is not asked. `faults` and `busy` count in a row. `alike` by `urls.shape`."""

    name: str
    ready: float = 0.0
    faults: int = 0
    busy: int = 0
    pages: int = 0
    sites: dict[str, Site] = field(default_factory=dict)
    alike: dict[str, tuple[int, set[str]]] = field(default_factory=dict)


def read(path: str | None) -> dict[str, Host]:
    """Return the hosts of a bucket by name."""
    found: dict[str, Host] = {}
    for row in json.loads(Path(path).read_text(encoding="utf-8")) if path else []:
        sites = {origin: Site(*said) for origin, said in row["sites"].items()}
        alike = {shape: (n, set(sketches)) for shape, (n, sketches) in row["alike"].items()}
        found[row["name"]] = Host(row["name"], row["ready"], row["faults"], row["busy"], row["pages"], sites, alike)
    return found


def write(path: str, hosts: dict[str, Host]) -> None:
    """Write the hosts of a bucket."""
    rows = [
        {
            "name": host.name, "ready": host.ready, "faults": host.faults, "busy": host.busy, "pages": host.pages,
            "sites": {origin: [one.at, one.text, one.all, one.failed] for origin, one in host.sites.items()},
            "alike": {shape: [n, sorted(sketches)] for shape, (n, sketches) in host.alike.items()},
        }
        for host in hosts.values()
    ]  # fmt: skip
    write_json(path, rows)


def believed(host: Host, origin: str, now: float, tries: int) -> Site | None:
    """Return what is known of an origin's robots.txt; None where it has to be asked for, which is done `tries` times."""
    known = host.sites.get(origin)
    if known is None or now - known.at >= ROBOTS_AGE:
        return None
    return known if known.all is not False or known.failed >= tries else None


def retry_after(said: str | None, at: datetime) -> float | None:
    """Return the seconds of a Retry-After (RFC 9110, section 10.2.3): a number, or a date; None for neither."""
    if not said:
        return None
    if said.strip().isdecimal():
        return min(float(said.strip()[:9]), LONGEST_WAIT)
    try:
        when = parsedate_to_datetime(said)
    except (TypeError, ValueError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return min(max((when - at).total_seconds(), 0.0), LONGEST_WAIT)


def pause(times: int, first: float) -> float:
    """Return the seconds to leave something alone that failed so many times in a row: `first`, doubled each time."""
    return min(first * 2.0 ** min(max(times - 1, 0), 20), LONGEST_WAIT)


def sketch(page: bytes) -> str:
    """Return what tells the text of a page from another's, without numbers and the names of months and days: a calendar's pages have few."""
    shown = b" ".join(page[start:end] for start, end in scan(page).segments[:, :2].tolist())
    words = {word for word in WORD.findall(shown.lower()) if word[:3].decode("utf-8", "replace") not in DATED}
    return hashlib.blake2b(b" ".join(sorted(words)), digest_size=8).hexdigest()


def note(host: Host, shape: str, seen: str) -> None:
    """Count a page of a shape."""
    n, sketches = host.alike.get(shape, (0, set()))
    if len(sketches) < MOST_SKETCHES:
        sketches.add(seen)
    host.alike[shape] = (n + 1, sketches)


def alike(host: Host, shape: str, depth: int, most: int) -> bool:
    """Return whether an address is of a trap: deep down, and of a kind of which `most` were seen and three of four said what others had said."""
    n, sketches = host.alike.get(shape, (0, set[str]()))
    return bool(most) and depth >= CHAINED and n >= most and len(sketches) < MOST_SKETCHES and 4 * len(sketches) <= n
