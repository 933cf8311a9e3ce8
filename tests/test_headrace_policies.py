"""Policies from the outside: tried, applied, changed; clauses keep their order through the catalogue and its log."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from demo_run import headrace

from catalog import samples
from catalog.lake import Lake
from catalog.predicates import parse
from curate.borders import Border, Near
from curate.clauses import Clause
from curate.thresholds import thresholds
from headrace.trying import Asked, _show_border, show_try
from tests.catalog_making import data_file, draft, gopher, judge

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
    return made(tmp_path)


def made(tmp_path: Path) -> Path:
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
    (home / "very-strict.yaml").write_text('drop:\n  short: "gopher.n_words < 18"\n', encoding="utf-8")
    before = reasons(home)
    said = headrace("policy", "apply", "very-strict.yaml", "--on", "corpus", cwd=home)
    assert said.code == 0, said.err
    assert reasons(home) == before
    assert reasons(home, "corpus/very-strict") == {"short": 28, "duplicate": 2, None: 2}
    with Lake.open(home / "lake") as lake:
        assert lake.query("SELECT count(*) AS n FROM audit.corpus WHERE verdict_very_strict.kept").to_pylist() == [{"n": 2}]
    again = headrace("policy", "apply", "very-strict.yaml", "--on", "corpus", cwd=home)
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


CHAIN = """params: {least: 18}
drop:
  lengths:
    cite: "the miller, 1789"
    clauses:
      short: gopher.n_words < $least
"""


@pytest.fixture(scope="module")
def chained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a policy that extends another, applied beside the first. Whoever gets it only reads."""
    home = made(tmp_path_factory.mktemp("chained"))
    (home / "policies" / "base.yaml").write_text(CHAIN, encoding="utf-8")
    (home / "policies" / "strict.yaml").write_text("extends: base\nparams: {least: 17}\nkeep: [doc_id]\n", encoding="utf-8")
    (home / "empty.yaml").write_text('drop:\n  odd: "gopher.dup_line_frac > 0.5 AND length(text) > 3"\n  none: "title = \'x\'"\n', encoding="utf-8")
    for policy in ("strict", "empty.yaml"):
        said = headrace("policy", "apply", policy, "--on", "corpus", cwd=home)
        assert said.code == 0, said.err
    return home


def test_a_policy_that_extends_another_is_kept_whole(home: Path) -> None:
    (home / "policies" / "base.yaml").write_text(CHAIN, encoding="utf-8")
    (home / "policies" / "strict.yaml").write_text("extends: base\nparams: {least: 17}\nkeep: [doc_id]\n", encoding="utf-8")
    said = headrace("policy", "apply", "strict", "--on", "corpus", cwd=home)
    assert "strict keeps 3 of 32" in said.out, said.err
    (home / "policies" / "base.yaml").write_text(CHAIN.replace("gopher.n_words <", "gopher.n_words >"), encoding="utf-8")
    with Lake.open(home / "lake") as lake:
        kept = lake.snapshot("corpus/strict").policies[0]
    assert kept["drop"] == {"short": "gopher.n_words < 17"} and kept["cite"] == {"short": "the miller, 1789"}
    said = headrace("policy", "apply", "strict", "--on", "corpus", "--set", "least=12", cwd=home)
    assert said.code == 0 and reasons(home, "corpus/strict")["short"] == 14, said.err


def test_why_says_what_each_clause_said(chained: Path) -> None:
    with Lake.open(chained / "lake") as lake:
        doc = lake.query("SELECT doc_id FROM audit.corpus WHERE gopher.n_words = 9 ORDER BY doc_id").to_pylist()[0]["doc_id"]
    said = " ".join(headrace("why", doc, cwd=chained).out.split())
    assert "verdict: dropped by first, a_few passes z_short gopher.n_words 9 (< 8) gopher.n_words < 8 decides a_few gopher.n_words 9 (< 12)" in said
    assert "verdict_strict: dropped by strict, short decides short gopher.n_words 9 (< 17) gopher.n_words < 17 [the miller, 1789]" in said
    story = json.loads(headrace("why", doc, "--json", cwd=chained).out)[0]
    assert story["clauses"]["verdict"][1] == {
        "policy": "first", "reason": "a_few", "decided": True, "predicate": "gopher.n_words < 12", "says": "drops", "values": {"gopher.n_words": 9},
        "thresholds": [{"value": "gopher.n_words", "is": 9, "op": "<", "limit": 12}], "cite": None,
    }  # fmt: skip


def test_why_says_that_a_clause_knows_nothing(chained: Path) -> None:
    with Lake.open(chained / "lake") as lake:
        doc = lake.query("SELECT doc_id FROM audit.corpus ORDER BY doc_id LIMIT 1").to_pylist()[0]["doc_id"]
    story = json.loads(headrace("why", doc, "--json", cwd=chained).out)[0]
    assert [one["says"] for one in story["clauses"]["verdict_empty"]] == ["passes", "unknown"]
    assert "title NULL" in headrace("why", doc, cwd=chained).out


