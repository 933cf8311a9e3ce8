"""The signals of printed books and papers: on pages counted by hand, against plain code, and whatever comes."""

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plain_print as plain
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate import print as printed

WORDS = (
    "the", "The", "wh1ch", "H2O", "mp3", "x12y", "waTer", "iPhone", "McDonald", "d'Anjou", "e.g.Then", "th;s", "wa|er", "and/or", "word(s)",
    "he,\u2014she", "tbmnkr", "Herbst", "deutsch", "rhythms", "queueing", "aaaah", "wiiiid", "HTTPS", "www.waTer.de", "a@bCd.e", "http://wa|er", "a", "b",
    "I", "é", "3", "12", "\u2014", "...", "naïveTé", "ßa1ß", "\"waTer,\"", "wa;", ";er", "x;y1", "Mr.", "zz;Zz", "(iPad)",
)  # fmt: skip
LINES = (
    "the water ran down to the whe-", "el and turned it", "Chapter One ..... 12", "Two . . . . xii", "Three     44", "Four\t7", "a     b     3",
    "weir, 12, 45-7", "Boston, 1999", "Boston, March 3, 1999", "mill, 7; race, 9", "THE MILL", "THE MILL 12", "12 THE MILL", "13 the mill", "14 The Mill",
    "- 12 -", "13", "[14]", "15.", "", "  ", "1 2 3", "He said \"no.\"", "and so it went on", "on", "… … 9", "of them all: ", "a, 1, 2, 3,", "IV", "A b",
    "12 ", "water, 12–15, 17", "Mill ... 5a", "12345",
)  # fmt: skip
PAGE = """\
CONTENTS
The Weir ........ 1
The Race . . . . . 12
Notes     xi
Notes     44

12 THE MILL
The water of the lake runs through a chan-
nel to the wheel, which tums all day and
grinds the com of wh1ch they make th;r bread,
and the miIler sleeps.

13 THE MILL
'w a t e r' t b m n
He bbbbuilt it of tbmnkr and aeiou.

14 THE MILL
INDEX
mill, 7, 9-12
race, 1
weir, 1837
"""


def frame(texts: list[str] | list[str | None]) -> pl.DataFrame:
    return pl.DataFrame({"text": texts}, schema={"text": pl.String})


def counted(text: str) -> dict[str, int]:
    """How many words and lines each rule marks."""
    row = printed.signals(frame([text])).row(0, named=True)
    whole = dict.fromkeys(printed.WORDS, row["n_words"]) | dict.fromkeys(printed.LINES, row["n_lines"])
    return {name: round(row[name] * whole[name]) for name in whole} | {"n_words": row["n_words"], "n_lines": row["n_lines"]}


def same(texts: list[str]) -> None:
    found = printed.signals(frame(texts))
    assert found.columns == list(printed.ADDS) and found.height == len(texts)
    for row, text in enumerate(texts):
        for name, value in plain.signals(text).items():
            assert found[name][row] == (value if value is None else pytest.approx(value, rel=1e-12)), (name, text[:300])


def test_a_page_counted_by_hand() -> None:
    assert counted(PAGE) == {
        "n_words": 75, "n_lines": 18,
        "mixed_words": 1,                          # wh1ch
        "cluster_words": 2,                        # tbmnkr, aeiou
        "inner_signs": 1,                          # th;r
        "inner_capitals": 1,                       # miIler
        "repeated_letters": 1,                     # bbbbuilt
        "misread_words": 6,
        "lone_letters": 7,                         # a t e, between 'w and r'; t b m n
        "broken_lines": 3,                         # chan-, and, bread,
        "hyphen_lines": 1,
        "contents_lines": 3,                       # Notes xi has neither dots nor digits
        "index_lines": 2,                          # 1837 is a year
        "capital_lines": 5,                        # CONTENTS, three heads, INDEX
        "head_lines": 3,
        "page_lines": 0,
    }  # fmt: skip


@pytest.mark.parametrize(("word", "rule"), [
    ("wh1ch", "mixed_words"), ("m1ll5tone", "mixed_words"), ("ma11er", "mixed_words"), ("H2O", None), ("19th", None), ("B12", None), ("2nd-hand", None),
    ("tbmnk", "cluster_words"), ("queueing", "cluster_words"), ("NNSSTT", None), ("rhythms", None), ("twelfths", None), ("deutschland", None),
    ("th;s", "inner_signs"), ("wa|er", "inner_signs"), ("h«m", "inner_signs"), ("end;", None), ("(word)s", None), ("and/or", None), ("he,\u2014she", None),
    ("waTer", "inner_capitals"), ("\"waTer,\"", "inner_capitals"), ("McDonald", None), ("l'Amour", None), ("mid-European", None), ("mRNA", None),
    ("wiiiild", "cluster_words"), ("bbbbuilt", "repeated_letters"), ("llll", "repeated_letters"), ("....", None), ("10000", None), ("Brrr!", None),
    ("https://waTer.de/x1y", None), ("www.waTer.de", None), ("x1y@waTer.de", None), ("мИр", None), ("日本語テスト", None), ("कृपया", None),
    ("éÉé", "inner_capitals"),
])  # fmt: skip
def test_each_rule_for_words(word: str, rule: str | None) -> None:
    found = counted(f"The {word} stands")
    marked = {name for name in printed.WORDS if found[name] and name != "misread_words"}
    assert (rule in marked) if rule else not marked
    assert found["misread_words"] == bool(rule)


