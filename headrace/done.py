"""What of a recipe is done: a part that publishes a dataset by its snapshot's key, any other by its row in the table `task`."""

import os
from typing import Any

from catalog.errors import LakeError, near
from catalog.files import Snapshot
from catalog.lake import Lake
from catalog.parts import Part
from catalog.recipe import Recipe

Row = dict[str, Any]
PUBLISHING = ("ingest", "curate", "synth")


def rows(lake: Lake, table: str, where: str = "true", values: list[Any] | None = None, order: str = "recorded") -> list[Row]:
    """Return rows of an open table, none where no part has made it yet."""
    return lake.rows(f"SELECT * FROM main.{table} WHERE {where} ORDER BY {order}", values or []) if lake.has_table(table) else []


def finished(lake: Lake, key: str) -> Row | None:
    """Return the row of a finished part, or None. `output` is a snapshot's name or a folder relative to the lake."""
    snapshot = lake.has(key)
    if snapshot is not None:
        return {"key": key, "output": snapshot.name}
    found = [row for row in rows(lake, "task", "key = ?", [key]) if row.get("output")]
    return found[-1] if found else None


STANDS = """
SELECT count(*) AS others FROM dataset AS d JOIN snapshot AS s ON s.dataset = d.dataset AND s.version = d.head
JOIN run AS r ON r.run = s.run AND r.part = ? WHERE d.dataset = ? AND s.owner = ? AND s.key <> ?
"""


def stands(lake: Lake, recipe: Recipe, part: Part, key: str) -> bool:
    """Whether a part is done, and no other state of this very part has been published since.

    A recipe that was changed and changed back must show again what it says: the part publishes its earlier state once more.
    """
    row = finished(lake, key)
    if row is None or part.section not in PUBLISHING:
        return row is not None
    head = dataset(lake, part.dataset)                       # what brought nothing new is done with the head that it left
    return (head is not None and head.name == row["output"]) or not lake.rows(STANDS, [part.id, part.dataset, recipe.name, key])[0]["others"]


def finish(lake: Lake, recipe: Recipe, part: Part, key: str, run: str, output: str, tables: dict[str, list[Row]] | None = None) -> None:
    """Record that a part without a dataset is done, with what it has to say."""
    task = {"recipe": recipe.name, "part": part.id, "key": key, "output": output}
    lake.record({**(tables or {}), "task": [task]}, run)


def dataset(lake: Lake, name: str) -> Snapshot | None:
    """Return the snapshot that a name means, or None when there is no such dataset."""
    base = name.partition("@")[0].partition("/")[0]
    return lake.snapshot(name) if base in lake.datasets() else None


def source(lake: Lake, recipe: Recipe, part: Part, keys: dict[str, str], name: str) -> Snapshot:
    """Return the snapshot that a part reads under a name: that of the part which makes it, else the lake's."""
    for need in part.needs:
        above = recipe.part(need)
        if name in (above.name, above.dataset, above.id):
            row = finished(lake, keys[need])
            if row is None:
                raise LakeError(f"{part.id} needs {need}, which is not done")
            return lake.snapshot(row["output"])
    found = dataset(lake, name)
    if found is None:
        raise LakeError(f"{part.id}: the lake has no dataset {name!r}{near(name, lake.datasets())}")
    return found


def models(lake: Lake) -> dict[str, Row]:
    """Return the latest row of each trained model by name."""
    return {row["model"]: row for row in rows(lake, "model", "act <> 'quality'")}


def scorers(lake: Lake) -> dict[str, Row]:
    """Return the latest row of each model that a part of `quality:` fitted, by name."""
    return {row["model"]: row for row in rows(lake, "model", "act = 'quality'")}


def model(lake: Lake, name: str) -> Row:
    """Return a model's row: by its name, or the name of the part that trained it. Raises LakeError with the nearest name."""
    known = models(lake)
    row = known.get(name.removeprefix("train."))
    if row is None:
        raise LakeError(f"{lake.root}: no model {name!r}{near(name, known)}")
    return row


def model_folder(lake: Lake, name: str) -> str:
    """Return the transformers folder of a model, or the path itself when it is one."""
    if os.path.isfile(os.path.join(name, "config.json")):
        return os.path.abspath(name)
    return os.path.join(lake.root, model(lake, name)["folder"])
