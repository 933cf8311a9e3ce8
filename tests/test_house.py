"""The laws of the house, read from the source: imports go down, each heavy library has one door, files and functions stay short."""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parent.parent
BELOW = {                                                    # what a room may import besides itself
    "headrace": {"trainer", "mixer", "synth", "ingest", "curate", "catalog"},
    "trainer": {"mixer", "synth", "catalog"},
    "mixer": {"catalog"},
    "synth": {"catalog"},
    "ingest": {"catalog"},
    "curate": {"catalog"},
    "catalog": set(),
}
DOORS = {                                                    # where a heavy library is imported; datasketch's file is curate's own choice
    "pyspark": ("catalog/spark.py",),
    "duckdb": ("catalog/lake.py",),
    "datatrove": ("catalog/trove.py",),
    "trafilatura": ("ingest/html.py",),
    "datasketch": ("curate/minhash.py", "curate/bands.py"),
    "vllm": ("synth/engine.py",),
    "accelerate": ("trainer/loop.py",),
    "pypdfium2": ("ingest/texts/pdf.py",),
    "mwparserfromhell": ("ingest/entries/wikitext.py",),
    "tree_sitter": ("curate/grammars.py",),
}
TORCH_INSIDE = ("synth/engine.py", "curate/quality.py")      # in functions only; anywhere in trainer/
LOOKUP = "catalog/stage.py"                                  # may look a name up in a room above it
DRAWERS = {"utils", "util", "common", "core", "helpers", "helper", "misc", "base", "manager"}
FILE_LINES, FUNCTION_LINES = 400, 50
LOOSE_BYTES = 200_000                                        # a tracked file above this is a lock, or does not belong here
OTHERS_TEXT = (".gz", ".zip", ".whl", ".warc", ".parquet", ".gguf", ".safetensors", ".epub", ".bin", ".npy", ".pkl", ".joblib", ".duckdb")

Source = tuple[str, ast.Module, str]                         # path from the root, tree, text


def sources(root: Path, *folders: str) -> Iterator[Source]:
    """Every Python file of these folders, parsed."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            text = path.read_text("utf-8")
            yield path.relative_to(root).as_posix(), ast.parse(text, str(path)), text


def imports(tree: ast.Module) -> Iterator[tuple[str, ast.stmt | ast.expr, bool, bool]]:
    """(module, node, in a function, for types alone) of each import, `import_module("x")` and `__import__("x")` too."""

    def walk(node: ast.AST, inside: bool, typed: bool) -> Iterator[tuple[str, ast.stmt | ast.expr, bool, bool]]:
        if isinstance(node, ast.Import):
            yield from ((name.name, node, inside, typed) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield ("." * node.level + (node.module or ""), node, inside, typed)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from ((str(given.value), node, inside, typed) for given in node.args[:1] if isinstance(given, ast.Constant))
        deeper = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for_types = node.body if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING") else []
        for child in ast.iter_child_nodes(node):
            yield from walk(child, deeper, typed or child in for_types)

    yield from walk(tree, False, False)


def upward(root: Path) -> list[str]:
    """Law 1: imports that do not go down, relative ones, and rooms imported whole (names are what is imported)."""
    wrong = []
    for path, tree, _ in sources(root, *BELOW):
        room = path.split("/")[0]
        for module, node, _, _ in imports(tree):
            other = module.split(".")[0]
            if module.startswith("."):
                wrong.append(f"{path}:{node.lineno}: a relative import")
            elif other in BELOW and other not in {room} | BELOW[room] and path != LOOKUP:
                wrong.append(f"{path}:{node.lineno}: {room} imports {other}, which is not below it")
            elif isinstance(node, ast.Import) and other in BELOW:
                wrong.append(f"{path}:{node.lineno}: imports {module} whole; import names")
    return wrong


def side_doors(root: Path) -> list[str]:
    """Law 2: heavy libraries imported anywhere but at their door. Types alone may be named anywhere."""
    wrong, sketching = [], set()
    for path, tree, _ in sources(root, *BELOW):
        for module, node, inside, typed in imports(tree):
            library = module.split(".")[0]
            if typed:
                continue
            if library in DOORS and path not in DOORS[library]:
                wrong.append(f"{path}:{node.lineno}: imports {library}, whose door is {' or '.join(DOORS[library])}")
            if library == "torch" and not path.startswith("trainer/") and not (inside and path in TORCH_INSIDE):
                wrong.append(f"{path}:{node.lineno}: imports torch, which belongs to trainer")
            if library == "datasketch":
                sketching.add(path)
    return wrong + ([f"datasketch has two doors: {sorted(sketching)}"] if len(sketching) > 1 else [])


def untidy(root: Path) -> list[str]:
    """Files and functions that grew too long, or do not say what they are about; drawers; marks of unfinished work."""
    wrong = []
    for path, tree, text in sources(root, *BELOW, "benchmarks", "requirements", "tests"):
        parts = [part.removesuffix(".py") for part in path.split("/")]
        if DRAWERS & set(parts):
            wrong.append(f"{path}: a drawer, not a name")
        if parts[-1] == "__init__":
            if text and parts != ["headrace", "__init__"]:
                wrong.append(f"{path}: is not empty")
            continue
        lines = text.count("\n")
        if lines >= FILE_LINES:
            wrong.append(f"{path}: {lines} lines")
        if not text.startswith('"""') or not ast.get_docstring(tree):
            wrong.append(f"{path}: the first line does not say what it is about")
        wrong += [f"{path}:{line}" for line in scolded(path, tree, text)]
    return wrong


