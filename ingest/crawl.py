"""The crawler: one round over one bucket of hosts, as a task.

A round asks its hosts, many at a time and each one politely, and follows what it finds to hosts of its own bucket at once; what leads to
others is sent to their buckets for the next round. Each turn is written to the archive, then to a journal: a round that is
killed goes on from its journal, and only what was under way, one page a host at most, is asked for again.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from catalog.files import write_json
from catalog.stage import Refused, source
from catalog.tasks import Task
from ingest import warc
from ingest.crawling.round import Round, stem


@source(version=3)
def read(
    path: str,
    *,
    seeds: list[Any],
    allow_hosts: list[str] | None = None,
    delay: float = 1.0,
    max_depth: int | None = None,
    max_pages: int | None = None,
    max_bytes: int | None = None,
    scope: str = "host",
    contact: str | None = None,
    sitemaps: bool = False,
    timeout: float = 60.0,
    page_bytes: int = 16_777_216,
    tries: int = 3,
    backoff: float = 30.0,
    patience: float = 600.0,
    alike: int = 64,
    connections: int = 32,
    buckets: int = 64,
    round: float = 300.0,
    mode: str = "fast",
    seconds: float = 10.0,
) -> Iterator[dict[str, Any] | Refused]:
    """Crawl from `seeds`, politely, into WARC files of the lake, and yield a document for each page (docs/crawling.md).

    seeds          addresses; or {sitemap: URL}, {domain: NAME}, {list: FILE with an address a line}, {sql: SELECT whose first column is addresses}
    allow_hosts    names or addresses, without port, that belong to the crawl and may be private; robots.txt always counts
    delay          seconds between two requests to a host; its robots.txt may ask for more
    max_depth      links from a seed; max_pages, max_bytes: of a visit to all that the crawl knows
    scope          which links are followed: to a seed's or an allowed `host`, to its whole `domain`, or to `any`
    contact        a mail address or a page that the user agent names, where a site's owner reaches you
    sitemaps       read those that robots.txt names
    timeout        seconds that one answer may take, page_bytes: that it may have; what is longer is cut and says so
    tries          of an address that fails; `backoff` seconds before the second, doubled each time; `patience`: how long a run waits for that
    alike          pages of one kind of address that are seen, deep down, before the kind counts as a trap if they hardly differ; 0: never
    connections    hosts that a task asks at a time; `buckets` of hosts, a task each, fixed when a crawl begins; `round`: seconds of one
    mode, seconds  as for warc: how pages are read
    """
    yield from warc.read(path, mode=mode, seconds=seconds)


def fetch_round(task: Task) -> dict[str, Any]:
    """Do one bucket's part of a round. Returns its account, which is also left beside its files; what was done before is not done again.

    `state`, `hosts`, `sent`: files of the bucket after the round, from the crawl's folder; `archive`: the WARC file, None where nothing
    was fetched; `pages`, `bytes`: fetched; `left`, `next`: addresses still to ask, and when the first may be (seconds since 1970); `states`, `errors`: counts.
    """
    account = f"{stem(task)}.json"
    os.makedirs(os.path.dirname(account), exist_ok=True)
    with open(f"{stem(task)}.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)                     # a cluster may try a task twice at a time: the second finds the account
        if os.path.isfile(account):
            told: dict[str, Any] = json.loads(Path(account).read_text(encoding="utf-8"))
            return told
        told = Round(task).run()
        write_json(account, told)
        for kind in ("journal", "now"):
            Path(f"{stem(task)}.{kind}").unlink(missing_ok=True)
    return told
