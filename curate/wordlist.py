"""Words of a list, counted: a signal and no judgement, for lists drop what speaks of a thing with those who do it (Dodge et al. 2021, section 5)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numba
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from catalog.errors import InputError
from catalog.schema import text_bytes
from catalog.split import SPLITTER, SYMBOL, Bytes, Hashes, Offsets, Words, split_words
from catalog.stage import Files, declares, words
from curate.listed.files import At, entries, named, told

WHO = "wordlist"
LONGEST = 32
"""Words of an entry."""
EACH = pa.struct([("list", pa.string()), ("count", pa.int64()), ("different", pa.int64()), ("share", pa.float64())])
ADDS = {"count": pa.int64(), "different": pa.int64(), "share": pa.float64(), "worst": pa.string(), "lists": pa.list_(EACH)}
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Entries:
    """The entries of a list as runs of words: entry e is hashes[starts[e]:starts[e + 1]]. Those that begin with one word stand together, longest first."""

    hashes: Hashes
    starts: Offsets
    firsts: Hashes  # the first words, each once, sorted
    groups: Offsets  # n + 1 offsets of their entries
    begun: npt.NDArray[np.bool_]  # by the upper bits of a hash: whether a first word may have it


@declares(reads=("text",), adds=ADDS, version=1, splitter=SPLITTER)
def listed(batch: pl.DataFrame, *, lists: Files) -> pl.DataFrame:
    """Return the family `wordlist`: how many words of lists a text has, one row a document.

    count       places where an entry stands, in any case, between words; longer entries first, none inside another
    different   how many different entries
    share       share of the words (punctuation is none) that stand in entries; null without words
    worst       the list with the largest share, the first of those given where two are alike; null where there is none
    lists       the same of every list that has any: list, count, different, share
    count, different and share are those of `worst`. Lists of several languages do not add up: a word of one is harmless in another.

    Words are the splitter's, so `ass` is not in `class` and neither in `sex.com` nor `ass_`; in scripts without spaces (Han, Kana, Thai, Lao, Khmer, Myanmar)
    every letter is a word, and entries are found without bounds, as C4 did. An entry of several words is found over punctuation as it is written.

    lists       files by name, `{en: words/en.txt}`: one entry a line, # for remarks, or a .json list; or PACKAGE:PATH inside an installed package, such as
                `expletives:data/sources/ldnoobw-en.txt` (LDNOOBW in fifteen languages; the package is not installed with headrace)
    """
    return _told(batch, {name: _entries(told(path, WHO)) for name, path in _given(lists).items()}, None)


@declares(reads=("text", "language.code"), adds=ADDS, version=1, splitter=SPLITTER)
def native(batch: pl.DataFrame, *, lists: Files) -> pl.DataFrame:
    """Return the family `wordlist` as `wordlist.listed` does, of the list alone that has the name of the text's own language (`language.code`).

    Null where there is no list of that language. Wants `language.identify` before it.

    lists       files by language, `{en: words/en.txt, de: words/de.txt}`
    """
    codes = batch["language"].struct.field("code")
    return _told(batch, {name: _entries(told(path, WHO)) for name, path in _given(lists).items()}, codes)


def _given(lists: Mapping[str, str]) -> dict[str, str]:
    found = named(lists, WHO)
    if not found:
        raise InputError(f"{WHO}: lists: is empty; write {{en: PATH}}")
    return found


def _told(batch: pl.DataFrame, known: dict[str, Entries], only: pl.Series | None) -> pl.DataFrame:
    split = words(batch)
    total = _proper(split.documents, split.flags)
    frames = []
    for place, (name, one) in enumerate(known.items()):
        chosen = np.ones(batch.height, np.bool_) if only is None else (only == name).fill_null(False).to_numpy()
        count, covered, different = _find(split.documents, split.lowers, split.flags, chosen, one.hashes, one.starts, one.firsts, one.groups, one.begun).T
        told = pl.DataFrame({"count": count, "different": different, "covered": covered, "total": total, "there": (count > 0) if only is None else chosen})
        frames.append(told.with_row_index("row").with_columns(list=pl.lit(name), place=pl.lit(place)))
    every = pl.concat(frames).filter("there").with_columns(share=pl.when(pl.col("total") > 0).then(pl.col("covered") / pl.col("total")))
    every = every.sort("row", pl.col("share").fill_null(0), "place", descending=[False, True, False])
    each = pl.struct("list", "count", "different", "share")
    best = every.group_by("row", maintain_order=True).agg(
        pl.col("count", "different", "share").first(), worst=pl.when(pl.col("count").first() > 0).then(pl.col("list").first()),
        lists=each.filter(pl.col("count") > 0),
    )  # fmt: skip
    out = pl.DataFrame({"row": np.arange(batch.height), "total": total}).cast({"row": pl.UInt32}).join(best, on="row", how="left", maintain_order="left")
    out = out.with_columns(pl.col("lists").fill_null(pl.lit([], dtype=best.schema["lists"])))
    if only is None:                                          # every list was asked: none found is a count of 0
        out = out.with_columns(pl.col("count", "different").fill_null(0), share=pl.when(pl.col("total") > 0).then(pl.col("share").fill_null(0.0)))
    return out.select(list(ADDS))


@numba.njit(cache=True, nogil=True)
def _proper(documents: Offsets, flags: Bytes) -> Counts:
    """Return how many words of each document are not punctuation alone."""
    out = np.zeros(documents.size - 1, np.int64)
    for d in range(documents.size - 1):
        for w in range(documents[d], documents[d + 1]):
            out[d] += not flags[w] & SYMBOL
    return out


@numba.njit(cache=True, nogil=True)
def _find(
    documents: Offsets, lowers: Hashes, flags: Bytes, chosen: npt.NDArray[np.bool_], hashes: Hashes, starts: Offsets, firsts: Hashes, groups: Offsets,
    begun: npt.NDArray[np.bool_],
) -> Counts:  # fmt: skip
    """Return, a row a document: places of entries, the words in them that are no punctuation, and different entries."""
    out = np.zeros((documents.size - 1, 3), np.int64)
    seen, shift = np.full(starts.size, -1, np.int64), np.uint64(64) - np.uint64(np.log2(begun.size))
    for d in range(documents.size - 1):
        w, stop = documents[d], documents[d + 1]
        while w < stop and chosen[d]:
            if not begun[lowers[w] >> shift]:                # most words: no need to look for them
                w += 1
                continue
            place = np.searchsorted(firsts, lowers[w])
            size = 0
            if place < firsts.size and firsts[place] == lowers[w]:
                for e in range(groups[place], groups[place + 1]):
                    n = starts[e + 1] - starts[e]
                    same = w + n <= stop
                    for k in range(1, n):
                        same = same and lowers[w + k] == hashes[starts[e] + k]
                    if same:
                        size = n
                        out[d, 0] += 1
                        out[d, 2] += seen[e] != d
                        seen[e] = d
                        break
            for k in range(w, w + size):
                out[d, 1] += not flags[k] & SYMBOL
            w += max(size, 1)
    return out


@lru_cache(maxsize=128)
def _entries(at: At) -> Entries:
    """Read a list and split its entries as texts are split. Raises InputError for one without entries."""
    every = sorted(set(entries(at, WHO)))
    split = split_words(*text_bytes(pl.Series(every, dtype=pl.String)))
    sizes = np.diff(split.documents)
    runs = {_run(split, e) for e in np.flatnonzero((sizes > 0) & (sizes <= LONGEST)).tolist()}
    if not runs:
        raise InputError(f"{WHO}: {at[0]} has no entries; write a word or a phrase a line")
    order = sorted(runs, key=lambda run: (run[0], -len(run), run))
    starts = np.cumsum([0, *map(len, order)])
    first = np.array([run[0] for run in order], np.uint64)
    firsts, begins = np.unique(first, return_index=True)
    bits = max(10, (16 * firsts.size).bit_length())
    begun = np.zeros(1 << bits, np.bool_)
    begun[firsts >> np.uint64(64 - bits)] = True
    return Entries(np.array([h for run in order for h in run], np.uint64), starts, firsts, np.append(begins, first.size), begun)


def _run(split: Words, entry: int) -> tuple[int, ...]:
    return tuple(split.lowers[split.documents[entry] : split.documents[entry + 1]].tolist())
