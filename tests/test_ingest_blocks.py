"""The block scanner: what stands in which block, what is no text, and that no bytes whatever lead it outside its arrays."""

import html
import random
import re
from collections import Counter
from pathlib import Path

import lxml.html
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.pages.blocks import BREAK, DEEPEST, LINK, TEXT, Blocks, scan
from ingest.pages.syntax import PADDING, raw_end, tag_at, words_in
from ingest.pages.tags import FNV_START, ID, SILENT, TAGS, WORDS, fnv

WORD = re.compile(r"\w+")


def shown(page: str) -> list[tuple[str, str]]:
    """Each block as (tag, text), breaks as |, link text in brackets."""
    data = page.encode()
    found = scan(data)
    texts = ["" for _ in found.blocks]
    for start, end, block, kind in found.segments.tolist():
        text = data[start:end].decode()
        texts[block] += "|" if kind == BREAK else f"[{text}]" if kind == LINK else text
    return [(TAGS[tag], " ".join(text.split())) for tag, text in zip(found.blocks[:, 0].tolist(), texts, strict=True)]


PAGES = {
    "paragraphs": ("<p>One <b>bold</b> word.<p>Two</p>three", [("p", "One bold word."), ("p", "Two"), ("", "three")]),
    "items end one another": ("<ul><li>a<li>b<ul><li>c</ul><li>d</ul>", [("li", "a"), ("li", "b"), ("li", "c"), ("li", "d")]),
    "cells and rows": ("<table><tr><th>h<td>x<tr><td>y</table>z", [("th", "h"), ("td", "x"), ("td", "y"), ("", "z")]),
    "terms": ("<dl><dt>t<dd>d<dt>u</dl>", [("dt", "t"), ("dd", "d"), ("dt", "u")]),
    "a block ends a paragraph": ("<p>a<div>b</div>c", [("p", "a"), ("div", "b"), ("", "c")]),
    "breaks and links": ("<p>a<br>b <a href=x>c</a></p>", [("p", "a|b [c]")]),
    "script and style": ("<p>a<script>if (x<y) '<p>no</p>'</script>b<style>p{}</style>", [("p", "ab")]),
    "a comment and a declaration": ("<!doctype html><p>a<!-- <p>no -->b<?php no ?>c", [("p", "abc")]),
    "what is hidden": ("<p hidden>no<p style='color: red; display : none'>no<p style=display:block>yes", [("p", "yes")]),
    "what is no text": ("<p>a<select><option>no</select><button>no</button><svg><text>no</text></svg>b", [("p", "ab")]),
    "a head that is never closed": ("<html><head><title>T</title><meta x><p>a", [("p", "a")]),
    "a sign that is no tag": ("<p>1 < 2 and 3 <4", [("p", "1 < 2 and 3 <4")]),
    "formatting closes no block": ("<b><p>a</b>b</p>c", [("p", "ab"), ("", "c")]),
    "an end tag alone": ("a</div></p></nothing>b", [("", "a"), ("", "b")]),
    "space is no block": ("<div> <p>a</p> \n <p>b</p> </div>", [("p", "a"), ("p", "b")]),
    "a break that ends nothing": ("<p>a</br>b</p></br>c", [("p", "a|b"), ("", "c")]),
    "an empty title is none": ("<title></title><style></style><p>a", [("p", "a")]),
    "capitals": ("<P CLASS=X>a</P><SCRIPT>no</script>b", [("p", "a"), ("", "b")]),
    "nothing": ("", []),
    "a page cut in a tag": ("<p>a<b class='x", [("p", "a")]),
    "a page cut in a comment": ("<p>a<!-- no", [("p", "a")]),
    "a page cut in a script": ("<p>a<script>no", [("p", "a")]),
}


@pytest.mark.parametrize("name", PAGES)
def test_text_stands_in_its_block(name: str) -> None:
    page, blocks = PAGES[name]
    assert shown(page) == blocks


