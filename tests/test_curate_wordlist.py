"""Words of lists: by hand, in scripts without spaces, against a search said plainly, and lists that cannot be read."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import InputError, SetupError
from catalog.split import SYMBOL
from catalog.stage import words
from curate import wordlist


def lists(folder: Path, **told: str) -> dict[str, str]:
    for name, text in told.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return {name: str(folder / f"{name}.txt") for name in told}


def judged(texts: list[str | None], known: dict[str, str]) -> list[dict[str, Any]]:
    return wordlist.listed(pl.DataFrame({"text": texts}, schema={"text": pl.String}), lists=known).to_dicts()


def test_entries_stand_between_words(tmp_path: Path) -> None:
    known = lists(tmp_path, en="# ours\nDam\nmill\nmill race\n\nx-rated\nweir's end\n")
    texts = ["The dam. A MILL-race, mill race! dams milling", "", "...", "class dam_ sex.dam", "It is X-rated: the weir's end.", None, "mill mill race mill"]
    found = judged(texts, known)
    assert [(row["count"], row["different"]) for row in found] == [(3, 3), (0, 0), (0, 0), (0, 0), (2, 2), (0, 0), (3, 2)]
    assert [row["worst"] for row in found] == ["en", None, None, None, "en", None, "en"]
    assert found[0]["share"] == pytest.approx(4 / 9) and found[1]["share"] is None and found[2]["share"] is None and found[3]["share"] == 0
    assert found[0]["lists"] == [{"list": "en", "count": 3, "different": 3, "share": found[0]["share"]}] and found[3]["lists"] == []
    assert found[6]["count"] == 3 and found[6]["share"] == 1


def test_scripts_without_spaces_need_no_bounds(tmp_path: Path) -> None:
    known = lists(tmp_path, zh="水坝\n坝", ja="ダム", th="เขื่อน", ko="댐")
    found = judged(["这是一个水坝工程", "大きなダムです", "มีเขื่อนใหญ่", "큰 댐 댐이"], known)
    assert [(row["worst"], row["count"]) for row in found] == [("zh", 1), ("ja", 1), ("th", 1), ("ko", 1)]
    assert found[0]["share"] == pytest.approx(2 / 8)


def test_the_worst_list_is_told_and_the_others_listed(tmp_path: Path) -> None:
    known = lists(tmp_path, en="mill", de="die\nmill", fr="moulin")
    (row,) = judged(["die mill"], known)
    assert (row["worst"], row["count"], row["share"]) == ("de", 2, 1.0) and [one["list"] for one in row["lists"]] == ["de", "en"]


def test_the_list_of_the_texts_own_language(tmp_path: Path) -> None:
    known = lists(tmp_path, en="mill", de="die")
    batch = pl.DataFrame({"text": ["die mill"] * 5 + ["x"], "language": [{"code": code} for code in ("en", "de", "fr", None, "en", "de")]})
    found = wordlist.native(batch, lists=known)
    assert found["worst"].to_list() == ["en", "de", None, None, "en", None] and found["count"].to_list() == [1, 1, None, None, 1, 0]
    assert found["share"].to_list() == [0.5, 0.5, None, None, 0.5, 0.0]


VOCABULARY = ["mill", "race", "Weir", "é", "水", "坝", "-", "'", "x.y", "7"]
ENTRY = st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=3).map(" ".join)


def split(text: str) -> list[tuple[str, bool]]:
    found = words(pl.DataFrame({"text": [text]}))
    return [(found.data[a:b].tobytes().decode().lower(), bool(flag & SYMBOL)) for a, b, flag in zip(found.starts, found.ends, found.flags, strict=True)]


@settings(max_examples=200, deadline=None)
@given(told=st.lists(ENTRY, min_size=1, max_size=5), text=st.lists(st.sampled_from([*VOCABULARY, "a", " ", "\n"]), max_size=20).map(" ".join))
def test_as_a_plain_search_says(told: list[str], text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    known = lists(tmp_path_factory.mktemp("lists"), en="\n".join(told))
    runs = sorted({tuple(word for word, _ in split(entry)) for entry in told}, key=len, reverse=True)
    given, at, count, covered, different = split(text), 0, 0, 0, set()
    while at < len(given):
        run = next((run for run in runs if tuple(word for word, _ in given[at : at + len(run)]) == run), None)
        if run:
            count, covered = count + 1, covered + sum(not sign for _, sign in given[at : at + len(run)])
            different.add(run)
        at += len(run or "x")
    (row,) = judged([text], known)
    total = sum(not sign for _, sign in given)
    assert (row["count"], row["different"]) == (count, len(different)) and row["share"] == (covered / total if total else None)


@pytest.mark.parametrize(("text", "name", "said"), [
    ("# nothing\n", "en.txt", "has no entries"), ('{"words": 3}', "en.json", "cannot be read as a list"), ("[" * 100_000, "en.json", "cannot be read"),
    ("\ud800", "en.txt", "cannot be read"),
])  # fmt: skip
def test_a_list_that_cannot_be_read(text: str, name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match=said) as told:
        judged(["x"], {"en": str(tmp_path / name)})
    assert "\n" not in str(told.value)


def test_lists_of_packages_and_of_json(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(["mill"]), encoding="utf-8")
    (tmp_path / "b.json").write_text(json.dumps({"words": ["race"]}), encoding="utf-8")
    (row,) = judged(["mill race race"], {"a": str(tmp_path / "a.json"), "b": str(tmp_path / "b.json")})
    assert [(one["list"], one["count"]) for one in row["lists"]] == [("b", 2), ("a", 1)]
    (row,) = judged(["what a boob"], {"soft": "datatrove:assets/soft_banned_words.txt"})
    assert row["count"] == 1
    with pytest.raises(SetupError, match="is not installed"):
        judged(["x"], {"en": "no_such_package:en.txt"})
    with pytest.raises(InputError, match="is empty"):
        judged(["x"], {})


def test_a_very_long_line(tmp_path: Path) -> None:
    (row,) = judged(["mill" * 1_000_000 + " " + "mill " * 1_000_000], lists(tmp_path, en="mill\nmill mill mill weir"))
    assert row["count"] == 1_000_000
