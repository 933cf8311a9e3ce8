"""`headrace ablate`: variants of one text compared end to end, killed in the middle and gone on with; and what it refuses."""

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from demo_run import Said, headrace
from river_making import PATIENCE, Run, kill, prose, run

from catalog.errors import InputError, UserError
from catalog.lake import Lake
from catalog.recipe import load
from headrace.ablating import Asked, as_options, designed, refuse_short, slugs
from headrace.ablating import ablate as begin
from headrace.river import Options, work_left
from mixer.mixture import Phase, Supply, check_supply

HOSTS, GOOD, BAD = 40, 360, 240
RECIPE = """name: variants
seed: 3
lake: lake
ingest:
  notes: {tables: {paths: [notes.jsonl]}, domain: web}
  few:   {tables: {paths: [few.jsonl]}, domain: books}
  chats: {tables: {paths: [chats.jsonl], as: chat}}
curate:
  raw: {from: notes}
  corpus_plain: {from: notes}
  corpus: {from: notes, stages: [language.identify, gopher.signals], dedup: {exact: {}}, policy: [plain, strict]}
"""
SMALL = ("--seeds", "2", "--budget", "20k", "--context", "64", "--vocab", "512", "--set", "precision=fp32", "--set", "threads=1", "--set", "batch=8")


def babble(name: str) -> str:
    """Words that nobody wrote: letters by chance."""
    dice = random.Random(name)
    return " ".join("".join(dice.choices("bcdfghjklmnpqrstvwxz", k=dice.randint(3, 9))) for _ in range(120))


