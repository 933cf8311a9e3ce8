"""Quality models from the outside: fitted from SQL in a recipe or by a command, applied as stages, ranked, weighed, asked about."""

import json
import random
import re
import shutil
from pathlib import Path

import polars as pl
import pytest
from demo_run import headrace

from catalog.errors import RecipeError
from catalog.lake import Lake
from curate import composite, ensemble, quality
from curate.models.quantiles import load as quantiles
from headrace import curating

pytestmark = pytest.mark.slow

PROSE = "the miller opened his gate before dawn and the water ran down to turn a wheel that ground corn for all of the valley"
LISTS = "buy cheap click here offer login share price cart free shipping menu home contact subscribe cookies sale deal best top"
RECIPE = """
name: x
seed: 1
lake: lake
ingest:
  notes: {tables: {paths: [NOTES], columns: {text: text, uri: uri, license: license}}, domain: web}
curate:
  known: {from: notes, stages: [statistics.signals, gopher.signals, dclm.signals, refinedweb.signals, nemo.signals, juicer.signals]}
  corpus:
    from: known
    stages:
      - quality.score: {model: useful}
      - quality.score: {model: grade, family: quality_grade}
      - quality.score: {model: nearer, family: dsir}
      - perplexity.signals: {model: quality.fluent}
  ranked:
    from: corpus
    stages:
      - ensemble.buckets: {model: ranks, of: {useful: quality.score, grade: quality_grade.score}}
      - composite.score:
          model: ranks
          of: {perplexity: perplexity.perplexity, diversity: statistics.mtld, useful: quality.score}
          weights: {perplexity: -1, diversity: 1, useful: 2}
quality:
  useful:
    positive: SELECT doc_id, license, text FROM data.known WHERE uri LIKE '%/prose/%'
    negative: SELECT doc_id, license, text FROM data.known WHERE uri LIKE '%/list/%'
    buckets: 4096
  grade: {scores: "SELECT text, length(text) % 6 + CASE WHEN uri LIKE '%/prose/%' THEN 3 ELSE 0 END AS score FROM data.known", buckets: 4096}
  nearer: {target: "SELECT text FROM data.known WHERE uri LIKE '%/prose/%'", raw: "SELECT text FROM data.known"}
  fluent: {texts: "SELECT text FROM data.known WHERE uri LIKE '%/prose/%'", order: 2}
  ranks:
    values: >
      SELECT quality.score AS useful, quality_grade.score AS grade, perplexity.perplexity AS perplexity, statistics.mtld AS diversity
      FROM audit.corpus
"""


