"""A real standalone cluster, one master and two workers on loopback: the driver starts in a foreign folder, and what the
executors know of headrace is what was shipped. The whole demo corpus goes this way too, by the recipe."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from demo_run import DEMO, Said
from launcher_making import shell, write_command
from river_making import differences, tables

from catalog.schema import DOCUMENT
from catalog.stage import HOUSE
from curate.corpus import to_dict
from headrace.handbook import functions
from headrace.ship import ship_rooms
from tests.cluster_driver import Asked, curate
from tests.spark_making import SECRET, Cluster, corpus, standalone
from tests.test_curate_golden import PAGES, made_models, placed, read
from tests.test_curate_golden import STAGES as GOLDEN

pytestmark = [pytest.mark.spark, pytest.mark.slow]

POLICY = """
drop:
  too_short: "gopher.n_words < 20"
  repeats: "gopher.dup_line_chars > 0.5"
keep: [length(text) DESC]
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with standalone(tmp_path_factory.mktemp("cluster")) as running:
        yield running


def drive(cluster: Cluster, start: Path, **order: Any) -> "subprocess.Popen[bytes]":
    """Start a driver whose current folder holds nothing of ours; only the driver itself is told where the house is."""
    start.mkdir(exist_ok=True)
    full = {"master": cluster.master, "conf": {**cluster.conf, "spark.executor.memory": "800m"}, "ship": True, "extra": [], **order}
    (start / "order.json").write_text(json.dumps(full))
    command = [sys.executable, str(HOUSE / "tests" / "cluster_driver.py"), str(start / "order.json"), str(start / "answer.json")]
    with open(start / "log", "wb") as log:
        return subprocess.Popen(command, cwd=start, env={**os.environ, "PYTHONPATH": str(HOUSE)}, stdout=log, stderr=log)


def answer(driver: "subprocess.Popen[bytes]", folder: Path) -> dict[str, Any]:
    assert driver.wait(400) == 0, (folder / "log").read_text(errors="replace")[-3000:]
    told: dict[str, Any] = json.loads((folder / "answer.json").read_text())
    return told


def texts() -> list[dict[str, Any]]:
    """300 pages: prose, exact copies, near copies, short ones."""
    import random

    draw = random.Random(5)
    lexicon = [f"w{i:03d}" for i in range(900)]
    pages = [" ".join(draw.choice(lexicon) for _ in range(draw.randrange(10, 260))) for _ in range(200)]
    near = []
    for page in pages[:80]:
        words = page.split(" ")
        words[draw.randrange(len(words))] = "changed"
        near.append(" ".join(words))
    rows = [*pages, *near, *pages[100:120]]
    draw.shuffle(rows)
    return [{"text": text, "uri": f"https://h{i % 9}.example/{i}"} for i, text in enumerate(rows)]


def golden(folder: Path) -> tuple[list[dict[str, Any]], Asked]:
    """The pages whose signals were counted by hand, as documents, and every stage of theirs with its knobs; files and models go to `folder`."""
    rows, knobs = [], {}
    made_models(folder)
    for page in map(read, PAGES):
        for name, content in page.get("files", {}).items():
            (folder / name).write_text(content, encoding="utf-8")
        if page["text"]:
            rows.append({"text": page["text"], **{name: value for name, value in page.get("row", {}).items() if name in DOCUMENT.names}})
        knobs |= {family: placed(given, folder) for family, given in page.get("knobs", {}).items()}
    names = {target.path: name for name, target, _ in functions("Stages", "curate")}
    asked = [(names[target.path], family.replace(".", "_"), knobs.get(family, {})) for family, target in GOLDEN.items()]
    early = ("language", "quality", "statistics", "perplexity")                                     # what others read
    asked.append(("quality.score", "quality_edu", knobs["quality"]))
    return rows, sorted(asked, key=lambda stage: not stage[1].startswith(early))


