"""What of evaluation sets stands in datasets and mixtures: a matrix, the worst items, examples with the stretch that matched.

As `headrace why` and SQL, it shows stretches as ingested: what a policy masks or cuts is what is asked about here.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import polars as pl
import typer

from catalog.contaminated import KNOBS, SOFT, examined, matches, scored
from catalog.documents import read_one
from catalog.errors import InputError, near
from catalog.files import Snapshot, temporary
from catalog.lake import Lake
from headrace.done import rows
from headrace.report import figure
from headrace.tables import as_text, printable, table

WORST, EXAMPLES, SHOWN = 10, 5, 600
"""Items told of, those shown with a stretch, and characters of a stretch."""

Row = dict[str, Any]


def show_contamination(path: str, name: str | None, as_json: bool, out: Path | None) -> None:
    """Print the matrix of a lake, or of one dataset or mixture with its worst items; or write it to a file."""
    if out is not None and out.suffix not in (".html", ".json"):
        raise InputError(f"--out {out}: a report is a .html or a .json file")
    with Lake.open(path) as lake:
        told = contamination(lake, name)
    if out is not None:
        write(told, out)
        typer.echo(out)
        return
    if as_json:
        typer.echo(as_text(told, indent=1))
        return
    table(told["datasets"], title="items of evaluation sets in datasets", empty="no dataset was scored: add contamination.spans to a part's stages")
    if told["mixtures"]:
        table(told["mixtures"], title="\nin mixtures")
    if told["items"]:
        table(told["items"], title="\nthe items that stand in most documents")
    if told["soft"]:
        table(told["soft"], title="\nnear items in other words: hints, which no bound counts")
    for one in told["examples"]:
        typer.echo(printable(f"\n{one['benchmark']}, item {one['item']}: {one['kind']}, score {figure(one['score'])}, in {one['doc_id']} ({one['uri']})"))
        typer.echo(printable(f"  asked: {one['question']}\n  found: {one['stretch']}"))


def contamination(lake: Lake, name: str | None = None) -> dict[str, list[Row]]:
    """Return the rows of a report: datasets (one a dataset and evaluation set), mixtures, and, worst first, items, soft matches of items, and examples.

    Of all datasets that were scored, or of the one that is named, or of a mixture (mix.base). Raises InputError where it was not scored.
    """
    mixed = mixtures(lake, name)
    if mixed and name is not None:
        names = sorted({one.partition("@")[0] for row in rows(lake, "mixture", "mixture = ?", [name.removeprefix("mix.")])[-1:] for one in _split(row)})
    else:
        names = lake.datasets() if name is None else [name]
    snapshots = [lake.snapshot(one) for one in names]
    known = [snapshot for snapshot in snapshots if any(map(scored, snapshot.files))]
    if name is not None and not known and not mixed:
        how = f"add contamination.spans to the stages of its part{near(name, [row['mixture'] for row in mixtures(lake, None)])}"
        raise InputError(f"{name}: was not scored against any evaluation set; {how}")
    found, near_by = ({snapshot.name: matches(snapshot, *column) for snapshot in known} for column in ((), (SOFT,)))
    matrix = [row for snapshot in known for row in _matrix(snapshot, found[snapshot.name], near_by[snapshot.name])]
    worst, soft = _worst(found), _worst(near_by)
    examples = [one for rows_of, frames in ((worst, found), (soft, near_by)) for row in rows_of[:EXAMPLES] for one in _example(lake, row, frames)]
    return {"datasets": matrix, "mixtures": mixed, "items": worst, "soft": [_softly(row) for row in soft], "examples": examples}


def _softly(row: Row) -> Row:
    """A row of soft matches: the score is a cosine, and nothing stands."""
    return {"dataset": row["dataset"], "benchmark": row["benchmark"], "item": row["item"], "documents": row["documents"], "cosine": row["score"]}


def _split(row: Row) -> list[str]:
    return [part.strip() for part in str(row["snapshots"]).split(",")]


def _matrix(snapshot: Snapshot, found: pl.DataFrame, near_by: pl.DataFrame) -> list[Row]:
    """One row an evaluation set: how many of its items are matched in any document, and how many stand in what is kept, after cuts.

    soft: how many are near a stretch of a document that is kept; null where no model was named that would say.
    """
    sets = {name: told for file in snapshot.files for name, told in examined(file).items()}
    made = []
    for name, told in sorted(sets.items()):
        mine = found.filter(pl.col("benchmark") == name)
        left, hinted = (frame.filter(pl.col("kept") & pl.col("standing") & (pl.col("benchmark") == name)) for frame in (mine, near_by))
        made.append(
            {"dataset": snapshot.name, "benchmark": f"{name}@v{told['version']}", "items": told["items"], "too_short": told["items"] - told["indexed"],
             "matched": mine["item"].n_unique(), "documents": mine["doc_id"].n_unique(), "standing": left["item"].n_unique(),
             "share": left["item"].n_unique() / told["indexed"] if told["indexed"] else None, "in_documents": left["doc_id"].n_unique(),
             "soft": hinted["item"].n_unique() if "soft_at" in told else None}
        )  # fmt: skip
    return sorted(made, key=lambda row: (-(row["share"] or 0), row["benchmark"]))


def mixtures(lake: Lake, name: str | None) -> list[Row]:
    """Return what was told of the latest lock of each mixture, or of one."""
    told = rows(lake, "mixture_contamination")
    latest = {row["mixture"]: row["lock"] for row in told}
    fields = ("mixture", "benchmark", "version", "items", "too_short", "standing", "share", "documents", "bound", *KNOBS, "because")
    wanted = None if name is None else name.removeprefix("mix.")
    return [{k: row.get(k) for k in fields} for row in told if row["lock"] == latest[row["mixture"]] and wanted in (None, row["mixture"])]


def _worst(found: dict[str, pl.DataFrame]) -> list[Row]:
    """The items that are matched in most documents, of all datasets; the better matched ones first among equals."""
    if not found:
        return []
    together = pl.concat([frame.with_columns(dataset=pl.lit(name)) for name, frame in found.items()]).filter(pl.col("kind") != "answer")
    by = together.group_by("dataset", "benchmark", "item").agg(
        documents=pl.col("doc_id").n_unique(), standing=pl.col("doc_id").filter(pl.col("kept") & pl.col("standing")).n_unique(), score=pl.col("score").max()
    )
    return by.sort("documents", "score", "benchmark", "item", "dataset", descending=[True, True, False, False, False]).head(WORST).to_dicts()


def _example(lake: Lake, row: Row, found: dict[str, pl.DataFrame]) -> list[Row]:
    """The best match of an item, with its question and the stretch of the document."""
    frame = found[row["dataset"]].filter((pl.col("item") == row["item"]) & (pl.col("benchmark") == row["benchmark"]))
    best = frame.filter(pl.col("kind") != "answer").sort("score", "doc_id", descending=[True, False]).row(0, named=True)
    dataset = row["dataset"].partition("@")[0]
    document = next((read_one(place)["document"] for place in lake.locate(best["doc_id"]) if place.dataset == dataset), None)
    if document is None:
        return []
    stretch = document["text"][best["start"] : best["end"]]
    about = {"dataset": row["dataset"], "uri": printable(document.get("uri") or ""), "question": short(question(lake, row["benchmark"], row["item"]))}
    return [{**{k: best[k] for k in ("benchmark", "item", "kind", "score", "doc_id")}, **about, "stretch": short(stretch)}]


def question(lake: Lake, benchmark: str, item: str) -> str:
    """Return the question of an item; nothing where the lake has it no more."""
    places = [place for place in lake.locate(item) if place.dataset == benchmark]
    return str(read_one(places[0])["document"].get("text") or "") if places else ""


def short(text: str) -> str:
    shown = printable(" ".join(text.split()))
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]} …"


def write(told: dict[str, list[Row]], path: Path) -> None:
    """Write a report as a page or as JSON, whole or not at all. The page fetches nothing and runs no script; every text in it is escaped."""
    if path.suffix == ".json":
        content = as_text(told, indent=1) + "\n"
    else:
        made = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined)
        made.filters["figure"] = figure
        content = made.get_template("contamination.html").render(**told)
    written = temporary(path)
    written.write_text(content, encoding="utf-8")
    os.replace(written, path)


def tell(lake: Lake, names: Sequence[str], folder: Path) -> str | None:
    """Leave the report of a run's datasets in its folder, and return one line about it; None where none of them was scored."""
    known = [name for name in names if any(map(scored, lake.snapshot(name).files))]
    if not known:
        return None
    told = [contamination(lake, name) for name in known]
    whole = {key: [row for one in told for row in one[key]] for key in ("datasets", "items", "soft", "examples")} | {"mixtures": mixtures(lake, None)}
    for kind in ("json", "html"):
        write(whole, folder / f"contamination.{kind}")
    n, soft = (sum(row[key] or 0 for row in whole["datasets"]) for key in ("standing", "soft"))
    sets = len({row["benchmark"] for row in whole["datasets"]})
    worst = max(whole["datasets"], key=lambda row: row["share"] or 0)
    of = f"{worst['standing']:,} of {worst['items'] - worst['too_short']:,} in {worst['in_documents']:,} documents"
    most = f", most of {worst['benchmark']}: {of}" if n else ""
    most += f", {soft:,} more may be told in other words" if soft else ""
    return f"contamination: {n:,} items of {sets:,} evaluation sets stand in what is kept of {', '.join(known)}{most} ({folder / 'contamination.html'})"


def recorded(snapshot: Snapshot) -> list[Row]:
    """Return the rows of the table `contamination` for a dataset: one an evaluation set. `key` is that of its snapshot."""
    if not any(map(scored, snapshot.files)):
        return []
    matrix = _matrix(snapshot, matches(snapshot), matches(snapshot, SOFT))
    return [{**row, "dataset": snapshot.dataset, "key": snapshot.key} for row in matrix]
