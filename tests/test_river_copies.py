"""Copies in a recipe: against another dataset of the lake or the recipe, within a column, and what an earlier version kept."""

import json
from pathlib import Path

import pytest
from demo_run import headrace
from river_making import prose

from catalog.lake import Lake

pytestmark = pytest.mark.slow

RECIPE = """name: copies
seed: 3
lake: lake
ingest:
  old: {tables: {paths: [old.jsonl]}, domain: web, dump: spring}
  new: {tables: {paths: [NEW]}, domain: web, dump: summer, append: true}
curate:
  kept:
    from: old
    dedup: {exact: {}}
    policy: short
  fresh:
    from: new
    dedup: {SCOPE exact: {}, minhash: {}}
    policy: longest
"""
SHORT = "drop: {too_long: 'length(text) > 2000'}\nkeep: [doc_id]\n"
LONGEST = "drop: {empty: 'length(text) < 3'}\nkeep: [length(text) DESC]\n"


def write(path: Path, *texts: str) -> None:
    path.write_text("".join(json.dumps({"text": text, "uri": f"https://{path.stem}.example/{i}"}) + "\n" for i, text in enumerate(texts)))


def text(name: str, more: str = "") -> str:
    return prose(name, 10).replace("\n\n", " ") + more


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("copies")
    (home / "policies").mkdir()
    (home / "policies/short.yaml").write_text(SHORT)
    (home / "policies/longest.yaml").write_text(LONGEST)
    write(home / "old.jsonl", text("a"), text("b"), prose("long", 40))
    write(home / "new-1.jsonl", text("a", " Indeed."), prose("long", 40).replace("\n", " "), text("c"), text("d"))
    write(home / "new-2.jsonl", text("c", " So it was."), text("d"), text("e"), text("b").upper())
    return home


def run(home: Path, scope: str, new: str = "new-*.jsonl", lake: str = "lake") -> str:
    (home / "copies.yaml").write_text(RECIPE.replace("SCOPE ", scope).replace("NEW", new))
    said = headrace("run", home / "copies.yaml", "--lake", home / lake)
    assert said.code == 0, said.err
    return said.err


def told(home: Path, lake: str = "lake") -> dict[str, str | None]:
    with Lake.open(home / lake) as opened:
        rows = opened.rows("SELECT uri, reason FROM audit.fresh ORDER BY uri")
    return {row["uri"].removeprefix("https://").replace(".example", ""): row["reason"] for row in rows}


def test_against_another_part_and_what_its_policy_keeps(home: Path) -> None:
    run(home, "against: kept,")
    assert told(home) == {
        "new-1/0": "seen", "new-1/1": None, "new-1/2": "duplicate", "new-1/3": None, "new-2/0": None, "new-2/1": "duplicate", "new-2/2": None, "new-2/3": "seen"
    }, "what the other policy drops (too long) is not seen; of the two that are left the longer stays"  # fmt: skip
    said = headrace("why", "https://new-1.example/0", "--lake", home / "lake")
    with Lake.open(home / "lake") as lake:
        witness = lake.rows("SELECT doc_id FROM data.kept WHERE uri = 'https://old.example/0'")[0]["doc_id"]
    assert said.code == 0 and witness in said.out and "seen" in said.out


def test_the_same_against_the_lake_and_a_version_of_it(home: Path) -> None:
    """A dataset that no part makes, by its version."""
    lines = RECIPE.replace("SCOPE ", "against: kept@v1,").replace("NEW", "new-*.jsonl").splitlines(keepends=True)
    start = lines.index("  kept:\n")
    left = [line for line in lines[:start] if "old.jsonl" not in line] + lines[start + 4 :]
    (home / "lake-only.yaml").write_text("".join(left).replace("  fresh:", "  again:"))
    said = headrace("run", home / "lake-only.yaml", "--lake", home / "lake", "--take")
    assert said.code == 0, said.err
    with Lake.open(home / "lake") as lake:
        assert lake.rows("SELECT count(*) AS n FROM audit.again WHERE reason = 'seen'") == [{"n": 2}]


def test_what_an_earlier_version_kept_stays(home: Path) -> None:
    """The longer copy comes later: it takes the place of the first, unless what was kept stays."""
    for scope, first in (("append: true,", None), ("append: false,", "duplicate")):
        lake = f"lake-{scope[8]}"
        run(home, scope, "new-1.jsonl", lake)
        assert told(home, lake)["new-1/2"] is None
        run(home, scope, "new-*.jsonl", lake)
        found = told(home, lake)
        assert found["new-1/2"] == first and {found["new-1/2"], found["new-2/0"]} == {None, "duplicate"}
        assert sorted([found["new-1/3"], found["new-2/1"]], key=str) == [None, "duplicate"]
        if first is None:
            assert found["new-1/3"] is None


