"""The plan of a run: the knobs that every act shares, and what follows from them."""

from dataclasses import asdict, dataclass

from catalog.errors import InputError
from trainer import schedules
from trainer.knobs import check
from trainer.run import Run


@dataclass(frozen=True)
class Plan:
    """The knobs that every act shares. `batch` is samples a step over all ranks; `accumulate` parts it to save memory."""

    steps: int | None
    batch: int
    accumulate: int
    lr: float
    embedding_lr: float | None
    schedule: str
    warmup: float
    decay: float
    floor: float
    clip: float
    weight_decay: float
    betas: tuple[float, float]
    precision: str
    save_every: int
    keep: int
    eval_every: int
    threads: int | None

    def __post_init__(self) -> None:
        check(asdict(self))

    def count(self, samples: int) -> int:
        """Return the number of steps: as asked, else until the samples are used up. Raises InputError when they do not suffice."""
        most = -(-samples // self.batch)
        if self.steps is None:
            return most
        if self.steps > most:
            raise InputError(f"steps: {self.steps} x batch {self.batch} needs {self.steps * self.batch} samples, the mixture has {samples}; raise its budget")
        return self.steps

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step. `warmup` and `decay` below 1 are shares of the run, else steps."""
        warmup, decay = (min(steps, round(share * steps if share < 1 else share)) for share in (self.warmup, self.decay))
        if self.schedule == "wsd":
            return self.lr * schedules.wsd(step, steps=steps, warmup=warmup, decay=decay, floor=self.floor)
        if self.schedule == "constant":
            return self.lr * schedules.constant(step, warmup=warmup)
        return self.lr * schedules.cosine(step, steps=steps, warmup=warmup, floor=self.floor)

    def check(self, run: Run, kind: str) -> None:
        """Raise InputError where the run's mixture was frozen for another act, or is too small for the plan."""
        if run.samples.kind != kind:
            raise InputError(f"{run.folder}: its mixture is of kind {run.samples.kind!r}, {run.act} trains on {kind!r}")
        self.count(run.samples.total)
