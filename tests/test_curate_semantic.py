"""Paraphrases: groups against plain Python, the job by hand, and texts at three reading levels that are no copies."""

import gzip
import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from catalog.errors import RecipeError
from catalog.files import DataFile
from catalog.stage import Bound
from curate import duplicates, semantic
from curate.models import nearby
from tests.catalog_making import annotate
from tests.spark_making import corpus, family, joined, local_session

DEFAULT = float(semantic.job.__kwdefaults__["threshold"])
EXACT = Bound("curate.exact:job", {"by": ("text",)}, 2)
MINHASH = Bound("curate.minhash:job", {"preset": "fineweb", "threshold": None, "verify": 0.8, "ngram": 5}, 2)


def semantics(**knobs: Any) -> Bound:
    return Bound("curate.semantic:job", {"threshold": DEFAULT, "clusters": None, "vectors": None, **knobs}, 1)


def found(root: Path, files: list[DataFile], *jobs: Bound, **hands: Any) -> pl.DataFrame:
    told = duplicates.find(files, jobs or (semantics(),), str(root / "annotations/made/run"), **{"workers": 0, **hands})
    return family(joined(files, told.annotations), "dup")


def pointed(root: Path, angles: Sequence[float | None], parts: int = 2, name: str = "made", **columns: Sequence[Any]) -> list[DataFile]:
    """Documents d00, d01 ... whose vectors, of a family of their own, lie in a plane at these angles (degrees)."""
    rows: list[dict[str, Any]] = [{"doc_id": f"d{i:02d}", "text": f"text {i}", **{key: given[i] for key, given in columns.items()}} for i in range(len(angles))]
    files, at = corpus(root, rows, parts, name), 0
    whole = []
    for file in files:
        mine = [None if a is None else [math.cos(math.radians(a)), math.sin(math.radians(a)), 0.0] for a in angles[at : at + file.rows]]
        at += file.rows
        told = pl.DataFrame({"vector": pl.Series(mine, dtype=pl.List(pl.Float32))})
        whole.append(annotate(file, name, "embedding", told, {"vector": pa.list_(pa.float32())}))
    return whole


def by_angle(degrees: float, **knobs: Any) -> Bound:
    return semantics(threshold=math.cos(math.radians(degrees)), vectors="embedding.vector", **knobs)


# ---- groups of vectors

@pytest.mark.parametrize("dimensions", [3, 256, 1024, 2000])
def test_products_of_rounded_rows_are_exact(dimensions: int) -> None:
    """Whole numbers that float32 adds without rounding: any order of sums, any number of threads gives the same."""
    rows = np.vstack([np.ones((1, dimensions)), -np.ones((1, dimensions)), np.random.default_rng(1).normal(size=(40, dimensions))])
    whole = nearby.rounded(rows)
    exact = whole.astype(np.int64) @ whole.astype(np.int64).T
    assert np.abs(exact).max() < 1 << 24
    assert (whole.astype(np.float32) @ whole.astype(np.float32).T == exact).all()
    unit = rows / np.linalg.norm(rows, axis=1)[:, None]
    assert np.abs(nearby.cosines(whole, whole) - unit @ unit.T).max() < (0.02 if dimensions == 3 else 0.004)


def test_rows_that_are_no_vectors_become_zeros() -> None:
    whole = nearby.rounded(np.array([[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0], [1e-30, 0.0]]))
    assert whole.any(axis=1).tolist() == [False, False, False, True]


def plainly_led(rows: np.ndarray, threshold: float) -> list[int]:
    near = nearby.cosines(rows, rows)
    heads: list[int] = []
    out = []
    for i in range(len(rows)):
        best = max(heads, key=lambda head: (near[i, head], -head), default=None)
        if best is not None and near[i, best] >= threshold:
            out.append(best)
        else:
            heads.append(i)
            out.append(i)
    return out


