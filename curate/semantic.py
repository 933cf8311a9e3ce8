"""Paraphrases: documents that say the same in other words, found by the cosine of their vectors (SemDeDup, Abbas et al. 2023).

They are reported apart from copies: nothing here joins `dup.cluster`. Vectors are parted by k-means, and only those of one cluster are compared, in the
order of their doc_ids: each follows the nearest one before it that is near enough, or leads a group itself. So everybody in a group is near the document
whose doc_id it bears; a chain of pairs, each near the next, makes no group. Copies that earlier jobs found stand for one another.
"""

import os
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from catalog.errors import RecipeError, near
from catalog.files import DataFile, known, read
from catalog.schema import hash_column
from catalog.stage import declares, words
from catalog.tasks import Task
from curate.components import FILE, Edges, Told, components, no_edges
from curate.corpus import Corpus, as_file, batches, to_dict
from curate.embedding import trained
from curate.models.nearby import centres, led, nearest, rounded, settled
from curate.models.opened import opened
from curate.models.vectors import embed, load

Ints = npt.NDArray[np.int64]

SAMPLE = 50_000
"""Documents of which k-means finds its centres: those whose doc_ids have the smallest hashes."""
WHOLE = 20_000
"""As many documents are compared without k-means."""
PROBES = 3
"""Clusters in which a document is compared: two that are near often lie on both sides of a border."""
PART = 50_000
"""Rows a task of comparisons; a cluster is never parted."""
SEED = 0x73656D

ADDS = {"paraphrase": pa.string(), "paraphrase_size": pa.int64(), "paraphrase_of": pa.string(), "cosine": pa.float64()}
FOLLOWERS = pl.Schema({"ref": pl.Int64, "leader": pl.Int64, "cosine": pl.Float64})


@declares(adds=ADDS, version=2, family="dup")
def job(corpus: Corpus, before: Edges, *, threshold: float = 0.88, clusters: int | None = None, vectors: str | None = None, join: bool = False) -> Told:
    """Name groups of paraphrases: documents whose vectors have a cosine of at least `threshold`. They join no cluster of copies.

    vectors     a column of vectors that a stage of the part writes, such as `embedding.vector`; else word vectors are trained on a sample of the corpus
    clusters    how many clusters k-means makes; else 1 up to 20,000 documents, and the root of a tenth of their number above
    join        whether they shall join clusters of copies after all, so that a policy keeps one of them

    `dup.paraphrase` is the smallest doc_id of the group, null for one alone; `dup.paraphrase_size` how many documents it has, copies too; `dup.paraphrase_of`
    the one that it follows (for the group's first the nearest of its followers), and `dup.cosine` how near. With `against:` each document over there leads a
    group, and goes before ours: `dup.paraphrase` is then its doc_id; `dup.seen` names it with `join: true` alone.
    """
    paths = _vectors(corpus, vectors)
    copies = _copies(corpus, before)
    some = np.concatenate([np.zeros(0, np.bool_), *(np.load(path, mmap_mode="r").any(axis=1) for path in paths)])
    told = corpus.nodes
    places = np.flatnonzero(told.there & some & ~np.isin(told.by_place, copies["ref"].to_numpy()))
    places = places[np.lexsort((told.number[places], places < told.own))]    # what is only compared with, then by doc_id
    groups = _groups(corpus, paths, places, _owners(corpus, paths, places, clusters), threshold) if places.size else FOLLOWERS.to_frame()
    corpus.metrics["paraphrases"] = groups.height
    return Told(_edges(corpus, groups) if join else no_edges(), _columns(corpus, groups, copies))


def families(*, vectors: str | None = None, **_: Any) -> tuple[str, ...]:
    """Return the families that the job reads."""
    return (vectors.partition(".")[0],) if vectors else ()


def _copies(corpus: Corpus, before: Edges) -> pl.DataFrame:
    """Return ref and first, the reference of the copy that stands for it, of each document of ours but the first of its cluster.

    One of another dataset stands for all of ours; each of those stands for itself.
    """
    nodes = components(before).with_columns(ours=pl.col("ref") < corpus.own * FILE).sort("ours", "doc_id", "ref")
    nodes = nodes.with_columns(first=pl.col("ref").first().over("cluster"))
    return nodes.filter((pl.col("ref") != pl.col("first")) & pl.col("ours")).select("ref", "first")


def _vectors(corpus: Corpus, column: str | None) -> list[str]:
    """Return the paths of the files' vectors, whole numbers by row; a file that has none has rows of no numbers."""
    for file in corpus.files if column else ():
        if column not in known(file) or column.partition(".")[0] not in {a.family for a in file.annotations}:
            raise RecipeError(f"semantic: vectors: {column!r} is no signal of {file.path}{near(str(column), known(file))}; name the stage that writes it")
    model = None if column else trained(corpus, seed=SEED)
    tasks = [
        {"name": file.path, "bytes": file.bytes, "file": to_dict(file), "column": column, "model": model, "path": corpus.scratch(f"vectors-{number:06d}.npy")}
        for number, file in enumerate(corpus.files)
    ]
    written = corpus.map("curate.semantic:write_vectors", tasks)
    lengths = {result["length"]: result["name"] for result in written if result["length"]}
    if len(lengths) > 1:
        said = " and ".join(f"{length} in {name}" for length, name in sorted(lengths.items())[:2])
        raise RecipeError(f"semantic: vectors: {column} has vectors of two lengths, {said}; have all files' written by one stage and model")
    return [result["path"] for result in written]


