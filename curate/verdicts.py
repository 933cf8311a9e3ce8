"""What a policy says of each document: kept, or dropped for one reason, a copy of another document among them.

Two passes. A task per file evaluates the predicates and tells only of rows that pass and have copies; one sort of those chooses
the keeper of each cluster among the survivors, so that a cluster with a survivor never ends empty; then the verdicts are
written, once. Nothing here scores a text.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from catalog.dialects import expression, said
from catalog.errors import PolicyError
from catalog.files import Annotation, DataFile, address, footer, known, write_annotation
from catalog.ids import digest
from catalog.predicates import Node, columns, parse, typed
from catalog.schema import BYTES_A_TOKEN, FACTS, VERDICT
from catalog.tasks import Task, Workers
from curate.components import FILE
from curate.corpus import Corpus, as_file, batches, beside, shelf, to_dict
from curate.policy import DUPLICATE, Policy, check, families, from_body, judged, same_columns

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

VERSION = 1
STAGE = "verdicts.judge"
CARRIED = ("domain", "dump", "host", "license")
NO_FACTS = pl.Struct({fact.name: pl.Int32 if fact.name == "position" else pl.String for fact in FACTS})
SMALL = 500_000
"""Rows below which verdicts are judged in this process: less work than starting others."""


@dataclass(frozen=True)
class Judged:
    """An annotation per data file id, and what became of the documents. `reasons` is in the policy's order."""

    annotations: dict[str, Annotation]
    rows: int
    kept: int
    reasons: dict[str, int]


