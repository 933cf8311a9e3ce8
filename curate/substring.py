"""Repeated stretches: runs of words that stand in more than one place, verbatim, wherever they begin.

A window is `tokens` consecutive words of the shared split, signs among them, each as it is written (small letters and capitals
differ; what is between words, such as line breaks, does not count). A window is repeated when the same window stands at
another place, in another document or elsewhere in the same. Neighbouring windows are of one stretch when the one stands
behind the other wherever either stands: so a stretch is the same words in all its places, and any two of a corpus have no
window in common. It is what a compacted de Bruijn graph calls a unitig. Every place of a stretch is a span, the first one too:
which copy stays is the policy's to say.

How: a window's fingerprint (curate/windows.py) is a function of the window, so one that is repeated has a fingerprint that is.
One narrow pass a file finds those; a second one hashes, of the documents that have any, the windows around them; equal windows
come together by their hashes, in parts that fit memory, and name the first place where they stand, which is linear in the number of places.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from catalog.split import SPLITTER
from catalog.stage import declares, words
from catalog.tasks import Task
from curate.components import FILE, Edges, Told, no_edges
from curate.corpus import Corpus, as_file, batches, to_dict
from curate.numbered import Ints, Numbered, numbered, parts
from curate.repeats import REPEAT, between, listed, told_of
from curate.windows import PLACE_BITS, fingerprints, firsts, in_characters, joined, ordered, stretches, windows

PART_ROWS = 8_000_000
"""Fingerprints or windows a part: 24 bytes each, and as much again while they are sorted."""

GROUP = 1 << 16
COARSE = 52
"""Tables are in the order of their keys' 11 highest bits: enough for a range of keys to be found in few row groups."""
PRINTS = pa.schema([("key", pa.int64()), ("number", pa.int64())])
WINDOWS = pa.schema([("key", pa.int64()), ("check", pa.int64()), ("place", pa.int64())])
ADDS = {"spans": pa.list_(REPEAT), "repeated": pa.float64()}


@declares(reads=("text",), adds=ADDS, version=2, family="dup", splitter=SPLITTER)
def job(corpus: Corpus, before: Edges, *, tokens: int = 50, inside: bool = True) -> Told:
    """Find stretches of at least `tokens` words that stand in more than one place, verbatim, as spans; `inside` counts those in one document alone.

    spans      every place of every stretch, the first one too: kind (substring), start and end in characters of the text as ingested, the
               doc_id of the first place (`first`, the smallest doc_id) and the word of that document at which it begins (`at`), and at how many
               places the stretch stands (`copies`). `at` is null where a document of a dataset under `against:` has it: no copy need stay then.
    repeated   share of the text's characters that stand in such spans

    Words are those of the shared split as written. Spans of one text may overlap by up to `tokens` - 1 words. Exact copies that `exact`
    found before are one document here and have the spans of that one: the cluster says that they are copies.
    `cut: [dup.spans]` in a policy leaves, among the rows that it keeps, one copy of each stretch. Null for a text without any.
    """
    return Told(no_edges(), spans(corpus, before, tokens, inside))


def spans(corpus: Corpus, before: Edges, tokens: int, inside: bool) -> pl.DataFrame:
    """Return ref, spans and repeated of the documents that have repeated stretches."""
    documents = numbered(corpus, before)
    repeated = _repeats(corpus, documents, tokens, inside)
    places, begins, counts = _runs(corpus, documents, repeated, tokens, inside)
    found = told_of(documents, *stretches(places, begins, counts)).with_columns(words=pl.col("count") + tokens - 1)
    corpus.metrics["substring_stretches"] = found.select("first", "at").n_unique()
    corpus.metrics["substring_spans"] = found.height
    return listed(corpus, documents, found, "curate.substring:write_spans", ADDS)


