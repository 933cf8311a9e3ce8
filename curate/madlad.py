"""MADLAD-400's rules for sentences, as numbers (Kudugunta et al. 2023, section 2.3; the card of the data set lists what is cursed).

MADLAD drops a document of fewer than five sentences, and one of which more than a fifth of the sentences are questionable by any of
five rules. The first, a sentence in another language than its document, is not counted here: one sentence is too little to tell a
language by, and `language.share` says it of paragraphs. Dolma 3 drops by the second and fifth rule alone, at a fifth or more
(allenai/datamap-rs, configs/all_dressed), and reads the list of what is cursed in a way of its own: see `questionable_2_5`.
"""

import numpy as np
import polars as pl
import pyarrow as pa

from catalog.split import SPLITTER
from catalog.stage import declares, words
from curate.text.sentences import QUESTIONABLE, judge_sentences

COUNTS = ("n_sentences", "list_case", "abnormal_length", "technical", "cursed")
ADDS = {name: pa.int64() for name in COUNTS} | {name: pa.float64() for name in QUESTIONABLE}


@declares(reads=("text",), adds=ADDS, version=1, splitter=SPLITTER)
def signals(batch: pl.DataFrame) -> pl.DataFrame:
    """Return the family `madlad`: how many of a text's sentences meet MADLAD-400's rules, one row a document.

    n_sentences       sentences: what ends with signs that end a sentence and white space behind them (with a full-width sign, without),
                      and what is left at the end; a line break alone ends none
    list_case         rule 2: of 12 words or more, over half of which begin with a capital
    abnormal_length   rule 3: of fewer than 20 or more than 500 characters (no rule for Chinese and Japanese, say its authors)
    technical         rule 4: over a fifth of whose characters are digits 0 to 9 or one of { } + / ( ) >
    cursed            rule 5: with one of 28 strings (filler text, trackers of downloads, tables' bars, prices), or of four patterns
    questionable      share of the sentences that meet rule 2, 3, 4 or 5: MADLAD drops above .2
    questionable_2_5  share of those that meet rule 2, or rule 5 as Dolma 3 has it, which drops from .2 on: seven of the strings are
                      regular expressions that Dolma 3 looks for letter by letter, and never finds

    A sentence is judged with the signs that end it. The shares are null where there is no sentence.
    """
    found = judge_sentences(words(batch))
    counts, (every, any_rule, dolma) = found[:, :5], found[:, [0, 5, 6]].T
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = {name: share / every for name, share in zip(QUESTIONABLE, (any_rule, dolma), strict=True)}
    columns = {name: counts[:, k] for k, name in enumerate(COUNTS)} | shares
    return pl.DataFrame({name: columns[name] for name in ADDS}, nan_to_null=True)
