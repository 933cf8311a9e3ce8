"""How languages write comments and strings: a small table of facts, by the names that `source.content_type` gives languages (`text/x-NAME`).

Enough to count the characters of comments without a grammar. What it does not know: strings over several lines where a language has no sign of its
own for them, here-documents, and comments of one language inside another (scripts in a page).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

SPACED, LINE_START = 1, 2
"""Of a comment's sign: it counts behind white space alone (`$#` is none in a shell), or where nothing but white space stands before it in its line."""
COMMENT, TEXT, ESCAPED, NESTS, MARGIN = 1, 2, 4, 8, 16
"""Of a block: what it is; a backslash takes the meaning of what follows; blocks stand in blocks; both its signs stand at the very start of a line, and a
letter follows the first, as Perl's `=pod` ... `=cut` (which ends with its line)."""
DOCS, CHARS, REGEX, BACKSLASH, QUESTION = 1, 2, 4, 8, 16
"""Of a language: a string that is a statement documents; `'` begins one character and else means something (lifetimes, primes, 1'000); `/` may begin a
regular expression; a backslash outside strings, and Emacs Lisp's `?`, are followed by a character."""
WIDTH, LINES, BLOCKS = 8, 3, 6

Block = tuple[str, str, int]


@dataclass(frozen=True)
class Syntax:
    """`lines`: signs of comments to the end of the line, with their flags; `quotes`: what strings within a line begin and end with; `long_quotes`: within
    a text; `escapes`: a backslash in strings takes the meaning of what follows."""

    lines: tuple[tuple[str, int], ...] = ()
    blocks: tuple[Block, ...] = ()
    quotes: str = ""
    long_quotes: str = ""
    escapes: bool = True
    flags: int = 0


STARS, NESTED_STARS = ("/*", "*/", COMMENT), ("/*", "*/", COMMENT | NESTS)
SLASHES, HASH, SPACED_HASH, DASHES = ("//", 0), ("#", 0), ("#", SPACED), ("--", 0)
TRIPLE, TRIPLE_SINGLE = ('"""', '"""', TEXT | ESCAPED), ("'''", "'''", TEXT | ESCAPED)
MARKUP = Syntax(blocks=(("<!--", "-->", COMMENT),))
C = Syntax((SLASHES,), (STARS,), '"', flags=CHARS)
HASHED = Syntax((HASH,), quotes="\"'")
SHELL = Syntax((SPACED_HASH,), quotes="\"'")
PYTHON = Syntax((HASH,), (TRIPLE, TRIPLE_SINGLE), "\"'", flags=DOCS)
SCRIPT = Syntax((SLASHES,), (STARS,), "\"'", "`", flags=REGEX)
LISP = Syntax(((";", 0),), (("#|", "|#", COMMENT | NESTS),), "", '"', flags=BACKSLASH)
ML = Syntax((), (("(*", "*)", COMMENT | NESTS),), '"', flags=CHARS)
PERL = Syntax((SPACED_HASH,), (("=", "=cut", COMMENT | MARGIN),), "\"'")

