"""Ask the lake in SQL, sealed: the parent's side. A child process runs the statement; rows come back as an Arrow stream.

What may run and what it may touch is decided in `catalog.sealed`. Here are the limits that an engine cannot promise of itself:
memory (the child's address space), time (a kill timer), and a folder of its own for what does not fit in memory.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from catalog.errors import QueryError, near
from catalog.stage import HOUSE

GIB = 1 << 30
LOADED = (".parquet", ".csv", ".tsv", ".json", ".jsonl")
"""What `--with name=file` can load."""


def _memory() -> int:
    """HEADRACE_SQL_GIB, else half of the machine's memory and at most 8 GiB."""
    given = os.environ.get("HEADRACE_SQL_GIB")
    return int(float(given) * GIB) if given else min(8 * GIB, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)


@dataclass(frozen=True)
class Limits:
    """What one question may cost. Its defaults can be set by HEADRACE_SQL_SECONDS and HEADRACE_SQL_GIB."""

    seconds: float = field(default_factory=lambda: float(os.environ.get("HEADRACE_SQL_SECONDS", "600")))
    memory: int = field(default_factory=_memory)
    disk: int = 16 * GIB
    threads: int = field(default_factory=lambda: min(4, os.cpu_count() or 1))


@dataclass(frozen=True)
class Question:
    """A statement and what it may see: a catalogue, folders, files loaded as tables, views of older versions, files of the ledger.

    `pinned`: of datasets it may see these views alone, none of a head.
    """

    sql: str
    catalogue: str
    folders: tuple[str, ...]
    tables: Mapping[str, str] = field(default_factory=dict)
    views: tuple[tuple[str, str, str], ...] = ()
    ledger: tuple[str, ...] = ()
    pinned: bool = False


def loadable(tables: Mapping[str, str]) -> dict[str, str]:
    """Return name -> absolute path of the files to load. Raises QueryError for a missing file or an unknown kind."""
    found = {}
    for name, file in tables.items():
        path = os.path.abspath(file)
        if not name.replace("_", "a").isalnum() or name[0].isdigit():
            raise QueryError(f"--with {name}={file}: {name!r} is not a table's name; use letters, digits and _")
        if not os.path.isfile(path):
            raise QueryError(f"--with {name}={file}: there is no such file")
        if Path(path).suffix not in LOADED:
            raise QueryError(f"--with {name}={file}: cannot load {Path(path).suffix or 'it'}{near(Path(path).suffix, LOADED)}")
        found[name] = path
    return found


class Answer:
    """What the child says: an error before the first row (`failed`), or rows."""

    def __init__(self, child: "subprocess.Popen[bytes]", said: IO[bytes], limits: Limits, late: threading.Event) -> None:
        self._child, self._said, self._limits, self._late = child, said, limits, late
        self.failed: QueryError | None = None
        assert child.stdout is not None
        try:
            self._stream = pa.ipc.open_stream(child.stdout)
        except (pa.ArrowInvalid, OSError):
            self.failed = self._error()

    def reader(self) -> pa.RecordBatchReader:
        """Return the rows as a stream. Raises QueryError, also while it is read."""
        if self.failed:
            raise self.failed
        return pa.RecordBatchReader.from_batches(self._stream.schema, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._stream
        except (pa.ArrowInvalid, OSError):
            raise self._error() from None
        if self._child.wait() != 0:
            raise self._error()

    def _error(self) -> QueryError:
        """Return what went wrong, in one line."""
        code = self._child.wait()
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        if self._late.is_set():
            return QueryError(f"sql: not done after {self._limits.seconds:g} s and stopped; narrow it, or raise HEADRACE_SQL_SECONDS")
        try:
            return QueryError(f"sql: {json.loads(lines[-1])['error']}")
        except (IndexError, ValueError, KeyError, TypeError):
            last = lines[-1] if lines else "it said nothing"
        if code < 0 or "bad_alloc" in last or "MemoryError" in last:
            return QueryError(f"sql: needed more than {self._limits.memory / GIB:.1f} GiB of memory; narrow it, or raise HEADRACE_SQL_GIB")
        return QueryError(f"sql: the query process ended with {code}: {last}")


@contextmanager
def ask(question: Question, limits: Limits) -> Iterator[Answer]:
    """Run a statement in a sealed child and give what it answers."""
    with tempfile.TemporaryDirectory(prefix="headrace-sql-") as folder, open(os.path.join(folder, "error"), "w+b") as said:
        child, late = _start(question, limits, folder, said), threading.Event()
        timer = _timer(child, limits.seconds, late)
        try:
            yield Answer(child, said, limits, late)
        finally:
            timer.cancel()
            child.kill()
            child.wait()
            assert child.stdout is not None
            child.stdout.close()


def _start(question: Question, limits: Limits, folder: str, said: IO[bytes]) -> "subprocess.Popen[bytes]":
    temp = os.path.join(folder, "spill")
    os.mkdir(temp)
    request = {
        "sql": question.sql, "catalogue": question.catalogue, "folders": list(question.folders), "tables": dict(question.tables),
        "views": [list(view) for view in question.views], "ledger": list(question.ledger), "pinned": question.pinned,
        "memory": limits.memory, "disk": limits.disk, "threads": limits.threads, "temp": temp,
    }  # fmt: skip
    environment = {"PYTHONPATH": str(HOUSE), "PATH": os.environ.get("PATH", ""), "HOME": temp, "LC_ALL": "C.UTF-8", "MALLOC_ARENA_MAX": "2"}
    if "LD_LIBRARY_PATH" in os.environ:
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    command = [sys.executable, "-P", "-m", "catalog.sealed"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, env=environment, cwd=temp)
    assert child.stdin is not None
    try:
        child.stdin.write(json.dumps(request).encode())
        child.stdin.close()
    except BrokenPipeError:
        child.wait()  # it could not start: what it said is read below
    return child


def _timer(child: "subprocess.Popen[bytes]", seconds: float, late: threading.Event) -> threading.Timer:
    def kill() -> None:
        late.set()
        child.kill()

    timer = threading.Timer(seconds, kill)
    timer.daemon = True
    timer.start()
    return timer


def save(reader: pa.RecordBatchReader, path: str) -> int:
    """Write rows to a .parquet or .csv file, whole or not at all, and return how many. This is outside the seal, on purpose."""
    target = Path(path)
    if target.suffix not in (".parquet", ".csv"):
        raise QueryError(f"--out {path}: cannot write {target.suffix or 'that'}; name a .parquet or .csv file")
    if not target.parent.is_dir():
        raise QueryError(f"--out {path}: there is no folder {target.parent}")
    written, rows = target.parent / f".{target.name}.{os.getpid()}.tmp", 0
    writer: Any = (pq.ParquetWriter if target.suffix == ".parquet" else pyarrow.csv.CSVWriter)(str(written), reader.schema)
    try:
        with writer:
            for batch in reader:
                writer.write_batch(batch)
                rows += batch.num_rows
        os.replace(written, target)
    finally:
        written.unlink(missing_ok=True)
    return rows
