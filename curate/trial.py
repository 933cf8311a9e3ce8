"""What a policy would do, before it does it: kept and dropped by reason, from a sample in seconds or from everything.

Several policies are tried in one pass: each clause that they share is evaluated once. What comes of a pass is a tally a policy:
how many documents of a domain and language, by what became of them before and what would now.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import polars as pl

from catalog.dialects import expression
from catalog.files import DataFile
from catalog.intervals import wilson
from catalog.predicates import Node
from curate.components import FILE
from curate.policy import DUPLICATE, Policy, check, same_columns
from curate.verdicts import Bench, Gap, losing, refuse_unscored

COUNTED = ("domain", "language", "was", "now")
KEPT = ""
"""What stands for `kept` where reasons stand."""


@dataclass(frozen=True)
class Share:
    """How many of the documents looked at, and between which shares of the whole it lies with 95 % confidence."""

    count: float
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Today:
    """The verdict that stands: its family (where a file has none its rows are kept), and whether a policy chose keepers among copies."""

    family: str
    settled: bool


@dataclass(frozen=True)
class Trial:
    """What a policy would do to `documents` looked at. `exact` when they are all there are.

    `tally` counts documents by domain, language, `was` (the reason that stands, '' for kept, NULL for no verdict) and `now`.
    """

    policy: Policy
    documents: int
    tally: pl.DataFrame
    exact: bool

    @cached_property
    def kept(self) -> Share:
        return self.share(self._count(pl.col("now") == KEPT))

    @cached_property
    def reasons(self) -> dict[str, Share]:
        """Dropped documents by reason, in the policy's order; reasons of none are left out."""
        found = self._by("now", pl.col("now") != KEPT)
        order = [*(clause.reason for clause in self.policy.drop), DUPLICATE]
        return {reason: self.share(found[reason]) for reason in order if found.get(reason)}

    @cached_property
    def newly_kept(self) -> dict[str, Share]:
        """Documents that are dropped today and would be kept, by today's reason, the most first."""
        return self._most(self._by("was", (pl.col("was") != KEPT) & (pl.col("now") == KEPT)))

    @cached_property
    def newly_dropped(self) -> dict[str, Share]:
        """Documents that are kept today and would be dropped, by the new reason, the most first."""
        return self._most(self._by("now", (pl.col("was") == KEPT) & (pl.col("now") != KEPT)))

    @cached_property
    def kept_today(self) -> Share | None:
        """None where no verdict stands."""
        return None if self.tally["was"].null_count() else self.share(self._count(pl.col("was") == KEPT))

    def among(self, column: str) -> dict[str | None, "Trial"]:
        """Return the trial of each domain, or of each language, the largest first."""
        parts = [(group[0], rows) for group, rows in self.tally.group_by(column, maintain_order=True)]
        parts.sort(key=lambda part: (-float(part[1]["documents"].sum()), str(part[0])))
        return {name if name is None else str(name): replace(self, documents=round(rows["documents"].sum()), tally=rows) for name, rows in parts}

    def share(self, count: float) -> Share:
        share = count / self.documents if self.documents else 0.0
        low, high = (share, share) if self.exact or not self.documents else wilson(min(count, self.documents), self.documents)
        return Share(count, share, low, high)

    def _count(self, where: pl.Expr) -> float:
        return float(self.tally.filter(where)["documents"].sum())

    def _by(self, column: str, where: pl.Expr) -> dict[str, float]:
        return dict(self.tally.filter(where).group_by(column, maintain_order=True).agg(pl.col("documents").sum()).iter_rows())

    def _most(self, counts: dict[str, float]) -> dict[str, Share]:
        return {reason: self.share(count) for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if count}


def attempt(files: Sequence[DataFile], policy: Policy, *, exact: bool = False, below: int | None = None) -> Trial:
    """Say what one policy would keep and drop; see `attempts`."""
    return attempts(files, [policy], exact=exact, below=below)[0]


def attempts(
    files: Sequence[DataFile], policies: Sequence[Policy], *, exact: bool = False, below: int | None = None, today: Today | None = None,
    gaps: Sequence[Gap] | None = None,
) -> list[Trial]:  # fmt: skip
    """Say what each policy would keep and drop; nothing is written. `files` are a sample laid out as data files, or with `exact` all.

    `below` leaves out rows whose `sample_key` is not under it. The policies differ in their clauses alone. A sample holds few
    whole clusters, so there a copy that passes both today and now keeps today's fate, and another counts as dropped by the chance
    that another copy stays, 1 - 1 / dup.size; over all files keepers are chosen as in `judge`. Raises PolicyError.
    """
    kinds = same_columns(files)
    policies = [check(policy, kinds) for policy in policies]
    board = Board(policies, exact, today)
    told: list[dict[str, Any]] = []
    for number, file in enumerate(files):
        told.append(board.file(file, number * FILE, kinds, below, gaps))
    refuse_unscored(policies[0], told, "documents" if exact else "documents of the sample")
    return [Trial(policy, board.rows, tally, exact) for policy, tally in zip(policies, board.tallies(), strict=True)]


