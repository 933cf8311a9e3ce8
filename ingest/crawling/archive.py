"""What a crawl fetched, as WARC 1.1 with a CDXJ index beside it: every request and answer, to be replayed and read again.

Headers stand byte for byte as they came (but for the line that ends them: CR LF), bodies with their chunks undone, as Common Crawl's
do: then all tools agree on what a payload's digest is of, and `Transfer-Encoding: chunked` is called `X-Crawler-Transfer-Encoding`.
An answer whose body was seen before is a `revisit` record: its header, and where the body stands. One that says 304 is a revisit of
what was fetched earlier. Beside each answer stands a `metadata` record with what the crawl knows of it. A file comes to its name when
it is whole.
"""

import base64
import hashlib
import io
import json
import os
import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO
from urllib.parse import urlsplit

from warcio.recordloader import ArcWarcRecord
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from ingest.crawling import optout
from ingest.crawling.fetch import Fetched

VERSION = "WARC/1.1"
SAME_BODY = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"
HEAD_END = re.compile(rb"\r?\n\r?\n")
CHUNKED = re.compile(rb"(\r\n)(Transfer-Encoding[ \t]*:[ \t]*chunked)(?=\r\n|$)", re.I)
ROBOTS = "Headrace-Robots-Txt"
"""A header of ours: the answer was asked for as a robots.txt, wherever redirects led, and is no page."""
NOT_MODIFIED = "http://netpreserve.org/warc/1.1/revisit/server-not-modified"


class _Head(StatusAndHeaders):  # type: ignore[misc]
    """A header that is written as it came: warcio would fold its spaces."""

    def __init__(self, raw: bytes) -> None:
        super().__init__("", [], protocol="HTTP/1.1")
        self.headers_buff = raw

    def __bool__(self) -> bool:
        return True

    def compute_headers_buffer(self, header_filter: object = None) -> None:
        """Leave it as it is."""


@dataclass(frozen=True)
class Seen:
    """Where a body stood first: the address, the time, its digest, and the record's file and offset."""

    uri: str
    at: datetime
    digest: str
    file: str = ""
    offset: int = 0


@dataclass(frozen=True)
class Place:
    """A record in its file: bytes from `offset`, `length` long. `digest` is of the body; `kind` is `response` or `revisit`."""

    offset: int
    length: int
    digest: str
    kind: str


@dataclass(frozen=True)
class Mark:
    """How far a file was written: what to go on from. `lines` are those of its index."""

    end: int
    records: int
    lines: tuple[str, ...]


def digest(body: bytes) -> str:
    """Return the digest of a body, its chunks undone, as WARC files write it."""
    return f"sha1:{base64.b32encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode()}"


