"""Lines of printed pages as a text: running heads and page numbers gone, paragraphs whole over columns and pages, headings told.

What the type says decides: a paragraph begins where a line is indented, stands further below the last than lines do, or follows one
that ends early; a heading is larger than the text, or bold or numbered and alone; notes are smaller and at the foot.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from statistics import median

from ingest.texts.joined import LIGATURES, UNSEEN_SPACES, vocabulary, whole
from ingest.texts.layout import Line

EDGE_LINES = 4
"""Lines at the top and at the foot of a page among which running heads and page numbers are looked for."""
SAME_HEIGHT = 6.0
"""Points by which a running head's height may differ from page to page."""
FEW_PAGES = 3
NUMBER = re.compile(r"^\W{0,3}(?:(?:p(?:age|\.)?|seite|s\.)\s*)?(?:\d{1,4}|[ivxlc]{1,6})(?:\s*(?:/|of|von)\s*\d{1,4})?\W{0,3}$", re.I)
AT_END = re.compile(r"^\W{0,3}(\d{1,4})(?=\W|$)|(?:^|\W)(\d{1,4})\W{0,3}$")
END = re.compile(r"[.!?:;…。！？：；][\"'”’»)\]」』）]*(?:\[[\d,;–-]{1,12}\])?$")
NUMBERED = re.compile(r"^(?:\d{1,2}(?:\.\d{1,2}){0,3}\.?|[IVX]{1,5}\.|[A-H]\.)\s+[A-ZÀ-Þ\"“]")
CHAPTER = re.compile(r"^(?:chapter|part|book|kapitel|chapitre)\s+(?:[ivxlc]+|\d{1,3}|[a-z]{3,12})\b", re.I)
NAMED = re.compile(
    r"^(?:abstract|introduction|background|related work|(?:materials? and )?methods?|results?(?: and discussion)?|discussion|conclusions?|summary|appendix"
    r"|acknowledge?ments?|references|bibliography|literature cited|notes|preface|contents|index|keywords)\W{0,2}$", re.I,
)  # fmt: skip
FLOAT = re.compile(r"^(?:fig(?:ure|\.)|table|tab\.|scheme|box|abb(?:ildung|\.)|tabelle)\s*\d", re.I)
ITEM = re.compile(r"^(?:[•▪◦‣∙–—*-]|\(?(?:\d{1,3}|[a-z]|[ivx]{1,4})[.)]|\[\d{1,3}\])\s+\S")
LEVEL_SIZES = (1.7, 1.35, 1.12)
"""Times the text's size at which a heading is of the first level, the second and the third."""


@dataclass
class Block:
    """A paragraph, a heading or what stands beside the text. `kind` is p, heading, note or float; `top` is where on its page it begins."""

    kind: str
    lines: list[str]
    page: int
    top: float
    size: float
    level: int = 0
    text: str = ""
    last: Line | None = field(default=None, repr=False)


def without_furniture(pages: Sequence[Sequence[Line]]) -> list[list[Line]]:
    """Return the pages without running heads and page numbers.

    Gone is what stands among the first or last lines of three pages or more (of both, where there are two) at one height and says one
    thing, up to its digits and case; and an outermost line that begins or ends with its page's number. Heads of even and odd pages are found apart.
    """
    edges = [_edges(page) for page in pages]
    said: dict[str, list[tuple[float, int]]] = {}
    for number, edge in enumerate(edges):
        for line in edge:
            said.setdefault(_said(line), []).append((line.top, number))
    for places in said.values():
        places.sort()
    numbered, few = _numbered(pages), FEW_PAGES if len(pages) != 2 else 2
    return [
        [line for line in page if id(line) not in numbered and not (line in edge and _recurs(line, said[_said(line)], few))]
        for page, edge in zip(pages, edges, strict=True)
    ]


def _numbered(pages: Sequence[Sequence[Line]]) -> set[int]:
    """The outermost lines that bear their page's number: on three pages and a third of them it is as far from the page's place in the file."""
    found: dict[int, list[Line]] = {}
    for place, page in enumerate(pages):
        tops = [line.top for line in page]
        for line in page:
            if min(max(tops) - line.top, line.top - min(tops)) <= SAME_HEIGHT and len(line.text) < 120 and (mark := AT_END.search(line.text)):
                found.setdefault(int(mark[1] or mark[2]) - place, []).append(line)
    return {id(line) for lines in found.values() if len(lines) >= max(FEW_PAGES, len(pages) / 3) for line in lines}


