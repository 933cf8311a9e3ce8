"""XML read safely, and a text put together from it: blocks, and the places where something was left out.

Nothing outside the bytes is read: no DTD, no network. A document that declares entities of its own is refused, since those
are how a page of XML becomes a gigabyte; depth and node size stay under the parser's own limits.
"""

import hashlib
import html.entities
import re
from collections.abc import Iterable, Sequence
from typing import Any

from lxml import etree

MAX_BYTES = 64 << 20
MAX_DEPTH = 200
"""Elements within elements: books and papers have 20."""
BREAK = "\x0b"
"""A line break that stands (verse), in a text in the making; XML cannot hold one."""
PLACE = "\x02"
"""Stands in a text in the making where something was left out; XML cannot hold one either."""
APART = ("- ", "```", "| ", "$$")
"""How blocks begin that are no prose: in a list's item they stand in lines of their own."""
UNSEEN = dict.fromkeys(map(ord, "\u00ad\u200b\u2060\ufeff"))
"""Characters that only tell a typesetter where a line may break."""
NAMED = {name.rstrip(";"): char for name, char in html.entities.html5.items() if name.endswith(";")}
PREDEFINED = ("amp", "lt", "gt", "quot", "apos")


def parser(**more: Any) -> dict[str, Any]:
    """Return the settings under which any XML is read here."""
    return {"resolve_entities": False, "no_network": True, "load_dtd": False, "dtd_validation": False, "huge_tree": False, "remove_pis": True, **more}


def parse(data: bytes, *, recover: bool = False) -> etree._Element:
    """Return the root of an XML document. Raises ValueError with a reason: `too_large`, `entities` or `not_xml`.

    Named HTML entities (&nbsp;) become their characters: documents use them and leave them to a DTD that is not read.
    """
    if len(data) > MAX_BYTES:
        raise ValueError("too_large")
    head = data[: data.find(b"<", data.find(b"]>")) + 1 or 4096] if b"<!DOCTYPE" in data[:4096] else b""
    if b"<!ENTITY" in head or b"<!ENTITY" in data[:65536]:
        raise ValueError("entities")
    data = re.sub(rb"&([A-Za-z][A-Za-z0-9]{1,31});", _character, data)
    try:
        root = etree.fromstring(data, etree.XMLParser(**parser(recover=recover, remove_comments=True)))
    except etree.XMLSyntaxError as error:
        raise ValueError(f"not_xml: {error}") from None
    if root is None:
        raise ValueError("not_xml: empty")
    return root


def _character(found: re.Match[bytes]) -> bytes:
    name = found[1].decode("ascii")
    if name in PREDEFINED:
        return found[0]
    if name not in NAMED:  # defined in a DTD that is not read: it stays to be seen
        return b"&amp;" + found[1] + b";"
    return "".join(f"&#{ord(char)};" for char in NAMED[name]).encode()


def tag(element: etree._Element) -> str:
    """An element's name without its namespace; empty for a comment or an entity."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


class Draft:
    """A text in the making. What is left out is counted in `media`, with its place once the text is done."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self._ahead: list[str] = []                          # places before the next block, where there is none yet; else behind the last
        self._behind: list[str] = []
        self._left_out: list[dict[str, Any]] = []

    def block(self, text: str, prefix: str = "") -> None:
        """Add a paragraph, a heading or an item; nothing for one without text."""
        text = "\n".join(flat(line) for line in text.split(BREAK)).strip()
        if text.strip(PLACE + " "):
            self._add(prefix + text)
        else:
            self._hold(text.replace(" ", ""))

    def code(self, text: str) -> None:
        """Add code as it stands, in a fence that is longer than any in it."""
        if text.strip():
            fence = "`" * (max(map(len, re.findall("`{3,}", text)), default=2) + 1)
            self._add("\n".join([fence, *(line.rstrip() for line in text.strip("\n").split("\n")), fence]))

    def table(self, rows: Sequence[Sequence[str]], *, titled: bool) -> None:
        """Add a table, a row a line; a line stands under the first where that has its titles. Of one of pictures alone the places stay."""
        said = "".join(cell for row in rows for cell in row)
        if not said.strip(PLACE + BREAK + " \n\t\xa0"):
            self._hold(PLACE * said.count(PLACE))
            return
        lines = ["| " + " | ".join(flat(cell.replace(BREAK, " ")).replace("|", "\\|") for cell in row) + " |" for row in rows]
        self._add("\n".join([*lines[:1], *(["|" + "---|" * len(rows[0])] if titled else []), *lines[1:]]))

    def leave_out(self, element: etree._Element | str, mime: str, uri: str | None = None) -> str:
        """Note that `element`, or a stretch of a source, is not in the text. Returns what must stand in its place."""
        said = element.encode("utf-8", "surrogatepass") if isinstance(element, str) else etree.tostring(element, with_tail=False)
        sha = hashlib.sha256(said).hexdigest()
        self._left_out.append({"uri": uri, "sha": sha, "mime": mime})
        return PLACE

    def cut(self, element: etree._Element, mime: str, uri: str | None = None) -> None:
        """Leave out a block."""
        self._hold(self.leave_out(element, mime, uri))

    def _add(self, block: str) -> None:
        self._settle()
        self.blocks.append("".join(self._ahead) + block)
        self._ahead = []

    def _hold(self, place: str) -> None:
        (self._behind if self.blocks and not self._ahead else self._ahead).append(place)

    def _settle(self) -> None:
        """Put what was held behind the last block there: at once, since there may be a million places behind a long block."""
        if self._behind:
            self.blocks[-1] += "".join(self._behind)
            self._behind = []

    def take(self, other: "Draft", prefix: str) -> None:
        """Add what another draft holds as one block, such as a list's item: its paragraphs in one line, lists, code and tables within indented."""
        other._settle()
        self._left_out += other._left_out
        if not other.blocks:
            self._hold("".join(other._ahead))
            return
        out = [_indented(other.blocks[0])]
        for block in other.blocks[1:]:
            said = block.lstrip(PLACE)
            apart = said.startswith(APART) or out[-1].endswith(("```", " |", "$$"))
            out.append(f"\n{block[: len(block) - len(said)]}  {_indented(said)}" if apart else f" {_indented(block)}")
        self._add(prefix + "".join(out) + "".join(other._ahead))

    def finish(self) -> tuple[str, list[dict[str, Any]]]:
        """Return the text and its media, each with a span where start = end is the place it was taken from."""
        self._settle()
        whole = "\n\n".join(self.blocks) + "".join(self._ahead)
        text, media, at = [], [], 0
        for number, piece in enumerate(whole.split(PLACE)):
            text.append(piece)
            at += len(piece)
            if number < len(self._left_out):
                media.append({**self._left_out[number], "span": {"start": at, "end": at}})
        return "".join(text), media


def _indented(block: str) -> str:
    return block.replace("\n", "\n  ")


def flat(text: str) -> str:
    """One line with single spaces; a place takes the space after it along, so that none is doubled."""
    text = " ".join(text.translate(UNSEEN).split())
    return re.sub(rf"(^| )((?:{PLACE} ?)+)", lambda found: found[1] + found[2].replace(" ", ""), text) if PLACE in text else text


def words_of(elements: Iterable[etree._Element]) -> str:
    """All the text inside some elements, as one line."""
    return flat(" ".join("".join(element.itertext()) for element in elements))


def too_deep(root: etree._Element) -> bool:
    """Whether elements lie more than MAX_DEPTH within each other: what reads them calls itself as often."""
    depth = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > MAX_DEPTH:
            return True
    return False
