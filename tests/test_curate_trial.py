"""Policies tried: several values in one pass, what changes against today, documents at each threshold, and what a sample cannot know."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.errors import PolicyError
from catalog.files import Annotation, DataFile, read
from catalog.predicates import parse
from curate import verdicts
from curate.borders import borders
from curate.clauses import Clause
from curate.policy import Policy, load
from curate.thresholds import axis, points, thresholds
from curate.trial import Today, Trial, attempt, attempts
from curate.verdicts import gaps, judge
from tests.spark_making import corpus, joined
from tests.test_curate_verdicts import SCORE, clustered, noted, policy

DOMAINS = ("web", "web", "web", "books", None)
LANGUAGES = ("en", "en", "de", None)


def lake(root: Path, n: int, files: int = 3, seed: int = 1, copies: bool = True) -> list[DataFile]:
    """Documents with a score, a language, and copies; everything drawn from a seed."""
    draw = random.Random(seed)
    ids = [f"{draw.getrandbits(64):016x}" for _ in range(n)]
    rows = [{"doc_id": ids[i], "text": f"No {i}\tof  {n}\x1b[31m\n" + "x" * draw.randrange(200), "domain": draw.choice(DOMAINS)} for i in range(n)]
    made = corpus(root, rows, files)
    scores = {"n": [draw.choice([None, *range(20)]) for _ in ids], "r": [draw.random() for _ in ids]}
    made = noted(made, "score", pl.DataFrame(scores, schema={"n": pl.Int64, "r": pl.Float64}), SCORE)
    made = noted(made, "language", pl.DataFrame({"code": [draw.choice(LANGUAGES) for _ in ids]}, schema={"code": pl.String}), {"code": pa.string()})
    return clustered(made, [draw.choice([None, *range(n // 4)]) for _ in ids], ids) if copies else made


def numbers(trial: Trial) -> dict[str, Any]:
    return {"kept": trial.kept, "reasons": trial.reasons, "kept before": trial.newly_kept, "dropped": trial.newly_dropped}


STRICT = "drop:\n  low: score.n < 6\n  odd: score.r > 0.9 OR length(text) < 20\n  foreign: \"language.code <> 'en'\"\nkeep: [score.n DESC]\n"


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.integers(0, 20), min_size=1, max_size=4, unique=True), exact=st.booleans(), seed=st.integers(0, 99))
def test_a_grid_says_what_separate_tries_say(values: list[int], exact: bool, seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("lake")
    files = lake(root, 60, 2, seed)
    written = policy(root, STRICT)
    found = points(written, [axis(written, f"score.n={','.join(map(str, values))}"), axis(written, "odd:score.r=0.5,0.95")], lambda _: written)
    tried = attempts(files, [written, *(one for _, one in found)], exact=exact)
    assert len(found) == 2 * len(values) and numbers(tried[0]) == numbers(attempt(files, written, exact=exact))
    for (put, _), trial in zip(found, tried[1:], strict=True):
        alone = policy(root, STRICT.replace("score.n < 6", f"score.n < {put['score.n']}").replace("0.9", str(put["odd:score.r"])))
        assert numbers(trial) == numbers(attempt(files, alone, exact=exact))


def test_over_everything_changes_are_those_of_the_verdicts(tmp_path: Path) -> None:
    """Each document's verdict before and after, counted by hand from the verdict files."""
    files = lake(tmp_path, 300)
    first = policy(tmp_path, "drop:\n  low: score.n < 3\n  far: score.n > 17\nkeep: [score.n]\n")
    before = judge(files, first, str(tmp_path / "annotations/made/v"), workers=0)
    files = joined(files, before.annotations)
    asked = policy(tmp_path, STRICT)
    trial = attempts(files, [asked], exact=True, today=Today("verdict", True))[0]
    after = judge(files, asked, str(tmp_path / "annotations/made/w"), family="verdict_new", workers=0)
    was = pl.concat([pl.read_parquet(Path(f.root) / before.annotations[f.id].path)["verdict"].struct.unnest() for f in files])
    now = pl.concat([pl.read_parquet(Path(f.root) / after.annotations[f.id].path)["verdict_new"].struct.unnest() for f in files])
    assert trial.kept.count == after.kept and {r: s.count for r, s in trial.reasons.items()} == after.reasons
    both = pl.DataFrame({"was": was["reason"].fill_null(""), "now": now["reason"].fill_null(""), "domain": now["domain"], "language": now["language"]})
    changed = both.group_by("was", "now").len()
    kept = changed.filter((pl.col("now") == "") & (pl.col("was") != "")).select("was", "len")
    assert {r: s.count for r, s in trial.newly_kept.items()} == dict(kept.iter_rows())
    dropped = changed.filter((pl.col("was") == "") & (pl.col("now") != "")).select("now", "len")
    assert {r: s.count for r, s in trial.newly_dropped.items()} == dict(dropped.iter_rows())
    assert trial.kept_today and trial.kept_today.count == before.kept
    for column in ("domain", "language"):
        for name, part in trial.among(column).items():
            rows = both.filter(pl.col(column).eq_missing(name))
            assert (part.documents, part.kept.count) == (rows.height, rows.filter(now="").height)
            assert part.kept_today and part.kept_today.count == rows.filter(was="").height


