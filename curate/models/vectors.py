"""Static word vectors and the vector of a text: the weighted mean of its words', less what all texts have in common (Arora, Liang and Ma 2017).

A word's vector has two halves of one weight, added up: what stands near it in the corpus (`cooccurrence`), and random signs drawn by a hash of its letters
(Sahlgren 2005). The first says that two words mean nearly the same, the second that they are the same one: without it the means of any two chapters
of a novel are alike. A word of the vocabulary weighs a / (a + p), p being its share of all words (SIF), so that articles and pronouns hardly count; one outside
it is rare, weighs what the rarest inside do, and has the signs alone. Words are in small letters; what is punctuation alone is left out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.errors import InputError
from catalog.schema import hash_column, mix64, text_bytes
from catalog.split import PUNCT, SPLITTER, SYMBOL, Hashes, Offsets, Words, split_words
from curate.models.cooccurrence import BORDER, NOBODY, Floats, factors, leading, scaled, unit
from curate.models.kept import keep, kept, reading
from curate.models.vocabulary import MOST, Ids, Numbering, look_up, word_table

KIND = "vectors"
DIMENSIONS = 256
MAX_WORDS = 30_000
MIN_COUNT = 3
SIF = 1e-4
"""The a of a / (a + p): words of a ten-thousandth of all text weigh half."""
COMMON_TEXTS = 10_000
"""Texts from which the common direction is taken: those of the smallest hashes."""
WIDEST = 1024
ABSENT = "<other>"
"""Number 0 of the vocabulary: what `look_up` answers for a word that is not there."""


@dataclass(frozen=True)
class Vectors:
    """A model that can be asked. `table` [words + 1, dimensions] holds weighted vectors, row 0 unused; `common` [dimensions] is what is taken out.

    `rare` is what a word outside the vocabulary weighs.
    """

    words: pl.Series
    vocabulary: Hashes
    table: Floats
    common: Floats
    rare: float
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def dimensions(self) -> int:
        return int(self.table.shape[1])


class NoWords(InputError):
    """No word of the texts is common enough to learn anything of."""


def train(
    batches: Iterable[pl.Series], *, seed: int = 0, dimensions: int = DIMENSIONS, max_words: int = MAX_WORDS, min_count: int = MIN_COUNT, sif: float = SIF
) -> Vectors:
    """Return the vectors of the words of texts, which are read once. Their order says nothing: texts and batches may come in any.

    max_words, min_count   the vocabulary: so many of the commonest words that occur so often; of words as common the first by their letters stay
    Holds 8 bytes a word of text, and 8 bytes for each two words that meet more often than by chance.
    Raises InputError on knobs out of range, NoWords on texts without a word that is common enough.
    """
    if not 2 <= dimensions <= WIDEST or not max_words >= 2 or not min_count >= 1 or not 0 < sif < 1:
        raise InputError(f"dimensions: {dimensions} (2 to {WIDEST}), max_words: {max_words} (from 2), min_count: {min_count} (from 1), sif: {sif} (0 to 1)")
    numbering = Numbering("lower")
    pieces, keys, texts = _read(batches, numbering)
    spelt = numbering.words()
    stream = np.concatenate(pieces) if pieces else np.empty(0, np.uint32)
    counts = np.bincount(stream[stream != BORDER], minlength=len(spelt)) if len(spelt) else np.zeros(0, np.int64)
    chosen = np.lexsort((spelt.rank("ordinal").to_numpy(), -counts))[:max_words]
    chosen = chosen[counts[chosen] >= min_count]
    if not chosen.size:
        raise NoWords(f"no word occurs {min_count} times in the texts to train on; give more of them")
    numbers = np.full(len(spelt) + 1, NOBODY, np.uint32)
    numbers[chosen] = np.arange(chosen.size, dtype=np.uint32)
    stream = np.where(stream == BORDER, np.uint32(BORDER), numbers[np.minimum(stream, len(spelt))])
    share = counts[chosen] / counts.sum()
    names = pl.concat([pl.Series("word", [ABSENT], pl.String), spelt.gather(chosen)])
    both = unit(factors(stream, chosen.size, dimensions, seed)) + signs(hash_column(names[1:]), dimensions)
    table = scaled(both, (sif / (sif + share)).astype(np.float32))
    whole = np.concatenate([np.zeros((1, dimensions), np.float32), table])
    model = Vectors(names, word_table(names, "the model"), whole, np.zeros(dimensions, np.float32), float(sif / (sif + share.min())))
    about = {
        "documents": keys.size, "words": int(counts.sum()), "vocabulary": int(chosen.size), "dimensions": dimensions, "sif": sif, "rare": model.rare,
        "splitter": SPLITTER,
    }  # fmt: skip
    return replace(model, common=_common(model, texts), about=about)


def _read(batches: Iterable[pl.Series], numbering: Numbering) -> tuple[list[Ids], Hashes, pl.DataFrame]:
    """Return the texts as numbers with a border behind each, the texts' hashes, and the texts of the smallest hashes."""
    pieces: list[Ids] = []
    keys, size = [np.empty(0, np.uint64)], 0
    least = pl.DataFrame(schema={"key": pl.UInt64, "text": pl.String})
    for texts in batches:
        split = lettered(split_words(*text_bytes(texts)))
        pieces.append(bordered(numbering.add(split), split.documents))
        keys.append(hash_column(texts))
        least = pl.concat([least, pl.DataFrame({"key": keys[-1], "text": texts})]).unique("key").bottom_k(COMMON_TEXTS, by="key")
        size += pieces[-1].size
        if size > MOST:
            raise InputError(f"more than {MOST} words to train on; give a sample of the texts")
    return pieces, np.concatenate(keys), least.sort("key")


