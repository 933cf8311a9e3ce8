"""TeX as tokens: comments gone, the author's own macros expanded within bounds. No TeX is run.

`newcommand`, `renewcommand`, `providecommand`, `DeclareMathOperator`, `def` with plain parameters and `let` are understood; conditionals
are `iffalse` (gone) or their first branch. A macro that calls itself stands for nothing; a source whose macros grow without end
is refused.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

TOKEN = re.compile(r"\\(?:[A-Za-z@]+\*?|.|$)|\$\$?|[{}\[\]#&~]|\n[ \t]*\n\s*|[^\\${}\[\]#&~\n]+|\n", re.S)
COMMENT = re.compile(r"(\\(?:url|href|path|nolinkurl)[ \t]{0,9}\{[^{}\n]{0,2000}\})|(?<!\\)((?:\\\\)*)%[^\n]*(?:\n[ \t]*(?=\S))?")
"""A comment with the backslashes before it; or an address, in which a per cent sign is none."""
VERBATIM = re.compile(
    r"\\begin\{(verbatim\*?|lstlisting|minted|Verbatim|alltt|comment)\}|\\verb\*?([^\w\s*])[^\n]{0,1000}?\2"
    r"|\\lstinline(?:\[[^\]]{0,200}\])?([^\w\s{\[])[^\n]{0,1000}?\3"
)
LETTER, ENDS_NAMED = re.compile("[A-Za-z@]"), re.compile(r"\\[A-Za-z@]+$")
LOOK_BACK = 2000
"""Characters of a line before a verbatim stretch in which the comment is looked for that it may stand in."""
DEFINES = {"\\newcommand", "\\renewcommand", "\\providecommand", "\\DeclareRobustCommand", "\\newcommand*", "\\renewcommand*", "\\providecommand*",
           "\\DeclareRobustCommand*"}  # fmt: skip
OPERATORS = {"\\DeclareMathOperator", "\\DeclareMathOperator*"}
PLAIN_DEFS = {"\\def", "\\gdef", "\\edef", "\\xdef", "\\long", "\\global"}
KEPT = {
    "\\begin", "\\end", "\\section", "\\cite", "\\item", "\\label", "\\ref", "\\title", "\\author", "\\input", "\\footnote", "\\bibitem", "\\[", "\\]",
    "\\(", "\\)", "\\\\", "\\caption", "\\maketitle", "\\verb", "\\emph", "\\textbf", "\\textit",
}  # fmt: skip
"""Commands that the reader knows by meaning: what a paper redefines them to is layout."""
MAX_EXPANSIONS = 100_000
MAX_GROWTH = 4
"""Times its own length, and a million tokens more, to which a source may be expanded."""
MAX_ARGUMENT = 200_000
"""Tokens of one argument at most."""
MAX_READ, FEW = 30, 400
"""Times a stream's own length that is read as arguments, within each other or without an end; past it one ends with its line, or at so many tokens."""


@dataclass(frozen=True)
class Macro:
    """A macro: how many arguments it takes, what the first is where it is optional, and the tokens it stands for."""

    arguments: int
    optional: tuple[str, ...] | None
    body: tuple[str, ...]


def verbatims(source: str) -> Iterator[tuple[int, int, str]]:
    r"""Yield (start, end, name) of each stretch that is read as it stands: `\verb|x|` (its name is empty) and verbatim environments."""
    at, endless = 0, set[str]()
    while (found := VERBATIM.search(source, at)) is not None:
        at, name = found.end(), found[1] or ""
        if name:
            end = -1 if name in endless else source.find(f"\\end{{{name}}}", at)
            if end < 0:
                endless.add(name)
                continue
            at = end + len(name) + 6
        before = source[max(0, found.start() - LOOK_BACK) : found.start()].rpartition("\n")[2]
        if "%" not in before.replace("\\%", ""):
            yield found.start(), at, name
        else:
            at = found.start() + 1                           # it stands in a comment itself


