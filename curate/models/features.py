"""A text as hashed n-grams: what the linear quality models and the importance weight see of it.

A gram is one word or a run of up to `ngrams` words in small letters, punctuation included, or a run of characters of one word
with its ends marked; it is known by its bucket alone (feature hashing, Weinberger et al. 2009). No vocabulary is kept.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.errors import RecipeError
from catalog.schema import hash_bytes, mix64, text_bytes
from catalog.split import SPLITTER, Bytes, Hashes, Offsets, Small, Words, characters, decode, split_words

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
VALUES = ("count", "root", "binary")
LONGEST = 32
"""Characters of a word that its character n-grams are made of; what is longer is no word."""

Indices = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Features:
    """What a model sees of a text. Stored with it, so that it sees the same of every text.

    ngrams   words of the longest run, 1 to 5
    buckets  how many hash buckets, 2 to 2^28; a weight each
    value    of a gram that occurs c times: `count` c, `root` its square root, `binary` 1; a text's values are then scaled to length 1
    chars    shortest and longest character n-gram, (0, 0) for none
    head     words that are looked at; later ones of a longer text say nothing
    """

    ngrams: int = 2
    buckets: int = 1 << 18
    value: str = "count"
    chars: tuple[int, int] = (0, 0)
    head: int = 10_000
    splitter: str = SPLITTER

    def __post_init__(self) -> None:
        """Raises RecipeError for what is out of range, or was made with another splitter of words."""
        few, many = self.chars
        whole = all(type(number) is int for number in (self.ngrams, self.buckets, self.head, few, many))
        for fault in (
            not whole and "ngrams, buckets, chars and head are whole numbers",
            not 1 <= self.ngrams <= 5 and f"ngrams: {self.ngrams}; give 1 to 5",
            not 2 <= self.buckets <= 1 << 28 and f"buckets: {self.buckets}; give 2 to 2^28",
            self.value not in VALUES and f"value: {self.value!r}; give {', '.join(VALUES)}",
            not (few == many == 0 or 1 <= few <= many <= 8) and f"chars: {few} to {many}; give two numbers from 1 to 8, or 0 and 0",
            not 1 <= self.head <= 1_000_000 and f"head: {self.head}; give 1 to 1,000,000 words",
            self.splitter != SPLITTER and f"words were split by {self.splitter!r}, here they are split by {SPLITTER!r}; train the model again",
        ):
            if fault:
                raise RecipeError(f"features: {fault}")

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "chars": list(self.chars)}


def as_features(told: dict[str, Any]) -> Features:
    """Return features from what `to_dict` wrote."""
    few, many = told["chars"]
    return Features(**{**told, "chars": (few, many)})


@dataclass(frozen=True)
class Rows:
    """Documents as sparse rows: document d has the buckets index[offsets[d]:offsets[d + 1]], each once, and their values."""

    offsets: Offsets
    index: Indices
    value: Floats
    keys: Hashes  # of the text: equal texts have equal keys, whatever stands beside them

    def __len__(self) -> int:
        return self.offsets.size - 1


def rows(words: Words, features: Features) -> Rows:
    """Return the rows of a split batch: 8 bytes for each different gram of a document."""
    few, many = features.chars
    told = (features.ngrams, few, many, features.buckets, features.head)
    offsets, index, counts = _rows(words.documents, words.lowers, words.data, words.starts, words.ends, characters()[1], *told)
    return Rows(offsets, index, _scaled(offsets, counts, VALUES.index(features.value)), hash_bytes(words.data, words.texts[:-1], words.texts[1:]))


def read(texts: pl.Series | Iterable[pl.Series], features: Features, *, at_once: int = 2000) -> Rows:
    """Return the rows of a column of texts, or of several one after the other, splitting `at_once` texts at a time."""
    parts = []
    for column in [texts] if isinstance(texts, pl.Series) else texts:
        for start in range(0, len(column), at_once):
            parts.append(rows(split_words(*text_bytes(column.slice(start, at_once))), features))
    return joined(parts)


def joined(parts: list[Rows]) -> Rows:
    """Return several parts as one, in their order."""
    sizes = np.concatenate([np.zeros(1, np.int64), *(np.diff(part.offsets) for part in parts)])
    index = np.concatenate([np.empty(0, np.int32), *(part.index for part in parts)])
    value = np.concatenate([np.empty(0, np.float32), *(part.value for part in parts)])
    keys = np.concatenate([np.empty(0, np.uint64), *(part.keys for part in parts)])
    return Rows(np.cumsum(sizes), index, value, keys)


@numba.njit(cache=True, nogil=True)
def bucket_of(gram: np.uint64, buckets: int) -> np.int64:
    """Return the bucket of a gram's hash: its upper half, scaled."""
    return np.int64((gram >> np.uint64(32)) * np.uint64(buckets) >> np.uint64(32))


