"""What is asked of a model, as a writer says it, as the engine and the ledger see it, and what came of it."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from catalog.errors import InputError
from synth.engine import PLAIN, Call, Reply, Sampling
from synth.ledger import Row, hash_of, key_of
from synth.models import Model

Messages = tuple[tuple[str, str], ...]
"""A chat: (role, content) pairs."""


@dataclass(frozen=True)
class Request:
    """A chat to be answered, or, with `answer`, an answer to be scored: how likely the model finds it after this chat.

    choices: weigh them instead, single characters or words of one token each: how likely each comes next; begun: what of the answer
    stands before them. parents: doc_ids of what the chat is made of; purpose: what it is for, for who reads the ledger.
    """

    messages: Messages
    seed: int = 0
    sampling: Sampling = PLAIN
    answer: str | None = None
    choices: tuple[str, ...] = ()
    begun: str = ""
    purpose: str = ""
    parents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Completion:
    """What came of the request number `index`. finish: stop, length, scored, weighed or refused (then `refused` says why).

    logprob: sum over the answer's tokens and its end token, natural logarithm, where an answer was scored; of all choices
    together, where they were weighed (then `text` is a JSON object of the natural log-probability of each).
    found: the ledger knew it.
    """

    index: int
    key: str
    text: str
    finish: str
    tokens: int
    prompt_tokens: int
    logprob: float | None
    refused: str | None
    found: bool


@dataclass(frozen=True)
class Order:
    """A request in tokens, with its parameters and its key. `scored` counts the answer's tokens at the end of `tokens`, `choices` are
    what is weighed after them."""

    key: str
    prompt: str
    tokens: tuple[int, ...]
    hashed: str
    parameters: str
    seed: int
    max_tokens: int
    scored: int
    choices: tuple[int, ...] = ()

    def call(self, index: int, sampling: Sampling) -> Call:
        """Return what the engine is asked."""
        return Call(index, self.tokens, sampling, self.seed, self.scored, self.choices)

    def served_by(self, row: Row, context: int) -> bool:
        """Whether a known completion is what this order would get.

        An answer that ended by itself within the limit is; one that was cut only if it was cut at the same place.
        """
        if row["finish"] == "refused":
            return len(self.tokens) >= context
        if row["finish"] == "stop":
            return bool(row["tokens"] <= self.max_tokens)
        if row["finish"] == "length":
            return self.max_tokens == row["max_tokens"] and bool(row["tokens"] == self.max_tokens or row["prompt_tokens"] + row["tokens"] >= context)
        return self.scored > 0 or bool(self.choices)


def order_of(request: Request, model: Model, tokenizer: Any) -> Order:
    """Render a request with the model's template and tokenise it; an answer to be scored is tokenised by itself."""
    messages = [{"role": role, "content": plain(content, tokenizer)} for role, content in request.messages]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    tokens = _ids(tokenizer, prompt)
    parameters: dict[str, Any] = {name: value for name, value in asdict(request.sampling).items() if name != "max_tokens"}
    seed, limit, scored = request.seed, request.sampling.max_tokens, 0
    if request.answer is not None:
        answer = [*_ids(tokenizer, plain(request.answer, tokenizer)), tokenizer.eos_token_id]
        tokens, scored = tokens + answer, len(answer)
        parameters, seed, limit = {"scored": scored}, 0, 0
    choices: tuple[int, ...] = ()
    if request.choices:
        begun, choices = choices_of(request.choices, request.begun, tokenizer, model.name)
        tokens, parameters, seed, limit = tokens + begun, {"choices": choices}, 0, 0
    hashed, written = hash_of(tokens), json.dumps(parameters, sort_keys=True)
    return Order(key_of(model.digest, hashed, written, seed), prompt, tuple(tokens), hashed, written, seed, limit, scored, choices)


def choices_of(choices: Sequence[str], begun: str, tokenizer: Any, model: str) -> tuple[list[int], tuple[int, ...]]:
    """Return the tokens of what is begun, and the one token that each choice adds to them. Raises InputError where one adds more."""
    written = [_ids(tokenizer, begun + choice) for choice in choices]
    last = tuple(tokens[-1] for tokens in written)
    if len({tuple(tokens[:-1]) for tokens in written}) > 1 or len(set(last)) < len(last):
        raise InputError(f"{model} does not write each of {', '.join(choices)} as one token, so they cannot be weighed; ask for a written answer")
    return written[0][:-1], last


def weights_of(completion: Completion) -> dict[str, float]:
    """Return the share of each choice, out of all that the model could have written; of an answer that was not weighed, none."""
    return {choice: math.exp(weight) for choice, weight in json.loads(completion.text).items()} if completion.finish == "weighed" else {}


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def plain(text: str, tokenizer: Any) -> str:
    """Break up the template's own tokens: a document that holds them would otherwise speak as another role."""
    for token in tokenizer.all_special_tokens:
        text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def row_of(model: Model, request: Request, order: Order, reply: Reply, asked_at: datetime) -> Row:
    """Return a completion as the ledger keeps it."""
    text, logprob = reply.text if request.answer is None else request.answer, reply.logprob
    if reply.weights:
        text = json.dumps(dict(zip(request.choices, reply.weights, strict=True)))
        most = max(reply.weights)
        logprob = most + math.log(sum(math.exp(weight - most) for weight in reply.weights))
    return {
        "key": order.key,
        "model": model.digest,
        "purpose": request.purpose,
        "parents": list(request.parents),
        "prompt": order.prompt,
        "prompt_hash": order.hashed,
        "parameters": order.parameters,
        "seed": order.seed,
        "max_tokens": order.max_tokens,
        "text": text,
        "finish": reply.finish,
        "refused": reply.refused,
        "prompt_tokens": len(order.tokens) - order.scored,
        "tokens": reply.tokens,
        "logprob": logprob,
        "asked_at": asked_at,
        "finished_at": now(),
    }


def completion_of(index: int, row: Row, *, found: bool) -> Completion:
    """Return a row of the ledger as the completion of request number `index`."""
    same = ("key", "text", "finish", "tokens", "prompt_tokens", "logprob", "refused")
    return Completion(index=index, found=found, **{name: row[name] for name in same})


def chat(*turns: str) -> Messages:
    """Return user and assistant turns in alternation as messages, beginning with the user."""
    roles: Sequence[str] = ("user", "assistant")
    return tuple((roles[i % 2], turn) for i, turn in enumerate(turns))


def now() -> datetime:
    """The time in UTC, without a zone, as the lake keeps times."""
    return datetime.now(UTC).replace(tzinfo=None)
