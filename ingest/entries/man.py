"""Manual pages as text: the macros of man(7), and those of mdoc(7) by way of `ingest.entries.mdoc`; packed or not.

Sections are headings, options and their meaning items, synopses and examples code. What a table's layout says is left out, its cells stay.
"""

import re
from datetime import date
from typing import Any

from catalog.stage import Refused
from ingest.entries.mdoc import lines as mdoc
from ingest.entries.roff import arguments, requests, said
from ingest.trees.wordings import of_header

NAME = re.compile(r"(?:^|/)(?P<name>[^/]+)\.(?P<section>[1-9ln][a-z0-9]{0,8})(?:\.(?:gz|bz2|xz))?$")
FONTS = ("B", "I", "SM", "SB", "R", "CW")
TWO_FONTS = ("BR", "BI", "IR", "IB", "RB", "RI")
SEPARATOR = re.compile(r"\btab[ \t]*\((.)\)", re.I)
PARAGRAPHS = ("PP", "P", "LP", "HP", "sp")
DATED = re.compile(r"(\d{4})-(\d{2})-(\d{2})|(\d{1,2})?\s*(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?\s*(\d{1,2})?,?\s+(\d{4})")
MAX_DATE = 200
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Page:
    """A page in the making: blocks, and the paragraph that is being filled."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self.words: list[str] = []
        self.code: list[str] | None = None
        self.tag: list[str] | None = None                    # what a .TP waits for
        self.depth = 0

    def add(self, text: str, join: bool = True) -> None:
        """Put a line of text to what is being filled."""
        if self.code is not None:
            self.code.append(text)
        elif text.strip():
            self.words.append(" ".join(text.split()) if join else text)

    def end(self) -> None:
        """Finish the paragraph or the item."""
        text = " ".join(self.words).strip()
        self.words = []
        if self.tag is not None:
            head, self.tag = " ".join(self.tag).strip(), None
            text = f"{'  ' * min(self.depth, 4)}- {head}: {text}" if head not in ("", "•", "-", "*",
                "o") and text else f"{'  ' * min(self.depth, 4)}- {text or head}"
            text = "" if text.strip() == "-" else text
        if text:
            self.blocks.append(text)

    def heading(self, text: str, level: int) -> None:
        self.close()
        self.depth = 0
        if text.strip():
            self.blocks.append(f"{'#' * level} {' '.join(text.split())}")

    def open(self) -> None:
        """Begin lines that stand as they are."""
        if self.code is None:
            self.end()
            self.code = []

    def close(self) -> None:
        """End such lines, or the paragraph."""
        if self.code is not None:
            kept = "\n".join(line.rstrip() for line in self.code).strip("\n")
            self.code = None
            if kept.strip():
                self.blocks.append(f"```\n{kept}\n```")
        self.end()

    def text(self) -> str:
        self.close()
        while self.blocks and self.blocks[-1].startswith("#"):
            self.blocks.pop()
        out = ""
        for before, block in zip(["", *self.blocks], self.blocks, strict=False):
            close = any(block.lstrip().startswith(kind) and before.lstrip().startswith(kind) for kind in ("- ", "| "))
            out += ("" if not out else "\n" if close else "\n\n") + block
        return out


class Table:
    """A table of tbl(1) as it is read: its options and its layout first, up to a line that ends with a stop, then rows of cells."""

    def __init__(self) -> None:
        self.sign, self.layout = "\t", True
        self.cells: list[str] = []
        self.block: list[str] | None = None                  # the lines of a cell between T{ and T}

    def rows(self, macro: str, rest: str) -> list[str]:
        """Return the row that a line ends, if it ends one. Macros within a cell are passed over."""
        if macro:
            self.layout = self.layout or macro == "T&"
            return []
        if self.layout:
            found = SEPARATOR.search(rest)
            self.sign = found[1] if found else self.sign
            self.layout = not rest.rstrip().endswith(".")
            return []
        if self.block is not None:
            if not rest.startswith("T}"):
                self.block.append(rest)
                return []
            self.cells[-1], self.block, rest = " ".join(self.block), None, rest[2:]
            self.cells += rest.split(self.sign)[1:]
        else:
            self.cells = rest.split(self.sign)
        if self.cells[-1].strip() == "T{":
            self.block = []
            return []
        row = [" ".join(said(cell).split()) for cell in self.cells]
        return [f"| {' | '.join(row)} |"] if any(cell.strip("_= ") for cell in row) else []


def is_page(head: str) -> bool:
    """Say whether a text begins as a manual page does."""
    return bool(re.search(r"^[.'][ \t]*(?:TH|Dd|Dt|SH|Sh|so)\b", head, re.M))


def manual(text: str, name: str) -> dict[str, Any] | Refused:
    """Return the document of one page. Refused: `redirect` (a page that is only `.so`), `no_text`, `not_man`."""
    if not is_page(text[:200_000]):
        return Refused(name, "not_man", "it has no .TH and no .Dd")
    text = text.replace("\r\n", "\n")
    page, about = Page(), {"name": "", "section": "", "date": ""}
    if re.search(r"^\.[ \t]*(?:Dd|Dt)\b", text, re.M):
        mdoc(text, page, about)
    else:
        only = _man(text, page, about)
        if only and not page.blocks and not page.words:
            return Refused(name, "redirect", f"to {only}")
    body = page.text()
    if not body.strip():
        return Refused(name, "no_text", "no paragraph was found")
    named = NAME.search(name)
    title = about["name"] or (named["name"] if named else name)
    section = about["section"] or (named["section"] if named else "")
    title = title.lower() if title.isupper() else title
    heading = f"{title}({section})" if section else title
    return {
        "text": f"# {heading}\n\n{body}", "title": heading, "uri": f"man:{heading}", "date": _date(about["date"]),
        "license": of_header(re.sub(r"^[.']\\\"", "", text[:20_000], flags=re.M)), "content_type": "text/troff", "member": name,
    }  # fmt: skip


def _date(text: str) -> date | None:
    found = DATED.search(" ".join(text.split())[:MAX_DATE])
    try:
        if found and found[1]:
            return date(int(found[1]), int(found[2]), int(found[3]))
        return date(int(found[7]), MONTHS.index(found[5]) + 1, int(found[4] or found[6] or 1)) if found else None
    except ValueError:
        return None


def _man(text: str, page: Page, about: dict[str, str]) -> str:
    """Read a page of man(7) macros. Returns the file that it says it stands in, where it does."""
    waiting, only, pending = 0, "", 0
    table: Table | None = None
    for macro, rest in requests(text):
        if table is not None:
            for row in table.rows(macro, rest):
                page.add(row)
                page.end()
            table = None if macro == "TE" else table
            continue
        if macro == "":
            line = said(rest)
            if not line.strip() and page.code is None:
                page.end() if not waiting else None
            page.add(line)
        elif macro in ("SH", "SS"):
            given = arguments(rest)
            page.heading(said(" ".join(given)), 2 if macro == "SH" else 3)
            pending = 0 if given else 2 if macro == "SH" else 3
        elif macro == "so":
            only = rest.strip()
        elif macro == "TS":
            page.end()
            table = Table()
        elif macro == "TH":
            given = [said(one) for one in arguments(rest)] + [""] * 3
            about.update(name=given[0], section=given[1], date=given[2])
        else:
            waiting = _macro(macro, rest, page, waiting)
        if pending and page.words:                           # a heading on the line below its macro
            page.blocks.append(f"{'#' * pending} {' '.join(page.words)}")
            page.words, pending = [], 0
        if waiting == 1 and page.words:                      # the line after .TP is the tag
            page.tag, page.words, waiting = page.words, [], 0
    return only


def _macro(macro: str, rest: str, page: Page, waiting: int) -> int:
    """Do one macro of text. Returns 1 where the next line is a tag."""
    if macro in PARAGRAPHS:
        page.end() if page.code is None else page.code.append("")
    elif macro in ("TP", "TQ"):
        page.end()
        return 1
    elif macro == "IP":
        page.end()
        given = [said(one) for one in arguments(rest)]
        page.tag = given[:1] if given and given[0].strip() else None
    elif macro in FONTS:
        page.add(said(" ".join(arguments(rest))))
    elif macro in TWO_FONTS:
        page.add(said("".join(arguments(rest))))
    elif macro in ("nf", "EX", "Vb"):
        page.open()
    elif macro in ("fi", "EE", "Ve"):
        page.close()
    elif macro in ("RS", "RE"):
        page.end() if page.code is None else None
        page.depth = max(0, page.depth + (1 if macro == "RS" else -1))
    elif macro in ("UR", "MT", "SY", "YS"):
        page.end() if macro in ("SY", "YS") else None
        page.add(said(rest))
    elif macro == "OP":
        page.add("[" + said(" ".join(arguments(rest))) + "]")
    elif macro == "br" and page.code is None and page.tag is None:
        page.end()
    return waiting
