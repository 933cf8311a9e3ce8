"""Books made whole: one name for a work, broken words and page numbers, HTML in one page, EPUBs old and broken, TEI, text from a PDF."""

import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.stage import Bound, Refused
from ingest import books, papers
from ingest.land import land, tasks
from ingest.markup import Draft, parse
from ingest.texts.chapters import paragraphs, title_page, unframe
from ingest.texts.joined import join, opened, vocabulary, whole, without_pages
from ingest.texts.references import references
from ingest.texts.repaired import repaired
from ingest.texts.works import work
from ingest.texts.xhtml import walk
from tests.ingest_making import CONTAINER, epub
from tests.texts_making import column, pdf

SENTENCE = "The keeper wrote the level of the water into the company's book at six in the morning and at six in the evening. "
PROSE = SENTENCE * 10


def split(path: Path, reader: Any = books) -> tuple[list[dict[str, Any]], list[str]]:
    found = list(reader.read(str(path)))
    return [row for row in found if isinstance(row, dict)], [row.reason for row in found if isinstance(row, Refused)]


@pytest.mark.parametrize(("author", "title"), [
    ("Gaskell, Elizabeth", "Ruth"), ("Elizabeth Cleghorn Gaskell", "RUTH"), ("Mrs. Gaskell", "Ruth: A Novel"), ("Gaskell", "Ruth (Illustrated)"),
    ("Gaskell, Elizabeth Cleghorn, 1810-1865", "Ruth, Volume 2 (of 3)"), ("E. C. GASKELL", "Ruth; or, The Dressmaker"),
    ("Elizabeth Gaskell; Angus Easson", "Ruth\nA Novel"),
    ("Elizabeth Gaskell and another", "The Ruth"), ("Gaskell, Jr.", "Ruth — a tale"), ("Gáskell", "“Ruth”"),
])
def test_a_work_has_one_name(author: str, title: str) -> None:
    assert work(author, title) == "gaskell/ruth"


def test_what_is_another_work_or_none() -> None:
    assert work("H. G. Wells", "The Time Machine") == work("Wells, H. G. (Herbert George)", "Time machine, Complete") == "wells/time machine"
    assert work("Emily Brontë", "Wuthering Heights") == work("Bronte, Emily", "WUTHERING-HEIGHTS") == "bronte/wuthering heights"
    assert work("Charles Dickens", "Oliver Twist; or, The Parish Boy's Progress") == "dickens/oliver twist"
    assert work("Johann Wolfgang von Goethe", "Die Leiden des jungen Werther") == "goethe/leiden des jungen werther"
    assert work("Alexandre Dumas père", "Tale of Two Kings, A") == work("Dumas, Alexandre", "A Tale of Two Kings, v. 2") == "dumas/tale of two kings"
    assert work("Various", "Poems") is None
    assert (work(None, "Ruth"), work("Gaskell", None), work("", "Ruth"), work("?", "!")) == (None, None, None, None)


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_name_stays_itself(author: str, title: str) -> None:
    name = work(author, title)
    assert name is None or (name == name.casefold() and work(name.split("/")[0], name.split("/")[1]) is not None)


@pytest.mark.parametrize(("head", "tail", "by_hand", "typeset"), [
    ("it was impor-", "tant to", "it was important to", "it was important to"), ("a well-", "known man", "a well-known man", "a well-known man"),
    ("an elec-", "tron of", "an elec-tron of", "an electron of"), ("the water-", "level is", "the water-level is", "the water-level is"),
    ("of Beclin-", "1 and", "of Beclin-1 and", "of Beclin-1 and"), ("the X-", "Ray tube", "the X-Ray tube", "the X-Ray tube"),
    ("com\u00ad", "pany", "company", "company"), ("he went--", "slowly", "he went--slowly", "he went--slowly"),
    ("from 1920-", "30", "from 1920-30", "from 1920-30"),
    ("水は川に", "流れる。", "水は川に流れる。", "水は川に流れる。"), ("说：", "Yes", "说：Yes", "说：Yes"),
    ("用 Spark", "来做", "用 Spark 来做", "用 Spark 来做"),
    ("물은 강", "에 흐른다", "물은 강 에 흐른다", "물은 강 에 흐른다"),
    ("two", "words", "two words", "two words"), ("A. AR-", "GUS", "A. ARGUS", "A. ARGUS"),
])
def test_a_hyphen_at_the_end_of_a_line(head: str, tail: str, by_hand: str, typeset: str) -> None:
    seen = vocabulary(["Most important is the water and its level, which the well-known ARGUS gave.", "it was impor-", "tant"])
    assert (join(head, tail, seen, typeset=False), join(head, tail, seen, typeset=True)) == (by_hand, typeset)


