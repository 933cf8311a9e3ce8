"""Stretches of documents that fit a small context: which of them a writer works on, the same ones in every run."""

import heapq
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

SENTENCE = re.compile(r"[^\n]+?(?:[.!?][\"')\]]*(?=\s+[A-Z0-9\"'(\[])|(?=\n)|\Z)", re.S)
"""A sentence ends before a capital or digit, and at the end of a line."""

LEAST = 1 / 3
"""A passage is at least this share of the size asked for."""

LETTERS = 0.7
"""The least share of letters and blanks in a passage: less is a table, a formula or a list of references."""

COLUMNS = ("doc_id", "uri", "domain", "title", "license", "text", "gen")
"""What a writer of passages reads of a document."""


@dataclass(frozen=True)
class Passage:
    """A stretch of a document: characters start to end of its text. `row` is the document without its text."""

    row: dict[str, Any]
    number: int
    start: int
    end: int
    text: str

    @property
    def doc_id(self) -> str:
        return str(self.row["doc_id"])


def windows(text: str, size: int) -> list[tuple[int, int]]:
    """Return stretches of whole sentences, each of at most `size` characters and at least a third of that, side by side."""
    found: list[tuple[int, int]] = []
    start = end = -1
    for match in SENTENCE.finditer(text):
        a, b = match.span()
        a += len(match[0]) - len(match[0].lstrip())
        if start >= 0 and b - start <= size:
            end = b
            continue
        if start >= 0:
            found.append((start, end))
        start, end = (a, b) if b - a <= size else (-1, -1)
    if start >= 0:
        found.append((start, end))
    return [(a, b) for a, b in found if b - a >= size * LEAST and prose(text[a:b])]


def prose(text: str) -> bool:
    """Whether a stretch reads as sentences: mostly letters, and it ends as a sentence does."""
    return text.rstrip("\"')]").endswith((".", "!", "?")) and sum(c.isalpha() or c == " " for c in text) >= LETTERS * len(text)


def choose(
    documents: Iterator[pl.DataFrame], seed: Callable[..., int], *, limit: int, size: int, most: int
) -> list[Passage]:
    """Return up to `limit` passages: as many of each domain as of the others, and at most `most` of a document.

    Which ones depends on `seed(doc_id, number)` alone, not on the order of the documents or their number. Second passages of
    a document are taken only when there are too few documents.
    """
    heaps: dict[str, list[tuple[int, int, str, Passage]]] = {}
    for batch in documents:
        for row in batch.select([name for name in COLUMNS if name in batch.columns]).iter_rows(named=True):
            heap = heaps.setdefault(str(row["domain"]), [])
            for item in _of_document(row, seed, size, most, None if len(heap) < limit else heap[0][:2]):
                (heapq.heappush if len(heap) < limit else heapq.heappushpop)(heap, item)
    ranked = {domain: sorted(heap, reverse=True) for domain, heap in sorted(heaps.items())}
    chosen = [item for domain, share in shares({d: len(r) for d, r in ranked.items()}, limit).items() for item in ranked[domain][:share]]
    return [item[-1] for item in sorted(chosen, reverse=True)]


def _of_document(
    row: dict[str, Any], seed: Callable[..., int], size: int, most: int, bar: tuple[int, int] | None
) -> Iterator[tuple[int, int, str, Passage]]:
    """A document's passages, each with its place in line (larger comes first); none that is behind `bar`."""
    doc_id, text = str(row["doc_id"]), row.pop("text") or ""
    places = [(-number, -seed("passage", doc_id, number)) for number in range(most)]
    if bar is not None and all(place < bar for place in places):
        return
    spans = windows(text, size)
    order = sorted(range(len(spans)), key=lambda i: seed("window", doc_id, i))
    for place, (number, window) in zip(places, enumerate(order[:most]), strict=False):
        a, b = spans[window]
        yield *place, doc_id, Passage(row, number, a, b, text[a:b])


def shares(there: dict[str, int], limit: int) -> dict[str, int]:
    """Return how many each gets of `limit`: equal shares, and what one cannot use goes to the others."""
    given: dict[str, int] = {}
    left = limit
    for i, (name, n) in enumerate(sorted(there.items(), key=lambda item: (item[1], item[0]))):
        given[name] = min(n, left // (len(there) - i))
        left -= given[name]
    return given
