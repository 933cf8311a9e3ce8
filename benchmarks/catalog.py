"""Our catalogue against DuckLake: many writers with readers beside them, and the registration of 10,000 files.

    python benchmarks/catalog.py [--runs 5] [--files 10000]      in .venv; the peer runs in .venv-oracles (or HEADRACE_ORACLES)

Writers. Four processes commit 15 files of 1,000 rows each, two processes ask every 10 ms how many rows there are now. Every
process keeps its engine; to look anew, ours reads CURRENT and the peer attaches and detaches. Timed: from the moment all are
ready until the last writer is done. Every writer tries until its commit is in; what it had to try again, and what readers were
refused, is counted. DuckLake runs on a DuckDB file (its default) and on SQLite in WAL mode with a busy timeout of 5 s (its best
without a server). Ours writes a snapshot, its file, column statistics, views, funnel and the log, durably (fsync); DuckLake
writes its snapshot and statistics.

Registration. One commit of files of 100 rows that lie there already, footers read, until a new process may query them.

The peer needs duckdb and duckdb-extension-ducklake, for SQLite also duckdb-extension-sqlite-scanner: without it that line is left out.
Each line is the median of alternating runs after one warm-up. Threads: 1 in each process.
"""

import argparse
import json
import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HOME = Path(__file__).resolve().parent.parent
sys.path[:] = [str(HOME), *(path for path in sys.path if Path(path).resolve() != HOME / "benchmarks")]  # this file is no `catalog`

WRITERS, COMMITS, READERS, ROWS = 4, 15, 2, 1000
EVERY = 0.01  # seconds between two looks of a reader
BACKENDS = ("headrace", "ducklake-duckdb", "ducklake-sqlite")
NAMES = {"ducklake-duckdb": "DuckLake (DuckDB file)", "ducklake-sqlite": "DuckLake (SQLite, WAL)"}
Found = dict[str, Any]


