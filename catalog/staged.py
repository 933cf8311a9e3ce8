"""One stage of a curate part as a recipe writes it: the function, its knobs, and what the runner itself takes from them."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.errors import RecipeError
from catalog.predicates import columns, parse
from catalog.stage import Bound, bind, find
from catalog.written import Lines, listed, word

Given = dict[str, Any]
TAKEN = (
    "doc_id", "uri", "host", "domain", "dump", "title", "author", "date", "license", "lang", "confidence", "origin_hash", "text", "source", "facts", "media",
    "modality", "gen", "messages", "prompt", "chosen", "rejected", "scores", "score", "answer", "kept", "reason", "dup",
)  # fmt: skip
"""Names that rows and jobs have already."""
ENDINGS = (".arpa", ".gz")
"""What ends the names of model files."""


@dataclass(frozen=True)
class Stage:
    """One stage of a curate part: the function, its knobs, the family it writes, where it runs, behind which cuts, and which time it is forced.

    `models`, `files` and `benchmarks` are the knobs that name such; `stands` is what stands for knobs in the address: digests, not paths; `promised`
    are the same digests by the paths, for the worker who reads what lies there; `told` is written beside the columns, for who reads them. `at` is its
    place in the recipe, for errors; `reads` are the columns that it reads and `kinds` those of the models that it can use, as far as its source tells.
    """

    name: str
    bound: Bound
    family: str
    where: str | None
    again: str = ""
    models: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    stands: tuple[tuple[str, str], ...] = ()
    promised: tuple[tuple[str, str], ...] = ()
    after: tuple[str, ...] = ()
    at: str = ""
    reads: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    benchmarks: tuple[str, ...] = ()
    told: tuple[tuple[str, str], ...] = ()

    @property
    def against(self) -> list[str]:
        """The evaluation sets that its knobs name, patterns among them, as a recipe writes them."""
        return [str(name) for knob in self.benchmarks for name in listed(self.bound.knobs[knob])]


def stage(item: Any, i: int, part: str, lines: Lines, folder: Path) -> Stage:
    at = lines.where("curate", part, "stages", str(i))
    if isinstance(item, str):
        item = {item: {}}
    if not isinstance(item, dict) or len(item) != 1:
        raise RecipeError(f"{at}a stage is a name, or one name with its knobs")
    name, knobs = next(iter(item.items()))
    knobs = knobs_of(knobs, name, at)
    where, family, after = knobs.pop("where", None), knobs.pop("family", None), listed(knobs.pop("after", None))
    target = find("curate", str(name), at)
    predicate(where, at)
    if family is not None and (not word(family) or not re.fullmatch(r"[a-z][a-z0-9_]*", family) or family in TAKEN or family.startswith("verdict")):
        raise RecipeError(f"{at}family: {family!r} cannot be one; use lower-case letters, digits and _, and none of a document's columns")
    if not all(word(cut) and re.fullmatch(r"[a-z]\w*\.[a-z]\w*", cut) for cut in after):
        raise RecipeError(f"{at}after: {after!r}; name spans that a stage before it writes, such as [c4.cuts]")
    kinds = {knob: kind.partition(" |")[0] for knob, kind in target.types.items()}
    wanted = (("ModelName",), ("File", "Files"), ("Benchmarks",))
    bound = bind(target, _placed(knobs, kinds, folder), at)
    models, files, benchmarks = (tuple(knob for knob, kind in kinds.items() if kind in some and bound.knobs[knob] is not None) for some in wanted)
    named = bound.knobs.get(target.reads_of)
    reads = (*target.reads, *(map(str, named.values()) if isinstance(named, dict) else ()), *after, *(columns(parse(where)) if where else ()))
    return Stage(
        str(name), bound, family or target.family, where, models=models, files=files, after=tuple(after), at=at, reads=reads, kinds=target.models,
        benchmarks=benchmarks,
    )  # fmt: skip


def _placed(knobs: Given, kinds: Mapping[str, str], folder: Path) -> Given:
    """Return knobs with the paths of files and models made absolute, from the recipe's folder; `PACKAGE:PATH` and a model's name stay as they are.

    `quality.NAME` is the name of a part of the recipe, unless such a file is there or its ending says that it is one.
    """

    def file(name: Any) -> Any:
        inside = not isinstance(name, str) or (":" in name and not (folder / name).exists())
        return name if inside else os.path.normpath(folder / name)

    def part(name: str) -> bool:
        return bool(re.fullmatch(r"quality\.[a-z][a-z0-9_]*", name)) and not name.endswith(ENDINGS) and not (folder / name).exists()

    def placed(kind: str, value: Any) -> Any:
        if kind == "Files" and isinstance(value, dict):
            return {key: file(path) for key, path in value.items()}
        if kind == "File" or (kind == "ModelName" and word(value) and re.search(r"[/.]", value) and not part(value)):
            return file(value)
        return value

    return {name: placed(kinds.get(name, ""), value) for name, value in knobs.items()}


def knobs_of(given: Any, name: Any, at: str) -> Given:
    """Return the knobs that are written under a name: a mapping, or nothing."""
    if given is not None and not isinstance(given, dict):
        raise RecipeError(f"{at}{name}: {given!r} is not a mapping of knobs; write {name}: {{}} for the defaults")
    return dict(given or {})


def predicate(where: Any, at: str) -> None:
    """Refuse a `where:` that is not the policies' SQL before anything starts; its names are known once the data is there."""
    if where is None:
        return
    if not isinstance(where, str):
        raise RecipeError(f"{at}where: {where!r} is not a predicate; write it as in a policy, such as domain = 'web'")
    parse(where, f"{at}where: ")
