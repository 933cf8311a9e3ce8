"""robots.txt by RFC 9309, and what pages say of AI."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.crawling.fetch import Fetched
from ingest.crawling.robots import AI_AGENTS, LONGEST_DELAY, MOST_BYTES, allowed, delay, indexing, opted_out, read, rules, sitemaps

SITE = "http://h.example"


def answer(status: int | None, body: bytes = b"", fault: str | None = None) -> Fetched:
    return Fetched(SITE + "/robots.txt", datetime.now(UTC), status=status, body=body, fault=fault)


@pytest.mark.parametrize(("status", "body", "may"), [
    (200, b"User-agent: *\nDisallow: /", False), (200, b"", True), (200, b"<html>not found</html>", True), (404, b"User-agent: *\nDisallow: /", True),
    (403, b"", True), (410, b"", True), (302, b"", True), (500, b"", False), (503, b"", False), (429, b"", False), (None, b"", False),
])  # fmt: skip
def test_what_an_answer_means(status: int | None, body: bytes, may: bool) -> None:
    assert allowed(rules(answer(status, body)), SITE + "/page", "headrace") is may


@pytest.mark.parametrize(("path", "may"), [
    ("/", True), ("/private", False), ("/private/x", False), ("/private/open", True), ("/privately", False), ("/a/b.pdf", False), ("/a/b.pdf?x", True),
    ("/q?id=1", False), ("/caf%C3%A9/x", False), ("/robots.txt", True),
])  # fmt: skip
def test_the_longest_rule_counts(path: str, may: bool) -> None:
    """The group for us by name stands, not that for all; allow wins where both are as long."""
    text = (
        "# a comment\nUser-agent: *\nDisallow: /\n\nUser-Agent: Other\nuser-agent: HeadRace\nDisallow: /private\nAllow: /private/open\n"
        "Disallow: /*.pdf$\nDisallow: /q?id=\nDisallow: /café\nSitemap: http://h.example/map.xml\nCrawl-delay: 2\n"
    )
    site = read(text.encode())
    assert allowed(site, SITE + path, "headrace") is may
    assert allowed(site, SITE + path, "stranger") is (path == "/robots.txt" and allowed(site, SITE + path, "stranger"))
    assert sitemaps(site) == ["http://h.example/map.xml"]
    assert delay(site, "headrace", 1.0) == 2.0


def test_delays() -> None:
    assert delay(read(b"User-agent: *\nCrawl-delay: 0.1"), "headrace", 1.0) == 1.0
    assert delay(read(b"User-agent: *\nCrawl-delay: 100000"), "headrace", 1.0) == LONGEST_DELAY
    assert delay(read(b"User-agent: *\nCrawl-delay: soon"), "headrace", 1.5) == 1.5
    assert delay(read(b"User-agent: *\nRequest-rate: 1/10"), "headrace", 1.0) == 10.0
    assert delay(rules(answer(404)), "headrace", 90.0) == 90.0


def test_a_long_one_is_read_as_far_as_half_a_megabyte() -> None:
    site = read(b"User-agent: *\nDisallow: /early\n" + b"# padding\n" * (MOST_BYTES // 10) + b"Disallow: /late\n")
    assert not allowed(site, SITE + "/early", "headrace")
    assert allowed(site, SITE + "/late", "headrace")


def test_what_says_that_a_page_is_not_for_ai() -> None:
    site = read(b"User-agent: GPTBot\nUser-agent: CCBot\nDisallow: /\n\nUser-agent: *\nDisallow: /x\nContent-Signal: search=yes, ai-train=no\n")
    assert opted_out(site, SITE + "/") == ["CCBot", "GPTBot", "content-signal"]
    assert set(AI_AGENTS) < set(opted_out(site, SITE + "/x/y"))
    plain = read(b"")
    assert opted_out(plain, SITE + "/") == []
    assert opted_out(rules(answer(404)), SITE + "/", [("x-robots-tag", "noai, noimageai")]) == ["noai", "noimageai"]
    assert opted_out(plain, SITE + "/", [("tdm-reservation", "1")], [("robots", "index, NoAI")]) == ["noai", "tdm-reservation"]
    assert opted_out(plain, SITE + "/", [("tdm-reservation", "0"), ("x-other", "noai")], [("description", "we say noai")]) == []


@pytest.mark.parametrize(("headers", "metas", "found"), [
    ([("x-robots-tag", "noindex, nofollow")], [], {"noindex", "nofollow"}), ([("x-robots-tag", "googlebot: noindex")], [], set()),
    ([("x-robots-tag", "HeadRace: nofollow")], [], {"nofollow"}), ([], [("robots", "NONE")], {"none", "noindex", "nofollow"}), ([], [], set()),
    ([], [("headrace", "nofollow"), ("googlebot", "noindex")], {"nofollow"}), ([("x-robots-tag", "unavailable_after: 25 Jun 2030")], [], set()),
])  # fmt: skip
def test_what_a_page_asks_of_robots(headers: list[tuple[str, str]], metas: list[tuple[str, str]], found: set[str]) -> None:
    assert indexing(headers, metas, "headrace") == found


LINES = [b"User-agent: *\n", b"Disallow: /a*b*$\n", b"Allow: %zz\n", b"Crawl-delay: -1\n", b"Sitemap:\n", b":\n"]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.lists(st.sampled_from(LINES), max_size=8))
def test_whatever_it_says_it_is_read(noise: bytes, lines: list[bytes]) -> None:
    site = read(b"".join(lines) + noise)
    assert allowed(site, SITE + "/aXb", "headrace") in (True, False)
    assert 1.0 <= delay(site, "headrace", 1.0) <= LONGEST_DELAY
    opted_out(site, SITE + "/a")


def test_a_hostile_one_costs_no_time() -> None:
    site = read(b"User-agent: *\n" + b"Disallow: /" + b"a*" * 2000 + b"b$\n" + b"Disallow: /*a*a*a*a*a*a*a*a*a*b$\n" * 2000)
    started = time.process_time()
    assert allowed(site, SITE + "/" + "a" * 1900, "headrace")
    assert time.process_time() - started < 5
