"""MinHash signatures, and near-duplicate search from texts to clusters, against datatrove, datasketch and rensa.

    python benchmarks/minhash.py [--runs 5]      in .venv; the peers run in .venv-oracles (or another interpreter, HEADRACE_ORACLES)

All on the same texts, 112 hash functions over word 5-grams in small letters, one core and one thread each, alternating, CPU seconds
of the work alone (texts in memory, warmed up). Signatures: from the text, its words included. Ours and datatrove split words by
Unicode's rules and spaCy's; datasketch and rensa have no splitter, so they get Python's fastest, one regular expression, and
datasketch its fastest hash. Search: from texts to clusters with 14 bands of 8. Ours reads the texts from a data file, compares
candidates gram by gram and writes band table and annotation; datatrove runs its three steps on files; datasketch inserts into its
LSH index and asks it; neither of the two compares candidates. rensa's index gives no clusters: its signatures alone are timed.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time

HOME = Path(__file__).resolve().parent.parent
sys.path[:] = [str(HOME), *(path for path in sys.path if Path(path).resolve() != HOME / "benchmarks")]
DATA = HOME / "examples/data"
WINDOW, BANDS, ROWS, NGRAM = 4000, 14, 8, 5
THREADS = dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
PEERS = ("datatrove", "datasketch", "rensa R", "rensa C")
SEARCHERS = ("datatrove", "datasketch")


def texts() -> list[str]:
    """300 C4 pages, about 1,600 windows of four books, and 200 of these with a word exchanged here and there."""
    pages = [json.loads(line)["text"] for line in (DATA / "web/c4.jsonl").read_text(encoding="utf-8").splitlines()]
    books = [path.read_text(encoding="utf-8") for path in sorted((DATA / "books").glob("*.txt"))]
    windows = [book[at : at + WINDOW] for book in books for at in range(0, len(book) - WINDOW, WINDOW)]
    near = [re.sub(r"\bwhich\b", "that", window) for window in windows[::8]]
    return [*pages, *windows, *near[:200]]


# ---- ours


def our_signatures(found: list[str]) -> None:
    import polars as pl

    from curate.minhash import keys

    for start in range(0, len(found), 500):  # a batch of about two megabytes, as the reader cuts them
        keys(pl.DataFrame({"text": found[start : start + 500]}), bands=BANDS, rows=ROWS, ngram=NGRAM)


def our_search(found: list[str]) -> int:
    from catalog.stage import Bound
    from curate import duplicates

    file = data_file(tuple(found))
    knobs = {"preset": "fineweb", "threshold": None, "verify": 0.8, "ngram": NGRAM}
    folder = Path(tempfile.mkdtemp(dir=file.root)) / "made" / "run"
    made = duplicates.find([file], [Bound("curate.exact:job", {}), Bound("curate.minhash:job", knobs)], str(folder), workers=0)
    return int(made.metrics["clustered"])


FILES: dict[int, "object"] = {}


def data_file(found: tuple[str, ...]):  # type: ignore[no-untyped-def]
    """The texts as a data file of a lake, written once: the peers have theirs in memory."""
    from catalog.files import DataFile, DataWriter
    from catalog.ids import doc_id, origin_hash
    from catalog.schema import DOCUMENT

    if len(found) not in FILES:
        root = tempfile.mkdtemp(prefix="headrace-minhash-")
        with DataWriter(f"{root}/data/x/r/part.parquet", DOCUMENT) as out:
            for number, text in enumerate(found):
                out.add({"doc_id": doc_id("x", str(number), None, None), "text": text, "origin_hash": origin_hash(text), "domain": "web", "media": []})
            stat = out.close()
        FILES[len(found)] = DataFile("x", "data/x/r/part.parquet", stat.rows, stat.bytes, stat.ids, root, (), stat.columns)
    return FILES[len(found)]


# ---- peers, in the oracles' environment


def tokens(text: str) -> list[str]:
    return WORD.findall(text.lower())


WORD = re.compile(r"\w+")


def datatrove_signatures(found: list[str], step=None) -> None:  # type: ignore[no-untyped-def]
    step = step or datatrove_step("unused")
    for text in found:
        shingles = step.get_shingles(text)
        if shingles.size:
            step.get_signature(shingles)


def datatrove_step(folder: str):  # type: ignore[no-untyped-def]
    from datatrove.pipeline.dedup import MinhashDedupSignature

    return MinhashDedupSignature(output_folder=folder, config=datatrove_config())


def datatrove_config():  # type: ignore[no-untyped-def]
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.utils.hashing import HashConfig

    return MinhashConfig(n_grams=NGRAM, num_buckets=BANDS, hashes_per_bucket=ROWS, hash_config=HashConfig(precision=64, hash_fc="xxhash"))


def datatrove_search(found: list[str]) -> int:
    from datatrove.data import Document
    from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster

    folder = tempfile.mkdtemp(prefix="datatrove-minhash-")
    config = datatrove_config()
    datatrove_step(f"{folder}/signatures").run(iter([Document(text=text, id=str(i)) for i, text in enumerate(found)]), 0, 1)
    for rank in range(BANDS):
        MinhashDedupBuckets(f"{folder}/signatures", f"{folder}/buckets", config=config).run(None, rank, BANDS)
    cluster = MinhashDedupCluster(f"{folder}/buckets", f"{folder}/remove", config=config)
    cluster.run(None, 0, 1)
    shutil.rmtree(folder)
    return -1


def datasketch_hashes(found: list[str]):  # type: ignore[no-untyped-def]
    import xxhash
    from datasketch import MinHash

    def hashed(text: str) -> int:
        return int(xxhash.xxh32_intdigest(text))

    blank = MinHash(num_perm=BANDS * ROWS, seed=1, hashfunc=hashed)
    made = []
    for text in found:
        words = tokens(text)
        minhash = blank.copy()
        minhash.update_batch([" ".join(words[i : i + NGRAM]) for i in range(max(1, len(words) - NGRAM + 1))])
        made.append(minhash)
    return made


def datasketch_search(found: list[str]) -> int:
    from datasketch import MinHashLSH

    index = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
    made = datasketch_hashes(found)
    parent = list(range(len(found)))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = node = parent[parent[node]]
        return node

    for number, minhash in enumerate(made):
        for other in index.query(minhash):
            parent[root(number)] = root(other)
        index.insert(number, minhash)
    return len(found)


def rensa_signatures(found: list[str], name: str) -> None:
    import rensa

    kind = getattr(rensa, name)
    for text in found:
        words = tokens(text)
        minhash = kind(num_perm=BANDS * ROWS, seed=1)
        minhash.update([" ".join(words[i : i + NGRAM]) for i in range(max(1, len(words) - NGRAM + 1))])
        minhash.digest()


WORK: dict[str, Callable[[list[str]], object]] = {
    "signatures datatrove": datatrove_signatures,
    "signatures datasketch": datasketch_hashes,
    "signatures rensa R": lambda found: rensa_signatures(found, "RMinHash"),
    "signatures rensa C": lambda found: rensa_signatures(found, "CMinHash"),
    "search datatrove": datatrove_search,
    "search datasketch": datasketch_search,
}


def timed(work: Callable[[list[str]], object], found: list[str]) -> float:
    start = process_time()
    work(found)
    return process_time() - start


def peer(path: str) -> None:
    """Answer each kind of work that comes on stdin with the CPU seconds it took."""
    found = json.loads(Path(path).read_text(encoding="utf-8"))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        print(timed(WORK[line.strip()], found), file=answers, flush=True)


def ask(process: "subprocess.Popen[str]", work: str) -> float:
    assert process.stdin and process.stdout, "started with pipes"
    process.stdin.write(work + "\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def report(label: str, seconds: dict[str, list[float]], count: int, characters: int) -> None:
    middle = {name: median(times) for name, times in seconds.items()}
    for name, time in middle.items():
        print(f"{label}, {name}: {time:.3f} s, {count / time:,.0f} texts/s, {characters / time / 1e6:.1f} M characters/s")
    for name in list(middle)[1:]:
        print(f"ratio {middle[name] / middle['headrace']:.1f}x over {name}, {label}")


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=5)
    runs = options.parse_args().runs
    os.environ.update(THREADS)
    found = texts()
    characters = sum(map(len, found))
    folder = Path(tempfile.mkdtemp(prefix="headrace-minhash-"))
    (folder / "texts.json").write_text(json.dumps(found), encoding="utf-8")
    oracle = os.environ.get("HEADRACE_ORACLES", str(HOME / ".venv-oracles/bin/python"))
    command = [oracle, __file__, "--peer", str(folder / "texts.json")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        print(f"{len(found)} texts, {characters / len(found):.0f} characters each on average; 1 core and 1 thread each;")
        print(f"CPU seconds, median of {runs} alternating runs after one to warm up")
        for label, ours, peers in (("signatures", our_signatures, PEERS), ("search", our_search, SEARCHERS)):
            seconds: dict[str, list[float]] = {"headrace": [], **{name: [] for name in peers}}
            for turn in range(runs + 1):
                times = {"headrace": timed(ours, found), **{name: ask(process, f"{label} {name}") for name in peers}}
                for name, time in times.items() if turn else ():
                    seconds[name].append(time)
            report(label, seconds, len(found), characters)
        process.communicate()
    shutil.rmtree(folder)
    for file in FILES.values():
        shutil.rmtree(file.root)  # type: ignore[attr-defined]


if __name__ == "__main__":
    peer(sys.argv[2]) if sys.argv[1:2] == ["--peer"] else main()
