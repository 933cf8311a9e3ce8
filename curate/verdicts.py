"""What a policy says of each document: kept, or dropped for one reason, a copy of another document among them.

Two passes. A task per file evaluates the predicates and tells only of rows that pass and have copies; one sort of those chooses
the keeper of each cluster among the survivors, so that a cluster with a survivor never ends empty; then the verdicts are
written, once. Nothing here scores a text.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from catalog.dialects import expression, said
from catalog.errors import PolicyError
from catalog.files import Annotation, DataFile, address, footer, known, write_annotation
from catalog.ids import digest
from catalog.predicates import columns, kind_of, parse, typed
from catalog.schema import BYTES_A_TOKEN, FACTS, VERDICT
from catalog.tasks import Task, Workers
from curate import keepers
from curate.components import FILE
from curate.corpus import Corpus, as_file, batches, beside, shelf, to_dict
from curate.policy import DUPLICATE, SEEN, Policy, check, families, from_body, judged, same_columns

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

VERSION = 1
STAGE = "verdicts.judge"
CARRIED = ("domain", "dump", "host", "license")
NO_FACTS = pl.Struct({fact.name: pl.Int32 if fact.name == "position" else pl.String for fact in FACTS})
NULLS: dict[str, Any] = {"number": pl.Float64, "string": pl.String, "boolean": pl.Boolean, "date": pl.Date, "timestamp": pl.Datetime("us"), "nested": pl.Null}
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
    stood: Mapping[str, Annotation] | None = None,
    spark: "SparkSession | None" = None,
    workers: int | Workers = 2,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Judged:
    """Write a policy's verdicts beside data files that have their families; without a policy every document is kept.

    `stood` are earlier verdicts by data file id: what they kept and the predicates still keep is no copy of anything. Raises
    PolicyError when it reads what the files have not, or a signal that a stage's `where:` left out.
    """
    if policy is not None:
        check(policy, same_columns(files))
    earlier = stood or {}
    inputs = digest(*[a.address for file in files for a in _read(policy, file)], *(f"stood {earlier[file.id].address}" for file in files if file.id in earlier))
    asked = {"policy": policy.digest if policy else None, "family": family}
    addresses = [address(file.id, STAGE, asked, VERSION, None, (inputs,)) for file in files]
    there = shelf(folder)
    paths = [beside(file, folder, family, at, there) for file, at in zip(files, addresses, strict=True)]
    if not all(os.path.exists(path) for path in paths):
        workers = 0 if sum(file.rows for file in files) < SMALL else workers
        work = os.path.join(folder, f".{family}-{digest(*addresses)}.work")
        corpus = Corpus(tuple(files), folder, work, spark, workers, progress)
        try:
            _write(corpus, policy, family, paths, earlier)
        finally:
            corpus.clear()
    columns = tuple((name, str(kind)) for name, kind in keepers.columns(policy, files).items())
    annotations = {
        file.id: Annotation(family, os.path.relpath(path, file.root), at, STAGE, file.rows, columns)
        for file, path, at in zip(files, paths, addresses, strict=True)
    }
    return _counted(annotations, paths, policy)


def _read(policy: Policy | None, file: DataFile) -> list[Annotation]:
    """The families that a verdict is made of: those that the policy reads, and the language, which every verdict carries."""
    named = {*(families(policy, file) if policy else ()), "language"}
    return [annotation for annotation in file.annotations if annotation.family in named]


def _counted(annotations: dict[str, Annotation], paths: Sequence[str], policy: Policy | None) -> Judged:
    told = [json.loads(footer(path)["reasons"]) for path in paths]
    total: Counter[str] = sum((Counter(reasons) for reasons in told), Counter())
    kept = total.pop("", 0)
    order = [*(clause.reason for clause in policy.drop), SEEN, DUPLICATE] if policy else []
    reasons = {reason: total[reason] for reason in order if total[reason]}
    return Judged(annotations, kept + sum(reasons.values()), kept, reasons)


def _write(corpus: Corpus, policy: Policy | None, family: str, paths: Sequence[str], stood: Mapping[str, Annotation]) -> None:
    """Both passes. Nothing is named before every predicate has been evaluated on every file."""
    body = None if policy is None else {"name": policy.name, **policy.body}
    kinds = {path: kind for path, kind in same_columns(corpus.files).items() if policy and path in policy.reads}
    tasks: list[Task] = [
        {"name": file.path, "bytes": file.bytes, "file": to_dict(file), "number": number, "policy": body, "kinds": kinds, "family": family,
         "stood": os.path.join(file.root, stood[file.id].path) if file.id in stood else None, "stood_as": stood[file.id].family if file.id in stood else "",
         "out": path, "judged": corpus.scratch(f"judged-{number:06d}.parquet"), "copies": corpus.scratch(f"copies-{number:06d}.parquet")}
        for number, (file, path) in enumerate(zip(corpus.files, paths, strict=True))
    ]  # fmt: skip
    among = keepers.among(policy, corpus.files)
    tasks = [{**task, "among": among, "repeats": corpus.scratch(f"repeats-{task['number']:06d}")} for task in tasks]
    found = corpus.map("curate.verdicts:evaluate", tasks)
    if policy is not None:
        refuse_unscored(policy, found)
    losers = corpus.scratch("losers.parquet")
    copies = [pl.read_parquet(task["copies"]) for task, result in zip(tasks, found, strict=True) if result["copies"]]
    lost = losing(pl.concat(copies), policy) if copies and policy else pl.Series([], dtype=pl.Int64)
    pl.DataFrame({"ref": lost}).write_parquet(losers, row_group_size=1 << 16)
    cuts = keepers.write_cuts(corpus.scratch("cuts.parquet"), [task["repeats"] for task in tasks], lost, policy) if among and policy else None
    corpus.map("curate.verdicts:settle", [{**task, "losers": losers, "cuts": cuts} for task in tasks])


def refuse_unscored(policy: Policy, found: Sequence[dict[str, Any]], of: str = "documents") -> None:
    """A clause that meets a document whose score was left out cannot judge it: null would quietly keep it. `of` says what is counted."""
    for clause in policy.drop:
        met = [(told["family"], told["where"], told["rows"]) for result in found for told in result["unscored"] if told["reason"] == clause.reason]
        if met:
            family, where, _ = met[0]
            text = f"{clause.where}{clause.text!r} meets {sum(count for _, _, count in met)} {of}"
            if not where:
                raise PolicyError(
                    f"{text} in files that were never given {family!r}; name its stage under stages: for all that the part is from and score them "
                    f"with `headrace run RECIPE --only curate`, or ask in the clause for what has it"
                )
            raise PolicyError(
                f"{text} that {family} did not score (where: {where}); widen or drop that "
                f"where: in the recipe and score them with `headrace run RECIPE --only curate`, or ask for the same in the clause"
            )


def losing(copies: pl.DataFrame, policy: Policy) -> pl.Series:
    """Return the row references of the copies that do not stay: all but the first of each cluster in the policy's order, or but those that stood before."""
    keys = [f"keep_{i}" for i in range(len(policy.keep))]
    down = [order.descending for order in policy.keep]
    ranked = copies.sort(["cluster", *keys, "doc_id", "ref"], descending=[False, *down, False, False], nulls_last=True)
    first = pl.col("cluster").is_first_distinct()
    if "stood" in ranked.columns:
        first = pl.when(pl.col("stood").any().over("cluster")).then("stood").otherwise(first)
    return ranked.filter(~first)["ref"].sort()


