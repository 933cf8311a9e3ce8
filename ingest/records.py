"""Where the records of a WARC file begin and end, also in a file that is cut short, spoilt or lies about its lengths.

FastWARC stops at the first fault and believes every Content-Length. So the records are framed here, each with its own bytes
or its fault, and FastWARC reads what is inside one. A gzip member begins with a record, whatever was said before it; inside a
member, and in a plain file, a record's end is believed if blank lines stand behind it, and the next is looked for if not.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

MAX_RECORD = 64 << 20
"""Bytes of a record at most, expanded; larger ones are refused and passed over."""
MAX_HEADER = 64 << 10
MAX_LINE = 16 << 10
"""Bytes that are kept while the next record is looked for: its header's line may have begun in them."""
MAX_RATIO = 600
"""A gzip member that grew past MAX_RECORD and by more than this is a bomb and not read on. Text reaches 20, blanks 1030."""
CHUNK = 64 << 10
GZIP = b"\x1f\x8b\x08"
MEMBER = re.compile(rb"(?=\x1f\x8b\x08[\0-\x1f].{4}[\0-\x04])", re.S)
"""How a gzip member begins, by its flags (RFC 1952, section 2.3): the three bytes alone are met every 16 MB of packed data."""
BLANK = re.compile(rb"[\r\n\0]*")
CUT = "the file ends inside it"


@dataclass(frozen=True)
class Form:
    """How a kind of archive frames its records: what one begins with, where its header ends, the length in it, and what stands before the next."""

    name: str
    opens: re.Pattern[bytes]
    head_end: re.Pattern[bytes]
    length: re.Pattern[bytes]
    next: re.Pattern[bytes]
    gap: bytes


WARC = Form(
    "WARC", re.compile(rb"WARC/"), re.compile(rb"\r?\n\r?\n"), re.compile(rb"^content-length:[ \t]*(\d{1,18})[ \t]*\r?$", re.I | re.M),
    re.compile(rb"(?:\r?\n){2}(?=WARC/[01]\.\d\d?\r?\n)"), b"\r\n\r\n",
)  # fmt: skip
ARC_LINE = rb"([a-z][a-z0-9+.\-]{1,20}:[^\r\n]{1,8000}?) ([0-9a-fA-F.:\-]{1,45}) (\d{8,17}) ([^\r\n ]{1,200})(?: [^\r\n ]{1,500}){0,8} (\d{1,18})[ \t]*\r?\n"
ARC = Form(
    "ARC", re.compile(rb"[a-z][a-z0-9+.\-]{1,20}:"), re.compile(rb"\n"), re.compile(rb" (\d{1,18})[ \t]*\r?\n"),
    re.compile(rb"\n(?=" + ARC_LINE + rb")"), b"\n",
)  # fmt: skip
FORMS = (WARC, ARC)


@dataclass(frozen=True)
class Frame:
    """One record: its own bytes, or why there are none to use.

    `offset` and `length` count in the file. Where a gzip member holds several records they count in the expanded stream.
    `path` names the file where a source reads from many.
    Faults are `corrupt_record`, `wrong_length`, `truncated` and `too_large`.
    """

    offset: int
    length: int
    data: bytes
    fault: str | None = None
    error: str = ""
    path: str | None = None


def frames(path: str, start: int = 0) -> Iterator[Frame]:
    """Yield the records of a WARC or ARC file from an offset on, plain or gzip, whatever state it is in. ARC's come in WARC's form."""
    with open(path, "rb") as file:
        yield from frames_in(file, start)


def frames_in(file: BinaryIO, start: int = 0) -> Iterator[Frame]:
    """Yield the records of an open file, or of some bytes of one."""
    file.seek(start)
    head = file.read(4096)
    packed = head.startswith(GZIP[:2])
    first = _opens(head, 4096) if packed else head
    form = ARC if first.startswith(b"filedesc:") or re.match(ARC_LINE, first) else WARC  # a range of an ARC file begins with any record
    found = _members(file, form, start) if packed else _Records(_Plain(file, start), start, start, form).frames()
    yield from found if form is WARC else map(_as_warc, found)


def record_at(path: str, offset: int) -> bytes | None:
    """Return the record whose gzip member starts at an offset; None where there is none, or a larger one than MAX_RECORD."""
    with open(path, "rb") as file:
        file.seek(offset)
        inflate, out = zlib.decompressobj(31), bytearray()
        while not inflate.eof and len(out) <= MAX_RECORD and (piece := inflate.unconsumed_tail or file.read(CHUNK)):
            out += inflate.decompress(piece, MAX_RECORD)
    return bytes(out) if inflate.eof and out.startswith(b"WARC/") else None


