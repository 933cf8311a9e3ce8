"""What the house brings beside its code, and how a policy is found by its name.

Recipes and policies lie in `recipes/` of a clone (and of the zip that `headrace ship` makes); an installation has them beside the
front door. A name means a policy in one of the folders that the caller has, the first that has it, and last the house's own.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from catalog.stage import HOUSE

POLICY = r"[a-z][a-z0-9_-]*"
"""A policy's name: it is a part of a dataset's (`corpus/strict`)."""


def brought(kind: str) -> Path:
    """Return the folder `policies` or `starts` of the house, wherever it was put: in a clone or an installation."""
    places = [HOUSE / "recipes" / kind, HOUSE / "headrace" / "recipes" / kind]
    return next((place for place in places if place.is_dir()), places[0])


def policy_files(name: str, folders: Sequence[Path] = ()) -> list[Path]:
    """Return the policies of a name, those of the folders first, in their order, and the house's last."""
    return [path for path in (folder / f"{name}.yaml" for folder in _shelves(folders)) if path.is_file()]


def policy_names(folders: Sequence[Path] = ()) -> list[str]:
    """Return the names that `policy_files` would find."""
    return sorted({path.stem for folder in _shelves(folders) for path in folder.glob("*.yaml")})


def source_of(path: str | Path) -> str:
    """Return where a policy is from, for the record: `headrace:NAME` for one of the house's own, else its path."""
    file = Path(path).resolve()
    return f"headrace:{file.stem}" if file.parent == brought("policies").resolve() else str(file)


def _shelves(folders: Sequence[Path]) -> Iterable[Path]:
    return (*folders, brought("policies"))
