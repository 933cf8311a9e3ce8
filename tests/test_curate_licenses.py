"""What kind of licence a document has: by hand, over all that the demo's readers and the labelled data state, and for any text."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import InputError
from catalog.spdx import PERMISSIVE, STRONG, WEAK
from curate import licenses


def kind(said: str | None, **knobs: dict[str, str]) -> str:
    return str(licenses.classes(pl.DataFrame({"license": [said]}, schema={"license": pl.String}), **knobs)["kind"][0])


@pytest.mark.parametrize(("said", "expected"), [
    ("MIT", "permissive"), ("mit", "permissive"), ("apache-2.0", "permissive"), ("BSD License", "permissive"), ("Apache License, Version 2.0", "permissive"),
    ("public-domain", "public-domain"), ("CC0-1.0", "public-domain"), ("Public domain", "public-domain"), ("Unlicense", "public-domain"),
    ("CC-PDDC", "public-domain"),
    ("https://creativecommons.org/publicdomain/zero/1.0/", "public-domain"), ("Unlicense OR MIT", "public-domain"),
    ("CC-BY-4.0", "cc-by"), ("CC-BY", "cc-by"), ("cc-by-4.0", "cc-by"), ("CC BY 4.0", "cc-by"), ("CC-BY-3.0-US", "cc-by"), ("CC-BY-3.0-IGO", "cc-by"),
    ("http://creativecommons.org/licenses/by/3.0/us/", "cc-by"), ("Creative Commons Attribution 4.0 International License", "cc-by"),
    ("CC-BY-SA-3.0", "cc-by-sa"), ("CC BY-SA", "cc-by-sa"), ("https://creativecommons.org/licenses/by-sa/4.0/deed.de", "cc-by-sa"),
    ("Text is available under CC BY-SA 4.0.", "cc-by-sa"), ("Creative Commons Attribution-ShareAlike 3.0", "cc-by-sa"),
    ("CC-BY-ND-4.0", "cc-nd"), ("CC-BY-NC-4.0", "cc-nc"), ("CC-BY-NC-ND-4.0", "cc-nc"), ("CC BY-NC-SA 2.0", "cc-nc"),
    ("Creative Commons Attribution-NonCommercial-NoDerivs 3.0", "cc-nc"),
    ("GPL-3.0", "copyleft"), ("GPLv2+", "copyleft"), ("AGPL-3.0-only", "copyleft"), ("GFDL-1.3-or-later", "copyleft"), ("ODbL-1.0", "copyleft"),
    ("MPL-2.0", "weak-copyleft"), ("LGPL-2.1+", "weak-copyleft"), ("GPL-2.0-only WITH Classpath-exception-2.0", "weak-copyleft"),
    ("MIT OR GPL-3.0-only", "permissive"), ("MIT AND GPL-3.0-only", "copyleft"), ("CC-BY-4.0 AND MIT", "cc-by"), ("CC-BY-SA-4.0 OR GPL-3.0-only", "copyleft"),
    ("MIT AND LicenseRef-x", "unknown"), ("MIT OR LicenseRef-x", "permissive"), ("(MIT", "unknown"),
    ("SSPL-1.0", "proprietary"), ("BUSL-1.1", "proprietary"), ("Proprietary", "proprietary"), ("(c) 2020 Mill Press. All rights reserved.", "proprietary"),
    ("LicenseRef-IETF-Trust", "proprietary"), ("LicenseRef-CWE-Terms-of-Use", "permissive"), ("LicenseRef-WordNet", "permissive"),
    ("LicenseRef-other", "unknown"), ("see the file", "unknown"), ("UNKNOWN", "unknown"), ("((((", "unknown"), ("(" * 5000, "unknown"), ("AND", "unknown"),
    (None, "none"), ("", "none"), ("  \n", "none"),
])  # fmt: skip
def test_each_kind(said: str | None, expected: str) -> None:
    assert kind(said) == expected


def test_every_name_that_is_known_has_a_kind() -> None:
    for names, kinds in ((PERMISSIVE, {"permissive", "public-domain", "cc-by"}), (WEAK, {"weak-copyleft"}), (STRONG, {"copyleft", "cc-by-sa"})):
        for name in names.split():
            assert kind(name) in kinds and kind(name.lower()) == kind(name), name


def test_names_of_ones_own_come_first() -> None:
    assert kind("LicenseRef-Partner", known={"licenseref-partner": "permissive"}) == "permissive"
    assert kind("MIT AND LicenseRef-Partner", known={"LicenseRef-Partner": "proprietary"}) == "proprietary"
    assert kind("Our licence, 2nd edition", known={"our licence, 2nd edition": "cc-by"}) == "cc-by"
    assert kind("CC-BY-4.0", known={"CC-BY-4.0": "copyleft"}) == "copyleft"
    with pytest.raises(InputError, match="did you mean 'permissive'"):
        kind("MIT", known={"x": "permisive"})


def test_what_was_understood_is_an_expression() -> None:
    found = licenses.classes(pl.DataFrame({"license": ["BSD License", "GPLv2+", "CC BY-SA 3.0", "mit", "nothing known", None]}))
    assert found["spdx"].to_list() == ["BSD-3-Clause", "GPL-2.0-or-later", "CC-BY-SA-3.0", "MIT", None, None]


def test_what_the_labelled_code_states(data: Callable[[str], Path]) -> None:
    """Licences as repositories and packages name them: nearly all are understood."""
    with gzip.open(data("code/files.jsonl.gz"), "rt", encoding="utf-8") as file:
        told = [row["licence"] for row in map(json.loads, file) if row.get("licence")]
    assert len(told) > 1000
    kinds = licenses.classes(pl.DataFrame({"license": told}))["kind"]
    assert (kinds != "unknown").mean() > 0.95, sorted({said for said, one in zip(told, kinds, strict=True) if one == "unknown"})


WORDS = st.lists(st.sampled_from(["MIT", "OR", "AND", "(", ")", "WITH", "GPL-3.0", "x"])).map(" ".join)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=40), WORDS), max_size=6))
def test_rows_in_are_rows_out(said: list[str | None]) -> None:
    clean = [one and one.encode("utf-8", "replace").decode() for one in said]
    found = licenses.classes(pl.DataFrame({"license": clean}, schema={"license": pl.String}))
    assert found.height == len(clean) and set(found["kind"]) <= {*licenses.KINDS, licenses.NONE}
