"""Task files of lm-eval (EleutherAI's harness): which local files hold the items, and how one is asked. What would fetch or run code is refused."""

import glob
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from catalog.errors import InputError, RecipeError, near
from catalog.parts import LISTS
from catalog.written import Lines, Loader

LOCAL = ("json", "csv", "parquet")
"""Values of dataset_path that read files and nothing else."""
SPLITS = ("test_split", "validation_split", "training_split")
RUN = ("process_docs", "process_results", "custom_dataset", "use_prompt", "class")
"""Keys that stand for code, or for templates that would be fetched."""
NESTED, MOST, LARGEST = 5, 20, 1 << 20
"""How deep files may include others, how many may be read for a task, and the bytes of one."""
SHOWN = 100
"""Characters of what is wrong that an error shows."""

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
    """Read a task file. Raises InputError, one line, for one that is none, that names no local files, or that would run or fetch something.

    What it includes and what its items are read from lies in its own folder or below: others may have written it.
    """
    try:
        folder = os.path.dirname(os.path.abspath(path))
        said = _read(os.path.abspath(path), folder, 0, [])
        return Task(tuple(_files(said, folder)), _knobs(said))
    except (InputError, RecipeError) as error:
        raise InputError(f"{where}{path}: {error}") from None


def _inside(home: str, folder: str, name: str, key: str) -> str:
    """Return the path of a file as it is named in a folder. Raises InputError for one that is not in `home` or below, wherever links lead."""
    path = os.path.normpath(os.path.join(folder, name))
    whole = os.path.realpath(home)
    if "\0" in name or os.path.commonpath([os.path.realpath(path), whole]) != whole:
        raise InputError(f"{key}: {name[:SHOWN]!r} is not in the task file's folder or below; have it there, as a file of its own")
    return path


def _read(path: str, home: str, depth: int, read: list[str]) -> Row:
    """The keys of a task file, those of the files that it includes below them. read: all files so far."""
    if depth > NESTED or len(read) >= MOST:
        raise InputError(f"include: goes deeper than {NESTED} files" if depth > NESTED else f"include: names more than {MOST} files")
    read.append(path)
    name = os.path.basename(path)
    try:
        if (size := os.stat(path).st_size) > LARGEST:
            raise InputError(f"{name} has {size} bytes; it is no task file")
        text = Path(path).read_text(encoding="utf-8")
        Lines(text, name)                                    # refuses anchors that write more than anybody reads
        said = yaml.load(text, Loader=_Tasks)  # noqa: S506 - a SafeLoader that refuses every tag
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{name} cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{name} is no YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(said, dict) or not all(isinstance(key, str) for key in said):
        raise InputError(f"{name} is no task file: it holds {type(said).__name__}, not keys")
    included = said.pop("include", None) or []
    below: Row = {}
    for one in included if isinstance(included, list) else [included]:
        if not isinstance(one, str):
            raise InputError(f"include: {str(one)[:SHOWN]} is no file's name")
        below |= _read(_inside(home, os.path.dirname(path), one, "include"), home, depth + 1, read)
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
    base = _inside(folder, folder, str(kwargs.get("data_dir") or ""), "data_dir")
    asked = [_inside(folder, base, name, "data_files") for name in _names(kwargs["data_files"], said)]
    found = [_inside(folder, base, file, "data_files") for path in asked for file in sorted(glob.glob(path)) or [path]]
    if listed := [file for file in found if file.endswith(LISTS)]:
        raise InputError(f"data_files: {listed[0]} is a list of files; name the files themselves")
    if gone := [file for file in found if not os.path.isfile(file)]:
        raise InputError(f"data_files: there is no file {gone[0]}")
    return found


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
