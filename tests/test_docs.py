"""What the docs say is true: recipes in them load, links lead somewhere, pages made from the source are what it says, every command answers."""

import json
import re
from pathlib import Path

import pytest
import yaml
from demo_run import headrace

from catalog.recipe import load
from catalog.written import read_yaml
from curate.policy import load as load_policy
from headrace import handbook

HOME = Path(__file__).resolve().parent.parent
PAGES = sorted([*HOME.glob("*.md"), *HOME.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMANDS = ("init", "run", "plan", "ls", "show", "sql", "why", "trace", "policy", "adopt", "jobs", "logs", "cancel", "gc", "ship", "doctor")


def blocks() -> list[tuple[str, str]]:
    return [(f"{page.relative_to(HOME)}:{i}", text) for page in PAGES for i, text in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))]


@pytest.mark.parametrize(("place", "text"), blocks(), ids=[place for place, _ in blocks()])
def test_every_yaml_block_loads(place: str, text: str, tmp_path: Path) -> None:
    given = read_yaml(text)
    folder = tmp_path / "recipes"
    folder.mkdir()
    file = folder / "block.yaml"
    file.write_text(text, encoding="utf-8")
    if "drop" in given or "keep" in given:
        load_policy(file)
    elif "name" in given and "lake" in given:
        (folder / "policies").symlink_to(HOME / "recipes" / "policies")
        load(file)
    else:
        whole = {"name": "x", "seed": 1, "lake": "lake", **given}
        (folder / "policies").symlink_to(HOME / "recipes" / "policies")
        file.write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")
        load(file)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(HOME)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_pages_made_from_the_source_are_what_it_says() -> None:
    assert handbook.PAGE.read_text(encoding="utf-8") == handbook.page(), "run python -m headrace.handbook"
    assert json.loads(handbook.SCHEMA.read_text(encoding="utf-8")) == handbook.schema(), "run python -m headrace.handbook"


def test_help_lists_exactly_the_commands_that_there_are() -> None:
    listed = re.findall(r"^  ([a-z]+)  ", headrace("--help").out, re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("command", [*((name,) for name in COMMANDS), ("policy", "try"), ("policy", "apply")], ids=" ".join)
def test_every_command_explains_itself(command: tuple[str, ...]) -> None:
    said = headrace(*command, "--help")
    assert said.code == 0
    assert "Usage: headrace" in said.out
    assert "--lake" in said.out or command in (("init",), ("ship",), ("policy",))


def test_readme_names_every_command() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    for command in COMMANDS:
        assert re.search(rf"headrace {command}\b", text), command
