"""Values of knobs of `dedup:` are looked at when a recipe is loaded, and by whoever calls the search itself."""

from pathlib import Path
from typing import Any

import pytest

from catalog.errors import RecipeError
from catalog.parts import DEDUP, _jobs_known
from catalog.recipe import load
from catalog.stage import Bound, find
from curate import duplicates, exact
from curate.knobs import BY, CHOICES, LIMITS, check

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("exact", {"by": ["urls"]}, "exact: by: 'urls'; did you mean 'url'?"),
    ("exact", {"by": []}, "exact: by: is empty; name some of text, origin, url"),
    ("exact", {"by": ["url", "text", "url"]}, "exact: by: names url twice"),
    ("minhash", {"ngram": 10**23}, f"minhash: ngram: {10**23}; it is 1 to 1,000 words"),
    ("exact", {"tokens": "cod"}, "exact: tokens: 'cod'; did you mean 'code'?"),
    ("minhash", {"preset": "finweb"}, "minhash: preset: 'finweb'; did you mean 'fineweb'?"),
    ("minhash", {"preset": "nemo", "threshold": 0.8}, "minhash: give preset: or threshold:, not both"),
    ("minhash", {"threshold": 1.5}, "minhash: threshold: 1.5; it is a Jaccard, .1 to .99, or preset: names the bands"),
    ("minhash", {"verify": 8}, "minhash: verify: 8; it is a Jaccard, 0 (candidates are taken as they are) to 1"),
    ("minhash", {"ngram": 0}, "minhash: ngram: 0; it is 1 to 1,000 words"),
    ("bloom", {"false_alarms": 1.0}, "bloom: false_alarms: 1.0; it is a share of documents between 0 and 1"),
    ("bloom", {"false_alarms": 0}, "bloom: false_alarms: 0; it is a share of documents between 0 and 1"),
    ("forks", {"least": 0.0}, "forks: least: 0.0; it is a share of a repository's files, above 0"),
    ("forks", {"files": 0}, "forks: files: 0; it is 1 file or more"),
    ("substring", {"tokens": 1}, "substring: tokens: 1; it is 2 words or more"),
    ("lines", {"keep": "last"}, "lines: keep: 'last'; there is first, none"),
    ("lines", {"documents": 1}, "lines: documents: 1; it is 2 or more: what stands in one document is not repeated"),
    ("paragraphs", {"share": 1.5}, "paragraphs: share: 1.5; it is a share of documents, 0 to 1"),
    ("semantic", {"threshold": 0.0}, "semantic: threshold: 0.0; it is a cosine, above 0 and at most 1"),
    ("semantic", {"clusters": 0}, "semantic: clusters: 0; it is 1 or more"),
]


@pytest.mark.parametrize(("job", "knobs", "line"), REFUSED)
def test_a_value_that_no_job_can_use_is_refused_with_its_line(job: str, knobs: dict[str, Any], line: str, tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    given = "name: r\nseed: 1\nlake: lake\ningest:\n  a: {tables: {paths: [a.jsonl]}}\ncurate:\n  b:\n    from: a\n    dedup:\n"
    recipe.write_text(f"{given}      {job}: {knobs}\n")
    with pytest.raises(RecipeError) as told:
        load(recipe)
    assert str(told.value) == f"{recipe}:10: {line}"
    with pytest.raises(RecipeError) as said:
        duplicates.find([], [Bound(f"curate.{job}:job", knobs)], str(tmp_path))
    assert str(said.value) == line


def test_what_jobs_do_by_themselves_is_allowed_and_their_numbers_have_limits() -> None:
    for job in _jobs_known():
        target = find("curate", f"{job}.job")
        check(job, target.knobs)
        free = {name for name, kind in target.types.items() if kind in ("int", "float", "int | None", "float | None")}
        assert free <= set(LIMITS.get(job, {})), job
        words = {name for name, kind in target.types.items() if "str" in kind} - {"within", "vectors"}
        assert words <= set(CHOICES), job
    assert not set(DEDUP) & set(_jobs_known()) and set(BY) == set(exact.BY)


def test_lines_are_counted_within_a_column_that_is_there(tmp_path: Path) -> None:
    given = "name: r\nseed: 1\nlake: lake\ningest:\n  a: {tables: {paths: [a.jsonl]}}\ncurate:\n  b:\n    from: a\n    dedup:\n"
    (tmp_path / "r.yaml").write_text(f"{given}      paragraphs: {{within: hots}}\n")
    with pytest.raises(RecipeError, match=r"r\.yaml:10: paragraphs: within: 'hots' is no column of words; did you mean 'host'\?"):
        load(tmp_path / "r.yaml")
    (tmp_path / "r.yaml").write_text(f"{given}      paragraphs: {{within: host}}\n")
    load(tmp_path / "r.yaml")


@pytest.mark.parametrize("sources", ["a", "[ingest.a, c]"])
def test_a_part_is_not_compared_with_what_it_judges(sources: str, tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        f"name: r\nseed: 1\nlake: lake\ningest:\n  a: {{tables: {{paths: [a.jsonl]}}}}\n  c: {{tables: {{paths: [a.jsonl]}}}}\n"
        f"curate:\n  b:\n    from: {sources}\n    dedup:\n      against: a\n      exact: {{}}\n"
    )
    with pytest.raises(RecipeError, match=r"r\.yaml:11: against: a is what the part judges; .* append: true lets stand what was kept"):
        load(recipe)
