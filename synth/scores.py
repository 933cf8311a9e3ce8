"""Scores of documents by a model that reads them: how much they teach, from 0 to 5.

The idea is that of FineWeb-Edu (Penedo et al. 2024, section 4): a large model judges a sample by a rubric whose points add up, and a small
fast model learns its scores and judges the rest. The rubric here is our own. A judge is worth what its agreement with people is: measure
it (`curate.models.measures.agreement`) before a score decides anything.
"""

import heapq
import re
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from catalog.errors import InputError, near
from synth.ask import Ask
from synth.engine import Sampling
from synth.requests import Completion, Request, chat, weights_of
from synth.rows import chunks, generated

VERSION = 1
SHAPE = "judgement"
WRITER = "scores.educational"
AT_ONCE = 1024
"""Documents between two rounds of asking."""

DIGITS = ("0", "1", "2", "3", "4", "5")
WAYS = ("likelihood", "prompt")
COLUMNS = ("doc_id", "uri", "host", "domain", "dump", "title", "author", "date", "license", "lang", "text", "gen")
"""What is read of a document, and, but for `gen`, stands on its judgement too."""

CHARACTERS = 16
"""Characters held for each token that is to be read: more than a token ever has on average."""

JUDGE = "You judge how much a text teaches. You keep to the rubric."
RUBRIC = """How much could a pupil, from the first years to the end of secondary school, learn from the text below? Begin at 0 and add one point for each \
statement that is true of it:
1. It holds some facts on a subject, though advertising, gossip or navigation may stand around them.
2. It deals with a subject that is taught, even if it wanders, mixes things or is written carelessly.
3. A teacher could use it: it explains what belongs to a curriculum, in an order that one can follow, and little distracts.
4. It reads like a chapter of a textbook or a tutorial: clear, consistent, of the right depth, with examples or exercises.
5. It could be handed out in class as it is: thorough, easy to follow, and nothing in it is beside the point.

Text:
{}

"""
DIGIT = "Add the points up. Answer with the sum alone: one digit from 0 to 5."
EXPLAINED = "First say in a sentence or two which statements are true. Then add the points up and end with a line of this form: Score: 3"
BEGUN = "Score: "

STATED = re.compile(r"\bscore\b[^\w\n-]*(?:is|of)?[^\w\n-]*(-?\d+(?:\.\d+)?)(?:\s*(?:/|out of)\s*(\d+))?", re.IGNORECASE)
ALONE = re.compile(r"[^\w-]*(-?\d+(?:\.\d+)?)(?:\s*(?:/|out of)\s*(\d+))?[^\w]*")
"""A score said in so many words, and an answer that is nothing but one."""


def educational(
    documents: Iterator[pl.DataFrame],
    ask: Ask,
    *,
    limit: int = 500,
    tokens: int = 512,
    how: str = "likelihood",
    explain: int = 0,
    least: float = 0.0,
) -> Iterator[dict[str, Any]]:
    """Yield a judgement of each of `limit` documents, drawn by seed and doc_id: its text as far as it was read, and `score`, 0 to 5.

    tokens: how much of a document is read. how: `likelihood`, the mean of the digits 0 to 5 weighed by how likely the model finds each as its
    answer; `prompt`, the digit that it would write. explain: with `prompt`, tokens to give reasons in before the score, which is then looked for in
    what it wrote; 0: the digit at once. least: the share of probability that the six digits must have among all that the model could have
    written. Raises InputError for another `how`, and for a model that does not write a digit as one token where it must.
    """
    if how not in WAYS:
        raise InputError(f"{ask.part}: how: {how!r}{near(how, WAYS)}")
    if explain and how == "likelihood":
        raise InputError(f"{ask.part}: explain: {explain} is for how: prompt; a likelihood is of digits alone")
    for batch in chunks(drawn(documents, ask, limit, tokens * CHARACTERS), AT_ONCE):
        rows = [{**row, "text": beginning(row["text"], tokens, ask.desk.tokenizer)} for row in batch]
        requests = [_request(row, ask, explain) for row in rows]
        for row, said in zip(rows, ask(requests, label=f"{ask.part} judgements"), strict=True):
            score, reason = stated(said) if explain else weighed(said, how, least)
            yield _row(row, said, score, reason, ask, explain)


def drawn(documents: Iterator[pl.DataFrame], ask: Ask, limit: int, characters: int) -> list[dict[str, Any]]:
    """Return the documents to judge, cut to `characters`: those whose seed is lowest, in its order. Texts without a word are none of them."""
    found = (
        (ask.seed("judge", str(row["doc_id"])), str(row["doc_id"]), row)
        for batch in documents
        for row in batch.select([name for name in COLUMNS if name in batch.columns]).with_columns(pl.col("text").str.slice(0, characters)).iter_rows(named=True)
        if (row["text"] or "").strip()
    )
    return [row for _, _, row in heapq.nsmallest(limit, found, key=lambda item: item[:2])]


def beginning(text: str, tokens: int, tokenizer: Any) -> str:
    """Return the first `tokens` tokens of a text, as the text has them."""
    places = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return text if len(places) <= tokens else text[: places[tokens - 1][1]]


def _request(row: dict[str, Any], ask: Ask, explain: int) -> Request:
    said = (("system", JUDGE), *chat(RUBRIC.format(row["text"].strip()) + (EXPLAINED if explain else DIGIT)))
    parents = (str(row["doc_id"]),)
    if explain:
        return Request(said, 0, Sampling(temperature=0.0, max_tokens=explain), purpose=WRITER, parents=parents)
    return Request(said, choices=DIGITS, begun=BEGUN, purpose=WRITER, parents=parents)


def weighed(said: Completion, how: str, least: float) -> tuple[float | None, str | None]:
    """Return a score and why there is none. The likeliest digit is what a model that may write nothing else would write."""
    shares = weights_of(said)
    if not shares:
        return None, "too_long"
    whole = sum(shares.values())
    if whole < least or not whole:
        return None, "no_digit"
    if how == "prompt":
        return float(max(DIGITS, key=lambda digit: shares[digit])), None
    return sum(int(digit) * share for digit, share in shares.items()) / whole, None


def stated(said: Completion) -> tuple[float | None, str | None]:
    """Return the score that an answer states, and why there is none: what it says after the word score, or a number that stands alone."""
    if said.finish == "refused":
        return None, "too_long"
    alone = ALONE.fullmatch(said.text)
    found = [alone.groups()] if alone else [match.groups() for match in STATED.finditer(said.text)]
    if not found:
        return None, "answer_cut" if said.finish == "length" else "no_score"
    if any(value not in DIGITS or of not in (None, "5") for value, of in found):
        return None, "no_such_score"
    if len({value for value, _ in found}) > 1:
        return None, "two_scores"
    return float(found[0][0]), None


def _row(row: dict[str, Any], said: Completion, score: float | None, reason: str | None, ask: Ask, explain: int) -> dict[str, Any]:
    """A judgement: the text is its document's, and so are domain and depth; the licence is that of text and judge together."""
    read: Sequence[tuple[str, str]] = (("text", row["text"]),)
    made = generated(row, ask, writer=WRITER, place=f"char=0,{len(row['text'])}", seed=0, said=tuple(read))
    own = {name: row.get(name) for name in COLUMNS if name not in ("doc_id", "uri", "license", "text", "gen")}
    gen = {**made["gen"], "depth": made["gen"]["depth"] - 1}
    return {**made, **own, "gen": gen, "score": score, "answer": said.text if explain else None, "kept": reason is None, "reason": reason}
