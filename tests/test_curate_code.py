"""The signals of source code: against plain code, against files counted by hand, and whatever comes."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plain_code as plain
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers.pre_tokenizers import ByteLevel

from catalog.errors import RecipeError
from curate import code
from curate.grammars import GRAMMARS, OF_LANGUAGE, read
from curate.text.syntax import LANGUAGES, NAMES

ODD = (
    "", " ", "\n", "\n\n", "\r\n", "\x00", "\x0b\x0c\x1c\x1d\x1e\x1f", "a\u2028b\x85c", "it's they'll we've I'm'd''re", "  \t  x", "١٢٣ Ⅷ ² 日本語", "é́" * 40,
    "\\x00" * 9, '"\\x41\\x42' * 9, "41 42 43 44 45 46 47 48", "0x41,0x42,0x43,0x44,0x45,0x46,0x47,0x48,", "41, 42, 43, 44, 45, 46, 47, 48", "\\u0041" * 8,
    "A" * 64, "A" * 63, "1 2 3 4", "{0x1F, 7UL, 1.5e3, 12},", "deadbeef01 deadbeef02 00000000 11111111", "x = [1, 2, 3, 4]", "aGVsbG8gd29ybGQ5" * 4,
    "<?xml version='1.0'?>", "DO NOT EDIT", "\n" * 10 + "do not edit", "\n" * 9 + "Do Not Edit", "-" * 3990 + "do not edit",
)
PIECES = ("a", "a ", "/", "=/[", "'", '"', "`", "<", "<a ", "<script>", "(", "/*", "{-", "#", "\\x41", "41 ", "\\", "\n", "&", "=begin", "é", "1,")
KNOWN = st.characters(exclude_categories=("Cs", "Cn", "Co"))      # the module regex knows newer characters than Python does
HASHES = st.lists(st.sampled_from(["41", "0x42,", "\\x43", " ", "\n", ",", "4", "zz", "\\u0044", "_", "AB==", "9" * 30, "\t"]), max_size=60).map("".join)


def frame(texts: list[str | None], language: str | None = None, uris: list[str] | None = None) -> pl.DataFrame:
    """Documents as a source of code writes them."""
    made = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    kind = f"text/x-{language}" if language else None
    made = made.with_columns(source=pl.struct(content_type=pl.lit(kind, pl.String)))
    return made.with_columns(uri=pl.Series(uris)) if uris else made


def one(text: str, language: str | None = None, uri: str = "a") -> dict[str, Any]:
    return code.signals(frame([text], language, [uri])).row(0, named=True)


def tree(text: str, language: str, uri: str = "a", **knobs: Any) -> dict[str, Any]:
    return code.parse(frame([text], language, [uri]), **knobs).row(0, named=True)


def same(texts: list[str]) -> None:
    found = code.signals(frame(list(texts)))
    assert found.columns == list(code.ADDS) and found.height == len(texts)
    for row, text in enumerate(texts):
        for name, value in plain.signals(text).items():
            assert found[name][row] == (value if value is None else pytest.approx(value, rel=1e-12)), (name, text[:200])


def test_odd_texts_count_as_plain_code_says() -> None:
    same(list(ODD))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.text(KNOWN, max_size=80), HASHES, st.sampled_from(ODD)), max_size=5))
def test_any_text_counts_as_plain_code_says(texts: list[str]) -> None:
    same(texts)


def test_real_pages_and_code_count_as_plain_code_says(examples: Path) -> None:
    with open(examples / "web" / "c4.jsonl", encoding="utf-8") as file:
        same([json.loads(line)["text"] for line in file][:80])
    same([path.read_text("utf-8") for path in sorted((Path(__file__).parent.parent / "curate").glob("*.py"))[:20]])


FILE = '''\
# Table.  DO NOT EDIT
x = [1, 2, 3, 4]

def f():
    """Say."""
    return x  # all
'''


def test_a_file_counted_by_hand() -> None:
    assert one(FILE, "python") == {
        "language": "python", "n_lines": 6, "max_line": 21,
        "mean_line": 78 / 6,                       # 21, 16, 0, 8, 14, 19
        "chars_per_piece": 84 / 35,                # 8 to the first line break, 11, 2 line breaks, 3, 4, 7
        "alphanumeric": 36 / 84, "alphabetic": 32 / 84,
        "comments": (21 + 10 + 5) / 84,
        "visible": None, "visible_chars": None,
        "data_lines": 1 / 5,                       # x is one of eleven
        "encoded": 0.0, "longest_encoded": 0, "xml_head": False, "generated": True, "minified": False,
    }  # fmt: skip


def test_pieces_are_those_of_a_tokeniser_of_bytes(examples: Path) -> None:
    """No token reaches over two of them, so a text has at least as many tokens."""
    split = ByteLevel(add_prefix_space=False)
    with open(examples / "web" / "c4.jsonl", encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file][:40] + [path.read_text("utf-8") for path in sorted(Path(code.__file__).parent.glob("*.py"))]
    texts = [text for text in texts if text]
    for text, share in zip(texts, code.signals(frame(list(texts)))["chars_per_piece"], strict=True):
        assert share == len(text) / len(split.pre_tokenize_str(text)), text[:100]


PROGRAMS = {                                                 # each with its comments, as they stand in it
    "python": (
        '"""Doc."""\nx = 1  # one\ny = "# none"\nz = {"""a""": """b # no"""}\ndef f():\n    r"""Doc.\n    # more"""\n    "x".strip()\n    "said"\n',
        ['"""Doc."""', "# one", 'r"""Doc.\n    # more"""', '"said"'],
    ),
    "javascript": ("let a = '// no', b = `/* no\n*/ // no`; // yes\nif (/[/'\"]\\//.test(a)) b = a / 2; /* and\nthis */ return /'/g; // end",
                   ["// yes", "/* and\nthis */", "// end"]),
    "c": ("int a = '\"'; /* one */ char *s = \"// no /* no */\"; // two\n#include <x.h>\nint b = '\\\\'; // three", ["/* one */", "// two", "// three"]),
    "c++": ("auto s = R\"(// no /* )\"; int n = 1'000; // yes", ["// yes"]),
    "rust": ("fn f<'a>(x: &'a str) {} /* a /* b */ c */ let q = '\"'; // d\nlet r = r#\"// no \" no\"#; // e", ["/* a /* b */ c */", "// d", "// e"]),
    "java": ('String s = """\n // no\n """; // yes\nchar c = \'"\'; /** doc */', ["// yes", "/** doc */"]),
    "go": ("s := `// no\n/* no */` // yes", ["// yes"]),
    "ruby": ("a = \"#{b}\" # yes\n=begin\nall this\n=end\nx = '# no'", ["# yes", "=begin\nall this\n=end"]),
    "perl": ("my $n = $#a; # yes\n=pod\n\nall\n\n=cut\nprint '# no';", ["# yes", "=pod\n\nall\n\n=cut"]),
    "sh": ("echo $# ${a#b} 'x # no' # yes\n#!/bin/sh", ["# yes", "#!/bin/sh"]),
    "lua": ("x = [[ -- no ]] -- yes\n--[[ all\nthis ]] y = '-- no'", ["-- yes", "--[[ all\nthis ]]"]),
    "haskell": ("f' x = '\"' -- yes\n{- a {- b -} c -} g = \"-- no\"", ["-- yes", "{- a {- b -} c -}"]),
    "sql": ("SELECT '-- no', 'it''s' -- yes\n/* and */", ["-- yes", "/* and */"]),
    "emacs-lisp": ('(setq a ?\\" b "; no\n; no") ; yes', ["; yes"]),
    "ocaml": ("let a = \"(* no *)\" (* yes (* in *) it *)", ["(* yes (* in *) it *)"]),
    "php": ("<?php $a = '# no'; // yes\n# too\n/* and */", ["// yes", "# too", "/* and */"]),
    "html": ("<p>a <!-- yes --> <b>// no</b>", ["<!-- yes -->"]),
    "css": ("a { b: url(http://x) } /* yes */\n  // too", ["/* yes */", "// too"]),
    "fortran": ("x = '! no' ! yes", ["! yes"]),
    "matlab": ("x = \"% no\"; % yes", ["% yes"]),
    "vim": ("echo \"no\"\n  \" yes", ["\" yes"]),
}  # fmt: skip


