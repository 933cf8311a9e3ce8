"""One spelling for one page, and the marks of loops."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.crawling.urls import LONGEST, canonical, host, shape, trap


@pytest.mark.parametrize(("href", "found"), [
    ("HTTP://EXAMPLE.com:80/a/./b/../c?b=2&a=1#part", "http://example.com/a/c?b=2&a=1"),
    ("https://example.com:443", "https://example.com/"),
    ("http://example.com:8080/?", "http://example.com:8080/"),
    ("http://example.com./x", "http://example.com/x"),
    ("http://example.com/%7euser/%c3%a4 b%", "http://example.com/~user/%C3%A4%20b%25"),
    ("http://bücher.example/straße?q=ä", "http://xn--bcher-kva.example/stra%C3%9Fe?q=%C3%A4"),
    ("http://example.com/a;v=1;jsessionid=ABCDEF0123?x=1&PHPSESSID=0123456789abcdef&utm_source=mail&fbclid=x", "http://example.com/a;v=1?x=1"),
    ("http://example.com/?sid=3", "http://example.com/?sid=3"),
    ("http://example.com/a//b/", "http://example.com/a//b/"),
    ("http://example.com/../../x/..", "http://example.com/"),
    ("http://example.com/a/b/..", "http://example.com/a/"),
    ("http://[2001:DB8::0:1]:80/", "http://[2001:db8::1]/"),
    ("  http://example.com/a\n\tb  ", "http://example.com/ab"),
])
def test_one_spelling(href: str, found: str) -> None:
    assert canonical(href) == found


@pytest.mark.parametrize("href", [
    "ftp://example.com/", "javascript:alert(1)", "mailto:a@example.com", "http://", "http:///x", "//example.com/", "x", "", "http://user:word@example.com/",
    "http://example.com:99999/", "http://example.com:0/", "http://exa mple.com/", "http://-x.com/", "http://[::1/", "http://[1.2.3.4]/", "http://a..b/",
    "http://" + "a" * 64 + ".com/", "http://example.com/" + "a" * LONGEST, "data:text/html,x", "http://\u2603\u0301\ud800.com/",
])  # fmt: skip
def test_what_no_crawler_follows(href: str) -> None:
    assert canonical(href) is None


@pytest.mark.parametrize(("href", "found"), [
    ("b?x=1", "http://h.example/a/b?x=1"), ("/b", "http://h.example/b"), ("//g.example", "http://g.example/"), ("../../b", "http://h.example/b"),
    ("#top", "http://h.example/a/page"), ("", "http://h.example/a/page"), ("?q", "http://h.example/a/page?q"), ("https://h.example/b", "https://h.example/b"),
])
def test_a_link_of_a_page(href: str, found: str) -> None:
    assert canonical(href, "http://h.example/a/page") == found


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.text(max_size=60), st.builds("http://h.example/{}?{}#{}".format, st.text(max_size=30), st.text(max_size=30), st.text(max_size=8))))
def test_a_spelling_stays_as_it_is_and_is_one_that_can_be_sent(href: str) -> None:
    found = canonical(href, "https://base.example/x/y")
    if found is None:
        return
    assert canonical(found) == found
    assert found.isascii()
    assert found.isprintable()
    assert " " not in found
    parts = urlsplit(found)
    assert parts.scheme in ("http", "https")
    assert parts.path.startswith("/")
    assert not parts.fragment
    assert "@" not in parts.netloc


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="aé/%. ~&=;+", max_size=20))
def test_an_address_and_its_encoded_twin_are_one(path: str) -> None:
    """Encoding every letter of a path by hand changes nothing, but for signs that mean something where they stand."""
    plain = "http://h.example/" + path.replace("%", "").replace("?", "")
    twin = "http://h.example/" + "".join(f"%{ord(char):02x}" if char in "a~" else char for char in path.replace("%", "").replace("?", ""))
    assert canonical(twin) == canonical(plain)


def test_shapes() -> None:
    assert shape("http://h.example/cal/2031/05?day=12&view=3") == shape("http://h.example/cal/1999/11?view=1&day=1") == "h.example/cal/0/0?day&view"
    assert shape("http://h.example:81/a") == "h.example:81/a"
    assert host("http://h.example:81/a") == "h.example"


@pytest.mark.parametrize(("url", "why"), [
    ("http://h.example/a/b/a/b/a/b/a/b", "repeating"), ("http://h.example/" + "/".join(map(str, range(21))), "too_deep"),
    ("http://h.example/?" + "&".join(f"p{i}=1" for i in range(17)), "too_many_parameters"), ("http://h.example/?a=1&a=2&a=3&a=4", "too_many_parameters"),
    ("http://h.example/2026/11/21/a-story?page=2", None), ("http://h.example/", None), ("http://h.example/a/b/a/b", None),
])  # fmt: skip
def test_marks_of_a_loop(url: str, why: str | None) -> None:
    assert trap(url) == why