def test_a_broken_word_is_no_word() -> None:
    assert vocabulary(["The impor-", "tant weir, the im\u00ad", "portant. (Well-known!)"]) == {"the": 2, "weir": 1, "well-known": 1}


@given(st.lists(st.text(alphabet="ab-— \u00ad¬", max_size=8), max_size=12))
def test_joining_loses_no_letter(lines: list[str]) -> None:
    joined = whole(lines, vocabulary(lines), typeset=True)
    assert [char for char in joined if char in "ab"] == [char for line in lines for char in line if char in "ab"]


def test_the_page_numbers_of_a_scan_go() -> None:
    lines = []
    for page in range(7):
        lines += [*(["THE WEIR AND ITS KEEPER"] if page else []), f"- {page + 11} -", "",
            *[f"the keeper wrote the level {chr(97 + page) * 4} {chr(97 + i % 26)} into the book" for i in range(30)], ""]
    kept = without_pages(lines)
    assert not any("WEIR" in line or "-" in line for line in kept)
    assert [block.count("keeper") for block in paragraphs(kept)] == [210]


def test_a_running_head_with_its_number_goes_and_chapters_stay() -> None:
    paged = [line for n in range(8) for line in (f"{n + 20}    THE WEIR", "", *["word " * 12] * 20, "")]
    assert not any("WEIR" in line for line in without_pages(paged))
    chapters = [line for n in range(1, 9) for line in (f"Chapter {n}", "", *["word " * 12] * 20, "")]
    assert without_pages(chapters) == chapters
    far = [line for n in range(1, 9) for line in (f"{n}", "", *["word " * 12] * 200, "")]
    assert without_pages(far) == far
    marked = [f"and so {f'[Pg {n}]' if n % 9 == 0 else ''} on and on" for n in range(9, 9 * 9)]
    assert len(without_pages([f"words [Pg {n}] go on" for n in range(4, 12)])) == 8 and without_pages(marked) == marked


def test_a_text_without_blank_lines_is_opened() -> None:
    prose = ["It was the best of times and it was the worst of times, they said,", "who had seen neither of them in their lives.", '"Indeed!" said he.']
    verse = ["Rain upon the distant hill", "Mist upon the silent mill", "Nobody is stirring still"]
    lines = [*prose * 20, *verse, *prose]
    blocks = paragraphs(opened(lines))
    assert blocks[0] == " ".join(prose[:2]) and blocks[1] == prose[2] and len(blocks) == 2 * 21 + 1
    assert "\n".join(verse) in blocks
    assert opened(prose) == prose


def test_paragraphs_told_by_their_indent() -> None:
    first, line = "    The keeper of the weir was an old man who had never seen", "the sea, though he had sent it water every day for many years"
    assert len(paragraphs([first, line, f"{line}.", first, line, f"{line}."])) == 2
    assert paragraphs(["    Rain on the hill,", "mist on the mill,",
        "    the miller sleeps."]) == ["    Rain on the hill,\nmist on the mill,\n    the miller sleeps."]


def test_a_chinese_book_has_chapters_and_whole_paragraphs(tmp_path: Path) -> None:
    line = "那守闸的人每天早晨六点和晚上六点把水位写进公司的簿子里，写了许多年，"
    chapter = "\n".join([f"　　{line}", *[line] * 20, "从来没有见过海。"])
    (tmp_path / "a.txt").write_text("\n\n".join(f"第{number}回　守闸的人\n\n{chapter}\n\n{chapter}" for number in "一二三"))
    found, refused = split(tmp_path / "a.txt")
    assert [row["title"] for row in found] == [f"第{number}回 守闸的人" for number in "一二三"] and not refused
    assert found[0]["text"].split("\n\n")[1:] == [line * 21 + "从来没有见过海。"] * 2


