"""What is measured of each block of a page: the numbers that the choice of its text is learned from.

Everything is counted in bytes and in one pass a kind: words, links and punctuation of the block; what stands in the elements around
it; the class words above it; blocks built alike (a list of comments is); its neighbours.
"""

import numba
import numpy as np
import numpy.typing as npt

from ingest.pages.blocks import BREAK, LINK, Blocks, Ints, Masks
from ingest.pages.syntax import Bytes, words_in
from ingest.pages.tags import FNV_PRIME, FNV_START, ID, WORDS

Floats = npt.NDArray[np.float32]
Hashes = npt.NDArray[np.uint64]

SHORT_BYTES, SHORT_WORDS = 80, 12
"""A label is at most this long: its own words say what follows."""
SHOWN = ("p", "li", "td", "div", "h1", "h2", "h3", "h4", "pre", "blockquote", "dd", "dt", "figcaption", "article", "section", "")
ABOVE = ("article", "main", "header", "footer", "nav", "aside", "form", "table", "ul", "ol", "li", "dl", "blockquote", "figure", "h2", "h3", "p", "section")
SAID = (
    "comment", "related", "share", "more", "advert", "newsletter", "subscribe", "author", "tag", "category", "login", "cookie", "copyright", "legal",
    "search", "reply", "similar", "recent", "popular", "recommend", "video", "image", "story", "article", "gallery", "teaser", "byline", "date",
)  # fmt: skip
ENDS = ("comment", "related", "popular", "recommend", "similar", "recent", "reply", "newsletter", "subscribe")
"""What a label behind an article says."""
SHARED = ("article", "content", "post", "entry", "story", "body", "main", "text", "comment", "sidebar", "related", "widget", "teaser", "reply")
NEAR = (-3, -2, -1, 1, 2, 3)
NEARBY = ("words", "linked share", "stops", "is p", "is heading", "is li", "score 0")

COUNTED = ("words", "linked", "characters", "commas", "stops", "capitals", "digits", "ends well", "breaks", "segments", "in title")
PLACED = (
    "linked share", "characters a word", "capital share", "digit share", "title share", "depth", "place", "words before", "prose before", "blocks",
    "words of page", "prose of page", "offset", "from first of best", "from last of best", "from h1", "in best", "above best", "since label", "labels before",
)  # fmt: skip
AROUND = ("words", "linked", "prose", "blocks", "score")
ALIKE = ("alike", "words alike", "linked alike", "mean alike")
WINDOWS = (5, 15)

FEATURES = (
    *COUNTED, *PLACED, *(f"{name} {level}" for level in range(4) for name in AROUND), *ALIKE,
    *(f"is {tag}" for tag in SHOWN), "is heading", *(f"in {tag}" for tag in ABOVE), *(f"under {word}" for word in WORDS), *(f"near {word}" for word in WORDS),
    *(f"says {word}" for word in SAID), *(f"shared {word}" for word in SHARED), *(f"{name} at {step}" for step in NEAR for name in NEARBY),
    *(f"{name} within {radius}" for radius in WINDOWS for name in ("words", "prose")),
)  # fmt: skip
"""The rows, in order."""

SHOWN_IDS = np.array([ID[name] for name in SHOWN], np.int64)
HEADINGS = np.array([ID[f"h{level}"] for level in range(1, 7)], np.int64)
ABOVE_BITS = np.array([ID[name] for name in ABOVE], np.int64)
SAID_BITS = np.array([WORDS.index(word) for word in SAID], np.int64)
ENDS_MASK = np.uint64(sum(1 << WORDS.index(word) for word in ENDS))
SHARED_BITS = np.array([WORDS.index(word) for word in SHARED], np.int64)

FLAT = len(COUNTED) + len(PLACED)
OUT = len(FEATURES)


def measure(found: Blocks, page: bytes) -> Floats:
    """Return the features of a page's blocks: float32 [FEATURES, blocks], a row a feature, as the trees ask one of all blocks."""
    data = np.frombuffer(page, np.uint8)
    features: Floats = _measure(data, found.segments, found.blocks, found.masks, found.parents, found.title[0], found.title[1])
    return features


@numba.njit(cache=True, nogil=True)
def _title(data: Bytes, start: int, end: int) -> Hashes:
    """The hashes of the title's words, at most 64, behind the bits that their last digits set."""
    found, many, inside, value = np.zeros(65, np.uint64), 1, False, FNV_START
    for i in range(start, end + 1):
        byte = data[i] if i < end else 32
        letter = byte >= 128 or 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122
        if letter:
            value = ((FNV_START if not inside else value) ^ np.uint64(byte | 32)) * FNV_PRIME
        elif inside and many < len(found):
            found[many] = value
            found[0] |= np.uint64(1) << (value & np.uint64(63))
            many += 1
        inside = letter
    return found[:many]


