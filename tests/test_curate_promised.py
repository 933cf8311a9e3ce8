"""A list and a model are what the address of an annotation says they are: changed behind its back, they are refused by who reads them."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from catalog_making import data_file, draft

from catalog.errors import InputError
from catalog.lake import Lake
from catalog.recipe import Recipe, load
from curate import annotate, optout, quality, stop_words, urls, wordlist
from curate.listed.promised import digest_of_file, promise
from curate.models.calibration import Calibration
from curate.models.features import Features
from curate.models.linear import Model
from curate.models.opened import opened
from curate.models.stored import load as load_model
from curate.models.stored import save
from headrace import curating
from headrace.child import Work
from headrace.keys import part_keys
from headrace.river import Options
from headrace.scorers import resolved

RECIPE = """
name: x
seed: 1
lake: lake
curate:
  corpus:
    from: web
    stages: [STAGE]
"""
STAGES = {
    "words": ("wordlist.listed: {lists: {mine: NAME}}", "row\n", "word\n"),
    "hosts": ("optout.listed: {hosts: NAME}", "h1.example,\n", "h2.example,\n"),
    "addresses": ("urls.listed: {lists: {mine: NAME}, bundled: false}", "h1.example\n", "h2.example\n"),
    "model": ("quality.score: {model: ./NAME}", "1", "2"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_promised() -> object:
    yield
    promise({})


def written(path: Path, kind: str, content: str) -> None:
    """Write a list, or a model whose weights are a number; of the same size and time whatever it says."""
    if kind == "model":
        for file in path.glob("*") if path.is_dir() else ():
            file.unlink()
        if path.is_dir():
            path.rmdir()
        features = Features(buckets=16)
        save(Model("class", features, np.full(17, float(content), np.float32), Calibration("sigmoid")), path)
    else:
        path.write_text(content, encoding="utf-8")
    for file in (path, *path.glob("*")) if path.is_dir() else (path,):
        os.utime(file, (10**9, 10**9))


def recipe(folder: Path, kind: str) -> Recipe:
    stage, first, _ = STAGES[kind]
    written(folder / "it", kind, first)
    (folder / "x.yaml").write_text(RECIPE.replace("STAGE", "{" + stage.replace("NAME", "it") + "}"), encoding="utf-8")
    return load(str(folder / "x.yaml"))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake.open(tmp_path / "lake", create=True)
    lake.commit(draft([data_file(lake.root, "web", "web", 10)], "web"))
    return lake


@pytest.mark.parametrize("kind", STAGES)
def test_what_changes_before_a_worker_reads_it_is_refused(kind: str, lake: Lake, tmp_path: Path) -> None:
    made = recipe(tmp_path, kind)
    part = made.part("curate.corpus")
    stages = [resolved(stage, part, made, lake, part_keys(made, lake)) for stage in part.stages]
    files = lake.snapshot("web").files
    written(tmp_path / "it", kind, STAGES[kind][2])
    with pytest.raises(InputError, match=r"it(: no model that can be used: it is another model| was changed since this run was planned)"):
        annotate.run(files, stages, str(tmp_path / "out"), workers=1)
    assert not list(tmp_path.rglob("*.parquet.tmp")) and not (tmp_path / "out").exists()
    written(tmp_path / "it", kind, STAGES[kind][1])
    assert annotate.run(files, stages, str(tmp_path / "out"), workers=1).computed == 1


@pytest.mark.parametrize("kind", STAGES)
def test_what_changes_between_plan_and_work_is_refused(kind: str, lake: Lake, tmp_path: Path) -> None:
    made = recipe(tmp_path, kind)
    work = Work(made, lake, part_keys(made, lake), Options(recipe=made.path), "job-1", tmp_path, {})
    written(tmp_path / "it", kind, STAGES[kind][2])
    os.utime(tmp_path / "it", (10**9, 10**9 + 1))                                  # what is asked for its digest twice is told by size and time
    for file in (tmp_path / "it").glob("*"):
        os.utime(file, (10**9, 10**9 + 1))
    with pytest.raises(InputError, match="curate.corpus: a list, a model or an evaluation set that it names was changed since this run was planned"):
        curating.run(made.part("curate.corpus"), work)
    assert part_keys(made, lake)["curate.corpus"] != work.keys["curate.corpus"]


def test_a_worker_that_lives_long_reads_what_the_next_task_was_promised(tmp_path: Path) -> None:
    """Another content of the same size and time, under the same name: what was read before does not stand for it."""
    path = tmp_path / "it"
    batch = pl.DataFrame({"text": ["row row word"], "uri": ["https://h1.example/"], "host": ["h1.example"], "source": [{"fetched_at": None}]})
    batch = batch.with_columns(language=pl.struct(code=pl.lit("en")))

    def said(content: str, kind: str) -> object:
        path.write_text(content, encoding="utf-8")
        os.utime(path, (10**9, 10**9))
        promise({str(path): digest_of_file(path)})
        if kind == "wordlist":
            return wordlist.listed(batch, lists={"m": str(path)})["count"][0]
        if kind == "optout":
            return optout.listed(batch, hosts=str(path))["entry"][0]
        if kind == "urls":
            return urls.listed(batch, lists={"m": str(path)}, bundled=False)["host_list"][0]
        return stop_words.signals(batch, stop_words=str(path))["uses"][0]

    assert [said(words, "wordlist") for words in ("row ", "word", "row ")] == [2, 1, 2]
    assert [said(f"h{n}.example,", "optout") for n in (1, 2, 1)] == ["h1.example", None, "h1.example"]
    assert [said(f"h{n}.example", "urls") for n in (1, 2, 1)] == ["m", None, "m"]
    assert [said(f"en: [{word}]", "stop_words") for word in ("row ", "word", "row ")] == [2, 1, 2]


def test_a_model_is_open_for_the_digest_that_was_promised(tmp_path: Path) -> None:
    written(tmp_path / "it", "model", "1")
    first = load_model(tmp_path / "it").about["digest"]
    promise({str(tmp_path / "it"): first})
    quality.score(pl.DataFrame({"text": ["a"]}), model=str(tmp_path / "it"))
    written(tmp_path / "it", "model", "2")
    second = load_model(tmp_path / "it").about["digest"]
    promise({str(tmp_path / "it"): second})
    assert opened(str(tmp_path / "it"), load_model, "x").about["digest"] == second
    promise({str(tmp_path / "it"): first})
    with pytest.raises(InputError, match="it is another model"):
        opened(str(tmp_path / "it"), load_model, "x")
