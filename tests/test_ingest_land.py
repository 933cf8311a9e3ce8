"""From files to data files: ids, sources, groups, what is refused, and a run that goes on where one was killed."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ingest.land
from catalog.errors import InputError
from catalog.files import footer
from catalog.ids import origin_hash
from catalog.recipe import load
from catalog.schema import CHAT, DOCUMENT
from catalog.spark import map_files
from catalog.stage import Bound, Refused
from ingest.land import UNCLEAN, _clean, land, tasks
from tests.ingest_making import answer, records, warc

TABLES = Bound("ingest.tables:read", {"columns": None, "shape": "document"}, 1)
WARC = Bound("ingest.warc:read", {"seconds": 20.0}, 1)
GIVEN = {"name": "web", "shape": "document", "domain": "web", "dump": "2026-10", "license": None}


def lines(folder: Path, name: str, texts: list[str]) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return str(folder / name)


def landed(files: list[str], lake: Path, bound: Bound = TABLES, run: str = "run1", limit: int | None = None, **given: Any) -> list[dict[str, Any]]:
    return [land(task) for task in tasks(files, bound, {**GIVEN, **given}, str(lake / "data" / "web" / run), str(lake), limit)]


def rows(lake: Path, result: dict[str, Any]) -> list[dict[str, Any]]:
    return pl.read_parquet(lake / result["file"]["path"]).to_dicts()


def test_a_page_becomes_a_row_with_its_origin(tmp_path: Path) -> None:
    path = warc(tmp_path / "a.warc.gz", records([answer(0), ("http://Site.Example:8080/b", b"<p>", "text/html", 404), answer(1)]))
    (result,) = landed([path], tmp_path / "lake", WARC)
    assert (result["documents"], result["reasons"]) == (2, {"status": 1})
    (gone,) = result["refused"]
    assert (gone["uri"], gone["reason"], gone["error"], gone["source"]) == ("http://Site.Example:8080/b", "status", "404", "web/a.warc.gz")
    first, second = rows(tmp_path / "lake", result)
    assert list(first) == DOCUMENT.names
    assert (first["uri"], first["host"], first["domain"], first["dump"]) == ("http://site.example/0", "site.example", "web", "2026-10")
    where = first["source"]
    assert (where["path"], where["offset"], where["fetched_at"], where["content_type"]) == ("a.warc.gz", 0, datetime(2026, 3, 1, 6), "text/html")
    assert gone["offset"] == where["length"] < second["source"]["offset"]
    assert first["origin_hash"] == origin_hash(first["text"]) and first["doc_id"] != second["doc_id"]
    assert (first["media"], first["gen"]) == ([], None)
    told = footer(tmp_path / "lake" / result["file"]["path"])
    assert (told["rows"], told["ids"]) == ("2", result["file"]["ids"])
    assert json.loads(json.dumps(result)) == result


def test_ids_are_of_origin_and_do_not_move(tmp_path: Path) -> None:
    """The same file elsewhere, and beside others, has the same ids; the same text in another place another one."""
    here = lines(tmp_path / "a", "t.jsonl", ["one", "two", "one"])
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    more = lines(tmp_path / "b", "u.jsonl", ["one"])
    (first,), (second,) = landed([here], tmp_path / "l1"), landed([str(tmp_path / "b" / "t.jsonl"), more], tmp_path / "l2")
    ids = [row["doc_id"] for row in rows(tmp_path / "l1", first)]
    assert ids == [row["doc_id"] for row in rows(tmp_path / "l2", second)][:3]
    assert len({row["doc_id"] for row in rows(tmp_path / "l2", second)}) == 4
    assert [row["uri"] for row in rows(tmp_path / "l1", first)] == [f"file:web/t.jsonl#{n}" for n in (1, 2, 3)]
    assert rows(tmp_path / "l1", first)[0]["host"] is None
    assert ids[0] == "b55cf01a127b499d70e9a38017c33033"                 # stored in lakes: it never changes


def test_files_of_one_name_keep_apart(tmp_path: Path) -> None:
    files = [lines(tmp_path / folder, "t.jsonl", ["same"]) for folder in ("x", "y")]
    (result,) = landed(files, tmp_path / "lake")
    assert [row["source"]["path"] for row in rows(tmp_path / "lake", result)] == ["x/t.jsonl", "y/t.jsonl"]


def test_a_licence_of_the_part_stands_where_a_document_has_none(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"text": "a", "license": "MIT"}\n{"text": "b"}\n')
    (result,) = landed([str(tmp_path / "t.jsonl")], tmp_path / "lake", license="CC0-1.0")
    assert [row["license"] for row in rows(tmp_path / "lake", result)] == ["MIT", "CC0-1.0"]


def test_what_cannot_be_stored_is_cleaned_and_keeps_its_length(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"text": "a\\u0000b\\ud800c\\td\\ne", "title": "x\\u0007"}\n{"text": "\\u0000\\u0001"}\n')
    (result,) = landed([str(tmp_path / "t.jsonl")], tmp_path / "lake")
    (row,) = rows(tmp_path / "lake", result)
    assert (row["text"], row["title"], result["reasons"]) == ("a b\ufffdc\td\ne", "x ", {"no_text": 1})


HALF = "\\ud83d"                                              # half of an emoji, as JSON cut in the middle of one has it


@pytest.mark.parametrize(("shape", "row"), [
    ("document", '{"text": "a", "uri": "http://a.example/%s", "author": "%s"}'),
    ("chat", '{"messages": [{"role": "user", "content": "Hi %s"}, {"role": "assistant", "content": "Hello \\u0000."}]}'),
    ("pair", '{"prompt": "a %s", "chosen": "b %s", "rejected": "c %s"}'),
])
def test_no_string_of_a_row_stops_a_part(tmp_path: Path, shape: str, row: str) -> None:
    (tmp_path / "t.jsonl").write_text(f'{row}\n{{"text": "{HALF}", "messages": [{{"role": "{HALF}", "content": ""}}]}}\n'.replace("%s", HALF))
    bound = Bound("ingest.tables:read", {"columns": None, "shape": shape}, 1)
    (result,) = landed([str(tmp_path / "t.jsonl")], tmp_path / "lake", bound, shape=shape)
    said = json.dumps([rows(tmp_path / "lake", result)[0], result["refused"]], default=str, ensure_ascii=False)
    assert "\ufffd" in said and not UNCLEAN.search(said)
    assert (result["documents"], result["reasons"]) == ((2, {}) if shape == "document" else (1, {"bad_row": 1}))


def test_names_that_are_no_utf8_keep_apart(tmp_path: Path) -> None:
    """As Latin-1 left them on a disk: what is stored is clean, the ids are of the names as they are."""
    files = [lines(tmp_path / "in", os.fsdecode(name), ["same"]) for name in (b"caf\xe8.jsonl", b"caf\xe9.jsonl", b"tea.jsonl")]
    Path(files[1]).write_text('{"text": "same"}\nbroken\n')
    found = tasks(files, TABLES, GIVEN, str(tmp_path / "lake/data/web/r"), str(tmp_path / "lake"))
    assert found[0]["name"].encode() == "ingest.web caf\ufffd.jsonl and 2 more".encode()
    result = land(found[0])
    told = rows(tmp_path / "lake", result)
    assert [row["uri"] for row in told] == ["file:web/caf\ufffd.jsonl#1", "file:web/caf\ufffd.jsonl#1", "file:web/tea.jsonl#1"]
    assert told[0]["source"]["path"] == "caf\ufffd.jsonl" and len({row["doc_id"] for row in told}) == 3
    assert (result["refused"][0]["uri"], result["refused"][0]["source"]) == ("caf\ufffd.jsonl#2", "web/caf\ufffd.jsonl")


@given(st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=()), max_size=30))
def test_clean_is_what_the_pattern_says(said: str) -> None:
    assert _clean(said) == UNCLEAN.sub(lambda found: "\ufffd" if found[0] >= "\ud800" else " ", said)


def odd(path: str) -> Iterator[dict[str, Any] | Refused]:
    yield from ({"text": "a", "offset": 1}, {"text": 7, "offset": 2}, {"offset": 3}, {"text": "b", "offset": 4, "fetched_at": "never"})
    yield {"text": "c", "offset": 5}


def test_a_document_that_is_no_row_costs_itself(tmp_path: Path) -> None:
    (result,) = landed([lines(tmp_path / "in", "t.jsonl", ["x"])], tmp_path / "lake", Bound("tests.test_ingest_land:odd", {}, 1))
    assert [row["text"] for row in rows(tmp_path / "lake", result)] == ["a", "c"]
    assert [(row["reason"], row["offset"]) for row in result["refused"]] == [("bad_row", 2), ("bad_row", 3), ("bad_row", 4)]


def test_large_files_stand_alone_and_small_ones_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [lines(tmp_path / "in", f"{i:02}.jsonl", ["x" * size]) for i, size in enumerate([100, 100, 5000, 100, 100, 100])]
    monkeypatch.setattr(ingest.land, "SMALL_GROUP", 400)
    found = tasks(files, TABLES, GIVEN, str(tmp_path / "lake/data/web/r"), str(tmp_path / "lake"))
    assert [[name for _, name in task["files"]] for task in found] == [["00.jsonl", "01.jsonl"], ["02.jsonl"], ["03.jsonl", "04.jsonl", "05.jsonl"]]
    assert len({task["id"] for task in found}) == 3
    assert [task["bytes"] for task in found] == [sum(os.path.getsize(path) for path, _ in task["files"]) for task in found]
    assert found[0]["name"] == "ingest.web 00.jsonl and 1 more"


def test_what_is_finished_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in a later run with more files, and in a lake that was moved; a changed file, knob or licence is new work."""
    monkeypatch.setattr(ingest.land, "SMALL_GROUP", 10)
    files = [lines(tmp_path / "in", f"{i}.jsonl", [f"text {i}"]) for i in range(3)]
    first = landed(files[:2], tmp_path / "lake")
    kept = {result["file"]["path"]: (tmp_path / "lake" / result["file"]["path"]).stat().st_mtime_ns for result in first}
    second = landed(files, tmp_path / "lake", run="run2")
    assert [result["file"] for result in second[:2]] == [result["file"] for result in first]
    assert second[2]["file"]["path"].startswith("data/web/run2/")
    assert {path: (tmp_path / "lake" / path).stat().st_mtime_ns for path in kept} == kept
    shutil.move(tmp_path / "lake", tmp_path / "moved")
    third = landed(files, tmp_path / "moved", run="run3")
    assert [result["file"]["path"] for result in third] == [result["file"]["path"] for result in second]
    assert {result["file"]["root"] for result in third} == {str(tmp_path / "moved")}
    assert landed(files[:1], tmp_path / "moved", run="run4", license="MIT")[0]["file"]["id"] != first[0]["file"]["id"]
    lines(tmp_path / "in", "0.jsonl", ["another text"])
    assert landed(files[:1], tmp_path / "moved", run="run5")[0]["file"]["id"] != first[0]["file"]["id"]


