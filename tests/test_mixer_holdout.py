"""The hold-out: whole groups, near the wished share, the same for the same seed."""

from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from mixer.holdout import groups, hold_out

SCHEMA: dict[str, Any] = {
    "doc_id": pl.String, "domain": pl.String, "host": pl.String, "uri": pl.String, "cluster": pl.String,
    "origin_hash": pl.String, "parents": pl.List(pl.String), "tokens": pl.Int64,
}  # fmt: skip


def documents(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Documents with made-up ids where none is given."""
    full = [{"doc_id": str(i), "domain": "web", "uri": f"u{i}", "origin_hash": f"o{i}", "tokens": 10, **row} for i, row in enumerate(rows)]
    return pl.DataFrame([{name: row.get(name) for name in SCHEMA} for row in full], schema=SCHEMA)


row = st.fixed_dictionaries(
    {
        "domain": st.sampled_from(["web", "books"]),
        "host": st.sampled_from([None, "", "a", "b", "c", "d", "e"]),
        "cluster": st.sampled_from([None, None, None, "k1", "k2"]),
        "origin_hash": st.sampled_from([f"o{i}" for i in range(30)]),
        "uri": st.sampled_from(["x#1", "x#2", "y#1", "z", "w"]),
        "tokens": st.integers(1, 50),
    }
)


@settings(max_examples=100, deadline=None)
@given(st.lists(row, min_size=1, max_size=40), st.floats(0.01, 0.5), st.integers(0, 5))
def test_nothing_is_on_both_sides(rows: list[dict[str, Any]], share: float, seed: int) -> None:
    frame = documents(rows)
    held = pl.Series(hold_out(frame, share, seed).chosen)
    inside, outside = frame.filter(held), frame.filter(~held)
    for column in ("host", "cluster", "origin_hash"):
        both = set(inside[column].drop_nulls()) & set(outside[column].drop_nulls()) - {""}
        assert not both, (column, both)


def test_about_the_share_of_each_domain_is_held_out() -> None:
    rows = [{"domain": domain, "host": f"{domain}{i % 120}", "tokens": 50 + i % 37} for domain in ("web", "code") for i in range(600)]
    frame = documents(rows)
    found = hold_out(frame, 0.05, 7)
    for domain in ("web", "code"):
        here = (frame["domain"] == domain).to_numpy()
        tokens = frame["tokens"].to_numpy()
        assert 0.03 < tokens[found.chosen & here].sum() / tokens[here].sum() <= 0.05
    assert found.without == ()
    assert np.array_equal(found.chosen, hold_out(frame, 0.05, 7).chosen)
    assert not np.array_equal(found.chosen, hold_out(frame, 0.05, 8).chosen)


def test_a_hosts_choice_does_not_depend_on_the_order_of_documents() -> None:
    frame = documents([{"host": f"h{i % 50}"} for i in range(500)])
    turned = frame.reverse()
    assert set(frame.filter(pl.Series(hold_out(frame, 0.1, 7).chosen))["doc_id"]) == set(turned.filter(pl.Series(hold_out(turned, 0.1, 7).chosen))["doc_id"])


def test_books_are_held_out_whole_where_one_fits_and_by_chapter_where_none_does() -> None:
    frame = documents([{"domain": "books", "uri": f"books/{book}.txt#{c}", "tokens": 100 + book} for book in range(5) for c in range(9)])
    whole = frame.filter(pl.Series(hold_out(frame, 0.25, 7).chosen))
    assert whole["uri"].str.split("#").list.first().n_unique() == 1
    assert whole.height == 9
    assert hold_out(frame, 0.05, 7).chosen.sum() == 2


def test_entries_of_one_reference_work_may_part() -> None:
    frame = documents([{"domain": "reference", "uri": f"cwe.xml#{i}"} for i in range(200)])
    assert hold_out(frame, 0.05, 7).chosen.sum() == 10


def test_a_domain_of_one_host_keeps_it_and_is_named() -> None:
    frame = documents([{"domain": "papers", "host": "doi.org"}] * 20 + [{"host": f"h{i}"} for i in range(50)])
    found = hold_out(frame, 0.1, 7)
    assert found.without == ("papers",)
    assert set(frame.filter(pl.Series(found.chosen))["domain"]) == {"web"}


def test_what_was_written_from_a_document_goes_with_it() -> None:
    frame = documents([{"doc_id": "a", "uri": "a"}, {"doc_id": "b", "uri": "b"}, {"domain": "synthetic", "uri": "c", "parents": ["b", "gone"]}])
    assert groups(frame).tolist() == [0, 1, 1]


def test_nothing_is_held_out_when_nothing_is_asked() -> None:
    frame = documents([{"host": "a"}])
    assert not hold_out(frame, 0.0, 7).chosen.any()
    assert hold_out(frame.clear(), 0.05, 7).chosen.size == 0
