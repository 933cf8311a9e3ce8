"""Checkpoints: whole or not there. A folder is written under another name, its manifest last, and renamed.

    checkpoints/step-00000100/
        model.safetensors        every trained tensor by name, as it is trained (fp32)
        optimizer.safetensors    AdamW's moments and step count, `name:exp_avg`
        manifest.json            step, what it belongs to, what was consumed, sha256 of both files; written last

Nothing is pickled. An older checkpoint goes only after the newer one is there.
"""

import json
import os
import shutil
import signal
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from catalog.errors import InputError
from catalog.files import write_json
from trainer.models import digest, sync

MODEL, OPTIMIZER, MANIFEST = "model.safetensors", "optimizer.safetensors", "manifest.json"
FORMAT = 1

POINTS = ("step", "model", "optimizer", "manifest", "renamed", "pruned")
"""Where tests cut training short: in a step, and after each move of a save."""


def reach(point: str, step: int) -> None:
    """Die here by SIGKILL when HEADRACE_KILL_AT is `train.<point>.<step>`."""
    assert point in POINTS, point
    if os.environ.get("HEADRACE_KILL_AT") == f"train.{point}.{step}":
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that is whole."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def step(self) -> int:
        return int(self.manifest["step"])


def save(folder: Path, step: int, model: nn.Module, optimizer: torch.optim.Optimizer, about: dict[str, Any], *, keep: int) -> Path:
    """Write the checkpoint of `step` and then remove all but the newest `keep`; `about` goes into its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"step-{step:08d}"
    work = folder / f".{place.name}.{uuid.uuid4().hex[:8]}.tmp"
    work.mkdir()
    for name, point, tensors in ((MODEL, "model", _model_tensors(model)), (OPTIMIZER, "optimizer", _optimizer_tensors(model, optimizer))):
        save_file(tensors, work / name)
        sync(work / name)
        reach(point, step)
    files = {name: digest(work / name) for name in (MODEL, OPTIMIZER)}
    write_json(work / MANIFEST, {"format": FORMAT, "step": step, "files": files, **about})
    sync(work)
    reach("manifest", step)
    if place.exists():  # the same step again, after its checkpoint was found broken
        _remove(place)
    os.rename(work, place)
    sync(folder)
    reach("renamed", step)
    prune(folder, keep)
    reach("pruned", step)
    return place


def latest(folder: Path) -> Checkpoint | None:
    """Return the newest checkpoint, or None; what a kill left half-written is removed.

    Raises InputError where the newest one is not what its manifest says: going on from an older one would hide that.
    """
    prune(folder, None)
    found = sorted(folder.glob("step-*"))
    if not found:
        return None
    try:
        manifest = json.loads((found[-1] / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{found[-1]}: no manifest that can be read ({error}); remove this folder to go on from the one before it") from None
    for name, sha in manifest["files"].items():
        if not (found[-1] / name).is_file() or digest(found[-1] / name) != sha:
            raise InputError(f"{found[-1]}/{name}: not what was written; remove this folder to go on from the one before it")
    return Checkpoint(found[-1], manifest)


def restore(checkpoint: Checkpoint, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put a checkpoint's tensors into a model and its optimizer, bit by bit."""
    try:
        tensors, moments = load_file(checkpoint.folder / MODEL), load_file(checkpoint.folder / OPTIMIZER)
    except SafetensorError as error:
        raise InputError(f"{checkpoint.folder}: {error}; remove this folder to go on from the one before it") from None
    own = _model_tensors(model)
    if own.keys() != tensors.keys() or any(own[name].shape != tensors[name].shape for name in own):
        raise InputError(f"{checkpoint.folder}: holds another model; remove {checkpoint.folder.parent} to start anew")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
    for name, parameter in model.named_parameters():
        state = {key.partition(":")[2]: moments[key] for key in moments if key.partition(":")[0] == name}
        optimizer.state[parameter] = {key: value.to(parameter.device) for key, value in state.items()}


def prune(folder: Path, keep: int | None) -> None:
    """Remove leftovers of killed saves, and all checkpoints but the newest `keep` (None: all stay)."""
    for left in folder.glob(".step-*"):
        shutil.rmtree(left, ignore_errors=True)
    for old in sorted(folder.glob("step-*"))[: -keep if keep else 0]:
        _remove(old)


def _remove(place: Path) -> None:
    """Take a checkpoint out of sight before its files go, so that no half of it is ever found."""
    away = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}.tmp")
    os.rename(place, away)
    shutil.rmtree(away, ignore_errors=True)


def _model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Every tensor of the model's state once: tied ones under their first name."""
    seen: set[int] = set()
    found = {}
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() not in seen:
            seen.add(tensor.data_ptr())
            found[name] = tensor.detach()
    return found


def _optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    states = ((name, optimizer.state.get(parameter, {})) for name, parameter in model.named_parameters())
    return {f"{name}:{key}": torch.as_tensor(value).detach() for name, state in states for key, value in state.items()}
