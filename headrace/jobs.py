"""Runs of a lake: each has a folder with its state and log, readable while it works and after it died."""

import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path

import typer

from catalog.errors import LakeError, near
from catalog.files import write_json
from headrace.tables import table

WORKING = ("starting", "running")
STOP = 150.0
"""Seconds after which a run that was told to stop is killed: more than it gives its own child to save."""


@dataclass(frozen=True)
class Job:
    """The state of one `headrace run`. `parts` maps each part to its state.

    `pid` is the process that holds it and `born` when that one was started, in the kernel's ticks: numbers of processes are used again.
    """

    id: str
    recipe: str
    lake: str
    pid: int
    started: str
    state: str = "starting"
    ended: str | None = None
    error: str | None = None
    parts: dict[str, str] = field(default_factory=dict)
    born: int | None = None

    @property
    def folder(self) -> Path:
        return Path(self.lake) / "runs" / self.id

    def save(self) -> "Job":
        """Write the state, with the birth of the process that it names now."""
        job = replace(self, born=born(self.pid))
        write_json(self.folder / "state.json", asdict(job))
        return job

    def mark(self, states: dict[str, str]) -> "Job":
        """Set the states of some parts: waiting, running, done, skipped or failed."""
        return replace(self, state="running", parts={**self.parts, **states}).save()

    def end(self, state: str, error: str | None = None) -> "Job":
        return replace(self, state=state, ended=now(), error=error).save()

    @property
    def alive(self) -> bool:
        """Whether the very process that holds it still runs: a killed run cannot say so itself."""
        return self.born is not None and born(self.pid) == self.born


def born(pid: int) -> int | None:
    """When a living process was started, in ticks since the machine was; None for none, and for one that only waits to be reaped."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    state, *rest = stat.rpartition(b")")[2].split()  # behind the command's name, which may hold anything: fields 3 to 52 of proc(5)
    return None if state in (b"Z", b"X") else int(rest[18])


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def new_job(lake: str, recipe_name: str, recipe: str) -> Job:
    """Open a run: its folder and its first state."""
    base = f"{recipe_name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    name, n = base, 1
    runs = Path(lake) / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            (runs / name).mkdir()
            break
        except FileExistsError:
            n += 1
            name = f"{base}-{n}"
    return Job(name, recipe, lake, os.getpid(), now()).save()


def read_job(folder: Path) -> Job:
    """Return a run as its own file says. A file that says nothing gives a run whose state is `unreadable`."""
    file = folder / "state.json"
    try:
        given = json.loads(file.read_text(encoding="utf-8"))
        job = Job(**{name: given[name] for name in [f.name for f in fields(Job)] if name in given})
        kinds = (job.id, str), (job.lake, str), (job.pid, int), (job.started, str), (job.parts, dict)
        wrong = [value for value, kind in kinds if not isinstance(value, kind)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is not what stands there")
        return job
    except (OSError, ValueError, TypeError) as error:
        since = datetime.fromtimestamp(folder.stat().st_mtime, UTC).isoformat(timespec="seconds")
        return Job(folder.name, "", str(folder.parent.parent), 0, since, "unreadable", error=f"{file} cannot be read: {' '.join(str(error).split())}")


def load_jobs(lake: str) -> list[Job]:
    """Return the runs of a lake, oldest first. One whose process is gone without a word is `killed`."""
    found = []
    for file in (Path(lake) / "runs").glob("*/state.json"):
        job = read_job(file.parent)
        if job.state in WORKING and not job.alive:
            job = read_job(file.parent)  # it may have ended in between, with a word
            job = replace(job, state="killed") if job.state in WORKING else job
        found.append(job)
    return sorted(found, key=lambda job: (job.started, job.id))


def find_job(lake: str, name: str) -> Job:
    jobs = load_jobs(lake)
    if name == "last" and jobs:
        return jobs[-1]
    for job in jobs:
        if job.id == name:
            return job
    raise LakeError(f"{lake}: no run {name!r}{near(name, [job.id for job in jobs])}")


def progress(job: Job) -> str:
    """What a working run does now, from the file that its child keeps."""
    if job.state not in WORKING:
        return job.error or ""
    part = next((p for p, state in job.parts.items() if state == "running"), "")
    try:
        state = json.loads((job.folder / "progress.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return part
    of = f"/{state['total']:,}" if state["total"] else ""
    return f"{part}: {state['label']} {state['done']:,}{of} {state['unit']}, {state['rate']:,.1f}/s"


def show_jobs(lake: str, as_json: bool) -> None:
    """Print the runs."""
    rows = [
        {
            "run": job.id,
            "state": job.state,
            "done": f"{sum(s in ('done', 'skipped') for s in job.parts.values())}/{len(job.parts)}",
            "started": job.started,
            "ended": job.ended or "",
            "now": progress(job),
        }
        for job in load_jobs(lake)
    ]
    table(rows, as_json, empty="no runs yet; start one with `headrace run RECIPE`")


def show_log(lake: str, name: str, follow: bool) -> None:
    """Print a run's log, and what is added to it while the run works."""
    job = find_job(lake, name)
    file = job.folder / "log.txt"
    if not file.is_file():
        raise LakeError(f"{job.id} has no log yet")
    follow = follow and job.state in WORKING
    with open(file, encoding="utf-8", errors="replace") as handle:
        typer.echo(handle.read(), nl=False)
        while follow:
            time.sleep(0.5)
            follow = job.alive  # before the last look: what it says at its very end is in the log by then
            typer.echo(handle.read(), nl=False)


def cancel_run(lake: str, name: str) -> None:
    """Stop a run and wait until it has ended. By SIGTERM: a run that a script started in the background ignores SIGINT."""
    job = find_job(lake, name)
    if job.state not in WORKING:
        raise LakeError(f"{job.id} is not working: it is {job.state}")
    started = told = time.monotonic()
    _send(job, signal.SIGTERM)
    while job.alive:
        time.sleep(0.1)
        if time.monotonic() - told > 4:
            told = time.monotonic()
            print(f"  {job.id}: waiting for it to save and stop", file=sys.stderr, flush=True)
        if time.monotonic() - started > STOP:
            _send(job, signal.SIGKILL)
    job = find_job(lake, job.id)
    if job.state == "killed":
        job = job.end("cancelled", "killed, since it did not stop")
    typer.echo(f"{job.id} is {job.state}" + ("; run the recipe again to go on where it was" if job.state == "cancelled" else ""))


def _send(job: Job, sign: signal.Signals) -> None:
    if not job.alive:  # it ended just now, and its number may be another's by now
        return
    try:
        os.kill(job.pid, sign)
    except ProcessLookupError:
        return
    except PermissionError:
        raise LakeError(f"{job.id}: its process {job.pid} is another user's; ask them to cancel it") from None
