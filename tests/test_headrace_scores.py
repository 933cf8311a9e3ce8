"""A score of what texts teach, from the judge to the stage: judgements from a ledger of recorded completions, a fit, scores, and how far all agree."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from catalog_making import draft

from catalog.files import DataFile, write_rows
from catalog.ids import digest, doc_id
from catalog.lake import Lake
from catalog.recipe import load
from catalog.schema import DOCUMENT
from curate.models.measures import agreement
from headrace import curating, fitting, writing
from headrace.child import Work
from headrace.keys import part_keys
from headrace.river import Options
from mixer.tokenizer import SMALLEST, train
from synth.ask import Desk
from synth.engine import Reply
from synth.requests import now, order_of, row_of
from synth.scores import _request, beginning

pytestmark = pytest.mark.slow

LESSON = ["cell", "energy", "because", "plants", "light", "sugar", "therefore", "example", "measure", "force", "water", "explains"]
ADVERT = ["buy", "cheap", "click", "offer", "login", "price", "cart", "free", "share", "menu", "deal", "best"]
RECIPE = """
name: x
seed: 1
lake: lake
synth:
  judged: {from: notes, write: scores.educational, model: MODEL, limit: 120, at_least: 100}
quality:
  teaches: {scores: "SELECT text, score FROM data.judged", buckets: 4096}
curate:
  scored: {from: notes, stages: [quality.score: {model: teaches}]}
"""


def notes() -> list[tuple[str, int]]:
    """160 texts and what people would say of each, 0 to 5: the share of its words that belong to a lesson."""
    chance, found = random.Random(3), []
    for i in range(160):
        grade = i % 6
        words = [chance.choice(LESSON if chance.random() < grade / 5 else ADVERT) for _ in range(40)]
        found.append((" ".join([f"note {i}", *words]) + ".", grade))
    return found


def judge_of(folder: Path) -> str:
    """The folder of a model that is never loaded: a tokenizer of bytes, and a configuration."""
    train([""], SMALLEST, folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "max_position_embeddings": 8192}), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"")
    return str(folder)


def landed(lake: Lake) -> dict[str, int]:
    """Publish the notes; return what people would say of each by its doc_id."""
    rows = [
        {"doc_id": doc_id("notes", str(i), i, None), "uri": f"https://mill.example/{i}", "host": "mill.example", "domain": "web", "license": "CC0-1.0",
         "origin_hash": "0" * 32, "text": text, "media": [], "modality": "text", "grade": grade}
        for i, (text, grade) in enumerate(notes())
    ]  # fmt: skip
    grades = {str(row["doc_id"]): int(row.pop("grade")) for row in rows}                                       # type: ignore[call-overload]
    path = "data/notes/r1/a.parquet"
    stat = write_rows(lake.root / path, pa.Table.from_pylist(rows, schema=DOCUMENT), DOCUMENT)
    lake.commit(draft([DataFile(digest(path), path, stat.rows, stat.bytes, stat.ids, str(lake.root), (), stat.columns)], "notes"))
    return grades


def recorded(lake: Lake, model: str) -> None:
    """Write into the ledger what a judge would have said of every note: near what people say, and not quite."""
    chance = np.random.default_rng(5)
    with Desk(model, lake.root) as desk:
        ask = desk.ask("synth.judged", 1)
        rows: list[dict[str, Any]] = []
        for text, grade in notes():
            request = _request({"doc_id": "d", "text": beginning(text, 512, desk.tokenizer)}, ask, 0)
            order = order_of(request, desk.model, desk.tokenizer)
            weights = -((np.arange(6) - grade - chance.normal(0, 0.7)) ** 2)
            rows.append(row_of(desk.model, request, order, Reply(0, "weighed", weights=tuple(weights - np.log(np.exp(weights).sum()))), now()))
        desk.ledger.append(rows)


def test_judgements_become_a_model_that_scores_what_the_judge_never_read(tmp_path: Path) -> None:
    model = judge_of(tmp_path / "judge")
    (tmp_path / "x.yaml").write_text(RECIPE.replace("MODEL", model), encoding="utf-8")
    with Lake.open(tmp_path / "lake", create=True) as lake:
        grades = landed(lake)
        recorded(lake, model)
        recipe = load(str(tmp_path / "x.yaml"))
        work = Work(recipe, lake, part_keys(recipe, lake), Options(recipe=recipe.path), "job-1", tmp_path, {})
        try:
            said = [module.run(recipe.part(name), work) for module, name in
                    ((writing, "synth.judged"), (fitting, "quality.teaches"), (curating, "curate.scored"))]     # fmt: skip
            assert not next(held for held in work.held.values() if isinstance(held, Desk)).loaded, "the ledger knew it all"
        finally:
            for held in work.held.values():
                held.close()
        assert "120 scored; held-out rank correlation" in said[1] and "weighted kappa" in said[1]
        told = {row["task"]: row for row in lake.rows("SELECT task, value, low, high FROM main.eval_result WHERE model = 'teaches'")}
        judged = lake.query("SELECT gen.parents[1] AS doc_id, score FROM data.judged").to_pylist()
        scored = {row["doc_id"]: row["score"] for row in lake.query("SELECT doc_id, quality.score AS score FROM data.scored").to_pylist()}
    for task, least in (("spearman", 0.7), ("weighted_kappa", 0.6)):                                           # with the judge, on what was held out
        assert least < told[task]["low"] < told[task]["value"] < told[task]["high"] < 1
    new = [name for name in grades if name not in {row["doc_id"] for row in judged}]
    assert len(judged) == 120 and len(new) == 40
    found = agreement(np.array([grades[name] for name in new], float), np.array([scored[name] for name in new]), grades=6)
    assert found.spearman.low > 0.7 and found.kappa.low > 0.6, "with people, on what the judge never read"
    assert pl.Series(scored.values()).is_between(0, 5).all()
