"""What a mixture weighs: the documents of a domain or a dataset, or cells of these and of columns that stages wrote.

    by: domain                       sources web, books ...
    by: [domain, ensemble.tier]      cells web/high, web/low, books/high ...: one for each pair of values that documents have
    by: ensemble.tier                high, low ...

A document without a value stands in the cell `none`. Columns are read beside the documents when a mixture is frozen, so a shard
does not depend on them, and weighing by other cells tokenises nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import polars as pl

from catalog.errors import InputError, RecipeError, near
from catalog.files import DataFile, Snapshot, read
from catalog.offered import COPIES, mend

PLAIN = ("domain", "dataset")
"""What every document has; anything else is `family.column` of an annotation."""
CELL, NONE, BETWEEN = "cell", "none", "/"
KINDS = ("string", "large_string", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
"""What a cell can be made of. A ratio has a value for each document: `ensemble.buckets` makes tiers of it."""

By: TypeAlias = str | Sequence[str]


def terms(by: By) -> tuple[str, ...]:
    """Return what `by:` names, in order."""
    return (by,) if isinstance(by, str) else tuple(by)


def plain(by: By) -> bool:
    """Whether sources are domains or datasets, and no cells."""
    return len(terms(by)) == 1 and terms(by)[0] in PLAIN


def key(by: By) -> str:
    """Return the column of a frame of documents that holds the name of each one's source."""
    return terms(by)[0] if plain(by) else CELL


def families(by: By) -> list[str]:
    """Return the annotation families that `by:` reads."""
    return list(dict.fromkeys(term.partition(".")[0] for term in terms(by) if term not in PLAIN))


def check(snapshots: Mapping[str, Snapshot], by: By, where: str) -> None:
    """Raise RecipeError for a `by:` that names no column, one of too many values, or one twice; InputError where it was not computed."""
    named = terms(by)
    if not named or len(set(named)) < len(named):
        raise RecipeError(f"{where}by: {list(named)!r} names nothing, or one column twice")
    for term in named:
        if term in PLAIN:
            continue
        if not all(term.partition(".")):
            raise RecipeError(f"{where}by: {term!r} is neither domain nor dataset nor a column such as ensemble.tier{near(term, PLAIN)}")
        for name, snapshot in snapshots.items():
            computed(name, snapshot, term, f"{where}by: ", KINDS, "cells are of text, whole numbers, or true and false, such as ensemble.tier")


def computed(name: str, snapshot: Snapshot, term: str, where: str, kinds: Sequence[str], told: str) -> None:
    """Refuse a column that a dataset does not have, in any of its files, or one of another kind; `told` says which kinds there may be."""
    family, _, column = term.partition(".")
    lacking = [file for file in snapshot.files if family not in [a.family for a in file.annotations]]
    if lacking:
        there = sorted({a.family for file in snapshot.files for a in file.annotations if not a.family.startswith("verdict")})
        files = "" if len(lacking) == len(snapshot.files) else f" in {len(lacking):,} of its {len(snapshot.files):,} files"
        stage = f"{near(family, there)}; add the stage that computes it to the part that makes the dataset"
        made = mend(family, there) if family == COPIES else stage
        raise InputError(f"{where}{term}: {name} has no family {family!r}{files}{made}, and run that again")
    for file in snapshot.files:
        columns = dict(file.annotation(family).columns) or _kinds(file, family)
        if column not in columns:
            raise RecipeError(f"{where}{term}: {name} has no such column{near(column, columns)}")
        if columns[column] not in kinds:
            raise RecipeError(f"{where}{term} is a {columns[column]}; {told}")


def _kinds(file: DataFile, family: str) -> dict[str, str]:
    """The columns of an annotation that the catalogue does not know, as Arrow calls their types."""
    fields = read(file, [], [family], slice(0, 0))[family].to_arrow().type
    return {field.name: str(field.type).replace("_view", "") for field in fields}


def named(frame: pl.DataFrame, by: By) -> pl.DataFrame:
    """Return documents with the column `cell`; the frame holds what `by:` names: domain, dataset, and families as struct columns."""
    values = [pl.col(term) if term in PLAIN else pl.col(term.partition(".")[0]).struct.field(term.partition(".")[2]) for term in terms(by)]
    told = frame.with_columns(pl.concat_str([value.cast(pl.String).fill_null(NONE) for value in values], separator=BETWEEN).alias(CELL))
    return told.drop(families(by))


def gathered(frame: pl.DataFrame, snapshots: Mapping[str, Snapshot], by: By) -> pl.DataFrame:
    """Return the documents of a mixture, as `mixer.frozen.gather` gives them, with the column that names each one's source."""
    if plain(by):
        return frame
    beside = [_told(file, name, by) for name, snapshot in snapshots.items() for file in snapshot.files]
    joined = frame.join(pl.concat(beside), on=["dataset", "doc_id"], how="left", maintain_order="left")
    assert joined.height == frame.height and not joined[CELL].null_count(), "each document stands once in its dataset"
    return joined


def _told(file: DataFile, dataset: str, by: By) -> pl.DataFrame:
    """The cell of each document of a data file."""
    rows = read(file, ["doc_id", "domain"], families(by)).with_columns(pl.col("domain").fill_null(NONE), dataset=pl.lit(dataset))
    return named(rows, by).select("dataset", "doc_id", CELL)


def domains(frame: pl.DataFrame, by: By, sources: Iterable[str]) -> list[str] | None:
    """Return the domains of the sources that have a weight; None where sources do not tell domains apart, and all may be held out."""
    if terms(by) == ("domain",):
        return sorted(sources)
    if "domain" not in terms(by):
        return None
    return sorted(frame.filter(pl.col(CELL).is_in(list(sources)))["domain"].unique())
