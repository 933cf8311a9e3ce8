"""A crawl over servers that behave and misbehave, each on a loopback address of its own: what is asked, what is kept, what is never done."""

import gzip
import io
import socket
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from crawl_making import PROSE, ROBOTS, Host, article, page, serving, to
from demo_run import headrace
from warcio.archiveiterator import ArchiveIterator
from warcio.checker import Checker

from catalog.lake import Lake

pytestmark = pytest.mark.slow

DELAY = 0.05
CALENDAR = 10_000


def recipe(folder: Path, crawl: str, name: str = "brook", more: str = "") -> Path:
    path = folder / "brook.yaml"
    path.write_text(f"name: {name}\nseed: 1\nlake: lake\ningest:\n  web: {{crawl: {{{crawl}}}, domain: web, dump: spring}}\n{more}", encoding="utf-8")
    return path


def rows(lake: Path, query: str) -> list[dict[str, Any]]:
    with Lake.open(lake) as opened:
        return opened.rows(query)


def month(path: str) -> bytes:
    """A page of a calendar that goes on for ever: each month leads to the next and to its days."""
    n = int(path.rpartition("=")[2] or 0)
    name = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")[n % 12]
    days = "".join(f"<td><a href='/day?m={n}&amp;d={day}'>{day}</a></td>" for day in range(1, 4))
    return page(f"<html><body><h1>{name} {2026 + n // 12}</h1><table><tr>{days}</tr></table><a href='/cal?m={n + 1}'>next</a></body></html>")


def many(line: str) -> str:
    return f"<html><body><article>{f'<p>{line}</p>' * 8}</article></body></html>"


def endless(wire: socket.socket) -> None:
    wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html><body><article>")
    for _ in range(20_000):
        wire.sendall(b"<p>" + PROSE.encode() + b"</p>")


def dribble(wire: socket.socket) -> None:
    wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100000\r\n\r\n<html>")
    for _ in range(200):
        wire.sendall(b" ")
        time.sleep(0.2)


def bomb() -> bytes:
    """A gigabyte of blanks as a page of a megabyte."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9, mtime=0) as file:
        for _ in range(64):
            file.write(b" " * (16 << 20))
    return page(packed.getvalue(), headers="Content-Encoding: gzip\r\n")


class Busy:
    """Says 429 twice, then the page."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, path: str) -> bytes:
        self.asked += 1
        if self.asked <= 2:
            return page("busy", status="429 Too Many Requests", headers="Retry-After: 1\r\n")
        return page(article("Patience"))


def world() -> dict[str, Host]:
    """The hosts by name. `good` leads to all the others."""
    hosts = {
        name: Host(f"127.0.7.{number}")
        for number, name in enumerate(("good", "cut", "slow", "liar", "loops", "bomb", "broken_robots", "charsets", "calendar", "busy", "rude", "asks"), 1)
    }
    hosts["cut"].pages = {"/": endless}
    hosts["slow"].pages = {"/": dribble}
    hosts["liar"].pages = {"/": page(article("A short liar")).replace(b"Content-Length: ", b"Content-Length: 9")}
    hosts["loops"].pages = {"/": to("/b"), "/b": to("/"), "/r": to("/r?n=1")}
    hosts["loops"].default = lambda path: to(f"/r?n={int(path.rpartition('=')[2]) + 1}") if path.startswith("/r?n=") else page("", status="404 Not Found")
    hosts["bomb"].pages = {"/": bomb()}
    hosts["broken_robots"].pages = {"/robots.txt": page("", status="500 Oops"), "/": page(article("Never asked for"))}
    text = many("Žluťoučký kůň úpěl ďábelské ódy, řekl převozník u splavu, a voda mu dala za pravdu.")
    russian = many("Смотритель верхнего шлюза тридцать лет следил за водой и знал её нрав лучше, чем нрав детей.")
    hosts["charsets"].pages = {
        "/": page(article("Charsets", "/cz", "/ru", "/lies")), "/cz": page(text.encode("cp1250"), kind="text/html; charset=windows-1250"),
        "/ru": page(russian.replace("<html>", "<html><meta charset=koi8-r>").encode("koi8-r"), kind="text/html"),
        "/lies": page(russian, kind="text/html; charset=iso-8859-1"),
    }  # fmt: skip
    hosts["calendar"].default = lambda path: month(path) if path.startswith("/cal") else page("<html><body><p>No events on this day.</p></body></html>")
    hosts["busy"].pages = {"/robots.txt": page("", status="404 Not Found")}
    hosts["busy"].default = Busy()
    hosts["rude"].pages = {"/": lambda wire: wire.sendall(b"\x00\x01 what is HTTP?\r\n\r\n"), "/gone": page("", status="410 Gone")}
    hosts["asks"].pages = {"/robots.txt": page("User-agent: *\nCrawl-delay: 0.3\n", kind="text/plain"), "/": page(article("Asks", "/1", "/2", "/3"))}
    hosts["asks"].default = lambda path: page(article(f"Asked for {path}"))
    return hosts


