"""Near duplicates of source code: signs and capitals count. The gate: files in two releases, whose Jaccard over tokens is recorded."""

import gzip
import json
from collections import defaultdict
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from catalog.errors import RecipeError
from catalog.stage import Bound, words
from curate import duplicates
from curate.exact import hashes
from curate.exact import sketches as exact_sketches
from curate.grams import gram_sets, jaccards
from curate.minhash import band_table
from curate.minhash import sketches as near_sketches
from tests.spark_making import corpus, family, joined

PLUS, MINUS, CAPITAL = "x = a + b * total", "x = a - b / total", "X = A + B * Total"


def batch(*texts: str) -> pl.DataFrame:
    return pl.DataFrame({"text": texts})


def similar(*texts: str, tokens: str) -> list[float]:
    """The Jaccard of the first text with each other one."""
    sets, offsets = gram_sets(words(batch(*texts)), 3, tokens)
    return list(jaccards(sets, offsets, np.zeros(len(texts) - 1, np.int64), np.arange(1, len(texts))))


def test_signs_and_capitals_count_in_code_alone() -> None:
    assert similar(PLUS, MINUS, CAPITAL, PLUS, tokens="words") == [1, 1, 1]
    assert similar(PLUS, MINUS, CAPITAL, PLUS, tokens="code") == [1 / 9, 0, 1]       # of 5 grams each `x = a` alone is in both
    for tokens, same in (("words", 1), ("code", 3)):
        assert hashes(batch(PLUS, MINUS, CAPITAL), by=("text",), tokens=tokens).n_unique() == same
        assert band_table(batch(PLUS, MINUS, CAPITAL), bands=14, rows=8, ngram=5, tokens=tokens).n_unique() == same
    assert similar("(((", ")))", "", tokens="code") == [0, 0]
    assert not band_table(batch("((("), bands=2, rows=2, ngram=5, tokens="code")["band_0"].null_count(), "signs alone are a document of code"


def test_tables_of_words_keep_their_addresses() -> None:
    """What is in lakes stands under knobs that say nothing of tokens; tables of code lie elsewhere."""
    assert near_sketches()[0].knobs == near_sketches(tokens="words")[0].knobs == (("bands", 14), ("rows", 8), ("ngram", 5))
    assert exact_sketches()[0].knobs == (("by", ("text",)),)
    assert dict(near_sketches(tokens="code")[0].knobs)["tokens"] == dict(exact_sketches(tokens="code")[0].knobs)["tokens"] == "code"


def test_unknown_tokens_are_refused(tmp_path: Path) -> None:
    made = corpus(tmp_path, [{"text": "a b"}], 1)
    for job in ("exact", "minhash"):
        with pytest.raises(RecipeError, match="tokens: 'cod'; did you mean 'code'"):
            duplicates.find(made, [Bound(f"curate.{job}:job", {"tokens": "cod"})], str(tmp_path / "annotations/made/run"), workers=0)


def test_files_in_two_releases(data: Callable[[str], Path], tmp_path: Path) -> None:
    """All files of the gold, two releases of a package among them: those at .85 or more are found, and none under .8 are joined over any way."""
    rows = {}
    with gzip.open(data("code/files.jsonl.gz"), "rt", encoding="utf-8") as lines:
        for line in lines:
            row: dict[str, Any] = json.loads(line)
            rows[row["sha256"]] = {"doc_id": row["sha256"], "uri": row["sha256"], "text": row["content"]}
    with gzip.open(data("dedup/code_version_pairs.jsonl.gz"), "rt", encoding="utf-8") as lines:
        pairs = [pair for pair in map(json.loads, lines) if not pair["identical"]]
    made = corpus(tmp_path, list(rows.values()), 2)
    jobs = [Bound("curate.exact:job", {"tokens": "code"}), Bound("curate.minhash:job", {"tokens": "code"})]
    found = duplicates.find(made, jobs, str(tmp_path / "annotations/made/run"), workers=0)
    dup = family(joined(made, found.annotations), "dup", "text")
    cluster = dict(dup.select("doc_id", "cluster").iter_rows())
    hit = {i: cluster[p["sha256_1"]] is not None and cluster[p["sha256_1"]] == cluster[p["sha256_2"]] for i, p in enumerate(pairs)}
    sure = [hit[i] for i, p in enumerate(pairs) if p["jaccard_token5"] >= 0.85]
    assert len(sure) > 150 and sum(sure) / len(sure) >= 0.98
    assert not any(hit[i] for i, p in enumerate(pairs) if p["jaccard_token5"] < 0.7)
    groups = defaultdict(list)
    for place, name in enumerate(dup["cluster"]):
        groups[name].append(place)
    inside = np.array([pair for name, group in groups.items() if name is not None for pair in combinations(group, 2)])
    sets, offsets = gram_sets(words(dup.select("text")), 5, "code")
    assert (jaccards(sets, offsets, inside[:, 0], inside[:, 1]) >= 0.5).mean() >= 0.98
