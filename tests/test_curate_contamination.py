"""Items of evaluation sets in texts: what is found, where it stands, what is left alone; whatever the order, the batch or the input."""

import random
import re
from inspect import signature
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from bench_making import CODE, MILL, PLAIN, TOLD, Item, benchmarks, index, items, meaning, named, said
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.contaminated import KNOBS
from catalog.errors import InputError
from catalog.schema import text_bytes
from catalog.split import split_words
from curate.bench import soft
from curate.bench.index import Benchmark, about, build, read
from curate.contamination import ADDS, spans
from curate.models import vectors
from curate.models.nearby import cosines, rounded

BOTH = {"bench.mill": MILL, "bench.code": CODE}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return index(tmp_path_factory.mktemp("bench") / "index", BOTH)


def kinds(row: dict[str, Any]) -> list[tuple[str, str]]:
    return [(span["kind"], span["item"]) for span in row["spans"]]


def test_what_stands_verbatim_is_told_with_its_place(folder: str) -> None:
    question, answer = MILL[0]
    before = f"{PLAIN}“Ölmühle” №3\n\n"
    text = f"{before}{question.upper().replace(';', ' —')}\n{answer} {PLAIN}"
    row, clean = said(folder, [text, PLAIN])
    assert (row["benchmark"], row["item"], row["items"]) == ("bench.mill", named("bench.mill", 0), 1)
    assert (row["score"], row["verbatim"], row["ngram"]) == (1.0, 1.0, 1.0)
    assert row["answer"] == 1.0
    asked, told = row["spans"]
    shown = text[asked["start"] : asked["end"]]
    assert shown.startswith("A MILLER GRINDS") and shown.endswith("WORKING DAYS") and asked["kind"] == "verbatim"
    assert text[told["start"] : told["end"]].strip("? \n") == answer.rstrip(".") and told["kind"] == "answer"
    assert clean == {**dict.fromkeys(ADDS), "score": 0.0, "verbatim": 0.0, "ngram": 0.0, "weighted": 0.0, "items": 0, "spans": []}


def test_changed_words_are_read_over(folder: str) -> None:
    text = "Which gate of the lower lock should the old keeper shut before he floods its chamber?"
    (row,) = said(folder, [f"{PLAIN}{text} {PLAIN}"])
    assert kinds(row) == [("weighted", named("bench.mill", 1))] and 0.6 < row["score"] == row["weighted"] < 1 and row["verbatim"] == 0
    span = row["spans"][0]
    assert (PLAIN + text)[span["start"] : span["end"]] == "Which gate of the lower lock should the old keeper shut before he floods its chamber"


def test_a_run_of_words_is_enough_and_half_of_them_is_not(folder: str) -> None:
    words = MILL[0][0].split()
    run, less = (said(folder, [f"{PLAIN}{' '.join(words[:n])} {PLAIN}"], overlap=0.95)[0] for n in (13, 12))
    assert kinds(run) == [("ngram", named("bench.mill", 0))] and 0 < run["ngram"] < 1
    assert less["items"] == 0 and less["ngram"] == 0 and less["weighted"] > 0.3      # told of, and no match


def test_a_short_item_needs_its_answer_and_a_shorter_one_is_not_looked_for(folder: str) -> None:
    question, answer = MILL[2]
    alone, answered, shorter = said(folder, [f"{PLAIN}{question}. {PLAIN}", f"{PLAIN}{question}: {answer}. {PLAIN}", f"{PLAIN}{MILL[3][0]}: 28. {PLAIN}"])
    assert alone["items"] == 0 and shorter["items"] == 0
    assert kinds(answered) == [("verbatim", named("bench.mill", 2)), ("answer", named("bench.mill", 2))]
    told = {one["benchmark"]: one for one in about(folder)}
    assert (told["bench.mill"]["items"], told["bench.mill"]["indexed"], told["bench.code"]["indexed"]) == (4, 3, 1)


