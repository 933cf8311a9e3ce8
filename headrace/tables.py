"""Rows for people and for machines: one way to print them."""

import json
import math
import sys
from collections.abc import Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text


def table(rows: Sequence[dict[str, Any]], as_json: bool = False, *, empty: str = "nothing", title: str | None = None) -> None:
    """Print rows as a table, or as a JSON array. Text of documents is shown as it is: never as markup or control codes."""
    if as_json:
        typer.echo(as_text(list(rows), indent=1))
        return
    if not rows:
        typer.echo(empty)
        return
    made = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for name in rows[0]:
        number = all(isinstance(row.get(name), int | float) or row.get(name) is None for row in rows)
        made.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell(row.get(name))) for name in rows[0]))
    wide = None if sys.stdout.isatty() else 200
    Console(width=wide, highlight=False).print(made)


def as_text(value: Any, indent: int | None = None) -> str:
    """A value as JSON that any reader takes: NaN and infinities are null, what JSON lacks is text."""
    return json.dumps(_finite(value), indent=indent, default=str, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    return [_finite(v) for v in value] if isinstance(value, list | tuple) else value


def cell(value: Any) -> str:
    """One value for a table's cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return printable(str(value))


def printable(text: str) -> str:
    """Drop control characters: crawled text may carry terminal escapes."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
