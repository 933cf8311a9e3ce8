"""What stages and policies read of a dataset that the lake has and no part makes is looked at before anything runs, by `run` and by `plan`."""

from pathlib import Path

import pytest
from catalog_making import data_file, draft, gopher, judge

from catalog.errors import UserError
from catalog.lake import Lake
from catalog.recipe import load
from headrace.plan import show_plan
from headrace.river import Options, work_left

HEAD = "name: x\nseed: 1\nlake: lake\ncurate:\n  corpus:\n    from: web\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A lake with the dataset `web`, whose documents have gopher's counts and verdicts, in one file of two; and a policy to be written."""
    with Lake.open(tmp_path / "lake", create=True) as lake:
        files = [gopher(judge(data_file(lake.root, "web", "a"), "web"), "web"), judge(data_file(lake.root, "web", "b"), "web")]
        lake.commit(draft(files))
    (tmp_path / "policies").mkdir()
    return tmp_path


def refused(home: Path, policy: str, rest: str = "    policy: mine\n", only: tuple[str, ...] = ()) -> str:
    """What `run` says before it begins, and `plan` too, if both do; without file names' folders."""
    (home / "policies" / "mine.yaml").write_text(policy, encoding="utf-8")
    (home / "x.yaml").write_text(HEAD + rest, encoding="utf-8")
    file, said = str(home / "x.yaml"), []
    with Lake.open(home / "lake") as lake:
        for look in (lambda: work_left(load(file), lake, Options(recipe=file, only=only)), lambda: show_plan(file, (), None, None, True)):
            try:
                look()
                said.append("")
            except UserError as error:
                said.append(str(error).replace(f"{home}/", ""))
    assert only or said[0] == said[1], said
    return said[0]


WRONG = {
    "drop: {a: c4.n_lines > 1}": "x.yaml:7: policy mine reads 'c4', which nothing in curate.corpus computes; add the stage c4.signals to the part's stages",
    "drop: {a: gofer.n_words > 1}": "x.yaml:7: policy mine reads 'gofer', which nothing in curate.corpus computes; did you mean 'gopher'?",
    "mask: {pii: tag}": "x.yaml:7: policy mine reads 'pii', which nothing in curate.corpus computes; add the stage pii.spans to the part's stages",
    "drop: {a: dup.size > 1}": "x.yaml:7: policy mine reads 'dup', which nothing in curate.corpus computes; give the part that makes the dataset dedup:",
    "drop: {a: gopher.n_word > 1}": "policies/mine.yaml:1: a: 'gopher' has no signal 'n_word'; did you mean 'n_words'?",
    "drop: {a: gopher.n_words = 'x'}": "policies/mine.yaml:1: a: ",
    "keep: [gopher.ration DESC]": "policies/mine.yaml:1: keep: 'gopher' has no signal 'ration'; did you mean 'ratio'?",
    "cut: [gopher.cuts]": "policies/mine.yaml:1: cut: no spans 'gopher.cuts'",
}


@pytest.mark.parametrize("policy", WRONG)
def test_a_policy_that_reads_what_the_lakes_dataset_lacks_is_refused_before_the_run(home: Path, policy: str) -> None:
    assert refused(home, policy).startswith(WRONG[policy])


@pytest.mark.parametrize("policy", [
    "drop: {a: 'gopher.n_words > 1 AND length(text) > 3', b: facts.position > 1, c: verdict.kept}\nkeep: [gopher.ratio DESC]\n",
    "drop: {a: c4.no_such > 1 AND gopher.n_word < 3}\nmask: {c4.nowhere: tag}\n",       # the part computes c4: what it has is known when that is there
])  # fmt: skip
def test_what_the_lake_has_and_what_the_part_computes_pass(home: Path, policy: str) -> None:
    assert refused(home, policy, "    stages: [c4.signals]\n    policy: mine\n") == ""


def test_stages_and_the_parts_below_are_looked_at_too(home: Path) -> None:
    rest = "    stages: [stop_words.signals]\n"
    assert refused(home, "", rest).startswith("x.yaml:7: stop_words.signals reads 'language', which no stage before it writes; add the stage language.identify")
    below = "  below: {from: corpus, policy: mine}\n"
    assert refused(home, "drop: {a: gopher.n_words > 1}", below) == ""
    assert refused(home, "drop: {a: nemo.ratio > 1}", below).startswith("x.yaml:7: policy mine reads 'nemo', which nothing in curate.below computes")
    assert refused(home, "drop: {a: nemo.ratio > 1}", below, only=("curate.corpus",)) == "", "nobody asked for that part"
