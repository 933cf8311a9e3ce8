"""What was said of documents in one sitting: a line a label, on the disk before the next document is shown.

    lake/runs/label-<dataset>-<time>/labels.jsonl     while the sitting lasts, and after it was killed
    lake/runs/label-<dataset>-<time>/labels.saved     the same, when its labels stand in the lake

A sitting holds a lock on its lines. Lines that nobody holds are of one that was killed: the next sitting saves them first. A line that the
kill tore is left out. Saving twice saves once.
"""

import fcntl
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from catalog.errors import HeadraceError, WorkError
from catalog.lake import Lake
from headrace.jobs import Job, new_job, read_job

Row = dict[str, Any]
LINES, SAVED = "labels.jsonl", "labels.saved"


class Journal:
    """The labels of one sitting, by doc_id, in the order in which they were given. Its run and file are made with the first."""

    def __init__(self, lake: Lake, dataset: str, about: str) -> None:
        self.lake, self.dataset, self.about = lake, dataset, about
        self.rows: dict[str, Row] = {}
        self._job: Job | None = None
        self._lines: IO[bytes] | None = None

    def add(self, row: Row) -> None:
        """Write down a label. Raises WorkError when it cannot be written."""
        self._write({**row, "labelled": row["labelled"].isoformat()})
        self.rows[row["doc_id"]] = row

    def undo(self, doc_id: str) -> None:
        """Take a document's label of this sitting back."""
        if doc_id in self.rows:
            self._write({"undone": doc_id})
            del self.rows[doc_id]

    def _write(self, line: Row) -> None:
        try:
            if self._lines is None:
                self._job = new_job(str(self.lake.root), f"label-{self.dataset}", self.about).mark({f"label.{self.dataset}": "running"})
                self._lines = open(self._job.folder / LINES, "xb")  # noqa: SIM115
                fcntl.flock(self._lines, fcntl.LOCK_EX)  # nobody takes an empty file for one left behind
            self._lines.write(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
            self._lines.flush()
            os.fsync(self._lines.fileno())
        except OSError as error:
            raise WorkError(f"{self.lake.root}: the label cannot be written down ({error.strerror}); what was said before it stays") from error

    def save(self) -> int:
        """Put the labels into the lake and return how many. Where that fails the lines stay, and the next sitting saves them."""
        if self._job is None or self._lines is None:
            return 0
        try:
            commit(self.lake, self._job, list(self.rows.values()))
        except HeadraceError:
            print(f"headrace: the labels stay in {self._job.folder / LINES}; the next `headrace label` saves them", file=sys.stderr)
            raise
        finally:
            self._lines.close()
        return len(self.rows)


def commit(lake: Lake, job: Job, rows: list[Row]) -> None:
    """Put the labels of a run into the lake, close its lines and say that it is done."""
    part = next(iter(job.parts), "label")
    if rows:
        lake.record({"label": rows, "run": [{"part": part, "state": "done"}]}, job.id)
    if (job.folder / LINES).exists():
        os.replace(job.folder / LINES, job.folder / SAVED)
    job.mark({part: "done"}).end("done")


def pick_up(lake: Lake) -> int:
    """Save the labels of sittings that were killed, and return how many labels there were."""
    saved = 0
    for path in sorted((Path(lake.root) / "runs").glob(f"label-*/{LINES}")):
        with _left(path) as rows:
            if rows is not None:
                commit(lake, read_job(path.parent), rows)
                saved += len(rows)
    return saved


@contextmanager
def _left(path: Path) -> Iterator[list[Row] | None]:
    """Give the labels in lines that nobody holds, under their lock; None for lines that somebody holds, or that hold nothing yet."""
    try:
        lines = open(path, "rb")  # noqa: SIM115
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            print(f"headrace: {path}: labels that were not saved cannot be read ({error.strerror})", file=sys.stderr)
        yield None
        return
    with lines:
        try:
            fcntl.flock(lines, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        raw = lines.read() if path.exists() else b""
        yield read_lines(raw) if raw else None


def read_lines(raw: bytes) -> list[Row]:
    """Return the labels that stand at the end of a journal's lines, what was undone left out. The last line may be torn."""
    rows: dict[str, Row] = {}
    for line in raw.split(b"\n")[:-1]:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if "undone" in row:
            rows.pop(row["undone"], None)
        else:
            rows[row["doc_id"]] = {**row, "labelled": datetime.fromisoformat(row["labelled"])}
    return list(rows.values())


def now() -> datetime:
    """The time in UTC, without a zone, as the lake keeps times."""
    return datetime.now(UTC).replace(tzinfo=None)
