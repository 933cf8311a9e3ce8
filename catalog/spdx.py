"""Licence expressions (SPDX 3.0, annex B): what metadata says brought to SPDX names, and what a licence asks.

Expressions keep their words: `MIT OR Apache-2.0`. `terms` is what matters to who uses the text: of what is joined by OR the most
permissive, since one may choose, and of what is joined by AND the strictest. The classes are those of the Blue Oak Council's lists
(permissive, blueoakcouncil.org/list; copyleft, blueoakcouncil.org/copyleft) and of the FSF's comments on licences.
"""

import re
from collections.abc import Callable

PERMISSIVE = """
0BSD AFL-3.0 Apache-1.1 Apache-2.0 Artistic-1.0-Perl Artistic-2.0 BlueOak-1.0.0 BSD-1-Clause BSD-2-Clause BSD-2-Clause-Patent BSD-3-Clause
BSD-3-Clause-Clear BSD-3-Clause-LBNL BSD-4-Clause BSD-Source-Code BSL-1.0 bzip2-1.0.6 CC-BY-3.0 CC-BY-4.0 CC-PDDC CC0-1.0 CNRI-Python curl ECL-2.0
EFL-2.0 FTL HPND ICU ImageMagick Info-ZIP ISC JSON libpng-2.0 Libpng libtiff Linux-OpenIB MIT MIT-0 MIT-CMU MIT-Modern-Variant MS-PL MulanPSL-2.0 NAIST-2003
NCSA NTP OpenSSL PHP-3.01 PostgreSQL PSF-2.0 public-domain Python-2.0 Ruby TCL Unicode-3.0 Unicode-DFS-2016 Unlicense UPL-1.0 Vim W3C WTFPL X11 Xnet Zend-2.0
Zlib zlib-acknowledgement ZPL-2.1
"""
WEAK = """
APSL-2.0 Artistic-1.0 CDDL-1.0 CDDL-1.1 CECILL-C CPL-1.0 EPL-1.0 EPL-2.0 ErlPL-1.1 IPL-1.0 LGPL-2.0-only LGPL-2.0-or-later LGPL-2.1-only LGPL-2.1-or-later
LGPL-3.0-only LGPL-3.0-or-later MPL-1.0 MPL-1.1 MPL-2.0 MS-RL NPL-1.1 OFL-1.1 QPL-1.0 SPL-1.0
"""
STRONG = """
AGPL-1.0-only AGPL-1.0-or-later AGPL-3.0-only AGPL-3.0-or-later CC-BY-SA-2.5 CC-BY-SA-3.0 CC-BY-SA-4.0 CECILL-2.0 CECILL-2.1 EUPL-1.1 EUPL-1.2
GFDL-1.1-or-later GFDL-1.2-only GFDL-1.2-or-later GFDL-1.3-only GFDL-1.3-or-later GPL-1.0-only GPL-1.0-or-later GPL-2.0-only GPL-2.0-or-later GPL-3.0-only
GPL-3.0-or-later ODbL-1.0 OSL-2.1 OSL-3.0 RPL-1.5 Sleepycat
"""
ORDER = ("permissive", "weak-copyleft", "copyleft", "other")
TERMS = {name: kind for kind, names in zip(ORDER, (PERMISSIVE, WEAK, STRONG), strict=False) for name in names.split()}
IDS = {name.lower(): name for name in TERMS}
PERL = "Artistic-1.0-Perl OR GPL-1.0-or-later"

