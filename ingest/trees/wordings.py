"""Licences by their own words: whole texts as in a LICENSE file, and what the head or the end of a source file says of its terms.

A text is compared after its words alone: case, punctuation, comment marks and line breaks are taken out, so that a wrapped or commented
copy is the same. Of each licence a few sentences stand here that its other versions and its kin do not have; all of them must be in it.
"""

import re

from catalog.licenses import of_statement
from catalog.spdx import PERL, named

MAX_TEXT = 120_000
SPAN = 2500
"""Characters from a licence's first sentence in which the others that tell it must stand: a file of several licences is not a mixture of them."""
HEAD, TAIL = 4000, 2500
"""Characters of a source file at whose head, and at whose end (Perl's POD), its terms are looked for."""
WHOLE = 1500
"""Characters of a file with a licence's name in it, below which it may be a mere mention."""
SPDX_LINE = re.compile(r"SPDX-License-Identifier:[ \t]*([^\r\n]{2,300})")
MARKS = re.compile(r"^[ \t]*(?:(?://+!?|/\*+|\*+/?|#+|;+|--+|%+|\"+|'+|<!--|dnl\b|rem\b|\.\\\")[ \t]*)+", re.M | re.I)
DEBIAN = re.compile(r"^Files: \*\n(?:[ \t\w-].*\n){0,60}?License: (.+)$", re.M)
VERSION = re.compile(r"\bv(?:ersion)? ?(?=\d)")
APART = re.compile(r"[^a-z0-9.+]+|\.(?![0-9])")

