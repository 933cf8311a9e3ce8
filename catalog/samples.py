"""A fixed sample of every dataset: the documents whose ids hash lowest, with their text and annotations.

The sample is the bottom k by hash, so the same documents are chosen on every machine, two samples merge into the sample of
both, and each document has the same chance. It lies in parts: an append adds a part over its own files, cut at what the
dataset's sample already is. All parts together, cut at the k-th hash (`sample_below` of the snapshot), are the sample.
The order is by a hash of the doc_id, not by the doc_id: the smallest doc_id names a duplicate cluster, so it is no fair draw.

A part is laid out like the lake itself: documents in one file, each family in another, side by side. A new policy over the
same files therefore writes its verdicts for the sample and reads no text.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from catalog.files import DataFile, read, write_rows
from catalog.garbage import still_there
from catalog.ids import digest
from catalog.rows import Rows, stack, take

DOCUMENTS = 100_000
"""Documents in a sample."""

BYTES = 512 << 20
"""Bytes of a sample in memory: books are long, and 100,000 of them would be 50 GB. A lower cut keeps it a fair draw."""

Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Part:
    """One file of a sample: documents (`family` None) or one family about them.

    `files` is how many of the snapshot's data files, in order, it is drawn from; `below` the cut that it was made with.
    """

    path: str
    part: str
    family: str | None
    rows: int
    files: int
    below: int | None
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Chosen:
    """Rows of one data file: `keys` are their hashes, row by row."""

    file: DataFile
    rows: Rows
    keys: Keys

    def under(self, below: int) -> "Chosen":
        inside = self.keys < np.uint64(below)
        return Chosen(self.file, self.rows[inside], self.keys[inside])


def draw(files: Sequence[DataFile], below: int | None, count: int) -> tuple[list[Chosen], int | None]:
    """Return the `count` rows of lowest hash under `below`, file by file, and the cut. Reads doc_ids alone."""
    chosen: list[Chosen] = []
    held = 0
    for file in files:
        chosen.append(_keys(file) if below is None else _keys(file).under(below))
        held += chosen[-1].rows.size
        if held > 2 * count:
            chosen, below = _cut(chosen, below, count)
            held = count
    return _cut(chosen, below, count)


def _keys(file: DataFile) -> Chosen:
    from catalog.schema import hash_column  # numba starts in .6 s: only a commit needs it, not every opening of a lake

    keys = hash_column(read(file, ("doc_id",))["doc_id"])
    return Chosen(file, np.arange(keys.size, dtype=np.int64), keys)


def _cut(chosen: list[Chosen], below: int | None, count: int) -> tuple[list[Chosen], int | None]:
    keys = np.concatenate([c.keys for c in chosen]) if chosen else np.empty(0, np.uint64)
    if keys.size <= count:
        return chosen, below
    below = int(np.partition(keys, count)[count])
    return [c.under(below) for c in chosen], below


def write_part(
    root: str, folder: str, files: Sequence[DataFile], below: int | None, *, count: int = DOCUMENTS, most: int = BYTES
) -> list[Part]:
    """Write the documents of the sample of some files, and each family about them. What is there under its address stays.

    `below` is the cut of the dataset's sample so far: rows over it can never be in.
    """
    part = digest("sample", str(count), str(most), str(below), *(file.id for file in files))
    path = f"{folder}/{part}.parquet"
    if not still_there(os.path.join(root, path)):
        _write_documents(os.path.join(root, path), files, below, count, most)
    found = pq.ParquetFile(os.path.join(root, path))
    ours = found.metadata.metadata or {}
    cut = ours.get(b"headrace.below", b"").decode()
    documents = Part(path, part, None, found.metadata.num_rows, len(files), int(cut) if cut else None, _fields(found.schema_arrow))
    return beside(root, folder, documents, files)


def beside(root: str, folder: str, documents: Part, files: Sequence[DataFile]) -> list[Part]:
    """Return a part's documents with every family that stands beside `files` written about them."""
    return [documents, *(_family(root, folder, documents, files, family) for family in families(files))]


