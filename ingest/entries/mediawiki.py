"""MediaWiki dumps, pages of an export as XML, gzip or bzip2: one page a document, its wikitext made text in a process of its own.

The dump is read as a stream: what was read is let go of, so that one of a hundred gigabytes needs no more memory than its longest page.
Format: https://www.mediawiki.org/wiki/Help:Export#Export_format.
"""

import datetime
from collections.abc import Iterator, Sequence
from typing import IO, Any, cast
from urllib.parse import quote, urlsplit

from lxml import etree

from catalog.stage import Refused
from catalog.worker import Failure, Worker
from ingest.markup import parser, tag

WIKIMEDIA = ("wikipedia.org", "wiktionary.org", "wikibooks.org", "wikiquote.org", "wikisource.org", "wikiversity.org", "wikivoyage.org", "wikimedia.org")
LICENSE = "CC-BY-SA-4.0"
"""Of Wikimedia's texts since June 2023; what was written before may be had under 3.0 too (foundation.wikimedia.org/wiki/Policy:Terms_of_Use, section 7).
Wikinews is not among them: its licence is another in each language."""
MAX_ELEMENTS = 100_000
"""Elements between two pages; a page of an export with one revision has about 20."""
SECONDS, MEMORY = 10.0, 2 << 30

Page = tuple[tuple[str, dict[str, Any]], bytes | None, dict[str, Any]]


def pages(file: IO[bytes], name: str, *, namespaces: Sequence[int], license: str | None, seconds: float = SECONDS) -> Iterator[dict[str, Any] | Refused]:
    """Yield a document for each page in one of the namespaces, by its number in the wiki. Refused: `redirect`, `namespace`, `no_text`, `not_xml`,
    `too_many_elements`, and what became of the converter: `timeout`, `memory`, `died`, `error`.
    """
    wiki = _Wiki(name, frozenset(namespaces), license)
    with Worker("ingest.entries.wikitext:convert", seconds=seconds, memory=MEMORY) as worker:
        for (reason, about), answer in worker.map(wiki.read(file)):
            if reason:
                yield Refused(about["uri"], reason, about.get("error", ""))
            elif isinstance(answer, Failure):
                yield Refused(about["uri"], answer.reason, answer.error)
            elif not answer["text"].strip():
                yield Refused(about["uri"], "no_text", "nothing is left of its wikitext")
            else:
                yield {**about, "text": f"# {about['title']}\n\n{answer['text']}"}


class _Wiki:
    """A dump as it is read: what it says of its site, then its pages."""

    def __init__(self, name: str, namespaces: frozenset[int], license: str | None) -> None:
        self.name, self.namespaces, self.license = name, namespaces, license
        self.base, self.lang = "", None
        self.cut = ["File", "Image", "Category", "Media"]

    def read(self, file: IO[bytes]) -> Iterator[Page]:
        """Yield what each page is, its wikitext (None of one that is refused), and what the converter must know."""
        count = 0
        try:
            for _, element in etree.iterparse(cast(Any, file), events=("end",), **parser(remove_comments=True)):
                count += 1
                if count > MAX_ELEMENTS:
                    yield ("too_many_elements", {"uri": self.name, "error": f"more than {MAX_ELEMENTS} elements in a page"}), None, {}
                    return
                above = element.getparent()
                count -= _older(element)
                if above is None or above.getparent() is not None:
                    continue                                 # neither the whole nor one of its parts
                if tag(element) == "siteinfo":
                    self._site(element, above)
                elif tag(element) == "page":
                    yield self._page(element)
                count = 0
                element.clear()
                while element.getprevious() is not None:
                    del above[0]
        except (etree.XMLSyntaxError, EOFError) as error:
            yield ("not_xml", {"uri": self.name, "error": f"{type(error).__name__}: {error}"[:300]}), None, {}

    def _site(self, info: etree._Element, root: etree._Element) -> None:
        base = info.findtext("{*}base") or ""
        self.base = base.rpartition("/")[0] + "/" if "/" in base else ""
        self.lang = root.get("{http://www.w3.org/XML/1998/namespace}lang")
        if self.license is None and f".{_host(base)}".endswith(tuple(f".{site}" for site in WIKIMEDIA)):
            self.license = LICENSE
        self.cut += [found.text for found in info.findall("{*}namespaces/{*}namespace") if found.get("key") in ("6", "14", "-2") and found.text]

    def _page(self, page: etree._Element) -> Page:
        title, revision = page.findtext("{*}title") or "", next(page.iterchildren("{*}revision", reversed=True), None)
        uri = self.base + quote(title.replace(" ", "_"), safe="/:,()'!*") if self.base else f"{self.name}#{quote(title)}"
        space = page.findtext("{*}ns") or "0"
        if space not in map(str, self.namespaces):
            return ("namespace", {"uri": uri, "error": f"namespace {space}"}), None, {}
        target = page.find("{*}redirect")
        if target is not None:
            return ("redirect", {"uri": uri, "error": f"to {target.get('title')}"}), None, {}
        if revision is None or (revision.findtext("{*}model") or "wikitext") != "wikitext":
            return ("no_text", {"uri": uri, "error": "no wikitext"}), None, {}
        about = {
            "uri": uri, "title": title, "date": _day(revision.findtext("{*}timestamp")), "license": self.license, "lang": self.lang,
            "content_type": "text/x-wiki", "member": page.findtext("{*}id") or title,
        }  # fmt: skip
        return ("", about), (revision.findtext("{*}text") or "").encode(), {"cut": self.cut}


def _older(element: etree._Element) -> int:
    """Let go of the revision before one that was read: the last is the newest in a dump of whole histories. Returns how many elements went."""
    page, before = element.getparent(), element.getprevious()
    if page is None or before is None or tag(element) != "revision" or tag(before) != "revision":
        return 0
    gone = sum(1 for _ in before.iter())
    page.remove(before)
    return gone


def _day(said: str | None) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat((said or "")[:10])
    except ValueError:
        return None


def _host(address: str) -> str:
    """The host of an address; nothing of one that is none."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
