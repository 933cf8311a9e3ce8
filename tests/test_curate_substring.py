"""Repeated stretches: equal to their definition in plain Python, on any text."""

import gzip
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.stage import Bound, words
from curate import duplicates, substring
from curate.components import no_edges
from curate.corpus import Corpus
from curate.substring import spans
from curate.windows import firsts
from tests.peers_making import installed
from tests.plain_substring import stretches
from tests.spark_making import corpus, family, joined

ORACLE = Path(__file__).resolve().parent / "oracle_suffix.py"
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def found(root: Path, texts: Sequence[str | None], tokens: int, files: int = 1, inside: bool = True, ids: Sequence[str] | None = None) -> dict[str, list[Any]]:
    """What the job says of texts, by doc_id."""
    ids = ids or [f"d{i:03d}" for i in range(len(texts))]
    made = corpus(root, [{"doc_id": doc_id, "text": text} for doc_id, text in zip(ids, texts, strict=True)], files)
    hands = Corpus(tuple(made), str(root / "a"), str(root / "w"), workers=0)
    told = spans(hands, no_edges(), tokens, inside)
    hands.clear()
    refs = [number << 32 | row for number, file in enumerate(made) for row in range(file.rows)]
    for ref, rows, share in told.select("ref", "spans", "repeated").iter_rows():
        text = texts[refs.index(ref)] or ""
        assert share == len({char for span in rows for char in range(span["start"], span["end"])}) / len(text)
    return {ids[refs.index(ref)]: rows for ref, rows in told.select("ref", "spans").iter_rows()}


def in_words(texts: Sequence[str], told: dict[str, list[Any]], ids: Sequence[str]) -> dict[str, list[tuple[int, int, str, int, int]]]:
    """The same with places in words, for comparing."""
    split = words(pl.DataFrame({"text": texts}))
    out: dict[str, list[tuple[int, int, str, int, int]]] = {}
    for d, doc_id in enumerate(ids):
        if doc_id not in told:
            continue
        raw = split.data[split.texts[d] : split.texts[d + 1]]
        chars = np.cumsum(np.append(0, (raw & 0xC0) != 0x80))
        of = slice(split.documents[d], split.documents[d + 1])
        starts, ends = (chars[places[of] - split.texts[d]].tolist() for places in (split.starts, split.ends))
        start_at, end_at = ({char: w for w, char in enumerate(places)} for places in (starts, ends))
        rows = [(start_at[s["start"]], end_at[s["end"]] + 1, s) for s in told[doc_id]]
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


