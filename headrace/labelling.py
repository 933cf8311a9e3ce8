"""`headrace label`: what people say of documents, one key a document or from a file, as rows of the table `label`.

The documents are those of the fixed sample, in an order that depends on the seed and their ids alone; those that nobody has labelled in the
set come first. A set holds one label a document and labeller: who labels it again has thought better of it.
"""

import csv
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import typer

from catalog.errors import HeadraceError, InputError, QueryError, near
from catalog.files import DataFile, Snapshot, read
from catalog.lake import Lake
from catalog.process import user
from catalog.rows import beside
from headrace.jobs import new_job
from headrace.journal import Journal, commit, now, pick_up
from headrace.look import body
from headrace.masked import seen
from headrace.sitting import Leaf, Sitting
from headrace.terminal import terminal

COLUMNS = ("doc_id", "label", "reason")
READERS = (".csv", ".tsv", ".jsonl", ".parquet")
FEW = 5
"""Ids that an error names."""


@dataclass(frozen=True)
class Asked:
    """What is to be labelled: `labels` are what can be said, `set_name` what the labels belong to."""

    dataset: str
    where: str | None = None
    n: int | None = None
    labels: tuple[str, ...] = ("keep", "drop")
    seed: int = 0
    set_name: str = "default"


@dataclass(frozen=True)
class Choice:
    """A document to be labelled: where it lies in the sample, and what was said of it, by whom."""

    doc_id: str
    file: DataFile
    row: int
    said: str


def label_by_hand(path: str, asked: Asked, lock_timeout: float) -> None:
    """Show documents at the terminal, take a key for each, and save what was said; on Ctrl-C too, which then ends the command."""
    check(asked)
    with Lake.open(path, lock_timeout=lock_timeout) as lake:
        snapshot = lake.snapshot(asked.dataset)
        with terminal() as screen:  # before anything is saved or read: there may be none
            screen.page(f"{snapshot.name}: looking at its sample ...\r\n")
            saved = pick_up(lake)
            chosen = choose(lake, snapshot, asked)
            if not chosen:
                raise InputError(f"{snapshot.name}: no document of its sample is there to label{' where ' + asked.where if asked.where else ''}")
            journal = Journal(lake, snapshot.dataset, " ".join(sys.argv[1:]))
            about = f"{snapshot.name} · set {asked.set_name}" + (f" · {saved} labels of a sitting that broke off were saved" if saved else "")
            sitting = Sitting(screen, about, asked.labels, lambda i: _leaf(snapshot, chosen[i]), len(chosen))
            try:
                sitting.run(lambda i, said, why: journal.add(_row(asked, snapshot, chosen[i].doc_id, said, why)), lambda i: journal.undo(chosen[i].doc_id))
            finally:
                screen.page("")
                journal.save()
                told = [row["label"] for row in journal.rows.values()]
                typer.echo(_told(snapshot, asked, told) + (f"; {sitting.skipped} skipped" if sitting.skipped else ""))


def label_from_file(path: str, asked: Asked, file: Path, lock_timeout: float) -> None:
    """Take labels from a file: all of them or none."""
    check(asked)
    frame, unused = read_labels(file, asked.labels)
    with Lake.open(path, lock_timeout=lock_timeout) as lake:
        snapshot = lake.snapshot(asked.dataset)
        strange = unknown(snapshot, frame["doc_id"])
        if strange:
            more = " ..." if len(strange) > FEW else ""
            of = f"{len(strange):,} of {frame.height:,} doc_ids are"
            raise InputError(f"{file}: {of} not in {snapshot.name}: {', '.join(strange[:FEW])}{more}; nothing was saved")
        rows = [_row(asked, snapshot, *row) for row in frame.select(COLUMNS).iter_rows()]
        job = new_job(str(lake.root), f"label-{snapshot.dataset}", " ".join(sys.argv[1:])).mark({f"label.{snapshot.dataset}": "running"})
        try:
            commit(lake, job, rows)
        except HeadraceError as error:
            job.end("failed", str(error))
            raise
    typer.echo(_told(snapshot, asked, frame["label"].to_list()) + (f"; columns not used: {', '.join(unused)}" if unused else ""))


