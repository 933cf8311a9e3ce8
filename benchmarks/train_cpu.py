"""Pre-training on a CPU, against nanoGPT's fp32 recipe as a plain loop, and against transformers' Trainer in bf16.

    python benchmarks/train_cpu.py [SHAPE ...]          in .venv, after `make demo` has fetched the corpus

All three see the same rows of the demo corpus in the same order, one thread each, alternating; CPU seconds of the steps alone,
data, optimizer and clipping included, after a warm-up. Then the held-out loss of each, in nats a token: speed counts only at
equal loss. So against nanoGPT a second ratio: its CPU seconds to the loss that it ends with, over ours to that same loss.

ours      trainer.loop as a recipe runs it: Llama, bf16 autocast, metrics written each step
nanoGPT   its CPU recipe written anew in plain torch: GPT-2 blocks of the same shape, fp32, full logits, AdamW not fused
Trainer   our Llama from the same first weights, with torch's own attention, bf16, fused AdamW, no logging, no saving
"""

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

HOME = Path(__file__).resolve().parent.parent
BOOKS = HOME / "examples/data/books"
THREADS = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "NUMBA_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}
RUNS, PEERS = 5, ("ours", "nanoGPT", "Trainer")
SAME = {"embedding_lr": None, "schedule": "cosine", "warmup": 0.05, "floor": 0.1, "betas": (0.9, 0.95)}
"""The peers' optimizer in place of our own defaults, so that only the loop differs."""


@dataclass(frozen=True)
class Shape:
    """A model and a batch, and how many steps each of the five timed runs has."""

    said: str
    layers: int
    width: int
    heads: int
    mlp: int
    vocabulary: int
    context: int
    batch: int
    steps: int
    lr: float = 1e-3


SHAPES = {
    "nanogpt-cpu": Shape("nanoGPT's CPU shape, bytes", 4, 128, 4, 344, 260, 64, 12, 120),
    "tiny": Shape("the demo's tiny, 4,096 tokens", 4, 128, 4, 384, 4096, 256, 8, 25, 2e-3),
    "nanogpt-gpu": Shape("nanoGPT's GPU shape, bytes", 6, 384, 6, 1024, 260, 256, 8, 8),
}


def freeze(shape: Shape, root: Path) -> Path:
    """Return a run folder on the corpus' books, cut into pieces of 4,000 characters."""
    import pyarrow as pa

    from catalog.files import DataFile, Snapshot, write_rows
    from catalog.ids import doc_id
    from catalog.schema import DOCUMENT
    from mixer.mix import freeze as mix

    rows = []
    for book in sorted(BOOKS.glob("*.txt")):
        text = book.read_text(encoding="utf-8")[20_000:620_000]
        for i in range(0, len(text), 4000):
            rows.append({"doc_id": doc_id(book.name, str(i), None, None), "uri": f"{book.name}/{i}", "domain": "books", "text": text[i : i + 4000]})
    table = pa.Table.from_pylist([{name: row.get(name) for name in DOCUMENT.names} for row in rows], DOCUMENT)
    stat = write_rows(root / "data/0.parquet", table, DOCUMENT)
    file = DataFile("books", "data/0.parquet", stat.rows, stat.bytes, stat.ids, str(root))
    corpus = Snapshot("corpus", 1, "key", None, "document", "bench", (file,), (), datetime(2026, 1, 1), stat.rows, stat.rows, 0, (), str(root))
    folder, steps = root / "runs" / "bench", shape.steps * RUNS + shape.steps // 4
    mix(
        str(root), {"corpus": corpus}, tokenizer={"train": {"vocab": shape.vocabulary}}, context=shape.context, budget=steps * shape.batch * shape.context,
        hold_out=0.03, max_epochs=9, phases=[{"until": 1, "weights": {"books": 1.0}}], seed=7, run_folder=str(folder), name="bench", threads=1,
    )  # fmt: skip
    knobs = {"batch": shape.batch, "lr": shape.lr, "precision": "bf16", "threads": 1, "eval_every": 10**9, "save_every": 10**9, **SAME}
    body = {"act": "pretrain", "name": "bench", "seed": 7, "start": {"preset": "bench"}, "knobs": knobs}
    (folder / "act.json").write_text(json.dumps(body), encoding="utf-8")
    return folder


class Peer:
    """One contender in a process of its own: it takes `n` steps, and says its held-out loss."""

    def __init__(self, name: str, key: str, folder: Path) -> None:
        command = [sys.executable, __file__, "--peer", name, key, str(folder)]
        self.process = subprocess.Popen(command, env={**os.environ, **THREADS}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, what: str) -> float:
        assert self.process.stdin and self.process.stdout, "started with pipes"
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin, "started with pipes"
        self.process.stdin.close()
        self.process.wait()


Step = Callable[[], None]
Logits = Callable[[Any, Any], Any]


def answer(step: Step, logits: Logits, folder: Path) -> None:
    """Do what comes on stdin: so many steps, or `loss`."""
    for line in sys.stdin:
        if line.strip() == "loss":
            print(held_out(logits, folder), flush=True)
            continue
        start = process_time()
        for _ in range(int(line)):
            step()
        print(process_time() - start, flush=True)