def evaluate(task: Task) -> dict[str, Any]:
    """First pass over one file: each row's reason, if a clause gives one, and the passing rows that have copies."""
    file = as_file(task["file"])
    judge = Bench(file, task["policy"], task["kinds"])
    judged, copies, start, repeats = [], [], 0, keepers.Writer(task["repeats"], judge.policy, task["among"])
    stood = pl.read_parquet(task["stood"], glob=False)[task["stood_as"]].struct.field("kept") if task["stood"] else pl.repeat(False, file.rows, eager=True)
    for batch in judge.batches():
        told = judge.verdict(batch)
        judged.append(told)
        if judge.has_copies:
            refs = pl.int_range(task["number"] * FILE + start, task["number"] * FILE + start + batch.height, dtype=pl.Int64, eager=True)
            placed = batch.with_columns(ref=refs, stood=stood.slice(start, batch.height))
            copies.append(judge.copies(placed, told["reason"]))
            repeats.add(placed.filter(told["reason"].is_null()))
        start += batch.height
    repeats.close()
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
    types: dict[str, Any] = {column.name: column.type for column in VERDICT}
    if task["cuts"]:
        judged, types = judged.with_columns(keepers.column(first, judged.height, task["cuts"])), {**types, **keepers.ADDS}
    write_annotation(task["out"], task["family"], judged.select(list(types)), file.ids, file.rows, types, told)
    return {"task": task["task"], "name": file.path, "rows": file.rows}


