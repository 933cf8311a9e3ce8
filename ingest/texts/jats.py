"""Papers as JATS, as PLOS and PubMed Central give them: title, abstract, sections and formulae; figures, tables, notes and references cut."""

import datetime
from typing import Any

from lxml import etree

from catalog.stage import Refused
from ingest.formula import formula
from ingest.markup import BREAK, Draft, tag, words_of
from ingest.texts.articles import attributes, doi_of, first, license_of, paragraph, spoken

CUT = {
    "fig": "figure", "fig-group": "figure", "table-wrap": "table", "table-wrap-group": "table", "table": "table", "ref-list": "references", "media": "media",
    "supplementary-material": "supplement", "graphic": "figure", "inline-graphic": "figure", "inline-supplementary-material": "supplement",
    "fn-group": "footnotes", "fn": "footnotes", "ack": "acknowledgements", "app-group": "appendix", "app": "appendix", "glossary": "glossary",
    "notes": "notes", "bio": "biography",
}  # fmt: skip
"""What is left out, and what `media.mime` calls it: application/x-jats-<name>."""
SKIP = ("label", "object-id", "alt-title", "trans-title", "sec-meta", "kwd-group")
BLOCKS = (
    "list", "disp-formula", "disp-quote", "disp-formula-group", "boxed-text", "def-list", "preformat", "code", "verse-group", "statement", "speech", "p", "sec",
)  # fmt: skip
FORMULAE = ("disp-formula", "disp-formula-group")
NOTES = ("fn", "table-fn", "corresp", "aff", "author-notes")
"""What marks point to that is cut: the marks go too."""
HREF = "{http://www.w3.org/1999/xlink}href"


def jats_paper(article: etree._Element, name: str) -> dict[str, Any] | Refused:
    """Return the paper in an `article` element as a document, or Refused: `no_text`."""
    doi = doi_of(first(article, ".//{*}front//{*}article-id[@pub-id-type='doi']"))
    uri = f"https://doi.org/{doi}" if doi else None
    draft = Draft()
    title = _title(article)
    if title:
        draft.block(title, "# ")
    for abstract in article.findall("./{*}front/{*}article-meta/{*}abstract"):
        if abstract.get("abstract-type") in (None, "summary", "background"):
            if abstract.find("./{*}title") is None:
                draft.block("Abstract", "## ")
            _walk(abstract, draft, 2, uri)
    headed = len(draft.blocks)
    for body in article.findall("./{*}body"):
        _walk(body, draft, 1, uri)
    for part in article.findall("./{*}back/*"):
        if tag(part) in CUT:
            draft.cut(part, f"application/x-jats-{CUT[tag(part)]}", _place(part, uri))
    if len(draft.blocks) == headed and headed < 2:
        return Refused(uri or name, "no_text", "neither abstract nor body")
    text, media = draft.finish()
    venue = first(article, "./{*}front/{*}journal-meta//{*}journal-title") or first(article, "./{*}front/{*}article-meta//{*}conf-name")
    return {
        "uri": uri, "text": text, "media": media, "title": title, "author": _authors(article), "date": _date(article),
        "license": _license(article), "content_type": "application/jats+xml", "facts": {"doi": doi, "venue": venue},
    }  # fmt: skip


def _title(article: etree._Element) -> str | None:
    found = article.find(".//{*}front//{*}title-group/{*}article-title")
    found = article.find(".//{*}front//{*}article-title") if found is None else found
    if found is None:
        return None
    draft = Draft()
    draft.block(_inline(found, draft, None))
    return draft.finish()[0] or None


def _walk(element: etree._Element, draft: Draft, depth: int, uri: str | None) -> None:
    """Add an element's blocks to the draft; sections deepen the headings."""
    for child in element:
        _block(child, draft, depth, uri)


def _block(element: etree._Element, draft: Draft, depth: int, uri: str | None) -> None:
    kind = tag(element)
    if kind in CUT:
        draft.cut(element, f"application/x-jats-{CUT[kind]}", _place(element, uri))
    elif kind in FORMULAE:
        draft.block(_formula(element, draft, uri))
    elif kind == "title":
        draft.block(_inline(element, draft, uri), "#" * min(depth, 6) + " ")
    elif kind in ("preformat", "code"):
        draft.code("".join(element.itertext()))
    elif kind == "verse-group":
        draft.block(BREAK.join(_inline(line, draft, uri) for line in element if tag(line) not in ("", *SKIP)))
    elif kind in ("list", "def-list"):
        _list(element, draft, depth, uri)
    elif kind == "statement":
        draft.block(". ".join(said for e in element if tag(e) in ("label", "title") and (said := _inline(e, draft, uri).strip())))
        for child in element:
            if tag(child) not in ("label", "title"):
                _block(child, draft, depth, uri)
    elif kind == "p" or (kind and kind not in SKIP and spoken(element)):
        _paragraph(element, draft, depth, uri)
    elif kind and kind not in SKIP:
        _walk(element, draft, depth + (kind in ("sec", "boxed-text")), uri)


