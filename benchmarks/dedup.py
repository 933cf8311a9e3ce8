"""Exact and near duplicates against datatrove, datasketch, rensa and text-dedup: signatures, Parquet to verdicts at scale, and what is found.

    python benchmarks/dedup.py [--documents 100000 1000000] [--peers 100000] [--runs 3] [--folder FOLDER] [--only signatures,scale,peers]

in .venv; datatrove, datasketch and rensa run in .venv-oracles (or another interpreter, HEADRACE_ORACLES), text-dedup in the one that
HEADRACE_TEXT_DEDUP names (a virtual environment with `pip install text-dedup`), without which it is left out. 112 hash functions over
word 5-grams in small letters everywhere, 14 bands of 8.

Signatures: texts of 5,000 characters of the demo's pages and books, one core and one thread each, alternating, CPU seconds of the work alone
(texts in memory, warmed up), words included. Ours and datatrove split words by Unicode's rules and spaCy's; datasketch and rensa have no splitter
and get one regular expression, and datasketch its fastest hash.

Scale: generated documents (benchmarks/planted.py) as data files; exact and near duplicates with true Jaccard of .8, family `dup` and verdicts
written, two workers. Peers: on the same files, two tasks or processes, to the Parquet (datatrove) or Arrow files (text-dedup) of what stays;
neither compares candidates. CPU seconds, wall and memory (resident, all processes, what they share counted in each) are those of the whole
process tree from start to end, sampled from /proc.

Quality: the planted pairs by true Jaccard. "Meet" have a band in common, "merged" are in one cluster. A peer merged a pair when it keeps one of the two.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import process_time

HOME = Path(__file__).resolve().parent.parent
sys.path[:] = [str(HOME), *(path for path in sys.path if Path(path).resolve() != HOME / "benchmarks")]

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks import planted

DATA = HOME / "examples/data"
PEERS = HOME / "benchmarks/dedup_peers.py"
LENGTH, BANDS, ROWS, NGRAM, VERIFY = 5000, 14, 8, 5, 0.8
THREADS = dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
SIGNERS = ("datatrove", "datasketch", "rensa R", "rensa C")
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# ---- signatures


def texts() -> list[str]:
    """C4 pages and books, end to end, cut into texts of LENGTH characters."""
    pages = [json.loads(line)["text"] for line in (DATA / "web/c4.jsonl").read_text(encoding="utf-8").splitlines()]
    whole = " ".join([*pages, *(path.read_text(encoding="utf-8") for path in sorted((DATA / "books").glob("*.txt")))])
    return [whole[at : at + LENGTH] for at in range(0, len(whole) - LENGTH, LENGTH)]


def our_signatures(found: list[str]) -> None:
    from curate.minhash import keys

    for start in range(0, len(found), 500):  # batches as the reader cuts them
        keys(pl.DataFrame({"text": found[start : start + 500]}), bands=BANDS, rows=ROWS, ngram=NGRAM)


def ask(process: "subprocess.Popen[str]", name: str) -> float:
    assert process.stdin and process.stdout, "started with pipes"
    process.stdin.write(name + "\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def timed(found: list[str]) -> float:
    start = process_time()
    our_signatures(found)
    return process_time() - start


def signatures(runs: int, folder: Path) -> None:
    found = texts()
    (folder / "texts.json").write_text(json.dumps(found), encoding="utf-8")
    command = [oracles(), str(PEERS), "signatures", str(folder / "texts.json")]
    seconds: dict[str, list[float]] = {name: [] for name in ("headrace", *SIGNERS)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for turn in range(runs + 1):
            for name, time_ in {"headrace": timed(found), **{name: ask(process, name) for name in SIGNERS}}.items():
                seconds[name] += [time_] if turn else []
        process.communicate()
    print(f"signatures: {len(found)} texts of {LENGTH} characters, one core; CPU seconds, median of {runs} alternating runs after one to warm up")
    middle = {name: median(times) for name, times in seconds.items()}
    for name, taken in middle.items():
        print(f"signatures, {name}: {taken:.3f} s, {len(found) / taken:,.0f} documents/s a core")
    for name in SIGNERS:
        print(f"ratio {middle[name] / middle['headrace']:.1f}x over {name}, signatures")


def oracles() -> str:
    return os.environ.get("HEADRACE_ORACLES", str(HOME / ".venv-oracles/bin/python"))


# ---- a side, measured with all its processes


@dataclass(frozen=True)
class Taken:
    """What a command took: CPU and wall seconds, and the peak of all its processes' resident memory, in bytes."""

    cpu: float
    wall: float
    memory: int


