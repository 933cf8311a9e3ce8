"""Make this clone ready: `python3.11 -m headrace.setup demo` or `test`. Standard library alone: it runs before .venv is there.

Each step looks first and does nothing when its work is done, so that a second run touches no network: the environments carry
the sha256 of the lock they were made from, the corpus its own, Java and the browser are looked up.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from threading import Thread

from catalog.errors import SetupError

HOME = Path(__file__).resolve().parent.parent
STAMP = ".headrace-lock"                                     # in an environment: the sha256 of its lock, or `making` it
MODULE = "jdk.incubator.vector"                              # of Java, which Spark 4 asks for
JAVAS = ("openjdk-17-jre-headless", "openjdk-21-jre-headless", "default-jre-headless")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TORCH_CPU = "https://download.pytorch.org/whl/cpu"           # where torch's own CPU builds are, when pip is not told of a place
DISK = {".venv": 8, ".venv-oracles": 4}                      # free GB that making it takes, wheels under way included
SILENCE = 5.0                                                # seconds between two signs of life


def main(arguments: Sequence[str]) -> int:
    """Do what `make demo` or `make test` needs. A user's mistake is one line and exit code 2."""
    if list(arguments) not in (["demo"], ["test"]):
        print("usage: python3.11 -m headrace.setup demo|test", file=sys.stderr)
        return 2
    try:
        with alone(HOME / ".setup.lock"):
            prepare(arguments[0])
    except (SetupError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; run it again to go on", file=sys.stderr)
        return 130
    return 0


def prepare(kind: str) -> None:
    """Everything for `kind`, in the order of what fails soonest."""
    need_python()
    need_java()
    if kind == "test":
        need_browser()
    environment(HOME / ".venv", HOME / "requirements" / (f"{'cuda' if has_gpu() else 'cpu'}.lock"))
    launcher(HOME / ".venv")
    if kind == "test":
        environment(HOME / ".venv-oracles", HOME / "requirements" / "oracles.lock")
    for folder in ("", "labels") if kind == "test" else ("",):
        code = subprocess.run([HOME / ".venv/bin/python", "-m", "headrace.corpus", folder], cwd=HOME).returncode
        if code:
            raise SetupError(f"the corpus is not there (exit code {code}): see the line above; what was fetched is kept, run it again")
    done, said = watch([str(HOME / ".venv/bin/python"), "-m", "headrace.kernels"], "compiling kernels")
    if not done:                                             # they are compiled when they are first asked for, then
        print(f"setup: {said[-1] if said else 'kernels were not compiled'}", file=sys.stderr, flush=True)


def need_python() -> None:
    """Refuse any Python but 3.11 on Linux: the locks hold wheels for it."""
    if sys.platform != "linux":
        raise SetupError(f"{sys.platform} is not Linux: use Linux, or WSL on Windows")
    if sys.version_info[:2] != (3, 11):
        raise SetupError(f"Python {sys.version.split()[0]} runs, the locks are for 3.11: install it and run `make PYTHON=python3.11`")


def has_gpu() -> bool:
    """Is an NVIDIA GPU there? `HEADRACE_LOCK=cpu` or `cuda` decides in its place."""
    said = os.environ.get("HEADRACE_LOCK", "")
    if said not in ("", "cpu", "cuda"):
        raise SetupError(f"HEADRACE_LOCK is {said!r}: set it to cpu or cuda, or not at all")
    if said or not shutil.which("nvidia-smi"):
        return said == "cuda"
    asked = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    return asked.returncode == 0 and "GPU" in asked.stdout


# Java and the browser

def need_java() -> None:
    """Have a Java that Spark can use, installing one on Debian as root. Raises SetupError with what to do."""
    found = java_lacks()
    if found is None:
        return
    if not os.environ.get("JAVA_HOME") and any(apt(package) and java_lacks() is None for package in JAVAS):
        return
    raise SetupError(f"Spark needs Java 17 or newer: {found}; install it (Debian, Ubuntu: sudo apt-get install {JAVAS[0]}) or set JAVA_HOME")


def java_lacks() -> str | None:
    """What the Java that Spark would start lacks, or None."""
    given = os.environ.get("JAVA_HOME")
    program = str(Path(given, "bin/java")) if given else shutil.which("java")
    if program is None or not os.access(program, os.X_OK):
        return f"there is no java{f' in JAVA_HOME={given}' if given else ' on the PATH'}"
    asked = subprocess.run([program, "--list-modules"], capture_output=True, text=True)
    modules = dict(line.split()[0].partition("@")[::2] for line in asked.stdout.splitlines() if "@" in line)
    version = modules.get("java.base", "")
    if not version or int(version.split(".")[0].split("-")[0]) < 17:
        return f"{program} is {f'Java {version}' if version else 'older than 9'}"
    return None if MODULE in modules else f"{program} lacks the module {MODULE}"


def need_browser() -> None:
    """Have a Chromium for the tests of the pages, installing one on Debian as root."""
    if not any(map(shutil.which, BROWSERS)) and not (apt("chromium") and any(map(shutil.which, BROWSERS))):
        raise SetupError("the tests open the report in Chromium, and there is none: install it (Debian: sudo apt-get install chromium)")


def apt(package: str) -> bool:
    """Install a Debian package where we may; return whether it worked."""
    if os.geteuid() or not shutil.which("apt-get") or not Path("/etc/debian_version").exists():
        return False
    steps = (["apt-get", "install", "-y", "-q", "--no-install-recommends", package], ["apt-get", "update", "-q"])
    return watch(steps[0], package)[0] or (watch(steps[1], "package lists")[0] and watch(steps[0], package)[0])


# The environments

def environment(folder: Path, lock: Path) -> None:
    """Make `folder` from `lock` unless it is: pip, no dependency but those listed, every file's sha256 checked."""
    wanted, stamp = hashlib.sha256(lock.read_bytes()).hexdigest(), folder / STAMP
    stands = stamp.read_text().split() if stamp.is_file() else []
    if stands == [wanted]:
        return
    need_disk(folder)
    pins = [line for line in lock.read_text("utf-8").splitlines() if "==" in line and not line.startswith("#")]
    if len(stands) == 1:
        need_packages(folder, lock, pins)
    if stands != ["making", wanted]:                         # a killed run of the same lock goes on where it was
        print(f"setup: {folder.name} from {lock.name}: some minutes, once", file=sys.stderr, flush=True)
        made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], capture_output=True, text=True)
        if made.returncode:
            said = " ".join((made.stdout + made.stderr).split()) or f"exit code {made.returncode}"
            raise SetupError(f"{sys.executable} -m venv failed: {said[-300:]}; on Debian: sudo apt-get install python3.11-venv")
        stamp.write_text(f"making {wanted}")
    install(folder, [pin for pin in pins if pin.startswith("setuptools==")], "setuptools")      # builds the few source archives
    torch = [pin for pin in pins if pin.startswith("torch==")]
    if torch and not install(folder, torch, "torch", must="+cpu" not in torch[0]):
        install(folder, torch, f"torch from {TORCH_CPU}", "--index-url", TORCH_CPU)
    install(folder, pins, f"{len(pins)} packages")
    stamp.write_text(wanted)


