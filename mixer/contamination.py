"""The gate of a mixture: how much of which evaluation sets stands in what would be trained on, and whether the recipe lets it pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from catalog.contaminated import KNOBS, examined, matches, unscored
from catalog.errors import InputError
from catalog.files import Snapshot

SHOWN = 3
"""Documents that a refusal names."""

STAGE = "contamination.spans: {against: [bench.*]}"
Given = dict[str, Any]


@dataclass(frozen=True)
class Gate:
    """The share of the items that can be looked for that a mixture may hold of each evaluation set (`bounds`); `keys` are those of their newest versions.

    because: why a mixture is frozen all the same that is over its bounds, or of which too little is known; it stands in the lock and in the catalogue.
    """

    bounds: Mapping[str, float]
    keys: Mapping[str, str]
    because: str | None = None


def check(gate: Gate, snapshots: Mapping[str, Snapshot], where: str) -> None:
    """Raise InputError for a dataset that was not scored against each of a gate's evaluation sets as they are now.

    Where no reason was given, also for one that was scored by knobs that find less than the defaults, and for a set no item of which can be looked for.
    """
    for name, snapshot in snapshots.items():
        told = [examined(file) for file in snapshot.files]
        for what, bad in (("was not scored against", _missing), ("was scored against another version of", _older)):
            lacking = [one for one, key in gate.keys.items() if any(bad(sets, one, key) for sets in told)]
            if lacking:
                how = f"score it with {STAGE} in the stages of its part" if bad is _missing else "run its part again"
                raise InputError(f"{where}max_contamination: {name} {what} {_listed(lacking)}; {how}, or bound only those that it was scored against")
        if gate.because is None and (line := _blind(gate, name, told)):
            raise InputError(f"{where}max_contamination: {line}, or say why it may pass with contaminated_because:")


def _blind(gate: Gate, dataset: str, told: Sequence[Mapping[str, Given]]) -> str:
    """Say why a dataset would pass for clean although too little was looked for; nothing where enough was."""
    if lacking := sorted({name for sets in told for name in gate.keys if not sets[name]["indexed"]}):
        return f"no item of {_listed(lacking)} is long enough to be looked for, so {dataset} cannot be said to hold none: leave that set out of the bound"
    knobs = {knob: max((sets[name][knob] for sets in told for name in gate.keys), default=most) for knob, most in KNOBS.items()}
    if weak := {knob: value for knob, value in knobs.items() if value > KNOBS[knob]}:
        said, usual = (", ".join(f"{knob}: {some[knob]}" for knob in weak) for some in (weak, KNOBS))
        return f"{dataset} was scored with {said}, which finds less than {usual}: leave these knobs out and run its part again"
    return ""


def passed(gate: Gate | None, snapshots: Mapping[str, Snapshot], sources: Sequence[pl.DataFrame], where: str) -> Given:
    """Return what the lock says of contamination, nothing without a gate: a row an evaluation set, worst first, and why it passed where it is over a bound.

    sources: what is trained on (doc_id, dataset). Raises InputError as `check` does, and where a set is over its bound and no reason was given.
    """
    if gate is None:
        return {}
    check(gate, snapshots, where)
    documents = pl.concat(sources)
    for name, snapshot in snapshots.items():
        left = unscored(snapshot).join(documents.filter(pl.col("dataset") == name), on="doc_id", how="semi").height
        if left:
            raise InputError(f"{where}max_contamination: {left:,} documents of {name} were not scored: leave where: out of contamination.spans, or drop them")
    found = standing(snapshots, documents)
    rows = [_counted(name, gate.bounds[name], _told(snapshots, name), found.filter(pl.col("benchmark") == name)) for name in gate.keys]
    rows.sort(key=lambda row: (row["share"] is not None, row["bound"] - (row["share"] or 0), row["benchmark"]))
    over = [row for row in rows if row["share"] is not None and row["share"] > row["bound"]]
    if over and gate.because is None:
        raise InputError(f"{where}{_refusal(over, found)}")
    blind = any(_blind(gate, name, [examined(file) for file in snapshot.files]) for name, snapshot in snapshots.items())
    return {"contamination": {"sets": rows, **({"because": gate.because} if over or blind else {})}}


def standing(snapshots: Mapping[str, Snapshot], documents: pl.DataFrame) -> pl.DataFrame:
    """Return the matches that stand in documents that are trained on, as `catalog.contaminated.matches` gives them."""
    frames = []
    for name, snapshot in snapshots.items():
        here = documents.filter(pl.col("dataset") == name).select("doc_id")
        frames.append(matches(snapshot).filter("standing").join(here, on="doc_id", how="semi", maintain_order="left"))
    return pl.concat(frames)


def _missing(sets: Mapping[str, Given], name: str, _key: str) -> bool:
    return name not in sets


def _older(sets: Mapping[str, Given], name: str, key: str) -> bool:
    return name in sets and (sets[name]["key"] != key or not sets[name].keys() >= KNOBS.keys())


def _told(snapshots: Mapping[str, Snapshot], name: str) -> Given:
    """What the datasets' annotations say of an evaluation set: all were scored against one version of it, the weakest knobs count."""
    told = [sets[name] for snapshot in snapshots.values() for file in snapshot.files if name in (sets := examined(file))]
    return {**told[0], **{knob: max(one[knob] for one in told) for knob in KNOBS}}


