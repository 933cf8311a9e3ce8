"""Licences of text and of code as a few classes that a policy can name."""

import re
from collections.abc import Mapping
from functools import lru_cache

import polars as pl
import pyarrow as pa

from catalog import licenses
from catalog.errors import InputError, near
from catalog.spdx import named, ranked, terms
from catalog.stage import declares

KINDS = ("public-domain", "permissive", "cc-by", "weak-copyleft", "copyleft", "cc-by-sa", "cc-nd", "cc-nc", "proprietary", "unknown")
"""From the freest: of what is joined by OR the first counts, since one may choose, of what is joined by AND the last."""
NONE = "none"
RANK = {kind: place for place, kind in enumerate(KINDS)}
OWN = {
    **dict.fromkeys((
        "public-domain", "cc0-1.0", "cc0", "cc-pddc", "cc-pdm-1.0", "pddl-1.0", "unlicense", "blessing", "sax-pd", "nist-pd", "dl-de-zero-2.0",
    ), "public-domain"),
    **dict.fromkeys((
        "odc-by-1.0", "odc-by", "cdla-permissive-1.0", "cdla-permissive-2.0", "ogl-uk-2.0", "ogl-uk-3.0", "etalab-2.0", "dl-de-by-2.0",
    ), "permissive"),
    **dict.fromkeys(("cdla-sharing-1.0", "odbl", "gfdl", "fal-1.3", "lal-1.3"), "copyleft"),
    **dict.fromkeys(("licenseref-cwe-terms-of-use", "licenseref-wordnet", "licenseref-gutenberg"), "permissive"),
    **dict.fromkeys((
        "busl-1.1", "sspl-1.0", "elastic-2.0", "polyform-noncommercial-1.0.0", "polyform-small-business-1.0.0", "polyform-strict-1.0.0", "aladdin",
        "hippocratic-2.1", "licenseref-ietf-trust", "licenseref-proprietary", "proprietary", "commercial", "all-rights-reserved",
    ), "proprietary"),
}  # fmt: skip
"""SPDX names in small letters that the lists of `catalog.spdx` lack or call other, and what the readers of `ingest/` write: by the licences' own terms.

CWE and WordNet may be used for anything with their notice; RFCs may be copied but not changed (IETF Trust Legal Provisions 5.0, section 3)."""
COMMONS = re.compile(r"cc-by(-nc)?(-sa|-nd)?(?:-\d\.\d)?(?:-[a-z]{2,4})?$")
RESERVED = re.compile(r"all rights reserved|\bproprietary\b|\bno licen[cs]e granted\b", re.I)
LONGEST = 4_000
"""Characters of a licence's name that are looked at."""
ADDS = {"kind": pa.string(), "spdx": pa.string()}


@declares(reads=("license",), adds=ADDS, version=1)
def classes(batch: pl.DataFrame, *, known: Mapping[str, str] | None = None) -> pl.DataFrame:
    """Return the family `licenses`: what kind of licence each document's `license` is, one row a document.

    kind   public-domain (nothing is asked), permissive (a notice), cc-by (the name), weak-copyleft (the same licence for changed files),
           copyleft (for the whole), cc-by-sa, cc-nd (no changes), cc-nc (no trade), proprietary (all rights reserved, or trade, change or competition
           forbidden by a licence that is not Creative Commons'), unknown (terms are stated and not known here), none (no licence is stated)
    spdx   the SPDX expression that was understood; null where none was
    Never null, so that `licenses.kind NOT IN ('public-domain', 'permissive')` drops what states nothing too. A name in any case, metadata's words
    (`BSD License`), a link to creativecommons.org and a sentence that names one of its licences are understood. Of MIT OR GPL-3.0 the freer counts, of MIT AND
    GPL-3.0 the stricter. Nothing here is legal advice: what a licence asks of a model that was trained on a text is not settled.

    known   more names with their kinds, such as {LicenseRef-Partner: permissive}; they come before the house's own
    """
    own = {name.lower(): kind for name, kind in (known or {}).items()}
    for kind in own.values():
        if not isinstance(kind, str) or kind not in RANK:
            raise InputError(f"licenses.classes: known: no kind {kind!r}{near(str(kind), KINDS)}")
    told = batch["license"].cast(pl.String).str.slice(0, LONGEST)
    every = told.unique().drop_nulls().to_list()
    found = {said: understood(said, tuple(sorted(own.items()))) for said in every}
    kinds = told.replace_strict({said: kind for said, (kind, _) in found.items()}, default=None, return_dtype=pl.String)
    names = told.replace_strict({said: name for said, (_, name) in found.items()}, default=None, return_dtype=pl.String)
    return pl.DataFrame({"kind": kinds.fill_null(NONE), "spdx": names})


@lru_cache(maxsize=4096)
def understood(said: str, known: tuple[tuple[str, str], ...] = ()) -> tuple[str, str | None]:
    """Return the kind and the SPDX expression of what a document says of its licence."""
    said, own = " ".join(said.split()), dict(known)
    if not said:
        return NONE, None
    if said.lower() in own:
        return own[said.lower()], said
    for name in (named(said), said, licenses.of_statement(said)):
        rank = ranked(name, lambda one, exception: _rank(one, exception, own)) if name else None
        if rank is not None and KINDS[rank] != "unknown":
            return KINDS[rank], name
    if RESERVED.search(said):
        return "proprietary", None
    return "unknown", None


def _rank(name: str, exception: str, own: Mapping[str, str]) -> int:
    """Return how strict one licence is. An exception to a GNU licence is about linking: what is linked keeps its own licence."""
    low = name.lower()
    kind = own.get(low) or OWN.get(low)
    if kind is None and (commons := COMMONS.match(low)):
        kind = "cc-nc" if commons[1] else {"-sa": "cc-by-sa", "-nd": "cc-nd", None: "cc-by"}[commons[2]]
    if kind is None:
        asked = terms(name)
        kind = asked if asked in RANK else "unknown"
    return RANK["weak-copyleft" if exception and kind == "copyleft" else kind]
