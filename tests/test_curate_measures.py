"""Measures, calibration and buckets: by hand, by property, and beside scikit-learn and scipy number by number."""

import json
import subprocess
from math import erf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import InputError
from curate.models.buckets import BUCKETS, best, bucket, edges, tier, tier_edges, tiers
from curate.models.calibration import Calibration, as_calibration, line, logistic, sigmoid, steps
from curate.models.descent import begun, descend
from curate.models.features import Features, read
from curate.models.measures import (
    Estimate,
    agreement,
    auc,
    auc_difference,
    average_precision,
    bootstrapped,
    brier,
    calibration_error,
    confusion,
    graded,
    ranks,
    share,
    spearman,
    weighted_kappa,
)  # fmt: skip
from tests.test_curate_models import made

HERE = Path(__file__).parent
SCORES = st.lists(st.tuples(st.booleans(), st.integers(-5, 5)), min_size=4, max_size=60).filter(lambda rows: 0 < sum(row[0] for row in rows) < len(rows))


def drawn(size: int = 400, seed: int = 0) -> tuple[Any, Any]:
    """Labels, and scores with ties that say something of them."""
    random = np.random.default_rng(seed)
    labels = random.random(size) < 0.4
    return labels, np.round(random.normal(labels * 1.2, 1), 1)


# ---- measures


def test_ranking_by_hand() -> None:
    labels, scores = np.array([True, False, True, False]), np.array([0.9, 0.8, 0.8, 0.1])
    assert auc(labels, scores).value == 0.875                     # of four pairs three are right and one is tied
    assert average_precision(labels, scores) == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3)
    assert ranks(np.array([5.0, 1.0, 5.0])).tolist() == [2.5, 1.0, 2.5]
    assert spearman(np.array([1.0, 2, 3]), np.array([9.0, 4, 1])) == -1
    assert np.isnan(spearman(np.ones(3), np.arange(3.0)))


def test_kappa_by_hand() -> None:
    """Of four documents two gradings differ by one once and by two once: 5 / 4 seen; all pairs of grades give 28 / 16 by chance."""
    first, second = np.array([0.0, 1, 2, 2]), np.array([0.0, 2, 0, 2])
    assert weighted_kappa(first, second, grades=3) == pytest.approx(1 - (5 / 4) / (28 / 16))
    assert weighted_kappa(first, first, grades=3) == 1
    assert weighted_kappa(first, 2 - first, grades=3) == pytest.approx(1 - 3 / (26 / 16))
    assert np.isnan(weighted_kappa(np.ones(4), np.ones(4), grades=3)) and weighted_kappa(np.ones(4), first, grades=3) == 0
    assert graded(np.array([-1, 0.49, 0.5, 1.5, 4.2, 9]), grades=6).tolist() == [0, 0, 1, 2, 4, 5]
    with pytest.raises(AssertionError, match="from 0 to 2"):
        weighted_kappa(first, second + 1, grades=3)


def test_agreement_is_of_ranks_and_of_grades() -> None:
    labels = np.random.default_rng(3).integers(0, 6, 300).astype(float)
    near, far = labels + np.random.default_rng(4).normal(0, 0.7, 300), np.random.default_rng(5).uniform(0, 5, 300)
    good, none = agreement(labels, near, grades=6, seed=1), agreement(labels, far, grades=6, seed=1)
    assert good.spearman.value == spearman(labels, near) and good.kappa.value == weighted_kappa(labels, graded(near, grades=6), grades=6)
    assert good.kappa.low < good.kappa.value < good.kappa.high and good.kappa.low > 0.8
    assert none.kappa.low < 0 < none.kappa.high and none.spearman.low < 0 < none.spearman.high
    assert good == agreement(labels, near, grades=6, seed=1) and str(none).startswith("300 documents: Spearman ")
    assert agreement(labels, labels / 2, grades=6).spearman.value == pytest.approx(1) and agreement(labels, labels / 2, grades=6).kappa.value < 0.7
    same = agreement(labels, np.full(300, 3.0), grades=6)
    assert np.isnan(same.spearman.value) and same.kappa.value == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=40))
