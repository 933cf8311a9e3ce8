"""Policies as people write them: what is refused, with file and line, and what a policy says of itself."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from catalog.errors import PolicyError
from catalog.files import Annotation, DataFile
from catalog.schema import DOCUMENT
from catalog.stage import HOUSE
from curate import c4, code, fineweb, gopher, language, licenses, pii, urls
from curate.policy import Policy, check, from_body, judged, known, load
from curate.trial import attempt
from tests.spark_making import corpus
from tests.test_curate_verdicts import noted

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
    "drop:\n  a: \"regexp_matches(text, 'x')\"":
        "strict.yaml:2: a: \"regexp_matches(text, 'x')\": no function 'regexp_matches' that all engines share; there is abs, coalesce, greatest, ",
    "drop:\n  a: \"lenght(text) < 5\"": "no function 'lenght' that all engines share; did you mean 'length'?",
    "drop:\n  a: fineweb_after_c4.n_lines < 5": "strict.yaml:2: a: no family 'fineweb_after_c4'; add the stage fineweb.after_c4 to the part's stages",
    "drop:\n  a: quality.score < .5": "strict.yaml:2: a: no family 'quality'; add the stage quality.score to the part's stages",
    "drop:\n  a: moderality.score < .5": "strict.yaml:2: a: no family 'moderality'; there is ",
    "keep: length(text)": "strict.yaml:1: keep: is a list of orders",
    "keep: [length(txt) DESC]": "strict.yaml:1: keep: no column 'txt'; did you mean 'text'?",
    "keep: [media]": "strict.yaml:1: keep: 'media' has no order",
    "mask: {pii: hash}": "strict.yaml:1: mask: pii: 'hash'; a mask is tag, pseudonym or none",
    "mask: {pi: tag}": "strict.yaml:1: mask: no spans 'pi'; did you mean 'pii.spans'?",
    "cut: [c4.cut]": "strict.yaml:1: cut: no spans 'c4.cut'; did you mean 'c4.cuts'?",
    "drop: {}\ncut:\n  - c4.cuts\n  - c4.nope": "strict.yaml:4: cut: no spans 'c4.nope'; there is c4.cuts, pii.spans",
    "mask: {medias: tag}": "strict.yaml:1: mask: no spans 'medias'; there is c4.cuts, pii.spans",
    "mask: {secrets: tag}": "strict.yaml:1: mask: no spans 'secrets'; add the stage secrets.spans to the part's stages",
    "drop: {a: [": "strict.yaml:1: not YAML:",
    "[1, 2]": "strict.yaml:1: a policy is a mapping of drop, keep, mask, cut",
}


@pytest.mark.parametrize("text", WRONG)
def test_mistakes_name_the_line_and_the_nearest_name(text: str, tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as wrong:
        check(load(written(tmp_path, text)), NAMES)
    assert WRONG[text] in str(wrong.value) and "\n" not in str(wrong.value)


@pytest.mark.parametrize("how", ["tag", "pseudonym", "none"])
def test_each_mask_is_known_and_is_part_of_the_digest(how: str, tmp_path: Path) -> None:
    policy = check(load(written(tmp_path, f"mask: {{pii: {how}}}")), NAMES)
    assert policy.mask == (("pii", how),)
    assert (policy.digest == load(written(tmp_path, "mask: {pii: tag}")).digest) == (how == "tag")


def test_names_hold_columns_structs_and_families() -> None:
    assert NAMES["source.fetched_at"] == "timestamp[us]" and NAMES["gopher.n_words"] == "int64" and NAMES["date"] == "date32[day]"
    assert NAMES["gen.depth"] == "int32" and NAMES["pii.spans"] == SPANS and "source" in NAMES


@pytest.mark.parametrize("path", sorted((HOUSE / "recipes").rglob("policies/*.yaml")), ids=lambda path: str(path.relative_to(HOUSE)))
def test_the_policies_that_we_give_away_load(path: Path) -> None:
    policy: Any = load(path)
    assert (policy.drop or policy.keep) and policy.digest == load(path).digest


STAGES = {
    "gopher": gopher.signals, "c4": c4.signals, "fineweb": fineweb.signals, "fineweb_after_c4": fineweb.after_c4, "language": language.identify,
    "pii": pii.spans, "code": code.signals, "code_parse": code.parse, "licenses": licenses.classes, "urls": urls.listed,
}  # fmt: skip


@pytest.mark.parametrize("name", ["c4", "gopher", "fineweb", "books", "permissive-only", "code-starcoder", "addresses", "english", "broad"])
def test_the_policies_that_we_give_away_ask_for_what_there_is(name: str) -> None:
    families = [
        Annotation(family, "", "", "", 3, tuple((column, str(kind)) for column, kind in stage.declares.adds.items()))  # type: ignore[attr-defined]
        for family, stage in STAGES.items()
    ]
    assert check(load(HOUSE / f"recipes/policies/{name}.yaml"), judged(replace(FILE, annotations=tuple(families)))).drop


def test_the_policy_for_books_keeps_novels_that_other_rules_drop(data: Callable[[str], Path], tmp_path: Path) -> None:
    """Forty-eight novels, whole, in two languages: what the page says of the rules for prose, and what this policy is for."""
    with gzip.open(data("books/books.jsonl.gz"), "rt", encoding="utf-8") as lines:
        novels = [{"text": json.loads(line)["text"], "domain": "books"} for line in lines]
    files = corpus(tmp_path, novels, 1)
    types = gopher.signals.declares.adds  # type: ignore[attr-defined]
    files = noted(files, "gopher", gopher.signals(pl.DataFrame({"text": [novel["text"] for novel in novels]})), types)
    assert len(novels) == 48 and attempt(files, load(HOUSE / "recipes/policies/books.yaml"), exact=True).kept.count == 48
    quality = tmp_path / "quality.yaml"
    quality.write_text("extends: gopher\ndrop: {foreign_language: null}\n", encoding="utf-8")
    assert attempt(files, load(quality), exact=True).kept.count == 16, "Gopher's rules, in whatever language"


LICENSES = {
    None: "no_license", "CC-BY-4.0": None, "public-domain": None, "MIT": None, "MIT OR GPL-2.0-only": None, "CC BY-SA 4.0": "not_permissive",
    "CC-BY-NC-4.0": "not_permissive", "GPL-3.0-only": "not_permissive", "LicenseRef-other": "unknown_license",
}


def test_the_policy_for_permissive_licences_keeps_what_may_be_used_for_anything(tmp_path: Path) -> None:
    rows = [{"license": name, "text": str(i)} for i, name in enumerate(LICENSES)]
    types = licenses.classes.declares.adds  # type: ignore[attr-defined]
    for row, reason in zip(rows, LICENSES.values(), strict=True):
        kinds = licenses.classes(pl.DataFrame({"license": [row["license"]]}, schema={"license": pl.String}))
        files = noted(corpus(tmp_path / str(row["text"]), [row], 1), "licenses", kinds, types)
        trial = attempt(files, load(HOUSE / "recipes/policies/permissive-only.yaml"), exact=True)
        assert list(trial.reasons) == ([reason] if reason else []), row
