"""A policy: named predicates that drop rows, which copy of a duplicate stays, and what is masked or cut.

    drop:
      foreign_language: "domain = 'web' AND language.code <> 'en'"     # the first clause that is true drops the row; its name is the reason
    keep: [source.fetched_at DESC, length(text) DESC]                  # which copy of a cluster stays; doc_id decides last
    mask: {pii: tag}                                                   # or pseudonym, or none
    cut: [c4.cuts]

It is checked when it is loaded, and again against the columns and signals that the data has before anything is judged.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from catalog.errors import PolicyError, near
from catalog.files import DataFile, known
from catalog.house import source_of
from catalog.ids import digest
from catalog.offered import mend, stages
from catalog.predicates import Node, columns, parse, typed
from curate.clauses import DUPLICATE, SEEN, Clause, Value, worded, written
from curate.sheets import Sheet, assembled, read, sheets

__all__ = ["DUPLICATE", "SEEN", "Clause", "Order", "Policy", "check", "families", "from_body", "judged", "load", "same_columns"]

ORDERED = ("number", "string", "date", "timestamp", "boolean")


@dataclass(frozen=True)
class Order:
    """One term of `keep:`. Nulls come last either way."""

    text: str
    node: Node
    descending: bool
    where: str


@dataclass(frozen=True)
class Policy:
    """A policy as loaded. `digest` is of what it says, not of how it is written; `sources` are its file and those that it extends.

    `places` are file and line of what it masks and cuts, for errors.
    """

    name: str
    drop: tuple[Clause, ...] = ()
    keep: tuple[Order, ...] = ()
    mask: tuple[tuple[str, str], ...] = ()
    cut: tuple[str, ...] = ()
    params: Mapping[str, Value] = field(default_factory=dict)
    sources: tuple[str, ...] = field(default=(), compare=False)
    places: Mapping[tuple[str, str], str] = field(default_factory=dict, compare=False)

    @property
    def body(self) -> dict[str, Any]:
        """The policy as plain data, with nothing left to look up: what the catalogue keeps and `from_body` reads."""
        cited = {clause.reason: clause.cite for clause in self.drop if clause.cite}
        return {
            "drop": {clause.reason: clause.text for clause in self.drop},
            "keep": [order.text for order in self.keep],
            "mask": dict(self.mask),
            "cut": list(self.cut),
            **({"cite": cited} if cited else {}),
        }

    @property
    def digest(self) -> str:
        return digest(json.dumps([list(self.body["drop"].items()), self.body["keep"], self.body["mask"], self.body["cut"]]))

    def place(self, key: str, spans: str) -> str:
        """Return file and line of what stands under `mask:` or `cut:`; the policy's name where it was written nowhere."""
        return self.places.get((key, spans), f"policy {self.name}: ")

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns and signals that its predicates and its `keep:` read, as dotted paths."""
        nodes = [*(clause.node for clause in self.drop), *(order.node for order in self.keep)]
        return tuple(dict.fromkeys(path for node in nodes for path in columns(node)))


def load(path: str | Path, name: str | None = None, settings: Mapping[str, Any] | None = None) -> Policy:
    """Return the policy in a YAML file, by default named after it, with those that it extends. Raises PolicyError with file and line.

    `settings` are parameters that the command line gives.
    """
    sheet = read(path)
    drop, params = assembled(sheet, settings or {})
    keep, mask, cut = (_inherited(sheet, key) for key in ("keep", "mask", "cut"))
    masked = _shaped(mask, "mask", dict, "a mapping of spans to tag, pseudonym or none")
    cuts = [(worded(v, at), at) for v, at in _placed(cut, "cut", "a list of spans")]
    return Policy(
        name or Path(path).stem,
        drop,
        tuple(_order(text, at) for text, at in _placed(keep, "keep", "a list of orders, such as [length(text) DESC]")),
        tuple((str(k), worded(v, mask.where("mask", str(k)))) for k, v in masked.items()),
        tuple(v for v, _ in cuts),
        params,
        tuple(dict.fromkeys(source_of(one.path) for one in sheets(sheet))),
        {**{("mask", str(k)): mask.where("mask", str(k)) for k in masked}, **{("cut", v): at for v, at in cuts}},
    )


def _placed(sheet: Sheet, key: str, what: str) -> list[tuple[Any, str]]:
    """The items of a list of a sheet, with the place of each."""
    return [(item, sheet.where(key, str(i))) for i, item in enumerate(_shaped(sheet, key, list, what))]


def from_body(name: str, body: Mapping[str, Any]) -> Policy:
    """Return a policy that the catalogue kept."""
    at, cited = f"policy {name}: ", body.get("cite") or {}
    drop = [clause for clause in written(body.get("drop") or {}, lambda *trail: at, {}) if isinstance(clause, Clause)]
    return Policy(
        name,
        tuple(replace(clause, cite=cited.get(clause.reason, "")) for clause in drop),
        tuple(_order(text, at) for text in body.get("keep") or []),
        tuple((str(k), str(v)) for k, v in (body.get("mask") or {}).items()),
        tuple(map(str, body.get("cut") or [])),
        sources=tuple(map(str, body.get("sources") or [])),
    )


def _inherited(sheet: Sheet, key: str) -> Sheet:
    """The sheet whose `keep:`, `mask:` or `cut:` counts: its own where it has one, else that of the first parent that has."""
    if key in sheet.given:
        return sheet
    found = (_inherited(parent.sheet, key) for parent in sheet.parents)
    return next((one for one in found if key in one.given), sheet)


def _shaped(sheet: Sheet, key: str, kind: type, what: str) -> Any:
    value = kind() if sheet.given.get(key) is None else sheet.given[key]
    if not isinstance(value, kind):
        raise PolicyError(f"{sheet.where(key)}{key}: is {what}")
    return value


def _order(text: Any, where: str) -> Order:
    found = re.fullmatch(r"(.*?)(?:\s+(asc|desc))?\s*", worded(text, where), re.IGNORECASE | re.DOTALL)
    assert found is not None
    return Order(text, parse(found[1], f"{where}keep: "), (found[2] or "").lower() == "desc", f"{where}keep: ")


def check(policy: Policy, names: Mapping[str, str]) -> Policy:
    """Return the policy with every name found among `names` (dotted path -> Arrow type) and every kind known.

    Where documents were compared with another dataset, what that one has is dropped, last of all.
    """
    clauses = [*policy.drop, *(_seen() if "dup.seen" in names and policy.name else [])]
    drop = tuple(replace(clause, node=_boolean(clause, names)) for clause in clauses)
    keep = tuple(replace(order, node=_sortable(order, names)) for order in policy.keep)
    lists = {name for name, kind in names.items() if re.match(r"(large_)?list<\w+: struct<kind: \w+, start: ", kind)}
    for key, spans in (("mask", [name for name, _ in policy.mask]), ("cut", policy.cut)):
        for span in spans:
            path = span if "." in span else f"{span}.spans"
            if path not in lists:
                raise PolicyError(f"{policy.place(key, span)}{key}: no spans {span!r}{_offered(path, names, lists)}")
    from catalog.spans import MASKS  # as in `judged`: its kernels are not for loading a policy

    for name, how in policy.mask:
        if how not in MASKS:
            raise PolicyError(f"{policy.place('mask', name)}mask: {name}: {how!r}; a mask is {', '.join(MASKS[:-1])} or {MASKS[-1]}")
    return replace(policy, drop=drop, keep=keep)


def _seen() -> list[Clause]:
    found = [clause for clause in written({"elsewhere": "dup.seen IS NOT NULL"}, lambda *trail: "dedup: against: ", {}) if isinstance(clause, Clause)]
    return [replace(clause, reason=SEEN) for clause in found]


def _offered(path: str, names: Mapping[str, str], lists: Collection[str]) -> str:
    """What to do about spans that are not there: of a family that is not there the stage, else the spans that are."""
    family = path.partition(".")[0]
    return near(path, lists, 0.7) if family in names or family not in stages() else mend(family, ())


def _boolean(clause: Clause, names: Mapping[str, str]) -> Node:
    for condition in clause.conditions:
        if typed(condition.node, names, condition.where).kind != "boolean":
            raise PolicyError(f"{condition.where}{condition.text!r} is not true or false")
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
    """Return the columns that all files have and the signals that any has: a policy judges a dataset by one schema.

    Where a file lacks a signal it is NULL, and judging refuses a clause that meets such a document.
    """
    names = judged(files[0]) if files else {}
    signals: dict[str, str] = {}
    for file in files:
        other = judged(file)
        names = {name: kind for name, kind in names.items() if name in other}
        families = {annotation.family for annotation in file.annotations}
        signals = {**{name: kind for name, kind in other.items() if name.partition(".")[0] in families}, **signals}
    return {**signals, **names}
