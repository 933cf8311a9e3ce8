"""How surprised an n-gram language model is by a text, as a whole and paragraph by paragraph."""

from pathlib import Path

import numba
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from catalog.split import SPLITTER, Offsets
from catalog.stage import ModelName, declares, words
from curate.models.arpa import read
from curate.models.lookup import Model, load, score
from curate.models.opened import opened
from curate.models.vocabulary import cased, paragraphs

QUANTILES = (0.1, 0.5, 0.9)
COUNTS = ("n_words", "n_paragraphs")
VALUES = ("perplexity", "oov_share", "min_paragraph", "median_paragraph", "max_paragraph", *(f"words_p{round(100 * q)}" for q in QUANTILES))
ADDS = {name: pa.int64() for name in COUNTS} | {name: pa.float64() for name in VALUES} | {"paragraphs": pa.list_(pa.float64())}
HIGHEST = 1e300  # a word that the model gives no mass, alone in its paragraph: a number still, for SQL

Values = npt.NDArray[np.float64]


@declares(reads=("text",), adds=ADDS, version=1, splitter=SPLITTER, models=("language_model",))
def signals(batch: pl.DataFrame, *, model: ModelName) -> pl.DataFrame:
    """Return the family `perplexity`: what an n-gram language model says of each text, one row a document.

    n_words, n_paragraphs    words scored, and lines with a word in them: each is a sentence to the model, begun by <s>, ended by </s>
    perplexity               10 ** (-log10 p / (n_words + n_paragraphs)): each </s> counts as a word, as in kenlm's Model.perplexity
    oov_share                share of the words that are not in the model's vocabulary
    min_paragraph, median_paragraph, max_paragraph    the same of single paragraphs: least, middle, greatest
    words_p10, words_p50, words_p90    a tenth, half, nine tenths of the words stand in paragraphs of at most this perplexity
    paragraphs               the perplexity of every paragraph, in order

    All but the counts are null in a text without words. `model` is a part of `quality:` with `texts:`, a model of the lake, the folder
    of one, or an ARPA file, plain or gzip.
    """
    known, split = opened(model, _read, "perplexity.signals"), words(batch)
    firsts, owners = paragraphs(split.data, split.starts, split.ends, split.documents)
    logs, unknown = score(known, cased(split, known.case), firsts)
    sizes = np.diff(firsts)
    single = _perplexity(logs, sizes + 1)
    n_words, n_paragraphs = np.diff(split.documents), np.diff(owners)
    columns = {
        "perplexity": _perplexity(_summed(logs, owners), n_words + n_paragraphs),
        "oov_share": np.divide(_summed(unknown, owners), n_words, out=np.full(n_words.size, np.nan), where=n_words > 0),
    }
    columns |= dict(zip(VALUES[2:], _spread(single, sizes, owners, np.array(QUANTILES)).T, strict=True))
    listed = pl.Series("paragraphs", pl.from_arrow(pa.LargeListArray.from_arrays(pa.array(owners), pa.array(single))))
    listed = pl.select(pl.when(pl.lit(pl.Series(n_words > 0))).then(pl.lit(listed))).to_series().rename("paragraphs")
    frame = pl.DataFrame({"n_words": n_words, "n_paragraphs": n_paragraphs, **columns}, nan_to_null=True)
    return frame.with_columns(listed).select(list(ADDS))


def _read(path: str, digest: str | None) -> Model:
    return load(path, digest) if Path(path).is_dir() else read(path, digest=digest)


def _perplexity(logs: Values, counts: Offsets) -> Values:
    """Return 10 ** (-logs / counts), NaN where nothing was counted."""
    mean = np.divide(-logs, counts, out=np.full(logs.size, np.nan), where=counts > 0)
    out: Values = np.power(10.0, np.minimum(mean, np.log10(HIGHEST)))
    return out


@numba.njit(cache=True, nogil=True)
def _summed(values: Values, owners: Offsets) -> Values:
    """Return the sum of the values of each document, values[owners[d]:owners[d + 1]]."""
    out = np.zeros(owners.size - 1)
    for d in range(owners.size - 1):
        for p in range(owners[d], owners[d + 1]):
            out[d] += values[p]
    return out


@numba.njit(cache=True, nogil=True)
def _spread(values: Values, sizes: Offsets, owners: Offsets, quantiles: Values) -> Values:
    """Return, a document each: least, median and greatest value, and the values that so many of the words are at or below; NaN without any."""
    out = np.full((owners.size - 1, 3 + quantiles.size), np.nan)
    for d in range(owners.size - 1):
        first, stop = owners[d], owners[d + 1]
        if first == stop:
            continue
        order = first + np.argsort(values[first:stop])
        half = (stop - first - 1) // 2
        out[d, 0], out[d, 2] = values[order[0]], values[order[-1]]
        out[d, 1] = (values[order[half]] + values[order[order.size - 1 - half]]) / 2
        total, seen, k = sizes[first:stop].sum(), 0, 0
        for place in order:
            seen += sizes[place]
            while k < quantiles.size and seen >= quantiles[k] * total:
                out[d, 3 + k] = values[place]
                k += 1
    return out
