"""A crawl that is killed, run again, forced, given more to do, started in other ways, on Spark: no page twice, none lost."""

import functools
import gzip
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from crawl_making import ROBOTS, Host, article, page, serving
from demo_run import HOME, headrace

from catalog.lake import Lake

pytestmark = pytest.mark.slow

FRONTIER = 'data."web.frontier"'


def recipe(folder: Path, crawl: str, part: str = "", more: str = "") -> Path:
    path = folder / "brook.yaml"
    path.write_text(f"name: brook\nseed: 1\nlake: lake\n{more}ingest:\n  web: {{crawl: {{{crawl}}}, domain: web{part}}}\n", encoding="utf-8")
    return path


def rows(folder: Path, query: str) -> list[dict[str, Any]]:
    with Lake.open(folder / "lake") as opened:
        return opened.rows(query)


def tree(address: str, count: int, pause: float = 0.0) -> Host:
    """A site of `count` pages, each leading to the next ones."""
    host = Host(address, pause=pause)
    host.pages = {f"/{n}": page(article(f"Page {n}", *(f"/{m}" for m in range(3 * n + 1, 3 * n + 4) if m < count))) for n in range(count)}
    host.pages["/robots.txt"] = ROBOTS
    return host


def ran(path: Path, *more: str) -> str:
    said = headrace("run", path, *more, timeout=600)         # Spark's executors compile the reader for each version of the code
    assert said.code == 0, said.err
    return said.err


@pytest.mark.chaos
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_crawl_goes_on_where_it_was(tmp_path: Path, sign: signal.Signals) -> None:
    hosts = [tree(f"127.0.8.{n}", 40, pause=0.03) for n in (1, 2, 3)]
    with serving(*hosts):
        path = recipe(tmp_path, f"seeds: [{', '.join(f'{host.url}/0' for host in hosts)}], allow_hosts: [127.0.8.1, 127.0.8.2, 127.0.8.3], delay: 0.02")
        for least in (8, 30, 60):
            log = tmp_path / "log"
            with open(log, "wb") as file:
                child = subprocess.Popen([sys.executable, "-m", "headrace", "run", path], cwd=HOME, stderr=file, start_new_session=True)
            until = time.time() + 90
            while sum(len(host.paths()) for host in hosts) < least and time.time() < until and child.poll() is None:
                time.sleep(0.02)
            assert child.poll() is None, log.read_text()
            if sign == signal.SIGKILL:
                os.killpg(child.pid, sign)
            else:
                child.send_signal(sign)
            child.wait(60)
            time.sleep(0.3)                                  # what the kill left under way comes to its end
        ran(path)
        for host in hosts:
            asked = Counter(host.paths())
            assert set(asked) == {f"/{n}" for n in range(40)}
            assert sum(asked.values()) <= 40 + 3, "of each host one page at most was under way at each kill"
    assert rows(tmp_path, "SELECT count(*) AS n, count(DISTINCT uri) AS u FROM data.web") == [{"n": 120, "u": 120}]
    assert rows(tmp_path, f"SELECT state, count(*) AS n FROM {FRONTIER} GROUP BY ALL") == [{"state": "done", "n": 120}]