@pytest.mark.parametrize("language", PROGRAMS)
def test_comments_are_those_marked_by_hand(language: str) -> None:
    text, comments = PROGRAMS[language]
    assert one(text, language)["comments"] == pytest.approx(sum(map(len, comments)) / len(text))


def test_comments_of_python_are_its_tokenizers() -> None:
    texts = [path.read_text("utf-8") for path in sorted(Path(code.__file__).parent.parent.glob("*/*.py"))]
    found = code.signals(frame(list(texts), "python"))["comments"]
    for text, share in zip(texts, found, strict=True):
        assert share == (pytest.approx(plain.python_comments(text) / len(text)) if text else None), text[:100]


def test_comments_are_unknown_where_the_language_is() -> None:
    assert one("# x")["comments"] is None and one("# x", "json")["comments"] is None and one("", "python")["comments"] is None
    assert code.signals(frame(["# x"]), language="python")["comments"].to_list() == [1.0]
    with pytest.raises(RecipeError, match="did you mean 'python'"):
        code.signals(frame(["x"]), language="pyhton")


@pytest.mark.parametrize(("page", "seen"), [
    ("<html><body>ab &amp; c<!-- no --><script>if (a < b) no()</script><STYLE>no</STYLE>d</body></html>", 7),
    ("<p title='a > b' alt=\"x>y\">one</p>\n", 4),
    ("<div>\n    <p>one  two</p>\n\n    </div>   ", 11),
    ("a < b && c & d", 14),
    ("<script>never closed", 0),
    ("<!-- never closed", 0),
    ("<p", 0),
    ("&#169;&copy;&;&toolongtobeone;", 20),
    ("<scripts>x</scripts>", 1),
    ("no markup", 9),
])
def test_what_is_visible_of_a_page(page: str, seen: int) -> None:
    found = one(page, "html")
    assert (found["visible_chars"], found["visible"]) == (seen, pytest.approx(seen / len(page)))
    assert one(page, "python")["visible_chars"] is None


