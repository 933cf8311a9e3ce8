"""A book's XHTML or HTML as blocks of text: headings, paragraphs, verse, lists; what is no text of the author's left out.

Links to notes and the numbers of a printed edition's pages go; notes, pictures and Project Gutenberg's own words are cut, the first
two with their place in `media`.
"""

import posixpath
import re
from collections.abc import Iterator

from lxml import etree

from ingest.formula import formula
from ingest.markup import BREAK, Draft, tag

EPUB_TYPE = "{http://www.idpf.org/2007/ops}type"
HREF = "{http://www.w3.org/1999/xlink}href"
SKIP = ("script", "style", "nav", "head", "audio", "video", "iframe", "form", "object", "button", "template", "noscript", "rt", "rp")
BLOCK = (
    "p", "div", "section", "article", "aside", "blockquote", "ul", "ol", "dl", "li", "dt", "dd", "table", "tr", "td", "th", "figure", "figcaption", "hr", "pre",
    "header", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "hgroup", "main", "body", "center", "thead", "tbody", "tfoot",
    "caption", "address", "details", "summary",
)  # fmt: skip
BLOCK_TAGS = [f"{{*}}{name}" for name in BLOCK]
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
GUTENBERG = re.compile(r"\bpg-?(?:header|footer|boilerplate|machine-header|start-separator|end-separator)", re.I)
PAGE = re.compile(r"\b(?:pagenum|page-?num(?:ber)?|pageno|pagebreak|pb)\b", re.I)
NOTES = {"footnote", "footnotes", "endnote", "endnotes", "rearnote", "rearnotes", "doc-footnote", "doc-endnotes", "doc-endnote"}
CODE = re.compile(r"\b(?:code|program|listing|screen|source|highlight|prettyprint|terminal|console|shell|sourceCode|language-\w+)", re.I)
CODED = re.compile(r"[{}]\s*$|\);?\s*$|^\s*(?:def|import|function|elif|var|const|#|//|\$|>>>|</?\w)(?:\W|$)|\w\(.*\)|\w\s?[=!<>+-]?=\s?\S")
"""A line of code."""
NOTE_CLASS = re.compile(r"^(?:footnotes?|endnotes?)$", re.I)
MARK = re.compile(r"[\[(]?(?:\d{1,4}|[a-z]|[ivx]{1,5}|[*†‡§¶]{1,3})[\])]?")
BRACKETED = re.compile(r"\[\d{1,4}\]")
CELL = 60
"""Words of a cell beyond which a table is there for its looks."""
ANCHOR = re.compile(r"^(?:fnanchor|fnref|noteref|footnote-ref|pginternal-fn)", re.I)


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
        elif kind in BLOCK or (kind and next(child.iterdescendants(BLOCK_TAGS), None) is not None):  # a link or a span around paragraphs
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
    """A heading in one line, without marks of notes and pages; a group of them, such as a number over a title, with colons."""
    return ": ".join(said for e in element if (said := words_in(e))) if tag(element) == "hgroup" else words_in(element)


def words_in(element: etree._Element) -> str:
    """The text inside an element as one line."""
    draft = Draft()
    draft.block("".join(_inline_parts(element, draft, "", "")).replace(BREAK, " "))
    return draft.finish()[0]


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
    elif kind == "table":
        _table(element, draft, book, place)
    elif kind == "pre":
        _pre(element, draft, book, place)
    elif kind != "hr":
        walk(element, draft, book, place)


def _table(element: etree._Element, draft: Draft, book: str, place: str) -> None:
    """A table as rows; one whose cells hold prose or tables, or that has one column, is there for its looks and is read like any block."""
    nested = next(element.iterdescendants("{*}table"), None) is not None
    rows = [] if nested else [[cell for cell in row if tag(cell) in ("td", "th")] for row in element.iter("{*}tr")]
    prose = any(len("".join(cell.itertext()).split()) > CELL for row in rows for cell in row)
    if prose or max(map(len, rows), default=0) < 2:
        walk(element, draft, book, place)
        return
    for caption in element.iterchildren("{*}caption"):
        walk(caption, draft, book, place)
    said = [["".join(_inline_parts(cell, draft, book, place)) for cell in row] for row in rows if row]
    draft.table(said, titled=all(tag(cell) == "th" for cell in next(row for row in rows if row)))


def _pre(element: etree._Element, draft: Draft, book: str, place: str) -> None:
    """Preformatted text: code in fences where it says that it is, or looks so; else lines, such as those of a poem."""
    said = "".join(_inline_parts(element, draft, book, place)).replace(BREAK, "\n")
    lines = [line for line in said.split("\n") if line.strip()]
    marked = any(tag(e) in ("code", "samp", "kbd") for e in element) or CODE.search(f"{element.get('class')} {element.get('data-type')}")
    if marked or sum(CODED.search(line[:300]) is not None for line in lines) > len(lines) / 3:
        draft.code(said)
    else:
        draft.block(said.replace("\n", BREAK))


def _inline_parts(element: etree._Element, draft: Draft, book: str, place: str) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        yield _inline(child, draft, book, place)
        yield child.tail or ""


def _inline(element: etree._Element, draft: Draft, book: str, place: str) -> str:
    kind = tag(element)
    if kind in ("img", "image", "svg"):
        return _picture(element, draft, book, place)
    if kind == "br":
        return BREAK
    if kind == "math":
        return formula(element) or ""
    if kind in SKIP or not kind or _is_page(element) or _is_mark(element, kind):
        return ""
    said = "".join(_inline_parts(element, draft, book, place))
    if kind in BLOCK:
        return f"{BREAK}{said}{BREAK}"
    return f"^{said.strip()}" if kind == "sup" and said.strip().isdigit() else said


def _picture(element: etree._Element, draft: Draft, book: str, place: str) -> str:
    """What stands for a picture: its place, or the letter that it draws, as at the head of a chapter."""
    said = (element.get("alt") or "").strip()
    then = element.getnext()
    follows = element.tail or ("" if then is None else then.text or "")
    if len(said.strip("“‘\"'")) == 1 and said[-1].isalpha() and follows[:1].isalpha():
        return said
    link = next((found for e in element.iter() if (found := e.get("src") or e.get(HREF))), None)
    where = posixpath.normpath(posixpath.join(posixpath.dirname(place), link)) if link else None
    return draft.leave_out(element, "image/*", f"{book}#{where}" if where else None)


def _is_mark(element: etree._Element, kind: str) -> bool:
    """Whether an element is a link to a note: it says so, or it is a raised number or sign that leads somewhere in the book."""
    if types_of(element) & {"noteref", "doc-noteref"} or any(ANCHOR.match(name) for name in (element.get("class") or "").split()):
        return True
    link = element if kind == "a" else next((e for e in element if tag(e) == "a"), None) if kind == "sup" else None
    if link is None or "#" not in (link.get("href") or ""):
        return False
    said = "".join(element.itertext()).strip()
    raised = kind == "sup" or any(tag(e) == "sup" for e in element)
    return (MARK if raised else BRACKETED).fullmatch(said) is not None
