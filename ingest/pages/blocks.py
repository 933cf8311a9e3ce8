"""A page's text blocks, from its bytes in one pass: what a fast extractor chooses from.

No tree is built. A stack of open elements follows the markup with the ends that HTML implies (a list item ends the one before, a
block ends a paragraph), and each stretch of text is given to the block element that it stands in. Text is not copied: segments
are byte offsets. What browsers do in rarer cases (misnested formatting, foster-parented tables) is not followed; whatever
the bytes are, the scan ends after one pass and stays inside its arrays.
"""

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from ingest.pages.syntax import BANG, LT, PADDING, QUESTION, SLASH, SPACE, Bytes, Offsets, attributes, behind, lower, raw_end, tag_at
from ingest.pages.tags import BITS, BLOCK, HEADS, ID, RAW, SILENT, VOID

DEEPEST = 512
"""Open elements that are followed; deeper ones count as their text alone."""
MAX_BLOCKS, MAX_SEGMENTS = 50_000, 2_000_000
"""Real pages have hundreds and thousands. What has more is not followed to its end: each block costs a row of features, 60 MB for so many."""
TEXT, LINK, BREAK = 0, 1, 2
"""Kinds of segment: text, text inside a link, and a `<br>`, which is empty."""

P, LI, DT, DD, TR, TD, TH, UL, OL, DL, TABLE, A, BR, HTML, HEAD, BODY, TITLE = (
    ID[name] for name in ("p", "li", "dt", "dd", "tr", "td", "th", "ul", "ol", "dl", "table", "a", "br", "html", "head", "body", "title")
)

Ints = npt.NDArray[np.int32]
Masks = npt.NDArray[np.uint64]


class Blocks(NamedTuple):
    """The blocks of a page in its order.

    segments: int32 [segments, 4]: start and end in bytes, block, kind. blocks: int32 [blocks, 4]: tag, depth, node, offset.
    masks: uint64 [blocks, 3]: class words of the nearest three elements, of all elements above but html and body, and tags above.
    parents: int32 [nodes]: the element above each element, smaller than its own number; 0 is the page. tags: int32 [nodes].
    title: start and end of the first title's text, 0, 0 where there is none. depth: of the deepest element.
    """

    segments: Ints
    blocks: Ints
    masks: Masks
    parents: Ints
    tags: Ints
    title: tuple[int, int]
    depth: int


def scan(page: bytes) -> Blocks:
    """Return the text blocks of a page in UTF-8."""
    found = _scan(np.frombuffer(page + PADDING, np.uint8), len(page))
    segments, blocks, masks, parents, tags, title_start, title_end, depth = found
    return Blocks(segments, blocks, masks, parents, tags, (title_start, title_end), depth)


@numba.njit(cache=True, nogil=True, inline="always")
def _closes(tags: Ints, top: int, tag: int) -> int:
    """The new top of the stack when an end tag comes: formatting does not close the blocks around it."""
    at = top
    while at > 0 and tags[at] != tag:
        if BLOCK[tags[at]] and not BLOCK[tag]:
            return top
        at -= 1
    return at - 1 if at > 0 else top


@numba.njit(cache=True, nogil=True, inline="always")
def _implies(tags: Ints, top: int, tag: int) -> int:
    """The new top of the stack when a block starts: what HTML ends by itself before it."""
    at = top
    if tag in (LI, DT, DD, TR, TD, TH):
        while at > 0:
            above = tags[at]
            outer = (tag == LI and above in (UL, OL)) or (tag in (DT, DD) and above == DL)
            if outer or (tag in (TR, TD, TH) and above == TABLE) or (tag in (TD, TH) and above == TR):
                return top
            if above == tag or (tag in (DT, DD) and above in (DT, DD)) or (tag in (TD, TH) and above in (TD, TH)):
                return at - 1
            at -= 1
        return top
    while at > 0 and not BLOCK[tags[at]]:
        at -= 1
    return at - 1 if at > 0 and tags[at] == P else top


SEGMENTS, BLOCKS, NODES, TOP, FRESH, TITLE_START, TITLE_END, DEPTH = range(8)
"""Places in a scan's state: how many of each there are, the top of the stack, whether the next text starts a block, and the rest."""
SILENCED, LINKED, HOLDER, NODE = range(4)
"""Columns of the stack's numbers: text is not the page's, text is a link's, place of the block element, number of the element."""


class _Pages(NamedTuple):
    """What a scan fills: see Blocks, and the stack of open elements with its tags, numbers and masks; `ends`: see `raw_end`."""

    segments: Ints
    blocks: Ints
    masks: Masks
    parents: Ints
    elements: Ints
    tags: Ints
    stack: Ints
    bits: Masks
    state: Offsets
    ends: Offsets


@numba.njit(cache=True, nogil=True, inline="always")
def _add(into: _Pages, start: int, end: int, kind: int) -> None:
    """Give a stretch of the page to the block that is open, or start the next one with it."""
    state, top = into.state, into.state[TOP]
    if into.stack[top, SILENCED] or state[SEGMENTS] == len(into.segments) or (state[FRESH] and state[BLOCKS] == len(into.blocks)):
        return
    if state[FRESH]:
        holder, number = into.stack[top, HOLDER], state[BLOCKS]
        into.blocks[number, 0], into.blocks[number, 1] = into.tags[holder], top
        into.blocks[number, 2], into.blocks[number, 3] = into.stack[holder, NODE], start
        near = into.bits[top, 0] | into.bits[holder, 0]
        for above in range(max(1, holder - 2), holder):
            near |= into.bits[above, 0]
        into.masks[number, 0], into.masks[number, 1], into.masks[number, 2] = near, into.bits[top, 1], into.bits[top, 2]
        state[BLOCKS] += 1
        state[FRESH] = 0
    at = state[SEGMENTS]
    into.segments[at, 0], into.segments[at, 1], into.segments[at, 2], into.segments[at, 3] = start, end, state[BLOCKS] - 1, kind
    state[SEGMENTS] += 1


