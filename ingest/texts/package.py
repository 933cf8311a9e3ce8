"""What is in an EPUB by its package: the order of reading, who wrote it, what each file is, the names of the chapters; EPUB 2 and 3.

Real books break the rules: paths in the wrong case, escaped or not, no `META-INF`, no manifest entry for what the spine names. What
can be found without doubt is found.
"""

import datetime
import posixpath
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urldefrag

from lxml import etree

from catalog import licenses
from ingest.markup import parse, tag, words_of
from ingest.texts.xhtml import EPUB_TYPE

OBFUSCATION = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
"""Ways in which fonts are made hard to reuse: what is so packed is no text, and no lock."""
GUIDE = {"title-page": "titlepage", "copyright-page": "copyright-page", "other.backlink": "backlink", "notes": "endnotes", "table-of-contents": "toc"}
"""What EPUB 2's guide calls what EPUB 3 has other words for."""
MAX_SPINE = 10_000

Member = Callable[[zipfile.ZipFile, str], bytes]


@dataclass
class Package:
    """A book's spine as (path in the zip, in reading order or not), what it says of itself, and by path: kinds, names and how many are named inside."""

    about: dict[str, Any]
    spine: list[tuple[str, bool]]
    kinds: dict[str, set[str]] = field(default_factory=dict)
    named: dict[str, list[str]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)


def read_package(book: zipfile.ZipFile, member: Member) -> Package:
    """Return the package of an open EPUB. Raises ValueError where there is none, or as `ingest.markup.parse` does."""
    paths = _Paths(book)
    place = _place(book, paths, member)
    package = parse(member(book, place), recover=True)
    folder = posixpath.dirname(place)
    items = {item.get("id"): item for item in package.findall(".//{*}manifest/{*}item")}
    found = Package(_about(package), _spine(package, items, folder, paths))
    for reference in package.findall(".//{*}guide/{*}reference"):
        kind = (reference.get("type") or "").lower()
        found.kinds.setdefault(paths.of(folder, reference.get("href") or ""), set()).add(GUIDE.get(kind, kind))
    for item in items.values():
        if "nav" in (item.get("properties") or "").split() or item.get("media-type") == "application/x-dtbncx+xml":
            _contents(book, member, paths, paths.of(folder, item.get("href") or ""), found)
    found.hidden = _encrypted(book, member, paths)
    return found


class _Paths:
    """The names in a zip; a path that is not there finds the one that differs from it in case or escapes alone."""

    def __init__(self, book: zipfile.ZipFile) -> None:
        self.names = set(book.namelist())
        self.folded = {self._fold(name): name for name in reversed(book.namelist())}

    def of(self, folder: str, href: str) -> str:
        """The path of a link in a file of `folder`; as it would be, where there is no such member."""
        plain = posixpath.normpath(posixpath.join(folder, urldefrag(href)[0].replace("\\", "/")))
        for said in (unquote(plain), plain):
            if said in self.names:
                return said
        return self.folded.get(self._fold(unquote(plain)), unquote(plain))

    def _fold(self, name: str) -> str:
        return unquote(name).casefold()


def _place(book: zipfile.ZipFile, paths: _Paths, member: Member) -> str:
    """Where the package is: as the container says, else the only `.opf` there is."""
    container = paths.of("", "META-INF/container.xml")
    if container in paths.names:
        rootfile = parse(member(book, container), recover=True).find(".//{*}rootfile")
        if rootfile is not None and (place := paths.of("", rootfile.get("full-path") or "")) in paths.names:
            return place
    packages = [name for name in book.namelist() if name.lower().endswith(".opf")]
    if len(packages) != 1:
        raise ValueError("META-INF/container.xml names no package")
    return packages[0]


def _about(package: etree._Element) -> dict[str, Any]:
    known = ("title", "creator", "rights", "date", "identifier", "language")
    said = {key: [words for found in package.findall(f".//{{*}}metadata//{{*}}{key}") if (words := words_of([found]))] for key in known}
    day = re.match(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?", said["date"][0] if said["date"] else "")
    try:
        date = datetime.date(int(day[1]), int(day[2] or 1), int(day[3] or 1)) if day else None
    except ValueError:
        date = None
    address = next((name for name in said["identifier"] if re.match(r"(?:url:)?https?://|urn:", name)), None)
    return {
        "book": said["title"][0] if said["title"] else None, "author": "; ".join(said["creator"]) or None, "date": date,
        "license": licenses.of_statement(" ".join(said["rights"])), "identifier": address.removeprefix("url:") if address else None,
        "lang": said["language"][0] if said["language"] else None,
    }  # fmt: skip


def _spine(package: etree._Element, items: dict[str | None, etree._Element], folder: str, paths: _Paths) -> list[tuple[str, bool]]:
    """(path, whether it is read in order) of each XHTML item of the spine, each once."""
    found: dict[str, bool] = {}
    for reference in package.findall(".//{*}spine/{*}itemref")[:MAX_SPINE]:
        item = items.get(reference.get("idref"))
        if item is not None and ("html" in (item.get("media-type") or "") or (item.get("href") or "").lower().endswith(("html", ".htm"))):
            aside = "nav" in (item.get("properties") or "").split() or reference.get("linear") == "no"
            found.setdefault(paths.of(folder, item.get("href") or ""), not aside)
    return list(found.items())


def _contents(book: zipfile.ZipFile, member: Member, paths: _Paths, place: str, found: Package) -> None:
    """Put the names of chapters and the landmarks of a navigation document (EPUB 3) or an NCX (EPUB 2) into `found`; a broken one says nothing."""
    try:
        root = parse(member(book, place), recover=True)
    except (ValueError, KeyError):
        return
    folder = posixpath.dirname(place)
    for point in root.iter("{*}navPoint"):
        content, label = point.find("./{*}content"), point.find("./{*}navLabel")
        if content is not None and label is not None:
            found.named.setdefault(paths.of(folder, content.get("src") or ""), []).append(words_of([label]))
    for nav in root.iter("{*}nav"):
        landmarks = "landmarks" in (nav.get(EPUB_TYPE) or "")
        for link in nav.iter("{*}a"):
            target = paths.of(folder, link.get("href") or "")
            if landmarks:
                found.kinds.setdefault(target, set()).update((link.get(EPUB_TYPE) or "").split())
            elif "toc" in (nav.get(EPUB_TYPE) or ""):
                found.named.setdefault(target, []).append(words_of([link]))


def _encrypted(book: zipfile.ZipFile, member: Member, paths: _Paths) -> set[str]:
    """The members that a password or a rights scheme hides; fonts that are only obfuscated are none."""
    hidden = {entry.filename for entry in book.infolist() if entry.flag_bits & 1}
    place = paths.of("", "META-INF/encryption.xml")
    if place in paths.names:
        for data in parse(member(book, place), recover=True).iter("{*}EncryptedData"):
            methods = [e.get("Algorithm") for e in data.iter() if tag(e) == "EncryptionMethod"]
            if not any(method in OBFUSCATION for method in methods):
                hidden |= {paths.of("", found.get("URI") or "") for found in data.iter("{*}CipherReference")}
    return hidden
