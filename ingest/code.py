"""Source code: trees, checkouts and archives, one document a file, with its language, its licence, what it is and its place in the order.

The licence is the file's own word, else that of the nearest folder above it which states one, in a LICENSE file or in metadata.
"""

import codecs
import os
import posixpath
import re
from collections.abc import Iterator
from typing import Any

from catalog.errors import InputError, near
from catalog.spdx import terms
from catalog.stage import Refused, source
from ingest.archives import Member, is_archive, members
from ingest.charset import decode
from ingest.trees import checkout
from ingest.trees.languages import TEXTS, content_type, interpreted, language
from ingest.trees.natures import nature
from ingest.trees.order import HEAD, Mentions, mentions, positions
from ingest.trees.packages import Package, package, quoted, tells
from ingest.trees.wordings import of_header

MAX_METADATA = 1 << 20
MAX_TOLD, MAX_TOLD_CHARS = 20_000, 32 << 20
"""Files of metadata and licences that are read of one tree, and what they may hold together: each npm package inside another has one."""
MAX_MENTIONS = 500_000
"""Imports that are kept of one tree until all its files are known; the files behind them stand by depth and path."""
WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
CODING = re.compile(rb"(?:#|-\*-)[^\n]{0,60}?coding[:=][ \t]*([\w.-]{2,40})")
"""What a source file says of its encoding (PEP 263; Emacs and Vim read it too)."""


@source(version=3)
def read(path: str, *, max_bytes: int = 1_048_576, also: list[str] | None = None) -> Iterator[dict[str, Any] | Refused]:
    """Yield a document for each source file of a folder, a git checkout, an archive or a file, at `pkg:pypi/name@version#path`, or Refused.

    `facts` holds package, version, nature (`generated`, `minified`, `vendored`, `test`), terms (`permissive`, `weak-copyleft`, `copyleft`,
    `other`) and position: 0, 1, 2 ... in an order in which what is imported comes before what imports it. Of a checkout only what git tracks is
    read, at `pkg:github/owner/name@commit#path`. `also` names kinds of text that are documents too: markdown, rst, json, yaml, toml, xml, ini, text;
    a README at the top is then the first of all.
    Reasons: `not_code`, `too_large` (than `max_bytes`), `empty`, `binary`, `not_a_file`, `unsafe_path`, `encrypted`, `corrupt_archive`,
    `bare_repository`, `bundle`, `git_failed`. Raises InputError for a kind of text that is not known.
    """
    texts = tuple(also or ())
    for name in texts:
        if name not in TEXTS:
            raise InputError(f"also: {name!r}{near(str(name), TEXTS)}")
    repository = checkout.look(path)
    if isinstance(repository, Refused):
        yield repository
        return
    top, told, order = _survey(path, repository, texts)
    for member in _members(path, repository):
        place = member.path.removeprefix(top)
        found = _document(member, place, f"{told.address}#{quoted(place)}", max_bytes, texts)
        if isinstance(found, dict):
            license = of_header(found["text"]) or told.license(place)
            kind = nature(place, found["text"], found["content_type"])
            facts = {"package": told.purl, "version": told.version or None, "nature": kind, "terms": terms(license), "position": order.get(place)}
            found.update(license=license, facts=facts)
        yield found
    if repository is not None and repository.problem:
        yield Refused(told.address, "git_failed", repository.problem)


def _members(path: str, repository: checkout.Checkout | None) -> Iterator[Member]:
    """The files of a tree; of a checkout those that git tracks, and none of git's own."""
    for member in members(path):
        if repository is None or repository.holds(member.path):
            yield member


def _survey(path: str, repository: checkout.Checkout | None, also: tuple[str, ...]) -> tuple[str, Package, dict[str, int]]:
    """Look through a tree once: its top folder, what package it is, and the place of each source file in the order."""
    names, read, files = set(), dict[str, str](), dict[str, tuple[str, Mentions]]()
    held = said = 0
    for member in _members(path, repository):
        if member.problem is not None:
            continue
        names.add(member.path.partition("/")[0] + "/" if "/" in member.path else "")
        kind = content_type(member.path, also)
        if tells(member.path) and len(read) < MAX_TOLD and held < MAX_TOLD_CHARS:
            read[member.path] = (member.read(MAX_METADATA) or b"").decode("utf-8", "replace").replace("\r\n", "\n")
            held += len(read[member.path])
            if kind is not None:
                files[member.path] = (kind, ())
        elif kind is not None or _nameless(member.path):
            head = (member.read(HEAD) or b"").decode("utf-8", "replace")
            if told_by := kind or interpreted(head):
                files[member.path] = (told_by, mentions(head, told_by) if said < MAX_MENTIONS else ())
                said += len(files[member.path][1])
    top = names.pop() if len(names) == 1 and is_archive(path) else ""
    told = package({name.removeprefix(top): text for name, text in read.items()}, path)
    if repository is not None:
        told = repository.named(told)
    alone = not os.path.isdir(path) and not is_archive(path)
    return top, told, {} if alone else positions({name.removeprefix(top): file for name, file in files.items()})


def _nameless(place: str) -> bool:
    """A file whose name has no end may be a script, and one that a build fills in (`run.in`)."""
    name = posixpath.basename(place)
    return "." not in name or name.endswith(".in")


def _document(member: Member, place: str, uri: str, most: int, also: tuple[str, ...]) -> dict[str, Any] | Refused:
    """Judge a file by its name, its size and its first bytes before it is read."""
    if member.problem is not None:
        return Refused(uri, *member.problem)
    if content_type(place, also) is None and not _nameless(place):
        return Refused(uri, "not_code", os.path.splitext(place)[1] or posixpath.basename(place))
    if member.size > most:
        return Refused(uri, "too_large", f"{member.size} bytes")
    data = member.read(most + 1)
    if data is None:
        return Refused(uri, "corrupt_archive", "it breaks off inside this file")
    if _nameless(place) and not data.startswith(b"#!") and content_type(place, also) is None:
        return Refused(uri, "not_code", posixpath.basename(place))
    if len(data) > most or (b"\0" in data[:8192] and not data.startswith(WIDE)):
        return Refused(uri, "too_large" if len(data) > most else "binary", f"{len(data)} bytes")
    try:
        stated = CODING.search(data[:300])
        text = decode(data, stated[1].decode() if stated else None)[0].replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeError as error:
        return Refused(uri, "binary", str(error))
    if not text.strip():
        return Refused(uri, "empty")
    kind = language(place, text, also)
    if kind is None:
        return Refused(uri, "not_code", os.path.splitext(place)[1] or posixpath.basename(place))
    return {"uri": uri, "member": place, "text": text, "title": place, "length": len(data), "content_type": kind}
