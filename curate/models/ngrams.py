"""Counting n-grams, and modified Kneser-Ney smoothing (Chen and Goodman 1998, section 3), interpolated, as kenlm's lmplz does it.

Nothing is counted in a dictionary: the places of all words are sorted by the word that stands there, then the word before it, and
so on. So the places of one n-gram, of whatever order, lie side by side, and so do the n-grams that differ in their first
word alone, whose number is what Kneser-Ney counts in place of occurrences. Memory: about 20 bytes a word of text, 20 bytes an
n-gram that is kept, and 12 bytes for each n-gram of the one order that is being worked on.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.errors import InputError
from catalog.split import SPLITTER, Bytes
from curate.models.lookup import Gram, Model, assemble
from curate.models.vocabulary import BOS, EOS, MISSING, MOST, SPECIAL, UNK, Ids, Numbering, paragraphs, sentences, split_texts

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

ORDERS = range(1, 7)
FALLBACK = (0.5, 1.0, 1.5)
"""lmplz's discounts for an order on which the closed form fails, which it does on little or artificial text."""


def train(
    batches: Iterable[pl.Series], *, order: int = 3, case: str = "lower", min_count: int = 1, max_words: int = 2_000_000,
    prune: Sequence[int] = (0, 0, 1), fallback: tuple[float, float, float] | None = FALLBACK, about: Mapping[str, Any] | None = None,
) -> Model:  # fmt: skip
    """Return a model of the texts in `batches`, columns of strings that are read once. Their order says nothing: texts and batches may come in any.

    order       words in the longest n-gram, 1 to 6
    case        `lower` takes words in small letters, `written` as they are
    min_count   words that occur less often become <unk>, which is then a word like any other; 1 keeps all, and <unk> is what no text had
    max_words   and so do all but so many of the commonest; of words that are as common the first by their letters (code points) stay
    prune       per order, n-grams that occur at most so often are left out and their mass goes to shorter ones; the last number holds
                for all longer orders, the first is 0. (0, 0, 1) is lmplz's --prune 0 0 1
    fallback    the discounts D1, D2, D3+ for orders on which those of Chen and Goodman (eq. 26) are not defined; None raises instead
    about       what the caller wants to remember, such as the query that chose the texts: kept in `meta["about"]`

    Raises InputError on knobs out of range, on text without a word and, without `fallback`, on counts that give no discounts.
    """
    if order not in ORDERS:
        raise InputError(f"order is {order}; it can be {ORDERS.start} to {ORDERS.stop - 1}")
    limits = thresholds(prune, order)
    numbering = Numbering(case)
    stream = _read(batches, numbering, max(order - 1, 1))
    if stream.size == 0:
        raise InputError("there is no word in the texts to train on; give at least one text that is not empty")
    words, stream, total = _renumber(numbering.words(), stream, min_count, max_words)
    order = min(order, _longest(stream) + 1)
    grams, discounts, fallen = smooth(stream, len(words), limits[:order], fallback)
    meta = {
        "case": case, "splitter": SPLITTER, "min_count": min_count, "prune": limits[:order], "words": total,
        "discounts": discounts, "fallback": fallen, "smoothing": "modified Kneser-Ney", "closed": True, "about": dict(about or {}),
    }  # fmt: skip
    return assemble(words, grams, meta)


def thresholds(prune: Sequence[int], order: int) -> list[int]:
    """Return the pruning thresholds of all orders. They may not fall: a longer n-gram may not stay where a part of it goes."""
    filled = [*prune, *[prune[-1] if prune else 0] * order][:order]
    if filled[0] != 0 or sorted(filled) != filled:
        raise InputError(f"prune is {list(prune)}; it must begin with 0 and never fall, as in 0, 0, 1 (min_count is what leaves out words)")
    return filled


def _read(batches: Iterable[pl.Series], numbering: Numbering, pad: int) -> Ids:
    """Return all paragraphs in `numbering`, moved up by three for what is special."""
    pieces, size = [np.empty(0, np.uint32)], 0
    for texts in batches:
        split = split_texts(texts)
        firsts, _ = paragraphs(split.data, split.starts, split.ends, split.documents)
        pieces.append(sentences(numbering.add(split) + np.uint32(len(SPECIAL)), firsts, pad))
        size += pieces[-1].size
        if size > MOST:
            raise InputError(f"more than {MOST} words to train on; give a sample of the texts")
    return np.concatenate(pieces)