@numba.njit(cache=True, nogil=True, inline="always")
def _text(into: _Pages, data: Bytes, at: int, size: int) -> int:
    """Take the text from an offset to the next `<`. Space alone parts words of a block, and starts none."""
    end, seen = at + 1, data[at] > SPACE
    while end < size and data[end] != LT:
        seen |= data[end] > SPACE
        end += 1
    if seen and into.tags[into.state[TOP]] == HEAD:
        into.state[TOP] -= 1
    if seen or not into.state[FRESH]:
        _add(into, at, end, LINK if into.stack[into.state[TOP], LINKED] else TEXT)
    return end


@numba.njit(cache=True, nogil=True, inline="always")
def _open(into: _Pages, data: Bytes, tag: int, name: int, words: np.uint64, hidden: bool, at: int, size: int) -> int:
    """Take a start tag that ends at an offset. Returns the offset to go on at."""
    state = into.state
    if into.tags[state[TOP]] == HEAD and not HEADS[tag]:
        state[TOP] -= 1
    if BLOCK[tag]:
        state[FRESH] = 1
        state[TOP] = _implies(into.tags, state[TOP], tag)
    if tag == BR and not state[FRESH]:
        _add(into, at, at, BREAK)
    if RAW[tag]:
        end: int = raw_end(data, tag, name, at, size, into.ends)
        if tag == TITLE and end > at and not state[TITLE_END] and (into.tags[state[TOP]] == HEAD or not into.stack[state[TOP], SILENCED]):
            state[TITLE_START], state[TITLE_END] = at, end  # a picture's title is none
        return end
    if VOID[tag] or tag == 0 or state[TOP] + 1 == len(into.tags):
        return at
    above, top = state[TOP], state[TOP] + 1
    wrapper = tag in (HTML, BODY)
    into.tags[top] = tag
    into.stack[top, SILENCED] = into.stack[above, SILENCED] or SILENT[tag] or (hidden and not wrapper)
    into.stack[top, LINKED] = into.stack[above, LINKED] or tag == A
    into.stack[top, HOLDER] = top if BLOCK[tag] else into.stack[above, HOLDER]
    into.stack[top, NODE] = state[NODES]
    into.bits[top, 0] = np.uint64(0) if wrapper else words
    into.bits[top, 1] = into.bits[above, 1] | into.bits[top, 0]
    into.bits[top, 2] = into.bits[above, 2] | (np.uint64(1) << np.uint64(tag) if tag < BITS else np.uint64(0))
    into.parents[state[NODES]], into.elements[state[NODES]] = into.stack[above, NODE], tag
    state[NODES] += 1
    state[TOP] = top
    state[DEPTH] = max(state[DEPTH], top)
    return at


@numba.njit(cache=True, nogil=True)
def _scan(data: Bytes, size: int) -> tuple[Ints, Ints, Masks, Ints, Ints, int, int, int]:
    marks = 0
    for i in range(size):
        marks += data[i] == LT
    most = min(2 * marks + 2, MAX_SEGMENTS)  # for each `<` the text before it, and one more for `<br>` or where it is text itself
    many = min(most, MAX_BLOCKS + 1)
    into = _Pages(
        np.empty((most, 4), np.int32), np.empty((many, 4), np.int32), np.empty((many, 3), np.uint64), np.zeros(marks + 2, np.int32),
        np.zeros(marks + 2, np.int32), np.zeros(DEEPEST, np.int32), np.zeros((DEEPEST, 4), np.int32), np.zeros((DEEPEST, 3), np.uint64), np.zeros(8, np.int64),
        np.full(len(BLOCK), -1, np.int64),
    )  # fmt: skip
    state = into.state
    state[FRESH], state[NODES] = 1, 1
    at = 0
    while at < size:
        following = data[at + 1]
        name = at + 2 if following == SLASH else at + 1
        if data[at] != LT or (following not in (BANG, QUESTION, SLASH) and not 97 <= lower(following) <= 122):
            at = _text(into, data, at, size)
            continue
        if following in (BANG, QUESTION) or not 97 <= lower(data[name]) <= 122:
            at = behind(data, at, size)
            continue
        tag, end = tag_at(data, name, size)
        words, hidden, end = attributes(data, end, size)
        if following == SLASH and tag != BR:  # </br> is a break to browsers
            state[TOP] = _closes(into.tags, state[TOP], tag)
            state[FRESH] |= BLOCK[tag]
            at = end
        else:
            at = _open(into, data, tag, name, words, hidden, end, size)
    n, m, nodes = state[SEGMENTS], state[BLOCKS], state[NODES]
    return into.segments[:n], into.blocks[:m], into.masks[:m], into.parents[:nodes], into.elements[:nodes], state[TITLE_START], state[TITLE_END], state[DEPTH]
