"""What people write in YAML: sizes, shares, lists, and the line that an error points to."""

import re
from collections.abc import Sequence
from typing import Any

import yaml

from catalog.errors import RecipeError, near


def size(value: Any, where: str = "") -> int:
    """Return a count as people write it: 400k, 1.5B, 2GB, 300. k, M, B/G, T are powers of ten; KiB, MiB, GiB of two."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([kKmMbBgGtT]?)(iB|B|b)?\s*", str(value))
    if not match or (match[2] in "bB" and match[2] and match[3]):
        raise RecipeError(f"{where}{value!r} is not a size; write 400k, 1.5B or 2GB")
    power = {"": 0, "k": 1, "m": 2, "b": 3, "g": 3, "t": 4}[match[2].lower()]
    base: float = 1024 if match[3] == "iB" else 1000
    return round(float(match[1]) * base**power)


def share(value: Any, where: str = "") -> float:
    """Return a share: 5% or .05."""
    try:
        found = float(value[:-1]) / 100 if isinstance(value, str) and value.strip().endswith("%") else float(value)
    except (TypeError, ValueError):
        raise RecipeError(f"{where}{value!r} is not a share; write 5% or .05") from None
    if not 0 <= found <= 1:
        raise RecipeError(f"{where}{value!r} is not between 0 and 100%")
    return found


class Loader(yaml.SafeLoader):
    """YAML's safe loader with the scalars of YAML 1.2: `on` is a key like any other, `no` is a word, 1e-4 is a number."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:float")]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"([-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"),
    list("-+0123456789."),
)


def read_yaml(text: str) -> Any:
    """Return what a YAML text holds: plain values only. Raises yaml.YAMLError."""
    return yaml.load(text, Loader=Loader)  # noqa: S506 - Loader is SafeLoader with other scalars


class Lines:
    """Where each key of a YAML text stands, for error lines."""

    def __init__(self, text: str, path: str) -> None:
        self.path = path
        self.at: dict[tuple[str, ...], int] = {}
        root = yaml.compose(text, Loader=Loader)
        if root is not None:
            self._walk(root, ())

    def _walk(self, node: yaml.Node, trail: tuple[str, ...]) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                here = (*trail, str(key.value))
                if here in self.at:
                    raise RecipeError(f"{self.path}:{key.start_mark.line + 1}: {key.value!r} stands twice; keep one")
                self.at[here] = key.start_mark.line + 1
                self._walk(value, here)
        elif isinstance(node, yaml.SequenceNode):
            for i, value in enumerate(node.value):
                self.at[(*trail, str(i))] = value.start_mark.line + 1
                self._walk(value, (*trail, str(i)))

    def where(self, *trail: str) -> str:
        while trail and trail not in self.at:
            trail = trail[:-1]
        return f"{self.path}:{self.at.get(trail, 1)}: "


def known(given: dict[str, Any], keys: Sequence[str], lines: Lines, *trail: str) -> None:
    for key in given:
        if key not in keys:
            raise RecipeError(f"{lines.where(*trail, str(key))}unknown key {key!r}{near(str(key), keys)}")


def listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple | dict) else [value]


def line_of(where: str) -> int:
    return int(where.rstrip(": ").rpartition(":")[2])
