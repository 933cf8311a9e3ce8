"""Near duplicates: signatures against their definition, bands against the formula and datasketch, clusters against brute force."""

import gzip
import json
import math
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from catalog.errors import RecipeError
from catalog.schema import hash_text
from catalog.stage import Bound, words
from curate import duplicates
from curate.components import join
from curate.grams import GOLDEN, gram_sets, jaccards
from curate.knobs import PRESETS
from curate.minhash import chance, functions, keys, shape
from tests.spark_making import corpus, family, joined, local_session

FINEWEB: dict[str, Any] = {"bands": 14, "rows": 8, "ngram": 5}
M = 1 << 64
GOLDEN_FUNCTIONS = [13914669809591953523, 15257064980178283627]
GOLDEN_KEYS = [-8923722048924825415, 2536582325427253124]


def jobs(**knobs: Any) -> list[Bound]:
    minhash = {"preset": "fineweb", "threshold": None, "verify": 0.8, "ngram": 5, **knobs}
    return [Bound("curate.exact:job", {"by": ("text",)}), Bound("curate.minhash:job", minhash)]


def batch(*texts: str | None) -> pl.DataFrame:
    return pl.DataFrame({"text": texts}, schema={"text": pl.String})


def mixed(h: int) -> int:
    """The finaliser of catalog.schema, in Python."""
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53, 1):
        h = (h ^ h >> 33) * factor % M
    return h


def grams(tokens: Sequence[str], n: int = 5) -> set[int]:
    """The hashed word n-grams of a text whose words are known, in Python."""
    hashes = [hash_text(token) for token in tokens]
    found = set()
    for i in range(max(1, len(hashes) - n + 1) if hashes else 0):
        h = 0
        for word in hashes[i : i + n]:
            h = (h * int(GOLDEN) + word) % M
        found.add(mixed(h))
    return found


def test_keys_are_what_they_say() -> None:
    """Lower-cased words without signs, n-grams, multiply-shift, least of all, one hash a band."""
    text, tokens = "The quick, brown fox -- jumps over THE lazy dog!", ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog"]
    a, b = functions(FINEWEB["bands"] * FINEWEB["rows"])
    least = [min((int(x) * g + int(y)) % M >> 32 for g in grams(tokens)) for x, y in zip(a, b, strict=True)]
    found, some = keys(batch(text), **FINEWEB)
    for band in range(14):
        h = 0
        for value in least[band * 8 : band * 8 + 8]:
            h = mixed((h * int(GOLDEN) + value) % M)
        assert int(found[0, band]) % M == h
    assert some.tolist() == [True]


def test_hash_functions_never_change() -> None:
    """Band tables of different years are compared: these numbers are in lakes."""
    a, b = functions(3)
    assert (a % 2 == 1).all() and functions(128)[0][:3].tolist() == a.tolist()
    assert [int(a[0]), int(b[0])] == GOLDEN_FUNCTIONS
    found, _ = keys(batch("one two three four five six seven"), **FINEWEB)
    assert [int(k) for k in found[0, :2]] == GOLDEN_KEYS


def test_short_and_wordless_documents() -> None:
    found, some = keys(batch("two words", "Two, words!", "words two", "", None, "-- ... !!!", "one"), **FINEWEB)
    assert some.tolist() == [True, True, True, False, False, False, True]
    assert (found[0] == found[1]).all() and (found[0] != found[2]).all()


def test_a_batch_does_not_change_what_a_document_gives() -> None:
    texts = [" ".join(f"w{(i * j) % 97}" for j in range(3, 300 + i)) for i in range(9)]
    whole, _ = keys(batch(*texts), **FINEWEB)
    for i, text in enumerate(texts):
        assert (keys(batch(text), **FINEWEB)[0][0] == whole[i]).all()


def test_long_documents_pass_blocks_whole() -> None:
    tokens = [f"w{i * i % 10007}" for i in range(9000)]
    found, offsets = gram_sets(words(batch(" ".join(tokens))), 5)
    assert set(found.tolist()) == grams(tokens) and found.tolist() == sorted(set(found.tolist())) and offsets.tolist() == [0, found.size]
    a, b = functions(4)
    least = (a[:, None] * found[None, :] + b[:, None]).min(axis=1) >> np.uint64(32)
    from curate.grams import signatures

    assert signatures(words(batch(" ".join(tokens))), 5, a, b)[0][0].tolist() == least.tolist()


def pair(level: float, length: int, draw: random.Random) -> tuple[str, str]:
    """Two texts with a Jaccard of about `level`: words are exchanged, far enough apart to break five grams each."""
    tokens = [f"x{draw.randrange(10**9)}" for _ in range(length)]
    broken = round((1 - level) / (1 + level) * (length - 4) / 5)  # k broken places leave (g - 5k) of g + 5k grams
    other = list(tokens)
    for place in draw.sample(range(4, length - 4, 5), broken):
        other[place] = f"y{draw.randrange(10**9)}"
    return " ".join(tokens), " ".join(other)


