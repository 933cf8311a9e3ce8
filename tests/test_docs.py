"""What the docs say is true: recipes in them load, links lead somewhere, pages made from the source are what it says, every command answers."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pytest
import yaml
from demo_run import HOME, headrace
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from catalog.ids import derive
from catalog.recipe import load
from catalog.stage import bind, find
from catalog.stage import load as function
from catalog.written import read_yaml
from curate.policy import load as load_policy
from headrace import handbook
from headrace.done import PUBLISHING
from synth.models import Model
from synth.requests import Completion, Request
from synth.write import write

PAGES = sorted([*HOME.glob("*.md"), *HOME.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMANDS = ("init", "run", "plan", "ls", "show", "sql", "why", "trace", "policy", "adopt", "jobs", "logs", "cancel", "gc", "fetch", "ship", "doctor")


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
    assert "--lake" in said.out or command in (("init",), ("fetch",), ("ship",), ("policy",))


def test_readme_names_every_command() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    for command in COMMANDS:
        assert re.search(rf"headrace {command}\b", text), command


# Examples of code

def example(title: str, folder: Path) -> str:
    """Write the example of a section of CONTRIBUTING.md as the file that its first line names, and return the module."""
    section = (HOME / "CONTRIBUTING.md").read_text(encoding="utf-8").partition(f"## {title}\n")[2]
    code = section.partition("```python\n")[2].partition("```")[0]
    name = re.search(r"# \w+/(\w+)\.py$", code.splitlines()[0])
    assert name is not None
    (folder / f"{name[1]}.py").write_text(code, encoding="utf-8")
    return name[1]


def test_the_example_of_a_stage_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    bound = bind(find("curate", f"{example('Add a stage', tmp_path)}:signals"), {"sample": 3}, "")
    signals = function(bound.path)
    made = signals(pl.DataFrame({"text": ["ABcD", "123", "", "éÉ"]}), **bound.knobs)
    assert made["upper"].to_list() == [pytest.approx(2 / 3), None, None, 0.5]
    assert (bound.version, signals.declares.family, list(signals.declares.adds)) == (1, "caps", made.columns)


class Desk:
    """Stands for a model that says what it is told to."""

    model = Model("m", "none", "d" * 64, "Apache-2.0")

    def __init__(self, *finishes: str) -> None:
        self.finishes, self.asked = finishes, []                 # type: tuple[str, ...], list[Request]

    def ask(self, part: str, seed: int, watch: object) -> "Desk":
        self.part, self.seed, self.counts = part, lambda *names: derive(seed, part, *names), {"asked": 0}
        return self

    def __call__(self, requests: Sequence[Request], **_: object) -> Iterator[Completion]:
        for i, (request, finish) in enumerate(zip(requests, self.finishes, strict=True)):
            self.asked.append(request)
            yield Completion(i, "k", " It is about a mill. ", finish, 6, 20, None, None, False)


def test_the_example_of_a_writer_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    bound = bind(find("synth", f"{example('Add a writer', tmp_path)}:short"), {"limit": 2}, "", given=("rows", "ask"))
    assert bound.version == 1
    documents = pl.DataFrame({"doc_id": ["a", "b", "c"], "text": ["The mill.", "The race.", "The weir."], "title": ["t"] * 3, "license": ["CC0-1.0"] * 3})
    desk, shared = Desk("stop", "length"), {"part": "synth.s", "dataset": "s", "run": "r", "seed": 1, "lake_root": tmp_path, "at_least": 1}
    told = write(desk, iter([documents]), bound.path, bound.knobs, **shared)     # type: ignore[arg-type]
    assert (told["shape"], told["rows"], told["kept"], told["reasons"]) == ("chat", 2, 1, {"cut": 1})
    rows = pl.read_parquet(tmp_path / told["file"]["path"])
    assert rows["messages"][0][1] == {"role": "assistant", "content": "It is about a mill."}
    assert rows["gen"].struct.field("parents").to_list() == [["a"], ["b"]] and len({request.seed for request in desk.asked}) == 2


# The README, step by step

SENTENCE = "The miller opens the sluice when the river is high, and the water runs down the race to the wheel that turns the stone number {}."


def write_pages(path: Path) -> None:
    """Nine pages of prose and a short one, as a crawl."""
    path.parent.mkdir()
    with open(path, "wb") as file:
        writer = WARCWriter(file, gzip=True)
        for i in range(10):
            text = " ".join(SENTENCE.format(10 * i + j) for j in range(6 if i else 1))
            body = f"<html><body><main><h1>The mill {i}</h1><p>{text}</p></main></body></html>".encode()
            head = StatusAndHeaders("200 OK", [("Content-Type", "text/html; charset=utf-8")], protocol="HTTP/1.1")
            writer.write_record(writer.create_warc_record(f"https://h{i}.example/", "response", payload=io.BytesIO(body), http_headers=head))


@pytest.mark.slow
def test_the_steps_of_a_data_engineer_work_in_order(tmp_path: Path) -> None:
    write_pages(tmp_path / "data" / "pages.warc.gz")
    blocks = re.findall(r"^```\n(.*?)^```", (HOME / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    block = next(text for text in blocks if "headrace init curate" in text)
    shell = f'headrace() {{ "{sys.executable}" -m headrace "$@"; }}\nset -e\n'
    done = subprocess.run(["sh", "-c", shell + block], cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "h0.example" in done.stdout and "stricter keeps 9 of 10 documents" in done.stdout


def test_the_recipes_to_start_from_share_a_lake() -> None:
    """Each may be run beside the others: no two make a dataset of one name."""
    made = [part.dataset for file in sorted((HOME / "recipes" / "starts").glob("*.yaml")) for part in load(file).parts if part.section in PUBLISHING]
    assert len(made) == len(set(made)) > 6
