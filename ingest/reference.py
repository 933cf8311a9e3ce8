"""Reference works, told by what stands in the file: CWE and MediaWiki as XML, RFCs, manual pages, dictionaries, questions with answers, and
encyclopaedia articles, one a line.
"""

import bz2
import gzip
import io
import lzma
import os
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

from catalog.errors import InputError
from catalog.stage import Refused, source
from ingest.charset import decode
from ingest.entries import cwe, dictionaries, man, mediawiki, questions, rfc

XML = re.compile(r"\.xml(?:-p\d+p\d+)?(?:\.(?:gz|bz2|xz))?$")
"""Wikimedia numbers the parts of a dump behind the `.xml`: `pages-articles1.xml-p1p41242.bz2`."""
OPENED = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
MAX_LINE, MAX_FILE = 16 << 20, 16 << 20
HEAD = 65_536
SHORT = 3
"""Words of an article's beginning that make a title where nothing better is found."""
OPENING = re.compile(r"^(?:In [^,.]{2,40}, )?(.{2,80}?)(?:,? \(| (?:is|was|are|were|refers to|has been|have been)\b|, )")
ARTICLE = re.compile(r"^(?:[Tt]he|[Aa]n?) (?=[a-z])")
NO_TITLES = ("This", "These", "There", "It", "They")


@source(version=3)
def read(
    path: str, *, namespaces: list[int] | None = None, answers: int = 3, license: str | None = None, seconds: float = 10.0
) -> Iterator[dict[str, Any] | Refused]:
    """Yield the entries of a reference work.

    `.xml`, also .gz, .bz2, .xz   a MediaWiki dump (pages of `namespaces`, articles alone without it, at their last revision),
                                  a Stack Exchange `Posts.xml` (questions with up to `answers` answers), or the CWE catalogue
    `.txt`                        an RFC, or articles one a line
    `.1` to `.9`, also .gz        a manual page
    `.index`                      a dictd dictionary, with the `.dict` or `.dict.dz` beside it, which is passed over itself
    `data.noun` and its like      WordNet
    `license` is of works that do not say theirs; `seconds` of processor time are the limit for one wiki page.
    Refused: `entities`, `not_xml`, `not_man`, `no_text`, `too_large`, `wrong_charset`, `redirect`, `namespace`, `no_answer`, `no_question`, `post_type`,
    `apparatus`, `bad_entry`, `no_dictionary`, `corrupt_archive`, `too_many_elements`, `timeout`, `memory`, `died`, `error`.
    """
    name = os.path.basename(path)
    if XML.search(name):
        yield from _xml(path, name, tuple(namespaces or [0]), answers, license, seconds)
    elif dictionaries.WORDNET.match(name):
        yield from dictionaries.synsets(path, license=license)
    elif name.endswith(".index"):
        yield from dictionaries.entries(path, license=license)
    elif name.endswith(".txt"):
        with open(path, "rb") as file:
            head = file.read(HEAD).decode("utf-8", "replace")
        yield from _whole(path, name, rfc.memo, license) if rfc.is_rfc(head) else _articles(path)
    elif man.NAME.search(name):
        yield from _whole(path, name, man.manual, license)
    elif not name.endswith((".dict", ".dict.dz")) and not re.match(r"index\.(?:noun|verb|adj|adv|sense)$", name):
        kinds = ".xml (MediaWiki, Posts.xml, CWE), .txt (RFCs, articles), .1 to .9 (manuals), .index (dictd), data.noun (WordNet)"
        raise InputError(f"{path}: reference reads {kinds}")


@contextmanager
def _unpacked(path: str) -> Iterator[IO[bytes]]:
    """A file as it is read, expanded by the end of its name."""
    opened: Any = OPENED.get(os.path.splitext(path)[1])
    with opened(path) if opened else open(path, "rb") as file:
        yield cast(IO[bytes], file)


class _Again(io.RawIOBase):
    """A stream whose beginning was read already. A break in what is packed ends it with an error that is no system's."""

    def __init__(self, head: bytes, file: IO[bytes]) -> None:
        self.head, self.file = head, file

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self.head:
            given, self.head = self.head[:size] if size >= 0 else self.head, self.head[size:] if size >= 0 else b""
            return given
        try:
            return self.file.read(size)
        except (OSError, zlib.error, lzma.LZMAError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise EOFError(str(error)) from None


def _xml(path: str, name: str, namespaces: tuple[int, ...], answers: int, license: str | None, seconds: float) -> Iterator[dict[str, Any] | Refused]:
    with _unpacked(path) as plain:
        try:
            head = plain.read(HEAD)
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            yield Refused(name, "corrupt_archive", str(error))
            return
        if b"<!ENTITY" in head:
            yield Refused(name, "entities", "it declares entities of its own")
            return
        file = cast(IO[bytes], _Again(head, plain))
        if b"<mediawiki" in head:
            yield from mediawiki.pages(file, name, namespaces=namespaces, license=license, seconds=seconds)
        elif re.search(rb"<posts\b", head):
            yield from questions.threads(file, path, answers=answers, license=license)
        else:
            yield from cwe.entries(file, name)


def _whole(path: str, name: str, made: Callable[[str, str], dict[str, Any] | Refused], license: str | None) -> Iterator[dict[str, Any] | Refused]:
    """A file that is one document."""
    try:
        with _unpacked(path) as file:
            data = file.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            yield Refused(name, "too_large", f"more than {MAX_FILE} bytes")
            return
        found = made(decode(data)[0], name)
    except UnicodeError as error:
        yield Refused(name, "wrong_charset", str(error))
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        yield Refused(name, "corrupt_archive", str(error))
    else:
        yield found if isinstance(found, Refused) else {**found, "license": found["license"] or license, "length": len(data)}


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
