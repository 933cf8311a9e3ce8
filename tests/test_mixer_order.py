"""The order of samples: permutations without a table, and counts that are exact at every prefix."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixer import order
from mixer.order import Blend, apportion, permute

weights = st.lists(st.integers(0, 1000), min_size=1, max_size=9).filter(any).map(lambda w: [one / sum(w) for one in w])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 2**63 - 1))
def test_a_permutation_is_one_to_one(n: int, key: int) -> None:
    assert np.array_equal(np.sort(permute(np.arange(n), n, key)), np.arange(n))


def test_a_permutation_is_the_same_for_ever() -> None:
    assert permute(np.arange(10), 10, 7).tolist() == GOLDEN_10
    assert permute(np.array([0, 1, 123_456_789]), 10**9, 2**62 + 1).tolist() == GOLDEN_BIG


GOLDEN_10 = [5, 4, 0, 8, 7, 6, 2, 3, 1, 9]
GOLDEN_BIG = [294961427, 917037016, 488343155]


def test_a_permutation_moves_things_about() -> None:
    n = 100_000
    found = permute(np.arange(n), n, 1)
    assert abs(np.corrcoef(np.arange(n), found)[0, 1]) < 0.01
    assert np.mean(found == permute(np.arange(n), n, 2)) < 0.001


@settings(max_examples=100, deadline=None)
@given(weights, st.integers(1, 2000))
def test_every_prefix_is_within_one_sample_of_the_weights(shares: list[float], samples: int) -> None:
    sources, _ = Blend([(samples, shares)]).at(np.arange(samples))
    counts = np.cumsum(sources[:, None] == np.arange(len(shares)), axis=0)
    wanted = np.arange(1, samples + 1)[:, None] * np.array(shares)
    assert np.abs(counts - wanted).max() < 1
    assert counts[-1][np.array(shares) == 0].sum() == 0


def test_a_plain_argmax_of_the_debt_would_pass_one_sample() -> None:
    """Why the order is Tijdeman's: the greedy rule drifts by more than a sample for some weights."""
    rng = np.random.default_rng(0)
    worst = 0.0
    for _ in range(60):
        shares = rng.dirichlet(np.full(10, 0.3))
        counts = np.zeros(10)
        for n in range(1, 1000):
            counts[np.argmax(shares * n - counts)] += 1
            worst = max(worst, float(np.abs(counts - shares * n).max()))
    assert worst > 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 300), st.integers(0, 5), st.integers(0, 5), st.integers(1, 5)), min_size=1, max_size=4))
def test_phases_are_each_exact_and_places_count_on(phases: list[tuple[int, int, int, int]]) -> None:
    given_phases = [(n, [a / (a + b + c), b / (a + b + c), c / (a + b + c)]) for n, a, b, c in phases]
    blend = Blend(given_phases)
    sources, places = blend.at(np.arange(blend.total))
    start = 0
    for counts, (n, shares) in zip(blend.counts, given_phases, strict=True):
        here = np.bincount(sources[start : start + n], minlength=3)
        assert np.array_equal(here, counts)
        assert np.abs(here - np.array(shares) * n).max() < 1
        start += n
    for source in range(3):
        assert np.array_equal(places[sources == source], np.arange(np.sum(sources == source)))


def test_any_sample_is_found_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    phases = [(700, [0.5, 0.3, 0.2]), (333, [0.1, 0.0, 0.9])]
    whole = Blend(phases).at(np.arange(1033))
    monkeypatch.setattr(order, "BLOCK", 50)
    blend = Blend(phases)
    shuffled = np.random.default_rng(3).permutation(1033)
    for found, expected in zip(blend.at(shuffled), whole, strict=True):
        assert np.array_equal(found, expected[shuffled])
    with pytest.raises(IndexError, match="samples 0 to 1033 of 1033"):
        blend.at(np.array([0, 1033]))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 10), min_size=1, max_size=8).filter(lambda w: sum(w) > 0), st.integers(0, 10**6))
def test_apportioning_gives_away_everything_within_one(shares: list[float], total: int) -> None:
    found = apportion(shares, total)
    whole = sum(map(Fraction, shares))
    assert sum(found) == total
    assert all(abs(n - Fraction(share) * total / whole) < 1 for n, share in zip(found, shares, strict=True))


def test_the_larger_remainder_gains_and_the_first_of_equals() -> None:
    assert apportion([0.5, 0.3, 0.2], 7) == [4, 2, 1]
    assert apportion([1, 1, 1], 2) == [1, 1, 0]
