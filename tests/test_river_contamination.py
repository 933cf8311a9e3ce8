"""Evaluation sets in a river: registered, looked for, reported, cut, and a mixture that is refused until somebody says why."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench_making import CODE, MILL, PLAIN, TOLD, meaning
from demo_run import headrace
from river_making import prose

from catalog.errors import HeadraceError, InputError, RecipeError
from catalog.lake import Lake
from catalog.recipe import load
from headrace import curating, ingesting, mixing
from headrace.child import Work
from headrace.contamination import contamination, show_contamination, write
from headrace.keys import part_keys
from headrace.river import Options
from headrace.trace import contamination as traced
from headrace.why import about

RECIPE = """name: mill
seed: 1
lake: lake
ingest:
  mill: {{items: {{paths: [mill.jsonl], answer: answer}}, publish_as: bench.mill}}
  code: {{tables: {{paths: [code.jsonl], columns: {{text: prompt}}}}, publish_as: bench.code}}
{more}  docs: {{tables: {{paths: [docs.jsonl]}}, domain: web}}
curate:
  corpus: {{from: docs, stages: [{stages}], policy: {policy}}}
mix:
  base: {{from: corpus, tokenizer: {{train: {{vocab: 300}}}}, context: 32, budget: 2k, hold_out: 0, max_epochs: 9, weights: {{web: 1}}, {gate}}}
"""
STAGE = "{contamination.spans: {against: [bench.*]}}"
DOES: dict[str, Callable[..., str]] = {"ingest": ingesting.run, "curate": curating.run, "mix": mixing.run}


def recipe(home: Path, *, stages: str = STAGE, policy: str = "keep", gate: str = "max_contamination: 0", more: str = "") -> str:
    path = home / "r.yaml"
    path.write_text(RECIPE.format(stages=stages, policy=policy, gate=gate, more=more), encoding="utf-8")
    return str(path)


def lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two evaluation sets, and 12 documents of which one holds an item and its answer, and another one a piece of code."""
    lines(tmp_path / "mill.jsonl", [{"question": question, "answer": answer} for question, answer in MILL])
    lines(tmp_path / "code.jsonl", [{"prompt": prompt} for prompt, _ in CODE])
    texts = [prose(f"d{i}", 6) for i in range(12)]
    texts[4] += f"\n\n{MILL[0][0]} {MILL[0][1]}\n\n{PLAIN}"
    texts[7] = f"{CODE[0][0]}\n    return [max(0, level - by) for level in levels]\n\n{texts[7]}"
    lines(tmp_path / "docs.jsonl", [{"text": text, "uri": f"https://mill.example/{i}"} for i, text in enumerate(texts)])
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies/keep.yaml").write_text('drop:\n  empty: "length(text) < 1"\n', encoding="utf-8")
    (tmp_path / "policies/cut.yaml").write_text('drop:\n  empty: "length(text) < 1"\ncut: [contamination.spans]\n', encoding="utf-8")
    (tmp_path / "policies/dropped.yaml").write_text('drop:\n  contaminated: "contamination.items > 0"\n', encoding="utf-8")
    return tmp_path


def ran(lake: Lake, path: str, *, upto: str = "mix") -> dict[str, str]:
    """Do the parts of a recipe that are not done, in this process; return what each one said."""
    found = load(path, lake=str(lake.root))
    work = Work(found, lake, part_keys(found, lake), Options(recipe=path), "job", Path(path).parent, {})
    try:
        todo = [part for part in found.parts if lake.has(work.key(part)) is None and (part.section != "mix" or upto == "mix")]
        return {part.id: DOES[part.section](part, work) for part in todo}
    finally:
        for held in work.held.values():
            held.close()


