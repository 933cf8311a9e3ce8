"""Data files and their annotation files: written once, read side by side, checked.

A data file holds documents. An annotation file holds one struct column about them: same rows, same order. Reading side by
side joins by position, so a shifted annotation would raise nothing and spoil every later row. Hence both carry, in the
Parquet footer, their row count and a hash of the doc_ids in order, and an annotation with another one is refused.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from catalog.dialects import said
from catalog.errors import LakeError, near
from catalog.ids import digest
from catalog.predicates import columns as named
from catalog.predicates import parse, typed

ROW_GROUP = 8192
"""Rows a row group: small enough that one document is read without the whole file."""

ROW_GROUP_BYTES = 64 << 20


@dataclass(frozen=True)
class FileStat:
    """What is known of a file just written. `ids` is the hash of its doc_ids in order."""

    path: str
    rows: int
    bytes: int
    ids: str
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Annotation:
    """One family of columns about one data file."""

    family: str
    path: str
    address: str
    stage: str
    rows: int
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class DataFile:
    """A data file of the lake and what has been said about it. Paths are relative to `root`, the lake."""

    id: str
    path: str
    rows: int
    bytes: int
    ids: str
    root: str
    annotations: tuple[Annotation, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()

    @property
    def full_path(self) -> str:
        return os.path.join(self.root, self.path)

    def annotation(self, family: str) -> Annotation:
        for annotation in self.annotations:
            if annotation.family == family:
                return annotation
        known = [a.family for a in self.annotations]
        raise LakeError(f"{self.path}: no family {family!r}{near(family, known)}")


@dataclass(frozen=True)
class Snapshot:
    """One immutable version of a dataset. `policies` are the policies whose verdicts stand on it, the first decides `data.`"""

    dataset: str
    version: int
    key: str
    parent: int | None
    shape: str
    owner: str
    files: tuple[DataFile, ...]
    policies: tuple[dict[str, Any], ...]
    created: datetime
    rows: int
    kept: int
    tokens: int
    lineage: tuple[tuple[str, int], ...]
    root: str

    @property
    def name(self) -> str:
        return f"{self.dataset}@v{self.version}"


@dataclass(frozen=True)
class Draft:
    """What a part hands to `Lake.commit`: everything of a new snapshot but its number."""

    dataset: str
    key: str
    shape: str
    owner: str
    files: tuple[DataFile, ...]
    run: str
    policies: tuple[dict[str, Any], ...] = ()
    lineage: tuple[tuple[str, int], ...] = ()
    quarantine: tuple[dict[str, Any], ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)
    mode: str = "replace"
    parent: int | None = None
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def verdict_family(policy: str | None) -> str:
    """The family that holds a policy's verdicts: `verdict` for a dataset's first policy, `verdict_<name>` for others, - as _."""
    return f"verdict_{policy.replace('-', '_')}" if policy else "verdict"


class _IdsHash:
    """The hash of doc_ids in order, as they come: ids have a fixed length, so joining them is unambiguous."""

    def __init__(self) -> None:
        self.state = hashlib.blake2b(digest_size=16)

    def update(self, ids: pl.Series | Iterable[str]) -> "_IdsHash":
        self.state.update("".join(ids).encode())
        return self

    def hexdigest(self) -> str:
        return self.state.hexdigest()


def temporary(path: str | Path) -> Path:
    """Return a name beside `path` that nobody else uses; renaming it onto `path` publishes the file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.tmp"


def publish(written: Path, path: str | Path) -> None:
    """Make a finished temporary file durable and visible under its name."""
    with open(written, "rb+") as handle:
        os.fsync(handle.fileno())
    os.replace(written, path)


def write_json(path: str | Path, value: Any) -> None:
    """Write a JSON file whole or not at all."""
    written = temporary(path)
    written.write_text(json.dumps(value, indent=1, sort_keys=True, default=str) + "\n", encoding="utf-8")
    publish(written, path)


