"""What a page says of itself, from its bytes: title, author, date and language, without a tree.

The order of trust is the same for each: what is written for machines (JSON-LD, meta), then what is shown. A date is the day of
publication; where only a change is dated, none is given. Everything here is linear in the page, whatever its bytes are.
"""

import datetime
import json
import re
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog import licenses
from ingest.crawling import optout
from ingest.pages.blocks import Blocks
from ingest.pages.links import META, tags
from ingest.pages.links import metas as metas_of
from ingest.pages.plain import shown_of, unescaped
from ingest.pages.tags import ID, WORDS, fnv

LANG = re.compile(rb"""<html\b[^>]{0,1000}?\s(?:xml:)?lang\s*=\s*["']?([A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})?)\b""", re.I)
JSON_LD = b"application/ld+json"
MOST_JSON, MOST_HEAD, MOST_TIME, MOST_TITLE, MOST_LINK, MOST_NODES, MOST_CONTENT = 256 << 10, 128 << 10, 1 << 20, 2000, 2000, 2000, 2000
TIME = re.compile(rb"""<time\b[^<>]{0,500}?datetime\s{0,9}=\s{0,9}["']?([0-9]{4}-[0-9]{2}-[0-9]{2})""")
IN_URL = re.compile(r"/((?:19|20)[0-9]{2})[/-]([01][0-9])[/-]([0-3][0-9])(?:[/-]|$)")
DAY = re.compile(r"\s*([0-9]{4})-?([0-9]{2})-?([0-9]{2})(?![0-9])")
TITLES = ("og:title", "twitter:title", "dc.title", "citation_title", "title")
AUTHORS = ("author", "article:author_name", "citation_author", "dc.creator", "dcterms.creator", "byl", "parsely-author", "sailthru.author")
DATES = (
    "article:published_time", "datepublished", "date", "dc.date", "dc.date.issued", "dcterms.created", "dcterms.date", "citation_publication_date",
    "citation_date", "pubdate", "publishdate", "publish-date", "parsely-pub-date", "sailthru.date", "og:pubdate",
    "cxenseparse:recs:publishtime", "published_time",
)  # fmt: skip
ASKED = np.array([fnv(name) for name in (*TITLES, *AUTHORS, *DATES, *optout.METAS)], np.uint64)
COMMONS = b"creativecommons.org"
SITE = re.compile(r"\s[|–—·»-]\s(?:[^|–—·»\s-]|-(?!\s)|\s(?![|–—·»-]\s)){2,40}$")
BY = re.compile(r"^\s*(?:by|von|par|por|di|door|da|text|autore?|author)\s*:?\s+", re.I)
NAME = re.compile(r"[^\W\d_][\w'’.-]+(?: [^\W\d_][\w'’.-]*){1,3}")
POINTED = re.compile(r"\b([0-3]?[0-9])[./]\s?([01]?[0-9])[./]\s?((?:19|20)[0-9]{2})\b")
YEAR = re.compile(r"(?:19|20)[0-9]{2}")
ISO = re.compile(r"\b((?:19|20)[0-9]{2})-([01][0-9])-([0-3][0-9])\b")
NAMED = re.compile(r"\b([0-3]?[0-9])(?:st|nd|rd|th|er|\.|º)?\s+(?:de\s+)?([A-Za-zéûäôç]{3,10})\.?,?\s+(?:de\s+)?((?:19|20)[0-9]{2})\b")
NAMED_FIRST = re.compile(r"\b([A-Za-z]{3,10})\.?\s+([0-3]?[0-9])(?:st|nd|rd|th)?,?\s+((?:19|20)[0-9]{2})\b")
MONTHS = {
    month: number
    for number, names in enumerate((
        "jan ene gen", "feb fév fev", "mar mär mrz maa", "apr avr abr", "may mai mei mag", "jun giu", "jul lug", "aug aoû ago", "sep set", "oct okt ott out",
        "nov", "dec dez déc dic"), 1)
    for month in names.split()
}  # fmt: skip
"""The first three letters of the months in English, German, French, Spanish, Italian, Dutch and Portuguese. `jui` is juin or juillet, and left alone."""
EARLIEST = datetime.date(1995, 1, 1)


