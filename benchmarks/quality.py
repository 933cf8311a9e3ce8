"""The hashed n-gram linear model against fastText: quality, reading level and toxicity, on labelled texts that neither was fitted on.

    python benchmarks/quality.py [--only 'human;speed']      in .venv; fastText runs in .venv-oracles (or another interpreter, HEADRACE_ORACLES)

Needs HEADRACE_DATA (quality/, safety/, instruct/, pretrain/); the pages that nobody labelled are those of the demo corpus. Every score is of a
document held out of the training; where versions exist (reading levels of one article) they are held out together. Each tool chooses its settings
inside the training part alone: ours its strength, as it always does, and whether letters are looked at; fastText the best AUC (or Spearman) of a sweep
tried on a third of the training part, of rates, epochs, dimensions, letters, on raw text and on our words in small letters. Where fastText stops
with "Encountered NaN" under three seeds the setting loses. Intervals are DeLong's, for Spearman a bootstrap of 1,000; one core each; CPU seconds.
"""

import argparse
import gzip
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

HOME = Path(__file__).resolve().parent.parent
sys.path[:] = [str(HOME), *(path for path in sys.path if Path(path).resolve() != HOME / "benchmarks")]
DATA = HOME / "examples/data"
ORACLE = os.environ.get("HEADRACE_ORACLES", str(HOME / ".venv-oracles/bin/python"))
FOLDS, RUNS, TIMED = 5, 5, 2_000
SWEEP: tuple[dict[str, Any], ...] = (
    {"lr": 0.1, "epoch": 5, "dim": 100}, {"lr": 0.1, "epoch": 25, "dim": 100}, {"lr": 1.0, "epoch": 25, "dim": 16},
    {"lr": 0.5, "epoch": 25, "dim": 16, "minn": 3, "maxn": 5},
)  # fmt: skip


@dataclass
class Work:
    """Documents with labels, folds to hold out in turn (or -1: never held out; fold 0 is then the only one)."""

    name: str
    texts: list[str]
    labels: list[int]
    folds: list[int]
    ordinal: bool = False
    words: list[str] = field(default_factory=list)


# ---- the texts


