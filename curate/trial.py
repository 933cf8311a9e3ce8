"""What a policy would do, before it does it: kept and dropped by reason, from a sample in seconds or from everything."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from catalog.files import DataFile
from curate.components import FILE
from curate.policy import DUPLICATE, Policy, check, same_columns
from curate.verdicts import Bench, losing, refuse_unscored

Z = 1.959964
"""The normal quantile of a 95 % interval."""


@dataclass(frozen=True)
class Share:
    """How many of the documents looked at, and between which shares of the whole it lies with 95 % confidence."""

    count: float
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Trial:
    """What a policy would do to `documents` looked at. `exact` when they are all there are."""

    documents: int
    kept: Share
    reasons: dict[str, Share]
    exact: bool


def attempt(files: Sequence[DataFile], policy: Policy, *, exact: bool = False, below: int | None = None) -> Trial:
    """Say what a policy would keep and drop; nothing is written. `files` are a sample laid out as data files, or with `exact` all.

    `below` leaves out rows whose `sample_key` is not under it. A sample holds few whole clusters, so there a copy that passes
    counts as dropped by the chance that another one stays, 1 - 1 / dup.size; over all files keepers are chosen as in `judge`.
    """
    policy = check(policy, same_columns(files))
    reasons: Counter[str] = Counter()
    copies, told, rows = [], [], 0
    for number, file in enumerate(files):
        bench, row = Bench(file, {"name": policy.name, **policy.body}), number * FILE
        for batch in bench.batches("sample_key" if below is not None else "doc_id"):
            refs = pl.int_range(row, row + batch.height, dtype=pl.Int64, eager=True)
            row += batch.height
            batch = batch.with_columns(ref=refs)
            if below is not None:
                batch = batch.filter(pl.col("sample_key") < below)
            reason = bench.verdict(batch)["reason"]
            reasons.update(reason.fill_null("").to_list())
            copies += [bench.copies(batch, reason)] if bench.has_copies else []
            rows += batch.height
        told.append({"unscored": bench.unscored()})
    refuse_unscored(policy, told)
    lost = _lost(copies, policy, exact)
    kept = reasons.pop("", 0) - lost
    dropped = {clause.reason: float(reasons[clause.reason]) for clause in policy.drop if reasons[clause.reason]}
    dropped |= {DUPLICATE: lost} if lost else {}
    return Trial(rows, _share(kept, rows, exact), {reason: _share(count, rows, exact) for reason, count in dropped.items()}, exact)


def _lost(copies: Sequence[pl.DataFrame], policy: Policy, exact: bool) -> float:
    if not copies:
        return 0.0
    found = pl.concat(copies)
    if exact:
        return float(losing(found, policy).len())
    return float(found.select((1 - 1 / pl.col("size")).sum()).item())


def _share(count: float, of: int, exact: bool) -> Share:
    share = count / of if of else 0.0
    low, high = (share, share) if exact or not of else wilson(count, of)
    return Share(count, share, low, high)


def wilson(count: float, of: int, z: float = Z) -> tuple[float, float]:
    """Return the interval in which a share lies of which `count` in `of` were seen (Wilson 1927); it keeps within 0 and 1."""
    share = count / of
    middle = share + z * z / (2 * of)
    width = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    scale = 1 + z * z / of
    return max(0.0, (middle - width) / scale), min(1.0, (middle + width) / scale)


def table(trial: Trial) -> list[dict[str, Any]]:
    """Return one row per outcome, `kept` first: for the command line and for `--json`."""
    shares = {"kept": trial.kept, **trial.reasons}
    return [{"outcome": name, "documents": round(s.count), "share": s.share, "low": s.low, "high": s.high} for name, s in shares.items()]
