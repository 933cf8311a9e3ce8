"""Lines that stand on many pages: menus, notices and footers of a host, by how many of its pages have them.

`curate/paragraphs.py` asks the same of paragraphs. A line is what stands between line breaks, a paragraph what stands between blank lines. Two are the same
where their letters and numbers are, in small letters (CCNet also takes accents off and every digit as 0: Wenzek et al. 2020; here digits as `digits:`
says). Lines of signs alone are never counted. What is counted is documents, and those that jobs before found to be copies of each other, exactly or
nearly, count as one: else an article with six addresses would be its host's boilerplate.

How: a narrow pass a file writes the hash of each line with its document and place, sorted; parts count by hash; a second pass finds the lines again.
"""

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from catalog.errors import RecipeError, near
from catalog.files import read
from catalog.stage import declares, lines
from catalog.tasks import Task
from curate.components import FILE, Edges, Told, components, no_edges
from curate.corpus import Corpus, as_file, batches, to_dict
from curate.numbered import Ints, Numbered, numbered, parts
from curate.repeats import REPEAT, between, spread
from curate.text.units import in_characters, units
from curate.windows import PLACE_BITS

PART_ROWS = 8_000_000
GROUP = 1 << 16
KEYS = pa.schema([("key", pa.int64()), ("place", pa.int64())])


@declares(adds={"lines": pa.list_(REPEAT), "line_share": pa.float64(), "line_documents": pa.int64()}, version=2, family="dup")
def job(
    corpus: Corpus, before: Edges, *, within: str | None = "host", documents: int = 5, share: float = 0.05, keep: str = "none",
    digits: bool = False, min_words: int = 1,
) -> Told:  # fmt: skip
    """Find lines that stand in at least `documents` documents, and in `share` of those that have the same `within` (a column; null: of all).

    lines            those lines as spans: kind (line), start and end in characters of the text as ingested, line break included, the doc_id of the
                     first document that has it (`first`, the smallest), its number there (`at`, from 0) and in how many documents it stands (`copies`)
    line_share       share of the text's characters in them
    line_documents   in how many documents the commonest of them stands

    With `keep: none`, or where a document of a dataset under `against:` has it, `at` is null: `cut: [dup.lines]` cuts such a line
    everywhere. With `keep: first` one copy stays, by the policy's order. `min_words` is the fewest words of a line that counts, `digits` whether
    digits make a difference. Documents that jobs before joined count as one. Null for a text without any.
    """
    return told(corpus, before, "line", within, documents, share, keep, digits, min_words)


def told(corpus: Corpus, before: Edges, unit: str, within: str | None, documents: int, share: float, keep: str, digits: bool, min_words: int) -> Told:
    """Return the columns of the job for `unit`, line or paragraph."""
    whole = numbered(corpus, before, _values(corpus, within, unit))
    knobs = {"unit": unit, "digits": digits, "min_words": min_words}
    found = _repeated(corpus, whole, before, knobs, documents, share)
    corpus.metrics[f"repeated_{unit}s"] = found["key"].n_unique()
    firsts = found["first"].to_numpy()
    at = (firsts & ((1 << PLACE_BITS) - 1)) + (whole.again(firsts >> PLACE_BITS) << PLACE_BITS)
    placed = found.with_columns(first=whole.ids.gather(firsts >> PLACE_BITS), at=pl.when(pl.lit(keep == "first") & ~pl.col("known")).then(pl.Series(at)))
    wanted = corpus.scratch(f"{unit}s-wanted.parquet")
    placed.sort("file", "key").write_parquet(wanted, row_group_size=GROUP)
    tasks = [{**task, **knobs, "wanted": wanted} for task in _tasks(corpus, whole, f"{unit}s-spans")]
    adds = {f"{unit}s": pa.list_(REPEAT), f"{unit}_share": pa.float64(), f"{unit}_documents": pa.int64()}
    return Told(no_edges(), spread(corpus, whole, corpus.map("curate.lines:write_spans", tasks), adds))


def _values(corpus: Corpus, within: str | None, unit: str) -> pl.Series | None:
    """The values of the column `within`, a document each."""
    if within is None:
        return None
    for file in corpus.files:
        if within not in dict(file.columns):
            raise RecipeError(f"{unit}s: within: {within!r} is no column of {file.path}{near(within, dict(file.columns))}")
    return pl.concat([read(file, [within])[within].cast(pl.String) for file in corpus.files])


def _tasks(corpus: Corpus, whole: Numbered, name: str) -> list[Task]:
    tasks = []
    for number, file in enumerate(corpus.files):
        path = corpus.scratch(f"{name}-{number:06d}.parquet")
        tasks.append({"name": file.path, "bytes": file.bytes, "file": to_dict(file), "number": number, "numbers": whole.paths[number], "path": path})
    return tasks


def _repeated(corpus: Corpus, whole: Numbered, before: Edges, knobs: dict[str, Any], documents: int, share: float) -> pl.DataFrame:
    """Return file, key, first (place), copies (documents) and known (a frozen one among them) of what stands in enough documents."""
    written = corpus.map("curate.lines:write_keys", [{**task, **knobs} for task in _tasks(corpus, whole, f"{knobs['unit']}s-keys")])
    total = sum(result["rows"] for result in written)
    about = f"{corpus.scratch(knobs['unit'])}-about.npy"
    np.save(about, _about(whole, before))
    asked = []
    for n, span in enumerate(parts(total, PART_ROWS)):
        told = {"tables": [result["path"] for result in written], "about": about, "documents": documents, "share": share}
        asked.append({"name": f"{knobs['unit']}s {n}", "bytes": total, "range": span, "path": corpus.scratch(f"{knobs['unit']}s-{n:06d}.parquet"), **told})
    return pl.concat([pl.read_parquet(result["path"]) for result in corpus.map("curate.lines:count", asked, light=len(asked) == 1)])


