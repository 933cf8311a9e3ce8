"""PDF, read by pdfium in a process of its own: pages as lines in reading order, then a book's chapters or a paper.

A PDF is hostile input to a C++ library: the child has a hard limit of processor time and memory, the file of bytes, pages and
characters, and nothing is rendered, no script run, no attachment opened.
"""

import ctypes
import math
import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from catalog.stage import Refused
from catalog.worker import Failure, Worker
from ingest.texts.layout import Line, Run, is_leftward, lines_of

MAX_BYTES, MAX_CHARS, MAX_PAGE_CHARS = 128 << 20, 30_000_000, 200_000
MEMORY = 3 << 30
"""The child's address space in bytes, the library and the file in it."""
SCAN = 12
"""Characters a page by the average under which it is pictures of text: a scan without a text layer, with a stamp or two."""
MAX_OUTLINE = 5000
EM = 1.0
"""Sizes of type between two runs at least: wider than a word's space, narrower than a gutter."""
BOLD = re.compile(rb"bold|black|heavy|semibold|cmbx|-bd|\.b\b", re.I)


class Place(NamedTuple):
    """Where a character stands: the box around it and its baseline, in points."""

    left: float
    right: float
    bottom: float
    top: float
    base: float


def texts(path: str, *, seconds: float, pages: int) -> dict[str, Any] | Refused:
    """Return {pages: [[Line]], outline: [[level, title, page, top]], title, author, margin, count} of a PDF, or Refused.

    Reasons: `too_large` (bytes, pages or characters), `not_pdf`, `encrypted`, `no_text` for a scan; `timeout`, `memory`, `died`, `error`
    for what became of the process.
    """
    name = os.path.basename(path)
    if os.path.getsize(path) > MAX_BYTES:
        return Refused(name, "too_large", f"{os.path.getsize(path)} bytes")
    with open(path, "rb") as file:
        data = file.read()
    with Worker("ingest.texts.pdf:read_pages", seconds=seconds, memory=MEMORY) as worker:
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
    from ingest.texts.printed import book_of

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
    margin, characters, gutter = "", 0, None
    for number in range(count):
        lines, stamp, size, gutter = _page(document, number, gutter)
        characters += size
        if characters > MAX_CHARS:
            return {"problem": ["too_large", f"more than {MAX_CHARS} characters on the first {number + 1} of {count} pages"]}
        out.append([[*vars(line).values()] for line in lines])
        margin += stamp
    if not count or characters < SCAN * count:
        return {"problem": ["no_text", f"a scan: {count} pages with {characters} characters, no text layer"]}
    said = {key.lower(): document.get_metadata_value(key) for key in ("Title", "Author")}
    return {"pages": out, "outline": _outline(document), "margin": margin[:2000], "count": count, **said}


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


def _page(document: Any, number: int, gutter: float | None) -> tuple[list[Line], str, int, float | None]:
    """A page's lines, what stands on its side (turned text), how many characters it has, and its gutter; none where it is broken.

    `gutter` is that of the page before.
    """
    import pypdfium2

    try:
        page = document[number]
    except pypdfium2.PdfiumError:
        return [], "", 0, None
    try:
        text = page.get_textpage()
        try:
            box = page.get_bbox()
            sides, stamp, size = _runs(text, box)
        finally:
            text.close()
        lines = list[Line]()
        for turn, runs in sides:
            found, gutter = lines_of(runs, box[3] - box[1] if turn % 2 else box[2] - box[0], gutter)
            lines += found
        return lines, stamp, size, gutter
    except pypdfium2.PdfiumError:
        return [], "", 0, None
    finally:
        page.close()