def write_notes(home: Path) -> None:
    """Good text and bad from the same hosts; the policy `plain` drops the bad, `strict` keeps next to nothing."""
    good = [{"text": prose(f"good {i}"), "uri": f"https://h{i % HOSTS}.example/{i}"} for i in range(GOOD)]
    bad = [{"text": babble(f"bad {i}"), "uri": f"https://h{i % HOSTS}.example/bad/{i}"} for i in range(BAD)]
    chat = {"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "The miller."}]}
    for name, rows in (("notes", good + bad), ("few", [{"text": prose("few"), "uri": "https://few.example/1"}]), ("chats", [chat])):
        (home / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (home / "policies").mkdir()
    (home / "policies" / "plain.yaml").write_text('drop:\n  babble: "gopher.stop_words < 2"\nkeep: [length(text) DESC]\n', encoding="utf-8")
    (home / "policies" / "strict.yaml").write_text('drop:\n  short: "gopher.n_words < 100000"\n', encoding="utf-8")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with three variants of one text."""
    home = tmp_path_factory.mktemp("ablate")
    write_notes(home)
    (home / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    run(home / "recipe.yaml", home / "lake")
    return home / "lake"


def ablate(lake: Path, *arguments: str, code: int = 0) -> Said:
    said = headrace("ablate", *arguments, "--lake", lake, timeout=PATIENCE * 3)
    assert said.code == code, (said.code, said.err[-4000:])
    return said


class Ablation(Run):
    """A `headrace ablate` at work: as a run of a recipe, but that it is asked for otherwise."""

    def __post_init__(self) -> None:
        self.log = self.lake.with_name(f"{self.lake.name}-{self.mark}.err")
        command = [sys.executable, "-m", "headrace", "ablate", *self.arguments, "--lake", str(self.lake)]
        with open(self.log, "wb") as log:
            environment = {**os.environ, "HEADRACE_TEST_MARK": self.mark}
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, env=environment)


MISTAKES: list[tuple[tuple[str, ...], dict[str, Any], str]] = [
    (("raw",), {}, "ablate raw: name two variants or more"),
    (("raw", "corpsu"), {}, "the lake has no dataset 'corpsu'; did you mean 'corpus'?"),
    (("raw", "corpus/stric"), {}, "has no policy 'stric'; did you mean 'strict'?"),
    (("raw", "corpus@v9"), {}, "corpus has no version 'v9'"),
    (("raw", "corpus", "corpus/plain"), {}, "corpus and corpus/plain are the same text"),
    (("raw", "raw@v1"), {}, "raw and raw@v1 are the same text, raw@v1"),
    (("raw", "chats"), {}, "chats holds chats; a model is pre-trained on documents"),
    (("raw", "corpus/strict"), {}, "nothing is kept of corpus/strict@v1; look at what its policy drops"),
    (("raw", "few"), {}, "no domain is in every variant (raw@v1 has web; few@v1 has books)"),
    (("raw", "corpus"), {"model": "tinny"}, "--model tinny: no such preset; did you mean 'tiny'?"),
    (("raw", "corpus"), {"seeds": 0}, "--seeds 0: at least 1"),
    (("raw", "corpus"), {"confidence": "95"}, "--confidence: '95' is not between 0 and 100%"),
    (("raw", "corpus"), {"confidence": "20%"}, "--confidence 20%: write 50% or more"),
    (("raw", "corpus"), {"weights": "equal"}, "--weights equal: write same, natural, or domains with shares"),
    (("raw", "corpus"), {"weights": "web=lots"}, "'lots' is not a share"),
    (("raw", "corpus"), {"settings": ("bacth=8",)}, "no knob 'bacth'; did you mean 'batch'?"),
    (("raw", "corpus"), {"settings": ("seed=8",)}, "--set seed=8: seed is what an ablation sets itself"),
    (("raw", "corpus"), {"settings": ("batch",)}, "--set batch: write KNOB=VALUE"),
    (("raw", "corpus"), {"budget": "lots"}, "'lots' is not a size"),
    (("raw", "corpus"), {"held_out": "cropus"}, "no dataset 'cropus'; did you mean 'corpus'?"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("variants", "knobs", "says"), MISTAKES, ids=[says for _, _, says in MISTAKES])
def test_a_mistake_is_said_before_anything_is_begun(lake: Path, variants: tuple[str, ...], knobs: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError) as found:
        begin(str(lake), Asked(variants, **knobs), False, 60.0)
    assert says in str(found.value), str(found.value)
    assert not list(lake.glob("runs/train.*"))


def test_names_that_fall_together_are_told_apart() -> None:
    names = ["corpus/strict@v1", "corpus_strict@v1", "corpus-strict@v1", "corpus/strict@v3", "0.raw@v1"]
    found = slugs(names)
    assert found == {**found, "corpus/strict@v3": "corpus_strict_v3", "0.raw@v1": "d0_raw_v1"} and len(set(found.values())) == len(names)
    assert all(re.fullmatch("corpus_strict_v1_[0-9a-f]{6}", found[name]) for name in names[:3])
    assert slugs(names[:1]) == {"corpus/strict@v1": "corpus_strict_v1"} and slugs(names[2::-1]) == {name: found[name] for name in names[2::-1]}


@pytest.mark.slow
def test_a_policy_and_a_dataset_of_one_slug_are_two_variants(lake: Path, tmp_path: Path) -> None:
    with Lake.open(lake) as opened:
        design = designed(opened, Asked(("corpus/plain", "corpus_plain"), seeds=1))
    assert [label for label, _ in design.runs.values()] == ["corpus/plain", "corpus_plain"]
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(design.recipe), encoding="utf-8")
    parts = load(tmp_path / "recipe.yaml", (), str(lake)).parts
    assert [part.given["from"] for part in parts if part.section == "mix"] == [["corpus/plain@v1"], ["corpus_plain@v1"]]


@pytest.mark.slow
def test_a_mistake_on_the_command_line_is_one_line(lake: Path) -> None:
    said = ablate(lake, "raw", "corpsu", code=2)
    assert said.err == "headrace: the lake has no dataset 'corpsu'; did you mean 'corpus'?\n"


def test_what_would_mend_a_shortage_is_said_in_options() -> None:
    with pytest.raises(InputError) as short:
        check_supply([Supply("web", 10, 1000, 10)], [Phase(100, (1.0,))], 100, 2, "mix.a: ")
    assert "max_epochs is 2: give --max-epochs 10, or" in as_options(str(short.value)) and "; give --budget 2.00k, or bring" in as_options(str(short.value))


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "says"), [
    (("--budget", "5M", "--context", "64", "--vocab", "512"), "give --budget "),
    (("--weights", "books=1", "--context", "64", "--vocab", "512"), "no source 'books'"),
    (("--held-out", "few", "--hold-out", "50%", "--context", "64", "--vocab", "512"), "no document of the domains mixed is kept by few"),
])
def test_text_that_does_not_suffice_is_said_before_anything_is_trained(lake: Path, arguments: tuple[str, ...], says: str) -> None:
    said = ablate(lake, "raw", "corpus", *arguments, code=2)
    assert says in said.err.splitlines()[-1], said.err
    assert not list(lake.glob("runs/train.*"))


@pytest.mark.slow
def test_a_budget_that_no_tokenizer_can_bear_is_refused_before_any_part_runs(lake: Path) -> None:
    before = [*lake.glob("models/*"), *lake.glob("shards/*"), *lake.glob("jobs/*"), *lake.glob("runs/mix.*")]
    said = ablate(lake, "raw", "corpus", "--budget", "50M", "--context", "64", "--vocab", "512", code=2)
    (line,) = said.err.splitlines()
    assert line.startswith("headrace: raw@v1: tokens estimated from bytes: web is short: ") and "; give --budget " in line
    assert [*lake.glob("models/*"), *lake.glob("shards/*"), *lake.glob("jobs/*"), *lake.glob("runs/mix.*")] == before


@pytest.mark.slow
def test_a_budget_that_may_not_suffice_is_told_and_one_that_does_is_not(lake: Path, tmp_path: Path) -> None:
    def told(budget: int) -> list[str]:
        with Lake.open(lake) as opened:
            design = designed(opened, Asked(("raw", "corpus"), seeds=2, budget=str(budget), context=64, vocab="512"))
            (tmp_path / "told.yaml").write_text(yaml.safe_dump(json.loads(json.dumps({**design.recipe, "lake": str(lake)}))), encoding="utf-8")
            recipe = load(tmp_path / "told.yaml")
            todo, keys = work_left(recipe, opened, Options(recipe=recipe.path))
            return refuse_short(recipe, opened, keys, todo)

    size = sum(len(prose(f"good {i}").encode()) for i in range(GOOD))
    assert told(20_000) == []
    lines = told(size * 2)                                   # the good alone: twice what four epochs give by its bytes, half of what they could
    assert [line.partition(": web is short: ")[0] for line in lines] == [f"{name}@v1: may not suffice, by its bytes" for name in ("corpus", "raw")], lines
    with Lake.open(lake) as opened:                          # one that reads documents again has counted more than there is
        opened.record(
            {"mixture": [{"mixture": "n", "lock": "k", "snapshots": "raw@v1", "kind": "lm", "tokens": 1, "rehydrate": "{}"}],
             "mixture_source": [{"mixture": "n", "lock": "k", "source": "web", "available": size}]}, "run-y",
        )  # fmt: skip
    assert told(size * 2) == lines
    with Lake.open(lake) as opened:                          # what a mixture counted is no guess
        opened.record(
            {"mixture": [{"mixture": "m", "lock": "l", "snapshots": "raw@v1", "kind": "lm", "tokens": 1}],
             "mixture_source": [{"mixture": "m", "lock": "l", "source": "web", "available": size}]}, "run-x",
        )  # fmt: skip
    assert [line.partition("@")[0] for line in told(size * 2)] == ["corpus"]


@pytest.fixture(scope="module")
def done(lake: Path) -> dict[str, Any]:
    """An ablation that was killed when its first model was there, and done at the second asking."""
    arguments = ("raw", "corpus", *SMALL)
    with Ablation(lake, lake, arguments) as running:
        running.until(lambda: any(lake.glob("runs/train.*/done.json")))
        kill(running.process.pid)
        running.wait()
        assert running.gone(), "a process of the run outlived it"
    first = {str(file): file.stat().st_ino for file in lake.glob("runs/train.*/done.json")}
    table = ablate(lake, *arguments)
    found: dict[str, Any] = json.loads(ablate(lake, *arguments, "--json").out)
    return {**found, "first": first, "table": table.out}


@pytest.mark.slow
@pytest.mark.chaos
def test_a_killed_ablation_goes_on_and_trains_nothing_twice(done: dict[str, Any], lake: Path) -> None:
    assert done["first"] and {path: Path(path).stat().st_ino for path in done["first"]} == done["first"]
    assert len(list(lake.glob("runs/train.*/done.json"))) == 4


@pytest.mark.slow
def test_good_text_is_found_to_be_better(done: dict[str, Any]) -> None:
    told = {(one["variant"], one["domain"]): one for one in done["results"]}
    assert list(told) == [("raw", "all"), ("raw", "web"), ("corpus", "all"), ("corpus", "web")]
    better = told["corpus", "all"]
    assert better["verdict"] == "better" and better["low"] < better["difference"] < better["high"] < 0
    assert better["units"] >= 2 and better["seeds"] == 2
    assert told["raw", "all"]["bits_per_byte"] + better["difference"] == pytest.approx(better["bits_per_byte"])
    assert "better" in done["table"] and "what they were trained on" in done["table"]


@pytest.mark.slow
def test_all_saw_as_much_and_were_judged_on_the_same_text_that_none_saw(done: dict[str, Any], lake: Path) -> None:
    assert {run["tokens"] for run in done["runs"]} == {20_000 // 64 * 64}
    locks = [json.loads(file.read_text(encoding="utf-8")) for file in lake.glob("runs/train.*/lock.json")]
    assert len({json.dumps(lock["held_out"]) for lock in locks}) == 1 and len({lock["tokenizer"] for lock in locks}) == 1
    assert sorted(lock["seed"] for lock in locks) == [1, 1, 2, 2]
    with Lake.open(lake) as opened:
        acts = [json.loads(file.read_text(encoding="utf-8")) for file in lake.glob("runs/train.*/act.json")]
        assert sorted(act["seed"] for act in acts) == [1, 1, 2, 2]
        recorded = opened.rows("SELECT variant, domain, difference, verdict FROM ablation_result WHERE domain = 'all' ORDER BY variant")
        assert [(row["variant"], row["verdict"]) for row in recorded] == [("corpus", "better"), ("raw", "baseline")]
        whole = opened.rows("SELECT variants, against, seeds, held_out_documents, confidence FROM ablation")
        assert whole == [{"variants": "raw, corpus", "against": "raw", "seeds": 2, "held_out_documents": done["held_out_documents"], "confidence": 0.95}]
        scores = opened.rows("SELECT count(*) AS n FROM eval_result WHERE task = 'bits_per_byte' AND domain = 'all'")
        assert scores == [{"n": 4}]


@pytest.mark.slow
def test_its_folder_holds_the_recipe_the_plot_and_the_figures(done: dict[str, Any], lake: Path) -> None:
    folder = lake / done["folder"]
    assert load(folder / "recipe.yaml").lake == str(lake)
    assert (folder / "ablation.svg").read_text(encoding="utf-8").count("<svg") == 1
    assert json.loads((folder / "ablation.json").read_text(encoding="utf-8"))["key"] == done["key"]


@pytest.mark.slow
def test_the_same_runs_compared_the_other_way_round_train_nothing(done: dict[str, Any], lake: Path) -> None:
    said = json.loads(ablate(lake, "corpus", "raw", "--tokenizer", "raw", *SMALL, "--json").out)
    theirs, ours = said["results"][2], done["results"][2]
    assert (theirs["variant"], theirs["verdict"], theirs["difference"]) == ("raw", "worse", pytest.approx(-ours["difference"]))
    assert len(list(lake.glob("runs/train.*/done.json"))) == 4


@pytest.mark.slow
def test_another_confidence_is_another_finding_of_the_same_runs(done: dict[str, Any], lake: Path) -> None:
    said = ablate(lake, "raw", "corpus", *SMALL, "--confidence", "99%", "--json")
    wider = {(one["variant"], one["domain"]): one for one in json.loads(said.out)["results"]}["corpus", "all"]
    narrow = {(one["variant"], one["domain"]): one for one in done["results"]}["corpus", "all"]
    assert wider["low"] < narrow["low"] and wider["high"] > narrow["high"]
    assert len(list(lake.glob("runs/train.*/done.json"))) == 4, "nothing was trained for it"
