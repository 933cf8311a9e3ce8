"""A paper's LaTeX as text: headings, paragraphs, lists, formulae as TeX; figures, tables, notes and references left out.

Formulae stand as `$...$` and, set off, as `$$...$$`. A citation is the number of its work in brackets, `[3, 7]`: in the order of the
bibliography where the source has one, else as they are first cited. A reference to a section, formula or figure is its number, counted as
LaTeX does where its layout is plain. Commands that are not known are dropped and what they embrace is kept.
"""

import re
from typing import Any

from ingest.markup import BREAK, PLACE, Draft
from ingest.texts.accents import ACCENTS, LETTERS, SIGNS, SPACED, accented, marks
from ingest.texts.commands import ARGUMENTS, CITES, CUT, HEADINGS, INLINE, LAST, LISTS, MATH, NOTHING, REFS, THEOREMS
from ingest.texts.labels import numbers_of
from ingest.texts.macros import Stream, expanded, tokens_of, without_comments

MATH_NOISE = re.compile(r"\\(?:label|tag)\*?\s*\{[^{}]*\}|\\(?:nonumber|notag|xspace)(?![A-Za-z])")
INNER = re.compile(r"\$([^$]*)\$")
CLOSE = (",", ".", "'", "/", "?", ";", ":", "!", "~", "-", ")", "{", "}", "\\/", "\\footnote")
"""What stands directly behind a word."""
PROSE = re.compile(r"(?:\b[A-Za-z]{2,}[,.;:]?\s+){4}[A-Za-z]{2,}")
"""Words in a row: what stands between two dollars then is what stands between two formulae."""
LEFT_OUT = {
    "footnote": "footnotes", "footnotetext": "footnotes", "marginpar": "footnotes", "sidenote": "footnotes", "includegraphics": "figure", "epsfig": "figure",
    "psfig": "figure", "plotone": "figure", "bibliography": "references", "printbibliography": "references",
}  # fmt: skip
MAX_AUTHORS = 20_000
MAX_DEPTH = 40
"""Arguments and environments within each other; what lies deeper is left out."""


class Paper:
    """A paper in the making: what its preamble says, the numbers of its works and labels, and the text so far."""

    def __init__(self, source: str, order: list[str] | None = None) -> None:
        source = source.replace("\r\n", "\n").replace("\r", "\n").replace(PLACE, "").replace(BREAK, " ")
        self.kept: list[str] = []                            # what stands verbatim, taken out so that nothing in it is read
        tokens = expanded(tokens_of(without_comments(source, self.kept)))
        self.said: dict[str, str] = {}
        self.theorems = dict(THEOREMS)
        self.front = "".join(tokens[: tokens.index("\\section")] if "\\section" in tokens else tokens)
        self.numbers = numbers_of(tokens)
        self.works = {key: number for number, key in enumerate(order or [], 1)}
        self.known = bool(order)
        self.deepen = 0 if "\\chapter" not in tokens else 1
        self.draft = Draft()
        self.title: str | None = None
        self.body(tokens)

    def body(self, tokens: list[str]) -> None:
        """Read a source: the preamble for what it says, then the document; all of it where it has no frame, as a section cut from one."""
        self._preamble(tokens)
        start, stop = _frame(tokens)
        if self.said.get("title"):
            self.title = self.inline(tokens_of(self.said["title"]), 1) or None
            if self.title:
                self.draft.block(self.title, "# ")
        if "abstract" in self.said:
            self.draft.block("Abstract", "## ")
            Reader(self, self.draft, 0).read(Stream(tokens_of(self.said["abstract"])))
        Reader(self, self.draft, 0).read(Stream(tokens[start:stop]))

    def _preamble(self, tokens: list[str]) -> None:
        """Keep the first of each command that says something of the paper, wherever it stands."""
        wanted = {"\\title", "\\doi", "\\acmDOI", "\\journal", "\\journalinfo", "\\abstract", "\\acmJournal", "\\conference"}
        for i, unit in enumerate(tokens):
            if unit == "\\author" and len(self.said.get("author", "")) < MAX_AUTHORS:
                stream = Stream(tokens[i + 1 : i + 2000])
                stream.optional()
                said = "".join(stream.argument())[:MAX_AUTHORS] + "\\and "
                self.said["author"] = self.said.get("author", "") + said
            elif unit in wanted and unit[1:] not in self.said and (unit != "\\abstract" or "".join(tokens[i + 1 : i + 3]).lstrip()[:1] == "{"):
                stream = Stream(tokens[i + 1 : i + 5000])
                stream.optional()
                self.said[unit[1:]] = "".join(stream.argument())
            elif unit in ("\\newtheorem", "\\newtheorem*"):
                stream = Stream(tokens[i + 1 : i + 100])
                name = "".join(stream.argument()).strip()
                stream.optional()
                self.theorems[name] = "".join(stream.argument()).strip() or name

    def inline(self, tokens: list[str], depth: int) -> str:
        """Some tokens as one line of text."""
        inner = Draft()
        Reader(self, inner, depth).read(Stream(tokens))
        return " ".join(block.replace(PLACE, "") for block in inner.blocks).strip()

    def cited(self, keys: str) -> str:
        """The numbers of works."""
        names = [key.strip() for key in keys.split(",") if key.strip()]
        for key in names:
            if not self.known or key in self.works:
                self.works.setdefault(key, len(self.works) + 1)
        return ", ".join(str(self.works.get(key, "?")) for key in names)

    def authors(self) -> str | None:
        r"""The names of `\author`, without what stands on their other lines."""
        names = []
        for piece in re.split(r"\\(?:and|AND|And|quad|qquad)(?![A-Za-z])|\\sep(?![A-Za-z])", self.said.get("author", "")):
            first = re.split(r"\\\\|\\(?:thanks|affil\w*|inst|IEEEauthorblockA|orcidID|email)(?![A-Za-z])", piece, maxsplit=1)[0]
            said = self.inline([unit for unit in tokens_of(first) if unit != "\\IEEEauthorblockN"], 1)
            names += [name for part in re.split(r",\s+(?:and\s+)?|\s+and\s+", re.sub(r"\$[^$]*\$|\^\S+|\d", "", said)) if (name := part.strip(" ,*†‡~"))]
        return "; ".join(name for name in names if any(map(str.isalpha, name)) and len(name) < 100) or None