def test_a_forced_crawl_asks_only_for_what_has_changed(tmp_path: Path) -> None:
    host = Host("127.0.8.4")
    plain = page(article("Old", "/new", "/plain", "/tagged", "/leaves"), headers='ETag: "1"\r\n')
    tagged = page(article("Tagged"), headers='ETag: "t"\r\n')
    host.pages = {"/": plain, "/plain": page(article("Untagged")), "/tagged": tagged, "/leaves": page(article("Leaves"))}
    with serving(host):
        path = recipe(tmp_path, f"seeds: ['{host.url}/'], allow_hosts: [127.0.8.4], delay: 0")
        ran(path)
        assert "nothing to do" in ran(path)
        assert len(host.paths()) == 5
        host.asked.clear()
        same = page("", status="304 Not Modified", headers='ETag: "t"\r\n')
        host.pages |= {"/": page(article("New", "/new", "/plain", "/tagged"), headers='ETag: "2"\r\n'), "/tagged": same, "/new": page(article("Fresh"))}
        del host.pages["/leaves"]
        ran(path, "--force", "ingest.web")
        assert sorted(host.paths()) == ["/", "/leaves", "/new", "/plain", "/tagged"]
        heads = {path: request for path, request, _, _ in host.asked}
        assert 'If-None-Match: "t"' in heads["/tagged"]
        assert 'If-None-Match: "1"' in heads["/"]
        assert "If-" not in heads["/plain"]
    titles = {row["uri"].removeprefix(host.url): row["title"] for row in rows(tmp_path, "SELECT uri, title FROM data.web")}
    assert titles == {"/": "New", "/new": "Fresh", "/plain": "Untagged", "/tagged": "Tagged"}
    known = {row["uri"].removeprefix(host.url): row for row in rows(tmp_path, f"SELECT uri, visits, changes, state, status FROM {FRONTIER}")}
    assert (known["/"]["visits"], known["/"]["changes"]) == (2, 1)
    assert (known["/tagged"]["visits"], known["/tagged"]["changes"]) == (2, 0)
    assert (known["/leaves"]["state"], known["/leaves"]["status"]) == ("broken", 404)


def test_with_append_a_visit_is_added(tmp_path: Path) -> None:
    host = tree("127.0.8.5", 5)
    with serving(host):
        path = recipe(tmp_path, f"seeds: ['{host.url}/0'], allow_hosts: [127.0.8.5], delay: 0", ", append: true")
        ran(path)
        ran(path, "--force", "ingest.web")
    assert rows(tmp_path, "SELECT count(*) AS n, count(DISTINCT doc_id) AS d, count(DISTINCT uri) AS u FROM data.web") == [{"n": 10, "d": 10, "u": 5}]


def test_budgets_and_depth_hold_and_more_of_them_goes_on(tmp_path: Path) -> None:
    host = tree("127.0.8.6", 40)
    with serving(host):
        start = f"seeds: ['{host.url}/0'], allow_hosts: [127.0.8.6], delay: 0"
        said = ran(recipe(tmp_path, f"{start}, max_pages: 7"))
        assert len(host.paths()) == 7
        assert "are left" in said
        ran(recipe(tmp_path, f"{start}, max_pages: 12"))
        assert host.paths() == [f"/{n}" for n in range(12)]
        ran(recipe(tmp_path, f"{start}, max_depth: 3"))
        assert sorted(host.paths(), key=lambda p: int(p[1:])) == [f"/{n}" for n in range(40)][: 1 + 3 + 9 + 27]
        assert rows(tmp_path, "SELECT count(*) AS n FROM data.web") == [{"n": 40}]
        assert rows(tmp_path, f"SELECT max(depth) AS d FROM {FRONTIER} WHERE state = 'done'") == [{"d": 3}]


def test_bytes_are_a_budget_too(tmp_path: Path) -> None:
    host = tree("127.0.8.7", 40)
    with serving(host):
        ran(recipe(tmp_path, f"seeds: ['{host.url}/0'], allow_hosts: [127.0.8.7], delay: 0, max_bytes: 9000"))
        sizes = [len(host.pages[path]) for path in host.paths()]  # type: ignore[arg-type]
    assert sum(sizes[:-1]) < 9000 <= sum(sizes)


def test_seeds_come_from_lists_sitemaps_and_sql(tmp_path: Path) -> None:
    host = tree("127.0.8.8", 4)
    host.pages |= {f"/{name}": page(article(name)) for name in ("listed", "mapped", "packed", "asked")}
    with serving(host):
        url = host.url
        inner = f"<urlset><url><loc>{url}/packed</loc></url><url><loc>http://127.0.8.9/other</loc></url></urlset>"
        maps = "".join(f"<sitemap><loc>{url}/{name}</loc></sitemap>" for name in ("map.xml", "map.xml.gz"))
        host.pages["/index.xml"] = page(f"<sitemapindex>{maps}</sitemapindex>", kind="text/xml")
        host.pages["/map.xml"] = page(f"<?xml version='1.0'?><urlset><url><loc>\n {url}/mapped </loc></url></urlset>", kind="text/xml")
        host.pages["/map.xml.gz"] = page(gzip.compress(inner.encode()), kind="application/x-gzip")
        (tmp_path / "list.txt").write_text(f"# pages\n{url}/listed\n\nnot an address\n", encoding="utf-8")
        crawl = f"seeds: [{{list: list.txt}}, {{sitemap: '{url}/index.xml'}}, {{sql: \"SELECT '{url}/asked'\"}}], allow_hosts: [127.0.8.8], delay: 0"
        ran(recipe(tmp_path, crawl))
        assert sorted(host.paths()) == ["/asked", "/index.xml", "/listed", "/map.xml", "/map.xml.gz", "/mapped", "/packed"]
    assert {row["uri"].rpartition("/")[2] for row in rows(tmp_path, "SELECT uri FROM data.web")} >= {"asked", "listed", "mapped", "packed"}