def test_the_cluster_and_this_machine_make_the_same_tables(cluster: Cluster, tmp_path: Path) -> None:
    """Every family there is."""
    pages, stages = golden(tmp_path)
    assert len(pages) > 25
    files = corpus(tmp_path / "lake", [*texts(), *pages], files=5)
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    asked = {"files": [to_dict(file) for file in files], "folder": str(tmp_path / "lake/annotations/there/run"), "policy": str(policy), "stages": stages}
    there = answer(drive(cluster, tmp_path / "elsewhere", **asked), tmp_path / "elsewhere")
    here = curate(files, str(tmp_path / "lake/annotations/here/run"), str(policy), stages, workers=0)
    assert "error" not in there, there
    assert {name: there[name] for name in ("metrics", "kept", "reasons")} == {name: here[name] for name in ("metrics", "kept", "reasons")}
    assert there["metrics"]["exact_pairs"] == 20 and there["metrics"]["minhash_pairs"] > 50 and there["reasons"]["duplicate"] > 60
    assert there["quarantine"] == here["quarantine"] == []
    assert set(there["paths"]) == {"dup", "verdict", *(family for _, family, _ in stages)} and len(there["paths"]) > 28
    assert any(family == "contamination" and "soft" in knobs for _, family, knobs in stages), "evaluation items by words and by vectors are among them"
    for name in there["paths"]:
        for ours, theirs in zip(here["paths"][name], there["paths"][name], strict=True):
            assert Path(ours).name == Path(theirs).name, "the same file has the same address wherever it was annotated"
            for a, b in ((ours, theirs), (theirs, ours)):
                left = duckdb.sql(f"FROM ({rows_of(a, name)}) EXCEPT ALL FROM ({rows_of(b, name)})")
                assert left.fetchall() == []


def rows_of(path: str, name: str) -> str:
    return f"SELECT file_row_number, {name} FROM read_parquet('{path}', file_row_number=true)"


SLOW_TASKS = """
import os, time
def nap(task):
    open(f"{task['path']}.{os.getpid()}", "w").close()
    time.sleep(1.5)
    import catalog
    return {"n": task["n"], "catalog": catalog.__file__}
"""


def test_code_reaches_executors_by_shipping_alone(cluster: Cluster, tmp_path: Path) -> None:
    bare = drive(cluster, tmp_path / "bare", ship=False, function="catalog.tasks:name_of", tasks=[{"name": "x"}])
    kind, text = answer(bare, tmp_path / "bare")["error"]
    assert kind == "WorkError" and "headrace.ship.send" in text


def test_a_lost_executor_is_made_good(cluster: Cluster, tmp_path: Path) -> None:
    """Kill the process of an executor while tasks run: every task lands, each once."""
    module = tmp_path / "slow_tasks.py"
    module.write_text(SLOW_TASKS)
    tasks = [{"name": f"t{i}", "n": i, "path": str(tmp_path / f"started-{i}")} for i in range(12)]
    folder = tmp_path / "driven"
    driver = drive(cluster, folder, function="slow_tasks:nap", tasks=tasks, extra=[str(module)])
    end = time.monotonic() + 120
    while not list(tmp_path.glob("started-*")):
        assert time.monotonic() < end and driver.poll() is None, (folder / "log").read_text(errors="replace")[-3000:]
        time.sleep(0.1)
    victim = executors(cluster)[0]
    os.kill(victim, signal.SIGKILL)
    told = answer(driver, folder)
    assert "error" not in told, told
    assert sorted(result["n"] for result in told["results"]) == list(range(12))
    assert all("headrace-" in result["catalog"] and ".zip" not in result["catalog"] for result in told["results"]), "code ran from the shipped house, unpacked"


def executors(cluster: Cluster) -> list[int]:
    """Processes of this cluster's executors: children of its workers."""
    workers, found = {worker.pid for worker in cluster.workers}, []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent in workers and b"CoarseGrainedExecutorBackend" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def seen(driver: "subprocess.Popen[bytes]", folder: Path, pattern: str) -> Path:
    """Wait until there is a file of this name."""
    end = time.monotonic() + 240
    while not (found := sorted(folder.glob(pattern))):
        assert time.monotonic() < end and driver.poll() is None, pattern
        time.sleep(0.02)
    return found[0]


@pytest.mark.chaos
def test_duplicates_survive_the_driver_and_an_executor(cluster: Cluster, tmp_path: Path) -> None:
    """The driver dies when exact copies are joined and near ones are not; started again, it loses an executor in the middle of that join."""
    files = corpus(tmp_path / "lake", texts(), files=4)
    policy, folder = tmp_path / "policy.yaml", tmp_path / "lake/annotations/there/run"
    policy.write_text("keep: [length(text) DESC]\n")
    order = {"files": [to_dict(file) for file in files], "folder": str(folder), "policy": str(policy), "stages": []}
    driver = drive(cluster, tmp_path / "first", **order)
    seen(driver, folder, "*.work/edges-1-4.spark/_SUCCESS")
    driver.kill()
    driver.wait()
    made = sorted(folder.glob("*.bands-*.parquet"))
    assert not list(folder.glob("*.dup-*.parquet")) and len(made) == 4
    times = [path.stat().st_mtime_ns for path in made]
    driver = drive(cluster, tmp_path / "second", **order)
    seen(driver, folder, "*.work/edges-14-3.spark/_temporary")
    os.kill(executors(cluster)[0], signal.SIGKILL)
    there = answer(driver, tmp_path / "second")
    assert "error" not in there, there
    assert [path.stat().st_mtime_ns for path in made] == times, "no text was hashed twice"
    here = curate(files, str(tmp_path / "lake/annotations/here/run"), str(policy), [], workers=0)
    assert {name: there[name] for name in ("metrics", "kept", "reasons")} == {name: here[name] for name in ("metrics", "kept", "reasons")}
    for name in ("dup", "verdict"):
        pairs = zip(here["paths"][name], there["paths"][name], strict=True)
        assert all(duckdb.sql(f"FROM ({rows_of(a, name)}) EXCEPT ALL FROM ({rows_of(b, name)})").fetchall() == [] for a, b in pairs)


