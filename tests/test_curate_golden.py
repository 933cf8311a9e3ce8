"""Every signal of the curate room against pages written by hand, whose values were counted by hand.

A page names families (of two stages with one family the second goes by its own name), their knobs, columns beside the text, and files that knobs name.
A number may be written as it was counted: 3/7, or a formula behind `= `.
"""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import yaml

from catalog.schema import DOCUMENT
from catalog.stage import Target, load
from curate.models import quantiles, stored, vectors
from curate.models.calibration import Calibration
from curate.models.features import Features
from curate.models.linear import Model
from curate.models.vocabulary import word_table
from curate.policy import check
from curate.policy import load as load_policy
from headrace.handbook import functions
from tests.bench_making import MILL, index

PAGES = sorted(Path(__file__).parent.glob("golden/curate/*.yaml"))
RECIPES = Path(__file__).parent.parent / "recipes/policies"
ELSEWHERE = {"trove.block", "trove.pipeline", "embedding.minilm"}
"""Blocks of others, whose columns are what these say (test_catalog_trove.py), and an encoder that is not part of the set-up (test_curate_embedding.py)."""
UNCOUNTED = {("language", "score")}  # the model's, not countable by hand


def every_stage() -> dict[str, Target]:
    """All stages of the handbook, by family."""
    found: dict[str, Target] = {}
    for name, target, _ in functions("Stages", "curate"):
        if name not in ELSEWHERE:
            found[name if target.family in found else target.family] = target
    return found


STAGES = every_stage()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_models(tmp_path_factory.mktemp("golden"))


def made_models(folder: Path) -> Path:
    """Write a classifier whose weights are all alike, quantiles of numbers spread evenly from 0 to 1, vectors of two words and an exam; return the folder."""
    features = Features(ngrams=1, buckets=1 << 16)
    weights = np.array([.75] * features.buckets + [-1], np.float32)
    stored.save(Model("class", features, weights, Calibration("sigmoid", 2, .5)), folder / "alike")
    even = [k / (quantiles.EDGES + 1) for k in range(1, quantiles.EDGES + 1)]
    names = ("useful", "edu", "perplexity", "diversity")
    quantiles.save(quantiles.Quantiles(dict.fromkeys(names, even), dict.fromkeys(names, len(even))), folder / "even")
    known = pl.Series("word", [vectors.ABSENT, "mill", "wheel"])
    table = np.array([[0, 0, 0, 0], [.5, 0, .5, 0], [0, 1, 0, 1]], np.float32)
    vectors.save(vectors.Vectors(known, word_table(known, "vectors"), table, np.zeros(4, np.float32), 1, {"rare": 1}), folder / "vectors")
    index(folder / "exam", {"bench.mill": MILL})
    return folder


def read(page: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(page.read_text(encoding="utf-8"))
    return found


def batch(golden: dict[str, Any]) -> pl.DataFrame:
    """The page as a batch: columns of a document have their types, those of other families are as they are written."""
    row = {"text": golden["text"], **golden.get("row", {})}
    types = {field.name: field.type for field in DOCUMENT}
    frame = pl.from_arrow(pa.table({name: pa.array([value], types[name]) for name, value in row.items() if name in types}))
    assert isinstance(frame, pl.DataFrame)
    return frame.with_columns(pl.Series(name, [value]) for name, value in row.items() if name not in types)


def placed(knob: Any, folder: Path) -> Any:
    """A knob with the names of files and models in a folder made paths."""
    if isinstance(knob, dict):
        return {name: placed(value, folder) for name, value in knob.items()}
    return str(folder / knob) if isinstance(knob, str) and (folder / knob).exists() else knob


def counted(value: Any) -> Any:
    """What is written in a page, formulas worked out; numbers that are not whole are equal to 12 digits."""
    if isinstance(value, list):
        return [counted(part) for part in value]
    if isinstance(value, str) and re.fullmatch(r"\d+/\d+", value):
        value = int(value.partition("/")[0]) / int(value.partition("/")[2])
    elif isinstance(value, str) and value.startswith("= "):
        value = eval(value[2:], {"sqrt": math.sqrt, "log": math.log, "log2": math.log2, "exp": math.exp, "__builtins__": {}})
    return pytest.approx(value, rel=1e-12) if isinstance(value, float) else value


def plain(found: Any, text: str) -> Any:
    """Spans as pairs of kind and text, other rows of a list as their values."""
    if not isinstance(found, list):
        return found
    return [([row["kind"], text[row["start"] : row["end"]]] if "kind" in row else [*row.values()]) if isinstance(row, dict) else row for row in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_value_is_the_one_counted_by_hand(page: Path, models: Path, tmp_path: Path) -> None:
    golden = read(page)
    for name, content in golden.get("files", {}).items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    for family, expected in golden["expect"].items():
        function: Any = load(STAGES[family].path)
        frame = function(batch(golden), **placed(placed(golden.get("knobs", {}).get(family, {}), tmp_path), models))
        adds: dict[str, pa.DataType] = function.declares.adds
        assert frame.schema == pl.from_arrow(pa.table({name: pa.array([], type) for name, type in adds.items()})).schema
        row = {name: plain(value, golden["text"]) for name, value in frame.row(0, named=True).items()}
        assert {name: row[name] for name in expected} == {name: counted(value) for name, value in expected.items()}, f"{page.stem}: {family}"


@pytest.mark.parametrize("family", STAGES)
def test_every_signal_stands_on_some_page(family: str) -> None:
    told = {name for page in PAGES for name in read(page)["expect"].get(family, {})}
    declared = {name for name in load(STAGES[family].path).declares.adds if (family, name) not in UNCOUNTED}  # type: ignore[attr-defined]
    assert declared - told == set()


@pytest.mark.parametrize("name", ["fineweb", "c4"])
def test_the_policies_ask_for_signals_that_the_stages_make(name: str) -> None:
    known = {field.name: str(field.type) for field in DOCUMENT} | {f"source.{field.name}": str(field.type) for field in DOCUMENT.field("source").type}
    for family, target in STAGES.items():
        known[family] = "struct"
        known |= {f"{family}.{column}": str(type) for column, type in load(target.path).declares.adds.items()}  # type: ignore[attr-defined]
    policy = check(load_policy(RECIPES / f"{name}.yaml"), known)
    assert len(policy.drop) > 3