def _runs(text: Any, box: tuple[float, float, float, float]) -> tuple[list[tuple[int, list[Run]]], str, int]:
    """The characters of a page in the order of its content, put together to runs that are upright once the page, `box`, is turned clockwise by so
    many quarters, most first; what little is turned in another way, a stamp on its side; and how many characters there are.
    """
    from pypdfium2 import raw

    sides: list[list[Run]] = [[], [], [], []]
    held = ctypes.c_double(), ctypes.c_double(), raw.FS_RECTF()
    run: Run | None = None
    stamp, count = "", min(raw.FPDFText_CountChars(text.raw), MAX_PAGE_CHARS)
    turn, high = 0, 0                                        # high: the first half of a character beyond the sixteen bits
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
        if run is not None:
            place = _placed(text, i, turn, box, held)
            if _goes_on(run, char, place):
                run.text += char
                run.left, run.right = min(run.left, place.left), max(run.right, place.right)
                run.bottom, run.top = max(run.bottom, place.bottom), min(run.top, place.top)   # a bracket's box is higher than its type
                continue
        turns = raw.FPDFText_GetCharAngle(text.raw, i) / (math.pi / 2)
        turn, run = -round(turns) % 4, None
        if abs(turns - round(turns)) > 0.1:
            stamp += char
            continue
        place = _placed(text, i, turn, box, held)
        run = Run(char, place.left, place.right, place.bottom, place.top, place.base, _is_bold(text, i))
        sides[turn].append(run)
    sizes = [sum(len(run.text) for run in runs) for runs in sides]
    order = sorted(range(4), key=lambda turn: -sizes[turn])
    read = [turn for turn in order if sizes[turn] > max(sizes) / 3] or order[:1]
    return [(turn, sides[turn]) for turn in read], stamp + "".join(run.text for turn in order if turn not in read for run in sides[turn]), count


def _placed(text: Any, i: int, turn: int, box: tuple[float, float, float, float], held: tuple[Any, Any, Any]) -> Place:
    """Where a character stands on the page turned clockwise by so many quarters; `held` is room for two numbers and a box."""
    from pypdfium2 import raw

    x, y, loose = held
    raw.FPDFText_GetCharOrigin(text.raw, i, x, y)
    if not turn:
        raw.FPDFText_GetLooseCharBox(text.raw, i, loose)
        return Place(loose.left - box[0], loose.right - box[0], loose.bottom, loose.top, y.value)
    edges, matrix = [ctypes.c_double() for _ in range(4)], raw.FS_MATRIX()
    raw.FPDFText_GetCharBox(text.raw, i, *edges)             # the loose box is one of upright characters alone
    left, right, bottom, top = (edge.value for edge in edges)
    raw.FPDFText_GetMatrix(text.raw, i, matrix)
    size = raw.FPDFText_GetFontSize(text.raw, i) * math.hypot(matrix.a, matrix.b)
    start, end, base = (
        (bottom - box[1], top - box[1], box[2] - x.value), (box[2] - right, box[2] - left, box[3] - y.value), (box[3] - top, box[3] - bottom, x.value - box[0]),
    )[turn - 1]  # fmt: skip
    return Place(start, end, base - 0.2 * size, base + 0.8 * size, base)


def _goes_on(run: Run, char: str, place: Place) -> bool:
    """Whether a character goes on with a run: on its baseline, in its size, and near behind it, which is to the left in Hebrew and Arabic."""
    size, height = run.size, place.top - place.bottom
    if abs(place.base - run.base) >= 0.1 * size or abs(height - size) >= 0.12 * max(size, height):
        return False
    if char > "\u0590" and is_leftward(char):
        return is_leftward(run.text) and -0.6 * size < run.left - place.right < EM * size
    return -0.6 * size < place.left - run.right < EM * size


def _is_bold(text: Any, i: int) -> bool:
    from pypdfium2 import raw

    name, flags = ctypes.create_string_buffer(128), ctypes.c_int()
    raw.FPDFText_GetFontInfo(text.raw, i, name, 128, flags)
    return BOLD.search(name.value) is not None or bool(flags.value & (1 << 18))
