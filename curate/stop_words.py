"""Stop words of each document's own language: a text that has none of them is no prose of that language (Penedo et al. 2025, section 4.4.1)."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numba
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import yaml

from catalog.errors import RecipeError
from catalog.schema import text_bytes
from catalog.split import SPLITTER, SYMBOL, Hashes, Offsets, split_words
from catalog.stage import File, declares, words
from catalog.written import read_yaml
from curate.listed.files import At, content, told

ENGLISH = {"en": ["the", "be", "to", "of", "and", "that", "have", "with"]}
"""Gopher's list, alone (Rae et al. 2021)."""
WHO = "stop_words.signals"
MOST = 64
"""Stop words of a language."""
SHIFT = 53  # leaves the upper 11 bits of a hash

ADDS = {"different": pa.int64(), "uses": pa.int64(), "share": pa.float64()}


@declares(reads=("text", "language.code"), adds=ADDS, version=1, splitter=SPLITTER)
def signals(batch: pl.DataFrame, *, stop_words: File | Mapping[str, Sequence[str]] = ENGLISH) -> pl.DataFrame:
    """Return the family `stop_words`: how many stop words of its own language a text has, one row a document.

    different  how many of the stop words occur, as they are written (2 or more)
    uses       how often they occur, in any case
    share      uses per word (signs apart; in scripts without spaces: per letter)
    All are null where the language is unknown or has no list, `share` where there is no word.

    `stop_words` are lists by `language.code`, at most 64 words each, or the path of a YAML file of such lists, as `headrace policy
    stop-words` writes it. A changed file is known by its content. A stop word
    may be several words to the splitter (ที่ is one, และ three letters); it is met where these stand side by side.
    """
    lists = _opened(stop_words)
    split, codes = words(batch), batch["language"].struct.field("code")
    names = list(lists)
    place = {name: k for k, name in enumerate(names)}
    tongues = codes.replace_strict(place, default=-1, return_dtype=pl.Int64).fill_null(-1).to_numpy()
    found = _count(split.documents, split.starts, split.ends, split.hashes, split.lowers, tongues, *_tables([lists[name] for name in names]))
    every = np.diff(np.concatenate([[0], np.cumsum((split.flags & SYMBOL) == 0)])[split.documents])
    known = pl.Series(tongues >= 0)
    frame = pl.DataFrame({"different": found[:, 0], "uses": found[:, 1], "words": every}).with_columns(known=known)
    shared = frame.with_columns(share=pl.when(pl.col("words") > 0).then(pl.col("uses") / pl.col("words")))
    return shared.select(pl.when("known").then(pl.col(name)).alias(name) for name in ADDS)