def _counted(name: str, bound: float, told: Given, found: pl.DataFrame) -> Given:
    """A row of the lock: the share is that of the items which can be looked for, null where there is none: one too short is not known to be clean."""
    n, indexed = found["item"].n_unique(), told["indexed"]
    return {
        "benchmark": name, "version": told["version"], "items": told["items"], "indexed": indexed, "too_short": told["items"] - indexed, "standing": n,
        "share": n / indexed if indexed else None, "documents": found["doc_id"].n_unique(), "bound": bound, **{knob: told[knob] for knob in KNOBS},
    }  # fmt: skip


def said(row: Given) -> str:
    """Say in words what a row of a lock says."""
    short = f", {row['too_short']:,} more are too short to be looked for" if row.get("too_short") else ""
    knobs = "".join(f", {knob}: {row[knob]}" for knob, most in KNOBS.items() if row.get(knob, most) > most)
    of = f"{row['standing']:,} of {row.get('indexed', row['items']):,} items of {row['benchmark']}@v{row['version']}"
    return f"{of} stood in {row['documents']:,} documents{short}{knobs}"


def _refusal(over: list[Given], found: pl.DataFrame) -> str:
    """One line: the worst evaluation set, in which documents, and what to do."""
    worst = over[0]
    rows = found.filter((pl.col("benchmark") == worst["benchmark"]) & (pl.col("kind") != "answer")).sort("score", "doc_id", descending=[True, False])
    ids = rows["doc_id"].unique(maintain_order=True).to_list()
    named = ", ".join(ids[:SHOWN]) + (f" and {len(ids) - SHOWN:,} more" if len(ids) > SHOWN else "")
    short = f"; {worst['too_short']:,} more are too short to be looked for" if worst["too_short"] else ""
    others = f" ({len(over) - 1} more over theirs)" if len(over) > 1 else ""
    return (
        f"max_contamination: {worst['standing']:,} of the {worst['indexed']:,} items of {worst['benchmark']} ({worst['share']:.2%}{short}) stand in what would "
        f"be trained on, the bound is {worst['bound']:.2%}{others}: documents {named}; drop them in the policy (contaminated: \"contamination.items > 0\"), "
        "cut: [contamination.spans], or say why it may pass with contaminated_because:"
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def rows_of(lock: Given, name: str, sha256: str) -> dict[str, list[Given]]:
    """Return the rows of `mixture_contamination`: one an evaluation set."""
    told = lock.get("contamination")
    return {"mixture_contamination": [{"mixture": name, "lock": sha256, **row, "because": told.get("because")} for row in told["sets"]]} if told else {}
