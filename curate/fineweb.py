"""FineWeb's own quality rules, as numbers (Penedo et al. 2024, section 3.6)."""

import numba
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from catalog.lines import BLANK, ENDED, Lines, measure_lines, split_lines
from catalog.split import Bytes, Offsets, Table, Words, characters, split_words
from catalog.stage import declares, lines, words
from curate.c4 import judged
from curate.c4_lines import Judged, kept_text
from curate.repetition import Counts, repeated_lines
from curate.text.joined import JOINED, counted, joined, unspaced

SHORT = 30  # characters

RATIOS = ("line_punct_ratio", "short_line_ratio", "char_dup_ratio", "newline_ratio")
ADDS = {"lines": pa.int64()} | {name: pa.float64() for name in RATIOS}


@declares(reads=("text",), adds=ADDS, version=1, splitter=JOINED)
def signals(batch: pl.DataFrame, *, short_line: int = SHORT) -> pl.DataFrame:
    """Return the family `fineweb`: what FineWeb's quality filter measures, one row a document.

    lines             lines with more than white space; the ratios are null where there are none
    line_punct_ratio  share of these lines whose last character ends a sentence (no white space may follow it)
    short_line_ratio  share of these lines with at most `short_line` characters
    char_dup_ratio    characters of those that stood before, per character of the text without its newlines
    newline_ratio     newlines per word (symbols are words too; letters of scripts without spaces joined as in `gopher`); null without words
    """
    return _measure(lines(batch), counted(batch), short_line)


@declares(reads=("text",), adds=ADDS, version=1, family="fineweb_after_c4", splitter=JOINED)
def after_c4(batch: pl.DataFrame, *, short_line: int = SHORT, max_word: int = 1000, min_words: int = 3) -> pl.DataFrame:
    """Return the family `fineweb_after_c4`: `fineweb.signals` of what C4's rules for lines leave of a text.

    FineWeb's pipeline runs its own filter behind C4's, which has dropped lines by then (the rule of the last sign is not among
    its rules); on whole pages one decision in seven is another. `max_word` and `min_words` are those of `c4.signals`.
    """
    split, found = words(batch), judged(batch, max_word, min_words)
    part, every, again = kept_lines(split, found)
    measured = _measure(part, every, short_line)
    if not again.any():
        return measured
    rest = kept_text(split, max_word, min_words, again)
    anew = _measure(split_lines(*rest), np.diff(joined(split_words(*rest)).documents), short_line)
    return pl.select(pl.when(pl.Series(again)).then(anew[name]).otherwise(measured[name]).alias(name) for name in measured.columns)


def kept_lines(split: Words, found: Judged) -> tuple[Lines, Counts, npt.NDArray[np.bool_]]:
    """Return the lines that C4's rules leave of each text, how many words stand in them, and of which texts that cannot be said without the text that is left.

    These are texts that lose more than lines, that lose all, and those with letters of unspaced scripts, which are joined by what else the text has.
    """
    again = found.changed | (np.diff(found.keepers) == 0)
    every = _inside(split.data, split.documents, split.starts, found.kept, found.keepers, again, characters()[0])
    starts, ends = found.kept.T.copy()
    told = measure_lines(split.data, starts, ends, characters()[0])
    return Lines(split.data, split.texts, found.keepers, starts, ends, *told), every, again


@numba.njit(cache=True, nogil=True)
def _inside(
    data: Bytes, documents: Offsets, starts: Offsets, kept: Counts, keepers: Offsets, again: npt.NDArray[np.bool_], table: Table
) -> Counts:
    """Return how many words begin inside the lines that stay of each text; say `again` of texts with letters of unspaced scripts."""
    every = np.zeros(documents.size - 1, np.int64)
    for d in range(documents.size - 1):
        w, stop = documents[d], documents[d + 1]
        again[d] |= unspaced(data, starts[w:stop], table)
        for line in range(keepers[d], keepers[d + 1]):
            while w < stop and starts[w] < kept[line, 0]:
                w += 1
            while w < stop and starts[w] < kept[line, 1]:
                every[d] += 1
                w += 1
    return every


def _measure(split: Lines, every: Counts, short_line: int) -> pl.DataFrame:
    newlines = np.diff(split.documents) - 1
    filled = (split.flags & BLANK) == 0
    counted, _, dup_chars = repeated_lines(split.documents, split.hashes, split.lengths, filled).T
    ended, short = filled & ((split.flags & ENDED) > 0), filled & (split.lengths <= short_line)
    sums = [np.concatenate([[0], np.cumsum(values)]) for values in (ended, short, split.lengths)]
    ends, shorts, chars = (np.diff(total[split.documents]) for total in sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {
            "lines": counted,
            "line_punct_ratio": ends / counted,
            "short_line_ratio": shorts / counted,
            "char_dup_ratio": np.where(counted > 0, dup_chars / chars, np.nan),
            "newline_ratio": np.where((counted > 0) & (every > 0), newlines / every, np.nan),
        }
    return pl.DataFrame(columns, nan_to_null=True)
