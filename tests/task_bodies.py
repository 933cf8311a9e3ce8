"""Bodies of tasks for the tests of `map_files`: what they do stands in their names."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from catalog.errors import InputError


def double(task: dict[str, Any]) -> dict[str, Any]:
    return {"n": 2 * task["n"]}


def nap(task: dict[str, Any]) -> dict[str, Any]:
    time.sleep(task["seconds"])
    return task


def fail(task: dict[str, Any]) -> dict[str, Any]:
    return {"n": 1 // 0}


def mistake(task: dict[str, Any]) -> dict[str, Any]:
    raise InputError("x: no such column")


def die(task: dict[str, Any]) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return task


def die_once(task: dict[str, Any]) -> dict[str, Any]:
    mark = Path(task["mark"] or "/")
    if task["mark"] and not mark.exists():
        mark.touch()
        return die(task)
    return {"n": task["n"]}


def who(task: dict[str, Any]) -> dict[str, Any]:
    print("libraries print")
    return {"pid": os.getpid(), "threads": os.environ["POLARS_MAX_THREADS"]}


def note_and_nap(task: dict[str, Any]) -> dict[str, Any]:
    path = Path(task["path"])
    path.with_suffix(".part").write_text(str(os.getpid()))
    path.with_suffix(".part").rename(path)
    return nap(task)
