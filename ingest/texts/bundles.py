"""A paper's LaTeX source as one text: a `.tex` file, a gzipped one, or an arXiv bundle with its `input` resolved inside the bundle.

The main file is what `00README` names, else the one with a document in it that no other reads in. Paths that climb out of the bundle
are not followed, nor is a file that reads in itself.
"""

import gzip
import json
import os
import posixpath
import re
import tarfile
from dataclasses import dataclass, field
from itertools import islice

from ingest.archives import BROKEN, members, of_machine
from ingest.charset import decode

MAX_FILE, MAX_WHOLE = 8 << 20, 32 << 20
"""Bytes of one file of a bundle that are read, and characters of the whole source with all that it reads in."""
MAX_RATIO = 200
MAX_DEPTH, MAX_READS = 12, 20_000
"""Files within files, and how often one is read in."""
LOOK_BACK = 2000
"""Characters of a line before a command in which the comment is looked for that it may stand in."""
TEXTS = (".tex", ".ltx", ".latex", ".bbl", ".txt", ".json", ".def")
INPUT = re.compile(
    r"(?<!\\)\\(?:input|include|subfile|@input)[ \t]{0,20}(?:\{([^{}]{1,200})\}|\s([\w./-]{1,200}))"
    r"|\\(?:sub)?import\*?\s{0,20}\{([^{}\n]{0,200})\}\s{0,20}\{([^{}\n]{1,200})\}"
)
DOCUMENT = re.compile(r"^[^%\n]*\\begin\s*\{document\}", re.M)
CLASS = re.compile(r"^[^%\n]*\\document(?:class|style)\b", re.M)
BIBLIOGRAPHY = re.compile(r"\\bibitem\s{0,20}(?:\[[^\[\]]{0,8000}\]\s{0,20})?\{([^{}]{1,200})\}")


@dataclass
class Bundle:
    """The texts of a bundle by their paths, and what of it was not read: (path, reason, error)."""

    texts: dict[str, str] = field(default_factory=dict)
    refused: list[tuple[str, str, str]] = field(default_factory=list)


def bundle_of(path: str) -> Bundle:
    """Return the texts of a source. Raises ValueError with a reason: `corrupt_archive`, `too_large` or `not_latex`."""
    name = os.path.basename(path)
    with open(path, "rb") as file:
        head = file.read(512)
    if not head.startswith(b"\x1f\x8b"):
        if tarfile.is_tarfile(path):
            return _tree(path)
        with open(path, "rb") as file:
            return Bundle({name: _text(file.read(MAX_WHOLE + 1))})
    try:
        with gzip.open(path) as packed:
            if packed.read(262)[257:] == b"ustar":
                return _tree(path)
            packed.seek(0)
            most = min(MAX_WHOLE, max(1 << 20, MAX_RATIO * os.path.getsize(path)))
            data = packed.read(most + 1)
    except BROKEN as error:
        if of_machine(error):
            raise
        raise ValueError(f"corrupt_archive: {error}") from None
    if len(data) > most:
        raise ValueError(f"too_large: it expands to more than {most} bytes")
    if data[:5] == b"%PDF-":
        raise ValueError("not_latex: a PDF")
    return Bundle({name.removesuffix(".gz"): _text(data)})


def _text(data: bytes) -> str:
    if len(data) > MAX_WHOLE:
        raise ValueError(f"too_large: {len(data)} bytes")
    try:
        return decode(data)[0]
    except UnicodeError as error:
        raise ValueError(f"wrong_charset: {error}") from None


def _tree(path: str) -> Bundle:
    found = Bundle()
    held = 0
    for member in members(path, packed=True):
        if member.problem is not None:
            if member.problem[0] in ("corrupt_archive", "too_large") and not found.texts:
                raise ValueError(": ".join(member.problem))
            found.refused.append((member.path, *member.problem))
            continue
        if not member.path.lower().endswith(TEXTS) and not posixpath.basename(member.path).startswith("00README"):
            continue
        data = member.read(MAX_FILE + 1)
        if data is None or len(data) > MAX_FILE or held + len(data) > MAX_WHOLE:
            found.refused.append((member.path, "too_large" if data else "corrupt_archive", f"{member.size} bytes"))
            continue
        held += len(data)
        try:
            found.texts[posixpath.normpath(member.path)] = _text(data)
        except ValueError as error:
            found.refused.append((member.path, "wrong_charset", str(error)))
    return found


