"""Scholarly papers as JATS (PLOS, PubMed Central): title, abstract, sections and paragraphs, with headings.

Formulae become text where the paper carries them as MathML or TeX. Tables, figures, references, supplements and what stands
behind the body are left out, each with its place in `media`.
"""

import datetime
import os
from collections.abc import Iterator
from typing import Any

from lxml import etree

from catalog.stage import Refused, source
from ingest import licenses
from ingest.formula import formula
from ingest.markup import MAX_BYTES, Draft, parse, tag, words_of

CUT = {
    "fig": "figure", "fig-group": "figure", "table-wrap": "table", "table-wrap-group": "table", "table": "table", "ref-list": "references", "media": "media",
    "supplementary-material": "supplement", "graphic": "figure", "inline-graphic": "figure", "inline-supplementary-material": "supplement",
    "fn-group": "footnotes", "fn": "footnotes", "ack": "acknowledgements", "app-group": "appendix", "app": "appendix", "glossary": "glossary",
    "notes": "notes", "bio": "biography",
}  # fmt: skip
"""What is left out, and what `media.mime` calls it: application/x-jats-<name>."""
SKIP = ("label", "object-id", "alt-title", "trans-title", "sec-meta", "kwd-group")
BLOCKS = ("list", "disp-formula", "disp-quote", "disp-formula-group", "boxed-text", "def-list", "preformat", "verse-group")
HREF = "{http://www.w3.org/1999/xlink}href"


@source(version=1)
def read(path: str) -> Iterator[dict[str, Any] | Refused]:
    """Yield the paper in a JATS file, at `https://doi.org/<doi>`; or Refused: `too_large`, `entities`, `not_xml`, `not_jats`, `no_text`."""
    name = os.path.basename(path)
    if os.path.getsize(path) > MAX_BYTES:
        yield Refused(name, "too_large", f"{os.path.getsize(path)} bytes")
        return
    with open(path, "rb") as file:
        data = file.read()
    try:
        root = parse(data)
    except ValueError as error:
        reason, _, detail = str(error).partition(": ")
        yield Refused(name, reason, detail)
        return
    articles = [root] if tag(root) == "article" else [e for e in root.iter() if tag(e) == "article"]
    if not articles:
        yield Refused(name, "not_jats", f"the root is {tag(root)}")
    for number, article in enumerate(articles):
        yield _paper(article, name if len(articles) == 1 else f"{name}#{number}")


def _paper(article: etree._Element, name: str) -> dict[str, Any] | Refused:
    doi = _first(article, ".//{*}front//{*}article-id[@pub-id-type='doi']")
    uri = f"https://doi.org/{doi}" if doi else None
    draft = Draft()
    title = _first(article, ".//{*}front//{*}article-title")
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
    return {
        "uri": uri, "text": text, "media": media, "title": title, "author": _authors(article), "date": _date(article),
        "license": _license(article), "content_type": "application/jats+xml",
    }  # fmt: skip


def _first(article: etree._Element, path: str) -> str | None:
    found = article.find(path)
    return words_of([found]) or None if found is not None else None


def _walk(element: etree._Element, draft: Draft, depth: int, uri: str | None) -> None:
    """Add an element's blocks to the draft; sections deepen the headings."""
    for child in element:
        kind = tag(child)
        if kind in CUT:
            draft.cut(child, f"application/x-jats-{CUT[kind]}", _place(child, uri))
        elif kind in ("disp-formula", "disp-formula-group"):
            draft.block(_formula(child, draft, uri))
        elif kind == "title":
            draft.block(_inline(child, draft, uri), "#" * min(depth, 6) + " ")
        elif kind in ("p", "preformat", "verse-group"):
            _paragraph(child, draft, depth, uri)
        elif kind == "list":
            _list(child, draft, depth, uri)
        elif kind and kind not in SKIP:
            _walk(child, draft, depth + (kind in ("sec", "boxed-text")), uri)


def _list(element: etree._Element, draft: Draft, depth: int, uri: str | None) -> None:
    for item in element:
        if tag(item) == "list-item":
            inner = Draft()
            _walk(item, inner, depth, uri)
            draft.take(inner, "- ")


def _paragraph(element: etree._Element, draft: Draft, depth: int, uri: str | None) -> None:
    """A paragraph; what stands in it as a block of its own (a list, a set-off formula) splits it."""
    text = element.text or ""
    for child in element:
        if tag(child) in BLOCKS:
            draft.block(text)
            holder = etree.Element("holder")
            tail, child.tail = child.tail, None
            holder.append(child)
            _walk(holder, draft, depth, uri)
            text = tail or ""
        else:
            text += _inline_child(child, draft, uri) + (child.tail or "")
    draft.block(text)


def _inline(element: etree._Element, draft: Draft, uri: str | None) -> str:
    return (element.text or "") + "".join(_inline_child(child, draft, uri) + (child.tail or "") for child in element)


def _inline_child(child: etree._Element, draft: Draft, uri: str | None) -> str:
    kind = tag(child)
    if kind in ("inline-formula", "disp-formula", "math", "tex-math"):
        return _formula(child, draft, uri)
    if kind in CUT:
        return draft.leave_out(child, f"application/x-jats-{CUT[kind]}", _place(child, uri))
    if kind in SKIP:
        return ""
    inside = _inline(child, draft, uri)
    if kind == "sup" and inside.strip().lstrip("-−–").isdigit() and not any(tag(e) == "xref" for e in child):
        return f"^{inside.strip()}"
    return " " if kind == "break" else inside


def _formula(element: etree._Element, draft: Draft, uri: str | None) -> str:
    said = formula(element)
    return said if said is not None else draft.leave_out(element, "application/x-jats-formula", _place(element, uri))


def _place(element: etree._Element, uri: str | None) -> str | None:
    """Where the thing left out is: its own address, or its id in the paper."""
    own = element.get(HREF) or next((e.get(HREF) for e in element.iter() if e.get(HREF)), None)
    named = element.get("id")
    return own if own and tag(element) != "ref-list" else f"{uri or ''}#{named}" if named else None


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
    """The licence by name; `LicenseRef-other` for terms that have no name which is known."""
    for found in article.findall(".//{*}permissions//{*}license"):
        said = words_of([found])
        links = [found.get(HREF), *(e.get(HREF) for e in found.iter() if e.get(HREF))]
        named = next((name for link in links if link and (name := licenses.of_link(link))), None) or licenses.of_statement(said)
        if named or said:
            return named or licenses.OTHER
    return None
