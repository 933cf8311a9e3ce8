"""A book as one HTML page, as Project Gutenberg gives it: its headings cut it into chapters.

The chapters' level is the highest whose headings cut most of the book's prose into two pieces or more; what stands above it (a
part, a volume) goes into the title of the chapters below.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import lxml.html
from lxml import etree

from catalog.stage import Refused
from ingest.markup import Draft, too_deep, words_of
from ingest.texts.chapters import APPARATUS, LONG_BOOK, REAL, START, STOP, parts, unframe
from ingest.texts.works import work
from ingest.texts.xhtml import walk

HEADING = re.compile(r"^(#{1,6}) (.*)$", re.M)
NUMBER = re.compile(r"(?:ebook|etext) ?#\s?(\d{1,7})|gutenberg\.org/(?:ebooks|files)/(\d{1,7})", re.I)
ABOUT = {"title": ("dc.title", "dcterms.title", "og:title", "citation_title"), "author": ("dc.creator", "dcterms.creator", "author", "citation_author")}
PG_TITLE = re.compile(r"^(?:the )?project gutenberg(?:'s|’s)? ?(?:e-?(?:book|text) of)?[:,]?\s*", re.I)
BY = re.compile(r",? by ([^,;]{3,80})$", re.I)


@dataclass(frozen=True)
class Piece:
    """A chapter of a text: characters [start, end) and the heading over it, with those of its parts."""

    title: str
    start: int
    end: int


def read_page(text: str, name: str) -> Iterator[dict[str, Any] | Refused]:
    """Yield the chapters of a book in one HTML page; Refused: `not_xml`, `too_deep`, `no_text`, `front_matter`, `apparatus`."""
    root = _parsed(text)
    if root is None or too_deep(root):
        yield Refused(name, "not_xml" if root is None else "too_deep", "no element" if root is None else "elements within elements")
        return
    about = _about(root, text)
    draft = Draft()
    walk(root, draft, name, "")
    whole, media = draft.finish()
    whole, media = within_frame(whole, media)
    if not whole.strip():
        yield Refused(name, "no_text", "no text in the page")
        return
    yield from chapters_of(whole, media, about, name)


def _parsed(text: str) -> etree._Element | None:
    """The page's body. A declaration of its encoding would contradict the text that it is by now."""
    text = re.sub(r"^\s*<\?xml[^>]{0,200}\?>", "", text)
    try:
        root = lxml.html.document_fromstring(text, parser=lxml.html.HTMLParser(huge_tree=False, remove_comments=True, remove_pis=True, no_network=True))
    except (etree.ParserError, etree.XMLSyntaxError, ValueError):
        return None
    return root.find("body") if root.find("body") is not None else root


def _about(body: etree._Element, text: str) -> dict[str, Any]:
    """Title, author and number, from the page's meta elements, its title, or the frame of Project Gutenberg."""
    root = body.getroottree().getroot()
    said: dict[str, str] = {}
    for meta in root.iter("meta"):
        for key, names in ABOUT.items():
            if (meta.get("name") or meta.get("property") or "").lower() in names and meta.get("content", "").strip():
                said.setdefault(key, " ".join(meta.get("content").split()))
    framed = unframe("\n".join(line.strip() for line in "".join(body.itertext())[:20_000].split("\n")))
    title = said.get("title") or framed.title or PG_TITLE.sub("", words_of(root.findall(".//title")[:1]))
    author = said.get("author") or framed.author
    by = BY.search(title or "")
    if by and not said.get("title"):
        title, author = title[: by.start()], author or by[1]
    number = NUMBER.search(text[:20_000])
    return {"title": title or None, "author": author, "number": (number[1] or number[2]) if number else framed.number}


