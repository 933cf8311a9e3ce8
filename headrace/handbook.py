"""Pages made from the source: docs/stages.md from signatures and docstrings, and a JSON Schema of the recipe for editors.

`python -m headrace.handbook` writes both; a test fails when they are not what the source says.
"""

import ast
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from catalog.mixes import MIX
from catalog.parts import CURATE, EVAL, FIT_GIVEN, INGEST, SHAPES, SYNTH, TRAIN
from catalog.stage import HOUSE, Target, find

PAGE, SCHEMA = HOUSE / "docs" / "stages.md", HOUSE / "docs" / "recipe.schema.json"
HEAD = """# Stages, sources, jobs, writers, acts

Made from the source by `python -m headrace.handbook`; edit the docstrings, not this page.
A recipe names a function by its path in its room; what is said here is what it takes and what it gives.
"""
KINDS = (
    ("Sources", "ingest", "named in `ingest:`, as `{NAME: {paths: [...], KNOBS}}`"),
    ("Stages", "curate", "named in `curate.X.stages`, one annotation family each"),
    ("Jobs", "curate", "named in `curate.X.dedup`"),
    ("Fits", "curate", "named in `quality.X` by the SELECTs that they take"),
    ("Writers", "synth", "named in `synth.X.write`"),
    ("Acts", "trainer", "named in `train.X.act`"),
    ("Tasks", "trainer", "named in `eval.X.tasks`"),
)
Found = tuple[str, Target, ast.FunctionDef]


def functions(kind: str, room: str) -> Iterator[Found]:
    """Yield (name in a recipe, target, source) of every function of a kind, sorted by name."""
    for file in sorted((HOUSE / room).glob("*.py")) + ([HOUSE / "catalog" / "trove.py"] if kind == "Stages" else []):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                name = _named(kind, file.stem, node)
                if name:
                    yield name, find(room, f"{file.stem}.{node.name}"), node


def _named(kind: str, module: str, node: ast.FunctionDef) -> str | None:
    marks = [d.func.id for d in node.decorator_list if isinstance(d, ast.Call) and isinstance(d.func, ast.Name)]
    arguments = [a.arg for a in node.args.args]
    if kind == "Sources":
        return module if node.name == "read" and "source" in marks else None
    if kind == "Stages":
        return f"{module}.{node.name}" if "declares" in marks and node.name != "job" else None
    if kind == "Jobs":
        return module if node.name == "job" else None
    if kind == "Fits":
        return node.name if module == "fit" and arguments[:2] == ["ask", "folder"] else None
    if kind == "Writers":
        return f"{module}.{node.name}" if "ask" in arguments else None
    if kind == "Acts":
        return module if node.name == "act" else None
    return node.name if module == "evaluate" and arguments[:2] == ["model_folder", "run_folder"] else None


def page() -> str:
    """Return docs/stages.md."""
    lines = [HEAD]
    for kind, room, what in KINDS:
        lines.append(f"\n## {kind}\n\nIn `{room}/`, {what}.\n")
        for name, target, node in functions(kind, room):
            lines.append(f"### `{name}`\n\n{_prose(ast.get_docstring(node) or '')}\n")
            if target.knobs or target.required:
                lines.append(_knobs(target))
            columns = _columns(node)
            if columns:
                lines.append(f"Adds: {', '.join(f'`{c}`' for c in columns)}.\n")
    return "\n".join(lines).rstrip() + "\n"


def _prose(text: str) -> str:
    """A docstring as Markdown: angle brackets must not become tags."""
    return text.replace("<", "&lt;")


def _knobs(target: Target) -> str:
    rows = [f"| `{k}` | {_cell(target.types[k])} | `{target.knobs[k]!r}` |" for k in target.knobs]
    rows += [f"| `{k}` | {_cell(target.types[k])} | required |" for k in target.required]
    return "\n".join(["| knob | type | default |", "|---|---|---|", *rows]) + "\n"


