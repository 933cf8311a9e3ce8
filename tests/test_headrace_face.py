"""The lake in Python: what a sample is."""

from pathlib import Path

import polars as pl
import pytest
from catalog_making import data_file, draft, gopher, judge

import headrace as hr
from catalog import samples
from catalog.errors import LakeError, QueryError
from catalog.lake import Lake
from catalog.schema import hash_column


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three files of 50 documents on five hosts, two in three of them dropped; the sample holds 100."""
    monkeypatch.setattr(samples, "DOCUMENTS", 100)
    root = tmp_path / "lake"
    with Lake.open(root, create=True) as made:
        files = [judge(gopher(data_file(root, "web", name), "web"), "web") for name in ("a", "b", "c")]
        made.commit(draft(files, policies=({"name": "short", "digest": "d", "drop": {"too_long": "true"}, "keep": [], "mask": {}, "cut": []},)))
    return root


def test_a_sample_is_kept_rows_by_their_hash(lake: Path) -> None:
    with hr.open(str(lake)) as face:
        kept, whole, few = face["web"].pl(), face["web"].sample(), face["web"].sample(9)
        assert few.columns == kept.columns
    assert 9 < whole.height <= kept.height and whole["kept"].all() and set(whole["doc_id"]) <= set(kept["doc_id"])
    assert few.equals(whole.head(9))
    keys = list(hash_column(whole["doc_id"]))
    assert keys == sorted(keys)
    lowest = kept.with_columns(key=pl.Series(hash_column(kept["doc_id"]))).sort("key")["doc_id"].head(9)
    assert few["doc_id"].to_list() == lowest.to_list()
    assert few["source"].struct.field("path").n_unique() == 3 and few["host"].n_unique() > 2      # not the first of the first file


def test_a_sample_of_none_or_fewer(lake: Path) -> None:
    with hr.open(str(lake)) as face:
        assert face["web"].sample(0).height == 0
        with pytest.raises(QueryError, match=r"sample\(-1\): n is 0 or more"):
            face["web"].sample(-1)
        with pytest.raises(LakeError, match="no dataset 'wbe'; did you mean 'web'"):
            face["wbe"]
