"""Generated documents with planted copies, as data files: what benchmarks/dedup.py searches.

A document is a walk over real text (the demo's C4 pages and books): after each word comes what followed one of its occurrences there, and
one word in eight is any word of the text, so vocabulary, its frequencies and most pairs of words are real. Lengths are those of the C4
pages. A copy is its original's walk again; a near copy has a share of its words exchanged, chosen so that the Jaccard of the two's 5-grams
is on average what was planned. Everything follows from the seed and the number of documents.
"""

import json
import os
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.files import DataFile, DataWriter
from catalog.ids import digest
from catalog.schema import DOCUMENT, mix64

DATA = Path(__file__).resolve().parent.parent / "examples/data"
FILE_ROWS = 50_000
EXACT, NEAR = 0.15, 0.15
"""Shares of the documents that are exact and near copies. A near copy has an original of its own; few originals have most exact copies."""

LEVELS = (0.3, 1.0)
"""Planned Jaccards of near copies, evenly."""

LONGEST_WORD = 30
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Plan:
    """By place: the walk that a document is (copies have their original's), its words, and the share of them that is exchanged; and the
    near copies as places [pairs, 2]."""

    walk: Ints
    words: Ints
    rate: Floats
    near: Ints


@lru_cache(maxsize=1)
def model() -> tuple[Ints, Ints, Ints, Bytes, Ints, Ints]:
    """Return the text as word numbers, occurrences by word with their offsets, the words' bytes with their offsets, and lengths of pages in words."""
    pages = [json.loads(line)["text"].split() for line in (DATA / "web/c4.jsonl").read_text(encoding="utf-8").splitlines()]
    books = [path.read_text(encoding="utf-8").split() for path in sorted((DATA / "books").glob("*.txt"))]
    written = [word for text in (*pages, *books) for word in text if len(word.encode()) <= LONGEST_WORD]
    names = {word: number for number, word in enumerate(dict.fromkeys(written))}
    text = np.array([names[word] for word in written], np.int64)
    spelt = [word.encode() for word in names]
    ends = np.cumsum([0, *map(len, spelt)], dtype=np.int64)
    occurrences = np.argsort(text[:-1], kind="stable")
    offsets = np.searchsorted(text[:-1][occurrences], np.arange(len(names) + 1))
    return text, occurrences, offsets, np.frombuffer(b"".join(spelt), np.uint8), ends, np.array([len(page) for page in pages], np.int64)


def plan(documents: int, seed: int = 1) -> Plan:
    draw = np.random.Generator(np.random.PCG64(seed))
    exact, near = int(documents * EXACT), int(documents * NEAR)
    originals = documents - exact - near
    copied = near + (draw.random(exact) ** 3 * (originals - near)).astype(np.int64)  # the first `near` originals have near copies
    walk = np.concatenate([np.arange(originals), np.arange(near), copied])
    levels = draw.uniform(*LEVELS, near)
    rate = np.zeros(documents)
    rate[originals : originals + near] = 1 - (2 * levels / (1 + levels)) ** 0.2  # of grams of five, q are left whole: a Jaccard of q / (2 - q)
    words = draw.choice(model()[5], originals)[walk]
    place = draw.permutation(documents)  # of each planned document
    pairs = np.stack([place[:near], place[originals : originals + near]], axis=1)
    order = np.argsort(place)
    return Plan(walk[order], words[order], rate[order], np.sort(pairs, axis=1))


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def _texts(
    first: int, last: int, seed: int, walk: Ints, words: Ints, rate: Floats, text: Ints, seen: Ints, offsets: Ints, spelt: Bytes, ends: Ints
) -> tuple[Bytes, Ints]:
    out, places, at = np.empty(words[first:last].sum() * (LONGEST_WORD + 1), np.uint8), np.zeros(last - first + 1, np.int64), 0
    for d in range(first, last):
        steps = mix64(np.uint64(walk[d]) + np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15))
        edits = mix64(np.uint64(d) ^ np.uint64(0xD6E8FEB86659FD93) * np.uint64(seed + 1))
        word = 0
        for i in range(words[d]):
            steps = mix64(steps + np.uint64(0x9E3779B97F4A7C15))
            if i == 0 or steps >> np.uint64(61) == 0:
                word = text[np.int64(steps % np.uint64(text.size - 1))]
            else:
                word = text[seen[offsets[word] + np.int64(steps % np.uint64(max(1, offsets[word + 1] - offsets[word])))] + 1]
            put = word
            if rate[d] > 0:
                edits = mix64(edits + np.uint64(0x9E3779B97F4A7C15))
                if np.float64(edits >> np.uint64(11)) < rate[d] * 9007199254740992.0:
                    put = text[np.int64(mix64(edits) % np.uint64(text.size))]
            for k in range(ends[put], ends[put + 1]):
                out[at] = spelt[k]
                at += 1
            out[at] = 10 if i % 80 == 79 else 32
            at += 1
        places[d - first + 1] = at
    return out[:at], places


def texts(told: Plan, first: int, last: int, seed: int = 1) -> pl.Series:
    """Return the documents of places first to last."""
    import pyarrow as pa

    text, seen, offsets, spelt, ends, _ = model()
    data, places = _texts(first, last, seed, told.walk, told.words, told.rate, text, seen, offsets, spelt, ends)
    array = pa.LargeStringArray.from_buffers(last - first, pa.py_buffer(places), pa.py_buffer(data))
    return pl.Series("text", array)


def write(root: str, documents: int, seed: int = 1) -> list[DataFile]:
    """Write the documents as data files of a lake under `root`, once: what is there is taken as it is."""
    listed = Path(root) / "files.json"
    if listed.exists():
        known = json.loads(listed.read_text(encoding="utf-8"))
        return [DataFile(**{**given, "root": root, "columns": tuple(map(tuple, given["columns"])), "annotations": ()}) for given in known]
    told, made = plan(documents, seed), []
    blank = pl.from_arrow(DOCUMENT.empty_table())
    assert isinstance(blank, pl.DataFrame)
    size = min(FILE_ROWS, -(-documents // 2))
    for start in range(0, documents, size):
        path = f"data/planted/r/part-{start // size:05d}.parquet"
        with DataWriter(os.path.join(root, path), DOCUMENT) as out:
            for first in range(start, min(documents, start + size), 5000):
                last = min(documents, start + size, first + 5000)
                out.add_table(_rows(blank, texts(told, first, last, seed), first, seed).to_arrow())
            stat = out.close()
        made.append(DataFile(digest(path, stat.ids), path, stat.rows, stat.bytes, stat.ids, root, (), stat.columns))
    listed.write_text(json.dumps([file.__dict__ for file in made]), encoding="utf-8")
    return made


def _rows(blank: pl.DataFrame, found: pl.Series, first: int, seed: int) -> pl.DataFrame:
    numbers = range(first, first + len(found))
    ids = [blake2b(f"{seed} {number}".encode(), digest_size=16).hexdigest() for number in numbers]
    rows = pl.DataFrame({"doc_id": ids, "text": found, "uri": [f"https://planted.example/{number}" for number in numbers]})
    return pl.concat([blank, rows.with_columns(domain=pl.lit("web"))], how="diagonal_relaxed")
