"""Datatrove's blocks as our stages, our stages as steps of its pipelines: with the real datatrove."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from catalog.errors import RecipeError
from catalog.stage import bind, find
from catalog.staged import Stage
from catalog.trove import InPipeline, block, pipeline
from curate import annotate
from curate.gopher import signals
from tests.spark_making import corpus, family

FILTERS = "datatrove.pipeline.filters"
TEXTS = [
    "Lorem ipsum dolor sit amet.", "The cat sat on the mat. It was warm. It purred. It slept. Then it woke up again.",
    "ring me at bob@example.com or 8.8.8.8", "",
]  # fmt: skip


def batch(*texts: str) -> pl.DataFrame:
    known = {"host": "h.example", "title": None, "date": None}
    rows = [{"doc_id": f"d{i}", "text": text, "uri": f"https://h.example/{i}", **known} for i, text in enumerate(texts)]
    return pl.DataFrame(rows, schema_overrides={"title": pl.String, "date": pl.Date})


def test_a_filter_says_what_it_drops_and_why() -> None:
    found = block(batch(*TEXTS), path=f"{FILTERS}:RegexFilter", options={"regex_exp": "(?i)lorem ipsum"})
    assert found["kept"].to_list() == [False, True, True, True] and found["metadata"].null_count() == 4
    found = block(batch("\n".join(["x" * 200] * 3), *TEXTS), path=f"{FILTERS}.c4_filters:C4ParagraphFilter")
    assert found["reason"].to_list() == [None, *["< 3 paragraphs"] * 4] and found["kept"].to_list() == [True, *[False] * 4]


def test_decisions_are_datatroves_own() -> None:
    from datatrove.pipeline.filters.c4_filters import C4ParagraphFilter

    texts = ["\n".join("y" * (k * j % 400) for j in range(k)) for k in range(60)]
    ours = block(batch(*texts), path=f"{FILTERS}.c4_filters:C4ParagraphFilter")
    theirs = [C4ParagraphFilter().filter(Document(text=text, id="x")) for text in texts]
    assert 10 < sum(ours["kept"]) < 50
    assert list(zip(ours["kept"], ours["reason"], strict=True)) == [(True, None) if told is True else (False, told[1]) for told in theirs]


def test_text_stays_and_an_edit_is_told() -> None:
    found = block(batch(*TEXTS), path="datatrove.pipeline.formatters:PIIFormatter")
    assert found["kept"].all() and [json.loads(m) if m else None for m in found["metadata"]] == [None, None, {"edited": True}, None]


class Marker(PipelineStep):
    """A block of one's own: writes to metadata, and drops in silence."""

    type, name = "test", "marker"

    def __init__(self, least: int = 0) -> None:
        super().__init__()
        self.least = least

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        for document in data:
            if len(document.text) >= self.least:
                document.metadata["length"] = len(document.text)
                document.metadata["seen"] = document.metadata["url"]
                yield document


class Doubling(PipelineStep):
    type, name = "test", "doubling"

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        for document in data:
            yield document
            yield Document(text=document.text, id=f"{document.id}-2")


def test_any_block_of_ones_own() -> None:
    found = block(batch(*TEXTS), path="tests.test_catalog_trove:Marker", options={"least": 30})
    assert found["kept"].to_list() == [False, True, True, False]
    assert json.loads(found["metadata"][1]) == {"length": len(TEXTS[1]), "seen": "https://h.example/1"}
    with pytest.raises(RecipeError, match="makes new documents"):
        block(batch(*TEXTS), path="tests.test_catalog_trove:Doubling")


def test_a_wrong_block_is_the_recipes_fault() -> None:
    for path, options, said in (
        (f"{FILTERS}:RegexFiler", {}, "no 'datatrove.pipeline.filters:RegexFiler'"),
        ("datatrove.nowhere:X", {}, "write the path of a datatrove block"),
        (f"{FILTERS}:RegexFilter", {"regex": "x"}, "RegexFilter.*unexpected keyword argument 'regex'"),
    ):
        with pytest.raises(RecipeError, match=said):
            block(batch("x"), path=path, options=options)


def test_a_block_is_a_stage_of_a_recipe(tmp_path: Path) -> None:
    """By name, with its options checked like any knob; no network is needed (the demo runs it under a denied one)."""
    target = find("curate", "trove.block")
    assert target.path == "catalog.trove:block"
    with pytest.raises(RecipeError, match="no knob 'pth'; did you mean 'path'"):
        bind(target, {"pth": "x"}, "recipe.yaml:3: ")
    bound = bind(target, {"path": f"{FILTERS}:RegexFilter", "options": {"regex_exp": "(?i)lorem ipsum"}}, "")
    files = corpus(tmp_path, [{"text": text} for text in TEXTS], 2)
    done = annotate.run(files, [Stage("trove.block", bound, "placeholder", None)], str(tmp_path / "annotations/x/r"), workers=0)
    assert family(done.files, "placeholder")["kept"].to_list() == [False, True, True, True]