def _edges(page: Sequence[Line]) -> list[Line]:
    order = sorted(page, key=lambda line: -line.top)
    return order if len(order) <= 2 * EDGE_LINES else order[:EDGE_LINES] + order[-EDGE_LINES:]


def _said(line: Line) -> str:
    """What a line says up to digits, case and a number of Roman digits alone."""
    return "#" if NUMBER.match(line.text) else re.sub(r"\d+", "#", re.sub(r"^\d+\s+|\s+\d+$", "", line.text.lower()))


def _recurs(line: Line, places: list[tuple[float, int]], few: int) -> bool:
    """Whether a line's height, of all (top, page) where its words stand, is that of so many pages."""
    near: set[int] = set()
    for top, number in islice(places, bisect_left(places, (line.top - SAME_HEIGHT, -1)), None):
        if top > line.top + SAME_HEIGHT or len(near) >= few:
            break
        near.add(number)
    return len(near) >= few


def blocks_of(pages: Sequence[Sequence[Line]]) -> list[Block]:
    """Return the blocks of a document in reading order, each with its text whole."""
    kept = without_furniture(pages)
    lines = [line for page in kept for line in page]
    if not lines:
        return []
    for line in lines:
        line.text = " ".join(line.text.translate(LIGATURES).translate(UNSEEN_SPACES).split())
    body = _body_size(lines)
    blocks: list[Block] = []
    for number, page in enumerate(kept):
        _read_page(page, number, body, blocks)
    seen = vocabulary([line for block in blocks for line in [*block.lines, ""]])
    for block in blocks:
        block.text = whole(block.lines, seen, typeset=True)
    return [block for block in blocks if block.text.strip()]


def _body_size(lines: Sequence[Line]) -> float:
    """The size that most of the text is set in."""
    sizes: Counter[float] = Counter()
    for line in lines:
        sizes[round(line.size * 2) / 2] += len(line.text)
    return sizes.most_common(1)[0][0]


def _read_page(page: Sequence[Line], number: int, body: float, blocks: list[Block]) -> None:
    """Add a page's lines to the blocks. A paragraph that the page before left open goes on with the first line of text."""
    edges = {side: _column(page, side) for side in {line.side for line in page}}
    leading = _leading(page)
    notes = _notes(page, body)
    before: Line | None = None
    for line in page:
        kind = "note" if id(line) in notes else _kind(line, before, body, edges[line.side], leading)
        held = _open(blocks, kind) if before is None or before.side != line.side or blocks[-1].kind != kind else blocks[-1]
        fresh = held is None or _begins(held, line, before, number, edges[line.side], leading, kind)
        if fresh or held is None:
            held = Block(kind, [], number, line.top, line.size, _level(line, body) if kind == "heading" else 0)
            blocks.append(held)
        held.lines.append(line.text)
        held.last = before = line


