"""The clauses of a policy as people write them: alone or in groups, on a condition, with parameters and the source they are from.

    drop:
      foreign_language: "language.code <> 'en'"                                    # a clause: its reason and its predicate
      too_short: {if: gopher.n_words < $min_words, cite: "Rae et al. 2021"}
      repetition:                                                                  # a group: what it says counts for each of its clauses
        when: {domain: web}
        cite: "Rae et al. 2021, table A1"
        clauses:
          dup_lines: gopher.dup_line_frac > 0.3
      symbols: null                                                                # takes out a clause or a group of the policy that this one extends
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from catalog.errors import PolicyError, near
from catalog.predicates import Node, parse

DUPLICATE = "duplicate"
SEEN = "seen"
"""The reason of a copy that is not the one that stays; no clause may take this name."""
NAME = r"[a-z][a-z0-9_]*"
ONE, GROUP = ("if", "when", "cite"), ("clauses", "when", "cite")
PARAMETER = re.compile(r"'(?:[^']|'')*'|\$([A-Za-z_]\w*)")
"""A string, which is left as it is, or a parameter."""

Where = Callable[..., str]


@dataclass(frozen=True)
class By:
    """A parameter's value by another column's: `{by: language.code, de: 0.7, ja: 0.4, otherwise: 0.8}`. Without `otherwise` it is NULL elsewhere."""

    column: str
    cases: tuple[tuple[str, "int | float | str"], ...]
    otherwise: "int | float | str | None" = None

    @property
    def plain(self) -> dict[str, Any]:
        return {"by": self.column, **dict(self.cases), **({} if self.otherwise is None else {"otherwise": self.otherwise})}


Value = int | float | str | By


@dataclass(frozen=True)
class Condition:
    """A `when:` with its parameters filled in. `where` is its place in a file, for errors."""

    text: str
    node: Node
    where: str


@dataclass(frozen=True)
class Clause:
    """One reason and the predicate that gives it, conditions and all. `where` is its place in the file, for errors.

    `uses` names the parameters that it was written with.
    """

    reason: str
    text: str
    node: Node
    where: str
    cite: str = ""
    group: str = ""
    conditions: tuple[Condition, ...] = ()
    uses: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Removal:
    """A clause or a group of a parent that a policy does without."""

    name: str
    where: str


def written(given: Mapping[str, Any], where: Where, values: Mapping[str, Value]) -> Iterator[Clause | Removal]:
    """Yield what stands under `drop:`, in order. `where` gives the place of a trail of keys, `values` what parameters stand for.

    Raises PolicyError with file and line.
    """
    for key, value in given.items():
        name, trail = str(key), ("drop", str(key))
        if isinstance(value, dict) and "clauses" in value:
            yield from _group(name, value, trail, where, values)
        else:
            yield _one(name, value, trail, where, values)


def _group(name: str, given: dict[str, Any], trail: tuple[str, ...], where: Where, values: Mapping[str, Value]) -> Iterator[Clause | Removal]:
    _named(name, where(*trail))
    _keyed(given, GROUP, trail, where)
    if not isinstance(given["clauses"], dict) or not given["clauses"]:
        raise PolicyError(f"{where(*trail, 'clauses')}{name}: clauses: is a mapping of reasons to predicates")
    outer, cite = _condition(given, name, trail, where, values), _cite(given, name, trail, where)
    for key, value in given["clauses"].items():
        if isinstance(value, dict) and "clauses" in value:
            raise PolicyError(f"{where(*trail, 'clauses', str(key))}{key}: a group holds clauses, not groups")
        clause = _one(str(key), value, (*trail, "clauses", str(key)), where, values)
        if isinstance(clause, Clause):
            clause = replace(under(clause, *outer) if outer else clause, group=name, cite=clause.cite or cite)
        yield clause


def _one(name: str, given: Any, trail: tuple[str, ...], where: Where, values: Mapping[str, Value]) -> Clause | Removal:
    at = where(*trail)
    _named(name, at)
    at = f"{at}{name}: "
    if given is None:
        return Removal(name, at)
    if not isinstance(given, dict):
        return _clause(name, given, at, values)
    _keyed(given, ONE, trail, where)
    if "if" not in given:
        raise PolicyError(f"{at}takes if: and a predicate, or clauses: and those of a group")
    clause = replace(_clause(name, given["if"], f"{where(*trail, 'if')}{name}: ", values), cite=_cite(given, name, trail, where))
    condition = _condition(given, name, trail, where, values)
    return under(clause, *condition) if condition else clause


def _clause(name: str, given: Any, at: str, values: Mapping[str, Value]) -> Clause:
    text, uses = filled(worded(given, at), values, at)
    return Clause(name, text, parse(text, at), at, uses=uses)


def _named(name: str, at: str) -> None:
    if not re.fullmatch(NAME, name):
        raise PolicyError(f"{at}{name!r} is no reason's name; use small letters, digits and _")
    if name in (DUPLICATE, SEEN):
        raise PolicyError(f"{at}{name!r} is what copies are dropped for; give the clause another name")


def _keyed(given: dict[str, Any], keys: Sequence[str], trail: tuple[str, ...], where: Where) -> None:
    for key in given:
        if key not in keys:
            raise PolicyError(f"{where(*trail, str(key))}{trail[-1]}: unknown key {key!r}{near(str(key), keys)}")


def _cite(given: dict[str, Any], name: str, trail: tuple[str, ...], where: Where) -> str:
    if given.get("cite") is None:
        return ""
    return " ".join(worded(given["cite"], f"{where(*trail, 'cite')}{name}: cite: ").split())


def _condition(
    given: dict[str, Any], name: str, trail: tuple[str, ...], where: Where, values: Mapping[str, Value]
) -> tuple[Condition, frozenset[str]] | None:
    if given.get("when") is None:
        return None
    return condition(given["when"], f"{where(*trail, 'when')}{name}: when: ", values)


def condition(given: Any, at: str, values: Mapping[str, Value]) -> tuple[Condition, frozenset[str]]:
    """Return a `when:`, a predicate or a mapping such as `{domain: [web, books]}`, and the parameters that it uses."""
    text, uses = filled(_equals(given, at) if isinstance(given, dict) else worded(given, at), values, at)
    return Condition(text, parse(text, at), at), uses


def _equals(given: dict[str, Any], at: str) -> str:
    """`{domain: web, dup.size: [1, 2]}` as a predicate."""
    if not given:
        raise PolicyError(f"{at}is a predicate, or columns and the values that they must have, such as {{domain: web}}")
    terms = []
    for column, value in given.items():
        if not re.fullmatch(rf"{NAME}(\.{NAME})*", str(column)):
            raise PolicyError(f"{at}{column!r} is no column's name; write {{domain: web}}, or a predicate in quotes")
        many = [_constant(one, f"{at}{column}: ") for one in (value if isinstance(value, list) else [value])]
        if not many:
            raise PolicyError(f"{at}{column}: an empty list is true of no document")
        terms.append(f"{column} = {many[0]}" if len(many) == 1 else f"{column} IN ({', '.join(many)})")
    return " AND ".join(terms)


def _constant(value: Any, at: str) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    return value if isinstance(value, str) and re.fullmatch(r"\$[A-Za-z_]\w*", value) else literal(constant(value, at))


def under(clause: Clause, outer: Condition, uses: frozenset[str] = frozenset()) -> Clause:
    """Return a clause that counts only where one more condition is true."""
    text = f"{_operand(outer.text, outer.node)} AND {_operand(clause.text, clause.node)}"
    return replace(clause, text=text, node=parse(text, clause.where), conditions=(outer, *clause.conditions), uses=clause.uses | uses)


def _operand(text: str, node: Node) -> str:
    return f"({text})" if node.op == "or" else text


def worded(value: Any, at: str) -> str:
    """Return a value that must be text. Raises PolicyError."""
    if not isinstance(value, str) or not value.strip():
        raise PolicyError(f"{at}{value!r} is not text; put it in quotes")
    return value


def constant(value: Any, at: str) -> int | float | str:
    """Return a value that must be a finite number or text; a day that YAML reads as a date is text. Raises PolicyError."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool) or not isinstance(value, int | float | str) or (isinstance(value, float) and not math.isfinite(value)):
        raise PolicyError(f"{at}{value!r} is neither a number nor text")
    return value


