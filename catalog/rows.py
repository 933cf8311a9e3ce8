"""Chosen rows of Parquet files, read by row group: a few documents never cost the whole file."""

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from catalog.files import DataFile

Rows = npt.NDArray[np.int64]


def take(path: str, rows: Rows, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the given rows of one file, in the given order, which is ascending. Reads only the row groups they lie in."""
    file = pq.ParquetFile(path)
    tables, start = [], 0
    for group in range(file.num_row_groups):
        end = start + file.metadata.row_group(group).num_rows
        inside = rows[(rows >= start) & (rows < end)]
        if inside.size:
            tables.append(file.read_row_group(group, columns=columns).take(pa.array(inside - start)))
        start = end
    return pa.concat_tables(tables) if tables else file.schema_arrow.empty_table().select(columns or file.schema_arrow.names)


def beside(file: DataFile, rows: Rows, families: Sequence[str] | None = None) -> pa.Table:
    """Return rows of a data file with its annotation families beside them (all of them: None)."""
    table = take(file.full_path, rows)
    for annotation in file.annotations:
        if families is None or annotation.family in families:
            column = take(os.path.join(file.root, annotation.path), rows, [annotation.family])
            table = table.append_column(annotation.family, column[annotation.family])
    return table


def stack(tables: Sequence[pa.Table]) -> pa.Table:
    """Put tables of unlike columns under each other: by name, the wider type, null where one has no such column."""
    return pa.concat_tables(tables, promote_options="permissive")
