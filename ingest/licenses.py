"""Licences by their SPDX names, from what pages, papers, packages and files say of theirs.

The names are https://spdx.org/licenses; `public-domain` stands where there is no licence because none is needed.
"""

import re

CC = re.compile(r"creativecommons\.org/(?:licenses|publicdomain)/(by(?:-nc)?(?:-sa|-nd)?|zero|mark|publicdomain)(?:/(\d\.\d))?", re.I)
CC_NAMES = re.compile(r"creative commons[\s,:-]*(?:cc[\s-])?\(?(?:by|attribution)\b(.{0,100})", re.I | re.S)
CC_VERSION = re.compile(r"\b([1-4]\.\d)\b")
CC_SHORT = re.compile(r"\bcc[\s-](0|zero|by(?:-nc)?(?:-sa|-nd)?)(?:[\s-]+v?(\d\.\d))?\b", re.I)
SPDX_LINE = re.compile(r"SPDX-License-Identifier:\s*([A-Za-z0-9.+()\- ]{2,80}?)\s*(?:\*/|-->|$)", re.M)
OTHER = "LicenseRef-other"
"""Terms were stated, and are not among those known here: not the same as none being stated."""

PHRASES = (
    ("Apache-2.0", "apache license", "version 2.0"),
    ("AGPL-3.0-only", "gnu affero general public license", "version 3"),
    ("LGPL-3.0-only", "gnu lesser general public license", "version 3"),
    ("LGPL-2.1-only", "gnu lesser general public license", "version 2.1"),
    ("GPL-3.0-only", "gnu general public license", "version 3"),
    ("GPL-2.0-only", "gnu general public license", "version 2"),
    ("MPL-2.0", "mozilla public license", "2.0"),
    ("EPL-2.0", "eclipse public license", "2.0"),
    ("BSL-1.0", "boost software license", "version 1.0"),
    ("BSD-3-Clause", "redistribution and use in source and binary forms", "neither the name"),
    ("BSD-2-Clause", "redistribution and use in source and binary forms", "retain the above copyright"),
    ("ISC", "permission to use, copy, modify, and/or distribute this software for any purpose"),
    ("MIT", "permission is hereby granted, free of charge, to any person obtaining a copy"),
    ("Unlicense", "this is free and unencumbered software released into the public domain"),
    ("CC0-1.0", "cc0 1.0 universal"),
    ("PSF-2.0", "python software foundation license"),
    ("Artistic-2.0", "the artistic license 2.0"),
    ("Zlib", "this software is provided 'as-is', without any express or implied warranty", "altered source versions"),
)
"""A licence's text by phrases that must all stand in it, the more particular first."""

NAMES = {
    "mit": "MIT", "mit license": "MIT", "apache 2": "Apache-2.0", "apache 2.0": "Apache-2.0", "apache-2.0": "Apache-2.0", "apache license 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0", "apache license, version 2.0": "Apache-2.0", "apache software license": "Apache-2.0",
    "bsd": "BSD-3-Clause", "bsd license": "BSD-3-Clause", "bsd-3-clause": "BSD-3-Clause", "3-clause bsd": "BSD-3-Clause", "new bsd": "BSD-3-Clause",
    "bsd-2-clause": "BSD-2-Clause", "isc": "ISC", "isc license": "ISC", "mpl 2.0": "MPL-2.0", "mpl-2.0": "MPL-2.0", "psf": "PSF-2.0", "unlicense": "Unlicense",
    "gplv2": "GPL-2.0-only", "gplv3": "GPL-3.0-only", "lgplv3": "LGPL-3.0-only", "public domain": "public-domain", "cc0": "CC0-1.0", "zlib": "Zlib",
}  # fmt: skip


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


def of_text(text: str) -> str | None:
    """Return the name of a licence from its text, such as a LICENSE file; None for one that is not known."""
    flat = " ".join(text.lower().split())
    for name, *phrases in PHRASES:
        if all(phrase in flat[:20_000] for phrase in phrases):
            return name
    return None


def of_name(said: str) -> str | None:
    """Return the SPDX name for what package metadata says, as it stands when it may be one already."""
    said = said.strip()
    known = NAMES.get(said.lower())
    if known:
        return known
    if re.fullmatch(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*", said) and any(char in said for char in "-0123456789"):
        return said
    return of_text(said) if len(said) > 60 else None


def of_header(text: str) -> str | None:
    """Return what the head of a source file says of its licence: an SPDX line, or a licence's own words."""
    head = text[:3000]
    found = SPDX_LINE.search(head)
    return found[1].strip() if found else of_text(head)
