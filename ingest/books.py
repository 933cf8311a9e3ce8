"""Books: plain text, as Project Gutenberg gives it, and EPUB. One document a chapter, its title in `title`.

Of a text the licence and the header are cut, hand-wrapped paragraphs made whole, and contents, lists of illustrations and index
left out. A book in which no chapters are found is one document, or parts of about equal length if it is long.
"""

import os
from collections.abc import Iterator
from typing import Any

from catalog.stage import Refused, source
from ingest.chapters import APPARATUS, LONE, LONG_BOOK, REAL, Book, Section, paragraphs, parts, sections, unframe
from ingest.charset import decode
from ingest.epub import chapters

MAX_BYTES = 64 << 20


@source(version=2)
def read(path: str) -> Iterator[dict[str, Any] | Refused]:
    """Yield the chapters of a `.txt` or `.epub` book, or Refused.

    Reasons: `not_a_book`, `too_large`, `wrong_charset`, `no_text`; `front_matter` and `apparatus` for what stands before and
    around the chapters; those of `ingest.epub.chapters`.
    """
    name = os.path.basename(path)
    kind = os.path.splitext(name)[1].lower()
    if kind == ".epub":
        yield from chapters(path, name)
    elif kind != ".txt":
        yield Refused(name, "not_a_book", "neither .txt nor .epub")
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
        yield from _text(text, name)


def _text(text: str, name: str) -> Iterator[dict[str, Any] | Refused]:
    book = unframe(text)
    found, lines = sections(book.text)
    if not book.text.strip():
        yield Refused(name, "no_text", "nothing between its START and its END")
    elif len(found) == 1:
        yield from _whole(book, paragraphs(lines))
    else:
        yield from _chapters(book, found, lines, name)


def _whole(book: Book, blocks: list[str]) -> Iterator[dict[str, Any]]:
    """A book without chapters."""
    pieces = parts(blocks) if sum(map(len, blocks)) > LONG_BOOK else [blocks]
    for number, piece in enumerate(pieces, 1):
        title = book.title or blocks[0][:80]
        yield _document(book, f"part-{number}" if len(pieces) > 1 else "book", f"{title}, part {number} of {len(pieces)}" if len(pieces) > 1 else title, piece)


def _chapters(book: Book, found: list[Section], lines: list[str], name: str) -> Iterator[dict[str, Any] | Refused]:
    number = 0
    for section in found:
        size = sum(map(len, lines[section.start : section.end]))
        if section.kind == "front" and section.prose < REAL * 5:
            if size:
                yield Refused(f"{name}#front", "front_matter", f"{size} characters before the first heading")
        elif APPARATUS.match(section.title):
            yield Refused(f"{name}#{section.title.lower()}", "apparatus", f"{section.title}: {size} characters")
        else:
            number += 1
            heading, blocks = _headed(section, lines)
            if blocks:
                title = f"{book.title}: {heading}" if book.title and heading else heading or book.title or name
                yield _document(book, f"chapter-{number}", title, [f"# {heading}", *blocks] if heading else blocks)
            else:
                yield Refused(f"{name}#{section.title}", "no_text", "a heading with nothing under it")


def _headed(section: Section, lines: list[str]) -> tuple[str, list[str]]:
    """A section's whole heading (its part, itself, the chapter's name where that is the next line) and its paragraphs."""
    blocks = paragraphs(section.body(lines))
    named = len(blocks) > 1 and len(blocks[0]) < 80 and "\n" not in blocks[0] and (blocks[0].isupper() or (blocks[0].istitle() and blocks[0][-1].isalnum()))
    if section.kind == "chapter" and named and not LONE.match(blocks[0]):
        return f"{section.title}: {blocks[0]}", blocks[1:]
    return section.title, blocks


def _document(book: Book, place: str, title: str, blocks: list[str]) -> dict[str, Any]:
    uri = f"https://www.gutenberg.org/ebooks/{book.number}#{place}" if book.number else None
    return {"uri": uri, "member": place, "text": "\n\n".join(blocks), "title": title, "author": book.author, "content_type": "text/plain"}
