"""The loop: every act trains through it, on one process or many. The one door to accelerate.

A step is a pure function of its number: which samples, which learning rate, which seed. So a run that was killed goes on
from its newest checkpoint as if nothing had been, and a window of samples is the same however many ranks share it.
Gradients are those of the sum over the whole window and all ranks, divided by its units (supervised tokens, or pairs);
averaging the means of micro-batches, as is usual, weighs tokens by the company they keep.
"""

import json
import os
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

import accelerate
import numpy as np
import numpy.typing as npt
import torch
import transformers
from accelerate import Accelerator
from torch import nn
from transformers import PreTrainedModel

from catalog.errors import InputError, SetupError, WorkError
from catalog.progress import Meter
from catalog.schema import derive
from trainer import checkpoint, machine, metrics, models
from trainer.evaluate import measure, score
from trainer.interrupt import Interrupt
from trainer.knobs import lasting
from trainer.objectives import tensors
from trainer.plan import Plan
from trainer.run import Run

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Batch = dict[str, npt.NDArray[Any]]
VERSIONS = {"torch": torch.__version__, "transformers": transformers.__version__, "accelerate": accelerate.__version__}


@dataclass(frozen=True)
class Objective:
    """What an act minimises.

    module: an nn.Module around `model`; called with a batch of tensors it returns {"loss": scalar sum, ...} over the batch's
    units; other sums are logged as means. units: how many a batch has (supervised tokens, pairs). read: samples by number, as
    arrays: tokens, labels, positions, source, and what the module wants beside them. knobs: the act's own, for the record.
    """

    model: PreTrainedModel
    module: nn.Module
    units: Callable[[Batch], int]
    read: Callable[[Ints], Batch]
    knobs: dict[str, Any] = field(default_factory=dict)


def train(run: Run, objective: Objective, plan: Plan) -> dict[str, Any]:
    """Train to the end of the plan, from the newest checkpoint where there is one; return what done.json will say.

    Raises WorkError where the loss is no number, InputError where a checkpoint belongs to another run, KeyboardInterrupt,
    after saving, when asked to stop.
    """
    life = Life(run, objective, plan)
    try:
        with Interrupt() as interrupt:
            life.go(interrupt)
        return life.finish()
    finally:
        if life.metrics:
            life.metrics.close()


