"""A library that takes one document at a time, lifted: a process of its own with a hard time and memory limit.

Parsers of hostile input hang, crash and eat memory. So `Worker` runs one function in a child, a document at a time, keeps a
window of documents in its pipe so that neither side waits, and gives answers back in order. A child that is stuck is killed
and replaced; the document it was on is answered by a Failure and the rest goes on.

The child is started, never forked (its parent may hold threads: polars, a JVM's gateway), finds modules where its parent
does, and speaks JSON: nothing that it says is unpickled.
"""

import fcntl
import importlib
import json
import os
import resource
import selectors
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any, Generic, TypeVar

from catalog.errors import WorkError

K = TypeVar("K")
AHEAD = 32
"""Documents in the pipe at most, so that the child finds the next one waiting."""
AHEAD_BYTES = 8 << 20
F_SETPIPE_SZ = 1031  # Linux; named in `fcntl` since Python 3.10 on new kernels only
START_SECONDS = 600.0
"""What a child may take to import its library on a cold disk, and to compile what it uses on a busy machine."""
WALL = 6.0
"""Times the limit that a document may take by the clock: the limit itself is processor time, so that a busy machine refuses nothing more."""
NOISE = 16 << 20
"""Bytes a child may write to a file, which is what its library says on stderr."""


@dataclass(frozen=True)
class Failure:
    """Why a document has no answer: `timeout`, `memory`, `died` (a crash in C) or `error` (the function raised)."""

    reason: str
    error: str


class _Entry(Generic[K]):
    """One document on its way: `frame` is what the child has yet to be sent, `answer` what it said."""

    def __init__(self, key: K, frame: bytes | None) -> None:
        self.key, self.frame, self.done = key, frame, frame is None
        self.answer: Any = None
        self.tried = False