def without_comments(source: str, kept: list[str]) -> str:
    r"""Return a source without comments and the breaks that they would make, with `\KeptVerbatim{n}` for what stands verbatim, put into `kept`."""
    out, at = list[str](), 0
    for start, end, name in verbatims(source):
        out.append(COMMENT.sub(r"\1\2", source[at:start]))
        if name != "comment":
            out.append(f"\\KeptVerbatim{{{len(kept)}}}")
            kept.append(source[start:end])
        at = end
    return "".join([*out, COMMENT.sub(r"\1\2", source[at:])])


def tokens_of(source: str) -> list[str]:
    r"""Return a source as tokens: `\name`, `\x`, `$`, `$$`, brackets, an empty line, text."""
    return TOKEN.findall(source)


class Stream:
    """Tokens to be read, the next one last; what a macro stands for is pushed back."""

    def __init__(self, tokens: list[str]) -> None:
        self.rest = tokens[::-1]
        self.left = MAX_READ * len(tokens)

    def blank(self) -> None:
        """Go past blanks, but no empty line."""
        while self.rest and self.rest[-1].isspace() and self.rest[-1].count("\n") < 2:
            self.rest.pop()
        if self.rest and self.rest[-1][:1].isspace() and not self.rest[-1].isspace():
            self.rest[-1] = self.rest[-1].lstrip()

    def argument(self) -> list[str]:
        """The next argument: a group without its braces, or one unit (of a text, its first character)."""
        self.blank()
        if not self.rest:
            return []
        unit = self.rest.pop()
        if unit == "{":
            return self._until("{", "}")
        if unit[0] != "\\" and len(unit) > 1 and unit != "$$":
            self.rest.append(unit[1:])
            return [unit[0]]
        return [unit] if unit != "}" else []

    def optional(self) -> list[str] | None:
        """The next argument in square brackets; None where there is none."""
        mark = len(self.rest)
        self.blank()
        if self.rest and self.rest[-1] == "[":
            self.rest.pop()
            return self._until("[", "]")
        if mark and len(self.rest) < mark and not (self.rest and self.rest[-1] in "{["):
            self.rest.append(" ")
        return None

    def up_to(self, closes: str) -> str:
        """The source up to a command; an empty line ends a formula that nothing closes."""
        found = list[str]()
        while self.rest:
            unit = self.rest.pop()
            if unit == closes or (unit[0] == "\n" and unit.count("\n") > 1):
                break
            found.append(unit)
        return "".join(found)

    def environment(self, name: str) -> list[str]:
        """The tokens up to the end of an environment, over those of its name within."""
        found: list[str] = []
        depth = 0
        while self.rest:
            unit = self.rest.pop()
            if unit in ("\\begin", "\\end") and "".join(self.rest[-4:][::-1]).replace(" ", "").startswith(f"{{{name}}}"):
                if unit == "\\end" and depth == 0:
                    self.argument()
                    return found
                depth += 1 if unit == "\\begin" else -1
            found.append(unit)
        return found

    def _until(self, opens: str, closes: str) -> list[str]:
        found: list[str] = []
        depth = braces = 0
        while self.rest and len(found) < (MAX_ARGUMENT if self.left > 0 else FEW) and (self.left > 0 or self.rest[-1][0] != "\n"):
            unit = self.rest.pop()
            self.left -= 1
            if unit == closes and depth == 0 and (closes == "}" or braces == 0):
                return found
            depth += (unit == opens) - (unit == closes)
            braces += (unit == "{") - (unit == "}")
            if braces < 0:
                self.rest.append(unit)
                return found
            found.append(unit)
        end = next((i for i, unit in enumerate(found) if unit[0] == "\n"), len(found))
        self.rest += found[end:][::-1]                       # nothing closes it: it ends with its line
        return found[:end]