def front(hosts: dict[str, Host]) -> None:
    """The pages of the good host."""
    others = [f"{host.url}/" if name != "calendar" else f"{host.url}/cal?m=0" for name, host in hosts.items() if name != "good"]
    first = article("A", "/A", "/a?utm_source=x", "b", "./deep/../c", hosts["loops"].url + "/r", hosts["rude"].url + "/gone")
    session = "/list;jsessionid=0A1B2C3D4E5F60718293"
    home = article("Home", "/a", "/b#part", "/private/x", "/gone", "/copy", session, "http://elsewhere.example/", "/noai", "/picture.PNG", *others)
    hosts["good"].pages = {
        "/robots.txt": ROBOTS, "/": page(home),
        "/a": page(first, headers='ETag: "a1"\r\n'),
        "/b": page(article("B", "mailto:a@example.com", "javascript:alert(1)", "ftp://127.0.7.1/x", more="<a href='/unfollowed' rel='nofollow'>no</a>")),
        "/c": page(article("C", "/hidden", head="<meta name='robots' content='nofollow'>")), "/copy": page(first),
        "/A": page(article("A capital")), "/list": page(article("List", "/list?page=2", session)), "/list?page=2": page(article("List two")),
        "/noai": page(article("Not for AI", head="<meta name='robots' content='noai'>"), headers="TDM-Reservation: 1\r\n"),
        "/hidden": page(article("Hidden")), "/private/x": page(article("Private")),
    }  # fmt: skip


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Host], str]]:
    """One crawl over all of them, and what it said."""
    hosts, folder = world(), tmp_path_factory.mktemp("crawl")
    with serving(*hosts.values()):
        front(hosts)
        allowed = ", ".join(f'"{host.address}"' for host in hosts.values())
        knobs = f"delay: {DELAY}, tries: 3, backoff: 0.3, timeout: 2.0, page_bytes: 1200000, patience: 20, alike: 40, contact: a@example.com"
        path = recipe(folder, f'seeds: ["{hosts["good"].url}/"], allow_hosts: [{allowed}], {knobs}')
        said = headrace("run", path, timeout=600)
        assert said.code == 0, said.err
        yield folder / "lake", hosts, said.err


def of(lake: Path, url: str) -> dict[str, Any]:
    found = rows(lake, f"""SELECT * FROM data."web.frontier" WHERE uri = '{url}'""")
    assert len(found) == 1, url
    return found[0]


def test_every_page_is_asked_for_once_and_is_a_document(crawled: tuple[Path, dict[str, Host], str]) -> None:
    lake, hosts, _ = crawled
    good = hosts["good"]
    wanted = {"/", "/a", "/b", "/c", "/A", "/copy", "/list", "/list?page=2", "/noai"}
    assert Counter(good.paths()) == Counter([*wanted, "/gone"])
    here = f"""SELECT uri, origin_hash FROM data.web WHERE host = '{good.address}'"""
    assert {row["uri"] for row in rows(lake, here)} == {good.url + path for path in wanted}
    hashes = {row["uri"].removeprefix(good.url): row["origin_hash"] for row in rows(lake, here)}
    assert hashes["/a"] == hashes["/copy"] != hashes["/A"]
    assert [path for path, _, _, _ in good.asked].count("/robots.txt") == 1


