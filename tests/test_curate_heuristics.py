"""The signals of DCLM, RefinedWeb and NeMo Curator against their rules said plainly, and against pages written by hand."""

import json
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import plain_rules as plain
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog import spans
from catalog.split import SYMBOL
from catalog.stage import words
from curate import dclm, juicer, nemo, refinedweb

ODD = (
    "", " ", "x", "\n", "\n\n", "a\n\n\na\n\nb", "... . . . #", "日本語。日本語。", "• x\n● y\n- z...\nq . . .", "a a a a a a a a a a a a", "\u2028 a\x85b",
    "[...] (…) … # ## ### #a a#", "-» (...) […] -> a-»", "Any cookies that may not be necessary\n\nx",
    'http:// https://a http://x.y/z?q="b http', "We use cookies.\n\nPRIVACY POLICY\n\nx\n\n\ny", "Lorem Ipsum", "٣٤ Ⅷ ²",
    "⦾ a\n‣ b\n- c", "(a)[b]{c}⟨d⟩", "\x00", "שלום עולם\nשלום עולם", "é́" * 40, "{" * 100, "#" * 100, "." * 100, "A" * 2000,
)
PIECES = (
    "Hello World here.", "3 likes", "1,200K views!", "12345", "AB CD", "one", "", "  ", "Read more...", "please Read more...", "Sign-in", "Sign-in now",
    "5 items in cart", "items in cart items in cart", "x items in cart y Read morexyz", "日本語 テスト", "ÀÉ Àb", "·3.5m followers·",
    "a b c d e f g h i j k items in cart", "Sign-in items in cart", "a\u2028b", "٣٤", "3 likes it", "READ MORE\u2026\u2026\u2026", "Read more..",
    "Sign-in\u00a0x", "\tSign-in x", "²³", "①", "١٢ likes", "1²", "12,٣k views",
    "items in cart", "items in cartSign-in x", "read more...items in cart", "a Read more... items in cart items in cart",
)


@pytest.fixture(scope="module")
def pages(examples: Path) -> list[str]:
    """C4's pages of the demo corpus, some of them twice over, and odd ones."""
    with open(examples / "web" / "c4.jsonl", encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    return [*texts, *(text * 2 for text in texts[:20]), *ODD]


def same(found: pl.DataFrame, texts: list[str], rules: Callable[[int, str], plain.Numbers]) -> None:
    for row, text in enumerate(texts):
        expected = rules(row, text)
        assert set(found.columns) == set(expected)
        for name, value in expected.items():
            assert found[name][row] == (value if value is None else pytest.approx(value, rel=1e-9)), (name, text[:80])


def test_dclm_counts_as_its_rules_say(pages: list[str]) -> None:
    batch = pl.DataFrame({"text": pages})
    proper = words_of(batch)
    same(dclm.signals(batch), pages, lambda row, text: plain.dclm(text, proper[row]))


def words_of(batch: pl.DataFrame) -> list[list[str]]:
    """The words of each text that are not punctuation alone."""
    split = words(batch)
    every = [bytes(split.data[start:end]).decode() if not told & SYMBOL else "" for start, end, told in zip(split.starts, split.ends, split.flags, strict=True)]
    return [list(filter(None, every[first:last])) for first, last in pairwise(split.documents)]


def test_juicer_counts_as_its_rules_say(pages: list[str]) -> None:
    batch = pl.DataFrame({"text": pages})
    proper = [[word.lower() for word in found] for found in words_of(batch)]
    same(juicer.signals(batch), pages, lambda row, text: plain.juicer(text, proper[row]))


def test_nemo_counts_as_its_rules_say(pages: list[str]) -> None:
    same(nemo.signals(pl.DataFrame({"text": pages})), pages, lambda _, text: plain.nemo(text))


def left(texts: list[str]) -> list[list[str]]:
    """The lines that `refinedweb.cuts` leave of texts, blank ones left out."""
    batch = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    rest = spans.apply(batch.with_columns(refinedweb=refinedweb.signals(batch).to_struct()), {"cut": ["refinedweb.cuts"]})
    return [[line for line in text.split("\n") if line.strip()] for text in rest]


def test_refinedweb_leaves_what_its_rules_leave(pages: list[str]) -> None:
    chance = random.Random(1)
    made = ["\n".join(chance.choices(PIECES, k=chance.randint(0, 12))) for _ in range(2000)]
    for text, lines in zip([*pages, *made], left([*pages, *made]), strict=True):
        assert lines == plain.refinedweb(text), text[:200]


@settings(deadline=None)
@given(st.lists(st.text(st.sampled_from("aA1 \n.-Sign items in cartRead more"), max_size=60), max_size=4))
def test_refinedweb_of_any_lines(texts: list[str]) -> None:
    assert left(texts) == [plain.refinedweb(text) for text in texts]


def test_each_line_counts_once_under_its_rule() -> None:
    text = "SHOUTING it OUT\n2024\n3 likes\nhome\n5 items\nitems in cart\nRead more...\nSign-in\nA line of prose stays.\n\nSign-in to go on"
    row = refinedweb.signals(pl.DataFrame({"text": [text]})).row(0, named=True)
    assert {name.removesuffix("_lines"): n for name, n in row.items() if name.endswith("_lines")} == {
        "uppercase": 1, "numeric": 1, "counter": 1, "short": 2, "cart": 1, "read_more": 1, "sign_in": 0, "kept": 3,
    }  # fmt: skip
    assert [text[cut["start"] : cut["end"]] for cut in row["cuts"]][-1] == "Sign-in "
    assert row["cut_words"] == pytest.approx(16 / 26)                   # Sign and in are two


def test_digits_are_those_of_every_script_and_shape() -> None:
    row = refinedweb.signals(pl.DataFrame({"text": ["²③\n٣٤\n١٢ likes\n1 like"]})).row(0, named=True)
    assert (row["numeric_lines"], row["counter_lines"], row["short_lines"], row["kept_lines"]) == (2, 1, 0, 1)


def test_cuts_are_made_for_the_web_alone() -> None:
    batch = pl.DataFrame({"text": ["home\nand a line"] * 2, "domain": ["web", "books"]})
    found = refinedweb.signals(batch)
    assert found["cuts"].list.len().to_list() == [1, 0]
    assert found["short_lines"].to_list() == [1, 1] and found["cut_words"].to_list() == [0.25, 0.25]


@pytest.mark.parametrize("signals", [dclm.signals, juicer.signals, nemo.signals, refinedweb.signals])
def test_nothing_gives_nothing(signals: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    assert signals(pl.DataFrame({"text": []}, schema={"text": pl.String})).height == 0
    found = signals(pl.DataFrame({"text": ["", None, " \n "]}, schema={"text": pl.String}))
    assert found.height == 3
    assert not found.select(pl.selectors.float().is_nan().any()).unpivot()["value"].any()


@pytest.mark.parametrize("signals", [dclm.signals, juicer.signals, nemo.signals, refinedweb.signals])
@pytest.mark.parametrize("piece", ["a", "a ", "#", ". ", "\n", "é", "http://", "items in cart "])
def test_a_line_of_megabytes_ends(signals: Callable[[pl.DataFrame], pl.DataFrame], piece: str) -> None:
    assert signals(pl.DataFrame({"text": [piece * (4_000_000 // len(piece))]})).height == 1
