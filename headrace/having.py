"""Have we this already, and where: what `headrace dedup query` answers from the band tables and hashes of a lake."""

import os
from collections.abc import Sequence
from typing import Any

import polars as pl
import typer

from catalog.errors import InputError
from catalog.files import DataFile, Snapshot
from catalog.lake import Lake
from catalog.rows import take
from catalog.snapshots import verdict_of
from curate.lookup import Ground, grounds, look_up
from curate.sketches import made
from headrace.queried import Asked, documents
from headrace.tables import as_text, printable

MARKS = (".bands-", ".exact-")
LEVELS = (0.5, 0.7, 0.8, 0.9)


def query(path: str, file: str, names: Sequence[str], least: float, n: int, column: str | None, as_json: bool) -> None:
    """Print for each document of a file where the lake has it: exact copies first, then the nearest, at most `n` each."""
    asked = documents(file, column)
    with Lake.open(path) as lake:
        there = _sketches(lake)
        looked = [_looked(lake, name, there) for name in names] if names else _searched(lake, there)
        answers: list[dict[str, Any]] = [{"document": one.name, "refused": one.refused or None, "hits": []} for one in asked]
        for snapshot, told in looked:
            for place, hit in _hits(lake, snapshot, told, asked, least, n):
                answers[place]["hits"].append(hit)
    for answer in answers:
        answer["hits"] = sorted(answer["hits"], key=lambda hit: (not hit["exact"], -hit["jaccard"]))[:n]
    grounds_of = [_ground(snapshot, told) for snapshot, told in looked]
    if as_json:
        typer.echo(as_text({"looked_in": grounds_of, "least": least, "answers": answers}, indent=1))
        return
    for answer in answers:
        typer.echo(printable(_told(answer, [snapshot.name for snapshot, told in looked if told], least)))
    for ground in grounds_of:
        typer.echo(_footnote(ground))


def _searched(lake: Lake, there: Sequence[str]) -> list[tuple[Snapshot, list[Ground]]]:
    """The datasets that have sketches of their own, and these. Raises InputError when there is none."""
    heads = [lake.snapshot(name) for name in lake.datasets() if _of(lake, name, there)]
    found = [(snapshot, _grounds(snapshot, there)) for snapshot in heads]
    if not any(told for _, told in found):
        raise InputError(f"dedup query: {lake.root}: no dataset has a band table yet; give a part of curate: dedup: {{exact: {{}}, minhash: {{}}}}")
    return found


def _sketches(lake: Lake) -> "Sequence[str]":
    """The paths of the sketches beside the results of all datasets."""
    found = []
    for folder, _, names in os.walk(lake.root / "annotations"):
        found += [os.path.join(folder, name) for name in names if name.endswith(".parquet") and not name.startswith(".") and any(m in name for m in MARKS)]
    return sorted(found)


def _of(lake: Lake, dataset: str, there: Sequence[str]) -> bool:
    """Whether some of the sketches lie beside a dataset's results."""
    return any(path.startswith(os.path.join(lake.root, "annotations", dataset, "")) for path in there)


def _looked(lake: Lake, name: str, there: Sequence[str]) -> tuple[Snapshot, list[Ground]]:
    """A snapshot that is asked for by name, and the tables about its files. Raises InputError when there is none."""
    snapshot = lake.snapshot(name)
    found = _grounds(snapshot, there)
    if not found:
        others = [other for other in lake.datasets() if other != snapshot.dataset and _of(lake, other, there)]
        hint = f"; {', '.join(others)} can be looked into" if others else ""
        raise InputError(f"dedup query: --in {name}: no band table is about its files: give its part dedup: {{minhash: {{}}}}{hint}")
    return snapshot, found


def _grounds(snapshot: Snapshot, there: Sequence[str]) -> list[Ground]:
    """The tables about a snapshot's files, wherever they lie."""
    stems = {os.path.splitext(os.path.basename(file.path))[0] for file in snapshot.files}
    near_by = [path for path in there if os.path.basename(path).rpartition(".parquet")[0].rpartition(".")[0] in stems]
    return grounds(snapshot.files, [table for table in map(made, near_by) if table is not None])