def within_frame(text: str, media: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """The text between Project Gutenberg's lines, where they stood in no element of their own."""
    start = START.search(text[:40_000])
    first = start.end() if start else 0
    stop = next((found.start() for found in STOP.finditer(text, first) if found.start() > len(text) // 2), len(text))
    kept = [moved(gone, -first) for gone in media if first <= gone["span"]["start"] <= stop]
    return text[first:stop], kept


def moved(gone: dict[str, Any], by: int) -> dict[str, Any]:
    """Return something left out with its place that many characters further on."""
    return {**gone, "span": {key: place + by for key, place in gone["span"].items()}}


def pieces(text: str, *, topmost: bool = False) -> list[Piece]:
    """Cut a text with `#` headings into chapters, or at its `topmost` headings. The first piece is what stands before them, without a title."""
    found = [(len(mark[1]), mark[2].strip(), mark.start(), mark.end()) for mark in HEADING.finditer(text)]
    level = min((depth for depth, *_ in found), default=0) if topmost else _level(found, len(text))
    marks = [mark for mark in found if mark[0] <= level]
    if not marks:
        return _even(text)
    ends = [start for _, _, start, _ in marks[1:]] + [len(text)]
    name = {1} if level > 1 and sum(depth == 1 for depth, *_ in marks) == 1 else set[int]()      # the book's own title is over all
    out = [Piece("", 0, marks[0][2])]
    above, begin = dict[int, str](), None
    for (depth, said, start, after), end in zip(marks, ends, strict=True):
        above = {key: title for key, title in above.items() if key < depth and key not in name} | {depth: said}
        begin = start if begin is None else begin
        if depth < level and depth not in name and end - after < REAL and end < len(text):
            continue                                         # a part's title waits for its first chapter
        out.append(Piece(", ".join(above[key] for key in sorted(above)), begin, end))
        begin = None
    return [piece for piece in out if text[piece.start : piece.end].strip()]


def _even(text: str) -> list[Piece]:
    """A text without headings: whole, or cut between paragraphs into parts of about equal length where it is long."""
    if len(text) <= LONG_BOOK:
        return [Piece("", 0, len(text))] if text.strip() else []
    found, at = list[Piece](), 0
    cut = parts(text.split("\n\n"))
    for number, blocks in enumerate(cut, 1):
        end = min(len(text), at + sum(len(block) + 2 for block in blocks))
        found.append(Piece(f"part {number} of {len(cut)}", at, end))
        at = end
    return found


def _level(found: list[tuple[int, str, int, int]], size: int) -> int:
    """The level of the chapters' headings; 0 where none cuts the text."""
    for level in range(1, 7):
        marks = [(start, after) for depth, _, start, after in found if depth <= level]
        stops = [start for start, _ in marks[1:]] + [size]
        read = [stop - after for (_, after), stop in zip(marks, stops[: len(marks)], strict=True) if stop - after >= REAL]
        if len(read) >= 3 and max(read) < 0.7 * sum(read):
            return level
    return next((level for level in range(1, 7) if sum(depth <= level for depth, *_ in found) >= 2), 0)


def chapters_of(text: str, media: list[dict[str, Any]], about: dict[str, Any], name: str) -> Iterator[dict[str, Any] | Refused]:
    """Yield the chapters of a text with headings as documents, each with its share of the media."""
    number, found = 0, pieces(text)
    for piece in found:
        first = piece is found[0] and len(found) > 1
        said = text[piece.start : piece.end]
        body = HEADING.sub("", said).strip()
        heading = piece.title.rpartition(", ")[2]
        if not body:
            yield Refused(f"{name}#{piece.title}", "no_text", "a heading with nothing under it")
        elif first and not piece.title and len(body) < 5 * REAL:
            yield Refused(f"{name}#front", "front_matter", f"{len(body)} characters before the first heading")
        elif APPARATUS.match(heading.upper()):
            yield Refused(f"{name}#{heading.lower()}", "apparatus", f"{heading}: {len(body)} characters")
        elif first and number == 0 and len(body) < REAL and (about["title"] or "").lower()[:20] in piece.title.lower():
            yield Refused(f"{name}#title", "front_matter", f"{len(body)} characters on the title page")
        else:
            number += 1
            yield _chapter(text, piece, media, about, number)


def part(text: str, media: list[dict[str, Any]], piece: Piece) -> tuple[str, list[dict[str, Any]]]:
    """A piece's text without the blanks around it, and its share of the media, which stand in the order of their places, with those in it."""
    raw = text[piece.start : piece.end]
    said, start = raw.strip(), piece.start + len(raw) - len(raw.lstrip())
    within = piece.end if piece.end < len(text) else len(text) + 1
    first, last = (bisect_left(media, place, key=lambda gone: gone["span"]["start"]) for place in (start, within))
    return said, [moved(gone, min(gone["span"]["start"], start + len(said)) - start - gone["span"]["start"]) for gone in media[first:last]]


def _chapter(text: str, piece: Piece, media: list[dict[str, Any]], about: dict[str, Any], number: int) -> dict[str, Any]:
    said, inside = part(text, media, piece)
    title = f"{about['title']}: {piece.title}" if about["title"] and piece.title else piece.title or about["title"]
    place = f"chapter-{number}"
    return {
        "uri": f"https://www.gutenberg.org/ebooks/{about['number']}#{place}" if about.get("number") else None, "member": place, "text": said,
        "media": inside, "title": title, "author": about["author"], "content_type": about.get("content_type", "text/html"),
        "facts": {"work": work(about["author"], about["title"]), "position": number - 1},
    }  # fmt: skip
