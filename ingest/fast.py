"""HTML to text in one pass and no tree, for the pages whose blocks leave little doubt; the others are `ingest.html`'s.

A page of 100 kB takes about 2 ms: to find its blocks, to measure them, to ask the trees which are its text, and to read what it says of
itself. Which pages are in doubt was learned with the trees: docs/ingest.md has the figures.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ingest.about import about
from ingest.blocks import Blocks, scan
from ingest.charset import decode
from ingest.choice import LIKELY, Trees, doubt, learned, probabilities
from ingest.features import measure
from ingest.plain import render

MAX_BYTES = 16 << 20
DOUBT = 0.25
"""Of the words chosen, the share expected to be wrong beyond which a page is in doubt: one in eight of the gold pages."""


class Reading(NamedTuple):
    """A page in UTF-8 as the fast tier reads it: its blocks, how probably each is its text, and the doubt in that."""

    page: bytes
    encoding: str
    found: Blocks
    words: npt.NDArray[np.float32]
    probable: npt.NDArray[np.float32]
    doubt: float


def read(page: bytes, charset: str | None = None, trees: Trees | None = None) -> Reading:
    """Find a page's blocks and judge them. Raises UnicodeError where no encoding makes sense of the bytes."""
    markup, encoding = decode(page, charset)
    data = page if encoding == "utf-8" and page[:3] != b"\xef\xbb\xbf" else markup.encode("utf-8", "replace")
    found = scan(data)
    features = measure(found, data)
    probable = probabilities(features, trees or learned())
    return Reading(data, encoding, found, features[:, 0], probable, doubt(probable, features[:, 0]))


def extract(page: bytes, *, url: str = "", charset: str | None = None, day: str | None = None, trees: Trees | None = None) -> dict[str, Any] | None:
    """Return what `ingest.html.extract` does of a page that is plain, and None of one that is not."""
    if len(page) > MAX_BYTES:
        return None
    try:
        said = read(page, charset, trees)
    except UnicodeError:
        return None
    if said.doubt > DOUBT:
        return None
    text = render(said.found, said.page, said.probable > LIKELY)
    if not text:
        return None
    found = about(said.page, said.found, said.words, url=url, day=day)
    return {"text": text, "charset": said.encoding, "confidence": round(1 - said.doubt, 3), **found}
