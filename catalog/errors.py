"""Every error that headrace raises on purpose. One line each: where, what, what to do.

HeadraceError
├── UserError          what the user gave is wrong: exit 2, nothing was changed
│   ├── RecipeError    the recipe: unknown key, knob, part, name; sizes that do not parse
│   ├── PolicyError    the policy: a predicate outside the shared SQL, an unknown signal
│   ├── InputError     the input: a missing file, an empty source, a column that is not there
│   ├── QueryError     the query: SQL that writes, reads foreign files, or is wrong
│   ├── LakeError      the lake: unknown dataset or version, a newer lake, a lock that is held, a moved head
│   └── SetupError     the machine: no Java, a stranger's `mixer`, a model that is not installed
└── WorkError          the work failed though the input was right: exit 1, what was finished stays
"""

import difflib
from collections.abc import Iterable


class HeadraceError(Exception):
    """The root: `except HeadraceError` catches all of the above and nothing else."""

    exit_code = 1


class UserError(HeadraceError):
    """Something the user can mend. The front door prints the line and exits with 2."""

    exit_code = 2


class RecipeError(UserError):
    """The recipe is wrong."""


class PolicyError(UserError):
    """The policy is wrong."""


class InputError(UserError):
    """The input is missing or is not what the recipe says."""


class QueryError(UserError):
    """The query may not run, or cannot."""


class LakeError(UserError):
    """The lake does not hold what was asked for, or may not be written now."""


class SetupError(UserError):
    """The machine lacks something, or something stands in our way."""


class WorkError(HeadraceError):
    """A part failed. What was finished before stays; running again goes on from there."""


def near(name: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    """Return `; did you mean 'x'?`, or what there is when nothing is near (from 0, anything, to 1, the same), for the end of an error line."""
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=1, cutoff=cutoff)
    if close:
        return f"; did you mean {close[0]!r}?"
    if not names:
        return ""
    return f"; there is {', '.join(names[:12])}{' ...' if len(names) > 12 else ''}"
