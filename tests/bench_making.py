"""Evaluation sets for tests: a few items written here, their index, and what the stage says of texts."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from catalog.ids import doc_id
from curate.bench.index import Benchmark, build
from curate.contamination import spans
from curate.models import vectors
from tests.river_making import prose

Item = tuple[str, str | None]
"""A question and its answer."""

MILL: list[Item] = [
    ("A miller grinds forty sacks of barley in nine hours; how many sacks does he grind in three working days?", "In twenty seven hours he grinds 120 sacks."),
    ("Which gate of the lower lock must the keeper close before he floods the chamber?", "The downstream gate"),
    ("Name the oldest bridge over the Severn", "The Iron Bridge was opened in 1781"),
    ("Count 4 by 7", "28"),
]
TOLD = "In three days of working hours, how many sacks does a miller grind, where in nine of these hours he grinds forty, barley in each?"
"""The first item in other words: no 4 words of it stand in a row."""
DRAIN = 'def drain(levels: list[int], by: int) -> list[int]:\n    """Lower every level of the weir by the given number, never below zero."""'
CODE: list[Item] = [(DRAIN, None)]
PLAIN = "The boats lay along the quay in the evening, and nobody went on board until the lamps were lit and the harbour master had gone home. "


def named(bench: str, i: int) -> str:
    return doc_id(bench, "items", i, None)


def items(bench: str, given: Sequence[Item]) -> pl.DataFrame:
    rows = [{"doc_id": named(bench, i), "text": question, "answer": answer} for i, (question, answer) in enumerate(given)]
    return pl.DataFrame(rows, schema={"doc_id": pl.String, "text": pl.String, "answer": pl.String})


def benchmarks(given: Mapping[str, Sequence[Item]]) -> list[Benchmark]:
    return [Benchmark(name, "key", 1, items(name, some)) for name, some in given.items()]


def index(folder: Path, given: Mapping[str, Sequence[Item]]) -> str:
    """Build an index and return its folder."""
    build(benchmarks(given), folder)
    return str(folder)


def said(folder: str, texts: Sequence[str | None], **knobs: Any) -> list[dict[str, Any]]:
    return spans(pl.DataFrame({"text": texts}, schema={"text": pl.String}), against=folder, **knobs).to_dicts()


def meaning(folder: Path) -> str:
    """Write word vectors of little text, in which the items stand once, and return their folder."""
    texts = [PLAIN, *(question for question, _ in MILL[:2]), *(prose(f"p{i}", 6) for i in range(40))]
    vectors.save(vectors.train([pl.Series(texts)], min_count=1), folder)
    return str(folder)


def noisy(text: str, share: float, dice: random.Random, words: Sequence[str]) -> str:
    """A text with this share of its words changed, left out or followed by another one, as dice fall."""
    out = []
    for word in text.split(" "):
        kind = dice.choice(("change", "leave out", "add")) if dice.random() < share else ""
        out += {"": [word], "change": [dice.choice(words)], "leave out": [], "add": [word, dice.choice(words)]}[kind]
    return " ".join(out)
