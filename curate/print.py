"""What can be measured of books and papers once printed: words misread, lines that break off, tables of contents, running heads and page numbers."""

import numpy as np
import polars as pl
import pyarrow as pa

from catalog.stage import declares, lines
from curate.text import layout, misread
from curate.text.spaced import spaced

WORDS = {
    "misread_words": misread.ANY, "mixed_words": misread.MIXED, "cluster_words": misread.CLUSTERS, "inner_signs": misread.SIGNS,
    "inner_capitals": misread.CAPITALS, "repeated_letters": misread.REPEATS, "lone_letters": misread.LONE,
}  # fmt: skip
LINES = {
    "broken_lines": layout.BROKEN, "hyphen_lines": layout.HYPHENS, "contents_lines": layout.CONTENTS, "index_lines": layout.INDEX,
    "capital_lines": layout.CAPITALS, "head_lines": layout.HEADS, "page_lines": layout.PAGES,
}  # fmt: skip
ADDS = {"n_words": pa.int64(), "n_lines": pa.int64()} | {name: pa.float64() for name in (*WORDS, *LINES)}


@declares(reads=("text",), adds=ADDS, version=1)
def signals(batch: pl.DataFrame) -> pl.DataFrame:
    """Return the family `print`, one row a document: shares of words and of lines.

    n_words           words between white space that have a letter or a digit; n_lines: lines but blank ones

    misread_words     share of words that one of the next five rules marks. Rules are for words in Latin letters, no addresses of machines:
    mixed_words       digits between small letters (wh1ch)
    cluster_words     five consonants or four vowels in a row, of a to z but y (tbmnk; Kulp and Kontostathis 2007); not of abbreviations in capitals
    inner_signs       a sign that no word has there between two letters (th;s, wa|er); after Taghva et al. 2001, whose rule of two signs in a word
                      falls for old books' commas before dashes
    inner_capitals    a small letter first and last, and a capital inside (waTer; Taghva et al. 2001); not behind hyphens, stops and apostrophes
    repeated_letters  one letter four times in a row (wiiiid; Taghva et al. 2001)
    lone_letters      share of words that are one letter beside at least two more such (w a t e r)

    broken_lines      share of lines with no end of a sentence that the next line goes on with in a small letter, and at least two thirds as long as the
                      longest of nine tenths of the lines: paragraphs that were not joined
    hyphen_lines      share of lines that end in a hyphen behind a letter, where the next goes on with a small one
    contents_lines    share of lines that are words, three dots or more, or a gap, and a page
    index_lines       share of lines that begin with a letter and end in pages behind commas (weir, 12, 45-7)
    capital_lines     share of lines with two capitals or more and no small letter
    head_lines        share of lines that come three times or more with the same words and a number at one end that counts up by at most 10: running heads,
                      and headings such as Chapter 1, 2, 3; page_lines: of such lines that are a number alone

    Ratios are null where there is nothing to share.
    """
    apart = spaced(batch)
    of_words = misread.count_misread(apart.data, apart.documents, apart.starts, apart.ends)
    of_lines = layout.count_printed(lines(batch))
    n_words, n_lines = of_words[:, misread.WORDS], of_lines[:, layout.LINES]
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = {name: of_words[:, place] / n_words for name, place in WORDS.items()} | {name: of_lines[:, place] / n_lines for name, place in LINES.items()}
    columns = {"n_words": n_words, "n_lines": n_lines} | shares
    return pl.DataFrame({name: columns[name] for name in ADDS}, nan_to_null=True)
