"""What papers in XML have in common, whether JATS or TEI: paragraphs that blocks split, identifiers, licences."""

import re
from collections.abc import Callable, Container, Iterable, Iterator

from lxml import etree

from catalog import licenses
from ingest.markup import Draft, tag, words_of

DOI_PREFIX = re.compile(r"^(?:https?://(?:dx\.)?doi\.org/|doi:)\s*", re.I)


def first(root: etree._Element, path: str) -> str | None:
    """Return the words of the first element at a path; None where there are none."""
    found = root.find(path)
    return words_of([found]) or None if found is not None else None


def doi_of(said: str | None) -> str | None:
    """Return a DOI without the address or the `doi:` before it."""
    return DOI_PREFIX.sub("", said) or None if said else None


def spoken(element: etree._Element) -> bool:
    """Whether an element has words of its own, beside those of the elements in it."""
    return bool((element.text or "").strip()) or any((child.tail or "").strip() for child in element)


def paragraph(
    element: etree._Element, draft: Draft, blocks: Container[str], block: Callable[[etree._Element], None], inline: Callable[[etree._Element], str]
) -> None:
    """Add a paragraph; what stands in it as a block of its own (a list, a set-off formula: `blocks`) splits it."""
    text = element.text or ""
    for child in element:
        if tag(child) in blocks:
            draft.block(text)
            block(child)
            text = child.tail or ""
        else:
            text += inline(child) + (child.tail or "")
    draft.block(text)


def license_of(found: etree._Element, links: Iterable[str | None], *, stated: bool) -> str | None:
    """Return the licence that an element names; `LicenseRef-other` where terms are `stated` that have no name which is known."""
    said = words_of([found])
    named = next((name for link in links if link and (name := licenses.of_link(link))), None) or licenses.of_statement(said)
    return named or (licenses.OTHER if said and stated else None)


def attributes(found: etree._Element, name: str) -> Iterator[str]:
    """Yield an attribute's values, of an element and of all in it."""
    return (value for e in found.iter() if (value := e.get(name)))
