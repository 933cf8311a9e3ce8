"""Repositories that share their files: made ones, and packages in two releases."""

import gzip
import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from catalog.dialects import said
from catalog.predicates import parse, typed
from catalog.stage import Bound
from curate import duplicates
from tests.spark_making import corpus, family, joined

RELEASED = ("click", "commander", "express", "flask", "httpx", "jinja2", "requests", "toolz")
SINGLE = ("idna", "immer", "react", "vue")


def code(name: object, tokens: int = 80) -> str:
    draw = random.Random(str(name))
    return " ".join(f"x{draw.randrange(10**6)} = f ( {draw.randrange(10**6)} )" for _ in range(tokens // 6))


def tree(purl: str, files: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rows of a repository as `code:` lands them."""
    package, _, version = purl.rpartition("@")
    facts = {"package": package, "version": version}
    return [{"uri": f"{purl}#{place}", "text": text, "facts": facts} for place, text in files.items()]


def made_of(*names: object) -> dict[str, str]:
    return {f"src/{name}.py": code(name) for name in names}


def told(tmp_path: Path, rows: list[dict[str, Any]], **knobs: Any) -> tuple[dict[str, tuple[Any, ...]], pl.DataFrame]:
    """What is said of each repository (a row each), and of all rows."""
    made = corpus(tmp_path, rows, 3)
    jobs = [Bound("curate.exact:job", {"tokens": "code"}), Bound("curate.minhash:job", {"tokens": "code"}), Bound("curate.forks:job", knobs)]
    found = duplicates.find(made, jobs, str(tmp_path / "annotations/made/run"), workers=0)
    dup = family(joined(made, found.annotations), "dup", "uri").with_columns(of=pl.col("uri").str.extract("^([^#]*)"))
    each = dup.select("of", "fork", "fork_share", "fork_back").unique()
    assert each.height == each["of"].n_unique(), "all files of a repository say the same"
    return {row[0]: row[1:] for row in each.iter_rows() if row[1] is not None}, dup


ONE, FORK, HOLDER = "pkg:github/a/one@c1", "pkg:github/b/fork@c9", "pkg:github/z/holder@c3"


def trees() -> list[dict[str, Any]]:
    """A repository, its fork (one file changed a little, one much, one added), one that holds all of it, one that shares a licence's text alone."""
    one = made_of(1, 2, 3, 4, 5)
    fork = {**made_of(1, 2, 3), "src/4.py": code(4) + " more = here", "src/5.py": code("other"), "src/6.py": code(6)}
    holder = {**{f"vendor/{place}": text for place, text in one.items()}, **made_of(*range(20, 35))}
    alone = {**made_of(1), **made_of(40, 41, 42)}
    return [*tree(ONE, one), *tree(FORK, fork), *tree(HOLDER, holder), *tree("pkg:npm/alone@1", alone)]


def test_a_fork_and_one_that_holds_another(tmp_path: Path) -> None:
    found, dup = told(tmp_path, trees())
    assert found == {
        ONE: (HOLDER, 1.0, 0.25),                            # all five files are there, of whose twenty files they are a quarter
        FORK: (ONE, 4 / 6, 4 / 5),                           # as many as in the holder, and the smaller name
    }
    assert dup.filter(pl.col("of") == ONE)["fork"].to_list() == [HOLDER] * 5, "files without a copy of their own say it too"


def test_a_policy_says_which_side_of_a_fork_goes(tmp_path: Path) -> None:
    """The clause of the docs: of two that share most of their files the one whose name comes later, and not what a larger one holds."""
    _, dup = told(tmp_path, trees())
    clause = typed(parse("dup.fork_back >= .5 AND dup.fork < uri"), {"uri": "string", "dup.fork": "string", "dup.fork_back": "double"})
    batch = dup.select("of", "uri", dup=pl.struct("fork", "fork_back"))
    assert batch.filter(said(batch, clause).fill_null(False))["of"].unique().to_list() == [FORK]


def test_least_and_files(tmp_path: Path) -> None:
    assert set(told(tmp_path / "a", trees(), least=0.2)[0]) == {ONE, FORK, HOLDER}
    assert set(told(tmp_path / "b", trees(), least=0.2, files=1)[0]) == {ONE, FORK, HOLDER, "pkg:npm/alone@1"}
    assert set(told(tmp_path / "c", trees(), least=0.7)[0]) == {ONE}


def test_the_order_of_rows_and_files_does_not_matter(tmp_path: Path) -> None:
    rows = trees()
    assert told(tmp_path / "a", rows, least=0.2)[0] == told(tmp_path / "b", random.Random(3).sample(rows, len(rows)), least=0.2)[0]


def test_where_many_hold_a_file_each_still_meets_its_like(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty forks of one repository, compared with the first two names alone, and what that saves in pairs."""
    monkeypatch.setattr("curate.forks.MOST", 2)
    names = [f"pkg:github/f{i:02d}/one@c" for i in range(30)]
    rows = [row for i, name in enumerate(names) for row in tree(name, {**made_of(1, 2, 3, 4), "own.py": code(f"own {i}")})]
    found, _ = told(tmp_path, rows)
    assert found == {name: (names[1] if name == names[0] else names[0], 0.8, 0.8) for name in names}


def test_versions_of_a_package_and_rows_of_none(tmp_path: Path) -> None:
    """Without facts the package URL says what a row is of; pages, and fragments of other addresses, are of none."""
    page = code("page")
    rows = [
        *tree("pkg:npm/a@1.0", made_of(1, 2, 3)), *tree("pkg:npm/a@2.0", made_of(1, 2, 3)),
        *({**row, "facts": None} for row in tree("pkg:npm/%40x/b@1.0", made_of(1, 2, 3))),
        *({"uri": f"https://{host}.example/page#{i}", "text": page} for host in "xy" for i in range(3)),
    ]  # fmt: skip
    found, dup = told(tmp_path / "a", rows)
    assert {name: row[0] for name, row in found.items()} == {
        "pkg:npm/a@1.0": "pkg:npm/%40x/b@1.0", "pkg:npm/a@2.0": "pkg:npm/%40x/b@1.0", "pkg:npm/%40x/b@1.0": "pkg:npm/a@1.0"
    }  # fmt: skip
    assert dup.filter(pl.col("uri").str.starts_with("https"))["cluster"].null_count() == 0, "copies they are all the same"
    apart, _ = told(tmp_path / "b", rows, versions=False)
    assert {name: row[0] for name, row in apart.items()} == {
        "pkg:npm/a@1.0": "pkg:npm/%40x/b", "pkg:npm/a@2.0": "pkg:npm/%40x/b", "pkg:npm/%40x/b@1.0": "pkg:npm/a"
    }  # fmt: skip
    alone, _ = told(tmp_path / "c", rows[:6], versions=False)
    assert not alone, "its own versions are no other repository"


def test_releases_of_packages_are_told_by_their_content(data: Callable[[str], Path], tmp_path: Path) -> None:
    """Eight packages in two releases, and four in one: each release names the other, and nothing else is named."""
    with gzip.open(data("code/files.jsonl.gz"), "rt", encoding="utf-8") as lines:
        read = [row for row in map(json.loads, lines) if row["package"] in RELEASED + SINGLE]
    rows = [row for one in read for row in tree(f"pkg:{one['ecosystem']}/{one['package']}@{one['version']}", {one["path"]: one["content"]})]
    found, _ = told(tmp_path, rows)
    assert len(found) == 2 * len(RELEASED)
    for name, (other, share, back) in found.items():
        assert name.rpartition("@")[0] == other.rpartition("@")[0] and name != other and share > 0.6 and (back, share) == found[other][1:]