class Board:
    """Several policies at work on one dataset: what each says of every row, counted file by file."""

    def __init__(self, policies: Sequence[Policy], exact: bool, today: Today | None) -> None:
        self.policies, self.exact, self.today, self.rows = policies, exact, today, 0
        self.cells: dict[Node, str] = {}
        for clause in (clause for policy in policies for clause in policy.drop):
            self.cells.setdefault(clause.node, f"clause_{len(self.cells)}")
        self.counted: list[list[pl.DataFrame]] = [[] for _ in policies]
        self.copies: list[pl.DataFrame] = []

    def file(self, file: DataFile, row: int, kinds: dict[str, str], below: int | None, gaps: Sequence[Gap] | None) -> dict[str, Any]:
        """Judge one file and return what its signals left out. `row` is the reference of its first row."""
        policy, seen = self.policies[0], []
        bench = Bench(file, {"name": policy.name, **policy.body}, {path: kinds[path] for path in policy.reads if path in kinds}, gaps)
        also = [name for name in ("sample_key" if below is not None else None, self.today.family if self.today else None) if name]
        for batch in bench.batches(*also):
            batch = batch.with_columns(ref=pl.int_range(row, row + batch.height, dtype=pl.Int64, eager=True))
            row += batch.height
            if below is not None:
                batch = batch.filter(pl.col("sample_key") < below)
            self.rows += batch.height
            bench.note_gaps(batch)
            seen.append(self._judged(batch, bench.has_copies))
        if seen:
            self._count(pl.concat(seen, how="diagonal"))
        return {"unscored": bench.unscored()}

    def _judged(self, batch: pl.DataFrame, has_copies: bool) -> pl.DataFrame:
        """What is counted by, each policy's reason for each row ('' for none), and where there are copies what settles them."""
        said = [expression(node).fill_null(False).alias(name) for node, name in self.cells.items()]
        language = pl.col("language").struct.field("code") if "language" in batch.columns else pl.lit(None, pl.String)
        was: pl.Expr = pl.lit(KEPT if self.today else None, pl.String)
        if self.today and self.today.family in batch.columns:
            verdict = pl.col(self.today.family).struct
            was = pl.when(verdict.field("kept")).then(pl.lit(KEPT)).otherwise(verdict.field("reason"))
        wide = [pl.col("domain").cast(pl.String), language.alias("language"), was.alias("was"), *said]
        if has_copies:
            keys = [expression(order.node).alias(f"keep_{i}") for i, order in enumerate(self.policies[0].keep)]
            size = pl.when(pl.col("dup").struct.field("cluster").is_not_null()).then(pl.col("dup").struct.field("size")).fill_null(1).cast(pl.Int64)
            wide += [size.alias("size"), pl.col("dup").struct.field("cluster").alias("cluster"), "doc_id", "ref", *keys]  # type: ignore[list-item]
        frame = batch.select(wide)
        reasons = [self._reason(policy).alias(f"now_{i}") for i, policy in enumerate(self.policies)]
        return frame.with_columns(reasons).drop(self.cells.values())

    def _reason(self, policy: Policy) -> pl.Expr:
        given = [pl.when(pl.col(self.cells[clause.node])).then(pl.lit(clause.reason)) for clause in policy.drop]
        return pl.coalesce(*given, pl.lit(KEPT))

    def _count(self, frame: pl.DataFrame) -> None:
        """Count a file's rows. Over everything, copies are set aside until all are known."""
        if "size" in frame.columns and self.exact:
            self.copies.append(frame.filter(pl.col("size") > 1))
            frame = frame.filter(pl.col("size") <= 1)
        for i, counted in enumerate(self.counted):
            now = frame.with_columns(now=pl.col(f"now_{i}"), documents=pl.lit(1.0))
            counted += [_tally(part) for part in ([now] if self.exact or "size" not in frame.columns else self._chances(now))]

    def _chances(self, frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Rows of a sample, copies that pass split into the chance that they stay and the chance that another one does."""
        passes = (pl.col("now") == KEPT) & (pl.col("size") > 1)
        stays: pl.Expr = 1 / pl.col("size")
        if self.today and self.today.settled:
            stays = pl.when(pl.col("was").is_in([KEPT, DUPLICATE])).then((pl.col("was") == KEPT).cast(pl.Float64)).otherwise(stays)
        yield frame.filter(~passes)
        copies = frame.filter(passes)
        yield copies.with_columns(documents=stays)
        yield copies.with_columns(documents=1 - stays, now=pl.lit(DUPLICATE))

    def tallies(self) -> list[pl.DataFrame]:
        """Return the tally of each policy, once every file was judged."""
        for i, counted in enumerate(self.counted):
            if self.copies:
                counted.append(_tally(self._settled(pl.concat(self.copies), i)))
        empty = pl.DataFrame(schema={**dict.fromkeys(COUNTED, pl.String), "documents": pl.Float64})
        return [_summed(pl.concat([empty, *counted])) for counted in self.counted]

    def _settled(self, copies: pl.DataFrame, number: int) -> pl.DataFrame:
        now = pl.col(f"now_{number}")
        lost = losing(copies.filter(now == KEPT), self.policies[number])
        return copies.with_columns(now=pl.when(pl.col("ref").is_in(lost.implode())).then(pl.lit(DUPLICATE)).otherwise(now), documents=pl.lit(1.0))


def _tally(frame: pl.DataFrame) -> pl.DataFrame:
    return _summed(frame.select(*COUNTED, "documents"))


def _summed(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.group_by(COUNTED, maintain_order=True).agg(pl.col("documents").sum()).filter(pl.col("documents") > 0)


def table(trial: Trial) -> list[dict[str, Any]]:
    """Return one row per outcome, `kept` first: for the command line and for `--json`."""
    cited = {clause.reason: clause.cite for clause in trial.policy.drop}
    shares = {"kept": trial.kept, **trial.reasons}
    return [{"outcome": name, **row(share), **({"cite": cited[name]} if cited.get(name) else {})} for name, share in shares.items()]


def row(share: Share) -> dict[str, Any]:
    """Return a share as a row of a table says it."""
    return {"documents": round(share.count), "share": share.share, "low": share.low, "high": share.high}