def parameter(value: Any, at: str) -> Value:
    """Return a parameter's value: a number or text, or those by another column's. Raises PolicyError."""
    if not isinstance(value, dict):
        return constant(value, at)
    column = value.get("by")
    if not isinstance(column, str) or not re.fullmatch(rf"{NAME}(\.{NAME})*", column):
        raise PolicyError(f"{at}is a number or text, or {{by: COLUMN, VALUE: ..., otherwise: ...}} such as {{by: language.code, de: 0.7, otherwise: 0.8}}")
    cases = [(key, constant(one, f"{at}{key}: ")) for key, one in value.items() if key not in ("by", "otherwise")]
    wrong = next((key for key, _ in cases if not isinstance(key, str)), None)
    if wrong is not None:
        raise PolicyError(f"{at}{wrong!r} is no text; put it in quotes")
    otherwise = constant(value["otherwise"], f"{at}otherwise: ") if value.get("otherwise") is not None else None
    kinds = {isinstance(one, str) for one in [one for _, one in cases] + ([] if otherwise is None else [otherwise])}
    if not cases or len(kinds) > 1:
        raise PolicyError(f"{at}{'numbers and texts stand side by side' if cases else f'no value of {column} has one'}")
    return By(column, tuple((str(key), one) for key, one in cases), otherwise)


