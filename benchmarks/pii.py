"""Personal data in web text: all kinds of `pii.spans`, against datatrove's PIIFormatter, which looks for e-mail and IPv4 addresses alone.

    python benchmarks/pii.py          in .venv; the peer runs in .venv-oracles (or another interpreter, HEADRACE_ORACLES)

Both on the same texts, one core and one thread each, alternating, CPU seconds of the work alone (texts in memory, warmed up). Ours finds spans, the peer
writes each text anew with them replaced.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import process_time

HOME = Path(__file__).resolve().parent.parent
DATA = HOME / "examples/data"
RUNS, SIZE, COPIES = 5, 5000, 10
THREADS = dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def texts() -> list[str]:
    """The demo corpus's C4 pages, joined and cut into documents of 5,000 characters, ten times."""
    pages = [json.loads(line)["text"] for line in (DATA / "web/c4.jsonl").read_text(encoding="utf-8").splitlines()]
    whole = "\n".join(pages)
    return [whole[at : at + SIZE] for at in range(0, len(whole), SIZE)] * COPIES


def ours(found: list[str]) -> float:
    import polars as pl

    from curate import pii

    batch = pl.DataFrame({"text": found})
    start = process_time()
    pii.spans(batch)
    return process_time() - start


def peer(path: str) -> None:
    """Answer each line on stdin with the CPU seconds that the formatter took. Runs in the oracles' environment."""
    from datatrove.pipeline.formatters import PIIFormatter

    found, formatter = json.loads(Path(path).read_text(encoding="utf-8")), PIIFormatter()
    for _ in sys.stdin:
        start = process_time()
        for text in found:
            formatter.format(text)
        print(process_time() - start, flush=True)


def ask(process: subprocess.Popen[str]) -> float:
    assert process.stdin and process.stdout, "started with pipes"
    process.stdin.write("go\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def main() -> None:
    os.environ.update(THREADS)
    sys.path.insert(0, str(HOME))
    found = texts()
    characters = sum(map(len, found))
    oracle = os.environ.get("HEADRACE_ORACLES", str(HOME / ".venv-oracles/bin/python"))
    path = Path(tempfile.mkdtemp()) / "texts.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    seconds: dict[str, list[float]] = {"headrace, seven kinds": [], "datatrove PIIFormatter, two kinds": []}
    with subprocess.Popen([oracle, __file__, "--peer", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        print(f"{len(found)} documents, {characters / len(found):.0f} characters each on average; 1 core and 1 thread each;")
        print(f"CPU seconds, median of {RUNS} alternating runs after one to warm up")
        ours(found)
        ask(process)
        for _ in range(RUNS):
            for name, times in seconds.items():
                times.append(ours(found) if name.startswith("headrace") else ask(process))
        process.communicate()
    shutil.rmtree(path.parent)
    mine, theirs = (median(times) for times in seconds.values())
    for name, time in zip(seconds, (mine, theirs), strict=True):
        print(f"{name}: {time:.3f} s, {len(found) / time:.0f} documents/s, {characters / time / 1e6:.1f} M characters/s")
    print(f"ratio {theirs / mine:.1f}x over datatrove PIIFormatter")


if __name__ == "__main__":
    peer(sys.argv[2]) if sys.argv[1:2] == ["--peer"] else main()
