"""A driver, as a user would start one somewhere: curates some data files on a master and says where the annotations lie.

`python cluster_driver.py ORDER.json ANSWER.json`; it is run from a folder that is not ours.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from catalog.errors import HeadraceError
from catalog.spark import map_files, session
from catalog.stage import Bound, bind, find
from catalog.staged import Stage
from curate import annotate, duplicates, verdicts
from curate.corpus import as_file
from curate.policy import load
from headrace.ship import send

Asked = list[tuple[str, str, dict[str, Any]]]                 # stages: name, family, knobs


def jobs() -> list[Bound]:
    return [bind(find("curate", "exact.job"), {}, ""), bind(find("curate", "minhash.job"), {}, "")]


def bound(name: str, knobs: dict[str, Any]) -> Bound:
    """A stage's function with its knobs; `against` is the folder of an index here, as the front door leaves it."""
    index = {"against": knobs["against"]} if "against" in knobs else {}
    found = bind(find("curate", name), {**knobs, **dict.fromkeys(index, ("bench.*",))}, "")
    return replace(found, knobs={**found.knobs, **index})


def curate(files: Any, folder: str, policy: str, asked: Asked, **hands: Any) -> dict[str, Any]:
    """Signals, duplicates, verdicts. Returns the annotations' paths by family, the counts, and what was quarantined."""
    limit = {"polars_rows": 0} if hands.get("spark") is not None else {}
    stages = [Stage(name, bound(name, knobs), family, None) for name, family, knobs in asked]
    done = annotate.run(files, stages, folder, dataset="made", **hands)
    found = duplicates.find(done.files, jobs(), folder, **hands, **limit)
    files = [_with(file, found.annotations[file.id]) for file in done.files]
    judged = verdicts.judge(files, load(policy), folder, **hands)
    files = [_with(file, judged.annotations[file.id]) for file in files]
    paths: dict[str, list[str]] = {}
    for file in files:
        for annotation in file.annotations:
            paths.setdefault(annotation.family, []).append(f"{file.root}/{annotation.path}")
    told = {"paths": paths, "metrics": found.metrics, "quarantine": list(done.quarantine)}
    return {**told, "kept": judged.kept, "reasons": judged.reasons, "bands": list(found.bands)}


def _with(file: Any, annotation: Any) -> Any:
    return replace(file, annotations=(*file.annotations, annotation))


def main(order_file: str, answer_file: str) -> None:
    order = json.loads(Path(order_file).read_text())
    spark = session(order["conf"], order["master"])
    answer: dict[str, Any] = {}
    try:
        if order["ship"]:
            answer["zip"] = str(send(spark, order["extra"]))
        if "function" in order:
            answer["results"] = list(map_files(order["function"], order["tasks"], spark=spark))
        else:
            answer |= curate([as_file(file) for file in order["files"]], order["folder"], order["policy"], order["stages"], spark=spark)
    except HeadraceError as error:
        answer["error"] = [type(error).__name__, str(error)]
    Path(answer_file).write_text(json.dumps(answer))
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