@pytest.mark.parametrize(("lines", "rule", "marked"), [
    ("One ..... 1", "contents_lines", 1), ("One … 12", "contents_lines", 1), ("1.2 Two . . . ix", "contents_lines", 1), ("Two\t9", "contents_lines", 1),
    ("It ended. 9", "contents_lines", 0), ("..... 9", "contents_lines", 0), ("a   12   9", "contents_lines", 0), ("One ..... 12345", "contents_lines", 0),
    ("Wait ... mix", "contents_lines", 1), ("weir, 12", "index_lines", 1), ("weir, 12, 45-7.", "index_lines", 1),
    ("weir, of wood, 12–15", "index_lines", 1), ("weir 12", "index_lines", 0), ("12, 13", "index_lines", 0), ("In May, 1837", "index_lines", 0),
    ("On May 3, 1837", "index_lines", 0), ("in Brand, 1837, 1840", "index_lines", 1), ("THE MILL\nI\nÉTÉ 9\nMr. X", "capital_lines", 2),
    ("it ran-\non and on\nA hyphen-\nX", "hyphen_lines", 1), ("so\u00ad\nmit it was", "hyphen_lines", 1),
    ("the long line goes on\nand ends here.\nshort\nand on it goes here", "broken_lines", 1), ("he said \"no.\"\nand went.\n\nx\n\ny", "broken_lines", 0),
    ("1\n2\n3", "page_lines", 3), ("[1]\n- 3 -\n5.", "page_lines", 3), ("1\n2\n30", "page_lines", 0), ("3\n2\n1", "page_lines", 0),
    ("1\n1\n1", "page_lines", 0), ("10 A Mill\nx\n12 A MILL\ny\n14 a mill", "head_lines", 3), ("A Mill 10\nA Mill 11", "head_lines", 0),
    ("A 1\nB 2\nC 3", "head_lines", 0), ("A 1\n1 A\n2 A", "head_lines", 0), ("Mill 1\nMill 2\nMill 3\nMill 90\nMill 91", "head_lines", 3),
])  # fmt: skip
def test_each_rule_for_lines(lines: str, rule: str, marked: int) -> None:
    assert counted(lines)[rule] == marked


def test_made_pages_count_as_plain_code_says() -> None:
    chance = random.Random(1)
    same([" ".join(chance.choices(WORDS, k=chance.randint(0, 30))) for _ in range(1500)])
    same(["\n".join(chance.choices(LINES, k=chance.randint(0, 25))) for _ in range(1500)])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.sampled_from("aehbcHAZ ;,.'-|\n19\t…"), max_size=60), max_size=4))
def test_any_latin_text_counts_as_plain_code_says(texts: list[str]) -> None:
    same(texts)


def labelled(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_clean_books_are_told_from_misread_ones(data: Callable[[str], Path]) -> None:
    """Novels as they are, and with one letter of a hundred misread as machines misread it: no novel of either kind is taken for one of the other."""
    chance, alike = random.Random(1), {"e": "c", "l": "1", "o": "0", "i": "!", "h": "b", "m": "rn", "s": "5", "t": "|", "u": "ii", "n": "ri"}
    clean = [row["text"][:100_000] for row in labelled(data("books/books.jsonl.gz"))]
    spoilt = ["".join(alike[c] if c in alike and chance.random() < .01 else c for c in text) for text in clean]
    before, after = (printed.signals(frame(texts))["misread_words"] for texts in (clean, spoilt))
    assert before.max() < .005 < after.min()  # type: ignore[operator]


def test_pages_out_of_a_pdf_are_told_from_joined_ones(data: Callable[[str], Path]) -> None:
    pages = [row["text"] for row in labelled(data("papers/grobid_fulltext_a.jsonl.gz"))]
    joined = [text.replace("-\n", "").replace("\n", " ") for text in pages]
    before, after = (printed.signals(frame(texts)) for texts in (pages, joined))
    assert before["broken_lines"].median() > .3 and before["hyphen_lines"].median() > .02  # type: ignore[operator]
    assert after["broken_lines"].max() == 0


@pytest.mark.parametrize("texts", [
    [], [None], ["", None, "a"], ["\x00", "\ufffd", "\ufeff", "\u200d", "\u0301", "\u2026", "\r\n\x85", "שלום 12", "ا ب ت", "a" * 5000, "1" * 5000],
])  # fmt: skip
def test_columns_are_those_declared_whatever_comes(texts: list[str | None]) -> None:
    found = printed.signals(frame(texts))
    adds: dict[str, pa.DataType] = printed.signals.declares.adds  # type: ignore[attr-defined]
    assert found.columns == list(adds) and found.height == len(texts)
    assert found.schema == pl.from_arrow(pa.table({name: pa.array([], kind) for name, kind in adds.items()})).schema
    shares = found.select(pl.selectors.float())
    assert not any(series.is_nan().any() for series in shares) and all(0 <= value <= 1 for series in shares for value in series.drop_nulls())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=100)), max_size=6))
def test_rows_in_are_rows_out(texts: list[str | None]) -> None:
    found = printed.signals(frame(texts))
    assert found.height == len(texts)
    assert found["n_lines"].to_list() == [sum(bool(line.strip()) for line in (text or "").split("\n")) for text in texts]


@pytest.mark.parametrize("piece", ["a", "a ", "1", "1\n", "a 1\n", ". ", ", 1", "\n", "-\n", "é", "|", "[", "…", "ا ", "\t"])
def test_a_line_of_megabytes_ends(piece: str) -> None:
    assert printed.signals(frame([piece * (1_000_000 // len(piece))])).height == 1
