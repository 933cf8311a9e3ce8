"""A decision taken twice, by a clause over our columns and by a peer's rule, and the causes for which the two may differ."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import polars as pl
from absence import absent
from test_curate_parity import corpus, spelt, split

from catalog.split import SYMBOL

Causes = Mapping[str, Callable[[str], bool]]


def holds(frame: pl.DataFrame, clause: str) -> pl.Series:
    """Say of each row whether a clause is true; NULL is not."""
    return pl.SQLContext(texts=frame).execute(f"SELECT coalesce({clause}, FALSE) AS held FROM texts", eager=True)["held"]


def same_decisions(name: str, texts: Sequence[str], ours: pl.Series, theirs: pl.Series, causes: Causes, most: float = .001) -> None:
    """Assert that what differs has a cause, but for a share of `most`, and that something was compared where no cause holds."""
    rows = (ours != theirs).arg_true().to_list()
    named = {row: [cause for cause, there in causes.items() if there(texts[row])] for row in rows}
    counts = {cause: sum(cause in found for found in named.values()) for cause in causes}
    unnamed = [row for row, found in named.items() if not found]
    plain = [row for row, text in enumerate(texts) if not any(there(text) for there in causes.values())]
    print(f"{name}: {len(texts)} texts, dropped {ours.sum()} and {theirs.sum()}, {len(rows)} decided otherwise: {counts}")
    print(f"  without a name {unnamed[:10]}; no cause holds in {len(plain)} texts")
    assert len(unnamed) <= most * len(texts), name
    assert 0 < ours.gather(plain).sum() < len(plain), name      # else nothing was compared


def proper_words(texts: Sequence[str]) -> list[list[str]]:
    """Return the words of each text that are not punctuation alone."""
    found = split(list(texts))
    raw = found.data.tobytes()
    every = [
        raw[start:end].decode() if not told & SYMBOL else ""
        for start, end, told in zip(found.starts.tolist(), found.ends.tolist(), found.flags.tolist(), strict=True)
    ]
    return [list(filter(None, every[first:last])) for first, last in pairwise(found.documents.tolist())]


def installed(python: Path, *packages: str) -> None:
    """Fail or skip, as absent() does, where the oracles' environment lacks a package."""
    for package in packages:
        asked = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{package}') is None)"
        if subprocess.run([str(python), "-c", asked], check=False).returncode:
            absent(f"{package} in .venv-oracles")


__all__ = ["Causes", "corpus", "holds", "installed", "proper_words", "same_decisions", "spelt"]
