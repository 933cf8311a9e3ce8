"""Gopher's rules for quality and repetition, as numbers (Rae et al. 2021, table A1 for repetition)."""

from collections.abc import Sequence

import numba
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from catalog.errors import RecipeError
from catalog.lines import Lines
from catalog.schema import hash_text
from catalog.split import ALPHA, ELLIPSIS, HASH, SYMBOL, Bytes, Hashes, Offsets, Table, Words, characters, decode, line_end, stripped
from catalog.stage import declares, lines, words
from curate.repetition import REPEATED, TOP, Counts, paragraphs, repeated_lines, repeated_runs
from curate.text.joined import JOINED, spoken

ENGLISH = ("the", "be", "to", "of", "and", "that", "have", "with")
BULLETS = (0x2022, 0x2D)  # • and -

COUNTS = ("n_chars", "n_words", "n_symbols", "stop_words", "stop_word_uses")
RATIOS = (
    "mean_word_length", "hash_ratio", "ellipsis_ratio", "alpha_words", "bullet_lines", "ellipsis_lines",
    "dup_line_frac", "dup_line_chars", "dup_para_frac", "dup_para_chars",
    *(f"top_{n}gram" for n in TOP), *(f"dup_{n}gram" for n in REPEATED),
)  # fmt: skip
ADDS = {name: pa.int64() for name in COUNTS} | {name: pa.float64() for name in RATIOS}

Ratios = npt.NDArray[np.float64]


@declares(reads=("text",), adds=ADDS, version=1, splitter=JOINED)
def signals(batch: pl.DataFrame, *, stop_words: Sequence[str] = ENGLISH) -> pl.DataFrame:
    """Return the family `gopher`: what Gopher's rules for quality and repetition measure, one row a document.

    n_chars                    characters of the text
    n_words, n_symbols         words with anything but punctuation, and words of punctuation alone; "all words" is both
    mean_word_length           characters a word, of n_words
    hash_ratio, ellipsis_ratio signs `#`, and `...` or `…`, per word of all words
    alpha_words                share of all words with a letter
    stop_words                 how many of the stop words occur, as written; stop_word_uses: how often, in any case
    bullet_lines               share of lines that start with • or -
    ellipsis_lines             share of lines that end in ... or …
    dup_line_*, dup_para_*     lines and paragraphs that stood before: their share (frac), and their characters (chars)
    top_2gram .. top_4gram     characters of the commonest run of so many words, all its places (which may overlap, and pass 1)
    dup_5gram .. dup_10gram    characters of runs of so many words that stood before

    Characters are shares of n_chars. Ratios are null where there is nothing to share: in an empty text, mean_word_length without
    words, a top_ngram of a text with fewer than n words (a dup_ngram is then 0). Letters of scripts without spaces are joined to
    pieces as long as words (curate.text.joined), but `stop_words` are looked for among the single letters. They are compared as they
    are written, at most 64 of them. Counting is datatrove's, see docs/signals.md.
    """
    if not 0 < len(stop_words) <= 64:
        raise RecipeError(f"gopher.signals: stop_words holds {len(stop_words)} words; give 1 to 64")
    split, (pieces, there) = words(batch), spoken(batch)
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = _quality(split, stop_words) | _repetition(split, lines(batch))
        if there.any():  # the two tell stop words of single letters
            again = _quality(pieces, stop_words) | _runs(pieces, columns["n_chars"])
            columns |= {name: np.where(there, again[name], columns[name]) for name in again if name not in ("stop_words", "stop_word_uses")}
    return pl.DataFrame({name: columns[name] for name in ADDS}, nan_to_null=True)


def _quality(split: Words, stop_words: Sequence[str]) -> dict[str, Counts | Ratios]:
    stops = np.array([hash_text(word) for word in stop_words], np.uint64)
    lowered = np.array([hash_text(word) for word in {word.lower() for word in stop_words}], np.uint64)
    seen = _count_words(split.documents, split.hashes, split.lowers, split.lengths, split.flags, stops, lowered)
    n_words, chars, letters, distinct, uses = seen.T
    hashes, ellipses, total, bulleted, trailing = _count_signs(
        split.data, split.texts, split.documents, split.starts, split.ends, split.flags, characters()[0]
    ).T
    every = np.diff(split.documents)
    return {
        "n_words": n_words,
        "n_symbols": every - n_words,
        "stop_words": distinct,
        "stop_word_uses": uses,
        "mean_word_length": chars / n_words,
        "hash_ratio": hashes / every,
        "ellipsis_ratio": ellipses / every,
        "alpha_words": letters / every,
        "bullet_lines": bulleted / total,
        "ellipsis_lines": trailing / total,
    }


