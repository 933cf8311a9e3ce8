"""Tables that are text already, or whose rows a template makes one: JSON lines, CSV (also gzip) and Parquet, as documents, chats or pairs."""

import gzip
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from catalog.errors import InputError, near
from catalog.stage import Refused, source
from ingest.separated import SEPARATED, rows_of
from ingest.shapes import COLUMNS, SHAPES, Unfit
from ingest.template import Template, filled, parsed

MAX_LINE = 64 << 20
LONG_LINE, MAX_VALUES = 1 << 20, 4_000_000
"""Bytes of a line above which the values in it are counted first: as objects they take up to a hundred bytes each."""
BATCH = 256
JSON_LINES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".json.gz")

Numbered = tuple[int, int, Mapping[str, Any] | Refused]      # a row's number from 1, its bytes, itself


@source(version=3)
def read(
    path: str, *, columns: dict[str, str] | None = None, shape: str = "document", template: str | None = None
) -> Iterator[dict[str, Any] | Refused]:
    """Yield the rows of a table. `columns` is {ours: theirs}, `theirs` a path with dots in nested rows; without it equal names are taken.

    `template` makes the text of a document of the row's own columns, such as `{question}\\n\\n{answer}`; {{ and }} are braces, and a name may have dots.
    A `.csv` or `.tsv` has its columns' names in its first row. A row's place is its number from 1. Reasons:
    `bad_json`, `too_large`, `truncated`, `corrupt_table`, and those of its shape:
    `no_text`, `bad_row`, `no_assistant`, `no_preference`. Raises InputError for a column that is not there, naming the nearest.
    """
    name = os.path.basename(path)
    _check_ours(columns or {}, shape, path)
    made = parsed(template, path, shape, columns or {}) if template is not None else None
    rows, kind = records(path, name)
    checked = not columns and made is None
    for number, size, row in rows:
        if isinstance(row, Refused):
            yield row
            continue
        if not checked:
            _check_theirs(columns or {}, made, row, path)
            checked = True
        ours = {mine: _at(row, theirs) for mine, theirs in columns.items()} if columns else row
        try:
            if made is not None:
                ours = {**ours, "text": filled(made, partial(_at, row))}
            yield {**SHAPES[shape](ours), "offset": number, "length": size, "content_type": kind}
        except Unfit as unfit:
            yield Refused(f"{name}#{number}", unfit.args[0], f"row {number}: {unfit.args[1]}", number)
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            yield Refused(f"{name}#{number}", "bad_row", f"row {number}: {type(error).__name__}: {error}", number)


def records(path: str, name: str) -> tuple[Iterator[Numbered], str]:
    """Return the rows of a table and its content type, by the end of its name. Raises InputError for a name of another kind."""
    if name.endswith(".parquet"):
        return _parquet(path), "application/parquet"
    if name.endswith(JSON_LINES):
        return _lines(path), "application/jsonl"
    if name.endswith(SEPARATED):
        return rows_of(path), "text/csv"
    raise InputError(f"{path}: tables reads {', '.join(JSON_LINES[:2])}, .csv, .tsv and .parquet")


def _check_ours(columns: dict[str, str], shape: str, path: str) -> None:
    if shape not in SHAPES:
        raise InputError(f"{path}: as: {shape!r}{near(shape, SHAPES)}")
    for mine in columns:
        if mine not in COLUMNS[shape]:
            raise InputError(f"{path}: columns: a {shape} has no {mine!r}{near(mine, COLUMNS[shape])}")


def _check_theirs(columns: dict[str, str], made: Template | None, row: Mapping[str, Any], path: str) -> None:
    """The first row stands for all: a name that is not in it is a mistake of the recipe; a later row may lack one."""
    wanted = [(f"columns: {mine}", theirs) for mine, theirs in columns.items()]
    wanted += [("template", field) for _, field in made or () if field is not None]
    for where, theirs in wanted:
        if theirs not in row and theirs.partition(".")[0] not in row:
            raise InputError(f"{path}: {where}: the table has no {theirs!r}{near(theirs, row)}")


def _at(row: Mapping[str, Any], trail: str) -> Any:
    if trail in row:
        return row[trail]
    value: Any = row
    for key in trail.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _lines(path: str) -> Iterator[Numbered]:
    """JSON lines. A line that is not JSON is refused by its number; a gzip that breaks off gives what was read."""
    name, number = os.path.basename(path), 0
    with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
        while True:
            number += 1
            try:
                line = file.readline(MAX_LINE + 1)
                whole = len(line) <= MAX_LINE
                while not whole and line and not line.endswith(b"\n"):
                    line = file.readline(MAX_LINE)
            except (EOFError, OSError, zlib.error) as error:
                reason = "truncated" if isinstance(error, EOFError) else "corrupt_table"
                yield number, 0, Refused(f"{name}#{number}", reason, f"line {number}: {error}", number)
                return
            if not whole:
                yield number, 0, Refused(f"{name}#{number}", "too_large", f"line {number} has more than {MAX_LINE} bytes", number)
            elif not line:
                return
            elif line.strip():
                yield number, len(line), _parsed(line, name, number)


def _parsed(line: bytes, name: str, number: int) -> Mapping[str, Any] | Refused:
    if len(line) > LONG_LINE and (values := sum(map(line.count, (b",", b"[", b"{")))) > MAX_VALUES:
        return Refused(f"{name}#{number}", "too_large", f"line {number} holds about {values} values", number)
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Refused(f"{name}#{number}", "bad_json", f"line {number}: {error}", number)
    if not isinstance(row, dict):
        return Refused(f"{name}#{number}", "bad_json", f"line {number}: {type(row).__name__}, not an object", number)
    return row


def _parquet(path: str) -> Iterator[Numbered]:
    name, number = os.path.basename(path), 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH):
                for row in _listed(batch):
                    number += 1
                    yield number, 0, row
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        yield number + 1, 0, Refused(f"{name}#{number + 1}", "corrupt_table", f"after row {number}: {error}", number + 1)


def _listed(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows of a batch. A value that Python cannot hold (a date of the year 12000, a text that is no UTF-8) is None, and the rest stays."""
    columns = [_in_microseconds(column) for column in batch.columns]
    try:
        rows: list[dict[str, Any]] = pa.RecordBatch.from_arrays(columns, names=batch.schema.names).to_pylist()
        return rows
    except (ValueError, OverflowError):
        return [{name: _value(column[i]) for name, column in zip(batch.schema.names, columns, strict=True)} for i in range(batch.num_rows)]


def _in_microseconds(column: pa.Array) -> pa.Array:
    """Times as Python has them; what is finer is cut off."""
    fine = pa.types.is_timestamp(column.type) and column.type.unit == "ns"
    return column.cast(pa.timestamp("us", column.type.tz), safe=False) if fine else column


def _value(cell: pa.Scalar) -> Any:
    try:
        return cell.as_py()
    except (ValueError, OverflowError):
        return None