def test_what_is_known_of_a_block() -> None:
    page = b"<title>A &amp; B</title><body class=sidebar><div id=Main-Content><ul class='c-comments'><li>x</ul></div><p>y"
    found = scan(page)
    item, plain = found.masks.tolist()
    words = lambda bits: {word for i, word in enumerate(WORDS) if bits >> i & 1}  # noqa: E731
    assert words(item[0]) == words(item[1]) == {"main", "content", "comment"}
    assert words(plain[0]) == words(plain[1]) == set(), "a class of body says nothing of a block"
    assert {TAGS[i] for i in range(64) if item[2] >> i & 1} == {"div", "ul", "li"}
    assert page[slice(*found.title)] == b"A &amp; B"
    assert found.blocks[:, 1].tolist() == [4, 2] and found.depth == 4
    node, path = int(found.blocks[0, 2]), []
    while node:
        path.append(node)
        node = int(found.parents[node])
    assert path == [4, 3, 2, 1]
    assert [page[offset : offset + 1] for offset in found.blocks[:, 3]] == [b"x", b"y"]


@pytest.mark.parametrize("page", [b"<style/>" * 200_000, b"<title/>" * 200_000 + b"</title>"])
def test_empty_raw_elements_are_searched_for_their_end_once(page: bytes) -> None:
    assert len(scan(page).segments) == 0


@pytest.mark.parametrize("page", [
    b"<head><title>T</title></head><svg><title>no</title></svg>", b"<svg><title>no</title></svg><title>T</title>", b"<title></title><title>T</title>",
])  # fmt: skip
def test_the_title_is_the_head_s_not_a_picture_s(page: bytes) -> None:
    assert page[slice(*scan(page).title)] == b"T"


def test_deeper_than_is_followed_the_text_stays() -> None:
    page = b"<div>" * (3 * DEEPEST) + b"deep" + b"</div>" * (3 * DEEPEST) + b"<p>after"
    found = scan(page)
    assert [page[s:e] for s, e, _, _ in found.segments.tolist()] == [b"deep", b"after"]
    assert found.depth == DEEPEST - 1


def test_names_are_found_by_hashes_that_differ() -> None:
    assert fnv("") == int(FNV_START) and fnv("a") == 0xAF63DC4C8601EC8C, "the published value of FNV-1a"
    assert {name: tag_at(np.frombuffer(name.upper().encode() + b">" + PADDING, np.uint8), 0, len(name) + 1) for name in TAGS if name} == {
        name: (number, len(name)) for number, name in enumerate(TAGS) if name
    }
    assert [tag_at(np.frombuffer(name + PADDING, np.uint8), 0, len(name))[0] for name in (b"blink", b"pp", b"\xff")] == [0, 0, 0]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.sampled_from([*WORDS, "Com", "re", "NAV", "-", " ", "\x8f"]), st.text("abcdeilmnorst-", max_size=5)), max_size=8))
def test_class_words_are_those_that_stand_there(parts: list[str]) -> None:
    said = "".join(parts)
    data = np.frombuffer(said.encode("latin-1") + PADDING, np.uint8)
    bits = int(words_in(data, 0, len(said)))
    assert {word for number, word in enumerate(WORDS) if bits >> number & 1} == {word for word in WORDS if word in said.lower()}


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([b"<", b"</script", b"</SCRIPT>", b"</scrip", b"a", b"xxxxxxxxx", b"\xbc", b";<", b"\0"]), max_size=40))
def test_a_script_ends_at_its_end_tag(parts: list[bytes]) -> None:
    inside = b"".join(parts)
    page = b"<script>" + inside + PADDING
    ends, size = np.full(len(TAGS), -1, np.int64), 8 + len(inside)
    found = re.search(rb"</script", inside, re.I)
    assert raw_end(np.frombuffer(page, np.uint8), ID["script"], 1, 8, size, ends) == 8 + (found.start() if found else len(inside))


