"""Paraphrases in a recipe: word vectors of `quality:`, a stage that writes them, the job that reads them, and a policy that keeps one of a group."""

import json
import random
from pathlib import Path

import pytest
from demo_run import headrace

from catalog.lake import Lake

pytestmark = pytest.mark.slow

RECIPE = """name: told
seed: 3
lake: lake
ingest:
  told: {tables: {paths: [told.jsonl]}, domain: web}
quality:
  meaning: {embed: "SELECT doc_id, text FROM data.told", dimensions: 32}
curate:
  apart:
    from: told
    stages: [{embedding.vector: {model: meaning}}]
    dedup: {exact: {}, semantic: {vectors: VECTORS, threshold: 0.7}}
    policy: one
"""
ONE = "drop: {retold: 'dup.paraphrase <> doc_id'}\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five topics of six texts each, of the same words in another order and some others; and a copy."""
    home, chance = tmp_path_factory.mktemp("told"), random.Random(5)
    (home / "policies").mkdir()
    (home / "policies/one.yaml").write_text(ONE)
    words = [[f"{topic}{k}" for k in range(40)] for topic in ("mill", "tax", "bird", "ship", "bell")]
    texts = [" ".join(chance.sample(words[i % 5], 34) + chance.choices(words[(i + 1) % 5], k=3)) for i in range(30)]
    lines = [json.dumps({"text": text, "uri": f"https://told.example/{i % 5}/{i}"}) for i, text in enumerate([*texts, texts[0] + "."])]
    (home / "told.jsonl").write_text("\n".join(lines) + "\n")
    return home


def test_one_of_a_group_stays_and_copies_are_told_apart(home: Path) -> None:
    (home / "told.yaml").write_text(RECIPE.replace("VECTORS", "embedding.vector"))
    said = headrace("run", home / "told.yaml")
    assert said.code == 0, said.err
    assert "dimensions from 31 texts" in said.err
    rows = Lake.open(home / "lake").query(
        "SELECT split_part(uri, '/', 4) AS topic, kept, reason, dup.paraphrase AS p, dup.paraphrase_size AS n, dup.cluster AS c FROM audit.apart"
    ).to_pylist()  # fmt: skip
    assert len(rows) == 31 and {row["p"] is not None for row in rows} == {True}
    assert len({(row["topic"], row["p"]) for row in rows}) == 5 and {row["n"] for row in rows} == {6, 7}
    assert sum(row["c"] is not None for row in rows) == 2
    assert sum(row["kept"] for row in rows) == 5 and {row["reason"] for row in rows} == {None, "retold"}


def test_vectors_that_nothing_computes_are_said_before_anything_starts(home: Path, tmp_path: Path) -> None:
    (home / "wrong.yaml").write_text(RECIPE.replace("VECTORS", "embeding.vector"))
    said = headrace("run", home / "wrong.yaml", "--lake", tmp_path / "none")
    assert said.code == 2 and "wrong.yaml:12" in said.err and "embed" in said.err and len(said.err.strip().splitlines()) == 1
    assert not (tmp_path / "none").exists()
