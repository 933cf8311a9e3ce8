"""What a training run read, document by document: one Parquet file in its run folder, from which `trace` and `why` answer."""

from pathlib import Path
from typing import Any

import polars as pl

from catalog.files import publish, temporary
from mixer.samples import Samples

CONSUMED = "consumed.parquet"


def write_consumed(folder: Path, done: dict[str, Any]) -> Path:
    """Write each document that the run read, with its tokens over all epochs. `done` is done.json. Written once."""
    path = folder / CONSUMED
    if not path.is_file():
        read = sum(source["samples"] for source in done["consumption"])
        written = temporary(path)
        Samples.open(folder).consumed(read).sort("doc_id").write_parquet(written)
        publish(written, path)
    return path


def tokens_of(folder: Path, doc_id: str) -> int:
    """Return how many tokens of a document a run read."""
    if not (folder / CONSUMED).is_file():
        return 0
    found = pl.scan_parquet(folder / CONSUMED).filter(pl.col("doc_id") == doc_id).select("tokens").collect()
    return int(found["tokens"].sum())
