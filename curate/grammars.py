"""Source code read by tree-sitter's grammars: the one door to tree_sitter, which runs in a process of its own (`Worker("curate.grammars:read")`).

Grammars are C, and code that is no code makes some of them slow. Each is a package of its own, with nothing to fetch when it is used; all are MIT-licensed.
"""

import importlib
import importlib.util
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from catalog.errors import SetupError

MEMORY = 2 << 30
"""Bytes of address space that reading may take: a megabyte of code makes a tree of some tens."""


READ = ("error_bytes", "n_errors", "comment_bytes", "n_functions", "n_types", "n_nodes")
"""What `read` returns."""


@dataclass(frozen=True)
class Grammar:
    """`package` and what in it gives the language; queries for what is counted: comments, functions and methods, classes and their like."""

    package: str
    comments: tuple[str, ...] = ("(comment)",)
    functions: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    language: str = "language"

    @property
    def query(self) -> str:
        """All that is captured, in tree-sitter's language of queries."""
        named = (("comment", self.comments), ("function", self.functions), ("type", self.types))
        return "\n".join(["(ERROR) @error", "(MISSING) @missing", *(f"{pattern} @{name}" for name, patterns in named for pattern in patterns)])


LINE_AND_BLOCK = ("(line_comment)", "(block_comment)")
C_TYPES = tuple(f"({kind}_specifier body: (_))" for kind in ("struct", "union", "enum"))
SCRIPT = tuple(f"({kind})" for kind in (
    "function_declaration", "function_expression", "generator_function", "generator_function_declaration", "arrow_function", "method_definition",
))  # fmt: skip
TYPED_TYPES = ("(class)", "(class_declaration)", "(abstract_class_declaration)", "(interface_declaration)", "(enum_declaration)")
GRAMMARS: dict[str, Grammar] = {
    "bash": Grammar("tree_sitter_bash", functions=("(function_definition)",)),
    "c": Grammar("tree_sitter_c", functions=("(function_definition)",), types=C_TYPES),
    "cpp": Grammar(
        "tree_sitter_cpp", functions=("(function_definition)", "(lambda_expression)"), types=(*C_TYPES, "(class_specifier body: (_))"),
    ),
    "c-sharp": Grammar(
        "tree_sitter_c_sharp",
        functions=("(method_declaration)", "(constructor_declaration)", "(destructor_declaration)", "(local_function_statement)", "(lambda_expression)"),
        types=("(class_declaration)", "(struct_declaration)", "(record_declaration)", "(interface_declaration)", "(enum_declaration)"),
    ),
    "css": Grammar("tree_sitter_css", ("(comment)", "(js_comment)")),
    "go": Grammar(
        "tree_sitter_go", functions=("(function_declaration)", "(method_declaration)", "(func_literal)"), types=("(struct_type)", "(interface_type)"),
    ),
    "haskell": Grammar("tree_sitter_haskell", ("(comment)", "(haddock)"), ("(function)",), ("(data_type)", "(newtype)", "(class)")),
    "html": Grammar("tree_sitter_html"),
    "java": Grammar(
        "tree_sitter_java", LINE_AND_BLOCK,
        ("(method_declaration)", "(constructor_declaration)", "(compact_constructor_declaration)", "(lambda_expression)"),
        ("(class_declaration)", "(interface_declaration)", "(enum_declaration)", "(record_declaration)", "(annotation_type_declaration)"),
    ),
    "javascript": Grammar("tree_sitter_javascript", ("(comment)", "(html_comment)"), SCRIPT, ("(class)", "(class_declaration)")),
    "json": Grammar("tree_sitter_json"),
    "kotlin": Grammar(
        "tree_sitter_kotlin", LINE_AND_BLOCK, ("(function_declaration)", "(anonymous_function)", "(secondary_constructor)", "(lambda_literal)"),
        ("(class_declaration)", "(object_declaration)", "(companion_object)"),
    ),
    "lua": Grammar("tree_sitter_lua", functions=("(function_declaration)", "(function_definition)")),
    "perl": Grammar(
        "tree_sitter_perl", ("(comment)", "(pod)"),
        ("(subroutine_declaration_statement)", "(anonymous_subroutine_expression)", "(method_declaration_statement)"), ("(class_statement)",),
    ),
    "php": Grammar(
        "tree_sitter_php", functions=("(function_definition)", "(method_declaration)", "(anonymous_function)", "(arrow_function)"),
        types=("(class_declaration)", "(interface_declaration)", "(trait_declaration)", "(enum_declaration)"), language="language_php",
    ),
    "python": Grammar(
        "tree_sitter_python", ("(comment)", "(expression_statement . (string) .)"), ("(function_definition)", "(lambda)"), ("(class_definition)",),
    ),
    "ruby": Grammar(
        "tree_sitter_ruby", functions=("(method)", "(singleton_method)", "(lambda)"), types=("(class)", "(module)", "(singleton_class)"),
    ),
    "rust": Grammar(
        "tree_sitter_rust", LINE_AND_BLOCK, ("(function_item)", "(closure_expression)"), ("(struct_item)", "(enum_item)", "(trait_item)", "(union_item)"),
    ),
    "scala": Grammar(
        "tree_sitter_scala", ("(comment)", "(block_comment)"), ("(function_definition)", "(lambda_expression)"),
        ("(class_definition)", "(trait_definition)", "(object_definition)", "(enum_definition)"),
    ),
    "swift": Grammar(
        "tree_sitter_swift", ("(comment)", "(multiline_comment)"), ("(function_declaration)", "(init_declaration)", "(lambda_literal)"),
        ("(class_declaration)", "(protocol_declaration)"),
    ),
    "toml": Grammar("tree_sitter_toml"),
    "tsx": Grammar("tree_sitter_typescript", ("(comment)", "(html_comment)"), SCRIPT, TYPED_TYPES, "language_tsx"),
    "typescript": Grammar("tree_sitter_typescript", ("(comment)", "(html_comment)"), SCRIPT, TYPED_TYPES, "language_typescript"),
    "yaml": Grammar("tree_sitter_yaml"),
}  # fmt: skip
OTHERWISE_NAMED = {"sh": "bash", "c++": "cpp", "csharp": "c-sharp"}
OF_LANGUAGE = {name: name for name in GRAMMARS if name not in OTHERWISE_NAMED.values() and name != "tsx"} | {"c": "c"} | OTHERWISE_NAMED
"""The grammar of each language that has one, by the names that content types give languages."""


