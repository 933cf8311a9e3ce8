"""`append: true`: a new dump is added to a dataset, and only its files are worked on. And files named by a list."""

import gzip
import os
from pathlib import Path

import pytest
from demo_run import headrace
from river_making import curation, prose, write_crawl, write_policy

from catalog.lake import Lake

pytestmark = pytest.mark.slow

RECIPE = curation().replace("crawl-*.warc.gz", "PATHS").replace("dump: spring}", "dump: DUMP, append: true}")


def recipe(home: Path, paths: str, dump: str) -> Path:
    (home / "brook.yaml").write_text(RECIPE.replace("PATHS", paths).replace("DUMP", dump), encoding="utf-8")
    return home / "brook.yaml"


def rows(lake: Path, query: str) -> list[tuple[object, ...]]:
    with Lake.open(lake) as opened:
        return [tuple(row.values()) for row in opened.rows(query)]


def stats(lake: Path) -> dict[str, int]:
    return {str(path.relative_to(lake)): path.stat().st_mtime_ns for path in lake.rglob("*.parquet") if path.parts[len(lake.parts)] in ("data", "annotations")}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dumps, the first of them in the lake."""
    home = tmp_path_factory.mktemp("append")
    (home / "policies").mkdir()
    write_policy(home, "plain", 40)
    for crawl, dump in ((1, "spring"), (2, "summer")):
        (home / dump).mkdir()
        write_crawl(home / dump / "crawl.warc.gz", crawl)
    (home / "notes.jsonl").write_text("".join(f'{{"text": "{prose(f"note {i}").replace(chr(10), " ")}"}}\n' for i in range(4)))
    said = headrace("run", recipe(home, "spring/*.warc.gz", "spring"), "--lake", home / "lake")
    assert said.code == 0, said.err
    return home


def test_a_dump_is_appended_and_nothing_else_is_done(home: Path) -> None:
    lake = home / "lake"
    before = stats(lake)
    first = rows(lake, "SELECT count(*) FROM audit.web")[0][0]
    said = headrace("run", recipe(home, "summer/*.warc.gz", "summer"), "--lake", lake)
    assert said.code == 0, said.err
    assert "web@v2: 12 documents from 1 files" in said.err, said.err
    after = stats(lake)
    assert {path: when for path, when in after.items() if path in before} == before, "what was there is as it was"
    assert rows(lake, "SELECT dump, count(*) FROM audit.web GROUP BY ALL ORDER BY ALL") == [("spring", first), ("summer", 12)]
    assert rows(lake, "SELECT dump, count(*) FROM audit.corpus WHERE domain = 'web' GROUP BY ALL ORDER BY ALL") == [("spring", 12), ("summer", 12)]
    assert rows(lake, "SELECT sum(documents) FROM funnel WHERE dataset = 'web' AND step = 'landed'") == [(24,)]
    assert rows(lake, "SELECT count(*) FROM quarantine WHERE dataset = 'web'") == [(4,)]
    signals = [path for path in after if ".gopher-" in path and "/sample/" not in path and path not in before]
    assert len(signals) == 1, "one new file, one new annotation of the family"


def test_what_is_there_is_not_appended_again(home: Path) -> None:
    """Neither the same recipe again, nor one that goes back to the first dump, nor one over both."""
    lake = home / "lake"
    headrace("run", recipe(home, "summer/*.warc.gz", "summer"), "--lake", lake)
    head = rows(lake, "SELECT head FROM dataset WHERE dataset = 'web'")
    for paths in ("summer/*.warc.gz", "spring/*.warc.gz", "s*/*.warc.gz"):
        said = headrace("run", recipe(home, paths, "autumn"), "--lake", lake)
        assert said.code == 0, said.err
        assert rows(lake, "SELECT head FROM dataset WHERE dataset = 'web'") == head


def test_a_file_that_moved_is_known_and_one_that_changed_is_refused(home: Path) -> None:
    lake = home / "lake"
    head = rows(lake, "SELECT head FROM dataset WHERE dataset = 'web'")
    (home / "moved").mkdir()
    os.rename(home / "spring" / "crawl.warc.gz", home / "moved" / "crawl.warc.gz")
    assert headrace("run", recipe(home, "moved/*.warc.gz", "spring"), "--lake", lake).code == 0
    assert rows(lake, "SELECT head FROM dataset WHERE dataset = 'web'") == head
    os.rename(home / "moved" / "crawl.warc.gz", home / "spring" / "crawl.warc.gz")
    write_crawl(home / "spring" / "crawl.warc.gz", 3)
    said = headrace("run", recipe(home, "spring/*.warc.gz", "spring"), "--lake", lake)
    assert said.code == 2
    assert "crawl.warc.gz: was changed since its documents were appended; give the changed file another name, or leave append: out" in said.err


def few(home: Path, paths: str) -> Path:
    text = f"name: few\nseed: 1\nlake: lake\ningest:\n  t: {{tables: {{paths: ['{paths}']}}, domain: web, append: true}}\n"
    (home / "few.yaml").write_text(text)
    return home / "few.yaml"


def put(path: Path, *texts: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f'{{"text": "{text}"}}\n' for text in texts))
    os.utime(path, (1_600_000_000, 1_600_000_000))           # as archives write them: all at one time


def test_files_of_one_name_size_and_time_are_two(tmp_path: Path) -> None:
    """As every dump's part-0 is: all are read, and their documents have ids of their own."""
    for folder in ("a", "b"):
        put(tmp_path / folder / "part-0.jsonl", f"{folder} one", f"{folder} two")
        said = headrace("run", few(tmp_path, f"{folder}/*.jsonl"))
        assert said.code == 0, said.err
    assert rows(tmp_path / "lake", "SELECT text FROM audit.t ORDER BY text") == [("a one",), ("a two",), ("b one",), ("b two",)]
    assert rows(tmp_path / "lake", "SELECT count(DISTINCT doc_id) FROM audit.t") == [(4,)]


