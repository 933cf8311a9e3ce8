"""`python -m synth JOB.json`: some synth parts that share a model, on a machine without the catalogue. Prints one JSON line a part.

    {"lake": "lake", "model": "smollm2-135m-instruct", "seed": 7, "parts": [
      {"part": "synth.qa", "dataset": "qa", "run": "r1", "write": "synth.questions:grounded", "knobs": {"limit": 96}, "documents": ["corpus.parquet"]},
      {"part": "synth.prefs", "dataset": "prefs", "run": "r1", "write": "synth.pairs:likelihood", "documents": "synth.qa"}]}

`documents` are Parquet files, or the name of an earlier part, whose kept rows are meant. Run again after a kill, it asks only for
what was in flight. Exit codes: 0 done, 1 the work failed, 2 the job is wrong.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from catalog.errors import HeadraceError, InputError
from synth.ask import Desk
from synth.write import FAMILY, write

NEEDED = ("part", "dataset", "run", "write", "documents")


def main(arguments: Sequence[str]) -> int:
    """Do the parts of a job in order."""
    try:
        if len(arguments) != 1:
            raise InputError("give one file: python -m synth JOB.json")
        for result in perform(read_job(Path(arguments[0]))):
            print(json.dumps(result), flush=True)
    except HeadraceError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; run it again to go on", file=sys.stderr)
        return 130
    return 0


def read_job(path: Path) -> dict[str, Any]:
    """Return a job. Raises InputError when it cannot be read or lacks something."""
    try:
        job = json.loads(path.read_text(encoding="utf-8"))
        missing = [name for name in ("lake", "model", "parts") if name not in job]
        missing += [name for part in job.get("parts", []) for name in NEEDED if name not in part]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{path}: no job that can be read: {error}") from None
    if missing:
        raise InputError(f"{path}: the job lacks {', '.join(missing)}")
    return dict(job)


def perform(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Do the parts of a job and yield what `write` says of each, with its name."""
    done: dict[str, dict[str, Any]] = {}
    with Desk(job["model"], job["lake"]) as desk:
        for part in job["parts"]:
            documents = _documents(part, job["lake"], done)
            done[part["part"]] = write(
                desk, documents, part["write"], part.get("knobs", {}), part=part["part"], dataset=part["dataset"], run=part["run"],
                seed=job.get("seed", 0), lake_root=job["lake"], at_least=part.get("at_least", 8),
            )  # fmt: skip
            yield {"part": part["part"], **done[part["part"]]}


def _documents(part: dict[str, Any], lake_root: str, done: dict[str, dict[str, Any]]) -> Iterator[pl.DataFrame]:
    given = part["documents"]
    if isinstance(given, str) and given not in done:
        raise InputError(f"{part['part']}: no earlier part {given!r}; documents are a list of files, or an earlier part")
    return _kept(done[given]["file"], Path(lake_root)) if isinstance(given, str) else map(_read, given)


def _read(path: str) -> pl.DataFrame:
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    return pl.read_parquet(path, glob=False)


def _kept(file: dict[str, Any], root: Path) -> Iterator[pl.DataFrame]:
    verdicts = pl.read_parquet(root / file["annotations"][0]["path"])[FAMILY]
    yield pl.read_parquet(root / file["path"]).filter(verdicts.struct.field("kept"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
