"""What training says of itself: metrics.jsonl, one line a step or evaluation, and the same in TensorBoard."""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from catalog.files import publish, temporary

Line = dict[str, Any]


class Metrics:
    """The open metrics of a run. Lines after `step` were written by a life that did not last: they are cut off first.

    A line has step, kind (train or eval) and numbers; nested numbers become `name/inner` in TensorBoard.
    """

    def __init__(self, file: Path, board: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # half a second, and only the first rank writes

        self.file = file
        kept = [line for line in read(file) if line["step"] <= step] if step else []
        self._rewrite(kept)
        self._lines = file.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(board), purge_step=step + 1 if step else None)

    def _rewrite(self, lines: list[Line]) -> None:
        written = temporary(self.file)
        written.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        publish(written, self.file)

    def write(self, line: Line) -> None:
        """Add a line."""
        self._lines.write(json.dumps(line) + "\n")
        self._lines.flush()
        for name, value in _flat(line, ""):
            if name not in ("step", "kind"):
                self._board.add_scalar(f"{line['kind']}/{name}", value, line["step"])

    def sync(self) -> None:
        """Make all lines durable: before a checkpoint that follows them."""
        os.fsync(self._lines.fileno())
        self._board.flush()

    def close(self) -> None:
        self._lines.close()
        self._board.close()

    def __enter__(self) -> "Metrics":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def read(file: Path) -> list[Line]:
    """Return the lines of metrics.jsonl; a last line cut short by a kill is not one."""
    if not file.is_file():
        return []
    raw = file.read_text(encoding="utf-8")
    return [json.loads(line) for line in raw[: raw.rfind("\n") + 1].splitlines()]


def _flat(values: Line, prefix: str) -> list[tuple[str, float]]:
    """Numbers by name; text and nothing are not drawn."""
    found = []
    for name, value in values.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            found.append((f"{prefix}{name}", float(value)))
    return found
