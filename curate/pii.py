"""Personal data with a shape of its own, as spans: addresses, telephone numbers, numbers of cards, accounts and identities, wallets."""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from catalog.schema import SPAN, text_bytes
from catalog.split import Bytes, Offsets
from catalog.stage import declares
from curate.personal.candidates import ACCOUNT, COLONS, MAIL, NUMBER, QUAD, candidates
from curate.personal.context import linked
from curate.personal.hosts import ipv4, ipv6
from curate.personal.judge import Span, judge_number, judge_word
from curate.personal.mail import email
from curate.personal.phones import check_regions
from curate.text.places import characters

KINDS = ("email", "ip", "phone", "card", "iban", "id", "wallet")
ADDS = {"spans": pa.list_(SPAN), **{f"{kind}s": pa.int64() for kind in KINDS}}
AROUND = 256  # bytes on each side of a candidate that are looked at
REGIONS = ("US", "GB", "FR", "DE", "ES", "IT", "IN", "AU")


@declares(reads=("text",), adds=ADDS, version=3, packages=("phonenumbers",))
def spans(batch: pl.DataFrame, *, regions: Sequence[str] = REGIONS) -> pl.DataFrame:
    """Return the family `pii`: where a text names a person's or a machine's address or number, one row a document.

    spans         kind (email, ip, phone, card, iban, id, wallet), start and end in characters of the text as ingested, in order, never overlapping
    emails, ips, phones, cards, ibans, ids, wallets   how many of each
    email    Not counted: mail at the domains reserved for examples, user names in URLs and repository addresses, words around an @ that end in no
             known top-level domain.
    ip       Public addresses, IPv4 and IPv6. Not: private, reserved and multicast ones, and dotted numbers that are a version, a section or part of a
             longer number. Four numbers all below 20 (1.1.1.1, 5.9.12.3) count where a word beside them says so (host, server, DNS, ping, from ...), or
             a port (1.1.1.1:53), a prefix (/24) or a URL's `://`; only the resolvers 8.8.8.8, 8.8.4.4 and 9.9.9.9 count without.
    phone    With + and the country anywhere; without, in a shape that nothing else has ((212) 555-0123, 212-555-0123, 06 12 34 56 78) if one of `regions` has
             such a number, or beside a word such as tel, phone, call, fax, mobile, WhatsApp, in some twenty languages. Numbers kept for fiction count too.
    card     12 to 19 digits that pass Luhn's check: in a row or in a card's groups if an issuer has such numbers, any beside a word such as card.
    iban     A country's length and a check that is right.
    id       33 numbers that 29 states give (curate/personal/identities.py) with form, date and check digits right; beside a word that names them where
             these could be right by chance.
    wallet   Bitcoin, Litecoin, Dogecoin, Dash, Zcash, Tron, Ripple by checksum; Ethereum by the case of its letters, or beside a word such as wallet.
    No phone, card, IBAN or id counts in a URL, a DOI or a path, nor where the nearest word says that it is another thing
    (ISBN, IMEI, order no., version, timestamp, serial, tracking ...). Names, streets, passports and driving licences are not looked for.

    regions  countries (ISO 3166) whose own formats of telephone numbers are known by shape
    """
    if tuple(regions) != REGIONS:
        check_regions(regions)
    data, texts = text_bytes(batch["text"])
    found = list(_found(data, texts, candidates(data, texts), tuple(regions)))
    rows = np.array([row for row, _, _, _ in found], np.int64)
    places = characters(data, texts, rows.repeat(2), np.array([place for _, _, *ends in found for place in ends], np.int64))
    owners = np.searchsorted(rows, np.arange(batch.height + 1))
    kinds = np.array([KINDS.index(kind) for _, kind, _, _ in found], np.int64)
    fields = [pa.array([kind for _, kind, _, _ in found], pa.string()), pa.array(places[0::2]), pa.array(places[1::2])]
    column = pa.LargeListArray.from_arrays(pa.array(owners), pa.StructArray.from_arrays(fields, fields=list(SPAN)))
    counts = [pl.Series(f"{kind}s", np.bincount(rows[kinds == place], minlength=batch.height)) for place, kind in enumerate(KINDS)]
    return pl.DataFrame([pl.Series("spans", pl.from_arrow(column)), *counts])


def _found(data: Bytes, texts: Offsets, places: Offsets, regions: tuple[str, ...]) -> Iterator[tuple[int, str, int, int]]:
    """Yield row, kind, start and end (in bytes) of each candidate that is what it looks like, in order and apart."""
    taken = 0
    for row, sort, start, end in places.tolist():
        first, last = int(texts[row]), int(texts[row + 1])
        before = data[max(first, start - AROUND) : start].tobytes().decode(errors="ignore")
        body = data[start:end].tobytes().decode()
        after = data[end : min(last, end + AROUND)].tobytes().decode(errors="ignore")
        for left, right, kind in _judged(sort, before, body, after, regions):
            said = before + body + after
            begin = start - len(said[len(before) + left : len(before)].encode()) + len(said[len(before) : len(before) + max(left, 0)].encode())
            stop = begin + len(said[len(before) + left : len(before) + right].encode())
            if begin >= taken:
                taken = stop
                yield row, kind, begin, stop


def _judged(sort: int, before: str, body: str, after: str, regions: tuple[str, ...]) -> list[Span]:
    """Return the spans of one candidate as characters from its start."""
    if sort == NUMBER:
        return judge_number(before, body, after, regions)
    if sort == MAIL:
        address = email(before, after[1:])
        return [(-len(address[0]), len(address[1]), "email")] if address else []
    if sort in (QUAD, COLONS):
        host = ipv4(before, body + after) if sort == QUAD else ipv6(body + after)
        return [(0, len(host), "ip")] if host else []
    if sort == ACCOUNT:
        return [] if linked(before) else [(0, len(body), "iban")]
    return judge_word(before, body, after)
