"""RefinedWeb's rules for lines, as numbers and as spans (Penedo et al. 2023, section 3.2 and appendix G.2; as DCLM-Baseline sets them)."""

from collections.abc import Sequence

import numba
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from catalog.schema import SPAN
from catalog.split import SPLITTER, SYMBOL, Bytes, Offsets
from catalog.stage import declares, words
from curate.text.rules import KEPT, judge_lines

KINDS = ("uppercase", "numeric", "counter", "short", "cart", "read_more", "sign_in", "kept")  # in the order of curate.text.rules
ADDS = {f"{kind}_lines": pa.int64() for kind in KINDS} | {"cut_words": pa.float64(), "cuts": pa.list_(SPAN)}


@declares(reads=("text", "domain"), adds=ADDS, version=1, splitter=SPLITTER)
def signals(batch: pl.DataFrame, *, most_upper: float = 0.5, min_words: int = 2, cut_domains: Sequence[str] = ("web",)) -> pl.DataFrame:
    """Return the family `refinedweb`: what becomes of each line under RefinedWeb's rules, one row a document.

    Each line that is not blank (what newlines part) counts once, under the first rule that takes it out, in this order:
    uppercase_lines   more than `most_upper` of its characters are capitals
    numeric_lines     nothing but digits
    counter_lines     a number and what it counts: 3 likes, 1.2k views
    short_lines       fewer than `min_words` words between white space
    cart_lines, read_more_lines, sign_in_lines
                      of at most 10 words, and nothing is left of it without `items in cart`, `Read more...` at its end, `Sign-in` at its beginning
    kept_lines        none of these; one that loses such a phrase, and not all, stays

    cut_words         share of the words that stand in what goes: DCLM drops pages above .05; null without words
    cuts              what goes, in characters of the text as ingested: lines with their line break, and phrases; made for
                      `cut_domains` alone (for every row of a batch without `domain`), empty elsewhere
    """
    split = words(batch)
    cutting = np.ones(batch.height, np.bool_)
    counts, spans, owners = judge_lines(split.data, split.texts, cutting, most_upper, min_words)
    proper = (split.flags & SYMBOL) == 0
    gone, every = _inside(split.documents, split.starts, proper, spans, owners)
    wanted = batch["domain"].is_in(list(cut_domains)).fill_null(False).to_numpy() if "domain" in batch.columns else cutting
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = [pl.Series(f"{kind}_lines", counts[:, place]) for place, kind in enumerate(KINDS)]
        columns.append(pl.Series("cut_words", gone / every, nan_to_null=True))
    columns.append(_spans(split.data, split.texts, spans, owners, wanted))
    return pl.DataFrame(columns).select(list(ADDS))


def _spans(data: Bytes, texts: Offsets, spans: npt.NDArray[np.int64], owners: Offsets, wanted: npt.NDArray[np.bool_]) -> pl.Series:
    """Return the spans as a list column in characters: row d owns spans[owners[d]:owners[d + 1]], none where they are not wanted."""
    chosen = np.repeat(wanted, np.diff(owners))
    before = np.concatenate([[0], np.cumsum(chosen)])
    places = _places(data, texts, spans, owners)[chosen]
    fields = [pa.array(KINDS[:KEPT]).take(pa.array(spans[chosen, 0])), pa.array(places[:, 0]), pa.array(places[:, 1])]
    rows = pa.LargeListArray.from_arrays(pa.array(before[owners]), pa.StructArray.from_arrays(fields, fields=list(SPAN)))
    return pl.Series("cuts", pl.from_arrow(rows))


@numba.njit(cache=True, nogil=True)
def _places(data: Bytes, texts: Offsets, spans: npt.NDArray[np.int64], owners: Offsets) -> npt.NDArray[np.int64]:
    """Return starts and ends in characters; the spans of a text do not overlap and stand in order."""
    out = np.empty((spans.shape[0], 2), np.int64)
    for d in range(texts.size - 1):
        at, chars = texts[d], 0
        for s in range(owners[d], owners[d + 1]):
            for edge in range(2):
                while at < spans[s, 1 + edge]:
                    chars += data[at] & 0xC0 != 0x80
                    at += 1
                out[s, edge] = chars
    return out


@numba.njit(cache=True, nogil=True)
def _inside(
    documents: Offsets, starts: Offsets, proper: npt.NDArray[np.bool_], spans: npt.NDArray[np.int64], owners: Offsets
) -> tuple[Offsets, Offsets]:
    """Return, a document, how many of its proper words begin in its spans, and how many there are."""
    gone, every = np.zeros(documents.size - 1, np.int64), np.zeros(documents.size - 1, np.int64)
    for d in range(documents.size - 1):
        s = owners[d]
        for w in range(documents[d], documents[d + 1]):
            while s < owners[d + 1] and spans[s, 2] <= starts[w]:
                s += 1
            every[d] += proper[w]
            gone[d] += proper[w] and s < owners[d + 1] and spans[s, 1] <= starts[w]
    return gone, every