def test_what_is_not_asked_for_says_why(crawled: tuple[Path, dict[str, Host], str]) -> None:
    lake, hosts, _ = crawled
    good = hosts["good"].url
    assert (of(lake, f"{good}/private/x")["state"], of(lake, f"{good}/private/x")["reason"]) == ("refused", "robots")
    assert of(lake, f"{good}/picture.PNG")["reason"] == "not_text"
    gone = of(lake, f"{good}/gone")
    assert (gone["state"], gone["status"], gone["found_on"], gone["depth"]) == ("broken", 404, f"{good}/", 1)
    assert of(lake, f"{hosts['rude'].url}/gone")["reason"] == "status_410"
    known = " ".join(row["uri"] for row in rows(lake, """SELECT uri FROM data."web.frontier\""""))
    assert not any(word in known for word in ("unfollowed", "/hidden", "elsewhere", "ftp:"))


def test_a_host_is_asked_one_thing_at_a_time_and_no_faster_than_it_wishes(crawled: tuple[Path, dict[str, Host], str]) -> None:
    _, hosts, _ = crawled
    for name, least in (("good", DELAY), ("charsets", DELAY), ("asks", 0.3)):
        asked = hosts[name].asked
        assert len(asked) > 3
        for (_, _, _, ended), (_, _, started, _) in pairwise(asked[1:]):  # the first is for the robots.txt that asks
            assert started - ended > least - 0.02, name


def test_it_says_who_it_is_and_sends_no_cookies(crawled: tuple[Path, dict[str, Host], str]) -> None:
    _, hosts, _ = crawled
    for host in hosts.values():
        for _, request, _, _ in host.asked:
            assert "User-Agent: headrace/" in request
            assert "(+a@example.com)" in request
            assert "Cookie" not in request
            assert "Authorization" not in request


def test_who_asks_for_patience_gets_it(crawled: tuple[Path, dict[str, Host], str]) -> None:
    lake, hosts, _ = crawled
    busy = hosts["busy"]
    assert busy.paths() == ["/", "/", "/"]
    starts = [started for path, _, started, _ in busy.asked if path == "/"]
    assert min(later - earlier for earlier, later in pairwise(starts)) >= 1.0
    assert of(lake, f"{busy.url}/")["state"] == "done"


def test_servers_that_do_not_end_are_cut(crawled: tuple[Path, dict[str, Host], str]) -> None:
    lake, hosts, said = crawled
    texts = {row["uri"]: row["text"] for row in rows(lake, "SELECT uri, text FROM data.web")}
    assert PROSE[:50] in texts[f"{hosts['cut'].url}/"]
    assert "A short liar" in texts[f"{hosts['liar'].url}/"]
    assert of(lake, f"{hosts['rude'].url}/")["reason"] in ("bad_http", "disconnect")
    assert of(lake, f"{hosts['rude'].url}/")["tries"] == 3
    slow = of(lake, f"{hosts['slow'].url}/")
    assert (slow["state"], slow["status"]) == ("done", 200)
    assert slow["fetched_at"] is not None
    assert "Traceback" not in said
    cut = [head for head in heads(lake) if head.get("WARC-Truncated")]
    assert {(head["WARC-Target-URI"], head["WARC-Truncated"]) for head in cut} >= {(f"{hosts['cut'].url}/", "length"), (f"{hosts['liar'].url}/", "disconnect")}


def heads(lake: Path) -> list[dict[str, str]]:
    found = []
    for path in sorted((lake / "crawls" / "web" / "warc").glob("*.warc.gz")):
        with open(path, "rb") as file:
            found += [{**dict(record.rec_headers.headers), "file": path.name} for record in ArchiveIterator(file)]
    return found


def test_loops_end(crawled: tuple[Path, dict[str, Host], str]) -> None:
    lake, hosts, _ = crawled
    loops = hosts["loops"]
    assert Counter(loops.paths()).most_common(1)[0][1] == 1
    assert {path for path in loops.paths() if path.startswith("/r")} == {"/r", *(f"/r?n={n}" for n in range(1, 11))}
    last = of(lake, f"{loops.url}/r?n=11")
    assert (last["state"], last["reason"]) == ("refused", "too_many_redirects")


def test_a_calendar_is_left_after_some_pages(crawled: tuple[Path, dict[str, Host], str]) -> None:
    lake, hosts, _ = crawled
    asked = Counter(path.partition("?")[0] for path in hosts["calendar"].paths())
    assert 40 <= asked["/cal"] <= 100
    assert asked["/day"] <= 60
    assert rows(lake, """SELECT count(*) AS n FROM data."web.frontier" WHERE reason = 'alike'""")[0]["n"] > 0


