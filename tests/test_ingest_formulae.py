"""Formulae of pages: TeX where the page carries it, a line where it does not, once and in their place."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.pages.fast import extract
from ingest.pages.formulae import written

PROSE = "The energy of the water above the weir turns the wheel of the mill, and what is left of it goes down the river to the sea. "
WIKI = (
    '<span class="mwe-math-element"><span style="display: none;"><math xmlns="http://www.w3.org/1998/Math/MathML" alttext="{\\displaystyle E=mc^{2}}">'
    '<semantics><mi>E</mi><annotation encoding="application/x-tex">{\\displaystyle E=mc^{2}}</annotation></semantics></math></span>'
    '<img src="x.svg" class="mwe-math-fallback-image-inline" aria-hidden="true" alt="{\\displaystyle E=mc^{2}}"/></span>'
)
KATEX = (
    '<span class="katex"><span class="katex-mathml"><math><semantics><mrow><mi>a</mi></mrow><annotation encoding="application/x-tex">a &lt; b'
    '</annotation></semantics></math></span><span class="katex-html" aria-hidden="true">'
    '<span class="base"><span class="mord">a</span>&lt;<span>b</span></span></span></span>'
)


@pytest.mark.parametrize(("markup", "text"), [
    ('<math alttext="x^2"><msup><mi>x</mi><mn>2</mn></msup></math>', "$x^2$"), ('<math display="block" alttext="\\sum_i i"><mi>i</mi></math>', "$$\\sum_i i$$"),
    ("<math><msup><mi>x</mi><mn>2</mn></msup><mo>+</mo><mi>y</mi></math>", "x^2 + y"),
    ("<m:math><m:mfrac><m:mi>a</m:mi><m:mi>b</m:mi></m:mfrac></m:math>", "a/b"),
    ('<script type="math/tex">\\frac{a}{b}</script>', "$\\frac{a}{b}$"), ('<script type="math/tex; mode=display">a</script>', "$$a$$"),
    ('<img class="latex" src="y" alt="a&amp;b">', "$a&b$"), (WIKI, "$E=mc^{2}$"), (KATEX, "$a < b$"),
])  # fmt: skip
def test_a_formula_stands_in_its_sentence(markup: str, text: str) -> None:
    page = f"<html><body><article><p>{PROSE}It is {markup} by weight. {PROSE}</p><p>{PROSE * 3}</p></article></body></html>"
    found = extract(page.encode(), url="http://a.example/")
    assert found is not None
    assert f"It is {text} by weight." in found["text"]
    assert found["text"].count(text) == 1


def test_what_is_no_formula_stays() -> None:
    for page in (b"<p>mathematics</p>", b"<math", b"<math><mi>a", b"<p>katex-html</p>", b'<img class="photo" alt="$5"> <math-field>'):
        assert written(page) == page


PIECES = (
    b"<math>", b"</math>", b"<mi>", b"x", b'<math alttext="a">', b'<span class="katex-html">', b"<span>", b"</span>", b'class="latex"',
    b'<img class="tex" alt="', b'">', b'<script type="math/tex">', b"</script>", b"<annotation encoding='application/x-tex'>", b"\xff",
)  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_any_bytes_are_a_page(pieces: list[bytes]) -> None:
    written(b"".join(pieces))


@pytest.mark.parametrize("piece", [*PIECES, b"<math ", b'<math alttext="', b"<annotation ", b"<math>a</math>", b"<img class='tex' "])
def test_hostile_pages_take_no_time(piece: bytes) -> None:
    page = b"<math>katex-html mwe-math" + piece * (2_000_000 // len(piece))
    before = time.process_time()
    written(page)
    assert time.process_time() - before < 10.0
