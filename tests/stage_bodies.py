"""Stages for the tests of annotations: plain, failing, dependent on each other, costly."""

import os
import time
from pathlib import Path

import polars as pl
import pyarrow as pa

from catalog.stage import declares, words

CALLS: list[tuple[str, int]] = []


@declares(reads=("text",), adds={"n": pa.int64()}, version=1, family="lengths", splitter="words-1")
def lengths(batch: pl.DataFrame, *, unit: int = 1) -> pl.DataFrame:
    split = words(batch)
    CALLS.append(("lengths", id(split)))
    return pl.DataFrame({"n": (split.documents[1:] - split.documents[:-1]) // unit})


@declares(reads=("text",), adds={"first": pa.string(), "spans": pa.list_(pa.struct([("start", pa.int64()), ("end", pa.int64())]))}, version=1, family="firsts")
def firsts(batch: pl.DataFrame) -> pl.DataFrame:
    CALLS.append(("firsts", id(words(batch))))
    spans = [[{"start": 0, "end": 1}] if text else [] for text in batch["text"]]
    kind = pl.List(pl.Struct({"start": pl.Int64, "end": pl.Int64}))
    return pl.DataFrame({"first": batch["text"].str.slice(0, 1), "spans": pl.Series(spans, dtype=kind)})


@declares(reads=("text",), adds={"ok": pa.bool_(), "note": pa.string()}, version=1, family="touchy")
def touchy(batch: pl.DataFrame) -> pl.DataFrame:
    """Fails on a batch that holds a text with `poison`."""
    CALLS.append(("touchy", batch.height))
    if batch["text"].str.contains("poison").any():
        raise ValueError("cannot read poison")
    return pl.DataFrame({"ok": [True] * batch.height, "note": [None] * batch.height})


@declares(reads=("lengths.n", "doc_id"), adds={"long": pa.bool_()}, version=1, family="sizes")
def sizes(batch: pl.DataFrame, *, most: int = 3) -> pl.DataFrame:
    return batch.select(long=pl.col("lengths").struct.field("n") > most)


@declares(reads=("text",), adds={"score": pa.float64()}, version=1, family="costly")
def costly(batch: pl.DataFrame) -> pl.DataFrame:
    CALLS.append(("costly", batch.height))
    return pl.DataFrame({"score": batch["text"].str.len_chars().cast(pl.Float64)})


@declares(reads=("text",), adds={"n": pa.int64()}, version=1, family="broken")
def broken(batch: pl.DataFrame) -> pl.DataFrame:
    raise KeyError("model")


@declares(reads=("text",), adds={"n": pa.int64()}, version=1, family="short")
def short(batch: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame({"n": [1] * (batch.height - 1)})


@declares(reads=("text",), adds={"n": pa.int64()}, version=1, family="needy")
def needy(batch: pl.DataFrame) -> pl.DataFrame:
    """Fails where there is no document."""
    return pl.DataFrame({"n": [len(batch["text"][0])] * batch.height})


@declares(reads=("text",), adds={"n": pa.int64()}, version=1, family="slow")
def slow(batch: pl.DataFrame, *, folder: str) -> pl.DataFrame:
    """Leaves a mark for each file, and waits, so that a test can kill it half-way."""
    Path(folder, f"{batch['text'][0][:8]}-{os.getpid()}").touch()
    time.sleep(0.4)
    return pl.DataFrame({"n": [1] * batch.height})


def plain(batch: pl.DataFrame) -> pl.DataFrame:
    return batch


def brittle(payload: bytes, *, parser: str) -> int:
    """Fails on one thing."""
    if b"<crash>" in payload:
        raise IndexError("out of the field")
    return len(payload)
