"""Items told in other words: how many are found by word vectors, at how many false alarms, and what that costs (`contamination.spans: {soft: MODEL}`).

    HEADRACE_DATA=... python benchmarks/contamination_soft.py [--passages 50000]      in .venv; one core and one thread, CPU seconds

Vectors are trained in place on 50,000 passages of books, papers and code. False alarms: other such passages in which no item of the 18 sets of
`contamination.py` is found by its words, whose nearest stretch has a cosine from each threshold on. Found: the paragraphs of OneStopEnglish's news articles
at one reading level, as items, in the same article at another one; those that are not found by their words, and all. The vectors have seen none of them.
A paragraph counts where a stretch of its own article is nearest to it of all paragraphs.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from time import process_time

sys.path.insert(0, str(Path(__file__).resolve().parent))
from contamination import THREADS, counted, evaluation, our_index, passages, rows

THRESHOLDS = (0.6, 0.65, 0.7, 0.75, 0.8, 0.85)
TRAINED = 50_000
PIECE = 2000
LEVELS = (("ele", "adv"), ("ele", "int"), ("int", "adv"), ("adv", "ele"))
"""The level of the items, and that of the texts."""


def shares(values: "list[float]") -> str:
    return ", ".join(f"{least} {sum(one >= least for one in values) / max(1, len(values)):.3f}" for least in THRESHOLDS)


def accused(clean: list[str], index: str, model: str) -> None:
    """Passages by their nearest item, without those that hold one by its words; and the speed."""
    import polars as pl

    from curate.contamination import spans

    def told(texts: list[str], soft: str | None) -> tuple[float, pl.DataFrame]:
        began = process_time()
        found = spans(pl.DataFrame({"text": texts}), against=index, soft=soft)
        return process_time() - began, found

    told(clean[:10], model)
    hard = sum(told(clean[at : at + PIECE], None)[0] for at in range(0, 5 * PIECE, PIECE))
    done = [told(clean[at : at + PIECE], model) for at in range(0, len(clean), PIECE)]
    seconds, found = sum(one for one, _ in done), pl.concat([frame for _, frame in done])
    print(f"{len(clean) / seconds:,.0f} passages/s with soft:, {5 * PIECE / hard:,.0f} without")
    top = found.filter(pl.col("items") == 0)["soft"].fill_null(0.0)
    counts = ", ".join(f"{least} {int((top >= least).sum())}" for least in THRESHOLDS)
    print(f"passages of 1,000 characters from a threshold on, of {top.len():,} in which no item stands: {counts}")
    worst = found.with_columns(passage=pl.Series(clean)).filter(pl.col("items") == 0).sort("soft", descending=True, nulls_last=True).head(8)
    for cosine, spans_, passage in worst.select("soft", "soft_spans", "passage").iter_rows():
        for one in (spans_ or [])[:1]:
            print(f"  {cosine:.3f} {one['benchmark']}: {' '.join(passage[one['start'] : one['end']].split())[:120]}")


def retold(folder: Path, model: str) -> None:
    """Paragraphs of one level in the articles of another."""
    import polars as pl

    from catalog.ids import doc_id
    from curate.contamination import spans

    articles: dict[str, dict[str, str]] = {}
    for row in rows("quality/onestop_levels_a.jsonl.gz"):
        articles.setdefault(row["level"], {})[row["article"]] = row["text"]
    for level, other in LEVELS:
        items = [(name, part) for name, text in sorted(articles[level].items()) if name in articles[other] for part in re.split(r"\n+", text)]
        items = [(name, part) for name, part in items if len(re.findall(r"\w+", part)) >= 17]
        index = our_index({"paragraphs": [(part, "") for _, part in items]}, folder / f"{level}-{other}")
        own = {doc_id("paragraphs", "items", i, None): name for i, (name, _) in enumerate(items)}
        names = sorted(articles[other])
        told = spans(pl.DataFrame({"text": [articles[other][name] for name in names]}), against=index, soft=model, soft_at=min(THRESHOLDS))
        hard, near = set(), dict.fromkeys(own, 0.0)
        for name, by_words, by_meaning in zip(names, told["spans"], told["soft_spans"], strict=True):
            hard |= {one["item"] for one in by_words if own[one["item"]] == name}
            for one in by_meaning:
                if own[one["item"]] == name:
                    near[one["item"]] = max(near[one["item"]], one["score"])
        left = [near[item] for item in own if item not in hard]
        print(f"paragraphs of {level} in articles of {other}: {len(own):,}, by words {len(hard) / len(own):.3f}; of the other {len(left):,} {shares(left)}")


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--passages", type=int, default=50_000)
    asked = options.parse_args()
    os.environ.update({**THREADS, "OPENBLAS_NUM_THREADS": "1"})
    import polars as pl

    from curate.models import vectors

    folder = Path(tempfile.mkdtemp(prefix="headrace-soft-"))
    texts = passages(1000, TRAINED + asked.passages)
    began = process_time()
    vectors.save(vectors.train([pl.Series(texts[:TRAINED])]), folder / "vectors")
    print(f"vectors of {TRAINED:,} passages in {process_time() - began:.0f} s")
    index = our_index(evaluation(), folder / "index")
    print(counted(index))
    retold(folder, str(folder / "vectors"))
    accused(texts[TRAINED:], index, str(folder / "vectors"))
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