def test_a_list_that_grew_is_read_again(tmp_path: Path) -> None:
    host = tree("127.0.8.10", 4)
    host.pages |= {f"/{name}": page(article(name)) for name in ("early", "late")}
    with serving(host):
        (tmp_path / "list.txt").write_text(f"{host.url}/early\n", encoding="utf-8")
        path = recipe(tmp_path, "seeds: [{list: list.txt}], allow_hosts: [127.0.8.10], delay: 0")
        ran(path)
        (tmp_path / "list.txt").write_text(f"{host.url}/early\n{host.url}/late\n", encoding="utf-8")
        ran(path)
        assert host.paths() == ["/early", "/late"]
        (tmp_path / "list.txt").unlink()
        said = headrace("run", path)
    assert said.code == 2
    assert "list.txt: No such file" in said.err


def test_a_crawl_that_ended_in_a_pause_goes_on_behind_it(tmp_path: Path) -> None:
    host = tree("127.0.8.11", 2)

    def later(wire: socket.socket) -> None:
        first = host.paths().count("/1") == 1
        wire.sendall(page("", status="503 Busy", headers="Retry-After: 12\r\n") if first else page(article("Page 1")))

    with serving(host):
        host.pages["/1"] = later
        path = recipe(tmp_path, f"seeds: ['{host.url}/0'], allow_hosts: [127.0.8.11], delay: 0, patience: 0")
        said = ran(path)
        assert "1 are left, of hosts that want to be left alone: run again after" in said
        assert len(rows(tmp_path, "SELECT uri FROM data.web")) == 1
        time.sleep(13)
        assert "are left" not in ran(path)
        assert host.paths() == ["/0", "/1", "/1"]
        assert len(rows(tmp_path, "SELECT uri FROM data.web")) == 2
        ran(path)
    assert host.paths() == ["/0", "/1", "/1"]


def test_a_forced_visit_with_a_budget_ends(tmp_path: Path) -> None:
    """Two hosts, one of which is led to by a page that has not changed."""
    first, second = Host("127.0.8.21"), Host("127.0.8.22")
    with serving(first, second):
        same = page("", status="304 Not Modified")
        first.pages = {"/": page(article("First", f"{second.url}/"), headers='ETag: "1"\r\n')}
        second.pages = {"/": page(article("Second"))}
        path = recipe(tmp_path, f"seeds: ['{first.url}/'], allow_hosts: [127.0.8.21, 127.0.8.22], delay: 0, max_pages: 100")
        ran(path)
        first.pages["/"] = same
        ran(path, "--force", "ingest.web")
        assert (first.paths(), second.paths()) == (["/", "/"], ["/", "/"])
    assert len(rows(tmp_path, "SELECT uri FROM data.web")) == 2