def _list(element: etree._Element, draft: Draft, depth: int, uri: str | None) -> None:
    for item in element:
        kind = tag(item)
        if kind == "title":
            draft.block(_inline(item, draft, uri))
        if kind not in ("list-item", "def-item"):
            continue
        inner = Draft()
        term = item.find("./{*}term")
        if term is not None:
            inner.block(_inline(term, inner, uri) + ":")
        for child in item:
            if child is not term:
                _block(child, inner, depth, uri)
        draft.take(inner, "- ")


def _paragraph(element: etree._Element, draft: Draft, depth: int, uri: str | None) -> None:
    paragraph(element, draft, BLOCKS, lambda child: _block(child, draft, depth, uri), lambda child: _inline_child(child, draft, uri))


def _inline(element: etree._Element, draft: Draft, uri: str | None) -> str:
    return (element.text or "") + "".join(_inline_child(child, draft, uri) + (child.tail or "") for child in element)


def _inline_child(child: etree._Element, draft: Draft, uri: str | None) -> str:
    kind = tag(child)
    if kind in ("inline-formula", "disp-formula", "math", "tex-math"):
        return _formula(child, draft, uri)
    if kind in CUT:
        return draft.leave_out(child, f"application/x-jats-{CUT[kind]}", _place(child, uri))
    if kind in SKIP or not kind or (kind == "xref" and child.get("ref-type") in NOTES):
        return ""
    inside = _inline(child, draft, uri)
    if _is_citation(child, kind):                            # raised figures that point to works
        return f"[{inside.replace('^', '').strip(' []')}]"
    if kind == "sup" and inside.strip().lstrip("-−–").isdigit():
        return f"^{inside.strip()}"
    return " " if kind == "break" else inside


def _is_citation(element: etree._Element, kind: str) -> bool:
    """Whether an element is a raised reference to works: `<sup>` around an `<xref>`, or in it."""
    other = "xref" if kind == "sup" else "sup" if kind == "xref" else None
    if other is None or not any(tag(e) == other for e in element):
        return False
    return any(e.get("ref-type") == "bibr" for e in ([element] if kind == "xref" else element))


def _formula(element: etree._Element, draft: Draft, uri: str | None) -> str:
    said = formula(element)
    return said if said is not None else draft.leave_out(element, "application/x-jats-formula", _place(element, uri))


def _place(element: etree._Element, uri: str | None) -> str | None:
    """Where the thing left out is: its own address, or its id in the paper."""
    own = next(attributes(element, HREF), None) if tag(element) != "ref-list" else None
    named = element.get("id")
    return own if own else f"{uri or ''}#{named}" if named else None


def _authors(article: etree._Element) -> str | None:
    names = []
    for contrib in article.findall("./{*}front//{*}contrib"):
        if contrib.get("contrib-type") not in (None, "author"):
            continue
        surname, given = contrib.find(".//{*}surname"), contrib.find(".//{*}given-names")
        group = contrib.find("./{*}collab")
        if surname is not None:
            names.append(words_of([e for e in (given, surname) if e is not None]))
        elif group is not None:
            names.append(words_of([group]))
    return "; ".join(name for name in names if name) or None


def _date(article: etree._Element) -> datetime.date | None:
    """The earliest full date of publication; of one without a day or month, the first."""
    dates = []
    for found in article.findall("./{*}front/{*}article-meta/{*}pub-date"):
        numbers = [found.findtext("./{*}" + part) for part in ("year", "month", "day")]
        try:
            dates.append((numbers[2] is None, datetime.date(*(int(number or 1) for number in numbers))))
        except (ValueError, OverflowError):
            continue
    return min(dates)[1] if dates else None


def _license(article: etree._Element) -> str | None:
    """The paper's licence by name: that of a picture in it is another."""
    found = article.findall("./{*}front/{*}article-meta/{*}permissions//{*}license")
    return next((named for e in found if (named := license_of(e, attributes(e, HREF), stated=True))), None)
