"""What package a tree of files is, and under which licence each of its folders stands.

A package says so in its metadata: PKG-INFO or METADATA, pyproject.toml, package.json, Cargo.toml, composer.json, META.json, DESCRIPTION, go.mod,
a gemspec, setup.cfg, pom.xml. A licence counts for the folder that it is stated in and all below, until another is stated there. Where
metadata and a LICENSE file are both there, metadata's expression stands if it names what the text is (`MIT OR Apache-2.0` beside two texts);
else the text, since a name in metadata is more often wrong than the text that was put in.
"""

import json
import os
import posixpath
import re
import tomllib
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from catalog.spdx import MAX_SAID, named
from ingest.archives import stem
from ingest.trees.wordings import of_text

LICENSE_FILE = re.compile(r"^(?:un)?licen[cs]es?(?:[._-][\w. -]+)?$|^copying(?:[._-][\w.-]+)?$|^(?:mit|bsd|apache|gpl|lgpl)-licen[cs]e(?:\.\w+)?$"
    r"|^copyright(?:\.\w+)?$", re.I)
SOURCES = re.compile(r"\.(?:py|pyi|js|mjs|ts|tsx|java|go|rs|rb|c|h|cc|cpp|hpp|php|html|json|cs|pl|pm)$", re.I)
"""`license.py` is a program, not a licence."""
METADATA = re.compile(r"^(?:PKG-INFO|METADATA|pyproject\.toml|package\.json|Cargo\.toml|composer\.json|META\.json|DESCRIPTION|go\.mod"
    r"|[\w.-]+\.gemspec|setup\.cfg|pom\.xml)$")
SPREAD = re.compile(r"(?:^|/)(?:[^/]+\.(?:dist-info|egg-info)(?:/licen[cs]es)?|debian|usr/share/doc/[^/]+)$")
"""Folders that speak for the one that they lie in."""
VERSIONED = re.compile(r"^(.+?)-v?(\d+\.[\w.+!~]*(?:-\d[\w.+~]*)?|\d[\w.+!]*)(?:-(?:py\d|cp\d).*)?$")
NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Halves of surrogate pairs that stand for no byte of a file's name, as the others do (PEP 383)."""
ORDER = (
    "PKG-INFO", "METADATA", "pyproject.toml", "package.json", "Cargo.toml", "composer.json", "META.json", "DESCRIPTION", "go.mod", ".gemspec", "setup.cfg",
    "pom.xml",
)  # fmt: skip
INNER = re.compile(r"<(?:dependencies|dependencyManagement|build|profiles|reporting)\b")
"""Parts of a pom.xml that name other projects."""
CHOICE = re.compile(r"licen[cs]e[._-](?:mit|apache|bsd|unlicense|zlib|isc|0bsd|boost)|(?:mit|apache|bsd|unlicense)[._-]licen[cs]e|^unlicense$", re.I)


class Said(NamedTuple):
    """What metadata says: the kind of package (of its purl), name, version and licence expression; empty or None where it does not."""

    kind: str
    name: str
    version: str
    license: str | None


class Package(NamedTuple):
    """A tree's package URL (github.com/package-url/purl-spec) without its version, its version, and the licence of each folder that has one."""

    purl: str
    version: str
    licenses: dict[str, str]

    @property
    def address(self) -> str:
        return self.purl + (f"@{quoted(self.version)}" if self.version else "")

    def license(self, place: str) -> str | None:
        """The licence that is stated nearest above a file."""
        folder = posixpath.dirname(place)
        while folder and folder not in self.licenses:
            folder = posixpath.dirname(folder)
        return self.licenses.get(folder)


def tells(place: str) -> bool:
    """Say whether a file of this name may tell of the package or of a licence."""
    name = posixpath.basename(place)
    return bool(METADATA.match(name) or (LICENSE_FILE.match(name) and not SOURCES.search(name)))


def package(files: Mapping[str, str], path: str) -> Package:
    """Return what a tree is, by the texts of the files of it that `tells` names; by its own name where there is no metadata at its top."""
    split = VERSIONED.match(stem(path))
    name, version = (split[1], split[2]) if split else (stem(path), "")
    told: dict[str, Said] = {}
    for place in sorted(files, key=lambda place: (place.count("/"), _rank(place), place)):
        said = _metadata(posixpath.basename(place), files[place]) if METADATA.match(posixpath.basename(place)) else None
        if said is not None and not (told.get("") and _purl(said.kind, said.name) == _purl(told[""].kind, told[""].name)):
            told.setdefault(_folder(place), said)            # what a package says of itself once more, as in src/, is no other package's word
    top = told.get("")
    known = {folder: said.license for folder, said in told.items() if said.license}
    for folder, texts in _texts(files).items():
        said_there = known.get(folder)
        if not (said_there and all(text in said_there for text in texts)):
            known[folder] = _joined(texts, files, folder)
    if top is None or not top.name:
        return Package(_purl("generic", name), version, known)
    return Package(_purl(top.kind, top.name), top.version or version, known)


def quoted(name: str) -> str:
    """A name as part of an address; one that is not UTF-8 by its own bytes."""
    return quote(NO_BYTE.sub("\ufffd", name), errors="surrogateescape")


def _rank(place: str) -> int:
    name = posixpath.basename(place)
    return next((number for number, known in enumerate(ORDER) if name.endswith(known)), len(ORDER))


def _folder(place: str) -> str:
    """The folder that a file speaks for."""
    folder = posixpath.dirname(place)
    return SPREAD.sub("", folder)


