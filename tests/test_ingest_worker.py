"""A library in a process of its own: order kept, and whatever it does to itself, the rest goes on."""

import os
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

import tests.ingest_making
from catalog.errors import WorkError
from catalog.worker import Failure, Worker

MISBEHAVE = "tests.ingest_making:misbehave"


def asked(*words: str | None) -> list[tuple[int, bytes | None, dict[str, Any]]]:
    return [(number, None if word is None else word.encode(), {}) for number, word in enumerate(words)]


def test_answers_come_in_order_and_options_reach_the_function() -> None:
    big = "x" * 3_000_000                                    # many times a pipe's size, both ways at once
    with Worker(MISBEHAVE, seconds=30) as worker:
        documents = [(number, (f"{number} " + big[: number * 100_000]).encode(), {"label": number}) for number in range(30)]
        answers = list(worker.map(documents))
    assert [key for key, _ in answers] == list(range(30))
    assert [answer["label"] for _, answer in answers] == list(range(30))
    assert [answer["size"] for _, answer in answers] == [len(payload) for _, payload, _ in documents]


def test_what_is_not_sent_keeps_its_place() -> None:
    with Worker(MISBEHAVE, seconds=30) as worker:
        answers = list(worker.map(asked("a", None, None, "b", None)))
    assert [answer["said"] if answer else None for _, answer in answers] == ["a", None, None, "b", None]
    with Worker(MISBEHAVE) as worker:
        assert list(worker.map(asked(None))) == [(0, None)]
        assert list(worker.map([])) == []


def test_a_stuck_document_is_killed_and_the_rest_goes_on() -> None:
    started = time.monotonic()
    with Worker(MISBEHAVE, seconds=0.5) as worker:
        answers = dict(worker.map(asked("one", "sleep", "two", "spin", "three")))
    assert [answers[i]["said"] for i in (0, 2, 4)] == ["one", "two", "three"]
    assert answers[1] == Failure("timeout", "more than 3 s by the clock")  # it sleeps
    assert answers[3] == Failure("timeout", "more than 0.5 s")             # it works, and never ends
    assert answers[0]["pid"] != answers[2]["pid"] != answers[4]["pid"]
    assert time.monotonic() - started < 120


def test_a_crash_an_error_and_memory_are_answers_too() -> None:
    with Worker(MISBEHAVE, seconds=20, memory=1 << 30) as worker:
        answers = dict(worker.map(asked("one", "crash", "raise", "memory", "print", "two")))
    assert (answers[1].reason, answers[3].reason) == ("died", "memory")
    assert "SIGSEGV" in answers[1].error
    assert answers[2] == Failure("error", "RuntimeError: as asked")
    assert [answers[i]["said"] for i in (0, 4, 5)] == ["one", "print", "two"]


def test_a_worker_that_cannot_start_says_why() -> None:
    with Worker("tests.no_such_module:f") as worker, pytest.raises(WorkError, match=r"did not start: ModuleNotFoundError.*no_such_module"):
        list(worker.map(asked("a")))


def test_the_time_that_the_caller_takes_is_not_the_documents() -> None:
    with Worker(MISBEHAVE, seconds=0.4) as worker:
        for _, answer in worker.map(asked(*"abcdef")):
            time.sleep(0.5)
            assert answer["size"] == 1


def test_it_works_beside_threads_and_from_a_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As inside a Spark worker: code came as a zip on sys.path, threads run, the current folder is a foreign one."""
    house = tmp_path / "shipped.zip"
    with zipfile.ZipFile(house, "w") as shipped:
        shipped.writestr("shipped_parser.py", "def size(payload, **options):\n    return len(payload)\n")
    (tmp_path / "catalog").mkdir()                           # a stranger's folder of our name where we happen to stand
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(house))
    results: list[Any] = []

    def run() -> None:
        with Worker("shipped_parser:size", seconds=20) as worker:
            results.append([answer for _, answer in worker.map(asked("four", "seven"))])

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[4, 5]] * 3


def test_a_child_ends_with_its_pipe() -> None:
    worker = Worker(MISBEHAVE, seconds=30)
    (_, answer), = worker.map(asked("a"))
    worker.close()
    with pytest.raises(ProcessLookupError):
        os.kill(answer["pid"], 0)
    assert tests.ingest_making.misbehave(b"here")["size"] == 4
