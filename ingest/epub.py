"""EPUB: a zip with XHTML in it, read by ourselves: the chapters in the order of the spine, as text.

What frames a book (cover, title page, imprint, contents, notes) is no chapter and is Refused as `apparatus`.
"""

import datetime
import posixpath
import re
import zipfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urldefrag

from lxml import etree

from catalog.stage import Refused
from ingest import licenses
from ingest.archives import BROKEN, of_machine
from ingest.markup import BREAK, Draft, parse, tag, words_of

MAX_MEMBERS, MAX_MEMBER, MAX_WHOLE = 10_000, 32 << 20, 1 << 30
MAX_RATIO = 200
"""How much a member above a megabyte may expand. Prose reaches 4."""
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
EPUB_TYPE = "{http://www.idpf.org/2007/ops}type"
HREF = "{http://www.w3.org/1999/xlink}href"
APPARATUS = {
    "cover", "titlepage", "halftitlepage", "halftitle", "imprint", "copyright-page", "colophon", "uncopyright", "toc", "landmarks", "page-list", "loi", "lot",
    "index", "endnotes", "footnotes", "rearnotes", "dedication", "epigraph", "backlink", "other-credits", "seriespage", "errata",
}  # fmt: skip
SKIP = ("script", "style", "nav", "head", "audio", "video", "iframe", "form", "object", "button")
BLOCK = (
    "p", "div", "section", "article", "aside", "blockquote", "ul", "ol", "dl", "li", "dt", "dd", "table", "tr", "figure", "figcaption", "hr", "pre",
    "header", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "hgroup", "main", "body", "center", "thead", "tbody", "tfoot",
    "caption", "address", "details", "summary",
)  # fmt: skip
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
GUTENBERG = re.compile(r"\bpg-?(?:header|footer|boilerplate)", re.I)


def chapters(path: str, name: str) -> Iterator[dict[str, Any] | Refused]:
    """Yield a document for each chapter. Refused: `not_epub`, `encrypted`, `too_large`, `unsafe_path`, `entities`, `not_xml`, `apparatus`, `no_text`."""
    try:
        with zipfile.ZipFile(path) as book:
            problem = _unsound(book)
            if problem:
                yield Refused(name, *problem)
                return
            yield from _chapters(book, name)
    except BROKEN as error:
        if of_machine(error):
            raise
        yield Refused(name, "not_epub", str(error) or type(error).__name__)


def _unsound(book: zipfile.ZipFile) -> tuple[str, str] | None:
    members = book.infolist()
    if len(members) > MAX_MEMBERS or sum(member.file_size for member in members) > MAX_WHOLE:
        return "too_large", f"{len(members)} members, {sum(member.file_size for member in members)} bytes"
    for member in members:
        if member.compress_type not in PACKINGS:
            return "not_epub", f"{member.filename} is packed in a way that EPUB does not have"
        if member.file_size > 1 << 20 and member.file_size > MAX_RATIO * max(1, member.compress_size):
            return "too_large", f"{member.filename} expands {member.file_size // max(1, member.compress_size)} times"
    return None


def _member(book: zipfile.ZipFile, name: str) -> bytes:
    """Return a member's bytes, reading no more than it may have, whatever the directory says."""
    with book.open(name) as file:
        data = file.read(MAX_MEMBER + 1)
    if len(data) > MAX_MEMBER:
        raise ValueError(f"{name} has more than {MAX_MEMBER} bytes")
    return data


def _chapters(book: zipfile.ZipFile, name: str) -> Iterator[dict[str, Any] | Refused]:
    container = parse(_member(book, "META-INF/container.xml"))
    rootfile = container.find(".//{*}rootfile")
    if rootfile is None:
        raise ValueError("META-INF/container.xml names no package")
    package_path = rootfile.get("full-path", "")
    package = parse(_member(book, package_path))
    about = _about(package)
    identifier = about.pop("identifier")
    hidden = _encrypted(book)
    for place, kind in _spine(package, posixpath.dirname(package_path)):
        uri = f"{identifier or name}#{place}"
        if place.startswith(("/", "../")):
            yield Refused(uri, "unsafe_path", place)
        elif place in hidden:
            yield Refused(uri, "encrypted", "META-INF/encryption.xml names it")
        else:
            yield _chapter(book, place, uri if identifier else None, kind, about, uri)


