"""What documents are compared with: within a dump or a language, against another dataset, and what an earlier version kept."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import RecipeError
from catalog.files import Annotation, DataFile, write_annotation
from catalog.schema import VERDICT
from catalog.stage import Bound
from curate import duplicates, verdicts
from curate.policy import from_body
from tests.spark_making import corpus, family, joined, local_session

JOBS = [Bound("curate.exact:job", {"by": ("text",)}, 2), Bound("curate.minhash:job", {"preset": "fineweb", "threshold": None, "verify": 0.8, "ngram": 5}, 2)]
WORDS = [f"w{i}" for i in range(400)]


def text(seed: int, changed: int = 0) -> str:
    """Sixty words of a seed, some exchanged: one more is a Jaccard lower by .16 at first."""
    draw = random.Random(seed)
    found = [draw.choice(WORDS) for _ in range(60)]
    for place in range(changed):
        found[place * 7] = f"x{changed}-{place}"
    return " ".join(found)


def row(name: str, *given: int, **columns: Any) -> dict[str, Any]:
    return {"doc_id": name, "text": text(*given), "uri": f"https://h/{name}", **columns}


def dup(root: Path, files: list[DataFile], run: str = "run", **hands: Any) -> dict[str, dict[str, Any]]:
    found = duplicates.find(files, JOBS, str(root / "annotations/made" / run), **{"workers": 0, **hands})
    return {line["doc_id"]: line for line in family(joined(files, found.annotations), "dup").iter_rows(named=True)}


def verdict(file: DataFile, kept: list[bool], root: Path, name: str = "verdict") -> DataFile:
    """The file with verdicts of these."""
    path = root / f"annotations/{file.id}.{name}.parquet"
    told = pl.DataFrame({"kept": kept}).with_columns(pl.lit(None).alias(column) for column in VERDICT.names if column != "kept")
    write_annotation(path, name, told, file.ids, file.rows, {column.name: column.type for column in VERDICT})
    columns = tuple((column.name, str(column.type)) for column in VERDICT)
    return replace(file, annotations=(*file.annotations, Annotation(name, str(path.relative_to(root)), f"{name}-{kept}", "s", file.rows, columns)))


def test_nothing_is_joined_over_the_borders_of_a_scope(tmp_path: Path) -> None:
    dumps = ["may", "may", "june", "june", None, None]
    rows = [row(f"d{i}", 1, i % 2, dump=dump) for i, dump in enumerate(dumps)] + [row("e0", 1, 0, dump="may")]
    files = corpus(tmp_path, rows, 3)
    assert {line["cluster"] for line in dup(tmp_path, files).values()} == {"d0"}
    told = dup(tmp_path, files, "run2", within="dump")
    assert [told[f"d{i}"]["cluster"] for i in range(6)] == ["d0", "d0", "d2", "d2", "d4", "d4"], "and no dump is one dump"
    assert told["e0"]["cluster"] == "d0" == told["d0"]["exact"] and told["e0"]["copies"] == 2
    with pytest.raises(RecipeError, match="within: 'dumps' is no column or signal of .*; did you mean 'dump'"):
        dup(tmp_path, files, "run3", within="dumps")


def signalled(files: list[DataFile], root: Path, codes: dict[str, str]) -> list[DataFile]:
    """The files with a family `language`."""
    import pyarrow as pa

    made = []
    for file in files:
        ids = pl.read_parquet(file.full_path, columns=["doc_id"])["doc_id"]
        path = root / f"annotations/{file.id}.language.parquet"
        told = pl.DataFrame({"code": [codes.get(name) for name in ids]}, schema={"code": pl.String})
        write_annotation(path, "language", told, file.ids, file.rows, {"code": pa.string()})
        annotation = Annotation("language", str(path.relative_to(root)), f"language-{sorted(codes.items())}", "s", file.rows, (("code", "string"),))
        made.append(replace(file, annotations=(annotation,)))
    return made


def test_a_scope_may_be_a_signal_and_its_address_counts(tmp_path: Path) -> None:
    rows = [row(f"d{i}", 1, i % 2) for i in range(4)]
    files = corpus(tmp_path, rows, 2)
    spoken = signalled(files, tmp_path, {"d0": "en", "d1": "en", "d2": "de", "d3": "de"})
    told = dup(tmp_path, spoken, within="language.code")
    assert [told[f"d{i}"]["cluster"] for i in range(4)] == ["d0", "d0", "d2", "d2"]
    again = signalled(files, tmp_path, {"d0": "en", "d1": "de", "d2": "en", "d3": "de"})
    told = dup(tmp_path, again, within="language.code")
    assert [told[f"d{i}"]["cluster"] for i in range(4)] == ["d0", "d1", "d0", "d1"], "another language is another question"


@pytest.mark.parametrize(("within", "column"), [("facts.work", "facts"), ("source.path", "source")])
def test_a_scope_may_be_inside_a_column(tmp_path: Path, within: str, column: str) -> None:
    rows = [row(f"d{i}", 1, i % 2, **{column: {within.partition(".")[2]: value}}) for i, value in enumerate(["x", "x", "y", "y"])]
    told = dup(tmp_path, corpus(tmp_path, rows, 2), within=within)
    assert [told[f"d{i}"]["cluster"] for i in range(4)] == ["d0", "d0", "d2", "d2"]
    with pytest.raises(RecipeError, match=f"within: '{column}' of data/.* is no single value") as said:
        dup(tmp_path, corpus(tmp_path, rows, 2), within=column)
    assert "\n" not in str(said.value)


def others(root: Path, rows: list[dict[str, Any]], kept: list[bool] | None = None) -> duplicates.Against:
    files = corpus(root, rows, 1, dataset="theirs")
    if kept is not None:
        files = [verdict(files[0], kept, root)]
    return duplicates.Against(tuple(files), "verdict" if kept is not None else None, str(root / "annotations/theirs/run"))


def test_what_another_dataset_has_is_seen_and_is_not_touched(tmp_path: Path) -> None:
    """Exactly, nearly, and over another of ours; what their policy dropped does not count; two of theirs are nobody's business."""
    ours = corpus(tmp_path, [row("a0", 1), row("a1", 2, 1), row("a2", 3), row("a3", 4), row("a4", 4, 1), row("a5", 5)], 2)
    theirs = others(tmp_path, [row("b0", 1), row("b1", 2), row("b2", 3), row("b3", 4), row("b4", 9), row("b5", 9)], [True, True, False, True, True, True])
    told = dup(tmp_path, ours, against=theirs)
    assert {name: line["seen"] for name, line in told.items()} == {"a0": "b0", "a1": "b1", "a2": None, "a3": "b3", "a4": "b3", "a5": None}
    assert told["a3"]["cluster"] == "a3" == told["a4"]["cluster"] and told["a0"]["neighbour"] == "b0" and told["a0"]["jaccard"] == 1
    assert told["a2"]["cluster"] is None and "seen" not in dup(tmp_path, ours, "run2")["a0"]
    made = {path.name.partition(".")[0] for path in (tmp_path / "annotations/made/run").glob("*.dup-*.parquet")}
    assert len(made) == len(list((tmp_path / "annotations/made/run").glob("*.dup-*.parquet"))) == 2, "a family beside our files alone"


