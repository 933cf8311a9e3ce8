"""The thresholds in a policy: the numbers that its clauses compare signals with, what they judge, and other values put in their place."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from catalog.dialects import sql
from catalog.errors import PolicyError, near
from catalog.predicates import Node, columns
from catalog.written import read_yaml
from curate.clauses import Clause, Value
from curate.policy import Policy

TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
MOST = 64
"""Combinations of values that are tried at once."""

Path = tuple[int, ...]


@dataclass(frozen=True)
class Threshold:
    """One number that a clause compares something with: `value op limit`, met by documents of which each of `beside` is true.

    `at` is the place of the number in the clause's tree.
    """

    clause: Clause
    value: Node
    op: str
    limit: float
    beside: tuple[Node, ...]
    at: Path

    @property
    def text(self) -> str:
        """What is compared, as the policy writes it."""
        return sql(self.value)


def thresholds(clause: Clause) -> tuple[Threshold, ...]:
    """Return the comparisons of a clause with a number, in the order they are written. The clause may be typed or not."""
    return tuple(_within(clause, clause.node, (), ()))


def _within(clause: Clause, node: Node, beside: tuple[Node, ...], at: Path) -> Iterator[Threshold]:
    if node.op in ("and", "or", "not"):
        for i, arg in enumerate(node.args):
            others = tuple(other for j, other in enumerate(node.args) if j != i) if node.op == "and" else ()
            yield from _within(clause, arg, (*beside, *others), (*at, i))
    elif node.op in TURNED:
        left, right = node.args
        if columns(left) and _number(right):
            yield Threshold(clause, left, node.op, right.value, beside, (*at, 1))
        elif columns(right) and _number(left):
            yield Threshold(clause, right, TURNED[node.op], left.value, beside, (*at, 0))
    elif node.op in ("between", "not between"):
        inside = (">=", "<=") if node.op == "between" else ("<", ">")
        for i, op in enumerate(inside, 1):
            if columns(node.args[0]) and _number(node.args[i]):
                yield Threshold(clause, node.args[0], op, node.args[i].value, beside, (*at, i))


def settled(node: Node, says: Callable[[Node], bool | None]) -> Node:
    """Return a tree with each CASE replaced by the value that counts, as `says` tells the truth of its conditions: for people to read."""
    if node.op == "case":
        pairs = zip(node.args[::2], node.args[1::2], strict=False)
        last = node.args[-1] if len(node.args) % 2 else Node("column", value="NULL")
        return settled(next((value for condition, value in pairs if says(condition)), last), says)
    return replace(node, args=tuple(settled(arg, says) for arg in node.args)) if node.args else node


def _number(node: Node) -> bool:
    return node.op == "literal" and isinstance(node.value, int | float) and not isinstance(node.value, bool)


@dataclass(frozen=True)
class Axis:
    """Values to try in one place: of the parameter `name` (no threshold), or of a threshold."""

    name: str
    values: tuple[Value, ...]
    threshold: Threshold | None = None
    others: tuple[Threshold, ...] = ()
    """Comparisons of the same column that are left as they are."""


def axis(policy: Policy, given: str) -> Axis:
    """Read `gopher.n_words=50,100`, `too_short:gopher.n_words=50,100`, or `min_words=50,100` where that is a parameter.

    A column that several clauses compare means the first of them. Raises PolicyError with the nearest name.
    """
    name, _, text = (part.strip() for part in given.partition("="))
    if not name or not text:
        raise PolicyError(f"--grid {given}: write COLUMN=VALUE,VALUE such as gopher.n_words=50,100,200")
    values = tuple(_value(one, given) for one in text.split(","))
    if name in policy.params:
        return Axis(name, values)
    reason, colon, column = name.rpartition(":")
    there = [one for clause in policy.drop for one in thresholds(clause)]
    found = [one for one in there if one.text == column and reason in ("", one.clause.reason)]
    if not found:
        known = [f"{one.clause.reason}:{one.text}" if colon else one.text for one in there]
        raise PolicyError(f"--grid {name}: {policy.name} compares no {name!r} with a number{near(name, [*known, *policy.params])}")
    for value in values:
        if isinstance(value, str):
            raise PolicyError(f"--grid {name}: {value!r} is not a number")
    return Axis(name, values, found[0], tuple(one for one in found[1:]))


def _value(text: str, given: str) -> Value:
    try:
        value = read_yaml(text.strip())
    except yaml.YAMLError:
        value = None
    if isinstance(value, bool) or not isinstance(value, int | float | str) or value != value or value in (float("inf"), float("-inf")):
        raise PolicyError(f"--grid {given}: {text.strip()!r} is no value; write numbers with commas between")
    return value


def points(policy: Policy, axes: Sequence[Axis], again: Callable[[Mapping[str, Value]], Policy]) -> list[tuple[dict[str, Value], Policy]]:
    """Return each combination of the axes' values with the policy that has them. `again` loads it with other parameters."""
    count = 1
    for one in axes:
        count *= len(one.values)
    if count > MOST:
        raise PolicyError(f"--grid: {' x '.join(str(len(one.values)) for one in axes)} = {count} combinations; at most {MOST} are tried at once")
    twice = next((one.name for i, one in enumerate(axes) if one.name in [other.name for other in axes[:i]]), None)
    if twice:
        raise PolicyError(f"--grid {twice}: stands twice; give its values in one list")
    return [(values, _point(policy, axes, values, again)) for values in _combinations(axes)]


def _combinations(axes: Sequence[Axis]) -> Iterator[dict[str, Value]]:
    for values in itertools.product(*(one.values for one in axes)):
        yield dict(zip([one.name for one in axes], values, strict=True))


def _point(policy: Policy, axes: Sequence[Axis], values: dict[str, Value], again: Callable[[Mapping[str, Value]], Policy]) -> Policy:
    settings = {one.name: values[one.name] for one in axes if one.threshold is None}
    policy = again(settings) if settings else policy
    for one in axes:
        if one.threshold is not None:
            drop = [_changed(clause, one.threshold.at, values[one.name]) if clause.reason == one.threshold.clause.reason else clause for clause in policy.drop]
            policy = replace(policy, drop=tuple(drop))
    return policy


def _changed(clause: Clause, at: Path, value: Any) -> Clause:
    node = _put(clause.node, at, value)
    return replace(clause, node=node, text=sql(node))


def _put(node: Node, at: Path, value: Any) -> Node:
    """The tree with another number at a place."""
    if not at:
        return Node("literal", value=value, kind="number")
    return replace(node, args=tuple(_put(arg, at[1:], value) if i == at[0] else arg for i, arg in enumerate(node.args)))
