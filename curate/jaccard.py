"""The true Jaccard of candidate pairs, gram by gram, without a shuffle of text.

Each data file's task writes the gram sets of its candidate documents, a row group per batch and part; a part's task reads its
row groups from all files and compares its pairs. So a worker holds one part, whatever the corpus.
"""

import os
from collections import defaultdict

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from catalog.files import publish, temporary
from catalog.ids import digest
from catalog.split import SPLITTER
from catalog.stage import words
from catalog.tasks import Task
from curate.components import FILE, Edges
from curate.corpus import Corpus, as_file, batches, shelf, to_dict
from curate.grams import gram_sets, jaccards, said_of

PART_PAIRS = 50_000
"""Pairs a part: at most twice as many documents, about 800 MB of grams where texts have 1,000 words."""

GRAMS = pa.schema([("ref", pa.int64()), ("grams", pa.large_list(pa.uint64()))])


VERSION = 1
Grams = tuple[int, str]
"""What is compared: words a gram, and what counts as one (curate/grams.py)."""
KNOWN = pl.Schema({"a_file": pl.String, "a_row": pl.Int64, "b_file": pl.String, "b_row": pl.Int64, "jaccard": pl.Float64})
"""What was compared before, by data file and row: texts are never rewritten, so it holds for every later run."""


def compared(corpus: Corpus, pairs: Edges, grams: Grams) -> Edges:
    """Return pairs with the Jaccard of their word n-gram sets. What an earlier run compared is not compared again."""
    before = _before(corpus, grams)
    told = pairs.join(before, on=["a", "b"], how="left", maintain_order="left")
    new = told.filter(pl.col("jaccard").is_null()).drop("jaccard")
    if not new.height:
        return told
    found = _compared(corpus, new, grams)
    _remember(corpus, found, grams)
    return pairs.join(pl.concat([before, found]), on=["a", "b"], how="left", maintain_order="left")


def _name(grams: Grams) -> str:
    return f"jaccard-{digest(str(grams[0]), SPLITTER, str(VERSION), *map(str, said_of(grams[1])))}"


def _before(corpus: Corpus, grams: Grams) -> pl.DataFrame:
    """What is known of the corpus's files: a, b, jaccard."""
    files = pl.DataFrame({"file": [file.id for file in corpus.files], "number": range(len(corpus.files))}, schema={"file": pl.String, "number": pl.Int64})
    known = [path for folder in (*corpus.shelves, corpus.folder) for name, path in shelf(folder).items() if name.startswith(f"{_name(grams)}-")]
    found = pl.concat([pl.LazyFrame(schema=KNOWN), *(pl.scan_parquet(path, glob=False) for path in known)])
    for end in ("a", "b"):
        numbered = files.lazy().rename({"file": f"{end}_file", "number": end})
        found = found.join(numbered, on=f"{end}_file").with_columns(pl.col(end) * FILE + pl.col(f"{end}_row"))
    return found.select("a", "b", "jaccard").collect().unique(["a", "b"])


