"""RFCs as the RFC Editor's text files: pages put together again, paragraphs joined, sections as headings.

Page footers, running heads, the table of contents, and the notices that all RFCs share (status, copyright) are left out. Format: RFC 2223, RFC 7994.
"""

import re
from datetime import date
from typing import Any

from catalog.stage import Refused

LICENSE = "LicenseRef-IETF-Trust"
"""trustee.ietf.org/license-info: to be copied whole or in part with attribution; code in it is under BSD-3-Clause."""
NUMBER = re.compile(r"^(?:Request for Comments:|RFC:?|Request for Comments)\s*(?:RFC\s*)?(\d{1,5})\b", re.M | re.I)
IS_RFC = re.compile(r"Request [Ff]or Comments|^RFC[ #:]*\d{1,5}\b|Network Working Group", re.M)
FOOTER = re.compile(r"\[\s*Page\s+[\w-]+\s*\]\s*$", re.I)
RUNNING = re.compile(r"^(?:RFC|Request for Comments:?)\s*#?\d+\s{2,}.*\S|^RFC \d+\s*$")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
DATED = re.compile(rf"\b(?:(\d{{1,2}})(?:st|nd|rd|th)?\s+)?({'|'.join(MONTHS)})\s+(?:(\d{{1,2}}),\s+)?(\d{{4}})\b", re.I)
SECTION = re.compile(r"^((?:Appendix\s+)?(?:[A-Z]|\d{1,2})(?:\.\d{1,2}){0,5})(?:\.|:|\.\s+-)?\s{1,4}(\S.{0,110})$")
NAMED = re.compile(
    r"^(?:Abstract|Introduction|Status of [Tt]his Memo|Copyright Notice|Table of Contents|Contents|Acknowledge?ments?|Contributors|References"
    r"|Normative References|Informative References"
    r"|Security Considerations|IANA Considerations|Author'?s?'? Address(?:es)?|Authors' Addresses|Full Copyright Statement"
    r"|Intellectual Property(?: Statement)?|Index|Foreword|Preface|Overview|Note|IESG Note)$", re.I,
)  # fmt: skip
SHARED = re.compile(r"^(?:status of this memo|copyright notice|full copyright statement|intellectual property.*|table of contents|contents|index"
    r"|disclaimer of validity)$", re.I)
FIGURE = re.compile(r"\S {3,}\S|[+|]-{2,}|^\s*[|+]|--->|\.\.\.\.|={3,}|_{3,}|^\s*[{}]\s*$|;\s*$|::=|\w+\s+=\s+\S")
ITEM = re.compile(r"^(?:[o*+-]|\(?\w{1,3}[.)])\s+")


def is_rfc(head: str) -> bool:
    """Say whether a text begins as an RFC does."""
    return bool(IS_RFC.search(head[:2000]) and DATED.search(head[:3000]))


def memo(text: str, name: str) -> dict[str, Any] | Refused:
    """Return the document of one RFC. Refused: `no_text`."""
    lines = _unpaged(text)
    top, title_lines, at = _front(lines)
    number = NUMBER.search("\n".join(top)) or re.search(r"rfc0*(\d{1,5})\b", name, re.I)
    title = " ".join(" ".join(title_lines).split()) or name
    body = _body(lines[at:])
    if not body:
        return Refused(name, "no_text", "no paragraph was found")
    heading = f"RFC {number[1]}: {title}" if number else title
    return {
        "text": "\n\n".join([f"# {heading}", *body]), "title": heading, "uri": f"https://www.rfc-editor.org/rfc/rfc{int(number[1])}" if number else None,
        "author": "; ".join(_authors(top)) or None, "date": _date(top), "license": LICENSE, "content_type": "text/plain",
        "member": f"rfc{number[1]}" if number else name,
    }  # fmt: skip


