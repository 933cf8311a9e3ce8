"""A page's characters as lines in reading order: columns found, words put together, raised and lowered figures told apart.

Coordinates are a PDF's: points (1/72 inch) from the lower left corner. A page has one column or two: lines that stand on both sides of
a gutter, down a good part of the page. Lines that cross the gutter (a title, a wide figure's caption) cut the columns: what stands above
is read to its end, left then right, before they are.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

FAR = 20_000.0
"""Points from the corner beyond which nothing is a page's: PDF's own limit is 14,400. What is no number is not within it either."""
BAND = 4.0
"""Points of height in which it is asked what stands left, right and across."""
GUTTER = 8.0
"""Points between two columns at least."""
TWO_SHARE, TWO_BANDS = 0.25, 12
"""Bands of a page with text on both sides and none across, of those with any text and at all, that make two columns."""
NARROW = 0.18
"""Of the page's width: columns of text are wider by the median line, those of a table or an index narrower."""
RAISED = 0.12
SMALL = 0.86
UNITS = {
    "m", "s", "g", "l", "k", "cm", "mm", "km", "nm", "dm", "kg", "mg", "hz", "ev", "pa", "mol", "ml", "min", "rad", "sr", "deg", "µm", "μm", "pc", "kpc", "mpc",
}  # fmt: skip


@dataclass
class Run:
    """Characters that follow each other on a line in one size: their text, the box around them, the baseline, and whether they are bold."""

    text: str
    left: float
    right: float
    bottom: float
    top: float
    base: float
    bold: bool = False

    @property
    def size(self) -> float:
        return self.top - self.bottom


@dataclass
class Line:
    """A line of a column: `side` is 0 for the whole page's width, 1 left, 2 right; `top` falls down the page."""

    text: str
    left: float
    right: float
    top: float
    bottom: float
    size: float
    bold: bool
    side: int = 0


def lines_of(runs: Sequence[Run], width: float, before: float | None = None) -> tuple[list[Line], float | None]:
    """Return the lines of a page of that width in reading order, and its gutter.

    `before` is the gutter of the page before: a page with too few lines to have one of its own takes that, where no more crosses it than not.
    """
    runs = [run for run in runs if run.text.strip() and -FAR < run.left < run.right < FAR and -FAR < run.bottom < run.top - 0.5 < FAR and abs(run.base) < FAR]
    gutter = gutter_of(runs, width)
    if gutter is None and before is not None and _fits(runs, before, width):
        gutter = before
    if gutter is None:
        return sorted((_line(row, 0) for row in _rows(runs)), key=lambda line: -line.top), None
    across = [row for row in _rows(runs) if any(run.left < gutter - GUTTER / 4 and run.right > gutter + GUTTER / 4 for run in row)]
    taken = {id(run) for row in across for run in row}
    rest = [run for run in runs if id(run) not in taken]
    left = [_line(row, 1) for row in _rows([run for run in rest if run.right <= gutter + GUTTER / 4])]
    right = [_line(row, 2) for row in _rows([run for run in rest if run.right > gutter + GUTTER / 4])]
    return _in_order([_line(row, 0) for row in across], left, right), gutter


