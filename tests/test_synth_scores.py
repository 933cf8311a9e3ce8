"""The judge of what a text teaches: which documents it reads and how far, what its answers mean, what its rows hold."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from catalog_making import documents, draft
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import InputError
from catalog.files import DataFile, scan, write_rows
from catalog.ids import derive
from catalog.lake import Lake
from catalog.schema import JUDGEMENT
from synth.requests import Completion, choices_of, weights_of
from synth.scores import DIGITS, beginning, drawn, educational, stated, weighed


def said(text: str, finish: str = "stop") -> Completion:
    return Completion(0, "k", text, finish, 1, 1, None, None, False)


class Tokens:
    """A tokenizer of words, or of words in which a digit takes two tokens; as much of its face as is used here."""

    def __init__(self, split: bool = False) -> None:
        self.split = split

    def __call__(self, text: str, add_special_tokens: bool = False, return_offsets_mapping: bool = False) -> dict[str, Any]:
        found, at = [], 0
        for word in text.split(" "):
            found.append((at, at + len(word)))
            at += len(word) + 1
        ids = [hash(text[a:b]) for a, b in found] + ([1] if self.split else [])
        return {"input_ids": ids, "offset_mapping": found}


# What an answer means

@pytest.mark.parametrize(("text", "score", "reason"), [
    ("Score: 3", 3.0, None),
    ("It explains the water cycle well, statements 1, 2 and 3 are true.\nScore: 3", 3.0, None),
    ("The score is 4.", 4.0, None),
    ("**Score:** 5/5", 5.0, None),
    ("score of 2 out of 5", 2.0, None),
    (" 0\n", 0.0, None),
    ("4/5.", 4.0, None),
    ("Score: 2 ... so, Score: 2", 2.0, None),
    ("Score: 2, no, Score: 3", None, "two_scores"),
    ("Score: 8/10", None, "no_such_score"),
    ("Score: 4/10", None, "no_such_score"),
    ("Score: 7", None, "no_such_score"),
    ("Score: -1", None, "no_such_score"),
    ("Score: 3.5", None, "no_such_score"),
    ("10", None, "no_such_score"),
    ("It teaches 3 things.", None, "no_score"),
    ("Underscore: 3", None, "no_score"),
    ("", None, "no_score"),
    ("Score: \n3 things", None, "no_score"),
])  # fmt: skip
def test_a_written_answer_states_one_score_or_none(text: str, score: float | None, reason: str | None) -> None:
    assert stated(said(text)) == (score, reason)


def test_an_answer_that_was_cut_or_refused_says_so() -> None:
    assert stated(said("It explains", "length")) == (None, "answer_cut")
    assert stated(said("Score: 3. It", "length")) == (3.0, None)
    assert stated(said("", "refused")) == (None, "too_long")


@given(st.text(max_size=60))
def test_any_answer_has_a_score_in_range_or_a_reason(text: str) -> None:
    score, reason = stated(said(text))
    assert (score is None) != (reason is None) and (score is None or score in range(6))


def test_digits_are_weighed() -> None:
    even = said(json.dumps(dict.fromkeys(DIGITS, math.log(0.1))), "weighed")
    assert weighed(even, "likelihood", 0.5) == (pytest.approx(2.5), None) and weighed(even, "likelihood", 0.7) == (None, "no_digit")
    some = said(json.dumps({**dict.fromkeys(DIGITS, -1000.0), "4": math.log(0.3), "1": math.log(0.1)}), "weighed")
    assert weighed(some, "likelihood", 0.0) == (pytest.approx((4 * 0.3 + 1 * 0.1) / 0.4), None)
    assert weighed(some, "prompt", 0.0) == (4.0, None)
    assert weighed(said(json.dumps(dict.fromkeys(DIGITS, -1000.0)), "weighed"), "prompt", 0.0) == (None, "no_digit")
    assert weighed(said("", "refused"), "likelihood", 0.0) == (None, "too_long") and weights_of(said("3")) == {}


def test_choices_are_one_token_each() -> None:
    begun, choices = choices_of(("a", "b"), "the score ", Tokens(), "m")
    assert begun == [hash("the"), hash("score")] and choices == (hash("a"), hash("b"))
    for choices, split in ((("a", "b c"), False), (("a", "a"), False), (("a", "b"), True)):
        with pytest.raises(InputError, match="m does not write each of a, .* as one token"):
            choices_of(choices, "the score ", Tokens(split), "m")


# Which documents, and how much of them

class Seeds:
    part = "synth.judged"

    def seed(self, *names: str | int) -> int:
        return derive(7, self.part, *names)


def rows(n: int) -> pl.DataFrame:
    return pl.DataFrame({"doc_id": [f"{i:032x}" for i in range(n)], "text": [f"text {i} " + "x" * i for i in range(n)], "domain": ["web"] * n})


@pytest.mark.parametrize("size", [1, 7, 100])
def test_the_documents_drawn_depend_on_seed_and_ids_alone(size: int) -> None:
    def batches(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
        return iter([frame[i : i + size] for i in range(0, frame.height, size)])

    ask: Any = Seeds()
    few = [row["doc_id"] for row in drawn(batches(rows(60)), ask, 10, 1000)]
    more = [row["doc_id"] for row in drawn(batches(rows(60).reverse()), ask, 25, 1000)]
    assert len(set(few)) == 10 and more[:10] == few and few != sorted(few)
    cut = drawn(batches(rows(60)), ask, 99, 9)
    assert len(cut) == 60 and max(len(row["text"]) for row in cut) == 9


def test_texts_without_a_word_are_not_judged() -> None:
    ask: Any = Seeds()
    frame = pl.DataFrame({"doc_id": list("abcd"), "text": [None, "", " \n\t", "word"]})
    assert [row["doc_id"] for row in drawn(iter([frame]), ask, 9, 100)] == ["d"]


def test_the_beginning_is_the_texts_own() -> None:
    assert beginning("a  b c", 2, Tokens()) == "a " and beginning("a b", 2, Tokens()) == "a b" and beginning("a b", 9, Tokens()) == "a b"


@pytest.mark.parametrize(("knobs", "line"), [
    ({"how": "likelyhood"}, "synth.judged: how: 'likelyhood'; did you mean 'likelihood'?"),
    ({"explain": 40}, "synth.judged: explain: 40 is for how: prompt"),
])  # fmt: skip
def test_wrong_knobs_are_said(knobs: dict[str, Any], line: str) -> None:
    ask: Any = Seeds()
    with pytest.raises(InputError) as error:
        next(educational(iter([]), ask, **knobs))
    assert str(error.value).startswith(line)


# In the lake

def test_judgements_are_asked_for_by_score(tmp_path: Path) -> None:
    with Lake.open(tmp_path / "lake", create=True) as lake:
        made = documents("a", 30, "judgement")
        scores = [None if i % 5 == 4 else i % 5 + 0.5 for i in range(30)]
        table = made.set_column(made.column_names.index("score"), "score", pa.array(scores, pa.float64()))
        stat = write_rows(lake.root / "data/judged/r1/a.parquet", table, JUDGEMENT)
        file = DataFile("f", "data/judged/r1/a.parquet", stat.rows, stat.bytes, stat.ids, str(lake.root), (), stat.columns)
        snapshot = lake.commit(draft([file], "judged", shape="judgement"))
        assert lake.query("SELECT text, score FROM data.judged WHERE score > 3").num_rows == 6
        assert lake.query("SELECT score FROM sample.judged WHERE score IS NULL").num_rows == 6
        assert sum(batch.height for batch in scan(snapshot, ("text", "score"), where="score >= 2.5")) == 12
        assert lake.why(made["doc_id"][0].as_py())[0]["document"]["score"] == 0.5
