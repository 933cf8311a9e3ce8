"""Have we this already, and where: questions to a lake that knows its copies, and what `why` tells of them."""

import gzip
import io
import json
import random
import re
import sys
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from demo_run import headrace
from ingest_making import page

from catalog.errors import HeadraceError
from catalog.lake import Lake
from catalog.split import SPLITTER
from curate.lookup import BANDS, EXACT, grounds, look_up
from curate.minhash import TABLE_VERSION as VERSION
from curate.sketches import Made, made
from headrace.having import query
from headrace.why import show_why
from tests.test_curate_minhash import grams

pytestmark = pytest.mark.slow                                # a run, and a process a question of people

RECIPE = """
name: x
seed: 1
lake: lake
ingest:
  new:  {tables: {paths: [new.jsonl]}, domain: web}
  past: {tables: {paths: [past.jsonl]}, domain: web}
  bare: {tables: {paths: [bare.jsonl]}, domain: web}
  told: {tables: {paths: [told.jsonl]}, domain: web}
curate:
  alone:   {from: past, stages: [gopher.signals], policy: first}
  archive: {from: past, stages: [gopher.signals], dedup: {exact: {}}, policy: first}
  retold:  {from: told, dedup: {minhash: {preset: refinedweb, verify: .6, ngram: 2, tokens: code}, semantic: {threshold: .5}}}
  corpus:  {from: new, stages: [gopher.signals], dedup: {exact: {}, minhash: {verify: .7}, against: alone}, policy: first}
"""
POLICY = 'drop:\n  short: "gopher.n_words < 10"\nkeep: [length(text) DESC]\n'


def prose(name: object, words: int = 120) -> list[str]:
    draw = random.Random(str(name))
    return [f"w{draw.randrange(5000)}" for _ in range(words)]


def changed(words: list[str], *places: int) -> list[str]:
    return [f"new{place}" if place in places else word for place, word in enumerate(words)]


