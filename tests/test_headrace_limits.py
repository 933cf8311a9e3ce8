"""Thresholds and stop words by language, from the outside: found in a lake of real sentences, written as a policy, applied, explained."""

import gzip
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from demo_run import headrace

from catalog.lake import Lake

pytestmark = pytest.mark.slow

TONGUES = ("en", "de", "fr", "ru", "ja", "zh", "th", "tr")
COMMON = {  # words that any grammar names among the commonest
    "en": {"the", "of", "and"}, "de": {"der", "die", "und"}, "fr": {"de", "la", "et"}, "ru": {"и", "в", "на"}, "ja": {"の", "に", "を"},
    "zh": {"的", "是", "在"}, "th": {"ที่", "และ"}, "tr": {"ve", "bir", "bu"},
}  # fmt: skip
RECIPE = """
name: x
seed: 1
lake: lake
ingest:
  notes: {{tables: {{paths: [notes.jsonl]}}, domain: web}}
curate:
  corpus: {{from: notes, stages: [language.identify, gopher.signals, fineweb.signals, pii.spans{more}]}}
"""


@pytest.fixture(scope="module")
def home(data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of documents of eight sentences each, in eight languages, one in five of them its own copy five times over."""
    home, sentences = tmp_path_factory.mktemp("fit"), defaultdict(list)
    with gzip.open(data("langid/lingua_sentences_a.jsonl.gz"), "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            sentences[row["lang"]].append(row["text"])
    notes = []
    for code in TONGUES:
        for i in range(0, len(sentences[code]) - 7, 8):
            text = "\n".join(sentences[code][i : i + 8])
            notes.append({"uri": f"https://{code}.example/{i}", "text": "\n".join([text] * 5) if i % 40 == 0 else text})
    (home / "notes.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes), encoding="utf-8")
    (home / "policies").mkdir()
    (home / "x.yaml").write_text(RECIPE.format(more=""), encoding="utf-8")
    said = headrace("run", "x.yaml", cwd=home)
    assert said.code == 0, said.err
    return home


@pytest.fixture(scope="module")
def lists(home: Path) -> Path:
    """The file of stop words that was fitted to the lake, which has been scored with it since."""
    said = headrace("policy", "stop-words", "--on", "corpus", "--out", ".", "--least", "20", cwd=home)
    assert said.code == 0, said.err
    (found,) = home.glob("stop_words-*.yaml")
    (home / "x.yaml").write_text(RECIPE.format(more=f", {{stop_words.signals: {{stop_words: {found.name}}}}}"), encoding="utf-8")
    again = headrace("run", "x.yaml", cwd=home)
    assert again.code == 0, again.err
    return found


def test_the_stop_words_of_each_language_are_those_of_its_grammar(lists: Path) -> None:
    found = yaml.safe_load(lists.read_text(encoding="utf-8"))
    assert set(found) == set(TONGUES)
    for code, words in COMMON.items():
        assert words <= set(found[code]), code
        assert 8 <= len(found[code]) <= 24 and not any(word.isdigit() for word in found[code])


def test_prose_has_stop_words_of_its_own_language(home: Path, lists: Path) -> None:
    with Lake.open(home / "lake") as lake:
        rows = lake.query("SELECT language.code AS code, avg((stop_words.different >= 2)::INT) AS share FROM audit.corpus GROUP BY 1").to_pylist()
    assert {row["code"] for row in rows} >= set(TONGUES)
    assert all(row["share"] > 0.9 for row in rows if row["code"] in TONGUES), rows


def test_thresholds_are_fitted_by_one_query_and_make_a_policy(home: Path, lists: Path) -> None:
    said = headrace("policy", "fit", "fineweb2", "--on", "corpus", "--out", "policies/mine.yaml", "--least", "20", cwd=home)
    assert said.code == 0, said.err
    params = yaml.safe_load((home / "policies/mine.yaml").read_text(encoding="utf-8"))["params"]
    with Lake.open(home / "lake") as lake:
        rows = lake.query("SELECT language.code AS code, list(language.score) AS scores, list(gopher.mean_word_length) AS sizes, "
                          "list(fineweb.newline_ratio) AS newlines FROM audit.corpus GROUP BY 1").to_pylist()  # fmt: skip
    for row in (row for row in rows if row["code"] in TONGUES):
        scores = sorted(row["scores"])
        middle, mean = (scores[(len(scores) - 1) // 2] + scores[len(scores) // 2]) / 2, sum(scores) / len(scores)
        spread = (sum((x - mean) ** 2 for x in scores) / len(scores)) ** 0.5
        assert params["least_score"][row["code"]] == pytest.approx(min(0.9, max(0.3, middle - spread)), abs=6e-4)
        assert sum(x > params["most_newlines"][row["code"]] for x in row["newlines"]) == pytest.approx(len(scores) / 10, abs=2), "a tenth is dropped"
        assert params["shortest_words"][row["code"]] == pytest.approx(min(row["sizes"]), abs=6e-4), "no English text has words so short, and so none is dropped"
    assert params["least_score"]["otherwise"] == 0.65 and params["most_dup_lines"]["en"] == 0.3, "English is what it is fitted by"
    assert params["longest_words"]["zh"] < 4 < params["longest_words"]["de"]

    said = headrace("policy", "apply", "mine", "--on", "corpus", cwd=home)
    assert said.code == 0, said.err
    with Lake.open(home / "lake") as lake:
        rows = lake.query('SELECT language.code AS code, uri, kept, reason FROM audit.corpus').to_pylist()
    copied = [row for row in rows if int(row["uri"].rpartition("/")[2]) % 40 == 0]
    assert copied and all(row["reason"] == "repetition_dup_line_frac" for row in copied if row["reason"] != "unsure_language")
    assert {row["code"] for row in rows if row["kept"]} >= set(TONGUES)


def test_why_shows_the_threshold_of_the_documents_own_language(home: Path, lists: Path) -> None:
    (home / "policies/two.yaml").write_text(
        "params: {least: {by: language.code, de: 7, ja: 5}}\ndrop:\n  short: {if: gopher.n_words < $least, cite: ours}\n", encoding="utf-8"
    )
    said = headrace("policy", "apply", "two", "--on", "corpus", cwd=home)
    assert said.code == 0, said.err
    with Lake.open(home / "lake") as lake:
        ids = {row["code"]: row["doc_id"] for row in lake.query("SELECT language.code AS code, min(doc_id) AS doc_id FROM audit.corpus GROUP BY 1").to_pylist()}
    german, russian = (headrace("why", ids[code], cwd=home).out for code in ("de", "ru"))
    assert "(< 7)" in german and "CASE" not in german.split("two")[-1]
    assert "unknown" in russian and "(< 7)" not in russian, "no threshold is given for Russian: the clause does not drop"


def test_the_query_is_shown_and_mistakes_are_named(home: Path) -> None:
    shown = headrace("policy", "fit", "fineweb2", "--on", "corpus", "--sql", cwd=home)
    assert shown.code == 0 and shown.out.startswith("WITH english AS (") and "median(language.score) - stddev_pop(language.score)" in shown.out
    for arguments, words in {
        ("fit", "gopher", "--on", "corpus"): "has no fit:",
        ("fit", "fineweb2", "--on", "corpus", "--least", "9999"): "no language with 9999 documents",
        ("fit", "fineweb2", "--on", "corpus", "--where", "domain ="): "--where: 'domain =': it ends too early",
        ("fit", "fineweb2", "--on", "corpus@v1"): "leave out the version",
        ("stop-words", "--on", "notes"): "no family 'language'",
        ("stop-words", "--on", "corpus", "--least", "9999"): "no language with 9999 documents",
    }.items():
        said = headrace("policy", *arguments, cwd=home)
        assert said.code == 2 and words in said.err, (arguments, said.err)
