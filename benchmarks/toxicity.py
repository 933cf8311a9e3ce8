"""A toxicity model trained in place: how well it ranks, on the set that it was trained on and on others, and whom it accuses.

    python benchmarks/toxicity.py

Needs HEADRACE_DATA (safety/) and the demo corpus. Sets, each with 40 % held out by the hash of the text (of the post, so that its sentences stay together):
sentences of comments with and without a span that people called toxic (SemEval 2021, task 5), tweets called hateful or offensive, or neither (Davidson et al.
2017), comments called toxic or not (Surge AI). The model is the house's hashed linear one on words, pairs of words and runs of 3 to 5 letters. Beside it a word
list (LDNOOBW, English): said toxic where any entry stands, ranked by the share of the words. Intervals are of 95 %: DeLong's for areas, Wilson's for shares.
Sentences about identities are those of HateCheck that its authors call not hateful, and of the templates of Dixon et al. 2018 those that insult nobody.
"""

import ast
import gzip
import hashlib
import json
import os
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import polars as pl

HOME = Path(__file__).resolve().parent.parent
sys.path[:] = [str(HOME), *(path for path in sys.path if Path(path).resolve() != HOME / "benchmarks")]
os.environ.update(dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"))
DATA, WINDOW = HOME / "examples/data", 5_000
HELD, FOLDS = 2, 5
SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]*")
THRESHOLDS = (0.5, 0.8, 0.95)
LABELS = {  # a set's labels are one query, as a recipe's would be
    "tweets": ("safety/davidson_hate_a.jsonl.gz", "SELECT tweet AS text, class IN ('0', '1') AS label FROM self"),
    "comments": ("safety/surge_toxicity_a.jsonl.gz", "SELECT text, is_toxic = 'Toxic' AS label FROM self"),
    "HateCheck": ("safety/hatecheck_a.jsonl.gz", "SELECT test_case AS text, label_gold = 'hateful' AS label FROM self"),
    "templates": ("safety/bias_madlibs_a.jsonl.gz", "SELECT Text AS text, Label = 'BAD' AS label FROM self"),
}


@dataclass
class Set:
    """Texts with labels; `held` says which are not trained on."""

    texts: list[str]
    labels: np.ndarray[Any, np.dtype[np.bool_]]
    held: np.ndarray[Any, np.dtype[np.bool_]]


