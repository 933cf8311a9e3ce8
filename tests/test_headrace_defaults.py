"""The default models: `make quality`'s recipe, run as it is, and what the models are worth on labels that they never saw."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from absence import absent
from demo_run import HOME, headrace

from catalog.lake import Lake
from curate import perplexity, quality
from curate.models.measures import auc

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, examples: Path) -> dict[str, str]:
    """The folder of each model, by name."""
    if not (HOME / "examples/labels/data/manifest.json").is_file():
        absent("examples/labels/data (python -m headrace.corpus labels)")
    lake = tmp_path_factory.mktemp("defaults") / "lake"
    said = headrace("run", HOME / "recipes/quality.yaml", "--lake", lake)
    assert said.code == 0, said.err
    with Lake.open(lake) as opened:
        return {row["model"]: str(lake / row["folder"]) for row in opened.rows("SELECT model, folder FROM model")}


def labelled(path: Path, text: str, yes: Callable[[dict[str, str]], bool]) -> tuple[pl.DataFrame, np.ndarray]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return pl.DataFrame({"text": [row[text] for row in rows]}), np.array([yes(row) for row in rows])


def test_the_default_models_are_there(models: dict[str, str]) -> None:
    assert set(models) == {"useful", "fluent", "toxic"}


def test_pages_that_people_kept_surprise_the_language_model_less(models: dict[str, str], data: Callable[[str], Path]) -> None:
    pages, kept = labelled(data("quality/dclm_human_quality_a.jsonl.gz"), "text", lambda row: str(row["label"]) == "1")
    found = perplexity.signals(pages, model=models["fluent"])["perplexity"].to_numpy()
    assert auc(kept, -found).value > .73
    assert auc(kept, quality.score(pages, model=models["useful"])["margin"].to_numpy()).value > .57


def test_hateful_tweets_are_told_from_others(models: dict[str, str], data: Callable[[str], Path]) -> None:
    tweets, toxic = labelled(data("safety/davidson_hate_a.jsonl.gz"), "tweet", lambda row: str(row["class"]) != "2")
    found = quality.score(tweets, model=models["toxic"])["margin"].fill_null(-99).to_numpy()
    assert auc(toxic, found).value > .85
