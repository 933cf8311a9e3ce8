"""What a run has to say at its end: the funnel, reasons, bits per byte, rows written, a sample, and where to look next."""

import shlex

from catalog.lake import Lake
from catalog.recipe import Recipe
from headrace.contamination import tell as contamination
from headrace.jobs import Job
from headrace.report import evaluations, funnel, published, reasons, sample, write_report
from headrace.tables import printable, table

LANDED = ("landed", "kept")


def tell(recipe: Recipe, lake: Lake, job: Job) -> None:
    """Print the summary of a run and write its report."""
    _funnel(recipe, lake)
    gone = [{k: row[k] for k in ("dataset", "reason", "domain", "documents")} for row in reasons(recipe, lake)]
    if gone:
        table(gone, title="\ndocuments that went, by reason")
    measured = evaluations(lake, recipe)
    if measured:
        table(measured, title="\nheld-out bits per byte")
    for name in published(recipe, lake, "synth"):
        snapshot = lake.snapshot(name)
        print(f"\n{name}: {snapshot.kept:,} rows kept, {snapshot.rows - snapshot.kept:,} dropped")
    said = sample(lake, recipe)
    if said:
        print(f"\na sample of {said['model']}:\n{printable(said['text'])}")
    if said_of := contamination(lake, published(recipe, lake, "curate"), job.folder):
        print(f"\n{said_of}")
    report = write_report(recipe, lake, job.id, job.folder)
    _next(recipe, lake)
    print(f"\nreport: {report}\nlake:   {lake.root}")


def _funnel(recipe: Recipe, lake: Lake) -> None:
    rows = [row for row in funnel(recipe, lake) if row["step"] in LANDED]
    if rows:
        table(rows, title="funnel: what landed, and what the policy keeps")


def _next(recipe: Recipe, lake: Lake) -> None:
    """Three questions to try, over what this recipe made."""
    judged = published(recipe, lake, "curate")
    name = judged[0] if judged else (published(recipe, lake) or [""])[0]
    if not name:
        return
    quoted = name if name.isidentifier() else f'\\"{name}\\"'
    where = f"headrace sql --lake {shlex.quote(str(lake.root))}"
    print("\ntry:")
    print(f'  {where} "SELECT reason, count(*) AS n FROM audit.{quoted} GROUP BY ALL ORDER BY n DESC"')
    print(f'  {where} "SELECT domain, license, sum(tokens) AS tokens FROM stats.{quoted} WHERE kept GROUP BY ALL ORDER BY tokens DESC"')
    print(f'  {where} "SELECT uri, title, length(text) AS characters FROM data.{quoted} ORDER BY characters DESC LIMIT 5"')
