"""The gate of a mixture: how much of which evaluation sets stands in what would be trained on, and whether the recipe lets it pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from catalog.contaminated import examined, matches, unscored
from catalog.errors import InputError
from catalog.files import Snapshot

SHOWN = 3
"""Documents that a refusal names."""

STAGE = "contamination.spans: {against: [bench.*]}"
Given = dict[str, Any]


@dataclass(frozen=True)
class Gate:
    """The share of its items that a mixture may hold of each evaluation set (`bounds`), all of which are known by their newest version's key (`keys`).

    because: why a mixture over its bounds is frozen all the same; it stands in the lock and in the catalogue.
    """

    bounds: Mapping[str, float]
    keys: Mapping[str, str]
    because: str | None = None


def check(gate: Gate, snapshots: Mapping[str, Snapshot], where: str) -> None:
    """Raise InputError for a dataset that was not scored against each of a gate's evaluation sets as they are now."""
    for name, snapshot in snapshots.items():
        told = [examined(file) for file in snapshot.files]
        for what, bad in (("was not scored against", _missing), ("was scored against another version of", _older)):
            lacking = [one for one, key in gate.keys.items() if any(bad(sets, one, key) for sets in told)]
            if lacking:
                how = f"score it with {STAGE} in the stages of its part" if bad is _missing else "run its part again"
                raise InputError(f"{where}max_contamination: {name} {what} {_listed(lacking)}; {how}, or bound only those that it was scored against")


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
    rows.sort(key=lambda row: (row["bound"] - row["share"], row["benchmark"]))
    over = [row for row in rows if row["share"] > row["bound"]]
    if over and gate.because is None:
        raise InputError(f"{where}{_refusal(over, found)}")
    return {"contamination": {"sets": rows, **({"because": gate.because} if over else {})}}


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
    return name in sets and sets[name]["key"] != key


def _told(snapshots: Mapping[str, Snapshot], name: str) -> Given:
    """What the datasets' annotations say of an evaluation set: all were scored against one version of it."""
    return next(sets[name] for snapshot in snapshots.values() for file in snapshot.files if name in (sets := examined(file)))


def _counted(name: str, bound: float, told: Given, found: pl.DataFrame) -> Given:
    n = found["item"].n_unique()
    return {
        "benchmark": name, "version": told["version"], "items": told["items"], "standing": n, "share": n / max(told["items"], 1),
        "documents": found["doc_id"].n_unique(), "bound": bound,
    }  # fmt: skip


def _refusal(over: list[Given], found: pl.DataFrame) -> str:
    """One line: the worst evaluation set, in which documents, and what to do."""
    worst = over[0]
    rows = found.filter((pl.col("benchmark") == worst["benchmark"]) & (pl.col("kind") != "answer")).sort("score", "doc_id", descending=[True, False])
    ids = rows["doc_id"].unique(maintain_order=True).to_list()
    named = ", ".join(ids[:SHOWN]) + (f" and {len(ids) - SHOWN:,} more" if len(ids) > SHOWN else "")
    others = f" ({len(over) - 1} more over theirs)" if len(over) > 1 else ""
    return (
        f"max_contamination: {worst['standing']:,} of the {worst['items']:,} items of {worst['benchmark']} ({worst['share']:.2%}) stand in what would be "
        f"trained on, the bound is {worst['bound']:.2%}{others}: documents {named}; drop them in the policy (contaminated: \"contamination.items > 0\"), "
        "cut: [contamination.spans], or say why it may pass with contaminated_because:"
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def rows_of(lock: Given, name: str, sha256: str) -> dict[str, list[Given]]:
    """Return the rows of `mixture_contamination`: one an evaluation set."""
    told = lock.get("contamination")
    return {"mixture_contamination": [{"mixture": name, "lock": sha256, **row, "because": told.get("because")} for row in told["sets"]]} if told else {}