def sampled(files: Sequence[DataFile], root: Path, count: int) -> list[DataFile]:
    """A sample as a lake lays it out: rows of lowest hash with `sample_key` and `sample_file`, families beside them."""
    from catalog.samples import beside, write_part

    folder = "annotations/made/sample"
    parts = write_part(str(root), folder, files, None, count=count)
    parts = beside(str(root), folder, parts[0], files)
    about = tuple(Annotation(part.family, part.path, "", "sample", part.rows, part.fields) for part in parts if part.family)
    return [DataFile(parts[0].part, parts[0].path, parts[0].rows, 0, "", str(root), about, parts[0].fields)]


def test_intervals_of_a_sample_cover_what_is_so(tmp_path: Path) -> None:
    """Forty policies on a sample of 400 of 4,000: a 95 % interval may miss, but rarely."""
    files = lake(tmp_path, 4000, 4, copies=False)
    today = policy(tmp_path, "drop:\n  low: score.n < 8\n")
    files = joined(files, judge(files, today, str(tmp_path / "annotations/made/v"), workers=0).annotations)
    sample = sampled(files, tmp_path, 400)
    policies = [policy(tmp_path, f"drop:\n  low: score.n < {n}\n  odd: score.r > {r}") for n in range(1, 9) for r in (0.2, 0.4, 0.6, 0.8, 0.95)]
    stands = Today("verdict", True)
    exact, tried = attempts(files, policies, exact=True, today=stands), attempts(sample, policies, today=stands)
    inside, told = 0, 0
    for whole, some in zip(exact, tried, strict=True):
        assert some.documents == 400 and not some.exact and whole.documents == 4000
        pairs = [(whole.kept, some.kept), *((whole.reasons[r], s) for r, s in some.reasons.items())]
        pairs += [(whole.newly_dropped[r], s) for r, s in some.newly_dropped.items()]
        pairs += [(part.kept, some.among("domain")[name].kept) for name, part in whole.among("domain").items()]
        told += len(pairs)
        inside += sum(one.low <= all_.share <= one.high for all_, one in pairs)
    assert told > 200 and inside / told > 0.85