class DataWriter:
    """One data file, written in row groups under a temporary name and published by `close`.

    Used as a context manager, an exception leaves nothing behind.
    """

    def __init__(self, path: str | Path, schema: pa.Schema, footer: dict[str, str] | None = None) -> None:
        self.path, self.schema, self.footer = Path(path), schema, footer or {}
        self.rows = self.bytes = 0
        self._ids, self._held, self._weight = _IdsHash(), [], 0  # type: tuple[_IdsHash, list[dict[str, Any]], int]
        self._written = temporary(path)
        self._writer = pq.ParquetWriter(
            self._written, schema, compression="zstd", coerce_timestamps="us", write_page_index=True
        )

    def add(self, row: dict[str, Any]) -> None:
        """Add one row; columns it lacks are null."""
        self._held.append(row)
        self._weight += len(row.get("text") or "")
        if len(self._held) >= ROW_GROUP or self._weight >= ROW_GROUP_BYTES:
            self._flush()

    def add_table(self, table: pa.Table) -> None:
        """Add a table with the file's schema."""
        self._flush()
        table = table.select(self.schema.names).cast(self.schema)
        self._writer.write_table(table, row_group_size=ROW_GROUP)
        if "doc_id" in self.schema.names:
            self._ids.update(table["doc_id"].to_pylist())
        self.rows += table.num_rows

    def _flush(self) -> None:
        if self._held:
            rows, self._held, self._weight = self._held, [], 0
            self.add_table(pa.Table.from_pylist(rows, schema=self.schema))

    def close(self) -> FileStat:
        """Write the footer, make the file durable, give it its name."""
        self._flush()
        ids = self._ids.hexdigest()
        self._writer.add_key_value_metadata(
            {"headrace.rows": str(self.rows), "headrace.ids": ids, **{f"headrace.{k}": v for k, v in self.footer.items()}}
        )
        self._writer.close()
        publish(self._written, self.path)
        return FileStat(str(self.path), self.rows, self.path.stat().st_size, ids, _columns(self.schema))

    def abandon(self) -> None:
        """Leave nothing behind."""
        self._writer.close()
        self._written.unlink(missing_ok=True)

    def __enter__(self) -> "DataWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self.abandon()


def write_rows(
    path: str | Path, table: pa.Table | pl.DataFrame, schema: pa.Schema, footer: dict[str, str] | None = None
) -> FileStat:
    """Write one data file whole."""
    with DataWriter(path, schema, footer) as writer:
        writer.add_table(table.to_arrow() if isinstance(table, pl.DataFrame) else table)
        return writer.close()


def write_annotation(
    path: str | Path,
    family: str,
    columns: pl.DataFrame | pa.Table,
    ids: str,
    rows: int,
    types: dict[str, pa.DataType],
    footer: dict[str, str] | None = None,
) -> FileStat:
    """Write one family about one data file: a single struct column named after the family.

    `ids` and `rows` are the data file's. Raises LakeError when the columns have another height.
    """
    table = columns.to_arrow() if isinstance(columns, pl.DataFrame) else columns
    if table.num_rows != rows:
        raise LakeError(f"{path}: family {family!r} has {table.num_rows} rows, its data file {rows}; a stage keeps rows and order")
    inner = pa.schema(list(types.items()))
    cast = table.select(inner.names).cast(inner).combine_chunks()
    arrays = [column.chunk(0) if column.num_chunks else pa.array([], column.type) for column in cast.columns]
    struct = pa.StructArray.from_arrays(arrays, fields=list(inner))
    schema = pa.schema([(family, struct.type)])
    written = temporary(path)
    with pq.ParquetWriter(written, schema, compression="zstd", coerce_timestamps="us") as writer:
        writer.write_table(pa.Table.from_arrays([struct], schema=schema), row_group_size=ROW_GROUP)
        metadata = {"headrace.rows": str(rows), "headrace.ids": ids, **{f"headrace.{k}": v for k, v in (footer or {}).items()}}
        writer.add_key_value_metadata(metadata)
    publish(written, path)
    return FileStat(str(path), rows, Path(path).stat().st_size, ids, _columns(inner))


def _columns(schema: pa.Schema) -> tuple[tuple[str, str], ...]:
    return tuple((field.name, str(field.type)) for field in schema)


def footer(path: str | Path) -> dict[str, str]:
    """Return what headrace wrote into a file's footer: rows, ids and the writer's own entries."""
    found = pq.read_metadata(path).metadata or {}
    return {k.decode()[9:]: v.decode() for k, v in found.items() if k.startswith(b"headrace.")}


