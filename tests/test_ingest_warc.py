"""WARC files in every state: what can be read is read, and each fault is told with its offset."""

import gzip
import hashlib
import io
import json
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import brotli
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from warcio.warcwriter import WARCWriter

import ingest.warc
from catalog.errors import InputError
from catalog.stage import Refused
from ingest.records import Frame, frames
from ingest.warc import read
from tests.ingest_making import HTML, PROSE, Answer, answer, lying, packed, page, put, records, warc

FIVE = [answer(number) for number in range(5)]


def both(path: str) -> tuple[list[str], list[tuple[str, int | None]]]:
    """The URIs read from a file, and (reason, offset) of what was refused."""
    found = list(read(path))
    return [row["uri"] for row in found if isinstance(row, dict)], [(row.reason, row.offset) for row in found if isinstance(row, Refused)]


def uris(*numbers: int) -> list[str]:
    return [f"http://site.example/{number}" for number in numbers]


@pytest.mark.parametrize("members", ["each", "one", "none", "anywhere"])
def test_a_page_and_where_it_was(tmp_path: Path, members: str) -> None:
    """Plain, a gzip member each, all in one member, and members cut in the middle of records."""
    plain = records(FIVE, packed=False)
    whole = b"".join(plain)
    pieces = {
        "each": records(FIVE), "one": [gzip.compress(whole)], "none": plain,
        "anywhere": [gzip.compress(whole[at : at + 1000]) for at in range(0, len(whole), 1000)],
    }[members]  # fmt: skip
    found = list(read(warc(tmp_path / "w.warc.gz", pieces)))
    assert [row["uri"] for row in found if isinstance(row, dict)] == uris(*range(5))
    for number, row in enumerate(found):
        assert isinstance(row, dict)
        assert f"{number}. {PROSE[:40]}" in row["text"]
        assert "Shop" not in row["text"] and "rights reserved" not in row["text"]
        assert (row["title"], row["content_type"], row["fetched_at"]) == (f"Page {number}", "text/html", datetime(2026, 3, 1, 6, 0, number))
        counted = pieces if members == "each" else plain     # in one member, offsets count in what it expands to
        assert row["offset"] == sum(map(len, counted[:number]))
        assert row["length"] == len(counted[number]) or members != "each"


def dated(said: str) -> bytes:
    """A page whose record has this WARC-Date."""
    (record,) = records([answer(1)], packed=False)
    return record.replace(b"WARC-Date: 2026-03-01T06:00:00Z", b"WARC-Date: " + said.encode())


