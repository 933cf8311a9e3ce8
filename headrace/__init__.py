"""headrace in Python: `import headrace as hr; lake = hr.open("lake"); lake["corpus@v1"].pl()`. Nothing is imported until asked for."""

from typing import Any

__all__ = ["open"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in __all__:
        from headrace import face

        return getattr(face, name)
    raise AttributeError(f"headrace has no {name!r}; it has {', '.join(__all__)}")
