"""Which stretches of which documents are worked on: whole sentences, the same in every run, fair to every domain."""

import random
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.ids import derive
from synth.passages import Passage, choose, prose, shares, windows

WORDS = ["river", "wheel", "grain", "stone", "night", "water", "gate", "miller", "weir", "rope"]


def seed(*names: str | int) -> int:
    return derive(7, *names)


def text(sentences: int, dice: random.Random) -> str:
    made = [" ".join(dice.choices(WORDS, k=dice.randint(4, 14))).capitalize() + "." for _ in range(sentences)]
    return "\n\n".join(" ".join(made[i : i + 5]) for i in range(0, len(made), 5))


def frame(n: int, domain: str, sentences: int = 12) -> pl.DataFrame:
    rows = [{"doc_id": f"{domain}{i:04d}", "domain": domain, "title": "t", "license": "MIT", "text": text(sentences, random.Random(i))} for i in range(n)]
    return pl.DataFrame(rows)


def chosen(frames: list[pl.DataFrame], **knobs: int) -> list[Passage]:
    return choose(iter(frames), seed, **{"limit": 10, "size": 200, "most": 3, **knobs})


@given(st.integers(0, 10_000), st.integers(80, 500))
def test_windows_are_whole_sentences_within_the_size(n: int, size: int) -> None:
    whole = text(30, random.Random(n))
    spans = windows(whole, size)
    assert all(a2 >= b1 for (_, b1), (a2, _) in pairwise(spans))
    for a, b in spans:
        assert size / 3 <= b - a <= size and whole[a].isupper() and whole[b - 1] == "." and (b == len(whole) or whole[b].isspace())


@pytest.mark.parametrize(("stretch", "reads"), [
    ("The river runs down to the sea.", True), ('He said "no."', True), ("3.14 2.71 1.41 0.57 9.81.", False), ("A heading without an end", False),
])
def test_tables_and_headings_are_no_passages(stretch: str, reads: bool) -> None:
    assert prose(stretch) is reads


def test_a_sentence_that_is_too_long_is_left_out() -> None:
    assert windows("Word " * 200 + "end.", 100) == [] and windows("", 100) == []


def test_the_choice_depends_neither_on_order_nor_on_batches() -> None:
    whole = pl.concat([frame(40, "papers"), frame(9, "books")])
    shuffled = whole.sample(fraction=1, shuffle=True, seed=3)
    known = chosen([whole])
    assert known == chosen([shuffled]) == chosen([shuffled[i : i + 7] for i in range(0, 49, 7)])
    assert [p.text for p in known] == [whole.filter(doc_id=p.doc_id)["text"][0][p.start : p.end] for p in known]
    assert known != choose(iter([whole]), lambda *names: derive(8, *names), limit=10, size=200, most=3)


def test_each_domain_gets_its_share_and_no_document_a_second_passage_while_there_are_others() -> None:
    found = chosen([frame(40, "papers"), frame(3, "books"), frame(40, "code")], limit=20)
    assert {d: sum(p.row["domain"] == d for p in found) for d in ("books", "papers", "code")} == {"books": 6, "papers": 7, "code": 7}
    assert all(p.number == 0 for p in found if p.row["domain"] != "books")
    few = chosen([frame(4, "books")], limit=20)
    assert len(few) == 12 and len({(p.doc_id, p.start) for p in few}) == 12      # three of each, none twice
    assert [p.number for p in few] == sorted(p.number for p in few)


def test_more_documents_only_push_out_passages() -> None:
    small, large = chosen([frame(30, "papers")], limit=8), chosen([frame(60, "papers")], limit=8)
    assert {p.doc_id for p in large} - {p.doc_id for p in small} <= {f"papers{i:04d}" for i in range(30, 60)}


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 30), min_size=1), st.integers(0, 60))
def test_shares_are_fair_and_use_what_there_is(there: dict[str, int], limit: int) -> None:
    given_to = shares(there, limit)
    assert sum(given_to.values()) == min(limit, sum(there.values())) and all(given_to[name] <= n for name, n in there.items())
    short = [given_to[name] for name, n in there.items() if given_to[name] < n]
    assert not short or max(given_to.values()) - min(short) <= 1
