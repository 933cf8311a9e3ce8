"""How often the screen's signals are raised in text that nobody meant ill with: documents in a thousand, by kind of text.

    python benchmarks/screen.py [--show SIGNAL] [--most 20]      --show prints what was found

Needs the demo corpus and HEADRACE_DATA (pretrain/, papers/, code/, langid/). Books and papers are cut into windows of 5,000 characters; sentences in 75
languages are joined by tens. What is found is counted, not judged: an order in a paper on prompt injection is one.
"""

import argparse
import gzip
import json
import os
import sys
from pathlib import Path
from time import process_time
from typing import Any

HOME = Path(__file__).resolve().parent.parent
sys.path[:] = [str(HOME), *(path for path in sys.path if Path(path).resolve() != HOME / "benchmarks")]
DATA, WINDOW = HOME / "examples/data", 5_000
RAISED = {
    "zero_width": "zero_width > 0", "soft_hyphens": "soft_hyphens > 0", "bidi": "bidi > 0", "overrides": "overrides > 0", "tags": "tags > 0",
    "selectors": "selectors > 0", "split_words": "split_words > 0", "mixed_words": "mixed_words > 0", "blobs": "blobs > 0",
    "blob_share > 10 %": "blob_share > .1", "repeated > 0": "repeats > 0", "repeated > 5 %": "repeated > .05",
    "odd_words": "odd_words > 0", "trigger_uses >= 3": "trigger_uses >= 3",
    "injections": "injections > 0", "control_tokens": "control_tokens > 0",
}  # fmt: skip


def rows(name: str) -> list[dict[str, Any]]:
    with gzip.open(Path(os.environ["HEADRACE_DATA"], name), "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def windows(texts: list[str]) -> list[str]:
    return [text[at : at + WINDOW] for text in texts for at in range(0, len(text), WINDOW)]


def pages() -> list[str]:
    """The demo's pages of 2014 to 2016, as the house's own reader extracts them."""
    from ingest.warc import read

    found = (getattr(row, "get", lambda _: None)("text") for path in sorted((DATA / "web").glob("*.warc.gz")) for row in read(str(path)))
    return [text for text in found if text]


def sentences() -> list[str]:
    import polars as pl

    told = pl.DataFrame(rows("langid/lingua_sentences_a.jsonl.gz")).with_columns(group=pl.int_range(pl.len()).over("lang") // 10)
    return told.group_by("lang", "group", maintain_order=True).agg(pl.col("text").str.join(" "))["text"].to_list()


def corpora() -> dict[str, list[str]]:
    c4 = [json.loads(line)["text"] for line in (DATA / "web/c4.jsonl").read_text(encoding="utf-8").splitlines()]
    return {
        "C4 pages": c4,
        "web pages": pages(),
        "books": windows([path.read_text(encoding="utf-8") for path in sorted((DATA / "books").glob("*.txt"))]),
        "novels": windows([row["text"] for row in rows("books/books.jsonl.gz")]),
        "papers": windows([row["text"] for row in rows("papers/grobid_fulltext_a.jsonl.gz")]),
        "75 languages": sentences(),
        "code": [row["content"] for row in rows("code/files.jsonl.gz")],
    }


def main() -> None:
    import polars as pl

    from curate.screen import signals

    parser = argparse.ArgumentParser()
    parser.add_argument("--show", default="")
    parser.add_argument("--most", type=int, default=20)
    given = parser.parse_args()
    table, speed = {"signal": list(RAISED)}, {}
    for name, texts in corpora().items():
        parts, spent = [], 0.0
        for at in range(0, len(texts), 500):
            batch = pl.DataFrame({"text": texts[at : at + 500]})
            start = process_time()
            parts.append(signals(batch))
            spent += process_time() - start
        found = pl.concat(parts).with_columns(text=pl.Series(texts))
        speed[name] = sum(map(len, texts)) / spent / 1e6
        table[f"{name} ({len(texts):,})"] = [f"{1000 * found.filter(pl.sql_expr(rule)).height / len(texts):.1f}" for rule in RAISED.values()]
        if given.show:
            for row in found.filter(pl.sql_expr(RAISED[given.show])).head(given.most).to_dicts():
                spans = [row["text"][max(0, span["start"] - 20) : span["end"] + 20] for span in row["spans"]]
                print(name, {key: value for key, value in row.items() if key not in ("text", "spans", "cuts") and value}, spans[:5])
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=220, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
        print(pl.DataFrame(table))
    print("Mcharacters/s of one core:", {name: round(rate, 1) for name, rate in speed.items()})


if __name__ == "__main__":
    main()
