"""Records picked from an index by SQL: columnar, CDX, CDXJ, manifests; from a mirror and by range requests; and nothing else is read."""

import gzip
import json
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from crawl_making import Host, serving
from crawl_making import page as answered
from demo_run import headrace
from ingest_making import page

from catalog.lake import Lake
from ingest.crawling.archive import Archive
from ingest.crawling.fetch import Fetched
from ingest.records import frames

pytestmark = pytest.mark.slow

AT = datetime(2026, 10, 3, 12, 0, 0, tzinfo=UTC)
SITES = ("www.mill.co.uk", "lock.example", "schleuse.de")


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two WARC files of nine pages with an index in each form."""
    home = tmp_path_factory.mktemp("mirror")
    rows: list[dict[str, Any]] = []
    for number in range(2):
        path = home / "crawl" / f"f{number}.warc.gz"
        with Archive(path, {}) as archive:
            for n in range(9):
                url, body = f"http://{SITES[n % 3]}/{number}/{n}", page(f"Page {number} {n}")
                head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"
                status = 404 if n == 8 else 200
                answer = head.replace(b"200 OK", f"{status} X".encode()) + body
                place = archive.add(Fetched(url, AT, b"GET", "192.0.2.1", status, (("content-type", "text/html"),), answer, body), {})
                rows.append({
                    "url": url, "url_host_name": SITES[n % 3], "url_host_registered_domain": SITES[n % 3].removeprefix("www."),
                    "fetch_time": AT.replace(tzinfo=None), "fetch_status": status, "content_mime_detected": "text/html",
                    "content_languages": ("eng", "eng,deu", "deu")[n % 3], "crawl": f"D{number}",
                    "warc_filename": f"crawl/f{number}.warc.gz", "warc_record_offset": place.offset, "warc_record_length": place.length,
                })  # fmt: skip
    (home / "columnar").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), home / "columnar" / "part-0.parquet")
    (home / "lines").mkdir()
    with gzip.open(home / "lines" / "cc.cdx.gz", "wt", encoding="utf-8") as file:  # as Common Crawl names its CDXJ
        for row in rows:
            said = {"url": row["url"], "mime": "text/html", "status": str(row["fetch_status"]), "length": str(row["warc_record_length"]),
                    "offset": str(row["warc_record_offset"]), "filename": row["warc_filename"], "languages": row["content_languages"]}  # fmt: skip
            file.write(f"key)/ 20261003120000 {json.dumps(said)}\n")
    with open(home / "lines" / "old.cdx", "w", encoding="utf-8") as file:
        file.write(" CDX N b a m s k r M S V g\n")
        for row in rows:
            place = f"{row['warc_record_length']} {row['warc_record_offset']} {row['warc_filename']}"
            file.write(f"key)/ 20261003120000 {row['url']} text/html {row['fetch_status']} X - - {place}\n")
    (home / "whole.jsonl").write_text('{"path": "crawl/f0.warc.gz", "dump": "D0"}\n{"path": "crawl/f1.warc.gz", "dump": "D1"}\n')
    return home


def recipe(folder: Path, index: str, more: str = "") -> Path:
    path = folder / "pick.yaml"
    path.write_text(f"name: pick\nseed: 1\nlake: lake\ningest:\n  web: {{index: {{{index}}}, domain: web{more}}}\n", encoding="utf-8")
    return path


def rows(folder: Path, query: str) -> list[dict[str, Any]]:
    with Lake.open(folder / "lake") as opened:
        return opened.rows(query)


def uris(folder: Path) -> list[str]:
    return sorted(row["uri"].removeprefix("http://") for row in rows(folder, "SELECT uri FROM data.web"))


PICKS = {
    "columnar/*.parquet": {
        "domain = 'mill.co.uk'": [f"www.mill.co.uk/{d}/{n}" for d in (0, 1) for n in (0, 3, 6)],
        "language LIKE '%deu%' AND dump = 'D1'": [f"{SITES[n % 3]}/1/{n}" for n in (1, 4, 7, 2, 5)],
        "content_languages = 'eng' AND fetched_at >= DATE '2026-10-01' AND mime = 'text/html' AND url LIKE '%/0/%'":
            [f"www.mill.co.uk/0/{n}" for n in (0, 3, 6)],
    },
    "lines/cc.cdx.gz": {"domain = 'mill.co.uk' AND tld = 'uk'": [f"www.mill.co.uk/{d}/{n}" for d in (0, 1) for n in (0, 3, 6)],
                        "language = 'deu' AND fetched_at < DATE '2026-11-01'": [f"schleuse.de/{d}/{n}" for d in (0, 1) for n in (2, 5)]},
    "lines/old.cdx": {"host = 'lock.example' AND path LIKE '%f1%'": [f"lock.example/1/{n}" for n in (1, 4, 7)]},
}  # fmt: skip


@pytest.mark.parametrize(("index", "where"), [(index, where) for index, wheres in PICKS.items() for where in wheres])
def test_what_a_question_picks_is_read_and_nothing_else(index: str, where: str, mirror: Path, tmp_path: Path) -> None:
    said = headrace("run", recipe(tmp_path, f'paths: ["{mirror}/{index}"], where: "{where}", root: "{mirror}"'))
    assert said.code == 0, said.err
    assert uris(tmp_path) == sorted(PICKS[index][where])
    assert rows(tmp_path, "SELECT count(*) AS n FROM quarantine") == [{"n": 0}]
    one = rows(tmp_path, "SELECT uri, source FROM data.web ORDER BY uri LIMIT 1")[0]
    file = mirror / one["source"]["path"]
    frame = next(frame for frame in frames(str(file)) if frame.offset == one["source"]["offset"])
    assert f"WARC-Target-URI: {one['uri']}\r\n".encode() in frame.data
    assert frame.length == one["source"]["length"]


def test_a_limit_is_a_fair_draw_and_the_same_each_time(mirror: Path, tmp_path: Path) -> None:
    drawn = []
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        said = headrace("run", recipe(tmp_path / run, f'paths: ["{mirror}/columnar/*.parquet"], limit: 6, root: "{mirror}"'))
        assert said.code == 0, said.err
        drawn.append(uris(tmp_path / run))
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 6
    assert len({uri.split("/")[0] for uri in drawn[0]}) > 1
    assert {row["dump"] for row in rows(tmp_path / "a", "SELECT dump FROM data.web")} <= {"D0", "D1"}


def test_a_manifest_names_whole_files(mirror: Path, tmp_path: Path) -> None:
    said = headrace("run", recipe(tmp_path, f'paths: ["{mirror}/whole.jsonl"], where: "dump = \'D1\'", root: "{mirror}"', ", dump: autumn"))
    assert said.code == 0, said.err
    assert len(uris(tmp_path)) == 8
    assert rows(tmp_path, "SELECT reason FROM quarantine") == [{"reason": "status"}]


def test_ranges_are_asked_for_over_http(mirror: Path, tmp_path: Path) -> None:
    host = Host("127.0.11.1")
    asked: list[str] = []

    def ranged(path: str) -> Any:
        def send(wire: socket.socket) -> None:
            request = host.asked[-1][1]
            said = next(line for line in request.split("\r\n") if line.startswith("Range: bytes="))
            first, last = map(int, said.removeprefix("Range: bytes=").split("-"))
            asked.append(said)
            if len(asked) == 1:
                wire.sendall(answered("", status="503 Busy", headers="Retry-After: 0\r\n"))
                return
            wire.sendall(answered((mirror / path.lstrip("/")).read_bytes()[first : last + 1], status="206 Partial Content", kind="application/octet-stream"))

        return send if (mirror / path.lstrip("/")).is_file() else answered("", status="404 Not Found")

    host.default = ranged
    with serving(host):
        index = f"""paths: ["{mirror}/columnar/*.parquet"], where: "domain = 'schleuse.de'", root: "{host.url}", allow_hosts: ["127.0.11.1"]"""
        said = headrace("run", recipe(tmp_path, index))
    assert said.code == 0, said.err
    assert uris(tmp_path) == [f"schleuse.de/{d}/{n}" for d in (0, 1) for n in (2, 5)]
    assert len(asked) == 5


@pytest.mark.parametrize(("index", "told"), [
    ("""where: "domian = 'x'" """, "domian"), ("""where: "true) ; DROP TABLE x; --" """, "where:"), ("""where: "url = 'no such'" """, "none is picked"),
    ("""root: "/nowhere" """, "are not under /nowhere"),
])  # fmt: skip
def test_mistakes_are_one_line(index: str, told: str, mirror: Path, tmp_path: Path) -> None:
    root = "" if "root" in index else f', root: "{mirror}"'
    said = headrace("run", recipe(tmp_path, f'paths: ["{mirror}/columnar/*.parquet"], {index}{root}'))
    assert said.code == 2
    line = said.err.strip().splitlines()[-1]
    assert told in line
    assert "Traceback" not in said.err


@pytest.mark.parametrize(("name", "content"), [
    ("x.parquet", b"no parquet"), ("x.csv", b"path,offset\n1,2\n3,4\n"), ("x.cdx", b"one two\nthree\n"), ("x.cdxj", b"k 2 {broken\n"),
])  # fmt: skip
def test_an_index_that_is_none_is_one_line(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    said = headrace("run", recipe(tmp_path, f"paths: [{name}]"))
    assert said.code == 2
    assert "Traceback" not in said.err
    assert "ingest.web" in said.err.strip().splitlines()[-1]


def test_paths_that_lead_out_of_the_mirror_are_refused(mirror: Path, tmp_path: Path) -> None:
    (tmp_path / "evil.jsonl").write_text('{"path": "../../etc/passwd"}\n')
    said = headrace("run", recipe(tmp_path, f'paths: [evil.jsonl], root: "{mirror}"'))
    assert said.code == 2
    assert "leads out of it" in said.err
