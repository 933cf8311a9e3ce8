"""Books as chapters: the frame of a Project Gutenberg text, its headings and paragraphs, and EPUBs, good and hostile."""

import zipfile
from pathlib import Path
from typing import Any

import pytest

from catalog.stage import Refused
from ingest.books import read
from ingest.chapters import paragraphs, parts, sections, unframe
from tests.ingest_making import CHAPTER, epub

GOLDEN = Path(__file__).parent / "golden" / "ingest"
SENTENCE = "The keeper wrote the level of the water into the company's book at six in the morning and at six in the evening. "


def split(path: str | Path) -> tuple[list[dict[str, Any]], list[str]]:
    found = list(read(str(path)))
    return [row for row in found if isinstance(row, dict)], [row.reason for row in found if isinstance(row, Refused)]


def test_a_gutenberg_text_is_its_chapters() -> None:
    chapters, refused = split(GOLDEN / "book.txt")
    assert [row["title"] for row in chapters] == [
        "The Weir A Tale of the Canal: BOOK ONE: 1805, CHAPTER I: THE KEEPER", "The Weir A Tale of the Canal: BOOK ONE: 1805, CHAPTER II",
    ]  # fmt: skip
    assert refused == ["front_matter", "apparatus", "apparatus"]                                  # title page, contents, index
    first = chapters[0]
    assert (first["author"], first["uri"], first["member"]) == ("Ada Sluice", "https://www.gutenberg.org/ebooks/99999#chapter-1", "chapter-1")
    blocks = first["text"].split("\n\n")
    assert blocks[0] == "# BOOK ONE: 1805, CHAPTER I: THE KEEPER"
    assert blocks[1].startswith("The keeper of the weir was an old man who had never seen the sea, though he had sent it water")
    assert blocks[2] == "Rain on the hill,\n  mist on the mill,\nthe miller sleeps\n  and the wheel stands still."
    assert "licence" not in chapters[-1]["text"] and "Produced by" not in first["text"]


@pytest.mark.parametrize("heading", ["CHAPTER {n}", "Chapter {n}. Of Water", "{n}.", "{n}", "{n}. THE LOCK GATES", "STAVE {n}", "LETTER {n}"])
def test_headings_as_books_write_them(heading: str) -> None:
    numbers = ("I", "II", "III", "IV", "V")
    text = "\n\n\n".join(f"{heading.format(n=n)}\n\n" + "\n".join([SENTENCE.strip()] * 12) for n in numbers)
    found, _ = sections(text)
    assert [section.title for section in found] == ["", *(heading.format(n=n) for n in numbers)]


def test_a_number_in_the_text_is_no_heading() -> None:
    text = "\n".join([SENTENCE] * 30) + "\n\nchapter and verse were known to him.\n\nI\nwas there.\n\n" + "\n".join([SENTENCE] * 30)
    assert len(sections(text)[0]) == 1


def test_a_book_without_chapters_is_whole_or_in_even_parts(tmp_path: Path) -> None:
    short, long = tmp_path / "short.txt", tmp_path / "long.txt"
    short.write_text("\n\n".join([SENTENCE * 3] * 20))
    long.write_text("\n\n".join([SENTENCE * 3] * 600))
    whole, _ = split(short)
    assert [row["member"] for row in whole] == ["book"]
    pieces, _ = split(long)
    sizes = [len(row["text"]) for row in pieces]
    assert len(pieces) == 7 and max(sizes) < 1.1 * min(sizes)
    assert "\n\n".join(row["text"] for row in pieces).replace(" \n", "\n").split() == long.read_text().split()
    assert pieces[2]["title"].endswith(", part 3 of 7")


def test_parts_keep_every_paragraph() -> None:
    blocks = [str(number) * (number % 50 + 1) for number in range(400)]
    assert [block for part in parts(blocks, 500) for block in part] == blocks
    assert parts(["only"], 10) == [["only"]]


def test_wrapped_prose_is_joined_and_the_rest_is_not() -> None:
    wrapped = [
        "The keeper of the weir was an old man who had never seen the sea--", "though he had sent it water every day for more than two-and-", "twenty years.",
    ]  # fmt: skip
    table = ["Boards    drawn    left    on the Monday of that week ", "Six       four     two     and two more on Tuesday"]
    assert paragraphs([*wrapped, "", "| a | b |", "| c | d |", ""])[0] == " ".join(wrapped).replace("-- ", "--").replace("and- ", "and-")
    assert paragraphs(["| a | b |", "| c | d |"]) == ["| a | b |\n| c | d |"]
    assert paragraphs(["Short line,", "and another."]) == ["Short line,\nand another."]
    assert len(paragraphs([*table])) == 1


