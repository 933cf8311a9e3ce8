"""Sites for crawls, on loopback addresses of their own: what is asked of each, when, and answers that are as bad as they get."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

PROSE = (
    "The keeper of the upper lock had watched the water for thirty years, and he knew its moods better than those of his own children. "
    "When the rain came from the west he opened the small sluice first, and waited until the mill pond stood level with the stone. "
)
Answer = bytes | Callable[[socket.socket], None]
"""What is sent: bytes, or a function that writes to the connection itself."""


@dataclass
class Host:
    """A server on an address of its own. `pages` by path; `default` answers for any other. `asked`: path, headers, start, end."""

    address: str
    pages: dict[str, Answer] = field(default_factory=dict)
    default: Callable[[str], Answer] | None = None
    pause: float = 0.0
    asked: list[tuple[str, str, float, float]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    def paths(self) -> list[str]:
        """What was asked for, but for robots.txt, in order."""
        return [path for path, _, _, _ in self.asked if path != "/robots.txt"]

    def answer(self, wire: socket.socket) -> None:
        started = time.time()
        request = wire.recv(65536).decode("latin-1")
        path = request.split(" ", 2)[1] if " " in request else ""
        time.sleep(self.pause)
        said = self.pages.get(path)
        if said is None:
            said = self.default(path) if self.default else page(f"nothing at {path}", status="404 Not Found")
        number = len(self.asked)
        self.asked.append((path, request, started, 0.0))
        with contextlib.suppress(OSError):
            wire.sendall(said) if isinstance(said, bytes) else said(wire)
        self.asked[number] = (path, request, started, time.time())


@contextlib.contextmanager
def serving(*hosts: Host) -> Iterator[None]:
    """Serve until the block ends."""
    with contextlib.ExitStack() as stack:
        for host in hosts:
            server = stack.enter_context(socket.create_server((host.address, 0), backlog=64))
            host.port = server.getsockname()[1]
            threading.Thread(target=_serve, args=(server, host), daemon=True).start()
            stack.callback(server.shutdown, socket.SHUT_RDWR)
        yield


def _serve(server: socket.socket, host: Host) -> None:
    while True:
        try:
            wire, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_one, args=(wire, host), daemon=True).start()


def _one(wire: socket.socket, host: Host) -> None:
    with wire, contextlib.suppress(OSError):
        host.answer(wire)


def page(body: str | bytes, *, status: str = "200 OK", kind: str = "text/html; charset=utf-8", headers: str = "") -> bytes:
    """An answer, whole and honest."""
    raw = body.encode() if isinstance(body, str) else body
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(raw)}\r\n{headers}\r\n".encode() + raw


def article(title: str, *links: str, head: str = "", more: str = "") -> str:
    """A page of prose with links."""
    shown = "".join(f'<li><a href="{link}">{link}</a></li>' for link in links)
    text = "".join(f"<p>{title}, part {part}. {PROSE}</p>" for part in range(3))
    return f"<html><head><title>{title}</title>{head}</head><body><article><h1>{title}</h1>{text}{more}</article><ul>{shown}</ul></body></html>"


def to(location: str, status: str = "301 Moved Permanently") -> bytes:
    return page("", status=status, headers=f"Location: {location}\r\n")


ROBOTS = page("User-agent: *\nDisallow: /private/\n\nUser-agent: GPTBot\nUser-agent: CCBot\nDisallow: /\n", kind="text/plain")
