"""Documents at the border: those that lie nearest to each threshold of a policy, on either side, with the beginning of their text."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from catalog.dialects import expression
from catalog.files import DataFile
from catalog.predicates import typed
from catalog.rows import take
from curate.components import FILE
from curate.policy import Policy, check, same_columns
from curate.thresholds import Threshold, thresholds
from curate.verdicts import Bench

BEGINNING = 80
"""Characters of a text that are shown."""


@dataclass(frozen=True)
class Near:
    """A document near a threshold. `outcome` is what the policy says of it: `kept`, or a reason. `text` is its beginning, on one line."""

    doc_id: str
    domain: str | None
    value: float
    outcome: str
    text: str


@dataclass(frozen=True)
class Border:
    """A threshold and the documents nearest below and above it, the nearest first. One that equals it stands where it is judged so."""

    threshold: Threshold
    below: tuple[Near, ...]
    above: tuple[Near, ...]


def borders(files: Sequence[DataFile], policy: Policy, count: int, *, below: int | None = None, changes: Mapping[str, Any] | None = None) -> list[Border]:
    """Return for each threshold the `count` documents nearest on each side, among those that no clause before has dropped.

    `files` are a sample laid out as data files, `below` its cut; `changes` the spans to mask in what is shown.
    """
    kinds = same_columns(files)
    policy = check(policy, kinds)
    found = [one for clause in policy.drop for one in thresholds(clause)]
    seen = pl.concat(_measured(files, policy, found, kinds, below), how="vertical")
    sides = [(_nearest(seen, i, one, count, low=True), _nearest(seen, i, one, count, low=False)) for i, one in enumerate(found)]
    refs = sorted({row["ref"] for side in sides for rows in side for row in rows})
    texts = _texts(files, refs, changes or {})
    return [Border(one, *(tuple(_near(row, texts) for row in rows) for rows in side)) for one, side in zip(found, sides, strict=True)]


def _measured(
    files: Sequence[DataFile], policy: Policy, found: Sequence[Threshold], kinds: Mapping[str, str], below: int | None
) -> Iterator[pl.DataFrame]:
    """Each row's outcome, and what each threshold measures of it: NULL where it does not meet the threshold."""
    yield pl.DataFrame(schema={"ref": pl.Int64, "domain": pl.String, "outcome": pl.String, **{f"value_{i}": pl.Float64 for i in range(len(found))}})
    for number, file in enumerate(files):
        bench, row = Bench(file, {"name": policy.name, **policy.body}, {path: kinds[path] for path in policy.reads if path in kinds}, ()), number * FILE
        for batch in bench.batches(*(["sample_key"] if below is not None else [])):
            batch = batch.with_columns(ref=pl.int_range(row, row + batch.height, dtype=pl.Int64, eager=True))
            row += batch.height
            if below is not None:
                batch = batch.filter(pl.col("sample_key") < below)
            yield _judged(batch, policy, found, kinds)


def _judged(batch: pl.DataFrame, policy: Policy, found: Sequence[Threshold], kinds: Mapping[str, str]) -> pl.DataFrame:
    """One batch of what `_measured` yields. A row gets as far as the first clause that drops it: `place`."""
    reasons = [clause.reason for clause in policy.drop]
    drops = [pl.when(expression(clause.node)).then(pl.lit(i)) for i, clause in enumerate(policy.drop)]
    raw = [expression(typed(one.value, kinds)).cast(pl.Float64).alias(f"value_{i}") for i, one in enumerate(found)]
    others = [[expression(typed(other, kinds)).fill_null(False) for other in one.beside] for one in found]
    beside = [pl.all_horizontal(true).alias(f"beside_{i}") for i, true in enumerate(others) if true]
    domain, place = pl.col("domain").cast(pl.String), pl.coalesce(*drops, pl.lit(len(reasons))).alias("place")
    frame = batch.select("ref", domain, place, *raw, *beside)
    met = [(pl.col("place") >= reasons.index(one.clause.reason)) & (pl.col(f"beside_{i}") if one.beside else True) for i, one in enumerate(found)]
    values = [pl.when(where).then(pl.col(f"value_{i}")).alias(f"value_{i}") for i, where in enumerate(met)]
    names = pl.Series([*reasons, "kept"], dtype=pl.String)
    return frame.select("ref", "domain", pl.Series("outcome", names.gather(frame["place"].cast(pl.UInt32))), *values)


def _nearest(seen: pl.DataFrame, number: int, one: Threshold, count: int, *, low: bool) -> list[dict[str, Any]]:
    value = pl.col(f"value_{number}")
    equal_is_low = one.op in ("<=", ">")
    side = (value <= one.limit if equal_is_low else value < one.limit) if low else (value > one.limit if equal_is_low else value >= one.limit)
    rows = seen.filter(side & value.is_finite()).select("ref", "domain", "outcome", value.alias("value"))
    return rows.sort((pl.col("value") - one.limit).abs(), "ref").head(count).to_dicts()


def _near(row: dict[str, Any], texts: Mapping[int, tuple[str, str]]) -> Near:
    doc_id, text = texts[row["ref"]]
    return Near(doc_id, row["domain"], row["value"], row["outcome"], text)


def _texts(files: Sequence[DataFile], refs: Sequence[int], changes: Mapping[str, Any]) -> dict[int, tuple[str, str]]:
    """The doc_id and the beginning of the text of some rows, spans masked."""
    told: dict[int, tuple[str, str]] = {}
    for number, file in enumerate(files):
        mine = np.array([ref - number * FILE for ref in refs if ref // FILE == number], np.int64)
        if mine.size:
            frame = pl.DataFrame(pl.from_arrow(take(file.full_path, mine, ["doc_id", "text"])))
            shown = [_beginning(text) for text in _masked(frame, file, mine, changes)]
            told |= {number * FILE + row: (doc_id, text) for row, doc_id, text in zip(mine.tolist(), frame["doc_id"], shown, strict=True)}
    return told


def _beginning(text: str | None) -> str:
    return " ".join((text or "")[: 20 * BEGINNING].split())[:BEGINNING]


def _masked(frame: pl.DataFrame, file: DataFile, rows: Any, changes: Mapping[str, Any]) -> pl.Series:
    there = {annotation.family: annotation.path for annotation in file.annotations}
    mask = {name: how for name, how in (changes.get("mask") or {}).items() if name.partition(".")[0] in there}
    if not mask:
        return frame["text"]
    from catalog import spans  # numba starts in a second: not where nothing is masked

    for family in spans.families({"mask": mask}):
        beside = pl.DataFrame(pl.from_arrow(take(os.path.join(file.root, there[family]), rows, [family])))
        frame = frame.with_columns(beside[family])
    return spans.apply(frame, {"mask": mask})