def _texts(files: Mapping[str, str]) -> dict[str, list[str]]:
    """The licences that each folder has the text of, without repetition, in order of name."""
    found: dict[str, list[str]] = {}
    for place in sorted(files):
        if LICENSE_FILE.match(posixpath.basename(place)) and (name := of_text(files[place])):
            there = found.setdefault(_folder(place), [])
            if name not in there:
                there.append(name)
    return found


def _joined(texts: list[str], files: Mapping[str, str], folder: str) -> str:
    """Several licences of one folder: a choice where their files' names say which is which (LICENSE-MIT, LICENSE-APACHE), else all of them."""
    if len(texts) == 1:
        return texts[0]
    lesser = [name for name in texts if name.startswith("LGPL")]
    if lesser and all("GPL" in name for name in texts):      # the lesser licence comes with the one that it is built on
        return lesser[0]
    names = [posixpath.basename(place) for place in files if _folder(place) == folder and LICENSE_FILE.match(posixpath.basename(place))]
    choice = sum(bool(CHOICE.search(os.path.splitext(name)[0])) for name in names) > 1
    return (" OR " if choice else " AND ").join(f"({name})" if " " in name else name for name in texts)


def _metadata(name: str, text: str) -> Said | None:
    try:
        if name in ("PKG-INFO", "METADATA"):
            return _headers(text)
        if name.endswith(".json"):
            return _json(name, json.loads(text))
        if name.endswith(".toml"):
            return _toml(name, tomllib.loads(text))
        return _lines(name, text)
    except (ValueError, RecursionError, AttributeError, TypeError):
        return None


def _headers(text: str) -> Said:
    head = text.partition("\n\n")[0]
    told: dict[str, str] = dict(re.findall(r"^(Name|Version|License|License-Expression):[ \t]+(.+)$", head, re.M))
    classed = [named(one.rpartition(":: ")[2]) for one in re.findall(r"^Classifier: License :: (.+)$", head, re.M)]
    stated = named(told.get("License-Expression", "")) or named(told.get("License", "")) or next(filter(None, classed), None)
    return Said("pypi", told.get("Name", ""), told.get("Version", ""), stated)


def _json(name: str, read: dict[str, Any]) -> Said:
    said = read.get("license") or read.get("licenses") or ""
    listed = [one.get("type", "") if isinstance(one, dict) else str(one) for one in (said if isinstance(said, list) else [said])]
    kind = {"package.json": "npm", "composer.json": "composer", "META.json": "cpan"}[name]
    return Said(kind, str(read.get("name") or ""), str(read.get("version") or ""), named(" OR ".join(listed)))


def _toml(name: str, read: dict[str, Any]) -> Said | None:
    if name == "Cargo.toml":
        about = read.get("package") or read.get("workspace", {}).get("package", {})
        version = about.get("version")
        return Said("cargo", str(about.get("name") or ""), version if isinstance(version, str) else "", named(str(about.get("license") or "")))
    about = read.get("project") or read.get("tool", {}).get("poetry") or {}
    if not about:
        return None
    said = about.get("license")
    said = said.get("text", "") if isinstance(said, dict) else said
    classed = [named(str(one).rpartition(":: ")[2]) for one in about.get("classifiers") or [] if str(one).startswith("License ::")]
    return Said("pypi", str(about.get("name") or ""), str(about.get("version") or ""), named(str(said or "")) or next(filter(None, classed), None))


def _lines(name: str, text: str) -> Said | None:
    """Metadata that is read by its lines alone."""
    def first(pattern: str) -> str:
        found = re.search(pattern, text[:65536], re.M)
        return found[1].strip() if found else ""

    if name == "DESCRIPTION":
        stated = " ".join(first(r"^License:[ \t]*(.+)$").split())[:MAX_SAID]
        stated = re.sub(r" ?[+|]? ?file LICEN[CS]E", "", stated).replace(" (>= ", "-").replace(")", "+")
        return Said("cran", first(r"^Package:[ \t]*(\S+)"), first(r"^Version:[ \t]*(\S+)"), named(stated))
    if name == "go.mod":
        return Said("golang", first(r"^module[ \t]+\"?([^\s\"]+)"), "", None)
    if name.endswith(".gemspec"):
        return Said("gem", first(r"\.name\s*=\s*[\"']([\w.-]+)[\"']"), first(r"\.version\s*=\s*[\"']([\w.-]+)[\"']"),
            named(first(r"\.licen[cs]es?\s*=\s*\[?[\"']([^\"']+)")))
    if name == "setup.cfg":
        found = Said("pypi", first(r"^name[ \t]*=[ \t]*(\S+)"), first(r"^version[ \t]*=[ \t]*(\d\S*)"), named(first(r"^license[ \t]*=[ \t]*(.+)")))
        return found if found.name else None
    return _pom(text[:65536], named(first(r"<licenses>\s*<license>\s*<name>([^<]{1,200})</name>")))


def _pom(text: str, license: str | None) -> Said:
    """A Maven project; its group and its version may be its parent's."""
    before, _, rest = text.partition("<parent>")
    parent, _, behind = rest.partition("</parent>")
    own = INNER.split(before + behind, maxsplit=1)[0]

    def first(tag: str, *places: str) -> str:
        return next((found[1] for place in places if (found := re.search(rf"<{tag}>\s*([\w.-]{{1,200}})\s*<", place))), "")

    group, artifact = first("groupId", own, parent), first("artifactId", own)
    return Said("maven", f"{group}/{artifact}" if group and artifact else artifact, first("version", own, parent), license)


def _purl(kind: str, name: str) -> str:
    name = re.sub(r"[-_.]+", "-", name).lower() if kind == "pypi" else name
    return f"pkg:{kind}/{quoted(name)}"
