"""Commits under fire: many processes, kill -9 at every point, a lock that is held. All or nothing, and no reader ever errs."""

import multiprocessing
import random
import re
import time
from pathlib import Path

import pytest

from catalog import commits, entries
from catalog.errors import LakeError
from catalog.lake import Lake, rebuild
from catalog.process import user
from tests.catalog_making import commit_killed, commit_many, count, data_file, draft, everything, hold_lock, make_killed, read_on

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.catalog_making", "catalog.publishing", "catalog.snapshots"])


@pytest.fixture
def root(tmp_path):
    with Lake.open(tmp_path / "lake", create=True) as lake:
        lake.commit(draft([data_file(lake.root, "web", "first", 20)], key="first", mode="append"))
    return lake.root


@pytest.mark.slow
@pytest.mark.chaos
def test_writers_readers_and_kills(root):
    """4 writers x 15 commits, 2 readers, a kill -9 every half second: 60 of 60 there, each once, and no reader error."""
    stop, said, chance = processes.Event(), processes.Queue(), random.Random(7)
    readers = [processes.Process(target=read_on, args=(str(root), stop, said)) for _ in range(2)]
    writers = {name: processes.Process(target=commit_many, args=(str(root), name, 15)) for name in ("a", "b", "c", "d")}
    for process in (*readers, *writers.values()):
        process.start()
    kills = 0
    while any(process.is_alive() for process in writers.values()):
        time.sleep(chance.uniform(0.2, 0.6))
        name = chance.choice(sorted(writers))
        if kills < 8 and writers[name].is_alive():
            writers[name].kill()
            kills += 1
        for name, process in writers.items():
            if process.exitcode is not None and process.exitcode < 0:
                writers[name] = processes.Process(target=commit_many, args=(str(root), name, 15))
                writers[name].start()
    stop.set()
    answers = [said.get(timeout=30) for _ in readers]
    for process in (*readers, *writers.values()):
        process.join(30)
    assert [process.exitcode for process in writers.values()] == [0] * 4 and kills >= 4
    assert [wrong for _, wrong in answers] == [[], []] and all(opened > 10 for opened, _ in answers)
    with Lake.open(root) as lake:
        keys = [row["key"] for row in lake.rows("SELECT key FROM snapshot WHERE dataset = 'web' ORDER BY version")]
        assert sorted(keys) == sorted(["first", *(f"{name}-{i}" for name in writers for i in range(15))])
        assert lake.snapshot("web").rows == 61 * 20 and lake.version == 62
        before = everything(lake)
        lake.rebuild()
        assert everything(lake) == before


def test_the_docs_list_every_point():
    text = (Path(__file__).resolve().parent.parent / "docs/lake.md").read_text("utf-8")
    table = text.partition("### Where a commit can be killed")[2].partition("\nThe lock is")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.M)) == commits.POINTS


@pytest.mark.chaos
@pytest.mark.parametrize("point", commits.POINTS)
def test_a_kill_leaves_all_or_nothing(root, point):
    child = processes.Process(target=commit_killed, args=(str(root), point, "second"))
    child.start()
    child.join(60)
    assert child.exitcode == -9
    there = commits.POINTS.index(point) >= commits.POINTS.index("current")
    with Lake.open(root) as lake:
        assert (lake.has("second") is not None) == there and lake.snapshot("web").rows == (40 if there else 20)
        assert count(lake, "data.web") == (40 if there else 20)
        second = lake.commit(draft([data_file(lake.root, "web", "second", 20)], key="second", mode="append"))
        third = lake.commit(draft([data_file(lake.root, "web", "third", 20)], key="third", mode="append"))
        assert (second.version, third.version, third.rows) == (2, 3, 60)
        numbers = sorted(int(path.stem) for path in root.glob("commits/*.json"))
        assert numbers == list(range(1, lake.version + 1)) and not list(root.rglob(".*.tmp"))
        assert (root / "catalog.duckdb").resolve() == lake.catalogue and lake.gc(grace=0) == []
        before = everything(lake)
        lake.rebuild()
        assert everything(lake) == before


@pytest.mark.chaos
@pytest.mark.parametrize("point", ("locked", "applied", "logged", "current"))
def test_a_kill_while_the_lake_is_made(tmp_path, point):
    child = processes.Process(target=make_killed, args=(str(tmp_path / "lake"), point))
    child.start()
    child.join(60)
    assert child.exitcode == -9
    with Lake.open(tmp_path / "lake", create=True) as lake:
        assert lake.version == 1 and lake.datasets() == []


def test_a_second_writer_waits_and_says_for_whom(root, caplog):
    held = processes.Event()
    child = processes.Process(target=hold_lock, args=(str(root), held, 3.0))
    child.start()
    assert held.wait(30)
    with Lake.open(root, lock_timeout=0.2) as lake:
        wanted = draft([data_file(root, "web", "second", 20)], key="second", mode="append")
        with pytest.raises(LakeError, match=rf"process {child.pid}, committing slowly, since .* did not let go within 0.2 s.*--lock-timeout"):
            lake.commit(wanted)
        assert lake.snapshot("web").rows == 20  # readers do not wait
        lake.lock_timeout = 30
        assert lake.commit(wanted).version == 2
    assert any("waiting up to 30 s for" in line and f"process {child.pid}" in line for line in caplog.messages)
    child.join(30)


