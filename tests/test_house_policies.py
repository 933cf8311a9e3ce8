"""The house's policies by name: from any folder, after the recipe's own, in the record, and from an installation."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from demo_run import HOME, headrace

from catalog.errors import PolicyError, RecipeError
from catalog.house import brought
from catalog.lake import Lake
from catalog.recipe import load
from catalog.stage import ROOMS
from curate.policy import load as load_policy

HOUSE = brought("policies")
FEW = 'drop:\n  few: "gopher.n_words < 12"\n'


EVERY = "[language.identify, c4.signals, gopher.signals, fineweb.after_c4, dclm.signals, refinedweb.signals, urls.listed, pii.spans]"
"""What `fineweb` and `dclm` read."""


def recipe(home: Path, policy: str, stages: str = "[gopher.signals]") -> Path:
    notes = [{"text": " ".join(["water"] * n), "uri": f"https://mill.example/{n}"} for n in range(4, 20)]
    (home / "notes.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes), encoding="utf-8")
    part = f"{{from: notes, stages: {stages}, policy: {policy}}}"
    text = f"name: x\nseed: 1\nlake: lake\ningest:\n  notes: {{tables: {{paths: [notes.jsonl]}}, domain: web}}\ncurate:\n  corpus: {part}\n"
    (home / "x.yaml").write_text(text, encoding="utf-8")
    return home / "x.yaml"


def own(home: Path, name: str, text: str = FEW) -> Path:
    (home / "policies").mkdir(exist_ok=True)
    (home / "policies" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return home / "policies" / f"{name}.yaml"


@pytest.mark.parametrize("path", sorted(HOUSE.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_clause_of_the_house_cites_its_source(path: Path) -> None:
    assert [clause.reason for clause in load_policy(path).drop if not clause.cite] == []


def test_a_name_is_the_houses_unless_one_lies_beside_the_recipe(tmp_path: Path) -> None:
    found = load(recipe(tmp_path, "[fineweb, dclm]", EVERY)).policies
    assert found == {"fineweb": str(HOUSE / "fineweb.yaml"), "dclm": str(HOUSE / "dclm.yaml")}
    mine = own(tmp_path, "fineweb")
    assert load(recipe(tmp_path, "[fineweb, dclm]", EVERY)).policies == {**found, "fineweb": str(mine.resolve())}


def test_a_policy_of_ones_own_extends_the_houses_by_name(tmp_path: Path) -> None:
    mine, house = own(tmp_path, "mine", "extends: fineweb\n" + FEW), load_policy(HOUSE / "fineweb.yaml")
    found = load_policy(mine)
    assert [clause.reason for clause in found.drop] == [*(clause.reason for clause in house.drop), "few"]
    assert found.sources == (str(mine.resolve()), *house.sources) and house.sources == ("headrace:fineweb", "headrace:gopher")


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ("finewob", "x.yaml:7: no policy 'finewob' in HOME/policies or among headrace's own; did you mean 'fineweb'?"),
        ("stirct", "did you mean 'strict'?"),
        ("Loud.yaml", "x.yaml:7: 'Loud' is not a policy's name; call the file by lower-case letters, digits, _ and -"),
        ("[strict, other/strict.yaml]", "x.yaml:7: two policies are called strict; give one's file another name"),
    ],
)
def test_what_is_no_policy_is_said_at_once(policy: str, says: str, tmp_path: Path) -> None:
    for file in (own(tmp_path, "strict"), tmp_path / "Loud.yaml", tmp_path / "other/strict.yaml"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(FEW, encoding="utf-8")
    with pytest.raises(RecipeError) as told:
        load(recipe(tmp_path, policy))
    assert says in str(told.value).replace(str(tmp_path.resolve()), "HOME")


def test_the_command_line_knows_the_houses_names_anywhere(tmp_path: Path) -> None:
    from headrace.judging import policy_file

    assert policy_file("fineweb") == HOUSE / "fineweb.yaml"
    with pytest.raises(PolicyError, match="finewob: no such policy file; did you mean 'fineweb'"):
        policy_file("finewob")


@pytest.mark.slow
def test_the_lake_records_which_policy_it_was(tmp_path: Path) -> None:
    mine = own(tmp_path, "mine", "extends: books\n" + FEW)
    stages = "[gopher.signals, language.identify, c4.signals, fineweb.after_c4, pii.spans]"
    said = headrace("run", recipe(tmp_path, "[fineweb, mine]", stages), cwd="/")
    assert said.code == 0, said.err
    with Lake.open(tmp_path / "lake") as lake:
        recorded = lake.snapshot("corpus").policies
    assert [one["sources"] for one in recorded] == [["headrace:fineweb", "headrace:gopher"], [str(mine.resolve()), "headrace:books"]]
    assert recorded[0]["digest"] == load_policy(HOUSE / "fineweb.yaml").digest
    tried = headrace("policy", "try", "fineweb", "--on", "corpus", "--lake", tmp_path / "lake", cwd="/")
    assert tried.code == 0, tried.err
    applied = headrace("policy", "apply", "books", "--on", "corpus", "--lake", tmp_path / "lake", cwd="/")
    assert applied.code == 0, applied.err
    with Lake.open(tmp_path / "lake") as lake:                # those that stood keep where they are from
        assert [one["sources"] for one in lake.snapshot("corpus").policies] == [*(one["sources"] for one in recorded), ["headrace:books"]]


@pytest.mark.slow
def test_an_installation_brings_them(tmp_path: Path) -> None:
    """As `pip install` leaves it: no clone on the import path, and a recipe in a folder of one's own."""
    for name in (*ROOMS, "recipes"):
        shutil.copytree(HOME / name, tmp_path / "clone" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(HOME / name, tmp_path / "clone" / name)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-compile", "--target", tmp_path / "site", tmp_path / "clone"]
    subprocess.run(pip, check=True, capture_output=True)
    shutil.rmtree(tmp_path / "clone")
    script = "import sys; from catalog.recipe import load; print(*load(sys.argv[1]).policies.values())"
    environ = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    said = subprocess.run([sys.executable, "-c", script, recipe(tmp_path, "[fineweb, dclm]", EVERY)], cwd="/", env=environ, capture_output=True, text=True)
    folder = tmp_path / "site/headrace/recipes/policies"
    assert said.stdout.split() == [str(folder / "fineweb.yaml"), str(folder / "dclm.yaml")], said.stderr
    begun = subprocess.run([sys.executable, "-m", "headrace", "init", "curate", "--out", tmp_path / "new.yaml"], cwd="/", env=environ, capture_output=True)
    assert begun.returncode == 0 and (tmp_path / "policies/prose.yaml").is_file(), begun.stderr