def scolded(path: str, tree: ast.Module, text: str) -> Iterator[str]:
    """`line: what` for long functions, swallowed errors, bare ignores and notes to self in one file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno + 1 >= FUNCTION_LINES:
            yield f"{node.lineno}: {node.name} has {(node.end_lineno or 0) - node.lineno + 1} lines"
        if isinstance(node, ast.ExceptHandler) and swallows(node):
            yield f"{node.lineno}: swallows every error"
    if path != "tests/test_house.py":
        for number, line in enumerate(text.splitlines(), 1):
            if re.search(r"#\s*type:\s*ignore(?!\[)|\b(TODO|FIXME|XXX)\b", line):
                yield f"{number}: {line.strip()[:80]}"


def swallows(node: ast.ExceptHandler) -> bool:
    """`except Exception: pass`, in any of its spellings."""
    every = node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")
    return every and all(isinstance(line, ast.Pass) for line in node.body)


def missing(root: Path) -> list[str]:
    """Rooms without an `__init__.py`, and doors that are not there."""
    rooms = [f"{room}/__init__.py is missing" for room in BELOW if not (root / room / "__init__.py").is_file()]
    return rooms + [f"the door to {name} is missing" for name, paths in DOORS.items() if not any((root / path).is_file() for path in paths)]


@cache
def tracked() -> tuple[str, ...]:
    """What git tracks, or would: nothing of what it ignores."""
    asked = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=HOME, capture_output=True, text=True)
    if asked.returncode:
        pytest.skip("not a git clone")
    return tuple(path for path in asked.stdout.split("\0") if path and (HOME / path).is_file())


def test_imports_go_down() -> None:
    assert upward(HOME) == []


def test_each_heavy_library_has_one_door() -> None:
    assert side_doors(HOME) == []


def test_files_are_short_and_say_what_they_are() -> None:
    assert untidy(HOME) == []


def test_every_room_and_every_door_is_there() -> None:
    assert missing(HOME) == []


def test_there_is_no_other_package() -> None:
    packages = {path.split("/")[0] for path in tracked() if path.endswith(".py") and "/" in path}
    assert packages - {"benchmarks"} == {*BELOW, "requirements", "tests"}


def test_no_text_of_others_is_tracked() -> None:
    wrong = [path for path in tracked() if path.endswith(OTHERS_TEXT) or (HOME / path).stat().st_size > LOOSE_BYTES]
    wrong += [path for path in tracked() if path.startswith("examples/") and Path(path).name != "corpus.toml" and not path.endswith((".yaml", ".md", ".ipynb"))]
    assert wrong == []


LOADED = """
import importlib, os, sys
for light in {light!r}:
    importlib.import_module(light)
wrong = 0
for module in {modules!r}:
    child = os.fork()                                        # each module alone, on what is light and loaded once
    if child == 0:
        importlib.import_module(module)
        found = sorted({libraries!r} & set(sys.modules))
        if found:
            print(f"importing {{module}} brings {{', '.join(found)}}", flush=True)
        os._exit(1 if found else 0)
    wrong |= os.waitpid(child, 0)[1]
