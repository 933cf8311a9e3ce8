"""The chosen blocks of a page as text: a paragraph a line, headings as `#`, items as `- `, rows as `| a | b |`, code in fences."""

import html
import re
from collections.abc import Sequence

import numba
import numpy as np
import numpy.typing as npt

from ingest.pages.blocks import BREAK, Blocks, Ints
from ingest.pages.syntax import Bytes
from ingest.pages.tags import ID

PRE, LI, TR, TD, TH, UL, OL, MENU, H1, H6 = (ID[name] for name in ("pre", "li", "tr", "td", "th", "ul", "ol", "menu", "h1", "h6"))
CELL_WORDS = 60
"""A cell of more words is layout, and its text a paragraph."""
NBSP = np.frombuffer(b"&nbsp;", np.uint8)
ROOM = 192
"""Bytes that a block may take beyond its text: bars, empty cells, the line under titles, indents."""
MOST_EMPTY = 10
"""Empty cells that are written in a row; more of them are layout."""
FENCE = np.frombuffer(b"```\n", np.uint8)
INVISIBLE = re.compile("[\u200b\u2060\ufeff\u00ad\x00-\x08\x0b-\x1f\x7f]")
"""Not part of a text: what has no width, and control characters. Joiners are: Persian, Hindi and family emoji are spelt with them."""
TOO_BIG = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{7,});?")
"""References to no character, on whose digits Python's reader fails."""


def render(found: Blocks, page: bytes, chosen: npt.NDArray[np.bool_]) -> str:
    """Return the text of the chosen blocks."""
    written = _render(np.frombuffer(page, np.uint8), found.segments, found.blocks, found.parents, found.tags, chosen)
    text = written.tobytes().decode("utf-8", "replace")
    if "&" in text:
        text = unescaped(text).replace("\xa0", " ")
    return INVISIBLE.sub("", text).strip()


def unescaped(text: str) -> str:
    """Return a text with its character references decoded."""
    return html.unescape(TOO_BIG.sub("\ufffd", text)) if "&" in text else text


def shown(found: Blocks, page: bytes) -> list[str]:
    """Return the text of each block in one line, character references decoded."""
    return shown_of(found, page, range(len(found.blocks)))


def shown_of(found: Blocks, page: bytes, numbers: Sequence[int]) -> list[str]:
    """Return the text of some blocks, each in one line, character references decoded."""
    owner, texts = found.segments[:, 2], []
    starts, ends = np.searchsorted(owner, numbers, "left").tolist(), np.searchsorted(owner, numbers, "right").tolist()
    for first, last in zip(starts, ends, strict=True):
        parts = [b" " if kind == BREAK else page[start:end] for start, end, _, kind in found.segments[first:last].tolist()]
        text = b"".join(parts).decode("utf-8", "replace")
        texts.append(" ".join(unescaped(text).split()))
    return texts


@numba.njit(cache=True, nogil=True)
def _is_nbsp(data: Bytes, at: int, end: int) -> bool:
    """Whether `&nbsp;` is written at an offset: a blank before it is told from other references."""
    if at + len(NBSP) > end:
        return False
    for i in range(len(NBSP)):  # noqa: SIM110 - numba has no generators here
        if data[at + i] != NBSP[i]:
            return False
    return True


@numba.njit(cache=True, nogil=True)
def _above(parents: Ints, tags: Ints, node: int, tag: int) -> int:
    """The nearest element of a kind that holds an element, itself too; 0 where none does."""
    while node > 0 and tags[node] != tag:
        node = parents[node]
    return node


@numba.njit(cache=True, nogil=True)
def _lists(parents: Ints, tags: Ints, node: int) -> int:
    """How many lists hold an item."""
    depth = 0
    while node > 0:
        depth += tags[node] == UL or tags[node] == OL or tags[node] == MENU
        node = parents[node]
    return depth


