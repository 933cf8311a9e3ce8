"""C4's rules for lines and pages, as numbers and as spans (Raffel et al. 2020, and its published code).

C4 drops lines, then pages by what is left. Its rule that a line must end in . ? ! " or ' is optional in practice (FineWeb
goes without it), so everything behind that rule is counted twice: for all lines, and as `strict_` for those that keep it.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from catalog.schema import SPAN
from catalog.split import SPLITTER
from catalog.stage import declares, once, words
from curate.c4_lines import LINES, LOOSE, SENTENCES, STRICT, STRICT_SENTENCES, UNENDED, UNPUNCTUATED, Judged, judge_lines

OUTCOMES = ("long_word", "few_word", "lorem", "javascript", "curly", "policy", "kept")  # in c4_lines' order
KINDS = ("long_word", "few_words", "", "javascript", "", "policy", "", "citation", "unpunctuated")

PLACES = {"lines": LINES, "unpunctuated_lines": UNPUNCTUATED, "sentences": SENTENCES, "strict_sentences": STRICT_SENTENCES}
PLACES |= {f"{name}_lines": LOOSE + k for k, name in enumerate(OUTCOMES)}
PLACES |= {f"strict_{name}_lines": STRICT + k for k, name in enumerate(OUTCOMES) if k > 0}
ADDS = {name: pa.int64() for name in PLACES} | {"cuts": pa.list_(SPAN), "unpunctuated": pa.list_(SPAN)}


@declares(reads=("text", "domain"), adds=ADDS, version=1, splitter=SPLITTER)
def signals(batch: pl.DataFrame, *, max_word: int = 1000, min_words: int = 3, cut_domains: Sequence[str] = ("web",)) -> pl.DataFrame:
    """Return the family `c4`: what becomes of each line under C4's rules, one row a document.

    Each line (`str.splitlines`) counts once, under the first rule that meets it, in this order:
    long_word_lines   a word of more than `max_word` characters
    few_word_lines    fewer than `min_words` words (here: what white space parts)
    lorem_lines       has "lorem ipsum": C4 then drops the page
    javascript_lines  has "javascript"
    curly_lines       has a curly bracket: C4 then drops the page
    policy_lines      has one of six phrases on cookies, privacy or terms of use
    kept_lines        none of these; `sentences` counts the sentences of these lines
    strict_*          the same counts over the lines that end in . ? ! " or ' and not in ...; `unpunctuated_lines` counts the
                      others (not those with a long word, which go before)

    Two lists of spans, in characters of the text as ingested, hold what C4 takes out of a page that it keeps:
    cuts              lines dropped by a rule (kinds long_word, few_words, javascript, policy), line break included, and the
                      reference marks [1], [], [edit], [citation needed] in the lines that stay (kind citation)
    unpunctuated      the lines that only the rule of the last sign drops: with `cuts` they are all that strict C4 drops
    They are made for `cut_domains` alone (for every row of a batch without `domain`), empty elsewhere: in code [0] is no
    reference mark, and in books a short line may end a paragraph.
    """
    found = judged(batch, max_word, min_words)
    cutting = np.ones(found.spans.shape[0], np.bool_)
    if "domain" in batch.columns:
        cutting = np.repeat(batch["domain"].is_in(list(cut_domains)).fill_null(False).to_numpy(), np.diff(found.owners))
    loose = found.spans[:, 0] != UNENDED
    columns = [pl.Series(name, found.counts[:, place]) for name, place in PLACES.items()]
    columns += [_spans("cuts", found.spans, found.owners, cutting & loose), _spans("unpunctuated", found.spans, found.owners, cutting & ~loose)]
    return pl.DataFrame(columns).select(list(ADDS))


def judged(batch: pl.DataFrame, max_word: int, min_words: int) -> Judged:
    """Return what C4's rules make of a batch's lines, made once for all the stages that ask with these limits."""
    found: Judged = once(f"c4 {max_word} {min_words}", batch, lambda: judge_lines(words(batch), max_word, min_words))
    return found


def _spans(name: str, spans: npt.NDArray[np.int64], owners: npt.NDArray[np.int64], chosen: npt.NDArray[np.bool_]) -> pl.Series:
    """Return the chosen spans as a list column: row d owns spans[owners[d]:owners[d + 1]]."""
    before = np.concatenate([[0], np.cumsum(chosen)])
    kind, start, end = spans[chosen].T
    fields = [pa.array(KINDS).take(pa.array(kind)), pa.array(start), pa.array(end)]
    rows = pa.LargeListArray.from_arrays(pa.array(before[owners]), pa.StructArray.from_arrays(fields, fields=list(SPAN)))
    return pl.Series(name, pl.from_arrow(rows))