LANGUAGES: dict[str, Syntax] = {
    **dict.fromkeys(("c", "objective-c", "protobuf", "solidity", "glsl", "opencl", "wgsl", "bison", "flex", "move", "vala"), C),
    **dict.fromkeys(("html", "xml", "vue", "svelte"), MARKUP),
    **dict.fromkeys(("python", "cython", "starlark", "gdscript"), PYTHON),
    **dict.fromkeys(("r", "julia", "elixir", "crystal", "yaml", "toml", "graphql", "awk", "just", "meson", "raku"), HASHED),
    **dict.fromkeys(("sh", "fish", "tcl", "makefile", "dockerfile", "puppet", "nushell", "sed"), SHELL),
    **dict.fromkeys(("javascript", "typescript"), SCRIPT),
    **dict.fromkeys(("lisp", "scheme", "clojure"), LISP),
    **dict.fromkeys(("ocaml", "coq"), ML),
    **dict.fromkeys(("ada", "vhdl"), Syntax((DASHES,), quotes='"', escapes=False)),
    **dict.fromkeys(("haskell", "elm", "purescript", "agda", "idris"), Syntax((DASHES,), (("{-", "-}", COMMENT | NESTS),), '"', flags=CHARS)),
    **dict.fromkeys(("hcl", "terraform", "thrift"), Syntax((SLASHES, HASH), (STARS,), '"')),
    "c++": Syntax((SLASHES,), (STARS, ('R"(', ')"', TEXT)), '"', flags=CHARS),
    "java": Syntax((SLASHES,), (STARS, TRIPLE), '"', flags=CHARS),
    "kotlin": Syntax((SLASHES,), (NESTED_STARS, ('"""', '"""', TEXT)), '"', flags=CHARS),
    "scala": Syntax((SLASHES,), (NESTED_STARS, ('"""', '"""', TEXT)), '"', flags=CHARS),
    "swift": Syntax((SLASHES,), (NESTED_STARS, TRIPLE), '"'),
    "csharp": Syntax((SLASHES,), (STARS, ('"""', '"""', TEXT), ('@"', '"', TEXT)), '"', flags=CHARS),
    "groovy": Syntax((SLASHES,), (STARS, TRIPLE, TRIPLE_SINGLE), "\"'"),
    "dart": Syntax((SLASHES,), (STARS, TRIPLE, TRIPLE_SINGLE), "\"'"),
    "go": Syntax((SLASHES,), (STARS,), '"', "`", flags=CHARS),
    "rust": Syntax((SLASHES,), (NESTED_STARS, ('r#"', '"#', TEXT), ('r##"', '"##', TEXT)), "", '"', flags=CHARS),
    "zig": Syntax((SLASHES,), quotes='"', flags=CHARS),
    "d": Syntax((SLASHES,), (STARS, ("/+", "+/", COMMENT | NESTS)), '"', "`", flags=CHARS),
    "verilog": Syntax((SLASHES,), (STARS,), '"'),
    "php": Syntax((SLASHES, HASH), (STARS,), "\"'"),
    "css": Syntax((("//", LINE_START),), (STARS,), "\"'"),
    "stylus": Syntax((("//", SPACED),), (STARS,), "\"'"),
    "ruby": Syntax((SPACED_HASH,), (("=begin", "=end", COMMENT | MARGIN),), "\"'"),
    "perl": PERL,
    "lua": Syntax(
        (DASHES,), (("--[[", "]]", COMMENT), ("--[=[", "]=]", COMMENT), ("--[==[", "]==]", COMMENT), ("[[", "]]", TEXT), ("[=[", "]=]", TEXT)), "\"'"
    ),
    "sql": Syntax((DASHES,), (STARS,), "\"'", escapes=False),
    "nim": Syntax((HASH,), (("#[", "]#", COMMENT | NESTS), ('"""', '"""', TEXT)), '"', flags=CHARS),
    "powershell": Syntax((SPACED_HASH,), (("<#", "#>", COMMENT),), "\"'", escapes=False),
    "cmake": Syntax((HASH,), (("#[[", "]]", COMMENT), ("[[", "]]", TEXT)), '"'),
    "nix": Syntax((HASH,), (STARS, ("''", "''", TEXT)), '"'),
    "coffeescript": Syntax((HASH,), (("###", "###", COMMENT), TRIPLE, TRIPLE_SINGLE), "\"'"),
    "fsharp": Syntax((SLASHES,), (("(*", "*)", COMMENT | NESTS), TRIPLE), '"', flags=CHARS),
    "pascal": Syntax((SLASHES,), (("{", "}", COMMENT), ("(*", "*)", COMMENT)), "'", escapes=False),
    "emacs-lisp": Syntax(((";", 0),), (), "", '"', flags=BACKSLASH | QUESTION),
    "erlang": Syntax((("%", 0),), quotes="\"'"),
    "prolog": Syntax((("%", 0),), (STARS,), "\"'"),
    "matlab": Syntax((("%", 0),), (("%{", "%}", COMMENT),), '"', escapes=False),
    "fortran": Syntax((("!", 0),), quotes="\"'", escapes=False),
    "vim": Syntax((('"', LINE_START),)),
    "batch": Syntax((("::", LINE_START), ("rem ", LINE_START), ("REM ", LINE_START))),
    "asm": Syntax(((";", 0), SLASHES), (STARS,), '"'),
    "lean": Syntax((DASHES,), (("/-", "-/", COMMENT | NESTS),), '"', flags=CHARS),
    "jinja": Syntax(blocks=(("{#", "#}", COMMENT), ("<!--", "-->", COMMENT))),
    "m4": Syntax((HASH, ("dnl", SPACED))),
    "ini": Syntax((("#", LINE_START), (";", LINE_START))),
}  # fmt: skip
NAMES = tuple(LANGUAGES)

