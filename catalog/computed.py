"""What stages, policies and mixtures read of what stages write: refused when the recipe is loaded where nothing computes it, or no such model is of use.

Otherwise it would be known when all that comes before is done. What the lake alone knows is looked at once that is open (`headrace.held`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from catalog.cuts import path_of
from catalog.errors import RecipeError, near
from catalog.models import unfit
from catalog.offered import COPIES, copying, mend
from catalog.parts import Part, policy_names
from catalog.stage import load
from catalog.staged import TAKEN
from catalog.written import Lines, listed

COLUMNS = frozenset(TAKEN) - {COPIES}
"""What a row has by itself, whatever was computed of it."""

SCOPES = ("dump", "domain", "host", "license", "lang", "title", "author", "uri", "modality", "origin_hash")
"""Columns of a row that hold one word."""

Held = Mapping[str, Collection[str]]
"""What the documents of a lake's datasets have: families and columns, by the name that a recipe calls the dataset by."""


@dataclass(frozen=True)
class Known:
    """What is known of a recipe's inputs: its parts by their ids, and what the lake holds of the names that no part makes."""

    parts: Mapping[str, Part]
    held: Held


def check(parts: Sequence[Part], policies: Mapping[str, str], lines: Lines, held: Held | None = None, only: Collection[str] | None = None) -> None:
    """Raise RecipeError or PolicyError for the first part that reads what is not computed, or names a model of another kind.

    Of datasets that are not `held` nothing is said. `only` names the parts that are looked at, by their ids.
    """
    known = Known({part.id: part for part in parts}, held or {})
    for part in (part for part in parts if only is None or part.id in only):
        if part.section == "curate":
            _models(part, known.parts)
            _stages(part, known)
            _compared(part, known, lines)
            _policies(part, known, policies, lines)
        if part.section == "mix":
            _cells(part, known, lines)
            _rehydrated(part, known, lines)


def lacking(stage: str, family: str, there: Iterable[str]) -> str:
    """Return what is wrong with a stage that reads a family that nothing before it writes."""
    return f"{stage} reads {family!r}, which no stage before it writes{mend(family, there)}"


def _models(part: Part, parts: Mapping[str, Part]) -> None:
    """Refuse models that another part of the recipe fits and a stage cannot use."""
    for stage in part.stages:
        for knob in stage.models:
            name = str(stage.bound.knobs[knob])
            for made in (p for p in parts.values() if p.section == "quality" and name in (p.name, p.id)):
                if why := unfit(made.given["kind"], stage.kinds):
                    raise RecipeError(f"{stage.at}{stage.name}: {knob}: {name} {why}")


def _stages(part: Part, known: Known) -> None:
    """Refuse a stage that reads what no stage before it writes."""
    there = _above(part, known)
    if there is None:
        return
    for stage in part.stages:
        for path in stage.reads:
            family = path.partition(".")[0]
            if family not in COLUMNS and family not in there:
                raise RecipeError(f"{stage.at}{lacking(stage.name, family, there)}")
        there = {*there, stage.family}


def _compared(part: Part, known: Known, lines: Lines) -> None:
    """Refuse copies within, or by vectors of, what the documents do not have."""
    within, there = (part.given.get("dedup") or {}).get("within"), _above(part, known)
    if there is None:
        return
    there |= {stage.family for stage in part.stages}
    for name, knobs in (part.given.get("dedup") or {}).items():
        scope, column = (knobs.get("within"), knobs.get("vectors")) if isinstance(knobs, dict) else (None, None)
        if scope is not None and scope not in SCOPES:
            where = lines.where("curate", part.name, "dedup", name, "within")
            raise RecipeError(f"{where}{name}: within: {scope!r} is no column of words{near(str(scope), SCOPES)}")
        if column and column.partition(".")[0] not in there:
            raise RecipeError(f"{lines.where('curate', part.name, 'dedup', name, 'vectors')}vectors: {lacking(name, column.partition('.')[0], there)}")
    if within is None:
        return
    family, where = within.partition(".")[0], lines.where("curate", part.name, "dedup", "within")
    if family in COLUMNS and "." in within and within not in (inner := _inner(family)):
        raise RecipeError(f"{where}within: {within!r} is no column or signal{near(within, inner) if inner else mend(within, SCOPES)}")
    if family not in there and (family not in COLUMNS or ("." not in within and within not in SCOPES)):
        raise RecipeError(f"{where}within: {within!r} is no column or signal{mend(family, [*SCOPES, *there])}")


