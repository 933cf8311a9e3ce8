"""All that headrace asks of Spark: a session, tasks over files, narrow frames over ids.

The one door to pyspark, which is imported only when Spark is asked for: without a session, tasks run in worker processes here.
"""

import heapq
import os
import re
import shutil
import socket
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from catalog.errors import HeadraceError, SetupError, WorkError
from catalog.files import DataFile
from catalog.tasks import ONE_THREAD, Task, Workers, by_size, name_of, perform, result_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

PARTITIONS_A_CORE = 4
"""More would only add scheduling; fewer would leave cores idle behind the last large file."""

ROW_BITS = 32
"""A row reference is file number << 32 | row number: one bigint in every shuffle."""

ANSWER = 10.0
"""Seconds that a master has to take a connection."""

SETTINGS = {
    "spark.app.name": "headrace",
    "spark.authenticate": "true",
    "spark.log.level": "ERROR",
    "spark.master.rest.enabled": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
LOCAL = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "2g",
    "spark.sql.shuffle.partitions": "8",
}


def __getattr__(name: str) -> Any:
    """`F` is pyspark.sql.functions, so that jobs need no import of pyspark."""
    if name == "F":
        from pyspark.sql import functions

        return functions
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def session(conf: Mapping[str, str] | None = None, master: str | None = None) -> "SparkSession":
    """Start a classic session, or join the one that spark-submit started for this process.

    `conf` wins over what spark-submit and spark-defaults.conf say, they over our settings. Without a master, local[*].
    Code reaches the executors only when it is shipped (`headrace.ship.send`). Raises SetupError with what to do.
    """
    _find_java()
    given = {**_defaults(), **{key: str(value) for key, value in (conf or {}).items()}}
    master = master or given.get("spark.master") or os.environ.get("MASTER") or "local[*]"
    _refuse_connect(master, given)
    settings = {**SETTINGS, **(LOCAL if master.startswith("local") else {}), **_environment(given, master), **given, "spark.master": master}
    if master.startswith("spark://") and settings["spark.authenticate"] == "true" and "spark.authenticate.secret" not in settings:
        raise SetupError(
            f"{master}: a standalone cluster shares a secret; give --conf spark.authenticate.secret=... as its daemons have it, "
            "or --conf spark.authenticate=false on a network that you trust"
        )
    _refuse_silent(master)
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = settings["spark.executorEnv.PYSPARK_PYTHON"]  # what pyspark writes into each task
    if master.startswith("local"):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # no look-up of this machine's name: it may have none
    started: SparkSession = SparkSession.builder.config(conf=SparkConf().setAll(list(settings.items()))).getOrCreate()
    return started


def _defaults() -> dict[str, str]:
    """What is said where we are started: by spark-submit, through the JVM that it started for us, else in spark-defaults.conf."""
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        from pyspark import SparkConf, SparkContext

        SparkContext._ensure_initialized()
        return dict(SparkConf().getAll())
    folder = os.environ.get("SPARK_CONF_DIR") or os.path.join(os.environ.get("SPARK_HOME", ""), "conf")
    path = os.path.join(folder, "spark-defaults.conf")
    if not os.path.isfile(path):
        return {}
    with open(path, encoding="utf-8") as lines:
        pairs = [re.split(r"[\s=:]+", line.strip(), maxsplit=1) for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def _refuse_connect(master: str, conf: Mapping[str, str]) -> None:
    if master.startswith("sc://") or "spark.remote" in conf or os.environ.get("SPARK_REMOTE"):
        raise SetupError(
            f"{conf.get('spark.remote') or os.environ.get('SPARK_REMOTE') or master}: Spark Connect has no RDDs, which tasks need; "
            "give a classic master: local[*], spark://HOST:7077, yarn or k8s://URL"
        )


def _refuse_silent(master: str) -> None:
    """Where nothing listens, Spark would try for a minute and end in a traceback. Of several masters one has to answer."""
    if not master.startswith("spark://"):
        return
    reasons = []
    for place in master.removeprefix("spark://").split(","):
        host, _, port = place.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), ANSWER).close()
            return
        except (OSError, OverflowError, ValueError) as error:
            reasons.append(str(error))
    raise SetupError(f"{master}: no master answers there ({reasons[0]}); its log says its address, spark://HOST:7077, which must be reachable from here")


def _find_java() -> None:
    home = os.environ.get("JAVA_HOME")
    if not (home and os.access(os.path.join(home, "bin", "java"), os.X_OK)) and shutil.which("java") is None:
        raise SetupError("no Java: Spark needs Java 17 or later; install openjdk-17-jre-headless, or set JAVA_HOME")


