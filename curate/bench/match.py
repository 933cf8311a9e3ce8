"""Where items of an index stand in texts: probe, grow, weigh. All of it over word hashes; no text is looked at.

A text's words are probed by a bit filter, what passes by the table of seeds; from a seed the item and the text are read side by side in both
directions, over gaps of up to GAP words on either side, and what of the item was found is weighed by how rare its words are among items.
"""

from dataclasses import dataclass, fields

import numba
import numpy as np
import numpy.typing as npt

from catalog.schema import mix64
from catalog.split import Bytes, Offsets, Words
from curate.bench.index import ANSWER_WORDS, SEED, Hashes, Index, Places, Weights, bits_of
from curate.grams import GOLDEN, SIGN

GAP = 6
"""Words that may be missing, added or changed in a row; allenai/decon lets 11 of its 5-grams of tokens go by, which is about as far."""
ROOM = 20
"""Words behind a question at least in which its answer is looked for, as in allenai/decon; twice its own length where that is more."""

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Found:
    """What of items stands in texts, in order of text and place; one row a place of an item.

    text, item     numbers; size, rare: words of the item, and how many rare ones its words are worth
    first, end     its words in the text, as numbers among the words of all texts
    weighted, counted    share of the item that was found, by the weight of its words, and by their number; run: share that stands in runs of `ngram` words
    answer         share of its answer's words that stand behind it, -1 where it has none that says anything; answered: the word behind the last of these
    verbatim       all its words stand in one row
    """

    text: Offsets
    item: Offsets
    size: Offsets
    rare: Floats
    first: Offsets
    end: Offsets
    weighted: Floats
    counted: Floats
    run: Floats
    answer: Floats
    answered: Offsets
    verbatim: Flags

    def filter(self, chosen: Flags) -> "Found":
        return Found(*(getattr(self, one.name)[chosen] for one in fields(self)))


def match(split: Words, index: Index, ngram: int, least: float) -> Found:
    """Return every place of an item of which at least `least` (by weight) or a run of `ngram` words stands in a text."""
    a = index.arrays
    seeded = (a["table"], a["slots"], a["ends"], a["items"], a["places"], a["filter"])
    texts = (split.documents, split.lowers, split.flags)
    rows, shares = _match(texts, seeded, (a["words"], a["offsets"], a["weights"]), (a["answers"], a["answer_offsets"]), ngram, least)
    sizes = np.diff(a["offsets"])[rows[:, 1]]
    rare = a["rare"][rows[:, 1]].astype(np.float64)
    weighted, counted, run, answer = np.minimum(shares, 1.0).T
    return Found(rows[:, 0], rows[:, 1], sizes, rare, rows[:, 2], rows[:, 3], weighted, counted, run, answer, rows[:, 5], rows[:, 4] > 0)