def test_the_answer_behind_it_lets_less_of_a_question_pass(folder: str) -> None:
    words = MILL[0][0].split()
    part = " ".join(words[:7] + words[8:13])
    alone, answered = said(folder, [f"{PLAIN}{part} {PLAIN}", f"{PLAIN}{part} {MILL[0][1]} {PLAIN}"], overlap=0.66)
    assert alone["items"] == 0 and answered["items"] == 1 and answered["answer"] == 1.0


def test_how_a_set_asks_is_no_part_of_an_item(tmp_path: Path) -> None:
    asked = [f"Why did boat {i} of the {name} fleet never leave harbour {i * 7} that year" for i, name in enumerate("abcdefghij")]
    framed = [(f"Question: {text}\nAnswer:", None) for text in asked]
    folder = index(tmp_path / "index", {"bench.framed": framed})
    (row,) = said(folder, [f"{PLAIN}{asked[3]}. {PLAIN}"])
    assert row["verbatim"] == 1 and row["item"] == named("bench.framed", 3)
    assert said(folder, [f"{PLAIN} Question: and Answer: and Question: Why did boat? {PLAIN}"])[0]["items"] == 0


def test_of_items_by_one_template_the_best_is_matched_and_each_place_is_told(tmp_path: Path) -> None:
    alike = [(f"How much does the ferry to {town} cost on a winter weekday for two adults and one child", None) for town in ("Brielle", "Texel", "Ameland")]
    folder = index(tmp_path / "index", {"bench.a": alike, "bench.b": alike[1:2]})
    (row,) = said(folder, [f"{PLAIN}{alike[1][0]}? {PLAIN}{alike[1][0]}?"])
    assert sorted(kinds(row)) == sorted([("verbatim", named("bench.a", 1)), ("verbatim", named("bench.b", 0))] * 2)
    assert row["items"] == 2                                                          # one of each set, each of them twice


def test_a_title_in_a_question_is_not_the_question(tmp_path: Path) -> None:
    ask = "so is it true that the tale called {} was in the end based on the life of a man who had once been there"
    sets: dict[str, list[Item]] = {f"bench.films{n}": [(ask.format(f"crimson{i} walrus{n} of upper{i} mordovia{n}"), None) for i in range(7)] for n in range(9)}
    sets["bench.jekyll"] = [(ask.format("doctor jekyll meets mister hyde near soho"), None)]
    folder = index(tmp_path / "index", sets)
    texts = ["He liked Doctor Jekyll meets Mister Hyde near Soho a lot.", sets["bench.jekyll"][0][0]]
    title, whole = said(folder, [f"{PLAIN}{text} {PLAIN}" for text in texts])
    assert title["items"] == 0 and title["weighted"] >= 0.6 and whole["verbatim"] == 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1), st.integers(0, len(PLAIN) * 3), st.text(st.characters(exclude_categories=("Cs",)), max_size=40), st.booleans())
def test_a_planted_item_is_found_wherever_it_is_put(folder: str, item: int, at: int, odd: str, spaced: bool) -> None:
    question = MILL[item][0]
    planted = question.replace(" ", " \n ") if spaced else question
    text = f"{odd}\n{PLAIN * 3}"[:at] + f"\n{planted}\n" + f"{odd}\n{PLAIN * 3}"[at:]
    (row,) = said(folder, [text])
    assert (row["item"], row["verbatim"], row["items"]) == (named("bench.mill", item), 1.0, 1)
    span = next(span for span in row["spans"] if span["kind"] == "verbatim")
    assert text[span["start"] : span["end"]] == planted.rstrip("?").rstrip()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([PLAIN, MILL[0][0], MILL[1][0], CODE[0][0], "", None, f"{PLAIN}{MILL[1][0]} {MILL[1][1]}", f"x {MILL[0][0]} y"]), max_size=9))
def test_the_size_of_a_batch_does_not_matter(folder: str, texts: list[str | None]) -> None:
    assert said(folder, texts) == [row for text in texts for row in said(folder, [text])]


