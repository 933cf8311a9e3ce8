"""What is collected and what stays: files that a snapshot names, receipts about them, what a commit in flight is about to name."""

import json
import os
from pathlib import Path

import pytest
from demo_run import headrace

from catalog import commits
from catalog.errors import LakeError
from catalog.lake import Lake
from catalog.scratch import Scratch
from tests.catalog_making import age, data_file, draft, gopher

SAYING = "The miller opens the upper sluice before the rain comes and the water turns the wooden wheel, so that we grind the corn of the town number"


@pytest.fixture
def lake(tmp_path):
    with Lake.open(tmp_path / "lake", create=True) as opened:
        yield opened


def test_garbage_is_what_no_snapshot_names(tmp_path, lake):
    file = data_file(lake.root, "web", "a")
    lake.commit(draft([file]))
    stray, outside = data_file(lake.root, "web", "stray"), tmp_path / "outside.parquet"
    outside.write_text("mine")
    os.symlink(outside, lake.root / "data" / "link.parquet")
    (lake.root / "ledger").mkdir()
    (lake.root / "ledger" / "part.jsonl").write_text("{}")
    assert lake.gc() == []  # all of it is younger than a day: a part that runs now may be about to name it
    assert [g.path for g in lake.gc(grace=0)] == [stray.path] and Path(stray.full_path).exists()
    assert [g.path for g in lake.gc(apply=True, grace=0)] == [stray.path]
    assert not Path(stray.full_path).exists() and outside.exists() and (lake.root / "ledger" / "part.jsonl").exists()
    assert lake.gc(grace=0) == [] and lake.query("SELECT * FROM data.web").num_rows == 50
    assert lake.query("SELECT * FROM sample.web").num_rows == 50 and len(lake.locate("h1.example")) == 10


def test_a_receipt_stays_as_long_as_what_it_is_about(lake):
    file = gopher(data_file(lake.root, "web", "a"), "corpus")
    lake.commit(draft([file], "corpus"))
    data_file(lake.root, "web", "stray")
    kept = ("data/web/r1/a.json", "annotations/corpus/r1/dup-1234.json")
    gone = ("data/web/r1/stray.json", "annotations/corpus/r2/dup-5678.json", "annotations/corpus/r1/dup-1234.json.work/nodes.json", "locator/x.json")
    for path in (*kept, *gone):
        (lake.root / path).parent.mkdir(parents=True, exist_ok=True)
        (lake.root / path).write_text("{}")
    assert {g.path for g in lake.gc(apply=True, grace=0)} == {*gone, "data/web/r1/stray.parquet"}
    assert all((lake.root / path).is_file() for path in kept) and lake.gc(grace=0) == []


def test_what_a_search_at_work_passes_on_is_let_be(lake):
    scratch = Scratch(str(lake.root / "annotations/corpus/r1/dup-1234.json.work"))
    wanted = Path(scratch.folder) / "pairs.parquet"
    wanted.write_text("{}")
    assert lake.gc(apply=True, grace=0) == [] and wanted.is_file()
    del scratch                                              # the process has ended, its files are left
    assert [Path(g.path).name for g in lake.gc(apply=True, grace=0)] == [".lock", "pairs.parquet"]


def test_what_documents_are_compared_by_stays_beside_the_results(lake):
    lake.commit(draft([gopher(data_file(lake.root, "web", "a"), "corpus")], "corpus"))
    made = ("a.exact-12ab.parquet", "a.bands-12ab.parquet", "jaccard-12ab-34cd.parquet", "bloom-12ab.npy", "bloom-12ab.parquet")
    gone = ("annotations/corpus/r1/a.gopher-56ef.parquet", "annotations/corpus/r1/bloom-12ab.npy.tmp", *(f"annotations/corpus/r2/{name}" for name in made))
    for path in (*(f"annotations/corpus/r1/{name}" for name in made), *gone):
        (lake.root / path).parent.mkdir(parents=True, exist_ok=True)
        (lake.root / path).write_text("")
    assert {g.path for g in lake.gc(apply=True, grace=0)} == set(gone)
    assert all((lake.root / "annotations/corpus/r1" / name).is_file() for name in made)


@pytest.mark.parametrize("place", ["annotations/other/sample", "annotations/other/quarantine", "locator"])
def test_a_file_that_goes_while_it_is_being_published_is_never_named(lake, monkeypatch, place):
    lake.commit(draft([data_file(lake.root, "web", "a")]))
    wanted = draft([*lake.snapshot("web").files, data_file(lake.root, "other", "b")], "other", "k2", quarantine=({"uri": "u", "reason": "empty"},))
    named, number = lake._named(), lake.version

    def reach(point):
        for path in (lake.root / place).glob("*.parquet") if point == "prepared" else ():
            if str(path.relative_to(lake.root)) not in named:
                path.unlink()

    with monkeypatch.context() as racing:
        racing.setattr(commits, "reach", reach)
        with pytest.raises(LakeError, match=rf"{place}/\w+.parquet: was removed while it was being published; run its part again"):
            lake.commit(wanted)
    assert lake.version == number and lake.datasets() == ["web"]
    assert lake.commit(wanted).rows == 100 and lake.query("SELECT * FROM sample.other").num_rows == 100
    assert all((lake.root / path).is_file() for path in lake._named())


