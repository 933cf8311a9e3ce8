"""PDF, read by pdfium in a process of its own: pages as lines in reading order, then a book's chapters or a paper.

A PDF is hostile input to a C++ library: the child has a hard limit of processor time and memory, the file of bytes, pages and
characters, and nothing is rendered, no script run, no attachment opened.
"""

import ctypes
import os
import re
from collections.abc import Iterator
from typing import Any

from catalog.stage import Refused
from catalog.worker import Failure, Worker
from ingest.layout import Line, Run, lines_of

MAX_BYTES, MAX_CHARS, MAX_PAGE_CHARS = 128 << 20, 30_000_000, 200_000
MEMORY = 3 << 30
"""The child's address space in bytes, the library and the file in it."""
SCAN = 12
"""Characters a page by the average under which it is pictures of text: a scan without a text layer, with a stamp or two."""
MAX_OUTLINE = 5000
EM = 1.0
"""Sizes of type between two runs at least: wider than a word's space, narrower than a gutter."""
BOLD = re.compile(rb"bold|black|heavy|semibold|cmbx|-bd|\.b\b", re.I)


def texts(path: str, *, seconds: float, pages: int) -> dict[str, Any] | Refused:
    """Return {pages: [[Line]], heights, outline: [[level, title, page, top]], title, author, margin, count} of a PDF, or Refused.

    Reasons: `too_large` (bytes, pages or characters), `not_pdf`, `encrypted`, `no_text` for a scan; `timeout`, `memory`, `died`, `error`
    for what became of the process.
    """
    name = os.path.basename(path)
    if os.path.getsize(path) > MAX_BYTES:
        return Refused(name, "too_large", f"{os.path.getsize(path)} bytes")
    with open(path, "rb") as file:
        data = file.read()
    with Worker("ingest.pdf:read_pages", seconds=seconds, memory=MEMORY) as worker:
        ((_, said),) = worker.map([(name, data, {"pages": pages})])
    if isinstance(said, Failure):
        return Refused(name, said.reason, said.error)
    if "problem" in said:
        return Refused(name, *said["problem"])
    found: dict[str, Any] = {**said, "pages": [[Line(*line) for line in page] for page in said["pages"]]}
    return found


def read_book(path: str, name: str, *, seconds: float, pages: int) -> Iterator[dict[str, Any] | Refused]:
    """Yield a PDF book's chapters: by its outline (bookmarks) where it has one, else by its headings.

    What makes chapters is imported here: the child that reads pages imports this module and has no use for it.
    """
    from ingest.printed import book_of

    found = texts(path, seconds=seconds, pages=pages)
    yield from [found] if isinstance(found, Refused) else book_of(found, name)


def read_pages(payload: bytes, *, pages: int) -> dict[str, Any]:
    """In the child: what `texts` returns, as plain data."""
    import pypdfium2

    if b"%PDF-" not in payload[:1024]:
        return {"problem": ["not_pdf", f"no header but {payload[:8]!r}"]}
    try:
        document = pypdfium2.PdfDocument(payload)
    except pypdfium2.PdfiumError as error:
        locked = "password" in str(error).lower() or "security" in str(error).lower()
        return {"problem": ["encrypted" if locked else "not_pdf", str(error)]}
    count = len(document)
    if count > pages:
        return {"problem": ["too_large", f"{count} pages"]}
    out: list[list[Any]] = []
    heights: list[float] = []
    margin, characters, gutter = "", 0, None
    for number in range(count):
        lines, height, stamp, size, gutter = _page(document, number, gutter)
        characters += size
        if characters > MAX_CHARS:
            return {"problem": ["too_large", f"more than {MAX_CHARS} characters on the first {number + 1} of {count} pages"]}
        out.append([[*vars(line).values()] for line in lines])
        heights.append(height)
        margin += stamp
    if not count or characters < SCAN * count:
        return {"problem": ["no_text", f"a scan: {count} pages with {characters} characters, no text layer"]}
    said = {key.lower(): document.get_metadata_value(key) for key in ("Title", "Author")}
    return {"pages": out, "heights": heights, "outline": _outline(document), "margin": margin[:2000], "count": count, **said}