@numba.njit(cache=True, nogil=True)
def _fold(data: Bytes, segments: Ints, first: int, block: int, out: Bytes, at: int, end_of_line: int) -> tuple[int, int]:
    """Write a block with white space folded, a break as a line's end or what stands for it. Returns the offset behind, and the words."""
    start, words, gap = at, 0, True
    while first < len(segments) and segments[first, 2] == block:
        if segments[first, 3] == BREAK:
            at -= at > start and out[at - 1] == 32
            if at > start and out[at - 1] != 10:
                out[at] = end_of_line
                at += 1
            gap = True
        i, end = segments[first, 0], segments[first, 1]
        while i < end:
            byte = data[i]
            blank = byte <= 32
            if byte == 0xC2 and i + 1 < end and data[i + 1] == 0xA0:
                blank, i = True, i + 1
            elif byte == 38 and _is_nbsp(data, i, end):
                blank, i = True, i + len(NBSP) - 1
            if not blank:
                words += gap
                out[at] = byte
                at += 1
            elif not gap:
                out[at] = 32
                at += 1
            gap = blank
            i += 1
        first += 1
    while at > start and (out[at - 1] == 32 or out[at - 1] == 10):
        at -= 1
    return at, words


@numba.njit(cache=True, nogil=True)
def _verbatim(data: Bytes, segments: Ints, first: int, last: int, out: Bytes, at: int) -> int:
    """Write the blocks of code up to `last` as they stand, each on a line of its own, in fences. Returns the offset behind."""
    out[at : at + 4] = FENCE
    start = at + 4
    at, block = start, segments[first, 2] if first < len(segments) else 0
    while first < len(segments) and segments[first, 2] <= last:
        if segments[first, 3] == BREAK or segments[first, 2] != block:
            block = segments[first, 2]
            out[at] = 10
            at += 1
        for i in range(segments[first, 0], segments[first, 1]):
            if data[i] != 13 and not (at == start and data[i] == 10):
                out[at] = data[i]
                at += 1
        first += 1
    while at > start and out[at - 1] <= 32:
        at -= 1
    if at == start:
        return start - 4
    out[at] = 10
    out[at + 1 : at + 5] = FENCE
    return at + 5


@numba.njit(cache=True, nogil=True)
def _prefix(blocks: Ints, parents: Ints, tags: Ints, block: int, last_item: int, out: Bytes, at: int) -> tuple[int, int]:
    """Write what stands before a heading or the first block of an item. Returns the offset behind, and the item."""
    tag, node = blocks[block, 0], blocks[block, 2]
    if H1 <= tag <= H6:
        for _ in range(tag - H1 + 1):
            out[at] = 35
            at += 1
        out[at] = 32
        return at + 1, last_item
    item = _above(parents, tags, node, LI)
    if item == 0 or item == last_item:
        return at, last_item
    for _ in range(2 * min(max(_lists(parents, tags, item), 1) - 1, 20)):
        out[at] = 32
        at += 1
    out[at], out[at + 1] = 45, 32
    return at + 2, item


@numba.njit(cache=True, nogil=True)
def _cell(blocks: Ints, parents: Ints, tags: Ints, block: int) -> int:
    """The table cell of which a block is all the text; 0 where it has other blocks, or there is none."""
    cell: int = _cell_of(parents, tags, blocks[block, 2])
    if cell and block > 0 and _cell_of(parents, tags, blocks[block - 1, 2]) == cell:
        return 0
    if cell and block + 1 < len(blocks) and _cell_of(parents, tags, blocks[block + 1, 2]) == cell:
        return 0
    return cell


@numba.njit(cache=True, nogil=True)
def _cell_of(parents: Ints, tags: Ints, node: int) -> int:
    while node > 0 and tags[node] != TD and tags[node] != TH:
        node = parents[node]
    return node


@numba.njit(cache=True, nogil=True)
def _places(parents: Ints, tags: Ints) -> Ints:
    """The place of each cell among those of its row, from 0."""
    places, cells = np.zeros(len(parents), np.int32), np.zeros(len(parents), np.int32)
    for node in range(1, len(parents)):
        if tags[node] == TD or tags[node] == TH:
            places[node] = cells[parents[node]]
            cells[parents[node]] += 1
    return places