def measured(command: list[str], log: Path) -> Taken:
    """Run a command in a session of its own and watch its processes."""
    tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    spent: dict[str, int] = {}
    peak, start = 0, time.monotonic()
    with open(log, "wb") as out:
        environment = {**os.environ, **THREADS, "HF_HUB_OFFLINE": "1", "HF_HOME": str(log.parent / "hf"), "TOKENIZERS_PARALLELISM": "false"}
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment, cwd=HOME, start_new_session=True)
        while process.poll() is None:
            now = 0
            for entry in Path("/proc").glob("[0-9]*"):
                try:
                    told = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                if int(told[3]) == process.pid:
                    spent[entry.name] = int(told[11]) + int(told[12])
                    now += int(told[21]) * page
            peak = max(peak, now)
            time.sleep(0.1)
    assert process.returncode == 0, f"{command} failed:\n{log.read_text(errors='replace')[-3000:]}"
    return Taken(sum(spent.values()) / tick, time.monotonic() - start, peak)


def side(root: str, documents: int) -> None:
    """Our own: families `dup` and `verdict` beside the data files."""
    from dataclasses import replace

    from catalog.stage import Bound
    from curate import duplicates, verdicts
    from curate.policy import from_body

    files, folder = planted.write(root, documents), os.path.join(root, "annotations/planted/run")
    knobs = {"preset": "fineweb", "threshold": None, "verify": VERIFY, "ngram": NGRAM}
    found = duplicates.find(files, [Bound("curate.exact:job", {"by": ("text",)}), Bound("curate.minhash:job", knobs)], folder)
    told = [replace(file, annotations=(found.annotations[file.id],)) for file in files]
    judged = verdicts.judge(told, from_body("first", {"keep": ["doc_id ASC"]}), folder)
    made = {"bands": found.bands, "dup": [os.path.join(root, found.annotations[file.id].path) for file in files]}
    Path(root, "made.json").write_text(json.dumps({**made, "kept": judged.kept, "metrics": found.metrics}), encoding="utf-8")


def scale(sizes: list[int], folder: Path) -> dict[int, Taken]:
    taken = {}
    for documents in sizes:
        root = folder / str(documents)
        subprocess.run([sys.executable, __file__, "--write", str(root), str(documents)], check=True)
        shutil.rmtree(root / "annotations", ignore_errors=True)
        taken[documents] = now = measured([sys.executable, __file__, "--side", str(root), str(documents)], folder / "headrace.log")
        told = json.loads((root / "made.json").read_text(encoding="utf-8"))
        said(f"scale, {documents:,} documents, headrace", documents, now)
        print(f"scale, {documents:,} documents: {told['kept']:,} kept, {json.dumps(told['metrics'])}")
    small, large = sizes[0], sizes[-1]
    if small != large:
        print(f"ratio {taken[large].wall / taken[small].wall:.1f}x wall, {taken[large].cpu / taken[small].cpu:.1f}x CPU, {large:,} over {small:,} documents")
    return taken


