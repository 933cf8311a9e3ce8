"""Generated rows: the same columns as any document, and `gen`, which says from what, by whom and under which licence."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from catalog.ids import doc_id, origin_hash
from synth.ask import Ask
from synth.licenses import most_restrictive
from synth.requests import Messages

DOMAIN = "synthetic"
T = TypeVar("T")
Row = dict[str, Any]


def generated(parent: Mapping[str, Any], ask: Ask, *, writer: str, place: str, seed: int, said: Messages) -> Row:
    """Return a new row made from `parent`: every column of a document but `messages`, `prompt` and the like.

    place: where in the parent, so that two rows from one parent have two ids; said: what the row says, which is its text.
    The licence is the most restrictive of the parent's and the model's; depth counts how many models the text went through.
    """
    text = "\n\n".join(content for _, content in said)
    license = most_restrictive([parent.get("license"), ask.model.license])
    uri = f"synth:{ask.part}/{parent['doc_id']}#{place}"
    return {
        "doc_id": doc_id(ask.part, uri, seed, None),
        "uri": uri,
        "domain": DOMAIN,
        "title": parent.get("title"),
        "license": license,
        "origin_hash": origin_hash(text),
        "text": text,
        "modality": "text",
        "gen": {
            "parents": [parent["doc_id"]],
            "writer": writer,
            "model": ask.model.digest,
            "seed": seed,
            "depth": ((parent.get("gen") or {}).get("depth") or 0) + 1,
            "license": license,
        },
    }


def messages_of(said: Messages) -> list[dict[str, str]]:
    """Return messages as a chat row holds them."""
    return [{"role": role, "content": content} for role, content in said]


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut a sequence into stretches of `size`: a bound on what is held between two rounds of asking."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
