"""Look into a lake: its datasets and models, documents of one, a query, what nothing refers to."""

import json
from pathlib import Path
from typing import Any

import typer

from catalog.errors import QueryError, near
from catalog.files import Snapshot
from catalog.lake import Lake, rebuild
from headrace.done import models, rows, scorers
from headrace.masked import documents
from headrace.tables import as_text, printable, table

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
        fitted = [
            {"model": name, "kind": r["kind"], "held_out": _worth(r["metrics"]), "from": r["trained_on"], "folder": r["folder"]}
            for name, r in scorers(lake).items()
        ]
    if as_json:
        typer.echo(as_text({"datasets": datasets, "mixtures": mixtures, "models": trained, "quality models": fitted}, indent=1))
        return
    table([{**row, "created": f"{row['created']:%Y-%m-%d %H:%M}"} for row in datasets], title="datasets", empty="no datasets yet; run a recipe")
    for title, found in (("mixtures", mixtures), ("models", trained), ("quality models", fitted)):
        if found:
            typer.echo()
            table(found, title=title)


def _worth(metrics: str) -> str:
    """What a quality model reached on held-out documents, in a word."""
    found = json.loads(metrics)
    name = next((name for name in ("auc", "spearman") if found.get(name)), None)
    return f"{name} {found[name][0]:.3f}" if name else ""


def show_documents(path: str, dataset: str, dropped: str | None, n: int, as_json: bool) -> None:
    """Print documents that are kept, or that were dropped for a reason, masked and cut as the dataset's policy says."""
    with Lake.open(path) as lake:
        snapshot = lake.snapshot(dataset)
        found = documents(lake, dataset, dropped="" if dropped == "any" else dropped, n=n)
        if not found:
            _known(lake, snapshot, dataset, dropped)
    if as_json:
        typer.echo(as_text(found, indent=1))
        return
    if not found:
        typer.echo(f"{snapshot.name}: nothing to show")
    for row in found:
        typer.echo(printable(_document(row)))


def _known(lake: Lake, snapshot: Snapshot, dataset: str, dropped: str | None) -> None:
    """Raise QueryError for a reason for which nothing was dropped."""
    known = [r["reason"] for r in lake.rows("SELECT DISTINCT reason FROM funnel WHERE dataset = ? AND reason IS NOT NULL", [snapshot.dataset])]
    if dropped not in (None, "any", *known):
        raise QueryError(f"{dataset}: nothing was dropped for {dropped!r}{near(str(dropped), known)}")


def export_documents(path: str, dataset: str, out: Path, dropped: str | None, n: int | None, overwrite: bool) -> None:
    """Write all documents that are kept, or that were dropped for a reason, to a file, and print how many."""
    from headrace.exporting import export

    with Lake.open(path) as lake:
        snapshot = lake.snapshot(dataset)
        count = export(snapshot, out, "" if dropped == "any" else dropped, n, overwrite)
        if not count:
            _known(lake, snapshot, dataset, dropped)
    fate = "dropped" if dropped is not None else "kept"
    typer.echo(f"{count:,} rows of {snapshot.name} in {out} ({fate})" if count else f"{snapshot.name}: no rows {fate}; {out} was not written")


def _document(row: dict[str, Any]) -> str:
    """One document for a terminal: where it is from, what became of it, its text or its messages."""
    head = f"── {row.get('doc_id')} · {row.get('domain')} · {row.get('uri')}"
    fate = "kept" if row.get("kept", True) else f"dropped: {row.get('reason')}"
    facts = [str(row[name]) for name in ("title", "license", "date") if row.get(name)]
    text = body(row)
    more = f"\n… {len(text) - SHOWN:,} characters more" if len(text) > SHOWN else ""
    return "\n".join([head, " · ".join([fate, *facts]), "", text[:SHOWN] + more, ""])


def body(row: dict[str, Any]) -> str:
    """What a row has to read: its messages, its prompt and answers, or its text."""
    if row.get("messages"):
        return "\n".join(f"{m['role']}: {m['content']}" for m in row["messages"])
    if row.get("chosen") is not None:
        asked = "\n".join(f"{m['role']}: {m['content']}" for m in row["prompt"])
        return f"{asked}\nchosen: {row['chosen']}\nrejected: {row['rejected']}"
    return row.get("text") or ""


def show_query(path: str, query: str, form: str, out: Path | None, with_: tuple[str, ...]) -> None:
    """Run one sealed query and print or write its rows."""
    from headrace.answers import limits, named_apart, print_rows, write_file

    if form not in FORMATS:
        raise QueryError(f"--format {form}: no such format{near(form, FORMATS)}")
    tables = {}
    for item in with_:
        name, equals, file = item.partition("=")
        if not equals:
            raise QueryError(f"--with {item}: write NAME=FILE")
        tables[name] = file
    with Lake.open(path) as lake, lake.stream(query, tables=tables, limits=limits()) as reader:
        if out is None:
            print_rows(named_apart(reader), form)
        else:
            typer.echo(f"{write_file(named_apart(reader), out):,} rows in {out}")


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
