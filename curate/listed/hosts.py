"""The host of an address, and the name in it that somebody registered, by the Public Suffix List: whole columns at a time.

The list is the one inside the package `tld` (publicsuffix.org; Mozilla Public License 2.0), its part of registries alone: `a.github.io` is registered
as `github.io`. A name under no suffix of the list, and an IP address, has none.
"""

from dataclasses import dataclass
from functools import lru_cache

import numba
import numpy as np
import polars as pl

from catalog.schema import hash_column, mix64, text_bytes
from catalog.split import Bytes, Hashes, Offsets
from curate.listed.files import located

SUFFIXES = "tld:res/effective_tld_names.dat.txt"
PRIVATE = "===BEGIN PRIVATE DOMAINS==="
DOTS = {"\u3002": ".", "\uff0e": ".", "\uff61": "."}
"""What IDNA takes for a full stop."""


def host(address: pl.Expr) -> pl.Expr:
    """Return the host of addresses, in small letters, without user, port and the dot of the root; empty where there is none or it is an IPv6 address.

    As lenient as tldextract: what has no scheme begins with its host.
    """
    rest = address.str.replace(r"^(?://|[A-Za-z0-9+.\-]+://)", "").str.extract(r"^([^/?#]*)").str.replace(r"(?s)^.*@", "")
    name = rest.str.extract(r"^([^:]*)").str.strip_chars().str.strip_chars_end("." + "".join(DOTS)).str.replace_many(DOTS)
    return pl.when(rest.str.contains(r"^\[[^\]]*\]")).then(pl.lit("")).otherwise(name.str.to_lowercase()).fill_null("")


def registered(hosts: pl.Series) -> tuple[Bytes, Offsets, Offsets, Offsets]:
    """Return the hosts' bytes, where each begins and ends in them, and where its registered name begins: at its end where it has none."""
    data, texts = text_bytes(hosts)
    rules = suffixes()
    return data, texts[:-1], texts[1:], _registered(data, texts, rules.plain, rules.wild, rules.excepted, rules.deepest)


@numba.njit(cache=True, nogil=True)
def _registered(data: Bytes, texts: Offsets, plain: Hashes, wild: Hashes, excepted: Hashes, deepest: int) -> Offsets:
    out = texts[1:].copy()
    for d in range(texts.size - 1):
        first, stop = texts[d], texts[d + 1]
        suffix, count, end, above = 0, 0, stop, np.uint64(0)
        for at in range(stop - 1, first - 2, -1):             # each label's start, from the last
            if at >= first and data[at] != 0x2E:
                continue
            count += 1
            if suffix and count == suffix + 1:
                out[d] = at + 1 if at + 1 < end else stop     # an empty label is no name
            if count <= deepest:
                here = _hashed(data, at + 1, stop)
                if _among(excepted, here):
                    out[d] = at + 1
                    break
                if _among(plain, here) or (count > 1 and _among(wild, above)):
                    suffix, out[d] = count, stop
                above = here
            elif count > suffix + 1:
                break
            end = at
    return out


@numba.njit(cache=True, nogil=True)
def _hashed(data: Bytes, start: int, end: int) -> np.uint64:
    """Return catalog.schema.hash_bytes of one stretch."""
    h = np.uint64(0xCBF29CE484222325)
    for i in range(start, end):
        h = (h ^ np.uint64(data[i])) * np.uint64(0x100000001B3)
    out: np.uint64 = mix64(h)
    return out


@numba.njit(cache=True, nogil=True)
def _among(known: Hashes, one: np.uint64) -> bool:
    place = np.searchsorted(known, one)
    return bool(place < known.size and known[place] == one)


def parents(hosts: pl.Expr, deepest: int) -> list[pl.Expr]:
    """Return the hosts themselves and the names above them, from the last label on: `c`, `b.c`, `a.b.c` for `a.b.c`, null beyond the host."""
    labels = hosts.str.split(".")
    return [pl.when(labels.list.len() >= k).then(labels.list.tail(k).list.join(".")) for k in range(1, deepest + 1)]


@dataclass(frozen=True)
class Suffixes:
    """Hashes of the list's rules, sorted: those that stand as they are, those below which every label is a suffix, and the exceptions from these."""

    plain: Hashes
    wild: Hashes
    excepted: Hashes
    deepest: int


@lru_cache(maxsize=1)
def suffixes() -> Suffixes:
    """Return the rules, in Unicode and as DNS writes them (punycode). Read once, in some 30 ms."""
    text = located(SUFFIXES, "the Public Suffix List").read_text(encoding="utf-8").partition(PRIVATE)[0]
    rules = {line.split()[0].lower() for line in text.splitlines() if line.strip() and not line.startswith("//")}
    rules |= {".".join(map(_coded, rule.split("."))) for rule in rules}
    wild = [rule[2:] for rule in rules if rule.startswith("*.")]
    excepted = [rule[1:] for rule in rules if rule.startswith("!")]
    plain = [rule for rule in rules if rule[0] not in "*!"]
    plain_, wild_, excepted_ = (np.sort(hash_column(pl.Series(found, dtype=pl.String))) for found in (plain, wild, excepted))
    return Suffixes(plain_, wild_, excepted_, max(rule.count(".") + 1 for rule in rules))


def _coded(label: str) -> str:
    sign, rest = label[: label.startswith("!")], label.lstrip("!")
    return label if rest.isascii() else f"{sign}xn--{rest.encode('punycode').decode()}"
