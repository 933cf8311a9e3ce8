"""Repositories and packages that share most of their files: forks, releases of one package, one that holds another.

Told from the clusters of files that the jobs named before it found: no text is read. A repository is what `facts.package` and `facts.version` name, or
what stands before the `#` of a package URL (`pkg:github/owner/name@commit#path`).
"""

import polars as pl
import pyarrow as pa

from catalog.files import DataFile, read
from catalog.stage import declares
from curate.components import FILE, Edges, Told, components, no_edges
from curate.corpus import Corpus

VERSION = 1
MOST = 64
"""Of repositories that have copies of one file, each is compared with so many, the smallest names first: pairs stay linear where thousands hold a file."""


@declares(reads=("uri", "facts"), adds={"fork": pa.string(), "fork_share": pa.float64(), "fork_back": pa.float64()}, version=VERSION, family="dup")
def job(corpus: Corpus, before: Edges, *, least: float = 0.5, files: int = 3, versions: bool = True) -> Told:
    """Say of each file's repository with which other one it shares most files, exactly or nearly, as `exact` and `minhash` before it found them.

    `dup.fork` is the other one, the smallest name among equals; `dup.fork_share` the share of this repository's files that have a copy there, at least
    `least`, of at least `files` files; `dup.fork_back` the share of the other's files that have a copy here: small where the other one is larger and
    holds this. NULL where there is none, or a row is of no repository. `versions: false` takes all versions of a package for one repository.
    """
    nodes = components(before).select("ref", "cluster")
    totals, inside = _counted(corpus, nodes, versions)
    best = _best(totals, _shared(inside), least, files)
    rows = [_rows(file, place, best, versions) for place, file in enumerate(corpus.files[: corpus.own])]
    corpus.metrics["forks"] = best.height
    return Told(no_edges(), pl.concat(rows)) if rows else Told(no_edges())


def repository(file: DataFile, versions: bool) -> pl.DataFrame:
    """Return the repository of each row of a file, null where it is of none."""
    has_facts = any(name == "facts" for name, _ in file.columns)
    frame = read(file, ["uri", *(["facts"] if has_facts else [])])
    facts = pl.col("facts").struct if has_facts else None
    package = facts.field("package") if facts else pl.lit(None, pl.String)
    version = facts.field("version") if facts else pl.lit(None, pl.String)
    named = pl.when(pl.col("uri").str.starts_with("pkg:")).then(pl.col("uri").str.extract("^([^#]+)#"))
    if versions:
        return frame.select(repository=pl.coalesce(pl.concat_str(package, pl.lit("@"), version), package, named))
    return frame.select(repository=pl.coalesce(package, named.str.replace("@[^@/]*$", "")))


def _counted(corpus: Corpus, nodes: pl.DataFrame, versions: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return how many files each repository has, and how many it has in each cluster."""
    totals, inside = [], []
    for place, file in enumerate(corpus.files):
        rows = repository(file, versions).with_row_index("row").drop_nulls()
        totals.append(rows.group_by("repository").agg(total=pl.len()))
        here = nodes.filter(pl.col("ref") // FILE == place).select("cluster", row=(pl.col("ref") % FILE).cast(pl.UInt32))
        inside.append(rows.join(here, on="row").group_by("cluster", "repository").agg(n=pl.len()))
    return pl.concat(totals).group_by("repository").agg(pl.col("total").sum()), pl.concat(inside).group_by("cluster", "repository").agg(pl.col("n").sum())


def _shared(inside: pl.DataFrame) -> pl.DataFrame:
    """Return repository, other and how many files of the one have a copy in the other, both ways."""
    ranked = inside.with_columns(rank=pl.col("repository").rank("ordinal").over("cluster"))
    first = ranked.filter(pl.col("rank") <= MOST).select("cluster", "n", other="repository")
    pairs = ranked.join(first, on="cluster", suffix="_other").filter(pl.col("repository") != pl.col("other"))
    back = pairs.filter(pl.col("rank") > MOST).select("cluster", repository="other", other="repository", n="n_other")
    return pl.concat([pairs.select(back.columns), back]).group_by("repository", "other").agg(n=pl.col("n").sum())


def _best(totals: pl.DataFrame, shared: pl.DataFrame, least: float, files: int) -> pl.DataFrame:
    """Return repository, fork, fork_share and fork_back: of each the one that it shares most with."""
    ours = shared.join(totals, on="repository").with_columns(share=pl.col("n") / pl.col("total"))
    theirs = ours.select(repository="other", other="repository", fork_back="share")
    met = ours.filter((pl.col("share") >= least) & (pl.col("n") >= files)).join(theirs, on=["repository", "other"], how="left")
    ranked = met.sort(["repository", "share", "other"], descending=[False, True, False])
    return ranked.unique("repository", keep="first", maintain_order=True).select("repository", "fork_back", fork="other", fork_share="share")


def _rows(file: DataFile, place: int, best: pl.DataFrame, versions: bool) -> pl.DataFrame:
    named = repository(file, versions).with_columns(ref=pl.int_range(place * FILE, place * FILE + file.rows, dtype=pl.Int64))
    return named.join(best, on="repository", maintain_order="left").select("ref", "fork", "fork_share", "fork_back")
