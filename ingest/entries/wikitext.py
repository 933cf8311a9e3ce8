"""Wikitext as text: headings as `#`, items as `- `, tables' rows as `| a | b |`, formulae in dollars; the one door to mwparserfromhell.

Left out: templates but those of TEMPLATES, references, files, categories, galleries, comments, and sections that hold nothing else.
"""

import re
from functools import partial
from typing import Any

import mwparserfromhell
from mwparserfromhell.nodes import Argument, Comment, ExternalLink, Heading, HTMLEntity, Tag, Template, Text, Wikilink
from mwparserfromhell.wikicode import Wikicode

MAX_TEXT = 4 << 20
ITEM, LINE, GAP, INDENT = "\x02", "\x03", "\x04", "\x05"
"""A list's marker, a line break, where something was left out, and what indents, in a text in the making: wikitext holds none of them."""
LEFT_OUT = """
ref references gallery timeline score imagemap templatestyles graph mapframe maplink section indicator categorytree inputbox
"""
GONE = frozenset(LEFT_OUT.split())
BLOCKS = ("p", "div", "blockquote", "center", "poem", "section", "ul", "ol", "dl")
SHOWN = """
nowrap nobr small smaller big larger lang-en abbr abbrlink tooltip mvar math var em strong code tt kbd samp mono typo sic written angbr bracket resize
flag flagcountry flagu center left right nowiki blockquote quote cquote quotation rquote plainlist flatlist term defn gloss val formatnum angle keypress key
sfrac overline underline smallcaps sc sup sub nobold noitalics ship hms uss ss vanchor yesno font illm ill
"""
SECOND = frozenset(("l", "ll", "link", "m", "mention", "cog", "cognate", "ux", "uxi", "usex"))
"""Templates whose second argument is text, behind a language: a wiktionary's words and examples."""
LISTED = ("unbulleted list", "ubl", "hlist", "cslist", "enum")
PHRASES = ("not a typo", "as written", "font color", "non-gloss definition", "n-g", "ng", "qualifier",
    "visible anchor", "annotated link", "interlanguage link", "proper name", "yes", "no")
FIRST = frozenset((*SHOWN.split(), *PHRASES))
"""Templates that show their first argument, more or less."""
SIGNS = {
    "ndash": "–", "mdash": "—", "spaced ndash": " – ", "snd": " – ", "spnd": " – ", "spaced en dash": " – ", "em dash": "—", "en dash": "–", "'": "'",
    "'s": "'s", "=": "=", "!": "|",
    "sp": " ", "nbsp": " ", "space": " ", "pi": "π", "minus": "−", "times": "×", "dot": "·", "·": "·", "•": "•", "bull": "•", "°": "°", "pm": "±",
    "plus": "+", "zwsp": "", "shy": "", "'-": "'",
    "c.": "c.", "br": "\n", "clear": "", "-": "", "pagename": "", "i": "",
}  # fmt: skip
LANG = re.compile(r"lang(?:-[a-z-]+)?$|transl(?:iteration)?$|transl$|native name$|zh$|lang-\w+$")
JOINS = {"frac": "/", "sfrac": "/", "fraction": "/", "convert": " ", "cvt": " ", "ratio": ":", "start date": "-", "birth date": "-", "date": "-", "e": "×10^",
    "sortname": " "}
BARE = re.compile(r"^[a-z]{2,3}(?:-[a-z]+)*:")
BLANK = re.compile(r"[ \t\xa0]+")
TERM = re.compile(r"[ \t]{0,9}\x05[ \t]{0,9}")
EMPTY = ((re.compile(r"[ \t]?\(([ \t;,\x04]*)\)"), ""), (re.compile(r"\(([ \t;,\x04]+)"), "("), (re.compile(r"([ \t;,\x04]{1,40})\)"), ")"))
"""Brackets and what is left of them, where something in them was left out."""


