"""The ledger: every completion ever generated, so that nothing is asked for twice and a kill loses only what was in flight.

    lake/ledger/<model>-<time>-<process>.jsonl      what one living process writes: a line a completion, fsynced as it finishes
    lake/ledger/<model>-<time>-<process>.parquet    the same when the process has ended (`<model>`: 12 digits of its digest)

A process holds a lock on its lines; a file without one is from a process that was killed, and the next one to come turns it
into Parquet. A line that was torn by the kill is left out. A file may for a moment stand in both forms: rows are told apart by
(key, max_tokens). Rows hold raw text: whoever may read documents may read them, and `parents` says which document a row is from.
"""

import fcntl
import json
import os
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from catalog.errors import WorkError
from catalog.files import publish, temporary
from catalog.ids import digest

COMPLETION = pa.schema(
    [
        ("key", pa.string()),
        ("model", pa.string()),
        ("purpose", pa.string()),
        ("parents", pa.list_(pa.string())),
        ("prompt", pa.string()),
        ("prompt_hash", pa.string()),
        ("parameters", pa.string()),
        ("seed", pa.int64()),
        ("max_tokens", pa.int64()),
        ("text", pa.string()),
        ("finish", pa.string()),
        ("refused", pa.string()),
        ("prompt_tokens", pa.int64()),
        ("tokens", pa.int64()),
        ("logprob", pa.float64()),
        ("asked_at", pa.timestamp("us")),
        ("finished_at", pa.timestamp("us")),
    ]
)
"""One completion. `model` is the model's digest, `prompt` the text after the template, `parameters` JSON; `max_tokens` is
0 where a given `text` was scored. `logprob` is the sum over `tokens` tokens (natural logarithm). Times are UTC.
"""

Row = dict[str, Any]

ROLL = 20_000
"""Rows after which a process begins a new file: what it holds in memory has a bound."""


def key_of(model: str, hashed: str, parameters: str, seed: int) -> str:
    """Return the key of a completion: 32 hex digits of everything that decides it but `max_tokens`.

    An answer that ended by itself is the same under any longer limit, so that raising the limit asks again only for those cut.
    """
    return digest(model, hashed, parameters, str(seed), size=16)


def hash_of(prompt: Sequence[int]) -> str:
    """Return 32 hex digits of a prompt's token ids."""
    return digest(",".join(map(str, prompt)), size=16)


class Ledger:
    """The ledger of one model, open for reading and appending."""

    def __init__(self, lake_root: str | Path, model: str) -> None:
        self.folder = Path(lake_root, "ledger")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.model = model
        self._own: dict[tuple[str, int], Row] = {}
        self._lines: IO[bytes] | None = None
        for left in sorted(self.folder.glob("*.jsonl")):
            seal(left)

    def find(self, keys: Iterable[str]) -> dict[str, list[Row]]:
        """Return what is known under each key: rows that differ in `max_tokens`. Keys without rows are absent."""
        wanted = set(keys)
        found = {(row["key"], row["max_tokens"]): row for row in self._sealed(wanted)}
        found.update((at, row) for at, row in self._own.items() if at[0] in wanted)
        rows: dict[str, list[Row]] = {}
        for (key, _), row in sorted(found.items()):
            rows.setdefault(key, []).append(row)
        return rows

    def _sealed(self, keys: set[str]) -> list[Row]:
        files = sorted(str(path) for path in self.folder.glob(f"{self.model[:12]}-*.parquet"))
        if not files or not keys:
            return []
        frame = pl.scan_parquet(files, glob=False).filter(pl.col("key").is_in(sorted(keys)), pl.col("model") == self.model)
        return frame.collect().to_dicts()

    def append(self, rows: Sequence[Row]) -> None:
        """Write rows and return when they are on the disk. Raises WorkError when it cannot be written."""
        lines = b"".join(json.dumps(row, ensure_ascii=False, default=_plain).encode() + b"\n" for row in rows)
        try:
            if self._lines is None:
                self._lines = self._open()
            self._lines.write(lines)
            self._lines.flush()
            os.fsync(self._lines.fileno())
        except OSError as error:
            raise WorkError(f"{self.folder}: the ledger cannot be written ({error.strerror}); what is in it stays, run again to go on") from error
        self._own.update(((row["key"], row["max_tokens"]), row) for row in rows)
        if len(self._own) >= ROLL:
            self.close()

    def _open(self) -> IO[bytes]:
        """A file of our own, locked before anyone could take it for one left behind."""
        while True:
            now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
            lines = open(self.folder / f"{self.model[:12]}-{now}-{os.getpid()}-{uuid.uuid4().hex[:6]}.jsonl", "xb")  # noqa: SIM115
            fcntl.flock(lines, fcntl.LOCK_EX)
            if os.fstat(lines.fileno()).st_nlink:  # else somebody swept it in between
                return lines
            lines.close()

    def close(self) -> None:
        """Turn our own lines into Parquet. Appending after this begins a new file."""
        if self._lines is not None:
            self._lines.close()
            seal(Path(self._lines.name))
        self._lines = None
        self._own.clear()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def seal(path: Path) -> Path | None:
    """Turn a file of lines into Parquet unless its writer lives; returns the Parquet file. Doing it twice does it once."""
    try:
        lines = open(path, "rb")  # noqa: SIM115
    except FileNotFoundError:  # another process was faster
        return None
    with lines:
        try:
            fcntl.flock(lines, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        if not os.fstat(lines.fileno()).st_nlink:
            return None
        rows = read_lines(lines.read())
        sealed = path.with_suffix(".parquet")
        if rows:
            written = temporary(sealed)
            pq.write_table(pa.Table.from_pylist(rows, COMPLETION), written, compression="zstd", row_group_size=8192)
            publish(written, sealed)
        path.unlink()
        return sealed if rows else None


def read_lines(raw: bytes) -> list[Row]:
    """Return the rows of a file of lines. The last line may be torn, or blank where the power failed: it is left out."""
    rows = []
    for line in raw.split(b"\n")[:-1]:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        for name in ("asked_at", "finished_at"):
            row[name] = datetime.fromisoformat(row[name])
        rows.append(row)
    return rows


def read(lake_root: str | Path) -> pl.DataFrame:
    """Return the whole ledger of a lake, lines of living and killed processes too: one row a (key, max_tokens)."""
    folder = Path(lake_root, "ledger")
    rows = [row for path in sorted(folder.glob("*.jsonl")) for row in read_lines(path.read_bytes())]
    tables = [pq.read_table(path, schema=COMPLETION) for path in sorted(folder.glob("*.parquet"))]
    whole = pa.concat_tables([*tables, pa.Table.from_pylist(rows, COMPLETION)])
    frame = pl.DataFrame(pl.from_arrow(whole))
    return frame.unique(["key", "max_tokens"], keep="first", maintain_order=True)


def _plain(value: Any) -> str:
    assert isinstance(value, datetime), f"{type(value).__name__} in a ledger row"
    return value.isoformat()
