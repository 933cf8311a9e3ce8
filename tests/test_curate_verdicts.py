"""Verdicts: one reason a document, one keeper a cluster, and nothing scored to say them."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.errors import PolicyError
from catalog.files import Annotation, DataFile, footer, read, write_annotation
from catalog.intervals import wilson
from catalog.schema import VERDICT
from curate import verdicts
from curate.duplicates import DUP
from curate.policy import Policy, load
from curate.trial import attempt, table
from tests.spark_making import corpus, family, joined

SCORE = {"n": pa.int64(), "r": pa.float64()}


def noted(files: Sequence[DataFile], name: str, frame: pl.DataFrame, types: dict[str, pa.DataType], where: str = "") -> list[DataFile]:
    """Write one family beside files, from one frame over all their rows."""
    start, whole = 0, []
    for file in files:
        path = f"annotations/made/run/{Path(file.path).stem}.{name}-{start:04d}.parquet"
        rows = frame.slice(start, file.rows)
        stat = write_annotation(Path(file.root) / path, name, rows, file.ids, file.rows, types, {"where": where})
        whole.append(replace(file, annotations=(*file.annotations, Annotation(name, path, f"{name}{start}", "test", file.rows, stat.columns))))
        start += file.rows
    return whole


def policy(folder: Path, text: str) -> Policy:
    path = folder / "p.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def made(root: Path, n: int = 12, files: int = 3) -> list[DataFile]:
    rows = [{"doc_id": f"d{i:02d}", "text": "x" * (i + 1), "domain": ["web", "code"][i % 2], "uri": f"https://h/{i}"} for i in range(n)]
    return corpus(root, rows, files)


def clustered(files: Sequence[DataFile], groups: Sequence[int | None], ids: Sequence[str] | None = None) -> list[DataFile]:
    """Annotate with `dup`: rows of one group are copies of each other."""
    ids = ids or [f"d{i:02d}" for i in range(len(groups))]
    sizes = {group: groups.count(group) for group in groups}
    first = {group: min(d for d, g in zip(ids, groups, strict=True) if g == group) for group in groups}
    rows = [
        {"cluster": None, "size": 1, "neighbour": None, "jaccard": None}
        if group is None or sizes[group] == 1
        else {"cluster": first[group], "size": sizes[group], "neighbour": None, "jaccard": 0.9}
        for group in groups
    ]
    return noted(files, "dup", pl.DataFrame(rows, schema={"cluster": pl.String, "size": pl.Int64, "neighbour": pl.String, "jaccard": pl.Float64}), DUP)


def judged(files: list[DataFile], asked: Policy | None, folder: Path, **hands: Any) -> pl.DataFrame:
    found = verdicts.judge(files, asked, str(folder / "annotations/made/verdicts"), **{"workers": 0, **hands})
    name = hands.get("family", "verdict")
    rows = family(joined(files, found.annotations), name)
    assert found.rows == rows.height and found.kept == int(rows["kept"].sum())
    assert found.reasons == dict(rows.filter(pl.col("reason").is_not_null()).group_by("reason").len().iter_rows())
    return rows


def test_the_first_true_clause_is_the_reason(tmp_path: Path) -> None:
    files = noted(made(tmp_path), "score", pl.DataFrame({"n": [None, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], "r": [0.5] * 12}), SCORE)
    asked = policy(tmp_path, "drop:\n  low: \"domain = 'web' AND score.n < 5\"\n  even: score.n % 2 = 0\n  long: length(text) > 11")
    rows = judged(files, asked, tmp_path)
    assert rows["reason"].to_list() == [None, None, "low", None, "low", None, "even", None, "even", None, "even", "long"]
    assert rows.columns[1:] == VERDICT.names and rows["bytes"].to_list() == list(range(1, 13)) and rows["tokens"][11] == 3
    assert rows["domain"].to_list()[:2] == ["web", "code"] and rows["language"].null_count() == 12


def test_files_from_before_there_were_facts_have_none(tmp_path: Path) -> None:
    """A clause about facts drops what has them and leaves what was written before: NULL does not drop."""
    kinds = ["test", "vendored", None, "minified", "vendored", None]
    new, old = corpus(tmp_path, [{"text": f"x{i}", "facts": {"nature": kind}} for i, kind in enumerate(kinds)])
    frame = pl.read_parquet(tmp_path / old.path).drop("facts")
    frame.write_parquet(tmp_path / old.path)
    files = [new, replace(old, columns=tuple(column for column in old.columns if column[0] != "facts"))]
    asked = policy(tmp_path, "drop:\n  elsewhere: \"facts.nature IN ('minified', 'vendored')\"\nkeep: [facts.position]")
    assert judged(files, asked, tmp_path)["reason"].to_list() == [None, "elsewhere", None, None, None, None]
    assert attempt(files, asked, exact=True).kept.count == 5
    with pytest.raises(PolicyError, match="'facts' has no signal 'natur'; did you mean 'nature'"):
        judged(files, policy(tmp_path, "drop:\n  elsewhere: facts.natur = 'x'"), tmp_path)


def test_without_a_policy_every_document_is_kept(tmp_path: Path) -> None:
    files = clustered(made(tmp_path), [0] * 12)
    rows = judged(files, None, tmp_path)
    assert rows["kept"].all() and rows["reason"].null_count() == 12


def test_one_copy_stays_in_the_policys_order(tmp_path: Path) -> None:
    files = clustered(made(tmp_path), [0, 0, 0, 1, 1, None, 2, 3, 3, None, None, None])
    for keep, stay in (("[length(text) DESC]", {"d02", "d04", "d08"}), ("[length(text)]", {"d00", "d03", "d07"}), ("[domain DESC]", {"d00", "d04", "d08"})):
        rows = judged(files, policy(tmp_path, f"keep: {keep}"), tmp_path)
        copies = rows.filter(pl.col("doc_id").is_in([f"d{i:02d}" for i in (0, 1, 2, 3, 4, 7, 8)]))
        assert set(copies.filter("kept")["doc_id"]) == stay
        assert set(copies.filter(~pl.col("kept"))["reason"]) == {"duplicate"} and rows.height - copies.height == 5
    first = judged(files, policy(tmp_path, "drop: {}"), tmp_path)
    assert set(first.filter("kept")["doc_id"]) >= {"d00", "d03", "d07"}, "without keep: the smallest doc_id stays"


def test_the_keeper_is_among_those_that_pass(tmp_path: Path) -> None:
    files = clustered(made(tmp_path), [0, 0, 0, 1, 1, None, 2, 3, 3, None, None, None])
    rows = judged(files, policy(tmp_path, "drop:\n  longest: length(text) = 3 OR length(text) > 7\nkeep: [length(text) DESC]"), tmp_path)
    said = dict(zip(rows["doc_id"], rows["reason"], strict=True))
    assert said["d02"] == "longest" and said["d01"] is None and said["d00"] == "duplicate"
    assert said["d08"] == "longest" and said["d07"] == "longest", "a cluster that has no survivor has no duplicate either"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_cluster_with_a_survivor_ends_empty(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    n = data.draw(st.integers(1, 25))
    groups = data.draw(st.lists(st.one_of(st.none(), st.integers(0, 5)), min_size=n, max_size=n))
    scores = data.draw(st.lists(st.one_of(st.none(), st.integers(0, 9)), min_size=n, max_size=n))
    limit, files = data.draw(st.integers(0, 9)), data.draw(st.integers(1, 4))
    root = tmp_path_factory.mktemp("lake")
    ids = [f"{(i * 7919) % 101:03d}" for i in range(n)]
    parts = corpus(root, [{"doc_id": ids[i], "text": "t" * (i % 4)} for i in range(n)], files)
    parts = noted(clustered(parts, groups, ids), "score", pl.DataFrame({"n": scores, "r": [0.0] * n}, schema={"n": pl.Int64, "r": pl.Float64}), SCORE)
    order = data.draw(st.sampled_from(["", "keep: [score.n]", "keep: [score.n DESC, length(text)]"]))
    rows = judged(parts, policy(root, f"drop:\n  low: score.n < {limit}\n{order}"), root)
    told = rows.with_columns(group=pl.Series(groups, dtype=pl.Int64), passed=pl.Series([s is None or s >= limit for s in scores]))
    assert told["doc_id"].to_list() == ids, "ids in are ids out, in order"
    alone = told.filter(pl.col("group").is_null())
    assert (alone["kept"] == alone["passed"]).all()
    for _, cluster in told.filter(pl.col("group").is_not_null()).group_by("group"):
        assert int(cluster["kept"].sum()) == min(1, int(cluster["passed"].sum()))
        assert set(cluster.filter(~pl.col("kept"))["reason"]) <= {"low", "duplicate"}
        assert not cluster.filter(~pl.col("passed") & (pl.col("reason") != "low")).height


def test_a_signal_that_a_where_left_out_is_refused(tmp_path: Path) -> None:
    """A clause that meets a document without a score would keep it in silence."""
    scored = pl.DataFrame({"n": [i if i % 2 == 0 else None for i in range(12)], "r": [None] * 12}, schema={"n": pl.Int64, "r": pl.Float64})
    files = noted(made(tmp_path), "score", scored, SCORE, where="domain = 'web'")
    with pytest.raises(PolicyError) as refused:
        judged(files, policy(tmp_path, "drop:\n  long: length(text) > 10\n  low: score.n < 4"), tmp_path)
    said = str(refused.value)
    assert "p.yaml:3: low: 'score.n < 4' meets 5 documents that score did not score (where: domain = 'web')" in said
    assert "headrace run RECIPE --only curate" in said and not list(tmp_path.glob("annotations/made/verdicts/*.parquet"))
    rows = judged(files, policy(tmp_path, "drop:\n  low: \"domain = 'web' AND score.n < 4\""), tmp_path)
    assert int(rows["kept"].sum()) == 10


def test_a_changed_policy_reads_no_text_and_the_same_one_nothing(tmp_path: Path) -> None:
    files = noted(made(tmp_path), "score", pl.DataFrame({"n": list(range(12)), "r": [0.0] * 12}), SCORE)
    folder = str(tmp_path / "annotations/made/verdicts")
    first = verdicts.judge(files, policy(tmp_path, "drop:\n  low: score.n < 3"), folder, workers=0)
    files = joined(files, first.annotations)
    worked: list[str] = []
    again = verdicts.judge(files, policy(tmp_path, "# the same\ndrop:\n  low: \"score.n < 3\""), folder, workers=0, progress=lambda r: worked.append(r["name"]))
    assert not worked and again == first
    bench = verdicts.Bench(files[0], {"name": "p", **policy(tmp_path, "drop:\n  low: score.n < 5").body})
    assert [set(batch.columns) for batch in bench.batches()] == [{"doc_id", "domain", "dump", "host", "license", "score", "verdict"}]
    other = verdicts.judge(files, policy(tmp_path, "drop:\n  low: score.n < 5"), folder, workers=0)
    assert other.kept == 7 and family(joined([replace(f, annotations=f.annotations[:1]) for f in files], other.annotations), "verdict")["bytes"].sum() == 78


def test_two_policies_stand_on_one_dataset(tmp_path: Path) -> None:
    files = noted(made(tmp_path), "score", pl.DataFrame({"n": list(range(12)), "r": [0.0] * 12}), SCORE)
    judged(files, policy(tmp_path, "drop:\n  low: score.n < 3"), tmp_path)
    rows = judged(files, policy(tmp_path, "drop:\n  low: score.n < 9"), tmp_path, family="verdict_strict")
    assert int(rows["kept"].sum()) == 3
    names = {path.name.split(".")[1].split("-")[0] for path in (tmp_path / "annotations/made/verdicts").glob("*.parquet")}
    assert names == {"verdict", "verdict_strict"} and not list(tmp_path.rglob("*.work"))


def test_verdicts_carry_language_and_their_policy(tmp_path: Path) -> None:
    codes = pl.DataFrame({"code": ["en", "de"] * 6})
    files = noted(made(tmp_path), "language", codes, {"code": pa.string()})
    found = verdicts.judge(files, policy(tmp_path, "drop:\n  foreign: \"language.code <> 'en'\""), str(tmp_path / "annotations/made/v"), workers=0)
    rows = read(joined(files, found.annotations)[0], [], ["verdict"]).unnest("verdict")
    assert rows["language"].to_list() == ["en", "de", "en", "de"]
    told = footer(tmp_path / next(iter(found.annotations.values())).path)
    assert json.loads(told["policy"])["drop"] == {"foreign": "language.code <> 'en'"} and json.loads(told["reasons"]) == {"": 2, "foreign": 2}


def test_a_trial_over_everything_is_what_judging_does(tmp_path: Path) -> None:
    draw = random.Random(4)
    files = made(tmp_path, 200, 5)
    ids = [f"d{i:02d}" for i in range(200)]
    files = clustered(files, [draw.choice([None, *range(40)]) for _ in ids], ids)
    files = noted(files, "score", pl.DataFrame({"n": [draw.randrange(20) for _ in ids], "r": [0.0] * 200}), SCORE)
    asked = policy(tmp_path, "drop:\n  low: score.n < 6\n  middle: score.n = 9\nkeep: [score.n DESC]")
    done = verdicts.judge(files, asked, str(tmp_path / "annotations/made/v"), workers=0)
    exact = attempt(files, asked, exact=True)
    assert exact.kept.count == done.kept and {r: s.count for r, s in exact.reasons.items()} == done.reasons and exact.documents == 200
    assert exact.kept.low == exact.kept.share == exact.kept.high
    sampled = attempt(files[:3], asked)
    assert sampled.documents == 120 and sampled.kept.low < done.kept / 200 < sampled.kept.high
    for reason, count in done.reasons.items():
        assert sampled.reasons[reason].low < count / 200 < sampled.reasons[reason].high
    assert [row["outcome"] for row in table(exact)] == ["kept", "low", "middle", "duplicate"]


def test_wilson_keeps_within_the_possible() -> None:
    assert wilson(0, 100)[0] == 0 and wilson(100, 100)[1] == 1 and 0 < wilson(0, 100)[1] < 0.05
    low, high = wilson(50, 100)
    assert round(low, 3) == 0.404 and round(high, 3) == 0.596, "Wilson 1927; Newcombe 1998 gives these"