@pytest.mark.parametrize("level", [0.5, 0.7, 0.8, 0.9, 0.95])
def test_bands_meet_as_the_formula_says(level: float) -> None:
    draw = random.Random(level)
    pairs = [pair(level, 260, draw) for _ in range(1500)]
    texts = batch(*(text for both in pairs for text in both))
    sets, offsets = gram_sets(words(texts), 5)
    first = np.arange(0, 2 * len(pairs), 2)
    true = jaccards(sets, offsets, first, first + 1)
    assert abs(true.mean() - level) < 0.02
    found, _ = keys(texts, **FINEWEB)
    met = (found[0::2] == found[1::2]).any(axis=1)
    expected = np.array([chance(j, 14, 8) for j in true])
    assert abs(met.sum() - expected.sum()) < 4 * math.sqrt((expected * (1 - expected)).sum()) + 1


def test_datasketchs_index_meets_as_many() -> None:
    """The same pairs through MinHashLSH with 14 bands of 8: as many candidates, within what chance allows."""
    from datasketch import MinHash, MinHashLSH

    draw = random.Random(8)
    pairs = [pair(0.72, 150, draw) for _ in range(600)]
    found, _ = keys(batch(*(text for both in pairs for text in both)), **FINEWEB)
    ours = int((found[0::2] == found[1::2]).any(axis=1).sum())
    theirs = 0
    for both in pairs:
        hashes = []
        for text in both:
            tokens = text.split()
            minhash = MinHash(num_perm=112)
            minhash.update_batch([" ".join(tokens[i : i + 5]).encode() for i in range(len(tokens) - 4)])
            hashes.append(minhash)
        index = MinHashLSH(num_perm=112, params=(14, 8))
        index.insert("other", hashes[0])
        theirs += bool(index.query(hashes[1]))
    assert abs(ours - theirs) < 4 * math.sqrt(2 * 600 * 0.25) and ours > 200 < theirs


def test_signatures_estimate_as_well_as_datasketch() -> None:
    """Mean error over pairs at .3 to .9: multiply-shift against datasketch's Mersenne prime, 128 functions each."""
    from datasketch import MinHash

    from curate.grams import signatures

    draw = random.Random(3)
    pairs = [pair(0.3 + 0.6 * draw.random(), 200, draw) for _ in range(400)]
    texts = batch(*(text for both in pairs for text in both))
    sets, offsets = gram_sets(words(texts), 5)
    first = np.arange(0, 2 * len(pairs), 2)
    true = jaccards(sets, offsets, first, first + 1)
    found, _ = signatures(words(texts), 5, *functions(128))
    ours = np.abs((found[0::2] == found[1::2]).mean(axis=1) - true).mean()
    theirs = []
    for one, other, jaccard in zip(texts["text"][0::2], texts["text"][1::2], true, strict=True):
        hashes = []
        for text in (one, other):
            tokens = text.split()
            minhash = MinHash(num_perm=128)
            minhash.update_batch([" ".join(tokens[i : i + 5]).encode() for i in range(len(tokens) - 4)])
            hashes.append(minhash)
        theirs.append(abs(hashes[0].jaccard(hashes[1]) - jaccard))
    assert ours < 1.1 * np.mean(theirs) and ours < 0.04


def test_jaccards_are_sets_over_sets() -> None:
    texts = ["a b c d e f g", "a b c d e f h", "a b c d e", "z", "", ""]
    sets, offsets = gram_sets(words(batch(*texts)), 5)
    a, b = np.array([0, 0, 0, 4, 1]), np.array([0, 1, 3, 5, 2])
    assert jaccards(sets, offsets, a, b).tolist() == [1.0, 0.5, 0.0, 0.0, 1 / 3]


def test_shapes_and_thresholds() -> None:
    assert shape(None, None) == shape("fineweb", None) == PRESETS["fineweb"] == (14, 8)
    from datasketch import MinHashLSH

    chosen = MinHashLSH(threshold=0.8, num_perm=128)
    assert shape(None, 0.8) == (chosen.b, chosen.r)
    with pytest.raises(RecipeError, match="minhash: preset: 'finweb'; did you mean 'fineweb'"):
        shape("finweb", None)
    with pytest.raises(RecipeError, match="preset: or threshold:"):
        shape("fineweb", 0.8)
    with pytest.raises(RecipeError, match=r"threshold: 1\.5"):
        shape(None, 1.5)


