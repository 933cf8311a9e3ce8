"""Word vectors of a corpus, made of nothing but its own counts: which words stand near which, and the directions in which they differ most.

1. Two words meet when at most WINDOW words apart in a document; a meeting at distance d counts WINDOW + 1 - d, whole numbers as in the windows of
   word2vec, so that sums do not depend on the order in which texts come.
2. A count becomes positive pointwise mutual information, with contexts smoothed by a power of .75 (Levy, Goldberg and Dagan 2015).
3. The leading subspace of that matrix is found by block power iteration from random signs (Halko, Martinsson and Tropp 2011).

Nothing here calls BLAS: every sum has one order, so that a model is the same bit by bit on any machine and under any number of threads.
"""

import numba
import numpy as np
import numpy.typing as npt

from catalog.schema import mix64
from catalog.split import Offsets
from curate.models.vocabulary import Ids

WINDOW = 8
SMOOTHING = 0.75
ROUNDS = 4
"""Times that the block is multiplied by the matrix: the directions hardly turn after that."""

NOBODY = 0xFFFFFFFF
"""In a stream of numbers: a word that is not in the vocabulary."""
BORDER = 0xFFFFFFFE
"""And the end of a document."""

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Columns = npt.NDArray[np.int32]


def factors(stream: Ids, words: int, dimensions: int, seed: int) -> Floats:
    """Return a vector [words, dimensions] for each word of a stream of numbers: an orthonormal basis of the leading subspace of its PPMI matrix."""
    starts, columns, values = ppmi(stream, words)
    start = random_signs(words, min(dimensions, words), np.uint64(seed))
    block: Floats = orthonormal(start)
    for _ in range(ROUNDS):
        block = orthonormal(times(starts, columns, values, block))
    if block.shape[1] < dimensions:  # a corpus of fewer words than dimensions
        block = np.concatenate([block, np.zeros((words, dimensions - block.shape[1]), np.float32)], axis=1)
    return block


def ppmi(stream: Ids, words: int) -> tuple[Offsets, Columns, Floats]:
    """Return the PPMI matrix of a stream by rows: where each begins, columns in rising order, values above 0."""
    places, firsts = by_word(stream, words)
    totals = meetings(stream, words)
    smoothed = totals.astype(np.float64) ** SMOOTHING
    context = np.log(smoothed / smoothed.sum() if smoothed.sum() else smoothed + 1)
    found: tuple[Offsets, Columns, Floats] = _ppmi(stream, places, firsts, totals, context)
    return found


@numba.njit(cache=True, nogil=True)
def by_word(stream: Ids, words: int) -> tuple[Offsets, Offsets]:
    """Return the places of each word, those of word 0 first, and where each word's begin (one more than there are words)."""
    firsts = np.zeros(words + 1, np.int64)
    for i in range(stream.size):
        if stream[i] < np.uint32(BORDER):
            firsts[stream[i] + 1] += 1
    for w in range(words):
        firsts[w + 1] += firsts[w]
    at, places = firsts.copy(), np.empty(firsts[words], np.int64)
    for i in range(stream.size):
        if stream[i] < np.uint32(BORDER):
            places[at[stream[i]]] = i
            at[stream[i]] += 1
    return places, firsts


@numba.njit(cache=True, nogil=True)
def meetings(stream: Ids, words: int) -> Offsets:
    """Return how often each word meets another, weighted by nearness."""
    out = np.zeros(words, np.int64)
    for i in range(stream.size):
        if stream[i] < np.uint32(BORDER):
            for j in range(i + 1, min(i + 1 + WINDOW, stream.size)):
                if stream[j] == np.uint32(BORDER):
                    break
                if stream[j] != np.uint32(NOBODY):
                    out[stream[i]] += WINDOW + 1 - (j - i)
                    out[stream[j]] += WINDOW + 1 - (j - i)
    return out


@numba.njit(cache=True, nogil=True)
def _row(stream: Ids, places: Offsets, counts: Offsets, met: Columns) -> int:
    """Count what one word meets, at all its places: `counts` by word, and the words with a count at the front of `met`."""
    distinct = 0
    for i in places:
        for step in (-1, 1):
            for d in range(1, WINDOW + 1):
                j = i + step * d
                if j < 0 or j >= stream.size or stream[j] == np.uint32(BORDER):
                    break
                if stream[j] != np.uint32(NOBODY):
                    other = stream[j]
                    if counts[other] == 0:
                        met[distinct] = other
                        distinct += 1
                    counts[other] += WINDOW + 1 - d
    return distinct


