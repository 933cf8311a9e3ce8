"""What was done to a body on its way, undone: chunks, gzip, deflate, brotli, zstd, each within limits."""

import io
import re
import zlib

from fastwarc.stream_io import BrotliReader, ZstdReader

MAX_PAGE = 16 << 20
"""Bytes of a page at most, its content encoding undone."""
CONTROLS = bytes({*range(32), 127} - {*b"\t\n\f\r"})
"""What no text holds, and the first thousand bytes of anything compressed do."""
LOOKS_LIKE_HTML = re.compile(rb"^\s*(?:<!doctype\s+html|<html|<head|<body|<!--)", re.I)
HTML = ("text/html", "application/xhtml+xml")
UNTOLD = ("", "unknown/unknown", "application/octet-stream")
CHUNK_SIZE = re.compile(rb"\r?\n?([0-9A-Fa-f]{1,8})[ \t]{0,100}(?:;[^\r\n]{0,100})?\r?\n")


def is_html(content_type: str, body: bytes) -> bool:
    """Return whether a body is a page: by its type, without parameters, and where that says nothing by how it begins."""
    return content_type in HTML or (content_type in UNTOLD and bool(LOOKS_LIKE_HTML.match(body[:1024])))


def undone(body: bytes, transfer: str, content: str) -> bytes:
    """Undo what the transfer did to a body, where it was done: archives often undo it themselves and leave the header.

    A body cut short gives what there is, as a browser shows it. Raises ValueError for one that is broken or grows too large.
    """
    if "chunked" in transfer.lower():
        body = _dechunked(body)
    for name in reversed([name.strip() for name in content.lower().split(",")]):
        try:
            body = _uncoded(body, name)
        except ValueError:
            if len(body[:1024].translate(None, CONTROLS)) < len(body[:1024]):
                raise
    if len(body) > MAX_PAGE:
        raise ValueError(f"too_large: {len(body)} bytes")
    return body


def _uncoded(body: bytes, name: str) -> bytes:
    if name in ("gzip", "x-gzip") and body.startswith(b"\x1f\x8b"):
        return _inflated(body, 31)
    if name == "deflate":
        return _inflated(body, 15 if body[:1] == b"\x78" else -15)
    if name == "br" and not LOOKS_LIKE_HTML.match(body[:1024]):
        return _read(BrotliReader(io.BytesIO(body)))
    if name == "zstd" and body.startswith(b"\x28\xb5\x2f\xfd"):
        return _read(ZstdReader(io.BytesIO(body)))
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
    out = bytearray()
    try:
        while piece := reader.read(8 << 10):
            out += piece
            if len(out) > MAX_PAGE:
                raise ValueError(f"too_large: more than {MAX_PAGE} bytes")
    except OSError as error:
        if not out:
            raise ValueError(str(error)) from None
    return bytes(out)
