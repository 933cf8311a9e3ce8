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

pytestmark = pytest.mark.slow

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
    "unknown dedup": (recipe(rest="curate:\n  corpus: {from: notes, dedup: {minhsah: {}}}\n"), "bad.yaml:7: dedup: has no 'minhsah'; did you mean 'minhash'?"),
    "unknown dataset": (recipe(rest="curate:\n  corpus: {from: noets}\n"), "bad.yaml:7: curate.corpus: neither a part nor the lake has 'noets'; did you mean 'notes'?"),
    "unknown version": (recipe(rest="curate:\n  corpus: {from: notes@v9}\n"), "notes has no version 'v9'; it has @v1 to @v1, the head"),
    "unknown policy": (recipe(rest="curate:\n  corpus: {from: notes, policy: strickt}\n"), "bad.yaml:7: no policy 'strickt' in HOME/policies or among headrace's own; there is addresses, books, broad, ..."),
    "a where: that no engine shares": (
        recipe(rest="synth:\n  qa:\n    from: notes\n    write: questions.grounded\n    where: text ~ 'x'\n"), "bad.yaml:10: where: \"text ~ 'x'\": '~' is not shared SQL"),
    "a where: that is no predicate": (recipe(rest="curate:\n  corpus: {from: notes, stages: [{gopher.signals: {where: 3}}]}\n"), "bad.yaml:7: where: 3 is not a predicate; write it as in a policy, such as domain = 'web'"),
    "a list where knobs belong": (recipe(rest="curate:\n  corpus: {from: notes, dedup: [minhash]}\n"), "bad.yaml:7: dedup: ['minhash'] is not a mapping"),
    "a number where a name belongs": (recipe(rest="curate:\n  corpus: {from: notes, policy: 5}\n"), "bad.yaml:7: policy: 5 is not a name or a list of names"),
    "no phase": (recipe(rest="mix:\n  m: {from: notes, budget: 1k, phases: []}\n"), "bad.yaml:7: phases: a curriculum has at least one, with weights: {name: share}"),
    "no context": (recipe(rest="mix:\n  m: {from: notes, budget: 1k, context: 0, weights: {web: 1}}\n"), "bad.yaml:7: context: 0 is not 2 or more"),
    "an evaluation set that nobody has": (
        recipe(rest="curate:\n  corpus: {from: notes, stages: [{contamination.spans: {against: [bench.gsm8k]}}]}\n"),
        ("bad.yaml:7: curate.corpus: no evaluation set 'bench.gsm8k' in the recipe or the lake; there is corpus, notes; bring one in: "
         "ingest: {gsm8k: {items: {paths: [FILE]}, publish_as: bench.gsm8k}}")),
    "a reason without a bound": (
        recipe(rest="mix:\n  m: {from: notes, budget: 1k, weights: {web: 1}, contaminated_because: ours}\n"),
        "bad.yaml:7: contaminated_because: overrides max_contamination:, which is not given"),
    "a share that is no number": (recipe(rest="mix:\n  m: {from: notes, budget: 1k, weights: {web: .nan}}\n"), "bad.yaml:7: nan is not between 0 and 100%"),
    "a rate below zero": (recipe(rest="train:\n  t: {act: pretrain, mix: m, model: tiny, lr: -1}\n"), "bad.yaml:7: train.t: lr: -1; it is a number above 0"),
    "a beta that is no number": (recipe(rest="train:\n  t: {act: dpo, from: a, on: {b: 1}, beta: .nan}\n"), "bad.yaml:7: beta: nan is not a finite number"),
    "a name that leaves the lake": (recipe().replace("name: x", "name: ../x"), "bad.yaml:1: name: '../x': use letters, digits, _ and -; runs have folders of this name"),
    "a dataset that leaves the lake": (
        recipe("notes: {tables: {paths: [notes.jsonl]}, publish_as: ../x}"),
        "bad.yaml:5: '../x' is not a dataset's name; use lower-case letters, digits, _ and -, with dots between parts"),
    "one dataset of two parts": (
        recipe("notes: {tables: {paths: [notes.jsonl]}}\n  more: {tables: {paths: [notes.jsonl]}, publish_as: notes}"),
        "bad.yaml:6: ingest.notes and ingest.more both publish 'notes'; give one publish_as: another name"),
    "the name of a part's band tables": (
        recipe(rest="curate:\n  corpus: {from: notes, dedup: {minhash: {}}}\n  other: {from: notes, publish_as: corpus.bands}\n"),
        "bad.yaml:8: curate.corpus and curate.other both publish 'corpus.bands'; give one publish_as: another name"),
    "a recipe without end": (HEAD + "ingest: &a [*a]\n", "bad.yaml:1: nested deeper than can be read; is it a recipe?"),
    "anchors upon anchors": (
        HEAD + "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcde", "bcdef", strict=True)),
        "bad.yaml:4: over 100,000 keys and items; write fewer, or fewer anchors"),
    "unknown act": (recipe(rest="train:\n  t: {act: prtrain, mix: m, model: tiny}\n"), "bad.yaml:7: trainer has no 'prtrain.act'; did you mean 'pretrain.act'?"),
    "a typo in beta": (recipe(rest="train:\n  t: {act: dpo, from: a, on: {b: 1}, bata: 0.3}\n"), "bad.yaml:7: trainer.dpo:act has no knob 'bata'; did you mean 'beta'?"),
    "a size that is none": (recipe(rest="mix:\n  m: {from: notes, budget: lots, weights: {web: 1}}\n"), "bad.yaml:7: 'lots' is not a size; write 400k, 1.5B or 2GB"),
    "weights and phases": (recipe(rest="mix:\n  m: {from: notes, budget: 1k, weights: {web: 1}, phases: []}\n"), "bad.yaml:7: mix.m needs either weights: or phases:"),
    "missing file": (recipe("notes: {tables: {paths: [none.jsonl]}}"), "ingest.notes: nothing at HOME/none.jsonl; check paths: (the demo's files come with `make demo`)"),
    "empty source": (recipe("blank: {tables: {paths: [empty.jsonl]}}", ""), "ingest.blank: 1 files and not one document in them; check that tables is their kind"),
    "a column that is not there": (recipe("other: {tables: {paths: [notes.jsonl], columns: {text: txet}}}", ""), "HOME/notes.jsonl: columns: text: the table has no 'txet'; did you mean 'text'?"),
    "parts that need each other": (
        f"{HEAD}synth:\n  a: {{from: b, write: pairs.likelihood}}\n  b: {{from: a, write: pairs.likelihood}}\n", "bad.yaml:5: synth.a and synth.b need each other"),
    "a knob that no stage can work with, before Spark starts": (
        recipe(rest="spark: {master: 'sc://host'}\ncurate:\n  corpus: {from: notes, stages: [{refinedweb.signals: {min_words: 1000000000000000000000}}]}\n"),
        ("refinedweb.signals fails whatever it is given, with most_upper: 0.5, min_words: 1000000000000000000000, cut_domains: ['web']: ...")),
    "Spark Connect": (
        recipe(rest="spark: {master: 'sc://host'}\n", ingest="fresh: {tables: {paths: [notes.jsonl]}, domain: web}"),
        "sc://host: Spark Connect has no RDDs, which tasks need; give a classic master: local[*], spark://HOST:7077, yarn or k8s://URL"),
}  # fmt: skip