def _renumber(words: pl.Series, stream: Ids, min_count: int, max_words: int) -> tuple[pl.Series, Ids, int]:
    """Return the vocabulary, the stream in its numbers, and how many words that is.

    The special words come first, then the commonest, those as common by their letters: so numbers, and all that is sorted and summed by them,
    are those of the texts, in whatever order these were read.
    """
    counts = np.bincount(stream, minlength=len(words) + len(SPECIAL))[len(SPECIAL) :]
    kept = np.lexsort((words.rank("ordinal").to_numpy(), -counts))[: max(0, max_words)]
    kept = kept[counts[kept] >= min_count]
    numbers = np.zeros(len(words) + len(SPECIAL), np.uint32)
    numbers[[BOS, EOS]] = BOS, EOS
    numbers[kept + len(SPECIAL)] = np.arange(kept.size, dtype=np.uint32) + len(SPECIAL)
    return pl.concat([pl.Series("word", SPECIAL, pl.String), words.gather(kept)]), numbers[stream], int(counts.sum())


def _longest(stream: Ids) -> int:
    """Return the words of the longest paragraph, its </s> with them: no n-gram is longer than those and <s>."""
    ends = np.flatnonzero(stream == EOS)
    begins = np.flatnonzero(stream == BOS)
    last = begins[np.searchsorted(begins, ends) - 1]
    return int((ends - last).max())


def smooth(stream: Ids, n_words: int, limits: list[int], fallback: tuple[float, float, float] | None) -> tuple[list[Gram], list[list[float]], list[int]]:
    """Return the n-grams of all orders with their log10 probabilities and backoffs, the discounts, and the orders that fell back."""
    order = len(limits)
    places = suffix_order(stream, order, n_words)
    shared = shared_words(stream, places, order)
    grams: list[Gram] = []
    discounts, fallen = [], []
    lower, rank = np.empty(0), np.empty(0, np.uint32)
    for n in range(1, order + 1):
        firsts, counts, kept, ranks = runs(stream, places, shared, n, order, limits[n - 1])
        discount, found = discounts_of(counts, n, fallback)
        discounts.append(discount[1:].tolist())
        fallen += [] if found else [n]
        if n == 1:
            gram, lower = _unigrams(stream[firsts], counts, discount, n_words)
        else:
            contexts, parents = (stream[firsts - 1], stream[firsts]) if n == 2 else (rank[firsts - 1], rank[firsts])
            share, total = shares(contexts, counts, kept, discount, lower.size)
            grams[-1] = grams[-1].backed(_log(np.divide(share, total, out=np.ones_like(total), where=total > 0)))
            lower = interpolate(contexts[kept], counts[kept], parents[kept], discount, share, total, lower)
            gram = Gram(contexts[kept], stream[firsts[kept]], _log(lower), np.zeros(lower.size, np.float32))
        grams.append(gram)
        rank = ranks
    return grams, discounts, fallen


def _unigrams(words: Ids, counts: Ids, discount: Floats, n_words: int) -> tuple[Gram, Floats]:
    """Return the unigrams, interpolated with the uniform distribution over all words but <s> (which is never predicted: p = 1)."""
    adjusted = np.zeros(n_words)
    adjusted[words] = counts
    taken = discount[np.minimum(adjusted, 3).astype(np.int64)]
    probability = (adjusted - taken + taken.sum() / (n_words - 1)) / adjusted.sum()
    probability[BOS] = 1
    numbers = np.arange(n_words, dtype=np.uint32)
    return Gram(numbers, numbers, _log(probability), np.zeros(n_words, np.float32)), probability


def _log(values: Floats) -> npt.NDArray[np.float32]:
    """Return log10, at most 0. What has no mass at all gets -99, as ARPA files write it."""
    return np.log10(np.clip(values, 1e-99, 1)).astype(np.float32)


def discounts_of(counts: Ids, n: int, fallback: tuple[float, float, float] | None) -> tuple[Floats, bool]:
    """Return the discounts of counts 0, 1, 2, 3 and more (Chen and Goodman 1998, eq. 26), and whether the counts gave them."""
    _, one, two, three, four = (int(k) for k in np.bincount(np.minimum(counts, 5), minlength=6)[:5])
    if one and two and three:
        y = one / (one + 2 * two)
        found = np.array([0, 1 - 2 * y * two / one, 2 - 3 * y * three / two, 3 - 4 * y * four / three])
        if (found >= 0).all() and (found <= np.arange(4)).all():
            return found, True
    if fallback is None:
        raise InputError(f"no discounts for {n}-grams: {one}, {two}, {three} and {four} of them have counts 1 to 4; give more text, or fallback discounts")
    return np.array([0.0, *fallback]), False


