"""Look into a lake: its datasets and models, documents of one, a query, what nothing refers to."""

import json
import sys
from pathlib import Path
from typing import Any

import typer

from catalog.errors import QueryError, near
from catalog.lake import Lake, rebuild
from headrace.done import models, rows
from headrace.tables import printable, table

FORMATS = ("table", "csv", "json")
SHOWN = 2000
"""Characters of a document's text that `show` prints."""


def show_datasets(path: str, as_json: bool) -> None:
    """Print datasets, mixtures and models with their sizes."""
    with Lake.open(path) as lake:
        datasets = lake.rows(
            "SELECT d.dataset, 'v' || s.version AS head, s.shape, s.rows, s.kept, s.tokens, s.bytes, s.owner AS recipe, s.created "
            "FROM dataset d JOIN snapshot s ON s.dataset = d.dataset AND s.version = d.head ORDER BY ALL"
        )
        mixtures = [
            {"mixture": r["mixture"], "lock": r["lock"][:8], "kind": r["kind"], "tokens": r["tokens"], "from": r["snapshots"]} for r in rows(lake, "mixture")
        ]
        trained = [
            {"model": name, "act": r["act"], "parameters": r["parameters"], "bits_per_byte": r.get("bits_per_byte"), "folder": r["folder"]}
            for name, r in models(lake).items()
        ]
    if as_json:
        typer.echo(json.dumps({"datasets": datasets, "mixtures": mixtures, "models": trained}, indent=1, default=str))
        return
    table([{**row, "created": f"{row['created']:%Y-%m-%d %H:%M}"} for row in datasets], title="datasets", empty="no datasets yet; run a recipe")
    for title, found in (("mixtures", mixtures), ("models", trained)):
        if found:
            typer.echo()
            table(found, title=title)


def show_documents(path: str, dataset: str, dropped: str | None, n: int, as_json: bool) -> None:
    """Print documents that are kept, or that were dropped for a reason."""
    with Lake.open(path) as lake:
        snapshot = lake.snapshot(dataset)
        found = lake.show(dataset, dropped="" if dropped == "any" else dropped, n=n)
        if not found and dropped is not None:
            known = [r["reason"] for r in lake.rows("SELECT DISTINCT reason FROM funnel WHERE dataset = ? AND reason IS NOT NULL", [snapshot.dataset])]
            if dropped != "any" and dropped not in known:
                raise QueryError(f"{dataset}: nothing was dropped for {dropped!r}{near(dropped, known)}")
    if as_json:
        typer.echo(json.dumps(found, indent=1, default=str, ensure_ascii=False))
        return
    if not found:
        typer.echo(f"{snapshot.name}: nothing to show")
    for row in found:
        typer.echo(printable(_document(row)))


def _document(row: dict[str, Any]) -> str:
    """One document for a terminal: where it is from, what became of it, its text or its messages."""
    head = f"── {row.get('doc_id')} · {row.get('domain')} · {row.get('uri')}"
    fate = "kept" if row.get("kept", True) else f"dropped: {row.get('reason')}"
    facts = [str(row[name]) for name in ("title", "license", "date") if row.get(name)]
    if row.get("messages"):
        text = "\n".join(f"{m['role']}: {m['content']}" for m in row["messages"])
    elif row.get("chosen") is not None:
        asked = "\n".join(f"{m['role']}: {m['content']}" for m in row["prompt"])
        text = f"{asked}\nchosen: {row['chosen']}\nrejected: {row['rejected']}"
    else:
        text = row.get("text") or ""
    more = f"\n… {len(text) - SHOWN:,} characters more" if len(text) > SHOWN else ""
    return "\n".join([head, " · ".join([fate, *facts]), "", text[:SHOWN] + more, ""])


def show_query(path: str, query: str, form: str, out: Path | None, with_: tuple[str, ...]) -> None:
    """Run one sealed query and print or write its rows."""
    if form not in FORMATS:
        raise QueryError(f"--format {form}: no such format{near(form, FORMATS)}")
    tables = {}
    for item in with_:
        name, equals, file = item.partition("=")
        if not equals:
            raise QueryError(f"--with {item}: write NAME=FILE")
        tables[name] = file
    with Lake.open(path) as lake, lake.stream(query, tables=tables) as reader:
        if out is not None:
            from catalog.query import save

            typer.echo(f"{save(reader, str(out)):,} rows in {out}")
            return
        _print(reader, form)


def _print(reader: Any, form: str) -> None:
    """Print rows as they come: csv and json stream, a table is collected first."""
    if form == "table":
        found = reader.read_all().to_pylist()
        table([{k: _short(v) for k, v in row.items()} for row in found], empty="no rows")
        return
    if form == "csv":
        import pyarrow.csv

        flat = reader.read_all()
        import polars as pl

        frame = pl.from_arrow(flat)
        assert isinstance(frame, pl.DataFrame)
        nested = [name for name, kind in frame.schema.items() if kind.is_nested()]
        rows_ = [[json.dumps(v, default=str) if name in nested else v for v in frame[name].to_list()] for name in frame.columns]
        pyarrow.csv.write_csv(flat if not nested else _flat(frame.columns, rows_), sys.stdout.buffer)
        return
    for batch in reader:
        for row in batch.to_pylist():
            typer.echo(json.dumps(row, default=str, ensure_ascii=False))


def _flat(names: list[str], columns: list[list[Any]]) -> Any:
    import pyarrow as pa

    return pa.table(dict(zip(names, columns, strict=True)))


def _short(value: Any) -> Any:
    """A cell of a table shows the beginning of a long text."""
    text = json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, dict | list) else value
    return f"{text[:197]}..." if isinstance(text, str) and len(text) > 200 else text


def collect_garbage(path: str, apply: bool, hours: float, lock_timeout: float) -> None:
    """Print what no snapshot refers to, and delete it on `apply`."""
    with Lake.open(path, lock_timeout=lock_timeout) as lake:
        found = lake.gc(apply=apply, grace=hours * 3600)
    table([{"file": g.path, "bytes": g.bytes, "hours old": round(g.age / 3600, 1)} for g in found], empty="nothing to collect")
    if found:
        size = sum(g.bytes for g in found)
        typer.echo(f"{'deleted' if apply else 'would delete'} {len(found):,} files, {size:,} bytes{'' if apply else '; add --apply to delete them'}")


def repair(path: str, from_log: bool, lock_timeout: float) -> None:
    """Build the catalogue anew from its log, or its views after the lake moved."""
    if from_log:
        notes = rebuild(path, lock_timeout=lock_timeout)
    else:
        with Lake.open(path, lock_timeout=lock_timeout) as lake:
            notes = lake.moved()
    for note in notes:
        typer.echo(note, err=True)
    typer.echo(f"{path}: the {'catalogue was built anew from the log' if from_log else 'views were built anew'}")
