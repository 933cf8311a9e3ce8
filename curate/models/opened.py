"""Models are read once a process: the next batch finds them open, unless their file has changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from catalog.errors import InputError

Model = TypeVar("Model")
_held: dict[str, tuple[tuple[int, int], Any]] = {}


def opened(path: str, read: Callable[[str], Model], what: str) -> Model:
    """Return the model at a path, read again only where its file changed; of one path the latest is held. `what` names the stage in the error."""
    file = Path(path) / "model.json" if Path(path).is_dir() else Path(path)
    try:
        state = (file.stat().st_mtime_ns, file.stat().st_size)
    except OSError:
        raise InputError(f"{what}: no model at {path!r}; name a part of `quality:`, a model of the lake, or the folder of one") from None
    held = _held.get(path)
    if held is None or held[0] != state:
        held = _held[path] = (state, read(path))
    found: Model = held[1]
    return found
