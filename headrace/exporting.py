"""`headrace show DATASET --out FILE`: all documents of a dataset in a file, masked and cut as its policy says, to be taken elsewhere."""

import contextlib
import fcntl
import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from catalog.errors import QueryError, near
from catalog.files import Snapshot, publish, read, temporary
from catalog.progress import Meter
from catalog.snapshots import verdict_of
from catalog.views import OURS
from headrace.masked import reaching

KINDS = (".jsonl", ".parquet")
SLICE_ROWS, SLICE_BYTES = 8192, 64 << 20
"""What is read and written at a time: rows, and about as many bytes of the data file."""


def export(snapshot: Snapshot, out: Path, dropped: str | None, n: int | None, overwrite: bool) -> int:
    """Write the rows that a snapshot keeps, or those dropped for a reason ('' for any), whole or not at all; return how many.

    With `dropped` a column `reason` is added. Rows stand in the lake's order; columns that a file lacks are null. No rows, no file.
    """
    refuse(out, overwrite)
    changes, schema = reaching(snapshot), _schema(snapshot, dropped)
    written = temporary(out)
    count = 0
    try:
        _clear(out)
        with open(written, "wb") as file:
            with _sink(file, out, schema) as sink, Meter(f"{snapshot.name}: to {out.name}", snapshot.rows, "rows") as meter:
                for frame in _rows(snapshot, changes, dropped, meter):
                    table = _table(frame.head(frame.height if n is None else n - count), schema)
                    if out.suffix == ".parquet":
                        sink.write_table(table)
                    else:
                        pl.DataFrame(pl.from_arrow(table)).write_ndjson(sink)
                    count += table.num_rows
                    if count == n:
                        break
            file.flush()
            if count:
                refuse(out, overwrite)                       # another may have written it meanwhile
                publish(written, out)
    except OSError as error:
        raise QueryError(f"--out {out}: cannot be written ({os.strerror(error.errno or 0)}); name a file in a folder of your own") from None
    finally:
        written.unlink(missing_ok=True)
    return count


def _sink(file: IO[bytes], out: Path, schema: pa.Schema) -> Any:
    """What rows are written to. The file is locked while it is open: that is how one left by a killed process is told from this one."""
    with contextlib.suppress(OSError):                       # not every file system has locks
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return pq.ParquetWriter(file, schema, compression="zstd") if out.suffix == ".parquet" else contextlib.nullcontext(file)


def _clear(out: Path) -> None:
    """Remove what killed exports to this very file left beside it; one at work holds its own file."""
    for left in out.parent.glob(f".{glob.escape(out.name)}.{'[0-9a-f]' * 8}.tmp"):
        with contextlib.suppress(OSError), open(left, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


def refuse(out: Path, overwrite: bool) -> None:
    """Raise QueryError for a file that cannot be the one to write."""
    if out.suffix not in KINDS:
        raise QueryError(f"--out {out}: cannot write {out.suffix or 'that'}{near(out.suffix, KINDS)}; name a .jsonl or .parquet file")
    refuse_taken(out, overwrite)


def refuse_taken(out: Path, overwrite: bool) -> None:
    """Raise QueryError for a file that is there, or whose folder is not."""
    if not out.parent.is_dir():
        raise QueryError(f"--out {out}: there is no folder {out.parent}")
    if out.is_dir() or (os.path.lexists(out) and not overwrite):
        raise QueryError(f"--out {out}: it exists; name another{'' if out.is_dir() else ', or add --overwrite'}")


def _schema(snapshot: Snapshot, dropped: str | None) -> pa.Schema:
    found = pa.unify_schemas([pq.read_schema(file.full_path).remove_metadata() for file in snapshot.files], promote_options="permissive")
    fields = [field for field in found if field.name not in OURS and (dropped is None or field.name != "reason")]
    return pa.schema([*fields, *([pa.field("reason", pa.string())] if dropped is not None else [])])


def _rows(snapshot: Snapshot, changes: dict[str, Any], dropped: str | None, meter: Meter) -> Iterator[pl.DataFrame]:
    """Yield the rows that are wanted, a slice of a file at a time, spans applied."""
    from catalog import spans  # numba starts in .6 s: not for a file that cannot be written

    verdict, beside = verdict_of(snapshot), spans.families(changes)
    for file in snapshot.files:
        names = [name for name, _ in file.columns if name not in OURS]
        judged = [verdict] if verdict in [a.family for a in file.annotations] else []
        step = max(1, min(SLICE_ROWS, file.rows * SLICE_BYTES // max(file.bytes, 1)))
        for start in range(0, file.rows if judged or dropped is None else 0, step):
            batch = read(file, names, [*judged, *(family for family in beside if family not in judged)], rows=slice(start, start + step))
            chosen = _chosen(batch, judged, dropped)
            if chosen.height:
                yield chosen.with_columns(spans.apply(chosen, changes)) if changes else chosen
            meter.add(batch.height)


def _chosen(batch: pl.DataFrame, judged: list[str], dropped: str | None) -> pl.DataFrame:
    if not judged:
        return batch
    kept, reason = pl.col(judged[0]).struct.field("kept").fill_null(True), pl.col(judged[0]).struct.field("reason")
    if dropped is None:
        return batch.filter(kept)
    return batch.filter(~kept & ((reason == dropped) if dropped else pl.lit(True))).with_columns(reason.alias("reason"))


def _table(frame: pl.DataFrame, schema: pa.Schema) -> pa.Table:
    made = frame.select(name for name in schema.names if name in frame.columns).to_arrow()
    columns = [made[field.name].cast(field.type) if field.name in made.column_names else pa.nulls(made.num_rows, field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)