def applied(home: Path, lake: str, policy: str, body: str) -> None:
    (home / "policies" / f"{policy}.yaml").write_text(body)
    said = headrace("policy", "apply", f"policies/{policy}.yaml", "--on", "fresh", "--lake", lake, cwd=home)
    assert said.code == 0, said.err


def test_a_policy_applied_leaves_other_verdicts_alone_and_lets_stand_what_stood(home: Path, tmp_path: Path) -> None:
    """In a dataset that grows: neither another policy nor another body of the same one chooses anew what was kept."""
    for scope, stays in (("append: true,", True), ("append: false,", False)):
        lake = f"apply-{scope[8]}"
        run(home, scope, "new-1.jsonl", lake)
        run(home, scope, "new-*.jsonl", lake)
        before = told(home, lake)
        with Lake.open(home / lake) as opened:
            first = {file.id: file.annotation("verdict").path for file in opened.snapshot("fresh").files}
        applied(home, lake, "other", "drop: {empty: 'length(text) < 5'}\nkeep: [doc_id]\n")
        assert told(home, lake) == before, scope
        with Lake.open(home / lake) as opened:
            assert {file.id: file.annotation("verdict").path for file in opened.snapshot("fresh").files} == first, "nothing is judged again"
        applied(home, lake, "longest", LONGEST.replace("< 3", "< 4"))
        assert told(home, lake) == before, scope
        applied(home, lake, "longest", LONGEST.replace("DESC", "ASC"))
        assert (told(home, lake) == before) is (stays and before["new-1/2"] is None), scope
        (home / "policies/longest.yaml").write_text(LONGEST)
    said = RECIPE.replace("SCOPE ", "append: true,").replace("NEW", "new-*.jsonl").replace("policy: longest", "policy: [short, longest]")
    (home / "copies.yaml").write_text(said)
    again = headrace("run", home / "copies.yaml", "--lake", home / "apply-t", "--take")
    assert again.code == 0, again.err
    with Lake.open(home / "apply-t") as opened:
        kept = [{row["uri"] for row in opened.rows(f"SELECT uri FROM {name}")} for name in ("data.fresh", 'data."fresh/longest"')]
    assert all("https://new-1.example/2" in one and "https://new-2.example/0" not in one for one in kept), "a policy in another place lets stand what it kept"


def test_files_that_are_judged_are_not_frozen_too(home: Path, tmp_path: Path) -> None:
    """`against:` an earlier version of what the part judges would leave those documents out of what it publishes."""
    run(home, "append: true,", "new-1.jsonl", "frozen")
    (home / "copies.yaml").write_text(RECIPE.replace("SCOPE ", "against: fresh@v1,").replace("NEW", "new-*.jsonl"))
    said = headrace("run", home / "copies.yaml", "--lake", home / "frozen")
    assert said.code != 0 and "1 of the 2 files to be judged" in said.err and "append: true" in said.err and "Traceback" not in said.err, said.err
    with Lake.open(home / "frozen") as opened:
        assert opened.head("fresh") == 1


@pytest.mark.parametrize(
    ("scope", "line"),
    [
        ("agianst: kept,", "dedup: has no 'agianst'; did you mean 'against'?"),
        ("against: kpet,", "neither a part nor the lake has 'kpet'; did you mean 'kept'?"),
        ("append: maybe,", "append: 'maybe' is not true or false"),
        ("within: dumps,", "within: 'dumps'"),
        ("within: language.code,", "add the stage language.identify"),
        ("within: source.pth,", "within: 'source.pth' is no column or signal; did you mean 'source.path'?"),
        ("within: text.dump,", "within: 'text.dump' is no column or signal"),
        ("within: facts,", "within: 'facts' is no column or signal"),
        ("exactly: {},", "dedup: has no 'exactly'"),
    ],
)
def test_mistakes_are_said_before_anything_starts(home: Path, tmp_path: Path, scope: str, line: str) -> None:
    (home / "wrong.yaml").write_text(RECIPE.replace("SCOPE ", scope).replace("NEW", "new-*.jsonl"))
    said = headrace("run", home / "wrong.yaml", "--lake", tmp_path / "lake")
    assert said.code == 2 and line in said.err and "Traceback" not in said.err, said.err
    assert not list(tmp_path.rglob("*.parquet"))
