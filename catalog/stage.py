"""The shapes of work, the one word split that all stages share, and how a recipe finds a name.

source   `read(path, *, knobs)`                yields rows as dicts, or Refused
stage    `signals(batch, *, knobs)`            a batch in, the columns of one annotation family out
job      `job(...)`                            datasets in, annotations or a dataset out: whatever needs a shuffle
writer   `grounded(documents, ask, *, knobs)`  rows in, new rows out, every completion through the ledger
act      `act(run, *, knobs)`                  one kind of training, from a run folder

A stage is a plain function. A recipe names it by its path in the room (`gopher.signals`) or anywhere (`pkg.module:function`).
Names and knobs are checked by reading the source, so that a typo is found in a second and no engine is imported for it.
"""

import ast
import importlib
import importlib.metadata
import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from catalog.errors import RecipeError, near
from catalog.written import size

if TYPE_CHECKING:  # the front door checks recipes with this module: nothing heavy may be imported for it
    import polars as pl
    import pyarrow as pa

    from catalog.lines import Lines
    from catalog.split import Words

HOUSE = Path(__file__).resolve().parent.parent
ROOMS = ("headrace", "catalog", "ingest", "curate", "synth", "mixer", "trainer")
F = TypeVar("F", bound=Callable[..., Any])
ModelName: TypeAlias = str
"""A knob of this type names a model: a part of `quality:`, a model of the lake, or a path. The function is given its path."""
MODELS = "`make quality` fits some to begin with (docs/signals.md)"
"""What an error says to whom no model is at hand."""
Benchmarks: TypeAlias = Sequence[str] | str
"""A knob of this type names datasets of evaluation items, such as bench.*. The function is given the folder of their index."""
File: TypeAlias = str
Files: TypeAlias = Mapping[str, str]
"""A knob of this type names a file, or files by name: `PATH`, which a recipe writes from its own folder on, or `PACKAGE:PATH` inside an installed package."""


@dataclass(frozen=True)
class Declaration:
    """What a function says of itself: the columns it reads, those it adds, its family, its version.

    `reads_of` is a knob, a mapping whose values are columns that it reads too, such as `quality.score`. `packages` are those whose lists, tables
    or models it reads: another version of one may say another thing, so addresses hold their versions. `models` are the kinds of those that its
    knobs may name, as `quality:` fits them (catalog/models.py).
    """

    reads: tuple[str, ...]
    adds: "dict[str, pa.DataType]"
    version: int
    family: str | None
    splitter: str | None
    reads_of: str | None = None
    packages: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """A record that never became a document: it stands in `quarantine` and in `funnel`, and the rest goes on."""

    uri: str
    reason: str
    error: str = ""
    offset: int | None = None
    source: str = ""


def declares(
    *,
    reads: tuple[str, ...] = ("text",),
    adds: "dict[str, pa.DataType]",
    version: int,
    family: str | None = None,
    splitter: str | None = None,
    reads_of: str | None = None,
    packages: tuple[str, ...] = (),
    models: tuple[str, ...] = (),
) -> Callable[[F], F]:
    """Attach a Declaration to a stage. `family` defaults to the module's last name; `splitter` when it uses words(); `packages` and `models` by literals."""

    def attach(function: F) -> F:
        name = family or function.__module__.rpartition(".")[2]
        function.declares = Declaration(reads, adds, version, name, splitter, reads_of, packages, models)  # type: ignore[attr-defined]
        return function

    return attach


def source(*, version: int) -> Callable[[F], F]:
    """Attach the version of a source: raising it makes a recipe read its files again."""

    def attach(function: F) -> F:
        function.declares = Declaration((), {}, version, None, None)  # type: ignore[attr-defined]
        return function

    return attach


_split: dict[str, tuple[Any, Any]] = {}
_wider: list[tuple[Any, Any]] = []


def words(batch: "pl.DataFrame") -> "Words":
    """Return the words of a batch's `text`, split once for all the stages that see this very batch."""
    from catalog.schema import text_bytes
    from catalog.split import split_words

    found: Words = once("words", batch, lambda: split_words(*text_bytes(batch["text"])))
    return found


def lines(batch: "pl.DataFrame") -> "Lines":
    """Return the lines of a batch's `text`, split once for all the stages that see this very batch."""
    from catalog.lines import split_lines
    from catalog.schema import text_bytes


    found: Lines = once("lines", batch, lambda: split_lines(*text_bytes(batch["text"])))
    return found