def _common(model: Vectors, texts: pl.DataFrame) -> Floats:
    """Return the direction that texts share most, of length 1."""
    found = embed(model, split_words(*text_bytes(texts["text"])))
    common: Floats = leading(found, 20)
    return common


def spoken(split: Words) -> tuple[npt.NDArray[np.bool_], Offsets]:
    """Say which words are not punctuation alone, and where each document's begin among these (n + 1 offsets)."""
    some = (split.flags & (SYMBOL | PUNCT)) == 0
    before: Offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(some)])
    return some, before[split.documents]


def lettered(split: Words) -> Words:
    """Return the words without those that are punctuation alone."""
    some, documents = spoken(split)
    parts = {name: getattr(split, name)[some] for name in ("starts", "ends", "hashes", "lowers", "lengths", "flags")}
    return replace(split, documents=documents, **parts)


def embed(model: Vectors, split: Words) -> Floats:
    """Return the vector [dimensions] of each document, of length 1; zeros for one without a word."""
    some, documents = spoken(split)
    words = split.lowers[some]
    return embed_words(model, words, look_up(words, model.vocabulary), documents[:-1], documents[1:])


def embed_words(model: Vectors, words: Hashes, ids: Ids, starts: Offsets, ends: Offsets) -> Floats:
    """Return the vector of each stretch words[start:end], by the words' hashes in small letters and their numbers in the vocabulary."""
    return unit(without(unit(sums_of(starts, ends, ids, words, model.table, model.rare)), model.common))


@numba.njit(cache=True, nogil=True)
def bordered(ids: Ids, documents: Offsets) -> Ids:
    """Return the numbers of the words with BORDER behind each document."""
    out, at = np.empty(ids.size + documents.size - 1, np.uint32), 0
    for d in range(documents.size - 1):
        for w in range(documents[d], documents[d + 1]):
            out[at] = ids[w]
            at += 1
        out[at] = BORDER
        at += 1
    return out


@numba.njit(cache=True, nogil=True)
def add_signs(total: Floats, word: np.uint64, weight: float) -> None:
    """Add the random signs of a word, a vector of this length."""
    n = total.size
    size = np.float32(weight / np.sqrt(n))
    for j in range(0, n, 64):
        bits = mix64(word + np.uint64(j))
        for k in range(min(64, n - j)):
            total[j + k] += size * np.float32(1 - 2 * np.int32(bits >> np.uint64(k) & np.uint64(1)))


@numba.njit(cache=True, nogil=True)
def signs(words: Hashes, dimensions: int) -> Floats:
    """Return the random signs of words by their hashes."""
    out = np.zeros((words.size, dimensions), np.float32)
    for w in range(words.size):
        add_signs(out[w], words[w], 1.0)
    return out


@numba.njit(cache=True, nogil=True)
def sums_of(starts: Offsets, ends: Offsets, ids: Ids, hashes: Hashes, table: Floats, rare: float) -> Floats:
    """Return the sum of the vectors of the words of each stretch."""
    n = table.shape[1]
    out = np.zeros((starts.size, n), np.float32)
    for d in range(starts.size):
        total = out[d]
        for w in range(starts[d], ends[d]):
            if ids[w]:
                row = table[ids[w]]
                for j in range(n):
                    total[j] += row[j]
            else:
                add_signs(total, hashes[w], rare)
    return out


@numba.njit(cache=True, nogil=True)
def without(rows: Floats, common: Floats) -> Floats:
    """Return rows less what they have along a direction of length 1, or 0."""
    out = rows.copy()
    for i in range(rows.shape[0]):
        along = 0.0
        for j in range(rows.shape[1]):
            along += rows[i, j] * common[j]
        for j in range(rows.shape[1]):
            out[i, j] -= along * common[j]
    return out


def save(model: Vectors, folder: str | Path) -> str:
    """Write a model as a new folder: model.json, the words and an .npy file each of vectors and common direction. Returns its digest. Raises InputError."""
    words = np.frombuffer("".join(f"{word}\n" for word in model.words).encode(), np.uint8)
    return keep(folder, {"kind": KIND, "about": model.about}, {"words": words, "table": model.table, "common": model.common})


def load(folder: str | Path, wanted: str | None = None) -> Vectors:
    """Return the model in a folder that `save` wrote. Raises InputError, one line, for what is missing, changed or none of ours."""
    with reading(folder):
        found = kept(folder, (KIND,), wanted)
        letters, table, common = (found.arrays[name] for name in ("words", "table", "common"))
        if letters.dtype != np.uint8 or letters.ndim != 1:
            raise InputError("its words are no letters")
        words = pl.Series("word", letters.tobytes().decode().split("\n")[:-1], pl.String)
        if table.dtype != np.float32 or table.ndim != 2 or table.shape[0] != len(words) or not 2 <= table.shape[1] <= WIDEST or words[0] != ABSENT:
            raise InputError("its words and vectors do not belong together")
        if common.dtype != np.float32 or common.shape != table.shape[1:] or not np.isfinite(common).all() or not np.isfinite(table).all():
            raise InputError("its numbers are not finite numbers of 32 bits")
        rare = float(found.told["about"]["rare"])
        if not 0 < rare <= 1:
            raise InputError(f"what a rare word weighs is {rare}, not a number up to 1")
        return Vectors(words, word_table(words, "its vocabulary"), table, common, rare, {**found.told["about"], "digest": found.digest})
