"""What is done is not done again: a recipe that changes a little does a little, and nothing else moves on the disk."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo_run import headrace
from river_making import STAGES, curation, differences, run, tables, write_crawl, write_inputs, write_policy

from catalog.lake import Lake

pytestmark = pytest.mark.slow

Shelf = dict[str, tuple[int, int]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("brook")
    write_inputs(folder)
    (folder / "brook.yaml").write_text(curation(), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def done(home: Path) -> Path:
    """The lake of one run, for tests to copy."""
    run(home / "brook.yaml", home / "done")
    return home / "done"


@pytest.fixture
def lake(done: Path, tmp_path: Path) -> Path:
    """A lake where the recipe is done. It was copied there, so its views are made again, as `doctor --moved` does."""
    shutil.copytree(done, tmp_path / "lake", symlinks=True)
    with Lake.open(tmp_path / "lake") as opened:
        opened.moved()
    return tmp_path / "lake"


@pytest.fixture
def other_policy(home: Path) -> Iterator[None]:
    """The policy asks for longer documents while a test runs."""
    write_policy(home, "plain", 200)
    yield
    write_policy(home, "plain", 40)


@pytest.fixture
def one_more_crawl(home: Path) -> Iterator[Path]:
    """A fourth crawl file lies among the inputs while a test runs."""
    path = home / "crawl-4.warc.gz"
    write_crawl(path, 4)
    yield path
    path.unlink()


def shelf(lake: Path, folder: str = "annotations/corpus") -> Shelf:
    """Every data or annotation file of a dataset with its inode and time: what was written again has others.

    Not its samples, nor the pairs that were compared (`jaccard-*.parquet`), which stand beside no file.
    """
    files = (file for file in (lake / folder).glob("*/*.parquet") if file.parent.name != "sample" and not file.name.startswith("jaccard-"))
    return {str(file.relative_to(lake)): (file.stat().st_ino, file.stat().st_mtime_ns) for file in files}


def families(paths: object) -> set[str]:
    """The families that annotation files are of."""
    return {Path(str(path)).name.split(".")[1].rpartition("-")[0] for path in paths}  # type: ignore[attr-defined]


def untouched(before: Shelf, after: Shelf) -> bool:
    return {path: after.get(path) for path in before} == before


def counts(lake: Path, query: str) -> list[tuple[object, ...]]:
    with Lake.open(lake) as opened, opened.attached() as db:
        return db.execute(query).fetchall()


def metric(lake: Path, name: str) -> float:
    with Lake.open(lake) as opened:
        found = opened.rows("SELECT value FROM metric WHERE dataset = 'corpus' AND name = ? ORDER BY version", [name])
        return float(found[-1]["value"])


def recipe(home: Path, name: str, **given: object) -> Path:
    path = home / f"{name}.yaml"
    path.write_text(curation(**given), encoding="utf-8")  # type: ignore[arg-type]
    return path


def test_run_again_it_does_nothing(home: Path, done: Path) -> None:
    before = sorted((file, file.stat().st_mtime_ns) for file in done.rglob("*"))
    assert "nothing to do" in run(home / "brook.yaml", done)
    assert sorted((file, file.stat().st_mtime_ns) for file in done.rglob("*")) == before


def test_a_new_stage_computes_its_family_alone(home: Path, lake: Path) -> None:
    before, data = shelf(lake), shelf(lake, "data/web")
    said = run(recipe(home, "longer", stages=(*STAGES, "fineweb.signals")), lake)
    after = shelf(lake)
    assert "ingest.web: done before" in said
    assert untouched(before, after) and shelf(lake, "data/web") == data
    assert families(after.keys() - before.keys()) == {"fineweb"}
    assert len(after) == len(before) + 4
    assert counts(lake, "SELECT count(fineweb.line_punct_ratio) FROM audit.corpus") == [(50,)]


def test_an_edited_policy_computes_no_signal(home: Path, lake: Path, other_policy: None) -> None:
    before, kept = shelf(lake), counts(lake, "SELECT count(*) FROM data.corpus")
    said = run(home / "brook.yaml", lake)
    after = shelf(lake)
    assert "ingest.web: done before" in said
    assert untouched(before, after)
    assert families(after.keys() - before.keys()) == {"verdict"}
    assert metric(lake, "files_computed") == 0
    short = counts(lake, "SELECT count(*) FROM audit.corpus WHERE gopher.n_words < 200")
    assert counts(lake, "SELECT count(*) FROM audit.corpus WHERE reason = 'too_short'") == short != [(0,)]
    assert counts(lake, "SELECT count(*) FROM data.corpus") != kept


def test_two_policies_stand_on_one_dataset(home: Path, lake: Path) -> None:
    before, kept = shelf(lake), counts(lake, "SELECT doc_id FROM data.corpus ORDER BY 1")
    run(recipe(home, "two", policy="[plain, strict]"), lake)
    after = shelf(lake)
    assert untouched(before, after)
    assert families(after.keys() - before.keys()) == {"verdict_strict"}
    assert counts(lake, "SELECT doc_id FROM data.corpus ORDER BY 1") == kept
    strict = 'SELECT count(*), min(gopher.n_words) >= 200 FROM data."corpus/strict"'
    assert counts(lake, strict)[0][1] is True
    assert 0 < counts(lake, strict)[0][0] < len(kept)  # type: ignore[operator]
    assert counts(lake, "SELECT DISTINCT dataset FROM funnel WHERE dataset LIKE 'corpus%' ORDER BY 1") == [("corpus",), ("corpus/strict",)]


def test_set_is_as_good_as_an_edit(home: Path, lake: Path) -> None:
    short = "SELECT count(*) FROM data.corpus WHERE gopher.n_words < 200"
    before = counts(lake, short)
    run(home / "brook.yaml", lake, "--set", "curate.corpus.policy=strict")
    assert counts(lake, short) == [(0,)] != before
    assert "nothing to do" in run(recipe(home, "edited", policy="strict"), lake)


def test_a_recipe_that_is_changed_back_shows_again_what_it_says(home: Path, lake: Path) -> None:
    kept = counts(lake, "SELECT count(*) FROM data.corpus")
    run(recipe(home, "edited", policy="strict"), lake)
    before = shelf(lake)
    said = run(home / "brook.yaml", lake)
    assert "corpus@v3" in said and "ingest.web: done before" in said
    assert counts(lake, "SELECT count(*) FROM data.corpus") == kept
    assert shelf(lake) == before, "the verdicts were there"
    assert "nothing to do" in run(home / "brook.yaml", lake)


def test_an_applied_policy_stays_where_the_recipe_did_not_change(home: Path, lake: Path) -> None:
    assert headrace("policy", "apply", home / "policies" / "strict.yaml", "--on", "corpus", "--lake", lake).code == 0
    assert "nothing to do" in run(home / "brook.yaml", lake)
    assert counts(lake, 'SELECT count(*) FROM data."corpus/strict" WHERE gopher.n_words < 200') == [(0,)]


def test_limit_is_a_quick_look_that_the_whole_run_replaces(home: Path, done: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    run(home / "brook.yaml", lake, "--limit", "4")
    assert counts(lake, "SELECT (SELECT count(*) FROM audit.web), (SELECT count(*) FROM audit.notes), (SELECT count(*) FROM audit.corpus)") == [(4, 4, 8)]
    assert "nothing to do" in run(home / "brook.yaml", lake, "--limit", "4")
    run(home / "brook.yaml", lake)
    rows = {name: table for name, table in tables(lake).items() if name.startswith(("data.", "audit.", "stats.", "funnel"))}
    assert differences(rows, {name: table for name, table in tables(done).items() if name in rows}) == {}


def test_only_does_what_it_names(home: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    early = headrace("run", home / "brook.yaml", "--lake", lake, "--only", "curate.corpus")
    assert early.code == 2
    assert early.err.splitlines()[-1].endswith("curate.corpus needs ingest.web, ingest.notes, not done yet; add it to --only")
    run(home / "brook.yaml", lake, "--only", "ingest.notes")
    with Lake.open(lake) as opened:
        assert opened.datasets() == ["notes"]
    half = headrace("run", home / "brook.yaml", "--lake", lake, "--only", "ingest.notes,curate")
    assert half.code == 2
    assert "curate.corpus needs ingest.web, not done yet" in half.err


def test_force_does_a_part_again_and_for_good(home: Path, lake: Path) -> None:
    before, data = shelf(lake), shelf(lake, "data/notes")
    said = run(home / "brook.yaml", lake, "--force", "curate.corpus")
    again = shelf(lake).keys() - before.keys()
    assert "ingest.web: done before" in said
    assert families(again) == families(before) - {"bands", "exact"}, "what judges is computed once more, beside the old files"
    assert untouched(before, shelf(lake)) and shelf(lake, "data/notes") == data
    assert counts(lake, "SELECT max(version) FROM snapshot WHERE dataset = 'corpus'") == [(2,)]
    assert "nothing to do" in run(home / "brook.yaml", lake)


def test_a_forced_part_that_was_killed_goes_on_without_being_forced_again(home: Path, lake: Path) -> None:
    dead = headrace("run", home / "brook.yaml", "--lake", lake, "--force", "ingest.notes", HEADRACE_KILL_AT="prepared")
    assert dead.code == 1
    landed = shelf(lake, "data/notes")
    assert len(landed) == 2
    said = run(home / "brook.yaml", lake)
    assert shelf(lake, "data/notes") == landed
    assert "ingest.notes: notes@v2" in said and "ingest.web: done before" in said and "curate.corpus: corpus@v2" in said
    assert counts(lake, "SELECT count(*), count(DISTINCT doc_id) FROM audit.corpus") == [(50, 50)]


def test_a_new_input_file_leaves_the_old_ones_alone(home: Path, lake: Path, one_more_crawl: Path) -> None:
    data, before = shelf(lake, "data/web"), shelf(lake)
    said = run(home / "brook.yaml", lake)
    assert "ingest.notes: done before" in said
    assert untouched(data, shelf(lake, "data/web"))
    assert len(shelf(lake, "data/web")) == len(data) + 1
    assert untouched(before, shelf(lake))
    new = shelf(lake).keys() - before.keys()
    signals = [path for path in new if families([path]) <= {"language", "gopher", "c4", "pii"}]
    assert families(new) == {"language", "gopher", "c4", "pii", "dup", "bands", "exact", "verdict"}
    assert len(signals) == 4, "signals of the new file alone"
    assert metric(lake, "files_computed") == 1
    assert counts(lake, "SELECT count(*), count(DISTINCT doc_id) FROM audit.corpus") == [(62, 62)]


def test_adopt_takes_what_is_there_after_a_harmless_change(home: Path, lake: Path) -> None:
    notes = home / "notes.jsonl"
    was = notes.stat()
    before = shelf(lake)
    try:
        notes.touch()  # a new time, the same bytes
        plan = json.loads(headrace("plan", home / "brook.yaml", "--json", "--lake", lake).out)
        assert {part["part"] for part in plan["parts"] if part["state"] != "done"} == {"ingest.notes", "curate.corpus"}
        adopted = headrace("adopt", "ingest.notes", "--recipe", home / "brook.yaml", "--lake", lake)
        assert adopted.code == 0 and "notes@v1 is adopted" in adopted.out
        assert "nothing to do" in run(home / "brook.yaml", lake)
        again = headrace("adopt", "ingest.notes", "--recipe", home / "brook.yaml", "--lake", lake)
        assert again.code == 0 and "nothing to adopt" in again.out
    finally:
        os.utime(notes, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert shelf(lake) == before
    assert counts(lake, "SELECT count(*) FROM run WHERE run LIKE 'adopt-%' OR part = 'ingest.notes'")[0][0] >= 1  # type: ignore[operator]
    assert "nothing to do" in run(home / "brook.yaml", lake)