def write_vectors(task: Task) -> dict[str, object]:
    """Write the vectors of one file."""
    file = as_file(task["file"])
    found = _read(file, task["column"]) if task["column"] else _made(file, task["model"])
    np.save(task["path"], found)
    return {"task": task["task"], "name": task["name"], "path": task["path"], "length": found.shape[1]}


def _made(file: DataFile, model: str | None) -> npt.NDArray[np.int8]:
    if model is None:                                        # no word is common enough to be known by its neighbours
        return np.zeros((file.rows, 0), np.int8)
    known = opened(model, load, "semantic")
    return np.concatenate([np.zeros((0, known.dimensions), np.int8), *(rounded(embed(known, words(batch))) for batch in batches(file, ["text"]))])


def _read(file: DataFile, column: str) -> npt.NDArray[np.int8]:
    family, _, name = column.partition(".")
    lists = read(file, [], [family])[family].struct.field(name)
    if not isinstance(lists.dtype, pl.List) or lists.dtype.inner is None or not lists.dtype.inner.is_numeric():
        raise RecipeError(f"semantic: vectors: {column} of {file.path} holds no vectors")
    sizes = sorted(lists.list.len().drop_nulls().unique())
    if len(sizes) > 1:
        raise RecipeError(f"semantic: vectors: {column} of {file.path} holds vectors of two lengths, {sizes[0]} and {sizes[1]}")
    out = np.zeros((file.rows, int(sizes[0]) if sizes else 0), np.float32)
    some = lists.is_not_null().to_numpy()
    out[some] = lists.drop_nulls().explode().fill_null(float("nan")).to_numpy().reshape(int(some.sum()), -1) if out.shape[1] else 0
    return rounded(out)


def _owners(corpus: Corpus, paths: list[str], places: Ints, clusters: int | None) -> Ints:
    """Return the clusters in which the vector at each of these places is compared."""
    count = min(clusters or (1 if places.size <= WHOLE else round((places.size / 10) ** 0.5)), max(places.size, 1))
    corpus.metrics["vector_clusters"] = count
    if count == 1:
        return np.zeros((places.size, 1), np.int64)
    told = corpus.nodes
    number = told.number[places]
    sample = told.by_place[places[np.lexsort((number, hash_column(told.ids)[number]))[:SAMPLE]]]
    asked, centre = corpus.scratch("sample.npy"), corpus.scratch("centres.npy")
    np.save(asked, sample)
    corpus.map("curate.semantic:write_centres", [{"name": "k-means", "bytes": sample.size, "paths": paths, "refs": asked, "count": count, "path": centre}])
    tasks = [
        {"name": os.path.basename(path), "bytes": os.path.getsize(path), "vectors": path, "centres": centre, "path": corpus.scratch(f"owners-{number:06d}.npy")}
        for number, path in enumerate(paths)
    ]
    owners = [np.load(result["path"]) for result in corpus.map("curate.semantic:write_owners", tasks)]
    found: Ints = np.concatenate(owners)[places]
    return found


def write_centres(task: Task) -> dict[str, object]:
    """Write the centres of clusters, by the vectors of a sample."""
    np.save(task["path"], centres(_gathered(task["paths"], np.load(task["refs"])), task["count"], SEED))
    return {"task": task["task"], "name": task["name"]}


def write_owners(task: Task) -> dict[str, object]:
    """Write the clusters of each row of one file."""
    rows, centre = np.load(task["vectors"], mmap_mode="r"), np.load(task["centres"])
    np.save(task["path"], nearest(rows, centre, PROBES) if rows.shape[1] else np.zeros((len(rows), min(PROBES, len(centre))), np.int64))
    return {"task": task["task"], "name": task["name"], "path": task["path"]}


def _gathered(paths: list[str], refs: Ints) -> npt.NDArray[np.int8]:
    """Return the vectors of documents by their references."""
    files = refs // FILE
    numbers = np.unique(files)
    out = np.zeros((refs.size, np.load(paths[numbers[0]], mmap_mode="r").shape[1] if numbers.size else 0), np.int8)
    for number in numbers:
        inside = files == number
        out[inside] = np.load(paths[number], mmap_mode="r")[refs[inside] % FILE]
    return out