@numba.njit(cache=True, nogil=True)
def room(starts: Offsets, ends: Offsets, first: int, last: int, ngrams: int, few: int, many: int, head: int) -> int:
    """Return how many grams the words first..last have at most."""
    words = min(last - first, head)
    count = words * ngrams
    if few:
        for word in range(first, first + words):
            count += (many - few + 1) * (min(ends[word] - starts[word], LONGEST) + 2)
    return count


@numba.njit(cache=True, nogil=True)
def grams(
    lowers: Hashes, data: Bytes, starts: Offsets, ends: Offsets, small: Small, first: int, last: int, ngrams: int, few: int, many: int,
    buckets: int, out: Indices,
) -> int:  # fmt: skip
    """Write the buckets of the words first..last to the front of `out`, repeats included; return how many there are."""
    count = 0
    letters = np.empty(LONGEST + 2, np.uint64)
    for word in range(first, last):
        h = np.uint64(0)
        for n in range(min(ngrams, last - word)):
            h = lowers[word] if n == 0 else mix64(h * GOLDEN + lowers[word + n])
            out[count] = bucket_of(h, buckets)
            count += 1
        if few:
            size = _spelt(data, starts[word], ends[word], small, letters)
            for i in range(size):
                h = np.uint64(1)
                for j in range(i, min(i + many, size)):
                    h = mix64(h * GOLDEN + letters[j])
                    if j - i + 1 >= few:
                        out[count] = bucket_of(h, buckets)
                        count += 1
    return count


@numba.njit(cache=True, nogil=True)
def _spelt(data: Bytes, start: int, end: int, small: Small, out: Hashes) -> int:
    """Write a word's small letters to `out`, between two marks."""
    out[0], size, i = np.uint64(0x3C), 1, start
    while i < end and size <= LONGEST:
        code, width = decode(data, i)
        out[size] = np.uint64(small[code])
        size += 1
        i += width
    out[size] = np.uint64(0x3E)
    return size + 1


@numba.njit(cache=True, nogil=True)
def tally(buckets: Indices, count: int, table: Indices, times: Indices, used: Indices) -> int:
    """Count `count` buckets by a small hash table (`table` all -1, a power of two of places, at least twice as many).

    `used` gets the places in order of first occurrence; returns how many. The caller sets those places to -1 again.
    """
    found, mask = 0, table.size - 1
    for i in range(count):
        bucket = buckets[i]
        at = np.int64(np.uint32(bucket) * np.uint32(0x9E3779B1) >> np.uint32(7)) & mask
        while table[at] != bucket and table[at] != -1:
            at = (at + 1) & mask
        if table[at] == -1:
            table[at], times[at], used[found] = bucket, 0, at
            found += 1
        times[at] += 1
    return found


@numba.njit(cache=True, nogil=True)
def places(most: int) -> int:
    """Return the size of a table for so many buckets."""
    size = 16
    while size < 2 * most:
        size *= 2
    return size


@numba.njit(cache=True, nogil=True)
def _rows(
    documents: Offsets, lowers: Hashes, data: Bytes, starts: Offsets, ends: Offsets, small: Small, ngrams: int, few: int, many: int, buckets: int, head: int
) -> tuple[Offsets, Indices, Indices]:
    most = total = 0
    for d in range(documents.size - 1):
        here = room(starts, ends, documents[d], documents[d + 1], ngrams, few, many, head)
        most = max(most, here)
        total += here
    out, counts = np.empty(total, np.int32), np.empty(total, np.int32)
    offsets = np.zeros(documents.size, np.int64)
    held, used, size = np.empty(most, np.int32), np.empty(most, np.int32), places(most)
    table, times = np.full(size, -1, np.int32), np.empty(size, np.int32)
    done = 0
    for d in range(documents.size - 1):
        first = documents[d]
        last = min(documents[d + 1], first + head)
        count = grams(lowers, data, starts, ends, small, first, last, ngrams, few, many, buckets, held)
        found = tally(held, count, table[: places(count)], times, used)
        for i in range(found):
            out[done + i], counts[done + i] = table[used[i]], times[used[i]]
            table[used[i]] = -1
        done += found
        offsets[d + 1] = done
    return offsets, out[:done].copy(), counts[:done].copy()


@numba.njit(cache=True, nogil=True)
def valued(count: int, kind: int) -> Any:
    """Return the value of a gram that occurs so often; kind is a place in VALUES."""
    if kind == 0:
        return float(count)
    return np.sqrt(count) if kind == 1 else 1.0


@numba.njit(cache=True, nogil=True)
def _scaled(offsets: Offsets, counts: Indices, kind: int) -> Floats:
    out = np.empty(counts.size, np.float32)
    for d in range(offsets.size - 1):
        total = 0.0
        for i in range(offsets[d], offsets[d + 1]):
            total += valued(counts[i], kind) ** 2
        for i in range(offsets[d], offsets[d + 1]):
            out[i] = valued(counts[i], kind) / np.sqrt(total)
    return out