def test_union_find_against_plain_search() -> None:
    draw = random.Random(9)
    for nodes, edges in ((1, 0), (6, 3), (50, 20), (300, 280), (300, 2000)):
        pairs = [(draw.randrange(nodes), draw.randrange(nodes)) for _ in range(edges)]
        a, b = np.array([p[0] for p in pairs], np.int64), np.array([p[1] for p in pairs], np.int64)
        beside = defaultdict(set)
        for x, y in pairs:
            beside[x].add(y)
            beside[y].add(x)
        root = join(nodes, a, b)
        for node in range(nodes):
            seen, todo = {node}, [node]
            while todo:
                todo += [n for n in beside[todo.pop()] if n not in seen and not seen.add(n)]  # type: ignore[func-returns-value]
            assert root[node] == min(seen)


def pages(seed: int = 2, families: int = 120) -> list[dict[str, Any]]:
    """Pages of shared vocabulary, near copies at many levels in groups of 2 to 5, and exact copies."""
    draw = random.Random(seed)
    rows = []
    for _ in range(families):
        tokens = [f"w{draw.randrange(3000)}" for _ in range(draw.randrange(60, 300))]
        rows.append(" ".join(tokens))
        for _copy in range(draw.choice([0, 0, 1, 1, 2, 4])):
            other = list(tokens)
            for place in draw.sample(range(len(other)), draw.choice([0, 1, 2, 4, 8])):
                other[place] = f"n{draw.randrange(3000)}"
            rows.append(" ".join(other))
    draw.shuffle(rows)
    return [{"text": text, "uri": f"https://h{i % 7}.example/{i}"} for i, text in enumerate(rows)]


def found_in(tmp_path: Path, rows: Sequence[dict[str, Any]], files: int = 3, **hands: Any) -> tuple[pl.DataFrame, duplicates.Found]:
    made = corpus(tmp_path / "lake", rows, files)
    found = duplicates.find(made, jobs(), str(tmp_path / "lake/annotations/made/run"), **{"workers": 0, **hands})
    return family(joined(made, found.annotations), "dup", "uri", "text"), found


def true_pairs(texts: Sequence[str], least: float) -> set[tuple[int, int]]:
    sets = [grams(text.split(" ")) for text in texts]
    return {(i, j) for i, j in combinations(range(len(sets)), 2) if sets[i] and len(sets[i] & sets[j]) >= least * len(sets[i] | sets[j])}


def test_clusters_against_brute_force(tmp_path: Path) -> None:
    """No pair is merged that is not connected by true pairs; nearly all true pairs are joined."""
    dup, found = found_in(tmp_path, pages())
    pairs = true_pairs(dup["text"].to_list(), 0.8)
    a, b = (np.array([p[k] for p in sorted(pairs)], np.int64) for k in (0, 1))
    root, cluster = join(dup.height, a, b), dup["cluster"].to_list()
    ours = {(i, j) for i, j in combinations(range(dup.height), 2) if cluster[i] is not None and cluster[i] == cluster[j]}
    wrong = [(i, j) for i, j in ours if root[i] != root[j]]
    assert not wrong and len(pairs) > 150
    assert len(pairs & ours) / len(pairs) > 0.985
    told = dup.filter(pl.col("cluster").is_not_null())
    assert (told["cluster"] <= told["doc_id"]).all() and told.select((pl.col("size") == pl.len().over("cluster")).all()).item()
    alone = dup.filter(pl.col("cluster").is_null())
    assert alone["size"].unique().to_list() == [1] and alone["neighbour"].null_count() == alone.height
    text = dict(zip(dup["doc_id"], dup["text"], strict=True))
    for row in told.iter_rows(named=True):
        one, other = grams(row["text"].split(" ")), grams(text[row["neighbour"]].split(" "))
        assert row["jaccard"] == len(one & other) / len(one | other) >= 0.8
    assert found.metrics["documents"] == dup.height and found.metrics["exact_pairs"] > 5


def test_the_same_clusters_however_rows_lie_in_files(tmp_path: Path) -> None:
    rows = [{**row, "doc_id": f"{hash_text(row['uri']):032x}"} for row in pages(4, 60)]
    one, _ = found_in(tmp_path / "a", rows, files=1)
    shuffled = random.Random(1).sample(rows, len(rows))
    many, _ = found_in(tmp_path / "b", shuffled, files=7)
    columns = ["doc_id", "cluster", "size", "neighbour", "jaccard"]
    assert one.select(columns).sort("doc_id").equals(many.select(columns).sort("doc_id"))


def test_pairs_in_many_parts_are_those_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = pages(4, 60)
    whole, told = found_in(tmp_path / "whole", rows)
    monkeypatch.setattr("curate.jaccard.PART_PAIRS", 7)
    parts, again = found_in(tmp_path / "parts", rows)
    assert whole.equals(parts) and told.metrics == again.metrics and told.metrics["candidate_pairs"] > 50