@pytest.mark.parametrize("said", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-01:00", "2026-02-31T00:00:00Z", "never"])
def test_a_date_that_is_none_leaves_the_page(tmp_path: Path, said: str) -> None:
    found = list(read(warc(tmp_path / "w.warc", [*records([answer(0)], packed=False), dated(said), *records([answer(2)], packed=False)])))
    assert [(row["uri"], row["fetched_at"] is None) for row in found if isinstance(row, dict)] == list(zip(uris(0, 1, 2), (False, True, False), strict=True))


def test_a_date_without_a_zone_is_utc_wherever_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = warc(tmp_path / "w.warc", [dated("2026-03-01T06:00:00"), dated("2026-03-01T07:00:00+01:00")])
    for zone in ("UTC", "Asia/Tokyo"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert [row["fetched_at"] for row in read(path) if isinstance(row, dict)] == [datetime(2026, 3, 1, 6)] * 2
    monkeypatch.undo()
    time.tzset()


def test_a_record_that_makes_the_reader_fail_costs_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the framing fails for good: what the extractor still has of the records before is given first."""
    pieces, body = records(FIVE), ingest.warc._body
    path = warc(tmp_path / "w.warc.gz", pieces)

    def fails(frame: Frame, uri: str, *rest: Any) -> Any:
        if uri.endswith("/3"):
            raise OverflowError("as asked")
        return body(frame, uri, *rest)

    def ends(path: str) -> Iterator[Frame]:
        yield from frames(path)
        raise RuntimeError("as asked")

    monkeypatch.setattr(ingest.warc, "_body", fails)
    found, refused = both(path)
    assert (found, refused) == (uris(0, 1, 2, 4), [("corrupt_record", sum(map(len, pieces[:3])))])
    monkeypatch.setattr(ingest.warc, "frames", ends)
    seen = []
    with pytest.raises(RuntimeError, match="as asked"):
        for row in read(path):
            seen.append(row["uri"] if isinstance(row, dict) else row.reason)
    assert seen == [*uris(0, 1, 2), "corrupt_record", *uris(4)]


def test_an_address_that_is_none_leaves_the_page(tmp_path: Path) -> None:
    pages = [answer(0), ("http://[bad/1", page("Bad", PROSE), HTML, 200), answer(2)]
    assert both(warc(tmp_path / "w.warc.gz", records(pages))) == (["http://site.example/0", "http://[bad/1", "http://site.example/2"], [])


def test_what_is_no_page_is_told(tmp_path: Path) -> None:
    answers: list[Answer] = [
        answer(0),
        ("http://site.example/gone", b"gone", HTML, 404),
        ("http://site.example/moved", b"", HTML, 301),
        ("http://site.example/empty", b" \n ", HTML, 200),
        ("http://site.example/robots.txt", b"User-agent: *", "text/plain", 200),
        ("http://site.example/a.png", b"\x89PNG\r\n", "image/png", 200),
        ("http://site.example/data", b"{}", "application/json", 200),
        ("http://site.example/script", b"<html><script>x()</script></html>", HTML, 200),
        ("http://site.example/note.txt", b"A plain note,\r\nin two lines.", "text/plain", 200),
        ("http://site.example/unnamed", page("Unnamed"), "", 200),
        answer(1),
    ]
    read_uris, refused = both(warc(tmp_path / "w.warc.gz", records(answers)))
    assert read_uris == [*uris(0), "http://site.example/note.txt", "http://site.example/unnamed", *uris(1)]
    assert [reason for reason, _ in refused] == ["status", "status", "empty_body", "robots_txt", "not_html", "not_html", "no_text"]


def test_other_records_of_a_crawl(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    writer = WARCWriter(buffer, gzip=True)
    make = writer.create_warc_record
    put(writer, writer.create_warcinfo_record("w.warc.gz", {"software": "test"}))
    put(writer, make("http://a.example/1", "resource", payload=io.BytesIO(page("Resource")), warc_content_type="text/html"))
    put(writer, make("http://a.example/2", "conversion", payload=io.BytesIO(b"Text of a WET file."), warc_content_type="text/plain"))
    put(writer, make("metadata://crawler/log", "resource", payload=io.BytesIO(b"log"), warc_content_type="text/plain"))
    put(writer, writer.create_revisit_record("http://a.example/3", "sha1:X", "http://a.example/1", "2026-01-01T00:00:00Z"))
    (tmp_path / "w.warc.gz").write_bytes(buffer.getvalue())
    read_uris, refused = both(str(tmp_path / "w.warc.gz"))
    assert (read_uris, [reason for reason, _ in refused]) == (["http://a.example/1", "http://a.example/2"], ["revisit"])


def test_a_truncated_gzip_keeps_what_was_read(tmp_path: Path) -> None:
    pieces = records(FIVE)
    last = sum(map(len, pieces[:4]))
    assert both(warc(tmp_path / "cut.warc.gz", [*pieces[:4], pieces[4][:-60]])) == (uris(0, 1, 2, 3), [("truncated", last)])
    assert both(warc(tmp_path / "bare.warc.gz", [*pieces[:4], pieces[4][:5]])) == (uris(0, 1, 2, 3), [("truncated", last)])
    assert both(warc(tmp_path / "tail.warc.gz", [*pieces[:4], pieces[4][:-4]])) == (uris(0, 1, 2, 3, 4), [])  # only the checksum is gone
    plain = records(FIVE, packed=False)
    assert both(warc(tmp_path / "cut.warc", [*plain[:4], plain[4][:-600]])) == (uris(0, 1, 2, 3), [("truncated", sum(map(len, plain[:4])))])


@pytest.mark.parametrize("spoil", ["magic", "middle", "checksum", "header"])
def test_a_corrupt_record_costs_itself_alone(tmp_path: Path, spoil: str) -> None:
    pieces = records(FIVE)
    bad = bytearray(pieces[2])
    at = {"magic": 0, "middle": len(bad) // 2, "checksum": len(bad) - 7, "header": 0}[spoil]
    bad[at : at + 6] = bytes(byte ^ 0x5A for byte in bad[at : at + 6])
    if spoil == "header":
        bad = bytearray(packed(gzip.decompress(pieces[2]).replace(b"WARC/1.0", b"WRAC/1.0", 1)))
    found, refused = both(warc(tmp_path / "w.warc.gz", [*pieces[:2], bytes(bad), *pieces[3:]]))
    assert found == uris(0, 1, 3, 4)
    assert [reason for reason, _ in refused] == ["corrupt_record"]
    assert spoil == "header" or refused[0][1] == len(pieces[0]) + len(pieces[1])


@pytest.mark.parametrize("by", [-700, 700, 1_000_000, 10**12])
@pytest.mark.parametrize("members", [True, False])
def test_a_lying_length_costs_the_liar_alone(tmp_path: Path, by: int, members: bool) -> None:
    plain = records(FIVE, packed=False)
    plain[2] = lying(plain[2], by)
    pieces = [packed(piece) for piece in plain] if members else plain
    found, refused = both(warc(tmp_path / "w.warc", pieces))
    assert found == uris(0, 1, 3, 4)
    assert refused == [("too_large" if by > 10**9 else "wrong_length", sum(map(len, pieces[:2])))]


def test_a_bomb_is_not_expanded(tmp_path: Path) -> None:
    pieces = records(FIVE)
    inside = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 100\r\n\r\n" + bytes(80 << 20)
    body = gzip.compress(bytes(20 << 20))
    outside = records([("http://site.example/bomb", body, HTML, 200)], headers={"Content-Encoding": "gzip"})
    found, refused = both(warc(tmp_path / "w.warc.gz", [*pieces[:2], gzip.compress(inside), *outside, *pieces[2:]]))
    assert found == uris(*range(5))
    assert [reason for reason, _ in refused] == ["corrupt_record", "too_large"]


@pytest.mark.parametrize("coding", ["deflate", "br", "gzip", "zstd", "deflate, br"])
@pytest.mark.parametrize("kind", [HTML, "text/plain; charset=utf-8"])
def test_a_content_encoding_that_was_undone_is_let_be(tmp_path: Path, coding: str, kind: str) -> None:
    """Archives often undo it and leave the header, whatever a page begins with."""
    body = b"\n<p>" + PROSE.encode() if kind == HTML else b"Dead reckoning\nand a face, a cab\n" + PROSE.encode()
    path = warc(tmp_path / "w.warc.gz", records([("http://a.example/", body, kind, 200)], headers={"Content-Encoding": coding, "Transfer-Encoding": "chunked"}))
    (found,) = read(path)
    assert isinstance(found, dict) and PROSE.strip() in found["text"]
    assert kind == HTML or found["text"].startswith("Dead reckoning\nand")


def test_lines_that_end_in_carriage_returns_are_lines(tmp_path: Path) -> None:
    (found,) = read(warc(tmp_path / "w.warc.gz", records([("http://a.example/", b"one\rtwo\r\nthree", "text/plain", 200)])))
    assert isinstance(found, dict) and found["text"] == "one\ntwo\nthree"


def test_of_several_headers_for_robots_each_counts(tmp_path: Path) -> None:
    (record,) = records([answer(0)], packed=False)
    more = b"X-Robots-Tag: noai\r\nX-Robots-Tag: noindex\r\nTDM-Reservation: 1\r\nContent-Type: text/html"
    grown = record.replace(b"Content-Type: text/html", more, 1)
    (found,) = read(warc(tmp_path / "w.warc", [lying(grown, len(grown) - len(record))]))
    assert isinstance(found, dict) and found["facts"] == {"opt_out": "noai tdm-reservation"}


def test_the_next_member_is_looked_for_in_one_pass(tmp_path: Path) -> None:
    """Where nothing but the marks of members stands, and where its mark lies across what is read at a time."""
    (good,) = records([answer(7)])
    for size in (16 << 20, (1 << 20) - 4096, (1 << 20) - 2, (1 << 20) + 1):
        noise = (b"\x1f\x8b\x08" * (size // 3 + 1))[:size]
        started = time.process_time()
        assert both(warc(tmp_path / "w.warc.gz", [*records(FIVE[:1]), noise, good]))[0] == [*uris(0), *uris(7)]
        assert time.process_time() - started < 10


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "cut", "cut br", "said", "chunked", "broken"])
def test_a_content_encoding_is_undone_where_it_was_done(tmp_path: Path, name: str) -> None:
    plain = page("Encoded")
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(plain[at : at + 300]), plain[at : at + 300]) for at in range(0, len(plain), 300)) + b"0\r\n\r\n"
    body, headers = {
        "gzip": (gzip.compress(plain), {"Content-Encoding": "gzip"}), "deflate": (zlib.compress(plain)[2:-4], {"Content-Encoding": "deflate"}),
        "br": (brotli.compress(plain), {"Content-Encoding": "br"}), "cut": (gzip.compress(plain)[:-20], {"Content-Encoding": "gzip"}),
        "cut br": (brotli.compress(page("Encoded", " ".join(f"{n}. {PROSE}" for n in range(4000))))[:-20], {"Content-Encoding": "br"}),
        "said": (plain, {"Content-Encoding": "gzip", "Transfer-Encoding": "chunked"}), "chunked": (chunked, {"Transfer-Encoding": "chunked"}),
        "broken": (b"\x1f\x8bnonsense", {"Content-Encoding": "gzip"}),
    }[name]  # fmt: skip
    found, refused = both(warc(tmp_path / "w.warc.gz", [*records([("http://a.example/", body, HTML, 200)], headers=headers), *records(FIVE[:1])]))
    assert found == ([] if name == "broken" else ["http://a.example/"]) + uris(0)
    assert refused == ([("bad_encoding", 0)] if name == "broken" else [])


def test_a_wrong_charset(tmp_path: Path) -> None:
    russian = "Смотритель записывает уровень воды утром и вечером. " * 20
    served = [
        ("http://a.example/1", page("Шлюз", russian).decode().replace('"utf-8"', '"windows-1251"').encode("cp1251"), "text/html; charset=utf-8", 200),
        ("http://a.example/2", b"<html><body><p>" + bytes(range(128, 256)) * 50 + b"</p></body></html>", "text/html; charset=koi8-u", 200),
    ]
    found = list(read(warc(tmp_path / "w.warc.gz", [*records(served), *records(FIVE[:1])])))
    assert isinstance(found[0], dict) and russian.strip() in found[0]["text"]
    assert isinstance(found[2], dict)
    assert len(found) == 3


@pytest.mark.parametrize("content", [
    b"", b"\r\n\r\n", b"hello" * 50, b"\x1f\x8b", b"\x1f\x8b\x08" + b"\xff" * 500, b"WARC/1.0\r\n", b"WARC/1.0\r\nContent-Length: x\r\n\r\n",
])  # fmt: skip
def test_what_is_no_warc_at_all(tmp_path: Path, content: bytes) -> None:
    found, refused = both(warc(tmp_path / "w.warc.gz", [content]))
    assert found == []
    assert all(reason in ("corrupt_record", "truncated") for reason, _ in refused)
    assert bool(refused) == bool(content.strip())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 4000), noise=st.binary(max_size=40), at=st.integers(0, 4000), members=st.booleans())
def test_no_damage_makes_the_reader_fail_or_invent(tmp_path: Path, cut: int, noise: bytes, at: int, members: bool) -> None:
    """Cut anywhere and overwritten anywhere: every record that is given was in the file, each at most once, in order."""
    pieces = records(FIVE, packed=members)
    good = {gzip.decompress(piece)[:-4] if members else piece[:-4] for piece in pieces}
    file = bytearray(b"".join(pieces))
    file[at : at + len(noise)] = noise
    whole = [frame.data for frame in frames(warc(tmp_path / "w.warc", [bytes(file[: max(cut, 10)])])) if not frame.fault]
    assert len(whole) <= 5 + 5 * (not members)
    if members:                                              # a checksum vouches for each
        assert set(whole) <= good
        assert len(set(whole)) == len(whole)


def test_a_stuck_page_is_given_up_and_the_job_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [answer(0), ("http://site.example/stuck", b"sleep", HTML, 200), answer(1)]
    monkeypatch.setattr(ingest.warc, "EXTRACTOR", "tests.ingest_making:stuck")
    found = list(read(warc(tmp_path / "w.warc.gz", records(answers)), mode="accurate", seconds=0.5))
    assert [row.get("uri") if isinstance(row, dict) else row.reason for row in found] == [*uris(0), "timeout", *uris(1)]


ARC_NOTE = b"1 0 Old\nURL IP-address Archive-date Content-type Archive-length\n"
ARC_HEAD = b"filedesc://old.arc 127.0.0.1 20010203040506 text/plain %d\n%s\n" % (len(ARC_NOTE), ARC_NOTE)


def arc(number: int, *, fields: bytes = b"", lie: int = 0) -> bytes:
    """A page as an ARC record; `fields` are those that version 2 has before the length."""
    content = b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n" + page(f"Page {number}", f"{number}. {PROSE}")
    return b"http://site.example/a b/%d 10.0.0.1 2001020304050%d text/html %s%d\n%s\n" % (number, number, fields, len(content) + lie, content)


@pytest.mark.parametrize("members", ["each", "one", "none"])
@pytest.mark.parametrize("fields", [b"", b"200 ABCDEF - 0 old.arc.gz "])
def test_legacy_arc_is_read(tmp_path: Path, members: str, fields: bytes) -> None:
    """Pages of both versions, addresses with spaces in them, and what a lying length costs."""
    plain = [ARC_HEAD, *(arc(number, fields=fields) for number in range(3)), arc(3, fields=fields, lie=400), arc(4, fields=fields)]
    pieces = {"each": [gzip.compress(piece) for piece in plain], "one": [gzip.compress(b"".join(plain))], "none": plain}[members]
    found = list(read(warc(tmp_path / "old.arc.gz", pieces)))
    assert [row["uri"] if isinstance(row, dict) else row.reason for row in found] == [
        *(f"http://site.example/a b/{number}" for number in range(3)), "wrong_length", "http://site.example/a b/4",
    ]  # fmt: skip
    assert isinstance(found[2], dict)
    assert f"2. {PROSE[:40]}" in found[2]["text"]
    assert found[2]["fetched_at"] == datetime(2001, 2, 3, 4, 5, 2)


@pytest.mark.parametrize("mode", ["fast", "balanced", "accurate"])
def test_a_hostile_page_costs_itself_alone(tmp_path: Path, mode: str) -> None:
    """References to no character, an encoding that takes hours, signs without end: the pages behind are read."""
    slow = b"\xff-" + b"a" * 100_000
    odd = [(page("Odd", f"{PROSE} &#{chr(49) * 5000};"), HTML), (slow, "text/html; charset=punycode"), (b"<" * 100_000 + b"\xff\xfe\x81 ", "text/html")]
    answers = [answer(0), *((f"http://site.example/odd{i}", body, kind, 200) for i, (body, kind) in enumerate(odd)), answer(1)]
    found = [row["uri"] for row in read(warc(tmp_path / "w.warc.gz", records(answers)), mode=mode) if isinstance(row, dict)]
    assert [uri for uri in found if "odd" not in uri] == uris(0, 1)
    assert "http://site.example/odd0" in found


def test_a_mode_that_is_none_says_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"warc: mode: 'fats' is none of fast, balanced, accurate; did you mean 'fast'\?"):
        list(read(warc(tmp_path / "w.warc.gz", records(FIVE)), mode="fats"))


@pytest.mark.parametrize("mode", ["fast", "balanced", "accurate"])
def test_every_mode_reads_pages_and_says_how_sure_it_is(tmp_path: Path, mode: str) -> None:
    found = list(read(warc(tmp_path / "w.warc.gz", records(FIVE)), mode=mode))
    assert [row["uri"] for row in found if isinstance(row, dict)] == uris(*range(5))
    assert all(isinstance(row, dict) and row["lang"] == "en" and 0.5 < row["confidence"] <= 1 for row in found)


@pytest.mark.slow
def test_the_samples_of_others_are_read_as_pinned(data: Callable[[str], Path]) -> None:
    """Real and deliberately broken files of warcio and Common Crawl: what becomes of each, by the hash of the folder."""
    paths = sorted([*data("web/warc_samples_warcio").iterdir(), *data("web/commoncrawl_whirlwind").iterdir()])
    assert hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16] == "33fce2e4ec8bb666"
    told = {path.name: Counter(row.reason if isinstance(row, Refused) else "read" for row in read(str(path))) for path in paths}
    assert sum(told.values(), Counter()) == PINNED_SAMPLES
    for name in ("example-trunc.warc", "example-bad.warc.gz.bad", "example-wrong-chunks.warc.gz"):
        assert told[name], name


PINNED_SAMPLES = Counter(
    {"read": 14, "not_html": 4, "revisit": 4, "corrupt_record": 2, "empty_body": 1, "status": 1, "truncated": 1, "wrong_length": 1},
)


@pytest.mark.slow
def test_every_record_of_the_labelled_pages_is_accounted_for(data: Callable[[str], Path]) -> None:
    """By kind, as `records.jsonl.gz` says what each record is."""
    kinds: dict[tuple[str, str], str] = {}
    for line in gzip.decompress(data("web/records.jsonl.gz").read_bytes()).splitlines():
        row = json.loads(line)
        kinds[row["file"], f"{row['url']} {row['kind'] == 'revisit'}"] = row["kind"]
    wrong = []
    for path in sorted(data("web").glob("pages-00.warc.gz")):
        for row in read(str(path), seconds=60):
            uri, reason = (row["uri"], "read") if isinstance(row, dict) else (row.uri, row.reason)
            kind = kinds[path.name, f"{uri} {reason == 'revisit'}"]
            if reason not in EXPECTED[kind]:
                wrong.append((uri, kind, reason))
    assert wrong == []


EXPECTED = {
    "page": ("read",), "dup-exact-other-url": ("read",), "error-404": ("status",), "revisit": ("revisit",), "robots": ("robots_txt",), "redirect": ("status",),
    "truncated-html": ("read", "no_text"), "empty-body": ("empty_body",), "binary-image": ("not_html",),
}  # fmt: skip