LINE_COMES, BLOCK_COMES, QUOTE, LONG_QUOTE, ONE_CHARACTER, SLASH, SKIPS, BRACKET = (1 << bit for bit in range(8))
"""What a byte may be the beginning of, in a language."""


@dataclass(frozen=True)
class Tables:
    """The languages as arrays, a row each. Signs are bytes, filled up with 0; their lengths say how many count (0: no such sign)."""

    begins: npt.NDArray[np.uint8]  # (languages, 256)
    line_signs: npt.NDArray[np.uint8]  # (languages, LINES, WIDTH)
    line_lengths: npt.NDArray[np.int64]
    line_flags: npt.NDArray[np.int64]
    opens: npt.NDArray[np.uint8]  # (languages, BLOCKS, WIDTH), the longest first
    open_lengths: npt.NDArray[np.int64]
    closes: npt.NDArray[np.uint8]
    close_lengths: npt.NDArray[np.int64]
    block_flags: npt.NDArray[np.int64]
    flags: npt.NDArray[np.int64]  # (languages, 2): the language's flags; 1 where strings have escapes


@lru_cache(maxsize=1)
def tables() -> Tables:
    """Return what the kernel of `curate.text.comments` wants to know of LANGUAGES, in the order of NAMES."""
    begins = np.zeros((len(NAMES), 256), np.uint8)
    lines, blocks = [], []
    for row, syntax in enumerate(LANGUAGES.values()):
        ordered = sorted(syntax.blocks, key=lambda block: -len(block[0]))
        lines.append(ordered_lines := list(syntax.lines))
        blocks.append(ordered)
        _begin(begins[row], (sign[0] for sign, _ in ordered_lines), LINE_COMES)
        _begin(begins[row], (opened[0] for opened, _, _ in ordered), BLOCK_COMES)
        _begin(begins[row], syntax.quotes, QUOTE)
        _begin(begins[row], syntax.long_quotes, LONG_QUOTE)
        _begin(begins[row], "'" if syntax.flags & CHARS else "", ONE_CHARACTER)
        _begin(begins[row], "/" if syntax.flags & REGEX else "", SLASH)
        _begin(begins[row], ("\\" if syntax.flags & BACKSLASH else "") + ("?" if syntax.flags & QUESTION else ""), SKIPS)
        _begin(begins[row], "()[]{}" if syntax.flags & DOCS else "", BRACKET)
    line_signs, line_lengths = _signs([[sign for sign, _ in row] for row in lines], LINES)
    opens, open_lengths = _signs([[opened for opened, _, _ in row] for row in blocks], BLOCKS)
    closes, close_lengths = _signs([[closed for _, closed, _ in row] for row in blocks], BLOCKS)
    flags = np.array([[syntax.flags, syntax.escapes] for syntax in LANGUAGES.values()], np.int64)
    return Tables(
        begins, line_signs, line_lengths, _padded([[flag for _, flag in row] for row in lines], LINES),
        opens, open_lengths, closes, close_lengths, _padded([[flag for _, _, flag in row] for row in blocks], BLOCKS), flags,
    )  # fmt: skip


def _begin(begins: npt.NDArray[np.uint8], signs: Iterable[str], flag: int) -> None:
    for sign in signs:
        begins[ord(sign)] |= flag


def _signs(rows: list[list[str]], most: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    padded = [[sign.encode() for sign in row] + [b""] * (most - len(row)) for row in rows]
    return np.array([[list(sign.ljust(WIDTH, b"\0")) for sign in row] for row in padded], np.uint8), np.array([[len(sign) for sign in row] for row in padded])


def _padded(rows: list[list[int]], most: int) -> npt.NDArray[np.int64]:
    return np.array([row + [0] * (most - len(row)) for row in rows], np.int64)