class Life:
    """One life of a run: what it holds from its newest checkpoint until it ends or is killed."""

    def __init__(self, run: Run, objective: Objective, plan: Plan) -> None:
        self.run, self.plan, self.objective, self.samples = run, plan, objective, run.samples
        self.threads, self.precision = machine.set_threads(plan.threads), machine.precision(plan.precision)
        self.steps = plan.count(self.samples.total)
        self.accelerator = open_accelerator(self.precision)
        self.rank, self.world = self.accelerator.process_index, self.accelerator.num_processes
        self.model = objective.model
        self.module = self.accelerator.prepare_model(objective.module.train())
        self.optimizer = adamw(self.model, plan)
        self.identity = _plain({**run.identity, **lasting({**asdict(plan), **objective.knobs}), "steps": self.steps, "precision": self.precision})
        self.step, self.seen, self.consumed = 0, 0, np.zeros((len(self.samples.names), 2), np.int64)
        self._resume()
        self.first = self.saved = self.step
        self.spent, self.here = 0.0, 0
        self.metrics = metrics.Metrics(run.metrics, run.folder / "tb", self.step) if self.rank == 0 else None

    def _resume(self) -> None:
        found = checkpoint.latest(self.run.checkpoints)
        self.accelerator.wait_for_everyone()
        if found is None:
            return
        theirs = found.manifest["identity"]
        for name, value in self.identity.items():
            if theirs.get(name) != value:
                raise InputError(
                    f"{self.run.folder}: its checkpoints were made with {name} {theirs.get(name)!r}, now it is {value!r};"
                    f" put it back, or remove {self.run.checkpoints} to start anew"
                )
        checkpoint.restore(found, self.model, self.optimizer)
        self.step, self.seen = found.step, int(found.manifest["seen"])
        self.consumed = np.array([[one["samples"], one["tokens"]] for one in found.manifest["consumed"]], np.int64)

    def go(self, interrupt: Interrupt) -> None:
        """Take step after step."""
        label = f"{self.run.name} from step {self.step}" if self.step else self.run.name
        with ExitStack() as open_things:
            meter = open_things.enter_context(Meter(label, self.steps - self.step, "steps")) if self.rank == 0 else None
            if self.step == 0:
                self.evaluate()
            while self.step < self.steps:
                loss, asked = self.advance(interrupt.asked)
                if self.step % self.plan.eval_every == 0 or self.step == self.steps:
                    self.evaluate()
                if self.step % self.plan.save_every == 0 or self.step == self.steps or asked:
                    self.save()
                if meter:
                    meter.to(self.step - self.first, f"loss {loss:.3f}, {self.pace:,.0f} tokens/s")
                if asked and self.step < self.steps:
                    raise KeyboardInterrupt(f"{self.run.name}: stopped after step {self.step} of {self.steps}, saved; run it again to go on")

    @property
    def pace(self) -> float:
        """Tokens a second of training in this life, over all ranks; evaluations and saves are not in it."""
        return self.here / self.spent if self.spent else 0.0

    def advance(self, asked: bool) -> tuple[float, bool]:
        """Take one step; return its loss, and whether any rank was asked to stop."""
        began = time.perf_counter()
        torch.manual_seed(derive(self.run.seed, "step", self.step, self.rank))
        parts, counts = self.window()
        counts = self.sum(counts)
        units, seen, consumed = int(counts[0]), int(counts[1]), counts[2:].reshape(-1, 2)
        if units == 0:
            raise WorkError(f"{self.run.name}: step {self.step + 1} has no supervised token among its samples")
        sums = accumulate(self.accelerator, self.module, parts, units)
        totals = self.sum(np.array([*sums.values(), float(asked)]))
        norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), self.plan.clip or float("inf")))
        means = dict(zip(sums, (totals[:-1] / units).tolist(), strict=True))
        self._sane(means["loss"], norm)
        checkpoint.reach("step", self.step + 1)
        rate = self.plan.rate(self.step, self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step, self.seen, self.here = self.step + 1, self.seen + seen, self.here + seen
        self.consumed += consumed.astype(np.int64)
        took = time.perf_counter() - began
        self.spent += took
        pace = {"tokens": int(self.consumed[:, 1].sum()), "tokens_per_second": seen / took, "seconds": took}
        self.write({"kind": "train", **means, "lr": rate, "grad_norm": norm, **pace})
        return means["loss"], bool(totals[-1])

    def window(self) -> tuple[list[tuple[Batch, float]], Floats]:
        """Return this rank's micro-batches of the step, and its counts: units, tokens seen, samples and tokens by source.

        A rank without a share (the last window may be short) walks a sample of its neighbour's at weight 0, so that all
        ranks meet in the same collectives.
        """
        first = self.step * self.plan.batch
        wanted = np.arange(first, min(first + self.plan.batch, self.samples.total))
        share = np.array_split(wanted, self.world)[self.rank]
        units, seen, consumed = 0, 0, np.zeros(self.consumed.shape)
        parts: list[tuple[Batch, float]] = []
        for one in np.array_split(share, min(self.plan.accumulate, share.size)) if share.size else []:
            batch = self.objective.read(one)
            parts.append((batch, 1.0))
            units += self.objective.units(batch)
            seen += batch["tokens"].size
            supervised = (batch["labels"] >= 0).reshape(one.size, -1).sum(1)
            np.add.at(consumed, batch["source"], np.stack([np.ones(one.size), supervised], 1))
        return parts or [(self.objective.read(wanted[:1]), 0.0)], np.concatenate([[units, seen], consumed.ravel()])

    def sum(self, values: Floats) -> Floats:
        """Return the sum over ranks."""
        found = self.accelerator.reduce(torch.from_numpy(values).to(self.accelerator.device), "sum")
        summed: Floats = found.cpu().numpy()
        return summed

    def _sane(self, loss: float, norm: float) -> None:
        if not (np.isfinite(loss) and np.isfinite(norm)):
            kept = f"the checkpoint of step {self.saved} is whole" if self.saved else "no step was saved"
            raise WorkError(f"{self.run.name}: step {self.step + 1}: loss {loss}, gradient norm {norm}; {kept}; lower lr (now {self.plan.lr}) or clip")

    def evaluate(self) -> None:
        """Measure the hold-out, where the mixture has one."""
        if self.samples.lock["held_out"]["documents"]:
            found = self.sum(measure(self.model, self.samples, self.precision, rank=self.rank, world=self.world))
            self.write({"kind": "eval", "bits_per_byte": score(found, self.samples)})

    def write(self, line: metrics.Line) -> None:
        if self.metrics:
            self.metrics.write({"step": self.step, **line})

    def save(self) -> None:
        if self.metrics:
            self.metrics.sync()
            about = {"identity": self.identity, "seen": self.seen, "consumed": self.consumption(), "ranks": self.world, "threads": self.threads}
            checkpoint.save(self.run.checkpoints, self.step, self.model, self.optimizer, about, keep=self.plan.keep)
        self.accelerator.wait_for_everyone()
        self.saved = self.step

    def consumption(self) -> list[dict[str, Any]]:
        """Return what each source was to give over the whole run, and what it has given."""
        rows = zip(self.samples.lock["sources"], self.consumed.tolist(), strict=True)
        return [{"source": one["name"], "planned": one["samples"], "samples": given[0], "tokens": given[1]} for one, given in rows]

    def finish(self) -> dict[str, Any]:
        """Write the model; return what there is to say of the run."""
        digest = models.write(self.model, self.run.tokenizer, self.run.model) if self.rank == 0 else ""
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()
        lines = metrics.read(self.run.metrics)
        scores = [line["bits_per_byte"] for line in lines if line["kind"] == "eval"]
        steps = [line for line in lines if line["kind"] == "train"]
        seconds = sum(line["seconds"] for line in steps)
        return {
            "name": self.run.name, "act": self.run.act, "model": self.run.model.name, "digest": digest, "parameters": models.parameters(self.model),
            "steps": self.steps, "seen": self.seen, "tokens": int(self.consumed[:, 1].sum()), "loss": steps[-1]["loss"],
            "seconds": seconds, "tokens_per_second": self.seen / seconds, "consumption": self.consumption(),
            "bits_per_byte": {"start": scores[0], "end": scores[-1]} if scores else None,
            "checkpoints": sorted(place.name for place in self.run.checkpoints.glob("step-*")), "identity": self.identity,
            "threads": self.threads, "ranks": self.world, "machine": machine.name(), "versions": VERSIONS,
        }  # fmt: skip


def accumulate(accelerator: Accelerator, module: nn.Module, parts: list[tuple[Batch, float]], units: int) -> dict[str, float]:
    """Add up the gradients of (batch, weight) parts, over `units` in all ranks together; return this rank's sums.

    DDP averages gradients over ranks, so each rank multiplies by their number; it does so once, at the last part.
    """
    totals: dict[str, float] = {}
    for i, (batch, weight) in enumerate(parts):
        with accelerator.no_sync(module) if i < len(parts) - 1 else nullcontext():
            sums = module(tensors(batch, accelerator.device))
            accelerator.backward(sums["loss"] * (weight * accelerator.num_processes / units))
        for name, value in sums.items():
            totals[name] = totals.get(name, 0.0) + weight * float(value.detach())
    return totals


def adamw(model: PreTrainedModel, plan: Plan) -> torch.optim.AdamW:
    """Return AdamW in three groups: embeddings at a rate of their own, other matrices, and vectors, which do not decay."""
    ends = {id(layer.weight) for layer in (model.get_input_embeddings(), model.get_output_embeddings())}
    trained = [p for p in model.parameters() if p.requires_grad]
    scale = plan.embedding_lr / plan.lr if plan.embedding_lr else 1.0
    groups = [
        {"params": [p for p in trained if id(p) in ends], "weight_decay": plan.weight_decay, "scale": scale},
        {"params": [p for p in trained if id(p) not in ends and p.ndim >= 2], "weight_decay": plan.weight_decay, "scale": 1.0},
        {"params": [p for p in trained if id(p) not in ends and p.ndim < 2], "weight_decay": 0.0, "scale": 1.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=plan.lr, betas=plan.betas, fused=True)


def open_accelerator(precision: str) -> Accelerator:
    """Return the Accelerator of this process, one rank of as many as torchrun started. Raises SetupError for other layouts.

    Asked for FSDP on a CPU, Accelerate 1.15 trains with plain DDP and says nothing; on GPUs our checkpoints would not hold
    its shards. Both are refused rather than guessed at. And unless it is told of the CPU, it sees none of torchrun's ranks
    there: each would train alone.
    """
    for layout in ("FSDP", "DEEPSPEED", "MEGATRON_LM"):
        if os.environ.get(f"ACCELERATE_USE_{layout}", "false").lower() in ("1", "true"):
            on = "on a CPU Accelerate would quietly use DDP instead" if not torch.cuda.is_available() else "this trainer keeps the whole model on each rank"
            raise SetupError(f"{layout} is asked for (ACCELERATE_USE_{layout}), but {on}; start it with torchrun alone")
    found = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision="bf16" if precision == "bf16" else "no")
    started = int(os.environ.get("WORLD_SIZE", "1"))
    assert found.num_processes == started, f"torchrun started {started} ranks, Accelerate sees {found.num_processes}"
    return found


def _plain(value: Any) -> Any:
    """As it will read in JSON."""
    return json.loads(json.dumps(value))