def whole(found: Blocks, size: int) -> None:
    """What every scan keeps to."""
    starts, ends, blocks, kinds = found.segments.T
    assert (starts >= 0).all() and (ends <= size).all() and (starts <= ends).all() and (np.diff(starts) >= 0).all()
    assert (ends[:-1] <= starts[1:]).all(), "segments do not overlap"
    assert sorted(set(blocks.tolist())) == list(range(len(found.blocks))) and (np.diff(blocks) >= 0).all()
    assert np.isin(kinds, (TEXT, LINK, BREAK)).all()
    assert (found.parents[1:] < np.arange(1, len(found.parents))).all() and (found.parents >= 0).all()
    assert (found.blocks[:, 2] < len(found.parents)).all() and (found.blocks[:, 0] < len(TAGS)).all() and (found.blocks[:, 0] >= 0).all()


PIECES = st.sampled_from(
    [f"<{tag}>" for tag in ("p", "li", "ul", "td", "table", "b", "a", "br", "script", "title", "svg", "head", "x")]
    + [f"</{tag}>" for tag in ("p", "li", "ul", "table", "b", "a", "script", "svg", "head", "x")]
    + ["<", "</", "<!", "<!--", "-->", "<p class", "<p class=", "<p style='display:", "='\"", ">", "/", "text", " ", "\0", "é", "<a href='x'>"]
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.lists(PIECES, max_size=60).map("".join).map(str.encode), st.binary(max_size=400)))
def test_any_bytes_are_scanned_in_bounds(page: bytes) -> None:
    whole(scan(page), len(page))


def test_pages_cut_anywhere_and_spoilt_are_scanned_in_bounds(data) -> None:  # type: ignore[no-untyped-def]
    pages, dice = list(gold_pages(data)), random.Random(7)
    for page in dice.sample(pages, 60):
        spoilt = bytearray(page[: dice.randrange(len(page))])
        for _ in range(min(len(spoilt), 200)):
            spoilt[dice.randrange(len(spoilt))] = dice.choice(b"<>/'\"=! -\0\xff")
        whole(scan(bytes(spoilt)), len(spoilt))


def gold_pages(data):  # type: ignore[no-untyped-def]
    """The pages under HEADRACE_DATA, in UTF-8."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    from ingest.charset import decode

    for path in sorted(Path(data("web")).glob("pages-*.warc.gz")):
        with open(path, "rb") as file:
            for record in ArchiveIterator(file, record_types=WarcRecordType.response):
                if b"<" in (body := record.reader.read()):
                    try:
                        yield decode(body)[0].encode("utf-8", "replace")
                    except UnicodeError:
                        continue


def test_its_words_are_those_of_a_parser(data) -> None:  # type: ignore[no-untyped-def]
    """Against libxml2's tree of the same pages: of 100 pages 98 have the same words, each as often."""
    same = [agreement(page) for page in gold_pages(data)]
    assert len(same) > 500
    assert np.mean(np.array(same) >= 0.99) > 0.98, sorted(same)[:12]
    assert np.mean(same) > 0.99


def agreement(page: bytes) -> float:
    """The Jaccard similarity of the two bags of words."""
    found = scan(page)
    ours = Counter(WORD.findall(html.unescape(" ".join(page[s:e].decode("utf-8", "replace") for s, e, _, _ in found.segments.tolist()))))
    tree = lxml.html.document_fromstring(page, parser=lxml.html.HTMLParser(encoding="utf-8", huge_tree=True))
    theirs = Counter(WORD.findall(" ".join(spoken(tree))))
    return sum((ours & theirs).values()) / max(1, sum((ours | theirs).values()))


def spoken(root):  # type: ignore[no-untyped-def]
    """The texts of a tree that its page shows."""
    left = [(root, False)]
    while left:
        element, tail = left.pop()
        if tail:
            yield element.tail or ""
            continue
        left.append((element, True))
        if not isinstance(element.tag, str) or ((number := ID.get(element.tag, 0)) and SILENT[number]) or element.tag == "title":
            continue
        style = element.get("style") or ""
        if element.tag not in ("html", "body") and ("hidden" in element.attrib or re.search(r"display[\s:]*none", style, re.IGNORECASE)):
            continue
        yield element.text or ""
        left.extend((child, False) for child in reversed(element))