def test_a_copy_of_a_sample_keeps_its_fate_of_today(tmp_path: Path) -> None:
    """The policy that stands, tried on the sample, changes nothing; without a verdict a copy counts by its chance."""
    files = lake(tmp_path, 800)
    asked = policy(tmp_path, STRICT)
    files = joined(files, judge(files, asked, str(tmp_path / "annotations/made/v"), workers=0).annotations)
    sample = sampled(files, tmp_path, 300)
    trial = attempts(sample, [asked], today=Today("verdict", True))[0]
    assert not trial.newly_kept and not trial.newly_dropped and trial.kept_today and trial.kept.count == trial.kept_today.count
    chance = attempts(sample, [asked])[0]
    assert chance.kept_today is None and 0 < chance.kept.count < trial.kept.count, "another copy may not pass at all: the chance is the least there is"
    looser = attempts(sample, [policy(tmp_path, STRICT.replace("score.n < 6", "score.n < 4"))], today=Today("verdict", True))[0]
    assert set(looser.newly_kept) == {"low"} and set(looser.newly_dropped) <= set()
    assert looser.kept.count == pytest.approx(trial.kept.count + looser.newly_kept["low"].count)


def test_the_documents_at_a_threshold_are_the_nearest_that_it_judges(tmp_path: Path) -> None:
    files = lake(tmp_path, 400, copies=False)
    clauses = ["foreign: \"language.code <> 'en'\"", "low: \"domain = 'web' AND score.n <= 6\"", "odd: score.r NOT BETWEEN 0.1 AND 0.9"]
    asked = policy(tmp_path, "\n  ".join(["drop:", *clauses]))
    found = borders(files, asked, 10)
    assert [(b.threshold.clause.reason, b.threshold.text, b.threshold.op, b.threshold.limit) for b in found] == [
        ("low", "score.n", "<=", 6), ("odd", "score.r", "<", 0.1), ("odd", "score.r", ">", 0.9),
    ]  # fmt: skip
    frame = pl.concat([read(f, ["doc_id", "domain"], ["score", "language"]) for f in files]).unnest("score")
    reach = frame.filter((pl.col("language").struct.field("code") != "en").fill_null(False).not_())
    web = reach.filter(pl.col("domain") == "web", pl.col("n").is_not_null())
    near = web.sort((pl.col("n") - 6).abs(), maintain_order=True)
    low, high = (near.filter(side).head(10) for side in (pl.col("n") <= 6, pl.col("n") > 6))
    assert [one.doc_id for one in found[0].below] == low["doc_id"].to_list() and [one.doc_id for one in found[0].above] == high["doc_id"].to_list()
    assert {one.outcome for one in found[0].below} == {"low"} and {one.outcome for one in found[0].above} <= {"kept", "odd"}
    assert all(one.value < 0.1 and one.outcome == "odd" for one in found[1].below)
    assert [one.value for one in found[1].above] == sorted(one.value for one in found[1].above)
    shown = [one.text for border in found for one in border.below]
    assert all(len(text) <= 80 and not {"\n", "\t"} & set(text) and text.startswith("No ") and "  " not in text for text in shown)
    assert not any(borders(files, policy(tmp_path, "drop:\n  low: \"score.n = 3 OR domain = 'x'\"\n"), 10)), "nothing to stand on either side of"


def test_what_is_shown_at_a_threshold_is_masked(tmp_path: Path) -> None:
    files = corpus(tmp_path, [{"doc_id": f"d{i}", "text": f"write to me{i}@mill.org now"} for i in range(6)], 2)
    spans = [[{"kind": "email", "start": 9, "end": 21}]] * 6
    kind = pa.list_(pa.struct([("kind", pa.string()), ("start", pa.int64()), ("end", pa.int64())]))
    files = noted(files, "pii", pl.DataFrame({"spans": spans}), {"spans": kind})
    asked = policy(tmp_path, "drop:\n  long: length(text) > 20\nmask: {pii: tag}\n")
    shown = [near.text for border in borders(files, asked, 9, changes={"mask": {"pii": "tag"}}) for near in border.above]
    assert len(shown) == 6 and set(shown) == {"write to <EMAIL> now"}
    assert "@mill.org" in borders(files, asked, 1)[0].above[0].text