def judge(
    files: Sequence[DataFile],
    policy: Policy | None,
    folder: str,
    *,
    family: str = "verdict",
    spark: "SparkSession | None" = None,
    workers: int | Workers = 2,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Judged:
    """Write a policy's verdicts beside data files that have their families; without a policy every document is kept.

    Raises PolicyError when it reads what the files have not, or a signal that a stage's `where:` left out.
    """
    if policy is not None:
        check(policy, same_columns(files))
    inputs = digest(*[a.address for file in files for a in _read(policy, file)])
    asked = {"policy": policy.digest if policy else None, "family": family}
    addresses = [address(file.id, STAGE, asked, VERSION, None, (inputs,)) for file in files]
    there = shelf(folder)
    paths = [beside(file, folder, family, at, there) for file, at in zip(files, addresses, strict=True)]
    if not all(os.path.exists(path) for path in paths):
        workers = 0 if sum(file.rows for file in files) < SMALL else workers
        work = os.path.join(folder, f".{family}-{digest(*addresses)}.work")
        corpus = Corpus(tuple(files), folder, work, spark, workers, progress)
        corpus.clear()
        _write(corpus, policy, family, paths)
        corpus.clear()
    columns = tuple((column.name, str(column.type)) for column in VERDICT)
    annotations = {
        file.id: Annotation(family, os.path.relpath(path, file.root), at, STAGE, file.rows, columns)
        for file, path, at in zip(files, paths, addresses, strict=True)
    }
    return _counted(annotations, paths, policy)


def _read(policy: Policy | None, file: DataFile) -> list[Annotation]:
    return [file.annotation(family) for family in families(policy, file)] if policy else []


def _counted(annotations: dict[str, Annotation], paths: Sequence[str], policy: Policy | None) -> Judged:
    told = [json.loads(footer(path)["reasons"]) for path in paths]
    total: Counter[str] = sum((Counter(reasons) for reasons in told), Counter())
    kept = total.pop("", 0)
    order = [*(clause.reason for clause in policy.drop), DUPLICATE] if policy else []
    reasons = {reason: total[reason] for reason in order if total[reason]}
    return Judged(annotations, kept + sum(reasons.values()), kept, reasons)


def _write(corpus: Corpus, policy: Policy | None, family: str, paths: Sequence[str]) -> None:
    """Both passes. Nothing is named before every predicate has been evaluated on every file."""
    body = None if policy is None else {"name": policy.name, **policy.body}
    tasks: list[Task] = [
        {"name": file.path, "bytes": file.bytes, "file": to_dict(file), "number": number, "policy": body, "family": family,
         "out": path, "judged": corpus.scratch(f"judged-{number:06d}.parquet"), "copies": corpus.scratch(f"copies-{number:06d}.parquet")}
        for number, (file, path) in enumerate(zip(corpus.files, paths, strict=True))
    ]  # fmt: skip
    found = corpus.map("curate.verdicts:evaluate", tasks)
    if policy is not None:
        refuse_unscored(policy, found)
    losers = corpus.scratch("losers.parquet")
    copies = [pl.read_parquet(task["copies"]) for task, result in zip(tasks, found, strict=True) if result["copies"]]
    lost = losing(pl.concat(copies), policy) if copies and policy else pl.Series([], dtype=pl.Int64)
    pl.DataFrame({"ref": lost}).write_parquet(losers, row_group_size=1 << 16)
    corpus.map("curate.verdicts:settle", [{**task, "losers": losers} for task in tasks])


def refuse_unscored(policy: Policy, found: Sequence[dict[str, Any]]) -> None:
    """A clause that meets a document whose score a `where:` left out cannot judge it: null would quietly keep it."""
    for clause in policy.drop:
        met = [(told["family"], told["where"], told["rows"]) for result in found for told in result["unscored"] if told["reason"] == clause.reason]
        if met:
            rows = sum(count for _, _, count in met)
            raise PolicyError(
                f"{clause.where}{clause.text!r} meets {rows} documents that {met[0][0]} did not score (where: {met[0][1]}); widen or drop that "
                f"where: in the recipe and score them with `headrace run RECIPE --only curate`, or ask for the same in the clause"
            )


def losing(copies: pl.DataFrame, policy: Policy) -> pl.Series:
    """Return the row references of the copies that do not stay: all but the first of each cluster in the policy's order."""
    keys = [f"keep_{i}" for i in range(len(policy.keep))]
    down = [order.descending for order in policy.keep]
    ranked = copies.sort(["cluster", *keys, "doc_id", "ref"], descending=[False, *down, False, False], nulls_last=True)
    return ranked.filter(~pl.col("cluster").is_first_distinct())["ref"].sort()


def evaluate(task: Task) -> dict[str, Any]:
    """First pass over one file: each row's reason, if a clause gives one, and the passing rows that have copies."""
    file = as_file(task["file"])
    judge = Bench(file, task["policy"])
    judged, copies, start = [], [], task["number"] * FILE
    for batch in judge.batches():
        told = judge.verdict(batch)
        judged.append(told)
        if judge.has_copies:
            refs = pl.int_range(start, start + batch.height, dtype=pl.Int64, eager=True).alias("ref")
            copies.append(judge.copies(batch.with_columns(refs), told["reason"]))
        start += batch.height
    pl.concat(judged).write_parquet(task["judged"]) if judged else pl.DataFrame(schema=_schema()).write_parquet(task["judged"])
    if judge.has_copies and copies:
        pl.concat(copies).write_parquet(task["copies"])
    return {"task": task["task"], "name": file.path, "rows": file.rows, "copies": bool(judge.has_copies and copies), "unscored": judge.unscored()}


def settle(task: Task) -> dict[str, Any]:
    """Second pass: write the verdicts of one file, now that the losers are known."""
    file, first = as_file(task["file"]), task["number"] * FILE
    judged = pl.read_parquet(task["judged"])
    lost = pl.scan_parquet(task["losers"]).filter(pl.col("ref").is_between(first, first + FILE - 1)).collect()["ref"] - first
    loses = pl.int_range(judged.height, eager=True, dtype=pl.Int64).is_in(lost.implode())
    reason = pl.when(loses).then(pl.lit(DUPLICATE)).otherwise(pl.col("reason"))
    judged = judged.with_columns(reason=reason).with_columns(kept=pl.col("reason").is_null())
    reasons = dict(judged.group_by(pl.col("reason").fill_null("")).len().sort("reason").iter_rows())
    told = {"stage": STAGE, "policy": json.dumps(task["policy"]), "reasons": json.dumps(reasons)}
    types = {column.name: column.type for column in VERDICT}
    write_annotation(task["out"], task["family"], judged.select(VERDICT.names), file.ids, file.rows, types, told)
    return {"task": task["task"], "name": file.path, "rows": file.rows}


def _schema() -> dict[str, Any]:
    return {"reason": pl.String, **dict.fromkeys(("domain", "dump", "host", "language", "license"), pl.String), "bytes": pl.Int64, "tokens": pl.Int64}


class Bench:
    """A policy at work on one file: its predicates as expressions, and the columns that they and a verdict need."""

    def __init__(self, file: DataFile, body: dict[str, Any] | None) -> None:
        self.file, names = file, judged(file)
        given = from_body(body["name"], body) if body else Policy("")
        self.policy = check(given, names)
        self.clauses = [(clause, expression(clause.node).fill_null(False)) for clause in self.policy.drop]
        self.has_copies = body is not None and "dup" in names
        self.before = next((a.family for a in file.annotations if a.family.startswith("verdict") and dict(a.columns).get("bytes")), None)
        self.gaps = dict(self._gaps(names)) if body else {}
        self.left_out: Counter[tuple[str, str]] = Counter()

    def _gaps(self, names: dict[str, str]) -> Iterable[tuple[str, tuple[str, Node, tuple[str, ...]]]]:
        """Yield the families that a `where:` scored in part, with that predicate, and what it reads."""
        for family in families(self.policy, self.file):
            annotation = self.file.annotation(family)
            where = footer(os.path.join(self.file.root, annotation.path)).get("where")
            if where:
                node = typed(parse(where), names)
                yield family, (where, node, columns(node))

    def batches(self, *also: str) -> Iterable[pl.DataFrame]:
        """Read the file in batches of the columns and families needed, and some more."""
        own = {name for name, _ in self.file.columns}
        there = {annotation.family for annotation in self.file.annotations}
        reads = {path.partition(".")[0] for path in (*self.policy.reads, *(p for gap in self.gaps.values() for p in gap[2]))}
        reads |= {"doc_id", *also, *CARRIED, "dup", "language"} | ({"text"} if self.before is None else {self.before})
        found = batches(self.file, sorted(reads & own), sorted(reads & there - own))
        without = "facts" in reads - own
        return (batch.with_columns(pl.lit(None, NO_FACTS).alias("facts")) for batch in found) if without else found

    def verdict(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Return the verdict's columns but for `kept`: no copy has lost yet."""
        reason = pl.coalesce(*(pl.when(dropped).then(pl.lit(clause.reason)) for clause, dropped in self.clauses), pl.lit(None, pl.String))
        size = pl.col("text").str.len_bytes() if self.before is None else pl.col(self.before).struct.field("bytes")
        language = pl.col("language").struct.field("code") if "language.code" in known(self.file) else pl.lit(None, pl.String)
        carried = [pl.col(name) if name in batch.columns else pl.lit(None, pl.String).alias(name) for name in CARRIED]
        told = batch.select(reason.alias("reason"), *carried, language=language, bytes=size.fill_null(0).cast(pl.Int64))
        if self.gaps:
            self._count_gaps(batch)
        return told.with_columns(tokens=pl.col("bytes") // BYTES_A_TOKEN).select(list(_schema()))

    def _count_gaps(self, batch: pl.DataFrame) -> None:
        """Count the rows that reach a clause, find it null, and have no score in a family that it reads."""
        reached = pl.repeat(True, batch.height, eager=True)
        for clause in self.policy.drop:
            for family in {path.partition(".")[0] for path in columns(clause.node)} & set(self.gaps):
                unknown, scored = said(batch, clause.node).is_null(), said(batch, self.gaps[family][1]).fill_null(False)
                self.left_out[clause.reason, family] += int((reached & unknown & ~scored).sum())
            reached = reached & ~said(batch, clause.node).fill_null(False)

    def unscored(self) -> list[dict[str, Any]]:
        return [{"reason": reason, "family": family, "where": self.gaps[family][0], "rows": rows} for (reason, family), rows in self.left_out.items() if rows]

    def copies(self, batch: pl.DataFrame, reason: pl.Series) -> pl.DataFrame:
        """Return the passing rows that have copies, with what `keep:` orders them by."""
        dup = pl.col("dup").struct
        passing = batch.filter(reason.is_null() & batch["dup"].struct.field("cluster").is_not_null() & (batch["dup"].struct.field("size") > 1))
        keys = {f"keep_{i}": expression(order.node) for i, order in enumerate(self.policy.keep)}
        return passing.select("ref", "doc_id", cluster=dup.field("cluster"), size=dup.field("size"), **keys)
