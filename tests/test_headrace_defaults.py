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

IDENTITIES = (
    "african", "american", "asian", "bisexual", "black", "blind", "buddhist", "canadian", "catholic", "chinese", "christian", "deaf", "european",
    "female", "gay", "heterosexual", "hispanic", "homosexual", "indian", "japanese", "jewish", "latina", "latino", "latinx", "lesbian", "lgbt",
    "lgbtq", "male", "mexican", "muslim", "nonbinary", "old", "older", "paralyzed", "protestant", "queer", "sikh", "straight", "taoist", "teenage",
    "trans", "transgender", "white", "young", "younger",
)  # fmt: skip
"""The terms of Dixon et al. 2018, whose templates say something harmless of each."""

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


def test_whom_the_toxic_model_accuses_wrongly_is_bounded_by_identity(models: dict[str, str], data: Callable[[str], Path]) -> None:
    """Shares of harmless texts called toxic at .8, as benchmarks/toxicity.py takes them, and beside each bound what was measured."""

    def accused(texts: pl.DataFrame, harmless: np.ndarray) -> pl.DataFrame:
        some = texts.filter(harmless)
        return some.with_columns(quality.score(some.select("text"), model=models["toxic"])["score"].fill_null(0) >= .8)

    cases, harmless = labelled(data("safety/hatecheck_a.jsonl.gz"), "test_case", lambda row: row["label_gold"] == "non-hateful")
    groups, _ = labelled(data("safety/hatecheck_a.jsonl.gz"), "target_ident", lambda _: True)
    found = accused(cases.with_columns(group=groups["text"]), harmless)
    rates = {str(group): held["score"].to_numpy().mean() for (group,), held in found.filter(pl.col("group") != "").group_by("group")}
    assert len(rates) == 7 and found["score"].to_numpy().mean() < .21                         # .155
    assert max(rates.values()) < .26, rates                                                   # women .188
    found = accused(*labelled(data("safety/bias_madlibs_a.jsonl.gz"), "Text", lambda row: row["Label"] == "NOT_BAD"))
    rates = {term: held["score"].to_numpy().mean() for term in IDENTITIES if len(held := found.filter(pl.col("text").str.contains(rf"(?i)\b{term}\b"))) >= 50}
    assert len(rates) >= 35 and found["score"].to_numpy().mean() < .03, len(rates)            # .016
    assert max(rates.values()) < .43, rates                                                   # white .333
