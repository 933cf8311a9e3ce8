"""The funnel: documents, bytes and tokens at each step of each part, by domain.

    ingest   seen, refused (by reason), landed
    judged   in, dropped (by reason), kept: for each policy, from its verdicts

Steps after ingest are counted here, from what is published, so they cannot disagree with it. What was refused comes from the
draft's quarantine, or from funnel rows that the part gives where it knows better.
"""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from catalog.files import DataFile, Draft, verdict_family
from catalog.schema import BYTES_A_TOKEN
from catalog.views import LOCATED, groups, parquet

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

STEPS = ("seen", "refused", "landed", "in", "dropped", "kept")
Step = dict[str, Any]


def steps(db: "DuckDBPyConnection", draft: Draft, files: Sequence[DataFile], families: Sequence[str], part: str) -> list[Step]:
    """Return the funnel rows of a draft, with `dataset` as `corpus` or, for a further policy, `corpus/strict`."""
    found: list[Step] = []
    for i, family in enumerate(families or [verdict_family(None)]):
        label = draft.dataset if i == 0 else f"{draft.dataset}/{draft.policies[i]['name']}"
        judged = [f for f in files if family in [a.family for a in f.annotations]]
        if judged:
            rest = [f for f in files if family not in [a.family for a in f.annotations]]
            found += _judged(db, judged, family, label) + [{**row, "step": step} for row in _landed(db, rest, label) for step in ("in", "kept")]
    given = [_given(row, draft.dataset) for row in draft.tables.get("funnel", [])]
    if not found and draft.shape in LOCATED:
        told = {row["step"] for row in given}
        landed = [row for row in given if row["step"] == "landed"] or _landed(db, files, draft.dataset)
        refused = [row for row in given if row["step"] == "refused"] or _refused(draft, landed)
        found = [*landed, *refused, *([] if "seen" in told else _seen(landed + refused))]
    done = {row["step"] for row in found}
    found += [row for row in given if row["step"] not in done]
    return [{"part": part, **row, "place": STEPS.index(row["step"])} for row in found]


def _row(dataset: str, step: str, reason: str | None, domain: str | None, documents: int, size: int | None, tokens: int | None) -> Step:
    return {
        "dataset": dataset, "step": step, "reason": reason, "domain": domain, "documents": documents, "bytes": size, "tokens": tokens,
    }  # fmt: skip


def _given(row: Step, dataset: str) -> Step:
    assert row.get("step") in STEPS, f"funnel: no step {row.get('step')!r}"
    whole = _row(dataset, row["step"], row.get("reason"), row.get("domain"), int(row["documents"]), row.get("bytes"), row.get("tokens"))
    if whole["tokens"] is None and whole["bytes"] is not None:
        whole["tokens"] = whole["bytes"] // BYTES_A_TOKEN
    return {**whole, **({"part": str(row["part"])} if row.get("part") else {})}


def _judged(db: "DuckDBPyConnection", files: Sequence[DataFile], family: str, label: str) -> list[Step]:
    """Count verdict files alone: a document weighs some 40 bytes there, whatever its length."""
    paths = parquet(files[0].root, [f.annotation(family).path for f in files])
    counted = db.execute(
        f"SELECT v.{family}.domain, coalesce(v.{family}.kept, true), v.{family}.reason, count(*), "
        f"coalesce(sum(v.{family}.bytes), 0)::BIGINT, coalesce(sum(v.{family}.tokens), 0)::BIGINT FROM {paths} AS v GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    found = [
        _row(label, "kept" if kept else "dropped", None if kept else reason, domain, *counts) for domain, kept, reason, *counts in counted
    ]
    return _total(found, "in") + found


def _total(rows: Sequence[Step], step: str) -> list[Step]:
    """Add rows up by domain."""
    sums: dict[tuple[str, str | None], list[int]] = {}
    for row in rows:
        held = sums.setdefault((row["dataset"], row["domain"]), [0, 0, 0])
        for i, name in enumerate(("documents", "bytes", "tokens")):
            held[i] += row[name] or 0
    return [_row(dataset, step, None, domain, *held) for (dataset, domain), held in sums.items()]


def _landed(db: "DuckDBPyConnection", files: Sequence[DataFile], dataset: str) -> list[Step]:
    """Count documents themselves: they are read once, where their part has not counted them."""
    found: Counter[str | None] = Counter()
    sizes: Counter[str | None] = Counter()
    for group in groups([f for f in files if {"domain", "text"} <= {name for name, _ in f.columns}]):
        counted = db.execute(
            "SELECT domain, count(*), coalesce(sum(strlen(text)), 0)::BIGINT "
            f"FROM {parquet(group[0].root, [f.path for f in group])} GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        for domain, documents, size in counted:
            found[domain] += documents
            sizes[domain] += size
    return [_row(dataset, "landed", None, domain, n, sizes[domain], sizes[domain] // BYTES_A_TOKEN) for domain, n in found.items()]


def _refused(draft: Draft, landed: Sequence[Step]) -> list[Step]:
    """Count the quarantine by reason. A record that never became a document has the part's domain, where that is one."""
    domains = {row["domain"] for row in landed}
    only = next(iter(domains)) if len(domains) == 1 else None
    reasons = Counter((row.get("domain", only), str(row.get("reason"))) for row in draft.quarantine)
    return [_row(draft.dataset, "refused", reason, domain, n, None, None) for (domain, reason), n in sorted(reasons.items(), key=str)]


def _seen(rows: Sequence[Step]) -> list[Step]:
    return [{**row, "bytes": None, "tokens": None} for row in _total(rows, "seen")]


def totals(dataset: str, files: Sequence[DataFile], found: Sequence[Step]) -> dict[str, int]:
    """Return rows, kept rows, tokens (an estimate until a mix has tokenised) and bytes on disk of a draft's files."""
    ours = [row for row in found if row["dataset"] == dataset]
    rows = sum(file.rows for file in files)
    kept = [row for row in ours if row["step"] == "kept"]
    judged = bool(kept) or any(row["step"] == "in" for row in ours)
    counted = kept if judged else [row for row in ours if row["step"] == "landed"]
    return {
        "files": len(files),
        "rows": rows,
        "kept": sum(row["documents"] for row in kept) if judged else rows,
        "tokens": sum(row["tokens"] or 0 for row in counted),
        "bytes": sum(file.bytes for file in files),
    }