def test_a_mixture_is_refused_until_its_items_are_cut_dropped_or_let_pass_for_a_reason(home: Path) -> None:
    with Lake.open(home / "lake", create=True) as lake:
        with pytest.raises(InputError) as told:
            ran(lake, recipe(home))
        line = str(told.value)
        (doc,) = lake.query("SELECT doc_id FROM data.corpus WHERE contamination.benchmark = 'bench.code'").column("doc_id").to_pylist()
        assert line.startswith("mix.base: max_contamination: 1 of the 1 items of bench.code (100.00%) stand") and doc in line and "\n" not in line
        assert "(1 more over theirs)" in line and "contaminated_because:" in line
        assert "frozen" not in line and not lake.has_table("mixture")
        with pytest.raises(InputError, match=r"1 of the 3 items of bench\.mill \(33\.33%; 1 more are too short to be looked for\) stand"):
            ran(lake, recipe(home, gate="max_contamination: {bench.mill: 30%, bench.code: 1}"))
        gate = 'max_contamination: {bench.mill: 34%, bench.code: 0}, contaminated_because: "the code is ours"'
        ran(lake, recipe(home, gate=gate))
        told = "benchmark, items, too_short, standing, share, documents, bound, ngram, overlap, because"
        rows = lake.rows(f"SELECT {told} FROM mixture_contamination ORDER BY benchmark")
        assert [list(r.values()) for r in rows] == [
            ["bench.code", 1, 0, 1, 1.0, 1, 0.0, 13, 0.6, "the code is ours"], ["bench.mill", 4, 1, 1, 1 / 3, 1, 0.34, 13, 0.6, "the code is ours"],
        ]  # fmt: skip
        folder = lake.rows("SELECT output FROM task WHERE part = 'mix.base'")[-1]["output"]
        lock = json.loads((lake.root / folder / "lock.json").read_text(encoding="utf-8"))
        assert lock["contamination"]["because"] == "the code is ours" and lock["contamination"]["sets"][0]["benchmark"] == "bench.code"
        assert traced(lake, {"run_folder": folder}) == [
            "contamination: 1 of 1 items of bench.code@v1 stood in 1 documents, accepted because: the code is ours",
            "contamination: 1 of 3 items of bench.mill@v1 stood in 1 documents, 1 more are too short to be looked for, accepted because: the code is ours",
        ]
        for policy, kept in (("cut", 12), ("dropped", 10)):
            said = ran(lake, recipe(home, policy=policy))
            assert "tokens planned" in said["mix.base"] and lake.snapshot("corpus").kept == kept
        within = ran(lake, recipe(home, gate="max_contamination: {bench.*: 1, ingest.mill: 34%}"))
        assert "tokens planned" in within["mix.base"]


def test_what_was_not_scored_against_all_that_is_registered_is_refused(home: Path) -> None:
    more = "  extra: {tables: {paths: [code.jsonl], columns: {text: prompt}}, publish_as: bench.extra}\n"
    with Lake.open(home / "lake", create=True) as lake:
        with pytest.raises(InputError, match=r"corpus was not scored against bench\.code, bench\.mill; score it with contamination\.spans"):
            ran(lake, recipe(home, stages="gopher.signals"))
        with pytest.raises(InputError, match=r"corpus was not scored against bench\.code; "):
            ran(lake, recipe(home, stages="{contamination.spans: {against: [bench.mill]}}"))
        with pytest.raises(InputError, match=r"12 documents of corpus were not scored: leave where: out"):
            ran(lake, recipe(home, stages="{contamination.spans: {against: [bench.*], where: length(text) < 9}}"))
        ran(lake, recipe(home, stages="{contamination.spans: {against: [bench.mill]}}", gate="max_contamination: {mill: 34%}"))       # the part's name
        ran(lake, recipe(home, policy="cut"))
        only = recipe(home, stages="{contamination.spans: {against: [bench.code, bench.mill]}}", policy="cut", more=more)
        with pytest.raises(InputError, match=r"corpus was not scored against bench\.extra; "):
            ran(lake, only)
        for wrong, line in (("bench.mil", r"no evaluation set 'bench\.mil' in the recipe or the lake; did you mean 'bench\.mill'"), ("exam.*", r"'exam\.\*'")):
            with pytest.raises(RecipeError, match=line):
                ran(lake, recipe(home, stages=f"{{contamination.spans: {{against: ['{wrong}']}}}}"))
        with pytest.raises(RecipeError, match=r"r\.yaml:\d+: mix\.base: max_contamination: bench\.mill and mill are both bench\.mill; bound it once"):
            ran(lake, recipe(home, policy="cut", gate="max_contamination: {bench.mill: 25%, mill: 26%}"))
        with pytest.raises(RecipeError, match=r"no evaluation set 'bench\.mil' in the recipe or the lake; did you mean 'bench\.mill'"):
            ran(lake, recipe(home, policy="cut", gate="max_contamination: {bench.mil: 25%}"))
    for gate, line in (
        ("max_contamination: lots", "'lots' is not a share"), ("max_contamination: {}", "is no share, and no mapping"),
        ("contaminated_because: why", "overrides max_contamination:"), ("max_contamination: 0, contaminated_because: 3", "is not a word"),
    ):  # fmt: skip
        with pytest.raises(RecipeError, match=line):
            load(recipe(home, gate=gate))


