"""Licences by their SPDX names, from what pages, books and papers say of theirs.

The names are https://spdx.org/licenses; `public-domain` stands where there is no licence because none is needed.
"""

import re

CC = re.compile(r"creativecommons\.org/(?:licenses|publicdomain)/(by(?:-nc)?(?:-sa|-nd)?|zero|mark|publicdomain)(?:/(\d\.\d))?", re.I)
CC_NAMES = re.compile(r"creative commons[\s,:-]*(?:cc[\s-])?\(?(?:by|attribution)\b(.{0,100})", re.I | re.S)
CC_VERSION = re.compile(r"\b([1-4]\.\d)\b")
CC_SHORT = re.compile(r"\bcc[\s-](0|zero|by(?:-nc)?(?:-sa|-nd)?)(?:[\s-]+v?(\d\.\d))?\b", re.I)
OTHER = "LicenseRef-other"
"""Terms were stated, and are not among those known here: not the same as none being stated."""


def of_link(href: str) -> str | None:
    """Return the name of the Creative Commons licence that a link leads to."""
    found = CC.search(href)
    return _cc(found[1], found[2]) if found else None


def _cc(kind: str, version: str | None) -> str:
    kind = kind.lower()
    if kind in ("zero", "0"):
        return "CC0-1.0"
    if kind in ("mark", "publicdomain"):
        return "public-domain"
    return f"CC-{kind.upper()}-{version}" if version else f"CC-{kind.upper()}"


def of_statement(text: str) -> str | None:
    """Return the name of the licence that a sentence speaks of, such as a paper's `<license-p>`."""
    linked = of_link(text)
    if linked:
        return linked
    if re.search(r"\bcc0\b|creative commons (?:cc)?(?:zero|0)|public domain dedication", text, re.I):
        return "CC0-1.0"
    short = CC_SHORT.search(text)
    if short:
        return _cc(short[1], short[2])
    found = CC_NAMES.search(text)
    if found:
        terms, version = found[1].lower().partition("licen")[0], CC_VERSION.search(found[1])
        kind = "by" + ("-nc" if "commercial" in terms else "") + ("-sa" if "share" in terms else "-nd" if "deriv" in terms else "")
        return _cc(kind, version[1] if version else None)
    return "public-domain" if re.search(r"\bpublic domain\b|no copyright", text, re.I) else None