def _schema() -> dict[str, Any]:
    return {"reason": pl.String, **dict.fromkeys(("domain", "dump", "host", "language", "license"), pl.String), "bytes": pl.Int64, "tokens": pl.Int64}


@dataclass(frozen=True)
class Gap:
    """Rows that a family does not score: those where `where` is not true, or all ('') of what was never given to its stage.

    `files` names the data files that this is so of, where rows of a sample say which file they are from; None: all rows at hand.
    """

    family: str
    where: str
    files: frozenset[str] | None = None


def gaps(files: Sequence[DataFile], wanted: Iterable[str]) -> tuple[Gap, ...]:
    """Return what the `wanted` families leave out of data files, for judging a sample of them. Reads one footer a family and run."""
    found: dict[tuple[str, str], set[str]] = {}
    told: dict[tuple[str, str], str] = {}
    for file in files:
        beside = {annotation.family: annotation.path for annotation in file.annotations}
        for family in wanted:
            path = beside.get(family)
            if path is None:
                found.setdefault((family, ""), set()).add(file.id)
                continue
            run = (family, os.path.dirname(path))
            if run not in told:
                told[run] = footer(os.path.join(file.root, path)).get("where", "")
            if told[run]:
                found.setdefault((family, told[run]), set()).add(file.id)
    return tuple(Gap(family, where, frozenset(ids)) for (family, where), ids in found.items())


