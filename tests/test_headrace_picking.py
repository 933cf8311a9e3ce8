"""Which ranges are picked from an index, in files of a task's size: by each kind of index, at any size, and never outside the root."""

import gzip
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headrace.picking
from catalog.errors import InputError
from catalog.parts import Part
from headrace.picking import write

PART = cast(Part, SimpleNamespace(id="ingest.web", name="web"))
KNOBS: dict[str, Any] = {"where": None, "limit": None, "root": "http://mirror.example/"}


def picked(folder: Path, *files: Path | str, **knobs: Any) -> list[dict[str, Any]]:
    """The rows of all files of ranges, in order."""
    out = folder / "picks"
    count = write(PART, [str(file) for file in files], KNOBS | knobs, out)
    rows = [row for file in sorted(out.glob("*.parquet")) for row in pq.read_table(file).to_pylist()]
    assert len(rows) == count
    return rows


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_record_named_twice_is_picked_once(tmp_path: Path) -> None:
    """By two indexes that say different things of it, and as part of a file that is wished whole."""
    one = lines(tmp_path / "one.jsonl", [{"path": "a.gz", "offset": n, "length": 5} for n in (10, 20)] + [{"path": "b.gz", "offset": 7, "length": 5}])
    two = lines(tmp_path / "two.jsonl", [{"path": "a.gz", "offset": 10, "length": 5, "url": "http://h/", "dump": "D"}])
    three = lines(tmp_path / "three.jsonl", [{"path": "b.gz"}])
    found = picked(tmp_path, one, two, three)
    assert [(row["path"], row["record_offset"]) for row in found] == [("a.gz", 10), ("a.gz", 20), ("b.gz", None)]


def test_a_limit_is_of_records_not_of_their_mentions(tmp_path: Path) -> None:
    rows = [{"path": "a.gz", "offset": n, "length": 5, "url": f"http://h/{n}"} for n in range(20)]
    one, two = lines(tmp_path / "one.jsonl", rows), lines(tmp_path / "two.jsonl", rows[::-1])
    found = [row["record_offset"] for row in picked(tmp_path, one, two, limit=8)]
    assert len(set(found)) == 8
    assert found == sorted(found) != list(range(8))


def test_a_limit_is_reached_however_often_each_record_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And more than it takes is not put in order: an index may have billions of records."""
    rows = [{"path": "a.gz", "offset": n % 20, "length": 5, "url": f"http://h/{n % 20}"} for n in range(200)]
    asked, once = [], headrace.picking._once
    monkeypatch.setattr(headrace.picking, "_once", lambda picked: asked.append(picked) or once(picked))
    found = picked(tmp_path, lines(tmp_path / "one.jsonl", rows), limit=3)
    assert len({row["record_offset"] for row in found}) == len(found) == 3
    assert asked[-1] == "SELECT * FROM drawn", "only what was drawn is told apart"
    assert len(picked(tmp_path, tmp_path / "one.jsonl", limit=50)) == 20
    with pytest.raises(InputError, match="none is picked"):
        picked(tmp_path, tmp_path / "one.jsonl", limit=0)


def test_an_offset_that_is_no_number_is_no_whole_file(tmp_path: Path) -> None:
    cdx = tmp_path / "x.cdx"
    cdx.write_text("k 20260101000000 http://h/ text/html 200 X - - 500 - a.warc.gz\n")
    manifest = lines(tmp_path / "m.jsonl", [{"path": "b.gz", "offset": "many"}, {"path": "c.gz", "offset": None}])
    assert [(row["path"], row["record_offset"]) for row in picked(tmp_path, cdx, manifest)] == [("a.warc.gz", -1), ("b.gz", -1), ("c.gz", None)]


def test_each_cdx_is_read_by_its_own_fields(tmp_path: Path) -> None:
    (tmp_path / "eleven.cdx").write_text(" CDX N b a m s k r M S V g\nk 20260101000000 http://h/1 text/html 200 X - - 500 41 a.gz\n")
    (tmp_path / "other.cdx").write_text(" CDX g V S a\nb.gz 42 600 http://h/2\n")
    (tmp_path / "nine.cdx").write_text("k 20260101000000 http://h/3 text/html 200 X - 43 c.gz\n")
    with gzip.open(tmp_path / "cdx-00000.gz", "wt") as file:
        file.write('h)/4 20260101000000 {"url": "http://h/4", "offset": "44", "length": "700", "filename": "d.gz"}\n')
    found = picked(tmp_path, *(tmp_path / name for name in ("eleven.cdx", "other.cdx", "nine.cdx", "cdx-00000.gz")))
    assert [(row["path"], row["record_offset"], row["length"], row["url"]) for row in found] == [
        ("a.gz", 41, 500, "http://h/1"), ("b.gz", 42, 600, "http://h/2"), ("c.gz", 43, None, "http://h/3"), ("d.gz", 44, 700, "http://h/4"),
    ]  # fmt: skip


def test_an_index_in_many_gzip_members_is_read_whole(tmp_path: Path) -> None:
    """Common Crawl's are: a member for each 3,000 lines."""
    said = '{{"url": "http://h/{0}", "offset": "{0}", "length": "7", "filename": "d.gz"}}\n'
    members = [gzip.compress("".join(f"h)/{n} 2026 {said.format(n)}" for n in range(start, start + 50)).encode()) for start in range(0, 500, 50)]
    (tmp_path / "cdx-00001.gz").write_bytes(b"".join(members))
    assert len(picked(tmp_path, tmp_path / "cdx-00001.gz")) == 500


