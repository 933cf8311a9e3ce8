"""WARC files, as crawls leave them: the pages of their responses as text, each with its place in the file.

HTML is read here, or by the extractor in a process of its own.
Plain text (a response's, or a WET file's conversion) stands as it is.
What is neither, or has a fault, is Refused with the reason and the offset, and the rest goes on.
"""

import datetime
import io
import re
import zlib
from collections.abc import Iterator
from typing import Any

from fastwarc import WarcRecord, WarcRecordType
from fastwarc.stream_io import BrotliReader, ZstdReader

from catalog.errors import InputError, near
from catalog.stage import Refused, source
from catalog.worker import Failure, Worker
from ingest import fast
from ingest.charset import decode
from ingest.records import Frame, frames
from ingest.shapes import naive

EXTRACTOR = "ingest.html:extract"                            # by name: trafilatura is imported in the worker alone
MAX_PAGE = 16 << 20
"""Bytes of a page at most, its content encoding undone."""
MODES = ("fast", "balanced", "accurate")
HTML = ("text/html", "application/xhtml+xml")
PAGES = WarcRecordType.response | WarcRecordType.resource | WarcRecordType.conversion
LOOKS_LIKE_HTML = re.compile(rb"^\s*(?:<!doctype\s+html|<html|<head|<body|<!--)", re.I)
CHUNK_SIZE = re.compile(rb"\r?\n?([0-9A-Fa-f]{1,8})[^\r\n]{0,100}\r?\n")
ROBOTS = re.compile(r"[a-z]+://[^/?#]*/robots\.txt(?:[?#]|$)", re.I)
CHARSET = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9_:.\-]{2,40})", re.I)

Found = dict[str, Any] | Refused
Asked = tuple[Found, bytes | None, dict[str, Any]]


@source(version=3)
def read(path: str, *, mode: str = "fast", seconds: float = 10.0) -> Iterator[Found]:
    """Yield a document for each page of a WARC file, in its order, or Refused. `seconds` of processor time are what one page may take the extractor.

    `mode: fast` reads pages in one pass; `balanced` gives those in doubt to the extractor, `accurate` every page (docs/ingest.md).

    Reasons: of the record `corrupt_record`, `wrong_length`, `truncated`, `too_large`, `no_uri`, `revisit`; of the answer
    `status`, `empty_body`, `robots_txt`, `not_html`, `bad_encoding`; of the page those of `ingest.html.extract`, and `timeout`,
    `memory`, `died`, `error` where its extractor failed. Requests and notes of the crawler are no pages and are passed over.
    """
    if mode not in MODES:
        raise InputError(f"warc: mode: {mode!r} is none of {', '.join(MODES)}{near(mode, MODES)}")
    ended: list[Exception] = []
    with Worker(EXTRACTOR, seconds=seconds) as extractor:
        for about, answer in extractor.map(_until(_asked(path, mode), ended)):
            yield about if isinstance(about, Refused) else _document(about, answer)
    if ended:
        raise ended[0]


def _until(asked: Iterator[Asked], ended: list[Exception]) -> Iterator[Asked]:
    """Keep an error for the end: the extractor reads ahead, and what stands before the error is still on its way."""
    try:
        yield from asked
    except Exception as error:
        ended.append(error)


def _asked(path: str, mode: str) -> Iterator[Asked]:
    """What each record asks of the extractor: nothing, of one refused, already text, or read here."""
    for frame in frames(path):
        try:
            found = _page(frame)
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError, zlib.error) as error:
            found = Refused("", "corrupt_record", f"{type(error).__name__}: {error}", frame.offset)
        if found is None:
            continue
        if isinstance(found, Refused) or "text" in found:
            yield found, None, {}
            continue
        body, charset = found.pop("body"), found.pop("charset")
        asked = {"url": found["uri"], "charset": charset, "day": found["fetched_at"].date().isoformat() if found["fetched_at"] else None}
        answer = None if mode == "accurate" else _read_here(body, mode == "balanced", asked)
        if answer is None:
            yield found, body, asked
        else:
            yield _document(found, answer), None, {}


def _read_here(body: bytes, sure: bool, asked: dict[str, Any]) -> dict[str, Any] | None:
    """Read a page in this process; one on which that fails goes to the extractor, which may die of it."""
    try:
        return fast.extract(body, sure=sure, **asked)
    except (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError):
        return None


def _document(about: dict[str, Any], answer: Any) -> Found:
    """Join what the record says and what the extractor found."""
    if answer is None:
        return about
    if isinstance(answer, Failure):
        return Refused(about["uri"], answer.reason, answer.error, about["offset"])
    if "refused" in answer:
        return Refused(about["uri"], answer["refused"], answer["error"], about["offset"])
    kept = {key: answer.get(key) for key in ("text", "title", "author", "license", "confidence")}
    return {**about, **kept, "lang": answer.get("language"), "date": _day(answer["date"])}


