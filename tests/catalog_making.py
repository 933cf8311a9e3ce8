"""Small lakes for tests: data files, annotations, drafts; and what child processes do to them."""

import os
import time
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa

from catalog import commits
from catalog.files import Annotation, DataFile, Draft, address, write_annotation, write_rows
from catalog.ids import digest, doc_id, origin_hash
from catalog.lake import Lake
from catalog.schema import SHAPES, VERDICT, hash_text

hash_text("")  # compiled once here, and not again in each process that is forked from this
DOMAINS = ("web", "books", "code")
GOPHER = {"n_words": pa.int64(), "ratio": pa.float64()}


def documents(name: str, n: int, shape: str = "document") -> pa.Table:
    """`n` rows whose text says which they are."""
    rows = []
    for i in range(n):
        text = f"{name} row {i} " + "word " * (i % 7)
        host = f"h{i % 5}.example"
        row: dict[str, Any] = {
            "doc_id": doc_id(name, f"https://{host}/{name}/{i}", i, None), "uri": f"https://{host}/{name}/{i}", "host": host,
            "domain": DOMAINS[i % 3], "dump": "d1", "license": "CC0-1.0", "origin_hash": origin_hash(text), "text": text, "media": [],
            "modality": "text", "source": {"path": f"{name}.warc.gz", "offset": i * 100, "length": 90, "fetched_at": None, "content_type": "text/html"},
        }  # fmt: skip
        if shape == "chat":
            row["messages"] = [{"role": "user", "content": text}]
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=SHAPES[shape])


def data_file(root: Path, dataset: str, name: str, n: int = 50, shape: str = "document") -> DataFile:
    """Write one data file of `n` documents, as a part does."""
    path = f"data/{dataset}/r1/{name}.parquet"
    table = documents(name, n, shape)
    stat = write_rows(root / path, table, table.schema)
    return DataFile(digest(path), path, stat.rows, stat.bytes, stat.ids, str(root), (), stat.columns)


def annotate(file: DataFile, dataset: str, family: str, frame: pl.DataFrame, types: dict[str, pa.DataType], version: int = 1) -> DataFile:
    """Write one family beside a data file and return the file with it."""
    at = address(file.id, family, {}, version, None)
    path = f"annotations/{dataset}/r1/{Path(file.path).stem}.{family}-{at}.parquet"
    stat = write_annotation(os.path.join(file.root, path), family, frame, file.ids, file.rows, types)
    annotation = Annotation(family, path, at, f"test.{family}", stat.rows, stat.columns)
    held = tuple(a for a in file.annotations if a.family != family)
    return DataFile(file.id, file.path, file.rows, file.bytes, file.ids, file.root, (*held, annotation), file.columns)


def gopher(file: DataFile, dataset: str, version: int = 1) -> DataFile:
    """Annotate with a family that a test can check against the text."""
    texts = pl.read_parquet(file.full_path)["text"]
    frame = pl.DataFrame({"n_words": texts.str.split(" ").list.len().cast(pl.Int64), "ratio": texts.str.len_bytes() / 100.0})
    return annotate(file, dataset, "gopher", frame, GOPHER, version)


def judge(file: DataFile, dataset: str, most: int = 6, family: str = "verdict", version: int = 1) -> DataFile:
    """Drop rows of `most` words and more as too_long, and code as code."""
    rows = pl.read_parquet(file.full_path).select("domain", "dump", "host", "license", "text")
    words = rows["text"].str.split(" ").list.len()
    long, code = words >= most, rows["domain"] == "code"
    frame = rows.select(
        (~(long | code)).alias("kept"),
        pl.when(long).then(pl.lit("too_long")).when(code).then(pl.lit("code")).otherwise(None).alias("reason"),
        "domain", "dump", "host", pl.lit("en").alias("language"), "license",
        pl.col("text").str.len_bytes().cast(pl.Int64).alias("bytes"), (pl.col("text").str.len_bytes().cast(pl.Int64) // 4).alias("tokens"),
    )  # fmt: skip
    return annotate(file, dataset, family, frame, dict(zip(VERDICT.names, VERDICT.types, strict=True)), version)


def draft(files: list[DataFile], dataset: str = "web", key: str = "k1", **more: Any) -> Draft:
    """A draft with what every draft has."""
    return Draft(**{"dataset": dataset, "key": key, "shape": "document", "owner": "demo", "files": tuple(files), "run": "run-1", **more})


def everything(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """Every table of a catalogue as sorted rows."""
    names = [row["table_name"] for row in lake.rows("SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() ORDER BY 1")]
    return {name: sorted(lake.rows(f"SELECT * FROM {name}"), key=str) for name in names}


def commit_many(root: str, writer: str, count: int) -> None:
    """Append `count` files to the dataset `web`, one commit each. Killed and run again, it goes on."""
    with Lake.open(root, lock_timeout=120) as lake:
        for name in (f"{writer}-{i}" for i in range(count)):
            if lake.has(name) is None:
                lake.commit(draft([data_file(Path(lake.root), "web", name, 20)], key=name, mode="append", run=name))


def commit_killed(root: str, point: str, key: str) -> None:
    """Commit one file and die at `point`."""
    os.environ["HEADRACE_KILL_AT"] = point
    with Lake.open(root) as lake:
        lake.commit(draft([data_file(Path(lake.root), "web", key, 20)], key=key, mode="append"))


def read_on(root: str, stop: Any, said: Any) -> None:
    """Open the lake again and again, by headrace and by stock DuckDB, until told to stop; put every inconsistency and error.

    It ends by itself after the longest time that a test may take: who was to tell it may have been killed.
    """
    ends = time.monotonic() + 900
    opened, last, wrong = 0, 0, []  # type: tuple[int, int, list[str]]
    while not stop.is_set() and time.monotonic() < ends:
        try:
            with Lake.open(root) as lake:
                snapshot = lake.snapshot("web")
                if (snapshot.rows, len(snapshot.files)) != (20 * snapshot.version, snapshot.version) or snapshot.version < last:
                    wrong.append(f"{snapshot.name} has {snapshot.rows} rows after version {last}")
                last = snapshot.version
            with duckdb.connect(os.path.join(root, "catalog.duckdb"), read_only=True) as db:
                found = db.execute("SELECT (SELECT count(*) FROM data.web), (SELECT rows FROM snapshot ORDER BY version DESC LIMIT 1)").fetchone()
                if found is None or found[0] != found[1]:
                    wrong.append(f"the view has {found}")
            opened += 2
            time.sleep(0.1)
        except Exception as error:  # any error at all is what the test looks for
            wrong.append(f"{type(error).__name__}: {error}")
    said.put((opened, wrong))


def make_killed(root: str, point: str) -> None:
    """Make a lake and die at `point`."""
    os.environ["HEADRACE_KILL_AT"] = point
    Lake.open(root, create=True)


def count(lake: Lake, name: str) -> int:
    """Count the rows of a view as a stock client does."""
    with lake.attached() as db:
        found = db.execute(f"SELECT count(*) FROM {name}").fetchone()
        return int(found[0]) if found else -1


def hold_lock(root: str, held: Any, seconds: float) -> None:
    """Hold the lake's lock for a while, as a long commit does."""
    with commits.hold(Path(root), "committing slowly", 10):
        held.set()
        time.sleep(seconds)


def age(*paths: Path, days: float = 3) -> None:
    """Make files look as if they were written days ago."""
    then = time.time() - days * 24 * 3600
    for path in paths:
        os.utime(path, (then, then), follow_symlinks=False)