def said(label: str, documents: int, now: Taken) -> None:
    print(
        f"{label}: {now.wall:.1f} s wall ({documents / now.wall:,.0f} documents/s), {now.cpu:.1f} CPU s ({documents / now.cpu:,.0f} documents/s a core), "
        f"peak {now.memory / 1e9:.2f} GB; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


# ---- peers and what is found


def peers(documents: int, folder: Path, ours: Taken) -> dict[str, set[str]]:
    """Run the peers on the data files; return what each keeps."""
    root, kept = folder / str(documents), {}
    interpreters = {"datatrove": oracles(), "text-dedup": os.environ.get("HEADRACE_TEXT_DEDUP", "")}
    for name, interpreter in interpreters.items():
        if not interpreter:
            print(f"{name}: left out, no interpreter that has it was named")
            continue
        out = folder / name
        shutil.rmtree(out, ignore_errors=True)
        now = measured([interpreter, str(PEERS), name, str(root / "data/planted/r"), str(out)], folder / f"{name}.log")
        said(f"scale, {documents:,} documents, {name}", documents, now)
        print(f"ratio {now.cpu / ours.cpu:.1f}x over {name} in CPU seconds, {now.wall / ours.wall:.1f}x in wall, {documents:,} documents")
        kept[name] = left(out / "kept", name)
        shutil.rmtree(out)
    return kept


def left(folder: Path, name: str) -> set[str]:
    import pyarrow as pa

    if name == "datatrove":
        return set(pl.read_parquet(folder / "*.parquet", columns=["id"])["id"])
    tables = [pa.ipc.open_stream(str(path)).read_all() for path in sorted(folder.glob("*.arrow"))]
    return {str(one) for table in tables for one in table["doc_id"].to_pylist()}


def quality(documents: int, folder: Path, kept: dict[str, set[str]]) -> None:
    """Print the planted pairs by true Jaccard: the formula, whose bands meet, and who merges them."""
    from curate.minhash import chance

    root, pairs = folder / str(documents), planted.plan(documents).near
    made = json.loads((root / "made.json").read_text(encoding="utf-8"))
    ids = pl.concat([pl.read_parquet(file.full_path, columns=["doc_id"]) for file in planted.write(str(root), documents)])["doc_id"]
    cluster = pl.concat([pl.read_parquet(path, glob=False)["dup"].struct.field("cluster") for path in made["dup"]])
    bands = pl.concat([pl.read_parquet(path, glob=False) for path in made["bands"]]).select(pl.col("^band_.*$")).to_numpy()
    true, first, other = true_jaccards(planted.plan(documents)), pairs[:, 0], pairs[:, 1]
    meet = (bands[first] == bands[other]).any(axis=1)
    merged = {"headrace": (cluster.gather(first) == cluster.gather(other)).fill_null(False).to_numpy()}
    for name, stay in kept.items():
        stays = ids.is_in(list(stay)).to_numpy()
        assert not (~stays[first] & ~stays[other]).all(), f"{name} keeps something"
        merged[name] = ~(stays[first] & stays[other])
    expected = chance_of(true, chance)
    print(f"quality, {documents:,} documents: {len(pairs):,} planted pairs by true Jaccard, in percent")
    print("| Jaccard | pairs | formula | bands meet | merged: " + " | ".join(merged) + " |")
    for low in np.arange(0.2, 1.0, 0.05):
        inside = (true >= low - 1e-9) & (true < low + 0.05 - 1e-9 + (low > 0.94))
        if inside.any():
            told = [expected[inside].mean(), meet[inside].mean(), *(mask[inside].mean() for mask in merged.values())]
            print(f"| {low:.2f} to {low + 0.05:.2f} | {inside.sum()} | " + " | ".join(f"{100 * value:.1f}" for value in told) + " |")
    for name, mask in merged.items():
        print(f"quality, {name}: recall over .85 {mask[true > 0.85].mean():.4f}, at .8 and above {mask[true >= VERIFY].mean():.4f}; "
              f"merged under .5 {mask[true < 0.5].mean():.4f}, under .8 {mask[true < VERIFY].mean():.4f}")  # fmt: skip


def chance_of(true: Floats, chance) -> Floats:  # type: ignore[no-untyped-def]
    return np.array([chance(jaccard, BANDS, ROWS) for jaccard in true])


def true_jaccards(told: planted.Plan) -> Floats:
    """The Jaccard of each planted pair's 5-grams, counted."""
    from catalog.stage import words
    from curate.grams import gram_sets, jaccards

    found = []
    for at in range(0, len(told.near), 2000):
        places = told.near[at : at + 2000].ravel()
        batch = pl.DataFrame({"text": pl.concat([planted.texts(told, place, place + 1) for place in places.tolist()])})
        first = np.arange(0, places.size, 2)
        found.append(jaccards(*gram_sets(words(batch), NGRAM), first, first + 1))
    return np.concatenate(found)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--documents", type=int, nargs="+", default=[100_000, 1_000_000])
    options.add_argument("--peers", type=int, default=100_000)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--folder")
    options.add_argument("--only", default="signatures,scale,peers")
    given = options.parse_args()
    os.environ.update(THREADS)
    folder = Path(given.folder or tempfile.mkdtemp(prefix="headrace-dedup-"))
    folder.mkdir(parents=True, exist_ok=True)
    if "signatures" in given.only:
        signatures(given.runs, folder)
    taken = scale(given.documents, folder) if "scale" in given.only else {}
    if "peers" in given.only:
        ours = taken.get(given.peers) or scale([given.peers], folder)[given.peers]
        quality(given.peers, folder, peers(given.peers, folder, ours))
    if not given.folder:
        shutil.rmtree(folder)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        side(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1:2] == ["--write"]:
        planted.write(sys.argv[2], int(sys.argv[3]))
    else:
        main()
