"""How often a document is read in one epoch, by how many copies of it there were before a policy dropped all but one.

    rehydrate: {5: 2, 20: 3}                           from a cluster of 5 documents on twice in each epoch, from 20 on three times
    rehydrate: {by: dup.copies, of: corpus, times: {5: 2}}     another column, and of one dataset of several

FineWeb2 (Penedo et al. 2025, arXiv 2506.20920) deduplicates globally, keeps the size of each cluster and reads what stays more
often again, by bands of sizes. Here a list of documents holds one that is read twice two times: epochs, orders and what was
consumed follow from that, and no token is stored twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from catalog.errors import InputError, RecipeError, near
from catalog.files import Snapshot, read
from catalog.written import listed, whole
from mixer import cells

SIZE = "dup.size"
TIMES = "times"
"""The column of a frame of documents that says how often each is read in an epoch; absent: once."""
MOST = 1000
"""Times a document may be read in an epoch: a list of documents is in memory."""
KINDS = tuple(kind for kind in cells.KINDS if "int" in kind)
KEYS = ("by", "of", "times")
HOW = "write {5: 2, 20: 3}, from how many copies on: how often in an epoch, or {by: dup.copies, times: {5: 2, 20: 3}}"


@dataclass(frozen=True)
class Rehydrate:
    """What a mixture asks for: the column, whose value from which size on means how many readings (sizes rise), and of which datasets (empty: all)."""

    by: str
    times: tuple[tuple[int, int], ...]
    of: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        return self.by.partition(".")[0]

    def told(self) -> dict[str, Any]:
        """Return what the lock says of it."""
        return {"by": self.by, "times": [list(one) for one in self.times], **({"of": list(self.of)} if self.of else {})}

    def reads(self, name: str) -> bool:
        return not self.of or name in self.of

    def factor(self) -> pl.Expr:
        """Return how often each row of a frame is read that holds the family as a struct column; a document without a value is alone."""
        copies = pl.col(self.family).struct.field(self.by.partition(".")[2])
        found = pl.lit(1, pl.Int64)
        for size, times in self.times:
            found = pl.when(copies >= size).then(pl.lit(times, pl.Int64)).otherwise(found)
        return found.alias(TIMES)


def written(given: Any, names: Sequence[str], where: str) -> dict[str, Any]:
    """Return what stands under `rehydrate:` in its long form, as `asked` takes it. Raises RecipeError; `names` are the datasets mixed."""
    at = f"{where}rehydrate: "
    if not isinstance(given, Mapping) or not given:
        raise RecipeError(f"{at}{given!r}: {HOW}")
    given = _numbered(given)
    if words := [key for key in given if isinstance(key, str)]:
        if wrong := next((key for key in given if key not in KEYS), None):
            raise RecipeError(f"{at}unknown key {wrong!r}{near(str(wrong), KEYS)}; {HOW}")
        if "times" not in words:
            raise RecipeError(f"{at}needs times: beside {words[0]}:, such as times: {{5: 2, 20: 3}}")
    long = dict(given) if words else {"times": dict(given)}
    by, of = long.get("by", SIZE), listed(long.get("of"))
    if not isinstance(by, str) or not all(by.partition(".")):
        raise RecipeError(f"{at}by: {by!r} is no column that counts copies; write dup.size (near copies too) or dup.copies (exact ones)")
    if wrong := next((name for name in of if name not in names), None):
        raise RecipeError(f"{at}of: {wrong!r} is not in from:{near(str(wrong), names)}")
    times = _check(_numbered(long["times"]), at)
    return {"by": by, "times": times, **({"of": of} if of else {})}


def _numbered(given: Any) -> Any:
    """Return a table with its sizes as numbers: JSON, which is YAML, has none for keys."""
    if not isinstance(given, Mapping):
        return given
    return {int(key) if isinstance(key, str) and key.isascii() and key.isdigit() else key: value for key, value in given.items()}


def _check(times: Any, at: str) -> dict[int, int]:
    """Return the table; refuse sizes that do not rise, and what is no whole number."""
    if not isinstance(times, Mapping) or not times:
        raise RecipeError(f"{at}times: {times!r} is no table of sizes; {HOW}")
    before = 0
    for size, often in times.items():
        if not whole(size, 1):
            raise RecipeError(f"{at}{size!r} is no number of copies; {HOW}")
        if size <= before:
            raise RecipeError(f"{at}{size} stands after {before}; write sizes from the smallest to the largest")
        if not whole(often, 1):
            drops = "; to leave documents out, drop them in the policy" if often == 0 else ""
            raise RecipeError(f"{at}{size}: {often!r} is not a whole number from 1: so often a document is read in an epoch{drops}")
        if often > MOST:
            raise RecipeError(f"{at}{size}: {often:,} times in an epoch are more than {MOST:,}")
        before = size
    return dict(times)


def asked(given: Any, snapshots: Mapping[str, Snapshot], where: str) -> Rehydrate | None:
    """Return what a mixture asks for, None where it does not. Raises RecipeError where it is wrong, InputError where a dataset's copies were not counted."""
    if given is None:
        return None
    long = written(given, list(snapshots), where)
    found = Rehydrate(long["by"], tuple(long["times"].items()), tuple(long.get("of", ())))
    kinds = "copies are counted in whole numbers, such as dup.size"
    try:
        for name, snapshot in snapshots.items():
            if found.reads(name):
                cells.computed(name, snapshot, found.by, f"{where}rehydrate: ", KINDS, kinds)
    except InputError as error:
        raise InputError(f"{error}{'; or name in of: the datasets that have it' if len(snapshots) > 1 else ''}") from None
    return found


