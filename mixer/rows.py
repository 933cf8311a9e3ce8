"""Freezing chats for SFT and pairs for preference optimisation: the same lock and run folder as a mixture of text."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from catalog.errors import InputError, RecipeError, near
from catalog.files import Snapshot, write_rows
from catalog.progress import Meter
from mixer import lock as locks
from mixer import mixture
from mixer.ancestry import with_ancestors
from mixer.chats import build
from mixer.frozen import NOTHING, Frozen, Given, counts, gather, lock_of, lock_phases, sources, tables
from mixer.mixture import Phase, Supply
from mixer.packing import pack
from mixer.samples import open_list
from mixer.shards import DROPPED, Shard
from mixer.tokenizer import load


def freeze_chats(lake_root: str, snapshots: Mapping[str, Snapshot], *, on: Mapping[str, float], **knobs: Any) -> Frozen:
    """Freeze chats packed into rows of `context`: `samples` of them, the datasets in the ratio of `on`.

    knobs: tokenizer (folder), context, samples (or epochs: passes over all packed rows), seed, run_folder, name, and
    held_out_of, threads, meter. Loss is on what assistants say. Longer chats, and those that cannot be used, are left out,
    counted by reason and listed in dropped.parquet; `held_out_of` names a run folder whose hold-out is kept, and then nothing
    written from a document of it is trained on, nor what was written from that, through however many datasets of the lake.
    Raises InputError where nothing is left, RecipeError for `on:` that names something else.
    """
    return _freeze("chat", lake_root, snapshots, on, **knobs)


def freeze_pairs(lake_root: str, snapshots: Mapping[str, Snapshot], *, on: Mapping[str, float], **knobs: Any) -> Frozen:
    """Freeze preference pairs, two rows of `context` a sample: as `freeze_chats`, but each answer in a row of its own."""
    return _freeze("pair", lake_root, snapshots, on, **knobs)


def _freeze(
    kind: str,
    lake_root: str,
    snapshots: Mapping[str, Snapshot],
    on: Mapping[str, float],
    *,
    tokenizer: str,
    context: int,
    seed: int,
    run_folder: str,
    name: str,
    samples: int | None = None,
    epochs: float = 1.0,
    held_out_of: str | None = None,
    threads: int | None = None,
    meter: Meter | None = None,
) -> Frozen:
    where = f"train.{name}: "
    names, weights = _weights(on, snapshots, where)
    opened = load(tokenizer, threads)
    built = {one: build(snapshots[one], opened, kind, meter) for one in names}
    frame, shards = gather(built)
    frame = with_ancestors(frame, lake_root, snapshots) if held_out_of else frame
    held, withheld = _hold_out(held_out_of, run_folder, lake_root, opened.sha256)
    lost = pl.concat([_unusable(built), _left_out(frame, context, withheld, 2 if kind == "pair" else 1)])
    left = frame.join(lost.select("doc_id", "dataset"), on=["doc_id", "dataset"], how="anti", maintain_order="left")
    found, packed = [], []
    for one in names:
        documents = left.filter(pl.col("dataset") == one)
        if not documents.height:
            raise InputError(f"{where}no row of {one} can be trained on: {_reasons(lost, one)}{_mend(frame, one, lost)}")
        documents, ends = _rows(documents, kind, context)
        found.append((Supply(one, documents.height, int(documents["tokens"].sum()), ends.size - 1), documents))
        packed.append(ends)

    phase = _phase(samples, epochs, [supply.rows for supply, _ in found], weights, where)
    entries = sources(run_folder, found, [phase], shards)
    if kind == "chat":
        entries = [{**entry, "packed": locks.save_array(run_folder, packed[i])} for i, entry in enumerate(entries)]
    dropped = {str(reason): int(n) for reason, n in lost.group_by("reason").len().sort("reason").iter_rows()}
    lock = lock_of(
        kind, opened, [snapshots[one].name for one in names], seed=seed, context=context, samples=phase.samples, sources=entries,
        phases=lock_phases([phase], names), held_out=held, dropped=dropped, root=locks.root_from(lake_root, run_folder),
    )  # fmt: skip
    sha = locks.freeze(run_folder, lock, tokenizer)
    write_rows(Path(run_folder) / "dropped.parquet", lost.select(DROPPED.names), DROPPED)
    planned = mixture.plan([supply for supply, _ in found], [phase], context)
    held_here = np.zeros(frame.height, np.bool_)
    return Frozen(lock, sha, tuple(planned), counts(frame, held_here), dropped, (), tables(name, lock, sha, planned))


def _phase(samples: int | None, epochs: float, rows: Sequence[int], weights: tuple[float, ...], where: str) -> Phase:
    """The whole run is one phase: as many samples as asked, else as make `epochs` passes over all rows."""
    count = round(epochs * sum(rows)) if samples is None else samples
    if count < 1:
        raise RecipeError(f"{where}{count} rows to train on; steps: is at least 1, epochs: above 0")
    return Phase(count, weights)


def _weights(on: Mapping[str, float], snapshots: Mapping[str, Snapshot], where: str) -> tuple[list[str], tuple[float, ...]]:
    """`on:` gives a ratio: {qa: 3, chats: 1} is three to one."""
    for name, weight in on.items():
        if name not in snapshots:
            raise RecipeError(f"{where}on: no dataset {name!r}{near(name, snapshots)}")
        if not 0 <= weight < math.inf:
            raise RecipeError(f"{where}on: weight of {name} is {weight}; weights are 0 or more")
    names = [name for name, weight in on.items() if weight > 0]
    if not names:
        raise RecipeError(f"{where}on: names no dataset with a weight above 0")
    total = sum(on[name] for name in names)
    return names, tuple(on[name] / total for name in names)


def _left_out(frame: pl.DataFrame, context: int, withheld: set[str], sides: int) -> pl.DataFrame:
    """Return doc_id, dataset, uri and reason of rows that are too long, or written from a held-out document; `parents` are all ancestors."""
    parents = pl.col("parents").list.eval(pl.element().is_in(list(withheld))).list.any().fill_null(False)
    reason = pl.when(parents | pl.col("doc_id").is_in(list(withheld))).then(pl.lit("held_out")).when(pl.col("tokens") > context).then(pl.lit("too_long"))
    found = frame.with_columns(reason=reason).filter(pl.col("reason").is_not_null())
    return found.select("doc_id", "dataset", "uri", "reason").unique(["doc_id", "dataset"], maintain_order=True)


def _unusable(shards: Mapping[str, Sequence[Shard]]) -> pl.DataFrame:
    """Return doc_id, dataset, uri and reason of the rows that were not tokenised."""
    found = [shard.dropped().with_columns(dataset=pl.lit(name)) for name, own in shards.items() for shard in own]
    return pl.concat(found).select("doc_id", "dataset", "uri", "reason")


def _reasons(lost: pl.DataFrame, name: str) -> str:
    found = lost.filter(pl.col("dataset") == name).group_by("reason").len().sort("len", "reason", descending=[True, False])
    return ", ".join(f"{n} {reason}" for reason, n in found.iter_rows()) or "it is empty"


def _mend(frame: pl.DataFrame, name: str, lost: pl.DataFrame) -> str:
    long = frame.filter((pl.col("dataset") == name) & pl.col("doc_id").is_in(lost.filter(pl.col("reason") == "too_long")["doc_id"].to_list()))
    least = long.group_by("doc_id").agg(pl.col("tokens").max())["tokens"].min()  # a pair has two sides, and both must fit
    return f"; set context: {int(least)} or more" if long.height else ""  # type: ignore[arg-type]


def _rows(documents: pl.DataFrame, kind: str, context: int) -> tuple[pl.DataFrame, Any]:
    """Return the documents in the order of their rows, and rows + 1 ends into them."""
    if kind == "pair":
        return documents, np.arange(0, documents.height + 1, 2)
    order, ends = pack(documents["tokens"].to_numpy(), context)
    return documents[order], ends


def _hold_out(of: str | None, run_folder: str, lake_root: str, tokenizer: str) -> tuple[Given, set[str]]:
    """Return the hold-out of another run as this lock's own, and the ids of its documents and of the rows that it left out for them.

    With another tokenizer, or in another lake, its tokens mean nothing here: then only the ids count.
    """
    if of is None:
        return dict(NOTHING), set()
    lock = locks.load(of)
    held = lock["held_out"]
    if not held["documents"]:
        return dict(NOTHING), set()
    table, shards = open_list(of, lock, held)
    ids = {one for i, shard in enumerate(shards) for one in shard.documents(["doc_id"])["doc_id"].gather(table[table[:, locks.SHARD] == i, locks.ROW])}
    if (Path(of) / "dropped.parquet").is_file():
        ids |= set(pl.read_parquet(Path(of) / "dropped.parquet").filter(pl.col("reason") == "held_out")["doc_id"])
    if lock["tokenizer"] != tokenizer or lock["root"] != os.path.abspath(lake_root):
        return dict(NOTHING), ids
    return {**held, "list": locks.save_array(run_folder, table)}, ids
