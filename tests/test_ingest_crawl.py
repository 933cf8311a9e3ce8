"""The parts of the crawler: who is asked next, what is admitted, how long is waited, and a round that breaks off anywhere."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from crawl_making import Host, article, page, serving
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import RecipeError
from ingest.crawl import fetch_round
from ingest.crawling import frontier, hosts, robots
from ingest.crawling.frontier import Address, Lead, Scope
from ingest.crawling.queue import Queue
from ingest.crawling.round import Round
from ingest.crawling.seeds import check, start
from ingest.crawling.urls import shape
from ingest.records import frames

KNOBS: dict[str, Any] = {
    "seeds": [], "allow_hosts": ["127.0.8.20"], "delay": 0.0, "max_depth": None, "max_pages": None, "max_bytes": None, "scope": "host", "contact": None,
    "sitemaps": False, "timeout": 5.0, "page_bytes": 100_000, "tries": 2, "backoff": 0.1, "patience": 1.0, "alike": 0, "connections": 4, "buckets": 1,
    "round": 30.0,
}  # fmt: skip
HERE = Scope(frozenset({"h.example"}), frozenset({"wide.co.uk"}), max_depth=2)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=30))
def test_a_queue_gives_each_address_once_and_a_host_one_at_a_time(found: list[tuple[str, int]]) -> None:
    queue, given_out, held = Queue(), [], set()
    for number, (host, depth) in enumerate(found):
        queue.add(Address(f"http://{host}/{number}", host, depth))
    assert (queue.size, queue.hosts) == (len(found), len({host for host, _ in found}))
    while queue.size:
        name, uri, _ = queue.take(1.0)
        if name is None:
            assert held
            queue.free(held.pop(), 0.0)
            continue
        assert name not in held
        held.add(name)
        given_out.append(uri)
    assert sorted(given_out) == sorted(f"http://{host}/{number}" for number, (host, _) in enumerate(found))
    for host in "abc":
        depths = [found[int(uri.rpartition("/")[2])][1] for uri in given_out if uri and uri.startswith(f"http://{host}/")]
        assert depths == sorted(depths)


def test_a_queue_knows_how_long_there_is_nothing_to_do() -> None:
    queue = Queue()
    assert queue.take(5.0) == (None, None, None)
    queue.add(Address("http://a/1", "a", 0), ready=7.0)
    queue.add(Address("http://b/1", "b", 0), later=6.0)
    assert queue.take(5.0) == (None, None, 1.0)
    assert queue.take(6.5)[1] == "http://b/1"
    assert queue.take(7.5)[1] == "http://a/1"
    queue.free("a", 9.0, again=True)
    assert queue.take(8.0) == (None, None, 1.0)
    assert queue.take(9.0)[1] == "http://a/1"


@pytest.mark.parametrize(("lead", "why"), [
    (Lead("http://h.example/a", 2), None), (Lead("http://h.example/a", 3), "max_depth"), (Lead("http://h.example/a.jpg", 1), "not_text"),
    (Lead("http://h.example/a.JPG?x", 1), "not_text"), (Lead("http://h.example/" + "a/" * 21, 1), "too_deep"),
    (Lead("http://h.example/r", 1, hops=11), "too_many_redirects"),
])  # fmt: skip
def test_what_is_admitted(lead: Lead, why: str | None) -> None:
    known: dict[str, Address] = {}
    found = frontier.admit(known, lead, HERE)
    assert found is not None
    assert (found.state, found.reason) == ("refused" if why else "new", why)
    assert frontier.admit(known, lead, HERE) is None


def test_a_shorter_way_brings_back_what_was_too_deep() -> None:
    known: dict[str, Address] = {}
    frontier.admit(known, Lead("http://h.example/a", 3), HERE)
    again = frontier.admit(known, Lead("http://h.example/a", 2), HERE)
    assert again is not None
    assert (again.state, again.depth) == ("new", 2)


@pytest.mark.parametrize(("state", "again"), [("done", True), ("broken", True), ("new", False), ("waiting", False)])
def test_a_page_that_turns_out_to_be_a_sitemap_is_asked_again(state: str, again: bool) -> None:
    known = {"http://h.example/s.xml": Address("http://h.example/s.xml", "h.example", 2, state, "status_404" if state == "broken" else None, etag='"e"')}
    found = frontier.admit(known, Lead("http://h.example/s.xml", 0, kind="sitemap"), HERE)
    held = known["http://h.example/s.xml"]
    assert (held.kind, held.state, held.reason, held.etag) == ("sitemap", "new" if again else state, None, None)
    assert (found is held) if again else found is None
    assert frontier.admit(known, Lead("http://h.example/s.xml", 0, kind="sitemap"), HERE) is None


def test_a_site_is_read_when_it_is_asked() -> None:
    site = hosts.Site(4.0, "User-agent: *\nDisallow: /x", None)
    assert site.read is None
    assert not robots.allowed(site.rules, "http://h/x", "headrace")
    assert site.read is site.rules
    assert hosts.Site(4.0, "", True).rules.all is True


def test_scopes() -> None:
    assert HERE.holds("http://h.example:8080/x")
    assert HERE.holds("https://www.wide.co.uk/")
    assert not HERE.holds("http://g.example/")
    assert not HERE.holds("https://narrow.co.uk/")


def test_a_bucket_comes_back_as_it_was(tmp_path: Path) -> None:
    now = datetime(2026, 11, 21, 10, 30, 15, 123456)
    full = Address("http://h/2", "h", 1, "done", None, now, 1, 0, "http://h/1", "page", 200, now, 1, 2, 1, '"e"', "Sat", "sha1:X", 9, "text/html", "noai", 3)
    rows = [Address("http://h/1", "h", 0), full]
    frontier.write(str(tmp_path / "b.parquet"), rows)
    assert list(frontier.read(str(tmp_path / "b.parquet")).values()) == rows
    host = hosts.Host("h", 5.0, 1, 2, 3, {"http://h": hosts.Site(4.0, "User-agent: *\nDisallow: /x", None)}, {"h/0": (7, {"aa", "bb"})})
    hosts.write(str(tmp_path / "h.json"), {"h": host})
    back = hosts.read(str(tmp_path / "h.json"))["h"]
    assert (back.ready, back.faults, back.busy, back.pages, back.alike) == (5.0, 1, 2, 3, {"h/0": (7, {"aa", "bb"})})
    assert back.sites["http://h"].text == "User-agent: *\nDisallow: /x"


AT = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(("said", "seconds"), [
    ("120", 120.0), (" 7 ", 7.0), ("99999999999", 86400.0), ("Sat, 21 Nov 2026 10:01:30 GMT", 90.0), ("Sat, 21 Nov 2020 10:01:30 GMT", 0.0), ("soon", None),
    ("", None), ("-5", None), ("Sat, 99 Nov 2026", None),
])  # fmt: skip
def test_retry_after(said: str, seconds: float | None) -> None:
    assert hosts.retry_after(said, AT) == seconds


def test_pauses_double_and_end() -> None:
    assert [hosts.pause(n, 30.0) for n in (0, 1, 2, 3)] == [30.0, 30.0, 60.0, 120.0]
    assert hosts.pause(1000, 30.0) == hosts.LONGEST_WAIT


def test_shapes_of_sessions_and_calendars() -> None:
    assert shape("http://h/s/9f8a7b6c5d4e3f2a/list") == shape("http://h/s/0a1b2c3d4e5f6a7b/list")
    assert shape("http://h/2026/11/a") == shape("http://h/2025/1/a")
    assert shape("http://h/how-to-build-a-mill-in-10-days") != shape("http://h/how-to-build-a-house-in-10-days")
    assert shape("http://h/Lock_keeping_on_the_river") != shape("http://h/Mill_wheels_of_the_valley")


def test_pages_of_a_kind_that_say_the_same_are_a_trap() -> None:
    host = hosts.Host("h")
    for n in range(40):
        hosts.note(host, "h/cal?m", hosts.sketch(f"<h1>{('March', 'April')[n % 2]} {n}</h1><p>no events</p>".encode()))
        hosts.note(host, "h/post/0", hosts.sketch(f"<p>post {'abcdefghij'[n % 10] * 3} {'klmnopqrst'[n // 10] * 3}</p>".encode()))
    assert hosts.alike(host, "h/cal?m", 20, 40)
    assert not hosts.alike(host, "h/cal?m", 20, 41)
    assert not hosts.alike(host, "h/cal?m", 2, 40)
    assert not hosts.alike(host, "h/cal?m", 20, 0)
    assert not hosts.alike(host, "h/post/0", 20, 40)
    assert not hosts.alike(host, "h/other", 20, 1)


@pytest.mark.parametrize(("knobs", "said"), [
    ({"seeds": []}, "a list of addresses"), ({"seeds": ["example.org"]}, "write https://example.org/"), ({"seeds": ["ftp://h/"]}, "not an address of the web"),
    ({"seeds": [{"sitmap": "http://h/"}]}, "sitemap"), ({"seeds": [{"domain": "http://h/"}]}, "not a name"), ({"seeds": [3]}, "neither an address"),
    ({"allow_hosts": ["http://h"]}, "not a name or an address alone"), ({"allow_hosts": ["h:80"]}, "not a name or an address alone"),
    ({"allow_hosts": "h"}, "a list of names"),
    ({"scope": "hosts"}, "did you mean 'host'"), ({"delay": -1.0}, "delay: -1.0 is not 0.0 or more"), ({"max_pages": 0}, "max_pages: 0 is not 1"),
    ({"connections": 5000}, "at most 1,000"), ({"contact": "müller@example.org"}, "plain letters"), ({"contact": "a\nb"}, "plain letters"),
])  # fmt: skip
def test_mistakes_are_told(knobs: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said.replace("(", r"\(")):
        check({**KNOBS, "seeds": ["http://h/"], **knobs}, "x.yaml:3: ", "/")


def test_what_a_crawl_starts_from(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text("http://a.example/1\n#no\nnothing\nHTTP://A.example/1#x\n")
    knobs = check({**KNOBS, "seeds": ["http://B.example", {"list": "l.txt"}, {"domain": "c.example.co.uk"}, {"sql": "q"}]}, "", str(tmp_path))
    leads, scope = start({**knobs, "scope": "domain"}, lambda sql: [f"http://{sql}.example/"])
    assert [lead.uri for lead in leads] == ["http://b.example/", "http://a.example/1", "https://c.example.co.uk/", "http://q.example/"]
    assert "example.co.uk" in scope.domains
    assert "127.0.8.20" in scope.hosts
    assert scope.holds("https://other.example.co.uk/x")
    narrow = start({**knobs, "scope": "host", "seeds": ["https://www.d.example/", "https://e.example/"]}, lambda sql: [])[1]
    assert all(narrow.holds(f"https://{name}/") for name in ("d.example", "www.d.example", "e.example", "www.e.example"))
    assert not narrow.holds("https://w.e.example/")


def task(folder: Path, host: Host) -> dict[str, Any]:
    return {
        "name": "a round", "folder": str(folder), "round": 1, "bucket": 0, "buckets": 1, "visit": 1, "first": False, "state": None, "hosts": None, "inbox": [],
        "seeds": [[f"{host.url}/0", 0, None, 0, "page"]], "knobs": KNOBS, "agent": "headrace/0",
        "scope": {"hosts": [host.address], "domains": [], "any": False},
        "seconds": 30.0, "pages": None, "most_bytes": None, "archives": str(folder / "warc"), "archive": "a.warc.gz", "info": {},
    }  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(breaks=st.lists(st.tuples(st.integers(0, 14), st.integers(0, 400), st.integers(0, 3000)), max_size=3))
def test_a_round_that_breaks_off_anywhere_goes_on(tmp_path_factory: pytest.TempPathFactory, breaks: list[tuple[int, int, int]]) -> None:
    """It breaks after some turns; a little of the journal's end, or of the archive's, may be gone as well."""
    folder, host, keep, lost = tmp_path_factory.mktemp("round"), Host("127.0.8.20"), Round._keep, 0
    host.pages = {f"/{n}": page(article(f"Page {n}", *(f"/{m}" for m in (2 * n + 1, 2 * n + 2) if m < 12))) for n in range(12)}
    with serving(host):
        for turns, journal, archive in breaks:
            left = [turns]

            def breaking(self: Round, *taken: Any, left: list[int] = left) -> None:
                if left[0] == 0:
                    raise KeyError("broken off")
                left[0] -= 1
                keep(self, *taken)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Round, "_keep", breaking)
                try:
                    fetch_round(task(folder, host))
                    break
                except KeyError:
                    pass
            lost += 1                                        # the turn that broke off
            for path, cut in ((folder / "round-000001" / "00000.journal", journal), (folder / "warc" / "a.warc.gz.part", archive)):
                if path.is_file() and cut % 3 == 0:
                    path.write_bytes(path.read_bytes()[: max(0, path.stat().st_size - cut)])
                    lost += 13 if cut else 0
        told = fetch_round(task(folder, host))
        asked = len(host.asked)
        assert asked <= 13 + lost, "only what broke off is asked for again"
        assert fetch_round(task(folder, host)) == told
        assert len(host.asked) == asked
    found = frontier.read(str(folder / told["state"]))
    assert {(a.uri, a.state) for a in found.values()} == {(f"{host.url}/{n}", "done") for n in range(12)}
    records = [frame for frame in frames(str(folder / "warc" / "a.warc.gz")) if not frame.fault]
    answers = [frame for frame in records if b"WARC-Type: response" in frame.data and b"robots.txt" not in frame.data[:400]]
    assert len(answers) == 12
    assert {a.record_offset for a in found.values()} == {frame.offset for frame in answers}
    assert len((folder / "warc" / "a.cdxj").read_text().splitlines()) == len([f for f in records if b"WARC-Type: response" in f.data])
    assert json.loads((folder / "round-000001" / "00000.json").read_text()) == told


def test_a_round_that_breaks_off_behind_its_last_turn_asks_nobody_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host("127.0.8.20")
    host.pages = {f"/{n}": page(article(f"Page {n}", f"/{n + 1}")) for n in range(5)}
    with serving(host), monkeypatch.context() as patch:
        patch.setattr(Round, "_account", lambda self, archive: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fetch_round(task(tmp_path, host))
        patch.undo()
        asked = len(host.asked)
        told = fetch_round(task(tmp_path, host))
        assert len(host.asked) == asked
    assert told["pages"] == 6
    assert len((tmp_path / "warc" / "a.cdxj").read_text().splitlines()) == 7


def test_one_origin_without_robots_txt_costs_no_other(tmp_path: Path) -> None:
    """A host answers at two ports; at one of them its robots.txt cannot be had."""
    bad, good = Host("127.0.8.20"), Host("127.0.8.20")
    bad.pages = {"/robots.txt": page("", status="500 Oops"), "/0": page(article("Bad"))}
    good.pages = {"/0": page(article("Good"))}
    with serving(bad, good):
        order = task(tmp_path, bad)
        told = fetch_round({**order, "seeds": [[f"{host.url}/0", 0, None, 0, "page"] for host in (bad, good)]})
    found = frontier.read(str(tmp_path / told["state"]))
    assert {(a.state, a.reason) for a in found.values()} == {("refused", "robots_unavailable"), ("done", None)}