def _cell(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def _columns(node: ast.FunctionDef) -> list[str]:
    """The columns that a decorator's `adds={...}` names, where it names them itself."""
    for call in (d for d in node.decorator_list if isinstance(d, ast.Call)):
        for keyword in call.keywords:
            if keyword.arg == "adds" and isinstance(keyword.value, ast.Dict):
                return [str(k.value) for k in keyword.value.keys if isinstance(k, ast.Constant)]
    return []


def schema() -> dict[str, Any]:
    """Return a JSON Schema of the recipe: keys and names, so that an editor completes and underlines them."""
    sources = {name: _object(target, extra={"paths": _list("string"), "as": {"enum": list(SHAPES)}}) for name, target, _ in functions("Sources", "ingest")}
    stages = [name for name, _, _ in functions("Stages", "curate")]
    jobs = {name: _object(target) for name, target, _ in functions("Jobs", "curate")}
    acts = {name: target for name, target, _ in functions("Acts", "trainer")}
    any_of = {"anyOf": [{"enum": stages}, {"type": ["object", "string"]}]}
    curated = {**_free(CURATE), "stages": {"type": "array", "items": any_of}, "dedup": _closed({**jobs, **COMPARED})}
    knobs = _free([k for target in acts.values() for k in target.knobs])
    parts = {
        "ingest": _closed({**_free(INGEST), **sources}),
        "curate": _closed(curated),
        "quality": _closed(_free([k for _, target, _ in functions("Fits", "curate") for k in (*target.required, *target.knobs) if k not in FIT_GIVEN])),
        "synth": {"type": "object", "properties": {**_free(SYNTH), "write": {"type": "string"}}, "required": ["from", "write"]},
        "mix": {**_closed({**_free(MIX), **MIXED}), "required": ["from", "budget"]},
        "train": {"type": "object", "properties": {**knobs, **_free(TRAIN), "act": {"enum": sorted(acts)}}, "required": ["act"]},
        "eval": {**_closed(_free(EVAL)), "required": ["model"]},
    }
    sections = {name: {"type": "object", "additionalProperties": part} for name, part in parts.items()}
    top = {"name": {"type": "string"}, "seed": {"type": "integer"}, "lake": {"type": "string"}, "spark": {"type": "object"}}
    whole = {**_closed({**top, **sections}), "required": ["name", "seed", "lake"]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "headrace recipe", **whole}


COMPARED = {
    "within": {"description": "Nothing is compared over the borders of this column or signal: dump, domain, host, language.code.", "type": "string"},
    "against": {"description": "A dataset whose documents stand: what it has is dropped here as `seen`. It stays as it is.", "type": "string"},
    "append": {"description": "What an earlier version kept stays, and only what is new is dropped as a copy.", "type": "boolean"},
}
BANDS: dict[str, Any] = {"patternProperties": {"^[1-9][0-9]*$": {"type": "integer", "minimum": 1}}, "additionalProperties": False}
MIXED = {
    "by": {
        "description": "What a source is: domain, dataset, a column such as ensemble.tier, or a list of these, whose values make cells such as web/high.",
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
    },
    "rehydrate": {
        "description": "How often one epoch reads a document, from how many copies on: {5: 2, 20: 3}; or {by: dup.copies, of: corpus, times: {5: 2}}.",
        "type": "object", "minProperties": 1,
        "properties": {
            "by": {"type": "string"}, "times": {"type": "object", **BANDS},
            "of": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        },
        **BANDS,
    },
    "weights": {"description": "Shares of tokens by source, 1 in all; of cells nested ({web: {high: .6}}) or as web/high.", "type": "object"},
}


def _free(names: Iterable[str]) -> dict[str, Any]:
    return {name: {} for name in names}


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _list(kind: str) -> dict[str, Any]:
    return {"type": "array", "items": {"type": kind}}


def _object(target: Target, extra: dict[str, Any] | None = None) -> dict[str, Any]:
    return _closed({**_free((*target.knobs, *target.required)), **(extra or {})})


def write(page_path: Path = PAGE, schema_path: Path = SCHEMA) -> None:
    """Write both files."""
    page_path.write_text(page(), encoding="utf-8")
    schema_path.write_text(json.dumps(schema(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
