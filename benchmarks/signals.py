"""All signals of gopher, c4 and fineweb in one pass, against datatrove's four filters of the same rules.

    python benchmarks/signals.py          in .venv; the peer runs in .venv-oracles (or another interpreter, HEADRACE_ORACLES)

Both on the same texts, one core and one thread each, alternating, CPU seconds of the work alone (texts in memory, warmed up).
Ours computes every number for every text. datatrove is timed twice: every filter on every text, in the order that lets its
word cache serve three of them, each filter leaving a text at the first rule that drops it; and as FineWeb's pipeline, where a
text that one filter drops never meets the next.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path
from statistics import median
from time import process_time

HOME = Path(__file__).resolve().parent.parent
DATA = HOME / "examples/data"
RUNS, WINDOW = 5, 5000
THREADS = dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
MODES = {"datatrove, every filter on every text": "all", "datatrove, dropped texts leave early": "early"}


def texts() -> list[str]:
    """300 C4 pages, 200 windows of books, 30 encyclopaedia articles: the demo corpus, which set-up fetches."""
    pages = [json.loads(line)["text"] for line in (DATA / "web/c4.jsonl").read_text(encoding="utf-8").splitlines()]
    books = [path.read_text(encoding="utf-8") for path in sorted((DATA / "books").glob("*.txt"))]
    windows = [book[at : at + WINDOW] for book in books for at in range(100_000, 100_000 + 50 * WINDOW, WINDOW)]
    articles = (DATA / "reference/wiki_demo.txt").read_text(encoding="utf-8").split("\n")
    return [*pages, *windows, *islice(filter(None, articles), 30)]


def ours(found: list[str]) -> float:
    import polars as pl

    from curate import c4, fineweb, gopher

    batch = pl.DataFrame({"text": found})
    start = process_time()
    for stage in (gopher.signals, c4.signals, fineweb.signals):
        stage(batch)
    return process_time() - start


def peer(path: str) -> None:
    """Answer each mode that comes on stdin with the CPU seconds it took. Runs in the oracles' environment."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import C4QualityFilter, FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter

    found = json.loads(Path(path).read_text(encoding="utf-8"))
    repetition, quality, fineweb = GopherRepetitionFilter(), GopherQualityFilter(), FineWebQualityFilter()
    c4 = C4QualityFilter(filter_no_terminal_punct=False)
    chains = {"all": (repetition, quality, fineweb, c4), "early": (repetition, quality, c4, fineweb)}
    for line in sys.stdin:
        mode = line.strip()
        documents = [Document(text=text, id=str(number)) for number, text in enumerate(found)]
        start = process_time()
        for document in documents:
            for judge in chains[mode]:
                if judge.filter(document) is not True and mode == "early":
                    break
        print(process_time() - start, flush=True)


def ask(process: subprocess.Popen[str], mode: str) -> float:
    assert process.stdin and process.stdout, "started with pipes"
    process.stdin.write(mode + "\n")
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
    command = [oracle, __file__, "--peer", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        print(f"{len(found)} texts, {characters / len(found):.0f} characters each on average; 1 core and 1 thread each;")
        print(f"CPU seconds, median of {RUNS} alternating runs after one to warm up")
        ours(found)
        seconds: dict[str, list[float]] = {"headrace": [], **{name: [] for name in MODES}}
        for mode in MODES.values():
            ask(process, mode)
        for _ in range(RUNS):
            seconds["headrace"].append(ours(found))
            for name, mode in MODES.items():
                seconds[name].append(ask(process, mode))
        process.communicate()
    shutil.rmtree(path.parent)
    middle = {name: median(times) for name, times in seconds.items()}
    for name, time in middle.items():
        print(f"{name}: {time:.3f} s, {len(found) / time:.0f} texts/s, {characters / time / 1e6:.2f} M characters/s")
    for name in MODES:
        print(f"ratio {middle[name] / middle['headrace']:.1f}x over {name}")


if __name__ == "__main__":
    peer(sys.argv[2]) if sys.argv[1:2] == ["--peer"] else main()
