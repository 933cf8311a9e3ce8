"""Items of evaluation sets in texts, against datatrove's n-gram decontamination: speed, what is found, who is wrongly accused.

    HEADRACE_DATA=... python benchmarks/contamination.py [--runs 5] [--passages 300000]      in .venv; the peer runs in .venv-oracles (HEADRACE_ORACLES)

Both index the same 18 evaluation sets (45,580 items) and look through the same texts, one core and one thread each, alternating, CPU seconds of the work
alone (texts in memory, warmed up): passages of books, code and papers of 1,000 and of 5,000 characters. datatrove has its questions indexed too
(`find_query_ngrams`, off by default: it would find nothing of a question alone), with its 12-grams and with 8-grams, and splits words by spaCy.
Ours is timed with its words split, and with the split of a part's other stages at hand. What is found: planted items by how they were changed
(gold), items with each word changed, left out or followed by another at 5, 10 and 15 %. Wrongly accused: passages in which no item stands.
"""

import argparse
import gzip
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

HOME = Path(__file__).resolve().parent.parent
sys.path[:] = [str(HOME), *(path for path in sys.path if Path(path).resolve() != HOME / "benchmarks")]
DATA = Path(os.environ.get("HEADRACE_DATA", "."))
THREADS = dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
PEERS = {"datatrove 12-grams": 12, "datatrove 8-grams": 8}
TIMED = {1000: 4000, 5000: 800}
"""Characters of a passage, and how many are timed."""
ACCUSED = 20_000
"""Passages that the peer is asked about; ours is asked about all."""
Found = list[list[str]]


