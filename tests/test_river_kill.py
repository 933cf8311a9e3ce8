"""A run is killed inside each of its parts, and goes on: then the lake is the same as that of a run that nobody killed."""

import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from demo_run import headrace
from river_making import Run, broken, differences, kill, last_job, maps, run, tables, whole_river, write_inputs

from catalog import commits
from catalog.lake import Lake
from catalog.recipe import load
from headrace.jobs import load_jobs
from synth import ledger

pytestmark = [pytest.mark.slow, pytest.mark.chaos, pytest.mark.vllm, pytest.mark.timeout(1800)]

Seen = Callable[[Path, Run], object]
WATCHED: dict[str, tuple[str, str, Seen]] = {
    "a page is being read": ("ingest.web", "child", lambda lake, run: any(lake.glob("data/web/*/.*.tmp"))),
    "a file has landed": ("ingest.web", "run", lambda lake, run: any(lake.glob("data/web/*/*.json"))),
    "a file is scored": ("curate.corpus", "run", lambda lake, run: any(lake.glob("annotations/corpus/*/*.gopher-*.parquet"))),
    "duplicates are known": ("curate.corpus", "child", lambda lake, run: any(lake.glob("annotations/corpus/*/*.dup-*.parquet"))),
    "questions come in": ("synth.qa", "child", lambda lake, run: written(lake) >= 3),
    "answers come in": ("synth.qa", "run", lambda lake, run: written(lake, b"grounded answer") >= 2),
    "pairs come in": ("synth.prefs", "child", lambda lake, run: written(lake, b"likelihood sample") >= 2),
    "words are counted": ("mix.base", "run", lambda lake, run: any(lake.glob("models/*tokenizer-*"))),
    "a step is saved": ("train.base", "child", lambda lake, run: saved(lake) > run.step),
    "more steps are saved": ("train.base", "run", lambda lake, run: saved(lake) > run.step),
    "a model is opened": ("eval.base", "run", lambda lake, run: holds_torch(run)),
}
"""What is seen inside a part, and whether its child or the whole run is killed then."""

FAMILIES = ("language", "gopher", "c4", "pii")

CUT = {
    "ingest.notes": "applied", "ingest.chats": "synced", "ingest.pairs": "applied", "mix.base": "applied",
    "train.chat": "train.step.2", "train.tuned": "train.step.2", "eval.base": "synced",
}  # fmt: skip
"""Parts that kill themselves at a point: the child in the middle of its commit, the trainer in a step. With WATCHED, every part."""


@dataclass
class Event:
    """One kill and what was found after it."""

    part: str
    who: str
    code: int
    said: str
    alone: bool
    state: str
    parts: dict[str, str]
    broken: list[str]
    ledger: int = 0


@dataclass
class History:
    """A lake whose run was killed again and again until it was done."""

    recipe: Path
    lake: Path
    events: dict[str, Event] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)


def written(lake: Path, purpose: bytes = b"") -> int:
    """Completions in the lines of the ledger that a living process writes."""
    return sum(purpose in line for file in lake.glob("ledger/*.jsonl") for line in file.read_bytes().splitlines(keepends=True) if line.endswith(b"\n"))


def saved(lake: Path) -> int:
    """The step of the newest checkpoint of the first training."""
    return max((int(path.name.removeprefix("step-")) for path in lake.glob("runs/train.base-*/checkpoints/step-*")), default=0)


def holds_torch(run: Run) -> bool:
    """Whether the eval part's child has torch in memory: it is past its start and inside the part."""
    return any(maps(pid, "libtorch_cpu") for pid in run.family())


def at_work(lake: Path, run: Run, part: str) -> bool:
    """Whether this very run is inside the part: what an earlier, killed one left behind may look like its work."""
    job = last_job(lake)
    return job.get("pid") == run.process.pid and job["parts"].get(part) == "running"


def after(running: Run, part: str, who: str) -> Event:
    """Wait until a killed run is over and say what it left."""
    code = running.wait()
    alone = running.gone()
    job = load_jobs(str(running.lake))[-1]
    return Event(part, who, code, running.said(), alone, job.state, job.parts, broken(running.lake), ledger.read(running.lake).height)