@numba.njit(cache=True, nogil=True)
def _ppmi(stream: Ids, places: Offsets, firsts: Offsets, totals: Offsets, context: Doubles) -> tuple[Offsets, Columns, Floats]:
    words = firsts.size - 1
    starts = np.zeros(words + 1, np.int64)
    columns, values = np.empty(1 << 16, np.int32), np.empty(1 << 16, np.float32)
    counts, met = np.zeros(words, np.int64), np.empty(words, np.int32)
    size = 0
    for w in range(words):
        distinct = _row(stream, places[firsts[w] : firsts[w + 1]], counts, met)
        if size + distinct > columns.size:
            wider = max(2 * columns.size, size + distinct)
            c, v = np.empty(wider, np.int32), np.empty(wider, np.float32)
            c[:size], v[:size] = columns[:size], values[:size]
            columns, values = c, v
        met[:distinct].sort()
        for k in range(distinct):
            other = met[k]
            value = np.log(counts[other] / totals[w]) - context[other]
            counts[other] = 0
            if value > 0:
                columns[size], values[size] = other, value
                size += 1
        starts[w + 1] = size
    return starts, columns[:size].copy(), values[:size].copy()


@numba.njit(cache=True, nogil=True)
def random_signs(rows: int, columns: int, seed: np.uint64) -> Floats:
    """Return a matrix of 1 and -1, drawn by a hash of the place."""
    out = np.empty((rows, columns), np.float32)
    for i in range(rows):
        for j in range(columns):
            drawn = mix64(mix64(seed + np.uint64(i)) + np.uint64(j))
            out[i, j] = 1.0 if drawn >> np.uint64(63) else -1.0
    return out


@numba.njit(cache=True, nogil=True)
def times(starts: Offsets, columns: Columns, values: Floats, block: Floats) -> Floats:
    """Return the product of a sparse matrix and a block of columns."""
    out = np.zeros(block.shape, np.float32)
    for i in range(starts.size - 1):
        for k in range(starts[i], starts[i + 1]):
            value, row = values[k], block[columns[k]]
            for j in range(block.shape[1]):
                out[i, j] += value * row[j]
    return out


@numba.njit(cache=True, nogil=True)
def orthonormal(block: Floats) -> Floats:
    """Return an orthonormal basis of a block's columns, by the Cholesky factor of its Gram matrix; a column that adds nothing becomes 0."""
    rows, n = block.shape
    gram = np.zeros((n, n), np.float64)
    line = np.empty(n, np.float64)
    for i in range(rows):
        line[:] = block[i]
        for a in range(n):
            if line[a] != 0:
                for b in range(a, n):
                    gram[a, b] += line[a] * line[b]
    upper = _cholesky(gram)
    out = np.empty(block.shape, np.float32)
    for i in range(rows):
        line[:] = block[i]
        for a in range(n):  # solve x * upper = line from the left
            x = line[a] / upper[a, a] if upper[a, a] > 0 else 0.0
            for b in range(a + 1, n):
                line[b] -= x * upper[a, b]
            out[i, a] = x
    return out


@numba.njit(cache=True, nogil=True)
def _cholesky(gram: Doubles) -> Doubles:
    """Return the upper factor u of a Gram matrix (upper half given): u'u = gram. A row of no weight is 0."""
    n = gram.shape[0]
    u = gram.copy()
    for a in range(n):
        for b in range(a):
            u[a, b] = 0.0
    for a in range(n):
        if u[a, a] <= 1e-9 * gram[a, a] or u[a, a] <= 0:
            u[a, a:] = 0.0
            continue
        pivot = np.sqrt(u[a, a])
        for b in range(a, n):
            u[a, b] /= pivot
        for c in range(a + 1, n):
            if u[a, c] != 0:
                for b in range(c, n):
                    u[c, b] -= u[a, c] * u[a, b]
    return u


def unit(rows: Floats) -> Floats:
    """Return rows with length 1; a row of zeros stays."""
    out: Floats = scaled(rows, np.ones(rows.shape[0], np.float32))
    return out


@numba.njit(cache=True, nogil=True)
def scaled(rows: Floats, lengths: Floats) -> Floats:
    """Return rows with these lengths; a row of zeros stays."""
    out = np.zeros(rows.shape, np.float32)
    for i in range(rows.shape[0]):
        square = 0.0
        for j in range(rows.shape[1]):
            square += rows[i, j] * rows[i, j]
        if square > 0:
            factor = lengths[i] / np.sqrt(square)
            for j in range(rows.shape[1]):
                out[i, j] = rows[i, j] * factor
    return out


@numba.njit(cache=True, nogil=True)
def leading(rows: Floats, rounds: int) -> Floats:
    """Return the direction in which rows are longest together (their first principal component, uncentred), by power iteration."""
    n = rows.shape[1]
    found = np.full(n, 1.0 / np.sqrt(n))
    for _ in range(rounds):
        turned = np.zeros(n)
        for i in range(rows.shape[0]):
            along = 0.0
            for j in range(n):
                along += rows[i, j] * found[j]
            for j in range(n):
                turned[j] += along * rows[i, j]
        length = np.sqrt((turned * turned).sum())
        if length == 0:
            return np.zeros(n, np.float32)
        found = turned / length
    return found.astype(np.float32)
