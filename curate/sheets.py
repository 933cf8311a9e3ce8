"""Policy files: one read with those that it extends, and their clauses and parameters put together.

    extends: gopher                                          # a policy beside this file, or one of headrace's own; or a path
    extends: [{policy: fineweb, when: {domain: web}}, books] # several, each perhaps on a condition
    params: {min_words: 100}                                 # what $min_words stands for, here and in what is extended
    params: {min_words: {by: language.code, ja: 60, otherwise: 100}}   # the same by the value of a column
    fit: {least_score: {of: language.score, rule: median_deviation, low: 0.3, high: 0.9}}   # how `headrace policy fit` finds a parameter
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from catalog.errors import PolicyError, RecipeError, near
from catalog.house import policy_files, policy_names
from catalog.written import Lines, read_yaml
from curate.clauses import By, Clause, Removal, Value, condition, constant, literal, merged, parameter, under, worded, written

KEYS = ("drop", "keep", "mask", "cut", "extends", "params", "fit")
SHAPES = {"drop": "a mapping of reasons to predicates", "params": "a mapping of names to numbers and texts", "fit": "a mapping of parameters to rules"}
DEEPEST = 8
"""Policies that extend each other, one above the other."""

Given = tuple[Value, str]
"""A parameter's value and the place that gives it, for errors."""


@dataclass(frozen=True)
class Sheet:
    """One file as written, and the files that it extends."""

    path: str
    text: str
    given: dict[str, Any]
    lines: Lines
    parents: tuple["Parent", ...] = ()

    @property
    def name(self) -> str:
        return Path(self.path).stem

    def where(self, *trail: str) -> str:
        return self.lines.where(*trail)


@dataclass(frozen=True)
class Parent:
    """A policy that another extends, and where its clauses count (None: everywhere)."""

    sheet: Sheet
    when: Any
    where: str


def read(path: str | Path, above: tuple[Path, ...] = ()) -> Sheet:
    """Return a policy file with those that it extends. Raises PolicyError with file and line."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        lines = Lines(text, str(path))
        given = read_yaml(text)
    except (UnicodeDecodeError, OSError) as error:
        raise PolicyError(f"{path}: cannot be read as text in UTF-8: {error}") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise PolicyError(f"{path}:{line}: not YAML: {error.problem or error}") from None
    except RecipeError as error:  # a key that stands twice
        raise PolicyError(str(error)) from None
    given = {} if given is None else given
    if not isinstance(given, dict):
        raise PolicyError(f"{lines.where()}a policy is a mapping of {', '.join(KEYS)}")
    for key in given:
        if key not in KEYS:
            raise PolicyError(f"{lines.where(str(key))}unknown key {key!r}{near(str(key), KEYS)}")
    for key, what in SHAPES.items():
        if given.get(key) is not None and not isinstance(given[key], dict):
            raise PolicyError(f"{lines.where(key)}{key}: is {what}")
    sheet = Sheet(str(path), text, given, lines)
    return Sheet(str(path), text, given, lines, tuple(_parents(sheet, (*above, Path(path).resolve()))))


def texts(path: str | Path) -> list[str]:
    """Return the text of a policy file and of each that it extends: what its key is made of. Raises PolicyError."""
    return [sheet.text for sheet in sheets(read(path))]


def sheets(sheet: Sheet) -> Iterator[Sheet]:
    """Yield a policy file and each that it extends."""
    yield sheet
    for parent in sheet.parents:
        yield from sheets(parent.sheet)


def _parents(sheet: Sheet, above: tuple[Path, ...]) -> Iterator[Parent]:
    asked = sheet.given.get("extends")
    for i, one in enumerate(asked if isinstance(asked, list) else [] if asked is None else [asked]):
        at = f"{sheet.where('extends', str(i)) if isinstance(asked, list) else sheet.where('extends')}extends: "
        if isinstance(one, dict) and ("policy" not in one or set(one) - {"policy", "when"}):
            raise PolicyError(f"{at}takes a policy's name, or {{policy: NAME, when: ...}}, or a list of those")
        named = one if not isinstance(one, dict) else one["policy"]
        path = _found(worded(named, at), sheet, above, at)
        yield Parent(read(path, above), one.get("when") if isinstance(one, dict) else None, at)


def _found(name: str, sheet: Sheet, above: tuple[Path, ...], at: str) -> Path:
    """The file that a name means: one beside the sheet, or of the house's; a policy of the house's name may extend the house's."""
    beside = Path(sheet.path).parent
    a_path = "/" in name or name.endswith((".yaml", ".yml"))
    there = [path for path in [beside / name] if path.is_file()] if a_path else policy_files(name, [beside])
    if not there:
        known = [] if a_path else [one for one in policy_names([beside]) if one != sheet.name]
        raise PolicyError(f"{at}no policy {name!r}{near(name, known)}")
    fresh = [place for place in there if place.resolve() not in above]
    if not fresh:
        circle = [p.stem for p in above[above.index(there[0].resolve()) :]]
        raise PolicyError(f"{at}{' -> '.join([*circle, circle[0]])} is a circle")
    if len(above) > DEEPEST:
        raise PolicyError(f"{at}policies extend each other over {DEEPEST} deep")
    return fresh[0]


