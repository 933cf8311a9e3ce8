"""Papers and reference works: golden documents, what was left out and where, and XML that means harm."""

import time
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from catalog import licenses
from catalog.errors import InputError
from catalog.stage import Refused
from ingest import papers, reference
from ingest.formula import formula
from ingest.markup import PLACE, Draft, flat
from ingest.texts.jats import jats_paper

GOLDEN = Path(__file__).parent / "golden" / "ingest"
MATH = '<math xmlns="http://www.w3.org/1998/Math/MathML">{}</math>'


def paper(path: Path) -> dict[str, Any]:
    (found,) = papers.read(str(path))
    assert isinstance(found, dict)
    return found


def test_a_paper_is_its_title_abstract_and_sections() -> None:
    found = paper(GOLDEN / "paper.xml")
    assert found["text"] == (GOLDEN / "paper.txt").read_text().rstrip("\n")
    assert (found["uri"], found["title"]) == ("https://doi.org/10.5555/weir.1", "Flow over broad weirs")
    assert (found["author"], str(found["date"]), found["license"]) == ("Ada Sluice; The Canal Group", "2020-02-04", "CC-BY")


def test_what_is_left_out_is_recorded_where_it_was() -> None:
    found = paper(GOLDEN / "paper.xml")
    places = [(gone["mime"].rpartition("-")[2], found["text"][: gone["span"]["start"]][-12:]) for gone in found["media"]]
    assert places == [
        ("footnotes", "O is typical"), ("figure", " is typical."), ("table", "\n\n## Results"), ("formula", "2}$$\n\nwhere "),
        ("acknowledgements", "is measured."), ("references", "is measured."),
    ]  # fmt: skip
    assert all(gone["span"]["start"] == gone["span"]["end"] and len(gone["sha"]) == 64 for gone in found["media"])


@pytest.mark.parametrize(("content", "reason"), [
    (b"not xml at all", "not_xml"),
    (b"<html><p>x</p></html>", "not_jats"),
    (b"<article><front/></article>", "no_text"),
    (b'<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;&x;">]><article><body><p>&y;</p></body></article>', "entities"),
    (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><article><body><p>&x;</p></body></article>', "entities"),
    (b"<article><body>" + b"<sec>" * 400 + b"</sec>" * 400 + b"</body></article>", "not_xml"),
    (b"<article><body><p>cut", "not_xml"), (b"<article><body>" + b"<p>" * 220 + b"x" + b"</p>" * 220 + b"</body></article>", "too_deep"),
])
def test_a_paper_that_is_none_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "p.xml").write_bytes(content)
    (found,) = papers.read(str(tmp_path / "p.xml"))
    assert isinstance(found, Refused) and found.reason == reason


def test_named_characters_need_no_dtd(tmp_path: Path) -> None:
    (tmp_path / "p.xml").write_bytes(b"<article><body><p>&alpha;-helix &amp; caf&eacute;&nbsp;&ourown;</p></body></article>")
    assert paper(tmp_path / "p.xml")["text"] == "α-helix & café &ourown;"


@pytest.mark.parametrize(("markup", "text"), [
    ("<mi>x</mi><mo>=</mo><mfrac><mrow><mi>a</mi><mo>+</mo><mn>1</mn></mrow><mi>b</mi></mfrac>", "x = (a + 1)/b"),
    ("<msup><mi>x</mi><mn>2</mn></msup><mo>≤</mo><msub><mi>y</mi><mrow><mi>i</mi><mo>,</mo><mi>j</mi></mrow></msub>", "x^2 ≤ y_(i, j)"),
    ("<msubsup><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></msubsup><msqrt><mi>x</mi></msqrt>", "∑_(i = 1)^nsqrt(x)"),
    ("<mover><mi>x</mi><mo>¯</mo></mover><mroot><mi>x</mi><mn>3</mn></mroot>", "bar(x)root(3, x)"),
    ('<mfenced open="[" close="]"><mi>a</mi><mi>b</mi></mfenced>', "[a, b]"),
    ("<mtable><mtr><mtd><mi>a</mi></mtd><mtd><mi>b</mi></mtd></mtr><mtr><mtd><mi>c</mi></mtd></mtr></mtable>", "a b; c"),
    ("<msup><mi>x</mi></msup>", "x^"),
    ("<mi>sin</mi><mo>\u2061</mo><mi>x</mi><mo>=</mo><mn>2</mn><mi>log</mi><mi>y</mi>", "sin x = 2 log y"),
    ("<semantics><mi>x</mi><annotation encoding='application/x-tex'>x^{2}</annotation></semantics>", "$x^{2}$"),
])
def test_formulae_read_as_an_author_would_type_them(markup: str, text: str) -> None:
    assert formula(etree.fromstring(MATH.format(markup))) == text


