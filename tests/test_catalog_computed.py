"""What a recipe's stages, policies and mixtures read is computed by it, or loading it says which stage is missing, with file and line."""

from pathlib import Path

import pytest

from catalog.computed import COLUMNS
from catalog.errors import PolicyError, RecipeError
from catalog.lake import Lake
from catalog.offered import mend, stages
from catalog.recipe import load
from catalog.schema import CHAT, DOCUMENT, JUDGEMENT, PAIR
from headrace.handbook import functions
from headrace.keys import part_keys

HEAD = """\
name: x
seed: 1
lake: lake
ingest:
  notes: {tables: {paths: [notes.jsonl]}, domain: web}
quality:
  q1: {positive: SELECT text FROM data.notes, negative: SELECT text FROM data.notes}
  lm: {texts: SELECT text FROM data.notes}
curate:
  corpus:
    from: notes
    stages:
    - gopher.signals
"""


def written(home: Path, rest: str) -> Path:
    (home / "x.yaml").write_text(f"{HEAD}{rest}", encoding="utf-8")
    (home / "notes.jsonl").write_text("", encoding="utf-8")
    return home / "x.yaml"


WRONG = {
    "    - perplexity.signals: {model: q1}": "14: perplexity.signals: model: q1 is a classifier, and a language model is wanted here: name another",
    "    - quality.score: {model: lm}":
        "14: quality.score: model: lm is a language model, and a classifier, a scorer or an importance model is wanted here: name another",
    "    - ensemble.buckets: {model: lm, of: {a: gopher.n_words}}":
        "14: ensemble.buckets: model: lm is a language model, and a table of quantiles is wanted here: name another",
    "    - fineweb.signals: {after: [nope.cuts]}": "14: fineweb.signals reads 'nope', which no stage before it writes; there is gopher",
    "    - fineweb.signals: {after: [c4.cuts]}\n    - c4.signals":
        "14: fineweb.signals reads 'c4', which no stage before it writes; add the stage c4.signals to the part's stages",
    "    - stop_words.signals":
        "14: stop_words.signals reads 'language', which no stage before it writes; add the stage language.identify to the part's stages",
    "    - c4.signals: {where: gofer.n_words > 1}": "14: c4.signals reads 'gofer', which no stage before it writes; did you mean 'gopher'?",
    "    - quality.score: {model: q1, where: dup.size > 1}":
        "14: quality.score reads 'dup', which no stage before it writes; give the part that makes the dataset dedup:",
    "    policy: nemotron":
        ("14: policy nemotron reads 'language', 'ensemble', 'nemo', which nothing in curate.corpus computes; "
         "add the stages language.identify, ensemble.buckets, nemo.signals to the part's stages"),
}  # fmt: skip


@pytest.mark.parametrize("rest", WRONG)
def test_what_nothing_computes_is_refused_with_its_line(rest: str, tmp_path: Path) -> None:
    file = written(tmp_path, f"{rest}\n")
    with pytest.raises(RecipeError) as wrong:
        load(file)
    assert str(wrong.value) == f"{file}:{WRONG[rest]}"


