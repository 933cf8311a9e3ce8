"""Formulae in a page, put where its text is read: as TeX between dollar signs where the page carries it, else in one line.

What is looked at: `<math>` with its alttext or its TeX annotation (MediaWiki, LaTeXML, KaTeX), MathJax's `<script type="math/tex">`, and
pictures of formulae that carry their TeX as alt text. KaTeX shows the same a second time for the eye, which goes.
"""

import html
import re
from collections.abc import Callable, Iterator

import numba
import numpy as np
import numpy.typing as npt

HINTS = (b"<math", b"<m:math", b"math/tex", b"katex", b'class="latex"', b"mwe-math")
TEX = re.compile(rb"""<annotation[^>]{0,300}encoding\s?=\s?["']application/x-tex["'][^>]{0,300}>([^<]{1,8000})""", re.I)
ALT_TEXT = re.compile(rb"""\balttext\s?=\s?(?:"([^"]{1,4000})"|'([^']{1,4000})')""", re.I)
DISPLAYED = re.compile(rb"""\bdisplay\s?=\s?["']?block|mode\s?=\s?["']?display""", re.I)
OF_TEX = re.compile(rb"""\btype\s?=\s?["']math/tex""", re.I)
OF_FORMULA = re.compile(rb"""\bclass\s?=\s?["'][^"'>]{0,300}(?:mwe-math|\blatex\b|\btex\b)""", re.I)
ALT = re.compile(rb"""\balt\s?=\s?"([^"]{1,4000})\"""", re.I)
SPAN = re.compile(rb"<(/?)span\b", re.I)
MOST_TAG, MOST_MARKUP = 8000, 64 << 10
"""Bytes of a tag, and of what stands between two, that are read."""
MOST = 2000
"""Tags of a kind that are looked at: no page of text has as many formulae, and a page made of them ends."""

Replaced = tuple[int, int, bytes]


def written(page: bytes) -> bytes:
    """Return a page in UTF-8 with its formulae as text."""
    if not _hinted(np.frombuffer(page, np.uint8)) or not any(hint in page for hint in HINTS):
        return page
    for find in (_scripts, _pictures, _twice, _elements):
        page = _with(page, find)
    return page


@numba.njit(cache=True, nogil=True)
def _hinted(data: npt.NDArray[np.uint8]) -> bool:
    """Whether `math` or `atex` stands in a page as in a hint: in one pass, many bytes at a time, whether at all, and then what stands beside it."""
    found = False
    for i in range(len(data) - 3):
        math = (data[i] == 109) & (data[i + 1] == 97) & (data[i + 2] == 116) & (data[i + 3] == 104)
        found |= math | ((data[i] == 97) & (data[i + 1] == 116) & (data[i + 2] == 101) & (data[i + 3] == 120))
    if not found:
        return False
    for i in range(1, len(data) - 4):
        before, second = data[i - 1], data[i + 1]
        if second == 97 and data[i] == 109 and data[i + 2] == 116 and data[i + 3] == 104:
            if before in (60, 58, 45) or data[i + 4] == 47:  # <math, m:math, mwe-math, math/
                return True
        elif second == 116 and data[i] == 97 and data[i + 2] == 101 and data[i + 3] == 120 and before in (107, 108):  # katex, latex
            return True
    return False


def _with(page: bytes, find: Callable[[bytes], Iterator[Replaced]]) -> bytes:
    """A page with what was found in the place of what stood there; of two that overlap the first counts."""
    out, at = [], 0
    for start, end, text in find(page):
        if start >= at:
            out += [page[at:start], text]
            at = end
    return b"".join([*out, page[at:]]) if out else page


def _tags(page: bytes, opening: bytes) -> Iterator[tuple[int, int]]:
    """Where each tag begins, and the offset behind it."""
    low, at = page.lower(), 0
    for _ in range(MOST):
        start = low.find(opening, at)
        if start < 0:
            return
        end = page.find(b">", start, start + MOST_TAG) + 1
        follows = page[start + len(opening) : start + len(opening) + 1]
        if end and (follows.isspace() or follows in (b">", b"/")):
            yield start, end
        at = start + len(opening)


def _scripts(page: bytes) -> Iterator[Replaced]:
    for start, end in _tags(page, b"<script") if b"math/tex" in page else ():
        close = page.find(b"</script>", end, end + MOST_MARKUP)
        if close > 0 and OF_TEX.search(page, start, end):
            yield start, close + 9, _dollars(page[end:close], bool(DISPLAYED.search(page, start, end)))


def _pictures(page: bytes) -> Iterator[Replaced]:
    for start, end in _tags(page, b"<img"):
        said = ALT.search(page, start, end) if OF_FORMULA.search(page, start, end) else None
        if said:
            yield start, end, _dollars(said[1], False)


def _twice(page: bytes) -> Iterator[Replaced]:
    """What KaTeX draws for the eye beside its MathML."""
    if b"katex-html" not in page or b"<math" not in page:
        return
    for start, end in _tags(page, b"<span"):
        depth = 1 if b"katex-html" in page[start:end] else 0
        for tag in SPAN.finditer(page, end, end + MOST_MARKUP) if depth else ():
            depth += -1 if tag[1] else 1
            if depth == 0:
                yield start, page.find(b">", tag.end()) + 1 or tag.end(), b""
                break


def _elements(page: bytes) -> Iterator[Replaced]:
    """Each math element as its formula. One that does not end stays as it is."""
    for name in (b"math", b"m:math"):
        for start, end in _tags(page, b"<" + name):
            close = page.find(b"</" + name + b">", end, end + MOST_MARKUP)
            if close < 0:
                continue
            behind, said = close + len(name) + 3, ALT_TEXT.search(page, start, end)
            tex = TEX.search(page, end, close)
            if tex or said:
                source = tex[1] if tex else said[1] or said[2]  # type: ignore[index]
                yield start, behind, _dollars(source, bool(DISPLAYED.search(page, start, end)))
            else:
                yield start, behind, _line(page[start:behind])


def _dollars(source: bytes, block: bool) -> bytes:
    """TeX between dollar signs, as the text of a page."""
    tex = " ".join(html.unescape(source.decode("utf-8", "replace")).replace("$", "").split())
    while tex.startswith(r"{\displaystyle") and tex.endswith("}"):
        tex = tex.removeprefix(r"{\displaystyle")[:-1].strip()
    sign = "$$" if block else "$"
    return html.escape(f"{sign}{tex}{sign}", quote=False).encode() if tex else b""


def _line(element: bytes) -> bytes:
    """MathML in one line as an author would type it; its bare words where it cannot be parsed."""
    from ingest.formula import formula  # few pages have it, and it brings a parser along
    from ingest.markup import parse

    try:
        said = formula(parse(re.sub(rb"<(/?)m:", rb"<\1", element), recover=True))
    except (ValueError, RecursionError):
        said = " ".join(html.unescape(re.sub(rb"<[^>]{0,2000}>", b" ", element).decode("utf-8", "replace")).split())
    return html.escape(said or "", quote=False).encode()
