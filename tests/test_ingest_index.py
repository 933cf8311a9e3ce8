"""Ranges that an index made up: each costs itself, and says why."""

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ingest_making import page
from test_ingest_archive import AT, fetched
from test_ingest_warc import ARC_HEAD, arc

import ingest.index
from catalog.stage import Bound, Refused
from ingest.crawling.archive import Archive
from ingest.crawling.fetch import Fetched
from ingest.index import read
from ingest.land import land, tasks

RANGES = pa.schema([("path", pa.string()), ("record_offset", pa.int64()), ("length", pa.int64()), ("url", pa.string()), ("dump", pa.string())])


@pytest.fixture
def mirror(tmp_path: Path) -> tuple[Path, list[tuple[int, int]]]:
    with Archive(tmp_path / "a.warc.gz", {}) as archive:
        places = [archive.add(fetched(f"http://h.example/{n}", page(f"Page {n}")), {}) for n in range(3)]
    assert AT.year == 2026
    return tmp_path, [(place.offset, place.length) for place in places]


def listed(folder: Path, name: str, *ranges: tuple[Any, Any], file: str = "a.warc.gz") -> str:
    """A file of ranges."""
    rows = [dict(zip(RANGES.names, (file, offset, length, None, "D"), strict=True)) for offset, length in ranges]
    pq.write_table(pa.Table.from_pylist(rows, schema=RANGES), folder / name)
    return str(folder / name)


def rows(folder: Path, *ranges: tuple[Any, Any], file: str = "a.warc.gz", **knobs: Any) -> list[Any]:
    found = read(listed(folder, "r.parquet", *ranges, file=file), **{"root": str(folder), **knobs})
    return [row if isinstance(row, Refused) else row["uri"] for row in found]


def test_each_range_is_one_record_or_a_reason(mirror: tuple[Path, list[tuple[int, int]]]) -> None:
    folder, (first, second, _) = mirror
    found = rows(folder, first, (second[0], None), (second[0], 0), (second[0], -1), (-5, 10), (10**9, 100), (second[0], second[1] * 20), (second[0] + 3, 50))
    assert [row if isinstance(row, str) else row.reason for row in found] == [
        "http://h.example/0", "http://h.example/1", "not_found", "not_found", "not_found", "not_found", "http://h.example/1", "corrupt_record",
    ]  # fmt: skip
    assert {row.source for row in found if isinstance(row, Refused)} == {"a.warc.gz"}, "what is refused names the file it was picked from"


def test_a_row_without_an_offset_is_the_whole_file(mirror: tuple[Path, list[tuple[int, int]]]) -> None:
    assert [row for row in rows(mirror[0], (None, None)) if isinstance(row, str)] == [f"http://h.example/{n}" for n in range(3)]


def landed(files: list[str], folder: Path, kind: str, **knobs: Any) -> list[tuple[str, str, int]]:
    given = {"name": "web", "shape": "document", "domain": "web", "dump": None, "license": None}
    done = [land(task) for task in tasks(files, Bound(f"ingest.{kind}:read", knobs, 1), given, str(folder / "data" / "web" / "run"), str(folder))]
    found = [row for result in done for row in pq.read_table(folder / result["file"]["path"]).to_pylist()]
    return [(row["doc_id"], row["source"]["path"], row["source"]["offset"]) for row in found]


def test_ids_are_of_the_record_however_its_ranges_were_cut(mirror: tuple[Path, list[tuple[int, int]]]) -> None:
    """And those of the whole file by the same name."""
    folder, places = mirror
    whole = landed([str(folder / "a.warc.gz")], folder / "whole", "warc", seconds=20.0)
    one = [listed(folder, "web-00000.parquet", *places)]
    two = [listed(folder, "cut-00000.parquet", places[0]), listed(folder, "cut-00001.parquet", *places[1:])]
    assert whole == [(name, "a.warc.gz", place) for (name, _, _), (place, _) in zip(whole, places, strict=True)]
    for files in (one, two):
        assert landed(files, folder / Path(files[0]).stem, "index", root=str(folder)) == whole


def test_two_captures_of_one_moment_in_one_file_are_two_documents(tmp_path: Path) -> None:
    with Archive(tmp_path / "a.warc.gz", {}) as archive:
        places = [archive.add(fetched("http://h.example/", page(f"Page {n}")), {}) for n in range(2)]
    ranges = listed(tmp_path, "r.parquet", *((place.offset, place.length) for place in places))
    assert len({name for name, _, _ in landed([ranges], tmp_path / "lake", "index", root=str(tmp_path))}) == 2


@pytest.mark.parametrize("packed", [True, False])
def test_a_range_of_a_legacy_arc_is_a_record(tmp_path: Path, packed: bool) -> None:
    pieces = [gzip.compress(piece) if packed else piece for piece in (ARC_HEAD, arc(0), arc(1))]
    (tmp_path / "old.arc.gz").write_bytes(b"".join(pieces))
    start = len(pieces[0]) + len(pieces[1])
    for length in (len(pieces[2]), None):
        assert rows(tmp_path, (start, length), file="old.arc.gz") == ["http://site.example/a b/1"]


@pytest.mark.parametrize(("path", "address"), [
    ("crawl/a b#1?x.warc.gz", "http://h.example/mirror/crawl/a%20b%231%3Fx.warc.gz"), ("%2e%2e/a", "http://h.example/mirror/%252e%252e/a"),
    ("../a", None), ("x/../../../a", None), ("a;jsessionid=1", "http://h.example/mirror/a%3Bjsessionid%3D1"),
])  # fmt: skip
def test_an_address_stays_under_the_root(path: str, address: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a path looks like to a server: it is a file's name, quoted."""
    asked: list[str] = []

    def fetch(url: str, **_: Any) -> Fetched:
        asked.append(url)
        return Fetched(url, AT, status=302)

    monkeypatch.setattr(ingest.index, "fetch", fetch)
    (found,) = rows(tmp_path, (0, 10), file=path, root="http://h.example/mirror/")
    assert found.reason == "not_found"
    assert asked == ([address] if address else [])