def test_many_parts_say_what_one_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys in more ranges than one, and a key that two windows share."""
    texts = [" ".join(f"w{(i * k) % 17}" for i in range(60)) for k in (1, 2, 3, 1)]
    whole = found(tmp_path / "whole", texts, 6, 2)
    monkeypatch.setattr(substring, "PART_ROWS", 20)
    assert found(tmp_path / "parts", texts, 6, 2) == whole and len(whole) == 4
    key, check, place = (np.array(column) for column in ([7, 7, 7, 7, 9], [1, 2, 1, 2, 1], [50, 10, 40, 30, 5]))
    assert firsts(key, check, place).tolist() == [40, 10, 40, 10, -1]


WORDS, MINE = (" ".join(f"{letter}{i}" for i in range(12)) for letter in "wv")


def test_nothing_is_compared_over_the_border_of_a_scope(tmp_path: Path) -> None:
    rows = [{"doc_id": f"d{i}", "domain": ["web", "code"][i % 2], "text": f"{i} {WORDS} {i}"} for i in range(5)]
    dup = searched(tmp_path, rows, within="domain")
    assert [[(s["first"], s["copies"]) for s in spans] for spans in dup["spans"]] == [[("d0", 3)], [("d1", 2)]] * 2 + [[("d0", 3)]]
    assert dup["repeated"][0] == len(WORDS) / len(rows[0]["text"])


def test_what_another_dataset_keeps_need_not_stay(tmp_path: Path) -> None:
    """Its spans have no `at`, so no copy is chosen; nothing is written beside its files, and its own copies are as they are."""
    other = corpus(tmp_path, [{"doc_id": "b0", "text": f"before {WORDS}"}, {"doc_id": "b1", "text": f"{WORDS}. {WORDS}".upper()}], 1, dataset="theirs")
    rows = [{"doc_id": f"d{i}", "text": f"{i} {text} {i}"} for i, text in enumerate([WORDS, WORDS, WORDS.upper(), MINE, f"{WORDS} {MINE}"])]
    dup = searched(tmp_path, rows, against=duplicates.Against(tuple(other), None, str(tmp_path / "annotations/theirs/run")))
    said = [[(s["first"], s["at"], s["copies"]) for s in spans] for spans in dup["spans"]]
    theirs, ours = ("b0", None, 4), ("d3", 1, 2)
    assert said == [[theirs], [theirs], [("b1", None, 3)], [ours], [theirs, ours]]


def test_exact_copies_are_one_text_and_each_has_its_spans(tmp_path: Path) -> None:
    rows = [{"doc_id": f"d{i}", "text": text} for i, text in enumerate([f"a {WORDS}", f"a {WORDS}", f"A  {WORDS}", "alone in the world and all of it"])]
    exact = Bound("curate.exact:job", {"by": ("text",)})
    dup = searched(tmp_path, rows, jobs=[exact])
    said = [[(s["start"], s["first"], s["copies"]) for s in spans] for spans in dup["spans"].drop_nulls()]
    assert said == [[(2, "d0", 2)], [(2, "d0", 2)], [(3, "d0", 2)]] and dup["spans"][3] is None
    assert dup["repeated"].null_count() == 1
    twins = searched(tmp_path / "twins", rows[:2] + rows[3:], jobs=[exact])
    assert twins["spans"].null_count() == 3, "two equal texts are their cluster's matter"


def searched(root: Path, rows: Sequence[dict[str, Any]], jobs: Sequence[Bound] = (), **scope: Any) -> pl.DataFrame:
    made = corpus(root, rows, 2)
    bound = [*jobs, Bound("curate.substring:job", {"tokens": 10, "inside": True})]
    return family(joined(made, duplicates.find(made, bound, str(root / "annotations/made/dup"), workers=0, **scope).annotations), "dup")


def test_hostile_texts(tmp_path: Path) -> None:
    """Nothing, NUL, one word of ten megabytes, one word again and again: as many spans as windows, not their square."""
    texts = ["", None, "\0" * 9, "x" * 10_000_000, "x" * 10_000_000, "ha " * 30_000, "\0a" * 60]
    told = found(tmp_path, texts, 50)
    assert {doc_id: len(rows) for doc_id, rows in told.items()} == {"d005": 29_951, "d006": 11}
    assert all(span["copies"] == 29_951 and span["end"] - span["start"] == 149 for span in told["d005"])


def test_pages_that_share_a_paragraph_cost_by_their_number(tmp_path: Path) -> None:
    """Fingerprints, windows and spans grow as the pages do."""
    counts = []
    for n in (100, 400):
        made = corpus(tmp_path / str(n), [{"doc_id": f"d{i:03d}", "text": f"p{i} {' '.join(f'w{k}' for k in range(60))} q{i}"} for i in range(n)], 2)
        hands = Corpus(tuple(made), str(tmp_path / "a"), str(tmp_path / f"w{n}"), workers=0)
        told = spans(hands, no_edges(), 50, True)
        counts.append([hands.metrics[f"substring_{what}"] for what in ("windows", "spans")])
        assert told["spans"].list.len().to_list() == [1] * n and told["spans"].list.first().struct.field("copies").to_list() == [n] * n
    assert counts[0][1] == 100 and counts[1][1] == 400 and counts[1][0] < 4.5 * counts[0][0] < 8000


@pytest.mark.oracle
def test_books_have_the_windows_of_a_suffix_array(tmp_path: Path, oracles: Path, data: Callable[[str], Path]) -> None:
    """Six novels, two of them twice in other editions, by pydivsufsort."""
    installed(oracles, "pydivsufsort")
    names = ("dedup/book_editions.jsonl.gz", "books/books.jsonl.gz")
    pairs, rows = ([json.loads(line) for line in gzip.decompress(data(name).read_bytes()).splitlines()] for name in names)
    wanted = {pair[end] for pair in pairs[1:] for end in ("id_1", "id_2")} | {row["id"] for row in rows[:2]}
    texts = {row["id"]: row["text"] for row in sorted(rows, key=lambda row: row["id"]) if row["id"] in wanted}
    split = words(pl.DataFrame({"text": list(texts.values())}))
    _, numbers = np.unique(split.hashes, return_inverse=True)
    np.save(tmp_path / "words.npy", numbers.astype(np.uint32))
    np.save(tmp_path / "offsets.npy", split.documents)
    asked = [str(tmp_path / name) for name in ("words.npy", "offsets.npy", "20", "firsts.npy")]
    subprocess.run([str(oracles), str(ORACLE), *asked[:2], "20", asked[3]], check=True, capture_output=True)
    theirs = np.load(tmp_path / "firsts.npy")
    told = in_words(list(texts.values()), found(tmp_path, list(texts.values()), 20, 2, ids=list(texts)), list(texts))
    ours, at = np.full(theirs.size, -1), dict(zip(texts, split.documents.tolist(), strict=False))
    for doc_id, rows_of in told.items():
        for word, count, first, place, _ in rows_of:
            ours[at[doc_id] + word : at[doc_id] + word + count - 19] = at[first] + place + np.arange(count - 19)
    assert (ours == theirs).all() and (ours >= 0).sum() > 100_000
