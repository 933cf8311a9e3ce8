"""Evaluation sets as one index: the words of every item with their weights, and the rare 4-grams by which an item is noticed in a text.

An index is a folder of plain arrays (`curate.models.kept`), named by what it was made of: building it again is finding it. Items come in the order
of their ids, so neither the order of files nor that of benchmarks changes a byte. Two items of a benchmark that have the same words are one.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.errors import InputError
from catalog.schema import mix64, text_bytes
from catalog.split import SPLITTER, Words, split_words
from curate.grams import GOLDEN
from curate.models.kept import keep, kept, reading
from curate.models.vectors import spoken

VERSION = 1
KIND = "benchmarks"
SEED = 4
"""Words of the n-grams by which an item is noticed: of items of 12 to 15 words with each seventh changed 99 % have one left, of 5-grams 91 %."""
WHOLE, FEWEST = 8, 5
"""Words of an item that is looked for by itself, and of one that counts only where all of it stands with its answer behind it."""
FRAME, FRAMED = 0.9, 8
"""Share of a benchmark's items, and how many items at least, that begin or end with the same words: those are how it asks (`Question:`), and no item's."""
ANSWER_WORDS = 3
"""Words that an answer must have to say anything: `B` and `42` stand behind many questions."""
COMMON = 24
"""Items that share a seed at most: one of more is a phrase, not a mark of any of them. The two rarest of an item stay whatever they are."""
BITS = 16
"""Bits of the filter for each seed: one text word in about two hundred passes it by chance."""

Hashes = npt.NDArray[np.uint64]
Offsets = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32]
Weights = npt.NDArray[np.float32]
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Benchmark:
    """One evaluation set to be indexed. `key` tells its version from others; `items` has doc_id, text (the question) and answer (may be null)."""

    name: str
    key: str
    version: int
    items: pl.DataFrame


@dataclass(frozen=True)
class Index:
    """An index that was read. Item i has the words words[offsets[i]:offsets[i + 1]] and the answer answers[answer_offsets[i]:...].

    rare[i] is the weight of all its words in words that no other item has: how much the item says.
    """

    benchmarks: tuple[dict[str, Any], ...]
    ids: list[str]
    owners: Places                 # which of `benchmarks` an item is of
    arrays: dict[str, Array]

    def named(self, item: int) -> str:
        return str(self.benchmarks[self.owners[item]]["benchmark"])


def build(benchmarks: Sequence[Benchmark], folder: str | Path) -> str:
    """Write the index of some benchmarks as a new folder and return its digest. Raises InputError where none has an item that can be looked for."""
    ordered = sorted(benchmarks, key=lambda one: one.name)
    pieces = [one.items.select("doc_id", "text", "answer").sort("doc_id").with_columns(owner=pl.lit(n, pl.Int32)) for n, one in enumerate(ordered)]
    items = pl.concat(pieces) if pieces else pl.DataFrame(schema={"doc_id": pl.String, "text": pl.String, "answer": pl.String, "owner": pl.Int32})
    words, offsets = unframed(*plain_words(split_words(*text_bytes(items["text"]))), items["owner"].to_numpy())
    answers, answer_offsets = plain_words(split_words(*text_bytes(items["answer"].cast(pl.String))))
    sizes = {"words": pl.Series(np.diff(offsets)), "answered": pl.Series(np.diff(answer_offsets)), "same": pl.Series(sequences(words, offsets))}
    items = items.with_columns(**sizes).with_row_index("place")
    first = items.unique(["owner", "same"], keep="first", maintain_order=True)
    wanted = first.filter((pl.col("words") >= WHOLE) | ((pl.col("words") >= FEWEST) & (pl.col("answered") >= ANSWER_WORDS)))
    told = [_told(n, one, items, first, wanted) for n, one in enumerate(ordered)]
    if not wanted.height:
        names = ", ".join(one.name for one in ordered)
        raise InputError(f"{names}: no item has {WHOLE} words, or {FEWEST} and an answer of {ANSWER_WORDS}, so none can be looked for")
    places = wanted["place"].to_numpy().astype(np.int64)
    words, offsets = gathered(words, offsets, places)
    answers, answer_offsets = gathered(answers, answer_offsets, places)
    weights = rarity(words, offsets)
    rare = np.add.reduceat(weights, offsets[:-1]) / np.log1p(np.float32(wanted.height))
    arrays: dict[str, Array] = {"words": words, "offsets": offsets, "weights": weights, "rare": rare.astype(np.float32)}
    arrays |= {"answers": answers, "answer_offsets": answer_offsets}
    arrays |= {"ids": np.frombuffer("".join(wanted["doc_id"]).encode(), np.uint8).reshape(wanted.height, -1), "owners": wanted["owner"].to_numpy()}
    return keep(folder, {"kind": KIND, "version": VERSION, "splitter": SPLITTER, "benchmarks": told}, arrays | seeds(words, offsets))


def _told(n: int, one: Benchmark, items: pl.DataFrame, first: pl.DataFrame, wanted: pl.DataFrame) -> dict[str, Any]:
    """What an index says of a benchmark: its rows, how many of them are different items, and how many of these are long enough to be looked for."""
    counted = {name: int((frame["owner"] == n).sum()) for name, frame in (("rows", items), ("items", first), ("indexed", wanted))}
    return {"benchmark": one.name, "key": one.key, "version": one.version, **counted}


def read(folder: str, digest: str | None = None) -> Index:
    """Return the index in a folder, every byte checked, its arrays mapped. Raises InputError."""
    with reading(folder):
        found = kept(folder, (KIND,), digest)
        if found.told["version"] != VERSION or found.told["splitter"] != SPLITTER:
            raise InputError("it was made by another version")
        raw = found.arrays["ids"]
        ids = [raw[i].tobytes().decode() for i in range(raw.shape[0])]
        return Index(tuple(found.told["benchmarks"]), ids, found.arrays["owners"], found.arrays)


def about(folder: str | Path) -> list[dict[str, Any]]:
    """Return what an index says of its benchmarks, without its arrays: benchmark, key, version, rows, items, indexed."""
    with reading(folder):
        found: list[dict[str, Any]] = json.loads((Path(folder) / "model.json").read_text(encoding="utf-8"))["benchmarks"]
        return found


def there(folder: str | Path) -> bool:
    return os.path.isfile(Path(folder) / "model.json")


def plain_words(split: Words) -> tuple[Hashes, Offsets]:
    """Return the hashes of the words in small letters that are not punctuation alone, and n + 1 offsets: what texts and items are compared by."""
    some, documents = spoken(split)
    return split.lowers[some], documents


def unframed(words: Hashes, offsets: Offsets, owners: Places) -> tuple[Hashes, Offsets]:
    """Return the items without the words that nearly all of their benchmark begin with, and end with; WHOLE words are left of each."""
    starts, ends = offsets[:-1].copy(), offsets[1:].copy()
    for owner in np.unique(owners):
        mine = np.flatnonzero(owners == owner)
        for edge, step in ((starts, 1), (ends, -1)):
            same = mine
            while mine.size >= FRAMED and (same := same[ends[same] - starts[same] > WHOLE]).size:
                said = words[edge[same] if step > 0 else edge[same] - 1]
                found, counts = np.unique(said, return_counts=True)
                if counts.max() < FRAME * mine.size:
                    break
                same = same[said == found[counts.argmax()]]
                edge[same] += step
    return sliced(words, starts, ends - starts)


def gathered(words: Hashes, offsets: Offsets, places: Offsets) -> tuple[Hashes, Offsets]:
    """Return the words of some items alone, and their offsets."""
    return sliced(words, offsets[places], np.diff(offsets)[places])


def sliced(words: Hashes, starts: Offsets, sizes: Offsets) -> tuple[Hashes, Offsets]:
    """Return words[start:start + size] of each item, end to end, and their offsets."""
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    source = np.repeat(starts - ends[:-1], sizes) + np.arange(ends[-1])
    return words[source], ends


def rarity(words: Hashes, offsets: Offsets) -> Weights:
    """Return the weight of each word of each item, ln(1 + N / n) where n of the N items have it (Spärck Jones 1972, with 1 added: never nothing)."""
    count = offsets.size - 1
    frame = pl.DataFrame({"word": words, "item": np.repeat(np.arange(count), np.diff(offsets))})
    common = frame.unique().group_by("word").agg(n=pl.len())
    n = frame.join(common, on="word", how="left", maintain_order="left")["n"].to_numpy()
    return np.log1p(count / n).astype(np.float32)


def seeds(words: Hashes, offsets: Offsets) -> dict[str, Array]:
    """Return the seeds' hash table, the items and places that each one stands for, and the filter before it."""
    grams, items, at = grams_of(words, offsets)
    frame = pl.DataFrame({"gram": grams, "item": items, "at": at}).unique(["gram", "item"], keep="first", maintain_order=True)
    frame = frame.with_columns(common=pl.len().over("gram"))
    rank = pl.struct("common", "at").rank("ordinal").over("item")
    frame = frame.filter((pl.col("common") <= COMMON) | (rank <= 2)).sort("gram", "item")
    runs = frame.group_by("gram", maintain_order=True).agg(n=pl.len())
    keys = runs["gram"].to_numpy()
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(runs["n"].to_numpy())]).astype(np.int32)
    table, slots = hashed(keys, 1 << max(4, int(2 * keys.size - 1).bit_length()))
    held = {"items": frame["item"].to_numpy().astype(np.int32), "places": frame["at"].to_numpy().astype(np.int32)}
    return {"table": table, "slots": slots, "ends": ends, "filter": filtered(keys, 1 << max(2, int(BITS * keys.size // 64).bit_length())), **held}


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def sequences(words: Hashes, offsets: Offsets) -> Hashes:
    """Return one hash of all the words of each item, in their order."""
    out = np.empty(offsets.size - 1, np.uint64)
    for i in range(out.size):
        h = np.uint64(0)
        for j in range(offsets[i], offsets[i + 1]):
            h = mix64(h * GOLDEN + words[j])
        out[i] = h
    return out


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def grams_of(words: Hashes, offsets: Offsets) -> tuple[Hashes, Offsets, Offsets]:
    """Return the hash of every SEED words of every item, the item, and the place of the first word in it."""
    total = 0
    for i in range(offsets.size - 1):
        total += max(0, offsets[i + 1] - offsets[i] - SEED + 1)
    grams, items, at = np.empty(total, np.uint64), np.empty(total, np.int64), np.empty(total, np.int64)
    n = 0
    for i in range(offsets.size - 1):
        for j in range(offsets[i], offsets[i + 1] - SEED + 1):
            h = np.uint64(0)
            for k in range(SEED):
                h = h * GOLDEN + words[j + k]
            grams[n], items[n], at[n] = max(mix64(h), np.uint64(1)), i, j - offsets[i]
            n += 1
    return grams, items, at


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def hashed(keys: Hashes, size: int) -> tuple[Hashes, Places]:
    """Return an open table of keys (0 is a free place) and the number of the key at each place."""
    table, slots = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    for n in range(keys.size):
        place = np.int64((keys[n] >> np.uint64(20)) & np.uint64(size - 1))
        while table[place] != 0:
            place = (place + 1) & (size - 1)
        table[place], slots[place] = keys[n], n
    return table, slots


@numba.njit(cache=True, nogil=True, inline="always")  # type: ignore[misc, unused-ignore]
def bits_of(key: np.uint64) -> np.uint64:
    """Return the three bits of a key in its word of the filter."""
    one = np.uint64(1)
    return one << (key >> np.uint64(58)) | one << (key >> np.uint64(52) & np.uint64(63)) | one << (key >> np.uint64(46) & np.uint64(63))


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def filtered(keys: Hashes, size: int) -> Hashes:
    """Return a Bloom filter in which a key has three bits of one word: a look at it is one read."""
    out = np.zeros(size, np.uint64)
    for n in range(keys.size):
        out[np.int64(keys[n] & np.uint64(size - 1))] |= bits_of(keys[n])
    return out


def known(benchmarks: Mapping[str, Any]) -> str:
    """Return what an index of these benchmarks (key by name) is named by."""
    return json.dumps([VERSION, SPLITTER, SEED, COMMON, sorted(benchmarks.items())], default=str)
