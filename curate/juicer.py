"""data-juicer's ratios (Chen et al. 2024; its filters' defaults as of 2025), where no other family has them."""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from catalog.eight import eight, plain_end
from catalog.errors import RecipeError
from catalog.schema import hash_text
from catalog.split import SPLITTER, SYMBOL, Bytes, Hashes, Offsets, decode, line_end
from catalog.stage import declares, words
from curate.repetition import BASE, Counts, bits_for, longest_of, place
from curate.text.again import may_repeat, sieve_for
from curate.text.letters import PLACE, letters

ENGLISH = ("the", "be", "to", "of", "and", "that", "have", "with")  # a literal, for recipes read defaults from the source
RUN = 10                                                     # characters, and words, of a run that is looked for again
RATIOS = ("alnum", "special", "mean_line_length", "char_repetition", "word_repetition", "stop_words")
ADDS = {"n_words": pa.int64(), "max_line_length": pa.int64()} | {name: pa.float64() for name in RATIOS}
ADDED = 0x9E3779B97F4A7C15                                   # so that a run of equal characters is not told by its length alone


@declares(reads=("text",), adds=ADDS, version=1, splitter=SPLITTER)
def signals(batch: pl.DataFrame, *, stop_words: Sequence[str] = ENGLISH) -> pl.DataFrame:
    """Return the family `juicer`: what data-juicer's filters measure, one row a document. Its limits stand behind each.

    n_words           words with anything but punctuation, by the house's split (10 or more)
    max_line_length   characters of the longest line (10 or more)
    mean_line_length  characters a line, line breaks included (10 or more)
    alnum             share of characters that are letters or numbers (.25 or more)
    special           share of characters that are neither letters nor marks on them (.25 at most; its own list lacks some signs)
    char_repetition   runs of 10 characters: occurrences of the commonest of those that repeat, of as many as the root of how
                      many different runs there are, as a share of all (.5 at most)
    word_repetition   share of runs of 10 words that occur more than once, in small letters (.5 at most)
    stop_words        share of words that are one of `stop_words`, in small letters (.3 or more with its own, longer list)

    Ratios are null where there is nothing to share; a text too short for a run repeats none: 0.
    """
    if not stop_words:
        raise RecipeError("juicer.signals: stop_words is empty; give at least one")
    split = words(batch)
    counts, _ = letters(batch)
    proper = (split.flags & SYMBOL) == 0
    owners = np.concatenate([[0], np.cumsum(proper)])[split.documents]
    every, chars = np.diff(owners), counts[:, PLACE["chars"]]
    lowers = split.lowers[proper]
    stops = np.sort(np.array([hash_text(word.lower()) for word in stop_words], np.uint64))
    uses = np.diff(np.concatenate([[0], np.cumsum(np.isin(lowers, stops))])[owners])
    lines, longest = _lines(split.data, split.texts).T
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {
            "n_words": every,
            "max_line_length": longest,
            "mean_line_length": chars / lines,
            "alnum": counts[:, PLACE["alnum"]] / chars,
            "special": 1 - (counts[:, PLACE["letters"]] + counts[:, PLACE["marks"]]) / chars,
            "char_repetition": np.where(chars > 0, _of_characters(split.data, split.texts, chars), np.nan),
            "word_repetition": np.where(every > 0, _of_words(owners, lowers), np.nan),
            "stop_words": uses / every,
        }
    return pl.DataFrame({name: columns[name] for name in ADDS}, nan_to_null=True)


@numba.njit(cache=True, nogil=True)
def _lines(data: Bytes, texts: Offsets) -> Counts:
    """Return, a row a document, its lines by `str.splitlines()`, and the longest's characters."""
    out = np.zeros((texts.size - 1, 2), np.int64)
    for d in range(texts.size - 1):
        at, stop = texts[d], texts[d + 1]
        while at < stop:
            plain = plain_end(data, at, stop)
            end, after = line_end(data, plain, stop)
            length = plain - at
            for i in range(plain, end):
                length += data[i] & 0xC0 != 0x80
            out[d, 0] += 1
            out[d, 1] = max(out[d, 1], length)
            at = after
    return out