def _page(frame: Frame) -> Found | None:
    """The page in a record: its `body`, or its `text` where it is plain. None for what is no page."""
    if frame.fault:
        return Refused("", frame.fault, frame.error, frame.offset)
    try:
        record = WarcRecord.from_bytes(frame.data)
        kind, uri = record.record_type, (record.headers.get("WARC-Target-URI") or "").strip("<> ")
        if kind == WarcRecordType.revisit:
            return Refused(uri, "revisit", "the same content as another record's", frame.offset)
        if not kind & PAGES:
            return None
        http = kind == WarcRecordType.response and record.is_http
        if http:
            record.parse_http()
        said = {key.lower(): value for key, value in record.http_headers.items()} if http else {}
        kept, status = record.headers, record.http_headers.status_code if http else 200
        body = record.reader.read()
    except (OSError, ValueError) as error:
        return Refused("", "corrupt_record", str(error), frame.offset)
    if not uri:
        return Refused("", "no_uri", "no WARC-Target-URI", frame.offset)
    if kind == WarcRecordType.resource and uri.partition(":")[0].lower() not in ("http", "https", "file", "ftp"):
        return None
    try:
        return _body(frame, uri, status, said.get("content-type") or ("" if http else kept.get("Content-Type") or ""), said, body, _time(kept.get("WARC-Date")))
    except ValueError as error:
        return Refused(uri, "bad_encoding" if "too_large" not in str(error) else "too_large", str(error), frame.offset)


def _body(
    frame: Frame, uri: str, status: int | None, content_type: str, said: dict[str, str], body: bytes, fetched_at: datetime.datetime | None
) -> Found:
    """Judge an answer by its status, its body and its type, in that order."""
    if status != 200:
        return Refused(uri, "status", str(status), frame.offset)
    if not body.strip():
        return Refused(uri, "empty_body", "", frame.offset)
    if ROBOTS.match(uri):
        return Refused(uri, "robots_txt", "", frame.offset)
    kind = content_type.partition(";")[0].strip().lower()
    named = CHARSET.search(content_type)
    body = _decoded(body, said.get("transfer-encoding", ""), said.get("content-encoding", ""))
    about = {"uri": uri, "offset": frame.offset, "length": frame.length, "fetched_at": fetched_at, "content_type": kind or None}
    if kind in HTML or (kind in ("", "unknown/unknown", "application/octet-stream") and LOOKS_LIKE_HTML.match(body[:1024])):
        return {**about, "body": body, "charset": named[1] if named else None}
    if kind != "text/plain":
        return Refused(uri, "not_html", kind or "no content type", frame.offset)
    try:
        text = decode(body, named[1] if named else None)[0]
    except UnicodeError as error:
        return Refused(uri, "wrong_charset", str(error), frame.offset)
    return {**about, "text": text.replace("\r\n", "\n").strip()}


def _day(said: str | None) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(said) if said else None
    except ValueError:
        return None


def _time(said: str | None) -> datetime.datetime | None:
    """WARC-Date as a naive UTC time, which it also is where it names no zone; None for one that is no date."""
    try:
        return naive(datetime.datetime.fromisoformat(said or ""))
    except (ValueError, OverflowError):
        return None


def _decoded(body: bytes, transfer: str, content: str) -> bytes:
    """Undo what the transfer did to a body, where it was done: archives often undo it themselves and leave the header.

    A body cut short gives what there is, as a browser shows it. Raises ValueError for one that is broken or grows too large.
    """
    if "chunked" in transfer.lower():
        body = _dechunked(body)
    for name in reversed([name.strip() for name in content.lower().split(",")]):
        if name in ("gzip", "x-gzip") and body.startswith(b"\x1f\x8b"):
            body = _inflated(body, 31)
        elif name == "deflate":
            body = _inflated(body, 15 if body[:1] == b"\x78" else -15)
        elif name == "br" and not LOOKS_LIKE_HTML.match(body[:1024]):
            body = _read(BrotliReader(io.BytesIO(body)))
        elif name == "zstd" and body.startswith(b"\x28\xb5\x2f\xfd"):
            body = _read(ZstdReader(io.BytesIO(body)))
    if len(body) > MAX_PAGE:
        raise ValueError(f"too_large: {len(body)} bytes")
    return body


def _dechunked(body: bytes) -> bytes:
    out, at = bytearray(), 0
    while found := CHUNK_SIZE.match(body, at):
        size = int(found[1], 16)
        out += body[found.end() : found.end() + size]
        at = found.end() + size
        if size == 0:
            break
    return bytes(out) if out else body


def _inflated(body: bytes, window: int) -> bytes:
    inflate, out, rest = zlib.decompressobj(window), bytearray(), body
    try:
        while rest and not inflate.eof:
            out += inflate.decompress(rest, 1 << 20)
            rest = inflate.unconsumed_tail
            if len(out) > MAX_PAGE:
                raise ValueError(f"too_large: more than {MAX_PAGE} bytes")
    except zlib.error as error:
        if not out:
            raise ValueError(str(error)) from None
    return bytes(out)


def _read(reader: BrotliReader | ZstdReader) -> bytes:
    try:
        body = reader.read(MAX_PAGE + 1)
    except OSError as error:
        raise ValueError(str(error)) from None
    if len(body) > MAX_PAGE:
        raise ValueError(f"too_large: more than {MAX_PAGE} bytes")
    return body
