"""What people write in YAML: sizes, shares, lists, and the line that an error points to."""

import gzip
import math
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from catalog.errors import InputError, RecipeError, near

DATASET = r"[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*"
"""A dataset's name: it is a folder and a view."""
MAX_LIST = 256 << 20
"""Bytes of a list in a file, unpacked."""


def size(value: Any, where: str = "") -> int:
    """Return a count as people write it: 400k, 1.5B, 2GB, 300. k, M, B/G, T are powers of ten; KiB, MiB, GiB of two."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
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


def whole(value: Any, least: int = 0) -> bool:
    """Whether a value is a whole number, and not below the least."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def number(value: Any) -> bool:
    """Whether a value is a number above zero, and a finite one."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def word(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def flat(value: Any) -> Any:
    """Return a mapping of mappings as one: `{web: {high: 1}}` is `{web/high: 1}`. Anything else comes back as it is."""
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for key, one in value.items():
        found |= {f"{key}/{inner}": last for inner, last in flat(one).items()} if isinstance(one, dict) else {str(key): one}
    return found


def words(value: Any) -> bool:
    return word(value) or (isinstance(value, list) and bool(value) and all(map(word, value)))


def weights(value: Any) -> bool:
    return words(value) or (isinstance(value, dict) and bool(value) and all(map(word, value)) and all(map(number, value.values())))


SHAPES: dict[str, Callable[[Any], bool]] = {
    "a word": word,
    "a name or a list of names": words,
    "a name, a list of names, or names with weights above 0": weights,
    "true or false": lambda value: isinstance(value, bool),
    "a list": lambda value: isinstance(value, list),
    "a mapping": lambda value: isinstance(value, dict),
    "a whole number from 0": whole,
    "a whole number from 1": lambda value: whole(value, 1),
    "a number above 0, or names with one each": lambda value: number(value) or (isinstance(value, dict) and weights(flat(value))),
}
"""What a value may be, in the words of the line that refuses it."""


def shaped(given: Mapping[str, Any], shapes: Mapping[str, str], lines: "Lines", *trail: str) -> None:
    """Refuse a value of another shape than its key's. Keys that are not there, or of no shape, pass."""
    for key, shape in shapes.items():
        if given.get(key) is not None and not SHAPES[shape](given[key]):
            raise RecipeError(f"{lines.where(*trail, key)}{key}: {given[key]!r} is not {shape}")


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


MOST = 100_000
"""Keys and items of a recipe: anchors that point to anchors write more than anybody reads."""


class Lines:
    """Where each key of a YAML text stands, for error lines."""

    def __init__(self, text: str, path: str) -> None:
        self.path = path
        self.at: dict[tuple[str, ...], int] = {}
        self.seen = 0
        root = yaml.compose(text, Loader=Loader)
        if root is not None:
            self._walk(root, ())

    def _walk(self, node: yaml.Node, trail: tuple[str, ...]) -> None:
        self.seen += 1
        if self.seen > MOST:
            raise RecipeError(f"{self.path}:{node.start_mark.line + 1}: over {MOST:,} keys and items; write fewer, or fewer anchors")
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


def lines_in(path: str, of: str) -> list[str]:
    """Return the lines of a file, .gz too, that are neither empty nor notes (#). `of` says what it lists. Raises InputError."""
    try:
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
            said = file.read(MAX_LIST + 1)
        lines = [line.strip() for line in said.decode("utf-8-sig").splitlines()]
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read as a list of {of}: {error}") from None
    if len(said) > MAX_LIST:
        raise InputError(f"{path}: is larger than a list of {of} may be, {MAX_LIST:,} bytes; split it")
    return [line for line in lines if line and not line.startswith("#")]
