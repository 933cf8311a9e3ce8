"""What is not installed is said before a run begins, in one line."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import yaml
from demo_run import HOME

from catalog.errors import SetupError
from catalog.recipe import load
from headrace import lacking
from headrace.plan import show_plan
from headrace.river import Options, flow

LINE = r"curate.pages: trove.pipeline: datatrove's GopherRepetitionFilter splits English by spaCy, which is not installed: pip install spacy"


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without spaCy, whatever this one has."""
    monkeypatch.setattr(lacking, "find_spec", lambda name: None if name == "spacy" else importlib.util.find_spec(name))


@pytest.mark.usefixtures("without")
def test_a_run_that_wants_spacy_is_refused_before_it_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SetupError, match=rf"recipes/ablate.yaml:\d+: {LINE}"):
        flow(Options(recipe=str(HOME / "recipes/ablate.yaml"), lake=str(tmp_path / "lake")))
    assert not list((tmp_path / "lake").glob("data/*"))
    show_plan(str(HOME / "recipes/ablate.yaml"), (), None, str(tmp_path / "lake"), False)
    assert LINE in " ".join(capsys.readouterr().out.split())


@pytest.mark.usefixtures("without")
@pytest.mark.parametrize(
    ("stage", "wants"),
    [
        ({"trove.block": {"path": "datatrove.pipeline.filters:GopherQualityFilter"}}, 1),
        ({"trove.block": {"path": "datatrove.pipeline.filters:GopherQualityFilter", "options": {"language": "sw"}}}, 0),
        ({"trove.block": {"path": "datatrove.pipeline.filters:RegexFilter", "options": {"regex_exp": "x"}}}, 0),
        ("gopher.signals", 0),
    ],
)
def test_what_splits_no_english_wants_nothing(stage: Any, wants: int, tmp_path: Path) -> None:
    whole = {"name": "x", "seed": 1, "lake": "lake", "ingest": {"n": {"tables": {"paths": ["n.jsonl"]}}}, "curate": {"c": {"from": "n", "stages": [stage]}}}
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(whole), encoding="utf-8")
    recipe = load(tmp_path / "x.yaml")
    assert len(list(lacking.lacking(recipe, recipe.parts))) == wants


def test_the_filters_that_want_it_are_datatroves() -> None:
    """Each of them imports datatrove's splitters; a filter that no longer does has left the list."""
    folder = Path(next(iter(importlib.util.find_spec("datatrove").submodule_search_locations))) / "pipeline/filters"      # type: ignore[union-attr, arg-type]
    using = {
        name for name in lacking.SPLITTERS for file in folder.glob("*.py")
        if f"class {name}(" in (text := file.read_text(encoding="utf-8")) and "split_into_" in text
    }  # fmt: skip
    assert using == set(lacking.SPLITTERS)
