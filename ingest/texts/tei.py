"""Papers as TEI, as GROBID writes them of a PDF: title, abstract, sections and formulae; figures, tables, notes and references cut."""

import datetime
import re
from typing import Any

from lxml import etree

from catalog.stage import Refused
from ingest.markup import BREAK, Draft, tag, words_of
from ingest.texts.articles import attributes, doi_of, first, license_of, paragraph, spoken

CUT = {"figure": "figure", "table": "table", "note": "footnotes", "listBibl": "references", "graphic": "figure", "listOrg": "notes", "listPlace": "notes"}
"""What is left out, and what `media.mime` calls it: application/x-tei-<name>."""
BACK = {"acknowledgement": "acknowledgements", "acknowledgements": "acknowledgements", "references": "references", "annex": "appendix", "funding": "funding",
        "availability": "notes", "contribution": "notes", "conflict": "notes"}  # fmt: skip
BLOCKS = ("formula", "list", "p", "quote", "lg", "eg")
SKIP = ("label", "fw", "pb", "lb", "cb", "gb")
XML_ID = "{http://www.w3.org/XML/1998/namespace}id"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def tei_paper(root: etree._Element, name: str) -> dict[str, Any] | Refused:
    """Return the paper in a `TEI` element as a document, or Refused: `no_text`."""
    header = root.find("./{*}teiHeader")
    header = header if header is not None else etree.Element("teiHeader")
    doi = doi_of(next((words_of([e]) for e in header.iter("{*}idno") if (e.get("type") or "").lower() == "doi"), None))
    uri = f"https://doi.org/{doi}" if doi else _arxiv(header)
    title = first(header, ".//{*}titleStmt/{*}title") or first(header, ".//{*}analytic/{*}title")
    draft = Draft()
    if title:
        draft.block(title, "# ")
    abstract = header.find(".//{*}profileDesc/{*}abstract")
    if abstract is not None and words_of([abstract]):
        draft.block("Abstract", "## ")
        _walk(abstract, draft, 3, uri)
    headed = len(draft.blocks)
    body = root.find(".//{*}text/{*}body")
    if body is not None:
        _walk(body, draft, 2 if title else 1, uri)
    for part in root.findall(".//{*}text/{*}back/*"):
        kind = BACK.get(part.get("type") or "", CUT.get(tag(part), "notes"))
        draft.cut(part, f"application/x-tei-{kind}", _place(part, uri))
    if len(draft.blocks) == headed and headed < 2:
        return Refused(uri or name, "no_text", "neither abstract nor body")
    text, media = draft.finish()
    return {
        "uri": uri, "text": text, "media": media, "title": title, "author": _authors(header), "date": _date(header), "license": _license(header),
        "lang": header.get(LANG) or None, "content_type": "application/tei+xml", "facts": {"doi": doi, "venue": _venue(header)},
    }  # fmt: skip


def _arxiv(header: etree._Element) -> str | None:
    number = next((words_of([e]) for e in header.iter("{*}idno") if (e.get("type") or "").lower() == "arxiv"), None)
    found = re.search(r"(?:\d{4}\.\d{4,5}|[a-z-]+/\d{7})(?:v\d+)?", number or "")
    return f"https://arxiv.org/abs/{found[0]}" if found else None


def _venue(header: etree._Element) -> str | None:
    """The journal, or the meeting that the proceedings are of."""
    titles = [e for e in header.findall(".//{*}monogr/{*}title") if e.get("level") in ("j", "m", None)]
    main = next((e for e in titles if e.get("type") == "main"), titles[0] if titles else None)
    return (words_of([main]) if main is not None else "") or first(header, ".//{*}monogr/{*}meeting")


def _authors(header: etree._Element) -> str | None:
    names = []
    for author in header.findall(".//{*}sourceDesc//{*}analytic/{*}author") or header.findall(".//{*}titleStmt/{*}author"):
        person = author.find("./{*}persName")
        said = words_of([e for e in person if tag(e) in ("forename", "surname")]) if person is not None else words_of([author])
        names.append(said)
    return "; ".join(name for name in names if name) or None


def _date(header: etree._Element) -> datetime.date | None:
    for found in [*header.findall(".//{*}publicationStmt/{*}date"), *header.findall(".//{*}monogr/{*}imprint/{*}date")]:
        day = re.match(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?", found.get("when") or "")
        try:
            if day:
                return datetime.date(int(day[1]), int(day[2] or 1), int(day[3] or 1))
        except ValueError:
            continue
    return None


def _license(header: etree._Element) -> str | None:
    """The licence by name; `LicenseRef-other` for terms that have no name which is known. GROBID's `status="unknown"` is none."""
    for found in header.findall(".//{*}publicationStmt//{*}availability"):
        named = license_of(found, attributes(found, "target"), stated=found.find(".//{*}licence") is not None)
        if named:
            return named
    return None


def _walk(element: etree._Element, draft: Draft, depth: int, uri: str | None) -> None:
    """Add an element's blocks to the draft; divisions deepen the headings, and so does a heading's own number."""
    for child in element:
        _block(child, draft, depth + (tag(child) == tag(element) == "div"), uri)


def _block(element: etree._Element, draft: Draft, depth: int, uri: str | None) -> None:
    kind = tag(element)
    if kind in CUT:
        draft.cut(element, f"application/x-tei-{CUT[kind]}", _place(element, uri))
    elif kind == "head":
        number = (element.get("n") or "").strip(".")
        said = _all(element, draft, uri).strip()
        level = depth + number.count(".") if number else depth
        draft.block(f"{number}. {said}" if number and not said.startswith(number) else said, "#" * min(level, 6) + " ")
    elif kind == "formula":
        draft.block(words_of([element]).removesuffix(first(element, "./{*}label") or "\0").strip())
    elif kind in ("eg", "code"):
        draft.code("".join(element.itertext()))
    elif kind == "lg":
        draft.block(BREAK.join(_all(line, draft, uri) for line in element if tag(line) not in ("", *SKIP)))
    elif kind == "list":
        for item in element:
            inner = Draft()
            _block(item, inner, depth, uri)
            draft.take(inner, "- ")
    elif kind in ("p", "ab", "s", "q") or (kind and kind not in SKIP and spoken(element)):
        _paragraph(element, draft, depth, uri)
    elif kind and kind not in SKIP:
        _walk(element, draft, depth, uri)


def _paragraph(element: etree._Element, draft: Draft, depth: int, uri: str | None) -> None:
    paragraph(element, draft, BLOCKS, lambda child: _block(child, draft, depth, uri), lambda child: _inline(child, draft, uri))


def _inline(child: etree._Element, draft: Draft, uri: str | None) -> str:
    kind = tag(child)
    if kind in CUT:
        return draft.leave_out(child, f"application/x-tei-{CUT[kind]}", _place(child, uri))
    if kind in SKIP or not kind:
        return " " if kind in ("lb", "pb", "cb") and child.get("break") != "no" else ""
    return _all(child, draft, uri)


def _all(element: etree._Element, draft: Draft, uri: str | None) -> str:
    """What stands in an element as one line."""
    return (element.text or "") + "".join(_inline(each, draft, uri) + (each.tail or "") for each in element)


def _place(element: etree._Element, uri: str | None) -> str | None:
    named = element.get(XML_ID)
    return f"{uri or ''}#{named}" if named else None
