"""Recipes: what is refused, in which words; how names are found; how sizes are written."""

from pathlib import Path

import pytest

from catalog.errors import RecipeError
from catalog.recipe import load
from catalog.stage import bind, find
from catalog.written import share, size

HOUSE = Path(__file__).resolve().parent.parent
HEAD = "name: x\nseed: 1\nlake: lake\n"


def written(folder: Path, body: str, head: str = HEAD) -> Path:
    file = folder / "r.yaml"
    file.write_text(head + body, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("text", "count"), [("400k", 400_000), ("1.5B", 1_500_000_000), ("2GB", 2_000_000_000), ("64KiB", 65536), (300, 300), ("7M", 7_000_000), ("1T", 10**12)]
)
def test_sizes_are_written_as_people_write_them(text: str | int, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize("text", ["", "k", "4 0k", "-3", "12 apples", None, 1.5j])
def test_a_size_that_does_not_parse_is_refused(text: object) -> None:
    with pytest.raises(RecipeError, match="is not a size"):
        size(text)


def test_shares() -> None:
    assert share("5%") == 0.05
    assert share(".25") == 0.25
    for bad in ("120%", -0.1, "some"):
        with pytest.raises(RecipeError):
            share(bad)


@pytest.mark.parametrize("recipe", sorted([*HOUSE.glob("recipes/*.yaml"), *HOUSE.glob("recipes/starts/*.yaml")]), ids=lambda p: p.stem)
def test_every_shipped_recipe_loads(recipe: Path) -> None:
    found = load(recipe)
    order = [p.id for p in found.parts]
    for part in found.parts:
        assert all(order.index(need) < order.index(part.id) for need in part.needs)


def test_a_knob_with_a_typo_names_the_file_the_line_and_the_nearest(tmp_path: Path) -> None:
    body = "train:\n  t: {act: dpo, from: somewhere, on: {prefs: 1},\n    bata: 0.3}\n"
    with pytest.raises(RecipeError, match=r"r\.yaml:\d+: trainer\.dpo:act has no knob 'bata'; did you mean 'beta'\?"):
        load(written(tmp_path, body))


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("ingst: {}\n", "r.yaml:4: unknown key 'ingst'; did you mean 'ingest'?"),
        ("ingest:\n  a: {wrac: {paths: [x]}}\n", "r.yaml:5: ingest has no source 'wrac'; did you mean 'warc'?"),
        ("ingest:\n  a: {warc: {paths: [x]}, domian: web}\n", "r.yaml:5: ingest.a: unknown key 'domian'; did you mean 'domain'?"),
        ("ingest:\n  a: {warc: {}}\n", "r.yaml:5: warc needs paths: a list of files or patterns"),
        ("curate:\n  c: {from: [a], stages: [gofer.signals]}\n", "curate has no 'gofer.signals'; did you mean 'gopher.signals'?"),
        ("curate:\n  c: {from: [a], stages: [gopher.signal]}\n", "curate.gopher has no 'signal'; did you mean 'signals'?"),
        ("curate:\n  c: {stages: []}\n", "r.yaml:5: curate.c needs from: the datasets to judge"),
        ("mix:\n  m: {from: c, budget: lots, weights: {a: 1}}\n", "r.yaml:5: 'lots' is not a size; write 400k, 1.5B or 2GB"),
        ("mix:\n  m: {from: c, budget: 1k}\n", "r.yaml:5: mix.m needs either weights: or phases:"),
        ("train:\n  t: {act: sfft, from: a, on: {b: 1}}\n", "trainer has no 'sfft.act'"),
        ("quality:\n  q: {positive: SELECT 1}\n", "r.yaml:5: quality.q: positive: needs negative: beside it, a SELECT too"),
        ("curate:\n  c: {from: c, stages: [{quality.score: {}}]}\n",
         "r.yaml:5: curate.quality:score needs model: the name of a part of `quality:`, or of one that `headrace train-quality NAME` made; `make quality`"),
        ("", "r.yaml:1: no part: a recipe needs at least one of"),
        ("name: y\ncurate:\n  c: {from: [a]}\n", "r.yaml:4: 'name' stands twice; keep one"),
        ("curate: [1\n", "r.yaml:5: not YAML"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, body: str, line: str) -> None:
    with pytest.raises(RecipeError) as error:
        load(written(tmp_path, body))
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_parts_that_need_each_other_are_refused(tmp_path: Path) -> None:
    body = "synth:\n  a: {from: b, write: pairs.likelihood, model: m}\n  b: {from: a, write: pairs.likelihood, model: m}\n"
    with pytest.raises(RecipeError, match="need each other"):
        load(written(tmp_path, body))


def test_settings_override_one_value_and_refuse_unknown_trails(tmp_path: Path) -> None:
    recipe = load(HOUSE / "recipes/demo.yaml", ["train.base.precision=fp32", "seed=8"])
    assert recipe.seed == 8
    assert recipe.part("train.base").given["precision"] == "fp32"
    with pytest.raises(RecipeError, match="did you mean 'train'"):
        load(HOUSE / "recipes/demo.yaml", ["trian.base.precision=fp32"])


def test_a_digest_changes_with_the_seed_and_the_knobs_alone() -> None:
    first, second = (load(HOUSE / "recipes/demo.yaml", s) for s in ([], ["train.base.precision=fp32"]))
    differing = [p.id for p in first.parts if first.digest(p) != second.digest(second.part(p.id))]
    assert differing == ["train.base"]


def test_knobs_are_checked_against_the_signature_without_importing() -> None:
    target = find("catalog", "written.size")
    assert target.path == "catalog.written:size"
    with pytest.raises(RecipeError, match="has no knob 'wher'"):
        bind(target, {"wher": 1}, "here: ")


def test_a_knob_that_names_a_file_does_so_from_the_recipes_folder(tmp_path: Path) -> None:
    recipe = tmp_path / "deep" / "r.yaml"
    recipe.parent.mkdir()
    recipe.write_text(
        "name: x\nseed: 1\nlake: lake\ningest: {a: {tables: {paths: [a.jsonl]}, domain: web}}\n"
        "curate: {c: {from: a, stages: [{optout.listed: {hosts: ../out.csv}}, {wordlist.listed: {lists: {en: en.txt, de: 'some_package:de.txt'}}}, "
        "{urls.listed: {lists: {ours: /lists/ours}}}]}}\n", encoding="utf-8",
    )  # fmt: skip
    knobs = [stage.bound.knobs for part in load(recipe).parts for stage in part.stages]
    assert knobs[0] == {"hosts": str(tmp_path / "out.csv")} and knobs[2]["lists"] == {"ours": "/lists/ours"}
    assert knobs[1]["lists"] == {"en": str(tmp_path / "deep" / "en.txt"), "de": "some_package:de.txt"}


SHARED = """ingest:
  a: {tables: {paths: [a.jsonl]}, domain: web}
  b: {tables: {paths: [b.jsonl]}, domain: web}
mix:
  m: {from: a, budget: 1k, weights: {web: 1}, held_out: [b, far@v2], seed: 3, tokenizer: {train: {vocab: 512, on: [b]}}}
train:
  t: {act: pretrain, mix: m, model: tiny, seed: 5}
"""


def test_a_mix_waits_for_what_it_holds_out_and_for_what_its_tokenizer_is_trained_on(tmp_path: Path) -> None:
    part = load(written(tmp_path, SHARED)).part("mix.m")
    assert (part.needs, part.lake_needs) == (("ingest.a", "ingest.b"), ("far@v2",))
    assert (part.given["held_out"], part.given["hold_out"], part.given["seed"]) == (["b", "far@v2"], 1.0, 3)


def test_a_seed_of_its_own_makes_another_part(tmp_path: Path) -> None:
    digests = set()
    for body in (SHARED, SHARED.replace("seed: 3", "seed: 4"), SHARED.replace("seed: 5", "seed: 6")):
        recipe = load(written(tmp_path, body))
        digests.add((recipe.digest(recipe.part("mix.m")), recipe.digest(recipe.part("train.t"))))
    assert len(digests) == 3


@pytest.mark.parametrize(("right", "wrong", "says"), [
    ("seed: 3", "seed: -3", r"r\.yaml:8: seed: -3 is not a whole number from 0"),
    ("seed: 5", "seed: five", r"r\.yaml:10: seed: 'five' is not a whole number from 0"),
    ("held_out: [b, far@v2]", "held_out: {b: 1}", r"r\.yaml:8: held_out: \{'b': 1\} is not a name or a list of names"),
    ("held_out: [b, far@v2]", "hold_out: 100%", r"nothing is left to train on"),
    ("on: [b]", "on: 3", r"r\.yaml:8: on: 3 is not a name or a list of names"),
])
def test_what_a_shared_hold_out_may_be(tmp_path: Path, right: str, wrong: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        load(written(tmp_path, SHARED.replace(right, wrong)))