@pytest.mark.slow
def test_our_stage_runs_inside_a_datatrove_pipeline(tmp_path: Path) -> None:
    """Its reader, our signals, its filter on them, its writer; and each document has what our own batch has."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.filters import LambdaFilter
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.writers import ParquetWriter

    texts = [" ".join(f"w{(i * j) % 31}" for j in range(1, 20 + i)) for i in range(60)]
    (tmp_path / "in").mkdir()
    pl.DataFrame({"text": texts, "id": [f"d{i}" for i in range(60)], "url": "https://h/"}).write_parquet(tmp_path / "in/a.parquet")
    LocalPipelineExecutor(
        pipeline=[
            ParquetReader(str(tmp_path / "in")),
            InPipeline("curate.gopher:signals", size=16),
            LambdaFilter(lambda document: document.metadata["gopher.n_words"] >= 40),
            ParquetWriter(str(tmp_path / "out"), output_filename="${rank}.parquet"),
        ],
        tasks=1, workers=1, logging_dir=str(tmp_path / "logs"),
    ).run()  # fmt: skip
    rows = pl.read_parquet(tmp_path / "out/*.parquet").to_dicts()
    ours = signals(pl.DataFrame({"text": texts}))
    assert [row["id"] for row in rows] == [f"d{i}" for i in range(60) if ours["n_words"][i] >= 40] and len(rows) > 20
    for row in rows:
        expected = ours.row(int(row["id"][1:]), named=True)
        assert {name.removeprefix("gopher."): value for name, value in row["metadata"].items() if name.startswith("gopher.")} == expected


def test_a_pipeline_step_keeps_documents_and_their_order() -> None:
    documents = [Document(text=text, id=f"d{i}", metadata={"url": "u"}) for i, text in enumerate(TEXTS * 5)]
    out = list(InPipeline("curate.gopher:signals", size=7)(iter(documents), 0, 1))
    assert out == documents and all(document.metadata["url"] == "u" and "gopher.n_words" in document.metadata for document in out)
    assert list(InPipeline("curate.gopher:signals")(None)) == []


PHRASE = {"path": f"{FILTERS}:RegexFilter", "options": {"regex_exp": "bob@example.com"}}
PRIVACY = {"path": "datatrove.pipeline.formatters:PIIFormatter"}


def test_in_a_chain_the_first_that_drops_gives_the_reason() -> None:
    lorem = {"path": f"{FILTERS}:RegexFilter", "options": {"regex_exp": "(?i)lorem ipsum"}}
    found = pipeline(batch("\n".join(["x" * 200] * 3), *TEXTS), blocks=[{"path": f"{FILTERS}.c4_filters:C4ParagraphFilter"}, lorem])
    assert found["kept"].to_list() == [True, *[False] * 4] and set(found["reason"].to_list()[1:]) == {"< 3 paragraphs"}
    alone = block(batch(*TEXTS), **lorem)
    assert pipeline(batch(*TEXTS), blocks=[lorem]).equals(alone)


def test_in_a_chain_each_sees_what_the_one_before_left() -> None:
    mail = batch("ring me at bob@example.com", "the river is high")
    assert pipeline(mail, blocks=[PHRASE])["kept"].to_list() == [False, True]
    edited = pipeline(mail, blocks=[PRIVACY, PHRASE])
    assert edited["kept"].to_list() == [True, True] and [json.loads(m) if m else None for m in edited["metadata"]] == [{"edited": True}, None]


def test_a_chain_that_is_none_is_said() -> None:
    with pytest.raises(RecipeError, match=r"trove.pipeline: 'x' is no block; write \{path"):
        pipeline(batch(*TEXTS), blocks=["x"])                # type: ignore[list-item]
    with pytest.raises(RecipeError, match=r"is no block"):
        pipeline(batch(*TEXTS), blocks=[{**PHRASE, "option": {}}])
    with pytest.raises(RecipeError, match=r"no 'datatrove.pipeline.filters:RegexFiltre'"):
        pipeline(batch(*TEXTS), blocks=[{"path": f"{FILTERS}:RegexFiltre"}])


@pytest.mark.skipif(find_spec("spacy") is not None, reason="spaCy is installed here, so nothing is lacking")
def test_a_filter_that_lacks_its_library_says_so_in_one_line() -> None:
    with pytest.raises(RecipeError, match=r"GopherQualityFilter: .*spacy"):
        pipeline(batch(*TEXTS), blocks=[{"path": f"{FILTERS}:GopherQualityFilter"}])
