"""FineWeb's signals at their edges; the values themselves are in golden/curate and in test_curate_parity."""

import polars as pl

from curate import fineweb


def row(text: str, short_line: int = 30) -> dict[str, float | None]:
    return fineweb.signals(pl.DataFrame({"text": [text]}), short_line=short_line).row(0, named=True)


def test_white_space_behind_the_last_sign_hides_it() -> None:
    assert row("Ends. \nEnds.\nEnds.\r")["line_punct_ratio"] == 1 / 3


def test_signs_that_end_sentences_are_those_of_every_script() -> None:
    assert row('a。\nb۔\nc।\nd።\ne…\nf"')["line_punct_ratio"] == 4 / 6


def test_short_is_a_knob_and_counts_characters() -> None:
    text = "é" * 30 + "\n" + "é" * 31
    assert row(text)["short_line_ratio"] == 0.5
    assert row(text, short_line=31)["short_line_ratio"] == 1


def test_repeated_blank_lines_are_no_repeats_but_their_characters_count() -> None:
    found = row("ab\n  \n  \nab")
    assert (found["lines"], found["char_dup_ratio"]) == (2, 2 / 8)


def test_lines_without_words_leave_the_newline_ratio_open() -> None:
    found = row("\x01\n\x02")
    assert (found["lines"], found["newline_ratio"]) == (2, None)


def test_after_c4_is_what_remains_once_its_spans_are_cut() -> None:
    text = "Menu\n  A first line that stays[1].  \nShop now\n\tA second one, with no end\nuses cookies and more.\nMenu"
    rest = "A first line that stays.\nA second one, with no end"
    after = fineweb.after_c4(pl.DataFrame({"text": [text, "", "one"]}))
    assert after.equals(fineweb.signals(pl.DataFrame({"text": [rest, "", ""]})))