NAMES = {
    "apache": "Apache-2.0", "apache2": "Apache-2.0", "apache-2": "Apache-2.0", "asl 2.0": "Apache-2.0", "al2": "Apache-2.0", "apache software": "Apache-2.0",
    "bsd": "BSD-3-Clause", "bsd3": "BSD-3-Clause", "new bsd": "BSD-3-Clause", "modified bsd": "BSD-3-Clause", "revised bsd": "BSD-3-Clause",
    "3-clause bsd": "BSD-3-Clause", "bsd 3-clause": "BSD-3-Clause", "bsd 3 clause": "BSD-3-Clause", "three clause bsd": "BSD-3-Clause", "bsd-3": "BSD-3-Clause",
    "simplified bsd": "BSD-2-Clause", "2-clause bsd": "BSD-2-Clause", "bsd 2-clause": "BSD-2-Clause", "bsd 2 clause": "BSD-2-Clause", "freebsd": "BSD-2-Clause",
    "bsd-2": "BSD-2-Clause", "expat": "MIT", "expat/mit": "MIT", "mit/expat": "MIT", "mit/x11": "MIT", "the mit": "MIT", "x11": "X11", "iscl": "ISC",
    "isc (iscl)": "ISC",
    "mpl": "MPL-2.0", "mpl-2": "MPL-2.0", "mozilla public": "MPL-2.0", "mozilla public 2.0 (mpl 2.0)": "MPL-2.0", "mozilla public 1.1 (mpl 1.1)": "MPL-1.1",
    "psf": "PSF-2.0", "psfl": "PSF-2.0", "python software foundation": "PSF-2.0", "python": "PSF-2.0", "boost software": "BSL-1.0", "boost": "BSL-1.0",
    "boost software 1.0 (bsl-1.0)": "BSL-1.0", "zpl": "ZPL-2.1", "zpl 2.1": "ZPL-2.1", "zope public": "ZPL-2.1", "zlib/libpng": "Zlib",
    "the unlicense (unlicense)": "Unlicense",
    "the unlicense": "Unlicense", "cc0": "CC0-1.0", "cc0 1.0": "CC0-1.0", "cc0 1.0 universal (cc0 1.0) public domain dedication": "CC0-1.0",
    "public domain": "public-domain", "academic free (afl)": "AFL-3.0", "eclipse public 2.0 (epl-2.0)": "EPL-2.0", "eclipse public 1.0 (epl-1.0)": "EPL-1.0",
    "historical permission notice and disclaimer (hpnd)": "HPND", "university of illinois/ncsa open source": "NCSA", "mit no attribution (mit-0)": "MIT-0",
    "artistic": "Artistic-1.0-Perl", "artistic 2.0": "Artistic-2.0", "artistic_2": "Artistic-2.0", "artistic-2": "Artistic-2.0", "artistic_1": "Artistic-1.0",
    "perl": PERL, "perl_5": PERL,
    "eupl": "EUPL-1.2", "wtfpl": "WTFPL", "ruby": "Ruby", "vim": "Vim", "ofl": "OFL-1.1", "gpl": "GPL-1.0-or-later", "lgpl": "LGPL-2.0-or-later",
    "agpl": "AGPL-3.0-only", "gnu affero general public": "AGPL-3.0-only", "gnu general public (gpl)": "GPL-1.0-or-later",
    "gnu general public": "GPL-1.0-or-later",
    "gnu library or lesser general public (lgpl)": "LGPL-2.0-or-later", "european union public 1.2 (eupl 1.2)": "EUPL-1.2",
}  # fmt: skip
"""What people write in metadata, without the word licence; the classifiers of the package index among them."""

GNU = re.compile(
    r"^(?:gnu )?(?:the )?(?P<kind>a|l|affero |lesser |library )?(?:gpl|general public)(?: \([al]?gpl ?(?:v?\d(?:\.\d)?)?\+?\))?"
    r"[\s,_-]*(?:v|version|verson)?[\s.]*(?P<number>[123](?:\.[01])?)?(?P<later>\+|[\s-]*or[\s-]*(?:later|newer)(?: \(.*)?"
    r"|[\s-]*only)?(?: \((?P<short>[al]?gpl ?v?\d(?:\.\d)?\+?)\))?$"
)
LATER = re.compile(r"\+|later|newer")
PARTS = re.compile(r"\(|\)|[^\s()]+")
ONE = re.compile(r"(?:DocumentRef-[\w.-]+:)?[A-Za-z0-9][A-Za-z0-9.+-]*$")
MAX_SAID = 1000
DEEP = 32


def named(said: str) -> str | None:
    """Return the SPDX expression for what metadata says (`BSD License`, `GPL-3.0+`, `MIT/Apache-2.0`); None where it says nothing known."""
    said = " ".join(said.split()).strip("\"' ,.")
    if not said or len(said) > MAX_SAID or said.upper() in ("UNKNOWN", "NONE", "DUAL LICENSE"):
        return None
    whole = _one(said)
    if whole:
        return whole
    for separator, joined in ((r"\s+(?:OR|or|Or)\s+|\s*\|\|?\s*", " OR "), (r"\s+(?:AND|and|&)\s+|\s*[,;]\s*", " AND ")):
        parts = re.split(separator, said)
        if "(" not in said and len(parts) > 1 and all(parts):
            found = [named(part) for part in parts]
            inner = [one if not (one and " OR " in one and " AND " in joined) else f"({one})" for one in found]
            return joined.join(one for one in inner if one) if all(found) else None
    parts = said.split("/")
    if len(parts) > 1 and all(map(_one, parts)):
        return " OR ".join(str(_one(part)) for part in parts)
    return said if "(" in said and ranked(said, _rank) is not None and any(token in IDS for token in said.lower().strip("()").split()) else None


