"""What a recipe says of a crawl, checked before it starts, and the addresses that it starts from."""

import os
from collections.abc import Callable, Sequence
from typing import Any

from catalog.errors import InputError, RecipeError, near
from catalog.written import lines_in
from ingest.crawling.frontier import Lead, Scope, domain_of
from ingest.crawling.urls import canonical, host

KINDS = ("sitemap", "domain", "list", "sql")
SCOPES = ("host", "domain", "any")
LEAST = {
    "delay": 0.0, "max_depth": 0, "max_pages": 1, "max_bytes": 1, "timeout": 0.1, "page_bytes": 1000, "tries": 1, "backoff": 0.0, "patience": 0.0,
    "alike": 0, "connections": 1, "buckets": 1, "round": 1.0,
}  # fmt: skip
MOST = {"connections": 1000, "buckets": 100_000}


def check(knobs: dict[str, Any], where: str, folder: str) -> dict[str, Any]:
    """Return a crawl's knobs with the lists that they name as absolute paths. Raises RecipeError with what is wrong."""
    seeds = knobs.get("seeds")
    if not isinstance(seeds, list) or not seeds:
        raise RecipeError(f"{where}seeds: a list of addresses to start from, such as [https://example.org/]")
    allowed = knobs.get("allow_hosts") or []
    if not isinstance(allowed, list) or not all(isinstance(name, str) and name for name in allowed):
        raise RecipeError(f"{where}allow_hosts: a list of names or addresses, such as [localhost, 127.0.0.1]")
    for name in allowed:
        if "/" in name or (":" in name.rpartition("]")[2] and name.count(":") == 1):
            raise RecipeError(f"{where}allow_hosts: {name!r} is not a name or an address alone; leave scheme, port and path out")
    contact = knobs.get("contact")
    if contact is not None and not (isinstance(contact, str) and contact.isascii() and contact.isprintable() and contact.strip()):
        raise RecipeError(f"{where}contact: {contact!r} goes into a header: a mail address or a page, in plain letters")
    if knobs.get("scope", "host") not in SCOPES:
        raise RecipeError(f"{where}scope: {knobs['scope']!r} is none of {', '.join(SCOPES)}{near(str(knobs['scope']), SCOPES)}")
    for name, least in LEAST.items():
        value = knobs.get(name)
        if value is not None and (value < least or value > MOST.get(name, float("inf"))):
            raise RecipeError(f"{where}{name}: {value!r} is not {least} or more" + (f", and at most {MOST[name]:,}" if name in MOST else ""))
    return {**knobs, "seeds": [_seed(seed, where, folder) for seed in seeds]}


def _seed(seed: Any, where: str, folder: str) -> Any:
    if isinstance(seed, str):
        if canonical(seed) is None:
            hint = f"; write https://{seed}/, or {{domain: {seed}}}" if "://" not in seed and canonical(f"https://{seed}/") else ""
            raise RecipeError(f"{where}seeds: {seed!r} is not an address of the web{hint}")
        return seed
    if not isinstance(seed, dict) or len(seed) != 1 or not isinstance(value := next(iter(seed.values())), str):
        raise RecipeError(f"{where}seeds: {seed!r} is neither an address nor one of {{{': ...}, {'.join(KINDS)}: ...}}")
    kind = next(iter(seed))
    if kind not in KINDS:
        raise RecipeError(f"{where}seeds: {kind!r} is no kind of seed{near(str(kind), KINDS)}")
    if kind == "sitemap" and canonical(value) is None:
        raise RecipeError(f"{where}seeds: sitemap: {value!r} is not an address of the web")
    if kind == "domain" and ("/" in value or canonical(f"https://{value}/") is None):
        raise RecipeError(f"{where}seeds: domain: {value!r} is not a name, such as example.org")
    return {kind: os.path.normpath(os.path.join(folder, value))} if kind == "list" else seed


def start(knobs: dict[str, Any], select: Callable[[str], Sequence[str]]) -> tuple[list[Lead], Scope]:
    """Return the addresses that a crawl starts from, and what belongs to it. `select` answers a SELECT with its first column."""
    leads: list[Lead] = []
    domains: set[str] = set()
    for seed in knobs["seeds"]:
        kind, value = next(iter(seed.items())) if isinstance(seed, dict) else ("page", seed)
        if kind == "domain":
            domains.add(domain_of(value.lower().rstrip(".")))
            value = f"https://{value}/"
        found = lines_in(value, "addresses") if kind == "list" else select(value) if kind == "sql" else [value]
        known = [one for one in map(canonical, found) if one]
        if not known:
            raise InputError(f"seeds: {kind}: {value}: {len(found):,} rows and not one address of the web in them")
        leads += [Lead(one, 0, kind="sitemap" if kind == "sitemap" else "page") for one in dict.fromkeys(known)]
    named = {host(lead.uri) for lead in leads}
    hosts = named | {f"www.{name}" for name in named} | {name.removeprefix("www.") for name in named}  # most sites send one to the other
    hosts |= {name.lower().strip("[]") for name in knobs["allow_hosts"] or ()}
    domains |= {domain_of(name) for name in hosts} if knobs["scope"] == "domain" else set()
    return leads, Scope(frozenset(hosts), frozenset(domains), knobs["scope"] == "any", knobs["max_depth"])
