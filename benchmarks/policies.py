"""What heuristic policies keep of the web pages that people labelled, beside a quality model that keeps as many of them.

    python benchmarks/policies.py          in .venv; needs HEADRACE_DATA (quality/dclm_human_quality_a.jsonl.gz)

Every policy of recipes/policies that judges English pages by rules alone. The pages go through the river once, with every signal that those read; each
policy is a verdict of its own. Two need what is no rule: `nemotron` is taken as it judges a page without a tier (its heuristics, for all), and the filters
of `datatrove`, which split words by spaCy, judge in .venv-oracles (or another interpreter, HEADRACE_ORACLES) what `english` leaves.
The model never saw the page that it scores: five folds by the text's hash, each scored by a model of the other four. Beside each policy the model
keeps its best pages, as many as the policy does. Confusion: kept and wanted, kept though not, dropped though wanted, dropped rightly. Rank correlation is
Spearman's, of verdict and label. Intervals are of 95 %: Wilson's, of correlations bootstrapped, the AUC's DeLong's. 266 labels are few: look at the intervals.
"""

import gzip
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HOME = Path(__file__).resolve().parent.parent
POLICIES = ("english", "gopher", "c4", "fineweb", "fineweb2", "refinedweb", "dclm", "nemotron", "demo")
TIERS = """    when: "ensemble.tier IS NULL OR ensemble.tier NOT IN ('high', 'medium-high')"\n"""
FOLDS = 5
RECIPE = """
name: labelled
seed: 1
lake: {folder}/lake
ingest:
  pages: {{tables: {{paths: [{folder}/pages.jsonl]}}, domain: web}}
curate:
  judged:
    from: pages
    stages:
      - language.identify: {{model: lid.176}}
      - gopher.signals
      - c4.signals
      - fineweb.signals
      - fineweb.after_c4
      - dclm.signals
      - refinedweb.signals
      - nemo.signals
      - stop_words.signals
      - pii.spans
      - trove.block: {{path: "datatrove.pipeline.filters:RegexFilter", options: {{regex_exp: "(?i)lorem ipsum|enable javascript|javascript is disabled"}}}}
    policy: [{policies}]
"""


def labelled() -> tuple[list[str], list[bool]]:
    with gzip.open(Path(os.environ["HEADRACE_DATA"], "quality/dclm_human_quality_a.jsonl.gz"), "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row["text"] for row in rows], [str(row["label"]) == "1" for row in rows]


def verdicts(texts: list[str], folder: Path) -> dict[str, list[bool]]:
    """Return which texts each policy keeps."""
    from catalog.lake import Lake

    (folder / "pages.jsonl").write_text("".join(json.dumps({"text": text, "uri": str(i)}) + "\n" for i, text in enumerate(texts)), encoding="utf-8")
    untiered = (HOME / "recipes/policies/nemotron.yaml").read_text(encoding="utf-8")
    assert untiered.count(TIERS) == 2 and untiered.count("ensemble.bucket DESC, ") == 1
    (folder / "nemotron.yaml").write_text(untiered.replace(TIERS, "").replace("ensemble.bucket DESC, ", ""), encoding="utf-8")
    paths = {name: HOME / f"recipes/policies/{name}.yaml" for name in POLICIES} | {"nemotron": folder / "nemotron.yaml"}
    (folder / "labelled.yaml").write_text(RECIPE.format(folder=folder, policies=", ".join(map(str, paths.values()))), encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "headrace", "run", str(folder / "labelled.yaml")], cwd=HOME, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    found = {}
    with Lake.open(folder / "lake") as lake:
        for place, name in enumerate(POLICIES):
            view = "judged" if place == 0 else f"judged/{name}"
            kept = {int(row["uri"]): row["kept"] for row in lake.query(f'SELECT uri, kept FROM audit."{view}"').to_pylist()}
            found[name] = [bool(kept.get(i, False)) for i in range(len(texts))]
    oracle = os.environ.get("HEADRACE_ORACLES", str(HOME / ".venv-oracles/bin/python"))
    said = subprocess.run([oracle, __file__, "--peer"], input=json.dumps(texts), capture_output=True, text=True, check=True).stdout
    passed = json.loads(said.splitlines()[-1])
    return {**found, "datatrove": [english and yes for english, yes in zip(found["english"], passed, strict=True)]}


def peer() -> None:
    """Print of each text on stdin whether datatrove's filters keep it, as FineWeb's recipe chains them. Runs in the oracles' environment."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import C4QualityFilter, FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter

    chain = (GopherRepetitionFilter(), GopherQualityFilter(), C4QualityFilter(filter_no_terminal_punct=False), FineWebQualityFilter())
    documents = [Document(text=text, id=str(i)) for i, text in enumerate(json.load(sys.stdin))]
    print(json.dumps([all(one.filter(document) is True for one in chain) for document in documents]))


def scores(texts: list[str], labels: list[bool]) -> Any:
    """Return what a model of the other folds says of each text: words and pairs of words, the strength chosen inside its folds."""
    import numpy as np
    import polars as pl

    from catalog.schema import text_bytes
    from catalog.split import split_words
    from curate.models.features import Features, read
    from curate.models.linear import predict, train

    features, out = Features(), np.zeros(len(texts))
    fold = np.array([hashlib.blake2b(text.encode(), digest_size=4).digest()[0] % FOLDS for text in texts])
    answers = np.array(labels, np.float64)
    for turn in range(FOLDS):
        seen, held = np.flatnonzero(fold != turn), np.flatnonzero(fold == turn)
        model = train(read(pl.Series([texts[i] for i in seen]), features), answers[seen], features, seed=turn)
        chance, _ = predict(model, split_words(*text_bytes(pl.Series([texts[i] for i in held]))))
        out[held] = np.nan_to_num(chance)                                                    # calibrated, so that folds compare
    return out


def main() -> None:
    os.environ.update(dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"))
    sys.path.insert(0, str(HOME))
    import numpy as np

    from curate.models.measures import auc

    texts, labels = labelled()
    truth, said = np.array(labels), scores(texts, labels)
    print(f"{len(texts)} pages, of which people would keep {truth.sum()}; the model: AUC {auc(truth, said)}, rank correlation {ranked(truth, said)}\n")
    print("| policy | keeps | confusion | precision | recall | rank correlation | the model's precision, as many | recall | rank correlation |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        for name, kept in verdicts(texts, Path(folder)).items():
            mine = np.array(kept, np.float64)
            best = np.zeros(len(texts))
            best[np.argsort(-said, kind="stable")[: int(mine.sum())]] = 1
            beside = counted(truth, best).partition(" | ")[2]
            print(f"| {name} | {int(mine.sum())} | {counted(truth, mine)} | {ranked(truth, mine)} | {beside} | {ranked(truth, best)} |", flush=True)


def counted(truth: Any, kept: Any) -> str:
    """Confusion, precision and recall, as cells of a table."""
    from curate.models.measures import confusion

    found = confusion(truth, kept, 0.5)
    each = (found.true_positive, found.false_positive, found.false_negative, found.true_negative)
    return f"{', '.join(map(str, each))} | {found.precision} | {found.recall}"


def ranked(truth: Any, said: Any) -> Any:
    """Spearman's rank correlation of labels and what is said, with its interval."""
    from curate.models.measures import Estimate, bootstrapped, spearman

    return Estimate(spearman(truth.astype(float), said), *bootstrapped(lambda rows: spearman(truth[rows].astype(float), said[rows]), truth.size, seed=0))


if __name__ == "__main__":
    peer() if "--peer" in sys.argv else main()
