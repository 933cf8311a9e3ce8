"""HTML to text: the one door to trafilatura.

`extract` takes hostile bytes and may hang or die of them, so it is run in a `catalog.worker.Worker`, by name:
`Worker("ingest.html:extract")`. Nothing else imports this module, and the processes that read WARC files stay light.

How it is asked was chosen by measuring (docs/ingest.md): first its rules alone, for precision; where they find little, its
balanced mode with second opinions (readability, jusText), which costs half as much again. Its own de-duplication is off:
that is a decision made later, which can be asked about.
"""

import contextlib
import re
from typing import Any

import trafilatura
from htmldate import find_date
from lxml import etree
from lxml.html import HtmlElement
from trafilatura.metadata import examine_meta, extract_meta_json, extract_title
from trafilatura.settings import Document
from trafilatura.utils import load_html
from trafilatura.xml import xmltotxt

from ingest import licenses
from ingest.charset import decode

MAX_BYTES = 16 << 20
MAX_ELEMENTS = 200_000
ENOUGH = 800
"""Characters under which the rules alone are not the last word: 14 % of the gold pages, 40 % of the demo's rough ones."""
MAX_DEPTH = 250
"""Elements inside elements. Real pages stay under 100; libxml2 and trafilatura's recursion give up somewhere beyond."""
DEEP = etree.XPath(f"boolean(//*[not(*)][count(ancestor::*) > {MAX_DEPTH}])")
COUNT = etree.XPath("count(//*)")
LICENSED = etree.XPath(
    "//a[contains(concat(' ', normalize-space(@rel), ' '), ' license ')]/@href | //link[@rel = 'license']/@href"
    " | //meta[contains(@name, 'rights') or contains(@name, 'license') or @property = 'og:license']/@content"
    " | //footer//a/@href | //*[contains(@class, 'footer') or contains(@id, 'footer')]//a/@href"
)
LICENSED_JSON = re.compile(r'"license"\s*:\s*"([^"]{8,200})"')


def extract(page: bytes, *, url: str = "", charset: str | None = None, day: str | None = None) -> dict[str, Any]:
    """Return the text of a page and what it says of itself, or why there is none.

    `text` is the main text: a paragraph a line, headings as `#`, items as `- `, rows as `| a | b |`. With it go title, author,
    date (ISO), license (SPDX), language (as declared) and the encoding found. Otherwise `refused` is the reason: `too_large`,
    `wrong_charset`, `not_html`, `too_many_elements`, `too_deep`, `no_text`. `charset` comes from the HTTP header; no date is
    later than `day`, the day of capture, so that the answer does not depend on when it is asked for.
    """
    if len(page) > MAX_BYTES:
        return {"refused": "too_large", "error": f"{len(page)} bytes"}
    try:
        markup, encoding = decode(page, charset)
    except UnicodeError as error:
        return {"refused": "wrong_charset", "error": str(error)}
    tree = load_html(markup)
    if tree is None:
        return {"refused": "not_html", "error": "no tree can be made of it"}
    size = int(COUNT(tree))
    if size > MAX_ELEMENTS:
        return {"refused": "too_many_elements", "error": str(size)}
    if DEEP(tree):
        return {"refused": "too_deep", "error": f"more than {MAX_DEPTH} elements inside each other"}
    text = _text(tree, url, rules_alone=True)
    if len(text) < ENOUGH:
        text = _text(tree, url, rules_alone=False) or text
    if not text:
        return {"refused": "no_text", "error": "no main text was found"}
    return {"text": text, "charset": encoding, **_about(tree, markup, url, day)}


def _text(tree: HtmlElement, url: str, *, rules_alone: bool) -> str:
    """The main text; `tree` is left as it is."""
    found = trafilatura.bare_extraction(tree, url=url or None, fast=rules_alone, favor_precision=rules_alone, include_comments=False)
    if not isinstance(found, Document) or found.body is None:
        return ""
    for head in found.body.iter("head"):
        level = (head.get("rend") or "h2")[1:]
        head.text = f"{'#' * (int(level) if level in '123456' else 2)} {(head.text or '').lstrip()}"
    return re.sub(r"[ \t]+\n", "\n", str(xmltotxt(found.body, False))).strip()


def _about(tree: HtmlElement, markup: str, url: str, day: str | None) -> dict[str, Any]:
    """What the page says of itself in its head and in JSON-LD; the cheap part of trafilatura's metadata."""
    about = examine_meta(tree)
    with contextlib.suppress(Exception):  # its JSON reader trips over odd types; what the head says stands
        about = extract_meta_json(tree, about)
    date = find_date(tree, original_date=True, extensive_search=False, url=url or None, max_date=day)
    title = about.title or extract_title(tree)
    return {
        "title": _line(title, 500), "author": _line(about.author, 200), "date": date, "license": _license(tree, markup),
        "language": _line(tree.get("lang") or tree.get("{http://www.w3.org/XML/1998/namespace}lang"), 20),
    }  # fmt: skip


def _line(said: str | None, most: int) -> str | None:
    return " ".join(said.split())[:most] or None if said else None


def _license(tree: HtmlElement, markup: str) -> str | None:
    if "creativecommons.org" not in markup:
        return None
    said = [str(href) for href in LICENSED(tree)] + LICENSED_JSON.findall(markup)
    return next((name for link in said if (name := licenses.of_link(link))), None)
