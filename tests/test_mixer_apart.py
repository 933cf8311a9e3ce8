"""A hold-out that several mixtures share: the same text for all, and nothing tied to it in any training."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from mixer_making import documents, freeze, row, snapshot

from catalog.errors import InputError, RecipeError
from catalog.files import Snapshot
from catalog.ids import doc_id, origin_hash
from mixer.samples import Samples

WEB: list[dict[str, Any]] = [{"weights": {"web": 0.7, "code": 0.3}}]
KNOBS: dict[str, Any] = {"phases": WEB, "budget": 6400, "max_epochs": 4, "hold_out": 0.1}


def lake(root: Path) -> tuple[Snapshot, Snapshot]:
    """Raw text that nobody judged, and the same judged: every tenth dropped, e-mail masked, some duplicates known."""
    return snapshot(root, documents(), annotated=False, name="raw"), snapshot(root, documents(), name="clean")


def held(root: Path, run: str) -> pl.DataFrame:
    return Samples.open(root / "runs" / run).held_out_documents()


def trained(root: Path, run: str) -> pl.DataFrame:
    samples = Samples.open(root / "runs" / run)
    return samples.consumed(samples.total)


def test_every_mixture_is_judged_on_the_same_tokens(tmp_path: Path) -> None:
    raw, clean = lake(tmp_path)
    both = {"clean": clean, "raw": raw}
    locks = [
        freeze(tmp_path, {name: mixed}, f"{name}{order}", held_out=both, words_of={"raw": raw}, order=order, **KNOBS).lock
        for name, mixed in (("raw", raw), ("clean", clean)) for order in (1, 2)
    ]  # fmt: skip
    assert all(lock["held_out"] == locks[0]["held_out"] and lock["tokenizer"] == locks[0]["tokenizer"] for lock in locks)
    assert {domain["name"] for domain in locks[0]["held_out"]["domains"]} == {"web", "code"}, "books are not mixed, so they are not held out"
    assert [lock["seed"] for lock in locks] == [1, 2, 1, 2]
    first, second = (Samples.open(tmp_path / "runs" / name).batch(np.arange(8))["tokens"] for name in ("raw1", "raw2"))
    assert not np.array_equal(first, second)
    kept = {one["doc_id"] for one in documents() if one["kept"]}
    assert set(held(tmp_path, "raw1")["doc_id"]) <= kept, "what one of them drops is not held out"


def test_nothing_in_training_is_tied_to_the_hold_out(tmp_path: Path) -> None:
    raw, clean = lake(tmp_path)
    freeze(tmp_path, {"raw": raw}, "raw", held_out={"clean": clean, "raw": raw}, **KNOBS)
    apart, seen = held(tmp_path, "raw"), trained(tmp_path, "raw")
    facts = pl.DataFrame([{key: one[key] for key in ("doc_id", "origin_hash", "cluster")} for one in documents()], infer_schema_length=None)
    apart, seen = apart.join(facts, on="doc_id", how="left"), seen.join(facts, on="doc_id", how="left")
    assert apart.height > 10 and seen.height > 100
    for column in ("doc_id", "host", "origin_hash", "cluster"):
        assert not set(apart[column].drop_nulls()) & set(seen[column].drop_nulls()), column


def test_a_near_copy_is_kept_away_though_only_another_dataset_knows_it(tmp_path: Path) -> None:
    """The judged dataset dropped the copies of one page; in the raw one they stand, on other hosts, and nobody searched it for copies."""
    page = row(2000, "web", "origin.example", "https://origin.example/1")
    copies = [row(3000 + i, "web", f"copy{i}.example", f"https://copy{i}.example/1") for i in range(5)]
    family = [{**one, "cluster": "the page", "kept": one is page} for one in [page, *copies]]
    everything = documents() + family
    raw, clean = snapshot(tmp_path, everything, annotated=False, name="raw"), snapshot(tmp_path, everything, name="clean")
    shown = snapshot(tmp_path, [page], annotated=False, name="page")
    frozen = freeze(tmp_path, {"raw": raw}, "raw", held_out={"page": shown, "clean": clean}, **{**KNOBS, "hold_out": 1.0})
    assert held(tmp_path, "raw")["doc_id"].to_list() == [page["doc_id"]]
    assert frozen.lock["apart"] == {"of": ["page", "clean"], "documents": 6, "tokens": frozen.lock["apart"]["tokens"]}
    assert not {one["doc_id"] for one in family} & set(trained(tmp_path, "raw")["doc_id"])
    assert "6 documents" in " ".join(frozen.notes)


def test_where_nobody_searched_for_copies_it_is_said(tmp_path: Path) -> None:
    raw = snapshot(tmp_path, documents(), annotated=False, name="raw")
    assert any("near copies" in note for note in freeze(tmp_path, {"raw": raw}, held_out={"raw": raw}, **KNOBS).notes)


def test_what_was_written_from_a_held_out_document_is_not_trained_on(tmp_path: Path) -> None:
    source = row(5000, "web", "source.example", "https://source.example/1")
    said = "Written from a page about a mill. " * 30
    written = {"text": said, "origin_hash": origin_hash(said), "gen": {"parents": [source["doc_id"]]}}
    child = {**row(5001, "web", "child.example", "https://child.example/1"), **written}
    raw, shown = snapshot(tmp_path, [*documents(), child], annotated=False, name="raw"), snapshot(tmp_path, [source], annotated=False, name="shown")
    freeze(tmp_path, {"raw": raw}, held_out={"shown": shown}, **{**KNOBS, "hold_out": 1.0})
    assert child["doc_id"] not in set(trained(tmp_path, "base")["doc_id"])


def test_a_dataset_of_its_own_is_held_out_whole_and_as_its_policy_shows_it(tmp_path: Path) -> None:
    raw, clean = lake(tmp_path)
    lock = freeze(tmp_path, {"raw": raw}, held_out={"clean": clean}, **{**KNOBS, "hold_out": 0.3}).lock
    masked = freeze(tmp_path, {"raw": raw}, "raw", held_out={"raw": raw}, **{**KNOBS, "hold_out": 0.3}).lock
    assert lock["held_out"]["bytes"] / lock["held_out"]["documents"] < masked["held_out"]["bytes"] / masked["held_out"]["documents"]


def test_what_cannot_be_held_out_is_said(tmp_path: Path) -> None:
    raw, clean = lake(tmp_path)
    other = snapshot(tmp_path, [row(9000, "web", "x.example", "https://x.example/1")], annotated=False, name="other")
    with pytest.raises(InputError, match=r"no document of the domains mixed is kept by all of clean, other; name another dataset"):
        freeze(tmp_path, {"raw": raw}, held_out={"clean": clean, "other": other}, **KNOBS)
    with pytest.raises(RecipeError, match=r"hold_out: 0.0; with held_out:"):
        freeze(tmp_path, {"raw": raw}, held_out={"clean": clean}, **{**KNOBS, "hold_out": 0.0})
    host = snapshot(tmp_path, [row(8000 + i, "web", "x.example", f"https://x.example/{i}") for i in range(9)], annotated=False, name="host")
    with pytest.raises(InputError, match=r"held_out: host: too few groups of hosts, files and copies to hold out 0.5 of it; hold out more"):
        freeze(tmp_path, {"raw": raw}, held_out={"host": host}, **{**KNOBS, "hold_out": 0.5})
    with pytest.raises(InputError, match=r"web cannot be mixed: no text is left of it"):
        freeze(tmp_path, {"raw": raw}, held_out={"raw": raw}, **{**KNOBS, "hold_out": 1.0})


def test_a_mixture_without_such_a_hold_out_is_what_it_was(tmp_path: Path) -> None:
    lock = freeze(tmp_path, {"clean": lake(tmp_path)[1]}).lock
    assert "apart" not in lock and lock["seed"] == 7


def test_the_id_of_a_document_ties_it_wherever_its_text_was_changed(tmp_path: Path) -> None:
    page = row(1, "web", None, "https://a.example/1")
    edited = {**page, "text": page["text"] + " and more", "origin_hash": origin_hash("other")}
    assert page["doc_id"] == doc_id("t", "https://a.example/1", None, None)
    raw, shown = snapshot(tmp_path, [*documents(), edited], annotated=False, name="raw"), snapshot(tmp_path, [page], annotated=False, name="shown")
    freeze(tmp_path, {"raw": raw}, held_out={"shown": shown}, **{**KNOBS, "hold_out": 1.0})
    assert page["doc_id"] not in set(trained(tmp_path, "base")["doc_id"])