def test_what_was_hardly_looked_for_is_not_taken_for_clean(home: Path) -> None:
    """A set of items that are too short, and knobs that find less, pass for a reason alone, which then stands beside the knobs."""
    more, both = "  short: {items: {paths: [short.jsonl]}, publish_as: bench.short}\n", "{contamination.spans: {against: [bench.*]KNOBS}}"
    lines(home / "short.jsonl", [{"question": "What turns the wheel?"}])
    with Lake.open(home / "lake", create=True) as lake:
        with pytest.raises(InputError, match=r"no item of bench\.short is long enough to be looked for, so corpus cannot be said to hold none"):
            ran(lake, recipe(home, policy="cut", more=more, gate="max_contamination: 1"))
        weak = both.replace("KNOBS", ", overlap: 1.0, ngram: 50")
        with pytest.raises(InputError, match=r"corpus was scored with ngram: 50, overlap: 1\.0, which finds less than ngram: 13, overlap: 0\.6"):
            ran(lake, recipe(home, policy="cut", more=more, stages=weak, gate="max_contamination: {bench.mill: 1, bench.code: 1}"))
        ran(lake, recipe(home, policy="cut", more=more, stages=weak, gate="max_contamination: 1, contaminated_because: they are ours"))
        rows = lake.rows("SELECT benchmark, items, too_short, share, ngram, overlap, because FROM mixture_contamination ORDER BY benchmark")
        assert [list(row.values()) for row in rows][-1] == ["bench.short", 1, 1, None, 50, 1.0, "they are ours"]
        stricter = both.replace("KNOBS", ", overlap: 0.5, ngram: 8")
        assert "tokens planned" in ran(lake, recipe(home, policy="cut", more=more, stages=stricter, gate="max_contamination: {mill: 0, code: 0}"))["mix.base"]


def test_a_new_version_of_a_set_scores_again_and_nothing_else_does(home: Path) -> None:
    def there() -> dict[str, set[str]]:
        found = [path.name for path in (home / "lake/annotations/corpus").rglob("*.parquet")]
        return {family: {name for name in found if f".{family}-" in name} for family in ("gopher", "contamination")}

    both = f"gopher.signals, {STAGE}"
    with Lake.open(home / "lake", create=True) as lake:
        ran(lake, recipe(home, stages=both, policy="cut"))
        before = there()
        lines(home / "mill.jsonl", [{"question": question, "answer": answer} for question, answer in [*MILL, (PLAIN, None)]])
        with pytest.raises(InputError, match=r"corpus was scored against another version of bench\.mill; run its part again"):
            stale(lake, home)
        ran(lake, recipe(home, stages=both, policy="cut"))
        after = there()
        assert after["gopher"] == before["gopher"] and len(after["contamination"] - before["contamination"]) == len(before["contamination"]) > 0
        assert lake.rows("SELECT count(*) AS n FROM audit.corpus WHERE contamination.benchmark = 'bench.mill'")[0]["n"] == 1
        told = lake.rows("SELECT c.benchmark, c.items FROM contamination AS c JOIN snapshot AS s USING (dataset, key) WHERE s.version = 2 ORDER BY ALL")
        assert told == [{"benchmark": "bench.code@v1", "items": 1}, {"benchmark": "bench.mill@v2", "items": 5}]
        assert len(list((home / "lake/models").glob("benchmarks-*"))) == 2


def stale(lake: Lake, home: Path) -> None:
    """Bring the set in anew, and mix what was scored before."""
    found = load(recipe(home, stages=f"gopher.signals, {STAGE}", policy="cut"), lake=str(lake.root))
    keys = part_keys(found, lake)
    work = Work(found, lake, keys, Options(recipe=found.path), "job", home, {})
    try:
        ingesting.run(found.part("ingest.mill"), work)
        keys["curate.corpus"] = lake.snapshot("corpus").key
        mixing.run(found.part("mix.base"), work)
    finally:
        for held in work.held.values():
            held.close()


def test_the_report_and_why_show_the_item_and_the_stretch(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = "<script>alert(1)</script>\x1b[31m"
    text = (home / "docs.jsonl").read_text(encoding="utf-8").replace("A miller grinds", f"{json.dumps(bad)[1:-1]} A miller grinds")
    (home / "docs.jsonl").write_text(text, encoding="utf-8")
    done = headrace("run", recipe(home, policy="dropped"), "--only", "ingest,curate")
    assert "contamination: 0 items of 2 evaluation sets stand in what is kept of corpus" in done.out
    (page,) = (home / "lake/runs").glob("*/contamination.html")
    assert "<script" not in page.read_text(encoding="utf-8").partition("</style>")[2] and "forty sacks of barley" in page.read_text(encoding="utf-8")
    assert json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))["datasets"][0]["matched"] == 1
    show_contamination(str(home / "lake"), "corpus", False, None)
    shown = capsys.readouterr().out
    assert "asked: A miller grinds forty sacks" in shown and "\x1b" not in shown
    show_contamination(str(home / "lake"), None, False, home / "told.html")
    assert (home / "told.html").read_text(encoding="utf-8") == page.read_text(encoding="utf-8")
    for name, line in (("docs", "docs: was not scored against any evaluation set"), ("nothing", "nothing")):
        with pytest.raises(HeadraceError, match=line):
            show_contamination(str(home / "lake"), name, True, None)
    with Lake.open(home / "lake") as lake:
        told = contamination(lake, "corpus")
        assert [(row["benchmark"], row["items"], row["too_short"], row["matched"], row["standing"]) for row in told["datasets"]] == [
            ("bench.code@v1", 1, 0, 1, 0), ("bench.mill@v1", 4, 1, 1, 0),
        ]  # fmt: skip
        (document,) = lake.query("SELECT doc_id FROM audit.corpus WHERE contamination.benchmark = 'bench.mill'").column("doc_id").to_pylist()
        story = next(story for place in lake.locate(document) if (story := about(lake, place))["dataset"].startswith("corpus"))
        assert story["signals"]["contamination"]["items"] == 1 and story["went_to"] is not None
        assert story["examined"] == [f"bench.mill, item {story['signals']['contamination']['item']} (verbatim, score 1): {MILL[0][0]}"]


