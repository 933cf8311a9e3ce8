"""Duplicates under strain: hundreds of thousands of copies of one page, documents that no page is like, and what has to hold whatever comes."""

import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.files import DataFile, write_rows
from catalog.ids import digest
from catalog.schema import DOCUMENT
from catalog.stage import Bound
from curate import duplicates, unlike
from ingest.land import _clean
from tests.spark_making import corpus, family, joined, local_session
from tests.test_curate_groups import LEAST, drifting, searched
from tests.test_curate_minhash import grams

JOBS = [Bound("curate.exact:job", {"by": ("text",)}), Bound("curate.minhash:job", {"preset": "fineweb", "threshold": None, "verify": 0.8, "ngram": 5})]


def boilerplate(kind: str, copies: int, others: int) -> list[str]:
    """Copies of one short page, and pages of their own. `near`: one number differs; `unlike`: so much differs that it is no copy, though bands meet."""
    draw = random.Random(1)
    page = [f"b{draw.randrange(5000)}" for _ in range(80)]
    made = {"same": lambda i: page[:20], "near": lambda i: [*page[:40], str(i), *page[40:]], "unlike": lambda i: [*page[:9], f"u{i}", *page[9:18]]}[kind]
    texts = [" ".join(made(i)) for i in range(copies)] + [" ".join(f"w{draw.randrange(30_000)}" for _ in range(12)) for _ in range(others)]
    draw.shuffle(texts)
    return texts


def lake(root: Path, texts: list[str], files: int = 2) -> list[DataFile]:
    """The texts as data files, column by column: rows of dicts would take longer than the search."""
    blank, made = pl.from_arrow(DOCUMENT.empty_table()), []
    assert isinstance(blank, pl.DataFrame)
    for number in range(files):
        part, path = texts[number::files], f"data/made/run/part-{number}.parquet"
        rows = pl.DataFrame({"doc_id": [digest(f"{number} {i}") for i in range(len(part))], "text": part})
        stat = write_rows(root / path, pl.concat([blank, rows], how="diagonal_relaxed"), DOCUMENT)
        made.append(DataFile(digest(path), path, stat.rows, stat.bytes, stat.ids, str(root), (), stat.columns))
    return made


def counted(root: Path, texts: list[str]) -> tuple[dict[str, float], Counter[str | None]]:
    files = lake(root, texts)
    found = duplicates.find(files, JOBS, str(root / "annotations/made/run"), workers=0)
    return found.metrics, Counter(family(joined(files, found.annotations), "dup")["cluster"])


KINDS = ["same", "near", "unlike"]
PAIRS = 5
"""Pairs a page: a page is candidate of its anchor in 14 bands, mostly the same one, and is compared with three more at most."""