def test_a_locator_that_was_merged_for_nothing_waits_for_the_next_commit(lake, monkeypatch):
    from catalog import locator

    monkeypatch.setattr(locator, "MOST", 2)
    for name in "abc":
        lake.commit(draft([data_file(lake.root, "web", name)], key=name, mode="append"))
    named, merged = lake._named(), []

    def reach(point):
        for path in lake.root.glob("locator/*") if point == "prepared" else ():
            if str(path.relative_to(lake.root)) not in named:
                merged.append(path)
                path.unlink()

    with monkeypatch.context() as racing:
        racing.setattr(commits, "reach", reach)
        lake.commit(draft(list(lake.snapshot("web").files), "again", "k2"))
    assert len(merged) == 1 and all((lake.root / path).is_file() for path in lake._named()) and len(lake.locate("h1.example")) == 2 * 3 * 10


def test_an_old_leftover_that_is_found_again_is_young(lake, monkeypatch):
    """A killed commit left its sample and locator two days ago; the next one takes them, and a collection meanwhile leaves them."""
    file = data_file(lake.root, "web", "a")

    def die(point):
        if point == "prepared":
            raise KeyboardInterrupt

    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(commits, "reach", die)
        lake.commit(draft([file]))
    left = [*lake.root.glob("annotations/web/sample/*"), *lake.root.glob("locator/*")]
    inodes = {path: path.stat().st_ino for path in left}
    age(*left)
    assert len(left) == 2 and len(lake.gc()) == 2
    collected = []
    with monkeypatch.context() as racing:
        racing.setattr(commits, "reach", lambda point: collected.extend(Lake.open(lake.root).gc()) if point == "prepared" else None)
        lake.commit(draft([file]))
    assert collected == [] and {path: path.stat().st_ino for path in left} == inodes


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with two files of notes, a recipe over all there are, and a lake where it has run."""
    folder = tmp_path_factory.mktemp("home")
    for name in "ab":
        write_notes(folder, name)
    write_recipe(folder)
    told(folder, "run", "r.yaml")
    return folder


def write_notes(folder, name):
    notes = [{"text": f"{SAYING} {name} {i // 2}. " * 4, "uri": f"https://{name}.example/{i}"} for i in range(8)]
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes), encoding="utf-8")


def write_recipe(folder, stages="language.identify, gopher.signals", least=10):
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "policies" / "plain.yaml").write_text(f'drop:\n  too_short: "gopher.n_words < {least}"\nkeep: [length(text) DESC]\n', encoding="utf-8")
    text = "name: x\nseed: 1\nlake: lake\ningest:\n  notes: {tables: {paths: ['*.jsonl']}, domain: web}\ncurate:\n  corpus:\n    from: [notes]\n"
    text += f"    stages: [{stages}]\n    dedup: {{exact: {{}}, minhash: {{preset: fineweb, verify: 0.8}}}}\n    policy: plain\n"
    (folder / "r.yaml").write_text(text, encoding="utf-8")


def told(folder, *arguments, code=0):
    said = headrace(*arguments, cwd=folder)
    assert said.code == code, said.err[-3000:]
    return said


def shelf(folder):
    """Every file that text and signals lie in, or that tells of them, with its inode."""
    files = (path for room in ("data", "annotations") for path in (folder / "lake" / room).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.stat().st_ino for path in files}


@pytest.mark.slow
def test_after_a_collection_a_run_goes_on_where_it_stood(home):
    """Nothing that a later run asks for is collected: a file appended, a stage added, a policy changed write nothing again."""
    def collect():
        age(*(path for path in (home / "lake").rglob("*") if path.is_file()))
        assert told(home, "gc", "--apply").out.strip() == "nothing to collect"
        assert told(home, "gc", "--grace", "0").out.strip() == "nothing to collect"
        return shelf(home)

    before = collect()
    assert sorted(Path(path).suffix for path in before).count(".json") == 2
    told(home, "run", "r.yaml")
    assert shelf(home) == before
    write_notes(home, "c")
    told(home, "run", "r.yaml")
    after = collect()
    assert before.items() <= after.items()
    write_recipe(home, "language.identify, gopher.signals, pii.spans")
    told(home, "run", "r.yaml")
    staged = collect()
    assert after.items() <= staged.items() and not [path for path in staged.keys() - after.keys() if ".dup-" in path and "/sample/" not in path]
    write_recipe(home, "language.identify, gopher.signals, pii.spans", least=60)
    told(home, "run", "r.yaml")
    new = {path for path in shelf(home).keys() - staged.keys() if "/sample/" not in path}
    assert staged.items() <= shelf(home).items() and new and all(".verdict-" in path for path in new)


def test_the_command_line_refuses_what_is_no_grace_and_no_lake(home, tmp_path):
    for grace in ("-1", "nan"):
        said = told(home, "gc", "--grace", grace, code=2)
        assert said.err.strip() == f"headrace: a grace of {grace} hours is not 0 or more"
    (tmp_path / "file").touch()
    for command in (["ls"], ["sql", "SELECT 1"], ["run", "r.yaml"], ["gc"], ["show", "notes"]):
        said = told(home, *command, "--lake", tmp_path / "file", code=2)
        assert said.err.strip().splitlines() == [f"headrace: {tmp_path / 'file'}: is a file, and a lake is a folder; name another by --lake PATH"], command