def _write_documents(path: str, files: Sequence[DataFile], below: int | None, count: int, most: int) -> None:
    chosen, below = draw(files, below, count)
    tables: list[pa.Table] = []
    weight = 0
    for one in chosen:
        one = one if below is None else one.under(below)
        table = take(one.file.full_path, one.rows)
        table = table.append_column("sample_key", pa.array(one.keys, pa.uint64()))
        table = table.append_column("sample_file", pa.array([one.file.id] * one.rows.size, pa.string()))
        tables.append(table.append_column("sample_row", pa.array(one.rows, pa.int64())))
        weight += int(_sizes(table).sum())
        if weight > most:
            tables, below, weight = _lighter(tables, most)
    table = stack(tables)
    write_rows(path, table, table.schema, {"below": "" if below is None else str(below)})


def _sizes(table: pa.Table) -> Rows:
    """Bytes of each row's text."""
    sizes: Rows = pc.fill_null(pc.binary_length(table["text"]), 0).to_numpy().astype(np.int64)
    return sizes


def _lighter(tables: list[pa.Table], most: int) -> tuple[list[pa.Table], int, int]:
    """Lower the cut until the texts weigh at most `most` bytes: the longest run from the lowest hash that fits."""
    keys = np.concatenate([table["sample_key"].to_numpy() for table in tables])
    sizes = np.concatenate([_sizes(table) for table in tables])
    order = np.argsort(keys)
    weights = np.cumsum(sizes[order])
    first = int(np.searchsorted(weights, most, side="right"))  # the first row that no longer fits
    below = int(keys[order][first])
    inside = [table.filter(pc.less(table["sample_key"], pa.scalar(below, pa.uint64()))) for table in tables]
    return inside, below, int(weights[first - 1]) if first else 0


def _family(root: str, folder: str, documents: Part, files: Sequence[DataFile], family: str) -> Part:
    """Write one family beside a part's documents; files that lack the family give nulls."""
    addresses = [next((a.address + a.path for a in file.annotations if a.family == family), "") for file in files]
    path = f"{folder}/{documents.part}.{family}-{digest(*addresses)}.parquet"
    full = os.path.join(root, path)
    if not still_there(full):
        where = pl.read_parquet(os.path.join(root, documents.path), columns=["sample_file", "sample_row"])
        by_file = {str(key[0]): rows["sample_row"].to_numpy() for key, rows in where.group_by("sample_file")}
        none = np.empty(0, np.int64)
        table = stack([_rows_of(file, family, by_file.get(file.id, none)) for file in files])
        write_rows(full, table, table.schema)
    found = pq.read_schema(full)
    kind = found.field(family).type
    fields = tuple((f.name, str(f.type)) for f in kind) if pa.types.is_struct(kind) else ()
    return Part(path, documents.part, family, documents.rows, documents.files, documents.below, fields)


def _rows_of(file: DataFile, family: str, rows: Rows) -> pa.Table:
    if family in [a.family for a in file.annotations]:
        return take(os.path.join(file.root, file.annotation(family).path), rows, [family])
    return pa.table({family: pa.nulls(rows.size)})


def families(files: Sequence[DataFile]) -> list[str]:
    """Return every family that stands beside any of the files, in the order they are met."""
    return list(dict.fromkeys(a.family for file in files for a in file.annotations))


def _fields(schema: pa.Schema) -> tuple[tuple[str, str], ...]:
    return tuple((field.name, str(field.type)) for field in schema)


def cut(root: str, parts: Sequence[Part], count: int = DOCUMENTS) -> int | None:
    """Return the hash that makes one sample of several parts: the lowest cut among them, or the k-th hash of all."""
    documents = [part for part in parts if part.family is None]
    cuts = [part.below for part in documents if part.below is not None]
    below = min(cuts, default=None)
    if sum(part.rows for part in documents) <= count:
        return below
    keys = np.concatenate([pq.read_table(os.path.join(root, p.path), columns=["sample_key"])["sample_key"].to_numpy() for p in documents])
    if below is not None:
        keys = keys[keys < np.uint64(below)]
    return int(np.partition(keys, count)[count]) if keys.size > count else below
