"""From WARC to extracted Parquet: pages per second and core, on Spark with two tasks, beside datatrove's reader and extractor with two.

    python benchmarks/ingest.py [--runs 5] [--modes fast,balanced,accurate]      in .venv; the peer runs in .venv-oracles (or HEADRACE_ORACLES)

The pages are those of benchmarks/river.py, dealt to two WARC files of about the same size, so that each side has two tasks on two
cores. Ours is an ingest part as `headrace run` does it on a Spark session that stands: each page's text, title, author, date, licence,
place and opt-outs, written to data files. datatrove's is LocalPipelineExecutor(tasks=2, workers=2) with WarcReader, Trafilatura for precision and
ParquetWriter, its workers forked (what they take to start on few pages is printed). Seconds by the clock. How good the texts
are is what benchmarks/extraction.py measures on gold pages (RESULTS.md): F1 over all whole texts .953 in fast mode, .961
balanced and accurate, .952 for trafilatura's precision.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

HOME = Path(__file__).resolve().parent.parent
sys.path[:] = [str(HOME), *(path for path in sys.path if Path(path).resolve() != HOME / "benchmarks")]
from benchmarks.river import THREADS, WARM, page_sets, pages, stand_in

TASKS = 2


def deal(out: Path) -> tuple[int, int]:
    """Write all pages to TASKS files, each to the lighter one, and the first of them to others. Returns how many, and their bytes."""
    from warcio.warcwriter import WARCWriter

    folders = {name: out / name for name in ("all", "warm")}
    for folder in folders.values():
        folder.mkdir()
    opened = {name: [open(folder / f"{i}.warc.gz", "wb") for i in range(TASKS)] for name, folder in folders.items()}  # noqa: SIM115 (closed below)
    writers = {name: [WARCWriter(file) for file in files] for name, files in opened.items()}
    weights, count, size = [0] * TASKS, 0, 0
    for paths in page_sets().values():
        for record in pages(paths):
            payload = record.content_stream().read()
            lighter = weights.index(min(weights))
            weights[lighter] += len(payload)
            count, size = count + 1, size + len(payload)
            for name in ("all", *(("warm",) if count <= WARM else ())):
                fresh = writers[name][lighter].create_warc_record(
                    record.rec_headers.get_header("WARC-Target-URI"), "response", payload=io.BytesIO(payload), http_headers=record.http_headers,
                    warc_headers_dict={"WARC-Identified-Payload-Type": "text/html", "WARC-Date": record.rec_headers.get_header("WARC-Date")},
                )  # fmt: skip
                writers[name][lighter].write_record(fresh)
    for files in opened.values():
        for file in files:
            file.close()
    return count, size


def ours(spark: Any, folder: Path, mode: str, lake: Path) -> dict[str, float]:
    from catalog.spark import map_files
    from catalog.stage import bind, find
    from ingest.land import tasks

    given = {"name": "web", "shape": "document", "domain": "web", "dump": "benchmark", "license": None}
    bound = bind(find("ingest", "warc.read"), {"mode": mode}, "")
    todo = []
    for path in sorted(folder.glob("*.warc.gz")):            # a task a file, however small they are
        todo += tasks([str(path)], bound, given, str(lake / "data/web/run"), str(lake))
    started = time.monotonic()
    done = list(map_files("ingest.land:land", todo, spark=spark))
    return {"seconds": time.monotonic() - started, "texts": sum(r["documents"] for r in done), "bytes": sum(r["text_bytes"] for r in done)}


def theirs(folder: str, out: str) -> dict[str, float]:
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.extractors import Trafilatura
    from datatrove.pipeline.readers import WarcReader
    from datatrove.pipeline.writers import ParquetWriter

    steps = [WarcReader(folder, glob_pattern="*.warc.gz"), Trafilatura(favour_precision=True, timeout=10.0), ParquetWriter(f"{out}/documents")]
    started = time.monotonic()
    stats = LocalPipelineExecutor(pipeline=steps, tasks=TASKS, workers=TASKS, logging_dir=f"{out}/logs", skip_completed=False, start_method="fork").run()
    seconds = time.monotonic() - started
    written = stats.stats[-1].stats["total"].total
    return {"seconds": seconds, "texts": float(written), "bytes": 0.0}


def peer() -> None:
    """Answer each folder that comes on stdin with the seconds that its files took."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from loguru import logger

    logger.remove()
    stand_in()
    for line in sys.stdin:
        with tempfile.TemporaryDirectory(prefix="headrace-bench-") as out:
            print(json.dumps(theirs(line.strip(), out)), file=answers, flush=True)


def ask(process: "subprocess.Popen[str]", folder: Path) -> dict[str, float]:
    assert process.stdin and process.stdout, "started with pipes"
    process.stdin.write(f"{folder}\n")
    process.stdin.flush()
    found: dict[str, float] = json.loads(process.stdout.readline())
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--modes", default="fast,balanced,accurate")
    given = options.parse_args()
    modes = given.modes.split(",")
    os.environ.update(THREADS)
    from catalog.spark import session
    from headrace.ship import send

    oracle = os.environ.get("HEADRACE_ORACLES", str(HOME / ".venv-oracles/bin/python"))
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name:
        folder = Path(name)
        count, size = deal(folder)
        print(f"{count} pages of {size / count / 1000:.0f} kB on average in {TASKS} files; local[{TASKS}], one thread a task;")
        print(f"seconds by the clock, median of {given.runs} alternating runs", flush=True)
        spark = session({}, f"local[{TASKS}]")
        send(spark)
        runs: dict[str, list[dict[str, float]]] = {f"headrace, {mode}": [] for mode in modes} | {"datatrove": []}
        with subprocess.Popen([oracle, __file__, "--peer"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            for mode in modes:
                ours(spark, folder / "warm", mode, folder / "lake-warm")
            start = ask(process, folder / "warm")
            print(f"datatrove on the first {WARM} pages, start of its workers included: {start['seconds']:.1f} s", flush=True)
            for run in range(given.runs):
                for mode in modes:
                    runs[f"headrace, {mode}"].append(ours(spark, folder / "all", mode, folder / f"lake-{mode}-{run}"))
                runs["datatrove"].append(ask(process, folder / "all"))
            process.communicate()
        spark.stop()
        rates = {side: count / median(run["seconds"] for run in found) / TASKS for side, found in runs.items()}
        for side, found in runs.items():
            print(f"{side}: {rates[side]:.0f} pages/s per core ({median(run['seconds'] for run in found):.1f} s); {found[-1]['texts']:.0f} texts")
        for side in list(runs)[:-1]:
            print(f"ratio {rates[side] / rates['datatrove']:.1f}x over datatrove, {side.partition(', ')[2]}")


if __name__ == "__main__":
    peer() if sys.argv[1:2] == ["--peer"] else main()
