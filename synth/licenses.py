"""What licence a generated row has: the most restrictive of those of its sources and of the model that wrote it.

A licence is known by what it asks of whoever passes the text on. One that asks for all that another asks, and more, stands
for both; licences that ask for different things stand side by side, joined by AND as SPDX writes it
(https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions). This is bookkeeping, no legal advice: whether a model's
licence binds what the model writes is disputed, so it counts.
"""

import re
from collections.abc import Iterable

UNKNOWN = "unknown"
"""Nobody said: as restrictive as anything can be."""

FREE = ("public-domain", "cc0", "unlicense", "0bsd", "pddl")
NOTICE = ("mit", "bsd", "apache", "isc", "zlib", "psf", "python", "bsl", "odc-by", "artistic", "postgresql", "ncsa")
COPYLEFT = ("gpl", "lgpl", "agpl", "mpl", "epl", "odbl", "gfdl", "cddl", "eupl")
CREATIVE = {"nc": "non-commercial", "nd": "no-derivatives", "sa": "share-alike"}
EVERYTHING = frozenset({"notice", "attribution", *CREATIVE.values(), UNKNOWN})


def obligations(license: str | None) -> frozenset[str]:
    """Return what one licence asks for. Terms that are not listed here ask for something of their own besides notice."""
    name = (license or "").strip().lower()
    if name in ("", UNKNOWN, "noassertion", "none"):
        return EVERYTHING
    if _one_of(name, FREE):
        return frozenset()
    if _one_of(name, ("cc-by",)):
        return frozenset({"notice", "attribution", *(CREATIVE[p] for p in name.split("-") if p in CREATIVE)})
    if _one_of(name, NOTICE):
        return frozenset({"notice"})
    shared = {"share-alike"} if _one_of(name, COPYLEFT) else set()
    return frozenset({"notice", f"terms of {name}", *shared})


def _one_of(name: str, families: tuple[str, ...]) -> bool:
    """`mit` and `mit-0` are of the family mit; `mitre` and `mit or gpl-2.0` are not."""
    return any(name == family or (name.startswith(f"{family}-") and " " not in name) for family in families)


def terms(license: str | None) -> list[str]:
    """Return the licences that an expression joins by AND; None and the empty text are `unknown`."""
    return [part.strip() for part in re.split(r"\s+AND\s+", license or "") if part.strip()] or [UNKNOWN]


def most_restrictive(licenses: Iterable[str | None]) -> str:
    """Return the licence of something made of parts under these: order and repetition do not matter. None at all: unknown."""
    named: dict[str, str] = {}
    for term in sorted(term for license in licenses for term in terms(license)):
        named.setdefault(term.lower(), term)
    asked = {term: obligations(term) for term in named.values()}
    kept = [term for term, own in asked.items() if not any(own < other for other in asked.values())]
    return " AND ".join(sorted(kept, key=str.lower)) or UNKNOWN
