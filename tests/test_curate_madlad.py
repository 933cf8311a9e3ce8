"""MADLAD-400's rules for sentences: each on sentences made for it, against plain Python, and on whatever comes."""

import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate import madlad

LONG = "The miller opens the sluice when the river is high and the water runs down the race"


def measure(*texts: str | None) -> pl.DataFrame:
    return madlad.signals(pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}))


def row(text: str) -> dict[str, float | None]:
    return measure(text).row(0, named=True)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", 0), ("  \n ", 0), ("One", 1), ("One. Two! Three? Four", 4), ("See example.com or 3.14 for it.", 1), ("Wait... what?! No.", 3), ("One.\nTwo.\n", 2),
        ("a\nb\nc", 1), ("... One. ", 1), ("One. ... ", 1), ("一。二！三？四", 4), ("一。二！", 2), ("नमस्ते। फिर मिलेंगे।", 2), ("一「二。」三", 2),
        ("Yes?No. Yes", 2),
    ],
)  # fmt: skip
def test_sentences_end_with_a_sign_and_white_space(text: str, sentences: int) -> None:
    assert row(text)["n_sentences"] == sentences


CASES = {  # a sentence, and the rule that it meets
    LONG: "",
    "Home About Us Parties Weddings Contact Prices Menu Gallery News Blog Shop": "list_case",
    "Home About Us Parties Weddings Contact prices menu gallery news blog shop": "",  # six of twelve are no more than half
    "Home About Us Parties Weddings Contact Prices Menu Gallery News Blog": "",  # eleven words
    "Home's About's Us Parties Weddings Contact Prices prices menu gallery news blog": "list_case",  # 's is no word of its own
    "Too short to say": "abnormal_length",
    "x" * 500: "",
    "x" * 501: "abnormal_length",
    "Prices: 12/14 (3+4) 55 66 now": "technical",  # 14 of 29 characters
    "Twenty characters 12": "",
    "The file is an mp3 of the mill and its wheel": "cursed",
    "It can be downloaded from the site of the mill": "cursed",
    "Lorem ipsum dolor sit amet, a text of no sense": "cursed",
    "Developers like it when the water runs to the wheel": "cursed",
    "On facebook and elsewhere the mill is well liked": "",  # as it is written
    "The stones weigh 300 kg and cost 5000 г.": "cursed@",
    "the price of all of that is 500 шт.or a little more": "cursed@",
    "wheel | sluice | race | pond | mill |": "cursed@",
    "wheel | sluice | race | pond | mills": "",
    "It is told in Vol.3 of the book about the mills": "cursed@",
    "so the cat sat mat hat bat rat eat fat pig": "cursed",
    "so the cat sat mat hat bat rat by the side of the pond": "",
    "so this that with have been from were they your them": "cursed",
    "it is w r i t t e n o u t here by letters": "cursed",
    "it is w r i t t e n by letters in our house": "",
    "the list, ab, cd, ef,, gh, and so on for ever": "cursed",
    "the list, ab, cd, ef, and so on for ever and ever": "",
    "\ufffd\ufffd\ufffd is what is left of that word in this text": "cursed",
    "色 黄色电影 is what it says on that page of theirs": "cursed",
}


@pytest.mark.parametrize("sentence", CASES)
def test_each_rule_meets_what_it_is_for(sentence: str) -> None:
    """`cursed@`: by one of the seven strings that are regular expressions, which Dolma 3 never finds."""
    found, expected = row(sentence), CASES[sentence]
    assert [rule for rule in ("list_case", "abnormal_length", "technical", "cursed") if found[rule]] == ([expected.rstrip("@")] if expected else [])
    assert found["n_sentences"] == 1 and found["questionable"] == float(bool(expected))
    assert found["questionable_2_5"] == float(expected in ("list_case", "cursed"))


def test_a_sentence_has_the_sign_that_ends_it() -> None:
    """What stands at the end of a sentence, as MADLAD's expressions want it; Dolma 3's split takes the sign away."""
    found = row("All of this was in the year 1990 г. It is told at length in Vol. three of it")
    assert (found["n_sentences"], found["cursed"], found["questionable_2_5"]) == (3, 2, 0)


def test_shares_are_of_all_sentences_and_each_counts_once() -> None:
    text = ". ".join([LONG, "mp3 12", "Facebook of the mill and its wheel", LONG, LONG])
    found = row(text + ".")
    assert found == {
        "n_sentences": 5, "list_case": 0, "abnormal_length": 1, "technical": 1, "cursed": 2, "questionable": 0.4, "questionable_2_5": 0.4,
    }  # fmt: skip


STRINGS = (
    " №", "\ufffd\ufffd\ufffd", "aute irure dolor ", " sunt in culpa qui ", "orem ipsum ", " quis nostrud ", " adipisicing ", " dolore eu ", " cupidatat ",
    "autem vel eum", "wisi enim ad", " sex ", " porn ", "黄色电影", "mp3", "ownload", "Episode", "Develop", "Facebook", " crusher ", " xxx ",
)  # fmt: skip
EXPRESSIONS = [re.compile(x) for x in (" ..." * 9, " ...." * 9, " [^ ]" * 9, "," + " ..,,?" * 4)]


def plain(text: str) -> tuple[int, int]:
    """Sentences, and those that rule 2 or 5 meets as Dolma 3 counts them, for text whose only signs are . ! ?"""
    sentences = [one for one in re.split(r"[.!?]+\s+", text) if one.strip()]
    told = 0
    for one in sentences:
        words = re.findall(r"[^\W_]+", one)
        listed = len(words) >= 12 and 2 * sum(word[0].isupper() for word in words) > len(words)
        told += listed or any(string in one for string in STRINGS) or any(pattern.search(one) for pattern in EXPRESSIONS)
    return len(sentences), told


SAMPLE = "mill The Wheel a I to ox cat Dog this that mp3 Facebook download sex xxx ab, cd,, ef, é Ärger x . ! ... ? \n"
WORDS = st.sampled_from(SAMPLE.split(" "))


@settings(max_examples=400, deadline=None)
@given(st.lists(WORDS, max_size=60).map(" ".join))
def test_rules_2_and_5_are_dolmas(text: str) -> None:
    text = text.strip()
    found, (sentences, told) = row(text), plain(text)
    assert found["n_sentences"] == sentences
    assert found["questionable_2_5"] == (pytest.approx(told / sentences) if sentences else None)


ODD = (None, "", "\x00", "." * 50_000, "a" * 3_000_000, "| " * 100_000, " \u202e123 ", "\ufffd" * 1000, "。" * 1000, "\n" * 1000, "?\u3000!")


@pytest.mark.parametrize("text", ODD)
def test_whatever_comes_there_is_one_row(text: str | None) -> None:
    found = measure(text, "One. Two.", text)
    assert found.height == 3 and found["n_sentences"][1] == 2 and not found["questionable"].is_nan().any()
    shares = found.select("questionable", "questionable_2_5").to_numpy()[found["n_sentences"].to_numpy() > 0]
    assert ((shares >= 0) & (shares <= 1)).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=200) | st.none(), max_size=6))
def test_a_document_is_measured_alone(texts: list[str | None]) -> None:
    together = measure(*texts)
    assert together.height == len(texts)
    if texts:
        assert pl.concat([measure(text) for text in texts]).equals(together)
