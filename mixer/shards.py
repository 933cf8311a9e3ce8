"""Shards: the tokens of one data file's documents, laid end to end in a file that training maps into memory.

    <address>/tokens.bin     uint16 or uint32 little-endian, each document ends with eos
             /mask.bin       uint8 a token, 1 = supervised (absent: all are)
             /index.npy      int64 [documents + 1], where each document's tokens begin
             /docs.parquet   one row a document, in order
             /dropped.parquet   rows that were kept by the policy but not tokenised, with the reason (absent: none)
             /shard.json     what it was made of; there = complete

The address holds the data file, the tokenizer and the addresses of all that was read, so nothing is tokenised twice.
"""

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from catalog import spans
from catalog.cuts import settled
from catalog.errors import InputError
from catalog.files import DataFile, DataWriter, Snapshot, address, read, verdict_family, write_json
from catalog.progress import Meter
from mixer.tokenizer import Tokenizer

VERSION = 1
SLICE_ROWS, SLICE_BYTES = 8192, 64 << 20
"""What is read and encoded at a time: rows, and about as many bytes of the data file."""

DOCS = pa.schema(
    [
        *((name, pa.string()) for name in ("doc_id", "dataset", "domain", "host", "uri", "license")),
        ("n_bytes", pa.int64()),
        ("cluster", pa.string()),
        ("origin_hash", pa.string()),
        ("parents", pa.list_(pa.string())),
    ]
)
DROPPED = pa.schema([("doc_id", pa.string()), ("uri", pa.string()), ("reason", pa.string())])
FACTS = ("doc_id", "uri", "host", "domain", "license", "origin_hash", "gen")

Ids = npt.NDArray[np.int64]
Masks = list[npt.NDArray[np.uint8]]
Encoded = tuple[pl.DataFrame, list[Ids], Masks | None, list[str | None]]
"""The rows (pairs become two), and of each its ids, which of them are supervised (None: all), why it is left out (None: it is not)."""

Encoder = Callable[[pl.DataFrame], Encoded]


