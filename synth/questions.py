"""Questions about documents, and their answers, as chats: a passage and a question from the user, an answer from the assistant.

The question is asked for first and the answer in a second call: a small model asked for both at once rarely keeps to the form
(of 24 tries with a 135M model 2 parsed; in two calls 22 were questions). Two examples, written for this file, show the form.
"""

import re
from collections.abc import Iterator
from typing import Any

import polars as pl

from synth.ask import Ask
from synth.engine import Sampling
from synth.passages import Passage, choose
from synth.requests import Completion, Messages, Request, chat
from synth.rows import chunks, generated, messages_of

VERSION = 1
SHAPE = "chat"
WRITER = "questions.grounded"
AT_ONCE = 2048
"""Passages between two rounds of asking."""

QUESTIONS = "You write short questions about a text."
WANTED = "Text: {}\n\nWrite one question that the text answers."
ANSWERS = "You answer the question in one short sentence, with words from the text."
EXAMPLES = (
    (
        (
            "Honey bees tell one another where food is by dancing. A bee that has found flowers runs in a figure of eight on the comb: "
            "the angle of the run shows the direction, and its length shows the distance."
        ),
        "How does a bee show the direction of the flowers?",
        "The angle of its run on the comb shows the direction.",
    ),
    (
        (
            "A canal lock lifts boats from one level of water to another. The boat enters a chamber, the gates close behind it, and "
            "water is let in from above until the chamber is as high as the upper canal."
        ),
        "Why is water let into the chamber from above?",
        "Water is let in until the chamber is as high as the upper canal.",
    ),
)

WORD = re.compile(r"[^\W_]+")
SMALL_WORDS = """
about above after again all also although among and another any are because been before being below between
both but can cannot could did does doing done down during each either even every few for from further had has
have having her here him his how however into its itself just least less many may might more most much must
neither nor not now off once one only other our out over own per rather same shall she should since some such
than that the their them then there these they this those through thus too two under until upon very was way
well were what when where whether which while who whom whose why will with within without would yes yet you
your
"""
COMMON = frozenset(SMALL_WORDS.split())
"""Words of three letters and more that say nothing of a subject."""


def grounded(
    documents: Iterator[pl.DataFrame],
    ask: Ask,
    *,
    limit: int = 96,
    passage: int = 420,
    per_document: int = 4,
    overlap: float = 0.6,
    temperature: float = 0.7,
    answer_temperature: float = 0.3,
    question_tokens: int = 40,
    answer_tokens: int = 64,
) -> Iterator[dict[str, Any]]:
    """Yield a chat for each of `limit` passages of the documents, with `kept` and, where it is not, the `reason`.

    passage: characters at most (with question and answer about 700, or 256 tokens of a small vocabulary); per_document:
    passages of one document at most, more than one only when documents are few; overlap: the least share of the answer's
    content words that must stand in the passage, which is all the model saw of the document. A chat is kept if the question
    ends with a question mark, both ended by themselves, and the answer is grounded so.
    """
    for batch in chunks(choose(documents, ask.seed, limit=limit, size=passage, most=per_document), AT_ONCE):
        how = Sampling(temperature=temperature, min_p=0.05, max_tokens=question_tokens, stop=("\n",))
        questions = list(ask([_question(p, ask, how) for p in batch], label=f"{ask.part} questions"))
        good = [i for i, question in enumerate(questions) if unasked(question) is None]
        how = Sampling(temperature=answer_temperature, min_p=0.05, max_tokens=answer_tokens, stop=("\n",))
        requests = [_answer(batch[i], questions[i].text.strip(), ask, how) for i in good]
        answers = dict(zip(good, ask(requests, label=f"{ask.part} answers"), strict=True))
        for i, (p, question) in enumerate(zip(batch, questions, strict=True)):
            yield _row(p, question, answers.get(i), ask, overlap)


def _question(p: Passage, ask: Ask, how: Sampling) -> Request:
    shown = [turn for text, question, _ in EXAMPLES for turn in (WANTED.format(text), question)]
    messages = (("system", QUESTIONS), *chat(*shown, WANTED.format(p.text)))
    return Request(messages, ask.seed("question", p.doc_id, p.number), how, purpose=f"{WRITER} question", parents=(p.doc_id,))


def _answer(p: Passage, question: str, ask: Ask, how: Sampling) -> Request:
    messages = answering(chat(about(p.text, question)))
    return Request(messages, ask.seed("answer", p.doc_id, p.number), how, purpose=f"{WRITER} answer", parents=(p.doc_id,))


def about(text: str, question: str) -> str:
    """Return what the user says: the passage, then the question."""
    return f"{text}\n\n{question}"


def answering(said: Messages) -> Messages:
    """Return a chat with the instruction and the examples that make a small model answer in one grounded sentence before it."""
    shown = [turn for text, question, answer in EXAMPLES for turn in (about(text, question), answer)]
    return (("system", ANSWERS), *chat(*shown), *said)


def unasked(question: Completion) -> str | None:
    """Return why a question cannot be used, or None."""
    if question.finish != "stop":
        return "question_refused" if question.finish == "refused" else "question_cut"
    return None if question.text.strip().endswith("?") else "no_question_mark"


def finished(answer: Completion) -> bool:
    """Whether an answer ended by itself. One line is asked for, so one that announces a list is cut at its end."""
    return answer.finish == "stop" and not answer.text.rstrip().endswith((":", ","))


def unanswered(answer: Completion, text: str, overlap: float) -> str | None:
    """Return why an answer cannot be used, or None."""
    if answer.finish == "refused" or not finished(answer):
        return "answer_refused" if answer.finish == "refused" else "answer_cut"
    words = content(answer.text)
    if not words:
        return "answer_empty"
    known = set(content(text))
    return None if sum(word in known for word in words) >= overlap * len(words) else "answer_not_in_text"


def content(text: str) -> list[str]:
    """Return a text's content words: three letters or digits and more, lower-case, not among the common ones."""
    return [word for word in WORD.findall(text.lower()) if len(word) > 2 and word not in COMMON]


def _row(p: Passage, question: Completion, answer: Completion | None, ask: Ask, overlap: float) -> dict[str, Any]:
    reason = unasked(question) or (unanswered(answer, p.text, overlap) if answer else "answer_refused")
    said = chat(about(p.text, question.text.strip()), answer.text.strip() if answer else "")
    seed = ask.seed("answer", p.doc_id, p.number)
    row = generated(p.row, ask, writer=WRITER, place=f"char={p.start},{p.end}", seed=seed, said=said)
    return {**row, "messages": messages_of(said), "kept": reason is None, "reason": reason}