def _frame(tokens: list[str]) -> tuple[int, int]:
    """Where the document begins and ends among the tokens."""
    start, stop = 0, len(tokens)
    for i, unit in enumerate(tokens):
        if unit in ("\\begin", "\\end") and tokens[i + 1 : i + 4] == ["{", "document", "}"]:
            if unit == "\\begin":
                start = i + 4
            elif i > start:
                return start, i
    return start, stop


class Reader:
    """Reads a stream of tokens into a draft; what lies within (an item, an argument) has a reader of its own."""

    def __init__(self, paper: Paper, draft: Draft, depth: int) -> None:
        self.paper, self.draft, self.depth = paper, draft, depth
        self.text: list[str] = []

    def read(self, stream: Stream) -> None:
        if self.depth > MAX_DEPTH:
            return
        while stream.rest:
            unit = stream.rest.pop()
            if unit[0] == "\\" and len(unit) > 1:
                self.command(unit, stream)
            elif unit in ("$", "$$"):
                self.formula(unit, stream)
            elif unit[0] == "\n" and unit.count("\n") > 1:
                self.close()
            elif unit == "~" or unit == "&":
                self.text.append(" ")
            elif unit not in ("{", "}", "#", "\\"):
                self.text.append(marks(unit))
        self.close()

    def close(self) -> None:
        """End a paragraph."""
        if self.text:
            self.draft.block("".join(self.text))
            self.text = []

    def formula(self, opens: str, stream: Stream) -> None:
        r"""A formula between dollars; `$` that has no partner in its paragraph is none."""
        found, plain, depth = list[str](), list[str](), 0    # in braces `$` is a formula's within its words: `\text{if $x$}`
        while stream.rest and not (stream.rest[-1][0] == "\n" and stream.rest[-1].count("\n") > 1):
            if stream.rest[-1] == opens and (depth <= 0 or stream.left <= 0):
                break
            unit = stream.rest.pop()
            if opens == "$" and unit == "$$" and depth <= 0:  # `$a$$b$`: one ends and the next begins
                stream.rest += ["$", "$"]
                break
            depth += (unit == "{") - (unit == "}")
            found.append(unit)
            if depth <= 0 and unit[0] != "\\":
                plain.append(unit)
        closed = bool(stream.rest) and stream.rest[-1] == opens and not (opens == "$" and PROSE.search("".join(plain)))
        if closed:
            stream.rest.pop()
        elif depth > 0 and opens in found:                   # braces that nothing closes
            closed, end = True, found.index(opens)
            stream.left -= len(found) - end
            stream.rest += found[end + 1 :][::-1]
            del found[end:]
        if closed:
            self.math("".join(found), displayed=opens == "$$")
        else:
            stream.rest += found[::-1]

    def math(self, source: str, *, displayed: bool) -> None:
        body = " ".join(MATH_NOISE.sub("", source).split())
        body = INNER.sub(_inner, body).replace("$", "") if "$" in body else body
        if not body:
            return
        if displayed:
            self.close()
            self.draft.block(f"$${body}$$")
        else:
            self.text.append(f"${body}$")

    def command(self, unit: str, stream: Stream) -> None:
        """One command."""
        name = unit[1:]
        bare = name.rstrip("*")
        if unit in SIGNS:
            self.text.append(SIGNS[unit])
            if unit == "\\\\":
                stream.optional()
        elif name in ACCENTS and (not name.isalpha() or (stream.rest and stream.rest[-1][0] in "{\\ ")):
            letter = self.paper.inline(stream.argument(), self.depth + 1)
            self.text.append(accented(name, letter))
        elif name in SPACED:
            self.spaced(name, stream)
        elif name in LETTERS:
            self.letter(name, stream)
        elif unit in ("\\[", "\\("):
            self.math(stream.up_to("\\]" if unit == "\\[" else "\\)"), displayed=unit == "\\[")
        elif name == "begin":
            self.environment("".join(stream.argument()).strip(), stream)
        elif name == "end":
            if "".join(stream.argument()).strip() not in INLINE:
                self.close()
        elif bare in HEADINGS:
            self.heading(bare, stream)
        elif CITES.match(bare) or REFS.match(bare):
            self.pointer(bare, stream)
        else:
            self.other(bare, stream)

    def letter(self, name: str, stream: Stream) -> None:
        if LETTERS[name] == "\n\n":
            self.close()
            return
        self.text.append(LETTERS[name])
        if name.isalpha():
            stream.blank()                                   # the blank behind a command only ends its name

    def spaced(self, name: str, stream: Stream) -> None:
        """A sign with the space behind it that its command swallows, unless a mark follows: `\\ours is`, `\\etc.`"""
        said = LETTERS.get(name, "")
        stream.blank()
        if not stream.rest or stream.rest[-1].startswith(CLOSE):
            self.text.append(said.rstrip(".") if stream.rest and stream.rest[-1][0] == "." else said)
        else:
            self.text.append(f"{said} ")

    def other(self, name: str, stream: Stream) -> None:
        """Commands that are no text themselves; what is not known goes, and what it embraces stays."""
        if name in LEFT_OUT:
            self.leave_out(name, stream)
        elif name == "KeptVerbatim":
            self.verbatim("".join(stream.argument()))
        elif name == "ensuremath":
            self.math("".join(stream.argument()), displayed=False)
        elif name in ("textsuperscript", "textsubscript"):
            said = self.paper.inline(stream.argument(), self.depth + 1)
            self.text.append(f"^{said}" if name == "textsuperscript" and said.lstrip("+-−–").isdigit() else said)
        elif name in NOTHING or name == "abstract":
            self.nothing(name, stream)
        elif name in LAST:
            stream.optional()
            given = [stream.argument() for _ in range(LAST[name])]
            stream.rest += given[-1][::-1]
        elif name in ("SI", "qty", "si", "unit"):
            number = "".join(stream.argument()) if name in ("SI", "qty") else ""
            stream.optional()
            self.text.append(f"{number} {_unit(''.join(stream.argument()))}".strip())
        elif name in ("url", "path", "nolinkurl"):
            self.text.append("".join(stream.argument()).replace("\\", ""))
        elif name == "item":
            self.close()
        elif stream.rest and stream.rest[-1] == "[" and name not in ("left", "right", "big"):
            stream.optional()
        elif name.isalpha():
            stream.blank()

    def leave_out(self, name: str, stream: Stream) -> None:
        """A note, a picture, a bibliography: its place is kept."""
        if name not in ("bibliography", "printbibliography"):
            stream.optional()
        said = "".join(stream.argument()) if name != "printbibliography" else ""
        uri = said.strip()[:300] or None if LEFT_OUT[name] == "figure" else None
        self.text.append(self.draft.leave_out(said, f"application/x-latex-{LEFT_OUT[name]}", uri))

    def nothing(self, name: str, stream: Stream) -> None:
        """Go past a command and its arguments."""
        stream.optional()
        for _ in range(NOTHING.get(name, 1 if stream.rest and stream.rest[-1] == "{" else 0)):
            stream.argument()
            stream.optional()

    def verbatim(self, number: str) -> None:
        r"""What `\verb` or a verbatim environment holds, as it stands."""
        if not number.isdigit() or int(number) >= len(self.paper.kept):
            return
        source = self.paper.kept[int(number)]
        if source.startswith("\\begin"):
            inside = re.sub(r"^\\begin\{[^}]*\}(?:\[[^\]\n]*\])?(?:\{[^}\n]*\})?|\\end\{[^}]*\}$", "", source).strip("\n")
            self.close()
            self.draft.code(inside)
        else:
            body = re.sub(r"^\\(?:verb\*?|lstinline(?:\[[^\]]*\])?)", "", source)
            self.text.append(body[1:-1])

    def heading(self, name: str, stream: Stream) -> None:
        stream.optional()
        said = self.paper.inline(stream.argument(), self.depth + 1)
        self.close()
        level = HEADINGS[name] + (self.paper.deepen if name not in ("part", "chapter") else 0) + (self.paper.title is not None)
        self.draft.block(said.rstrip(".:") if HEADINGS[name] > 3 else said, "#" * min(6, level) + " ")

    def pointer(self, name: str, stream: Stream) -> None:
        """A citation or a reference."""
        if not CITES.match(name):
            said = "".join(stream.argument()).strip()
            number = self.paper.numbers.get(said, "")
            self.text.append(f"({number})" if name == "eqref" and number else number)
            return
        notes = [note for note in (stream.optional(), stream.optional()) if note]
        keys = self.paper.cited("".join(stream.argument()))
        if name != "nocite" and keys:
            beside = "".join(f", {said}" for note in notes if (said := self.paper.inline(note, self.depth + 1)))
            self.text.append(f"[{keys}{beside}]")

    def environment(self, name: str, stream: Stream) -> None:
        """What stands between `\\begin` and `\\end`."""
        bare = name.rstrip("*")
        if name in CUT or bare in CUT:
            self.cut(name, stream.environment(name))
        elif bare in MATH:
            self.displayed(name, stream.environment(name))
        elif name in LISTS or bare in LISTS:
            self.close()
            self.items(stream.environment(name))
        elif bare == "abstract":
            self.close()
            self.draft.block("Abstract", "## ")
        elif bare in self.paper.theorems:
            self.close()
            title = stream.optional()
            said = f" ({self.paper.inline(title, self.depth + 1)})" if title else ""
            self.text.append(f"{self.paper.theorems[bare]}{said}. ")
        elif bare not in INLINE:
            stream.optional()
            for _ in range(ARGUMENTS.get(bare, 0)):
                stream.argument()
            self.close()

    def cut(self, name: str, body: list[str]) -> None:
        kind = CUT.get(name) or CUT[name.rstrip("*")]
        self.text.append(self.draft.leave_out("".join(body), f"application/x-latex-{kind}"))

    def displayed(self, name: str, body: list[str]) -> None:
        """A set-off formula; one of several lines keeps its environment, which says how they are set."""
        source, bare = "".join(body), name.rstrip("*")
        if bare == "math":
            self.math(source, displayed=False)
        elif bare in ("equation", "displaymath", "dmath"):
            self.math(source, displayed=True)
        else:
            self.math(f"\\begin{{{name}}} {source} \\end{{{name}}}", displayed=True)

    def items(self, body: list[str]) -> None:
        """The items of a list, each a block; a description's term stands before it."""
        pieces: list[list[str]] = [[]]
        depth = 0
        for unit in body:
            depth += (unit == "\\begin") - (unit == "\\end")
            if unit == "\\item" and depth == 0:
                pieces.append([])
            else:
                pieces[-1].append(unit)
        for piece in pieces[1:]:
            stream = Stream(piece)
            term = stream.optional()
            inner = Draft()
            reader = Reader(self.paper, inner, self.depth + 1)
            if term and (said := self.paper.inline(term, self.depth + 1)):
                reader.text.append(f"{said}: " if len(said) > 3 else f"{said} ")
            reader.read(stream)
            self.draft.take(inner, "- ")


def _unit(source: str) -> str:
    """A unit of `siunitx` in words: `kilometre per second`."""
    said = source.replace("\\squared", "^2").replace("\\cubed", "^3").replace("\\per", " per ").replace("\\", "")
    return " ".join(said.split())


def _inner(found: re.Match[str]) -> str:
    """A formula within the words of another, in brackets that no dollar sign of the outer one meets."""
    return f"\\({found[1]}\\)"


def paper_of(source: str, order: list[str] | None = None) -> tuple[Paper, str, list[dict[str, Any]]]:
    """Return the paper that a LaTeX source makes, its text and what was left out of it. `order` are the keys of its bibliography."""
    paper = Paper(source, order)
    text, media = paper.draft.finish()
    return paper, text, media
