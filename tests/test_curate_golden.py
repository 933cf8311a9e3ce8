"""Every signal of the curate room against pages written by hand, whose values were counted by hand."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import yaml

from catalog.schema import DOCUMENT
from curate import c4, fineweb, gopher, language, madlad, pii
from curate.policy import check, load

PAGES = sorted(Path(__file__).parent.glob("golden/curate/*.yaml"))
RECIPES = Path(__file__).parent.parent / "recipes/policies"
STAGES = {
    "gopher": gopher.signals,
    "c4": c4.signals,
    "fineweb": fineweb.signals,
    "fineweb_after_c4": fineweb.after_c4,
    "language": language.identify,
    "pii": pii.spans,
    "madlad": madlad.signals,
}
UNCOUNTED = {"score"}  # the model's, not countable by hand


def read(page: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(page.read_text(encoding="utf-8"))
    return found


def plain(found: Any, text: str) -> Any:
    """Spans as pairs of kind and text, other rows of a list as their values."""
    if not isinstance(found, list):
        return found
    return [[row["kind"], text[row["start"] : row["end"]]] if "kind" in row else [*row.values()] for row in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_value_is_the_one_counted_by_hand(page: Path) -> None:
    golden = read(page)
    for family, expected in golden["expect"].items():
        frame = STAGES[family](pl.DataFrame({"text": [golden["text"]]}), **golden.get("knobs", {}).get(family, {}))
        row = {name: plain(value, golden["text"]) for name, value in frame.row(0, named=True).items()}
        wanted = {name: float(Fraction(value)) if isinstance(value, str) and "/" in value else value for name, value in expected.items()}
        assert {name: row[name] for name in wanted} == wanted, f"{page.stem}: {family}"


def test_every_signal_stands_on_some_page() -> None:
    counted = {(family, name) for page in PAGES for family, values in read(page)["expect"].items() for name in values}
    declared = {(family, name) for family, stage in STAGES.items() for name in stage.declares.adds}  # type: ignore[attr-defined]
    assert {entry for entry in declared - counted if entry[1] not in UNCOUNTED} == set()


@pytest.mark.parametrize("family", STAGES)
@pytest.mark.parametrize("texts", [[], [None], ["", None, "a"], ["\x00", "�", "﻿", "‍", "́", "…", "\r\n\x85", "a" * 5000, "[" * 300]])
def test_columns_are_those_declared_whatever_comes(family: str, texts: list[str | None]) -> None:
    stage = STAGES[family]
    frame = stage(pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}))
    adds: dict[str, pa.DataType] = stage.declares.adds  # type: ignore[attr-defined]
    assert frame.columns == list(adds)
    assert frame.height == len(texts)
    assert frame.schema == pl.from_arrow(pa.table({name: pa.array([], type) for name, type in adds.items()})).schema
    numbers = frame.select(pl.selectors.float())
    assert not any(series.is_nan().any() or series.is_infinite().any() for series in numbers)


@pytest.mark.parametrize("name", ["fineweb", "c4"])
def test_the_policies_ask_for_signals_that_the_stages_make(name: str) -> None:
    known = {field.name: str(field.type) for field in DOCUMENT} | {f"source.{field.name}": str(field.type) for field in DOCUMENT.field("source").type}
    for family, stage in STAGES.items():
        known[family] = "struct"
        known |= {f"{family}.{column}": str(type) for column, type in stage.declares.adds.items()}  # type: ignore[attr-defined]
    policy = check(load(RECIPES / f"{name}.yaml"), known)
    assert len(policy.drop) > 3
