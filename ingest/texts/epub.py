"""EPUB: a zip with XHTML in it, read by ourselves: the chapters in the order of the spine, as text.

What frames a book (cover, title page, imprint, contents, notes) is no chapter and is Refused as `apparatus`: by its type, by the
landmarks of the book or its guide, or by its heading.
"""

import re
import zipfile
from collections.abc import Iterator
from typing import Any

from lxml import etree

from catalog.stage import Refused
from ingest.archives import BROKEN, of_machine
from ingest.markup import Draft, parse, tag, too_deep, words_of
from ingest.texts.chapters import STOP
from ingest.texts.onepage import HEADING, Piece, moved, part, pieces, within_frame
from ingest.texts.package import Package, read_package
from ingest.texts.works import work
from ingest.texts.xhtml import HEADINGS, heading_of, types_of, walk

MAX_MEMBERS, MAX_MEMBER, MAX_WHOLE = 10_000, 32 << 20, 1 << 30
MAX_RATIO = 200
"""How much a member above a megabyte may expand. Prose reaches 4."""
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
APPARATUS = {
    "cover", "titlepage", "halftitlepage", "halftitle", "imprint", "copyright-page", "colophon", "uncopyright", "toc", "landmarks", "page-list", "loi", "lot",
    "index", "endnotes", "footnotes", "rearnotes", "dedication", "epigraph", "backlink", "other-credits", "seriespage", "errata", "doc-cover", "doc-toc",
    "doc-colophon", "doc-index", "doc-endnotes", "doc-dedication", "doc-epigraph", "doc-credits", "doc-pagelist", "doc-errata",
}  # fmt: skip
SPLIT = re.compile(r"(.*?)[_-]split[_-]?\d+\.\w+(?:/\d+)?$", re.I)
"""How calibre names the files that it cuts a file into."""
MOST_FRAME, MOST_CHAPTER = 8000, 1 << 20
"""Characters of what its heading alone says to be no chapter; and of a chapter that may still go on in the next file."""
FRAME = re.compile(
    r"^(?:(?:table of )?contents|title ?page|copyright(?: page| notice)?|colophon|imprint|uncopyright|cover|list of (?:illustrations|tables|figures)"
    r"|(?:foot|end)?notes|index|about the (?:author|publisher)|the full project gutenberg license|transcriber[’']?s notes?|inhalt(?:sverzeichnis)?|impressum"
    r"|table des matières)\W*$",
    re.I,
)
"""Headings of what frames a book, where its files do not say what they are: EPUB 2 has no types."""


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
    package = read_package(book, _member)
    identifier = package.about.pop("identifier")
    places = [place for place, _ in package.spine]
    if places and package.hidden.issuperset(place for place in places if place in book.NameToInfo):
        yield Refused(name, "encrypted", "META-INF/encryption.xml names all of its text")
        return
    number, held = 0, None                                   # held: the chapter so far, which the next file may go on with
    for place, in_order in package.spine:
        uri = f"{identifier or name}#{place}"
        if place.startswith(("/", "../")):
            yield Refused(uri, "unsafe_path", place)
        elif place in package.hidden:
            yield Refused(uri, "encrypted", "META-INF/encryption.xml names it")
        else:
            for found in _file(book, place, package, in_order, uri):
                if isinstance(found, dict) and held is not None and _goes_on(held, found, package):
                    held = _joined(held, found)
                    continue
                if held is not None and not (isinstance(found, Refused) and found.reason == "no_text"):
                    yield held
                    held = None
                if isinstance(found, Refused):
                    yield found
                else:
                    held = {**found, "uri": found["uri"] if identifier else None, "facts": {**found["facts"], "position": number}}
                    del held["headless"]
                    number += 1
    if held is not None:
        yield held


def _goes_on(held: dict[str, Any], found: dict[str, Any], package: Package) -> bool:
    """Whether a `piece` of a file, or a `file`, without a heading goes on with the chapter before it: EPUB 2 and converters cut files by their size."""
    if not found["headless"] or found["member"] in package.named or not package.named or len(held["text"]) > MOST_CHAPTER:
        return False
    before, place = SPLIT.match(held["member"]), SPLIT.match(found["member"])
    cut = before is not None and place is not None and before[1] == place[1]
    return cut or found["headless"] == "piece" or found["text"][:1].islower() or held["text"][-1:].isalnum()