def test_kappa_has_no_favourite_and_is_one_at_most(pairs: list[tuple[int, int]]) -> None:
    first, second = np.array(pairs, float).T
    found, turned = weighted_kappa(first, second, grades=4), weighted_kappa(second, first, grades=4)
    assert (np.isnan(found) and np.isnan(turned)) or (found == pytest.approx(turned) and found <= 1)
    assert found == pytest.approx(weighted_kappa(3 - first, 3 - second, grades=4), nan_ok=True)


def test_wilson_by_hand() -> None:
    """Wilson's interval of 8 of 10 is .490 to .943."""
    found = share(8, 10)
    assert (found.value, round(found.low, 4), round(found.high, 4)) == (0.8, 0.4902, 0.9433)
    assert share(0, 10).low == 0
    assert np.isnan(share(0, 0).value)
    assert str(Estimate(0.5, 0.25, 0.75)) == "0.500 [0.250, 0.750]"


def test_confusion_and_calibration_by_hand() -> None:
    labels, scores = np.array([True, True, False, False, False]), np.array([0.9, 0.4, 0.5, 0.2, 0.1])
    table = confusion(labels, scores, 0.5)
    assert (table.true_positive, table.false_positive, table.false_negative, table.true_negative) == (1, 1, 1, 2)
    assert (table.precision.value, table.recall.value, table.false_positive_rate.value, table.accuracy.value) == (0.5, 0.5, 1 / 3, 0.6)
    assert brier(labels, scores) == pytest.approx((0.01 + 0.36 + 0.25 + 0.04 + 0.01) / 5)
    assert calibration_error(labels, scores) == pytest.approx((0.1 + 0.6 + 0.5 + 0.2 + 0.1) / 5)
    assert calibration_error(np.array([True, False]), np.array([0.5, 0.5])) == 0


@given(SCORES)
@settings(max_examples=200, deadline=None)
def test_auc_is_the_share_of_pairs(rows: list[tuple[bool, int]]) -> None:
    labels, scores = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], float)
    pairs = [(a > b) + (a == b) / 2 for a in scores[labels] for b in scores[~labels]]
    found = auc(labels, scores)
    assert found.value == pytest.approx(np.mean(pairs))
    assert 0 <= found.low <= found.value + 1e-12
    assert found.value <= found.high + 1e-12
    assert auc(labels, -scores).value == pytest.approx(1 - found.value)
    assert abs(auc_difference(labels, scores, scores * 2 + 1).value) < 1e-12


def test_delongs_interval_holds_what_it_promises() -> None:
    """Of 300 samples from two normal distributions about 95 % of the intervals hold the true area, and so do those of a difference."""
    true, held, apart = (1 + erf(0.5**0.5)) / 2, 0, 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        labels = np.arange(120) < 50
        scores, others = random.normal(labels * 1.0, 1 / 2**0.5), random.normal(labels * 1.0, 1 / 2**0.5)
        found, gap = auc(labels, scores), auc_difference(labels, scores, others)
        held += found.low <= true <= found.high
        apart += gap.low <= 0 <= gap.high
    assert 270 <= held <= 296
    assert 273 <= apart <= 298


def test_bootstrap_is_the_seeds_and_near_to_delong() -> None:
    labels, scores = drawn()
    low, high = bootstrapped(lambda rows: auc(labels[rows], scores[rows]).value, labels.size, seed=1)
    found = auc(labels, scores)
    assert (low, high) == bootstrapped(lambda rows: auc(labels[rows], scores[rows]).value, labels.size, seed=1)
    assert low == pytest.approx(found.low, abs=0.01)
    assert high == pytest.approx(found.high, abs=0.01)