def convert(payload: bytes, *, cut: list[str]) -> dict[str, Any]:
    """Return {"text"} for a page's wikitext in UTF-8. `cut` are the prefixes of links that are left out, such as `File`, in the wiki's language."""
    source = payload.decode("utf-8", "replace")[:MAX_TEXT].translate(dict.fromkeys(map(ord, (ITEM, LINE, GAP, INDENT))))
    source = re.sub(r"__[A-Z]{3,20}__", "", source)
    prefixes = frozenset(name.lower() for name in cut)
    return {"text": _finish(_said(mwparserfromhell.parse(source, skip_style_tags=False), prefixes))}


def _said(code: Wikicode | None, cut: frozenset[str]) -> str:
    return "".join(_node(node, cut) for node in code.nodes) if code is not None else ""


def _node(node: Any, cut: frozenset[str]) -> str:
    if isinstance(node, Text):
        return str(node.value).replace("'''", "").replace("''", "")  # what of them is no pair
    if isinstance(node, Comment):
        return ""
    if isinstance(node, Heading):
        return f"\n\n{'#' * min(node.level, 6)} {_flat(_said(node.title, cut))}\n\n"
    if isinstance(node, HTMLEntity):
        return str(node.normalize())
    if isinstance(node, Wikilink):
        return _link(node, cut)
    if isinstance(node, ExternalLink):
        return _said(node.title, cut) if node.title is not None else "" if node.brackets else str(node.url)
    if isinstance(node, Template):
        return _template(node, cut)
    if isinstance(node, Argument):
        return _said(node.default, cut)
    return _tag(node, cut) if isinstance(node, Tag) else ""


def _link(node: Wikilink, cut: frozenset[str]) -> str:
    title = str(node.title).strip()
    prefix = title.partition(":")[0].strip().lower()
    if ":" in title and prefix in cut:
        return GAP
    if node.text is not None:
        return _said(node.text, cut)
    return "" if BARE.match(title) else _said(node.title, cut).lstrip(":").partition("#")[0]


def _template(node: Template, cut: frozenset[str]) -> str:
    """What of a template is text: nearly all are boxes, notes and navigation."""
    name = _flat(str(node.name)).replace("_", " ").lower()
    if name in SIGNS:
        return SIGNS[name]
    if name.startswith("formatnum:"):
        return name.partition(":")[2]
    given = [_said(one.value, cut).strip() for one in node.params if not one.showkey]
    given = given or [_said(one.value, cut).strip() for one in node.params if str(one.name).strip() in ("1", "2", "text")]
    if not given:
        return name.capitalize() if name in ("yes", "no") else GAP
    if LANG.match(name):
        return given[0] if name.startswith("lang-") or len(given) == 1 else given[1] if name == "lang" else given[-1]
    if name in LISTED:
        return ", ".join(filter(None, given))
    if name in SECOND:
        return given[1] if len(given) > 1 else GAP
    if name in ("circa", "c", "ca"):
        return f"c. {given[0]}"
    if name in ("as of", "since"):
        return f"{name.capitalize()} {' '.join(given[:3])}"
    if name.endswith(" of") and len(given) > 1:              # a wiktionary's `plural of`, which is all that an entry says
        return f"{name} {given[1]}"
    if name in JOINS:
        most = 2 if name in ("convert", "cvt", "frac", "sfrac") else 3
        if name in ("convert", "cvt") and len(given) > 3 and given[1] in ("to", "-", "–", "and", "by", "x"):
            return " ".join(given[:4])
        return JOINS[name].join(given[:most])
    return given[0] if name in FIRST else GAP


