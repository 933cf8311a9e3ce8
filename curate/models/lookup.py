"""A trained n-gram model: its tables, the file they lie in, and the log probability of paragraphs.

An n-gram of two words and more is a row of a hash table, found by the slot of its context (the same n-gram without its last word) and
its last word: so its key is exact, no two n-grams can be taken for each other. The tables are used where they lie in the file,
mapped into memory: loading reads them once to check their digests, and all processes of a machine share one copy.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.errors import InputError
from catalog.schema import text_bytes
from catalog.split import Hashes, Offsets
from curate.models.kept import keep, kept, reading
from curate.models.prefetch import prefetch
from curate.models.vocabulary import AHEAD, BOS, CASES, EMPTY, EOS, MISSING, MOST, SPECIAL, UNK, Ids, home, look_up, sentences, word_table

KIND = "ngrams"
LETTERS = 1 << 32
"""Bytes that the words of a model may have together."""
Logs = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Gram:
    """The n-grams of one order: their contexts' places among those of the order below, last words, log10 probabilities and backoffs."""

    contexts: Ids
    words: Ids
    logs: Logs
    backoffs: Logs

    def backed(self, backoffs: Logs) -> "Gram":
        return replace(self, backoffs=backoffs)


@dataclass(frozen=True)
class Model:
    """A model that can be asked. `tables[n - 2]` holds the n-grams: slots of (key, log10 probability and backoff as two float32)."""

    words: pl.Series  # by number; 0, 1 and 2 are <unk>, <s> and </s>
    vocabulary: Hashes
    unigrams: Logs  # (words, 2): log10 probability and backoff
    tables: tuple[Hashes, ...]
    meta: dict[str, Any]

    @property
    def order(self) -> int:
        return 1 + len(self.tables)

    @property
    def case(self) -> str:
        return str(self.meta["case"])


