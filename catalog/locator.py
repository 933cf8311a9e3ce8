"""Where a document lies: from the hash of its id, its URI or its host to a data file and a row.

Sorted Parquet files, one or more a commit, merged now and then: a look-up reads one row group of each. The hash only
finds candidates; the document itself says whether it is the one.
"""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from catalog.errors import LakeError
from catalog.files import DataFile, publish, read, temporary
from catalog.garbage import still_there
from catalog.ids import digest
from catalog.rows import take

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FOLDER = "locator"
KINDS = ("doc_id", "uri", "host")
AT_ONCE = 2_000_000
"""Documents sorted in memory at once: three rows of 24 bytes each."""

MOST = 16
"""Files before the smallest are merged."""

ROW_GROUP = 65_536


class Place(NamedTuple):
    """A document found: the dataset and version that hold it, its data file with annotations, its row."""

    dataset: str
    version: int
    file: DataFile
    row: int


class Written(NamedTuple):
    """One file of the locator."""

    path: str
    rows: int


def write(root: str, files: Sequence[DataFile]) -> list[Written]:
    """Write the locator of new data files. The name is made of the files', so a killed commit's is found again."""
    return [_write(root, batch) for batch in _batches(files)]


def _batches(files: Sequence[DataFile]) -> Iterator[list[DataFile]]:
    batch: list[DataFile] = []
    rows = 0
    for file in files:
        if batch and rows + file.rows > AT_ONCE:
            yield batch
            batch, rows = [], 0
        batch.append(file)
        rows += file.rows
    if batch:
        yield batch


def _write(root: str, files: Sequence[DataFile]) -> Written:
    path = f"{FOLDER}/{digest(*(file.id for file in files))}.parquet"
    full = os.path.join(root, path)
    if not still_there(full):
        frame = pl.concat([_keys(file) for file in files]).sort("key", "file", "row", "kind")
        _publish(frame, full)
    return Written(path, int(pl.scan_parquet(full).select(pl.len()).collect().item()))


def _keys(file: DataFile) -> pl.DataFrame:
    from catalog.schema import hash_column  # numba starts in .6 s: not for every opening of a lake

    frame, rows = read(file, KINDS), np.arange(file.rows, dtype=np.int64)
    columns = []
    for i, kind in enumerate(KINDS):
        there = frame[kind].is_not_null().to_numpy()
        given = {"key": hash_column(frame[kind])[there], "kind": np.full(int(there.sum()), i, np.int8), "row": rows[there]}
        columns.append(pl.DataFrame(given).with_columns(pl.lit(file.id).alias("file")))
    return pl.concat(columns)


def _publish(frame: pl.DataFrame, path: str) -> None:
    written = temporary(path)
    frame.write_parquet(written, compression="zstd", row_group_size=ROW_GROUP, statistics=True)
    publish(written, path)


def merge(db: "DuckDBPyConnection", root: str, held: Sequence[Written]) -> tuple[Written, list[str]]:
    """Merge the smallest MOST files into one. Returns the new file and those that it replaces."""
    old = sorted(held, key=lambda w: (w.rows, w.path))[:MOST]
    path = f"{FOLDER}/{digest(*(w.path for w in old))}.parquet"
    if not still_there(os.path.join(root, path)):
        written = temporary(os.path.join(root, path))
        listed = ", ".join("'" + os.path.join(root, w.path).replace("'", "''") + "'" for w in old)
        target = str(written).replace("'", "''")
        db.execute(
            f"COPY (SELECT * FROM read_parquet([{listed}]) ORDER BY key, file, \"row\", kind) TO '{target}' "
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})"
        )
        publish(written, os.path.join(root, path))
    return Written(path, sum(w.rows for w in old)), [w.path for w in old]


def candidates(root: str, paths: Sequence[str], kind: str, value: str) -> list[tuple[str, int]]:
    """Return (data file id, row) of every document whose `kind` hashes as `value` does."""
    from catalog.schema import hash_text

    if not paths:
        return []
    wanted = (pl.col("key") == pl.lit(hash_text(value), pl.UInt64)) & (pl.col("kind") == KINDS.index(kind))
    found = pl.scan_parquet([os.path.join(root, path) for path in paths], glob=False).filter(wanted).select("file", "row").collect()
    return sorted(set(found.iter_rows()))


def is_there(file: DataFile, row: int, kind: str, value: str) -> bool:
    """Ask the document itself: two texts may have one hash."""
    found = take(file.full_path, np.array([row], np.int64), [kind])
    return bool(found.num_rows and found[kind][0].as_py() == value)


def kinds_of(text: str) -> tuple[str, ...]:
    """Return what a text may name: a doc_id, or a URI, or a host. Raises LakeError when it is empty."""
    if not text:
        raise LakeError("give a doc_id, a URI or a host")
    if len(text) == 32 and set(text) <= set("0123456789abcdef"):
        return ("doc_id", "uri")
    return ("uri", "host")
