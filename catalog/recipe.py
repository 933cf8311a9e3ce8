"""A recipe: one YAML file that drives the river, as frozen dataclasses.

Loading refuses what it does not know, naming the file, the line and the nearest name; every name is found and every knob
is checked against the function it goes to before anything starts. Nothing here imports an engine.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from catalog.computed import check
from catalog.errors import RecipeError, near
from catalog.house import POLICY, policy_files
from catalog.house import policy_names as own_and_house
from catalog.ids import digest
from catalog.parts import LOOKS, SECTIONS, Part, policy_names, section_parts, under
from catalog.stage import Bound
from catalog.staged import Given
from catalog.written import Lines, known, listed, read_yaml, shaped

TOP = ("name", "seed", "lake", "spark", *SECTIONS)


@dataclass(frozen=True)
class Recipe:
    """A whole recipe, checked. Paths are absolute."""

    path: str
    name: str
    seed: int
    lake: str
    spark: Given | None
    parts: tuple[Part, ...]
    policies: dict[str, str] = field(default_factory=dict)

    def part(self, name: str) -> Part:
        for part in self.parts:
            if part.id == name:
                return part
        raise RecipeError(f"{self.path}: no part {name!r}{near(name, [p.id for p in self.parts])}")

    def digest(self, part: Part) -> str:
        """What a part is asked to do, as 16 hex digits: it changes when its text in the recipe, the seed or a package that it reads from does."""
        functions = [[b.path, b.version, b.knobs, *([b.packages] if b.packages else [])] for b in _bound(part)]
        text = json.dumps([part.section, part.name, part.given, functions], sort_keys=True, default=str)
        return digest(self.name, str(self.seed), text)

    def select(self, names: Sequence[str]) -> tuple[Part, ...]:
        """Return the parts that `--only` names (`curate.corpus`, or a section for all of it), in order."""
        if not names:
            return self.parts
        for name in names:
            if name not in SECTIONS:
                self.part(name)
        return tuple(p for p in self.parts if p.id in names or p.section in names)


def _bound(part: Part) -> list[Bound]:
    return [*part.bound, *(stage.bound for stage in part.stages)]


def load(path: str | os.PathLike[str], settings: Sequence[str] = (), lake: str | None = None) -> Recipe:
    """Read, check and resolve a recipe. `settings` are `part.key=value` overrides; `lake` overrides the recipe's."""
    file = Path(path)
    if not file.is_file():
        there = [str(p) for p in file.parent.glob("*.yaml")] if file.parent.is_dir() else []
        raise RecipeError(f"{path}: no such recipe{near(str(path), there)}")
    try:
        text = file.read_text(encoding="utf-8")
        raw = read_yaml(text)
        lines = Lines(text, str(path))
    except (UnicodeDecodeError, IsADirectoryError, PermissionError) as error:
        raise RecipeError(f"{path}: cannot be read as text in UTF-8: {error}") from None
    except RecursionError:
        raise RecipeError(f"{path}:1: nested deeper than can be read; is it a recipe?") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise RecipeError(f"{path}:{mark.line + 1 if mark else 1}: not YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(raw, dict):
        raise RecipeError(f"{path}:1: a recipe is a mapping with name, seed, lake and parts")
    for setting in settings:
        _set(raw, setting)
    known(raw, TOP, lines)
    for key in ("name", "seed", "lake"):
        if raw.get(key) is None:
            raise RecipeError(f"{path}:1: a recipe needs {key!r}")
    shaped(raw, {"name": "a word", "seed": "a whole number from 0", "lake": "a word", "spark": "a mapping"}, lines)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", raw["name"]):
        raise RecipeError(f"{lines.where('name')}name: {raw['name']!r}: use letters, digits, _ and -; runs have folders of this name")
    known(raw.get("spark") or {}, ("master", "conf"), lines, "spark")
    shaped(raw.get("spark") or {}, {"master": "a word", "conf": "a mapping"}, lines, "spark")
    folder = file.resolve().parent
    recipe = Recipe(
        path=str(path),
        name=str(raw["name"]),
        seed=raw["seed"],
        lake=os.path.abspath(lake) if lake else str((folder / str(raw["lake"])).resolve()),
        spark=raw.get("spark"),
        parts=(),
    )
    parts = [part for section in SECTIONS for part in section_parts(section, raw, lines, folder)]
    if not parts:
        raise RecipeError(f"{path}:1: no part: a recipe needs at least one of {', '.join(SECTIONS)}")
    _once(parts, lines)
    linked = [_link(part, parts, lines) for part in parts]
    policies = {name: _policy(name, folder, lines, p) for p in linked for name in policy_names(p)}
    check(linked, policies, lines)
    return replace(recipe, parts=tuple(_ordered(linked, lines)), policies=policies)


def _set(raw: Given, setting: str) -> None:
    """Apply `--set train.base.steps=10`; the value is YAML."""
    trail, equals, value = setting.partition("=")
    keys = trail.split(".")
    if not equals or not all(keys):
        raise RecipeError(f"--set {setting}: write part.key=value, such as train.base.steps=10")
    place: Any = raw
    for depth, key in enumerate(keys[:-1]):
        if not isinstance(place, dict) or key not in place:
            known = place if isinstance(place, dict) else ()
            raise RecipeError(f"--set {setting}: no {'.'.join(keys[: depth + 1])!r} in the recipe{near(key, known)}")
        place = place[key]
    if not isinstance(place, dict):
        raise RecipeError(f"--set {setting}: {'.'.join(keys[:-1])!r} has no keys")
    try:
        place[keys[-1]] = read_yaml(value)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {setting}: {value!r} is not YAML: {getattr(error, 'problem', error)}") from None


def _once(parts: Sequence[Part], lines: Lines) -> None:
    """Refuse two parts that publish one dataset: the second would take the place of the first, and each run undo the other."""
    made: dict[str, Part] = {}
    for part in parts:
        for name in part.publishes if part.section in ("ingest", "curate", "synth") else ():
            if (first := made.setdefault(name, part)) is not part:
                where = lines.where(part.section, part.name, "publish_as")
                raise RecipeError(f"{where}{first.id} and {part.id} both publish {name!r}; give one publish_as: another name")


def _link(part: Part, parts: Sequence[Part], lines: Lines) -> Part:
    """Find the parts that a part's names point to; what no part makes must be in the lake, or be a path."""
    needs: list[str] = []
    lake: list[str] = []
    models: list[str] = []
    for (section, key), places in LOOKS.items():
        if section != part.section or under(part.given, key) is None:
            continue
        at = (part.section, part.name, *key.split("."))
        for name in listed(under(part.given, key)):
            found = [p for p in parts if p.section in places and name in (p.name, p.dataset) and p.id != part.id]
            if len(found) > 1:
                raise RecipeError(f"{lines.where(*at)}{name!r} is ambiguous: {', '.join(p.id for p in found)}; write one as section.name")
            exact = [p for p in parts if p.id == name]
            needs += [p.id for p in (exact or found)]
            if not exact and not found:
                lake.append(str(name))
    fitted = [p for p in parts if p.section == "quality"]
    for stage, knob in [(one, knob) for one in part.stages for knob in one.models]:
        name = str(stage.bound.knobs[knob])
        made = [p.id for p in fitted if name in (p.name, p.id)]
        if not made and name.startswith("quality."):
            how = f"; a model of the lake goes by its name alone{near(name, [p.id for p in fitted])}"
            raise RecipeError(f"{stage.at}{stage.name}: {knob}: the recipe has no part {name!r}{how}")
        needs, models = needs + made, models if made else [*models, name]
    examined = [name for stage in part.stages for name in stage.against] + list(part.given.get("max_contamination", ()))
    needs += [p.id for name in examined for p in made_by(name, parts) if p.id != part.id]
    left = [name for name in examined if "*" in name or not made_by(name, parts)]
    return replace(
        part, needs=tuple(dict.fromkeys(needs)), lake_needs=tuple(lake), lake_models=tuple(dict.fromkeys(models)), benchmarks=tuple(dict.fromkeys(left))
    )


def made_by(name: str, parts: Sequence[Part]) -> list[Part]:
    """Return the parts that publish an evaluation set of this name, or whose dataset this pattern fits."""
    made = [p for p in parts if p.section in ("ingest", "curate", "synth")]
    return [p for p in made if fnmatchcase(p.dataset, name) or name in (p.name, p.id)]


def _ordered(parts: Sequence[Part], lines: Lines) -> Iterator[Part]:
    """Parts after what they need; among equals, the recipe's order."""
    left = list(parts)
    done: set[str] = set()
    while left:
        ready = next((p for p in left if done.issuperset(p.needs)), None)
        if ready is None:
            raise RecipeError(f"{lines.path}:{left[0].line}: {' and '.join(p.id for p in left)} need each other")
        left.remove(ready)
        done.add(ready.id)
        yield ready


def _policy(name: str, folder: Path, lines: Lines, part: Part) -> str:
    """A policy is a path, `policies/<name>.yaml` beside the recipe, or one of the house's own."""
    own, where = folder / "policies", lines.where(part.section, part.name, "policy")
    found = next((path for path in (folder / name, *policy_files(name, [own])) if path.is_file()), None)
    if found is None:
        raise RecipeError(f"{where}no policy {name!r} in {own} or among headrace's own{near(name, own_and_house([own]))}")
    plain = Path(name).stem
    if not re.fullmatch(POLICY, plain):                      # said now: the lake would refuse it when all is scored
        raise RecipeError(f"{where}{plain!r} is not a policy's name; call the file by lower-case letters, digits, _ and -")
    if [Path(other).stem.replace("-", "_") for other in policy_names(part)].count(plain.replace("-", "_")) > 1:
        raise RecipeError(f"{where}two policies are called {plain}; give one's file another name")
    return str(found)
