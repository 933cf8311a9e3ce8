"""The fast tier: features and trees, the text of chosen blocks, what a page says of itself, and where another's text stands in it."""

import itertools
import math
import random
import runpy
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.pages import fast
from ingest.pages.about import about
from ingest.pages.align import _common, shares
from ingest.pages.blocks import scan
from ingest.pages.choice import choose, doubt, learned, probabilities
from ingest.pages.features import FEATURES, groups, measure
from ingest.pages.plain import render, shown
from tests.ingest_making import PROSE, page

HOME = Path(__file__).parent.parent
GOLDEN = HOME / "tests" / "golden" / "ingest"


def rendered(markup: str) -> str:
    data = markup.encode()
    found = scan(data)
    return render(found, data, np.ones(len(found.blocks), np.bool_))


@pytest.mark.parametrize(("markup", "text"), [
    ("<h1>One &amp; two</h1><p>a<br>b  c\nd</p>", "# One & two\na\nb c d"),
    ("<h3>a<br>b</h3>", "### a b"),
    ("<ul><li>one<li><p>two</p><p>more</p><ol><li>in</ol></ul>after", "- one\n- two\nmore\n  - in\nafter"),
    ("<pre>\nx  = 1\n\ty\r\n</pre>", "```\nx  = 1\n\ty\n```"),
    ("<pre> \n </pre>a", "a"),
    ("<table><tr><th>a<th>b<tr><td>1<td>2<td>3</table>", "| a | b |\n|---|---|\n| 1 | 2 | 3 |"),
    ("<table><tr><td>alone</table>", "alone"),
    ("<table><tr><td>a<td> <td>b<br>c</table>d", "| a |  | b c |\nd"),
    ("<table><tr><th> <th>2019<th>2020<tr><td>Cost<td>1<td>2<tr><td>Gain<td><td>3</table>",
     "|  | 2019 | 2020 |\n|---|---|---|\n| Cost | 1 | 2 |\n| Gain |  | 3 |"),
    ("<table><tr><td>a<br>b<td>c<tr><td><p>d</p><td><div>e</div></table>", "| a b | c |\n| d | e |"),
    ("<table><tr><td><p>a</p><p>b</p><td>c</table>", "a\nb\nc"),
    ("<pre><div>if x:</div><div>    y</div></pre>z", "```\nif x:\n    y\n```\nz"),
    ("<p>&nbsp;</p><ul><li>&nbsp;<li>x &nbsp; y</ul><h2>&nbsp;</h2>", "- x y"),
    ("<p>می\u200cخواهم &#128104;&#8205;&#128105;</p>", "می\u200cخواهم \U0001f468\u200d\U0001f469"),
    ("<p>a &#11111111111111111; b</p>", "a \ufffd b"),
    ("<p>a<svg><title/><style/><path/></svg>b<!-- x --!>c<!-->d</p>", "a\nbcd"),
    ("<script src='a.js'/><p>a</p><script>no</script><p>b", "a\nb"),
    ("<p>a&nbsp;b \u00a0 c\u200b&shy;d</p>", "a b cd"),
    ("<p>1 &lt;b&gt; 2</p>", "1 <b> 2"),
    ("<p>x<br><br><br>y<br></p>", "x\ny"),
    ("<table><tr><td>a<td><table><tr><td>b<td>c</table><td>d<td>e</table>", "a\n| b | c |\n|  |  | d | e |"),
    ("", ""),
])
def test_blocks_as_text(markup: str, text: str) -> None:
    assert rendered(markup) == text


def test_a_cell_that_is_a_paragraph_is_layout() -> None:
    assert rendered(f"<table><tr><td>{PROSE}<td>{PROSE}</table>") == f"{PROSE.strip()}\n{PROSE.strip()}"


PARTS = ["<p>", "<li>", "<ul>", "</ul>", "<td>", "<tr>", "<table>", "<th>", "<h2>", "<pre>", "</pre>", "<br>", "a", "&amp;", "é", "\u200b", "|", "\n"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=40))
def test_no_word_is_lost_or_made_up_in_rendering(parts: list[str]) -> None:
    markup = "".join(parts)
    data = markup.encode()
    words = "".join(shown(scan(data), data)).replace("\u200b", "")
    assert sorted(filter(str.isalpha, rendered(markup))) == sorted(filter(str.isalpha, words))


# ---- what is measured, and the trees


def test_features_are_named_numbers_of_each_block() -> None:
    data = page("A title", "Words of the title, and 3 more. " * 4)
    found = scan(data)
    features = measure(found, data).T
    assert features.shape == (len(found.blocks), len(FEATURES))
    assert len(set(FEATURES)) == len(FEATURES)
    row = dict(zip(FEATURES, features[shown(found, data).index(("Words of the title, and 3 more. " * 4).strip())].tolist(), strict=True))
    assert (row["words"], row["commas"], row["stops"], row["digits"], row["ends well"], row["is p"], row["in article"]) == (28, 4, 4, 4, 1, 1, 1)
    assert row["in title"] == 4                              # "title", four times; "a" stands not there
    assert row["linked share"] == row["in nav"] == 0
    assert row["is heading at -1"] == 1