def _inner(column: str) -> list[str]:
    """The single values inside a column, such as facts.work; none where it holds none."""
    from catalog.schema import DOCUMENT  # numba starts in .6 s: only where such a value is named

    kind = DOCUMENT.field(column).type if column in DOCUMENT.names else pa.null()
    fields = [kind.field(i) for i in range(kind.num_fields)] if pa.types.is_struct(kind) else []
    return [f"{column}.{field.name}" for field in fields if not pa.types.is_nested(field.type)]


def _policies(part: Part, known: Known, policies: Mapping[str, str], lines: Lines) -> None:
    """Refuse a policy that is wrong, and one that reads what the part does not have."""
    for name in policy_names(part):
        policy, there = load("curate.policy:load")(policies[name]), _families(part, known)
        read = (*policy.reads, *map(path_of, (*dict(policy.mask), *policy.cut)))
        families = list(dict.fromkeys(path.partition(".")[0] for path in read if "." in path))
        missing = [one for one in families if there is not None and one not in there and one not in COLUMNS and not one.startswith("verdict")]
        if missing:
            where, named = lines.where("curate", part.name, "policy"), ", ".join(map(repr, missing))
            how = mend(missing[0], there or (), missing[1:])
            raise RecipeError(f"{where}policy {policy.name} reads {named}, which nothing in {part.id} computes{how}")
        _copies(part, policy.name, read, lines.where("curate", part.name, "policy"))


def _copies(part: Part, policy: str, read: Iterable[str], where: str) -> None:
    """Refuse a column of a job that the part's `dedup:` does not name."""
    jobs = {job.path.partition(":")[0].rpartition(".")[2] for job in part.bound}
    for path in read if jobs else ():
        family, _, column = path.partition(".")
        job = copying().get(column) if family == COPIES else None
        if job is not None and job not in jobs:
            raise RecipeError(f"{where}policy {policy} reads {path!r}, which nothing in {part.id} computes; add {job}: to its dedup:")


def _cells(part: Part, known: Known, lines: Lines) -> None:
    """Refuse a mixture by a column that no stage of this recipe computes for what is mixed."""
    for term in listed(part.given["by"]):
        where = f"{lines.where('mix', part.name, 'by')}by: "
        if "." not in term and term not in ("domain", "dataset"):
            raise RecipeError(f"{where}{term!r} is neither domain nor dataset nor a column such as ensemble.tier{near(term, ('domain', 'dataset'))}")
        if "." in term:
            _mixed(term, part, part.given["from"], known, where)


def _rehydrated(part: Part, known: Known, lines: Lines) -> None:
    """Refuse to read documents again by a column that no part of this recipe computes for what is mixed."""
    again, where = part.given.get("rehydrate"), f"{lines.where('mix', part.name, 'rehydrate')}rehydrate: "
    if not again:
        return
    names = again.get("of") or part.given["from"]
    _mixed(again["by"], part, names, known, where)
    family, _, column = again["by"].partition(".")
    for made in (known.parts[need] for need in part.needs if family == COPIES):
        there = load("curate.duplicates:written")(made.bound, column) if made.section == "curate" and made.bound and _names(made) & set(names) else [column]
        if column not in there:
            exact = "; add exact: {} to its dedup:" if column == "copies" else near(column, there)
            raise RecipeError(f"{where}{again['by']}: the jobs of {made.id} write no such column{exact}")


def _mixed(term: str, part: Part, names: Sequence[str], known: Known, where: str) -> None:
    """Refuse a column of a family that a part which makes one of these datasets does not compute."""
    family = term.partition(".")[0]
    for made in (known.parts[need] for need in part.needs):
        there = _families(made, known) if _names(made) & set(names) else None
        if there is not None and family not in there:
            raise RecipeError(f"{where}{term}: {'nothing in' if family == COPIES else 'no stage of'} {made.id} computes {family!r}{mend(family, there)}")


def _families(part: Part, known: Known) -> set[str] | None:
    """The annotation families that a part's documents have; None where the lake alone knows."""
    above = _above(part, known)
    if above is None or part.section not in ("curate", "ingest"):
        return None
    own = {stage.family for stage in part.stages} | ({COPIES} if part.bound and part.section == "curate" else set()) | {"verdict"}
    return above | own if part.section == "curate" else set()


def _above(part: Part, known: Known) -> set[str] | None:
    """The families that the documents have which a part reads."""
    read = set(listed(part.given.get("from")))
    above = [_families(known.parts[need], known) for need in part.needs if _names(known.parts[need]) & read]
    above += [set(known.held[name]) if name in known.held else None for name in part.lake_needs if name in read]
    return None if None in above else set[str]().union(*(one for one in above if one is not None))


def _names(part: Part) -> set[str]:
    """What a part that publishes documents may be called."""
    return {part.name, part.id, part.dataset} if part.section in ("curate", "ingest", "synth") else set()
