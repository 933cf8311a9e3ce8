"""HTML to text with a tree: the one door to trafilatura, for pages whose blocks leave doubt and for who wants the best of every page.

`extract` takes hostile bytes and may hang or die of them, so it is run in a `catalog.worker.Worker`, by name:
`Worker("ingest.html:extract")`. Nothing else imports this module, and the processes that read WARC files stay light.

Opinions are joined, as votes on each block. The trees of `ingest.pages.choice` give the odds that it is text; trafilatura is asked for precision, and
by who is thorough for balance too, where that finds little or the trees are in doubt. Its words are found again in the blocks by alignment. What its
votes weigh was tuned on the gold pages (docs/ingest.md).
Its own de-duplication is off: that is a decision made later, which can be asked about.
"""

import re
from typing import Any

import numpy as np
import trafilatura
from htmldate import find_date
from lxml import etree
from lxml.html import HtmlElement
from trafilatura.settings import Document
from trafilatura.utils import load_html
from trafilatura.xml import xmltotxt

from ingest.pages.about import about
from ingest.pages.align import shares
from ingest.pages.choice import Trees
from ingest.pages.fast import MAX_BYTES, Reading, in_doubt, read
from ingest.pages.features import Floats
from ingest.pages.plain import TOO_BIG, render

MAX_ELEMENTS = 200_000
MAX_DEPTH = 250
"""Elements inside elements. Real pages stay under 100; libxml2 and trafilatura's recursion give up somewhere beyond."""
ENOUGH = 800
"""Characters under which its precision is not the last word: 14 % of the gold pages, 40 % of the demo's rough ones."""
ALONE, BOTH = ((2.5,), 0.3), ((2.0, 1.0), 0.0)
"""What a vote of its precision, and of its balance, adds to the log-odds of a block or takes from them, and the sum above which the block is text."""
DEEP = etree.XPath(f"boolean(//*[not(*)][count(ancestor::*) > {MAX_DEPTH}])")
COUNT = etree.XPath("count(//*)")


def extract(
    page: bytes, *, url: str = "", charset: str | None = None, day: str | None = None, thorough: bool = True, trees: Trees | None = None
) -> dict[str, Any]:
    """Return the text of a page and what it says of itself, or why there is none.

    `text` is the main text: a paragraph a line, headings as `#`, items as `- `, rows as `| a | b |`, code in fences. With it go title,
    author, date (ISO), license (SPDX), language (as declared), the encoding found, and `confidence`: 1 less the share of the words in
    doubt. Otherwise `refused` is the reason: `too_large`, `wrong_charset`, `not_html`, `too_many_elements`, `too_deep`, `no_text`.
    `charset` comes from the HTTP header; no date is later than `day`, the day of capture, so that the answer does not depend on
    when it is asked for. Who is not `thorough` asks for a second opinion only where the first is that there is no text: half the time.
    """
    if len(page) > MAX_BYTES:
        return {"refused": "too_large", "error": f"{len(page)} bytes"}
    try:
        said = read(page, charset, trees)
    except UnicodeError as error:
        return {"refused": "wrong_charset", "error": str(error)}
    except OverflowError as error:
        return {"refused": "too_many_elements", "error": str(error)}
    markup = TOO_BIG.sub("\ufffd", said.page.decode("utf-8", "replace"))
    tree = load_html(markup)
    if tree is None:
        return {"refused": "not_html", "error": "no tree can be made of it"}
    size = int(COUNT(tree))
    if size > MAX_ELEMENTS:
        return {"refused": "too_many_elements", "error": str(size)}
    if DEEP(tree):
        return {"refused": "too_deep", "error": f"more than {MAX_DEPTH} elements inside each other"}
    text, confidence = text_of(said, tree, url, thorough=thorough)
    if not text:
        return {"refused": "no_text", "error": "no main text was found"}
    found = about(said.page, said.found, said.words, url=url, day=day)
    if not found["date"]:
        found["date"] = find_date(tree, original_date=True, extensive_search=False, url=url or None, max_date=day)
    return {"text": text, "charset": said.encoding, "confidence": confidence, **found}


def warm() -> None:
    """Do each thing once, so that what is compiled at its first call is."""
    extract(b"<title>A page</title><article><h1>A page</h1><p>" + b"Some words of prose, enough of them. " * 40 + b"</p></article>")


def text_of(said: Reading, tree: HtmlElement, url: str = "", *, thorough: bool = True) -> tuple[str, float]:
    """Return a page's text by all opinions, and the confidence in it."""
    theirs = [_text(tree, url, rules_alone=True)]
    if not theirs[0] or (thorough and (len(theirs[0]) < ENOUGH or in_doubt(said))):
        theirs.append(_text(tree, url, rules_alone=False))
    whole = next(filter(None, theirs), "")
    votes = [shares(said.found, said.page, one) for one in theirs]
    odds = _odds(said, [vote for vote in votes if vote is not None]) if votes[0] is not None else None
    if odds is None:                                         # too long to be aligned
        return whole, 0.0
    text = render(said.found, said.page, odds > 0)
    if len(text.split()) < len(whole.split()) / 2:           # what it read is not in the blocks: a frame, a text in a script
        return whole, 0.0
    return text, _confidence(said, odds)


def _odds(said: Reading, votes: list[Floats]) -> Floats:
    """The log-odds that each block is text; above 0 it is."""
    weights, bound = BOTH if len(votes) > 1 else ALONE
    probable = np.clip(said.probable, 1e-3, 1 - 1e-3)
    odds: Floats = np.log(probable / (1 - probable)) - np.float32(bound)
    for weight, vote in zip(weights, votes, strict=True):
        odds += np.float32(weight) * (2 * vote - 1)
    return odds


def _confidence(said: Reading, odds: Floats) -> float:
    """1 less the words in doubt, as a share of the words chosen."""
    wrong = 1 / (1 + np.exp(np.abs(odds)))
    return round(max(0.0, 1 - float((said.words * wrong).sum() / max((said.words * (odds > 0)).sum(), 20.0))), 3)


def _text(tree: HtmlElement, url: str, *, rules_alone: bool) -> str:
    """trafilatura's main text; `tree` is left as it is."""
    found = trafilatura.bare_extraction(tree, url=url or None, fast=rules_alone, favor_precision=rules_alone, include_comments=False)
    if not isinstance(found, Document) or found.body is None:
        return ""
    return re.sub(r"[ \t]+\n", "\n", str(xmltotxt(found.body, False))).strip()
