"""DCLM's heuristics of documents, as numbers (Li et al. 2024, appendix; the published configuration of DCLM-Baseline).

They are Gopher's rules (Rae et al. 2021), counted in another way: words are what stands between white space, a repeated line counts
with its first occurrence, a word in repeated runs counts once. On pages the two ways disagree about one decision in a few.
"""

from collections.abc import Sequence

import numba
import numpy as np
import polars as pl
import pyarrow as pa

from catalog.errors import RecipeError
from catalog.schema import hash_text
from catalog.split import ALPHA, SPLITTER, SYMBOL, Bytes, Hashes, Offsets
from catalog.stage import declares, words
from curate.gopher import Ratios
from curate.repetition import REPEATED, TOP, Counts
from curate.text.coverage import coverage
from curate.text.segments import segments
from curate.text.spaced import spaced

ENGLISH = ("the", "be", "to", "of", "and", "that", "have", "with")  # a literal, for recipes read defaults from the source
COUNTS = ("n_words", "stop_word_uses")
RATIOS = (
    "mean_word_length", "symbol_ratio", "alpha_words", "bullet_lines", "ellipsis_lines",
    "dup_line_frac", "dup_line_chars", "dup_para_frac", "dup_para_chars",
    *(f"top_{n}gram" for n in TOP), *(f"dup_{n}gram" for n in REPEATED),
)  # fmt: skip
ADDS = {name: pa.int64() for name in COUNTS} | {name: pa.float64() for name in RATIOS}


@declares(reads=("text",), adds=ADDS, version=1, splitter=SPLITTER)
def signals(batch: pl.DataFrame, *, stop_words: Sequence[str] = ENGLISH) -> pl.DataFrame:
    """Return the family `dclm`: what DCLM's filters of documents measure, one row a document.

    n_words           words with anything but punctuation, by the house's split: what the limits of 50 and 100,000 are of
    stop_word_uses    how often the stop words occur between white space, in any case
    mean_word_length  characters a word between white space
    symbol_ratio      `#`, `...`, `. . .` and `…` per word between white space
    alpha_words       share of the words between white space that have a letter
    bullet_lines      share of lines that begin with ● • * or -; ellipsis_lines: that end in an ellipsis
    dup_line_*        lines that occur more than once, all of them: their share (frac), and that of their characters (chars)
    dup_para_*        the same of paragraphs, which blank lines part
    top_2gram ..      characters of the commonest run of so many words, times its occurrences; 0 where nothing repeats
    dup_5gram ..      characters of the words that stand in a run of so many words that occurs more than once

    Lines and paragraphs are stripped, and empty ones do not count; a text of one line, or of one paragraph, repeats none.
    Characters of lines are shares of the lines' characters, those of runs of the words' (as n_words counts words). Ratios are
    null where there is nothing to share: without words, without lines, a run longer than the text.
    """
    if not stop_words:
        raise RecipeError("dclm.signals: stop_words is empty; give at least one")
    split, apart = words(batch), spaced(batch)
    proper = (split.flags & SYMBOL) == 0
    n_words = np.diff(np.concatenate([[0], np.cumsum(proper)])[split.documents])
    owners = np.concatenate([[0], np.cumsum(n_words)])
    runs, chars = coverage(owners, split.hashes[proper], split.lengths[proper].astype(np.int64))
    every = np.diff(apart.documents)
    stops = np.unique(np.array([hash_text(word.lower()) for word in stop_words], np.uint64))
    uses, letters, sizes = _count(apart.documents, apart.lowers, apart.flags, apart.lengths, stops).T
    lines, paragraphs = segments(split.data, split.texts, 1).T, segments(split.data, split.texts, 2).T
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {
            "n_words": n_words,
            "stop_word_uses": uses,
            "mean_word_length": sizes / every,
            "symbol_ratio": symbols(split.data, split.texts) / every,
            "alpha_words": letters / every,
            "bullet_lines": lines[4] / lines[0],
            "ellipsis_lines": lines[5] / lines[0],
        }
        columns |= {f"dup_line_{name}": values for name, values in _shares(lines)}
        columns |= {f"dup_para_{name}": values for name, values in _shares(paragraphs)}
        names = (*(f"top_{n}gram" for n in TOP), *(f"dup_{n}gram" for n in REPEATED))
        columns |= {name: np.where(runs[:, k] < 0, np.nan, runs[:, k] / chars) for k, name in enumerate(names)}
    return pl.DataFrame({name: columns[name] for name in ADDS}, nan_to_null=True)


def _shares(found: Counts) -> tuple[tuple[str, Ratios], tuple[str, Ratios]]:
    return ("frac", found[2] / found[0]), ("chars", found[3] / found[1])


@numba.njit(cache=True, nogil=True)
def _count(documents: Offsets, lowers: Hashes, flags: Bytes, lengths: Counts, stops: Hashes) -> Counts:
    """Return, a row a document: uses of the stop words, words with a letter, characters of the words."""
    out = np.zeros((documents.size - 1, 3), np.int64)
    for d in range(documents.size - 1):
        for w in range(documents[d], documents[d + 1]):
            for stop in stops:
                out[d, 0] += lowers[w] == stop
            out[d, 1] += flags[w] & ALPHA
            out[d, 2] += lengths[w]
    return out


@numba.njit(cache=True, nogil=True)
def symbols(data: Bytes, texts: Offsets) -> Offsets:
    """Return how many `#`, `...`, `. . .` and `…` each text has; marks of one kind do not overlap."""
    out = np.zeros(texts.size - 1, np.int64)
    for d in range(texts.size - 1):
        dots = spread = texts[d]                             # where the next `...` and `. . .` may begin
        for i in range(texts[d], texts[d + 1]):
            left = texts[d + 1] - i
            if data[i] == 0x23:
                out[d] += 1
            elif data[i] == 0x2E and left >= 3 and i >= dots and data[i + 1] == 0x2E and data[i + 2] == 0x2E:
                out[d] += 1
                dots = i + 3
            elif data[i] == 0x2E and left >= 5 and i >= spread and data[i + 1] == 0x20 and data[i + 2] == 0x2E and data[i + 3] == 0x20 and data[i + 4] == 0x2E:
                out[d] += 1
                spread = i + 5
            elif data[i] == 0xE2 and left >= 3 and data[i + 1] == 0x80 and data[i + 2] == 0xA6:
                out[d] += 1
    return out
