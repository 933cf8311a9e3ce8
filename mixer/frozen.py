"""What freezing makes, whatever is frozen: the documents of all shards, the lists of a lock, rows for the catalogue."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mixer.contamination import rows_of
from mixer.lock import save_array
from mixer.mixture import Phase, Planned, Supply
from mixer.order import Blend
from mixer.rehydration import readings, times
from mixer.shards import Shard
from mixer.tokenizer import Tokenizer

Ints = npt.NDArray[np.int64]
Given = dict[str, Any]

NOTHING: Given = {"shards": [], "documents": 0, "tokens": 0, "bytes": 0, "domains": []}
"""The hold-out of a lock that has none."""


@dataclass(frozen=True)
class Frozen:
    """A frozen run: its lock and sha256, the plan by source and phase, what was tokenised and what was left out, and notes.

    tables: rows for the catalogue's `mixture` and `mixture_source`. counts: documents, bytes, tokens and held-out tokens by
    snapshot and domain. dropped: rows left out, by reason.
    """

    lock: Given
    sha256: str
    planned: tuple[Planned, ...]
    counts: list[Given]
    dropped: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    tables: dict[str, list[Given]] = field(default_factory=dict)


def gather(shards: Mapping[str, Sequence[Shard]]) -> tuple[pl.DataFrame, list[Shard]]:
    """Return every document of the shards in order, and the shards in one list.

    `shards` are those of each snapshot by name. The columns are those of docs.parquet, `dataset` being that name, and shard
    (place in the list), row, start and tokens int64.
    """
    flat: list[Shard] = []
    frames = []
    for name, own in shards.items():
        for shard in own:
            starts = np.asarray(shard.index)
            places = pl.DataFrame({"row": np.arange(starts.size - 1), "start": starts[:-1], "tokens": np.diff(starts)})
            about = shard.documents().with_columns(dataset=pl.lit(name), domain=pl.col("domain").fill_null("none"), shard=pl.lit(len(flat), pl.Int64))
            frames.append(pl.concat([about, places], how="horizontal"))
            flat.append(shard)
    return pl.concat(frames), flat


def listed(run_folder: str, documents: pl.DataFrame, shards: Sequence[Shard]) -> Given:
    """Write one list of documents, in their order here, into the run folder; return what the lock says of it.

    A document that is read several times in an epoch stands in the list so often; tokens and bytes are an epoch's.
    """
    used = documents["shard"].unique().sort()
    local = documents["shard"].replace_strict(used, pl.int_range(used.len(), dtype=pl.Int64, eager=True)) if used.len() else documents["shard"]
    often = times(documents)
    table = np.repeat(documents.select(local, "row", "start", "tokens").to_numpy().reshape(-1, 4), often.to_numpy(), axis=0)
    again = readings(documents)
    return {
        "shards": [shards[i].path for i in used],
        "list": save_array(run_folder, table),
        "documents": documents.height,
        **({} if again is None else {"readings": again}),
        "tokens": int((documents["tokens"] * often).sum()),
        "bytes": int((documents["n_bytes"] * often).sum()),
    }


def sources(run_folder: str, found: Sequence[tuple[Supply, pl.DataFrame]], phases: Sequence[Phase], shards: Sequence[Shard]) -> list[Given]:
    """Write the documents of every source; return the lock's `sources`."""
    given = np.sum(Blend([(phase.samples, phase.weights) for phase in phases]).counts, axis=0)
    total = sum(phase.samples for phase in phases)
    entries = []
    for i, (supply, documents) in enumerate(found):
        weight = sum(phase.samples * phase.weights[i] for phase in phases) / total
        plan = {"name": supply.name, "rows": supply.rows, "samples": int(given[i]), "epochs": int(given[i]) / supply.rows, "weight": weight}
        entries.append({**plan, **listed(run_folder, documents, shards)})
    return entries


def lock_phases(phases: Sequence[Phase], names: Sequence[str]) -> list[Given]:
    """Return the lock's `phases`: sources without a weight are not named."""
    return [{"samples": p.samples, "weights": {name: w for name, w in zip(names, p.weights, strict=True) if w > 0}} for p in phases]


def lock_of(kind: str, tokenizer: Tokenizer, snapshots: Sequence[str], **rest: Any) -> Given:
    """Return a lock's fields in common."""
    return {"kind": kind, "tokenizer": tokenizer.sha256, "eos": tokenizer.eos, "pad": tokenizer.pad, "snapshots": list(snapshots), **rest}


def tables(name: str, lock: Given, sha256: str, planned: Sequence[Planned]) -> dict[str, list[Given]]:
    """Return the rows of a frozen mixture for the catalogue."""
    held = lock["held_out"]
    mixture = {
        "mixture": name, "lock": sha256, "kind": lock["kind"], "seed": lock["seed"], "context": lock["context"],
        "samples": lock["samples"], "tokens": lock["samples"] * lock["context"], "tokenizer": lock["tokenizer"],
        "snapshots": ", ".join(lock["snapshots"]), "held_out_documents": held["documents"],
        "held_out_tokens": held["tokens"], "held_out_bytes": held["bytes"],
        **({"rehydrate": json.dumps(lock["rehydrate"])} if "rehydrate" in lock else {}),
    }  # fmt: skip
    sources = [
        {
            "mixture": name, "lock": sha256, "phase": row.phase, "source": row.source, "weight": row.weight,
            "samples": row.samples, "tokens": row.tokens, "available": row.available, "epochs": row.epochs,
        }
        for row in planned
    ]  # fmt: skip
    return {"mixture": [mixture], "mixture_source": sources, **rows_of(lock, name, sha256)}


def counts(documents: pl.DataFrame, held: npt.NDArray[np.bool_]) -> list[Given]:
    """Return documents, bytes, tokens and held-out tokens by dataset and domain."""
    flagged = documents.select("dataset", "domain", "n_bytes", "tokens").with_columns(held=pl.Series(held, dtype=pl.Boolean))
    by = flagged.group_by("dataset", "domain").agg(
        pl.len().cast(pl.Int64).alias("documents"), bytes=pl.col("n_bytes").sum(), tokens=pl.col("tokens").sum(), held_out=pl.col("tokens").filter("held").sum()
    )
    return by.sort("dataset", "domain").to_dicts()