def test_what_a_title_page_says() -> None:
    assert title_page("THE MARRIAGE\nOF\nWILLIAM ASHE\n\nBY\n\nMRS. HUMPHRY WARD\n\nI\n") == ("THE MARRIAGE OF WILLIAM ASHE", "Mrs. Humphry Ward")
    assert title_page("Kim\nby Rudyard Kipling\nChapter I") == ("Kim", "Rudyard Kipling")
    assert title_page("He went by the river.\nby and by\nit rained") == (None, None)
    book = unframe("Title: The Weir\n       A Tale\n\nAuthor: Ada Sluice\n\n*** START OF THE PROJECT GUTENBERG EBOOK THE WEIR ***\n\ntext")
    assert (book.title, book.main) == ("The Weir A Tale", "The Weir\nA Tale")


def test_pictures_and_transcribers_notes_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"{PROSE}\n\n[Illustration: The weir\nby night.]\n\n{PROSE}\n\n[Transcriber's Note: spelt as found.]\n\n{PROSE}")
    ((row,), _) = split(tmp_path / "a.txt")
    assert "[" not in row["text"] and row["text"].count("\n\n") == 2


PAGE = """<?xml version="1.0" encoding="iso-8859-1"?><!DOCTYPE html><html><head><title>The Project Gutenberg eBook of The Weir, by Ada Sluice</title>
<meta name="dc.creator" content="Sluice, Ada"/></head><body>
<section class="pg-boilerplate pgheader" id="pg-header"><p>This ebook #777 is for the use of anyone.</p></section>
<h1>The Weir</h1><p>by Ada Sluice</p><h2>CONTENTS</h2><ul><li><a href="#c1">I</a></li></ul>
{chapters}
<div class="footnotes"><p>[1] A note.</p></div><section id="pg-footer"><p>Licence.</p></section></body></html>"""


def test_a_book_in_one_html_page(tmp_path: Path) -> None:
    chapter = '<h2 id="c{n}">{name}</h2><p>{prose}<span class="pagenum">[Pg {n}]</span> It rained<a class="fnanchor" href="#f">[1]</a>.</p>'
    verse = "<div class='poem'><p>Rain on the hill,<br/>mist on the mill</p></div><img src='weir.png'/>"
    parts = [f"<h2>{name}</h2>" for name in ("BOOK ONE",)]
    body = "".join([*parts, *(chapter.format(n=n, name=name, prose=PROSE) + (verse if n == 2 else "") for n,
        name in enumerate(("The Keeper", "The Flood", "The Barge"), 1))])
    (tmp_path / "a.html").write_text(PAGE.format(chapters=body))
    found, refused = split(tmp_path / "a.html")
    assert [row["title"] for row in found][1:] == ["The Weir: The Flood", "The Weir: The Barge"] and found[0]["title"].endswith("The Keeper")
    assert refused[:2] == ["front_matter", "apparatus"]
    assert [row["facts"] for row in found] == [{"work": "sluice/weir", "position": n} for n in range(3)]
    assert found[1]["text"].endswith(f"## The Flood\n\n{PROSE.strip()} It rained.\n\nRain on the hill,\nmist on the mill"[-200:])
    assert found[0]["uri"] == "https://www.gutenberg.org/ebooks/777#chapter-1" and "Licence" not in found[-1]["text"] and "A note" not in found[-1]["text"]
    assert [gone["mime"] for gone in found[1]["media"]] == ["image/*"] and [gone["mime"] for gone in found[2]["media"]] == ["application/x-book-notes"]


@pytest.mark.parametrize("content", [b"", b"<", b"<html>", b"<div>" * 100_000, b"<h2>" * 20_000, b"&" * 100_000, b"<p>x</p>" * 50_000, b"\xff\xfe" * 2000,
    b"<table>" * 9000])