def test_a_trial_says_what_changes_and_shows_documents_at_the_threshold(chained: Path) -> None:
    tried = json.loads(headrace("policy", "try", "strict", "--on", "corpus", "--json", "--samples", "3", cwd=chained).out)
    assert tried["exact"] and tried["params"] == {"least": 17} and tried["today"] == {"policy": "first", "kept": 8, "rows": 32}
    assert {reason: share["documents"] for reason, share in tried["newly_dropped"].items()} == {"short": 5} and tried["newly_kept"] == {}
    assert tried["outcomes"][1] == {"outcome": "short", "documents": 26, "share": 0.8125, "low": 0.8125, "high": 0.8125, "cite": "the miller, 1789"}
    assert [(one["domain"], one["documents"], one["kept"]["documents"], one["kept_today"]["documents"]) for one in tried["domains"]] == [("web", 32, 3, 8)]
    border = tried["thresholds"][0]
    assert (border["reason"], border["value"], border["op"], border["limit"], border["cite"]) == ("short", "gopher.n_words", "<", 17, "the miller, 1789")
    assert [near["value"] for near in border["below"]] == [16, 16, 15] and [near["value"] for near in border["above"]] == [17, 17, 18]
    assert border["above"][0]["text"] == " ".join(["water"] * 13) + " wa" and {near["outcome"] for near in border["below"]} == {"short"}
    shown = headrace("policy", "try", "strict", "--on", "corpus", cwd=chained)
    assert shown.code == 0 and not shown.err
    for words in ("newly dropped for  short", "kept by domain", "short: gopher.n_words < 17   (the miller, 1789)", "now kept by first: 8 of 32 (25.00%)"):
        assert words in shown.out
    assert "short: " not in headrace("policy", "try", "strict", "--on", "corpus", "--samples", "0", cwd=chained).out


def test_several_values_are_tried_at_once(chained: Path) -> None:
    arguments = ("policy", "try", "strict", "--on", "corpus", "--grid", "gopher.n_words=5,17,30")
    tried = json.loads(headrace(*arguments, "--json", cwd=chained).out)
    assert [point["values"] for point in tried["grid"]] == [{"gopher.n_words": n} for n in (5, 17, 30)] and tried["thresholds"] == []
    assert [point["outcomes"][0]["documents"] for point in tried["grid"]] == [15, 3, 0]
    assert tried["grid"][1]["outcomes"] == tried["outcomes"]
    shown = headrace(*arguments, cwd=chained).out
    assert "gopher.n_words is tried in short (< 17)" in shown and "short -24, duplicate +12" in shown
    by_name = json.loads(headrace("policy", "try", "strict", "--on", "corpus", "--grid", "least=5,30", "--json", cwd=chained).out)
    assert by_name["grid"][0] == {**tried["grid"][0], "values": {"least": 5}}


WRONG = {
    ("try", "--grid", "gopher.n_wrods=5"): "--grid gopher.n_wrods: strict compares no 'gopher.n_wrods' with a number; did you mean 'gopher.n_words'?",
    ("try", "--set", "leest=5"): "--set leest: strict has no parameter 'leest'; did you mean 'least'?",
    ("try", "--set", "least"): "--set least: write NAME=VALUE, such as min_words=100",
    ("try", "--set", "least=[1"): "--set least=[1: '[1' is neither a number nor text",
    ("apply", "--set", "least=few"): "--set least: 'few' is text, and the parameter stands for 18",
}


def test_mistakes_of_the_command_line_are_found_before_the_lake_is_opened(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(CHAIN, encoding="utf-8")
    (tmp_path / "strict.yaml").write_text("extends: base\nparams: {least: 17}\n", encoding="utf-8")
    for (command, *options), says in WRONG.items():
        said = headrace("policy", command, "strict.yaml", "--on", "corpus", *options, cwd=tmp_path)
        assert said.code == 2 and said.err == f"headrace: {says}\n" and not said.out


def test_a_trial_of_a_sample_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The lake is larger than its sample: shares come with intervals, and `--exact` knows better."""
    monkeypatch.setattr(samples.write_part, "__kwdefaults__", {"count": 60, "most": 1 << 29})
    monkeypatch.setattr(samples.cut, "__defaults__", (60,))
    with Lake.open(tmp_path / "lake", create=True) as lake:
        lake.commit(draft([judge(gopher(data_file(lake.root, "web", f"f{i}", 200), "corpus"), "corpus") for i in range(4)], "corpus", "c1"))
    (tmp_path / "strict.yaml").write_text('drop:\n  short: "gopher.n_words < 7"\n', encoding="utf-8")
    lake_, asked = str(tmp_path / "lake"), Asked(str(tmp_path / "strict.yaml"), "corpus", samples=4)
    told = []
    for exact in (False, True):
        show_try(lake_, replace(asked, exact=exact), True)
        told.append(json.loads(capsys.readouterr().out))
    some, whole = told
    assert (some["documents"], some["exact"], whole["documents"], whole["exact"]) == (60, False, 800, True)
    exactly = {one["outcome"]: one["share"] for one in whole["outcomes"]}
    assert set(exactly) == {"kept", "short"} and all(one["low"] < exactly[one["outcome"]] < one["high"] for one in some["outcomes"])
    assert whole["thresholds"] == some["thresholds"], "the documents at a threshold are the sample's"
    assert [one["domain"] for one in whole["domains"]] == ["books", "web", "code"], "the largest first"
    show_try(lake_, asked, False)
    shown = capsys.readouterr().out
    assert "60 documents of corpus@v1 (a sample of 800; 95 % interval)" in shown and "between" in shown and "against no policy" in shown


def test_what_a_text_says_to_a_terminal_is_not_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    clause = Clause("long", "length(text) > 9", parse("length(text) > 9"), "p: ", "a source\x1b[2J")
    near = Near("d1", "web\x1b[31m", 12.0, "long", "red \x1b[31m text\x07 of many words " * 9)
    _show_border(Border(thresholds(clause)[0], (), (near,)))
    shown = capsys.readouterr().out
    assert "red" in shown and not {"\x1b", "\x07"} & set(shown) and max(map(len, shown.splitlines())) <= 200
