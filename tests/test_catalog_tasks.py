"""Tasks in worker processes: results as they finish, errors that name the task, workers that die."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from catalog.errors import InputError, WorkError
from catalog.spark import deal, map_files
from catalog.tasks import TRIES, Workers

HERE = "tests.task_bodies"


def test_results_come_whatever_runs_them() -> None:
    tasks = [{"name": f"t{i}", "bytes": i, "n": i} for i in range(7)]
    for workers in (0, 1, 3):
        found = list(map_files(f"{HERE}:double", tasks, workers=workers))
        assert sorted(result["n"] for result in found) == [0, 2, 4, 6, 8, 10, 12]


def test_the_largest_go_first_and_each_result_is_told() -> None:
    tasks = [{"name": f"t{i}", "bytes": size, "n": i} for i, size in enumerate([1, 50, 7])]
    told: list[dict[str, Any]] = []
    found = list(map_files(f"{HERE}:double", tasks, workers=0, progress=told.append))
    assert [result["n"] for result in found] == [2, 4, 0] and told == found


def test_a_result_is_not_kept_until_the_last_one() -> None:
    with Workers(2) as workers:
        results = workers.run(f"{HERE}:nap", [{"seconds": 30, "bytes": 2}, {"seconds": 0, "bytes": 1}])
        began = time.monotonic()
        assert next(results)["seconds"] == 0 and time.monotonic() - began < 20
        results.close()  # type: ignore[attr-defined]


def test_no_tasks_start_nothing() -> None:
    assert list(map_files(f"{HERE}:double", [])) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_names_the_task_and_a_users_mistake_stays_one(workers: int) -> None:
    with pytest.raises(WorkError, match=r"tests.task_bodies:fail failed on lake/x.parquet: ZeroDivisionError: .*what was finished stays"):
        list(map_files(f"{HERE}:fail", [{"name": "lake/x.parquet"}], workers=workers))
    with pytest.raises(InputError) as mistake:
        list(map_files(f"{HERE}:mistake", [{"name": "x"}], workers=workers))
    assert str(mistake.value) == "x: no such column" and "task_bodies.py" in mistake.value.__notes__[0]


def test_a_killed_worker_is_replaced_and_its_task_tried_again(tmp_path: Path) -> None:
    tasks = [{"name": f"t{i}", "mark": str(tmp_path / "once") if i == 1 else "", "n": i} for i in range(4)]
    with Workers(2) as workers:
        found = sorted(result["n"] for result in workers.run(f"{HERE}:die_once", tasks))
        assert found == [0, 1, 2, 3] and (tmp_path / "once").exists()


def test_a_task_that_kills_its_workers_is_named() -> None:
    with pytest.raises(WorkError, match=rf"on bad.parquet: its worker died {TRIES} times \(signal SIGKILL\)"):
        list(map_files(f"{HERE}:die", [{"name": "bad.parquet"}], workers=1))


def test_workers_serve_again_and_what_they_print_is_no_answer() -> None:
    with Workers(1) as workers:
        first = next(iter(workers.run(f"{HERE}:who", [{}])))
        assert next(iter(workers.run(f"{HERE}:who", [{}]))) == first
        assert first["threads"] == "1" and first["pid"] != os.getpid()


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = f"from catalog.tasks import Workers; list(Workers(1).run('{HERE}:note_and_nap', [{{'path': {str(tmp_path / 'pid')!r}, 'seconds': 600}}]))"
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parent.parent)
    while not (tmp_path / "pid").exists():
        time.sleep(0.05)
        assert parent.poll() is None
    child = int((tmp_path / "pid").read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    end = time.monotonic() + 10
    while time.monotonic() < end and Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
        time.sleep(0.1)
    assert time.monotonic() < end, "the worker outlived its parent"


def test_tasks_are_dealt_evenly_and_none_is_lost() -> None:
    tasks = [{"n": i, "bytes": size} for i, size in enumerate([100, 1, 1, 1, 50, 50, 1])]
    hands = deal(tasks, 3)
    assert sorted(number for hand in hands for number, _ in hand) == list(range(7))
    loads = [sum(int(task["bytes"]) for _, task in hand) for hand in hands]
    assert max(loads) == 100 and min(loads) >= 50
    assert len(deal(tasks, 100)) == 7 and deal([], 4) == [[]]
