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

from ingest.crawling.urls import canonical
from ingest.pages.plain import unescaped
from ingest.pages.syntax import BANG, EQUALS, GT, LT, PADDING, QUESTION, SLASH, SPACE, Bytes, attribute, behind, lower, raw_end, tag_at
from ingest.pages.tags import FNV_PRIME, FNV_START, ID, RAW, fnv

A, AREA, BASE, LINK, META, HEAD, BODY = (ID[name] for name in ("a", "area", "base", "link", "meta", "head", "body"))
NAMES = {name.encode(): name for name in ("href", "rel", "name", "http-equiv", "property", "itemprop", "content")}
MOST_LINKS = 10_000
MOST_TAGS, MOST_ATTRIBUTES, MOST_METAS = 100_000, 500_000, 1000
"""Of a page, that are looked at: each takes Python a microsecond, and a page of 16 MB has room for millions."""
LONGEST = 8 << 10
REFRESH = re.compile(r"^[\d.]{0,20}\s?[;,]\s*(?:url\s*=\s*)?[\"']?([^\"'\s]+)", re.I)

Numbers = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]


class Links(NamedTuple):
    """What a page leads to, each once, in its order; those that it asks not to follow left out. `metas` are names in lower case with contents."""

    links: list[str]
    canonical: str | None
    metas: list[tuple[str, str]]


def links(page: bytes, url: str) -> Links:
    """Return the links of a page in UTF-8 that came from an address: of `a`, `area` and a refresh, not of what is shown in place."""
    base, first, told, found = url, None, [], dict[str, None]()
    for tag, said, _ in tags(page):
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


def metas(page: bytes, names: Hashes) -> Iterator[tuple[str, str]]:
    """Yield name and content of the meta elements in a page's head whose names (`property`, `name` or `itemprop`) have one of these hashes (`tags.fnv`).

    One that is written with an entity, as `og&#58;title`, comes whatever it is.
    """
    found = _metas(np.frombuffer(page + PADDING, np.uint8), len(page), names)
    for first, last, start, end in found.tolist():
        content = unescaped(page[start : min(end, start + LONGEST)].decode("utf-8", "replace"))
        if content:
            yield unescaped(page[first : min(last, first + LONGEST)].decode("utf-8", "replace")).strip().lower(), content


def tags(page: bytes, *, only: int | None = None, holding: bytes = b"") -> Iterator[tuple[int, dict[str, str], int]]:
    """Yield the tags that may lead somewhere, with their attributes and the offset behind each; none of a comment or a script.

    With `only` those of one name, and others that hold some bytes.
    """
    found, named = _found(np.frombuffer(page + PADDING, np.uint8), len(page))
    if only is not None:
        places = np.array([at.start() for at in re.finditer(re.escape(holding), page)] if holding else [], np.int64)
        before = np.concatenate([[0], found[:-1, 3]]) if len(found) else found[:, 3]
        found = found[(found[:, 0] == only) | (np.searchsorted(places, before) < np.searchsorted(places, found[:, 3]))]
    for tag, first, last, end in found.tolist():
        said: dict[str, str] = {}
        for start, stop, value, behind_value in named[first:last].tolist():
            name = NAMES.get(page[start:stop].lower())
            if name:
                said.setdefault(name, unescaped(page[value : min(behind_value, value + LONGEST)].decode("utf-8", "replace")))
        yield tag, said, end


@numba.njit(cache=True, nogil=True)
def _attributes(data: Bytes, at: int, size: int, into: Numbers, many: int) -> tuple[int, int]:
    """Write down where the attributes of a tag stand that have a value, as far as there is room. Returns how many there are now, and the offset behind `>`."""
    while True:
        start, end, first, last, at = attribute(data, at, size)
        if start == end:
            return many, min(at + 1, size)
        if first and many < len(into):
            into[many, 0], into[many, 1], into[many, 2], into[many, 3] = start, end, first, last
            many += 1


