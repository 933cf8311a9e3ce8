"""Accept what a part made before as what it would make now, on the record: after a change that moves no result."""

import typer

from catalog.errors import LakeError, RecipeError
from catalog.lake import Lake
from catalog.parts import Part
from catalog.recipe import Recipe, load
from headrace.done import PUBLISHING, dataset, finished, rows
from headrace.jobs import new_job
from headrace.keys import part_keys, stand_in


def adopt_part(recipe_path: str, name: str, settings: tuple[str, ...], lake_path: str | None, lock_timeout: float) -> None:
    """Record a part's existing output under the key that the recipe gives it today."""
    recipe = load(recipe_path, settings, lake_path)
    part = recipe.part(name)
    with Lake.open(recipe.lake, lock_timeout=lock_timeout) as lake:
        key = part_keys(recipe, lake)[part.id]
        if finished(lake, key):
            typer.echo(f"{part.id} is done as it is; there is nothing to adopt")
            return
        output, made = _made(lake, recipe, part)
        job = new_job(recipe.lake, f"adopt-{part.name}", recipe_path)
        stand_in(lake, recipe, part, key, made, job.id)
        job.mark({part.id: "done"}).end("done")
    typer.echo(f"{part.id}: {output} is adopted; what reads it does not run again for this")


def _made(lake: Lake, recipe: Recipe, part: Part) -> tuple[str, str]:
    """Return what a part made last, by its name and by its key."""
    if part.section in PUBLISHING:
        head = dataset(lake, part.dataset)
        if head is not None and head.owner != recipe.name:
            raise RecipeError(f"{head.name} belongs to the recipe {head.owner!r}; only what {recipe.name!r} made can be adopted")
        found = [(head.name, head.key)] if head else []
    else:
        made = rows(lake, "task", "part = ? AND recipe = ?", [part.id, recipe.name])
        found = [(str(row["output"]), str(row["key"])) for row in made if row.get("output")]
    if not found:
        raise LakeError(f"{part.id} has made nothing in {recipe.lake} yet; run it")
    return found[-1]