def test_what_is_seen_is_dropped_and_another_version_of_theirs_asks_again(tmp_path: Path) -> None:
    ours = corpus(tmp_path, [row("a0", 1), row("a1", 1, 1), row("a2", 2), row("a3", 2, 1)], 1)
    policy = from_body("plain", {"drop": {}, "keep": ["length(text) DESC"]})
    reasons = []
    for kept in ([True], [False]):
        against = others(tmp_path, [row("b0", 1)], kept)
        found = duplicates.find(ours, JOBS, str(tmp_path / "annotations/made/run"), workers=0, against=against)
        judged = verdicts.judge(joined(ours, found.annotations), policy, str(tmp_path / "annotations/made/run"), workers=0)
        reasons.append(judged.reasons)
    assert reasons == [{"seen": 2, "duplicate": 1}, {"duplicate": 2}]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.booleans()), min_size=2, max_size=14))
@settings(max_examples=15, deadline=None)
def test_seen_is_what_one_search_over_both_would_join(tmp_path_factory: pytest.TempPathFactory, given: list[tuple[int, int, bool]]) -> None:
    """Incremental equals batch: a document of ours is seen just where one search over both datasets joins it to one of theirs."""
    root = tmp_path_factory.mktemp("both")
    rows = [row(f"d{i:02}", seed, changed) for i, (seed, changed, _) in enumerate(given)]
    mine = [r for r, (_, _, ours) in zip(rows, given, strict=True) if ours] or [row("z", 99)]
    theirs = [r for r, (_, _, ours) in zip(rows, given, strict=True) if not ours] or [row("y", 98)]
    told = dup(root, corpus(root, mine, 2), against=others(root, theirs))
    whole = dup(root, corpus(root, [*mine, *theirs], 1, dataset="both"), "whole")
    joined_to = {whole[r["doc_id"]]["cluster"] for r in theirs} - {None}
    assert {name for name, line in told.items() if line["seen"]} == {r["doc_id"] for r in mine if whole[r["doc_id"]]["cluster"] in joined_to}


