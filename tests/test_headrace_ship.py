"""What executors are sent: the rooms and the house's policies, under the name of their content."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from catalog.errors import InputError, SetupError
from catalog.schema import hash_bytes
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


def test_what_is_compiled_here_is_not_compiled_there(tmp_path: Path) -> None:
    """An executor that unpacks the house finds the kernels of where the run was started; without them it compiles, and keeps what it compiled."""
    hash_bytes(np.zeros(2, np.uint8), np.array([0]), np.array([2]))                                 # so that it is compiled here
    made = ship.archive(tmp_path)
    kernels = ship.kernels(tmp_path, made.stem)
    assert kernels is not None and kernels.name == f"kernels-{made.name}"

    def there(home: str) -> list[str]:
        environment = {"PATH": "/usr/bin:/bin", "NUMBA_CACHE_DIR": str(tmp_path / home)}
        command = [sys.executable, str(ship.HOUSE / "tests/kernel_hits.py"), str(made)]
        return subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=True).stdout.split()

    assert there("one") == [str(tmp_path / "one" / made.stem), "1", "0"]
    kernels.unlink()
    assert [there("two")[1:], there("two")[1:]] == [["0", "1"], ["1", "0"]]


def test_a_submitted_program_unpacks_the_house_once(tmp_path: Path) -> None:
    made = ship.archive(tmp_path)
    script = (
        f"import sys; sys.path.append({str(tmp_path)!r}); sys.path.append({str(made)!r}); import submit; print(submit.unpack()); "
        "import catalog; print(catalog.__file__)"
    )
    (tmp_path / "submit.py").write_text((ship.HOUSE / "headrace/submit.py").read_text())

    def said(home: str) -> list[str]:
        command = [sys.executable, "-c", script]
        return subprocess.run(command, cwd="/", env={"PATH": "/usr/bin:/bin", "HOME": home}, capture_output=True, text=True, check=True).stdout.split()

    kept = tmp_path / ".cache/headrace" / made.stem
    assert said(str(tmp_path)) == said(str(tmp_path)) == [str(kept), f"{kept}/catalog/__init__.py"]
    assert [path.name for path in kept.parent.iterdir()] == [made.stem]
    folder, file = said("/proc")
    assert file == f"{folder}/catalog/__init__.py" and not Path(folder).exists(), "one of its own, gone with it"


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
