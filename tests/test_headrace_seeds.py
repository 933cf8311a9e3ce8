"""The composite of the documentation, run as it stands there: a language model, a classifier, quantiles, and the house's policy `seeds`."""

import re
from typing import Any

import numpy as np
import pytest
from demo_run import HOME, headrace

from catalog.lake import Lake

pytestmark = pytest.mark.slow
WEIGHTS = {"perplexity": -1.0, "diversity": 0.5, "toxicity": -2.0}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Every document that was judged, with its signals, its score and its verdict."""
    home = tmp_path_factory.mktemp("seeds")
    (text,) = (block for block in re.findall(r"^```yaml\n(.*?)^```", (HOME / "docs/policies.md").read_text("utf-8"), re.M | re.S) if "name: seeds" in block)
    text = text.replace("../examples", str(HOME / "examples")).replace("reference/*", "reference/wiki_demo.txt")      # enough to learn from
    (home / "seeds.yaml").write_text(text, encoding="utf-8")
    said = headrace("run", home / "seeds.yaml", cwd=home, timeout=600)
    assert said.code == 0, said.err
    with Lake.open(home / "lake") as lake:
        return lake.query(
            "SELECT uri LIKE '%toxicity%' AS labelled, perplexity.perplexity AS perplexity, statistics.mtld AS diversity, toxic.score AS toxicity, "
            "gopher.n_words, composite.score AS score, composite.ranks AS ranks, kept, reason FROM audit.worth_asking"
        ).to_pylist()


def test_the_score_is_the_weighted_mean_of_the_places_in_the_corpus(rows: list[dict[str, Any]]) -> None:
    known = [row for row in rows if row["score"] is not None]
    assert len(known) > 250
    for place, name in enumerate(WEIGHTS):
        values = np.sort([row[name] for row in rows if row[name] is not None])
        shares = [np.searchsorted(values, row[name], side) / values.size for side in ("left", "right") for row in known]
        low, high = np.array(shares).reshape(2, -1)
        told = np.array([row["ranks"][place] for row in known])
        assert ((told > low - 0.01) & (told < high + 0.01)).all(), name
    weights = np.array(list(WEIGHTS.values()))
    ranks = np.array([row["ranks"] for row in known])
    expected = (np.where(weights < 0, 1 - ranks, ranks) * abs(weights)).sum(1) / abs(weights).sum()
    assert np.allclose([row["score"] for row in known], expected)


def test_the_policy_keeps_the_better_half_and_harm_counts_against_a_text(rows: list[dict[str, Any]]) -> None:
    kept = [row for row in rows if row["kept"]]
    assert kept and all(row["score"] >= 0.5 and 50 <= row["n_words"] <= 20_000 for row in kept)
    assert {row["reason"] for row in rows if row["score"] is None} <= {"no_score"}
    assert all(row["score"] < 0.5 for row in rows if row["reason"] == "low_score") and any(row["reason"] == "low_score" for row in rows)
    labelled = [row["ranks"][2] for row in rows if row["labelled"] and row["ranks"][2] is not None]
    pages = [row["ranks"][2] for row in rows if not row["labelled"]]
    assert len(labelled) > 100 and np.mean(labelled) > np.mean(pages) + 0.3
    without = np.array([(1 - row["ranks"][0] + row["ranks"][1] * 0.5) / 1.5 for row in kept])      # what no term for safety would say
    assert np.mean([row["ranks"][2] for row in kept]) < 0.5 and not np.allclose(without, [row["score"] for row in kept])