class Worker:
    """Runs `module:function(payload: bytes, **options)` in a child; the function returns what JSON can say. The module's `warm()`, if any, goes first.

    `seconds` of processor time are the limit for one document, and WALL times that by the clock; `memory` is the child's address
    space in bytes. Used as a context manager.
    """

    def __init__(self, function: str, *, seconds: float = 10.0, memory: int = 2 << 30) -> None:
        self.function, self.seconds, self.memory = function, seconds, memory
        self._child: _Child | None = None

    def map(self, documents: Iterable[tuple[K, bytes | None, dict[str, Any]]]) -> Iterator[tuple[K, Any]]:
        """Yield (key, answer or Failure) for each (key, payload, options), in order. A payload of None is not sent: its answer is None."""
        coming, line, ended = iter(documents), deque[_Entry[K]](), False
        while True:
            while not ended and _room(line):
                document = next(coming, None)
                if document is None:
                    ended = True
                else:
                    line.append(_Entry(document[0], None if document[1] is None else _frame(document[2], document[1])))
            while line and line[0].done:
                entry = line.popleft()
                yield entry.key, entry.answer
            if line:
                self._exchange(deque(entry for entry in line if not entry.done))
            elif ended:
                return

    def _exchange(self, waiting: "deque[_Entry[K]]") -> None:
        """Talk to the child until the first of `waiting` has its answer."""
        if self._child is None:
            self._child = _Child(self.function, self.seconds, self.memory)
        child = self._child
        child.send(waiting)
        first = waiting[0]
        while not first.done:
            end = child.talk(waiting)
            if end is not None:
                fresh = child.answered == 0
                child.kill()
                self._child = None
                if fresh or end.reason == "timeout" or first.tried:
                    first.answer, first.done = end, True
                first.tried = True  # memory of an old child may be what earlier documents left: once more, in a new one
                return

    def close(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _room(line: "deque[_Entry[K]]") -> bool:
    return not line or (len(line) < AHEAD and sum(len(entry.frame or b"") for entry in line if not entry.done) < AHEAD_BYTES)


def _frame(options: dict[str, Any], payload: bytes) -> bytes:
    said = json.dumps(options).encode()
    return struct.pack(">II", len(said), len(payload)) + said + payload


class _Child:
    """One child, the pipes to it, and what of the line it was sent and has answered."""

    def __init__(self, function: str, seconds: float, memory: int) -> None:
        paths = [path or os.getcwd() for path in sys.path]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-P", "-c", "import catalog.worker; catalog.worker.serve()", function, str(seconds), str(memory)]
        self.noise: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `kill`)
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.noise, env=environment, start_new_session=True, bufsize=0
        )
        assert self.process.stdin and self.process.stdout
        self.input, self.output = self.process.stdin.fileno(), self.process.stdout.fileno()
        fcntl.fcntl(self.input, F_SETPIPE_SZ, 1 << 20)  # a whole page fits: the child does not wait for a busy parent
        os.set_blocking(self.input, False)
        os.set_blocking(self.output, False)
        self.seconds, self.function = seconds, function
        self.heard, self.to_send, self.sent = bytearray(), deque[tuple[Any, memoryview]](), deque[Any]()
        self.known: set[int] = set()
        self.answered = 0
        self.since: float | None = None
        self._await_ready()

    def _await_ready(self) -> None:
        until = time.monotonic() + START_SECONDS
        while not self.heard:
            with selectors.DefaultSelector() as ready:
                ready.register(self.output, selectors.EVENT_READ)
                ready.select(max(0.0, until - time.monotonic()))
            heard = self._read()
            if heard is None or (not heard and time.monotonic() > until):
                self.process.kill()
                self.process.wait()
                said = self._said()
                self.kill()
                raise WorkError(f"{self.function}: its worker did not start: {said or 'no word'}")
        del self.heard[:1]

    def send(self, waiting: "deque[Any]") -> None:
        """Put what the child has not been given yet in the queue to its pipe."""
        for entry in waiting:
            if id(entry) not in self.known:
                self.known.add(id(entry))
                self.to_send.append((entry, memoryview(entry.frame)))
                self.sent.append(entry)

    def talk(self, waiting: "deque[Any]") -> Failure | None:
        """Wait for the pipes once, write and read what they bear. Returns why the child ended, if it did."""
        left = None if self.since is None else self.since + WALL * self.seconds - time.monotonic()
        with selectors.DefaultSelector() as ready:
            ready.register(self.output, selectors.EVENT_READ)
            if self.to_send:
                ready.register(self.input, selectors.EVENT_WRITE)
            events = ready.select(left if left is None else max(0.0, left))
        if not events:
            return Failure("timeout", f"more than {WALL * self.seconds:g} s by the clock")
        if any(key.fd == self.input for key, _ in events):
            self._write()
        if any(key.fd == self.output for key, _ in events):
            return self._hear()
        return None

    def _write(self) -> None:
        while self.to_send:
            entry, rest = self.to_send[0]
            try:
                written = os.write(self.input, rest)
            except BlockingIOError:
                return
            except BrokenPipeError:  # it died: the end of its output says so
                self.to_send.clear()
                return
            if written < len(rest):
                self.to_send[0] = (entry, rest[written:])
                return
            self.to_send.popleft()
            if self.sent[0] is entry:
                self.since = time.monotonic()

    def _hear(self) -> Failure | None:
        if self._read() is None:
            return self._end()
        while len(self.heard) >= 4 and len(self.heard) >= 4 + (size := struct.unpack_from(">I", self.heard)[0]):
            said = json.loads(bytes(self.heard[4 : 4 + size]))
            del self.heard[: 4 + size]
            if said.get("reason") == "memory":
                return Failure("memory", said["error"])
            entry = self.sent.popleft()
            self.known.discard(id(entry))
            entry.answer = said["value"] if "value" in said else Failure(said["reason"], said["error"])
            entry.done, entry.frame = True, b""
            self.answered += 1
            given = self.sent and not any(entry is self.sent[0] for entry, _ in self.to_send)
            self.since = time.monotonic() if given else None
        return None

    def _read(self) -> int | None:
        """Read what is there; None at the end of the child's output."""
        try:
            heard = os.read(self.output, 1 << 20)
        except BlockingIOError:
            return 0
        self.heard += heard
        return len(heard) or None

    def _end(self) -> Failure:
        code = self.process.wait()
        if code in (-signal.SIGPROF, -signal.SIGALRM):
            return Failure("timeout", f"more than {self.seconds:g} s")
        how = signal.Signals(-code).name if code < 0 else f"exit {code}"
        return Failure("died", f"{how}: {self._said()}".rstrip(": "))

    def _said(self) -> str:
        self.noise.seek(max(0, self.noise.seek(0, os.SEEK_END) - 2000))
        lines = self.noise.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

    def kill(self) -> None:
        """End the child, whatever it is doing."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.noise):
            if pipe is not None:
                pipe.close()


def serve() -> None:
    """The child: `function seconds memory` in its arguments, documents on stdin, answers on stdout."""
    name, seconds, memory = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not stand among the answers
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (NOISE, NOISE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    module, _, function = name.partition(":")
    found = importlib.import_module(module)
    does = getattr(found, function)
    getattr(found, "warm", lambda: None)()  # what is compiled at its first call is not the first document's time
    answers.write(b"!")
    answers.flush()
    while head := sys.stdin.buffer.read(8):
        said, size = struct.unpack(">II", head)
        options = json.loads(sys.stdin.buffer.read(said))
        payload = sys.stdin.buffer.read(size)
        signal.setitimer(signal.ITIMER_PROF, seconds)  # its signal ends us, also in the middle of C code
        signal.setitimer(signal.ITIMER_REAL, 2 * WALL * seconds)  # should the parent be dead, nobody else would
        answer = _answer(does, payload, options)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        answers.write(struct.pack(">I", len(answer)) + answer)
        answers.flush()


def _answer(does: Any, payload: bytes, options: dict[str, Any]) -> bytes:
    try:
        return json.dumps({"value": does(payload, **options)}).encode()
    except MemoryError as error:
        return json.dumps({"reason": "memory", "error": f"out of memory {error}".rstrip()}).encode()
    except Exception as error:
        return json.dumps({"reason": "error", "error": f"{type(error).__name__}: {error}"[:500]}).encode()