def test_a_bomb_is_kept_packed_and_never_opened(crawled: tuple[Path, dict[str, Host], str]) -> None:
    lake, hosts, _ = crawled
    assert of(lake, f"{hosts['bomb'].url}/")["reason"] == "bad_encoding"
    refused = rows(lake, "SELECT reason FROM quarantine WHERE uri LIKE '%127.0.7.6%' AND reason <> 'robots_txt'")
    assert refused == [{"reason": "too_large"}]


def test_a_robots_txt_that_cannot_be_had_forbids_all(crawled: tuple[Path, dict[str, Host], str]) -> None:
    lake, hosts, _ = crawled
    broken = hosts["broken_robots"]
    assert {path for path, _, _, _ in broken.asked} == {"/robots.txt"}
    assert len(broken.asked) == 3
    assert of(lake, f"{broken.url}/")["reason"] == "robots_unavailable"


def test_charsets_are_told_apart(crawled: tuple[Path, dict[str, Host], str]) -> None:
    lake, hosts, _ = crawled
    texts = {row["uri"].rpartition("/")[2]: row["text"] for row in rows(lake, f"SELECT uri, text FROM data.web WHERE host = '{hosts['charsets'].address}'")}
    assert "Žluťoučký kůň" in texts["cz"]
    assert all("Смотритель верхнего шлюза" in texts[name] for name in ("ru", "lies"))


def test_opt_outs_stand_on_the_page_and_a_policy_can_honour_them(crawled: tuple[Path, dict[str, Host], str]) -> None:
    lake, hosts, _ = crawled
    outs = {row["uri"]: row["o"] for row in rows(lake, "SELECT uri, facts.opt_out AS o FROM data.web")}
    good = hosts["good"].url
    assert outs[f"{good}/a"] == "CCBot GPTBot"
    assert outs[f"{good}/noai"] == "CCBot GPTBot noai tdm-reservation"
    assert outs[f"{hosts['charsets'].url}/"] is None
    (lake.parent / "policies").mkdir()
    (lake.parent / "policies" / "fair.yaml").write_text("drop:\n  ai_opt_out: \"facts.opt_out IS NOT NULL\"\n", encoding="utf-8")
    path = lake.parent / "fair.yaml"
    path.write_text("name: brook2\nseed: 1\nlake: lake\ncurate:\n  fair: {from: web, stages: [], policy: fair}\n", encoding="utf-8")
    said = headrace("run", path, timeout=600)
    assert said.code == 0, said.err
    kept = {row["uri"]: row["reason"] for row in rows(lake, "SELECT uri, reason FROM audit.fair")}
    assert {uri for uri, reason in kept.items() if reason == "ai_opt_out"} == {uri for uri, out in outs.items() if out}


def test_the_archive_is_whole_and_replays(crawled: tuple[Path, dict[str, Host], str], capsys: pytest.CaptureFixture[str]) -> None:
    lake, hosts, _ = crawled
    files = sorted(map(str, (lake / "crawls" / "web" / "warc").glob("*.warc.gz")))
    checker = Checker(type("Asked", (), {"inputs": files, "verbose": False})())
    checker.process_all()
    assert checker.exit_value == 0, capsys.readouterr().out
    told = heads(lake)
    assert {head["WARC-Type"] for head in told} == {"warcinfo", "response", "request", "metadata", "revisit"}
    copy = next(head for head in told if head["WARC-Type"] == "revisit")
    assert {copy["WARC-Target-URI"], copy["WARC-Refers-To-Target-URI"]} == {f"{hosts['good'].url}/a", f"{hosts['good'].url}/copy"}
    assert len(list((lake / "crawls" / "web" / "warc").glob("*.cdxj"))) == len(files)
    with open(lake / "crawls" / "web" / "warc" / copy["WARC-Refers-To-Filename"], "rb") as file:
        file.seek(int(copy["WARC-Refers-To-File-Offset"]))
        assert copy["WARC-Refers-To-Target-URI"].encode() in zlib.decompressobj(31).decompress(file.read(1 << 20))


def test_it_says_how_far_it_is_and_what_went_wrong(crawled: tuple[Path, dict[str, Host], str]) -> None:
    _, _, said = crawled
    assert " pages, " in said
    assert " queued, " in said
    assert "404" in said
    last = next(line for line in said.splitlines() if "answers from" in line)
    assert "12 hosts" in last or "11 hosts" in last
    assert "robots" in last