def rows(name: str) -> list[dict[str, Any]]:
    with gzip.open(Path(os.environ["HEADRACE_DATA"], name), "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def fold(key: str) -> int:
    return hashlib.blake2b(key.encode(), digest_size=4).digest()[0] % FOLDS


def crossed(texts: list[str], labels: list[int], groups: list[str] | None = None, ordinal: bool = False) -> Work:
    return Work("", texts, labels, [fold(group) for group in groups or texts], ordinal)


def moved(train: list[tuple[str, int]], test: list[tuple[str, int]]) -> Work:
    """Trained on one set, tested on another."""
    both = [*train, *test]
    return Work("", [text for text, _ in both], [label for _, label in both], [-1] * len(train) + [0] * len(test))


@cache
def answers_and_pages() -> list[tuple[str, int]]:
    """As DCLM chose its positives: answers to instructions against pages of the web as they come."""
    from ingest.warc import read

    answers = [row["response"] for name in ("dolly_hhrlhf_a", "gpteacher_roleplay_a") for row in rows(f"instruct/{name}.jsonl.gz")]
    answers += [row["output"] for row in rows("instruct/alpaca_gpt4_en_demo.jsonl.gz")]
    c4 = [json.loads(line)["text"] for line in (DATA / "web/c4.jsonl").read_text(encoding="utf-8").splitlines()]
    c4 += [row["text"] for row in rows("pretrain/c4_demo_a.jsonl.gz")]
    pages = [getattr(found, "get", lambda _: None)("text") for path in sorted((DATA / "web").glob("*.warc.gz")) for found in read(str(path))]
    return [(text, 1) for text in answers if text] + [(text, 0) for text in [*c4, *filter(None, pages)]]


def told(name: str, text: str, label: str, yes: str) -> list[tuple[str, int]]:
    return [(row[text], int(str(row[label]) == yes)) for row in rows(f"{name}.jsonl.gz")]


def halved() -> Work:
    """One half of the tweets is held out, once."""
    tweets = offensive()
    return Work("", [text for text, _ in tweets], [label for _, label in tweets], [fold(text) % 2 - 1 for text, _ in tweets])


def levels() -> Work:
    found, order = rows("quality/onestop_levels_a.jsonl.gz"), {"ele": 0, "int": 1, "adv": 2}
    return crossed([row["text"] for row in found], [order[row["level"]] for row in found], [row["article"] for row in found], ordinal=True)


def offensive() -> list[tuple[str, int]]:
    return [(text, 1 - neither) for text, neither in told("safety/davidson_hate_a", "tweet", "class", "2")]


def human() -> list[tuple[str, int]]:
    return told("quality/dclm_human_quality_a", "text", "label", "1")


def junk() -> list[tuple[str, int]]:
    return told("quality/synthetic_low_quality", "text", "label", "1")


def toxic() -> list[tuple[str, int]]:
    return told("safety/surge_toxicity_a", "text", "is_toxic", "Toxic")


WORKS: dict[str, Callable[[], Work]] = {
    "human quality labels, 5 folds": lambda: crossed(*map(list, zip(*human()))),
    "answers against web pages, on the human labels": lambda: moved(answers_and_pages(), human()),
    "answers against web pages, on made junk": lambda: moved(answers_and_pages(), junk()),
    "made junk, 5 folds": lambda: crossed(*map(list, zip(*junk()))),
    "reading levels, 5 folds of articles": levels,
    "toxic comments, 5 folds": lambda: crossed(*map(list, zip(*toxic()))),
    "tweets, offensive or hateful, half held out": halved,
    "tweets and comments, on hatecheck": lambda: moved([*offensive(), *toxic()], told("safety/hatecheck_a", "test_case", "label_gold", "hateful")),
    "tweets and comments, on identity templates": lambda: moved([*offensive(), *toxic()], told("safety/bias_madlibs_a", "Text", "Label", "BAD")),
}


# ---- fastText, in the oracles' environment


def peer_fit(texts: list[str], labels: list[int], knobs: dict[str, Any]) -> Any:
    import fasttext

    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"__label__{label} {text}\n" for text, label in zip(texts, labels))
        file.flush()
        for seed in range(3):
            try:
                return fasttext.train_supervised(file.name, wordNgrams=2, minCount=1, bucket=200_000, thread=1, verbose=0, seed=seed, **knobs)
            except RuntimeError:                             # "Encountered NaN"
                continue
    return None


def peer_scores(model: Any, texts: list[str], ordinal: bool) -> list[float]:
    """The odds of label 1 in logarithms, or the expected label."""
    from math import log

    if model is None:
        return [0.0] * len(texts)
    out = []
    for text in texts:
        try:
            chances = {int(label[9:]): p for p, label in model.f.predict(text + "\n", -1, 0.0, "strict")}
        except RuntimeError:                                 # nothing in it that it knows
            chances = {}
        one, none = max(chances.get(1, 0.0), 1e-9), max(chances.get(0, 0.0), 1e-9)
        out.append(sum(label * p for label, p in chances.items()) if ordinal else log(one) - log(none))
    return out


def peer_rank(labels: list[int], scores: list[float], ordinal: bool) -> float:
    from scipy.stats import spearmanr
    from sklearn.metrics import roc_auc_score

    found = spearmanr(labels, scores).statistic if ordinal else roc_auc_score(labels, scores)
    return 0.0 if found != found else float(found)


