"""A document as the set of its word n-grams, hashed: what near-duplicate search compares.

Words are in small letters, what is punctuation alone is left out, and a document of fewer than n words is one gram of all
that it has; one of none has no gram and is nobody's duplicate. In source code signs and capitals count: they are tokens as words are.
"""

import numba
import numpy as np
import numpy.typing as npt

from catalog.errors import RecipeError, near
from catalog.schema import mix64
from catalog.split import PUNCT, SYMBOL, Words
from curate.knobs import TOKENS

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
BLOCK = 2048
"""Grams that stay in the first-level cache while all hash functions pass over them."""

Hashes = npt.NDArray[np.uint64]
Offsets = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Signatures = npt.NDArray[np.uint32]

SIGN = SYMBOL | PUNCT


def counted(words: Words, tokens: str) -> tuple[Hashes, Bytes]:
    """Return the hashes that count, and the flags that leave words out. Raises RecipeError for tokens that it does not know."""
    if tokens not in TOKENS:
        raise RecipeError(f"tokens: {tokens!r}{near(str(tokens), TOKENS)}; write words, or code where signs and capitals count")
    return (words.hashes, np.zeros_like(words.flags)) if tokens == "code" else (words.lowers, words.flags)


def said_of(tokens: str) -> tuple[tuple[str, str], ...]:
    """Return tokens as a knob in an address: none for words, whose tables stood there before there were others."""
    return () if tokens == "words" else (("tokens", tokens),)


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def _grams(lowers: Hashes, flags: Bytes, first: int, last: int, n: int, out: Hashes) -> int:
    """Write the n-gram hashes of words first..last to the front of `out`; return how many there are, repeats included."""
    count = 0
    for word in range(first, last):
        if not flags[word] & SIGN:
            out[count] = lowers[word]
            count += 1
    width = min(n, count)
    if width == 0:
        return 0
    for i in range(count - width + 1):
        h = np.uint64(0)
        for j in range(width):
            h = h * GOLDEN + out[i + j]
        out[i] = mix64(h)  # word i is not read again
    return count - width + 1


def signatures(words: Words, n: int, a: Hashes, b: Hashes, tokens: str = "words") -> tuple[Signatures, npt.NDArray[np.bool_]]:
    """Return MinHash signatures [documents, functions] and which documents have any gram.

    Hash function k is the upper half of a[k] * x + b[k] in 64 bits (multiply-shift, Dietzfelbinger 1997); a must be odd.
    """
    found: tuple[Signatures, npt.NDArray[np.bool_]] = _signatures(words.documents, *counted(words, tokens), n, a, b)
    return found


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def _signatures(documents: Offsets, lowers: Hashes, flags: Bytes, n: int, a: Hashes, b: Hashes) -> tuple[Signatures, npt.NDArray[np.bool_]]:
    count = documents.size - 1
    out, some = np.empty((count, a.size), np.uint32), np.zeros(count, np.bool_)
    grams, least = np.empty(longest_of(documents), np.uint64), np.empty(a.size, np.uint64)
    for d in range(count):
        total = _grams(lowers, flags, documents[d], documents[d + 1], n, grams)
        least[:] = np.uint64(0xFFFFFFFFFFFFFFFF)
        for start in range(0, total, BLOCK):
            block = grams[start : min(start + BLOCK, total)]
            for k in range(a.size):
                factor, term, smallest = a[k], b[k], least[k]
                for i in range(block.size):  # the upper half of the smallest is the smallest of the upper halves
                    smallest = min(smallest, factor * block[i] + term)
                least[k] = smallest
        some[d] = total > 0
        for k in range(a.size):
            out[d, k] = np.uint32(least[k] >> np.uint64(32))
    return out, some


def gram_sets(words: Words, n: int, tokens: str = "words") -> tuple[Hashes, Offsets]:
    """Return the distinct grams of each document in rising order, end to end, and n + 1 offsets."""
    found: tuple[Hashes, Offsets] = _gram_sets(words.documents, *counted(words, tokens), n)
    return found


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def _gram_sets(documents: Offsets, lowers: Hashes, flags: Bytes, n: int) -> tuple[Hashes, Offsets]:
    out, offsets = np.empty(lowers.size + 1, np.uint64), np.zeros(documents.size, np.int64)
    grams = np.empty(longest_of(documents), np.uint64)
    count = 0
    for d in range(documents.size - 1):
        total = _grams(lowers, flags, documents[d], documents[d + 1], n, grams)
        grams[:total].sort()
        for i in range(total):
            if i == 0 or grams[i] != grams[i - 1]:
                out[count] = grams[i]
                count += 1
        offsets[d + 1] = count
    return out[:count], offsets


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def longest_of(documents: Offsets) -> int:
    """Return how many words the longest document has, 1 at least."""
    longest = 1
    for d in range(documents.size - 1):
        longest = max(longest, documents[d + 1] - documents[d])
    return longest


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def jaccards(grams: Hashes, offsets: Offsets, a: Offsets, b: Offsets) -> npt.NDArray[np.float64]:
    """Return the Jaccard of the gram sets a[i] and b[i]: what both have over what either has, 0 where both are empty."""
    out = np.zeros(a.size, np.float64)
    for pair in range(a.size):
        i, j, both = offsets[a[pair]], offsets[b[pair]], 0
        i_end, j_end = offsets[a[pair] + 1], offsets[b[pair] + 1]
        either = i_end - i + j_end - j
        while i < i_end and j < j_end:
            if grams[i] == grams[j]:
                both += 1
                i += 1
                j += 1
            elif grams[i] < grams[j]:
                i += 1
            else:
                j += 1
        if either:
            out[pair] = both / (either - both)
    return out
