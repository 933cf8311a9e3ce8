"""Do one synth part: ask a writer for rows, write those kept and those dropped with the reason, and count them."""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from catalog.errors import WorkError
from catalog.files import Annotation, DataFile, DataWriter, FileStat, address, write_annotation
from catalog.ids import digest
from catalog.progress import Meter
from catalog.schema import BYTES_A_TOKEN, SHAPES, VERDICT
from catalog.stage import load
from synth.ask import Desk, Progress, Watch

FAMILY = "verdict"
STAGE = "synth.write:write"


def write(
    desk: Desk,
    documents: Iterator[pl.DataFrame],
    writer: str,
    knobs: dict[str, Any],
    *,
    part: str,
    dataset: str,
    run: str,
    seed: int,
    lake_root: str | Path,
    at_least: int = 8,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Write `data/<dataset>/<run>/rows.parquet` and its verdicts, and return what a commit needs, as JSON can hold it.

    writer: `module:function`; run: names the folder. The rows lie in the ledger already when this fails, so running it again
    asks for nothing twice. Raises WorkError when fewer than `at_least` rows are kept, with the counts by reason.
    """
    function, root = load(writer), Path(lake_root).resolve()
    shape = shape_of(function.__module__)
    schema = SHAPES[shape]
    ask = desk.ask(part, seed, watch or Meters())
    path = root / "data" / dataset / run / "rows.parquet"
    began = time.monotonic()
    verdicts: list[dict[str, Any]] = []
    with DataWriter(path, schema, {"part": part, "writer": writer}) as data:
        for row in function(documents, ask, **knobs):
            data.add(row)
            verdicts.append(verdict_of(row))
        reasons = Counter(v["reason"] for v in verdicts if not v["kept"])
        kept = len(verdicts) - reasons.total()
        if kept < at_least:
            said = f"{part}: kept {kept} of {len(verdicts)} rows, at_least is {at_least}{_why(reasons)}"
            raise WorkError(f"{said}; give it more by limit: or from:, or lower at_least:")
        stat = data.close()
    file = _judged(stat, verdicts, dataset, run, root, schema)
    return {
        "file": asdict(file), "shape": shape, "rows": len(verdicts), "kept": kept, "reasons": dict(reasons.most_common()),
        "model": asdict(desk.model), "seconds": round(time.monotonic() - began, 3), **ask.counts,
    }  # fmt: skip


def shape_of(module: str) -> str:
    """Return the shape of what a writer writes: the constant SHAPE of its module, `document` where there is none."""
    shape = getattr(sys.modules[module], "SHAPE", "document")
    assert shape in SHAPES, f"{module}.SHAPE is {shape!r}; there is {', '.join(SHAPES)}"
    return str(shape)


def verdict_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return the verdict of a generated row. `bytes` and `tokens` are of its text."""
    size = len((row.get("text") or "").encode())
    carried = {name: row.get(name) for name in ("domain", "dump", "host", "license")}
    return {"kept": row["kept"], "reason": row["reason"], "language": None, **carried, "bytes": size, "tokens": size // BYTES_A_TOKEN}


def _judged(stat: FileStat, verdicts: Sequence[dict[str, Any]], dataset: str, run: str, root: Path, schema: pa.Schema) -> DataFile:
    """Write the verdicts beside the data file and return both as the catalogue knows them."""
    relative = os.path.relpath(stat.path, root)
    file_id = digest(relative)
    at = address(file_id, STAGE, {}, 1, None, (digest(json.dumps([[v["kept"], v["reason"]] for v in verdicts])),))
    path = root / "annotations" / dataset / run / f"rows.{FAMILY}-{at}.parquet"
    types = {field.name: field.type for field in VERDICT}
    told = write_annotation(path, FAMILY, pa.Table.from_pylist(list(verdicts), VERDICT), stat.ids, stat.rows, types)
    annotation = Annotation(FAMILY, os.path.relpath(path, root), at, STAGE, told.rows, told.columns)
    return DataFile(file_id, relative, stat.rows, stat.bytes, stat.ids, str(root), (annotation,), stat.columns)


def _why(reasons: Counter[str]) -> str:
    return f" ({', '.join(f'{n} {reason}' for reason, n in reasons.most_common())})" if reasons else ""


class Meters:
    """A watcher that shows each round of asking as a meter: done of total, rate, time left, what the ledger knew."""

    def __init__(self) -> None:
        self._meter: Meter | None = None

    def __call__(self, progress: Progress) -> None:
        if self._meter is None or self._meter.label != progress.label:
            self.close()
            self._meter = Meter(progress.label, progress.total or None, "requests" if progress.total else "s")
        if not progress.total:
            self._meter.to(round(progress.seconds))
            return
        known = f", {progress.found} from the ledger" if progress.found else ""
        self._meter.to(progress.done, f"{progress.tokens / max(progress.seconds, 1e-9):,.0f} tokens/s{known}")

    def close(self) -> None:
        if self._meter is not None:
            self._meter.close()
            self._meter = None