class Archive:
    """A WARC file being written, beside its name until it is whole. Used as a context manager; left by an error, it can be gone on with."""

    def __init__(self, path: str | Path, info: dict[str, str], mark: Mark | None = None) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._part = self.path.with_name(f"{self.path.name}.part")
        self._file: IO[bytes] = open(self._part, "r+b" if mark else "wb")  # noqa: SIM115 (closed by `close`)
        self._lines, self._records = (list(mark.lines), mark.records) if mark else ([], 0)
        if mark:                                             # what was written behind the mark is half a record
            self._file.truncate(mark.end)
            self._file.seek(mark.end)
        self._writer = WARCWriter(self._file, gzip=True, warc_version="1.1")
        if not mark:
            self._write("warcinfo", "", None, "application/warc-fields", _fields(info), {"WARC-Filename": self.path.name})

    @property
    def end(self) -> int:
        """Bytes written and handed to the system."""
        self._file.flush()
        return self._file.tell()

    @property
    def records(self) -> int:
        return self._records

    def newest(self, count: int) -> list[str]:
        """The index's lines of the answers added last."""
        return self._lines[len(self._lines) - count :]

    def add(self, found: Fetched, about: dict[str, str], seen: Seen | None = None) -> Place:
        """Write a request and its answer, and what is known of both. `seen` is where the same body stands, or what a 304 speaks of."""
        assert found.status is not None, "a request without an answer has no record"
        name = digest(found.body)
        kind = "revisit" if seen and (found.status == 304 or seen.digest == name) else "response"
        more = {"WARC-IP-Address": found.ip or "", "WARC-Payload-Digest": seen.digest if seen and kind == "revisit" else name}
        if kind == "revisit" and seen:
            profile = NOT_MODIFIED if found.status == 304 else SAME_BODY
            more |= {"WARC-Profile": profile, "WARC-Refers-To-Target-URI": seen.uri, "WARC-Refers-To-Date": _date(seen.at)}
            more |= {"WARC-Refers-To-Filename": seen.file, "WARC-Refers-To-File-Offset": str(seen.offset) if seen.file else ""}
        if about.get("robotsTxt"):
            more[ROBOTS] = "1"
        if about.get("aiOptOut"):
            more[optout.HEADER] = about["aiOptOut"]
        if found.truncated:
            more["WARC-Truncated"] = found.truncated
        head = CHUNKED.sub(rb"\1X-Crawler-\2", HEAD_END.split(found.answer, maxsplit=1)[0], count=1) + b"\r\n\r\n"
        offset = self._file.tell()
        answer = self._write(kind, found.url, found.at, "application/http; msgtype=response", found.body if kind == "response" else b"", more, head)
        place = Place(offset, self._file.tell() - offset, more["WARC-Payload-Digest"], kind)
        beside = {"WARC-Concurrent-To": answer}
        self._write("request", found.url, found.at, "application/http; msgtype=request", b"", beside, found.request)
        self._write("metadata", found.url, found.at, "application/warc-fields", _fields(about), beside)
        self._index(found, place)
        return place

    def _write(self, kind: str, uri: str, at: datetime | None, content_type: str, body: bytes, more: dict[str, str], http: bytes = b"") -> str:
        """Write one record: its HTTP header, if it has one, and its body, byte for byte. Returns its id."""
        self._records += 1
        name = f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{self.path.name} {self._records} {kind} {uri}')}>"
        head = [("WARC-Type", kind), ("WARC-Record-ID", name), ("WARC-Date", _date(at) if at else self._writer.curr_warc_date())]
        head += [("WARC-Target-URI", uri)] if uri else []
        head += [("WARC-Block-Digest", digest(http + body)), *((key, value) for key, value in more.items() if value)]
        headers = StatusAndHeaders("", head, protocol=VERSION)
        record = ArcWarcRecord("warc", kind, headers, io.BytesIO(body), _Head(http) if http else None, content_type, len(http) + len(body))
        record.payload_length = len(body)
        self._writer.write_record(record)
        return name

    def _index(self, found: Fetched, place: Place) -> None:
        kind = (found.header("content-type") or "").partition(";")[0].strip().lower()
        row = {
            "url": found.url, "mime": "warc/revisit" if place.kind == "revisit" else kind or "unk", "status": str(found.status),
            "digest": place.digest, "length": str(place.length), "offset": str(place.offset), "filename": self.path.name,
        }  # fmt: skip
        self._lines.append(f"{sort_key(found.url)} {found.at:%Y%m%d%H%M%S} {json.dumps(row)}\n")

    def close(self) -> None:
        """Finish the file: the index beside it, then both under their names."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        index = self.path.with_name(self.path.name.removesuffix(".warc.gz") + ".cdxj")
        part = index.with_name(f"{index.name}.part")
        part.write_text("".join(sorted(self._lines)), encoding="utf-8")
        os.replace(part, index)
        os.replace(self._part, self.path)

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self._file.close()


def sort_key(url: str) -> str:
    """Return an address as indexes sort it (SURT): the host from its end, so that a site's pages stand together."""
    parts = urlsplit(url)
    host = (parts.hostname or "").removeprefix("www.")
    name = host if host.replace(".", "").isdigit() or ":" in host else ",".join(reversed(host.split(".")))
    query = f"?{parts.query}" if parts.query else ""
    return f"{name}{f':{parts.port}' if parts.port else ''}){parts.path or '/'}{query}".lower()


def _date(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}Z"


def _fields(said: dict[str, str]) -> bytes:
    return "".join(f"{key}: {' '.join(value.split())}\r\n" for key, value in said.items() if value).encode()