def test_more_depth_and_a_wider_scope_count(tmp_path: Path) -> None:
    host, other = tree("127.0.8.23", 13), Host("127.0.8.24")
    other.pages = {"/": page(article("Other"))}
    with serving(host, other):
        host.pages["/0"] = page(article("Page 0", "/1", "/2", "/3", f"{other.url}/"), headers='ETag: "0"\r\n')
        start = f"seeds: ['{host.url}/0'], delay: 0"
        ran(recipe(tmp_path, f"{start}, max_depth: 1, allow_hosts: [127.0.8.23]"))
        assert len(host.paths()) == 4
        ran(recipe(tmp_path, f"{start}, max_depth: 2, allow_hosts: [127.0.8.23]"))
        assert sorted(host.paths(), key=lambda p: int(p[1:])) == [f"/{n}" for n in range(13)]
        assert other.paths() == []

        def if_asked(wire: socket.socket) -> None:
            unchanged = any("If-None-Match" in request for path, request, _, _ in host.asked if path == "/0")
            wire.sendall(page("", status="304 Not Modified") if unchanged else page(article("Page 0", f"{other.url}/")))

        host.pages["/0"] = if_asked
        ran(recipe(tmp_path, f"{start}, allow_hosts: [127.0.8.23, 127.0.8.24]"), "--force", "ingest.web")
        assert other.paths() == ["/"]


def test_an_appended_crawl_with_nothing_new_is_done(tmp_path: Path) -> None:
    host = tree("127.0.8.25", 3)
    with serving(host):
        ran(recipe(tmp_path, f"seeds: ['{host.url}/0'], allow_hosts: [127.0.8.25], delay: 0", ", append: true"))
        path = recipe(tmp_path, f"seeds: ['{host.url}/0'], allow_hosts: [127.0.8.25], delay: 0.001", ", append: true")
        assert "nothing new" in ran(path)
        assert "nothing new" not in ran(path), "it is done before"
    assert len(rows(tmp_path, "SELECT uri FROM data.web")) == 3


def test_hostile_sitemaps_and_robots_cost_themselves(tmp_path: Path) -> None:
    host = tree("127.0.8.26", 3)
    with serving(host):
        host.pages |= {
            "/robots.txt": page(f"Sitemap: http://[::1/\nSitemap: {host.url}/broken.xml\nSitemap: {host.url}/deep.xml?1\n", kind="text/plain"),
            "/broken.xml": page(b"\x1f\x8bgarbage", kind="application/x-gzip"),
        }

        def deeper(path: str) -> bytes:
            n = int(path.partition("?")[2] or 0) + 1
            return page(f"<sitemapindex><sitemap><loc>{host.url}/deep.xml?{n}</loc></sitemap></sitemapindex>", kind="text/xml")

        host.default = deeper
        ran(recipe(tmp_path, f"seeds: ['{host.url}/0'], allow_hosts: [127.0.8.26], delay: 0, sitemaps: true"))
        assert sorted(path for path in host.paths() if path.startswith("/deep")) == [f"/deep.xml?{n}" for n in range(1, 5)]
    assert {row["uri"].rpartition("/")[2] for row in rows(tmp_path, "SELECT uri FROM data.web")} == {"0", "1", "2"}


def test_a_robots_txt_that_leads_to_a_page_is_no_document(tmp_path: Path) -> None:
    host, other = tree("127.0.8.27", 2), tree("127.0.8.28", 2)
    with serving(host, other):
        host.pages["/robots.txt"] = page("", status="301 Moved", headers="Location: /1\r\n")
        other.pages["/robots.txt"] = page("", status="301 Moved", headers=f"Location: {host.url}/secret\r\n")
        host.pages["/secret"] = page(article("Secret"))
        ran(recipe(tmp_path, f"seeds: ['{host.url}/0', '{other.url}/0'], allow_hosts: [127.0.8.27, 127.0.8.28], delay: 0"))
        assert "/secret" not in host.paths()
    found = [row["uri"] for row in rows(tmp_path, "SELECT uri FROM data.web")]
    assert sorted(found) == sorted(set(found))
    assert len(found) == 4


def test_a_pause_counts_for_every_address_of_its_host(tmp_path: Path) -> None:
    """One address is to be asked again soon; another says that the host wants to be left alone for longer."""
    host, told = Host("127.0.8.29"), []

    def answer(path: str) -> bytes:
        told.append(path)
        if path == "/a":
            return page("", status="500 Oops") if told.count("/a") == 1 else page(article("A"))
        return page("", status="429 Busy", headers="Retry-After: 2\r\n") if told.count("/b") == 1 else page(article("B"))

    host.default = answer
    host.pages = {"/robots.txt": ROBOTS, "/": page(article("Home", "/a", "/b"))}
    with serving(host):
        ran(recipe(tmp_path, f"seeds: ['{host.url}/'], allow_hosts: [127.0.8.29], delay: 0, backoff: 0.3"))
    times = [(path, started) for path, _, started, _ in host.asked if path in ("/a", "/b")]
    assert [path for path, _ in times][:2] == ["/a", "/b"]
    assert times[2][1] - times[1][1] >= 2.0
    assert {path for path, _ in times[2:]} == {"/a", "/b"}


