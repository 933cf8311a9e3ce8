"""Annotations: what is missing alone is computed, words are split once, and a document that breaks a stage breaks nothing else."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from catalog import spans
from catalog.errors import RecipeError, WorkError
from catalog.files import DataFile, footer, read
from catalog.stage import HOUSE, Bound, bind, find
from catalog.staged import Stage
from curate import annotate, corpus, fineweb
from tests import stage_bodies
from tests.spark_making import corpus as data_files
from tests.spark_making import family


def stage(name: str, where: str | None = None, **knobs: Any) -> Stage:
    declared = getattr(stage_bodies, name).declares.family
    return Stage(name, Bound(f"tests.stage_bodies:{name}", knobs), declared, where)


LENGTHS, FIRSTS, SIZES = stage("lengths", unit=1), stage("firsts"), stage("sizes", most=3)


@pytest.fixture(autouse=True)
def calls() -> list[tuple[str, int]]:
    stage_bodies.CALLS.clear()
    return stage_bodies.CALLS


def made(root: Path, n: int = 20, files: int = 2, **texts: str) -> list[DataFile]:
    return data_files(root, [{"text": texts.get(f"t{i}", " ".join(["word"] * (i % 6)))} for i in range(n)], files)


def run(files: Any, stages: list[Stage], root: Path, name: str = "run", **hands: Any) -> annotate.Annotated:
    return annotate.run(files, stages, str(root / "annotations/made" / name), **{"workers": 0, "dataset": "made", **hands})


def test_families_stand_beside_their_files(tmp_path: Path) -> None:
    done = run(made(tmp_path), [LENGTHS, FIRSTS], tmp_path)
    assert done.computed == 2 and not done.quarantine
    rows = family(done.files, "lengths", "text")
    assert rows["n"].to_list() == [i % 6 for i in range(20)]
    assert family(done.files, "firsts")["spans"][1].to_list() == [{"start": 0, "end": 1}]
    for file in done.files:
        told = file.annotation("lengths")
        assert told.columns == (("n", "int64"),) and told.stage == "lengths" and told.rows == file.rows
        assert footer(tmp_path / told.path)["ids"] == file.ids and not os.path.isabs(told.path)


def test_words_are_split_once_for_all_stages(tmp_path: Path, calls: list[tuple[str, int]]) -> None:
    run(made(tmp_path, files=1), [LENGTHS, FIRSTS], tmp_path)
    assert [name for name, _ in calls] == ["lengths", "firsts"] and len({split for _, split in calls}) == 1


def test_a_new_stage_computes_one_family(tmp_path: Path, calls: list[tuple[str, int]]) -> None:
    files = made(tmp_path)
    first = run(files, [LENGTHS], tmp_path, "run1")
    calls.clear()
    assert run(files, [LENGTHS], tmp_path, "run2").computed == 0 and not calls
    more = run(files, [LENGTHS, FIRSTS], tmp_path, "run2")
    assert more.computed == 2 and {name for name, _ in calls} == {"firsts"}
    assert [file.annotation("lengths") for file in more.files] == [file.annotation("lengths") for file in first.files]


def test_a_changed_knob_is_another_address(tmp_path: Path) -> None:
    files = made(tmp_path)
    one, two = run(files, [LENGTHS], tmp_path), run(files, [stage("lengths", unit=2)], tmp_path)
    assert two.computed == 2
    assert {f.annotation("lengths").path for f in one.files}.isdisjoint(f.annotation("lengths").path for f in two.files)


def test_a_stage_that_reads_a_family_follows_it(tmp_path: Path) -> None:
    files = made(tmp_path)
    both = run(files, [LENGTHS, SIZES], tmp_path)
    assert family(both.files, "sizes")["long"].to_list() == [i % 6 > 3 for i in range(20)]
    late = run(run(made(tmp_path / "b"), [LENGTHS], tmp_path / "b").files, [SIZES], tmp_path / "b")
    assert family(late.files, "sizes")["long"].to_list() == [i % 6 > 3 for i in range(20)]
    other = run(files, [stage("lengths", unit=2), SIZES], tmp_path)
    assert other.computed == 2 and other.files[0].annotation("sizes").address != both.files[0].annotation("sizes").address
    with pytest.raises(RecipeError, match="^x.yaml:7: sizes reads 'lengths', which no stage before it writes$"):
        annotate.tasks(files, [replace(SIZES, at="x.yaml:7: ")], str(tmp_path / "annotations/made/x"))


def test_where_scores_some_and_leaves_null(tmp_path: Path, calls: list[tuple[str, int]]) -> None:
    done = run(made(tmp_path), [LENGTHS, stage("costly", "lengths.n > 3 AND domain = 'web'")], tmp_path)
    scores = family(done.files, "costly", "text")
    assert [score is not None for score in scores["score"]] == [i % 6 > 3 for i in range(20)]
    assert all(row["score"] in (None, len(row["text"])) for row in scores.iter_rows(named=True))
    assert sum(size for name, size in calls if name == "costly") == sum(i % 6 > 3 for i in range(20))
    assert footer(tmp_path / done.files[0].annotation("costly").path)["where"] == "lengths.n > 3 AND domain = 'web'"
    nobody = run(made(tmp_path / "b"), [stage("costly", "domain = 'code'")], tmp_path / "b")
    assert family(nobody.files, "costly")["score"].null_count() == 20


def test_a_document_that_breaks_a_stage_is_quarantined_and_the_rest_goes_on(tmp_path: Path) -> None:
    files = made(tmp_path, t3="poison", t15="more poison here")
    done = run(files, [stage("touchy"), LENGTHS], tmp_path)
    ok = family(done.files, "touchy", "uri")
    assert [i for i, value in enumerate(ok["ok"]) if value is None] == [3, 15] and family(done.files, "lengths")["n"].null_count() == 0
    assert [(row["uri"], row["reason"], row["exception"], row["dataset"]) for row in done.quarantine] == [
        (ok["uri"][i], "touchy failed", "ValueError: cannot read poison", "made") for i in (3, 15)
    ]
    again = run(files, [stage("touchy"), LENGTHS], tmp_path, "later")
    assert again.computed == 0 and again.quarantine == done.quarantine, "a resumed run still tells of them"


def test_where_and_failure_together(tmp_path: Path) -> None:
    files = made(tmp_path, files=1, t4="poison a b c", t5="poison a b c d e")
    done = run(files, [LENGTHS, stage("touchy", "lengths.n > 4")], tmp_path)
    assert [row["uri"] for row in done.quarantine] == [read(files[0], ["uri"])["uri"][5]]
    assert [i for i, value in enumerate(family(done.files, "touchy")["ok"]) if value] == [i for i in range(20) if i % 6 > 4 and i != 5]


def test_a_stage_that_is_broken_is_no_documents_fault(tmp_path: Path) -> None:
    with pytest.raises(WorkError, match=r"broken failed on each of 120 documents of data/made/run/part-0.parquet: KeyError\('model'\)"):
        run(made(tmp_path, 120, 1), [stage("broken")], tmp_path)
    with pytest.raises(WorkError, match="short returned 9 rows of n for 10 documents; it declares n, one row a document"):
        run(made(tmp_path / "b"), [stage("short")], tmp_path / "b")
    assert not list(tmp_path.glob("annotations/**/*.parquet"))


def test_what_a_stages_knobs_do_wrong_is_said_before_the_work(tmp_path: Path, calls: list[tuple[str, int]]) -> None:
    files, folder = made(tmp_path, 3, 1, t0="poison", t1="a longer text", t2="another one"), str(tmp_path / "annotations/made/run")
    annotate.rehearse(files, [LENGTHS, SIZES, stage("touchy", "lengths.n > 9"), stage("needy")], folder, 0)
    assert ("touchy", 1) in calls, "the poisoned text is the shortest: that is no fault of the knobs, and neither is what fails on nothing at all"
    with pytest.raises(RecipeError, match=r"^touchy fails whatever it is given, with unit: 3: TypeError: .* unexpected keyword argument 'unit'"):
        annotate.rehearse(files, [stage("touchy", unit=3)], folder, 0)
    with pytest.raises(RecipeError, match="^juicer.signals: stop_words is empty"):
        annotate.rehearse(files, [Stage("juicer.signals", bind(find("curate", "juicer.signals"), {"stop_words": []}, ""), "juicer", None)], folder, 0)
    with pytest.raises(WorkError, match="short returned 0 rows of n for 1 documents"):
        annotate.rehearse(files, [stage("short")], folder, 0)
    assert not list(tmp_path.glob("annotations/**/*")), "nothing is written"
    run(files, [LENGTHS], tmp_path)
    calls.clear()
    annotate.rehearse(files, [LENGTHS], folder, 0)
    annotate.rehearse(data_files(tmp_path / "b", [], 1), [LENGTHS], folder, 0)
    assert {height for _, height in calls} <= {0} or len(calls) == 2, "what is there is not tried"


def test_a_stage_that_says_nothing_of_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"plain: tests.stage_bodies:plain declares no columns; give it @declares"):
        run(made(tmp_path), [Stage("plain", Bound("tests.stage_bodies:plain", {}), "plain", None)], tmp_path)


def test_large_files_pass_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: list[tuple[str, int]]) -> None:
    monkeypatch.setattr(corpus, "BATCH_BYTES", 40)
    texts = {f"t{i}": "x" * (i * 7) for i in range(30)} | {"t4": "poison"}
    done = run(made(tmp_path, 30, 1, **texts), [stage("touchy"), LENGTHS], tmp_path)
    assert len([1 for name, _ in calls if name == "lengths"]) > 10 and family(done.files, "lengths").height == 30
    assert [i for i, value in enumerate(family(done.files, "touchy")["ok"]) if value is None] == [4]
    whole = pl.concat([batch for file in done.files for batch in corpus.batches(file, ["doc_id", "text"])])
    assert whole.equals(pl.concat([read(file, ["doc_id", "text"]) for file in done.files]))


def test_an_empty_file_has_empty_families(tmp_path: Path) -> None:
    done = run(data_files(tmp_path, [], 1), [LENGTHS, SIZES, stage("costly", "lengths.n > 2")], tmp_path)
    assert [family(done.files, name).height for name in ("lengths", "sizes", "costly")] == [0, 0, 0]


def test_every_file_reports_as_it_is_done(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    run(made(tmp_path, files=4), [LENGTHS], tmp_path, progress=told.append)
    assert sorted(result["name"] for result in told) == [f"data/made/run/part-{i}.parquet" for i in range(4)]
    assert all(result["rows"] == 5 and set(result["seconds"]) == {"lengths"} for result in told) and json.dumps(told)


@pytest.mark.chaos
def test_a_killed_run_goes_on_at_the_file(tmp_path: Path) -> None:
    """kill -9 in the middle: nothing half-written has a name, and only the rest is done afterwards."""
    files = data_files(tmp_path, [{"text": f"{i:08d}"} for i in range(8)], 8)
    marks = tmp_path / "marks"
    marks.mkdir()
    slow = stage("slow", folder=str(marks))
    script = (
        "import sys, os; from tests.test_curate_annotate import *; from curate.corpus import as_file; import json\n"
        "files = [as_file(f) for f in json.load(open(sys.argv[1]))]; "
        "run(files, [stage('slow', folder=sys.argv[2])], Path(sys.argv[3]))"
    )
    (tmp_path / "files.json").write_text(json.dumps([corpus.to_dict(file) for file in files]))
    command = [sys.executable, "-c", script, str(tmp_path / "files.json"), str(marks), str(tmp_path)]
    child = subprocess.Popen(command, cwd=HOUSE)
    end = time.monotonic() + 60
    while len(list(marks.iterdir())) < 3:
        assert time.monotonic() < end and child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    folder = tmp_path / "annotations/made/run"
    there = {path.name for path in folder.glob("*.parquet") if not path.name.startswith(".")}
    assert 2 <= len(there) <= 3
    for mark in marks.iterdir():
        mark.unlink()
    done = run(files, [slow], tmp_path)
    assert done.computed == 8 - len(there) == len(list(marks.iterdir()))
    assert family(done.files, "slow")["n"].to_list() == [1] * 8


def test_a_stage_after_cuts_sees_what_they_leave(tmp_path: Path) -> None:
    """C4's cuts, then FineWeb's signals of the rest."""
    text = "Menu\n  A first line that stays[1].  \nShop now\n\tA second one, with no end\nuses cookies and more.\nMenu"
    files = data_files(tmp_path, [{"text": text, "domain": "web"}, {"text": "", "domain": "web"}, {"text": "one", "domain": "web"}], 1)

    def real(name: str, family: str, after: tuple[str, ...] = ()) -> Stage:
        target = find("curate", name)
        return Stage(name, bind(target, {}, ""), family, None, after=after)

    both = [real("c4.signals", "c4"), real("fineweb.signals", "rest", ("c4.cuts",)), real("gopher.signals", "g")]
    done = run(files, both, tmp_path)
    rest = spans.apply(pl.concat(read(file, ["text"], ["c4"]) for file in done.files), {"cut": ["c4.cuts"]})
    assert "Menu" not in rest[0] and "A first line that stays.  " in rest[0]
    assert family(done.files, "rest").drop("doc_id").equals(fineweb.signals(pl.DataFrame({"text": rest})))
    assert family(done.files, "rest")["lines"].to_list() == [2, 0, 0]
    assert family(done.files, "g")["n_chars"].to_list() == [len(text), 0, 3]                     # the others see the text as it is
    with pytest.raises(RecipeError, match="it writes spans .*leave after: out"):
        run(files, [both[0], real("c4.signals", "again", ("c4.cuts",))], tmp_path)
    with pytest.raises(RecipeError, match="reads 'c5', which no stage before it writes"):
        run(files, [both[0], real("fineweb.signals", "rest", ("c5.cuts",))], tmp_path)
