"""FineWeb's signals at their edges; the values themselves are in golden/curate and in test_curate_parity."""

from itertools import pairwise

import polars as pl

from catalog.schema import text_bytes
from catalog.split import split_words
from catalog.stage import words
from curate import fineweb
from curate.c4 import judged
from curate.c4_lines import kept_text
from curate.fineweb import kept_lines


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


def test_after_c4_says_of_kept_lines_what_it_would_say_of_the_text_that_is_left() -> None:
    """Lines that stay are measured where they stand; only texts that lose marks or have unspaced letters are made anew."""
    line = "Some words that stand here, U.S. too, don't they?"
    texts = [
        f"{line}\r\n\t{line}\x0b  {line}\u2028short\n{line}", f"{line} [1]\n{line}\n{line}", f"我们 在 这里 说话。\n{line}\nmenu", "a b [2]\n[1] [2] [3]", "",
        f"{line}\x1c{line}\x85\xa0{line}\xa0\nlorem ipsum here\n{line}", "- \u200d a b c\n\u00ad d e f\n.5 6 7", f"{line}{{}}\n{line}\nuses cookies and more\n",
    ]  # fmt: skip
    rest = [left.decode() for left in _left(texts)]
    batch = pl.DataFrame({"text": texts})
    assert fineweb.after_c4(batch).equals(fineweb.signals(pl.DataFrame({"text": rest})))
    assert kept_lines(words(batch), judged(batch, 1000, 3))[2].tolist() == [False, True, True, True, True, False, False, False]


def _left(texts: list[str]) -> list[bytes]:
    data, offsets = kept_text(split_words(*text_bytes(pl.Series(texts))), 1000, 3)
    return [data[start:end].tobytes() for start, end in pairwise(offsets.tolist())]
