"""Gopher's signals at their edges; the values themselves are in golden/curate and in test_curate_parity."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import RecipeError
from catalog.stage import lines, words
from curate import gopher

SHARES = ["alpha_words", *(name for name in gopher.RATIOS if name.startswith("dup_") or name.endswith("_lines"))]


def signals(*texts: str, **knobs: object) -> pl.DataFrame:
    return gopher.signals(pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}), **knobs)  # type: ignore[arg-type]


@given(st.lists(st.text("ab. \n#…-•日", max_size=80), min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_shares_lie_between_nothing_and_all(texts: list[str]) -> None:
    frame = signals(*texts)
    for name in SHARES:
        assert frame[name].drop_nulls().is_between(0, 1).all(), name
    assert frame["n_chars"].to_list() == [len(text) for text in texts]


@given(st.lists(st.text("ab \n", max_size=60), min_size=2, max_size=6))
@settings(max_examples=100, deadline=None)
def test_a_text_is_judged_alone_whatever_stands_beside_it(texts: list[str]) -> None:
    assert signals(*texts).equals(pl.concat([signals(text) for text in texts]))


def test_stop_words_are_a_knob() -> None:
    row = signals("Der Hund und die Katze und der Mond", stop_words=["der", "die", "und", "das"]).row(0, named=True)
    assert (row["stop_words"], row["stop_word_uses"]) == (3, 5)
    with pytest.raises(RecipeError, match="give 1 to 64"):
        signals("x", stop_words=[])


def test_a_run_of_more_bytes_than_the_table_of_powers_is_found_again() -> None:
    long = " ".join("x" * 900 + str(k) for k in range(10))
    row = signals(f"{long} {long}").row(0, named=True)
    assert row["dup_10gram"] == pytest.approx(len(long.replace(" ", "")) / (2 * len(long) + 1))


def test_equal_letters_parted_otherwise_are_one_repeat() -> None:
    """Runs are compared without their spaces, as datatrove compares them: 1 11 1 1 1 is 11 1 1 1 1."""
    row = signals("1 11 1 1 1 a 11 1 1 1 1").row(0, named=True)
    assert row["dup_5gram"] == 6 / 23


def test_split_and_lines_are_shared_by_the_stages_of_a_batch() -> None:
    batch = pl.DataFrame({"text": ["One text.", "Another\ntext."]})
    assert words(batch) is words(batch)
    assert lines(batch) is lines(batch)
