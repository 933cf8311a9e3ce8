"""Near duplicates where memory is short: of each document, whether one before it shares a band of MinHash values, by Bloom filters.

A filter a band holds the keys of all documents so far (LSHBloom: Khan et al. 2024, arXiv 2411.04257), in place of a sort of all keys. It names no
neighbour, knows nothing of what comes later, and compares no texts: what the bands say is what stands. Documents come in the order of
the catalogue's files, those of `against:` first, within a file by doc_id.

datasketch's MinHashLSHBloom does the same over its own MinHash objects and a C library that is not among our packages; here the keys are those of the band
tables. Filters lie beside the results, named by all that went into them, as plain numbers; when files are added the last ones are carried on.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from catalog.files import publish, temporary
from catalog.ids import digest
from catalog.schema import mix64
from catalog.stage import declares
from curate.components import FILE, Edges, Told, no_edges
from curate.corpus import Corpus, shelf
from curate.minhash import band_names, shape
from curate.minhash import sketches as of_bands
from curate.sketches import Sketch, columns, each, tables
from curate.stars import scope, stands

VERSION = 1
LEAST = 1 << 16
"""Documents that the smallest filters are made for."""

Bits = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]
FLAGGED = pl.Schema({"file": pl.String, "row": pl.Int64})


@dataclass(frozen=True)
class Shape:
    """Filters for `documents`: a row of `bits` for each of `bands`, `probes` of which a key sets."""

    bands: int
    documents: int
    bits: int
    probes: int

    @property
    def bytes(self) -> int:
        return self.bands * (self.bits // 8)


def filters(bands: int, documents: int, false_alarms: float) -> Shape:
    """Return the shape of filters in which a new document meets any of `bands` by accident with the probability `false_alarms`, when they are full."""
    documents = max(LEAST, 1 << (documents - 1).bit_length())
    one = -math.expm1(math.log1p(-false_alarms) / bands)
    bits = math.ceil(-documents * math.log(one) / math.log(2) ** 2 / 64) * 64
    return Shape(bands, documents, bits, max(1, round(-math.log2(one))))


@declares(adds={"bloomed": pa.bool_()}, version=VERSION, family="dup")
def job(
    corpus: Corpus, before: Edges, *, preset: str | None = None, threshold: float | None = None, ngram: int = 5, tokens: str = "words",
    false_alarms: float = 1e-4,
) -> Told:  # fmt: skip
    """Say of each document whether one before it shares a band: `dup.bloomed` is true then, else NULL. For `drop: {copy: dup.bloomed}` in a policy.

    Knobs are those of `minhash`. `false_alarms` is the share of new documents that are taken for seen ones by accident of the filters, at most; bands alone
    join more than that (`headrace dedup query` says at which Jaccard). 14 bands at 1e-4 take 43 MB a million documents, in filters that are made for the next
    power of two: two fifths of the keys themselves, and nothing for ids and pairs.
    """
    bands, _ = shape(preset, threshold)
    paths = tables(corpus, sketches(preset=preset, threshold=threshold, ngram=ngram, tokens=tokens))["bands"]
    corpus.tables.setdefault("bands", paths)
    made = filters(bands, corpus.rows, false_alarms)
    places = [*range(corpus.own, len(corpus.files)), *range(corpus.own)]
    chain = list(_chain(corpus, places, paths, made))
    done, bits, flagged = _carried(corpus, chain, made)
    for place in places[done:]:
        hit = _passed(corpus, place, paths[place], bits, made.probes)
        flagged = pl.concat([flagged, pl.DataFrame({"row": hit}).select(file=pl.lit(corpus.files[place].id), row="row")])
    if done < len(places):
        _keep(corpus, chain[-1], bits, flagged)
    corpus.metrics.update({"bloom_bytes": made.bytes, "bloom_documents": made.documents, "bloom_files_passed": len(places) - done})
    number = {corpus.files[place].id: place for place in range(corpus.own)}
    ours = flagged.filter(pl.col("file").is_in(list(number)))
    refs = ours.select(ref=pl.col("file").replace_strict(number, return_dtype=pl.Int64) * FILE + pl.col("row"))
    return Told(no_edges(), refs.with_columns(bloomed=pl.lit(True)))


def sketches(*, preset: str | None = None, threshold: float | None = None, ngram: int = 5, tokens: str = "words", **_: object) -> tuple[Sketch, ...]:
    """Return the band table, the same as `minhash` makes."""
    return of_bands(preset=preset, threshold=threshold, ngram=ngram, tokens=tokens)


def _chain(corpus: Corpus, places: list[int], paths: list[str], made: Shape) -> Iterator[str]:
    """The name of the filters after each file: all that went into them, in order. Beside the bands that is who is compared, and within what."""
    told = digest(str(VERSION), str(made))
    for place in places:
        file = corpus.files[place]
        families = {corpus.verdict_of(place), (corpus.within or "").partition(".")[0]}
        read = [annotation.address for annotation in file.annotations if annotation.family in families]
        told = digest(told, os.path.basename(paths[place]), corpus.within or "", *read)
        yield told


def _carried(corpus: Corpus, chain: list[str], made: Shape) -> tuple[int, Bits, pl.DataFrame]:
    """How many files the filters at hand have passed, the filters, and whom they flagged: those of an earlier run over the first files, else empty ones."""
    there = shelf(corpus.folder)
    for count in range(len(chain), 0, -1):
        bits, flags = (there.get(f"bloom-{chain[count - 1]}.{kind}") for kind in ("npy", "parquet"))
        if bits and flags:
            return count, np.load(bits, allow_pickle=False), pl.read_parquet(flags)
    return 0, np.zeros((made.bands, made.bits // 64), np.uint64), FLAGGED.to_frame()


def _keep(corpus: Corpus, name: str, bits: Bits, flagged: pl.DataFrame) -> None:
    os.makedirs(corpus.folder, exist_ok=True)
    path = os.path.join(corpus.folder, f"bloom-{name}.parquet")
    written = temporary(path)
    flagged.write_parquet(written)
    publish(written, path)
    path = os.path.join(corpus.folder, f"bloom-{name}.npy")
    written = temporary(path)
    with open(written, "wb") as out:
        np.save(out, bits, allow_pickle=False)
    publish(written, path)


def _passed(corpus: Corpus, place: int, path: str, bits: Bits, probes: int) -> npt.NDArray[np.int64]:
    """Pass a file's documents through the filters, in the order of their ids; return the rows that some band had seen."""
    file = corpus.files[place]
    order = columns([path], ["doc_id", "row"]).sort("doc_id", "row")["row"].to_numpy()
    there, scopes, hit = stands(corpus, place, file), scope(corpus, file), np.zeros(file.rows, np.bool_)
    for band, keyed in enumerate(each([path], band_names(bits.shape[0]))):
        order = order if band else order[(there & keyed.is_not_null().to_numpy())[order]]
        keys = keyed.fill_null(0).to_numpy().view(np.uint64)
        _pass(bits[band], keys if scopes is None else _both(keys, scopes), order, probes, hit)
    return np.flatnonzero(hit)


def _both(keys: Bits, scopes: Bits) -> Bits:
    return keys ^ (scopes * np.uint64(0x9E3779B97F4A7C15))


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def _pass(bits: Bits, keys: Bits, order: npt.NDArray[np.int64], probes: int, hit: Mask) -> None:
    """Mark the documents whose key one band's filter has, and set each key's bits (double hashing: Kirsch and Mitzenmacher 2006)."""
    size = np.uint64(bits.size * 64)
    for row in order:
        at, step = mix64(keys[row] ^ np.uint64(0x243F6A8885A308D3)), mix64(keys[row] ^ np.uint64(0x13198A2E03707344)) | np.uint64(1)
        seen = True
        for _ in range(probes):
            bit = at % size
            word, one = bit >> np.uint64(6), np.uint64(1) << (bit & np.uint64(63))
            if not bits[word] & one:
                seen = False
                bits[word] |= one
            at += step
        hit[row] |= seen