def _as_warc(frame: Frame) -> Frame:
    """An ARC record (Burner and Kahle 1996) as a WARC response; the file's own first record as its note."""
    found = re.match(ARC_LINE, frame.data)
    if frame.fault or not found:
        return frame if frame.fault else Frame(frame.offset, frame.length, b"", "corrupt_record", "no header line of ARC")
    uri, _, when, kind, _ = found.groups()
    content, date = frame.data[found.end() :], when.decode().ljust(14, "0")
    http = content.startswith(b"HTTP/")
    head = [
        b"WARC/1.0", b"WARC-Type: " + (b"warcinfo" if uri.startswith(b"filedesc:") else b"response" if http else b"resource"), b"WARC-Target-URI: " + uri,
        f"WARC-Date: {date[:4]}-{date[4:6]}-{date[6:8]}T{date[8:10]}:{date[10:12]}:{date[12:14]}Z".encode(),
        b"Content-Type: " + (b"application/http; msgtype=response" if http else kind), b"Content-Length: %d" % len(content),
    ]  # fmt: skip
    return Frame(frame.offset, frame.length, b"\r\n".join([*head, b"", b""]) + content)


def _members(file: BinaryIO, form: Form, start: int) -> Iterator[Frame]:
    """Each gzip member is read on its own. One that breaks off is passed over to the next that begins with a record."""
    offset, expanded = start, 0
    while True:
        file.seek(offset)
        head = file.read(4096)
        if not head.strip(b"\0"):
            return
        if not head.startswith(GZIP):
            end = _next_member(file, offset + 1, form)
            yield Frame(offset, end - offset, b"", "corrupt_record", f"no gzip member but {head[:8]!r}")
            offset = end
            continue
        file.seek(offset)
        member = _Member(file, offset, form)
        records = _Records(member, offset, expanded, form)
        yield from records.frames()
        expanded = records.at
        offset = member.end if member.fault is None else _next_member(file, offset + 1, form)


def _next_member(file: BinaryIO, start: int, form: Form) -> int:
    """Return the offset of the next gzip member whose first bytes are a WARC record's; the file's end if there is none."""
    held, base = b"", start
    file.seek(start)
    while True:
        chunk = file.read(1 << 20)
        held += chunk
        sure = max(len(held) - 4096, 0) if chunk else len(held)  # behind it a member's first bytes may not have been read yet
        for found in MEMBER.finditer(held):
            if found.start() < sure and form.opens.match(_opens(held[found.start() : found.start() + 4096])):
                return base + found.start()
        if not chunk:
            return base + len(held)
        base, held = base + sure, held[sure:]


def _opens(raw: bytes, most: int = 64) -> bytes:
    """The first bytes in a gzip member; none if it is no member or broken at once."""
    try:
        return zlib.decompressobj(31).decompress(raw, most)
    except zlib.error:
        return b""


class _Stream(Protocol):
    """What records are read from. `fault` says why there is no more, if it was no clean end; `end` is the offset reached in the file."""

    fault: str | None
    end: int

    def read(self) -> bytes: ...


class _Plain:
    """A file as it is."""

    fault: str | None = None

    def __init__(self, file: BinaryIO, start: int) -> None:
        file.seek(start)
        self.file, self.end = file, start

    def read(self) -> bytes:
        chunk = self.file.read(CHUNK)
        self.end += len(chunk)
        return chunk