@numba.njit(cache=True, nogil=True)
def _found(data: Bytes, size: int) -> tuple[Numbers, Numbers]:
    """The number of each start tag that may lead somewhere, its attributes from one row to another, and the offset behind it; then where those stand."""
    marks = equals = 0
    for i in range(size):
        marks += data[i] == LT
        equals += data[i] == EQUALS
    out, named = np.empty((min(marks, MOST_TAGS), 4), np.int32), np.empty((min(equals, MOST_ATTRIBUTES), 4), np.int32)
    none, ends, n, m, at = named[:0], np.full(len(RAW), -1, np.int64), 0, 0, 0
    while at < size and n < len(out):
        following = data[at + 1]
        name = at + 2 if following == SLASH else at + 1
        letter = 97 <= lower(data[name]) <= 122
        if data[at] != LT or (not letter and following not in (BANG, QUESTION, SLASH)):
            at += 1
            continue
        if not letter:
            at = behind(data, at, size)
            continue
        tag, start = tag_at(data, name, size)
        wanted = following != SLASH and tag in (A, AREA, BASE, LINK, META)
        many, at = _attributes(data, start, size, named[m:] if wanted else none, 0)
        if data[at - 1] != GT:
            break  # the page ends inside the tag
        if wanted:
            out[n, 0], out[n, 1], out[n, 2], out[n, 3] = tag, m, m + many, at
            n, m = n + 1, m + many
        elif following != SLASH and RAW[tag]:
            at = raw_end(data, tag, name, at, size, ends)
    return out[:n], named[:m]


AMPERSAND = ord("&")
PROPERTY, NAME, ITEMPROP, CONTENT = np.array([fnv(name) for name in ("property", "name", "itemprop", "content")], np.uint64)


@numba.njit(cache=True, nogil=True)
def _hash(data: Bytes, start: int, end: int) -> np.uint64:
    """The hash of some bytes in lower case, less the space around them."""
    while start < end and data[start] <= SPACE:
        start += 1
    while end > start and data[end - 1] <= SPACE:
        end -= 1
    found = FNV_START
    for i in range(start, end):
        found = (found ^ np.uint64(lower(data[i]))) * FNV_PRIME
    return found


@numba.njit(cache=True, nogil=True)
def _meta(data: Bytes, at: int, size: int, names: Hashes, row: Numbers) -> tuple[bool, int]:
    """Read a meta element's attributes. Returns whether its name is wanted, and the offset behind; `row` is where name and content stand."""
    said = np.zeros((4, 2), np.int32)
    while True:
        start, end, first, last, at = attribute(data, at, size)
        if start == end:
            break
        asked = _hash(data, start, end)
        for i, name in enumerate((PROPERTY, NAME, ITEMPROP, CONTENT)):
            if asked == name and not said[i, 0] and first:
                said[i, 0], said[i, 1] = first, last
    for i in range(3):
        if said[i, 1] > said[i, 0]:
            row[0], row[1], row[2], row[3] = said[i, 0], said[i, 1], said[3, 0], said[3, 1]
            escaped = np.any(data[said[i, 0] : said[i, 1]] == AMPERSAND)
            return bool(escaped or np.any(names == _hash(data, said[i, 0], said[i, 1]))), min(at + 1, size)
    return False, min(at + 1, size)


@numba.njit(cache=True, nogil=True)
def _metas(data: Bytes, size: int, names: Hashes) -> Numbers:
    """Where name and content of the wanted meta elements of a head stand."""
    out, many, at, ends = np.empty((MOST_METAS, 4), np.int32), 0, 0, np.full(len(RAW), -1, np.int64)
    while at < size and many < len(out):
        following = data[at + 1]
        name = at + 2 if following == SLASH else at + 1
        letter = 97 <= lower(data[name]) <= 122
        if data[at] != LT or (not letter and following not in (BANG, QUESTION, SLASH)):
            at += 1
            continue
        if not letter:
            at = behind(data, at, size)
            continue
        tag, at = tag_at(data, name, size)
        if tag == (HEAD if following == SLASH else BODY):
            break
        wanted = False
        if tag == META and following != SLASH:
            wanted, at = _meta(data, at, size, names, out[many])
        else:
            _, at = _attributes(data, at, size, out[:0], 0)
        if data[at - 1] != GT:
            break  # the page ends inside the tag
        many += wanted
        if following != SLASH and RAW[tag]:
            at = raw_end(data, tag, name, at, size, ends)
    return out[:many]