def test_any_html_ends(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.html").write_bytes(content)
    found, refused = split(tmp_path / "a.html")
    assert len(found) + len(refused) >= 1


OLD = """<package xmlns="http://www.idpf.org/2007/opf" version="2.0"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The Weir</dc:title>
<dc:creator>Ada Sluice</dc:creator><dc:language>en</dc:language></metadata><manifest><item id="n" href="toc.ncx" media-type="application/x-dtbncx+xml"/>
<item id="a" href="Text/Title%20Page.xhtml" media-type="application/xhtml+xml"/><item id="b" href="text/one.xhtml" media-type="application/xhtml+xml"/>
<item id="c" href="Text/two.html" media-type="text/html"/></manifest><spine toc="n"><itemref idref="a"/><itemref idref="b"/><itemref idref="c"/></spine>
<guide><reference type="title-page" href="Text/Title%20Page.xhtml"/></guide></package>"""
NCX = """<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>The Keeper</text></navLabel>
<content src="text/one.xhtml"/></navPoint>
<navPoint><navLabel><text>Two</text></navLabel><content src="Text/two.html#a"/></navPoint><navPoint><navLabel><text>Three</text></navLabel>
<content src="Text/two.html#b"/></navPoint></navMap></ncx>"""
XHTML = '<html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body>{}</body></html>'
LOCK = """<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData>
<enc:EncryptionMethod Algorithm="{how}"/><enc:CipherData><enc:CipherReference URI="{what}"/></enc:CipherData></enc:EncryptedData></encryption>"""
AES = "http://www.w3.org/2001/04/xmlenc#aes128-cbc"


def old_epub(path: Path, *, container: bool = True, lock: str = "") -> Path:
    with zipfile.ZipFile(path, "w") as book:
        if container:
            book.writestr("meta-inf/Container.xml", CONTAINER.replace("book/content.opf", "BOOK/content.opf"))
        book.writestr("book/content.opf", OLD)
        book.writestr("book/toc.ncx", NCX)
        book.writestr("book/Text/Title Page.xhtml", XHTML.format("<p>The Weir, a tale</p>"))
        book.writestr("book/Text/One.xhtml", XHTML.format(f"<p>{PROSE}</p><aside role='doc-footnote'><p>A note.</p></aside>"))
        book.writestr("book/Text/two.html", XHTML.format(f"<h2>Two</h2><p>{PROSE}</p><h2>Three</h2><p>{PROSE}</p>"))
        if lock:
            book.writestr("META-INF/encryption.xml", lock)
    return path


def markdown(body: str) -> str:
    """A book's XHTML as text."""
    draft, root = Draft(), parse(XHTML.format(body).encode())
    walk(root.findall("{*}body")[0], draft, "book", "a.xhtml")
    return draft.finish()[0]


@pytest.mark.parametrize(("body", "text"), [
    ("<h2>CHAPTER I<br/>The Keeper<a href='#n'><sup>1</sup></a></h2>", "## CHAPTER I The Keeper"),
    ("<p><ruby>水<rt>みず</rt></ruby>は</p>", "水は"),
    ("<p>so <math><mi>E</mi><mo>=</mo><mi>m</mi></math> is</p>", "so E = m is"),
    ("<pre><code>if a:\n    b = 1\n</code></pre>", "```\nif a:\n    b = 1\n```"),
    ("<pre>def f(x):\n  y = x\n  return {y}</pre>", "```\ndef f(x):\n  y = x\n  return {y}\n```"),
    ("<pre>Rain on the hill;\n  mist on the mill,</pre>", "Rain on the hill;\nmist on the mill,"),
    ("<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>x<br/>y</td></tr></table>", "| a | b |\n|---|---|\n| 1 | x y |"),
    ("<table><tr><td><img src='a'/></td><td><img src='b'/></td></tr></table><p>x</p>", "x"),
    ("<table><tr><td><p>One.</p><p>Two.</p></td></tr></table>", "One.\n\nTwo."),
    ("<a href='x'><h2>Head</h2><p>one</p></a><span><p>a</p><p>b</p></span>", "## Head\n\none\n\na\n\nb"),
    ("<ul><li>a<ul><li>b</li><li>c</li></ul></li><li>d</li></ul>", "- a\n  - b\n  - c\n\n- d"),
    ("<p><img src='t.png' alt='T'/>he keeper <img src='a.png' alt='A'/> so</p>", "The keeper so"),
    ("<p>2<sup>3</sup> said<sup><a href='#n'>3</a></sup> so<a href='#n4'>[4]</a>, <a href='#p'>there</a></p>", "2^3 said so, there"),
])
def test_a_page_of_a_book_as_text(body: str, text: str) -> None:
    assert markdown(body) == text


def test_a_title_has_its_words_apart(tmp_path: Path) -> None:
    body = XHTML.format(f"<h2>CHAPTER I<br/>THE KEEPER<span class='pagenum'>[Pg 1]</span></h2><p>{PROSE}</p>")
    ((row,), _) = split(Path(epub(tmp_path / "a.epub", [("a.xhtml", body)])))
    assert row["title"].endswith("CHAPTER I THE KEEPER")


def cut_epub(path: Path, files: dict[str, str], named: list[str]) -> Path:
    """An EPUB 2 of files, of which the contents name some."""
    items = "".join(f'<item id="i{n}" href="{name}" media-type="application/xhtml+xml"/>' for n, name in enumerate(files))
    spine = "".join(f'<itemref idref="i{n}"/>' for n in range(len(files)))
    points = "".join(f'<navPoint><navLabel><text>{name}</text></navLabel><content src="{name}"/></navPoint>' for name in named)
    head = OLD.partition("<manifest>")[0] + '<manifest><item id="n" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("content.opf", f'{head}{items}</manifest><spine toc="n">{spine}</spine></package>')
        book.writestr("toc.ncx", f'<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap>{points}</navMap></ncx>')
        for name, body in files.items():
            book.writestr(name, XHTML.format(body))
    return path


def test_files_that_cut_a_chapter_are_one(tmp_path: Path) -> None:
    files = {
        "a_split_000.html": f"<h2>One</h2><p>{PROSE}</p>", "a_split_001.html": f"<p>{PROSE}<img src='w.png'/></p>",
        "b.html": f"<h2>Two</h2><p>{PROSE} and so</p>",
        "c.html": f"<p>the barge went on. {PROSE}</p>", "d.html": f"<p>{PROSE}</p>", "e.html": f"<h2>Three</h2><p>{PROSE}</p>",
    }
    found, _ = split(cut_epub(tmp_path / "a.epub", files, ["a_split_000.html", "b.html", "e.html"]))
    assert [row["member"] for row in found] == ["a_split_000.html", "b.html", "d.html", "e.html"]
    assert [row["facts"]["position"] for row in found] == [0, 1, 2, 3]
    assert found[0]["text"].count(SENTENCE.strip()) == 20 and "and so\n\nthe barge" in found[1]["text"]
    assert found[0]["media"][0]["span"]["start"] == len(found[0]["text"])


def test_gutenbergs_frame_in_an_epub_that_others_made(tmp_path: Path) -> None:
    files = {
        "a.html": f"<p>*** START OF THIS PROJECT GUTENBERG EBOOK THE WEIR ***</p><h2>One</h2><p>{PROSE}</p>",
        "b.html": f"<h2>Two</h2><p>{PROSE}</p><p>*** END OF THIS PROJECT GUTENBERG EBOOK THE WEIR ***</p><p>Licence.</p>",
        "c.html": f"<h2>THE FULL PROJECT GUTENBERG LICENSE</h2><p>{PROSE * 10}</p>", "d.html": "<p>End of Project Gutenberg's The Weir</p><p>Licence.</p>",
    }
    found, refused = split(cut_epub(tmp_path / "a.epub", files, []))
    assert [row["text"].split()[1] for row in found] == ["One", "Two"] and refused == ["apparatus", "apparatus"]
    assert not any("GUTENBERG" in row["text"] or "Licence" in row["text"] for row in found)


@pytest.mark.parametrize("container", [True, False])
def test_an_old_epub_with_crooked_paths(tmp_path: Path, container: bool) -> None:
    found, refused = split(old_epub(tmp_path / "a.epub", container=container))
    assert [row["title"] for row in found] == ["The Weir: The Keeper", "The Weir: Two", "The Weir: Three"]
    assert refused == ["apparatus"] and [row["facts"]["position"] for row in found] == [0, 1, 2]
    assert (found[0]["facts"]["work"], found[0]["lang"]) == ("sluice/weir", "en") and "A note" not in found[0]["text"]


def test_locked_epubs_are_refused_and_fonts_are_no_lock(tmp_path: Path) -> None:
    assert split(old_epub(tmp_path / "a.epub", lock=LOCK.format(how=AES, what="book/Text/two.html")))[1] == ["apparatus", "encrypted"]
    many = LOCK.format(how=AES, what="book/Text/two.html").replace("</encryption>", "") + "".join(
        f'<enc:EncryptedData><enc:EncryptionMethod Algorithm="{AES}"/><enc:CipherData><enc:CipherReference URI="{what}"/></enc:CipherData></enc:EncryptedData>'
        for what in ("book/Text/One.xhtml", "book/Text/Title%20Page.xhtml")
    ) + "</encryption>"
    assert split(old_epub(tmp_path / "b.epub", lock=many)) == ([], ["encrypted"])
    fonts = LOCK.format(how="http://www.idpf.org/2008/embedding", what="book/Text/two.html")
    assert len(split(old_epub(tmp_path / "c.epub", lock=fonts))[0]) == 3


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_spoilt_epub_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = old_epub(tmp_path_factory.mktemp("epub") / "a.epub")
    whole_file = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 12))):
        whole_file[data.draw(st.integers(0, len(whole_file) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(whole_file[: data.draw(st.integers(len(whole_file) // 2, len(whole_file)))]))
    found, refused = split(path)
    assert len(found) + len(refused) >= 1


TEI = """<TEI xmlns="http://www.tei-c.org/ns/1.0"><teiHeader xml:lang="en"><fileDesc>
<titleStmt><title level="a" type="main">Flow over broad weirs</title></titleStmt>
<publicationStmt><publisher>Canal Press</publisher><availability status="free">
<licence target="https://creativecommons.org/licenses/by/4.0/"><p>CC BY</p></licence>
</availability><date type="published" when="2020-02-04">4 February 2020</date></publicationStmt><sourceDesc><biblStruct><analytic>
<author><persName><forename type="first">Ada</forename><surname>Sluice</surname></persName><affiliation>Canal House</affiliation></author>
<title level="a" type="main">Flow over broad weirs</title></analytic><monogr><title level="j" type="main">Journal of Canals</title><imprint/></monogr>
<idno type="DOI">10.5555/weir.1</idno></biblStruct></sourceDesc></fileDesc>
<profileDesc><abstract><div><p>We measure water.</p></div></abstract></profileDesc></teiHeader>
<text><body><div><head n="1">Introduction</head>
<p>The discharge grows <ref type="bibr" target="#b0">[1]</ref>:<formula xml:id="f0">Q = C h 3/2<label>(1)</label></formula> as is known.</p></div>
<div><head n="1.1">The weirs</head><p>Three were used<note place="foot">A note.</note>.</p><list><item>one of stone</item><item>two of oak</item></list></div>
<figure xml:id="fig_0"><head>Figure 1</head><figDesc>A weir.</figDesc></figure></body>
<back><div type="acknowledgement"><p>We thank the keeper.</p></div><div type="references"><listBibl><biblStruct/></listBibl></div></back></text></TEI>"""


def test_a_paper_as_tei(tmp_path: Path) -> None:
    (tmp_path / "a.tei.xml").write_text(TEI)
    ((found,), _) = split(tmp_path / "a.tei.xml", papers)
    assert found["text"].split("\n\n") == [
        "# Flow over broad weirs", "## Abstract", "We measure water.", "## 1. Introduction", "The discharge grows [1]:", "Q = C h 3/2", "as is known.",
        "### 1.1. The weirs",
        "Three were used.", "- one of stone", "- two of oak",
    ]  # fmt: skip
    assert (found["uri"], found["author"], str(found["date"]), found["license"], found["lang"]) == (
        "https://doi.org/10.5555/weir.1", "Ada Sluice", "2020-02-04", "CC-BY-4.0", "en",
    )  # fmt: skip
    assert found["facts"] == {"doi": "10.5555/weir.1", "venue": "Journal of Canals"}
    assert [gone["mime"].rpartition("-")[2] for gone in found["media"]] == ["footnotes", "figure", "acknowledgements", "references"]


@settings(max_examples=100, deadline=None)
@given(at=st.integers(0, len(TEI)), cut=st.integers(0, 400), said=st.sampled_from(["", "<div>", "</p>", "<TEI>", "&amp;", "<formula/>", "x"]))
def test_a_spoilt_tei_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, at: int, cut: int, said: str) -> None:
    path = tmp_path_factory.mktemp("tei") / "a.xml"
    path.write_text(TEI[:at] + said + TEI[at + cut :])
    found, refused = split(path, papers)
    assert len(found) + len(refused) == 1


def test_text_that_came_out_of_a_pdf() -> None:
    line = "the discharge of the weir is measured by the keeper at the gauge every morning"
    pages = []
    for number in range(4):
        pages += ["Journal of Canals, Vol. 3, p. " + str(number), *[f"{chr(97 + i)} {line} {chr(98 + number)}" for i in range(24)],
            f"and {'abcd'[number]} it is impor-", str(number + 7), f"tant that weir {'abcd'[number]} is well-", "known.", ""]
    said = "\n".join(["On Weirs", "Abstract", "It is important to measure well-known weirs.", *pages, "References",
        *[f"[{n}] A. Sluice, {1990 + n}." for n in range(6)]])
    found = repaired(said)
    assert "Journal" not in found.text and "impor-" not in found.text and "and d it is important that weir d is well-known." in found.text
    assert "## Abstract" in found.text and found.references.startswith("## References") and found.place == len(found.text) and found.heads == 4


def test_every_kind_lands_with_its_facts(tmp_path: Path) -> None:
    (tmp_path / "a.tei.xml").write_text(TEI)
    (tmp_path / "b.tex").write_text("\\section{On weirs}\nThe keeper $x$.")
    (tmp_path / "c.pdf").write_bytes(pdf([column(60, 740, ["The keeper of the weir was an old man."] * 9)]))
    (tmp_path / "d.txt").write_text(PROSE)
    (tmp_path / "e.zip").write_bytes(b"PK")
    given = {"name": "papers", "shape": "document", "domain": "papers", "dump": None, "license": None}
    files = [str(path) for path in sorted(tmp_path.iterdir())]
    (task,) = tasks(files, Bound("ingest.papers:read", {}, 2), given, str(tmp_path / "lake/data/papers/r"), str(tmp_path / "lake"))
    result = land(task)
    assert (result["documents"], result["reasons"]) == (4, {"not_xml": 1})
    table = pl.read_parquet(tmp_path / "lake" / result["file"]["path"])
    assert table["facts"].struct.field("venue").to_list() == ["Journal of Canals", None, None, None]
    assert table["source"].struct.field("content_type").to_list() == ["application/tei+xml", "application/x-tex", "application/pdf", "text/plain"]


def test_references_end_where_something_else_begins() -> None:
    said = ["Text.", "References", *[f"{n}. Sluice {1990 + n}." for n in range(5)], "Appendix A", "More."]
    assert references(said) == (1, 7) and references(["References", "No year here at all", "nor here"]) is None and references([]) is None


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=300), st.lists(st.sampled_from(["word", "Word.", "12", "impor-", "tant", "References", "1. On", "", "THE HEAD",
    "[1] S. 1990.", "•"]), max_size=60).map("\n".join)))
def test_any_text_is_repaired(said: str) -> None:
    found = repaired(said)
    assert found.place <= len(found.text)
    without_pages(said.split("\n"))
    opened(said.split("\n"))
