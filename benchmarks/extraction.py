"""HTML to text: accuracy and speed of ours beside trafilatura (three modes), resiliparse, readability-lxml and jusText, in one run.

    python benchmarks/extraction.py [--runs 3]      with HEADRACE_DATA and the demo corpus; about 10 minutes, in .venv-oracles whichever is called

The pages are the 589 of HEADRACE_DATA/web with gold. Whole texts (81 pages of the article-extraction benchmark, 61 of Readability's tests) are
compared by its measure: shingles of four words with their counts, each page's true and false positives and false negatives as shares
of their sum, precision, recall and F1 over the sums of the pages, of each and of both. Snippets (447 pages of trafilatura's evaluation) that must
or must not be in the text give precision and recall as its own gate counts them. Intervals are the middle 95 % of
1,000 bootstrap samples of the pages.

Ours was learned from pages, so each page is read by trees that have seen no page of its host (four folds by host); the thresholds were
chosen on these same pages, and a sealed set is measured elsewhere. Speed is pages per second of one core over all pages,
decoded before the clock starts for the peers that want text, the first 50 to warm up, the median of alternating runs. Our fast and
balanced modes include the pages that they give to the accurate one; title, author, date and licence are read by ours, not by the peers.
"""

import argparse
import importlib.util
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

HOME = Path(__file__).resolve().parent.parent
sys.path[:] = [str(HOME), *(path for path in sys.path if Path(path).resolve() != HOME / "benchmarks"), str(HOME / "benchmarks")]
if importlib.util.find_spec("lightgbm") is None:            # called in .venv: the peers, and what learns, are in the other environment
    oracles = os.environ.get("HEADRACE_ORACLES", str(HOME / ".venv-oracles/bin/python"))
    os.execv(oracles, [oracles, *sys.argv])
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"))

import numpy as np
from teach.extraction import MODES, Page, gold_pages, host, learn, more_pages

from ingest import html
from ingest.pages import fast
from ingest.pages.choice import Trees

WORD = re.compile(r"\w+")
FOLDS, SAMPLES, WARM = 4, 1000, 50
Extract = Callable[[Page, Trees], str]
Counts = tuple[float, float, float]


# ---- the two measures


def shingles(text: str) -> Counter[tuple[str, ...]]:
    """Return the four-word shingles of a text with their counts; of fewer words, all of them as one."""
    words = WORD.findall(text)
    return Counter(zip(*(words[i:] for i in range(4)), strict=False)) if len(words) >= 4 else Counter([tuple(words)] if words else [])


def shares(found: str, wished: str) -> Counts:
    """Return a page's true positives, false positives and false negatives as shares of their sum."""
    have, want = shingles(found), shingles(wished)
    counts = ((have & want).total(), (have - want).total(), (want - have).total())
    whole = sum(counts)
    return tuple(count / whole for count in counts) if whole else (0.0, 0.0, 0.0)  # type: ignore[return-value]


def snippets(found: str, page: Page) -> Counts:
    """Return the snippets found rightly, found wrongly and missed."""
    hit = sum(snippet in found for snippet in page.must)
    return hit, sum(snippet in found for snippet in page.must_not), len(page.must) - hit


def f1(counts: "np.ndarray[tuple[int, int], np.dtype[np.float64]]") -> tuple[float, float, float]:
    """Return F1, precision and recall over the sums of pages' counts."""
    right, wrong, missed = counts.sum(0)
    return 2 * right / max(2 * right + wrong + missed, 1e-9), right / max(right + wrong, 1e-9), right / max(right + missed, 1e-9)


