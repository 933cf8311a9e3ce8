"""The states of runs on disk: whose process they name, and what a spoilt one says."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from demo_run import headrace

from catalog.errors import LakeError
from catalog.lake import Lake
from headrace.jobs import Job, born, cancel_run, load_jobs, new_job, read_job


@pytest.fixture
def lake(tmp_path: Path) -> str:
    Lake.open(tmp_path / "lake", create=True).close()
    return str(tmp_path / "lake")


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """Somebody else's process, which also has our name on its command line."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "-m", "headrace"])
    yield process
    process.kill()
    process.wait()


def as_written(job: Job, **changes: object) -> Path:
    """Change a run's state on the disk."""
    file = job.folder / "state.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes), encoding="utf-8")
    return file


def test_a_number_that_is_used_again_is_not_our_process(lake: str, stranger: subprocess.Popen[bytes]) -> None:
    job = new_job(lake, "x", "x.yaml").mark({"ingest.a": "running"})
    assert job.alive and load_jobs(lake)[0].state == "running"
    as_written(job, pid=stranger.pid)                        # as when ours ended without a word and the kernel gave its number away
    assert [found.state for found in load_jobs(lake)] == ["killed"]
    with pytest.raises(LakeError, match="is not working: it is killed"):
        cancel_run(lake, job.id)
    assert stranger.poll() is None
    assert replace(job, pid=stranger.pid).save().alive       # one that was handed over is its new holder's


def test_a_state_of_before_is_read_and_names_nobody(lake: str, stranger: subprocess.Popen[bytes]) -> None:
    job = new_job(lake, "x", "x.yaml").mark({})
    file = as_written(job, pid=stranger.pid)
    given = json.loads(file.read_text(encoding="utf-8"))
    del given["born"]
    file.write_text(json.dumps(given | {"of_a_later_headrace": 1}), encoding="utf-8")
    assert read_job(job.folder).recipe == "x.yaml" and load_jobs(lake)[0].state == "killed"


def test_a_process_that_only_waits_to_be_reaped_is_not_alive() -> None:
    process = subprocess.Popen(["true"])
    end = time.monotonic() + 10
    while born(process.pid) is not None and time.monotonic() < end:
        time.sleep(0.01)
    assert born(process.pid) is None and Path(f"/proc/{process.pid}").exists()
    process.wait()
    assert born(process.pid) is None and born(os.getpid()) == born(os.getpid()) is not None


@pytest.mark.parametrize("text", ["", '{"id": "x", "rec', "[]", "3", '{"id": "x"}', "\0\0", '{"id":"a","recipe":"r","lake":"l","pid":"7","started":"s"}'])
def test_a_spoilt_state_hides_no_other_run(lake: str, text: str) -> None:
    good, spoilt = new_job(lake, "x", "x.yaml").end("done"), new_job(lake, "y", "y.yaml")
    (spoilt.folder / "state.json").write_text(text, encoding="utf-8")
    said = headrace("jobs", "--json", "--lake", lake)
    assert said.code == 0, said.err
    rows = {row["run"]: row for row in json.loads(said.out)}
    assert rows[good.id]["state"] == "done" and rows[spoilt.id]["state"] == "unreadable"
    assert "state.json cannot be read" in rows[spoilt.id]["now"]
    told = headrace("cancel", spoilt.id, "--lake", lake)
    assert told.code == 2 and "is not working: it is unreadable" in told.err
