"""Where a page leads: its links as canonical addresses, and what its head says of itself to robots.

The page is passed over once, by the same scanner as its text, so that what stands in a script or a comment is no link, and whatever the bytes
are it ends in one pass.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from ingest.plain import unescaped
from ingest.syntax import BANG, LT, PADDING, QUESTION, SLASH, Bytes, attributes_end, behind, raw_end, tag_at
from ingest.tags import ID, RAW
from ingest.urls import canonical

A, AREA, BASE, LINK, META = (ID[name] for name in ("a", "area", "base", "link", "meta"))
ATTRIBUTE = re.compile(rb"""([a-zA-Z:_-]{1,40})\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
MOST_LINKS = 10_000
LONGEST_TAG = 8 << 10
REFRESH = re.compile(r"^[\d.]{0,20}\s?[;,]\s*(?:url\s*=\s*)?[\"']?([^\"'\s]+)", re.I)


class Links(NamedTuple):
    """What a page leads to, each once, in its order; those that it asks not to follow left out. `metas` are names in lower case with contents."""

    links: list[str]
    canonical: str | None
    metas: list[tuple[str, str]]


def links(page: bytes, url: str) -> Links:
    """Return the links of a page in UTF-8 that came from an address: of `a`, `area` and a refresh, not of what is shown in place."""
    base, first, told, found = url, None, [], dict[str, None]()
    for tag, said in tags(page):
        href = said.get("href", "")
        rel = said.get("rel", "").lower().split()
        if tag == BASE and href and base == url:
            base = canonical(href, url) or url
        elif tag == META:
            name, content = (said.get("name") or said.get("http-equiv") or said.get("property") or "").strip().lower(), said.get("content", "")
            told.append((name, content))
            to = REFRESH.match(content[:2100].strip()) if name == "refresh" else None
            if to and (there := canonical(to[1], base)):
                found[there] = None
        elif tag == LINK and "canonical" in rel and href:
            first = first or canonical(href, base)
        elif tag in (A, AREA) and href and "nofollow" not in rel and len(found) < MOST_LINKS and (there := canonical(href, base)):
            found[there] = None
    return Links(list(found), first, told)


def tags(page: bytes) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the tags that may lead somewhere, with their attributes; none of a comment or a script."""
    return ((tag, said) for tag, said, _ in placed_tags(page))


def placed_tags(page: bytes, only: int | None = None, holding: bytes | None = None) -> Iterator[tuple[int, dict[str, str], int]]:
    """Yield the same with the offset behind each tag: all, or those of one name and those that hold some bytes."""
    where = _found(np.frombuffer(page + PADDING, np.uint8), len(page))
    if only is not None:
        places = np.array([at.start() for at in re.finditer(re.escape(holding), page)] if holding else [], np.int64)
        where = where[(where[:, 0] == only) | (np.searchsorted(places, where[:, 1]) < np.searchsorted(places, where[:, 2]))]
    for tag, start, end in where.tolist():
        said: dict[str, str] = {}
        for name, double, single, bare in ATTRIBUTE.findall(page[start : min(end, start + LONGEST_TAG)]):
            said.setdefault(name.decode().lower(), unescaped((double or single or bare).decode("utf-8", "replace")))
        yield tag, said, end


@numba.njit(cache=True, nogil=True)
def _found(data: Bytes, size: int) -> npt.NDArray[np.int64]:
    """The number of each start tag that may lead somewhere, and where its attributes start and end."""
    many = 0
    for i in range(size):
        many += data[i] == LT
    out, n, at = np.empty((many, 3), np.int64), 0, 0
    while at < size:
        following = data[at + 1]
        name = at + 2 if following == SLASH else at + 1
        letter = 97 <= (data[name] | 32) <= 122
        if data[at] != LT or (not letter and following not in (BANG, QUESTION, SLASH)):
            at += 1
            continue
        if not letter:
            at = behind(data, at, size)
            continue
        tag, start = tag_at(data, name, size)
        at = attributes_end(data, start, size)
        if following == SLASH:
            continue
        if tag in (A, AREA, BASE, LINK, META):
            out[n, 0], out[n, 1], out[n, 2] = tag, start, at
            n += 1
        elif RAW[tag]:
            at = raw_end(data, name, at, size)
    return out[:n]