def _one(said: str) -> str | None:
    """One licence, by its SPDX name in any case or as people write it."""
    name, _, exception = said.partition(" WITH ")
    if exception and _one(name) and ONE.match(exception):
        return f"{_one(name)} WITH {exception}"
    low = said.lower().strip()
    known = IDS.get(low)
    if known:
        return known
    low = re.sub(r"^(?:the|license:?|osi approved ::?|license :: osi approved ::|license ::) +", "", low)
    low = re.sub(r"[\s-]*licen[cs]e\b(?! notice)|^licensed? under (?:the )?|\bthe\b ", " ", low)
    low = " ".join(low.replace(",", " ").replace("version ", "").split())
    low = re.sub(r"(?<=[a-z]) ?v\.? ?(?=\d)", " ", low).strip()
    known = IDS.get(low) or IDS.get(low.replace(" ", "-")) or NAMES.get(low) or IDS.get(low.replace(" ", "-") + ".0")
    if known:
        return known
    found = GNU.match(low)
    if found is None:
        return said if re.fullmatch(r"LicenseRef-[\w.-]+", said) else None
    kind = {"a": "AGPL", "affero ": "AGPL", "l": "LGPL", "lesser ": "LGPL", "library ": "LGPL"}.get(found["kind"] or "", "GPL")
    number = found["number"] or re.sub(r"[^\d.]", "", found["short"] or "")
    if not number:
        return {"GPL": "GPL-1.0-or-later", "LGPL": "LGPL-2.0-or-later", "AGPL": "AGPL-3.0-only"}[kind]
    later = LATER.search((found["later"] or "") + (found["short"] or ""))
    name = f"{kind}-{number if '.' in number else number + '.0'}-{'or-later' if later else 'only'}"
    return name if name in TERMS else None


def terms(expression: str | None) -> str | None:
    """Return what a licence expression asks: permissive, weak-copyleft, copyleft, or other (what is not known, or forbids); None of none."""
    if not expression:
        return None
    rank = ranked(expression, _rank)
    return ORDER[-1 if rank is None else rank]


def _rank(name: str, exception: str) -> int:
    """How strict a licence is, 0 to 3. An exception to a GNU licence is about linking: what is linked keeps its own licence."""
    kind = ORDER.index(TERMS.get(name) or TERMS.get(IDS.get(name.lower(), "")) or TERMS.get(_one(name) or "") or _shared(name))
    return 1 if exception and kind == 2 else kind


def _shared(name: str) -> str:
    """Creative Commons' licences without a version."""
    found = re.match(r"CC-BY(-SA)?(?:-\d\.\d)?$", name)
    return "other" if found is None else "copyleft" if found[1] else "permissive"


def ranked(expression: str, rank_of: Callable[[str, str], int]) -> int | None:
    """Return the rank of an expression: the least of what OR joins, the greatest of what AND does; None where it is no expression.

    `rank_of` is given a licence's name and its exception, or the empty string. AND binds tighter than OR (SPDX 3.0, annex B.4.5).
    """
    tokens = PARTS.findall(expression)[::-1]

    def either(deep: int) -> int:
        rank = both(deep)
        while tokens and tokens[-1].upper() == "OR":
            tokens.pop()
            rank = min(rank, both(deep))
        return rank

    def both(deep: int) -> int:
        rank = single(deep)
        while tokens and tokens[-1].upper() == "AND":
            tokens.pop()
            rank = max(rank, single(deep))
        return rank

    def single(deep: int) -> int:
        word = tokens.pop()
        if word == "(":
            if deep > DEEP:
                raise IndexError
            rank = either(deep + 1)
            if tokens.pop() != ")":
                raise IndexError
            return rank
        if not ONE.match(word) or word.upper() in ("AND", "OR", "WITH"):
            raise IndexError
        exception = ""
        if tokens and tokens[-1].upper() == "WITH":
            tokens.pop()
            exception = tokens.pop()
        return rank_of(word, exception)

    try:
        rank = either(0)
    except IndexError:
        return None
    return rank if not tokens else None
