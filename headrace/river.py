"""Run a recipe: find out what is done, start one child for each stretch of work, and say what came of it.

The front door imports no engine. One child does the parts of ingest and curate (it holds Spark), one all synth parts that share
a model (it holds vLLM), one each mixture, one each act of training. A child that fails or is killed leaves what it finished.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, NoReturn

import typer

from catalog.errors import InputError, LakeError, RecipeError, UserError, WorkError
from catalog.lake import Lake
from catalog.parts import Part
from catalog.progress import EVERY
from catalog.recipe import Recipe, load
from catalog.stage import HOUSE
from headrace.done import finished, stands
from headrace.held import refuse_unheld
from headrace.jobs import Job, new_job, read_job
from headrace.keys import generation, part_keys, stand_in
from headrace.lacking import refuse_lacking
from headrace.plan import disk_needed

GRACE = 120.0
"""Seconds that an interrupted child has to save what it holds: a training step, then a checkpoint."""


@dataclass(frozen=True)
class Options:
    """What the command line of `run` says."""

    recipe: str
    only: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    limit: int | None = None
    force: tuple[str, ...] = ()
    master: str | None = None
    conf: tuple[str, ...] = ()
    take: bool = False
    lake: str | None = None
    lock_timeout: float = 60.0


def options_from(given: dict[str, Any]) -> Options:
    """Return options that travelled as JSON, where a tuple is a list."""
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    return Options(**fields)


@dataclass(frozen=True)
class Stretch:
    """Parts that one child does, in order."""

    kind: str
    parts: tuple[Part, ...]


def flow(options: Options, *, detach: bool = False) -> None:
    """Run a recipe from the command line, here or in the background."""
    for item in options.conf:
        if not re.fullmatch(r"[^\s=]+=.*", item, re.DOTALL):
            raise InputError(f"--conf {item}: write KEY=VALUE, such as --conf spark.executor.memory=4g")
    recipe = load(options.recipe, options.settings, options.lake)
    lake = Lake.open(recipe.lake, create=True, lock_timeout=options.lock_timeout)
    todo, keys = work_left(recipe, lake, options)
    if not todo:
        for part in recipe.select(options.only):
            _say(f"{part.id}: done before")
        _say(f"{recipe.name}: nothing to do; the lake is {recipe.lake}")
        return
    refuse_lacking(recipe, todo)
    refuse_full_disk(recipe, todo)
    job = new_job(recipe.lake, recipe.name, str(Path(options.recipe).resolve()))
    for name in options.force:  # on the record, so that a forced part that is killed goes on without being forced again
        part, again = recipe.part(name), keys[name]
        if generation(again) and not finished(lake, again):
            stand_in(lake, recipe, part, again.partition("-")[0], again, job.id)
    if detach:
        _detach(job, replace(options, force=()))
        return
    run_job(job, recipe, options, todo, keys)


def refuse_full_disk(recipe: Recipe, todo: Sequence[Part]) -> None:
    """A run that cannot end for want of disk is better not begun."""
    needed, free = disk_needed(recipe, list(todo)), shutil.disk_usage(recipe.lake).free
    if needed > free:
        sizes = f"about {needed / 1e9:,.1f} GB of disk and {free / 1e9:,.1f} GB are free"
        raise LakeError(f"{recipe.lake}: this run needs {sizes}; give another --lake, or a --limit")


def _detach(job: Job, options: Options) -> None:
    """Start the same run in a session of its own, so that it outlives the terminal."""
    file = job.folder / "options.json"
    file.write_text(json.dumps(asdict(options)), encoding="utf-8")
    with open(job.folder / "log.txt", "ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "headrace.detached", str(job.folder)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=_environment(job),
        )  # fmt: skip
    replace(job, pid=child.pid).save()
    typer.echo(f"{job.id} runs in the background; `headrace jobs --lake {job.lake}` shows it, `headrace logs {job.id} -f --lake {job.lake}` follows it")


def work_left(recipe: Recipe, lake: Lake, options: Options) -> tuple[list[Part], dict[str, str]]:
    """Return the parts still to do, in order, and the key of every part."""
    chosen = recipe.select(options.only)
    forced = [recipe.part(name).id for name in options.force]
    keys = part_keys(recipe, lake, options.limit, forced, options.only)
    todo = [part for part in chosen if not stands(lake, recipe, part, keys[part.id])]
    waiting = {part.id for part in todo}
    for part in todo:
        missing = [need for need in part.needs if need not in waiting and not finished(lake, keys[need])]
        if missing:
            raise RecipeError(f"{recipe.path}:{part.line}: {part.id} needs {', '.join(missing)}, not done yet; add it to --only")
    refuse_unheld(recipe, lake, todo)
    return todo, keys


Teller = Callable[[Recipe, Lake, Job], None]


def run_job(job: Job, recipe: Recipe, options: Options, todo: Sequence[Part], keys: dict[str, str], teller: Teller | None = None) -> None:
    """Do the parts that are left and tell what came of it: `teller`, else the summary and the report of a run."""
    from headrace.summary import tell

    try:
        job = replace(job, parts={p.id: "waiting" if p in todo else "skipped" for p in recipe.select(options.only)}).save()
        for part in recipe.select(options.only):
            if part not in todo:
                _say(f"{part.id}: done before")
        for stretch in stretches(todo):
            job = _child(job, recipe, options, stretch, keys)
        (teller or tell)(recipe, Lake.open(recipe.lake), job)
        job.end("done")
    except (KeyboardInterrupt, SystemExit):
        read_job(job.folder).end("cancelled", "interrupted")
        raise
    except Exception as error:
        read_job(job.folder).end("failed", str(error))
        raise


def stretches(todo: Sequence[Part]) -> Iterator[Stretch]:
    """Group neighbours that one child does: it holds Spark, or one model, and starting either is dear."""
    held: list[Part] = []

    def kind(part: Part) -> tuple[str, object]:
        if part.section in ("ingest", "curate"):
            return ("data", None)
        if part.section == "quality":
            return ("quality", None)
        if part.section == "synth":
            return ("synth", part.given.get("model"))
        return (part.section, part.id)

    for part in todo:
        if held and kind(held[-1]) != kind(part):
            yield Stretch(kind(held[0])[0], tuple(held))
            held = []
        held.append(part)
    if held:
        yield Stretch(kind(held[0])[0], tuple(held))


def _child(job: Job, recipe: Recipe, options: Options, stretch: Stretch, keys: dict[str, str]) -> Job:
    """Start the child of a stretch, pass on what it says, and wait for it."""
    order = {
        "kind": stretch.kind, "parts": [p.id for p in stretch.parts], "keys": keys, "job": job.id, "parent": os.getpid(),
        "folder": str(job.folder), "options": asdict(replace(options, recipe=str(Path(options.recipe).resolve()), lake=recipe.lake)),
    }  # fmt: skip
    file = job.folder / f"{stretch.parts[0].id}.order.json"
    file.write_text(json.dumps(order), encoding="utf-8")
    answer = file.with_suffix(".answer")
    answer.unlink(missing_ok=True)
    job = _marked(job, stretch, answer, "running")
    (job.folder / "progress.json").unlink(missing_ok=True)
    command = [sys.executable, "-m", "headrace.child", str(file), str(answer)]
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # handed down: the child hears it once it can say a line about it
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=_environment(job), start_new_session=True)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    assert child.stderr is not None
    heard = [time.monotonic()]
    tee = threading.Thread(target=_tee, args=(child.stderr, job.folder / "log.txt", heard), daemon=True)
    tee.start()
    code = 130
    try:
        code = _wait(child, job, stretch, answer, heard)
    except BaseException:
        _stop(child)
        raise
    finally:
        tee.join(timeout=5)
        job = _marked(job, stretch, answer, "waiting" if code == 130 else "failed")
    if code:
        _fail(job, code, _told(answer, stretch))
    return job


def _wait(child: subprocess.Popen[bytes], job: Job, stretch: Stretch, answer: Path, heard: list[float]) -> int:
    """Wait for a child, keep the run's state where `headrace jobs` reads it, and speak for one that cannot (it imports, or saves). Returns its exit code."""
    said = heard[0]
    while True:
        try:
            return child.wait(1.0)
        except subprocess.TimeoutExpired:
            job = _marked(job, stretch, answer, "running")
            now = time.monotonic()
            if now - max(said, heard[0]) >= EVERY:
                said = now
                _say(f"{_told(answer, stretch)['part']}: at work, {now - heard[0]:.0f} s without a word")