def test_features_count_signs_where_no_space_parts_words() -> None:
    data = "<p>水門番は水位が等しくなるまで上の門を開けない。待て、と言う。</p>".encode()
    row = dict(zip(FEATURES, measure(scan(data), data)[:, 0].tolist(), strict=True))
    assert 14 <= row["words"] <= 18
    assert (row["commas"], row["stops"], row["ends well"]) == (1, 2, 1)


def test_blocks_built_alike_are_a_group() -> None:
    data = b"<div class=story><p>a</p></div>" + b"<div class=comment><p>x</p></div>" * 3
    found = scan(data)
    numbers = groups(found.blocks, found.masks).tolist()
    assert len(set(numbers[1:])) == 1
    assert numbers[0] != numbers[1]


def test_probabilities_are_those_of_the_trees() -> None:
    trees, draw = learned(), np.random.default_rng(1)
    features = draw.normal(0, 3, (20, len(FEATURES))).astype(np.float32)
    for row, found in zip(features, probabilities(np.ascontiguousarray(features.T), trees), strict=True):
        odds = 0.0
        for tree, (first, last) in enumerate(itertools.pairwise(trees.first.tolist())):
            leaves = 2**64 - 1
            for asked in range(first, last):
                leaves &= int(trees.kept[asked]) if row[trees.feature[asked]] > trees.most[asked] else leaves
            odds += float(trees.value[tree, (leaves & -leaves).bit_length() - 1])
        assert found == pytest.approx(1 / (1 + math.exp(-odds)), abs=1e-5)


