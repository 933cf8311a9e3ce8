"""Personal data with a shape of its own: e-mail addresses and public IPv4 addresses, as spans."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import numba
import numpy as np
import polars as pl
import pyarrow as pa

from catalog.schema import SPAN, text_bytes
from catalog.split import Bytes, Offsets
from catalog.stage import declares

ADDS = {"spans": pa.list_(SPAN), "emails": pa.int64(), "ips": pa.int64()}
EMAIL, IP = "email", "ip"
AROUND = 256  # bytes on each side of a candidate that are looked at

# The longest name of a domain is 253 bytes, of a mailbox 64 (RFC 5321, 4.5.3.1). Quoted mailboxes are not looked for.
MAILBOX = re.compile(r"[a-z0-9_À-ɏ][a-z0-9_À-ɏ%+-]*(?:[.'][a-z0-9_À-ɏ%+-]+)*$", re.IGNORECASE)
DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:xn--[a-z0-9-]{1,59}|[a-z]{2,24})(?![\w(-])", re.ASCII | re.IGNORECASE)
IN_ADDRESS = re.compile(r"//[^\s/@]*$")  # what stands before the @ of user@host in a URL
SECURE_COPY = re.compile(r":[\w~/.-]*/")  # what follows git@host in the address of a repository
RESERVED = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|net|org))?|test|invalid|local|localhost)$")  # RFC 2606

ENDINGS = """
ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cc cd cf
cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gd ge gf gg
gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn
kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na
nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh
si sj sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc
ve vg vi vn vu wf ws ye yt za zm zw com org net edu gov mil int info biz name pro aero arpa asia cat coop jobs mobi
museum post tel travel app academy agency art associates bank bar berlin best bio blog boutique buzz cafe capital care
cash center chat church city claims click clinic cloud club coach codes coffee community company computer consulting
contact cool credit dance deals dental design dev digital direct directory dog domains earth education email energy
engineer engineering enterprises equipment estate events exchange expert express family farm fashion finance financial
fit fitness foundation fun fund fyi gallery games gift global gmbh gold golf graphics group guide guru hamburg health
help holdings hospital host hosting house immo institute insurance international investments koeln land law lawyer
legal life limited link live llc loan lol london ltd management market marketing mba media men moda money movie
network news ngo ninja nyc one online ong paris partners parts party pet photo photography photos pics pizza place
plus press productions properties pub recipes rentals repair report restaurant review reviews rocks ruhr run sale
school science services shop show site social software solar solutions space store stream studio style supply support
surgery swiss systems taipei tax team tech technology tennis tips today tokyo tools top tours town toys trade training
tube university vegas ventures vet video vip vision vlaanderen vote website wien wiki win wine work works world wtf
xxx xyz yoga zone
"""
TOPS = frozenset(ENDINGS.split())
"""The countries' top-level domains and the others in which people have mail: what tells bob@mail.online from hidden@self.weight."""

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


@declares(reads=("text",), adds=ADDS, version=2)
def spans(batch: pl.DataFrame) -> pl.DataFrame:
    """Return the family `pii`: where a text names an e-mail address or a public IPv4 address, one row a document.

    spans         kind (email, ip), start and end in characters of the text as ingested, in order, never overlapping
    emails, ips   how many of each
    Not counted: mail at the domains reserved for examples, user names in URLs and repository addresses, words around an @ that
    end in no known top-level domain; private, reserved and multicast addresses, and dotted numbers that are a version, a
    section or part of a longer number. Four numbers all below 20 (1.1.1.1, 5.9.12.3) are more often a version or a section than
    an address: they count where a word beside them says so (host, server, DNS, ping, from ...), or a port (1.1.1.1:53), a
    prefix (/24) or a URL's `://`; only the resolvers 8.8.8.8, 8.8.4.4 and 9.9.9.9 count without. Names, telephone numbers and
    IPv6 are not looked for.
    """
    data, texts = text_bytes(batch["text"])
    found = list(_found(data, *_candidates(data, texts)))
    rows = np.array([row for row, _, _, _ in found], np.int64)
    places = _characters(data, texts, rows.repeat(2), np.array([place for _, _, *ends in found for place in ends], np.int64))
    owners = np.searchsorted(rows, np.arange(batch.height + 1))
    kinds = [kind for _, kind, _, _ in found]
    fields = [pa.array(kinds, pa.string()), pa.array(places[0::2]), pa.array(places[1::2])]
    column = pa.LargeListArray.from_arrays(pa.array(owners), pa.StructArray.from_arrays(fields, fields=list(SPAN)))
    counts = {f"{kind}s": np.bincount(rows[[k == kind for k in kinds]], minlength=batch.height) for kind in (EMAIL, IP)}
    return pl.DataFrame([pl.Series("spans", pl.from_arrow(column)), *(pl.Series(name, count) for name, count in counts.items())])


def _found(data: Bytes, rows: Offsets, places: Offsets, starts: Offsets, ends: Offsets) -> Iterator[tuple[int, str, int, int]]:
    """Yield row, kind, start and end (in bytes) of each candidate that is what it looks like."""
    taken = -1
    for row, place, start, end in zip(rows.tolist(), places.tolist(), starts.tolist(), ends.tolist(), strict=True):
        before = data[max(start, place - AROUND) : place].tobytes().decode(errors="ignore")
        after = data[place : min(end, place + AROUND)].tobytes().decode(errors="ignore")
        span = _email(before, after[1:]) if after.startswith("@") else _ip(before, after)
        if span is not None and place - len(span[0].encode()) >= taken:
            taken = place + len(span[1].encode())
            kind = EMAIL if after.startswith("@") else IP
            yield row, kind, place - len(span[0].encode()), taken


