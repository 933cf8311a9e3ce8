"""Records picked from an index: byte ranges of WARC files, read from a mirror or by range requests, and nothing else of them."""

import io
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq

from catalog.stage import Refused, source
from ingest.crawling import hosts
from ingest.crawling.fetch import Fetched, Limits, fetch
from ingest.crawling.urls import canonical
from ingest.crawling.visit import HOPELESS
from ingest.records import MAX_RECORD, Frame, frames, frames_in
from ingest.warc import pages

TRIES, BACKOFF, LONGEST = 5, 2.0, 60.0
"""Of a range request; the seconds before the second, and at most before any."""
GUESS = 1 << 20
"""Bytes that are asked for where an index names an offset and no length, as CDX files of nine fields do."""


@source(version=3)
def read(
    path: str,
    *,
    where: str | None = None,
    root: str = ".",
    limit: int | None = None,
    allow_hosts: list[str] | None = None,
    contact: str | None = None,
    mode: str = "fast",
    seconds: float = 10.0,
) -> Iterator[dict[str, Any] | Refused]:
    """Yield a document for each page that an index or a manifest names and `where` picks, or Refused, as `warc` does; also `not_found`.

    paths     a columnar index (.parquet), CDX or CDXJ (.gz too), or a manifest (.parquet, .jsonl, .csv with `path`, and `offset`, `length`, `dump` if wished)
    where     SQL over url, host, domain (registered), tld, mime, language, fetched_at, status, path, digest, dump, and the index's own columns
    root      the folder, or the http(s) address, that paths in the index start from; over http `allow_hosts` may be private, and `contact` is named
    limit     so many records, drawn fairly by a hash of their addresses
    mode, seconds   as for warc
    """
    agent = "headrace/0 " + (f"(+{contact})" if contact else "(range reader)")
    dumps: dict[str, str | None] = {}
    for found in pages(_picked(path, root, agent, allow_hosts or [], dumps), "" if "://" in root else root, mode, seconds):
        yield found if isinstance(found, Refused) else {**found, "dump": dumps[found["file"]]}


def _picked(path: str, root: str, agent: str, allow_hosts: list[str], dumps: dict[str, str | None]) -> Iterator[Frame]:
    """The records of a file of ranges, in its order; a row without an offset is a whole file. `dumps` learns each file's dump."""
    for batch in pq.ParquetFile(path).iter_batches(columns=["path", "record_offset", "length", "url", "dump"]):
        for row in batch.to_pylist():
            dumps[row["path"]] = row["dump"]
            yield from (replace(frame, path=row["path"]) for frame in _record(row, root, agent, allow_hosts))


def _record(row: dict[str, Any], root: str, agent: str, allow_hosts: list[str]) -> Iterator[Frame]:
    """The record that was picked, whatever else the range holds; of a whole file all."""
    path, offset, length = row["path"], row["record_offset"], row["length"]
    try:
        if offset is not None and (offset < 0 or (length is not None and not 0 < length <= MAX_RECORD)):
            raise ValueError(f"no such range: {length} bytes at {offset}")
        if "://" in root:
            found, shift = frames_in(io.BytesIO(_asked(root, path, offset, length or GUESS, agent, allow_hosts))), offset or 0
        elif offset is None or length is None:
            found, shift = frames(os.path.join(root, path), offset or 0), 0
        else:
            with open(os.path.join(root, path), "rb") as file:
                file.seek(offset)
                found, shift = frames_in(io.BytesIO(file.read(length))), offset
        told = 0
        for frame in found if offset is None else islice(found, 1):
            told += 1
            yield replace(frame, offset=frame.offset + shift)
        if offset is not None and not told:
            raise ValueError("there is no record")
    except (OSError, ValueError) as error:
        yield Frame(max(offset or 0, 0), max(length or 0, 0), b"", "not_found", f"{error}" + (f" ({row['url']})" if row["url"] else ""))


def _asked(root: str, path: str, offset: int | None, length: int, agent: str, allow_hosts: list[str]) -> bytes:
    """Ask for a range of a file, more than once where the other side is busy. Raises ValueError where it cannot be had.

    A path is a file's name below the root: what stands for more than itself in an address is quoted, and no redirect is followed.
    """
    wanted = [("Range", f"bytes={offset}-{offset + length - 1}")] if offset is not None else []
    url = f"{root.rstrip('/')}/{path}"
    top, address = canonical(f"{root.rstrip('/')}/"), canonical(f"{root.rstrip('/')}/{quote(path)}")
    if top is None or address is None or not address.startswith(top):
        raise ValueError(f"{url}: is no address under the root")
    for again in range(TRIES):
        found: Fetched = fetch(address, agent=agent, headers=wanted, allow_hosts=allow_hosts, limits=Limits(body=MAX_RECORD))
        if found.truncated == "length":
            raise ValueError(f"{url}: more than {MAX_RECORD:,} bytes; pick ranges of it, or mirror it")
        if not found.truncated and (found.status == 206 or (found.status == 200 and not wanted)):
            return found.body
        if found.status == 200:
            raise ValueError(f"{url}: the server knows no ranges")
        final = found.status is not None and 300 <= found.status < 500 and found.status != 429
        if final or found.fault in HOPELESS or again + 1 == TRIES:
            break
        time.sleep(min(hosts.retry_after(found.header("retry-after"), found.at) or hosts.pause(again + 1, BACKOFF), LONGEST))
    raise ValueError(f"{url}: {found.fault or f'status {found.status}'}")
