"""Exact duplicates: documents with one origin_hash, wherever they lie."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from catalog.stage import Bound
from curate import duplicates
from curate.components import equal
from curate.corpus import Corpus
from tests.spark_making import corpus, family, joined, local_session

EXACT = [Bound("curate.exact:job", {})]
TEXTS = ["same", "other", "same", "alone", "other", "same", "Same", "same "]


def made(root: Path, **columns: Any) -> Any:
    return corpus(root, [{"doc_id": f"d{9 - i}", "text": text, "uri": f"https://h/{i}", **columns} for i, text in enumerate(TEXTS)], 3)


def test_copies_are_joined_to_the_smallest_doc_id(tmp_path: Path) -> None:
    files = made(tmp_path)
    found = duplicates.find(files, EXACT, str(tmp_path / "annotations/made/run"), workers=0)
    dup = family(joined(files, found.annotations), "dup", "text")
    assert dup["cluster"].to_list() == ["d4", "d5", "d4", None, "d5", "d4", None, None]
    assert dup["size"].to_list() == [3, 2, 3, 1, 2, 3, 1, 1]
    assert dup["jaccard"].to_list() == [1.0, 1.0, 1.0, None, 1.0, 1.0, None, None]
    assert dup["neighbour"].to_list() == ["d4", "d5", "d4", None, "d8", "d7", None, None]
    assert found.metrics == {"exact_pairs": 3, "clusters": 2, "clustered": 5, "documents": 8} and found.bands == ()


def test_an_unknown_hash_is_nobodys_copy(tmp_path: Path) -> None:
    files = made(tmp_path, origin_hash=None)
    assert equal(Corpus(tuple(files), str(tmp_path / "a"), str(tmp_path / "w")), "origin_hash").height == 0


@pytest.mark.spark
@pytest.mark.slow
def test_spark_finds_the_same_pairs(tmp_path: Path) -> None:
    files = tuple(made(tmp_path))
    here = equal(Corpus(files, str(tmp_path / "a"), str(tmp_path / "w")), "origin_hash")
    there = equal(Corpus(files, str(tmp_path / "a"), str(tmp_path / "w"), local_session(), polars_rows=0), "origin_hash")
    columns = ["a", "b", "a_id", "b_id"]
    assert there.select(columns).equals(here.select(columns).sort("a_id", "b_id")) and there.height == 3
    assert there.filter(pl.col("a_id") >= pl.col("b_id")).height == 0
