"""Books as chapters: the frame of a Project Gutenberg text, its headings and paragraphs, and EPUBs, good and hostile."""

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catalog.stage import Bound, Refused
from ingest.books import read
from ingest.land import land, tasks
from ingest.texts.chapters import _paged, paragraphs, parts, sections, unframe
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


def spoilt(data: bytes, how: str) -> bytes:
    """An EPUB whose second member is broken so that zipfile raises what it rarely does."""
    entry = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    (local,) = struct.unpack_from("<I", data, entry + 42)
    body = local + 30 + sum(struct.unpack_from("<HH", data, local + 26))
    out = bytearray(data)
    if how == "before the file":                                     # OSError: EINVAL
        del out[: local + 1]
    elif how == "password":                                          # RuntimeError
        out[entry + 8] |= 1
        out[local + 6] |= 1
    elif how == "deflate":                                           # zlib.error
        out[body : body + 4] = b"\xff\xff\xff\xff"
    elif how == "ends early":                                        # EOFError
        struct.pack_into("<I", out, entry + 42, len(data) - 40)
        out[len(data) - 40 : len(data) - 36] = b"PK\x03\x04"
    elif how == "packing":                                           # a way that asks for as much memory as it likes
        struct.pack_into("<H", out, entry + 10, zipfile.ZIP_LZMA)
    return bytes(out)


@pytest.mark.parametrize("how", ["before the file", "password", "deflate", "ends early", "packing"])
def test_a_corrupt_epub_costs_itself(tmp_path: Path, how: str) -> None:
    good = CHAPTER.format(title="Good", kind="bodymatter", body="<p>Well.</p>")
    whole = Path(epub(tmp_path / "b.epub", [("a.xhtml", good)]))
    (tmp_path / "a.epub").write_bytes(spoilt(whole.read_bytes(), how))
    given = {"name": "books", "shape": "document", "domain": "books", "dump": None, "license": None}
    files = [str(tmp_path / "a.epub"), str(whole)]
    (task,) = tasks(files, Bound("ingest.books:read", {}, 1), given, str(tmp_path / "lake/data/books/r"), str(tmp_path / "lake"))
    result = land(task)
    assert (result["documents"], result["reasons"]) == (1, {"not_epub": 1})
    assert result["refused"][0]["source"] == "books/a.epub" and result["refused"][0]["error"]


@pytest.mark.parametrize("error", [OSError(22, "Invalid argument"), OSError("invalid data"), EOFError(), RuntimeError("password"), IndexError("short"),
                                   struct.error("short"), OverflowError("long"), RecursionError("deep")])
def test_a_chapter_that_cannot_be_read_costs_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    import ingest.texts.epub

    good = CHAPTER.format(title="Good", kind="bodymatter", body="<p>Well.</p>")
    path, member = epub(tmp_path / "b.epub", [("a.xhtml", good), ("b.xhtml", good), ("c.xhtml", good)]), ingest.texts.epub._member
    monkeypatch.setattr(ingest.texts.epub, "_member", failing(member, "book/text/b.xhtml", error))
    found, refused = split(path)
    assert ([row["member"] for row in found], refused) == (["book/text/a.xhtml", "book/text/c.xhtml"], ["not_epub"])
    monkeypatch.setattr(ingest.texts.epub, "_member", failing(member, "book/text/b.xhtml", OSError(5, "the disk fails")))
    with pytest.raises(OSError, match="the disk fails"):              # not the book's fault: the part stops, and goes on when asked again
        split(path)


def failing(member: Callable[[zipfile.ZipFile, str], bytes], place: str, error: Exception) -> Callable[[zipfile.ZipFile, str], bytes]:
    def read(book: zipfile.ZipFile, name: str) -> bytes:
        if name == place:
            raise error
        return member(book, name)

    return read


PROSE = f"{SENTENCE.strip()}\n" * 12
BIG = 2 << 20


@pytest.mark.parametrize("text", [
    "\n" + " " * BIG + "x", ("\n" + " " * 1000 + "x") * (BIG // 1000), "Project Gutenberg\n" + "\n" * BIG + "x", "." * BIG, "  1" * (BIG // 3),
    "*** START OF THE PROJECT GUTENBERG EBOOK " + "a b\n" * (BIG // 4), "Project Gutenberg\n" + "a\n" * (BIG // 2) + "END THE SMALL PRIN",
    "Project Gutenberg\nTitle: a" + "\n  b" * (BIG // 4), "".join(f"CHAPTER {i % 999} x{i}\n\n" for i in range(BIG // 20)), "| a\n" * (BIG // 4),
    "".join(f"BOOK ONE x{i}\n\n" for i in range(BIG // 20)) + f"CHAPTER I\n\n{PROSE * 200}\nCHAPTER II\n\n{PROSE * 200}",
], ids=["spaces", "indented", "newlines", "dots", "pages", "start", "small print", "fields", "chapters", "table", "parts"])  # fmt: skip
def test_a_hostile_text_takes_no_longer_than_its_size(tmp_path: Path, text: str) -> None:
    """Two megabytes that took a pattern hours: it is enough that this ends."""
    (tmp_path / "a.txt").write_text(text)
    chapters, refused = split(tmp_path / "a.txt")
    assert len(text) >= BIG // 2 and len(chapters) + len(refused) > 0


@pytest.mark.parametrize(("line", "paged"), [
    ("The Weir  12", True), ("The Weir....12  ", True), ("The Weir .. 12", True), ("The Weir\t7", True), ("The Weir.....    12", True), ("  1234", True),
    ("The Weir 12", False), ("The Weir. 12", False), ("The Weir  12345", False), ("in  1805 he", False), ("  x", False), ("", False), ("12", False),
])
def test_lines_of_a_table_of_contents(line: str, paged: bool) -> None:
    assert _paged(line) == paged


def test_the_old_frame_of_a_gutenberg_text_is_its_small_print() -> None:
    head = "The Project Gutenberg Etext of The Weir\n\nTitle: The Weir\n\n[Etext #99]\n\n*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\n"
    book = unframe(head + f"\n{PROSE}" * 100)
    assert (book.title, book.number, book.text) == ("The Weir", "99", "\n" + f"\n{PROSE}" * 100)


def test_what_is_no_book(tmp_path: Path) -> None:
    wrong = (("a.doc", b"\xd0\xcf", "not_a_book"), ("a.txt", bytes(range(128, 256)) * 50, "wrong_charset"), ("b.txt", b"  \n ", "no_text"))
    for name, content, reason in wrong:
        (tmp_path / name).write_bytes(content)
        assert split(tmp_path / name) == ([], [reason])


@pytest.mark.slow
def test_the_demo_books_are_found_whole(examples: Path) -> None:
    counted = {path.stem: len(split(path)[0]) for path in sorted((examples / "books").iterdir())}
    assert counted == {"history-of-the-united-states": 30, "manual-of-surgery": 22, "the-adventures-of-sherlock-holmes": 12, "war-and-peace": 365}
