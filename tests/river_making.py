"""A river of 60 documents: pages, notes, chats and pairs made here, the recipe over them, and how tests watch and kill its runs."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from demo_run import HOME, headrace
from ingest_making import page

from catalog import commits
from catalog.lake import Lake

WHO = ("miller", "lock keeper", "carpenter", "ferryman", "mason", "farmer", "surveyor", "smith", "weaver", "gardener")
DID = ("opened", "mended", "measured", "painted", "watched", "cleaned", "raised", "closed", "tested", "carried")
WHAT = ("the upper sluice", "the wooden wheel", "the stone weir", "the long boat", "the iron gate", "the old bridge", "the narrow canal", "the tall tower")
WHEN = ("before the rain came", "when the river was high", "after the harvest was in", "while the village slept", "as soon as the ice had gone")
WHY = ("because the water stood too low", "since the ropes had grown weak", "so that the mill could turn again", "for the town had asked for it")
JUNK = 2_200_000
"""Bytes of an image in each crawl file: files of this size are landed one by one, so that a run has several tasks."""
PATIENCE = 240.0
"""Seconds until a test gives up waiting: this machine may be busy."""


def sentence(dice: random.Random) -> str:
    return f"The {dice.choice(WHO)} {dice.choice(DID)} {dice.choice(WHAT)} {dice.choice(WHEN)}, {dice.choice(WHY)}."


def prose(name: str, sentences: int = 14) -> str:
    """Plain English of a fixed number of sentences: the same for the same name."""
    dice = random.Random(name)
    lines = [sentence(dice) for _ in range(sentences)]
    return " ".join(lines[: sentences // 2]) + "\n\n" + " ".join(lines[sentences // 2 :])


def pages(crawl: int) -> list[tuple[str, str]]:
    """Twelve pages (URI, text) of a crawl, on four hosts: the last three copy the first of it, exactly, nearly and in parts."""
    found = [(f"http://h{crawl}{number % 4}.example/{number}", prose(f"page {crawl} {number}")) for number in range(9)]
    first = found[0][1]
    near = first.replace("miller", "baker", 1).replace("smith", "cooper", 1)
    copies = [first, near, first[: len(first) // 2] + "\n\n" + prose(f"other {crawl}", 8)]
    return found + [(f"http://copy{crawl}.example/{i}", text) for i, text in enumerate(copies)]


def write_crawl(path: Path, crawl: int) -> None:
    """A WARC file of the pages of a crawl, with an empty page and an image that are refused."""
    dice = random.Random(crawl)
    answers = [(uri, page(f"Page {uri[-1]}", "</p><p>".join(text.split("\n\n"))), "text/html; charset=utf-8") for uri, text in pages(crawl)]
    answers += [(f"http://h{crawl}0.example/empty", b" ", "text/html"), (f"http://h{crawl}0.example/image", dice.randbytes(JUNK), "image/png")]
    with open(path, "wb") as file:
        for uri, body, kind in answers:
            http = b"HTTP/1.1 200 OK\r\nContent-Type: " + kind.encode() + b"\r\n\r\n" + body
            head = {
                "WARC-Type": "response", "WARC-Record-ID": f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, uri)}>", "WARC-Date": f"2026-03-0{crawl}T06:00:00Z",
                "WARC-Target-URI": uri, "Content-Type": "application/http; msgtype=response", "Content-Length": str(len(http)),
            }  # fmt: skip
            lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
            file.write(gzip.compress(f"WARC/1.1\r\n{lines}\r\n".encode() + http + b"\r\n\r\n", 1, mtime=0))


def write_inputs(home: Path) -> None:
    """36 pages in three crawls, 14 notes, 5 chats, 5 pairs: 60 documents."""
    home.mkdir(parents=True, exist_ok=True)
    for crawl in (1, 2, 3):
        write_crawl(home / f"crawl-{crawl}.warc.gz", crawl)
    notes = [{"text": prose(f"note {i}", 10), "uri": f"https://notes.example/{i}", "license": "CC0-1.0"} for i in range(14)]
    asked = [f"What did the {who} do at the mill?" for who in WHO[:5]]
    said = [f"The {who} mended the wheel before the rain came." for who in WHO[:5]]
    chats = [{"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]} for q, a in zip(asked, said, strict=True)]
    pairs = [{"prompt": q, "chosen": a, "rejected": "I do not know."} for q, a in zip(asked, said, strict=True)]
    for name, rows in (("notes", notes), ("chats", chats), ("pairs", pairs)):
        (home / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (home / "policies").mkdir(exist_ok=True)
    for name, least in (("plain", 40), ("strict", 200)):
        write_policy(home, name, least)


def write_policy(home: Path, name: str, least: int) -> None:
    """A policy that drops documents of fewer than `least` words."""
    text = f'drop:\n  foreign: "language.code <> \'en\'"\n  too_short: "gopher.n_words < {least}"\nkeep: [length(text) DESC]\nmask: {{pii: tag}}\n'
    (home / "policies" / f"{name}.yaml").write_text(text, encoding="utf-8")


UPPER = """name: {name}
seed: 11
lake: lake
ingest:
  web:   {{warc: {{paths: [crawl-*.warc.gz]}}, domain: web, dump: spring}}
  notes: {{tables: {{paths: [notes.jsonl]}}, domain: reference}}
{more}curate:
  corpus:
    from: [web, notes]
    stages: [{stages}]
    dedup: {{exact: {{}}, minhash: {{preset: fineweb, verify: 0.8}}}}
    policy: {policy}