def _unpaged(text: str) -> list[str]:
    """The lines without what a page begins and ends with; a paragraph that a page cut is whole again."""
    lines: list[str] = []
    fresh = False
    for raw in text.replace("\r\n", "\n").replace("\ufeff", "").split("\n"):
        line = raw.expandtabs().rstrip()
        if "\f" in line:
            fresh, line = True, line.replace("\f", "").rstrip()
        if FOOTER.search(line):
            fresh = True
            continue
        if fresh and (not line or RUNNING.match(line)):
            continue
        if fresh and lines:
            while lines and not lines[-1]:
                lines.pop()
            cut = lines and line[:1] == " " and _indent(lines[-1]) == _indent(line) and not re.search(r"[.:;!?)]$",
                lines[-1]) and not line.lstrip()[:1].isupper()
            lines += [] if cut else [""]
        fresh = False
        lines.append(line)
    return lines


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _front(lines: list[str]) -> tuple[list[str], list[str], int]:
    """The block at the top (who, when, number), the title under it, and where the text begins."""
    at = 0
    while at < len(lines) and not lines[at]:
        at += 1
    start = at
    while at < min(len(lines), start + 40) and lines[at]:
        at += 1
    top = lines[start:at]
    while at < len(lines) and not lines[at]:
        at += 1
    first = at
    while at < min(len(lines), first + 6) and lines[at] and not NAMED.match(lines[at].strip()):
        at += 1
    return top, lines[first:at], at


def _date(top: list[str]) -> date | None:
    found = next((found for line in top if (found := DATED.search(line))), None)
    if found is None:
        return None
    try:
        return date(int(found[4]), MONTHS.index(found[2].capitalize()) + 1, int(found[1] or found[3] or 1))
    except ValueError:
        return None


def _authors(top: list[str]) -> list[str]:
    """Names in the right column: `T. Berners-Lee`, `R. Fielding, Ed.`."""
    names = []
    for line in top:
        right = re.split(r"\s{3,}", line.strip())[-1] if re.search(r"\S\s{3,}\S", line) else line.strip() if _indent(line) > 30 else ""
        found = re.match(r"((?:[A-Z]\.[ -]?){1,3}(?:(?:van|von|de|der|den|la|le|al) )*[A-Z][\w'’-]+(?: (?:Jr\.?|III|[A-Z][\w'-]+))?)(?:, (?:Ed\.?"
            r"|Editors?))?$", right)
        if found:
            names.append(found[1])
    return names


def _body(lines: list[str]) -> list[str]:
    """Headings, paragraphs, items and figures."""
    blocks: list[str] = []
    left_out = False
    for block in _blocks(lines):
        heading = _heading(block)
        if heading is not None:
            left_out = bool(SHARED.match(heading[1]))
            if not left_out:
                blocks.append(f"{'#' * heading[0]} {heading[2]}")
            rest = block[1:]
            if left_out or not rest:
                continue
            block = rest
        if not left_out:
            blocks += [said for said in _paragraphs(block) if said]
    while blocks and blocks[-1].startswith("#"):
        blocks.pop()
    return blocks


def _blocks(lines: list[str]) -> list[list[str]]:
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line:
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    return [block for block in blocks if block]


def _heading(block: list[str]) -> tuple[int, str, str] | None:
    """(level, name, as written) of a block that begins with a heading: it stands at the margin."""
    line = block[0].rstrip()
    if _indent(line) > 3 and not NAMED.match(line.strip()):
        return None
    said = line.strip()
    found = SECTION.match(said)
    if found and _indent(line) == 0 and len(block) <= 2 and not said.endswith((",", ";")) and not re.search(r"\.{3,}|(?: \.){3,}", said):
        return min(2 + found[1].count("."), 6), found[2].strip(), " ".join(said.split())
    if NAMED.match(said.rstrip(".:")):
        return 2, said.rstrip(".:"), said.rstrip(".:")
    return None


def _paragraphs(block: list[str]) -> list[str]:
    """A block as a paragraph, as items, or line by line where it is drawn."""
    drawn = sum(bool(FIGURE.search(line.strip()[:400])) for line in block)
    if drawn * 3 > len(block) and drawn > 0 and not (len(block) == 1 and ITEM.match(block[0].strip())):
        margin = min(map(_indent, block))
        return ["```\n" + "\n".join(line[margin:] for line in block) + "\n```"] if len(block) > 1 else [block[0].strip()]
    parts: list[list[str]] = []
    for line in block:
        if ITEM.match(line.strip()) or not parts:
            parts.append([])
        parts[-1].append(line.strip())
    out = []
    for part in parts:
        said = re.sub(r"(?<=[a-z])-\n(?=[a-z])", "-", "\n".join(part)).replace("\n", " ")
        out.append(re.sub(r"^[o*+]\s+", "- ", " ".join(said.split())))
    return out