sys.exit(1 if wrong else 0)
"""


def modules_of(*rooms: str) -> list[str]:
    """Modules of these rooms, less the doors and what runs when it is imported."""
    doors = {path for paths in DOORS.values() for path in paths}
    paths = [path for path, _, _ in sources(HOME, *rooms) if path not in doors and not path.endswith(("__main__.py", "__init__.py"))]
    return [path.removesuffix(".py").replace("/", ".") for path in paths]


@pytest.mark.slow
@pytest.mark.parametrize(("rooms", "light", "libraries"), [
    (("headrace", "catalog", "ingest", "curate", "synth", "mixer"), ("numba", "polars", "pyarrow.parquet", "rich", "typer"), {*DOORS, "torch"}),
    (("trainer",), ("numba", "polars", "transformers.models.llama.modeling_llama"), {*DOORS} - {"accelerate"}),       # transformers brings that one by itself
])
def test_no_other_module_brings_a_heavy_library(rooms: tuple[str, ...], light: tuple[str, ...], libraries: set[str]) -> None:
    code = LOADED.format(modules=modules_of(*rooms), light=light, libraries=libraries)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=HOME, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr[-2000:]


@pytest.mark.parametrize(("path", "text", "law", "says"), [
    ("catalog/a.py", "from curate.gopher import signals", upward, "catalog imports curate"),
    ("mixer/a.py", "def f():\n    from synth.engine import ask", upward, "mixer imports synth"),
    ("curate/a.py", "from ingest.html import text", upward, "curate imports ingest"),
    ("mixer/a.py", "import importlib\nimportlib.import_module('trainer.loop')", upward, "mixer imports trainer"),
    ("trainer/a.py", "from .loop import run", upward, "relative"),
    ("headrace/a.py", "import catalog.lake", upward, "whole"),
    ("headrace/a.py", "import duckdb", side_doors, "imports duckdb"),
    ("curate/a.py", "def f():\n    from pyspark.sql import functions", side_doors, "imports pyspark"),
    ("curate/a.py", "__import__('datatrove')", side_doors, "imports datatrove"),
    ("curate/bands.py", "import datasketch", side_doors, "two doors"),
    ("mixer/a.py", "import torch", side_doors, "torch"),
    ("synth/engine.py", "import torch", side_doors, "torch"),
    ("catalog/a.py", '"""About."""\ndef f():\n' + "    x = 1\n" * 49, untidy, "f has 50 lines"),
    ("catalog/a.py", '"""About."""\n' + "x = 1\n" * 399, untidy, "400 lines"),
    ("catalog/a.py", "x = 1\n", untidy, "does not say"),
    ("catalog/a.py", '"""About."""\nx = f()  # type: ignore\n', untidy, "type: ignore"),
    ("catalog/a.py", '"""About."""\ntry:\n    x = 1\nexcept Exception:\n    pass\n', untidy, "swallows"),
    ("catalog/__init__.py", "from catalog.lake import Lake\n", untidy, "not empty"),
    ("catalog/utils.py", '"""About."""\n', untidy, "drawer"),
    ("catalog/helpers/a.py", '"""About."""\n', untidy, "drawer"),
])
def test_a_planted_violation_is_found(tmp_path: Path, path: str, text: str, law: Callable[[Path], list[str]], says: str) -> None:
    planted = {"catalog/stage.py": '"""About."""\n', "curate/minhash.py": '"""About."""\nimport datasketch\n', path: text}
    for name, body in planted.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(body)
    found = law(tmp_path)
    assert len(found) == 1, found
    assert says in found[0]


@pytest.mark.parametrize(("path", "text"), [
    ("curate/a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pyspark.sql import DataFrame"),
    ("synth/engine.py", "def f():\n    import torch"),
    ("catalog/stage.py", "from importlib import import_module\nimport_module('curate.gopher')"),
    ("trainer/a.py", "import torch\nfrom mixer.samples import Samples"),
])
def test_what_the_laws_permit(tmp_path: Path, path: str, text: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(text)
    assert upward(tmp_path) + side_doors(tmp_path) == []
