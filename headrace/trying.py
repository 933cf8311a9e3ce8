"""`headrace policy try`: what a policy would do to a dataset, beside what its own policy did, from the sample or from everything."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import typer

from catalog.files import Snapshot
from catalog.lake import Lake
from catalog.snapshots import verdict_of
from curate.borders import Border, Near, borders
from curate.clauses import By
from curate.policy import Policy, same_columns
from curate.thresholds import Axis, axis, points
from curate.trial import Share, Today, Trial, attempts, row, table
from curate.verdicts import gaps
from headrace.judging import find_policy, parameters
from headrace.tables import as_text, cell, printable
from headrace.tables import table as show

SAMPLES = 10
"""Documents shown on each side of a threshold."""
LARGEST = 10
"""Domains and languages that have a row of their own; the others share one."""
DOMAINS = 5
"""Domains that have a column of their own where several values are tried."""
WIDE = 120
"""Columns from which sources stand beside the outcomes; below, they stand at the thresholds alone."""


@dataclass(frozen=True)
class Asked:
    """What the command line asks for. `samples` None: ten, or none where several values are tried."""

    policy: str
    on: str
    exact: bool = False
    settings: Sequence[str] = ()
    grid: Sequence[str] = ()
    samples: int | None = None


@dataclass(frozen=True)
class Found:
    """What was found out: the policy as it is written, and with each combination of the values that were asked for."""

    snapshot: Snapshot
    trial: Trial
    axes: Sequence[Axis]
    points: Sequence[tuple[dict[str, Any], Trial]]
    borders: Sequence[Border] = field(default_factory=list)


def show_try(path: str, asked: Asked, as_json: bool) -> None:
    """Print what a policy would keep and drop and what changes against the policy that stands. Nothing is written."""
    found = tried(path, asked)
    if as_json:
        typer.echo(as_text(_json(found), indent=1))
        return
    _show_outcomes(found)
    if found.axes:
        _show_grid(found)
    else:
        _show_changes(found)
        for column in ("domain", "language"):
            _show_groups(found.trial, column)
    for border in found.borders:
        _show_border(border)


def tried(path: str, asked: Asked) -> Found:
    """Try a policy, and with `grid` each combination of values, in one pass over the sample or over everything. Raises PolicyError."""
    settings = parameters(asked.settings)
    policy = find_policy(asked.policy, settings)
    axes = [axis(policy, one) for one in asked.grid]
    combined = points(policy, axes, lambda more: find_policy(asked.policy, {**settings, **more})) if axes else []
    count = asked.samples if asked.samples is not None else 0 if axes else SAMPLES
    with Lake.open(path) as lake:
        snapshot = lake.snapshot(asked.on)
        sample, below = lake.sampled(asked.on)
    exact = asked.exact or (below is None and sum(file.rows for file in sample) == snapshot.rows)
    today = Today(verdict_of(snapshot), bool(snapshot.policies))
    policies = [policy, *(one for _, one in combined)]
    if exact:
        trials = attempts(snapshot.files, policies, exact=True, today=today)
    else:
        trials = attempts(sample, policies, below=below, today=today, gaps=gaps(snapshot.files, _families(snapshot, policy)))
    near = borders(sample, policy, count, below=below, changes=_masked(snapshot, policy)) if count else []
    return Found(snapshot, trials[0], axes, [(values, trial) for (values, _), trial in zip(combined, trials[1:], strict=True)], near)


def _families(snapshot: Snapshot, policy: Policy) -> list[str]:
    """The families that a policy reads, where any file has them."""
    columns = {name for file in snapshot.files for name, _ in file.columns}
    read = {path.partition(".")[0] for path in policy.reads} - columns
    return sorted(read & {name.partition(".")[0] for name in same_columns(snapshot.files)} - {"facts"})


def _masked(snapshot: Snapshot, policy: Policy) -> dict[str, Any]:
    """What is masked in the texts that are shown: what the dataset's policy and the one that is tried mask."""
    first = snapshot.policies[0] if snapshot.policies else {}
    return {"mask": {**(first.get("mask") or {}), **dict(policy.mask)}}