def test_what_is_there_is_not_done_again(tmp_path: Path) -> None:
    made = corpus(tmp_path, pages(5, 40), files=4)
    first, second = str(tmp_path / "annotations/made/run1"), str(tmp_path / "annotations/made/run2")
    worked: list[str] = []
    duplicates.find(made[:3], jobs(), first, workers=0, progress=lambda result: worked.append(result["name"]))
    assert worked and not list(Path(first).glob("*.work"))
    worked.clear()
    again = duplicates.find(made[:3], jobs(), second, workers=0, progress=lambda result: worked.append(result["name"]))
    assert not worked and again.metrics["documents"] == sum(file.rows for file in made[:3])
    tables = {path: Path(path).stat().st_mtime_ns for path in again.bands}
    more = duplicates.find(made, jobs(), second, workers=0)
    assert set(tables) < set(more.bands) and all(Path(path).stat().st_mtime_ns == time for path, time in tables.items())
    assert {a.address for a in more.annotations.values()}.isdisjoint(a.address for a in again.annotations.values())
    bands = pl.read_parquet(more.bands[3])
    assert bands.columns == ["doc_id", "row", *(f"band_{band}" for band in range(14))] and bands["row"].to_list() == list(range(made[3].rows))


def test_unverified_bands_and_exact_alone(tmp_path: Path) -> None:
    made = corpus(tmp_path, pages(6, 60), files=2)
    folder = str(tmp_path / "annotations/made/run")
    loose = duplicates.find(made, jobs(verify=0.0), folder, workers=0)
    strict = duplicates.find(made, jobs(), folder, workers=0)
    exact = duplicates.find(made, jobs()[:1], folder, workers=0)
    assert loose.metrics["minhash_pairs"] > strict.metrics["minhash_pairs"] and not exact.bands
    dup = family(joined(made, exact.annotations), "dup", "origin_hash")
    assert dup["size"].to_list() == dup.select(pl.len().over("origin_hash"))["len"].to_list()
    assert set(dup["jaccard"].drop_nulls()) == {1.0}
    assert family(joined(made, loose.annotations), "dup")["jaccard"].null_count() > strict.metrics["documents"] / 4


def test_a_corpus_without_pairs_or_words(tmp_path: Path) -> None:
    dup, _ = found_in(tmp_path, [{"text": "alone in the world"}, {"text": "-- !!"}, {"text": "..."}], files=2)
    assert dup["cluster"].null_count() == 3 and dup["size"].to_list() == [1, 1, 1]


@pytest.mark.spark
@pytest.mark.slow
def test_spark_and_polars_make_the_same_table(tmp_path: Path) -> None:
    spark = local_session()
    made = corpus(tmp_path, pages(7, 80), files=5)
    plain = duplicates.find(made, jobs(), str(tmp_path / "annotations/here/run"), workers=0)
    expected = family(joined(made, plain.annotations), "dup")
    for partitions in ("1", "2", "13"):
        spark.conf.set("spark.sql.shuffle.partitions", partitions)
        found = duplicates.find(made, jobs(), str(tmp_path / f"annotations/spark{partitions}/run"), spark=spark, polars_rows=0)
        assert family(joined(made, found.annotations), "dup").equals(expected) and found.metrics == plain.metrics
    spark.conf.set("spark.sql.shuffle.partitions", "4")


def planted(data: Callable[[str], Path], name: str) -> list[dict[str, Any]]:
    with gzip.open(data(f"dedup/{name}.jsonl.gz"), "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_planted_duplicates(data: Callable[[str], Path], tmp_path: Path) -> None:
    """The gate: 861 labelled pairs by 15 transforms. Their gold splits words another way, so pairs at the very edge may differ."""
    docs, pairs = planted(data, "planted_docs"), planted(data, "planted_pairs")
    dup, _ = found_in(tmp_path, [{"doc_id": d["id"], "text": d["text"], "uri": d["id"]} for d in docs], files=4)
    cluster = dict(zip(dup["doc_id"], dup["cluster"], strict=True))
    same = {(p["id_1"], p["id_2"]): cluster[p["id_1"]] is not None and cluster[p["id_1"]] == cluster[p["id_2"]] for p in pairs}
    true = [p for p in pairs if p["duplicate_at_08"]]
    hit = [p for p in true if same[p["id_1"], p["id_2"]]]
    clear = [p for p in pairs if p["jaccard_word5"] < 0.79 and p["transform"] != "casefold_nopunct"]
    assert len(hit) / len(true) >= 0.98 and not [p for p in clear if same[p["id_1"], p["id_2"]]]
    sure = [p for p in true if p["jaccard_word5"] >= 0.85]
    assert all(same[p["id_1"], p["id_2"]] for p in sure)
