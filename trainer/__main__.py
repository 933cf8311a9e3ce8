"""`python -m trainer RUN_FOLDER [--json]`: one act of training, here or on each rank that torchrun starts.

Exit codes: 0 done, 1 the work failed, 2 the input is wrong, 130 interrupted (saved; run it again to go on).
"""

import argparse
import importlib
import json
import os
import sys
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Threads that spin while they wait make a step of .1 s take tens of seconds on a machine that does anything else; it has to
# be said before torch is loaded. Measured on 2 loaded cores, 25 steps: 141 s spinning, 9 s not.

from catalog.errors import HeadraceError, InputError, near
from catalog.files import write_json
from trainer.run import Run, open_run

ACTS = ("pretrain", "sft", "dpo")


def main(arguments: list[str]) -> int:
    """Run one act. Results go to stdout, progress and errors to stderr."""
    parser = argparse.ArgumentParser(prog="python -m trainer", description="Train what a run folder says, from where it stands.")
    parser.add_argument("run_folder")
    parser.add_argument("--json", action="store_true", help="print done.json instead of lines to read")
    given = parser.parse_args(arguments)
    try:
        done = go(open_run(given.run_folder))
    except HeadraceError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as stop:
        print(str(stop) or "interrupted; run it again to go on", file=sys.stderr)
        return 130
    if int(os.environ.get("RANK", "0")) == 0:
        print(json.dumps(done, indent=1) if given.json else describe(done))
    return 0


def go(run: Run) -> dict[str, Any]:
    """Do the act of a run folder unless it is done; write done.json last of all and return it."""
    if run.done.is_file():
        done: dict[str, Any] = json.loads(run.done.read_text(encoding="utf-8"))
        return done
    if run.act not in ACTS:
        raise InputError(f"{run.folder}/act.json: no act {run.act!r}{near(run.act, ACTS)}")
    done = importlib.import_module(f"trainer.{run.act}").act(run, **run.knobs)
    if int(os.environ.get("RANK", "0")) == 0:
        write_json(run.done, done)
    return done


def describe(done: dict[str, Any]) -> str:
    """Return what a person wants to know of a run that is done."""
    lines = [f"{done['name']}: {done['act']}, {done['parameters']:,} parameters, {done['steps']} steps, {done['seen']:,} tokens seen"]
    lines.append(f"loss {done['loss']:.4f}, {done['tokens_per_second']:,.0f} tokens/s, {done['seconds']:.0f} s")
    scores = done["bits_per_byte"]
    if scores:
        domains = ", ".join(f"{name} {value:.3f}" for name, value in scores["end"]["domains"].items())
        lines.append(f"held-out bits per byte {scores['start']['overall']:.4f} -> {scores['end']['overall']:.4f} ({domains})")
    lines += [f"  {one['source']}: {one['samples']:,} of {one['planned']:,} samples, {one['tokens']:,} tokens" for one in done["consumption"]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
