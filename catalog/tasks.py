"""Tasks on this machine: plain data in, plain data out, in worker processes with one thread each and no JVM.

A worker is `python -m catalog.tasks`: one JSON line a task on stdin, one a result. It is started, never forked (polars and
numba hold threads), and ends with its parent. One that dies, killed for memory or by a stage's C code, is replaced
and its task tried again; a task that kills TRIES workers is named and the work stops.
"""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import IO, Any

from catalog import errors
from catalog.errors import HeadraceError, UserError, WorkError
from catalog.stage import HOUSE, load

Task = dict[str, Any]
"""What a task function is given: JSON-able. `name` stands in errors and progress, `bytes` puts the large ones first."""

TRIES = 3
ONE_THREAD = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}


def name_of(task: Task) -> str:
    """What to call a task in an error line."""
    return str(task.get("name") or task.get("path") or "a task")


def by_size(tasks: Sequence[Task]) -> list[tuple[int, Task]]:
    """Return tasks with their numbers, the largest first, so that no large one starts last."""
    return sorted(enumerate(tasks), key=lambda item: (-int(item[1].get("bytes") or 0), item[0]))


def perform(function: str, task: Task) -> dict[str, Any]:
    """Run one task. What it raises comes back as data, since the driver may be on another machine."""
    try:
        return {"result": load(function)(task)}
    except Exception as error:
        return {"error": {"kind": type(error).__name__, "text": str(error), "trace": traceback.format_exc()}}


def result_of(function: str, task: Task, outcome: dict[str, Any]) -> dict[str, Any]:
    """Return a task's result, or raise: a user's mistake as it was, anything else as a WorkError that names the task."""
    if "error" not in outcome:
        result: dict[str, Any] = outcome["result"]
        return result
    said = outcome["error"]
    kind = getattr(errors, said["kind"], None)
    if isinstance(kind, type) and issubclass(kind, UserError):
        error: HeadraceError = kind(said["text"])
    else:
        error = WorkError(f"{function} failed on {name_of(task)}: {said['kind']}: {said['text']}; what was finished stays")
    error.add_note(said.get("trace", ""))
    raise error


class Workers:
    """Some worker processes, started at need and kept between calls: starting one costs as much as a small task."""

    def __init__(self, count: int = 2) -> None:
        self.count = max(1, count)
        self._idle: list[_Worker] = []

    def run(self, function: str, tasks: Sequence[Task]) -> Iterator[dict[str, Any]]:
        """Yield each task's result as it finishes. Raises WorkError or the task's own UserError; then nothing is left running."""
        waiting, tries, busy = deque(by_size(tasks)), [0] * len(tasks), {}  # type: ignore[var-annotated]
        ready = selectors.DefaultSelector()
        try:
            while waiting or busy:
                while waiting and len(busy) < self.count:
                    number, task = waiting.popleft()
                    worker = self._idle.pop() if self._idle else _Worker()
                    busy[worker] = number
                    worker.give(function, task)
                    ready.register(worker.answers, selectors.EVENT_READ, worker)
                for key, _ in ready.select():
                    worker = key.data
                    outcome, over = worker.answer()
                    if not over:
                        continue
                    ready.unregister(worker.answers)
                    number = busy.pop(worker)
                    if outcome is not None:
                        self._idle.append(worker)
                        yield result_of(function, tasks[number], outcome)
                        continue
                    tries[number] += 1
                    if tries[number] == TRIES:
                        raise WorkError(f"{function} on {name_of(tasks[number])}: its worker died {TRIES} times ({worker.end()}); is memory short?")
                    waiting.append((number, tasks[number]))
        finally:
            ready.close()
            for worker in busy:
                worker.kill()

    def close(self) -> None:
        for worker in self._idle:
            worker.kill()
        self._idle.clear()

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class _Worker:
    """One process and the two pipes to it."""

    def __init__(self) -> None:
        paths = [str(HOUSE), *(path or os.getcwd() for path in sys.path)]
        environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
        self.process = subprocess.Popen([sys.executable, "-m", "catalog.tasks"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        assert self.process.stdin and self.process.stdout
        self.tasks: IO[bytes] = self.process.stdin
        self.answers: IO[bytes] = self.process.stdout
        self._heard = b""

    def give(self, function: str, task: Task) -> None:
        with contextlib.suppress(BrokenPipeError):  # it died while idle: the empty answer that follows says so
            self.tasks.write(json.dumps({"function": function, "task": task}).encode() + b"\n")
            self.tasks.flush()

    def answer(self) -> tuple[dict[str, Any] | None, bool]:
        """Read what is there. Returns (outcome, True), (None, False) while a line is unfinished, (None, True) when it died."""
        heard = os.read(self.answers.fileno(), 1 << 16)
        if not heard:
            self.kill()
            return None, True
        self._heard += heard
        if not self._heard.endswith(b"\n"):
            return None, False
        line, self._heard = self._heard, b""
        return json.loads(line), True

    def end(self) -> str:
        code = self.process.wait()
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit {code}"

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.answers.close()
        with contextlib.suppress(BrokenPipeError):
            self.tasks.close()


def main() -> None:
    """The worker: what libraries print goes to stderr, so that stdout holds answers alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the parent decides
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        try:
            answers.write(json.dumps(perform(asked["function"], asked["task"])).encode() + b"\n")
            answers.flush()
        except BrokenPipeError:  # the parent was killed meanwhile: what landed is harmless, its name is its address
            os._exit(1)


def _end_with(parent: int) -> None:
    """End when the parent does, also in the middle of a task.

    Not by `die_with_parent`: to the kernel the parent is the thread that started us, and threads end before their process.
    """
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    main()