def test_what_is_told_in_other_words_is_told_of_and_bounded_by_nothing(home: Path) -> None:
    meaning(home / "meaning")
    docs = [json.loads(line) for line in (home / "docs.jsonl").read_text(encoding="utf-8").splitlines()]
    docs[9]["text"] += f"\n\n{TOLD}\n\n{PLAIN}"
    lines(home / "docs.jsonl", docs)
    stage = "{contamination.spans: {against: [bench.*], soft: ./meaning}}"
    with Lake.open(home / "lake", create=True) as lake:
        said = ran(lake, recipe(home, stages=stage, policy="dropped"))
        assert "tokens planned" in said["mix.base"] and lake.snapshot("corpus").kept == 10
        told = contamination(lake, "corpus")
        assert [(row["benchmark"], row["matched"], row["standing"], row["soft"]) for row in told["datasets"]] == [
            ("bench.code@v1", 1, 0, 0), ("bench.mill@v1", 1, 0, 1),
        ]  # fmt: skip
        (near,) = told["soft"]
        item = lake.rows(f"SELECT doc_id FROM data.\"bench.mill\" WHERE text = '{MILL[0][0]}'")[0]["doc_id"]
        assert near == {"dataset": "corpus@v1", "benchmark": "bench.mill", "item": item, "documents": 1, "cosine": near["cosine"]} and near["cosine"] > 0.7
        assert [one["item"] for one in told["examples"] if one["kind"] == "soft"] == [item]
        write(told, home / "told.html")
        document = lake.query("SELECT doc_id FROM data.corpus WHERE contamination.soft >= 0.7").column("doc_id").to_pylist()
        stories = [about(lake, place) for place in lake.locate(document[0]) if place.dataset == "corpus"]
        (line,) = stories[0]["near_items"]
        assert len(document) == 1 and line.startswith(f"bench.mill, item {item} (cosine 0.") and line.endswith(MILL[0][0]) and stories[0]["examined"] == []
        (home / "policies/softly.yaml").write_text('drop:\n  contaminated: "contamination.items > 0"\ncut: [contamination.soft_spans]\n', encoding="utf-8")
        ran(lake, recipe(home, stages=stage, policy="softly"))
        assert [row["soft"] for row in contamination(lake, "corpus")["datasets"]] == [0, 0] and lake.snapshot("corpus").kept == 10
        ran(lake, recipe(home, policy="dropped"))
        assert {row["soft"] for row in contamination(lake, "corpus")["datasets"]} == {None}
    assert "Near items in other words" in (page := (home / "told.html").read_text(encoding="utf-8")) and "how many sacks does a miller grind" in page
    with pytest.raises(InputError, match="no model can be read there"), Lake.open(home / "lake") as lake:
        ran(lake, recipe(home, stages=stage.replace("./meaning", "./gone"), policy="dropped"))


def test_the_model_of_soft_matches_is_a_part_or_the_lakes_and_of_word_vectors(home: Path) -> None:
    stage = "{contamination.spans: {against: [bench.*], soft: meaning}}"
    text = Path(recipe(home, stages=stage)).read_text(encoding="utf-8")
    for fit, line in (("embed", None), ("texts", r"soft: meaning is a language model, and a model of word vectors is wanted here")):
        path = home / f"{fit}.yaml"
        path.write_text(text.replace("curate:", f'quality:\n  meaning: {{{fit}: "SELECT doc_id, text FROM data.docs"}}\ncurate:', 1), encoding="utf-8")
        if line is None:
            assert {"quality.meaning", "ingest.mill"} <= set(load(path).part("curate.corpus").needs) and not load(path).part("curate.corpus").lake_models
            assert not load(recipe(home)).part("curate.corpus").lake_models
        else:
            with pytest.raises(RecipeError, match=line):
                load(path)
    with Lake.open(home / "lake", create=True) as lake, pytest.raises(RecipeError, match="there is no model 'meaning'"):
        ran(lake, recipe(home, stages=stage))