def test_an_appended_file_is_compared_with_all_and_hashes_itself_alone(tmp_path: Path) -> None:
    """Incremental equals batch: bands and compared pairs of the old files are read, clusters are those of one search over all."""
    rows = [row(f"d{i:02}", i % 9, i % 4) for i in range(40)]
    files = corpus(tmp_path, rows, 4)
    worked: list[str] = []
    dup(tmp_path, files[:3], "run1")
    told = dup(tmp_path, files, "run2", progress=lambda result: worked.append(f"{result.get('bytes')} {result['name']}"))
    hashed = [name for name in worked if name.startswith(str(files[3].bytes))]
    assert hashed and not [name for name in worked for file in files[:3] if name == f"{file.bytes} {file.path}"], "no text of the old files was hashed"
    apart = tmp_path / "apart"
    assert told == dup(apart, corpus(apart, rows, 4))
    before = pl.concat([pl.read_parquet(path) for path in (tmp_path / "annotations/made/run1").glob("jaccard-*.parquet")])
    after = pl.concat([pl.read_parquet(path) for path in (tmp_path / "annotations/made/run2").glob("jaccard-*.parquet")])
    pair = ["a_file", "a_row", "b_file", "b_row"]
    assert before.height and after.height and not before.join(after, on=pair).height, "no pair is compared twice"


def test_what_stood_before_stays(tmp_path: Path) -> None:
    """With earlier verdicts, a longer copy that comes later does not drive out what was kept; predicates still do."""
    files = corpus(tmp_path, [row("d5", 1, 1), row("d6", 1), row("d7", 2), row("d1", 1, 2), row("d2", 2, 1), row("d3", 3)], 2)
    found = duplicates.find(files, JOBS, str(tmp_path / "annotations/made/run"), workers=0)
    whole = joined(files, found.annotations)
    earlier = verdict(files[0], [False, True, True], tmp_path, "earlier")
    stood = {files[0].id: earlier.annotations[-1]}
    for clause, expected in (("doc_id = 'none'", {"d6", "d7", "d3"}), ("doc_id = 'd6'", {"d7", "d3", "d1"})):
        policy = from_body("plain", {"drop": {"unwanted": clause}, "keep": ["doc_id"]})
        folder = str(tmp_path / "annotations/made/run")
        judged = verdicts.judge(whole, policy, folder, stood=stood, workers=0)
        again = family(joined(whole, judged.annotations), "verdict")
        assert set(again.filter("kept")["doc_id"]) == expected, clause
        without = verdicts.judge(whole, policy, folder, workers=0)
        assert set(family(joined(whole, without.annotations), "verdict").filter("kept")["doc_id"]) == {"d1", "d2", "d3"}


