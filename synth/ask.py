"""Asking a model: requests go in, completions come out, and everything goes through the ledger.

A desk holds what is dear: the model in memory and the open ledger. The model is loaded when the first completion is asked for
that the ledger does not know, so a part that is repeated loads nothing.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from catalog.ids import derive
from catalog.progress import ticking
from synth.engine import Call, Engine, bears, prepare
from synth.ledger import Ledger, Row
from synth.models import Model, resolve
from synth.requests import Completion, Order, Request, completion_of, now, order_of, row_of


@dataclass
class Progress:
    """How far a round of asking is: requests done of total, those that the ledger knew, tokens written, seconds.

    `label` says what is asked for, or that the model is being loaded (then `total` is 0).
    """

    label: str
    total: int
    done: int = 0
    found: int = 0
    tokens: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def rate(self) -> float:
        """Requests a second that the engine answered."""
        return (self.done - self.found) / max(self.seconds, 1e-9)

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take at this rate; None while nobody can know."""
        return (self.total - self.done) / self.rate if self.done > self.found else None


Watch = Callable[[Progress], None]


class Desk:
    """One model and its ledger. Close it: the engine holds memory and threads, the ledger a file."""

    def __init__(self, model: str, lake_root: str | Path, *, context: int = 1024, in_flight: int | None = None, threads: int | None = None) -> None:
        prepare(threads)
        self.model: Model = resolve(model, lake_root)
        self.ledger = Ledger(lake_root, self.model.digest)
        self.context, self._in_flight, self._threads = min(context, bears(self.model.folder)), in_flight, threads
        self._engine: Engine | None = None
        self._tokenizer: Any = None

    @property
    def engine(self) -> Engine:
        """The model in memory, loaded now if it is not yet."""
        if self._engine is None:
            self._engine = Engine(self.model.folder, context=self.context, in_flight=self._in_flight, threads=self._threads)
        return self._engine

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._engine is not None

    @property
    def tokenizer(self) -> Any:
        """The model's own tokenizer, as transformers opens it."""
        if self._tokenizer is None:
            from transformers import AutoTokenizer

            self._tokenizer = AutoTokenizer.from_pretrained(self.model.folder, trust_remote_code=False, local_files_only=True)
        return self._tokenizer

    def ask(self, part: str, seed: int, watch: Watch | None = None) -> "Ask":
        """Return what a writer asks with: `part` and `seed` are the recipe's, `watch` is told how far it is."""
        return Ask(self, part, seed, watch)

    def close(self) -> None:
        self.ledger.close()
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def __enter__(self) -> "Desk":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Ask:
    """One part's way to a desk: `ask(requests)` yields completions. Counts what it asked, found and was refused."""

    def __init__(self, desk: Desk, part: str, seed: int, watch: Watch | None = None) -> None:
        self.desk, self.part, self.watch = desk, part, watch or (lambda progress: None)
        self._seed = seed
        self.counts = {"asked": 0, "found": 0, "refused": 0, "tokens": 0, "prompt_tokens": 0}

    @property
    def model(self) -> Model:
        return self.desk.model

    def seed(self, *names: str | int) -> int:
        """Return the seed of a named place in this part: the same in every run, however the work is split."""
        return derive(self._seed, self.part, *names)

    def __call__(self, requests: Sequence[Request], *, label: str = "", ordered: bool = True) -> Iterator[Completion]:
        """Yield a completion for each request: in the order of the requests, or as they finish.

        Requests are looked up in the ledger first; two equal ones are asked once. What the engine finishes stands in the
        ledger, on the disk, before it is yielded.
        """
        orders = [order_of(request, self.model, self.desk.tokenizer) for request in requests]
        found, missing = self._look_up(orders)
        completions = self._complete(requests, orders, found, missing, Progress(label or self.part, len(requests)))
        return _in_order(completions) if ordered else completions

    def _look_up(self, orders: Sequence[Order]) -> tuple[dict[int, Row], dict[tuple[str, int], list[int]]]:
        """Return what the ledger knows, by request, and the requests that it does not, equal ones together."""
        known = self.desk.ledger.find(order.key for order in orders)
        found: dict[int, Row] = {}
        missing: dict[tuple[str, int], list[int]] = {}
        for index, order in enumerate(orders):
            row = next((row for row in known.get(order.key, []) if order.served_by(row, self.desk.context)), None)
            if row is None:
                missing.setdefault((order.key, order.max_tokens), []).append(index)
            else:
                found[index] = row
        return found, missing

    def _complete(
        self,
        requests: Sequence[Request],
        orders: Sequence[Order],
        found: dict[int, Row],
        missing: dict[tuple[str, int], list[int]],
        progress: Progress,
    ) -> Iterator[Completion]:
        """What the ledger knows first, then what the engine finishes, each time it finishes something."""
        self.watch(progress)  # the first answer of long prompts takes a while: what is told meanwhile is of this asking, not of the one before
        for index, row in found.items():
            yield self._count(completion_of(index, row, found=True), progress)
        twins = {indices[0]: indices for indices in missing.values()}
        for replies in self._generate(requests, orders, list(twins)):
            for first, row in replies:
                for index in twins[first]:
                    yield self._count(completion_of(index, row, found=index != first), progress)
            self.watch(progress)
        self.watch(progress)

    def _generate(self, requests: Sequence[Request], orders: Sequence[Order], indices: Sequence[int]) -> Iterator[list[tuple[int, Row]]]:
        """Yield (request, row) as the engine finishes them, after they were written to the ledger; [] at a step without any."""
        if not indices:
            return
        if not self.desk.loaded:
            with ticking(1.0, partial(self.watch, Progress(f"loading {self.model.name}", 0))):
                assert self.desk.engine
        asked_at: dict[int, datetime] = {}

        def calls() -> Iterator[Call]:
            for index in indices:
                asked_at[index] = now()
                yield orders[index].call(index, requests[index].sampling)

        for replies in self.desk.engine.run(calls()):
            rows = [(r.id, row_of(self.model, requests[r.id], orders[r.id], r, asked_at.pop(r.id))) for r in replies]
            if rows:
                self.desk.ledger.append([row for _, row in rows])
            yield rows

    def _count(self, completion: Completion, progress: Progress) -> Completion:
        new = not completion.found
        progress.done += 1
        progress.found += completion.found
        progress.tokens += completion.tokens if new else 0
        self.counts["asked" if new else "found"] += 1
        self.counts["refused"] += completion.finish == "refused"
        self.counts["tokens"] += completion.tokens if new else 0
        self.counts["prompt_tokens"] += completion.prompt_tokens if new else 0
        return completion


def _in_order(completions: Iterator[Completion]) -> Iterator[Completion]:
    """Hold back what comes before its turn."""
    held: dict[int, Completion] = {}
    due = 0
    for completion in completions:
        held[completion.index] = completion
        while due in held:
            yield held.pop(due)
            due += 1