def texts(kind: str, words: str, count: int) -> list[dict[str, str]]:
    chance = random.Random(kind)
    return [
        {"uri": f"https://mill.example/{kind}/{i}", "text": " ".join(chance.choices(words.split(), k=chance.randint(20, 60))) + ".", "license": "CC0-1.0"}
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake where two kinds of text were told apart by models of four kinds."""
    folder = tmp_path_factory.mktemp("quality")
    rows = [*texts("prose", PROSE, 150), *texts("list", LISTS, 150), *texts("mixed", f"{PROSE} {LISTS}", 60)]
    (folder / "notes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "x.yaml").write_text(RECIPE.replace("NOTES", str(folder / "notes.jsonl")), encoding="utf-8")
    said = headrace("run", "x.yaml", cwd=folder)
    assert said.code == 0, said.err
    assert "held-out AUC 1.000" in said.err and "held-out rank correlation" in said.err
    return folder


@pytest.fixture
def copy(home: Path, tmp_path: Path) -> Path:
    shutil.copytree(home, tmp_path / "home", symlinks=True)
    with Lake.open(tmp_path / "home" / "lake") as lake:
        lake.moved()
    return tmp_path / "home"


def asked(home: Path, sql: str) -> list[dict[str, object]]:
    with Lake.open(home / "lake") as lake:
        return lake.query(sql).to_pylist()


def test_a_classifier_tells_its_positives_from_its_negatives(home: Path) -> None:
    low, high = (f"SELECT {side}(quality.score) AS s FROM data.corpus WHERE uri LIKE '%/{kind}/%'" for side, kind in (("min", "prose"), ("max", "list")))
    assert asked(home, low)[0]["s"] > .8 > .2 > asked(home, high)[0]["s"]                                     # type: ignore[operator]


def test_scorer_weight_and_language_model_say_so_too(home: Path) -> None:
    means = "avg(quality_grade.score) AS grade, avg(dsir.margin) AS weight, avg(perplexity.perplexity) AS perplexity"
    sql = f"SELECT {means} FROM data.corpus WHERE uri LIKE '%/{{}}/%'"
    prose, lists = asked(home, sql.format("prose"))[0], asked(home, sql.format("list"))[0]
    assert prose["grade"] > lists["grade"] + 2 and prose["weight"] > lists["weight"]                          # type: ignore[operator]
    assert prose["perplexity"] * 3 < lists["perplexity"]                                                      # type: ignore[operator]


def test_a_text_without_words_has_no_score(home: Path) -> None:
    folders = {row["model"]: str(home / "lake" / str(row["folder"])) for row in asked(home, "SELECT model, folder FROM model")}
    batch = pl.DataFrame({"text": ["", "the water", "\u200b \n"]})
    for name in ("useful", "grade", "nearer"):
        assert quality.score(batch, model=folders[name])["score"].is_null().to_list() == [True, False, True]
    scores = batch.select(quality=pl.struct(score=pl.Series([None, .9, .1], dtype=pl.Float64)))
    found = ensemble.buckets(scores, model=folders["ranks"], of={"useful": "quality.score"})
    assert found["bucket"].is_null().to_list() == [True, False, False] == found["tier"].is_null().to_list()
    mean = composite.score(scores, model=folders["ranks"], of={"useful": "quality.score"}, weights={"useful": 1})
    assert mean["score"].is_null().to_list() == [True, False, False]


def test_buckets_part_the_corpus_and_the_best_counts(home: Path) -> None:
    rows = asked(home, "SELECT ensemble.bucket AS bucket, ensemble.tier AS tier, ensemble.buckets AS each FROM data.ranked WHERE ensemble.bucket IS NOT NULL")
    assert all(row["bucket"] == max(row["each"]) for row in rows)                                             # type: ignore[call-overload]
    assert {row["tier"] for row in rows if row["bucket"] == 19} == {"high"} and {row["tier"] for row in rows if row["bucket"] < 7} == {"low"}  # type: ignore[operator]
    top = [sum(row["each"][k] == 19 for row in rows) for k in range(2)]                                       # type: ignore[index]
    assert all(10 <= count <= 40 for count in top)                                                            # a twentieth of 360, ties above the edge


def test_the_composite_is_the_weighted_mean_of_the_ranks(home: Path) -> None:
    rows = asked(home, "SELECT composite.score AS score, composite.ranks AS ranks FROM data.ranked WHERE composite.score IS NOT NULL")
    assert len(rows) == 360
    for row in rows:
        perplexity, diversity, useful = row["ranks"]                                                          # type: ignore[misc]
        assert row["score"] == pytest.approx((1 - perplexity + diversity + 2 * useful) / 4)


def test_models_stand_in_the_catalogue_with_metrics_and_lineage(home: Path) -> None:
    rows = {row["model"]: row for row in asked(home, "SELECT model, kind, digest, trained_on, metrics, queries FROM model")}
    assert {name: row["kind"] for name, row in rows.items()} == {
        "useful": "classifier", "grade": "scorer", "nearer": "importance", "fluent": "language_model", "ranks": "quantiles",
    }  # fmt: skip
    assert rows["useful"]["trained_on"] == "known@v1" and "LIKE '%/prose/%'" in json.loads(str(rows["useful"]["queries"]))["positive"]
    assert asked(home, "SELECT value, low, high FROM eval_result WHERE model = 'useful' AND task = 'auc'")[0]["value"] > .99  # type: ignore[operator]
    said = headrace("trace", "useful", "--json", "--lake", home / "lake")
    assert {(row["dataset"], row["license"], row["documents"]) for row in json.loads(said.out)} == {("positive", "CC0-1.0", 150), ("negative", "CC0-1.0", 150)}
    assert "useful" in headrace("ls", "--lake", home / "lake").out


def test_why_names_the_models_that_a_document_taught(home: Path) -> None:
    said = headrace("why", "https://mill.example/prose/0", "--lake", home / "lake")
    assert "model useful saw" in said.out and "quality: score" in said.out


def test_a_done_recipe_is_done_and_a_changed_query_fits_and_scores_that_model_alone(copy: Path) -> None:
    again = headrace("run", "x.yaml", cwd=copy)
    assert again.code == 0 and "nothing to do" in again.err
    before = {path.name for path in (copy / "lake" / "annotations").rglob("*.parquet")}
    text = (copy / "x.yaml").read_text(encoding="utf-8")
    (copy / "x.yaml").write_text(text.replace("order: 2", "order: 3"), encoding="utf-8")
    said = headrace("run", "x.yaml", "--only", "quality.fluent,curate.corpus", cwd=copy)
    assert said.code == 0 and "quality.useful" not in said.err
    new = {path.name for path in (copy / "lake" / "annotations").rglob("*.parquet")} - before
    assert {name.split(".")[1].partition("-")[0] for name in new if not name.split(".")[1].startswith("verdict")} == {"perplexity"}


def test_a_model_is_trained_from_the_command_line_and_named_by_a_recipe_of_another(copy: Path) -> None:
    lake = copy / "lake"
    yes, no = (f"SELECT text FROM data.known WHERE uri LIKE '%/{kind}/%'" for kind in ("list", "prose"))
    said = headrace("train-quality", "spam", "--positive", yes, "--negative", no, "--set", "buckets=1024", "--lake", lake)
    assert said.code == 0 and "held-out AUC" in said.err
    assert "nothing to do" in headrace("train-quality", "spam", "--positive", yes, "--negative", no, "--set", "buckets=1024", "--lake", lake).err
    other = "name: y\nseed: 1\nlake: lake\ncurate:\n  scored: {from: notes, stages: [{quality.score: {model: spam}}]}\n"
    (copy / "y.yaml").write_text(other, encoding="utf-8")
    assert headrace("run", "y.yaml", cwd=copy).code == 0
    assert asked(copy, "SELECT avg(quality.score) AS s FROM data.scored WHERE uri LIKE '%/list/%'")[0]["s"] > .8  # type: ignore[operator]


def test_a_language_model_as_an_arpa_file_says_what_it_says_in_the_lake(copy: Path) -> None:
    said = headrace("export", "fluent", "--to", "arpa", "--out", "fluent.arpa.gz", cwd=copy)
    assert said.code == 0 and "n-grams in fluent.arpa.gz" in said.out, said.err
    other = "name: y\nseed: 1\nlake: lake\ncurate:\n  told: {from: notes, stages: [{perplexity.signals: {model: ./fluent.arpa.gz}}]}\n"
    (copy / "y.yaml").write_text(other, encoding="utf-8")
    assert headrace("run", "y.yaml", cwd=copy).code == 0
    sql = "SELECT count(*) AS n FROM data.told AS t JOIN data.corpus AS c USING (doc_id) WHERE t.perplexity.perplexity = c.perplexity.perplexity"
    assert asked(copy, sql) == [{"n": 360}]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("positive:", "positiv:", "quality.useful needs one of positive: and negative:"),
        ("buckets: 4096\n", "bucket: 4096\n", "has no knob 'bucket'"),
        ("{model: useful}", "{model: usefull}", "there is no model 'usefull'"),
        ("SELECT doc_id, license, text FROM data.known WHERE uri LIKE '%/list/%'", "DELETE FROM data.known", "is no SELECT"),
        ("useful: quality.score, grade: q", "useful: quality.scor, grade: q", "quality.scor: the family quality has no column 'scor'"),
        ("{useful: quality.score, grade: quality_grade.score}", "{usefull: quality.score}", "the quantiles have no column 'usefull'"),
        ("SELECT text FROM data.known WHERE uri LIKE '%/prose/%'\", raw", "SELECT title FROM data.known\", raw", "it must have a column text"),
        ("SELECT doc_id, license, text FROM data.known WHERE uri LIKE '%/list/%'", "SELECT text FROM data.known WHERE uri = 'x'", "answers no text"),
        ("SELECT doc_id, license, text FROM data.known WHERE uri LIKE '%/list/%'", "SELECT txet FROM data.known", "txet"),
    ],
)
def test_a_mistake_is_one_line(copy: Path, old: str, new: str, line: str) -> None:
    text = (copy / "x.yaml").read_text(encoding="utf-8")
    assert old in text
    (copy / "x.yaml").write_text(text.replace(old, new), encoding="utf-8")
    said = headrace("run", "x.yaml", cwd=copy)
    last = said.err.strip().splitlines()[-1]
    assert said.code == 2 and line in last and "Traceback" not in said.err, said.err


def test_quantiles_rank_by_the_share_below(home: Path) -> None:
    folder = asked(home, "SELECT folder FROM model WHERE model = 'ranks'")[0]["folder"]
    known = quantiles(home / "lake" / str(folder))
    scores = pl.Series([row["s"] for row in asked(home, "SELECT quality.score AS s FROM audit.corpus WHERE quality.score IS NOT NULL")]).sort()
    ranks = known.rank("useful", scores.to_numpy())
    true = (scores.rank("average") - .5) / len(scores)
    assert abs(ranks - true.to_numpy()).max() < 4 / len(scores)


def test_scores_are_weighed_and_ranked_by_numbers_alone() -> None:
    page = pl.DataFrame({"text": ["a"], "language": [{"code": "en", "score": .9}]})
    assert ensemble.numbers(page, "language.score").tolist() == [.9]
    for column, says in {"language.code": "language.code holds String, no numbers", "language.core": "no column 'core'; did you mean 'score'?",
                         "text": "text: no column of a family", "language": "language: no column of a family"}.items():  # fmt: skip
        with pytest.raises(RecipeError, match=re.escape(says)):
            ensemble.numbers(page, column)
    with pytest.raises(RecipeError, match="weights: {'n': 'high'}; give numbers"):
        composite.score(page, model="unread", of={"n": "language.score"}, weights={"n": "high"})  # type: ignore[dict-item]


def test_what_stages_could_not_do_is_told_with_what_was_kept() -> None:
    failed = [{"reason": "touchy failed"}] * 3 + [{"reason": "slow failed"}]
    told = '; touchy failed on 3 documents, slow failed on 1 documents, which have no such signals (headrace sql "FROM quarantine")'
    assert curating.failures(failed) == told
    assert curating.failures([]) == ""