def best(found: Found, score: Floats, owners: Places) -> Found:
    """Return what is no more than another item's stretch of the same benchmark: of two that share more than half of the words, the better scored.

    Items that were made by one template are much alike; an item that stands twice in a text stays twice.
    """
    order = np.lexsort((found.first, found.item, -score, owners[found.item], found.text))
    kept = apart(order, found.text, owners[found.item].astype(np.int64), found.first, found.end)
    return found.filter(kept)


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def apart(order: Offsets, texts: Offsets, owners: Offsets, first: Offsets, end: Offsets) -> Flags:
    """Say which stretches, taken in this order, are not mostly covered by those of their text and benchmark that were taken before."""
    kept = np.zeros(order.size, np.bool_)
    low = first.min() if first.size else 0
    taken = np.zeros(end.max() - low if end.size else 0, np.int64)
    group, text, owner = 0, np.int64(-1), np.int64(-1)
    for k in order:
        if texts[k] != text or owners[k] != owner:
            group, text, owner = group + 1, texts[k], owners[k]
        covered = 0
        for w in range(first[k] - low, end[k] - low):
            covered += taken[w] == group
        if 2 * covered <= end[k] - first[k]:
            kept[k] = True
            taken[first[k] - low : end[k] - low] = group
    return kept


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def _match(
    texts: tuple[Offsets, Hashes, Bytes], seeded: tuple[Hashes, Places, Places, Places, Places, Hashes], items: tuple[Hashes, Offsets, Weights],
    answers: tuple[Hashes, Offsets], ngram: int, least: float,
) -> tuple[Offsets, Floats]:  # fmt: skip
    """Rows of (text, item, first word, the one behind the last, whether verbatim, the one behind the answer), and their shares."""
    documents, lowers, flags = texts
    table, slots, ends, posted, at, sieve = seeded
    longest = 1
    for d in range(documents.size - 1):
        longest = max(longest, documents[d + 1] - documents[d])
    words, where = np.empty(longest, np.uint64), np.empty(longest, np.int64)
    done, text = np.zeros(items[1].size - 1, np.int64), np.full(items[1].size - 1, -1, np.int64)
    rows, shares, count = np.empty((16, 6), np.int64), np.empty((16, 4), np.float64), 0
    last = np.uint64(1)
    for _ in range(SEED):
        last = last * GOLDEN
    for d in range(documents.size - 1):
        n = _plain(lowers, flags, documents[d], documents[d + 1], words, where)
        h = np.uint64(0)
        for i in range(n):
            h = h * GOLDEN + words[i] - (last * words[i - SEED] if i >= SEED else np.uint64(0))
            slot = _slot(table, slots, sieve, h) if i >= SEED - 1 else -1
            if slot < 0:
                continue
            first = i - SEED + 1
            for p in range(ends[slot], ends[slot + 1]):
                item = np.int64(posted[p])
                if text[item] == d and first < done[item]:
                    continue
                start, end, share, number, run, verbatim = _grown(items, item, at[p], words, n, first, ngram)
                text[item], done[item] = d, end
                if share < least and run == 0:
                    continue
                if count == rows.shape[0]:
                    rows, shares = np.concatenate((rows, np.empty_like(rows))), np.concatenate((shares, np.empty_like(shares)))
                answer, answered = _answered(answers, item, words, n, end)
                rows[count] = d, item, where[start], where[end - 1] + 1, np.int64(verbatim), where[answered - 1] + 1
                shares[count] = share, number, run, answer
                count += 1
    return rows[:count], shares[:count]


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def _plain(lowers: Hashes, flags: Bytes, first: int, stop: int, words: Hashes, where: Offsets) -> int:
    """Write the words of a text that are not punctuation alone, and their numbers; return how many there are."""
    n: int = 0
    for w in range(first, stop):
        words[n], where[n] = lowers[w], w
        n += (flags[w] & SIGN) == 0
    return n