SAID_BEFORE = {"Spark Connect": "ingest.fresh: starting Spark on sc://host\n", "a knob that no stage can work with, before Spark starts": "ingest.notes: done before\n"}


@pytest.mark.parametrize("mistake", RECIPES)
def test_a_mistake_in_a_recipe(small: Path, mistake: str) -> None:
    text, line = RECIPES[mistake]
    name = written(small, text)
    before = published(small)
    said = headrace("run", name, cwd=small)
    told(said, line.replace("HOME", str(small)), SAID_BEFORE.get(mistake, ""))
    assert published(small) == before


COMMANDS = {
    "unknown command": (["runn"], "No such command 'runn'. Did you mean 'run'? (headrace --help says more)"),
    "unknown option": (["run", "good.yaml", "--onyl", "x"], "run: no option --onyl; did you mean '--only'? (headrace run --help says more)"),
    "no such recipe": (["run", "goood.yaml"], "goood.yaml: no such recipe; did you mean 'good.yaml'?"),
    "unknown part": (["run", "good.yaml", "--only", "curate.corpsu"], "good.yaml: no part 'curate.corpsu'; did you mean 'curate.corpus'?"),
    "unknown part to force": (["run", "good.yaml", "--force", "x.y"], "good.yaml: no part 'x.y'; there is curate.corpus, ingest.notes"),
    "setting nowhere": (["run", "good.yaml", "--set", "ingst.notes.domain=x"], "--set ingst.notes.domain=x: no 'ingst' in the recipe; did you mean 'ingest'?"),
    "no lake": (["ls", "--lake", "nowhere"], "HOME/nowhere: there is no lake here; a recipe's run makes one, or name another by --lake PATH"),
    "unknown dataset to show": (["show", "copus"], "the lake has no dataset 'copus'; did you mean 'corpus'?"),
    "unknown version to show": (["show", "corpus@v7"], "corpus has no version 'v7'; it has @v1 to @v1, the head"),
    "unknown reason": (["show", "corpus", "--dropped", "nothing_such"], "corpus: nothing was dropped for 'nothing_such'"),
    "unknown document": (["why", "0" * 32],
        (f"HOME/lake: no document '{'0' * 32}'; give a doc_id (32 hex digits), a URI as `headrace show` prints it, or a file whose records were refused "
        '(`headrace sql "FROM quarantine"` lists them)')),
    "unknown model": (["trace", "base"], "HOME/lake: no model 'base'"),
    "unknown run": (["logs", "never"], "HOME/lake: no run 'never'; there is ..."),
    "a run that is over": (["cancel", "RUN"], "RUN is not working: it is done"),
    "SQL that writes": (["sql", "CREATE TABLE t AS SELECT 1"], "sql: only one SELECT, or EXPLAIN and one SELECT, runs here, not CREATE"),
    "SQL that copies": (["sql", "COPY (SELECT 1) TO '/tmp/headrace-leak.csv'"], "sql: only one SELECT, or EXPLAIN and one SELECT, runs here, not COPY"),
    "SQL of two statements": (["sql", "SELECT 1; SELECT 2"], "sql: give one statement, not 2: a SELECT, or EXPLAIN and a SELECT"),
    "SQL that reads foreign files": (["sql", "SELECT * FROM read_text('/etc/passwd')"], "sql: Permission Error: Cannot access file \"/etc/passwd\" - file system operations are disabled by configuration"),
    "SQL that is wrong": (["sql", "SELECT kepd FROM data.corpus"], "sql: Binder Error: Referenced column \"kepd\" not found in FROM clause! Candidate bindings: ..."),
    "a format that is none": (["sql", "SELECT 1", "--format", "xml"], "--format xml: no such format; there is csv, json, table"),
    "a table from a missing file": (["sql", "SELECT 1", "--with", "t=none.csv"], "--with t=none.csv: there is no such file"),
    "out to an unknown kind": (["sql", "SELECT 1 AS x", "--out", "x.xls"], "--out x.xls: cannot write .xls; name a .parquet or .csv file"),
    "a policy with a regular expression": (["policy", "try", "regex.yaml", "--on", "corpus"], "regex.yaml:2: odd: \"regexp_matches(text, 'x')\": no function 'regexp_matches' that all engines share; there is abs, coalesce, greatest, length, lower, round; patterns take LIKE"),
    "a policy with an unknown signal": (["policy", "try", "signal.yaml", "--on", "corpus"], "signal.yaml:2: odd: 'gopher' has no signal 'n_wrods'; did you mean 'n_words'?"),
    "no such policy": (["policy", "apply", "strict", "--on", "corpus"], "strict: no such policy file; there is addresses, books, broad, broad-datatrove, c4, code-starcoder, copies, datatrove, dclm, demo, english, fineweb ..."),
    "unknown kind to init": (["init", "curat"], "init: no kind 'curat'; did you mean 'curate'?"),
    "init over a file": (["init", "curate", "--out", "good.yaml"], "good.yaml exists; give another name with --out"),
    "a model's name that is a path": (["train-quality", "../spam", "--texts", "SELECT text FROM data.corpus"],
        "train-quality: '../spam' is not a model's name; use lower-case letters, digits and _, at most 100"),
    "a model of what has no versions": (["train-quality", "spam", "--texts", "SELECT text FROM corpus"],
        "train-quality: texts: it reads corpus, which has no versions to pin: name datasets as data.NAME, audit., sample. or stats., or label; write data.corpus"),
    "positives alone": (["train-quality", "spam", "--positive", "SELECT text FROM data.corpus"],
        "train-quality: --positive needs --negative SELECT beside it (headrace train-quality --help says more)"),
    "negatives alone": (["train-quality", "spam", "--negative", "SELECT text FROM data.corpus"],
        "train-quality: --negative needs --positive SELECT beside it (headrace train-quality --help says more)"),
    "two kinds of model at once": (["train-quality", "spam", "--scores", "SELECT 1", "--raw", "SELECT 1"],
        "train-quality: give one of --positive and --negative; --scores; --target and --raw; --texts; --values; --embed, each with a SELECT"),
    "nothing to adopt": (["adopt", "curate.corpus", "--recipe", "other.yaml"], "curate.corpus has made nothing in HOME/otherlake yet; run it"),
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
    told(said, line.replace("RUN", run).replace("HOME", str(small)))
    assert published(small) == before
    assert not Path("/tmp/headrace-leak.csv").exists()


def told(said: Said, line: str, before: str = "") -> None:
    """The mistake is said in one line, exit code 2, and nothing else is said but `before`, and on a busy machine that a part is at work.

    `...` stands for what changes.
    """
    assert said.code == 2, said
    err = re.sub(r"^  \S+: at work, \d+ s without a word\n", "", said.err, flags=re.MULTILINE)
    expected = re.escape(f"{before}headrace: {line}").replace(re.escape("..."), ".*")
    assert re.fullmatch(expected, err.strip()), said.err
    assert "Traceback" not in said.out


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
    told(headrace("ls", "--lake", copy), f"{copy}: was written by a newer headrace (catalogue level 999, this one reads 1); update headrace to open it")


def test_a_disk_too_small_is_refused_before_anything_starts(small: Path) -> None:
    huge = small / "huge.jsonl"
    with open(huge, "wb") as file:
        file.truncate(12 << 40)  # a sparse file: it takes no room, but says that it is 12 TiB long
    try:
        said = headrace("run", written(small, recipe("fresh: {tables: {paths: [huge.jsonl]}, domain: web}", "")), cwd=small)
    finally:
        huge.unlink()
    told(said, f"{small}/lake: ... GB are free; give another --lake, or a --limit")


def test_a_strangers_package_with_a_rooms_name_is_refused(small: Path, tmp_path: Path) -> None:
    (tmp_path / "mixer").mkdir()
    (tmp_path / "mixer" / "__init__.py").write_text("", encoding="utf-8")
    said = headrace("ls", cwd=small, PYTHONPATH=f"{tmp_path}{os.pathsep}{HOME}")
    told(said, f"'mixer' is imported from {tmp_path}/mixer, not from {HOME}/mixer: start elsewhere, rename it, or take it off PYTHONPATH")


def test_a_second_writer_waits_and_says_for_whom(small: Path) -> None:
    with hold(small / "lake", "a long commit", timeout=5):
        said = headrace("run", written(small, recipe("later: {tables: {paths: [notes.jsonl]}, domain: web}", "")), "--lock-timeout", "1", cwd=small)
    told(
        said, f"{small}/lake: ..., process {os.getpid()}, a long commit, since ... UTC holds the lock and did not let go within 1 s; "
        "wait for it, or raise --lock-timeout"
    )  # fmt: skip


def test_a_dataset_of_another_recipe_is_not_taken_without_asking(small: Path) -> None:
    text = recipe("notes: {tables: {paths: [notes.jsonl]}, domain: other}", "").replace("name: x", "name: y")
    told(headrace("run", written(small, text), cwd=small), "notes belongs to the recipe 'x'; publish under another name (publish_as:), or take it over (--take)")
