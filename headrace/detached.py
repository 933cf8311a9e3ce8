"""The process of a detached run: `python -m headrace.detached RUN_FOLDER`, started in a session of its own."""

import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from catalog.errors import HeadraceError
from catalog.lake import Lake
from catalog.recipe import load
from headrace.cli import fail
from headrace.jobs import Job, read_job
from headrace.river import options_from, run_job, work_left

STARTED = 10.0
"""Seconds that the command which started this process has to note its id."""


def main(folder: str) -> None:
    """Do the run, as `headrace run` does it at a terminal. What is printed goes to the run's log."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's background inherits it ignored
    job = _mine(Path(folder))
    try:
        options = options_from(json.loads((job.folder / "options.json").read_text(encoding="utf-8")))
        recipe = load(options.recipe, options.settings, options.lake)
        lake = Lake.open(recipe.lake, create=True, lock_timeout=options.lock_timeout)
        todo, keys = work_left(recipe, lake, options)
        run_job(job, recipe, options, todo, keys)
    except HeadraceError as error:
        if read_job(job.folder).state == "starting":
            job.end("failed", str(error))
        fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        fail("interrupted; run the same command to go on where it was", 130)


def _mine(folder: Path) -> Job:
    """Return the run once it names this process: until then its starter may still write its state."""
    end = time.monotonic() + STARTED
    while (job := read_job(folder)).pid != os.getpid() and time.monotonic() < end:
        time.sleep(0.05)
    return replace(job, pid=os.getpid()).save()


if __name__ == "__main__":
    main(sys.argv[1])