def bounded(kind: str, pages: int, metrics: dict[str, float], clusters: Counter[str | None]) -> None:
    """Pairs are counted, not seconds: so many a page, whatever the number of pages, and every copy is found."""
    assert max(metrics[name] for name in ("exact_pairs", "candidate_pairs", "compared_pairs")) <= PAIRS * pages
    assert metrics["exact_pairs"] == (pages - 1 if kind == "same" else 0)
    assert sorted(size for name, size in clusters.items() if name is not None) == ([] if kind == "unlike" else [pages])


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_grow_with_the_pages_of_a_template(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times the pages, four times the pairs; where every group is compared in full, the same count is the square."""
    made = {pages: counted(tmp_path / str(pages), boilerplate(kind, pages, pages // 4)) for pages in (2_000, 8_000)}
    for pages, told in made.items():
        bounded(kind, pages, *told)
    assert made[8_000][0]["compared_pairs"] <= 6.5 * made[2_000][0]["compared_pairs"]
    if kind == "unlike":
        monkeypatch.setattr(unlike, "WHOLE", 1 << 30)
        whole, _ = counted(tmp_path / "whole", boilerplate(kind, 2_000, 500))
        assert whole["compared_pairs"] > 8 * PAIRS * 2_000


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_200_000_pages_of_one_template_and_50_000_others(tmp_path: Path, kind: str) -> None:
    bounded(kind, 200_000, *counted(tmp_path, boilerplate(kind, 200_000, 50_000)))


@pytest.mark.spark
@pytest.mark.slow
def test_spark_compares_no_more_pairs_than_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """3,000 identical pages, 1,500 that differ in one word, 1,500 that meet in bands and are no copies: pairs as many as pages."""
    texts = [*boilerplate("same", 3_000, 0), *boilerplate("near", 1_500, 0), *boilerplate("unlike", 1_500, 0)]
    random.Random(2).shuffle(texts)
    files, told = lake(tmp_path, texts), []
    for name, hands in (("here", {}), ("spark", {"spark": local_session(), "polars_rows": 0})):
        found = duplicates.find(files, JOBS, str(tmp_path / f"annotations/{name}/run"), **{"workers": 0, **hands})
        told.append((found.metrics, family(joined(files, found.annotations), "dup")))
    assert told[0][0] == told[1][0] and told[0][1].equals(told[1][1])
    assert told[1][0]["exact_pairs"] == 2_999 and told[1][0]["candidate_pairs"] <= told[1][0]["compared_pairs"] <= PAIRS * 3_000
    assert sorted(told[1][1]["cluster"].value_counts().drop_nulls()["count"]) == [1_500, 3_000]


def test_hostile_documents_are_compared_like_others(tmp_path: Path) -> None:
    """One token of 10 MB, a million letters that are words each, nothing twice, NUL bytes, half a surrogate pair as it arrives, no text at all."""
    token, words = "x" * 10_000_000, " ".join(f"w{i}" for i in range(40))
    texts = [token, token, token + "y", "語" * 1_000_000, "語" * 1_000_000 + "文", "", "", None, None, f"{words}\0", f"\0\0{words}", f"{words} \0 one more"]
    half = [_clean(f"{words[::-1]} \ud800"), _clean(f"{words[::-1]}\udfff ")]
    rows: list[dict[str, Any]] = [{"doc_id": f"d{i:02d}", "text": text} for i, text in enumerate([*texts, *half, "\0"])]
    files = corpus(tmp_path, rows, 3)
    found = duplicates.find(files, JOBS, str(tmp_path / "annotations/made/run"), workers=0)
    told = family(joined(files, found.annotations), "dup")["cluster"].to_list()
    assert told == ["d00", "d00", None, None, None, "d05", "d05", None, None, "d09", "d09", "d09", "d12", "d12", None]


def pieces(dup: pl.DataFrame) -> list[frozenset[str]]:
    members = defaultdict(set)
    for one, cluster in dup.select("doc_id", "cluster").iter_rows():
        members[cluster or one].add(one)
    return [frozenset(piece) for piece in members.values()]


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 1 << 30), files=st.integers(1, 5))
def test_whatever_comes(tmp_path_factory: pytest.TempPathFactory, seed: int, files: int) -> None:
    """The order of rows and how they lie in files change nothing; one more document joins those that it is like, and no others."""
    rows, draw = drifting(seed, 2, 16), random.Random(seed)
    base, _ = searched(tmp_path_factory.mktemp("base"), rows, 2)
    moved, _ = searched(tmp_path_factory.mktemp("moved"), draw.sample(rows, len(rows)), files)
    assert base.drop("text").sort("doc_id").equals(moved.drop("text").sort("doc_id"))
    tokens = str(draw.choice(rows)["text"]).split()
    tokens[draw.randrange(len(tokens))] = "new"
    more, _ = searched(tmp_path_factory.mktemp("more"), [*rows, {"doc_id": f"{draw.getrandbits(64):016x}f", "text": " ".join(tokens)}], 2)
    old, (added,) = pieces(base), [piece for piece in pieces(more) if any(len(one) == 17 for one in piece)]
    assert {piece for piece in old if not piece & added} == {piece for piece in pieces(more) if piece != added}
    sets = {str(row["doc_id"]): grams(str(row["text"]).split(), 3) for row in rows}
    alike = {one for one, theirs in sets.items() if len(theirs & (new := grams(tokens, 3))) >= LEAST * len(theirs | new)}
    assert all(piece & alike for piece in old if piece & added), "what it is unlike to it does not join"
