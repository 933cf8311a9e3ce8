"""C4's rules at their edges; the values themselves are in golden/curate and in test_curate_parity."""

from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate import c4

KINDS = {"long_word", "few_words", "javascript", "policy", "citation"}


def row(text: str, **columns: str) -> dict[str, object]:
    return c4.signals(pl.DataFrame({"text": [text]} | {name: [value] for name, value in columns.items()})).row(0, named=True)


@given(st.text("ab. [1]\n\r\u2028{日javascript", max_size=120), st.integers(1, 5), st.integers(1, 8))
@settings(max_examples=300, deadline=None)
def test_lines_add_up_and_spans_stay_apart(text: str, min_words: int, max_word: int) -> None:
    found = c4.signals(pl.DataFrame({"text": [text]}), min_words=min_words, max_word=max_word).row(0, named=True)
    outcomes = [name for name in c4.PLACES if name.endswith("_lines") and name != "unpunctuated_lines"]
    assert found["lines"] == len(text.splitlines()) == sum(found[name] for name in outcomes if not name.startswith("strict_"))
    strict = sum(found[name] for name in outcomes if name.startswith("strict_"))
    assert found["lines"] == strict + found["unpunctuated_lines"] + found["long_word_lines"]
    for column, kinds in (("cuts", KINDS), ("unpunctuated", {"unpunctuated"})):
        spans = found[column]
        assert {span["kind"] for span in spans} <= kinds
        assert all(0 <= span["start"] < span["end"] <= len(text) for span in spans)
        assert all(left["end"] <= right["start"] for left, right in pairwise(spans))


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("a b c", "kept_lines"),
        ("a b", "few_word_lines"),
        ("x" * 1001 + " b c", "long_word_lines"),
        ("x" * 1000 + " b c", "kept_lines"),
        ("é" * 1000 + " b c", "kept_lines"),
        ("please enable JAVASCRIPT now", "javascript_lines"),
        ("java script is two words", "kept_lines"),
        ("we value your Privacy Policy now", "policy_lines"),
        ("this site makes use of cookies", "policy_lines"),
        ("this site uses cookies", "policy_lines"),
        ("we use cookies", "policy_lines"),
        ("read our cookie policy", "policy_lines"),
        ("see our Terms of Use", "policy_lines"),
        ("we use cookie jars", "kept_lines"),
        ("Lorem ipsum javascript {", "lorem_lines"),
        ("some { javascript here", "javascript_lines"),
        ("a curly { here", "curly_lines"),
        ("the policy { here uses cookies", "curly_lines"),
        ("java[1]script is found once the mark is gone", "javascript_lines"),
    ],
)
def test_the_first_rule_that_meets_a_line_takes_it(line: str, name: str) -> None:
    assert row(line)[name] == 1


@pytest.mark.parametrize(
    ("line", "sentences"),
    [
        ("One two three", 1),
        ("One two. Three four. Five", 3),
        ("Really?! He said so.", 2),
        ('"Stop." "Go."', 0),  # two words by white space
        ('He said "Stop." and went.', 2),
        ("Wait... what is this", 1),
        ("Version 3.14 is out. Get it.", 2),
        ("In the U.S. it rains", 1),
        ("Cited.[1] And again.[2]", 2),
        ("Cited[1]. [2] [3]", 1),
        ("一 二 三。四", 2),
    ],
)
def test_sentences_end_at_a_sign_of_their_end(line: str, sentences: int) -> None:
    assert row(line)["sentences"] == sentences


def test_spans_are_made_for_chosen_domains_alone() -> None:
    assert row("x[0]\n", domain="code")["cuts"] == []
    assert row("x[0]\n", domain="web")["cuts"] == [{"kind": "few_words", "start": 0, "end": 5}]
    assert row("x[0]\n")["cuts"] != []
    batch = pl.DataFrame({"text": ["x\n", "x\n"], "domain": ["books", None]})
    assert c4.signals(batch, cut_domains=["books"])["cuts"].list.len().to_list() == [1, 0]


@pytest.mark.parametrize("mark", ["[]", "[12]", "[٣]", "[edit]", "[citation needed]"])
def test_reference_marks_are_cut(mark: str) -> None:
    text = f"日本 and more{mark} text here."
    assert row(text)["cuts"] == [{"kind": "citation", "start": 11, "end": 11 + len(mark)}]


@pytest.mark.parametrize("mark", ["[a]", "[1", "[1a]", "[Edit]", "[½]", "["])
def test_what_is_no_reference_mark_stays(mark: str) -> None:
    assert row(f"Some text with {mark} here.")["cuts"] == []
