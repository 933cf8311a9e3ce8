"""Books: plain text and HTML, as Project Gutenberg gives them, EPUB 2 and 3, and PDF. One document a chapter, its title in `title`.

Of a text the licence and the header are cut, hand-wrapped paragraphs and broken words made whole, and contents, lists of
illustrations and index left out. A book in which no chapters are found is one document, or parts of about equal length if it is long.
`facts.work` is one name for all editions of a work (`ingest.texts.works`), `facts.position` the chapter's number from 0.
"""

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

from catalog.stage import Refused, source
from ingest.charset import decode
from ingest.texts.chapters import APPARATUS, LONE, LONG_BOOK, REAL, Book, Section, paragraphs, parts, sections, unframe
from ingest.texts.epub import chapters
from ingest.texts.joined import vocabulary
from ingest.texts.onepage import read_page
from ingest.texts.pdf import read_book
from ingest.texts.works import work

MAX_BYTES = 64 << 20
ENDINGS = (".txt", ".html", ".htm", ".xhtml")


@source(version=4)
def read(path: str, *, seconds: float = 120.0, pages: int = 3000) -> Iterator[dict[str, Any] | Refused]:
    """Yield the chapters of a `.txt`, `.html`, `.epub` or `.pdf` book, or Refused.

    A PDF may take `seconds` of processor time and have so many `pages`. Reasons: `not_a_book`, `too_large`, `wrong_charset`, `no_text`;
    `front_matter` and `apparatus` for what stands before and around the chapters; those of `ingest.texts.epub.chapters` and `ingest.texts.pdf.texts`.
    """
    name = os.path.basename(path)
    kind = os.path.splitext(name)[1].lower()
    if kind == ".epub":
        yield from chapters(path, name)
    elif kind == ".pdf":
        yield from read_book(path, name, seconds=seconds, pages=pages)
    elif kind not in ENDINGS:
        yield Refused(name, "not_a_book", "neither .txt, .html, .epub nor .pdf")
    elif os.path.getsize(path) > MAX_BYTES:
        yield Refused(name, "too_large", f"{os.path.getsize(path)} bytes")
    else:
        with open(path, "rb") as file:
            data = file.read()
        try:
            text, _ = decode(data)
        except UnicodeError as error:
            yield Refused(name, "wrong_charset", str(error))
            return
        yield from _text(text, name) if kind == ".txt" else read_page(text, name)


def _text(text: str, name: str) -> Iterator[dict[str, Any] | Refused]:
    book = unframe(text)
    found, lines = sections(book.text)
    seen = vocabulary(lines)
    if not any(line.strip() for line in lines):
        yield Refused(name, "no_text", "nothing between its START and its END")
    elif len(found) == 1:
        yield from _whole(book, paragraphs(lines, seen))
    else:
        yield from _chapters(book, found, lines, seen, name)


def _whole(book: Book, blocks: list[str]) -> Iterator[dict[str, Any]]:
    """A book without chapters."""
    pieces = parts(blocks) if sum(map(len, blocks)) > LONG_BOOK else [blocks]
    for number, piece in enumerate(pieces, 1):
        title = book.title or blocks[0][:80]
        if len(pieces) == 1:
            yield _document(book, "book", title, piece, 0)
        else:
            yield _document(book, f"part-{number}", f"{title}, part {number} of {len(pieces)}", piece, number - 1)


def _chapters(book: Book, found: list[Section], lines: list[str], seen: Counter[str], name: str) -> Iterator[dict[str, Any] | Refused]:
    number = 0
    for section in found:
        size = sum(map(len, lines[section.start : section.end]))
        if section.kind == "front" and section.prose < REAL * 5:
            if size:
                yield Refused(f"{name}#front", "front_matter", f"{size} characters before the first heading")
        elif APPARATUS.match(section.title):
            yield Refused(f"{name}#{section.title.lower()}", "apparatus", f"{section.title}: {size} characters")
        else:
            heading, blocks = _headed(section, lines, seen)
            if blocks:
                number += 1
                title = f"{book.title}: {heading}" if book.title and heading else heading or book.title or name
                yield _document(book, f"chapter-{number}", title, [f"# {heading}", *blocks] if heading else blocks, number - 1)
            else:
                yield Refused(f"{name}#{section.title}", "no_text", "a heading with nothing under it")


def _headed(section: Section, lines: list[str], seen: Counter[str]) -> tuple[str, list[str]]:
    """A section's whole heading (its part, itself, the chapter's name where that is the next line) and its paragraphs."""
    blocks = paragraphs(section.body(lines), seen)
    named = len(blocks) > 1 and len(blocks[0]) < 80 and "\n" not in blocks[0] and (blocks[0].isupper() or (blocks[0].istitle() and blocks[0][-1].isalnum()))
    if section.kind == "chapter" and named and not LONE.match(blocks[0]):
        return f"{section.title}: {blocks[0]}", blocks[1:]
    return section.title, blocks


def _document(book: Book, place: str, title: str, blocks: list[str], position: int) -> dict[str, Any]:
    uri = f"https://www.gutenberg.org/ebooks/{book.number}#{place}" if book.number else None
    return {
        "uri": uri, "member": place, "text": "\n\n".join(blocks), "title": title, "author": book.author, "content_type": "text/plain",
        "facts": {"work": work(book.author, book.main or book.title), "position": position},
    }  # fmt: skip
