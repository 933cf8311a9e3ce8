"""Repeated stretches of words, against a suffix array over the same words (pydivsufsort), and that both say the same of every window.

    HEADRACE_DATA=... python benchmarks/substring.py [--runs 5] [--tokens 50]      in .venv; the suffix array runs in .venv-oracles (or HEADRACE_ORACLES)

On 48 novels, three of them in two editions (books/books.jsonl.gz of HEADRACE_DATA). CPU seconds of one core and thread, the two alternating: ours
from Parquet to spans, words split twice; the suffix array and its groups alone, words given as numbers in memory.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

HOME = Path(__file__).resolve().parent.parent
sys.path[:] = [str(HOME), *(path for path in sys.path if Path(path).resolve() != HOME / "benchmarks")]
THREADS = dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def main(runs: int, tokens: int) -> None:
    os.environ.update(THREADS)
    import numpy as np
    import polars as pl

    from catalog.stage import words
    from curate.components import no_edges
    from curate.corpus import Corpus
    from curate.substring import spans
    from tests.spark_making import corpus

    path = Path(os.environ["HEADRACE_DATA"], "books/books.jsonl.gz")
    texts = {row["id"]: row["text"] for row in sorted(map(json.loads, gzip.decompress(path.read_bytes()).splitlines()), key=lambda row: row["id"])}
    size = sum(len(text.encode()) for text in texts.values()) / 1e6
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        files = corpus(root, [{"doc_id": name, "text": text} for name, text in texts.items()], 2)
        split = words(pl.DataFrame({"text": list(texts.values())}))
        np.save(root / "words.npy", np.unique(split.hashes, return_inverse=True)[1].astype(np.uint32))
        np.save(root / "offsets.npy", split.documents)
        python = os.environ.get("HEADRACE_ORACLES", str(HOME / ".venv-oracles/bin/python"))
        read, found = [str(root / name) for name in ("words.npy", "offsets.npy")], str(root / "firsts.npy")
        asked = [python, str(HOME / "tests/oracle_suffix.py"), *read, str(tokens), found]
        ours, theirs = [], []
        for run in range(runs + 1):                          # the first is for compiling
            hands = Corpus(tuple(files), str(root / "a"), str(root / "w"), workers=0)
            begun = process_time()
            told = spans(hands, no_edges(), tokens, True)
            ours += [process_time() - begun] if run else []
            hands.clear()
            said = subprocess.run(asked, capture_output=True, text=True, check=True)
            theirs += [float(said.stdout)] if run else []
        same = equal(list(texts), split, told, files, np.load(found), tokens)
    print(f"{len(texts)} novels, {size:.1f} MB, stretches of {tokens} words: {hands.metrics['substring_spans']:,} places, the same windows: {same}")
    print(f"ours          {median(ours):.2f} s ({min(ours):.2f} to {max(ours):.2f}), {size / median(ours):.1f} MB/s")
    print(f"suffix array  {median(theirs):.2f} s ({min(theirs):.2f} to {max(theirs):.2f})")


def equal(names: list[str], split: Any, told: Any, files: Any, firsts: Any, tokens: int) -> bool:
    """Whether every window that one way finds repeated is so by the other, with the same first place."""
    import numpy as np

    refs = {number << 32 | row: i for i, (number, row) in enumerate((n, r) for n, file in enumerate(files) for r in range(file.rows))}
    ours, at = np.full(firsts.size, -1), dict(zip(names, split.documents.tolist(), strict=False))
    for ref, rows in told.select("ref", "spans").iter_rows():
        d = refs[ref]
        raw = split.data[split.texts[d] : split.texts[d + 1]]
        chars = np.cumsum(np.append(0, (raw & 0xC0) != 0x80))
        words = slice(split.documents[d], split.documents[d + 1])
        starts, ends = (chars[places[words] - split.texts[d]] for places in (split.starts, split.ends))
        for span in rows:
            first, last = np.searchsorted(starts, span["start"]), np.searchsorted(ends, span["end"])
            count = last - first + 2 - tokens
            ours[at[names[d]] + first : at[names[d]] + first + count] = at[span["first"]] + span["at"] + np.arange(count)
    return bool((ours == firsts).all())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=50)
    given = parser.parse_args()
    main(given.runs, given.tokens)
