"""The text that a tokenizer is trained on: a sample of what the policies keep, each domain alike."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from catalog import spans
from catalog.errors import InputError
from catalog.files import DataFile, Snapshot, read
from catalog.schema import derive, hash_column
from mixer.order import keyed
from mixer.shards import edits, verdict

BYTES = 32 << 20
"""Bytes of text that a tokenizer is trained on, unless the recipe says otherwise."""

SLICE_ROWS = 8192
CHOSEN = pl.Schema({"snapshot": pl.String, "file": pl.Int64, "row": pl.Int64, "domain": pl.String, "bytes": pl.Int64, "order": pl.UInt64})


def texts(snapshots: Mapping[str, Snapshot], limit: int, seed: int) -> Iterator[str]:
    """Yield texts with the policies' spans applied, at most about `limit` bytes in all.

    Each domain gets the same share of the bytes, what one lacks going to the others; inside a domain documents come in the
    order of a seeded hash of doc_id, the last one cut short. Raises InputError when nothing is kept.
    """
    chosen = choose(snapshots, limit, seed)
    if not chosen.height:
        raise InputError(f"{', '.join(snapshots)}: no text to train a tokenizer on; look at what the policy drops")
    for (name, number), rows in chosen.group_by("snapshot", "file", maintain_order=True):
        snapshot = snapshots[str(name)]
        yield from _texts(snapshot.files[int(number)], edits(snapshot), rows)


def _texts(file: DataFile, changes: dict[str, Any], rows: pl.DataFrame) -> Iterator[str]:
    for start in range(0, file.rows, SLICE_ROWS):
        here = rows.filter(pl.col("row").is_between(start, start + SLICE_ROWS, closed="left"))
        if not here.height:
            continue
        batch = read(file, ["text"], spans.families(changes), rows=slice(start, start + SLICE_ROWS))[here["row"] - start]
        for wanted, text in zip(here["wanted"], spans.apply(batch, changes).fill_null(""), strict=True):
            raw = text.encode()
            yield text if len(raw) <= wanted else raw[:wanted].decode(errors="ignore")


def choose(snapshots: Mapping[str, Snapshot], limit: int, seed: int) -> pl.DataFrame:
    """Return which rows to read: snapshot, file, row, and how many bytes of each are wanted; in file order."""
    found = pl.DataFrame(schema=CHOSEN)
    key = derive(seed, "tokenizer")
    for name, snapshot in snapshots.items():
        for number, file in enumerate(snapshot.files):
            rows = _rows(file, verdict(snapshot), key).with_columns(snapshot=pl.lit(name), file=pl.lit(number, pl.Int64))
            found = _within(pl.concat([found, rows.select(found.columns)]), pl.lit(limit)).drop("wanted")
    shares = _shares(dict(found.group_by("domain").agg(pl.col("bytes").sum()).sort("domain").iter_rows()), limit)
    share = pl.col("domain").replace_strict(shares, default=0, return_dtype=pl.Int64)
    return _within(found, share).sort("snapshot", "file", "row").select("snapshot", "file", "row", "wanted")


def _rows(file: DataFile, kept: str, key: int) -> pl.DataFrame:
    """Return row, domain, bytes and order of the rows of a file that are kept; text is read only where no verdict counts its bytes."""
    if kept in [a.family for a in file.annotations]:
        frame = read(file, ["doc_id", "domain"], [kept])
        frame = frame.with_columns(bytes=pl.col(kept).struct.field("bytes"), kept=pl.col(kept).struct.field("kept"))
    else:
        frame = read(file, ["doc_id", "domain", "text"]).with_columns(bytes=pl.col("text").str.len_bytes().cast(pl.Int64), kept=True)
    order = pl.Series(keyed(hash_column(frame["doc_id"]), key))
    rows = frame.with_row_index("row").with_columns(pl.col("row").cast(pl.Int64), pl.col("domain").fill_null(""), order=order)
    return rows.filter("kept", pl.col("bytes") > 0)


def _within(rows: pl.DataFrame, share: pl.Expr) -> pl.DataFrame:
    """Keep, domain by domain, the first rows in order until they hold `share` bytes; `wanted` is how much of each."""
    before = pl.col("bytes").cum_sum().over("domain") - pl.col("bytes")
    ordered = rows.sort("domain", "order", "snapshot", "file", "row")
    return ordered.with_columns(wanted=pl.min_horizontal("bytes", share - before)).filter(pl.col("wanted") > 0)


def _shares(available: dict[str, int], limit: int) -> dict[str, int]:
    """Return each domain's bytes: alike for all, and what a small domain leaves goes to the larger ones."""
    shares, left = {}, limit
    for i, (name, size) in enumerate(sorted(available.items(), key=lambda one: (one[1], one[0]))):
        shares[name] = int(min(size, np.ceil(left / (len(available) - i))))
        left -= shares[name]
    return shares