def _opened(given: str | Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return lists by language, a file's read again only where its content has changed. Raises RecipeError, and InputError where there is none."""
    return _read(told(given, WHO)) if isinstance(given, str) else checked(given, f"{WHO}: stop_words")


@lru_cache(maxsize=16)
def _read(at: At) -> dict[str, list[str]]:
    try:
        return checked(read_yaml(content(at, WHO).decode("utf-8")), at[0])
    except UnicodeDecodeError as error:
        raise RecipeError(f"{WHO}: no lists of stop words at {at[0]!r} ({error}); write one with `headrace policy stop-words`") from None
    except yaml.YAMLError as error:
        raise RecipeError(f"{WHO}: {at[0]} is not YAML: {error}".replace("\n", " ")) from None


def checked(given: object, where: str) -> dict[str, list[str]]:
    """Return lists of stop words by language. Raises RecipeError for what is none."""
    if not isinstance(given, Mapping) or not given:
        raise RecipeError(f"{where}: is a mapping of languages to lists of words, such as {{de: [der, und, die]}}")
    for name, listed in given.items():
        if not isinstance(name, str):
            raise RecipeError(f"{where}: {name!r} is no language's code; put it in quotes")
        if not isinstance(listed, Sequence) or isinstance(listed, str) or not 0 < len(listed) <= MOST:
            raise RecipeError(f"{where}: {name}: is a list of 1 to {MOST} words")
        for word in listed:
            if not isinstance(word, str) or not _hashes([word])[0].size:
                raise RecipeError(f"{where}: {name}: {word!r} is no word; put it in quotes")
    return {name: [str(word) for word in listed] for name, listed in given.items()}


def _hashes(listed: Sequence[str]) -> tuple[Hashes, Hashes, Offsets]:
    """Return the hashes, as written and in small letters, of the splitter's words of some stop words, and their n + 1 offsets."""
    split = split_words(*text_bytes(pl.Series(list(listed), dtype=pl.String)))
    return split.hashes, split.lowers, split.documents


def _tables(lists: Sequence[Sequence[str]]) -> tuple[Hashes, Offsets, Offsets, Hashes, Offsets, Offsets]:
    """Return, as written and in small letters: the words' hashes, the stop words' offsets in them, the languages' offsets in those."""
    tables: list[npt.NDArray[np.uint64] | Offsets] = []
    for k, kinds in enumerate((lists, [[*dict.fromkeys(word.lower() for word in listed)] for listed in lists])):
        hashes = _hashes([word for listed in kinds for word in listed])
        tables += [hashes[k], hashes[2], np.cumsum([0, *map(len, kinds)])]
    return tuple(tables)  # type: ignore[return-value]


@numba.njit(cache=True, nogil=True)
def _count(
    documents: Offsets, starts: Offsets, ends: Offsets, hashes: Hashes, lowers: Hashes, tongues: Offsets,
    stops: Hashes, words: Offsets, lists: Offsets, low_stops: Hashes, low_words: Offsets, low_lists: Offsets,
) -> npt.NDArray[np.int64]:  # fmt: skip
    """Return, a row a document: how many of its language's stop words occur, and how often they do in any case."""
    out, known = np.zeros((documents.size - 1, 2), np.int64), -1
    begun, low_begun = np.zeros(1 << (64 - SHIFT), np.bool_), np.zeros(1 << (64 - SHIFT), np.bool_)
    for d in range(documents.size - 1):
        t = tongues[d]
        if t < 0:
            continue
        if t != known:                                       # most words are none: a table says so of all of them but one in many
            known = t
            _mark(stops, words, lists[t], lists[t + 1], begun)
            _mark(low_stops, low_words, low_lists[t], low_lists[t + 1], low_begun)
        found = np.uint64(0)
        for w in range(documents[d], documents[d + 1]):
            if not (begun[hashes[w] >> np.uint64(SHIFT)] or low_begun[lowers[w] >> np.uint64(SHIFT)]):
                continue
            for s in range(lists[t], lists[t + 1]):
                if _stands(hashes, starts, ends, w, documents[d + 1], stops, words[s], words[s + 1]):
                    found |= np.uint64(1) << np.uint64(s - lists[t])
            for s in range(low_lists[t], low_lists[t + 1]):
                out[d, 1] += _stands(lowers, starts, ends, w, documents[d + 1], low_stops, low_words[s], low_words[s + 1])
        while found:
            found &= found - np.uint64(1)
            out[d, 0] += 1
    return out


@numba.njit(cache=True, nogil=True)
def _mark(stops: Hashes, words: Offsets, first: int, last: int, begun: npt.NDArray[np.bool_]) -> None:
    """Mark, by their upper bits, the hashes with which the stop words first..last begin."""
    begun[:] = False
    for s in range(first, last):
        begun[stops[words[s]] >> np.uint64(SHIFT)] = True


@numba.njit(cache=True, nogil=True)
def _stands(hashes: Hashes, starts: Offsets, ends: Offsets, w: int, stop: int, stops: Hashes, first: int, last: int) -> bool:
    """Say whether the words stops[first:last] begin at word w, side by side."""
    if hashes[w] != stops[first] or w + last - first > stop:
        return False
    k = 1
    while k < last - first and hashes[w + k] == stops[first + k] and ends[w + k - 1] == starts[w + k]:
        k += 1
    return k == last - first
