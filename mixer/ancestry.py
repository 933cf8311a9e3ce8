"""What rows were written from: their parents, the parents of these, and so on up through the datasets that they came from."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from catalog.files import DataFile, Snapshot, read
from catalog.lake import Lake
from catalog.schema import SHAPES

EDGES = {"row": pl.String, "above": pl.String}


def with_ancestors(frame: pl.DataFrame, lake_root: str, snapshots: Mapping[str, Snapshot]) -> pl.DataFrame:
    """Return a frame of doc_id and parents with every ancestor in `parents`, null where there is none.

    A row names its parents alone (gen.parents); theirs stand in the datasets that its own was written from, found by the
    lineage of `snapshots` in the lake's catalogue. Without a catalogue the frame's own rows are all there is to go by.
    """
    own = frame.select(row="doc_id", above=pl.col("parents").cast(pl.List(pl.String))).explode("above").drop_nulls().unique()
    if not own.height:
        return frame
    edges = pl.concat([own, *(_edges(file) for file in _files_above(lake_root, snapshots))]).unique()
    found = fresh = own
    while fresh.height:
        higher = fresh.join(edges.rename({"row": "above", "above": "higher"}), on="above").select("row", above="higher").unique()
        fresh = higher.join(found, on=["row", "above"], how="anti")
        found = pl.concat([found, fresh])
    lists = found.sort("row", "above").group_by("row").agg(parents="above")
    return frame.drop("parents").join(lists, left_on="doc_id", right_on="row", how="left", maintain_order="left").select(frame.columns)


def _files_above(lake_root: str, snapshots: Mapping[str, Snapshot]) -> list[DataFile]:
    """Return each data file once of all datasets above the snapshots: what these were made from, what that was made from ..."""
    if not (Path(lake_root) / "CURRENT").is_file():
        return []
    files: dict[str, DataFile] = {}
    with Lake.open(lake_root) as lake:
        seen: set[tuple[str, int]] = set()
        left = [edge for snapshot in snapshots.values() for edge in snapshot.lineage]
        while left:
            edge = left.pop()
            if edge in seen:
                continue
            seen.add(edge)
            snapshot = lake.snapshot(f"{edge[0]}@v{edge[1]}")
            left += snapshot.lineage
            if snapshot.shape in SHAPES:
                files |= {file.path: file for file in snapshot.files}
    return list(files.values())


def _edges(file: DataFile) -> pl.DataFrame:
    """Return the rows of a data file with each of their parents. Of a file that nobody wrote from another, only `gen` is read."""
    parents = read(file, ["gen"])["gen"].struct.field("parents").cast(pl.List(pl.String))
    if not parents.list.len().sum():
        return pl.DataFrame(schema=EDGES)
    return pl.DataFrame({"row": read(file, ["doc_id"])["doc_id"], "above": parents}).explode("above").drop_nulls().unique()