def peer_work(work: dict[str, Any]) -> dict[str, Any]:
    labels, ordinal, out, chosen, seconds = work["labels"], work["ordinal"], [0.0] * len(work["labels"]), [], 0.0
    forms = {"raw": [" ".join(text.split()) for text in work["texts"]], "words": work["words"]}
    for turn in sorted(set(work["folds"]) - {-1}):
        train = [i for i, at in enumerate(work["folds"]) if at != turn]
        inner = {i: hashlib.blake2b(forms["raw"][i].encode(), digest_size=2, salt=b"in").digest()[0] % 3 for i in train}
        ranked = []
        for form, texts in forms.items():
            for number, knobs in enumerate(SWEEP):
                fit, out_of = [i for i in train if inner[i]], [i for i in train if not inner[i]]
                model = peer_fit([texts[i] for i in fit], [labels[i] for i in fit], knobs)
                ranked.append((peer_rank([labels[i] for i in out_of], peer_scores(model, [texts[i] for i in out_of], ordinal), ordinal), -number, form))
        for _, number, form in sorted(ranked, reverse=True):     # the best one that it can be fitted with
            start = process_time()
            model = peer_fit([forms[form][i] for i in train], [labels[i] for i in train], SWEEP[-number])
            if model is not None:
                seconds += process_time() - start
                break
        held = [i for i, at in enumerate(work["folds"]) if at == turn]
        for i, score in zip(held, peer_scores(model, [forms[form][i] for i in held], ordinal)):
            out[i] = score
        chosen.append(f"{form} {SWEEP[-number]}")
    return {"scores": out, "seconds": seconds, "chosen": sorted(set(chosen))}


def peer_speed(work: dict[str, Any]) -> dict[str, Any]:
    """Documents per CPU second of the whole way from text, all texts in one call, with a small model (dimension 16)."""
    texts = [" ".join(text.split()) for text in work["texts"]]
    model = next(model for knobs in (SWEEP[2], SWEEP[0]) if (model := peer_fit(texts, work["labels"], knobs)) is not None)
    times = []
    for _ in range(RUNS + 1):
        start = process_time()
        model.f.multilinePredict([" ".join(text.split()) + "\n" for text in work["texts"]], 1, 0.0, "strict")
        times.append(process_time() - start)
    return {"rate": len(texts) / median(times[1:])}


def serve() -> None:
    for order in sys.stdin:
        work = json.loads(Path(order.strip()).read_text(encoding="utf-8"))
        print(json.dumps(peer_speed(work) if work["name"] == "speed" else peer_work(work)), flush=True)


# ---- ours


def our_work(work: Work, chars: tuple[int, int]) -> tuple[list[float], list[float], float, float]:
    """Return each held-out document's margin and calibrated value, CPU seconds of training, and the loss that the training part itself saw."""
    import numpy as np
    import polars as pl

    from catalog.schema import text_bytes
    from catalog.split import split_words
    from curate.models.features import Features, read
    from curate.models.linear import predict, train

    features, labels, folds = Features(chars=chars), np.array(work.labels, float), np.array(work.folds)
    margin, said, seconds, loss = np.zeros(len(labels)), np.zeros(len(labels)), 0.0, 0.0
    for turn in sorted(set(work.folds) - {-1}):
        used, held = np.flatnonzero(folds != turn), np.flatnonzero(folds == turn)
        texts = pl.Series([work.texts[i] for i in used])
        start = process_time()
        model = train(read(texts, features), labels[used], features, kind="score" if work.ordinal else "class")
        seconds += process_time() - start
        loss += min(model.about["losses"].values())
        said[held], margin[held] = predict(model, split_words(*text_bytes(pl.Series([work.texts[i] for i in held]))))
    return np.nan_to_num(margin).tolist(), np.nan_to_num(said).tolist(), seconds, loss


def our_speed(work: Work) -> tuple[float, float]:
    """Documents per CPU second, words split before and not."""
    import numpy as np
    import polars as pl

    from catalog.schema import text_bytes
    from catalog.split import split_words
    from curate.models.features import Features, read
    from curate.models.linear import predict, train

    features = Features()
    model = train(read(pl.Series(work.texts), features), np.array(work.labels, float), features, strengths=(3.0,))
    batches = [pl.Series(work.texts[at : at + 500]) for at in range(0, len(work.texts), 500)]
    ready = [split_words(*text_bytes(batch)) for batch in batches]
    alone, whole = [], []
    for _ in range(RUNS + 1):
        start = process_time()
        for words in ready:
            predict(model, words)
        alone.append(process_time() - start)
        start = process_time()
        for batch in batches:
            predict(model, split_words(*text_bytes(batch)))
        whole.append(process_time() - start)
    return len(work.texts) / median(alone[1:]), len(work.texts) / median(whole[1:])