def _column(page: Sequence[Line], side: int) -> tuple[float, float]:
    """The left and right edge of a column: where a tenth of its lines begin and end or further out."""
    lefts, rights = sorted(line.left for line in page if line.side == side), sorted(line.right for line in page if line.side == side)
    return lefts[len(lefts) // 10], rights[-1 - len(rights) // 10]


def _leading(page: Sequence[Line]) -> float:
    """Points from one line's top to the next's, as a rule."""
    steps = [a.top - b.top for a, b in pairwise(page) if a.side == b.side and 0 < a.top - b.top < 4 * a.size]
    return median(steps) if steps else 12.0


def _notes(page: Sequence[Line], body: float) -> set[int]:
    """The lines at a column's foot that are smaller than the text and begin with a mark: footnotes."""
    found: set[int] = set()
    for side in {line.side for line in page}:
        foot: list[Line] = []
        for line in sorted((line for line in page if line.side == side), key=lambda line: line.top):
            if line.size > 0.93 * body:
                break
            foot.append(line)
            if re.match(r"^\W{0,2}(?:\d{1,3}\b|[*†‡§¶])", line.text) and len(foot) < 40:
                found |= {id(each) for each in foot}
    return found


def _kind(line: Line, before: Line | None, body: float, column: tuple[float, float], leading: float) -> str:
    if FLOAT.match(line.text) and (before is None or not _close(line, before, leading) or line.size < 0.95 * body):
        return "float"
    short = line.right - line.left < 0.75 * (column[1] - column[0]) or len(line.text) < 60
    apart = before is None or before.side != line.side or before.top - line.top > 1.25 * leading
    if not any(map(str.isalpha, line.text)) or len(line.text) > 200:
        return "p"
    if line.size >= LEVEL_SIZES[2] * body:
        return "heading"
    plain = not line.text.endswith((".", ",", ";", ":")) or NUMBERED.match(line.text) is not None
    named = NAMED.match(line.text) is not None or CHAPTER.match(line.text) is not None
    if short and named and (apart or line.bold or line.text.isupper()):
        return "heading"
    if line.bold and short and plain and (apart or NUMBERED.match(line.text)):
        return "heading"
    if apart and short and plain and (NUMBERED.match(line.text) or (line.text.isupper() and len(line.text) > 5)) and len(line.text) < 90:
        return "heading"
    return "p"


def _close(line: Line, before: Line, leading: float) -> bool:
    return before.side == line.side and 0 < before.top - line.top < 1.3 * leading


def _open(blocks: list[Block], kind: str) -> Block | None:
    """The block that a line at the top of a column may go on with: the last of its kind, past notes and captions."""
    for block in reversed(blocks[-12:]):
        if block.kind == kind:
            return block if kind in ("p", "note", "float") or block is blocks[-1] else None
        if block.kind == "heading" or kind != "p":
            return None
    return None


def _begins(held: Block, line: Line, before: Line | None, page: int, column: tuple[float, float], leading: float, kind: str) -> bool:
    """Whether a line begins a block of its own."""
    last = held.last
    if last is None:
        return True
    if kind == "heading":
        below = 0 < last.top - line.top < 1.5 * max(leading, line.size) and last.side in (0, line.side) and before is last and held.page == page
        return not (below and abs(line.size - last.size) < 0.1 * line.size and not NUMBERED.match(line.text))
    ended = END.search(last.text) is not None
    if before is None or last is not before or last.side != line.side:            # another column or page, or something in between
        if held.page < page - 1 or (before is last and held.page == page and 0 in (line.side, last.side)):
            return True
        goes_on = line.text[:1].islower() or not ended
        return not goes_on or (ended and line.left > column[0] + 0.8 * line.size)
    if last.top - line.top > 1.35 * leading or last.top - line.top < -leading or abs(line.size - last.size) > 0.15 * max(line.size, last.size):
        return True
    if ITEM.match(line.text) and (ended or line.left <= last.left + 1):
        return True
    early = last.right < column[1] - 0.12 * (column[1] - column[0])
    indented = line.left > last.left + 0.7 * line.size and line.left > column[0] + 0.7 * line.size
    return (ended and (early or indented)) or (early and line.text[:1].isupper() and last.right < column[1] - 0.4 * (column[1] - column[0]))


def _level(line: Line, body: float) -> int:
    """A heading's level, 1 to 6: by its number where it has one, else by its size."""
    number = re.match(r"^(\d{1,2}(?:\.\d{1,2}){0,3})\.?\s", line.text)
    if number and line.size < LEVEL_SIZES[0] * body:
        return 2 + number[1].count(".")
    named = NAMED.match(line.text) or CHAPTER.match(line.text)
    return next((level for level, size in enumerate(LEVEL_SIZES, 1) if line.size >= size * body), 2 if named else 3)


def by_outline(blocks: list[Block], outline: Sequence[tuple[int, str, int, float | None]]) -> int:
    """Make the blocks that an outline names headings of its levels, all others deeper. Returns how many were found."""
    found: dict[int, int] = {}
    first = 0
    on_page: dict[int, list[int]] = {}
    for i, block in enumerate(blocks):
        on_page.setdefault(block.page, []).append(i)
    for level, title, page, top in outline:
        wanted = _bare(title)
        near = [i for i in on_page.get(page, ()) if i >= first]
        match = next((i for i in near if wanted and _bare(blocks[i].text).startswith(wanted[:60]) and len(blocks[i].text) < 200), None)
        if match is None and near:
            match = next((i for i in near if top is not None and blocks[i].top <= top + 4 and blocks[i].kind == "heading"), None)
        if match is not None:
            found.setdefault(match, level)
            first = match
    if found:
        deepest = max(found.values()) + 1
        for i, block in enumerate(blocks):
            if i in found:
                block.kind, block.level = "heading", min(6, found[i] + 1)
            elif block.kind == "heading":
                block.level = min(6, deepest + block.level)
    return len(found)


def _bare(said: str) -> str:
    return re.sub(r"[\W_]+", "", said.casefold())