@pytest.mark.parametrize(("block", "leaders"), [(1024, 1 << 15), (7, 3), (1, 1)])
def test_groups_are_those_of_plain_python(block: int, leaders: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearby, "BLOCK", block)
    monkeypatch.setattr(nearby, "LEADERS", leaders)
    chance = np.random.default_rng(2)
    around = chance.normal(size=(12, 8))
    rows = nearby.rounded(around[chance.integers(0, 12, 150)] + 0.35 * chance.normal(size=(150, 8)))
    rows[20:30] = rows[3]
    for threshold in (0.5, 0.9, 0.97, 1.0):
        leader, near = nearby.led(rows, threshold)
        assert leader.tolist() == plainly_led(rows, threshold)
        assert near[leader != np.arange(150)].min() >= threshold
    assert len(set(nearby.led(rows, 0.9)[0].tolist())) < 140


def test_candidates_of_several_clusters_make_one_star() -> None:
    """By hand, in a plane, near being 10 degrees: 2 was told to follow 1, which follows 0; 3 is near 1, but not 0."""
    rows = nearby.rounded(np.array([[math.cos(math.radians(a)), math.sin(math.radians(a)), 0] for a in (0, 8, 9, 15, 16)]))
    who, leader = np.array([1, 2, 3, 4, 4]), np.array([0, 1, 1, 1, 3])
    head, near = nearby.settled(who, leader, rows, math.cos(math.radians(10)))
    assert head.tolist() == [0, 0, 0, 3, 3]
    assert near[2] == pytest.approx(nearby.cosines(rows[2:3], rows[:1])[0, 0]) and near[0] == near[3] == 1


