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

from ingest.tags import BITS, BLOCK, FNV_PRIME, FNV_START, HASHES, HEADS, ID, LENGTHS, LETTERS, NUMBERS, RAW, SILENT, STARTS, VOID

PADDING = b"\0" * 16
"""Behind the page, so that looking a few bytes ahead stays inside."""
DEEPEST = 512
"""Open elements that are followed; deeper ones count as their text alone."""
TEXT, LINK, BREAK = 0, 1, 2
"""Kinds of segment: text, text inside a link, and a `<br>`, which is empty."""

P, LI, DT, DD, TR, TD, TH, UL, OL, DL, TABLE, A, BR, HTML, HEAD, BODY, TITLE = (
    ID[name] for name in ("p", "li", "dt", "dd", "tr", "td", "th", "ul", "ol", "dl", "table", "a", "br", "html", "head", "body", "title")
)
LT, GT, SLASH, EQUALS, BANG, QUESTION, DASH, DOUBLE, SINGLE = b"<>/=!?-\"'"
SPACE = 32

Bytes = npt.NDArray[np.uint8]
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


@numba.njit(cache=True, nogil=True)
def _lower(byte: int) -> int:
    return byte | 32 if 65 <= byte <= 90 else byte


@numba.njit(cache=True, nogil=True)
def words_in(data: Bytes, start: int, end: int) -> np.uint64:
    """The class words that stand anywhere between two offsets, as bits."""
    bits = np.uint64(0)
    for i in range(start, end):
        letter = _lower(data[i]) - 97
        if not 0 <= letter < 26:
            continue
        for word in STARTS[letter]:
            if word < 0:
                break
            size = LENGTHS[word]
            if i + size > end:
                continue
            same = True
            for j in range(1, size):
                if _lower(data[i + j]) != LETTERS[word, j]:
                    same = False
                    break
            if same:
                bits |= np.uint64(1) << np.uint64(word)
    return bits


@numba.njit(cache=True, nogil=True)
def _is(data: Bytes, start: int, end: int, name: bytes) -> bool:
    """Whether the bytes between two offsets are this name, in either case."""
    if end - start != len(name):
        return False
    for i in range(len(name)):  # noqa: SIM110 - numba has no generators here
        if _lower(data[start + i]) != name[i]:
            return False
    return True


@numba.njit(cache=True, nogil=True)
def _hides(data: Bytes, start: int, end: int) -> bool:
    """Whether a style says display: none."""
    for i in range(start, end - 11):
        if _lower(data[i]) != 100 or not _is(data, i, i + 7, b"display"):
            continue
        j = i + 7
        while j < end and (data[j] <= SPACE or data[j] == 58):
            j += 1
        if j + 4 <= end and _is(data, j, j + 4, b"none"):
            return True
    return False


@numba.njit(cache=True, nogil=True)
def tag_at(data: Bytes, at: int, size: int) -> tuple[int, int]:
    """Read a tag's name. Returns its number, 0 for one that is not known, and the offset behind it."""
    found = FNV_START
    while at < size and data[at] > SPACE and data[at] != GT and data[at] != SLASH:
        found = (found ^ np.uint64(_lower(data[at]))) * FNV_PRIME
        at += 1
    low, high = 0, len(HASHES)
    while low < high:
        middle = (low + high) // 2
        if HASHES[middle] < found:
            low = middle + 1
        else:
            high = middle
    known = low < len(HASHES) and HASHES[low] == found
    return (NUMBERS[low] if known else 0), at


@numba.njit(cache=True, nogil=True)
def _value(data: Bytes, at: int, size: int) -> tuple[int, int, int]:
    """Read `= value` if it comes. Returns where the value starts and ends, and the offset behind it."""
    while at < size and data[at] <= SPACE:
        at += 1
    if at >= size or data[at] != EQUALS:
        return 0, 0, at
    at += 1
    while at < size and data[at] <= SPACE:
        at += 1
    quote = data[at]
    if quote in (DOUBLE, SINGLE):
        start = at + 1
        at = start
        while at < size and data[at] != quote:
            at += 1
        return start, at, at + 1
    start = at
    while at < size and data[at] > SPACE and data[at] != GT:
        at += 1
    return start, at, at


@numba.njit(cache=True, nogil=True)
def _attributes(data: Bytes, at: int, size: int) -> tuple[np.uint64, bool, int]:
    """Read to the end of a tag. Returns the class words, whether it hides its content, and the offset behind `>`."""
    bits, hidden = np.uint64(0), False
    while at < size and data[at] != GT:
        if data[at] <= SPACE or data[at] == SLASH:
            at += 1
            continue
        start = at
        at += 1
        while at < size and data[at] > SPACE and data[at] != EQUALS and data[at] != GT and data[at] != SLASH:
            at += 1
        end = at
        first, last, at = _value(data, at, size)
        if _is(data, start, end, b"class") or _is(data, start, end, b"id") or _is(data, start, end, b"role") or _is(data, start, end, b"itemprop"):
            bits |= words_in(data, first, last)
        elif _is(data, start, end, b"hidden") or (_is(data, start, end, b"style") and _hides(data, first, last)):
            hidden = True
    return bits, hidden, min(at + 1, size)


@numba.njit(cache=True, nogil=True)
def attributes_end(data: Bytes, at: int, size: int) -> int:
    """The offset behind the `>` of a tag, past attributes whose values may hold one."""
    while at < size and data[at] != GT:
        if data[at] == EQUALS:
            _, _, at = _value(data, at, size)
        else:
            at += 1
    return min(at + 1, size)