def _repetition(split: Words, split_lines: Lines) -> dict[str, Counts | Ratios]:
    filled = split_lines.ends > split_lines.starts
    n_lines, dup_lines, dup_line_chars = repeated_lines(split_lines.documents, split_lines.hashes, split_lines.lengths, filled).T
    # Gopher's lines are what runs of newlines part: a run at the start and one at the end each leave an empty line.
    first, last = split_lines.documents[:-1], split_lines.documents[1:] - 1
    leading, trailing = ~filled[first] & (last > first), ~filled[last] & (last > first)
    n_paras, dup_paras, dup_para_chars, n_chars = paragraphs(split.data, split.texts).T
    texts = n_chars > 0
    columns: dict[str, Counts | Ratios] = {
        "n_chars": n_chars,
        "dup_line_frac": np.where(texts, (dup_lines + (leading & trailing)) / (n_lines + leading + trailing), np.nan),
        "dup_line_chars": dup_line_chars / n_chars,
        "dup_para_frac": np.where(texts, dup_paras / n_paras, np.nan),
        "dup_para_chars": dup_para_chars / n_chars,
    }
    return columns | _runs(split, n_chars)


def _runs(split: Words, n_chars: Counts | Ratios) -> dict[str, Counts | Ratios]:
    top, again = repeated_runs(split)
    columns: dict[str, Counts | Ratios] = {f"top_{n}gram": np.where(top[:, k] < 0, np.nan, top[:, k] / n_chars) for k, n in enumerate(TOP)}
    return columns | {f"dup_{n}gram": again[:, k] / n_chars for k, n in enumerate(REPEATED)}


@numba.njit(cache=True, nogil=True)
def _count_words(documents: Offsets, hashes: Hashes, lowers: Hashes, lengths: npt.NDArray[np.int32], flags: Bytes, stops: Hashes, lowered: Hashes) -> Counts:
    """Return, a row a document: words that are no symbols, their characters, words with a letter, distinct stop words, their uses."""
    out = np.zeros((documents.size - 1, 5), np.int64)
    one, told, small = np.uint64(1), np.uint64(0), np.uint64(0)  # the last six bits of a stop word tell most others from all of them
    for k in range(stops.size):
        told |= one << (stops[k] & np.uint64(63))
    for k in range(lowered.size):
        small |= one << (lowered[k] & np.uint64(63))
    for d in range(documents.size - 1):
        found, proper, chars, letters = np.uint64(0), np.int64(0), np.int64(0), np.int64(0)
        for w in range(documents[d], documents[d + 1]):
            is_word = np.int64(flags[w] & SYMBOL == 0)
            proper, chars, letters = proper + is_word, chars + is_word * lengths[w], letters + np.int64(flags[w] & ALPHA)
            if (told >> (hashes[w] & np.uint64(63)) | small >> (lowers[w] & np.uint64(63))) & one:
                for k in range(stops.size):
                    if hashes[w] == stops[k]:
                        found |= one << np.uint64(k)
                for k in range(lowered.size):
                    out[d, 4] += lowers[w] == lowered[k]
        out[d, 0], out[d, 1], out[d, 2] = proper, chars, letters
        for k in range(stops.size):
            out[d, 3] += np.int64(found >> np.uint64(k) & np.uint64(1))
    return out


@numba.njit(cache=True, nogil=True)
def _count_signs(data: Bytes, texts: Offsets, documents: Offsets, starts: Offsets, ends: Offsets, flags: Bytes, table: Table) -> Counts:
    """Return, a row a document: signs `#`, ellipses, lines, lines that start with a bullet, lines that end in an ellipsis."""
    out = np.zeros((documents.size - 1, 5), np.int64)
    for d in range(documents.size - 1):
        for w in range(documents[d], documents[d + 1]):
            if flags[w] & HASH:
                for i in range(starts[w], ends[w]):
                    out[d, 0] += data[i] == 0x23
            elif flags[w] & ELLIPSIS:
                out[d, 1] += _ellipses(data, starts[w], ends[w])
        at, stop = texts[d], texts[d + 1]
        while at < stop:
            end, after = line_end(data, at, stop)
            at, end = stripped(data, at, end, table)
            out[d, 2] += 1
            if at < end:
                out[d, 3] += decode(data, at)[0] in BULLETS
                dots = end - at >= 3 and data[end - 1] == 0x2E and data[end - 2] == 0x2E and data[end - 3] == 0x2E
                out[d, 4] += dots or (end - at >= 3 and data[end - 3] == 0xE2 and data[end - 2] == 0x80 and data[end - 1] == 0xA6)
            at = after
    return out


@numba.njit(cache=True, nogil=True)
def _ellipses(data: Bytes, start: int, end: int) -> int:
    """Count `...`, none of them overlapping, or `…`, in a run of them with their marks."""
    dots = signs = 0
    for i in range(start, end):
        dots += data[i] == 0x2E
        signs += data[i] == 0xE2 and i + 2 < end and data[i + 1] == 0x80 and data[i + 2] == 0xA6
    return dots // 3 + signs
