"""The report of a run: one static HTML page with the funnel, reasons, samples, curves, generated rows, lineage and licences.

It is opened from a disk, so it fetches nothing and runs no script: styles are inline, plots are images inside the page, and
every text of a document is escaped by the template.
"""

import os
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2

from catalog.files import temporary
from catalog.lake import Lake
from catalog.parts import Part
from catalog.recipe import Recipe
from headrace.done import models, rows
from headrace.masked import documents
from headrace.tables import printable

SHOWN = 1200
SECTIONS = (
    ("funnel", "Funnel"), ("reasons", "Reasons"), ("samples", "Samples"), ("generated", "Generated rows"), ("mixture", "Mixture"),
    ("training", "Training"), ("lineage", "Lineage"), ("licences", "Licences"),
)  # fmt: skip
STEPS = ("seen", "landed", "in", "kept")
Row = dict[str, Any]


def write_report(recipe: Recipe, lake: Lake, run: str, folder: Path) -> Path:
    """Write report.html into a run's folder, whole or not at all, and return its path."""
    page = _environment().get_template("report.html").render(
        recipe=recipe.name, run=run, lake=str(lake.root), quoted=shlex.quote(str(lake.root)), when=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", sections=SECTIONS,
        facts=_facts(recipe, lake), funnel=funnel(recipe, lake), flow=_flow(recipe, lake), reasons=reasons(recipe, lake), samples=_samples(recipe, lake),
        generated=[group for part in recipe.parts if part.section == "synth" and part.dataset in published(recipe, lake) for group in _generated(lake, part)],
        mixture=mixtures(lake, recipe), curves=_curves(recipe, lake), models=trained(lake, recipe), evaluations=evaluations(lake, recipe),
        sample=sample(lake, recipe), lineage=_lineage(recipe, lake), licences=_licences(recipe, lake),
    )  # fmt: skip
    path = folder / "report.html"
    written = temporary(path)
    written.write_text(page, encoding="utf-8")
    os.replace(written, path)
    return path


def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters["figure"] = figure
    made.filters["numeric"] = lambda rows: {name for row in rows for name, value in row.items() if isinstance(value, int | float)}
    return made


def figure(value: Any) -> str:
    """A value for a reader: thousands parted, four digits, nothing for nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    return printable(str(value))


def published(recipe: Recipe, lake: Lake, section: str = "ingest curate synth") -> list[str]:
    """The datasets that a recipe's parts have published, in river order."""
    there = set(lake.datasets())
    return [part.dataset for part in recipe.parts if part.section in section.split() and part.dataset in there]


def funnel(recipe: Recipe, lake: Lake) -> list[Row]:
    """Documents, bytes and tokens after each step, by domain."""
    order = {name: place for place, name in enumerate(published(recipe, lake))}
    found = lake.rows(
        "SELECT dataset, step, domain, sum(documents)::BIGINT AS documents, sum(bytes)::BIGINT AS bytes, sum(tokens)::BIGINT AS tokens "
        "FROM funnel WHERE step IN ('seen', 'landed', 'in', 'kept') GROUP BY ALL"
    )
    mine = [row for row in found if row["dataset"].partition("/")[0] in order]
    mine.sort(key=lambda r: (order[r["dataset"].partition("/")[0]], r["dataset"], STEPS.index(r["step"]), r["domain"] or ""))
    return mine


def reasons(recipe: Recipe, lake: Lake) -> list[Row]:
    """What went and why, most first within a dataset."""
    order = {name: place for place, name in enumerate(published(recipe, lake))}
    found = lake.rows(
        "SELECT dataset, reason, domain, sum(documents)::BIGINT AS documents FROM funnel "
        "WHERE step IN ('dropped', 'refused') AND reason IS NOT NULL GROUP BY ALL"
    )
    mine = [row for row in found if row["dataset"].partition("/")[0] in order]
    most = max((row["documents"] for row in mine), default=1)
    mine.sort(key=lambda r: (order[r["dataset"].partition("/")[0]], -r["documents"], r["reason"]))
    return [{**row, "width": round(20 * row["documents"] / most, 2)} for row in mine]