def rows(name: str) -> list[dict[str, Any]]:
    with gzip.open(DATA / name, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def evaluation() -> dict[str, list[tuple[str, str]]]:
    """Question and answer of each item, by set."""
    asked: dict[str, Callable[[dict[str, Any]], tuple[str, Any]]] = {
        "gsm8k_train": lambda r: (r["question"], r["answer"]),
        "mmlu_dev": lambda r: (" ".join([r["question"], *r["choices"]]), r["choices"][r["answer_index"]]),
        **dict.fromkeys(("arc-easy_train", "arc-challenge_train", "openbookqa_train", "boolq_train"), lambda r: (r["instruction"], r["output"])),
        "humaneval_000_039": lambda r: (r["prompt"], r["canonical_solution"]),
        "commonsenseqa_train": lambda r: (" ".join([r["question"]["stem"], *(c["text"] for c in r["question"]["choices"])]), r["answerKey"]),
        "bbh_a": lambda r: (r["input"], r["target"]),
        **dict.fromkeys(
            ("agi_eval_lsat_lr_a", "bigbench_misconceptions_a", "bigbench_understanding_fables_a"), lambda r: (r["query"], r["choices"][r["gold"]])
        ),
        **dict.fromkeys(("jeopardy_a", "simple_arithmetic_a"), lambda r: (r["context"], r["continuation"])),
        "strategyqa_a": lambda r: (r["input"], r["target"]),
        "truthfulqa_truth_a": lambda r: (r["prompt"], r["completion"]),
        "vicuna_bench": lambda r: (r["turns"][0], ""),
        "ifeval_a": lambda r: (r["prompt"], ""),
    }
    return {name: [(question, str(answer)) for question, answer in map(of, rows(f"eval/{name}.jsonl.gz"))] for name, of in asked.items()}


def texts() -> Iterator[str]:
    """Books, code and papers of the labelled data, and of the examples."""
    for name, column in (("books/books", "text"), ("code/files", "content"), ("papers/grobid_fulltext_a", "text"), ("papers/arxiv_latex_a", "text")):
        yield from (row[column] for row in rows(f"{name}.jsonl.gz"))
    for pattern in ("books/*.txt", "code/**/*.py"):
        yield from (path.read_text(encoding="utf-8", errors="replace") for path in sorted((HOME / "examples/data").glob(pattern)))


def passages(size: int, count: int) -> list[str]:
    """So many windows of a size, of all texts alike; they overlap where there is not text enough."""
    whole = list(texts())
    step = min(size, max(1, int(sum(map(len, whole)) / count * 0.97)))
    found = [text[at : at + size] for text in whole for at in range(0, max(1, len(text) - size // 2), step)]
    found = [text for text in found if text.strip()]
    return random.Random(1).sample(found, min(count, len(found)))


def planted(sets: dict[str, list[tuple[str, str]]], clean: list[str]) -> list[tuple[str, str]]:
    """(what was done, text) of the gold, and of 120 items of each set, words changed as dice fall, in a passage; of the longer items alone too."""
    gold = [(f"planted, {row['variant']}" if row["contaminated"] else "planted, clean", row["text"])
            for row in rows("eval/decontam_planted.jsonl.gz")]  # fmt: skip
    dice, words = random.Random(11), sorted({word for text in clean[:500] for word in text.split() if word.isalpha()})
    for share in (0.0, 0.05, 0.10, 0.15):
        for items in sets.values():
            for question, _ in dice.sample(items, min(120, len(items))):
                long = "8 words and more" if len(re.findall(r"\w+", question)) >= 8 else "shorter"
                window, out = dice.choice(clean), []
                for word in question.split(" "):
                    kind = dice.choice(("change", "leave out", "add")) if dice.random() < share else ""
                    out += {"": [word], "change": [dice.choice(words)], "leave out": [], "add": [word, dice.choice(words)]}[kind]
                at = dice.randrange(len(window))
                gold.append((f"{share:.0%} of the words changed, {long}", f"{window[:at]}\n\n{' '.join(out)}\n\n{window[at:]}"))
    return gold


# ---- ours


def our_index(sets: dict[str, list[tuple[str, str]]], folder: Path) -> str:
    import polars as pl

    from catalog.ids import doc_id
    from curate.bench.index import Benchmark, build

    made = []
    for name, items in sets.items():
        given = [{"doc_id": doc_id(name, "items", i, None), "text": question, "answer": answer} for i, (question, answer) in enumerate(items)]
        made.append(Benchmark(name, "1", 1, pl.DataFrame(given)))
    build(made, folder)
    return str(folder)


def counted(index: str) -> str:
    from curate.bench.index import about

    told = {name: sum(one[name] for one in about(index)) for name in ("rows", "items", "indexed")}
    return f"{told['rows']:,} rows of {len(about(index))} sets, {told['items']:,} different items, {told['indexed']:,} long enough to be looked for"


def ours(found: list[str], folder: str, *, split: bool) -> tuple[float, Found]:
    """CPU seconds, without those of the word split unless `split`, and the sets of which each text holds an item."""
    import polars as pl

    from catalog.stage import words
    from curate.contamination import spans

    seconds, sets = 0.0, []
    step = max(1, (8 << 20) // max(1, len(found[0])))       # a batch as the reader cuts them
    for start in range(0, len(found), step):
        batch = pl.DataFrame({"text": found[start : start + step]})
        if not split:
            words(batch)
        began = process_time()
        told = spans(batch, against=folder)
        seconds += process_time() - began
        sets += [[span["benchmark"] for span in one] for one in told["spans"].to_list()]
    return seconds, sets


# ---- the peer, in the oracles' environment


def peer(path: str) -> None:
    """Answer each list of texts that is named on stdin with CPU seconds and the sets of which each text is said to hold an item."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    import numpy as np
    from datatrove.data import Document
    from datatrove.pipeline.decont import NGramsDecontFilter, NGramsDecontIndexer
    from datatrove.pipeline.decont.n_grams import NGramsDecontConfig

    sets = json.loads(Path(path, "sets.json").read_text(encoding="utf-8"))
    NGramsDecontIndexer._requires_dependencies = []          # lighteval, which its run() wants for tasks that nobody asks for here
    filters = {}
    for n in PEERS.values():
        config = NGramsDecontConfig(n_grams=n, find_query_ngrams=True, find_overlap_ngrams=True)
        folder = Path(path, f"index-{n}")
        folder.mkdir()
        indexer = NGramsDecontIndexer(str(folder), config=config)
        for name, items in sets.items():  # as its run() does
            hashes = {one for question, answer in items for one in indexer.compute_hashes(answer, question)}
            np.array(list(hashes), dtype=config.hash_config.np_descr).tofile(folder / f"{name}.index.hashes")
        filters[n] = NGramsDecontFilter(str(folder), config=config)
        filters[n].filter(Document(text="a word", id="0"))
    for line in sys.stdin:
        n, name = line.split()
        found, told = json.loads(Path(path, name).read_text(encoding="utf-8")), []
        began = process_time()
        for i, text in enumerate(found):
            document = Document(text=text, id=str(i))
            told.append([] if filters[int(n)].filter(document) is True else [document.metadata["contaminated_task"]])
        print(json.dumps([process_time() - began, told]), file=answers, flush=True)


def ask(process: "subprocess.Popen[str]", n: int, name: str) -> tuple[float, Found]:
    assert process.stdin and process.stdout, "started with pipes"
    process.stdin.write(f"{n} {name}\n")
    process.stdin.flush()
    seconds, found = json.loads(process.stdout.readline())
    return seconds, found


def speed(process: "subprocess.Popen[str]", folder: Path, index: str, size: int, count: int, runs: int) -> None:
    found = passages(size, count)
    (folder / f"{size}.json").write_text(json.dumps(found), encoding="utf-8")
    seconds: dict[str, list[float]] = {}
    for turn in range(runs + 1):
        times = {"headrace": ours(found, index, split=True)[0], "headrace, words split before": ours(found, index, split=False)[0]}
        times |= {name: ask(process, n, f"{size}.json")[0] for name, n in PEERS.items() if turn < 3}
        for name, time in times.items() if turn else ():
            seconds.setdefault(name, []).append(time)
    middle = {name: median(times) for name, times in seconds.items()}
    for name, time in middle.items():
        print(f"{size} characters, {name}: {len(found) / time:,.0f} texts/s")
    for name in PEERS:
        print(f"ratio {middle[name] / middle['headrace']:.1f}x over {name}, {size} characters")


def recall(process: "subprocess.Popen[str]", folder: Path, index: str, gold: list[tuple[str, str]]) -> None:
    (folder / "gold.json").write_text(json.dumps([text for _, text in gold]), encoding="utf-8")
    told = {"headrace": ours([text for _, text in gold], index, split=True)[1], **{name: ask(process, n, "gold.json")[1] for name, n in PEERS.items()}}
    total = Counter(kind for kind, _ in gold)
    print("found (the text is flagged, for whatever set: the peer names one alone; of clean texts: accused)")
    for kind, count in total.items():
        mine = {name: sum(bool(said) for (k, _), said in zip(gold, sets, strict=True) if k == kind) for name, sets in told.items()}
        print(f"  {kind}: " + ", ".join(f"{name} {hits / count:.3f}" for name, hits in mine.items()) + f" of {count}")


def accused(process: "subprocess.Popen[str]", folder: Path, index: str, count: int) -> None:
    clean = passages(1000, count)
    (folder / "clean.json").write_text(json.dumps(clean[:ACCUSED]), encoding="utf-8")
    _, sets = ours(clean, index, split=True)
    alarms = [(text, said) for text, said in zip(clean, sets, strict=True) if said]
    print(f"accused, headrace: {len(alarms)} of {len(clean):,} passages of 1,000 characters")
    for text, said in alarms:
        print(f"  {said}: {' '.join(text.split())[:300]}")
    for name, n in PEERS.items():
        print(f"accused, {name}: {sum(map(bool, ask(process, n, 'clean.json')[1]))} of {min(ACCUSED, len(clean)):,}")


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--passages", type=int, default=300_000)
    asked = options.parse_args()
    os.environ.update(THREADS)
    folder = Path(tempfile.mkdtemp(prefix="headrace-contamination-"))
    sets = evaluation()
    (folder / "sets.json").write_text(json.dumps(sets), encoding="utf-8")
    began = process_time()
    index = our_index(sets, folder / "index")
    print(f"{counted(index)}, indexed in {process_time() - began:.1f} s")
    oracle = os.environ.get("HEADRACE_ORACLES", str(HOME / ".venv-oracles/bin/python"))
    command = [oracle, __file__, "--peer", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for size, count in TIMED.items():
            speed(process, folder, index, size, count, asked.runs)
        recall(process, folder, index, planted(sets, passages(1000, 3000)))
        accused(process, folder, index, asked.passages)
        process.communicate()
    shutil.rmtree(folder)


if __name__ == "__main__":
    peer(sys.argv[2]) if sys.argv[1:2] == ["--peer"] else main()
