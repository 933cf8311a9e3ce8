"""PDFs, written by hand: columns, running heads, broken words, notes, chapters, and files that mean harm."""

import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.stage import Refused
from catalog.worker import Worker
from ingest import books, papers
from ingest.texts.layout import Line, Run, gutter_of, lines_of, raised
from ingest.texts.paged import Block, blocks_of, by_outline, without_furniture
from ingest.texts.pdf import texts
from tests.texts_making import Put, column, pdf

LEFT, RIGHT = 50.0, 320.0
WORDS = ["water", "weir", "keeper", "board", "river", "lock", "gate", "flood", "stone", "bank", "level", "chain", "lamp", "morning", "evening", "bridge",
    "ford", "barge", "rope", "mill", "wheel", "reach", "path", "hill", "winter", "summer", "company", "figure", "book", "house", "window"]


def lines(number: int, seed: int, *, width: int = 44) -> list[str]:
    """Lines of made-up prose about so many characters long; a paragraph of four lines ends early, the next is indented."""
    chance, out = random.Random(seed), list[str]()
    for i in range(number):
        line = ""
        while len(line) < width - 6:
            line += chance.choice(WORDS) + " "
        first, last = i % 4 == 0, i % 4 == 3
        line = ("  " + line.strip().capitalize()) if first else line.strip()
        out.append(line[: width // 2].rsplit(" ", 1)[0] + "." if last else line)
    return out


def read(path: Path, data: bytes, *, book: bool = False, **knobs: Any) -> list[Any]:
    path.write_bytes(data)
    return list((books if book else papers).read(str(path), **knobs))


def paper(path: Path, data: bytes) -> dict[str, Any]:
    (found,) = read(path, data)
    assert isinstance(found, dict), found
    return found


def two_columns(first: list[str], second: list[str], top: float = 640) -> list[Put]:
    """Both columns in rows, as some writers put them: the order of the content is not the order of reading."""
    rows = [*zip(column(LEFT, top, first), column(RIGHT, top - 3, second), strict=True)]
    return [put for row in rows for put in row]


def test_two_columns_under_a_wide_title(tmp_path: Path) -> None:
    left, right = lines(24, 1), lines(24, 2)
    page = [(120.0, 740.0, 18.0, "*The Flow of Water over Broad Weirs"), (250.0, 710.0, 11.0, "Ada Sluice and Ed Lock"), *two_columns(left, right)]
    text = paper(tmp_path / "a.pdf", pdf([page, two_columns(lines(24, 3), lines(24, 4))]))["text"]
    assert text.startswith("# The Flow of Water over Broad Weirs\n\nAda Sluice and Ed Lock\n\n")
    prose = " ".join(text.split("Ed Lock")[1].split())
    assert prose == " ".join(" ".join(line.strip() for line in [*left, *right, *lines(24, 3), *lines(24, 4)]).split())
    assert text.count("\n\n") == 2 + 24 - 1


def test_a_wide_figure_between_columns_cuts_them(tmp_path: Path) -> None:
    above, below = [lines(16, seed) for seed in (1, 2)], [lines(16, seed) for seed in (3, 4)]
    caption = [(60.0, 480.0, 9.0, "Figure 1: The weir from above, with the gauge at its foot and the lamp on the post.")]
    page = [*two_columns(*above, top=740), *caption, *two_columns(*below, top=420)]
    text = paper(tmp_path / "a.pdf", pdf([page]))["text"]
    order = [text.index(said) for said in (above[0][1], above[1][1], "Figure 1:", below[0][1], below[1][1])]
    assert order == sorted(order)


def test_a_short_last_page_has_the_columns_of_the_one_before(tmp_path: Path) -> None:
    full = two_columns(lines(40, 1), lines(40, 2), top=740)
    last = two_columns(["and so the keeper went down to the gates", "of it."], ["and the miller came up to the wheel", "of it."])
    text = paper(tmp_path / "a.pdf", pdf([full, last]))["text"]
    assert "went down to the gates of it." in text and text.endswith("came up to the wheel of it.")


def test_running_heads_and_page_numbers_go(tmp_path: Path) -> None:
    pages = []
    for number in range(6):
        head = "THE WEIR AND ITS KEEPER" if number % 2 else "A. SLUICE"
        pages.append([(60.0, 760.0, 9.0, head), (540.0, 760.0, 9.0, str(number + 101)), *column(60, 720, lines(40, number, width=80)),
            (300.0, 40.0, 9.0, "canal.example")])
    text = paper(tmp_path / "a.pdf", pdf(pages))["text"]
    assert not re.search(r"SLUICE|KEEPER|canal\.example|10\d", text)
    assert len(text.split()) == sum(len(" ".join(lines(40, number, width=80)).split()) for number in range(6))


def test_words_are_made_whole_over_lines_columns_and_pages(tmp_path: Path) -> None:
    known = "The discharge was important to the well-known keeper and the ﬁgures of the ﬂood were important too in the end of it all."
    first = ["  The keeper thought that the dis-", "charge of the weir was impor-", "tant and that its well-", "known gate was of an elec-",
        "tron and of a pro-"]
    second = ["duct that the com­", "pany had made for the mill upon the ri-"]
    filler = lines(24, 5)
    page = [*column(60, 740, [known], size=10), *two_columns([*filler, *first], [*lines(27, 6), *second], top=700)]
    rest = two_columns(["ver at the end of it all and so on and on", *lines(27, 7)], lines(28, 8), top=740)
    text = paper(tmp_path / "a.pdf", pdf([page, rest]))["text"]
    for said in ("discharge of the weir was important and that its well-known gate was of an electron and of a pro",
        "company had made for the mill upon the river at the end"):
        assert said in " ".join(text.split()), said
    assert "figures of the flood" in text and not re.search("[ﬁﬂ\u00ad]", text)


def test_raised_figures_are_notes_or_powers() -> None:
    assert [raised(text, "3") for text in ("the keeper", "the end.", "10", "x", "5 cm")] == ["[3]", "[3]", "^3", "^3", "^3"]
    assert (raised("the keeper", "3,4"), raised("s", "−1"), raised("the", "th"), raised("Sluice", "*")) == ("[3,4]", "^−1", "th", "[*]")


def test_raised_and_lowered_figures_in_a_pdf(tmp_path: Path) -> None:
    page = [(60.0, 700.0, 10.0, "The keeper of the weir"), (163.5, 704.0, 6.0, "12"), (172.0, 700.0, 10.0, "drew H"), (204.2, 697.5, 6.0, "2"),
        (208.0, 700.0, 10.0, "O by the board.")]
    text = paper(tmp_path / "a.pdf", pdf([[*page, *column(60, 688, lines(12, 1, width=80))]]))["text"]
    assert "The keeper of the weir[12] drew H2O by the board." in text


def test_a_bracket_makes_no_heading(tmp_path: Path) -> None:
    prose = lines(30, 1, width=60)
    prose[6] = f"({prose[6]}) and so on"
    text = paper(tmp_path / "a.pdf", pdf([column(60, 740, prose, size=12, leading=14)], low=True))["text"]
    assert "#" not in text and text.count("\n\n") == 7


def test_bullets_are_items(tmp_path: Path) -> None:
    page = [*column(60, 740, lines(20, 1, width=80)), *column(60, 490, ["• one of stone,", "• two of oak."])]
    assert paper(tmp_path / "a.pdf", pdf([page]))["text"].endswith("\n\n- one of stone,\n\n- two of oak.")


@pytest.mark.parametrize("rotate", [0, 90])
def test_a_page_on_its_side_is_read(tmp_path: Path, rotate: int) -> None:
    prose = lines(30, 1, width=80)
    turned = [(60.0 + 12 * i, 60.0 + (15 if line.startswith("  ") else 0), 10.0, f"^^{line.strip()}") for i, line in enumerate(prose)]
    upright = [column(60, 740, lines(40, 2, width=80))]
    found = paper(tmp_path / "a.pdf", pdf([turned], rotate=rotate))["text"]
    assert found.split() == " ".join(prose).split() and found.count("\n\n") == 7
    assert paper(tmp_path / "b.pdf", pdf([*upright, turned]))["text"].split() == " ".join([*lines(40, 2, width=80), *prose]).split()


def test_hebrew_is_read_from_the_right(tmp_path: Path) -> None:
    words = ["שלום", "לכם", "מים", "זורמים", "בנהר", "אל", "הים", "הגדול"]
    said = [" ".join(words[(i + n) % 8] for n in range(6)) + " 12" for i in range(20)]
    drawn = ["12 " + " ".join(word[::-1] for word in reversed(line.split()[:-1])) for line in said]
    text = paper(tmp_path / "a.pdf", pdf([column(200, 700, drawn)], hebrew=True))["text"]
    assert text.split() == " ".join(said).split()


def test_many_pages_that_say_the_same_take_no_time() -> None:
    rows = [[Line("12.5 kg", 60, 400, 700 - 12 * i + page / 900, 690 - 12 * i, 10, False) for i in range(8)] for page in range(2500)]
    started = time.process_time()
    assert without_furniture(rows)[0] == []
    assert time.process_time() - started < 10


def test_a_long_outline_takes_no_time() -> None:
    blocks = [Block("p", [], i // 10, 700, 10, text=f"Word {i}") for i in range(20_000)]
    started = time.process_time()
    assert by_outline(blocks, [(1, f"Word {10 * i}", i, None) for i in range(2000)]) == 2000
    assert time.process_time() - started < 10


def test_a_doi_that_is_cited_is_not_the_papers(tmp_path: Path) -> None:
    entries = [f"[{n}] A. Sluice. On weirs. {1990 + n}. doi:10.5555/other.{n}" for n in range(1, 9)]
    page = [*column(60, 740, lines(24, 2, width=80)), (60.0, 420.0, 12.0, "*References"), *column(60, 400, entries)]
    found = paper(tmp_path / "a.pdf", pdf([page]))
    assert found["facts"]["doi"] is None and found["uri"] is None and len(found["media"]) == 1


def test_a_gutenberg_pdf_has_no_frame(tmp_path: Path) -> None:
    head = [*column(60, 788, ["The Project Gutenberg EBook of The Weir is for the use of anyone anywhere at no cost."] * 5),
        (60.0, 700.0, 10.0, "Release Date: May 1, 2001 [EBook #4321]"),
        (60.0, 660.0, 10.0, " *** START OF THE PROJECT GUTENBERG EBOOK THE WEIR ***")]
    body = [[(60.0, 720.0, 18.0, f"*{name}"), *column(60, 680, lines(40, n, width=80))] for n, name in enumerate(("The Keeper", "The Flood", "The Mill"))]
    foot = [(60.0, 740.0, 10.0, " *** END OF THE PROJECT GUTENBERG EBOOK THE WEIR ***"), *column(60, 700, ["This file is free for the use of anyone."] * 5)]
    found = [row for row in read(tmp_path / "a.pdf", pdf([head, *body, foot]), book=True) if isinstance(row, dict)]
    assert len(found) == 3 and found[0]["uri"] == "https://www.gutenberg.org/ebooks/4321#chapter-1"
    assert not any("GUTENBERG" in row["text"].upper() or "free for" in row["text"] for row in found)


def test_references_are_cut_and_what_is_printed_is_known(tmp_path: Path) -> None:
    entries = [f"[{n}] A. Sluice. On weirs. Journal of Canals, {1990 + n}." for n in range(1, 9)]
    first = [(60.0, 750.0, 18.0, "*On Weirs"), (60.0, 730.0, 9.0, "https://doi.org/10.5555/weir.7 licensed under CC BY 4.0"),
        *column(60, 700, lines(24, 1, width=80))]
    last = [*column(60, 740, lines(12, 2, width=80)), (60.0, 570.0, 12.0, "*References"), *column(60, 550, entries)]
    side = [(20.0, 300.0, 14.0, "^^arXiv:2208.13922v1 [hydro] 31 Aug 2022")]
    found = paper(tmp_path / "a.pdf", pdf([[*first, *side], last], info={"Title": "On Weirs", "Author": "Ada Sluice"}))
    assert "Journal of Canals" not in found["text"] and "References" not in found["text"]
    assert (found["title"], found["author"], found["license"], found["uri"]) == ("On Weirs", "Ada Sluice", "CC-BY-4.0", "https://doi.org/10.5555/weir.7")
    assert found["facts"] == {"doi": "10.5555/weir.7", "venue": None} and "arXiv" not in found["text"]
    ((cut,), size) = (found["media"], len(found["text"]))
    assert (cut["mime"], cut["span"]) == ("application/x-pdf-references", {"start": size, "end": size})


@pytest.mark.parametrize("marked", [True, False], ids=["outline", "headings"])
def test_a_book_is_its_chapters(tmp_path: Path, marked: bool) -> None:
    pages, outline = [[(200.0, 500.0, 24.0, "*The Weir")]], []
    for number, name in enumerate(("The Keeper", "The Flood", "The Barge", "The Mill")):
        outline.append((f"{number + 1} {name}", len(pages), 720.0))
        pages.append([(60.0, 720.0, 18.0, f"*{number + 1} {name}"), *column(60, 680, lines(40, number, width=80))])
        pages.append(column(60, 740, lines(44, 50 + number, width=80)))
    found = read(tmp_path / "a.pdf", pdf(pages, outline=outline if marked else (), info={"Title": "The Weir", "Author": "Sluice, Ada"}), book=True)
    chapters = [row for row in found if isinstance(row, dict)]
    assert [row["title"] for row in chapters] == [f"The Weir: {n} {name}" for n, name in enumerate(("The Keeper", "The Flood", "The Barge", "The Mill"), 1)]
    assert [row["facts"] for row in chapters] == [{"work": "sluice/weir", "position": n} for n in range(4)]
    assert [row.reason for row in found if isinstance(row, Refused)] in (["front_matter"], ["no_text"])


def test_footnotes_do_not_part_a_paragraph(tmp_path: Path) -> None:
    first = [*column(60, 740, [*lines(40, 1, width=80), "  The keeper of the weir was an old man who had never seen"]),
        (60.0, 90.0, 7.0, "1 This is said of other keepers too.")]
    second = column(60, 740, ["the sea, though he had sent it water.", *lines(40, 2, width=80)])
    text = paper(tmp_path / "a.pdf", pdf([first, second]))["text"]
    assert "had never seen the sea, though he had sent it water." in text and "\n\n1 This is said of other keepers too." in text


@pytest.mark.parametrize(("data", "reason"), [
    (b"not a pdf at all", "not_pdf"), (b"%PDF-1.4\nnothing", "not_pdf"), (pdf([[]] * 3), "no_text"), (pdf([[(50.0, 50.0, 8.0, "scan")]]), "no_text"),
    (pdf([[(50.0, 500.0, 8.0, "A page of words, and enough of them.")]], locked=True), "encrypted"),
])
def test_a_pdf_that_is_none_says_why(tmp_path: Path, data: bytes, reason: str) -> None:
    for book in (True, False):
        (found,) = read(tmp_path / "a.pdf", data, book=book)
        assert isinstance(found, Refused) and found.reason == reason
        assert reason != "no_text" or "scan" in found.error


def test_limits_of_pages_and_of_time(tmp_path: Path) -> None:
    many = pdf([column(60, 740, lines(8, 1))] * 12)
    (found,) = read(tmp_path / "a.pdf", many, pages=11)
    assert isinstance(found, Refused) and (found.reason, found.error) == ("too_large", "12 pages")
    slow = pdf([column(60, 740, lines(50, 1))] * 400)
    (found,) = read(tmp_path / "b.pdf", slow, seconds=0.05)
    assert isinstance(found, Refused) and found.reason == "timeout"


@pytest.fixture(scope="module")
def reader() -> Iterator[Worker]:
    with Worker("ingest.texts.pdf:read_pages", seconds=20) as worker:
        yield worker


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_spoilt_pdf_is_read_or_refused(reader: Worker, data: st.DataObject) -> None:
    whole = bytearray(pdf([column(60, 740, lines(12, 1)), two_columns(lines(20, 2), lines(20, 3))], outline=[("One", 0, 700.0), ("Two", 1, 700.0)]))
    for _ in range(data.draw(st.integers(1, 20))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    for spoilt in (bytes(whole), bytes(whole[:cut]), data.draw(st.binary(max_size=200)), b"%PDF-1.7\n" + data.draw(st.binary(max_size=200))):
        ((_, said),) = reader.map([(0, spoilt, {"pages": 100})])
        assert isinstance(said, dict) and ("problem" in said or said["count"] == len(said["pages"]))


BOXES = st.builds(
    lambda text, x, y, w, size: Run(text, x, x + w, y, y + size, y + size / 5),
    st.text(max_size=12), st.floats(-50, 700), st.floats(-50, 900), st.floats(0, 500), st.floats(0, 60),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(BOXES, max_size=60), st.floats(1, 2000))
def test_every_word_of_a_page_is_in_its_lines_once(runs: list[Run], width: float) -> None:
    kept = [run for run in runs if run.text.strip() and run.right > run.left and run.top - 0.5 > run.bottom]
    found, _ = lines_of(runs, width)
    letters = sorted("".join(run.text for run in kept if run.text.isalpha()))
    there = "".join(line.text for line in found)
    assert all(there.count(letter) >= letters.count(letter) for letter in set(letters))
    assert len(found) <= len(kept)
    gutter_of(runs, width)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.builds(lambda text, x, y, w, s, b: Line(text, x, x + w, y, y - s, s, b), st.text(min_size=1, max_size=40),
                                   st.floats(0, 500), st.floats(0, 800), st.floats(1, 400), st.floats(1, 40), st.booleans()), max_size=12),
                                       max_size=6))  # fmt: skip
def test_any_lines_make_blocks(pages: list[list[Line]]) -> None:
    assert len(without_furniture(pages)) == len(pages)
    assert all(block.text.strip() for block in blocks_of(pages))


def test_a_process_ends_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf([column(60, 740, lines(12, 1))]))
    found = texts(str(tmp_path / "a.pdf"), seconds=20, pages=10)
    assert isinstance(found, dict) and found["count"] == 1 and isinstance(found["pages"][0][0], Line)
