"""Differences between variants: intervals against closed forms, a bootstrap and a simulation; the words for what they say."""

import math
import random
from dataclasses import asdict
from statistics import NormalDist
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.intervals import t_quantile
from headrace.contrasts import Contrast, contrasts, interval

ONE = np.zeros(1, np.int64)


def rows(variant: str, seed: int, bits: list[float], *, sizes: list[int] | None = None, domain: str = "web", host: str | None = None) -> pl.DataFrame:
    """The documents of one run: each of 100 bytes and of a file of its own, unless said."""
    n = len(bits)
    return pl.DataFrame(
        {"variant": [variant] * n, "seed": [seed] * n, "doc_id": [f"{domain}{i:04}" for i in range(n)], "domain": [domain] * n, "host": [host] * n,
         "uri": [f"{domain}/{i}#1" for i in range(n)], "bits": bits, "bytes": sizes or [100] * n},
        schema_overrides={"host": pl.String, "bits": pl.Float64},
    )  # fmt: skip


@pytest.mark.parametrize("share", [0.6, 0.9, 0.975, 0.995])
def test_quantiles_of_t_are_those_of_its_closed_forms(share: float) -> None:
    assert t_quantile(share, 1) == pytest.approx(math.tan(math.pi * (share - 0.5)), rel=1e-11)
    assert t_quantile(share, 2) == pytest.approx((2 * share - 1) / math.sqrt(2 * share * (1 - share)), rel=1e-11)
    a = 4 * share * (1 - share)
    four = 2 * math.sqrt(math.cos(math.acos(math.sqrt(a)) / 3) / math.sqrt(a) - 1)
    assert t_quantile(share, 4) == pytest.approx(four, rel=1e-11)
    assert t_quantile(share, 1e7) == pytest.approx(NormalDist().inv_cdf(share), rel=1e-6)
    assert t_quantile(1 - share, 3.7) == -t_quantile(share, 3.7)


def test_one_document_and_several_seeds_are_a_paired_t_test() -> None:
    d, half = interval(np.array([[10.0], [20.0], [30.0]]), np.array([100.0]), ONE, 0.95)
    assert (d, half) == (pytest.approx(0.2), pytest.approx(4.302652729749 * 0.1 / math.sqrt(3)))


def test_one_seed_and_documents_of_one_size_are_a_paired_t_test_over_documents() -> None:
    bits = np.array([3.0, 5.0, 4.0, 8.0])
    d, half = interval(bits[None], np.full(4, 10.0), np.arange(4), 0.95)
    assert (d, half) == (pytest.approx(0.5), pytest.approx(3.182446305284 * bits.std(ddof=1) / 10 / 2))


def test_the_chance_of_seeds_and_of_text_add_up() -> None:
    differences = np.array([[1.0, 3.0], [2.0, 8.0]])
    d, half = interval(differences, np.array([10.0, 30.0]), np.arange(2), 0.9)
    by_seed = np.array([4 / 40, 10 / 40])
    seeds, left = by_seed.var(ddof=1) / 2, np.array([1.5, 5.5]) - d * np.array([10, 30])
    text = 2 * (left**2).sum() / 40**2
    freedom = (seeds + text) ** 2 / (seeds**2 / 1 + text**2 / 1)
    assert d == pytest.approx(7 / 40)
    assert half == pytest.approx(t_quantile(0.95, freedom) * math.sqrt(seeds + text))