"""
STAGES = ("language.identify", "gopher.signals", "c4.signals", "pii.spans")
ROWS = """  chats: {tables: {paths: [chats.jsonl], as: chat}}
  pairs: {tables: {paths: [pairs.jsonl], as: pair}}
"""
LOWER = """synth:
  qa: {from: corpus, write: questions.grounded, model: smollm2-135m-instruct, limit: 16, at_least: 1}
  prefs: {from: qa, write: pairs.likelihood, model: smollm2-135m-instruct, at_least: 1}
mix:
  base: {from: corpus, tokenizer: {train: {vocab: 512}}, context: 192, budget: 23040, hold_out: 10%, weights: {web: .6, reference: .4}}
train:
  base:  {act: pretrain, mix: base, model: tiny, precision: fp32, save_every: 2, threads: 1}
  chat:  {act: sft, from: base, on: {chats: 1}, steps: 4, batch: 2, precision: fp32, threads: 1}
  tuned: {act: dpo, from: chat, on: {pairs: 1, prefs: 1}, steps: 3, batch: 2, precision: fp32, threads: 1}
eval:
  base:  {model: base, tasks: [bits_per_byte]}
"""


def curation(name: str = "brook", stages: Sequence[str] = STAGES, policy: str = "plain") -> str:
    """The recipe as far as verdicts: seconds of work."""
    return UPPER.format(name=name, more="", stages=", ".join(stages), policy=policy)


def whole_river(name: str = "river") -> str:
    """The recipe with every kind of part."""
    return UPPER.format(name=name, more=ROWS, stages=", ".join(STAGES), policy="plain") + LOWER


@dataclass
class Run:
    """A `headrace run` at work. Its processes carry a mark in their environment, wherever they ended up in the tree.

    `step` is the step of the newest checkpoint before it started.
    """

    recipe: Path
    lake: Path
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    step: int = 0
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        command = [sys.executable, "-m", "headrace", "run", str(self.recipe), "--lake", str(self.lake), *self.arguments]
        self.log = self.lake.with_name(f"{self.lake.name}-{self.mark}.err")
        environment = {**os.environ, **self.environment, "HEADRACE_TEST_MARK": self.mark}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, cwd=HOME, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, env=environment)

    def family(self) -> list[int]:
        """Every living process of this run but the first one."""
        return [pid for pid in marked(self.mark) if pid != self.process.pid]

    def child(self) -> int:
        """The child at work. Raises AssertionError where there is none."""
        found = [pid for pid in self.family() if b"headrace.child" in cmdline(pid)]
        assert len(found) == 1, [cmdline(pid) for pid in self.family()]
        return found[0]

    def until(self, seen: Callable[[], object]) -> None:
        """Wait until something is seen, looking all the time; the run must still be at work then."""
        end = time.monotonic() + PATIENCE
        while not seen():
            assert self.process.poll() is None, f"the run ended before it was seen:\n{self.said()}"
            assert time.monotonic() < end, f"never seen:\n{self.said()}"
            time.sleep(0.002)

    def wait(self) -> int:
        """Wait for the end of the run and return its exit code."""
        return self.process.wait(PATIENCE)

    def gone(self, within: float = 5.0) -> bool:
        """Whether all of the run's processes are gone in time; what is not gone then is killed, so that nothing is left behind."""
        end = time.monotonic() + within
        while self.family() and time.monotonic() < end:
            time.sleep(0.05)
        left = self.family()
        for pid in left:
            kill(pid)
        return not left

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *raised: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.gone()


