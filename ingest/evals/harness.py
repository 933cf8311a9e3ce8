"""Task files of lm-eval (EleutherAI's harness): which local files hold the items, and how one is asked. What would fetch or run code is refused."""

import glob
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from catalog.errors import InputError, near
from catalog.written import Loader

LOCAL = ("json", "csv", "parquet")
"""Values of dataset_path that read files and nothing else."""
SPLITS = ("test_split", "validation_split", "training_split")
RUN = ("process_docs", "process_results", "custom_dataset", "use_prompt", "class")
"""Keys that stand for code, or for templates that would be fetched."""
NESTED, LARGEST = 5, 1 << 20

Row = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """What a task file says: files, and question, answer and choices as `ingest.evals.rendering` takes them."""

    files: tuple[str, ...]
    knobs: dict[str, Any]


class _Tasks(Loader):
    """Plain values alone."""


def _refuse(loader: _Tasks, suffix: str, node: yaml.Node) -> Any:
    raise InputError(f"line {node.start_mark.line + 1}: !{suffix} would run code; write the template out, or give a JSONL file with columns")


_Tasks.add_multi_constructor("!", _refuse)


def is_task(path: str) -> bool:
    return path.endswith((".yaml", ".yml"))


def task(path: str, where: str = "") -> Task:
    """Read a task file. Raises InputError, one line, for one that is none, that names no local files, or that would run or fetch something."""
    try:
        said = _read(Path(path), 0)
        return Task(tuple(_files(said, os.path.dirname(os.path.abspath(path)))), _knobs(said))
    except InputError as error:
        raise InputError(f"{where}{path}: {error}") from None


def _read(path: Path, depth: int) -> Row:
    """The keys of a task file, those of the files that it includes below them."""
    if depth > NESTED:
        raise InputError(f"include: goes deeper than {NESTED} files")
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path.name} has {path.stat().st_size} bytes; it is no task file")
        said = yaml.load(path.read_text(encoding="utf-8"), Loader=_Tasks)  # noqa: S506 - a SafeLoader that refuses every tag
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path.name} cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path.name} is no YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(said, dict) or not all(isinstance(key, str) for key in said):
        raise InputError(f"{path.name} is no task file: it holds {type(said).__name__}, not keys")
    included = said.pop("include", [])
    below: Row = {}
    for name in [included] if isinstance(included, str) else included:
        if not isinstance(name, str) or os.path.isabs(name):
            raise InputError(f"include: {name!r} is no file beside the task file")
        below |= _read(path.parent / name, depth + 1)
    return {**below, **said}


def _files(said: Row, folder: str) -> list[str]:
    """The local files of the items."""
    if code := [key for key in RUN if said.get(key) is not None]:
        raise InputError(f"{code[0]}: would run code or fetch; write the templates out, or give a JSONL file with columns")
    kind = said.get("dataset_path")
    if kind not in LOCAL:
        raise InputError(f"dataset_path: {kind!r} would be fetched; have the file here: dataset_path: json, dataset_kwargs: {{data_files: FILE}}")
    kwargs = said.get("dataset_kwargs") or {}
    if not isinstance(kwargs, dict) or not kwargs.get("data_files"):
        raise InputError("dataset_kwargs: names no data_files: the local file with the items")
    if extra := [key for key in kwargs if key not in ("data_files", "data_dir")]:
        raise InputError(f"dataset_kwargs: {extra[0]}: is not read here{near(str(extra[0]), ('data_files', 'data_dir'))}")
    if remote := [name for name in [*_names(kwargs["data_files"], said), str(kwargs.get("data_dir", ""))] if "://" in name]:
        raise InputError(f"data_files: {remote[0]} would be fetched; have the file here")
    base = os.path.join(folder, str(kwargs.get("data_dir", "")))
    found = [sorted(glob.glob(os.path.join(base, name))) or [os.path.join(base, name)] for name in _names(kwargs["data_files"], said)]
    if gone := [file for files in found for file in files if not os.path.isfile(file)]:
        raise InputError(f"data_files: there is no file {gone[0]}")
    return [os.path.normpath(file) for files in found for file in files]


def _names(given: Any, said: Row) -> list[str]:
    """The file names under data_files: of the split that is evaluated, where they are parted by splits."""
    if isinstance(given, Mapping):
        split = next((str(said[key]) for key in SPLITS if said.get(key)), "test")
        if split not in given:
            raise InputError(f"data_files: has no split {split!r}{near(split, map(str, given))}")
        given = given[split]
    listed = [given] if isinstance(given, str) else given
    if not isinstance(listed, list) or not listed or not all(isinstance(name, str) and name for name in listed):
        raise InputError(f"data_files: {listed!r} is no file and no list of files")
    return listed


def _knobs(said: Row) -> Row:
    if not isinstance(said.get("doc_to_text"), str) or not said["doc_to_text"].strip():
        raise InputError("doc_to_text: says nothing; it is a column or a template that makes the question")
    target = said.get("doc_to_target")
    if not isinstance(target, str | int | list | None):
        raise InputError(f"doc_to_target: {target!r} is no column, template, number or list")
    choices = said.get("doc_to_choice")
    if not isinstance(choices, str | list | dict | None):
        raise InputError(f"doc_to_choice: {choices!r} is no column, template, list or mapping")
    return {"question": said["doc_to_text"], "answer": target, "choices": choices}
