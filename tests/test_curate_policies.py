"""The policies of recipes/policies on rows made for each of their clauses, in polars and in DuckDB; parameters by language; how they are fitted."""

from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
import yaml

from catalog.dialects import said, sql
from catalog.errors import PolicyError
from catalog.schema import DOCUMENT
from catalog.stage import HOUSE
from curate import dclm, fineweb, gopher, language, nemo, pii, refinedweb, stop_words
from curate.clauses import By
from curate.limits import fitted, query, rules, written
from curate.policy import Policy, check, from_body, load
from curate.sheets import read

FOLDER = HOUSE / "recipes/policies"
STAGES = {
    "gopher": gopher.signals, "fineweb": fineweb.signals, "language": language.identify, "pii": pii.spans, "dclm": dclm.signals,
    "refinedweb": refinedweb.signals, "nemo": nemo.signals, "stop_words": stop_words.signals,
}  # fmt: skip
NAMES = {field.name: str(field.type) for field in DOCUMENT} | {f"source.{field.name}": str(field.type) for field in DOCUMENT.field("source").type}
NAMES |= dict.fromkeys((*STAGES, "ensemble", "composite"), "struct")
NAMES |= {f"{family}.{name}": str(kind) for family, stage in STAGES.items() for name, kind in stage.declares.adds.items()}  # type: ignore[attr-defined]
NAMES |= {"ensemble.bucket": "int64", "ensemble.tier": "string", "composite.score": "double"}

EVERY = ("dup_line_frac", "dup_para_frac", "dup_line_chars", "dup_para_chars")
RUNS = {f"top_{n}gram": 0.01 for n in (2, 3, 4)} | {f"dup_{n}gram": 0.01 for n in range(5, 11)} | dict.fromkeys(EVERY, 0.0)
GOOD: dict[str, Any] = {  # a page that every policy keeps
    "language.code": "en", "language.score": 0.95, **{f"gopher.{name}": value for name, value in RUNS.items()},
    **{f"dclm.{name}": value for name, value in RUNS.items()}, "gopher.n_chars": 3000, "gopher.n_words": 500, "gopher.mean_word_length": 4.7,
    "gopher.alpha_words": 0.9, "gopher.hash_ratio": 0.0, "gopher.ellipsis_ratio": 0.0, "gopher.bullet_lines": 0.1, "gopher.ellipsis_lines": 0.0,
    "gopher.stop_words": 6, "dclm.n_words": 500, "dclm.mean_word_length": 5.1, "dclm.symbol_ratio": 0.0, "dclm.alpha_words": 0.95,
    "dclm.bullet_lines": 0.1, "dclm.ellipsis_lines": 0.0, "dclm.stop_word_uses": 40, "refinedweb.cut_words": 0.01, "refinedweb.kept_lines": 20,
    "fineweb.lines": 20, "fineweb.line_punct_ratio": 0.8, "fineweb.char_dup_ratio": 0.0, "fineweb.newline_ratio": 0.05, "stop_words.different": 5,
    "nemo.symbol_words": 0.0, "nemo.bullet_lines": 0.1, "nemo.non_prose": 0.2, "nemo.digits": 0.02, "nemo.urls": 0.0, "nemo.white_space": 0.18,
    "nemo.parentheses": 0.01, "nemo.longest_word": 14, "nemo.boilerplate": 0.0, "nemo.unended_lines": 0.2, "ensemble.tier": "medium", "composite.score": 0.8,
}  # fmt: skip
GRAMS = {"2": 0.2, "3": 0.18, "4": 0.16, "5": 0.15, "6": 0.14, "7": 0.13, "8": 0.12, "9": 0.11, "10": 0.1}


def grams(family: str, prefix: str) -> dict[str, tuple[str, Any, Any]]:
    kinds = {f"{'top' if int(n) < 5 else 'dup'}_{n}gram": most for n, most in GRAMS.items()}
    return {f"{prefix}_{kind}": (f"{family}.{kind}", most, most + 0.001) for kind, most in kinds.items()}


def repeats(family: str, *kinds: str) -> dict[str, tuple[str, Any, Any]]:
    return {f"repetition_{kind}": (f"{family}.{kind}", 0.3 if "frac" in kind else 0.2, 0.31) for kind in kinds} | grams(family, "repetition")


