"""What can be counted of any text, against plain code and against sentences counted by hand."""

import json
from itertools import pairwise
from pathlib import Path

import plain_statistics as plain
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.split import SYMBOL
from catalog.stage import words
from curate import statistics
from curate.text.reading import COLUMNS, reading
from curate.text.spaced import spaced

FEW = ("the", "The", "mill", "wheel.", "\n", "naïve", "日本")


def lowered(batch: pl.DataFrame) -> list[list[str]]:
    """The words of each text that are not punctuation alone, by the bytes that the kernel hashes."""
    split = words(batch)
    every = [None if told & SYMBOL else str(lower) for told, lower in zip(split.flags, split.lowers, strict=True)]
    return [[word for word in every[first:last] if word is not None] for first, last in pairwise(split.documents)]


def same(texts: list[str]) -> None:
    batch = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    found = statistics.signals(batch)
    assert found.columns == list(statistics.ADDS) and found.height == len(texts)
    for row, (text, held) in enumerate(zip(texts, lowered(batch), strict=True)):
        expected = plain.varied(held) | {"deflated": plain.deflated(text)}
        for name, value in expected.items():
            assert found[name][row] == (value if value is None else pytest.approx(value, rel=1e-9)), (name, text[:80])
        assert found["n_chars"][row] == len(text)
        assert all(found[name][row] is None or 0 <= found[name][row] <= 1 for name in statistics.CHARACTERS)


def test_real_pages_count_as_plain_code_says(examples: Path) -> None:
    with open(examples / "web" / "c4.jsonl", encoding="utf-8") as file:
        same([json.loads(line)["text"] for line in file][:150])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(FEW), max_size=40).map(" ".join)), max_size=5))
def test_any_text_counts_as_plain_code_says(texts: list[str]) -> None:
    same(texts)


@pytest.mark.parametrize(
    ("text", "sentences", "syllables", "long_words", "many"),
    [
        ("The mill turns.", 1, 3, 0, 0),
        ("She made tables. He asked why!", 2, 7, 0, 0),
        ("A heading\n\nOne line\nand another", 3, 9, 2, 1),
        ("\"Really?\" he said. (He did not.)", 3, 7, 0, 0),
        ("Extraordinary mathematicians hypothesize", 1, 14, 3, 3),
        ("free boxes, wanted, yes", 1, 6, 0, 0),
        ("café déjà vu", 1, 5, 0, 0),
        ("... !!! —", 0, 0, 0, 0),
        ("", 0, 0, 0, 0),
    ],
)
def test_sentences_and_syllables_as_counted_by_hand(text: str, sentences: int, syllables: int, long_words: int, many: int) -> None:
    found = dict(zip(COLUMNS, reading(spaced(pl.DataFrame({"text": [text]})))[0].tolist(), strict=True))
    assert (found["sentences"], found["syllables"], found["long_words"], found["polysyllables"]) == (sentences, syllables, long_words, many)


def test_readability_is_by_the_published_formulas() -> None:
    """Two sentences, twelve words, of which one has three syllables and is long: by hand."""
    found = statistics.signals(pl.DataFrame({"text": ["The miller walks to the lake today. He sees a beautiful bird."]})).row(0, named=True)
    assert (found["n_words"], found["n_sentences"]) == (12, 2)
    syllables = 16 / 12
    assert found["syllables"] == pytest.approx(syllables)
    assert found["flesch"] == pytest.approx(206.835 - 1.015 * 6 - 84.6 * syllables)
    assert found["kincaid"] == pytest.approx(.39 * 6 + 11.8 * syllables - 15.59)
    assert found["fog"] == pytest.approx(.4 * (6 + 100 / 12))
    assert found["lix"] == pytest.approx(6 + 100 / 12)
    assert found["rix"] == pytest.approx(.5)


def test_repetition_deflates_and_an_empty_text_has_no_ratios() -> None:
    found = statistics.signals(pl.DataFrame({"text": ["mill " * 1000, "", "x"]}))
    assert found["deflated"][0] < .02 and found["mtld"][0] < 3
    assert all(found[name][1] is None for name in statistics.ADDS if not name.startswith("n_"))
    assert found["n_chars"].to_list() == [5000, 0, 1]
