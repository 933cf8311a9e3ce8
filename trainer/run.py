"""The run folder: all that training reads and writes. It is plain files; the catalogue is never opened here.

    lock.json  act.json  tokenizer/                         read
    checkpoints/step-00000100/  metrics.jsonl  tb/          written as training goes
    model/  done.json                                       written at the end, done.json last
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from catalog.errors import InputError
from mixer.samples import Samples


@dataclass(frozen=True)
class Run:
    """One act of training on one frozen mixture. `start` is {"preset": name} or {"folder": path of a transformers model}."""

    folder: Path
    name: str
    act: str
    knobs: dict[str, Any]
    seed: int
    start: dict[str, str]
    reference: str | None = None

    @cached_property
    def samples(self) -> Samples:
        return Samples.open(self.folder)

    @property
    def tokenizer(self) -> Path:
        return self.folder / "tokenizer"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def done(self) -> Path:
        return self.folder / "done.json"

    @property
    def identity(self) -> dict[str, Any]:
        """What a checkpoint belongs to: with any of it changed, going on from there would be another run."""
        return {"act": self.act, "seed": self.seed, "start": self.start, "reference": self.reference, "lock": self.samples.lock["sha256"]}


def open_run(folder: str | Path) -> Run:
    """Open a run folder. Raises InputError when it holds no act, or one that cannot be read."""
    folder = Path(folder).absolute()
    file = folder / "act.json"
    if not file.is_file():
        raise InputError(f"{folder}: no act.json; a run folder is made by `headrace run`, from a train part")
    try:
        act = json.loads(file.read_text(encoding="utf-8"))
        return Run(folder, act["name"], act["act"], dict(act["knobs"]), int(act["seed"]), dict(act["start"]), act.get("reference"))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: not an act ({type(error).__name__}: {error}); it holds act, name, knobs, seed, start") from None
