"""Words for scripts that are written without spaces: runs of letters joined to pieces that are as long as the words of the language.

The house's split (`catalog.split`) makes each Han, Kana, Thai, Lao, Khmer or Myanmar letter a word of its own. Rules that count words,
and runs of words, were set on words. A dictionary would find those at a thousandth of the speed (some 20,000 letters a second); what the
rules need is pieces of the right length, and the same pieces wherever the same letters stand, so that what repeats is seen to repeat.
So a piece ends between two letters where these two say so: by their scripts, or by a hash of the two that is below how often a word ends
there. Those shares are measured (docs/signals.md) with dictionaries: jieba for Chinese, Janome (IPADIC) for Japanese, newmm for Thai.
"""

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.schema import mix64
from catalog.split import ALONE, KIND, SPLITTER, Bytes, Hashes, Offsets, Small, Table, Words, characters, decode, hash_word
from catalog.stage import once, words

JOINED = f"{SPLITTER}+joined-1"

HAN, HIRAGANA, KATAKANA, OTHER = range(4)  # OTHER: Thai, and with its shares Lao, Khmer and Myanmar, which were not measured
ENDS_AFTER = np.array(
    [  # how often a word ends between a letter of one script (row) and one of another (column), in Japanese
        [0.24, 0.66, 1.0, 1.0],
        [1.0, 0.53, 1.0, 1.0],
        [1.0, 1.0, 0.0, 1.0],
        [1.0, 1.0, 1.0, 0.17],
    ]
)
HAN_ALONE = 0.52  # the same between two Han letters of a text without Kana
KANA = 0.1  # share of Kana among a text's Han and Kana from which it is Japanese
LONGEST = 12  # letters of a piece: katakana has no end of its own, and one letter may go on for ever


def spoken(batch: pl.DataFrame) -> tuple[Words, npt.NDArray[np.bool_]]:
    """Return the joined words of those of a batch's texts that have letters of unspaced scripts, no words of the others; and which texts these are.

    Made once for all the stages that see this very batch. The others' words are those of `words`: most batches are spared the copy.
    """
    found: tuple[Words, npt.NDArray[np.bool_]] = once("joined", batch, lambda: _spoken(words(batch)))
    return found


def counted(batch: pl.DataFrame) -> Offsets:
    """Return how many words each text of a batch has, letters of unspaced scripts joined."""
    pieces, there = spoken(batch)
    return np.where(there, np.diff(pieces.documents), np.diff(words(batch).documents))


def _spoken(split: Words) -> tuple[Words, npt.NDArray[np.bool_]]:
    there = _which(split.data, split.documents, split.starts, characters()[0])
    chosen = np.repeat(there, np.diff(split.documents))
    documents = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.where(there, np.diff(split.documents), 0))])
    columns = (split.starts, split.ends, split.hashes, split.lowers, split.lengths, split.flags)
    return joined(Words(split.data, split.texts, documents, *(column[chosen] for column in columns))), there


@numba.njit(cache=True, nogil=True)
def _which(data: Bytes, documents: Offsets, starts: Offsets, table: Table) -> npt.NDArray[np.bool_]:
    out = np.zeros(documents.size - 1, np.bool_)
    for d in range(documents.size - 1):
        out[d] = unspaced(data, starts[documents[d] : documents[d + 1]], table)
    return out


def joined(split: Words) -> Words:
    """Return a split with its letters of unspaced scripts joined to pieces; the very same split where there are none to join."""
    table, small = characters()
    firsts, documents = _pieces(split.data, split.documents, split.starts, split.ends, split.hashes, ENDS_AFTER, table)
    if firsts.size == split.starts.size:
        return split
    columns = _gathered(split.data, firsts, split.starts, split.ends, split.hashes, split.lowers, split.lengths, split.flags, small)
    return Words(split.data, split.texts, documents, *columns)