@numba.njit(cache=True, nogil=True, inline="always")  # type: ignore[misc, unused-ignore]
def _slot(table: Hashes, slots: Places, sieve: Hashes, h: np.uint64) -> int:
    """Return the number of the seed with this hash, -1 where there is none."""
    key = max(mix64(h), np.uint64(1))
    bits = bits_of(key)
    if sieve[np.int64(key & np.uint64(sieve.size - 1))] & bits != bits:
        return -1
    place = np.int64((key >> np.uint64(20)) & np.uint64(table.size - 1))
    while table[place] != 0 and table[place] != key:
        place = (place + 1) & (table.size - 1)
    return int(slots[place]) if table[place] else -1


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def _grown(
    items: tuple[Hashes, Offsets, Weights], item: int, at: int, words: Hashes, n: int, first: int, ngram: int
) -> tuple[int, int, float, float, float, bool]:
    """Grow a seed: its words are the item's from `at` on and the text's from `first` on.

    Returns the first word of the text and the one behind the last, the shares found by weight and by number, that in runs of `ngram`
    words, and whether it is whole.
    """
    theirs, offsets, weights = items
    begin, stop = offsets[item], offsets[item + 1]
    total = seed = 0.0
    for j in range(begin, stop):
        total += weights[j]
    for j in range(begin + at, begin + at + SEED):
        seed += weights[j]
    least = min(ngram, stop - begin)
    left = _reached(theirs, weights, begin + at - 1, begin - 1, words, first - 1, -1, -1, least)
    right = _reached(theirs, weights, begin + at + SEED, stop, words, first + SEED, n, 1, least)
    run = left[1] + SEED + right[1]
    inner = left[2] + seed + right[2] if run >= least else 0.0
    share = (left[0] + seed + right[0]) / total
    words_found = (left[5] + SEED + right[5]) / (stop - begin)
    return left[4] + 1, right[4], share, words_found, (inner + left[3] + right[3]) / total, run == stop - begin


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def _reached(
    theirs: Hashes, weights: Weights, a: int, a_stop: int, words: Hashes, b: int, b_stop: int, s: int, least: int
) -> tuple[float, int, float, float, int, int]:
    """Read an item from `a` and a text from `b` side by side, a step of `s` at a time, as long as they agree but for gaps.

    Returns the weight found, the words and the weight of the run at the start, the weight of later runs of `least` words, the place in the text
    behind the last word that agrees (before it, where s is -1), and how many words agree.
    """
    found = inner = run_weight = first_weight = 0.0
    run = first = count = 0
    opened, reach = True, b
    while a != a_stop and b != b_stop:
        if theirs[a] == words[b]:
            found += weights[a]
            run, run_weight, count = run + 1, run_weight + weights[a], count + 1
            a, b = a + s, b + s
            reach = b
            continue
        if opened:
            first, first_weight, opened = run, run_weight, False
        elif run >= least:
            inner += run_weight
        run, run_weight = 0, 0.0
        x, y = _met(theirs, a, a_stop, words, b, b_stop, s)
        if x + y == 0:
            break
        a, b = a + s * x, b + s * y
    if opened:
        first, first_weight = run, run_weight
    elif run >= least:
        inner += run_weight
    return found, first, first_weight, inner, reach, count


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def _met(theirs: Hashes, a: int, a_stop: int, words: Hashes, b: int, b_stop: int, s: int) -> tuple[int, int]:
    """Return over how many words of the item and of the text they agree again: the fewest; 0, 0 where they do not.

    One word that agrees is enough where as many stand on either side (words were changed); two in a row where not.
    """
    left, right = (a_stop - a) * s, (b_stop - b) * s
    for gap in range(1, 2 * GAP + 1):
        if gap % 2 == 0 and gap // 2 < min(left, right) and theirs[a + s * (gap // 2)] == words[b + s * (gap // 2)]:
            return gap // 2, gap // 2
        for x in range(max(0, gap - GAP), min(gap, GAP) + 1):
            y = gap - x
            if x == y or x >= left or y >= right or theirs[a + s * x] != words[b + s * y]:
                continue
            if x + 1 < left and y + 1 < right and theirs[a + s * (x + 1)] == words[b + s * (y + 1)]:
                return x, y
    return 0, 0


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def _answered(answers: tuple[Hashes, Offsets], item: int, words: Hashes, n: int, end: int) -> tuple[float, int]:
    """Return the share of an item's answer that stands in the words behind its question, -1 where the answer is too short to say anything; and the
    word behind the last of its words, each taken where it stands first.
    """
    theirs, offsets = answers
    size = offsets[item + 1] - offsets[item]
    if size < ANSWER_WORDS:
        return -1.0, end
    stop = min(n, end + max(2 * size, ROOM))
    there, last = 0, end
    for j in range(offsets[item], offsets[item + 1]):
        for i in range(end, stop):
            if words[i] == theirs[j]:
                there, last = there + 1, max(last, i + 1)
                break
    return there / size, last
