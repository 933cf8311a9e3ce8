"""WARC files, as crawls leave them: the pages of their responses as text, each with its place in the file.

HTML is read here, or by the extractor in a process of its own.
Plain text (a response's, or a WET file's conversion) stands as it is.
What is neither, or has a fault, is Refused with the reason and the offset, and the rest goes on.
"""

import datetime
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from fastwarc import WarcRecord, WarcRecordType

from catalog.errors import InputError, near
from catalog.stage import Refused, source
from catalog.worker import Failure, Worker
from ingest.charset import charset_of, decode
from ingest.codings import is_html, undone
from ingest.crawling import optout
from ingest.pages import fast
from ingest.records import Frame, frames, record_at
from ingest.shapes import naive

EXTRACTOR = "ingest.html:extract"                            # by name: trafilatura is imported in the worker alone
MODES = ("fast", "balanced", "accurate")
PAGES = WarcRecordType.response | WarcRecordType.resource | WarcRecordType.conversion
ROBOTS = re.compile(r"[a-z]+://[^/?#]*/robots\.txt(?:[?#]|$)", re.I)

Found = dict[str, Any] | Refused
Asked = tuple[Found, bytes | None, dict[str, Any]]


@source(version=6)
def read(path: str, *, mode: str = "fast", seconds: float = 10.0) -> Iterator[Found]:
    """Yield a document for each page of a WARC file, in its order, or Refused. `seconds` of processor time are what one page may take the extractor.

    `mode: fast` reads pages in one pass; `balanced` gives those in doubt to the extractor, `accurate` every page (docs/ingest.md).

    Reasons: of the record `corrupt_record`, `wrong_length`, `truncated`, `too_large`, `no_uri`, `revisit`; of the answer
    `status`, `empty_body`, `robots_txt`, `not_html`, `bad_encoding`; of the page those of `ingest.html.extract`, and `timeout`,
    `memory`, `died`, `error` where its extractor failed. Requests and notes of the crawler are no pages and are passed over.
    """
    yield from pages(frames(path), os.path.dirname(os.path.abspath(path)), mode, seconds)


def pages(records: Iterable[Frame], folder: str, mode: str, seconds: float) -> Iterator[Found]:
    """Yield what `read` does, of records from anywhere. `folder` holds the files that revisits refer to."""
    if mode not in MODES:
        raise InputError(f"warc: mode: {mode!r} is none of {', '.join(MODES)}{near(mode, MODES)}")
    ended: list[Exception] = []
    with Worker(EXTRACTOR, seconds=seconds) as extractor:
        for about, answer in extractor.map(_until(_asked(records, folder, mode), ended)):
            yield about if isinstance(about, Refused) else _document(about, answer)
    if ended:
        raise ended[0]


def _until(asked: Iterator[Asked], ended: list[Exception]) -> Iterator[Asked]:
    """Keep an error for the end: the extractor reads ahead, and what stands before the error is still on its way."""
    try:
        yield from asked
    except Exception as error:
        ended.append(error)


def _asked(records: Iterable[Frame], folder: str, mode: str) -> Iterator[Asked]:
    """What each record asks of the extractor: nothing, of one refused, already text, or read here."""
    for frame in records:
        try:
            found = _page(frame, os.path.join(folder, os.path.dirname(frame.path)) if folder and frame.path else folder)
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError, zlib.error) as error:
            found = Refused("", "corrupt_record", f"{type(error).__name__}: {error}", frame.offset)
        if found is None:
            continue
        if isinstance(found, Refused):
            yield replace(found, source=frame.path or ""), None, {}
            continue
        if "text" in found:
            yield found, None, {}
            continue
        body, charset = found.pop("body"), found.pop("charset")
        asked = {"url": found["uri"], "charset": charset, "day": found["fetched_at"].date().isoformat() if found["fetched_at"] else None}
        answer = None if mode == "accurate" else _read_here(body, mode == "balanced", asked)
        if answer is None:
            yield found, body, asked | {"thorough": mode == "accurate"}
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
        return Refused(about["uri"], answer.reason, answer.error, about["offset"], about["file"] or "")
    if "refused" in answer:
        return Refused(about["uri"], answer["refused"], answer["error"], about["offset"], about["file"] or "")
    kept = {key: answer.get(key) for key in ("text", "title", "author", "license", "confidence")}
    said = {*((about["facts"] or {}).get("opt_out") or "").split(), *answer.get("opt_out", ())}
    return {**about, **kept, "lang": answer.get("language"), "date": _day(answer["date"]), "facts": _facts(said)}


