"""README's jobs, done as it says: the commands and the code are taken out of its pages and run in a folder of the user's own."""

import io
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from demo_run import HOME
from launcher_making import call, shell, write_command
from river_making import prose
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

pytestmark = pytest.mark.slow

README = (HOME / "README.md").read_text(encoding="utf-8")
SENTENCE = "The miller opens the sluice when the river is high, and the water runs down the race to the wheel that turns the stone number {}."
KINDS = ("curate", "pretrain", "sft", "synth")


def block(mark: str) -> str:
    """The first block of README that holds a text, without its fences."""
    return next(text for text in re.findall(r"^```\w*\n(.*?)^```", README, re.MULTILINE | re.DOTALL) if mark in text)


def write_pages(path: Path) -> None:
    """Nine pages of prose and a short one, as a crawl; one is the page that README asks about."""
    with open(path, "wb") as file:
        writer = WARCWriter(file, gzip=True)
        for i in range(10):
            text = " ".join(SENTENCE.format(10 * i + j) for j in range(6 if i else 1))
            body = f"<html><body><main><h1>The mill {i}</h1><p>{text}</p></main></body></html>".encode()
            head = StatusAndHeaders("200 OK", [("Content-Type", "text/html; charset=utf-8")], protocol="HTTP/1.1")
            uri = "https://example.org/page" if i == 1 else f"https://h{i}.example/"
            writer.write_record(writer.create_warc_record(uri, "response", payload=io.BytesIO(body), http_headers=head))


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_rows(data: Path) -> None:
    """My own JSONL, with the keys of README's row: 300 texts and 100 of code; 12 chats, 12 pairs and a note."""
    row = json.loads(block('{"text": '))
    assert {"text", "url", "license"} <= row.keys()
    code = [f"def turn_{i}(wheel, water):\n    height = water.level - {i}\n    return wheel.turn(height * {i % 7 + 1})\n" for i in range(100)]
    write_lines(data / "prose.jsonl", ({**row, "text": prose(f"row {i}", 4), "url": f"https://h{i % 60}.example/{i}"} for i in range(300)))
    write_lines(data / "code.jsonl", ({**row, "text": text * 2, "url": f"https://code{i % 20}.example/{i}"} for i, text in enumerate(code)))
    asked = [(f"What does wheel {i} do?", f"Wheel {i} turns the stone.", "I do not know.") for i in range(12)]
    write_lines(data / "chats.jsonl", ({"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]} for q, a, _ in asked))
    write_lines(data / "pairs.jsonl", ({"prompt": q, "chosen": a, "rejected": b} for q, a, b in asked))
    write_lines(data / "notes.jsonl", ({"text": prose(f"note {i}", 4)} for i in range(12)))


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_command(tmp_path_factory.mktemp("set up"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder, with input of every kind under data/."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "data").mkdir()
    write_pages(folder / "data" / "pages.warc.gz")
    write_rows(folder / "data")
    return folder


@pytest.fixture(scope="module")
def curated(command: Path, home: Path) -> str:
    """What the data engineer's commands printed, one after the other."""
    done = shell(command, block("headrace init curate"), cwd=home)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def trained(command: Path, home: Path) -> str:
    """What the researcher's commands printed: the recipe to start from, README's lines in place of its ingest section, and small sizes."""
    first, _, rest = block("headrace init pretrain").partition("\n")
    done = shell(command, first, cwd=home)
    assert done.returncode == 0, done.stderr
    file = home / "pretrain.yaml"
    text = re.sub(r"^ingest:\n(  .*\n)+", lambda _: block("columns: {text: text, uri: url"), file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for given, small in (("vocab: 4096", "vocab: 512"), ("context: 256", "context: 64"), ("budget: 400k", "budget: 26k")):
        assert given in text
        text = text.replace(given, small)
    file.write_text(text, encoding="utf-8")
    done = shell(command, rest, cwd=home)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_a_data_engineer(curated: str) -> None:
    assert "h0.example" in curated and "stricter keeps 9 of 10 documents" in curated


def test_an_analyst(command: Path, home: Path, curated: str) -> None:
    lines = block("SELECT * FROM funnel").strip().splitlines()
    said = [shell(command, line, cwd=home) for line in lines]
    assert [(one.returncode, one.stderr) for one in said] == [(0, "")] * 4
    funnel, reasons, hosts, why = (one.stdout for one in said)
    assert "too_short" in reasons and "h0.example" not in hosts and "h9.example" in hosts and "example.org" in hosts
    assert "corpus" in funnel and all(name in why for name in ("https://example.org/page", "mean_word_length", "kept"))


NOTEBOOK = """
import ast, sys
names = {}
for node in ast.parse(sys.argv[1]).body:
    if not isinstance(node, ast.Expr):
        exec(compile(ast.Module([node], []), "cell", "exec"), names)
    elif (shown := eval(compile(ast.Expression(node.value), "cell", "eval"), names)) is not None:
        ids = [str(one) for one in shown["doc_id"]] if "doc_id" in str(shown) else []
        print(type(shown).__module__.partition(".")[0], type(shown).__name__, len(shown), *sorted(ids))
"""
"""What a notebook does with cells: it shows what an expression gives."""


def test_a_notebook(home: Path, curated: str) -> None:
    """Its cells give rows in each of the forms that README names, the same rows in each."""
    code = block("import headrace as hr").replace("/path/to/the/clone", str(HOME))
    line = next(line for line in code.splitlines() if "# or ." in line)
    shown, _, others = line.partition(" # or ")
    given = shown.strip().removesuffix(".pl()")
    forms = others.split(", ")
    said = call(Path(sys.executable), "-W", "error", "-c", NOTEBOOK, "\n".join([code, *(given + form for form in forms)]), cwd=home)
    assert said.returncode == 0, said.stderr
    found = [one.split() for one in said.stdout.splitlines()]
    assert forms == [".df()", ".arrow()", ".sample(100)"]
    assert [tuple(one[:3]) for one in found] == [
        ("polars", "DataFrame", "9"), ("pandas", "DataFrame", "1"), ("pandas", "DataFrame", "9"), ("pyarrow", "Table", "9"), ("polars", "DataFrame", "9"),
    ]  # fmt: skip
    ids = [one[3:] for one in found if one[2] == "9"]
    assert len(ids[0]) == 9 and all(one == ids[0] for one in ids)


def test_a_researcher(home: Path, trained: str) -> None:
    sources, _, batch = trained.partition("<- tiny")
    assert re.search(r"prose|texts", sources) and "CC0-1.0" in sources and "https://" not in sources
    assert re.findall(r"https://\w+\.example/\d+", batch), trained
    acts = [json.loads(file.read_text(encoding="utf-8")) for file in (home / "lake" / "runs").glob("train.base-*/act.json")]
    assert [act["knobs"]["lr"] for act in acts] == [0.002]


@pytest.mark.parametrize("kind", KINDS)
def test_every_recipe_to_start_from_can_be_planned(kind: str, command: Path, home: Path) -> None:
    """As `init` wrote it, over the input of that name; a model of mine is the one path that has to be set."""
    assert sorted(file.stem for file in (HOME / "recipes" / "starts").glob("*.yaml")) == list(KINDS)
    said = shell(command, f"headrace init {kind} --out {kind}-plan.yaml; headrace plan {kind}-plan.yaml --lake planned", cwd=home)
    assert said.returncode == 0, said.stderr
    assert "ingest." in said.stdout


def test_a_model_of_mine_is_taught_to_answer(command: Path, home: Path, trained: str) -> None:
    lines = "headrace init sft; headrace run sft.yaml --set train.chat.from=base --set train.chat.steps=4 --set train.tuned.steps=2; headrace trace tuned"
    done = shell(command, lines, cwd=home)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "tuned (dpo) <- chat (sft) <- base (pretrain) <- tiny" in done.stdout


@pytest.mark.vllm
def test_questions_are_written_from_documents_of_mine(command: Path, home: Path) -> None:
    small = "--set synth.qa.limit=12 --set synth.qa.at_least=1 --set synth.prefs.at_least=1"
    lines = f"headrace init synth; headrace run synth.yaml {small}; headrace sql 'SELECT kept, reason, count(*) n FROM audit.qa GROUP BY ALL' --format json"
    done = shell(command, lines, cwd=home)
    assert done.returncode == 0, done.stderr[-3000:]
    assert '"kept": true' in done.stdout
