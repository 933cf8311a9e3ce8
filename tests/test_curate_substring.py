"""Repeated stretches: equal to their definition in plain Python, on any text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.stage import words
from curate.components import no_edges
from curate.corpus import Corpus
from curate.substring import spans
from tests.plain_substring import stretches
from tests.spark_making import corpus

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def found(root: Path, texts: Sequence[str | None], tokens: int, files: int = 1, inside: bool = True, ids: Sequence[str] | None = None) -> dict[str, list[Any]]:
    """What the job says of texts, by doc_id."""
    ids = ids or [f"d{i:03d}" for i in range(len(texts))]
    made = corpus(root, [{"doc_id": doc_id, "text": text} for doc_id, text in zip(ids, texts, strict=True)], files)
    hands = Corpus(tuple(made), str(root / "a"), str(root / "w"), workers=0)
    told = spans(hands, no_edges(), tokens, inside)
    hands.clear()
    refs = [number << 32 | row for number, file in enumerate(made) for row in range(file.rows)]
    return {ids[refs.index(ref)]: rows for ref, rows in told.select("ref", "spans").iter_rows()}


def in_words(texts: Sequence[str], told: dict[str, list[Any]], ids: Sequence[str]) -> dict[str, list[tuple[int, int, str, int, int]]]:
    """The same with places in words, for comparing."""
    split = words(pl.DataFrame({"text": texts}))
    out = {}
    for d, doc_id in enumerate(ids):
        if doc_id not in told:
            continue
        starts, ends = [], []
        for w in range(split.documents[d], split.documents[d + 1]):
            starts.append(len(bytes(split.data[split.texts[d] : split.starts[w]]).decode()))
            ends.append(len(bytes(split.data[split.texts[d] : split.ends[w]]).decode()))
        rows = [(starts.index(s["start"]), ends.index(s["end"]) + 1, s) for s in told[doc_id]]
        out[doc_id] = [(first, last - first, s["first"], s["at"], s["copies"]) for first, last, s in rows]
    return out


def plain(texts: Sequence[str], ids: Sequence[str]) -> dict[str, list[str]]:
    split = words(pl.DataFrame({"text": texts}))
    each = [bytes(split.data[s:e]).decode() for s, e in zip(split.starts, split.ends, strict=True)]
    return {doc_id: each[split.documents[d] : split.documents[d + 1]] for d, doc_id in enumerate(ids)}


small = st.lists(st.lists(st.sampled_from(["a", "b", "é", "!"]), max_size=40).map(" ".join), min_size=1, max_size=6)


@QUICK
@given(texts=small, tokens=st.integers(2, 9), files=st.integers(1, 3), inside=st.booleans(), turn=st.integers(0, 5))
def test_any_texts_have_the_stretches_of_the_definition(
    texts: list[str], tokens: int, files: int, inside: bool, turn: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ids = [f"d{(i + turn) % len(texts):03d}" for i in range(len(texts))]
    told = found(tmp_path_factory.mktemp("lake"), texts, tokens, files, inside, ids)
    assert in_words(texts, told, ids) == stretches(plain(texts, ids), tokens, inside)