def test_half_a_task_is_done_again(tmp_path: Path) -> None:
    """Killed before the account was written, or with a data file gone, a task runs again to the same file."""
    file = lines(tmp_path / "in", "t.jsonl", ["one", "two"])
    (first,) = landed([file], tmp_path / "lake")
    data = tmp_path / "lake" / first["file"]["path"]
    for gone in (data.with_suffix(".json"), data):
        gone.unlink()
        (again,) = landed([file], tmp_path / "lake")
        assert (again["file"]["ids"], again["documents"]) == (first["file"]["ids"], 2)
    assert sorted(path.suffix for path in data.parent.iterdir()) == [".json", ".parquet"]


def test_a_limit_is_of_the_part(tmp_path: Path) -> None:
    files = [lines(tmp_path / "in", f"{i}.jsonl", [f"{i} {n}" for n in range(5)]) for i in range(4)]
    results = landed(files, tmp_path / "lake", limit=7)
    assert sum(result["documents"] for result in results) == 7
    assert [row["text"] for row in rows(tmp_path / "lake", results[0])][-2:] == ["1 0", "1 1"]
    assert landed(files, tmp_path / "lake", run="all")[0]["documents"] == 20


def twice(path: str) -> Iterator[dict[str, Any] | Refused]:
    yield {"text": "a", "uri": "http://a.example/", "offset": 5}
    yield {"text": "a again", "uri": "http://a.example/", "offset": 5}
    raise RuntimeError("a parser's fault")


