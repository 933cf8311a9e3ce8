"""Tables as comma- or tab-separated values (RFC 4180), also packed with gzip; their first row names the columns."""

import csv
import gzip
import io
import os
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Any, cast

from catalog.stage import Refused

SEPARATED = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
MAX_CELL, MAX_COLUMNS = 16 << 20, 10_000
MAX_LINE, MAX_SIGNS = 16 << 20, 2_000_000
"""Characters of a line, and separators in it: each cell is an object, and a reader makes all of a row before it can be looked at."""


class _Lines:
    """The lines of a file, one that does not end in time cut off: a csv reader would take the rest of the file for one cell."""

    def __init__(self, file: IO[str], sign: str) -> None:
        self.file, self.sign, self.size = file, sign, 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self.file.readline(MAX_LINE)
        self.size += len(line)
        if not line:
            raise StopIteration
        if line.count(self.sign) > MAX_SIGNS:
            raise csv.Error(f"a line over the limit of {MAX_SIGNS} cells")
        return line.replace("\0", "")


def rows_of(path: str) -> Iterator[tuple[int, int, Mapping[str, Any] | Refused]]:
    """Yield (number from 1, characters, row or Refused). Empty cells are None.

    Refused: `bad_row` (too many cells), `too_large`, `corrupt_table`, `truncated`.
    """
    name, number = os.path.basename(path), 0
    with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as raw:
        sign = "\t" if name.endswith((".tsv", ".tsv.gz")) else ","
        lines = _Lines(io.TextIOWrapper(cast(IO[bytes], raw), encoding="utf-8-sig", errors="replace", newline=""), sign)
        before = csv.field_size_limit(MAX_CELL)
        try:
            reader = csv.reader(lines, delimiter=sign)
            names = next(reader, [])
            while True:
                number += 1
                start = lines.size
                try:
                    cells = next(reader)
                except csv.Error as error:
                    reason = "too_large" if "limit" in str(error) else "corrupt_table"
                    yield number, 0, Refused(f"{name}#{number}", reason, f"row {number}: {error}", number)
                    continue
                if not cells:
                    number -= 1
                elif len(cells) > len(names) or len(names) > MAX_COLUMNS:
                    yield number, 0, Refused(f"{name}#{number}", "bad_row", f"row {number} has {len(cells)} cells, the first has {len(names)}", number)
                else:
                    yield number, lines.size - start, {column: cell or None for column, cell in zip(names, cells, strict=False)}
        except StopIteration:
            return
        except (EOFError, OSError, zlib.error) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            reason = "truncated" if isinstance(error, EOFError) else "corrupt_table"
            yield number, 0, Refused(f"{name}#{number}", reason, f"row {number}: {error}", number)
        finally:
            csv.field_size_limit(before)
