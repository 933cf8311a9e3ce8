"""Files of labels that no reader takes: what is wrong is said in our words, and nothing is saved."""

import re
from pathlib import Path

import pytest

from catalog.errors import InputError
from headrace.labelling import read_labels


@pytest.mark.parametrize(("name", "content", "line"), [
    ("x.jsonl", "", "it is empty; give the columns doc_id, label"),
    ("x.jsonl", '{"doc_id":', "it is no JSON lines: on each line one object"),
    ("x.jsonl", '{"doc_id": ["x"], "label": "keep"}', "doc_id holds lists or objects, not text"),
    ("x.parquet", "PAR", "it is no Parquet file"),
    ("x.tsv", 'doc_id\tlabel\na\tkeep\tb\n', "it is no TSV: row 1 has 3 columns, the first line 2"),
])  # fmt: skip
def test_what_no_reader_takes_is_told_in_our_words(tmp_path: Path, name: str, content: str, line: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / name}: {line}") + ".*nothing was saved$"):
        read_labels(tmp_path / name, ("keep", "drop"))
