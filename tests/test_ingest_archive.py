"""What a crawl writes: read back by warcio, by FastWARC and by our own reader, byte for byte."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator
from warcio.checker import Checker

from ingest.crawling.archive import HEAD_END, Archive, Seen, digest, sort_key
from ingest.crawling.fetch import Fetched
from ingest.records import frames
from ingest.warc import read
from tests.ingest_making import PROSE, page

AT = datetime(2026, 11, 21, 10, 30, 15, 123456, UTC)


def fetched(url: str, body: bytes, status: int = 200, truncated: str | None = None, packed: bool = False) -> Fetched:
    sent = gzip.compress(body, mtime=0) if packed else body
    head = f"HTTP/1.1 {status} OK\r\nContent-Type: text/html; charset=utf-8\r\nX-Odd:   two  spaces \r\n" + "Content-Encoding: gzip\r\n" * packed
    headers = [("content-type", "text/html; charset=utf-8"), *([("content-encoding", "gzip")] if packed else [])]
    answer = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + b"%x\r\n%s\r\n0\r\n\r\n" % (len(sent), sent)
    return Fetched(url, AT, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "93.184.216.34", status, tuple(headers), answer, sent, truncated)


def written(tmp_path: Path) -> Path:
    first = fetched("http://h.example/a", page("A"))
    with Archive(tmp_path / "crawl-1.warc.gz", {"software": "headrace", "robots": "obey"}) as archive:
        archive.add(first, {"depth": "0", "via": ""})
        archive.add(fetched("http://h.example/b", page("B"), packed=True), {"depth": "1", "via": first.url, "optOut": "CCBot, GPTBot"})
        archive.add(fetched("http://h.example/copy", page("A")), {"depth": "1"}, Seen(first.url, AT, digest(first.body)))
        archive.add(fetched("http://h.example/a", b"", 304), {}, Seen(first.url, AT, digest(first.body)))
        archive.add(fetched("http://h.example/cut", b"<p>half", truncated="length"), {})
    return tmp_path / "crawl-1.warc.gz"


def test_every_record_stands_as_it_went_over_the_wire(tmp_path: Path) -> None:
    path = written(tmp_path)
    with open(path, "rb") as file:
        kinds = []
        for record in ArchiveIterator(file, no_record_parse=True):
            kinds.append((record.rec_type, record.rec_headers.get_header("WARC-Target-URI"), record.raw_stream.read()))
            assert record.rec_headers.protocol == "WARC/1.1"
    beside = ["request", "metadata"]
    assert [kind for kind, _, _ in kinds] == ["warcinfo", *["response", *beside] * 2, *["revisit", *beside] * 2, "response", *beside]
    first = fetched("http://h.example/a", page("A"))
    head = first.answer.partition(b"\r\n\r\n")[0].replace(b"Transfer-", b"X-Crawler-Transfer-") + b"\r\n\r\n"
    assert kinds[1] == ("response", "http://h.example/a", head + first.body)
    assert kinds[2] == ("request", "http://h.example/a", first.request)
    assert kinds[6][2] == b"depth: 1\r\nvia: http://h.example/a\r\noptOut: CCBot, GPTBot\r\n"
    assert kinds[7][2] == head


def test_what_revisits_and_cuts_say(tmp_path: Path) -> None:
    with open(written(tmp_path), "rb") as file:
        heads = [dict(record.rec_headers.headers) for record in ArchiveIterator(file) if record.rec_type in ("revisit", "response")]
    copy, unchanged, cut = heads[2:]
    assert (copy["WARC-Refers-To-Target-URI"], copy["WARC-Refers-To-Date"]) == ("http://h.example/a", "2026-11-21T10:30:15.123456Z")
    assert copy["WARC-Profile"].endswith("identical-payload-digest")
    assert copy["WARC-Payload-Digest"] == heads[0]["WARC-Payload-Digest"] == unchanged["WARC-Payload-Digest"]
    assert unchanged["WARC-Profile"].endswith("server-not-modified")
    assert cut["WARC-Truncated"] == "length"
    assert heads[0]["WARC-IP-Address"] == "93.184.216.34"


def test_its_checks_are_right_and_our_reader_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path)
    checker = Checker(type("Asked", (), {"inputs": [str(path)], "verbose": False})())
    checker.process_all()
    assert checker.exit_value == 0, capsys.readouterr().out
    found = list(read(str(path)))
    assert [row["uri"] if isinstance(row, dict) else row.reason for row in found] == [
        "http://h.example/a", "http://h.example/b", "revisit", "revisit", "http://h.example/cut",
    ]  # fmt: skip
    assert all(PROSE[:40] in row["text"] for row in found[:2] if isinstance(row, dict))


def test_the_index_says_where_a_record_stands(tmp_path: Path) -> None:
    path = written(tmp_path)
    lines = (tmp_path / "crawl-1.cdxj").read_text().splitlines()
    assert lines == sorted(lines)
    assert len(lines) == 5
    key, when, row = lines[0].split(" ", 2)
    assert (key, when) == ("example,h)/a", "20261121103015")
    for line in lines:
        said = json.loads(line.split(" ", 2)[2])
        with open(path, "rb") as file:
            file.seek(int(said["offset"]))
            member = gzip.decompress(file.read(int(said["length"])))
        assert f"WARC-Target-URI: {said['url']}\r\n".encode() in member
    assert json.loads(row)["status"] in ("200", "304")


@pytest.mark.parametrize(("url", "key"), [
    ("http://www.Example.com/A?b=1", "com,example)/a?b=1"), ("https://h.example:8443/", "example,h:8443)/"), ("http://127.0.0.1:80/x", "127.0.0.1:80)/x"),
])  # fmt: skip
def test_index_keys(url: str, key: str) -> None:
    assert sort_key(url) == key


def test_a_file_that_is_not_finished_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KeyError), Archive(tmp_path / "crawl.warc.gz", {}) as archive:
        archive.add(fetched("http://h.example/a", b"x"), {})
        raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ["crawl.warc.gz.part"]


HEADS = st.binary(max_size=300).filter(lambda head: HEAD_END.split(head + b"\r\n\r\n", maxsplit=1)[0] == head)
"""Any bytes that do not end a header before they end."""


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answers=st.lists(st.tuples(HEADS, st.binary(max_size=300)), max_size=5))
def test_any_bytes_come_back(tmp_path: Path, answers: list[tuple[bytes, bytes]]) -> None:
    path = tmp_path / "any.warc.gz"
    with Archive(path, {}) as archive:
        for number, (head, body) in enumerate(answers):
            archive.add(Fetched(f"http://h.example/{number}", AT, b"GET", "1.2.3.4", 200, (), head + b"\r\n\r\n" + body, body), {})
    kept = [frame.data for frame in frames(str(path)) if not frame.fault]
    assert len(kept) == 1 + 3 * len(answers)
    for number, (head, body) in enumerate(answers):
        assert kept[1 + 3 * number].endswith(b"\r\n\r\n" + head + b"\r\n\r\n" + body)