def test_a_killed_holder_blocks_nobody(root):
    held = processes.Event()
    child = processes.Process(target=hold_lock, args=(str(root), held, 60.0))
    child.start()
    assert held.wait(30)
    child.kill()
    child.join(30)
    with Lake.open(root, lock_timeout=1) as lake:
        assert lake.commit(draft([data_file(root, "web", "second", 20)], key="second", mode="append")).version == 2


def test_old_catalogues_are_pruned_and_a_late_reader_looks_again(root, monkeypatch):
    with Lake.open(root) as writer, Lake(root, 1.0) as reader:
        seen = writer.version
        for i in range(6):
            writer.record({"train_metric": [{"step": i}]}, "r")
        assert sorted(int(p.stem.partition("-")[2]) for p in root.glob("catalog-*.duckdb")) == list(range(writer.version - 4, writer.version + 1))
        answers = [seen, writer.version]  # CURRENT as a slow reader saw it, pruned since; then as it is
        real = commits.current
        monkeypatch.setattr(commits, "current", lambda root: answers.pop(0) if answers else real(root))
        assert reader.rows("SELECT count(*) AS n FROM train_metric") == [{"n": 6}]


def test_the_log_rebuilds_a_lake_whose_current_is_gone(root):
    with Lake.open(root) as lake:
        lake.record({"model": [{"model": "base", "size": 3}]}, "r2")
        before = everything(lake)
    for path in (root / "CURRENT", *root.glob("catalog*.duckdb")):
        path.unlink()
    with pytest.raises(LakeError, match="there is no lake here"):
        Lake.open(root)
    with pytest.raises(LakeError, match="CURRENT is missing though there is a log; `headrace doctor --rebuild`"):
        Lake.open(root, create=True)
    assert rebuild(root) == []
    with Lake.open(root) as lake:
        assert everything(lake) == before and count(lake, "data.web") == 20


@pytest.mark.parametrize(("gone", "said"), [((2,), "commits/2.json,"), ((1, 3), "commits/1.json, commits/3.json,"), ((4,), "commits/4.json,.*remove CURRENT")])
@pytest.mark.parametrize("current", [True, False])
def test_a_log_with_a_hole_is_not_rebuilt(root, gone, said, current):
    with Lake.open(root) as lake:
        for name in ("second", "third"):
            lake.commit(draft([data_file(root, "web", name, 20)], key=name, mode="append"))
        before = everything(lake)
    for number in gone:
        (root / "commits" / f"{number}.json").rename(root / f"{number}.kept")
    if not current:
        (root / "CURRENT").unlink()
    if current or gone != (4,):  # without CURRENT nobody can tell that the log went on
        with pytest.raises(LakeError, match=f"of the log's entries 1 to 4 there is no {said}.*; nothing was changed"):
            rebuild(root)
        assert not (root / "catalog-5.duckdb").exists() and (root / "catalog-4.duckdb").exists()
    for number in gone:
        (root / f"{number}.kept").rename(root / "commits" / f"{number}.json")
    assert rebuild(root) == []
    with Lake.open(root) as lake:
        assert everything(lake) == before


def test_what_lies_beyond_current_is_no_part_of_the_log(root):
    with Lake.open(root) as lake:
        before, number = everything(lake), lake.version
    (root / "commits" / f"{number + 3}.json").write_text("{}")
    assert rebuild(root) == []
    with Lake.open(root) as lake:
        assert everything(lake) == before and lake.version == number + 1
    assert not (root / "commits" / f"{number + 3}.json").exists()


@pytest.mark.parametrize(("text", "why"), [('{"numb', "JSONDecodeError"), ("[]", "TypeError"), ('{"number": 7}', "it is entry 7")])
def test_a_spoilt_entry_of_the_log_is_said_in_one_line(root, text, why):
    (root / "commits" / "2.json").write_text(text)
    with pytest.raises(LakeError, match=rf"commits/2.json: is no entry 2 of the log \({why}"):
        rebuild(root)


def test_nothing_is_committed_where_the_log_is_gone(root):
    (root / "commits").rename(root / "away")
    with Lake.open(root) as lake:
        with pytest.raises(LakeError, match="commits/, the log, is gone.*put it back before you commit"):
            lake.record({"train_metric": [{"step": 1}]}, "r")
        assert lake.snapshot("web").rows == 20
    with pytest.raises(LakeError, match="there is no lake here, not even its log"):
        rebuild(root)


def test_a_spoilt_catalogue_is_said_wherever_it_is_met(root):
    """A block in the middle of the file may be met by a question alone, when the lake was opened long ago."""
    file, said = (root / "catalog.duckdb").resolve(), []
    whole = file.read_bytes()
    file.chmod(0o644)
    for at in range(12288 + 64, len(whole), 16384):  # three headers, then blocks
        file.write_bytes(whole[:at] + b"\xff" * 64 + whole[at + 64 :])
        try:
            with Lake.open(root) as lake:
                lake.snapshot("web")
        except LakeError as error:
            said.append(str(error))
    assert any("catalog-2.duckdb is spoilt (IO Error: Corrupt" in line for line in said)
    assert all("`headrace doctor --rebuild` makes it" in line and "\n" not in line for line in said)


def test_a_container_without_an_account_for_its_uid_commits_too(root, monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 54321)
    entries._me.cache_clear()
    with Lake.open(root) as lake:
        lake.commit(draft([data_file(lake.root, "web", "second", 20)], key="second", mode="append"))
    said = entries.blank("record", None)["by"]
    entries._me.cache_clear()
    assert said["user_name"] == "uid-54321"
    monkeypatch.setenv("LOGNAME", "anna")
    assert user() == "anna"
