"""What a judge's scores of documents are worth: `scores.educational` beside labels that people gave.

    python benchmarks/judge.py LAKE [--model smollm2-135m-instruct] [--limit 100] [--tokens 512] [--set dclm] [--set onestop] [--set junk]

LAKE keeps the model and the ledger: a second run with the same knobs asks for nothing. Labelled texts are those of HEADRACE_DATA/quality:
`dclm`, web pages that people called good or bad; `onestop`, news articles at three reading levels; `junk`, real texts against machine-made junk.
None of them labels educational value, so this is the nearest that there is. Printed for each: the AUC (of the upper level against the lowest) with
DeLong's interval beside that of the length of the text, Spearman's correlation and weighted kappa with bootstrap intervals. For kappa the scores are
cut into as many grades as there are labels, at the labels' own shares: no threshold is fitted to them.
"""

import argparse
import gzip
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

HOME = Path(__file__).resolve().parent.parent
sys.path[:] = [str(HOME), *(path for path in sys.path if Path(path).resolve() != HOME / "benchmarks")]

import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.ids import doc_id
from curate.models.measures import agreement, auc
from synth.ask import Desk
from synth.scores import educational
from synth.write import Meters

SETS = {
    "dclm": ("dclm_human_quality_a.jsonl.gz", "label", (0, 1)),
    "onestop": ("onestop_levels_a.jsonl.gz", "level", ("ele", "int", "adv")),
    "junk": ("synthetic_low_quality.jsonl.gz", "label", (0, 1)),
}
Numbers = npt.NDArray[np.float64]


def labelled(name: str) -> pl.DataFrame:
    """The texts of a set as documents, with `grade`, the place of their label."""
    file, column, levels = SETS[name]
    with gzip.open(Path(os.environ["HEADRACE_DATA"], "quality", file), "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return pl.DataFrame(
        {
            "doc_id": [doc_id(file, str(i), None, None) for i in range(len(rows))], "uri": [f"{name}:{i}" for i in range(len(rows))],
            "domain": [name] * len(rows), "title": [None] * len(rows), "license": [None] * len(rows), "text": [row["text"] for row in rows],
            "grade": [levels.index(row[column]) for row in rows], "kind": [str(row.get("kind") or row[column]) for row in rows],
        },
        schema_overrides={"title": pl.String, "license": pl.String},
    ).with_columns(gen=pl.lit(None, pl.Struct({"depth": pl.Int32})))  # fmt: skip


def cut(scores: Numbers, grades: npt.NDArray[np.int64]) -> Numbers:
    """Scores as grades, each as frequent as among the labels, as far as equal scores allow: those get one grade."""
    starts = np.searchsorted(np.sort(grades), np.arange(1, grades.max() + 1))
    edges = np.sort(scores)[starts]
    return (scores[:, None] >= edges[None, :]).sum(axis=1).astype(np.float64)


def told(name: str, judged: pl.DataFrame, reasons: dict[str, int], seconds: float, asked: int) -> None:
    """Print what the scores of a set are worth."""
    grades, scores = judged["grade"].to_numpy(), judged["score"].to_numpy()
    print(f"{name}: {judged.height} scored in {seconds:.0f} s, {asked} asked; dropped {reasons or 0}; scores {scores.min():.2f} to {scores.max():.2f},"
          f" mean {scores.mean():.2f}, standard deviation {scores.std():.2f}; digits hold {judged['share'].mean():.3f} of the probability")  # fmt: skip
    ends = (grades == 0) | (grades == grades.max())
    upper, length = grades[ends] > 0, judged["text"].str.len_chars().to_numpy().astype(np.float64)
    print(f"  AUC {auc(upper, scores[ends])}; of the length alone {auc(upper, length[ends])}")
    found = agreement(grades.astype(np.float64), scores, grades=int(grades.max()) + 1)
    print(f"  Spearman {found.spearman}; kappa {agreement(grades.astype(np.float64), cut(scores, grades), grades=int(grades.max()) + 1).kappa}")
    for kind, mean, n in judged.group_by("kind").agg(pl.col("score").mean(), pl.len()).sort("score").iter_rows():
        print(f"    {kind}: mean {mean:.2f} of {n}")


def judge(desk: Desk, name: str, given: argparse.Namespace) -> None:
    """Score a set and print what the scores are worth."""
    documents, meters, began = labelled(name), Meters(), time.monotonic()
    ask = desk.ask(f"synth.{name}", 7, meters)
    made: list[dict[str, Any]] = list(educational(iter([documents]), ask, limit=given.limit, tokens=given.tokens, how=given.how, explain=given.explain))
    meters.close()
    asked = ask.counts["asked"]
    columns = {name: [row[name] for row in made] for name in ("score", "reason")}
    rows = pl.DataFrame({"doc_id": [row["gen"]["parents"][0] for row in made], **columns, "share": shares(desk, made)})
    reasons = dict(rows.drop_nulls("reason")["reason"].value_counts().iter_rows())
    judged = rows.filter(pl.col("reason").is_null()).join(documents, on="doc_id")
    told(name, judged, reasons, time.monotonic() - began, asked)


def shares(desk: Desk, made: list[dict[str, Any]]) -> list[float | None]:
    """How much of the probability the digits held, as the ledger has it."""
    from synth.ledger import read

    frame = read(desk.ledger.folder.parent).filter(pl.col("finish") == "weighed")
    held = {parents[0]: logprob for parents, logprob in frame.select("parents", "logprob").iter_rows()}
    return [float(np.exp(held[row["gen"]["parents"][0]])) if row["gen"]["parents"][0] in held else None for row in made]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lake")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--how", default="likelihood")
    parser.add_argument("--explain", type=int, default=0)
    parser.add_argument("--set", action="append", choices=sorted(SETS))
    given = parser.parse_args()
    with Desk(given.model, given.lake) as desk:
        for name in given.set or SETS:
            judge(desk, name, given)


if __name__ == "__main__":
    main()