def row(counts: Sequence[Counts]) -> str:
    """Return F1 with its interval, precision and recall."""
    table, draw = np.array(counts, np.float64), np.random.default_rng(0)
    drawn = [f1(table[draw.integers(0, len(table), len(table))])[0] for _ in range(SAMPLES)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    found, precision, recall = f1(table)
    return f"{found:.3f} [{low:.3f}, {high:.3f}] {precision:.3f} {recall:.3f}"


# ---- the extractors


def ours_fast(page: Page, trees: Trees, sure: bool = False) -> str:
    found = fast.extract(page.html, url=page.url, sure=sure, trees=trees)
    return found["text"] if found else ours_accurate(page, trees, thorough=False)


def ours_balanced(page: Page, trees: Trees) -> str:
    return ours_fast(page, trees, sure=True)


def ours_accurate(page: Page, trees: Trees, thorough: bool = True) -> str:
    return str(html.extract(page.html, url=page.url, thorough=thorough, trees=trees).get("text", ""))


def peers() -> dict[str, Extract]:
    """Return the peers at their best settings."""
    import justext
    import trafilatura
    from readability import Document
    from resiliparse.extract.html2text import extract_plain_text

    def trafilatura_in(mode: str) -> Extract:
        return lambda page, _: trafilatura.extract(page.html.decode("utf-8", "replace"), include_comments=False, **MODES[mode]) or ""

    def readability(page: Page, _: Trees) -> str:
        try:
            return extract_plain_text(Document(page.html.decode("utf-8", "replace")).summary())
        except Exception:  # it raises what lxml and it itself raise on broken pages
            return ""

    def of_justext(page: Page, _: Trees) -> str:
        try:
            return "\n".join(one.text for one in justext.justext(page.html, justext.get_stoplist("English")) if not one.is_boilerplate)
        except Exception:
            return ""

    return {
        **{f"trafilatura, {mode}": trafilatura_in(mode) for mode in MODES},
        "resiliparse, main content": lambda page, _: extract_plain_text(page.html.decode("utf-8", "replace"), main_content=True),
        "readability-lxml": readability, "jusText, English": of_justext,
    }  # fmt: skip


def folds(gold: list[Page], more: list[Page]) -> list[Trees]:
    """Return for each gold page trees that were learned without its host."""
    hosts = sorted({host(page.url) for page in gold}, key=lambda name: (hash_of(name), name))
    fold = {name: number % FOLDS for number, name in enumerate(hosts)}
    learned = [learn([page for page in (*gold, *more) if fold.get(host(page.url)) != number]) for number in range(FOLDS)]
    return [learned[fold[host(page.url)]] for page in gold]


def hash_of(name: str) -> int:
    """Return an order of hosts that is no order of names, the same each time."""
    from catalog.schema import hash_text

    return hash_text(name)


def main(runs: int) -> None:
    """Learn the folds, read every page with every extractor, and print the table."""
    data = os.environ["HEADRACE_DATA"]
    gold = gold_pages(data)
    trees = folds(gold, more_pages(data))
    every: dict[str, Extract] = {"headrace, fast": ours_fast, "headrace, balanced": ours_balanced, "headrace, accurate": ours_accurate, **peers()}
    read = list(zip(gold, trees, strict=True))
    routed = [sum(fast.extract(page.html, sure=sure, trees=one) is None for page, one in read) / len(gold) for sure in (False, True)]
    size = sum(len(page.html) for page in gold) / len(gold) / 1e3
    print(f"{len(gold)} pages, {size:.0f} kB each; {routed[False]:.1%} are given on by the fast mode, {routed[True]:.1%} by the balanced")
    seconds: dict[str, list[float]] = {name: [] for name in every}
    texts: dict[str, list[str]] = {}
    for _ in range(runs):
        for name, extract in every.items():
            for page, one in zip(gold[:WARM], trees, strict=False):
                extract(page, one)
            start = time.process_time()
            texts[name] = [extract(page, one) for page, one in zip(gold, trees, strict=True)]
            seconds[name].append(time.process_time() - start)
    print(f"\n| | pages/s | {' | '.join(f'{name}: F1 [95 %] precision recall' for name in (*SOURCES, 'snippets'))} |\n|{'---|' * 6}")
    for name in every:
        pairs = list(zip(gold, texts[name], strict=True))
        parts = [row([shares(text, page.gold or "") for page, text in pairs if page.source in sources]) for sources in SOURCES.values()]
        parts.append(row([snippets(text, page) for page, text in pairs if page.gold is None]))
        print(f"| {name} | {len(gold) / median(seconds[name]):,.0f} | {' | '.join(parts)} |")
    for name in every:
        if not name.startswith("headrace"):
            print(f"ratio {median(seconds[name]) / median(seconds['headrace, fast']):.1f}x over {name}, our fast mode")


SOURCES = {
    "article benchmark": ("scrapinghub-aeb",), "Readability's": ("mozilla-readability",), "both": ("scrapinghub-aeb", "mozilla-readability"),
}  # fmt: skip
"""The pages with whole texts, by where they come from."""

if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--runs", type=int, default=3, help="alternating runs (3)")
    runs = asked.parse_args().runs
    if "HEADRACE_DATA" not in os.environ:
        raise SystemExit("HEADRACE_DATA names no folder: the gold pages are read from its web/")
    main(runs)