def test_what_is_there_is_not_refused(tmp_path: Path) -> None:
    """Documents' own columns, what stages before it write, what the part below wrote, copies, and whatever the lake alone knows."""
    rest = """\
    - language.identify
    - stop_words.signals: {where: "source.path LIKE 'x' AND gopher.n_words > 1"}
    - c4.signals
    - fineweb.signals: {after: [c4.cuts]}
    - quality.score: {model: q1}
    - perplexity.signals: {model: lm}
    dedup: {exact: {}}
  again:
    from: corpus
    stages: [{quality.score: {model: q1, family: q2, where: dup.size > 1 AND language.code = 'en'}}]
    policy: mine
  other:
    from: elsewhere
    stages: [stop_words.signals]
    policy: nemotron
"""
    (tmp_path / "policies").mkdir()
    mine = "drop: {a: q2.score < dup.size OR facts.position > 1 AND fineweb.n_lines > 1}\ncut: [c4.cuts]\nkeep: [verdict.kept]\n"
    (tmp_path / "policies" / "mine.yaml").write_text(mine, encoding="utf-8")
    assert len(load(written(tmp_path, rest)).parts) == 6
    (tmp_path / "policies" / "mine.yaml").write_text("cut: [secrets.spans]\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"x.yaml:24: policy mine reads 'secrets', which nothing in curate.again computes; add the stage secrets.spans"):
        load(written(tmp_path, rest))
    (tmp_path / "policies" / "mine.yaml").write_text("drop: {a: gopher.n_words <}\n", encoding="utf-8")
    with pytest.raises(PolicyError, match=r"mine.yaml:1: a: "):
        load(written(tmp_path, rest))


@pytest.mark.parametrize("reads", ["cut: [dup.lines]", "drop: {much: dup.line_share > .5}", "keep: [dup.line_documents]"])
def test_a_job_that_dedup_does_not_name_is_named(reads: str, tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "mine.yaml").write_text(f"{reads}\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"x.yaml:15: policy mine reads 'dup.line\w*', which nothing in curate.corpus computes; add lines: to its dedup:$"):
        load(written(tmp_path, "    dedup: {exact: {}, substring: {}}\n    policy: mine\n"))
    load(written(tmp_path, "    dedup: {exact: {}, lines: {}}\n    policy: mine\n"))


def test_a_model_is_named_as_a_part_of_the_recipe_is(tmp_path: Path) -> None:
    def model(name: str) -> str:
        part = load(written(tmp_path, f"    - quality.score: {{model: {name}}}\n")).part("curate.corpus")
        return f"{part.stages[-1].bound.knobs['model']} needs {part.needs[-1]}"

    assert model("quality.q1") == "quality.q1 needs quality.q1" and model("q1") == "q1 needs quality.q1"
    for path in ("quality.arpa", "quality.Q1", "q.1", "quality.q1.arpa.gz", "./quality.q1"):
        assert model(path) == f"{tmp_path / path} needs ingest.notes"
    with pytest.raises(RecipeError) as wrong:
        model("quality.q11")
    said = "quality.score: model: the recipe has no part 'quality.q11'; a model of the lake goes by its name alone; did you mean 'quality.q1'?"
    assert str(wrong.value) == f"{tmp_path}/x.yaml:14: {said}"
    with pytest.raises(RecipeError, match="model: quality.lm is a language model, and a classifier"):
        model("quality.lm")
    (tmp_path / "quality.q1").write_text("", encoding="utf-8")
    assert model("quality.q1") == f"{tmp_path}/quality.q1 needs ingest.notes"


def test_a_model_of_the_lake_or_at_a_path_is_of_a_kind_that_the_stage_can_use(tmp_path: Path) -> None:
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "model.json").write_text('{"kind": "quantiles", "digest": "00"}', encoding="utf-8")
    with Lake.open(tmp_path / "lake", create=True) as lake:
        lake.record({"model": [{"model": "known", "act": "quality", "kind": "scorer", "digest": "00", "folder": "x"}]}, "run")
        for name, said in (("known", "known is a scorer"), ("./held", f"{tmp_path}/held is a table of quantiles")):
            recipe = load(written(tmp_path, f"    - perplexity.signals: {{model: {name}}}\n"))
            with pytest.raises(RecipeError) as wrong:
                part_keys(recipe, lake)
            assert str(wrong.value) == f"{tmp_path}/x.yaml:14: perplexity.signals: model: {said}, and a language model is wanted here: name another"
        assert part_keys(load(written(tmp_path, "    - quality.score: {model: known}\n")), lake)


def test_each_stage_of_the_handbook_is_offered_for_its_family() -> None:
    there = {name: target.family for name, target, _ in functions("Stages", "curate")}
    assert {name: family for family, names in stages().items() for name in names} == there
    assert mend("wordlist", ()) == "; add the stage wordlist.listed or wordlist.native to the part's stages"
    assert mend("gofer", ["gopher"]) == "; did you mean 'gopher'?"


def test_every_column_of_a_row_is_known_to_be_one() -> None:
    assert {name for shape in (DOCUMENT, CHAT, PAIR, JUDGEMENT) for name in shape.names} <= COLUMNS
