"""A book's XHTML or HTML as blocks of text: headings, paragraphs, verse, lists; what is no text of the author's left out.

Links to notes and the numbers of a printed edition's pages go; notes, pictures and Project Gutenberg's own words are cut, the first
two with their place in `media`.
"""

import posixpath
import re
from collections.abc import Iterator

from lxml import etree

from ingest.markup import BREAK, Draft, tag, words_of

EPUB_TYPE = "{http://www.idpf.org/2007/ops}type"
HREF = "{http://www.w3.org/1999/xlink}href"
SKIP = ("script", "style", "nav", "head", "audio", "video", "iframe", "form", "object", "button", "template", "noscript")
BLOCK = (
    "p", "div", "section", "article", "aside", "blockquote", "ul", "ol", "dl", "li", "dt", "dd", "table", "tr", "figure", "figcaption", "hr", "pre",
    "header", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "hgroup", "main", "body", "center", "thead", "tbody", "tfoot",
    "caption", "address", "details", "summary",
)  # fmt: skip
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
GUTENBERG = re.compile(r"\bpg-?(?:header|footer|boilerplate|machine-header|start-separator|end-separator)", re.I)
PAGE = re.compile(r"\b(?:pagenum|page-?num(?:ber)?|pageno|pagebreak|pb)\b", re.I)
NOTES = {"footnote", "footnotes", "endnote", "endnotes", "rearnote", "rearnotes", "doc-footnote", "doc-endnotes", "doc-endnote"}
NOTE_CLASS = re.compile(r"^(?:footnotes?|endnotes?)$", re.I)
ANCHOR = re.compile(r"^(?:fnanchor|fnref|noteref|footnote-ref|pginternal-fn)", re.I)
MAX_DEPTH = 200
"""Elements within elements: books have 15."""


def walk(element: etree._Element, draft: Draft, book: str, place: str) -> None:
    """Add an element's blocks to the draft; text that stands beside blocks is a block of its own. `book` and `place` are where it lies."""
    text = element.text or ""
    for child in element:
        kind = tag(child)
        if kind in SKIP or GUTENBERG.search(f"{child.get('id')} {child.get('class')}") or _is_page(child):
            pass
        elif _is_note(child, kind):
            draft.block(text)
            text = ""
            draft.cut(child, "application/x-book-notes", f"{book}#{place}")
        elif kind in BLOCK:
            draft.block(text)
            text = ""
            _block(child, kind, draft, book, place)
        else:
            text += _inline(child, draft, book, place)
        text += child.tail or ""
    draft.block(text)


def types_of(element: etree._Element) -> set[str]:
    """What an element says it is: `epub:type`, and ARIA's roles for publishing."""
    return {*(element.get(EPUB_TYPE) or "").split(), *(element.get("role") or "").split()}


def _is_page(element: etree._Element) -> bool:
    """Whether an element is the number of a printed page."""
    said = PAGE.search(element.get("class") or "") or types_of(element) & {"pagebreak", "doc-pagebreak"}
    return bool(said) and len("".join(element.itertext())) < 20


def _is_note(element: etree._Element, kind: str) -> bool:
    """Whether a block holds notes, and no chapter."""
    return kind in BLOCK and (bool(types_of(element) & NOTES) or any(NOTE_CLASS.match(name) for name in (element.get("class") or "").split()))


def heading_of(element: etree._Element) -> str:
    """A heading in one line; a group of them, such as a number over a title, with colons."""
    return ": ".join(said for e in element if (said := words_of([e]))) if tag(element) == "hgroup" else words_of([element])


def _block(element: etree._Element, kind: str, draft: Draft, book: str, place: str) -> None:
    if kind in HEADINGS:
        draft.block("".join(_inline_parts(element, draft, book, place)).replace(BREAK, " "), "#" * int(kind[1]) + " ")
    elif kind == "hgroup":
        level = next((tag(e)[1] for e in element.iter() if tag(e) in HEADINGS), "2")
        draft.block(heading_of(element), "#" * int(level) + " ")
    elif kind == "li":
        inner = Draft()
        walk(element, inner, book, place)
        draft.take(inner, "- ")
    elif kind == "tr":
        draft.block("| " + " | ".join(words_of([cell]) for cell in element) + " |")
    elif kind == "pre":
        draft.block(BREAK.join("".join(element.itertext()).split("\n")))
    elif kind != "hr":
        walk(element, draft, book, place)


def _inline_parts(element: etree._Element, draft: Draft, book: str, place: str) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        yield _inline(child, draft, book, place)
        yield child.tail or ""


def _inline(element: etree._Element, draft: Draft, book: str, place: str) -> str:
    kind = tag(element)
    if kind in ("img", "image", "svg"):
        link = next((found for e in element.iter() if (found := e.get("src") or e.get(HREF))), None)
        where = posixpath.normpath(posixpath.join(posixpath.dirname(place), link)) if link else None
        return draft.leave_out(element, "image/*", f"{book}#{where}" if where else None)
    if kind == "br":
        return BREAK
    if kind in SKIP or not kind or _is_page(element):
        return ""
    if types_of(element) & {"noteref", "doc-noteref"} or any(ANCHOR.match(name) for name in (element.get("class") or "").split()):
        return ""
    return "".join(_inline_parts(element, draft, book, place))


def too_deep(root: etree._Element) -> bool:
    """Whether elements lie more than MAX_DEPTH within each other: what reads them calls itself as often."""
    depth = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > MAX_DEPTH:
            return True
    return False