def _about(package: etree._Element) -> dict[str, Any]:
    known = ("title", "creator", "rights", "date", "identifier")
    said = {key: [words_of([found]) for found in package.findall(f".//{{*}}metadata/{{*}}{key}")] for key in known}
    day = re.match(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?", said["date"][0] if said["date"] else "")
    try:
        date = datetime.date(int(day[1]), int(day[2] or 1), int(day[3] or 1)) if day else None
    except ValueError:
        date = None
    address = next((name for name in said["identifier"] if re.match(r"(?:url:)?https?://|urn:", name)), None)
    return {
        "book": said["title"][0] if said["title"] else None, "author": "; ".join(said["creator"]) or None, "date": date,
        "license": licenses.of_statement(" ".join(said["rights"])), "identifier": address.removeprefix("url:") if address else None,
    }  # fmt: skip


def _spine(package: etree._Element, folder: str) -> Iterator[tuple[str, str]]:
    """Yield (path in the zip, properties) of each item of the spine."""
    items = {item.get("id"): item for item in package.findall(".//{*}manifest/{*}item")}
    for reference in package.findall(".//{*}spine/{*}itemref"):
        item = items.get(reference.get("idref"))
        if item is not None and "html" in (item.get("media-type") or ""):
            path = posixpath.normpath(posixpath.join(folder, unquote(urldefrag(item.get("href", ""))[0])))
            yield path, "nav" if "nav" in (item.get("properties") or "").split() or reference.get("linear") == "no" else ""


def _encrypted(book: zipfile.ZipFile) -> set[str]:
    hidden = {member.filename for member in book.infolist() if member.flag_bits & 1}
    if "META-INF/encryption.xml" in book.namelist():
        hidden |= {unquote(found.get("URI", "")) for found in parse(_member(book, "META-INF/encryption.xml")).iterfind(".//{*}CipherReference")}
    return hidden


def _chapter(book: zipfile.ZipFile, place: str, uri: str | None, kind: str, about: dict[str, Any], name: str) -> dict[str, Any] | Refused:
    """A chapter. What is wrong with one costs that one, unless it is the machine that fails."""
    if place not in book.NameToInfo:
        return Refused(name, "not_epub", f"the spine names {place}, which is not there")
    try:
        return _read(parse(_member(book, place), recover=True), place, uri, kind, about, name)
    except BROKEN as error:
        if of_machine(error):
            raise
        reason, _, detail = str(error).partition(": ")
        return Refused(name, reason if reason in ("entities", "not_xml", "too_large") else "not_epub", detail or reason or type(error).__name__)


def _read(root: etree._Element, place: str, uri: str | None, kind: str, about: dict[str, Any], name: str) -> dict[str, Any] | Refused:
    body = root.find(".//{*}body")
    if body is None:
        return Refused(name, "not_xml", "no body")
    types = {word for element in [body, *body] for word in (element.get(EPUB_TYPE) or element.get("type") or "").split()}
    if kind == "nav" or types & APPARATUS:
        return Refused(name, "apparatus", " ".join(sorted(types & APPARATUS)) or "not in reading order")
    draft = Draft()
    _walk(body, draft, name.rpartition("#")[0], place)
    text, media = draft.finish()
    if not text:
        return Refused(name, "no_text", place)
    heading = next((said for e in body.iter() if tag(e) in ("hgroup", *HEADINGS) and (said := _heading(e))), None) or words_of(root.findall(".//{*}title"))
    title = f"{about['book']}: {heading}" if about["book"] and heading and heading != about["book"] else heading or about["book"]
    return {
        "uri": uri, "member": place, "text": text, "media": media, "title": title, "author": about["author"], "date": about["date"],
        "license": about["license"], "content_type": "application/epub+zip",
    }  # fmt: skip


def _heading(element: etree._Element) -> str:
    """A heading in one line; a group of them, such as a number over a title, with colons."""
    return ": ".join(said for e in element if (said := words_of([e]))) if tag(element) == "hgroup" else words_of([element])


def _walk(element: etree._Element, draft: Draft, book: str, place: str) -> None:
    """Add an element's blocks; text that stands beside blocks is a block of its own."""
    text = element.text or ""
    for child in element:
        kind = tag(child)
        if kind in SKIP or GUTENBERG.search(f"{child.get('id')} {child.get('class')}"):
            pass
        elif kind in BLOCK:
            draft.block(text)
            text = ""
            _block(child, kind, draft, book, place)
        else:
            text += _inline(child, draft, book, place)
        text += child.tail or ""
    draft.block(text)


def _block(element: etree._Element, kind: str, draft: Draft, book: str, place: str) -> None:
    if kind in HEADINGS:
        draft.block("".join(_inline_parts(element, draft, book, place)), "#" * int(kind[1]) + " ")
    elif kind == "hgroup":
        level = next((tag(e)[1] for e in element.iter() if tag(e) in HEADINGS), "2")
        draft.block(_heading(element), "#" * int(level) + " ")
    elif kind == "li":
        inner = Draft()
        _walk(element, inner, book, place)
        draft.take(inner, "- ")
    elif kind == "tr":
        draft.block("| " + " | ".join(words_of([cell]) for cell in element) + " |")
    elif kind == "pre":
        draft.block(BREAK.join("".join(element.itertext()).split("\n")))
    elif kind != "hr":
        _walk(element, draft, book, place)


def _inline_parts(element: etree._Element, draft: Draft, book: str, place: str) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        yield _inline(child, draft, book, place)
        yield child.tail or ""


def _inline(element: etree._Element, draft: Draft, book: str, place: str) -> str:
    kind = tag(element)
    if kind in ("img", "image", "svg"):
        link = next((found for e in element.iter() if (found := e.get("src") or e.get(HREF))), None)
        where = posixpath.normpath(posixpath.join(posixpath.dirname(place), link)) if link else None
        return draft.leave_out(element, "image/*", f"{book}#{where}" if where else None)
    if kind == "br":
        return BREAK
    if kind in SKIP or "noteref" in (element.get(EPUB_TYPE) or "") or element.get("role") == "doc-noteref":
        return ""
    return "".join(_inline_parts(element, draft, book, place))
