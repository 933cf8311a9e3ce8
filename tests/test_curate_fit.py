"""Fits: the same rows give the same model in whatever order and pieces they come; a model on disk is the one that was written, or is refused."""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from catalog.errors import InputError
from curate import fit
from curate.models import kept, lookup, quantiles, stored, vectors
from curate.models.quantiles import Quantiles

WORDS = ["the", "mill", "water", "wheel", "corn", "flour", "stone", "valley", "a", "of", "to", "and", "in", "it", "was", "slow", "river"]
SOME = 60
Rows = Mapping[str, pl.DataFrame]


def texts(seed: str, count: int) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(chance.choices(WORDS[::2] if seed == "good" else WORDS, k=chance.randint(3, 25))) + chance.choice([".", "\n", ""]) for _ in range(count)]


def tables() -> dict[str, tuple[Callable[..., Any], Rows, dict[str, Any]]]:
    """Each kind of fit with its rows and knobs: texts that stand twice, with labels that differ; equal counts at a vocabulary's cut; ties of numbers."""
    good, web = texts("good", SOME), texts("web", SOME)
    both = [*good, *web, *good[:5], *web[:5]]
    scores = [i % 6 / 1.3 + (0.1 if i > 2 * SOME else 0.0) for i in range(len(both))]
    words = pl.DataFrame({"text": both})
    numbers = pl.DataFrame({"a": [None, float("nan"), -0.0, 0.0, *map(float, range(SOME))] * 30, "b": [0.1 * (i % 7) for i in range(30 * (SOME + 4))]})
    numbers = numbers.with_columns(c=pl.when(pl.col("a") > 20).then(pl.col("a")).otherwise(pl.col("a") * 0))
    small = {"buckets": 512}
    return {
        "classifier": (fit.classifier, {"positive": pl.DataFrame({"text": good * 2}), "negative": pl.DataFrame({"text": [*web, *good[:3]]})}, small),
        "scorer": (fit.scorer, {"scores": words.with_columns(score=pl.Series(scores))}, small),
        "importance": (fit.importance, {"target": pl.DataFrame({"text": good}), "raw": words}, small),
        "language_model": (fit.language_model, {"texts": words}, {"order": 3, "max_words": 11, "prune": [0, 0, 1]}),
        "quantiles": (fit.quantiles, {"values": numbers}, {}),
        "vectors": (fit.vectors, {"embed": words}, {"max_words": 11, "dimensions": 8}),
    }


KINDS = ("classifier", "scorer", "importance", "language_model", "quantiles", "vectors")


def answers(rows: Rows, seed: int, piece: int) -> fit.Ask:
    """A SELECT's rows in an order and in pieces of one's own."""

    def ask(key: str, sql: str) -> Iterator[pl.DataFrame]:
        shuffled = rows[key].sample(fraction=1, shuffle=True, seed=seed) if seed else rows[key]
        yield from shuffled.iter_slices(piece)

    return ask


def fitted(kind: str, folder: Path, seed: int = 0, piece: int = 1_000) -> fit.About:
    function, rows, knobs = tables()[kind]
    return dict(function(answers(rows, seed, piece), str(folder), seed=3, **dict.fromkeys(rows, "SELECT"), **knobs))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> dict[str, fit.About]:
    folder = tmp_path_factory.mktemp("first")
    return {kind: fitted(kind, folder / kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(1, 10**6), piece=st.integers(1, 200))
@settings(max_examples=8, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])      # each is a fit: shrinking would take minutes
def test_the_order_of_rows_says_nothing(kind: str, seed: int, piece: int, first: dict[str, fit.About], tmp_path_factory: pytest.TempPathFactory) -> None:
    assert fitted(kind, tmp_path_factory.mktemp("again") / "model", seed, piece) == first[kind]


def test_rows_that_differ_and_another_seed_give_another_model(first: dict[str, fit.About], tmp_path: Path) -> None:
    function, rows, knobs = tables()["scorer"]
    changed = {"scores": rows["scores"].with_columns(score=pl.when(pl.int_range(pl.len()) == 7).then(5.0).otherwise("score"))}
    assert function(answers(changed, 0, 50), str(tmp_path / "a"), seed=3, scores="SELECT", **knobs)["digest"] != first["scorer"]["digest"]
    assert function(answers(rows, 0, 50), str(tmp_path / "b"), seed=4, scores="SELECT", **knobs)["digest"] != first["scorer"]["digest"]


def test_of_words_as_common_the_first_by_their_letters_stay(tmp_path: Path) -> None:
    rows = {"texts": pl.DataFrame({"text": ["d c b a", "a b", "d c", "z"]})}
    for seed in (0, 1, 2):
        fit.language_model(answers(rows, seed, 1), str(tmp_path / f"{seed}"), seed=0, texts="", max_words=3)
        assert lookup.load(tmp_path / f"{seed}").words.to_list()[3:] == ["a", "b", "c"]


def test_quantiles_are_exact(tmp_path: Path) -> None:
    values = np.random.default_rng(0).permutation(np.arange(50_000.0))
    edges = Quantiles.of(pl.DataFrame({"x": values}).iter_slices(777)).edges["x"]
    assert edges == [50.0 * k for k in range(1, 1000)]


@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
def test_what_is_no_finite_number_is_refused(value: float) -> None:
    with pytest.raises(InputError, match="values: the column x holds what is no finite number"):
        Quantiles.of([pl.DataFrame({"x": [1.0, value]})])


