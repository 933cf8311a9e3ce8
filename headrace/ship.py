"""Send the house to the executors: its code as a zip named by its content, and with `--env` the Python that runs it.

The zip holds the rooms and the house's policies, with fixed times, so the same code has the same name on every machine. It goes through
`addPyFile`; a recipe's own modules (`pkg.module:function`) go the same way with `extra`. What numba has compiled here goes with it in a zip of its own:
a node of the same processor need not compile for a minute what is compiled already, and another one compiles for itself.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.errors import InputError, SetupError
from catalog.house import brought
from catalog.stage import HOUSE, ROOMS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LEFT_OUT = ("__pycache__", ".ruff_cache", ".mypy_cache")
TIME = (1980, 1, 1, 0, 0, 0)


def send(spark: "SparkSession", extra: Sequence[str] = ()) -> Path:
    """Give the house, and further modules, packages or zips by path, to the session's executors, once. Returns the zip."""
    made = archive(Path(tempfile.mkdtemp(prefix="headrace-ship-")))
    compiled = kernels(made.parent, made.stem)
    there = {os.path.basename(path) for path in spark.sparkContext.listFiles}  # by --py-files, or by an earlier call
    for path in (*([compiled] if compiled else []), made, *(made_of(Path(path), made.parent) for path in extra)):
        if path.name not in there:
            spark.sparkContext.addPyFile(str(path))
    return made


def archive(folder: str | Path) -> Path:
    """Write `headrace-<hash of its content>.zip` into a folder and return its path. It is the same for the same code."""
    members = [(f"{room}/{path}", HOUSE / room / path) for room in ROOMS for path in sorted(_files(HOUSE / room))]
    members += [(f"recipes/policies/{path.name}", path) for path in sorted(brought("policies").glob("*.yaml"))]
    return _zip(Path(folder), "headrace", members)


def kernels(folder: Path, house: str) -> Path | None:
    """Write `kernels-<house>.zip`: what numba keeps beside the sources, and the sources' times, by which it knows them. None where there is nothing."""
    times, found = {}, []
    for room in ROOMS:
        for path in sorted((HOUSE / room).rglob("__pycache__/*.nb[ic]")):
            source = path.parent.parent / f"{path.name.partition('.')[0]}.py"
            if source.is_file():
                times[source.relative_to(HOUSE).as_posix()] = source.stat().st_mtime_ns
                found.append(path)
    if not found:
        return None
    with zipfile.ZipFile(folder / f"kernels-{house}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
        for path in found:
            out.write(path, path.relative_to(HOUSE).as_posix())
        out.writestr("times.json", json.dumps(times))
    return folder / f"kernels-{house}.zip"


def made_of(path: Path, folder: Path) -> Path:
    """Return something that `addPyFile` takes: a module or a zip as it is, a package as a zip."""
    if not path.exists():
        raise InputError(f"{path}: there is nothing to ship")
    if path.is_file():
        return path
    return _zip(folder, path.name, [(f"{path.name}/{inner}", path / inner) for inner in sorted(_files(path))])


def _files(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        inner = path.relative_to(folder)
        if path.is_file() and not set(inner.parts) & set(LEFT_OUT) and path.suffix not in (".pyc", ".nbi", ".nbc"):
            yield inner.as_posix()


def _zip(folder: Path, name: str, members: Sequence[tuple[str, Path]]) -> Path:
    contents = [(inner, path.read_bytes()) for inner, path in members]
    state = hashlib.blake2b(digest_size=8)
    for inner, content in contents:
        state.update(f"{inner}\0{len(content)}\0".encode() + content)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{state.hexdigest()}.zip"
    written = path.with_suffix(f".{os.getpid()}.tmp")
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as out:
        for inner, content in contents:
            out.writestr(zipfile.ZipInfo(inner, TIME), content, zipfile.ZIP_DEFLATED)
    os.replace(written, path)
    return path


def environment(out: str | Path, python: str | Path | None = None) -> Path:
    """Pack a virtual environment for executors as `.tar.gz`, by default the one that runs now; made of requirements/worker.txt
    it holds what a worker needs and no more. Give it with `--conf spark.archives=OUT#environment`.

    Raises SetupError when there is no virtual environment, or venv-pack is not installed.
    """
    prefix = Path(python).absolute().parent.parent if python else Path(sys.prefix)
    if not (prefix / "pyvenv.cfg").is_file():
        raise SetupError(f"{prefix} is no virtual environment; make one with requirements/worker.txt and give its python with --python")
    path = Path(out).absolute()
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_name(f".{os.getpid()}.{path.name}")
    command = [sys.executable, "-m", "venv_pack", "--prefix", str(prefix), "--output", str(written), "--quiet"]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        written.unlink(missing_ok=True)
        lines = (error.stderr or "venv-pack failed").strip().splitlines()
        hint = "; pip install venv-pack" if "No module named" in lines[-1] else ""
        raise SetupError(f"{prefix} cannot be packed: {lines[-1]}{hint}") from None
    os.replace(written, path)
    return path


def ship_rooms(out: str | Path, *, env: bool = False) -> str:
    """Write the zip, the entry for spark-submit, and with `env` the packed environment; return what to do with them."""
    entry = Path(out) / "headrace_submit.py"
    try:
        code = archive(out)
        shutil.copyfile(Path(__file__).with_name("submit.py"), entry)
    except OSError as error:
        raise InputError(f"--out {out}: {error.filename} cannot be written ({error.strerror}); name a folder of your own") from None
    lines = [f"code         {code}", f"entry        {entry}"]
    submit = f"spark-submit --master URL --py-files {code}"
    if env:
        packed = environment(Path(out) / "environment.tar.gz")
        lines.append(f"environment  {packed}")
        submit += f" --archives {packed}#environment --conf spark.pyspark.python=./environment/bin/python"
    return "\n".join([*lines, f"run it       {submit} {entry} run RECIPE --only ingest,curate"])
