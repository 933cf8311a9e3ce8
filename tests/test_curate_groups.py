"""Groups that share a key: clusters against brute force over the same band tables, and Spark's against this machine's."""

import random
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.stage import Bound
from curate import connected, duplicates, unlike
from curate.components import Edges, components, join
from curate.corpus import Corpus
from tests.spark_making import corpus, family, joined, local_session
from tests.test_curate_minhash import grams

LEAST = 0.8
LOOSE: dict[str, Any] = {"preset": None, "threshold": 0.2, "verify": LEAST, "ngram": 3}
"""Bands in which most that meet is unlike: anchors fail, groups are large."""


def searched(
    folder: Path, rows: Sequence[dict[str, Any]], files: int = 2, knobs: dict[str, Any] = LOOSE, **hands: Any
) -> tuple[pl.DataFrame, duplicates.Found]:
    made = corpus(folder, rows, files)
    jobs = [Bound("curate.exact:job", {"by": ("text",)}), Bound("curate.minhash:job", knobs)]
    found = duplicates.find(made, jobs, str(folder / "annotations/made/run"), **{"workers": 0, **hands})
    return family(joined(made, found.annotations), "dup", "text"), found


def brute(dup: pl.DataFrame, bands: Sequence[str], n: int) -> list[str | None]:
    """Each row's cluster, from all pairs of rows: the same words, or a band and LEAST of the grams in common."""
    keys = pl.concat([pl.read_parquet(path, glob=False) for path in bands]).select(pl.col("^band_.*$")).rows()
    sets = [grams(text.split(), n) for text in dup["text"]]
    whole = [tuple(text.split()) for text in dup["text"]]

    def alike(i: int, j: int) -> bool:
        meet = any(x == y is not None for x, y in zip(keys[i], keys[j], strict=True))
        return whole[i] == whole[j] or (meet and len(sets[i] & sets[j]) >= LEAST * len(sets[i] | sets[j]))

    pairs = [(i, j) for i, j in combinations(range(dup.height), 2) if alike(i, j)]
    a, b = (np.array([pair[k] for pair in pairs], np.int64) for k in (0, 1))
    members = defaultdict(list)
    for place, root in enumerate(join(dup.height, a, b).tolist()):
        members[root].append(place)
    found: list[str | None] = [None] * dup.height
    for places in members.values():
        for place in places if len(places) > 1 else ():
            found[place] = min(dup["doc_id"][p] for p in places)
    return found


def drifting(seed: int, families: int = 3, size: int = 24) -> list[dict[str, Any]]:
    """Families whose members change word by word: the first and the last of one are unlike, each is like the next."""
    draw = random.Random(seed)
    rows = []
    for _ in range(families):
        tokens = [f"w{draw.randrange(400)}" for _ in range(draw.randrange(30, 70))]
        for _member in range(draw.randrange(1, size)):
            for _change in range(draw.choice([1, 1, 1, 2])):
                tokens[draw.randrange(len(tokens))] = f"w{draw.randrange(400)}"
            rows.append(" ".join(tokens))
    draw.shuffle(rows)
    return [{"doc_id": f"{draw.getrandbits(64):016x}", "text": text} for text in rows]


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1 << 30))
def test_clusters_are_those_of_brute_force(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    dup, found = searched(tmp_path_factory.mktemp("brute"), drifting(seed))
    assert dup["cluster"].to_list() == brute(dup, found.bands, 3)


def graph(draw: random.Random, hold: int = 24) -> Edges:
    """A chain and a star of `hold` nodes, random pieces, pairs that stand twice; doc_ids are no order of the references."""
    ids = {ref: f"{draw.getrandbits(64):016x}" for ref in range(4 * hold)}
    chain = draw.sample(range(hold), hold)
    star = range(hold, 2 * hold)
    pairs = [*pairwise(chain), *((star[hold // 2], other) for other in star if other != star[hold // 2])]
    pairs += [(2 * hold + draw.randrange(hold), 2 * hold + draw.randrange(hold)) for _ in range(hold // 2)]
    pairs += pairs[:9]
    draw.shuffle(pairs)
    rows = [(a, b, ids[a], ids[b], draw.choice([None, draw.random(), 1.0])) for a, b in ((a, b) if ids[a] <= ids[b] else (b, a) for a, b in pairs)]
    return pl.DataFrame(rows, schema=["a", "b", "a_id", "b_id", "jaccard"], orient="row", schema_overrides={"jaccard": pl.Float64})


@pytest.mark.spark
@pytest.mark.slow
def test_large_and_small_stars_find_what_union_find_does(tmp_path: Path) -> None:
    spark, edges = local_session(), graph(random.Random(3))
    expected = components(edges)
    assert expected["size"].max() == 24 and expected["cluster"].n_unique() > 2
    for partitions in ("1", "2", "13"):
        spark.conf.set("spark.sql.shuffle.partitions", partitions)
        found = connected.connected(Corpus((), str(tmp_path), str(tmp_path / "work"), spark), edges.sample(fraction=1, shuffle=True, seed=int(partitions)), 0)
        assert found.equals(expected)
    spark.conf.set("spark.sql.shuffle.partitions", "4")


@pytest.mark.spark
@pytest.mark.slow
def test_spark_looks_again_at_the_same_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small groups and large ones, in which anchors follow one another."""
    monkeypatch.setattr(unlike, "WHOLE", 5)
    rows = drifting(11, 4, 30)
    expected, plain = searched(tmp_path / "here", rows)
    assert plain.metrics["compared_pairs"] > plain.metrics["candidate_pairs"] + 20
    found, told = searched(tmp_path / "there", rows, spark=local_session(), polars_rows=0)
    assert found.equals(expected) and told.metrics == plain.metrics