@numba.njit(cache=True, nogil=True)
def _count(data: Bytes, segments: Ints, n: int, title: Hashes) -> tuple[Floats, Masks]:
    """For each block what is COUNTED, and the class words that a short block says itself."""
    out, said = np.zeros((n, len(COUNTED)), np.float32), np.zeros(n, np.uint64)
    for x in range(len(segments)):
        start, end, block, kind = segments[x]
        if kind == BREAK:
            out[block, 8] += 1
            continue
        if end - start <= SHORT_BYTES:
            said[block] |= words_in(data, start, end)
        _count_words(data, start, end, kind == LINK, title, out[block])
        out[block, 9] += 1
    for block in range(n):
        if out[block, 0] > SHORT_WORDS:
            said[block] = 0
    return out, said


@numba.njit(cache=True, nogil=True)
def _count_words(data: Bytes, start: int, end: int, linked: bool, title: Hashes, row: Floats) -> None:
    """Count one segment into its block's row. The counts are kept apart from it while they grow, in registers."""
    words = capitals = characters = commas = stops = digits = known = last = 0
    inside, value = False, FNV_START
    for i in range(start, end):
        byte = data[i]
        if byte <= 32:
            if inside:
                known += _known(title, value)
            inside = False
            continue
        if not inside:
            words += 1
            capitals += 65 <= byte <= 90
            value = FNV_START
        inside, last = True, i
        digit = 48 <= byte <= 57
        if byte >= 128 or digit or 97 <= byte | 32 <= 122:
            value = (value ^ np.uint64(byte | 32)) * FNV_PRIME
        characters += (byte & 0xC0) != 0x80
        commas += byte == 44
        stops += byte == 46 or byte == 33 or byte == 63
        digits += digit
        if byte >= 0xE0:
            _count_signs(data, i, end, linked, row)
    if inside:
        known += _known(title, value)
    if last:
        row[7] = _ends_well(data, last)
    row[0] += words
    row[1] += words * linked
    row[2] += characters
    row[3] += commas
    row[4] += stops
    row[5] += capitals
    row[6] += digits
    row[10] += known


@numba.njit(cache=True, nogil=True)
def _count_signs(data: Bytes, i: int, end: int, linked: bool, row: Floats) -> None:
    """Count a sign of a script that puts no space between words: of Chinese and Japanese two are a word, of Thai four."""
    byte = data[i]
    if byte == 0xE0 and i + 1 < end and data[i + 1] >= 0xB8:
        row[0] += np.float32(0.25)
        row[1] += np.float32(0.25) * linked
    elif 0xE3 <= byte <= 0xE9:
        row[0] += np.float32(0.5)
        row[1] += np.float32(0.5) * linked
        if byte == 0xE3 and i + 2 < end and data[i + 1] == 0x80:
            row[3] += data[i + 2] == 0x81
            row[4] += data[i + 2] == 0x82


@numba.njit(cache=True, nogil=True)
def _known(title: Hashes, value: np.uint64) -> bool:
    """Whether a word is the title's. The first of `title` are the bits that the others have: most words are told by them."""
    if not title[0] >> (value & np.uint64(63)) & np.uint64(1):
        return False
    for word in title[1:]:  # noqa: SIM110 - numba has no generators here
        if word == value:
            return True
    return False


@numba.njit(cache=True, nogil=True)
def _ends_well(data: Bytes, last: int) -> bool:
    """Whether a text ends as a sentence does: with a full stop or the like, or a quotation mark."""
    byte = data[last]
    if byte < 128:
        return byte in (46, 33, 63, 58, 34, 39, 41)
    return bool((byte == 0x9D and data[last - 1] == 0x80) or (byte == 0x82 and data[last - 1] == 0x80) or (byte in (0x81, 0x9F) and data[last - 1] == 0xBC))


@numba.njit(cache=True, nogil=True)
def _trees(parents: Ints, holder: Ints, values: Floats) -> tuple[Floats, Floats]:
    """What stands in each element and below it, and its score: the prose of its own blocks, half of its children's (as Readability scores)."""
    n, columns = len(parents), values.shape[1]
    inside, score = np.zeros((n, columns), np.float32), np.zeros(n, np.float32)
    for block in range(len(holder)):
        for c in range(columns):
            inside[holder[block], c] += values[block, c]
        above = parents[holder[block]]
        score[above] += values[block, 2]
        if above > 0:
            score[parents[above]] += np.float32(0.5) * values[block, 2]
    for node in range(n - 1, 0, -1):
        for c in range(columns):
            inside[parents[node], c] += inside[node, c]
    return inside, score


