"""What `headrace dedup query` asks about: the documents of a text, a page, a table, or standard input."""

import logging
import os
import sys
from typing import NamedTuple

from catalog.errors import InputError

PAGES = (".html", ".htm", ".xhtml")
PACKED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"%PDF": "PDF", b"\x28\xb5\x2f\xfd": "zstd"}
MOST_BYTES = 64 << 20
MOST_ROWS = 100_000
"""Documents of a table that are asked about at once: all are held in memory, with their word n-grams."""


class Asked(NamedTuple):
    """A document that is asked about. `refused` says why it cannot be: it has no text then."""

    name: str
    text: str
    refused: str = ""


def documents(path: str, column: str | None) -> list[Asked]:
    """Return what FILE holds: a table's rows, a page's main text as ingest finds it, or the whole of a text. Raises InputError."""
    from ingest.separated import SEPARATED
    from ingest.tables import JSON_LINES

    if path != "-" and not os.path.isfile(path):
        raise InputError(f"dedup query: {path}: {'is a folder; name a file of it' if os.path.isdir(path) else 'there is no such file'}")
    name = os.path.basename(path)
    table = name.endswith((*JSON_LINES, *SEPARATED, ".parquet"))
    if column is not None and not table:
        raise InputError(f"dedup query: --column {column}: {path} is no table; leave it out, or give a .jsonl, .csv or .parquet file")
    found = _rows(path, column) if table else [_whole(path, name)]
    if not found:
        raise InputError(f"dedup query: {path}: has no rows")
    if all(asked.refused for asked in found):
        raise InputError(f"dedup query: {path}: nothing to look up ({found[0].refused})")
    return found


def _rows(path: str, column: str | None) -> list[Asked]:
    from catalog.stage import Refused
    from ingest.tables import read

    found: list[Asked] = []
    for row in read(path, columns={"text": column} if column else None):
        if len(found) == MOST_ROWS:
            raise InputError(f"dedup query: {path}: has more than {MOST_ROWS:,} rows; land them, and give their part dedup: {{against: DATASET}}")
        if isinstance(row, Refused):
            found.append(Asked(row.uri, "", f"{row.reason}: {row.error}" if row.error else row.reason))
        else:
            found.append(_worded(str(row.get("uri") or f"{os.path.basename(path)}#{row['offset']}"), row["text"]))
    return found


def _whole(path: str, name: str) -> Asked:
    data = _bytes(path)
    for mark, kind in PACKED.items():
        if data.startswith(mark):
            raise InputError(f"dedup query: {path}: is {kind}, not text; unpack it, or land it with an ingest part and compare datasets")
    if name.endswith(PAGES):
        from ingest.html import extract

        logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # what it could not read is said below, in one line
        page = extract(data)
        if "refused" in page:
            raise InputError(f"dedup query: {path}: {page['refused']}: {page['error']}")
        return _worded(path, page["text"])
    if b"\0" in data[:8192] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"dedup query: {path}: is no text: it holds bytes of 0")
    from ingest.charset import decode

    try:
        return _worded("standard input" if path == "-" else path, decode(data)[0])
    except UnicodeError as error:
        raise InputError(f"dedup query: {path}: is no text ({error})") from None


def _bytes(path: str) -> bytes:
    try:
        if path == "-":
            data = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with open(path, "rb") as file:
                data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"dedup query: {path}: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise InputError(f"dedup query: {path}: has more than {MOST_BYTES >> 20} MB; a document is smaller: cut it, or give its documents as .jsonl")
    return data


def _worded(name: str, text: str) -> Asked:
    return Asked(name, text) if any(c.isalnum() for c in text) else Asked(name, "", "no_text: it has no words")