TEXTS: tuple[tuple[str, ...], ...] = (
    ("AGPL-3.0-only", "gnu affero general public license version 3", "preamble"),
    ("LGPL-3.0-only", "gnu lesser general public license version 3", "this version of the gnu lesser general public license incorporates"),
    ("LGPL-2.1-only", "gnu lesser general public license version 2.1", "preamble"),
    ("LGPL-2.0-only", "gnu library general public license version 2", "preamble"),
    ("GPL-3.0-only", "gnu general public license version 3", "preamble"),
    ("GPL-2.0-only", "gnu general public license version 2", "preamble"),
    ("GPL-1.0-only", "gnu general public license version 1", "preamble"),
    ("GFDL-1.3-only", "gnu free documentation license version 1.3"),
    ("GFDL-1.2-only", "gnu free documentation license version 1.2"),
    ("Apache-2.0", "apache license version 2.0", "terms and conditions"),
    ("Apache-2.0", "apache license version 2.0", "unless required by applicable law or agreed to in writing"),
    ("Apache-1.1", "apache software license version 1.1"),
    ("MPL-2.0", "mozilla public license version 2.0", "covered software"),
    ("MPL-1.1", "mozilla public license version 1.1", "covered code"),
    ("EPL-2.0", "eclipse public license version 2.0"), ("EPL-1.0", "eclipse public license version 1.0"), ("CPL-1.0", "common public license version 1.0"),
    ("CDDL-1.1", "common development and distribution license", "version 1.1"), ("CDDL-1.0", "common development and distribution license"),
    ("EUPL-1.2", "european union public licence version 1.2"), ("OSL-3.0", "open software license version 3.0"),
    ("BSL-1.0", "boost software license version 1.0"),
    ("CC0-1.0", "creative commons legal code", "cc0 1.0 universal"), ("CC0-1.0", "cc0 1.0 universal", "statement of purpose"),
    ("CC-BY-NC-SA-4.0", "attribution noncommercial sharealike 4.0 international", "licensed rights"),
    ("CC-BY-NC-4.0", "attribution noncommercial 4.0 international", "licensed rights"),
    ("CC-BY-SA-4.0", "attribution sharealike 4.0 international", "licensed rights"),
    ("CC-BY-4.0", "attribution 4.0 international", "licensed rights"), ("CC-BY-SA-3.0", "attribution sharealike 3.0", "licensor"),
    ("Unlicense", "this is free and unencumbered software released into the public domain"),
    ("Artistic-2.0", "artistic license 2.0", "standard version"),
    ("PSF-2.0", "license agreement is between the python software foundation"), ("Artistic-1.0-Perl", "the artistic license preamble"),
    ("Apache-2.0", "license shall mean the terms and conditions for use reproduction and distribution as defined by sections 1 through 9"),
    ("Zlib", "this software is provided as is without any express or implied warranty", "altered source versions must be plainly marked"),
    ("NCSA", "permission is hereby granted free of charge to any person obtaining a copy", "redistributions of source code must retain"),
    ("X11", "permission is hereby granted free of charge to any person obtaining a copy", "name of the x consortium shall not"),
    ("BSD-4-Clause", "redistribution and use in source and binary forms", "all advertising materials mentioning"),
    ("BSD-3-Clause-Clear", "redistribution and use in source and binary forms", "no express or implied licenses to any party s patent rights"),
    ("BSD-3-Clause", "redistribution and use in source and binary forms", "neither the name"),
    ("BSD-3-Clause", "redistribution and use in source and binary forms", "may not be used to endorse or promote"),
    ("BSD-3-Clause", "redistribution and use in source and binary forms", "the names of its contributors may not"),
    ("BSD-2-Clause", "redistribution and use in source and binary forms", "redistributions in binary form must reproduce"),
    ("BSD-1-Clause", "redistribution and use in source and binary forms", "redistributions of source code must retain"),
    ("0BSD", "permission to use copy modify and or distribute this software for any purpose with or without fee is hereby granted the software is"),
    ("ISC", "permission to use copy modify and or distribute this software for any purpose with or without fee is hereby granted"),
    ("ISC", "permission to use copy modify and distribute this software for any purpose with or without fee is hereby granted"),
    ("MIT-CMU", "permission to use copy modify and distribute this software and its", "for any purpose and without fee is hereby granted",
    "not be used in advertising"),
    ("HPND", "permission to use copy modify and distribute this software and its documentation for any purpose and without fee is hereby granted"),
    ("MIT", "permission is hereby granted free of charge to any person obtaining a copy", "the above copyright notice and this permission notice"),
    ("MIT-0", "permission is hereby granted free of charge to any person obtaining a copy", "the software is provided as is"),
    ("MIT", "permission is hereby granted free of charge to any person obtaining a copy"),
    ("WTFPL", "do what the fuck you want to public license"), ("OFL-1.1", "sil open font license version 1.1"),
    ("MS-PL", "microsoft public license", "grant of rights"),
    ("BlueOak-1.0.0", "blue oak model license"), ("UPL-1.0", "universal permissive license"), ("ZPL-2.1", "zope public license zpl version 2.1"),
    ("PostgreSQL", "postgresql license"), ("FTL", "freetype project license"), ("AFL-3.0", "academic free license version 3.0"),
    ("Ruby", "ruby is copyrighted free software"),
)  # fmt: skip
"""(SPDX name, sentences), the more particular first; the sentences are reduced as texts are."""

HEADERS: tuple[tuple[str, ...], ...] = (
    (PERL, "same terms as perl itself"), (PERL, "same terms as the perl 5 programming language"), (PERL, "same terms as perl 5"),
    ("MPL-2.0", "subject to the terms of the mozilla public license version 2.0"), ("MPL-1.1", "subject to the mozilla public license version 1.1"),
    ("MIT OR Apache-2.0", "licensed under the apache license version 2.0", "or the mit license"),
    ("Artistic-2.0", "terms of the artistic license version 2.0"), ("Artistic-2.0", "terms of the artistic license 2.0"),
    ("BSL-1.0", "distributed under the boost software license version 1.0"), ("Apache-2.0", "licensed under the apache license version 2.0"),
    ("Apache-2.0", "licensed to the apache software foundation"), ("Apache-2.0", "apache license version 2.0", "unless required by applicable law"),
    ("EPL-2.0", "terms of the eclipse public license version 2.0"), ("EPL-2.0", "terms of the eclipse public license 2.0"),
    ("EPL-1.0", "terms of the eclipse public license version 1.0"),
)  # fmt: skip
GNU = re.compile(r"(?:under the |terms of (?:version \d(?:\.\d)? of )?the )?gnu (affero |lesser |library )?general public license")
GNU_NUMBER = re.compile(r"\bversion ([123](?:\.[01])?)\b")
GNU_NAMES = {"affero ": "AGPL", "lesser ": "LGPL", "library ": "LGPL"}
STATED = re.compile(
    r"(?:licen[cs]ed|released|distributed|available|published|governed|free to use) (?:by |under |with )(?:a |an |the )?(?:terms of (?:a |the )?)?"
    r"([a-z0-9.+ ()-]{2,40}?)[- ](?:style )?licen[cs]e\b|^licen[cs]e:? +([\w.+ -]{2,40})$|@licen[cs]e +([\w.+ -]{2,40})$", re.I | re.M
)  # fmt: skip


