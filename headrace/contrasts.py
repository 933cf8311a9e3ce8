"""Differences between variants, with the chance in them: of training (seeds) and of the text that was held out (documents).

A run is one variant trained with one seed. Runs of one seed share their first weights and every variant is asked about the
same documents, so differences are taken seed by seed and document by document. For variant v against a, in bits per byte:

    d_s    = sum over documents (bits of v - bits of a) / sum of bytes, in seed s;   d = their mean over S seeds
    V_seed = var(d_s) / S                                             the chance of training
    V_text = G / (G - 1) * sum over units e_g^2 / (sum of bytes)^2     the chance of the text: the ratio estimator's variance,
             e_g = sum over the unit's documents of (mean difference in bits - d * bytes)  (Cochran 1977, section 6.4)

Both stand in the interval: d +- t(df) * sqrt(V_seed + V_text), df after Satterthwaite (1946). The part of the chance that belongs to
both at once is counted twice, which makes intervals a little wider. Units are hosts or files, whose documents are alike.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.intervals import t_quantile

ALL = "all"
FEWEST_PLACES = 8
"""A domain whose documents come from fewer hosts or files than this is taken document by document: as few places tell nothing of a variance."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Contrast:
    """One variant on one domain. Bits per byte, less is better; difference, low and high are against `against`, None for that one itself.

    sd: over seeds, None with one. units: hosts, files or documents that the interval takes as independent. verdict: baseline;
    better, worse or noise (the interval holds 0); one seed (it says nothing of training's own chance); unknown (nothing to judge by).
    """

    variant: str
    against: str
    domain: str
    bits_per_byte: float
    sd: float | None
    difference: float | None
    low: float | None
    high: float | None
    seeds: int
    units: int
    verdict: str


def contrasts(runs: pl.DataFrame, confidence: float = 0.95) -> list[Contrast]:
    """Compare every variant with the first one, over all text and by domain.

    runs: a row a document of a run: variant (Enum or in order of appearance), seed, doc_id, domain, host, uri, bits, bytes. Every
    run must hold the same documents. Rows come variant by variant, `all` first.
    """
    variants = runs["variant"].unique(maintain_order=True).to_list()
    found = []
    for domain in (ALL, *sorted(runs["domain"].unique())):
        rows = runs if domain == ALL else runs.filter(pl.col("domain") == domain)
        rows = rows.filter(pl.col("bytes") > 0)
        if not rows.height:
            continue
        units = _units(rows)
        tables = {name: _table(rows.filter(pl.col("variant") == name)) for name in variants}
        found += list(_against_first(tables, units, domain, confidence))
    return sorted(found, key=lambda one: variants.index(one.variant))


def _table(rows: pl.DataFrame) -> tuple[Floats, Floats]:
    """Bits of each document by seed, [seeds, documents], and the documents' bytes."""
    ordered = rows.sort("seed", "doc_id")
    parts = ordered.partition_by("seed", maintain_order=True)
    assert all(part["doc_id"].equals(parts[0]["doc_id"]) for part in parts), "runs of one variant were asked about different documents"
    return np.stack([part["bits"].to_numpy() for part in parts]), parts[0]["bytes"].to_numpy().astype(np.float64)


def _units(rows: pl.DataFrame) -> npt.NDArray[np.int64]:
    """The unit of each document in order of doc_id: its host, else its file, else itself; by domain, where a domain has enough of them."""
    host = pl.when(pl.col("host") == "").then(None).otherwise(pl.col("host"))
    place = pl.coalesce(host, pl.concat_str(pl.lit("file:"), pl.col("uri").str.split("#").list.first()), "doc_id")
    documents = rows.unique("doc_id").sort("doc_id").with_columns(place=place)
    many = pl.col("place").n_unique().over("domain") >= FEWEST_PLACES
    unit = pl.when(many).then(pl.concat_str("domain", "place", separator=" ")).otherwise("doc_id")
    found: npt.NDArray[np.int64] = documents.select(unit.rank("dense").cast(pl.Int64) - 1).to_series().to_numpy()
    return found


def _against_first(tables: dict[str, tuple[Floats, Floats]], units: npt.NDArray[np.int64], domain: str, confidence: float) -> Iterator[Contrast]:
    """Compare the variants of one domain."""
    against = next(iter(tables))
    base, sizes = tables[against]
    for name, (bits, own) in tables.items():
        assert np.array_equal(own, sizes), "variants were asked about different documents"
        by_seed = bits.sum(1) / sizes.sum()
        shared: dict[str, Any] = {"variant": name, "against": against, "domain": domain, "seeds": len(by_seed), "units": int(units.max()) + 1}
        level: dict[str, Any] = {"bits_per_byte": float(by_seed.mean()), "sd": float(by_seed.std(ddof=1)) if len(by_seed) > 1 else None}
        if name == against:
            yield Contrast(**shared, **level, difference=None, low=None, high=None, verdict="baseline")
            continue
        d, half = interval(bits - base, sizes, units, confidence)
        low, high = (d - half, d + half) if half is not None else (None, None)
        yield Contrast(**shared, **level, difference=d, low=low, high=high, verdict=_verdict(low, high, len(by_seed)))


def interval(differences: Floats, sizes: Floats, units: npt.NDArray[np.int64], confidence: float) -> tuple[float, float | None]:
    """Return the mean difference in bits per byte and half the width of its interval, None where neither seeds nor units can tell.

    differences: bits, [seeds, documents]; sizes: bytes, [documents]; units: a number from 0 for each document.
    """
    total = sizes.sum()
    by_seed = differences.sum(1) / total
    d = float(by_seed.mean())
    seeds, places = len(by_seed), int(units.max()) + 1
    parts: list[tuple[float, int]] = []
    if seeds > 1:
        parts.append((float(by_seed.var(ddof=1)) / seeds, seeds - 1))
    if places > 1:
        left = np.bincount(units, differences.mean(0) - d * sizes, places)
        parts.append((places / (places - 1) * float((left**2).sum()) / total**2, places - 1))
    variance = sum(part for part, _ in parts)
    if not parts:
        return d, None
    if variance == 0:
        return d, 0.0
    freedom = variance**2 / sum(part**2 / free for part, free in parts)
    return d, t_quantile((1 + confidence) / 2, freedom) * math.sqrt(variance)


def _verdict(low: float | None, high: float | None, seeds: int) -> str:
    if low is None or high is None:
        return "unknown"
    if seeds < 2:
        return "one seed"
    return "worse" if low > 0 else "better" if high < 0 else "noise"