def widened(wide: "pl.DataFrame", batch: "pl.DataFrame") -> "pl.DataFrame":
    """Return `wide`, which is a batch with more columns beside its own, having noted that what is made of the one serves for the other."""
    _wider[:] = [(wide, batch)]
    return wide


def once(kind: str, batch: "pl.DataFrame", split: Callable[[], Any]) -> Any:
    """Return what `split` makes of a batch, made once for all the stages that see this very batch and ask for the same kind.

    One slot a kind: stages run one after the other over one batch, so more would only hold memory.
    """
    batch = next((narrow for wide, narrow in _wider if wide is batch), batch)
    held = _split.get(kind)
    if held is None or held[0] is not batch:
        held = _split[kind] = (batch, split())
    return held[1]


@dataclass(frozen=True)
class Target:
    """A function found by name: where it is, its knobs with their defaults, read from the source alone."""

    module: str
    function: str
    knobs: dict[str, Any]
    types: dict[str, str]
    required: tuple[str, ...]
    version: int
    family: str
    packages: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    reads_of: str = ""
    models: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        return f"{self.module}:{self.function}"


@dataclass(frozen=True)
class Bound:
    """A function with all its knobs, ready to travel as plain data. `packages` are those that it reads from, with their versions here."""

    path: str
    knobs: dict[str, Any]
    version: int = 0
    packages: tuple[tuple[str, str], ...] = ()


def find(room: str, name: str, where: str = "") -> Target:
    """Return the function that a recipe calls `name`, looked up in `room`, then in `catalog`, or by `pkg.module:function`."""
    if ":" in name:
        module, _, function = name.partition(":")
        return _target(module, function, where, name)
    module, _, function = name.rpartition(".")
    if not module or not name.replace(".", "").replace("_", "").isalnum():
        raise RecipeError(f"{where}{room} has no {name!r}{near(name, _names(room))}")
    for place in (room, "catalog"):
        if (HOUSE / place / f"{module.replace('.', '/')}.py").is_file():
            return _target(f"{place}.{module}", function, where, name)
    raise RecipeError(f"{where}{room} has no {name!r}{near(name, _names(room))}")


def _target(module: str, function: str, where: str, name: str) -> Target:
    file = _file(module)
    if file is None:
        raise RecipeError(f"{where}no module {module!r} (for {name!r}); is its folder on PYTHONPATH?")
    body = ast.parse(file.read_text(encoding="utf-8"), str(file)).body
    defs = {node.name: node for node in body if isinstance(node, ast.FunctionDef)}
    if function not in defs:
        known = [n for n in defs if not n.startswith("_")]
        raise RecipeError(f"{where}{module} has no {function!r}{near(function, known)}")
    args = defs[function].args
    knobs, types, required = {}, {}, []
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        types[arg.arg] = ast.unparse(arg.annotation) if arg.annotation else "Any"
        if default is None:
            required.append(arg.arg)
        else:
            knobs[arg.arg] = _default(default, body)
    node = defs[function]
    packages, reads, of, models = (_listed(node, body, key) for key in ("packages", "reads", "reads_of", "models"))
    return Target(module, function, knobs, types, tuple(required), _version(node, body), _family(node, module), packages, reads, "".join(of), models)


def _family(function: ast.FunctionDef, module: str) -> str:
    """The `family=` of a decorator, else the module's last name."""
    calls = [d for d in function.decorator_list if isinstance(d, ast.Call)]
    named = [k.value.value for call in calls for k in call.keywords if k.arg == "family" and isinstance(k.value, ast.Constant)]
    return str(named[0]) if named else module.rpartition(".")[2]


def _listed(function: ast.FunctionDef, body: list[ast.stmt], key: str) -> tuple[str, ...]:
    """The names under a decorator's keyword, such as `packages=`; none where the source alone does not tell."""
    calls = [d for d in function.decorator_list if isinstance(d, ast.Call)]
    found = next((_default(k.value, body) for call in calls for k in call.keywords if k.arg == key), ())
    return tuple(found) if isinstance(found, tuple | list) else (found,) if isinstance(found, str) and found.isidentifier() and key == "reads_of" else ()


@cache
def installed(package: str) -> str:
    """Return the version of an installed package, nothing where it is missing: who needs it says so."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _version(function: ast.FunctionDef, body: list[ast.stmt]) -> int:
    """The `version=` of a decorator, else the module's VERSION, else 0."""
    calls = [d for d in function.decorator_list if isinstance(d, ast.Call)]
    for keyword in (k for call in calls for k in call.keywords if k.arg == "version"):
        return int(_default(keyword.value, body))
    found = _default(ast.Name("VERSION"), body)
    return found if isinstance(found, int) else 0


