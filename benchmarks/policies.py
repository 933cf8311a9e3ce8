"""What heuristic policies keep of the web pages that people labelled, beside a quality model that keeps as many of them.

    python benchmarks/policies.py          in .venv; needs HEADRACE_DATA (quality/dclm_human_quality_a.jsonl.gz)

The pages go through the river once, with every signal that the policies of recipes/policies read; each policy is a verdict of its own. The
model never saw the page that it scores: five folds by the text's hash, each scored by a model of the other four. Beside each policy the model
keeps its best pages, as many as the policy does. Intervals are Wilson's, 95 %; the AUC's DeLong's. 266 labels are few: look at the intervals.
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
POLICIES = ("gopher", "c4", "fineweb", "refinedweb", "dclm", "fineweb2")
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
      [{{language.identify: {{model: lid.176}}}}, gopher.signals, c4.signals, fineweb.signals, fineweb.after_c4, dclm.signals, refinedweb.signals, nemo.signals,
       juicer.signals, statistics.signals, pii.spans]
    policy: [{policies}]
"""


def labelled() -> tuple[list[str], list[bool]]:
    with gzip.open(Path(os.environ["HEADRACE_DATA"], "quality/dclm_human_quality_a.jsonl.gz"), "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row["text"] for row in rows], [str(row["label"]) == "1" for row in rows]


def verdicts(texts: list[str], folder: Path) -> dict[str, list[bool]]:
    """Return, for each policy that there is, which texts it keeps."""
    from catalog.lake import Lake

    there = [name for name in POLICIES if (HOME / "recipes/policies" / f"{name}.yaml").is_file()]
    (folder / "pages.jsonl").write_text("".join(json.dumps({"text": text, "uri": str(i)}) + "\n" for i, text in enumerate(texts)), encoding="utf-8")
    paths = ", ".join(str(HOME / "recipes/policies" / f"{name}.yaml") for name in there)
    (folder / "labelled.yaml").write_text(RECIPE.format(folder=folder, policies=paths), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "headrace", "run", str(folder / "labelled.yaml")], cwd=HOME, check=True, capture_output=True)
    found = {}
    with Lake.open(folder / "lake") as lake:
        for place, name in enumerate(there):
            view = "judged" if place == 0 else f"judged/{name}"
            rows = lake.query(f'SELECT uri, kept FROM audit."{view}"').to_pylist()
            kept = {int(row["uri"]): row["kept"] for row in rows}
            found[name] = [bool(kept.get(i, False)) for i in range(len(texts))]
    return found


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

    from curate.models.measures import auc, confusion, spearman

    texts, labels = labelled()
    truth, said = np.array(labels), scores(texts, labels)
    print(f"{len(texts)} pages, of which people would keep {truth.sum()}; the model: AUC {auc(truth, said)}")
    print(f"{'policy':12} {'keeps':>6}   precision              recall                 the model at as many:  precision   recall   rank correlation")
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        for name, kept in verdicts(texts, Path(folder)).items():
            mine = np.array(kept)
            by_policy = confusion(truth, mine.astype(float), .5)
            count = int(mine.sum())
            edge = np.sort(said)[::-1][count - 1] if count else np.inf
            by_model = confusion(truth, said, float(edge))
            print(
                f"{name:12} {count:6}   {by_policy.precision}   {by_policy.recall}   {by_model.precision}   {by_model.recall}   "
                f"{spearman(mine.astype(float), said):.3f}"
            )


if __name__ == "__main__":
    main()
