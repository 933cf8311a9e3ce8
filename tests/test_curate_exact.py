"""Exact duplicates: documents of the same words, characters or address, wherever they lie."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from catalog.files import DataFile
from catalog.stage import Bound
from curate import duplicates, exact
from curate.corpus import Corpus
from tests.spark_making import corpus, family, joined, local_session

TEXTS = ["same", "other", "same", "alone", "other", "same", "Same", "same. ", "sam e", "", None, "--", "-- ", "--"]
"""The words of the same text in two spellings, two words that are not one, nothing at all, and signs alone."""


def by(*names: str) -> list[Bound]:
    return [Bound("curate.exact:job", {"by": names}, 2)]


def made(root: Path, **columns: Any) -> list[DataFile]:
    rows = [{"doc_id": f"d{99 - i}", "text": text, "uri": f"https://h/{i}", **columns} for i, text in enumerate(TEXTS)]
    return corpus(root, rows, 3)


def found_in(root: Path, files: list[DataFile], jobs: list[Bound], **hands: Any) -> pl.DataFrame:
    found = duplicates.find(files, jobs, str(root / "annotations/made/run"), **{"workers": 0, **hands})
    return family(joined(files, found.annotations), "dup", "text")


def test_copies_are_joined_to_the_smallest_doc_id(tmp_path: Path) -> None:
    dup = found_in(tmp_path, made(tmp_path), by("text"))
    same = [i for i, text in enumerate(TEXTS) if text and text.lower().strip(". ") == "same"]
    assert {dup["cluster"][i] for i in same} == {"d92"} == {dup["exact"][i] for i in same} and {dup["copies"][i] for i in same} == {5}
    assert dup["cluster"][1] == dup["cluster"][4] == "d95" and dup["size"].to_list()[:3] == [5, 2, 5]
    assert dup["cluster"][3] is dup["cluster"][8] is dup["cluster"][9] is dup["cluster"][10] is dup["exact"][3] is None, "alone, another word, empty, null"
    assert dup["cluster"][11] == dup["cluster"][13] == "d86" and dup["cluster"][12] is None, "signs alone are compared as they stand"
    assert dup["jaccard"].to_list()[:5] == [1.0, 1.0, 1.0, None, 1.0] and dup["neighbour"][0] == "d92" and dup["neighbour"][1] == "d95"


def test_characters_and_addresses(tmp_path: Path) -> None:
    """`origin` tells spellings apart; `url` does not ask for the text, and is no exact copy."""
    dup = found_in(tmp_path / "a", made(tmp_path / "a"), by("origin"))
    assert dup["cluster"].to_list()[:8] == ["d94", "d95", "d94", None, "d95", "d94", None, None]
    addresses = ["http://www.H.example/x/", "https://h.example/x#top", "https://h.example:443/x", "https://h.example/X", "https://h.example/x?y", None, None]
    rows = [{"doc_id": f"d{i}", "text": f"text {i}", "uri": uri} for i, uri in enumerate(addresses)]
    dup = found_in(tmp_path / "b", corpus(tmp_path / "b", rows, 2), by("url"))
    assert dup["cluster"].to_list() == ["d0", "d0", "d0", None, None, None, None]
    assert dup["jaccard"].null_count() == 7 == dup["exact"].null_count()


@pytest.mark.parametrize("names", [("url", "text"), ("text", "url"), ("url", "origin", "text")])
def test_a_pair_that_an_address_joins_too_is_still_an_exact_copy(tmp_path: Path, names: tuple[str, ...]) -> None:
    """In whatever order they are named: later jobs know by the Jaccard that one of the two speaks for both."""
    rows = [{"doc_id": f"d{i}", "text": text, "uri": "https://h/1"} for i, text in enumerate(["same", "same", "other"])]
    files = tuple(corpus(tmp_path, rows, 1))
    told = exact.job(Corpus(files, str(tmp_path / "a"), str(tmp_path / "w"), workers=0), duplicates.no_edges(), by=names)
    assert sorted(told.edges.select("a_id", "b_id", "jaccard").rows()) == [("d0", "d1", 1.0), ("d0", "d2", None)]


def test_a_hash_is_of_all_words_in_order() -> None:
    texts = ["one two three", "one three two", "one two", "two three", "one two three three", "ONE, two -- three!"]
    told = exact.hashes(pl.DataFrame({"text": texts}), by=("text",))
    for half in told.columns:
        assert told[half].n_unique() == 5 and told[half][0] == told[half][5]
    assert (told["words_high"] != told["words_low"]).all()


def test_an_unknown_hash_is_nobodys_copy(tmp_path: Path) -> None:
    dup = found_in(tmp_path, made(tmp_path, origin_hash=None), by("origin"))
    assert dup["cluster"].null_count() == dup.height


@pytest.mark.spark
@pytest.mark.slow
def test_spark_finds_the_same_pairs(tmp_path: Path) -> None:
    files = tuple(made(tmp_path))
    corpora = [Corpus(files, str(tmp_path / "a"), str(tmp_path / f"w{i}"), *hands) for i, hands in enumerate([(None, 0), (local_session(), 0, None, 0)])]
    here, there = (exact.job(corpus, duplicates.no_edges(), by=("text", "origin", "url")).edges for corpus in corpora)
    assert there.sort("a", "b").equals(here.sort("a", "b")) and there.height == 9
    assert there.filter(pl.col("a_id") >= pl.col("b_id")).height == 0
