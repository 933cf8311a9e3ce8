"""What is measured of each block of a page: the numbers that the choice of its text is learned from.

Everything is counted in bytes and in one pass a kind: words, links and punctuation of the block; what stands in the elements around
it; the class words above it; blocks built alike (a list of comments is); its neighbours. A second set says how the first choice
fell around a block, so that a second one can agree with it.
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
NEARBY = ("words", "linked share", "stops", "is p", "is heading", "is li", "score 0", "probable")

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
    *(f"says {word}" for word in SAID), *(f"shared {word}" for word in SHARED), *(f"{name} at {step}" for step in NEAR for name in NEARBY[:-1]),
    *(f"{name} within {radius}" for radius in WINDOWS for name in ("words", "prose")),
)  # fmt: skip
"""The columns of the first choice, in order."""

SHOWN_IDS = np.array([ID[name] for name in SHOWN], np.int64)
HEADINGS = np.array([ID[f"h{level}"] for level in range(1, 7)], np.int64)
ABOVE_BITS = np.array([ID[name] for name in ABOVE], np.int64)
SAID_BITS = np.array([WORDS.index(word) for word in SAID], np.int64)
ENDS_MASK = np.uint64(sum(1 << WORDS.index(word) for word in ENDS))
SHARED_BITS = np.array([WORDS.index(word) for word in SHARED], np.int64)

FLAT = len(COUNTED) + len(PLACED)
OUT = len(FEATURES)


def measure(found: Blocks, page: bytes) -> Floats:
    """Return the features of a page's blocks: float32 [blocks, FEATURES]."""
    data = np.frombuffer(page, np.uint8)
    features: Floats = _measure(data, found.segments, found.blocks, found.masks, found.parents, found.title[0], found.title[1])
    return features


@numba.njit(cache=True, nogil=True)
def _title(data: Bytes, start: int, end: int) -> Hashes:
    """The hashes of the title's words, in order of size, at most 64."""
    found, many, inside, value = np.zeros(64, np.uint64), 0, False, FNV_START
    for i in range(start, end + 1):
        byte = data[i] if i < end else 32
        letter = byte >= 128 or 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122
        if letter:
            value = ((FNV_START if not inside else value) ^ np.uint64(byte | 32)) * FNV_PRIME
        elif inside and many < 64:
            found[many] = value
            many += 1
        inside = letter
    return np.sort(found[:many])


@numba.njit(cache=True, nogil=True)
def _count(data: Bytes, segments: Ints, n: int, title: Hashes) -> tuple[Floats, Masks]:
    """The first columns, COUNTED, and the class words that a short block says itself."""
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
    """Count one segment into its block's row."""
    inside, last, value = False, 0, FNV_START
    for i in range(start, end):
        byte = data[i]
        if byte <= 32:
            if inside:
                row[10] += _known(title, value)
            inside = False
            continue
        if not inside:
            row[0] += 1
            row[1] += linked
            row[5] += 65 <= byte <= 90
            value = FNV_START
        inside, last = True, i
        if byte >= 128 or 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122:
            value = (value ^ np.uint64(byte | 32)) * FNV_PRIME
        row[2] += (byte & 0xC0) != 0x80
        row[3] += byte == 44
        row[4] += byte in (46, 33, 63)
        row[6] += 48 <= byte <= 57
        if byte >= 0xE0:
            _count_signs(data, i, end, linked, row)
    if inside:
        row[10] += _known(title, value)
    if last:
        row[7] = _ends_well(data, last)


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
    for word in title:
        if word >= value:
            return bool(word == value)
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
    out = np.zeros((n, OUT), np.float32)
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
    _place(out, len(data), counts, said, blocks, parents, values, inside, score, max(len(title), 1))
    at = _around(out, FLAT, blocks, parents, inside, score)
    at = _alike(out, at, groups(blocks, masks), values)
    at = _flags(out, at, blocks, masks, said, values)
    _near(out, at, blocks, values, counts)
    return out


@numba.njit(cache=True, nogil=True)
def _place(
    out: Floats, size: int, counts: Floats, said: Masks, blocks: Ints, parents: Ints, values: Floats, inside: Floats, score: Floats, titled: int
) -> None:
    """The columns PLACED, behind the counts: where a block stands in the page."""
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
        row, own = out[i], max(counts[i, 0], np.float32(1))
        row[: len(COUNTED)] = counts[i]
        words += values[i, 0]
        before += values[i, 2]
        if said[i] & ENDS_MASK:
            label, labels = i, labels + 1
        at = len(COUNTED)
        row[at], row[at + 1], row[at + 2], row[at + 3] = counts[i, 1] / own, counts[i, 2] / own, counts[i, 5] / own, counts[i, 6] / max(counts[i, 2], 1)
        row[at + 4], row[at + 5], row[at + 6], row[at + 7] = counts[i, 10] / titled, blocks[i, 1], i / n, words / total
        row[at + 8], row[at + 9], row[at + 10], row[at + 11] = before / prose, n, total, prose / total
        row[at + 12], row[at + 13], row[at + 14], row[at + 15] = blocks[i, 3] / size, i - first, i - last, i - h1
        row[at + 16], row[at + 17], row[at + 18], row[at + 19] = in_best[blocks[i, 2]], above_best[blocks[i, 2]], min(i - label, 100), labels


