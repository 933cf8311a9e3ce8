"""The parts of a sitting: keys for labels, text on a narrow page, lines of a journal, labels in a file."""

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from catalog.errors import InputError
from headrace.journal import read_lines
from headrace.labelling import read_labels
from headrace.sitting import TAKEN, keys_of
from headrace.terminal import wrapped


@given(st.lists(st.text("abcdkqsuw019_-", min_size=1, max_size=5), min_size=2, max_size=12, unique=True))
def test_every_label_has_a_key_and_no_command_loses_its_own(names: list[str]) -> None:
    keys = keys_of(names)
    assert sorted(keys.values()) == sorted(names) and not set(keys) & set(TAKEN)
    assert all(len(key) == 1 and key.isalnum() for key in keys)


@given(st.text(st.sampled_from("ab 漢\n\t\x1b\u0301é"), max_size=200), st.integers(20, 40))
def test_wrapping_fits_and_loses_nothing_but_blanks(text: str, width: int) -> None:
    lines = list(wrapped(text, width))
    assert all(cell_len(line) <= width and "\x1b" not in line and "\n" not in line for line, _ in lines)
    ends = [end for _, end in lines]
    assert ends == sorted(ends) and (not text or ends[-1] == len(text) or text[ends[-1] :] == " ")
    plain = text.replace("\x1b", "\N{REPLACEMENT CHARACTER}").replace("\t", " ")
    assert "".join(line for line, _ in lines).replace(" ", "") == plain.replace("\n", "").replace(" ", "")


def test_a_line_of_fifty_megabytes_is_shown_at_once() -> None:
    text = "word" * 12_500_000
    assert next(wrapped(text, 80)) == (text[:80], 80)


def test_a_journal_forgets_what_was_undone_and_what_was_torn() -> None:
    def line(doc_id: str, label: str) -> str:
        return json.dumps({"doc_id": doc_id, "label": label, "labelled": "2026-01-02T03:04:05"})

    raw = "\n".join([line("a", "keep"), line("b", "drop"), '{"undone": "a"}', line("c", "keep"), line("b", "keep"), '{"doc_id": "d", "lab'])
    assert [(row["doc_id"], row["label"]) for row in read_lines(raw.encode())] == [("b", "keep"), ("c", "keep")]
    assert read_lines(b"") == [] and read_lines(b"\0\0\0\n" + line("a", "keep").encode() + b"\n")[0]["doc_id"] == "a"


def test_ids_of_digits_stay_text(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("doc_id,label\n00012345678901234567890123456789, keep \n", encoding="utf-8")
    frame, unused = read_labels(tmp_path / "l.csv", ("keep", "drop"))
    assert frame.rows() == [("00012345678901234567890123456789", "keep", None)] and unused == []
    (tmp_path / "l.jsonl").write_text('{"doc_id": "a", "label": 3}\n{"doc_id": "a", "label": 3}\n', encoding="utf-8")
    assert read_labels(tmp_path / "l.jsonl", ("3", "4"))[0].rows() == [("a", "3", None)]
    pl.DataFrame({"doc_id": ["a"], "label": [["x"]]}).write_parquet(tmp_path / "l.parquet")
    with pytest.raises(InputError, match=r"l.parquet: "):
        read_labels(tmp_path / "l.parquet", ("keep", "drop"))