def _about(whole: Numbered, before: Edges) -> Ints:
    """Return, of each document by number: its file, the number that its copies count as, how many count beside it, whether it is frozen."""
    number = pl.DataFrame({"ref": whole.refs, "number": np.arange(whole.refs.size)})
    joined = components(before).select("ref", "cluster").join(number, on="ref").with_columns(group=pl.col("number").min().over("cluster"))
    group = np.arange(whole.refs.size)
    group[joined["number"].to_numpy()] = joined["group"].to_numpy()
    numbers, scopes = np.concatenate([np.load(path, allow_pickle=False) for path in whole.paths], axis=1)
    there = pl.DataFrame({"number": numbers, "scope": scopes}).filter(pl.col("number") >= 0)
    there = there.with_columns(group=group[there["number"].to_numpy()]).with_columns(peers=pl.col("group").n_unique().over("scope"))
    peers = np.ones(whole.refs.size, np.int64)
    peers[there["number"].to_numpy()] = there["peers"].to_numpy()
    return np.stack([whole.refs // FILE, group, peers, whole.frozen.astype(np.int64)])


def _units(task: Task, batch: pl.DataFrame, scopes: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    return units(lines(batch), scopes, task["unit"] == "paragraph", task["digits"], task["min_words"])


def write_keys(task: Task) -> dict[str, Any]:
    """Write the lines of one data file, as hash and first place in each document, sorted by hash in each batch."""
    (numbers, scopes), row, rows = np.load(task["numbers"], allow_pickle=False), 0, 0
    with pq.ParquetWriter(task["path"], KEYS, compression="lz4", use_dictionary=False) as out:
        for batch in batches(as_file(task["file"]), ["text"]):
            here = slice(row, row + batch.height)
            owner, first, _, key = _units(task, batch, scopes[here])
            place = (numbers[here][owner] << PLACE_BITS) + first - lines(batch).documents[owner]
            some = pl.DataFrame({"key": key, "place": place, "owner": owner}).filter(pl.Series(numbers[here][owner] >= 0))
            once = some.group_by("owner", "key").agg(pl.col("place").min()).sort("key", "place")
            out.write_table(once.select("key", "place").to_arrow(), row_group_size=GROUP)
            row, rows = row + batch.height, rows + once.height
    return {"task": task["task"], "name": task["name"], "path": task["path"], "rows": rows}


def count(task: Task) -> dict[str, Any]:
    """Write, of one range of hashes, those that stand in enough documents, by data file."""
    rows = between(task["tables"], task["range"]).collect()
    file, group, peers, frozen = np.load(task["about"], mmap_mode="r", allow_pickle=False)[:, rows["place"].to_numpy() >> PLACE_BITS]
    rows = rows.with_columns(file=file, group=group, peers=peers, known=frozen > 0)
    copies, first = pl.col("group").n_unique().cast(pl.Int64), pl.col("place").min()
    told = rows.group_by("key").agg(copies=copies, peers=pl.col("peers").max(), first=first, known=pl.col("known").any())
    enough = told.filter((pl.col("copies") >= task["documents"]) & (pl.col("copies") >= task["share"] * pl.col("peers")))
    found = rows.select("file", "key").unique().join(enough, on="key").select("file", "key", "first", "copies", "known")
    found.write_parquet(task["path"], compression="zstd", compression_level=1)
    return {"task": task["task"], "name": task["name"], "path": task["path"]}


def write_spans(task: Task) -> dict[str, Any]:
    """Write the repeated lines of one data file's documents, as lists of spans."""
    wanted = pl.scan_parquet(task["wanted"]).filter(pl.col("file") == task["number"]).drop("file").collect()
    (numbers, scopes), row, found, name = np.load(task["numbers"], allow_pickle=False), 0, [], task["unit"]
    for batch in batches(as_file(task["file"]), ["text"]):
        here, split = slice(row, row + batch.height), lines(batch)
        owner, first, last, key = _units(task, batch, scopes[here])
        some = np.flatnonzero((numbers[here][owner] >= 0) & np.isin(key, wanted["key"].to_numpy()))
        places = (split.data, split.texts, split.documents, split.starts, split.flags, owner[some], first[some], last[some])
        start, end, sizes = in_characters(*places, name == "paragraph")
        rows = pl.DataFrame({"ref": task["number"] * FILE + row + owner[some], "key": key[some], "start": start, "end": end, "size": sizes[owner[some]]})
        rows = rows.join(wanted, on="key", how="left", maintain_order="left").with_columns(kind=pl.lit(name))
        share = (pl.col("end") - pl.col("start")).sum() / pl.col("size").first()
        spans = {f"{name}s": pl.struct(REPEAT.names), f"{name}_share": share, f"{name}_documents": pl.col("copies").max()}
        found.append(rows.group_by("ref", maintain_order=True).agg(**spans))
        row += batch.height
    if found:
        pl.concat(found).write_parquet(task["path"])
    return {"task": task["task"], "name": task["name"], "path": task["path"] if found else None}