CHAINS = {name: [prose(name, 140)[: 140 - i] for i in range(0, 50, 10)] for name in ("c", "d", "e", "f")}
"""Copies of a text, each a little shorter: the first one stays, whichever has the smallest doc_id, with which all are compared."""
NEW = {
    **{f"https://a.example/{i}": prose(i) for i in range(12)},
    "https://copy.example/exact": [word.upper() for word in prose(0)],
    "https://copy.example/near": [*changed(prose(1), 60), "and", "more"],
    "https://short.example": prose("short", 6),
    **{f"https://chain.example/{name}{i}": words for name, chain in CHAINS.items() for i, words in enumerate(chain)},
}
TOPICS = [[f"{topic}{k}" for k in range(40)] for topic in ("mill", "bird")]
TOLD = {f"https://told.example/{i % 2}/{i}": random.Random(i).sample(TOPICS[i % 2], 34) for i in range(12)}
"""Two things, said six times each in another order of words."""
SIGNED = ["a + b;", "A + b;", "a - b;"]
TOLD |= {f"https://signs.example/{i}": [*prose("signs")[: 100 - 10 * i], *SIGNED[i].split()] for i in range(3)}
"""Signs and capitals make differences here, and each is a little shorter than the one before it."""
PAST = {"https://past.example/2": [*prose(2), "the", "end"], "https://past.example/other": prose("other")}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("dedup")
    (home / "policies").mkdir()
    (home / "policies" / "first.yaml").write_text(POLICY, encoding="utf-8")
    (home / "x.yaml").write_text(RECIPE, encoding="utf-8")
    for name, texts in (("new", NEW), ("past", PAST), ("bare", {"https://bare.example": prose("bare")}), ("told", TOLD)):
        rows = [json.dumps({"uri": uri, "text": " ".join(words)}) for uri, words in texts.items()]
        (home / f"{name}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    said = headrace("run", "x.yaml", cwd=home)
    assert said.code == 0, said.err
    return home


def ask(home: Path, file: Path | str, *names: str, least: float = 0.5, n: int = 5, column: str | None = None) -> list[dict[str, Any]]:
    """What the question answers as JSON."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "stdout", said)
        query(str(home / "lake"), str(file), names, least, n, column, True)
    answers: list[dict[str, Any]] = json.loads(said.getvalue())["answers"]
    return answers


def put(folder: Path, name: str, words: list[str]) -> Path:
    path = folder / name
    path.write_text(" ".join(words), encoding="utf-8")
    return path


def shared(one: list[str], other: list[str]) -> float:
    a, b = grams(one), grams(other)
    return len(a & b) / len(a | b)


# Questions

def test_a_text_is_found_exactly_and_nearly(home: Path, tmp_path: Path) -> None:
    (answer,) = ask(home, put(tmp_path, "q.txt", prose(1)))
    exact, near = answer["hits"]
    assert (exact["uri"], exact["exact"], exact["jaccard"], exact["dataset"]) == ("https://a.example/1", True, 1.0, "corpus@v1")
    assert (near["uri"], near["exact"]) == ("https://copy.example/near", False) and near["jaccard"] == shared(prose(1), NEW["https://copy.example/near"])
    assert (exact["kept"], exact["reason"], near["kept"], near["reason"]) == (False, "duplicate", True, None), "the longer one stays"
    assert exact["cluster"] == near["cluster"] == min(exact["doc_id"], near["doc_id"]) and exact["cluster_size"] == 2


def test_every_dataset_answers_or_those_that_are_named(home: Path, tmp_path: Path) -> None:
    file = put(tmp_path, "q.txt", [*prose(2), "the", "end"])
    (answer,) = ask(home, file)
    assert [(hit["dataset"], hit["uri"], hit["exact"]) for hit in answer["hits"]] == [
        ("archive@v1", "https://past.example/2", True), ("corpus@v1", "https://a.example/2", False),
    ]  # fmt: skip
    assert answer["hits"][1]["reason"] == "seen"
    for name in ("archive", "archive@v1", "past", "alone"):       # tables about their files lie beside archive's results, and beside corpus's
        (found,) = ask(home, file, name)
        assert [hit["dataset"] for hit in found["hits"]] == [f"{name.partition('@')[0]}@v1"]
    assert not ask(home, put(tmp_path, "o.txt", prose("nowhere")))[0]["hits"]


def test_least_and_n(home: Path, tmp_path: Path) -> None:
    file = put(tmp_path, "q.txt", prose(1))
    assert [hit["uri"] for hit in ask(home, file, least=0.95)[0]["hits"]] == ["https://a.example/1"]
    assert [hit["uri"] for hit in ask(home, file, n=1)[0]["hits"]] == ["https://a.example/1"]


def test_tables_pages_and_standard_input(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"body": " ".join(prose(3))}, {"body": ""}, {"body": "-- !"}, {"body": " ".join(prose("nowhere"))}]
    with gzip.open(tmp_path / "q.jsonl.gz", "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)
    pl.DataFrame(rows).write_parquet(tmp_path / "q.parquet")
    for name in ("q.jsonl.gz", "q.parquet"):
        found = ask(home, tmp_path / name, column="body")
        assert [[hit["uri"] for hit in answer["hits"]] for answer in found] == [["https://a.example/3"], [], [], []]
        assert [bool(answer["refused"]) for answer in found] == [False, True, True, False] and found[0]["document"] == f"{name}#1"
    sentence = " ".join(prose(4))
    (tmp_path / "q.html").write_bytes(page("A page", sentence))
    assert [hit["uri"] for hit in ask(home, tmp_path / "q.html")[0]["hits"]] == ["https://a.example/4"]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(sentence.encode())))
    assert [hit["uri"] for hit in ask(home, "-")[0]["hits"]] == ["https://a.example/4"]


def test_people_read_where_it_is_and_how_sure_a_no_is(home: Path, tmp_path: Path) -> None:
    here = headrace("dedup", "query", str(put(tmp_path, "q.txt", prose(1))), "--lake", str(home / "lake"))
    assert here.code == 0 and "dropped: duplicate, one of 2 in cluster" in here.out and "1.000 exact  corpus@v1" in here.out
    assert "corpus@v1: 14 bands of 8 find 5% at 0.5, 56% at 0.7, 92% at 0.8" in here.out
    gone = headrace("dedup", "query", str(put(tmp_path, "o.txt", prose("nowhere"))), "--in", "corpus", "--lake", str(home / "lake"))
    assert gone.code == 0 and "o.txt: not here (nothing at Jaccard 0.5 or more in corpus@v1)" in gone.out


@pytest.mark.parametrize(
    ("name", "data", "names", "column", "said"),
    [
        ("none.txt", None, (), None, "there is no such file"),
        ("q.txt", b"-- !!", (), None, "no_text: it has no words"),
        ("q.txt", b"\x00\x01\x02", (), None, "is no text: it holds bytes of 0"),
        ("q.txt", gzip.compress(b"some words", mtime=0), (), None, "is gzip, not text"),
        ("q.txt", b"some words", (), "body", "--column body: .* is no table"),
        ("q.jsonl", b'{"txt": "some words"}', (), "tekst", "the table has no 'tekst'"),
        ("q.jsonl", b'{"txt": "some words"}', (), None, "nothing to look up"),
        ("q.jsonl", b"", (), None, "has no rows"),
        ("q.html", b"<p></p>", (), None, "not_html: no tree can be made of it"),
        ("q.txt", b"some words", ("corpsu",), None, "no dataset 'corpsu'; did you mean 'corpus'"),
        ("q.txt", b"some words", ("bare",), None, "--in bare: no band table is about its files: .*; archive, corpus, retold can be looked into"),
        ("q.txt", b"some words", ("corpus@v9",), None, "no version 'v9'"),
    ],
)  # fmt: skip
def test_a_users_mistake_is_one_line(
    home: Path, tmp_path: Path, name: str, data: bytes | None, names: tuple[str, ...], column: str | None, said: str
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(HeadraceError, match=said) as raised:
        query(str(home / "lake"), str(tmp_path / name), names, 0.5, 5, column, False)
    assert raised.value.exit_code == 2 and "\n" not in str(raised.value)


def test_a_lake_that_was_never_searched_says_what_to_do(tmp_path: Path) -> None:
    Lake.open(tmp_path / "lake", create=True).close()
    with pytest.raises(HeadraceError, match="no dataset has a band table yet; give a part of curate: dedup:"):
        query(str(tmp_path / "lake"), str(put(tmp_path, "q.txt", prose(1))), (), 0.5, 5, None, False)


def test_a_page_copied_often_is_looked_up_by_the_nearest(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more candidates than are compared, those with most bands in common come first."""
    monkeypatch.setattr("curate.lookup.MOST", 1)
    with Lake.open(home / "lake") as lake:
        files = lake.snapshot("corpus").files
        tables = [made(str(path)) for path in (home / "lake/annotations/corpus").rglob("*.bands-*.parquet")]
    told = grounds(files, [table for table in tables if table is not None])
    found = look_up(pl.Series("text", [" ".join(prose(1)), None, " ".join(CHAINS["c"][3])]), files, told, 0.5)
    assert found["uri"].to_list() == ["https://a.example/1", "https://chain.example/c3"] and found["asked"].to_list() == [0, 2]


def test_where_there_are_hashes_alone_exact_copies_are_found(home: Path) -> None:
    with Lake.open(home / "lake") as lake:
        files = lake.snapshot("archive").files
    told = grounds(files, [table for path in (home / "lake/annotations/archive").rglob("*.exact-*.parquet") if (table := made(str(path))) is not None])
    texts = [" ".join(PAST["https://past.example/2"]).upper(), " ".join(prose(2)), " ".join(prose("nowhere"))]
    found = look_up(pl.Series("text", texts), files, told, 0.5)
    assert found.select("asked", "uri", "jaccard", "exact").rows() == [(0, "https://past.example/2", 1.0, True)]
    assert [ground.chance(0.9) for ground in told] == [0] and told[0].chance(1.0) == 1


def test_a_table_of_too_many_rows_is_refused(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.queried.MOST_ROWS", 2)
    for rows in (2, 3):
        (tmp_path / "q.jsonl").write_text('{"text": "some words"}\n' * rows, encoding="utf-8")
        with nullcontext() if rows == 2 else pytest.raises(HeadraceError, match="more than 2 rows; land them, and give their part dedup: {against: DATASET}"):
            ask(home, tmp_path / "q.jsonl")


def test_of_a_files_tables_the_one_that_finds_most_is_looked_through(home: Path) -> None:
    """dolma3 (26 bands of 11) finds six times what nemo (20 of 13) does at .5; hashes serve where there are no bands; another version's are no use."""
    with Lake.open(home / "lake") as lake:
        files = lake.snapshot("corpus").files

    def table(name: str, version: int = VERSION, **knobs: object) -> Made:
        function = BANDS if "bands" in knobs else EXACT
        return Made(name, files[0].id, function, json.dumps(knobs, sort_keys=True), version, SPLITTER)

    nemo, dolma, exact = table("n", bands=20, rows=13, ngram=5), table("d", bands=26, rows=11, ngram=5), table("e", by=["text"])
    assert [ground.paths for ground in grounds(files, [nemo, exact, dolma])] == [{0: "d"}]
    assert [ground.paths for ground in grounds(files, [exact])] == [{0: "e"}]
    assert not grounds(files, [table("o", VERSION - 1, bands=20, rows=13, ngram=5), table("u", by=["url"])])


# Why

def stories(home: Path, uri: str, capsys: pytest.CaptureFixture[str], dataset: str = "corpus") -> dict[str, Any]:
    """What `why` tells of a document in a dataset, as JSON."""
    show_why(str(home / "lake"), uri, True)
    told: list[dict[str, Any]] = [one for one in json.loads(capsys.readouterr().out) if one["dataset"] == f"{dataset}@v1"]
    return told[0]


def story(home: Path, uri: str, capsys: pytest.CaptureFixture[str], dataset: str = "corpus") -> tuple[dict[str, Any], str]:
    """The same, and as text."""
    told = stories(home, uri, capsys, dataset)
    show_why(str(home / "lake"), uri, False)
    return told, capsys.readouterr().out


def test_why_names_the_document_that_a_dropped_one_copies(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told, text = story(home, "https://a.example/1", capsys)
    (near,) = told["copies"]
    assert near["uri"] == "https://copy.example/near" and near["jaccard"] == shared(prose(1), NEW["https://copy.example/near"])
    assert {"dataset": "corpus@v1", "kept": True, "reason": None} in near["lies"] and not near["measured"]
    assert f"{near['doc_id']}, Jaccard {near['jaccard']:.3f}" in text and "https://copy.example/near, in corpus@v1 (kept)" in text


def test_why_names_what_another_dataset_has(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told, text = story(home, "https://a.example/2", capsys)
    assert told["verdicts"]["verdict"]["reason"] == "seen"
    (seen,) = [one for one in told["copies"] if "seen elsewhere" in one["is"]]
    assert seen["uri"] == "https://past.example/2" and seen["jaccard"] == shared(prose(2), PAST["https://past.example/2"])
    assert {"dataset": "alone@v1", "kept": True, "reason": None} in seen["lies"] and "alone@v1 (kept)" in text


def test_why_names_the_paraphrase(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The one that it follows with the cosine, and the first of its group where that is another."""
    seen = set()
    for uri in (uri for uri in TOLD if "told" in uri):
        told, text = story(home, uri, capsys, "retold")
        near = [one for one in told["copies"] if "says nearly the same" in one["is"]]
        first = [one for one in told["copies"] if "first of its paraphrases" in one["is"]]
        dup = told["signals"]["dup"]
        assert [one["cosine"] for one in near] == [dup["cosine"]] and near[0]["doc_id"] == dup["paraphrase_of"]
        assert f"{near[0]['doc_id']}, Jaccard {near[0]['jaccard']:.3f} (measured now), cosine {dup['cosine']:.3f}" in text
        seen |= {len(first)}
    assert seen == {0, 1}, "the first of a group, and the others"


def test_why_measures_as_the_search_did(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pairs of words and signs as written, where the part asked for those, and not five words in small letters."""
    measured = 0
    for i in range(3):
        for one in stories(home, f"https://signs.example/{i}", capsys, "retold")["copies"]:
            sides = [re.findall(r"\w+|[^\w\s]", " ".join(TOLD[uri])) for uri in (f"https://signs.example/{i}", one["uri"])]
            a, b = (set(pairwise(side)) for side in sides)
            assert one["jaccard"] == pytest.approx(len(a & b) / len(a | b))
            measured += one["measured"]
    assert measured, "the smallest doc_id is in the middle of the three: make it another one"


def test_why_names_the_copy_that_stays_whichever_was_compared(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of a cluster are compared with its smallest doc_id, and it may be another one that stays."""
    other = 0
    for name, chain in CHAINS.items():
        for link in (1, 4):
            told = stories(home, f"https://chain.example/{name}{link}", capsys)
            assert told["verdicts"]["verdict"]["reason"] == "duplicate"
            stays = [one for one in told["copies"] if any(at["kept"] for at in one["lies"])]
            assert [one["uri"] for one in stays] == [f"https://chain.example/{name}0"] and stays[0]["jaccard"] == shared(chain[link], chain[0])
            other += "kept of its cluster" in stays[0]["is"]
    assert other, "the smallest doc_id stays in every chain: make more"
    assert not stories(home, "https://chain.example/c0", capsys)["verdicts"]["verdict"]["reason"]
    assert not stories(home, "https://a.example/9", capsys)["copies"]
