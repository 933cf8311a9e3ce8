"""The catalogue of common weaknesses (CWE): name, description, extended description, the text of a category or view, its objective.

Mitigations, code examples and cross references are left out.
"""

from collections.abc import Iterator
from typing import IO, Any, cast

from lxml import etree

from catalog.stage import Refused
from ingest.markup import flat, parser, tag

LICENSE = "LicenseRef-CWE-Terms-of-Use"
"""Free to use and copy with MITRE's notice: https://cwe.mitre.org/about/termsofuse.html."""
ENTRIES = ("Weakness", "Category", "View")
MAX_ELEMENTS = 100_000
"""Elements between two entries; the longest entry has some hundreds."""
BODY = ("Description", "Extended_Description", "Summary", "Objective")


def entries(file: IO[bytes], name: str) -> Iterator[dict[str, Any] | Refused]:
    """Yield an entry a document. Refused: `no_text`, `not_xml`, `too_many_elements`."""
    count = 0
    try:
        for _, element in etree.iterparse(cast(Any, file), events=("end",), **parser(remove_comments=True)):
            count += 1
            if count > MAX_ELEMENTS:
                yield Refused(name, "too_many_elements", f"more than {MAX_ELEMENTS} elements and no entry among them")
                return
            if tag(element) in ENTRIES and element.get("ID"):
                yield _entry(element)
                count = 0
                element.clear()                              # what has been read is let go of: a catalogue need not fit in memory
                while element.getprevious() is not None:
                    del cast(etree._Element, element.getparent())[0]
    except (etree.XMLSyntaxError, EOFError) as error:
        yield Refused(name, "not_xml", str(error))


def _entry(element: etree._Element) -> dict[str, Any] | Refused:
    number, name, kind = element.get("ID"), element.get("Name") or "", tag(element)
    uri = f"https://cwe.mitre.org/data/definitions/{number}.html"
    title = f"CWE-{number}: {name}" if kind == "Weakness" else f"CWE {kind}: {name}"
    blocks = [block for part in BODY for found in element.findall(f"./{{*}}{part}") for block in _blocks(found)]
    if not blocks:
        return Refused(uri, "no_text", f"{kind} {number} has no description")
    text = "\n\n".join([f"# {title}", *blocks])
    return {"uri": uri, "text": text, "title": title, "license": LICENSE, "content_type": "application/cwe+xml", "member": f"{kind}/{number}"}


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
