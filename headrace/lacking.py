"""What a recipe asks for that is not installed here, known before a run begins and not after hours of it."""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from catalog.errors import SetupError
from catalog.parts import Part
from catalog.recipe import Recipe

SPLITTERS = ("GopherRepetitionFilter", "GopherQualityFilter", "C4QualityFilter", "FineWebQualityFilter")
"""datatrove's filters that split words or sentences by language, English by spaCy (datatrove/utils/word_tokenizers.py)."""
ENGLISH = ("en", "eng")


def refuse_lacking(recipe: Recipe, todo: Sequence[Part]) -> None:
    """Raise SetupError naming the first package that these parts want and this environment lacks."""
    found = next(lacking(recipe, todo), None)
    if found:
        raise SetupError(found)


def lacking(recipe: Recipe, todo: Sequence[Part]) -> Iterator[str]:
    """Yield one line for each part that wants a package that is not here: which, for what, and how to install it."""
    for part in todo:
        for stage in part.stages:
            wants = [name for name in _filters(stage.bound.path, stage.bound.knobs) if find_spec("spacy") is None]
            if wants:
                how = "pip install spacy where headrace runs, or take the stage and the policies that read it out"
                yield f"{recipe.path}:{part.line}: {part.id}: {stage.name}: datatrove's {wants[0]} splits English by spaCy, which is not installed: {how}"


def _filters(path: str, knobs: dict[str, Any]) -> list[str]:
    """The filters of a stage of datatrove's that want spaCy."""
    if not path.startswith("catalog.trove:"):
        return []
    blocks = knobs.get("blocks") or [knobs]
    named = [(str(one.get("path", "")).rpartition(":")[2], one.get("options") or {}) for one in blocks if isinstance(one, dict)]
    return [name for name, options in named if name in SPLITTERS and options.get("language", "en") in ENGLISH]
