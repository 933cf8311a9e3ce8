"""A predicate's tree as each engine takes it: a polars expression, or SQL text for DuckDB and Spark.

Polars gets expressions, not SQL: its own reading of `/ 3` multiplies by a rounded third, of round(2.5) is 2, of greatest ignores
NaN, and of length counts below zero to four thousand million. One golden table runs through all three.
"""

import math
import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl

from catalog.predicates import COMPARISONS, Node

COMPARE: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "=": pl.Expr.eq,
    "<>": pl.Expr.ne,
    "<": pl.Expr.lt,
    "<=": pl.Expr.le,
    ">": pl.Expr.gt,
    ">=": pl.Expr.ge,
    "differ": pl.Expr.ne_missing,
    "same": pl.Expr.eq_missing,
    "+": pl.Expr.add,
    "-": pl.Expr.sub,
    "*": pl.Expr.mul,
}


def expression(node: Node) -> pl.Expr:
    """Return a typed tree as a polars expression over documents with families as struct columns."""
    op, args = node.op, [expression(arg) for arg in node.args]
    if op == "literal":
        return pl.lit(node.value)
    if op == "column":
        return _column(node.value)
    if op in COMPARE:
        return COMPARE[op](args[0], args[1])
    if op.startswith("not ") and op != "not":
        return expression(Node(op.removeprefix("not "), node.args)).not_()
    if op in ("and", "or"):
        folded = args[0]
        for arg in args[1:]:
            folded = folded & arg if op == "and" else folded | arg
        return folded
    return OTHERS[op](node, args)


def said(batch: pl.DataFrame, node: Node) -> pl.Series:
    """Return what a typed tree says of each row of a batch, one value a row though it may come to a constant."""
    return batch.select(pl.int_range(pl.len()).alias("row"), expression(node).alias("said"))["said"]


def _column(path: str) -> pl.Expr:
    first, *rest = path.split(".")
    found = pl.col(first)
    for name in rest:
        found = found.struct.field(name)
    return found


def _divided(node: Node, args: list[pl.Expr]) -> pl.Expr:
    """Divided by a column: by a literal, polars multiplies with its rounded reciprocal."""
    number = args[0].cast(pl.Float64)
    return number / pl.when(number.is_not_null()).then(pl.lit(float(node.args[1].value)))


def _remainder(node: Node, args: list[pl.Expr]) -> pl.Expr:
    """SQL's remainder has the sign of the dividend, and of fractions it is C's fmod; polars' own floors, and rounds as it does."""
    return args[0].map_batches(lambda batch: _rest(batch, int(node.args[1].value)), is_elementwise=True)


def _rest(batch: pl.Series, by: int) -> pl.Series:
    if batch.dtype.is_float():
        with np.errstate(invalid="ignore"):
            return pl.Series(batch.name, np.fmod(batch.fill_null(0.0).to_numpy(), by)).set(batch.is_null(), None)
    size = batch.abs() % abs(by)
    return size.zip_with(batch.fill_null(0) >= 0, -size)


def _like(node: Node, args: list[pl.Expr]) -> pl.Expr:
    pattern = "".join({"%": ".*", "_": "."}.get(c, re.escape(c)) for c in node.args[1].value)
    return args[0].str.contains(f"(?s)^{pattern}$")


def _within(node: Node, args: list[pl.Expr]) -> pl.Expr:
    found = args[0].eq(args[1])
    for arg in args[2:]:
        found = found | args[0].eq(arg)
    return found


def _case(node: Node, args: list[pl.Expr]) -> pl.Expr:
    last = args.pop() if len(args) % 2 else pl.lit(None)
    for condition, value in reversed(list(zip(args[::2], args[1::2], strict=True))):
        last = pl.when(condition).then(value).otherwise(last)
    return last


def _greatest(node: Node, args: list[pl.Expr]) -> pl.Expr:
    """NaN is greater than any number; nulls are passed over."""
    floats = [arg.cast(pl.Float64, strict=False) for arg in args]
    return pl.when(pl.any_horizontal(x.is_nan() for x in floats)).then(math.nan).otherwise(pl.max_horizontal(args))


def _coalesce(node: Node, args: list[pl.Expr]) -> pl.Expr:
    """Not polars' own, which gives one row when the first argument is a constant."""
    found = args[-1]
    for arg in reversed(args[:-1]):
        found = pl.when(arg.is_not_null()).then(arg).otherwise(found)
    return found


CALLS: dict[str, Callable[[Node, list[pl.Expr]], pl.Expr]] = {
    "lower": lambda node, args: args[0].str.to_lowercase(),
    "length": lambda node, args: args[0].str.len_chars().cast(pl.Int64),
    "abs": lambda node, args: args[0].abs(),
    "round": lambda node, args: args[0].cast(pl.Float64).round(0, mode="half_away_from_zero"),
    "greatest": _greatest,
    "coalesce": _coalesce,
}
OTHERS: dict[str, Callable[[Node, list[pl.Expr]], pl.Expr]] = {
    "not": lambda node, args: args[0].not_(),
    "minus": lambda node, args: args[0].neg(),
    "is null": lambda node, args: args[0].is_null(),
    "is not null": lambda node, args: args[0].is_not_null(),
    "between": lambda node, args: (args[0] >= args[1]) & (args[0] <= args[2]),
    "in": _within,
    "like": _like,
    "case": _case,
    "/": _divided,
    "%": _remainder,
    "call": lambda node, args: CALLS[node.value](node, args),
}


def sql(node: Node) -> str:
    """Return a typed tree as SQL that DuckDB and Spark read alike."""
    op, args = node.op, [sql(arg) for arg in node.args]
    if op == "literal":
        return _literal(node.value)
    if op == "column":
        return str(node.value)
    if op == "call":
        return f"{node.value}({', '.join(args)})"
    if op in ("and", "or"):
        return f"({f' {op.upper()} '.join(args)})"
    if op in (*COMPARISONS, "+", "-", "*", "/", "%", "like", "not like"):
        return f"({args[0]} {op.upper()} {args[1]})"
    if op in ("between", "not between"):
        return f"({args[0]} {op.upper()} {args[1]} AND {args[2]})"
    if op in ("in", "not in"):
        return f"({args[0]} {op.upper()} ({', '.join(args[1:])}))"
    if op == "case":
        pairs = " ".join(f"WHEN {a} THEN {b}" for a, b in zip(args[::2], args[1::2], strict=False))
        return f"CASE {pairs}{f' ELSE {args[-1]}' if len(args) % 2 else ''} END"
    if op in ("same", "differ"):
        return f"({args[0]} IS {'NOT ' if op == 'same' else ''}DISTINCT FROM {args[1]})"
    return {"not": f"(NOT {args[0]})", "minus": f"(- {args[0]})"}.get(op, f"({args[0]} {op.upper()})")


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):  # with an exponent it is a double to both, not a decimal
        return f"{value!r}e0" if "e" not in repr(value) else repr(value)
    if isinstance(value, datetime):
        return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
