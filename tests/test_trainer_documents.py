"""Bits by document: they add up to bits per byte, and each token of text is counted once."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from trainer_making import text_run

from mixer.samples import Samples, open_list
from trainer import models
from trainer.evaluate import bits_by_document, bits_per_byte

KNOBS = {"precision": "fp32", "threads": 1}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run folder and a model that was never trained, saved."""
    run = text_run(tmp_path_factory.mktemp("lake"), documents=200, hold_out=0.2)
    model = run / "model"
    models.write(models.build({"preset": "tiny"}, run / "tokenizer", context=64, seed=3), run / "tokenizer", model)
    return run, model


def test_documents_add_up_to_the_whole(asked: tuple[Path, Path]) -> None:
    run, model = asked
    whole, parts = bits_per_byte(model, run, **KNOBS), bits_by_document(model, run, **KNOBS)      # type: ignore[arg-type]
    frame = parts.pop("documents")
    assert parts == {**whole, "overall": pytest.approx(whole["overall"]), "domains": pytest.approx(whole["domains"])}
    by = frame.group_by("domain").agg(value=pl.col("bits").sum() / pl.col("bytes").sum())
    assert dict(by.iter_rows()) == pytest.approx(whole["domains"])
    assert (frame["tokens"].sum(), frame["bytes"].sum()) == (whole["tokens"], whole["bytes"])


def test_every_token_of_a_document_is_asked_once_but_its_first_and_its_end(asked: tuple[Path, Path]) -> None:
    run, model = asked
    samples = Samples.open(run)
    frame = bits_by_document(model, run, **KNOBS)["documents"]      # type: ignore[arg-type]
    held = samples.held_out_documents()
    assert frame["doc_id"].equals(held["doc_id"]) and frame["tokens"].to_list() == (held["tokens"] - 2).to_list()
    assert held.height == samples.lock["held_out"]["documents"] and held["doc_id"].is_unique().all()


def test_a_label_is_told_its_own_document(asked: tuple[Path, Path]) -> None:
    """The tokens that are laid to a document spell its text from its second token on, whatever row they stood in."""
    run, _ = asked
    samples = Samples.open(run)
    spelled: dict[int, list[int]] = {}
    for batch in samples.held_out(7):
        for label, of in zip(batch["labels"][batch["labels"] >= 0], batch["document"][batch["labels"] >= 0], strict=True):
            spelled.setdefault(int(of), []).append(int(label))
    documents, shards = open_list(run, samples.lock, samples.lock["held_out"])
    for i, (shard, _, start, length) in enumerate(np.asarray(documents).tolist()):
        assert spelled.get(i, []) == [int(token) for token in shards[shard].tokens[start + 1 : start + length - 1]]