def _groups(corpus: Corpus, paths: list[str], places: Ints, owner: Ints, threshold: float) -> pl.DataFrame:
    """Return ref, leader and cosine of each document that follows another."""
    told, probes = corpus.nodes, owner.shape[1]
    places, owner = np.repeat(places, probes), owner.ravel()
    key = np.stack([owner, told.scope[places].view(np.int64) if told.scope is not None else np.zeros_like(owner)])
    order = np.lexsort(key[::-1])                            # stable: within a cluster in the order of `places`
    refs, key = told.by_place[places[order]], key[:, order]
    starts = np.flatnonzero(np.concatenate([[True], (key[:, 1:] != key[:, :-1]).any(axis=0)])) if refs.size else np.zeros(0, np.int64)
    part = starts // PART
    tasks = []
    for number in np.unique(part):
        mine = starts[part == number]
        end = starts[part > number][0] if (part > number).any() else refs.size
        asked = corpus.scratch(f"compared-{number:06d}.npz")
        np.savez(asked, refs=refs[mine[0] : end], starts=np.append(mine, end) - mine[0])
        path = corpus.scratch(f"compared-{number:06d}.parquet")
        told_of = {"paths": paths, "asked": asked, "threshold": threshold, "own": corpus.own, "path": path}
        tasks.append({"name": f"cluster {number}", "bytes": int(end - mine[0]), **told_of})
    found = [pl.read_parquet(result["path"]) for result in corpus.map("curate.semantic:compare", tasks)]
    whole = pl.concat([FOLLOWERS.to_frame(), *found])
    return whole if probes == 1 or not whole.height else _settled(corpus, paths, whole, threshold)


def _settled(corpus: Corpus, paths: list[str], found: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Return one leader for each document of those that it has in several clusters. Holds the vectors of these documents."""
    told = corpus.nodes
    there = np.isin(told.refs, np.concatenate([found["ref"].to_numpy(), found["leader"].to_numpy()]))
    theirs = told.refs // FILE >= corpus.own
    refs = np.concatenate([told.refs[there & theirs], told.refs[there & ~theirs]])
    numbered = pl.DataFrame({"ref": refs, "number": np.arange(refs.size)})
    who = found.join(numbered, on="ref").join(numbered, left_on="leader", right_on="ref").sort("number", "number_right")
    head, near = settled(who["number"].to_numpy(), who["number_right"].to_numpy(), _gathered(paths, refs), threshold, int((there & theirs).sum()))
    whole = pl.DataFrame({"ref": refs, "leader": refs[head], "cosine": near})
    return whole.filter(pl.col("ref") != pl.col("leader"))


def compare(task: Task) -> dict[str, object]:
    """Write who follows whom within some clusters."""
    with np.load(task["asked"]) as asked:
        refs, starts = asked["refs"], asked["starts"]
    found = [FOLLOWERS.to_frame()]
    for first, end in pairwise(starts):
        leader, cosine = led(_gathered(task["paths"], mine := refs[first:end]), task["threshold"], int((mine // FILE >= task["own"]).sum()))
        told = pl.DataFrame({"ref": mine, "leader": mine[leader], "cosine": cosine})
        found.append(told.filter(pl.col("ref") != pl.col("leader")))
    pl.concat(found).write_parquet(task["path"])
    return {"task": task["task"], "name": task["name"], "path": task["path"]}


def _edges(corpus: Corpus, groups: pl.DataFrame) -> Edges:
    """Return an edge from each group's first to each of its followers; how much they share of their words nobody asked."""
    named = pl.DataFrame({"ref": corpus.nodes.refs, "id": corpus.nodes.ids}).with_row_index("number")
    pairs = groups.filter(pl.col("ref") < corpus.own * FILE).select("ref", "leader")           # others are joined by nobody to each other
    both = [pairs.join(named, left_on=end, right_on="ref", how="left", maintain_order="left").select("number") for end in ("ref", "leader")]
    ends = pl.concat([one.rename({"number": name}) for one, name in zip(both, "xy", strict=True)], how="horizontal")
    told = ends.select(a=pl.min_horizontal("x", "y"), b=pl.max_horizontal("x", "y")).sort("a", "b")
    edges = {end: named["ref"].gather(told[end]) for end in "ab"} | {f"{end}_id": named["id"].gather(told[end]) for end in "ab"}
    return pl.DataFrame(edges).select(*edges, jaccard=pl.lit(None, pl.Float64)).cast(no_edges().schema)


def _columns(corpus: Corpus, groups: pl.DataFrame, copies: pl.DataFrame) -> pl.DataFrame:
    """Return the columns of the documents of groups, those that a copy stands for too."""
    named = pl.DataFrame({"ref": corpus.nodes.refs, "id": corpus.nodes.ids}).with_row_index("number")
    groups = groups.join(named, on="ref", how="left").sort("cosine", "number", descending=[True, False])
    firsts = groups.unique("leader", keep="first", maintain_order=True)
    heads = firsts.select("leader", "cosine", ref="leader", of="ref").select("ref", "leader", "cosine", "of")
    each = pl.concat([groups.select("ref", "leader", "cosine", of="leader"), heads])
    shared = copies.join(each, left_on="first", right_on="ref", how="inner").select("ref", "leader", "cosine", "of")
    whole = pl.concat([each, shared]).with_columns(paraphrase_size=pl.len().over("leader").cast(pl.Int64))
    for key, name in (("leader", "paraphrase"), ("of", "paraphrase_of")):
        whole = whole.join(named.select(pl.col("ref").alias(key), pl.col("id").alias(name)), on=key, how="left")
    return whole.select("ref", *ADDS).sort("ref")
