"""A row as a text: a template with the names of its columns in braces, and nothing else that a format string can do."""

import json
import string
from collections.abc import Callable, Mapping
from typing import Any

from catalog.errors import InputError

Template = tuple[tuple[str, str | None], ...]
"""Letters, and the column that follows them."""


def parsed(template: str, path: str, shape: str, columns: Mapping[str, str]) -> Template:
    """Return a template taken apart. Raises InputError for one that is no template, reaches for more than a column, or has no use."""
    if shape != "document" or "text" in columns:
        raise InputError(f"{path}: template: it makes the text of a document; leave out {'columns: text' if 'text' in columns else f'as: {shape}'}")
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise InputError(f"{path}: template: {error}; write {{column}}, and {{{{ for a brace") from None
    for _, field, spec, conversion in parts:
        if field is not None and (not field.strip() or spec or conversion or any(char in field for char in "[]()!:")):
            whole = f"{{{field}{'!' + conversion if conversion else ''}{':' + spec if spec else ''}}}"
            raise InputError(f"{path}: template: {whole} is not the name of a column; write {{column}}")
    if not any(field for _, field, *_ in parts):
        raise InputError(f"{path}: template: it names no column; write it as {{question}}\\n\\n{{answer}}")
    return tuple((letters, field) for letters, field, *_ in parts)


def filled(template: Template, value: Callable[[str], Any]) -> str:
    """Return the text of one row. What is not there is empty; a row without any of the columns gives no text."""
    found = [(letters, None if field is None else _text(value(field))) for letters, field in template]
    if not any(said and said.strip() for _, said in found):
        return ""
    return "".join(letters + (said or "") for letters, said in found)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else str(value) if isinstance(value, int | float) else json.dumps(value, ensure_ascii=False, default=str)
