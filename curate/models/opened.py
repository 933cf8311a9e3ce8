"""Models are read once a process: the next batch finds them open, unless their file has changed, or another task was promised another one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from catalog.errors import InputError
from curate.listed.promised import wanted

Model = TypeVar("Model")
_held: dict[str, tuple[tuple[int, int, str | None], Any]] = {}


def opened(path: str, read: Callable[[str, str | None], Model], what: str) -> Model:
    """Return the model at a path, read again only where its file changed; of one path the latest is held.

    `read` is given the path and the digest that the model must have, or None; `what` names the stage in the error.
    """
    digest = wanted(path)
    file = Path(path) / "model.json" if Path(path).is_dir() else Path(path)
    try:
        state = (file.stat().st_mtime_ns, file.stat().st_size, digest)
    except OSError:
        raise InputError(f"{what}: no model at {path!r}; name a part of `quality:`, a model of the lake, or the folder of one") from None
    held = _held.get(path)
    if held is None or held[0] != state:
        held = _held[path] = (state, read(path, digest))
    found: Model = held[1]
    return found
