"""What stages and policies read of datasets that the lake has and no part makes: refused before anything runs, as loading refuses it of parts."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from catalog import computed
from catalog.files import Snapshot
from catalog.lake import Lake
from catalog.offered import COPIES
from catalog.parts import Part, policy_names
from catalog.predicates import columns
from catalog.recipe import Recipe
from catalog.written import Lines, listed
from curate.policy import Policy, check, load, same_columns
from headrace.done import dataset


def refuse_unheld(recipe: Recipe, lake: Lake, todo: Sequence[Part]) -> None:
    """Raise RecipeError or PolicyError for the first part to do that reads what neither the lake's datasets have nor its own stages compute."""
    names = {name for part in recipe.parts if part.section == "curate" for name in part.lake_needs}
    found = {name: snapshot for name in sorted(names) if (snapshot := dataset(lake, name)) is not None}
    if not found:
        return
    lines = Lines(Path(recipe.path).read_text(encoding="utf-8"), recipe.path)
    computed.check(recipe.parts, recipe.policies, lines, {name: _has(snapshot) for name, snapshot in found.items()}, [part.id for part in todo])
    for part in todo:
        if part.section == "curate" and part.lake_needs and set(listed(part.given["from"])) <= set(found):
            _columns(part, recipe, [found[name] for name in part.lake_needs])


def _has(snapshot: Snapshot) -> set[str]:
    """The columns and the families of a dataset's documents, those that some files lack among them."""
    return {name for file in snapshot.files for name in (*(name for name, _ in file.columns), *(a.family for a in file.annotations))}


def _columns(part: Part, recipe: Recipe, snapshots: Sequence[Snapshot]) -> None:
    """Check all that a part's policies say of what it computes nothing of, as `check` will when the rest is there."""
    files = tuple({file.id: file for snapshot in snapshots for file in snapshot.files}.values())
    own = {stage.family for stage in part.stages} | ({COPIES} if part.bound else set())
    names = same_columns(files)
    for name in policy_names(part):
        check(_without(load(recipe.policies[name], Path(name).stem), own), names)


def _without(policy: Policy, own: set[str]) -> Policy:
    """A policy without what it says of families that a part computes itself; the verdict of a policy before it is one."""

    def elsewhere(paths: Sequence[str]) -> bool:
        families = {path.partition(".")[0] for path in paths}
        return not families & own and not any(family.startswith("verdict") for family in families)

    return replace(
        policy,
        drop=tuple(clause for clause in policy.drop if elsewhere(columns(clause.node))),
        keep=tuple(order for order in policy.keep if elsewhere(columns(order.node))),
        mask=tuple((spans, how) for spans, how in policy.mask if elsewhere([spans])),
        cut=tuple(spans for spans in policy.cut if elsewhere([spans])),
    )