def literal(value: Value) -> str:
    """Return a number or a text as the policies' SQL writes it; by another column's values, a CASE."""
    if isinstance(value, By):
        cases = " ".join(f"WHEN {value.column} = {literal(key)} THEN {literal(one)}" for key, one in value.cases)
        return f"CASE {cases}{'' if value.otherwise is None else f' ELSE {literal(value.otherwise)}'} END"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)


def filled(text: str, values: Mapping[str, Value], at: str) -> tuple[str, frozenset[str]]:
    """Return a predicate with each `$name` outside its strings replaced by its value, and the names. Raises PolicyError."""
    names: set[str] = set()

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return found[0]
        if name not in values:
            raise PolicyError(f"{at}no parameter {name!r}{near(name, values) or '; give it a value under params:'}")
        names.add(name)
        return literal(values[name])

    return PARAMETER.sub(value, text), frozenset(names)


def merged(inherited: Sequence[Clause], own: Sequence[Clause | Removal]) -> tuple[Clause, ...]:
    """Return a parent's clauses with a policy's own: one of the same reason stands in the parent's place, new ones come after.

    Raises PolicyError for a reason that stands twice and for taking out what is not there.
    """
    new = {clause.reason: clause for clause in own if isinstance(clause, Clause)}
    gone = {item.name: item for item in own if isinstance(item, Removal)}
    for i, item in enumerate(own):
        name = item.reason if isinstance(item, Clause) else item.name
        if name in [other.reason if isinstance(other, Clause) else other.name for other in own[:i]]:
            raise PolicyError(f"{item.where}stands twice; keep one")
    there = {clause.reason for clause in inherited} | {clause.group for clause in inherited if clause.group}
    for name, item in gone.items():
        if name not in there:
            raise PolicyError(f"{item.where}no clause or group {name!r} to take out{near(name, there) or '; write a predicate'}")
    left = [clause for clause in inherited if clause.reason not in gone and (clause.group not in gone or clause.reason in new)]
    placed = {clause.reason for clause in left}
    return (*(new.get(clause.reason, clause) for clause in left), *(clause for name, clause in new.items() if name not in placed))
