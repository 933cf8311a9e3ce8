"""Of what a document is a copy: its nearest neighbour, the same words elsewhere, what another dataset has of it, each with where it lies."""

import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from catalog.files import footer
from catalog.lake import Lake
from catalog.locator import Place
from catalog.rows import beside
from catalog.stage import words
from curate.grams import gram_sets, jaccards
from curate.policy import DUPLICATE

NAMED = {
    "neighbour": "nearest", "seen": "seen elsewhere", "exact": "same words", "cluster": "first of its cluster",
    "paraphrase_of": "says nearly the same", "paraphrase": "first of its paraphrases",
}  # fmt: skip
"""The columns of `dup` that name a document, and how that is said."""

Grams = tuple[int, str]
"""Words a gram, and what counts as one (curate/grams.py)."""


def copies_of(lake: Lake, place: Place, row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the documents that the family `dup` names beside this one: which, how like it, and where each lies and what became of it.

    `jaccard` is what the search recorded for the neighbour; where it recorded none it is measured by the knobs of the search, and `measured` says so.
    `cosine` is how near a paraphrase is.
    """
    dup = row.get("dup") or {}
    grams = _grams(place) if dup else (5, "words")
    named: dict[str, list[str]] = {}
    for column, what in NAMED.items():
        if dup.get(column) and dup[column] != row["doc_id"]:
            named.setdefault(dup[column], []).append(what)
    found: list[dict[str, Any]] = []
    for doc_id, said in named.items():
        places = [_lies(other) for other in sorted(lake.locate(doc_id), key=lambda at: (at.dataset != place.dataset, at.dataset))]
        jaccard = dup.get("jaccard") if doc_id == dup.get("neighbour") else 1.0 if doc_id == dup.get("exact") else None
        text = places[0].pop("text") if places else None
        measured = jaccard is None and text is not None
        shared = _shared(row.get("text") or "", text or "", grams) if measured else jaccard
        cosine = dup.get("cosine") if doc_id == dup.get("paraphrase_of") else None
        uri = places[0].pop("uri") if places else None
        told = {"jaccard": shared, "measured": measured, "cosine": cosine}
        found.append({"is": said, "doc_id": doc_id, "uri": uri, **told, "lies": [_placed(at) for at in places]})
    if (row.get("verdict") or {}).get("reason") == DUPLICATE and not any(at["kept"] for one in found for at in one["lies"]):
        found += _stays(lake, place, dup["cluster"], row, grams)
    return found


def _grams(place: Place) -> Grams:
    """What the search compared documents by, as the footer of its family tells; 5 words where it asked for exact copies alone, or does not tell."""
    there = [os.path.join(place.file.root, a.path) for a in place.file.annotations if a.family == "dup"]
    jobs = dict(json.loads(footer(there[0]).get("jobs", "[]"))) if there and os.path.exists(there[0]) else {}
    knobs = {name: value for job in ("exact", "bloom", "minhash") for name, value in jobs.get(f"curate.{job}:job", {}).items()}
    return int(knobs.get("ngram", 5)), str(knobs.get("tokens", "words"))


def _stays(lake: Lake, place: Place, cluster: str, row: dict[str, Any], grams: Grams) -> list[dict[str, Any]]:
    """The document of a cluster that its policy keeps, where none of those that `dup` names is kept: one look through the dataset's clusters."""
    query = f'SELECT doc_id, uri, text FROM audit."{place.dataset}" WHERE dup.cluster = ? AND kept ORDER BY doc_id LIMIT 1'
    lies = [{"dataset": f"{place.dataset}@v{place.version}", "kept": True, "reason": None}]
    return [
        {"is": ["kept of its cluster"], "doc_id": one["doc_id"], "uri": one["uri"], "measured": True, "cosine": None, "lies": lies,
         "jaccard": _shared(row.get("text") or "", one["text"] or "", grams)}
        for one in lake.rows(query, [cluster])
    ]  # fmt: skip


def _lies(place: Place) -> dict[str, Any]:
    """Where a document lies and what the first policy there says of it; a dataset without a verdict says nothing."""
    row = beside(place.file, np.array([place.row], np.int64), ["verdict"]).to_pylist()[0]
    verdict = row.get("verdict") or {}
    return {"dataset": f"{place.dataset}@v{place.version}", "uri": row.get("uri"), "text": row.get("text"), **{k: verdict.get(k) for k in ("kept", "reason")}}


def _placed(at: dict[str, Any]) -> dict[str, Any]:
    return {k: at[k] for k in ("dataset", "kept", "reason")}


def _shared(one: str, other: str, grams: Grams) -> float:
    sets, offsets = gram_sets(words(pl.DataFrame({"text": [one, other]})), *grams)
    return float(jaccards(sets, offsets, np.array([0]), np.array([1]))[0])


def lines(copies: list[dict[str, Any]]) -> Iterator[str]:
    """The copies for people: two lines each."""
    for one in copies:
        shared = "" if one["jaccard"] is None else f", Jaccard {one['jaccard']:.3f}{' (measured now)' if one['measured'] else ''}"
        shared += "" if one["cosine"] is None else f", cosine {one['cosine']:.3f}"
        yield f"  {' and '.join(one['is'])}: {one['doc_id']}{shared}"
        lies = [at["dataset"] + ("" if at["kept"] is None else " (kept)" if at["kept"] else f" (dropped: {at['reason']})") for at in one["lies"]]
        yield f"    {one['uri'] or 'no longer in the lake'}" + (f", in {', '.join(lies)}" if lies else "")
