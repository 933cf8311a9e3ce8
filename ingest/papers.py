"""Scholarly papers: JATS (PLOS, PubMed Central) here; TEI, LaTeX, PDF and text from a PDF by modules of their own.

Title, abstract, sections and paragraphs, with headings; `facts.doi` and `facts.venue` where the paper states them. Formulae become
text where the paper carries them as MathML or TeX. Tables, figures, references, supplements and what stands behind the body are left
out, each with its place in `media`.
"""

import datetime
import os
import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from catalog.stage import Refused, source
from ingest import licenses
from ingest.bundles import bundle_of, main_of, source_of
from ingest.charset import decode
from ingest.formula import formula
from ingest.latex import paper_of as latex_of
from ingest.macros import tokens_of
from ingest.markup import MAX_BYTES, Draft, parse, tag, words_of
from ingest.pdf import texts
from ingest.printed import DOI, left_out, licence_of, paper_of
from ingest.repaired import repaired
from ingest.tei import tei_paper

CUT = {
    "fig": "figure", "fig-group": "figure", "table-wrap": "table", "table-wrap-group": "table", "table": "table", "ref-list": "references", "media": "media",
    "supplementary-material": "supplement", "graphic": "figure", "inline-graphic": "figure", "inline-supplementary-material": "supplement",
    "fn-group": "footnotes", "fn": "footnotes", "ack": "acknowledgements", "app-group": "appendix", "app": "appendix", "glossary": "glossary",
    "notes": "notes", "bio": "biography",
}  # fmt: skip
"""What is left out, and what `media.mime` calls it: application/x-jats-<name>."""
SKIP = ("label", "object-id", "alt-title", "trans-title", "sec-meta", "kwd-group")
BLOCKS = ("list", "disp-formula", "disp-quote", "disp-formula-group", "boxed-text", "def-list", "preformat", "verse-group")
SOURCES = (".tex", ".ltx", ".gz", ".tgz", ".tar")
LATEX_REASONS = ("corrupt_archive", "too_large", "not_latex", "wrong_charset")
ARXIV_FILE = re.compile(r"\d{4}\.\d{4,5}(?:v\d{1,2})?")
HREF = "{http://www.w3.org/1999/xlink}href"


@source(version=2)
def read(path: str, *, seconds: float = 60.0, pages: int = 500) -> Iterator[dict[str, Any] | Refused]:
    """Yield the papers in a file: JATS or TEI `.xml`, LaTeX (`.tex`, `.gz`, `.tar.gz`, `.tar`), `.pdf`, or `.txt` that came out of a PDF; or Refused.

    The address is `https://doi.org/<doi>` where the paper states it, or arXiv's. A PDF may take `seconds` of processor time and have so
    many `pages`. Reasons: `too_large`, `entities`, `not_xml`, `not_jats`, `no_text`, `wrong_charset`, `not_latex`, `corrupt_archive`,
    `unsafe_path`, and those of `ingest.pdf.texts`.
    """
    name = os.path.basename(path)
    kind = name.lower()
    if kind.endswith(".pdf"):
        found = texts(path, seconds=seconds, pages=pages)
        yield found if isinstance(found, Refused) else paper_of(found, name)
    elif kind.endswith(SOURCES):
        yield from _latex(path, name)
    elif os.path.getsize(path) > MAX_BYTES:
        yield Refused(name, "too_large", f"{os.path.getsize(path)} bytes")
    elif kind.endswith(".txt"):
        yield _plain(path, name)
    else:
        yield from _xml(path, name)


def _xml(path: str, name: str) -> Iterator[dict[str, Any] | Refused]:
    with open(path, "rb") as file:
        data = file.read()
    try:
        root = parse(data)
    except ValueError as error:
        reason, _, detail = str(error).partition(": ")
        yield Refused(name, reason, detail)
        return
    if tag(root) in ("TEI", "teiCorpus"):
        found = [root] if tag(root) == "TEI" else [e for e in root if tag(e) == "TEI"]
        for number, paper in enumerate(found):
            yield tei_paper(paper, name if len(found) == 1 else f"{name}#{number}")
        return
    articles = [root] if tag(root) == "article" else [e for e in root.iter() if tag(e) == "article"]
    if not articles:
        yield Refused(name, "not_jats", f"the root is {tag(root)}")
    for number, article in enumerate(articles):
        yield _paper(article, name if len(articles) == 1 else f"{name}#{number}")


def _latex(path: str, name: str) -> Iterator[dict[str, Any] | Refused]:
    """The paper of a LaTeX source; what of its bundle could not be read is refused beside it."""
    try:
        bundle = bundle_of(path)
        main = main_of(bundle)
        source, keys = source_of(bundle, main) if main is not None else ("", [])
    except ValueError as error:
        reason, _, detail = str(error).partition(": ")
        yield Refused(name, reason if reason in LATEX_REASONS else "not_latex", detail or reason)
        return
    for place, reason, detail in bundle.refused:
        yield Refused(f"{name}#{place}", reason, detail)
    if main is None or "\\" not in source:
        yield Refused(name, "not_latex", "no file with a document in it")
        return
    try:
        paper, text, media = latex_of(source, keys)
    except ValueError as error:
        reason, _, detail = str(error).partition(": ")
        yield Refused(name, reason, detail)
        return
    number = ARXIV_FILE.match(name)
    doi = DOI.search(paper.said.get("doi", "") or paper.said.get("acmDOI", ""))
    uri = f"https://doi.org/{doi[1]}" if doi else f"https://arxiv.org/abs/{number[0]}" if number else None
    if not any(block and not block.startswith("#") for block in text.split("\n\n")):
        yield Refused(uri or name, "no_text", "headings alone")
        return
    venue = next((said for key in ("journal", "acmJournal", "conference") if (said := paper.inline(tokens_of(paper.said.get(key, "")), 1))), None)
    yield {
        "uri": uri, "text": text, "media": media, "title": paper.title, "author": paper.authors(), "date": None,
        "license": licenses.of_link(source), "content_type": "application/x-tex", "facts": {"doi": doi[1] if doi else None, "venue": venue},
    }  # fmt: skip


def _plain(path: str, name: str) -> dict[str, Any] | Refused:
    """Text that another tool took out of a PDF."""
    with open(path, "rb") as file:
        data = file.read()
    try:
        said, _ = decode(data)
    except UnicodeError as error:
        return Refused(name, "wrong_charset", str(error))
    found = repaired(said)
    if not found.text.strip():
        return Refused(name, "no_text", "no text but references")
    media = [] if found.place < 0 else [left_out(found.references, "application/x-text-references", found.place)]
    doi = DOI.search(said[:10_000])
    return {
        "uri": f"https://doi.org/{doi[1].rstrip('.,;)')}" if doi else None, "text": found.text, "media": media, "title": None, "author": None, "date": None,
        "license": licence_of(said[:10_000]), "content_type": "text/plain", "facts": {"doi": doi[1].rstrip(".,;)") if doi else None, "venue": None},
    }  # fmt: skip


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
        "facts": {"doi": doi, "venue": _first(article, "./{*}front/{*}journal-meta//{*}journal-title")},
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
