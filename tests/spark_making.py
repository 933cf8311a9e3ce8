"""A Spark standalone cluster on loopback, and small corpora of data files: what tests of Spark, tasks and duplicates share."""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from catalog.files import DataFile, DataWriter, read
from catalog.ids import digest, doc_id, origin_hash
from catalog.schema import DOCUMENT

SECRET = "loopback"


@dataclass(frozen=True)
class Cluster:
    """A running cluster: the master's URL, what a driver must be told, and the folder of its daemons."""

    master: str
    conf: dict[str, str]
    folder: Path
    workers: tuple["subprocess.Popen[bytes]", ...]


@contextmanager
def standalone(folder: Path, workers: int = 2, cores: int = 1) -> Iterator[Cluster]:
    """One master and some workers, as real daemons with a shared secret; stopped at the end."""
    import pyspark

    home = Path(pyspark.__file__).parent
    conf = folder / "conf"
    conf.mkdir(parents=True)
    (conf / "spark-defaults.conf").write_text(f"spark.authenticate true\nspark.authenticate.secret {SECRET}\nspark.master.rest.enabled false\n")
    environment = {
        **os.environ, "SPARK_HOME": str(home), "SPARK_CONF_DIR": str(conf), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_NO_DAEMONIZE": "1", "SPARK_LOCAL_DIRS": str(folder / "local"),
    }  # fmt: skip
    environment.pop("PYTHONPATH", None)  # executors get our code by shipping, not because they were started near it
    started: list[subprocess.Popen[bytes]] = []

    def daemon(name: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [home / "bin" / "spark-class", f"org.apache.spark.deploy.{name.partition('-')[0]}", *arguments]
        with open(folder / f"{name}.log", "wb") as log:
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
        started.append(process)
        return process

    loopback = ["--host", "127.0.0.1", "--port", "0", "--webui-port", "0"]
    try:
        daemon("master.Master", *loopback)
        master = _said(folder / "master.Master.log", "Starting Spark master at ")
        sized = ["--cores", str(cores), "--memory", "1g"]
        hands = [daemon(f"worker.Worker-{i}", *loopback, *sized, "--work-dir", str(folder / f"work-{i}"), master) for i in range(workers)]
        _said(folder / "master.Master.log", "Registering worker ", times=workers)
        told = {"spark.authenticate.secret": SECRET, "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        yield Cluster(master, told, folder, tuple(hands))
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _said(log: Path, mark: str, times: int = 1, seconds: float = 120) -> str:
    """Wait until a daemon's log holds a mark so many times, and return the word after the first."""
    end = time.monotonic() + seconds
    text = ""
    while time.monotonic() < end:
        text = log.read_text(errors="replace") if log.exists() else ""
        if text.count(mark) >= times:
            return text.partition(mark)[2].split()[0]
        time.sleep(0.2)
    raise AssertionError(f"{log} did not say {mark!r} {times} times:\n{text[-2000:]}")


def local_session() -> Any:
    """The one session of a test run, on two cores here. Whoever asks first starts it; it ends with the process."""
    from catalog.spark import session

    return session(master="local[2]", conf={"spark.driver.memory": "1g", "spark.sql.shuffle.partitions": "4"})


def corpus(root: Path, rows: Sequence[dict[str, Any]], files: int = 2, dataset: str = "made") -> list[DataFile]:
    """Write documents as data files: `text` is needed, the rest has defaults. Their order is kept."""
    made = []
    size = max(1, -(-len(rows) // files))
    for number in range(files):
        path = f"data/{dataset}/run/part-{number}.parquet"
        with DataWriter(root / path, DOCUMENT) as out:
            for i, row in enumerate(rows[number * size : (number + 1) * size]):
                uri = row.get("uri", f"https://h{i % 5}.example/{number}/{i}")
                full = {"doc_id": doc_id(dataset, uri, i, None), "uri": uri, "domain": "web", "origin_hash": origin_hash(row["text"] or "")}
                out.add({**full, "media": [], **row})
            stat = out.close()
        made.append(DataFile(digest(path), path, stat.rows, stat.bytes, stat.ids, str(root), (), stat.columns))
    return made


def joined(files: Sequence[DataFile], annotations: dict[str, Any]) -> list[DataFile]:
    """The files with one more annotation each."""
    return [replace(file, annotations=(*file.annotations, annotations[file.id])) for file in files]


def family(files: Sequence[DataFile], name: str, *columns: str) -> pl.DataFrame:
    """One family of all files under each other, beside some of their columns."""
    frames = [read(file, ["doc_id", *columns], [name]).unnest(name) for file in files]
    return pl.concat(frames)
