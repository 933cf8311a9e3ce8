"""The command `headrace` that set-up writes, and `import headrace` in a notebook: from any folder, and from nobody else's."""

import sys
from pathlib import Path

import pytest
from demo_run import HOME
from launcher_making import call, write_command

from headrace import setup
from headrace.setup import launcher

pytestmark = pytest.mark.slow

README = (HOME / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command of a clone whose path a shell minds (a link to ours)."""
    clone = tmp_path / "a clone's place"
    clone.symlink_to(HOME)
    monkeypatch.setattr(setup, "HOME", clone)
    return write_command(tmp_path)


def test_it_runs_from_any_folder_by_any_name(command: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    said = call(command, "init", "pretrain", "--out", "mine.yaml", cwd=elsewhere)
    assert (said.returncode, said.stdout) == (0, "wrote mine.yaml; set its paths, then: headrace plan mine.yaml\n"), said.stderr
    (tmp_path / "link").symlink_to(command)
    said = call(tmp_path / "link", "sql", "SELECT 'two words'", "--lake", "none", cwd=elsewhere)
    assert said.returncode == 2 and "there is no lake here" in said.stderr and "Traceback" not in said.stderr


def test_parts_run_from_there_and_find_my_own_stages(command: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl").write_text('{"text": "The miller opens the sluice."}\n', encoding="utf-8")
    code = 'import pyarrow as pa\nfrom catalog.stage import declares\n\n\n@declares(reads=("text",), adds={"n": pa.int64()}, version=1)\n'
    (tmp_path / "mine.py").write_text(f"{code}def size(batch):\n    return batch.select(n=batch['text'].str.len_chars().cast(int))\n", encoding="utf-8")
    head = "name: x\nseed: 1\nlake: lake\ningest:\n  notes: {tables: {paths: [notes.jsonl]}, domain: web}\n"
    (tmp_path / "x.yaml").write_text(f"{head}curate:\n  corpus: {{from: notes, stages: ['mine:size']}}\n", encoding="utf-8")
    said = call(command, "run", "x.yaml", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert '{"n": 28}' in call(command, "sql", "SELECT mine.n FROM data.corpus", "--format", "json", cwd=tmp_path).stdout


def test_a_strangers_room_is_refused_all_the_same(command: Path, tmp_path: Path) -> None:
    (tmp_path / "mixer").mkdir()
    (tmp_path / "mixer" / "__init__.py").write_text("", encoding="utf-8")
    for where, environment in ((tmp_path, {}), (HOME, {"PYTHONPATH": str(tmp_path)})):
        said = call(command, "ls", cwd=where, **environment)
        assert said.returncode == 2 and f"{tmp_path / 'mixer'} stands beside our" in said.stderr


def test_it_is_written_once(command: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = command.stat()
    launcher(command.parent.parent)
    assert command.stat().st_ino == before.st_ino and [path.name for path in command.parent.iterdir()] == ["headrace", "python"]
    monkeypatch.setattr(setup, "HOME", HOME)                 # the clone was moved
    assert str(HOME) in launcher(command.parent.parent).read_text(encoding="utf-8")
    assert not list(command.parent.parent.rglob("*.pth"))


def test_the_environment_alone_imports_no_room(tmp_path: Path) -> None:
    """Executors that share this Python see the rooms only when they were shipped."""
    said = call(Path(sys.executable), "-c", "import catalog", cwd=tmp_path)
    assert said.returncode == 1 and "No module named 'catalog'" in said.stderr


def test_a_notebook_begins_as_the_readme_says(tmp_path: Path) -> None:
    block = next(text for text in README.split("```python\n")[1:] if "import headrace as hr" in text).partition("```")[0]
    lines = block.split("import headrace as hr")[0].replace("/path/to/the/clone", str(HOME)) + "import headrace as hr; print(hr.open)"
    said = call(Path(sys.executable), "-c", lines, cwd=tmp_path)
    assert said.returncode == 0 and "function open" in said.stdout, said.stderr
