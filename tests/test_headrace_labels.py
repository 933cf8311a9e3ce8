"""Labels: keys at a real terminal, undo, typos, hostile text, a kill and Ctrl-C; labels from files; the SQL that classifiers train from."""

import json
import os
import shutil
import signal
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from demo_run import headrace
from rich.cells import cell_len
from typist import Typist

from catalog.lake import Lake, rebuild
from catalog.process import user
from headrace.labelling import Asked, choose

pytestmark = pytest.mark.slow                                # a process a sitting

RECIPE = """
name: x
seed: 1
lake: lake
ingest:
  notes: {tables: {paths: [notes.jsonl]}, domain: web}
curate:
  corpus: {from: notes, stages: [gopher.signals, pii.spans], policy: first}
"""
POLICY = 'drop:\n  short: "gopher.n_words < 12"\nmask: {pii: tag}\n'
LONG = "Note {0}: the miller opens the sluice when the river is high, and the water runs down. Write to miller{0}@river.org about it."
HOSTILE = (
    "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[0m \x9b1;1H \u202eright to left\u202c \x00\x07 end\r\n"
    "Note 11: the miller opens the sluice and the water runs down the race"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small lake whose policy masks addresses; one note is hostile, one is 300,000 characters in one line, four are short."""
    home = tmp_path_factory.mktemp("labels")
    (home / "policies").mkdir()
    (home / "x.yaml").write_text(RECIPE, encoding="utf-8")
    (home / "policies" / "first.yaml").write_text(POLICY, encoding="utf-8")
    texts = [LONG.format(i) if i % 3 else f"Note {i} is short." for i in range(10)] + ["Note 10: " + "word " * 60_000, HOSTILE]
    notes = [json.dumps({"text": text, "uri": f"https://h{i}.org/{i}", "title": f"Title {i}\x1b[31m"}) for i, text in enumerate(texts)]
    (home / "notes.jsonl").write_text("\n".join(notes) + "\n", encoding="utf-8")
    said = headrace("run", "x.yaml", cwd=home)
    assert said.code == 0, said.err
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    """A copy of the lake for a test that writes to it."""
    copy = tmp_path / "home"
    shutil.copytree(made, copy, symlinks=True)
    assert headrace("doctor", "--moved", "--lake", copy / "lake").code == 0
    return copy


def labels(home: Path) -> list[dict[str, Any]]:
    with Lake.open(home / "lake") as lake:
        return lake.rows("SELECT * FROM label ORDER BY labelled, doc_id") if lake.has_table("label") else []


def test_before_the_first_label_it_is_said_how_to_give_one(made: Path) -> None:
    said = headrace("sql", "SELECT count(*) FROM label", "--lake", made / "lake")
    assert (said.code, said.err) == (2, "headrace: sql: nobody has labelled a document of this lake yet, so there is no table label: headrace label DATASET\n")


def brief(home: Path) -> list[tuple[str, str | None]]:
    return [(row["label"], row["reason"]) for row in labels(home)]


def ids(home: Path) -> list[str]:
    with Lake.open(home / "lake") as lake:
        return [row["doc_id"] for row in lake.query("SELECT doc_id FROM audit.corpus ORDER BY doc_id").to_pylist()]


# At the terminal

def test_a_key_a_document_and_why_and_undo(home: Path) -> None:
    with Typist("label", "corpus", cwd=home) as user:
        first = user.see(r"1/12 .* 0 labelled.*k keep · d drop")
        user.press("k")
        user.see("2/12 .* 1 labelled")
        user.press("d").see("3/12 .* 2 labelled")
        user.press("wnothing buf\x7f\x7f\x7fbut ads\r").see("why: nothing but ads")
        user.press("d").see("4/12 .* 3 labelled")
        user.press("s").see("5/12 .* 3 labelled, 1 skipped")
        user.press("u").see("4/12 .* 3 labelled")                    # the skipped one is back
        user.press("u").see("3/12 .* 2 labelled.*taken back")
        user.press("K").see("4/12 .* 3 labelled")                    # Caps Lock
        user.press("q")
        assert user.end() == 0
        assert "corpus@v1: 3 labels saved in the set default (2 keep, 1 drop)" in user.screen
        assert user.settings == user.before
    assert brief(home) == [("keep", None), ("drop", None), ("keep", None)]
    row = labels(home)[0]
    assert row["dataset"] == "corpus" and row["label_set"] == "default" and row["labeller"] and row["run"].startswith("label-corpus-")
    assert row["labelled"] <= row["recorded"]
    shown = next(line for line in first.splitlines() if "https://h" in line)
    with Lake.open(home / "lake") as lake:
        (place,) = lake.why(row["doc_id"])[:1]
    assert place["document"]["uri"] in shown


def test_the_order_is_the_same_each_time_and_the_unlabelled_come_first(home: Path) -> None:
    def order(**more: Any) -> list[str]:
        with Lake.open(home / "lake") as lake:
            return [choice.doc_id for choice in choose(lake, lake.snapshot("corpus"), Asked("corpus", **more))]

    first = order()
    assert sorted(first) == ids(home) and order() == first and order(n=5) == first[:5] and sorted(order(seed=3)) == sorted(first) != order(seed=3)
    assert order(where="kept") == [id for id in first if id in order(where="kept")] and len(order(where="kept")) == 8
    with Typist("label", "corpus", cwd=home) as user:
        user.see("1/12")
        user.press("sdd").see("4/12 .* 2 labelled, 1 skipped")
        user.press("q")
        assert user.end() == 0 and "; 1 skipped" in user.screen
    assert [row["doc_id"] for row in labels(home)] == first[1:3]
    assert order() == [first[0], *first[3:], *first[1:3]] and order(set_name="second") == first
    with Typist("label", "corpus", "--as", "second", "-n", "1", cwd=home) as user:
        user.see("1/1 .*q quit")
        user.press("d").see("All 1 documents")
        user.press("x").see("that was the last")
        user.press("uk").see("1 labelled.*All 1 documents")
        user.press("q")
        assert user.end() == 0
    assert [(row["label_set"], row["label"]) for row in labels(home)] == [("default", "drop"), ("default", "drop"), ("second", "keep")]


def test_others_labels_come_before_ones_own(home: Path) -> None:
    with Lake.open(home / "lake") as lake:
        snapshot = lake.snapshot("corpus")
        first = [choice.doc_id for choice in choose(lake, snapshot, Asked("corpus"))]
        rows = [
            {"dataset": "corpus", "doc_id": id, "label": "keep", "reason": reason, "label_set": "default", "labeller": who, "labelled": datetime(2026, 1, day)}
            for id, who, reason, day in ((first[0], user(), None, 2), (first[0], "anna", "ads", 1), (first[1], "anna", None, 3))
        ]
        lake.record({"label": rows}, "r1")
        lake.record({"label": [{**rows[2], "label": "drop"}, {**rows[2], "label": "keep", "reason": "no, good"}]}, "r2")
        chosen = choose(lake, snapshot, Asked("corpus"))
    assert [choice.doc_id for choice in chosen] == [*first[2:], first[1], first[0]]
    assert [choice.said for choice in chosen[-3:]] == ["", "keep (no, good) by anna", f"keep (ads) by anna, keep by {user()}"]
    assert len(labels(home)) == 3


def test_what_was_said_before_is_shown_and_can_be_changed(home: Path) -> None:
    one = ids(home)[0]
    for keys, code in (("wold reason\rd", 0), ("k", 0)):
        with Typist("label", "corpus", "--where", f"doc_id = '{one}'", cwd=home) as user:
            screen = user.see("1/1 .*q quit")
            assert ("said before: drop (old reason) by" in screen) == (keys == "k")
            user.press(keys).see("All 1 documents")
            user.press("q")
            assert user.end() == code
    assert [(row["doc_id"], row["label"], row["reason"]) for row in labels(home)] == [(one, "keep", None)]


def test_text_is_masked_and_harmless_and_read_on_by_screens(home: Path) -> None:
    where = "title LIKE 'Title 1%' AND title NOT LIKE 'Title 10%'"
    with Typist("label", "corpus", "--where", where, "-n", "2", cwd=home) as user:
        pages = [user.see("1/2 .*q quit"), user.press("s").see("2/2 .*q quit")]
        user.press("q")
        user.end()
        hostile, plain = sorted(pages, key=lambda page: "owned" not in page)
    assert "<EMAIL>" in plain and "@river.org" not in plain
    assert "\x1b" not in hostile + plain and "\x07" not in hostile and "\x9b" not in hostile and "\u202e" not in hostile
    assert "�1;1H �right to left�" in hostile and "Note 11" in hostile
    with Typist("label", "corpus", "--where", "title LIKE 'Title 10%'", cwd=home, columns=40, lines=12) as user:
        page = user.see(r"1/1 .*\? help · k keep · d drop")
        assert all(cell_len(line) <= 40 for line in page.splitlines()) and len(page.splitlines()) <= 12
        left = int(page.partition("… ")[2].partition(" char")[0].replace(",", ""))
        user.press(" ").see(rf"… (?!{left:,})[\d,]+ characters more")
        user.press("q")
        assert user.end() == 0


def test_typos_change_nothing(home: Path) -> None:
    with Typist("label", "corpus", cwd=home) as user:
        user.see("1/12")
        user.press("x").see("no such key")
        user.press("\x1b[A\x1bOP\x1bk").see("1/12 .*no such key")      # an arrow, F1, Alt-k
        user.press("u").see("nothing to undo")
        user.press("é").see("no such key")
        user.press("?").see("Each document takes one key.*k +keep.*d +drop")
        user.press("k").see("1/12 .* 0 labelled")                     # any key goes back, and says nothing
        user.press("wnot this").see("why: not this$")
        user.press("\x1b").see(r"1/12 .*\? help$")
        user.press("d").see("2/12 .* 1 labelled")
        user.press("wnor this\rs").see("3/12 .* 1 labelled, 1 skipped")
        user.press("k").see("4/12 .* 2 labelled")
        user.press("\x04")                                            # the end of input saves too
        assert user.end() == 0
    assert brief(home) == [("drop", None), ("keep", None)]


def test_other_labels_have_keys_of_their_own(home: Path) -> None:
    with Typist("label", "corpus", "--labels", "0,1,2,3,4,5", "--as", "edu", cwd=home) as user:
        user.see("0 0 · 1 1 · 2 2 · 3 3 · 4 4 · 5 5 · w why")
        user.press("5").see("2/12")
        user.press("0").see("3/12")
        user.press("q")
        assert user.end() == 0 and "(1 0, 1 5)" in user.screen
    assert [row["label"] for row in labels(home)] == ["5", "0"]


def test_ctrl_c_saves_what_was_said(home: Path) -> None:
    with Typist("label", "corpus", cwd=home) as user:
        user.see("1/12")
        user.press("kw").see("why: ")
        user.press("half a rea\x03")
        assert user.end() == 130
        assert "1 labels saved" in user.screen and "interrupted" in user.screen and "Traceback" not in user.said
        assert user.settings == user.before
    assert brief(home) == [("keep", None)]


@pytest.mark.parametrize("torn", [False, True])
def test_nothing_said_is_lost_by_a_kill(home: Path, torn: bool) -> None:
    with Typist("label", "corpus", cwd=home) as user:
        user.see("1/12")
        user.press("kwads\rddkuq"[:-1]).see("4/12 .* 3 labelled.*taken back")
        user.kill()
    assert brief(home) == []
    (lines,) = (home / "lake" / "runs").glob("label-*/labels.jsonl")
    if torn:
        with open(lines, "ab") as file:
            file.write(b'{"doc_id": "0123')
    assert "killed" in headrace("jobs", cwd=home).out
    with Typist("label", "corpus", cwd=home) as user:
        user.see("1/12 .*3 labels of a sitting that broke off were saved")
        assert brief(home) == [("keep", None), ("drop", "ads"), ("drop", None)]
        user.press("q")
        assert user.end() == 0
    assert not lines.exists() and "killed" not in headrace("jobs", cwd=home).out
    with Typist("label", "corpus", cwd=home) as user:
        assert "broke off" not in user.see("1/12")
    assert len(labels(home)) == 3


def test_a_sitting_that_goes_on_is_nobody_elses(home: Path) -> None:
    with Typist("label", "corpus", cwd=home) as one, Typist("label", "corpus", "--as", "other", cwd=home) as two:
        one.see("1/12")
        one.press("kk").see("3/12")
        two.see("1/12")
        two.press("d").see("2/12")
        with Typist("label", "corpus", cwd=home) as three:
            assert "broke off" not in three.see("1/12")
            three.press("q")
            assert three.end() == 0
        assert labels(home) == []
        for user in (two, one):
            user.press("q")
            assert user.end() == 0
    assert sorted((row["label_set"], row["label"]) for row in labels(home)) == [("default", "keep")] * 2 + [("other", "drop")]


def test_a_lake_that_cannot_be_written_keeps_the_lines_for_later(home: Path) -> None:
    from catalog.commits import hold

    with Typist("label", "corpus", "--lock-timeout", "0.2", cwd=home) as user:
        user.see("1/12")
        user.press("kd").see("3/12")
        with hold(home / "lake", "a long commit", 5):
            user.press("q")
            assert user.end() == 2
        assert "the labels stay in" in user.screen and "holds the lock" in " ".join(user.screen.split())
    assert labels(home) == []
    with Typist("label", "corpus", cwd=home) as user:
        user.see("2 labels of a sitting that broke off were saved")
    assert len(labels(home)) == 2


def test_sigterm_saves_and_a_stop_comes_back(home: Path) -> None:
    with Typist("label", "corpus", cwd=home) as user:
        user.see("1/12")
        user.press("k").see("2/12")
        os.kill(user.process.pid, signal.SIGSTOP)
        os.kill(user.process.pid, signal.SIGCONT)
        time.sleep(0.2)
        user.press("d").see("3/12")
        user.process.terminate()
        assert user.end() == 143
        assert user.settings == user.before
    assert brief(home) == [("keep", None), ("drop", None)]


# From files

def put(path: Path, rows: list[dict[str, Any]]) -> Path:
    frame = pl.DataFrame(rows)
    if path.suffix == ".jsonl":
        frame.write_ndjson(path)
    elif path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path, separator="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_labels_come_from_files(home: Path, kind: str) -> None:
    some = ids(home)[:3]
    file = put(home / f"mine.{kind}", [{"doc_id": id, "label": str(i), "reason": "a, \"b\"" if i else "", "run": "r"} for i, id in enumerate(some)])
    said = headrace("label", "corpus", "--from", file, "--labels", "0,1,2", "--as", "edu", cwd=home)
    assert said.code == 0, said.err
    assert said.out == "corpus@v1: 3 labels saved in the set edu (1 0, 1 1, 1 2); columns not used: run\n"
    assert [(r["doc_id"], r["label"], r["reason"]) for r in labels(home)] == [(some[0], "0", None), (some[1], "1", 'a, "b"'), (some[2], "2", 'a, "b"')]
    before = labels(home)
    rebuild(home / "lake")
    assert labels(home) == before


def test_a_later_file_replaces_labels_and_other_sets_stay(home: Path) -> None:
    some = ids(home)[:3]
    for label, set_name in (("keep", "a"), ("keep", "b"), ("drop", "b")):
        put(home / "m.csv", [{"doc_id": id, "label": label, "reason": "why" if label == "keep" else None} for id in some[: 3 if label == "keep" else 2]])
        assert headrace("label", "corpus", "--from", "m.csv", "--as", set_name, cwd=home).code == 0
    got = [(r["label_set"], r["doc_id"], r["label"], r["reason"]) for r in sorted(labels(home), key=lambda r: (r["label_set"], r["doc_id"]))]
    assert got == [("a", id, "keep", "why") for id in some] + [("b", some[0], "drop", None), ("b", some[1], "drop", None), ("b", some[2], "keep", "why")]


def test_a_wrong_file_saves_nothing(home: Path) -> None:
    one, two = ids(home)[:2]
    wrong = {
        "doc_id,label\n{one},keep\nnope,drop\nnix,drop\n": "2 of 3 doc_ids are not in corpus@v1: nope, nix; nothing was saved",
        "doc_id,label\n{one},kep\n": "row 1: label 'kep' is none of keep, drop; did you mean 'keep'?; name others by --labels",
        "docid,label\n{one},keep\n": "it has no column 'doc_id'; did you mean 'docid'?",
        "doc_id,label\n{one},keep\n{two},\n": "row 2 has no doc_id or no label",
        "doc_id,label\n{one},keep\n{one},drop\n": "{one} has two labels that differ",
        "doc_id,label\n": "it holds no labels",
        "doc_id,label\n{one},keep,x,y\n": "w.csv: it is no CSV: row 1 has 4 columns, the first line 2; nothing was saved",
        'doc_id,label\n{one},keep\n"{two},drop\n': "w.csv: it is no CSV: a quote is opened and not closed, or text follows one; nothing was saved",
        "": "w.csv: it is empty; give the columns doc_id, label and, if you like, reason; nothing was saved",
    }
    for text, line in wrong.items():
        (home / "w.csv").write_text(text.replace("{one}", one).replace("{two}", two), encoding="utf-8")
        said = headrace("label", "corpus", "--from", "w.csv", cwd=home)
        assert said.code == 2 and line.replace("{one}", one) in said.err and said.err.count("\n") == 1, (text, said.err)
    assert labels(home) == [] and not list((home / "lake" / "runs").glob("label-*"))


def test_a_wrong_command_says_what_is_wrong(home: Path) -> None:
    (home / "x.txt").write_text("", encoding="utf-8")
    for arguments, line in (
        (("corpsu", "--from", "x.csv"), "x.csv: there is no such file"),
        (("corpus", "--from", "x.txt"), "x.txt: cannot read .txt; did you mean '.tsv'?"),
        (("corpus",), "label: asks at a terminal, and here is none; give the labels by --from FILE"),
        (("corpsu",), "no dataset 'corpsu'; did you mean 'corpus'?"),
        (("corpus", "--from", "x.csv", "-n", "3"), "leave --where and -n out"),
        (("corpus", "--as", "My Set"), "--as My Set: a set's name is of small letters"),
        (("corpus", "--labels", "keep,keep"), "name two or more that differ"),
        (("corpus", "--labels", "keep,so so"), "'so so' is no label"),
    ):
        said = headrace("label", *arguments, cwd=home)
        assert said.code == 2 and line in said.err and said.err.count("\n") == 1, said.err
    for where, line in (("n_wordz > 3", "label: --where n_wordz > 3: .*n_wordz"), ("text = 'nowhere'", "no document of its sample is there to label")):
        with Typist("label", "corpus", "--where", where, cwd=home) as user:
            assert user.end() == 2
            assert user.settings == user.before
            user.see(line.replace("(", r"\("), 0.1)


# What classifiers train from

def test_training_sql_joins_labels_of_the_lake_and_of_a_file(home: Path) -> None:
    some = ids(home)
    put(home / "mine.csv", [{"doc_id": id, "label": "keep" if i % 2 else "drop"} for i, id in enumerate(some[:6])])
    put(home / "theirs.csv", [{"doc_id": id, "label": "keep"} for id in some[6:8]])
    assert headrace("label", "corpus", "--from", "mine.csv", "--as", "taste", cwd=home).code == 0
    with Lake.open(home / "lake") as lake:
        positive = "SELECT text FROM audit.corpus JOIN label USING (doc_id) WHERE label_set = 'taste' AND label = 'keep'"
        assert lake.query(positive).num_rows == 3
        assert lake.query(positive.replace("'keep'", "'drop'")).column_names == ["text"]
        assert lake.query("SELECT text FROM data.corpus JOIN label USING (doc_id) WHERE label = 'keep'").num_rows <= 3
        both = f"{positive} UNION ALL SELECT text FROM audit.corpus JOIN labels USING (doc_id) WHERE labels.label = 'keep'"
        assert lake.query(both, tables={"labels": str(home / "theirs.csv")}).num_rows == 5
    said = headrace("sql", both, "--with", "labels=theirs.csv", "--format", "json", cwd=home)
    assert said.code == 0 and len(said.out.splitlines()) == 5


def test_why_tells_the_labels(home: Path) -> None:
    one = ids(home)[0]
    put(home / "m.csv", [{"doc_id": one, "label": "drop", "reason": "ads\x1b[31m"}])
    assert headrace("label", "corpus", "--from", "m.csv", "--as", "taste", cwd=home).code == 0
    said = headrace("why", one, cwd=home).out
    assert "  labelled drop (ads�[31m) by " in said and " in the set taste\n" in said
    assert json.loads(headrace("why", one, "--json", cwd=home).out)[0]["labels"][0]["label"] == "drop"