@dataclass(frozen=True)
class Shard:
    """A complete shard, opened lazily. `path` is relative to the lake."""

    root: str
    path: str
    about: dict[str, Any]

    @cached_property
    def tokens(self) -> npt.NDArray[Any]:
        return _map(self.folder / "tokens.bin", f"<{'u2' if self.about['dtype'] == 'uint16' else 'u4'}")

    @cached_property
    def mask(self) -> npt.NDArray[Any] | None:
        file = self.folder / "mask.bin"
        return _map(file, "u1") if file.is_file() else None

    @cached_property
    def index(self) -> Ids:
        found: Ids = np.load(self.folder / "index.npy", mmap_mode="r", allow_pickle=False)
        return found

    @property
    def folder(self) -> Path:
        return Path(self.root) / self.path

    def documents(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Return the rows of docs.parquet in order."""
        return pl.read_parquet(self.folder / "docs.parquet", columns=list(columns) if columns else None, glob=False)

    def dropped(self) -> pl.DataFrame:
        """Return doc_id, uri and reason of the rows that were not tokenised."""
        file = self.folder / "dropped.parquet"
        empty = pl.DataFrame(schema={"doc_id": pl.String, "uri": pl.String, "reason": pl.String})
        return pl.read_parquet(file, glob=False) if file.is_file() else empty


def _map(file: Path, dtype: str) -> npt.NDArray[Any]:
    """Map a file as a plain array (slices of a memmap are slow); an empty one cannot be mapped."""
    return np.memmap(file, dtype, "r").view(np.ndarray) if file.stat().st_size else np.empty(0, dtype)


def open_shard(root: str | Path, path: str) -> Shard:
    """Open a shard by its path under the lake. Raises InputError when it is not complete."""
    file = Path(root) / path / "shard.json"
    if not file.is_file():
        raise InputError(f"{file.parent}: no complete shard; run the mix part again")
    return Shard(str(root), path, json.loads(file.read_text(encoding="utf-8")))


def verdict(snapshot: Snapshot) -> str:
    """Return the family that says which rows are kept: of the first policy (`corpus/strict` puts its own first)."""
    first = snapshot.policies[0] if snapshot.policies else {}
    return str(first.get("family") or verdict_family(None))


def edits(snapshot: Snapshot) -> dict[str, Any]:
    """Return what the first policy masks and cuts, as `catalog.spans` takes it."""
    first = snapshot.policies[0] if snapshot.policies else {}
    found = {name: first[name] for name in ("mask", "cut") if first.get(name)}
    if "cut" in found:
        found["cut"] = settled(found["cut"], snapshot.files, verdict(snapshot))
    return found


def build(snapshot: Snapshot, tokenizer: Tokenizer, meter: Meter | None = None) -> list[Shard]:
    """Tokenise what the snapshot's policy keeps, spans applied: one shard a data file, those that exist left alone."""
    changes = edits(snapshot)

    def encode(batch: pl.DataFrame) -> Encoded:
        texts = spans.apply(batch, changes).fill_null("").to_list()
        ids = [np.append(one, tokenizer.eos) if one.size else one for one in tokenizer.encode(texts)]
        return batch, ids, None, [None if one.size else "empty" for one in ids]

    return build_with(snapshot, tokenizer, encode, ("text",), spans.families(changes), {"kind": "lm", "spans": changes}, meter)


def build_with(
    snapshot: Snapshot,
    tokenizer: Tokenizer,
    encode: Encoder,
    columns: Sequence[str],
    families: Sequence[str],
    knobs: dict[str, Any],
    meter: Meter | None,
) -> list[Shard]:
    """Make every shard of a snapshot with an encoder that reads `columns` and `families`; `knobs` tell it from others."""
    shards = []
    for file in snapshot.files:
        path = f"shards/{_address(snapshot, file, tokenizer, families, knobs)}"
        if not (Path(file.root) / path / "shard.json").is_file():
            _build(snapshot, file, tokenizer, encode, columns, families, knobs, path)
        shards.append(open_shard(file.root, path))
        if meter is not None:
            meter.add(file.rows)
    return shards


def _address(snapshot: Snapshot, file: DataFile, tokenizer: Tokenizer, families: Sequence[str], knobs: dict[str, Any]) -> str:
    read_too = [a.address for a in file.annotations if a.family in (*families, verdict(snapshot), "dup")]
    return address(file.id, "mixer.shards", {**knobs, "tokenizer": tokenizer.sha256}, VERSION, None, sorted(read_too))


def _build(
    snapshot: Snapshot,
    file: DataFile,
    tokenizer: Tokenizer,
    encode: Encoder,
    columns: Sequence[str],
    families: Sequence[str],
    knobs: dict[str, Any],
    path: str,
) -> None:
    """Write one shard in a folder of its own and give it its name when it is complete."""
    with _Writer(Path(file.root) / path, tokenizer) as writer:
        for batch in _slices(snapshot, file, columns, families):
            rows, ids, masks, reasons = encode(batch)
            keep = [i for i, reason in enumerate(reasons) if reason is None]
            lost = [i for i, reason in enumerate(reasons) if reason is not None]
            writer.add([ids[i] for i in keep], [masks[i] for i in keep] if masks is not None else None)
            sizes = writer.bytes_of([ids[i] for i in keep])
            writer.docs.add_table(_facts(rows[keep], snapshot.dataset, sizes).to_arrow())
            why = rows[lost].select("doc_id", "uri", reason=pl.Series([reasons[i] for i in lost], dtype=pl.String))
            writer.dropped.add_table(why.unique("doc_id", maintain_order=True).to_arrow())
        made_of = {"snapshot": snapshot.name, "verdict": verdict(snapshot), "file": file.path}
        writer.close({"tokenizer": tokenizer.sha256, "dtype": tokenizer.dtype, **made_of, **knobs})


def _slices(snapshot: Snapshot, file: DataFile, columns: Sequence[str], families: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Yield the rows of a data file that the first policy keeps, a slice at a time."""
    there = [a.family for a in file.annotations]
    kept = verdict(snapshot)
    beside = list(dict.fromkeys([*families, *(name for name in (kept, "dup") if name in there)]))
    step = max(1, min(SLICE_ROWS, file.rows * SLICE_BYTES // max(file.bytes, 1)))
    for start in range(0, file.rows, step):
        batch = read(file, [*FACTS, *columns], beside, rows=slice(start, start + step))
        yield batch.filter(pl.col(kept).struct.field("kept")) if kept in there else batch


def _facts(batch: pl.DataFrame, dataset: str, n_bytes: Ids) -> pl.DataFrame:
    cluster = pl.col("dup").struct.field("cluster") if "dup" in batch.columns else pl.lit(None, pl.String)
    return batch.select(
        "doc_id", pl.lit(dataset).alias("dataset"), "domain", "host", "uri", "license",
        n_bytes=pl.Series(n_bytes, dtype=pl.Int64), cluster=cluster.cast(pl.String), origin_hash="origin_hash",
        parents=pl.col("gen").struct.field("parents").cast(pl.List(pl.String)),
    )  # fmt: skip


class _Writer:
    """The files of one shard, in a temporary folder beside its name."""

    def __init__(self, folder: Path, tokenizer: Tokenizer) -> None:
        self.folder = folder
        self.work = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp"
        self.work.mkdir(parents=True)
        self.dtype = "<u2" if tokenizer.dtype == "uint16" else "<u4"
        self.sizes = tokenizer.token_bytes
        self.ends = [np.zeros(1, np.int64)]
        self.bytes = self.masked = 0
        self.tokens = open(self.work / "tokens.bin", "wb")  # noqa: SIM115 (closed by `close`, as all of these are)
        self.mask = open(self.work / "mask.bin", "wb")  # noqa: SIM115
        self.docs = DataWriter(self.work / "docs.parquet", DOCS)
        self.dropped = DataWriter(self.work / "dropped.parquet", DROPPED)

    def add(self, ids: list[Ids], masks: Masks | None) -> None:
        if ids:
            np.concatenate(ids).astype(self.dtype).tofile(self.tokens)
            self.ends.append(self.ends[-1][-1] + np.cumsum([one.size for one in ids]))
        if masks is not None:
            self.masked += 1
            for mask in masks:
                mask.astype(np.uint8).tofile(self.mask)

    def bytes_of(self, ids: list[Ids]) -> Ids:
        """Return how many bytes of text each document's tokens stand for."""
        found = np.array([self.sizes[one].sum() for one in ids], np.int64)
        self.bytes += int(found.sum())
        return found

    def close(self, about: dict[str, Any]) -> None:
        for handle in (self.tokens, self.mask):
            handle.flush()
            os.fsync(handle.fileno())
            handle.close()
        if not self.masked:
            (self.work / "mask.bin").unlink()
        index = np.concatenate(self.ends)
        np.save(self.work / "index.npy", index)
        self.docs.close()
        if not self.dropped.close().rows:
            (self.work / "dropped.parquet").unlink()
        about = {"documents": index.size - 1, "tokens": int(index[-1]), "bytes": self.bytes, **about}
        write_json(self.work / "shard.json", about)
        try:
            os.rename(self.work, self.folder)
        except OSError:  # another process was first: its shard is as good
            if not (self.folder / "shard.json").is_file():
                raise
            shutil.rmtree(self.work)

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            for thing in (self.tokens, self.mask):
                thing.close()
            self.docs.abandon()
            self.dropped.abandon()
            shutil.rmtree(self.work, ignore_errors=True)