def watched(history: History, name: str) -> None:
    """Start the recipe, kill what is to be killed when it is seen, and remember what is left."""
    part, who, seen = WATCHED[name]
    with Run(history.recipe, history.lake, step=saved(history.lake)) as running:
        running.until(lambda: at_work(history.lake, running, part) and seen(history.lake, running))
        kill(running.child() if who == "child" else running.process.pid)
        history.events[name] = after(running, part, who)


def cut(history: History, part: str) -> None:
    """Start the recipe with a part that dies at a point of its work."""
    before = commits.current(history.lake)
    only = ("--only", part) if part.startswith("ingest") else ()  # its commit must be the first to come
    with Run(history.recipe, history.lake, only, {"HEADRACE_KILL_AT": CUT[part]}) as running:
        history.events[f"{part} is cut"] = after(running, part, "child")
    if not CUT[part].startswith("train"):
        assert commits.current(history.lake) == before, "a commit that was cut must not be there"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("river")
    write_inputs(folder)
    (folder / "river.yaml").write_text(whole_river(), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def killed(home: Path) -> History:
    """One lake, killed inside every part and at every kind of place, once interrupted, and done at last."""
    history = History(home / "river.yaml", home / "killed")
    for name in ("a page is being read", "a file has landed"):
        watched(history, name)
    history.kept |= {str(file): file.stat().st_ino for file in history.lake.glob("data/web/*/*.parquet")}
    for part in ("ingest.notes", "ingest.chats", "ingest.pairs"):
        cut(history, part)
    for name in ("a file is scored", "duplicates are known"):
        watched(history, name)
    scored = (file for family in FAMILIES for file in history.lake.glob(f"annotations/corpus/*/*.{family}-*.parquet"))
    history.kept |= {str(file): file.stat().st_ino for file in scored}
    for name in ("questions come in", "answers come in", "pairs come in", "words are counted"):
        watched(history, name)
    cut(history, "mix.base")
    watched(history, "a step is saved")
    watched(history, "more steps are saved")
    with Run(history.recipe, history.lake, step=saved(history.lake)) as running:
        running.until(lambda: saved(history.lake) > running.step)
        running.process.send_signal(signal.SIGINT)
        history.events["interrupted"] = after(running, "train.base", "SIGINT")
    cut(history, "train.chat")
    run(history.recipe, history.lake, "--only", "train.chat")
    cut(history, "train.tuned")
    watched(history, "a model is opened")
    cut(history, "eval.base")
    run(history.recipe, history.lake)
    return history


@pytest.fixture(scope="module")
def reference(home: Path, killed: History) -> Path:
    """The lake of an uninterrupted run, given the ledger of the killed one: what was generated once is generated for good."""
    lake = home / "reference"
    shutil.copytree(killed.lake / "ledger", lake / "ledger")
    shutil.copytree(killed.lake / "models", lake / "models", copy_function=os.link, ignore=shutil.ignore_patterns("tokenizer-*", "digests"))
    said = run(killed.recipe, lake)
    assert "loading" not in said, "every completion is in the ledger, so no engine is needed"
    return lake


def test_every_part_is_killed_inside(killed: History) -> None:
    assert {event.part for event in killed.events.values()} == {part.id for part in load(killed.recipe).parts}


EVENTS = [*WATCHED, *(f"{part} is cut" for part in CUT)]


@pytest.mark.parametrize("name", EVENTS)
def test_after_a_kill_the_lake_is_whole(killed: History, name: str) -> None:
    assert killed.events[name].broken == []


@pytest.mark.parametrize("name", EVENTS)
def test_a_kill_is_inside_its_part_and_no_process_outlives_it(killed: History, name: str) -> None:
    event = killed.events[name]
    assert event.alone, "a process of the run was still there after five seconds"
    assert event.parts[event.part] == ("running" if event.who == "run" else "failed"), event.parts
    assert event.state == ("killed" if event.who == "run" else "failed")


@pytest.mark.parametrize("name", [name for name in EVENTS if name not in WATCHED or WATCHED[name][1] == "child"])
def test_a_run_whose_child_was_killed_says_so_in_one_line(killed: History, name: str) -> None:
    event = killed.events[name]
    assert event.code == 1
    assert event.said.splitlines()[-1].startswith(f"headrace: {event.part}: its process was killed by SIGKILL")
    assert "Traceback" not in event.said


def test_what_was_finished_before_a_kill_is_not_done_again(killed: History) -> None:
    """Files keep their inodes: nothing has written them again."""
    assert len([path for path in killed.kept if "/annotations/" in path]) == 4 * len(FAMILIES)
    assert {path: Path(path).stat().st_ino for path in killed.kept} == killed.kept


def test_a_killed_run_asks_only_for_what_was_in_flight(killed: History) -> None:
    files = sorted(killed.lake.glob("ledger/*.parquet"))
    assert sum(pq.read_metadata(file).num_rows for file in files) == ledger.read(killed.lake).height, "a completion was generated twice"
    known = killed.events["answers come in"].ledger
    assert killed.events["questions come in"].ledger < known < ledger.read(killed.lake).height
    with Lake.open(killed.lake) as opened:
        counted = {row["name"]: row["value"] for row in opened.rows("SELECT name, value FROM metric WHERE dataset = 'qa'")}
    assert counted["found"] == known
    asked = sum(purpose.startswith("questions") for purpose in ledger.read(killed.lake)["purpose"])
    assert counted["asked"] == asked - known


def test_ctrl_c_saves_the_step_and_says_one_line(killed: History) -> None:
    event = killed.events["interrupted"]
    assert event.code == 130
    lines = event.said.splitlines()
    assert re.fullmatch(r"  base: stopped after step \d+ of 30, saved; run it again to go on", lines[-2])
    assert lines[-1] == "headrace: interrupted; run the same command to go on where it was"
    assert "Traceback" not in event.said
    assert event.state == "cancelled"
    assert event.parts["train.base"] == "waiting"
    assert event.alone


def test_steps_are_not_walked_twice_after_ctrl_c(killed: History) -> None:
    folder = next(killed.lake.glob("runs/train.base-*"))
    steps = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines() if '"train"' in line]
    assert steps == list(range(1, 31))