class _Member:
    """One gzip member, expanded as it is read, and those behind it that do not begin with a record: some tools cut anywhere."""

    fault: str | None = None

    def __init__(self, file: BinaryIO, offset: int, form: Form) -> None:
        self.file, self.end, self.form = file, offset, form
        self._inflate, self._raw = zlib.decompressobj(31), b""
        self._used = self._grown = 0

    def read(self) -> bytes:
        """Return the next expanded bytes; none at the end of the member, or where it breaks off."""
        while self.fault is None and (not self._inflate.eof or self._goes_on()):
            if not self._raw:
                self._raw = self.file.read(CHUNK // 4)  # little: what an error takes along is lost
            if not self._raw:
                self.fault = CUT
                break
            try:
                out = self._inflate.decompress(self._raw, 1 << 20)
            except zlib.error as error:
                self.fault = f"gzip: {error}"
                break
            rest = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            self._used += len(self._raw) - len(rest)
            self._grown += len(out)
            self.end += len(self._raw) - len(rest)
            self._raw = rest
            if self._grown > MAX_RECORD and self._grown > MAX_RATIO * self._used:
                self.fault = "gzip: it expands without end"
                break
            if out:
                return out
        return b""

    def _goes_on(self) -> bool:
        """Whether the next member goes on with the record that this one left unfinished; then reading goes on in it."""
        if len(self._raw) < 4096:
            self._raw += self.file.read(4096)
        opens = _opens(self._raw) if self._raw.startswith(GZIP) else b""
        if not opens or self.form.opens.match(opens):
            return False
        self._inflate = zlib.decompressobj(31)
        return True


class _Records:
    """The records of one stream. `at` counts expanded bytes from the start of the file."""

    def __init__(self, stream: _Stream, offset: int, expanded: int, form: Form) -> None:
        self.stream, self.offset, self.form = stream, offset, form
        self.first = self.at = self.base = expanded
        self.held = bytearray()

    def frames(self) -> Iterator[Frame]:
        told = False
        while self._skip_blank():
            at = self.at
            fault, data, error = self._record()
            alone = at == self.first and not self._more(1)
            start = self.offset if at == self.first else at
            length = self.stream.end - self.offset if alone else self.at - at
            told = told or fault is not None
            yield Frame(start, length, data, fault, error)
            self._forget()
        if self.stream.fault == CUT and self.at == self.first:
            yield Frame(self.offset, 0, b"", "truncated", CUT)
        elif self.stream.fault not in (None, CUT) and not told:
            yield Frame(self.offset, 0, b"", "corrupt_record", str(self.stream.fault))

    def _record(self) -> tuple[str | None, bytes, str]:
        """Read a record and go to the end of it; after a fault, to the next record. Returns (fault, data, error)."""
        self._more(24)
        if not self.form.opens.match(self._slice(self.at, self.at + 24)):
            said = bytes(self._slice(self.at, self.at + 16))
            return self._fault(self.at, "corrupt_record", f"no {self.form.name} header but {said!r}")
        head = self._find(self.form.head_end, MAX_HEADER)
        length = self.form.length.search(self._slice(self.at, head)) if head is not None else None
        if head is None or length is None:
            return self._fault(self.at, "corrupt_record", f"no whole header with a {'Content-Length' if self.form is WARC else 'length'}")
        size = int(length[1])
        if head - self.at + size > MAX_RECORD:
            return self._fault(head, "too_large", f"{size} bytes")
        self._more(head + size - self.at)
        there = self.base + len(self.held) - head
        if there < size:
            lie = self._next(head) is not None or (isinstance(self.stream, _Member) and self.stream.fault is None)
            return self._fault(head, "wrong_length" if lie else "truncated", f"{size} bytes are said to follow, {there} do")
        if not self._ends(head + size):
            return self._fault(head, "wrong_length", f"no record ends after {size} bytes")
        data = bytes(memoryview(self.held)[self.at - self.base : head + size - self.base])
        self.at = head + size
        if not self._skip_blank() and self.stream.fault not in (None, CUT):  # a member's checksum comes last and speaks of this record
            return "corrupt_record", b"", str(self.stream.fault)
        return None, data, ""

    def _fault(self, search: int, fault: str, error: str) -> tuple[str, bytes, str]:
        """Go to the next record behind `search`, however far that is."""
        found = self._next(search)
        while found is None:
            keep = max(search, self.base + len(self.held) - MAX_LINE)
            if len(self.held) > 4 * CHUNK:
                del self.held[: keep - self.base]
                self.base = search = keep
            more = self.stream.read()
            if not more:
                break
            self.held += more
            found = self._next(search)
        self.at = self.base + len(self.held) if found is None else found
        broken = self.stream.fault
        if found is None and broken is not None and fault != "too_large":
            return ("truncated" if broken == CUT else "corrupt_record"), b"", f"{error}; {broken}"
        return fault, b"", error

    def _more(self, count: int) -> bool:
        """Have `count` bytes from here on, if there are so many."""
        while self.base + len(self.held) - self.at < count:
            chunk = self.stream.read()
            if not chunk:
                return False
            self.held += chunk
        return True

    def _slice(self, start: int, stop: int) -> bytearray:
        return self.held[start - self.base : stop - self.base]

    def _find(self, pattern: re.Pattern[bytes], most: int) -> int | None:
        """Where a pattern ends, at most `most` bytes from here."""
        size = 4096
        while True:
            more = self._more(size)
            found = pattern.search(self.held, self.at - self.base, self.at - self.base + most)
            if found or not more or size >= most:
                return self.base + found.end() if found else None
            size *= 4

    def _next(self, start: int) -> int | None:
        found = self.form.next.search(self.held, start - self.base)
        return self.base + found.end() if found else None

    def _ends(self, place: int) -> bool:
        """Whether a record can end at a place: blank lines stand behind it, or the next record, or nothing."""
        self._more(place - self.at + 32)
        behind = bytes(self._slice(place, place + 32))
        return behind.startswith(self.form.gap) or not behind.strip(b"\r\n\0") or self.form.opens.match(behind.lstrip(b"\r\n")) is not None

    def _skip_blank(self) -> bool:
        """Go past line ends; False when nothing stands behind them."""
        while self._more(1):
            self.at = self.base + BLANK.match(self.held, self.at - self.base).end()  # type: ignore[union-attr]  # it matches nothing too
            if self.at < self.base + len(self.held):
                return True
            self._forget()
        return False

    def _forget(self) -> None:
        if self.at - self.base > 4 * CHUNK:
            del self.held[: self.at - self.base]
            self.base = self.at
