"""Near duplicates: documents that share most of their word 5-grams, found by MinHash bands and verified by true Jaccard.

A document is the set of its word n-grams: words in small letters, what is punctuation alone left out; a document of fewer
words is one gram of all it has. Its signature is, for each of b x r hash functions, the smallest hash of any gram; two
documents become candidates when all r values of one of b bands agree (Broder 1997; Leskovec et al., chapter 3), which
at Jaccard s happens with probability 1 - (1 - s^r)^b. Candidates are then compared gram by gram: bands alone
merge many pairs below the threshold that they are tuned to.
"""

import os

import numba
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from catalog.errors import RecipeError, near
from catalog.files import DataWriter, address
from catalog.schema import mix64
from catalog.split import SPLITTER
from catalog.stage import words
from catalog.tasks import Task
from curate.components import Edges, stars
from curate.corpus import Corpus, as_file, batches, beside, shelf, to_dict
from curate.grams import GOLDEN, Hashes, Signatures, signatures
from curate.jaccard import verified

VERSION = 1
PRESETS = {"fineweb": (14, 8)}
"""Bands and rows. FineWeb's (Penedo et al. 2024): .924 of pairs at Jaccard .8 become candidates, .053 of those at .5."""

PERMUTATIONS = 128
"""How many hash functions `threshold:` may use."""

BANDS = pa.schema([("doc_id", pa.string()), ("band", pa.int32()), ("key", pa.int64()), ("row", pa.int64())])
"""The band table: one row per document and band; `row` is the document's place in its data file. It is published as a
dataset: what comes later is matched against it without reading the old texts again."""

SEED = 0x68656164
"""The hash functions are the same in every run and on every machine, or no two band tables could be compared."""


def job(corpus: Corpus, before: Edges, *, preset: str | None = None, threshold: float | None = None, verify: float = 0.8, ngram: int = 5) -> Edges:
    """Return the pairs of near duplicates. `preset` names bands and rows; `threshold` lets datasketch choose them.

    `verify` is the smallest true Jaccard of a pair, 0 takes candidates as they are. `before` holds the exact pairs: copies have
    the keys of the document they were joined to, so their edges say nothing new.
    """
    if not 0 <= verify <= 1 or ngram < 1:
        raise RecipeError(f"minhash: verify: {verify}, ngram: {ngram}; verify is a Jaccard from 0 (not checked) to 1, ngram 1 word or more")
    bands, rows = shape(preset, threshold)
    tables = band_tables(corpus, bands=bands, rows=rows, ngram=ngram)
    corpus.tables["bands"] = tables
    candidates = stars(corpus, tables, bands).join(before.select("b"), on="b", how="anti")
    corpus.metrics["candidate_pairs"] = candidates.height
    if not verify:
        return candidates.with_columns(jaccard=pl.lit(None, pl.Float64))
    return verified(corpus, candidates, ngram, verify)


def shape(preset: str | None, threshold: float | None) -> tuple[int, int]:
    """Return bands and rows. Raises RecipeError for an unknown preset, or when both or no good threshold is given."""
    if threshold is None:
        name = preset or "fineweb"
        if name not in PRESETS:
            raise RecipeError(f"minhash: no preset {name!r}{near(name, PRESETS)}")
        return PRESETS[name]
    if preset is not None:
        raise RecipeError("minhash: give preset: or threshold:, not both")
    if not 0.1 <= threshold <= 0.99:
        raise RecipeError(f"minhash: threshold: {threshold} is not between .1 and .99")
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


def keys(batch: pl.DataFrame, *, bands: int, rows: int, ngram: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the band keys [documents, bands] of a batch, and which documents have words at all."""
    found, some = signatures(words(batch), ngram, *functions(bands * rows))
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


def band_tables(corpus: Corpus, *, bands: int, rows: int, ngram: int) -> list[str]:
    """Return the paths of the files' band tables, in their order; those that are there are not made again."""
    knobs = {"bands": bands, "rows": rows, "ngram": ngram}
    there = shelf(corpus.folder)
    addresses = [address(file.id, "minhash.bands", knobs, VERSION, SPLITTER) for file in corpus.files]
    paths = [beside(file, corpus.folder, "bands", at, there) for file, at in zip(corpus.files, addresses, strict=True)]
    missing = [
        {"name": file.path, "bytes": file.bytes, "file": to_dict(file), "path": path, **knobs}
        for file, path in zip(corpus.files, paths, strict=True)
        if not os.path.exists(path)
    ]
    corpus.map("curate.minhash:write_bands", missing)
    return paths


def write_bands(task: Task) -> dict[str, object]:
    """Write the band table of one data file, sorted by band."""
    file = as_file(task["file"])
    shape = {name: task[name] for name in ("bands", "rows", "ngram")}
    found, row = [], 0
    for batch in batches(file, ["doc_id", "text"]):
        numbers, some = keys(batch, **shape)
        told = pl.DataFrame({f"{band}": numbers[:, band] for band in range(task["bands"])})
        ids = batch.select("doc_id", row=pl.int_range(row, row + batch.height, dtype=pl.Int64))
        found.append(pl.concat([ids, told], how="horizontal").filter(pl.Series(some)))
        row += batch.height
    whole = pl.concat(found)
    with DataWriter(task["path"], BANDS) as out:
        for band in range(task["bands"]):
            out.add_table(whole.select("doc_id", band=pl.lit(band, pl.Int32), key=f"{band}", row="row").to_arrow())
        out.close()
    return {"task": task["task"], "name": task["name"], "rows": file.rows, "bytes": file.bytes}
