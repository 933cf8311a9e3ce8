"""Words as numbers, and texts as the flat runs of numbers that an n-gram model is trained on and asked about.

A paragraph, which is a line with a word in it, is a sentence to the model: <s> before it, </s> behind it.
"""

from dataclasses import dataclass, field

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.errors import InputError
from catalog.schema import hash_column, mix64, text_bytes
from catalog.split import Bytes, Hashes, Offsets, Words, characters, split_words
from curate.models.prefetch import prefetch

UNK, BOS, EOS = 0, 1, 2
SPECIAL = ("<unk>", "<s>", "</s>")
CASES = ("lower", "written")
EMPTY = 0xFFFFFFFFFFFFFFFF
MISSING = 0xFFFFFFFF
AHEAD = 16  # so many look-ups on, the slot is asked for from memory
MOST = 1 << 31
"""As many words as a text to train on may have, and as many n-grams as a model: a number of either takes four bytes."""

Ids = npt.NDArray[np.uint32]


@dataclass
class Numbering:
    """Numbers given to words in the order in which they turn up, with what is needed to spell them. `add` makes it grow."""

    case: str
    table: Hashes = field(default_factory=lambda: np.full((1 << 16, 2), EMPTY, np.uint64))
    spelt: list[str] = field(default_factory=list)
    known: int = 0

    def add(self, split: Words) -> Ids:
        """Return the number of each word, new words included. 64 bits of hash stand for a word, as everywhere in the house."""
        hashes = cased(split, self.case)
        out, done = np.empty(hashes.size, np.uint32), 0
        fresh: list[Offsets] = []
        while True:
            new = np.empty(min(hashes.size - done, self.table.shape[0] // 2 - self.known), np.int64)
            done, count = _number(hashes, self.table, out, new, done, self.known)
            fresh.append(new[:count])
            self.known += count
            if done == hashes.size:
                break
            self.table = _grown(self.table)
        self.spelt.append(spell(split, np.concatenate(fresh), self.case))
        return out

    def words(self) -> pl.Series:
        """Return the words by their numbers."""
        return pl.Series("word", "".join(self.spelt).split("\n")[:-1], pl.String)


def cased(split: Words, case: str) -> Hashes:
    """Return the hashes of words in small letters or as written."""
    if case not in CASES:
        raise InputError(f"case is {case!r}; it can be lower (words in small letters) or written")
    return split.lowers if case == "lower" else split.hashes


def split_texts(texts: pl.Series) -> Words:
    """Return the words of a column of texts."""
    return split_words(*text_bytes(texts))


def word_table(words: pl.Series, where: str) -> Hashes:
    """Return the table in which `look_up` finds the number of a word by its hash. Raises InputError when a word stands there twice."""
    hashes = hash_column(words)
    table = np.full((max(16, 2 * hashes.size), 2), EMPTY, np.uint64)
    twice = _enter(hashes, table)
    if twice >= 0:
        raise InputError(f"{where}: the word {words[twice]!r} stands there twice; a model names each word once")
    table.setflags(write=False)
    return table


def spell(split: Words, places: Offsets, case: str) -> str:
    """Return some words, each with a newline behind it. Small letters are put in character by character, as the splitter does."""
    starts, ends = split.starts[places], split.ends[places]
    joined: Bytes = _joined(split.data, starts, ends, int((ends - starts + 1).sum()))
    text = joined.tobytes().decode()
    if case == "written":
        return text
    small = characters()[1]
    return small[np.frombuffer(text.encode("utf-32-le"), np.uint32)].astype("<u4").tobytes().decode("utf-32-le")


@numba.njit(cache=True, nogil=True)
def home(key: np.uint64, size: int) -> np.int64:
    """Return the slot at which a key is looked for first, in a table of fewer than 2**32 slots."""
    return np.int64((mix64(key) >> np.uint64(32)) * np.uint64(size) >> np.uint64(32))


@numba.njit(cache=True, nogil=True)
def _number(hashes: Hashes, table: Hashes, out: Ids, new: Offsets, first: int, known: int) -> tuple[int, int]:
    """Number the words from `first` on until there is no room for a new one; return the first that is left, and how many were new."""
    count, size = 0, table.shape[0]
    for w in range(first, hashes.size):
        at = home(hashes[w], size)
        while table[at, 1] != np.uint64(EMPTY) and table[at, 0] != hashes[w]:
            at = at + 1 if at + 1 < size else 0
        if table[at, 1] == np.uint64(EMPTY):
            if count == new.size:
                return w, count
            table[at, 0], table[at, 1] = hashes[w], np.uint64(known + count)
            new[count] = w
            count += 1
        out[w] = table[at, 1]
    return hashes.size, count


@numba.njit(cache=True, nogil=True)
def _grown(table: Hashes) -> Hashes:
    out = np.full((table.shape[0] * 2, 2), np.uint64(EMPTY), np.uint64)
    for row in range(table.shape[0]):
        if table[row, 1] != np.uint64(EMPTY):
            at = home(table[row, 0], out.shape[0])
            while out[at, 1] != np.uint64(EMPTY):
                at = at + 1 if at + 1 < out.shape[0] else 0
            out[at] = table[row]
    return out


@numba.njit(cache=True, nogil=True)
def _enter(hashes: Hashes, table: Hashes) -> int:
    """Enter hashes with their places; return the place of one that was there already, or -1."""
    for w in range(hashes.size):
        at = home(hashes[w], table.shape[0])
        while table[at, 1] != np.uint64(EMPTY):
            if table[at, 0] == hashes[w]:
                return w
            at = at + 1 if at + 1 < table.shape[0] else 0
        table[at, 0], table[at, 1] = hashes[w], np.uint64(w)
    return -1


@numba.njit(cache=True, nogil=True)
def look_up(hashes: Hashes, table: Hashes) -> Ids:
    """Return the numbers of words by their hashes, UNK for those that are not there."""
    out = np.zeros(hashes.size, np.uint32)
    size = table.shape[0]
    for w in range(hashes.size):
        if w + AHEAD < hashes.size:
            prefetch(table, home(hashes[w + AHEAD], size))
        at = home(hashes[w], size)
        while table[at, 1] != np.uint64(EMPTY):
            if table[at, 0] == hashes[w]:
                out[w] = table[at, 1]
                break
            at = at + 1 if at + 1 < size else 0
    return out


@numba.njit(cache=True, nogil=True)
def _joined(data: Bytes, starts: Offsets, ends: Offsets, size: int) -> Bytes:
    out, at = np.empty(size, np.uint8), 0
    for w in range(starts.size):
        for i in range(starts[w], ends[w]):
            out[at] = data[i]
            at += 1
        out[at] = 0x0A
        at += 1
    return out


@numba.njit(cache=True, nogil=True)
def paragraphs(data: Bytes, starts: Offsets, ends: Offsets, documents: Offsets) -> tuple[Offsets, Offsets]:
    """Return the offsets of the paragraphs' words (one more than there are paragraphs), and of the documents' paragraphs."""
    firsts, owners = np.empty(starts.size + 1, np.int64), np.zeros(documents.size, np.int64)
    count = 0
    for d in range(documents.size - 1):
        for w in range(documents[d], documents[d + 1]):
            begins = w == documents[d]
            if not begins:
                for i in range(ends[w - 1], starts[w]):
                    begins |= data[i] == 0x0A
            if begins:
                firsts[count] = w
                count += 1
        owners[d + 1] = count
    firsts[count] = starts.size
    return firsts[: count + 1].copy(), owners


@numba.njit(cache=True, nogil=True)
def sentences(ids: Ids, firsts: Offsets, pad: int) -> Ids:
    """Return each paragraph with `pad` times <s> before it and </s> behind it, end to end."""
    out, at = np.empty(ids.size + (firsts.size - 1) * (pad + 1), np.uint32), 0
    for p in range(firsts.size - 1):
        for _ in range(pad):
            out[at] = BOS
            at += 1
        for w in range(firsts[p], firsts[p + 1]):
            out[at] = ids[w]
            at += 1
        out[at] = EOS
        at += 1
    return out