def test_a_double_is_refused_and_a_failing_reader_costs_its_file(tmp_path: Path) -> None:
    files = [lines(tmp_path / "in", f"{i}.jsonl", ["x"]) for i in range(2)]
    (result,) = landed(files, tmp_path / "lake", Bound("tests.test_ingest_land:twice", {}, 1))
    assert (result["documents"], result["reasons"]) == (2, {"duplicate_id": 2, "reader_failed": 2})
    assert "RuntimeError: a parser's fault" in result["refused"][1]["error"]


def test_a_part_of_folders_alone_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ingest\.web: only folders"):
        tasks([str(tmp_path)], TABLES, GIVEN, str(tmp_path / "lake/data/web/r"), str(tmp_path / "lake"))


def test_chats_have_their_own_columns(tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text('{"instruction": "Hi?", "output": "Hello."}\n')
    (result,) = landed([str(tmp_path / "c.jsonl")], tmp_path / "lake", Bound("ingest.tables:read", {"columns": None, "shape": "chat"}, 1), shape="chat")
    (row,) = rows(tmp_path / "lake", result)
    assert list(row) == CHAT.names
    assert row["messages"][1] == {"role": "assistant", "content": "Hello."}


@pytest.mark.slow
def test_the_demo_corpus_lands_as_counted(tmp_path: Path, examples: Path) -> None:
    """Every part of the demo but the web's pages, which `test_the_rough_pages_of_the_demo` takes a piece of."""
    counts = {}
    for name, bound, files in _demo(examples):
        shape = bound.knobs.get("shape", "document")
        todo = tasks([str(path) for path in files], bound, {**GIVEN, "name": name, "shape": shape}, str(tmp_path / "data" / name / "r"), str(tmp_path))
        done = list(map_files("ingest.land:land", todo, workers=0))
        counts[name] = (sum(result["documents"] for result in done), dict(sum((Counter(result["reasons"]) for result in done), Counter())))
        ids = [row for result in done for row in pl.read_parquet(tmp_path / result["file"]["path"], columns=["doc_id"])["doc_id"]]
        assert len(set(ids)) == len(ids) == counts[name][0]
    assert counts == {
        "webtext": (300, {}), "books": (429, {"front_matter": 4, "apparatus": 6}), "code": (954, {"not_code": 144, "empty": 29}),
        "papers": (122, {}), "reference": (1456, {}), "chats": (2690, {}), "pairs": (600, {}), "humaneval": (164, {}),
    }  # fmt: skip


def _demo(examples: Path) -> list[tuple[str, Bound, list[Path]]]:
    """The demo's parts with their files, as its recipe names them."""
    recipe = load(Path(__file__).parent.parent / "recipes" / "demo.yaml")
    patterns = {part.name: part.given["paths"] for part in recipe.parts if part.section == "ingest"}
    found = []
    for part in recipe.parts:
        if part.section == "ingest" and part.name != "web":
            inside = [pattern.rpartition("examples/data/")[2] for pattern in patterns[part.name]]
            found.append((part.name, part.bound[0], [path for pattern in inside for path in sorted(examples.glob(pattern))]))
    return found


@pytest.mark.slow
def test_the_rough_pages_of_the_demo(tmp_path: Path, examples: Path) -> None:
    """A hundred of the 1,149: nearly every page has a text, a title and an address of its own."""
    (result,) = landed([str(path) for path in sorted((examples / "web").glob("*.warc.gz"))], tmp_path / "lake", WARC, limit=100)
    found = pl.read_parquet(tmp_path / "lake" / result["file"]["path"])
    assert found.height == 100 and sum(result["reasons"].values()) <= 2
    assert found["host"].null_count() == 0 and found["host"].n_unique() > 50
    assert found["title"].null_count() < 10
    assert found["text"].str.len_chars().median() > 300  # type: ignore[operator]


def elsewhere(path: str) -> Iterator[dict[str, Any] | Refused]:
    for text in ("a", "a", " ", 7):
        yield {"text": text, "uri": "http://a.example/", "offset": 5, "file": "crawl/f0.warc.gz"}
    yield Refused("http://a.example/", "status", "404", 9, "crawl/f1.warc.gz")


def test_what_is_refused_names_the_file_that_it_is_of(tmp_path: Path) -> None:
    """Not the file of ranges that led to it."""
    (result,) = landed([lines(tmp_path / "in", "ranges.jsonl", ["x"])], tmp_path / "lake", Bound("tests.test_ingest_land:elsewhere", {}, 1))
    assert result["reasons"] == {"duplicate_id": 1, "no_text": 1, "bad_row": 1, "status": 1}
    assert [row["source"] for row in result["refused"]] == ["web/crawl/f0.warc.gz"] * 3 + ["web/crawl/f1.warc.gz"]