# ---- beside scikit-learn and scipy


@pytest.fixture(scope="module")
def answer(oracles: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    labels, scores = drawn()
    texts, turned = made(120, noise=0.2)
    found = read(texts, Features(buckets=300))
    order = {
        "labels": labels.astype(int).tolist(), "scores": scores.tolist(), "probabilities": logistic(scores).tolist(), "other": np.cos(scores * 7).tolist(),
        "rows": {"offsets": found.offsets.tolist(), "index": found.index.tolist(), "value": found.value.tolist(), "buckets": 300},
        "targets": np.where(turned == 1, 1.0, -1.0).tolist(), "costs": np.random.default_rng(0).uniform(0.2, 4, 120).tolist(),
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("models")
    (folder / "order.json").write_text(json.dumps(order))
    subprocess.run([str(oracles), str(HERE / "oracle_models.py"), str(folder / "order.json"), str(folder / "answer.json")], check=True)
    return order | json.loads((folder / "answer.json").read_text())


@pytest.mark.oracle
def test_measures_are_scikit_learns(answer: dict[str, Any]) -> None:
    labels, scores = drawn()
    assert auc(labels, scores).value == pytest.approx(answer["auc"], abs=1e-12)
    assert average_precision(labels, scores) == pytest.approx(answer["average_precision"], abs=1e-12)
    assert brier(labels, logistic(scores)) == pytest.approx(answer["brier"], abs=1e-12)
    assert spearman(scores, np.cos(scores * 7)) == pytest.approx(answer["spearman"], abs=1e-12)
    grades, other = np.clip(np.round(scores + 1), 0, 4), np.clip(np.round(np.cos(scores * 7) + 2), 0, 4)
    assert weighted_kappa(grades, other, grades=5) == pytest.approx(answer["kappa"], abs=1e-12)
    table = confusion(labels, scores, 0.5)
    assert [table.true_negative, table.false_positive, table.false_negative, table.true_positive] == answer["confusion"]


@pytest.mark.oracle
def test_calibrations_are_scikit_learns(answer: dict[str, Any]) -> None:
    """Ours draw a little towards what is not certain: isotonic levels by one document, Platt's labels by one of each."""
    labels, scores = drawn()
    assert np.abs(steps(labels, scores)(scores) - answer["isotonic"]).max() < 0.21
    assert np.abs(steps(labels, scores)(scores) - answer["isotonic"]).mean() < 0.02
    assert np.abs(sigmoid(labels, scores)(scores) - answer["platt"]).max() < 0.01


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "near"), [("logistic", 1e-4), ("ridge", 1e-4)])
def test_weights_are_scikit_learns(name: str, near: float, answer: dict[str, Any]) -> None:
    found, targets, costs = read(made(120, noise=0.2)[0], Features(buckets=300)), np.array(answer["targets"]), np.array(answer["costs"])
    ours = descend(begun(found, 300), found, targets, costs, logistic=name == "logistic", seed=0, epochs=3000, tolerance=1e-9).weights
    assert np.abs(ours - answer[name]).max() < near * np.abs(answer[name]).max()


# ---- calibration


def test_steps_rise_and_pool_what_does_not() -> None:
    fitted = steps(np.array([False, True, False, True, True]), np.array([1.0, 2, 3, 4, 5]))
    assert fitted(np.array([1.0, 2, 3, 4, 5])).tolist() == pytest.approx([0.3, 1.6 / 3, 1.6 / 3, 2.6 / 3, 2.6 / 3])
    assert fitted(np.array([-9.0, 9.0])).tolist() == pytest.approx([0.3, 2.6 / 3])
    assert np.isnan(fitted(np.array([np.nan]))).all()