def test_a_private_host_that_is_not_named_is_told_at_once(tmp_path: Path) -> None:
    host = tree("127.0.8.30", 2)
    with serving(host):
        said = headrace("run", recipe(tmp_path, f"seeds: ['{host.url}/0']"), timeout=60)
        assert host.asked == []
    assert said.code == 2
    assert "1 private_address" in said.err
    assert "allow_hosts" in said.err.splitlines()[-1]


@pytest.mark.spark
def test_on_spark_hosts_are_asked_at_a_time_each_by_one_task(tmp_path: Path) -> None:
    hosts = [tree(f"127.0.9.{n}", 10, pause=0.02) for n in range(1, 5)]
    with serving(*hosts):
        for host, following in pairwise(hosts):
            host.pages["/9"] = page(article("The last", f"{following.url}/0"))
        crawl = f"seeds: ['{hosts[0].url}/0'], allow_hosts: [127.0.9.1, 127.0.9.2, 127.0.9.3, 127.0.9.4], delay: 0.01"
        said = ran(recipe(tmp_path, crawl, more="spark: {master: 'local[2]'}\n"))
        assert "starting Spark" in said
        for host in hosts:
            assert Counter(host.paths()) == Counter([f"/{n}" for n in range(10)])
            ended = [end for _, _, _, end in host.asked]
            assert all(start >= end for (_, _, start, _), end in zip(host.asked[1:], ended, strict=False))
    assert rows(tmp_path, "SELECT count(*) AS n FROM data.web") == [{"n": 40}]
    files = [row["file"] for row in rows(tmp_path, f"SELECT DISTINCT file FROM {FRONTIER}")]
    assert len({file.split("-")[3] for file in files}) == 4, "each host is in a bucket of its own"


@contextmanager
def site(name: str, data: Callable[[str], Path], folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """One of the real sites, with the robots.txt that its truth supposes."""
    truth = json.loads(data(f"site/{name}.truth.json").read_text(encoding="utf-8"))
    with tarfile.open(data(f"site/{name}.tar.gz")) as packed:
        packed.extractall(folder / "site", filter="data")
    root = next(path.parent for path in (folder / "site").rglob("index.html") if path.parent.name == name)
    (root / "robots.txt").write_text("User-agent: *\n" + "".join(f"Disallow: {path}\n" for path in truth["disallow"]), encoding="utf-8")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.8.10", 0), functools.partial(Quiet, directory=str(root))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.8.10:{server.server_address[1]}", truth
        server.shutdown()


@pytest.mark.parametrize("name", ["git-doc", "debian-handbook"])
def test_a_real_site_is_crawled_whole(name: str, data: Callable[[str], Path], tmp_path: Path) -> None:
    with site(name, data, tmp_path) as (url, truth):
        ran(recipe(tmp_path, f"seeds: ['{url}{truth['start']}'], allow_hosts: [127.0.8.10], delay: 0"))
    found = rows(tmp_path, f"SELECT uri, state, reason, depth FROM {FRONTIER}")
    done = {row["uri"].removeprefix(url): row["depth"] for row in found if row["state"] == "done"}
    assert sorted(done) == sorted(truth["reachable_pages"])
    assert Counter(map(str, done.values())) == Counter(truth["reachable_by_depth"])
    assert sorted(row["uri"].removeprefix(f"{url}/") for row in found if row["reason"] == "robots") == sorted(truth["blocked_targets"])
    assert sum(row["state"] == "broken" for row in found) == truth["broken_link_targets"]
    assert rows(tmp_path, "SELECT count(DISTINCT uri) AS n FROM data.web") == [{"n": truth["reachable"]}]