class Bench:
    """A policy at work on one file: its predicates as expressions, and the columns that they and a verdict need.

    `kinds` are the Arrow types of what it reads, for files that lack some of it; `gaps` what the file's own footers do not say.
    """

    def __init__(self, file: DataFile, body: dict[str, Any] | None, kinds: Mapping[str, str] | None = None, gaps: Sequence[Gap] | None = None) -> None:
        self.file, own = file, judged(file)
        self.absent = {path: kind for path, kind in (kinds or {}).items() if path not in own}
        self.names = names = {**own, **self.absent}
        given = from_body(body["name"], body) if body else Policy("")
        self.policy = check(given, names)
        self.clauses = [(clause, expression(clause.node).fill_null(False)) for clause in self.policy.drop]
        self.has_copies = body is not None and "dup" in names
        self.before = next((a.family for a in file.annotations if a.family.startswith("verdict") and dict(a.columns).get("bytes")), None)
        met = tuple(self._gaps()) if gaps is None else gaps
        self.gaps = [(gap, typed(parse(gap.where), names) if gap.where else None) for gap in met] if body else []
        self.left_out: Counter[tuple[str, Gap]] = Counter()

    def _gaps(self) -> Iterable[Gap]:
        """Yield the families that a `where:` scored in part, and those that the file lacks."""
        yield from (Gap(family, "") for family in dict.fromkeys(path.partition(".")[0] for path in self.absent))
        for family in families(self.policy, self.file):
            where = footer(os.path.join(self.file.root, self.file.annotation(family).path)).get("where")
            if where:
                yield Gap(family, where)

    def batches(self, *also: str) -> Iterable[pl.DataFrame]:
        """Read the file in batches of the columns and families needed, and some more. What the file lacks is NULL."""
        own = {name for name, _ in self.file.columns}
        there = {annotation.family for annotation in self.file.annotations}
        wheres = [path for _, node in self.gaps if node for path in columns(node)]
        reads = {path.partition(".")[0] for path in (*self.policy.reads, *wheres)}
        reads |= {"doc_id", *also, *CARRIED, "dup", "language"} | ({"text"} if self.before is None else {self.before})
        reads |= {"sample_file"} if any(gap.files is not None for gap, _ in self.gaps) else set()
        found = batches(self.file, sorted(reads & own), sorted(reads & there - own))
        without = [pl.lit(None, NO_FACTS).alias("facts")] if "facts" in reads - own else []
        return (self._whole(batch.with_columns(without)) for batch in found) if without or self.absent else found

    def _whole(self, batch: pl.DataFrame) -> pl.DataFrame:
        """A batch with NULL for what this file lacks and others of the dataset have."""
        lacking: dict[str, dict[str, pl.DataType]] = {}
        for path, kind in self.absent.items():
            family, _, column = path.partition(".")
            lacking.setdefault(family, {})[column] = NULLS[kind_of(kind)]
        for family, kinds in lacking.items():
            if family in batch.columns:
                batch = batch.with_columns(pl.col(family).struct.with_fields(*(pl.lit(None, kind).alias(name) for name, kind in kinds.items())))
            else:
                batch = batch.with_columns(pl.lit(None, pl.Struct(kinds)).alias(family))
        return batch

    def verdict(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Return the verdict's columns but for `kept`: no copy has lost yet."""
        reason = pl.coalesce(*(pl.when(dropped).then(pl.lit(clause.reason)) for clause, dropped in self.clauses), pl.lit(None, pl.String))
        size = pl.col("text").str.len_bytes() if self.before is None else pl.col(self.before).struct.field("bytes")
        language = pl.col("language").struct.field("code") if "language.code" in known(self.file) else pl.lit(None, pl.String)
        carried = [pl.col(name) if name in batch.columns else pl.lit(None, pl.String).alias(name) for name in CARRIED]
        told = batch.select(reason.alias("reason"), *carried, language=language, bytes=size.fill_null(0).cast(pl.Int64))
        self.note_gaps(batch)
        return told.with_columns(tokens=pl.col("bytes") // BYTES_A_TOKEN).select(list(_schema()))

    def note_gaps(self, batch: pl.DataFrame) -> None:
        """Count the rows that reach a clause, find it null, and have no score in a family that it reads."""
        if not self.gaps:
            return
        reached = pl.repeat(True, batch.height, eager=True)
        for clause in self.policy.drop:
            reads = {path.partition(".")[0] for path in columns(clause.node)}
            for gap, node in self.gaps:
                if gap.family in reads:
                    left = ~said(batch, node).fill_null(False) if node is not None else reached
                    if gap.files is not None:
                        left = left & batch["sample_file"].is_in(list(gap.files))
                    self.left_out[clause.reason, gap] += int((reached & said(batch, clause.node).is_null() & left).sum())
            reached = reached & ~said(batch, clause.node).fill_null(False)

    def unscored(self) -> list[dict[str, Any]]:
        return [{"reason": reason, "family": gap.family, "where": gap.where, "rows": rows} for (reason, gap), rows in self.left_out.items() if rows]

    def copies(self, batch: pl.DataFrame, reason: pl.Series) -> pl.DataFrame:
        """Return the passing rows that have copies, with what `keep:` orders them by."""
        dup = pl.col("dup").struct
        passing = batch.filter(reason.is_null() & batch["dup"].struct.field("cluster").is_not_null() & (batch["dup"].struct.field("size") > 1))
        keys = {f"keep_{i}": expression(order.node) for i, order in enumerate(self.policy.keep)}
        also = [pl.col("stood")] if "stood" in passing.columns else []
        return passing.select("ref", "doc_id", *also, cluster=dup.field("cluster"), size=dup.field("size"), **keys)