def _facts(recipe: Recipe, lake: Lake) -> list[Row]:
    found = []
    for name in published(recipe, lake, "curate")[:1]:
        snapshot = lake.snapshot(name)
        found = [
            {"name": f"documents in {name}", "value": snapshot.rows},
            {"name": "kept", "value": snapshot.kept},
            {"name": "tokens kept, about", "value": snapshot.tokens},
        ]
    for name in published(recipe, lake, "synth"):
        found.append({"name": f"rows kept of {name}", "value": lake.snapshot(name).kept})
    over_all = next((row for row in evaluations(lake, recipe) if row["domain"] == "all"), {})
    return found + [{"name": f"bits per byte, {of}", "value": value} for of, value in over_all.items() if of != "domain"]


def _samples(recipe: Recipe, lake: Lake) -> list[Row]:
    """A few kept documents of each judged dataset, and a few for each reason, masked and cut as its policy says."""
    groups = []
    for name in published(recipe, lake, "curate"):
        groups.append({"name": f"{name}: kept", "rows": [_short(row) for row in documents(lake, name, n=8)]})
        gone = lake.rows("SELECT reason, sum(documents) AS n FROM funnel WHERE dataset = ? AND step = 'dropped' GROUP BY ALL ORDER BY n DESC, reason", [name])
        for row in gone:
            groups.append({"name": f"{name}: dropped, {row['reason']}", "rows": [_short(r) for r in documents(lake, name, dropped=row["reason"], n=3)]})
    return [group for group in groups if group["rows"]]


def _short(row: Row) -> Row:
    text = printable(row.get("text") or "")
    return {
        "doc_id": row["doc_id"], "uri": printable(row.get("uri") or ""), "domain": row.get("domain") or "", "title": printable(row.get("title") or ""),
        "text": text[:SHOWN] + (f"\n… {len(text) - SHOWN:,} characters more" if len(text) > SHOWN else ""),
    }  # fmt: skip


def _generated(lake: Lake, part: Part) -> list[Row]:
    """Ten rows kept and ten dropped of a written dataset."""
    kept, gone = documents(lake, part.dataset, n=10), documents(lake, part.dataset, dropped="", n=10)
    return [
        {"name": f"{part.dataset}: {what}", "rows": [_written(row) for row in found]} for what, found in (("kept", kept), ("dropped", gone)) if found
    ]


def _written(row: Row) -> Row:
    verdict = "kept" if row.get("kept", True) else f"dropped, {row.get('reason')}"
    if row.get("chosen") is not None:
        asked = "\n".join(m["content"] for m in row["prompt"] or [])
        scores = row.get("scores") or {}
        body = [("prompt", asked), (f"chosen {figure(scores.get('chosen'))}", row["chosen"]), (f"rejected {figure(scores.get('rejected'))}", row["rejected"])]
    elif row.get("score") is not None:
        body = [(f"scored {figure(row['score'])}", row.get("text"))]
    else:
        body = [(m["role"], m["content"]) for m in row.get("messages") or []] or [("text", row.get("text"))]
    asked = next((text for label, text in body if text and label in ("user", "prompt")), row["doc_id"])
    return {"head": printable(asked.strip().rpartition("\n\n")[2][-200:]), "verdict": verdict, "body": [(label, printable(text or "")) for label, text in body]}


def mixtures(lake: Lake, recipe: Recipe) -> list[Row]:
    """Planned tokens by phase and source of the recipe's latest locks."""
    names = [part.name for part in recipe.parts if part.section in ("mix", "train")]
    latest = {row["mixture"]: row["lock"] for row in rows(lake, "mixture") if row["mixture"] in names}
    fields = ("mixture", "phase", "source", "weight", "tokens", "available", "epochs")
    return [{k: row[k] for k in fields} for row in rows(lake, "mixture_source", order="mixture, phase, source") if latest.get(row["mixture"]) == row["lock"]]


def trained(lake: Lake, recipe: Recipe) -> list[Row]:
    """One row a model of the recipe."""
    known = models(lake)
    fields = ("model", "act", "started_from", "parameters", "steps", "tokens", "seconds", "tokens_a_second", "loss_first", "loss_last")
    return [{k: known[p.name].get(k) for k in fields} for p in recipe.parts if p.section == "train" and p.name in known]