def test_learned_trees_are_laid_out_as_they_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """As LightGBM dumps them: to the left with what is at most the threshold; a tree may be a single leaf."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    flat = runpy.run_path(str(HOME / "benchmarks" / "teach" / "extraction.py"))["_flat"]
    draw = random.Random(3)

    def grown(depth: int) -> dict[str, Any]:
        if depth == 0 or draw.random() < 0.15:
            return {"leaf_value": draw.uniform(-1, 1)}
        asked = {"split_feature": draw.randrange(4), "threshold": float(draw.randrange(-2, 3)), "decision_type": "<="}
        return {**asked, "left_child": grown(depth - 1), "right_child": grown(depth - 1)}

    def answer(node: dict[str, Any], row: list[float]) -> float:
        while "leaf_value" not in node:
            node = node["left_child" if row[node["split_feature"]] <= node["threshold"] else "right_child"]
        return float(node["leaf_value"])

    trees = [grown(6) for _ in range(30)] + [{"leaf_value": 0.25}]
    rows = [[float(draw.randrange(-3, 4)) for _ in range(4)] for _ in range(50)]
    found = probabilities(np.ascontiguousarray(np.array(rows, np.float32).T), flat([{"tree_structure": tree} for tree in trees]))
    assert found.tolist() == pytest.approx([1 / (1 + math.exp(-sum(answer(tree, row) for tree in trees))) for row in rows], abs=1e-5)


def test_doubt_is_the_share_of_the_chosen_words_expected_to_be_wrong() -> None:
    probable, words = np.array([1, 0.9, 0.2, 0], np.float32), np.array([100, 50, 10, 40], np.float32)
    assert doubt(words, probable) == pytest.approx((5 + 2, (5 + 2) / 150))
    assert choose(words, probable).tolist() == [True, True, False, False]
    assert choose(words, probable / 4).tolist() == [True, True, False, False], "of a page where nothing is likely, what is not unlikely"
    assert choose(words, probable / 8).tolist() == [False] * 4, "its text may stand elsewhere"
    assert choose(words * 2, probable / 8).tolist() == [True, True, False, False], "of a front page, what is least unlikely"
    assert choose(words * 2, probable * 0).tolist() == [False] * 4


# ---- where another's text stands


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=90), st.lists(st.integers(0, 4), max_size=150))
def test_the_longest_common_subsequence_is_found(ours: list[int], theirs: list[int]) -> None:
    taken = _common(np.array(ours, np.uint64), np.array(theirs, np.uint64))
    table = np.zeros((len(ours) + 1, len(theirs) + 1), int)
    for i, a in enumerate(ours):
        for j, b in enumerate(theirs):
            table[i + 1, j + 1] = table[i, j] + 1 if a == b else max(table[i, j + 1], table[i + 1, j])
    assert taken.sum() == table[-1, -1]
    left = iter(theirs)
    assert all(word in left for word, hit in zip(ours, taken, strict=True) if hit)


def test_a_text_is_found_where_its_neighbours_are() -> None:
    story = "The weir was opened early. The mill began to turn, and the miller was content with it."
    data = f"<ul><li>The weir was opened early.</ul><p>{story}</p><p>Comments &amp; more: 水門</p>".encode()
    found = shares(scan(data), data, f"# {story}\nand 水門")
    assert found is not None
    assert found.tolist() == [0, 1, pytest.approx(2 / 4)]    # the last block: two signs and two words


def test_what_is_too_long_to_compare_says_so() -> None:
    data = b"<p>" + b"a b " * 100_000
    assert shares(scan(data), data, "c d " * 20_000) is None


# ---- what a page says of itself


def said(markup: str, url: str = "", day: str | None = "2026-01-01") -> dict[str, str | None]:
    data = markup.encode()
    found = scan(data)
    return about(data, found, measure(found, data)[0], url=url, day=day)


@pytest.mark.parametrize(("markup", "key", "answer"), [
    ("<title>Sluices | The Canal Times</title>", "title", "Sluices"),
    ('<meta property="og&#58;title" content="Sluices &amp; weirs"><title>x</title>', "title", "Sluices & weirs"),
    ('<meta property="" name=" OG:Title " content=Sluices><title>x</title>', "title", "Sluices"),
    ("<title>x</title><meta property='og:title' content='Sluices &amp; weirs'>", "title", "Sluices & weirs"),
    ("<body><h1>Shown <b>title</b></h1><p>text", "title", "Shown title"),
    ("<meta name=author content='Ada Sluice'>", "author", "Ada Sluice"),
    ("<meta name=author content='https://example.org/ada'>", "author", None),
    ('<script type="application/ld+json">{"@graph": [{"author": [{"name": "Ada"}, {"name": "Bo &amp; Co"}]}]}</script>', "author", "Ada; Bo & Co"),
    ('<script type="application/ld+json">{"author": [[[{"name": ["Ada"]}]], null, 3]}</script>', "author", None),
    ('<script type="application/ld+json">{broken</script><p class=byline>By Ada Sluice</p>', "author", "Ada Sluice"),
    ('<script type="application/ld+json">{"datePublished": "2021-05-17T10:00:00Z"}</script>', "date", "2021-05-17"),
    ("<meta property='article:published_time' content='2021-05-17'>", "date", "2021-05-17"),
    ("<meta property='article:published_time' content='2031-05-17'>", "date", None),
    ("<meta property='article:published_time' content='2021-15-17'>", "date", None),
    ("<meta property='article:modified_time' content='2021-05-17'>", "date", None),
    ("<p class=date>17. Mai 2021</p>", "date", "2021-05-17"),
    ("<p class=meta>May 17th, 2021</p>", "date", "2021-05-17"),
    ("<p class=date>17.5.2021, 10:30</p>", "date", "2021-05-17"),
    ("<p>17 mars 2021</p>", "date", "2021-03-17"),
    ("<p>It was on 17 March 2021 that the old weir broke at last.</p>", "date", None),
    ("<time datetime=2021-05-17>long ago</time>", "date", "2021-05-17"),
    ("<html lang=pt-BR>", "language", "pt-BR"),
    ("<html xmlns='http://www.w3.org/1999/xhtml' xml:lang='de'>", "language", "de"),
    ("<a rel='license nofollow' href=//creativecommons.org/licenses/by/4.0/>x</a>", "license", "CC-BY-4.0"),
    ("<footer><p>This page is under <a href='https://creativecommons.org/licenses/by-sa/3.0/'>a licence</a></footer>", "license", "CC-BY-SA-3.0"),
    ("<p>A photo under <a href='https://creativecommons.org/licenses/by-sa/3.0/'>a licence</a></p>", "license", None),
    ("<p>See creativecommons.org</p>", "license", None),
    ("<!-- <a rel=license href=//creativecommons.org/licenses/by/4.0/>x</a> -->", "license", None),
    ("<script>var x = '<a rel=license href=//creativecommons.org/publicdomain/zero/1.0/>'</script>", "license", None),
    ("<p>y</p><a href=//creativecommons.org/licenses/by/4.0/><img></a><footer>Some rights</footer>", "license", None),
    ("<footer>This work: <a href=//creativecommons.org/licenses/by/4.0/><img></a> some rights</footer>x", "license", "CC-BY-4.0"),
    ("<!-- <meta name=author content='Old Template'> -->", "author", None),
    ("<p>Windows 10 May 2020 Update</p>", "date", None),
    ('<script type="application/ld+json">[{"@type": "ImageObject", "license": "https://creativecommons.org/licenses/by/4.0/"}]</script>', "license", None),
    ('<script type="application/ld+json">{"@type": ["WebPage"], "license": "https://creativecommons.org/licenses/by/4.0/"}</script>', "license", "CC-BY-4.0"),
    ("<head><script>x = '<body>'</script><meta name=author content='Ada Sluice'></head><body><p>x", "author", "Ada Sluice"),
    ("<head></head><body><meta name=author content='Some Reviewer'><p>x", "author", None),
    ("<title>C++ - a guide - to it</title>", "title", "C++ - a guide"),
])
def test_what_a_page_says_of_itself(markup: str, key: str, answer: str | None) -> None:
    assert said(markup)[key] == answer


def test_a_date_stands_in_an_address() -> None:
    assert said("<p>x", url="https://canal.example/2021/05/17/weir")["date"] == "2021-05-17"
    assert said("<p>x", url="https://canal.example/2021/05/171/weir")["date"] is None


# ---- the tier


def test_an_article_is_read_as_the_tree_reads_it() -> None:
    found = fast.extract((GOLDEN / "article.html").read_bytes(), url="https://canal.example/lock", day="2026-01-01")
    assert found is not None
    assert found.pop("text") == (GOLDEN / "article.txt").read_text().rstrip("\n")
    assert found.pop("confidence") > 0.9
    assert found == {
        "charset": "utf-8", "title": "How a lock works", "author": "Ada Sluice", "date": "2021-05-17", "license": "CC-BY-SA-4.0", "language": "en-GB",
        "opt_out": [],
    }  # fmt: skip


def test_a_wide_row_of_empty_cells_stays_inside() -> None:
    assert rendered("<table><tr><th>a" + "<th>" * 5000 + "<th>b<tr><td>c</table>").startswith("| a |" + "  |" * 10 + " b |\n|---|---|")


def test_a_page_of_too_many_blocks_is_not_measured() -> None:
    assert fast.extract(b"<p>x" * (fast.MAX_BLOCKS + 1)) is None
    assert fast.extract(b"<p>" + b"x<b>" * fast.MAX_SEGMENTS) is None


def test_what_a_page_says_for_robots_is_found_behind_a_script() -> None:
    found = fast.extract(page("Weir", head="<script>document.write('<body></head>')</script><meta name=robots content=noai>"))
    assert found is not None and found["opt_out"] == ["noai"]


ENDLESS = {
    "links to a licence that do not end": b'<footer>x<a href="//creativecommons.org/">',
    "licences": b'<a rel=license href="//creativecommons.org/licenses/x">',
    "tables in rows": b"<tr><td>x<td><table><tr><td>y</table><td>z" + b"<b></b>" * 40,
    "signs": b"<", "open elements": b"<b>", "items": b"<li>", "ends": b"</p>", "comments": b"<!--", "raw elements": b"<style/>", "titles": b"<title/>",
    "attributes": b"<a x='' y=\"\" z>", "names": b"<aaaaaaaaaaaaaaaa", "classes": b"<p class='post comment share'>",
    "styles": b"<b style='display:  d'>", "references": b"&#x", "amps": b"&amp", "times": b"<time datetime", "metas": b"<meta name=a content=b>",
    "notes": b"<script type=application/ld+json>[</script>", "cells": b"<td>", "rows": b"<tr><td>x", "code": b"<pre>x", "formulae": b"<math>x",
    "spaces": "<p>\u3000".encode(), "dates": b"<p class=date>1. 1. ", "words": b"a ",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", ENDLESS)
def test_a_page_of_one_thing_ends(name: str) -> None:
    """Four megabytes of it, which is read in the process that reads the archive: nobody would end it there."""
    unit = ENDLESS[name]
    data = b"<html><head><title>x</title></head><body><div>" + unit * ((4 << 20) // len(unit))
    start = time.process_time()
    fast.extract(data)
    assert time.process_time() - start < 10


@pytest.mark.parametrize("markup", [b"", b"   ", b"<html><script>only()</script></html>", bytes(range(128, 256)) * 40, b"<p>x" * (5 << 20)])
def test_what_it_cannot_read_is_the_tree_s(markup: bytes) -> None:
    assert fast.extract(markup) is None


def test_the_menu_of_a_small_page_is_no_text() -> None:
    found = fast.extract(page("Small", "A few words, and no more."))
    assert found is None or "Shop" not in found["text"]


ODD = ["<a href=x>", "<!--", "<script>", "<div class='comment share'>", "&#x", "<", ">"]
MARKUP = st.lists(st.one_of(st.sampled_from([*PARTS, *ODD]), st.text(max_size=8)), max_size=60)


@settings(max_examples=300, deadline=None)
@given(MARKUP, st.binary(max_size=60))
def test_whatever_the_bytes_are_it_ends_in_an_answer(parts: list[str], noise: bytes) -> None:
    data = "".join(parts).encode("utf-8", "surrogatepass") + noise
    found = fast.extract(data, url="http://[", day="2026-01-01")
    assert found is None or found["text"].strip()
