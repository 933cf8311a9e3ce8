"""Samples: what training reads. Sample n is a pure function of (seed, lock, n): no state, any world size, any batch size.

kind lm     each epoch of a source lays its documents end to end in an order of its own and cuts them into rows; the rows come
            in an order of their own too, so that a long book does not fill a batch
kind chat   rows of whole chats, packed once when the run was frozen; each epoch has its order of rows
kind pair   two rows a sample: the prompt with the chosen answer, then with the rejected one
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.rows import take
from catalog.schema import derive
from mixer import lock as locks
from mixer.lock import LENGTH, ROW, SHARD
from mixer.order import Blend, permute
from mixer.rendering import IGNORED, Segments, cut, fill, finish, spread, whole
from mixer.shards import Shard, open_shard
from mixer.tokenizer import token_bytes

Ints = npt.NDArray[np.int64]
Batch = dict[str, npt.NDArray[Any]]

EPOCHS_HELD = 2
CHUNK = 1 << 16
"""Samples counted at a time."""

ABOUT = ("doc_id", "dataset", "domain", "host", "uri", "license")
PLACE = ("source", "shard", "row")


@dataclass
class Source:
    """One source of a lock, with its documents and the orders of its latest epochs."""

    name: str
    kind: str
    seed: int
    context: int
    rows: int
    shards: list[Shard]
    documents: Ints
    packed: Ints | None
    _epochs: dict[int, tuple[Ints, Ints]] = field(default_factory=dict)

    @property
    def sides(self) -> int:
        """Rows a sample."""
        return 2 if self.kind == "pair" else 1

    def segments(self, places: Ints) -> Segments:
        """Return what the rows of these samples are made of; place i has row i (rows 2i and 2i + 1 of a pair)."""
        found = []
        for epoch in np.unique(places // self.rows):
            here = np.flatnonzero(places // self.rows == epoch)
            key = derive(self.seed, "rows", self.name, int(epoch))
            rows = permute(places[here] % self.rows, self.rows, key)
            found.append(self._of_epoch(int(epoch), rows).placed(spread(here, self.sides)))
        return Segments.join(found)

    def _of_epoch(self, epoch: int, rows: Ints) -> Segments:
        if self.kind == "pair":
            return whole(self.documents, rows * 2, rows * 2 + 2, apart=True)
        if self.packed is not None:
            return whole(self.documents, self.packed[rows], self.packed[rows + 1], apart=False)
        return cut(self.documents, *self._laid(epoch), rows * self.context, self.context + 1)

    def _laid(self, epoch: int) -> tuple[Ints, Ints]:
        """The order of the documents in an epoch, and where each one ends when they are laid end to end."""
        if epoch not in self._epochs:
            while len(self._epochs) >= EPOCHS_HELD:
                self._epochs.pop(next(iter(self._epochs)))
            n = len(self.documents)
            order = permute(np.arange(n), n, derive(self.seed, "documents", self.name, epoch))
            self._epochs[epoch] = order, np.cumsum(self.documents[order, LENGTH])
        return self._epochs[epoch]


class Samples:
    """The samples of a run folder. `total` of them, each a row of `context` tokens (two for pairs)."""

    def __init__(self, folder: Path, lock: dict[str, Any]) -> None:
        self.folder, self.lock = folder, lock
        self.kind, self.context, self.total = str(lock["kind"]), int(lock["context"]), int(lock["samples"])
        self.sources = [self._source(one) for one in lock["sources"]]
        self.names = [source.name for source in self.sources]
        phases = [(phase["samples"], [phase["weights"].get(name, 0.0) for name in self.names]) for phase in lock["phases"]]
        self.blend = Blend(phases)
        assert self.blend.total == self.total, f"phases hold {self.blend.total} samples, the lock says {self.total}"

    @staticmethod
    def open(run_folder: str | Path) -> "Samples":
        """Open a run folder. Raises InputError where its lock is missing or was changed, or a shard is not there."""
        folder = Path(run_folder).absolute()
        return Samples(folder, locks.load(folder))

    def _source(self, one: dict[str, Any]) -> Source:
        documents, shards = open_list(self.folder, self.lock, one)
        packed = locks.load_array(self.folder, one["packed"]) if "packed" in one else None
        return Source(one["name"], self.kind, int(self.lock["seed"]), self.context, int(one["rows"]), shards, documents, packed)

    def batch(self, indices: Ints) -> Batch:
        """Return samples by number: tokens, labels, positions int64 [B, T] ([2B, T] for pairs), source int64 [B].

        labels[t] is the token after t, -100 where it belongs to another document, is not supervised, or is padding; positions
        start at 0 in each document (and in each row). Raises IndexError beyond `total`.
        """
        indices = np.asarray(indices, np.int64)
        sources, places = self.blend.at(indices)
        sides = 2 if self.kind == "pair" else 1
        room = np.full((indices.size * sides, self.context + 1), int(self.lock["pad"]), np.int64)
        masks = np.ones(room.shape, np.uint8)
        parts = []
        for i in np.unique(sources):
            here = np.flatnonzero(sources == i)
            found = self.sources[i].segments(places[here])
            parts.append(found.placed(spread(here, sides)))
            fill(room, masks, parts[-1], self.sources[i].shards)
        labels, positions = finish(room, masks, Segments.join(parts))
        return {"tokens": room[:, :-1], "labels": labels, "positions": positions, "source": sources}

    def documents(self, index: int) -> list[dict[str, Any]]:
        """Return the documents of one sample in order: doc_id, dataset, domain, host, uri, license, and their tokens in it.

        The tokens of a sample are the `context` that a model reads; the one that is only predicted is not counted.
        """
        sources, places = self.blend.at(np.array([index]))
        source = self.sources[int(sources[0])]
        found, sides = source.segments(places), []
        for shard, row, tokens in zip(found.shard, found.document, np.minimum(found.length, self.context - found.at), strict=True):
            if tokens > 0:
                sides.append({"source": source.name, **_document(source.shards[int(shard)], int(row)), "tokens": int(tokens)})
        return sides

    def consumed(self, stop: int) -> pl.DataFrame:
        """Return what the first `stop` samples are made of, a row a document of a source, with its tokens over all epochs.

        Columns: source, doc_id, dataset, domain, host, uri, license, tokens; ordered by source and place in the lake.
        """
        found: list[pl.DataFrame] = []
        for first in range(0, min(stop, self.total), CHUNK):
            sources, places = self.blend.at(np.arange(first, min(first + CHUNK, stop, self.total)))
            for i in np.unique(sources):
                pieces = self.sources[i].segments(places[sources == i])
                tokens = np.minimum(pieces.length, self.context - pieces.at)
                rows = pl.DataFrame({"source": np.full(tokens.size, i), "shard": pieces.shard, "row": pieces.document, "tokens": tokens})
                found.append(rows.filter(pl.col("tokens") > 0))
            found = [pl.concat(found).group_by(PLACE).agg(pl.col("tokens").sum())]
        if not found:
            return pl.DataFrame(schema={"source": pl.String, **dict.fromkeys(ABOUT, pl.String), "tokens": pl.Int64})
        by_shard = found[0].sort(PLACE).partition_by("source", "shard", as_dict=True, maintain_order=True)
        return pl.concat([self._named(int(source), int(shard), rows) for (source, shard), rows in by_shard.items()])

    def _named(self, source: int, shard: int, rows: pl.DataFrame) -> pl.DataFrame:
        """Say which documents the rows of one shard are."""
        about = self.sources[source].shards[shard].documents(ABOUT).select(pl.all().gather(rows["row"]))
        return about.select(pl.lit(self.names[source]).alias("source"), *ABOUT).with_columns(rows["tokens"])

    @cached_property
    def held_out_domains(self) -> list[str]:
        """The domains of the hold-out; `source` in its batches counts in this list."""
        return [one["name"] for one in self.lock["held_out"]["domains"]]

    @cached_property
    def token_bytes(self) -> Ints:
        """How many bytes of text each id stands for, int64 [vocabulary]."""
        return token_bytes(self.folder / "tokenizer")

    def held_out(self, batch: int) -> Iterator[dict[str, Any]]:
        """Yield the hold-out once, in order, `batch` rows at a time (fewer in the last): the arrays of `batch`, bytes and document.

        `bytes` is how many UTF-8 bytes of text the labels stand for, `row_bytes` int64 [B] the same by row. Each token of text
        is predicted once, but a document's first, which nothing comes before; the end of a document is not counted. `source`
        is the row's domain; rows do not cross domains. Rows are as long as the context of the mixture that held it out.
        `document` int64 [B, T] says of which document each label is, as a place in `held_out_documents`.
        """
        held = self.lock["held_out"]
        if not held["documents"]:
            return
        documents, shards = open_list(self.folder, self.lock, held)
        order, ends = np.arange(len(documents)), np.cumsum(documents[:, LENGTH])
        context = int(held["context"])
        begins, limits, domains = _windows(held["domains"], context)
        for first in range(0, begins.size, batch):
            these = slice(first, first + batch)
            segments = cut(documents, order, ends, begins[these], context + 1, limits[these])
            room = np.full((begins[these].size, context + 1), int(self.lock["pad"]), np.int64)
            masks = np.ones(room.shape, np.uint8)
            fill(room, masks, segments, shards)
            labels, positions = finish(room, masks, segments)
            labels[labels == int(self.lock["eos"])] = IGNORED
            row_bytes = np.where(labels == IGNORED, 0, self.token_bytes[labels]).sum(1)
            arrays = {"tokens": room[:, :-1], "labels": labels, "positions": positions, "source": domains[these]}
            of = np.searchsorted(ends, begins[these, None] + np.arange(1, context + 1), "right")
            yield {**arrays, "bytes": int(row_bytes.sum()), "row_bytes": row_bytes, "document": np.minimum(of, order.size - 1)}

    def held_out_documents(self) -> pl.DataFrame:
        """Return the documents of the hold-out in its order: doc_id, dataset, domain, host, uri, license, tokens."""
        held = self.lock["held_out"]
        if not held["documents"]:
            return pl.DataFrame(schema={**dict.fromkeys(ABOUT, pl.String), "tokens": pl.Int64})
        documents, shards = open_list(self.folder, self.lock, held)
        places = pl.DataFrame({"shard": documents[:, SHARD], "row": documents[:, ROW], "tokens": documents[:, LENGTH]})
        frames = [shard.documents(ABOUT).with_row_index("row").with_columns(shard=pl.lit(i, pl.Int64)) for i, shard in enumerate(shards)]
        about = pl.concat(frames).with_columns(pl.col("row").cast(pl.Int64))
        found = places.join(about, on=["shard", "row"], how="left", maintain_order="left").select(*ABOUT, "tokens")
        return found.with_columns(pl.col("domain").fill_null("none"))


def open_list(run_folder: str | Path, lock: dict[str, Any], entry: dict[str, Any]) -> tuple[Ints, list[Shard]]:
    """Return the documents int64 [n, 4] and the shards of a source or hold-out of a lock."""
    return locks.load_array(run_folder, entry["list"]), [open_shard(lock["root"], path) for path in entry["shards"]]


def _windows(domains: list[dict[str, Any]], context: int) -> tuple[Ints, Ints, Ints]:
    """Return where each row of the hold-out begins, where its domain's tokens end, and which domain it is."""
    begins, limits, of, start = [], [], [], 0
    for i, domain in enumerate(domains):
        end = start + int(domain["tokens"])
        found = np.arange(start, max(start, end - 1), context)
        begins.append(found)
        limits.append(np.full(found.size, end))
        of.append(np.full(found.size, i))
        start = end
    return np.concatenate(begins), np.concatenate(limits), np.concatenate(of)


def _document(shard: Shard, row: int) -> dict[str, Any]:
    """One row of docs.parquet; only its row group is read."""
    found: dict[str, Any] = take(str(shard.folder / "docs.parquet"), np.array([row]), ABOUT).to_pylist()[0]
    return found