@numba.njit(cache=True, nogil=True)
def _dashes(data: Bytes, at: int) -> bool:
    return bool(data[at - 1] == DASH and data[at - 2] == DASH)


@numba.njit(cache=True, nogil=True)
def behind(data: Bytes, at: int, size: int) -> int:
    """The offset behind a comment, a declaration or a processing instruction that starts at `at`."""
    if data[at + 1] == BANG and data[at + 2] == DASH and data[at + 3] == DASH:
        at += 4
        while at < size and not (data[at] == GT and (_dashes(data, at) or (data[at - 1] == BANG and _dashes(data, at - 1)))):
            at += 1
    else:
        while at < size and data[at] != GT:
            at += 1
    return min(at + 1, size)


@numba.njit(cache=True, nogil=True)
def raw_end(data: Bytes, name: int, at: int, size: int) -> int:
    """Where the end tag of raw content starts, whose name is written at `name`; the page's end where it never comes."""
    length = 0
    while data[name + length] > SPACE and data[name + length] != GT and data[name + length] != SLASH:
        length += 1
    while at < size:
        if data[at] == LT and data[at + 1] == SLASH and at + 2 + length <= size:
            same = True
            for i in range(length):
                if _lower(data[at + 2 + i]) != _lower(data[name + i]):
                    same = False
                    break
            if same:
                return at
        at += 1
    return size


@numba.njit(cache=True, nogil=True)
def _opens_again(data: Bytes, name: int, at: int, end: int) -> bool:
    """Whether a tag of the same name starts before an offset: then the end there is that one's."""
    length = 0
    while data[name + length] > SPACE and data[name + length] != GT and data[name + length] != SLASH:
        length += 1
    while at + length < end:
        if data[at] == LT:
            same = True
            for i in range(length):
                if _lower(data[at + 1 + i]) != _lower(data[name + i]):
                    same = False
                    break
            if same:
                return True
        at += 1
    return False


@numba.njit(cache=True, nogil=True)
def _closes(tags: Ints, top: int, tag: int) -> int:
    """The new top of the stack when an end tag comes: formatting does not close the blocks around it."""
    at = top
    while at > 0 and tags[at] != tag:
        if BLOCK[tags[at]] and not BLOCK[tag]:
            return top
        at -= 1
    return at - 1 if at > 0 else top


@numba.njit(cache=True, nogil=True)
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
    """What a scan fills: see Blocks, and the stack of open elements with its tags, numbers and masks; `ends`: where raw content of a tag ends next."""

    segments: Ints
    blocks: Ints
    masks: Masks
    parents: Ints
    elements: Ints
    tags: Ints
    stack: Ints
    bits: Masks
    state: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


@numba.njit(cache=True, nogil=True)
def _add(into: _Pages, start: int, end: int, kind: int) -> None:
    """Give a stretch of the page to the block that is open, or start the next one with it."""
    state, top = into.state, into.state[TOP]
    if into.stack[top, SILENCED] or state[SEGMENTS] == len(into.segments):
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
    row = into.segments[state[SEGMENTS]]
    row[0], row[1], row[2], row[3] = start, end, state[BLOCKS] - 1, kind
    state[SEGMENTS] += 1


@numba.njit(cache=True, nogil=True)
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


@numba.njit(cache=True, nogil=True)
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
        if into.ends[tag] < at:  # looked for once: a page of <style/> would be searched to its end for each
            into.ends[tag] = raw_end(data, name, at, size)
        end: int = into.ends[tag]
        if data[at - 2] == SLASH and (end == size or _opens_again(data, name, at, end)):
            return at  # <title/>, as XHTML and pictures write an empty one
        if tag == TITLE and not state[TITLE_END] and (into.tags[state[TOP]] == HEAD or not into.stack[state[TOP], SILENCED]):
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
    most = 2 * marks + 2  # for each `<` the text before it, and one more for `<br>` or where it is text itself
    into = _Pages(
        np.empty((most, 4), np.int32), np.empty((most, 4), np.int32), np.empty((most, 3), np.uint64), np.zeros(marks + 2, np.int32),
        np.zeros(marks + 2, np.int32), np.zeros(DEEPEST, np.int32), np.zeros((DEEPEST, 4), np.int32), np.zeros((DEEPEST, 3), np.uint64), np.zeros(8, np.int64),
        np.full(len(BLOCK), -1, np.int64),
    )  # fmt: skip
    state = into.state
    state[FRESH], state[NODES] = 1, 1
    at = 0
    while at < size:
        following = data[at + 1]
        name = at + 2 if following == SLASH else at + 1
        if data[at] != LT or (following not in (BANG, QUESTION, SLASH) and not 97 <= _lower(following) <= 122):
            at = _text(into, data, at, size)
            continue
        if following in (BANG, QUESTION) or not 97 <= _lower(data[name]) <= 122:
            at = behind(data, at, size)
            continue
        tag, end = tag_at(data, name, size)
        words, hidden, end = _attributes(data, end, size)
        if following == SLASH:
            state[TOP] = _closes(into.tags, state[TOP], tag)
            state[FRESH] |= BLOCK[tag]
            at = end
        else:
            at = _open(into, data, tag, name, words, hidden, end, size)
    n, m, nodes = state[SEGMENTS], state[BLOCKS], state[NODES]
    return into.segments[:n], into.blocks[:m], into.masks[:m], into.parents[:nodes], into.elements[:nodes], state[TITLE_START], state[TITLE_END], state[DEPTH]