def _show_outcomes(found: Found) -> None:
    trial, snapshot = found.trial, found.snapshot
    of = f"{trial.documents:,} documents of {snapshot.name}" + ("" if trial.exact else f" (a sample of {snapshot.rows:,}; 95 % interval)")
    cites = [one.get("cite", "") for one in table(trial)]
    sources = [cite if cite != before else "" for before, cite in zip(["", *cites[:-1]], cites, strict=True)]  # said once where it goes on
    cited = any(sources) and _width() >= WIDE
    rows = [
        {"outcome": one["outcome"], **_counted(one, trial.exact), **({"source": source} if cited else {})}
        for one, source in zip(table(trial), sources, strict=True)
    ]  # fmt: skip
    typer.echo(f"{trial.policy.name} on {of}")
    show(rows)
    name = f" by {snapshot.policies[0]['name']}" if snapshot.policies else ""
    typer.echo(f"now kept{name}: {snapshot.kept:,} of {snapshot.rows:,}" + (f" ({snapshot.kept / snapshot.rows:.2%})" if snapshot.rows else ""))


def _counted(told: dict[str, Any], exact: bool) -> dict[str, Any]:
    between = {} if exact else {"between": f"{told['low']:.2%} and {told['high']:.2%}"}
    return {"documents": told["documents"], "share": f"{told['share']:.2%}", **between}


def _show_changes(found: Found) -> None:
    trial, was = found.trial, found.snapshot.policies[0]["name"] if found.snapshot.policies else "no policy"
    rows = [
        {"change": change, "reason": reason, **_counted(row(share), trial.exact)}
        for change, shares in (("newly kept, was", trial.newly_kept), ("newly dropped for", trial.newly_dropped))
        for reason, share in shares.items()
    ]
    typer.echo(f"\nagainst {was}" if rows else f"\nnothing changes against {was}")
    if rows:
        show(rows)


def _show_groups(trial: Trial, column: str) -> None:
    """Kept by domain or by language, now and today."""
    rows = _groups(trial, column)
    if len(rows) > 1 or (rows and rows[0][column] is not None):
        typer.echo(f"\nkept by {column}")
        shown = [{column: one[column] or "(none)", "documents": one["documents"], "kept": one["kept"]["documents"], **_sides(one, trial.exact)} for one in rows]
        show(shown)


def _sides(one: dict[str, Any], exact: bool) -> dict[str, Any]:
    told = {name: value for name, value in _counted(one["kept"], exact).items() if name != "documents"}
    return {**told, "today": f"{one['kept_today']['share']:.2%}" if one["kept_today"] else ""}


def _groups(trial: Trial, column: str) -> list[dict[str, Any]]:
    """The largest domains or languages with what is kept of each, and the rest in one row."""
    parts = list(trial.among(column).items())
    rows = [_group(column, name, part) for name, part in parts[: LARGEST if len(parts) > LARGEST + 1 else None]]
    rest = [part for _, part in parts[len(rows) :]]
    if rest:
        names = {name for name, _ in parts[len(rows) :]}
        tally = trial.tally.filter(trial.tally[column].is_in([n for n in names if n is not None]) | (trial.tally[column].is_null() & (None in names)))
        rows.append(_group(column, f"{len(rest)} others", Trial(trial.policy, sum(part.documents for part in rest), tally, trial.exact)))
    return rows


def _group(column: str, name: str | None, part: Trial) -> dict[str, Any]:
    today = part.kept_today
    return {column: name, "documents": part.documents, "kept": row(part.kept), "kept_today": row(today) if today else None}


def _show_grid(found: Found) -> None:
    """One row a combination: what is kept, in all and of the largest domains, and which reasons change against the policy as written."""
    base = found.trial
    typer.echo()
    written = dict.fromkeys((one.name for one in found.axes), "as written")
    show([_grid_row(values, trial, base) for values, trial in [(written, base), *found.points]])
    for one in found.axes:
        if one.threshold is not None:
            others = "; ".join(f"{other.clause.reason} ({other.op} {cell(other.limit)})" for other in one.others)
            where = f"{one.name} is tried in {one.threshold.clause.reason} ({one.threshold.op} {cell(one.threshold.limit)})"
            typer.echo(where + (f"; left as they are: {others}. To try one of those: --grid REASON:{one.threshold.text}=..." if others else ""))


