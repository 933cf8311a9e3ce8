"""Each filter's decision, taken in SQL from stored signals, is datatrove's decision on the same words.

21,000 texts: the demo corpus and the labelled data, long ones in windows of 500 to 20,000 characters. The clauses are those
of recipes/policies, so what is proven is what users run.
"""

import gzip
import json
import os
import re
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from itertools import compress, cycle, islice, pairwise
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalog.schema import text_bytes
from catalog.signs import ENDS
from catalog.split import KIND, SYMBOL, TERMINAL, Words, characters, split_words
from curate import c4, fineweb, gopher
from curate.c4_lines import kept_text
from curate.policy import load
from curate.text.joined import joined

HOME = Path(__file__).resolve().parent.parent
ORACLE = HOME / "tests/oracle_filters.py"
TEXTS = 21_000
SIZES = (500, 800, 1200, 700, 2000, 600, 3000, 1000, 900, 5000, 500, 20_000)  # characters of a window; longer texts are cut so
FILTERS = {  # the oracle's column, and the clauses that take its decision: a policy, and the first word of their names
    "repetition": ("fineweb", "repetition"),
    "quality": ("fineweb", "quality"),
    "c4_loose": ("fineweb", "c4"),
    "fineweb": ("fineweb", "fineweb"),
    "fineweb_after_c4": ("fineweb", "fineweb"),
    "c4": ("c4", "c4"),
}
REFERENCE_MARK = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
SOURCE_CODE = (".py", ".java", ".cpp", ".h", ".rst", ".xml")
STAGES = {"gopher": gopher.signals, "c4": c4.signals, "fineweb": fineweb.signals, "fineweb_after_c4": fineweb.after_c4}
ROWS = (  # labelled data: file, field
    "books/books text", "code/files content", "dedup/planted_docs text", "instruct/promptsource_a template_yaml",
    "instruct/alpaca_gpt4_zh_demo output", "instruct/gpteacher_codegen_a response", "papers/arxiv_latex_a text",
    "papers/grobid_fulltext_a text", "preference/hh_harmless_base_a chosen", "pretrain/wikitext2_valid text",
    "quality/dclm_human_quality_a text", "quality/synthetic_low_quality text", "web/gold expected_html", "web/gold text",
)  # fmt: skip


CAUSES: dict[str, Callable[[str, str | None], bool]] = {  # why a decision may differ
    "datatrove divides by no words": lambda text, reason: reason == "ZeroDivisionError",
    "datatrove counts the full-width digit one as punctuation": lambda text, reason: "１" in text,
    "spaCy's signs that end a sentence are those of an older Unicode": lambda text, reason: not NEWER.isdisjoint(text),
    "the Kelvin sign is a k in small letters": lambda text, reason: "\u212a" in text,
}
NEWER = set("᭽᭾។៕៖៙៚࠷࠹࠽࠾؝؞")
NEWER |= {chr(c) for first, last in ENDS if first > 0x2E52 for c in range(first, last + 1)} - set("。．？！｡")
COUNTS = (*(f"top_{n}gram" for n in (2, 3, 4)), *(f"dup_{n}gram" for n in range(5, 11)), "dup_line_chars", "dup_para_chars")


def demo() -> Iterator[Iterator[str]]:
    """Yield a stream of texts for each part of the demo corpus."""
    data = HOME / "examples/data"
    yield (path.read_text(encoding="utf-8", errors="replace") for path in sorted((data / "books").glob("*.txt")))
    yield (json.loads(line)["text"] for line in lines_of(data / "web/c4.jsonl"))
    yield lines_of(data / "reference/wiki_demo.txt")
    yield ("\n".join(ElementTree.parse(path).getroot().itertext()) for path in sorted((data / "papers").glob("*.xml")))
    yield (path.read_text(encoding="utf-8", errors="replace") for path in sorted((data / "code").rglob("*.py")))
    yield from (archive(path) for path in sorted((data / "code").glob("*.tar.gz")))
    for name in ("alpaca_en", "alpaca_zh"):
        yield ("\n".join(turn["content"] for turn in json.loads(line)["messages"]) for line in lines_of(data / f"chat/{name}.jsonl"))
    yield (
        re.sub(r"<[^>]*>", " ", page)
        for path in sorted((data / "web").glob("*.warc.gz"))
        for page in gzip.decompress(path.read_bytes()).decode("utf-8", "replace").split("WARC/1.0")
    )


