"""Which generated rows are kept: the rules for questions and answers, and how a pair is preferred."""

import random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import InputError
from synth.pairs import Scored, likelihood, prefer
from synth.questions import content, unanswered, unasked
from synth.requests import Completion

TEXT = "The lock keeper opens the upper gates only when the water in the chamber is level."


def said(text: str, finish: str = "stop") -> Completion:
    return Completion(0, "k", text, finish, len(text.split()), 10, None, "too long" if finish == "refused" else None, False)


@pytest.mark.parametrize(("question", "reason"), [
    (said(" When does the keeper open the gates? "), None),
    (said("The keeper opens the gates."), "no_question_mark"),
    (said(""), "no_question_mark"),
    (said("When does the", "length"), "question_cut"),
    (said("Does it end with a mark?", "length"), "question_cut"),
    (said("", "refused"), "question_refused"),
])
def test_a_question_ends_with_its_mark_and_by_itself(question: Completion, reason: str | None) -> None:
    assert unasked(question) == reason


@pytest.mark.parametrize(("answer", "reason"), [
    (said("The keeper opens the gates when the water is level."), None),
    (said("The keeper opens windows when dinner arrives."), "answer_not_in_text"),
    (said("Yes, it is."), "answer_empty"),
    (said(""), "answer_empty"),
    (said("The keeper opens the", "length"), "answer_cut"),
    (said("The keeper opens the upper gates when:"), "answer_cut"),
    (said("", "refused"), "answer_refused"),
])
def test_an_answer_speaks_with_the_words_of_its_text(answer: Completion, reason: str | None) -> None:
    assert unanswered(answer, TEXT, 0.6) == reason


def test_the_share_of_words_is_counted_to_the_edge() -> None:
    answer = said("Keeper, gates, chamber: trumpets, violins.")
    assert content(answer.text) == ["keeper", "gates", "chamber", "trumpets", "violins"]
    assert unanswered(answer, TEXT, 0.6) is None and unanswered(answer, TEXT, 0.61) == "answer_not_in_text"


def test_content_words_are_of_any_script_and_not_the_common_ones() -> None:
    assert content("Über die Größe: 42 or 137 of THE wheels, и колесо") == ["über", "die", "größe", "137", "wheels", "колесо"]


@given(st.lists(st.tuples(st.text(max_size=3), st.floats(-20, 0)), min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_no_order_of_answers_changes_what_is_preferred(answers: list[tuple[str, float]], dice: random.Random) -> None:
    scored = [Scored(*answer) for answer in answers]
    shuffled = dice.sample(scored, len(scored))
    assert prefer(scored, 0.1) == prefer(shuffled, 0.1)
    best, worst, reason = prefer(scored, 0.1)
    assert best.score == max(a.score for a in scored) and worst.score == min(a.score for a in scored)
    assert (reason == "tie") == (best.score - worst.score < 0.1)


class Nobody:
    """An ask that must not be asked."""

    part = "synth.prefs"

    def __call__(self, *_: object, **__: object) -> None:
        raise AssertionError("nothing was to be asked")


@pytest.mark.parametrize(("rows", "knobs", "says"), [
    (pl.DataFrame({"doc_id": ["a"]}), {}, "hold no messages"),
    (pl.DataFrame({"messages": []}), {"temperatures": (0.5,), "own": False}, "a pair needs two answers"),
    (pl.DataFrame({"messages": []}), {"temperatures": (0.5, -1)}, "0 or more"),
])
def test_pairs_refuse_what_cannot_make_any(rows: pl.DataFrame, knobs: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        list(likelihood(iter([rows]), Nobody(), **knobs))  # type: ignore[arg-type]
