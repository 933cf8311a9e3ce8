"""Every family of signals at once, on documents of 5,000 characters: what each costs, and documents a second of all together.

    python benchmarks/families.py          in .venv; one core and one thread

Texts in memory, warmed up, CPU seconds, median of 5 runs. The stages run one after the other over one batch, as a task runs them, so
what they share (words, lines, letters, white-space words, C4's lines) is paid by the first that asks. The quality model and the language model are
fitted here on other windows of the same books; the list of words is 400 that some texts have. Every family that reads a text is there, that of
code too; left out are those that read no text (`urls`, `optout`, `licenses`: an address, a host, a licence), `code.parse`, which a recipe gives
code alone (`where: "domain = 'code'"`), what works on other families' numbers (`ensemble`, `composite`), and blocks of datatrove.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time

HOME = Path(__file__).resolve().parent.parent
DATA = HOME / "examples/data"
RUNS, WINDOW, DOCUMENTS = 5, 5000, 800
THREADS = dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
PLAIN = (
    "language.identify", "gopher.signals", "c4.signals", "fineweb.signals", "fineweb.after_c4",
    "dclm.signals", "refinedweb.signals", "nemo.signals", "juicer.signals",
    "statistics.signals", "madlad.signals", "print.signals", "screen.signals", "code.signals", "pii.spans", "secrets.spans",
)  # fmt: skip


def windows() -> tuple[list[str], list[str]]:
    """Windows of 5,000 characters of web pages, books, articles and papers' text: those to measure, and others to fit models to."""
    pages = [json.loads(line)["text"] for line in (DATA / "web/c4.jsonl").read_text(encoding="utf-8").splitlines()]
    books = [path.read_text(encoding="utf-8") for path in sorted((DATA / "books").glob("*.txt"))]
    articles = (DATA / "reference/wiki_demo.txt").read_text(encoding="utf-8")
    whole = ["\n\n".join(pages), articles, *books]
    found = [text[at : at + WINDOW] for text in whole for at in range(0, min(len(text), 2_000_000) - WINDOW, WINDOW)]
    step = max(len(found) // (2 * DOCUMENTS), 1)
    return found[::step][:DOCUMENTS], found[step // 2 + 1 :: step][:DOCUMENTS] if step > 1 else found[DOCUMENTS:]


def stages(others: list[str], folder: Path) -> "dict[str, Callable[..., object]]":
    """Every stage by name, with its knobs filled in."""
    import polars as pl

    from catalog.stage import find, load, widened
    from curate import fit, perplexity, quality, stop_words, wordlist

    half = len(others) // 2

    def ask(key: str, sql: str) -> "object":
        yield pl.DataFrame({"text": others[:half] if key in ("positive", "texts") else others[half:]})

    fit.classifier(ask, str(folder / "useful"), seed=1, positive="", negative="")  # type: ignore[arg-type]
    fit.language_model(ask, str(folder / "fluent"), seed=1, texts="")  # type: ignore[arg-type]
    found: dict[str, Callable[..., object]] = {}
    for name in PLAIN:
        found[name] = load(find("curate", name).path)
    words = sorted({word.lower() for text in others for word in text.split() if word.isalpha() and len(word) > 6})
    (folder / "words.txt").write_text("\n".join(words[:: max(len(words) // 400, 1)]), encoding="utf-8")
    english = pl.struct(pl.lit("en").alias("code"))
    found["stop_words.signals"] = lambda batch: stop_words.signals(widened(batch.with_columns(language=english), batch))
    found["wordlist.listed"] = lambda batch: wordlist.listed(batch, lists={"words": str(folder / "words.txt")})
    found["quality.score"] = lambda batch: quality.score(batch, model=str(folder / "useful"))
    found["perplexity.signals"] = lambda batch: perplexity.signals(batch, model=str(folder / "fluent"))
    return found


def main() -> None:
    os.environ.update(THREADS)
    sys.path.insert(0, str(HOME))
    import polars as pl

    texts, others = windows()
    folder = Path(tempfile.mkdtemp())
    try:
        found = stages(others, folder)
        seconds: dict[str, list[float]] = {name: [] for name in found}
        for run in range(RUNS + 1):
            batch = pl.DataFrame({"text": texts})
            for name, stage in found.items():
                start = process_time()
                stage(batch)
                seconds[name] += [process_time() - start] if run else []
    finally:
        shutil.rmtree(folder)
    print(f"{len(texts)} texts of {sum(map(len, texts)) / len(texts):.0f} characters on average; 1 core and 1 thread; CPU seconds, median of {RUNS} runs")
    total = 0.0
    for name, times in seconds.items():
        total += median(times)
        print(f"{name:20} {median(times) / len(texts) * 1e6:7.0f} us a document, {len(texts) / median(times):9,.0f} documents/s alone")
    print(f"all {len(found)} families: {len(texts) / total:,.0f} documents/s (the aim is 1,000)")


if __name__ == "__main__":
    main()
