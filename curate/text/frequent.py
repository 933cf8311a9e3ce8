"""The most frequent words of a language: candidates for its stop words, counted in the corpus itself."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from catalog.schema import text_bytes
from catalog.split import ALPHA, DIGIT, SYMBOL, Hashes, Offsets, Words, split_words
from curate.text.joined import joined

LEAST = 8
"""Stop words of a language, at least: Gopher's English list has so many."""
LETTERS, CHARACTERS = (1, 4), (3, 6)  # of a run of letters that may be a word of Thai and its like
PART = 0.6  # a run that stands inside a longer one in so many of its uses is a part of that word
SCRIPTS = (("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff"))  # Thai and Lao, Myanmar, Khmer
HELD = 4000  # candidates of a language that are carried from batch to batch


@dataclass
class Counted:
    """What was counted of one language: documents, words (letters of unspaced scripts joined to pieces), and uses of each candidate."""

    documents: int = 0
    words: int = 0
    uses: dict[str, int] = field(default_factory=dict)


def count(batches: Iterable[pl.DataFrame]) -> dict[str, Counted]:
    """Return what is frequent in each language of batches with the columns `text` and `code`; rows without a code are passed over."""
    found: dict[str, Counted] = {}
    for batch in batches:
        for (code,), rows in batch.drop_nulls("code").group_by("code", maintain_order=True):
            told = found.setdefault(str(code), Counted())
            split = split_words(*text_bytes(rows["text"]))
            told.documents += rows.height
            told.words += int(((whole := joined(split)).flags & SYMBOL == 0).sum())
            for word, uses in _candidates(split, whole):
                told.uses[word] = told.uses.get(word, 0) + uses
            if len(told.uses) > 2 * HELD:
                told.uses = dict(sorted(told.uses.items(), key=lambda item: (-item[1], item[0]))[:HELD])
    return found


def frequent(told: Counted, share: float, most: int) -> list[str]:
    """Return the words that are at least this share of a language's words, or where there are fewer than LEAST the commonest LEAST."""
    ranked = sorted(told.uses.items(), key=lambda item: (-item[1], item[0]))
    floor = min(share * told.words, ranked[min(4 * LEAST, len(ranked)) - 1][1] if ranked else 0)
    longer = [(word, uses) for word, uses in ranked if uses >= floor * PART]
    whole = [(word, uses) for word, uses in longer if not (_unspaced(word) and _part(word, uses, longer))]
    listed = [word for word, uses in whole if uses >= share * told.words]
    return (listed if len(listed) >= LEAST else [word for word, _ in whole[:LEAST]])[:most]


def _part(word: str, uses: int, others: Sequence[tuple[str, int]]) -> bool:
    return any(word != other and word in other and more >= PART * uses for other, more in others)


def _unspaced(word: str) -> bool:
    return any(first <= word[0] <= last for first, last in SCRIPTS)


def _candidates(split: Words, whole: Words) -> Iterator[tuple[str, int]]:
    """Yield words with their uses, in small letters: those with letters alone, single Han and Kana letters, runs of the letters of other unspaced scripts."""
    raw = split.data.tobytes()
    plain = (split.flags & (ALPHA | DIGIT)) == ALPHA
    thai = plain & (split.data[split.starts] == 0xE0) & (split.data[np.minimum(split.starts + 1, split.data.size - 1)] >= 0xB8)
    thai |= plain & (split.data[split.starts] == 0xE1)
    thai &= whole.starts.size < split.starts.size
    yield from _tallied(raw, split.lowers[plain & ~thai], split.starts[plain & ~thai], split.ends[plain & ~thai])
    places = np.flatnonzero(thai)
    for n in range(LETTERS[0], LETTERS[1] + 1):
        firsts = places[: places.size - n + 1]
        lasts = places[n - 1 :]
        near = lasts - firsts == n - 1
        chars, beside = split.lengths[firsts].astype(np.int64), np.ones(firsts.size, np.bool_)
        keys = split.hashes[firsts].copy()
        for k in range(1, n):
            chars += split.lengths[np.minimum(firsts + k, split.lengths.size - 1)]
            beside &= split.ends[firsts + k - 1] == split.starts[np.minimum(firsts + k, split.starts.size - 1)]
            keys = keys * np.uint64(0xD6E8FEB86659FD93) + split.hashes[np.minimum(firsts + k, split.hashes.size - 1)]
        kept = near & beside & (chars >= CHARACTERS[0]) & (chars <= CHARACTERS[1])
        yield from _tallied(raw, keys[kept], split.starts[firsts[kept]], split.ends[lasts[kept]])


def _tallied(raw: bytes, keys: Hashes, starts: Offsets, ends: Offsets) -> Iterator[tuple[str, int]]:
    """Yield the commonest of what stands between starts and ends, spelt in small letters, with their numbers."""
    tally = pl.DataFrame({"key": keys, "start": starts, "end": ends}).group_by("key").agg(pl.len().alias("uses"), pl.col("start", "end").first())
    for start, end, uses in tally.sort("uses", descending=True).head(HELD).select("start", "end", "uses").iter_rows():
        yield raw[start:end].decode().lower(), uses
