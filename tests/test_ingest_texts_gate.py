"""Quality gates on labelled data: what real books and papers must give, so that no change makes them worse unseen."""

import gzip
import html
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catalog.stage import Refused
from ingest import books, papers
from ingest.texts.latex import paper_of
from ingest.texts.repaired import repaired

Data = Callable[[str], Path]
CHAPTERS = {
    "archibald-alexander_a-day-at-a-time": 30, "arthur-conan-doyle_the-adventures-of-sherlock-holmes": 12, "h-g-wells_the-time-machine": 13,
    "jane-austen_pride-and-prejudice": 61, "gn-chopin_awakening": 51, "gn-eastwood_lollard": 24, "gn-ingram_mercury": 9, "gn-jacks_ghosts": 8,
    "en100-Cbronte_Villette_1853": 42, "en100-Kipling_Captains_1896": 10, "en100-Kipling_Kim_1901": 15, "en100-Wcollins_Legacy_1889": 64,
    "en100-Bennet_Helen_1910": 27, "gn-kipling_kim": 15, "gn-austen_emma": 55, "gn-carroll_alice": 12, "gn-stevenson_jekyll": 9, "de-kafka_verwandlung": 3,
    "de-wassermann_moloch": 60, "de-spyri_heidi1": 9, "de-spyri_heidi2": 13, "gn-gaskell_ruth": 36, "en100-Gaskell_Ruth_1855": 36, "gn-trollope_warden": 21,
    "en100-Trollope_Warden_1855": 21,
}  # fmt: skip
"""What the books themselves count; of Dr. Jekyll's ten one is not told."""
LICENCE = re.compile(r"project gutenberg|gutenberg-tm|\bebook\b|produced by .{0,60}(?:team|proofread)|distributed proofreading", re.I)


def rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def faults(text: str) -> dict[str, int]:
    """What lines taken from a PDF leave in a text: how many end in a hyphen, are said three times or more up to their digits, are a number alone."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    said = Counter(re.sub(r"\d+", "#", line.lower()) for line in lines if sum(map(str.isalpha, line)) > 5)
    hyphened = sum(bool(re.search(r"[^\W\d_]-$", line)) for line in lines[:-1])
    return {"hyphen_lines": hyphened, "repeated_lines": sum(n for n in said.values() if n >= 3), "page_numbers": sum(line.isdigit() for line in lines)}


@pytest.fixture(scope="session")
def shelf(data: Data, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """Every book of the data as its chapters, by its name."""
    folder = tmp_path_factory.mktemp("shelf")
    paths = [path for part in ("epub", "txt") for path in sorted(data(f"books/{part}").iterdir())]
    for row in rows(data("books/books.jsonl.gz")):
        paths.append(folder / f"{row['id']}.txt")
        paths[-1].write_text(row["text"], encoding="utf-8")
    return {path.stem: [found for found in books.read(str(path)) if not isinstance(found, Refused)] for path in paths}


@pytest.mark.slow
def test_books_give_their_chapters(shelf: dict[str, list[dict[str, Any]]]) -> None:
    assert len(shelf) == 52 and all(shelf.values())
    assert {name: len(shelf[name]) for name in CHAPTERS} == CHAPTERS
    assert all([row["facts"]["position"] for row in chapters] == list(range(len(chapters))) for chapters in shelf.values())


@pytest.mark.slow
def test_nothing_of_gutenberg_and_no_broken_word_is_left(shelf: dict[str, list[dict[str, Any]]]) -> None:
    texts = {name: "\n\n".join(row["text"] for row in chapters) for name, chapters in shelf.items()}
    assert {name: found[0] for name, text in texts.items() if (found := LICENCE.search(text))} == {}
    lines = [line for text in texts.values() for line in text.split("\n")]
    assert sum(bool(re.search(r"[^\W\d_]-$", line)) for line in lines) <= 40              # those of verse and of speech broken off
    assert sum("[Illustration" in line for line in lines) == 0
    assert sum(line.strip().isdigit() for line in lines) <= 20


@pytest.mark.slow
def test_two_editions_are_one_work(shelf: dict[str, list[dict[str, Any]]], data: Data) -> None:
    for pair in rows(data("dedup/book_editions.jsonl.gz")):
        first, second = (shelf[pair[key]][0]["facts"]["work"] for key in ("id_1", "id_2"))
        assert first is not None and first == second, pair
    named = [work for work in (chapters[0]["facts"]["work"] for chapters in shelf.values()) if work]
    assert len(named) >= 38 and max(Counter(named).values()) == 2                          # the four texts are among the books too


def test_latex_leaves_no_commands_outside_its_formulae(data: Data) -> None:
    words = commands = 0
    for row in rows(data("papers/arxiv_latex_a.jsonl.gz")):
        _, text, _ = paper_of(row["text"])
        assert len(text) > 0.4 * len(row["text"]) and re.search(r"^# ", text, re.M)
        outside = re.sub(r"\$\$.*?\$\$|\$[^$]*\$", "", re.sub(r"```.*?```", "", text, flags=re.S), flags=re.S)
        words, commands = words + len(outside.split()), commands + outside.count("\\")
    assert words > 75_000 and commands <= 20


@pytest.mark.slow
def test_text_of_pdfs_is_repaired(data: Data) -> None:
    before, after, references = Counter[str](), Counter[str](), 0
    for row in rows(data("papers/grobid_fulltext_a.jsonl.gz"))[::3]:
        said = html.unescape(row["text"])
        found = repaired(said)
        references += bool(found.references)
        for text, counts in ((said, before), (found.text, after)):
            counts.update(faults(text))
    assert after["hyphen_lines"] < 0.02 * before["hyphen_lines"]
    assert after["repeated_lines"] < 0.1 * before["repeated_lines"] and after["page_numbers"] < 0.15 * before["page_numbers"]
    assert references >= 75


def test_every_paper_of_the_data_is_read_as_a_file(data: Data, tmp_path: Path) -> None:
    for number, row in enumerate(rows(data("papers/arxiv_latex_a.jsonl.gz"))):
        path = tmp_path / f"{row['meta']['arxiv_id']}.tex"
        path.write_text(row["text"], encoding="utf-8")
        (found,) = papers.read(str(path))
        assert isinstance(found, dict) and found["uri"] == f"https://arxiv.org/abs/{row['meta']['arxiv_id']}", number