def _outline(document: Any) -> list[list[Any]]:
    """The bookmarks as [level, title, page, top]; none where they are broken."""
    import pypdfium2

    found = []
    try:
        for mark in document.get_toc(max_depth=4):
            place = mark.get_dest()
            page = place.get_index() if place else None
            if page is not None:
                view = place.get_view()[1]
                top = view[1] if len(view) >= 2 else view[0] if len(view) == 1 else None
                found.append([mark.level, " ".join(mark.get_title().split())[:300], page, top])
            if len(found) >= MAX_OUTLINE:
                break
    except (pypdfium2.PdfiumError, AttributeError, ValueError, RecursionError):
        return found
    return found


def _page(document: Any, number: int, gutter: float | None) -> tuple[list[Line], float, str, int, float | None]:
    """A page's lines, its height, what stands on its side (turned text), how many characters it has, and its gutter; none where it is broken.

    `gutter` is that of the page before.
    """
    import pypdfium2

    try:
        page = document[number]
    except pypdfium2.PdfiumError:
        return [], 0.0, "", 0, None
    try:
        text = page.get_textpage()
        try:
            runs, stamp, size = _runs(text)
        finally:
            text.close()
        width, height = page.get_size()
        lines, gutter = lines_of(runs, width, gutter)
        return lines, height, stamp, size, gutter
    except pypdfium2.PdfiumError:
        return [], 0.0, "", 0, None
    finally:
        page.close()


def _runs(text: Any) -> tuple[list[Run], str, int]:
    """The characters of a page in the order of its content, put together to runs; turned ones apart."""
    from pypdfium2 import raw

    left, right, bottom, top, x, y = (ctypes.c_double() for _ in range(6))
    box = raw.FS_RECTF()
    runs: list[Run] = []
    run: Run | None = None
    stamp, count = "", min(raw.FPDFText_CountChars(text.raw), MAX_PAGE_CHARS)
    high = 0                                                 # the first half of a character beyond the sixteen bits
    for i in range(count):
        code = raw.FPDFText_GetUnicode(text.raw, i)
        if code in (10, 13):
            run = None
            continue
        if 0xD800 <= code < 0xDC00:
            high = code
            continue
        char = chr(0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00)) if high and 0xDC00 <= code < 0xE000 else "-" if code in (2, 0xFFFE) else chr(code)
        high = 0
        if char.isspace() or code == 0:
            if run is not None:
                run.text += " "
            continue
        raw.FPDFText_GetLooseCharBox(text.raw, i, box)
        raw.FPDFText_GetCharOrigin(text.raw, i, x, y)
        if run is not None and _goes_on(run, box.left, box.bottom, box.top, y.value):
            run.text += char
            run.left, run.right = min(run.left, box.left), max(run.right, box.right)
            continue
        if abs(raw.FPDFText_GetCharAngle(text.raw, i)) % 3.1415927 > 0.1:
            stamp += char
            run = None
            continue
        raw.FPDFText_GetCharBox(text.raw, i, left, right, bottom, top)
        run = Run(char, box.left, box.right, box.bottom, box.top, y.value, _is_bold(text, i))
        runs.append(run)
    return runs, stamp, count


def _goes_on(run: Run, left: float, bottom: float, top: float, base: float) -> bool:
    """Whether a character goes on with a run: on its baseline, in its size, and near behind it."""
    size = run.size
    alike = abs(base - run.base) < 0.1 * size and abs((top - bottom) - size) < 0.12 * max(size, top - bottom)
    return alike and -0.6 * size < left - run.right < EM * size


def _is_bold(text: Any, i: int) -> bool:
    from pypdfium2 import raw

    name, flags = ctypes.create_string_buffer(128), ctypes.c_int()
    raw.FPDFText_GetFontInfo(text.raw, i, name, 128, flags)
    return BOLD.search(name.value) is not None or bool(flags.value & (1 << 18))