def _environment(conf: Mapping[str, str], master: str) -> dict[str, str]:
    """What each Python worker on an executor sees. One thread each: the cores belong to Spark's tasks."""
    python = conf.get("spark.pyspark.python") or os.environ.get("PYSPARK_PYTHON") or sys.executable
    # Compiled kernels are loaded as they lie there: a private folder of the user, never a name in /tmp that anyone may take.
    cache = conf.get("spark.executorEnv.NUMBA_CACHE_DIR") or os.environ.get("NUMBA_CACHE_DIR") or "~/.cache/headrace"
    found = {**ONE_THREAD, "PYSPARK_PYTHON": python, "NUMBA_CACHE_DIR": os.path.expanduser(cache) if master.startswith("local") else cache}
    return {f"spark.executorEnv.{name}": value for name, value in found.items()}


def map_files(
    function: str,
    tasks: Sequence[Task],
    *,
    spark: "SparkSession | None" = None,
    workers: int | Workers = 2,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """Run `function` ("module:function", a dict in, a dict out) on each task and yield the results as they finish.

    On Spark at most 4 partitions a core, the largest tasks first; without a session in `workers` processes (0: in this one).
    A task whose worker is killed or whose executor is lost is tried again. `progress` is called with each result.
    Raises what the task raised if that is the user's mistake, else WorkError naming the task.
    """
    for result in _run(function, tasks, spark, workers):
        if progress is not None:
            progress(result)
        yield result


def _run(function: str, tasks: Sequence[Task], spark: "SparkSession | None", workers: int | Workers) -> Iterator[dict[str, Any]]:
    if not tasks:
        return
    if spark is not None:
        yield from _on_spark(spark, function, tasks)
    elif isinstance(workers, Workers):
        yield from workers.run(function, tasks)
    elif workers == 0:
        for _, task in by_size(tasks):
            yield result_of(function, task, perform(function, task))
    else:
        with Workers(min(workers, len(tasks))) as started:
            yield from started.run(function, tasks)


def deal(tasks: Sequence[Task], hands: int) -> list[list[tuple[int, Task]]]:
    """Deal numbered tasks into at most `hands` groups of about equal bytes: the largest first, each to the lightest group."""
    groups: list[list[tuple[int, Task]]] = [[] for _ in range(max(1, min(hands, len(tasks))))]
    loads = [(0, place) for place in range(len(groups))]
    for number, task in by_size(tasks):
        load, lightest = loads[0]
        groups[lightest].append((number, task))
        heapq.heapreplace(loads, (load + int(task.get("bytes") or 0) + 1, lightest))
    return groups


def _on_spark(spark: "SparkSession", function: str, tasks: Sequence[Task]) -> Iterator[dict[str, Any]]:
    """One Spark job on a thread. An accumulator brings each partition's results while others run; `collect` is the truth."""
    from pyspark import InheritableThread

    context, group = spark.sparkContext, f"headrace-{uuid.uuid4().hex[:8]}"
    body, landed = _body(spark, function)
    hands = deal(tasks, _cores(spark) * PARTITIONS_A_CORE)
    ended: dict[str, Any] = {}

    def collect() -> None:
        context.setJobGroup(group, f"{function} on {len(tasks)} tasks", interruptOnCancel=True)
        try:
            ended["all"] = context.parallelize(hands, len(hands)).mapPartitions(body).collect()
        except Exception as error:
            ended["error"] = error

    thread = InheritableThread(target=collect, daemon=True)
    thread.start()
    done: set[int] = set()
    seen = 0
    try:
        while True:
            thread.join(0.1)
            running = thread.is_alive()
            fresh = landed.value[seen:]
            seen += len(fresh)
            for number, outcome in fresh if running else [*fresh, *ended.get("all", ())]:
                if number not in done:  # speculation and retries may bring one twice
                    done.add(number)
                    yield result_of(function, tasks[number], outcome)
            if not running:
                break
    finally:
        if thread.is_alive():
            context.cancelJobGroup(group)
    if "error" in ended:
        raise _lost(function, [task for number, task in enumerate(tasks) if number not in done], ended["error"])


def _body(spark: "SparkSession", function: str) -> tuple[Any, Any]:
    """Return the function of a partition and the accumulator it fills.

    Both are nested so that pickle carries them by value: a worker can unpack the shipped house before it imports from it.
    """

    class Landed:
        def zero(self, value: list[Any]) -> list[Any]:
            return []

        def addInPlace(self, ours: list[Any], theirs: list[Any]) -> list[Any]:
            ours += theirs
            return ours

    landed = spark.sparkContext.accumulator([], Landed())

    unpack = _unpacker()

    def body(hands: Iterator[list[tuple[int, Task]]]) -> Iterator[tuple[int, dict[str, Any]]]:
        unpack()
        from catalog.tasks import perform

        for hand in hands:
            for number, task in hand:
                outcome = perform(function, task)
                landed.add([(number, outcome)])
                yield number, outcome

    return body, landed


def _unpacker() -> Callable[[], None]:
    """Return what a worker does before it imports from the house. Nested, as `body` is, so that pickle carries it by value."""

    def unpack() -> None:
        """Put the shipped house where numba can keep what it compiles, which a zip cannot: once a machine and user.

        What was compiled where the run was started comes along; numba takes it where processor and sources are the same, to which their times belong.
        """
        import json
        import os
        import shutil
        import sys
        import tempfile
        import zipfile

        shipped = next((path for path in sys.path if os.path.basename(path).startswith("headrace-") and path.endswith(".zip")), None)
        if shipped is None or any(os.path.basename(path) == os.path.basename(shipped)[:-4] for path in sys.path):
            return
        home = os.path.expanduser(os.environ.get("NUMBA_CACHE_DIR", ""))
        try:
            os.makedirs(home, mode=0o700, exist_ok=True)
            made = tempfile.mkdtemp(dir=home)
        except OSError:  # no folder of one's own there: every executor compiles for itself
            home = os.path.dirname(shipped)
            made = tempfile.mkdtemp(dir=home)
        folder = os.path.join(home, os.path.basename(shipped)[:-4])
        if not os.path.isdir(folder):
            with zipfile.ZipFile(shipped) as house:
                house.extractall(made)
            compiled = os.path.join(os.path.dirname(shipped), f"kernels-{os.path.basename(shipped)}")
            if os.path.isfile(compiled):
                with zipfile.ZipFile(compiled) as kernels:
                    kernels.extractall(made)
                    for name, time in json.loads(kernels.read("times.json")).items():
                        os.utime(os.path.join(made, name), ns=(time, time))
        try:
            os.rename(made, folder)
        except OSError:  # it is there already
            shutil.rmtree(made)
        os.environ.pop("NUMBA_CACHE_DIR", None)  # beside the sources, then
        sys.path.insert(sys.path.index(shipped), folder)

    return unpack


def _lost(function: str, left: Sequence[Task], error: Exception) -> HeadraceError:
    """The job itself failed: a worker or an executor died again and again, or code is missing there."""
    text = str(error)
    if "No module named 'catalog'" in text:
        return WorkError("the executors do not find headrace's code; send it with headrace.ship.send(spark) once the session stands")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = next((line for line in lines if "Lost task" in line or "ExecutorLost" in line or "Error:" in line), lines[0])
    names = ", ".join(name_of(task) for task in left[:3])
    lost = WorkError(f"{function}: Spark gave up with {len(left)} tasks left, among them {names}: {said[:300]}")
    lost.add_note(text)
    return lost


def _cores(spark: "SparkSession") -> int:
    """Cores the application may use: with dynamic allocation what it may grow to."""
    context = spark.sparkContext
    conf = context.getConf()
    most = int(conf.get("spark.dynamicAllocation.maxExecutors", "0")) * int(conf.get("spark.executor.cores", "1"))
    dynamic = conf.get("spark.dynamicAllocation.enabled", "false") == "true"
    return max(int(context.defaultParallelism), most if dynamic else 0)


def normal(path: str) -> str:
    """Return one form of a path: Spark says `file:/x%20y` here and `file:///x%20y` there, we say `/x y`."""
    if path.startswith("file:"):
        return unquote(re.sub("^file:/+", "/", path))
    return unquote(path) if "://" in path else os.path.abspath(path)


def frame(spark: "SparkSession", paths: Sequence[str | DataFile], columns: Iterable[str]) -> "DataFrame":
    """Return narrow columns of some Parquet files with `ref`, a bigint: file number << 32 | row number.

    The number is the place in `paths`. A row of a file that is not among them fails the job: an inner join would lose it.
    """
    from pyspark.sql import functions as F

    full = [path.full_path if isinstance(path, DataFile) else path for path in paths]
    numbers = {normal(path): number for number, path in enumerate(full)}
    assert len(numbers) == len(full), "a file stands twice"
    plain = [re.sub(r"([][{}*?\\])", r"\\\1", path) for path in full]  # Spark would expand patterns
    read = spark.read.option("recursiveFileLookup", "true").parquet(*plain)  # and make columns of folders named a=b
    # `normal` runs on the driver, once a file; rows carry Spark's own spelling but for the slashes after `file:`.
    spelt = [(re.sub("^file:/+", "/", path), numbers.get(normal(path))) for path in read.inputFiles()]
    known = spark.createDataFrame([pair for pair in spelt if pair[1] is not None], "spelling string, number bigint")
    told = "regexp_replace(_metadata.file_path, '^file:/+', '/') AS spelling", "_metadata.row_index AS row_of_file"
    found = read.selectExpr(*columns, *told).join(known.hint("broadcast"), on="spelling", how="left")
    stranger = "raise_error(concat('a row of a file that was not asked for: ', spelling))"
    ref = f"shiftleft(CASE WHEN number IS NULL THEN {stranger} ELSE number END, {ROW_BITS}) | row_of_file"
    return found.withColumn("ref", F.expr(ref)).drop("spelling", "number", "row_of_file")