def _joined(held: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Two stretches of one chapter as one document."""
    at = len(held["text"]) + 2
    return {**held, "text": f"{held['text']}\n\n{found['text']}", "media": [*held["media"], *(moved(gone, at) for gone in found["media"])]}


def _file(book: zipfile.ZipFile, place: str, package: Package, in_order: bool, name: str) -> list[dict[str, Any] | Refused]:
    """The chapters in a file of the spine. What is wrong with one costs that one, unless it is the machine that fails."""
    if place not in book.NameToInfo:
        return [Refused(name, "not_epub", f"the spine names {place}, which is not there")]
    try:
        return _read(parse(_member(book, place), recover=True), place, package, in_order, name)
    except BROKEN as error:
        if of_machine(error):
            raise
        reason, _, detail = str(error).partition(": ")
        return [Refused(name, reason if reason in ("entities", "not_xml", "too_large") else "not_epub", detail or reason or type(error).__name__)]


def _read(root: etree._Element, place: str, package: Package, in_order: bool, name: str) -> list[dict[str, Any] | Refused]:
    body = root.find(".//{*}body")
    if body is None:
        return [Refused(name, "not_xml", "no body")]
    if too_deep(body):
        return [Refused(name, "too_deep", "elements within elements")]
    framed = _frames(body) | (package.kinds.get(place, set()) & APPARATUS)
    if framed or not in_order:
        return [Refused(name, "apparatus", " ".join(sorted(framed)) or "not in reading order")]
    draft = Draft()
    walk(body, draft, name.rpartition("#")[0], place)
    text, media = within_frame(*draft.finish())
    if not text.strip():
        return [Refused(name, "no_text", place)]
    if STOP.match(text):
        return [Refused(name, "apparatus", "Project Gutenberg's licence")]
    named = package.named.get(place, [])
    own = next((said for e in body.iter() if tag(e) in ("hgroup", *HEADINGS) and (said := heading_of(e))), None)
    heading = own or (named[0] if named else None) or words_of(root.findall(".//{*}title"))
    if FRAME.match(heading or "") and (len(text) < MOST_FRAME or "gutenberg" in (heading or "").lower()):
        return [Refused(name, "apparatus", heading)]
    about = package.about
    if len(named) > 1 and len(inner := pieces(text, topmost=True)) > 1:    # a file that the contents cut into chapters: EPUB 2 cuts files by their size
        return list(_pieces(inner, text, media, place, about, name))
    return [{**_chapter(text, media, heading, place, about, name), "headless": "" if own else "file"}]


def _frames(body: etree._Element) -> set[str]:
    """What a file is by its body's type, or by that of all that stands in the body."""
    own, inside = types_of(body) | {body.get("type") or ""}, [types_of(child) | {child.get("type") or ""} for child in body if tag(child)]
    return (own & APPARATUS) or (set().union(*inside) & APPARATUS if inside and all(types & APPARATUS for types in inside) else set())


def _pieces(inner: list[Piece], text: str, media: list[dict[str, Any]], place: str, about: dict[str, Any], name: str) -> Iterator[dict[str, Any] | Refused]:
    for number, piece in enumerate(inner, 1):
        if FRAME.match(piece.title) and piece.end - piece.start < MOST_FRAME:
            yield Refused(f"{name}/{number}", "apparatus", piece.title)
            continue
        said, left_out = part(text, media, piece)
        if said and HEADING.sub("", said).strip():
            yield {**_chapter(said, left_out, piece.title, f"{place}/{number}", about, f"{name}/{number}"), "headless": "" if piece.title else "piece"}
        else:
            yield Refused(f"{name}/{number}", "no_text", piece.title)


def _chapter(text: str, media: list[dict[str, Any]], heading: str | None, place: str, about: dict[str, Any], uri: str) -> dict[str, Any]:
    book = about["book"]
    return {
        "uri": uri, "member": place, "text": text, "media": media, "title": f"{book}: {heading}" if book and heading and heading != book else heading or book,
        "author": about["author"], "date": about["date"], "license": about["license"], "lang": about["lang"], "content_type": "application/epub+zip",
        "facts": {"work": work(about["author"], book)},
    }  # fmt: skip