def test_rows_that_are_given_lead_and_are_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of them follow only the same; a row near one of them follows it, however near a leader behind them is."""
    chance = np.random.default_rng(4)
    rows = nearby.rounded(np.eye(6)[chance.integers(0, 6, 60)] + 0.3 * chance.normal(size=(60, 6)))
    rows[10] = rows[3]
    near = nearby.cosines(rows, rows)
    for block in (1024, 7):
        monkeypatch.setattr(nearby, "BLOCK", block)
        leader, cosine = nearby.led(rows, 0.8, 20)
        assert leader[:20].tolist() == [*range(10), 3, *range(11, 20)] and cosine.max() <= 1
        for row in range(20, 60):
            at = [head for head in range(20) if head != 10 and near[row, head] >= 0.8]
            assert not at or leader[row] == max(at, key=lambda head: (near[row, head], -head))
            assert leader[row] == row or cosine[row] == pytest.approx(near[row, leader[row]])
    assert {int(leader[row]) < 20 for row in range(20, 60)} == {True, False}


def test_nearest_centres_come_in_order() -> None:
    chance = np.random.default_rng(8)
    rows, centre = nearby.rounded(chance.normal(size=(50, 16))), nearby.rounded(chance.normal(size=(7, 16)))
    wanted = np.argsort(-nearby.cosines(rows, centre), axis=1, kind="stable")
    assert (nearby.nearest(rows, centre, 3) == wanted[:, :3]).all() and nearby.nearest(rows, centre, 9).shape == (50, 7)


def test_centres_part_what_lies_apart_and_bear_copies() -> None:
    chance = np.random.default_rng(3)
    around = np.eye(6)
    rows = nearby.rounded(around[np.arange(120) % 6] + 0.1 * chance.normal(size=(120, 6)))
    found_at = nearby.centres(rows, 6, seed=5)
    owner = nearby.nearest(rows, found_at)[:, 0]
    assert all(len(set(owner[k::6].tolist())) == 1 for k in range(6)) and len(set(owner.tolist())) == 6
    means = nearby.rounded(np.stack([rows[owner == k].sum(axis=0, dtype=float) for k in range(6)]))
    assert np.diag(nearby.cosines(means, found_at)).min() > 0.999, "a centre lies in the middle of its rows"
    assert (nearby.centres(rows, 6, seed=5) == found_at).all()
    same = np.repeat(rows[:2], 30, axis=0)
    assert len(nearby.centres(same, 9, seed=1)) == 2 and nearby.centres(rows[:0], 3, seed=1).shape == (0, 6)


# ---- the job

def test_everybody_in_a_group_is_near_its_first_and_a_chain_is_no_group(tmp_path: Path) -> None:
    """By hand, in a plane, near being 10 degrees: d02 at 8 and d03 at 16 degrees are near each other, but d00 leads d02, so d03 is alone; d05 follows d03."""
    dup = found(tmp_path, pointed(tmp_path, [0, 90, 8, 16, None, 17, 359.5]), by_angle(10))
    assert dup["paraphrase"].to_list() == ["d00", None, "d00", "d03", None, "d03", "d00"]
    assert dup["paraphrase_size"].to_list() == [3, None, 3, 2, None, 2, 3]
    assert dup["paraphrase_of"].to_list() == ["d06", None, "d00", "d05", None, "d03", "d00"]
    assert dup["cosine"][2] == pytest.approx(math.cos(math.radians(8)), abs=0.005) and dup["cosine"][0] == dup["cosine"][6] > dup["cosine"][2]
    assert dup["cluster"].null_count() == 7 and dup["size"].to_list() == [1] * 7


def test_copies_stand_for_one_another_and_are_no_paraphrases(tmp_path: Path) -> None:
    """d01 is a copy of d00: only d00 is compared, d01 has what d00 has. d04 and d05 are copies of each other and near nobody else."""
    texts = ["one text", "one text", "the same, said otherwise", "other", "two", "two"]
    dup = found(tmp_path, pointed(tmp_path, [0, 0, 5, 90, 180, 180], text=texts), EXACT, by_angle(10))
    assert dup["cluster"].to_list() == ["d00", "d00", None, None, "d04", "d04"]
    assert dup["paraphrase"].to_list() == ["d00", "d00", "d00", None, None, None]
    assert dup["paraphrase_size"].to_list()[:3] == [3, 3, 3] and dup["paraphrase_of"].to_list()[:3] == ["d02", "d02", "d00"]
    alone = found(tmp_path / "b", pointed(tmp_path / "b", [0, 0, 5, 90, 180, 180], text=texts), by_angle(10))
    assert alone["paraphrase"].to_list() == ["d00", "d00", "d00", None, "d04", "d04"] and alone["cluster"].null_count() == 6


def test_paraphrases_are_joined_where_that_is_asked(tmp_path: Path) -> None:
    """`join: true` makes them copies of one another, for a policy to keep one: the rest of what is said stays the same."""
    apart = found(tmp_path, pointed(tmp_path, [0, 90, 8, None, 91]), by_angle(10))
    both = found(tmp_path, pointed(tmp_path, [0, 90, 8, None, 91]), by_angle(10, join=True))
    names = ["paraphrase", "paraphrase_size", "paraphrase_of", "cosine"]
    assert both.select(names).equals(apart.select(names)) and apart["cluster"].null_count() == 5
    assert both["cluster"].to_list() == ["d00", "d01", "d00", None, "d01"] and both["size"].to_list() == [2, 2, 2, 1, 2]
    assert both["neighbour"].to_list() == ["d02", "d04", "d00", None, "d01"] and both["jaccard"].null_count() == 5


@pytest.mark.parametrize("clusters", [None, 3])
def test_order_and_partition_say_nothing(clusters: int | None, tmp_path: Path) -> None:
    """Trained in place, with and without k-means."""
    chance = random.Random(4)
    topics = [[f"{topic}word{k}" for k in range(30)] for topic in ("mill", "tax", "bird", "ship")]
    rows = [{"doc_id": f"d{i:03d}", "text": " ".join(chance.choices(topics[i % 4][: 8 + i % 23], k=80))} for i in range(80)]
    rows += [{"doc_id": f"e{i}", "text": text} for i, text in enumerate(["", None, "\x00", "...", "水車", rows[0]["text"]])]
    orders: list[tuple[int, Callable[[list[Any]], list[Any]]]] = [(1, list), (3, lambda given: given[::-1])]
    told = [
        found(tmp_path / f"{parts}", corpus(tmp_path / f"{parts}", order(rows), parts), EXACT, semantics(threshold=0.7, clusters=clusters)).sort("doc_id")
        for parts, order in orders
    ]  # fmt: skip
    assert told[0].equals(told[1]) and told[0]["paraphrase"].drop_nulls().len() > 10
    assert told[0].filter(pl.col("doc_id").is_in(["e0", "e1", "e2", "e3"]))["paraphrase"].null_count() == 4


@pytest.mark.spark
@pytest.mark.slow
def test_spark_says_the_same(tmp_path: Path) -> None:
    """Tasks that executors do, trained in place and parted by k-means."""
    chance = random.Random(6)
    rows = [{"doc_id": f"d{i:03d}", "text": " ".join(chance.choices([f"{'xyz'[i % 3]}{k}" for k in range(20)], k=50))} for i in range(60)]
    files = corpus(tmp_path, rows, 4)
    told = []
    for name, spark in (("here", None), ("there", local_session())):
        at = duplicates.find(files, [EXACT, semantics(threshold=0.7, clusters=4)], str(tmp_path / f"annotations/{name}/run"), workers=0, spark=spark)
        told.append(family(joined(files, at.annotations), "dup"))
    assert told[0].equals(told[1]) and told[0]["paraphrase"].drop_nulls().len() > 10


@pytest.mark.parametrize("clusters", [None, 3])
@pytest.mark.parametrize("texts", [[], ["", None], ["a", "b", "c d"], ["one word, one word, one word", "", "x"], ["p q r p q r p q r", "s t u s t u s t u"]])
def test_a_corpus_too_small_for_vectors_or_clusters_has_no_paraphrases(texts: list[str | None], clusters: int | None, tmp_path: Path) -> None:
    """No documents, no words, none that comes three times, fewer documents than clusters: the part goes on."""
    rows = [{"doc_id": f"d{i}", "text": text} for i, text in enumerate(texts)]
    dup = found(tmp_path, corpus(tmp_path, rows, 1), EXACT, semantics(clusters=clusters))
    assert dup.height == len(texts) == dup["paraphrase"].null_count() == dup["cosine"].null_count()


def test_vectors_of_two_lengths_are_one_line(tmp_path: Path) -> None:
    """In one file, and of two files; a file without vectors has none of another length."""
    files, again = pointed(tmp_path, [0, 5, None, None]), pointed(tmp_path / "b", [0, 5], 1, "b")
    assert found(tmp_path, files, by_angle(10, clusters=2))["paraphrase"].to_list() == ["d00", "d00", None, None]
    kinds = {"vector": pa.list_(pa.float32())}
    other = [annotate(again[0], name, "embedding", pl.DataFrame({"vector": given}), kinds) for name, given in (("b", [[1.0], [2.0]]), ("c", [[1.0], [2.0, 3]]))]
    with pytest.raises(RecipeError, match=r"embedding.vector has vectors of two lengths, 1 in .* and 3 in ") as told:
        against = duplicates.Against((other[0],), None, str(tmp_path / "b/annotations/b/run"))
        found(tmp_path, files, by_angle(10), against=against)
    assert "\n" not in str(told.value)
    with pytest.raises(RecipeError, match=r"embedding.vector of .* holds vectors of two lengths, 1 and 2$"):
        found(tmp_path / "b", [other[1]], by_angle(10))


def test_what_another_dataset_says_already_is_told_by_its_doc_id(tmp_path: Path) -> None:
    """Whatever the order of doc_ids: near being 10 degrees, e00 of theirs leads d00, though e01 stands between; d01 follows theirs, not d00, which is
    nearer; d03 is a copy of e02, which speaks for both. `seen` is said of copies, and with `join: true` of these too; two of theirs are not joined."""
    theirs = pointed(tmp_path / "theirs", [0, 4, 90], 1, name="theirs", doc_id=["e00", "e01", "e02"], text=["t0", "t1", "same words"])
    ours = pointed(tmp_path, [356, 350.5, 180, 90, 91, 185], 2, text=["o0", "o1", "o2", "same words", "o4", "o5"])
    against = duplicates.Against(tuple(theirs), None, str(tmp_path / "theirs/annotations/theirs/run"))
    dup = found(tmp_path, ours, EXACT, by_angle(10), against=against)
    assert dup["paraphrase"].to_list() == ["e00", "e00", "d02", "e02", "e02", "d02"]
    assert dup["seen"].to_list() == [None, None, None, "e02", None, None] and dup["cosine"][1] == pytest.approx(math.cos(math.radians(9.5)), abs=0.005)
    both = found(tmp_path, ours, EXACT, by_angle(10, join=True), against=against)
    assert both["seen"].to_list() == ["e00", "e00", None, "e02", "e02", None]
    assert both["cluster"].to_list() == ["d00", "d00", "d02", "d03", "d03", "d02"] and both["size"].to_list() == [3, 3, 2, 3, 3, 2]
    parted = found(tmp_path, ours, EXACT, by_angle(10, clusters=3), against=against)
    assert parted["paraphrase"].equals(dup["paraphrase"])


def test_scopes_and_other_datasets(tmp_path: Path) -> None:
    """`within:` compares nothing over its borders; rows of `against:` lead, but are annotated no more."""
    files = pointed(tmp_path, [0, 1, 2, 3], dump=["x", "y", "x", "y"])
    assert found(tmp_path, files, by_angle(10), within="dump")["paraphrase"].to_list() == ["d00", "d01", "d00", "d01"]
    other = pointed(tmp_path / "other", [45, 1], 1, name="other")
    ours = pointed(tmp_path / "ours", [None, 44, 200], 1)
    against = duplicates.Against(tuple(other), None, str(tmp_path / "other/annotations/made/run"))
    dup = found(tmp_path / "ours", ours, by_angle(10), against=against)
    assert dup["paraphrase"].to_list() == [None, "d00", None] and dup["paraphrase_of"][1] == "d00" and dup.height == 3 and dup["seen"].null_count() == 3


def test_other_vectors_are_another_address(tmp_path: Path) -> None:
    files = pointed(tmp_path, [0, 1, 90])
    first, again = (duplicates.find(files, [by_angle(10)], str(tmp_path / "annotations/made/run"), workers=0).annotations for _ in range(2))
    assert first == again
    changed = [replace(file, annotations=tuple(replace(a, address="other") for a in file.annotations)) for file in files]
    other = duplicates.find(changed, [by_angle(10)], str(tmp_path / "annotations/made/run"), workers=0).annotations
    assert {a.address for a in first.values()}.isdisjoint(a.address for a in other.values())


@pytest.mark.parametrize(("knobs", "line"), [
    ({"vectors": "embeding.vector"}, "did you mean 'embedding.vector'"), ({"vectors": "uri"}, "'uri' is no signal"),
])  # fmt: skip
def test_mistakes_are_one_line(knobs: dict[str, Any], line: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=line) as told:
        found(tmp_path, pointed(tmp_path, [0, 1]), semantics(**knobs))
    assert "\n" not in str(told.value)


# ---- gold

MISLABELLED = {("Royal Baby", "ele"): "another article's text", ("WNL Arctic Ramadan", "ele"): "Arctic mapping"}
"""Two files of OneStopEnglish hold the text of another article: nobody's, and a copy of one that is there."""