def gutter_of(runs: Sequence[Run], width: float) -> float | None:
    """Return where the gutter between two columns is; None for a page of one column."""
    if len(runs) < 2 * TWO_BANDS / 3:
        return None
    best, found = 0.0, None
    edges = sorted({round(run.right) + GUTTER / 2 for run in runs if 0.3 * width < run.right + GUTTER / 2 < 0.7 * width})
    for x in edges[:: max(1, len(edges) // 60)]:
        sides = [_side(run, x) for run in runs]
        left = [run for run, side in zip(runs, sides, strict=True) if side == 1]
        right = [run for run, side in zip(runs, sides, strict=True) if side == 2]
        if not left or not right or min(median(_widths(left)), median(_widths(right))) < NARROW * width:
            continue
        across = _bands([run for run, side in zip(runs, sides, strict=True) if side == 0])
        on_left, on_right = _bands(left), _bands(right)
        both = len((on_left & on_right) - across)
        if both >= max(TWO_BANDS, TWO_SHARE * len(on_left | on_right | across)) and both > best:
            best, found = both, x
    return found


def _fits(runs: Sequence[Run], gutter: float, width: float) -> bool:
    """Whether a gutter parts a short page: lines of text on both sides, and no more of them across."""
    sides = [_side(run, gutter) for run in runs]
    long = [side for run, side in zip(runs, sides, strict=True) if run.right - run.left >= NARROW * width]
    return long.count(1) > 0 and long.count(2) > 0 and long.count(0) <= min(long.count(1), long.count(2))


def _side(run: Run, x: float) -> int:
    """1 for a run left of a gutter at x, 2 for one right of it, 0 across."""
    return 1 if run.right <= x - GUTTER / 4 else 2 if run.left >= x + GUTTER / 4 else 0


def _widths(runs: Sequence[Run]) -> list[float]:
    """The widths of lines; runs of one line count together."""
    spans: dict[int, tuple[float, float]] = {}
    for run in runs:
        left, right = spans.get(round(run.base), (run.left, run.right))
        spans[round(run.base)] = (min(left, run.left), max(right, run.right))
    return [right - left for left, right in spans.values()]


def _bands(runs: Sequence[Run]) -> set[int]:
    return {band for run in runs for band in range(int(run.bottom // BAND), min(int(run.top // BAND), int(run.bottom // BAND) + 50) + 1)}


def _rows(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs that stand on one line, left to right. A small raised or lowered one belongs to the line that it overlaps most."""
    rows: list[list[Run]] = []
    tall = sorted(runs, key=lambda run: (-run.base, run.left))
    for run in tall:
        best, most = None, 0.5
        for row in rows[-6:]:
            main = max(row, key=lambda other: other.size * len(other.text))
            overlap = (min(run.top, main.top) - max(run.bottom, main.bottom)) / max(0.1, min(run.size, main.size))
            close = abs(run.base - main.base) < 0.25 * max(run.size, main.size) or min(run.size, main.size) < SMALL * max(run.size, main.size)
            if overlap > most and close:
                best, most = row, overlap
        if best is None:
            rows.append([run])
        else:
            best.append(run)
    return [sorted(row, key=lambda run: run.left) for row in rows]


def _line(row: Sequence[Run], side: int) -> Line:
    """A row of runs as a line of text; Hebrew and Arabic are read from the right."""
    main = max(row, key=lambda run: run.size * len(run.text.strip()))
    text = ""
    before: Run | None = None
    leftward = sum(len(run.text) if is_leftward(run.text) else -len(run.text) for run in row) > 0
    for run in sorted((replace(run, left=-run.right, right=-run.left) for run in row), key=lambda run: run.left) if leftward else row:
        text = _after(text, before, run, main)
        before = run
    solid = [run for run in row if run.size >= SMALL * main.size] or list(row)
    return Line(
        " ".join(text.split()), row[0].left, max(run.right for run in row), max(run.top for run in solid), min(run.bottom for run in solid), main.size,
        _is_bold([run for run in solid if any(map(str.isalnum, run.text))]), side,
    )  # fmt: skip


def is_leftward(text: str) -> bool:
    """Whether a text's first letter is one that is written from right to left."""
    first = next((char for char in text if char.isalpha()), "")
    return first > "\u0590" and unicodedata.bidirectional(first) in ("R", "AL")


def _is_bold(worded: Sequence[Run]) -> bool:
    return bool(worded) and all(run.bold for run in worded)


def _after(text: str, before: Run | None, run: Run, main: Run) -> str:
    """The text of a line with one more run: a space where there is room for one, marks of notes and powers in their place."""
    if before is None:
        return run.text
    gap = run.left - before.right
    small, rise = run.size < SMALL * main.size, run.base - main.base
    if small and rise > RAISED * main.size and gap < 0.5 * main.size:
        return text.rstrip() + raised(text, run.text.strip()) + (" " if run.text.endswith(" ") else "")
    if small and rise < -RAISED * main.size and gap < 0.5 * main.size:
        return text.rstrip() + run.text
    return text + run.text if text.endswith(" ") or run.text.startswith(" ") or gap < 0.15 * main.size else f"{text} {run.text}"


def raised(text: str, mark: str) -> str:
    """Return what is written for a raised figure behind a text: `[3]` for the mark of a note, behind a word or a stop; `^3` for a power."""
    word = ""
    for char in reversed(text.rstrip()[-24:]):
        if not char.isalpha():
            break
        word = char + word
    last = text.rstrip()[-1:]
    notes = bool(mark) and all(char.isdigit() or char in ",-–; *†‡§¶" for char in mark) and not mark.startswith(("-", "–"))
    if not notes:
        return f"^{mark}" if mark and mark.lstrip("+-−–").isdigit() else mark
    behind_word = len(word) >= 2 and word.lower() not in UNITS
    return f"[{mark}]" if behind_word or last in ".,;:!?”\"’'" else f"^{mark}"


def _in_order(across: list[Line], left: list[Line], right: list[Line]) -> list[Line]:
    """Lines across the page cut the columns; between two of them the left column is read before the right."""
    out: list[Line] = []
    columns = [sorted(left, key=lambda line: -line.top), sorted(right, key=lambda line: -line.top)]
    for line in [*sorted(across, key=lambda line: -line.top), None]:
        for column in columns:
            above = 0
            while above < len(column) and (line is None or column[above].top > line.top):
                above += 1
            out += column[:above]
            del column[:above]
        if line is not None:
            out.append(line)
    return out
