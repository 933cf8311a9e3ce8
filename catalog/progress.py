"""Progress that a person can read: done, rate and time left, on stderr; and in a file for `headrace jobs`."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

EVERY = 4.0
"""Seconds between two lines where stderr is no terminal: silence never lasts longer than 5."""
WRITING = threading.Lock()
"""The file is written by who counts and by the clock of every meter that is open."""


class Meter:
    """Counts one piece of work. On a terminal a bar; elsewhere a line every few seconds.

    HEADRACE_PROGRESS names a file that always holds the latest state, for `headrace jobs`.
    """

    def __init__(self, label: str, total: int | None, unit: str = "files") -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done, self.note = 0, ""
        self.start = self.said = time.monotonic()
        self._file = os.environ.get("HEADRACE_PROGRESS")
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(label, total=total, note="")
            self._bar.start()
        self._write()
        self._over = threading.Event()
        threading.Thread(target=self._tick, daemon=True).start()

    def _tick(self) -> None:
        """Say where things stand when nothing was counted for a while: long tasks are no reason for silence."""
        while not self._over.wait(EVERY / 4):
            if time.monotonic() - self.said >= EVERY:
                self._say()

    def _say(self) -> None:
        self.said = time.monotonic()
        if self._bar is None:
            print(self.line(), file=sys.stderr, flush=True)
        self._write()

    def add(self, n: int = 1, note: str = "") -> None:
        """Count `n` more; `note` says what else is worth seeing, such as a loss."""
        self.to(self.done + n, note)

    def to(self, done: int, note: str = "") -> None:
        """Set what is done."""
        self.done, self.note = done, note
        if self._bar is not None:
            self._bar.update(self._task, completed=done, note=f"{self.rate:,.1f} {self.unit}/s {note}")
        if time.monotonic() - self.said >= EVERY:
            self._say()

    @property
    def rate(self) -> float:
        return self.done / max(time.monotonic() - self.start, 1e-9)

    def line(self) -> str:
        """One line: what, how much, how fast, how long still."""
        of = f"/{self.total:,}" if self.total else ""
        left = f", {_clock((self.total - self.done) / self.rate)} left" if self.total and self.done and self.rate > 0 else ""
        note = f", {self.note}" if self.note else ""
        spent = _clock(time.monotonic() - self.start)
        return f"  {self.label}: {self.done:,}{of} {self.unit}, {self.rate:,.1f}/s, {spent} so far{left}{note}"

    def _write(self) -> None:
        if self._file:
            state = {"label": self.label, "done": self.done, "total": self.total, "unit": self.unit, "rate": self.rate, "note": self.note, "at": time.time()}
            written = Path(f"{self._file}.{os.getpid()}")
            with WRITING:
                written.write_text(json.dumps(state), encoding="utf-8")
                written.replace(self._file)

    def close(self) -> None:
        """Stop counting."""
        self._over.set()
        if self._bar is not None:
            self._bar.stop()
        self._write()

    def __enter__(self) -> "Meter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


@contextmanager
def ticking(every: float, tick: Callable[[], None]) -> Iterator[None]:
    """Call `tick` every so many seconds, in a thread, while something goes on that cannot tell by itself."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(every):
            tick()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
