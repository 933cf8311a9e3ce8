"""What a user gets wrong, and what headrace says: one line on stderr, its exit code, no traceback, nothing half-written."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from demo_run import HOME, Said, headrace

from catalog.commits import hold

HEAD = "name: x\nseed: 1\nlake: lake\n"
NOTES = [{"text": f"Note {i}: the miller opens the sluice and the water runs down the race to the wheel.", "uri": f"https://mill.example/{i}"} for i in range(12)]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small lake that a real run made, its recipe, its notes, and an empty file."""
    home = tmp_path_factory.mktemp("mistakes")
    (home / "notes.jsonl").write_text("".join(json.dumps(note) + "\n" for note in NOTES), encoding="utf-8")
    (home / "empty.jsonl").write_text("", encoding="utf-8")
    (home / "good.yaml").write_text(recipe(), encoding="utf-8")
    done = headrace("run", "good.yaml", cwd=home)
    assert done.code == 0, done.err
    return home


def recipe(ingest: str = "notes: {tables: {paths: [notes.jsonl]}, domain: web}", rest: str = "curate:\n  corpus: {from: notes, stages: [gopher.signals]}\n") -> str:
    return f"{HEAD}ingest:\n  {ingest}\n{rest}"


def written(home: Path, text: str, name: str = "bad.yaml") -> str:
    (home / name).write_text(text, encoding="utf-8")
    return name