def plain(text: str) -> str:
    """A text as the words that are compared: lower-case, without comment marks, with single spaces; numbers keep their dots, v2.0 is version 2.0."""
    flat = APART.sub(" ", MARKS.sub("", text).lower().replace("non-commercial", "noncommercial"))
    return VERSION.sub("version ", " ".join(flat.split()))


def of_text(text: str) -> str | None:
    """Return the SPDX name of a licence from its text, such as a LICENSE file; of several the first; None for one that is not known.

    A short text that only speaks of a licence counts too, and Debian's machine-readable copyright file.
    """
    found = SPDX_LINE.search(text[:HEAD]) or (DEBIAN.search(text[:20_000]) if text.startswith("Format:") else None)
    if found and (name := _line(found[1])):
        return name
    flat = plain(text[:MAX_TEXT])
    name = _first(TEXTS, flat)
    if name and not ("GPL" in name and len(flat) < WHOLE):
        return name
    return _first(HEADERS, flat) or _gnu(flat) or ((_stated(text) or of_statement(text)) if len(flat) < WHOLE else None)


def of_header(text: str) -> str | None:
    """Return what a source file says of its own licence: an SPDX line, a notice, a licence's own words; at its head, else at its end."""
    found = SPDX_LINE.search(text[:HEAD])
    if found:
        return _line(found[1])
    for part in (text[:HEAD], text[max(HEAD, len(text) - TAIL) :]):
        if "icen" in part or "ICEN" in part or "ermission" in part or "edistribut" in part or "free software" in part:
            flat = plain(part)
            name = _first(HEADERS, flat) or _gnu(flat) or _first(TEXTS, flat) or _stated(part)
            if name:
                return name
    return None


def _line(said: str) -> str | None:
    """What an SPDX line says, without the end of the comment that it stands in."""
    said = re.split(r"\s*(?:\*/|-->|\*\)|#\}|\"\"\"|'''|\?>)", said)[0].strip(" \t\"';,*#%-")
    return named(said) or (said if re.fullmatch(r"[A-Za-z0-9.+:()\- ]{2,200}", said) else None)


def _first(known: tuple[tuple[str, ...], ...], flat: str) -> str | None:
    """The licence that stands first in a text; where two begin at one place, the one that is listed first."""
    best, name = len(flat), None
    for one, first, *others in known:
        at = flat.find(first)
        while 0 <= at < best:
            if all(sentence in flat[max(0, at - 200) : at + SPAN] for sentence in others):
                best, name = at, one
            else:
                at = flat.find(first, at + 1)
    return name


def _gnu(flat: str) -> str | None:
    """A GNU notice: which licence, which version, and whether a later one will do."""
    found = GNU.search(flat)
    if found is None or not re.search(r"redistribute|licensed|license|terms", flat[max(0, found.start() - 300) : found.end()]):
        return None
    around = flat[max(0, found.start() - 60) : found.end() + 200]
    number = GNU_NUMBER.search(around, min(60, found.start())) or GNU_NUMBER.search(around)
    if number is None:
        return None
    name = GNU_NAMES.get(found[1] or "", "GPL")
    later = "any later version" in around or "or later" in around or f"{number[1]}+" in around
    return named(f"{name}-{number[1] if '.' in number[1] else number[1] + '.0'}{'-or-later' if later else '-only'}")


def _stated(text: str) -> str | None:
    """A sentence such as `Released under the MIT license`."""
    for found in STATED.finditer(text[:HEAD]):
        said = (found[1] or found[2] or found[3]).strip()
        name = named(said) or named(re.split(r" as | license", said)[0])
        if name and " " not in name:
            return name
    return None
