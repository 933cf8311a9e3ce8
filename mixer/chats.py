"""Chats and preference pairs as tokens: which of them a model learns to say, and which rows cannot be used."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from jinja2 import TemplateError

from catalog.errors import InputError
from catalog.files import Snapshot
from catalog.progress import Meter
from mixer.shards import Encoded, Ids, Masks, Shard, build_with, edits
from mixer.template import Segment, Template
from mixer.tokenizer import Tokenizer

Message = dict[str, Any]


def build(snapshot: Snapshot, tokenizer: Tokenizer, kind: str, meter: Meter | None = None) -> list[Shard]:
    """Tokenise a dataset of chats or pairs with the tokenizer's template: one shard a data file.

    A chat is one document whose assistant turns are supervised; a pair is two, the prompt with the chosen and with the
    rejected answer, of which the answer alone is supervised. Rows that cannot be used stand in the shard's dropped.parquet.
    Raises InputError for another shape, a tokenizer without a template, or one that cannot encode a chat piece by piece.
    """
    if snapshot.shape != kind:
        raise InputError(f"{snapshot.name} holds {snapshot.shape}s, this act needs {kind}s")
    if tokenizer.template is None:
        raise InputError(f"{tokenizer.folder}: the tokenizer has no chat_template; start from a model that has one")
    if not tokenizer.joins():
        raise InputError(f"{tokenizer.folder}: this tokenizer changes text at piece boundaries; chats need a byte-level one")
    if edits(snapshot):
        raise InputError(f"{snapshot.name}: the policy's mask: and cut: are of a document's text and do not reach its messages; use a policy without them")
    columns = ("messages",) if kind == "chat" else ("prompt", "chosen", "rejected")
    encode = _chats if kind == "chat" else _pairs
    return build_with(snapshot, tokenizer, lambda batch: encode(batch, tokenizer), columns, (), {"kind": kind}, meter)


def _chats(batch: pl.DataFrame, tokenizer: Tokenizer) -> Encoded:
    read = [_segments(messages, tokenizer, last=False) for messages in batch["messages"].to_list()]
    return batch, *_encode(read, tokenizer)


def _pairs(batch: pl.DataFrame, tokenizer: Tokenizer) -> Encoded:
    """Each pair becomes two rows, chosen then rejected; what makes one unusable takes both."""
    read: list[list[Segment] | str] = []
    for prompt, chosen, rejected in batch.select("prompt", "chosen", "rejected").iter_rows():
        sides = [_segments([*(prompt or ()), {"role": "assistant", "content": text}], tokenizer, last=True) for text in (chosen, rejected)]
        why = next((side for side in sides if isinstance(side, str)), "same_answers" if chosen == rejected else None)
        read += [why, why] if why else sides
    return batch[np.repeat(np.arange(batch.height), 2)], *_encode(read, tokenizer)


def _segments(messages: Sequence[Message] | None, tokenizer: Tokenizer, *, last: bool) -> list[Segment] | str:
    """Return a chat's stretches, or the reason why it cannot be used. `last` supervises the last turn alone."""
    assert isinstance(tokenizer.template, Template)
    if not messages:
        return "no_messages"
    if any(not isinstance(m["content"], str) or not m["role"] for m in messages):
        return "no_content"
    if any(token in m["content"] for m in messages for token in tokenizer.specials):
        return "special_token"
    if not any(m["role"] == "assistant" and m["content"].strip() for m in messages[-1 if last else 0 :]):
        return "nothing_supervised"
    try:
        segments = tokenizer.template.segments(messages)
    except (TemplateError, TypeError):
        return "template"
    said = [i for i, (_, supervised) in enumerate(segments) if supervised]
    if last:
        segments = [(text, supervised and i == said[-1]) for i, (text, supervised) in enumerate(segments)]
    return segments if said else "nothing_supervised"


def _encode(read: list[list[Segment] | str], tokenizer: Tokenizer) -> tuple[list[Ids], Masks, list[str | None]]:
    """Encode all stretches of all rows at once, each by itself: no token crosses from what is given into what is said."""
    texts = [text for row in read if not isinstance(row, str) for text, _ in row]
    pieces = iter(tokenizer.encode(texts, markup=True))
    ids: list[Ids] = []
    masks: Masks = []
    for row in read:
        found = [(next(pieces), supervised) for _, supervised in row] if not isinstance(row, str) else []
        ids.append(np.concatenate([piece for piece, _ in found]) if found else np.empty(0, np.int64))
        flags = [np.full(piece.size, supervised, np.uint8) for piece, supervised in found]
        masks.append(np.concatenate(flags) if flags else np.empty(0, np.uint8))
    return ids, masks, [row if isinstance(row, str) else None for row in read]
