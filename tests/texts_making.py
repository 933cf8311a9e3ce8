"""Books and papers made for tests: PDFs written by hand, so that columns and running heads stand where a test says, and LaTeX bundles."""

import gzip
import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

Put = tuple[float, float, float, str]                        # x, y, size, text; a text that begins with * is bold
LIGATURES = {"ﬁ": "\x01", "ﬂ": "\x02"}


HEBREW = "".join(map(chr, range(0x5D0, 0x5EB)))
HEBREW_CODES = dict(zip(map(ord, HEBREW), map(chr, range(192, 219)), strict=True))      # those of capitals with accents


def escaped(text: str) -> bytes:
    for char, code in LIGATURES.items():
        text = text.replace(char, code)
    text = text.translate(HEBREW_CODES)
    return text.encode("cp1252", "replace").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def content(puts: Sequence[Put]) -> bytes:
    """A page's text operators."""
    out = []
    for x, y, size, text in puts:
        font = b"/B" if text.startswith("*") else b"/F"
        turn = b"0 1 -1 0" if text.startswith("^^") else b"1 0 0 1"
        out.append(b"BT %s %g Tf %s %g %g Tm (%s) Tj ET" % (font, size, turn, x, y, escaped(text.lstrip("*^"))))
    return b"\n".join(out)


def pdf(pages: Sequence[Sequence[Put]], *, outline: Sequence[tuple[str, int, float]] = (), info: Mapping[str, str] | None = None,
    locked: bool = False, hebrew: bool = False, rotate: int = 0, low: bool = False) -> bytes:
    """A PDF of pages of 612 by 792 points. `outline` has (title, page, y) of each bookmark; `locked` asks for a password; `rotate` is how pages are shown.
    A font that is `low` says that its letters are lower than its brackets, as TeX's do."""
    objects: list[bytes] = []

    def add(body: bytes) -> int:
        objects.append(body)
        return len(objects)

    letters = b" 192 " + b" ".join(b"/afii%d" % (57664 + i) for i in range(27)) if hebrew else b""
    encoding = b"/Encoding << /Type /Encoding /BaseEncoding /WinAnsiEncoding /Differences [1 /fi /fl%s] >>" % letters
    catalogue, tree = add(b""), add(b"")
    box = b"/Type /FontDescriptor /FontName /Low /Flags 32 /Ascent 720 /Descent -123 /CapHeight 683 /ItalicAngle 0 /StemV 80 /FontBBox [0 -123 1000 720]"
    described = b"/FontDescriptor << %s >> /FirstChar 0 /LastChar 255 /Widths [%s]" % (box, b" 500" * 256)
    plain = add(b"<< /Type /Font /Subtype /Type1 /BaseFont %s %s >>" % (b"/Low " + described if low else b"/Helvetica", encoding))
    bold = add(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold %s >>" % encoding)
    kids = []
    for puts in pages:
        body = content(puts)
        stream = add(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(body), body))
        fonts = b"/Resources << /Font << /F %d 0 R /B %d 0 R >> >>" % (plain, bold)
        kids.append(add(b"<< /Type /Page /Parent %d 0 R /MediaBox [0 0 612 792] /Rotate %d /Contents %d 0 R %s >>" % (tree, rotate, stream, fonts)))
    objects[tree - 1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(kids), b" ".join(b"%d 0 R" % kid for kid in kids))
    marks = _outline(objects, kids, outline)
    objects[catalogue - 1] = b"<< /Type /Catalog /Pages %d 0 R %s >>" % (tree, marks)
    trailer = b"/Root %d 0 R" % catalogue
    if info:
        said = b" ".join(b"/%s (%s)" % (key.encode(), escaped(value)) for key, value in info.items())
        trailer += b" /Info %d 0 R" % add(b"<< %s >>" % said)
    if locked:
        lock = b"<< /Filter /Standard /V 1 /R 2 /O <%s> /U <%s> /P -44 >>" % (b"ab" * 32, b"cd" * 32)
        trailer += b" /Encrypt %d 0 R /ID [<00> <00>]" % add(lock)
    return _file(objects, trailer)


def _outline(objects: list[bytes], kids: Sequence[int], outline: Sequence[tuple[str, int, float]]) -> bytes:
    if not outline:
        return b""
    root = len(objects) + 1
    first = root + 1
    objects.append(b"<< /Type /Outlines /First %d 0 R /Last %d 0 R /Count %d >>" % (first, root + len(outline), len(outline)))
    for i, (title, page, y) in enumerate(outline):
        around = (b" /Prev %d 0 R" % (first + i - 1) if i else b"") + (b" /Next %d 0 R" % (first + i + 1) if i + 1 < len(outline) else b"")
        objects.append(b"<< /Title (%s) /Parent %d 0 R /Dest [%d 0 R /XYZ 0 %g 0]%s >>" % (escaped(title), root, kids[page], y, around))
    return b"/Outlines %d 0 R" % root


def _file(objects: Sequence[bytes], trailer: bytes) -> bytes:
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + b"".join(b"%010d 00000 n \n" % place for place in places)
    return bytes(out + b"trailer << /Size %d %s >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start))


def column(x: float, y: float, lines: Sequence[str], *, size: float = 10, leading: float = 12) -> list[Put]:
    """Lines under each other; one that begins with two blanks is indented."""
    return [(x + (15 if line.startswith("  ") else 0), y - i * leading, size, line.strip()) for i, line in enumerate(lines)]


def bundle(path: Path, files: Mapping[str, str | bytes], *, packed: bool = True) -> Path:
    """A tar of a paper's sources, as arXiv gives it."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name, body in files.items():
            data = body.encode() if isinstance(body, str) else body
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    path.write_bytes(gzip.compress(held.getvalue()) if packed else held.getvalue())
    return path
