"""Scholarly papers, a file at a time: JATS (PLOS, PubMed Central), TEI (GROBID), LaTeX, PDF and text from a PDF, by modules of their own.

Title, abstract, sections and paragraphs, with headings; `facts.doi` and `facts.venue` where the paper states them. Formulae become
text where the paper carries them as MathML or TeX. Tables, figures, references, supplements and what stands behind the body are left
out, each with its place in `media`.
"""

import os
import re
from collections.abc import Iterator
from typing import Any

from catalog import licenses
from catalog.stage import Refused, source
from ingest.charset import decode
from ingest.markup import MAX_BYTES, parse, tag, too_deep
from ingest.texts.bundles import bundle_of, main_of, source_of
from ingest.texts.jats import jats_paper
from ingest.texts.latex import paper_of as latex_of
from ingest.texts.macros import tokens_of
from ingest.texts.pdf import texts
from ingest.texts.printed import DOI, left_out, licence_of, paper_of
from ingest.texts.repaired import repaired
from ingest.texts.tei import tei_paper

SOURCES = (".tex", ".ltx", ".gz", ".tgz", ".tar")
LATEX_REASONS = ("corrupt_archive", "too_large", "not_latex", "wrong_charset")
CC_TYPE = re.compile(r"\\setcctype(?:\[(\d\.\d)\])?\{(by(?:-nc)?(?:-sa|-nd)?)\}")
"""How ACM's class names a Creative Commons licence."""
ARXIV_FILE = re.compile(r"\d{4}\.\d{4,5}(?:v\d{1,2})?")


@source(version=3)
def read(path: str, *, seconds: float = 60.0, pages: int = 500) -> Iterator[dict[str, Any] | Refused]:
    """Yield the papers in a file: JATS or TEI `.xml`, LaTeX (`.tex`, `.gz`, `.tar.gz`, `.tar`), `.pdf`, or `.txt` that came out of a PDF; or Refused.

    The address is `https://doi.org/<doi>` where the paper states it, or arXiv's. A PDF may take `seconds` of processor time and have so
    many `pages`. Reasons: `too_large`, `too_deep`, `entities`, `not_xml`, `not_jats`, `no_text`, `wrong_charset`, `not_latex`, `corrupt_archive`,
    `unsafe_path`, and those of `ingest.texts.pdf.texts`.
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
    if too_deep(root):
        yield Refused(name, "too_deep", "elements within elements")
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
        yield jats_paper(article, name if len(articles) == 1 else f"{name}#{number}")


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
        "license": _license(paper.front), "content_type": "application/x-tex", "facts": {"doi": doi[1] if doi else None, "venue": venue},
    }  # fmt: skip


def _license(front: str) -> str | None:
    """The licence that a source states before its first section: what it says of its data, and its template's own in a comment, is another."""
    said = CC_TYPE.search(front)
    return licenses.of_link(f"creativecommons.org/licenses/{said[2]}/{said[1] or '4.0'}" if said else front)


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
