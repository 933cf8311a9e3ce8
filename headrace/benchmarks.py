"""Evaluation sets by their names: what a recipe's patterns mean among its own parts and in the lake, and the index of those that a stage names."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, NoReturn

import polars as pl

from catalog.errors import RecipeError, near
from catalog.files import Snapshot, read
from catalog.ids import digest
from catalog.lake import Lake
from catalog.mixes import BENCHMARKS
from catalog.parts import Part
from catalog.recipe import Recipe, made_by
from catalog.snapshots import verdict_of
from catalog.staged import Stage
from headrace.done import dataset, source

SHAPES = ("item", "document")
"""What an evaluation set holds: items, or documents whose text is the question and which have no answer."""


def sets(lake: Lake) -> list[str]:
    """Return the names of the lake's datasets that may be evaluation sets."""
    found = lake.rows("SELECT dataset, shape FROM dataset ORDER BY dataset") if lake.datasets() else []
    return [str(row["dataset"]) for row in found if row["shape"] in SHAPES]


def registered(lake: Lake) -> dict[str, Snapshot]:
    """Return the evaluation sets that a lake holds, their newest versions by name."""
    return {name: lake.snapshot(name) for name in sets(lake) if fnmatchcase(name, BENCHMARKS)}


def of_lake(recipe: Recipe, lake: Lake, part: Part) -> dict[str, Snapshot]:
    """Return the evaluation sets that a part names and no part of its recipe makes, by name. Raises RecipeError for a name that means nothing."""
    if not part.benchmarks:
        return {}
    own, there = {p.dataset for p in recipe.parts}, sets(lake)
    found: dict[str, Snapshot] = {}
    for name in part.benchmarks:
        fitting = [one for one in there if fnmatchcase(one, name) and one not in own] if "*" in name else [name]
        if not fitting and not made_by(name, recipe.parts):
            _unknown(name, recipe, part, there)
        for one in fitting:
            snapshot = dataset(lake, one)
            if snapshot is None or snapshot.shape not in SHAPES:
                _unknown(one, recipe, part, there)
            found[snapshot.dataset] = snapshot
    return dict(sorted(found.items()))


def _unknown(name: str, recipe: Recipe, part: Part, there: Sequence[str]) -> NoReturn:
    made = [p.dataset for p in recipe.parts if p.section == "ingest"]
    where = f"{recipe.path}:{part.line}: {part.id}: "
    what = f"no evaluation set {name!r} in the recipe or the lake{near(name, [*made, *there])}"
    raise RecipeError(f"{where}{what}; bring one in: ingest: {{gsm8k: {{items: {{paths: [FILE]}}, publish_as: bench.gsm8k}}}}")


def named(recipe: Recipe, lake: Lake, part: Part, keys: dict[str, str], names: Sequence[str]) -> dict[str, Snapshot]:
    """Return the evaluation sets that some of a part's names mean, those of the recipe's own parts as these published them."""
    made = {p.id: p for name in names for p in made_by(name, recipe.parts) if p.id != part.id}
    found = {p.dataset: source(lake, recipe, part, keys, p.id) for p in made.values()}
    others = {name: one for name, one in of_lake(recipe, lake, part).items() if any(fnmatchcase(name, n) or n.partition("@")[0] == name for n in names)}
    return dict(sorted({**others, **found}.items()))


def indexed(recipe: Recipe, lake: Lake, part: Part, keys: dict[str, str], stage: Stage) -> tuple[str, list[dict[str, Any]]]:
    """Return the folder of the index of a stage's evaluation sets, built where nobody has yet, and what it says of them."""
    from curate.bench.index import Benchmark, about, build, known, there  # numba: not for every start of the front door

    snapshots = named(recipe, lake, part, keys, stage.against)
    if not snapshots:
        raise RecipeError(f"{stage.at}{stage.name}: against: {', '.join(stage.against)} names no evaluation set")
    folder = str(lake.root / "models" / f"benchmarks-{digest(known({name: snapshot.key for name, snapshot in snapshots.items()}))}")
    if not there(folder):
        build([Benchmark(name, one.key, one.version, items(one)) for name, one in snapshots.items()], folder)
    return folder, about(folder)


def items(snapshot: Snapshot) -> pl.DataFrame:
    """Return the items of an evaluation set that its policy keeps: doc_id, text, answer (null where it has none)."""
    frames = [pl.DataFrame(schema={"doc_id": pl.String, "text": pl.String, "answer": pl.String})]
    verdict = verdict_of(snapshot)
    for file in snapshot.files:
        answered = "answer" in [name for name, _ in file.columns]
        judged = verdict in [a.family for a in file.annotations]
        rows = read(file, ["doc_id", "text", *(["answer"] if answered else [])], [verdict] if judged else [])
        rows = rows.filter(pl.col(verdict).struct.field("kept")) if judged else rows
        frames.append(rows.select("doc_id", "text", pl.col("answer") if answered else pl.lit(None, pl.String).alias("answer")))
    return pl.concat(frames)


def bounds(recipe: Recipe, lake: Lake, part: Part, keys: dict[str, str]) -> tuple[dict[str, float], dict[str, str]]:
    """Return the bound of each evaluation set that a mixture's max_contamination: means, and the key of its newest version.

    A name goes before a pattern, and of patterns the first: a set may be named as a dataset or as the part that makes it. Raises RecipeError for a set
    that two names bound otherwise, and for a name that means none.
    """
    said: dict[str, tuple[str, float]] = {}
    found: dict[str, Snapshot] = {}
    for name, bound in sorted(part.given["max_contamination"].items(), key=lambda one: "*" in one[0]):
        for dataset_name, snapshot in named(recipe, lake, part, keys, [name]).items():
            other, share = said.setdefault(dataset_name, (name, bound))
            found[dataset_name] = snapshot
            if share != bound and "*" not in name:
                raise RecipeError(f"{recipe.path}:{part.line}: {part.id}: max_contamination: {other} and {name} are both {dataset_name}; bound it once")
    return {name: said[name][1] for name in sorted(found)}, {name: found[name].key for name in sorted(found)}