def expanded(tokens: list[str]) -> list[str]:
    """Return the tokens with the macros that they define expanded, and the definitions gone. Raises ValueError, `too_large`, past the bounds."""
    stream, macros, out = Stream(tokens), dict[str, Macro](), list[str]()
    budget, most = MAX_EXPANSIONS, MAX_GROWTH * len(tokens) + 1_000_000
    done = 0
    while stream.rest:
        unit = stream.rest.pop()
        done += 1
        if unit[0] != "\\" or unit == "\\":
            if out and LETTER.match(unit) and ENDS_NAMED.match(out[-1]):
                out.append(" ")                              # `\eps x` is `\epsilon x`: the letters behind a macro are no part of the name that it ends in
            out.append(unit)
        elif unit in DEFINES or unit in OPERATORS or unit in PLAIN_DEFS or unit == "\\let":
            _define(unit, stream, macros)
        elif unit.startswith("\\if") or unit in ("\\else", "\\fi"):
            _branch(unit, stream)
        elif unit in macros:
            budget -= 1
            if budget < 0 or done > most:
                raise ValueError("too_large: its macros grow without end")
            if not macros[unit].arguments and unit[1:].isalpha():
                stream.blank()                               # the blank behind a command only ends its name
            body = _called(macros[unit], stream)
            done += len(body)
            stream.rest += body[::-1]
        else:
            out.append(unit)
    return out


def _define(unit: str, stream: Stream, macros: dict[str, Macro]) -> None:
    """Read a definition behind its command."""
    if unit in ("\\long", "\\global"):
        return
    if unit in OPERATORS:
        name, body = stream.argument(), stream.argument()
        known = Macro(0, None, ("\\operatorname", "{", *body, "}"))
    elif unit in DEFINES:
        name, count = stream.argument(), stream.optional()
        first = stream.optional() if count is not None else None
        body = stream.argument()
        number = "".join(count or []).strip()
        known = Macro(int(number) if number in set("0123456789") else 0, tuple(first) if first is not None else None, tuple(body))
    elif unit == "\\let":
        name = stream.argument()
        stream.blank()
        if stream.rest and stream.rest[-1].startswith("="):
            stream.rest[-1] = stream.rest[-1][1:] or " "
        target = stream.argument()
        known = macros.get(target[0], Macro(0, None, tuple(target))) if target else Macro(0, None, ())
    else:
        name, known = _plain(stream)
    said = "".join(name).strip()
    if said.startswith("\\") and said not in KEPT:
        macros[said] = known if said not in known.body else Macro(known.arguments, known.optional, ())


def _plain(stream: Stream) -> tuple[list[str], Macro]:
    r"""The name and the rest of a `\def`; one whose arguments are told by other marks than braces is read as if it had none."""
    name = stream.argument()
    pattern: list[str] = []
    while stream.rest and stream.rest[-1] != "{" and len(pattern) < 40:
        pattern.append(stream.rest.pop())
    said = re.sub(r"\s", "", "".join(pattern))
    count = said.count("#")
    plain = said == "".join(f"#{i + 1}" for i in range(count))
    body = stream.argument()
    return name, Macro(count if plain else 0, None, tuple(body) if plain else ())


def _called(macro: Macro, stream: Stream) -> list[str]:
    """What a macro stands for, with its arguments in it."""
    given: list[list[str]] = []
    if macro.arguments and macro.optional is not None:
        first = stream.optional()
        given.append(list(macro.optional) if first is None else first)
    while len(given) < macro.arguments:
        given.append(stream.argument())
    if not given:
        return list(macro.body)
    out: list[str] = []
    marked = False
    for unit in macro.body:
        if unit == "#" and not marked:
            marked = True
            continue
        if marked and unit[0].isdigit():
            number = int(unit[0])
            out += given[number - 1] if 0 < number <= len(given) else []
            out += [unit[1:]] if unit[1:] else []
        elif not marked or unit == "#":
            out.append(unit)
        marked = False
        if len(out) > MAX_ARGUMENT:
            break
    return out


def _branch(unit: str, stream: Stream) -> None:
    r"""Leave `\iffalse ... \fi` out, and what stands behind `\else` of any other conditional."""
    if unit not in ("\\iffalse", "\\else"):
        if unit in ("\\ifthenelse", "\\iftoggle", "\\ifdefined", "\\ifstrempty"):
            stream.argument()
        return
    depth = 0
    while stream.rest:
        skipped = stream.rest.pop()
        if skipped == "\\fi":
            if depth == 0:
                return
            depth -= 1
        elif skipped == "\\else" and depth == 0 and unit == "\\iffalse":
            return
        elif skipped.startswith("\\if") and skipped not in ("\\ifthenelse", "\\iftoggle", "\\iff", "\\ifstrempty"):
            depth += 1
