"""Bloom filters over band keys: against plain sets, against the search that compares, file after file, within and against."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from catalog.files import DataFile, verdict_family
from catalog.stage import Bound
from curate import duplicates
from curate.bloom import LEAST, _pass, filters
from curate.duplicates import Against
from curate.minhash import band_table
from curate.policy import from_body
from curate.verdicts import judge
from tests.spark_making import corpus, family, joined
from tests.test_curate_minhash import pages, planted

FINEWEB: dict[str, Any] = {"bands": 14, "rows": 8, "ngram": 5}


def jobs(**knobs: Any) -> list[Bound]:
    return [Bound("curate.bloom:job", knobs)]


def found_in(files: list[DataFile], folder: Path, **hands: Any) -> tuple[pl.DataFrame, duplicates.Found]:
    """What the filters say of files, in their order, beside the documents."""
    found = duplicates.find(files, jobs(), str(folder), workers=0, **hands)
    own = joined(files, found.annotations)
    return pl.concat([family([file], "dup", "uri", "text").with_columns(file=pl.lit(place)) for place, file in enumerate(own)]), found


def seen_before(rows: pl.DataFrame) -> list[bool]:
    """Whether a document before shares a band, by plain sets: files in their order, within one by doc_id. In the order of the rows."""
    keys = band_table(rows.select("text"), **FINEWEB).rows()
    held: list[set[int]] = [set() for _ in range(14)]
    seen = [False] * rows.height
    for place in rows.with_row_index("place").sort("file", "doc_id")["place"]:
        seen[place] = any(key in band for key, band in zip(keys[place], held, strict=True))
        for key, band in zip(keys[place], held, strict=True):
            band.add(key)
    return seen


def test_the_filters_say_what_plain_sets_do(tmp_path: Path) -> None:
    texts = [*pages(3, 60), {"text": "-- !!"}, {"text": "..."}]
    rows, found = found_in(corpus(tmp_path, texts, 3), tmp_path / "annotations/made/run")
    expected = seen_before(rows.filter(pl.col("text").str.contains(r"\w")))
    told = rows["bloomed"].to_list()
    assert told[: len(expected)] == [seen or None for seen in expected] and 20 < sum(expected) < len(expected) - 60
    assert told[len(expected) :] == [None, None] and found.metrics["bloom_documents"] == LEAST and found.bands
    assert rows["cluster"].null_count() == rows.height, "no neighbour is named, and nothing joined"


def test_files_that_are_added_meet_the_filters_of_those_before(tmp_path: Path) -> None:
    made = corpus(tmp_path, pages(4, 60), 4)
    _, first = found_in(made[:3], tmp_path / "annotations/made/run1")
    more, second = found_in(made, tmp_path / "annotations/made/run2")
    whole, third = found_in(made, tmp_path / "annotations/other/run")
    assert [found.metrics["bloom_files_passed"] for found in (first, second, third)] == [3, 1, 4]
    assert more.equals(whole) and more.filter(pl.col("file") == 3)["bloomed"].sum() > 3
    (path,) = (tmp_path / "annotations/made/run2").glob("bloom-*.npy")
    (other,) = (tmp_path / "annotations/other/run").glob("bloom-*.npy")
    assert path.name == other.name and path.read_bytes() == other.read_bytes() and path.read_bytes()[:6] == b"\x93NUMPY"
    assert np.load(path, allow_pickle=False).nbytes == second.metrics["bloom_bytes"]
    _, again = found_in([made[1], made[0], *made[2:]], tmp_path / "annotations/made/run3")
    assert again.metrics["bloom_files_passed"] == 4, "another order is another answer"


@pytest.mark.parametrize("rate", [1e-2, 1e-3])
def test_full_filters_raise_false_alarms_at_the_rate_that_was_asked(rate: float) -> None:
    made, draw = filters(14, LEAST, rate), np.random.default_rng(5)
    keys = draw.integers(0, 1 << 64, (14, 2 * LEAST), dtype=np.uint64)
    hit, bits = np.zeros(2 * LEAST, np.bool_), np.zeros((14, made.bits // 64), np.uint64)
    for band in range(14):
        _pass(bits[band], keys[band], np.arange(LEAST), made.probes, hit)
    hit[:] = False
    for band in range(14):
        for start in range(LEAST, 2 * LEAST, 1024):           # what is new, met by filters that are full, not fuller
            _pass(bits[band].copy(), keys[band], np.arange(start, start + 1024), made.probes, hit)
    alarms = hit[LEAST:].mean()
    assert 0.6 * rate < alarms < 1.4 * rate
    again = np.zeros(2 * LEAST, np.bool_)
    _pass(bits[3], keys[3], np.arange(LEAST), made.probes, again)
    assert again[:LEAST].all(), "what was seen is never missed"


def test_filters_grow_in_doublings() -> None:
    assert filters(14, 1, 1e-4).documents == filters(14, LEAST, 1e-4).documents == LEAST and filters(14, LEAST + 1, 1e-4).documents == 2 * LEAST
    million = filters(14, 1 << 20, 1e-4)
    assert 42e6 < million.bytes / (1 << 20) * 1e6 < 44e6 and million.probes == 17, "docs: 43 MB a million documents"


def test_within_and_against(tmp_path: Path) -> None:
    text = " ".join(f"w{i}" for i in range(80))
    rows = [{"text": text, "dump": dump, "uri": f"u{i}"} for i, dump in enumerate(["a", "b", "a", None, None])]
    made = corpus(tmp_path, rows, 5)
    dup, _ = found_in(made, tmp_path / "annotations/made/run", within="dump")
    assert dup["bloomed"].to_list() == [None, None, True, None, True]
    other = corpus(tmp_path, [{"text": text}], 1, "other")
    dup, _ = found_in(made[:1], tmp_path / "annotations/made/run2", against=Against(tuple(other), None, str(tmp_path / "annotations/other/run")))
    assert dup["bloomed"].to_list() == [True]


def test_a_policy_drops_what_was_seen(tmp_path: Path) -> None:
    made = corpus(tmp_path, [{"text": " ".join(f"w{i}" for i in range(80))}] * 3, 1)
    found = duplicates.find(made, jobs(), str(tmp_path / "annotations/made/run"), workers=0)
    policy = from_body("p", {"drop": {"copy": "dup.bloomed"}})
    judged = judge(joined(made, found.annotations), policy, str(tmp_path / "annotations/made/run"), family=verdict_family(None), workers=0)
    assert (judged.kept, judged.reasons) == (1, {"copy": 2})


def test_planted_copies(data: Callable[[str], Path], tmp_path: Path) -> None:
    """Beside the search that compares: of the pairs at .85 or more the later one is flagged, and nobody whom no band joins with one before."""
    docs = planted(data, "planted_docs")
    made = corpus(tmp_path, [{"doc_id": d["id"], "text": d["text"], "uri": d["id"]} for d in docs], 4)
    rows, _ = found_in([replace(file) for file in made], tmp_path / "annotations/made/run")
    bloomed = dict(zip(rows["doc_id"], rows["bloomed"].fill_null(False), strict=True))
    order = {doc: place for place, doc in enumerate(rows.sort("file", "doc_id")["doc_id"])}
    sure = [bloomed[max(p["id_1"], p["id_2"], key=lambda doc: order[doc])] for p in planted(data, "planted_pairs") if p["jaccard_word5"] >= 0.85]
    assert len(sure) > 250 and sum(sure) / len(sure) >= 0.98
    plain = seen_before(rows)
    told = rows["bloomed"].fill_null(False).to_list()
    assert not [1 for ours, true in zip(told, plain, strict=True) if true and not ours] and sum(told) - sum(plain) <= 1
