"""Addresses as a crawler keeps them: one spelling for one page, and what tells a loop that never ends.

`canonical` follows RFC 3986, section 6.2 (syntax-based normalisation) with hosts as IDNA. Beyond it goes only what says nothing of
the page: fragments, the marks of campaigns, and session ids. Queries keep their order, since it may matter to a server.
"""

import ipaddress
import re
from collections import Counter
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

import idna

PORTS = {"http": 80, "https": 443}
LONGEST, DEEPEST, MOST_PARAMETERS = 2000, 20, 16
TRAPS = ("too_deep", "repeating", "too_many_parameters")
REPEATED = 3
"""Times that one name may stand in a path: /a/b/a/b/a/b is a link that is relative by mistake."""
NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})?")
UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
CAMPAIGN = re.compile(r"(?:utm_[a-z_]+|fbclid|gclid|dclid|gbraid|wbraid|msclkid|yclid|mc_[ce]id|igshid|_hsenc|_hsmi|mkt_tok|wt\.mc_id)", re.I)
SESSION = re.compile(r"(?:jsessionid|phpsessid|aspsessionid[a-z]*|cfid|cftoken|sessionid|session_id|sid|zenid|osc?sid)", re.I)
SESSION_VALUE = re.compile(r"[A-Za-z0-9.!_-]{8,}")
IN_PATH = re.compile(r";(?:jsessionid|sid|phpsessid)=[^/;?]*", re.I)
DIGITS = re.compile(r"\d+")
OPAQUE = re.compile(r"(?<![A-Za-z0-9_-])(?=[A-Za-z_-]*\d)(?=[\d_-]*[A-Za-z])(?![a-z]+-[a-z])[A-Za-z0-9_-]{12,}(?![A-Za-z0-9_-])")
"""A part of a path that only a machine reads, such as a session's number."""


def canonical(href: str, base: str | None = None) -> str | None:
    """Return the one spelling of an address, of a link as it stands in the page at `base`. None for what no crawler follows.

    That is: another scheme than http and https, a name or a port that is none, credentials, more than LONGEST characters.
    """
    href = re.sub(r"[\t\r\n]", "", href).strip("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x1b\x1c\x1d\x1e\x1f ")
    if len(href) > LONGEST:
        return None
    try:
        parts = urlsplit(urljoin(base, href) if base else href)
        port, name = parts.port, parts.hostname
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    host = _host(name) if name else None
    if scheme not in PORTS or host is None or "@" in parts.netloc or port == 0:
        return None
    place = host if port in (None, PORTS[scheme]) else f"{host}:{port}"
    path = _without_dots(_escaped(IN_PATH.sub("", parts.path), "/:@!$&'()*+,;=")) or "/"
    found = urlunsplit((scheme, place, path, _query(parts.query), ""))
    return found if len(found) <= LONGEST else None


def host(url: str) -> str:
    """Return the host of a canonical address, without its port."""
    return urlsplit(url).hostname or ""


def shape(url: str) -> str:
    """Return what addresses of one kind have in common: numbers as 0, opaque parts as *, the names of the query. A calendar's pages have one."""
    parts = urlsplit(url)
    names = sorted({DIGITS.sub("0", pair.partition("=")[0]) for pair in parts.query.split("&") if pair})
    return f"{parts.netloc}{DIGITS.sub('0', OPAQUE.sub('*', parts.path))}" + (f"?{'&'.join(names)}" if names else "")


def trap(url: str) -> str | None:
    """Return why an address looks like part of a loop: `too_deep`, `repeating` or `too_many_parameters`; None where it does not."""
    parts = urlsplit(url)
    names = [name for name in parts.path.split("/") if name]
    if len(names) > DEEPEST:
        return "too_deep"
    if max(Counter(names).values(), default=0) > REPEATED:
        return "repeating"
    pairs = [pair.partition("=")[0] for pair in parts.query.split("&") if pair]
    if len(pairs) > MOST_PARAMETERS or max(Counter(pairs).values(), default=0) > REPEATED:
        return "too_many_parameters"
    return None


def _host(name: str) -> str | None:
    """A host as it is asked for: lower case, IDNA, no dot at its end; an IPv6 address in brackets."""
    if ":" in name:
        try:
            return f"[{ipaddress.IPv6Address(name)}]"
        except ValueError:
            return None
    name = name.rstrip(".")
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode()
        except (idna.IDNAError, UnicodeError):
            return None
    name = name.lower()
    return name if 0 < len(name) <= 253 and all(NAME.fullmatch(label) for label in name.split(".")) else None


def _escaped(text: str, safe: str) -> str:
    """Percent-encode what must be, decode what need not be, and write the rest in capitals."""

    def one(found: re.Match[str]) -> str:
        if not found[1]:
            return "%25"
        char = chr(int(found[1], 16))
        return char if char in UNRESERVED else found[0].upper()

    return quote(ESCAPE.sub(one, text), safe=f"{safe}%~", errors="replace")


def _without_dots(path: str) -> str:
    """Remove dot segments (RFC 3986, section 5.2.4)."""
    kept: list[str] = []
    names = path.split("/")
    for name in names:
        if name == "..":
            if len(kept) > 1:
                kept.pop()
        elif name != ".":
            kept.append(name)
    if names[-1] in (".", ".."):
        kept.append("")
    found = "/".join(kept)
    return found if found.startswith("/") else f"/{found}"


def _query(query: str) -> str:
    """A query without campaigns and sessions, each pair written one way."""
    kept = []
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if pair and not CAMPAIGN.fullmatch(name) and not (SESSION.fullmatch(name) and SESSION_VALUE.fullmatch(value)):
            kept.append(_escaped(pair, "/:@!$'()*+,;=?"))
    return "&".join(kept)