@numba.njit(cache=True, nogil=True)
def _around(out: Floats, at: int, blocks: Ints, parents: Ints, inside: Floats, score: Floats) -> int:
    """The columns AROUND, for the element of the block and the three above it."""
    total, prose, best = max(inside[0, 0], np.float32(1)), max(inside[0, 2], np.float32(1)), max(score.max(), np.float32(1))
    for i in range(len(blocks)):
        node = blocks[i, 2]
        for level in range(4):
            here, column = inside[node], at + 5 * level
            out[i, column], out[i, column + 1] = here[0] / total, here[1] / max(here[0], np.float32(1))
            out[i, column + 2], out[i, column + 3], out[i, column + 4] = here[2] / prose, here[3], score[node] / best
            node = parents[node]
    return at + 20


@numba.njit(cache=True, nogil=True)
def _alike(out: Floats, at: int, group: Ints, values: Floats) -> int:
    """The columns ALIKE: how many blocks are built like this one, their share of the words, their links, their length."""
    n = len(group)
    sums = np.zeros((group.max() + 1, 3), np.float32)
    for i in range(n):
        sums[group[i], 0] += 1
        sums[group[i], 1] += values[i, 0]
        sums[group[i], 2] += values[i, 1]
    total = max(sums[:, 1].sum(), np.float32(1))
    for i in range(n):
        many, words, linked = sums[group[i]]
        out[i, at], out[i, at + 1], out[i, at + 2], out[i, at + 3] = many, words / total, linked / max(words, np.float32(1)), words / many
    return at + 4


@numba.njit(cache=True, nogil=True)
def _flags(out: Floats, at: int, blocks: Ints, masks: Masks, said: Masks, values: Floats) -> int:
    """The columns of tags, of class words above and near, of what short blocks say, and of the page's share under a class word."""
    n, one = len(blocks), np.uint64(1)
    shares = np.zeros(len(SHARED_BITS), np.float32)
    for i in range(n):
        for x in range(len(SHARED_BITS)):
            if masks[i, 1] >> np.uint64(SHARED_BITS[x]) & one:
                shares[x] += values[i, 2]
    shares /= max(values[:, 2].sum(), np.float32(1))
    for i in range(n):
        row, tag, c = out[i], blocks[i, 0], at
        for shown in SHOWN_IDS:
            row[c] = tag == shown
            c += 1
        for heading in HEADINGS:
            row[c] = max(row[c], np.float32(tag == heading))
        c += 1
        for bit in ABOVE_BITS:
            row[c] = masks[i, 2] >> np.uint64(bit) & one
            c += 1
        for bit in range(64):
            row[c + bit], row[c + 64 + bit] = masks[i, 1] >> np.uint64(bit) & one, masks[i, 0] >> np.uint64(bit) & one
        c += 128
        for bit in SAID_BITS:
            row[c] = said[i] >> np.uint64(bit) & one
            c += 1
        for x in range(len(SHARED_BITS)):
            row[c] = shares[x] if masks[i, 1] >> np.uint64(SHARED_BITS[x]) & one else np.float32(-1)
            c += 1
    return c


@numba.njit(cache=True, nogil=True)
def _near(out: Floats, at: int, blocks: Ints, values: Floats, counts: Floats) -> None:
    """The columns NEARBY of the blocks before and behind, and the words and prose in windows around."""
    n, wide = len(blocks), len(NEARBY) - 1
    heading = at  # filled below from the flags of the neighbour itself
    for i in range(n):
        for x in range(len(NEAR)):
            other, column = i + NEAR[x], heading + wide * x
            if not 0 <= other < n:
                out[i, column : column + wide] = -1
                continue
            tag = blocks[other, 0]
            out[i, column], out[i, column + 1], out[i, column + 2] = values[other, 0], values[other, 1] / max(values[other, 0], np.float32(1)), counts[other, 4]
            out[i, column + 3], out[i, column + 4], out[i, column + 5] = tag == SHOWN_IDS[0], False, tag == SHOWN_IDS[1]
            for level in HEADINGS:
                if tag == level:
                    out[i, column + 4] = 1
            out[i, column + 6] = out[other, FLAT + 4]
        for x in range(len(WINDOWS)):
            words, prose = np.float32(0), np.float32(0)
            for other in range(max(i - WINDOWS[x], 0), min(i + WINDOWS[x] + 1, n)):
                words += values[other, 0]
                prose += values[other, 2]
            column = at + wide * len(NEAR) + 2 * x
            out[i, column], out[i, column + 1] = words, prose / max(words, np.float32(1))