@numba.njit(cache=True, nogil=True)
def groups(blocks: Ints, masks: Masks) -> Ints:
    """Number the blocks that are built alike: the same tag at the same depth under the same class words."""
    n = len(blocks)
    keys = np.empty(n, np.uint64)
    for i in range(n):
        keys[i] = ((masks[i, 0] * FNV_PRIME) ^ (masks[i, 2] * FNV_START)) * FNV_PRIME ^ np.uint64(blocks[i, 0] * 1024 + blocks[i, 1])
    order, found, number = np.argsort(keys), np.zeros(n, np.int32), 0
    for x in range(1, n):
        number += keys[order[x]] != keys[order[x - 1]]
        found[order[x]] = number
    return found


@numba.njit(cache=True, nogil=True)
def _within(parents: Ints, top: int) -> npt.NDArray[np.bool_]:
    found = np.zeros(len(parents), np.bool_)
    found[top] = True
    for node in range(top + 1, len(parents)):
        found[node] = found[parents[node]]
    return found


@numba.njit(cache=True, nogil=True)
def _measure(data: Bytes, segments: Ints, blocks: Ints, masks: Masks, parents: Ints, title_start: int, title_end: int) -> Floats:
    n = len(blocks)
    out = np.zeros((OUT, n), np.float32)
    if n == 0:
        return out
    title = _title(data, title_start, title_end)
    counts, said = _count(data, segments, n, title)
    values = np.empty((n, 4), np.float32)  # words, linked words, prose, blocks
    for i in range(n):
        words, linked = counts[i, 0], counts[i, 1]
        values[i, 0], values[i, 1], values[i, 3] = words, linked, 1
        values[i, 2] = words if words > 5 and linked < np.float32(0.4) * words else 0
    inside, score = _trees(parents, blocks[:, 2], values)
    _place(out, len(data), counts, said, blocks, parents, values, inside, score, max(len(title) - 1, 1))
    at = _around(out, FLAT, blocks, parents, inside, score)
    at = _alike(out, at, groups(blocks, masks), values)
    at = _flags(out, at, blocks, masks, said, values)
    _near(out, at, blocks, values, counts)
    return out


@numba.njit(cache=True, nogil=True)
def _place(
    out: Floats, size: int, counts: Floats, said: Masks, blocks: Ints, parents: Ints, values: Floats, inside: Floats, score: Floats, titled: int
) -> None:
    """The rows PLACED, behind the counts: where a block stands in the page."""
    n, best = len(blocks), np.argmax(score)
    in_best, above_best = _within(parents, best), _within(parents, parents[best])
    first, last, h1 = -1, n - 1, -100
    for i in range(n):
        if in_best[blocks[i, 2]]:
            first = i if first < 0 else first
            last = i
        if h1 == -100 and blocks[i, 0] == HEADINGS[0]:
            h1 = i
    first = max(first, 0)
    total, prose = max(inside[0, 0], np.float32(1)), max(inside[0, 2], np.float32(1))
    words, before, label, labels = np.float32(0), np.float32(0), -100, 0
    for i in range(n):
        own, at = max(counts[i, 0], np.float32(1)), len(COUNTED)
        out[:at, i] = counts[i]
        words += values[i, 0]
        before += values[i, 2]
        if said[i] & ENDS_MASK:
            label, labels = i, labels + 1
        out[at, i], out[at + 1, i], out[at + 2, i] = counts[i, 1] / own, counts[i, 2] / own, counts[i, 5] / own
        out[at + 3, i], out[at + 4, i], out[at + 5, i] = counts[i, 6] / max(counts[i, 2], 1), counts[i, 10] / titled, blocks[i, 1]
        out[at + 6, i], out[at + 7, i], out[at + 8, i] = i / n, words / total, before / prose
        out[at + 9, i], out[at + 10, i], out[at + 11, i] = n, total, prose / total
        out[at + 12, i], out[at + 13, i], out[at + 14, i], out[at + 15, i] = blocks[i, 3] / size, i - first, i - last, i - h1
        out[at + 16, i], out[at + 17, i] = in_best[blocks[i, 2]], above_best[blocks[i, 2]]
        out[at + 18, i], out[at + 19, i] = min(i - label, 100), labels


