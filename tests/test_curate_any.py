"""What every stage must bear: any text there is, one row out for each row in, and no row that depends on its neighbours."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.files import DataFile, read
from catalog.schema import DOCUMENT
from catalog.stage import Bound, Target, load
from catalog.staged import Stage
from curate import annotate, fit
from headrace.handbook import functions
from tests.bench_making import MILL, index
from tests.test_ingest_land import landed

ELSEWHERE = {"trove.block", "trove.pipeline", "ensemble.buckets", "composite.score", "embedding.minilm"}
"""Blocks of others, two stages that read no text, and one whose model is not part of the set-up: they are tested in files of their own."""
STAGES = [(name, target) for name, target, _ in functions("Stages", "curate") if name not in ELSEWHERE]

ODD = (
    "", " ", "\n", "\n\n\n", "\t \r\n\x0b\x0c", "\u200b\u200d\ufeff", "…", "!!! ??? ...", "שלום עולם. שלום!", "مرحبا بالعالم\nمرحبا", "日本語のテキスト。",
    "ภาษาไทยไม่มีช่องว่าง", "👨‍👩‍👧‍👦 🇫🇷 ❤️", "e" + "\u0301" * 500, "\x00\x01\x7f", "\ufffd" * 30, "\ud7ff\ue000\U0010ffff", "\u202eabc\u202c",
    "A" * 3000, "a " * 3000, "\n" * 3000, "{" * 3000, "<a>" * 1000, "1" * 3000, "1.1.1." * 500, "-" * 3000, "http://" * 400, "@" * 3000,
    "&amp;" * 600, "\\x41" * 500, "```\n" * 300, "a@b.co " * 300, "+1 212 555 0123 " * 100, "word\n" * 2000, "\u2028\u2029\x85" * 100, "İıſßŉ" * 50,
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "0x" + "f" * 3000, "/*" * 1000, "'" * 3000, '"' * 3000,
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A small model or list of each kind that a stage can ask for."""
    folder = tmp_path_factory.mktemp("models")

    def ask(key: str, sql: str) -> Iterator[pl.DataFrame]:
        words = "gate water wheel" if key == "positive" else "buy cheap now"
        yield pl.DataFrame({"text": [f"{words} {i} {words}" for i in range(30)]})

    fit.classifier(ask, str(folder / "quality"), seed=1, positive="", negative="", buckets=512)
    fit.language_model(ask, str(folder / "perplexity"), seed=1, texts="", order=2)
    fit.vectors(ask, str(folder / "embedding"), seed=1, embed="", dimensions=8)
    index(folder / "contamination", {"bench.mill": MILL})
    (folder / "words.txt").write_text("water\nmill wheel\n水\n", encoding="utf-8")
    (folder / "hosts.csv").write_text("mill.example,2026-01-01\n", encoding="utf-8")
    return {name: str(folder / name) for name in ("quality", "perplexity", "embedding", "contamination", "words.txt", "hosts.csv")}


def documents(texts: list[str | None]) -> pl.DataFrame:
    """Rows with every column of a document, of which the text alone is known, and a language that some stages read."""
    columns = {field.name: pa.array(texts if field.name == "text" else [None] * len(texts), field.type) for field in DOCUMENT}
    language = pl.struct(code=pl.lit("en")) if texts else pl.lit(None, pl.Struct({"code": pl.String}))
    return pl.DataFrame(pl.from_arrow(pa.table(columns))).with_columns(language=language)


def knobs_of(target: Target, models: dict[str, str]) -> dict[str, Any]:
    """The knobs that a stage cannot do without."""
    own = {"model": models.get(target.module.rpartition(".")[2]), "against": models["contamination"]}
    given = {**own, "lists": {"en": models["words.txt"]}, "hosts": models["hosts.csv"]}
    return {knob: given[knob] for knob in target.required}


def called(target: Any, models: dict[str, str]) -> Callable[[pl.DataFrame], pa.Table]:
    """The stage with its defaults, giving what it declares."""
    function: Any = load(target.path)
    adds: dict[str, pa.DataType] = function.declares.adds
    knobs = knobs_of(target, models)

    def run(batch: pl.DataFrame) -> pa.Table:
        found = function(batch, **knobs)
        assert set(found.columns) == set(adds)
        return found.to_arrow().select(list(adds)).cast(pa.schema(list(adds.items())))

    return run


def sound(table: pa.Table, rows: int) -> None:
    assert table.num_rows == rows
    for name in table.column_names:
        values = table[name].to_pylist()
        assert not any(isinstance(value, float) and not math.isfinite(value) for value in values), name


