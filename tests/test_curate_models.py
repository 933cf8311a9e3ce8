"""The hashed n-gram linear model: its features, that it learns what can be learned, its file, and hostile ones."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import InputError, RecipeError
from catalog.schema import hash_text, text_bytes
from catalog.split import Words, split_words
from curate.models.descent import begun, descend, margins
from curate.models.features import Features, bucket_of, joined, read, rows
from curate.models.importance import BAG, Importance, count, importance, weigh
from curate.models.linear import Model, predict, train
from curate.models.stored import load, save

SMALL = Features(buckets=1 << 12)
GOOD = "the river runs to the mill and its wheel grinds corn for bread in the village by the water"
BAD = "click here cheap pills buy now win free prize casino bonus login cookies subscribe follow share"


def split(*texts: str) -> Words:
    return split_words(*text_bytes(pl.Series(texts, dtype=pl.String)))


def made(documents: int, seed: int = 0, noise: float = 0.0) -> tuple[pl.Series, Any]:
    """Texts of 20 words, three quarters of them from one of two vocabularies; which one is the label, but for `noise`."""
    random = np.random.default_rng(seed)
    labels, texts = random.integers(0, 2, documents), []
    for label in labels:
        own, other = (GOOD, BAD) if label else (BAD, GOOD)
        texts.append(" ".join(random.choice((own if random.random() < 0.75 else other).split()) for _ in range(20)))
    return pl.Series(texts, dtype=pl.String), np.where(random.random(documents) < noise, 1 - labels, labels).astype(np.float64)


# ---- features


def test_grams_are_words_in_small_letters_and_their_runs() -> None:
    found = rows(split("The mill the mill"), Features(ngrams=1, buckets=1 << 28))
    assert found.index.tolist() == [bucket_of(np.uint64(hash_text(word)), 1 << 28) for word in ("the", "mill")]
    assert found.value.tolist() == pytest.approx([2 / 8**0.5] * 2)
    assert rows(split("a b c"), Features(ngrams=2)).index.size == 5
    assert rows(split("a b c"), Features(ngrams=3)).index.size == 6
    with_letters = rows(split("ab ÄB"), Features(ngrams=1, chars=(2, 3), buckets=1 << 28))
    assert with_letters.index.size == 2 + 2 * 5 - 1               # <a ab b> <ab ab>, <ä äb b> <äb äb>; b> is in both
    assert rows(split("ab äb"), Features(ngrams=1, chars=(2, 3), buckets=1 << 28)).index.tolist() == with_letters.index.tolist()


def test_values_are_counts_roots_or_presence() -> None:
    for value, ratio in (("count", 4), ("root", 2), ("binary", 1)):
        found = rows(split("x x x x y"), Features(ngrams=1, value=value)).value
        assert found[0] / found[1] == pytest.approx(ratio)
        assert np.sum(found**2) == pytest.approx(1)


@given(st.lists(st.text("ab Ä日.\n\0\u202e", max_size=60), min_size=1, max_size=5), st.sampled_from([(0, 0), (1, 3)]))
@settings(max_examples=100, deadline=None)
def test_a_text_is_seen_alone_whatever_stands_beside_it(texts: list[str], chars: tuple[int, int]) -> None:
    features = Features(ngrams=3, buckets=997, chars=chars)
    whole, parts = rows(split(*texts), features), joined([rows(split(text), features) for text in texts])
    for name in ("offsets", "index", "value", "keys"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name)), name
    assert (whole.index < 997).all()
    for d in range(len(whole)):
        here = slice(whole.offsets[d], whole.offsets[d + 1])
        assert len(set(whole.index[here])) == whole.index[here].size
        assert here.start == here.stop or np.sum(whole.value[here] ** 2) == pytest.approx(1, abs=1e-5)


def test_reading_in_slices_is_reading_at_once() -> None:
    texts = made(50)[0]
    for name in ("offsets", "index", "value", "keys"):
        assert np.array_equal(getattr(read(texts, SMALL, at_once=7), name), getattr(read([texts[:20], texts[20:]], SMALL), name)), name


def test_a_very_long_text_is_read_to_its_head() -> None:
    long = "word " * 10_000_000
    start, whole = rows(split("word " * 10_000), Features()), rows(split(long), Features())
    assert whole.index.tolist() == start.index.tolist()
    assert whole.value.tolist() == start.value.tolist()
    assert rows(split("x" * 50_000_000), Features(chars=(3, 5))).index.size < 200


@pytest.mark.parametrize("knobs", [
    {"ngrams": 0}, {"ngrams": 6}, {"buckets": 1}, {"buckets": 1 << 29}, {"buckets": 2.5}, {"value": "tf"}, {"chars": (0, 3)}, {"chars": (4, 3)},
    {"head": 0}, {"splitter": "words-0"},
])  # fmt: skip
def test_features_out_of_range_are_refused(knobs: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"^features: .*\w$"):
        Features(**knobs)


# ---- the model


@pytest.mark.parametrize("chars", [(0, 0), (3, 5)])
def test_it_learns_what_can_be_learned(chars: tuple[int, int]) -> None:
    features = Features(buckets=1 << 14, chars=chars)
    texts, labels = made(400)
    model = train(read(texts, features), labels, features)
    fresh, wanted = made(400, seed=1)
    probability, margin = predict(model, split(*fresh))
    assert np.mean((probability > 0.5) == wanted) > 0.95
    assert model.about["metrics"]["auc"][0] > 0.97
    assert np.allclose(margin, margins(read(fresh, features), model.weights, np.arange(400)), atol=1e-5)


def test_of_labels_that_mean_nothing_it_says_so() -> None:
    texts, labels = made(300)
    labels = np.random.default_rng(3).permutation(labels)
    model = train(read(texts, SMALL), labels, SMALL)
    low, high = model.about["metrics"]["auc"][1:]
    assert low < 0.5 + 0.06
    assert high > 0.5 - 0.06
    assert np.abs(predict(model, split(*texts))[0] - 0.5).max() < 0.35


def test_probabilities_are_those_of_the_labels_as_given() -> None:
    """One positive of five, a tenth of the labels turned: balancing must not move the mean."""
    texts, labels = made(3000, noise=0.1)
    kept = np.flatnonzero((labels == 0) | (np.random.default_rng(0).random(3000) < 0.25))
    model = train(read(texts[kept], SMALL), labels[kept], SMALL)
    fresh, wanted = made(3000, seed=1, noise=0.1)
    kept = np.flatnonzero((wanted == 0) | (np.random.default_rng(1).random(3000) < 0.25))
    assert predict(model, split(*fresh[kept]))[0].mean() == pytest.approx(wanted[kept].mean(), abs=0.02)
    assert model.about["metrics"]["calibration_error"] < 0.06     # labels turned at random are no sigmoid


def test_the_same_documents_in_any_order_give_the_same_weights() -> None:
    texts, labels = made(200)
    order = np.random.default_rng(5).permutation(200)
    one, other = train(read(texts, SMALL), labels, SMALL, seed=4), train(read(texts[order], SMALL), labels[order], SMALL, seed=4)
    assert np.array_equal(one.weights, other.weights)
    assert np.array_equal(one.weights, train(read(texts, SMALL), labels, SMALL, seed=4).weights)
    assert not np.array_equal(one.weights, train(read(texts, SMALL), labels, SMALL, seed=5).weights)


def test_a_score_is_a_number() -> None:
    random = np.random.default_rng(0)
    levels = random.integers(0, 6, 600)
    texts = pl.Series([" ".join(random.choice((GOOD if random.random() < level / 5 else BAD).split()) for _ in range(30)) for level in levels])
    model = train(read(texts[:400], SMALL), levels[:400].astype(float), SMALL, kind="score")
    said, _ = predict(model, split(*texts[400:]))
    assert np.corrcoef(said, levels[400:])[0, 1] > 0.9
    assert np.mean((said - levels[400:]) ** 2) < 0.6
    assert said.min() >= 0
    assert said.max() <= 5
    assert model.about["metrics"]["spearman"][1] > 0.85


def test_more_than_twenty_thousand_documents_are_held_out_once() -> None:
    texts, labels = made(2000)
    few = read(texts, SMALL)
    many = joined([few] * 11)
    many.keys[:] = np.arange(many.keys.size, dtype=np.uint64)
    model = train(many, np.tile(labels, 11), SMALL)
    assert model.about["documents"] == 22_000
    assert 4_000 < model.about["held_out"] < 4_800
    assert model.calibration.kind == "steps"
    assert np.mean((predict(model, split(*texts))[0] > 0.5) == labels) > 0.95


def test_a_document_without_words_has_no_score() -> None:
    texts, labels = made(100)
    texts = pl.concat([texts, pl.Series(["", " \n\t", "\0"]), pl.Series([None], dtype=pl.String)])
    model = train(read(texts, SMALL), np.append(labels, [1, 1, 0, 0]), SMALL)
    assert (model.about["documents"], model.about["without_words"]) == (100, 4)
    said, margin = predict(model, split("", "mill", " \u200b "))
    assert np.isnan(said).tolist() == np.isnan(margin).tolist() == [True, False, True]
    assert predict(model, split())[0].size == 0


def test_the_optimum_is_where_no_weight_wants_to_move() -> None:
    """The gradient of w^2 / 2 + sum cost * loss is zero there, for both losses."""
    texts, labels = made(80, noise=0.2)
    found, features = read(texts, SMALL), SMALL
    x = np.zeros((80, features.buckets + 1))
    for d in range(80):
        x[d, found.index[found.offsets[d] : found.offsets[d + 1]]] = found.value[found.offsets[d] : found.offsets[d + 1]]
    x[:, -1] = 1
    costs = np.random.default_rng(0).uniform(0.5, 3, 80)
    for logistic, targets in ((True, np.where(labels == 1, 1.0, -1.0)), (False, labels * 3 - 1)):
        w = descend(begun(found, features.buckets), found, targets, costs, logistic=logistic, seed=0, epochs=2000, tolerance=1e-9).weights.astype(float)
        slope = -targets / (1 + np.exp(targets * (x @ w))) if logistic else x @ w - targets
        assert np.abs(w + x.T @ (costs * slope)).max() < 1e-4


@pytest.mark.parametrize(("labels", "knobs", "said"), [
    ([1.0] * 40, {}, "0 of"), ([0.0] * 35 + [1.0] * 5, {}, "5 of the rarest"), ([0.0, 2.0] * 20, {}, "0 and 1"), ([0.0, np.nan] * 20, {}, "a number"),
    ([0.0, 1.0] * 5, {}, "labels for 40"), ([0.0, 1.0] * 20, {"kind": "rank"}, "class or score"), ([0.0, 1.0] * 20, {"strengths": ()}, "positive"),
    ([0.0, 1.0] * 20, {"folds": 1}, "2 folds"),
])  # fmt: skip
def test_labels_that_cannot_be_learned_are_refused(labels: list[float], knobs: dict[str, Any], said: str) -> None:
    texts = made(40)[0]
    with pytest.raises((InputError, RecipeError), match="40 of the rarest" if said == "0 of" else said):
        train(read(texts, SMALL), np.array(labels), SMALL, **knobs)


def test_copies_of_two_texts_cannot_be_held_out() -> None:
    texts = pl.Series([GOOD, BAD] * 20)
    try:
        model = train(read(texts, SMALL), np.array([1.0, 0.0] * 20), SMALL)
    except InputError as error:
        assert "copies" in str(error)
    else:
        assert model.about["metrics"]["auc"][0] <= 1


@pytest.mark.parametrize("chars", [(0, 0), (3, 5)])
def test_labels_that_people_gave(chars: tuple[int, int], data: Callable[[str], Path]) -> None:
    """266 pages labelled by people, each held out once: the AUC, whose interval is .07 wide with so few."""
    with gzip.open(data("quality/dclm_human_quality_a.jsonl.gz"), "rt", encoding="utf-8") as file:
        found = [json.loads(line) for line in file]
    features = Features(chars=chars)
    model = train(read(pl.Series([row["text"] for row in found]), features), np.array([float(row["label"]) for row in found]), features)
    value, low, _ = model.about["metrics"]["auc"]
    assert value > 0.87
    assert low > 0.82
    assert model.about["metrics"]["brier"] < 0.16


# ---- importance


def test_importance_is_the_log_ratio_of_two_bags() -> None:
    features = Features(ngrams=1, buckets=1 << 20)
    model = weigh(count([split("a a b")], features), count([split("a b b b")], features), features, smoothing=1.0)
    one, n = 1 << 20, np.log
    a = n(3 / (3 + one)) - n(2 / (4 + one))
    b = n(2 / (3 + one)) - n(4 / (4 + one))
    other = n(1 / (3 + one)) - n(1 / (4 + one))
    assert importance(model, split("A b", "b b zebra", "")).tolist() == pytest.approx([a + b, 2 * b + other, np.nan], nan_ok=True, abs=1e-5)
    assert importance(model, split("a b b"), per_gram=True)[0] == pytest.approx((a + 2 * b) / 3, abs=1e-6)


def test_importance_finds_the_target_in_the_pool() -> None:
    texts, labels = made(600)
    raw = count([split(*texts[:200]), split(*texts[200:400])])
    assert np.array_equal(raw, count([split(*texts[:400])]))
    model = weigh(count([split(*[text for text, label in zip(texts[:400], labels[:400]) if label])]), raw)
    said = importance(model, split(*texts[400:]))
    assert said[labels[400:] == 1].mean() > said[labels[400:] == 0].mean() + 3
    assert model.about["divergence"] > 0
    with pytest.raises(InputError, match="the target texts have 0 grams"):
        weigh(count([split("")]), raw)


# ---- on disk


@pytest.fixture(scope="module")
def model() -> Model:
    texts, labels = made(200)
    return train(read(texts, SMALL), labels, SMALL)


@pytest.mark.parametrize("kind", ["class", "score", "importance"])
def test_what_is_loaded_is_what_was_saved(kind: str, tmp_path: Path) -> None:
    texts, labels = made(200)
    words = split(*texts)
    mine: Model | Importance = weigh(count([words]), count([split(GOOD)]), BAG) if kind == "importance" else train(read(texts, SMALL), labels, SMALL, kind=kind)
    name = save(mine, tmp_path / "model", {"positive": "SELECT 1"})
    found = load(tmp_path / "model")
    assert found.about["digest"] == name
    assert found.about["positive"] == "SELECT 1"
    assert found.features == mine.features
    if isinstance(mine, Importance):
        assert isinstance(found, Importance)
        assert np.array_equal(importance(found, words), importance(mine, words))
    else:
        assert isinstance(found, Model)
        assert np.array_equal(predict(found, words)[0], predict(mine, words)[0])
    assert save(mine, tmp_path / "model", {"positive": "SELECT 1"}) == name
    assert save(mine, tmp_path / "copy", {"positive": "SELECT 1"}) == name
    with pytest.raises(InputError, match="give another name"):
        save(mine, tmp_path / "model", {"positive": "SELECT 2"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "model"]


def spoil(folder: Path, how: str) -> None:
    told, weights = json.loads((folder / "model.json").read_text()), (folder / "weights.npy")
    if how == "a weight":
        raw = bytearray(weights.read_bytes())
        raw[-2] ^= 1
        weights.write_bytes(raw)
    elif how == "short":
        weights.write_bytes(weights.read_bytes()[:-4])
    elif how == "no weights":
        weights.unlink()
    elif how == "pickled":
        np.save(weights, np.array([{"x": 1}] * 4097, dtype=object), allow_pickle=True)
    elif how == "other numbers":
        np.save(weights, np.zeros(2050, np.float64))
    elif how == "no json":
        (folder / "model.json").write_text("{" * 100_000)
    elif how == "a list":
        (folder / "model.json").write_text("[1]")
    else:
        keys, value = how.split("=")
        place = told
        *path, last = keys.split(".")
        for key in path:
            place = place[key]
        place[last] = json.loads(value)
        (folder / "model.json").write_text(json.dumps(told))


@pytest.mark.parametrize("how", [
    "a weight", "short", "no weights", "pickled", "other numbers", "no json", "a list", "format=3", "kind=\"other\"", "kind=3", "digest=null",
    "features=7", "features.buckets=1e12", "features.buckets=4096.5", "features.chars=[1]", "features.splitter=\"x\"", "features.spare=1",
    "calibration.kind=\"exec\"", "calibration.slope=7", "calibration.slope=\"7\"", "calibration.margins=3", "about.documents=1",
])  # fmt: skip
def test_a_file_that_was_changed_is_refused_in_one_line(how: str, model: Model, tmp_path: Path) -> None:
    save(model, tmp_path / "model")
    load(tmp_path / "model")
    spoil(tmp_path / "model", how)
    with pytest.raises(InputError, match=r"^/.*model: no model that can be used: [^\n]+\Z"):
        load(tmp_path / "model")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model that can be used"):
        load(tmp_path / "nothing")
