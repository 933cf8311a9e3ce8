"""What a page says of its use by AI, in its headers and its meta elements."""

import re
from collections.abc import Iterable

HEADER = "Headrace-AI-Opt-Out"
"""Of a crawl's WARC records: what kept the page from use by AI when it was fetched (ingest/crawling/robots.py)."""
METAS = ("robots", "tdm-reservation", "tdm_reservation")
"""Names of the meta elements that are looked at."""
NO_AI = re.compile(r"(?:^|[\s,;:])(noai|noimageai|noml)(?=$|[\s,;])", re.I)


def said(headers: Iterable[tuple[str, str]] = (), metas: Iterable[tuple[str, str]] = ()) -> set[str]:
    """Return `noai`, `noimageai`, `noml` and `tdm-reservation`, where said. Names of both in lower case.

    Sources: X-Robots-Tag and meta robots as sites use them, the TDM Reservation Protocol (W3C community report, 2024).
    """
    found: set[str] = set()
    for name, value in (*headers, *metas):
        if name in ("x-robots-tag", METAS[0]):
            found |= {word.lower() for word in NO_AI.findall(value)}
        elif name in METAS[1:] and value.strip() == "1":
            found.add("tdm-reservation")
    return found