def rows(name: str) -> list[dict[str, Any]]:
    with gzip.open(Path(os.environ["HEADRACE_DATA"], name), "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def out(key: str) -> bool:
    return hashlib.blake2b(key.encode(), digest_size=4).digest()[0] % FOLDS < HELD


def told(name: str) -> Set:
    path, query = LABELS[name]
    frame = pl.DataFrame(rows(path), infer_schema_length=None).sql(query)
    texts = frame["text"].to_list()
    return Set(texts, frame["label"].to_numpy(), np.array([out(text) for text in texts]))


def sentences() -> Set:
    """Sentences of toxic comments: 1 where a span that was called toxic touches one, else 0."""
    texts, labels, held = [], [], []
    for row in rows("safety/toxic_spans_train.jsonl.gz"):
        spans = set(ast.literal_eval(row["spans"]) if isinstance(row["spans"], str) else row["spans"])
        for found in SENTENCE.finditer(row["text"]):
            if found[0].strip():
                texts.append(found[0].strip())
                labels.append(any(place in spans for place in range(*found.span())))
                held.append(out(row["text"]))
    return Set(texts, np.array(labels), np.array(held))


def fit(sets: list[Set]) -> tuple[Any, float]:
    from curate.models.features import Features, read
    from curate.models.linear import train

    features = Features(chars=(3, 5))
    texts = [text for one in sets for text, held in zip(one.texts, one.held, strict=True) if not held]
    labels = np.concatenate([one.labels[~one.held] for one in sets]).astype(float)
    start = process_time()
    return train(read(pl.Series(texts), features), labels, features), process_time() - start


def said(model: Any, texts: list[str]) -> tuple[Any, Any]:
    """Return probabilities and margins; a text without words has the least."""
    from catalog.schema import text_bytes
    from catalog.split import split_words
    from curate.models.linear import predict

    parts = [predict(model, split_words(*text_bytes(pl.Series(texts[at : at + 2000])))) for at in range(0, len(texts), 2000)]
    chance, margin = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
    return np.nan_to_num(chance, nan=0.0), np.nan_to_num(margin, nan=-1e9)


def listed(texts: list[str], folder: str) -> tuple[Any, Any]:
    """The word list: whether any entry stands in a text, and the share of its words."""
    from curate.wordlist import listed as count

    path = Path(folder, "en.txt")
    path.write_text("\n".join(row["word"] for row in rows("safety/ldnoobw_words.jsonl.gz") if row["lang"] == "en"), encoding="utf-8")
    found = count(pl.DataFrame({"text": texts}), lists={"en": str(path)})
    return (found["count"] > 0).to_numpy(), found["share"].fill_null(0.0).to_numpy()


def hits(raised: Any, one: Set) -> str:
    """Return the share of the toxic texts held out that are called so."""
    from curate.models.measures import share

    toxic = one.labels[one.held]
    return str(share(int((raised & toxic).sum()), int(toxic.sum())))


def clean() -> dict[str, list[str]]:
    c4 = [json.loads(line)["text"] for line in (DATA / "web/c4.jsonl").read_text(encoding="utf-8").splitlines()]
    books = [path.read_text(encoding="utf-8") for path in sorted((DATA / "books").glob("*.txt"))]
    papers = [row["text"] for row in rows("papers/grobid_fulltext_a.jsonl.gz")][:100]
    cut = {name: [text[at : at + WINDOW] for text in texts for at in range(0, len(text), WINDOW)] for name, texts in (("books", books), ("papers", papers))}
    return {"C4 pages": c4, **cut}


def main() -> None:
    from curate.models.measures import auc, share

    sets = {"sentences": sentences(), **{name: told(name) for name in LABELS}}
    tests = {name: one if name not in ("HateCheck", "templates") else Set(one.texts, one.labels, np.ones_like(one.labels)) for name, one in sets.items()}
    for name, one in sets.items():
        print(f"{name}: {len(one.texts):,} texts, {one.labels.mean():.2f} positive, {tests[name].held.sum():,} tested on")
    trainings = {name: [sets[name]] for name in ("sentences", "tweets", "comments")} | {"all three": [sets[n] for n in ("sentences", "tweets", "comments")]}
    harmless = {name: [text for text, label in zip(sets[name].texts, sets[name].labels, strict=True) if not label] for name in ("HateCheck", "templates")}
    harmless |= clean()
    with tempfile.TemporaryDirectory() as folder:
        every = {name: [text for text, held in zip(one.texts, one.held, strict=True) if held] for name, one in tests.items()}
        print("word list", {name: str(auc(one.labels[one.held], listed(every[name], folder)[1])) for name, one in tests.items()})
        alarms = {name: str(share(int(listed(texts, folder)[0].sum()), len(texts))) for name, texts in harmless.items()}
        caught = {name: hits(listed(every[name], folder)[0], one) for name, one in tests.items()}
        print("    any word: caught", caught, "\n    harmless that it calls toxic", alarms)
    for name, parts in trainings.items():
        model, seconds = fit(parts)
        print(f"trained on {name}: {seconds:.1f} s of one core")
        print("    AUC", {test: str(auc(one.labels[one.held], said(model, every[test])[1])) for test, one in tests.items()})
        for threshold in THRESHOLDS:
            caught = {test: hits(said(model, every[test])[0] >= threshold, one) for test, one in tests.items()}
            alarms = {test: str(share(int((said(model, texts)[0] >= threshold).sum()), len(texts))) for test, texts in harmless.items()}
            print(f"    at {threshold}: caught {caught}\n            harmless that it calls toxic {alarms}", flush=True)


if __name__ == "__main__":
    main()
