"""Windows of words as numbers: fingerprints that two equal windows must share, and the hashes that tell windows apart.

A window is `tokens` words one behind the other, each by the hash of how it is written. Its fingerprint is the smallest hash of
the runs of `gram(tokens)` words inside it (Schleimer, Wilkerson and Aiken 2003, "Winnowing"): a function of the window alone, so
that equal windows have equal fingerprints, and the same for neighbours mostly, so that a text has few (.074 a word at 50).
"""

import numba
import numpy as np
import numpy.typing as npt

from catalog.eight import characters_in
from catalog.schema import mix64
from catalog.split import Bytes, Words
from curate.grams import GOLDEN, longest_of

Hashes = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

PRIME = np.uint64((1 << 61) - 1)
BASE = np.uint64(0x1B873593CC9E2D51 % ((1 << 61) - 1))
HALF, THIRTY = np.uint64((1 << 31) - 1), np.uint64((1 << 30) - 1)
PLACE_BITS = 32
"""A place is a document's number << 32 | the number of a word in it."""


def gram(tokens: int) -> int:
    """Return how many words a fingerprint is of: half a window. A shorter one is met by chance, a longer one leaves more of them."""
    return max(1, tokens // 2)


def fingerprints(words: Words, wanted: Flags, scopes: Ints, tokens: int) -> tuple[Ints, Ints]:
    """Return the fingerprints of the windows of a batch's wanted documents, and the document of each. Those of other scopes are others.

    Neighbours with the same one count once; of a value that comes again and again at once, two stand for all.
    """
    found: tuple[Ints, Ints] = _fingerprints(words.documents, words.hashes, wanted, scopes, tokens, gram(tokens))
    return found


def windows(words: Words, scopes: Ints, tokens: int, repeated: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Return key, check, document and first word of each window whose fingerprint is among `repeated`, which rise.

    Equal windows of one scope have the same key and check, 126 bits together; others differ in them, but for chance.
    """
    found: tuple[Ints, Ints, Ints, Ints] = _windows(words.documents, words.hashes, scopes, tokens, gram(tokens), repeated)
    return found


@numba.njit(cache=True, nogil=True, inline="always")  # type: ignore[misc, unused-ignore]
def _times(a: np.uint64, b: np.uint64) -> np.uint64:
    """Return a * b modulo 2^61 - 1, for a and b below it."""
    high_a, low_a = a >> np.uint64(31), a & HALF
    high_b, low_b = b >> np.uint64(31), b & HALF
    middle = low_a * high_b + high_a * low_b
    x = high_a * high_b * np.uint64(2) + (middle >> np.uint64(30)) + ((middle & THIRTY) << np.uint64(31)) + low_a * low_b
    x = (x & PRIME) + (x >> np.uint64(61))
    return x - PRIME if x >= PRIME else x


@numba.njit(cache=True, nogil=True, inline="always")  # type: ignore[misc, unused-ignore]
def _small(x: np.uint64) -> np.uint64:
    x = (x & PRIME) + (x >> np.uint64(61))
    return x - PRIME if x >= PRIME else x


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def _rolling(hashes: Hashes, first: int, last: int, width: int, out: Hashes) -> int:
    """Write the hash of each run of `width` words among first..last to `out`; return how many there are.

    Polynomials modulo 2^61 - 1: modulo 2^64 there are short texts that collide whatever the base (Thue-Morse).
    """
    count = last - first - width + 1
    if count <= 0:
        return 0
    gone = np.uint64(1)
    for _ in range(width):
        gone = _times(gone, BASE)
    h = np.uint64(0)
    for i in range(width):
        h = _small(_times(h, BASE) + _small(hashes[first + i]))
    out[0] = mix64(h) >> np.uint64(1)
    for i in range(1, count):
        h = _times(h, BASE) + _small(hashes[first + i + width - 1])
        h = _small(h + PRIME - _times(_small(hashes[first + i - 1]), gone))
        out[i] = mix64(h) >> np.uint64(1)
    return count


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def _smallest(values: Hashes, count: int, width: int, queue: Ints, out: Ints) -> int:
    """Write where the smallest of each `width` neighbours stands, the leftmost of equals, to `out`; return how many there are.

    The places that may yet be smallest stand in a queue, so a step is paid for once, whatever the values.
    """
    head = tail = 0
    for i in range(count):
        while tail > head and values[queue[tail - 1]] > values[i]:
            tail -= 1
        queue[tail] = i
        tail += 1
        if queue[head] <= i - width:
            head += 1
        if i >= width - 1:
            out[i - width + 1] = queue[head]
    return max(0, count - width + 1)


@numba.njit(cache=True, nogil=True, inline="always")  # type: ignore[misc, unused-ignore]
def _scoped(key: np.uint64, scope: np.int64) -> np.int64:
    """Return a key of 63 bits, another one in each scope."""
    return np.int64(key if scope == 0 else mix64(key ^ np.uint64(scope)) >> np.uint64(1))


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def _fingerprints(documents: Ints, hashes: Hashes, wanted: Flags, scopes: Ints, tokens: int, width: int) -> tuple[Ints, Ints]:
    longest = longest_of(documents)
    grams, queue, places = np.empty(longest, np.uint64), np.empty(longest, np.int64), np.empty(longest, np.int64)
    keys, owners = np.empty(hashes.size, np.int64), np.empty(hashes.size, np.int64)
    made = 0
    for d in range(documents.size - 1):
        if not wanted[d] or documents[d + 1] - documents[d] < tokens:
            continue
        count = _rolling(hashes, documents[d], documents[d + 1], width, grams)
        count = _smallest(grams, count, tokens - width + 1, queue, places)
        begun = made
        for i in range(count):
            if i > 0 and places[i] == places[i - 1]:
                continue
            key = _scoped(grams[places[i]], scopes[d])
            if made - begun >= 2 and keys[made - 1] == key and keys[made - 2] == key:
                continue
            keys[made], owners[made] = key, d
            made += 1
    return keys[:made].copy(), owners[:made].copy()


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def _windows(documents: Ints, hashes: Hashes, scopes: Ints, tokens: int, width: int, repeated: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    longest = longest_of(documents)
    grams, whole = np.empty(longest, np.uint64), np.empty(longest, np.uint64)
    queue, smallest = np.empty(longest, np.int64), np.empty(longest, np.int64)
    keys, checks = np.empty(hashes.size, np.int64), np.empty(hashes.size, np.int64)
    owners, places = np.empty(hashes.size, np.int64), np.empty(hashes.size, np.int64)
    made = 0
    gone = np.uint64(1)
    for _ in range(tokens):
        gone *= GOLDEN
    for d in range(documents.size - 1):
        first, last = documents[d], documents[d + 1]
        if last - first < tokens:
            continue
        count = _smallest(grams, _rolling(hashes, first, last, width, grams), tokens - width + 1, queue, smallest)
        _rolling(hashes, first, last, tokens, whole)
        check, met, before = np.uint64(0), False, -1
        for i in range(tokens):
            check = check * GOLDEN + hashes[first + i]
        for i in range(count):
            if i > 0:
                check = check * GOLDEN + hashes[first + i + tokens - 1] - hashes[first + i - 1] * gone
            if smallest[i] != before:
                before = smallest[i]
                key = _scoped(grams[before], scopes[d])
                at = np.searchsorted(repeated, key)
                met = at < repeated.size and repeated[at] == key
            if met:
                keys[made], checks[made], owners[made], places[made] = _scoped(whole[i], scopes[d]), np.int64(mix64(check) >> np.uint64(1)), d, i
                made += 1
    return keys[:made].copy(), checks[:made].copy(), owners[:made].copy(), places[:made].copy()


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def ordered(keys: Ints, low: int) -> Ints:
    """Return the order of keys of 63 bits by their bits from `low` on: a radix sort, several times as fast as comparing."""
    order, moved = np.arange(keys.size), np.empty(keys.size, np.int64)
    now, then = keys.copy(), np.empty(keys.size, np.int64)
    counts = np.empty(2049, np.int64)
    for shift in range(low, 63, 11):
        counts[:] = 0
        for i in range(now.size):
            counts[(now[i] >> shift & 2047) + 1] += 1
        for digit in range(2048):
            counts[digit + 1] += counts[digit]
        for i in range(now.size):
            digit = now[i] >> shift & 2047
            then[counts[digit]], moved[counts[digit]] = now[i], order[i]
            counts[digit] += 1
        order, moved, now, then = moved, order, then, now
    return order


ALIKE = 30
"""Keys that agree above this many bits are looked at together: all but a few of them agree in full."""


def firsts(keys: Ints, checks: Ints, places: Ints, inside: bool = True) -> Ints:
    """Return, for each window, the smallest place where it stands, -1 where it stands at one place alone, or (unless `inside`) in one document."""
    found: Ints = _firsts(ordered(keys, ALIKE), keys, checks, places, inside)
    return found


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def _firsts(order: Ints, keys: Ints, checks: Ints, places: Ints, inside: bool) -> Ints:
    out = np.full(keys.size, -1, np.int64)
    start = 0
    while start < order.size:
        end, alike, first = start + 1, True, order[start]
        while end < order.size and keys[order[end]] >> ALIKE == keys[first] >> ALIKE:
            alike = alike and keys[order[end]] == keys[first] and checks[order[end]] == checks[first]
            end += 1
        group = order[start:end]
        if not alike:  # other windows among them: by key, and one key of several windows (1 in 2^63) by check
            group = group[np.argsort(checks[group])]
            group = group[np.argsort(keys[group], kind="mergesort")]
        i = 0
        while i < group.size:
            j, least, most = i + 1, places[group[i]], places[group[i]]
            while j < group.size and keys[group[j]] == keys[group[i]] and checks[group[j]] == checks[group[i]]:
                least, most = min(least, places[group[j]]), max(most, places[group[j]])
                j += 1
            if least != most if inside else least >> PLACE_BITS != most >> PLACE_BITS:
                for k in range(i, j):
                    out[group[k]] = least
            i = j
        start = end
    return out


def joined(places: Ints, firsts: Ints, counts: Ints) -> tuple[Ints, Ints, Ints]:
    """Return runs (place, first place, windows), of places that rise, with those made one that go on where another ends."""
    if not places.size:
        return places, firsts, counts
    on = (places[1:] == places[:-1] + counts[:-1]) & (firsts[1:] == firsts[:-1] + counts[:-1])
    heads = np.flatnonzero(np.concatenate([[True], ~on]))
    return places[heads], firsts[heads], np.add.reduceat(counts, heads)


def stretches(places: Ints, firsts: Ints, counts: Ints) -> tuple[Ints, Ints, Ints]:
    """Return runs parted so that any two are of the same windows or of none in common.

    A run is parted where, in the coordinates of the document that its windows first stand in, any run begins or ends.
    """
    borders = np.unique(np.concatenate([firsts, firsts + counts]))
    low, high = np.searchsorted(borders, firsts), np.searchsorted(borders, firsts + counts)
    parts = high - low
    owner = np.repeat(np.arange(places.size), parts)
    border = np.arange(owner.size) - np.repeat(np.cumsum(parts) - parts, parts) + np.repeat(low, parts)
    begin, end = borders[border], borders[border + 1]
    return places[owner] + begin - firsts[owner], begin, end - begin


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def in_characters(data: Bytes, texts: Ints, documents: Ints, starts: Ints, ends: Ints, owners: Ints, words: Ints, counts: Ints) -> tuple[Ints, Ints, Ints]:
    """Return start and end in characters of stretches of words, and how many characters of each text they cover.

    Stretch i is words[i] .. words[i] + counts[i] of the text owners[i]; both its ends rise inside a text.
    """
    out_starts, out_ends, covered = np.empty(owners.size, np.int64), np.empty(owners.size, np.int64), np.zeros(texts.size - 1, np.int64)
    owner = at = char = end_at = end_char = -1
    for i in range(owners.size):
        if owners[i] != owner:
            owner = owners[i]
            at = end_at = texts[owner]
            char = end_char = 0
        start, end = starts[documents[owner] + words[i]], ends[documents[owner] + words[i] + counts[i] - 1]
        before = end_char
        char += characters_in(data, at, start)
        end_char += characters_in(data, end_at, end)
        at, end_at = start, end
        out_starts[i], out_ends[i] = char, end_char
        covered[owner] += end_char - max(before, char)
    return out_starts, out_ends, covered
