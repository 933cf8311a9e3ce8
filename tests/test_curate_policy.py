"""Policies as people write them: what is refused, with file and line, and what a policy says of itself."""

from pathlib import Path
from typing import Any

import pytest

from catalog.errors import PolicyError
from catalog.files import Annotation, DataFile
from catalog.schema import DOCUMENT
from catalog.stage import HOUSE
from curate.policy import Policy, check, from_body, known, load

SPANS = "list<item: struct<kind: string, start: int64, end: int64>>"
FILE = DataFile(
    "id", "data/x.parquet", 3, 1, "ids", "/lake",
    tuple(
        Annotation(family, f"{family}.parquet", family, "stage", 3, columns)
        for family, columns in {
            "gopher": (("n_words", "int64"), ("dup_line_chars", "double")), "language": (("code", "string"), ("score", "double")),
            "pii": (("n_email", "int64"), ("spans", SPANS)), "c4": (("cuts", SPANS),), "dup": (("cluster", "string"), ("size", "int64")),
        }.items()
    ),
    tuple((field.name, str(field.type)) for field in DOCUMENT),
)  # fmt: skip
NAMES = known(FILE)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "strict.yaml"
    path.write_text(text, encoding="utf-8")
    return path


WHOLE = """\
# what the demo might say
drop:
  foreign_language: "domain = 'web' AND language.code <> 'en'"
  too_short: "domain = 'web' AND gopher.n_words < 50"
keep: [source.fetched_at DESC, length(text) DESC, uri]
mask: {pii: tag}
cut: [c4.cuts]
"""


def test_a_policy_says_what_it_is(tmp_path: Path) -> None:
    policy = check(load(written(tmp_path, WHOLE)), NAMES)
    assert policy.name == "strict" and [clause.reason for clause in policy.drop] == ["foreign_language", "too_short"]
    assert [order.descending for order in policy.keep] == [True, True, False]
    assert policy.reads == ("domain", "language.code", "gopher.n_words", "source.fetched_at", "text", "uri")
    assert policy.body["mask"] == {"pii": "tag"} and policy.body["cut"] == ["c4.cuts"]
    assert from_body("strict", policy.body).digest == policy.digest


def test_the_digest_is_of_what_it_says(tmp_path: Path) -> None:
    first = load(written(tmp_path, WHOLE)).digest
    assert load(written(tmp_path, "# other words\n" + WHOLE)).digest == first
    assert load(written(tmp_path, WHOLE.replace("50", "60"))).digest != first
    lines = WHOLE.splitlines()
    assert load(written(tmp_path, "\n".join([*lines[:2], lines[3], lines[2], *lines[4:]]))).digest != first, "the order of clauses is the order of reasons"


def test_an_empty_policy_drops_copies_alone(tmp_path: Path) -> None:
    assert load(written(tmp_path, "")) == Policy("strict") and check(Policy("strict"), {}).reads == ()


WRONG = {
    "drob: {a: \"domain = 'x'\"}": "strict.yaml:1: unknown key 'drob'; did you mean 'drop'?",
    "drop:\n  a: \"domain = 'x'\"\n  a: \"domain = 'y'\"": "strict.yaml:3: 'a' stands twice",
    "drop: [a]": "strict.yaml:1: drop: is a mapping of reasons to predicates",
    "drop:\n  Too Short: \"domain = 'x'\"": "strict.yaml:2: 'Too Short' is no reason's name",
    "drop:\n  duplicate: \"domain = 'x'\"": "strict.yaml:2: 'duplicate' is what copies are dropped for",
    "drop:\n  a: 5": "strict.yaml:2: a: 5 is not text",
    "drop:\n  b: \"domain = 'x'\"\n  a: \"gopher.n_word < 50\"": "strict.yaml:3: a: 'gopher' has no signal 'n_word'; did you mean 'n_words'?",
    "drop:\n  a: \"gofer.n_words < 50\"": "strict.yaml:2: a: no family 'gofer'; did you mean 'gopher'?",
    "drop:\n  a: \"domain = 'x\"": "strict.yaml:2: a:",
    "drop:\n  a: gopher.n_words": "strict.yaml:2: a: 'gopher.n_words' is a number, not true or false",
    "drop:\n  a: \"regexp_like(text, 'x')\"": "strict.yaml:2: a: \"regexp_like(text, 'x')\": no function 'regexp_like' that all engines share",
    "keep: length(text)": "strict.yaml:1: keep: is a list of orders",
    "keep: [length(txt) DESC]": "strict.yaml:1: keep: no column 'txt'; did you mean 'text'?",
    "keep: [media]": "strict.yaml:1: keep: 'media' has no order",
    "mask: {pii: hash}": "mask: pii: 'hash'; a mask is tag",
    "mask: {pi: tag}": "mask: no spans 'pi'; did you mean 'pii.spans'?",
    "cut: [c4.cut]": "cut: no spans 'c4.cut'; did you mean 'c4.cuts'?",
    "drop: {a: [": "strict.yaml:1: not YAML:",
    "[1, 2]": "strict.yaml:1: a policy is a mapping of drop, keep, mask, cut",
}


@pytest.mark.parametrize("text", WRONG)
def test_mistakes_name_the_line_and_the_nearest_name(text: str, tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as wrong:
        check(load(written(tmp_path, text)), NAMES)
    assert WRONG[text] in str(wrong.value) and "\n" not in str(wrong.value)


def test_names_hold_columns_structs_and_families() -> None:
    assert NAMES["source.fetched_at"] == "timestamp[us]" and NAMES["gopher.n_words"] == "int64" and NAMES["date"] == "date32[day]"
    assert NAMES["gen.depth"] == "int32" and NAMES["pii.spans"] == SPANS and "source" in NAMES


@pytest.mark.parametrize("path", sorted((HOUSE / "recipes").rglob("policies/*.yaml")), ids=lambda path: str(path.relative_to(HOUSE)))
def test_the_policies_that_we_give_away_load(path: Path) -> None:
    policy: Any = load(path)
    assert policy.drop and policy.digest == load(path).digest
