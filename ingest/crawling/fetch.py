"""One request, done safely: the address that was checked is the one that is connected to, and nothing that comes back is believed.

Only http and https; no credentials, no cookies; no private, loopback or link-local address unless its host is allowed by name; limits on time,
header and body. A redirect is an answer like any other: who follows it asks again, and every hop is checked. What came is kept
byte for byte, for the archive.
"""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import h11

CHUNK = 64 << 10
CARRIERS = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "::/96")))
"""IPv6 addresses whose last 32 bits are an IPv4 address: NAT64, mapped, translated, compatible."""
BAD_PORTS = frozenset((1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, *range(6665, 6670), 6679, 6697, 10080))
"""Ports over 1023 that the Fetch standard blocks: what listens there is no web server. Of those under 1024 only 80 and 443 are asked."""
FAULTS = ("bad_address", "dns", "private_address", "connect", "tls", "timeout", "bad_http", "disconnect")
"""Why a request has no answer."""

Address = tuple[int, tuple[str, int] | tuple[str, int, int, int]]


@dataclass(frozen=True)
class Limits:
    """Seconds for a whole request, for its connection, and between two pieces; bytes of a header, and of a whole answer."""

    seconds: float = 60.0
    connect: float = 10.0
    idle: float = 20.0
    header: int = 64 << 10
    body: int = 16 << 20


@dataclass(frozen=True)
class Fetched:
    """What became of one request. `answer` is as it came (header, chunks and all), `body` with chunks undone but still compressed.

    `fault` is one of FAULTS, and then there is no status. `truncated` is why the body is not whole: `length`, `time` or `disconnect`
    (WARC 1.1, section 5.13).
    """

    url: str
    at: datetime
    request: bytes = b""
    ip: str | None = None
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    answer: bytes = b""
    body: bytes = b""
    truncated: str | None = None
    fault: str | None = None
    error: str = ""

    def header(self, name: str) -> str | None:
        """Return the values of a header, as one."""
        found = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(found) if found else None


class _Fault(Exception):
    def __init__(self, fault: str, error: str) -> None:
        self.fault, self.error = fault, error
        super().__init__(fault)


def fetch(url: str, *, agent: str, headers: Sequence[tuple[str, str]] = (), allow_hosts: Collection[str] = (), limits: Limits = Limits()) -> Fetched:
    """Ask for a canonical address once. Never raises for what the network or the other side does."""
    at, until = datetime.now(UTC), time.monotonic() + limits.seconds
    request, ip = b"", None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        if parts.scheme not in ("http", "https") or "@" in parts.netloc or (port < 1024 and port not in (80, 443)) or port in BAD_PORTS:
            raise _Fault("bad_address", f"{parts.scheme} at port {port}")
        line = h11.Connection(h11.CLIENT, max_incomplete_event_size=limits.header)
        target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
        asked = h11.Request(method="GET", target=target, headers=_headers(parts.netloc, agent, headers))
        request = (line.send(asked) or b"") + (line.send(h11.EndOfMessage()) or b"")
        with _connected(host, port, parts.scheme, allow_hosts, limits, until) as wire:
            ip = str(wire.getpeername()[0])
            wire.sendall(request)
            return _answer(line, wire, Fetched(url, at, request, ip), limits, until)
    except _Fault as fault:
        return Fetched(url, at, request, ip, fault=fault.fault, error=fault.error)
    except (h11.LocalProtocolError, ValueError) as error:
        return Fetched(url, at, request, ip, fault="bad_address", error=str(error))
    except TimeoutError:
        return Fetched(url, at, request, ip, fault="timeout", error=f"more than {limits.seconds:g} s, or {limits.idle:g} s of silence")
    except OSError as error:
        return Fetched(url, at, request, ip, fault="disconnect", error=str(error))


