"""Policies from the outside: tried, applied, changed; clauses keep their order through the catalogue and its log."""

import json
from pathlib import Path

import pytest
from demo_run import headrace

from catalog.lake import Lake

pytestmark = pytest.mark.slow

RECIPE = """
name: x
seed: 1
lake: lake
ingest:
  notes: {tables: {paths: [notes.jsonl]}, domain: web}
curate:
  corpus: {from: notes, stages: [gopher.signals], dedup: {exact: {}}, policy: first}
"""
FIRST = 'drop:\n  z_short: "gopher.n_words < 8"\n  a_few: "gopher.n_words < 12"\nkeep: [length(text) DESC]\n'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A small lake, judged by a policy whose first clause comes last in the alphabet."""
    notes = [{"text": " ".join(["water"] * n), "uri": f"https://mill.example/{n}/{i}"} for n in range(4, 20) for i in range(2)]
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes), encoding="utf-8")
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "first.yaml").write_text(FIRST, encoding="utf-8")
    (tmp_path / "x.yaml").write_text(RECIPE, encoding="utf-8")
    said = headrace("run", "x.yaml", cwd=tmp_path)
    assert said.code == 0, said.err
    return tmp_path


def reasons(home: Path, name: str = "corpus") -> dict[str | None, int]:
    with Lake.open(home / "lake") as lake:
        found = lake.query(f'SELECT reason, count(*) AS n FROM audit."{name}" GROUP BY ALL').to_pylist()
    return {row["reason"]: row["n"] for row in found}


def test_the_first_clause_that_is_true_gives_the_reason(home: Path) -> None:
    assert reasons(home) == {"z_short": 8, "a_few": 8, "duplicate": 8, None: 8}


def test_a_second_policy_stands_beside_the_first_and_changes_nothing_of_it(home: Path) -> None:
    (home / "strict.yaml").write_text('drop:\n  short: "gopher.n_words < 18"\n', encoding="utf-8")
    before = reasons(home)
    said = headrace("policy", "apply", "strict.yaml", "--on", "corpus", cwd=home)
    assert said.code == 0, said.err
    assert reasons(home) == before
    assert reasons(home, "corpus/strict") == {"short": 28, "duplicate": 2, None: 2}
    again = headrace("policy", "apply", "strict.yaml", "--on", "corpus", cwd=home)
    assert again.code == 0 and "corpus@v2" in again.out


@pytest.mark.parametrize("on", ["corpus", "corpus/strict", "corpus/strict@v2"])
def test_applied_on_itself_a_policy_says_what_it_keeps_and_stays_the_second(home: Path, on: str) -> None:
    (home / "strict.yaml").write_text('drop:\n  short: "gopher.n_words < 18"\n', encoding="utf-8")
    assert "corpus@v2: strict keeps 2 of 32" in headrace("policy", "apply", "strict.yaml", "--on", "corpus", cwd=home).out
    said = headrace("policy", "apply", "strict.yaml", "--on", on, cwd=home)
    assert said.out == 'corpus@v2: strict keeps 2 of 32 documents; see data."corpus/strict"\n', said.err
    (home / "strict.yaml").write_text('drop:\n  short: "gopher.n_words < 17"\n', encoding="utf-8")
    said = headrace("policy", "apply", "strict.yaml", "--on", on, cwd=home)
    assert said.out == 'corpus@v3: strict keeps 3 of 32 documents; see data."corpus/strict"\n', said.err
    with Lake.open(home / "lake") as lake:
        assert [p["name"] for p in lake.snapshot("corpus").policies] == ["first", "strict"] and lake.snapshot("corpus").kept == 8


def test_an_older_version_is_named_where_its_rows_are(home: Path) -> None:
    (home / "strict.yaml").write_text('drop:\n  short: "gopher.n_words < 18"\n', encoding="utf-8")
    headrace("policy", "apply", "strict.yaml", "--on", "corpus", cwd=home)
    said = headrace("policy", "apply", home / "policies" / "first.yaml", "--on", "corpus@v1", cwd=home)
    assert said.out == 'corpus@v1: first keeps 8 of 32 documents; see data."corpus@v1"\n', said.err


def test_the_order_of_clauses_survives_a_rebuild(home: Path) -> None:
    assert headrace("doctor", "--rebuild", cwd=home).code == 0
    with Lake.open(home / "lake") as lake:
        assert list(lake.snapshot("corpus").policies[0]["drop"]) == ["z_short", "a_few"]


def test_a_trial_says_what_apply_then_does(home: Path) -> None:
    (home / "strict.yaml").write_text('drop:\n  short: "gopher.n_words < 18"\nkeep: [doc_id]\n', encoding="utf-8")
    tried = json.loads(headrace("policy", "try", "strict.yaml", "--on", "corpus", "--json", cwd=home).out)
    assert {row["outcome"]: row["documents"] for row in tried["outcomes"]} == {"kept": 2, "short": 28, "duplicate": 2}