def _told(answer: Path, stretch: Stretch) -> dict[str, Any]:
    """What a child has said so far: the parts that are done, the part that it holds, and its error."""
    found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8")) if answer.is_file() else {"done": [], "part": stretch.parts[0].id}
    return found


def _marked(job: Job, stretch: Stretch, answer: Path, held: str) -> Job:
    """Save how far a stretch is; `held` is the state of the part that its child holds, or held when it ended."""
    found = _told(answer, stretch)
    states = {p.id: "done" if p.id in found["done"] else held if p.id == found["part"] else "waiting" for p in stretch.parts}
    return job if {**job.parts, **states} == job.parts else job.mark(states)


def _fail(job: Job, code: int, found: dict[str, Any]) -> NoReturn:
    """Say what the child said, in its own class of error; a child that said nothing was killed."""
    if code == 130:
        raise KeyboardInterrupt
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
    line = found.get("error") or f"{found['part']}: its process {how} and said nothing; what it finished stays, the log is {job.folder / 'log.txt'}"
    raise (UserError if code == 2 else WorkError)(line)


def _tee(stream: IO[bytes], log: Path, heard: list[float]) -> None:
    """Pass on what a child says, keep it, and note when. Whoever listened may be gone: the child must not block on that."""
    with open(log, "ab") as file:
        listened = not os.path.samestat(os.fstat(2), os.fstat(file.fileno()))  # a detached run's stderr is its log
        for raw in iter(stream.readline, b""):
            heard[0] = time.monotonic()
            file.write(raw)
            file.flush()
            try:
                if listened:
                    sys.stderr.write(raw.decode("utf-8", "replace"))
                    sys.stderr.flush()
            except (OSError, ValueError):
                listened = False


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Interrupt a child and its own children; kill what does not end in time."""
    for sign, wait in ((signal.SIGINT, GRACE), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(child.pid, sign) if sign == signal.SIGKILL else child.send_signal(sign)
            child.wait(wait)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _environment(job: Job) -> dict[str, str]:
    """A child finds our rooms wherever it starts, says nothing to any hub, and keeps its threads few."""
    path = os.pathsep.join(filter(None, [str(HOUSE), os.environ.get("PYTHONPATH", "")]))
    return {
        **os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "HEADRACE_PROGRESS": str(job.folder / "progress.json"),
        "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false",
    }  # fmt: skip


def _say(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)