def launcher(folder: Path) -> Path:
    """Write `bin/headrace` of an environment: the command line from any folder, with this clone first on the import path.

    No `.pth` does that: executors may share this Python, and what they import is to come from `headrace ship` alone.
    """
    code = f"import sys; sys.path.insert(0, {str(HOME)!r}); from headrace.__main__ import main; main()"
    text = f"#!/bin/sh\n# Made by `python -m headrace.setup`; a moved clone makes it again.\nexec {quote(str(folder / 'bin/python'))} -c {quote(code)} \"$@\"\n"
    path = folder / "bin/headrace"
    if not path.is_file() or path.read_text("utf-8") != text:
        written = path.with_name(f".headrace.{os.getpid()}")
        written.write_text(text, "utf-8")
        written.chmod(0o755)
        os.replace(written, path)
    return path


def install(folder: Path, pins: Sequence[str], about: str, *options: str, must: bool = True) -> bool:
    """Install hashed pins into an environment; return whether it worked. Raises SetupError when it `must`."""
    if not pins:
        return True
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(pins) + "\n")
        file.flush()
        pip = [str(folder / "bin/python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-deps"]
        done, said = watch([*pip, "--require-hashes", "--no-build-isolation", *options, "-r", file.name], f"{folder.name}: {about}", folder)
    if not done and must:
        log = folder / "pip.log"
        log.write_text("\n".join(said) + "\n", "utf-8")
        wrong = next((line for line in reversed(said) if line.startswith("ERROR:")), said[-1] if said else "pip said nothing")
        raise SetupError(f"{folder.name}: pip could not install {about}: {wrong} (all of it: {log}); run it again to go on")
    return done


def need_packages(folder: Path, lock: Path, pins: Sequence[str]) -> None:
    """Refuse to clear an environment that works, of an older lock, where pip finds no packages to make the new one from."""
    pin = next((pin for pin in pins if pin.startswith("setuptools==")), pins[0])
    with tempfile.TemporaryDirectory() as place:
        pip = [str(folder / "bin/python"), "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-input", "--no-deps", "-d", place]
        done, _ = watch([*pip, pin.split()[0]], f"{folder.name}: is pip's index there")
    if not done:
        lacks = f"pip finds no {pin.split()[0]} to make it anew from"
        raise SetupError(f"{folder.name} is of another lock than {lock.name}, and {lacks}: it stays as it is; run it again with a network")


def need_disk(folder: Path) -> None:
    """Refuse to begin what the disk cannot hold."""
    free = shutil.disk_usage(folder.parent).free / 1e9
    if free < DISK.get(folder.name, 1):
        raise SetupError(f"{folder.parent} has {free:.1f} GB free and {folder.name} takes {DISK.get(folder.name, 1)}: make room")


# Signs of life

def watch(command: Sequence[str], about: str, folder: Path | None = None) -> tuple[bool, list[str]]:
    """Run a command, saying every few seconds what it does; return whether it worked and the lines it wrote."""
    said: list[str] = []
    began = time.monotonic()
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environ) as child:
        assert child.stdout is not None, "its output is a pipe"
        reader = Thread(target=lambda lines: said.extend(line.rstrip() for line in lines), args=(child.stdout,), daemon=True)
        reader.start()
        try:
            while reader.is_alive():
                reader.join(SILENCE)
                if reader.is_alive():
                    print(f"setup: {about}, {time.monotonic() - began:.0f} s: {step(said, folder)}", file=sys.stderr, flush=True)
        except BaseException:
            child.terminate()
            raise
    return child.returncode == 0, said


def step(said: list[str], folder: Path | None) -> str:
    """What a command is at: its last line, or how many packages stand in the environment that pip writes."""
    last = next((line.strip() for line in reversed(said) if line.strip() and "WARNING" not in line), "begins")
    if folder and last.startswith("Installing collected"):
        return f"{len(list(folder.glob('lib/python*/site-packages/*.dist-info')))} are installed"
    return last.split(" (from ")[0][:90]


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold the clone: a second set-up waits, since both would write one environment."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("setup: another set-up of this clone is under way; waiting for it", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