def test_the_order_of_items_and_sets_does_not_matter(tmp_path: Path) -> None:
    whole = benchmarks(BOTH)
    shuffled = [Benchmark(one.name, one.key, one.version, one.items.sample(fraction=1.0, shuffle=True, seed=5)) for one in reversed(whole)]
    assert build(whole, tmp_path / "a") == build(shuffled, tmp_path / "b")
    assert build([*whole[:1], Benchmark("bench.code", "other", 2, whole[1].items)], tmp_path / "c") != build(whole, tmp_path / "a")


def test_hostile_texts_are_gone_through(folder: str) -> None:
    question = MILL[0][0]
    texts = ["", None, "\0" * 1000, "x" * 10_000_000, "." * 100_000, "🙂" * 5_000, "the " * 300_000, f"\0{question}\0", f"{question} " * 2_000, question[:40]]
    rows = said(folder, texts)
    assert [row["items"] for row in rows] == [0] * 7 + [1, 1, 0]
    assert len(rows[8]["spans"]) == 2_000
    assert all(a["end"] <= b["start"] for a, b in zip(rows[8]["spans"], rows[8]["spans"][1:], strict=False))


def test_random_words_of_items_are_no_match(folder: str) -> None:
    words = [word for question, _ in MILL + CODE for word in question.split()]
    dice = random.Random(3)
    rows = said(folder, [" ".join(dice.choices(words, k=300)) for _ in range(300)])
    assert sum(row["items"] for row in rows) == 0


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return meaning(tmp_path_factory.mktemp("meaning") / "model")


def test_an_item_in_other_words_is_near_it_and_no_match(folder: str, model: str) -> None:
    told, plain, both, short, none = said(folder, [f"{PLAIN}{TOLD} {PLAIN}", PLAIN * 4, f"{MILL[0][0]} {PLAIN * 3}{TOLD}", "few words", ""], soft=model)
    assert told["items"] == 0 and told["spans"] == [] and told["soft_item"] == named("bench.mill", 0) and told["soft"] >= 0.7
    (span,) = told["soft_spans"]
    shown = f"{PLAIN}{TOLD} {PLAIN}"[span["start"] : span["end"]]
    assert (span["kind"], span["item"], span["score"]) == ("soft", told["soft_item"], told["soft"])
    assert "how many sacks does a miller grind" in shown and len(shown.split()) == 24
    assert plain["soft"] < 0.5 and plain["soft_item"] is None and plain["soft_spans"] == []
    assert both["items"] == 1 and both["soft_item"] == named("bench.mill", 0) and both["soft_spans"] == [], "what words tell of is not told twice"
    assert [(row["soft"], row["soft_item"], row["soft_spans"]) for row in (short, none)] == [(None, None, [])] * 2
    without = said(folder, [f"{PLAIN}{TOLD} {PLAIN}"])[0]
    assert (without["soft"], without["soft_item"], without["soft_spans"]) == (None, None, None)
    assert {name: told[name] for name in told if "soft" not in name} == {name: without[name] for name in without if "soft" not in name}
    stricter = said(folder, [f"{PLAIN}{TOLD} {PLAIN}"], soft=model, soft_at=told["soft"] + 1e-9)[0]
    assert stricter["soft"] == told["soft"] and stricter["soft_item"] is None and stricter["soft_spans"] == []


def test_a_stretch_that_is_mostly_another_items_is_no_hint(tmp_path: Path, model: str) -> None:
    part = " ".join(TOLD.split()[:16])
    for n, (sets, hints) in enumerate(((BOTH, 1), ({**BOTH, "bench.part": [(part, None)]}, 0))):
        (row,) = said(index(tmp_path / str(n), sets), [TOLD], soft=model)
        assert (row["items"], len(row["soft_spans"]), row["soft_item"]) == (1 - hints, hints, named("bench.mill", 0))


