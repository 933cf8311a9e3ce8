"""What to do about a family of signals that is not there: the stage of headrace's own that computes it, else the nearest name that is."""

import ast
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from catalog.errors import near
from catalog.stage import HOUSE, find

COPIES = "dup"
"""The family that `dedup:` writes."""


def mend(family: str, there: Iterable[str], others: Sequence[str] = ()) -> str:
    """Return the end of an error line: `; add the stage X ...` where headrace has one for the family, else the nearest of those that are `there`.

    `others` are further families that are missing: their stages are named with the first one's.
    """
    if family == COPIES:
        return "; give the part that makes the dataset dedup:"
    if family not in stages():
        return near(family, there, 0.65)
    named = [" or ".join(stages()[one]) for one in (family, *others) if one in stages()]
    return f"; add the stage{'s' if named[1:] else ''} {', '.join(named)} to the part's stages"


@cache
def stages() -> dict[str, tuple[str, ...]]:
    """Return the names of headrace's own stages, as a recipe writes them, by the family that they write; read from the source alone."""
    found: dict[str, tuple[str, ...]] = {}
    for file in [*sorted((HOUSE / "curate").glob("*.py")), HOUSE / "catalog" / "trove.py"]:
        for name in _declared(file):
            family = find("curate", f"{file.stem}.{name}").family
            found[family] = (*found.get(family, ()), f"{file.stem}.{name}")
    return found


def _declared(file: Path) -> list[str]:
    text = file.read_text(encoding="utf-8")
    body = ast.parse(text).body if "\n@declares(" in text else []
    return [
        node.name for node in body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and node.name != "job"
        and any(isinstance(mark, ast.Call) and ast.unparse(mark.func) == "declares" for mark in node.decorator_list)
    ]  # fmt: skip


@cache
def copying() -> dict[str, str]:
    """Return the job of `dedup:` that adds a column to the family `dup`, by the column; read from the source alone."""
    found: dict[str, str] = {}
    for file in sorted((HOUSE / "curate").glob("*.py")):
        text = file.read_text(encoding="utf-8")
        body = ast.parse(text).body if "\n@declares(" in text and "\ndef job(" in text else []
        marks = [mark for node in body if isinstance(node, ast.FunctionDef) and node.name == "job" for mark in node.decorator_list]
        for adds in (keyword.value for mark in marks for keyword in getattr(mark, "keywords", []) if keyword.arg == "adds"):
            named = {target.id: node.value for node in body if isinstance(node, ast.Assign) for target in node.targets if isinstance(target, ast.Name)}
            given = named.get(adds.id) if isinstance(adds, ast.Name) else adds
            found |= {key.value: file.stem for key in getattr(given, "keys", []) if isinstance(key, ast.Constant) and isinstance(key.value, str)}
    return found
