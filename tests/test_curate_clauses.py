"""Policies that extend each other: parameters, conditions, groups, citations. What they come to, and each mistake with its line."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.errors import PolicyError
from catalog.stage import HOUSE
from curate.policy import Policy, check, from_body, load
from curate.sheets import texts
from tests.test_curate_policy import NAMES

BASE = """\
params: {least: 50, lang: en}
drop:
  foreign: language.code <> $lang
  lengths:
    when: {domain: web}
    cite: "Rae et al. 2021"
    clauses:
      short: gopher.n_words < $least
      long: {if: gopher.n_words > 1000 OR length(text) > 9000, cite: "ours"}
  lines: {if: gopher.dup_line_chars > 0.2, when: "domain = 'web' OR domain = 'books'"}
keep: [length(text) DESC]
mask: {pii: tag}
"""


def put(folder: Path, **sheets: str) -> Path:
    """Write policies and return the path of the last."""
    for name, text in sheets.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder / f"{name}.yaml"


def said(policy: Policy) -> dict[str, str]:
    return {clause.reason: clause.text for clause in policy.drop}


def test_a_group_says_its_condition_and_source_once(tmp_path: Path) -> None:
    policy = check(load(put(tmp_path, base=BASE)), NAMES)
    assert said(policy) == {
        "foreign": "language.code <> 'en'",
        "short": "domain = 'web' AND gopher.n_words < 50",
        "long": "domain = 'web' AND (gopher.n_words > 1000 OR length(text) > 9000)",
        "lines": "(domain = 'web' OR domain = 'books') AND gopher.dup_line_chars > 0.2",
    }
    assert [clause.cite for clause in policy.drop] == ["", "Rae et al. 2021", "ours", ""] and policy.params == {"least": 50, "lang": "en"}


def test_what_the_catalogue_keeps_has_nothing_left_to_look_up(tmp_path: Path) -> None:
    policy = load(put(tmp_path, base=BASE))
    again = from_body("base", policy.body)
    assert said(again) == said(policy) and again.digest == policy.digest and again.body == policy.body
    assert [clause.cite for clause in again.drop] == [clause.cite for clause in policy.drop]
    old = {"drop": {"a": "domain = '$x'"}, "keep": [], "mask": {}, "cut": []}
    assert from_body("old", old).body == old, "a policy that was kept before there were citations is what it was"


def test_a_child_replaces_in_place_takes_out_and_adds(tmp_path: Path) -> None:
    own = "drop:\n  foreign: language.code IS NULL\n  lines: null\n  extra: gopher.n_words = $most\ncut: [c4.cuts]\n"
    child = f"extends: base\nparams: {{least: 80, most: 7}}\n{own}"
    policy = check(load(put(tmp_path, base=BASE, child=child)), NAMES)
    assert list(said(policy).items()) == [
        ("foreign", "language.code IS NULL"), ("short", "domain = 'web' AND gopher.n_words < 80"),
        ("long", "domain = 'web' AND (gopher.n_words > 1000 OR length(text) > 9000)"), ("extra", "gopher.n_words = 7"),
    ]  # fmt: skip
    assert policy.body["keep"] == ["length(text) DESC"] and policy.body["mask"] == {"pii": "tag"} and policy.cut == ("c4.cuts",)
    assert load(put(tmp_path, other="extends: base\nmask: {}\n")).mask == (), "what is given empty is not inherited"
    assert list(said(load(put(tmp_path, less="extends: base\ndrop: {lengths: null}\n")))) == ["foreign", "lines"], "a group goes whole"


def test_the_command_line_overrides_a_parameter_wherever_it_is_declared(tmp_path: Path) -> None:
    path = put(tmp_path, base=BASE, child="extends: base\nparams: {least: 80}\n")
    assert said(load(path))["short"].endswith("< 80") and said(load(path, settings={"least": 7.5}))["short"].endswith("< 7.5")
    assert said(load(path, settings={"lang": "it's"}))["foreign"] == "language.code <> 'it''s'", "texts are quoted"


def test_several_parents_each_on_a_condition(tmp_path: Path) -> None:
    books = "params: {least: 9}\ndrop:\n  thin: gopher.n_words < $least\ncut: [c4.cuts]\nkeep: [uri]\n"
    both = "extends: [{policy: base, when: {language.code: [en, de]}}, {policy: books, when: domain = 'books'}]\ndrop: {lengths: null}\n"
    policy = check(load(put(tmp_path, base=BASE, books=books, both=both)), NAMES)
    assert said(policy) == {
        "foreign": "language.code IN ('en', 'de') AND language.code <> 'en'",
        "lines": "language.code IN ('en', 'de') AND (domain = 'web' OR domain = 'books') AND gopher.dup_line_chars > 0.2",
        "thin": "domain = 'books' AND gopher.n_words < 9",
    }
    assert policy.body["keep"] == ["length(text) DESC"] and policy.cut == ("c4.cuts",), "the first that has one gives it"


def test_a_policy_of_a_name_of_the_house_may_extend_the_houses(tmp_path: Path) -> None:
    policy = load(put(tmp_path, gopher="extends: gopher\ndrop:\n  quality_long: null\n"))
    house = load(HOUSE / "recipes/policies/gopher.yaml")
    assert [*said(policy)] == [reason for reason in said(house) if reason != "quality_long"]
    assert len(texts(tmp_path / "gopher.yaml")) == 2


def test_what_a_policy_says_depends_on_no_parent_that_changes_later(tmp_path: Path) -> None:
    path = put(tmp_path, base=BASE, child="extends: base\n")
    kept, digest = load(path).body, load(path).digest
    put(tmp_path, base=BASE.replace("50", "60"))
    assert load(path).digest != digest and from_body("child", kept).digest == digest and len(texts(path)) == 2


def test_digests_of_policies_in_use_do_not_change() -> None:
    """Golden: another digest would judge every lake again."""
    folder = HOUSE / "recipes"
    found = {name: load(folder / name).digest for name in ("policies/c4.yaml", "policies/fineweb.yaml", "starts/policies/prose.yaml")}
    assert found == {"policies/c4.yaml": "5e3ff635b8a76aec", "policies/fineweb.yaml": "f50c19d194b22c25", "starts/policies/prose.yaml": "fecab17a6802ec7b"}
    given = ("c4", "fineweb", "gopher", "books", "permissive-only", "code-starcoder", "addresses", "dclm", "refinedweb", "fineweb2", "nemotron", "seeds")
    assert all(clause.cite for name in given for clause in load(folder / f"policies/{name}.yaml").drop)


WRONG = {
    "extends: bsae": "child.yaml:1: extends: no policy 'bsae'; did you mean 'base'?",
    "drop: {}\nextends: ../base": "child.yaml:2: extends: no policy '../base'",
    "extends: child": "child.yaml:1: extends: child -> child is a circle",
    "extends: round": "round.yaml:1: extends: child -> round -> child is a circle",
    "extends: {name: base}": "child.yaml:1: extends: takes a policy's name, or {policy: NAME, when: ...}, or a list of those",
    "extends: [base, 5]": "child.yaml:1: extends: 5 is not text; put it in quotes",
    "extends:\n  - base\n  - twin": "child.yaml:3: extends: base and twin both have a clause 'short'; write the one that counts under drop:",
    "extends:\n  - {policy: base, when: domain == 'x'}": "child.yaml:2: extends: when: \"domain == 'x'\": '=' is not expected here",
    "extends: wrong": "wrong.yaml:4: bad: 'gopher' has no signal 'n_word'; did you mean 'n_words'?",
    "extends: base\nparams: {leest: 3}": "child.yaml:2: params: leest: no clause uses $leest; did you mean 'least'?",
    "extends: base\nparams:\n  least: three": "child.yaml:3: params: least: 'three' is text, and the parameter stands for 50",
    "extends: base\nparams: {least: 3}\ndrop: {lengths: null}": "child.yaml:2: params: least: no clause uses $least",
    "params: {a: [1]}": "child.yaml:1: params: a: [1] is neither a number nor text",
    "params: {a: true}": "child.yaml:1: params: a: True is neither a number nor text",
    "params: {a: .nan}": "child.yaml:1: params: a: nan is neither a number nor text",
    "params: 5": "child.yaml:1: params: is a mapping of names to numbers and texts",
    "params: {least: 5}\ndrop:\n  a: gopher.n_words < $leest": "child.yaml:3: a: no parameter 'leest'; did you mean 'least'?",
    "drop:\n  a: gopher.n_words < $x": "child.yaml:2: a: no parameter 'x'; give it a value under params:",
    "drop:\n  a: gopher.n_words < $": "child.yaml:2: a: 'gopher.n_words < $': '$' is not shared SQL",
    "params: {x: it's}\ndrop:\n  a: gopher.n_words < $x": "child.yaml:3: a: number and string do not compare",
    "extends: base\ndrop:\n  shart: null": "child.yaml:3: shart: no clause or group 'shart' to take out; did you mean 'short'?",
    "drop:\n  a:": "child.yaml:2: a: no clause or group 'a' to take out; write a predicate",
    "drop:\n  a: {cite: b}": "child.yaml:2: a: takes if: and a predicate, or clauses: and those of a group",
    "drop:\n  a:\n    if: domain = 'x'\n    wen: domain = 'y'": "child.yaml:4: a: unknown key 'wen'; did you mean 'when'?",
    "drop:\n  a:\n    clauses: {b: domain = 'x'}\n    site: b": "child.yaml:4: a: unknown key 'site'; did you mean 'cite'?",
    "drop:\n  a: {clauses: []}": "child.yaml:2: a: clauses: is a mapping of reasons to predicates",
    "drop:\n  a:\n    clauses:\n      b: {clauses: {c: domain = 'x'}}": "child.yaml:4: b: a group holds clauses, not groups",
    "drop:\n  a:\n    clauses:\n      b: domain = 'x'\n  b: domain = 'y'": "child.yaml:5: b: stands twice; keep one",
    "drop:\n  a:\n    clauses:\n      duplicate: domain = 'x'": "child.yaml:4: 'duplicate' is what copies are dropped for",
    "drop:\n  a:\n    when: {domian: web}\n    clauses:\n      b: gopher.n_words < 3": "child.yaml:3: a: when: no column 'domian'",
    "drop:\n  a:\n    when: gopher.n_words\n    if: gopher.n_words < 3": "child.yaml:3: a: when: 'gopher.n_words' is not true or false",
    "drop:\n  a:\n    when: {domain: []}\n    if: gopher.n_words < 3": "child.yaml:3: a: when: domain: an empty list is true of no document",
    "drop:\n  a:\n    when: {domain: null}\n    if: gopher.n_words < 3": "child.yaml:3: a: when: domain: None is neither a number nor text",
    "drop:\n  a:\n    when: {Domain: web}\n    if: gopher.n_words < 3": "child.yaml:3: a: when: 'Domain' is no column's name",
    "drop:\n  a:\n    when: {gopher.n_words: web}\n    if: gopher.n_words < 3": "child.yaml:3: a: when: number and string do not compare",
    "drop:\n  a:\n    if: 5": "child.yaml:3: a: 5 is not text; put it in quotes",
    "drop:\n  a:\n    cite: 5\n    if: domain = 'x'": "child.yaml:3: a: cite: 5 is not text; put it in quotes",
}


@pytest.mark.parametrize("text", WRONG)
def test_mistakes_name_the_file_and_line_and_the_nearest_name(text: str, tmp_path: Path) -> None:
    wrong = "# a parent with a mistake\ndrop:\n  fine: domain = 'x'\n  bad: gopher.n_word < 3\n"
    put(tmp_path, base=BASE, twin="drop:\n  short: gopher.n_words < 2\n", round="extends: child\n", wrong=wrong)
    with pytest.raises(PolicyError) as refused:
        check(load(put(tmp_path, child=text)), NAMES)
    line = str(refused.value)
    assert line.startswith(f"{tmp_path}/{WRONG[text]}") and "\n" not in line


def test_a_setting_that_is_none_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path, base=BASE)
    wrong: dict[str, tuple[dict[str, Any], str]] = {
        "name": ({"leest": 5}, "--set leest: base has no parameter 'leest'; did you mean 'least'?"),
        "kind": ({"least": "few"}, "--set least: 'few' is text, and the parameter stands for 50"),
        "shape": ({"least": [1]}, "--set least: [1] is neither a number nor text"),
    }
    for settings_, says in wrong.values():
        with pytest.raises(PolicyError) as refused:
            load(path, settings=settings_)
        assert str(refused.value) == says


def test_policies_above_each_other_have_an_end(tmp_path: Path) -> None:
    sheets = {f"p{i}": f"extends: p{i + 1}\n" for i in range(12)}
    put(tmp_path, **sheets, p12="drop:\n  a: domain = 'x'\n")
    with pytest.raises(PolicyError, match="over 8 deep"):
        load(tmp_path / "p0.yaml")
    assert said(load(tmp_path / "p5.yaml")) == {"a": "domain = 'x'"}


PARTS = st.sampled_from(["gopher.n_words < {}", "gopher.dup_line_chars > {} OR gopher.n_words = 3", "length(text) BETWEEN 1 AND {}", "NOT gopher.n_words > {}"])
WHENS = st.sampled_from(["", "domain = 'web'", "domain = 'web' OR language.code = 'en'", "domain IN ('web', 'books')"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(clauses=st.lists(st.tuples(PARTS, WHENS, st.integers(0, 99)), min_size=1, max_size=6), cut=st.integers(0, 6))
def test_a_policy_written_plainly_and_in_parts_is_one_policy(clauses: list[tuple[str, str, int]], cut: int, tmp_path: Path) -> None:
    """Property: extends, params, when and groups come to what a plain mapping says, to the digest."""
    plain, parent, child = ["drop:"], ["params: {shared: 5}", "drop:"], ["extends: parent", "drop:"]
    numbers = []
    for i, (part, when, limit) in enumerate(clauses):
        own = part.format(limit)
        whole = " AND ".join(f"({text})" if " OR " in text else text for text in (when, own)) if when else own
        plain.append(f'  c{i}: "{whole}"')
        numbers.append(f"n{i}: {limit}")
        said_ = [f"  g{i}:", f'    when: "{when}"', "    clauses:", f'      c{i}: "{part.format(f"$n{i}")}"']
        lines = said_ if when else [f'  c{i}: "{part.format(f"$n{i}")}"']
        (parent if i < cut else child).extend(lines)
    parent[0] = f"params: {{{', '.join(numbers[:cut])}}}"
    child.insert(1, f"params: {{{', '.join(numbers[cut:])}}}")
    sheets = {name: "\n".join(line for line in lines if not (line == "drop:" and line == lines[-1])) + "\n" for name, lines in
              (("plain", plain), ("parent", parent), ("child", child))}  # fmt: skip
    put(tmp_path, **sheets)
    one, other = load(tmp_path / "plain.yaml", "p"), load(tmp_path / "child.yaml", "p")
    assert one.body == other.body and one.digest == other.digest
    assert [clause.node for clause in check(one, NAMES).drop] == [clause.node for clause in check(other, NAMES).drop], "the same verdicts"
