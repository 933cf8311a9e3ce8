"""A lake looked into: documents as their policy masks and cuts them, answers in every form, what a run suggests to try."""

import fcntl
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pytest
from demo_run import Said, headrace

from catalog import spans
from catalog.errors import InputError, QueryError
from catalog.lake import Lake
from headrace import exporting
from headrace.answers import named_apart, print_rows
from headrace.look import export_documents
from headrace.masked import batches

pytestmark = pytest.mark.slow                                # a process a question

RECIPE = """
name: x
seed: 1
lake: lake
ingest:
  notes: {tables: {paths: [notes.jsonl]}, domain: web}
  chats: {tables: {paths: [chats.jsonl], as: chat}}
curate:
  corpus: {from: notes, stages: [gopher.signals, c4.signals, pii.spans], policy: first}
"""
POLICY = 'drop:\n  short: "gopher.n_words < 12"\nmask: {pii: tag}\ncut: [c4.cuts]\n'
LONG = "The miller opens the sluice when the river is high, and the water runs down the race to the wheel. Write to {} about it."


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small lake in a folder whose name a shell minds; every note holds an address, the short ones are dropped, and two lines are none."""
    home = tmp_path_factory.mktemp("look") / "my $mill & notes"
    (home / "policies").mkdir(parents=True)
    (home / "policies" / "first.yaml").write_text(POLICY, encoding="utf-8")
    (home / "x.yaml").write_text(RECIPE, encoding="utf-8")
    texts = [f"Home page\n{LONG.format(f'miller{i}@river.org')}" if i % 3 else f"Write to miller{i}@river.org now." for i in range(12)]
    notes = [json.dumps({"text": text, "uri": f"https://h{i % 4}.org/{i}"}) for i, text in enumerate(texts)]
    (home / "notes.jsonl").write_text("\n".join([*notes, "{not json", '{"text": ""}']) + "\n", encoding="utf-8")
    chat = {"messages": [{"role": "user", "content": "Who opens it?"}, {"role": "assistant", "content": "The miller: miller99@river.org."}]}
    (home / "chats.jsonl").write_text(json.dumps(chat) + "\n", encoding="utf-8")
    said = headrace("run", "x.yaml", cwd=home)
    assert said.code == 0, said.err
    (home / "said.txt").write_text(said.out, encoding="utf-8")
    return home


# What a policy masks and cuts

@pytest.mark.parametrize("arguments", [(), ("--dropped", "short"), ("--json",), ("--dropped", "any", "--json")], ids=" ".join)
def test_documents_are_shown_as_the_policy_masks_and_cuts_them(home: Path, arguments: tuple[str, ...]) -> None:
    said = headrace("show", "corpus", *arguments, "-n", "20", cwd=home)
    assert said.code == 0, said.err
    assert said.out.count("<EMAIL>") == (4 if "--dropped" in arguments else 8)
    assert "river.org " not in said.out and "@river.org" not in said.out and "Home page" not in said.out
    assert "The miller opens the sluice" in said.out or "--dropped" in arguments


@pytest.mark.parametrize("name", ["x.jsonl", "x.parquet"])
@pytest.mark.parametrize("dropped", [None, "short", "any"])
def test_all_documents_are_exported_as_the_policy_masks_and_cuts_them(
    home: Path, tmp_path: Path, name: str, dropped: str | None, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    out = tmp_path / name
    monkeypatch.setattr(exporting, "SLICE_ROWS", 5)                                       # several slices of a file
    export_documents(str(home / "lake"), "corpus", out, dropped, None, False)
    rows = (pl.read_parquet(out) if name == "x.parquet" else pl.read_ndjson(out)).to_dicts()
    with Lake.open(home / "lake") as lake:
        facts = {row["doc_id"]: row for row in lake.query("SELECT doc_id, uri, reason, kept FROM audit.corpus ORDER BY uri").to_pylist()}
    assert {row["doc_id"] for row in rows} == {key for key, fact in facts.items() if fact["kept"] == (dropped is None)}
    assert len(rows) == (8 if dropped is None else 4)
    assert {row["text"] for row in rows} == {LONG.format("<EMAIL>") if dropped is None else "Write to <EMAIL> now."}
    assert all(row["uri"] == facts[row["doc_id"]]["uri"] and row["domain"] == "web" for row in rows)
    assert [row.get("reason") for row in rows] == ([None] * 8 if dropped is None else ["short"] * 4) and ("reason" in rows[0]) == (dropped is not None)
    assert "pii" not in rows[0] and "c4" not in rows[0] and list(tmp_path.iterdir()) == [out]


def test_an_export_is_whole_or_not_at_all_and_takes_no_files_place(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "x.jsonl"
    said = headrace("show", "corpus", "--out", out, "-n", "3", cwd=home)
    assert said.code == 0 and said.out == f"3 rows of corpus@v1 in {out} (kept)\n" and len(out.read_text().splitlines()) == 3, said
    out.write_text("mine", encoding="utf-8")
    told(headrace("show", "corpus", "--out", out, cwd=home), f"--out {out}: it exists; name another, or add --overwrite")
    export_documents(str(home / "lake"), "corpus", out, None, None, True)
    whole = out.read_text(encoding="utf-8")
    assert len(whole.splitlines()) == 8

    def dies(batch: pl.DataFrame, changes: object) -> pl.Series:
        raise KeyboardInterrupt

    monkeypatch.setattr(spans, "apply", dies)
    with pytest.raises(KeyboardInterrupt):
        export_documents(str(home / "lake"), "corpus", out, None, None, True)
    with pytest.raises(QueryError, match="nothing was dropped for 'shrot'; did you mean 'short'"):
        export_documents(str(home / "lake"), "corpus", tmp_path / "y.jsonl", "shrot", None, False)
    assert out.read_text(encoding="utf-8") == whole and list(tmp_path.iterdir()) == [out]


def test_what_a_killed_export_left_goes_with_the_next_one_to_that_file(home: Path, tmp_path: Path) -> None:
    out, other = tmp_path / "[x].jsonl", tmp_path / ".x.jsonl.01234567.tmp"
    left, held = tmp_path / ".[x].jsonl.01234567.tmp", tmp_path / ".[x].jsonl.89abcdef.tmp"
    for path in (left, held, other):
        path.write_text("half", encoding="utf-8")
    with open(held, "rb") as file:                           # another export at work
        fcntl.flock(file, fcntl.LOCK_EX)
        export_documents(str(home / "lake"), "corpus", out, None, None, False)
    assert set(tmp_path.iterdir()) == {out, held, other} and len(out.read_text(encoding="utf-8").splitlines()) == 8


def test_an_export_at_work_holds_its_file(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Path] = []

    def meanwhile(batch: pl.DataFrame, changes: object) -> list[pl.Series]:
        (mine,) = tmp_path.iterdir()
        exporting._clear(tmp_path / "x.parquet")
        seen.append(mine)
        assert mine.exists()
        return []

    monkeypatch.setattr(spans, "apply", meanwhile)
    export_documents(str(home / "lake"), "corpus", tmp_path / "x.parquet", None, None, False)
    assert seen and list(tmp_path.iterdir()) == [tmp_path / "x.parquet"]


def test_the_report_shows_no_address_that_the_policy_masks(home: Path) -> None:
    page = next((home / "lake" / "runs").glob("x-*/report.html")).read_text(encoding="utf-8")
    assert page.count("&lt;EMAIL&gt;") == 8 + 3 and "@river.org" not in page and "Home page" not in page


def test_a_writer_is_given_what_the_policy_leaves(home: Path) -> None:
    with Lake.open(home / "lake") as lake:
        given = list(batches(lake.snapshot("corpus"), "gopher.n_words > 20"))
        raw = list(batches(lake.snapshot("notes"), None))
    texts = [text for batch in given for text in batch["text"]]
    assert len(texts) == 8 and all(text == LONG.format("<EMAIL>") for text in texts)
    assert "pii" not in given[0].columns and given[0].columns == raw[0].columns
    assert sum("@river.org" in text for batch in raw for text in batch["text"]) == 12     # no policy, no mask


def test_turns_that_no_span_reaches_are_withheld(home: Path, tmp_path: Path) -> None:
    (home / "masks.yaml").write_text(RECIPE.replace("name: x", "name: y").replace("corpus:", "talk:").replace("from: notes", "from: chats"), encoding="utf-8")
    (home / "policies" / "first.yaml").write_text(POLICY.replace("< 12", "< 1"), encoding="utf-8")
    said = headrace("run", "masks.yaml", "--lake", tmp_path / "lake", cwd=home)
    (home / "policies" / "first.yaml").write_text(POLICY, encoding="utf-8")
    assert said.code == 0, said.err
    shown = json.loads(headrace("show", "talk", "--json", "--lake", tmp_path / "lake").out)[0]
    assert shown["messages"] is None and "<EMAIL>" in shown["text"]
    with Lake.open(tmp_path / "lake") as lake, pytest.raises(InputError, match="do not reach its messages"):
        next(batches(lake.snapshot("talk"), None))


# Answers

TWICE = "SELECT 1 AS a, 2 AS a, 3 AS a_1, 'nan'::DOUBLE AS n, '-inf'::DOUBLE AS i, {'x': [1, NULL]} AS s, INTERVAL 1 DAY AS d"


def test_columns_of_one_name_are_told_apart_and_json_is_json(home: Path) -> None:
    lines = headrace("sql", TWICE, "--format", "json", cwd=home).out.splitlines()
    row = json.loads(lines[0], parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert row == {"a": 1, "a_2": 2, "a_1": 3, "n": None, "i": None, "s": {"x": [1, None]}, "d": [0, 1, 0]}
    head, values = headrace("sql", "SELECT 1 AS a, 2 AS a", cwd=home).out.splitlines()
    assert head.split() == ["a", "a_1"] and values.split() == ["1", "2"]


def test_csv_holds_every_column_printed_or_written(home: Path, tmp_path: Path) -> None:
    printed = headrace("sql", TWICE, "--format", "csv", cwd=home)
    assert printed.code == 0, printed.err
    assert printed.out.splitlines()[0] == '"a","a_2","a_1","n","i","s","d"' and '"{""x"": [1, null]}"' in printed.out
    for name in ("x.csv", "x.parquet"):
        said = headrace("sql", "SELECT 1 AS a, 2 AS a, {'x': 1} AS s", "--out", tmp_path / name, cwd=home)
        assert said.code == 0, said.err
        assert duckdb.sql(f"SELECT a, a_1, s::VARCHAR AS s FROM '{tmp_path / name}'").fetchone() in ((1, 2, '{"x": 1}'), (1, 2, "{'x': 1}"))


def test_rows_are_printed_before_the_last_has_come(capfd: pytest.CaptureFixture[str]) -> None:
    def late() -> object:
        yield pa.record_batch({"a": [1]})
        said.append(capfd.readouterr().out)
        raise QueryError("sql: stopped")

    for form in ("csv", "json"):
        said: list[str] = []
        with pytest.raises(QueryError, match="stopped"):
            print_rows(named_apart(pa.RecordBatchReader.from_batches(pa.schema([("a", pa.int64())]), late())), form)
        assert "1" in said[0], form


# Mistakes

def told(said: Said, line: str) -> None:
    assert said.code == 2 and "Traceback" not in said.err, said.err
    assert line in said.err.splitlines()[-1]


@pytest.mark.parametrize(("arguments", "line"), [
    (("sql", "SELECT 1", "--out", "/proc/x.parquet"), "--out /proc/x.parquet: cannot be written (No such file or directory)"),
    (("sql", "SELECT 1", "--out", "/proc/x.csv"), "--out /proc/x.csv: cannot be written"),
    (("show", "corpus", "--out", "/proc/x.jsonl"), "--out /proc/x.jsonl: cannot be written (No such file or directory)"),
    (("show", "corpus", "--out", "x.csv"), "--out x.csv: cannot write .csv; there is .jsonl, .parquet; name a .jsonl or .parquet file"),
    (("show", "corpus", "--out", "none/x.jsonl"), "--out none/x.jsonl: there is no folder none"),
    (("ship", "--out", "/proc/x"), "--out /proc/x: /proc/x cannot be written (No such file or directory)"),
    (("init", "curate", "--out", "/proc/x.yaml"), "--out /proc/x.yaml: /proc/policies cannot be written"),
    (("init", "curate", "--out", "none/x.yaml"), "--out none/x.yaml: there is no folder none; make it first"),
    (("policy", "try", "latin.yaml", "--on", "corpus"), "latin.yaml: cannot be read as text in UTF-8"),
    (("policy", "try", "frist", "--on", "corpus"), "did you mean 'first'?"),
    (("doctor", "--rebuild", "--moved"), "give it or --moved, not both"),
    (("why", "none.jsonl"), "a file whose records were refused"),
], ids=lambda given: " ".join(given) if isinstance(given, tuple) else "")  # fmt: skip
def test_a_mistake_is_one_line(home: Path, arguments: tuple[str, ...], line: str) -> None:
    (home / "latin.yaml").write_bytes('drop:\n  über: "text = 1"\n'.encode("latin-1"))
    told(headrace(*arguments, cwd=home), line)
    assert not (home / "none").exists()


@pytest.mark.parametrize("given", ["HEADRACE_SQL_SECONDS=abc", "HEADRACE_SQL_SECONDS=-1", "HEADRACE_SQL_GIB=nan", "HEADRACE_SQL_GIB="])
def test_a_bound_that_is_no_number_is_refused(home: Path, given: str) -> None:
    name, _, value = given.partition("=")
    told(headrace("sql", "SELECT 1", cwd=home, **{name: value}), f"{given}: is no number over 0")


def test_a_policy_is_found_by_its_name_beside_me(home: Path) -> None:
    said = headrace("policy", "try", "first", "--on", "corpus", cwd=home)
    assert said.code == 0 and "first on 12 documents" in said.out, said.err


def test_why_tells_of_a_file_what_was_refused_of_it(home: Path) -> None:
    for name in ("notes.jsonl", "notes/notes.jsonl"):
        said = headrace("why", name, cwd=home)
        assert said.code == 0 and re.findall(r"^notes\.jsonl#\d+", said.out, re.MULTILINE) == ["notes.jsonl#13", "notes.jsonl#14"], said
    assert "bad_json" in headrace("why", "notes.jsonl#13", cwd=home).out


# What a run suggests

def test_what_a_run_suggests_runs_as_it_stands(home: Path) -> None:
    lines = [line.strip() for line in (home / "said.txt").read_text(encoding="utf-8").splitlines() if line.startswith("  headrace sql")]
    assert len(lines) == 3
    shell = f'headrace() {{ "{sys.executable}" -m headrace "$@"; }}\n'
    for line in lines:
        done = subprocess.run(["sh", "-c", shell + line], cwd="/", env=os.environ, capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout.strip(), done.stderr