def is_public(address: str) -> bool:
    """Whether an address is of the open internet, and so is every IPv4 address that it carries inside."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if any(found in carrier for carrier in CARRIERS):
            return is_public(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
        inside = [found.sixtofour, *(found.teredo or ())]
        if not all(is_public(str(one)) for one in inside if one is not None):
            return False
    return found.is_global and not found.is_multicast


def _headers(netloc: str, agent: str, more: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [
        ("Host", netloc), ("User-Agent", agent), ("Accept", "text/html,application/xhtml+xml,text/plain;q=0.9,*/*;q=0.1"),
        ("Accept-Encoding", "gzip"), ("Connection", "close"), *more,
    ]  # fmt: skip


def _addresses(host: str, port: int, allow_hosts: Collection[str], seconds: float) -> list[Address]:
    """Look a name up, once, and leave out what may not be asked."""
    found: list[Address] = []
    failed: list[OSError] = []

    def look_up() -> None:
        try:
            found.extend((family, where) for family, _, _, _, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))  # type: ignore[misc]
        except (OSError, UnicodeError) as error:
            failed.append(error if isinstance(error, OSError) else OSError(str(error)))

    looking = threading.Thread(target=look_up, daemon=True)  # the resolver knows no limit
    looking.start()
    looking.join(seconds)
    if looking.is_alive() or failed or not found:
        raise _Fault("dns", str(failed[0]) if failed else f"no answer in {seconds:g} s")
    if host.lower() in {name.lower().strip("[]") for name in allow_hosts}:
        return found
    public = [one for one in found if is_public(str(one[1][0]))]
    if not public:
        raise _Fault("private_address", f"{host} is at {found[0][1][0]}; allow_hosts: [{host}] lets it be asked")
    return public


def _connected(host: str, port: int, scheme: str, allow_hosts: Collection[str], limits: Limits, until: float) -> socket.socket:
    """Connect to one of the addresses that were checked: the name is not looked up again."""
    why: OSError | None = None
    for family, where in _addresses(host, port, allow_hosts, min(limits.connect, _left(until))):
        wire = socket.socket(family, socket.SOCK_STREAM)
        try:
            wire.settimeout(min(limits.connect, _left(until)))
            wire.connect(where)
            if scheme == "https":
                wire = ssl.create_default_context().wrap_socket(wire, server_hostname=host)
            return wire
        except ssl.SSLError as error:
            wire.close()
            raise _Fault("tls", str(error)) from None
        except OSError as error:
            wire.close()
            why = error
    raise _Fault("connect", str(why))


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _answer(line: h11.Connection, wire: socket.socket, so_far: Fetched, limits: Limits, until: float) -> Fetched:
    """Read the answer as far as the limits let it come."""
    came, body = bytearray(), bytearray()
    response: h11.Response | None = None
    truncated: str | None = None
    while truncated is None:
        try:
            event = line.next_event()
        except h11.RemoteProtocolError as error:
            if response is None:
                raise _Fault("bad_http" if came else "disconnect", str(error)) from None
            truncated = "disconnect"
            break
        if event is h11.NEED_DATA:
            try:
                wire.settimeout(min(limits.idle, _left(until)))
                piece = wire.recv(CHUNK)
            except TimeoutError:
                if response is None:
                    raise
                truncated = "time"
                break
            came += piece
            line.receive_data(piece)
        elif isinstance(event, h11.InformationalResponse):
            came = bytearray(line.trailing_data[0])          # 103 and the like stand before the answer and are none
        elif isinstance(event, h11.Response):
            if len(came) - len(line.trailing_data[0]) > limits.header:
                raise _Fault("bad_http", f"a header of more than {limits.header:,} bytes")
            response = event
        elif isinstance(event, h11.Data):
            body += event.data
            truncated = "length" if len(body) > limits.body else None
        else:
            break
    assert response is not None, "an answer ends behind its header"
    rest = len(line.trailing_data[0]) if truncated is None else 0
    headers = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers)
    return Fetched(
        so_far.url, so_far.at, so_far.request, so_far.ip, response.status_code, headers, bytes(came[: len(came) - rest]), bytes(body[: limits.body]), truncated,
    )  # fmt: skip