def _facts(said: set[str]) -> dict[str, str] | None:
    return {"opt_out": " ".join(sorted(said))} if said else None


def _page(frame: Frame, folder: str = "") -> Found | None:
    """The page in a record: its `body`, or its `text` where it is plain. None for what is no page. A revisit's body lies in another file of the folder."""
    if frame.fault:
        return Refused("", frame.fault, frame.error, frame.offset)
    try:
        record = WarcRecord.from_bytes(frame.data)
        kind, uri = record.record_type, (record.headers.get("WARC-Target-URI") or "").strip("<> ")
        if record.headers.get("Headrace-Robots-Txt"):
            return Refused(uri, "robots_txt", "", frame.offset)
        told, when = record.headers.get(optout.HEADER) or "", record.headers.get("WARC-Date")
        if kind == WarcRecordType.revisit:
            first = _first(record.headers.get("WARC-Refers-To-Filename") or "", record.headers.get("WARC-Refers-To-File-Offset") or "", folder)
            said = record.headers.get("WARC-Payload-Digest")
            record = WarcRecord.from_bytes(first) if first else record
            if record.record_type != WarcRecordType.response or (said and said != record.headers.get("WARC-Payload-Digest")):
                return Refused(uri, "revisit", "the same content as a record that is not beside it", frame.offset)
            kind = record.record_type
        if not kind & PAGES:
            return None
        http = kind == WarcRecordType.response and record.is_http
        if http:
            record.parse_http()
        sent = [(key.lower(), value) for key, value in record.http_headers.items()] if http else []
        kept, status = record.headers, record.http_headers.status_code if http else 200
        body = record.reader.read()
    except (OSError, ValueError) as error:
        return Refused("", "corrupt_record", str(error), frame.offset)
    if not uri:
        return Refused("", "no_uri", "no WARC-Target-URI", frame.offset)
    if kind == WarcRecordType.resource and uri.partition(":")[0].lower() not in ("http", "https", "file", "ftp"):
        return None
    content_type = dict(sent).get("content-type") or ("" if http else kept.get("Content-Type") or "")
    facts = _facts({*told.split(), *optout.said(sent)})      # of several headers of a name each counts
    try:
        found = _body(frame, uri, status, content_type, dict(sent), body, _time(when))
        return found if isinstance(found, Refused) else {**found, "facts": facts}
    except ValueError as error:
        return Refused(uri, "bad_encoding" if "too_large" not in str(error) else "too_large", str(error), frame.offset)


def _first(name: str, offset: str, folder: str) -> bytes | None:
    """The record that a revisit refers to, where it lies beside it."""
    if not folder or not name or os.path.basename(name) != name or not offset.isdecimal():
        return None
    try:
        return record_at(os.path.join(folder, name), int(offset))
    except (OSError, zlib.error):
        return None


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
    charset = charset_of(content_type)
    body = undone(body, said.get("transfer-encoding", ""), said.get("content-encoding", ""))
    about = {"uri": uri, "file": frame.path, "offset": frame.offset, "length": frame.length, "fetched_at": fetched_at, "content_type": kind or None}
    if is_html(kind, body):
        return {**about, "body": body, "charset": charset}
    if kind != "text/plain":
        return Refused(uri, "not_html", kind or "no content type", frame.offset)
    try:
        text = decode(body, charset)[0]
    except UnicodeError as error:
        return Refused(uri, "wrong_charset", str(error), frame.offset)
    return {**about, "text": text.replace("\r\n", "\n").replace("\r", "\n").strip()}


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