def _grid_row(values: dict[str, Any], trial: Trial, base: Trial) -> dict[str, Any]:
    told = {name: cell(value) for name, value in values.items()}
    told |= _counted(row(trial.kept), trial.exact)
    parts, largest = trial.among("domain"), list(base.among("domain"))[:DOMAINS]
    told |= {f"of {domain or '(none)'}": f"{parts[domain].kept.share:.1%}" for domain in largest}
    changes = {reason: round(_number(trial, reason) - _number(base, reason)) for reason in {**base.reasons, **trial.reasons}}
    return {**told, "against as written": ", ".join(f"{reason} {change:+,}" for reason, change in changes.items() if change)}


def _number(trial: Trial, reason: str) -> float:
    share: Share | None = trial.reasons.get(reason)
    return share.count if share else 0.0


def _show_border(border: Border) -> None:
    """A threshold with the documents on its two sides, in the order of their values."""
    one = border.threshold
    typer.echo(printable(f"\n{one.clause.reason}: {one.text} {one.op} {cell(one.limit)}" + (f"   ({one.clause.cite})" if one.clause.cite else "")))
    both = [*border.below, *border.above]
    widths = [max((len(column) for column in columns), default=0) for columns in zip(*(_cells(near)[:3] for near in both), strict=True)] or [1, 0, 0]
    wide = _width()
    for near in reversed(border.below):
        typer.echo(_line(near, widths, wide))
    typer.echo(f"  {'─' * widths[0]} {cell(one.limit)}" + ("" if both else "   no document gets here"))
    for near in border.above:
        typer.echo(_line(near, widths, wide))


def _width() -> int:
    """Columns of the terminal; of a file or a pipe as many as tables take there."""
    return os.get_terminal_size().columns if sys.stdout.isatty() else 200


def _line(near: Near, widths: Sequence[int], wide: int) -> str:
    value, outcome, domain, text = _cells(near)
    head = f"  {value:>{widths[0]}}  {outcome:<{widths[1]}}  {domain:<{widths[2]}}  {near.doc_id}  "
    return (head + text)[: max(wide, len(head) + 20)]


def _cells(near: Near) -> tuple[str, str, str, str]:
    """What is shown of a document, safe for a terminal."""
    return cell(near.value), near.outcome, printable(near.domain or ""), printable(near.text)


def _json(found: Found) -> dict[str, Any]:
    """Everything, for machines."""
    trial, snapshot = found.trial, found.snapshot
    return {
        "dataset": snapshot.name, "documents": trial.documents, "exact": trial.exact,
        "policy": trial.policy.name, "digest": trial.policy.digest, "params": _plain(trial.policy),
        "outcomes": table(trial),
        "today": {"policy": snapshot.policies[0]["name"] if snapshot.policies else None, "kept": snapshot.kept, "rows": snapshot.rows},
        **_changed(trial),
        "domains": _groups(trial, "domain"), "languages": _groups(trial, "language"),
        "grid": [
            {"values": values, "outcomes": table(one), **_changed(one), "domains": _groups(one, "domain"), "languages": _groups(one, "language")}
            for values, one in found.points
        ],
        "thresholds": [_border(border) for border in found.borders],
    }  # fmt: skip


def _plain(policy: Policy) -> dict[str, Any]:
    return {name: value.plain if isinstance(value, By) else value for name, value in policy.params.items()}


def _changed(trial: Trial) -> dict[str, Any]:
    return {
        "newly_kept": {reason: row(share) for reason, share in trial.newly_kept.items()},
        "newly_dropped": {reason: row(share) for reason, share in trial.newly_dropped.items()},
    }


def _border(border: Border) -> dict[str, Any]:
    one = border.threshold
    sides = {name: [vars(near) for near in side] for name, side in (("below", border.below), ("above", border.above))}
    return {"reason": one.clause.reason, "value": one.text, "op": one.op, "limit": one.limit, "cite": one.clause.cite, **sides}
