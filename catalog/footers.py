"""What Parquet footers say: how many rows, of which documents, which columns, from what to what. No row is read."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from catalog.errors import LakeError
from catalog.files import Annotation, DataFile

Stat = tuple[str, str, str | None, str | None, int | None]
"""(path, column, low, high, nulls): a row of `column_stat`."""

LONG = ("text", "chosen", "rejected")
"""Columns whose extremes say nothing."""

SHOWN = 64
"""Characters of an extreme that are kept: a prefix, where a value is longer."""


@dataclass(frozen=True)
class Footer:
    """One file's footer. `ids` is empty where the writer was not ours."""

    path: str
    rows: int
    bytes: int
    ids: str
    columns: tuple[tuple[str, str], ...]
    stats: tuple[Stat, ...]
    schema: pa.Schema

    def inner(self, family: str) -> tuple[tuple[str, str], ...]:
        """The fields of a family's struct."""
        kind = self.schema.field(family).type
        return tuple((field.name, str(field.type)) for field in kind) if pa.types.is_struct(kind) else ((family, str(kind)),)


def read(root: str, path: str) -> Footer:
    """Read one footer; `path` is relative to the lake. Raises LakeError when the file is missing or is no Parquet."""
    full = os.path.join(root, path)
    try:
        metadata = pq.read_metadata(full)
        size = os.path.getsize(full)
    except FileNotFoundError:
        raise LakeError(f"{path}: is not in the lake {root}; run the part that writes it again") from None
    except (OSError, pa.ArrowInvalid) as error:
        raise LakeError(f"{path}: is no Parquet file ({str(error).splitlines()[0]}); remove it and run its part again") from None
    ours = metadata.metadata or {}
    schema = metadata.schema.to_arrow_schema()
    columns = tuple((field.name, str(field.type)) for field in schema)
    return Footer(path, metadata.num_rows, size, ours.get(b"headrace.ids", b"").decode(), columns, tuple(_stats(path, metadata)), schema)


def _stats(path: str, metadata: Any) -> Iterator[Stat]:
    """Statistics of every column outside lists, over all row groups."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    for i in range(metadata.num_columns):
        column = metadata.schema.column(i)
        name = column.path
        if column.max_repetition_level or name in LONG:
            continue
        found = [group.column(i).statistics for group in groups]
        lows = [s.min for s in found if s is not None and s.has_min_max]
        highs = [s.max for s in found if s is not None and s.has_min_max]
        known = found and all(s is not None and s.has_null_count for s in found)
        nulls = sum(s.null_count for s in found) if known else None
        yield path, name, _shown(min(lows)) if lows else None, _shown(max(highs)) if highs else None, nulls


def _shown(value: Any) -> str:
    return str(value)[:SHOWN]


def stats(root: str, paths: Iterable[str]) -> list[Stat]:
    """Return the `column_stat` rows of files; a file that is gone has none."""
    return [stat for path in paths if os.path.exists(os.path.join(root, path)) for stat in read(root, path).stats]


def check_data(file: DataFile, found: Footer) -> None:
    """Refuse a data file that is not what the draft says of it."""
    if found.rows != file.rows or (file.ids and found.ids and found.ids != file.ids):
        raise LakeError(f"{file.path}: has {found.rows} rows where the draft says {file.rows}, or other documents; run its part again")


def check_annotation(file: DataFile, annotation: Annotation, found: Footer) -> None:
    """Refuse an annotation that does not stand row by row beside its data file."""
    if found.rows != file.rows or (file.ids and found.ids != file.ids):
        raise LakeError(
            f"{annotation.path}: does not stand beside {file.path} ({found.rows} rows against {file.rows}, or other doc_ids); "
            "remove it and run its part again"
        )
    if [name for name, _ in found.columns] != [annotation.family]:
        raise LakeError(f"{annotation.path}: holds {', '.join(n for n, _ in found.columns)}, not the family {annotation.family!r}")
