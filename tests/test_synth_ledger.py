"""The ledger: what it keeps, what a kill leaves, and two processes at once."""

import os
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from catalog.errors import WorkError
from synth.engine import Sampling
from synth.ledger import COMPLETION, Ledger, Row, hash_of, key_of, read, read_lines, seal
from synth.requests import Order

MODEL = "a" * 64


def row(i: int, **changes: Any) -> Row:
    when = datetime(2026, 1, 2, 3, 4, 5, 678901)
    return {
        "key": f"{i:032x}", "model": MODEL, "purpose": "test", "parents": [f"d{i}"], "prompt": "Wie heißt der Fluß?\n", "prompt_hash": "h", "parameters": "{}",
        "seed": 2**62 + i, "max_tokens": 8, "text": "Rhein\u2028\x00 “ok”", "finish": "stop", "refused": None, "prompt_tokens": 5, "tokens": 3, "logprob": None,
        "asked_at": when, "finished_at": when, **changes,
    }  # fmt: skip


def files(lake: Path) -> list[str]:
    return sorted(path.suffix for path in (lake / "ledger").iterdir())


def test_rows_come_back_as_they_went_in(tmp_path: Path) -> None:
    with Ledger(tmp_path, MODEL) as ledger:
        ledger.append([row(1), row(2, finish="refused", refused="too long", text="", logprob=-0.5)])
        assert files(tmp_path) == [".jsonl"] and ledger.find([row(1)["key"], "absent"]) == {row(1)["key"]: [row(1)]}
    assert files(tmp_path) == [".parquet"]
    with Ledger(tmp_path, MODEL) as ledger:
        assert ledger.find([row(1)["key"]]) == {row(1)["key"]: [row(1)]}
    assert read(tmp_path).sort("key").to_dicts() == [row(1), row(2, finish="refused", refused="too long", text="", logprob=-0.5)]


def test_another_model_knows_nothing_of_it(tmp_path: Path) -> None:
    with Ledger(tmp_path, MODEL) as ledger:
        ledger.append([row(1)])
    for other in ("b" * 64, MODEL[:12] + "c" * 52):
        with Ledger(tmp_path, other) as ledger:
            assert ledger.find([row(1)["key"]]) == {}


def test_a_ledger_that_nobody_writes_leaves_no_file(tmp_path: Path) -> None:
    with Ledger(tmp_path, MODEL) as ledger:
        assert ledger.find(["x"]) == {}
    assert files(tmp_path) == [] and read(tmp_path).is_empty() and read(tmp_path).schema.names() == COMPLETION.names


KILLED = """
import os, signal, sys
from tests.test_synth_ledger import MODEL, row
from synth.ledger import Ledger
ledger = Ledger(sys.argv[1], MODEL)
for i in range(5):
    ledger.append([row(i)])
print("written", flush=True)
if sys.argv[2] == "torn":
    os.write(ledger._lines.fileno(), b'{"key": "torn in the mid')
if sys.argv[2] != "wait":
    os.kill(os.getpid(), signal.SIGKILL)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["whole", "torn"])
def test_what_was_appended_survives_a_kill_and_a_torn_line_is_left_out(tmp_path: Path, how: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), how])
    assert done.returncode == -signal.SIGKILL and files(tmp_path) == [".jsonl"]
    assert read(tmp_path).height == 5
    with Ledger(tmp_path, "b" * 64):                         # whoever comes next tidies up
        assert files(tmp_path) == [".parquet"]
    assert read(tmp_path)["key"].to_list() == [row(i)["key"] for i in range(5)]


def test_the_lines_of_a_living_process_are_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout and other.stdout.readline() == b"written\n"
        with Ledger(tmp_path, MODEL) as ledger:
            ledger.append([row(9)])
            assert files(tmp_path) == [".jsonl", ".jsonl"]
        assert files(tmp_path) == [".jsonl", ".parquet"] and read(tmp_path).height == 6
        other.kill()
    Ledger(tmp_path, MODEL).close()
    assert files(tmp_path) == [".parquet", ".parquet"] and read(tmp_path).height == 6


def test_a_kill_between_parquet_and_tidying_up_counts_no_row_twice(tmp_path: Path) -> None:
    with Ledger(tmp_path, MODEL) as ledger:
        ledger.append([row(1), row(2)])
        lines = next((tmp_path / "ledger").glob("*.jsonl"))
        kept = lines.read_bytes()
    lines.write_bytes(kept)                                  # as if the process had died before it removed them
    assert read(tmp_path).height == 2
    assert seal(lines) == lines.with_suffix(".parquet") and seal(lines) is None and read(tmp_path).height == 2


def test_lines_that_are_no_rows_are_left_out() -> None:
    assert read_lines(b"") == read_lines(b"half a li") == read_lines(b"\0\0\0\0\n") == []


def test_a_disk_that_cannot_be_written_fails_the_part(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, MODEL)
    ledger.append([row(1)])
    lines, ledger._lines = ledger._lines, open("/dev/full", "wb")      # noqa: SIM115
    with pytest.raises(WorkError, match=r"ledger cannot be written \(No space left on device\)"):
        ledger.append([row(2)])
    ledger._lines, full = lines, ledger._lines
    try:
        full.close()
    except OSError:
        assert os.path.exists("/dev/full")
    ledger.close()
    assert read(tmp_path).height == 1


def test_a_long_run_begins_new_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synth.ledger.ROLL", 4)
    with Ledger(tmp_path, MODEL) as ledger:
        for i in range(10):
            ledger.append([row(i)])
        assert files(tmp_path) == [".jsonl", ".parquet", ".parquet"]
        assert len(ledger.find(row(i)["key"] for i in range(10))) == 10
    assert read(tmp_path).height == 10


def test_the_key_changes_with_all_that_decides_an_answer() -> None:
    keys = {key_of("m", "h", "{}", 1), key_of("n", "h", "{}", 1), key_of("m", "i", "{}", 1), key_of("m", "h", '{"t": 1}', 1), key_of("m", "h", "{}", 2)}
    assert len(keys) == 5 and hash_of([1, 23]) != hash_of([12, 3])
    assert key_of("m", "h", "{}", 1) == "bf7569179a1c6a28727eeb481196453e"


@pytest.mark.parametrize(("known", "limit", "serves"), [
    ({"finish": "stop", "tokens": 5, "max_tokens": 8}, 8, True),
    ({"finish": "stop", "tokens": 5, "max_tokens": 8}, 20, True),
    ({"finish": "stop", "tokens": 5, "max_tokens": 8}, 5, True),
    ({"finish": "stop", "tokens": 5, "max_tokens": 8}, 4, False),
    ({"finish": "length", "tokens": 8, "max_tokens": 8}, 8, True),
    ({"finish": "length", "tokens": 8, "max_tokens": 8}, 9, False),
    ({"finish": "length", "tokens": 8, "max_tokens": 8}, 7, False),
    ({"finish": "length", "tokens": 6, "max_tokens": 8, "prompt_tokens": 58}, 8, True),
    ({"finish": "length", "tokens": 6, "max_tokens": 8, "prompt_tokens": 20}, 8, False),
    ({"finish": "refused", "tokens": 0, "max_tokens": 8}, 8, False),
])
def test_a_known_answer_serves_where_it_would_be_the_same(known: Row, limit: int, serves: bool) -> None:
    order = Order("k", "p", (1,) * 20, "h", "{}", 1, limit, 0)
    assert order.served_by(row(0, **known), context=64) is serves
    assert Sampling(max_tokens=limit).max_tokens == limit
