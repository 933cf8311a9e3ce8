"""Hosts that asked to be left out: by hand, against the rule said plainly, and lists that are wrong."""

from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import InputError
from curate import optout

LIST = """host,date
# by letter
mill.example,2024-05-01
www.mill.example,2023-01-31
.weir.example,
*.lock.example,2030-01-01
HTTPS://Sluice.Example/,2024-05-01
"""
Rows = list[tuple[str | None, datetime | None]]


def judged(rows: Rows, path: Path) -> list[tuple[object, ...]]:
    sources = [None if day is None else {"path": "x", "fetched_at": day} for _, day in rows]
    kinds = {"host": pl.String, "source": pl.Struct({"path": pl.String, "fetched_at": pl.Datetime("us")})}
    return optout.listed(pl.DataFrame({"host": [name for name, _ in rows], "source": sources}, schema=kinds), hosts=str(path)).rows()


def test_each_host_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(LIST, encoding="utf-8")
    day, before, after = date(2024, 5, 1), datetime(2024, 4, 30, 23, 59, 59), datetime(2024, 5, 1)
    rows: Rows = [
        ("mill.example", before), ("mill.example", after), ("a.b.mill.example", after), ("www.mill.example", before), ("windmill.example", after),
        ("example", after), ("weir.example", before), ("x.weir.example", None), ("lock.example", after), ("sluice.example", None), (None, after), ("", None),
        ("MILL.example.", before),
    ]  # fmt: skip
    assert judged(rows, path) == [
        ("mill.example", day, False), ("mill.example", day, True), ("mill.example", day, True), ("www.mill.example", date(2023, 1, 31), True),
        (None, None, None), (None, None, None), ("weir.example", None, True), ("weir.example", None, True), ("lock.example", date(2030, 1, 1), False),
        ("sluice.example", day, None), (None, None, None), (None, None, None), ("mill.example", day, False),
    ]  # fmt: skip


LABELS = st.sampled_from(["a", "b", "mill", "org"])
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
DAYS = st.one_of(st.none(), st.dates(date(2020, 1, 1), date(2020, 1, 9)))
TIMES = st.one_of(st.none(), st.datetimes(datetime(2020, 1, 1), datetime(2020, 1, 9)))


def plainly(name: str, fetched: datetime | None, told: list[tuple[str, date | None]]) -> tuple[object, ...]:
    covering = [(day or date.min, -len(entry), entry) for entry, day in told if name == entry or name.endswith("." + entry)]
    if not covering:
        return None, None, None
    day, _, entry = min(covering)
    return entry, (None if day == date.min else day), (True if day == date.min else None if fetched is None else fetched.date() >= day)


@settings(max_examples=100, deadline=None)
@given(told=st.lists(st.tuples(HOSTS, DAYS), max_size=6), rows=st.lists(st.tuples(HOSTS, TIMES), max_size=6))
def test_as_the_rule_says(told: list[tuple[str, date | None]], rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("optout") / "list.csv"
    path.write_text("".join(f"{name},{day or ''}\n" for name, day in told), encoding="utf-8")
    assert judged(rows, path) == [plainly(str(name), day, told) for name, day in rows]


@pytest.mark.parametrize(("text", "said"), [
    ("mill.example,May 2024", ":1: 'May 2024' is no date"), ("# x\nmill.example,2024-02-30", ":2: '2024-02-30' is no date"),
    ("host,date\n,2024-01-01", ":2: '' is no host"), ("a." * 20 + "example,", "is no host"), ("\ud800", "UTF-8"),
])  # fmt: skip
def test_a_wrong_list_is_told_with_its_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match=said) as told:
        judged([("mill.example", None)], path)
    assert "\n" not in str(told.value)


def test_an_empty_list_and_no_list(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("", encoding="utf-8")
    assert judged([("mill.example", None)], tmp_path / "list.csv") == [(None, None, None)] and judged([], tmp_path / "list.csv") == []
    with pytest.raises(InputError, match="did you mean 'list.csv'"):
        judged([("mill.example", None)], tmp_path / "lists.csv")
