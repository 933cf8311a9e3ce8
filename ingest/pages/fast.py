"""HTML to text in one pass and no tree; a page that cannot be read so, or whose blocks leave doubt, is `ingest.html`'s.

A page of 160 kB takes about 1.5 ms on a slow core: to find its blocks, to measure them, to ask the trees which are its text, and to read what it says of
itself. docs/ingest.md has the figures.
"""

from typing import Any, NamedTuple

from ingest.charset import as_utf8
from ingest.pages.about import about
from ingest.pages.blocks import MAX_BLOCKS, MAX_SEGMENTS, Blocks, scan
from ingest.pages.choice import Trees, choose, doubt, learned, probabilities, together
from ingest.pages.features import Floats, measure
from ingest.pages.formulae import written
from ingest.pages.plain import render

MAX_BYTES = 16 << 20
DOUBT, WRONG = 0.1, 50.0
"""A page is in doubt with more words than the second expected to be chosen wrongly, and more than the first's share of those chosen: a quarter of the gold."""


class Reading(NamedTuple):
    """A page in UTF-8 as the fast tier reads it: its blocks, how probably each is its text, and the doubt in that (`choice.doubt`)."""

    page: bytes
    encoding: str
    found: Blocks
    words: Floats
    probable: Floats
    wrong: float
    doubt: float


def read(page: bytes, charset: str | None = None, trees: Trees | None = None) -> Reading:
    """Find a page's blocks and judge them. Raises UnicodeError where no encoding makes sense of the bytes, OverflowError of too many blocks."""
    data, encoding = as_utf8(page, charset)
    data = written(data)
    found = scan(data)
    if len(found.blocks) > MAX_BLOCKS or len(found.segments) >= MAX_SEGMENTS:
        raise OverflowError(f"more than {MAX_BLOCKS:,} blocks of text, or {MAX_SEGMENTS:,} pieces of it")
    features = measure(found, data)
    probable = together(found, features, probabilities(features, trees or learned()))
    return Reading(data, encoding, found, features[0], probable, *doubt(features[0], probable))


def in_doubt(said: Reading) -> bool:
    """Whether a second opinion is worth its time."""
    return said.doubt > DOUBT and said.wrong > WRONG


def extract(
    page: bytes, *, url: str = "", charset: str | None = None, day: str | None = None, sure: bool = False, trees: Trees | None = None
) -> dict[str, Any] | None:
    """Return what `ingest.html.extract` does, and None of a page that cannot be read so; where it must be `sure`, of one in doubt too."""
    if len(page) > MAX_BYTES:
        return None
    try:
        said = read(page, charset, trees)
    except (UnicodeError, OverflowError):
        return None
    if sure and in_doubt(said):
        return None
    text = render(said.found, said.page, choose(said.words, said.probable))
    if not text:
        return None
    found = about(said.page, said.found, said.words, url=url, day=day)
    return {"text": text, "charset": said.encoding, "confidence": round(max(0.0, 1 - said.doubt), 3), **found}
