"""FineWeb's own quality rules, as numbers (Penedo et al. 2024, section 3.6)."""

import numpy as np
import polars as pl
import pyarrow as pa

from catalog.split import BLANK, ENDED, Lines, Words, split_lines, split_words
from catalog.stage import declares, lines, words
from curate.c4_lines import kept_text
from curate.repetition import repeated_lines
from curate.text.joined import JOINED, joined, spoken

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
    return _measure(lines(batch), spoken(batch), short_line)


@declares(reads=("text",), adds=ADDS, version=1, family="fineweb_after_c4", splitter=JOINED)
def after_c4(batch: pl.DataFrame, *, short_line: int = SHORT, max_word: int = 1000, min_words: int = 3) -> pl.DataFrame:
    """Return the family `fineweb_after_c4`: `fineweb.signals` of what C4's rules for lines leave of a text.

    FineWeb's pipeline runs its own filter behind C4's, which has dropped lines by then (the rule of the last sign is not among
    its rules); on whole pages one decision in seven is another. `max_word` and `min_words` are those of `c4.signals`.
    """
    rest = kept_text(words(batch), max_word, min_words)
    return _measure(split_lines(*rest), joined(split_words(*rest)), short_line)


def _measure(split: Lines, found: Words, short_line: int) -> pl.DataFrame:
    every, newlines = np.diff(found.documents), np.diff(split.documents) - 1
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