def _default(node: ast.expr, body: list[ast.stmt]) -> Any:
    """A default is a literal, or the name of a constant of the same module that is one."""
    if isinstance(node, ast.Name):
        for statement in body:
            targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
            if any(isinstance(t, ast.Name) and t.id == node.id for t in targets) and statement.value is not None:  # type: ignore[attr-defined]
                return _default(statement.value, body)  # type: ignore[attr-defined]
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def _file(module: str) -> Path | None:
    path = HOUSE / f"{module.replace('.', '/')}.py"
    if module.partition(".")[0] in ROOMS:
        return path if path.is_file() else None
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def _names(room: str) -> list[str]:
    """Every public function of a room as a recipe would write it."""
    names = []
    for file in sorted((HOUSE / room).glob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                names.append(f"{file.stem}.{node.name}")
    return names


PLAIN: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,), "None": (type(None),)}
HOLDING: dict[str, Any] = {
    "Sequence": (list, tuple), "list": (list, tuple), "tuple": (list, tuple), "Mapping": (dict,), "dict": (dict,), "Files": (dict,), "File": (str,),
    "ModelName": (str,), "Benchmarks": (list, tuple),
}  # fmt: skip
SAID = {"Sequence": "a list", "list": "a list", "tuple": "a list", "Mapping": "a mapping", "dict": "a mapping", "Files": "a mapping of files",
        "File": "a file", "ModelName": "a model's name", "Benchmarks": "a list of evaluation sets, such as [bench.*]"}  # fmt: skip
"""What a knob may hold, by its annotation, and how that is said. Other annotations are not looked into: the function checks for itself."""


def _kinds(annotation: str) -> list[str]:
    """The alternatives of an annotation: `int | None` are two; what stands inside brackets is not parted."""
    kinds, depth = [""], 0
    for char in annotation:
        depth += (char == "[") - (char == "]")
        if char == "|" and not depth:
            kinds.append("")
        else:
            kinds[-1] += char
    return [kind.strip() for kind in kinds]


def _fits(value: Any, kind: str) -> bool:
    """Say whether a value is of a kind; a kind that is not known is fitted by everything."""
    head, _, inside = kind.partition("[")
    if head in PLAIN:
        return isinstance(value, PLAIN[head]) and (head == "bool" or not isinstance(value, bool))
    if head not in HOLDING:
        return True
    item = inside.removesuffix("]")
    return isinstance(value, HOLDING[head]) and (head != "Sequence" or item not in PLAIN or all(_fits(one, item) for one in value))


def _said(kind: str) -> str:
    head, _, inside = kind.partition("[")
    item = inside.removesuffix("]")
    return SAID.get(head, kind) + (f" of {item}" if head == "Sequence" and item in PLAIN else "")


def bind(target: Target, knobs: dict[str, Any], where: str, *, given: tuple[str, ...] = ()) -> Bound:
    """Check knobs against a signature and return them with the defaults filled in.

    `given` names the required knobs that the runner will pass. Raises RecipeError with the nearest name.
    """
    known = [*target.knobs, *target.required]
    for name, value in knobs.items():
        name = str(name)
        if name not in known:
            raise RecipeError(f"{where}{target.path} has no knob {name!r}{near(name, known)}")
        allowed = _kinds(target.types[name])
        if isinstance(value, str) and "int" in allowed and "str" not in allowed and (counted := _count(value)) is not None:
            knobs = {**knobs, name: counted}
        elif not any(_fits(value, kind) for kind in allowed):
            raise RecipeError(f"{where}{name}: {value!r} is not {' or '.join(map(_said, allowed))}")
        if isinstance(value, float) and not math.isfinite(value):
            raise RecipeError(f"{where}{name}: {value!r} is not a finite number")
    missing = [name for name in target.required if name not in knobs and name not in given]
    if missing:
        named = f": the name of a part of `quality:`, or of one that `headrace train-quality NAME` made; {MODELS}"
        how = named if target.types[missing[0]] == "ModelName" else ""
        raise RecipeError(f"{where}{target.path} needs {', '.join(missing)}{how}")
    return Bound(target.path, {**target.knobs, **knobs}, target.version, tuple((name, installed(name)) for name in target.packages))


def _count(value: str) -> int | None:
    """A count written as people write it, 400k or 2GB; None for what is none."""
    try:
        return size(value)
    except RecipeError:
        return None


def load(path: str) -> Callable[..., Any]:
    """Import `module:function` and return the function."""
    module, _, function = path.partition(":")
    loaded: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return loaded
