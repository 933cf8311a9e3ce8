"""Preference pairs from chats: of several answers to one prompt, the likelier is chosen and the least likely rejected.

The score is the log-likelihood of the answer after the row's own prompt, under the model that wrote it, divided by its tokens.
Each answer is scored by itself, so no order of answers can matter (a prompted judge of this size prefers the first answer
always). It nearly always prefers the answer sampled at the lower temperature: it exercises preference training and claims
nothing about quality.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from catalog.errors import InputError
from synth.ask import Ask
from synth.engine import Sampling
from synth.questions import answering, finished
from synth.requests import Completion, Messages, Request
from synth.rows import chunks, generated, messages_of

VERSION = 1
SHAPE = "pair"
WRITER = "pairs.likelihood"
AT_ONCE = 1024
"""Chats between two rounds of asking."""


@dataclass(frozen=True)
class Scored:
    """An answer and its score: nats a token, 0 at most."""

    text: str
    score: float


def likelihood(
    rows: Iterator[pl.DataFrame],
    ask: Ask,
    *,
    limit: int | None = None,
    temperatures: tuple[float, ...] = (0.5, 1.2),
    own: bool = True,
    examples: bool = True,
    margin: float = 0.02,
    answer_tokens: int = 64,
) -> Iterator[dict[str, Any]]:
    """Yield a preference pair for each chat that ends with an answer, with `kept` and, where it is not, the `reason`.

    One answer is sampled at each of `temperatures`; with `own` the chat's own answer competes. examples: sample after the
    instruction and examples of `questions` (the score never sees them). margin: the least difference of scores, nats a token;
    less is a tie. Answers cut by length do not compete. Raises InputError where the rows are no chats.
    """
    temperatures = tuple(temperatures)
    if len(temperatures) + own < 2 or any(t < 0 for t in temperatures):
        raise InputError(f"{ask.part}: temperatures {list(temperatures)}: a pair needs two answers; name two temperatures, 0 or more")
    for batch in chunks(_chats(rows, ask, limit), AT_ONCE):
        answers = _sample(batch, ask, temperatures, own, examples, answer_tokens)
        requests = [
            Request(_prompt(row), answer=text, purpose=f"{WRITER} score", parents=(row["doc_id"],))
            for row, (texts, reason) in zip(batch, answers, strict=True) if reason is None for text in texts
        ]  # fmt: skip
        scores = iter(list(ask(requests, label=f"{ask.part} scores")))
        for row, (texts, reason) in zip(batch, answers, strict=True):
            yield _row(row, [] if reason else [_scored(next(scores)) for _ in texts], reason, ask, margin)


def _chats(rows: Iterator[pl.DataFrame], ask: Ask, limit: int | None) -> list[dict[str, Any]]:
    """The chats to work on, the first `limit` by doc_id: ids are hashes, so that is a sample that does not depend on order."""
    found = []
    for batch in rows:
        if "messages" not in batch.columns:
            raise InputError(f"{ask.part}: its rows hold no messages; from: names a dataset of chats")
        names = [name for name in ("doc_id", "title", "license", "gen", "messages") if name in batch.columns]
        found += [row for row in batch.select(names).iter_rows(named=True) if _ends_with_answer(row["messages"])]
    return sorted(found, key=lambda row: str(row["doc_id"]))[:limit]


def _ends_with_answer(messages: Sequence[dict[str, str]] | None) -> bool:
    if not messages or len(messages) < 2 or any(not message["content"] for message in messages):
        return False
    return messages[-1]["role"] == "assistant" and bool(messages[-1]["content"].strip())


def _prompt(row: dict[str, Any]) -> Messages:
    return tuple((message["role"], message["content"]) for message in row["messages"][:-1])


def _sample(
    batch: Sequence[dict[str, Any]], ask: Ask, temperatures: Sequence[float], own: bool, examples: bool, answer_tokens: int
) -> list[tuple[list[str], str | None]]:
    """Return the answers that compete for each chat (finished, not empty, no two alike), and why they are too few, if so."""
    requests = []
    for row in batch:
        said = _prompt(row)
        for i, temperature in enumerate(temperatures):
            how = Sampling(temperature=float(temperature), min_p=0.02, max_tokens=answer_tokens, stop=("\n",))
            messages = answering(said) if examples and said[0][0] != "system" else said
            seed = ask.seed("sample", row["doc_id"], i)
            requests.append(Request(messages, seed, how, purpose=f"{WRITER} sample", parents=(row["doc_id"],)))
    sampled = iter(list(ask(requests, label=f"{ask.part} answers")))
    answers: list[tuple[list[str], str | None]] = []
    for row in batch:
        texts = [row["messages"][-1]["content"]] if own else []
        texts += [c.text for c in [next(sampled) for _ in temperatures] if finished(c)]
        different = list(dict.fromkeys(text.strip() for text in texts if text.strip()))
        reason = None if len(different) > 1 else "same_answer" if len(texts) > 1 else "answer_cut"
        answers.append((different, reason))
    return answers


def _scored(completion: Completion) -> Scored | None:
    """None where the engine refused to score: the chat and the answer are too long together."""
    if completion.logprob is None or not completion.tokens:
        return None
    return Scored(completion.text, completion.logprob / completion.tokens)


def prefer(answers: Sequence[Scored], margin: float) -> tuple[Scored, Scored, str | None]:
    """Return the likeliest answer, the least likely, and why they make no pair, if so. The order of `answers` does not matter."""
    ranked = sorted(answers, key=lambda answer: (-answer.score, answer.text))
    best, worst = ranked[0], ranked[-1]
    return best, worst, "tie" if best.score - worst.score < margin else None


def _row(parent: dict[str, Any], answers: Sequence[Scored | None], reason: str | None, ask: Ask, margin: float) -> dict[str, Any]:
    best = worst = None
    fit = [answer for answer in answers if answer is not None]
    if len(fit) > 1:
        best, worst, reason = prefer(fit, margin)
    said = (*_prompt(parent), ("assistant", best.text if best else ""))
    row = generated(parent, ask, writer=WRITER, place="pair", seed=ask.seed("sample", parent["doc_id"], 0), said=said)
    pair = {
        "prompt": messages_of(_prompt(parent)),
        "chosen": best.text if best else None,
        "rejected": worst.text if worst else None,
        "scores": {"chosen": best.score, "rejected": worst.score} if best and worst else None,
    }
    return {**row, **pair, "kept": reason is None and best is not None, "reason": reason or (None if best else "too_long")}
