"""The act of direct preference optimisation: learn from pairs, with the reference's opinion computed once and kept."""

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file, save_file
from transformers import PreTrainedModel

from catalog.errors import InputError
from catalog.files import publish, temporary
from catalog.progress import Meter
from mixer import tokenizer as tokenizers
from trainer import machine, models
from trainer.knobs import check
from trainer.loop import Objective, open_accelerator, train
from trainer.losses import IGNORED
from trainer.objectives import Pairs, answers, pairs, tensors
from trainer.plan import Plan
from trainer.run import Run

if TYPE_CHECKING:
    from accelerate import Accelerator

ROWS = 8
"""Pairs at a time when the reference is asked."""

Ints = npt.NDArray[np.int64]
Batch = dict[str, npt.NDArray[Any]]


def act(
    run: Run,
    *,
    beta: float = 0.1,
    steps: int | None = None,
    epochs: float = 1.0,
    batch: int = 8,
    accumulate: int = 1,
    lr: float = 1e-5,
    embedding_lr: float | None = None,
    schedule: str = "cosine",
    warmup: float = 0.1,
    decay: float = 0.2,
    floor: float = 0.0,
    clip: float = 1.0,
    weight_decay: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.95),
    precision: str = "auto",
    save_every: int = 100,
    keep: int = 2,
    eval_every: int = 100,
    threads: int | None = None,
) -> dict[str, Any]:
    """Prefer the chosen answers; return what done.json says. `batch` counts pairs, `beta` is eq. 7's.

    The reference is the model that the run starts from, or the folder that the run names; it is asked about each pair once,
    before training, and its answers stand in the run folder. The other knobs are those of `pretrain.act` and `sft.act`.
    """
    check({"beta": beta, "epochs": epochs})
    plan = Plan(
        steps=steps, batch=batch, accumulate=accumulate, lr=lr, embedding_lr=embedding_lr, schedule=schedule, warmup=warmup, decay=decay,
        floor=floor, clip=clip, weight_decay=weight_decay, betas=betas, precision=precision, save_every=save_every, keep=keep,
        eval_every=eval_every, threads=threads,
    )  # fmt: skip
    plan.check(run, "pair")
    model = models.still(models.build(run.start, run.tokenizer, context=run.samples.context, seed=run.seed))
    said = reference(run, model, plan)

    def read(indices: Ints) -> Batch:
        return {**trimmed(run.samples.batch(indices)), "reference": said[indices]}

    return train(run, Objective(model, Pairs(model, beta), pairs, read, {"beta": beta, "epochs": epochs}), plan)


def reference(run: Run, model: PreTrainedModel, plan: Plan) -> npt.NDArray[np.float32]:
    """Return the reference's log-probabilities of the answers of every sample of the plan, [samples, 2], in nats.

    They are computed once and kept in the run folder as reference.safetensors; `model` is the reference where the run names
    none. With several ranks each asks about its share.
    """
    wanted = min(plan.count(run.samples.total) * plan.batch, run.samples.total)
    file, name = run.folder / "reference.safetensors", f"{wanted} {run.identity}"
    key = blake2b(name.encode(), digest_size=16).hexdigest()
    if file.is_file() and key in (kept := load_file(file)):
        return kept[key]
    precision = machine.precision(plan.precision)
    machine.set_threads(plan.threads)
    accelerator = open_accelerator(precision)
    if run.reference:
        model = _other(run)
    model = model.to(accelerator.device).eval()
    found = _ask(run, model, wanted, precision, accelerator)
    summed = accelerator.reduce(torch.from_numpy(found).to(accelerator.device), "sum").cpu().numpy()
    if accelerator.is_main_process:
        written = temporary(file)
        save_file({key: summed}, written)
        publish(written, file)
    accelerator.wait_for_everyone()
    kept_now: npt.NDArray[np.float32] = summed
    return kept_now


def _other(run: Run) -> PreTrainedModel:
    """The reference that the run names: it must read the same tokens."""
    assert run.reference
    if tokenizers.identity(run.reference) != run.samples.lock["tokenizer"]:
        raise InputError(f"{run.reference}: the reference has another tokenizer than the pairs; name one that shares it")
    return models.still(models.read(run.reference))


@torch.no_grad()
def _ask(run: Run, model: PreTrainedModel, wanted: int, precision: str, accelerator: "Accelerator") -> npt.NDArray[np.float32]:
    """Ask about this rank's share, zeros elsewhere. The same pair in another epoch is not asked again."""
    found = np.zeros((wanted, 2), np.float32)
    known: dict[bytes, npt.NDArray[np.float32]] = {}
    starts = range(accelerator.process_index * ROWS, wanted, accelerator.num_processes * ROWS)
    with Meter(f"{run.name}: reference", len(starts), "batches") as meter:
        for start in starts:
            indices = np.arange(start, min(start + ROWS, wanted))
            batch = run.samples.batch(indices)
            keys = [blake2b(batch["tokens"][2 * i : 2 * i + 2].tobytes(), digest_size=16).digest() for i in range(indices.size)]
            new = [i for i, key in enumerate(keys) if key not in known and key not in keys[:i]]
            if new:
                rows = np.array([row for i in new for row in (2 * i, 2 * i + 1)])
                part = {name: batch[name][rows] for name in ("tokens", "labels", "positions")}
                with machine.autocast(accelerator.device, precision):
                    said = answers(model, tensors(trimmed(part), accelerator.device))
                known.update(zip([keys[i] for i in new], said.float().cpu().numpy(), strict=True))
            found[indices] = [known[key] for key in keys]
            meter.add()
    return found


def trimmed(batch: Batch) -> Batch:
    """Return a batch of pairs without the columns after its last counted label: nothing before them can see them."""
    counted = np.flatnonzero((batch["labels"] != IGNORED).any(0))
    width = int(counted[-1]) + 1 if counted.size else 1
    return {name: array[:, :width] if array.ndim == 2 else array for name, array in batch.items()}