def check(asked: Asked) -> None:
    """Raise InputError where the labels or the set's name will not do."""
    if not re.fullmatch(r"[a-z][a-z0-9_.-]{0,60}", asked.set_name):
        raise InputError(f"label: --as {asked.set_name}: a set's name is of small letters, digits, _ . and -, and begins with a letter")
    if len(asked.labels) < 2 or len(set(asked.labels)) < len(asked.labels):
        raise InputError(f"label: --labels {','.join(asked.labels)}: name two or more that differ, such as keep,drop")
    for name in asked.labels:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,40}", name):
            raise InputError(f"label: --labels: {name!r} is no label; use letters, digits, _ and -")


def choose(lake: Lake, snapshot: Snapshot, asked: Asked) -> list[Choice]:
    """Return the documents to show, in order: those that nobody labelled in the set, those that others did, those that I did.

    Among each the order is that of a stable hash of seed and doc_id. Raises QueryError where `where` is no SQL over the sample.
    """
    from catalog.schema import hash_column  # numba starts in .6 s: not for labels from a file

    files, wanted = _sample(lake, snapshot, asked)
    said = _said(lake, asked.set_name).group_by("doc_id", maintain_order=True).agg(
        pl.format("{}{} by {}", "label", pl.format(" ({})", "reason").fill_null(""), "labeller").str.join(", ").alias("said"),
        (pl.col("labeller") == user()).any().alias("mine"),
    )  # fmt: skip
    places = [read(file, ("doc_id",)).with_row_index("row").with_columns(file=pl.lit(i)) for i, file in enumerate(files)]
    if not places:
        return []
    frame = pl.concat(places).join(wanted, on="doc_id", how="semi").join(said, on="doc_id", how="left", maintain_order="left")
    keys = hash_column(frame.select(pl.format("{}/{}", pl.lit(asked.seed), "doc_id"))["literal"])
    class_ = pl.when(pl.col("said").is_null()).then(0).when(~pl.col("mine")).then(1).otherwise(2)
    frame = frame.with_columns(class_.alias("class"), pl.Series("key", keys)).sort("class", "key", "doc_id").head(asked.n or frame.height)
    return [Choice(doc_id, files[file], row, said or "") for doc_id, file, row, said in frame.select("doc_id", "file", "row", "said").iter_rows()]


def _sample(lake: Lake, snapshot: Snapshot, asked: Asked) -> tuple[Sequence[DataFile], pl.DataFrame]:
    """The files of a snapshot's sample, and the doc_ids in it of which `where` is true."""
    from headrace.answers import limits

    name = f"{asked.dataset.partition('@')[0]}@v{snapshot.version}"
    files, _ = lake.sampled(name)
    if not files:
        raise InputError(f"{snapshot.name}: it has no sample, and documents to label are of the sample")
    try:
        found = lake.query(f'SELECT doc_id FROM sample."{name}" WHERE (\n{asked.where or "true"}\n)', limits=limits())
    except QueryError as error:
        raise QueryError(f"label: --where {asked.where}: {str(error).removeprefix('sql: ')}") from None
    return files, pl.DataFrame({"doc_id": found["doc_id"].to_pylist()}, schema={"doc_id": pl.String})


def _said(lake: Lake, set_name: str) -> pl.DataFrame:
    """What was said in a set, the latest last."""
    query = "SELECT doc_id, label, reason, labeller FROM main.label WHERE label_set = ? ORDER BY labelled, labeller"
    rows = lake.rows(query, [set_name]) if lake.has_table("label") else []
    return pl.DataFrame(rows, schema=dict.fromkeys(("doc_id", "label", "reason", "labeller"), pl.String))


def _leaf(snapshot: Snapshot, choice: Choice) -> Leaf:
    """A document as it may be seen."""
    row: dict[str, Any] = beside(choice.file, np.array([choice.row], np.int64)).to_pylist()[0]
    (row,) = seen([row], snapshot)
    facts = " · ".join(str(row[name]) for name in ("domain", "uri", "license") if row.get(name))
    return Leaf(str(row.get("title") or ""), facts, body(row), choice.said)


def _row(asked: Asked, snapshot: Snapshot, doc_id: str, said: str, why: str | None) -> dict[str, Any]:
    return {
        "dataset": snapshot.dataset, "doc_id": doc_id, "label": said, "reason": why or None, "label_set": asked.set_name,
        "labeller": user(), "labelled": now(),
    }  # fmt: skip


def _told(snapshot: Snapshot, asked: Asked, said: Iterable[str]) -> str:
    counts = Counter(said)
    if not counts:
        return f"{snapshot.name}: nothing was labelled"
    each = ", ".join(f"{counts[name]:,} {name}" for name in asked.labels if counts[name])
    return f"{snapshot.name}: {counts.total():,} labels saved in the set {asked.set_name} ({each})"


