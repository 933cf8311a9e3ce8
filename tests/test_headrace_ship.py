"""What executors are sent: the rooms and the house's policies, under the name of their content."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from catalog.errors import InputError, SetupError
from catalog.stage import ROOMS
from headrace import ship


def test_the_zip_is_the_rooms_and_its_name_their_content(tmp_path: Path) -> None:
    one, two = ship.archive(tmp_path / "a"), ship.archive(tmp_path / "b")
    assert one.name == two.name and one.read_bytes() == two.read_bytes() and one.name.startswith("headrace-")
    names = zipfile.ZipFile(one).namelist()
    assert {name.partition("/")[0] for name in names} == {*ROOMS, "recipes"} and "catalog/tasks.py" in names and "curate/minhash.py" in names
    assert "recipes/policies/fineweb.yaml" in names
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".nbi", ".nbc"))]
    assert one.stat().st_size < 3_000_000


def test_other_content_has_another_name(tmp_path: Path) -> None:
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("X = 1\n")
    first = ship.made_of(package, tmp_path / "out")
    (package / "__init__.py").write_text("X = 2\n")
    second = ship.made_of(package, tmp_path / "out")
    assert first.name != second.name and ship.made_of(first, tmp_path) == first
    with pytest.raises(InputError, match="there is nothing to ship"):
        ship.made_of(tmp_path / "absent", tmp_path)


def test_a_process_elsewhere_runs_from_the_zip(tmp_path: Path) -> None:
    made = ship.archive(tmp_path)
    script = f"import sys; sys.path.insert(0, {str(made)!r}); import catalog.tasks as t; print(t.__file__, t.name_of({{'name': 'x'}}))"
    said = subprocess.run([sys.executable, "-c", script], cwd="/", env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True).stdout
    assert said.split() == [f"{made}/catalog/tasks.py", "x"]


def test_only_a_virtual_environment_can_be_packed(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="is no virtual environment; make one with requirements/worker.txt"):
        ship.environment(tmp_path / "e.tar.gz", python="/usr/bin/python3")


@pytest.mark.slow
def test_a_small_environment_is_packed_and_runs_elsewhere(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "small")], check=True)
    packed = ship.environment(tmp_path / "environment.tar.gz", python=tmp_path / "small/bin/python")
    assert ship.environment(packed, python=tmp_path / "small/bin/python") == packed
    with tarfile.open(packed) as archive:
        archive.extractall(tmp_path / "there", filter="fully_trusted")
    said = subprocess.run([tmp_path / "there/bin/python", "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True).stdout
    assert said.strip() == str(tmp_path / "there")


def test_the_command_says_what_to_pass_on(tmp_path: Path) -> None:
    said = ship.ship_rooms(tmp_path)
    assert "spark-submit --master URL --py-files" in said and str(tmp_path) in said
    assert (tmp_path / "headrace_submit.py").read_text() == (ship.HOUSE / "headrace/submit.py").read_text()
