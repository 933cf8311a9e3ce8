"""Tables as documents, chats and pairs: the shapes that others write them in, and rows that are none."""

import gzip
import json
import struct
import time
import tracemalloc
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.errors import InputError
from catalog.stage import Refused
from ingest.shapes import SHAPES
from ingest.tables import read

HI = [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Hello."}]


def table(path: Path, rows: list[Any]) -> str:
    raw = "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return str(path)


def one(tmp_path: Path, row: Any, **knobs: Any) -> Any:
    (found,) = read(table(tmp_path / "t.jsonl", [row]), **knobs)
    return found


@pytest.mark.parametrize("name", ["t.jsonl", "t.jsonl.gz", "t.parquet"])
def test_documents_by_a_column_map(tmp_path: Path, name: str) -> None:
    rows = [{"body": f"Text {i}.", "meta": {"url": f"http://a.example/{i}", "when": "2024-05-06"}, "n": i} for i in range(600)]
    path = tmp_path / name
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        table(path, rows)
    found = list(read(str(path), columns={"text": "body", "uri": "meta.url", "date": "meta.when"}))
    assert [row["text"] for row in found if isinstance(row, dict)] == [row["body"] for row in rows]
    last = found[-1]
    assert isinstance(last, dict) and (last["uri"], last["date"], last["offset"]) == ("http://a.example/599", date(2024, 5, 6), 600)


def test_equal_names_are_taken_without_a_map(tmp_path: Path) -> None:
    row = {"text": "A text.", "title": "T", "license": "MIT", "fetched_at": "2024-01-02T03:04:05+01:00", "other": 1}
    found = one(tmp_path, row)
    assert (found["title"], found["license"], found["fetched_at"], "other" in found) == ("T", "MIT", datetime(2024, 1, 2, 2, 4, 5), False)
    path = tmp_path / "t.parquet"
    pq.write_table(pa.Table.from_pylist([{"text": "A text.", "fetched_at": datetime(2024, 1, 2, tzinfo=UTC), "date": date(2020, 1, 1)}]), path)
    (typed,) = read(str(path))
    assert isinstance(typed, dict) and (typed["fetched_at"], typed["date"]) == (datetime(2024, 1, 2), date(2020, 1, 1))


@pytest.mark.parametrize(("columns", "shape", "said"), [
    ({"text": "bdoy"}, "document", "the table has no 'bdoy'; did you mean 'body'?"),
    ({"txet": "body"}, "document", "a document has no 'txet'; did you mean 'text'?"),
    ({"messages": "body"}, "document", "a document has no 'messages'"),
    ({"text": "body"}, "documnet", "as: 'documnet'; did you mean 'document'?"),
])
def test_a_column_that_is_not_there_is_the_users_mistake(tmp_path: Path, columns: dict[str, str], shape: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        list(read(table(tmp_path / "t.jsonl", [{"body": "x"}]), columns=columns, shape=shape))
    assert said in str(error.value)
    with pytest.raises(InputError, match=r"tables reads \.jsonl"):
        list(read(str(tmp_path / "t.xyz")))


def test_bad_lines_are_refused_by_number_and_the_rest_goes_on(tmp_path: Path) -> None:
    rows = [{"text": "one"}, "{broken\n", "\n", "[1, 2]\n", {"text": " "}, {"text": 7}, "\xff\xfe\n", "[" * 100_000 + "\n", {"text": "two"}]
    found = list(read(table(tmp_path / "t.jsonl", rows)))
    assert [row["text"] for row in found if isinstance(row, dict)] == ["one", "two"]
    assert [(row.reason, row.offset) for row in found if isinstance(row, Refused)] == [
        ("bad_json", 2), ("bad_json", 4), ("no_text", 5), ("bad_row", 6), ("bad_json", 7), ("bad_json", 8),
    ]  # fmt: skip
    assert all(f"{row.offset}:" in row.error for row in found if isinstance(row, Refused))


def test_a_broken_file_gives_what_was_read(tmp_path: Path) -> None:
    path = Path(table(tmp_path / "t.jsonl.gz", [{"text": f"text {i} {i * 7919 % 1000}"} for i in range(5000)]))
    path.write_bytes(path.read_bytes()[:-3000])
    found = list(read(str(path)))
    assert len(found) > 100 and isinstance(found[-1], Refused) and found[-1].reason == "truncated"
    (tmp_path / "no.parquet").write_bytes(b"PAR1 nothing")
    assert [row.reason for row in read(str(tmp_path / "no.parquet")) if isinstance(row, Refused)] == ["corrupt_table"]


@pytest.mark.parametrize("date", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "yesterday", 20240101, ["x"]])
def test_a_date_that_is_none_leaves_the_document(tmp_path: Path, date: Any) -> None:
    rows = [{"text": "one"}, {"text": "two", "date": date, "fetched_at": date}, {"text": "three"}]
    found = [row for row in read(table(tmp_path / "t.jsonl", rows)) if isinstance(row, dict)]
    assert [(row["text"], row["date"], row["fetched_at"]) for row in found] == [("one", None, None), ("two", None, None), ("three", None, None)]


def test_a_time_without_a_zone_is_utc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for zone in ("UTC", "Asia/Tokyo"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert one(tmp_path, {"text": "a", "fetched_at": "2024-01-02T03:04:05"})["fetched_at"] == datetime(2024, 1, 2, 3, 4, 5)
    monkeypatch.undo()
    time.tzset()


def test_a_value_that_python_cannot_hold_is_null_alone(tmp_path: Path) -> None:
    """Dates of the year 12000, nanoseconds, bytes that are no UTF-8: the rows about them, and the rest of theirs, stay."""
    spoilt = pa.Array.from_buffers(pa.string(), 3, [None, pa.py_buffer(struct.pack("<4i", 0, 1, 3, 4)), pa.py_buffer(b"a\xff\xfeb")])
    columns = {"text": ["one", "two", "three"], "title": spoilt, "date": pa.array([0, 1 << 30, 1], pa.date32()),
               "fetched_at": pa.array([1_000_000_001, 2_000_000_002, 3_000_000_003], pa.timestamp("ns"))}  # fmt: skip
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    found = [row for row in read(str(tmp_path / "t.parquet")) if isinstance(row, dict)]
    assert [(row["text"], row.get("title"), row["date"]) for row in found] == [
        ("one", "a", date(1970, 1, 1)), ("two", None, None), ("three", "b", date(1970, 1, 2)),
    ]  # fmt: skip
    assert [row["fetched_at"] for row in found] == [datetime(1970, 1, 1, 0, 0, second) for second in (1, 2, 3)]


def test_a_row_that_makes_its_shape_fail_costs_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shape(row: Mapping[str, Any]) -> dict[str, Any]:
        return {"text": str(1 / row["n"])}

    monkeypatch.setitem(SHAPES, "document", shape)
    found = list(read(table(tmp_path / "t.jsonl", [{"n": 1}, {"n": 0}, {"n": "x"}, {}, {"n": 2}])))
    assert [row["offset"] if isinstance(row, dict) else (row.reason, row.offset) for row in found] == [1, ("bad_row", 2), ("bad_row", 3), ("bad_row", 4), 5]


@pytest.mark.parametrize(("row", "columns"), [
    ({"messages": HI}, None),
    ({"talk": HI}, {"messages": "talk"}),
    ({"conversations": [{"from": "human", "value": "Hi?"}, {"from": "gpt", "value": "Hello."}]}, None),
    ({"instruction": "Hi?", "input": "", "output": "Hello."}, None),
    ({"prompt": "Hi?", "response": "Hello."}, None),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi?"}, {"type": "image"}]}, HI[1]]}, None),
])
def test_a_chat_in_every_common_form(tmp_path: Path, row: dict[str, Any], columns: dict[str, str] | None) -> None:
    found = one(tmp_path, row, columns=columns, shape="chat")
    assert found["messages"] == HI
    assert found["text"] == "user: Hi?\n\nassistant: Hello."


def test_what_frames_a_chat(tmp_path: Path) -> None:
    assert one(tmp_path, {"instruction": "Say", "input": "this", "output": "that", "system": "Be kind."}, shape="chat")["messages"] == [
        {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Say\n\nthis"}, {"role": "assistant", "content": "that"},
    ]  # fmt: skip
    turns = [("human", "Hi?"), ("function_call", "{}"), ("observation", "[]"), ("gpt", "Done.")]
    tools = one(tmp_path, {"conversations": [{"from": who, "value": said} for who, said in turns], "tools": "[]"}, shape="chat")
    assert [message["role"] for message in tools["messages"]] == ["system", "user", "assistant", "tool", "assistant"]


@pytest.mark.parametrize(("row", "reason"), [
    ({"messages": []}, "bad_row"),
    ({"messages": "Hi"}, "bad_row"),
    ({"messages": [{"role": "narrator", "content": "x"}]}, "bad_row"),
    ({"messages": [{"role": "user", "content": 5}]}, "bad_row"),
    ({"messages": HI[:1]}, "no_assistant"),
    ({"messages": [HI[0], {"role": "assistant", "content": " "}]}, "no_assistant"),
    ({"text": "no chat"}, "bad_row"),
])
def test_a_row_that_is_no_chat(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    assert one(tmp_path, row, shape="chat").reason == reason


@pytest.mark.parametrize("row", [
    {"prompt": HI[:1], "chosen": "Hello.", "rejected": "Go away."},
    {"prompt": "Hi?", "chosen": "Hello.", "rejected": "Go away."},
    {"chosen": HI, "rejected": [HI[0], {"role": "assistant", "content": "Go away."}]},
    {"conversations": [{"from": "human", "value": "Hi?"}], "chosen": {"from": "gpt", "value": "Hello."}, "rejected": {"from": "gpt", "value": "Go away."}},
    {"chosen": "\n\nHuman: Hi?\n\nAssistant: Hello.", "rejected": "\n\nHuman: Hi?\n\nAssistant: Go away."},
])
def test_a_pair_in_every_common_form(tmp_path: Path, row: dict[str, Any]) -> None:
    found = one(tmp_path, row, shape="pair")
    assert (found["prompt"], found["chosen"], found["rejected"], found["scores"]) == (HI[:1], "Hello.", "Go away.", None)


def test_scores_and_pairs_that_are_none(tmp_path: Path) -> None:
    scored = one(tmp_path, {"prompt": "a", "chosen": "b", "rejected": "c", "score_chosen": 4, "score_rejected": 1.5}, shape="pair")
    assert scored["scores"] == {"chosen": 4.0, "rejected": 1.5}
    large = one(tmp_path, {"prompt": "a", "chosen": "b", "rejected": "c", "score_chosen": 10**400, "score_rejected": 1}, shape="pair")
    assert large["scores"] == {"chosen": None, "rejected": 1.0}
    for row, reason in (
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, "no_preference"), ({"prompt": "a", "chosen": "b"}, "bad_row"),
        ({"chosen": "b", "rejected": "c"}, "bad_row"),
        ({"prompt": "a", "chosen": " ", "rejected": "c"}, "bad_row"), ({"prompt": [], "chosen": "b", "rejected": "c"}, "bad_row"),
    ):  # fmt: skip
        assert one(tmp_path, row, shape="pair").reason == reason


ROWS = [{"question": "Who keeps the lock?", "answer": "Ann", "n": 3, "meta": {"by": "Bo"}}, {"question": "Why?", "answer": None}, {"other": 1}]


def test_a_template_makes_a_text_of_a_row(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    found = list(read(str(path), template="Q: {question}\n\nA: {answer} ({meta.by}, {n}) {{so}}", columns={"author": "meta.by"}))
    assert [row["text"] if isinstance(row, dict) else row.reason for row in found] == ["Q: Who keeps the lock?\n\nA: Ann (Bo, 3) {so}",
        "Q: Why?\n\nA:  (, ) {so}", "no_text"]
    assert isinstance(found[0], dict) and found[0]["author"] == "Bo"


@pytest.mark.parametrize(("template", "said"), [
    ("{qestion}", "the table has no 'qestion'; did you mean 'question'"), ("{question.__class__}", None), ("{question[0]}", "not the name of a column"),
    ("{0!r}", "not the name of a column"),
    ("{question:>9}", "not the name of a column"), ("{}", "not the name of a column"), ("{question", "template: "), ("no column", "names no column"),
])  # fmt: skip
def test_a_template_is_columns_and_nothing_else(tmp_path: Path, template: str, said: str | None) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps(ROWS[0]) + "\n")
    if said is None:
        assert [row.reason for row in read(str(path), template=template) if isinstance(row, Refused)] == ["no_text"]
        return
    with pytest.raises(InputError, match=said):
        list(read(str(path), template=template))


@pytest.mark.parametrize("end", [".csv", ".tsv", ".csv.gz"])
def test_separated_values(tmp_path: Path, end: str) -> None:
    sign = "\t" if end == ".tsv" else ","
    lines = f'\ufeffname{sign}text\r\n"A ""lock"""{sign}"two\nlines"\r\nB{sign}\r\n\r\nC{sign}x{sign}more\r\nD{sign}last'
    path = tmp_path / f"t{end}"
    path.write_bytes(gzip.compress(lines.encode()) if end.endswith(".gz") else lines.encode())
    found = list(read(str(path), columns={"title": "name", "text": "text"}))
    assert [(row["title"], row["text"], row["offset"]) if isinstance(row, dict) else row.reason for row in found] == [
        ('A "lock"', "two\nlines", 1), "no_text", "bad_row", ("D", "last", 4),
    ]  # fmt: skip


def test_a_line_of_millions_of_values_is_refused(tmp_path: Path) -> None:
    """Each would be an object of Python's: 64 MB of empty lists are two gigabytes."""
    (tmp_path / "t.jsonl").write_bytes(b'{"text": "a", "b": [' + b"[]," * 2_500_000 + b"0]}\n" + json.dumps({"text": "word, " * 300_000}).encode() + b"\n")
    tracemalloc.start()
    found = list(read(str(tmp_path / "t.jsonl")))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row.reason if isinstance(row, Refused) else row["offset"] for row in found] == ["too_large", 2] and peak < 64 << 20


def test_a_row_of_millions_of_cells_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.tsv.csv").write_bytes(b"text,b\none,1\n" + b"," * 40_000_000 + b"\nlast,2\n")
    tracemalloc.start()
    found = list(read(str(tmp_path / "t.tsv.csv")))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row["text"] for row in found if isinstance(row, dict)] == ["one", "last"] and peak < 120 << 20
    assert {row.reason for row in found if isinstance(row, Refused)} == {"too_large"}


@given(st.binary(max_size=400))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_a_table_of_some_kind(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(b"text,b\n" + content)
    for row in read(str(tmp_path / "t.csv")):
        assert isinstance(row, Refused) or row["text"].strip()
