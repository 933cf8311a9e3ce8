"""Ranges that an index made up: each costs itself, and says why."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ingest_making import page
from test_ingest_archive import AT, fetched

from catalog.stage import Refused
from ingest.archive import Archive
from ingest.index import read


@pytest.fixture
def mirror(tmp_path: Path) -> tuple[Path, list[tuple[int, int]]]:
    with Archive(tmp_path / "a.warc.gz", {}) as archive:
        places = [archive.add(fetched(f"http://h.example/{n}", page(f"Page {n}")), {}) for n in range(3)]
    assert AT.year == 2026
    return tmp_path, [(place.offset, place.length) for place in places]


def rows(folder: Path, *ranges: tuple[Any, Any]) -> list[Any]:
    kinds = pa.schema([("path", pa.string()), ("record_offset", pa.int64()), ("length", pa.int64()), ("dump", pa.string())])
    listed = [dict(zip(kinds.names, ("a.warc.gz", offset, length, "D"), strict=True)) for offset, length in ranges]
    pq.write_table(pa.Table.from_pylist(listed, schema=kinds), folder / "r.parquet")
    return [row if isinstance(row, Refused) else row["uri"] for row in read(str(folder / "r.parquet"), root=str(folder))]


def test_each_range_is_one_record_or_a_reason(mirror: tuple[Path, list[tuple[int, int]]]) -> None:
    folder, (first, second, _) = mirror
    found = rows(folder, first, (second[0], None), (second[0], 0), (second[0], -1), (-5, 10), (10**9, 100), (second[0], second[1] * 20), (second[0] + 3, 50))
    assert [row if isinstance(row, str) else row.reason for row in found] == [
        "http://h.example/0", "not_found", "not_found", "not_found", "not_found", "not_found", "http://h.example/1", "corrupt_record",
    ]  # fmt: skip


def test_a_row_without_an_offset_is_the_whole_file(mirror: tuple[Path, list[tuple[int, int]]]) -> None:
    assert [row for row in rows(mirror[0], (None, None)) if isinstance(row, str)] == [f"http://h.example/{n}" for n in range(3)]