def test_a_formula_of_rows_in_rows_takes_no_time() -> None:
    for name in ("mrow", "msqrt", "mstyle", "menclose"):
        assert formula(etree.fromstring(MATH.format(f"<{name}>" * 60 + "<mi>x</mi>" + f"</{name}>" * 60))) is not None


def test_tex_that_opens_many_documents_takes_no_time() -> None:
    element = etree.Element("tex-math")
    element.text = "\\begin{document}" * 100_000
    started = time.process_time()
    assert formula(element) is not None
    assert time.process_time() - started < 10


def article(body: str, meta: str = "") -> dict[str, Any]:
    title = '<title-group><article-title>On H<sub>2</sub>O<xref ref-type="fn"><sup>*</sup></xref></article-title></title-group>'
    front = f"<front><article-meta>{title}{meta}</article-meta></front>"
    found = jats_paper(etree.fromstring(f'<article xmlns:xlink="http://www.w3.org/1999/xlink">{front}<body>{body}</body></article>'), "a")
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(("body", "text"), [
    ("<p>x</p><def-list><def-item><term><b>pH</b></term><def><p>how sour</p></def></def-item></def-list>", "x\n\n- pH: how sour"),
    ("<code>if a:\n    b()</code><preformat>x  y</preformat>", "```\nif a:\n    b()\n```\n\n```\nx  y\n```"),
    ("<verse-group><verse-line>Rain,</verse-line><verse-line>mist</verse-line></verse-group>", "Rain,\nmist"),
    ("<disp-quote><p>Boards hold.</p><attrib>Sluice</attrib></disp-quote>", "Boards hold.\n\nSluice"),
    ("<p>By<statement><label>Theorem 1</label><p>Boards hold.</p></statement>so</p>", "By\n\nTheorem 1\n\nBoards hold.\n\nso"),
    ('<p>as shown<sup><xref ref-type="bibr">3</xref>,<xref ref-type="bibr">4</xref></sup> for 10<sup>3</sup> m</p>', "as shown[3,4] for 10^3 m"),
    ('<p>and <xref ref-type="bibr"><sup>5</sup></xref>.</p>', "and [5]."),
    ("<p>a<list><title>L</title><list-item><p>b</p><list><list-item><p>c</p></list-item></list></list-item></list></p>", "a\n\nL\n\n- b\n  - c"),
    ("<p>a\ue000b</p>", "a\ue000b"),
])
def test_nothing_with_words_is_lost(body: str, text: str) -> None:
    found = article(body)
    assert (found["title"], found["text"]) == ("On H2O", f"# On H2O\n\n{text}")


def test_the_licence_of_a_picture_is_not_the_papers() -> None:
    stated = '<permissions><license xlink:href="https://creativecommons.org/licenses/{}/4.0/"/></permissions>'
    picture = f"<fig>{stated.format('by-nc')}</fig><p>x</p>"
    assert article(picture)["license"] is None and article(picture, stated.format("by"))["license"] == "CC-BY-4.0"


def test_a_million_places_behind_a_long_block_take_no_time() -> None:
    draft, gone = Draft(), etree.Element("x")
    draft.block("word " * 200_000)
    started = time.process_time()
    for _ in range(100_000):
        draft.cut(gone, "a")
    text, media = draft.finish()
    assert len(media) == 100_000 and media[-1]["span"]["start"] == len(text) and time.process_time() - started < 10