def _hits(
    lake: Lake, snapshot: Snapshot, told: Sequence[Ground], asked: Sequence[Asked], least: float, n: int
) -> list[tuple[int, dict[str, Any]]]:
    """What a dataset has of the documents: (number of the document, where and what became of it)."""
    texts = pl.Series("text", [one.text or None for one in asked], dtype=pl.String)
    found = look_up(texts, snapshot.files, told, least).group_by("asked", maintain_order=True).head(n)
    family, hits = verdict_of(snapshot), []
    fates = {place: _fates(snapshot.files[place], inside["row"].unique().sort(), family) for (place,), inside in found.group_by("file")}
    for row in found.iter_rows(named=True):
        dup, verdict = fates[row["file"]][row["row"]]
        hits.append((row["asked"], {
            "dataset": snapshot.name, "doc_id": row["doc_id"], "uri": row["uri"], "jaccard": row["jaccard"], "exact": row["exact"],
            "kept": verdict.get("kept") is not False, "reason": verdict.get("reason"), "cluster": dup.get("cluster"), "cluster_size": dup.get("size"),
        }))  # fmt: skip
    return hits


def _fates(file: DataFile, rows: pl.Series, verdict: str) -> dict[int, tuple[dict[str, Any], dict[str, Any]]]:
    """What the families `dup` and `verdict` say of some rows of a file; nothing where a dataset has none."""
    there = {annotation.family: os.path.join(file.root, annotation.path) for annotation in file.annotations}
    said = [take(there[f], rows.to_numpy(), [f])[f].to_pylist() if f in there else [{}] * len(rows) for f in ("dup", verdict)]
    return {row: (dup or {}, judged or {}) for row, dup, judged in zip(rows, *said, strict=True)}


def _ground(snapshot: Snapshot, told: Sequence[Ground]) -> dict[str, Any]:
    """What was looked into, and how surely a document is found there by its Jaccard."""
    covered = sum(len(ground.paths) for ground in told)
    makes = [
        {**{k: v for k, v in ground.knobs.items() if k in ("bands", "rows", "ngram", "tokens")}, "files": len(ground.paths),
         "chance": {f"{level:g}": round(ground.chance(level), 3) for level in LEVELS}}
        for ground in told
    ]  # fmt: skip
    return {"dataset": snapshot.name, "files": len(snapshot.files), "without_table": len(snapshot.files) - covered, "tables": makes}


def _told(answer: dict[str, Any], names: Sequence[str], least: float) -> str:
    if answer["refused"]:
        return f"{answer['document']}: not looked up ({answer['refused']})"
    if not answer["hits"]:
        return f"{answer['document']}: not here (nothing at Jaccard {least:g} or more in {', '.join(names)})"
    lines = [f"{answer['document']}: {len(answer['hits'])} here"]
    for hit in answer["hits"]:
        fate = "kept" if hit["kept"] else f"dropped: {hit['reason']}"
        size = hit["cluster_size"] or 1
        cluster = f", one of {size:,} in cluster {hit['cluster']}" if hit["cluster"] else ""
        lines.append(f"  {hit['jaccard']:.3f} {'exact' if hit['exact'] else 'near '}  {hit['dataset']}  {hit['doc_id']}  {fate}{cluster}")
        lines.append(f"               {hit['uri']}")
    return "\n".join(lines)


def _footnote(ground: dict[str, Any]) -> str:
    """How surely a document is found, so that nobody takes `not here` for more than it is."""
    lines = []
    for make in ground["tables"]:
        chances = ", ".join(f"{share:.0%} at {level}" for level, share in make["chance"].items())
        how = f"{make['bands']} bands of {make['rows']} find {chances}" if "bands" in make else "hashes alone: exact copies are found"
        lines.append(f"{ground['dataset']}: {how}")
    if ground["without_table"]:
        lines.append(f"{ground['dataset']}: {ground['without_table']:,} of {ground['files']:,} files have no table and were not looked into")
    return "\n".join(lines)
