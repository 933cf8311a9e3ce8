"""Items of an evaluation set: a question as a model is asked it, its answer kept apart, so that both can be looked for in what is trained on."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from catalog.errors import InputError, near
from catalog.stage import Refused, source
from catalog.worker import Failure, Worker
from ingest.evals.rendering import Asked, at, is_template, rendered
from ingest.shapes import Unfit, item
from ingest.tables import Numbered, records

SECONDS, MEMORY = 5.0, 1 << 30
"""Of processor time and of address space that one row's templates may take."""


@source(version=1)
def read(
    path: str, *, question: str = "question", answer: str | int | Sequence[str] | None = None, choices: str | Sequence[str] | Mapping[str, str] | None = None
) -> Iterator[dict[str, Any] | Refused]:
    """Yield the items of an evaluation set in a table (.jsonl, .jsonl.gz, .csv, .parquet): `text` is the question, `answer` and `choices` beside it.

    `question`, `answer` and `choices` are each a column (`question.stem` reaches into a nested one) or a Jinja template over the row's columns, such as
    "Question: {{question}}\\nAnswer:", as lm-eval has them; an answer that is a number is that of a choice, from 0. `paths:` may be one task file of
    lm-eval (.yaml) instead, which says all of this itself. Reasons: those of tables, `no_text`, and `template_failed`.
    Raises InputError for a column that is not there, naming the nearest.
    """
    asked: dict[str, Asked] = {"question": question, "answer": answer, "choices": choices}
    found, kind = records(path, os.path.basename(path))
    rows = _checked(found, asked, path)
    for (number, size, row), made in _made(rows, asked):
        name = f"{os.path.basename(path)}#{number}"
        if isinstance(row, Refused):
            yield row
        elif isinstance(made, Failure):
            yield Refused(name, "template_failed", f"row {number}: {made.reason}: {made.error}", number)
        else:
            try:
                yield {**item({**row, **made}), "offset": number, "length": size, "content_type": kind}
            except Unfit as unfit:
                yield Refused(name, unfit.args[0], f"row {number}: {unfit.args[1]}", number)


def _checked(rows: Iterator[Numbered], asked: Mapping[str, Asked], path: str) -> Iterator[Numbered]:
    """The first row stands for all: a column that is not in it is a mistake of the recipe."""
    checked = False
    for number, size, row in rows:
        if not checked and not isinstance(row, Refused):
            for knob, name in asked.items():
                if isinstance(name, str) and not is_template(name) and at(row, name) is None and name not in row:
                    hint = f"{near(name, row)}; a template has {{{{column}}}} in it"
                    raise InputError(f"{path}: {knob}: the table has no {name!r}{hint}")
            checked = True
        yield number, size, row


def _made(rows: Iterator[Numbered], asked: Mapping[str, Asked]) -> Iterator[tuple[Numbered, Any]]:
    """Each row with what is made of it, in order. Templates run in a process of their own."""
    if not any(map(is_template, asked.values())):
        for numbered in rows:
            yield numbered, None if isinstance(numbered[2], Refused) else _plain(numbered[2], asked)
        return
    with Worker("ingest.evals.rendering:rendered", seconds=SECONDS, memory=MEMORY) as worker:
        yield from worker.map((one, None if isinstance(one[2], Refused) else _payload(one[2]), dict(asked)) for one in rows)


def _plain(row: Mapping[str, Any], asked: Mapping[str, Asked]) -> Any:
    try:
        return rendered(_payload(row), **asked)
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, SyntaxError, TypeError, ValueError) as error:
        return Failure("error", f"{type(error).__name__}: {error}"[:500])


def _payload(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, default=str).encode()