def assemble(words: pl.Series, grams: Sequence[Gram], meta: dict[str, Any]) -> Model:
    """Return the model of these n-grams, shortest first; `words` begin with the special ones. `meta` gains order, counts and digest."""
    slots = np.arange(len(words), dtype=np.uint32)
    tables = []
    for gram in grams[1:]:
        table = np.full((max(4, gram.words.size * 5 // 3 + 1), 2), EMPTY, np.uint64)
        keys = slots[gram.contexts].astype(np.uint64) << np.uint64(32) | gram.words
        order = np.argsort(keys, kind="stable")  # so that one model has one table, in whatever order its n-grams come
        slots = _place(keys, order, gram.logs, gram.backoffs, table, table.view(np.float32))
        tables.append(table)
    unigrams = np.stack([grams[0].logs, grams[0].backoffs], axis=1)
    arrays: list[npt.NDArray[Any]] = [unigrams, *tables]
    for array in arrays:
        array.setflags(write=False)
    meta = {**meta, "order": len(grams), "ngrams": [int(gram.words.size) for gram in grams], "digest": digest(words, unigrams, tables)}
    return Model(words, word_table(words, "the model"), unigrams, tuple(tables), meta)


def digest(words: pl.Series, unigrams: Logs, tables: Sequence[Hashes]) -> str:
    """Return 32 hex digits of what a model says: its words and all its numbers."""
    state = hashlib.blake2b(digest_size=16)
    arrays: list[npt.NDArray[Any]] = [*text_bytes(words), unigrams, *tables]
    for array in arrays:
        state.update(array.size.to_bytes(8, "big") + np.ascontiguousarray(array).data)
    return state.hexdigest()


def grams(model: Model) -> Iterator[tuple[Ids, Logs, Logs]]:
    """Yield, an order each: the n-grams as rows of word numbers, in their order, with log10 probabilities and backoffs."""
    numbers = np.arange(len(model.words), dtype=np.uint32)
    spelt, place = numbers[:, None], numbers
    yield spelt, model.unigrams[:, 0], model.unigrams[:, 1]
    for table in model.tables:
        filled = np.flatnonzero(table[:, 0] != EMPTY)
        keys, values = table[filled, 0], table.view(np.float32)[filled, 2:]
        spelt = np.concatenate([spelt[place[keys >> np.uint64(32)]], (keys & np.uint64(MISSING)).astype(np.uint32)[:, None]], axis=1)
        sort = np.lexsort(spelt.T[::-1])
        place = np.zeros(table.shape[0], np.uint32)
        place[filled[sort]] = np.arange(filled.size, dtype=np.uint32)
        spelt = spelt[sort]
        yield spelt, values[sort, 0], values[sort, 1]


def save(model: Model, folder: str | Path) -> str:
    """Write a model as a new folder: model.json, the words, and an .npy file an order. Returns the folder's digest. Raises InputError."""
    words = np.frombuffer("".join(f"{word}\n" for word in model.words).encode(), np.uint8)
    arrays: list[npt.NDArray[Any]] = [words, model.unigrams, *model.tables]
    names = ["words", *(f"grams{n}" for n in range(1, model.order + 1))]
    return keep(folder, {"kind": KIND, "meta": model.meta}, dict(zip(names, arrays, strict=True)))


def load(folder: str | Path, wanted: str | None = None) -> Model:
    """Return the model in a folder that `save` wrote. Raises InputError, one line, for what is missing, changed or none of ours."""
    with reading(folder):
        found = kept(folder, (KIND,), wanted)
        meta, letters = found.told["meta"], found.arrays["words"]
        if letters.dtype != np.uint8 or letters.ndim != 1 or letters.size > LETTERS:
            raise InputError(f"its words have {letters.size} bytes, more than {LETTERS}")
        words = pl.Series("word", letters.tobytes().decode().split("\n")[:-1], pl.String)
        first, *tables = (found.arrays[f"grams{n}"] for n in range(1, int(meta["order"]) + 1))
        if meta["case"] not in CASES or tuple(words[: len(SPECIAL)]) != SPECIAL or first.shape != (len(words), 2) or first.dtype != np.float32:
            raise InputError("its words, their case and its single words do not belong together")
        for n, table in enumerate(tables, 2):
            if table.dtype != np.uint64 or table.ndim != 2 or table.shape[1] != 2 or not 4 <= table.shape[0] <= 2 * MOST:
                raise InputError(f"grams{n}.npy is no table of n-grams")
        return Model(words, word_table(words, "its vocabulary"), first, tuple(tables), meta)


def score(model: Model, hashes: Hashes, firsts: Offsets) -> tuple[Scores, Offsets]:
    """Return, a paragraph each, log10 of its probability with its </s>, and how many of its words the model does not have.

    `hashes` are those of the words in the model's case, `firsts` the paragraphs' offsets among them (vocabulary.paragraphs).
    """
    ids = look_up(hashes, model.vocabulary)
    found: tuple[Scores, Offsets] = _sums(ids, token_logs(model, sentences(ids, firsts, 1)), firsts)
    return found


def token_logs(model: Model, tokens: Ids) -> Scores:
    """Return log10 p(word | the words before it, back to the last <s>) of each word of a stream of numbers (vocabulary.sentences); 0 for <s>."""
    slots, logs, backoffs = _unigrams(tokens, model.unigrams)
    for table in model.tables:
        _extend(tokens, table, table.view(np.float32), slots, logs, backoffs, bool(model.meta.get("closed")))
    out: Scores = logs
    return out


@numba.njit(cache=True, nogil=True)
def _place(keys: Hashes, order: Offsets, logs: Logs, backoffs: Logs, table: Hashes, values: Logs) -> Ids:
    """Put n-grams into an empty table, in an order; return the slot of each. `values` is the table's memory seen as float32."""
    slots = np.empty(keys.size, np.uint32)
    for k in order:
        at = home(keys[k], table.shape[0])
        while table[at, 0] != np.uint64(EMPTY):
            at = at + 1 if at + 1 < table.shape[0] else 0
        table[at, 0] = keys[k]
        values[at, 2], values[at, 3] = logs[k], backoffs[k]
        slots[k] = at
    return slots


@numba.njit(cache=True, nogil=True)
def _unigrams(tokens: Ids, unigrams: Logs) -> tuple[Ids, Scores, Logs]:
    """Return of each token the slot, log10 probability and backoff of its unigram; <s> has probability 1."""
    logs, backoffs = np.zeros(tokens.size), np.empty(tokens.size, np.float32)
    for i in range(tokens.size):
        backoffs[i] = unigrams[tokens[i], 1]
        if tokens[i] != BOS:
            logs[i] = unigrams[tokens[i], 0]
    return tokens.copy(), logs, backoffs


@numba.njit(cache=True, nogil=True)
def _extend(tokens: Ids, table: Hashes, values: Logs, slots: Ids, logs: Scores, backoffs: Logs, closed: bool) -> None:
    """Go from the (n-1)-grams that end at each token to the n-grams in `table`: backwards, so that the token before still has its (n-1)-gram.

    In a `closed` model an n-gram is there only if it is without its first word, too.
    """
    size = table.shape[0]
    for i in range(tokens.size - 1, 0, -1):
        ahead = i - AHEAD
        if ahead > 0 and slots[ahead] != np.uint32(MISSING) and slots[ahead - 1] != np.uint32(MISSING):
            prefetch(table, home(np.uint64(slots[ahead - 1]) << np.uint64(32) | np.uint64(tokens[ahead]), size))
        context, shorter = slots[i - 1], slots[i]
        slots[i] = MISSING
        if tokens[i] == BOS or context == np.uint32(MISSING):
            continue
        if not closed or shorter != np.uint32(MISSING):
            key = np.uint64(context) << np.uint64(32) | np.uint64(tokens[i])
            at = home(key, size)
            for _ in range(size):
                if table[at, 0] == key or table[at, 0] == np.uint64(EMPTY):
                    break
                at = at + 1 if at + 1 < size else 0
            if table[at, 0] == key:
                slots[i], logs[i], backoffs[i] = at, values[at, 2], values[at, 3]
                continue
        logs[i] += backoffs[i - 1]
    slots[0] = MISSING


@numba.njit(cache=True, nogil=True)
def _sums(ids: Ids, logs: Scores, firsts: Offsets) -> tuple[Scores, Offsets]:
    out, unknown = np.zeros(firsts.size - 1), np.zeros(firsts.size - 1, np.int64)
    at = 0
    for p in range(firsts.size - 1):
        for w in range(firsts[p], firsts[p + 1]):
            unknown[p] += ids[w] == UNK
        stop = at + firsts[p + 1] - firsts[p] + 2
        while at < stop:
            out[p] += logs[at]
            at += 1
    return out, unknown


assert EOS == 2, "sentences() puts it behind each paragraph"
