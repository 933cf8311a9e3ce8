"""Where a page leads."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.pages.links import MOST_LINKS, links

URL = "http://h.example/a/page"


@pytest.mark.parametrize(("page", "found"), [
    ('<a href="b">x</a><a href=/c>y</a><A HREF=\'../d?x=1&amp;y=2#z\'>', ["http://h.example/a/b", "http://h.example/c", "http://h.example/d?x=1&y=2"]),
    ("<a href=b>1</a><a href=./b#part>2</a>", ["http://h.example/a/b"]),
    ("<base href=http://g.example/q/><base href=/no/><a href=b>", ["http://g.example/q/b"]),
    ("<a href=mailto:a@b.example><a href=javascript:x()><a name=x><a href=''><a href='http://[bad'>", []),
    ("<!-- <a href=no> --><script>'<a href=no>'</script><style>a{}</style><textarea><a href=no></textarea><a href=yes>", ["http://h.example/a/yes"]),
    ("<a rel='nofollow noopener' href=no><a rel=next href=yes>", ["http://h.example/a/yes"]),
    ("<map><area href=b></map><img src=c><iframe src=d></iframe><link rel=stylesheet href=e>", ["http://h.example/a/b"]),
    ("<meta http-equiv=refresh content='0; URL=b'><meta http-equiv=refresh content=5>", ["http://h.example/a/b"]),
    ('<a title="a > b" href=b>', ["http://h.example/a/b"]),
    ("""<a data-s1="see href='no'" href=yes><a x='1'href=b><a title = "href=no" HREF = c>""", [f"http://h.example/a/{name}" for name in ("yes", "b", "c")]),
    ("<a href=b href=no><a ='no' href=c><a/href=d/><a href>", [f"http://h.example/a/{name}" for name in ("b", "c", "d/")]),
    ("<svg><title/><style/></svg><script src=x.js/><a href=b>", ["http://h.example/a/b"]),
    ("<a href='b", []), ("", []), ("<", []), ("<a", []), ("</a href=b>", []),
])
def test_links(page: str, found: list[str]) -> None:
    assert links(page.encode(), URL).links == found


def test_what_the_head_says() -> None:
    page = b"<link rel='canonical' href='/one'><link rel=canonical href=/two><meta name=ROBOTS content='noindex'><meta name=tdm-reservation content=1>"
    found = links(page, URL)
    assert found.canonical == "http://h.example/one"
    assert found.metas == [("robots", "noindex"), ("tdm-reservation", "1")]


def test_a_page_of_links_ends() -> None:
    """What is looked at of a page that is nothing else."""
    assert len(links(b"".join(b"<a href=%d>" % n for n in range(12_000)), URL).links) == MOST_LINKS
    for tag in (b"<a href=x>", b"<a href=http://[bad>", b"<a " + b"x=y " * 200_000 + b">"):
        start = time.process_time()
        assert len(links(tag * ((8 << 20) // len(tag)), URL).links) <= 1
        assert time.process_time() - start < 10


PIECES = ["<a href=", "'", '"', ">", "<!--", "-->", "<script>", "</script>", "<base href=", "x", " ", "<", "/", "=", "\0", "é", "<meta content="]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_whatever_the_bytes_are_links_are_canonical(parts: list[str]) -> None:
    for link in links("".join(parts).encode(), URL).links:
        assert link.startswith(("http://", "https://"))
        assert links(f"<a href='{link.replace(chr(39), '%27')}'>".encode(), URL).links
