"""Reference works: the catalogue of common weaknesses (CWE) as XML, and encyclopaedia articles, one a line.

Of a CWE entry: name, description, extended description, the text of a category or view, its objective. Mitigations, code
examples and cross references are left out.
"""

import os
import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from catalog.errors import InputError
from catalog.stage import Refused, source
from ingest.markup import flat, parser, tag

CWE_LICENSE = "LicenseRef-CWE-Terms-of-Use"
"""Free to use and copy with MITRE's notice: https://cwe.mitre.org/about/termsofuse.html."""
ENTRIES = ("Weakness", "Category", "View")
BODY = ("Description", "Extended_Description", "Summary", "Objective")
MAX_LINE = 16 << 20
SHORT = 3
"""Words of an article's beginning that make a title where nothing better is found."""
OPENING = re.compile(r"^(?:In [^,.]{2,40}, )?(.{2,80}?)(?:,? \(| (?:is|was|are|were|refers to|has been|have been)\b|, )")
ARTICLE = re.compile(r"^(?:[Tt]he|[Aa]n?) (?=[a-z])")
NO_TITLES = ("This", "These", "There", "It", "They")


@source(version=1)
def read(path: str) -> Iterator[dict[str, Any] | Refused]:
    """Yield the entries of a `.xml` CWE catalogue or the articles of a `.txt`. Refused: `entities`, `not_xml`, `no_text`, `too_large`."""
    if path.endswith(".xml"):
        yield from _entries(path)
    elif path.endswith(".txt"):
        yield from _articles(path)
    else:
        raise InputError(f"{path}: reference reads CWE as .xml and one article a line as .txt")


def _entries(path: str) -> Iterator[dict[str, Any] | Refused]:
    name = os.path.basename(path)
    with open(path, "rb") as file:
        if b"<!ENTITY" in file.read(65536):
            yield Refused(name, "entities", "it declares entities of its own")
            return
    names = [f"{{*}}{entry}" for entry in ENTRIES]
    try:
        for _, element in etree.iterparse(path, tag=names, events=("end",), **parser(remove_comments=True)):
            if element.get("ID"):
                yield _entry(element)
                element.clear()  # what has been read is let go of: a catalogue need not fit in memory
    except etree.XMLSyntaxError as error:
        yield Refused(name, "not_xml", str(error))


def _entry(element: etree._Element) -> dict[str, Any] | Refused:
    number, name, kind = element.get("ID"), element.get("Name") or "", tag(element)
    uri = f"https://cwe.mitre.org/data/definitions/{number}.html"
    title = f"CWE-{number}: {name}" if kind == "Weakness" else f"CWE {kind}: {name}"
    blocks = [block for part in BODY for found in element.findall(f"./{{*}}{part}") for block in _blocks(found)]
    if not blocks:
        return Refused(uri, "no_text", f"{kind} {number} has no description")
    text = "\n\n".join([f"# {title}", *blocks])
    return {"uri": uri, "text": text, "title": title, "license": CWE_LICENSE, "content_type": "application/cwe+xml", "member": f"{kind}/{number}"}


def _blocks(element: etree._Element) -> list[str]:
    """Paragraphs and items of an element that mixes bare text with XHTML."""
    blocks, text = [], element.text or ""
    for child in element:
        if tag(child) in ("p", "div", "ul", "ol", "li", "dl", "dt", "dd", "table", "tr"):
            blocks.append(flat(text))
            inner = _blocks(child)
            blocks += [f"- {flat(' '.join(inner))}"] if tag(child) == "li" else inner
            text = child.tail or ""
        else:
            text += " " if tag(child) == "br" else "".join(child.itertext())
            text += child.tail or ""
    return [block for block in [*blocks, flat(text)] if block]


def _articles(path: str) -> Iterator[dict[str, Any] | Refused]:
    """One article a line; its place is the line's number, from 1."""
    name, number = os.path.basename(path), 0
    with open(path, "rb") as file:
        while line := file.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE:
                yield Refused(f"{name}#{number}", "too_large", f"line {number} has more than {MAX_LINE} bytes", number)
                while line and not line.endswith(b"\n"):
                    line = file.readline(MAX_LINE)
                continue
            text = line.decode("utf-8", "replace").strip()
            if not text:
                continue
            yield {"text": text, "title": _title(text), "offset": number, "length": len(line), "content_type": "text/plain"}


def _title(text: str) -> str:
    """What an article is about: the words before its first `is`, bracket or comma."""
    found = OPENING.match(text)
    if found is None or found[1] in NO_TITLES:
        return " ".join(text.split()[:SHORT])
    said = ARTICLE.sub("", found[1].strip("'\" "))
    return said[:1].upper() + said[1:]