def test_soft_matches_are_the_same_in_any_batch(folder: str, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = ["", None, "\0" * 1000, "x" * 1_000_000, "." * 10_000, "🙂" * 3_000, f"\0{TOLD}\0", f"{TOLD} " * 70, "the " * 5_000]
    texts = [*odd, PLAIN, MILL[0][0], f"{PLAIN * 20}{TOLD}", f"„{TOLD}“ {PLAIN}"]
    whole = said(folder, texts, soft=model)
    assert [row for text in texts for row in said(folder, [text], soft=model)] == whole == said(folder, texts, soft=model)
    for name, size in (("STRETCHES", 7), ("ITEMS", 1)):
        monkeypatch.setattr(soft, name, size)
    assert said(folder, texts, soft=model) == whole
    other = tmp_path / "other"
    vectors.save(vectors.train([pl.Series(texts[9:])], min_count=1, dimensions=32), other)
    assert [row["soft"] for row in said(folder, texts, soft=str(other))] != [row["soft"] for row in whole] and said(folder, texts, soft=model) == whole
    assert [row["soft_item"] is not None for row in whole] == [False] * 6 + [True, True, False, False, True, True, True]


def test_the_nearest_item_is_that_of_the_plain_definition(folder: str, model: str) -> None:
    """Every stretch against every item by numpy alone."""
    index, known = read(folder), vectors.load(model)
    texts = [f"{PLAIN}{TOLD}", PLAIN * 3, f"{TOLD} {TOLD} {TOLD} {PLAIN}", "one two three four five six seven eight nine ten eleven twelve"]
    split = split_words(*text_bytes(pl.Series(texts)))
    found = soft.nearest(split, known, soft.meant(index, known))
    (size, (items, rows)), = soft.meant(index, known).by_size.items()
    assert size == 24 and {index.ids[i] for i in items} == {named(name, 0) for name in BOTH}
    got = list(zip(found.text.tolist(), found.item.tolist(), found.cosine.tolist(), strict=True))
    wanted = []
    for n, text in enumerate(texts):
        words = re.findall(r"\w+", text)
        starts = sorted({min(at, max(0, len(words) - 24)) for at in range(0, max(1, len(words) - 12), 12)})
        for part in (" ".join(words[at : at + 24]) for at in starts):
            own = rounded(vectors.embed(known, split_words(*text_bytes(pl.Series([part])))))
            cosine = cosines(own, rows)[0]
            wanted.append((n, int(items[cosine.argmax()]), pytest.approx(cosine.max(), abs=1e-6)))
    assert got == wanted


@pytest.mark.parametrize(
    ("knobs", "line"),
    [({"ngram": 3}, "ngram: 3 is 5 to 100"), ({"overlap": 0.1}, "overlap: 0.1 a share from 0.3"), ({"against": ["bench.*"]}, "the folder of an index"),
     ({"soft_at": 0.0}, r"soft_at: 0\.0 is a cosine"), ({"soft": "none/there"}, "no model at 'none/there'")],
)
def test_knobs_that_mean_nothing_are_refused(folder: str, knobs: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        spans(pl.DataFrame({"text": ["a"]}), **{"against": folder, **knobs})


def test_the_gate_knows_the_knobs_by_their_defaults() -> None:
    defaults = {name: one.default for name, one in signature(spans).parameters.items()}
    assert {name: defaults[name] for name in KNOBS} == KNOBS


def test_an_index_that_was_altered_is_refused(tmp_path: Path) -> None:
    folder = index(tmp_path / "index", BOTH)
    raw = bytearray((tmp_path / "index/words.npy").read_bytes())
    raw[-1] ^= 1
    (tmp_path / "index/words.npy").write_bytes(raw)
    with pytest.raises(InputError, match="altered"):
        said(folder, [PLAIN])
    none: list[Item] = [("too short", None)]
    with pytest.raises(InputError, match=r"bench\.none: no item has 8 words"):
        build([Benchmark("bench.none", "k", 1, items("bench.none", none))], tmp_path / "none")