def held_out(logits: Logits, folder: Path) -> float:
    """Return the mean loss over the hold-out in nats a token, in fp32."""
    import torch
    from torch.nn.functional import cross_entropy

    from mixer.samples import Samples

    total, tokens = 0.0, 0
    with torch.no_grad():
        for batch in Samples.open(folder).held_out(16):
            labels = torch.from_numpy(batch["labels"])
            found = logits(torch.from_numpy(batch["tokens"]), torch.from_numpy(batch["positions"]))
            total += cross_entropy(found.flatten(0, 1), labels.flatten(), reduction="sum").item()
            tokens += int((labels >= 0).sum())
    return total / tokens


def ours(shape: Shape, folder: Path) -> None:
    """The loop that `python -m trainer` runs, step by step."""
    from trainer.loop import Life, Objective
    from trainer.models import build
    from trainer.objectives import NextToken, supervised
    from trainer.plan import Plan
    from trainer.pretrain import act
    from trainer.run import open_run

    run = open_run(folder)
    model = build(run.start, run.tokenizer, context=shape.context, seed=run.seed)
    plan = Plan(**{**(act.__kwdefaults__ or {}), **run.knobs})
    life = Life(run, Objective(model, NextToken(model), supervised, run.samples.batch), plan)
    answer(lambda: void(life.advance(False)), lambda tokens, positions: model(input_ids=tokens, position_ids=positions).logits, folder)


def void(_: object) -> None:
    """Nothing: a step returns nothing."""