RECIPE = """
name: pages
seed: 1
lake: lake
ingest:
  pages: {tables: {paths: ["*.jsonl"]}, domain: web}
curate:
  corpus:
    from: pages
    stages: [gopher.signals, refinedweb.signals]
    dedup: {exact: {}, minhash: {preset: fineweb, verify: 0.8}}
    policy: plain
"""


def test_the_documented_command_makes_the_tables_of_a_local_run(cluster: Cluster, tmp_path: Path) -> None:
    """The line of docs/cluster.md as it stands there, in a folder of the user's own, with nothing of ours on the path but the command."""
    command, home = write_command(tmp_path), tmp_path / "elsewhere"
    (home / "policies").mkdir(parents=True)
    (home / "policies" / "plain.yaml").write_text(POLICY, encoding="utf-8")
    (home / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    for name, rows in (("a", texts()[:150]), ("b", texts()[150:])):
        (home / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    block = re.findall(r"^```sh\n(.*?)^```", (HOUSE / "docs/cluster.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[0].strip()
    loopback = " ".join(f"--conf {key}=127.0.0.1" for key in ("spark.driver.host", "spark.driver.bindAddress"))
    there = block.replace("spark://HOST:7077", cluster.master) + f" {loopback} --conf spark.executor.memory=800m --lake there"
    assert cluster.master in there and there.startswith("headrace run recipe.yaml ")
    before = applications(cluster)
    done = shell(command, there, cwd=home, SECRET=SECRET)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"starting Spark on {cluster.master}" in done.stderr and applications(cluster) == before + 1
    here = shell(command, "headrace run recipe.yaml --lake here", cwd=home)
    assert here.returncode == 0 and "starting Spark" not in here.stderr, here.stderr[-3000:]
    ours, theirs = tables(home / "here"), tables(home / "there")
    assert ours["audit.corpus"].num_rows == 300 and 180 < ours["data.corpus"].num_rows < 210, "copies and short pages went"
    assert differences(ours, theirs) == {}


def applications(cluster: Cluster) -> int:
    """How many applications the master has seen."""
    return (cluster.folder / "master.Master.log").read_text(encoding="utf-8").count("Registered app headrace with")


CURATED = ("web", "webtext", "books", "code", "papers", "reference", "chats", "pairs", "bench.humaneval", "corpus")


@pytest.mark.vllm  # the demo's own run, which it is compared with, has every part
@pytest.mark.timeout(2400)
def test_the_demo_corpus_by_spark_submit_from_the_zip_alone(cluster: Cluster, demo: tuple[Path, Said], tmp_path: Path) -> None:
    """Nothing of ours is on the path: the zip and its entry, as `headrace ship` writes them, are the whole program, in a folder
    of strangers. What the cluster makes of the corpus is what this machine made of it alone."""
    import pyspark

    ship_rooms(tmp_path / "dist")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [
        Path(pyspark.__file__).parent / "bin/spark-submit", "--master", cluster.master, "--conf", f"spark.authenticate.secret={SECRET}",
        "--conf", "spark.executor.memory=800m", "--py-files", next((tmp_path / "dist").glob("*.zip")),
        tmp_path / "dist/headrace_submit.py", "run", HOUSE / DEMO, "--lake", tmp_path / "lake", "--only", "ingest,curate",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "app headrace_submit.py" in (cluster.folder / "master.Master.log").read_text(), "it ran on the cluster"
    ours, theirs = tables(demo[0], CURATED), tables(tmp_path / "lake", CURATED)
    assert ours["data.corpus"].num_rows > 2000
    assert differences(ours, theirs) == {}
