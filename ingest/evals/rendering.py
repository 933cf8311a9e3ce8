"""One row of an evaluation set as question, answer and choices: by columns' names, or by Jinja templates as lm-eval's task files have them.

Templates are other people's programs. They run in Jinja's immutable sandbox, and in a process of their own with limits of time and memory, since
a sandbox keeps a loop from nothing but the house.
"""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any

from jinja2 import StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST, NESTED = 1 << 20, 50
"""Characters and brackets within one another of a list that is written as text: Python's parser has a stack, and takes a thousand times the text's memory."""
MARKS = ("{{", "{%", "{#")
Asked = str | int | Sequence[Any] | Mapping[str, Any] | None
"""What a recipe or a task file says of a field: a column, a template, a number, or a list or mapping as it is."""


def is_template(asked: Asked) -> bool:
    return isinstance(asked, str) and any(mark in asked for mark in MARKS)


def warm() -> None:
    """Make the environment, before the first row's time runs."""
    _template("{{ 1 }}").render()


def rendered(payload: bytes, question: Asked = None, answer: Asked = None, choices: Asked = None) -> dict[str, Any]:
    """Return text, answer (None where there is none) and choices of a row, which comes as JSON. Raises what goes wrong."""
    row = json.loads(payload)
    listed = _choices(choices, row)
    text = _field(question, row)
    if isinstance(text, str) and text.isdigit() and listed and is_template(question):
        text = int(text)
    text = _picked(text, listed)
    return {"text": text, "answer": _answer(answer, row, listed), "choices": listed}


def _field(asked: Asked, row: Mapping[str, Any]) -> Any:
    """The value of a column, what a template makes of the row, or the thing itself."""
    if not isinstance(asked, str):
        return asked
    if is_template(asked):
        return _template(asked).render(**row)
    return at(row, asked)


def at(row: Mapping[str, Any], trail: str) -> Any:
    """Return what a row has under a name, `question.stem` reaching into a nested one."""
    if trail in row:
        return row[trail]
    value: Any = row
    for key in trail.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _choices(asked: Asked, row: Mapping[str, Any]) -> list[str]:
    found = _field(asked, row)
    if isinstance(found, str):
        found = _literal(found)
    if isinstance(found, Mapping):
        found = found["text"] if isinstance(found.get("text"), Sequence) else list(found.values())
    return [str(one["text"] if isinstance(one, Mapping) and "text" in one else one) for one in found or ()]


def _answer(asked: Asked, row: Mapping[str, Any], choices: Sequence[str]) -> str | None:
    found = _field(asked, row)
    if isinstance(found, str) and is_template(asked):
        found = _read(found, choices)
    several = found if isinstance(found, Sequence) and not isinstance(found, str) else [found]
    said = [one for one in (_picked(one, choices) for one in several) if one]
    return "\n".join(said) or None


def _read(text: str, choices: Sequence[str]) -> Any:
    """What lm-eval takes a rendered target for: the number of a choice, a list, or the text that it is."""
    if text.isdigit() and choices:
        return int(text)
    if text.startswith("[") and text.endswith("]"):
        try:
            return _literal(text)
        except (SyntaxError, ValueError):
            return text
    return text


def _literal(text: str) -> Any:
    """Return the list or mapping that a text writes out. Raises SyntaxError or ValueError for what is none, and for what nobody would write."""
    if len(text) > LONGEST or max(accumulate((char in "([{") - (char in ")]}") for char in text), default=0) > NESTED:
        raise ValueError(f"a text of {len(text)} characters is longer than {LONGEST}, or nested deeper than {NESTED} brackets: no list of choices")
    try:
        return ast.literal_eval(text)
    except (RecursionError, MemoryError):
        raise ValueError("it is nested too deep to be a list of choices") from None


def _picked(found: Any, choices: Sequence[str]) -> str:
    """A text; of a number the choice that it means."""
    if isinstance(found, int) and not isinstance(found, bool) and choices:
        return choices[found]
    return "" if found is None else found if isinstance(found, str) else str(found)


@lru_cache(maxsize=16)
def _template(source: str) -> Template:
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    environment.filters["regex_replace"] = _replace
    return environment.from_string(source)


def _replace(text: str, pattern: str, by: str, count: int = 0) -> str:
    return re.sub(pattern, by, text, count=count)
