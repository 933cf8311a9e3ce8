"""Items that stand in a text in other words: the cosine of an item's vector with that of each stretch of the text about as long (static word vectors).

Stretches of LEAST, twice, four times ... so many words, each half a length behind the one before, are compared with the items whose length is nearest. Vectors
are whole numbers of a byte (`curate.models.nearby`), so a cosine is the same on any machine, and in whatever batch its text comes. With stretches more finely
cut, or with edges moved to where they are nearest, all cosines are higher: at one rate of false alarms no more is found.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from catalog.split import Offsets, Words
from curate.bench.index import Index
from curate.models.nearby import Bytes, lengths, rounded
from curate.models.vectors import Vectors, embed_words, spoken
from curate.models.vocabulary import look_up

LEAST, DOUBLED = 24, 6
"""Words of the shortest stretch, and how many times it is doubled: items of 2,000 words and more are compared with stretches of 1,536."""
FEWEST, SAYS = 17, 6.0
"""Words of an item that is looked for, and how many that no other item has its words are worth, at least: sums of figures are near to any table, and
short questions to any talk of their subject."""
STRETCHES, ITEMS = 1024, 8192
"""Stretches and items that are compared at once: 32 MB of cosines."""
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Meant:
    """The vectors of an index's items, by the words of the stretches that they are compared with: the items' numbers and their vectors."""

    by_size: dict[int, tuple[Offsets, Bytes]]


@dataclass(frozen=True)
class Near:
    """Of each stretch the item that is nearest: its text, its first word and the one behind its last as numbers among all words, the item, the cosine."""

    text: Offsets
    first: Offsets
    end: Offsets
    item: Offsets
    cosine: Doubles

    def filter(self, chosen: npt.NDArray[np.bool_]) -> "Near":
        return Near(*(getattr(self, one.name)[chosen] for one in fields(self)))


_held: list[tuple[Index, Vectors, Meant]] = []


def meant(index: Index, model: Vectors) -> Meant:
    """Return the vectors of the items of an index by a model; the last ones are held, for the next batch."""
    if not _held or _held[0][0] is not index or _held[0][1] is not model:
        _held[:] = [(index, model, _made(index, model))]
    return _held[0][2]


def _made(index: Index, model: Vectors) -> Meant:
    words, offsets = index.arrays["words"], index.arrays["offsets"]
    sizes = np.diff(offsets)
    wanted = np.flatnonzero((sizes >= FEWEST) & (index.arrays["rare"] >= SAYS))
    rows = rounded(embed_words(model, words, look_up(words, model.vocabulary), offsets[wanted], offsets[wanted + 1]))
    doubled = np.clip(np.rint(np.log2(sizes[wanted] / LEAST)), 0, DOUBLED).astype(np.int64)
    return Meant({LEAST << int(n): (wanted[doubled == n], rows[doubled == n]) for n in np.unique(doubled)})


def nearest(split: Words, model: Vectors, items: Meant) -> Near:
    """Return the nearest item of each stretch of each text; of items that are as near, the first."""
    some, documents = spoken(split)
    words = split.lowers[some]
    ids = look_up(words, model.vocabulary)
    none = np.zeros(0, np.int64)
    found = [Near(none, none, none, none, np.zeros(0))]
    for size, (numbers, rows) in items.by_size.items():
        text, first, end = stretches(documents, size)
        for at in range(0, text.size, STRETCHES):
            part = slice(at, at + STRETCHES)
            best, cosine = _compared(rounded(embed_words(model, words, ids, first[part], end[part])), rows)
            found.append(Near(text[part], first[part], end[part], numbers[best], cosine))
    text, first, end, item = (np.concatenate([getattr(one, name) for one in found]) for name in ("text", "first", "end", "item"))
    where = np.flatnonzero(some)
    return Near(text, where[first], where[end - 1] + 1, item, np.concatenate([one.cosine for one in found]))


def stretches(documents: Offsets, size: int) -> tuple[Offsets, Offsets, Offsets]:
    """Return text, first word and the one behind the last of each stretch of so many words, the next one half as far on; the last ends with its text.

    A text of fewer words is one stretch, unless it has not half of them.
    """
    words, step = np.diff(documents), size // 2
    count = np.where(words * 2 >= size, 1 + np.maximum(0, -((size - words) // step)), 0)
    text = np.repeat(np.arange(words.size), count)
    number = np.arange(text.size) - np.repeat(np.cumsum(count) - count, count)
    start = np.minimum(number * step, np.maximum(words[text] - size, 0))
    return text, documents[text] + start, documents[text] + np.minimum(start + size, words[text])


def _compared(stretch: Bytes, items: Bytes) -> tuple[Offsets, Doubles]:
    """Return the nearest item of each stretch and the cosine. All products are whole numbers, and what is done to them goes by number, not by block."""
    wide, inverse = stretch.astype(np.float32), (1 / lengths(items)).astype(np.float32)
    rows = np.arange(len(stretch))
    best, most = np.zeros(len(stretch), np.int64), np.full(len(stretch), -np.inf, np.float32)
    for at in range(0, len(items), ITEMS):
        part = slice(at, at + ITEMS)
        dots = wide @ items[part].astype(np.float32).T
        dots *= inverse[part]
        top = dots.argmax(axis=1)
        nearer = dots[rows, top] > most
        best[nearer], most[nearer] = top[nearer] + at, dots[rows, top][nearer]
    products = np.einsum("ij,ij->i", wide, items[best].astype(np.float32)).astype(np.float64)
    return best, products / (lengths(stretch) * lengths(items[best]))
