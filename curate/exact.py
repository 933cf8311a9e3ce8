"""Exact duplicates: documents of the same words, of the same characters, or from the same address."""

import numba
import numpy as np
import polars as pl
import pyarrow as pa

from catalog.schema import hash_column, mix64
from catalog.split import PUNCT, SYMBOL
from catalog.stage import declares, words
from curate.components import Edges, Ints, Told, no_edges
from curate.connected import connected
from curate.corpus import Corpus
from curate.grams import GOLDEN, Bytes, Hashes, Offsets, counted, said_of
from curate.sketches import Sketch, tables
from curate.stars import stars

BY = {"text": ("words_high", "words_low"), "origin": ("origin_high", "origin_low"), "url": ("url_high", "url_low")}
"""What `by:` may name, and the halves of its 128-bit hash."""


@declares(adds={"exact": pa.string(), "copies": pa.int64()}, version=3, family="dup")
def job(corpus: Corpus, before: Edges, *, by: tuple[str, ...] = ("text",), tokens: str = "words") -> Told:
    """Join documents that are the same by any of: `text`, their words in small letters, whatever stands between them; `origin`, the text as extracted;
    `url`, the address without scheme, `www.`, fragment and last slash, whatever was found there.

    `dup.exact` is the smallest doc_id among those with the same text (by `text` or `origin`), null for one alone; `dup.copies` says how many they are. A
    text without words is compared by its characters. `tokens: code` is for source code: signs and capitals count. Hashes have 128 bits.
    """
    paths = tables(corpus, sketches(by=by, tokens=tokens))
    told = []
    for name in by:
        found = stars(corpus, paths["exact"], [BY[name]])
        told.append(found.with_columns(jaccard=pl.lit(None if name == "url" else 1.0, pl.Float64)))
    same = connected(corpus, pl.concat([no_edges(), *(edges for name, edges in zip(by, told, strict=True) if name != "url")]))
    columns = same.select("ref", exact="cluster", copies="size")
    surest = pl.concat([no_edges(), *told]).sort("jaccard", descending=True, nulls_last=True, maintain_order=True)  # of a pair that an address joins too
    return Told(surest.unique(["a", "b"], keep="first", maintain_order=True), columns)


def sketches(*, by: tuple[str, ...] = ("text",), tokens: str = "words") -> tuple[Sketch, ...]:
    """Return the table that the job needs."""
    reads = tuple({"text": "text", "origin": "origin_hash", "url": "uri"}[name] for name in by)
    columns = tuple(half for name in by for half in BY[name])
    return (Sketch("exact", "curate.exact:hashes", columns, (("by", tuple(by)), *said_of(tokens)), 2, reads),)


def hashes(batch: pl.DataFrame, *, by: tuple[str, ...], tokens: str = "words") -> pl.DataFrame:
    """Return the halves of the hashes of a batch, null where a document has no such thing."""
    made: dict[str, pl.Series] = {}
    for name in by:
        given = _words(batch, tokens) if name == "text" else _halves(batch["origin_hash"]) if name == "origin" else _halves(_address(batch["uri"]))
        made.update(zip(BY[name], given, strict=True))
    return pl.DataFrame(made)


def _halves(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    low, high = hash_column(texts), hash_column(pl.select(pl.lit("again ") + texts).to_series())
    return _series(high, texts), _series(low, texts)


def _series(numbers: Hashes, texts: pl.Series) -> pl.Series:
    return pl.Series(numbers.view(np.int64)).set(texts.is_null(), None)


def _address(uris: pl.Series) -> pl.Series:
    """Addresses in one spelling: host in small letters, no scheme, `www.`, port that goes without saying, fragment, last slash."""
    column = pl.col("uri")
    parts = column.str.extract_groups(r"^(?:[A-Za-z][A-Za-z0-9+.-]*://)?(?<host>[^/?#]*)(?<rest>[^#]*)")
    host = parts.struct.field("host").str.to_lowercase().str.replace(r":(80|443)$", "").str.strip_prefix("www.")
    return pl.DataFrame({"uri": uris}).select(host + parts.struct.field("rest").str.strip_suffix("/")).to_series()


def _words(batch: pl.DataFrame, tokens: str) -> tuple[pl.Series, pl.Series]:
    split = words(batch)
    high, low, count = _chained(split.documents, *counted(split, tokens))
    texts = batch["text"]
    if not count.all():  # punctuation alone: what stands there is what counts
        wordless = pl.Series(count == 0)
        high[wordless.to_numpy()], low[wordless.to_numpy()] = (half.fill_null(0).to_numpy().view(np.uint64) for half in _halves(texts.filter(wordless)))
    return _series(high, texts), _series(low, texts)


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def _chained(documents: Offsets, lowers: Hashes, flags: Bytes) -> tuple[Hashes, Hashes, Ints]:
    """Return two hashes of each document's words in order, signs left out, and how many there are."""
    n = documents.size - 1
    high, low, count = np.empty(n, np.uint64), np.empty(n, np.uint64), np.zeros(n, np.int64)
    for d in range(n):
        one, other = np.uint64(0x243F6A8885A308D3), np.uint64(0x13198A2E03707344)  # digits of pi
        for word in range(documents[d], documents[d + 1]):
            if not flags[word] & (SYMBOL | PUNCT):
                one = (one ^ lowers[word]) * GOLDEN
                one ^= one >> np.uint64(29)
                other = mix64(other + lowers[word])
                count[d] += 1
        high[d], low[d] = mix64(one), other
    return high, low, count
