"""What a repository's files are and in which order they stand: imports first, folders by depth, no circle without an end."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.trees.languages import content_type
from ingest.trees.natures import nature
from ingest.trees.order import FINDERS, Tree, imports, mentions, positions


def ordered(files: dict[str, str]) -> list[str]:
    kinds = {path: content_type(path, ("markdown",)) or "" for path in files}
    found = positions({path: (kinds[path], mentions(text, kinds[path])) for path, text in files.items()})
    assert sorted(found.values()) == list(range(len(files)))
    return sorted(found, key=found.__getitem__)


@pytest.mark.parametrize(("files", "order"), [
    ({"pkg/__init__.py": "from pkg.gate import Gate\n", "pkg/gate.py": "import os\nfrom . import water\n", "pkg/water.py": "", "setup.py": "import pkg"},
     ["pkg/water.py", "pkg/gate.py", "pkg/__init__.py", "setup.py"]),
    ({"a.py": "from pkg.deep import (\n    one,\n    two as too,\n)\n", "pkg/__init__.py": "", "pkg/deep/__init__.py": "", "pkg/deep/two.py": "",
        "pkg/deep/one.py": "from ..types import x"},
     ["pkg/deep/one.py", "pkg/deep/two.py", "a.py", "pkg/__init__.py", "pkg/deep/__init__.py"]),
    ({"index.js": "const b = require('./lib/b');\n", "lib/b.ts": "import { c } from './c.js'\nexport * from '../d'", "lib/c.ts": "", "d/index.ts": ""},
    ["lib/c.ts", "d/index.ts", "lib/b.ts", "index.js"]),
    ({"main.c": '#include "src/gate.h"\n#include <stdio.h>', "src/gate.h": '#include "water.h"', "src/water.h": "", "zlib.c": ""},
    ["src/water.h", "src/gate.h", "main.c", "zlib.c"]),
    ({"a/Main.java": "package a;\nimport a.b.Gate;\nimport static a.Util.go;\n", "a/Util.java": "", "a/b/Gate.java": "import java.util.List;"},
    ["a/b/Gate.java", "a/Util.java", "a/Main.java"]),
    ({"main.go": 'package main\nimport (\n\t"fmt"\n\t"site.net/x/gate"\n)\nfunc main() {}\n', "gate/b.go": "package gate", "gate/a.go": "package gate"},
    ["gate/a.go", "gate/b.go", "main.go"]),
    ({"src/main.rs": "mod gate;\nuse crate::water::Level;", "src/gate.rs": "use super::water;", "src/water/mod.rs": ""},
    ["src/water/mod.rs", "src/gate.rs", "src/main.rs"]),
    ({"src/main.rs": "use crate::{\n    water::{self, Level},\n};\nuse self::gate::{open, shut};",
        "src/gate/mod.rs": "use super::super::rain;\nuse super::{tide::Low, wind as w};", "src/water.rs": "", "src/tide.rs": "", "src/wind.rs": ""},
    ["src/water.rs", "src/tide.rs", "src/wind.rs", "src/gate/mod.rs", "src/main.rs"]),
    ({"pkg/a.py": "from pkg import (  # all\n    b,  # the second\n    c,\n)\n", "pkg/b.py": "", "pkg/c.py": "", "pkg/__init__.py": ""},
    ["pkg/__init__.py", "pkg/b.py", "pkg/c.py", "pkg/a.py"]),
    ({"a.rb": "require_relative 'lib/gate'", "lib/gate.rb": "require 'water/level'", "lib/water/level.rb": ""}, ["lib/water/level.rb", "lib/gate.rb", "a.rb"]),
    ({"a.php": "<?php\nuse App\\Gate\\Upper;\n", "src/Gate/Upper.php": ""}, ["src/Gate/Upper.php", "a.php"]),
    ({"a.pl": "use Lock::Gate;\n", "lib/Lock/Gate.pm": ""}, ["lib/Lock/Gate.pm", "a.pl"]),
    ({"b/z.py": "", "a.py": "", "README.md": "", "b/c/d.py": "", "a/b.py": ""}, ["README.md", "a.py", "a/b.py", "b/z.py", "b/c/d.py"]),
])  # fmt: skip
def test_what_is_imported_stands_first(files: dict[str, str], order: list[str]) -> None:
    assert ordered(files) == order == ordered(dict(reversed(files.items())))


def test_a_circle_ends_and_a_long_chain_too() -> None:
    assert ordered({"a.py": "import b", "b.py": "import c", "c.py": "import a"}) == ["c.py", "b.py", "a.py"]
    chain = {f"m{i}.py": f"import m{i + 1}" for i in range(5000)}
    assert ordered(chain)[:2] == ["m4999.py", "m4998.py"]


PIECES = st.lists(st.sampled_from([*"abc./\\:'\"<>(),; \n#{}*", "import ", "from ", "use ", "require ", "include ", "mod ", "crate::"]),
    max_size=60).map("".join)


@given(st.lists(st.tuples(st.sampled_from([".py", ".js", ".c", ".h", ".go", ".rs", ".java", ".rb", ".php", ".pm", ".lua"]), PIECES), max_size=8))
@settings(max_examples=200, deadline=None)
def test_any_text_has_an_order(files: list[tuple[str, str]]) -> None:
    ordered({f"{'d/' * (i % 3)}{'abc'[i % 3]}{i}{end}": text for i, (end, text) in enumerate(files)})


@pytest.mark.parametrize("kind", sorted(FINDERS))
def test_hostile_files_take_no_time(kind: str) -> None:
    for text in ("from " * 50_000, "import a, " * 30_000, "#include <" * 30_000, 'require("' * 30_000, "use a::" * 40_000, "import (" + "\n" * 60_000,
        "from . import (" * 9000):
        positions({"a": (kind, mentions(text, kind))})


@pytest.mark.parametrize(("place", "text", "what"), [
    ("a.py", "x = 1\n", None), ("tests/test_a.py", "", "test"), ("src/a_test.go", "", "test"), ("a.spec.ts", "", "test"), ("t/basic.t", "", "test"),
    ("src/test/java/GateTest.java", "", "test"),
    ("vendor/x/y.go", "", "vendored"), ("a/node_modules/b/c.js", "", "vendored"), ("pip/_vendor/six.py", "", "vendored"),
    ("static/jquery-3.1.min.js", "", "minified"), ("third_party/z.c", "", "vendored"),
    ("gate_pb2.py", "", "generated"), ("a/zz_generated.deepcopy.go", "", "generated"), ("x.go", "// Code generated by mockgen. DO NOT EDIT.\n", "generated"),
    ("dist/index.js", "", "generated"),
    ("big.js", "var a=1;" * 400, "minified"), ("data.py", "X = '" + "a" * 30_000 + "'\n", "generated"), ("latest.py", "", None), ("contest/a.py", "", None),
    ("vendors.py", "", None),
    ("protest.js", "", None), ("distance/a.js", "", None), ("a.css", "a { color: red }\n" * 200, None),
])  # fmt: skip
def test_natures(place: str, text: str, what: str | None) -> None:
    assert nature(place, text, content_type(place) or "") == what


def test_real_packages_are_in_order(data: Callable[[str], Path]) -> None:
    """In 4,809 files of packages: of what a Python file imports from its own package, nearly all stands before it. The rest are circles."""
    with gzip.open(data("code/files.jsonl.gz")) as file:
        rows = [json.loads(line) for line in file]
    before = whole = 0
    for package in ("click", "httpx", "rich", "toolz", "jinja2"):
        files = {row["path"]: row["content"] for row in rows if row["package"] == package and row["path"].endswith(".py")}
        found = positions({path: ("text/x-python", mentions(text, "text/x-python")) for path, text in files.items()})
        tree = Tree(sorted(files))
        pairs = [(path, one) for path, text in files.items() for one in imports(tree, path, mentions(text, "text/x-python"), "text/x-python")]
        before, whole = before + sum(found[one] < found[path] for path, one in pairs), whole + len(pairs)
    assert whole > 500 and before / whole > 0.9
