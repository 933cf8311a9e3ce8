"""Stop words of a document's own language: counted, met across several letters, read from a file; and found in texts."""

from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import UserError
from catalog.stage import Target, find, load
from curate import gopher, stop_words
from curate.text.frequent import LEAST, count, frequent
from headrace.handbook import functions

LISTS = {"de": ["der", "und", "ist", "die"], "fr": ["l", "et", "aujourd'hui"], "th": ["ที่", "และ", "ของ"], "ja": ["の", "です"], "en": list(gopher.ENGLISH)}


TEXTS = st.none() | st.text(max_size=40) | st.sampled_from(["der und", "ที่และ", "l'eau"])


def measure(rows: list[tuple[str | None, str | None]], **knobs: Any) -> list[tuple[Any, ...]]:
    frame = pl.DataFrame(
        {"text": [text for text, _ in rows], "language": [{"code": code, "score": 1.0} for _, code in rows]},
        schema={"text": pl.String, "language": pl.Struct({"code": pl.String, "score": pl.Float64})},
    )
    return stop_words.signals(frame, **({"stop_words": LISTS} | knobs)).rows()


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        ("Die Mühle und der Bach, und das Rad.", "de", (2, 4, 0.5)),  # `Die` is no `die` as written, and one in any case
        ("Der Bach", "de", (0, 1, 0.5)), ("", "de", (0, 0, None)), ("...", "de", (0, 0, None)),
        ("Aujourd'hui l'eau et l'air", "fr", (2, 4, None)),  # l before its apostrophe, and a stop word of two of the splitter's words
        ("น้ำและบ้านของที่นี่", "th", (3, 3, None)), ("แ ล ะ", "th", (0, 0, 0.0)),  # letters apart are no word
        ("これは日本のものです", "ja", (2, 3, 0.3)), ("The mill and the wheel.", "en", (2, 3, 0.6)),
        ("der und ist", "pl", (None, None, None)), ("der und ist", None, (None, None, None)), (None, "de", (0, 0, None)),
    ],
)  # fmt: skip
def test_uses_are_counted_in_the_documents_own_language(text: str | None, code: str | None, expected: tuple[Any, ...]) -> None:
    (found,) = measure([(text, code)])
    assert found[:2] == expected[:2]
    if expected[2] is not None or expected[0] is None:
        assert found[2] == (None if expected[2] is None else pytest.approx(expected[2]))


def test_without_lists_english_is_judged_as_gopher_judges_it() -> None:
    assert {"en": list(gopher.ENGLISH)} == stop_words.ENGLISH == find("curate", "stop_words.signals").knobs["stop_words"], "as a recipe has it"
    texts = ["The mill and the wheel have to be of that wood.", "THE AND", "", "no such"]
    frame = pl.DataFrame({"text": texts}).with_columns(language=pl.struct(code=pl.lit("en")))
    ours, theirs = stop_words.signals(frame), gopher.signals(pl.DataFrame({"text": texts}))
    assert ours["different"].to_list() == theirs["stop_words"].to_list() and ours["uses"].to_list() == theirs["stop_word_uses"].to_list()
    assert set(stop_words.signals(frame.with_columns(language=pl.struct(code=pl.lit("de"))))["uses"].to_list()) == {None}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(TEXTS, st.none() | st.sampled_from([*LISTS, "xx"])), max_size=6))
def test_each_row_is_measured_alone(rows: list[tuple[str | None, str | None]]) -> None:
    found = measure(rows)
    assert len(found) == len(rows) and found == [one for row in rows for one in measure([row])]
    assert all(share is None or share >= 0 for *_, share in found)
    assert all((uses is None) == (code not in LISTS) for (_, code), (_, uses, _) in zip(rows, found, strict=True))


def test_lists_are_read_from_a_file_and_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "lists.yaml"
    path.write_text("de: [der, und]\nno: [og, er]\n", encoding="utf-8")
    assert measure([("der und", "de"), ("og er", "no")], stop_words=str(path)) == [(2, 2, 1.0), (2, 2, 1.0)]
    path.write_text("de: [der]\n", encoding="utf-8")
    assert measure([("der und", "de"), ("og er", "no")], stop_words=str(path)) == [(1, 1, 0.5), (None, None, None)]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "is a mapping of languages"), ({"de": []}, "de: is a list of 1 to 64 words"), ({"de": "der"}, "de: is a list"),
        ({"de": ["w"] * 65}, "de: is a list"),
        ({"de": [" "]}, "de: ' ' is no word"), ({"de": [True]}, "de: True is no word; put it in quotes"), ({5: ["og"]}, "5 is no language's code"),
        ("nowhere.yaml", "stop_words.signals: no file 'nowhere.yaml'"),
    ],
)  # fmt: skip
def test_what_is_no_list_is_refused_in_one_line(given: Any, words: str) -> None:
    with pytest.raises(UserError) as wrong:
        measure([("der", "de")], stop_words=given)
    assert words in str(wrong.value) and "\n" not in str(wrong.value)


def test_the_frequent_words_of_a_language_are_its_own() -> None:
    german = "der Müller und das Rad und der Bach 1900 in der Mühle — ist es so? " * 40 + "Wasser Stein Korn Mehl Sack Esel Weg Tal Berg " * 3
    thai = "น้ำและลมที่นี่และที่นั่น " * 30
    batch = pl.DataFrame({"text": [german, thai, german, "lost"], "code": ["de", "th", "de", None]})
    told = count([batch.head(2), batch.tail(2)])
    assert sorted(told) == ["de", "th"] and told["de"].documents == 2 and told["de"].uses["der"] == 240 and "1900" not in told["de"].uses
    found = frequent(told["de"], 0.05, 64)
    assert found[:2] == ["der", "und"] and len(found) >= LEAST and all(word.isalpha() for word in found)
    assert frequent(told["de"], 0.9, 64) == found[:LEAST], "where few are frequent enough, the commonest eight"
    assert len(frequent(told["de"], 0.0, 10)) == 10
    runs = frequent(told["th"], 0.05, 64)
    assert {"ที่", "และ"} <= set(runs) and not {"แ", "ล", "น"} & set(runs)
    assert frequent(count([batch.filter(pl.col("text") == "")]).get("de", told["th"]), 0.05, 3) == runs[:3]


TARGETS = [target for _, target, _ in functions("Stages", "curate")]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.path)
def test_a_recipe_reads_the_defaults_that_a_stage_has(target: Target) -> None:
    """Knobs are read from the source: a default that is another module's constant would arrive as its name."""
    actual = {name: one.default for name, one in signature(load(target.path)).parameters.items() if one.kind is Parameter.KEYWORD_ONLY}
    assert target.knobs == {name: value for name, value in actual.items() if value is not Parameter.empty}