def evaluations(lake: Lake, recipe: Recipe) -> list[Row]:
    """Held-out bits per byte by domain, latest of each: the untrained model, the unigram table, the trained models in order."""
    names = [part.name for part in recipe.parts if part.section in ("train", "eval")]
    found = [r for r in rows(lake, "eval_result") if r["model"] in names and r["task"] == "bits_per_byte"]
    latest = {(r["domain"], r["of"]): r["value"] for r in sorted(found, key=lambda r: r["recorded"])}
    columns = sorted({of for _, of in latest}, key=lambda of: ("untrained", "unigram", *names).index(of))
    domains = sorted({domain for domain, _ in latest}, key=lambda domain: (domain != "all", domain))
    return [{"domain": domain, **{of: latest.get((domain, of)) for of in columns}} for domain in domains]


def sample(lake: Lake, recipe: Recipe) -> Row | None:
    """What the last tuned model says."""
    names = [part.name for part in recipe.parts if part.section in ("train", "eval")]
    found = [r for r in rows(lake, "eval_result") if r["task"] == "sample" and r["model"] in names]
    return {"model": found[-1]["model"], "text": printable(str(found[-1]["text"]))} if found else None


def _curves(recipe: Recipe, lake: Lake) -> list[Row]:
    """The curve of each model that the recipe trained."""
    found, known = [], models(lake)
    for part in recipe.parts:
        if part.section == "train" and part.name in known:
            metrics = Path(lake.root) / known[part.name]["run_folder"] / "metrics.jsonl"
            if metrics.is_file():
                from headrace.plots import curve  # matplotlib takes half a second, which a recipe without a picture does not owe

                found.append({"name": part.id, "svg": curve(part.id, metrics)})
    return found


def _flow(recipe: Recipe, lake: Lake) -> str | None:
    """Tokens landed and kept of the first judged dataset, by domain, as a picture."""
    judged = published(recipe, lake, "curate")[:1]
    rows_ = [row for row in funnel(recipe, lake) if row["dataset"] in judged and row["step"] in ("in", "kept")]
    domains = sorted({row["domain"] or "none" for row in rows_})
    tokens = {step: [sum(r["tokens"] or 0 for r in rows_ if (r["domain"] or "none") == d and r["step"] == step) for d in domains] for step in ("in", "kept")}
    if not rows_:
        return None
    from headrace.plots import bars

    return bars(f"{judged[0]}: tokens by domain", domains, {"landed": tokens["in"], "kept": tokens["kept"]})


def _lineage(recipe: Recipe, lake: Lake) -> list[Row]:
    edges = lake.rows(
        "SELECT l.dataset || '@v' || l.version AS made, l.source || '@v' || l.source_version AS \"from\", l.run FROM lineage l "
        "JOIN dataset d ON d.dataset = l.dataset AND d.head = l.version ORDER BY ALL"
    )
    mine = set(published(recipe, lake))
    found = [edge for edge in edges if edge["made"].partition("@")[0] in mine]
    for row in models(lake).values():
        found.append({"made": f"model {row['model']}", "from": f"{row['trained_on']}, started from {row['started_from']}", "run": row["run"]})
    return found


def _licences(recipe: Recipe, lake: Lake) -> list[Row]:
    """Documents and tokens by licence of what was judged and of what was written or trained from; of all there is where nothing was."""
    used = {need for part in recipe.parts if part.section in ("synth", "mix", "train") for need in part.needs}
    went = {part.dataset for part in recipe.parts if part.section == "curate" or part.id in used}
    found = []
    for name in [name for name in published(recipe, lake) if name in went] or published(recipe, lake):
        found += lake.rows(
            f'SELECT \'{name}\' AS dataset, domain, coalesce(license, \'unknown\') AS license, sum(documents)::BIGINT AS documents, '
            f'sum(tokens)::BIGINT AS tokens FROM stats."{name}" WHERE kept GROUP BY ALL ORDER BY tokens DESC'
        )
    return found
