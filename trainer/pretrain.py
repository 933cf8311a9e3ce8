"""The act of pre-training: the next token of packed documents."""

from typing import Any

from trainer.loop import Objective, train
from trainer.models import build
from trainer.objectives import NextToken, supervised
from trainer.plan import Plan
from trainer.run import Run


def act(
    run: Run,
    *,
    steps: int | None = None,
    batch: int = 4,
    accumulate: int = 1,
    lr: float = 1e-3,
    embedding_lr: float | None = 2e-2,
    schedule: str = "wsd",
    warmup: float = 0.1,
    decay: float = 0.5,
    floor: float = 0.0,
    clip: float = 1.0,
    weight_decay: float = 0.1,
    betas: tuple[float, float] = (0.8, 0.99),
    precision: str = "auto",
    save_every: int = 100,
    keep: int = 2,
    eval_every: int = 100,
    threads: int | None = None,
) -> dict[str, Any]:
    """Pre-train on a mixture of text, from a preset or going on from a model; return what done.json says.

    steps: all of the mixture's budget if None. batch: rows of `context` tokens a step, over all ranks; `accumulate` takes them
    in so many parts. lr: the highest rate, embedding_lr that of the embeddings (and of a head tied to them; lr if None).
    schedule cosine, wsd or constant, with `warmup` and (wsd) `decay` as shares of the run below 1, else steps, and `floor` as
    a share of lr. clip: of the gradient's norm, 0 for none. precision: auto, bf16 or fp32. The defaults were chosen for `tiny`
    on 400,000 tokens of the demo (docs/trainer.md has those of the literature); larger presets and budgets want a larger batch.
    """
    plan = Plan(
        steps=steps, batch=batch, accumulate=accumulate, lr=lr, embedding_lr=embedding_lr, schedule=schedule, warmup=warmup, decay=decay,
        floor=floor, clip=clip, weight_decay=weight_decay, betas=betas, precision=precision, save_every=save_every, keep=keep,
        eval_every=eval_every, threads=threads,
    )  # fmt: skip
    plan.check(run, "lm")
    model = build(run.start, run.tokenizer, context=run.samples.context, seed=run.seed)
    return train(run, Objective(model, NextToken(model), supervised, run.samples.batch), plan)