def main_of(bundle: Bundle) -> str | None:
    """Return the path of the bundle's main file; None where no file is LaTeX."""
    named = next((text for path, text in bundle.texts.items() if posixpath.basename(path).startswith("00README")), "")
    sources = {path: text for path, text in bundle.texts.items() if path.lower().endswith((".tex", ".ltx", ".latex")) or len(bundle.texts) == 1}
    top = _toplevel(named)
    if top in sources:
        return top
    whole = [path for path, text in sources.items() if DOCUMENT.search(text)] or [path for path, text in sources.items() if CLASS.search(text)]
    inner = {target for path in sources for target in _targets(sources[path], path, bundle)}
    roots = [path for path in whole if path not in inner] or whole or ([*sources] if len(sources) == 1 else [])
    if not roots:
        return next((path for path, text in sources.items() if "\\section" in text), None)
    usual = [path for path in roots if posixpath.basename(path).lower() in ("main.tex", "ms.tex", "paper.tex", "article.tex")]
    return (usual or sorted(roots, key=lambda path: (path.count("/"), -len(sources[path]), path)))[0]


def _toplevel(said: str) -> str | None:
    """The main file that arXiv's `00README` names, in either of its forms."""
    try:
        known = json.loads(said) if said.lstrip().startswith("{") else {}
        for source in known.get("sources", []):
            if source.get("usage") == "toplevel":
                return str(source.get("filename"))
    except (ValueError, AttributeError, TypeError):
        return None
    found = re.search(r"^\s*(\S+)\s+toplevelfile\s*$", said, re.M)
    return found[1] if found else None


def _targets(text: str, path: str, bundle: Bundle) -> list[str]:
    return [target for found in islice(INPUT.finditer(text), MAX_READS) if (target := _resolved(found, path, "", bundle))]


def _resolved(found: re.Match[str], path: str, root: str, bundle: Bundle) -> str | None:
    """The file of the bundle that an input names; None where there is none, or where its path leads out."""
    said = posixpath.join(found[3].strip(), found[4].strip()) if found[4] else (found[1] or found[2] or "").strip()
    said = said.strip('"')
    for folder in (root, posixpath.dirname(path)):
        place = posixpath.normpath(posixpath.join(folder, said))
        if place.startswith(("/", "..")):
            continue
        for name in (place, f"{place}.tex"):
            if name in bundle.texts:
                return name
    return None


def source_of(bundle: Bundle, main: str) -> tuple[str, list[str]]:
    """Return the main file's source with all that it reads in, and the keys of its bibliography in order. Raises ValueError: `too_large`."""
    out: list[str] = []
    size = reads = 0
    root = posixpath.dirname(main)
    work: list[tuple[str, tuple[str, ...], str | None]] = [("", (), main)]   # text to write, the files that it stands in, a file to read in
    while work:
        text, inside, path = work.pop()
        if path is None:
            out.append(text)
            continue
        if path in inside or len(inside) >= MAX_DEPTH:
            continue
        source, reads = bundle.texts[path], reads + 1
        size += len(source)
        if size > MAX_WHOLE or reads > MAX_READS:            # a file counts each time: ten that read in ten others, twelve deep, are without end
            raise ValueError(f"too_large: with all that it reads in, more than {MAX_WHOLE} characters or {MAX_READS} files")
        work += _pieces(source, inside, path, root, bundle)[::-1]
    whole = "".join(out)
    beside = bundle.texts.get(re.sub(r"\.\w+$", ".bbl", main)) or next((text for path, text in bundle.texts.items() if path.endswith(".bbl")), "")
    keys = BIBLIOGRAPHY.findall(whole) or BIBLIOGRAPHY.findall(beside)
    return whole, [key.strip() for key in dict.fromkeys(keys)]


def _pieces(source: str, inside: tuple[str, ...], path: str, root: str, bundle: Bundle) -> list[tuple[str, tuple[str, ...], str | None]]:
    """A file's text, and the files that it reads in, in their order."""
    found: list[tuple[str, tuple[str, ...], str | None]] = []
    at = 0
    for named in islice(INPUT.finditer(source), MAX_READS):
        before = source[max(0, named.start() - LOOK_BACK) : named.start()].rpartition("\n")[2]
        target = None if re.search(r"(?<!\\)%", before) else _resolved(named, path, root, bundle)
        if target is not None:
            found += [(source[at : named.start()], inside, None), ("", (*inside, path), target)]
            at = named.end()
    return [*found, (source[at:], inside, None)]