def test_thresholds_are_found_however_they_are_written() -> None:
    def of(text: str) -> list[tuple[str, str, float]]:
        return [(one.text, one.op, one.limit) for one in thresholds(Clause("a", text, parse(text), "p: "))]

    assert of("50 > score.n") == [("score.n", "<", 50)] and of("score.n >= -3") == [("score.n", ">=", -3)]
    assert of("NOT (domain = 'web' AND score.n < 5)") == [("score.n", "<", 5)]
    assert of("score.n BETWEEN 3 AND 7") == [("score.n", ">=", 3), ("score.n", "<=", 7)]
    assert of("length(text) > 9 AND score.n + score.r > 2.5") == [("length(text)", ">", 9), ("(score.n + score.r)", ">", 2.5)]
    assert of("score.n = 5") == of("domain < 'x'") == of("score.n < score.r") == of("score.n IN (1, 2)") == of("date > '2024-01-01'") == []


WRONG_GRID = {
    "score.n": "--grid score.n: write COLUMN=VALUE,VALUE such as gopher.n_words=50,100,200",
    "scor.n=5": "--grid scor.n: p compares no 'scor.n' with a number; did you mean 'score.n'?",
    "language.code=5": "--grid language.code: p compares no 'language.code' with a number",
    "lows:score.n=5": "--grid lows:score.n: p compares no 'lows:score.n' with a number; did you mean 'low:score.n'?",
    "score.n=5,,6": "--grid score.n=5,,6: '' is no value; write numbers with commas between",
    "score.n=5,inf": "--grid score.n: 'inf' is not a number",
    "score.n=5,.inf": "--grid score.n=5,.inf: '.inf' is no value; write numbers with commas between",
    "score.n=[5]": "--grid score.n=[5]: '[5]' is no value; write numbers with commas between",
    "score.n=many": "--grid score.n: 'many' is not a number",
}


