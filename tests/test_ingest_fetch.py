"""One request against servers that misbehave, on real sockets: what comes is kept, what does not end is ended, what is private is not asked."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ingest.crawling.fetch import Fetched, Limits, fetch, is_public

HERE = ("127.0.0.1",)
QUICK = Limits(seconds=3.0, connect=1.0, idle=1.0, header=8 << 10, body=200_000)
Says = Callable[[socket.socket], None]


@contextlib.contextmanager
def serving(says: Says) -> Iterator[tuple[str, list[bytes]]]:
    """A server on loopback that reads each request and then does as it is told. Yields its address and the requests."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    wire, _ = server.accept()
                except OSError:
                    return
                with wire, contextlib.suppress(OSError):
                    asked.append(wire.recv(65536))
                    says(wire)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
        server.shutdown(socket.SHUT_RDWR)


def sends(*pieces: bytes, pause: float = 0.0) -> Says:
    def say(wire: socket.socket) -> None:
        for piece in pieces:
            wire.sendall(piece)
            time.sleep(pause)

    return say


def asked(says: Says, path: str = "/", limits: Limits = QUICK) -> Fetched:
    with serving(says) as (base, _):
        return fetch(base + path, agent="test/1 (+mailto:a@example.com)", allow_hosts=HERE, limits=limits)


OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"


def test_an_answer_is_kept_byte_for_byte() -> None:
    answer = OK + b"Content-Length: 5\r\nX-Two: a\r\nX-Two: b\r\n\r\nhello"
    with serving(sends(answer + b"what comes after")) as (base, requests):
        found = fetch(f"{base}/a%20b?q=1", agent="test/1", headers=[("If-None-Match", '"x"')], allow_hosts=HERE, limits=QUICK)
    assert (found.status, found.body, found.truncated, found.fault, found.ip) == (200, b"hello", None, None, "127.0.0.1")
    assert found.answer == answer
    assert found.header("X-Two") == "a, b"
    assert requests == [found.request]
    assert found.request.startswith(b"GET /a%20b?q=1 HTTP/1.1\r\n")
    assert b"User-Agent: test/1\r\n" in found.request
    assert b'If-None-Match: "x"\r\n' in found.request
    assert b"ookie" not in found.request


def test_chunks_are_undone_in_the_body_and_kept_in_the_answer() -> None:
    answer = OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    found = asked(sends(answer))
    assert (found.body, found.answer, found.truncated) == (b"hello world", answer, None)


def test_what_comes_before_an_answer_is_none_of_it() -> None:
    answer = OK + b"Content-Length: 2\r\n\r\nok"
    found = asked(sends(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + answer))
    assert (found.status, found.answer) == (200, answer)


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    assert asked(sends(OK + b"\r\nall of it")).body == b"all of it"


@pytest.mark.parametrize(("says", "truncated", "body"), [
    (sends(OK + b"Content-Length: 50\r\n\r\nshort"), "disconnect", b"short"),
    (sends(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"), "disconnect", b"hello"),
    (sends(OK + b"Content-Length: 9\r\n\r\nslow", b"", pause=2.0), "time", b"slow"),
    (sends(OK + b"\r\n", *[b"drip"] * 60, pause=0.1), "time", None),
    (sends(OK + b"\r\n", *[b"x" * 50_000] * 20), "length", b"x" * 200_000),
], ids=["lying length", "broken chunks", "silent", "dripping", "endless"])  # fmt: skip
def test_a_body_that_is_not_whole_says_why(says: Says, truncated: str, body: bytes | None) -> None:
    started = time.monotonic()
    found = asked(says)
    assert (found.status, found.truncated, found.fault) == (200, truncated, None)
    assert body is None or found.body == body
    assert time.monotonic() - started < QUICK.seconds + 30


@pytest.mark.parametrize(("says", "fault"), [
    (sends(), "disconnect"), (sends(b"garbage\r\n\r\n"), "bad_http"), (sends(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20_000 + b"\r\n\r\n"), "bad_http"),
    (sends(b"HTTP/1.1 200 OK\r\n", pause=2.0), "timeout"), (sends(b"HTTP/1.1 200 OK\r\n", *[b"X: y\r\n"] * 60, pause=0.1), "timeout"),
], ids=["nothing", "no HTTP", "endless header", "silent header", "dripping header"])  # fmt: skip
def test_no_answer_says_why(says: Says, fault: str) -> None:
    found = asked(says)
    assert (found.status, found.fault) == (None, fault)
    assert found.error


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with serving(sends(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n")) as (base, requests):
        found = fetch(base + "/", agent="t", allow_hosts=HERE, limits=QUICK)
    assert (found.status, found.header("location"), len(requests)) == (302, "http://169.254.169.254/", 1)


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert fetch(f"http://127.0.0.1:{port}/", agent="t", allow_hosts=HERE, limits=QUICK).fault == "connect"
    assert fetch("http://no.such.name.invalid/", agent="t", limits=QUICK).fault == "dns"


def test_tls_that_is_none() -> None:
    with serving(sends(b"HTTP/1.1 200 OK\r\n\r\n")) as (base, _):
        assert fetch(base.replace("http:", "https:") + "/", agent="t", allow_hosts=HERE, limits=QUICK).fault == "tls"


@pytest.mark.parametrize("address", [
    "127.0.0.1", "127.8.9.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1", "255.255.255.255", "192.0.2.1",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "2001:db8::1",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe", "::ffff:0:127.0.0.1",
])  # fmt: skip
def test_addresses_that_are_not_of_the_open_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_addresses_that_are(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}/", "http://localhost:{}/", "http://[::ffff:127.0.0.1]:{}/", "http://2130706433:{}/", "http://0x7f.1:{}/"])
def test_what_is_private_is_not_asked_however_it_is_written(url: str) -> None:
    with serving(sends(OK + b"\r\nsecret")) as (base, requests):
        found = fetch(url.format(base.rpartition(":")[2]), agent="t", limits=QUICK)
    assert found.fault == "private_address"
    assert found.body == b""
    assert requests == []


def test_a_name_that_changes_its_mind_is_asked_where_it_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: public when checked, private when asked again. It is not asked again."""
    looked: list[str] = []
    joined: list[tuple[str, int]] = []

    def look_up(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        looked.append(host)
        ip = "93.184.216.34" if len(looked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)), (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", port))]

    def connect(self: socket.socket, where: tuple[str, int]) -> None:
        joined.append(where)
        raise ConnectionRefusedError("as this test has no internet")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket.socket, "connect", connect)
    assert fetch("http://changing.example:8080/", agent="t", limits=QUICK).fault == "connect"
    assert looked == ["changing.example"]
    assert joined == [("93.184.216.34", 8080)], "neither the private one beside it nor what it says later"


@pytest.mark.parametrize("url", [
    "ftp://example.com/", "file:///etc/passwd", "http://user:word@example.com/", "http://example.com:22/", "http://example.com:6667/", "http://example.com:99999/",
])  # fmt: skip
def test_what_is_never_asked(url: str) -> None:
    assert fetch(url, agent="t", limits=QUICK).fault == "bad_address"


def test_a_header_cannot_carry_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(sends(OK + b"\r\n")) as (base, requests):
        assert fetch(base + "/", agent="t\r\nX-Evil: 1", allow_hosts=HERE, limits=QUICK).fault == "bad_address"
    assert requests == []
