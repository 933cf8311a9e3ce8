"""The hold-out: documents that no training may see, taken by whole groups.

Documents of one duplicate cluster, one host or one text (origin_hash) belong together, and so does what was written from
them (gen.parents): a group is what these ties connect. Documents without a host are tied by their file (the address without
its fragment: the chapters of a book).
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.schema import derive, hash_column
from mixer.order import keyed

LARGEST = 1 / 3
"""A group that holds more of its domain than this is never held out: what is left would be another corpus."""

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class HoldOut:
    """Which documents are held out (bool, one a document), the domains where no group was small enough, and those where files are no ties."""

    chosen: Flags
    without: tuple[str, ...]
    loose: tuple[str, ...] = ()


def hold_out(documents: pl.DataFrame, share: float, seed: int) -> HoldOut:
    """Choose about `share` of each domain's tokens, group by group in an order of hashes.

    documents: doc_id, domain, host, uri, cluster, origin_hash, parents, tokens. A group counts for the domain where most of
    its tokens are. Groups are taken in hash order while they fit. Where all of them are larger than the share, files are no
    ties in that domain (a reference work is one file, and four books are too few to part) and it is tried once more; then
    the smallest group is taken if it is at most a third of its domain. The order depends on the seed and the groups' own names alone.
    """
    if share <= 0 or not documents.height:
        return HoldOut(np.zeros(documents.height, np.bool_), ())
    first = _choose(documents, share, seed, ())
    return _choose(documents, share, seed, first.without) if first.without else first


def _choose(documents: pl.DataFrame, share: float, seed: int, loose: tuple[str, ...]) -> HoldOut:
    chosen, without = np.zeros(documents.height, np.bool_), []
    group = groups(documents, loose)
    for (domain,), found in _group_table(documents, group, seed, loose).group_by("domain", maintain_order=True):
        picked = _pick(found["tokens"].to_numpy(), share, last=domain in loose)
        if not picked.size:
            without.append(str(domain))
        chosen |= np.isin(group, found["group"].to_numpy()[picked])
    return HoldOut(chosen, tuple(sorted(without)), loose)


def _group_table(documents: pl.DataFrame, group: Ints, seed: int, loose: tuple[str, ...]) -> pl.DataFrame:
    """One row a group, in the order of choice: group, domain (where most of its tokens are), tokens."""
    names = hash_column(ties(documents, loose)["place"])
    flat = documents.select("domain", "tokens").with_columns(group=pl.Series(group), name=pl.Series(keyed(names, derive(seed, "hold_out"))))
    by_domain = flat.group_by("group", "domain").agg(pl.col("tokens").sum(), pl.col("name").min())
    by_domain = by_domain.sort("group", "tokens", "domain", descending=[False, True, False])
    table = by_domain.group_by("group", maintain_order=True).agg(pl.col("domain").first(), pl.col("tokens").sum(), pl.col("name").min())
    return table.sort("name", "group")


def _pick(tokens: Ints, share: float, *, last: bool) -> Ints:
    """Return which groups to hold out of one domain; they stand in the order of choice. `last`: rather a large one than none."""
    total = int(tokens.sum())
    left, picked = total * share, []
    for i, size in enumerate(tokens):
        if size <= left:
            picked.append(i)
            left -= size
    smallest = int(np.argmin(tokens))
    if last and not picked and tokens[smallest] <= total * LARGEST:
        picked = [smallest]
    return np.array(picked, np.int64)


def groups(documents: pl.DataFrame, loose: tuple[str, ...] = ()) -> Ints:
    """Return the group of each document, numbered by its first document: what cluster, host, text, file or parents connect.

    In the domains `loose` a file connects nothing.
    """
    n = documents.height
    parent = np.arange(n, dtype=np.int64)
    for column in ties(documents, loose).get_columns():
        _unite_equal(parent, _codes(column))
    _unite_pairs(parent, *_parent_pairs(documents))
    found: Ints = _roots(parent)
    return found


def ties(documents: pl.DataFrame, loose: tuple[str, ...]) -> pl.DataFrame:
    """What ties documents together, one column each (cluster, origin_hash, place); null ties nothing. `place` is the host, else the file."""
    host = pl.when(pl.col("host") == "").then(None).otherwise(pl.col("host"))
    file = pl.when(~pl.col("domain").is_in(loose)).then(pl.concat_str(pl.lit("file:"), pl.col("uri").str.split("#").list.first()))
    return documents.select("cluster", "origin_hash", place=pl.coalesce(host, file, "doc_id"))


def _codes(values: pl.Series) -> Ints:
    """Return a number for each distinct value, -1 for null."""
    return values.rank("dense").cast(pl.Int64).fill_null(0).to_numpy() - 1


def _parent_pairs(documents: pl.DataFrame) -> tuple[Ints, Ints]:
    """Return the rows of documents and of those that they were written from, where both are here."""
    rows = documents.select("doc_id", "parents").with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
    children = rows.filter(pl.col("parents").list.len() > 0).select("row", pl.col("parents").cast(pl.List(pl.String))).explode("parents")
    pairs = children.join(rows.select("doc_id", source="row"), left_on="parents", right_on="doc_id", how="inner")
    return pairs["row"].to_numpy(), pairs["source"].to_numpy()


@numba.njit(cache=True)
def _root(parent: Ints, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@numba.njit(cache=True)
def _unite(parent: Ints, i: int, j: int) -> None:
    a, b = _root(parent, i), _root(parent, j)
    parent[max(a, b)] = min(a, b)


@numba.njit(cache=True)
def _unite_equal(parent: Ints, codes: Ints) -> None:
    first = np.full(codes.size + 1, -1, np.int64)
    for i in range(codes.size):
        if codes[i] < 0:
            continue
        if first[codes[i]] < 0:
            first[codes[i]] = i
        else:
            _unite(parent, first[codes[i]], i)


@numba.njit(cache=True)
def _unite_pairs(parent: Ints, left: Ints, right: Ints) -> None:
    for i in range(left.size):
        _unite(parent, left[i], right[i])


@numba.njit(cache=True)
def _roots(parent: Ints) -> Ints:
    out = np.empty(parent.size, np.int64)
    for i in range(parent.size):
        out[i] = _root(parent, i)
    return out
