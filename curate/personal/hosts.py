"""Public addresses of machines: IPv4, which a version or a section may look like, and IPv6."""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

PRIVATE = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
        "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
    )
)  # fmt: skip
"""What IANA's registry of special-purpose addresses says is not a host on the internet, multicast included."""

NUMBERED = re.compile(  # what makes a dotted quad behind it a version or a place in a document
    r"(?:^|[^a-z])(?:v|ver|vers|versions?|releases?|rel|build|rev|revision|firmware|driver|update|patch|kernel|sections?|sect?|chapters?|ch|"
    r"clauses?|articles?|art|paragraphs?|para|appendix|annex|tables?|figures?|fig|rules?|isbn|oid|rfc|§+|版本|版本号)[\s.:#=(\"'-]*$"
)
ADDRESSED = re.compile(
    r"\b(?:ips?v?4?|addr(?:ess)?(?:es)?|hosts?|(?:name-?)?servers?|dns|ping|gateway|subnet|clients?|from|port|proxy|peer|router|ssh|curl|nslookup|dig|whois"
    r"|traceroute)(?=\W)|://"
)
DOTTED = re.compile(r"[0-9.]*")
PORT = re.compile(r":[0-9]{2,5}\b|/[0-9]{1,2}\b")
SMALL = 20  # a quad of numbers all below this is an address only where something says so
RESOLVERS = frozenset(map(IPv4Address, ("8.8.8.8", "8.8.4.4", "9.9.9.9")))
"""Small addresses that are no version or section in any text seen. 1.1.1.1 is a section and an enzyme, 1.0.0.1 a version: they need words around them."""

GROUPS = re.compile(
    r"[23][0-9a-f]{3}:(?:[0-9a-f]{0,4}:){1,6}[0-9a-f]{0,4}(?<!:)(?![\w:]|\.\d)"
    r"|[23][0-9a-f]{3}:(?:[0-9a-f]{1,4}:){1,5}:(?![\w:])",
    re.IGNORECASE,
)
RESERVED = tuple(IPv6Network(block) for block in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
"""In IANA's registry of special-purpose addresses: protocol assignments, documentation, 6to4."""


def ipv4(before: str, after: str) -> str | None:
    """Return the address that `after` begins with, if it is a public one and no version."""
    quad = after[: DOTTED.match(after).end()].rstrip(".")  # type: ignore[union-attr]
    address = IPv4Address(quad)
    if any(address in block for block in PRIVATE) or NUMBERED.search(before[-24:].lower()):
        return None
    if address not in RESOLVERS and all(number < SMALL for number in address.packed):
        near = before[-32:].lower() + " " + after[len(quad) : len(quad) + 32].lower()
        if not (ADDRESSED.search(near) or PORT.match(after, len(quad))):
            return None
    return quad


def ipv6(after: str) -> str | None:
    """Return the address that `after` begins with, if it is a global one (2000::/3; RFC 4291) and none of those reserved."""
    match = GROUPS.match(after)
    if match is None:
        return None
    try:
        address = IPv6Address(match[0])
    except ValueError:
        return None
    return None if any(address in block for block in RESERVED) else match[0]