def test_visible_text_of_a_page_is_the_parsers() -> None:
    page = (Path(__file__).parent / "golden/ingest/article.html").read_text("utf-8")
    assert one(page, "html")["visible_chars"] == plain.visible(page)
    assert one(page)["visible_chars"] == plain.visible(page)              # told by how it begins


@pytest.mark.parametrize(("text", "uri", "minified"), [
    ("function(a){return b};" * 40, "a.js", True),
    ("function (a) { return b; }\n" * 40, "a.js", False),
    ("let x = 1;\n", "dist/x.min.js", True),
    ("a{}", "x-min.css", True),
    ("let x = 1;\n", "x.min.py", False),
    ("A line of prose, as long as a paragraph is, and with white space between its words. " * 20, "a.md", False),
    ("水車は川の水で回る。" * 100, "a.md", False),
])
def test_minified(text: str, uri: str, minified: bool) -> None:
    assert one(text, None, uri)["minified"] is minified


@pytest.mark.parametrize("mark", plain.MARKS)
def test_each_mark_of_what_is_generated(mark: str) -> None:
    assert one(f"# a\n# {mark.upper()}.\nx = 1\n")["generated"] is True
    assert one(f"# {mark[:-1]}\nx = 1\n")["generated"] is any(other in mark[:-1] for other in plain.MARKS)
    assert one("\n" * 10 + mark)["generated"] is False


def test_a_mark_is_found_as_a_texts_last_bytes() -> None:
    ends = (" DO NOT EDIT", "\n\nDo not modify", "\n# Code generated BY", " DO NOT EDI")
    texts = [f"{'x' * n}{end}" for n in range(24) for end in ends]
    found = code.signals(pl.DataFrame({"text": texts}))["generated"].to_list()
    assert found == [True, True, True, False] * 24


def test_pieces_of_a_line_counted_by_hand() -> None:
    assert one("def f(x):\n    return x's  +1.25\n")["chars_per_piece"] == pytest.approx(32 / 15)


