"""The licence of a generated row: the most restrictive of its sources and its model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.licenses import UNKNOWN, most_restrictive, obligations, terms

NAMES = [
    "CC0-1.0", "public-domain", "MIT", "Apache-2.0", "BSD-3-Clause", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-ND-4.0", "GPL-3.0-only",
    "LicenseRef-other", None,
]  # fmt: skip
licenses = st.lists(st.sampled_from(NAMES), min_size=1, max_size=5)


@pytest.mark.parametrize(("given", "made"), [
    (["CC-BY-4.0", "Apache-2.0"], "CC-BY-4.0"),
    (["public-domain", "Apache-2.0"], "Apache-2.0"),
    (["MIT", "Apache-2.0"], "Apache-2.0 AND MIT"),
    (["CC-BY-SA-4.0", "CC-BY-4.0", "MIT"], "CC-BY-SA-4.0"),
    (["CC-BY-SA-4.0", "CC-BY-NC-4.0"], "CC-BY-NC-4.0 AND CC-BY-SA-4.0"),
    (["GPL-3.0-only", "Apache-2.0"], "GPL-3.0-only"),
    (["LicenseRef-CWE", "Apache-2.0"], "LicenseRef-CWE"),
    ([None, "Apache-2.0"], UNKNOWN),
    (["", "CC-BY-NC-ND-4.0"], UNKNOWN),
    ([None, "LicenseRef-CWE"], "LicenseRef-CWE AND unknown"),
    (["apache-2.0", "Apache-2.0"], "Apache-2.0"),
    (["CC-BY-4.0 AND MIT", "Apache-2.0"], "CC-BY-4.0"),
    ([], UNKNOWN),
])
def test_the_most_restrictive_wins(given: list[str | None], made: str) -> None:
    assert most_restrictive(given) == made


def test_a_name_is_not_known_by_its_first_letters() -> None:
    assert obligations("MITRE-terms") > obligations("MIT") == obligations("MIT-0")
    assert obligations("MIT OR GPL-2.0-only") > obligations("MIT")


@given(licenses, licenses)
def test_order_repetition_and_grouping_do_not_matter(some: list[str | None], others: list[str | None]) -> None:
    whole = most_restrictive([*some, *others])
    assert whole == most_restrictive([*reversed(others), *some, *some]) == most_restrictive([most_restrictive(some), most_restrictive(others)])


@given(licenses)
def test_nothing_that_was_asked_for_is_lost(some: list[str | None]) -> None:
    made = frozenset().union(*(obligations(term) for term in terms(most_restrictive(some))))
    assert all(obligations(license) <= made for license in some)