def test_forced_it_replaces_and_limited_it_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "a" / "x.jsonl", "one", "two")
    assert headrace("run", few(tmp_path, "a/*.jsonl")).code == 0
    said = headrace("run", few(tmp_path, "a/*.jsonl"), "--limit", "1")
    assert said.code == 2
    assert "ingest.t: --limit reads some documents of its files, and append: would take them for read; leave one of the two out" in said.err
    put(tmp_path / "a" / "x.jsonl", "changed")
    put(tmp_path / "b" / "y.jsonl", "new")
    said = headrace("run", few(tmp_path, "[ab]/*.jsonl"), "--force", "ingest.t")
    assert said.code == 0, said.err
    assert rows(tmp_path / "lake", "SELECT text FROM audit.t ORDER BY text") == [("changed",), ("new",)]
    head = rows(tmp_path / "lake", "SELECT head FROM dataset")
    assert headrace("run", few(tmp_path, "[ab]/*.jsonl")).code == 0
    assert rows(tmp_path / "lake", "SELECT head FROM dataset") == head
    put(tmp_path / "c" / "empty.jsonl", "")
    for _ in range(2):
        said = headrace("run", few(tmp_path, "[abc]/*.jsonl"))
        assert said.code == 0, said.err
    assert rows(tmp_path / "lake", "SELECT count(*) FROM audit.t") == [(2,)]
    assert rows(tmp_path / "lake", "SELECT reason FROM quarantine") == [("no_text",)]
    for path in tmp_path.glob("?/*.jsonl"):
        path.unlink()
    assert headrace("run", few(tmp_path, "[abc]/*.jsonl")).code == 0, "what was read may be gone"


def test_files_may_be_named_by_a_list(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"text": "{name}"}}\n')
    (tmp_path / "tables.paths.gz").write_bytes(gzip.compress(b"# two of three\na.jsonl\n\nc.jsonl\n"))
    text = f"name: listed\nseed: 1\nlake: lake\ningest:\n  t: {{tables: {{paths: [{tmp_path}/*.paths.gz]}}, domain: web}}\n"
    (tmp_path / "listed.yaml").write_text(text)
    said = headrace("run", tmp_path / "listed.yaml")
    assert said.code == 0, said.err
    assert rows(tmp_path / "lake", "SELECT text FROM audit.t ORDER BY text") == [("a",), ("c",)]
    (tmp_path / "tables.paths.gz").write_bytes(gzip.compress(b"a.jsonl\nhere/d.jsonl\n"))
    said = headrace("run", tmp_path / "listed.yaml")
    assert said.code == 2
    assert f"1 of 2 files are not there, such as here/d.jsonl; they are looked for from {tmp_path}: fetch them, or list fewer" in said.err
    (tmp_path / "tables.paths.gz").write_bytes(b"no gzip")
    said = headrace("run", tmp_path / "listed.yaml")
    assert said.code == 2
    assert "tables.paths.gz: cannot be read as a list of paths: Not a gzipped file" in said.err