def about(page: bytes, found: Blocks, words: npt.NDArray[np.float32], *, url: str = "", day: str | None = None) -> dict[str, Any]:
    """Return title, author, date (ISO; none after `day`), language (as declared), license (SPDX), opt_out (crawling/optout.py); `words` are each block's."""
    metas = [(name, content) for name, content in metas_of(page[:MOST_HEAD], ASKED) if len(content) < MOST_CONTENT]
    said = dict(reversed(metas))                             # the first of a name counts
    notes = list(_notes(page))
    lang = LANG.search(page[:4096])
    title = _first(said, TITLES) or _headline(notes) or _titled(page, found) or next(_short(page, found, words, found.blocks[:, 0] == ID["h1"], 40), None)
    return {
        "title": _line(title, 500),
        "author": _author(notes, said) or _byline(page, found, words),
        "date": _date(page, notes, said, url, day) or _dated(page, found, words, day),
        "language": lang[1].decode() if lang else None,
        "license": _license(page, found, notes),
        "opt_out": sorted(optout.said((), metas)),
    }


def _notes(page: bytes) -> Iterator[dict[str, Any]]:
    """Yield the objects of the page's JSON-LD, the outer first. What is no JSON is passed over."""
    at = 0
    while (at := page.find(JSON_LD, at)) >= 0:
        start = page.find(b">", at) + 1
        end = page.find(b"</script", start)
        if not start or end < 0:
            return
        at = end
        if end - start > MOST_JSON:
            continue
        try:
            waiting = deque[Any]([json.loads(page[start:end], strict=False)])
        except (ValueError, RecursionError):
            continue
        seen = 0
        while waiting and seen < MOST_NODES:
            one, seen = waiting.popleft(), seen + 1
            if isinstance(one, dict):
                yield one
                waiting += [value for key, value in one.items() if key in ("@graph", "mainEntity", "mainEntityOfPage")]
            elif isinstance(one, list):
                waiting += one


def _first(said: dict[str, str], names: tuple[str, ...]) -> str | None:
    return next((said[name] for name in names if said.get(name, "").strip()), None)


def _headline(notes: list[dict[str, Any]]) -> str | None:
    return next((note["headline"] for note in notes if isinstance(note.get("headline"), str)), None)


def _titled(page: bytes, found: Blocks) -> str:
    """The title's text, less the site's name behind it."""
    start, end = found.title[0], min(found.title[1], found.title[0] + MOST_TITLE)
    return SITE.sub("", " ".join(unescaped(page[start:end].decode("utf-8", "replace")).split()))


def _short(page: bytes, found: Blocks, words: npt.NDArray[np.float32], which: npt.NDArray[np.bool_], most: int) -> Iterator[str]:
    """Yield the text of the first short blocks among some."""
    numbers = np.flatnonzero(which & (words <= most) & (words > 0))[:20].tolist()
    return (text for text in shown_of(found, page, numbers) if text)