@numba.njit(cache=True, nogil=True)
def _pieces(
    data: Bytes, documents: Offsets, starts: Offsets, ends: Offsets, hashes: Hashes, shares: npt.NDArray[np.float64], table: Table
) -> tuple[Offsets, Offsets]:
    """Return the first word of each piece, and the n + 1 offsets of the documents' pieces."""
    firsts, owners = np.empty(starts.size, np.int64), np.zeros(documents.size, np.int64)
    scripts = np.empty(starts.size, np.int8)
    made = 0
    for d in range(documents.size - 1):
        if not unspaced(data, starts[documents[d] : documents[d + 1]], table):
            for w in range(documents[d], documents[d + 1]):
                firsts[made] = w
                made += 1
            owners[d + 1] = made
            continue
        han = kana = 0
        for w in range(documents[d], documents[d + 1]):
            scripts[w] = _script(data, starts[w], table)
            han += scripts[w] == HAN
            kana += scripts[w] == HIRAGANA or scripts[w] == KATAKANA
        chinese, first = kana < KANA * (han + kana), documents[d]
        for w in range(documents[d], documents[d + 1]):
            a, b = scripts[w - 1] if w > documents[d] else -1, scripts[w]
            together = a >= 0 and b >= 0 and ends[w - 1] == starts[w] and w - first < LONGEST
            if together:
                share = HAN_ALONE if chinese and a == HAN and b == HAN else shares[a, b]
                told = mix64(hashes[w - 1] * np.uint64(0x9E3779B97F4A7C15) ^ hashes[w])
                together = np.float64(told >> np.uint64(11)) >= share * 9007199254740992.0
            if not together:
                firsts[made] = first = w
                made += 1
        owners[d + 1] = made
    return firsts[:made], owners


@numba.njit(cache=True, nogil=True)
def unspaced(data: Bytes, starts: Offsets, table: Table) -> bool:
    """Say whether any word begins with a letter of an unspaced script: in most texts none does."""
    found = False
    for start in starts:
        found = found or (data[start] >= 0xE0 and _script(data, start, table) >= 0)
    return found


@numba.njit(cache=True, nogil=True)
def _script(data: Bytes, at: int, table: Table) -> int:
    """Return the script of the letter that a word begins with, -1 for one of a script with spaces and for a sign."""
    if data[at] < 0xE0:
        return -1
    code = decode(data, at)[0]
    if table[code] >> KIND & 7 != ALONE:
        return -1
    if 0x3041 <= code <= 0x309F or 0x1B000 <= code <= 0x1B16F:
        return HIRAGANA
    if 0x30A0 <= code <= 0x30FF or 0x31F0 <= code <= 0x31FF or 0xFF66 <= code <= 0xFF9F:
        return KATAKANA
    return HAN if 0x2E80 <= code <= 0x9FFF or code >= 0xF900 else OTHER


@numba.njit(cache=True, nogil=True)
def _gathered(
    data: Bytes, firsts: Offsets, starts: Offsets, ends: Offsets, hashes: Hashes, lowers: Hashes, lengths: npt.NDArray[np.int32], flags: Bytes, small: Small
) -> tuple[Offsets, Offsets, Hashes, Hashes, npt.NDArray[np.int32], Bytes]:
    """Return the columns of the pieces that begin with these words; those of one word have its own."""
    n = firsts.size
    begins, behind, told, lowered = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.uint64), np.empty(n, np.uint64)
    sizes, some = np.empty(n, np.int32), np.empty(n, np.uint8)
    for p in range(n):
        w, last = firsts[p], (firsts[p + 1] if p + 1 < n else starts.size) - 1
        begins[p], behind[p], sizes[p], some[p] = starts[w], ends[last], lengths[w], flags[w]
        if last == w:
            told[p], lowered[p] = hashes[w], lowers[w]
            continue
        for k in range(w + 1, last + 1):
            sizes[p] += lengths[k]
            some[p] |= flags[k]
        told[p], lowered[p] = hash_word(data, begins[p], behind[p], some[p], small)
    return begins, behind, told, lowered, sizes, some
