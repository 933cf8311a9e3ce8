"""The order of a repository's files: what is imported stands before what imports it.

A model that reads a repository's files in this order has read what a file uses (DeepSeek-Coder, Guo et al. 2024, section 2.2, sorts so). Imports are
found by patterns, and resolved among the files of the tree alone. Files are visited by the depth of their folder, then by path, a README at the top
before all; a file comes after all that it imports. In a circle the file that is met first comes last. What does not import, or is of a language that
is not listed here, keeps its place by depth and path.
"""

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

MAX_FILES = 50_000
"""More than this are ordered by depth and path alone."""
MAX_IMPORTS = 2000
ALIKE = 256
"""Files whose paths end alike that are compared."""
HEAD = 65_536
"""Bytes of a file in which imports are looked for."""

# Python's imports in functions and under TYPE_CHECKING are there to break circles: those at the margin alone count.
PYTHON = re.compile(r"^(?:from[ \t]++(\.{0,40})(\w[\w.]{0,400}|)[ \t]*+import[ \t]+(?:\(([^)]{0,4000})|([^\n#;]{1,1000}))"
    r"|import[ \t]+([\w., \t]{1,1000}))", re.M)
SCRIPT = re.compile(r"""(?:\bfrom|\bimport|\brequire[ \t]*\(|\bimport[ \t]*\()\s{0,20}["'](\.{1,2}(?:/[^"'\n]{0,300})?)["']""")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*(?:include|import)[ \t]*([<"])([^>"\n]{1,300})[>"]', re.M)
JAVA = re.compile(r"^[ \t]*import[ \t]+(?:static[ \t]+)?([\w.]{3,300})", re.M)
GO = re.compile(r'^[ \t]*(?:import[ \t]+)?(?:[\w.]+[ \t]+)?"([\w./~-]{2,300})"[ \t]*$', re.M)
RUST = re.compile(r"^[ \t]*(?:pub(?:\([^)\n]{1,40}\))?[ \t]+)?(?:mod[ \t]+(\w+)[ \t]*;"
    r"|use[ \t]+((?:crate|self|super)(?:::\w+){0,20})(?:::\{([^;]{1,2000}))?)", re.M)
RUBY = re.compile(r"""^[ \t]*require(_relative)?[ \t(]+["']([\w./-]{1,300})["']""", re.M)
PHP = re.compile(r"^use[ \t]+(?:function[ \t]+|const[ \t]+)?([\w\\]{3,300})", re.M)
PERL = re.compile(r"^[ \t]*(?:use|require|extends|with)[ \t]+['\"]?(\w+(?:::\w+)+)", re.M)
LUA = re.compile(r"""\brequire[ \t]*\(?[ \t]*["']([\w./]{1,300})["']""")
SCRIPT_ENDS = ("", ".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".d.ts", ".vue", ".svelte", "/index.ts", "/index.tsx", "/index.js", "/index.mjs")
README = re.compile(r"readme(?:\.\w+)?$", re.I)
STEM = re.compile(r"\.(?:js|mjs|cjs|jsx)$")
REMARK = re.compile(r"#[^\n]*")
DEEP = 24
"""Parts of a path's end by which a file is found: nothing that is imported names more."""


class Tree:
    """The paths of a tree's source files, found by any end of them."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = set(paths)
        self.ends: dict[str, list[str]] = {}
        self.folders: dict[str, list[str]] = {}
        for path in paths:
            at = len(path)
            for _ in range(DEEP):                            # every end that begins at a folder or at the name
                at = path.rfind("/", 0, at)
                self.ends.setdefault(path[at + 1 :], []).append(path)
                if at < 0:
                    break
            self.folders.setdefault(posixpath.dirname(path), []).append(path)

    def end(self, wanted: str, importer: str) -> str | None:
        """The file whose path ends so: of several the one that shares most of its path with who asks, then the first."""
        found = self.ends.get(wanted, [])[:ALIKE]
        return min(found, key=lambda path: (-len(posixpath.commonprefix([path, importer])), path)) if found else None


Mentions = Sequence[Any]
"""What a pattern found in a file: texts, or a tuple of a match's groups."""
Finder = Callable[[Tree, str, Mentions], Iterator[str | None]]


def _python(tree: Tree, place: str, said: Mentions) -> Iterator[str | None]:
    for dots, name, inside, plain, whole in said:
        if whole:
            yield from (_module(tree, place, part.split()[0]) for part in whole.split(",") if part.strip())
            continue
        names = [part.split()[0].strip("()") for part in REMARK.sub("", inside or plain).split(",") if part.strip()]
        folder = place
        for _ in dots:
            folder = posixpath.dirname(folder)
        for one in names or [""]:
            trail = "/".join(part for part in [*name.split("."), one] if part and part != "*")
            for way in dict.fromkeys((trail, trail.rpartition("/")[0])):
                at = posixpath.join(folder, way).strip("/")
                files = (f"{at}.py", f"{at}/__init__.py", f"{at}.pyx")
                found = next((path for path in files if path in tree.paths), None) if dots else _module(tree, place, way)
                if found:
                    yield found
                    break


def _module(tree: Tree, place: str, name: str) -> str | None:
    """The file of an absolute module: one that does not lie inside another package."""
    trail = name.replace(".", "/")
    for wanted in (f"{trail}.py", f"{trail}/__init__.py") if trail else ():
        found = [path for path in tree.ends.get(wanted, [])[:ALIKE] if f"{path.removesuffix(wanted)}__init__.py" not in tree.paths]
        if found:
            return min(found, key=lambda path: (-len(posixpath.commonprefix([path, place])), path))
    return None


def _script(tree: Tree, place: str, mentions: Mentions) -> Iterator[str | None]:
    for said in mentions:
        at = posixpath.normpath(posixpath.join(posixpath.dirname(place), said))
        yield next((path for end in SCRIPT_ENDS if (path := at + end) in tree.paths or (path := STEM.sub("", at) + end) in tree.paths), None)


def _include(tree: Tree, place: str, mentions: Mentions) -> Iterator[str | None]:
    for how, said in mentions:
        near = posixpath.normpath(posixpath.join(posixpath.dirname(place), said))
        if how == '"' and near in tree.paths:
            yield near
        elif how == '"' or "/" in said:
            yield tree.end(posixpath.normpath(said).removeprefix("../"), place)


def _java(tree: Tree, place: str, mentions: Mentions) -> Iterator[str | None]:
    end = posixpath.splitext(place)[1]
    for said in mentions:
        trail = said.replace(".", "/")
        yield tree.end(trail + end, place) or tree.end(trail.rpartition("/")[0] + end, place)


def _go(tree: Tree, place: str, mentions: Mentions) -> Iterator[str | None]:
    for said in mentions:
        while said and said not in tree.folders:
            said = said.partition("/")[2]
        yield f"{said}/" if said and said != posixpath.dirname(place) else None


def _rust(tree: Tree, place: str, mentions: Mentions) -> Iterator[str | None]:
    folder, name = posixpath.dirname(place), posixpath.basename(place)
    own = folder if name in ("lib.rs", "main.rs", "mod.rs") else place.removesuffix(".rs")
    root = folder
    while root and not {f"{root}/lib.rs", f"{root}/main.rs"} & tree.paths:
        root = posixpath.dirname(root)
    for module, used, inside in mentions:
        if module:
            yield next((path for path in (f"{own}/{module}.rs".lstrip("/"), f"{own}/{module}/mod.rs".lstrip("/")) if path in tree.paths), None)
            continue
        first, *rest = used.split("::")
        at = {"crate": root, "self": own, "super": posixpath.dirname(own)}[first]
        while rest[:1] == ["super"]:
            at, rest = posixpath.dirname(at), rest[1:]
        for one in inside.split(",") if inside else [""]:
            trail = [*rest, *filter(None, re.split(r"[\s{}]", one.strip("{} \t\n"))[0].split("::"))]
            places = [posixpath.join(at, *trail[:n]) for n in range(min(len(trail), DEEP), 0, -1)]
            yield next((path for place in places for path in (f"{place}.rs", f"{place}/mod.rs") if path in tree.paths), None)


def _ruby(tree: Tree, place: str, mentions: Mentions) -> Iterator[str | None]:
    for relative, said in mentions:
        at = posixpath.normpath(posixpath.join(posixpath.dirname(place), said)) if relative else said
        name = at if at.endswith(".rb") else f"{at}.rb"
        yield (name if name in tree.paths else None) if relative else tree.end(name, place)


def _named(separator: str, end: str) -> Finder:
    """A finder for languages whose names are paths; leading parts may stand for no folder (PHP's PSR-4)."""

    def find(tree: Tree, place: str, mentions: Mentions) -> Iterator[str | None]:
        for said in mentions:
            parts = said.strip(separator).split(separator)
            ends = ("/".join(parts[n:]) + end for n in range(max(0, len(parts) - DEEP), max(1, len(parts) - 1)))
            yield next((path for one in ends if (path := tree.end(one, place))), None)

    return find


FINDERS: dict[str, tuple[re.Pattern[str], Finder]] = {
    "text/x-python": (PYTHON, _python), "text/x-javascript": (SCRIPT, _script), "text/x-typescript": (SCRIPT, _script), "text/x-vue": (SCRIPT, _script),
    "text/x-svelte": (SCRIPT, _script), "text/x-c": (INCLUDE, _include), "text/x-c++": (INCLUDE, _include), "text/x-objective-c": (INCLUDE, _include),
    "text/x-java": (JAVA, _java), "text/x-kotlin": (JAVA, _java), "text/x-scala": (JAVA, _java), "text/x-go": (GO, _go), "text/x-rust": (RUST, _rust),
    "text/x-ruby": (RUBY, _ruby), "text/x-php": (PHP, _named("\\", ".php")), "text/x-perl": (PERL, _named("::", ".pm")),
    "text/x-lua": (LUA, _named(".", ".lua")),
}  # fmt: skip


def mentions(text: str, kind: str) -> Mentions:
    """Return what the head of a file says that it imports, unresolved: little enough to be kept of every file of a tree."""
    found = FINDERS.get(kind)
    return found[0].findall(text[:HEAD])[:MAX_IMPORTS] if found else ()


def imports(tree: Tree, place: str, said: Mentions, kind: str) -> list[str]:
    """Return which files of a tree a file imports, each once, in order of mention; of Go, whole folders, as `folder/`."""
    found = FINDERS[kind][1](tree, place, said) if said else ()
    return list(dict.fromkeys(path for path in islice(found, MAX_IMPORTS) if path and path != place))


def positions(files: Mapping[str, tuple[str, Mentions]]) -> dict[str, int]:
    """Return the place of each file in the order, from 0. `files` are content type and `mentions` by path."""
    paths = sorted(files, key=lambda path: (README.match(path) is None, path.count("/"), path))
    if len(paths) > MAX_FILES:
        return {path: number for number, path in enumerate(paths)}
    tree = Tree(paths)
    order: dict[str, int] = {}
    seen: set[str] = set()

    def wanted(path: str) -> Iterator[str]:
        if path.endswith("/"):
            return iter(tree.folders.get(path[:-1], ()))
        kind, said = files[path]
        return iter(imports(tree, path, said, kind))

    for path in paths:
        stack = [] if path in seen else [(path, wanted(path))]
        seen.add(path)
        while stack:                                         # no recursion: a chain of imports may be as long as the tree
            at, rest = stack[-1]
            deeper = next((one for one in rest if one not in seen), None)
            if deeper is not None:
                seen.add(deeper)
                stack.append((deeper, wanted(deeper)))
                continue
            stack.pop()
            if not at.endswith("/"):
                order[at] = len(order)
    return order