def _tag(node: Tag, cut: frozenset[str]) -> str:
    name = _flat(str(node.tag)).lower()
    if node.wiki_markup in ("*", "#", ":", ";"):
        return ITEM if node.wiki_markup in ("*", "#") else INDENT
    if name in GONE:
        return GAP
    if name == "table":
        return f"\n\n{_table(node, cut)}\n\n"
    if name in ("br", "hr"):
        return LINE
    if name in ("math", "chem", "ce"):
        return f"${_flat(str(node.contents))}$"
    if name in ("nowiki", "pre", "syntaxhighlight", "source"):
        inner = "".join(str(one.normalize()) if isinstance(one, HTMLEntity) and name in ("nowiki", "pre") else str(one) for one in _nodes(node))
        return inner if name == "nowiki" or node.has("inline") else f"\n\n```\n{inner.strip(chr(10))}\n```\n\n"
    inner = _said(node.contents, cut)
    if name == "poem":
        inner = inner.strip().replace("\n", LINE)
    if name == "li":
        return f"\n{ITEM}{inner}"
    return f"\n\n{inner}\n\n" if name in BLOCKS else inner


def _table(node: Tag, cut: frozenset[str]) -> str:
    """A table's rows; what is no row's (a caption) is left out."""
    rows: list[list[str]] = [[]]
    for inner in _nodes(node):
        name = str(inner.tag).strip().lower() if isinstance(inner, Tag) else ""
        if name == "tr":
            cells = [cell for cell in (inner.contents.nodes if inner.contents is not None else ()) if isinstance(cell,
                Tag) and str(cell.tag).strip().lower() in ("td", "th")]
            rows.append([_flat(_said(cell.contents, cut)) for cell in cells])
        elif name in ("td", "th") and not str(inner.contents).startswith("+"):  # a caption is read as a cell
            rows[-1].append(_flat(_said(inner.contents, cut)))
    return LINE.join("| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows if any(row))


def _nodes(node: Tag) -> list[Any]:
    return list(node.contents.nodes) if node.contents is not None else []


def _flat(said: str) -> str:
    return " ".join(said.replace(LINE, " ").replace(ITEM, " ").replace(INDENT, " ").split())


def _emptied(rest: str, found: re.Match[str]) -> str:
    """What stays of brackets: `rest` where something was left out of them."""
    return rest if GAP in found[1] else found[0]


def _finish(text: str) -> str:
    """Lines that follow each other as one paragraph, markers as items, and no heading over nothing."""
    for pattern, rest in EMPTY if GAP in text else ():
        text = pattern.sub(partial(_emptied, rest), text)
    text = text.replace(GAP, "")
    blocks: list[str] = []
    fenced = plain = False
    for line in text.split("\n"):
        if line.startswith("```") or fenced:
            fenced, plain = fenced != line.startswith("```"), False
            blocks.append(line)
            continue
        plain = plain and bool(line.strip())
        for number, piece in enumerate(line.split(LINE)):
            bare = piece.lstrip(ITEM + INDENT)
            marks = piece[: len(piece) - len(bare)].count(ITEM)
            said = BLANK.sub(" ", TERM.sub(": ", bare.replace(ITEM, ""))).strip()
            if not said.strip("|- "):
                continue
            follows, plain = plain and not number and bare == piece, not marks and not said.startswith(("|", "#"))
            if plain and follows:
                blocks[-1] += f" {said}"
            else:
                blocks.append(f"{'  ' * (min(marks, 6) - 1)}- {said}" if marks else said)
    return "\n".join(_spaced(_headed(blocks))).strip()


def _headed(blocks: list[str]) -> list[str]:
    """Without the headings under which nothing stands but headings as deep or higher."""
    kept: list[str] = []
    below = 0
    for block in reversed(blocks):
        level = len(block) - len(block.lstrip("#")) if re.match(r"#{1,6} ", block) else 0
        if not level:
            kept.append(block)
            below = 7
        elif below > level:
            kept.append(block)
            below = level
    return kept[::-1]


def _spaced(blocks: list[str]) -> list[str]:
    """A blank line between two blocks, but not between two items, two rows, or lines of code."""
    out: list[str] = []
    fenced = False
    for block in blocks:
        close = bool(out) and (fenced or any(re.match(kind, block) and re.match(kind, out[-1]) for kind in (r" *- ", r"\| ")))
        out += [block] if close or not out else ["", block]
        if block.startswith("```"):
            fenced = not fenced
    return out