def lines_of(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        yield from file


def archive(path: Path) -> Iterator[str]:
    with tarfile.open(path) as files:
        for member in files:
            stream = files.extractfile(member) if member.name.endswith(SOURCE_CODE) else None
            if stream is not None:
                yield stream.read().decode("utf-8", "replace")


def rows(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path) as file:
        yield from map(json.loads, file)


def labelled(folder: Path) -> Iterator[Iterator[str]]:
    for name, field in (entry.split() for entry in ROWS):
        yield (row.get(field) or "" for row in rows(folder / f"{name}.jsonl.gz"))
    by_language: dict[str, list[str]] = {}
    for row in rows(folder / "langid/lingua_sentences_a.jsonl.gz"):
        by_language.setdefault(row["lang"], []).append(row["text"])
    yield (" ".join(sentences) for sentences in by_language.values())
    yield ("\n".join(sentences) for sentences in by_language.values())


def windows(texts: Iterator[str], sizes: Iterator[int]) -> Iterator[str]:
    for text in texts:
        at = 0
        while at < len(text):
            size = next(sizes)
            yield text[at : at + size]
            at += size


def corpus() -> list[str]:
    """Return TEXTS texts, a window of each source in turn."""
    folder = os.environ.get("HEADRACE_DATA")
    sources = [*demo(), *(labelled(Path(folder)) if folder else ())]
    streams = [windows(source, cycle(SIZES)) for source in sources]
    texts: list[str] = []
    while streams and len(texts) < TEXTS:
        turn = [list(islice(stream, 1)) for stream in streams]
        streams = [stream for stream, window in zip(streams, turn, strict=True) if window]
        texts += (text for window in turn for text in window)
    return [text.encode("utf-8", "replace").decode() for text in texts[:TEXTS]]


def split(texts: list[str]) -> Words:
    return split_words(*text_bytes(pl.Series(texts, dtype=pl.String)))


def spelt(texts: list[str]) -> list[list[str]]:
    """Return the words of each text as strings, letters of unspaced scripts joined as the rules that count words see them."""
    found = joined(split(texts))
    raw = found.data.tobytes()
    words = [raw[start:end].decode() for start, end in zip(found.starts.tolist(), found.ends.tolist(), strict=True)]
    offsets = found.documents.tolist()
    return [words[start:end] for start, end in pairwise(offsets)]


def questions(texts: list[str], path: Path) -> None:
    """Write what oracle_filters.py reads, the words spelt out."""
    data, offsets = kept_text(split(texts), 1000, 3)
    rests = [data[start:end].tobytes().decode() for start, end in pairwise(offsets)]
    lines = [
        list(dict.fromkeys([*(REFERENCE_MARK.sub("", line.strip()) for line in text.splitlines()), rest])) for text, rest in zip(texts, rests, strict=True)
    ]
    line_words = iter(spelt([line for of_text in lines for line in of_text]))
    table = {
        "text": texts,
        "words": spelt(texts),
        "lines": lines,
        "line_words": [[next(line_words) for _ in of_text] for of_text in lines],
    }
    pq.write_table(pa.table(table), path, row_group_size=2048)


def reasons(frame: pl.DataFrame, policy: str, prefix: str) -> pl.Series:
    """Return the first of a policy's clauses with this prefix that is true of each row."""
    clauses = load(HOME / f"recipes/policies/{policy}.yaml").drop
    cases = " ".join(f"WHEN {clause.text} THEN '{clause.reason}'" for clause in clauses if clause.reason.startswith(prefix + "_"))
    return pl.SQLContext(texts=frame).execute(f"SELECT CASE {cases} END AS reason FROM texts", eager=True)["reason"]


def without(text: str, spans: list[dict[str, int]]) -> list[str]:
    """Return the lines of a text less some spans, stripped, blank ones left out."""
    kept = bytearray(b"\1") * len(text)
    for span in spans:
        kept[span["start"] : span["end"]] = bytes(span["end"] - span["start"])
    return filled("".join(compress(text, kept)))


def filled(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def texts(examples: Path) -> list[str]:
    assert examples == HOME / "examples/data"
    found = corpus()
    assert len(found) == TEXTS
    assert sorted({len(text) for text in found})[-1] == max(SIZES)
    return found


@pytest.fixture(scope="module")
def oracle(texts: list[str], oracles: Path, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """What datatrove says of the texts, split as we split them."""
    folder = tmp_path_factory.mktemp("parity")
    questions(texts, folder / "texts.parquet")
    subprocess.run([str(oracles), str(ORACLE), str(folder / "texts.parquet"), str(folder / "verdicts.parquet")], check=True)
    return pl.read_parquet(folder / "verdicts.parquet")


@pytest.fixture(scope="module")
def signals(texts: list[str]) -> pl.DataFrame:
    """Our families, a struct column each."""
    parts = []
    for start in range(0, len(texts), 2000):
        batch = pl.DataFrame({"text": texts[start : start + 2000]})
        parts.append(pl.DataFrame({name: stage(batch).to_struct(name) for name, stage in STAGES.items()}))
    return pl.concat(parts)


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.parametrize("name", FILTERS)
def test_decisions_are_datatroves(name: str, texts: list[str], oracle: pl.DataFrame, signals: pl.DataFrame) -> None:
    policy, prefix = FILTERS[name]
    if name == "fineweb":  # the same clauses, over the whole text
        signals = signals.with_columns(fineweb_after_c4=pl.col("fineweb"))
    asked = (oracle[name] != "not asked").fill_null(True)
    ours, theirs = reasons(signals, policy, prefix).set(~asked, None), oracle[name].set(~asked, None)
    rows = (ours.is_null() != theirs.is_null()).arg_true().to_list()
    named = {row: [cause for cause, holds in CAUSES.items() if holds(texts[row], theirs[row])] for row in rows}
    print(f"{name}: {len(texts)} texts, {ours.count()} dropped, {len(rows)} decided otherwise: {named}")
    assert all(named.values())
    assert len(rows) <= 0.001 * len(texts)
    assert 0.1 < ours.count() / len(texts) < 0.9  # else nothing was compared


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.parametrize(("name", "columns"), [("c4_loose", ["cuts"]), ("c4", ["cuts", "unpunctuated"])])
def test_spans_cut_what_c4_takes_out(name: str, columns: list[str], texts: list[str], oracle: pl.DataFrame, signals: pl.DataFrame) -> None:
    spans = signals["c4"].struct.unnest().select(columns)
    kept = oracle[name].is_null().arg_true().to_list()
    assert len(kept) > 1000
    for row in kept:
        cut = [span for column in columns for span in spans[row, column]]
        assert without(texts[row], cut) == filled(oracle[row, f"{name}_text"]), row


@pytest.mark.oracle
@pytest.mark.slow
def test_repeats_are_counted_character_by_character(oracle: pl.DataFrame, signals: pl.DataFrame) -> None:
    counted = oracle["counts"].is_not_null().arg_true()
    assert len(counted) >= 2999
    theirs = pl.DataFrame(oracle["counts"].gather(counted).to_list(), schema=[*COUNTS[:-2], "lines", COUNTS[-2], "paras", COUNTS[-1]], orient="row")
    ours = signals["gopher"].gather(counted).struct.unnest()
    for name in COUNTS:
        share = pl.select(pl.when(theirs[name] >= 0).then(theirs[name] / ours["n_chars"])).to_series()
        assert share.equals(ours[name]), name


@pytest.mark.oracle
def test_signs_are_datatroves_and_spacys(oracles: Path) -> None:
    run = subprocess.run([str(oracles), str(ORACLE)], check=True, capture_output=True, text=True)
    symbols, ends = (set(signs) for signs in json.loads(run.stdout))
    table = characters()[0]
    ours = {chr(code) for code in range(0x110000) if table[code] & SYMBOL}
    assert symbols - ours == {"１", *(c for c in symbols if not table[ord(c)] >> KIND & 7)}  # spaces and controls are in no word
    assert ours - symbols == set()
    assert ends - {chr(code) for code in range(0x110000) if table[code] & TERMINAL} == set()
