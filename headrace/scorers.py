"""What a stage's models and files are, as digests: a model may be a part of `quality:`, a model of the lake, or a path; a list is a file."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from catalog.contaminated import EXAMINED, KNOBS
from catalog.errors import InputError, RecipeError, near
from catalog.lake import Lake
from catalog.models import STORED, unfit
from catalog.parts import Part
from catalog.recipe import Recipe
from catalog.stage import MODELS
from catalog.staged import Stage
from curate.listed.files import located
from curate.listed.promised import digest_of_file
from headrace.benchmarks import indexed, of_lake
from headrace.done import finished, scorers


def digest_of(path: str) -> str:
    """Return what tells a model from others: the digest in its model.json, or of a file (ARPA) that of its bytes. Raises InputError."""
    file = Path(path) / "model.json" if Path(path).is_dir() else Path(path)
    try:
        state = file.stat()
        return _digest(str(file), state.st_mtime_ns, state.st_size)
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no model of ours"
        raise InputError(f"{path}: no model can be read there: {why}") from None


@lru_cache(maxsize=64)
def _digest(file: str, _changed: int, _size: int) -> str:
    if file.endswith("model.json"):
        return str(json.loads(Path(file).read_text(encoding="utf-8"))["digest"])
    return digest_of_file(file)


def model_key(lake: Lake, name: str, recipe: Recipe, part: Part) -> str:
    """Return the digest of a model that no part of the recipe makes. Raises RecipeError, with what to do."""
    if "/" in name:
        return digest_of(name)
    known = scorers(lake)
    if name not in known:
        made = [p.name for p in recipe.parts if p.section == "quality"]
        how = f"add it under `quality:`, or `headrace train-quality {name}`; {MODELS}"
        raise RecipeError(f"{recipe.path}:{part.line}: {part.id}: there is no model {name!r}{near(name, [*made, *known])}: {how}")
    return str(known[name]["digest"])


def standing(recipe: Recipe, lake: Lake, part: Part) -> list[str]:
    """Return what tells the models and evaluation sets that no part makes, and the files, that a part names from others of these names."""
    where = f"{recipe.path}:{part.line}: {part.id}: "
    _refuse_kinds(part, lake)
    sets = [f"{snapshot.dataset} {snapshot.key}" for snapshot in of_lake(recipe, lake, part).values()]
    return [*sets, *(model_key(lake, name, recipe, part) for name in part.lake_models), *(told for stage in part.stages for told in _files_key(stage, where))]


def _refuse_kinds(part: Part, lake: Lake) -> None:
    """Refuse models that no part makes and a stage cannot use: the stage itself would, when all before it is done."""
    named = [(stage, knob, name) for stage in part.stages for knob in stage.models if (name := str(stage.bound.knobs[knob])) in part.lake_models]
    known = scorers(lake) if named else {}
    for stage, knob, name in named:
        kind = _kind_at(name) if "/" in name else known.get(name, {}).get("kind")
        if kind and (why := unfit(str(kind), stage.kinds)):
            raise RecipeError(f"{stage.at}{stage.name}: {knob}: {name} {why}")


def _kind_at(path: str) -> str | None:
    """The kind of the model at a path, a file being ARPA; None where it cannot be told, which `digest_of` says."""
    if not Path(path).is_dir():
        return "language_model" if Path(path).is_file() else None
    try:
        return STORED.get(json.loads((Path(path) / "model.json").read_text(encoding="utf-8"))["kind"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _files_key(stage: Stage, where: str) -> list[str]:
    return [f"{knob} {_stands(stage.bound.knobs[knob], _digests(stage, knob, f'{where}{stage.name}'))}" for knob in stage.files]


def _digests(stage: Stage, knob: str, who: str) -> dict[str, str]:
    """Return the digests of the files that a knob names, by their names."""
    return {path: digest_of(str(located(path, who))) for path in _named(stage.bound.knobs[knob]).values() if isinstance(path, str)}


def _named(given: Any) -> Mapping[str, Any]:
    return given if isinstance(given, Mapping) else {"": given}


def _stands(given: Any, digests: Mapping[str, str]) -> str:
    """Return what stands for a knob that names files: digests in their place. Words that are written in the recipe itself stay."""
    return json.dumps({key: digests[path] if isinstance(path, str) else path for key, path in _named(given).items()}, sort_keys=True)


def resolved(stage: Stage, part: Part, recipe: Recipe, lake: Lake, keys: dict[str, str]) -> Stage:
    """Return a stage whose models and evaluation sets are folders, with their digests and those of its files in its address: workers are promised these."""
    knobs, stands = dict(stage.bound.knobs), []
    promised: dict[str, str] = {}
    for knob in stage.files:
        digests = _digests(stage, knob, stage.name)
        stands.append((knob, _stands(knobs[knob], digests)))
        promised |= digests
    for knob in stage.models:
        folder = _folder(str(knobs[knob]), part, recipe, lake, keys)
        knobs[knob], promised[folder] = folder, digest_of(folder)
        stands.append((knob, promised[folder]))
    told = []
    for knob in stage.benchmarks:
        folder, examined = indexed(recipe, lake, part, keys, stage)
        knobs[knob], promised[folder] = folder, digest_of(folder)
        stands.append((knob, promised[folder]))
        asked = {name: knobs[name] for name in (*KNOBS, *(["soft_at"] if knobs.get("soft") else [])) if name in knobs}
        told.append((EXAMINED, json.dumps([{**one, **asked} for one in examined])))
    return replace(stage, bound=replace(stage.bound, knobs=knobs), told=tuple(told), stands=tuple(stands), promised=tuple(promised.items()))


def _folder(name: str, part: Part, recipe: Recipe, lake: Lake, keys: dict[str, str]) -> str:
    for need in part.needs:
        above = recipe.part(need)
        if above.section == "quality" and name in (above.name, above.id):
            row = finished(lake, keys[need])
            assert row is not None, "a part runs after what it needs"
            return str(lake.root / row["output"] / "model")
    return name if "/" in name else str(lake.root / scorers(lake)[name]["folder"])
