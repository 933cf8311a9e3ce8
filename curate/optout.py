"""Hosts whose owners asked, at a date, to be left out of training data: what a list of them says of a document.

What a page itself, its headers or its robots.txt said when it was fetched stands on the document already (`facts.opt_out`); this is for what came by
letter, or what a later visit to robots.txt showed.
"""

from functools import lru_cache

import polars as pl
import pyarrow as pa

from catalog.errors import InputError
from catalog.stage import File, declares
from curate.listed.files import At, content, told
from curate.listed.hosts import host, parents

WHO = "optout.listed"
DEEPEST = 12
"""Labels of a host on a list; a longer one is refused."""
ADDS = {"entry": pa.string(), "since": pa.date32(), "after": pa.bool_()}


@declares(reads=("host", "source"), adds=ADDS, version=1)
def listed(batch: pl.DataFrame, *, hosts: File) -> pl.DataFrame:
    """Return the family `optout`: whether a list of hosts has the host of a document, since when, and whether that was before it was fetched.

    entry   the host on the list that covers the document's: itself or one above it (`mill.example` covers `www.mill.example`); null for none
    since   its date; null where the list gives none, which means ever since
    after   whether the document was fetched on that day or later (`source.fetched_at`, UTC); true where there is no date, null where it is
            not known when it was fetched, or the host is not on the list
    Of several entries that cover a host the earliest counts, then the longest.

    hosts   a file of lines `HOST,DATE`, the date as 2026-11-22 or empty; a first line `host,date` and lines that begin with # say nothing
    """
    known = _read(told(hosts, WHO))
    rows = pl.DataFrame({"row": pl.int_range(batch.height, eager=True), "host": batch["host"].cast(pl.String)})
    tails = rows.select("row", entry=pl.concat_list(parents(host(pl.col("host")), DEEPEST)))
    found = tails.explode("entry").drop_nulls("entry").join(known, on="entry")
    found = found.sort("row", "since", pl.col("entry").str.len_bytes(), descending=[False, False, True])
    first = found.unique("row", keep="first", maintain_order=True)
    fetched = batch["source"].struct.field("fetched_at").cast(pl.Date)
    every = rows.select("row", fetched=fetched).join(first, on="row", how="left", maintain_order="left")
    ever = pl.col("since") == pl.date(1, 1, 1)
    return every.select(
        "entry", since=pl.when(~ever).then(pl.col("since")), after=pl.when(pl.col("entry").is_not_null()).then(ever | (pl.col("fetched") >= pl.col("since")))
    )


@lru_cache(maxsize=4)
def _read(at: At) -> pl.DataFrame:
    """Return entry and since (year 1 for no date) of a list, each host once, with its earliest date."""
    try:
        lines = content(at, WHO).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{WHO}: {at[0]} is not text in UTF-8") from None
    frame = pl.DataFrame({"line": pl.Series(lines, dtype=pl.String).str.strip_chars()}).with_row_index("number", 1)
    frame = frame.filter((pl.col("line") != "") & ~pl.col("line").str.starts_with("#") & ~pl.col("line").str.contains("(?i)^host *, *date$"))
    parts = frame.select(
        "number", name=pl.col("line").str.extract("^([^,]*)").str.strip_chars(), day=pl.col("line").str.extract("^[^,]*,(.*)$").str.strip_chars().fill_null("")
    )
    parts = parts.with_columns(
        entry=host(pl.col("name").str.replace(r"^\*?\.", "")),
        since=pl.when(pl.col("day") == "").then(pl.date(1, 1, 1)).otherwise(pl.col("day").str.to_date("%Y-%m-%d", strict=False)),
    )
    deep = pl.col("entry").str.count_matches(".", literal=True) >= DEEPEST
    wrong = parts.filter(pl.col("since").is_null() | (pl.col("entry") == "") | deep)
    for number, name, day, _, since in wrong.head(1).iter_rows():
        what = f"{day!r} is no date; write 2026-11-22" if since is None else f"{name!r} is no host"
        raise InputError(f"{WHO}: {at[0]}:{number}: {what}")
    return parts.group_by("entry").agg(pl.col("since").min()).sort("entry")
