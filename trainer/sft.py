"""The act of supervised fine-tuning: whole chats packed in rows, with the loss on what assistants say."""

from typing import Any

from trainer.knobs import check
from trainer.loop import Objective, train
from trainer.models import build
from trainer.objectives import NextToken, supervised
from trainer.plan import Plan
from trainer.run import Run


def act(
    run: Run,
    *,
    steps: int | None = None,
    epochs: float = 1.0,
    batch: int = 8,
    accumulate: int = 1,
    lr: float = 3e-4,
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
    """Fine-tune on chats; return what done.json says. Loss is the mean over all assistant tokens of a step.

    steps, or epochs over the packed rows where it is None: the mixture is frozen for as many samples. The other knobs are
    those of `pretrain.act`.
    """
    check({"epochs": epochs})
    plan = Plan(
        steps=steps, batch=batch, accumulate=accumulate, lr=lr, embedding_lr=embedding_lr, schedule=schedule, warmup=warmup, decay=decay,
        floor=floor, clip=clip, weight_decay=weight_decay, betas=betas, precision=precision, save_every=save_every, keep=keep,
        eval_every=eval_every, threads=threads,
    )  # fmt: skip
    plan.check(run, "chat")
    model = build(run.start, run.tokenizer, context=run.samples.context, seed=run.seed)
    return train(run, Objective(model, NextToken(model), supervised, run.samples.batch, {"epochs": epochs}), plan)