def gpt(shape: Shape) -> Any:
    """nanoGPT's model in plain torch: no dropout, no bias, tied head, weights drawn at 0.02."""
    import torch
    from torch import Tensor, nn
    from torch.nn import functional

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.between = nn.LayerNorm(shape.width, bias=False), nn.LayerNorm(shape.width, bias=False)
            self.looks, self.joins = nn.Linear(shape.width, 3 * shape.width, bias=False), nn.Linear(shape.width, shape.width, bias=False)
            self.up, self.down = nn.Linear(shape.width, 4 * shape.width, bias=False), nn.Linear(4 * shape.width, shape.width, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            rows, tokens, width = x.shape
            q, k, v = (one.view(rows, tokens, shape.heads, -1).transpose(1, 2) for one in self.looks(self.before(x)).split(width, 2))
            seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.joins(seen.transpose(1, 2).reshape(rows, tokens, width))
            return x + self.down(functional.gelu(self.up(self.between(x))))

    class Gpt(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.places = nn.Embedding(shape.vocabulary, shape.width), nn.Embedding(shape.context, shape.width)
            self.blocks, self.last = nn.Sequential(*(Block() for _ in range(shape.layers))), nn.LayerNorm(shape.width, bias=False)
            for name, weight in self.named_parameters():
                if weight.ndim == 2:
                    nn.init.normal_(weight, std=0.02 / (math.sqrt(2 * shape.layers) if name.endswith(("joins.weight", "down.weight")) else 1))

        def forward(self, tokens: Tensor) -> Tensor:
            x = self.words(tokens) + self.places(torch.arange(tokens.shape[1]))
            return functional.linear(self.last(self.blocks(x)), self.words.weight)

    torch.manual_seed(7)
    return Gpt()


def nanogpt(shape: Shape, folder: Path) -> None:
    """nanoGPT's training loop, as its README's CPU recipe has it."""
    import numpy as np
    import torch
    from torch import nn
    from torch.nn import functional

    from mixer.samples import Samples

    samples, model, done = Samples.open(folder), gpt(shape), 0
    total = samples.total // shape.batch
    groups = [[p for p in model.parameters() if p.ndim >= 2], [p for p in model.parameters() if p.ndim < 2]]
    optimizer = torch.optim.AdamW([{"params": groups[0], "weight_decay": 0.1}, {"params": groups[1], "weight_decay": 0.0}], betas=(0.9, 0.99))

    def step() -> None:
        nonlocal done
        batch = samples.batch(np.arange(done * shape.batch, (done + 1) * shape.batch))
        tokens, labels = torch.from_numpy(batch["tokens"]), torch.from_numpy(batch["labels"])
        warm, part = max(1, total // 20), done / total
        rate = shape.lr * min((done + 1) / warm, 0.1 + 0.45 * (1 + math.cos(math.pi * part)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = functional.cross_entropy(model(tokens).view(-1, shape.vocabulary), labels.view(-1), ignore_index=-100)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        done += 1

    answer(step, lambda tokens, positions: model(tokens), folder)


def trainer(shape: Shape, folder: Path) -> None:
    """transformers' Trainer; a callback stops it between two steps to take the next order."""
    import numpy as np
    import torch
    from transformers import Trainer, TrainerCallback

    from mixer.samples import Samples
    from trainer.attention import restore
    from trainer.models import build
    from trainer.run import open_run

    run, samples = open_run(folder), Samples.open(folder)
    model = build(run.start, run.tokenizer, context=shape.context, seed=run.seed)
    restore(model)
    rows = samples.batch(np.arange(samples.total))

    class Rows(torch.utils.data.Dataset[dict[str, Any]]):
        """Trainer shifts labels itself: each token is its own label, but where ours is not counted."""
        def __len__(self) -> int:
            return int(samples.total)

        def __getitem__(self, i: int) -> dict[str, Any]:
            tokens = torch.from_numpy(rows["tokens"][i])
            own = tokens.clone()
            own[1:][torch.from_numpy(rows["labels"][i, :-1]) < 0] = -100
            return {"input_ids": tokens, "labels": own, "position_ids": torch.from_numpy(rows["positions"][i])}

    class Orders(TrainerCallback):
        left, start = 0, 0.0

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            while self.left == 0:
                order = sys.stdin.readline().strip()
                if not order:
                    os._exit(0)
                if order == "loss":
                    print(held_out(lambda tokens, positions: model(input_ids=tokens, position_ids=positions).logits, folder), flush=True)
                else:
                    self.left, self.start = int(order), process_time()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.left -= 1
            if self.left == 0:
                print(process_time() - self.start, flush=True)

    Trainer(model, trainer_knobs(shape, folder, samples.total // shape.batch), train_dataset=Rows(), callbacks=[Orders()]).train()


def trainer_knobs(shape: Shape, folder: Path, steps: int) -> Any:
    """The same optimizer, schedule, batch and precision as ours, with nothing logged and nothing saved."""
    from transformers import TrainingArguments

    return TrainingArguments(
        str(folder / "peer"), per_device_train_batch_size=shape.batch, num_train_epochs=2, max_steps=steps + 9, learning_rate=shape.lr,
        lr_scheduler_type="cosine_with_min_lr", lr_scheduler_kwargs={"min_lr_rate": 0.1}, warmup_steps=steps // 20, weight_decay=0.1,
        adam_beta2=0.95, optim="adamw_torch_fused", bf16=True, use_cpu=True, logging_strategy="no", save_strategy="no", report_to=[], disable_tqdm=True,
        train_sampling_strategy="sequential",
    )  # fmt: skip


def prepare(key: str) -> Shape:
    from trainer.presets import PRESETS, Preset

    shape = SHAPES[key]
    PRESETS["bench"] = Preset(shape.layers, shape.width, shape.heads, shape.heads, shape.mlp)
    return shape


def compare(key: str) -> None:
    shape = prepare(key)
    with tempfile.TemporaryDirectory() as place:
        folder = freeze(shape, Path(place))
        peers = {name: Peer(name, key, folder) for name in PEERS}
        warm = {name: peer.ask(str(shape.steps // 4)) for name, peer in peers.items()}
        times: dict[str, list[float]] = {name: [] for name in PEERS}
        curve = [peers["ours"].ask("loss")]
        for _ in range(RUNS):
            for name, peer in peers.items():
                times[name].append(peer.ask(str(shape.steps)))
            curve.append(peers["ours"].ask("loss"))
        losses = {"ours": curve[-1], **{name: peers[name].ask("loss") for name in PEERS[1:]}}
        for peer in peers.values():
            peer.close()
    tokens = shape.steps * shape.batch * shape.context
    steps = shape.steps * RUNS + shape.steps // 4
    print(f"{key}: {shape.said}; {shape.layers} layers of {shape.width}, {shape.batch} rows of {shape.context} tokens a step, {steps} steps; one thread")
    for name in PEERS:
        print(f"  {name:8} {tokens / median(times[name]):8,.0f} tokens a CPU second (median of {RUNS}), held-out loss {losses[name]:.3f} nats a token")
    for name in PEERS[1:]:
        worse = "" if losses["ours"] <= losses[name] + 0.02 else ", BUT AT A HIGHER LOSS"
        print(f"ratio {median(times[name]) / median(times['ours']):.2f}x over {name} at {key}{worse}")
    spent = [warm["ours"], *(warm["ours"] + sum(times["ours"][: n + 1]) for n in range(RUNS))]
    reached = time_to(losses["nanoGPT"], curve, spent)
    theirs = warm["nanoGPT"] + sum(times["nanoGPT"])
    print(f"ratio {theirs / reached:.2f}x over nanoGPT at {key}, to the loss that it ends with ({theirs:.1f} against {reached:.1f} CPU seconds)")


def time_to(loss: float, curve: list[float], spent: list[float]) -> float:
    """Return the CPU seconds after which a curve of losses first reaches `loss`, by lines between its points; infinite if never."""
    for i, value in enumerate(curve):
        if value <= loss:
            part = (curve[i - 1] - loss) / (curve[i - 1] - value) if i else 1.0
            return spent[i] if i == 0 else spent[i - 1] + part * (spent[i] - spent[i - 1])
    return math.inf


def main(arguments: list[str]) -> None:
    os.environ.update(THREADS)
    sys.path.insert(0, str(HOME))
    if arguments[:1] == ["--peer"]:
        _, name, key, folder = arguments
        {"ours": ours, "nanoGPT": nanogpt, "Trainer": trainer}[name](prepare(key), Path(folder))
        return
    for key in arguments or SHAPES:
        compare(key)


if __name__ == "__main__":
    main(sys.argv[1:])