TREES = {                                                    # text, its comments, functions, types
    "python": ('"""Doc."""\nclass A:\n    def f(self):  # x\n        return lambda: 1\n', ['"""Doc."""', "# x"], 2, 1),
    "javascript": ("class A { f() { return () => 1 } } // x\nfunction g() {}", ["// x"], 3, 1),
    "typescript": ("interface I { a: number }\nconst f = (x: I): number => x.a // y", ["// y"], 1, 1),
    "java": ("/** d */ class A { int f() { return 1; } } // x", ["/** d */", "// x"], 1, 1),
    "c": ("struct s { int a; }; /* x */ int f(struct s *p) { return p->a; }", ["/* x */"], 1, 1),
    "c++": ("class A { int f() { return 1; } }; // x", ["// x"], 1, 1),
    "csharp": ("class A { int F() { return 1; } } // x", ["// x"], 1, 1),
    "go": ("package a // x\ntype T struct{}\nfunc (t T) f() { g := func() {}; g() }\n", ["// x"], 2, 1),
    "rust": ("struct A; // x\nfn f() { let g = |x| x; }", ["// x"], 2, 1),
    "ruby": ("class A # x\n  def f\n  end\nend\n", ["# x"], 1, 1),
    "php": ("<?php class A { function f() { return fn($x) => 1; } } // x", ["// x"], 2, 1),
    "sh": ("f() { echo 1; } # x\n", ["# x"], 1, 0),
    "html": ("<p>a</p><!-- x -->", ["<!-- x -->"], 0, 0),
    "css": ("a { b: c } /* x */", ["/* x */"], 0, 0),
    "json": ('{"a": [1, 2]}', [], 0, 0),
    "lua": ("local function f() end -- x\n", ["-- x"], 1, 0),
    "perl": ("sub f { return 1; } # x\n", ["# x"], 1, 0),
    "scala": ("class A { def f(x: Int): Int = x } // x\n", ["// x"], 1, 1),
    "kotlin": ("class A { fun f(): Int { return 1 } } // x\n", ["// x"], 1, 1),
    "swift": ("class A { func f() -> Int { return 1 } } // x\n", ["// x"], 1, 1),
    "haskell": ("module A where\n-- x\nf a = a\n", ["-- x"], 1, 0),
    "toml": ("a = 1 # x\n", ["# x"], 0, 0),
    "yaml": ("a: 1 # x\n", ["# x"], 0, 0),
}


@pytest.mark.parametrize("language", sorted(OF_LANGUAGE))
def test_each_grammar_reads_what_is_written_in_it(language: str) -> None:
    text, comments, functions, types = TREES[language]
    found = tree(text, language)
    assert (found["parsed"], found["refused"], found["errors"], found["n_errors"]) == (True, None, 0.0, 0)
    assert found["comments"] == pytest.approx(sum(map(len, comments)) / len(text))
    assert (found["n_functions"], found["n_types"], found["grammar"]) == (functions, types, OF_LANGUAGE[language])
    assert found["n_nodes"] > 3


@pytest.mark.parametrize("grammar", GRAMMARS)
def test_each_grammar_answers_to_anything(grammar: str) -> None:
    for text in ("", "\x00", "日本語 «{[(", "\ufeff<<<<", "'\"`" * 50, "\n\t\r" * 20, "a" * 5000):
        counts = read(text.encode(), grammar=grammar)
        assert len(counts) == 6 and all(count >= 0 for count in counts) and counts[0] <= len(text.encode())


def test_errors_are_what_a_grammar_cannot_read() -> None:
    broken = tree("def f(:\n    return 1\n", "python")
    assert broken["n_errors"] > 0 and 0 <= broken["errors"] <= 1
    assert tree("int main() { return 1 }", "c")["n_errors"] == 1           # a sign that is missing takes no bytes
    assert tree("The mill stands by the river, and its wheel turns all day.", "java")["errors"] > 0
    assert tree("const a = <b>x</b>", "typescript", "a.tsx")["grammar"] == "tsx"


def test_what_is_not_read_says_why() -> None:
    batch = frame(["x = 1", "x = 1\n" * 100, "", None], "python")
    found = code.parse(batch, max_bytes=100)
    assert found["parsed"].to_list() == [True, False, True, True]
    assert found["refused"].to_list() == [None, "too_large", None, None]
    assert found["errors"].to_list() == [0.0, None, None, None]
    other = code.parse(frame(["x"], "cobol")).row(0, named=True)
    assert other == dict.fromkeys(code.PARSED) | {"parsed": False}


