"""Dictionaries: dictd's (an .index beside a .dict or a .dict.dz) and WordNet's data files, an entry a document.

Formats: RFC 2229's server, dictfmt(1); wndb(5WN).
"""

import gzip
import os
import re
import zlib
from collections.abc import Iterator
from typing import IO, Any, cast
from urllib.parse import quote

from catalog.stage import Refused

DIGITS = {char: value for value, char in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")}
MAX_ENTRY, MAX_ENTRIES, MAX_LINE, MAX_PLACE = 1 << 20, 2_000_000, 4096, 4 << 30
ABOUT = ("00-database", "00database")
WORDNET = re.compile(r"^data\.(noun|verb|adj|adv)$")
WORDNET_LICENSE = "LicenseRef-WordNet"
"""wordnet.princeton.edu/license-and-commercial-use: for any purpose, with the notice."""
KINDS = {"n": "noun", "v": "verb", "a": "adjective", "s": "adjective", "r": "adverb"}
PARAGRAPH = re.compile(r"\n[ \t]*\n|\n(?=[ \t]*(?:\d{1,2}[.:]|\d{1,2}\)|[a-z]\)|[-*•]) )")
SYNSET = re.compile(r"^(\d{8}) \d\d ([nvasr]) ([0-9a-f]{2}) (.* \d{3}\b.*)$")


def entries(path: str, *, license: str | None = None) -> Iterator[dict[str, Any] | Refused]:
    """Yield the entries of a dictd dictionary by its `.index`, in the order in which they lie. Refused: `no_dictionary` (no .dict beside it), `bad_entry`,
    `apparatus` (what the dictionary says of itself), `too_large`, `corrupt_archive`, `no_text`.
    """
    name = os.path.basename(path).removesuffix(".index")
    stem = path.removesuffix(".index")
    data = next((one for one in (f"{stem}.dict", f"{stem}.dict.dz") if os.path.isfile(one)), None)
    if data is None:
        yield Refused(name, "no_dictionary", f"neither {name}.dict nor {name}.dict.dz lies beside it")
        return
    places: dict[tuple[int, int], list[str]] = {}
    with open(path, encoding="utf-8", errors="replace") as index:
        while line := index.readline(MAX_LINE):
            word, offset, length = [*line.rstrip("\n").split("\t"), "", ""][:3]
            if len(places) >= MAX_ENTRIES or not offset or set(offset + length) - DIGITS.keys() or len(offset) > 8 or len(length) > 5:
                yield Refused(f"dict:{name}/{quote(word[:200])}", "bad_entry", "its place is none")
                continue
            places.setdefault((_number(offset), _number(length)), []).append(word)
    with gzip.open(data) if data.endswith(".dz") else open(data, "rb") as file:
        try:
            yield from _read(cast(IO[bytes], file), name, places, license)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            yield Refused(f"dict:{name}", "corrupt_archive", str(error))


def _number(said: str) -> int:
    value = 0
    for char in said:
        value = value * 64 + DIGITS[char]
    return value


def _read(file: IO[bytes], name: str, places: dict[tuple[int, int], list[str]], license: str | None) -> Iterator[dict[str, Any] | Refused]:
    end = 0
    for (offset, length), words in sorted(places.items()):
        uri = f"dict:{name}/{quote(words[0])}"
        if words[0].startswith(ABOUT):
            yield Refused(uri, "apparatus", words[0])
            continue
        if length > MAX_ENTRY:
            yield Refused(uri, "too_large", f"{length} bytes", offset)
            continue
        if offset < end or offset > MAX_PLACE:               # a packed file is read again from its start for each step back
            yield Refused(uri, "bad_entry", f"its place {offset} is in another entry, or beyond {MAX_PLACE}", offset)
            continue
        end = offset + length
        file.seek(offset)
        text = _entry(file.read(length).decode("utf-8", "replace"), words)
        title = words[0]
        if not text:
            yield Refused(uri, "no_text", title, offset)
        else:
            yield {"uri": uri, "text": f"# {title}\n\n{text}", "title": title, "license": license, "content_type": "text/x-dictd", "offset": offset,
                "length": length}


def _entry(said: str, words: list[str]) -> str:
    """An entry with its lines joined; the headword above it, which most dictionaries repeat, is the title already."""
    first, _, rest = said.lstrip().partition("\n")
    said = rest if first.strip().lower() in (word.lower() for word in words) else said
    paragraphs = [" ".join(part.split()) for part in PARAGRAPH.split(said)]
    return "\n\n".join(part for part in paragraphs if part)


def synsets(path: str, *, license: str | None = None) -> Iterator[dict[str, Any] | Refused]:
    """Yield the entries of one of WordNet's data files: the words of a meaning, and what it is. Refused: `bad_entry`, `apparatus` (the notice at its top)."""
    name, offset = os.path.basename(path), 0
    with open(path, "rb") as file:
        for raw in iter(lambda: file.readline(MAX_ENTRY), b""):
            at, offset = offset, offset + len(raw)
            line = raw.decode("utf-8", "replace").rstrip()
            if raw.startswith(b"  ") or not line:
                if at == 0:
                    yield Refused(f"wordnet:{name}", "apparatus", "the notice at its top")
                continue
            head, _, gloss = line.partition("| ")
            found = SYNSET.match(head)
            if found is None or not gloss:
                yield Refused(f"wordnet:{name}#{at}", "bad_entry", line[:100], at)
                continue
            words = [re.sub(r"\((?:a|p|ip)\)$", "", word).replace("_", " ") for word in found[4].split()[: 2 * int(found[3], 16) : 2]]
            kind = KINDS[found[2]]
            meaning, *examples = [part.strip() for part in re.split(r";\s*(?=\")", gloss)]
            text = "\n\n".join([f"# {', '.join(words)} ({kind})", meaning, *(f"- {one}" for one in examples)])
            about = {"title": words[0] if words else name, "license": license or WORDNET_LICENSE, "content_type": "text/x-wordnet"}
            yield {**about, "uri": f"wordnet:{found[2]}{found[1]}", "text": text, "offset": at, "length": len(raw)}