def test_items_keep_what_stands_in_them_in_lines() -> None:
    item, draft = Draft(), Draft()
    item.block("Boards:")
    item.block("old", "- ")
    item.code("a\n  b```")
    item.block("and new.")
    item.table([["a|b", "c"], ["d", "e"]], titled=True)
    draft.take(item, "- ")
    assert draft.finish()[0] == "- Boards:\n  - old\n  ````\n  a\n    b```\n  ````\n  and new.\n  | a\\|b | c |\n  |---|---|\n  | d | e |"


def test_places_survive_the_spaces_around_them() -> None:
    draft, gone = Draft(), etree.Element("x")
    draft.block(f"where {draft.leave_out(gone, 'a')} is")
    draft.cut(gone, "b")
    draft.block("  ")
    draft.block(f"{draft.leave_out(gone, 'c')}and so on")
    text, media = draft.finish()
    assert text == "where is\n\nand so on"
    assert [(item["mime"], item["span"]["start"]) for item in media] == [("a", 6), ("b", 8), ("c", 10)]
    assert flat(f"a {PLACE} {PLACE} b") == f"a {PLACE}{PLACE}b"


@pytest.mark.parametrize(("said", "name"), [
    ("distributed under the terms of the Creative Commons Attribution License, which permits", "CC-BY"),
    ("Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International License", "CC-BY-NC-SA-4.0"),
    ("made available under the Creative Commons CC0 public domain dedication.", "CC0-1.0"),
    ("licensed CC BY-SA 3.0 by its authors", "CC-BY-SA-3.0"),
    ("see http://creativecommons.org/licenses/by-nd/2.5/", "CC-BY-ND-2.5"),
    ("This work is in the public domain.", "public-domain"),
    ("All rights reserved.", None),
])
def test_a_licence_by_its_name(said: str, name: str | None) -> None:
    assert licenses.of_statement(said) == name


def test_weaknesses_categories_and_views() -> None:
    found = list(reference.read(str(GOLDEN / "cwe.xml")))
    texts = {row["member"]: row for row in found if isinstance(row, dict)}
    assert list(texts) == ["Weakness/9001", "Category/9003", "View/9004"]
    first = texts["Weakness/9001"]
    assert first["text"].split("\n\n") == [
        "# CWE-9001: Sluice Left Open", "The product leaves a sluice open after use.", "Water may then flow:", "- upstream, or", "- downstream.",
    ]  # fmt: skip
    assert (first["uri"], first["license"]) == ("https://cwe.mitre.org/data/definitions/9001.html", "LicenseRef-CWE-Terms-of-Use")
    assert [row.reason for row in found if isinstance(row, Refused)] == ["no_text"]


@pytest.mark.parametrize(("text", "title"), [
    ("Anarchism is a political philosophy.", "Anarchism"),
    ("Albedo (; ) is the measure of reflection.", "Albedo"),
    ("In Greek mythology, Achilles was a hero.", "Achilles"),
    ("An astronomer is a scientist.", "Astronomer"),
    ("An American in Paris is a jazz piece.", "An American in Paris"),
    ("This is a list of characters.", "This is a"),
])
def test_an_article_is_about_its_first_words(tmp_path: Path, text: str, title: str) -> None:
    (tmp_path / "wiki.txt").write_text(f"\n{text}\n\n")
    (found,) = reference.read(str(tmp_path / "wiki.txt"))
    assert isinstance(found, dict) and (found["title"], found["offset"], found["text"]) == (title, 2, text)


def test_a_broken_catalogue_gives_what_stands_before_the_break(tmp_path: Path) -> None:
    whole = (GOLDEN / "cwe.xml").read_bytes()
    (tmp_path / "cut.xml").write_bytes(whole[: whole.index(b"<Views>") + 20])
    found = list(reference.read(str(tmp_path / "cut.xml")))
    assert [row.reason if isinstance(row, Refused) else row["member"] for row in found] == ["Weakness/9001", "no_text", "Category/9003", "not_xml"]
    (tmp_path / "bomb.xml").write_bytes(b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x/>')
    assert [row.reason for row in reference.read(str(tmp_path / "bomb.xml")) if isinstance(row, Refused)] == ["entities"]
    with pytest.raises(InputError, match=r"reference reads \.xml"):
        list(reference.read(str(tmp_path / "x.pdf")))