@numba.njit(cache=True, nogil=True)
def _of_characters(data: Bytes, texts: Offsets, chars: Counts) -> npt.NDArray[np.float64]:
    out, longest = np.zeros(texts.size - 1), max(chars.max(), 1) if chars.size else 1
    codes, keys = np.empty(longest, np.uint64), np.empty(longest, np.uint64)
    slots, uses = np.empty(1 << bits_for(longest), np.uint64), np.empty(1 << bits_for(longest), np.int64)
    sieve, places = np.empty(sieve_for(longest), np.uint8), np.empty(longest + 1, np.int64)
    times = np.zeros(longest + 1, np.int64)
    for d in range(texts.size - 1):
        at, runs = texts[d], chars[d] - RUN + 1
        if chars[d] == texts[d + 1] - at:
            for c in range(runs):                            # ASCII: ten bytes
                h = eight(data, at + c) * np.uint64(ADDED) + (eight(data, at + c + 2) >> np.uint64(48)) * np.uint64(BASE)
                keys[c] = max(h ^ h >> np.uint64(32), np.uint64(1))
        else:
            _roll(data, at, chars[d], codes, keys)
        if runs > 0:
            out[d] = _commonest(keys[:runs], sieve, places, slots, uses, times) / runs
    return out


@numba.njit(cache=True, nogil=True)
def _roll(data: Bytes, at: Any, chars: int, codes: Hashes, keys: Hashes) -> None:
    """Fill `keys` with those of the runs of characters that begin at a byte."""
    h, whole = np.uint64(0), np.uint64(1)
    for _ in range(RUN):
        whole *= np.uint64(BASE)
    for c in range(chars):
        code, width = decode(data, at)
        codes[c] = (np.uint64(code) + np.uint64(1)) * np.uint64(ADDED)
        h = h * np.uint64(BASE) + codes[c]
        if c >= RUN:
            h -= codes[c - RUN] * whole
        if c >= RUN - 1:
            keys[c - RUN + 1] = max(h, np.uint64(1))
        at += width


@numba.njit(cache=True, nogil=True)
def _commonest(keys: Hashes, sieve: Bytes, places: Counts, slots: Hashes, uses: Counts, times: Counts) -> int:
    """Return the occurrences of the commonest of the runs that repeat, of as many as the root of how many different ones there are.

    `times` must be 0, and is left so: how many keys occur so many times."""
    held = may_repeat(keys, sieve, places)
    bits = bits_for(held)
    table, used, shift = slots[: 1 << bits], uses[: 1 << bits], np.uint64(64 - bits)
    table[:] = 0
    used[:] = 0
    different, most = keys.size - held, 1
    for k in range(held):
        key = keys[places[k]]
        slot = place(table, key, shift)
        different += table[slot] == 0
        table[slot] = key
        count = used[slot] + 1
        used[slot] = count
        times[count - 1] -= 1
        times[count] += 1
        most = max(most, count)
    left, total = int(np.sqrt(different)), 0
    for count in range(most, 1, -1):
        taken = min(left, times[count])
        left -= taken
        total += taken * count
    times[: most + 1] = 0
    return total


@numba.njit(cache=True, nogil=True)
def _again(keys: Hashes, sieve: Bytes, places: Counts, slots: Hashes, uses: Counts) -> int:
    """Return the occurrences of all keys that occur more than once."""
    held = may_repeat(keys, sieve, places)
    bits = bits_for(held)
    table, used, shift = slots[: 1 << bits], uses[: 1 << bits], np.uint64(64 - bits)
    table[:] = 0
    used[:] = 0
    found = 0
    for k in range(held):
        key = keys[places[k]]
        slot = place(table, key, shift)
        table[slot] = key
        used[slot] += 1
        found += 1 + (used[slot] == 2) if used[slot] > 1 else 0
    return found


@numba.njit(cache=True, nogil=True)
def _of_words(documents: Offsets, lowers: Hashes) -> npt.NDArray[np.float64]:
    out, longest = np.zeros(documents.size - 1), longest_of(documents)
    keys, sieve, places = np.empty(longest, np.uint64), np.empty(sieve_for(longest), np.uint8), np.empty(longest + 1, np.int64)
    slots, uses = np.empty(1 << bits_for(longest), np.uint64), np.empty(1 << bits_for(longest), np.int64)
    for d in range(documents.size - 1):
        first, runs = documents[d], documents[d + 1] - documents[d] - RUN + 1
        for w in range(runs):
            h = np.uint64(0)
            for k in range(RUN):
                h = h * np.uint64(BASE) + lowers[first + w + k]
            keys[w] = max(h, np.uint64(1))
        if runs > 0:
            out[d] = _again(keys[:runs], sieve, places, slots, uses) / runs
    return out
