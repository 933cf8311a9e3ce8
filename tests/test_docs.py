"""What the docs say is true: recipes in them load, links lead somewhere, pages made from the source are what it says, every command answers."""

import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pytest
import yaml
from demo_run import HOME, headrace
from test_house import DOORS
from trainer_making import launched, rows_run, text_run

from catalog.errors import InputError
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
from trainer import metrics

PAGES = sorted([*HOME.glob("*.md"), *HOME.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMANDS = (
    "ablate", "init", "run", "plan", "ls", "show", "sql", "label", "train-quality", "why", "trace", "policy", "adopt", "jobs", "logs", "cancel", "gc", "fetch",
    "ship", "doctor", "export", "dedup", "contamination",
)  # fmt: skip


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
    listed = re.findall(r"^  ([a-z][a-z-]+)  ", headrace("--help").out, re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)


DEEPER = (*(("policy", name) for name in ("try", "apply", "fit", "stop-words")), ("dedup", "query"))


@pytest.mark.parametrize("command", [*((name,) for name in COMMANDS), *DEEPER], ids=" ".join)
def test_every_command_explains_itself(command: tuple[str, ...]) -> None:
    said = headrace(*command, "--help")
    assert said.code == 0
    assert "Usage: headrace" in said.out
    assert "--lake" in said.out or command in (("init",), ("fetch",), ("ship",), ("policy",), ("dedup",))


def test_readme_names_every_command() -> None:
    text = (HOME / "README.md").read_text(encoding="utf-8").partition("## Every command\n")[2]
    for command in COMMANDS:
        assert re.search(rf"headrace {command}\b", text), command


# Examples of code

def code_of(title: str) -> str:
    """The Python blocks of a section of CONTRIBUTING.md, under each other."""
    section = (HOME / "CONTRIBUTING.md").read_text(encoding="utf-8").partition(f"## {title}\n")[2].partition("\n## ")[0]
    return "\n\n".join(re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL))


def example(title: str, folder: Path) -> str:
    """Write the example of a section of CONTRIBUTING.md as the file that its first line names, and return the module."""
    code = code_of(title)
    name = re.search(r"# \w+/(\w+)\.py$", code.splitlines()[0])
    assert name is not None
    (folder / f"{name[1]}.py").write_text(code, encoding="utf-8")
    return name[1]


@pytest.mark.parametrize("title", ["Add a stage", "Add a writer", "Add a loss"])
def test_an_example_is_a_dozen_lines(title: str) -> None:
    """What README promises: lines of code beside imports. The act that trains with a loss is an example of its own."""
    lines = code_of(title).partition("def act(")[0].splitlines()
    assert len([line for line in lines if line.strip() and not line.startswith(("import ", "from "))]) <= 12
    assert "a stage, a writer, a loss in a dozen lines each" in (HOME / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("title", ["Add a stage", "Add a writer", "Add a loss"])
def test_an_example_is_written_as_the_house_writes(title: str, tmp_path: Path) -> None:
    file = tmp_path / f"{example(title, tmp_path)}.py"
    lint = subprocess.run([sys.executable, "-m", "ruff", "check", "--config", HOME / "pyproject.toml", file], capture_output=True, text=True)
    assert lint.returncode == 0, lint.stdout


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


def test_the_example_of_a_loss_is_what_its_equation_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.syspath_prepend(tmp_path)
    bound = bind(find("trainer", f"{example('Add a loss', tmp_path)}:act"), {"gamma": 1.5}, "", given=("run",))
    assert bound.knobs == {"gamma": 1.5, "steps": 100, "batch": 8, "lr": 3e-4}
    focal = function(bound.path.replace(":act", ":focal"))
    said = torch.tensor([0.5, 0.9, 1.0], dtype=torch.float64).log().requires_grad_()
    assert focal(said, gamma=2.0).tolist() == pytest.approx([0.25 * math.log(2), 0.01 * -math.log(0.9), 0])
    assert focal(said, gamma=0.0).tolist() == pytest.approx((-said).tolist())
    assert torch.autograd.gradcheck(lambda logs: focal(logs, gamma=2.0), (said[:2].detach().requires_grad_(),))
    focal(said, gamma=2.0).sum().backward()
    assert said.grad is not None and said.grad.isfinite().all() and said.grad[2] == 0


@pytest.mark.slow
def test_the_example_of_a_loss_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the act's name where CONTRIBUTING says it goes, and not without it, on chats that the mixer froze."""
    import trainer
    from trainer import __main__ as command
    from trainer.run import open_run

    run = rows_run(tmp_path, launched_model(tmp_path), "sft", name="focused", samples=40)
    body = json.loads((run / "act.json").read_text(encoding="utf-8"))
    (run / "act.json").write_text(json.dumps({**body, "act": "focal", "knobs": {"gamma": 2.0, "steps": 10, "batch": 4, "lr": 3e-3}}), encoding="utf-8")
    with pytest.raises(InputError, match="no act 'focal'"):
        command.go(open_run(run))
    (tmp_path / "room").mkdir()
    example("Add a loss", tmp_path / "room")
    monkeypatch.setattr(trainer, "__path__", [*trainer.__path__, str(tmp_path / "room")])
    monkeypatch.setattr(command, "ACTS", (*command.ACTS, "focal"))
    done = command.go(open_run(run))
    losses = [line["loss"] for line in metrics.read(run / "metrics.jsonl") if line["kind"] == "train"]
    assert done["act"] == "focal" and len(losses) == 10 and losses[-1] < losses[0] and (run / "model" / "config.json").is_file()


def launched_model(root: Path) -> Path:
    """A model of one step, with its tokenizer."""
    folder = text_run(root, documents=60, budget=512, hold_out=0.0, batch=8)
    done = launched(folder)
    assert done.returncode == 0, done.stderr
    return folder / "model"


# Lists in words

def test_contributing_names_every_door() -> None:
    law = (HOME / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("Each heavy library is imported at one door.")[2].partition("\n\n")[0]
    for library, places in DOORS.items():
        assert any(f"{library}: `{place}`" in " ".join(law.split()) for place in places) or f"{library}: one file of `curate/`" in law, library


def test_recipes_says_what_each_source_needs() -> None:
    row = next(line for line in (HOME / "docs" / "recipes.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `ingest` |"))
    sources = [file.stem for file in (HOME / "ingest").glob("*.py") if "\ndef read(" in file.read_text(encoding="utf-8")]
    needs = {name: find("ingest", f"{name}.read").required for name in sources}
    assert needs["crawl"] and all(f"`{name}`" in row and all(f"`{knob}:`" in row for knob in knobs) for name, knobs in needs.items() if knobs)
    assert "`index` reads `paths:`" in row


def test_the_recipes_to_start_from_share_a_lake() -> None:
    """Each may be run beside the others: no two make a dataset of one name."""
    made = [part.dataset for file in sorted((HOME / "recipes" / "starts").glob("*.yaml")) for part in load(file).parts if part.section in PUBLISHING]
    assert len(made) == len(set(made)) > 6