def check(data: DataFile, annotation: Annotation) -> None:
    """Refuse an annotation that does not stand row by row beside its data file. Reads one footer."""
    found = footer(os.path.join(data.root, annotation.path))
    if found.get("rows") != str(data.rows) or found.get("ids") != data.ids:
        raise LakeError(
            f"{annotation.path}: does not stand beside {data.path} "
            f"({found.get('rows')} rows against {data.rows}, or other doc_ids); remove it and run the part again"
        )


def address(
    file_id: str, stage: str, knobs: dict[str, Any], version: int, splitter: str | None, inputs: Sequence[str] = ()
) -> str:
    """Return the address of (file, stage): what is there under this name is not computed again.

    `inputs` are the addresses of the families that the stage reads.
    """
    text = json.dumps(knobs, sort_keys=True, default=str)
    return digest(file_id, stage, text, str(version), splitter or "", *inputs)


def read(
    file: DataFile, columns: Sequence[str] = ("doc_id", "text"), families: Sequence[str] = (), rows: slice | None = None
) -> pl.DataFrame:
    """Return a data file with annotation families beside it as struct columns, by position."""
    frames = []
    if columns:
        frames.append(_parquet(file.full_path, columns, rows))
    for family in families:
        annotation = file.annotation(family)
        frames.append(_parquet(os.path.join(file.root, annotation.path), [family], rows))
    heights = {frame.height for frame in frames}
    assert len(heights) <= 1, f"{file.path}: families of different height {heights} passed the commit"
    return pl.concat(frames, how="horizontal") if len(frames) > 1 else frames[0]


def _parquet(path: str, columns: Sequence[str], rows: slice | None) -> pl.DataFrame:
    frame = pl.scan_parquet(path, glob=False, hive_partitioning=False).select(list(columns))
    if rows is not None:
        frame = frame.slice(rows.start, rows.stop - rows.start)
    return frame.collect()


def known(file: DataFile) -> dict[str, str]:
    """Return what a predicate may read of a data file: dotted path -> Arrow type as text."""
    from catalog.schema import CHAT, DOCUMENT, ITEM, JUDGEMENT, PAIR  # numba starts in .6 s: not for every opening of a lake

    shapes = [shape.field(name) for name, _ in file.columns for shape in (DOCUMENT, CHAT, PAIR, JUDGEMENT, ITEM) if name in shape.names]
    names = dict(_flat((field.name, field.type) for field in reversed(shapes)))
    for annotation in file.annotations:
        names[annotation.family] = "struct"
        names.update({f"{annotation.family}.{name}": kind for name, kind in annotation.columns})
    return names


def _flat(fields: Iterable[tuple[str, pa.DataType]]) -> Iterator[tuple[str, str]]:
    for name, kind in fields:
        yield name, str(kind)
        if pa.types.is_struct(kind):
            yield from _flat((f"{name}.{inner.name}", inner.type) for inner in kind)


def scan(
    snapshot: Snapshot,
    columns: Sequence[str] = ("doc_id", "text"),
    families: Sequence[str] = (),
    *,
    where: str | None = None,
    kept: bool = True,
    policy: str | None = None,
) -> Iterator[pl.DataFrame]:
    """Yield a snapshot file by file, in catalogue order, with families as struct columns.

    `where` is a predicate in the policies' SQL over any column and any signal; `kept` leaves what the first policy (or
    `policy`) keeps. Raises PolicyError for a predicate that is not that SQL or names what a file has not.
    """
    families_of = {p["name"]: p.get("family") or verdict_family(None if place == 0 else p["name"]) for place, p in enumerate(snapshot.policies)}
    if policy is not None and policy not in families_of:
        raise LakeError(f"{snapshot.name}: no policy {policy!r}{near(policy, families_of)}")
    verdict = families_of[policy] if policy else next(iter(families_of.values()), verdict_family(None))
    asked = None if where is None else parse(where, f"{snapshot.name}: where: ")
    for file in snapshot.files:
        names = known(file)
        node = None if asked is None else typed(asked, names, f"{snapshot.name}: where: ")
        reads = {path.partition(".")[0] for path in named(node)} if node else set()
        present = {annotation.family for annotation in file.annotations}
        judged = {verdict} & present if kept else set()
        frame = read(file, [*columns, *sorted(reads - present - set(columns))], [*families, *sorted((reads & present | judged) - set(families))])
        if judged:
            frame = frame.filter(pl.col(verdict).struct.field("kept"))
        if node is not None:
            frame = frame.filter(said(frame, node).fill_null(False))
        yield frame.select([*columns, *families])