def parquet(path: Path, rows: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    text = [f"row {i} of a file that is being registered" for i in range(rows)]
    pq.write_table(pa.table({"id": pa.array(range(rows), pa.int64()), "score": [i / 7 for i in range(rows)], "text": text}), path, compression="zstd")


# ---- ours


def our_file(root: Path, path: str) -> Any:
    from catalog.files import DataFile
    from catalog.ids import digest

    return DataFile(digest(path), path, ROWS if "many" not in path else 100, 0, "", str(root))


def our_draft(key: str, files: list[Any]) -> Any:
    from catalog.files import Draft

    return Draft("t", key, "table", "benchmark", tuple(files), key, mode="append")


def our_writer(folder: Path, name: str) -> Found:
    from catalog import publishing, snapshots  # noqa: F401  loaded before the clock starts, as the peer's extension is
    from catalog.lake import Lake

    lake, slowest = Lake.open(folder), 0.0
    ready(folder, name)
    for i in range(COMMITS):
        start = time.perf_counter()
        lake.commit(our_draft(f"{name}-{i}", [our_file(lake.root, f"data/t/r/{name}-{i}.parquet")]))
        slowest = max(slowest, time.perf_counter() - start)
    return {"retries": 0, "slowest": slowest}


def our_reader(folder: Path, name: str) -> Found:
    from catalog.lake import Lake

    lake = Lake.open(folder)

    def look() -> None:
        lake.rows("SELECT sum(rows) FROM data_file")

    return read_on(folder, name, look)


def our_register(folder: Path, count: int) -> Found:
    from catalog import publishing  # noqa: F401
    from catalog.lake import Lake

    with Lake.open(folder, create=True) as lake:
        start = time.perf_counter()
        lake.commit(our_draft("many", [our_file(lake.root, f"data/t/many/{i}.parquet") for i in range(count)]))
        return {"seconds": time.perf_counter() - start}


# ---- the peer


def ducklake(folder: Path, backend: str) -> tuple[Any, str, str]:
    """Return a connection with the extensions loaded, and the ATTACH to write and the one to read."""
    import duckdb
    import duckdb_extension_ducklake

    db = duckdb.connect(config={"threads": 1})
    db.execute(f"LOAD '{extension(duckdb_extension_ducklake)}'")
    data = f"DATA_PATH '{folder}/data/'"
    if backend == "ducklake-sqlite":
        import duckdb_extension_sqlite_scanner

        db.execute(f"LOAD '{extension(duckdb_extension_sqlite_scanner)}'")
        options = f"{data}, META_JOURNAL_MODE 'WAL', META_BUSY_TIMEOUT 5000"
        where = f"ATTACH 'ducklake:sqlite:{folder}/meta.sqlite' AS lake"
        return db, f"{where} ({options})", f"{where} (READ_ONLY, {options})"
    where = f"ATTACH 'ducklake:{folder}/meta.ducklake' AS lake"
    return db, f"{where} ({data})", f"{where} (READ_ONLY, {data})"


def extension(module: Any) -> str:
    return str(next(Path(module.__file__).parent.rglob("*.duckdb_extension")))


def their_lake(folder: Path, backend: str) -> None:
    db, write, _ = ducklake(folder, backend)
    db.execute(write)
    db.execute("CREATE TABLE lake.t (id BIGINT, score DOUBLE, text VARCHAR)")
    db.execute("DETACH lake")


def their_writer(folder: Path, name: str, backend: str) -> Found:
    db, write, _ = ducklake(folder, backend)
    retries, slowest = 0, 0.0
    ready(folder, name)
    for i in range(COMMITS):
        start = time.perf_counter()
        while True:
            try:
                db.execute(write)
                db.execute(f"CALL ducklake_add_data_files('lake', 't', '{folder}/data/t/r/{name}-{i}.parquet')")
                break
            except Exception:  # whatever the engine raises under contention is tried again and counted
                retries += 1
                time.sleep(0.01)
            finally:
                detach(db)
        slowest = max(slowest, time.perf_counter() - start)
    return {"retries": retries, "slowest": slowest}


def detach(db: Any) -> None:
    for sql in ("ROLLBACK", "USE memory", "DETACH lake"):
        try:
            db.execute(sql)
        except Exception:  # there is no transaction, or no lake: that is what is wanted
            continue


def their_reader(folder: Path, name: str, backend: str) -> Found:
    db, _, read = ducklake(folder, backend)

    def look() -> None:
        try:
            db.execute(read)
            db.execute("SELECT count(*) FROM lake.t").fetchone()
        finally:
            detach(db)

    return read_on(folder, name, look)


def their_register(folder: Path, backend: str) -> Found:
    db, write, _ = ducklake(folder, backend)
    start = time.perf_counter()
    db.execute(write)
    db.execute(f"CALL ducklake_add_data_files('lake', 't', '{folder}/data/t/many/*.parquet')")
    detach(db)
    return {"seconds": time.perf_counter() - start}


# ---- both


def ready(folder: Path, name: str) -> None:
    """Say that this process has loaded everything, and wait for the start."""
    (folder / f"ready-{name}").touch()
    while not (folder / "go").exists():
        time.sleep(0.002)


def read_on(folder: Path, name: str, look: Any) -> Found:
    look()
    ready(folder, name)
    times, refused = [], 0
    while not (folder / "stop").exists():
        start = time.perf_counter()
        try:
            look()
            times.append(time.perf_counter() - start)
        except Exception:  # a reader that is refused is what is counted
            refused += 1
        time.sleep(EVERY)
    return {"opens": len(times), "refused": refused, "p50": statistics.median(times) if times else None}


def role(folder: Path, backend: str, what: str, name: str, count: int) -> Found:
    """One child process."""
    logging.getLogger("catalog").setLevel(logging.ERROR)  # who waits for whom is not asked here
    ours = backend == "headrace"
    if what == "writer":
        return our_writer(folder, name) if ours else their_writer(folder, name, backend)
    if what == "reader":
        return our_reader(folder, name) if ours else their_reader(folder, name, backend)
    if what == "register":
        return our_register(folder, count) if ours else their_register(folder, backend)
    their_lake(folder, backend)
    return {}


def child(python: str, *arguments: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([python, __file__, "--role", *arguments], stdout=subprocess.PIPE, text=True, env=environment)


def answer(process: "subprocess.Popen[str]") -> Found:
    out, _ = process.communicate(timeout=600)
    if process.returncode != 0:
        raise SystemExit(f"a child process failed with {process.returncode}")
    found: Found = json.loads(out.splitlines()[-1])
    return found


def make(python: str, backend: str, folder: Path) -> None:
    if backend == "headrace":
        from catalog.lake import Lake

        Lake.open(folder, create=True).close()
    else:
        answer(child(python, str(folder), backend, "make", "-", "0"))


def writers_and_readers(python: str, backend: str) -> Found:
    """One run: how long the commits took, what was tried again, what readers were refused."""
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name:
        folder = Path(name)
        make(python, backend, folder)
        for writer in range(WRITERS):
            for i in range(COMMITS):
                parquet(folder / f"data/t/r/w{writer}-{i}.parquet", ROWS)
        if backend == "headrace":
            prime(folder)
        writers = [child(python, str(folder), backend, "writer", f"w{i}", "0") for i in range(WRITERS)]
        readers = [child(python, str(folder), backend, "reader", f"r{i}", "0") for i in range(READERS)]
        while len(list(folder.glob("ready-*"))) < WRITERS + READERS:
            time.sleep(0.01)
        start = time.perf_counter()
        (folder / "go").touch()
        written = [answer(process) for process in writers]
        seconds = time.perf_counter() - start
        (folder / "stop").touch()
        read = [answer(process) for process in readers]
    return {
        "seconds": seconds, "retries": sum(w["retries"] for w in written), "slowest": max(w["slowest"] for w in written),
        "opens": sum(r["opens"] for r in read), "refused": sum(r["refused"] for r in read), "p50": max(r["p50"] or 0 for r in read),
    }  # fmt: skip


def prime(folder: Path) -> None:
    """A first commit, so that readers have a dataset to read."""
    from catalog.lake import Lake

    parquet(folder / "data/t/r/first.parquet", ROWS)
    with Lake.open(folder) as lake:
        lake.commit(our_draft("first", [our_file(lake.root, "data/t/r/first.parquet")]))


def registration(python: str, backend: str, many: Path, count: int) -> Found:
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name:
        folder = Path(name)
        make(python, backend, folder)
        (folder / "data" / "t").mkdir(parents=True, exist_ok=True)
        shutil.copytree(many, folder / "data/t/many", copy_function=os.link)
        return answer(child(python, str(folder), backend, "register", "-", str(count)))


def median(runs: list[Found], name: str) -> float:
    return statistics.median(run[name] for run in runs)


def report(title: str, found: dict[str, list[Found]]) -> None:
    """One line a backend, then one `ratio` line a peer: seconds of theirs over seconds of ours."""
    print(title)
    for backend, runs in found.items():
        more = ""
        if "opens" in runs[0]:
            refused = sum(run["refused"] for run in runs) / max(1, sum(run["refused"] + run["opens"] for run in runs))
            more = (
                f"  slowest commit {median(runs, 'slowest'):.2f} s  tried again {median(runs, 'retries'):.0f}"
                f"  reads {median(runs, 'opens'):.0f}, {refused:.1%} refused, p50 {1000 * median(runs, 'p50'):.1f} ms"
            )
        print(f"  {NAMES.get(backend, backend):24} {median(runs, 'seconds'):7.2f} s{more}")
    ours = median(found["headrace"], "seconds")
    for backend in list(found)[1:]:
        print(f"  ratio {median(found[backend], 'seconds') / ours:.1f}x over {NAMES[backend]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--files", type=int, default=10_000)
    given = parser.parse_args()
    oracle = os.environ.get("HEADRACE_ORACLES", str(HOME / ".venv-oracles/bin/python"))
    sqlite = subprocess.run([oracle, "-c", "import duckdb_extension_sqlite_scanner"], capture_output=True).returncode == 0
    backends = [backend for backend in BACKENDS if sqlite or backend != "ducklake-sqlite"]
    pythons = {backend: sys.executable if backend == "headrace" else oracle for backend in backends}
    commits: dict[str, list[Found]] = {backend: [] for backend in backends}
    files: dict[str, list[Found]] = {backend: [] for backend in backends}
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name:
        many = Path(name) / "many"
        parquet(many / "0.parquet", 100)
        for i in range(1, given.files):
            shutil.copyfile(many / "0.parquet", many / f"{i}.parquet")
        for turn in range(given.runs + 1):
            for backend in backends:
                one, other = writers_and_readers(pythons[backend], backend), registration(pythons[backend], backend, many, given.files)
                if turn:  # the first turn warms caches
                    commits[backend].append(one)
                    files[backend].append(other)
    report(f"{WRITERS} writers x {COMMITS} commits, {READERS} readers", commits)
    report(f"registration of {given.files:,} files", files)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--role"]:
        print(json.dumps(role(Path(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5], int(sys.argv[6]))))
    else:
        main()