def _tasks(corpus: Corpus, documents: Numbered, files: Sequence[int], name: str, **rest: Any) -> list[Task]:
    tasks = []
    for number in files:
        file, path = corpus.files[number], corpus.scratch(f"{name}-{number:06d}.parquet")
        told = {"file": to_dict(file), "number": number, "numbers": documents.paths[number], "path": path}
        tasks.append({"name": file.path, "bytes": file.bytes, **told, **rest})
    return tasks


def _parts(corpus: Corpus, name: str, rows: int, **rest: Any) -> list[Task]:
    """A task for each range of keys."""
    spans = enumerate(parts(rows, PART_ROWS))
    return [{"name": f"{name} {n}", "bytes": rows, "range": span, "path": corpus.scratch(f"{name}-{n:06d}.parquet"), **rest} for n, span in spans]


def _repeats(corpus: Corpus, documents: Numbered, tokens: int, inside: bool) -> list[str]:
    """Return tables (file, number, key) of the fingerprints that come more than once."""
    tasks = _tasks(corpus, documents, range(len(corpus.files)), "prints", tokens=tokens)
    written = corpus.map("curate.substring:write_fingerprints", tasks)
    total = sum(result["rows"] for result in written)
    tables, of = [result["path"] for result in written], f"{corpus.scratch('files')}.npy"
    np.save(of, documents.refs // FILE)
    asked = _parts(corpus, "again", total, tables=tables, of=of, inside=inside)
    corpus.metrics["substring_fingerprints"] = total
    return [result["path"] for result in corpus.map("curate.substring:repeats", asked, light=len(asked) == 1)]


def _runs(corpus: Corpus, documents: Numbered, repeated: list[str], tokens: int, inside: bool) -> tuple[Ints, Ints, Ints]:
    """Return the maximal runs of windows that are repeated and first stand one behind the other: place, first place, how many."""
    those = pl.concat([pl.scan_parquet(path).select("file").unique() for path in repeated]).unique().sort("file").collect()["file"].to_list()
    tasks = _tasks(corpus, documents, those, "windows", tokens=tokens, repeated=repeated)
    if not tasks:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64)
    written = corpus.map("curate.substring:write_windows", tasks)
    total, tables = sum(result["rows"] for result in written), [result["path"] for result in written]
    asked = _parts(corpus, "runs", total, tables=tables, inside=inside)
    corpus.metrics["substring_windows"] = total
    found = corpus.map("curate.substring:write_runs", asked, light=len(asked) == 1)
    runs = pl.concat([pl.read_parquet(result["path"]) for result in found]).sort("place")
    return joined(*(runs[name].to_numpy() for name in ("place", "first", "count")))


def write_fingerprints(task: Task) -> dict[str, Any]:
    """Write the fingerprints of one data file and the number of the document of each, by rising keys in each batch."""
    (numbers, scopes), row, rows = np.load(task["numbers"], allow_pickle=False), 0, 0
    with pq.ParquetWriter(task["path"], PRINTS, compression="lz4", use_dictionary=False) as out:
        for batch in batches(as_file(task["file"]), ["text"]):
            here = numbers[row : row + batch.height]
            keys, owners = fingerprints(words(batch), here >= 0, scopes[row : row + batch.height], task["tokens"])
            order = ordered(keys, COARSE)
            out.write_table(pa.Table.from_arrays([keys[order], here[owners[order]]], schema=PRINTS), row_group_size=GROUP)
            row, rows = row + batch.height, rows + keys.size
    return {"task": task["task"], "name": task["name"], "path": task["path"], "rows": rows}


def repeats(task: Task) -> dict[str, Any]:
    """Write which fingerprints of one range of keys come more than once, by data file."""
    rows = between(task["tables"], task["range"]).collect()
    order = ordered(keys := rows["key"].to_numpy(), 0)
    like_last = np.zeros(order.size + 1, np.bool_)
    like_last[1:-1] = keys[order[1:]] == keys[order[:-1]]
    rows = rows[order[like_last[:-1] | like_last[1:]]]
    if not task["inside"]:
        rows = rows.filter((pl.col("number").min() != pl.col("number").max()).over("key"))
    of = np.load(task["of"], mmap_mode="r", allow_pickle=False)
    rows = rows.with_columns(file=of[rows["number"].to_numpy()]).sort("file", "key")
    rows.select("file", "number", "key").write_parquet(task["path"], row_group_size=GROUP, compression="zstd", compression_level=1)
    return {"task": task["task"], "name": task["name"], "path": task["path"]}


