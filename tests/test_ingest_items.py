"""Evaluation sets as items: columns and templates, task files as lm-eval reads them, and what is refused of other people's templates."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from catalog.errors import InputError, RecipeError
from catalog.parts import inputs
from catalog.recipe import load
from catalog.stage import Refused
from ingest import items, tables
from ingest.evals.harness import task

HOME = Path(__file__).resolve().parent
ROWS: list[dict[str, Any]] = [
    {"question": "How high is the weir?", "answer": "Two metres.", "options": ["one metre", "two metres"], "right": 1, "stem": {"text": "The weir"}},
    {"question": "What turns\nthe wheel?", "answer": "3", "options": ["water", "wind"], "right": 0, "stem": {"text": "The wheel"}},
]
ASKED: list[dict[str, Any]] = [
    {"text": "question", "target": "answer", "choice": None},
    {"text": "Question: {{question}}\nAnswer:", "target": "{{answer}}", "choice": None},
    {"text": "{{question.strip()}}\nA. {{options[0]}}\nB. {{options[1]}}\nAnswer:", "target": "right", "choice": ["A", "B"]},
    {"text": "Q: {{question}}\n", "target": "{{options.index('two metres') if right else 0}}", "choice": "{{options}}"},
    {"text": "{% for one in options %}{{loop.index}} {{one}} {% endfor %}", "target": 0, "choice": "options"},
    {"text": "{{question|upper|replace('\n', ' ')}}", "target": "{{[answer, answer]}}", "choice": None},
    {"text": "{{question|regex_replace('[aeiou]', '_')}}", "target": "{{right}}", "choice": {"no": "No", "yes": "Yes"}},
    {"text": "{{right}}", "target": "answer", "choice": "{{options}}"},
]


def written(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def read(path: str, **knobs: Any) -> list[dict[str, Any]]:
    found = list(items.read(path, **knobs))
    assert not any(isinstance(row, Refused) for row in found), found
    return [{name: row[name] for name in ("text", "answer", "choices")} for row in found if isinstance(row, dict)]


def test_questions_and_answers_by_columns_and_by_templates(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", ROWS)
    assert read(path, answer="answer")[0] == {"text": "How high is the weir?", "answer": "Two metres.", "choices": []}
    assert read(path, question="stem.text", answer="right", choices="options")[1] == {"text": "The wheel", "answer": "water", "choices": ["water", "wind"]}
    assert read(path, question="{{stem.text}}: {{question}}")[0] == {"text": "The weir: How high is the weir?", "answer": None, "choices": []}
    (row, _) = tables.read(path, columns={"text": "question", "answer": "answer", "choices": "options"}, shape="item")
    assert isinstance(row, dict) and (row["text"], row["answer"], row["choices"]) == ("How high is the weir?", "Two metres.", ["one metre", "two metres"])
    with pytest.raises(InputError, match=r"question: the table has no 'quesion'; did you mean 'question'\?"):
        read(path, question="quesion")


def test_templates_say_what_lm_eval_says(tmp_path: Path, oracles: Path) -> None:
    asked, answers, path = tmp_path / "asked.json", tmp_path / "answers.json", written(tmp_path / "a.jsonl", ROWS)
    asked.write_text(json.dumps([{"row": row, **one} for one in ASKED for row in ROWS]), encoding="utf-8")
    subprocess.run([oracles, HOME / "oracle_tasks.py", asked, answers], check=True, capture_output=True)
    theirs = iter(json.loads(answers.read_text(encoding="utf-8")))
    for one in ASKED:
        for ours, told in zip(read(path, question=one["text"], answer=one["target"], choices=one["choice"]), theirs, strict=False):
            choices = told["choices"]
            several = told["answer"] if isinstance(told["answer"], list) else [told["answer"]]
            said = [choices[one] if isinstance(one, int) and choices else str(one) for one in several]
            text = choices[told["text"]] if isinstance(told["text"], int) and choices else str(told["text"])
            assert ours == {"text": text, "answer": "\n".join(said), "choices": choices}, one


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "SecurityError"),
        ("{{ question.__init__.__globals__ }}", "SecurityError"),
        ("{{ cycler.__init__.__globals__.os.system('touch /tmp/x') }}", "SecurityError"),
        ("{% set x = options.append('more') %}{{ x }}", "SecurityError"),
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "timeout"),
        ("{{ 'x' * 4000000000 }}", "memory"),
        ("{{ '%4000000000d' % 1 }}", "memory"),
        ("{{ missing }}", "UndefinedError"),
        ("{% include '/etc/passwd' %}", "TypeError: no loader for this environment specified"),
        ("{{ question|regex_replace('(.?.?.?.?.?.?.?.?.?.?.?.?.?.?)*Z', '') }}{{ ('a' * 40)|regex_replace('(a|aa)+$b', '') }}", "timeout"),
        ("{{ open('/etc/passwd') }}", "UndefinedError"),
        ("{{ question ", "TemplateSyntaxError"),
    ],
)
def test_a_hostile_template_costs_its_rows_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: str, why: str) -> None:
    monkeypatch.setattr(items, "SECONDS", 1.0)
    (row,) = items.read(written(tmp_path / "a.jsonl", ROWS[:1]), question=template)
    assert isinstance(row, Refused) and row.reason == "template_failed" and why in row.error
    assert not Path("/tmp/x").exists()


def test_rows_that_are_none_are_refused_one_by_one(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [ROWS[0], "{broken\n", {**ROWS[0], "question": ""}, {**ROWS[0], "right": 7}, ROWS[1]])
    found = list(items.read(path, answer="right", choices="options"))
    assert [row.reason if isinstance(row, Refused) else row["answer"] for row in found] == ["two metres", "bad_json", "no_text", "template_failed", "water"]


@pytest.mark.parametrize("hostile", ["[" * 3_000 + "]" * 3_000, "-" * 40_000 + "1", "1" + "+1" * 40_000, "['" + "a" * (1 << 20) + "']", "not a list"])
def test_choices_that_are_no_list_cost_their_row_alone(tmp_path: Path, hostile: str) -> None:
    path = written(tmp_path / "a.jsonl", [{**ROWS[0], "options": hostile}, {**ROWS[1], "options": "['water', 'wind']"}])
    for asked in ({"choices": "options"}, {"choices": "{{options}}"}, {"question": "{{question}}", "choices": "options"}):
        bad, good = items.read(path, answer="right", **{"question": "question", **asked})
        assert isinstance(bad, Refused) and bad.reason == "template_failed" and isinstance(good, dict) and good["answer"] == "water"
    (told, _) = items.read(path, answer="{{options}}")
    assert isinstance(told, dict) and told["answer"] == hostile.strip("'"), "an answer that is no list is a text"


TASK = """task: mill
dataset_path: json
dataset_kwargs: {data_files: {train: a.jsonl, test: [b.jsonl]}}
test_split: test
doc_to_text: "Q: {{question}}"
doc_to_target: answer
"""
ANCHORS = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in ("ab", "bc", "cd", "de", "ef"))


def test_a_task_file_says_where_its_items_are_and_how_they_are_asked(tmp_path: Path) -> None:
    for name in "ab":
        written(tmp_path / f"{name}.jsonl", ROWS)
    (tmp_path / "base.yaml").write_text(TASK + "metric_list: [{metric: acc}]\n", encoding="utf-8")
    (tmp_path / "mill.yaml").write_text("include: base.yaml\ndoc_to_choice: [A, B]\ndoc_to_target: right\n", encoding="utf-8")
    found = task(str(tmp_path / "mill.yaml"))
    assert found.files == (str(tmp_path / "b.jsonl"),)
    assert found.knobs == {"question": "Q: {{question}}", "answer": "right", "choices": ["A", "B"]}
    (tmp_path / "r.yaml").write_text("name: r\nseed: 1\nlake: lake\ningest:\n  mill: {items: {paths: [mill.yaml]}, publish_as: bench.mill}\n", encoding="utf-8")
    (part,) = load(tmp_path / "r.yaml").parts
    assert (part.dataset, part.given["shape"], part.given["paths"]) == ("bench.mill", "item", [str(tmp_path / "b.jsonl")])
    assert part.bound[0].knobs == {"question": "Q: {{question}}", "answer": "right", "choices": ["A", "B"]}
    (tmp_path / "r.yaml").write_text("name: r\nseed: 1\nlake: lake\ningest:\n  mill: {items: {paths: [mill.yaml], question: q}}\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"r\.yaml:5: items: a task file says all of itself"):
        load(tmp_path / "r.yaml")


def test_a_task_reads_the_files_that_were_looked_at_and_no_others(tmp_path: Path) -> None:
    """A name that the pattern of a task file finds is no pattern of its own."""
    (tmp_path / "*").mkdir()
    (tmp_path / "far").mkdir()
    for name in ("*", "far"):
        written(tmp_path / name / "b.jsonl", ROWS)
    (tmp_path / "mill.yaml").write_text(TASK.replace("[b.jsonl]", "['[*]/b.jsonl']"), encoding="utf-8")
    (tmp_path / "r.yaml").write_text("name: r\nseed: 1\nlake: lake\ningest:\n  mill: {items: {paths: [mill.yaml]}, publish_as: bench.mill}\n", encoding="utf-8")
    (part,) = load(tmp_path / "r.yaml").parts
    assert inputs(part) == [str(tmp_path / "*" / "b.jsonl")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (TASK.replace("doc_to_target: answer", "doc_to_target: !function utils.target"), "line 6: !function would run code"),
        (TASK + "process_docs: utils.process\n", "process_docs: would run code or fetch"),
        (TASK + "use_prompt: promptsource:x\n", "use_prompt: would run code or fetch"),
        (TASK + "x: !!python/object/apply:os.system [ls]\n", "could not determine a constructor for the tag"),
        (TASK.replace("dataset_path: json", "dataset_path: openai/gsm8k"), "'openai/gsm8k' would be fetched"),
        (TASK.replace("[b.jsonl]", "['https://example.org/b.jsonl']"), "would be fetched"),
        (TASK.replace("[b.jsonl]", "[gone.jsonl]"), "there is no file"),
        (TASK.replace("{train: a.jsonl, test: [b.jsonl]}}", "{train: a.jsonl}}"), "data_files: has no split 'test'"),
        (TASK.replace("data_files: {", "trust_remote_code: true, data_files: {"), "trust_remote_code: is not read here"),
        (TASK.replace('doc_to_text: "Q: {{question}}"', "doc_to_text: 3"), "doc_to_text: says nothing"),
        (TASK + "include: bad.yaml\n", "goes deeper than 5 files"),
        (TASK + "include: /etc/passwd\n", "include: '/etc/passwd' is not in the task file's folder or below"),
        (TASK + "include: ../base.yaml\n", "include: '../base.yaml' is not in the task file's folder or below"),
        (TASK + "include: linked.yaml\n", "include: 'linked.yaml' is not in the task file's folder or below"),
        (TASK + "include: 5\n", "include: 5 is no file's name"),
        (TASK + "include: {a: b}\n", "include: {'a': 'b'} is no file's name"),
        (TASK + "include: [empty.yaml, 5]\n", "include: 5 is no file's name"),
        (TASK + f"include: [{', '.join(['empty.yaml'] * 20)}]\n", "include: names more than 20 files"),
        (TASK.replace("[b.jsonl]", "[/etc/passwd]"), "data_files: '/etc/passwd' is not in the task file's folder or below"),
        (TASK.replace("[b.jsonl]", "['../*']"), "data_files: '../*' is not in the task file's folder or below"),
        (TASK.replace("[b.jsonl]", "['link*']"), "linked.jsonl' is not in the task file's folder or below"),
        (TASK.replace("[b.jsonl]", "['away/b.jsonl']"), "data_files: 'away/b.jsonl' is not in the task file's folder or below"),
        (TASK.replace("[b.jsonl]", "[more.paths]"), "more.paths is a list of files"),
        (TASK.replace("data_files: {", "data_dir: .., data_files: {"), "data_dir: '..' is not in the task file's folder or below"),
        (TASK + ANCHORS, "over 100,000 keys and items"),
        ("[1, 2]\n", "is no task file"),
        ("a: [\n", "is no YAML"),
    ],
)
def test_a_task_file_that_would_run_or_fetch_is_refused(tmp_path: Path, text: str, why: str) -> None:
    written(tmp_path / "a.jsonl", ROWS)
    written(tmp_path / "b.jsonl", ROWS)
    home = tmp_path / "tasks"
    home.mkdir()
    for name in "ab":
        written(home / f"{name}.jsonl", ROWS)
    for name in ("base.yaml", "empty.yaml"):
        (tmp_path / name).write_text("{}\n", encoding="utf-8")
    (home / "empty.yaml").write_text("{}\n", encoding="utf-8")
    for link, to in (("linked.yaml", "base.yaml"), ("linked.jsonl", "b.jsonl"), ("away", "")):
        (home / link).symlink_to(tmp_path / to)
    (home / "more.paths").write_text("../b.jsonl\n", encoding="utf-8")
    (home / "bad.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="bad.yaml") as told:
        task(str(home / "bad.yaml"))
    assert why in str(told.value) and "\n" not in str(told.value)
