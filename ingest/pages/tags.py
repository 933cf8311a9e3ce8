"""What the block scanner knows of HTML's elements, and the class words that tell a page's parts apart."""

import numpy as np
import numpy.typing as npt

# The order is part of a block's `inside` mask: the first 64 are its bits.
TAGS = (
    "", "p", "div", "section", "article", "main", "header", "footer", "nav", "aside", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt",
    "dd", "table", "tr", "td", "th", "pre", "blockquote", "figure", "figcaption", "form", "address", "details", "summary", "fieldset", "center",
    "caption", "thead", "tbody", "tfoot", "hr", "hgroup", "menu", "dialog", "legend", "a", "code", "b", "strong", "i", "em", "span", "label", "time",
    "font", "small", "sup", "sub", "cite", "q", "abbr", "mark", "u", "s", "html", "head", "body", "title", "script", "style", "noscript", "template",
    "svg", "math", "iframe", "object", "video", "audio", "canvas", "noframes", "applet", "select", "option", "optgroup", "button", "textarea", "br",
    "img", "input", "meta", "link", "base", "source", "area", "col", "embed", "track", "wbr", "param", "colgroup", "picture", "ins", "del", "kbd", "samp",
    "var", "tt", "map", "ruby", "rt", "data", "output", "frameset",
)  # fmt: skip
ID = {name: number for number, name in enumerate(TAGS)}
BITS = 64

WORDS = (
    "article", "content", "post", "entry", "story", "body", "main", "text", "comment", "sidebar", "nav", "menu", "footer", "header", "share", "social",
    "related", "widget", "promo", "advert", "banner", "popular", "recommend", "newsletter", "subscribe", "meta", "author", "byline", "date", "tag",
    "category", "breadcrumb", "pagin", "login", "cookie", "caption", "gallery", "image", "video", "teaser", "more", "title", "headline", "copyright",
    "legal", "disclaim", "search", "rating", "review", "form", "popup", "modal", "hidden", "toolbar", "print", "summary", "lead", "disqus", "reply",
    "similar", "recent", "archive", "blog", "product",
)  # fmt: skip
"""Looked for in class, id, role and itemprop; word n is bit n."""

FNV_START, FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


def fnv(text: str) -> int:
    """Return the 64-bit FNV-1a hash of a tag's name, as the scanner computes it byte by byte."""
    found = int(FNV_START)
    for byte in text.encode():
        found = ((found ^ byte) * int(FNV_PRIME)) & (2**64 - 1)
    return found


def mask(names: str) -> npt.NDArray[np.bool_]:
    """Return which tags are named."""
    found = np.zeros(len(TAGS), np.bool_)
    found[[ID[name] for name in names.split()]] = True
    return found


MIX, SHIFT = np.uint64(0x50E572E6E750E537), np.uint64(54)
"""Multiplied by the first, found by trying, the hashes of all names differ in their first ten bits."""


def _slots() -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint64]]:
    """By the first ten bits of a mixed hash: which tag's it is, 0 for none, and the hash."""
    numbers, hashes = np.zeros(1024, np.int32), np.zeros(1024, np.uint64)
    for name, number in ID.items():
        slot = (fnv(name) * int(MIX) & (2**64 - 1)) >> int(SHIFT)
        assert not hashes[slot], f"<{name}> has the slot of <{TAGS[numbers[slot]]}>: try other values of MIX"
        numbers[slot], hashes[slot] = number, fnv(name)
    return numbers, hashes


NUMBERS, HASHES = _slots()

BLOCK = mask(
    "html head body p div section article main header footer nav aside h1 h2 h3 h4 h5 h6 ul ol li dl dt dd table tr td th thead tbody tfoot caption pre"
    " blockquote figure figcaption form address center fieldset details summary hr title legend dialog menu hgroup"
)
VOID = mask("br hr img input meta link base source area col embed track wbr param")
RAW = mask("script style textarea title iframe noframes")
"""Elements whose content is no markup: it ends at their own end tag alone."""
HEADS = mask("title meta link base script style noscript template")
"""What may stand in a head; anything else ends it, closed or not."""
SILENT = mask("script style noscript template svg iframe select option button textarea head math object video audio canvas noframes applet")
"""Elements whose text is not the page's."""


def _table() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.uint32]]:
    """The words as bytes, their lengths, for each letter the words that begin with it, -1 after the last, and by two letters the third ones that begin one."""
    longest = max(map(len, WORDS))
    letters, lengths = np.zeros((len(WORDS), longest), np.uint8), np.array([len(word) for word in WORDS], np.int32)
    by_letter: list[list[int]] = [[] for _ in range(26)]
    begun = np.zeros(1024, np.uint32)
    for number, word in enumerate(WORDS):
        letters[number, : len(word)] = list(word.encode())
        by_letter[ord(word[0]) - ord("a")].append(number)
        begun[(ord(word[0]) & 31) << 5 | ord(word[1]) & 31] |= np.uint32(1 << (ord(word[2]) & 31))
    starts = np.full((26, max(map(len, by_letter)) + 1), -1, np.int32)
    for row, numbers in enumerate(by_letter):
        starts[row, : len(numbers)] = numbers
    return letters, lengths, starts, begun


LETTERS, LENGTHS, STARTS, BEGUN = _table()
