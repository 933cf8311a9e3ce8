"""Passing files of a search: of one run alone, gone at its end, and after a kill at the next one's."""

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from catalog.stage import Bound
from curate import duplicates, sketches
from curate.corpus import Corpus
from curate.minhash import band_names
from tests.spark_making import corpus, family, joined

KILLED = """
import os, signal, sys
from pathlib import Path
from tests.test_curate_scratch import hands
corpus = hands(Path(sys.argv[1]), "killed")
corpus.scratch("x")
os.kill(os.getpid(), signal.SIGKILL)
"""


def hands(root: Path, run: str = "run") -> Corpus:
    folder = root / "annotations/made" / run
    return Corpus((), str(folder), str(folder / "dup-1.json.work"))


def scratches(root: Path) -> set[str]:
    return {str(path) for path in root.rglob("*.work")}


def test_two_runs_of_one_part_have_folders_of_their_own(tmp_path: Path) -> None:
    one, other = hands(tmp_path), hands(tmp_path)
    Path(one.scratch("wanted")).write_text("one")
    Path(other.scratch("wanted")).write_text("other")
    other.clear()
    assert Path(one.scratch("wanted")).read_text() == "one", "who is at work is let be"
    one.clear()
    assert not scratches(tmp_path)


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """In whatever run's folder it lies; what has no lock in it was made by somebody else."""
    alive = hands(tmp_path, "alive")
    alive.scratch("x")
    (tmp_path / "annotations/made/older/mine.work").mkdir(parents=True)
    assert subprocess.run([sys.executable, "-c", KILLED, tmp_path]).returncode == -9
    assert len(scratches(tmp_path)) == 3
    hands(tmp_path, "next").clear()
    left = {Path(path).parent.name for path in scratches(tmp_path)}
    assert left == {"alive", "older"}


def test_a_search_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = corpus(tmp_path, [{"doc_id": f"d{i}", "text": "a b c"} for i in range(3)], 1)
    monkeypatch.setattr(duplicates, "to_dict", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        duplicates.find(files, [Bound("curate.exact:job", {"by": ("text",)})], str(tmp_path / "annotations/made/run"), workers=0)
    assert not scratches(tmp_path)


# ---- tables

def test_bands_of_two_shapes_are_two_tables(tmp_path: Path) -> None:
    """`minhash` and `bloom` with other presets: each reads its own, and those of `minhash` are the dataset's."""
    rows = [{"doc_id": f"d{i}", "text": " ".join(f"w{k}" for k in range(i % 3, 30))} for i in range(8)]
    files = corpus(tmp_path, rows, 2)
    jobs, read = [Bound("curate.minhash:job", {"preset": "nemo", "verify": 0}), Bound("curate.bloom:job", {"preset": "rpv2"})], []
    told = duplicates.find(files, jobs, str(tmp_path / "annotations/made/run"), workers=0, progress=lambda result: read.append(result.get("bytes")))
    assert len([size for size in read if size]) == 2, "one pass over the text of each file"
    made = [table for path in tmp_path.rglob("*.bands-*.parquet") if (table := sketches.made(str(path)))]
    wide = [sum(name.startswith("band_") for name in pl.read_parquet(table.path).columns) for table in made]
    assert wide == [json.loads(table.knobs)["bands"] for table in made] and sorted(wide) == [9, 9, 20, 20]
    assert [sketches.columns([path], band_names(20)).height for path in told.bands] == [4, 4]
    dup = family(joined(files, told.annotations), "dup")
    assert dup["bloomed"].sum() >= 5 and dup["cluster"].n_unique() == 1


def test_bands_that_a_library_chooses_otherwise_are_another_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasketch

    files = corpus(tmp_path, [{"doc_id": f"d{i}", "text": "a b c"} for i in range(3)], 1)
    job, addresses = [Bound("curate.minhash:job", {"threshold": 0.7})], []
    for more in (0, 0, 1):
        real = datasketch.MinHashLSH(threshold=0.7, num_perm=128)
        with monkeypatch.context() as patched:
            patched.setattr(datasketch, "MinHashLSH", lambda more=more, real=real, **_: type("Chosen", (), {"b": real.b - more, "r": real.r}))
            found = duplicates.find(files, job, str(tmp_path / "annotations/made/run"), workers=0)
        addresses.append(found.annotations[files[0].id].address)
    assert addresses[0] == addresses[1] != addresses[2]
