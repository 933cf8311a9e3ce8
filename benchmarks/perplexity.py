"""Training an n-gram model, and perplexity of 4,000 windows of text under it, against kenlm with the very same model.

    python benchmarks/perplexity.py [ORDER]      in .venv; kenlm runs in .venv-oracles (or another interpreter, HEADRACE_ORACLES)

One core and one thread each, alternating, CPU seconds of the work alone (texts in memory, warmed up, models loaded). Ours is timed as
a stage, from text to all columns, and as scoring alone, words already hashed. kenlm gets its words ready made, a paragraph a string
with a space between words, from the ARPA file that we wrote, and is asked for the score of each: no time for splitting is charged to it.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import process_time

HOME = Path(__file__).resolve().parent.parent
DATA = HOME / "examples/data"
RUNS, WINDOW, WINDOWS, BATCH = 5, 5000, 4000, 1000
THREADS = dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def texts() -> list[str]:
    """The prose of the demo corpus, which set-up fetches: four books, an encyclopaedia, web pages."""
    pages = [json.loads(line)["text"] for line in (DATA / "web/c4.jsonl").read_text(encoding="utf-8").splitlines()]
    books = [path.read_text(encoding="utf-8") for path in sorted((DATA / "books").glob("*.txt"))]
    return [*books, *(DATA / "reference/wiki_demo.txt").read_text(encoding="utf-8").split("\n"), *pages]


def windows(found: list[str]) -> list[str]:
    """As many windows as are asked for, cut at other places each time round, so that few are what was trained on."""
    cut: list[str] = []
    for shift in range(0, 100 * 977, 977):
        cut += [text[at : at + WINDOW] for text in found for at in range(shift, len(text) - WINDOW, WINDOW)]
        if len(cut) >= WINDOWS:
            break
    return cut[:WINDOWS]


def peer(arpa: str, path: str) -> None:
    """Answer each line on stdin with the CPU seconds that scoring all paragraphs took, and the sum of the scores."""
    import kenlm

    config = kenlm.Config()
    config.show_progress = False
    model = kenlm.Model(arpa, config)
    found = json.loads(Path(path).read_text(encoding="utf-8"))
    for _ in sys.stdin:
        start = process_time()
        total = sum(model.score(paragraph) for paragraph in found)
        print(process_time() - start, total, flush=True)


def ask(process: subprocess.Popen[str]) -> tuple[float, float]:
    assert process.stdin and process.stdout, "started with pipes"
    process.stdin.write("go\n")
    process.stdin.flush()
    seconds, total = process.stdout.readline().split()
    return float(seconds), float(total)


def prepare(order: int, folder: Path) -> tuple[list[str], int]:
    """Write a model as a folder and as ARPA, and the windows' paragraphs as kenlm wants them; return the windows, and how many words they have."""
    import numpy as np
    import polars as pl

    from curate.models import arpa, lookup, ngrams
    from curate.models.vocabulary import paragraphs, spell, split_texts

    found = texts()
    ngrams.train([pl.Series(found[:10])], order=order)
    start = process_time()
    model = ngrams.train([pl.Series(found)], order=order, prune=(0,))
    speed, n_words = model.meta["words"] / (process_time() - start) / 1e6, model.meta["words"]
    print(f"training, order {order}: {speed:.2f} M words/s of CPU, {n_words} words, {sum(model.meta['ngrams'])} n-grams")
    lookup.save(model, folder / "model")
    arpa.write(model, folder / "model.arpa")
    cut = windows(found)
    split = split_texts(pl.Series(cut))
    firsts, _ = paragraphs(split.data, split.starts, split.ends, split.documents)
    spelt = spell(split, np.arange(split.starts.size), "lower").split("\n")
    (folder / "texts.json").write_text(json.dumps([" ".join(spelt[a:b]) for a, b in pairwise(firsts.tolist())]), encoding="utf-8")
    return cut, split.starts.size


def whole(cut: list[str], model: Path) -> float:
    """The stage, from texts to columns."""
    import polars as pl

    from curate import perplexity

    batches = [pl.DataFrame({"text": cut[at : at + BATCH]}) for at in range(0, len(cut), BATCH)]
    start = process_time()
    for batch in batches:
        perplexity.signals(batch, model=str(model))
    return process_time() - start


def scoring(cut: list[str], folder: Path) -> tuple[float, float]:
    """Scoring alone, of words that were split and hashed before."""
    import polars as pl

    from curate.models import lookup
    from curate.models.vocabulary import paragraphs, split_texts

    model, split = lookup.load(folder), split_texts(pl.Series(cut))
    firsts, _ = paragraphs(split.data, split.starts, split.ends, split.documents)
    start = process_time()
    logs, _ = lookup.score(model, split.lowers, firsts)
    return process_time() - start, float(logs.sum())


def main(order: int) -> None:
    os.environ.update(THREADS)
    sys.path.insert(0, str(HOME))
    folder = Path(tempfile.mkdtemp())
    cut, n_words = prepare(order, folder)
    model = folder / "model"
    seen: dict[str, list[float]] = {"stage": [], "scoring": [], "kenlm": []}
    oracle = os.environ.get("HEADRACE_ORACLES", str(HOME / ".venv-oracles/bin/python"))
    command = [oracle, __file__, "--peer", str(folder / "model.arpa"), str(folder / "texts.json")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        whole(cut, model), scoring(cut, model), ask(process)
        for _ in range(RUNS):
            seen["stage"].append(whole(cut, model))
            ours, sum_ours = scoring(cut, model)
            theirs, sum_theirs = ask(process)
            seen["scoring"].append(ours)
            seen["kenlm"].append(theirs)
        process.communicate()
    shutil.rmtree(folder)
    size = sum(len(text.encode()) for text in cut) / 1e6
    print(f"{len(cut)} texts, {size:.1f} MB, {n_words} words; 1 core and 1 thread each;")
    print(f"CPU seconds, median of {RUNS} alternating runs after one to warm up; log10 in all: {sum_ours:.1f} ours, {sum_theirs:.1f} kenlm's")
    middle = {name: median(times) for name, times in seen.items()}
    for name, time in middle.items():
        print(f"{name}: {time:.3f} s, {len(cut) / time:.0f} texts/s, {size / time:.1f} MB/s, {time / n_words * 1e9:.0f} ns a word")
    print(f"most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")
    print(f"ratio {middle['kenlm'] / middle['stage']:.1f}x over kenlm, splitting and all columns on our side alone")
    print(f"ratio {middle['kenlm'] / middle['scoring']:.1f}x over kenlm, scoring alone")


if __name__ == "__main__":
    peer(sys.argv[2], sys.argv[3]) if sys.argv[1:2] == ["--peer"] else main(int(sys.argv[1]) if sys.argv[1:] else 3)
