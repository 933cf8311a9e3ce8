"""What a child holds while it works: Spark where it pays, else a few worker processes."""

import os
import signal
import subprocess
import sys
from typing import Any

from catalog.errors import UserError, WorkError
from catalog.parts import Part
from catalog.process import die_with_parent
from catalog.spark import session
from catalog.tasks import Workers
from headrace.child import Work
from headrace.ship import send

SECONDS_OF_WORK = 2_000_000_000
"""Bytes of input above which a part is more than a matter of seconds to minutes, and the 6 to 15 s that Spark takes to start are lost in it."""


def spark_for(work: Work, part: Part, size: int) -> Any:
    """Return the Spark session of this child, or None: a recipe that names `spark:`, --master, or much input asks for one."""
    asked = work.recipe.spark is not None or work.options.master is not None or bool(work.options.conf)
    if not asked and size < SECONDS_OF_WORK:
        return None
    held = work.held.get("spark")
    if held is None:
        given = dict(work.recipe.spark or {})
        conf = {**dict(given.get("conf") or {}), **dict(item.split("=", 1) for item in work.options.conf)}
        master = work.options.master or given.get("master")
        work.say(f"{part.id}: starting Spark on {master or 'local[*]'}")
        spark = session(conf, master)
        send(spark)
        held = work.held["spark"] = _Session(spark)
    return held.spark


def workers(work: Work) -> Workers:
    """Return the worker processes of this child: started once, one thread each."""
    held = work.held.get("workers")
    if held is None:
        held = work.held["workers"] = Workers(min(os.cpu_count() or 1, 16))
    found: Workers = held
    return found


class _Session:
    """A Spark session that a child closes as it closes all that it holds."""

    def __init__(self, spark: Any) -> None:
        self.spark = spark

    def close(self) -> None:
        self.spark.stop()


def obey(command: list[str], part: str) -> None:
    """Run an act in a process of its own, which ends with this one. Its errors become ours, in its own words."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=die_with_parent, text=True)
    assert child.stderr is not None
    last = ""
    try:
        for line in child.stderr:
            last = line.strip() or last
            print(line, end="", file=sys.stderr, flush=True)
        code = child.wait()
    except KeyboardInterrupt:
        child.send_signal(signal.SIGINT)
        said = child.stderr.read().splitlines()
        if child.wait() == 130:  # it had begun, so it has saved: its last line tells the step
            print(f"  {said[-1] if said else part}", file=sys.stderr, flush=True)
        raise
    if code == 130:
        raise KeyboardInterrupt
    if code < 0:
        raise WorkError(f"{part}: its process was killed by {signal.Signals(-code).name}; what it saved stays, run it again to go on")
    if code:
        raise (UserError if code == 2 else WorkError)(f"{part}: {last.removeprefix('error: ') or f'its process ended with {code} and said nothing'}")