def suffix_order(stream: Ids, order: int, n_words: int) -> Ids:
    """Return the places of all words but <s>, sorted by word, word before it, and so on, `order` words in all."""
    here = np.flatnonzero(stream != BOS).astype(np.uint32)
    there = np.empty_like(here)
    for back in range(order - 1, -1, -1):
        for shift in range(0, max(1, int(n_words - 1).bit_length()), 11):
            _by_digit(stream, here, there, back, shift)
            here, there = there, here
    return here


@numba.njit(cache=True, nogil=True)
def _by_digit(stream: Ids, here: Ids, there: Ids, back: int, shift: int) -> None:
    """Sort places by eleven bits of the word that stands `back` words before each, those of equal bits staying in order."""
    room = np.zeros(2049, np.int64)
    for at in range(back, stream.size):
        if stream[at] != BOS:
            room[(stream[at - back] >> shift & 2047) + 1] += 1
    for digit in range(2048):
        room[digit + 1] += room[digit]
    for k in range(here.size):
        digit = stream[here[k] - back] >> shift & 2047
        there[room[digit]] = here[k]
        room[digit] += 1


@numba.njit(cache=True, nogil=True)
def shared_words(stream: Ids, places: Ids, order: int) -> Bytes:
    """Return how many words each place shares with the one before it, counted back from the place, at most `order`."""
    out = np.zeros(places.size, np.uint8)
    for k in range(1, places.size):
        same = 0
        while same < order and stream[places[k] - same] == stream[places[k - 1] - same]:
            same += 1
        out[k] = same
    return out


@numba.njit(cache=True, nogil=True)
def runs(stream: Ids, places: Ids, shared: Bytes, n: int, order: int, limit: int) -> tuple[Ids, Ids, Flags, Ids]:
    """Return each n-gram's first place, its count and whether it is kept; and for every place its n-gram's number among those kept.

    The count is how often it occurs for the longest n-grams and those that begin with <s>, and for others how many
    words stand before it. What occurs at most `limit` times is not kept (single words always are). <s> stands at the start alone.
    """
    total = 0
    for k in range(places.size):
        total += shared[k] < n and (n == 1 or stream[places[k] - n + 2] != BOS)
    firsts, counts, kept = np.empty(total, np.uint32), np.empty(total, np.uint32), np.empty(total, np.bool_)
    rank = np.full(stream.size, np.uint32(MISSING), np.uint32)
    run, number, k = 0, 0, 0
    while k < places.size:
        first, extensions = k, 0
        while k < places.size and (k == first or shared[k] >= n):
            extensions += k == first or shared[k] <= n
            k += 1
        place = places[first]
        if n > 1 and stream[place - n + 2] == BOS:
            continue
        whole = n == order or (n > 1 and stream[place - n + 1] == BOS)
        firsts[run], counts[run] = place, k - first if whole else extensions
        kept[run] = n == 1 or k - first > limit
        if kept[run]:
            for j in range(first, k):
                rank[places[j]] = number
            number += 1
        run += 1
    return firsts, counts, kept, rank


@numba.njit(cache=True, nogil=True)
def shares(contexts: Ids, counts: Ids, kept: Flags, discount: Floats, size: int) -> tuple[Floats, Floats]:
    """Return, a context each: the mass that discounts and pruning free (times the total), and the total of its counts.

    Their ratio is gamma (Chen and Goodman 1998, section 3; with pruning as in Heafield's lmplz): the context's backoff.
    """
    share, total = np.zeros(size), np.zeros(size)
    for k in range(contexts.size):
        if contexts[k] != np.uint32(MISSING):
            total[contexts[k]] += counts[k]
            share[contexts[k]] += discount[min(counts[k], 3)] if kept[k] else counts[k]
    return share, total


@numba.njit(cache=True, nogil=True)
def interpolate(contexts: Ids, counts: Ids, parents: Ids, discount: Floats, share: Floats, total: Floats, lower: Floats) -> Floats:
    """Return p(w | context) = (count - discount) / total + gamma * p(w | shorter context)."""
    out = np.empty(contexts.size)
    for k in range(contexts.size):
        c = contexts[k]
        out[k] = (counts[k] - discount[min(counts[k], 3)] + share[c] * lower[parents[k]]) / total[c]
    return out


assert (UNK, BOS, EOS) == (0, 1, 2), "the kernels count on these places"