ENGLISH = {"foreign_language": ("language.score", 0.65, 0.64)}
SHARED = {
    "quality_short": ("gopher.n_words", 50, 49), "quality_long": ("gopher.n_words", 100_000, 100_001),
    "quality_short_words": ("gopher.mean_word_length", 3.0, 2.9),
    "quality_long_words": ("gopher.mean_word_length", 10.0, 10.1), "quality_hashes": ("gopher.hash_ratio", 0.1, 0.11),
    "quality_ellipses": ("gopher.ellipsis_ratio", 0.1, 0.2),
    "quality_bullets": ("gopher.bullet_lines", 0.9, 0.91), "quality_ellipsis_lines": ("gopher.ellipsis_lines", 0.3, 0.31),
    "quality_few_letters": ("gopher.alpha_words", 0.8, 0.79),
    "repetition_empty": ("gopher.n_chars", 1, 0),
}  # fmt: skip
CASES: dict[str, dict[str, tuple[str, Any, Any]]] = {  # clause: column, the last value that it lets pass, the first that it does not
    "fineweb2": {
        "unsure_language": ("language.score", 0.65, 0.64), **SHARED, **repeats("gopher", "dup_line_frac"),
        "quality_few_stop_words": ("stop_words.different", 2, 1),
        "fineweb_empty": ("fineweb.lines", 1, 0), "fineweb_line_punct": ("fineweb.line_punct_ratio", 0.12, 0.11),
        "fineweb_dup_chars": ("fineweb.char_dup_ratio", 0.1, 0.11), "fineweb_newlines": ("fineweb.newline_ratio", 0.3, 0.31),
    },
    "dclm": {
        **ENGLISH, "quality_short": ("dclm.n_words", 50, 49), "quality_long": ("dclm.n_words", 100_000, 100_001),
        "quality_short_words": ("dclm.mean_word_length", 3.0, 2.9),
        "quality_long_words": ("dclm.mean_word_length", 10.0, 10.1), "quality_symbols": ("dclm.symbol_ratio", 0.1, 0.11),
        "quality_bullets": ("dclm.bullet_lines", 0.9, 0.95),
        "quality_ellipsis_lines": ("dclm.ellipsis_lines", 0.3, 0.4), "quality_few_letters": ("dclm.alpha_words", 0.8, 0.7),
        "quality_few_stop_words": ("dclm.stop_word_uses", 2, 1),
        **repeats("dclm", *EVERY), "lines_cut": ("refinedweb.cut_words", 0.05, 0.06), "lines_none_left": ("refinedweb.kept_lines", 1, 0),
    },
    "refinedweb": {
        **ENGLISH, **SHARED, "quality_few_stop_words": ("gopher.stop_words", 2, 1), **repeats("gopher", *EVERY),
        "lines_cut": ("refinedweb.cut_words", 0.05, 0.06), "lines_none_left": ("refinedweb.kept_lines", 1, 0),
    },
    "nemotron": {
        "foreign_language": ("language.score", 0.3, 0.29), "short": ("gopher.n_words", 50, 49), "long": ("gopher.n_words", 100_000, 100_001),
        "short_words": ("gopher.mean_word_length", 3.0, 2.9), "long_words": ("gopher.mean_word_length", 10.0, 11.0),
        "few_letters": ("gopher.alpha_words", 0.8, 0.79),
        "few_stop_words": ("gopher.stop_words", 2, 1), "symbols": ("nemo.symbol_words", 0.1, 0.11), "bullets": ("nemo.bullet_lines", 0.9, 0.91),
        "ellipsis_lines": ("gopher.ellipsis_lines", 0.3, 0.31), "non_prose": ("nemo.non_prose", 0.25, 0.26), "digits": ("nemo.digits", 0.15, 0.16),
        "urls": ("nemo.urls", 0.2, 0.21), "white_space": ("nemo.white_space", 0.25, 0.26), "parentheses": ("nemo.parentheses", 0.1, 0.11),
        "longest_word": ("nemo.longest_word", 1000, 1001), "boilerplate": ("nemo.boilerplate", 0.4, 0.41),
        "unended_lines": ("nemo.unended_lines", 0.85, 0.86),
        "dup_lines": ("gopher.dup_line_frac", 0.3, 0.31), "dup_paragraphs": ("gopher.dup_para_chars", 0.2, 0.21),
        "top_grams": ("gopher.top_3gram", 0.18, 0.19),
        "dup_grams": ("gopher.dup_10gram", 0.1, 0.11),
    },
    "seeds": {
        "no_score": ("composite.score", 0.5, None), "low_score": ("composite.score", 0.5, 0.49), "too_short": ("gopher.n_words", 50, 49),
        "too_long": ("gopher.n_words", 20_000, 20_001),
        "dup_lines": ("gopher.dup_line_chars", 0.2, 0.21), "top_grams": ("gopher.top_4gram", 0.16, 0.17), "dup_grams": ("gopher.dup_5gram", 0.15, 0.16),
    },
}  # fmt: skip


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows of dotted names as struct columns."""
    nested: list[dict[str, dict[str, Any]]] = []
    for row in rows:
        nested.append({})
        for name, value in row.items():
            family, _, column = name.partition(".")
            nested[-1].setdefault(family, {})[column] = value
    return pl.DataFrame(nested, infer_schema_length=None)


def reasons(policy: Policy, rows: list[dict[str, Any]], tmp_path: Path) -> list[str | None]:
    """The first clause that is true of each row, in polars; DuckDB says the same."""
    policy, table = check(policy, NAMES), frame(rows)
    told = [said(table, clause.node).to_list() for clause in policy.drop]
    ours = [next((clause.reason for clause, truth in zip(policy.drop, column, strict=True) if truth), None) for column in zip(*told, strict=True)]
    table.write_parquet(tmp_path / "rows.parquet")
    cases = " ".join(f"WHEN {sql(clause.node)} THEN '{clause.reason}'" for clause in policy.drop)
    theirs = [row[0] for row in duckdb.sql(f"SELECT CASE {cases} END FROM '{tmp_path}/rows.parquet'").fetchall()]
    assert ours == theirs
    return ours


@pytest.mark.parametrize("name", CASES)
def test_each_clause_drops_from_its_threshold_on(name: str, tmp_path: Path) -> None:
    policy, cases = load(FOLDER / f"{name}.yaml"), CASES[name]
    assert {clause.reason for clause in policy.drop} == set(cases) and all(clause.cite for clause in policy.drop)
    rows = [GOOD, *({**GOOD, column: value} for column, passes, fails in cases.values() for value in (passes, fails))]
    expected = [None, *(reason for name in cases for reason in (None, name))]
    assert reasons(policy, rows, tmp_path) == expected
    again = from_body(name, policy.body)
    assert again.digest == policy.digest and reasons(again, rows, tmp_path) == expected


def test_heuristics_are_off_for_the_high_tiers(tmp_path: Path) -> None:
    bad = {**GOOD, "gopher.n_words": 10, "gopher.top_2gram": 0.9}
    rows = [{**bad, "ensemble.tier": tier} for tier in ("high", "medium-high", "medium", "medium-low", "low", None)]
    assert reasons(load(FOLDER / "nemotron.yaml"), rows, tmp_path) == [None, None, "short", "short", "short", "short"]
    assert reasons(load(FOLDER / "nemotron.yaml"), [{**bad, "ensemble.tier": "high", "language.code": "de"}], tmp_path) == ["foreign_language"]


def test_thresholds_count_in_their_own_language(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "extends: fineweb2\nparams:\n  least_score: {by: language.code, de: 0.8, no: 0.4}\n  longest_words: {by: language.code, ja: 2.5, otherwise: 12}\n",
        encoding="utf-8",
    )
    policy = load(tmp_path / "mine.yaml")
    assert policy.params["least_score"] == By("language.code", (("de", 0.8), ("no", 0.4)))
    told = {clause.reason: clause.text for clause in policy.drop}
    assert told["quality_long_words"] == "gopher.mean_word_length > CASE WHEN language.code = 'ja' THEN 2.5 ELSE 12 END"
    rows = [{**GOOD, "language.code": code, "language.score": 0.5, "gopher.mean_word_length": 4.0} for code in ("de", "no", "ja", "en", None)]
    assert reasons(policy, rows, tmp_path) == ["unsure_language", None, "quality_long_words", None, "unsure_language"]
    assert reasons(load(tmp_path / "mine.yaml", settings={"least_score": 0.6}), rows, tmp_path)[1:4] == ["unsure_language"] * 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("params: {least: {de: 3}}", "least: is a number or text, or {by: COLUMN"),
        ("params: {least: {by: language.code}}", "no value of language.code has one"),
        ("params: {least: {by: language.code, 5: 3}}", "5 is no text; put it in quotes"),
        ("params: {least: {by: 'a b', de: 3}}", "least: is a number or text"),
        ("params: {least: {by: language.code, de: 3, fr: few}}", "numbers and texts stand side by side"),
        ("params: {least: {by: language.code, de: [3]}}", "de: [3] is neither"),
        ("extends: fineweb2\nparams: {least_score: {by: language.code, de: high}}", "is text, and the parameter stands for 0.65"),
        ("fit: {least: {of: gopher.n_words, rule: quantile, at: 0.1}}", "no parameter 'least'; give it a value"),
        ("params: {least: 3}\nfit: {least: {of: gopher.n_words, rule: quantil, at: 1}}", "no rule 'quantil'; did you mean 'quantile'?"),
        ("params: {least: 3}\nfit: {least: {of: gopher.n_words, rule: quantile}}", "quantile needs at:"),
        ("params: {least: 3}\nfit: {least: 4}", "takes of: a signal"),
        ("params: {least: 3}\nfit: {least: {of: gopher.n_words, rule: quantile, at: 7}}", "at: 7 is no share"),
        ("params: {least: 3}\nfit: {least: {of: gopher.n_words, rule: share, english: x}}", "english: 'x' is no number"),
        ("params: {least: 3}\nfit: {least: {of: '1; DROP', rule: quantile, at: 0.1}}", "is not shared SQL"),
        ("fit: 5", "fit: is a mapping of parameters to rules"),
        ("params: {least: 3}\nfit: {least: {of: gopher.n_words, rule: share, english: 2, lo: 1}}", "unknown key 'lo'; did you mean 'low'?"),
    ],
)  # fmt: skip
def test_mistakes_are_named(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text + ("\ndrop: {a: gopher.n_words < $least}\n" if "least:" in text and "extends" not in text else "\n"), encoding="utf-8")
    with pytest.raises(PolicyError) as wrong:
        load(path)
        rules(read(path))
    assert words in str(wrong.value) and "bad.yaml:" in str(wrong.value) and "\n" not in str(wrong.value)


PAGES = {  # language: score, dup_line_frac, alpha_words of its documents
    "en": [(0.9, 0.0, 0.9), (0.8, 0.2, 0.7), (1.0, 0.1, 0.95), (0.9, 0.5, 0.85)], "de": [(0.5, 0.1, 0.5), (0.7, 0.1, 0.6), (0.2, 0.3, 0.7), (0.6, None, 0.8)],
    "fr": [(0.99, 0.0, 0.9)] * 4, "xx": [(0.9, 0.0, 0.9)],
}  # fmt: skip


def test_one_query_finds_what_the_paper_describes(tmp_path: Path) -> None:
    """Worked by hand: de's scores have the median .55 and the deviation .187; English .3 is .535 deviations above its mean .2; of four one is under .8."""
    columns = ("language.score", "gopher.dup_line_frac", "gopher.alpha_words")
    rows: list[dict[str, Any]] = [{"language.code": code, **dict(zip(columns, one, strict=True))} for code, told in PAGES.items() for one in told]
    found = [rule for rule in rules(read(FOLDER / "fineweb2.yaml")) if rule.name in ("least_score", "most_dup_lines", "least_letters")]
    db = duckdb.connect()
    db.execute("CREATE SCHEMA audit")
    db.register("given", frame([row | {"domain.x": 1} for row in rows]).to_arrow())
    db.execute('CREATE TABLE audit."corpus" AS SELECT * FROM given')
    answer = db.execute(query(found, "corpus", least=2)).to_arrow_table().to_pylist()
    assert [row["by"] for row in answer] == ["de", "en", "fr"] and {row["documents"] for row in answer} == {4}
    by = {row["by"]: row for row in answer}
    assert by["de"]["least_score"] == pytest.approx(0.363, abs=1e-3) and by["fr"]["least_score"] == 0.9
    assert by["en"]["least_score"] == pytest.approx(0.829, abs=1e-3)
    assert by["en"]["most_dup_lines"] == 0.3 and by["fr"]["most_dup_lines"] == 0.0
    assert by["de"]["most_dup_lines"] == pytest.approx(0.5 / 3 + (0.3 - 0.2) / 0.18708 * 0.09428, abs=1e-3)
    assert by["de"]["least_letters"] == 0.5 and by["en"]["least_letters"] == 0.7
    db.execute("DELETE FROM audit.corpus WHERE language.code = 'en'")
    alone = {row["by"]: row for row in db.execute(query(found, "corpus", least=2, where="language.score > 0.3")).to_arrow_table().to_pylist()}
    assert alone["de"]["documents"] == 3 and (alone["de"]["most_dup_lines"], alone["de"]["least_letters"]) == (0.3, 0.8), "no English: English thresholds"

    params = fitted(found, answer, load(FOLDER / "fineweb2.yaml").params)
    text = written("fineweb2", params, "of a test\nin two lines")
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    assert text.startswith("# of a test\n# in two lines\nextends: fineweb2\n") and yaml.safe_load(text)["params"]["least_score"]["otherwise"] == 0.65
    assert load(tmp_path / "mine.yaml").params["least_letters"] == By("language.code", (("de", 0.5), ("en", 0.7), ("fr", 0.9)), 0.8)
