"""What each clause of a policy says of one document: the signals that it reads, the thresholds they stand against, and which clause decided."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from catalog.dialects import expression, said, sql
from catalog.errors import PolicyError
from catalog.lake import Lake
from catalog.locator import Place
from catalog.predicates import Node, columns, typed
from catalog.rows import beside
from curate.clauses import Clause
from curate.policy import from_body, judged
from curate.thresholds import Threshold, settled, thresholds
from headrace.tables import cell

SAYS = {True: "drops", False: "passes", None: "unknown"}
LONG = 60
"""Characters of a value that are shown."""
POLICIES = "SELECT name, family, body FROM policy WHERE dataset = ? AND version = ? ORDER BY place"


def clauses_of(lake: Lake, place: Place, verdicts: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return for each verdict family of a document what the clauses of its policy say, in order. `verdicts` are the document's."""
    found = lake.rows(POLICIES, [place.dataset, place.version])
    if not found:
        return {}
    frame = pl.DataFrame(pl.from_arrow(beside(place.file, np.array([place.row], np.int64))))
    names = judged(place.file)
    told: dict[str, list[dict[str, Any]]] = {}
    for row in found:
        reason = (verdicts.get(row["family"]) or {}).get("reason")
        policy = from_body(row["name"], json.loads(row["body"]))
        told[row["family"]] = [
            {"policy": policy.name, "reason": clause.reason, "decided": clause.reason == reason, "predicate": plain.text,
             **_asked(frame, clause.node, thresholds(plain), names), "cite": clause.cite or None}
            for clause, plain in ((clause, _settled(frame, clause, names)) for clause in policy.drop)
        ]  # fmt: skip
    return told


def _settled(frame: pl.DataFrame, clause: Clause, names: dict[str, str]) -> Clause:
    """The clause as it stands for this document: of thresholds by language, its own."""

    def says(condition: Node) -> bool | None:
        try:
            return bool(said(frame, typed(condition, names))[0])
        except PolicyError:
            return None

    node = settled(clause.node, says)
    return clause if node == clause.node else replace(clause, node=node, text=re.sub(r"(?<=\d)e0\b", "", sql(node)))


def _asked(frame: pl.DataFrame, node: Any, limits: tuple[Threshold, ...], names: dict[str, str]) -> dict[str, Any]:
    """What a predicate says of the one row of a frame: true, false, NULL; and all that it reads. What the file lacks is NULL."""
    values = {path: _value(frame, path, names) for path in columns(node)}
    against = [{"value": one.text, "is": _measured(frame, one, names), "op": one.op, "limit": one.limit} for one in limits]
    try:
        says = said(frame, typed(node, names))[0]
    except PolicyError:  # the file lacks a signal that others of the dataset have
        says = None
    return {"says": SAYS[says], "values": values, "thresholds": against}


def _value(frame: pl.DataFrame, path: str, names: dict[str, str]) -> Any:
    first, *rest = path.split(".")
    if path not in names or first not in frame.columns:
        return None
    value = frame[first][0]
    for name in rest:
        value = value.get(name) if isinstance(value, dict) else None
    return f"{value[:LONG]}..." if isinstance(value, str) and len(value) > LONG else value


def _measured(frame: pl.DataFrame, one: Threshold, names: dict[str, str]) -> Any:
    try:
        return frame.select(expression(typed(one.value, names)).alias("is"))["is"][0]
    except PolicyError:
        return None


def lines(clauses: list[dict[str, Any]]) -> Iterator[str]:
    """The clauses of one verdict for people: two lines each, the first with the signals beside their thresholds."""
    wide = max((len(one["reason"]) for one in clauses), default=0)
    passed = False
    for one in clauses:
        says = "decides" if one["decided"] else "true too" if one["says"] == "drops" and passed else one["says"]
        passed = passed or one["decided"]
        measured = {limit["value"] for limit in one["thresholds"]}
        values = [f"{limit['value']} {_shown(limit['is'])} ({limit['op']} {cell(limit['limit'])})" for limit in one["thresholds"]]
        values += [f"{path} {_shown(value)}" for path, value in one["values"].items() if path not in measured and path != "text"]
        yield f"    {says:<8}  {one['reason']:<{wide}}  {', '.join(values)}"
        yield f"    {'':<8}  {'':<{wide}}  {one['predicate']}" + (f"   [{one['cite']}]" if one["cite"] else "")


def _shown(value: Any) -> str:
    return "NULL" if value is None else cell(value)