def assembled(sheet: Sheet, settings: Mapping[str, Any]) -> tuple[tuple[Clause, ...], dict[str, Value]]:
    """Return the clauses of a policy, resolved, in order, and what its parameters stand for.

    `settings` override parameters, as the command line does. Raises PolicyError with file and line.
    """
    given = {name: (constant(value, f"--set {name}: "), f"--set {name}: ") for name, value in settings.items()}
    drop, values = _assembled(sheet, given)
    for name in given:
        if name not in values:
            raise PolicyError(f"--set {name}: {sheet.name} has no parameter {name!r}{near(name, values)}")
    return drop, values


def _assembled(sheet: Sheet, outer: Mapping[str, Given]) -> tuple[tuple[Clause, ...], dict[str, Value]]:
    """The clauses of one sheet over those of its parents. `outer` are the parameters that whoever extends it gives."""
    own: dict[str, Given] = {}
    for name, value in (sheet.given.get("params") or {}).items():
        at = f"{sheet.where('params', str(name))}params: {name}: "
        own[str(name)] = (parameter(value, at), at)
    above: list[tuple[Parent, tuple[Clause, ...]]] = []
    values: dict[str, Value] = {}
    for parent in sheet.parents:
        clauses, theirs = _assembled(parent.sheet, {**own, **outer})
        above.append((parent, clauses))
        values = {**theirs, **values}
    values = {name: _same(outer[name], value) if name in outer else value for name, value in {**values, **{n: v for n, (v, _) in own.items()}}.items()}
    items = list(written(sheet.given.get("drop") or {}, sheet.where, values))
    drop = merged(_inherited(above, items, values), items)
    used = frozenset[str]().union(*(clause.uses for clause in drop))
    for name, (_, at) in own.items():
        if name not in used:
            raise PolicyError(f"{at}no clause uses ${name}{near(name, used)}")
    return drop, values


def _same(given: Given, declared: Value) -> Value:
    value, at = given
    if _text(value) != _text(declared):
        raise PolicyError(f"{at}{literal(value)} is {'text' if _text(value) else 'a number'}, and the parameter stands for {literal(declared)}")
    return value


def _text(value: Value) -> bool:
    return isinstance(value.cases[0][1] if isinstance(value, By) else value, str)


def _inherited(
    above: Sequence[tuple[Parent, tuple[Clause, ...]]], items: Sequence[Clause | Removal], values: Mapping[str, Value]
) -> list[Clause]:
    """The clauses of all parents, on their conditions. A reason of two parents is refused unless the policy itself says what counts."""
    said = {item.reason if isinstance(item, Clause) else item.name for item in items}
    found: dict[str, tuple[Clause, Parent]] = {}
    for parent, clauses in above:
        outer = condition(parent.when, f"{parent.where}when: ", values) if parent.when is not None else None
        for clause in clauses:
            other = found.get(clause.reason)
            if other and clause.reason not in said:
                names = f"{other[1].sheet.name} and {parent.sheet.name}"
                raise PolicyError(f"{parent.where}{names} both have a clause {clause.reason!r}; write the one that counts under drop:")
            found.setdefault(clause.reason, (under(clause, *outer) if outer else clause, parent))
    return [clause for clause, _ in found.values()]
