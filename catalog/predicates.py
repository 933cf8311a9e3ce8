"""Predicates: the SQL over signals that polars, DuckDB and Spark read alike, checked when a policy is loaded.

Comparisons, AND OR NOT, BETWEEN, IN, IS [NOT] NULL, IS [NOT] DISTINCT FROM, LIKE, CASE, + - * %, division by a constant that is
not zero, and lower, length, abs, round, greatest, coalesce; strings in single quotes, names in small letters. No pattern
matching beyond LIKE, no subquery, nothing that one engine understands another way: what is refused here is what they
were found to disagree on. Two disagreements cannot be seen in a predicate: of a capital whose small form depends on its place
or has two letters (final sigma, İ) DuckDB's lower takes the simple form; and past a bigint polars wraps where DuckDB stops.
Verdicts are polars'.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from catalog.errors import PolicyError, near
from catalog.offered import mend

FUNCTIONS = {"lower": (1, 1), "length": (1, 1), "abs": (1, 1), "round": (1, 1), "greatest": (2, 9), "coalesce": (2, 9)}
COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")
WORDS = {"and", "or", "not", "between", "in", "is", "null", "distinct", "from", "like", "case", "when", "then", "else", "end", "true", "false"}
ELSEWHERE = {"select", "exists", "any", "all", "over", "cast", "try_cast", "rlike", "regexp", "ilike", "similar", "glob", "isnan", "with", "values"}
LONGEST, DEEPEST = 4000, 60

TOKEN = re.compile(
    r"""\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])|(?P<string>'(?:[^']|'')*')|(?P<name>[A-Za-z_]\w*)
    |(?P<sign><>|!=|<=|>=|[=<>+\-*/%(),.])|(?P<end>$)|(?P<bad>\S))""",
    re.VERBOSE | re.ASCII,
)


@dataclass(frozen=True)
class Node:
    """One operation. `value` is a column's path, a literal, or a function's name; `kind` is known once names are."""

    op: str
    args: tuple["Node", ...] = ()
    value: Any = None
    kind: str = ""


def parse(text: str, where: str = "") -> Node:
    """Return the tree of a predicate. Raises PolicyError saying what is not shared SQL."""
    return _Parser(text, where).whole()


def columns(node: Node) -> tuple[str, ...]:
    """Return the columns that a tree reads, as dotted paths in order of first use."""
    own = (node.value,) if node.op == "column" else ()
    return tuple(dict.fromkeys([*own, *(path for arg in node.args for path in columns(arg))]))


def functions(node: Node) -> set[str]:
    """Return the names of the functions that a tree calls."""
    return {node.value for _ in (0,) if node.op == "call"}.union(*(functions(arg) for arg in node.args))


class _Parser:
    """Recursive descent over the tokens of one predicate."""

    def __init__(self, text: str, where: str) -> None:
        self.text, self.where = text, where
        if len(text) > LONGEST:
            raise self.wrong(f"longer than {LONGEST} characters")
        self.tokens = [self.token(match) for match in TOKEN.finditer(text)]
        self.at = self.depth = 0

    def wrong(self, why: str) -> PolicyError:
        return PolicyError(f"{self.where}{self.text[:200]!r}: {why}")

    def token(self, match: re.Match[str]) -> tuple[str, str]:
        kind = str(match.lastgroup)
        text = match[kind]
        if kind == "bad":
            hint = {'"': "; strings take single quotes", ";": "; one predicate, no ;", "`": "; names need no quotes"}
            raise self.wrong(f"{text!r} is not shared SQL{hint.get(text, '')}")
        if kind == "name":
            if text.lower() in WORDS:
                return "word", text.lower()
            if text.lower() in ELSEWHERE:
                raise self.wrong(f"{text!r} is not in the SQL that all engines share")
            if text != text.lower():
                raise self.wrong(f"name {text!r}: write names in small letters")
        return kind, text

    def see(self, *texts: str) -> bool:
        """Say whether the next token is the first of `texts`, and the following ones the rest."""
        ahead = self.tokens[self.at : self.at + len(texts)]
        return len(ahead) == len(texts) and all(k in ("word", "sign") and t == text for (k, t), text in zip(ahead, texts, strict=True))

    def take(self, *texts: str) -> bool:
        found = self.see(*texts)
        self.at += len(texts) * found
        return found

    def need(self, text: str) -> None:
        if not self.take(text):
            kind, found = self.tokens[self.at]
            raise self.wrong(f"{text.upper()} expected, not {'the end' if kind == 'end' else repr(found)}")

    def whole(self) -> Node:
        node = self.either()
        kind, text = self.tokens[self.at]
        if kind != "end":
            raise self.wrong(f"{text!r} is not expected here")
        if not columns(node):
            raise self.wrong("it reads no column, so it says the same of every row")
        return node

    def either(self) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.wrong("nested too deep")
        nodes = [self.both()]
        while self.take("or"):
            nodes.append(self.both())
        self.depth -= 1
        return nodes[0] if len(nodes) == 1 else Node("or", tuple(nodes))

    def both(self) -> Node:
        nodes = [self.negation()]
        while self.take("and"):
            nodes.append(self.negation())
        return nodes[0] if len(nodes) == 1 else Node("and", tuple(nodes))

    def negation(self) -> Node:
        turns = 0
        while self.take("not"):
            turns += 1
        node = self.comparison()
        return Node("not", (node,)) if turns % 2 else node

    def comparison(self) -> Node:
        left = self.sum()
        for sign, op in [("!=", "<>"), *((op, op) for op in COMPARISONS)]:
            if self.take(sign):
                return Node(op, (left, self.sum()))
        if self.take("is"):
            return self.told(left)
        negated = "not " if self.take("not") else ""
        if self.take("between"):
            low = self.sum()
            self.need("and")
            return Node(f"{negated}between", (left, low, self.sum()))
        if self.take("in"):
            return Node(f"{negated}in", (left, *self.members()))
        if self.take("like"):
            pattern = self.primary()
            if pattern.op != "literal" or not isinstance(pattern.value, str) or "\\" in pattern.value:
                raise self.wrong("LIKE takes a string without a backslash: engines escape it differently")
            return Node(f"{negated}like", (left, pattern))
        if negated:
            raise self.wrong("NOT stands before BETWEEN, IN or LIKE, or before the whole")
        return left

    def told(self, left: Node) -> Node:
        negated = self.take("not")
        if self.take("null"):
            return Node("is not null" if negated else "is null", (left,))
        if not self.take("distinct", "from"):
            raise self.wrong("IS takes [NOT] NULL or [NOT] DISTINCT FROM")
        return Node("same" if negated else "differ", (left, self.sum()))

    def members(self) -> list[Node]:
        self.need("(")
        found = [self.constant()]
        while self.take(","):
            found.append(self.constant())
        self.need(")")
        return found

    def constant(self) -> Node:
        negative = self.take("-")
        node = self.primary()
        if node.op != "literal" or (negative and not isinstance(node.value, int | float)):
            raise self.wrong("IN takes numbers and strings, not NULL or columns")
        return replace(node, value=-node.value) if negative else node

    def sum(self) -> Node:
        node = self.product()
        while self.see("+") or self.see("-"):
            op = "+" if self.take("+") else "-"
            self.at += op == "-"
            node = Node(op, (node, self.product()))
        return node

    def product(self) -> Node:
        node = self.unary()
        while self.see("*") or self.see("/") or self.see("%"):
            op = self.tokens[self.at][1]
            self.at += 1
            right = self.unary()
            if op != "*" and (right.op != "literal" or not right.value):
                raise self.wrong(f"{op} takes a constant that is not zero")
            if op == "%" and not isinstance(right.value, int):
                raise self.wrong("% takes a whole number; of fractions each engine leaves another rest")
            node = Node(op, (node, right))
        return node

    def unary(self) -> Node:
        if not self.take("-"):
            return self.primary()
        node = self.primary()
        number = node.op == "literal" and isinstance(node.value, int | float)
        return replace(node, value=-node.value) if number else Node("minus", (node,))

    def primary(self) -> Node:
        kind, text = self.tokens[self.at]
        if self.take("("):
            node = self.either()
            self.need(")")
            return node
        if self.take("case"):
            return self.case()
        if self.take("true") or self.take("false"):
            return Node("literal", value=text == "true", kind="boolean")
        self.at += 1
        if kind == "number":
            return Node("literal", value=self.number(text), kind="number")
        if kind == "string":
            return Node("literal", value=text[1:-1].replace("''", "'"), kind="string")
        if kind == "name":
            return self.call(text) if self.take("(") else self.column(text)
        raise self.wrong("it ends too early" if kind == "end" else f"{text.upper()!r} is not expected here")

    def number(self, text: str) -> int | float:
        if not text.isdigit():
            if math.isinf(found := float(text)):
                raise self.wrong(f"{text} is too large for a double")
            return found
        if int(text) >= 1 << 63:
            raise self.wrong(f"{text} is too large for a bigint")
        return int(text)

    def column(self, name: str) -> Node:
        path = [name]
        while self.take("."):
            kind, text = self.tokens[self.at]
            if kind not in ("name", "word"):
                raise self.wrong(f"a name is expected after {'.'.join(path)}.")
            path.append(text)
            self.at += 1
        return Node("column", value=".".join(path))

    def call(self, name: str) -> Node:
        if name not in FUNCTIONS:
            pattern = "; patterns take LIKE" if name.startswith("reg") else ""
            raise self.wrong(f"no function {name!r} that all engines share{near(name, FUNCTIONS, 0.7)}{pattern}")
        args = [self.either()]
        while self.take(","):
            args.append(self.either())
        self.need(")")
        least, most = FUNCTIONS[name]
        if not least <= len(args) <= most:
            raise self.wrong(f"{name} takes {least if least == most else f'{least} to {most}'} arguments, not {len(args)}")
        return Node("call", tuple(args), name)

    def case(self) -> Node:
        args = []
        while self.take("when"):
            args.append(self.either())
            self.need("then")
            args.append(self.either())
        if not args:
            raise self.wrong("CASE takes WHEN condition THEN value")
        if self.take("else"):
            args.append(self.either())
        self.need("end")
        return Node("case", tuple(args))


def typed(node: Node, known: Mapping[str, str], where: str = "") -> Node:
    """Return the tree with kinds, names checked against `known` (dotted path -> Arrow type as text), dates read from strings.

    Raises PolicyError for an unknown name, with the nearest, and for things that do not compare.
    """
    if node.op == "literal":
        return node
    if node.op == "column":
        return replace(node, kind=kind_of(_known(node.value, known, where)))
    args = tuple(typed(arg, known, where) for arg in node.args)
    return replace(node, args=(args := _dated(node.op, args, where)), kind=_result(node, args, where))


def _known(path: str, known: Mapping[str, str], where: str) -> str:
    if path in known:
        return known[path]
    family, _, column = path.partition(".")
    inside = [name.partition(".")[2] for name in known if name.startswith(f"{family}.")]
    if column and inside:
        raise PolicyError(f"{where}{family!r} has no signal {column!r}{near(column, inside)}")
    if not column:
        raise PolicyError(f"{where}no column {family!r}{near(family, {name.partition('.')[0] for name in known})}; signals come from the recipe's stages")
    raise PolicyError(f"{where}no family {family!r}{mend(family, {name.partition('.')[0] for name in known if '.' in name})}")


def kind_of(arrow: str) -> str:
    """Return what an Arrow type is to a predicate: number, string, boolean, date, timestamp or nested."""
    if arrow.startswith(("int", "uint", "float", "double", "halffloat")):
        return "number"
    for start, kind in (("large_string", "string"), ("string", "string"), ("bool", "boolean"), ("date", "date"), ("timestamp", "timestamp")):
        if arrow.startswith(start):
            return kind
    return "nested"


def _dated(op: str, args: tuple[Node, ...], where: str) -> tuple[Node, ...]:
    """A string that stands against a date is one: engines that are handed strings cast, refuse or compare letters."""
    times = {arg.kind for arg in args} & {"date", "timestamp"}
    if not times or op in ("and", "or", "not", "call", "case"):
        return args
    kind = "timestamp" if "timestamp" in times else "date"
    return tuple(_date(arg, kind, where) if arg.op == "literal" and arg.kind == "string" else arg for arg in args)


def _date(node: Node, kind: str, where: str) -> Node:
    try:
        value = datetime.fromisoformat(node.value) if kind == "timestamp" else date.fromisoformat(node.value)
    except ValueError:
        raise PolicyError(f"{where}{node.value!r} is not a {kind}; write '2026-01-31'") from None
    if isinstance(value, datetime) and value.tzinfo is not None:
        raise PolicyError(f"{where}{node.value!r}: times are UTC; write it without a zone")
    return replace(node, value=value, kind=kind)


def _result(node: Node, args: tuple[Node, ...], where: str) -> str:
    """Return the kind of an operation's result, having checked those of its arguments."""
    kinds = [arg.kind for arg in args]

    def all_are(kind: str, some: list[str] = kinds) -> None:
        for found in some:
            if found != kind:
                raise PolicyError(f"{where}{node.value or node.op.upper()} takes a {kind}, not a {found}")

    if node.op in ("and", "or", "not"):
        all_are("boolean")
    elif node.op in ("like", "not like") or node.value in ("lower", "length"):
        all_are("string")
    elif node.op in ("+", "-", "*", "/", "%", "minus") or node.value in ("abs", "round", "greatest"):
        all_are("number")
    elif node.op == "case":
        all_are("boolean", kinds[:-1:2] if len(kinds) % 2 else kinds[::2])
        kinds = kinds[1::2] + (kinds[-1:] if len(kinds) % 2 else [])
        all_are(kinds[0], kinds)
        return kinds[0]
    elif node.op not in ("is null", "is not null"):
        if "nested" in kinds or len(set(kinds)) > 1:
            raise PolicyError(f"{where}{' and '.join(dict.fromkeys(kinds))} do not compare")
        if node.value == "coalesce":
            return kinds[0]
    numeric = node.op in ("+", "-", "*", "/", "%", "minus") or node.value in ("length", "abs", "round", "greatest")
    return "number" if numeric else "string" if node.value == "lower" else "boolean"
