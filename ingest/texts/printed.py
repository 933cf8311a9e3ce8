"""A PDF's blocks as a book's chapters or as a paper: title, headings, references cut, DOI and licence where they are printed."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from catalog import licenses
from catalog.stage import Refused
from ingest.texts.chapters import unframe
from ingest.texts.onepage import chapters_of
from ingest.texts.paged import Block, blocks_of, by_outline
from ingest.texts.references import references

DOI = re.compile(r"\b(10\.\d{4,9}/[-._;()/:<>\w\[\]]{2,120})")
ARXIV = re.compile(r"arXiv:\s?((?:\d{4}\.\d{4,5}|[a-z-]{2,12}(?:\.[A-Z]{2})?/\d{7})(?:v\d{1,2})?)", re.I)
JUNK = re.compile(r"^(?:about:|https?:|file:|[a-z]:\\|untitled|microsoft word|title|.{0,60}\.(?:docx?|tex|dvi|pdf|qxd|indd|rtf))\b|^\W*$", re.I)
BULLET = re.compile(r"^[•▪◦‣∙●■]\s*(?=\S)")
FRONT_PAGES = 2
MOST_TITLE = 300


def book_of(found: dict[str, Any], name: str) -> Iterator[dict[str, Any] | Refused]:
    """Yield the chapters of a book; `found` is what `ingest.texts.pdf.texts` returns."""
    blocks = blocks_of(found["pages"])
    by_outline(blocks, [tuple(mark) for mark in found["outline"]])
    if not blocks:
        yield Refused(name, "no_text", "running heads and page numbers alone")
        return
    for block in blocks:
        block.kind = "p" if block.text.startswith("***") else block.kind     # the lines around Project Gutenberg's frame are no headings
    book = unframe(_marked(blocks))
    framed = book if book.number else None                   # Project Gutenberg's: what it says of any other is the title page, which is read by its type
    said = _said(found["title"]) or (framed.title if framed else None) or _largest(blocks)
    author = _said(found["author"]) or (framed.author if framed else None)
    about = {"title": said, "author": author, "number": book.number, "content_type": "application/pdf"}
    yield from chapters_of(book.text, [], about, name)


def paper_of(found: dict[str, Any], name: str) -> dict[str, Any] | Refused:
    """Return a paper as one document, its references cut and recorded in `media`."""
    blocks = blocks_of(found["pages"])
    if not blocks:
        return Refused(name, "no_text", "running heads and page numbers alone")
    title = _said(found["title"]) or _largest(blocks)
    texts = [_text(block) for block in blocks]
    text, media = cut(texts, "application/x-pdf-references")
    cited = media[0]["span"]["start"] if media else len(text)    # what is cited has identifiers of its own
    front = "\n\n".join(text for text, block in zip(texts, blocks, strict=True) if block.page < FRONT_PAGES)[:cited]
    doi, number = DOI.search(front), ARXIV.search(found["margin"]) or ARXIV.search(front)
    uri = f"https://doi.org/{doi[1].rstrip('.,;)')}" if doi else f"https://arxiv.org/abs/{number[1]}" if number else None
    return {
        "uri": uri, "text": text, "media": media, "title": title, "author": _said(found["author"]), "date": None, "license": licence_of(front),
        "content_type": "application/pdf", "facts": {"doi": doi[1].rstrip(".,;)") if doi else None, "venue": None},
    }  # fmt: skip


def cut(texts: Sequence[str], mime: str) -> tuple[str, list[dict[str, Any]]]:
    """Return paragraphs as one text without their references, and what was cut as `media` has it."""
    found = references([text.lstrip("# ") for text in texts])
    if found is None:
        return "\n\n".join(texts), []
    start, end = found
    gone, before = "\n\n".join(texts[start:end]), "\n\n".join(texts[:start])
    return "\n\n".join([*texts[:start], *texts[end:]]), [left_out(gone, mime, len(before))]


def left_out(gone: str, mime: str, place: int) -> dict[str, Any]:
    """What was cut, as a document's `media` has it."""
    sha = hashlib.sha256(gone.encode("utf-8", "surrogatepass")).hexdigest()
    return {"uri": None, "sha": sha, "mime": mime, "span": {"start": place, "end": place}}


def licence_of(said: str) -> str | None:
    """The licence that a paper prints; `public domain` in a paper's own words is no licence."""
    named = licenses.of_statement(said)
    return named if named != "public-domain" else None


def _said(words: str | None) -> str | None:
    """What a PDF says of itself, where it is no file's name."""
    said = " ".join((words or "").split())[:MOST_TITLE]
    return said if said and not JUNK.match(said) else None


def _largest(blocks: Sequence[Block]) -> str | None:
    """The largest words of the first page that are a heading."""
    first = [block for block in blocks if block.page == blocks[0].page and any(map(str.isalpha, block.text)) and len(block.text) <= MOST_TITLE]
    best = max(first, key=lambda block: (round(block.size), block.top), default=None)
    return best.text if best is not None and best.kind == "heading" else None


def _text(block: Block) -> str:
    return f"{'#' * block.level} {block.text}" if block.kind == "heading" else BULLET.sub("- ", re.sub(r"^#", "\\#", block.text))


def _marked(blocks: Sequence[Block]) -> str:
    return "\n\n".join(_text(block) for block in blocks)