@numba.njit(cache=True, nogil=True)
def _around(out: Floats, at: int, blocks: Ints, parents: Ints, inside: Floats, score: Floats) -> int:
    """The rows AROUND, for the element of the block and the three above it."""
    total, prose, best = max(inside[0, 0], np.float32(1)), max(inside[0, 2], np.float32(1)), max(score.max(), np.float32(1))
    for i in range(len(blocks)):
        node, row = blocks[i, 2], at
        for _ in range(4):
            here = inside[node]
            out[row, i], out[row + 1, i] = here[0] / total, here[1] / max(here[0], np.float32(1))
            out[row + 2, i], out[row + 3, i], out[row + 4, i] = here[2] / prose, here[3], score[node] / best
            node, row = parents[node], row + 5
    return at + 20


@numba.njit(cache=True, nogil=True)
def _alike(out: Floats, at: int, group: Ints, values: Floats) -> int:
    """The rows ALIKE: how many blocks are built like this one, their share of the words, their links, their length."""
    n = len(group)
    sums = np.zeros((group.max() + 1, 3), np.float32)
    for i in range(n):
        sums[group[i], 0] += 1
        sums[group[i], 1] += values[i, 0]
        sums[group[i], 2] += values[i, 1]
    total = max(sums[:, 1].sum(), np.float32(1))
    for i in range(n):
        many, words, linked = sums[group[i]]
        out[at, i], out[at + 1, i], out[at + 2, i], out[at + 3, i] = many, words / total, linked / max(words, np.float32(1)), words / many
    return at + 4


@numba.njit(cache=True, nogil=True)
def _bit(bits: Masks, bit: int, row: Floats) -> None:
    for i in range(len(row)):
        row[i] = np.float32(np.int32(bits[i] >> np.uint64(bit)) & np.int32(1))


@numba.njit(cache=True, nogil=True)
def _flags(out: Floats, at: int, blocks: Ints, masks: Masks, said: Masks, values: Floats) -> int:
    """The rows of tags, of class words above and near, of what short blocks say, and of the page's share under a class word."""
    prose = max(values[:, 2].sum(), np.float32(1))
    tags, near, under, above = blocks[:, 0].copy(), masks[:, 0].copy(), masks[:, 1].copy(), masks[:, 2].copy()
    for shown in SHOWN_IDS:
        out[at] = tags == shown
        at += 1
    for heading in HEADINGS:
        out[at] = np.maximum(out[at], (tags == heading).astype(np.float32))
    at += 1
    for bit in ABOVE_BITS:
        _bit(above, bit, out[at])
        at += 1
    for bit in range(64):
        _bit(under, bit, out[at + bit])
        _bit(near, bit, out[at + 64 + bit])
    at += 128
    for bit in SAID_BITS:
        _bit(said, bit, out[at])
        at += 1
    first = at - 128 - len(SAID_BITS)
    for bit in SHARED_BITS:
        flags, share = out[first + bit], np.float32(0)
        for i in range(len(tags)):
            share += flags[i] * values[i, 2]
        for i in range(len(tags)):
            out[at, i] = share / prose if flags[i] else np.float32(-1)
        at += 1
    return at


@numba.njit(cache=True, nogil=True)
def _near(out: Floats, at: int, blocks: Ints, values: Floats, counts: Floats) -> None:
    """The rows NEARBY of the blocks before and behind, and the words and prose in windows around."""
    n = len(blocks)
    own = np.zeros((len(NEARBY), n), np.float32)
    for i in range(n):
        tag = blocks[i, 0]
        own[0, i], own[1, i], own[2, i] = values[i, 0], values[i, 1] / max(values[i, 0], np.float32(1)), counts[i, 4]
        own[3, i], own[5, i], own[6, i] = tag == SHOWN_IDS[0], tag == SHOWN_IDS[1], out[FLAT + 4, i]
        for level in HEADINGS:
            own[4, i] += tag == level
    for step in NEAR:
        first, last = min(max(-step, 0), n), max(min(n - step, n), 0)  # the blocks that have one there
        for row in own:
            out[at, :first], out[at, last:] = -1, -1
            if first < last:
                out[at, first:last] = row[first + step : last + step]
            at += 1
    for radius in WINDOWS:
        for i in range(n):
            words, prose = np.float32(0), np.float32(0)
            for other in range(max(i - radius, 0), min(i + radius + 1, n)):
                words += values[other, 0]
                prose += values[other, 2]
            out[at, i], out[at + 1, i] = words, prose / max(words, np.float32(1))
        at += 2