def _under(found: Blocks, names: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Which blocks stand near one of these class words."""
    bits = np.uint64(sum(1 << WORDS.index(name) for name in names))
    under: npt.NDArray[np.bool_] = (found.masks[:, 0] & bits) != 0
    return under


def _byline(page: bytes, found: Blocks, words: npt.NDArray[np.float32]) -> str | None:
    """The first short text near the class words of an author, where it reads like a name."""
    for text in _short(page, found, words, _under(found, ("author", "byline")), 8):
        name = BY.sub("", text)
        if NAME.fullmatch(name):
            return name
    return None


def _dated(page: bytes, found: Blocks, words: npt.NDArray[np.float32], day: str | None) -> str | None:
    """The first date shown in a short text: near the class words of a date first, then anywhere."""
    marked = _under(found, ("date", "byline", "meta"))
    for which, most, least in ((marked, 15, 0.0), (~marked, 7, 0.5)):
        for text in _short(page, found, words, which, most):
            if date := _read_date(text, day, least):
                return date
    return None


def _read_date(text: str, latest: str | None, least: float) -> str | None:
    """A date as people write it: 2.3.2020, 2 March 2020, March 2, 2020, in seven languages; a year first also. It is at least a share of the text."""
    if not YEAR.search(text):
        return None
    for pattern, day, month, year in ((POINTED, 1, 2, 3), (ISO, 3, 2, 1), (NAMED, 1, 2, 3), (NAMED_FIRST, 2, 1, 3)):
        found = pattern.search(text)
        number = found and (MONTHS.get(found[month][:3].lower()) or (int(found[month]) if found[month].isdigit() else 0))
        if found and number and len(found[0]) >= least * len(text):
            return _day(f"{found[year]}-{number:02}-{int(found[day]):02}", latest)
    return None


def _author(notes: list[dict[str, Any]], said: dict[str, str]) -> str | None:
    for note in notes:
        given = note.get("author")
        called = [one.get("name") if isinstance(one, dict) else one for one in (given if isinstance(given, list) else [given])]
        names = [" ".join(unescaped(name).split()) for name in called if isinstance(name, str) and _is_name(name)]
        if names:
            return _line("; ".join(dict.fromkeys(names)), 200)
    name = _first(said, AUTHORS)
    return _line(name, 200) if name and _is_name(name) else None


def _is_name(said: str) -> bool:
    return bool(said.strip()) and "://" not in said and "@" not in said and len(said) < 200


def _date(page: bytes, notes: list[dict[str, Any]], said: dict[str, str], url: str, day: str | None) -> str | None:
    given = [note["datePublished"] for note in notes if isinstance(note.get("datePublished"), str)]
    given += [said[name] for name in DATES if name in said]
    in_url = IN_URL.search(url)
    given += ["-".join(in_url.groups())] if in_url else []
    if not given and (first := TIME.search(page, 0, MOST_TIME)):
        given = [first[1].decode()]
    return next((found for text in given if (found := _day(text, day))), None)


def _day(said: str, latest: str | None) -> str | None:
    found = DAY.match(said)
    if not found:
        return None
    try:
        date = datetime.date(*map(int, found.groups()))
    except ValueError:
        return None
    return date.isoformat() if date >= EARLIEST and (latest is None or date.isoformat() <= latest) else None


def _license(page: bytes, found: Blocks, notes: list[dict[str, Any]]) -> str | None:
    """The Creative Commons licence that a page gives itself: by rel, in its head, in JSON-LD, or by a link in its footer."""
    if COMMONS not in page:
        return None
    given = [note["license"] for note in notes if isinstance(note.get("license"), str) and not _is_media(note)]
    for tag, said, at in tags(page, only=META, holding=COMMONS):
        link, named = said.get("href", ""), (said.get("name") or said.get("property") or "").lower()
        if tag == META and ("rights" in named or "license" in named):
            given.append(said.get("content", ""))
        elif "creativecommons.org" in link and ("license" in said.get("rel", "").lower().split() or (tag == ID["a"] and _in_footer(page, found, at))):
            given.append(link)
    return next((license for link in given if (license := licenses.of_link(link[:2000]))), None)


def _is_media(note: dict[str, Any]) -> bool:
    """Whether a note speaks of a picture, a film or the like: its licence is not the page's."""
    kinds = note.get("@type")
    return any(str(kind).endswith("Object") for kind in (kinds if isinstance(kinds, list) else [kinds]))


def _in_footer(page: bytes, found: Blocks, at: int) -> bool:
    """Whether a link stands in a footer: its text does, or of a picture's link the texts before and behind it."""
    segment = int(np.searchsorted(found.segments[:, 0], at))
    end = page.find(b"</a", at, at + MOST_LINK)
    beside = [segment] if segment < len(found.segments) and found.segments[segment, 0] < end else [segment - 1, segment]
    beside = [one for one in beside if 0 <= one < len(found.segments)]
    masks = [found.masks[found.segments[one, 2]].tolist() for one in beside]
    return bool(masks) and all(inside >> ID["footer"] & 1 or under >> WORDS.index("footer") & 1 for _, under, inside in masks)


def _line(said: str | None, most: int) -> str | None:
    return " ".join(said.split())[:most] or None if said else None
