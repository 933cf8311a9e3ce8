"""Runs as things of their own: in the background, watched, stopped, killed, and two at a time."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from demo_run import HOME, headrace
from river_making import PATIENCE, Run, broken, cmdline, curation, kill, last_job, marked, run, write_inputs

from catalog import commits
from catalog.lake import Lake

pytestmark = [pytest.mark.slow, pytest.mark.chaos]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("jobs")
    write_inputs(folder)
    (folder / "brook.yaml").write_text(curation(), encoding="utf-8")
    return folder


class Terminal:
    """A terminal with a shell that runs one command, and then hangs up. `mark` is on all that is left of it."""

    def __init__(self, command: str, mark: str) -> None:
        ours, theirs = pty.openpty()
        shell = ["setsid", "--ctty", "--wait", "sh", "-c", command]
        environment = {**os.environ, "HEADRACE_TEST_MARK": mark}
        done = subprocess.Popen(shell, stdin=theirs, stdout=theirs, stderr=theirs, cwd=HOME, env=environment)
        os.close(theirs)
        said = b""
        while chunk := _read(ours):
            said += chunk
        self.code = done.wait(PATIENCE)
        os.close(ours)
        self.said = said.decode("utf-8", "replace")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # the last one who had it open is gone
        return b""


@pytest.fixture
def detached(home: Path, tmp_path: Path) -> Iterator[tuple[Path, str, str]]:
    """A run in the background whose terminal is gone: its lake, its name, the mark on its processes."""
    lake, mark = tmp_path / "lake", f"detached-{tmp_path.name}"
    terminal = Terminal(f"exec {sys.executable} -m headrace run {home}/brook.yaml --lake {lake} --detach", mark)
    assert terminal.code == 0, terminal.said
    found = re.match(r"(brook-\S+) runs in the background", terminal.said)
    assert found, terminal.said
    yield lake, found[1], mark
    for pid in marked(mark):
        kill(pid)


def job(lake: Path) -> dict[str, Any]:
    """What `headrace jobs` says of the one run."""
    (told,) = json.loads(headrace("jobs", "--json", "--lake", lake).out)
    return dict(told)


def until(seen: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not seen():
        assert time.monotonic() < end, "never seen"
        time.sleep(0.01)


def gone(mark: str, within: float = 5.0) -> bool:
    end = time.monotonic() + within
    while marked(mark) and time.monotonic() < end:
        time.sleep(0.05)
    return not marked(mark)


def test_a_detached_run_outlives_its_terminal_and_can_be_followed(detached: tuple[Path, str, str]) -> None:
    lake, name, mark = detached
    until(lambda: (lake / "runs" / name / "progress.json").is_file())
    working = job(lake)
    assert (working["run"], working["state"]) == (name, "running")
    assert working["now"].startswith(("ingest.", "curate.")), working
    followed = headrace("logs", name, "-f", "--lake", lake, timeout=PATIENCE)
    assert followed.code == 0
    assert followed.out.count("corpus@v1: kept 44 of 50 documents") == 1
    assert gone(mark)
    over = job(lake)
    assert (over["state"], over["done"]) == ("done", "3/3")
    assert headrace("logs", "last", "--lake", lake).out == followed.out
    assert "report:" in followed.out


def test_cancel_stops_a_detached_run_which_then_goes_on(home: Path, detached: tuple[Path, str, str]) -> None:
    lake, name, mark = detached
    until(lambda: any(lake.glob("data/web/*/.*.tmp")))
    said = headrace("cancel", name, "--lake", lake, timeout=PATIENCE)
    assert said.code == 0 and f"{name} is cancelled" in said.out
    assert gone(mark)
    assert job(lake)["state"] == "cancelled"
    assert headrace("cancel", name, "--lake", lake).code == 2
    run(home / "brook.yaml", lake)


def test_a_detached_run_that_was_killed_is_shown_as_killed(detached: tuple[Path, str, str]) -> None:
    lake, name, mark = detached
    until(lambda: any(lake.glob("data/web/*/.*.tmp")))
    (holder,) = [pid for pid in marked(mark) if b"headrace.detached" in cmdline(pid)]
    kill(holder)
    assert gone(mark)
    assert job(lake)["state"] == "killed"
    log = headrace("logs", name, "-f", "--lake", lake, timeout=PATIENCE)
    assert log.code == 0, "following a dead run ends"


def test_cancel_also_stops_a_run_that_a_script_started_in_the_background(home: Path, tmp_path: Path) -> None:
    """A shell gives its background processes SIGINT ignored, and they hand that down."""
    lake, mark = tmp_path / "lake", f"background-{tmp_path.name}"
    script = f"trap '' INT; exec {sys.executable} -m headrace run {home}/brook.yaml --lake {lake}"
    with subprocess.Popen(["sh", "-c", script], cwd=HOME, stderr=subprocess.DEVNULL, env={**os.environ, "HEADRACE_TEST_MARK": mark}) as started:
        until(lambda: any(lake.glob("data/web/*/.*.tmp")))
        said = headrace("cancel", job(lake)["run"], "--lake", lake, timeout=PATIENCE)
        assert said.code == 0 and "is cancelled" in said.out
        assert started.wait(PATIENCE) == 143, "it was told, not waited for and killed"
    assert gone(mark)
    assert last_job(lake)["error"] == "interrupted"


def test_ctrl_c_says_one_line_at_whatever_time_it_comes(home: Path, tmp_path: Path) -> None:
    """Also while a child is only starting: it must not tell of its imports."""
    with Run(home / "brook.yaml", tmp_path / "lake") as running:
        running.until(lambda: any(b"headrace.child" in cmdline(pid) for pid in running.family()))
        running.process.send_signal(signal.SIGINT)
        assert running.wait() == 130
        assert running.said() == "headrace: interrupted; run the same command to go on where it was\n"
        assert running.gone()
    assert last_job(tmp_path / "lake")["state"] == "cancelled"


@pytest.mark.spark
def test_spark_ends_with_the_run_that_started_it(home: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    with Run(home / "brook.yaml", lake, arguments=("--master", "local[1]")) as running:
        running.until(lambda: any(lake.glob("data/web/*/.*.tmp")))
        assert any(b"java" in cmdline(pid) for pid in running.family())
        kill(running.process.pid)
        running.wait()
        assert running.gone(within=10)
    assert broken(lake) == []


def test_two_runs_of_one_recipe_at_a_time_leave_one_whole_lake(home: Path, tmp_path: Path) -> None:
    lake = tmp_path / "both"
    with Run(home / "brook.yaml", lake) as first, Run(home / "brook.yaml", lake, arguments=("--lock-timeout", str(PATIENCE))) as second:
        codes = (first.wait(), second.wait())
        assert codes == (0, 0), first.said() + second.said()
        assert first.gone() and second.gone()
    assert broken(lake) == []
    with Lake.open(lake) as opened:
        assert opened.rows("SELECT dataset, max(version) AS version, max(rows) AS rows FROM snapshot GROUP BY 1 ORDER BY 1") == [
            {"dataset": "corpus", "version": 1, "rows": 50}, {"dataset": "corpus.bands", "version": 1, "rows": 50},
            {"dataset": "notes", "version": 1, "rows": 14}, {"dataset": "web", "version": 1, "rows": 36},
        ]  # fmt: skip
    assert "nothing to do" in run(home / "brook.yaml", lake)


def test_a_part_that_another_run_works_on_is_waited_for_and_then_refused(home: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    run(home / "brook.yaml", lake, "--only", "ingest.notes")
    with Run(home / "brook.yaml", lake) as first:
        first.until(lambda: any(lake.glob("data/web/*/.*.tmp")))
        os.kill(first.child(), 19)  # SIGSTOP: it holds its turn
        said = headrace("run", home / "brook.yaml", "--lake", lake, "--lock-timeout", "2")
        assert said.code == 2
        assert re.search(rf"process {first.child()}, doing ingest.web, .* holds the lock and did not let go within 2 s", said.err.splitlines()[-1]), said.err
        os.kill(first.child(), 18)
        assert first.wait() == 0
    assert commits.current(lake) == len(list((lake / "commits").glob("*.json")))