@pytest.mark.parametrize(("scores", "line"), [
    ([None] * SOME, "^0 documents with words, 0 of the rarest label"),
    ([float("inf")] + [1.0] * (SOME - 1), "^scores: score: not finite in 1 of 60 rows"),
    ([float("nan")] * SOME, "^scores: score: not finite in 60 of 60 rows"),
])  # fmt: skip
@pytest.mark.filterwarnings("error")
def test_scores_that_nobody_can_learn_are_one_line(scores: list[float | None], line: str, tmp_path: Path) -> None:
    rows = {"scores": pl.DataFrame({"text": texts("web", SOME), "score": pl.Series(scores, dtype=pl.Float64)})}
    with pytest.raises(InputError, match=line):
        fit.scorer(answers(rows, 0, SOME), str(tmp_path / "model"), seed=3, scores="SELECT", buckets=512)


def test_scores_that_are_grades_say_how_far_they_agree(first: dict[str, fit.About]) -> None:
    value, low, high = first["scorer"]["metrics"]["weighted_kappa"]
    assert -1 <= low <= value <= high <= 1
    assert "weighted_kappa" not in first["classifier"]["metrics"]


# ---- on disk

LOADS: dict[str, Callable[..., Any]] = {
    "classifier": stored.load, "scorer": stored.load, "importance": stored.load, "language_model": lookup.load, "quantiles": quantiles.load,
    "vectors": vectors.load,
}  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept")
    for kind in KINDS:
        fitted(kind, folder / kind)
    return folder


def copied(source: Path, target: Path) -> Path:
    target.mkdir(parents=True)
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


@pytest.mark.parametrize("kind", KINDS)
def test_any_byte_counts_and_so_does_the_end(kind: str, folders: Path, first: dict[str, fit.About], tmp_path: Path) -> None:
    LOADS[kind](folders / kind)
    LOADS[kind](folders / kind, first[kind]["digest"])
    for file in sorted(folders.joinpath(kind).iterdir()):
        content = file.read_bytes()
        at = [len(content) // 7, len(content) // 2, len(content) - 2]
        spoilt = [*(content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :] for i in at), content[:-2], content[: len(content) // 2], b"", content + content]
        for n, raw in enumerate(spoilt):
            folder = copied(folders / kind, tmp_path / f"{file.name}-{n}")
            (folder / file.name).write_bytes(raw)
            if file.suffix == ".npy" and n < 1 and content[at[0]] != raw[at[0]] and at[0] < 128:
                continue                                     # in the padding of the head, which says nothing
            with pytest.raises(InputError, match=r"^/[^\n]*: no model that can be used: [^\n]+; fit it again\Z"):
                LOADS[kind](folder)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_in_anothers_place_is_refused(kind: str, folders: Path, first: dict[str, fit.About]) -> None:
    other = "scorer" if kind == "classifier" else "classifier"
    with pytest.raises(InputError, match=r"it is another model \(.*\) than the one that this run was planned with \(.*\)"):
        LOADS[kind](folders / other, first[kind]["digest"])
    with pytest.raises(InputError, match="it is another model"):
        LOADS[kind](folders / kind, first[other]["digest"])


def test_a_model_of_another_kind_is_told_from_a_broken_one(folders: Path) -> None:
    with pytest.raises(InputError, match="/classifier: the model is a classifier, and a table of quantiles is wanted here: name another$"):
        quantiles.load(folders / "classifier")


def test_files_of_two_models_make_none(folders: Path, tmp_path: Path) -> None:
    """Of the same size and kind, each whole by itself."""
    folder = copied(folders / "classifier", tmp_path / "mixed")
    (folder / "weights.npy").write_bytes((folders / "scorer" / "weights.npy").read_bytes())
    with pytest.raises(InputError, match=r"weights.npy is not what its digest is of"):
        stored.load(folder)


@pytest.mark.parametrize(("shape", "kind", "line"), [
    ([1 << 50], "<f4", "more than"), ([1 << 30], "<f4", "it was cut or altered"), ([2, 2, 2], "<f4", "no file of ours"), ([-1], "<f4", "no file of ours"),
    ([True], "<f4", "no file of ours"), ([513], "|O", "no file of ours"), ([513.0], "<f4", "no file of ours"), ("x", "<f4", "no file of ours"),
])  # fmt: skip
def test_a_hostile_folder_whose_digest_is_right_is_refused_by_its_sizes(shape: Any, kind: str, line: str, folders: Path, tmp_path: Path) -> None:
    folder = copied(folders / "classifier", tmp_path / "hostile")
    told = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    told.pop("digest")
    told["files"]["weights"].update(shape=shape, type=kind)
    (folder / "model.json").write_text(json.dumps({**told, "digest": kept._named(told)}), encoding="utf-8")
    with pytest.raises(InputError, match=line):
        stored.load(folder)


def test_a_huge_file_of_nothing_is_not_read(folders: Path, tmp_path: Path) -> None:
    for name in ("model.json", "weights.npy"):
        folder = copied(folders / "classifier", tmp_path / name)
        with open(folder / name, "r+b") as file:
            file.truncate(1 << 38)                           # holes: it takes no room
        with pytest.raises(InputError, match=f"{name} has {1 << 38} bytes"):
            stored.load(folder)