def counted(frame: pl.DataFrame, snapshots: Mapping[str, Snapshot], again: Rehydrate | None) -> pl.DataFrame:
    """Return the documents of a mixture, as `mixer.frozen.gather` gives them, with the column `times`; as they are where nothing is asked."""
    if again is None:
        return frame
    found = [pl.DataFrame(schema={"dataset": pl.String, "doc_id": pl.String, TIMES: pl.Int64})]
    for name, snapshot in snapshots.items():
        for file in snapshot.files if again.reads(name) else ():
            rows = read(file, ["doc_id"], [again.family]).select(pl.lit(name).alias("dataset"), "doc_id", again.factor())
            found.append(rows.filter(pl.col(TIMES) > 1))
    joined = frame.join(pl.concat(found), on=["dataset", "doc_id"], how="left", maintain_order="left")
    assert joined.height == frame.height, "each document stands once in its dataset"
    return joined.with_columns(pl.col(TIMES).fill_null(1))


def times(documents: pl.DataFrame) -> pl.Series:
    """Return how often each document is read in an epoch."""
    return documents[TIMES] if TIMES in documents.columns else pl.repeat(1, documents.height, dtype=pl.Int64, eager=True)


def readings(documents: pl.DataFrame) -> int | None:
    """Return how many documents an epoch reads, one that is read twice counting twice; None where each is read once by the recipe."""
    return int(documents[TIMES].sum()) if TIMES in documents.columns else None


def notes(documents: pl.DataFrame) -> list[str]:
    """Return lines about what was read again, and about what a policy that keeps copies makes of it."""
    tokens, each = int(documents["tokens"].sum()), int((documents["tokens"] * times(documents)).sum())
    lines = [f"rehydrate: an epoch reads {documents.height:,} documents {readings(documents):,} times: {each:,} tokens of {tokens:,}"]
    twice = documents.filter((pl.col(TIMES) > 1) & pl.col("cluster").is_not_null()).group_by("dataset", "cluster").len().filter(pl.col("len") > 1)
    if twice.height:
        lines.append(f"rehydrate: {twice.height:,} clusters keep more than one document, and each of these is read again; let the policy drop duplicates")
    return lines
