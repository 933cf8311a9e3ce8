"""A policy: named predicates that drop rows, which copy of a duplicate stays, and what is masked or cut.

    drop:
      foreign_language: "domain = 'web' AND language.code <> 'en'"     # the first clause that is true drops the row; its name is the reason
    keep: [source.fetched_at DESC, length(text) DESC]                  # which copy of a cluster stays; doc_id decides last
    mask: {pii: tag}
    cut: [c4.cuts]

It is checked when it is loaded, and again against the columns and signals that the data has before anything is judged.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from catalog.errors import PolicyError, RecipeError, near
from catalog.files import DataFile, known
from catalog.ids import digest
from catalog.predicates import Node, columns, parse, typed
from catalog.written import Lines, read_yaml

KEYS = ("drop", "keep", "mask", "cut")
DUPLICATE = "duplicate"
"""The reason of a copy that is not the one that stays; no clause may take this name."""

ORDERED = ("number", "string", "date", "timestamp", "boolean")


@dataclass(frozen=True)
class Clause:
    """One reason and the predicate that gives it. `where` is its place in the file, for errors."""

    reason: str
    text: str
    node: Node
    where: str


@dataclass(frozen=True)
class Order:
    """One term of `keep:`. Nulls come last either way."""

    text: str
    node: Node
    descending: bool
    where: str


@dataclass(frozen=True)
class Policy:
    """A policy as loaded. `digest` is of what it says, not of how it is written."""

    name: str
    drop: tuple[Clause, ...] = ()
    keep: tuple[Order, ...] = ()
    mask: tuple[tuple[str, str], ...] = ()
    cut: tuple[str, ...] = ()

    @property
    def body(self) -> dict[str, Any]:
        """The policy as plain data, which the catalogue keeps and `from_body` reads."""
        return {
            "drop": {clause.reason: clause.text for clause in self.drop},
            "keep": [order.text for order in self.keep],
            "mask": dict(self.mask),
            "cut": list(self.cut),
        }

    @property
    def digest(self) -> str:
        return digest(json.dumps([list(self.body["drop"].items()), self.body["keep"], self.body["mask"], self.body["cut"]]))

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns and signals that its predicates and its `keep:` read, as dotted paths."""
        nodes = [*(clause.node for clause in self.drop), *(order.node for order in self.keep)]
        return tuple(dict.fromkeys(path for node in nodes for path in columns(node)))


def load(path: str | Path, name: str | None = None) -> Policy:
    """Return the policy in a YAML file, by default named after it. Raises PolicyError with file and line."""
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
    return _policy(name or Path(path).stem, {} if given is None else given, lines.where)


def from_body(name: str, body: Mapping[str, Any]) -> Policy:
    """Return a policy that the catalogue kept."""
    return _policy(name, {key: body[key] for key in KEYS if body.get(key)}, lambda *trail: f"policy {name}: ")


def _policy(name: str, given: Any, where: Any) -> Policy:
    if not isinstance(given, dict):
        raise PolicyError(f"{where()}a policy is a mapping of {', '.join(KEYS)}")
    for key in given:
        if key not in KEYS:
            raise PolicyError(f"{where(str(key))}unknown key {key!r}{near(str(key), KEYS)}")
    drop = _shaped(given, "drop", dict, where, "a mapping of reasons to predicates")
    keep = _shaped(given, "keep", list, where, "a list of orders, such as [length(text) DESC]")
    mask = _shaped(given, "mask", dict, where, "a mapping of spans to tag")
    cut = _shaped(given, "cut", list, where, "a list of spans")
    return Policy(
        name,
        tuple(_clause(reason, text, where("drop", str(reason))) for reason, text in drop.items()),
        tuple(_order(text, where("keep", str(i))) for i, text in enumerate(keep)),
        tuple((str(k), _text(v, where("mask", str(k)))) for k, v in mask.items()),
        tuple(_text(v, where("cut", str(i))) for i, v in enumerate(cut)),
    )


def _shaped(given: dict[str, Any], key: str, kind: type, where: Any, what: str) -> Any:
    value = kind() if given.get(key) is None else given[key]
    if not isinstance(value, kind):
        raise PolicyError(f"{where(key)}{key}: is {what}")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise PolicyError(f"{where}{value!r} is not text; put it in quotes")
    return value


def _clause(reason: Any, text: Any, where: str) -> Clause:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", str(reason)):
        raise PolicyError(f"{where}{reason!r} is no reason's name; use small letters, digits and _")
    if reason == DUPLICATE:
        raise PolicyError(f"{where}{DUPLICATE!r} is what copies are dropped for; give the clause another name")
    at = f"{where}{reason}: "
    return Clause(str(reason), _text(text, at), parse(_text(text, at), at), at)


def _order(text: Any, where: str) -> Order:
    found = re.fullmatch(r"(.*?)(?:\s+(asc|desc))?\s*", _text(text, where), re.IGNORECASE | re.DOTALL)
    assert found is not None
    return Order(text, parse(found[1], f"{where}keep: "), (found[2] or "").lower() == "desc", f"{where}keep: ")


def check(policy: Policy, names: Mapping[str, str]) -> Policy:
    """Return the policy with every name found among `names` (dotted path -> Arrow type) and every kind known."""
    drop = tuple(replace(clause, node=_boolean(clause, names)) for clause in policy.drop)
    keep = tuple(replace(order, node=_sortable(order, names)) for order in policy.keep)
    for key, spans in (("mask", [name for name, _ in policy.mask]), ("cut", policy.cut)):
        for span in spans:
            path = span if "." in span else f"{span}.spans"
            lists = {name for name, kind in names.items() if kind.startswith(("list<", "large_list<")) and "start" in kind}
            if path not in lists:
                raise PolicyError(f"policy {policy.name}: {key}: no spans {span!r}{near(path, lists)}")
    for name, how in policy.mask:
        if how != "tag":
            raise PolicyError(f"policy {policy.name}: mask: {name}: {how!r}; a mask is tag")
    return replace(policy, drop=drop, keep=keep)


def _boolean(clause: Clause, names: Mapping[str, str]) -> Node:
    node = typed(clause.node, names, clause.where)
    if node.kind != "boolean":
        raise PolicyError(f"{clause.where}{clause.text!r} is a {node.kind}, not true or false")
    return node


def _sortable(order: Order, names: Mapping[str, str]) -> Node:
    node = typed(order.node, names, order.where)
    if node.kind not in ORDERED:
        raise PolicyError(f"{order.where}{order.text!r} has no order")
    return node


def families(policy: Policy, file: DataFile) -> tuple[str, ...]:
    """Return the families of a file that a policy reads, `dup` among them where it is."""
    there = [annotation.family for annotation in file.annotations]
    wanted = {path.partition(".")[0] for path in policy.reads} | {"dup"}
    return tuple(family for family in there if family in wanted)


def judged(file: DataFile) -> dict[str, str]:
    """Return what a policy may read of a data file. One that was written before documents had `facts` has them all NULL."""
    from catalog.schema import FACTS  # as in `known`: a policy is loaded before anything heavy starts

    return {"facts": str(FACTS), **{f"facts.{fact.name}": str(fact.type) for fact in FACTS}, **known(file)}


def same_columns(files: Sequence[DataFile]) -> dict[str, str]:
    """Return the names that all files have: a policy judges a dataset by one schema."""
    names = judged(files[0]) if files else {}
    for file in files[1:]:
        other = judged(file)
        names = {name: kind for name, kind in names.items() if name in other}
    return names