@numba.njit(cache=True, nogil=True)
def _empty(out: Bytes, at: int, many: int) -> int:
    """Write empty cells behind a bar."""
    for _ in range(min(many, MOST_EMPTY)):
        out[at], out[at + 1], out[at + 2] = 32, 32, 124
        at += 3
    return at


@numba.njit(cache=True, nogil=True)
def _join(out: Bytes, line: int, at: int, single: bool, ahead: int, empty: int, cell: int, end: int) -> int:
    """Put a further cell, written from `cell` to `end` behind a row's line, into that line, behind so many empty ones. Returns the offset behind it.

    A `single` cell stands without bars until there is a second; `ahead` of it are so many empty ones.
    """
    at -= 1
    if single:
        shift = 2 + 3 * min(ahead, MOST_EMPTY)
        for i in range(at - 1, line - 1, -1):
            out[i + shift] = 32 if out[i] == 10 else out[i]
        out[line] = 124
        first = _empty(out, line + 1, ahead)
        out[first] = 32
        at += shift
        out[at], out[at + 1] = 32, 124
        at += 2
    at = _empty(out, at, empty)
    out[at] = 32
    at += 1
    for i in range(cell, end):
        out[at] = out[i]
        at += 1
    out[at], out[at + 1], out[at + 2] = 32, 124, 10
    return at + 3


@numba.njit(cache=True, nogil=True)
def _rule(out: Bytes, at: int, cells: int) -> int:
    """Write the line that stands under a row of titles."""
    for _ in range(cells):
        out[at], out[at + 1], out[at + 2], out[at + 3] = 124, 45, 45, 45
        at += 4
    out[at], out[at + 1] = 124, 10
    end: int = at + 2
    return end


@numba.njit(cache=True, nogil=True)
def _render(data: Bytes, segments: Ints, blocks: Ints, parents: Ints, tags: Ints, chosen: npt.NDArray[np.bool_]) -> Bytes:
    size, first, coded = 0, 0, -1
    for x in range(len(segments)):
        size += segments[x, 1] - segments[x, 0] + 2
    out = np.empty(size + ROOM * (chosen.sum() + 2), np.uint8)
    places = _places(parents, tags)
    at = row = cells = bars = ahead = last = line = item = 0  # of the row: cells written, bars with them, empty ones ahead, its last cell
    titles = False
    for block in range(len(blocks)):
        while first < len(segments) and segments[first, 2] < block:
            first += 1
        if not chosen[block] or block <= coded:
            continue
        tag, code = blocks[block, 0], _above(parents, tags, blocks[block, 2], PRE)
        cell = 0 if code else _cell(blocks, parents, tags, block)
        table = _above(parents, tags, cell, TR) if cell else 0
        if table and table == row:
            start = at + ROOM // 2
            end, _ = _fold(data, segments, first, block, out, start, 32)
            if end > start:
                empty = max(places[cell] - places[last] - 1, 0)
                at = _join(out, line, at, cells == 1, ahead, empty, start, end)
                cells, bars, last, titles = cells + 1, bars + min(empty, MOST_EMPTY) + 1, cell, titles and tags[cell] == TH
            continue
        if titles and cells > 1:
            at = _rule(out, at, bars)
        cells, titles = 0, False
        if code:
            coded = block
            while coded + 1 < len(blocks) and _above(parents, tags, blocks[coded + 1, 2], PRE) == code:
                coded += 1
            at, row = _verbatim(data, segments, first, coded, out, at), 0
            continue
        start, held = _prefix(blocks, parents, tags, block, item, out, at)
        end, words = _fold(data, segments, first, block, out, start, 32 if H1 <= tag <= H6 else 10)
        if end > start:
            item, line, row, cells, titles = held, at, table if words <= CELL_WORDS else 0, 1, cell > 0 and tags[cell] == TH
            ahead = places[cell] if row else 0
            bars, last = min(ahead, MOST_EMPTY) + 1, cell
            out[end] = 10
            at = end + 1
    return out[: _rule(out, at, bars) if titles and cells > 1 else at]