def test_three_reading_levels_are_paraphrases_and_no_copies(data: Callable[[str], Path], tmp_path: Path) -> None:
    """Near duplicates at Jaccard .8 join none of them but one true copy; paraphrases find the article, and nobody else's."""
    with gzip.open(data("quality/onestop_levels_a.jsonl.gz"), "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    given = [{"doc_id": f"d{i:03d}", "text": row["text"], "uri": f"https://h/{i}"} for i, row in enumerate(rows)]
    dup = found(tmp_path, corpus(tmp_path, given, 2), EXACT, MINHASH, semantics(threshold=DEFAULT))
    article = [MISLABELLED.get((row["article"], row["level"]), row["article"]) for row in rows]
    same, copies, told = set(), set(), set()
    for i, j in combinations(range(len(rows)), 2):
        same |= {(i, j)} if article[i] == article[j] else set()
        copies |= {(i, j)} if dup["cluster"][i] is not None and dup["cluster"][i] == dup["cluster"][j] else set()
        told |= {(i, j)} if dup["paraphrase"][i] is not None and dup["paraphrase"][i] == dup["paraphrase"][j] else set()
    assert [(article[i], rows[i]["level"], rows[j]["level"], dup["jaccard"][i]) for i, j in copies] == [("Arctic mapping", "ele", "ele", 1.0)]
    assert len(told & same) / len(same) >= 0.85, "recall"
    assert len(told & same) / len(told) >= 0.995, "precision"