def write_windows(task: Task) -> dict[str, Any]:
    """Write hashes and places of one data file's windows whose fingerprint comes more than once, by rising keys in each batch."""
    mine = pl.concat([pl.scan_parquet(path, glob=False).filter(pl.col("file") == task["number"]) for path in task["repeated"]]).collect()
    keys, have = mine["key"].unique().sort().to_numpy(), mine["number"].unique().sort().to_numpy()
    (numbers, scopes), row, rows = np.load(task["numbers"], allow_pickle=False), 0, 0
    with pq.ParquetWriter(task["path"], WINDOWS, compression="lz4", use_dictionary=False) as out:
        for batch in batches(as_file(task["file"]), ["text"]):
            some = np.flatnonzero(np.isin(numbers[row : row + batch.height], have))
            some, batch, row = row + some, batch[some], row + batch.height
            if not some.size:
                continue
            key, check, owner, word = windows(words(batch), scopes[some], task["tokens"], keys)
            order = ordered(key, COARSE)
            place = (numbers[some][owner] << PLACE_BITS) + word
            out.write_table(pa.Table.from_arrays([key[order], check[order], place[order]], schema=WINDOWS), row_group_size=GROUP)
            rows += key.size
    return {"task": task["task"], "name": task["name"], "path": task["path"], "rows": rows}


def write_runs(task: Task) -> dict[str, Any]:
    """Write the runs of repeated windows of one range of keys: place, first place and how many, sorted by place."""
    rows = between(task["tables"], task["range"]).collect()
    places = rows["place"].to_numpy()
    first = firsts(rows["key"].to_numpy(), rows["check"].to_numpy(), places, task["inside"])
    some = np.flatnonzero(first >= 0)
    some = some[ordered(places[some], 0)]
    place, first, count = joined(places[some], first[some], np.ones(some.size, np.int64))
    pl.DataFrame({"place": place, "first": first, "count": count}).write_parquet(task["path"], compression="zstd", compression_level=1)
    return {"task": task["task"], "name": task["name"], "path": task["path"]}


def write_spans(task: Task) -> dict[str, Any]:
    """Write the spans of one data file's documents, as lists: their words found again in the text."""
    start, found = task["number"] * FILE, []
    wanted = pl.scan_parquet(task["wanted"]).filter(pl.col("ref").is_between(start, start + FILE - 1)).sort("ref", "word").collect()
    for batch in batches(as_file(task["file"]), ["text"]):
        inside = wanted.filter(pl.col("ref").is_between(start, start + batch.height - 1))
        start, first = start + batch.height, start
        if inside.height:
            refs = inside["ref"].unique().sort()
            split = words(batch[(refs - first).to_list()])
            owners = refs.search_sorted(inside["ref"]).to_numpy().astype(np.int64)
            begin, end, covered = in_characters(
                split.data, split.texts, split.documents, split.starts, split.ends, owners, inside["word"].to_numpy(), inside["words"].to_numpy()
            )
            lengths = batch[(refs - first).to_list()]["text"].str.len_chars()
            placed = inside.with_columns(kind=pl.lit("substring"), start=pl.Series(begin), end=pl.Series(end))
            shares = pl.DataFrame({"ref": refs, "repeated": covered / lengths.to_numpy()})
            found.append(placed.group_by("ref", maintain_order=True).agg(spans=pl.struct(REPEAT.names)).join(shares, on="ref", maintain_order="left"))
    pl.concat(found).write_parquet(task["path"])
    return {"task": task["task"], "name": task["name"], "path": task["path"]}
