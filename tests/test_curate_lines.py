"""Lines and paragraphs that stand in several documents: counted as in plain Python, cut as a policy says."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.errors import RecipeError
from catalog.files import DataFile
from catalog.stage import Bound
from curate import duplicates, lines
from curate.components import no_edges
from curate.corpus import Corpus
from tests.spark_making import corpus, family, joined, local_session
from tests.test_curate_keepers import cut_texts, policy

LINES = {"within": "host", "documents": 5, "share": 0.05, "keep": "none", "digits": False, "min_words": 1}
PARAGRAPHS = {"within": None, "documents": 2, "share": 0.0, "keep": "first", "digits": True, "min_words": 13}


def searched(root: Path, rows: Sequence[dict[str, Any]], *jobs: Bound, files: int = 2) -> list[DataFile]:
    made = corpus(root, rows, files)
    return joined(made, duplicates.find(made, jobs, str(root / "annotations/made/dup"), workers=0).annotations)


def pages(host: str, n: int, at: int = 0) -> list[dict[str, Any]]:
    """Pages of a host with a menu, a counter and a text of their own."""
    texts = [f"{host} Home | Log in!\n\nText number {'x' * i} of {host}.\n{1000 + i} readers today\nShared by two {host if i < 2 else i}" for i in range(n)]
    return [{"doc_id": f"d{at + i:03d}", "host": host, "text": text} for i, text in enumerate(texts)]


def test_boilerplate_of_a_host_goes_everywhere_and_of_another_stays(tmp_path: Path) -> None:
    files = searched(tmp_path, [*pages("a.org", 6), *pages("b.org", 4, 6)], Bound("curate.lines:job", LINES))
    dup = family(files, "dup", "text")
    one = dup.row(0, named=True)
    assert [one["text"][s["start"] : s["end"]] for s in one["lines"]] == ["a.org Home | Log in!\n", "1000 readers today\n"]
    assert [(s["first"], s["at"], s["copies"]) for s in one["lines"]] == [("d000", None, 6)] * 2 and one["line_documents"] == 6
    assert one["line_share"] == pytest.approx(40 / len(one["text"]))
    assert dup["lines"].null_count() == 4 and dup["line_documents"].null_count() == 4, "four pages of b.org are too few"
    there = cut_texts(tmp_path, files, policy(tmp_path, "cut: [dup.lines]"))
    assert there["d000"] == "\nText number  of a.org.\nShared by two a.org" and there["d007"] == pages("b.org", 2)[1]["text"]


def test_an_article_with_many_addresses_is_no_boilerplate(tmp_path: Path) -> None:
    """Six copies of one article on a host of seven pages: jobs before say that they are one."""
    texts = [*(f"The same article{'!' * i}\nIt has two lines." for i in range(6)), "x"]
    rows = [{"doc_id": f"d{i}", "host": "a.org", "text": text} for i, text in enumerate(texts)]
    bare = family(searched(tmp_path / "bare", rows, Bound("curate.lines:job", LINES)), "dup")
    known = family(searched(tmp_path / "known", rows, Bound("curate.exact:job", {"by": ("text",)}), Bound("curate.lines:job", LINES)), "dup")
    assert bare["lines"].list.len().to_list() == [2] * 6 + [None] and known["lines"].null_count() == 7


def test_mirrored_hosts_have_their_boilerplate_each(tmp_path: Path) -> None:
    """Every page of a.org stands on its mirror too, half under smaller doc_ids: what `exact` joins over the border of hosts counts on either side."""
    mirror = [{**page, "doc_id": f"{'ce'[i % 2]}{i}", "host": "mirror.org"} for i, page in enumerate(pages("a.org", 6))]
    rows = [*pages("a.org", 6), *mirror]
    jobs = [Bound("curate.exact:job", {"by": ("text",)}), Bound("curate.lines:job", LINES)]
    dup = family(searched(tmp_path, rows, *jobs), "dup")
    said = [[(s["start"], s["end"], s["copies"]) for s in spans] for spans in dup["lines"]]
    assert dup["copies"].to_list() == [2] * 12 and said[:6] == said[6:] and [len(spans) for spans in said] == [2] * 12


def test_one_copy_of_a_paragraph_stays(tmp_path: Path) -> None:
    shared = "One two three four five six seven\neight nine ten eleven twelve thirteen."
    second = f"{shared.upper()}\n \n\nSecond, which is longer."
    texts = [f"First.\n\n{shared}\n\nEnd one.", second, f"Third.\n\n{shared}\n\n{shared}", "One two three four five six seven"]
    files = searched(tmp_path, [{"doc_id": f"d{i}", "text": text} for i, text in enumerate(texts)], Bound("curate.paragraphs:job", PARAGRAPHS))
    asked = "cut: [dup.paragraphs]\nkeep: [length(text) DESC]\ndrop: {third: 'length(text) > 150'}"
    there = cut_texts(tmp_path, files, policy(tmp_path, asked))
    assert there == {"d0": "First.\n\nEnd one.", "d1": texts[1], "d3": texts[3]}
    there = cut_texts(tmp_path, files, policy(tmp_path, "cut: [dup.paragraphs]\nkeep: [length(text) DESC]"))
    assert there == {"d0": "First.\n\nEnd one.", "d1": "Second, which is longer.", "d2": f"Third.\n\n{shared}\n\n", "d3": texts[3]}


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"within": "hots"}, "lines: within: 'hots' is no column of .*; did you mean 'host'?"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, knobs: dict[str, Any], message: str) -> None:
    hands = Corpus(tuple(corpus(tmp_path, pages("a.org", 2), 1)), str(tmp_path / "a"), str(tmp_path / "w"), workers=0)
    with pytest.raises(RecipeError, match=message):
        lines.job(hands, no_edges(), **{**LINES, **knobs})


def plainly(texts: Sequence[str], paragraphs: bool, digits: bool, min_words: int) -> list[list[tuple[int, int, str]]]:
    """Start, end and letters of the units of each text."""
    found = []
    for text in texts:
        units: list[list[Any]] = []
        open_, at = False, 0
        for line in text.splitlines(keepends=True):
            blank = not line.strip()
            if blank and paragraphs and units:
                units[-1][1] = at + len(line)
            elif not blank and open_ and paragraphs:
                units[-1] = [units[-1][0], at + len(line), units[-1][2] + line]
            elif not blank:
                units.append([at, at + len(line), line])
            open_, at = not blank, at + len(line)
        runs = [(start, end, re.findall(r"[^\W_]+", said)) for start, end, said in units]
        told = [(start, end, "".join(words).lower()) for start, end, words in runs if len(words) >= min_words]
        found.append(told if digits else [(start, end, re.sub(r"\d", "0", letters)) for start, end, letters in told])
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.lists(st.sampled_from(["a", "B b", "é1", "2", "!", " ", "\n", "\n", "a, b"]), max_size=14).map("".join), min_size=1, max_size=6),
    hosts=st.lists(st.sampled_from(["x", "y", None]), min_size=6, max_size=6), least=st.integers(2, 3), share=st.sampled_from([0.0, 0.7]),
    digits=st.booleans(), min_words=st.integers(1, 2), files=st.integers(1, 3), alone=st.booleans(), paragraphs=st.booleans(),
)  # fmt: skip
def test_any_texts_have_the_lines_that_plain_python_counts(
    texts: list[str], hosts: list[str | None], least: int, share: float, digits: bool, min_words: int, files: int, alone: bool, paragraphs: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    root, within = tmp_path_factory.mktemp("lake"), None if alone else "host"
    of = [None if alone else host for host in hosts[: len(texts)]]
    rows = [{"doc_id": f"d{i}", "host": hosts[i], "text": text} for i, text in enumerate(texts)]
    name = "paragraphs" if paragraphs else "lines"
    knobs = {"within": within, "documents": least, "share": share, "keep": "first", "digits": digits, "min_words": min_words}
    dup = family(searched(root, rows, Bound(f"curate.{name}:job", knobs), files=files), "dup")
    counts: dict[tuple[str | None, str], set[int]] = defaultdict(set)
    units = plainly(texts, paragraphs, digits, min_words)
    for d, told in enumerate(units):
        for _, _, letters in told:
            counts[of[d], letters].add(d)
    peers = Counter(of)
    for d, told in enumerate(units):
        wanted = [(s, e, letters) for s, e, letters in told if len(counts[of[d], letters]) >= max(least, share * peers[of[d]]) and (alone or of[d])]
        got = dup[name][d]
        assert [(s["start"], s["end"]) for s in (got if got is not None else [])] == [(s, e) for s, e, _ in wanted]
        assert [(s["copies"], s["first"]) for s in (got if got is not None else [])] == [
            (len(counts[of[d], letters]), f"d{min(counts[of[d], letters])}") for _, _, letters in wanted
        ]


@pytest.mark.spark
@pytest.mark.slow
def test_spark_finds_the_same_stretches_and_lines(tmp_path: Path) -> None:
    rows = [*pages("a.org", 6), *pages("b.org", 6, 6)]
    made = corpus(tmp_path, rows, 3)
    jobs = [Bound("curate.lines:job", LINES), Bound("curate.paragraphs:job", {**PARAGRAPHS, "min_words": 2}), Bound("curate.substring:job", {"tokens": 3})]
    said = []
    for name, spark in (("here", None), ("there", local_session())):
        found = duplicates.find(made, jobs, str(tmp_path / f"annotations/{name}/dup"), workers=0, spark=spark)
        said.append(family(joined(made, found.annotations), "dup"))
    assert said[0].equals(said[1]) and said[0].select("lines", "paragraphs", "spans").null_count().row(0) == (0, 0, 0)
