"""The entry of every child: `python -m headrace.child ORDER.json ANSWER.json` does some parts of a recipe and says what came of it."""

import importlib
import json
import logging
import os
import signal
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.commits import hold
from catalog.errors import HeadraceError
from catalog.files import write_json
from catalog.lake import Lake
from catalog.parts import Part
from catalog.process import die_with_parent
from catalog.recipe import Recipe, load
from headrace.done import stands
from headrace.river import Options, options_from

DOES = {
    "ingest": "headrace.ingesting",
    "curate": "headrace.curating",
    "quality": "headrace.fitting",
    "synth": "headrace.writing",
    "mix": "headrace.mixing",
    "train": "headrace.training",
    "eval": "headrace.measuring",
}


@dataclass
class Work:
    """What a part needs to know: its recipe, the lake, the keys of all parts, and what the child holds (Spark, an engine)."""

    recipe: Recipe
    lake: Lake
    keys: dict[str, str]
    options: Options
    job: str
    folder: Path
    held: dict[str, Any]

    def key(self, part: Part) -> str:
        return self.keys[part.id]

    def say(self, line: str) -> None:
        """Say one line to the person who runs this; the parent also keeps it in the log."""
        print(f"  {line}", file=sys.stderr, flush=True)


def main(order_file: str, answer_file: str) -> int:
    """Do the parts in order. Returns the exit code: 0, 1 the work failed, 2 the input is wrong, 130 interrupted."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a run that a script started in the background inherits it ignored
    die_with_parent()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
    order = json.loads(Path(order_file).read_text(encoding="utf-8"))
    if os.getppid() != order["parent"]:  # it ended before the kernel was asked
        return 1
    options = options_from(order["options"])
    answer: dict[str, Any] = {"done": [], "part": order["parts"][0]}
    code = 0
    work = None
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # blocked by the parent until here
        recipe = load(options.recipe, options.settings, options.lake)
        lake = Lake.open(recipe.lake, create=True, lock_timeout=options.lock_timeout)
        work = Work(recipe, lake, order["keys"], options, order["job"], Path(order["folder"]), {})
        for name in order["parts"]:
            answer["part"] = name
            write_json(answer_file, answer)
            work.say(f"{name}: {_do(recipe.part(name), work)}")
            answer["done"].append(name)
    except HeadraceError as error:
        answer["error"], code = str(error), error.exit_code
        with open(Path(order["folder"]) / "log.txt", "a", encoding="utf-8") as log:  # where a task failed, in its worker
            log.writelines(f"{note}\n" for note in getattr(error, "__notes__", ()))
    except KeyboardInterrupt:
        answer["error"], code = "interrupted", 130
    except Exception as error:
        traceback.print_exc()
        answer["error"], code = f"{answer['part']}: {type(error).__name__}: {error}; the traceback is in {Path(order['folder']) / 'log.txt'}", 1
    finally:
        for thing in (work.held if work else {}).values():
            thing.close()
    write_json(answer_file, answer)
    return code


def _do(part: Part, work: Work) -> str:
    """Do a part unless another run has done it by now. Only one run at a time works on what has one key: they share its folders."""
    turn = work.lake.root / "runs" / ".turns" / f"{part.id}-{work.key(part)}"
    turn.mkdir(parents=True, exist_ok=True)
    with hold(turn, f"doing {part.id}", work.options.lock_timeout):
        if stands(work.lake, work.recipe, part, work.key(part)):
            return "done meanwhile by another run"
        line: str = importlib.import_module(DOES[part.section]).run(part, work)
        return line


if __name__ == "__main__":
    code = main(sys.argv[1], sys.argv[2])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # engines leave threads behind that would keep a finished process alive