def test_a_line_that_is_no_utf_8_costs_itself_at_most(tmp_path: Path) -> None:
    good = b"k 20260101000000 http://h/1 text/html 200 X - - 500 41 a.gz\n"
    (tmp_path / "x.cdx").write_bytes(good + good.replace(b"h/1", b"h/caf\xe9").replace(b"41", b"42") + good.replace(b"41", b"43"))
    assert {row["record_offset"] for row in picked(tmp_path, tmp_path / "x.cdx")} >= {41, 43}


def test_files_of_ranges_are_of_a_task_s_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where there are many records; and however they are cut, they are the same ones in the same order."""
    n = 100_000
    columns = {"path": [f"f{i % 7}.warc.gz" for i in range(n)], "offset": np.arange(n)[::-1].copy(), "length": np.full(n, 50_000)}
    pq.write_table(pa.table(columns), tmp_path / "i.parquet")
    cuts = []
    for size in (1 << 40, headrace.picking.BYTES, 1 << 20):
        monkeypatch.setattr(headrace.picking, "BYTES", size)
        rows = picked(tmp_path / str(size), tmp_path / "i.parquet")
        files = [pq.read_metadata(file).num_rows for file in sorted((tmp_path / str(size) / "picks").glob("*.parquet"))]
        assert max(files) <= min(1.1 * headrace.picking.RECORDS, size / 50_000 + 1)
        cuts.append([(row["path"], row["record_offset"]) for row in rows])
        assert cuts[-1] == sorted(cuts[-1]) and len(cuts[-1]) == n
    assert cuts[0] == cuts[1] == cuts[2]


@pytest.mark.parametrize("path", [
    "../a.gz", "/etc/passwd", "a/../../b.gz", "%2e%2e/a.gz", "a/%2E%2E/%2e%2e/b.gz", "a%2f..%2f..%2fb.gz", "%252e%252e/a.gz", "..\\a.gz", "%2fetc/passwd",
])  # fmt: skip
def test_no_path_leads_out_of_the_root(path: str, tmp_path: Path) -> None:
    manifest = lines(tmp_path / "m.jsonl", [{"path": "a.gz"}, {"path": path}])
    with pytest.raises(InputError, match="leads out of it"):
        picked(tmp_path, manifest)


def test_a_root_is_a_folder_or_an_address_of_the_web(tmp_path: Path) -> None:
    manifest = lines(tmp_path / "m.jsonl", [{"path": "a.gz"}])
    with pytest.raises(InputError, match="s3://crawl"):
        picked(tmp_path, manifest, root="s3://crawl")
    with pytest.raises(InputError, match="1 of 1 files"):
        picked(tmp_path, manifest, root=str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.gz").touch()
    (tmp_path / "mirror").symlink_to(tmp_path / "elsewhere")
    assert len(picked(tmp_path, manifest, root=str(tmp_path / "mirror"))) == 1
