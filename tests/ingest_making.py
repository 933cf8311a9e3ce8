"""Inputs for the tests of ingest: WARC files written by warcio, EPUBs, and functions that misbehave in a worker on purpose."""

import gzip
import io
import os
import time
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

HTML = "text/html; charset=utf-8"
PROSE = "The lock keeper opens the upper gates only when the water in the chamber stands level with the reach above. " * 12
START = datetime(2026, 3, 1, 6, tzinfo=UTC)

Answer = tuple[str, bytes, str, int]                         # URI, body, content type, status


def page(title: str, body: str = PROSE, head: str = "") -> bytes:
    """A small article as HTML."""
    return (
        f"<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>{title}</title>{head}</head>"
        f"<body><nav><a href='/'>Home</a> <a href='/x'>Shop</a></nav><article><h1>{title}</h1><p>{body}</p></article>"
        "<footer>All rights reserved.</footer></body></html>"
    ).encode()


def answer(number: int) -> Answer:
    return f"http://site.example/{number}", page(f"Page {number}", f"{number}. {PROSE}"), HTML, 200


def put(writer: WARCWriter, record: Any) -> None:
    """Write a record and close the temporary file that warcio leaves open."""
    writer.write_record(record)
    record.raw_stream.close()


def records(answers: Sequence[Answer], *, headers: dict[str, str] | None = None, packed: bool = True) -> list[bytes]:
    """Each answer as the bytes of its response record, a gzip member each where `packed`."""
    out = []
    for number, (uri, body, kind, status) in enumerate(answers):
        buffer = io.BytesIO()
        said = [("Content-Type", kind), *(headers or {}).items()] if kind else list((headers or {}).items())
        http = StatusAndHeaders(f"{status} {'OK' if status == 200 else 'Other'}", said, protocol="HTTP/1.1")
        when = (START + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
        writer = WARCWriter(buffer, gzip=packed)
        put(writer, writer.create_warc_record(uri, "response", payload=io.BytesIO(body), http_headers=http, warc_headers_dict={"WARC-Date": when}))
        out.append(buffer.getvalue())
    return out


def lying(record: bytes, by: int) -> bytes:
    """A plain record that says `by` bytes more than it has."""
    head, _, rest = record.partition(b"\r\n\r\n")
    said = next(line for line in head.split(b"\r\n") if line.startswith(b"Content-Length: "))
    return head.replace(said, b"Content-Length: %d" % (int(said.split()[1]) + by)) + b"\r\n\r\n" + rest


def warc(path: Path, pieces: Sequence[bytes]) -> str:
    path.write_bytes(b"".join(pieces))
    return str(path)


def packed(record: bytes) -> bytes:
    return gzip.compress(record, mtime=0)


CONTAINER = """<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="book/content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"""
PACKAGE = """<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="id">https://books.example/weir</dc:identifier><dc:title>The Weir</dc:title>
<dc:creator>Ada Sluice</dc:creator><dc:date>2019-04-05</dc:date><dc:rights>Creative Commons CC0 1.0 Universal Public Domain Dedication</dc:rights></metadata>
<manifest>{items}</manifest><spine>{spine}</spine></package>"""
CHAPTER = """<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops">
<head><title>{title}</title></head><body epub:type="{kind}"><section>{body}</section></body></html>"""


def epub(path: Path, chapters: Sequence[tuple[str, str]], *, extra: Sequence[tuple[str, bytes]] = ()) -> str:
    """An EPUB of (name, XHTML) in the order of the spine."""
    items = "".join(f'<item id="c{i}" href="text/{name}" media-type="application/xhtml+xml"/>' for i, (name, _) in enumerate(chapters))
    spine = "".join(f'<itemref idref="c{i}"/>' for i in range(len(chapters)))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("mimetype", "application/epub+zip")
        book.writestr("META-INF/container.xml", CONTAINER)
        book.writestr("book/content.opf", PACKAGE.format(items=items, spine=spine))
        for name, body in chapters:
            book.writestr(f"book/text/{name}", body)
        for name, data in extra:
            book.writestr(name, data)
    return str(path)


def stuck(payload: bytes, **options: Any) -> dict[str, Any]:
    """An extractor that hangs on one page."""
    if payload == b"sleep":
        time.sleep(60)
    return {"text": "a page", "title": None, "author": None, "license": None, "date": None}


def misbehave(payload: bytes, **options: Any) -> dict[str, Any]:
    """What a worker is asked in its tests: the payload says how to fail."""
    word = payload[:8].decode()
    if word == "sleep":
        time.sleep(60)
    elif word == "spin":
        while True:
            pass
    elif word == "crash":
        os.kill(os.getpid(), 11)
    elif word == "raise":
        raise RuntimeError("as asked")
    elif word == "memory":
        return {"size": len(bytearray(8 << 30))}
    elif word == "print":
        print("noise on stdout")
    return {"size": len(payload), "said": payload[:20].decode("latin-1"), "pid": os.getpid(), **options}
