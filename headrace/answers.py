"""The rows that a query answers, for people and for machines: a table, CSV, JSON lines, a file."""

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import typer

from catalog.errors import QueryError
from catalog.query import Limits, save
from headrace.tables import as_text, table

BOUNDS = {"HEADRACE_SQL_SECONDS": threading.TIMEOUT_MAX, "HEADRACE_SQL_GIB": 1e6}
"""The settings that bound a query, and the most that each can be."""


def limits() -> Limits:
    """Return what a query may cost. Raises QueryError for a setting that is no number over 0."""
    for name, most in BOUNDS.items():
        given = os.environ.get(name)
        try:
            fits = given is None or 0 < float(given) <= most
        except ValueError:
            fits = False
        if not fits:
            raise QueryError(f"{name}={given}: is no number over 0; set it to one, such as 600, or not at all")
    return Limits()


def named_apart(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """Return the same rows with columns of one name told apart as DuckDB does: a, a_1, a_2."""
    names: list[str] = []
    taken = set(reader.schema.names)
    for name in reader.schema.names:
        again = name if name not in names else next(n for i in range(1, len(taken) + 2) if (n := f"{name}_{i}") not in taken)
        names.append(again)
        taken.add(again)
    schema = pa.schema([field.with_name(name) for field, name in zip(reader.schema, names, strict=True)])
    return pa.RecordBatchReader.from_batches(schema, (batch.rename_columns(names) for batch in reader))


def print_rows(reader: pa.RecordBatchReader, form: str) -> None:
    """Print rows: csv and json as they come, a table when all are there. In JSON, NaN and infinities are null."""
    if form == "table":
        found = reader.read_all().to_pylist()
        table([{k: _short(v) for k, v in row.items()} for row in found], empty="no rows")
    elif form == "csv":
        flat = _flat(reader)
        with pyarrow.csv.CSVWriter(sys.stdout.buffer, flat.schema) as out:
            for batch in flat:
                out.write_batch(batch)
                sys.stdout.buffer.flush()
    else:
        for batch in reader:
            for row in batch.to_pylist():
                typer.echo(as_text(row))


def write_file(reader: pa.RecordBatchReader, out: Path) -> int:
    """Write rows to a .parquet or .csv file, whole or not at all, and return how many. Raises QueryError where it cannot be."""
    try:
        return save(_flat(reader) if out.suffix == ".csv" else reader, str(out))
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        raise QueryError(f"--out {out}: cannot be written ({why}); name a file in a folder of your own") from None
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise QueryError(f"--out {out}: {error}; cast that column to VARCHAR") from None


def _flat(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """The same rows for CSV, which has neither lists, structs, intervals nor bytes: those become JSON."""
    odd = [i for i, field in enumerate(reader.schema) if _odd(field.type)]
    schema = pa.schema([pa.field(field.name, pa.string()) if i in odd else field for i, field in enumerate(reader.schema)])

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            columns = [_json(column) if i in odd else column for i, column in enumerate(batch.columns)]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _odd(kind: pa.DataType) -> bool:
    return bool(pa.types.is_nested(kind) or pa.types.is_interval(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _json(column: pa.Array) -> pa.Array:
    values = (value if value is None or isinstance(value, dict | list | tuple) else str(value) for value in column.to_pylist())
    return pa.array([value if value is None or isinstance(value, str) else as_text(value) for value in values], pa.string())


def _short(value: Any) -> Any:
    """A cell of a table shows the beginning of a long text."""
    text = json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, dict | list) else value
    return f"{text[:197]}..." if isinstance(text, str) and len(text) > 200 else text