def _email(before: str, after: str) -> tuple[str, str] | None:
    """Return what of an address stands before its @, and the rest with the @."""
    mailbox, domain = MAILBOX.search(before), DOMAIN.match(after)
    if mailbox is None or domain is None or len(mailbox[0]) > 64 or IN_ADDRESS.search(before):
        return None
    labels = domain[0].lower().split(".")
    while len(labels) > 1 and not (labels[-1] in TOPS or labels[-1].startswith("xn--")):
        labels.pop()  # bob@mail.org.Please
    name = ".".join(labels)
    if len(labels) < 2 or RESERVED.search(name) or SECURE_COPY.match(after, len(name)):
        return None
    return mailbox[0], "@" + after[: len(name)]


def _ip(before: str, after: str) -> tuple[str, str] | None:
    """Return nothing, and the address."""
    quad = after[: DOTTED.match(after).end()].rstrip(".")  # type: ignore[union-attr]
    address = IPv4Address(quad)
    if any(address in block for block in PRIVATE) or NUMBERED.search(before[-24:].lower()):
        return None
    if address not in RESOLVERS and all(number < SMALL for number in address.packed):
        near = before[-32:].lower() + " " + after[len(quad) : len(quad) + 32].lower()
        if not (ADDRESSED.search(near) or PORT.match(after, len(quad))):
            return None
    return "", quad


@numba.njit(cache=True, nogil=True)
def _candidates(data: Bytes, texts: Offsets) -> tuple[Offsets, Offsets, Offsets, Offsets]:
    """Return row, place, and the start and end of the text, of each @ between a name and a domain and of each dotted quad, in bytes."""
    most = 0
    for byte in data:
        most += byte == 0x40 or byte == 0x2E
    rows, places = np.empty(most, np.int64), np.empty(most, np.int64)
    count = 0
    for d in range(texts.size - 1):
        start, stop, i = texts[d], texts[d + 1], texts[d]
        while i < stop:
            b, size = data[i], 0
            if b == 0x40 and i > start and _named(data[i - 1]) and _labelled(data, i + 1, stop):
                size = 1
            elif 0x30 <= b <= 0x39 and _free(data, start, i):
                size = _quad(data, i, stop)
            if size:
                rows[count], places[count] = d, i
                count += 1
            i += max(size, 1)
    rows, places = rows[:count], places[:count]
    return rows, places, texts[rows], texts[rows + 1]


@numba.njit(cache=True, nogil=True)
def _named(byte: int) -> bool:
    """Say whether a byte can be part of a name: ASCII letters, digits and _ + - %, and all that is not ASCII."""
    lower = byte | 0x20
    return 0x61 <= lower <= 0x7A or 0x30 <= byte <= 0x39 or byte >= 0x80 or byte in (0x5F, 0x2B, 0x2D, 0x25)


@numba.njit(cache=True, nogil=True)
def _labelled(data: Bytes, at: int, stop: int) -> bool:
    """Say whether a domain's first name and its dot stand at a byte."""
    i = at
    while i < min(stop, at + 64) and data[i] < 0x80 and _named(data[i]):
        i += 1
    return i > at and i < stop and data[i] == 0x2E


@numba.njit(cache=True, nogil=True)
def _free(data: Bytes, start: int, at: int) -> bool:
    """Say whether a number may start at a byte: behind no name, number or dot, and behind a hyphen only where no letter has it."""
    if at == start:
        return True
    if data[at - 1] == 0x2D:
        return not (at - 2 >= start and 0x61 <= data[at - 2] | 0x20 <= 0x7A)
    return data[at - 1] >= 0x80 or not (_named(data[at - 1]) or data[at - 1] == 0x2E)


@numba.njit(cache=True, nogil=True)
def _quad(data: Bytes, at: int, stop: int) -> int:
    """Return the size of the four dotted numbers (0 to 255, no leading zeros) at a byte, 0 where they are not, or are part of more."""
    i = at
    for part in range(4):
        first, value = i, 0
        while i < stop and i < first + 3 and 0x30 <= data[i] <= 0x39:
            value = value * 10 + data[i] - 0x30
            i += 1
        if i == first or value > 255 or (data[first] == 0x30 and i > first + 1):
            return 0
        if part < 3:
            if i == stop or data[i] != 0x2E:
                return 0
            i += 1
    if i < stop and data[i] < 0x80 and _named(data[i]) and data[i] != 0x2D:
        return 0
    if i + 1 < stop and (data[i] == 0x2E or data[i] == 0x2D) and data[i + 1] < 0x80 and _named(data[i + 1]):
        return 0 if data[i] == 0x2E or not 0x30 <= data[i + 1] <= 0x39 else i - at
    return i - at


@numba.njit(cache=True, nogil=True)
def _characters(data: Bytes, texts: Offsets, rows: Offsets, places: Offsets) -> Offsets:
    """Return byte places, which ascend, as characters from the start of their texts."""
    out = np.empty(places.size, np.int64)
    at = char = 0
    for k in range(places.size):
        if k == 0 or rows[k] != rows[k - 1]:
            at, char = texts[rows[k]], 0
        for i in range(at, places[k]):
            char += data[i] & 0xC0 != 0x80
        at, out[k] = places[k], char
    return out
