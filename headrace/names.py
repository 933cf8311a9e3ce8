"""Are the rooms ours? They are top-level packages with common names, which a folder or another distribution may also hold.

Called on every start, so it looks at the import path alone; only a name that is found twice costs reading the installed
distributions, to say whose it is. Nothing of the rooms is imported before they are known to be ours.
"""

import sys
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent                # the folder that holds the rooms: the clone, or site-packages
ROOMS = ("headrace", "catalog", "ingest", "curate", "synth", "mixer", "trainer")


def stranger() -> str | None:
    """Say who else owns a room's name and what to do, in one line; None when all seven are ours."""
    for room in ROOMS:
        ours, loaded = HOME / room, found(room)
        if loaded != ours:
            return f"{room!r} is imported from {loaded or 'nowhere'}, not from {ours}: {advice(room, loaded)}"
        for place in {Path(entry or ".").resolve(): None for entry in sys.path}:
            other = package(place, room)
            if other is not None and other.resolve() != ours and not installed(other, room):
                return f"{other} stands beside our {ours}: {advice(room, other)}"
    return None


def found(room: str) -> Path | None:
    """The folder (or the one file) that `import room` means, whether it is imported already or not."""
    module = sys.modules.get(room)
    spec = module.__spec__ if module is not None else find_spec(room)
    folders = list((spec.submodule_search_locations if spec else None) or ())
    if folders:
        return Path(folders[0]).resolve()
    return Path(spec.origin).resolve() if spec and spec.origin else None


def package(place: Path, room: str) -> Path | None:
    """The package or module of that name in one folder of the import path. A folder without `__init__` hides nothing."""
    folder, endings = place / room, (".py", ".pyc", *EXTENSION_SUFFIXES)
    if any((folder / f"__init__{ending}").is_file() for ending in endings):
        return folder
    return next((path for path in (place / f"{room}{ending}" for ending in endings) if path.is_file()), None)


def owners(path: Path, room: str) -> list[str]:
    """The distributions that a package in a site-packages folder came with."""
    if not {"site-packages", "dist-packages"} & set(path.parts):
        return []
    # 25 ms to import and half a second to ask: only when something is odd
    from importlib.metadata import packages_distributions

    return sorted(set(packages_distributions().get(room, [])))


def installed(path: Path, room: str) -> bool:
    """Is it headrace itself, installed, while a clone of it runs?"""
    return owners(path, room) == ["headrace"]


def advice(room: str, path: Path | None) -> str:
    """What to do about a stranger: another environment for a distribution, another name for a folder."""
    names = [name for name in owners(path, room) if name != "headrace"] if path else []
    if names:
        return f"it belongs to {', '.join(names)}; use an environment without it (.venv, as `make demo` makes it)"
    return "start elsewhere, rename it, or take it off PYTHONPATH"


def check_names() -> None:
    """Raise SetupError when a room's name belongs to someone else, also where that someone is `catalog` itself."""
    line = stranger()
    if line is None:
        return
    for name in [name for name in sys.modules if name.split(".")[0] == "catalog"]:
        del sys.modules[name]                                # the next import must be of our own errors
    sys.path.insert(0, str(HOME))
    from catalog.errors import SetupError

    raise SetupError(line)
