"""Troff's escapes, conditions and fonts: what all manual pages share, whichever macros they are written in.

No macro is defined and no register counted: a page's own macros, where it has any, are passed over.
"""

import re
import unicodedata
from collections.abc import Iterator

SIGNS = {
    "em": "—", "en": "–", "hy": "-", "mi": "−", "lq": "“", "rq": "”", "oq": "‘", "cq": "’", "aq": "'", "dq": '"', "bq": "‚", "Bq": "„", "ga": "`", "ha": "^",
    "ti": "~", "rs": "\\", "sl": "/",
    "bu": "•", "co": "©", "rg": "®", "tm": "™", "de": "°", "+-": "±", "mu": "×", "di": "÷", "<=": "≤", ">=": "≥", "!=": "≠", "==": "≡", "~~": "≈", "->": "→",
    "<-": "←", "ua": "↑", "da": "↓",
    "if": "∞", "la": "⟨", "ra": "⟩", "lB": "[", "rB": "]", "lC": "{", "rC": "}", "sc": "§", "ps": "¶", "dg": "†", "dd": "‡", "ct": "¢", "Po": "£", "Eu": "€",
    "Ye": "¥", "12": "½", "14": "¼",
    "34": "¾", "ss": "ß", "AE": "Æ", "ae": "æ", "OE": "Œ", "oe": "œ", "o/": "ø", "O/": "Ø", "oa": "å", "oA": "Å", "fi": "fi", "fl": "fl", "ff": "ff",
    "at": "@", "sh": "#", "Do": "$", "ba": "|",
    "or": "|", "ul": "_", "sq": "□", "ci": "○", "OK": "✓", "Fo": "«", "Fc": "»", "fo": "‹", "fc": "›", "*a": "α", "*b": "β", "*g": "γ", "*d": "δ", "*l": "λ",
    "*m": "μ", "*p": "π", "*s": "σ", "%": "", "..": "…",
}  # fmt: skip
ACCENTS = {"'": "\u0301", "`": "\u0300", "^": "\u0302", ":": "\u0308", "~": "\u0303", ",": "\u0327"}
STRINGS = {"lq": "“", "rq": "”", "R": "®", "Tm": "™", "S": "", "Aq": "'", "Lq": "“", "Rq": "”", "q": '"', "Gt": ">", "Lt": "<", "Ba": "|"}
PLAIN = {"-": "-", "e": "\\", "\\": "\\", "~": " ", " ": " ", "0": " ", "t": "\t", "'": "´", "`": "`", ".": ".", "_": "_", "(": "("}
ESCAPE = re.compile(
    r"\\(?:[\"#].*$|\((?P<two>..)|\[(?P<long>[^\]\s]{1,40})\]|\*(?:\((?P<string2>..)|\[(?P<stringlong>[^\]]{1,40})\]|(?P<string1>.))"
    r"|[fFgkMmnVYO](?:\(..|\[[^\]]{0,40}\]|[+-]?.)|s(?:[+-]?\(\d\d|\[[^\]]{0,10}\]|[+-]?'\d+'|[+-]?\d)|[bDhHlLNoRSvwxXZA](?P<q>.)(?P<quoted>.{0,400}?)(?P=q)|(?P<one>.)|$)"
)
WORD = re.compile(r'"((?:[^"]|"")*)"?|(\S+)')
MAX_LINES = 500_000


def said(text: str) -> str:
    """A line with its escapes undone; fonts and sizes are left out."""
    return ESCAPE.sub(_sign, text) if "\\" in text else text


def _sign(found: re.Match[str]) -> str:
    name = found["two"] or found["long"]
    if name is not None:
        return _named(name)
    string = found["string2"] or found["stringlong"] or found["string1"]
    if string is not None:
        return STRINGS.get(string, "")
    if found["quoted"] is not None:
        return found["quoted"] if found[0][1] in "oZ" and "\\" not in found["quoted"] else ""
    return PLAIN.get(found["one"] or "", "")


def _named(name: str) -> str:
    if re.fullmatch(r"u[0-9A-F]{4,6}(?:_[0-9A-F]{4,6})*", name):
        points = [int(point, 16) for point in name[1:].split("_")]
        return unicodedata.normalize("NFC", "".join(chr(point) for point in points if point < 0x110000 and not 0xD800 <= point < 0xE000))
    if name in SIGNS:
        return SIGNS[name]
    if len(name) == 2 and name[0] in ACCENTS and name[1].isalpha():
        return unicodedata.normalize("NFC", name[1] + ACCENTS[name[0]])
    return ""


def arguments(line: str) -> list[str]:
    """A macro's arguments, quotes undone, escapes not."""
    line = re.sub(r"(?<!\\)((?:\\\\)*)\\\".*$", r"\1", line)
    return [plain or quoted.replace('""', '"') for quoted, plain in WORD.findall(line.replace("\\ ", "\xa0"))]


def requests(text: str) -> Iterator[tuple[str, str]]:
    """Yield (macro, what follows it) for each line, the macro empty of a line of text; comments, definitions and what is for a printer are passed over."""
    skip_to, depth, met = "", 0, False
    lines = iter(text.split("\n")[:MAX_LINES])
    for line in lines:
        if _goes_on(line):
            parts = [line]
            while _goes_on(parts[-1]):
                parts[-1] = parts[-1][:-1]
                parts.append(next(lines, ""))
            line = "".join(parts)
        if skip_to:
            skip_to = "" if re.sub(r"^\.[ \t]+", ".", line).rstrip() == skip_to else skip_to
            continue
        if depth:                                            # inside a condition that is not met
            depth += line.count("\\{") - line.count("\\}")
            continue
        macro, rest = _split(line)
        if macro in ("if", "ie", "el"):
            met = not met if macro == "el" else _is_met(rest)
            macro, rest, depth = _branch(macro, rest, met)
        if macro in ("de", "de1", "am", "ig", "dei", "ami"):
            end = rest.split()[1:2] if macro != "ig" else rest.split()[:1]
            skip_to = "." + (end[0] if end else ".")
            continue
        if macro is not None:
            yield macro, rest


def _goes_on(line: str) -> bool:
    """Whether the next line is this one's end."""
    return line.endswith("\\") and not line.endswith("\\\\")


def _split(line: str) -> tuple[str | None, str]:
    """A line's macro, empty for text, None for what says nothing."""
    if line[:1] not in (".", "'") or line[:2] == "''":
        return ("", line) if line.replace("\\}", "").strip() or not line else (None, "")
    inner = line[1:].strip()
    if not inner or inner.startswith(('\\"', "\\}", "\\#")):
        return None, ""
    found = re.match(r"([^\s\\\"]{1,20})[ \t]*(.*)$", inner)
    return (found[1], found[2]) if found else (None, "")


def _is_met(rest: str) -> bool:
    """Whether a condition is true of a terminal; what needs registers or strings is taken not to be."""
    return re.match(r"(?:n|!t|o|1)(?:\s|\\\{|\.|$)", rest) is not None


def _branch(macro: str, rest: str, met: bool) -> tuple[str | None, str, int]:
    """What a conditional's line itself asks for where it is met, and how many braces are to be passed over where it is not."""
    if not met:
        return None, "", max(rest.count("\\{") - rest.count("\\}"), 0)
    inner = rest if macro == "el" else re.sub(r"^(?:n|!t|o|1)\s*", "", rest)
    return *_split(inner.replace("\\{", "").strip()), 0