def read_labels(path: Path, labels: Sequence[str]) -> tuple[pl.DataFrame, list[str]]:
    """Return `doc_id`, `label` and `reason` of a file, each document once, and the names of columns that are not used.

    Raises InputError for a file that cannot be read, a column that is not there, a label that is none of `labels`, and two labels of one document.
    """
    try:
        frame = _read(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: {_broken(path, error)}; nothing was saved") from None
    nested = [name for name in COLUMNS if name in frame.columns and frame.schema[name].is_nested()]
    if nested:
        raise InputError(f"{path}: {nested[0]} holds lists or objects, not text; nothing was saved")
    texts = frame.select(pl.col(name).cast(pl.String).str.strip_chars() for name in COLUMNS if name in frame.columns)
    unused = [name for name in frame.columns if name not in COLUMNS]
    for name in COLUMNS[:2]:
        if name not in frame.columns:
            raise InputError(f"{path}: it has no column {name!r}{near(name, frame.columns)}; label --from takes doc_id, label and, if you like, reason")
    reason = pl.col("reason").replace("", None) if "reason" in texts.columns else pl.lit(None, pl.String).alias("reason")
    frame = texts.select(*COLUMNS[:2], reason).with_row_index("row", 1)
    blank = frame.filter(pl.any_horizontal(pl.col(*COLUMNS[:2]).is_null() | (pl.col(*COLUMNS[:2]) == "")))
    if blank.height:
        raise InputError(f"{path}: row {blank['row'][0]} has no doc_id or no label; nothing was saved")
    wrong = frame.filter(~pl.col("label").is_in(labels))
    if wrong.height:
        row, _, label, _ = wrong.row(0)
        raise InputError(f"{path}: row {row}: label {label!r} is none of {', '.join(labels)}{near(label, labels)}; name others by --labels; nothing was saved")
    torn = frame.group_by("doc_id", maintain_order=True).agg(pl.col("label").n_unique().alias("n")).filter(pl.col("n") > 1)
    if torn.height:
        raise InputError(f"{path}: {torn['doc_id'][0]} has two labels that differ; nothing was saved")
    frame = frame.unique("doc_id", keep="last", maintain_order=True).select(COLUMNS)
    if not frame.height:
        raise InputError(f"{path}: it holds no labels")
    return frame, unused


def _read(path: Path) -> pl.DataFrame:
    """A file's rows; of CSV every column as text, since an id may be all digits."""
    if path.suffix not in READERS:
        raise InputError(f"{path}: cannot read {path.suffix or 'it'}{near(path.suffix, READERS)}")
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    if path.suffix == ".parquet":
        return pl.read_parquet(path, glob=False)
    if path.suffix == ".jsonl":
        return pl.read_ndjson(path, infer_schema_length=None)
    return pl.read_csv(path, infer_schema=False, separator="\t" if path.suffix == ".tsv" else ",", glob=False)


def _broken(path: Path, error: Exception) -> str:
    """Say what is wrong with a file of labels that its reader refused."""
    if isinstance(error, OSError) and error.errno:
        return f"cannot be read ({os.strerror(error.errno)})"
    if not path.read_bytes().strip():
        return "it is empty; give the columns doc_id, label and, if you like, reason"
    if path.suffix == ".parquet":
        return "it is no Parquet file"
    if path.suffix == ".jsonl":
        return "it is no JSON lines: on each line one object, such as {\"doc_id\": \"...\", \"label\": \"keep\"}"
    long = None
    with path.open(encoding="utf-8", errors="replace", newline="") as file, suppress(csv.Error):
        rows = csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        width = len(next(rows, []))
        long = next((f"row {i} has {len(row)} columns, the first line {width}" for i, row in enumerate(rows, 1) if len(row) > width), None)
    return f"it is no {path.suffix[1:].upper()}: {long or 'a quote is opened and not closed, or text follows one'}"


def unknown(snapshot: Snapshot, ids: pl.Series) -> list[str]:
    """Return those of some doc_ids that no file of a snapshot holds, in their order."""
    left = ids.unique(maintain_order=True)
    for file in snapshot.files:
        left = left.filter(~left.is_in(read(file, ("doc_id",))["doc_id"].implode()))
        if left.is_empty():
            break
    return left.to_list()
