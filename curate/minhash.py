"""Near duplicates: documents that share most of their word n-grams, found by MinHash bands and verified by true Jaccard.

A document is the set of its word n-grams: words in small letters, what is punctuation alone left out; a document of fewer
words is one gram of all it has; of source code, signs and capitals count (`tokens: code`). Its signature is, for each of
b x r hash functions, the smallest hash of any gram; two documents become candidates when all r values of one of b bands
agree (Broder 1997; Leskovec et al., chapter 3), which at Jaccard s happens with probability 1 - (1 - s^r)^b. Candidates
are then compared gram by gram: bands alone merge many pairs below the threshold that they are tuned to.
"""

from collections.abc import Sequence

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.schema import mix64
from catalog.stage import declares, words
from curate.components import Edges, Told
from curate.connected import labels
from curate.corpus import Corpus
from curate.grams import GOLDEN, Hashes, Signatures, said_of, signatures
from curate.jaccard import Grams, compared
from curate.knobs import PRESETS, check
from curate.sketches import Sketch, tables
from curate.stars import stars
from curate.unlike import ROUNDS, SPENT, unlike

VERSION = 3
TABLE_VERSION = 2
PERMUTATIONS = 128
"""How many hash functions `threshold:` may use."""

SEED = 0x68656164
"""The hash functions are the same in every run and on every machine, or no two band tables could be compared."""


@declares(adds={}, version=VERSION, family="dup")
def job(
    corpus: Corpus, before: Edges, *, preset: str | None = None, threshold: float | None = None, verify: float = 0.8, ngram: int = 5, tokens: str = "words"
) -> Told:
    """Join near duplicates. `preset` names bands and rows; `threshold` lets datasketch choose them.

    `verify` is the smallest true Jaccard of a pair, 0 takes candidates as they are. Copies that `exact` found stand for one another: only the one with the
    smallest doc_id is compared with others. `tokens: code` is for source code: signs and capitals count.
    """
    bands, _ = shape(preset, threshold)
    paths = tables(corpus, sketches(preset=preset, threshold=threshold, ngram=ngram, tokens=tokens))["bands"]
    corpus.tables["bands"] = paths
    names = [(name,) for name in band_names(bands)]
    copies = before.filter(pl.col("jaccard") == 1)["b"].unique()
    candidates = stars(corpus, paths, names, without=copies)
    corpus.metrics["candidate_pairs"] = candidates.height
    if not verify:
        return Told(candidates.with_columns(jaccard=pl.lit(None, pl.Float64)))
    return Told(_verified(corpus, paths, names, copies, candidates, (ngram, tokens), verify))


def _verified(corpus: Corpus, paths: list[str], names: Sequence[tuple[str]], copies: pl.Series, candidates: Edges, grams: Grams, least: float) -> Edges:
    """Return the candidates that share enough, and the pairs that do among those whose anchors they are unlike (curate/unlike.py)."""
    told = compared(corpus, candidates, grams)
    seen, spent, anchors = told, pl.DataFrame(schema=SPENT), -1
    for turn in range(ROUNDS):
        found = seen.filter(pl.col("jaccard") >= least)
        if found.height == seen.height or spent.height == anchors:
            break
        anchors = spent.height
        again, spent = unlike(corpus, paths, names, labels(corpus, seen, found), spent, turn == 0)
        new = again.join(seen, on=["a", "b"], how="anti", maintain_order="left")
        seen = pl.concat([seen, compared(corpus, new, grams)])
    corpus.metrics["compared_pairs"] = seen.height
    return seen.filter(pl.col("jaccard") >= least).sort("a_id", "b_id", "a", "b")


def sketches(*, preset: str | None = None, threshold: float | None = None, ngram: int = 5, tokens: str = "words", **_: object) -> tuple[Sketch, ...]:
    """Return the band table: a key for each band."""
    bands, rows = shape(preset, threshold)
    knobs = (("bands", bands), ("rows", rows), ("ngram", ngram), *said_of(tokens))
    return (Sketch("bands", "curate.minhash:band_table", band_names(bands), knobs, TABLE_VERSION),)


def band_names(bands: int) -> tuple[str, ...]:
    """Return the columns of a band table that hold keys."""
    return tuple(f"band_{band}" for band in range(bands))


def band_table(batch: pl.DataFrame, *, bands: int, rows: int, ngram: int, tokens: str = "words") -> pl.DataFrame:
    """Return the band keys of a batch, null for documents without words."""
    found, some = keys(batch, bands=bands, rows=rows, ngram=ngram, tokens=tokens)
    told = pl.DataFrame(found, schema=list(band_names(bands)))
    return told if some.all() else told.select(pl.when(pl.Series(some)).then(pl.all()))


def shape(preset: str | None, threshold: float | None) -> tuple[int, int]:
    """Return bands and rows. Raises RecipeError for an unknown preset, or when both or no good threshold is given."""
    check("minhash", {"preset": preset, "threshold": threshold})
    if threshold is None:
        return PRESETS[preset or "fineweb"]
    from datasketch import MinHashLSH

    chosen = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS)
    return int(chosen.b), int(chosen.r)


def chance(jaccard: float, bands: int, rows: int) -> float:
    """Return the probability that a pair at this Jaccard becomes a candidate."""
    return 1 - (1 - jaccard**rows) ** bands


def functions(count: int) -> tuple[Hashes, Hashes]:
    """Return the factors, which are odd, and the terms of the first `count` hash functions. More of them start with the same."""
    draws = np.random.Generator(np.random.PCG64(SEED)).integers(0, 1 << 64, 2 * count, dtype=np.uint64)
    return draws[::2] | np.uint64(1), draws[1::2]


def keys(
    batch: pl.DataFrame, *, bands: int, rows: int, ngram: int, tokens: str = "words"
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the band keys [documents, bands] of a batch, and which documents have words at all."""
    found, some = signatures(words(batch), ngram, *functions(bands * rows), tokens)
    return band_keys(found, bands).view(np.int64), some


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def band_keys(signature: Signatures, bands: int) -> Hashes:
    """Return one 64-bit hash for the values of each band."""
    rows = signature.shape[1] // bands
    out = np.empty((signature.shape[0], bands), np.uint64)
    for d in range(signature.shape[0]):
        for band in range(bands):
            h = np.uint64(0)
            for k in range(band * rows, band * rows + rows):
                h = mix64(h * GOLDEN + np.uint64(signature[d, k]))
            out[d, band] = h
    return out
