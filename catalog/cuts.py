"""Spans of what stands in several places: a policy's `cut:` leaves one copy, so what is cut is in its verdicts, not in the spans themselves."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # recipes are checked with this: polars is not for that
    from catalog.files import DataFile

CUTS = "cuts"
"""The column of a verdict that holds what a policy cuts of such spans."""


def path_of(spans: str) -> str:
    """Return the dotted path of what stands under `mask:` or `cut:`: a family alone means its `spans`."""
    return spans if "." in spans else f"{spans}.spans"


def chosen(cut: Iterable[str], names: Mapping[str, str]) -> list[str]:
    """Return those of a policy's `cut:` whose copies are chosen among: spans that say where they first stand. `names` are dotted path -> Arrow type."""
    return [path for path in map(path_of, cut) if "first: string, at: int64" in names.get(path, "")]


def settled(cut: Sequence[str], files: "Sequence[DataFile]", verdict: str) -> list[str]:
    """Return a policy's `cut:` as it is applied to files: what the family `verdict` says, in place of the spans that it chose among."""
    names = {f"{a.family}.{name}": kind for file in files for a in file.annotations for name, kind in a.columns}
    among = chosen(cut, names)
    return [*(name for name in cut if path_of(name) not in among), *([f"{verdict}.{CUTS}"] if among else [])]