@cache
def check_installed() -> None:
    """Raise SetupError, naming them, where packages are missing."""
    missing = sorted({name for name in ("tree_sitter", *(grammar.package for grammar in GRAMMARS.values())) if importlib.util.find_spec(name) is None})
    if missing:
        raise SetupError(f"code.parse needs {', '.join(missing)}: not installed; `make demo` installs what requirements/*.lock lists")


def read(payload: bytes, *, grammar: str) -> list[int]:
    """Return READ of the tree of a source file: bytes in errors, errors and missing signs, bytes of comments, functions, types, nodes."""
    parser, query = _loaded(grammar)
    tree = parser.parse(payload)
    from tree_sitter import QueryCursor

    found = QueryCursor(query).captures(tree.root_node)
    errors, comments = ([(node.start_byte, node.end_byte) for node in found.get(name, ())] for name in ("error", "comment"))
    counted = (len(found.get(name, ())) for name in ("function", "type"))
    return [covered(errors), len(errors) + len(found.get("missing", ())), covered(comments), *counted, tree.root_node.descendant_count]


def covered(spans: Sequence[tuple[int, int]]) -> int:
    """Return how many bytes spans cover together: some stand in others."""
    total = reached = 0
    for start, end in sorted(spans):
        total += max(end - max(start, reached), 0)
        reached = max(reached, end)
    return total


@cache
def _loaded(name: str) -> tuple[Any, Any]:
    """A parser and the query for a grammar."""
    from tree_sitter import Language, Parser, Query

    grammar = GRAMMARS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # older packages give the language as a number
        language = Language(getattr(importlib.import_module(grammar.package), grammar.language)())
    return Parser(language), Query(language, grammar.query)