@pytest.mark.parametrize("asked", WRONG_GRID)
def test_a_grid_that_is_none_is_refused(asked: str, tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as refused:
        axis(policy(tmp_path, STRICT), asked)
    assert str(refused.value).startswith(WRONG_GRID[asked]) and "\n" not in str(refused.value)


def test_a_grid_has_bounds_and_takes_parameters(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("params: {least: 3, lang: en}\ndrop:\n  low: score.n < $least\n  far: score.n > 9\n  foreign: language.code <> $lang\n", encoding="utf-8")

    def again(more: Any) -> Policy:
        return load(path, settings=more)

    written = load(path)
    by_name = points(written, [axis(written, "least=1,2"), axis(written, "lang=de,en"), axis(written, "far:score.n=7")], again)
    assert [values for values, _ in by_name] == [{"least": a, "lang": b, "far:score.n": 7} for a in (1, 2) for b in ("de", "en")]
    assert [clause.text for clause in by_name[0][1].drop] == ["score.n < 1", "(score.n > 7)", "language.code <> 'de'"]
    first = axis(written, "score.n=5")
    assert first.threshold and first.threshold.clause.reason == "low" and [one.clause.reason for one in first.others] == ["far"]
    with pytest.raises(PolicyError, match="9 x 9 = 81 combinations; at most 64 are tried at once"):
        points(written, [axis(written, f"{name}={','.join('123456789')}") for name in ("least", "far:score.n")], again)
    with pytest.raises(PolicyError, match="--grid least: stands twice"):
        points(written, [axis(written, "least=1"), axis(written, "least=2")], again)


def test_a_sample_knows_what_a_where_left_out(tmp_path: Path) -> None:
    """The sample's own files do not say it: the data files' footers do, and each row says which file it is of."""
    files = corpus(tmp_path, [{"doc_id": f"d{i:02d}", "text": "x" * (i + 1), "domain": ["web", "code"][i % 2]} for i in range(12)], 3)
    scored = pl.DataFrame({"n": [i if i % 2 == 0 else None for i in range(12)], "r": [None] * 12}, schema={"n": pl.Int64, "r": pl.Float64})
    files = noted(files, "score", scored, SCORE, where="domain = 'web'")
    sample = sampled(files, tmp_path, 6)
    left = gaps(files, ["score"])
    assert [(gap.family, gap.where, len(gap.files or ())) for gap in left] == [("score", "domain = 'web'", 3)]
    with pytest.raises(PolicyError, match=r"p.yaml:2: low: 'score.n < 4' meets \d documents of the sample that score did not score \(where: domain = 'web'\)"):
        attempts(sample, [policy(tmp_path, "drop:\n  low: score.n < 4")], gaps=left)
    assert attempts(sample, [policy(tmp_path, "drop:\n  low: \"domain = 'web' AND score.n < 4\"")], gaps=left)[0].documents == 6
    assert attempts(sample, [policy(tmp_path, "drop:\n  low: score.n < 4")], gaps=())[0].documents == 6, "without the footers it would not know"


def test_a_signal_that_some_files_were_never_given(tmp_path: Path) -> None:
    """Refused where a clause meets such a document, fine where it asks for others; the same over everything, of a sample and when judged."""
    files = corpus(tmp_path, [{"doc_id": f"d{i:02d}", "text": "x" * (i + 1), "domain": "web" if i < 8 else "books"} for i in range(12)], 3)
    scored = noted(files, "score", pl.DataFrame({"n": [*range(12)], "r": [0.5] * 12}), SCORE)
    files = [*scored[:2], files[2]]
    bad, fine = "drop:\n  low: score.n < 4", "drop:\n  low: \"domain = 'web' AND score.n < 4\""
    says = r"p.yaml:2: low: 'score.n < 4' meets 4 documents{} in files that were never given 'score'; .* `headrace run RECIPE --only curate`"
    for act in (
        lambda asked: attempts(files, [asked], exact=True),
        lambda asked: judge(files, asked, str(tmp_path / "annotations/made/v"), workers=0),
    ):
        with pytest.raises(PolicyError, match=says.format("")):
            act(policy(tmp_path, bad))
    sample = sampled(files, tmp_path, 12)
    with pytest.raises(PolicyError, match=says.format(" of the sample")):
        attempts(sample, [policy(tmp_path, bad)], gaps=gaps(files, ["score"]))
    assert attempts(files, [policy(tmp_path, fine)], exact=True)[0].kept.count == 8
    assert attempts(sample, [policy(tmp_path, fine)], gaps=gaps(files, ["score"]))[0].kept.count == 8
    assert judge(files, policy(tmp_path, fine), str(tmp_path / "annotations/made/w"), workers=0).kept == 8
    with pytest.raises(PolicyError, match="'score' has no signal 'm'"):
        attempts(files, [policy(tmp_path, "drop:\n  low: score.m < 4")], exact=True)


def test_one_pass_evaluates_each_clause_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty-four points cost the clauses that differ, not sixty-four policies: every file is read once."""
    files = lake(tmp_path, 60, 2)
    written = policy(tmp_path, STRICT)
    met: list[str] = []
    whole = verdicts.batches

    def counted(file: DataFile, *rest: Any) -> Any:
        met.append(file.path)
        return whole(file, *rest)

    monkeypatch.setattr(verdicts, "batches", counted)
    found = points(written, [axis(written, f"score.n={','.join(map(str, range(64)))}")], lambda _: written)
    assert len(attempts(files, [written, *(one for _, one in found)], exact=True)) == 65
    assert met == [file.path for file in files]


def test_nothing_is_no_trial_that_fails(tmp_path: Path) -> None:
    files = [replace(file) for file in lake(tmp_path, 4, 1)]
    empty = attempts(files, [policy(tmp_path, "drop:\n  all: length(text) >= 0")], exact=True)[0]
    assert empty.kept.count == 0 and empty.reasons["all"].count == 4 and np.isfinite(empty.kept.high)
    assert attempts([], [Policy("p")])[0].documents == 0 and borders([], Policy("p"), 3) == []