@pytest.mark.parametrize(("language", "text", "reasons"), [
    ("python", "<!--" * 100_000, {"timeout", "memory"}),
    ("yaml", "- - " * 100_000, {"died", "timeout"}),                       # so deep that the grammar's own stack ends
])
def test_a_text_that_a_grammar_cannot_bear_is_refused_and_the_next_is_read(language: str, text: str, reasons: set[str]) -> None:
    found = code.parse(frame([text, "x", "y"], language), seconds=.5)
    assert found["refused"][0] in reasons and found["refused"][1:].to_list() == [None, None]
    assert found["parsed"].to_list() == [False, True, True] and found["errors"][0] is None


@pytest.mark.parametrize("stage", [code.signals, code.parse])
@pytest.mark.parametrize("columns", [("text",), ("text", "source"), ("text", "source", "uri")])
@pytest.mark.parametrize("texts", [[], [None], ["", None, "a"], ["\x00", "\ufffd", "\ufeff", "\u200d", "\u0301", "\r\n\x85", "שלום", "a" * 5000]])
def test_columns_are_those_declared_whatever_comes(stage: Any, columns: tuple[str, ...], texts: list[str | None]) -> None:
    batch = frame(texts, "python", ["a"] * len(texts) if texts else None)
    found = stage(batch.select(name for name in columns if name in batch.columns))
    adds: dict[str, pa.DataType] = stage.declares.adds
    assert found.columns == list(adds) and found.height == len(texts)
    assert found.schema == pl.from_arrow(pa.table({name: pa.array([], kind) for name, kind in adds.items()})).schema
    numbers = found.select(pl.selectors.float())
    assert not any(series.is_nan().any() or series.is_infinite().any() for series in numbers)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(NAMES), st.text(st.sampled_from("#/*\"'`\\-{}[]()<>!|;=\n abz%"), max_size=60))
def test_comments_of_anything_are_a_share(language: str, text: str) -> None:
    share = one(text, language)["comments"]
    assert share is None if not text else 0 <= share <= 1


@pytest.mark.parametrize("language", [None, "python", "javascript", "rust", "html", "perl", "lua", "emacs-lisp"])
@pytest.mark.parametrize("piece", PIECES)
def test_a_line_of_megabytes_ends(language: str | None, piece: str) -> None:
    assert code.signals(frame([piece * (400_000 // len(piece))], language)).height == 1      # a walk that goes back would take hours


LABELS = {
    "JavaScript": "javascript", "Python": "python", "Perl": "perl", "Java": "java", "Go": "go", "C++": "c++", "Rust": "rust", "PHP": "php",
    "TypeScript": "typescript", "Ruby": "ruby", "Lua": "lua", "CSS": "css", "TOML": "toml",
}  # fmt: skip


def test_comments_by_signs_are_those_of_the_trees(data: Callable[[str], Path]) -> None:
    """Real files of published packages, every eighth: two ways to the same share, and hardly a file that its grammar cannot read."""
    with gzip.open(data("code/files.jsonl.gz"), "rt", encoding="utf-8") as file:
        rows = [row for row in map(json.loads, file) if row["language"] in LABELS][::8]
    kinds = [{"content_type": f"text/x-{LABELS[row['language']]}"} for row in rows]
    batch = pl.DataFrame({"text": [row["content"] for row in rows], "source": kinds, "uri": [row["path"] for row in rows]})
    signs, trees = code.signals(batch), code.parse(batch)
    apart = (signs["comments"] - trees["comments"]).abs()
    assert batch.height > 500 and trees["parsed"].all()
    assert (apart > .005).mean() < .03 and apart.max() < .1  # type: ignore[operator]
    plain_languages = signs["language"].is_in(["c++", "css", "typescript"]).not_()
    assert (trees.filter(plain_languages)["errors"] > .01).mean() < .005  # type: ignore[operator]


def test_languages_are_names_of_the_table() -> None:
    assert set(OF_LANGUAGE) - {"json"} <= set(LANGUAGES)
    assert all(len(syntax.lines) <= 3 and len(syntax.blocks) <= 6 for syntax in LANGUAGES.values())