RECIPES = {
    "unknown key": (recipe() + "trian: {}\n", "bad.yaml:8: unknown key 'trian'; did you mean 'train'?"),
    "key twice": (recipe() + "seed: 2\n", "bad.yaml:8: 'seed' stands twice; keep one"),
    "no seed": ("name: x\nlake: lake\ningest:\n  n: {tables: {paths: [a]}}\n", "bad.yaml:1: a recipe needs 'seed'"),
    "not YAML": (HEAD + "ingest: [\n", "bad.yaml:5: not YAML: expected the node content, but found '<stream end>'"),
    "unknown source": (recipe("notes: {tabels: {paths: [a]}}"), "bad.yaml:5: ingest has no source 'tabels'; did you mean 'tables'?"),
    "unknown ingest key": (recipe("notes: {tables: {paths: [a]}, domian: web}"), "bad.yaml:5: ingest.notes: unknown key 'domian'; did you mean 'domain'?"),
    "unknown knob": (recipe(rest="curate:\n  corpus: {from: notes, stages: [{c4.signals: {min_word: 3}}]}\n"), "bad.yaml:7: curate.c4:signals has no knob 'min_word'; did you mean 'min_words'?"),
    "knob of another type": (recipe(rest="curate:\n  corpus: {from: notes, stages: [{c4.signals: {min_words: three}}]}\n"), "bad.yaml:7: min_words: 'three' is not int"),
    "unknown stage": (recipe(rest="curate:\n  corpus: {from: notes, stages: [gofer.signals]}\n"), "bad.yaml:7: curate has no 'gofer.signals'; did you mean 'gopher.signals'?"),
    "unknown dedup": (recipe(rest="curate:\n  corpus: {from: notes, dedup: {minhsah: {}}}\n"), "bad.yaml:7: curate has no 'minhsah.job'; did you mean 'minhash.job'?"),
    "unknown dataset": (recipe(rest="curate:\n  corpus: {from: noets}\n"), "bad.yaml:7: curate.corpus: neither a part nor the lake has 'noets'; did you mean 'notes'?"),
    "unknown version": (recipe(rest="curate:\n  corpus: {from: notes@v9}\n"), "notes has no version 'v9'; it has @v1 to @v1, the head"),
    "unknown policy": (recipe(rest="curate:\n  corpus: {from: notes, policy: strickt}\n"), "bad.yaml:7: no policy 'strickt' in HOME/policies"),
    "a where: that no engine shares": (
        recipe(rest="synth:\n  qa:\n    from: notes\n    write: questions.grounded\n    where: text ~ 'x'\n"), "bad.yaml:10: where: "),
    "a where: that is no predicate": (recipe(rest="curate:\n  corpus: {from: notes, stages: [{gopher.signals: {where: 3}}]}\n"), "bad.yaml:7: where: 3 is not a predicate"),
    "unknown act": (recipe(rest="train:\n  t: {act: prtrain, mix: m, model: tiny}\n"), "bad.yaml:7: trainer has no 'prtrain.act'; did you mean 'pretrain.act'?"),
    "a typo in beta": (recipe(rest="train:\n  t: {act: dpo, from: a, on: {b: 1}, bata: 0.3}\n"), "bad.yaml:7: trainer.dpo:act has no knob 'bata'; did you mean 'beta'?"),
    "a size that is none": (recipe(rest="mix:\n  m: {from: notes, budget: lots, weights: {web: 1}}\n"), "bad.yaml:7: 'lots' is not a size; write 400k, 1.5B or 2GB"),
    "weights and phases": (recipe(rest="mix:\n  m: {from: notes, budget: 1k, weights: {web: 1}, phases: []}\n"), "bad.yaml:7: mix.m needs either weights: or phases:"),
    "missing file": (recipe("notes: {tables: {paths: [none.jsonl]}}"), "ingest.notes: nothing at HOME/none.jsonl; check paths: (the demo's files come with `make demo`)"),
    "empty source": (recipe("blank: {tables: {paths: [empty.jsonl]}}", ""), "ingest.blank: 1 files and not one document in them"),
    "a column that is not there": (recipe("other: {tables: {paths: [notes.jsonl], columns: {text: txet}}}", ""), "'txet'; did you mean 'text'?"),
    "parts that need each other": (
        f"{HEAD}synth:\n  a: {{from: b, write: pairs.likelihood}}\n  b: {{from: a, write: pairs.likelihood}}\n", "bad.yaml:5: synth.a and synth.b need each other"),
    "Spark Connect": (recipe(rest="spark: {master: 'sc://host'}\n", ingest="fresh: {tables: {paths: [notes.jsonl]}, domain: web}"), "Spark Connect"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", RECIPES)
def test_a_mistake_in_a_recipe(small: Path, mistake: str) -> None:
    text, line = RECIPES[mistake]
    name = written(small, text)
    before = published(small)
    said = headrace("run", name, cwd=small)
    told(said, line.replace("HOME", str(small)))
    assert published(small) == before


COMMANDS = {
    "unknown command": (["runn"], "No such command 'runn'. Did you mean 'run'?"),
    "unknown option": (["run", "good.yaml", "--onyl", "x"], "run: no option --onyl; did you mean '--only'?"),
    "no such recipe": (["run", "goood.yaml"], "goood.yaml: no such recipe; did you mean 'good.yaml'?"),
    "unknown part": (["run", "good.yaml", "--only", "curate.corpsu"], "good.yaml: no part 'curate.corpsu'; did you mean 'curate.corpus'?"),
    "unknown part to force": (["run", "good.yaml", "--force", "x.y"], "good.yaml: no part 'x.y'"),
    "setting nowhere": (["run", "good.yaml", "--set", "ingst.notes.domain=x"], "--set ingst.notes.domain=x: no 'ingst' in the recipe; did you mean 'ingest'?"),
    "no lake": (["ls", "--lake", "nowhere"], "nowhere: there is no lake here; a recipe's run makes one, or name another by --lake PATH"),
    "unknown dataset to show": (["show", "copus"], "did you mean 'corpus'?"),
    "unknown version to show": (["show", "corpus@v7"], "corpus has no version 'v7'; it has @v1 to @v1, the head"),
    "unknown reason": (["show", "corpus", "--dropped", "nothing_such"], "corpus: nothing was dropped for 'nothing_such'"),
    "unknown document": (["why", "0" * 32], f"no document '{'0' * 32}'"),
    "unknown model": (["trace", "base"], "no model 'base'"),
    "unknown run": (["logs", "never"], "no run 'never'"),
    "a run that is over": (["cancel", "RUN"], "RUN is not working: it is done"),
    "SQL that writes": (["sql", "CREATE TABLE t AS SELECT 1"], "sql: "),
    "SQL that copies": (["sql", "COPY (SELECT 1) TO '/tmp/headrace-leak.csv'"], "sql: "),
    "SQL of two statements": (["sql", "SELECT 1; SELECT 2"], "sql: "),
    "SQL that reads foreign files": (["sql", "SELECT * FROM read_text('/etc/passwd')"], "sql: "),
    "SQL that is wrong": (["sql", "SELECT kepd FROM data.corpus"], "sql: "),
    "a format that is none": (["sql", "SELECT 1", "--format", "xml"], "--format xml: no such format; there is csv, json, table"),
    "a table from a missing file": (["sql", "SELECT 1", "--with", "t=none.csv"], "--with t=none.csv: there is no such file"),
    "out to an unknown kind": (["sql", "SELECT 1 AS x", "--out", "x.xls"], "--out x.xls: cannot write .xls"),
    "a policy with a regular expression": (["policy", "try", "regex.yaml", "--on", "corpus"], "regex.yaml:2: "),
    "a policy with an unknown signal": (["policy", "try", "signal.yaml", "--on", "corpus"], "signal.yaml:2: odd: 'gopher' has no signal 'n_wrods'; did you mean 'n_words'?"),
    "no such policy": (["policy", "apply", "strict", "--on", "corpus"], "strict: no such policy file"),
    "unknown kind to init": (["init", "curat"], "init: no kind 'curat'; did you mean 'curate'?"),
    "init over a file": (["init", "curate", "--out", "good.yaml"], "good.yaml exists; give another name with --out"),
    "nothing to adopt": (["adopt", "curate.corpus", "--recipe", "other.yaml"], "curate.corpus has made nothing"),
}


@pytest.mark.parametrize("mistake", COMMANDS)
def test_a_mistake_on_the_command_line(small: Path, mistake: str) -> None:
    (small / "regex.yaml").write_text("drop:\n  odd: \"regexp_matches(text, 'x')\"\n", encoding="utf-8")
    (small / "signal.yaml").write_text('drop:\n  odd: "gopher.n_wrods < 5"\n', encoding="utf-8")
    (small / "other.yaml").write_text(recipe().replace("lake: lake", "lake: otherlake"), encoding="utf-8")
    if mistake == "nothing to adopt":
        assert headrace("run", "other.yaml", "--only", "ingest", cwd=small).code == 0
    run = min((small / "lake" / "runs").glob("x-*")).name
    arguments, line = COMMANDS[mistake]
    before = published(small)
    said = headrace(*[run if a == "RUN" else a for a in arguments], cwd=small)
    told(said, line.replace("RUN", run))
    assert published(small) == before
    assert not Path("/tmp/headrace-leak.csv").exists()


def told(said: Said, line: str) -> None:
    """The mistake is said in one line, exit code 2."""
    assert said.code == 2, said
    last = said.err.strip().splitlines()
    assert line in last[-1], said.err
    assert last[-1].startswith("headrace: ")
    assert "Traceback" not in said.err + said.out


def published(home: Path) -> list[str]:
    """What the lake names: it must not change by a mistake."""
    log = home / "lake" / "commits"
    return sorted(p.name for p in log.glob("*.json"))


def test_a_newer_lake_is_refused(small: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "lake"
    shutil.copytree(small / "lake", copy, symlinks=True)
    number = int((copy / "CURRENT").read_text(encoding="ascii"))
    file = copy / f"catalog-{number}.duckdb"
    file.chmod(0o644)
    code = f"import duckdb; db = duckdb.connect({str(file)!r}); db.execute(\"INSERT INTO migration VALUES (999, 'm999_from_the_future')\"); db.close()"
    subprocess.run([sys.executable, "-c", code], check=True)
    told(headrace("ls", "--lake", copy), "was written by a newer headrace")


def test_a_disk_too_small_is_refused_before_anything_starts(small: Path) -> None:
    huge = small / "huge.jsonl"
    with open(huge, "wb") as file:
        file.truncate(12 << 40)  # a sparse file: it takes no room, but says that it is 12 TiB long
    try:
        said = headrace("run", written(small, recipe("fresh: {tables: {paths: [huge.jsonl]}, domain: web}", "")), cwd=small)
    finally:
        huge.unlink()
    told(said, "GB are free; give another --lake, or a --limit")


def test_a_strangers_package_with_a_rooms_name_is_refused(small: Path, tmp_path: Path) -> None:
    (tmp_path / "mixer").mkdir()
    (tmp_path / "mixer" / "__init__.py").write_text("", encoding="utf-8")
    said = headrace("ls", cwd=small, PYTHONPATH=f"{tmp_path}{os.pathsep}{HOME}")
    told(said, "mixer")


def test_a_second_writer_waits_and_says_for_whom(small: Path) -> None:
    with hold(small / "lake", "a long commit", timeout=5):
        said = headrace("run", written(small, recipe("later: {tables: {paths: [notes.jsonl]}, domain: web}", "")), "--lock-timeout", "1", cwd=small)
    told(said, "lock")
    assert re.search(r"process \d+|pid \d+", said.err)


def test_a_dataset_of_another_recipe_is_not_taken_without_asking(small: Path) -> None:
    text = recipe("notes: {tables: {paths: [notes.jsonl]}, domain: other}", "").replace("name: x", "name: y")
    told(headrace("run", written(small, text), cwd=small), "--take")