def with_words(work: Work) -> Work:
    """Add the texts as our words in small letters, for the peer."""
    import polars as pl

    from catalog.schema import text_bytes
    from catalog.split import split_words

    found = split_words(*text_bytes(pl.Series(work.texts)))
    raw = found.data.tobytes()
    parts = [raw[a:b].decode().lower() for a, b in zip(found.starts.tolist(), found.ends.tolist())]
    places = found.documents.tolist()
    work.words = [" ".join(parts[a:b]) for a, b in pairwise(places)]
    return work


# ---- what is printed


def report(work: Work, ask: Any) -> None:
    import numpy as np

    from curate.models.measures import auc, auc_difference, bootstrapped, confusion, spearman

    held = np.array(work.folds) >= 0
    labels = np.array(work.labels)[held]
    print(f"{work.name}: {len(labels)} documents held out, trained on {len(work.folds) if work.folds.count(-1) == 0 else work.folds.count(-1)}", flush=True)
    sides: dict[str, Any] = {}
    losses = {}
    for name, chars in (("words", (0, 0)), ("words and letters", (3, 5))):
        margin, said, seconds, losses[name] = our_work(work, chars)
        sides[f"headrace, {name}"] = (np.array(said if work.ordinal else margin)[held], np.array(said)[held], seconds, "")
    peer = ask(with_words(work))
    scores = np.array(peer["scores"])[held]
    sides["fastText"] = (scores, scores if work.ordinal else 1 / (1 + np.exp(-scores)), peer["seconds"], "; ".join(peer["chosen"]))
    chosen = f"headrace, {min(losses, key=lambda name: losses[name])}"
    for name, (ranked, chance, seconds, note) in sides.items():
        if work.ordinal:
            low, high = bootstrapped(lambda at, ranked=ranked: spearman(ranked[at], labels[at].astype(float)), labels.size, seed=0)
            told = f"Spearman {spearman(ranked, labels.astype(float)):.3f} [{low:.3f}, {high:.3f}]"
        else:
            table = confusion(labels == 1, chance, 0.5)
            told = f"AUC {auc(labels == 1, ranked)}, at .5: precision {table.precision}, recall {table.recall}, false positives {table.false_positive_rate}"
        print(f"    {name}{' (chosen)' if name == chosen else ''}: {told}; training {seconds:.2f} s {note}", flush=True)
    if not work.ordinal:
        print(f"    chosen less fastText: AUC {auc_difference(labels == 1, sides[chosen][0], scores)}", flush=True)
    print(f"    ratio {peer['seconds'] / sides['headrace, words'][2]:.1f}x over fastText's training with its settings known, ours with its choice of strength")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="what stands in the names of the sets, or `speed`, separated by ;")
    only = set(filter(None, parser.parse_args().only.split(";")))
    os.environ.update(dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"))
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        process = subprocess.Popen([ORACLE, __file__, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin and process.stdout, "started with pipes"

        def ask(work: Work) -> Any:
            path = Path(folder, "work.json")
            path.write_text(json.dumps(vars(work)), encoding="utf-8")
            process.stdin.write(f"{path}\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        for name, make in WORKS.items():
            if not only or any(word in name for word in only):
                report(replace(make(), name=name), ask)
        if not only or "speed" in only:
            speed(ask)
        process.communicate()


def speed(ask: Any) -> None:
    """2,000 texts of 5,000 characters, windows of four books."""
    book = "\n".join(path.read_text(encoding="utf-8") for path in sorted((DATA / "books").glob("*.txt")))
    texts = [book[at : at + 5_000] for at in range(0, len(book), len(book) // TIMED)][:TIMED]
    work = Work("speed", texts, [i * 2 // len(texts) for i in range(len(texts))], [0] * len(texts))
    (alone, whole), peer = our_speed(work), ask(work)["rate"]
    print(f"prediction, {len(texts)} texts of 5,000 characters, median of {RUNS}, documents per CPU second:")
    print(f"    headrace: {alone:.0f} with words split before, {whole:.0f} from the text; fastText from the text: {peer:.0f}")
    print(f"    ratio {whole / peer:.1f}x over fastText from the text, {alone / peer:.1f}x where the words are there")


if __name__ == "__main__":
    serve() if sys.argv[1:2] == ["--serve"] else main()
