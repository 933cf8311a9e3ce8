"""Packing: every item once, no row too full, few rows."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mixer.packing import pack


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 200).flatmap(lambda cap: st.tuples(st.just(cap), st.lists(st.integers(1, cap), max_size=60))))
def test_every_item_is_in_one_row_that_holds_it(given_items: tuple[int, list[int]]) -> None:
    capacity, items = given_items
    lengths = np.array(items, np.int64)
    order, ends = pack(lengths, capacity)
    assert sorted(order.tolist()) == list(range(lengths.size))
    rows = [int(lengths[order[a:b]].sum()) for a, b in pairwise(ends)]
    assert all(0 < row <= capacity for row in rows)
    assert sum(rows) == sum(items)


def test_rows_are_nearly_full() -> None:
    lengths = np.minimum(1024, np.random.default_rng(0).lognormal(5, 1, 20_000).astype(np.int64) + 1)
    _, ends = pack(lengths, 1024)
    assert lengths.sum() / ((ends.size - 1) * 1024) > 0.995


def test_best_fit_takes_the_fullest_row_that_holds_an_item() -> None:
    order, ends = pack(np.array([7, 5, 3, 5, 2]), 10)
    rows = [sorted(order[a:b].tolist()) for a, b in pairwise(ends)]
    assert rows == [[0, 2], [1, 3], [4]]
