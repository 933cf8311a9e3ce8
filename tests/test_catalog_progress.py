"""Progress: a line every few seconds, and a file that is whole at every moment, whoever writes it."""

import json
import time
from pathlib import Path

import pytest

import catalog.progress
from catalog.progress import Meter


def test_counting_and_the_clock_write_one_file_without_losing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Two meters open, their clocks as fast as they go: every write succeeds, every reading is whole."""
    file = tmp_path / "progress.json"
    monkeypatch.setenv("HEADRACE_PROGRESS", str(file))
    monkeypatch.setattr(catalog.progress, "EVERY", 1e-5)
    until = time.monotonic() + 1
    with Meter("outer", None):
        while time.monotonic() < until:
            with Meter("inner", 3) as meter:
                meter.to(3)
            assert json.loads(file.read_text())["label"] in ("outer", "inner")
    assert "inner: 3/3 files" in capfd.readouterr().err