def marked(mark: str) -> list[int]:
    """The living processes whose environment carries a mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"HEADRACE_TEST_MARK={mark}".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        return b""


def maps(pid: int, library: str) -> bool:
    """Whether a process has loaded a library."""
    try:
        return library.encode() in Path(f"/proc/{pid}/maps").read_bytes()
    except OSError:
        return False


def kill(pid: int, sign: int = signal.SIGKILL) -> None:
    try:
        os.kill(pid, sign)
    except ProcessLookupError:
        return


def run(recipe: Path, lake: Path, *arguments: str, code: int = 0, **environment: str) -> str:
    """Run a recipe to its end and return what it said on stderr."""
    said = headrace("run", recipe, "--lake", lake, *arguments, timeout=PATIENCE, **environment)
    assert said.code == code, (said.code, said.err[-4000:])
    return said.err


def last_job(lake: Path) -> dict[str, Any]:
    """The state of the latest run of a lake, as its own file says; nothing before the first."""
    files = sorted((lake / "runs").glob("*/state.json"), key=lambda file: file.parent.stat().st_ctime_ns)
    found: dict[str, Any] = json.loads(files[-1].read_text(encoding="utf-8")) if files else {}
    return found


def broken(lake: Path) -> list[str]:
    """What of a lake is not whole, as a reader meets it right after a kill. An empty list is well."""
    found = []
    number = commits.current(lake)
    if [entry["number"] for entry in commits.entries(lake, number)] != list(range(1, number + 1)):
        found.append("the log has gaps")
    with Lake.open(lake) as opened, opened.attached() as db:
        for name in opened.datasets():
            snapshot = opened.snapshot(name)
            rows = db.execute(f'SELECT count(*), count(*) FILTER (kept), (SELECT count(*) FROM data."{name}") FROM audit."{name}"').fetchone()
            if rows != (snapshot.rows, snapshot.kept, snapshot.kept):
                found.append(f"{snapshot.name} says {snapshot.rows} rows, {snapshot.kept} kept; there are {rows}")
        for row in opened.rows("SELECT path FROM member WHERE removed IS NULL"):
            if not (lake / row["path"]).is_file():
                found.append(f"{row['path']} is missing")
    for file in [*lake.glob("data/*/*/*.parquet"), *lake.glob("annotations/*/*/*.parquet")]:
        try:
            pq.read_metadata(file)
        except Exception as error:  # a half-written file under its name, whatever is wrong with it
            found.append(f"{file}: {error}")
    return found


def tables(lake: Path, datasets: Sequence[str] = ()) -> dict[str, pa.Table]:
    """All that a user sees of a lake but run ids, paths and times: every dataset's rows, and the catalogue's own tables.

    With `datasets` only those, and what the catalogue says of them.
    """
    with Lake.open(lake) as opened, opened.attached() as db:
        asked = {f"{schema}.{name}": f'SELECT * FROM {schema}."{name}"' for name in datasets or opened.datasets() for schema in ("data", "audit", "stats")}
        there = {row[0] for row in db.execute("SELECT table_name FROM information_schema.tables").fetchall()}
        compared = {name: columns for name, columns in COMPARED.items() if name in there and (name in OF_DATASETS or not datasets)}
        only = {name: f" WHERE {whose} IN {tuple(datasets)}" if datasets else "" for name, whose in OF_DATASETS.items()}
        asked |= {name: f"SELECT {columns} FROM {name}{only.get(name, '')}" for name, columns in compared.items()}
        return {name: db.execute(select).to_arrow_table() for name, select in asked.items()}


COMPARED = {
    "snapshot": "dataset, version, key, parent, shape, owner, mode, files, rows, kept, bytes, tokens",
    "data_file": "* EXCLUDE (bytes)",
    "annotation": "*",
    "column_stat": "*",
    "sample": "dataset, part, family, rows, below",
    "lineage": "* EXCLUDE (run)",
    "policy": "*",
    "funnel": "*",
    "quarantine": "* EXCLUDE (run)",
    "task": "part, key, output",
    "mixture": "* EXCLUDE (run, recorded)",
    "mixture_source": "* EXCLUDE (run, recorded)",
    "model": "model, act, key, run_folder, digest, lock, steps, tokens, loss_first, loss_last, bits_per_byte",
    "train_metric": "* EXCLUDE (run, recorded)",
    "consumption": "* EXCLUDE (run, recorded)",
    "eval_result": "* EXCLUDE (run, recorded)",
}
"""What two lakes of one recipe have in common, by table."""
OF_DATASETS = {"data_file": "split_part(path, '/', 2)", "annotation": "split_part(path, '/', 2)", "funnel": "dataset", "quarantine": "dataset"}
"""Tables whose rows are about one dataset each, and what says which."""


def differences(ours: dict[str, pa.Table], theirs: dict[str, pa.Table]) -> dict[str, int]:
    """Rows of each table that stand in one of two lakes only, counted with their multiplicity. Empty where they are equal."""
    assert ours.keys() == theirs.keys()
    found = {}
    with duckdb.connect() as db:
        for name, table in ours.items():
            db.register("a", table)
            db.register("b", theirs[name])
            both = "SELECT count(*) FROM ((FROM a EXCEPT ALL FROM b) UNION ALL (FROM b EXCEPT ALL FROM a))"
            count = (db.execute(both).fetchone() or (0,))[0]
            if count:
                found[name] = int(count)
    return found