@pytest.mark.parametrize(("name", "target"), STAGES, ids=[name for name, _ in STAGES])
def test_odd_texts_have_a_row_each_whatever_stands_beside_them(name: str, target: Any, models: dict[str, str]) -> None:
    run = called(target, models)
    together = run(documents([*ODD, None]))
    sound(together, len(ODD) + 1)
    for i in range(0, len(ODD), 4):
        assert run(documents([ODD[i]])).to_pylist() == together.slice(i, 1).to_pylist(), (name, ODD[i][:20])
    sound(run(documents([])), 0)


@pytest.mark.parametrize(("name", "target"), STAGES, ids=[name for name, _ in STAGES])
@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.one_of(st.none(), st.text(max_size=80)), max_size=6))
def test_any_texts_have_a_row_each(name: str, target: Any, models: dict[str, str], texts: list[str | None]) -> None:
    sound(called(target, models)(documents(texts)), len(texts))


BROKEN = (
    r"\ud800", r"\udfff\ud800", r"\ud83d\ude00", r"\ud83dA", r"\u0000", r"\uffff\ufffe", r"\udbff\udfff", "\u2028", r"\u202e\ud83d \udc00",
    b"\xed\xa0\x80", b"\xff\xfe", b"\xc0\xaf", b"\xe2\x82", b"\xf4\x90\x80\x80", b"\xed\xa0\xbd\xed\xb8\x80",
)
"""Halves of surrogate pairs as JSON escapes them, characters that are none, and bytes that are no UTF-8."""


def unsound(folder: Path) -> list[str]:
    """Write tables whose every string may be no Unicode, a row for each of BROKEN: JSON lines, CSV, and Parquet, once with sound texts."""
    rows = []
    for piece in (piece.encode() if isinstance(piece, str) else piece for piece in BROKEN):
        rows.append((b"the mill " + piece + b" and the wheel " + piece, b"https://mill.example/" + piece, piece))
    line = b'{"text": "%s", "uri": "%s", "title": "%s", "license": "%s", "%s": 1}\n'
    (folder / "lines.jsonl").write_bytes(b"".join(line % (*row, row[2], row[2]) for row in rows))
    (folder / "rows.csv").write_bytes(b"text,uri,title\n" + b"".join(b"%s,%s,%s\n" % row for row in rows))
    raw = [pa.array([row[k] for row in rows], pa.binary()) for k in range(3)]
    strings = [pa.StringArray.from_buffers(len(column), column.buffers()[1], column.buffers()[2]) for column in raw]
    for name, texts in (("texts", strings[0]), ("titles", pa.array(["the mill and the wheel"] * len(rows)))):
        pq.write_table(pa.table([texts, *strings[1:]], names=["text", "uri", "title"]), folder / f"{name}.parquet")
    return [str(folder / name) for name in ("lines.jsonl", "rows.csv", "texts.parquet", "titles.parquet")]


def test_what_is_no_unicode_is_a_document_or_has_a_reason(models: dict[str, str], tmp_path: Path) -> None:
    """Through the reader of tables into a lake, and from there through every stage: nothing dies, each row is kept or refused by a name."""
    results = [landed([path], tmp_path / "lake", name=Path(path).stem)[0] for path in unsound(tmp_path)]
    assert [(result["documents"], result["reasons"]) for result in results] == [(11, {"bad_json": 4}), (15, {}), (9, {"no_text": 6}), (15, {})]
    files = [DataFile(**{**result["file"], "columns": tuple(map(tuple, result["file"]["columns"]))}) for result in results]
    families = {name: name.replace(".", "_") if name == "wordlist.native" else target.family for name, target in STAGES}
    stages = [Stage(name, Bound(target.path, knobs_of(target, models), target.version), families[name], None) for name, target in STAGES]
    done = annotate.run(files, stages, str(tmp_path / "lake/annotations/odd/run"), workers=0)
    assert not done.quarantine
    for file in done.files:
        texts = read(file, ["text"])["text"]
        assert all(text.encode().decode() == text for text in texts)
        assert {read(file, (), [stage.family]).height for stage in stages} == {len(texts)}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "target"), STAGES, ids=[name for name, _ in STAGES])
def test_fifty_megabytes_in_one_line_are_a_text(name: str, target: Any, models: dict[str, str]) -> None:
    run = called(target, models)
    for text in ("x" * 50_000_000, "the water 12 " * 800_000, "1" * 5_000_000, ". " * 5_000_000):
        sound(run(documents([text])), 1)
