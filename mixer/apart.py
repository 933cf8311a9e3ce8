"""A hold-out that several mixtures share: documents that all of some datasets keep, held apart from whatever is mixed.

It is chosen without a look at what is mixed, so every mixture that names the same datasets has the same hold-out, token for
token, and models trained on them are judged on the same text.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.errors import InputError, RecipeError
from catalog.files import DataFile, Snapshot, read
from catalog.progress import Meter
from mixer.ancestry import with_ancestors
from mixer.frozen import gather
from mixer.holdout import hold_out, ties
from mixer.shards import Shard, build, verdict
from mixer.tokenizer import Tokenizer

Flags = npt.NDArray[np.bool_]
TIES = ("doc_id", "domain", "host", "uri", "cluster", "origin_hash")


@dataclass(frozen=True)
class Choice:
    """How a hold-out is chosen. domains: those that are mixed, others are not held out (None: all are); where: opens an error's line."""

    share: float
    seed: int
    domains: list[str] | None = None
    where: str = ""


@dataclass(frozen=True)
class Apart:
    """A hold-out and what it keeps away from training.

    documents: its rows, as `gather` gives them of `shards`. tied: bool, one a document of the mixture: it is held out, or tied
    to what is. without: domains where nothing could be held out. searched: whether any dataset knows near copies.
    """

    documents: pl.DataFrame
    shards: list[Shard]
    tied: Flags
    without: tuple[str, ...]
    searched: bool


def apart(
    lake_root: str,
    held_out: Mapping[str, Snapshot],
    mixed: Mapping[str, Snapshot],
    frame: pl.DataFrame,
    tokenizer: Tokenizer,
    choice: Choice,
    meter: Meter | None = None,
) -> Apart:
    """Hold out a share of what every dataset of `held_out` keeps, as the first one shows it (masked and cut), whole groups at a time.

    frame: the documents of `mixed`, as `gather` gives them, with all ancestors in `parents`. Of a mixture goes what shares a
    host, a file, a duplicate cluster or a text with a held-out document, or was written from one, or is what one was written
    from: by all rows of all datasets named, kept or not, since near copies are known where duplicates were searched for. Ties
    are direct, not through third documents. Raises InputError where nothing can be held out.
    """
    if not 0 < choice.share <= 1:
        raise RecipeError(f"{choice.where}hold_out: {choice.share!r}; with held_out: it is a share of that, above 0 and at most 1")
    first, *others = held_out
    pool, shards = gather({first: build(held_out[first], tokenizer, meter)})
    agreed = pool.filter(pl.col("domain").is_in(choice.domains)) if choice.domains is not None else pool
    for name in others:
        agreed = agreed.join(_kept(held_out[name]), on="doc_id", how="semi", maintain_order="left")
    if not agreed.height:
        raise InputError(f"{choice.where}held_out: no document of the domains mixed is kept by {_all(list(held_out))}; name another dataset")
    agreed = with_ancestors(agreed, lake_root, held_out)
    found = hold_out(agreed, choice.share, choice.seed)
    held = agreed.filter(pl.Series(found.chosen))
    if not held.height:
        few = "too few groups of hosts, files and copies to hold out"
        raise InputError(f"{choice.where}held_out: {_all(list(held_out))}: {few} {choice.share:.4g} of it; hold out more")
    rows = pl.concat([_rows(file) for file in _files([*held_out.values(), *mixed.values()])]).unique()
    return Apart(held, shards, _tied(held, rows, frame, found.loose), found.without, bool(rows["cluster"].count()))


def _all(names: list[str]) -> str:
    return f"all of {', '.join(names)}" if len(names) > 1 else names[0]


def _kept(snapshot: Snapshot) -> pl.DataFrame:
    """The doc_ids that a snapshot's first policy keeps."""
    family = verdict(snapshot)
    frames = []
    for file in snapshot.files:
        judged = family in [a.family for a in file.annotations]
        rows = read(file, ["doc_id"], [family] if judged else [])
        frames.append(rows.filter(pl.col(family).struct.field("kept")).select("doc_id") if judged else rows)
    return pl.concat(frames) if frames else pl.DataFrame(schema={"doc_id": pl.String})


def _files(snapshots: Iterable[Snapshot]) -> list[DataFile]:
    """Each data file once for each search for duplicates that was made over it."""
    found = {}
    for snapshot in snapshots:
        for file in snapshot.files:
            searched = next((a.address for a in file.annotations if a.family == "dup"), "")
            found[file.id, searched] = file
    return list(found.values())


def _rows(file: DataFile) -> pl.DataFrame:
    """What ties each document of a data file to others: the columns of TIES."""
    searched = "dup" in [a.family for a in file.annotations]
    frame = read(file, ["doc_id", "domain", "host", "uri", "origin_hash"], ["dup"] if searched else [])
    cluster = pl.col("dup").struct.field("cluster") if searched else pl.lit(None)
    return frame.with_columns(cluster=cluster.cast(pl.String), domain=pl.col("domain").fill_null("none")).select(TIES)


def _tied(held: pl.DataFrame, rows: pl.DataFrame, frame: pl.DataFrame, loose: tuple[str, ...]) -> Flags:
    """Flag the documents of `frame` that a held-out one is tied to."""
    known = pl.concat([rows, frame.select(TIES), held.select(TIES)])
    known = pl.concat([known.select("doc_id"), ties(known, loose)], how="horizontal")
    ours = known.join(held.select("doc_id"), on="doc_id", how="semi")
    near = [known.join(ours.select(column).drop_nulls().unique(), on=column, how="semi").select("doc_id") for column in ("cluster", "origin_hash", "place")]
    above = held.select(doc_id=pl.col("parents").cast(pl.List(pl.String))).explode("doc_id").drop_nulls()
    away = pl.concat([held.select("doc_id"), *near, above]).unique()
    written = frame.select("doc_id", above=pl.col("parents").cast(pl.List(pl.String))).explode("above")
    written = written.join(held.select(above="doc_id"), on="above", how="semi").select("doc_id")
    flagged: Flags = frame["doc_id"].is_in(pl.concat([away, written])["doc_id"].to_list()).to_numpy()
    return flagged
