"""Wikitext: code as it was, brackets without what was left out of them, a wiktionary's templates; and anything at all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.entries import wikitext


@pytest.mark.parametrize(("source", "text"), [
    ("<syntaxhighlight lang=\"py\">\nx = ''\ny = f()\n'''doc'''\n</syntaxhighlight>", "```\nx = ''\ny = f()\n'''doc'''\n```"),
    ("Call <code>open()</code> or printf() once.", "Call open() or printf() once."),
    ("Use <syntaxhighlight lang=\"c\" inline>x = f()</syntaxhighlight> here.", "Use x = f() here."),
    ("<pre>\na &lt; b &amp;&amp; f()\n</pre>", "```\na < b && f()\n```"), ("A <nowiki>''raw'' &lt;b&gt;</nowiki> b.", "A ''raw'' <b> b."),
    ("The lock ({{IPA|x}}; {{lang-nl|sluis}}) is.", "The lock (sluis) is."), ("The lock ({{IPA|x}}, {{audio|y}}) is.", "The lock is."),
    ("The lock (sluis; {{IPA|x}}) is (old).", "The lock (sluis) is (old)."), ("An ''odd' quote'''.", "An odd' quote'."),
    ("; Weir : a dam\n: as said\nof old\n* a\n*: b", "Weir: a dam\n\nas said of old\n\n- a\n- b"),
    ("# {{lb|en|x}} To open {{l|en|gate}}.\n# {{plural of|en|weir}}\n#: {{ux|en|It '''opens'''.}}",
    "- To open gate.\n- plural of weir\n- It opens."),
    ("{{ubl|a|b|c}} {{yes}}", "a, b, c Yes"), ("<poem>\nOne line,\nand two.\n</poem>", "One line,\n\nand two."),
    ("{|\n| {{flag|France}} || {{sortname|Ann|Lock}}\n|}", "| France | Ann Lock |"),
])
def test_code_and_what_is_left_out(source: str, text: str) -> None:
    assert wikitext.convert(source.encode(), cut=["File"])["text"] == text


@given(st.lists(st.sampled_from(["{{", "}}", "[[", "]]", "|", "''", "\n", "=", "==", "* ", "{|", "|-", "|}", "! ", "<ref>", "</ref>", "<br>", "&amp;",
    "File:", "convert", "a", "<nowiki>", "</div>", "{{{"]), max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_wikitext_is_text(pieces: list[str]) -> None:
    assert isinstance(wikitext.convert("".join(pieces).encode(), cut=["File"])["text"], str)