def test_a_text_with_no_frame_is_left_whole() -> None:
    book = unframe("Just a text.\r\nIn two lines.")
    assert (book.title, book.number, book.text) == (None, None, "Just a text.\nIn two lines.")


def test_an_epub_is_its_chapters_in_reading_order(tmp_path: Path) -> None:
    body = (
        '<hgroup><h2>II</h2><p>The Flood</p></hgroup>'
        '<p>It rained&nbsp;on Monday<a epub:type="noteref" href="#n1">1</a>, and the <em>bridge</em> was gone.</p>'
        "<blockquote><p>Rain on the hill,<br/>mist on the mill</p></blockquote>"
        '<ul><li>boards</li><li>beams</li></ul><img src="../images/weir.png" alt="weir"/><p>End.</p>'
    )
    chapters = [
        ("cover.xhtml", CHAPTER.format(title="Cover", kind="cover", body="<img src='c.png'/>")),
        ("toc.xhtml", CHAPTER.format(title="Contents", kind="toc", body="<ol><li>II</li></ol>")),
        ("two.xhtml", CHAPTER.format(title="Two", kind="bodymatter", body=body)),
        ("one.xhtml", CHAPTER.format(title="One", kind="bodymatter", body="<p>Last in the book, first in the alphabet.</p>")),
    ]
    found, refused = split(epub(tmp_path / "weir.epub", chapters))
    assert refused == ["apparatus", "apparatus"]
    assert [row["title"] for row in found] == ["The Weir: II: The Flood", "The Weir: One"]
    first = found[0]
    assert first["text"].split("\n\n") == [
        "## II: The Flood", "It rained on Monday, and the bridge was gone.", "Rain on the hill,\nmist on the mill", "- boards", "- beams", "End.",
    ]  # fmt: skip
    assert (first["uri"], first["member"]) == ("https://books.example/weir#book/text/two.xhtml", "book/text/two.xhtml")
    assert (first["author"], first["license"], str(first["date"])) == ("Ada Sluice", "CC0-1.0", "2019-04-05")
    (image,) = first["media"]
    at = image["span"]["start"]
    assert image["uri"].endswith("#book/images/weir.png") and first["text"][:at].rstrip().endswith("- beams")


HOSTILE = '<?xml version="1.0"?><!DOCTYPE html [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><html><body><p>&b;</p></body></html>'


def test_a_hostile_epub_is_refused_chapter_by_chapter(tmp_path: Path) -> None:
    good = CHAPTER.format(title="Good", kind="bodymatter", body="<p>A chapter that is well.</p>")
    outside = '<?xml version="1.0"?><!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd">]><html><body><p>&x;</p></body></html>'
    found, refused = split(epub(tmp_path / "a.epub", [("bomb.xhtml", HOSTILE), ("outside.xhtml", outside), ("empty.xhtml", ""), ("good.xhtml", good)]))
    assert [row["text"] for row in found] == ["A chapter that is well."]
    assert refused == ["entities", "entities", "not_xml"]


def test_an_epub_that_expands_or_climbs_is_refused(tmp_path: Path) -> None:
    good = CHAPTER.format(title="Good", kind="bodymatter", body="<p>Well.</p>")
    assert split(epub(tmp_path / "bomb.epub", [("a.xhtml", good)], extra=[("book/zeros", bytes(50 << 20))])) == ([], ["too_large"])
    climbing = epub(tmp_path / "climb.epub", [("../../../etc/passwd", good), ("b.xhtml", good)])
    found, refused = split(climbing)
    assert (len(found), refused) == (1, ["unsafe_path"])
    (tmp_path / "no.epub").write_bytes(b"PK nothing")
    assert split(tmp_path / "no.epub") == ([], ["not_epub"])
    with zipfile.ZipFile(tmp_path / "bare.epub", "w") as book:
        book.writestr("mimetype", "application/epub+zip")
    assert split(tmp_path / "bare.epub") == ([], ["not_epub"])


def test_what_is_no_book(tmp_path: Path) -> None:
    for name, content, reason in (("a.pdf", b"%PDF", "not_a_book"), ("a.txt", bytes(range(128, 256)) * 50, "wrong_charset"), ("b.txt", b"  \n ", "no_text")):
        (tmp_path / name).write_bytes(content)
        assert split(tmp_path / name) == ([], [reason])


@pytest.mark.slow
def test_the_demo_books_are_found_whole(examples: Path) -> None:
    counted = {path.stem: len(split(path)[0]) for path in sorted((examples / "books").iterdir())}
    assert counted == {"history-of-the-united-states": 30, "manual-of-surgery": 22, "the-adventures-of-sherlock-holmes": 12, "war-and-peace": 365}