@given(SCORES)
@settings(max_examples=100, deadline=None)
def test_calibrated_values_are_probabilities_and_travel_as_data(rows: list[tuple[bool, int]]) -> None:
    labels, scores = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], float)
    for fit in (steps, sigmoid):
        fitted = fit(labels, scores)
        values = fitted(np.sort(scores))
        assert ((values > 0) & (values < 1)).all()
        assert fit is sigmoid or (np.diff(values) >= 0).all()
        assert values.mean() == pytest.approx(labels.mean(), abs=0.3)
        assert as_calibration(json.loads(json.dumps(fitted.to_dict()))) == fitted


def test_many_steps_are_kept_at_256_points() -> None:
    random = np.random.default_rng(0)
    margins = random.normal(size=20_000)
    fitted = steps(random.random(20_000) < logistic(3 * margins), margins)
    assert len(fitted.margins) <= 256
    assert np.abs(fitted(margins) - logistic(3 * margins)).mean() < 0.02


def test_a_line_is_held_between_the_labels() -> None:
    fitted = line(np.array([0.0, 1, 2, 3]), np.array([1.0, 1.5, 2, 2.5]))
    assert fitted(np.array([-9.0, 1.25, 9])).tolist() == pytest.approx([0, 0.5, 3])
    assert line(np.array([0.0, 1]), np.array([2.0, 2]))(np.array([7.0])).tolist() == [0.5]


def test_foreign_calibrations_are_refused() -> None:
    good = Calibration("steps", margins=(0.0, 1.0), values=(0.1, 0.2)).to_dict()
    for change in ({"kind": "code"}, {"margins": []}, {"values": [0.2, 0.1]}, {"margins": [1, 0]}, {"slope": float("nan")}, {"values": [0.1]}):
        with pytest.raises(InputError):
            as_calibration(good | change)


# ---- buckets


def test_buckets_are_equal_and_later_scores_fall_into_the_same() -> None:
    scores = np.random.default_rng(0).normal(size=10_000)
    fitted = edges(scores)
    assert len(fitted) == BUCKETS - 1
    assert np.bincount(bucket(scores, fitted)).tolist() == [500] * 20
    assert bucket(np.array([-99.0, 99.0, np.nan, fitted[0], fitted[18]]), fitted).tolist() == [0, 19, -1, 1, 19]


@given(st.lists(st.integers(-30, 30), min_size=1, max_size=400), st.integers(2, 30))
@settings(max_examples=100, deadline=None)
def test_edges_part_any_scores_exactly_and_in_any_order(given: list[int], buckets: int) -> None:
    whole = np.array(given, float)
    fitted = edges(whole, buckets)
    assert fitted == edges(-np.sort(-whole), buckets)
    assert fitted == [sorted(given)[min(-(-k * len(given) // buckets), len(given) - 1)] for k in range(1, buckets)]
    assert all((whole < edge).mean() <= k / buckets + 1 / whole.size for k, edge in enumerate(fitted, 1))


def test_the_best_scorer_and_its_tier() -> None:
    placed = best([np.array([0, 19, -1, 6, -1]), np.array([7, 3, 18, 2, -1])])
    assert placed.tolist() == [7, 19, 18, 6, -1]
    assert tiers(placed) == ["medium-low", "high", "medium-high", "low", None]
    assert [tier(place) for place in (11, 12, 17)] == ["medium-low", "medium", "medium"]
    fitted = [float(k) for k in range(1, 20)]
    assert tier_edges(fitted) == {"high": 19.0, "medium-high": 18.0, "medium": 12.0, "medium-low": 7.0}
    scores = np.random.default_rng(0).uniform(0, 20, 1000)
    for name, low in tier_edges(fitted).items():
        assert scores[[one == name for one in tiers(bucket(scores, fitted))]].min() >= low


def test_nothing_scored_has_no_edges() -> None:
    with pytest.raises(InputError, match="score the corpus first"):
        edges(np.array([np.nan]))
    assert bucket(np.ones(3), edges(np.append(np.ones(9), np.nan))).tolist() == [19, 19, 19]