PIECES = [" ".join(f"{letter}{i}" for i in range(4)) for letter in "abc"]
"""What texts share, in words of which two are a stretch here."""
INSIDE = [
    Bound("curate.exact:job", {"by": ("text",)}),
    Bound("curate.lines:job", {"within": "host", "documents": 2, "share": 0.0, "keep": "first"}),
    Bound("curate.paragraphs:job", {"min_words": 2}),
    Bound("curate.substring:job", {"tokens": 2}),
]


@given(st.lists(st.tuples(st.lists(st.integers(0, 2), min_size=1, max_size=3), st.sampled_from("xy"), st.sampled_from("hi")), min_size=2, max_size=10))
@settings(max_examples=15, deadline=None)
def test_what_is_inside_documents_is_that_of_each_scope_alone(
    tmp_path_factory: pytest.TempPathFactory, given: list[tuple[list[int], str, str]]
) -> None:
    """Exact copies and what texts share over the border of a scope change nothing on either side of it."""
    root = tmp_path_factory.mktemp("inside")
    texts = ["\n\n".join(PIECES[piece] for piece in pieces) for pieces, _, _ in given]
    rows = [{"doc_id": f"d{i:02}", "dump": dump, "host": host, "text": texts[i]} for i, (_, dump, host) in enumerate(given)]

    def told(name: str, some: list[dict[str, Any]], **scope: Any) -> list[dict[str, Any]]:
        files = corpus(root, some, 2, dataset=name)
        found = duplicates.find(files, INSIDE, str(root / f"annotations/{name}/run"), workers=0, **scope)
        return family(joined(files, found.annotations), "dup").sort("doc_id").to_dicts()

    parts = [[r for r in rows if r["dump"] == dump] for dump in "xy"]
    alone = [line for name, part in zip("xy", parts, strict=True) for line in (told(name, part) if part else [])]
    assert told("both", rows, within="dump") == sorted(alone, key=lambda line: str(line["doc_id"]))
    hosts = [[r for r in rows if r["host"] == host] for host in "hi"]
    columns = ("doc_id", "lines", "line_share", "line_documents")
    of_hosts = [{name: line[name] for name in columns} for name, part in zip("hi", hosts, strict=True) for line in (told(name, part) if part else [])]
    assert [{name: line[name] for name in columns} for line in told("all", rows)] == sorted(of_hosts, key=lambda line: str(line["doc_id"]))


@pytest.mark.spark
@pytest.mark.slow
def test_spark_knows_scopes_and_other_datasets(tmp_path: Path) -> None:
    rows = [row(f"d{i:02}", i % 7, i % 3, dump=f"dump {i % 2}") for i in range(30)]
    theirs = [row(f"b{i:02}", i % 9, i % 4, dump=f"dump {i % 3}") for i in range(12)]
    kept = [i % 5 != 0 for i in range(12)]
    told = []
    for name, hands in (("here", {}), ("spark", {"spark": local_session(), "polars_rows": 0})):
        root = tmp_path / name
        told.append(dup(root, corpus(root, rows, 3), against=others(root, theirs, kept), within="dump", **hands))
    assert told[0] == told[1] and any(line["seen"] for line in told[0].values())
    spoken = [signalled(corpus(tmp_path / name, rows, 3), tmp_path / name, {f"d{i:02}": "en" for i in range(0, 30, 4)}) for name in ("c", "d")]
    here = dup(tmp_path / "c", spoken[0], within="language.code")
    assert here == dup(tmp_path / "d", spoken[1], within="language.code", spark=local_session(), polars_rows=0)
    known = [{**r, "facts": {"work": f"work {i % 3}"}} for i, r in enumerate(rows)]
    one, other = (dup(tmp_path / name, corpus(tmp_path / name, known, 3), within="facts.work", **hands) for name, hands in (
        ("e", {}), ("f", {"spark": local_session(), "polars_rows": 0})))
    assert one == other and any(line["cluster"] for line in one.values())