def _remember(corpus: Corpus, found: pl.DataFrame, grams: Grams) -> None:
    """Write what was compared just now beside what the part makes."""
    ids = pl.Series([file.id for file in corpus.files], dtype=pl.String)
    told = found.select("jaccard", *((pl.col(end) % FILE).alias(f"{end}_row") for end in ("a", "b"))).with_columns(
        a_file=ids.gather(found["a"] // FILE), b_file=ids.gather(found["b"] // FILE)
    )
    name = f"{_name(grams)}-{digest(*ids, str(found.height), *(str(found[end].sum()) for end in ('a', 'b')))}.parquet"
    os.makedirs(corpus.folder, exist_ok=True)
    written = temporary(os.path.join(corpus.folder, name))
    told.select(list(KNOWN)).write_parquet(written)
    publish(written, os.path.join(corpus.folder, name))


def _compared(corpus: Corpus, pairs: Edges, grams: Grams) -> pl.DataFrame:
    """Return a, b and jaccard of pairs: grams of their documents file by file, compared part by part."""
    parts = -(-pairs.height // PART_PAIRS)
    pairs = pairs.sort("a", "b").with_columns(part=(pl.int_range(pl.len()) * parts // pl.len()).cast(pl.Int64))
    ends = pl.concat([pairs.select("part", ref=end) for end in ("a", "b")]).unique().sort("ref", "part")
    ends.write_parquet(wanted := corpus.scratch("wanted.parquet"), row_group_size=1 << 16)
    numbers = ends.select((pl.col("ref") // FILE).unique().sort()).to_series()
    asked = [_grams_task(corpus, number, grams, wanted) for number in numbers]
    groups = defaultdict(list)
    for result in corpus.map("curate.jaccard:write_grams", asked):
        for part, places in result["groups"].items():
            groups[int(part)].append([result["path"], places])
    sizes = pairs["part"].rle().struct.field("len").to_list()
    places = np.cumsum([0, *sizes]).tolist()                 # parts stand one behind the other
    tasks = [_pairs_task(corpus, pairs.slice(places[part], size), part, groups[part]) for part, size in enumerate(sizes)]
    done = corpus.map("curate.jaccard:compare", tasks, light=len(tasks) == 1)
    return pl.concat([pl.read_parquet(result["path"]) for result in done])


def _grams_task(corpus: Corpus, number: int, grams: Grams, wanted: str) -> Task:
    file = corpus.files[number]
    path = corpus.scratch(f"grams-{number:06d}.parquet")
    return {"name": file.path, "bytes": file.bytes, "file": to_dict(file), "number": number, "grams": grams, "wanted": wanted, "path": path}


def _pairs_task(corpus: Corpus, inside: pl.DataFrame, part: int, groups: list[list[object]]) -> Task:
    path = corpus.scratch(f"pairs-{part:06d}.parquet")
    inside.select("a", "b").write_parquet(path)
    out = corpus.scratch(f"compared-{part:06d}.parquet")
    return {"name": f"pairs {part}", "bytes": inside.height, "pairs": path, "groups": groups, "path": out}


def write_grams(task: Task) -> dict[str, object]:
    """Write the gram sets of one file's candidates. `groups` of the result says which row groups hold a part."""
    file, first = as_file(task["file"]), task["number"] * FILE
    wanted = pl.scan_parquet(task["wanted"]).filter(pl.col("ref").is_between(first, first + FILE - 1)).collect()
    groups, written, row = defaultdict(list), 0, first
    with pq.ParquetWriter(task["path"], GRAMS, compression="zstd", compression_level=1) as out:
        for batch in batches(file, ["text"]):
            inside = wanted.filter(pl.col("ref").is_between(row, row + batch.height - 1))
            if inside.height:
                refs = inside["ref"].unique().sort()
                sets = _sets(batch[(refs - row).to_list()], refs, tuple(task["grams"]))
                for (part,), rows in inside.group_by("part", maintain_order=True):
                    out.write_table(sets.take(pa.array(refs.search_sorted(rows["ref"]))), row_group_size=rows.height)
                    groups[part].append(written)
                    written += 1
            row += batch.height
    return {"task": task["task"], "name": task["name"], "path": task["path"], "groups": groups}


def _sets(batch: pl.DataFrame, refs: pl.Series, grams: Grams) -> pa.Table:
    hashes, offsets = gram_sets(words(batch), *grams)
    lists = pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(hashes))
    return pa.Table.from_arrays([pa.array(refs.to_numpy()), lists], schema=GRAMS)


def compare(task: Task) -> dict[str, object]:
    """Write the Jaccard of each pair of one part."""
    pairs = pl.read_parquet(task["pairs"])
    table = pa.concat_tables([pq.ParquetFile(path).read_row_groups(places) for path, places in task["groups"]]).combine_chunks()
    order = np.argsort(refs := table["ref"].to_numpy())
    lists = table["grams"].chunk(0)
    places = [order[np.searchsorted(refs, pairs[end].to_numpy(), sorter=order)] for end in ("a", "b")]
    found = jaccards(lists.values.to_numpy(), lists.offsets.to_numpy(), *places)
    pairs.with_columns(jaccard=found).write_parquet(task["path"])
    return {"task": task["task"], "name": task["name"], "path": task["path"]}