def test_the_tables_are_those_of_a_run_that_nobody_killed(killed: History, reference: Path) -> None:
    ours, theirs = tables(killed.lake), tables(reference)
    assert {"data.corpus", "audit.corpus", "audit.qa", "mixture_source", "model", "eval_result"} <= ours.keys()
    assert all(table.num_rows for name, table in ours.items())
    assert differences(ours, theirs) == {}


def test_done_it_is_done_in_both(killed: History, reference: Path) -> None:
    for lake in (killed.lake, reference):
        assert "nothing to do" in run(killed.recipe, lake)


def test_jobs_tells_the_whole_history(killed: History) -> None:
    told = json.loads(headrace("jobs", "--json", "--lake", killed.lake).out)
    states = [row["state"] for row in told]
    assert states.count("killed") == sum(who == "run" for _, who, _ in WATCHED.values())
    assert states.count("failed") == len(EVENTS) - states.count("killed")
    assert (states.count("cancelled"), states[-1]) == (1, "done")


def test_ls_and_sql_answer_at_once_after_a_kill(killed: History, home: Path) -> None:
    """As its user does it, in processes of their own, while the half-done work lies there."""
    with Run(killed.recipe, home / "third") as running:
        running.until(lambda: any((home / "third").glob("data/web/*/*.json")))
        kill(running.process.pid)
        listed = headrace("ls", "--lake", home / "third")
        asked = headrace("sql", "SELECT count(*) AS n FROM funnel", "--format", "json", "--lake", home / "third")
        assert running.gone()
    assert listed.code == 0
    assert json.loads(asked.out) == {"n": 0}