def test_the_chance_of_text_is_what_a_bootstrap_over_hosts_finds() -> None:
    dice = np.random.default_rng(3)
    sizes, hosts = dice.integers(50, 5000, 600).astype(float), dice.integers(0, 150, 600)
    hosts = np.unique(hosts, return_inverse=True)[1]
    per_byte = dice.normal(0.02, 0.05, 600) + dice.normal(0, 0.1, 150)[hosts]
    _, half = interval((per_byte * sizes)[None], sizes, hosts, 0.95)
    bits, held = np.bincount(hosts, per_byte * sizes), np.bincount(hosts, sizes)
    drawn = dice.multinomial(len(held), np.full(len(held), 1 / len(held)), 4000)
    assert half == pytest.approx(1.976 * ((drawn @ bits) / (drawn @ held)).std(), rel=0.06)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Three seeds, sixty documents, a chance of each and of both together: what an ablation looks like. Rather too wide is meant."""
    dice, truth, held, trials = np.random.default_rng(5), 0.01, 0, 600
    sizes = dice.integers(200, 4000, 60).astype(float)
    for _ in range(trials):
        noise = dice.normal(0, 0.01, (3, 1)) + dice.normal(0, 0.06, (1, 60)) + dice.normal(0, 0.03, (3, 60))
        d, half = interval((truth + noise) * sizes, sizes, np.arange(60), 0.95)
        held += half is not None and abs(d - truth) <= half
    assert 0.94 <= held / trials <= 0.995


def verdicts(frame: pl.DataFrame, **knobs: Any) -> dict[tuple[str, str], Contrast]:
    return {(one.variant, one.domain): one for one in contrasts(frame, **knobs)}


def runs(shift: float, *, seeds: int = 3, n: int = 40) -> pl.DataFrame:
    """Two variants; b takes `shift` bits a document more than a, give or take."""
    dice = np.random.default_rng(1)
    level = dice.normal(200, 30, n)
    found = []
    for seed in range(seeds):
        found += [rows("a", seed, list(level + dice.normal(0, 2, n))), rows("b", seed, list(level + shift + dice.normal(0, 2, n)))]
    return pl.concat(found)


def test_what_is_clear_is_better_or_worse_and_the_rest_is_noise() -> None:
    told = {shift: verdicts(runs(shift))["b", "all"] for shift in (-9.0, 0.0, 9.0)}
    assert [one.verdict for one in told.values()] == ["better", "noise", "worse"]
    worse = told[9.0]
    assert worse.low is not None and worse.high is not None and worse.difference is not None
    assert 0 < worse.low < worse.difference < worse.high and worse.difference == pytest.approx(0.09, abs=0.01)
    assert (worse.against, worse.seeds, worse.units) == ("a", 3, 40)
    first = verdicts(runs(9.0))["a", "all"]
    assert (first.verdict, first.difference, first.low) == ("baseline", None, None) and first.sd is not None
    assert worse.bits_per_byte - first.bits_per_byte == pytest.approx(worse.difference)


def test_the_pairing_finds_what_two_separate_means_would_not() -> None:
    """Documents differ by 30 bits, the variants by 2: only document by document does it show."""
    frame = runs(2.0, n=80)
    one = verdicts(frame)["b", "all"]
    alone = frame.filter((pl.col("seed") == 0) & (pl.col("variant") == "a"))["bits"].std()
    assert one.verdict == "worse" and 1.96 * float(alone) / math.sqrt(80) > 2 * 2    # type: ignore[arg-type]


def test_one_seed_is_no_verdict_and_one_document_of_one_seed_is_nothing() -> None:
    one = verdicts(runs(9.0, seeds=1))["b", "all"]
    assert (one.verdict, one.sd) == ("one seed", None) and one.low is not None
    lone = verdicts(pl.concat([rows("a", 1, [5.0]), rows("b", 1, [6.0])]))["b", "all"]
    assert (lone.verdict, lone.low, lone.difference) == ("unknown", None, pytest.approx(0.01))


def test_a_variant_like_the_first_is_noise() -> None:
    same = pl.concat([rows(name, seed, [5.0, 7.0]) for seed in (1, 2) for name in ("a", "b")])
    one = verdicts(same)["b", "all"]
    assert (one.difference, one.low, one.high, one.verdict) == (0, 0, 0, "noise")


def test_domains_stand_beside_the_whole_and_hosts_count_as_one_where_there_are_enough() -> None:
    many = [
        pl.concat([rows(name, seed, [5.0 + seed, 6.0, 7.0], domain="web", host=f"h{h}").with_columns(pl.col("doc_id") + f"h{h}") for h in range(9)]
                  + [rows(name, seed, [4.0 + seed] * 5, domain="books", host="one.example")])
        for name in ("a", "b") for seed in (1, 2)
    ]  # fmt: skip
    told = verdicts(pl.concat(many))
    assert list(told) == [("a", "all"), ("a", "books"), ("a", "web"), ("b", "all"), ("b", "books"), ("b", "web")]
    assert (told["b", "web"].units, told["b", "books"].units, told["b", "all"].units) == (9, 5, 14)


def test_documents_that_nothing_was_asked_about_count_for_nothing() -> None:
    empty = pl.concat([rows(name, seed, [5.0, 0.0, 7.0], sizes=[100, 0, 100]) for name in ("a", "b") for seed in (1, 2)])
    assert verdicts(empty)["b", "all"].units == 2


@settings(max_examples=30, deadline=None)
@given(st.randoms())
def test_the_order_of_rows_says_nothing(dice: random.Random) -> None:
    frame = runs(3.0, n=12)
    order = list(range(frame.height))
    dice.shuffle(order)
    turned = frame[order].sort("variant")                        # the first variant is the one that comes first
    for ours, theirs in zip(contrasts(turned), contrasts(frame), strict=True):
        assert asdict(ours) == pytest.approx(asdict(theirs))


def test_runs_asked_about_different_documents_are_refused() -> None:
    with pytest.raises(AssertionError, match="different documents"):
        contrasts(pl.concat([rows("a", 1, [1.0, 2.0]), rows("b", 1, [1.0, 2.0], sizes=[100, 90])]))
